//! Growing trees, one after the other. In come lessons, out go trees each of which corrects the ones before it.
//!
//! This is gradient boosting of the logistic loss. linfa finds each split; the recursion and the boosting are ours. A
//! node first takes a Newton step, so that the residuals of its rows sum to zero. Then linfa is asked for the one split
//! that parts those that came from those that did not, each row weighing as much as its residual. Its Gini impurity is
//! then `1/2 - sum of (residuals)² / (2 · sum of |residuals|)`, which is what a boosted tree maximises, with the
//! residuals' sizes in the place of the second derivative. And since both sides then lean to different classes, linfa
//! never cuts the split back.

use linfa::DatasetBase;
use linfa::ParamGuard;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2};

use super::tree::{DEPTH_MAX, Node, Split, Tree, settled};
use super::{Options, TrainError, chances, sigmoid};
use crate::features::N;
use crate::history::{Lesson, Outcome};

/// The split of a root is searched on at most this many rows, of each level below on half as many, ...
const SEARCH_ROWS_MAX: usize = 8_192;
/// ... but on this many at least.
const SEARCH_ROWS_MIN: usize = 1_024;
/// Splits are searched among this share of the features, another one for each tree.
const FEATURES_SHARE: f64 = 0.6;
/// What a drawn lesson that came weighs: where as many came as did not, linfa would take what a hash map holds first.
const UNTIED: f32 = 1.001;
/// How many rows' second derivatives hold a node back from leaving its parent.
const HOLD: f32 = 2.0;

/// The trees, and the log odds they start from.
pub(super) struct Grown {
    pub(super) base: f32,
    pub(super) trees: Vec<Tree>,
}

/// Grows trees on `lessons`, which hold both outcomes.
pub(super) fn grow(
    lessons: &[Lesson],
    positives: usize,
    options: &Options,
    seed: u64,
) -> Result<Grown, TrainError> {
    let share = positives as f32 / lessons.len() as f32;
    let base = (share / (1.0 - share)).ln();
    let count = lessons.len();
    let mut field = Field { lessons, scores: vec![base; count], odds: vec![base; count], dice: seed };
    let mut trees = Vec::with_capacity(options.trees.max(1));
    for _ in 0..options.trees.max(1) {
        field.share_out();
        trees.push(field.tree(options)?);
    }
    Ok(Grown { base, trees })
}

/// The lessons and what the trees so far say of each.
struct Field<'a> {
    lessons: &'a [Lesson],
    /// Sums of what the trees add.
    scores: Vec<f32>,
    /// Log odds of each lesson against all else that may come at its moment.
    odds: Vec<f32>,
    dice: u64,
}

/// A node yet to be split.
struct Open {
    index: usize,
    depth: usize,
    rows: Vec<u32>,
}

impl Field<'_> {
    /// Works out the odds from the scores: only one of a moment's candidates comes.
    fn share_out(&mut self) {
        let mut first = 0;
        for moment in self.lessons.chunk_by(|a, b| a.moment == b.moment) {
            let range = first..first + moment.len();
            first = range.end;
            let odds = &mut self.odds[range.clone()];
            odds.copy_from_slice(&self.scores[range]);
            chances(odds);
            for odds in odds {
                let chance = odds.clamp(1e-6, 1.0 - 1e-6);
                *odds = (chance / (1.0 - chance)).ln();
            }
        }
    }

    /// One more tree; the scores are moved by it.
    fn tree(&mut self, options: &Options) -> Result<Tree, TrainError> {
        let columns = self.columns();
        let rows: Vec<u32> = (0..self.lessons.len() as u32).collect();
        let mut nodes = vec![self.node(&rows, 0.0)];
        let mut open = vec![Open { index: 0, depth: 0, rows }];
        while let Some(Open { index, depth, rows }) = open.pop() {
            let push = nodes[index].push;
            let Some((low, high, feature, threshold)) = self.split(&rows, push, depth, &columns, options)?
            else {
                for row in rows {
                    self.scores[row as usize] += push * options.rate;
                }
                nodes[index].push = push * options.rate;
                continue;
            };
            let first = nodes.len();
            nodes[index].split = Some(Split { feature, threshold, low: first as u32 });
            for (offset, rows) in [low, high].into_iter().enumerate() {
                nodes.push(self.node(&rows, push));
                open.push(Open { index: first + offset, depth: depth + 1, rows });
            }
        }
        Ok(Tree { nodes })
    }

    /// The features of the next tree, as linfa is to see them. Of splits that part the lessons equally well it takes the
    /// leftmost: what is asked for by anybody at any time says least of what comes next, however well it told the
    /// lessons of one crowd apart, so it stands last.
    fn columns(&mut self) -> Vec<usize> {
        let mut columns: Vec<usize> = (1..N).filter(|_| roll(&mut self.dice) < FEATURES_SHARE).collect();
        columns.push(0);
        columns
    }

    fn came(&self, row: u32) -> bool {
        self.lessons[row as usize].outcome == Outcome::Came
    }

    /// What is left to explain of a row whose odds were moved by `push`.
    fn residual(&self, row: u32, push: f32) -> f32 {
        let truth = f32::from(u8::from(self.came(row)));
        truth - sigmoid(self.odds[row as usize] + push)
    }

    /// A leaf of these rows: a Newton step away from its parent.
    fn node(&self, rows: &[u32], parent: f32) -> Node {
        let (mut slope, mut bend) = (0.0_f64, 0.0_f64);
        for row in rows {
            let chance = sigmoid(self.odds[*row as usize] + parent);
            slope += f64::from(f32::from(u8::from(self.came(*row))) - chance);
            bend += f64::from(chance * (1.0 - chance));
        }
        let step = (slope / (bend + f64::from(HOLD))) as f32;
        let positives = rows.iter().filter(|row| self.came(**row)).count() as u32;
        Node { split: None, rows: rows.len() as u32, positives, push: (parent + step).clamp(-8.0, 8.0) }
    }

    /// The two halves of the best split, if there is one that leaves both sides large enough.
    fn split(
        &mut self,
        rows: &[u32],
        push: f32,
        depth: usize,
        columns: &[usize],
        options: &Options,
    ) -> Result<Option<Halves>, TrainError> {
        let leaf_min = options.leaf_min.max(1);
        if depth >= options.depth_max.min(DEPTH_MAX) || rows.len() < 2 * leaf_min {
            return Ok(None);
        }
        let (sample, weights) = self.sample(rows, push, (SEARCH_ROWS_MAX >> depth).max(SEARCH_ROWS_MIN));
        let sample_positives = sample.iter().filter(|row| self.came(**row)).count();
        if sample_positives == 0 || sample_positives == sample.len() {
            return Ok(None);
        }
        let leaf_share = leaf_min as f32 / rows.len() as f32;
        let Some((feature, threshold)) = self.best_split(&sample, weights, columns, leaf_share)? else {
            return Ok(None);
        };
        let is_low = |row: &u32| self.lessons[*row as usize].features[feature] <= threshold;
        let (low, high): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| is_low(row));
        let large_enough = low.len() >= leaf_min && high.len() >= leaf_min;
        Ok(large_enough.then_some((low, high, feature as u16, threshold)))
    }

    /// Feature and threshold of linfa's best single split.
    fn best_split(
        &self,
        sample: &[u32],
        weights: Vec<f32>,
        columns: &[usize],
        leaf_share: f32,
    ) -> Result<Option<(usize, f32)>, TrainError> {
        let records = Array2::from_shape_fn((sample.len(), columns.len()), |(row, column)| {
            self.lessons[sample[row] as usize].features[columns[column]]
        });
        let labels: Vec<bool> = sample.iter().map(|row| self.came(*row)).collect();
        let total: f32 = weights.iter().sum();
        let dataset = DatasetBase::new(records, Array1::from(labels)).with_weights(Array1::from(weights));
        let learner = DecisionTree::params()
            .split_quality(SplitQuality::Gini)
            .max_depth(Some(1))
            .min_weight_split(2.0)
            .min_weight_leaf((total * leaf_share / 4.0).max(f32::MIN_POSITIVE))
            .min_impurity_decrease(1e-5)
            .check()?;
        let tree = learner.fit(&dataset)?;
        let root = tree.root_node();
        let (column, threshold, _) = root.split();
        Ok((!root.is_leaf()).then(|| (columns[column], settled(threshold))))
    }

    /// At most `count` of `rows` with their weights: all by their residuals, or drawn by their residuals with equal
    /// weights. What is explained already is seldom drawn.
    fn sample(&mut self, rows: &[u32], push: f32, count: usize) -> (Vec<u32>, Vec<f32>) {
        let residuals: Vec<f32> = rows.iter().map(|row| self.residual(*row, push).abs().max(1e-6)).collect();
        if rows.len() <= count {
            return (rows.to_vec(), residuals);
        }
        let stretch = residuals.iter().map(|residual| f64::from(*residual)).sum::<f64>() / count as f64;
        let mut sample = Vec::with_capacity(count + 1);
        let mut next = roll(&mut self.dice) * stretch;
        let mut passed = 0.0;
        for (row, residual) in rows.iter().zip(residuals) {
            passed += f64::from(residual);
            while next < passed {
                sample.push(*row);
                next += stretch;
            }
        }
        let weight = |row: &u32| if self.came(*row) { UNTIED } else { 1.0 };
        let weights = sample.iter().map(weight).collect();
        (sample, weights)
    }
}

type Halves = (Vec<u32>, Vec<u32>, u16, f32);

/// The next of a sequence of numbers in `[0, 1)` (SplitMix64).
fn roll(dice: &mut u64) -> f64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *dice;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
