//! When it comes. In: the calls of each segment, in the order of time. Out: how likely a call is in each coming minute and in
//! each part of it, given that none has come yet; and lessons to grow the trees from that say so.
//! Refused: nothing; what a segment has not shown yet, the trees judge by what others did.
//!
//! ```text
//! call ─► Rhythm ─► features ─► Forest ─► chance of a call in a minute ─► shape ─► calls per second, now
//!           └─ Tutor ─► Lessons ─► Forest::grow ─► TimingModel
//! ```
//!
//! Time is cut at the minutes of the clock, as schedules are. Two forests judge: one each coming minute, one the rest of a
//! minute that has had a call. Where in the minute a call falls is counted per segment, and so is at what times of the day and on
//! which days of the week calls end a long silence: days are beyond what the trees are grown on.

mod counts;
mod days;
mod features;
mod forest;
mod label;
mod rhythm;
mod shape;
mod tutor;

use serde::{Deserialize, Serialize};

use crate::trace::{MINUTE_US, SECOND_US, Trigger};
use shape::Firsts;

pub use features::{AGAIN_NAMES, AGAIN_WIDTH, MINUTE_NAMES, MINUTE_WIDTH};
pub use forest::{Forest, GrowError, GrowOptions, Lessons};
pub use label::{Kind, Label};
pub use rhythm::Rhythm;
pub use tutor::Tutor;

/// The trees that say when calls come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimingModel {
    minute: Forest,
    again: Forest,
}

impl TimingModel {
    /// Grows both forests. The same lessons, options and seed give the same model.
    ///
    /// # Errors
    /// See [`GrowError`].
    pub fn grow(tutor: &Tutor, options: &GrowOptions, seed: u64) -> Result<Self, GrowError> {
        let minute = Forest::grow(tutor.minutes(), options, seed)?;
        let features = options.features.min(AGAIN_WIDTH / 2);
        let again = match Forest::grow(tutor.rests(), &GrowOptions { features, ..*options }, seed ^ 1) {
            // Where nobody is ever called twice in a minute, or everybody always, that is what is to be said.
            Err(GrowError::NothingToTell { rows, came }) => {
                Forest::constant(AGAIN_WIDTH, (came as f32 + 1.0) / (rows as f32 + 2.0))
            }
            grown => grown?,
        };
        Ok(Self { minute, again })
    }

    /// Trees and leaves of both forests.
    pub fn size(&self) -> (usize, usize) {
        let ((trees, leaves), (more_trees, more_leaves)) = (self.minute.size(), self.again.size());
        (trees + more_trees, leaves + more_leaves)
    }

    /// Whether every walk ends well.
    pub fn is_sound(&self) -> bool {
        self.minute.is_sound(MINUTE_WIDTH) && self.again.is_sound(AGAIN_WIDTH)
    }
}

/// What is remembered of all segments, at most of as many as allowed: beyond that the one goes that was not called for
/// the longest time.
#[derive(Clone, Debug)]
pub struct Timing {
    rhythms: Vec<Option<Box<Rhythm>>>,
    known: usize,
    segments_max: usize,
}

impl Timing {
    /// Remembers at most so many segments, about 1 KiB each.
    pub fn new(segments_max: usize) -> Self {
        Self { rhythms: Vec::new(), known: 0, segments_max: segments_max.max(1) }
    }

    /// What is remembered of a segment.
    pub fn get(&self, segment: u32) -> Option<&Rhythm> {
        self.rhythms.get(segment as usize)?.as_deref()
    }

    /// Sees a call; true if it is the first of its segment in its minute.
    pub fn called(&mut self, segment: u32, now_us: u64) -> bool {
        let at = segment as usize;
        if at >= self.rhythms.len() {
            self.rhythms.resize(at + 1, None);
        }
        if let Some(rhythm) = &mut self.rhythms[at] {
            return rhythm.called(now_us);
        }
        self.put(segment, Rhythm::new(now_us));
        true
    }

    /// Remembers a segment as it was remembered before.
    pub fn put(&mut self, segment: u32, rhythm: Rhythm) {
        let at = segment as usize;
        if at >= self.rhythms.len() {
            self.rhythms.resize(at + 1, None);
        }
        if self.rhythms[at].is_none() {
            if self.known >= self.segments_max {
                self.forget_oldest();
            }
            self.known += 1;
        }
        self.rhythms[at] = Some(Box::new(rhythm));
    }

    /// How many segments are remembered.
    pub fn known(&self) -> usize {
        self.known
    }

    fn forget_oldest(&mut self) {
        let known = self.rhythms.iter().enumerate();
        let times = known.filter_map(|(at, rhythm)| Some((rhythm.as_ref()?.last_us, at)));
        if let Some((_, oldest)) = times.min() {
            self.rhythms[oldest] = None;
            self.known -= 1;
        }
    }
}

/// How likely a call is in a stretch of time, if none comes before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// When the stretch ends, in µs.
    pub until_us: u64,
    /// Calls expected per second in it.
    pub per_second: f64,
}

/// Forecasts of one segment, with the last answers of the trees kept: they only change with the minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlook {
    /// Last call that the answers hold for.
    last_us: u64,
    count: u32,
    minutes: [(u64, f32); 2],
    rest: Option<f32>,
    firsts: Option<Firsts>,
}

impl Outlook {
    /// How likely calls are in the stretch that begins at `at_us`, after the rhythm's last call.
    pub fn at(&mut self, model: &TimingModel, rhythm: &Rhythm, trigger: Trigger, at_us: u64) -> Stretch {
        if (self.last_us, self.count) != (rhythm.last_us, rhythm.count) {
            let minutes =
                if self.last_us / MINUTE_US == rhythm.minute { self.minutes } else { [(0, 0.0); 2] };
            let (last_us, count) = (rhythm.last_us, rhythm.count);
            *self = Self { last_us, count, minutes, ..Self::default() };
        }
        let minute = at_us / MINUTE_US;
        let second = (at_us % MINUTE_US) as f64 / SECOND_US as f64;
        let (until, per_second) = if minute <= rhythm.minute {
            let called = (rhythm.last_us % MINUTE_US) as f64 / SECOND_US as f64;
            let chance = *self.rest.get_or_insert_with(|| {
                model.again.confidence(&features::of_rest(rhythm, trigger, called as f32))
            });
            shape::rest(rhythm, f64::from(chance), called, second)
        } else {
            let chance = self.minute(model, rhythm, trigger, minute);
            let firsts = self.firsts.get_or_insert_with(|| Firsts::of(rhythm));
            firsts.minute(f64::from(chance), second)
        };
        let until_us = minute.min(at_us / MINUTE_US) * MINUTE_US + (until * SECOND_US as f64) as u64;
        Stretch { until_us: until_us.max(at_us + 1), per_second }
    }

    /// The chance of a call in a minute after the last call's, if none comes before it.
    pub fn minute(&mut self, model: &TimingModel, rhythm: &Rhythm, trigger: Trigger, minute: u64) -> f32 {
        let kept = &mut self.minutes[(minute % 2) as usize];
        // Within a minute more calls change the features a little: the answer for the next minute is asked for again.
        if kept.0 != minute || minute == rhythm.minute + 1 {
            let soon = model.minute.confidence(&features::of_minute(rhythm, trigger, minute));
            let soon = soon.min(rhythm.chance_beyond(minute));
            // The trees have seen hours. What comes by the day comes beside that.
            *kept = (minute, soon + rhythm.days.chance(minute) * (1.0 - soon));
        }
        kept.1
    }
}
