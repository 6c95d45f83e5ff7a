//! An execution graph: the instances of one forecast path, linked to each other.

use super::{Asker, Note};

/// Where a graph is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphState {
    /// No instance of it is being made yet.
    Planned,
    /// Some of its instances are being made.
    Weaving,
    /// All stand.
    Ready,
    /// A request has gone into it.
    Serving,
    /// Its links are gone; what went in by them ends.
    Draining,
    /// Over.
    Gone,
}

impl GraphState {
    /// The word shown to users.
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Weaving => "weaving",
            Self::Ready => "ready",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Gone => "gone",
        }
    }
}

/// One step of a graph's path.
#[derive(Debug, Clone)]
pub struct Node {
    /// Index of the segment.
    pub segment: usize,
    /// The forecast that asked for it last.
    pub forecast: u64,
    /// Who is expected to ask.
    pub asker: Asker,
    /// When the request came that gave rise to the forecast.
    pub since_ms: u64,
    /// The forecast's confidence.
    pub confidence: f64,
    /// What making it is worth: latency saved per memory-time wasted, expected.
    pub worth: f64,
    /// Not to be made before this.
    pub start_ms: u64,
    /// Until when it is kept for the forecast, or when its request came.
    pub deadline_ms: u64,
    /// The instance that covers it.
    pub instance: Option<u64>,
    /// Whether its request came.
    pub used: bool,
}

impl Node {
    /// Whether its request is no longer expected: it came, or did not come in time.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        self.deadline_ms <= now_ms
    }

    /// Whether a request is the one that is expected. The one that gave rise to the forecast is not, though a segment may
    /// follow itself.
    pub(super) fn expects(&self, segment: usize, asker: Asker, at_ms: u64) -> bool {
        !self.used && self.segment == segment && self.asker == asker && self.since_ms < at_ms
    }

    pub(super) fn claim(&self, instance: u64, fresh: bool) -> Note {
        let Self { forecast, segment, asker, since_ms, deadline_ms, .. } = *self;
        Note::Claimed { forecast, segment, asker, since_ms, instance, fresh, deadline_ms }
    }
}

/// Linked instances for one forecast path.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Unique since the agent's start.
    pub number: u64,
    /// Where it is in its life.
    pub state: GraphState,
    /// When it was planned.
    pub planned_ms: u64,
    /// When draining began.
    pub draining_ms: u64,
    /// Its steps, in the order of the path.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The state that follows from its nodes while some are still expected; `standing` says whether a node's instance
    /// can be used.
    pub(super) fn derived(&self, now_ms: u64, standing: impl Fn(u64) -> bool) -> GraphState {
        let mut expected = self.nodes.iter().filter(|node| !node.is_over(now_ms));
        let begun =
            self.state != GraphState::Planned || self.nodes.iter().any(|node| node.instance.is_some());
        if self.state == GraphState::Serving || self.nodes.iter().any(|node| node.used) {
            GraphState::Serving
        } else if expected.all(|node| node.instance.is_some_and(&standing)) {
            GraphState::Ready
        } else if begun {
            GraphState::Weaving
        } else {
            GraphState::Planned
        }
    }

    /// Whether its links hold.
    pub fn is_linked(&self) -> bool {
        matches!(self.state, GraphState::Weaving | GraphState::Ready | GraphState::Serving)
    }
}
