//! The code graph, in the terms of code property graphs. In: nodes and edges, as `emit` finds them. Out: the graph, to be
//! kept, sent, and asked for neighbours, for what is reachable and for recursion. Every edge says whether it is certain.

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::Bfs;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::diagnostic::Diagnostic;
use super::manifest::Library;
use super::source::LanguageId;

pub use super::language::EffectKind;

/// A node of a [`CodeGraph`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A file. As a caller it is the code that runs when the module is loaded.
    Module,
    /// A class.
    Class,
    /// A function, method or lambda.
    Function,
    /// A parameter of a function, where values are followed through it.
    Parameter,
    /// What a function returns, where values are followed through it.
    Return,
    /// A library.
    Library,
    /// A function of a library.
    LibraryFunction,
    /// Something outside the program; its name is that of an [`EffectKind`].
    Effect,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its name with all that it stands in, with dots.
    pub name: String,
    /// The file that it stands in, by its place in [`CodeGraph::files`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// First and last line, from 1; zeros where it stands in no file.
    #[serde(default)]
    pub lines: (u32, u32),
    /// Of a library that a manifest asks for: the version that is settled, or those that would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What an edge says of the node that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// It stands in the first.
    Contains,
    /// The first, a function, a module or a library function, calls it.
    Calls,
    /// The first, a module, imports it.
    Imports,
    /// The first, a class, inherits from it.
    Inherits,
    /// A value of the first comes to be one of it: from parameters and returns to arguments and returns.
    Reaches,
    /// The first, a function, a module or a library function, does it.
    Performs,
}

/// Whether an edge is known or guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Nothing else is possible there, and nothing was guessed.
    Exact,
    /// One of several, or by a type, or by what a library is likely to do.
    Inferred,
}

/// An edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// Where it begins.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// What it says.
    pub kind: EdgeKind,
    /// Whether it is known.
    pub certainty: Certainty,
    /// The line, in the file of the first, that makes it so; 0 for none.
    pub line: u32,
}

/// A program as a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGraph {
    /// The paths of the files that were read.
    pub files: Vec<String>,
    /// The language of each file.
    pub languages: Vec<LanguageId>,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All edges, in order, none twice.
    pub edges: Vec<Edge>,
    /// The libraries that manifests ask for.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// What was left out, and why.
    pub diagnostics: Vec<Diagnostic>,
}

impl CodeGraph {
    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// All nodes with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(at, node)| (NodeId(at as u32), node))
    }

    /// The first node of a kind and name.
    pub fn find(&self, kind: NodeKind, name: &str) -> Option<NodeId> {
        self.iter().find(|(_, node)| node.kind == kind && node.name == name).map(|(id, _)| id)
    }

    /// The edges of a kind that begin at a node.
    pub fn edges_from(&self, from: NodeId, kind: EdgeKind) -> impl Iterator<Item = &Edge> {
        let start = self.edges.partition_point(|edge| edge.from < from);
        let edges = self.edges[start..].iter().take_while(move |edge| edge.from == from);
        edges.filter(move |edge| edge.kind == kind)
    }

    /// The edges of some kinds, for graph algorithms.
    pub fn view(&self, kinds: &[EdgeKind]) -> DiGraph<NodeId, ()> {
        let mut view = DiGraph::with_capacity(self.nodes.len(), 0);
        for at in 0..self.nodes.len() {
            view.add_node(NodeId(at as u32));
        }
        let wanted = self.edges.iter().filter(|edge| kinds.contains(&edge.kind));
        view.extend_with_edges(wanted.map(|edge| (edge.from.0, edge.to.0)));
        view
    }

    /// All nodes that calls lead to from a node, itself among them, the nearest first.
    pub fn called_from(&self, from: NodeId) -> Vec<NodeId> {
        let view = self.view(&[EdgeKind::Calls]);
        let mut walk = Bfs::new(&view, NodeIndex::new(from.0 as usize));
        let mut nodes = Vec::new();
        while let Some(next) = walk.next(&view) {
            nodes.push(NodeId(next.index() as u32));
        }
        nodes
    }

    /// Functions that call each other or themselves: for each such node the number of its group.
    pub fn recursion(&self) -> FxHashMap<NodeId, u32> {
        let view = self.view(&[EdgeKind::Calls]);
        let mut groups = FxHashMap::default();
        for (number, group) in petgraph::algo::tarjan_scc(&view).into_iter().enumerate() {
            let itself = |node: &NodeIndex| view.contains_edge(*node, *node);
            if group.len() > 1 || group.first().is_some_and(itself) {
                groups.extend(group.iter().map(|node| (NodeId(node.index() as u32), number as u32)));
            }
        }
        groups
    }
}
