//! Weave: from forecasts to containers that stand. In: forecasts, requests that wait, and what runtime and kernel
//! report. Out: instances to make and to remove, the routes that lead to them, an answer to whoever waits. Refuses to
//! spend more than the budget ahead of demand, and to take away an instance that has work in flight.
//!
//! ```text
//! instance:  creating ──listens──► ready ──first use──► serving ──idle──► draining ──no connection──► gone
//!            ready ──nobody came in time──► draining ──somebody came after all──► ready or serving
//!            any ──failed──► gone
//! segment:   (deployed) ──its first instance listens──► served ──a version's first instance listens──► served anew
//! graph:     planned ──first instance──► weaving ◄──a step joins──► ready ──first use──► serving
//!            any ──all steps used or over──► draining ──► gone
//! ```
//!
//! [`Weaver`] decides and does nothing; [`driver`] does and decides nothing.

pub mod adopt;
mod demand;
mod deploy;
pub mod driver;
mod expire;
mod graph;
mod inherited;
mod instance;
mod make;
pub mod network;
mod plan;
mod routes;
pub mod runs;
mod standing;
mod trouble;
mod weaver;

use std::net::SocketAddr;

use weft_models::policy::Weighed;

pub use graph::{Graph, GraphState, Node};
pub use instance::{Instance, InstanceState, Origin};
pub use routes::{Route, RouteKey};
pub use trouble::Trouble;
pub use weaver::{Rules, SegmentRules, Weaver};

/// Who a step of a forecast is expected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// A user, by keyed hash.
    Principal(u64),
    /// An instance of this segment, as it serves.
    Segment(usize),
}

/// One step of a forecast, in the terms of this node.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index of the segment in the configuration.
    pub segment: usize,
    /// Probability that it is asked for, 0 to 1.
    pub confidence: f64,
    /// Milliseconds until it is asked for.
    pub expected_ms: u64,
    /// Its place on the path, from 1.
    pub position: u32,
    /// Who is expected to ask.
    pub asker: Asker,
}

/// What the predictor expects after one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Unique on this node since the agent started.
    pub id: u64,
    /// The segment whose request gave rise to it.
    pub trigger: usize,
    /// When that request came: what it expects comes later.
    pub at_ms: u64,
    /// Ranked, likeliest first.
    pub path: Vec<Step>,
}

/// What the weaver is told.
#[derive(Debug)]
pub enum Input {
    /// The predictor expects these.
    Forecast(Forecast),
    /// A request waits for an instance of a segment.
    Demand {
        /// Names the waiting connection.
        waiter: u64,
        /// The segment it asked for.
        segment: usize,
    },
    /// The waiting connection has gone.
    Withdrawn {
        /// As in the demand.
        waiter: u64,
    },
    /// The instance's task stands, and its program is about to run.
    Created {
        /// The instance.
        instance: u64,
        /// Where it will answer.
        address: SocketAddr,
        /// Its cgroup2 id.
        cgroup_id: u64,
    },
    /// The kernel saw its socket listen.
    Listening {
        /// The instance.
        instance: u64,
    },
    /// It could not be made, or ended.
    Failed {
        /// The instance.
        instance: u64,
        /// Why, in words for the operator.
        cause: String,
    },
    /// Whether it was made is not known; if it does not listen by now, another is to be made.
    Lost {
        /// The instance.
        instance: u64,
    },
    /// Everything of it is removed.
    Removed {
        /// The instance.
        instance: u64,
    },
    /// A request reached it.
    Served {
        /// The instance.
        instance: u64,
        /// Who asked.
        asker: Asker,
        /// When it came.
        at_ms: u64,
    },
    /// An instance from before the agent's start, which listens.
    Adopted {
        /// Its name.
        name: String,
        /// Its segment.
        segment: usize,
        /// Where it answers.
        address: SocketAddr,
        /// Its cgroup2 id.
        cgroup_id: u64,
    },
    /// A version of a segment is to be served: once an instance of it listens, it takes the place of what was served.
    Deploy {
        /// Its index; the next one for a segment that is new.
        segment: usize,
        /// What holds for the version.
        rules: SegmentRules,
    },
    /// Open connections and memory of instances, as the kernel counts them; also the beat of the clock. Nothing that has
    /// listened is removed without it.
    Tick(Vec<Reading>),
    /// Stop: remove everything that has no work in flight, and the rest as it ends.
    Drain,
}

/// What the kernel counts of one instance.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The instance.
    pub instance: u64,
    /// Connections open to its port.
    pub open: u32,
    /// Bytes of memory that it uses.
    pub memory_bytes: u64,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make an instance and start it.
    Create {
        /// Its number.
        instance: u64,
        /// Its name, unique on the node.
        name: String,
        /// Its segment.
        segment: usize,
        /// The graph that it is made for.
        graph: Option<u64>,
        /// Which version of the segment it is of.
        version: Version,
    },
    /// A version is served from now on, or is not: what was served before is served still.
    Deployed {
        /// Its segment.
        segment: usize,
        /// Why not.
        verdict: Result<(), String>,
    },
    /// Kill it and remove all that belongs to it.
    Remove {
        /// The instance.
        instance: u64,
    },
    /// Lead callers there; replaces what the key led to.
    SetRoute(Route),
    /// Let callers go the ordinary way.
    DropRoute(RouteKey),
    /// A waiting request can go on.
    Answer {
        /// As in the demand.
        waiter: u64,
        /// Where to, or why not.
        verdict: Result<Admission, Refusal>,
    },
    /// For learning and for those who watch.
    Note(Note),
}

/// Which version of a segment an instance is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The one that is served.
    Current,
    /// The one that is being deployed.
    Next,
}

/// Where a waiting request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The instance.
    pub instance: u64,
    /// Where it answers.
    pub address: SocketAddr,
    /// What the request found.
    pub found: Found,
}

/// What a request found when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// An instance that was ready.
    Ready,
    /// One that a forecast was having made.
    Creating,
    /// Nothing; it was made for this request.
    Nothing,
}

/// Why a waiting request is sent away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In words for the caller's operator.
    pub cause: String,
    /// When to come again, in milliseconds.
    pub retry_after_ms: u64,
}

/// What happened, for learning and for those who watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// An instance changed.
    Instance {
        /// Its number.
        instance: u64,
        /// Its name.
        name: String,
        /// Its segment.
        segment: usize,
        /// A graph that holds it.
        graph: Option<u64>,
        /// What it is now.
        state: InstanceState,
        /// Why.
        cause: &'static str,
    },
    /// A graph changed.
    Graph {
        /// Its number.
        graph: u64,
        /// What it is now.
        state: GraphState,
        /// Why.
        cause: &'static str,
    },
    /// A step of a forecast is covered by an instance, from now to the deadline.
    Claimed {
        /// The forecast.
        forecast: u64,
        /// Its segment.
        segment: usize,
        /// Who is expected to ask.
        asker: Asker,
        /// When the request came that gave rise to the forecast.
        since_ms: u64,
        /// The instance that covers it.
        instance: u64,
        /// Whether it was made for this step.
        fresh: bool,
        /// When the forecast counts as wrong.
        deadline_ms: u64,
    },
    /// The steps of a forecast were weighed.
    Weighed {
        /// The forecast.
        forecast: u64,
        /// What each step's confidence is measured by, in the order of its path; nothing for one that is never acted upon.
        bars: Vec<Option<Weighed>>,
    },
    /// An instance is gone, or was used for the first time: what it cost until then.
    Spent {
        /// The instance.
        instance: u64,
        /// Its segment.
        segment: usize,
        /// Mebibyte-seconds that it stood idle.
        idle_mb_s: f64,
        /// Whether anyone used it.
        used: bool,
    },
}
