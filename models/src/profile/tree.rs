//! One decision tree over ordered classes, grown as decision 0009 tells. In: rows with a class each. Out: a tree whose
//! leaves keep the classes and the observed values of their rows. linfa finds each split between two classes: those up to
//! a cut, and those above, so that the order of the classes counts and nothing depends on the order of a map.

use linfa::DatasetBase;
use linfa::ParamGuard;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::features::{HAS_RUN, N, Row};
use super::sizing::SizingError;

/// Observed values that a node keeps, evenly drawn from the sorted ones.
const OBSERVED_MAX: usize = 64;

/// A row to learn from.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    /// The features.
    pub(super) row: Row,
    /// Of which function: rows of one function count as one together.
    pub(super) function: u32,
    /// The class.
    pub(super) class: u8,
    /// What was measured.
    pub(super) value: f32,
}

/// How to grow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Growing {
    /// Longest way from root to leaf.
    pub(super) depth_max: usize,
    /// A leaf has rows of at least this many functions.
    pub(super) functions_min: usize,
}

/// A split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Split {
    pub(super) feature: u16,
    pub(super) threshold: f32,
    low: u32,
    high: u32,
}

/// A node; a leaf if it has no split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) split: Option<Split>,
    /// Functions whose rows it has.
    pub(super) functions: u32,
    /// Each class with the weight of its rows, each function weighing one.
    pub(super) classes: Vec<(u8, f32)>,
    /// Measured values, sorted.
    pub(super) observed: Vec<f32>,
}

/// The nodes, root first, children after their parents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Grows a tree.
    ///
    /// # Errors
    /// When linfa fails.
    pub(super) fn grow(lessons: &[Lesson], growing: Growing) -> Result<Self, SizingError> {
        let all: Vec<u32> = (0..lessons.len() as u32).collect();
        let mut nodes = vec![node(lessons, &all)];
        let mut open = vec![(0_usize, 0_usize, all)];
        while let Some((index, depth, rows)) = open.pop() {
            if depth > growing.depth_max {
                continue;
            }
            // Code that has never run is told apart first: of it nothing but the source is known.
            let chosen = if depth == 0 { Some((HAS_RUN, 0.5)) } else { split(lessons, &rows, growing)? };
            let Some((feature, threshold)) = chosen else { continue };
            let is_low = |row: &u32| lessons[*row as usize].row[feature] <= threshold;
            let (low, high): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| is_low(row));
            if functions(lessons, &low).min(functions(lessons, &high)) < growing.functions_min {
                continue;
            }
            let first = nodes.len() as u32;
            nodes[index].split =
                Some(Split { feature: feature as u16, threshold, low: first, high: first + 1 });
            for (offset, rows) in [low, high].into_iter().enumerate() {
                nodes.push(node(lessons, &rows));
                open.push((first as usize + offset, depth + 1, rows));
            }
        }
        Ok(Self { nodes })
    }

    /// The nodes that a row passes, root first. Ends because children come after their parents.
    pub(super) fn path(&self, row: &Row) -> Vec<&Node> {
        let child = |node: &&Node| {
            let split = node.split?;
            let next =
                if row[usize::from(split.feature)] <= split.threshold { split.low } else { split.high };
            self.nodes.get(next as usize)
        };
        std::iter::successors(self.nodes.first(), child).collect()
    }

    /// Leaves.
    pub(super) fn leaves(&self) -> usize {
        self.nodes.iter().filter(|node| node.split.is_none()).count()
    }

    /// Whether every walk ends in a leaf that knows something.
    pub(super) fn is_sound(&self, classes: usize) -> bool {
        let sound = |(index, node): (usize, &Node)| {
            let onward = |child: u32| child as usize > index && (child as usize) < self.nodes.len();
            let split = node.split.is_none_or(|split| {
                usize::from(split.feature) < N
                    && split.threshold.is_finite()
                    && onward(split.low)
                    && onward(split.high)
            });
            let known =
                node.classes.iter().all(|(class, weight)| usize::from(*class) < classes && *weight > 0.0);
            let values = node.observed.is_sorted() && node.observed.iter().all(|value| value.is_finite());
            split && known && values && !node.classes.is_empty() && !node.observed.is_empty()
        };
        !self.nodes.is_empty() && self.nodes.iter().enumerate().all(sound)
    }
}

impl Node {
    /// The value below which a share of the observed ones lies, between two of them in proportion.
    pub(super) fn quantile(&self, share: f32) -> f32 {
        let last = self.observed.len().saturating_sub(1);
        let at = share.clamp(0.0, 1.0) * last as f32;
        let (low, part) = (at.floor() as usize, at.fract());
        let value = |index: usize| self.observed.get(index.min(last)).copied().unwrap_or(0.0);
        value(low) + (value(low + 1) - value(low)) * part
    }

    /// The heaviest class, and its share.
    pub(super) fn likeliest(&self) -> (u8, f32) {
        let sum: f32 = self.classes.iter().map(|(_, weight)| weight).sum();
        let best = self.classes.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.map_or((0, 0.0), |(class, weight)| (*class, weight / sum))
    }
}

fn functions(lessons: &[Lesson], rows: &[u32]) -> usize {
    let mut seen: Vec<u32> = rows.iter().map(|row| lessons[*row as usize].function).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

/// What each row weighs, so that each function weighs one.
fn weights(lessons: &[Lesson], rows: &[u32]) -> Vec<f32> {
    let of = |row: &u32| lessons[*row as usize].function;
    let alike = |function: u32| rows.iter().filter(|row| of(row) == function).count();
    rows.iter().map(|row| 1.0 / alike(of(row)) as f32).collect()
}

fn node(lessons: &[Lesson], rows: &[u32]) -> Node {
    let mut classes: Vec<(u8, f32)> = Vec::new();
    for (row, weight) in rows.iter().zip(weights(lessons, rows)) {
        let class = lessons[*row as usize].class;
        match classes.iter_mut().find(|(known, _)| *known == class) {
            Some((_, sum)) => *sum += weight,
            None => classes.push((class, weight)),
        }
    }
    classes.sort_by_key(|(class, _)| *class);
    let mut values: Vec<f32> = rows.iter().map(|row| lessons[*row as usize].value).collect();
    values.sort_by(f32::total_cmp);
    let kept = values.len().min(OBSERVED_MAX);
    let at = |index: usize| values[index * (values.len() - 1) / (kept - 1).max(1)];
    let observed = (0..kept).map(at).collect();
    Node { split: None, functions: functions(lessons, rows) as u32, classes, observed }
}

/// The class up to which rows lie on one side: the cut that parts their weight most evenly.
fn cut(classes: &[(u8, f32)]) -> Option<u8> {
    let sum: f32 = classes.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    let cuts = classes.iter().take(classes.len().saturating_sub(1)).map(|(class, weight)| {
        below += weight;
        (*class, (below - sum / 2.0).abs())
    });
    cuts.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, _)| class)
}

/// Feature and threshold of linfa's best single split, if there is one.
fn split(lessons: &[Lesson], rows: &[u32], growing: Growing) -> Result<Option<(usize, f32)>, SizingError> {
    let Some(cut) = cut(&node(lessons, rows).classes) else { return Ok(None) };
    let above: Vec<bool> = rows.iter().map(|row| lessons[*row as usize].class > cut).collect();
    let mut weights = weights(lessons, rows);
    let side = |side: bool| {
        let on = above.iter().zip(&weights).filter(|(one, _)| **one == side);
        on.map(|(_, weight)| weight).sum::<f32>()
    };
    // Both sides weigh the same, or linfa would cut the split back; see decision 0009.
    let half = weights.iter().sum::<f32>() / 2.0;
    let (high, low) = (half / side(true), half / side(false));
    for (weight, above) in weights.iter_mut().zip(&above) {
        *weight *= if *above { high } else { low };
    }
    let records =
        Array2::from_shape_fn((rows.len(), N), |(at, feature)| lessons[rows[at] as usize].row[feature]);
    let dataset = DatasetBase::new(records, Array1::from(above)).with_weights(Array1::from(weights));
    let learner = DecisionTree::params()
        .split_quality(SplitQuality::Gini)
        .max_depth(Some(1))
        .min_weight_split(2.0)
        .min_weight_leaf(growing.functions_min as f32 / 4.0)
        .min_impurity_decrease(1e-3)
        .check()?;
    let tree = learner.fit(&dataset)?;
    let root = tree.root_node();
    let (feature, threshold, _) = root.split();
    Ok((!root.is_leaf()).then_some((feature, threshold)))
}
