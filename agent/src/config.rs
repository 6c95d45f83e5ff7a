//! Configuration. In: one TOML file, or a folder of them (one per segment is usual). Out: a checked [`Config`]
//! whose values later code trusts. Refuses unknown keys, duplicate segments, overlapping addresses and values
//! out of range, each with the file, the key, the cause and the remedy.

mod check;
mod units;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use units::{Bytes, Subnet};

/// Files in a configuration folder; more is a mistake, not a configuration.
const FILES_MAX: usize = 4096;
/// Bytes of one configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is wrong with a configuration: where, why, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file or folder cannot be read.
    #[error("{}: cannot be read: {source}. Give the path of a file or folder that the agent may read", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key or a value of the wrong kind.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words, with line, column and the keys that it knows.
        message: String,
    },
    /// A key has a value that cannot be meant.
    #[error("{}: {key}: {cause}. {remedy}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with the segment's name where there is one.
        key: String,
        /// What is wrong with it.
        cause: String,
        /// What to write instead.
        remedy: &'static str,
    },
}

/// The whole configuration, checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The agent itself.
    pub agent: Agent,
    /// The containerd it drives.
    pub containerd: Containerd,
    /// The network of its instances.
    pub network: Network,
    /// The VMs of segments that are isolated by one.
    pub vm: Vm,
    /// What it may spend ahead of demand.
    pub budget: Budget,
    /// How it decides.
    pub policy: Policy,
    /// What it serves.
    #[serde(rename = "segment")]
    pub segments: Vec<Segment>,
}

/// Where the agent keeps its state and shows itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Folder of what it has learned.
    pub state: PathBuf,
    /// Unix socket of the control interface (made with mode 0600).
    pub socket: PathBuf,
    /// Where Prometheus scrapes.
    pub metrics: SocketAddr,
    /// Root of what is watched: the cgroup2 mount, or a subtree of it.
    pub cgroup: Option<PathBuf>,
    /// How long instances may take to end their work when the agent drains; a second signal ends the wait.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// `false`: watch and learn only; a request makes its instance, a forecast does not.
    pub weave: bool,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            state: "/var/lib/weft".into(),
            socket: "/run/weft/weft.sock".into(),
            metrics: SocketAddr::from(([127, 0, 0, 1], 9435)),
            cgroup: None,
            drain: Duration::from_secs(30),
            weave: true,
        }
    }
}

/// The containerd that runs the instances.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Containerd {
    /// Its unix socket.
    pub address: PathBuf,
    /// The containerd namespace of weft's instances; never the CRI's.
    pub namespace: String,
    /// The snapshotter that prepares root file systems.
    pub snapshotter: String,
    /// Where runc notes its containers; its usual place unless several containerds share a machine.
    pub runc_root: Option<PathBuf>,
}

impl Default for Containerd {
    fn default() -> Self {
        Self {
            address: "/run/containerd/containerd.sock".into(),
            namespace: "weft".into(),
            snapshotter: "overlayfs".into(),
            runc_root: None,
        }
    }
}

/// The bridge of the instances.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Its name, at most 15 bytes.
    pub bridge: String,
    /// Its subnet; the first address is the bridge's own.
    pub subnet: Subnet,
}

impl Default for Network {
    fn default() -> Self {
        Self { bridge: "weft0".into(), subnet: Subnet::new(Ipv4Addr::new(10, 201, 0, 0), 16) }
    }
}

/// The VMs of segments that are isolated by one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vm {
    /// QEMU, by name or path.
    pub qemu: PathBuf,
    /// The guests' kernel; the node's own unless it is set.
    pub kernel: Option<PathBuf>,
    /// The folder of that kernel's modules; those of the node's own kernel unless it is set.
    pub modules: Option<PathBuf>,
    /// What may execute guests.
    pub acceleration: Acceleration,
    /// The most that a VM may write to its root file system, which is kept in its memory.
    pub disk: Bytes,
    /// The most that a VM may send, and receive, in a second; not limited unless it is set.
    pub bandwidth: Option<Bytes>,
    /// `false`: every VM boots, for programs that draw secrets of their own when they start.
    pub snapshots: bool,
    /// The most that disks and snapshots may take in the state folder.
    pub cache: Bytes,
}

impl Default for Vm {
    fn default() -> Self {
        Self {
            qemu: "qemu-system-x86_64".into(),
            kernel: None,
            modules: None,
            acceleration: Acceleration::Auto,
            disk: Bytes(64 << 20),
            bandwidth: None,
            snapshots: true,
            cache: Bytes(8 << 30),
        }
    }
}

/// Which accelerators of QEMU may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acceleration {
    /// KVM where a trial boot shows that it works, TCG otherwise.
    #[default]
    Auto,
    /// KVM alone.
    Kvm,
    /// TCG alone: everywhere, an order of magnitude slower.
    Tcg,
}

/// The most that may stand on the node when a forecast asks for one more instance.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Sum of the instances' memory limits.
    pub memory: Bytes,
    /// Cores that making instances ahead of demand may use; bounds the creations in flight.
    pub cpu: f64,
    /// Number of instances.
    pub instances: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { memory: Bytes(2 << 30), cpu: 1.0, instances: 64 }
    }
}

/// How long to keep, how sure to be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How long an instance stays after its last request.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// The least confidence for which a container is made.
    pub confidence: Confidence,
}

impl Default for Policy {
    fn default() -> Self {
        Self { keep_alive: Duration::from_secs(60), confidence: Confidence::Auto }
    }
}

/// `"auto"`, or a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Confidence {
    /// Follows from what hits and waste have been worth so far.
    Auto,
    /// Fixed.
    Fixed(f64),
}

/// One deployable piece of code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Unique name: lower-case letters, digits and dashes.
    pub name: String,
    /// Image in containerd's store.
    pub image: String,
    /// The port on which its program listens.
    pub port: u16,
    /// What callers dial.
    #[serde(deserialize_with = "units::dialled")]
    pub address: SocketAddr,
    /// What happens to a request that finds no instance.
    #[serde(default)]
    pub miss: Miss,
    /// What runs it.
    #[serde(default)]
    pub isolation: Isolation,
    /// What one instance may use.
    #[serde(default)]
    pub limits: Limits,
    /// Environment added to the image's.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
    /// How long a caller waits for an instance before it is told to come again.
    #[serde(default = "start_timeout", with = "humantime_serde")]
    pub start_timeout: Duration,
}

fn start_timeout() -> Duration {
    Duration::from_secs(10)
}

/// What happens to a request that finds no instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Miss {
    /// The activator holds it, makes the instance and serves it.
    #[default]
    Activate,
    /// The ordinary service behind the address takes it.
    Pass,
}

/// What runs a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A container of containerd's.
    #[default]
    Container,
    /// A virtual machine of QEMU's, made from the same image.
    Vm,
}

/// What one instance may use.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory limit; also what the instance counts for in the budget.
    pub memory: Bytes,
    /// Cores.
    pub cpu: f64,
    /// Requests that one instance may hold at a time, counted as connections. Who comes on top gets a further instance, up to 16 of a segment.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: Bytes(256 << 20), cpu: 1.0, concurrency: 16 }
    }
}

impl Config {
    /// Reads and checks a file, or all `*.toml` of a folder in the order of their names; sections may stand in
    /// any one of them, segments in all.
    ///
    /// # Errors
    /// The first thing found wrong, as [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut whole = toml::Table::new();
        let mut owner = path.to_path_buf();
        for file in files(path)? {
            let part = parse(&file)?;
            merge(&mut whole, part, &file)?;
            owner = file;
        }
        // A folder is checked as a whole, so its last file stands for it only when it is the single one.
        let named = if path.is_dir() { path } else { owner.as_path() };
        let config: Self = whole.try_into().map_err(|error: toml::de::Error| syntax(named, &error))?;
        check::all(&config, named)?;
        Ok(config)
    }

    /// The segment of that name.
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.into(), source };
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    if files.is_empty() || files.len() > FILES_MAX {
        let cause = format!("the folder holds {} configuration files", files.len());
        return Err(check::value(path, "*.toml", cause, "Put 1 to 4096 files that end in .toml into it"));
    }
    files.sort();
    Ok(files)
}

/// Parses one file as a whole [`Config`] first, so that a syntax error names its line, then as a table to merge.
fn parse(file: &Path) -> Result<toml::Table, ConfigError> {
    let text = read(file)?;
    toml::from_str::<Config>(&text).map_err(|error| syntax(file, &error))?;
    toml::from_str(&text).map_err(|error| syntax(file, &error))
}

fn read(file: &Path) -> Result<String, ConfigError> {
    use std::io::Read;
    let unreadable = |source| ConfigError::Unreadable { path: file.into(), source };
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let mut text = String::new();
    // Not by the size it tells: a device tells none, and has no end.
    opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let cause = "the file is larger than any configuration".to_owned();
        return Err(check::value(file, "file", cause, "Keep a configuration file under 1 MiB"));
    }
    Ok(text)
}

fn syntax(file: &Path, error: &toml::de::Error) -> ConfigError {
    ConfigError::Syntax { path: file.into(), message: error.to_string().trim_end().to_owned() }
}

fn merge(whole: &mut toml::Table, part: toml::Table, file: &Path) -> Result<(), ConfigError> {
    for (key, value) in part {
        match (whole.get_mut(&key), value) {
            (Some(toml::Value::Array(have)), toml::Value::Array(more)) => have.extend(more),
            (None, value) => {
                whole.insert(key, value);
            }
            (Some(_), _) => {
                let cause = "the section stands in two files of the folder".to_owned();
                return Err(check::value(file, &format!("[{key}]"), cause, "Keep each section in one file"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
