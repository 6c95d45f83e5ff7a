//! One decision tree as a flat list of nodes. In comes a row of features, out goes the leaf it falls into.
//! Refused: a list in which a walk could leave the list, turn in a circle or meet a number that is none.

use serde::{Deserialize, Serialize};

use crate::features::N;

/// Where a node sends a row: at most the threshold to `low`, above it to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Split {
    pub(crate) feature: u16,
    pub(crate) threshold: f32,
    pub(crate) low: u32,
    pub(crate) high: u32,
}

/// One node: a leaf if it has no split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) split: Option<Split>,
    pub(crate) rows: u32,
    pub(crate) positives: u32,
    pub(crate) confidence: f32,
}

/// The nodes, root first, children after their parents.
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
            let next =
                if features[usize::from(split.feature)] <= split.threshold { split.low } else { split.high };
            self.nodes.get(next as usize)
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
            for child in node.split.iter().flat_map(|split| [split.low, split.high]) {
                depths[child as usize] = depths[index] + 1;
            }
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// Whether every walk ends in a leaf with a confidence in `[0, 1]`.
    pub(crate) fn is_sound(&self) -> bool {
        let forward =
            |parent: usize, child: u32| child as usize > parent && (child as usize) < self.nodes.len();
        let sound = |(index, node): (usize, &Node)| {
            let split_sound = node.split.is_none_or(|split| {
                usize::from(split.feature) < N
                    && split.threshold.is_finite()
                    && forward(index, split.low)
                    && forward(index, split.high)
            });
            split_sound && node.positives <= node.rows && (0.0..=1.0).contains(&node.confidence)
        };
        !self.nodes.is_empty() && self.nodes.iter().enumerate().all(sound)
    }
}
