//! What the trees see. In: a segment's rhythm and a minute, or the calls of a minute so far. Out: numbers, named in order.

use super::rhythm::{GAP_MAX, Rhythm};
use crate::trace::Trigger;

/// Features of a coming minute.
pub const MINUTE_NAMES: [&str; 31] = [
    "minutes since the last call",
    "share of intervals of this length among those that lasted",
    "the same, one minute more or less",
    "intervals that lasted as long",
    "intervals known",
    "share of intervals that lasted as long",
    "length over the median interval",
    "length minus the last interval",
    "length minus the last but one",
    "length minus the longest of the last",
    "spread of the last intervals",
    "last intervals of this length",
    "share of hours active at this minute",
    "half hours active at this minute",
    "quarters active at this minute",
    "tens of minutes active at this minute",
    "fives of minutes active at this minute",
    "best period that falls on this minute",
    "best period at all",
    "length modulo the best period",
    "periods that fall on this minute",
    "active minutes of ten",
    "active minutes of sixty",
    "active minutes of all",
    "calls in an active minute",
    "calls in the last active minute",
    "trigger",
    "roundness of the minute",
    "minutes known",
    "active one period of the last interval ago",
    "active two hours ago and one hour ago",
];
/// Number of features of a coming minute.
pub const MINUTE_WIDTH: usize = MINUTE_NAMES.len();

/// Features of the rest of a minute that has had a call.
pub const AGAIN_NAMES: [&str; 10] = [
    "calls so far in this minute",
    "second of the minute",
    "share of minutes with more calls",
    "calls in an active minute",
    "calls in the active minute before",
    "so far over the mean",
    "active minutes of ten",
    "active minutes of all",
    "trigger",
    "minutes counted",
];
/// Number of features of the rest of a minute.
pub const AGAIN_WIDTH: usize = AGAIN_NAMES.len();

fn trigger_number(trigger: Trigger) -> f32 {
    match trigger {
        Trigger::Unknown => 0.0,
        Trigger::Timer => 1.0,
        Trigger::Http => 2.0,
        Trigger::Queue => 3.0,
        Trigger::Event => 4.0,
        Trigger::Orchestration => 5.0,
    }
}

/// Features of `minute`, which comes after the rhythm's last one.
pub(super) fn of_minute(rhythm: &Rhythm, trigger: Trigger, minute: u64) -> [f32; MINUTE_WIDTH] {
    let length = minute - rhythm.minute;
    let known = rhythm.known();
    let all = rhythm.active_among(known as usize) as f32 / (known + length) as f32;
    let (from, intervals) = (rhythm.gaps_from(length), rhythm.gaps_all);
    let near: u32 = (length.saturating_sub(1)..=length + 1).map(|gap| rhythm.gap_count(gap)).sum();
    let near_from = rhythm.gaps_from(length.saturating_sub(1));
    let recent = Recent::of(rhythm.recent());
    let long = length as f32;
    let apart = |gap: Option<u16>| gap.map_or(0.0, |gap| (long - f32::from(gap)).clamp(-99.0, 99.0));
    let falls = |lag: &&super::rhythm::Lag| {
        lag.minutes > 0 && minute.checked_sub(u64::from(lag.minutes)).is_some_and(|then| rhythm.active(then))
    };
    let lags = rhythm.lags();
    let on = |back: u64| minute.checked_sub(back).is_some_and(|then| rhythm.active(then));
    let active_of = |minutes: u64| {
        let within = minutes.saturating_sub(length);
        rhythm.active_among(within as usize) as f32 / minutes as f32
    };
    [
        long,
        (rhythm.gap_count(length) as f32 + 2.0 * all) / (from as f32 + 2.0),
        (near as f32 / 3.0 + 2.0 * all) / (near_from as f32 + 2.0),
        from as f32,
        intervals as f32,
        (from as f32 + 1.0) / (intervals as f32 + 1.0),
        if recent.median > 0.0 { long / recent.median } else { -1.0 },
        apart(recent.last),
        apart(recent.before),
        apart(recent.longest),
        recent.spread,
        rhythm.recent().iter().filter(|gap| u64::from(**gap) == length).count() as f32,
        rhythm.phase_share(minute, 60),
        rhythm.phase_share(minute, 30),
        rhythm.phase_share(minute, 15),
        rhythm.phase_share(minute, 10),
        rhythm.phase_share(minute, 5),
        lags.iter().filter(falls).map(|lag| lag.share).fold(0.0, f32::max),
        lags[0].share,
        if lags[0].minutes == 0 { -1.0 } else { (length % u64::from(lags[0].minutes)) as f32 },
        lags.iter().filter(falls).count() as f32,
        active_of(10),
        active_of(60),
        all,
        rhythm.count_mean.ln_1p(),
        (rhythm.count as f32).ln_1p(),
        trigger_number(trigger),
        roundness(minute),
        (minute - rhythm.first_minute) as f32,
        f32::from(u8::from(recent.last.is_some_and(|gap| on(u64::from(gap))))),
        f32::from(u8::from(on(60))) + f32::from(u8::from(on(120))),
    ]
}

/// Features of the rest of the minute of the last call.
pub(super) fn of_rest(rhythm: &Rhythm, trigger: Trigger, second: f32) -> [f32; AGAIN_WIDTH] {
    let count = rhythm.count as f32;
    let known = rhythm.known();
    [
        count,
        second,
        rhythm.more_share(rhythm.count, 0.5),
        rhythm.count_mean.ln_1p(),
        (rhythm.count_before as f32).ln_1p(),
        count / rhythm.count_mean,
        rhythm.active_among(10) as f32,
        rhythm.active_among(known as usize) as f32 / known as f32,
        trigger_number(trigger),
        rhythm.counts_all as f32,
    ]
}

/// The largest usual period of timers that a minute is a multiple of.
fn roundness(minute: u64) -> f32 {
    [60, 30, 20, 15, 10, 5, 2].into_iter().find(|period| minute.is_multiple_of(*period)).unwrap_or(1) as f32
}

struct Recent {
    last: Option<u16>,
    before: Option<u16>,
    longest: Option<u16>,
    median: f32,
    spread: f32,
}

impl Recent {
    fn of(recent: &[u16]) -> Self {
        let mut sorted = [0_u16; super::rhythm::RECENT];
        let sorted = &mut sorted[..recent.len()];
        sorted.copy_from_slice(recent);
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).map_or(0.0, |gap| f32::from((*gap).min(GAP_MAX as u16)));
        let spread = match (sorted.first(), sorted.last()) {
            (Some(low), Some(high)) if median > 0.0 => f32::from(high - low) / median,
            _ => -1.0,
        };
        let longest = sorted.last().copied();
        Self { last: recent.first().copied(), before: recent.get(1).copied(), longest, median, spread }
    }
}
