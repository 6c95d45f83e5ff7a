//! Where in a minute calls fall. In: the chance of a call in the minute, and what the segment did. Out: calls expected per second
//! in the part of the minute that a second lies in, if none has come before, and where that part ends.

use super::rhythm::{PART_S, PARTS, Rhythm};

/// Weight, in first calls, of even places against those that were counted.
const EVEN_WEIGHT: f64 = 12.0;

/// The chance that none of `calls` calls in even places falls into a share of the time. The number of calls is a guess: with
/// equal weight it is a quarter of that, or one, so that a pause is not taken for the end at once.
fn none_within(share: f64, calls: f64) -> f64 {
    let left = (1.0 - share).clamp(0.0, 1.0);
    (left.powf(calls) + left.powf((calls / 4.0).max(1.0)) + left) / 3.0
}

/// The part of a minute that a second lies in.
fn part(second: f64) -> usize {
    ((second / PART_S) as usize).min(PARTS - 1)
}

/// Where in a minute its first call falls: the share of each part, and of those before it. It only changes with a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Firsts {
    shares: [f64; PARTS],
    before: [f64; PARTS],
}

impl Firsts {
    pub(super) fn of(rhythm: &Rhythm) -> Self {
        let (firsts, all) = rhythm.firsts();
        let calls = f64::from(rhythm.count_mean).max(1.0);
        let behind = |share: f64| none_within(share, calls);
        let mut parts = Self::default();
        let mut before = 0.0;
        for (at, first) in firsts.iter().enumerate() {
            let even = behind(at as f64 / PARTS as f64) - behind((at + 1) as f64 / PARTS as f64);
            parts.shares[at] = (f64::from(*first) + EVEN_WEIGHT * even) / (f64::from(all) + EVEN_WEIGHT);
            parts.before[at] = before;
            before += parts.shares[at];
        }
        parts
    }

    /// A minute without a call yet.
    pub(super) fn minute(&self, chance: f64, second: f64) -> (f64, f64) {
        let here = part(second);
        let (share, before) = (self.shares[here], self.before[here]);
        let end = (here + 1) as f64 * PART_S;
        // Within its part a call has any place: what has passed of it without one is behind us.
        let passed = (second - here as f64 * PART_S) / PART_S;
        let in_part = share * (1.0 - passed);
        let left = 1.0 - chance * (before + share * passed).min(1.0);
        (end, chance * in_part / left.max(1e-9) / (end - second).max(1e-3))
    }
}

/// The rest of a minute whose last call so far came at the second `called`.
pub(super) fn rest(rhythm: &Rhythm, chance: f64, called: f64, second: f64) -> (f64, f64) {
    let so_far = f64::from(rhythm.count);
    let length = (60.0 - called).max(1e-3);
    // As many as are usual and have not come yet, but no more than the pace of the minute so far gives.
    let pace = so_far * length / called.max(1.0);
    let more = (f64::from(rhythm.count_mean) - so_far).max(so_far / 4.0).min(pace).max(1.0);
    let (too_long, all) = rhythm.short_beyond(length);
    let own_weight = f64::from(all) - too_long;
    let behind = |second: f64| {
        let even = none_within((second - called) / length, more);
        let own = rhythm.short_beyond(second - called).0 - too_long;
        ((own + EVEN_WEIGHT * even) / (own_weight + EVEN_WEIGHT)).clamp(0.0, 1.0)
    };
    let end = (part(second) + 1) as f64 * PART_S;
    let left = 1.0 - chance + chance * behind(second);
    let falls = chance * (behind(second) - behind(end)).max(0.0);
    (end, falls / left.max(1e-9) / (end - second).max(1e-3))
}
