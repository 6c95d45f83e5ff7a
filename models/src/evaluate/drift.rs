//! Whether the world has changed. In come losses, one forecast after the other; out goes an alarm, with the number of
//! forecasts since the change. The test is Page and Hinkley's: it adds up by how much each loss exceeds the mean of all
//! so far, and alarms when the sum has risen too far above its lowest point, which is where the change began.

use serde::{Deserialize, Serialize};

/// A loss has to exceed the mean by this much before it counts: noise cancels out.
const TOLERANCE: f64 = 0.02;
/// How far the sum may rise. With losses in `[0, 1]` that is some fifty forecasts that all went wrong, or three hundred
/// of which one more in five does.
const RISE_MAX: f64 = 40.0;
/// Before so many forecasts there is no mean to compare with.
const FORECASTS_MIN: u64 = 200;

/// Page and Hinkley's test for a mean that rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    count: u64,
    mean: f64,
    sum: f64,
    lowest: f64,
    lowest_at: u64,
}

impl Drift {
    /// Takes in one loss in `[0, 1]`; what is none is left out. Returns how many forecasts ago the losses began to
    /// rise, once they clearly have; then the test begins anew.
    pub fn note(&mut self, loss: f64) -> Option<u64> {
        if !(0.0..=1.0).contains(&loss) {
            return None;
        }
        self.count += 1;
        self.mean += (loss - self.mean) / self.count as f64;
        self.sum += loss - self.mean - TOLERANCE;
        if self.sum < self.lowest {
            (self.lowest, self.lowest_at) = (self.sum, self.count);
        }
        if self.count < FORECASTS_MIN || self.sum - self.lowest <= RISE_MAX {
            return None;
        }
        let since = self.count - self.lowest_at;
        *self = Self::default();
        Some(since)
    }
}
