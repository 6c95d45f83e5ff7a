//! A stage for VMs. In: a name. Out: weft's runtime for VMs on a containerd, a bridge and an image of its own; instances
//! that answer requests; and at the end nothing of all that. Refuses a machine without QEMU, mksquashfs or apt-get, which
//! fetches the guests' kernel once.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use weft::runtime::containerd::{Containerd, ContainerdConfig};
use weft::runtime::qemu::{Acceleration, Qemu, QemuConfig, VmSignal};
use weft::runtime::{
    Confinement, ImageRef, InstanceId, InstanceSpec, Machine, Recipe, Runtime, Runtimes, Snapshots,
};
use weft::weave::network::{Network, NetworkConfig};
use weft_tests::agent::Place;
use weft_tests::containerd::{PrivateContainerd, Unpack};
use weft_tests::image::segment_image;
use weft_tests::kernel::Kernel;

/// The segment whose every VM boots.
pub const BOOTED: &str = "booted";
/// The segment whose VMs go on from a snapshot.
pub const RESTORED: &str = "restored";
/// A segment whose VMs send and receive no more than [`BANDWIDTH`].
pub const LIMITED: &str = "limited";
/// Bytes a second.
pub const BANDWIDTH: u64 = 1 << 17;
/// A segment of containers.
pub const CONTAINED: &str = "contained";

const IMAGE: &str = "vm/segment:1";
const NAMESPACE: &str = "weft";
const PORT: u16 = 8080;
const MEMORY: u64 = 128 << 20;
/// A guest without KVM on a busy machine is slow, and the tests run side by side.
const PATIENCE: Duration = Duration::from_secs(240);

/// Everything that VMs need. To be closed at the end.
pub struct Stage {
    runtimes: Runtimes,
    network: Network,
    signals: Mutex<mpsc::Receiver<VmSignal>>,
    config: QemuConfig,
    next: AtomicU64,
    daemon: PrivateContainerd,
    /// The last to go: it clears what a failure has left.
    place: Cleared,
}

/// A place that is cleared when it is dropped.
struct Cleared(Place);

impl std::ops::Deref for Cleared {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.0
    }
}

impl Drop for Cleared {
    fn drop(&mut self) {
        if let Err(error) = self.0.clear() {
            eprintln!("left behind in {}: {error:#}", self.0.directory().display());
        }
    }
}

/// A running instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// Where it answers.
    pub address: SocketAddr,
    /// QEMU, or the container's first process.
    pub pid: u32,
    /// Its cgroup in the v2 tree.
    pub cgroup_id: u64,
    /// From the wish to the first answer.
    pub took: Duration,
}

impl Stage {
    /// Builds it, below `/run`; `cache` keeps images and the guests' kernel from run to run.
    ///
    /// # Errors
    /// What is missing or does not start.
    pub async fn open(name: &str, cache: &Path) -> Result<Self> {
        Self::open_executed_by(Acceleration::Tcg, name, cache).await
    }

    /// The same with guests that something else may execute.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_executed_by(acceleration: Acceleration, name: &str, cache: &Path) -> Result<Self> {
        let kernel = Kernel::fetched(cache)?;
        let place = Cleared(Place::unique(name)?);
        let daemon = PrivateContainerd::start(place.directory().join("c"))?;
        let archive = place.directory().join("image.tar");
        segment_image(IMAGE, cache)?.build(cache, &archive)?;
        daemon.import(NAMESPACE, &archive, Unpack::Later)?;
        std::fs::remove_file(archive)?;
        let cgroup_parent = Path::new("/").join(place.name());
        let network = network(&place);
        let config = QemuConfig {
            program: "qemu-system-x86_64".into(),
            kernel: kernel.image,
            modules: kernel.modules,
            acceleration,
            directory: place.directory().join("v"),
            state: place.directory().join("state"),
            state_bytes_max: 4 << 30,
            cgroup_parent: cgroup_parent.clone(),
            gateway: network.gateway(),
            prefix_len: network.prefix_len,
            namespace: NAMESPACE.to_owned(),
        };
        let (runtimes, signals) = runtimes(&daemon, &config, cgroup_parent).await?;
        let (network, next) = (Network::open(network).await?, AtomicU64::new(1));
        Ok(Self { runtimes, network, signals: Mutex::new(signals), config, next, daemon, place })
    }

    /// The same stage in the eyes of an agent that starts: it knows of nothing but what it finds. The one before must have
    /// ended, and all its tasks with it: QEMU talks to one agent at a time.
    ///
    /// # Errors
    /// What does not start.
    pub async fn reopened(mut self) -> Result<Self> {
        let parent = Path::new("/").join(self.place.name());
        let (runtimes, signals) = runtimes(&self.daemon, &self.config, parent).await?;
        self.network = Network::open(network(&self.place)).await?;
        let living = runtimes.list().await?.into_iter();
        self.network.adopt(living.filter_map(|found| Some((found.id, found.ip?))))?;
        (self.runtimes, self.signals) = (runtimes, Mutex::new(signals));
        Ok(self)
    }

    /// Both runtimes, as an agent has them.
    pub fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// The VMs.
    pub fn vms(&self) -> &Qemu {
        self.runtimes.vms()
    }

    /// How the VMs are configured.
    pub fn config(&self) -> &QemuConfig {
        &self.config
    }

    /// What instances of a segment are made from.
    pub fn recipe(&self, segment: &str) -> Recipe {
        let machine =
            |snapshots, bandwidth_bits| Some(Machine { disk_bytes: 32 << 20, bandwidth_bits, snapshots });
        Recipe {
            image: ImageRef::new(IMAGE),
            memory_bytes: MEMORY,
            cpu_millis: 1000,
            env: Vec::new(),
            args: None,
            confinement: Confinement::Trusted,
            port: PORT,
            machine: match segment {
                RESTORED => machine(Snapshots::Taken, None),
                LIMITED => machine(Snapshots::Never, Some(BANDWIDTH * 8)),
                CONTAINED => None,
                _ => machine(Snapshots::Never, None),
            },
        }
    }

    /// Makes an instance of a segment as the agent does, waits until it listens, and asks it.
    ///
    /// # Errors
    /// The first step that fails; what was made is taken away.
    pub async fn serve(&self, segment: &str) -> Result<Instance> {
        let name = format!("{segment}-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let id = InstanceId::new(name)?;
        let served = timeout(PATIENCE, self.make(&id, segment)).await.context("no answer in time");
        match served.and_then(|made| made) {
            Ok(instance) => Ok(instance),
            Err(error) => {
                self.remove(&id).await?;
                Err(error)
            }
        }
    }

    async fn make(&self, id: &InstanceId, segment: &str) -> Result<Instance> {
        let begun = Instant::now();
        let attachment = self.network.reserve(id)?;
        let spec = InstanceSpec {
            id: id.clone(),
            graph: Some("1".to_owned()),
            segment: segment.to_owned(),
            recipe: self.recipe(segment),
            netns: attachment.netns.clone(),
            ip: attachment.ip,
            hostname: id.to_string(),
        };
        let (namespace, prepared) = tokio::join!(self.network.enter(id), self.runtimes.prepare(&spec));
        let (furnished, created) =
            tokio::join!(self.network.furnish(namespace?), self.runtimes.create(prepared?));
        let created = created?;
        furnished?;
        self.runtimes.start(id).await?;
        let address = SocketAddr::from((attachment.ip, PORT));
        if spec.recipe.machine.is_some() {
            self.listening(created.cgroup.id).await?;
        }
        ask(address, "/").await?;
        let took = begun.elapsed();
        Ok(Instance { id: id.clone(), address, pid: created.pid, cgroup_id: created.cgroup.id, took })
    }

    /// Waits until the guest in a cgroup says that its program listens.
    ///
    /// # Errors
    /// When there are no more signals.
    pub async fn listening(&self, cgroup_id: u64) -> Result<()> {
        self.signal(|signal| signal == VmSignal::Listening { cgroup_id, port: PORT }).await
    }

    /// Waits for a signal.
    ///
    /// # Errors
    /// When there are no more.
    pub async fn signal(&self, wanted: impl Fn(VmSignal) -> bool) -> Result<()> {
        let mut signals = self.signals.lock().await;
        while let Some(signal) = signals.recv().await {
            if wanted(signal) {
                return Ok(());
            }
        }
        bail!("the signals have ended")
    }

    /// Takes an instance away, and its network.
    ///
    /// # Errors
    /// What stays.
    pub async fn remove(&self, id: &InstanceId) -> Result<()> {
        self.runtimes.remove(id).await?;
        Ok(self.network.detach(id).await?)
    }

    /// What is left of VMs: processes, folders, cgroups, links on the bridge.
    ///
    /// # Errors
    /// What cannot be looked at.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let folder = self.config.directory.display().to_string();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            if line.starts_with("qemu") && line.contains(&folder) {
                left.push(format!("process {}", entry.file_name().display()));
            }
        }
        let mut list = |what: &str, folder: PathBuf, named: &dyn Fn(&str) -> bool| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            left.extend(names.filter(|name| named(name)).map(|name| format!("{what} {name}")));
        };
        list("folder", self.config.directory.clone(), &|_| true);
        list("port", format!("/sys/class/net/{}/brif", self.place.bridge()).into(), &|_| true);
        for tree in std::fs::read_dir("/sys/fs/cgroup")?.flatten() {
            list("cgroup", tree.path().join(self.place.name()), &|name| name.starts_with("vm-"));
        }
        Ok(left)
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// What stays.
    pub async fn close(self) -> Result<()> {
        for adopted in self.runtimes.list().await? {
            self.remove(&adopted.id).await?;
        }
        self.vms().leave().await;
        let left = self.leftovers()?;
        self.network.close().await?;
        self.daemon.stop()?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    }
}

async fn runtimes(
    daemon: &PrivateContainerd,
    config: &QemuConfig,
    cgroup_parent: PathBuf,
) -> Result<(Runtimes, mpsc::Receiver<VmSignal>)> {
    let containerd = Arc::new(Containerd::connect(ContainerdConfig {
        address: daemon.address(),
        namespace: NAMESPACE.to_owned(),
        vm_runtime: None,
        snapshotter: "overlayfs".to_owned(),
        cgroup_parent,
        runc_root: Some(daemon.runc_root()),
    })?);
    let vms = Qemu::open(config.clone(), containerd.clone()).await?;
    let signals = vms.signals().context("nobody has the signals yet")?;
    Ok((Runtimes::new(containerd, vms), signals))
}

fn network(place: &Place) -> NetworkConfig {
    NetworkConfig { bridge: place.bridge(), base: place.subnet_base(), prefix_len: 24 }
}

/// Asks for a page and gives its body. An instance that does not take connections yet is asked again.
///
/// # Errors
/// When no answer comes.
pub async fn ask(address: SocketAddr, target: &str) -> Result<String> {
    let begun = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(1));
    let mut stream = loop {
        beat.tick().await;
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(error) if begun.elapsed() > PATIENCE => return Err(error).context("connect"),
            Err(_) => {}
        }
    };
    let request = format!("GET {target} HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.context("no answer")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(body.to_owned())
}
