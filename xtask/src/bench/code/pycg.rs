//! PyCG's micro-benchmark. In: its folder. Out: how many of its call graphs come out complete, and sound, and what is
//! wrong with the others. The paper counts 112 cases in 16 groups; those that came later are counted apart.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use weft_models::graph::code::{Certainty, CodeGraph, EdgeKind, NodeKind};
use weft_models::graph::{Bounds, analyse};

/// Groups that are not in the paper.
const LATER_GROUPS: [&str; 2] = ["dynamic", "external"];

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Score {
    pub(super) cases: u64,
    pub(super) complete: u64,
    pub(super) sound: u64,
    pub(super) more_cases: u64,
    pub(super) more_complete: u64,
    pub(super) more_sound: u64,
    pub(super) exact_edges: u64,
    pub(super) inferred_edges: u64,
    /// Each case that is not right, with what is too much and what is missing.
    pub(super) failures: Vec<String>,
}

/// Who calls whom, by PyCG's names.
type Calls = BTreeSet<(String, String)>;

/// Scores all cases below a folder.
///
/// # Errors
/// What cannot be read.
pub(super) fn score(folder: &Path) -> Result<Score> {
    let mut cases = Vec::new();
    find_cases(folder, &mut cases)?;
    cases.sort();
    let mut score = Score::default();
    for case in cases {
        add(&case, &mut score).with_context(|| case.display().to_string())?;
    }
    Ok(score)
}

fn find_cases(folder: &Path, cases: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find_cases(&entry.path(), cases)?;
        } else if entry.file_name() == "callgraph.json" {
            cases.push(folder.to_owned());
        }
    }
    Ok(())
}

fn add(case: &Path, score: &mut Score) -> Result<()> {
    let truth = truth(&fs::read_to_string(case.join("callgraph.json"))?)?;
    let mut files = Vec::new();
    super::speed::read_tree(case, "py", &mut files)?;
    let graph = analyse(&files, &Bounds::default()).graph;
    let found = calls(&graph);
    let (too_much, missing): (Vec<_>, Vec<_>) =
        (found.difference(&truth).collect(), truth.difference(&found).collect());
    let (complete, sound) = (u64::from(too_much.is_empty()), u64::from(missing.is_empty()));
    let group = case.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    if LATER_GROUPS.contains(&group.as_ref()) {
        score.more_cases += 1;
        score.more_complete += complete;
        score.more_sound += sound;
    } else {
        score.cases += 1;
        score.complete += complete;
        score.sound += sound;
    }
    for edge in graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls) {
        match edge.certainty {
            Certainty::Exact => score.exact_edges += 1,
            Certainty::Inferred => score.inferred_edges += 1,
        }
    }
    if complete + sound < 2 {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        let list = |edges: Vec<&(String, String)>| {
            edges.iter().map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join(", ")
        };
        let (too_much, missing) = (list(too_much), list(missing));
        score.failures.push(format!("{group}/{name}: too much [{too_much}], missing [{missing}]"));
    }
    Ok(())
}

/// An adjacency list, as PyCG writes it.
fn truth(text: &str) -> Result<Calls> {
    let value: Value = serde_json::from_str(text)?;
    let lists = value.as_object().context("the call graph is no object")?;
    let mut calls = Calls::new();
    for (from, list) in lists {
        for to in list.as_array().context("the calls are no list")? {
            calls.insert((from.clone(), to.as_str().context("a callee is no text")?.to_owned()));
        }
    }
    Ok(calls)
}

fn calls(graph: &CodeGraph) -> Calls {
    let edges = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls);
    let name = |id| {
        let node = graph.node(id);
        if node.kind == NodeKind::LibraryFunction { pycg_name(&node.name) } else { node.name.clone() }
    };
    edges.map(|edge| (name(edge.from), name(edge.to))).collect()
}

/// PyCG has names of its own for what is built in.
fn pycg_name(path: &str) -> String {
    let types = [
        ("str", "Str"),
        ("dict", "Dict"),
        ("list", "List"),
        ("tuple", "Tuple"),
        ("set", "Set"),
        ("int", "Num"),
    ];
    let Some(inner) = path.strip_prefix("builtins.") else { return path.to_owned() };
    for (ours, theirs) in types {
        if let Some(method) = inner.strip_prefix(ours).and_then(|rest| rest.strip_prefix('.')) {
            return format!("<**Py{theirs}**>.{method}");
        }
    }
    format!("<builtin>.{inner}")
}

#[cfg(test)]
mod tests {
    use weft_models::graph::SourceFile;

    use super::*;

    #[test]
    fn names_of_what_is_built_in_are_those_of_pycg() {
        assert_eq!(pycg_name("builtins.len"), "<builtin>.len");
        assert_eq!(pycg_name("builtins.str.join"), "<**PyStr**>.join");
        assert_eq!(pycg_name("ext.Cls.fun"), "ext.Cls.fun");
    }

    #[test]
    fn a_graph_is_compared_by_its_calls() {
        let truth = truth(r#"{"main": ["main.f", "<builtin>.len"], "main.f": []}"#).unwrap();
        let graph =
            analyse(&[SourceFile::new("main.py", "def f(): pass\nf()\nlen('a')\n")], &Bounds::default())
                .graph;
        assert_eq!(calls(&graph), truth);
    }
}
