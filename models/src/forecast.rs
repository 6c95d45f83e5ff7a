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
}

impl Default for Options {
    fn default() -> Self {
        Self { rows_min: 200, rows_max: 1_000_000, depth_max: 6, leaf_min: 20, trees: 32, rate: 0.2 }
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

/// Trees that say how likely a candidate is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Log odds that the trees start from.
    pub(crate) base: f32,
    pub(crate) trees: Vec<Tree>,
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
        Ok(Model { base, trees, card, grove })
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
        self.chances_of(rows.len(), |index| rows[index])
    }

    fn chances_of<'a>(&self, count: usize, row: impl Fn(usize) -> &'a [f32; features::N]) -> Vec<f32> {
        let mut scores = vec![self.base; count];
        self.grove.add_pushes(row, &mut scores);
        chances(&mut scores);
        scores
    }

    /// The candidates, surest first. Candidates of equal confidence keep the order of their counts.
    pub fn rank(&self, candidates: &[Candidate]) -> Vec<Ranked> {
        let confidences = self.chances_of(candidates.len(), |index| &candidates[index].features);
        let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
        order.sort_unstable_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let counts = || {
                candidates[b].features[features::BLENDED]
                    .total_cmp(&candidates[a].features[features::BLENDED])
            };
            let segments = || candidates[a].segment.cmp(&candidates[b].segment);
            confidences[b].total_cmp(&confidences[a]).then_with(counts).then_with(segments)
        });
        let ranked = |index: u32| {
            let candidate = &candidates[index as usize];
            Ranked {
                segment: candidate.segment,
                confidence: confidences[index as usize],
                expected_delay_ms: candidate.expected_delay_ms,
            }
        };
        order.into_iter().map(ranked).collect()
    }

    /// The ways of a moment's candidates through every tree, in words and numbers.
    pub fn explain(&self, candidates: &[Candidate]) -> Vec<Explanation> {
        let rows: Vec<&[f32; features::N]> = candidates.iter().map(|candidate| &candidate.features).collect();
        let explain = |(candidate, confidence): (&Candidate, f32)| {
            let trees = self.trees.iter().map(|tree| explain_tree(tree, &candidate.features)).collect();
            Explanation { segment: candidate.segment, confidence, base: self.base, trees }
        };
        candidates.iter().zip(self.confidences(&rows)).map(explain).collect()
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
