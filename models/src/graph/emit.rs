//! From a resolved program to its graph. In: units, and what their calls reach. Out: nodes for what stands in the source
//! and for the libraries it uses, and the edges between them, sorted.

use rustc_hash::FxHashMap;

use super::bounds::Bounds;
use super::code::{Certainty, CodeGraph, Edge, EdgeKind, Node, NodeId, NodeKind};
use super::diagnostic::{Diagnostics, Trouble};
use super::ir::{ClassId, Function, FunctionId, Program, ScopeId, ScopeKind, Unit, UnitId};
use super::language::{self, EffectKind};
use super::manifest::{Declared, Library};
use super::names::Symbol;
use super::resolve::{Callback, Imported, Inherits, Resolution, Target};

/// The graph under construction.
pub(super) struct Emit<'p> {
    pub(super) program: &'p Program,
    pub(super) resolution: &'p Resolution,
    pub(super) graph: CodeGraph,
    bounds: &'p Bounds,
    dropped: usize,
    /// The node of each function of the program; that of a module's body is the module.
    functions: Vec<NodeId>,
    classes: Vec<NodeId>,
    library_functions: FxHashMap<Symbol, NodeId>,
    libraries: FxHashMap<String, NodeId>,
    /// What manifests say of them.
    declared: Declared<'p>,
    effects: FxHashMap<EffectKind, NodeId>,
    /// The effect of each library function that has one.
    performing: FxHashMap<Symbol, NodeId>,
}

/// Where the parts of a program are in its graph.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) functions: Vec<NodeId>,
    pub(super) library_functions: FxHashMap<Symbol, NodeId>,
}

/// Makes the graph, without diagnostics yet.
pub(super) fn emit(
    program: &Program,
    resolution: &Resolution,
    libraries: &[Library],
    bounds: &Bounds,
    trouble: &mut Diagnostics,
) -> (CodeGraph, Placed) {
    let mut emit = Emit {
        program,
        resolution,
        graph: CodeGraph::default(),
        bounds,
        dropped: 0,
        functions: Vec::new(),
        classes: Vec::new(),
        library_functions: FxHashMap::default(),
        libraries: FxHashMap::default(),
        declared: Declared::of(libraries),
        effects: FxHashMap::default(),
        performing: FxHashMap::default(),
    };
    for (at, unit) in program.units.iter().enumerate() {
        emit.unit(UnitId::of(at), unit);
    }
    for (function, class) in &resolution.owners {
        let (node, class) = (emit.function_node(*function), emit.classes[class.index()]);
        let line = emit.graph.nodes[node.0 as usize].lines.0;
        emit.edge(class, node, EdgeKind::Contains, true, line);
    }
    for at in 0..program.units.len() {
        emit.imports(UnitId::of(at));
    }
    emit.calls();
    super::reach::reach(&mut emit);
    emit.finish(trouble)
}

impl<'p> Emit<'p> {
    fn node(&mut self, kind: NodeKind, name: &str, file: Option<u32>, lines: (u32, u32)) -> NodeId {
        let id = NodeId(self.graph.nodes.len() as u32);
        self.graph.nodes.push(Node { kind, name: name.to_owned(), file, lines, version: None });
        id
    }

    /// A node within a function.
    pub(super) fn node_in(&mut self, function: NodeId, kind: NodeKind, name: &str) -> NodeId {
        let Node { file, lines, .. } = self.graph.nodes[function.0 as usize];
        let name = format!("{}.{name}", self.graph.nodes[function.0 as usize].name);
        let id = self.node(kind, &name, file, (lines.0, lines.0));
        self.edge(function, id, EdgeKind::Contains, true, lines.0);
        id
    }

    pub(super) fn edge(&mut self, from: NodeId, to: NodeId, kind: EdgeKind, certain: bool, line: u32) {
        if self.graph.edges.len() >= self.bounds.edges {
            self.dropped += 1;
            return;
        }
        let certainty = if certain { Certainty::Exact } else { Certainty::Inferred };
        self.graph.edges.push(Edge { from, to, kind, certainty, line });
    }

    pub(super) fn function_node(&self, function: super::resolve::Fun) -> NodeId {
        self.functions[function.index()]
    }

    pub(super) fn library_node(&self, path: Symbol) -> Option<NodeId> {
        self.library_functions.get(&path).copied()
    }

    /// Whether the path is one of the language's own, and does nothing outside.
    pub(super) fn is_builtin(&self, unit: &Unit, path: Symbol) -> bool {
        let own = language::of(unit.language).is_builtin(self.program.names.text(path));
        own && !self.performing.contains_key(&path)
    }

    /// A function as it was read.
    pub(super) fn function_source(&self, function: super::resolve::Fun) -> Option<(&'p Unit, &'p Function)> {
        let firsts = &self.resolution.first_function;
        let at = firsts.partition_point(|first| *first <= function.0).checked_sub(1)?;
        let unit = &self.program.units[at];
        Some((unit, unit.functions.get((function.0 - firsts[at]) as usize)?))
    }

    /// Module, classes and functions of a unit, each in what it stands in.
    fn unit(&mut self, id: UnitId, unit: &Unit) {
        let names = &self.program.names;
        let file = Some(self.graph.files.len() as u32);
        self.graph.files.push(unit.path.clone());
        self.graph.languages.push(unit.language);
        let first_class = self.classes.len();
        for class in &unit.classes {
            let node = self.node(NodeKind::Class, names.text(class.qualified), file, class.lines);
            self.classes.push(node);
        }
        for (at, function) in unit.functions.iter().enumerate() {
            let kind = if at == 0 { NodeKind::Module } else { NodeKind::Function };
            let node = self.node(kind, names.text(function.qualified), file, function.lines);
            self.functions.push(node);
        }
        for (at, class) in unit.classes.iter().enumerate() {
            let around = unit.scopes[class.scope.index()].parent.map(|scope| self.holder(id, unit, scope));
            if let Some(around) = around {
                self.edge(around, self.classes[first_class + at], EdgeKind::Contains, true, class.lines.0);
            }
        }
        for (at, function) in unit.functions.iter().enumerate().skip(1) {
            let around = unit.scopes[function.scope.index()].parent.map(|scope| self.holder(id, unit, scope));
            let own = self.resolution.function(id, FunctionId::of(at));
            let node = self.function_node(own);
            // Methods that stand outside of their classes get theirs when all classes have a node.
            let given = self.resolution.owners.binary_search_by_key(&own, |(function, _)| *function);
            if let Some(around) = around.filter(|_| given.is_err()) {
                self.edge(around, node, EdgeKind::Contains, true, function.lines.0);
            }
        }
    }

    /// The node of what a scope belongs to.
    fn holder(&self, id: UnitId, unit: &Unit, scope: ScopeId) -> NodeId {
        let scope = &unit.scopes[scope.index()];
        match scope.kind {
            ScopeKind::Class(class) => self.class_node(id, class),
            _ => self.function_node(self.resolution.function(id, scope.function)),
        }
    }

    fn class_node(&self, id: UnitId, class: ClassId) -> NodeId {
        self.classes[self.resolution.class(id, class).index()]
    }

    fn imports(&mut self, id: UnitId) {
        let unit = &self.program.units[id.index()];
        let from = self.function_node(self.resolution.function(id, FunctionId(0)));
        for (spec, line) in &unit.imports {
            let modules = &self.resolution.modules;
            match modules.resolve(&self.program.units, &self.program.names, id, *spec) {
                Imported::Unit(first) => {
                    for unit in self.imported_files(first, *spec).into_iter().filter(|unit| *unit != id) {
                        let to = self.function_node(self.resolution.function(unit, FunctionId(0)));
                        self.edge(from, to, EdgeKind::Imports, true, *line);
                    }
                }
                Imported::Library(path) => {
                    let to = self.library(unit, &path);
                    self.edge(from, to, EdgeKind::Imports, true, *line);
                }
            }
        }
    }

    /// Of a module of several files those that declare what is imported, or all.
    fn imported_files(&self, first: UnitId, spec: Symbol) -> Vec<UnitId> {
        let mut files = self.resolution.modules.files_of(first);
        let names = &self.program.names;
        if files.len() == 1 {
            return files;
        }
        for part in names.text(spec).rsplit(['.', ':', '/']).filter_map(|part| names.find(part)) {
            let declares =
                |unit: &UnitId| self.resolution.bindings[unit.index()].declared(ScopeId(0), part).is_some();
            if files.iter().any(declares) {
                files.retain(declares);
                break;
            }
        }
        files
    }

    /// The library to which a path belongs.
    fn library(&mut self, unit: &Unit, path: &str) -> NodeId {
        // Of libraries that are imported the one with the longest name that the path begins with.
        let parts_begin = language::of(unit.language).rules().parts_begin;
        let ends = path.char_indices().rev().filter(|(_, c)| parts_begin.contains(c));
        let ends = ends.map(|(at, _)| at);
        let imported = ends.map(|at| &path[..at]).find_map(|name| self.libraries.get(name));
        if let Some(node) = self.libraries.get(path).or(imported) {
            return *node;
        }
        let name = language::of(unit.language).library_name(path);
        if let Some(node) = self.libraries.get(name) {
            return *node;
        }
        let node = self.node(NodeKind::Library, name, None, (0, 0));
        let version = self.declared.version(unit.language, name, &unit.path);
        self.graph.nodes[node.0 as usize].version = version;
        self.libraries.insert(name.to_owned(), node);
        node
    }

    /// A library function, its library, and what it does outside.
    fn library_function(&mut self, unit: &Unit, path: Symbol) -> NodeId {
        if let Some(node) = self.library_functions.get(&path) {
            return *node;
        }
        let text = self.program.names.text(path);
        let node = self.node(NodeKind::LibraryFunction, text, None, (0, 0));
        self.library_functions.insert(path, node);
        let library = self.library(unit, text);
        self.edge(library, node, EdgeKind::Contains, true, 0);
        if let Some(effect) = language::of(unit.language).effect(text) {
            let to = match self.effects.get(&effect) {
                Some(node) => *node,
                None => self.node(NodeKind::Effect, effect.name(), None, (0, 0)),
            };
            self.effects.insert(effect, to);
            self.performing.insert(path, to);
            self.edge(node, to, EdgeKind::Performs, true, 0);
        }
        node
    }

    fn calls(&mut self) {
        let resolution = self.resolution;
        for call in &resolution.calls {
            let unit = &self.program.units[call.unit.index()];
            let from = self.function_node(call.caller);
            let to = match call.target {
                Target::Function(function) => self.function_node(function),
                Target::Library(path) => {
                    let to = self.library_function(unit, path);
                    if let Some(effect) = self.performing.get(&path).copied() {
                        self.edge(from, effect, EdgeKind::Performs, call.certain, call.line);
                    }
                    to
                }
            };
            self.edge(from, to, EdgeKind::Calls, call.certain, call.line);
        }
        for Callback { library, function, unit, line } in &resolution.callbacks {
            let unit = &self.program.units[unit.index()];
            let from = self.library_function(unit, *library);
            let to = self.function_node(*function);
            // Whether, when and where the library calls it is not known; the line is that of the giving.
            self.edge(from, to, EdgeKind::Calls, false, *line);
        }
        for Inherits { class, base } in &resolution.inherits {
            let (from, to) = (self.classes[class.index()], self.classes[base.index()]);
            let line = self.graph.nodes[from.0 as usize].lines.0;
            self.edge(from, to, EdgeKind::Inherits, true, line);
        }
    }

    fn finish(mut self, trouble: &mut Diagnostics) -> (CodeGraph, Placed) {
        if self.dropped > 0 {
            let detail = format!("{} edges beyond the first {}", self.dropped, self.bounds.edges);
            trouble.add(Trouble::TooManyEdges, "", 0, detail);
        }
        // Of two edges that differ in nothing but certainty the certain one, which sorts first, is kept.
        let key = |edge: &Edge| (edge.from, edge.to, edge.kind, edge.line);
        self.graph.edges.sort_unstable_by_key(|edge| (key(edge), edge.certainty));
        self.graph.edges.dedup_by_key(|edge| key(edge));
        let placed = Placed { functions: self.functions, library_functions: self.library_functions };
        (self.graph, placed)
    }
}
