//! One decision tree as a flat list of nodes. In comes a row of features, out goes the leaf it falls into.
//! Refused: a list in which a walk could leave the list, turn in a circle or meet a number that is none.

use serde::{Deserialize, Serialize};

use crate::features::N;

/// Longest path of any tree.
pub(crate) const DEPTH_MAX: usize = 12;
/// Nodes of a tree as deep as that.
const NODES_MAX: usize = 2 << DEPTH_MAX;
/// Rows that walk side by side: enough that none waits for memory, few enough to stay in registers.
const ABREAST: usize = 6;
/// Length of a row while it walks: a power of two, so that no look needs a check.
const ROW_CELLS: usize = 64;
const _: () = assert!(N <= ROW_CELLS);

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
                usize::from(split.feature) < N && split.threshold.is_finite() && forward(index, split.low)
            });
            split_sound && node.positives <= node.rows && node.push.is_finite()
        };
        (1..NODES_MAX).contains(&self.nodes.len())
            && self.nodes.iter().enumerate().all(sound)
            && self.depth() <= DEPTH_MAX
    }
}

/// A node as the walk wants it: a leaf leads to itself.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    threshold: f32,
    feature: u16,
    low: u16,
}

/// All trees of a model, laid out for walking: every walk takes as many turns as the deepest tree has, so that none
/// depends on what the one before it met.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grove {
    trees: Vec<(u32, u32)>,
    turns: Vec<Turn>,
    pushes: Vec<f32>,
}

impl Grove {
    pub(crate) fn of(trees: &[Tree]) -> Self {
        let mut grove = Self::default();
        for tree in trees {
            grove.trees.push((grove.turns.len() as u32, tree.depth() as u32));
            for (index, node) in tree.nodes.iter().enumerate() {
                let leaf = Turn { threshold: f32::INFINITY, feature: 0, low: index as u16 };
                let split = |s: Split| Turn { threshold: s.threshold, feature: s.feature, low: s.low as u16 };
                grove.turns.push(node.split.map_or(leaf, split));
                grove.pushes.push(node.push);
            }
        }
        grove
    }

    /// What all trees together add to the log odds of each row.
    pub(crate) fn add_pushes(&self, rows: &[&[f32; N]], sums: &mut [f32]) {
        for (rows, sums) in rows.chunks(ABREAST).zip(sums.chunks_mut(ABREAST)) {
            let mut cells = [[0.0_f32; ROW_CELLS]; ABREAST];
            for (cells, row) in cells.iter_mut().zip(rows) {
                cells[..N].copy_from_slice(*row);
            }
            let mut totals = [0.0_f32; ABREAST];
            for (first, depth) in &self.trees {
                let turns = &self.turns[*first as usize..];
                let mut at = [0_usize; ABREAST];
                for _ in 0..*depth {
                    for walker in 0..ABREAST {
                        let turn = turns[at[walker]];
                        let value = cells[walker][usize::from(turn.feature) % ROW_CELLS];
                        at[walker] = usize::from(turn.low) + usize::from(value > turn.threshold);
                    }
                }
                let pushes = &self.pushes[*first as usize..];
                for walker in 0..ABREAST {
                    totals[walker] += pushes[at[walker]];
                }
            }
            sums.iter_mut().zip(totals).for_each(|(sum, total)| *sum += total);
        }
    }
}
