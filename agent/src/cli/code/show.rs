//! Code graphs in text. In: a graph. Out: a table with a line per function, or a graph for Graphviz.

use std::collections::BTreeSet;
use std::fmt::Write;

use weft_models::graph::CodeGraph;
use weft_models::graph::code::{Certainty, Edge, EdgeKind, Node, NodeId, NodeKind};

use super::super::table::Table;

/// Names of one line; a function that calls more has the rest counted.
const NAMES_MAX: usize = 6;

/// What a language has of its own is in everybody's calls, and says little.
const LANGUAGES: [&str; 2] = ["builtins", "javascript"];

/// The nodes of what the languages themselves have.
fn of_languages(graph: &CodeGraph) -> BTreeSet<NodeId> {
    let is = |node: &Node| node.kind == NodeKind::Library && LANGUAGES.contains(&node.name.as_str());
    let languages = graph.iter().filter(|(_, node)| is(node)).map(|(id, _)| id);
    let inside = |id| graph.edges_from(id, EdgeKind::Contains).map(|edge| edge.to);
    languages.flat_map(inside).collect()
}

/// Whoever calls or does something, with what, and what was left out.
pub(super) fn table(graph: &CodeGraph) -> String {
    let (recursion, own) = (graph.recursion(), of_languages(graph));
    let mut table = Table::new(&["function", "at", "calls", "does"]);
    for (id, node) in graph.iter() {
        let calls = names(graph, id, EdgeKind::Calls, &own);
        let does = names(graph, id, EdgeKind::Performs, &own);
        let shown =
            matches!(node.kind, NodeKind::Function) || (node.kind == NodeKind::Module && !calls.is_empty());
        if shown {
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
    let is = |node: &&Node| node.kind == NodeKind::Library && !LANGUAGES.contains(&node.name.as_str());
    let libraries: Vec<String> = graph.nodes.iter().filter(is).map(library).collect();
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

pub(super) fn place(graph: &CodeGraph, node: &Node) -> String {
    let file = node.file.and_then(|file| graph.files.get(file as usize));
    file.map(|file| format!("{file}:{}", node.lines.0)).unwrap_or_default()
}

/// Where edges of a kind lead to, each name once, the program's own first; `~` marks what is inferred.
fn names(graph: &CodeGraph, from: NodeId, kind: EdgeKind, but: &BTreeSet<NodeId>) -> Vec<String> {
    let edges = || graph.edges_from(from, kind).filter(|edge| !but.contains(&edge.to));
    let exact = |to: NodeId| edges().any(|edge| edge.to == to && edge.certainty == Certainty::Exact);
    let library = |to: NodeId| graph.node(to).kind == NodeKind::LibraryFunction;
    let found: BTreeSet<(bool, &str, NodeId)> =
        edges().map(|edge| (library(edge.to), graph.node(edge.to).name.as_str(), edge.to)).collect();
    found.into_iter().map(|(_, name, to)| format!("{}{name}", if exact(to) { "" } else { "~" })).collect()
}

fn listed(names: &[String]) -> String {
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
    drawn(graph, &nodes, edges.into_iter())
}

/// Some nodes and edges.
pub(super) fn drawn<'a>(
    graph: &CodeGraph,
    nodes: &BTreeSet<NodeId>,
    edges: impl Iterator<Item = &'a Edge>,
) -> String {
    let mut text = "digraph code {\n  rankdir=LR\n  node [fontname=sans fontsize=10]\n".to_owned();
    for id in nodes {
        let node = graph.node(*id);
        let shape = match node.kind {
            NodeKind::Module => "folder",
            NodeKind::Library | NodeKind::LibraryFunction => "component",
            NodeKind::Effect => "cylinder",
            _ => "box",
        };
        text += &format!("  n{} [label=\"{}\" shape={shape}]\n", id.0, quoted(&node.name));
    }
    let line = |edge: &Edge| {
        let style = if edge.certainty == Certainty::Exact { "solid" } else { "dashed" };
        let label = format!("{:?}", edge.kind).to_lowercase();
        format!("  n{} -> n{} [label={label} style={style}]\n", edge.from.0, edge.to.0)
    };
    let lines: BTreeSet<String> = edges.map(line).collect();
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
        assert_eq!(words, ["shop.fetch", "(recursive)", "shop.py:3", "shop.fetch,", "requests.get", "http"]);
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
