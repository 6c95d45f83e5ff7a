//! The time between two calls of a segment. In: what was forecast for each stretch of it, and what was decided. Out: what each
//! arm would have lost, and what was lost.

use super::tune::{ARMS, Class, KEEP, MULTIPLES};
use crate::replay::{Decision, Hold};

/// Stretches that are forecast and have not passed yet.
const EXPECTED_MAX: usize = 32;

/// What an interval cost, in GB·s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Losses {
    /// Each arm: memory that would have stood idle, and the price of a cold start if it would have been one.
    pub(super) arms: [f64; ARMS],
    /// Memory that stood idle.
    pub(super) own_gb_s: f64,
}

/// One interval, from the moment when its instance is asked about for the first time.
#[derive(Clone, Debug, Default)]
pub(super) struct Interval {
    pub(super) class: Class,
    open: bool,
    since_us: u64,
    passed_us: u64,
    /// Ends and calls per second of the stretches ahead.
    expected: Vec<(u64, f64)>,
    arms_us: [u64; ARMS],
    own_us: u64,
    starts: u32,
    followed: Option<Decision>,
}

impl Interval {
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Begins one in which an instance has stood, or none, since the last call.
    pub(super) fn begin(&mut self, since_us: u64, class: Class, hold: Hold) {
        let expected = std::mem::take(&mut self.expected);
        *self = Self { class, open: true, since_us, passed_us: since_us, expected, ..Self::default() };
        self.expected.clear();
        self.followed = Some(Decision { hold, until_us: u64::MAX });
    }

    /// A stretch that follows those already expected.
    pub(super) fn expect(&mut self, until_us: u64, per_second: f64) {
        if self.open && self.expected.len() < EXPECTED_MAX {
            self.expected.push((until_us, per_second));
        }
    }

    /// What is done until the next decision.
    pub(super) fn follow(&mut self, decision: Decision) {
        let stood = self.followed.replace(decision).is_none_or(|before| before.hold == Hold::Loaded);
        self.starts += u32::from(!stood && decision.hold == Hold::Loaded);
    }

    /// How often an instance was to be made ahead of the call.
    pub(super) fn starts(&self) -> u32 {
        self.starts
    }

    /// Accounts for the time up to now; what was expected after that is forgotten.
    pub(super) fn pass(&mut self, gigabytes: f64, price: f64, now_us: u64) {
        if self.followed.is_some_and(|followed| followed.hold == Hold::Loaded) {
            self.own_us += now_us - self.passed_us;
        }
        let mut from_us = self.passed_us;
        for (until_us, per_second) in &self.expected {
            let until_us = (*until_us).min(now_us);
            for (arm_us, multiple) in self.arms_us.iter_mut().zip(MULTIPLES) {
                if *per_second >= gigabytes / (price * multiple) {
                    *arm_us += until_us.saturating_sub(from_us);
                }
            }
            from_us = from_us.max(until_us);
        }
        self.expected.clear();
        self.passed_us = now_us;
    }

    /// What has been lost so far against plain keep-alive by memory alone, in GB·s.
    pub(super) fn lost_gb_s(&self, gigabytes: f64, now_us: u64, keep_us: u64) -> f64 {
        let kept_us = keep_us.min(now_us.saturating_sub(self.since_us));
        (self.own_us as f64 - kept_us as f64) / 1e6 * gigabytes
    }

    /// A call ends the interval; `None` if none was open.
    pub(super) fn end(&mut self, gigabytes: f64, price: f64, now_us: u64, keep_us: u64) -> Option<Losses> {
        if !std::mem::replace(&mut self.open, false) {
            return None;
        }
        let last = self.expected.iter().find(|(until_us, _)| now_us <= *until_us).or(self.expected.last());
        let per_second = last.map_or(f64::INFINITY, |(_, per_second)| *per_second);
        self.pass(gigabytes, price, now_us);
        let gb_s = |us: u64| us as f64 / 1e6 * gigabytes;
        let mut arms = [0.0; ARMS];
        for (arm, multiple) in MULTIPLES.into_iter().enumerate() {
            let cold = per_second < gigabytes / (price * multiple);
            arms[arm] = gb_s(self.arms_us[arm]) + if cold { price } else { 0.0 };
        }
        let gap_us = now_us - self.since_us;
        arms[KEEP] = gb_s(gap_us.min(keep_us)) + if gap_us > keep_us { price } else { 0.0 };
        Some(Losses { arms, own_gb_s: gb_s(self.own_us) })
    }
}
