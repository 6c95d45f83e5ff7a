//! What a segment's calls are like: those of a clock, bursts, a stream, or too few to tell. In: its rhythm. Out: a label with the
//! evidence for it. Refused: nothing; of what is not known enough it says so.
//!
//! Looked at are the intervals between active minutes, as far as they are remembered, and the last 512 minutes one by one. In
//! this order, the first that holds is the label:
//!
//! - **timer**: (a) calls come as often as one in two minutes, but not each second, and calls per minute spread at most half as
//!   much as Poisson's (index of dispersion: variance over mean, 1 for Poisson), over 32 active minutes or more. Or (b) four
//!   intervals or more have a coefficient of variation of at most 0.2, with three minutes or more between calls. Or (c) some
//!   minutes of a period are kept: each of at least four times of it in all, at least four times in five, so that chance would do
//!   this for one segment in a hundred at most (Chernoff's bound on the binomial tail, Bonferroni's over all periods and places),
//!   and at least half of the active minutes are explained by that; a call may be a minute late. Or (d) times of the day are kept
//!   on at least three days after the first, at least four days in five, and explain half of the active minutes.
//! - **rare**: fewer than eight intervals.
//! - **burst**: three or more silences of ten minutes (the usual keep-alive), five or more calls between two of them, at most one
//!   minute in four active, and either an index of dispersion of at least 3, or intervals with a coefficient of variation of at
//!   least 1.5 (at most 1 for Poisson).
//! - **steady**: everything else, such as arrivals of many people that do not know of each other.
//!
//! Sources: Cox and Lewis, "The Statistical Analysis of Series of Events", 1966 (coefficient of variation, index of dispersion);
//! Shahrad et al., "Serverless in the Wild", USENIX ATC 2020 (a coefficient near 0 is a timer, 1 Poisson, above it bursts).

use serde::{Deserialize, Serialize};

use super::rhythm::Rhythm;

/// Intervals, or times of a period, from which a clock can be told.
const KEPT_MIN: u32 = 4;
/// A minute of a period is kept if it was active at least this often.
const KEPT_SHARE: f32 = 0.8;
/// Share of active minutes that a clock has to explain.
const EXPLAINED_MIN: f32 = 0.5;
/// A longer period has to explain so much more.
const EXPLAINED_MORE: f32 = 0.1;
/// How often chance alone may look like a clock.
const CHANCE_MAX: f64 = 0.01;
/// Intervals of a clock vary by at most this share of their mean...
const CLOCK_VARIATION: f32 = 0.2;
/// ... which is at least so many minutes: below that whole minutes hide how much they vary.
const CLOCK_MINUTES_MIN: f32 = 3.0;
/// A period is taken for whole minutes if it is as near to them.
const WHOLE: f32 = 0.03;
/// The calls per minute of a clock spread so little, beside Poisson's...
const CLOCK_DISPERSION: f32 = 0.5;
/// ... over at least so many active minutes...
const CLOCK_ACTIVE_MIN: u32 = 32;
/// ... if it strikes as often, in calls per minute. More than one in a second is a load, not a clock.
const CLOCK_RATES: std::ops::RangeInclusive<f32> = 0.5..=60.5;
/// Where as many minutes are active, minutes cannot tell a clock.
const EACH_MINUTE: f32 = 0.9;
/// Intervals below which nothing but a clock can be told.
const INTERVALS_MIN: u32 = 8;
/// Minutes of a silence.
const SILENCE_MINUTES: u64 = 10;
const SILENCES_MIN: f32 = 3.0;
const BURST_CALLS_MIN: f32 = 5.0;
const BURST_ACTIVE_MAX: f32 = 0.25;
const BURST_DISPERSION: f32 = 3.0;
const BURST_VARIATION: f32 = 1.5;

/// What calls are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of a clock.
    Timer,
    /// Many within a short time, then a long silence.
    Burst,
    /// At any time: Poisson's, or busy.
    Steady,
    /// Too few to tell.
    Rare,
}

impl Kind {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Burst => "burst",
            Self::Steady => "steady",
            Self::Rare => "rare",
        }
    }
}

/// A label, and what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The label.
    pub kind: Kind,
    /// A timer's period, in seconds; else 0.
    pub period_s: f32,
    /// How surely a timer keeps it, in `[0, 1]`: share of its times at which a call came, or of intervals that are as long; of
    /// one that strikes about each minute or more often, one less the index of dispersion.
    pub kept: f32,
    /// Intervals between active minutes that are counted; what was long ago fades.
    pub intervals: u32,
    /// Their coefficient of variation.
    pub variation: f32,
    /// Index of dispersion of calls per minute.
    pub dispersion: f32,
    /// Calls between two silences; 0 if there was none.
    pub burst_calls: f32,
    /// Mean silence, in minutes; 0 if there was none.
    pub silence_minutes: f32,
}

impl Label {
    /// Of what is remembered of a segment.
    pub fn of(rhythm: &Rhythm) -> Self {
        let gaps = Gaps::of(rhythm);
        let mut label = Self {
            kind: Kind::Rare,
            period_s: 0.0,
            kept: 0.0,
            intervals: gaps.count,
            variation: gaps.variation(),
            dispersion: gaps.dispersion(rhythm),
            burst_calls: 0.0,
            silence_minutes: 0.0,
        };
        if gaps.silences > 0.0 {
            let calls = rhythm.calls_per_active().0 * (gaps.count + 1) as f32;
            label.burst_calls = calls / (gaps.silences + 1.0);
            label.silence_minutes = gaps.silent / gaps.silences;
        }
        if let Some(clock) = Clock::of(rhythm, &gaps, label.dispersion) {
            return Self { kind: Kind::Timer, period_s: clock.period_s, kept: clock.kept, ..label };
        }
        label.kind = if gaps.count < INTERVALS_MIN {
            Kind::Rare
        } else if gaps.silences >= SILENCES_MIN
            && label.burst_calls >= BURST_CALLS_MIN
            && gaps.active() <= BURST_ACTIVE_MAX
            && (label.dispersion >= BURST_DISPERSION || label.variation >= BURST_VARIATION)
        {
            Kind::Burst
        } else {
            Kind::Steady
        };
        label
    }

    /// In a few words, such as `timer 5 min`.
    pub fn words(&self) -> String {
        let period = self.period_s;
        match self.kind {
            Kind::Timer if period < 59.5 => format!("timer {period:.0} s"),
            Kind::Timer if period < 5_940.0 => format!("timer {:.0} min", period / 60.0),
            Kind::Timer if period < 169_200.0 => format!("timer {:.0} h", period / 3_600.0),
            Kind::Timer => format!("timer {:.0} d", period / 86_400.0),
            kind => kind.word().to_owned(),
        }
    }
}

/// Intervals between active minutes, in minutes.
#[derive(Debug)]
struct Gaps {
    count: u32,
    sum: f32,
    squares: f32,
    /// Those that are silences, and their minutes.
    silences: f32,
    silent: f32,
}

impl Gaps {
    fn of(rhythm: &Rhythm) -> Self {
        let mut gaps = Self { count: rhythm.gaps_all, sum: 0.0, squares: 0.0, silences: 0.0, silent: 0.0 };
        for (minutes, count) in rhythm.gaps() {
            let long = minutes as f32;
            gaps.sum += count * long;
            gaps.squares += count * long * long;
            if minutes >= SILENCE_MINUTES {
                gaps.silences += count;
                gaps.silent += count * long;
            }
        }
        gaps
    }

    fn mean(&self) -> f32 {
        self.sum / self.count.max(1) as f32
    }

    fn variation(&self) -> f32 {
        let (mean, count) = (self.mean(), self.count.max(1) as f32);
        (self.squares / count - mean * mean).max(0.0).sqrt() / mean.max(1.0)
    }

    /// Share of minutes that were active.
    fn active(&self) -> f32 {
        (self.count + 1) as f32 / (self.sum + 1.0)
    }

    /// Variance over mean of calls per minute.
    fn dispersion(&self, rhythm: &Rhythm) -> f32 {
        let (mean, squares) = rhythm.calls_per_active();
        let (mean, squares) = (self.active() * mean, self.active() * squares);
        (squares - mean * mean).max(0.0) / mean
    }
}

/// A clock that explains what was seen.
#[derive(Debug)]
struct Clock {
    period_s: f32,
    kept: f32,
}

impl Clock {
    fn of(rhythm: &Rhythm, gaps: &Gaps, dispersion: f32) -> Option<Self> {
        let per_minute = gaps.active() * rhythm.calls_per_active().0;
        let enough = gaps.count >= CLOCK_ACTIVE_MIN && CLOCK_RATES.contains(&per_minute);
        let even = (enough && dispersion <= CLOCK_DISPERSION)
            .then(|| Self { period_s: 60.0 * whole(1.0 / per_minute), kept: 1.0 - dispersion });
        if gaps.active() >= EACH_MINUTE {
            return even;
        }
        let apart = gaps.mean() >= CLOCK_MINUTES_MIN && gaps.variation() <= CLOCK_VARIATION;
        if apart && gaps.count >= KEPT_MIN {
            return Some(Self::of_intervals(rhythm, gaps));
        }
        kept_minutes(rhythm).or(even).or_else(|| Self::of_days(rhythm, gaps))
    }

    /// One that strikes at times of the day.
    fn of_days(rhythm: &Rhythm, gaps: &Gaps) -> Option<Self> {
        let (calls, kept) = rhythm.days.kept()?;
        let explained = calls / (gaps.count + 1) as f32;
        (explained >= EXPLAINED_MIN).then_some(Self { period_s: 86_400.0, kept })
    }

    /// One whose calls are so long apart, give or take a minute.
    fn of_intervals(rhythm: &Rhythm, gaps: &Gaps) -> Self {
        let usual = whole(gaps.mean());
        let near = |minutes: u64| (minutes as f32 - usual).abs() <= (usual / 10.0).max(1.0);
        let kept: f32 = rhythm.gaps().filter(|(minutes, _)| near(*minutes)).map(|(_, count)| count).sum();
        Self { period_s: usual * 60.0, kept: kept / gaps.count as f32 }
    }
}

/// A number of minutes, whole if it nearly is.
fn whole(minutes: f32) -> f32 {
    let whole = minutes.round();
    if (minutes - whole).abs() <= WHOLE * minutes { whole } else { minutes }
}

/// The shortest period some minutes of which are kept, and that explains about as much as any.
fn kept_minutes(rhythm: &Rhythm) -> Option<Clock> {
    let known = rhythm.known() as usize;
    let active: Vec<usize> = rhythm.active_back().collect();
    let mut best: Option<(f32, Clock)> = None;
    for late in [0, 1] {
        for period in 2..=known / KEPT_MIN as usize {
            let Some((explained, kept)) = explained(&active, known, period, late) else { continue };
            let least = best.as_ref().map_or(EXPLAINED_MIN, |(best, _)| best + EXPLAINED_MORE);
            if explained >= least {
                best = Some((explained, Clock { period_s: period as f32 * 60.0, kept }));
            }
        }
    }
    best.map(|(_, clock)| clock)
}

/// Share of active minutes that kept minutes of a period explain, and how surely these are kept. A place of the period is kept,
/// too, by a call that comes `late` minutes after it.
fn explained(active: &[usize], known: usize, period: usize, late: usize) -> Option<(f32, f32)> {
    if period <= 2 * late {
        return None;
    }
    let mut hits = vec![0_u32; period];
    let mut before = usize::MAX;
    // Minutes are counted backwards: a call that is late is nearer.
    for back in active {
        for place in *back..=*back + late {
            if place != before && place < known {
                hits[place % period] += 1;
            }
            before = place;
        }
    }
    let all: u32 = hits.iter().sum();
    let usual = f64::from(all) / known as f64;
    let times = |place: usize| ((known - place).div_ceil(period)) as u32;
    let kept: Vec<bool> = (0..period)
        .map(|place| {
            let share = hits[place] as f32 / times(place) as f32;
            let chance = chance_of(f64::from(share), f64::from(times(place)), usual);
            let places = (period * (known / KEPT_MIN as usize)) as f64;
            times(place) >= KEPT_MIN && share >= KEPT_SHARE && chance * places <= CHANCE_MAX
        })
        .collect();
    let sum = |of: &dyn Fn(usize) -> u32| (0..period).filter(|place| kept[*place]).map(of).sum::<u32>();
    let (hit, possible) = (sum(&|place| hits[place]), sum(&times));
    let by_clock = |back: &&usize| (**back..=**back + late).any(|place| kept[place % period]);
    let explained = active.iter().filter(by_clock).count() as f32 / active.len() as f32;
    (possible > 0).then(|| (explained, hit as f32 / possible as f32))
}

/// How likely it is, at most, that a share as large comes of so many tries, each of which succeeds with `usual`.
fn chance_of(share: f64, times: f64, usual: f64) -> f64 {
    if share <= usual {
        return 1.0;
    }
    let part = |share: f64, usual: f64| if share > 0.0 { share * (share / usual).ln() } else { 0.0 };
    (-times * (part(share, usual) + part(1.0 - share, 1.0 - usual))).exp()
}
