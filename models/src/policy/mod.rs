//! What a forecast is worth. In: how likely a call is now, what an instance takes, what a cold start costs. Out: whether an
//! instance is to stand, now and until when.
//!
//! One rule: an instance stands while the cold starts that it is expected to save per second, at the price of one, are worth
//! more than the memory that it takes. Costs of standing add up over time and savings do, too, so the rule is best in
//! every moment by itself, whatever was decided before; only the time that a start takes has to be looked ahead.

use serde::{Deserialize, Serialize};

use crate::timing::Rhythm;

mod foresight;
mod guard;
mod interval;
mod steps;
mod tune;

pub use foresight::{Foresight, Rule, Tuned};
pub use steps::{CPU_GB_S, Stake, Steps, Weighed};
pub use tune::{ARMS, Class, KEEP, MULTIPLES, Tuner};

/// What hits and waste have taught, to outlive an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Of instances that stand, by class of segments.
    pub standing: Tuner,
    /// Of steps of forecasts, by class of steps.
    pub steps: Tuner,
    /// Of the calls of each segment; at most [`SEGMENTS_MAX`].
    pub segments: Vec<Known>,
}

/// Segments whose calls are remembered, about 1 KiB each.
pub const SEGMENTS_MAX: usize = 4096;

/// What is known of one segment's calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Its name: its place in the configuration may be another one tomorrow.
    pub segment: String,
    /// How often it was called.
    pub calls: u64,
    /// When first, in µs.
    pub first_us: u64,
    /// When it is called.
    pub rhythm: Rhythm,
}

impl Learned {
    /// Whether learning can have made it.
    pub(crate) fn is_sound(&self) -> bool {
        let known = |one: &Known| one.rhythm.is_sound() && one.first_us <= one.rhythm.last_us();
        let tuners = self.standing.is_sound() && self.steps.is_sound();
        tuners && self.segments.len() <= SEGMENTS_MAX && self.segments.iter().all(known)
    }
}
