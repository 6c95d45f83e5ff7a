//! Trees over counts. In: rows of features with their classes. Out: a forest that says how likely each class is, and which
//! features it asked. Refused: rows of another width, and bytes in which a walk could leave the trees.
//!
//! linfa finds each split; the recursion is ours, as for the trees of forecasts. A split is searched between two sides:
//! one class against the others, or the classes up to one against those above it, drawn anew at each node among the
//! classes that are there, and over features that are drawn, too. So the trees differ, two sides always differ in their
//! likelier class (or linfa would cut the split), and sums over two classes are the same in any order: a forest is the
//! same, bit for bit, whenever it is grown from the same rows.

use linfa::DatasetBase;
use linfa::ParamGuard;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

/// Classes that are told apart.
pub(super) const CLASSES: usize = super::Complexity::KNOWN.len();

/// A row to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its features.
    pub features: Vec<f32>,
    /// Its class, by rank.
    pub class: usize,
}

/// How to grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Trees.
    pub trees: usize,
    /// Longest path from root to leaf.
    pub depth_max: usize,
    /// A leaf has at least this many rows.
    pub leaf_min: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { trees: 60, depth_max: 14, leaf_min: 2 }
    }
}

/// A node: where it sends a row, or what its rows were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Node {
    /// At most the threshold to `low`, above it to the node behind that.
    Split { feature: u8, threshold: f32, low: u32 },
    /// The share of each class, in 255ths.
    Leaf([u8; CLASSES]),
}

/// A forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    trees: Vec<Vec<Node>>,
    features: u8,
}

impl Forest {
    /// Grows a forest. The same rows, options and seed give the same forest.
    ///
    /// # Errors
    /// When the tree learner refuses the rows.
    pub fn grow(rows: &[Row], options: &Options, seed: u64) -> Result<Self, linfa::Error> {
        let features = rows.first().map_or(0, |row| row.features.len());
        let mut trees = Vec::with_capacity(options.trees);
        for tree in 0..options.trees {
            let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(tree as u64));
            let drawn: Vec<u32> = (0..rows.len()).map(|_| dice.below(rows.len()) as u32).collect();
            trees.push(grow_tree(rows, drawn, options, &mut dice)?);
        }
        Ok(Self { trees, features: features as u8 })
    }

    /// How likely each class is.
    pub fn shares(&self, features: &[f32]) -> [f32; CLASSES] {
        let mut sums = [0.0_f32; CLASSES];
        for tree in &self.trees {
            let leaf = self.leaf(tree, features, &mut |_| ());
            for (sum, share) in sums.iter_mut().zip(leaf) {
                *sum += f32::from(share) / 255.0;
            }
        }
        let all = sums.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        sums.map(|sum| sum / all)
    }

    /// The likeliest class and its share.
    pub fn likeliest(&self, features: &[f32]) -> (usize, f32) {
        let shares = self.shares(features);
        let mut best = (0, shares[0]);
        for (class, share) in shares.into_iter().enumerate() {
            if share > best.1 {
                best = (class, share);
            }
        }
        best
    }

    /// The features that decide most often on the way of a row through the trees, the most asked first.
    pub(super) fn asked(&self, features: &[f32]) -> Vec<usize> {
        let mut asked = vec![0_usize; features.len()];
        for tree in &self.trees {
            self.leaf(tree, features, &mut |feature| asked[feature] += 1);
        }
        let mut order: Vec<usize> = (0..asked.len()).filter(|feature| asked[*feature] > 0).collect();
        order.sort_by_key(|feature| (std::cmp::Reverse(asked[*feature]), *feature));
        order
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Leaves of all trees.
    pub fn leaves(&self) -> usize {
        self.trees.iter().flatten().filter(|node| matches!(node, Node::Leaf(_))).count()
    }

    pub(super) fn width(&self) -> usize {
        usize::from(self.features)
    }

    /// The leaf of a row. Ends because children come after their parents.
    fn leaf(&self, tree: &[Node], features: &[f32], asked: &mut dyn FnMut(usize)) -> [u8; CLASSES] {
        let mut at = 0;
        loop {
            match tree.get(at) {
                Some(Node::Split { feature, threshold, low }) => {
                    let feature = usize::from(*feature);
                    asked(feature);
                    let above = features.get(feature).is_some_and(|value| value > threshold);
                    at = *low as usize + usize::from(above);
                }
                Some(Node::Leaf(shares)) => return *shares,
                None => return [0; CLASSES],
            }
        }
    }

    /// Whether every walk ends in a leaf.
    pub(super) fn is_sound(&self) -> bool {
        let sound = |tree: &Vec<Node>| {
            let node = |(at, node): (usize, &Node)| match node {
                Node::Split { feature, threshold, low } => {
                    let low = *low as usize;
                    *feature < self.features && threshold.is_finite() && low > at && low + 1 < tree.len()
                }
                Node::Leaf(_) => true,
            };
            !tree.is_empty() && tree.iter().enumerate().all(node)
        };
        (1..=512).contains(&self.trees.len()) && self.trees.iter().all(sound)
    }
}

struct Open {
    index: usize,
    depth: usize,
    rows: Vec<u32>,
}

fn grow_tree(
    rows: &[Row],
    drawn: Vec<u32>,
    options: &Options,
    dice: &mut Dice,
) -> Result<Vec<Node>, linfa::Error> {
    let mut nodes = vec![leaf(rows, &drawn)];
    let mut open = vec![Open { index: 0, depth: 0, rows: drawn }];
    while let Some(Open { index, depth, rows: here }) = open.pop() {
        if depth >= options.depth_max || here.len() < 2 * options.leaf_min {
            continue;
        }
        let Some((feature, threshold)) = split(rows, &here, options, dice)? else { continue };
        let is_low = |row: &u32| rows[*row as usize].features[feature] <= threshold;
        let (low, high): (Vec<u32>, Vec<u32>) = here.iter().partition(|row| is_low(row));
        if low.len() < options.leaf_min || high.len() < options.leaf_min {
            continue;
        }
        let first = nodes.len();
        nodes[index] = Node::Split { feature: feature as u8, threshold, low: first as u32 };
        for (offset, side) in [low, high].into_iter().enumerate() {
            nodes.push(leaf(rows, &side));
            open.push(Open { index: first + offset, depth: depth + 1, rows: side });
        }
    }
    Ok(nodes)
}

fn counts(rows: &[Row], here: &[u32]) -> [usize; CLASSES] {
    let mut counts = [0; CLASSES];
    for row in here {
        counts[rows[*row as usize].class.min(CLASSES - 1)] += 1;
    }
    counts
}

fn leaf(rows: &[Row], here: &[u32]) -> Node {
    let all = here.len().max(1);
    Node::Leaf(counts(rows, here).map(|count| (count * 255 / all) as u8))
}

/// Tries at a node, each between other sides and over other features.
const TRIES: usize = 3;
/// A split is searched on at most this many rows.
const SEARCH_ROWS_MAX: usize = 4_096;

fn split(
    rows: &[Row],
    here: &[u32],
    options: &Options,
    dice: &mut Dice,
) -> Result<Option<(usize, f32)>, linfa::Error> {
    let counts = counts(rows, here);
    if counts.iter().filter(|count| **count > 0).count() < 2 {
        return Ok(None);
    }
    let width = rows[here[0] as usize].features.len();
    for _ in 0..TRIES {
        let pivot = rows[here[dice.below(here.len())] as usize].class;
        let up_to = dice.below(2) == 0;
        let one = |class: usize| if up_to { class <= pivot } else { class == pivot };
        let positives: usize = (0..CLASSES).filter(|class| one(*class)).map(|class| counts[class]).sum();
        if positives == 0 || positives == here.len() {
            continue;
        }
        let features = draw(width, dice);
        let sample: Vec<u32> = if here.len() > SEARCH_ROWS_MAX {
            (0..SEARCH_ROWS_MAX).map(|_| here[dice.below(here.len())]).collect()
        } else {
            here.to_vec()
        };
        if let Some(found) = best_split(rows, &sample, &features, &one, options)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A third of the features.
fn draw(width: usize, dice: &mut Dice) -> Vec<usize> {
    let mut all: Vec<usize> = (0..width).collect();
    let wanted = (width / 3).max(1);
    for at in 0..wanted {
        let other = at + dice.below(width - at);
        all.swap(at, other);
    }
    all.truncate(wanted);
    all
}

fn best_split(
    rows: &[Row],
    sample: &[u32],
    features: &[usize],
    one: &dyn Fn(usize) -> bool,
    options: &Options,
) -> Result<Option<(usize, f32)>, linfa::Error> {
    let labels: Vec<bool> = sample.iter().map(|row| one(rows[*row as usize].class)).collect();
    let positives = labels.iter().filter(|label| **label).count();
    if positives == 0 || positives == labels.len() {
        return Ok(None);
    }
    let half = sample.len() as f32 / 2.0;
    let weights = [half / (labels.len() - positives) as f32, half / positives as f32];
    let weights: Array1<f32> = labels.iter().map(|label| weights[usize::from(*label)]).collect();
    let records = Array2::from_shape_fn((sample.len(), features.len()), |(row, column)| {
        rows[sample[row] as usize].features[features[column]]
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

/// A sequence of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
