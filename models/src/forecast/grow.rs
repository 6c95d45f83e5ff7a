//! Growing one tree. In come lessons, out goes a tree whose nodes carry counts and confidences.
//!
//! linfa finds each split; the recursion is ours. Fitted in one go, linfa's tree is cut back wherever two leaves agree
//! on the likelier class, and next to rare positives almost all do: the confidences we are after would be gone. So it
//! is asked for one split at a time, with both classes weighing the same. Then whichever side of a split has more
//! positives than its parent is called positive, the other negative, and no split worth having is cut.

use linfa::DatasetBase;
use linfa::ParamGuard;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2};

use super::tree::{Node, Split, Tree};
use super::{Options, TrainError};
use crate::features::N;
use crate::history::{Lesson, Outcome};

/// A split is searched on at most this many rows, evenly drawn: more move the threshold by less than noise.
const SEARCH_ROWS_MAX: usize = 8_192;
/// Weight of the parent's confidence against a leaf's own lessons.
const SHRINKAGE: f32 = 8.0;

/// A node yet to be split.
struct Open {
    index: usize,
    depth: usize,
    rows: Vec<u32>,
}

/// Grows a tree on all of `lessons`, which hold both outcomes.
pub(super) fn grow(lessons: &[Lesson], options: &Options, seed: u64) -> Result<Tree, TrainError> {
    let all: Vec<u32> = (0..lessons.len() as u32).collect();
    let base = positives(lessons, &all) as f32 / all.len() as f32;
    let mut nodes = vec![leaf(lessons, &all, base)];
    let mut open = vec![Open { index: 0, depth: 0, rows: all }];
    let mut dice = seed;
    while let Some(Open { index, depth, rows }) = open.pop() {
        let Some((low, high, feature, threshold)) = split(lessons, &rows, depth, options, &mut dice)? else {
            continue;
        };
        let parent = nodes[index].confidence;
        let first = nodes.len();
        nodes[index].split = Some(Split { feature, threshold, low: first as u32, high: first as u32 + 1 });
        for (offset, rows) in [low, high].into_iter().enumerate() {
            nodes.push(leaf(lessons, &rows, parent));
            open.push(Open { index: first + offset, depth: depth + 1, rows });
        }
    }
    Ok(Tree { nodes })
}

fn positives(lessons: &[Lesson], rows: &[u32]) -> u32 {
    rows.iter().filter(|row| came(&lessons[**row as usize])).count() as u32
}

fn came(lesson: &Lesson) -> bool {
    lesson.outcome == Outcome::Came
}

fn leaf(lessons: &[Lesson], rows: &[u32], parent: f32) -> Node {
    let positives = positives(lessons, rows);
    let count = rows.len() as u32;
    let confidence = (positives as f32 + SHRINKAGE * parent) / (count as f32 + SHRINKAGE);
    Node { split: None, rows: count, positives, confidence: confidence.clamp(0.0, 1.0) }
}

type Halves = (Vec<u32>, Vec<u32>, u16, f32);

/// The two halves of the best split, if there is one that leaves both sides large enough.
fn split(
    lessons: &[Lesson],
    rows: &[u32],
    depth: usize,
    options: &Options,
    dice: &mut u64,
) -> Result<Option<Halves>, TrainError> {
    let leaf_min = options.leaf_min.max(1);
    if depth >= options.depth_max || rows.len() < 2 * leaf_min {
        return Ok(None);
    }
    let sample = sample(rows, dice);
    let sample_positives = positives(lessons, &sample) as usize;
    if sample_positives == 0 || sample_positives == sample.len() {
        return Ok(None);
    }
    let Some((feature, threshold)) = best_split(lessons, &sample, sample_positives, leaf_min)? else {
        return Ok(None);
    };
    let is_low = |row: &u32| lessons[*row as usize].features[feature] <= threshold;
    let (low, high): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| is_low(row));
    let large_enough = low.len() >= leaf_min && high.len() >= leaf_min;
    Ok(large_enough.then_some((low, high, feature as u16, threshold)))
}

/// Which feature linfa sees in a column. Of splits that part the lessons equally well it takes the leftmost: what is asked
/// for by anybody at any time says least of what comes next, however well it told the lessons of one crowd apart.
fn feature_of(column: usize) -> usize {
    (column + 1) % N
}

/// Feature and threshold of linfa's best single split.
fn best_split(
    lessons: &[Lesson],
    sample: &[u32],
    positives: usize,
    leaf_min: usize,
) -> Result<Option<(usize, f32)>, TrainError> {
    let count = sample.len();
    let records = Array2::from_shape_fn((count, N), |(row, column)| {
        lessons[sample[row] as usize].features[feature_of(column)]
    });
    let labels: Vec<bool> = sample.iter().map(|row| came(&lessons[*row as usize])).collect();
    let half = count as f32 / 2.0;
    let (weight_came, weight_not) = (half / positives as f32, half / (count - positives) as f32);
    let weights =
        labels.iter().map(|came| if *came { weight_came } else { weight_not }).collect::<Array1<f32>>();
    let dataset = DatasetBase::new(records, Array1::from(labels)).with_weights(weights);
    let learner = DecisionTree::params()
        .split_quality(SplitQuality::Gini)
        .max_depth(Some(1))
        .min_weight_split(2.0)
        .min_weight_leaf((leaf_min as f32 / 4.0).min(half / 2.0))
        .min_impurity_decrease(1e-5)
        .check()?;
    let tree = learner.fit(&dataset)?;
    let root = tree.root_node();
    let (column, threshold, _) = root.split();
    Ok((!root.is_leaf()).then_some((feature_of(column), threshold)))
}

/// At most [`SEARCH_ROWS_MAX`] of `rows`: one from each of equal stretches, so that all times are seen.
fn sample(rows: &[u32], dice: &mut u64) -> Vec<u32> {
    if rows.len() <= SEARCH_ROWS_MAX {
        return rows.to_vec();
    }
    let stretch = rows.len() as f64 / SEARCH_ROWS_MAX as f64;
    let pick = |index: usize| {
        let within = roll(dice) * stretch;
        let at = (index as f64 * stretch + within) as usize;
        rows[at.min(rows.len() - 1)]
    };
    (0..SEARCH_ROWS_MAX).map(pick).collect()
}

/// The next of a sequence of numbers in `[0, 1)` (SplitMix64).
fn roll(dice: &mut u64) -> f64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *dice;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
