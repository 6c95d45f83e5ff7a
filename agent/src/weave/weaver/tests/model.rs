//! A node in small: a runtime that makes, loses and removes instances as its fates have it, callers that dial what the
//! routes say, and a kernel that counts their connections. After every input it checks what must always hold.

use std::collections::BTreeSet;

use super::*;
use crate::weave::plan::{GRAPH_NODES_MAX, GRAPHS_MAX};

/// Longer than anything of the rules lasts.
const LONG_MS: u64 = 120_000;

/// What becomes of an instance that is ordered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// It listens after so many milliseconds.
    Listens(u64),
    /// It cannot be made, as is known after so many milliseconds.
    Fails(u64),
    /// Whether it was made is not known, as is known after so many milliseconds.
    IsLost(u64),
    /// Nothing more is heard of it.
    Hangs,
    /// It listens after so many milliseconds, and ends so many later.
    Dies(u64, u64),
}

/// What comes to pass at a time.
#[derive(Debug)]
enum Event {
    Heard(Input),
    /// A request that was let in connects.
    Connects(u64),
    Removed(u64),
}

pub(super) struct Model {
    pub(super) weaver: Weaver,
    pub(super) now_ms: u64,
    /// Fates of the instances to come, in a round.
    pub(super) fates: Vec<Fate>,
    ordered: usize,
    agenda: BTreeMap<(u64, usize), Event>,
    planned: usize,
    routes: BTreeMap<RouteKey, Vec<SocketAddr>>,
    /// Instances that the runtime has or is removing: segment.
    standing: BTreeMap<u64, usize>,
    removed: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    /// Connections that are open in truth.
    open: BTreeMap<u64, u32>,
    /// Connections that the weaver was told of, and those that it let in since.
    told: BTreeMap<u64, u32>,
    /// Who waits: segment, and since when.
    pub(super) waiting: BTreeMap<u64, (usize, u64)>,
    done: BTreeSet<u64>,
    /// Versions that wait to be served, by segment.
    deploying: BTreeMap<usize, usize>,
    pub(super) refused: usize,
    claims: BTreeSet<(u64, usize, Asker)>,
    states: BTreeMap<u64, InstanceState>,
    graphs: BTreeMap<u64, GraphState>,
    spent: BTreeMap<u64, Vec<bool>>,
    next: u64,
}

impl Model {
    pub(super) fn new(rules: Rules, fates: Vec<Fate>) -> Self {
        let mut model = Self {
            weaver: Weaver::new(rules),
            now_ms: 1_000_000,
            fates,
            ordered: 0,
            agenda: BTreeMap::new(),
            planned: 0,
            routes: BTreeMap::new(),
            standing: BTreeMap::new(),
            removed: BTreeSet::new(),
            failed: BTreeSet::new(),
            open: BTreeMap::new(),
            told: BTreeMap::new(),
            waiting: BTreeMap::new(),
            done: BTreeSet::new(),
            deploying: BTreeMap::new(),
            refused: 0,
            claims: BTreeSet::new(),
            states: BTreeMap::new(),
            graphs: BTreeMap::new(),
            spent: BTreeMap::new(),
            next: 1,
        };
        model.tick();
        model
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    pub(super) fn demand(&mut self, segment: usize) {
        let waiter = self.number();
        self.waiting.insert(waiter, (segment, self.now_ms));
        self.feed(Input::Demand { waiter, segment });
    }

    /// The `nth` of those who wait hangs up.
    pub(super) fn withdraw(&mut self, nth: usize) {
        let Some(waiter) = pick(self.waiting.keys().copied(), nth) else { return };
        self.waiting.remove(&waiter);
        self.done.insert(waiter);
        self.feed(Input::Withdrawn { waiter });
    }

    /// A version of a segment is to be served; of a new one where it is none of those that there are.
    pub(super) fn deploy(&mut self, segment: usize) {
        let all = &self.weaver.rules.segments;
        let segment = segment.min(all.len());
        let rules = all.get(segment).cloned().unwrap_or_else(|| SegmentRules {
            name: format!("s{segment}"),
            address: SocketAddr::from(([10, 97, 0, segment as u8], 80)),
            ..all[0].clone()
        });
        *self.deploying.entry(segment).or_default() += 1;
        self.feed(Input::Deploy { segment, rules });
    }

    /// Somebody dials a segment: its instance takes the connection, or the activator holds it.
    pub(super) fn dial(&mut self, segment: usize, nth: usize, asker: Asker) {
        let dial = self.weaver.rules.segments[segment].address;
        let Some(backends) = self.routes.get(&RouteKey { caller: None, dial }) else { return };
        let backend = backends[nth % backends.len()];
        if Some(backend) == self.weaver.rules.segments[segment].activator {
            return self.demand(segment);
        }
        let instance = u64::from(backend.port());
        assert!(!self.removed.contains(&instance), "the route leads to what is being removed");
        *self.open.entry(instance).or_default() += 1;
        self.feed(Input::Served { instance, asker, at_ms: self.now_ms });
    }

    /// The `nth` of the instances with a connection has one less.
    pub(super) fn close(&mut self, nth: usize) {
        let busy = self.open.iter().filter(|(_, open)| **open > 0).map(|(instance, _)| *instance);
        if let Some(instance) = pick(busy, nth) {
            *self.open.entry(instance).or_default() -= 1;
        }
    }

    pub(super) fn close_all(&mut self) {
        self.open.clear();
    }

    pub(super) fn adopt(&mut self, segment: usize) {
        let address = address(self.weaver.next);
        let cgroup_id = 1_000 + self.weaver.next;
        self.feed(Input::Adopted { name: "old".into(), segment, address, cgroup_id });
    }

    /// The `nth` of all instances that ever were, or one that never was.
    pub(super) fn any(&self, nth: usize) -> u64 {
        nth as u64 % (self.weaver.next + 2)
    }

    /// Lets time pass. Whatever is due comes to pass, and the clock beats as the driver's does.
    pub(super) fn wait(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            let beat_ms = end_ms.min(self.now_ms + BEAT_MS);
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= beat_ms) {
                let ((at_ms, _), event) = entry.remove_entry();
                self.now_ms = self.now_ms.max(at_ms);
                self.happen(event);
            }
            self.now_ms = beat_ms;
            self.tick();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Heard(input) => {
                if let Input::Failed { instance, .. } = input {
                    self.failed.insert(instance);
                    self.open.remove(&instance);
                }
                self.feed(input);
            }
            Event::Connects(instance) if self.failed.contains(&instance) => {}
            Event::Connects(instance) => {
                assert!(!self.removed.contains(&instance), "what was let in finds nothing");
                *self.open.entry(instance).or_default() += 1;
            }
            Event::Removed(instance) => {
                self.standing.remove(&instance);
                self.feed(Input::Removed { instance });
            }
        }
    }

    fn later(&mut self, ms: u64, event: Event) {
        self.planned += 1;
        self.agenda.insert((self.now_ms + ms, self.planned), event);
    }

    /// The beat, with what the kernel counts now.
    pub(super) fn tick(&mut self) {
        let known = self.weaver.instances.values().filter(|instance| instance.cgroup_id.is_some());
        let readings: Vec<Reading> = known
            .map(|instance| Reading {
                instance: instance.number,
                open: self.open.get(&instance.number).copied().unwrap_or(0),
                memory_bytes: 32 * MIB,
            })
            .collect();
        self.told = readings.iter().map(|reading| (reading.instance, reading.open)).collect();
        self.feed(Input::Tick(readings));
    }

    /// A reading of one instance alone, as it is.
    pub(super) fn stray_reading(&mut self, instance: u64) {
        let open = self.open.get(&instance).copied().unwrap_or(0);
        if self.weaver.instances.contains_key(&instance) {
            self.told.insert(instance, open);
        }
        self.feed(Input::Tick(vec![Reading { instance, open, memory_bytes: 0 }]));
    }

    pub(super) fn feed(&mut self, input: Input) {
        let adopted = matches!(input, Input::Adopted { .. }).then_some(self.weaver.next);
        if let Input::Failed { instance, .. } = input {
            self.failed.insert(instance);
        }
        let actions = self.weaver.take(input, self.now_ms);
        if let Some(instance) = adopted.and_then(|number| self.weaver.instances.get(&number)) {
            self.standing.insert(instance.number, instance.segment);
        }
        for action in &actions {
            self.apply(action);
        }
        self.check(&actions);
    }

    fn apply(&mut self, action: &Action) {
        match action {
            Action::Create { instance, segment, .. } => {
                assert_eq!(self.standing.insert(*instance, *segment), None, "made once");
                self.make(*instance);
            }
            Action::Remove { instance } => self.remove(*instance),
            Action::SetRoute(route) => drop(self.routes.insert(route.key, route.backends.clone())),
            Action::DropRoute(key) => {
                assert!(self.routes.remove(key).is_some(), "only what is there is dropped")
            }
            Action::Answer { waiter, verdict } => {
                assert!(self.waiting.remove(waiter).is_some(), "an answer to someone who does not wait");
                assert!(self.done.insert(*waiter), "a second answer");
                match verdict {
                    Ok(admission) => {
                        assert_eq!(admission.address, address(admission.instance));
                        *self.told.entry(admission.instance).or_default() += 1;
                        let slowly_ms = waiter * 37 % 100;
                        self.later(slowly_ms, Event::Connects(admission.instance));
                    }
                    Err(refusal) => {
                        self.refused += 1;
                        assert!(refusal.retry_after_ms > 0 && !refusal.cause.is_empty(), "{refusal:?}");
                    }
                }
            }
            Action::Deployed { segment, verdict } => {
                let waiting = self.deploying.get_mut(segment).expect("an answer to a deployment");
                *waiting = waiting.checked_sub(1).expect("one answer to each");
                if verdict.is_ok() {
                    // A node that drains may be emptying it already.
                    let stands = |i: &Instance| i.segment == *segment && i.state != InstanceState::Gone;
                    assert!(self.weaver.instances.values().any(stands), "what is served stands");
                }
            }
            Action::Note(note) => self.note(note),
        }
    }

    fn make(&mut self, instance: u64) {
        let fate = self.fates[self.ordered % self.fates.len()];
        self.ordered += 1;
        let created = Input::Created { instance, address: address(instance), cgroup_id: 1_000 + instance };
        let failed = |cause: &str| Event::Heard(Input::Failed { instance, cause: cause.into() });
        match fate {
            Fate::Listens(ms) | Fate::Dies(ms, _) => {
                self.later(ms / 2, Event::Heard(created));
                self.later(ms, Event::Heard(Input::Listening { instance }));
            }
            Fate::Fails(ms) => self.later(ms, failed("exit status 1")),
            Fate::IsLost(ms) => self.later(ms, Event::Heard(Input::Lost { instance })),
            Fate::Hangs => {}
        }
        if let Fate::Dies(ms, life_ms) = fate {
            self.later(ms + life_ms, failed("exit status 2"));
        }
    }

    fn remove(&mut self, instance: u64) {
        assert!(self.standing.contains_key(&instance), "what is removed was made");
        assert!(self.removed.insert(instance), "removed once");
        for (key, backends) in &self.routes {
            assert!(!backends.contains(&address(instance)), "{key:?} still leads there");
        }
        let never_listened = self.weaver.instances[&instance].ready_ms.is_none();
        if !self.failed.contains(&instance) && !never_listened {
            assert_eq!(self.told.get(&instance).copied().unwrap_or(0), 0, "removed with connections open");
            assert_eq!(self.open.get(&instance).copied().unwrap_or(0), 0, "removed with work in flight");
        }
        self.later(instance * 53 % 300, Event::Removed(instance));
    }

    fn note(&mut self, note: &Note) {
        match *note {
            Note::Instance { instance, state, .. } => {
                let before = self.states.insert(instance, state);
                assert!(may_become(before, state), "instance {instance}: {before:?} to {state:?}");
            }
            Note::Graph { graph, state, .. } => {
                let before = self.graphs.insert(graph, state);
                assert!(graph_may_become(before, state), "graph {graph}: {before:?} to {state:?}");
            }
            Note::Claimed { forecast, segment, asker, instance, deadline_ms, .. } => {
                assert!(self.claims.insert((forecast, segment, asker)), "claimed twice");
                assert!(self.standing.contains_key(&instance) && !self.removed.contains(&instance));
                assert!(deadline_ms > self.now_ms);
            }
            Note::Weighed { ref bars, .. } => {
                assert!(bars.iter().flatten().all(|weighed| weighed.bar >= 0.0 && weighed.waste_gb_s > 0.0));
            }
            Note::Spent { instance, used, idle_mb_s, .. } => {
                assert!(idle_mb_s >= 0.0 && idle_mb_s.is_finite());
                let spent = self.spent.entry(instance).or_default();
                spent.push(used);
                let first_use = spent[..] == [true];
                let end = matches!(spent[..], [false] | [true, true])
                    && self.states[&instance] == InstanceState::Gone;
                assert!(first_use || end, "instance {instance}: {spent:?}");
            }
        }
    }

    fn check(&self, actions: &[Action]) {
        self.check_budget(actions);
        self.check_routes();
        let rules = &self.weaver.rules;
        for (waiter, (segment, since_ms)) in &self.waiting {
            let limit_ms = rules.segments[*segment].start_timeout_ms + BEAT_MS;
            assert!(self.now_ms <= since_ms + limit_ms, "request {waiter} waits for more than {limit_ms} ms");
        }
        let waiting: usize = (0..rules.segments.len()).map(|segment| self.weaver.waiting(segment)).sum();
        assert_eq!(waiting, self.waiting.len());
        for (number, instance) in &self.weaver.instances {
            assert_eq!(self.states[number], instance.state, "every change is told");
        }
        assert!(self.weaver.graphs.len() <= GRAPHS_MAX);
        for (number, graph) in &self.weaver.graphs {
            assert_eq!(self.graphs[number], graph.state, "every change is told");
            assert!(graph.nodes.len() <= GRAPH_NODES_MAX);
        }
    }

    fn check_budget(&self, actions: &[Action]) {
        let rules = &self.weaver.rules;
        let ahead =
            |number: &u64| self.weaver.instances.get(number).is_some_and(|i| i.origin == Origin::Forecast);
        let made = |action: &Action| matches!(action, Action::Create { instance, .. } if ahead(instance));
        if actions.iter().any(made) {
            let bytes: u64 =
                self.standing.values().map(|segment| rules.segments[*segment].memory_bytes).sum();
            assert!(bytes <= rules.memory_bytes, "{bytes} bytes of {}", rules.memory_bytes);
            assert!(self.standing.len() <= rules.instances, "{} instances", self.standing.len());
        }
        let creating = |i: &&Instance| i.state == InstanceState::Creating && i.origin == Origin::Forecast;
        assert!(self.weaver.instances.values().filter(creating).count() <= rules.creating);
    }

    fn check_routes(&self) {
        assert_eq!(self.routes, routes::desired(&self.weaver), "the kernel's table is the one called for");
        let activators: Vec<_> =
            self.weaver.rules.segments.iter().filter_map(|segment| segment.activator).collect();
        for backend in self.routes.values().flatten().filter(|backend| !activators.contains(backend)) {
            let instance = &self.weaver.instances[&u64::from(backend.port())];
            assert!(instance.is_open(), "a route leads to an instance that is {:?}", instance.state);
        }
    }

    /// Nobody asks any more, every connection ends, and the node drains.
    pub(super) fn end(&mut self) {
        self.feed(Input::Drain);
        let end_ms = self.now_ms + LONG_MS;
        while self.now_ms < end_ms && !(self.weaver.is_empty() && self.weaver.graphs.is_empty()) {
            self.close_all();
            self.wait(BEAT_MS);
        }
        assert_eq!(self.waiting, BTreeMap::new());
        assert!(self.weaver.is_empty(), "{:?}", self.weaver.instances);
        assert!(self.weaver.graphs.is_empty(), "{:?}", self.weaver.graphs);
        assert_eq!(self.standing, BTreeMap::new());
        assert_eq!(self.routes, BTreeMap::new(), "all callers go the ordinary way");
        assert!(self.deploying.values().all(|waiting| *waiting == 0), "{:?}", self.deploying);
    }
}

fn address(instance: u64) -> SocketAddr {
    SocketAddr::from(([10, 201, 1, 1], instance as u16))
}

fn pick(from: impl Iterator<Item = u64>, nth: usize) -> Option<u64> {
    let all: Vec<u64> = from.collect();
    all.get(nth % all.len().max(1)).copied()
}

/// The machine drawn in the module's head.
fn may_become(before: Option<InstanceState>, after: InstanceState) -> bool {
    use InstanceState::{Creating, Draining, Gone, Ready, Serving};
    match before {
        None => matches!(after, Creating | Serving),
        Some(Creating) => matches!(after, Ready | Gone),
        Some(Ready) => matches!(after, Serving | Draining | Gone),
        Some(Serving) => matches!(after, Serving | Draining | Gone),
        Some(Draining) => matches!(after, Ready | Serving | Draining | Gone),
        Some(Gone) => false,
    }
}

fn graph_may_become(before: Option<GraphState>, after: GraphState) -> bool {
    use GraphState::{Draining, Gone, Planned, Ready, Serving, Weaving};
    match before {
        None => after == Planned,
        Some(Planned) => matches!(after, Weaving | Ready | Serving | Draining),
        Some(Weaving) => matches!(after, Ready | Serving | Draining),
        Some(Ready) => matches!(after, Weaving | Serving | Draining),
        Some(Serving) => after == Draining,
        Some(Draining) => after == Gone,
        Some(Gone) => false,
    }
}
