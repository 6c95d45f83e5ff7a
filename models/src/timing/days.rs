//! Times of the day. In: when a segment was called first after a silence, or at a time that is known. Out: how likely a call is in
//! a coming minute because of what came at about that time on days before, on this day of the week above all. Bounded: twelve
//! times, 32 days of each; the one that was kept least gives way. Refused: nothing.
//!
//! Days are those of the clock that is given, of UTC on a node: one that follows local time is an hour off for some days after
//! its clock is put forward or back. Counting goes on where trees end: these are grown on hours, and days would be new to them.

use serde::{Deserialize, Serialize};

use crate::trace::{MINUTE_US, SECOND_US};

/// Times that are remembered.
const TIMES: usize = 12;
const DAY_S: i64 = 86_400;
/// A call this far from a time belongs to it, in seconds.
const REACH_S: i64 = 15 * 60;
/// A call after so many minutes of silence makes a time: what comes more often, the trees see for themselves.
const SILENCE_MINUTES: u64 = 120;
/// Days that one time remembers.
const DAYS: u32 = u32::BITS;
/// Of these the youngest are asked for what is to be each day.
const RECENT_DAYS: u32 = 14;
/// How likely one call at some time is followed by another a day later, and for how many days that counts.
const PRIOR: f32 = 0.05;
const PRIOR_DAYS: f32 = 1.0;
/// For how many weeks all days count beside the same day of the week, and what a week counts beside the one after it.
const PRIOR_WEEKS: f32 = 1.0;
const WEEK_FADES: f32 = 0.7;
/// How far calls are from their time as long as nothing is known, and at least, in seconds.
const SPREAD_S: f32 = 30.0;
const SPREAD_MIN_S: f32 = 15.0;
/// Calls that the mean time and its spread are taken over.
const MEAN_CALLS: u32 = 8;
/// Times of the day and their spread are kept in this many seconds.
const STEP_S: i64 = 2;
/// A time is kept if a call came on so many days but the first, and on this share of them.
const KEPT_DAYS_MIN: f32 = 3.0;
const KEPT_SHARE: f32 = 0.8;

/// One time of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Time {
    /// Steps from the beginning of the day, and steps that calls are from that on average.
    at: u16,
    spread: u16,
    /// The last day with a call; days are told apart for as long as is needed.
    day: u16,
    /// Days from the first to the last; 0: nothing is remembered here.
    known: u8,
    /// Bit `n`: a call came `n` days before the last.
    days: u32,
}

impl Time {
    /// The day whose time is nearest, and how far from it `at_s` is.
    fn nearest(&self, at_s: i64) -> (i64, i64) {
        let from_s = at_s - i64::from(self.at) * STEP_S + DAY_S / 2;
        (from_s.div_euclid(DAY_S), from_s.rem_euclid(DAY_S) - DAY_S / 2)
    }

    /// Days from the last one to `day`.
    fn later(&self, day: i64) -> u32 {
        u32::from((day as u16).wrapping_sub(self.day))
    }

    fn called(&mut self, day: i64, off_s: i64, ends_silence: bool) {
        let later = self.later(day);
        // The day before, again: one whose times lie on both sides of midnight.
        if later >= u32::from(u16::MAX) / 2 {
            return;
        }
        if later > 0 {
            self.days = self.days.checked_shl(later).unwrap_or(0);
            self.known = (u32::from(self.known) + later).min(DAYS) as u8;
            self.day = day as u16;
        } else if self.days & 1 == 1 {
            return;
        }
        self.days |= 1;
        if ends_silence {
            let calls = self.days.count_ones().min(MEAN_CALLS) as f32;
            let at = f32::from(self.at) + off_s as f32 / STEP_S as f32 / calls;
            self.at = at.rem_euclid((DAY_S / STEP_S) as f32) as u16;
            let off = off_s.unsigned_abs() as f32 / STEP_S as f32;
            self.spread = (f32::from(self.spread) + (off - f32::from(self.spread)) / calls) as u16;
        }
    }

    /// For each day before the one that is `later` days after the last: how many days before that, and whether a call came. The
    /// first day is what made it a time, and says nothing.
    fn before(&self, later: u32) -> impl Iterator<Item = (u32, bool)> {
        let days = self.days.checked_shl(later).unwrap_or(0);
        let known = (u32::from(self.known) + later).saturating_sub(2);
        (1..DAYS.min(known + 1)).map(move |day| (day, days >> day & 1 == 1))
    }

    /// How many of the days that are asked for there were before the last one, and on how many of them a call came.
    fn recent(&self, later: u32) -> (f32, f32) {
        let recent = self.before(later).take_while(|(day, _)| *day <= RECENT_DAYS);
        recent.fold((0.0, 0.0), |(days, calls), (_, came)| (days + 1.0, calls + f32::from(u8::from(came))))
    }

    /// How likely a call comes at this time, so many days after the last one.
    fn chance(&self, later: u32) -> f32 {
        let (days, calls) = self.recent(later);
        let daily = (calls + PRIOR_DAYS * PRIOR) / (days + PRIOR_DAYS);
        let (mut weeks, mut weekly) = (PRIOR_WEEKS, PRIOR_WEEKS * daily);
        for (day, came) in self.before(later).filter(|(day, _)| day.is_multiple_of(7)) {
            let weight = WEEK_FADES.powi(day as i32 / 7 - 1);
            weeks += weight;
            weekly += if came { weight } else { 0.0 };
        }
        weekly / weeks
    }

    /// Share of the calls that come before `off_s` from the time (Laplace's distribution).
    fn share_before(&self, off_s: f32) -> f32 {
        let scale = (f32::from(self.spread) * STEP_S as f32).max(SPREAD_MIN_S);
        let tail = (-off_s.abs() / scale).exp() / 2.0;
        if off_s < 0.0 { tail } else { 1.0 - tail }
    }
}

/// The times of the day of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Days {
    times: [Time; TIMES],
}

impl Days {
    /// Whether calls can have led to it.
    pub(super) fn is_sound(&self) -> bool {
        let sound = |time: &Time| u32::from(time.known) <= DAYS && i64::from(time.at) * STEP_S < DAY_S;
        self.times.iter().all(sound)
    }

    /// Sees the first call of a minute, after so many minutes without one.
    pub(super) fn called(&mut self, now_us: u64, silent_minutes: u64) {
        let (at_s, ends_silence) = ((now_us / SECOND_US) as i64, silent_minutes >= SILENCE_MINUTES);
        let known = self.times.iter_mut().filter(|time| time.known > 0);
        let near = known.map(|time| (time.nearest(at_s), time)).min_by_key(|((_, off_s), _)| off_s.abs());
        match near {
            Some(((day, off_s), time)) if off_s.abs() <= REACH_S => time.called(day, off_s, ends_silence),
            _ if ends_silence => self.meet(at_s),
            _ => {}
        }
    }

    /// Remembers a new time, where the one is that was kept on the fewest days, the longest ago.
    fn meet(&mut self, at_s: i64) {
        let day = at_s.div_euclid(DAY_S);
        let at = (at_s.rem_euclid(DAY_S) / STEP_S) as u16;
        let spread = (SPREAD_S as i64 / STEP_S) as u16;
        let worth = |time: &&mut Time| (time.days.count_ones(), u32::MAX - time.later(day));
        if let Some(least) = self.times.iter_mut().min_by_key(worth) {
            *least = Time { at, spread, day: day as u16, known: 1, days: 1 };
        }
    }

    /// How likely a call comes in a minute that is yet to come, if none has come at its time before.
    pub(super) fn chance(&self, minute: u64) -> f32 {
        let from_s = (minute * (MINUTE_US / SECOND_US)) as i64;
        let mut none = 1.0;
        for time in self.times.iter().filter(|time| time.known > 0) {
            let (day, off_s) = time.nearest(from_s + 30);
            let later = time.later(day);
            if off_s.abs() > REACH_S || later == 0 || later >= u32::from(u16::MAX) / 2 {
                continue;
            }
            let begins = (off_s - 30) as f32;
            let (chance, passed) = (time.chance(later), time.share_before(begins));
            none *= 1.0 - chance * (time.share_before(begins + 60.0) - passed) / (1.0 - chance * passed);
        }
        1.0 - none
    }

    /// Of the times that are kept: how many calls came at them, and the share of their days on which one came.
    pub(super) fn kept(&self) -> Option<(f32, f32)> {
        let counted = self.times.iter().filter(|time| time.known > 0).map(|time| time.recent(0));
        // The last day's call is one, too.
        let counted = counted.map(|(days, calls)| (days + 1.0, calls + 1.0));
        let kept = counted.filter(|(days, calls)| *calls >= KEPT_DAYS_MIN && *calls >= KEPT_SHARE * days);
        let (times, days, calls) = kept.fold((0.0, 0.0, 0.0), |(times, all, kept), (days, calls)| {
            (times + 1.0, all + days, kept + calls)
        });
        (times > 0.0).then(|| (calls + times, calls / days))
    }
}
