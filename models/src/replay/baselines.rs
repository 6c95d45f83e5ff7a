//! The plain policies that others are compared with: none, fixed and endless keep-alive, and greedy-dual. In: who is idle. Out:
//! how long it stays.

use super::{Decision, Hold, Idle, Met, Policy, gigabytes};
use crate::trace::App;

/// An instance goes as soon as it is idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeepAlive;

impl Policy for NoKeepAlive {
    fn decide(&mut self, _idle: &Idle) -> Decision {
        Decision::unloaded(u64::MAX)
    }
}

/// An instance stays for a fixed time after its last execution; each execution begins that time anew.
#[derive(Clone, Copy, Debug)]
pub struct FixedKeepAlive {
    /// For how long, in µs.
    pub keep_us: u64,
}

impl Policy for FixedKeepAlive {
    fn decide(&mut self, idle: &Idle) -> Decision {
        let until_us = idle.since_us.map_or(0, |since_us| since_us.saturating_add(self.keep_us));
        if idle.hold == Hold::Loaded && idle.now_us < until_us {
            Decision::loaded(until_us)
        } else {
            Decision::unloaded(u64::MAX)
        }
    }
}

/// Every application stands from the beginning to the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysWarm;

impl Policy for AlwaysWarm {
    fn decide(&mut self, _idle: &Idle) -> Decision {
        Decision::loaded(u64::MAX)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    clock: f64,
    uses: f64,
    cost_over_size: f64,
}

/// Greedy-dual keep-alive of FaasCache: nothing goes before memory is needed, then the lowest priority
/// `clock + uses × cost / size`. Cost is the start time, size the memory.
///
/// Source: Fuerst and Sharma, "FaasCache", ASPLOS 2021, after the scheduler of its simulator.
#[derive(Clone, Debug)]
pub struct GreedyDual {
    clock: f64,
    standings: Vec<Standing>,
}

impl GreedyDual {
    /// For these applications. Where no start takes any time, all cost the same.
    pub fn new(apps: &[App]) -> Self {
        let standing = |app: &App| {
            let cost = app.start_us.max(1) as f64 / 1e6;
            Standing { cost_over_size: cost / gigabytes(app).max(f64::MIN_POSITIVE), ..Standing::default() }
        };
        Self { clock: 0.0, standings: apps.iter().map(standing).collect() }
    }
}

impl Policy for GreedyDual {
    fn called(&mut self, app: u32, _now_us: u64, _met: Met) {
        let standing = &mut self.standings[app as usize];
        standing.uses += 1.0;
        standing.clock = self.clock;
    }

    fn decide(&mut self, idle: &Idle) -> Decision {
        match idle.hold {
            Hold::Loaded => Decision::loaded(u64::MAX),
            Hold::Unloaded => Decision::unloaded(u64::MAX),
        }
    }

    fn worth(&mut self, app: u32, _now_us: u64, _idle_since_us: u64) -> f64 {
        let standing = &self.standings[app as usize];
        standing.clock + standing.uses * standing.cost_over_size
    }

    fn evicted(&mut self, app: u32, worth: f64, last: bool) {
        self.clock = self.clock.max(worth);
        if last {
            self.standings[app as usize].uses = 0.0;
        }
    }
}
