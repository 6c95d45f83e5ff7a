//! Instances in VMs.
//!
//! In: what a [`Runtime`] takes. Out: QEMU processes, one for each instance, with the image's files as a disk that is only
//! read and the instance's link joined to the VM's. Refuses images that are not in containerd, whose store and layers are
//! used; pulls nothing.
//!
//! ```text
//! image ─► disk ─┐             ┌─► boot ─► listening ─► snapshot ─┐
//! kernel, init ──┼─► launched ─┤                                  ├─► the instance's own address ─► serving
//! snapshot ──────┘             └─► restored ─► (paused, held) ────┘
//! ```
//!
//! A snapshot is taken before the first request ever reaches the program, so that it holds nobody's data; it is named by
//! all that must match ([`key`]), so that whatever differs boots anew. A restored guest learns that it is one: its kernel
//! draws new random numbers, and its first process takes on the address, name and time that the agent tells.
//!
//! All of a VM is in one folder, a cgroup and a network namespace that ends with the process. An agent that finds the
//! folder takes the VM over.
//!
//! Queue: [`SIGNALS_MAX`] signals; a guest's word waits when it is full.
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::rand::GetRandomFlags;
use tokio::sync::{OnceCell, broadcast, mpsc};
use weft_init::protocol::Program;

use self::key::{Key, Likeness};
use self::platform::Platform;
use self::record::Record;
use self::shape::VmShape;
use self::store::Store;
use self::vm::{Host, Vm};
use super::containerd::{self, Containerd};
use super::{
    Adopted, Cgroup, CgroupTree, Created, ImageInfo, ImageRef, InstanceId, InstanceSpec, InstanceState,
    Phase, Recipe, Runtime, RuntimeError, RuntimeEvent, Usage,
};
use crate::clock::timed;

mod arguments;
mod bring_up;
mod disk;
mod error;
mod events;
mod guest;
mod hold;
mod initramfs;
mod key;
mod machine;
mod make;
mod modules;
mod platform;
pub mod probe;
mod qmp;
mod record;
mod settings;
mod shape;
mod store;
mod vm;

pub use self::error::VmError;
pub use self::hold::HELD_MAX;
pub use self::machine::Accelerator;
pub use crate::config::Acceleration;

/// Signals that wait for a reader.
pub const SIGNALS_MAX: usize = 1024;
/// The first of the users that QEMU processes become, each of another, so that none can touch another's memory.
const USERS_FIRST: u32 = 0x7766_0000;

/// Where VMs are, and what they are made of.
#[derive(Debug, Clone)]
pub struct QemuConfig {
    /// QEMU.
    pub program: PathBuf,
    /// The guest's kernel.
    pub kernel: PathBuf,
    /// Its modules.
    pub modules: PathBuf,
    /// What may execute guests.
    pub acceleration: Acceleration,
    /// The folder of running VMs; short, since it holds sockets.
    pub directory: PathBuf,
    /// The folder of disks and snapshots.
    pub state: PathBuf,
    /// The most that disks and snapshots may take.
    pub state_bytes_max: u64,
    /// Parent of the VMs' cgroups, below the root of each tree, e.g. `/weft`.
    pub cgroup_parent: PathBuf,
    /// The way out of every instance.
    pub gateway: Ipv4Addr,
    /// The prefix of the instances' subnet in bits.
    pub prefix_len: u8,
    /// Under which namespace events are told.
    pub namespace: String,
}

/// What a guest says, for whoever waits for its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VmSignal {
    /// The program listens, under the address of its instance.
    Listening {
        /// The VM's cgroup in the v2 tree.
        cgroup_id: u64,
        /// The port.
        port: u16,
    },
    /// So many connections to the program are open.
    Connections {
        /// The VM's cgroup in the v2 tree.
        cgroup_id: u64,
        /// How many.
        open: u32,
    },
}

/// VMs of one node.
#[derive(Clone)]
pub struct Qemu(Arc<Inner>);

struct Inner {
    config: QemuConfig,
    host: Host,
    containerd: Arc<Containerd>,
    store: Store,
    platform: OnceCell<Platform>,
    books: Mutex<Books>,
    /// One disk is made at a time: the second one to want it finds it there.
    disks: tokio::sync::Mutex<()>,
    events: broadcast::Sender<RuntimeEvent>,
    signals: mpsc::Sender<VmSignal>,
    taken: Mutex<Option<mpsc::Receiver<VmSignal>>>,
}

/// Which VM is whose.
#[derive(Default)]
struct Books {
    instances: HashMap<InstanceId, Arc<Vm>>,
    /// What is to be done at the start of a created one.
    created: HashMap<InstanceId, Plan>,
    /// Paused ones that are nobody's yet.
    held: HashMap<Key, Vec<Arc<Vm>>>,
    /// Keys whose snapshot is being written.
    saving: HashSet<Key>,
    /// Open connections, by cgroup.
    open: HashMap<u64, u32>,
}

/// A VM that can be made: everything but the process.
#[derive(Debug)]
struct Plan {
    record: Record,
    machine: super::Machine,
    shape: VmShape,
    program: Program,
    hostname: String,
    disk: PathBuf,
    key: Key,
    came: Came,
}

/// Where a VM's state came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It boots.
    Boot,
    /// It goes on from a snapshot, or from where it was held.
    Restored,
}

/// An instance whose image is a disk, and which has no process.
pub struct Prepared {
    id: InstanceId,
    plan: Plan,
    phases: Vec<(Phase, std::time::Duration)>,
}

impl Qemu {
    /// Opens the folders, and takes away what is nobody's: what an agent left that died while it made something.
    ///
    /// # Errors
    /// [`VmError`] for a folder that cannot be used or a node without cgroups. Whether VMs can run at all is found out at
    /// the first one.
    pub async fn open(config: QemuConfig, containerd: Arc<Containerd>) -> Result<Self, VmError> {
        let parent = &config.cgroup_parent;
        let host = Host {
            program: config.program.clone(),
            cgroups: CgroupTree::detect()?,
            cgroup_parent: parent.strip_prefix("/").unwrap_or(parent).to_owned(),
        };
        let store = Store::open(config.state.clone(), config.state_bytes_max)?;
        std::fs::create_dir_all(&config.directory).map_err(VmError::file(&config.directory))?;
        let (signals, taken) = mpsc::channel(SIGNALS_MAX);
        let inner = Inner {
            host,
            containerd,
            store,
            platform: OnceCell::new(),
            books: Mutex::default(),
            disks: tokio::sync::Mutex::default(),
            events: broadcast::channel(super::EVENT_QUEUE_MAX).0,
            signals,
            taken: Mutex::new(Some(taken)),
            config,
        };
        for (name, folder) in inner.folders() {
            if Record::read(&folder).is_none() {
                vm::clear(&inner.host, &name, &folder).await?;
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Whether an instance is a VM that this agent made or took over.
    pub fn has_made(&self, id: &InstanceId) -> bool {
        self.0.books().instances.contains_key(id)
    }

    /// Whether an instance is a VM, also one that only an earlier agent knew.
    pub fn has(&self, id: &InstanceId) -> bool {
        self.has_made(id) || self.0.folder_of(id).is_some()
    }

    /// All VMs that are instances and live, as a list of events names them.
    pub fn listed(&self) -> Vec<super::Named> {
        self.0.listed()
    }

    /// For what is said of VMs that others make.
    pub(super) fn sender(&self) -> mpsc::Sender<VmSignal> {
        self.0.signals.clone()
    }

    /// What the guests say; the first caller gets it.
    pub fn signals(&self) -> Option<mpsc::Receiver<VmSignal>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What executes guests here; a trial boot finds it out where nobody has asked before.
    ///
    /// # Errors
    /// [`VmError`] when no VM can run.
    pub async fn accelerator(&self) -> Result<Accelerator, VmError> {
        Ok(self.0.platform().await?.accelerator)
    }

    /// Ends the VMs that are nobody's. Instances stay.
    pub async fn leave(&self) {
        let held: Vec<_> = self.0.books().held.drain().flat_map(|(_, vms)| vms).collect();
        for vm in held {
            if let Err(error) = vm.destroy(&self.0.host).await {
                tracing::warn!(vm = vm.name, %error, "a VM that was held is not quite gone");
            }
        }
        self.0.host.cgroups.leave(&self.0.host.cgroup_parent);
        // Where instances stay, so does the folder.
        let _ = std::fs::remove_dir(&self.0.config.directory);
    }

    fn failed(operation: &'static str, subject: impl ToString) -> impl FnOnce(VmError) -> RuntimeError {
        let subject = subject.to_string();
        move |source| RuntimeError::Vm { operation, subject, source: Box::new(source) }
    }
}

impl Inner {
    fn books(&self) -> MutexGuard<'_, Books> {
        // No code panics while it holds the lock with the books half-written.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn platform(&self) -> Result<&Platform, VmError> {
        self.platform.get_or_try_init(|| Platform::find(&self.config, &self.host, &self.store)).await
    }

    /// Folders of VMs, with the VMs' names.
    fn folders(&self) -> Vec<(String, PathBuf)> {
        let entries = std::fs::read_dir(&self.config.directory).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
    }

    /// The folder of an instance that no VM here is known for.
    fn folder_of(&self, id: &InstanceId) -> Option<(String, PathBuf)> {
        let is_its = |folder: &PathBuf| Record::read(folder).is_some_and(|record| record.id == id.as_str());
        self.folders().into_iter().find(|(_, folder)| is_its(folder))
    }
}

/// A name that no other VM has had.
fn fresh_name() -> String {
    let mut bytes = [0; 6];
    // The kernel has random numbers long before an agent runs; and a name that is taken is refused.
    let _ = rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Runtime for Qemu {
    type Prepared = Prepared;

    async fn ready(&self) -> Result<(), RuntimeError> {
        self.0.containerd.ready().await
    }

    async fn image(&self, image: &ImageRef) -> Result<ImageInfo, RuntimeError> {
        self.0.containerd.image(image).await
    }

    async fn prepare(&self, spec: &InstanceSpec) -> Result<Prepared, RuntimeError> {
        if self.0.books().instances.contains_key(&spec.id) || self.0.folder_of(&spec.id).is_some() {
            return Err(RuntimeError::InstanceExists { id: spec.id.clone() });
        }
        let (plan, took) = timed(self.0.plan(spec)).await;
        Ok(Prepared { id: spec.id.clone(), plan: plan?, phases: vec![(Phase::Image, took)] })
    }

    async fn create(&self, prepared: Prepared) -> Result<Created, RuntimeError> {
        let Prepared { id, mut plan, mut phases } = prepared;
        let failed = || Self::failed("create the VM of", &id);
        let (made, took) = timed(self.0.make(&mut plan)).await;
        let vm = made.map_err(failed())?;
        if let Err(error) = plan.record.write(&vm.folder) {
            vm.destroy(&self.0.host).await.map_err(failed())?;
            return Err(failed()(error));
        }
        phases.push((Phase::Task, took));
        let created = Created { pid: vm.pid, cgroup: vm.cgroup.clone(), phases };
        let mut books = self.0.books();
        books.open.insert(vm.cgroup.id, 0);
        books.created.insert(id.clone(), plan);
        books.instances.insert(id.clone(), vm.clone());
        drop(books);
        events::follow(&self.0, id, vm);
        Ok(created)
    }

    async fn start(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let operation = "start";
        let found = {
            let mut books = self.0.books();
            let plan = books.created.remove(id);
            plan.zip(books.instances.get(id).cloned())
        };
        let (plan, vm) = found.ok_or_else(|| RuntimeError::InstanceAbsent { operation, id: id.clone() })?;
        bring_up::begin(&self.0, plan, vm).await.map_err(Self::failed(operation, id))
    }

    async fn remove(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let known = {
            let mut books = self.0.books();
            books.created.remove(id);
            books.instances.get(id).cloned()
        };
        let failed = Self::failed("remove the VM of", id);
        match known {
            Some(vm) => {
                vm.destroy(&self.0.host).await.map_err(failed)?;
                let mut books = self.0.books();
                books.open.remove(&vm.cgroup.id);
                books.instances.remove(id);
            }
            None => {
                let Some((name, folder)) = self.0.folder_of(id) else { return Ok(()) };
                vm::clear(&self.0.host, &name, &folder).await.map_err(failed)?;
            }
        }
        let (namespace, container_id) = (self.0.config.namespace.clone(), id.to_string());
        // Without a listener nobody needs to know.
        let _ = self.0.events.send(RuntimeEvent::Deleted { namespace, container_id });
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Adopted>, RuntimeError> {
        let mut known = Vec::new();
        for (_, folder) in self.0.folders() {
            if let Some(record) = Record::read(&folder) {
                known.extend(self.0.adopted(record, &folder).await);
            }
        }
        Ok(known)
    }

    fn events(&self) -> mpsc::Receiver<RuntimeEvent> {
        events::subscribe(&self.0)
    }

    fn usage(&self, cgroup: &Cgroup) -> Result<Usage, RuntimeError> {
        let subject = cgroup.path.display().to_string();
        self.0.host.cgroups.usage(cgroup).map_err(|source| RuntimeError::Cgroup { subject, source })
    }

    fn ran_out_of_memory(&self, cgroup: &Cgroup) -> bool {
        self.0.host.cgroups.ran_out_of_memory(cgroup)
    }

    fn open_connections(&self, cgroup: &Cgroup) -> Option<u32> {
        self.0.books().open.get(&cgroup.id).copied()
    }

    fn lives(&self, cgroup: &Cgroup) -> bool {
        self.0.host.cgroups.is_populated(cgroup)
    }
}
