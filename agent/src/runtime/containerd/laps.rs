//! How long each step of a creation took. In: the ends of steps. Out: the steps with their times.
use std::time::{Duration, Instant};

use crate::runtime::Phase;

/// Measures steps that follow each other.
pub(super) struct Clock {
    last: Instant,
    pub(super) laps: Vec<(Phase, Duration)>,
}

impl Clock {
    pub(super) fn after<const STEPS: usize>(laps: [(Phase, Duration); STEPS]) -> Self {
        Self { last: Instant::now(), laps: laps.into() }
    }

    pub(super) fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.laps.push((phase, now - self.last));
        self.last = now;
    }
}
