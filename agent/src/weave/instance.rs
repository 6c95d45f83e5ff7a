//! One container, from the decision to make it until nothing of it is left.

use std::net::SocketAddr;

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Being made; not listening yet.
    Creating,
    /// Listening, not used yet.
    Ready,
    /// Has been used.
    Serving,
    /// Out of the routes; its last connections end.
    Draining,
    /// Being removed, or removed.
    Gone,
}

impl InstanceState {
    /// The word shown to users.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Gone => "gone",
        }
    }
}

/// Why an instance was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A request waited for it.
    Demand,
    /// A forecast asked for it.
    Forecast,
    /// It stood when the agent came.
    Adopted,
    /// It shows that a version of its segment can be served.
    Deploy,
}

/// One container.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Unique since the agent's start.
    pub number: u64,
    /// Unique on the node, across starts.
    pub name: String,
    /// Index of its segment.
    pub segment: usize,
    /// Why it was made.
    pub origin: Origin,
    /// Where it is in its life.
    pub state: InstanceState,
    /// When its making began.
    pub created_ms: u64,
    /// When it listened.
    pub ready_ms: Option<u64>,
    /// When it was last used: let in a request, or had a connection open.
    pub used_ms: Option<u64>,
    /// When draining began.
    pub draining_ms: u64,
    /// Requests that were seen to reach it.
    pub uses: u64,
    /// Connections open, as last read from the kernel.
    pub open: u32,
    /// Memory in use, as last read.
    pub memory_bytes: u64,
    /// Its cgroup2 id, once it has a task.
    pub cgroup_id: Option<u64>,
    /// Where it answers, once it has a task.
    pub address: Option<SocketAddr>,
    /// Which version of its segment it is of, counted from the agent's start.
    pub(super) version: u64,
    /// Until when it stays without work, by the rule that forecasts of time follow; looked at again then.
    pub(super) kept_ms: u64,
    /// Whether it was made for a call that is expected by the clock.
    pub(super) timed: bool,
    /// Whether it has served or stood for a while; its end is no fault then.
    pub(super) proven: bool,
    /// Idle cost so far, in byte-milliseconds.
    pub(super) idle_byte_ms: f64,
    pub(super) metered_ms: u64,
}

impl Instance {
    pub(super) fn new(
        number: u64,
        name: String,
        segment: usize,
        version: u64,
        origin: Origin,
        now_ms: u64,
    ) -> Self {
        Self {
            number,
            name,
            segment,
            origin,
            state: InstanceState::Creating,
            created_ms: now_ms,
            ready_ms: None,
            used_ms: None,
            draining_ms: 0,
            uses: 0,
            open: 0,
            memory_bytes: 0,
            cgroup_id: None,
            address: None,
            version,
            kept_ms: 0,
            timed: false,
            proven: false,
            idle_byte_ms: 0.0,
            metered_ms: now_ms,
        }
    }

    /// Whether a request can be sent to it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, InstanceState::Ready | InstanceState::Serving)
    }

    /// Whether it stands or is being made, and is not on its way out.
    pub(super) fn is_alive(&self) -> bool {
        self.is_open() || self.state == InstanceState::Creating
    }

    /// Whether it was made ahead of demand, and nothing has come to it yet.
    pub fn is_speculative(&self) -> bool {
        self.origin == Origin::Forecast && self.used_ms.is_none()
    }

    /// Adds the time since the last reading to the idle cost, unless it has work.
    pub(super) fn meter(&mut self, now_ms: u64) {
        if self.open == 0 {
            self.idle_byte_ms += self.memory_bytes as f64 * now_ms.saturating_sub(self.metered_ms) as f64;
        }
        self.metered_ms = now_ms;
    }

    /// Takes the idle cost so far, in mebibyte-seconds.
    pub(super) fn take_idle_mb_s(&mut self, now_ms: u64) -> f64 {
        self.meter(now_ms);
        std::mem::take(&mut self.idle_byte_ms) / (1024.0 * 1024.0 * 1000.0)
    }
}
