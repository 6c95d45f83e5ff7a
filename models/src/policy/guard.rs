//! Never much worse than plain keep-alive. In: for each interval between two calls of a segment, by how much it cost more than
//! plain keep-alive would have. Out: whether the segment is to follow plain keep-alive for now.
//!
//! Under keep-alive nothing is lost against it, so the sum over the last hour only falls, and forecasts get another chance.

/// Length of a part of the hour, in µs.
const PART_US: u64 = 300_000_000;
/// Parts that cover an hour wherever it begins.
const PARTS: usize = 13;

/// What a segment lost against plain keep-alive during the last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Guard {
    parts: [f32; PARTS],
    newest: u64,
}

impl Guard {
    /// Adds what an interval that ends now lost (or, below 0, gained).
    pub(super) fn add(&mut self, now_us: u64, lost_gb_s: f64) {
        self.turn(now_us);
        self.parts[(self.newest % PARTS as u64) as usize] += lost_gb_s as f32;
    }

    /// What was lost during the last hour. Gains are of no account: they were not made to be lost again.
    pub(super) fn lost_gb_s(&mut self, now_us: u64) -> f64 {
        self.turn(now_us);
        self.parts.iter().map(|part| f64::from(part.max(0.0))).sum()
    }

    fn turn(&mut self, now_us: u64) {
        let part = now_us / PART_US;
        let passed = part.saturating_sub(self.newest).min(PARTS as u64);
        for step in 1..=passed {
            self.parts[((part + 1 - step) % PARTS as u64) as usize] = 0.0;
        }
        self.newest = self.newest.max(part);
    }
}
