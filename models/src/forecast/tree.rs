//! One decision tree as a flat list of nodes. In comes a row of features, out goes the leaf it falls into.
//! Refused: a list in which a walk could leave the list, turn in a circle or meet a number that is none.

use serde::{Deserialize, Serialize};

use crate::features::N;

/// Longest path of any tree.
pub(crate) const DEPTH_MAX: usize = 6;
/// Leaves of a tree as deep as that.
const LEAVES: usize = 1 << DEPTH_MAX;
/// Nodes of it.
const NODES_MAX: usize = 2 * LEAVES;
/// Rows that walk side by side: enough that none waits for memory, few enough to stay in registers.
const ABREAST: usize = 3;
/// Length of a row while it walks: a power of two, so that no look needs a check.
const ROW_CELLS: usize = 64;
const _: () = assert!(N <= ROW_CELLS);
/// The bits of a number that give way to the feature's index.
const FEATURE_BITS: i32 = ROW_CELLS as i32 - 1;

/// Numbers in the order of the values that they stand for: whole numbers are compared faster.
fn key(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

/// The least threshold from this one on whose last bits are free for the index of a feature. It is never nought, of which
/// there are two.
pub(crate) fn settled(threshold: f32) -> f32 {
    let key = key(threshold) | FEATURE_BITS;
    let settled = f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32);
    if settled == 0.0 { f32::from_bits(FEATURE_BITS as u32) } else { settled }
}

/// Where a node sends a row: at most the threshold to `low`, above it to the node after that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Split {
    pub(crate) feature: u16,
    pub(crate) threshold: f32,
    pub(crate) low: u32,
}

/// One node: a leaf if it has no split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) split: Option<Split>,
    pub(crate) rows: u32,
    pub(crate) positives: u32,
    /// What a row that ends here adds to the log odds.
    pub(crate) push: f32,
}

/// The nodes, root first, children after their parents and side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

impl Tree {
    /// The nodes that `features` passes, root first. Ends because children come after their parents.
    pub(crate) fn path<'a, 'f>(
        &'a self,
        features: &'f [f32; N],
    ) -> impl Iterator<Item = &'a Node> + use<'a, 'f> {
        let child = move |node: &&'a Node| {
            let split = node.split?;
            let above = features[usize::from(split.feature)] > split.threshold;
            self.nodes.get(split.low as usize + usize::from(above))
        };
        std::iter::successors(self.nodes.first(), child)
    }

    /// The leaf that `features` falls into.
    pub(crate) fn leaf<'a>(&'a self, features: &[f32; N]) -> &'a Node {
        self.path(features).last().expect("a tree is only made or read with a root")
    }

    pub(crate) fn leaves(&self) -> usize {
        self.nodes.iter().filter(|node| node.split.is_none()).count()
    }

    /// Splits on the longest path.
    pub(crate) fn depth(&self) -> usize {
        let mut depths = vec![0_usize; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for child in node.split.iter().flat_map(|split| [split.low, split.low + 1]) {
                depths[child as usize] = depths[index] + 1;
            }
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// Whether every walk ends, soon enough, in a leaf with a finite push.
    pub(crate) fn is_sound(&self) -> bool {
        let forward = |parent: usize, child: u32| {
            child as usize > parent && (child as usize).saturating_add(1) < self.nodes.len()
        };
        let sound = |(index, node): (usize, &Node)| {
            let split_sound = node.split.is_none_or(|split| {
                let threshold = split.threshold;
                let exact = threshold.is_finite() && settled(threshold).to_bits() == threshold.to_bits();
                usize::from(split.feature) < N && exact && forward(index, split.low)
            });
            split_sound && node.positives <= node.rows && node.push.is_finite()
        };
        (1..NODES_MAX).contains(&self.nodes.len())
            && self.nodes.iter().enumerate().all(sound)
            && self.depth() <= DEPTH_MAX
    }
}

/// A tree as the walk wants it: node `n` leads to `2n` and `2n + 1`, and every path is as long as the longest. A walk asks for
/// no child's place and never whether it has arrived.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    depth: usize,
    /// The key of the threshold, with the feature's index in its last bits; from 1 on.
    turns: [i32; LEAVES],
    /// What the leaves add.
    pushes: [f32; LEAVES],
}

impl Table {
    fn of(tree: &Tree) -> Self {
        let depth = tree.depth();
        let leaves = 1 << depth;
        let mut table = Self { depth, turns: [i32::MAX; LEAVES], pushes: [0.0; LEAVES] };
        // Where in the tree each place of the table is; below a leaf all are that leaf.
        let mut stands = [0_usize; NODES_MAX];
        for place in 1..leaves {
            let stand = stands[place];
            let children = match tree.nodes[stand].split {
                Some(split) => {
                    table.turns[place] =
                        (key(split.threshold) & !FEATURE_BITS) | i32::from(split.feature as i16);
                    [split.low as usize, split.low as usize + 1]
                }
                None => [stand, stand],
            };
            stands[2 * place..2 * place + 2].copy_from_slice(&children);
        }
        for (push, stand) in table.pushes.iter_mut().zip(&stands[leaves..2 * leaves]) {
            *push = tree.nodes[*stand].push;
        }
        table
    }
}

/// A row of features as the walk wants it: keys, whose last bits are as free as those of thresholds.
type Cells = [i32; ROW_CELLS];

/// The trees of a model, laid out for walking.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grove {
    tables: Vec<Table>,
}

impl Grove {
    /// Of sound trees.
    pub(crate) fn of(trees: &[Tree]) -> Self {
        Self { tables: trees.iter().map(Table::of).collect() }
    }

    /// What all trees together add to the log odds of each row.
    pub(crate) fn add_pushes<'a>(&self, row: impl Fn(usize) -> &'a [f32; N], sums: &mut [f32]) {
        let mut first = 0;
        for sums in sums.chunks_mut(ABREAST) {
            let mut cells: [Cells; ABREAST] = [[0; ROW_CELLS]; ABREAST];
            for (nth, cells) in cells.iter_mut().enumerate().take(sums.len()) {
                cells
                    .iter_mut()
                    .zip(row(first + nth))
                    .for_each(|(cell, value)| *cell = key(*value) & !FEATURE_BITS);
            }
            first += sums.len();
            let mut totals = [0.0_f32; ABREAST];
            for table in &self.tables {
                walk(table, &cells, &mut totals);
            }
            sums.iter_mut().zip(totals).for_each(|(sum, total)| *sum += total);
        }
    }
}

fn walk(table: &Table, cells: &[Cells; ABREAST], totals: &mut [f32; ABREAST]) {
    let mut at = [1_usize; ABREAST];
    for _ in 0..table.depth {
        for (at, cells) in at.iter_mut().zip(cells) {
            let turn = table.turns[*at % LEAVES];
            *at = 2 * *at + usize::from(cells[turn as usize % ROW_CELLS] > turn);
        }
    }
    // The last step's bit above all others tells how deep the tree is.
    let leaf = |at: usize| at ^ (1 << table.depth);
    totals.iter_mut().zip(at).for_each(|(total, at)| *total += table.pushes[leaf(at) % LEAVES]);
}
