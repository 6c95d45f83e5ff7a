//! Everything that weft reads out of source before anyone runs it. In: files, and what of them is called first. Out: the
//! code graph, what the code costs and what it will need, as one value to be kept, sent and asked; once it has run, what
//! its runs say it needs. Refuses nothing: what cannot be read is a diagnostic of the graph.

use serde::{Deserialize, Serialize};

use crate::cost::{Complexity, Costs, assess};
use crate::graph::code::{CodeGraph, Node, NodeId, NodeKind};
use crate::graph::{Analysis, Bounds, SourceFile, analyse};
use crate::profile::{CodeFacts, Forecast, MemoryBounds, Run, Sizing, forecast};

/// What was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Who calls whom, and what is done outside.
    pub graph: CodeGraph,
    /// How time and memory grow, and what may be slow.
    pub costs: Costs,
    /// What it will need.
    pub forecast: Forecast,
    /// What that rests on, beside runs.
    #[serde(default)]
    pub facts: CodeFacts,
}

/// What of a program is called first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// The files that it may stand in, from the root of the upload, the likeliest first.
    pub files: Vec<String>,
    /// What the function may be called there, the likeliest first.
    pub functions: Vec<String>,
}

impl Reading {
    /// Reads files as one program. Without a handler, what calls the others stands for the whole.
    pub fn of(files: &[SourceFile], handler: Option<&Handler>, bounds: &Bounds) -> Self {
        let analysis = analyse(files, bounds);
        let entry = handler.and_then(|handler| node_of(&analysis.graph, handler));
        let costs = assess(&analysis, entry);
        let facts = facts(&analysis, &costs);
        let forecast = forecast(&facts, &[], &Sizing::shipped());
        Self { graph: analysis.graph, costs, forecast, facts }
    }

    /// What the code will need, now that it has run: these runs in the order of their ends, of any of its versions.
    pub fn after(&self, runs: &[Run]) -> Forecast {
        forecast(&self.facts, runs, &Sizing::shipped())
    }

    /// How many functions there are.
    pub fn functions(&self) -> usize {
        self.graph.nodes.iter().filter(|node| node.kind == NodeKind::Function).count()
    }
}

/// What the forecast rests on.
fn facts(analysis: &Analysis, costs: &Costs) -> CodeFacts {
    let mib = |bytes: u64| bytes as f32 / 1_048_576.0;
    let growth = Some(costs.entry.time).filter(|time| *time != Complexity::Unknown);
    let memory = MemoryBounds { low_mib: mib(costs.memory.low), high_mib: Some(mib(costs.memory.high)) };
    CodeFacts { growth, memory: Some(memory), ..CodeFacts::of(analysis) }
}

/// The function of a handler, the outermost of its name.
fn node_of(graph: &CodeGraph, handler: &Handler) -> Option<NodeId> {
    let place = |path: &String| graph.files.iter().position(|file| file == path);
    let file = handler.files.iter().find_map(place)? as u32;
    let here = |kind, node: &Node| node.kind == kind && node.file == Some(file);
    handler.functions.iter().find_map(|name| {
        let named = |full: &str| full.rsplit('.').next() == Some(name.as_str());
        let its = graph.iter().filter(|(_, node)| here(NodeKind::Function, node) && named(&node.name));
        its.min_by_key(|(_, node)| node.name.len()).map(|(id, _)| id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handler_is_what_the_cost_is_told_of() {
        let text = "def other(items):\n    for a in items:\n        for b in items:\n            print(a, b)\n\n\
            def handler(event):\n    return 'one'\n";
        let files = [SourceFile::new("app.py", text)];
        let handler = Handler { files: vec!["app.py".into()], functions: vec!["handler".into()] };
        let read = |handler| Reading::of(&files, handler, &Bounds::default());
        let (with, without) = (read(Some(&handler)), read(None));
        assert_eq!(with.functions(), 2);
        let name = |reading: &Reading| reading.costs.entry.node.map(|id| reading.graph.node(id).name.clone());
        assert_eq!(name(&with).as_deref(), Some("app.handler"));
        assert_eq!(name(&without).as_deref(), Some("app.other"));
        assert!(with.costs.entry.time < without.costs.entry.time, "{:?}", with.costs.entry);
    }

    #[test]
    fn once_it_has_run_its_runs_say_what_it_needs() {
        let files = [SourceFile::new("app.py", "def handler(event):\n    return 'one'\n")];
        let reading = Reading::of(&files, None, &Bounds::default());
        let run =
            |mib: u64| Run { cpu_us: 500, wall_us: 1_000, memory_peak_bytes: mib << 20, ..Run::default() };
        let after = reading.after(&[run(200), run(210), run(205)]);
        assert_eq!((reading.forecast.runs, after.runs), (0, 3));
        assert!((210..400).contains(&after.memory_limit_mib()), "{after:?}");
        assert!(reading.forecast.memory_limit_mib() < 210, "{:?}", reading.forecast);
        assert_eq!(reading.after(&[]), reading.forecast);
    }
}
