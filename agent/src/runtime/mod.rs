//! The one door to what runs instances.
//!
//! In: an [`InstanceSpec`] and the ID of an instance. Out: a running instance with its cgroup, what is there
//! already ([`Adopted`]), and what happens to every container of the node ([`RuntimeEvent`]). Refuses an image
//! that is not on the node: weft pulls nothing.
//!
//! The trait returns `impl Future + Send` rather than boxed futures: stages are generic over it, replay gives them
//! a simulated runtime, and an enum that holds several runtimes can implement it too.
use std::fmt;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

pub mod cgroup;
pub mod containerd;
mod kata;
pub mod qemu;
pub mod runtimes;

pub use cgroup::{Cgroup, CgroupTree, Spent, Usage};
pub use runtimes::Runtimes;

pub use crate::config::Confinement;
use crate::config::Isolation;

/// Makes, starts, lists and removes instances. Every call has a deadline of its own and names what failed.
pub trait Runtime: Send + Sync + 'static {
    /// An instance that has its root file system and its record, and no process.
    type Prepared: Send;

    /// Whether the runtime answers now.
    ///
    /// # Errors
    /// [`RuntimeError::Unreachable`] or [`RuntimeError::Deadline`] while it does not.
    fn ready(&self) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// What is known of an image on the node; unpacks it where that has not been done.
    ///
    /// # Errors
    /// [`RuntimeError::ImageAbsent`] when it is not on the node.
    fn image(&self, image: &ImageRef) -> impl Future<Output = Result<ImageInfo, RuntimeError>> + Send;

    /// Makes all of an instance that needs no network yet: its root file system and its record. A failure leaves
    /// nothing behind.
    ///
    /// # Errors
    /// [`RuntimeError::InstanceExists`] when the ID is taken, [`RuntimeError::ImageAbsent`], or what the runtime
    /// said.
    fn prepare(
        &self,
        spec: &InstanceSpec,
    ) -> impl Future<Output = Result<Self::Prepared, RuntimeError>> + Send;

    /// Makes a prepared instance up to, but without, its first instruction. Its network namespace must be there. A
    /// failure leaves nothing behind.
    ///
    /// # Errors
    /// What the runtime said.
    fn create(&self, prepared: Self::Prepared) -> impl Future<Output = Result<Created, RuntimeError>> + Send;

    /// Lets a created instance run its program.
    ///
    /// # Errors
    /// [`RuntimeError::InstanceAbsent`], or what the runtime said (a program that cannot be executed shows here or
    /// in `create`, as the runtime likes).
    fn start(&self, id: &InstanceId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Kills the instance and takes away all that was made for it. An instance that is not there is no error, so
    /// it may be repeated after a failure.
    ///
    /// # Errors
    /// The first step that failed; the steps after it have been tried nevertheless.
    fn remove(&self, id: &InstanceId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Every instance of weft on this node, also those an earlier agent made.
    ///
    /// # Errors
    /// What the runtime said.
    fn list(&self) -> impl Future<Output = Result<Vec<Adopted>, RuntimeError>> + Send;

    /// Follows what happens to all containers of the node, from now until the receiver is dropped. It begins with
    /// a [`RuntimeEvent::Listed`].
    ///
    /// The queue holds [`EVENT_QUEUE_MAX`] events. When the reader lags further, the subscription is given up and
    /// begun anew with another `Listed`: a slow reader loses the order of things, never their truth.
    fn events(&self) -> mpsc::Receiver<RuntimeEvent>;

    /// Memory and processor time of a cgroup.
    ///
    /// # Errors
    /// [`RuntimeError::Cgroup`] when it is gone or no memory controller covers it.
    fn usage(&self, cgroup: &Cgroup) -> Result<Usage, RuntimeError>;

    /// What all processes of a cgroup have spent, where the kernel counts it.
    fn spent(&self, _cgroup: &Cgroup) -> Option<Spent> {
        None
    }

    /// Whether the kernel has killed for memory in a cgroup. Its own word: the runtime's may come after the exit.
    fn ran_out_of_memory(&self, _cgroup: &Cgroup) -> bool {
        false
    }

    /// Whether nobody but those who dial such an instance knows of its connections.
    fn hides_sockets(&self, _isolation: Isolation) -> bool {
        false
    }

    /// Connections that are open to an instance, where the runtime knows better than the node's kernel.
    fn open_connections(&self, _cgroup: &Cgroup) -> Option<u32> {
        None
    }

    /// Whether a process is left in a cgroup. The kernel's word, so it holds also while the runtime is away.
    fn lives(&self, cgroup: &Cgroup) -> bool;
}

/// How many events wait for a slow reader.
pub const EVENT_QUEUE_MAX: usize = 1024;

/// Names an instance in the runtime and, as its host name and lease, everywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Box<str>);

/// The longest ID containerd takes.
const ID_LEN_MAX: usize = 76;

impl InstanceId {
    /// Checks the ID: 1 to 76 ASCII letters, digits, `-`, `_` and `.`, with a letter or digit at both ends and
    /// between any two of the others.
    ///
    /// # Errors
    /// [`InvalidInstanceId`] otherwise.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidInstanceId> {
        let id = id.into();
        let words_ok =
            id.split(['-', '_', '.']).all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric()));
        if words_ok && id.len() <= ID_LEN_MAX { Ok(Self(id.into())) } else { Err(InvalidInstanceId { id }) }
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot name an instance.
#[derive(Debug, thiserror::Error)]
#[error("`{id}` cannot name an instance: 1 to 76 letters and digits, single `-`, `_` or `.` between them")]
pub struct InvalidInstanceId {
    /// The refused text.
    pub id: String,
}

/// The name of an image as containerd's image list has it, e.g. `shop/cart:1` or `docker.io/library/redis:7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ImageRef(Box<str>);

impl ImageRef {
    /// Takes any text: whether there is such an image, the runtime says.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into().into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Digest of the image's target (manifest or index).
    pub digest: String,
    /// Name of the snapshot that holds the unpacked layers; empty for an image without layers.
    pub chain_id: String,
    /// `NAME=value` lines.
    pub env: Vec<String>,
    /// Program and its fixed arguments.
    pub entrypoint: Vec<String>,
    /// Default arguments.
    pub cmd: Vec<String>,
    /// `user[:group]`, by name or number; empty for root.
    pub user: String,
    /// Empty means `/`.
    pub working_dir: String,
    /// Packed size of its layers.
    pub size_bytes: u64,
}

/// What to make.
#[derive(Debug, Clone)]
pub struct InstanceSpec {
    /// Its name; also its lease, its snapshot and the last part of its cgroup path.
    pub id: InstanceId,
    /// The execution graph it belongs to.
    pub graph: Option<String>,
    /// The segment it runs.
    pub segment: String,
    /// The image to run.
    pub recipe: Recipe,
    /// Its network namespace, made beforehand (`weave::network`).
    pub netns: PathBuf,
    /// Its address in there; kept for adoption.
    pub ip: Ipv4Addr,
    /// What the instance takes for its own name.
    pub hostname: String,
}

/// What all instances of a segment are made from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Recipe {
    /// The image.
    pub image: ImageRef,
    /// Hard limit.
    pub memory_bytes: u64,
    /// Hard limit, in thousandths of a processor.
    pub cpu_millis: u32,
    /// Added to the image's environment; the same name replaces.
    pub env: Vec<(String, String)>,
    /// Replaces the image's entrypoint and arguments.
    pub args: Option<Vec<String>>,
    /// How closely it is held.
    pub confinement: Confinement,
    /// The port on which its program listens.
    pub port: u16,
    /// The machine that it runs in; a container has none.
    pub machine: Option<Machine>,
}

/// What a VM is beside a [`Recipe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Machine {
    /// The most that it may write to its root file system, which is kept in the VM's memory.
    pub disk_bytes: u64,
    /// The most that it may send, and receive, in bits a second.
    pub bandwidth_bits: Option<u64>,
    /// Whether it may go on from the state of another of its kind.
    pub snapshots: Snapshots,
}

/// What is done with the state of a VM whose program listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Snapshots {
    /// The first VM of a kind leaves one, and the others go on from it.
    Taken,
    /// Every VM boots: for a program that draws secrets of its own when it starts.
    Never,
}

impl Recipe {
    /// Names the recipe with the very image that `digest` is: another one whenever an instance made now would differ.
    pub fn fingerprint(&self, digest: &str) -> String {
        // Texts and numbers can always be written as JSON.
        let recipe = serde_json::to_vec(&(self, digest)).unwrap_or_default();
        let hash: [u8; 32] = Sha256::digest(recipe).into();
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A made instance that does not run yet.
#[derive(Debug, Clone)]
pub struct Created {
    /// First process, in the agent's PID namespace.
    pub pid: u32,
    /// Where its processes are counted.
    pub cgroup: Cgroup,
    /// How long each step took, in order.
    pub phases: Vec<(Phase, Duration)>,
}

/// A step of `create`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking up (and where needed unpacking) the image.
    Image,
    /// Taking the lease.
    Lease,
    /// Preparing the writable snapshot.
    Snapshot,
    /// Creating the container's record.
    Container,
    /// Creating the task: shim, namespaces, cgroup, root file system.
    Task,
}

impl Phase {
    /// A short name for tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Lease => "lease",
            Self::Snapshot => "snapshot",
            Self::Container => "container",
            Self::Task => "task",
        }
    }
}

/// An instance found on the node.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// Its name.
    pub id: InstanceId,
    /// The segment it runs.
    pub segment: String,
    /// The execution graph it was made for.
    pub graph: Option<String>,
    /// The fingerprint of the [`Recipe`] that it was made from.
    pub made_from: String,
    /// How far it has come.
    pub state: InstanceState,
    /// First process; 0 unless created or running.
    pub pid: u32,
    /// `None` once its processes are gone.
    pub cgroup: Option<Cgroup>,
    /// Its network namespace.
    pub netns: PathBuf,
    /// Its address in there.
    pub ip: Option<Ipv4Addr>,
}

/// How far an instance has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// There is a record or a lease, but no process: a creation that was cut off, or one whose task is deleted.
    Empty,
    /// The process waits for `start`.
    Created,
    /// It runs.
    Running,
    /// Frozen.
    Paused,
    /// The process is gone.
    Stopped,
}

/// What happened to a container of the node, weft's own or another's.
#[derive(Debug, Clone)]
pub enum RuntimeEvent {
    /// All containers with a living process. Whatever was named earlier and is not in here is gone.
    Listed(Vec<Named>),
    /// A container got its cgroup; its program has not run yet, unless the event was late.
    Named(Named),
    /// The first process of a container ended.
    Exited {
        /// Namespace of the runtime.
        namespace: String,
        /// Name in it; for weft's own namespace the instance's.
        container_id: String,
        /// The process, which tells a container from an earlier one of its name.
        pid: u32,
        /// Exit status; 128 + signal when killed by one.
        status: u32,
        /// Whether the kernel killed for memory before.
        cause: ExitCause,
    },
    /// The record of a container is gone.
    Deleted {
        /// Namespace of the runtime.
        namespace: String,
        /// Name in it.
        container_id: String,
    },
}

/// What is known about the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// It ended or was killed by somebody.
    Ordinary,
    /// The kernel reported an out-of-memory kill in its cgroup.
    OutOfMemory,
}

/// A container and the cgroup its traffic is seen under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// ID of its cgroup in the v2 tree.
    pub cgroup_id: u64,
    /// Namespace of the runtime (`weft`, `k8s.io`, `moby`, …).
    pub namespace: String,
    /// Name in it.
    pub container_id: String,
    /// All its labels, e.g. `io.kubernetes.pod.name`, `io.weft/segment`.
    pub labels: std::collections::HashMap<String, String>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The image is not on the node.
    #[error("image `{image}` is not in containerd's namespace `{namespace}`; import or pull it there")]
    ImageAbsent {
        /// Its name.
        image: ImageRef,
        /// Where it was looked for.
        namespace: String,
    },
    /// The image is there but cannot be run.
    #[error("image `{image}`: {fault}")]
    ImageBroken {
        /// Its name.
        image: ImageRef,
        /// What is wrong with it.
        fault: ImageFault,
    },
    /// There is no such instance.
    #[error("{operation}: there is no instance `{id}`")]
    InstanceAbsent {
        /// What was tried.
        operation: &'static str,
        /// Which one.
        id: InstanceId,
    },
    /// The ID is taken.
    #[error("instance `{id}` is there already")]
    InstanceExists {
        /// Which one.
        id: InstanceId,
    },
    /// The runtime refused.
    #[error("{operation} `{subject}`: {message}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The instance, image or namespace.
        subject: String,
        /// The runtime's own words.
        message: String,
    },
    /// The runtime cannot be reached.
    #[error("{operation} `{subject}`: containerd does not answer at {address}: {message}")]
    Unreachable {
        /// What was tried.
        operation: &'static str,
        /// The instance, image or namespace.
        subject: String,
        /// Where it was looked for.
        address: PathBuf,
        /// What the transport said.
        message: String,
    },
    /// The runtime took too long.
    #[error("{operation} `{subject}`: no answer within {after_ms} ms")]
    Deadline {
        /// What was tried.
        operation: &'static str,
        /// The instance, image or namespace.
        subject: String,
        /// The deadline.
        after_ms: u64,
    },
    /// A VM cannot be made or taken away.
    #[error("{operation} `{subject}`: {source}")]
    Vm {
        /// What was tried.
        operation: &'static str,
        /// The instance, segment or image.
        subject: String,
        /// What QEMU, the kernel or the guest said.
        source: Box<qemu::VmError>,
    },
    /// A cgroup cannot be found or read.
    #[error("cgroup of `{subject}`: {source}")]
    Cgroup {
        /// The instance, or the path.
        subject: String,
        /// What the kernel said, or what is missing.
        source: cgroup::CgroupError,
    },
}

/// What makes an image unfit.
#[derive(Debug, thiserror::Error)]
pub enum ImageFault {
    /// A document of it cannot be read.
    #[error("its {document} is no valid JSON: {source}")]
    Json {
        /// Index, manifest or configuration.
        document: &'static str,
        /// Where it breaks.
        source: serde_json::Error,
    },
    /// A document of it is larger than weft reads.
    #[error("its {document} is larger than {max_bytes} bytes")]
    TooLarge {
        /// Index, manifest or configuration.
        document: &'static str,
        /// The limit.
        max_bytes: usize,
    },
    /// There is no variant for this machine.
    #[error("it has no manifest for {os}/{architecture}")]
    WrongPlatform {
        /// `linux`.
        os: &'static str,
        /// As Go spells it.
        architecture: &'static str,
    },
    /// Its manifest refers to no configuration.
    #[error("its manifest names no configuration")]
    NoConfiguration,
    /// Layers and their digests do not match in number.
    #[error("it has {layers} layers but {digests} digests of unpacked ones")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        digests: usize,
    },
    /// It neither has an entrypoint nor a command, and the segment gives no arguments.
    #[error("it names no program to run, and the segment gives none")]
    NoProgram,
    /// Its user is given by name and the image's `passwd` cannot be consulted.
    #[error("its user `{user}` is no number; weft does not read the image's passwd")]
    NamedUser {
        /// As the image has it.
        user: String,
    },
}
