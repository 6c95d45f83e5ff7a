//! Graphs of small programs, as lines of text that a test can hold against what it expects.
use weft_models::graph::code::{Certainty, CodeGraph, Edge, EdgeKind, NodeKind};
use weft_models::graph::{Bounds, SourceFile, analyse};

/// The graph of these paths and texts.
pub(crate) fn graph(files: &[(&str, &str)]) -> CodeGraph {
    let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
    analyse(&files, &Bounds::default()).graph
}

/// All edges of a kind, sorted.
pub(crate) fn edges(graph: &CodeGraph, kind: EdgeKind) -> Vec<String> {
    let name = |edge: &Edge| format!("{} -> {}", graph.node(edge.from).name, graph.node(edge.to).name);
    let mut edges: Vec<_> = graph.edges.iter().filter(|edge| edge.kind == kind).map(name).collect();
    edges.sort();
    edges
}

/// All calls, sorted.
pub(crate) fn calls(graph: &CodeGraph) -> Vec<String> {
    edges(graph, EdgeKind::Calls)
}

/// Calls between the program's own functions, each once.
#[allow(dead_code, reason = "not every test needs it")]
pub(crate) fn own(graph: &CodeGraph) -> Vec<String> {
    let library = |name: &str| graph.find(NodeKind::LibraryFunction, name).is_some();
    let mut calls = calls(graph);
    calls.retain(|call| call.split(" -> ").all(|name| !library(name)));
    calls.dedup();
    calls
}

/// Whether a call is exact.
pub(crate) fn certain(graph: &CodeGraph, from: &str, to: &str) -> bool {
    let is = |edge: &&Edge| graph.node(edge.from).name == from && graph.node(edge.to).name == to;
    let call = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls).find(is);
    call.unwrap_or_else(|| panic!("no call {from} -> {to}")).certainty == Certainty::Exact
}
