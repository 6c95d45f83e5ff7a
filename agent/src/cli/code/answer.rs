//! Answers to questions about a code graph, in text. In: the nodes of an answer. Out: a line for each, or the part of the
//! graph that they are, for programs and for Graphviz.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::json;
use weft_models::graph::CodeGraph;
use weft_models::graph::code::{Certainty, Edge, NodeId};
use weft_models::graph::query::Found;

use super::super::table::Table;
use super::{GraphOutput, show};

/// Prints an answer.
pub(super) fn answer(graph: &CodeGraph, found: &[Found], output: GraphOutput) -> anyhow::Result<String> {
    Ok(match output {
        GraphOutput::Table => table(graph, found),
        GraphOutput::Json => {
            let all: Vec<_> = found.iter().map(|one| row(graph, one)).collect();
            format!("{}\n", serde_json::to_string_pretty(&all).context("JSON")?)
        }
        GraphOutput::Dot => {
            let nodes: BTreeSet<NodeId> = found.iter().map(|one| one.node).collect();
            let inside = |edge: &&Edge| nodes.contains(&edge.from) && nodes.contains(&edge.to);
            show::drawn(graph, &nodes, graph.edges.iter().filter(inside))
        }
    })
}

fn row(graph: &CodeGraph, one: &Found) -> serde_json::Value {
    let node = graph.node(one.node);
    let file = node.file.and_then(|file| graph.files.get(file as usize));
    json!({
        "name": node.name, "kind": node.kind, "file": file, "line": node.lines.0,
        "distance": one.distance, "certainty": one.certainty, "called_at": one.line,
    })
}

fn table(graph: &CodeGraph, found: &[Found]) -> String {
    if found.is_empty() {
        return "nothing\n".to_owned();
    }
    let mut table = Table::new(&["name", "kind", "at", "steps"]);
    for one in found {
        let node = graph.node(one.node);
        let kind = serde_json::to_value(node.kind).unwrap_or_default();
        let mark = if one.certainty == Certainty::Exact { "" } else { "~" };
        let kind = kind.as_str().unwrap_or_default().replace('_', " ");
        table.row([format!("{mark}{}", node.name), kind, show::place(graph, node), one.distance.to_string()]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use weft_models::graph::query::Question;
    use weft_models::graph::{Bounds, SourceFile, analyse};

    use super::*;

    #[test]
    fn an_answer_is_a_line_for_each_and_a_part_of_the_graph() {
        let text = "def pay():\n    return price()\n\ndef price():\n    return 1\n";
        let graph = analyse(&[SourceFile::new("shop.py", text)], &Bounds::default()).graph;
        let found = graph.ask(Question::Callers, graph.named("price").unwrap());
        let table = answer(&graph, &found, GraphOutput::Table).unwrap();
        let words: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(words, ["shop.pay", "function", "shop.py:1", "1"]);
        let json: serde_json::Value =
            serde_json::from_str(&answer(&graph, &found, GraphOutput::Json).unwrap()).unwrap();
        assert_eq!((&json[0]["called_at"], &json[0]["certainty"]), (&2.into(), &"exact".into()));
        let path = graph.path(graph.named("pay").unwrap(), graph.named("price").unwrap());
        assert!(answer(&graph, &path, GraphOutput::Dot).unwrap().contains("[label=calls style=solid]"));
        assert_eq!(answer(&graph, &[], GraphOutput::Table).unwrap(), "nothing\n");
    }
}
