//! The code graph of an upload. In: paths and bytes. Out: modules, classes, functions, libraries and outside effects, with
//! what contains, calls, imports, inherits, reaches and performs what; each edge says whether it is exact or inferred.
//! Broken, hostile and too large source gives a smaller graph and diagnostics, never an error.
//!
//! Manifests beside the source say which libraries it may use, and in which versions.
//!
//! ```text
//! SourceFile ─► source ─► syntax ─► language ─► ir ─► resolve ─► emit, reach ─► CodeGraph
//!            (accepted)  (flat tree) (front end) (Program) (calls)
//! ```
//!
//! **One program for all languages.** `syntax` turns tree-sitter's tree into a flat list, cut at a depth and a size, so
//! that everything behind it may recurse. A front end in `language` reads that list and builds an [`ir::Unit`] with the
//! help of `lower`: scopes with declarations, functions, classes, and statements and expressions that keep their structure. A
//! loop is a [`ir::Loop`] with what it iterates and its body; a call is an expression with its arguments. The resolver
//! and the analysis of cost work on the IR alone, and neither asks which language it was; what differs between languages
//! (how receivers are passed, what a constructor is called, what is built in) is asked of the trait.
//!
//! **The resolver** binds names to variables, makes an assignment graph of cells and uses, and runs it to its fixpoint; its
//! own head says how. Its result is a list of calls, sorted by unit and expression, so that [`Analysis::reached`] answers
//! what a call expression reaches. `emit` makes nodes and edges of it, `reach` follows values through functions.
//!
//! **A language is added** in these steps.
//! 1. A variant of [`LanguageId`] and its file endings in `source`; the grammar in `models/Cargo.toml` and in tidy's doors.
//! 2. A module of `language` with its `kinds!` and `fields!` (the grammar's names; a name that is no node of the grammar
//!    keeps the token of that name) and its implementation of the trait; the line in `language::of`.
//! 3. Lowering. Declare a name in the scope in which it is visible, before or after its use. A name that is assigned
//!    without being declared there goes to `Unit::written`. Methods are assigned to names in their class's scope. A value of a declared type is `Assign { ty }`, a parameter's type `Param::ty`; both make instances of
//!    the type *or what inherits from it*, so that calls on them reach overriding methods and are inferred. What cannot be
//!    said in the IR is [`ir::ExprKind::Unknown`] with the expressions in it: their calls count all the same.
//! 4. Tables of what is built in, of models (`language::Model`) and of effects.
//! 5. Fixtures in `models/tests`, and the ending in those of hostile source.
//!
//! **For the analysis of cost**: walk [`ir::Function::body`] through [`ir::Unit::block`]; loops nest as they do in the
//! text, comprehensions are blocks with loops; [`Analysis::reached`] resolves calls, [`code::CodeGraph::recursion`] groups
//! functions that call each other, and appends and allocations are calls and collections like any other.

pub mod bounds;
pub mod code;
pub mod diagnostic;
mod emit;
pub mod ir;
mod language;
mod lower;
pub mod manifest;
pub mod names;
pub mod query;
mod reach;
mod resolve;
pub mod source;
mod syntax;

use rustc_hash::FxHashMap;

pub use bounds::Bounds;
pub use code::CodeGraph;
use code::NodeId;
use diagnostic::Diagnostics;
use ir::{ExprId, FunctionId, Program, UnitId};
use language::Language;
use lower::Lowering;
use names::Symbol;
use resolve::{Call, Resolution, Target};
pub use source::{LanguageId, SourceFile};

/// A program, its graph, and what binds the two.
#[derive(Debug)]
pub struct Analysis {
    /// The graph.
    pub graph: CodeGraph,
    /// The program that it was made of.
    pub program: Program,
    resolution: Resolution,
    functions: Vec<NodeId>,
    library_functions: FxHashMap<Symbol, NodeId>,
}

/// Something that a call reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The function or library function.
    pub node: NodeId,
    /// Nothing else is possible there, and nothing was guessed.
    pub certain: bool,
}

impl Analysis {
    /// What a call expression reaches. Expressions that cause calls without being one (loops over instances, properties)
    /// have them, too.
    pub fn reached(&self, unit: UnitId, expr: ExprId) -> impl Iterator<Item = Reached> {
        let key = |call: &Call| (call.unit, call.expr);
        let start = self.resolution.calls.partition_point(|call| key(call) < (unit, expr));
        let calls = self.resolution.calls[start..].iter().take_while(move |call| key(call) == (unit, expr));
        calls.filter_map(|call| {
            let node = match call.target {
                Target::Function(function) => self.functions.get(function.index()),
                Target::Library(path) => self.library_functions.get(&path),
            };
            Some(Reached { node: *node?, certain: call.certain })
        })
    }

    /// The node of a function; that of a module's body is the module.
    pub fn node_of(&self, unit: UnitId, function: FunctionId) -> NodeId {
        self.functions[self.resolution.function(unit, function).index()]
    }

    /// The function that a node stands for.
    pub fn function_of(&self, node: NodeId) -> Option<(UnitId, FunctionId)> {
        let at = self.functions.iter().position(|one| *one == node)?;
        let firsts = &self.resolution.first_function;
        let unit = firsts.partition_point(|first| *first as usize <= at) - 1;
        Some((UnitId::of(unit), FunctionId::of(at - firsts[unit] as usize)))
    }
}

/// Makes the graph of some files.
pub fn analyse(files: &[SourceFile], bounds: &Bounds) -> Analysis {
    let mut trouble = Diagnostics::new(bounds.diagnostics);
    let manifest::Manifests { libraries, roots } = manifest::read(files, &mut trouble);
    let mut program = read(files, bounds, &mut trouble);
    program.roots = roots;
    let resolution = resolve::resolve(&mut program, bounds, &mut trouble);
    let (mut graph, placed) = emit::emit(&program, &resolution, &libraries, bounds, &mut trouble);
    graph.libraries = libraries;
    graph.diagnostics = trouble.into_vec();
    let emit::Placed { functions, library_functions } = placed;
    Analysis { graph, program, resolution, functions, library_functions }
}

/// Has tree-sitter parse files as they are, and does nothing with its trees: the reference for what reading costs. How many
/// nodes there were.
pub fn parse(files: &[SourceFile], bounds: &Bounds) -> usize {
    let mut reader = syntax::Reader::default();
    let mut tables = FxHashMap::default();
    let accepted = source::accept(files, bounds, &mut Diagnostics::new(0));
    let nodes = accepted.into_iter().map(|file| {
        let table = tables.entry(file.language).or_insert_with(|| language::of(file.language).table());
        reader.parse_alone(&file.text, table, bounds)
    });
    nodes.sum()
}

/// Parses and lowers files, one after the other.
fn read(files: &[SourceFile], bounds: &Bounds, trouble: &mut Diagnostics) -> Program {
    let mut program = Program::default();
    let mut reader = syntax::Reader::default();
    let mut tables = FxHashMap::default();
    for file in source::accept(files, bounds, trouble) {
        let language: &dyn Language = language::of(file.language);
        let table = tables.entry(file.language).or_insert_with(|| language.table());
        let source = language.condense(file.text);
        let Some(syntax) = syntax::read(file.path, source, table, &mut reader, bounds, trouble) else {
            continue;
        };
        let module = language.module_name(file.path);
        let mut lowering = Lowering::new(file.path, file.language, &module, &mut program.names);
        language.lower(&syntax, &mut lowering);
        program.units.push(lowering.unit);
        reader.done_with(syntax);
    }
    program
}
