//! What the source says. In: the analysis of an upload. Out: [`CodeFacts`], the numbers a forecast is made from, and the
//! words in which its reason is told. Source that cannot be read gives facts that say so; nothing is refused.

use serde::{Deserialize, Serialize};

use super::libraries::{self, Kind, Runtime, Weight};
use super::walk::{Met, walk};
use crate::cost::Complexity;
use crate::graph::Analysis;
use crate::graph::code::{EdgeKind, NodeId, NodeKind};
use crate::graph::ir::{FunctionId, UnitId};

/// Loops are told apart up to this depth.
pub const DEPTH_MAX: usize = 4;

/// Things done outside the program, by the place in the code: how often they stand there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    /// Databases, caches, object stores.
    pub database: u32,
    /// Other services over HTTP.
    pub http: u32,
    /// Networks in another way.
    pub network: u32,
    /// Files.
    pub file: u32,
    /// Other processes.
    pub process: u32,
}

impl Effects {
    fn count(&mut self, name: &str) {
        let place = match name {
            "database" => &mut self.database,
            "http" => &mut self.http,
            "network" => &mut self.network,
            "file" => &mut self.file,
            "process" => &mut self.process,
            _ => return,
        };
        *place += 1;
    }

    /// All of them.
    pub fn sum(&self) -> u32 {
        self.over_network() + self.file + self.process
    }

    /// What leaves the machine.
    pub fn over_network(&self) -> u32 {
        self.database + self.http + self.network
    }
}

/// What another analysis found the program to hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryBounds {
    /// At least, in MiB.
    pub low_mib: f32,
    /// At most, in MiB, where there is a bound.
    pub high_mib: Option<f32>,
}

/// What the source says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeFacts {
    /// What runs most of it; none where no source is known.
    pub runtime: Option<Runtime>,
    /// Lines of code.
    pub lines: u32,
    /// Functions, methods and lambdas.
    pub functions: u32,
    /// Loops by depth: in no other, in one, ...; the last counts all that are deeper.
    pub loops: [u32; DEPTH_MAX],
    /// Calls that were resolved.
    pub calls: u32,
    /// Outside effects.
    pub effects: Effects,
    /// Those that stand in a loop, or in a function that is called in one.
    pub effects_in_loops: Effects,
    /// Places at which a whole file or answer is taken into memory.
    pub whole_reads: u32,
    /// Places at which threads are started.
    pub threads: u32,
    /// Functions that call themselves, by whatever way.
    pub recursive: u32,
    /// Known libraries, the heaviest first.
    pub libraries: Vec<Weight>,
    /// Libraries of others of which nothing is known.
    pub unknown_libraries: u32,
    /// How work grows with the input, once told.
    pub growth: Option<Complexity>,
    /// What is held at once, once told.
    pub memory: Option<MemoryBounds>,
}

impl CodeFacts {
    /// What an analysed upload says. Growth and memory come from the analysis of cost, and are left open.
    pub fn of(analysis: &Analysis) -> Self {
        let mut facts = Self::default();
        let graph = &analysis.graph;
        let of = |runtime: Runtime| {
            let is = |language: &&crate::graph::LanguageId| Runtime::of(**language) == Some(runtime);
            graph.languages.iter().filter(is).count()
        };
        let (python, node) = (of(Runtime::Python), of(Runtime::Node));
        if python + node > 0 {
            facts.runtime = Some(if python >= node { Runtime::Python } else { Runtime::Node });
        }
        for node in &graph.nodes {
            match node.kind {
                NodeKind::Module => facts.lines += node.lines.1,
                NodeKind::Function => facts.functions += 1,
                _ => {}
            }
        }
        facts.recursive = graph.recursion().len() as u32;
        facts.calls = graph.edges.iter().filter(|edge| edge.kind == EdgeKind::Calls).count() as u32;
        facts.take_libraries(analysis);
        facts.take_bodies(analysis);
        facts
    }

    /// MiB that the runtime and its libraries take before anything is done.
    pub fn base_mib(&self) -> f32 {
        let runtime = self.runtime.map_or(libraries::UNKNOWN_MIB, Runtime::mib);
        // What two heavy libraries have in common is loaded once.
        let parts = |weight: &Weight| !self.libraries.iter().any(|other| other.brings(weight));
        let heavy: f32 = self.libraries.iter().filter(|one| parts(one)).map(|one| one.mib).sum();
        runtime + heavy
    }

    /// How many known libraries are of a kind.
    pub fn of_kind(&self, kind: Kind) -> u32 {
        self.libraries.iter().filter(|weight| weight.kind == kind).count() as u32
    }

    fn take_libraries(&mut self, analysis: &Analysis) {
        let mut unknown = 0;
        let names = &analysis.program.names;
        let mut own = rustc_hash::FxHashSet::default();
        for unit in &analysis.program.units {
            // A module is imported by its whole name, or by its end from a folder above.
            let module = names.text(unit.module);
            own.insert(module);
            own.extend(module.match_indices('.').map(|(at, _)| &module[at + 1..]));
        }
        for unit in &analysis.program.units {
            let Some(runtime) = Runtime::of(unit.language) else { continue };
            for (spec, _) in &unit.imports {
                let path = names.text(*spec);
                match libraries::weigh(runtime, path) {
                    Some(weight) => self.libraries.push(weight),
                    None if own.contains(path) || path.starts_with('.') => {}
                    None => unknown += 1,
                }
            }
        }
        self.libraries.sort_by(|a, b| b.mib.total_cmp(&a.mib).then_with(|| a.name.cmp(&b.name)));
        self.libraries.dedup_by(|a, b| a.name == b.name);
        self.unknown_libraries = unknown;
    }

    fn take_bodies(&mut self, analysis: &Analysis) {
        let repeated = repeated(analysis);
        for (at, unit) in analysis.program.units.iter().enumerate() {
            let id = UnitId::of(at);
            for (number, function) in unit.functions.iter().enumerate() {
                let node = analysis.node_of(id, FunctionId::of(number));
                let again = repeated.contains(&node);
                walk(unit, function.body, &mut |met| match met {
                    Met::Loop(depth) => self.loops[depth.min(DEPTH_MAX - 1)] += 1,
                    Met::Call(expr, depth) => {
                        for reached in analysis.reached(id, expr) {
                            self.take_call(analysis, reached.node, again || depth > 0);
                        }
                    }
                });
            }
        }
    }

    fn take_call(&mut self, analysis: &Analysis, to: NodeId, in_loop: bool) {
        let graph = &analysis.graph;
        let node = graph.node(to);
        if node.kind != NodeKind::LibraryFunction {
            return;
        }
        for edge in graph.edges_from(to, EdgeKind::Performs) {
            let name = &graph.node(edge.to).name;
            self.effects.count(name);
            if in_loop {
                self.effects_in_loops.count(name);
            }
        }
        self.whole_reads += u32::from(libraries::reads_whole(&node.name));
        self.threads += u32::from(libraries::starts_threads(&node.name));
    }
}

/// Functions that a loop calls, with all that they call.
fn repeated(analysis: &Analysis) -> rustc_hash::FxHashSet<NodeId> {
    let mut open = Vec::new();
    for (at, unit) in analysis.program.units.iter().enumerate() {
        for function in &unit.functions {
            walk(unit, function.body, &mut |met| {
                if let Met::Call(expr, 1..) = met {
                    open.extend(analysis.reached(UnitId::of(at), expr).map(|reached| reached.node));
                }
            });
        }
    }
    let mut seen = rustc_hash::FxHashSet::default();
    while let Some(node) = open.pop() {
        // What a library calls back is called by the library, as often as it likes.
        if seen.insert(node) && analysis.graph.node(node).kind != NodeKind::LibraryFunction {
            open.extend(analysis.graph.edges_from(node, EdgeKind::Calls).map(|edge| edge.to));
        }
    }
    seen
}
