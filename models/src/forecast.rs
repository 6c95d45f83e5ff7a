//! How sure we are. In come lessons, out goes a model: decision trees whose leaves carry counts. The model ranks
//! candidates and explains itself.
//! Refused: too few lessons, lessons of one kind only, rows that are not numbers. A node that has learned nothing has
//! no model, and forecasts nothing.

mod grow;
mod tree;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::features::{self, NAMES};
use crate::history::{Candidate, Lesson, Outcome};
use crate::observe::SegmentId;
pub(crate) use tree::{Grove, Tree};

/// Why there is no model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Not enough to learn from yet.
    #[error("{rows} lessons are too few to train on, {needed} are needed")]
    TooFewRows {
        /// Lessons given.
        rows: usize,
        /// Lessons needed.
        needed: usize,
    },
    /// Nothing to tell apart.
    #[error("all {rows} lessons have the same outcome (came: {positives})")]
    OneOutcome {
        /// Lessons given.
        rows: usize,
        /// How many of them came.
        positives: usize,
    },
    /// A feature is not a finite number.
    #[error("lesson {row}: {feature} is not a finite number")]
    NotFinite {
        /// Which lesson.
        row: usize,
        /// Which feature.
        feature: &'static str,
    },
    /// The tree learner refused.
    #[error("the tree learner failed")]
    Learner(#[from] linfa::Error),
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Fewer lessons than this are refused.
    pub rows_min: usize,
    /// Only the newest this many are used.
    pub rows_max: usize,
    /// Longest path from root to leaf.
    pub depth_max: usize,
    /// A leaf has at least this many lessons.
    pub leaf_min: usize,
    /// How many trees correct one another.
    pub trees: usize,
    /// How far each goes: a small step leaves the rest to those after it.
    pub rate: f32,
    /// How many trees all of a moment's candidates are shown to.
    pub first: usize,
    /// Longest path of these.
    pub first_depth_max: usize,
    /// How many of them, the likeliest by then, are shown to the rest.
    pub kept: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows_min: 200,
            rows_max: 1_000_000,
            depth_max: 6,
            leaf_min: 20,
            trees: 32,
            rate: 0.2,
            first: 16,
            first_depth_max: 6,
            kept: 6,
        }
    }
}

/// What a model is, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Lessons it was trained on.
    pub rows: usize,
    /// Lessons among them whose candidate came.
    pub positives: usize,
    /// Longest path in any of its trees.
    pub depth: usize,
    /// Leaves of all its trees.
    pub leaves: usize,
    /// Number of trees.
    pub trees: usize,
    /// Seed it was trained with.
    pub seed: u64,
    /// Brier score on lessons it was not trained on, once [`Model::with_score`] has been told.
    pub score: Option<f32>,
}

/// Candidates that the later trees are shown, at most.
pub(crate) const KEPT_MAX: usize = 6;
/// A candidate whose log odds are so far behind those of the likeliest is shown to the first trees alone: its chance is less than
/// a hundredth of that one's.
const BEHIND_MAX: f32 = 5.0;

/// Trees that say how likely a candidate is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Log odds that the trees start from.
    pub(crate) base: f32,
    pub(crate) trees: Vec<Tree>,
    /// How many trees all of a moment's candidates are shown to, ...
    pub(crate) first: usize,
    /// ... and how many candidates the others are shown.
    pub(crate) kept: usize,
    pub(crate) card: Card,
    /// The same trees, laid out for walking.
    #[serde(skip)]
    pub(crate) grove: Grove,
}

/// A candidate with its confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Which segment.
    pub segment: SegmentId,
    /// Chance in `[0, 1]` that it comes next.
    pub confidence: f32,
    /// How long it usually takes.
    pub expected_delay_ms: f32,
}

/// Which way a split went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Branch {
    /// The value was at most the threshold.
    AtMost,
    /// The value was above the threshold.
    Above,
}

/// One split on the way to a leaf.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedSplit {
    /// Which feature was asked for.
    pub feature: &'static str,
    /// The candidate's value.
    pub value: f32,
    /// What it was compared with.
    pub threshold: f32,
    /// The way taken.
    pub branch: Branch,
}

/// The way of a candidate through one tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedTree {
    /// Splits from the root on.
    pub splits: Vec<ExplainedSplit>,
    /// Lessons of the leaf.
    pub leaf_rows: u32,
    /// Lessons of the leaf whose candidate came.
    pub leaf_positives: u32,
    /// What the leaf adds to the log odds.
    pub push: f32,
}

/// Why a candidate has its confidence: the log odds the trees start from, and what each adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The candidate.
    pub segment: SegmentId,
    /// What all of it comes to, as a chance in `[0, 1]`.
    pub confidence: f32,
    /// Log odds of any candidate, before the trees.
    pub base: f32,
    /// One way per tree.
    pub trees: Vec<ExplainedTree>,
}

impl Explanation {
    /// The trees that move the confidence most, strongest first, at most `count`.
    pub fn strongest(&self, count: usize) -> Vec<&ExplainedTree> {
        let mut trees: Vec<&ExplainedTree> = self.trees.iter().collect();
        trees.sort_by(|a, b| b.push.abs().total_cmp(&a.push.abs()));
        trees.truncate(count);
        trees
    }
}

impl Model {
    /// Trains on the newest of `lessons`, which are in the order of time. The same lessons, options and seed give the
    /// same model.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn train(lessons: &[Lesson], options: Options, seed: u64) -> Result<Model, TrainError> {
        let lessons = &lessons[lessons.len().saturating_sub(options.rows_max)..];
        let options = Options { kept: options.kept.clamp(1, KEPT_MAX), ..options };
        let positives = check(lessons, &options)?;
        let grow::Grown { base, trees } = grow::grow(lessons, positives, &options, seed)?;
        let card = Card {
            rows: lessons.len(),
            positives,
            depth: trees.iter().map(Tree::depth).max().unwrap_or(0),
            leaves: trees.iter().map(Tree::leaves).sum(),
            trees: trees.len(),
            seed,
            score: None,
        };
        let grove = Grove::of(&trees);
        let first = options.first.min(trees.len());
        Ok(Model { base, trees, first, kept: options.kept, card, grove })
    }

    /// The same model with its score on lessons it has not seen.
    pub fn with_score(mut self, brier: f32) -> Self {
        self.card.score = Some(brier);
        self
    }

    /// What the model is, in numbers.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// How often each feature splits a tree, weighed by the lessons that are split there, as shares of all.
    pub fn importance(&self) -> [f32; features::N] {
        let mut shares = [0.0; features::N];
        let nodes = self.trees.iter().flat_map(|tree| &tree.nodes);
        for (split, rows) in nodes.filter_map(|node| node.split.map(|split| (split, node.rows))) {
            shares[usize::from(split.feature)] += rows as f32;
        }
        let sum: f32 = shares.iter().sum();
        shares.map(|share| share / sum.max(1.0))
    }

    /// Chance in `[0, 1]` of each candidate of one moment that it comes next. Together they leave room for none of them.
    pub fn confidences(&self, rows: &[&[f32; features::N]]) -> Vec<f32> {
        let mut scores = vec![self.base; rows.len()];
        self.score(|index| rows[index], &mut scores, &mut vec![0; rows.len()]);
        chances(&mut scores);
        scores
    }

    /// Log odds of each row. Returned is how many of them were shown to all trees: the first of `order`.
    fn score<'a>(
        &self,
        row: impl Fn(usize) -> &'a [f32; features::N],
        scores: &mut [f32],
        order: &mut [u32],
    ) -> usize {
        self.grove.add_pushes(0..self.first, &row, scores);
        let kept = likeliest(scores, order, self.kept);
        let mut sums = [0.0; KEPT_MAX];
        let sums = &mut sums[..kept.len()];
        self.grove.add_pushes(self.first..self.trees.len(), |nth| row(kept[nth] as usize), sums);
        kept.iter().zip(sums).for_each(|(index, sum)| scores[*index as usize] += *sum);
        kept.len()
    }

    /// The candidates, surest first. Candidates of equal confidence keep the order of their counts.
    pub fn rank(&self, candidates: &[Candidate]) -> Vec<Ranked> {
        let count = candidates.len();
        let mut scores = vec![self.base; count];
        let mut order = vec![0_u32; count];
        self.score(|index| &candidates[index].features, &mut scores, &mut order);
        chances(&mut scores);
        order.sort_unstable_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let counts = || {
                candidates[b].features[features::BLENDED]
                    .total_cmp(&candidates[a].features[features::BLENDED])
            };
            let segments = || candidates[a].segment.cmp(&candidates[b].segment);
            scores[b].total_cmp(&scores[a]).then_with(counts).then_with(segments)
        });
        let ranked = |index: u32| {
            let candidate = &candidates[index as usize];
            Ranked {
                segment: candidate.segment,
                confidence: scores[index as usize],
                expected_delay_ms: candidate.expected_delay_ms,
            }
        };
        order.into_iter().map(ranked).collect()
    }

    /// The ways of a moment's candidates through every tree, in words and numbers.
    pub fn explain(&self, candidates: &[Candidate]) -> Vec<Explanation> {
        let rows: Vec<&[f32; features::N]> = candidates.iter().map(|candidate| &candidate.features).collect();
        let mut scores = vec![self.base; rows.len()];
        let mut order = vec![0; rows.len()];
        let kept = self.score(|index| rows[index], &mut scores, &mut order);
        chances(&mut scores);
        let explain = |(index, candidate): (usize, &Candidate)| {
            let kept = order[..kept].iter().any(|kept| *kept as usize == index);
            let trees = &self.trees[..if kept { self.trees.len() } else { self.first }];
            let trees = trees.iter().map(|tree| explain_tree(tree, &candidate.features)).collect();
            Explanation { segment: candidate.segment, confidence: scores[index], base: self.base, trees }
        };
        candidates.iter().enumerate().map(explain).collect()
    }
}

fn explain_tree(tree: &Tree, features: &[f32; features::N]) -> ExplainedTree {
    let splits = tree.path(features).filter_map(|node| {
        let split = node.split?;
        let value = features[usize::from(split.feature)];
        let branch = if value <= split.threshold { Branch::AtMost } else { Branch::Above };
        Some(ExplainedSplit {
            feature: NAMES[usize::from(split.feature)],
            value,
            threshold: split.threshold,
            branch,
        })
    });
    let leaf = tree.leaf(features);
    ExplainedTree {
        splits: splits.collect(),
        leaf_rows: leaf.rows,
        leaf_positives: leaf.positives,
        push: leaf.push,
    }
}

/// Makes chances of the scores of a moment's candidates, of which one comes, or none: none has a score of nought.
pub(crate) fn chances(scores: &mut [f32]) {
    let mut all = 1.0;
    for score in scores.iter_mut() {
        // Scores are bounded by the number of trees and their pushes, but bytes from elsewhere need not be.
        *score = score.clamp(-40.0, 40.0).exp();
        all += *score;
    }
    scores.iter_mut().for_each(|score| *score /= all);
}

/// Writes into `order` the indices of `scores`, first the highest, so many at most and none that is far behind; these it
/// returns. Of equals the first comes first.
fn likeliest<'a>(scores: &[f32], order: &'a mut [u32], kept: usize) -> &'a [u32] {
    order.iter_mut().enumerate().for_each(|(nth, index)| *index = nth as u32);
    let higher = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    let kept = kept.min(order.len());
    if kept < order.len() {
        order.select_nth_unstable_by(kept, higher);
    }
    order[..kept].sort_unstable_by(higher);
    let Some(best) = order.first().map(|best| scores[*best as usize]) else { return order };
    let near = order[..kept].partition_point(|index| scores[*index as usize] >= best - BEHIND_MAX);
    &order[..near]
}

/// The chance that has these log odds.
pub(crate) fn sigmoid(odds: f32) -> f32 {
    1.0 / (1.0 + (-odds).exp())
}

/// Number of lessons whose candidate came, if they can be trained on.
fn check(lessons: &[Lesson], options: &Options) -> Result<usize, TrainError> {
    let rows = lessons.len();
    let needed = options.rows_min.max(2);
    if rows < needed {
        return Err(TrainError::TooFewRows { rows, needed });
    }
    for (row, lesson) in lessons.iter().enumerate() {
        if let Some(bad) = lesson.features.iter().position(|value| !value.is_finite()) {
            return Err(TrainError::NotFinite { row, feature: NAMES[bad] });
        }
    }
    let positives = lessons.iter().filter(|lesson| lesson.outcome == Outcome::Came).count();
    if positives == 0 || positives == rows {
        return Err(TrainError::OneOutcome { rows, positives });
    }
    Ok(positives)
}
