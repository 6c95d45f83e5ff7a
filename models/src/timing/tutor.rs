//! Lessons from the past. In: the calls of a trace or of a running node, in the order of time. Out: for each minute that a segment
//! waited through, and for each call, what was known then and what came. Bounded: when there are too many, every
//! second one is left out, and of those that follow, too.

use super::features::{AGAIN_WIDTH, MINUTE_WIDTH, of_minute, of_rest};
use super::forest::Lessons;
use super::rhythm::GAP_MAX;
use super::{Rhythm, Timing};
use crate::trace::{MINUTE_US, SECOND_US, Trigger};

/// Lessons, thinned out evenly.
#[derive(Clone, Debug)]
struct Sparse {
    lessons: Lessons,
    rows_max: usize,
    every: u64,
    offered: u64,
}

impl Sparse {
    fn new(width: usize, rows_max: usize) -> Self {
        Self { lessons: Lessons::new(width), rows_max: rows_max.max(2), every: 1, offered: 0 }
    }

    /// Whether the next lesson is wanted.
    fn wants(&mut self) -> bool {
        self.offered += 1;
        self.offered.is_multiple_of(self.every)
    }

    fn push(&mut self, features: &[f32], came: bool) {
        self.lessons.push(features, came);
        if self.lessons.len() >= self.rows_max {
            self.lessons.thin();
            self.every *= 2;
        }
    }
}

/// Collects lessons while time goes by.
#[derive(Clone, Debug)]
pub struct Tutor {
    timing: Timing,
    triggers: Vec<Trigger>,
    minutes: Sparse,
    rests: Sparse,
    open: Vec<Option<[f32; AGAIN_WIDTH]>>,
}

impl Tutor {
    /// Collects at most so many lessons of each kind, of at most so many segments at once.
    pub fn new(rows_max: usize, segments_max: usize) -> Self {
        Self {
            timing: Timing::new(segments_max),
            triggers: Vec::new(),
            minutes: Sparse::new(MINUTE_WIDTH, rows_max),
            rests: Sparse::new(AGAIN_WIDTH, rows_max),
            open: Vec::new(),
        }
    }

    /// Lessons of coming minutes.
    pub fn minutes(&self) -> &Lessons {
        &self.minutes.lessons
    }

    /// Lessons of the rest of minutes.
    pub fn rests(&self) -> &Lessons {
        &self.rests.lessons
    }

    /// Sees a call.
    pub fn called(&mut self, segment: u32, trigger: Trigger, now_us: u64) {
        let at = segment as usize;
        if at >= self.open.len() {
            self.open.resize(at + 1, None);
            self.triggers.resize(at + 1, Trigger::Unknown);
        }
        self.triggers[at] = trigger;
        if let Some(rhythm) = self.timing.get(segment) {
            let minute = now_us / MINUTE_US;
            if let Some(features) = self.open[at].take() {
                self.rests.push(&features, minute == rhythm.minute);
            }
            waited(&mut self.minutes, rhythm, trigger, minute, true);
        }
        self.timing.called(segment, now_us);
        if self.rests.wants()
            && let Some(rhythm) = self.timing.get(segment)
        {
            let second = (now_us % MINUTE_US) as f32 / SECOND_US as f32;
            self.open[at] = Some(of_rest(rhythm, trigger, second));
        }
    }

    /// Adds what has been waited for in vain until now. Nothing is to be shown after this.
    pub fn finish(&mut self, now_us: u64) {
        let minute = now_us / MINUTE_US;
        for at in 0..self.open.len() {
            let Some(rhythm) = self.timing.get(at as u32) else { continue };
            if let Some(features) = self.open[at].take().filter(|_| rhythm.minute < minute) {
                self.rests.push(&features, false);
            }
            waited(&mut self.minutes, rhythm, self.triggers[at], minute, false);
        }
    }
}

/// The minutes from the last call to `minute`, the last of them only if a call came in it.
fn waited(into: &mut Sparse, rhythm: &Rhythm, trigger: Trigger, minute: u64, came: bool) {
    let last = minute.min(rhythm.minute + GAP_MAX as u64);
    for waited in rhythm.minute + 1..=last {
        let came = came && waited == minute;
        if (came || waited < minute) && into.wants() {
            into.push(&of_minute(rhythm, trigger, waited), came);
        }
    }
}
