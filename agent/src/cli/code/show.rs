//! Code graphs in text. In: a graph. Out: a table with a line per function, or a graph for Graphviz.

use std::collections::BTreeSet;
use std::fmt::Write;

use weft_models::graph::CodeGraph;
use weft_models::graph::code::{Certainty, Edge, EdgeKind, Node, NodeId, NodeKind};

use super::super::table::Table;

/// Names of one line; a function that calls more has the rest counted.
const NAMES_MAX: usize = 8;

/// Whoever calls or does something, with what, and what was left out.
pub(super) fn table(graph: &CodeGraph) -> String {
    let recursion = graph.recursion();
    let mut table = Table::new(&["function", "at", "calls", "does"]);
    for (id, node) in graph.iter() {
        let calls = names(graph, id, EdgeKind::Calls);
        let does = names(graph, id, EdgeKind::Performs);
        let own =
            matches!(node.kind, NodeKind::Function) || (node.kind == NodeKind::Module && !calls.is_empty());
        if own {
            let mark = if recursion.contains_key(&id) { " (recursive)" } else { "" };
            table.row([format!("{}{mark}", node.name), place(graph, node), listed(&calls), listed(&does)]);
        }
    }
    let mut text = summary(graph);
    if !graph.edges.is_empty() {
        text += &format!("\n{}", table.text());
    }
    for one in &graph.diagnostics {
        let path = if one.path.is_empty() { "all" } else { &one.path };
        let trouble = format!("{:?}", one.trouble);
        text += &format!("\nleft out: {path}:{}: {trouble}: {}", one.line, one.detail);
    }
    if !graph.diagnostics.is_empty() {
        text.push('\n');
    }
    text
}

fn summary(graph: &CodeGraph) -> String {
    let nodes = |kind| graph.nodes.iter().filter(|node| node.kind == kind).count();
    let calls: Vec<&Edge> = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls).collect();
    let exact = calls.iter().filter(|edge| edge.certainty == Certainty::Exact).count();
    let libraries = graph.nodes.iter().filter(|node| node.kind == NodeKind::Library);
    let libraries: Vec<String> = libraries.map(library).collect();
    format!(
        "{} files, {} functions, {} classes, {} calls ({exact} exact)\nlibraries: {}\n",
        graph.files.len(),
        nodes(NodeKind::Function),
        nodes(NodeKind::Class),
        calls.len(),
        if libraries.is_empty() { "none".to_owned() } else { libraries.join(", ") },
    )
}

fn library(node: &Node) -> String {
    let version = node.version.as_ref().map(|version| format!(" {version}"));
    format!("{}{}", node.name, version.unwrap_or_default())
}

fn place(graph: &CodeGraph, node: &Node) -> String {
    let file = node.file.and_then(|file| graph.files.get(file as usize));
    file.map(|file| format!("{file}:{}", node.lines.0)).unwrap_or_default()
}

/// Where edges of a kind lead to, each name once; `~` marks what is inferred.
fn names(graph: &CodeGraph, from: NodeId, kind: EdgeKind) -> BTreeSet<String> {
    let exact = |to: NodeId| {
        graph.edges_from(from, kind).any(|edge| edge.to == to && edge.certainty == Certainty::Exact)
    };
    let name = |edge: &Edge| {
        let mark = if exact(edge.to) { "" } else { "~" };
        format!("{mark}{}", graph.node(edge.to).name)
    };
    graph.edges_from(from, kind).map(name).collect()
}

fn listed(names: &BTreeSet<String>) -> String {
    let mut text = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_MAX {
        // Writing to a string does not fail.
        let _ = write!(text, ", {} more", names.len() - NAMES_MAX);
    }
    text
}

/// Calls, imports and effects; what is inferred is dashed.
pub(super) fn dot(graph: &CodeGraph) -> String {
    let shown = |kind| matches!(kind, EdgeKind::Calls | EdgeKind::Imports | EdgeKind::Performs);
    let edges: Vec<&Edge> = graph.edges.iter().filter(|edge| shown(edge.kind)).collect();
    let nodes: BTreeSet<NodeId> = edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
    let mut text = "digraph code {\n  rankdir=LR\n  node [fontname=sans fontsize=10]\n".to_owned();
    for id in nodes {
        let node = graph.node(id);
        let shape = match node.kind {
            NodeKind::Module => "folder",
            NodeKind::Library | NodeKind::LibraryFunction => "component",
            NodeKind::Effect => "cylinder",
            _ => "box",
        };
        text += &format!("  n{} [label=\"{}\" shape={shape}]\n", id.0, quoted(&node.name));
    }
    let drawn = |edge: &Edge| {
        let style = if edge.certainty == Certainty::Exact { "solid" } else { "dashed" };
        let label = format!("{:?}", edge.kind).to_lowercase();
        format!("  n{} -> n{} [label={label} style={style}]\n", edge.from.0, edge.to.0)
    };
    let lines: BTreeSet<String> = edges.into_iter().map(drawn).collect();
    text.extend(lines);
    text + "}\n"
}

/// Names come from hostile source.
fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use weft_models::graph::{Bounds, SourceFile, analyse};

    use super::*;

    fn graph(text: &str) -> CodeGraph {
        analyse(&[SourceFile::new("shop.py", text)], &Bounds::default()).graph
    }

    const SHOP: &str =
        "import requests\n\ndef fetch(n):\n    requests.get('/')\n    return fetch(n - 1)\n\nfetch(3)\n";

    #[test]
    fn a_table_has_a_line_per_function_with_what_it_calls_and_does() {
        let text = table(&graph(SHOP));
        assert!(
            text.starts_with("1 files, 1 functions, 0 classes, 3 calls (3 exact)\nlibraries: requests\n"),
            "{text}"
        );
        let row = text.lines().find(|line| line.starts_with("shop.fetch")).unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words, ["shop.fetch", "(recursive)", "shop.py:3", "requests.get,", "shop.fetch", "http"]);
    }

    #[test]
    fn a_table_tells_what_was_left_out() {
        let text = table(&graph("def f(:\n"));
        assert!(text.lines().last().unwrap().starts_with("left out: shop.py:1: SyntaxError: "), "{text}");
    }

    #[test]
    fn names_from_the_source_cannot_leave_their_quotes() {
        let hostile = CodeGraph {
            nodes: vec![Node {
                kind: NodeKind::Module,
                name: "a\"]\n\\".into(),
                file: None,
                lines: (0, 0),
                version: None,
            }],
            edges: vec![Edge {
                from: NodeId(0),
                to: NodeId(0),
                kind: EdgeKind::Calls,
                certainty: Certainty::Inferred,
                line: 1,
            }],
            ..CodeGraph::default()
        };
        let text = dot(&hostile);
        assert!(text.contains("label=\"a\\\"] \\\\\"") && text.contains("style=dashed"), "{text}");
    }
}
