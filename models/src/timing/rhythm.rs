//! What is remembered of one segment's times. In: its calls, in the order of time. Out: intervals, phases, periods and counts,
//! all counted in whole minutes of the clock, in a fixed amount of memory. Refused: calls before the last one.

use serde::{Deserialize, Serialize};

use super::counts;
use super::days::Days;
use crate::trace::{MINUTE_US, SECOND_US};

/// Longest interval that is told from longer ones, in minutes.
pub(super) const GAP_MAX: usize = 240;
/// Intervals remembered one by one.
pub(super) const RECENT: usize = 8;
/// Minutes whose activity is remembered one by one.
const BITS: usize = 512;
const WORDS: usize = BITS / 64;
/// Parts of a minute in which the first call is placed.
pub(super) const PARTS: usize = 12;
/// Seconds of such a part.
pub(super) const PART_S: f64 = 60.0 / PARTS as f64;
/// When this many intervals or minutes are counted, all counts are halved: what was long ago fades.
const FADE_AT: u32 = 2_048;
/// Intervals beyond the longest, and the minutes that they waited there, as long as none has been seen.
const BEYOND_ENDS: f32 = 0.5;
const BEYOND_MINUTES: f32 = 30.0;
/// Active minutes that moments of calls are taken over.
const MOMENTS: u32 = 256;
/// Counts per active minute are told apart up to these.
pub(super) const COUNT_STEPS: [u32; 9] = [1, 2, 3, 4, 6, 10, 20, 60, u32::MAX];
/// Intervals below a minute are told apart by doublings of this, in seconds.
const SHORT_FROM_S: f64 = 0.5;
/// Doublings up to a minute.
const SHORT_STEPS: usize = 8;
/// Periods that are voted with.
const LAGS: usize = 6;

/// A period: how likely an active minute is followed by another after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lag {
    pub(super) minutes: u16,
    pub(super) share: f32,
}

/// One segment's times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rhythm {
    pub(super) first_minute: u64,
    /// The minute of the last call.
    pub(super) minute: u64,
    /// Calls in that minute.
    pub(super) count: u32,
    pub(super) last_us: u64,
    /// Intervals between active minutes by length; those beyond [`GAP_MAX`] in the first place.
    gaps: Box<[u16]>,
    pub(super) gaps_all: u32,
    recent: [u16; RECENT],
    recent_len: u8,
    /// Bit `n` of the whole: was the `n`-th minute before [`Self::minute`] active?
    bits: [u64; WORDS],
    #[serde(with = "counts")]
    hour: [u16; 60],
    counts: [u16; COUNT_STEPS.len()],
    pub(super) counts_all: u32,
    pub(super) count_mean: f32,
    pub(super) count_before: u32,
    /// The same mean over more minutes, and the mean of squares.
    calls_mean: f32,
    calls_squares: f32,
    firsts: [u16; PARTS],
    firsts_all: u32,
    lags: [Lag; LAGS],
    pub(super) days: Days,
    /// Intervals between calls of less than about a minute, by doublings.
    short: [u16; SHORT_STEPS],
    short_all: u32,
}

impl Rhythm {
    /// A segment at its first call.
    pub fn new(now_us: u64) -> Self {
        let minute = now_us / MINUTE_US;
        let mut rhythm = Self {
            first_minute: minute,
            minute,
            count: 1,
            last_us: now_us,
            gaps: vec![0; GAP_MAX + 1].into(),
            gaps_all: 0,
            recent: [0; RECENT],
            recent_len: 0,
            bits: [0; WORDS],
            hour: [0; 60],
            counts: [0; COUNT_STEPS.len()],
            counts_all: 0,
            count_mean: 1.0,
            count_before: 0,
            calls_mean: 0.0,
            calls_squares: 0.0,
            firsts: [0; PARTS],
            firsts_all: 0,
            lags: [Lag::default(); LAGS],
            days: Days::default(),
            short: [0; SHORT_STEPS],
            short_all: 0,
        };
        rhythm.mark(now_us);
        rhythm.days.called(now_us, u64::MAX);
        rhythm
    }

    /// Another call; true if it is the first of its minute.
    pub fn called(&mut self, now_us: u64) -> bool {
        let now_us = now_us.max(self.last_us);
        self.count_short((now_us - self.last_us) as f64 / SECOND_US as f64);
        self.last_us = now_us;
        let minute = now_us / MINUTE_US;
        if minute == self.minute {
            self.count = self.count.saturating_add(1);
            return false;
        }
        self.close_minute();
        let gap = minute - self.minute;
        self.count_gap(gap);
        self.shift(gap);
        self.minute = minute;
        self.count = 1;
        self.mark(now_us);
        self.days.called(now_us, gap);
        self.find_lags();
        true
    }

    /// When it was called last, in µs.
    pub fn last_us(&self) -> u64 {
        self.last_us
    }

    /// Whether calls can have led to it: what is read from a disk may be anything.
    pub fn is_sound(&self) -> bool {
        let adds_up = |counts: &[u16], all: u32| {
            all < FADE_AT && counts.iter().map(|count| u32::from(*count)).sum::<u32>() == all
        };
        let lag = |lag: &Lag| (0.0..=1.0).contains(&lag.share) && usize::from(lag.minutes) <= GAP_MAX;
        let means = [self.count_mean, self.calls_mean, self.calls_squares];
        self.gaps.len() == GAP_MAX + 1
            && self.first_minute <= self.minute
            && self.minute == self.last_us / MINUTE_US
            && adds_up(&self.gaps[..], self.gaps_all)
            && adds_up(&self.counts, self.counts_all)
            && adds_up(&self.firsts, self.firsts_all)
            && adds_up(&self.short, self.short_all)
            && self.hour.iter().all(|count| u32::from(*count) < FADE_AT)
            && usize::from(self.recent_len) <= RECENT
            && self.lags.iter().all(lag)
            && means.iter().all(|mean| mean.is_finite() && *mean >= 0.0)
            && self.days.is_sound()
    }

    fn count_short(&mut self, seconds: f64) {
        let step = (seconds / SHORT_FROM_S).max(1.0).log2() as usize;
        if let Some(count) = self.short.get_mut(step) {
            *count += 1;
            self.short_all += 1;
            if self.short_all >= FADE_AT {
                self.short_all = fade(&mut self.short);
            }
        }
    }

    /// Of the intervals below a minute, how many were longer than so many seconds, and how many there were.
    pub(super) fn short_beyond(&self, seconds: f64) -> (f64, u32) {
        let place = (seconds / SHORT_FROM_S).max(1.0).log2().min(SHORT_STEPS as f64);
        let step = place as usize;
        let beyond: f64 =
            self.short[(step + 1).min(SHORT_STEPS)..].iter().map(|count| f64::from(*count)).sum();
        let here = self.short.get(step).map_or(0.0, |count| f64::from(*count));
        // The first step begins at nothing, each other one at half of its end.
        let passed = if step == 0 && seconds < SHORT_FROM_S * 2.0 {
            seconds / (SHORT_FROM_S * 2.0)
        } else {
            let from = SHORT_FROM_S * (step as f64).exp2();
            (seconds - from) / from
        };
        (beyond + here * (1.0 - passed.clamp(0.0, 1.0)), self.short_all)
    }

    fn close_minute(&mut self) {
        let step = COUNT_STEPS.iter().position(|most| self.count <= *most).unwrap_or(0);
        self.counts[step] += 1;
        self.counts_all += 1;
        if self.counts_all >= FADE_AT {
            self.counts_all = fade(&mut self.counts);
        }
        self.count_mean += (self.count as f32 - self.count_mean) / (self.counts_all.min(32) as f32);
        self.count_before = self.count;
        let (count, weight) = (self.count as f32, 1.0 / self.counts_all.min(MOMENTS) as f32);
        self.calls_mean += (count - self.calls_mean) * weight;
        self.calls_squares += (count * count - self.calls_squares) * weight;
    }

    fn count_gap(&mut self, gap: u64) {
        let place = if gap as usize > GAP_MAX { 0 } else { gap as usize };
        self.gaps[place] += 1;
        self.gaps_all += 1;
        if self.gaps_all >= FADE_AT {
            self.gaps_all = fade(&mut self.gaps[..]);
        }
        self.recent.rotate_right(1);
        self.recent[0] = gap.min(u64::from(u16::MAX)) as u16;
        self.recent_len = (self.recent_len + 1).min(RECENT as u8);
    }

    fn shift(&mut self, minutes: u64) {
        if minutes >= BITS as u64 {
            self.bits = [0; WORDS];
            return;
        }
        let (words, bits) = (minutes as usize / 64, minutes % 64);
        for at in (0..WORDS).rev() {
            let word = |at: Option<usize>| at.map_or(0, |at| self.bits[at]);
            let low = word(at.checked_sub(words));
            let below = word(at.checked_sub(words + 1));
            self.bits[at] = if bits == 0 { low } else { low << bits | below >> (64 - bits) };
        }
    }

    /// Marks the first call of a minute.
    fn mark(&mut self, now_us: u64) {
        self.bits[0] |= 1;
        self.hour[(self.minute % 60) as usize] += 1;
        if self.hour.iter().any(|count| u32::from(*count) >= FADE_AT) {
            fade(&mut self.hour);
        }
        let part = (now_us % MINUTE_US) as f64 / SECOND_US as f64 / PART_S;
        self.firsts[(part as usize).min(PARTS - 1)] += 1;
        self.firsts_all += 1;
        if self.firsts_all >= FADE_AT {
            self.firsts_all = fade(&mut self.firsts);
        }
    }

    /// Was this minute active?
    pub(super) fn active(&self, minute: u64) -> bool {
        let Some(back) = self.minute.checked_sub(minute) else { return false };
        (back as usize) < BITS && self.bits[back as usize / 64] >> (back % 64) & 1 == 1
    }

    /// Active minutes among the last `minutes` up to the last call.
    pub(super) fn active_among(&self, minutes: usize) -> u32 {
        let minutes = minutes.min(BITS);
        let whole: u32 = self.bits[..minutes / 64].iter().map(|word| word.count_ones()).sum();
        let rest = minutes % 64;
        let part = if rest == 0 { 0 } else { self.bits[minutes / 64] & ((1 << rest) - 1) };
        whole + part.count_ones()
    }

    /// Minutes known of, at most as many as are remembered.
    pub(super) fn known(&self) -> u64 {
        (self.minute - self.first_minute + 1).min(BITS as u64)
    }

    /// Intervals of exactly `gap` minutes.
    pub(super) fn gap_count(&self, gap: u64) -> u32 {
        if gap == 0 || gap as usize > GAP_MAX { 0 } else { u32::from(self.gaps[gap as usize]) }
    }

    /// Intervals of at least `gap` minutes.
    pub(super) fn gaps_from(&self, gap: u64) -> u32 {
        let from = (gap as usize).clamp(1, GAP_MAX + 1);
        let beyond = u32::from(self.gaps[0]);
        beyond + self.gaps[from..].iter().map(|count| u32::from(*count)).sum::<u32>()
    }

    /// The last intervals, newest first.
    pub(super) fn recent(&self) -> &[u16] {
        &self.recent[..usize::from(self.recent_len)]
    }

    /// Share of the minutes with the same place within `period` (a divisor of 60) that were active.
    pub(super) fn phase_share(&self, minute: u64, period: u64) -> f32 {
        let place = minute % period;
        let of_place = self.hour[place as usize..].iter().step_by(period as usize);
        let active: u32 = of_place.map(|count| u32::from(*count)).sum();
        // How many minutes with that place there were from the first up to the one asked for.
        let upto = |end: u64| (end + period - 1 - place) / period;
        let seen = upto(minute.max(self.minute)).saturating_sub(upto(self.first_minute));
        active as f32 / seen.max(u64::from(active)).max(1) as f32
    }

    /// Share of active minutes with more than `count` calls among those with at least that many.
    pub(super) fn more_share(&self, count: u32, prior: f32) -> f32 {
        let step = COUNT_STEPS.iter().position(|most| count <= *most).unwrap_or(0);
        let from: u32 = self.counts[step..].iter().map(|count| u32::from(*count)).sum();
        let above: u32 = self.counts[step + 1..].iter().map(|count| u32::from(*count)).sum();
        (above as f32 + 2.0 * prior) / (from as f32 + 2.0)
    }

    /// How many first calls of a minute fell into each part of it, and how many there were.
    pub(super) fn firsts(&self) -> (&[u16; PARTS], u32) {
        (&self.firsts, self.firsts_all)
    }

    /// The periods that the activity follows best.
    pub(super) fn lags(&self) -> &[Lag] {
        &self.lags
    }

    /// Calls per second, from the active minutes of the time that is remembered and the usual number of calls in one. Where memory
    /// is so short that who goes is wanted again at once, each call may start cold, so each one counts.
    pub fn active_per_second(&self) -> f64 {
        let known = self.known();
        let active = f64::from(self.active_among(known as usize)) / (known as f64 + 5.0);
        active * f64::from(self.calls_per_active().0) / 60.0
    }

    /// How surely an active minute is followed by another after the best period, in `[0, 1]`.
    pub fn regularity(&self) -> f32 {
        self.lags[0].share
    }

    /// Minutes from each active one that is remembered to the last, newest first.
    pub(super) fn active_back(&self) -> impl Iterator<Item = usize> {
        (0..self.known() as usize).filter(|back| self.bits[back / 64] >> (back % 64) & 1 == 1)
    }

    /// Intervals by length, in minutes, with how many there were of each. Those beyond the longest that is told apart were like
    /// those of them that were last.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u64, f32)> {
        let last = self.recent().iter().map(|gap| u64::from(*gap));
        let mut long: Vec<u64> = last.filter(|gap| *gap > GAP_MAX as u64).collect();
        if long.is_empty() {
            long.push(GAP_MAX as u64 + 1);
        }
        let each = f32::from(self.gaps[0]) / long.len() as f32;
        let short = (1..=GAP_MAX as u64).map(|gap| (gap, f32::from(self.gaps[gap as usize])));
        short.chain(long.into_iter().map(move |gap| (gap, each))).filter(|(_, count)| *count > 0.0)
    }

    /// The most that a call in a minute beyond the longest interval that is told apart is likely: trees have no lessons of such
    /// minutes. Counted is how many of the last intervals ended there, over the minutes that they and this one waited there.
    pub(super) fn chance_beyond(&self, minute: u64) -> f32 {
        let beyond = |gap: u64| gap.saturating_sub(GAP_MAX as u64) as f32;
        let waited = beyond(minute - self.minute);
        if waited == 0.0 {
            return 1.0;
        }
        let ended = self.recent().iter().map(|gap| beyond(u64::from(*gap))).filter(|gap| *gap > 0.0);
        let (ends, minutes) = ended.fold((BEYOND_ENDS, BEYOND_MINUTES), |(n, sum), gap| (n + 1.0, sum + gap));
        ends / (minutes + waited)
    }

    /// Mean and mean square of calls in an active minute.
    pub(super) fn calls_per_active(&self) -> (f32, f32) {
        let count = self.count as f32;
        if self.counts_all == 0 { (count, count * count) } else { (self.calls_mean, self.calls_squares) }
    }

    /// Looks for the periods after which an active minute was most surely followed by another.
    fn find_lags(&mut self) {
        let known = self.known() as usize;
        let all = self.active_among(known);
        let base = all as f32 / known as f32;
        self.lags = [Lag::default(); LAGS];
        if all < 3 {
            return;
        }
        let mut shifted = self.bits;
        for minutes in 1..=GAP_MAX.min(known - 1) {
            for at in 0..WORDS {
                let above = shifted.get(at + 1).copied().unwrap_or(0);
                shifted[at] = shifted[at] >> 1 | above << 63;
            }
            // Bit n of `shifted`: active `minutes` before the minute of bit n.
            let both: u32 = self.bits.iter().zip(&shifted).map(|(a, b)| (a & b).count_ones()).sum();
            let trials: u32 = shifted.iter().map(|word| word.count_ones()).sum();
            let share = (both as f32 + 2.0 * base) / (trials as f32 + 2.0);
            if share > self.lags[LAGS - 1].share {
                self.lags[LAGS - 1] = Lag { minutes: minutes as u16, share };
                self.lags.sort_by(|a, b| b.share.total_cmp(&a.share));
            }
        }
    }
}

/// Halves all counts; returns their sum.
fn fade(counts: &mut [u16]) -> u32 {
    counts.iter_mut().for_each(|count| *count /= 2);
    counts.iter().map(|count| u32::from(*count)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_takes_no_more_than_a_kibibyte() {
        let size = size_of::<Rhythm>() + size_of::<[u16; GAP_MAX + 1]>();
        assert!(size <= 1_024, "{size}");
    }

    #[test]
    fn what_is_remembered_is_right_over_words_of_bits_and_over_the_longest_interval() {
        let mut rhythm = Rhythm::new(0);
        for minute in [3_u64, 70, 130, 131, 131, 500] {
            rhythm.called(minute * MINUTE_US);
        }
        let active: Vec<u64> = (0..=500).filter(|minute| rhythm.active(*minute)).collect();
        assert_eq!(active, [0, 3, 70, 130, 131, 500]);
        assert_eq!((rhythm.active_among(371), rhythm.active_among(370), rhythm.active_among(501)), (3, 2, 6));
        assert_eq!((rhythm.gap_count(3), rhythm.gap_count(67), rhythm.gap_count(1)), (1, 1, 1));
        // 369 minutes are beyond the longest interval, and at least as long as any.
        assert_eq!((rhythm.gaps_from(61), rhythm.gaps_from(240), rhythm.gaps_from(241)), (2, 1, 1));
        rhythm.called(2_000 * MINUTE_US);
        assert_eq!((rhythm.active_among(512), rhythm.active(500)), (1, false));
    }

    #[test]
    fn the_period_of_a_timer_is_found_beside_noise() {
        let mut rhythm = Rhythm::new(0);
        for minute in 1..300_u64 {
            if minute.is_multiple_of(7) || minute.is_multiple_of(41) {
                rhythm.called(minute * MINUTE_US);
            }
        }
        assert!(rhythm.lags()[0].minutes.is_multiple_of(7), "{:?}", rhythm.lags());
        assert!(rhythm.regularity() > 0.8, "{}", rhythm.regularity());
    }
}
