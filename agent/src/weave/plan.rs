//! From a forecast to a graph. In: a forecast. Out: a graph whose steps are shared with what stands, or planned; each
//! planned step is made when its time has come, most worthy first, as far as the budget goes.

use super::graph::{Graph, GraphState, Node};
use super::instance::Origin;
use super::{Action, Forecast, Note, Step, Weaver};

/// Graphs that are kept at a time; a forecast past that is not woven.
const GRAPHS_MAX: usize = 1024;
/// Steps of one graph.
const NODES_MAX: usize = 16;
/// A step further away than this is left to a later forecast, which will know better.
const HORIZON_MS: u64 = 30_000;
/// The least time that a forecast step is waited for after its expected moment.
const SLACK_MS: u64 = 750;

impl Weaver {
    pub(super) fn plan(&mut self, forecast: &Forecast, now_ms: u64) {
        if !self.rules.weave || self.draining || self.graphs.len() >= GRAPHS_MAX {
            return;
        }
        let picks: Vec<&Step> = forecast.path.iter().filter(|step| self.is_worth_it(step, now_ms)).collect();
        if picks.is_empty() {
            return;
        }
        let nodes = self.nodes(forecast.id, &picks, now_ms);
        match self.graph_that_begins_alike(&nodes) {
            Some(number) => self.join(number, nodes),
            None => {
                let number = self.number();
                let state = GraphState::Planned;
                self.graphs
                    .insert(number, Graph { number, state, planned_ms: now_ms, draining_ms: 0, nodes });
                self.actions.push(Action::Note(Note::Graph { graph: number, state, cause: "forecast" }));
            }
        }
    }

    fn is_worth_it(&self, step: &Step, now_ms: u64) -> bool {
        step.confidence >= self.rules.confidence
            && step.expected_ms <= HORIZON_MS
            && step.segment < self.rules.segments.len()
            && self.trouble[step.segment].until_ms <= now_ms
    }

    fn nodes(&self, forecast: u64, picks: &[&Step], now_ms: u64) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for step in picks.iter().take(NODES_MAX) {
            if nodes.iter().any(|node| node.segment == step.segment && node.asker == step.asker) {
                continue;
            }
            let cold_ms = self.cold_ms[step.segment];
            let window_ms = step.expected_ms + step.expected_ms.max(SLACK_MS);
            let memory_mb = self.rules.segments[step.segment].memory_bytes as f64 / 1_048_576.0;
            // Twice the time it takes is room enough for a busy node; earlier costs memory for nothing.
            let lead_ms = (2.0 * cold_ms) as u64 + SLACK_MS;
            nodes.push(Node {
                segment: step.segment,
                forecast,
                asker: step.asker,
                confidence: step.confidence,
                worth: step.confidence * cold_ms / (memory_mb * window_ms as f64 / 1000.0),
                start_ms: now_ms + (step.expected_ms / 2).saturating_sub(lead_ms),
                deadline_ms: now_ms + window_ms,
                instance: None,
                used: false,
            });
        }
        nodes
    }

    /// A live graph that holds every segment of `nodes`: two forecasts that begin alike share their instances.
    fn graph_that_begins_alike(&self, nodes: &[Node]) -> Option<u64> {
        let holds = |graph: &&Graph| {
            graph.state != GraphState::Draining
                && nodes.iter().all(|node| graph.nodes.iter().any(|other| other.segment == node.segment))
        };
        self.graphs.values().find(holds).map(|graph| graph.number)
    }

    fn join(&mut self, number: u64, nodes: Vec<Node>) {
        let Some(graph) = self.graphs.get_mut(&number) else { return };
        let mut claims = Vec::new();
        for node in nodes {
            let same = |other: &&mut Node| other.segment == node.segment && other.asker == node.asker;
            match graph.nodes.iter_mut().find(same) {
                Some(other) => {
                    other.deadline_ms = other.deadline_ms.max(node.deadline_ms);
                    (other.forecast, other.used) = (node.forecast, false);
                    claims.extend(other.instance.map(|instance| other.claim(instance, false)));
                }
                None => {
                    // Spent nodes make room; a graph of many users stays bounded.
                    graph.nodes.retain(|other| !(other.used && other.segment == node.segment));
                    if graph.nodes.len() < NODES_MAX * 4 {
                        graph.nodes.push(node);
                    }
                }
            }
        }
        self.actions.extend(claims.into_iter().map(Action::Note));
    }

    /// Gives each step whose time has come its instance: one that stands, or a new one, most worthy first.
    pub(super) fn weave_planned(&mut self, now_ms: u64) {
        if self.draining {
            return;
        }
        let mut planned = Vec::new();
        for graph in self.graphs.values().filter(|graph| graph.state != GraphState::Draining) {
            for (index, node) in graph.nodes.iter().enumerate() {
                if node.instance.is_none() && node.start_ms <= now_ms && !node.is_over(now_ms) {
                    planned.push((graph.number, index, node.worth));
                }
            }
        }
        planned.sort_by(|a, b| b.2.total_cmp(&a.2));
        for (graph, index, _) in planned {
            self.weave_node(graph, index, now_ms);
        }
    }

    fn weave_node(&mut self, number: u64, index: usize, now_ms: u64) {
        let Some(node) = self.graphs.get(&number).and_then(|graph| graph.nodes.get(index)).cloned() else {
            return;
        };
        let stands = self.standing(node.segment);
        if stands.is_none() && !self.may_create(node.segment, now_ms) {
            return;
        }
        let instance =
            stands.unwrap_or_else(|| self.create(node.segment, Origin::Forecast, Some(number), now_ms));
        if let Some(node) = self.graphs.get_mut(&number).and_then(|graph| graph.nodes.get_mut(index)) {
            node.instance = Some(instance);
        }
        self.actions.push(Action::Note(node.claim(instance, stands.is_none())));
    }

    /// An instance of the segment that stands or is being made.
    fn standing(&self, segment: usize) -> Option<u64> {
        let mut of_segment = self.instances.values().filter(|i| i.segment == segment && i.is_alive());
        of_segment.next().map(|instance| instance.number)
    }

    /// Whether one more instance may be made ahead of demand.
    fn may_create(&self, segment: usize, now_ms: u64) -> bool {
        let making = self
            .instances
            .values()
            .filter(|i| i.origin == Origin::Forecast && i.state == super::InstanceState::Creating);
        self.trouble[segment].until_ms <= now_ms
            && making.count() < self.rules.creating
            && self.instances.len() < self.rules.instances
            && self.reserved_bytes() + self.rules.segments[segment].memory_bytes <= self.rules.memory_bytes
    }
}
