//! The policy that knows every call. In: the calls. Out: an instance exactly when it is cheaper than a cold start.

use super::{Decision, Hold, Idle, Met, Policy, gigabytes};
use crate::trace::{App, Call};

/// Has an instance ready for each call but an application's first, and no longer than it takes, as far as that is worth its
/// memory. No policy has a lower sum of wasted memory and priced cold starts, where one instance serves an application.
#[derive(Clone, Debug)]
pub struct Clairvoyant {
    calls_us: Vec<Vec<u64>>,
    next: Vec<usize>,
    lead_us: Vec<u64>,
    gigabytes: Vec<f64>,
    price_gb_s: f64,
}

impl Clairvoyant {
    /// Knows `calls`. It loads an application `lead_us` ahead, or its start time if that is longer, unless the wasted
    /// memory would be more than `price_gb_s`, what one cold start is worth in GB·s.
    pub fn new(apps: &[App], calls: impl IntoIterator<Item = Call>, lead_us: u64, price_gb_s: f64) -> Self {
        let mut calls_us = vec![Vec::new(); apps.len()];
        for call in calls {
            if let Some(of_app) = calls_us.get_mut(call.app as usize) {
                of_app.push(call.at_us);
            }
        }
        Self {
            calls_us,
            next: vec![0; apps.len()],
            lead_us: apps.iter().map(|app| lead_us.max(app.start_us)).collect(),
            gigabytes: apps.iter().map(gigabytes).collect(),
            price_gb_s,
        }
    }
}

impl Policy for Clairvoyant {
    fn called(&mut self, app: u32, _now_us: u64, _met: Met) {
        self.next[app as usize] += 1;
    }

    fn decide(&mut self, idle: &Idle) -> Decision {
        let app = idle.app as usize;
        let coming = self.calls_us[app].get(self.next[app]).filter(|_| self.next[app] > 0);
        let Some(next_us) = coming.copied() else { return Decision::unloaded(u64::MAX) };
        let lead_us = self.lead_us[app];
        // Up to when it was loaded is spent already when this is asked for again.
        let from_us = next_us.saturating_sub(lead_us).max(idle.since_us.unwrap_or(0));
        let waste_gb_s = (next_us - from_us) as f64 / 1e6 * self.gigabytes[app];
        if waste_gb_s > self.price_gb_s {
            return Decision::unloaded(u64::MAX);
        }
        if idle.hold == Hold::Unloaded && idle.now_us + lead_us > next_us {
            // Too late to be ready: only asked when memory was short.
            return Decision::unloaded(u64::MAX);
        }
        if idle.now_us < from_us { Decision::unloaded(from_us) } else { Decision::loaded(u64::MAX) }
    }
}
