//! What front ends build a [`Unit`] with. In: expressions, statements, scopes and declarations, in the order of the text.
//! Out: the unit. Refuses nothing: what a front end may build is bounded by the syntax that it reads.

use rustc_hash::FxHashMap;

use super::ir::{
    Arg, Block, Branch, CallKind, Class, ClassId, Collection, Entry, Expr, ExprId, ExprKind, Flags, Function,
    FunctionId, Handler, Loop, LoopId, Param, Run, Scope, ScopeId, ScopeKind, Spread, Stmt, StmtId, StmtKind,
    Unit,
};
use super::names::{Names, Symbol};
use super::source::LanguageId;

/// Texts that are longer are not known, only that they are texts.
pub(super) const TEXT_MAX: usize = 200;

/// Where a front end stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where names are looked up and declared.
    pub(super) scope: ScopeId,
    /// The nearest scope of a function or module: what is declared for the whole function goes there.
    pub(super) outer: ScopeId,
    /// Whose statements are read.
    pub(super) function: FunctionId,
    /// The class whose members are read.
    pub(super) class: Option<ClassId>,
    /// What stands before the names of what is made here.
    pub(super) qualified: Symbol,
}

/// A unit under construction.
#[derive(Debug)]
pub(super) struct Lowering<'a> {
    pub(super) names: &'a mut Names,
    pub(super) unit: Unit,
    /// Lambdas so far, by what holds them.
    lambdas: FxHashMap<Symbol, u32>,
}

impl<'a> Lowering<'a> {
    /// An empty unit.
    pub(super) fn new(path: &str, language: LanguageId, module: &str, names: &'a mut Names) -> Self {
        let module = names.intern(module);
        let unit = Unit {
            path: path.to_owned(),
            language,
            module,
            functions: Vec::new(),
            classes: Vec::new(),
            scopes: Vec::new(),
            exprs: Vec::new(),
            stmts: Vec::new(),
            loops: Vec::new(),
            declared: Vec::new(),
            redirected: Vec::new(),
            written: Vec::new(),
            imports_all: Vec::new(),
            members: Vec::new(),
            implements: Vec::new(),
            has_default: false,
            imports: Vec::new(),
            expr_lists: Vec::new(),
            arg_lists: Vec::new(),
            entry_lists: Vec::new(),
            param_lists: Vec::new(),
            blocks: Vec::new(),
            branches: Vec::new(),
            handlers: Vec::new(),
        };
        let mut lowering = Self { names, unit, lambdas: FxHashMap::default() };
        lowering.function(module, module, None, None, ScopeKind::Module, 1);
        lowering
    }

    /// Where the module's own statements are read.
    pub(super) fn module_place(&self) -> Place {
        Place {
            scope: ScopeId(0),
            outer: ScopeId(0),
            function: FunctionId(0),
            class: None,
            qualified: self.unit.module,
        }
    }

    /// A name of what is made at a place.
    pub(super) fn qualify(&mut self, place: Place, name: Symbol) -> Symbol {
        let text = format!("{}.{}", self.names.text(place.qualified), self.names.text(name));
        self.names.intern(&text)
    }

    /// The name of the next lambda at a place.
    pub(super) fn lambda_name(&mut self, place: Place) -> Symbol {
        let count = self.lambdas.entry(place.qualified).or_default();
        *count += 1;
        let text = format!("<lambda{count}>");
        self.names.intern(&text)
    }

    /// A function without parameters and statements yet, and its scope.
    pub(super) fn function(
        &mut self,
        name: Symbol,
        qualified: Symbol,
        parent: Option<ScopeId>,
        class: Option<ClassId>,
        kind: ScopeKind,
        line: u32,
    ) -> FunctionId {
        let id = FunctionId::of(self.unit.functions.len());
        let scope = self.scope(parent, kind, id);
        self.unit.functions.push(Function {
            name,
            qualified,
            flags: Flags::default(),
            class,
            scope,
            params: Run::EMPTY,
            body: Run::EMPTY,
            returns: None,
            lines: (line, line),
        });
        id
    }

    pub(super) fn function_mut(&mut self, id: FunctionId) -> &mut Function {
        &mut self.unit.functions[id.index()]
    }

    /// Where a function's statements are read.
    pub(super) fn inside(&self, id: FunctionId) -> Place {
        let function = &self.unit.functions[id.index()];
        let (scope, qualified) = (function.scope, function.qualified);
        Place { scope, outer: scope, function: id, class: None, qualified }
    }

    /// A class without bases and statements yet, and where its members are read.
    pub(super) fn class(&mut self, name: Symbol, place: Place, line: u32) -> (ClassId, Place) {
        let id = ClassId::of(self.unit.classes.len());
        let scope = self.scope(Some(place.scope), ScopeKind::Class(id), place.function);
        let qualified = self.qualify(place, name);
        let (bases, body) = (Run::EMPTY, Run::EMPTY);
        self.unit.classes.push(Class { name, qualified, scope, bases, body, lines: (line, line) });
        (id, Place { scope, outer: scope, function: place.function, class: Some(id), qualified })
    }

    pub(super) fn class_mut(&mut self, id: ClassId) -> &mut Class {
        &mut self.unit.classes[id.index()]
    }

    pub(super) fn scope(
        &mut self,
        parent: Option<ScopeId>,
        kind: ScopeKind,
        function: FunctionId,
    ) -> ScopeId {
        self.unit.scopes.push(Scope { parent, kind, function });
        ScopeId::of(self.unit.scopes.len() - 1)
    }

    pub(super) fn declare(&mut self, scope: ScopeId, name: Symbol) {
        self.unit.declared.push((scope, name));
    }

    pub(super) fn expr(&mut self, kind: ExprKind, line: u32) -> ExprId {
        self.unit.exprs.push(Expr { kind, line });
        ExprId::of(self.unit.exprs.len() - 1)
    }

    pub(super) fn stmt(&mut self, kind: StmtKind, line: u32) -> StmtId {
        self.unit.stmts.push(Stmt { kind, line });
        StmtId::of(self.unit.stmts.len() - 1)
    }

    pub(super) fn exprs(&mut self, items: Vec<ExprId>) -> Run<ExprId> {
        Run::append(&mut self.unit.expr_lists, items)
    }

    pub(super) fn entries(&mut self, items: Vec<Entry>) -> Run<Entry> {
        Run::append(&mut self.unit.entry_lists, items)
    }

    pub(super) fn params(&mut self, items: Vec<Param>) -> Run<Param> {
        Run::append(&mut self.unit.param_lists, items)
    }

    pub(super) fn block(&mut self, items: Vec<StmtId>) -> Block {
        Run::append(&mut self.unit.blocks, items)
    }

    pub(super) fn branches(&mut self, items: Vec<Branch>) -> Run<Branch> {
        Run::append(&mut self.unit.branches, items)
    }

    pub(super) fn handlers(&mut self, items: Vec<Handler>) -> Run<Handler> {
        Run::append(&mut self.unit.handlers, items)
    }

    pub(super) fn add_loop(&mut self, one: Loop) -> LoopId {
        self.unit.loops.push(one);
        LoopId::of(self.unit.loops.len() - 1)
    }

    pub(super) fn name(&mut self, name: Symbol, scope: ScopeId, line: u32) -> ExprId {
        self.expr(ExprKind::Name(name, scope), line)
    }

    pub(super) fn unknown(&mut self, parts: Vec<ExprId>, line: u32) -> ExprId {
        let parts = self.exprs(parts);
        self.expr(ExprKind::Unknown(parts), line)
    }

    pub(super) fn call(&mut self, kind: CallKind, callee: ExprId, args: Vec<Arg>, line: u32) -> ExprId {
        let args = Run::append(&mut self.unit.arg_lists, args);
        self.expr(ExprKind::Call(kind, callee, args), line)
    }

    /// A call with one argument.
    pub(super) fn apply(&mut self, kind: CallKind, callee: ExprId, value: ExprId, line: u32) -> ExprId {
        self.call(kind, callee, vec![Arg { name: None, value, spread: Spread::No }], line)
    }

    /// A container of what a type names, wherever in it.
    pub(super) fn container_of(&mut self, kind: Collection, ty: Option<ExprId>, line: u32) -> ExprId {
        let mut list = Vec::new();
        if let Some(ty) = ty {
            let element = self.expr(ExprKind::InstanceOf(ty), line);
            list.push(self.stmt(StmtKind::Emit(None, element), line));
        }
        let block = self.block(list);
        self.expr(ExprKind::Comprehension(kind, block), line)
    }

    pub(super) fn assign(&mut self, target: ExprId, value: ExprId, line: u32) -> StmtId {
        self.stmt(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line)
    }

    /// A module that is imported, noted with its line.
    pub(super) fn import(&mut self, spec: &str, line: u32) -> ExprId {
        let spec = self.names.intern(spec);
        self.unit.imports.push((spec, line));
        self.expr(ExprKind::Import(spec), line)
    }
}
