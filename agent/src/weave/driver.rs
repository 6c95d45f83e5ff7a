//! Carries the weaver's actions out. In: messages from the other stages, listening sockets from the kernel, ends of
//! processes from the runtime. Out: containers, routes, answers, and notes for learning. It decides nothing.
//!
//! Queue: [`MESSAGES_MAX`] messages; senders wait when it is full, so nothing is lost. Creations and removals run as
//! tasks of their own and report back, so that no slow container holds up another's request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use weft_models::policy::Learned;

use super::make::{Unmade, clear, make, watch};
use super::network::Network;
use super::network::spare::SPARE_MIN;
use super::runs::{Counts, Measured, Runs, network_bytes};
use super::{
    Action, Admission, Input, Instance, InstanceState, Note, Reading, Refusal, SegmentRules, Version, Weaver,
    inherited,
};
use crate::capture::{Containers, Ending};
use crate::clock::Clock;
use crate::config::Segment;
use crate::kernel::{Connections, RouteTable};
use crate::learn::store::Item;
use crate::learn::{self, SharedStore};
use crate::metrics;
use crate::runtime::{Cgroup, ExitCause, InstanceId, Runtime};
use crate::segments::{Segments, Served};

/// Messages that wait for the driver.
pub const MESSAGES_MAX: usize = 4096;
/// The beat: how exact expiry is.
const TICK: Duration = Duration::from_millis(50);
/// Memory is read every so many beats; it changes slowly and costs a file.
const MEMORY_TICKS: u32 = 10;
/// What was learned is stored every so many beats: five minutes.
const STORE_TICKS: u32 = 6_000;
/// Pauses between tries of a removal.
const REMOVE_RETRY: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(10)];

/// What other stages say to the driver.
#[derive(Debug)]
pub enum Message {
    /// Something happened.
    Input(Input),
    /// A request waits for an instance; the answer comes back when there is one.
    Demand {
        /// Index of the segment.
        segment: usize,
        /// Where the answer goes; dropping the other end withdraws the demand.
        reply: oneshot::Sender<Result<Admission, Refusal>>,
    },
    /// A version of a segment is to be served; the answer comes when it is, or why it is not.
    Deploy(Deploy),
    /// These stand from before; nothing is made until it is known what does.
    Adopt(Vec<Found>),
    /// Somebody wants to see everything.
    Look(oneshot::Sender<View>),
    /// Remove everything; the answer comes when nothing is left.
    Drain(oneshot::Sender<()>),
}

/// A version of a segment, and who waits for it.
#[derive(Debug)]
pub struct Deploy {
    /// Its index, reserved for it.
    pub index: usize,
    /// The version.
    pub segment: Arc<Segment>,
    /// Where its misses go.
    pub activator: Option<SocketAddr>,
    /// The answer.
    pub reply: oneshot::Sender<Result<(), String>>,
}

/// A picture of the weaver for those who ask.
#[derive(Debug, Clone)]
pub struct View {
    /// When it was taken.
    pub now_ms: u64,
    /// All instances.
    pub instances: Vec<Instance>,
    /// All graphs.
    pub graphs: Vec<super::Graph>,
    /// Failures by segment.
    pub trouble: Vec<super::Trouble>,
    /// Waiting requests by segment.
    pub waiting: Vec<usize>,
    /// Mean time that making an instance takes, by segment.
    pub cold_ms: Vec<f64>,
    /// Memory reserved by all instances, in bytes.
    pub reserved_bytes: u64,
    /// Addresses of networks that stand ahead of their instances.
    pub spare_networks: Vec<std::net::Ipv4Addr>,
}

/// What the driver works with.
pub struct Tools<R> {
    /// What is served.
    pub segments: Arc<Segments>,
    /// Makes and removes containers.
    pub runtime: Arc<R>,
    /// Makes and removes their networks.
    pub network: Arc<Network>,
    /// The kernel's route table.
    pub routes: RouteTable,
    /// The kernel's counts of connections.
    pub connections: Connections,
    /// Which cgroup is whose.
    pub containers: Arc<Containers>,
    /// Where notes go.
    pub learn: mpsc::Sender<learn::Message>,
    /// Where segments are told whose instance died of memory, with the limit that they had.
    pub starved: mpsc::Sender<(usize, u64)>,
    /// Where runs of uploaded code go.
    pub measured: mpsc::Sender<Measured>,
    /// Where what was learned is kept.
    pub store: SharedStore,
    /// The time.
    pub clock: Clock,
    /// Whether it is known what stands from before: until then an address might be given twice.
    pub known: tokio::sync::watch::Receiver<bool>,
}

/// The driver and what it has under way.
pub struct Driver<R> {
    weaver: Weaver,
    tools: Arc<Tools<R>>,
    inbox: mpsc::Receiver<Message>,
    /// Its own tasks report here; unbounded in name only: at most one creation and one removal per instance.
    reports: JoinSet<Report>,
    created: mpsc::Sender<Report>,
    created_inbox: mpsc::Receiver<Report>,
    waiters: HashMap<u64, oneshot::Sender<Result<Admission, Refusal>>>,
    next_waiter: u64,
    deploys: HashMap<usize, Deploy>,
    standing: HashMap<u64, Standing>,
    runs: Runs,
    /// Cgroups and ports that listened before the creation was reported.
    early: HashMap<(u64, u16), Instant>,
    drained: Vec<oneshot::Sender<()>>,
    beats: u32,
}

/// What is known of an instance outside the weaver.
struct Standing {
    name: InstanceId,
    cgroup: Option<Cgroup>,
    /// Held while it is being made: a removal waits for the end of the making.
    making: Arc<tokio::sync::Mutex<()>>,
    /// Its first process, once it is made.
    pid: Option<u32>,
    /// Of an adopted one: connections from before that are still open.
    inherited: u32,
    /// Whether no process was in its cgroup at the last slow beat.
    was_empty: bool,
}

/// What a task of the driver's has to say.
pub(super) enum Report {
    Created { instance: u64, address: SocketAddr, cgroup: Cgroup, pid: u32 },
    Failed { instance: u64, cause: String },
    Lost { instance: u64, cause: String },
    Started,
    Removed { instance: u64 },
}

/// An instance from before, found standing and listening.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub name: InstanceId,
    /// Index of its segment.
    pub segment: usize,
    /// Where it answers.
    pub address: SocketAddr,
    /// Its cgroup.
    pub cgroup: Cgroup,
    /// Its first process.
    pub pid: u32,
}

/// What hits and waste taught an earlier agent, if it can be read.
fn stored(store: &SharedStore) -> Option<Learned> {
    let bytes = store.read(Item::Policy).map_err(|error| error.to_string());
    let read = |bytes: Vec<u8>| Learned::from_bytes(&bytes).map_err(|error| error.to_string());
    bytes.and_then(|bytes| bytes.map(read).transpose()).unwrap_or_else(|error| {
        tracing::warn!(error, "what hits and waste have taught cannot be read; the node learns it anew");
        None
    })
}

impl<R: Runtime> Driver<R> {
    /// A driver for `weaver`, and where to send it messages.
    pub fn new(mut weaver: Weaver, tools: Tools<R>, inbox: mpsc::Receiver<Message>) -> Self {
        if let Some(learned) = stored(&tools.store) {
            weaver.resume(learned, tools.clock.now_ms());
        }
        let (created, created_inbox) = mpsc::channel(64);
        let runs = Runs::new(tools.measured.clone());
        Self {
            runs,
            weaver,
            tools: Arc::new(tools),
            inbox,
            reports: JoinSet::new(),
            created,
            created_inbox,
            waiters: HashMap::new(),
            next_waiter: 1,
            deploys: HashMap::new(),
            standing: HashMap::new(),
            early: HashMap::new(),
            drained: Vec::new(),
            beats: 0,
        }
    }

    /// Takes over an instance from before.
    pub fn adopt(&mut self, found: Found) {
        let Found { name, segment, address, cgroup, pid } = found;
        let (text, cgroup_id) = (name.to_string(), cgroup.id);
        let before: Vec<u64> = self.weaver.instances.keys().copied().collect();
        self.feed(Input::Adopted { name: text, segment, address, cgroup_id });
        let Some(number) = self.weaver.instances.keys().find(|number| !before.contains(number)).copied()
        else {
            return;
        };
        watch(&self.tools, number, (segment, &self.tools.segments.get(segment)), &name, &cgroup, address);
        let inherited = inherited::connections(pid, address.port());
        let (cgroup, pid, making) = (Some(cgroup), Some(pid), Arc::default());
        self.standing.insert(number, Standing { name, cgroup, making, pid, inherited, was_empty: false });
    }

    /// Runs until every sender is gone or a drain is complete.
    pub async fn run(mut self, mut listens: mpsc::Receiver<(u64, u16)>, mut ends: mpsc::Receiver<Ending>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.feed(Input::Tick(Vec::new()));
        loop {
            tokio::select! {
                // The kernel's word first: a request that waits for it must not wait for a listing.
                biased;
                Some((cgroup_id, port)) = listens.recv() => self.listening(cgroup_id, port),
                Some(report) = self.created_inbox.recv() => self.report(report),
                Some(done) = self.reports.join_next() => self.joined(done),
                message = self.inbox.recv() => match message {
                    Some(message) => self.message(message),
                    None => return,
                },
                Some(ending) = ends.recv() => self.ended(ending),
                _ = tick.tick() => self.beat(),
            }
            if !self.drained.is_empty() && self.weaver.is_empty() {
                for done in self.drained.drain(..) {
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
                return;
            }
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.feed(input),
            Message::Demand { segment, reply } => {
                let waiter = self.next_waiter;
                self.next_waiter += 1;
                self.waiters.insert(waiter, reply);
                self.feed(Input::Demand { waiter, segment });
            }
            Message::Deploy(deploy) => self.deploy(deploy),
            Message::Adopt(found) => found.into_iter().for_each(|found| self.adopt(found)),
            Message::Look(reply) => drop(reply.send(self.view())),
            Message::Drain(done) => {
                self.drained.push(done);
                self.store();
                self.feed(Input::Drain);
            }
        }
    }

    /// Stores what hits and waste have taught, beside all else: no request waits for the disk.
    fn store(&self) {
        let (learned, store) = (self.weaver.learned(), self.tools.store.clone());
        tokio::task::spawn_blocking(move || {
            let bytes = learned.to_bytes().map_err(|error| error.to_string());
            let stored =
                bytes.and_then(|bytes| store.write(Item::Policy, &bytes).map_err(|error| error.to_string()));
            if let Err(error) = stored {
                tracing::warn!(error, "what hits and waste have taught is not stored");
            }
        });
    }

    fn deploy(&mut self, deploy: Deploy) {
        let (segment, rules) = (deploy.index, SegmentRules::of(&deploy.segment, deploy.activator));
        if self.deploys.contains_key(&segment) {
            // Whoever asked may have left.
            return drop(deploy.reply.send(Err("another version of it is being deployed".into())));
        }
        self.deploys.insert(segment, deploy);
        self.feed(Input::Deploy { segment, rules });
    }

    fn deployed(&mut self, segment: usize, verdict: Result<(), String>) {
        let Some(deploy) = self.deploys.remove(&segment) else { return };
        if verdict.is_ok() {
            let (segment, activator) = (deploy.segment, deploy.activator);
            self.tools.segments.put(deploy.index, Served { segment, activator, live: true });
        }
        // Whoever asked may have left; the version is served all the same.
        let _ = deploy.reply.send(verdict);
    }

    fn view(&self) -> View {
        View {
            now_ms: self.tools.clock.now_ms(),
            instances: self.weaver.instances.values().cloned().collect(),
            graphs: self.weaver.graphs.values().cloned().collect(),
            trouble: self.weaver.trouble.clone(),
            waiting: (0..self.weaver.rules.segments.len())
                .map(|segment| self.weaver.waiting(segment))
                .collect(),
            cold_ms: self.weaver.cold_ms.clone(),
            reserved_bytes: self.weaver.reserved_bytes(),
            spare_networks: self.tools.network.spare(),
        }
    }

    fn feed(&mut self, input: Input) {
        let now_ms = self.tools.clock.now_ms();
        for action in self.weaver.take(input, now_ms) {
            self.apply(action, now_ms);
        }
    }

    fn apply(&mut self, action: Action, now_ms: u64) {
        match action {
            Action::Create { instance, name, segment, graph, version } => {
                let rules = match version {
                    Version::Next => self.deploys.get(&segment).map(|deploy| deploy.segment.clone()),
                    Version::Current => None,
                };
                let rules = rules.unwrap_or_else(|| self.tools.segments.get(segment));
                self.create(instance, &name, segment, rules, graph);
            }
            Action::Deployed { segment, verdict } => self.deployed(segment, verdict),
            Action::Remove { instance } => self.remove(instance),
            Action::SetRoute(route) => {
                let key = crate::kernel::RouteKey { caller: route.key.caller, dial: route.key.dial };
                if let Err(error) = self.tools.routes.set(&key, &route.backends) {
                    metrics::route_error();
                    tracing::error!(%error, dial = %key.dial, "the route cannot be set; callers go the ordinary way");
                }
            }
            Action::DropRoute(key) => {
                let key = crate::kernel::RouteKey { caller: key.caller, dial: key.dial };
                if let Err(error) = self.tools.routes.remove(&key) {
                    metrics::route_error();
                    tracing::error!(%error, dial = %key.dial, "the route cannot be dropped");
                }
            }
            Action::Answer { waiter, verdict } => {
                if let Some(reply) = self.waiters.remove(&waiter) {
                    // A caller that has gone away needs no answer.
                    let _ = reply.send(verdict);
                }
            }
            Action::Note(note) => self.note(note, now_ms),
        }
    }

    fn note(&self, note: Note, now_ms: u64) {
        if self.tools.learn.try_send(learn::Message::Note(note, now_ms)).is_err() {
            metrics::dropped("learn");
        }
    }

    fn create(&mut self, instance: u64, name: &str, segment: usize, rules: Arc<Segment>, graph: Option<u64>) {
        let name = match InstanceId::new(name) {
            Ok(name) => name,
            Err(error) => {
                // Nothing of it was begun.
                self.feed(Input::Failed { instance, cause: error.to_string() });
                return self.feed(Input::Removed { instance });
            }
        };
        let making = Arc::new(tokio::sync::Mutex::new(()));
        let standing = Standing {
            name: name.clone(),
            cgroup: None,
            making: making.clone(),
            pid: None,
            inherited: 0,
            was_empty: false,
        };
        self.standing.insert(instance, standing);
        let (tools, created) = (self.tools.clone(), self.created.clone());
        self.reports.spawn(async move {
            let _making = making.lock().await;
            let graph = graph.map(|graph| graph.to_string());
            match make(&tools, instance, &name, (segment, &rules), graph, created).await {
                Ok(()) => Report::Started,
                Err(Unmade::Failed(cause)) => Report::Failed { instance, cause },
                Err(Unmade::Lost(cause)) => Report::Lost { instance, cause },
            }
        });
    }

    fn remove(&mut self, instance: u64) {
        let Some(standing) = self.standing.get(&instance) else { return };
        let (name, making, tools) = (standing.name.clone(), standing.making.clone(), self.tools.clone());
        if let Some(cgroup) = &standing.cgroup {
            self.tools.containers.vanished(cgroup.id);
            let address = self.weaver.instances.get(&instance).and_then(|instance| instance.address);
            self.tools.connections.unwatch(cgroup.id, address);
        }
        self.runs.gone(instance);
        self.reports.spawn(async move {
            let _made = making.lock().await;
            for pause in REMOVE_RETRY.into_iter().cycle() {
                match clear(&tools, &name).await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(instance = %name, error, "not removed yet; trying again"),
                }
                tokio::time::sleep(pause).await;
            }
            Report::Removed { instance }
        });
    }

    fn joined(&mut self, done: Result<Report, tokio::task::JoinError>) {
        match done {
            Ok(report) => self.report(report),
            Err(error) => tracing::error!(%error, "a creation or removal ended without a word"),
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Created { instance, address, cgroup, pid } => {
                let cgroup_id = cgroup.id;
                if let Some(standing) = self.standing.get_mut(&instance) {
                    (standing.cgroup, standing.pid) = (Some(cgroup), Some(pid));
                }
                self.feed(Input::Created { instance, address, cgroup_id });
                if self.early.remove(&(cgroup_id, address.port())).is_some() {
                    self.feed(Input::Listening { instance });
                }
            }
            Report::Failed { instance, cause } => {
                tracing::warn!(instance, cause, "an instance could not be made");
                self.feed(Input::Failed { instance, cause });
            }
            Report::Lost { instance, cause } => {
                tracing::warn!(instance, cause, "an instance was lost in the making; another is made");
                self.feed(Input::Lost { instance });
            }
            Report::Started => {}
            Report::Removed { instance } => {
                self.standing.remove(&instance);
                self.feed(Input::Removed { instance });
            }
        }
    }

    fn listening(&mut self, cgroup_id: u64, port: u16) {
        let of_cgroup =
            |standing: &Standing| standing.cgroup.as_ref().is_some_and(|cgroup| cgroup.id == cgroup_id);
        match self.standing.iter().find(|(_, standing)| of_cgroup(standing)).map(|(number, _)| *number) {
            Some(instance) => {
                let address = self.weaver.instances.get(&instance).and_then(|instance| instance.address);
                // A program may listen on other ports too; only the segment's own means that it can be asked.
                if address.is_some_and(|address| address.port() == port) {
                    self.feed(Input::Listening { instance });
                }
            }
            None => {
                self.early.retain(|_, at| at.elapsed() < Duration::from_secs(10));
                self.early.insert((cgroup_id, port), Instant::now());
            }
        }
    }

    fn ended(&mut self, ending: Ending) {
        let lost: Vec<(u64, String)> = match ending {
            Ending::One { name, pid, status, cause } => {
                // Whatever else had the name, this process is the one that was watched from its beginning.
                let is_it = |standing: &Standing| standing.name.as_str() == name && standing.pid == Some(pid);
                let found = self.standing.iter().find(|(_, standing)| is_it(standing));
                let found = found.map(|(number, standing)| (*number, standing.cgroup.clone()));
                let told = |(number, cgroup)| (number, self.last_words(number, cgroup, status, cause));
                found.map(told).into_iter().collect()
            }
            Ending::Any => {
                let dead = |standing: &Standing| {
                    standing.cgroup.as_ref().is_some_and(|cgroup| !self.tools.runtime.lives(cgroup))
                };
                let dead = self.standing.iter().filter(|(_, standing)| dead(standing));
                dead.map(|(number, _)| (*number, "its program ended while containerd was away".to_owned()))
                    .collect()
            }
        };
        for (instance, cause) in lost {
            self.feed(Input::Failed { instance, cause });
        }
    }

    fn last_words(&mut self, number: u64, cgroup: Option<Cgroup>, status: u32, cause: ExitCause) -> String {
        let killed = |cgroup: Cgroup| self.tools.runtime.ran_out_of_memory(&cgroup);
        let memory = cause == ExitCause::OutOfMemory || cgroup.is_some_and(killed);
        if memory && let Some(segment) = self.weaver.segment_as_served(number) {
            // When many die at once, those that are told of are enough.
            let limit = self.weaver.rules.segments[segment].memory_bytes;
            let _ = self.tools.starved.try_send((segment, limit));
            if Runs::counts(&self.tools.segments.get(segment)) {
                self.runs.starved(segment, limit);
            }
        }
        let why = if memory { " after it ran out of memory" } else { "" };
        format!("its program ended with status {status}{why}")
    }

    fn beat(&mut self) {
        self.beats = self.beats.wrapping_add(1);
        let slow = self.beats.is_multiple_of(MEMORY_TICKS);
        if self.beats.is_multiple_of(STORE_TICKS) {
            self.store();
        }
        let mut readings = Vec::with_capacity(self.standing.len());
        let mut listening = Vec::new();
        for (&instance, standing) in &mut self.standing {
            let Some(cgroup) = &standing.cgroup else { continue };
            let Some(of_weaver) = self.weaver.instances.get(&instance) else { continue };
            let connected = self.tools.connections.read(cgroup.id);
            // The ring's word comes first; where it was lost, the map has it.
            if connected.listens && of_weaver.state == InstanceState::Creating {
                listening.push(instance);
            }
            if let (true, 1.., Some(pid), Some(address)) =
                (slow, standing.inherited, standing.pid, of_weaver.address)
            {
                standing.inherited = inherited::connections(pid, address.port());
            }
            let open = self.tools.runtime.open_connections(cgroup).unwrap_or(connected.open);
            let open = open.max(standing.inherited);
            if let (true, true, Some(pid)) = (slow, of_weaver.is_open(), standing.pid)
                && Runs::counts(&self.tools.segments.get(of_weaver.segment))
            {
                let (segment, uses, tools) = (of_weaver.segment, of_weaver.uses, &self.tools);
                self.runs.look((instance, segment), (uses, open), || {
                    let spent = tools.runtime.spent(cgroup)?;
                    let network_bytes = network_bytes(pid);
                    let counts = Counts { spent, network_bytes, busy: connected.busy, uses };
                    Some((counts, tools.containers.shares(segment)))
                });
            }
            let known = of_weaver.memory_bytes;
            let memory_bytes = if known == 0 || slow {
                self.tools.runtime.usage(cgroup).map_or(known, |usage| usage.memory_bytes)
            } else {
                known
            };
            readings.push(Reading { instance, open, memory_bytes });
        }
        self.tools.network.want_spare(SPARE_MIN + self.weaver.planned());
        listening.into_iter().for_each(|instance| self.feed(Input::Listening { instance }));
        if slow {
            let cause = "its program ended; containerd has not told how";
            for instance in self.extinct() {
                self.feed(Input::Failed { instance, cause: cause.to_owned() });
            }
        }
        // Callers that gave up make room for others.
        let gone: Vec<u64> =
            self.waiters.iter().filter(|(_, reply)| reply.is_closed()).map(|(id, _)| *id).collect();
        for waiter in gone {
            self.waiters.remove(&waiter);
            self.feed(Input::Withdrawn { waiter });
        }
        self.feed(Input::Tick(readings));
    }

    /// Instances without a process at two slow beats in a row. containerd's word comes sooner and says more, but not while
    /// it is away.
    fn extinct(&mut self) -> Vec<u64> {
        let mut extinct = Vec::new();
        for (&instance, standing) in &mut self.standing {
            let empty = standing.cgroup.as_ref().is_some_and(|cgroup| !self.tools.runtime.lives(cgroup));
            if empty && standing.was_empty {
                extinct.push(instance);
            }
            standing.was_empty = empty;
        }
        extinct
    }
}
