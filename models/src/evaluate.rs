//! How good a model is. In come lessons it was not trained on, out go scores and a verdict.
//! Refused: a verdict on too few forecasts; then whoever is in charge stays.

mod accuracy;
mod drift;

use serde::{Deserialize, Serialize};

use crate::features::{self, N};
use crate::forecast::Model;
use crate::history::{Lesson, Outcome};
pub use accuracy::{Accuracy, AccuracyLimits, RIVALS, SegmentScore, Weather};
pub use drift::Drift;

/// Number of equal stretches of confidence in [`Scorecard::bins`].
pub const BIN_COUNT: usize = 10;
/// Fewer held-out forecasts than this settle nothing.
const MOMENTS_MIN: usize = 50;
/// A newcomer must be better by this many standard errors.
const SURENESS: f64 = 1.0;

/// One stretch of confidence: are things as likely as the model says?
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Candidates with a confidence in this stretch.
    pub rows: usize,
    /// Sum of their confidences.
    pub confidence_sum: f64,
    /// How many of them came.
    pub came: usize,
}

/// Scores on a run of lessons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Forecasts judged.
    pub moments: usize,
    /// Forecasts after which something came.
    pub continued: usize,
    /// Of those that continued, how many had it first.
    pub hits_at_1: usize,
    /// Of those that continued, how many had it among the first three.
    pub hits_at_3: usize,
    /// Candidates judged.
    pub rows: usize,
    /// Candidates that came.
    pub came: usize,
    /// Candidates at or above the bar.
    pub called: usize,
    /// Candidates at or above the bar that came.
    pub called_and_came: usize,
    /// Sum of squared differences of confidence and outcome.
    pub squared_error_sum: f64,
    /// Reliability by stretches of confidence.
    pub bins: [Bin; BIN_COUNT],
}

impl Scorecard {
    /// Share of continued forecasts that had the next segment first.
    pub fn hit_at_1(&self) -> f64 {
        share(self.hits_at_1, self.continued)
    }

    /// Share of continued forecasts that had the next segment among the first three.
    pub fn hit_at_3(&self) -> f64 {
        share(self.hits_at_3, self.continued)
    }

    /// Of what was called, the share that came.
    pub fn precision(&self) -> f64 {
        share(self.called_and_came, self.called)
    }

    /// Of the continued forecasts, the share whose next segment was called.
    pub fn recall(&self) -> f64 {
        share(self.called_and_came, self.continued)
    }

    /// Mean squared difference of confidence and outcome: 0 is perfect.
    pub fn brier(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.squared_error_sum / self.rows as f64 }
    }

    /// The scores of two runs together.
    pub fn plus(&self, other: &Scorecard) -> Scorecard {
        let mut sum = *self;
        sum.moments += other.moments;
        sum.continued += other.continued;
        sum.hits_at_1 += other.hits_at_1;
        sum.hits_at_3 += other.hits_at_3;
        sum.rows += other.rows;
        sum.came += other.came;
        sum.called += other.called;
        sum.called_and_came += other.called_and_came;
        sum.squared_error_sum += other.squared_error_sum;
        for (bin, more) in sum.bins.iter_mut().zip(other.bins) {
            bin.rows += more.rows;
            bin.confidence_sum += more.confidence_sum;
            bin.came += more.came;
        }
        sum
    }

    /// Counts one forecast, surest candidate first.
    fn count_moment(&mut self, rated: &[(f32, &Lesson)]) {
        self.moments += 1;
        self.continued += usize::from(rated.iter().any(|(_, lesson)| lesson.outcome != Outcome::NothingCame));
        let place = rated.iter().position(|(_, lesson)| lesson.outcome == Outcome::Came);
        self.hits_at_1 += usize::from(place.is_some_and(|place| place < 1));
        self.hits_at_3 += usize::from(place.is_some_and(|place| place < 3));
    }

    /// The reliability curve: for each stretch of confidence with any candidates the mean confidence, the share that
    /// came, and how many there were.
    pub fn reliability(&self) -> impl Iterator<Item = (f64, f64, usize)> {
        let point = |bin: &Bin| {
            let rows = bin.rows as f64;
            (bin.confidence_sum / rows, bin.came as f64 / rows, bin.rows)
        };
        self.bins.iter().filter(|bin| bin.rows > 0).map(point).collect::<Vec<_>>().into_iter()
    }

    /// Mean difference of confidence and frequency over the bins, by rows.
    pub fn calibration_error(&self) -> f64 {
        let error = |bin: &Bin| (bin.confidence_sum - bin.came as f64).abs();
        if self.rows == 0 { 0.0 } else { self.bins.iter().map(error).sum::<f64>() / self.rows as f64 }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Scores `model` on `lessons`, which are in the order of their moments; a candidate is called at `bar` and above.
pub fn score(model: &Model, lessons: &[Lesson], bar: f32) -> Scorecard {
    let mut card = Scorecard::default();
    for moment in lessons.chunk_by(|a, b| a.moment == b.moment) {
        let rated = judge_moment(model, moment);
        card.count_moment(&rated);
        for (confidence, lesson) in rated {
            count_row(&mut card, confidence, lesson.outcome == Outcome::Came, bar);
        }
    }
    card
}

/// The candidates of one moment with their confidences, surest first.
fn judge_moment<'a>(model: &Model, moment: &'a [Lesson]) -> Vec<(f32, &'a Lesson)> {
    let rows: Vec<&[f32; N]> = moment.iter().map(|lesson| &lesson.features).collect();
    let mut rated: Vec<(f32, &Lesson)> = model.confidences(&rows).into_iter().zip(moment).collect();
    rated.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(blended(y).total_cmp(&blended(x))));
    rated
}

fn blended(lesson: &Lesson) -> f32 {
    lesson.features[features::BLENDED]
}

fn count_row(card: &mut Scorecard, confidence: f32, came: bool, bar: f32) {
    let came_count = usize::from(came);
    let called_count = usize::from(confidence >= bar);
    card.rows += 1;
    card.came += came_count;
    card.called += called_count;
    card.called_and_came += called_count * came_count;
    card.squared_error_sum += squared_error(confidence, came);
    let bin = &mut card.bins[((confidence * BIN_COUNT as f32) as usize).min(BIN_COUNT - 1)];
    bin.rows += 1;
    bin.confidence_sum += f64::from(confidence);
    bin.came += came_count;
}

fn squared_error(confidence: f32, came: bool) -> f64 {
    let truth = if came { 1.0 } else { 0.0 };
    (f64::from(confidence) - truth).powi(2)
}

/// Who should be in charge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// The candidate is better by this much (squared error per forecast).
    Replace {
        /// Mean gain per forecast.
        gain: f64,
    },
    /// The candidate is not clearly better.
    Keep {
        /// Mean gain per forecast; may be negative.
        gain: f64,
    },
    /// Too few held-out forecasts to tell.
    TooFew {
        /// Forecasts held out.
        moments: usize,
        /// Forecasts needed.
        needed: usize,
    },
}

/// Whether `candidate` should replace `incumbent`, judged forecast by forecast on lessons neither was trained on.
/// Without an incumbent it has to beat giving every candidate the same chance, the one it saw in training.
pub fn better(incumbent: Option<&Model>, candidate: &Model, held_out: &[Lesson]) -> Verdict {
    let card = candidate.card();
    let base = card.positives as f32 / card.rows.max(1) as f32;
    let gains: Vec<f64> = held_out
        .chunk_by(|a, b| a.moment == b.moment)
        .map(|moment| {
            let rows: Vec<&[f32; N]> = moment.iter().map(|lesson| &lesson.features).collect();
            let old = incumbent.map_or_else(|| vec![base; rows.len()], |model| model.confidences(&rows));
            let new = candidate.confidences(&rows);
            let gain = |(lesson, (old, new)): (&Lesson, (f32, f32))| {
                let came = lesson.outcome == Outcome::Came;
                squared_error(old, came) - squared_error(new, came)
            };
            moment.iter().zip(old.into_iter().zip(new)).map(gain).sum()
        })
        .collect();
    if gains.len() < MOMENTS_MIN {
        return Verdict::TooFew { moments: gains.len(), needed: MOMENTS_MIN };
    }
    let count = gains.len() as f64;
    let gain = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|one| (one - gain).powi(2)).sum::<f64>() / (count - 1.0);
    if gain > SURENESS * (variance / count).sqrt() {
        Verdict::Replace { gain }
    } else {
        Verdict::Keep { gain }
    }
}
