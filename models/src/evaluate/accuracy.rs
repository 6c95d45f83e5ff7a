//! How well forecasts do as they are made. In come a model and the lessons that its forecasts gave; out go scores of the
//! recent past, over all and per segment, regret, and an alarm when the world has changed.
//! Bounded: two windows of scores, and the busiest segments only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::drift::Drift;
use super::{Scorecard, count_row, judge_moment};
use crate::features::{self, N};
use crate::forecast::Model;
use crate::history::{Lesson, Source};
use crate::observe::SegmentId;

/// The simple rules that a model is measured against: who ranks first by each of these contexts alone.
pub const RIVALS: [Source; 6] =
    [Source::All1, Source::All2, Source::All3, Source::Own1, Source::Burst, Source::Near];

/// Forecasts of one segment: was it called when it came, did it come when it was called?
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentScore {
    /// How often it came.
    pub came: u64,
    /// How often it came and was forecast first.
    pub hits_at_1: u64,
    /// How often it came and was among the first three.
    pub hits_at_3: u64,
    /// How often it was called.
    pub called: u64,
    /// How often it was called and came.
    pub called_and_came: u64,
    /// Sum of squared differences of confidence and outcome, wherever it was a candidate.
    pub squared_error_sum: f64,
    /// How often it was a candidate.
    pub rows: u64,
    /// Hits that the best simple rule would have had beyond the model's.
    pub regret: u64,
    rivals: [u64; RIVALS.len()],
}

impl SegmentScore {
    /// Of what came, the share that was forecast first.
    pub fn hit_at_1(&self) -> f64 {
        share(self.hits_at_1, self.came)
    }

    /// Of what came, the share that was among the first three.
    pub fn hit_at_3(&self) -> f64 {
        share(self.hits_at_3, self.came)
    }

    /// Of what was called, the share that came.
    pub fn precision(&self) -> f64 {
        share(self.called_and_came, self.called)
    }

    /// Of what came, the share that was called.
    pub fn recall(&self) -> f64 {
        share(self.called_and_came, self.came)
    }

    /// Mean squared difference of confidence and outcome.
    pub fn brier(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.squared_error_sum / self.rows as f64 }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccuracyLimits {
    /// A candidate at or above it is called.
    pub bar: f32,
    /// Forecasts of a window; scores are of the current one and the one before.
    pub window: usize,
    /// Segments with scores of their own. Beyond it the one that came least goes.
    pub segments: usize,
}

impl Default for AccuracyLimits {
    fn default() -> Self {
        Self { bar: 0.3, window: 4_096, segments: 10_000 }
    }
}

/// What a batch of lessons says of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Forecasts are as good as they were.
    Steady,
    /// Forecasts have become worse, since so many.
    Changed {
        /// Forecasts since the change.
        forecasts: u64,
    },
}

/// Scores that are kept up to date.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    limits: AccuracyLimits,
    windows: [Scorecard; 2],
    rivals: [u64; RIVALS.len()],
    hits: u64,
    segments: BTreeMap<SegmentId, SegmentScore>,
    drift: Drift,
}

impl Accuracy {
    /// Nothing scored yet.
    pub fn new(limits: AccuracyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Scores what `model` says of `lessons`, which are whole moments in the order of time. Of several changes the last
    /// is told.
    pub fn note(&mut self, model: &Model, lessons: &[Lesson]) -> Weather {
        let mut weather = Weather::Steady;
        for moment in lessons.chunk_by(|a, b| a.moment == b.moment) {
            if self.windows[0].moments >= self.limits.window {
                self.windows = [Scorecard::default(), self.windows[0]];
            }
            let rated = judge_moment(model, moment);
            count_row_sets(&mut self.windows[0], &rated, self.limits.bar);
            self.note_rivals(&rated);
            self.note_segments(&rated);
            let first = rated.first().map(|(sure, lesson)| (*sure, lesson.came == Some(lesson.segment)));
            let loss = first.map_or(1.0, |(sure, came)| super::squared_error(sure, came));
            if let Some(forecasts) = self.drift.note(loss) {
                weather = Weather::Changed { forecasts };
            }
        }
        weather
    }

    /// Scores of the recent past, over all: two windows at most, one at least.
    pub fn recent(&self) -> Scorecard {
        self.windows[0].plus(&self.windows[1])
    }

    /// Hits at 1 that the best simple rule would have had beyond the model's, since the beginning.
    pub fn regret(&self) -> u64 {
        self.rivals.iter().max().map_or(0, |best| best.saturating_sub(self.hits))
    }

    /// Scores of a segment; none if it never came, or too seldom to be kept.
    pub fn segment(&self, segment: SegmentId) -> Option<&SegmentScore> {
        self.segments.get(&segment)
    }

    /// Scores of all segments that are kept.
    pub fn segments(&self) -> impl Iterator<Item = (SegmentId, &SegmentScore)> {
        self.segments.iter().map(|(segment, score)| (*segment, score))
    }

    fn note_rivals(&mut self, rated: &[(f32, &Lesson)]) {
        let came = rated.first().and_then(|(_, lesson)| lesson.came);
        let Some(came) = came else { return };
        self.hits += u64::from(rated.first().is_some_and(|(_, lesson)| lesson.segment == came));
        for (hits, first) in self.rivals.iter_mut().zip(rival_firsts(rated)) {
            *hits += u64::from(first == Some(came));
        }
    }

    fn note_segments(&mut self, rated: &[(f32, &Lesson)]) {
        let bar = self.limits.bar;
        for (sure, lesson) in rated {
            let came = lesson.came == Some(lesson.segment);
            // A candidate that neither came nor was called says little, but costs a look for each segment there is.
            if !came && *sure < bar {
                continue;
            }
            let Some(score) = self.score_of(lesson.segment) else { continue };
            score.rows += 1;
            score.squared_error_sum += super::squared_error(*sure, came);
            score.called += u64::from(*sure >= bar);
            score.called_and_came += u64::from(came && *sure >= bar);
        }
        let Some(came) = rated.first().and_then(|(_, lesson)| lesson.came) else { return };
        let place = rated.iter().position(|(_, lesson)| lesson.segment == came);
        let firsts = rival_firsts(rated);
        let Some(score) = self.score_of(came) else { return };
        score.came += 1;
        score.hits_at_1 += u64::from(place == Some(0));
        score.hits_at_3 += u64::from(place.is_some_and(|place| place < 3));
        for (hits, first) in score.rivals.iter_mut().zip(firsts) {
            *hits += u64::from(first == Some(came));
        }
        score.regret = score.rivals.iter().max().map_or(0, |best| best.saturating_sub(score.hits_at_1));
    }

    /// The score of a segment. Where there is no more room, one that came once at most makes way.
    fn score_of(&mut self, segment: SegmentId) -> Option<&mut SegmentScore> {
        if !self.segments.contains_key(&segment) && self.segments.len() >= self.limits.segments.max(1) {
            let least =
                self.segments.iter().min_by_key(|(_, score)| score.came).map(|(segment, _)| *segment)?;
            self.segments.remove(&least);
        }
        Some(self.segments.entry(segment).or_default())
    }
}

/// Whom each rival ranks first; none where it knows nobody.
fn rival_firsts(rated: &[(f32, &Lesson)]) -> [Option<SegmentId>; RIVALS.len()] {
    RIVALS.map(|rival| {
        let share = |lesson: &Lesson| lesson.features[rival as usize];
        let best = rated.iter().max_by(|(_, a), (_, b)| {
            let blended = |lesson: &[f32; N]| lesson[features::BLENDED];
            share(a).total_cmp(&share(b)).then(blended(&a.features).total_cmp(&blended(&b.features)))
        });
        best.filter(|(_, lesson)| share(lesson) > 0.0).map(|(_, lesson)| lesson.segment)
    })
}

fn count_row_sets(card: &mut Scorecard, rated: &[(f32, &Lesson)], bar: f32) {
    card.count_moment(rated);
    for (confidence, lesson) in rated {
        count_row(card, *confidence, lesson.came == Some(lesson.segment), bar);
    }
}
