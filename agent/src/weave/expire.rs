//! The end of instances and graphs. In: the time, open connections, and what graphs hold. Out: what drains, and what is
//! removed once nothing can come to it any more.

use std::collections::{BTreeMap, BTreeSet};

use super::instance::InstanceState;
use super::{Action, GraphState, Note, Weaver};

/// How long an instance stays after it left the routes, for connections that chose it just before.
pub(super) const DRAIN_GRACE_MS: u64 = 200;

impl Weaver {
    pub(super) fn remove(&mut self, number: u64, cause: &'static str, now_ms: u64) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        if instance.state == InstanceState::Gone {
            return;
        }
        instance.state = InstanceState::Gone;
        let (segment, used) = (instance.segment, instance.uses > 0);
        let idle_mb_s = instance.take_idle_mb_s(now_ms);
        self.note_instance(number, cause);
        self.actions.push(Action::Note(Note::Spent { instance: number, segment, idle_mb_s, used }));
        self.actions.push(Action::Remove { instance: number });
        for node in self.graphs.values_mut().flat_map(|graph| &mut graph.nodes) {
            if node.instance == Some(number) {
                node.instance = None;
                node.deadline_ms = node.deadline_ms.min(now_ms);
            }
        }
    }

    pub(super) fn expire_instances(&mut self, now_ms: u64) {
        let held: BTreeMap<u64, u64> = self.holds();
        let mut idle = Vec::new();
        let mut drained = Vec::new();
        for instance in self.instances.values().filter(|instance| instance.open == 0) {
            let kept = instance.used_ms.or(instance.ready_ms).filter(|_| !instance.is_speculative());
            let until = kept.map_or(0, |at| at + self.rules.keep_alive_ms);
            let until = until.max(held.get(&instance.number).copied().unwrap_or(0));
            match instance.state {
                InstanceState::Ready | InstanceState::Serving if self.draining || until <= now_ms => {
                    idle.push(instance.number);
                }
                InstanceState::Creating if self.draining => idle.push(instance.number),
                InstanceState::Draining if instance.draining_ms + DRAIN_GRACE_MS <= now_ms => {
                    drained.push(instance.number);
                }
                _ => {}
            }
        }
        for number in idle {
            let Some(instance) = self.instances.get_mut(&number) else { continue };
            if instance.state == InstanceState::Creating {
                self.remove(number, "drain", now_ms);
                continue;
            }
            (instance.state, instance.draining_ms) = (InstanceState::Draining, now_ms);
            self.note_instance(number, if self.draining { "drain" } else { "idle" });
        }
        drained.into_iter().for_each(|number| self.remove(number, "idle", now_ms));
    }

    /// Until when graphs hold their instances.
    fn holds(&self) -> BTreeMap<u64, u64> {
        let mut held = BTreeMap::new();
        for node in self.graphs.values().filter(|graph| graph.is_linked()).flat_map(|graph| &graph.nodes) {
            if let Some(number) = node.instance {
                let until: &mut u64 = held.entry(number).or_default();
                *until = (*until).max(node.deadline_ms);
            }
        }
        held
    }

    pub(super) fn expire_graphs(&mut self, now_ms: u64) {
        let mut changes = Vec::new();
        let open: BTreeSet<u64> = self.instances.values().filter(|i| i.is_open()).map(|i| i.number).collect();
        for graph in self.graphs.values_mut() {
            let before = graph.state;
            let over = self.draining || graph.nodes.iter().all(|node| node.deadline_ms <= now_ms);
            graph.state = match before {
                GraphState::Draining if graph.draining_ms + DRAIN_GRACE_MS <= now_ms => GraphState::Gone,
                GraphState::Draining => before,
                _ if over => GraphState::Draining,
                _ => graph.derived(|number| open.contains(&number)),
            };
            if graph.state != before {
                if graph.state == GraphState::Draining {
                    graph.draining_ms = now_ms;
                }
                let used = graph.nodes.iter().all(|node| node.used);
                let cause = match graph.state {
                    GraphState::Draining | GraphState::Gone if used => "used",
                    GraphState::Draining | GraphState::Gone => "idle",
                    _ => "woven",
                };
                changes.push(Action::Note(Note::Graph { graph: graph.number, state: graph.state, cause }));
            }
        }
        self.graphs.retain(|_, graph| graph.state != GraphState::Gone);
        self.actions.extend(changes);
    }
}
