//! What a file says of its variables, before anything is counted. In: a unit. Out: every assignment of every variable with
//! the loop that it stands in, what loops stand in, which collections grow, and which decorators functions have.
//! Refuses nothing; what lies beyond the budget of steps is left out.

use rustc_hash::{FxHashMap, FxHashSet};

use super::parts::{self, Part};
use crate::graph::ir::{
    CallKind, ExprId, ExprKind, FunctionId, LoopId, LoopKind, Op, ParamKind, ScopeId, StmtKind, Unit,
};
use crate::graph::names::{Names, Symbol};

/// A variable of a unit, or an attribute by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Var(ScopeId, Symbol);

const ATTRIBUTES: ScopeId = ScopeId(u32::MAX);

/// Where a variable gets a value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A parameter, with its place among those that the caller gives.
    Param(ParamKind),
    /// An assignment.
    Value(ExprId),
    /// A compound assignment.
    Change(Op, ExprId),
    /// An element of a collection.
    ElementOf(ExprId),
    /// A part of a value that is taken apart.
    PartOf(ExprId),
}

/// A value that a variable gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) source: Source,
    /// The innermost loop around it.
    pub(super) within: Option<LoopId>,
}

/// All facts of a unit.
#[derive(Debug, Default)]
pub(super) struct Facts {
    given: FxHashMap<Var, Vec<Given>>,
    /// The loop around each loop, within its function.
    around: FxHashMap<LoopId, LoopId>,
    /// Collections that something is added to within a loop.
    grown: FxHashMap<Var, Vec<LoopId>>,
    /// Collections whose elements are assigned by key.
    keyed: FxHashSet<Var>,
    /// The types that variables are said to have.
    types: FxHashMap<Var, ExprId>,
    /// What each function is decorated with.
    pub(super) decorators: FxHashMap<FunctionId, Vec<ExprId>>,
    /// The function that each variable which is assigned once holds.
    holds: FxHashMap<Var, FunctionId>,
    /// Variables that are changed in each loop itself, not in loops in it.
    changed: FxHashMap<LoopId, Vec<Var>>,
    declared: FxHashSet<(ScopeId, Symbol)>,
    redirected: FxHashMap<(ScopeId, Symbol), ScopeId>,
}

/// Methods that add to a collection.
const ADDING: &[&str] = &[
    "append",
    "appendleft",
    "push",
    "push_back",
    "add",
    "insert",
    "extend",
    "unshift",
    "set",
    "put",
    "addAll",
    "offer",
    "addLast",
    "addFirst",
    "push_str",
    "offerLast",
    "offerFirst",
];

impl Facts {
    pub(super) fn of(unit: &Unit, names: &Names, budget: &mut usize) -> Self {
        let mut facts = Self {
            declared: unit.declared.iter().copied().collect(),
            redirected: unit.redirected.iter().map(|(at, name, to)| ((*at, *name), *to)).collect(),
            ..Self::default()
        };
        for function in &unit.functions {
            for param in unit.params(function.params) {
                facts.give(unit, param.target, Source::Param(param.kind), None);
                if let (Some(var), Some(ty)) = (facts.var(unit, param.target), param.ty) {
                    facts.types.insert(var, ty);
                }
            }
            let body = parts::of_block(unit, function.body).collect();
            facts.read(unit, names, body, None, budget);
        }
        facts
    }

    /// All values that a variable gets.
    pub(super) fn given(&self, var: Var) -> &[Given] {
        self.given.get(&var).map_or(&[], Vec::as_slice)
    }

    /// The variable that a name or an attribute is.
    pub(super) fn var(&self, unit: &Unit, expr: ExprId) -> Option<Var> {
        match unit.expr(expr).kind {
            ExprKind::Name(name, scope) => Some(self.resolved(unit, name, scope)),
            ExprKind::Attr(_, name) => Some(Var(ATTRIBUTES, name)),
            _ => None,
        }
    }

    /// The text of a variable's name.
    pub(super) fn name<'n>(&self, names: &'n Names, var: Var) -> &'n str {
        names.text(var.1)
    }

    /// Whether something is added to the collection in a loop.
    pub(super) fn grows(&self, var: Var) -> bool {
        self.grown.contains_key(&var)
    }

    /// Whether something is added to the collection in a loop, or in a loop in it.
    pub(super) fn grows_in(&self, var: Var, id: LoopId) -> bool {
        self.grown.get(&var).is_some_and(|loops| loops.iter().any(|one| self.is_within(Some(*one), id)))
    }

    /// Whether elements of the collection are assigned by key.
    pub(super) fn is_keyed(&self, var: Var) -> bool {
        self.keyed.contains(&var)
    }

    /// Variables that are assigned in a loop itself.
    pub(super) fn changed(&self, id: LoopId) -> &[Var] {
        self.changed.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The type that the variable is said to have.
    pub(super) fn ty(&self, var: Var) -> Option<ExprId> {
        self.types.get(&var).copied()
    }

    /// The function that the variable holds.
    pub(super) fn function(&self, var: Var) -> Option<FunctionId> {
        self.holds.get(&var).copied()
    }

    /// Whether a loop is another, or stands in it.
    pub(super) fn is_within(&self, inner: Option<LoopId>, outer: LoopId) -> bool {
        let around = |id: &LoopId| self.around.get(id).copied();
        std::iter::successors(inner, around).any(|id| id == outer)
    }

    fn resolved(&self, unit: &Unit, name: Symbol, scope: ScopeId) -> Var {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some(to) = self.redirected.get(&(scope, name)) {
                return Var(*to, name);
            }
            if self.declared.contains(&(scope, name)) {
                return Var(scope, name);
            }
            at = unit.scopes[scope.index()].parent.filter(|parent| *parent < scope);
        }
        Var(ScopeId(0), name)
    }

    fn read(
        &mut self,
        unit: &Unit,
        names: &Names,
        body: Vec<Part>,
        within: Option<LoopId>,
        budget: &mut usize,
    ) {
        let mut open: Vec<(Part, Option<LoopId>)> =
            body.into_iter().rev().map(|part| (part, within)).collect();
        let mut inner = Vec::new();
        while let Some((part, within)) = open.pop() {
            if *budget == 0 {
                return;
            }
            *budget -= 1;
            self.note(unit, names, part, within);
            if let Some(id) = loop_of(unit, part) {
                self.loop_targets(unit, id);
                if let Some(around) = within.filter(|around| *around != id) {
                    self.around.insert(id, around);
                }
                parts::rounds(unit, id, &mut inner);
                open.extend(inner.drain(..).rev().map(|part| (part, Some(id))));
                parts::head(unit, id, &mut inner);
                inner.extend(parts::of_block(unit, unit.loops[id.index()].otherwise));
            } else {
                parts::of(unit, part, &mut inner);
            }
            open.extend(inner.drain(..).rev().map(|part| (part, within)));
        }
    }

    fn grow(&mut self, var: Var, within: Option<LoopId>) {
        self.grown.entry(var).or_default().extend(within);
    }

    fn loop_targets(&mut self, unit: &Unit, id: LoopId) {
        if let LoopKind::Each { target, iterated } | LoopKind::EachKey { target, iterated } =
            unit.loops[id.index()].kind
        {
            self.give(unit, target, Source::ElementOf(iterated), Some(id));
        }
    }

    fn note(&mut self, unit: &Unit, names: &Names, part: Part, within: Option<LoopId>) {
        match part {
            Part::Stmt(id) => {
                let StmtKind::Assign { target, value, op, ty } = unit.stmt(id).kind else { return };
                if let (Some(var), Some(ty)) = (self.var(unit, target), ty) {
                    self.types.insert(var, ty);
                }
                if let Some(value) = value {
                    let source = op.map_or(Source::Value(value), |op| Source::Change(op, value));
                    self.give(unit, target, source, within);
                }
            }
            Part::Expr(id) => match unit.expr(id).kind {
                ExprKind::Assign(target, value) => self.give(unit, target, Source::Value(value), within),
                ExprKind::Call(CallKind::Decorator, callee, args) => {
                    let decorated = unit.args(args).first().map(|arg| arg.value);
                    if let Some(function) = decorated.and_then(|value| made(unit, value)) {
                        self.decorators.entry(function).or_default().push(callee);
                    }
                }
                ExprKind::Call(_, callee, _) if within.is_some() => {
                    if let ExprKind::Attr(object, method) = unit.expr(callee).kind
                        && ADDING.contains(&names.text(method))
                        && let Some(var) = self.var(unit, object)
                    {
                        self.grow(var, within);
                    }
                }
                _ => {}
            },
        }
    }

    fn give(&mut self, unit: &Unit, target: ExprId, source: Source, within: Option<LoopId>) {
        match unit.expr(target).kind {
            ExprKind::Name(..) | ExprKind::Attr(..) => {
                let Some(var) = self.var(unit, target) else { return };
                // Functions are followed where a variable is never anything else.
                match source {
                    Source::Value(value) => {
                        if let Some(function) = made(unit, value) {
                            self.holds.insert(var, function);
                        } else if let ExprKind::Call(..) = unit.expr(value).kind
                            && within.is_some()
                            && appends_to(unit, value).and_then(|list| self.var(unit, list)) == Some(var)
                        {
                            self.grow(var, within);
                        }
                    }
                    Source::Change(Op::Add, _) if within.is_some() => {
                        self.grow(var, within);
                    }
                    _ => {}
                }
                if let Some(id) = within {
                    self.changed.entry(id).or_default().push(var);
                }
                self.given.entry(var).or_default().push(Given { source, within });
            }
            ExprKind::Index(object, _) => {
                if let Some(var) = self.var(unit, object) {
                    self.keyed.insert(var);
                }
            }
            ExprKind::Collection(_, parts) => self.take_apart(unit, unit.exprs_of(parts), source, within),
            ExprKind::Map(_, entries) => {
                let part = match source {
                    Source::Value(value) | Source::Change(_, value) => Source::PartOf(value),
                    other => other,
                };
                for entry in unit.entries(entries) {
                    self.give(unit, entry.value, part, within);
                }
            }
            ExprKind::Spread(inner) => self.give(unit, inner, source, within),
            _ => {}
        }
    }

    /// `a, b = x, y` gives each its own; else each gets a part.
    fn take_apart(&mut self, unit: &Unit, targets: &[ExprId], source: Source, within: Option<LoopId>) {
        let values = match source {
            Source::Value(value) => match unit.expr(value).kind {
                ExprKind::Collection(_, values) => unit.exprs_of(values),
                _ => &[],
            },
            _ => &[],
        };
        for (at, target) in targets.iter().enumerate() {
            let part = match source {
                _ if values.len() == targets.len() => Source::Value(values[at]),
                Source::Value(value) | Source::Change(_, value) | Source::PartOf(value) => {
                    Source::PartOf(value)
                }
                other => other,
            };
            self.give(unit, *target, part, within);
        }
    }
}

/// `x = append(x, …)`: what is appended to.
fn appends_to(unit: &Unit, call: ExprId) -> Option<ExprId> {
    let ExprKind::Call(_, _, args) = unit.expr(call).kind else { return None };
    let first = unit.args(args).first()?.value;
    matches!(unit.expr(first).kind, ExprKind::Name(..) | ExprKind::Attr(..)).then_some(first)
}

/// The function that an expression makes, through decorators.
pub(super) fn made(unit: &Unit, expr: ExprId) -> Option<FunctionId> {
    match unit.expr(expr).kind {
        ExprKind::Function(function) => Some(function),
        ExprKind::Call(CallKind::Decorator, _, args) => made(unit, unit.args(args).first()?.value),
        _ => None,
    }
}

/// The loop that a part is.
pub(super) fn loop_of(unit: &Unit, part: Part) -> Option<LoopId> {
    let Part::Stmt(id) = part else { return None };
    match unit.stmt(id).kind {
        StmtKind::Loop(id) => Some(id),
        _ => None,
    }
}
