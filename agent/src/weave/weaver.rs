//! The weaver's decisions. In: [`Input`]s and the time. Out: [`Action`]s. Pure: it reads no clock and does no I/O,
//! so that live and replay share it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use weft_models::policy::{Known, Learned, Rule, Steps};

use super::demand::{Counts, Waiter};
use super::deploy::Deployments;
use super::instance::{Instance, InstanceState, Origin};
use super::routes::{self, Route, RouteKey};
use super::standing::Standing;
use super::trouble::Trouble;
use super::{Action, Asker, Found, Graph, Input, Note, Reading, Version};
use crate::config::{Miss, Segment};

/// What a cold start is taken to last before one was seen.
pub(super) const COLD_GUESS_MS: f64 = 300.0;

/// What the weaver goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The segments, in the order of the configuration.
    pub segments: Vec<SegmentRules>,
    /// Memory that all instances may have reserved when one is made ahead of demand, in bytes.
    pub memory_bytes: u64,
    /// Instances that may stand when one is made ahead of demand.
    pub instances: usize,
    /// Creations ahead of demand that may be under way at a time.
    pub creating: usize,
    /// How long an instance stays after its last request.
    pub keep_alive_ms: u64,
    /// Whether forecasts of time decide how long an instance stands, and the keep-alive is what they are measured by.
    pub timing: bool,
    /// The least confidence for which something is made; if there is none, what steps were worth before says it.
    pub confidence: Option<f64>,
    /// Whether forecasts are acted upon.
    pub weave: bool,
    /// Distinguishes the names that this run of the agent gives from those of earlier ones.
    pub epoch: String,
}

/// What the weaver knows of a segment.
#[derive(Debug, Clone)]
pub struct SegmentRules {
    /// Its name.
    pub name: String,
    /// What callers dial.
    pub address: SocketAddr,
    /// Where its misses are taken in, if the activator takes them.
    pub activator: Option<SocketAddr>,
    /// What becomes of a miss.
    pub miss: Miss,
    /// Memory that one instance reserves, in bytes.
    pub memory_bytes: u64,
    /// Requests that one instance may hold at a time, counted as connections; at least 1.
    pub concurrency: u32,
    /// How long a request waits for an instance.
    pub start_timeout_ms: u64,
}

impl SegmentRules {
    /// What of a segment matters here, and where its misses go.
    pub fn of(segment: &Segment, activator: Option<SocketAddr>) -> Self {
        Self {
            name: segment.name.clone(),
            address: segment.address,
            activator,
            miss: segment.miss,
            memory_bytes: segment.limits.memory.0,
            concurrency: segment.limits.concurrency,
            start_timeout_ms: segment.start_timeout().as_millis() as u64,
        }
    }
}

/// The weaver: all instances and graphs of the node.
#[derive(Debug)]
pub struct Weaver {
    /// What it goes by.
    pub rules: Rules,
    /// All instances, by number.
    pub instances: BTreeMap<u64, Instance>,
    /// All graphs, by number.
    pub graphs: BTreeMap<u64, Graph>,
    /// Failures, by segment.
    pub trouble: Vec<Trouble>,
    /// Mean time from the start of the making to listening, by segment.
    pub cold_ms: Vec<f64>,
    pub(super) waiting: Vec<VecDeque<Waiter>>,
    pub(super) deployments: Deployments,
    pub(super) standing: Option<Standing>,
    pub(super) steps: Steps<Asker>,
    routes: BTreeMap<RouteKey, Vec<SocketAddr>>,
    next: u64,
    now_ms: u64,
    pub(super) draining: bool,
    /// Whether the routes may have changed.
    pub(super) rerouted: bool,
    pub(super) actions: Vec<Action>,
}

/// How much an input may change. Requests and forecasts come by the thousand: they see to what they touch and leave the
/// rest to the beat.
enum Scope {
    Own,
    All(Counts),
}

impl Scope {
    fn of(input: &Input) -> Self {
        match input {
            Input::Forecast(_) | Input::Demand { .. } | Input::Withdrawn { .. } => Self::Own,
            Input::Created { .. } | Input::Served { .. } => Self::Own,
            Input::Listening { .. } | Input::Failed { .. } | Input::Removed { .. } => Self::All(Counts::Old),
            Input::Lost { .. } | Input::Adopted { .. } | Input::Deploy { .. } | Input::Drain => {
                Self::All(Counts::Old)
            }
            Input::Tick(_) => Self::All(Counts::Fresh),
        }
    }
}

impl Weaver {
    /// A weaver with nothing made.
    pub fn new(rules: Rules) -> Self {
        let count = rules.segments.len();
        let standing = (rules.timing && rules.weave).then(|| Standing::new(rules.keep_alive_ms));
        let steps = Steps::new(Rule::of_keep_alive(rules.keep_alive_ms.saturating_mul(1_000)));
        Self {
            rules,
            standing,
            steps,
            instances: BTreeMap::new(),
            graphs: BTreeMap::new(),
            trouble: vec![Trouble::default(); count],
            cold_ms: vec![COLD_GUESS_MS; count],
            waiting: (0..count).map(|_| VecDeque::new()).collect(),
            deployments: Deployments::new(count),
            routes: BTreeMap::new(),
            next: 1,
            now_ms: 0,
            draining: false,
            rerouted: true,
            actions: Vec::new(),
        }
    }

    /// Takes one input; returns what is to be done, in order.
    pub fn take(&mut self, input: Input, now_ms: u64) -> Vec<Action> {
        // A clock that steps back stands still until it has caught up.
        self.now_ms = self.now_ms.max(now_ms);
        let (now_ms, scope) = (self.now_ms, Scope::of(&input));
        match input {
            Input::Forecast(forecast) => self.plan(&forecast, now_ms),
            Input::Demand { waiter, segment } => self.demand(waiter, segment, now_ms),
            Input::Withdrawn { waiter } => {
                self.waiting.iter_mut().for_each(|queue| queue.retain(|w| w.id != waiter))
            }
            Input::Created { instance, address, cgroup_id } => self.created(instance, address, cgroup_id),
            Input::Listening { instance } => self.listening(instance, now_ms),
            Input::Failed { instance, cause } => self.failed(instance, &cause, now_ms),
            Input::Lost { instance } => self.lost(instance, now_ms),
            Input::Removed { instance } => self.removed(instance, now_ms),
            Input::Served { instance, asker, at_ms } => self.served(instance, asker, at_ms, now_ms),
            Input::Adopted { name, segment, address, cgroup_id } => {
                self.adopted(name, segment, address, cgroup_id, now_ms);
            }
            Input::Deploy { segment, rules } => self.deploy(segment, rules, now_ms),
            Input::Tick(readings) => {
                self.steps.pass(now_ms * 1_000);
                self.read(&readings, now_ms);
            }
            Input::Drain => (self.draining, self.rerouted) = (true, true),
        }
        if let Scope::All(counts) = scope {
            self.look_over(counts, now_ms);
        }
        self.publish();
        std::mem::take(&mut self.actions)
    }

    /// Whether a drain is complete.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Instances that are to be made ahead within a little while, by what is forecast.
    pub fn planned(&self) -> usize {
        let planned = |graph: &Graph| {
            graph.nodes.iter().filter(|node| node.instance.is_none() && !node.is_over(self.now_ms)).count()
        };
        self.graphs.values().map(planned).sum()
    }

    /// Requests that wait for a segment.
    pub fn waiting(&self, segment: usize) -> usize {
        self.waiting[segment].len()
    }

    /// What hits and waste have taught so far.
    pub fn learned(&self) -> Learned {
        let standing = self.standing.as_ref();
        let named = self.rules.segments.iter().enumerate();
        let known = named.filter_map(|(index, rules)| standing?.known(index, &rules.name));
        Learned {
            standing: standing.map(Standing::tuner).cloned().unwrap_or_default(),
            steps: self.steps.tuner().clone(),
            segments: known.collect(),
        }
    }

    /// Goes on from what was learned before. Of calls that are yet to come nothing is taken over: the clock was put back since.
    pub fn resume(&mut self, learned: Learned, now_ms: u64) {
        self.steps.set_tuner(learned.steps);
        let Some(standing) = &mut self.standing else { return };
        standing.set_tuner(learned.standing);
        let past = |known: &Known| known.rhythm.last_us() <= now_ms * 1_000;
        for known in learned.segments.into_iter().filter(past) {
            let of_name = |rules: &SegmentRules| rules.name == known.segment;
            let Some(segment) = self.rules.segments.iter().position(of_name) else { continue };
            self.steps.resume(segment as u32, known.calls, known.first_us);
            standing.resume(segment, known);
        }
    }

    /// Memory that all instances have reserved, in bytes.
    pub fn reserved_bytes(&self) -> u64 {
        self.instances.values().map(|instance| self.rules.segments[instance.segment].memory_bytes).sum()
    }

    fn look_over(&mut self, counts: Counts, now_ms: u64) {
        self.prove(now_ms);
        self.give_up(now_ms);
        self.attend(counts, now_ms);
        self.time_out(now_ms);
        self.weave_planned(now_ms);
        self.turn_graphs(now_ms);
        self.decide_standing(now_ms);
        self.expire_instances(counts, now_ms);
    }

    pub(super) fn create(&mut self, segment: usize, origin: Origin, graph: Option<u64>, now_ms: u64) -> u64 {
        let number = self.number();
        let name = format!("{}-{}-{number}", self.rules.segments[segment].name, self.rules.epoch);
        let (version, of) = match origin {
            Origin::Deploy => (Version::Next, self.deployments.version(segment) + 1),
            _ => (Version::Current, self.deployments.version(segment)),
        };
        self.instances.insert(number, Instance::new(number, name.clone(), segment, of, origin, now_ms));
        self.actions.push(Action::Create { instance: number, name, segment, graph, version });
        let cause = match origin {
            Origin::Demand => "demand",
            Origin::Deploy => "deploy",
            Origin::Forecast | Origin::Adopted => "forecast",
        };
        self.note_of_graph(number, graph, cause);
        number
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn created(&mut self, number: u64, address: SocketAddr, cgroup_id: u64) {
        if let Some(instance) = self.instances.get_mut(&number) {
            (instance.address, instance.cgroup_id) = (Some(address), Some(cgroup_id));
            self.rerouted = true;
        }
    }

    fn listening(&mut self, number: u64, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        if instance.state != InstanceState::Creating || instance.address.is_none() {
            return;
        }
        instance.state = InstanceState::Ready;
        instance.ready_ms = Some(now_ms);
        let (segment, took_ms) = (instance.segment, (now_ms - instance.created_ms) as f64);
        self.cold_ms[segment] += (took_ms - self.cold_ms[segment]) * 0.2;
        // The pause is over; the trouble is when the instance has proved itself.
        self.trouble[segment].until_ms = self.trouble[segment].until_ms.min(now_ms);
        self.note_instance(number, "listens");
        self.succeed(number, now_ms);
        let found = match self.instances[&number].origin {
            Origin::Forecast => Found::Creating,
            _ => Found::Nothing,
        };
        while self.instances[&number].open < self.rules.segments[segment].concurrency {
            let Some(waiter) = self.waiting[segment].pop_front() else { break };
            self.admit(waiter.id, number, found, now_ms);
        }
    }

    /// No fault of its segment's: who waits for it gets another.
    fn lost(&mut self, number: u64, now_ms: u64) {
        if self.instances.get(&number).is_some_and(|instance| instance.state == InstanceState::Creating) {
            self.give_up_version(number, "containerd went away while its first instance was made");
            self.remove(number, "lost", now_ms);
        }
    }

    fn removed(&mut self, number: u64, now_ms: u64) {
        // The books of one that vanished untold are closed now.
        self.retire(number, "vanished", now_ms);
        self.instances.remove(&number);
    }

    /// Somebody uses an instance: by a request, or by a connection whose requests cannot be read.
    pub(super) fn touch(&mut self, number: u64, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let segment = instance.segment;
        // How long it stays is decided anew when it is idle.
        instance.kept_ms = 0;
        if instance.used_ms.replace(now_ms).is_none() {
            let idle_mb_s = instance.take_idle_mb_s(now_ms);
            self.actions.push(Action::Note(Note::Spent { instance: number, segment, idle_mb_s, used: true }));
        }
        if instance.state == InstanceState::Ready {
            instance.state = InstanceState::Serving;
            self.note_instance(number, "used");
        }
    }

    fn served(&mut self, number: u64, asker: Asker, at_ms: u64, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        instance.uses += 1;
        let segment = instance.segment;
        self.steps.called(segment as u32, asker, at_ms * 1_000);
        // The first to come to what was made on demand is who it was made for.
        let first = instance.uses == 1 && instance.origin == Origin::Demand;
        self.called(segment, if first { Found::Nothing } else { Found::Ready }, now_ms);
        let Some(instance) = self.instances.get_mut(&number) else { return };
        // The word of a request may come after the end of its instance, whose books are closed.
        if instance.state != InstanceState::Gone {
            self.touch(number, now_ms);
            self.proved(number);
        }
        for graph in self.graphs.values_mut() {
            if let Some(node) = graph.nodes.iter_mut().find(|node| node.expects(segment, asker, at_ms)) {
                node.used = true;
                node.deadline_ms = now_ms;
            }
        }
    }

    fn adopted(&mut self, name: String, segment: usize, address: SocketAddr, cgroup_id: u64, now_ms: u64) {
        if segment >= self.rules.segments.len() {
            return;
        }
        let number = self.number();
        let version = self.deployments.version(segment);
        let mut instance = Instance::new(number, name, segment, version, Origin::Adopted, now_ms);
        (instance.address, instance.cgroup_id) = (Some(address), Some(cgroup_id));
        (instance.state, instance.ready_ms, instance.used_ms) =
            (InstanceState::Serving, Some(now_ms), Some(now_ms));
        instance.proven = true;
        self.instances.insert(number, instance);
        self.note_instance(number, "adopted");
    }

    fn read(&mut self, readings: &[Reading], now_ms: u64) {
        for reading in readings {
            let Some(instance) = self.instances.get_mut(&reading.instance) else { continue };
            if instance.state == InstanceState::Gone {
                continue;
            }
            instance.meter(now_ms);
            self.rerouted |= instance.open != reading.open;
            (instance.open, instance.memory_bytes) = (reading.open, reading.memory_bytes);
            if reading.open > 0 {
                self.touch(reading.instance, now_ms);
            }
        }
    }

    /// Writes what differs between the table that is called for and the one that is in the kernel.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.rerouted) {
            return;
        }
        let table = routes::desired(self);
        let mut changes = Vec::new();
        for (key, backends) in &table {
            if self.routes.get(key) != Some(backends) {
                changes.push(Action::SetRoute(Route { key: *key, backends: backends.clone() }));
            }
        }
        changes.extend(
            self.routes.keys().filter(|key| !table.contains_key(key)).map(|key| Action::DropRoute(*key)),
        );
        self.routes = table;
        // Routes change before anything they led to is removed.
        changes.append(&mut self.actions);
        self.actions = changes;
    }

    pub(super) fn note_instance(&mut self, number: u64, cause: &'static str) {
        let holds = |graph: &&Graph| graph.nodes.iter().any(|node| node.instance == Some(number));
        let graph = self.graphs.values().find(holds).map(|graph| graph.number);
        self.note_of_graph(number, graph, cause);
    }

    fn note_of_graph(&mut self, number: u64, graph: Option<u64>, cause: &'static str) {
        let Some(instance) = self.instances.get(&number) else { return };
        let (name, segment, state) = (instance.name.clone(), instance.segment, instance.state);
        self.rerouted = true;
        self.actions.push(Action::Note(Note::Instance {
            instance: number,
            name,
            segment,
            graph,
            state,
            cause,
        }));
    }
}

#[cfg(test)]
mod tests;
