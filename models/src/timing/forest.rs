//! Trees that say how likely something is. In: rows of numbers and whether it came. Out: a forest whose leaves carry
//! counts. Refused: rows of another width, numbers that are none, and lessons that are all alike.
//!
//! linfa finds each split, one at a time, with both outcomes weighing the same: see decision 0009. Here each tree has a
//! drawn sample of the rows, each split a drawn part of the features, so that the trees differ and their mean is calmer.

use linfa::DatasetBase;
use linfa::ParamGuard;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dice::Dice;

/// A split is searched on at most this many rows.
const SEARCH_ROWS_MAX: usize = 4_096;
/// Weight of the parent's confidence against a leaf's own rows.
const SHRINKAGE: f32 = 4.0;
const TREES_MAX: usize = 512;

/// Why nothing was learned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrowError {
    /// Nothing to tell apart.
    #[error("{rows} lessons, {came} of which came, tell nothing apart; let more time pass")]
    NothingToTell {
        /// Lessons given.
        rows: usize,
        /// Lessons that came.
        came: usize,
    },
    /// Not a number.
    #[error("lesson {row} holds what is no finite number")]
    NotFinite {
        /// Which lesson.
        row: usize,
    },
    /// The tree learner refused.
    #[error("the tree learner failed")]
    Learner(#[from] linfa::Error),
}

/// How to grow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrowOptions {
    /// Trees.
    pub trees: usize,
    /// Longest path from root to leaf.
    pub depth_max: usize,
    /// A leaf has at least this many rows.
    pub leaf_min: usize,
    /// Rows drawn for each tree, at most.
    pub rows_max: usize,
    /// Features drawn for each split.
    pub features: usize,
}

impl Default for GrowOptions {
    fn default() -> Self {
        Self { trees: 24, depth_max: 12, leaf_min: 16, rows_max: 100_000, features: 10 }
    }
}

/// Rows with their outcomes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lessons {
    width: usize,
    features: Vec<f32>,
    came: Vec<bool>,
}

impl Lessons {
    /// No lessons yet, of so many features each.
    pub fn new(width: usize) -> Self {
        Self { width, features: Vec::new(), came: Vec::new() }
    }

    /// Adds one.
    pub fn push(&mut self, features: &[f32], came: bool) {
        debug_assert_eq!(features.len(), self.width);
        self.features.extend_from_slice(features);
        self.came.push(came);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.came.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.came.is_empty()
    }

    /// The features of one, and whether it came.
    pub fn get(&self, row: usize) -> (&[f32], bool) {
        (&self.features[row * self.width..][..self.width], self.came[row])
    }

    /// Leaves out every second one: what is kept is still spread over all the time.
    pub fn thin(&mut self) {
        let mut thin = Self::new(self.width);
        for row in (0..self.len()).step_by(2) {
            let (features, came) = self.get(row);
            thin.push(features, came);
        }
        *self = thin;
    }

    fn positives(&self, rows: &[u32]) -> usize {
        rows.iter().filter(|row| self.came[**row as usize]).count()
    }
}

/// A node: a leaf if it sends rows to itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    feature: u16,
    threshold: f32,
    /// The child for rows at most at the threshold; the other one stands behind it. 0: a leaf.
    low: u32,
    rows: u32,
    came: u32,
    confidence: f32,
}

/// The trees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    width: u16,
    trees: Vec<Vec<Node>>,
}

impl Forest {
    /// Grows a forest. The same lessons, options and seed give the same forest.
    ///
    /// # Errors
    /// See [`GrowError`].
    pub fn grow(lessons: &Lessons, options: &GrowOptions, seed: u64) -> Result<Self, GrowError> {
        let rows = lessons.len();
        let came = lessons.came.iter().filter(|came| **came).count();
        if came == 0 || came == rows {
            return Err(GrowError::NothingToTell { rows, came });
        }
        if let Some(at) = lessons.features.iter().position(|value| !value.is_finite()) {
            return Err(GrowError::NotFinite { row: at / lessons.width });
        }
        let mut dice = Dice::new(seed);
        let mut trees = Vec::new();
        for _ in 0..options.trees.clamp(1, TREES_MAX) {
            let wanted = rows.min(options.rows_max);
            let drawn = (0..wanted).map(|_| dice.below(rows as u64) as u32).collect();
            trees.push(grow_tree(lessons, drawn, options, &mut dice)?);
        }
        Ok(Self { width: lessons.width as u16, trees })
    }

    /// A forest that says the same of everything.
    pub(super) fn constant(width: usize, confidence: f32) -> Self {
        let leaf = Node { feature: 0, threshold: 0.0, low: 0, rows: 0, came: 0, confidence };
        Self { width: width as u16, trees: vec![vec![leaf]] }
    }

    /// How likely it is, in `[0, 1]`.
    pub fn confidence(&self, features: &[f32]) -> f32 {
        let leaf = |tree: &Vec<Node>| {
            let mut node = &tree[0];
            while node.low > 0 {
                let above = features[usize::from(node.feature)] > node.threshold;
                node = &tree[node.low as usize + usize::from(above)];
            }
            node.confidence
        };
        self.trees.iter().map(leaf).sum::<f32>() / self.trees.len() as f32
    }

    /// Number of trees, and of all their leaves.
    pub fn size(&self) -> (usize, usize) {
        let leaves = self.trees.iter().flatten().filter(|node| node.low == 0).count();
        (self.trees.len(), leaves)
    }

    /// Whether every walk over rows of `width` features ends in a leaf with a confidence in `[0, 1]`.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        let sound = |tree: &Vec<Node>| {
            let node = |(at, node): (usize, &Node)| {
                let low = node.low as usize;
                let ends = low == 0 || (low > at && low + 1 < tree.len());
                ends && usize::from(node.feature) < width
                    && node.threshold.is_finite()
                    && (0.0..=1.0).contains(&node.confidence)
            };
            !tree.is_empty() && tree.iter().enumerate().all(node)
        };
        usize::from(self.width) == width
            && (1..=TREES_MAX).contains(&self.trees.len())
            && self.trees.iter().all(sound)
    }
}

struct Open {
    index: usize,
    depth: usize,
    rows: Vec<u32>,
}

fn grow_tree(
    lessons: &Lessons,
    drawn: Vec<u32>,
    options: &GrowOptions,
    dice: &mut Dice,
) -> Result<Vec<Node>, GrowError> {
    let base = lessons.positives(&drawn) as f32 / drawn.len() as f32;
    let mut nodes = vec![leaf(lessons, &drawn, base)];
    let mut open = vec![Open { index: 0, depth: 0, rows: drawn }];
    while let Some(Open { index, depth, rows }) = open.pop() {
        if depth >= options.depth_max || rows.len() < 2 * options.leaf_min {
            continue;
        }
        let Some((feature, threshold)) = split(lessons, &rows, options, dice)? else { continue };
        let is_low = |row: &u32| lessons.get(*row as usize).0[feature] <= threshold;
        let (low, high): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| is_low(row));
        if low.len() < options.leaf_min || high.len() < options.leaf_min {
            continue;
        }
        let (first, parent) = (nodes.len(), nodes[index].confidence);
        nodes[index] = Node { feature: feature as u16, threshold, low: first as u32, ..nodes[index] };
        for (offset, rows) in [low, high].into_iter().enumerate() {
            nodes.push(leaf(lessons, &rows, parent));
            open.push(Open { index: first + offset, depth: depth + 1, rows });
        }
    }
    Ok(nodes)
}

fn leaf(lessons: &Lessons, rows: &[u32], parent: f32) -> Node {
    let came = lessons.positives(rows);
    let confidence = (came as f32 + SHRINKAGE * parent) / (rows.len() as f32 + SHRINKAGE);
    let (rows, came) = (rows.len() as u32, came as u32);
    Node { feature: 0, threshold: 0.0, low: 0, rows, came, confidence: confidence.clamp(0.0, 1.0) }
}

/// linfa's best single split over drawn rows and drawn features.
fn split(
    lessons: &Lessons,
    rows: &[u32],
    options: &GrowOptions,
    dice: &mut Dice,
) -> Result<Option<(usize, f32)>, GrowError> {
    let drawn: Vec<u32> = if rows.len() > SEARCH_ROWS_MAX {
        (0..SEARCH_ROWS_MAX).map(|_| rows[dice.below(rows.len() as u64) as usize]).collect()
    } else {
        rows.to_vec()
    };
    let (count, positives) = (drawn.len(), lessons.positives(&drawn));
    if positives == 0 || positives == count {
        return Ok(None);
    }
    let features = draw(lessons.width, options.features, dice);
    let half = count as f32 / 2.0;
    let weights = [half / (count - positives) as f32, half / positives as f32];
    let labels: Vec<bool> = drawn.iter().map(|row| lessons.came[*row as usize]).collect();
    let weights: Array1<f32> = labels.iter().map(|came| weights[usize::from(*came)]).collect();
    let records = Array2::from_shape_fn((count, features.len()), |(row, column)| {
        lessons.get(drawn[row] as usize).0[features[column]]
    });
    let dataset = DatasetBase::new(records, Array1::from(labels)).with_weights(weights);
    let learner = DecisionTree::params()
        .split_quality(SplitQuality::Gini)
        .max_depth(Some(1))
        .min_weight_split(2.0)
        .min_weight_leaf((options.leaf_min as f32 / 4.0).min(half / 2.0))
        .min_impurity_decrease(1e-5)
        .check()?;
    let tree = learner.fit(&dataset)?;
    let root = tree.root_node();
    let (column, threshold, _) = root.split();
    Ok((!root.is_leaf()).then(|| (features[column], threshold)))
}

/// Some of the features, none twice.
fn draw(width: usize, wanted: usize, dice: &mut Dice) -> Vec<usize> {
    let mut all: Vec<usize> = (0..width).collect();
    let wanted = wanted.clamp(1, width);
    for at in 0..wanted {
        let other = at + dice.below((width - at) as u64) as usize;
        all.swap(at, other);
    }
    all.truncate(wanted);
    all
}
