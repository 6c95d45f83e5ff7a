//! Configuration. In: one TOML file, or a folder of them (one per segment is usual). Out: a checked [`Config`]
//! whose values later code trusts. Refuses unknown keys, duplicate segments, overlapping addresses and values
//! out of range, each with the file, the key, the cause and the remedy.

mod check;
mod units;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// How code that is uploaded becomes a segment.
    pub intake: Intake,
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
    /// The most that disks and snapshots may take in the state folder.
    pub cache: Bytes,
    /// containerd's runtime that makes VMs in place of the QEMU of one's own, as `io.containerd.kata.v2`.
    pub runtime: Option<String>,
}

impl Default for Vm {
    fn default() -> Self {
        Self {
            qemu: "qemu-system-x86_64".into(),
            kernel: None,
            modules: None,
            acceleration: Acceleration::Auto,
            cache: Bytes(8 << 30),
            runtime: None,
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

/// How code that is uploaded becomes a segment: see [docs/deploying.md](deploying.md).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intake {
    /// Where systems and libraries are kept from one upload to the next; `intake` in the state's folder unless given.
    pub cache: Option<PathBuf>,
    /// Addresses that callers dial for deployed segments which name none; nothing else may answer there.
    pub addresses: Subnet,
    /// Folder that is watched: what is put there is deployed.
    pub folder: Option<PathBuf>,
    /// Where an S3-compatible endpoint listens; needs the two keys.
    pub s3: Option<SocketAddr>,
    /// The access key that the endpoint takes.
    pub s3_access_key: Option<String>,
    /// File that holds the secret key of the endpoint; only its owner may read it.
    pub s3_secret_file: Option<PathBuf>,
    /// The largest upload as it is sent.
    pub upload_size: Bytes,
    /// The largest upload unpacked.
    pub unpacked_size: Bytes,
    /// Most files and folders of one upload.
    pub entries: usize,
    /// What libraries may take on disk while they are installed.
    pub libraries_size: Bytes,
    /// Room that uploads leave on the disk.
    pub free_size: Bytes,
    /// Memory limit of what installs libraries.
    pub build_memory: Bytes,
    /// Cores of what installs libraries.
    pub build_cpu: f64,
    /// How long installing libraries may take.
    #[serde(with = "humantime_serde")]
    pub build_time: Duration,
    /// How often the limits of code that states none follow what its runs took.
    #[serde(with = "humantime_serde")]
    pub resize: Duration,
    /// Hosts that package managers may reach, by name or, with a dot in front, all below a name; without any, all that are public.
    pub registries: Vec<String>,
    /// The certificates that package managers trust.
    pub certificates: PathBuf,
    /// Environment of the package managers, as `PIP_INDEX_URL` or `npm_config_registry`; code that libraries run while they are installed can read it.
    pub build_env: BTreeMap<String, String>,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            cache: None,
            addresses: Subnet::new(Ipv4Addr::new(10, 202, 0, 0), 16),
            folder: None,
            s3: None,
            s3_access_key: None,
            s3_secret_file: None,
            upload_size: Bytes(256 << 20),
            unpacked_size: Bytes(512 << 20),
            entries: 20_000,
            libraries_size: Bytes(2 << 30),
            free_size: Bytes(512 << 20),
            build_memory: Bytes(2 << 30),
            build_cpu: 1.0,
            build_time: Duration::from_secs(600),
            resize: Duration::from_secs(600),
            registries: Vec::new(),
            certificates: "/etc/ssl/certs/ca-certificates.crt".into(),
            build_env: BTreeMap::new(),
        }
    }
}

/// How long to keep, how sure to be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How long an instance stays after its last request.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// Whether what is known of when a segment is called decides how long its instances stand, and has one made ahead.
    /// The keep-alive then says what a cold start is worth: an instance's memory for so long.
    pub timing: bool,
    /// The least confidence for which a container is made. By itself it follows from what one costs in vain and gains in time.
    pub confidence: Confidence,
}

impl Default for Policy {
    fn default() -> Self {
        Self { keep_alive: Duration::from_secs(60), timing: true, confidence: Confidence::Auto }
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
#[derive(Debug, Clone, Deserialize, Serialize)]
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
    /// How closely its program is held.
    #[serde(default)]
    pub confinement: Confinement,
    /// What one instance may use.
    #[serde(default)]
    pub limits: Limits,
    /// `true`: memory is a forecast, and raised as soon as an instance dies of it.
    #[serde(default = "sized")]
    pub sized: bool,
    /// Environment added to the image's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `false`: each of its VMs boots, for a program that draws secrets of its own when it starts.
    #[serde(default = "snapshots")]
    pub snapshots: bool,
    /// How long a caller waits for an instance before it is told to come again; `"10s"` unless it is set, and `"60s"` for a VM.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<Duration>,
}

fn snapshots() -> bool {
    true
}

fn sized() -> bool {
    false
}

/// What happens to a request that finds no instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Miss {
    /// The activator holds it, makes the instance and serves it.
    #[default]
    Activate,
    /// The ordinary service behind the address takes it.
    Pass,
}

/// How closely a program is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confinement {
    /// As any container of the node: an image that its owner chose.
    #[default]
    Trusted,
    /// As code that a stranger has sent: read-only root, no capability, its own users, few system calls.
    Hardened,
}

/// What runs a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A container of containerd's.
    #[default]
    Container,
    /// A virtual machine of QEMU's, made from the same image.
    Vm,
}

/// What one instance may use.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory limit; also what the instance counts for in the budget.
    pub memory: Bytes,
    /// Cores.
    pub cpu: f64,
    /// Requests that one instance may hold at a time, counted as connections. Who comes on top gets a further instance, up to 16 of a segment.
    pub concurrency: u32,
    /// The most that a VM may write to its root file system, which is kept in its memory.
    pub disk: Bytes,
    /// The most that a VM may send, and receive, in a second; not limited unless it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bytes>,
}

impl Default for Limits {
    fn default() -> Self {
        let (memory, disk) = (Bytes(256 << 20), Bytes(64 << 20));
        Self { memory, cpu: 1.0, concurrency: 16, disk, bandwidth: None }
    }
}

impl Segment {
    /// How long a caller waits for an instance. A guest without KVM takes its time.
    pub fn start_timeout(&self) -> Duration {
        let usual = match self.isolation {
            Isolation::Container => Duration::from_secs(10),
            Isolation::Vm => Duration::from_secs(60),
        };
        self.start_timeout.unwrap_or(usual)
    }

    /// A segment written as the keys of its table.
    ///
    /// # Errors
    /// What the parser says.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The same as a file of configuration.
    ///
    /// # Errors
    /// What the writer says.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        #[derive(Serialize)]
        struct File<'a> {
            segment: [&'a Segment; 1],
        }
        toml::to_string(&File { segment: [self] })
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

    /// What is wrong with a segment that is to be served beside others.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check_beside<'a>(
        &self,
        segment: &Segment,
        others: impl Iterator<Item = &'a Segment>,
    ) -> Result<(), ConfigError> {
        check::beside(self, segment, others)
    }

    /// The segments that were deployed before and are written down in a folder, without those that the configuration
    /// has by now, and those that cannot be read: they are told in the log.
    pub fn deployed(&self, folder: &Path) -> Vec<Segment> {
        let mut found: Vec<Segment> = Vec::new();
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if file.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let read =
                read(&file).and_then(|text| toml::from_str(&text).map_err(|error| syntax(&file, &error)));
            for segment in read.map(|config: Self| config.segments).unwrap_or_else(|error| {
                tracing::warn!(%error, "a deployed segment is left out");
                Vec::new()
            }) {
                let others = self.segments.iter().chain(&found);
                match check::beside(self, &segment, others) {
                    Ok(()) => found.push(segment),
                    Err(error) => tracing::warn!(%error, "a deployed segment is left out"),
                }
            }
        }
        found
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
