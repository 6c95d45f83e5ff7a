//! The end of instances and graphs. In: the time, open connections, and what graphs hold. Out: what drains, and what is
//! removed once nothing can come to it any more.

use std::collections::BTreeMap;

use super::demand::Counts;
use super::instance::{Instance, InstanceState};
use super::{Action, GraphState, Note, Weaver};

/// How long an instance stays after it left the routes, for connections that chose it just before.
pub(super) const DRAIN_GRACE_MS: u64 = 200;

/// What an instance has come to, and why.
enum Ending {
    Drain(&'static str),
    Remove(&'static str),
}

/// Whether an instance came to its end just now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Retired {
    Now,
    Before,
}

impl Weaver {
    /// Has an instance removed, whatever goes on in it.
    pub(super) fn remove(&mut self, number: u64, cause: &'static str, now_ms: u64) {
        if self.retire(number, cause, now_ms) == Retired::Now {
            self.actions.push(Action::Remove { instance: number });
        }
    }

    /// Closes the books of an instance; no graph counts on it any more.
    pub(super) fn retire(&mut self, number: u64, cause: &'static str, now_ms: u64) -> Retired {
        let living = self.instances.get_mut(&number).filter(|instance| instance.state != InstanceState::Gone);
        let Some(instance) = living else { return Retired::Before };
        instance.state = InstanceState::Gone;
        let (segment, used) = (instance.segment, instance.used_ms.is_some());
        self.give_up_version(number, cause);
        let Some(instance) = self.instances.get_mut(&number) else { return Retired::Before };
        let idle_mb_s = instance.take_idle_mb_s(now_ms);
        self.note_instance(number, cause);
        self.actions.push(Action::Note(Note::Spent { instance: number, segment, idle_mb_s, used }));
        for node in self.graphs.values_mut().flat_map(|graph| &mut graph.nodes) {
            if node.instance == Some(number) {
                node.instance = None;
                node.deadline_ms = node.deadline_ms.min(now_ms);
            }
        }
        Retired::Now
    }

    pub(super) fn expire_instances(&mut self, counts: Counts, now_ms: u64) {
        let held = self.holds();
        let ending = |instance: &Instance| {
            let held_ms = held.get(&instance.number).copied().unwrap_or(0);
            self.ending(instance, held_ms, counts, now_ms).map(|ending| (instance.number, ending))
        };
        let due: Vec<(u64, Ending)> = self.instances.values().filter_map(ending).collect();
        for (number, ending) in due {
            match ending {
                Ending::Drain(cause) => self.drain(number, cause, now_ms),
                Ending::Remove(cause) => self.remove(number, cause, now_ms),
            }
        }
    }

    /// What is due for an instance that graphs hold until `held_ms`.
    fn ending(&self, instance: &Instance, held_ms: u64, counts: Counts, now_ms: u64) -> Option<Ending> {
        let until_ms = self.kept_until_ms(instance).max(held_ms);
        let idle = instance.open == 0;
        match instance.state {
            InstanceState::Creating if self.draining && self.waiting[instance.segment].is_empty() => {
                Some(Ending::Remove("drain"))
            }
            // New callers would keep a node from ever being empty: they go the ordinary way, the others finish.
            InstanceState::Ready | InstanceState::Serving if self.draining => Some(Ending::Drain("drain")),
            InstanceState::Ready | InstanceState::Serving if idle && until_ms <= now_ms => {
                Some(Ending::Drain("idle"))
            }
            // What came in since the last count is not known before the next.
            InstanceState::Draining if idle && counts == Counts::Fresh => {
                (instance.draining_ms + DRAIN_GRACE_MS <= now_ms).then_some(Ending::Remove("idle"))
            }
            _ => None,
        }
    }

    /// Takes an instance out of the routes; what is open goes on.
    pub(super) fn drain(&mut self, number: u64, cause: &'static str, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        (instance.state, instance.draining_ms) = (InstanceState::Draining, now_ms);
        self.note_instance(number, cause);
    }

    /// Until when graphs hold their instances.
    fn holds(&self) -> BTreeMap<u64, u64> {
        let mut held = BTreeMap::new();
        for node in self.graphs.values().flat_map(|graph| &graph.nodes) {
            if let Some(number) = node.instance {
                let until: &mut u64 = held.entry(number).or_default();
                *until = (*until).max(node.deadline_ms);
            }
        }
        held
    }

    /// Turns every graph to the state that it has come to.
    pub(super) fn turn_graphs(&mut self, now_ms: u64) {
        let numbers: Vec<u64> = self.graphs.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.turn_graph(number, now_ms));
        self.graphs.retain(|_, graph| graph.state != GraphState::Gone);
    }

    pub(super) fn turn_graph(&mut self, number: u64, now_ms: u64) {
        let Some(graph) = self.graphs.get_mut(&number) else { return };
        let open = |number: u64| self.instances.get(&number).is_some_and(Instance::is_open);
        let over = self.draining || graph.nodes.iter().all(|node| node.is_over(now_ms));
        let (before, linked) = (graph.state, graph.is_linked());
        graph.state = match before {
            GraphState::Draining if graph.draining_ms + DRAIN_GRACE_MS <= now_ms => GraphState::Gone,
            GraphState::Draining => before,
            _ if over => GraphState::Draining,
            _ => graph.derived(now_ms, open),
        };
        if graph.state == before {
            return;
        }
        if graph.state == GraphState::Draining {
            graph.draining_ms = now_ms;
        }
        self.rerouted |= linked != graph.is_linked();
        let cause = match graph.state {
            GraphState::Draining | GraphState::Gone if self.draining => "drain",
            GraphState::Draining | GraphState::Gone if graph.nodes.iter().all(|node| node.used) => "used",
            GraphState::Draining | GraphState::Gone => "idle",
            _ => "woven",
        };
        self.actions.push(Action::Note(Note::Graph { graph: number, state: graph.state, cause }));
    }
}
