//! What a replay counts. In: calls as they were met, memory that stood idle. Out: shares of cold starts over all calls and
//! per application, wasted GB·s, churn, and the slowdown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One application's calls in the scored time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppScore {
    /// Calls, without the application's very first one.
    pub calls: u64,
    /// Cold starts among them.
    pub cold: u64,
    /// Its very first call, if it falls into the scored time: 1, else 0.
    pub first: u64,
    /// Whether that was cold: 1, else 0.
    pub first_cold: u64,
    /// Answers by slowdown.
    pub slowdowns: Slowdowns,
}

/// Response time over run time, by steps of an eighth of a doubling: bounded, and exact to 9 %.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowdowns {
    steps: BTreeMap<u16, u64>,
    calls: u64,
}

impl Slowdowns {
    const STEPS: f64 = 8.0;

    pub(super) fn add(&mut self, slowdown: f64) {
        self.calls += 1;
        if slowdown > 1.0 {
            *self.steps.entry((slowdown.log2() * Self::STEPS) as u16).or_default() += 1;
        }
    }

    /// The slowdown that one call in a hundred exceeds.
    pub fn p99(&self) -> f64 {
        let mut above = self.calls / 100;
        for (step, calls) in self.steps.iter().rev() {
            if *calls > above {
                return (f64::from(*step) / Self::STEPS).exp2();
            }
            above -= calls;
        }
        1.0
    }
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Per application.
    pub apps: Vec<AppScore>,
    /// Memory × time that stood idle, in KiB·µs.
    pub wasted_kib_us: u128,
    /// Memory × time that worked, in KiB·µs.
    pub busy_kib_us: u128,
    /// Instances made ahead of demand.
    pub prewarms: u64,
    /// Those of them that went without having served.
    pub prewarms_unused: u64,
    /// Instances that gave way to others.
    pub evictions: u64,
    /// Calls for which there was no memory.
    pub dropped: u64,
    /// Most memory that stood idle at once, in KiB.
    pub idle_kib_max: u64,
    /// Most memory in use and idle at once, in KiB.
    pub memory_kib_max: u64,
}

/// The figures that are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Cold starts among all calls but first ones, in percent.
    pub cold_percent: f64,
    /// The same with first calls.
    pub cold_percent_with_first: f64,
    /// The share that one application in four exceeds, in percent.
    pub p75_cold_percent: f64,
    /// The share that one application in ten exceeds, in percent.
    pub p90_cold_percent: f64,
    /// Geometric mean over applications of the slowdown at their 99th percentile.
    pub slowdown_p99_geomean: f64,
    /// Wasted memory, in GB·s.
    pub wasted_gb_s: f64,
    /// Instances made ahead of demand.
    pub churn: u64,
}

impl Score {
    /// Wasted memory in GB·s.
    pub fn wasted_gb_s(&self) -> f64 {
        self.wasted_kib_us as f64 / (1_u64 << 20) as f64 / 1e6
    }

    /// Cold starts without first calls.
    pub fn cold(&self) -> u64 {
        self.apps.iter().map(|app| app.cold).sum()
    }

    /// Calls without first ones.
    pub fn calls(&self) -> u64 {
        self.apps.iter().map(|app| app.calls).sum()
    }

    /// Shares of cold starts of the applications that were called again, in percent, ascending.
    pub fn app_percents(&self) -> Vec<f64> {
        let called = self.apps.iter().filter(|app| app.calls > 0);
        let mut shares: Vec<f64> = called.map(|app| percent(app.cold, app.calls)).collect();
        shares.sort_by(f64::total_cmp);
        shares
    }

    /// The figures that are compared.
    pub fn figures(&self) -> Figures {
        let shares = self.app_percents();
        let sum = |field: fn(&AppScore) -> u64| self.apps.iter().map(field).sum::<u64>();
        let called = || self.apps.iter().filter(|app| app.calls > 0);
        let logs: f64 = called().map(|app| app.slowdowns.p99().ln()).sum();
        Figures {
            cold_percent: percent(self.cold(), self.calls()),
            cold_percent_with_first: percent(
                self.cold() + sum(|app| app.first_cold),
                self.calls() + sum(|app| app.first),
            ),
            p75_cold_percent: percentile(&shares, 0.75),
            p90_cold_percent: percentile(&shares, 0.90),
            slowdown_p99_geomean: (logs / called().count().max(1) as f64).exp(),
            wasted_gb_s: self.wasted_gb_s(),
            churn: self.prewarms,
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// The value below which a `share` of the ascending values lies, between two neighbours on the straight line.
pub fn percentile(ascending: &[f64], share: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    // Two that are infinite have no difference.
    if ascending[low] == ascending[high] {
        return ascending[low];
    }
    ascending[low] + (ascending[high] - ascending[low]) * (place - low as f64)
}
