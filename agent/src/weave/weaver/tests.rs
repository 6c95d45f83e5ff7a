//! Stories of the weaver on a virtual clock. A [`Story`] plays driver, runtime and kernel: it keeps the route table
//! that the actions lead to, counts connections, reports removals one beat later, and checks after every input that
//! the table is the one that the weaver's state calls for.

mod demand;
mod deploy;
mod forecast;
mod life;
mod links;
mod model;
mod properties;
mod standing;
mod worth;

use super::*;
use crate::weave::demand::{INSTANCES_MAX, WAITERS_MAX};
use crate::weave::expire::DRAIN_GRACE_MS;
use crate::weave::plan::{GRAPH_NODES_MAX, GRAPHS_MAX};
use crate::weave::trouble::PROVEN_MS;
use crate::weave::{Admission, Forecast, GraphState, Refusal, Step};

/// As the driver's.
const BEAT_MS: u64 = 50;
const MIB: u64 = 1 << 20;
const USER: Asker = Asker::Principal(7);

/// Rules for `count` segments of 64 MiB, of which four fit into the budget, two in the making at a time.
fn rules(count: usize) -> Rules {
    let segment = |index: usize| SegmentRules {
        name: format!("s{index}"),
        address: SocketAddr::from(([10, 96, (index >> 8) as u8, index as u8], 80)),
        activator: Some(SocketAddr::from(([10, 201, 0, 1], 9000 + index as u16))),
        miss: Miss::Activate,
        memory_bytes: 64 * MIB,
        concurrency: 2,
        start_timeout_ms: 2_000,
    };
    Rules {
        segments: (0..count).map(segment).collect(),
        memory_bytes: 256 * MIB,
        instances: 8,
        creating: 2,
        keep_alive_ms: 1_000,
        timing: false,
        confidence: Some(0.5),
        weave: true,
        epoch: "e".into(),
    }
}

/// A step that a user is expected to take.
fn step(segment: usize, confidence: f64, expected_ms: u64) -> Step {
    Step { segment, confidence, expected_ms, position: 1, asker: USER }
}

/// A call that an instance of segment `from` is expected to make.
fn call(from: usize, segment: usize, confidence: f64, expected_ms: u64) -> Step {
    Step { segment, confidence, expected_ms, position: 2, asker: Asker::Segment(from) }
}

struct Story {
    weaver: Weaver,
    now_ms: u64,
    /// All that was ever to be done, in order.
    log: Vec<Action>,
    /// The kernel's route table.
    routes: BTreeMap<RouteKey, Vec<SocketAddr>>,
    /// The kernel's count of connections, by instance.
    open: BTreeMap<u64, u32>,
    removing: Vec<u64>,
    next: u64,
}

impl Story {
    fn new(rules: Rules) -> Self {
        let weaver = Weaver::new(rules);
        let (routes, open) = (BTreeMap::new(), BTreeMap::new());
        let mut story =
            Self { weaver, now_ms: 1_000_000, log: Vec::new(), routes, open, removing: Vec::new(), next: 1 };
        story.beat();
        story
    }

    /// Feeds one input, carries the actions out and returns them.
    fn feed(&mut self, input: Input) -> Vec<Action> {
        let actions = self.weaver.take(input, self.now_ms);
        for action in &actions {
            match action {
                Action::SetRoute(route) => drop(self.routes.insert(route.key, route.backends.clone())),
                Action::DropRoute(key) => {
                    drop(self.routes.remove(key).expect("only what is there is dropped"))
                }
                Action::Answer { verdict: Ok(admission), .. } => self.connect(admission.instance),
                Action::Remove { instance } => {
                    let address = self.weaver.instances[instance].address;
                    let leads_there =
                        |backends: &&Vec<SocketAddr>| address.is_some_and(|a| backends.contains(&a));
                    assert_eq!(
                        self.routes.values().find(leads_there),
                        None,
                        "a route leads to what is removed"
                    );
                    self.removing.push(*instance);
                }
                _ => {}
            }
        }
        assert_eq!(self.routes, routes::desired(&self.weaver), "the kernel's table is the one called for");
        self.log.extend(actions.iter().cloned());
        actions
    }

    fn beat(&mut self) {
        for instance in std::mem::take(&mut self.removing) {
            self.open.remove(&instance);
            self.feed(Input::Removed { instance });
        }
        let counted = |i: &Instance| i.cgroup_id.is_some() && i.state != InstanceState::Gone;
        let reading = |i: &Instance| Reading {
            instance: i.number,
            open: self.open.get(&i.number).copied().unwrap_or(0),
            memory_bytes: 32 * MIB,
        };
        let readings = self.weaver.instances.values().filter(|i| counted(i)).map(reading).collect();
        self.feed(Input::Tick(readings));
    }

    /// Lets time pass, beat by beat.
    fn wait(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.now_ms = end_ms.min(self.now_ms + BEAT_MS);
            self.beat();
        }
    }

    fn demand(&mut self, segment: usize) -> u64 {
        let waiter = self.number();
        self.feed(Input::Demand { waiter, segment });
        waiter
    }

    fn forecast(&mut self, path: Vec<Step>) -> u64 {
        let id = self.number();
        let at_ms = self.now_ms.saturating_sub(1);
        self.feed(Input::Forecast(Forecast { id, trigger: 0, at_ms, path }));
        id
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The task of an instance stands and its program listens.
    fn listens(&mut self, instance: u64) {
        let address = self.address(instance);
        self.feed(Input::Created { instance, address, cgroup_id: 1_000 + instance });
        self.feed(Input::Listening { instance });
    }

    fn fails(&mut self, instance: u64) {
        self.feed(Input::Failed { instance, cause: "exit status 1".into() });
    }

    fn served(&mut self, instance: u64, asker: Asker) {
        self.feed(Input::Served { instance, asker, at_ms: self.now_ms });
    }

    /// An instance of a segment that was made for a request and has none left.
    fn warm(&mut self, segment: usize) -> u64 {
        let waiter = self.demand(segment);
        let instance = *self.created(segment).last().expect("a request makes an instance");
        self.listens(instance);
        assert!(matches!(self.answer(waiter), Some(Ok(_))));
        self.served(instance, Asker::Principal(1));
        self.close(instance);
        self.beat();
        instance
    }

    fn connect(&mut self, instance: u64) {
        *self.open.entry(instance).or_default() += 1;
    }

    fn close(&mut self, instance: u64) {
        *self.open.get_mut(&instance).expect("a connection is open") -= 1;
    }

    fn address(&self, instance: u64) -> SocketAddr {
        SocketAddr::from(([10, 201, 1, instance as u8], 8080))
    }

    fn state(&self, instance: u64) -> Option<InstanceState> {
        self.weaver.instances.get(&instance).map(|instance| instance.state)
    }

    fn graph(&self) -> &Graph {
        assert_eq!(self.weaver.graphs.len(), 1);
        self.weaver.graphs.values().next().expect("there is one")
    }

    /// Instances of a segment that were ever ordered.
    fn created(&self, segment: usize) -> Vec<u64> {
        let of_segment = |action: &Action| match action {
            Action::Create { instance, segment: of, .. } if *of == segment => Some(*instance),
            _ => None,
        };
        self.log.iter().filter_map(of_segment).collect()
    }

    /// Instances whose removal was ever ordered.
    fn removed(&self) -> Vec<u64> {
        let removal = |action: &Action| match action {
            Action::Remove { instance } => Some(*instance),
            _ => None,
        };
        self.log.iter().filter_map(removal).collect()
    }

    /// The answer to a waiting request; there is never a second one.
    fn answer(&self, waiter: u64) -> Option<Result<Admission, Refusal>> {
        let of_waiter = |action: &Action| match action {
            Action::Answer { waiter: to, verdict } if *to == waiter => Some(verdict.clone()),
            _ => None,
        };
        let answers: Vec<_> = self.log.iter().filter_map(of_waiter).collect();
        assert!(answers.len() <= 1, "a request is answered once");
        answers.into_iter().next()
    }

    fn admitted(&self, waiter: u64) -> Admission {
        self.answer(waiter).expect("it is answered").expect("it is let in")
    }

    fn refused(&self, waiter: u64) -> Refusal {
        self.answer(waiter).expect("it is answered").expect_err("it is sent away")
    }

    /// Where a dialled segment leads everyone.
    fn route(&self, segment: usize) -> Vec<SocketAddr> {
        self.way(None, segment)
    }

    /// Where a segment that an instance dials leads this instance alone.
    fn link(&self, from: u64, segment: usize) -> Vec<SocketAddr> {
        self.way(Some(1_000 + from), segment)
    }

    fn way(&self, caller: Option<u64>, segment: usize) -> Vec<SocketAddr> {
        let dial = self.weaver.rules.segments[segment].address;
        self.routes.get(&RouteKey { caller, dial }).cloned().unwrap_or_default()
    }

    fn activator(&self, segment: usize) -> Vec<SocketAddr> {
        self.weaver.rules.segments[segment].activator.into_iter().collect()
    }

    fn notes(&self) -> impl Iterator<Item = &Note> {
        self.log.iter().filter_map(|action| match action {
            Action::Note(note) => Some(note),
            _ => None,
        })
    }

    /// Forecast, segment and instance of every claim, and whether the instance was made for it.
    fn claims(&self) -> Vec<(u64, usize, u64, bool)> {
        let claim = |note: &Note| match *note {
            Note::Claimed { forecast, segment, instance, fresh, .. } => {
                Some((forecast, segment, instance, fresh))
            }
            _ => None,
        };
        self.notes().filter_map(claim).collect()
    }

    /// What was booked for an instance: mebibyte-seconds, and whether it was used.
    fn spent(&self, of: u64) -> Vec<(f64, bool)> {
        let spent = |note: &Note| match *note {
            Note::Spent { instance, idle_mb_s, used, .. } if instance == of => Some((idle_mb_s, used)),
            _ => None,
        };
        self.notes().filter_map(spent).collect()
    }
}
