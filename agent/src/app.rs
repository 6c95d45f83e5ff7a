//! Joins the stages. In: a checked configuration. Out: a running agent, until it is told to end. Everything that can
//! be refused is refused before the first program is attached.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::capture::{Capture, Containers, Ending, NodeKey};
use crate::clock::Clock;
use crate::config::{Confidence, Config, Miss, Segment};
use crate::control::{self, Control};
use crate::dispatch::{self, Activator};
use crate::intake::serve::Deployer;
use crate::intake::{self, Intake};
use crate::kernel::{CaptureRing, Kernel, KernelOptions, ListenRing};
use crate::learn::journal::Journal;
use crate::learn::store::{Item, Store};
use crate::learn::trainer::{self, Trainer};
use crate::learn::{self, Learn};
use crate::predict::{self, Outlets, Predict};
use crate::runtime::containerd::{Containerd, ContainerdConfig};
use crate::runtime::qemu::{Qemu, QemuConfig, VmSignal};
use crate::runtime::{ImageRef, Runtime, RuntimeError, Runtimes};
use crate::scrape::{self, Scrape};
use crate::segments::{Segments, Served};
use crate::weave::adopt;
use crate::weave::driver::{self, Driver, Tools};
use crate::weave::network::{Network, NetworkConfig};
use crate::weave::{Rules, SegmentRules, Weaver};
use crate::{drain, metrics};

/// Bytes of the kernel's ring: half a second of 4,000 requests of 2 KiB each.
const CAPTURE_RING_BYTES: u32 = 4 << 20;
/// Creations that one core can have under way: most of their time is spent waiting for the runtime.
const CREATING_PER_CORE: f64 = 2.0;
/// Segments that wait for more memory.
const STARVED_MAX: usize = 64;
/// Runs that wait to be remembered.
const MEASURED_MAX: usize = 1024;
/// How often containerd is asked whether it is there, and the agent's own cost is read.
const PULSE: Duration = Duration::from_secs(1);

/// Runs the agent until a signal or a call ends it, then drains.
///
/// # Errors
/// What keeps it from starting: state, kernel, network, sockets. A containerd that is away does not: it is waited for.
pub async fn run(config: Config) -> anyhow::Result<()> {
    crate::kernel::privileges()?;
    let config = Arc::new(config);
    let clock = Clock::start();
    // In milliseconds: an agent that is killed and starts again within a second must not give a name twice.
    let epoch = format!("{:x}", clock.now_ms() & 0xff_ffff_ffff);
    let ready = Arc::new(AtomicBool::new(false));
    let handle = metrics::install().context("the metrics recorder")?;
    scrape::start(config.agent.metrics, Scrape { handle, ready: ready.clone() })?;
    let socket = control::listen(&config.agent.socket)?;
    let _path = SocketPath(&config.agent.socket);
    let store = Arc::new(Store::open(&config.agent.state)?);
    let key = node_key(&store)?;
    let containerd = Arc::new(containerd(&config)?);
    let runtime = Arc::new(Runtimes::new(containerd.clone(), vms(&config, containerd.clone()).await?));
    let kernel = load_kernel(&config)?;
    // After what may be refused: the bridge does not go by itself.
    let all: Vec<Segment> = config.segments.iter().cloned().chain(deployed(&config)).collect();
    let (network, listeners) = network_and_listeners(&config, &all).await?;
    let containers = Arc::new(Containers::new(&config.containerd.namespace, kernel.syscalls.clone()));

    let mut signals = drain::Signals::listen().context("signals")?;
    let (stop, stops) = mpsc::channel(1);
    let (trigger, drained) = drain::channel();
    let (weave, weave_inbox) = mpsc::channel(driver::MESSAGES_MAX);
    let (learned, learn_inbox) = mpsc::channel(learn::MESSAGES_MAX);
    let (predicted, predict_inbox) = mpsc::channel(predict::EVENTS_MAX);
    let (lessons, lessons_inbox) = mpsc::channel(trainer::MESSAGES_MAX);
    let (listening, listens) = mpsc::channel(1024);
    let (ending, ends) = mpsc::channel(1024);
    let journal = Journal::new();

    let segments = Arc::new(Segments::new(served(&all, &listeners)));
    let (trainer, model) = Trainer::new(segments.clone(), store.clone());
    let weaver = Weaver::new(rules(&config, &segments, &epoch));
    let (knows, known) = watch::channel(false);
    let (starve, starved) = mpsc::channel(STARVED_MAX);
    let (measure, measured) = mpsc::channel(MEASURED_MAX);
    let tools = Tools {
        segments: segments.clone(),
        runtime: runtime.clone(),
        network: network.clone(),
        routes: kernel.routes.clone(),
        connections: kernel.connections.clone(),
        containers: containers.clone(),
        learn: learned.clone(),
        starved: starve,
        measured: measure,
        store: store.clone(),
        clock,
        known: known.clone(),
    };
    let mut weaving = Driver::new(weaver, tools, weave_inbox);
    let mut tasks = JoinSet::new();
    match adopt::take_over(&segments, &runtime, &network).await {
        Ok(found) => {
            found.into_iter().for_each(|found| weaving.adopt(found));
            knows.send_replace(true);
        }
        Err(error) => {
            tracing::warn!(%error, "containerd does not answer; requests wait for it");
            tasks.spawn(adopt_later(
                segments.clone(),
                runtime.clone(),
                network.clone(),
                weave.clone(),
                knows,
            ));
        }
    }

    let keep_alive_ms = config.policy.keep_alive.as_millis() as u64;
    let learning =
        Learn::new(segments.clone(), epoch.clone(), keep_alive_ms, journal.clone(), weave.clone(), clock);
    let outlets = Outlets { weave: weave.clone(), learn: learned.clone(), lessons: lessons.clone() };
    let predicting = Predict::new(segments.clone(), model, containers.clone(), store, outlets, clock);
    let capture = Capture::new(key, containers.clone(), segments.clone(), clock);
    let answers = Arc::new(AtomicBool::new(false));
    let places = Arc::new(Semaphore::new(dispatch::HELD_MAX));
    let intake =
        Arc::new(Intake::open(intake::Settings::of(&config), containerd.clone()).context("[intake]")?);
    let deployer = Arc::new(Deployer::new(intake::serve::Parts {
        config: config.clone(),
        segments: segments.clone(),
        intake: intake.clone(),
        weave: weave.clone(),
        learn: learned.clone(),
        own: kernel.own.clone(),
        places: places.clone(),
        gateway: network.gateway(),
        clock,
    }));
    let control = Control {
        config: config.clone(),
        segments: segments.clone(),
        epoch,
        weave: weave.clone(),
        learn: learned.clone(),
        predict: predicted.clone(),
        trainer: lessons,
        containers: containers.clone(),
        journal,
        counters: kernel.counters.clone(),
        containerd: answers.clone(),
        deployer: deployer.clone(),
        stop,
        began: Instant::now(),
    };

    let driving = tokio::spawn(weaving.run(listens, ends));
    tasks.spawn(learning.run(learn_inbox));
    tasks.spawn(predicting.run(predict_inbox));
    tasks.spawn(trainer.run(lessons_inbox));
    tasks.spawn(read_captures(kernel.captures, capture, predicted.clone(), learned.clone()));
    if let Some(signals) = runtime.vms().signals() {
        tasks.spawn(read_guests(signals, listening.clone()));
    }
    tasks.spawn(read_listens(kernel.listens, listening));
    tasks.spawn(read_events(runtime.events(), containers, ending));
    tasks.spawn(unpack(segments.clone(), containerd.clone(), known.clone()));
    tasks.spawn(keep_spare(network.clone(), known));
    tasks.spawn(pulse(
        config.clone(),
        segments.clone(),
        containerd.clone(),
        answers,
        kernel.counters,
        weave.clone(),
    ));
    tasks.spawn(deployer.clone().relieve(starved));
    tasks.spawn(deployer.clone().follow(measured));
    receive(&config, intake, deployer, &mut tasks).await?;
    for (segment, listener) in listeners.into_iter().enumerate() {
        let Some(listener) = listener else { continue };
        let name = segments.name(segment).as_str().into();
        let (weave, learn, own, places) =
            (weave.clone(), learned.clone(), kernel.own.clone(), places.clone());
        tasks.spawn(Activator { segment, name, weave, learn, own, places, clock }.run(listener));
    }
    let serving = tokio::spawn(control::serve(control, socket, drained.wait()));

    ready.store(true, Ordering::Release);
    tracing::info!(segments = config.segments.len(), weave = config.agent.weave, "ready");
    let cause = signals.next_or(stops).await;
    tracing::info!(cause, "draining");
    ready.store(false, Ordering::Release);
    end(&config, &mut signals, &weave, &predicted, driving).await;
    trigger.pull();
    let _ = tokio::time::timeout(Duration::from_secs(2), serving).await;
    tasks.shutdown().await;
    runtime.vms().leave().await;
    containerd.leave();
    drop(kernel.links);
    if let Some(network) = Arc::into_inner(network) {
        network.close().await.context("the bridge")?;
    }
    tracing::info!("gone");
    Ok(())
}

/// Begins to take uploads in, wherever the configuration says that they arrive.
async fn receive(
    config: &Config,
    intake: Arc<Intake>,
    deployer: Arc<Deployer>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let (inbox, received) = intake::inbox::inbox();
    tasks.spawn(deployer.run(received));
    if let Some(folder) = &config.intake.folder {
        tasks.spawn(intake::folder::watch(folder.clone(), inbox.clone()));
    }
    if let (Some(address), Some(access), Some(file)) =
        (config.intake.s3, &config.intake.s3_access_key, &config.intake.s3_secret_file)
    {
        let keys = intake::s3::Keys::read(access, file)
            .with_context(|| format!("[intake] s3_secret_file: {}", file.display()))?;
        let endpoint = intake::s3::Endpoint::bind(address, keys, intake, inbox).await;
        tasks.spawn(endpoint.with_context(|| format!("[intake] s3: {address}"))?.serve());
    }
    Ok(())
}

/// Stores what was learned and removes every instance; instances that work on are left to the next agent.
async fn end(
    config: &Config,
    signals: &mut drain::Signals,
    weave: &mpsc::Sender<driver::Message>,
    predicted: &mpsc::Sender<predict::Message>,
    driving: tokio::task::JoinHandle<()>,
) {
    let (stored, storing) = tokio::sync::oneshot::channel();
    let (emptied, emptying) = tokio::sync::oneshot::channel();
    // A stage that is gone has nothing left to end.
    let _ = predicted.send(predict::Message::Store(stored)).await;
    let _ = weave.send(driver::Message::Drain(emptied)).await;
    let _ = tokio::time::timeout(Duration::from_secs(5), storing).await;
    let emptied = tokio::select! {
        emptied = tokio::time::timeout(config.agent.drain, emptying) => emptied.is_ok(),
        _ = signals.next() => false,
    };
    if !emptied {
        tracing::warn!("some instances still have work; they stay, and the next agent takes them over");
    }
    driving.abort();
    let _ = driving.await;
}

fn node_key(store: &Store) -> anyhow::Result<NodeKey> {
    if let Some(bytes) = store.read(Item::Key)?.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) {
        return Ok(NodeKey::from_bytes(bytes));
    }
    let key = NodeKey::generate().context("the node's key")?;
    store.write(Item::Key, &key.to_bytes())?;
    Ok(key)
}

/// Removes the control socket at the agent's end, whatever ends it.
struct SocketPath<'a>(&'a Path);

impl Drop for SocketPath<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

/// The bridge, and who listens on it.
async fn network_and_listeners(
    config: &Config,
    segments: &[Segment],
) -> anyhow::Result<(Arc<Network>, Vec<Option<TcpListener>>)> {
    let network = network(config).await?;
    match listeners(segments, network.gateway()) {
        Ok(listeners) => Ok((Arc::new(network), listeners)),
        Err(error) => {
            // The first error is the one to be told.
            let _ = network.close().await;
            Err(error)
        }
    }
}

async fn network(config: &Config) -> anyhow::Result<Network> {
    let subnet = config.network.subnet;
    let settings = NetworkConfig {
        bridge: config.network.bridge.clone(),
        base: subnet.base(),
        prefix_len: subnet.prefix(),
    };
    Network::open(settings).await.context("[network]")
}

fn containerd(config: &Config) -> anyhow::Result<Containerd> {
    let settings = ContainerdConfig {
        address: config.containerd.address.clone(),
        namespace: config.containerd.namespace.clone(),
        snapshotter: config.containerd.snapshotter.clone(),
        vm_runtime: config.vm.runtime.clone(),
        cgroup_parent: cgroup_parent(config)?,
        runc_root: config.containerd.runc_root.clone(),
    };
    Containerd::connect(settings).context("[containerd]")
}

/// Whether VMs can run here is found out at the first one.
async fn vms(config: &Config, containerd: Arc<Containerd>) -> anyhow::Result<Qemu> {
    let settings = QemuConfig::of(config, &cgroup_parent(config)?);
    Qemu::open(settings, containerd).await.context("[vm]")
}

/// Instances live below the watched subtree, so that the programs attached there see them.
fn cgroup_parent(config: &Config) -> anyhow::Result<std::path::PathBuf> {
    let mount = crate::kernel::cgroup2_mount()?;
    let root = config.agent.cgroup.clone().unwrap_or_else(|| mount.clone());
    let below = root.strip_prefix(&mount).with_context(|| {
        format!("[agent] cgroup: {} is not below the cgroup2 mount {}", root.display(), mount.display())
    })?;
    Ok(Path::new("/").join(below).join("weft"))
}

fn load_kernel(config: &Config) -> anyhow::Result<Kernel> {
    let cgroup = match &config.agent.cgroup {
        Some(cgroup) => cgroup.clone(),
        None => crate::kernel::cgroup2_mount()?,
    };
    let options = KernelOptions { cgroup, capture_ring_bytes: CAPTURE_RING_BYTES };
    Kernel::load(&options).context("the kernel programs; `weft probe` tells what this kernel can do")
}

fn listeners(segments: &[Segment], gateway: std::net::Ipv4Addr) -> anyhow::Result<Vec<Option<TcpListener>>> {
    let listen = |segment: &crate::config::Segment| match segment.miss {
        Miss::Activate => dispatch::listen(IpAddr::V4(gateway)).map(Some),
        Miss::Pass => Ok(None),
    };
    segments.iter().map(listen).collect::<Result<_, _>>().context("the activators' listeners")
}

fn served(segments: &[Segment], listeners: &[Option<TcpListener>]) -> Vec<Served> {
    let with_activator = |(segment, listener): (&Segment, &Option<TcpListener>)| {
        let activator = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        Served { segment: Arc::new(segment.clone()), activator, live: true }
    };
    segments.iter().zip(listeners).map(with_activator).collect()
}

/// What was deployed before, beside the configuration.
fn deployed(config: &Config) -> Vec<Segment> {
    config.deployed(&intake::serve::folder(&config.agent.state))
}

fn rules(config: &Config, segments: &Segments, epoch: &str) -> Rules {
    let all = segments.all();
    let segments = all.iter().map(|served| SegmentRules::of(&served.segment, served.activator));
    Rules {
        segments: segments.collect(),
        memory_bytes: config.budget.memory.0,
        instances: config.budget.instances as usize,
        creating: ((config.budget.cpu * CREATING_PER_CORE).round() as usize).max(1),
        keep_alive_ms: config.policy.keep_alive.as_millis() as u64,
        timing: config.policy.timing,
        confidence: match config.policy.confidence {
            Confidence::Auto => None,
            Confidence::Fixed(bar) => Some(bar),
        },
        weave: config.agent.weave,
        epoch: epoch.to_owned(),
    }
}

/// Instances from before, once containerd answers.
async fn adopt_later(
    segments: Arc<Segments>,
    runtime: Arc<Runtimes>,
    network: Arc<Network>,
    weave: mpsc::Sender<driver::Message>,
    knows: watch::Sender<bool>,
) {
    let found = adopt::take_over_later(&segments, &runtime, &network).await;
    // A driver that is gone adopts nothing, and makes nothing either.
    let _ = weave.send(driver::Message::Adopt(found)).await;
    knows.send_replace(true);
}

/// Has networks stand ahead of their instances, once it is known which addresses are taken from before.
async fn keep_spare(network: Arc<Network>, mut known: watch::Receiver<bool>) {
    if known.wait_for(|known| *known).await.is_ok() {
        network.keep_spare().await;
    }
}

/// Unpacks the images ahead of the first request, and says at once which are not there. While containerd does not answer
/// nothing can be said of them.
async fn unpack(segments: Arc<Segments>, runtime: Arc<Containerd>, mut known: watch::Receiver<bool>) {
    if known.wait_for(|known| *known).await.is_err() {
        return;
    }
    for Served { segment, .. } in segments.all().iter() {
        let image = ImageRef::new(segment.image.clone());
        loop {
            match runtime.image(&image).await {
                Err(RuntimeError::Unreachable { .. } | RuntimeError::Deadline { .. }) => sleep(PULSE).await,
                Err(error) => break tracing::warn!(segment = segment.name, %error, "it cannot be made"),
                Ok(_) => break,
            }
        }
    }
}

async fn read_captures(
    mut ring: CaptureRing,
    mut capture: Capture,
    predict: mpsc::Sender<predict::Message>,
    learn: mpsc::Sender<learn::Message>,
) {
    loop {
        let segment = match ring.next().await {
            Ok(segment) => segment,
            Err(error) => {
                return tracing::error!(%error, "the kernel's ring cannot be read; weft sees nothing");
            }
        };
        for event in capture.take(&segment) {
            let event = Box::new(event);
            if predict.try_send(predict::Message::Seen(event.clone())).is_err() {
                metrics::dropped("predict");
            }
            if learn.try_send(learn::Message::Seen(event)).is_err() {
                metrics::dropped("learn");
            }
        }
    }
}

/// Guests tell by themselves what the node's kernel tells of containers.
async fn read_guests(mut signals: mpsc::Receiver<VmSignal>, listening: mpsc::Sender<(u64, u16)>) {
    while let Some(signal) = signals.recv().await {
        if let VmSignal::Listening { cgroup_id, port } = signal
            && listening.send((cgroup_id, port)).await.is_err()
        {
            return;
        }
    }
}

async fn read_listens(mut ring: ListenRing, listening: mpsc::Sender<(u64, u16)>) {
    loop {
        match ring.next().await {
            Ok(listen) if listening.send((listen.cgroup_id, listen.port)).await.is_ok() => {}
            Ok(_) => return,
            Err(error) => {
                return tracing::error!(%error, "the kernel's ring cannot be read; nothing becomes ready");
            }
        }
    }
}

async fn read_events(
    mut events: mpsc::Receiver<crate::runtime::RuntimeEvent>,
    containers: Arc<Containers>,
    ending: mpsc::Sender<Ending>,
) {
    while let Some(event) = events.recv().await {
        let Some(end) = containers.heard(event) else { continue };
        if ending.send(end).await.is_err() {
            return;
        }
    }
}

/// Once a second: is containerd there, what stands, what does the agent cost.
async fn pulse(
    config: Arc<Config>,
    segments: Arc<Segments>,
    runtime: Arc<Containerd>,
    containerd: Arc<AtomicBool>,
    counters: crate::kernel::KernelCounters,
    weave: mpsc::Sender<driver::Message>,
) {
    let mut tick = tokio::time::interval(PULSE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let answers = runtime.ready().await;
        if let (Err(error), true) = (&answers, containerd.load(Ordering::Relaxed)) {
            tracing::warn!(%error, "containerd does not answer; instances go on, new ones wait");
        }
        containerd.store(answers.is_ok(), Ordering::Relaxed);
        metrics::kernel(counters.redirected(), counters.captured(), counters.capture_drops());
        if let Some((cpu_ms, resident_bytes)) = own_cost() {
            metrics::agent(cpu_ms, resident_bytes);
        }
        let (reply, answer) = tokio::sync::oneshot::channel();
        if weave.send(driver::Message::Look(reply)).await.is_err() {
            return;
        }
        let Ok(view) = answer.await else { return };
        metrics::memory(view.reserved_bytes, config.budget.memory.0);
        metrics::graphs(view.graphs.len());
        for (index, served) in segments.all().iter().enumerate().filter(|(_, served)| served.live) {
            metrics::instances(
                &served.segment.name,
                view.instances.iter().filter(|i| i.segment == index).count(),
            );
        }
    }
}

/// Processor time in milliseconds and resident bytes of this process.
fn own_cost() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; what follows it does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let pages: u64 = fields.get(21)?.parse().ok()?;
    Some((ticks * 1000 / rustix::param::clock_ticks_per_second(), pages * rustix::param::page_size() as u64))
}
