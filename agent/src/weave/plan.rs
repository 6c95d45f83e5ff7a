//! From a forecast to a graph. In: a forecast. Out: a graph whose steps are shared with what stands, or planned; each
//! planned step is made when its time has come, most worthy first, as far as the budget goes.

use std::collections::BTreeSet;

use weft_models::policy::{Stake, Weighed};

use super::graph::{Graph, GraphState, Node};
use super::instance::{Instance, InstanceState, Origin};
use super::{Action, Asker, Forecast, Note, Step, Weaver};

/// Graphs that are kept at a time; a forecast that would need one more is not woven.
pub(super) const GRAPHS_MAX: usize = 1024;
/// Steps that one forecast brings into a graph.
const NODES_MAX: usize = 16;
/// Steps of one graph.
pub(super) const GRAPH_NODES_MAX: usize = NODES_MAX * 4;
/// How long a graph takes further forecasts in: so it ends, however often its path is forecast again.
const JOIN_MS: u64 = 30_000;
/// A step further away than this is left to a later forecast, which will know better.
const HORIZON_MS: u64 = 30_000;
/// The least time that a forecast step is waited for after its expected moment.
const SLACK_MS: u64 = 750;

/// From when on a step is made, and until when it is waited for.
struct Times {
    start_ms: u64,
    deadline_ms: u64,
}

impl Times {
    fn of(step: &Step, cold_ms: f64, now_ms: u64) -> Self {
        // Twice the time it takes is room enough for a busy node; earlier costs memory for nothing.
        let lead_ms = (2.0 * cold_ms) as u64 + SLACK_MS;
        let start_ms = now_ms + (step.expected_ms / 2).saturating_sub(lead_ms);
        Self { start_ms, deadline_ms: now_ms + step.expected_ms + step.expected_ms.max(SLACK_MS) }
    }
}

/// A step whose time has come.
struct Due {
    graph: u64,
    index: usize,
    segment: usize,
    worth: f64,
}

fn due(graph: &Graph, now_ms: u64) -> impl Iterator<Item = Due> {
    let begun =
        move |node: &Node| node.instance.is_none() && node.start_ms <= now_ms && !node.is_over(now_ms);
    let steps = graph.nodes.iter().enumerate().filter(move |(_, node)| begun(node));
    let steps = steps.map(|(index, node)| {
        let Node { segment, worth, .. } = *node;
        Due { graph: graph.number, index, segment, worth }
    });
    steps.filter(|_| graph.state != GraphState::Draining)
}

impl Weaver {
    pub(super) fn plan<'a>(&mut self, forecast: &'a Forecast, now_ms: u64) {
        if !self.rules.weave || self.draining {
            return;
        }
        let bars: Vec<Option<Weighed>> =
            forecast.path.iter().map(|step| self.weigh(forecast, step, now_ms)).collect();
        let worth_it = |(step, weighed): (&'a Step, &Option<Weighed>)| {
            weighed.filter(|weighed| step.confidence >= weighed.bar).map(|_| step)
        };
        let picks: Vec<&Step> = forecast.path.iter().zip(&bars).filter_map(worth_it).collect();
        self.actions.push(Action::Note(Note::Weighed { forecast: forecast.id, bars }));
        if picks.is_empty() {
            return;
        }
        let nodes = self.nodes(forecast, &picks, now_ms);
        let graph = match self.graph_that_begins_alike(&nodes, now_ms) {
            Some(number) => self.join(number, nodes, now_ms),
            None if self.graphs.len() < GRAPHS_MAX => self.begin(nodes, now_ms),
            None => return,
        };
        let due = self.graphs.get(&graph).map(|graph| due(graph, now_ms).collect());
        self.weave(due.unwrap_or_default(), now_ms);
        self.turn_graph(graph, now_ms);
    }

    fn begin(&mut self, nodes: Vec<Node>, now_ms: u64) -> u64 {
        let (number, state) = (self.number(), GraphState::Planned);
        self.graphs.insert(number, Graph { number, state, planned_ms: now_ms, draining_ms: 0, nodes });
        self.actions.push(Action::Note(Note::Graph { graph: number, state, cause: "forecast" }));
        number
    }

    /// What a step's confidence is measured by, if it can be acted upon. The bar is fixed, or follows from what steps were
    /// worth before.
    fn weigh(&mut self, forecast: &Forecast, step: &Step, now_ms: u64) -> Option<Weighed> {
        let segment = step.segment;
        let near = step.expected_ms <= HORIZON_MS && step.confidence.is_finite();
        if !near || !self.deployments.serves(segment) {
            return None;
        }
        let times = Times::of(step, self.cold_ms[segment], now_ms);
        let stands = self.instances.values().any(|i| i.segment == segment && i.is_alive());
        let stake = Stake {
            gigabytes: self.rules.segments[segment].memory_bytes.max(1) as f64 / (1_u64 << 30) as f64,
            start_us: (self.cold_ms[segment] * 1_000.0) as u64,
            since_us: forecast.at_ms * 1_000,
            made_us: times.start_ms * 1_000,
            until_us: times.deadline_ms * 1_000,
            position: step.position,
            stands,
        };
        let mut weighed = self.steps.weigh(segment as u32, &stake);
        if let Some(bar) = self.rules.confidence {
            weighed.bar = bar;
        }
        let acts = step.confidence >= weighed.bar;
        self.steps.follow(segment as u32, step.asker, step.confidence, stake, acts);
        Some(weighed)
    }

    fn nodes(&self, forecast: &Forecast, picks: &[&Step], now_ms: u64) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for step in picks.iter().take(NODES_MAX) {
            if nodes.iter().any(|node| node.segment == step.segment && node.asker == step.asker) {
                continue;
            }
            let confidence = step.confidence.min(1.0);
            let cold_ms = self.cold_ms[step.segment];
            let Times { start_ms, deadline_ms } = Times::of(step, cold_ms, now_ms);
            let window_ms = deadline_ms - now_ms;
            let memory_mb = self.rules.segments[step.segment].memory_bytes.max(1) as f64 / 1_048_576.0;
            nodes.push(Node {
                segment: step.segment,
                forecast: forecast.id,
                asker: step.asker,
                since_ms: forecast.at_ms,
                confidence,
                worth: confidence * cold_ms / (memory_mb * window_ms as f64 / 1000.0),
                start_ms,
                deadline_ms,
                instance: None,
                used: false,
            });
        }
        nodes
    }

    /// A graph that holds every segment of `nodes` and takes them in: two forecasts that begin alike share it.
    fn graph_that_begins_alike(&self, nodes: &[Node], now_ms: u64) -> Option<u64> {
        let joinable = |graph: &&Graph| {
            let young = graph.planned_ms.saturating_add(JOIN_MS) > now_ms;
            let expected = graph.nodes.iter().filter(|node| !node.is_over(now_ms)).count();
            young && graph.state != GraphState::Draining && expected + nodes.len() <= GRAPH_NODES_MAX
        };
        let alike = |graph: &&Graph| {
            nodes.iter().all(|node| graph.nodes.iter().any(|other| other.segment == node.segment))
        };
        self.graphs.values().filter(joinable).find(alike).map(|graph| graph.number)
    }

    fn join(&mut self, number: u64, nodes: Vec<Node>, now_ms: u64) -> u64 {
        let Some(graph) = self.graphs.get_mut(&number) else { return number };
        if graph.nodes.len() + nodes.len() > GRAPH_NODES_MAX {
            // What is over makes room: a graph of many users stays bounded.
            graph.nodes.retain(|node| !node.is_over(now_ms));
            self.rerouted = true;
        }
        for mut node in nodes {
            let same = |other: &&mut Node| other.segment == node.segment && other.asker == node.asker;
            let Some(known) = graph.nodes.iter_mut().find(same) else {
                self.rerouted |= matches!(node.asker, Asker::Segment(_));
                graph.nodes.push(node);
                continue;
            };
            // The later forecast knows better. One whose instance is on its way out is woven anew.
            let alive = |number: &u64| self.instances.get(number).is_some_and(Instance::is_alive);
            node.instance = known.instance.filter(alive);
            self.actions.extend(node.instance.map(|instance| Action::Note(node.claim(instance, false))));
            // An earlier forecast that reaches further has its claim, too.
            node.deadline_ms = node.deadline_ms.max(known.deadline_ms);
            *known = node;
        }
        number
    }

    /// Gives each step whose time has come its instance: one that stands, or a new one.
    pub(super) fn weave_planned(&mut self, now_ms: u64) {
        if !self.draining {
            self.weave(self.graphs.values().flat_map(|graph| due(graph, now_ms)).collect(), now_ms);
        }
    }

    /// The most worthy first.
    fn weave(&mut self, mut due: Vec<Due>, now_ms: u64) {
        due.sort_by(|a, b| b.worth.total_cmp(&a.worth));
        // What finds neither an instance nor room for one makes none: the next step of its segment does not either.
        let mut hopeless = BTreeSet::new();
        for step in due {
            if !hopeless.contains(&step.segment) && self.weave_step(&step, now_ms).is_none() {
                hopeless.insert(step.segment);
            }
        }
    }

    /// The instance that the step gets, if there is one for it.
    fn weave_step(&mut self, step: &Due, now_ms: u64) -> Option<u64> {
        let own = self.graphs.get(&step.graph).and_then(|graph| self.own_instance(graph, step.segment));
        let stands = own.or_else(|| self.standing(step.segment));
        let instance = match stands {
            Some(instance) => instance,
            None if self.may_create(step.segment, now_ms) => {
                self.create(step.segment, Origin::Forecast, Some(step.graph), now_ms)
            }
            None => return None,
        };
        let node = self.graphs.get_mut(&step.graph)?.nodes.get_mut(step.index)?;
        node.instance = Some(instance);
        self.actions.push(Action::Note(node.claim(instance, stands.is_none())));
        self.rerouted |= own.is_none();
        Some(instance)
    }

    /// A graph has one instance of a segment, whoever its steps are expected from.
    fn own_instance(&self, graph: &Graph, segment: usize) -> Option<u64> {
        let of_segment = graph.nodes.iter().filter(|node| node.segment == segment);
        let alive = |number: &u64| self.instances.get(number).is_some_and(Instance::is_alive);
        of_segment.filter_map(|node| node.instance).find(alive)
    }

    /// An instance of the segment that stands or is being made; else one on its way out, if it may stay.
    ///
    /// A busy one will do: whether the request brings a connection of its own is not known, and one that finds all
    /// places taken has a further instance made.
    fn standing(&mut self, segment: usize) -> Option<u64> {
        let being_made = |weaver: &Self| {
            let version = weaver.deployments.version(segment);
            let stays = |i: &&Instance| i.segment == segment && i.version == version && i.is_alive();
            let mut of_segment = weaver.instances.values().filter(stays);
            of_segment.next().map(|instance| instance.number)
        };
        let stands = self.least_busy(segment).or_else(|| being_made(self));
        if stands.is_some() || self.is_crowded(segment) { stands } else { self.revive(segment, "forecast") }
    }

    /// Whether one more instance may be made ahead of demand. A creation that hangs keeps its place until its segment's
    /// time to start is over; the pause that follows leaves the place to others.
    pub(super) fn may_create(&self, segment: usize, now_ms: u64) -> bool {
        let ahead = |i: &&Instance| i.origin == Origin::Forecast && i.state == InstanceState::Creating;
        let making = self.instances.values().filter(ahead);
        self.trouble[segment].until_ms <= now_ms
            && making.count() < self.rules.creating
            && self.instances.len() < self.rules.instances
            && self.reserved_bytes() + self.rules.segments[segment].memory_bytes <= self.rules.memory_bytes
    }
}
