//! Instances in containerd.
//!
//! In: what a [`Runtime`] takes. Out: containers of containerd in weft's own namespace, each held by a lease and
//! labelled with all that an agent needs which finds it there. Refuses nothing containerd takes, but pulls no image.
//!
//! An instance is five things of containerd's, made in this order and taken away in the other:
//!
//! ```text
//! lease ── snapshot ── container ── task ── (shim, cgroup)
//! ```
//!
//! The lease comes first: a snapshot that nothing refers to may be collected at any moment, also one that is a
//! running program's root. All five are named after the instance, so what a cut-off creation has left is found.
//!
//! Standard output and error go nowhere: a pipe would block the program when nobody reads, a file grows.
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd_client::services::v1::container::Runtime as ShimRuntime;
use containerd_client::services::v1::snapshots::{PrepareSnapshotRequest, RemoveSnapshotRequest};
use containerd_client::services::v1::{
    Container, CreateContainerRequest, CreateRequest, CreateTaskRequest, DeleteContainerRequest,
    DeleteRequest, DeleteTaskRequest, KillRequest, ListContainersRequest, ListRequest, ListTasksRequest,
    StartRequest, WaitRequest,
};
use containerd_client::tonic::{Code, transport};
use containerd_client::types::Mount;
use containerd_client::types::v1::{Process, Status};
use prost::Message;
use prost_types::Any;
use tokio::sync::mpsc;
use tokio::time::sleep;

use self::call::{ANSWER_BYTES_MAX, Door, Failure, Purpose, or_absent};
use self::images::Images;
use self::laps::Clock;
use self::shim::Shims;
use super::{
    Adopted, Cgroup, CgroupTree, Created, ImageInfo, ImageRef, InstanceId, InstanceSpec, InstanceState,
    Phase, Runtime, RuntimeError, RuntimeEvent, Spent, Usage,
};
use crate::clock::timed;

mod call;
mod events;
mod images;
mod import;
mod laps;
mod layers;
mod sandbox;
mod shim;
mod spec;

pub use self::layers::{LayerMount, Layers};
pub(super) use self::spec::{arguments, environment, user};
pub use import::{Imported, Launch, LayerFile, NewImage};
pub use sandbox::{Access, Bind, Sandbox, SandboxSpec};

/// The shim containerd starts for each instance.
const SHIM: &str = "io.containerd.runc.v2";
const SIGKILL: u32 = 9;
/// Pauses in which containerd clears after a shim that was killed.
const SHIM_END: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(2)];

/// Labels by which an agent knows its own.
const INSTANCE_LABEL: &str = "io.weft/instance";
/// The segment an instance runs.
pub const SEGMENT_LABEL: &str = "io.weft/segment";
/// The execution graph an instance belongs to.
pub const GRAPH_LABEL: &str = "io.weft/graph";
const NETNS_LABEL: &str = "io.weft/netns";
const IP_LABEL: &str = "io.weft/ip";
const MADE_FROM_LABEL: &str = "io.weft/made-from";

/// Which containerd, and how weft uses it.
#[derive(Debug, Clone)]
pub struct ContainerdConfig {
    /// Its socket.
    pub address: PathBuf,
    /// weft's namespace in it.
    pub namespace: String,
    /// Its runtime that makes VMs, e.g. `io.containerd.kata.v2`, if VMs are its.
    pub vm_runtime: Option<String>,
    /// The snapshotter for root file systems.
    pub snapshotter: String,
    /// Parent of the instances' cgroups, below the root of each tree, e.g. `/weft`.
    pub cgroup_parent: PathBuf,
    /// Where runc notes its containers; `None` for its usual place, which all containerds of a machine share.
    pub runc_root: Option<PathBuf>,
}

/// A containerd, whether it answers now or not.
pub struct Containerd {
    config: ContainerdConfig,
    door: Door,
    images: Images,
    cgroups: CgroupTree,
    /// Sandboxes of this agent, which are no instances.
    sandboxes: Mutex<HashSet<InstanceId>>,
}

/// An instance that has its lease, snapshot and container, and no task.
#[derive(Debug)]
pub struct Prepared {
    id: InstanceId,
    rootfs: Vec<Mount>,
    phases: Vec<(Phase, std::time::Duration)>,
}

/// The part of the runc shim's options that weft sets (`containerd.runc.v1.Options`).
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ShimOptions {
    #[prost(string, tag = "7")]
    root: String,
}

/// Why the way to containerd cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The path of the socket cannot be dialled.
    #[error("containerd's address {address} is no socket path: {source}")]
    Address {
        /// As configured.
        address: PathBuf,
        /// What is wrong with it.
        source: transport::Error,
    },
    /// The node's cgroups cannot be found.
    #[error(transparent)]
    Cgroups(#[from] super::cgroup::CgroupError),
}

impl Containerd {
    /// Prepares the way. It is opened by the first call, and anew after containerd was away.
    ///
    /// # Errors
    /// [`ConnectError`]; a containerd that does not answer is none, [`Runtime::ready`] tells that.
    pub fn connect(config: ContainerdConfig) -> Result<Self, ConnectError> {
        let door = Door::new(config.address.clone(), config.namespace.clone());
        let door =
            door.map_err(|source| ConnectError::Address { address: config.address.clone(), source })?;
        let images = Images::new(door.clone(), config.snapshotter.clone());
        Ok(Self { config, door, images, cgroups: CgroupTree::detect()?, sandboxes: Mutex::default() })
    }

    /// Takes away what all instances shared, once the last is gone.
    pub fn leave(&self) {
        self.cgroups.leave(self.cgroup_parent());
    }

    /// As the trees have it: below their mount points.
    fn cgroup_parent(&self) -> &Path {
        let parent = &self.config.cgroup_parent;
        parent.strip_prefix("/").unwrap_or(parent)
    }

    /// The steps of `prepare` after the lease.
    async fn prepare_leased(
        &self,
        spec: &InstanceSpec,
        image: &ImageInfo,
        clock: &mut Clock,
    ) -> Result<Vec<Mount>, RuntimeError> {
        let rootfs = self.prepare_snapshot(spec, image).await?;
        clock.lap(Phase::Snapshot);
        self.create_container(spec, image).await?;
        clock.lap(Phase::Container);
        Ok(rootfs)
    }

    async fn create_task(&self, id: &InstanceId, rootfs: Vec<Mount>) -> Result<(u32, Cgroup), RuntimeError> {
        let id = id.as_str();
        let request = CreateTaskRequest { container_id: id.to_owned(), rootfs, ..Default::default() };
        let request = self.door.leased(id, request);
        let mut tasks = self.door.client().tasks();
        let pid = self.door.call(Purpose::task("create task of", id), tasks.create(request)).await?.pid;
        let cgroup = self.cgroups.of_pid(pid);
        Ok((pid, cgroup.map_err(|source| RuntimeError::Cgroup { subject: id.to_owned(), source })?))
    }

    /// Hands on the outcome of a step; after a failure nothing of the instance is to be left.
    async fn or_remove<T>(
        &self,
        id: &InstanceId,
        outcome: Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        if outcome.is_err()
            && let Err(left) = self.remove(id).await
        {
            tracing::warn!(instance = %id, %left, "a failed creation left something behind");
        }
        outcome
    }

    async fn take_lease(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let labels = HashMap::from([(INSTANCE_LABEL.to_owned(), id.to_string())]);
        let request = self.door.request(CreateRequest { id: id.to_string(), labels });
        let mut leases = self.door.client().leases();
        match self.door.call(Purpose::book("take a lease for", id.as_str()), leases.create(request)).await {
            Err(failure) if failure.is(Code::AlreadyExists) => {
                Err(RuntimeError::InstanceExists { id: id.clone() })
            }
            other => Ok(other.map(drop)?),
        }
    }

    async fn prepare_snapshot(
        &self,
        spec: &InstanceSpec,
        image: &ImageInfo,
    ) -> Result<Vec<Mount>, RuntimeError> {
        match self.prepare_on(spec, &image.chain_id).await {
            // The layers were there when the image was read, and have been collected with it. It may have been
            // imported anew since.
            Err(failure) if failure.is(Code::NotFound) => {
                self.images.forget(image);
                let image = self.images.get(&spec.recipe.image).await?;
                Ok(self.prepare_on(spec, &image.chain_id).await?)
            }
            other => Ok(other?),
        }
    }

    async fn prepare_on(&self, spec: &InstanceSpec, chain_id: &str) -> Result<Vec<Mount>, Failure> {
        let id = spec.id.as_str();
        let request = PrepareSnapshotRequest {
            snapshotter: self.config.snapshotter.clone(),
            key: id.to_owned(),
            parent: chain_id.to_owned(),
            ..Default::default()
        };
        let request = self.door.leased(id, request);
        let mut snapshots = self.door.client().snapshots();
        let reply =
            self.door.call(Purpose::book("prepare snapshot of", id), snapshots.prepare(request)).await?;
        Ok(reply.mounts)
    }

    async fn create_container(&self, spec: &InstanceSpec, image: &ImageInfo) -> Result<(), RuntimeError> {
        let broken = |fault| RuntimeError::ImageBroken { image: spec.recipe.image.clone(), fault };
        let runtime_spec = spec::runtime_spec(spec, image, &self.config.cgroup_parent).map_err(broken)?;
        self.create_record(spec, labels(spec, image), &runtime_spec).await
    }

    async fn create_record(
        &self,
        spec: &InstanceSpec,
        labels: HashMap<String, String>,
        runtime_spec: &serde_json::Value,
    ) -> Result<(), RuntimeError> {
        let id = spec.id.as_str();
        let name = match &self.config.vm_runtime {
            Some(name) if spec.recipe.machine.is_some() => name,
            _ => SHIM,
        };
        let options = if name == SHIM { self.shim_options() } else { None };
        let container = Container {
            id: id.to_owned(),
            labels,
            image: spec.recipe.image.to_string(),
            runtime: Some(ShimRuntime { name: name.to_owned(), options }),
            spec: Some(Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned(),
                value: runtime_spec.to_string().into_bytes(),
            }),
            snapshotter: self.config.snapshotter.clone(),
            snapshot_key: id.to_owned(),
            ..Default::default()
        };
        let request = self.door.leased(id, CreateContainerRequest { container: Some(container) });
        let mut containers = self.door.client().containers();
        self.door.call(Purpose::book("create container", id), containers.create(request)).await?;
        Ok(())
    }

    /// Whether VMs are made by it.
    pub fn makes_vms(&self) -> bool {
        self.config.vm_runtime.is_some()
    }

    fn shim_options(&self) -> Option<Any> {
        let root = self.config.runc_root.as_ref()?.display().to_string();
        let value = ShimOptions { root }.encode_to_vec();
        Some(Any { type_url: "containerd.runc.v1.Options".to_owned(), value })
    }

    /// Kills the task, waits for its end and deletes it.
    async fn remove_task(&self, id: &str) -> Result<(), Failure> {
        let mut tasks = self.door.client().tasks();
        let container_id = id.to_owned();
        let kill = KillRequest { container_id: container_id.clone(), signal: SIGKILL, ..Default::default() };
        let killed = self.door.call(Purpose::task("kill", id), tasks.kill(self.door.request(kill))).await;
        match killed {
            Err(failure) if failure.is(Code::NotFound) || failure.is(Code::FailedPrecondition) => {}
            other => other.map(drop)?,
        }
        let wait =
            self.door.request(WaitRequest { container_id: container_id.clone(), ..Default::default() });
        or_absent(self.door.call(Purpose::task("await the end of", id), tasks.wait(wait)).await)?;
        self.delete_task(id).await
    }

    fn sandboxes(&self) -> MutexGuard<'_, HashSet<InstanceId>> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shims(&self) -> Shims<'_> {
        Shims { namespace: self.door.namespace(), address: &self.config.address }
    }

    async fn delete_task(&self, id: &str) -> Result<(), Failure> {
        let mut tasks = self.door.client().tasks();
        for pause in SHIM_END {
            let delete = self.door.request(DeleteTaskRequest { container_id: id.to_owned() });
            match self.door.call(Purpose::task("delete task of", id), tasks.delete(delete)).await {
                Err(failure) if failure.says(shim::NOT_CREATED) => {
                    tracing::warn!(instance = id, "its shim has no container; the shim is killed");
                    self.shims().kill(id);
                }
                Err(failure) if failure.is(Code::NotFound) => {
                    self.shims().kill(id);
                    return Ok(());
                }
                outcome => return outcome.map(drop),
            }
            sleep(pause).await;
        }
        // What is left of it has no process, no file system and no address.
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<(), Failure> {
        let request = self.door.request(DeleteContainerRequest { id: id.to_owned() });
        let mut containers = self.door.client().containers();
        or_absent(self.door.call(Purpose::book("delete container", id), containers.delete(request)).await)
            .map(drop)
    }

    async fn remove_snapshot(&self, id: &str) -> Result<(), Failure> {
        let (snapshotter, key) = (self.config.snapshotter.clone(), id.to_owned());
        let request = self.door.request(RemoveSnapshotRequest { snapshotter, key });
        let mut snapshots = self.door.client().snapshots();
        or_absent(self.door.call(Purpose::book("remove snapshot of", id), snapshots.remove(request)).await)
            .map(drop)
    }

    async fn remove_lease(&self, id: &str) -> Result<(), Failure> {
        let request = self.door.request(DeleteRequest { id: id.to_owned(), ..Default::default() });
        let mut leases = self.door.client().leases();
        or_absent(self.door.call(Purpose::book("give back the lease of", id), leases.delete(request)).await)
            .map(drop)
    }

    fn adopted(&self, container: Container, process: Option<&Process>) -> Option<Adopted> {
        let mut labels = container.labels;
        let id = InstanceId::new(labels.remove(INSTANCE_LABEL)?).ok()?;
        let state = process.map_or(InstanceState::Empty, |process| state_of(process.status()));
        let lives = !matches!(state, InstanceState::Empty | InstanceState::Stopped);
        let pid = process.filter(|_| lives).map_or(0, |process| process.pid);
        Some(Adopted {
            id,
            segment: labels.remove(SEGMENT_LABEL).unwrap_or_default(),
            graph: labels.remove(GRAPH_LABEL),
            made_from: labels.remove(MADE_FROM_LABEL).unwrap_or_default(),
            state,
            pid,
            // A process that ended just now is one the next event tells of.
            cgroup: if lives { self.cgroups.of_pid(pid).ok() } else { None },
            netns: labels.remove(NETNS_LABEL).unwrap_or_default().into(),
            ip: labels.remove(IP_LABEL).and_then(|ip| ip.parse().ok()),
        })
    }
}

impl Runtime for Containerd {
    type Prepared = Prepared;

    async fn ready(&self) -> Result<(), RuntimeError> {
        let purpose = Purpose::book("ask the version of containerd for", self.door.namespace());
        self.door.call(purpose, self.door.client().version().version(self.door.request(()))).await?;
        Ok(())
    }

    async fn image(&self, image: &ImageRef) -> Result<ImageInfo, RuntimeError> {
        self.images.get(image).await.map(Arc::unwrap_or_clone)
    }

    async fn prepare(&self, spec: &InstanceSpec) -> Result<Prepared, RuntimeError> {
        let (image, lease) =
            tokio::join!(timed(self.images.get(&spec.recipe.image)), timed(self.take_lease(&spec.id)));
        let ((image, looking), (leased, leasing)) = (image, lease);
        // Without the lease the name is another's: nothing of it is to be removed.
        leased?;
        let image = self.or_remove(&spec.id, image).await?;
        let mut clock = Clock::after([(Phase::Image, looking), (Phase::Lease, leasing)]);
        let prepared = self.prepare_leased(spec, &image, &mut clock).await;
        let rootfs = self.or_remove(&spec.id, prepared).await?;
        Ok(Prepared { id: spec.id.clone(), rootfs, phases: clock.laps })
    }

    async fn create(&self, prepared: Prepared) -> Result<Created, RuntimeError> {
        let Prepared { id, rootfs, mut phases } = prepared;
        let mut clock = Clock::after([]);
        let created = self.create_task(&id, rootfs).await;
        let (pid, cgroup) = self.or_remove(&id, created).await?;
        clock.lap(Phase::Task);
        phases.append(&mut clock.laps);
        Ok(Created { pid, cgroup, phases })
    }

    async fn start(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let operation = "start";
        let request = StartRequest { container_id: id.to_string(), ..Default::default() };
        let request = self.door.request(request);
        let mut tasks = self.door.client().tasks();
        match self.door.call(Purpose::task(operation, id.as_str()), tasks.start(request)).await {
            Err(failure) if failure.is(Code::NotFound) => {
                Err(RuntimeError::InstanceAbsent { operation, id: id.clone() })
            }
            other => Ok(other.map(drop)?),
        }
    }

    async fn remove(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let id = id.as_str();
        // Each step is tried, and the first error told. The lease goes last: it is by the lease that what could not
        // be removed is found again.
        let task = self.remove_task(id).await;
        let container = self.remove_container(id).await;
        let snapshot = self.remove_snapshot(id).await;
        task.and(container).and(snapshot)?;
        let cleared = self.cgroups.clear(&self.cgroup_parent().join(id)).await;
        cleared.map_err(|source| RuntimeError::Cgroup { subject: id.to_owned(), source })?;
        Ok(self.remove_lease(id).await?)
    }

    async fn list(&self) -> Result<Vec<Adopted>, RuntimeError> {
        let (containers, tasks) = containers_and_tasks(&self.door).await?;
        let request = self.door.request(ListRequest::default());
        let purpose = Purpose::book("list leases of", self.door.namespace());
        let leases = self.door.call(purpose, self.door.client().leases().list(request)).await?.leases;
        let tasks: HashMap<_, _> = tasks.iter().map(|process| (process.id.as_str(), process)).collect();
        let mut known: Vec<_> = containers
            .into_iter()
            .filter_map(|container| {
                let process = tasks.get(container.id.as_str()).copied();
                self.adopted(container, process)
            })
            .collect();
        // What a creation left that was cut off: before its container, or before containerd knew of its shim.
        let labels = leases.into_iter().filter_map(|mut lease| lease.labels.remove(INSTANCE_LABEL));
        for id in labels.chain(self.shims().ids()).filter_map(|id| InstanceId::new(id).ok()) {
            if known.iter().all(|adopted| adopted.id != id) {
                let labels = HashMap::from([(INSTANCE_LABEL.to_owned(), id.to_string())]);
                known.extend(self.adopted(Container { labels, ..Default::default() }, None));
            }
        }
        let sandboxes = self.sandboxes();
        known.retain(|adopted| !sandboxes.contains(&adopted.id));
        Ok(known)
    }

    fn events(&self) -> mpsc::Receiver<RuntimeEvent> {
        events::follow(self.door.clone(), self.cgroups.clone())
    }

    fn usage(&self, cgroup: &Cgroup) -> Result<Usage, RuntimeError> {
        let subject = cgroup.path.display().to_string();
        self.cgroups.usage(cgroup).map_err(|source| RuntimeError::Cgroup { subject, source })
    }

    fn spent(&self, cgroup: &Cgroup) -> Option<Spent> {
        self.cgroups.spent(cgroup).ok()
    }

    fn ran_out_of_memory(&self, cgroup: &Cgroup) -> bool {
        self.cgroups.ran_out_of_memory(cgroup)
    }

    fn lives(&self, cgroup: &Cgroup) -> bool {
        self.cgroups.is_populated(cgroup)
    }
}

/// All containers of the door's namespace, and their tasks.
async fn containers_and_tasks(door: &Door) -> Result<(Vec<Container>, Vec<Process>), Failure> {
    let purpose = Purpose::book("list containers of", door.namespace());
    let mut client = door.client().containers().max_decoding_message_size(ANSWER_BYTES_MAX);
    let containers = door.call(purpose, client.list(door.request(ListContainersRequest::default()))).await?;
    let purpose = Purpose::book("list tasks of", door.namespace());
    let mut client = door.client().tasks().max_decoding_message_size(ANSWER_BYTES_MAX);
    let tasks = door.call(purpose, client.list(door.request(ListTasksRequest::default()))).await?;
    Ok((containers.containers, tasks.tasks))
}

fn labels(spec: &InstanceSpec, image: &ImageInfo) -> HashMap<String, String> {
    let mut labels = HashMap::from([
        (INSTANCE_LABEL.to_owned(), spec.id.to_string()),
        (SEGMENT_LABEL.to_owned(), spec.segment.clone()),
        (NETNS_LABEL.to_owned(), spec.netns.display().to_string()),
        (IP_LABEL.to_owned(), spec.ip.to_string()),
        (MADE_FROM_LABEL.to_owned(), spec.recipe.fingerprint(&image.digest)),
    ]);
    labels.extend(spec.graph.clone().map(|graph| (GRAPH_LABEL.to_owned(), graph)));
    labels
}

fn state_of(status: Status) -> InstanceState {
    match status {
        Status::Created => InstanceState::Created,
        Status::Running => InstanceState::Running,
        Status::Paused | Status::Pausing => InstanceState::Paused,
        Status::Unknown | Status::Stopped => InstanceState::Stopped,
    }
}
