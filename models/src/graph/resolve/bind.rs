//! Which variable a name means. In: a unit. Out: its variables, and for each name the variable or nothing. Names are
//! looked up from scope to scope; a class's members are seen only from its own body.

use rustc_hash::FxHashMap;

use crate::graph::ir::{ExprKind, FunctionId, ScopeId, ScopeKind, Unit};
use crate::graph::language;
use crate::graph::names::Symbol;

/// A variable.
#[derive(Clone, Copy, Debug)]
pub(in crate::graph) struct Var {
    /// Whose statements declare it.
    pub(in crate::graph) function: FunctionId,
    /// Seen from elsewhere: another function, or whoever has the module or class.
    pub(in crate::graph) shared: bool,
    /// Assigned by another function: the order of assignments is not known.
    pub(in crate::graph) foreign: bool,
}

/// The variables of a unit.
#[derive(Debug)]
pub(in crate::graph) struct Bindings {
    pub(in crate::graph) vars: Vec<Var>,
    by_name: FxHashMap<(ScopeId, Symbol), u32>,
    redirects: FxHashMap<(ScopeId, Symbol), ScopeId>,
    of_expr: Vec<u32>,
}

/// No variable.
const FREE: u32 = u32::MAX;

impl Bindings {
    pub(in crate::graph) fn of(unit: &Unit) -> Self {
        let redirects = unit.redirected.iter().map(|(scope, name, to)| ((*scope, *name), *to)).collect();
        let mut bindings = Self {
            vars: Vec::new(),
            by_name: FxHashMap::default(),
            redirects,
            of_expr: vec![FREE; unit.exprs.len()],
        };
        for &(scope, name) in &unit.declared {
            bindings.declare(unit, scope, name);
        }
        for &(scope, name) in &unit.written {
            bindings.note_writer(unit, scope, name);
        }
        for &(scope, name, _) in &unit.redirected {
            bindings.note_writer(unit, scope, name);
        }
        for (at, expr) in unit.exprs.iter().enumerate() {
            let ExprKind::Name(name, scope) = expr.kind else { continue };
            let Some(var) = bindings.look_up(unit, scope, name) else { continue };
            bindings.of_expr[at] = var;
            let reader = unit.scopes[scope.index()].function;
            let var = &mut bindings.vars[var as usize];
            var.shared |= var.function != reader;
        }
        bindings
    }

    fn declare(&mut self, unit: &Unit, scope: ScopeId, name: Symbol) {
        if self.redirects.contains_key(&(scope, name)) || self.by_name.contains_key(&(scope, name)) {
            return;
        }
        let Some(found) = unit.scopes.get(scope.index()) else { return };
        let shared = matches!(found.kind, ScopeKind::Module | ScopeKind::Class(_));
        self.by_name.insert((scope, name), self.vars.len() as u32);
        self.vars.push(Var { function: found.function, shared, foreign: false });
    }

    fn note_writer(&mut self, unit: &Unit, scope: ScopeId, name: Symbol) {
        let writer = unit.scopes[scope.index()].function;
        if let Some(var) = self.look_up(unit, scope, name) {
            let var = &mut self.vars[var as usize];
            var.foreign |= var.function != writer;
            var.shared |= var.foreign;
        }
    }

    fn look_up(&self, unit: &Unit, start: ScopeId, name: Symbol) -> Option<u32> {
        let mut scope = start;
        let members = language::of(unit.language).rules().members_are_seen;
        // A redirection leads outwards, so the way ends.
        for _ in 0..=unit.scopes.len() {
            if let Some(to) = self.redirects.get(&(scope, name)) {
                scope = *to;
                continue;
            }
            let found = &unit.scopes[scope.index()];
            let seen = members || scope == start || !matches!(found.kind, ScopeKind::Class(_));
            if let Some(var) = self.by_name.get(&(scope, name)).filter(|_| seen) {
                return Some(*var);
            }
            scope = found.parent?;
        }
        None
    }

    /// The variable that a name expression means.
    pub(in crate::graph) fn var(&self, expr: crate::graph::ir::ExprId) -> Option<usize> {
        self.of_expr.get(expr.index()).copied().filter(|var| *var != FREE).map(|var| var as usize)
    }

    /// The variables of the module's scope.
    pub(in crate::graph) fn of_module(&self) -> impl Iterator<Item = (Symbol, usize)> {
        let own = self.by_name.iter().filter(|((scope, _), _)| *scope == ScopeId(0));
        own.map(|((_, name), var)| (*name, *var as usize))
    }

    /// The variable that a scope declares by this name.
    pub(in crate::graph) fn declared(&self, scope: ScopeId, name: Symbol) -> Option<usize> {
        self.by_name.get(&(scope, name)).map(|var| *var as usize)
    }
}
