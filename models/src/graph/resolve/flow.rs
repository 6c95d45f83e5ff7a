//! From statements to the assignment graph. In: a program. Out: its cells and uses. Within a function a name has the
//! value that was assigned last: branches that meet make a cell that has both, a loop one that has all that is assigned
//! in it. A variable that other functions see also has one cell for all its values.

use rustc_hash::FxHashMap;

use super::cells::Solver;
use super::uses::{ClsInfo, FunInfo, KeyOf, ParamCell, Site, Use};
use super::values::{CellId, Fun, Key, NOTHING, ObjectKind, Value, ValueId};
use crate::graph::ir::{
    Block, Branch, Collection, ExprId, FunctionId, Handler, Loop, LoopKind, ParamKind, Run, StmtId, StmtKind,
    Unit, UnitId,
};

/// Makes cells and uses of all units.
pub(super) fn generate(solver: &mut Solver<'_>) {
    let units = solver.units;
    for (at, unit) in units.iter().enumerate() {
        solver.found.first_function.push(solver.functions.len() as u32);
        solver.found.first_class.push(solver.classes.len() as u32);
        prepare(solver, UnitId::of(at), unit);
    }
    solver.share_packages();
    for (at, unit) in units.iter().enumerate() {
        let mut flow = Flow::new(solver, UnitId::of(at), unit);
        flow.outside_of_classes();
        for function in 0..unit.functions.len() {
            flow.function(FunctionId::of(function));
        }
    }
}

/// The cells that others may reach before the unit itself is read.
fn prepare(solver: &mut Solver<'_>, id: UnitId, unit: &Unit) {
    let rules = solver.language(id).rules();
    let first_class = solver.classes.len() as u32;
    for class in &unit.classes {
        solver.classes.push(ClsInfo { unit: id.index(), scope: class.scope.0, ..ClsInfo::default() });
    }
    for function in &unit.functions {
        let mut params = Vec::with_capacity(function.params.len());
        for param in unit.params(function.params) {
            let cell = solver.cell();
            let kind = match param.kind {
                ParamKind::Rest => Some(Collection::List),
                ParamKind::NamedRest => Some(Collection::Dict),
                ParamKind::One | ParamKind::Named => None,
            };
            let rest = kind.map(|kind| solver.values.object(ObjectKind::Collection(kind)));
            if let Some(rest) = rest {
                solver.add(cell, rest);
            }
            params.push(ParamCell { name: param.name, kind: param.kind, cell, rest });
        }
        let (receiver, returned, yielded) = (solver.cell(), solver.cell(), solver.cell());
        let asynchronous = function.flags.asynchronous && !function.flags.generator;
        let promise = asynchronous.then(|| solver.values.object(ObjectKind::Promise));
        if let Some(promise) = promise {
            let settled = solver.field(promise, Key::ANY);
            solver.add_use(returned, Use::Await(settled));
        }
        let class = function.class.map(|class| super::Cls(first_class + class.0));
        if let Some(class) = class.filter(|_| !function.flags.fixed) {
            let value = match function.flags.of_class {
                true => Value::Class(class),
                false if rules.types_bind => Value::Declared(class),
                false => Value::Instance(class),
            };
            let value = solver.values.id(value);
            let first =
                params.first().filter(|_| rules.receiver_is_parameter).map(|param: &ParamCell| param.cell);
            solver.add(first.unwrap_or(receiver), value);
        }
        let flags = function.flags;
        solver.functions.push(FunInfo {
            flags,
            class,
            params,
            receiver,
            returned,
            yielded,
            promise,
            language: rules,
        });
    }
    let vars = solver.bindings[id.index()].vars.len();
    let vars = (0..vars).map(|_| solver.cell()).collect();
    solver.vars.push(vars);
}

impl Solver<'_> {
    /// The function in which a function stands.
    pub(super) fn function_around(&self, function: Fun) -> Option<Fun> {
        let unit = self.found.first_function.partition_point(|first| *first <= function.0) - 1;
        let first = self.found.first_function[unit];
        let source = &self.units[unit];
        let parent = source.scopes[source.functions[(function.0 - first) as usize].scope.index()].parent?;
        Some(Fun(first + source.scopes[parent.index()].function.0))
    }
}

/// One unit on its way into the graph.
pub(super) struct Flow<'s, 'p> {
    pub(super) solver: &'s mut Solver<'p>,
    pub(super) id: UnitId,
    pub(super) unit: &'p Unit,
    /// What each variable was assigned last, by its owner.
    current: Vec<CellId>,
    /// What variables had before, to be undone when a branch ends.
    log: Vec<(u32, CellId)>,
    /// All that was assigned, in order.
    assigned: Vec<(u32, CellId)>,
    /// What is known to lie at a place, until anything may have changed it.
    pub(super) known: FxHashMap<(CellId, Key), CellId>,
    pub(super) function: Fun,
    /// The comprehensions that are filled.
    pub(super) filled: Vec<ValueId>,
    /// Behind a return, a break or a failure.
    dead: bool,
}

impl<'s, 'p> Flow<'s, 'p> {
    fn new(solver: &'s mut Solver<'p>, id: UnitId, unit: &'p Unit) -> Self {
        let vars = solver.bindings[id.index()].vars.len();
        Self {
            solver,
            id,
            unit,
            current: vec![NOTHING; vars],
            log: Vec::new(),
            assigned: Vec::new(),
            known: FxHashMap::default(),
            function: Fun(0),
            filled: Vec::new(),
            dead: false,
        }
    }

    /// What is said of classes outside of them.
    fn outside_of_classes(&mut self) {
        self.function = self.solver.fun(self.id, FunctionId(0));
        for (at, member) in self.unit.members.iter().enumerate() {
            let ty = self.eval(member.ty);
            self.solver.add_use(ty, Use::Given(self.id, at as u32));
        }
        for (ty, base) in &self.unit.implements {
            let (ty, base) = (self.eval(*ty), self.eval(*base));
            self.solver.add_use(ty, Use::Inherit(base));
        }
    }

    fn function(&mut self, id: FunctionId) {
        let function = &self.unit.functions[id.index()];
        self.function = self.solver.fun(self.id, id);
        self.log.clear();
        self.assigned.clear();
        self.forget();
        self.dead = false;
        for (at, param) in self.unit.params(function.params).iter().enumerate() {
            let cell = self.solver.functions[self.function.index()].params[at].cell;
            if let Some(ty) = param.ty {
                let ty = self.eval(ty);
                self.solver.add_use(ty, Use::Instance(cell, self.id));
            }
            if let Some(default) = param.default {
                let default = self.eval(default);
                self.solver.flow(default, cell);
            }
            self.assign(param.target, cell);
        }
        if let Some(ty) = function.returns {
            let (ty, returned) = (self.eval(ty), self.solver.functions[self.function.index()].returned);
            self.solver.add_use(ty, Use::Instance(returned, self.id));
        }
        self.block(function.body);
    }

    pub(super) fn site(&self, expr: ExprId) -> Site {
        Site { unit: self.id, function: self.function, expr, line: self.unit.expr(expr).line }
    }

    /// Anything may have changed what objects hold.
    pub(super) fn forget(&mut self) {
        if !self.known.is_empty() {
            self.known.clear();
        }
    }

    /// The value of a variable here.
    pub(super) fn read_var(&self, var: usize) -> CellId {
        let current = self.current[var];
        let owned = &self.solver.bindings[self.id.index()].vars[var];
        let own = self.solver.fun(self.id, owned.function) == self.function;
        if own && !owned.foreign && current != NOTHING {
            return current;
        }
        self.solver.vars[self.id.index()][var]
    }

    pub(super) fn define(&mut self, var: usize, cell: CellId) {
        let shared = self.solver.bindings[self.id.index()].vars[var].shared;
        self.log.push((var as u32, self.current[var]));
        self.assigned.push((var as u32, cell));
        self.current[var] = cell;
        if shared {
            let all = self.solver.vars[self.id.index()][var];
            self.solver.flow(cell, all);
        }
    }

    pub(super) fn block(&mut self, block: Block) {
        for stmt in self.unit.block(block) {
            self.statement(*stmt);
        }
    }

    fn statement(&mut self, id: StmtId) {
        match self.unit.stmt(id).kind {
            StmtKind::Expr(value) => {
                self.eval(value);
            }
            StmtKind::Assign { target, value, op, ty } => self.assignment(target, value, op.is_some(), ty),
            StmtKind::Branch(branches) => self.branch(branches),
            StmtKind::Loop(id) => self.repeat(self.unit.loops[id.index()]),
            StmtKind::Try { body, handlers, otherwise, finally } => {
                self.attempt(body, handlers, otherwise, finally);
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    let value = self.eval(value);
                    let returned = self.solver.functions[self.function.index()].returned;
                    self.solver.flow(value, returned);
                }
                self.dead = true;
            }
            StmtKind::Raise(value) => {
                if let Some(value) = value {
                    self.raise(value);
                }
                self.dead = true;
            }
            StmtKind::Emit(key, value) => self.emit(key, value),
            StmtKind::ExportsAre(value) => {
                let value = self.eval(value);
                let module = self.solver.values.id(Value::Module(self.id));
                let place = self.solver.field(module, Key::EXPORTS);
                self.solver.flow(value, place);
            }
            StmtKind::Break | StmtKind::Continue => self.dead = true,
        }
    }

    fn assignment(&mut self, target: ExprId, value: Option<ExprId>, compound: bool, ty: Option<ExprId>) {
        let mut cell = value.map_or(NOTHING, |value| self.eval(value));
        if compound {
            let before = self.eval(target);
            cell = self.kind_of(&[before, cell]);
        }
        if let Some(ty) = ty {
            let ty = self.eval(ty);
            let both = self.solver.cell();
            self.solver.flow(cell, both);
            self.solver.add_use(ty, Use::Instance(both, self.id));
            cell = both;
        }
        if value.is_some() || ty.is_some() {
            self.assign(target, cell);
        }
    }

    /// Adds to the comprehension around it.
    fn emit(&mut self, key: Option<ExprId>, value: ExprId) {
        let key = key.map(|key| self.eval(key));
        let value = self.eval(value);
        let Some(object) = self.filled.last().copied() else { return };
        let place = self.solver.field(object, Key::ANY);
        self.solver.flow(value, place);
        if let Some(key) = key {
            let keys = self.solver.field(object, Key::KEYS);
            self.solver.flow(key, keys);
            let base = self.solver.constant_of(object);
            let (at, key) = (self.site_of_function(), KeyOf::Computed(key));
            self.solver.write(super::uses::Access { base, key, cell: value, at, called: false });
        }
    }

    fn site_of_function(&self) -> Site {
        Site { unit: self.id, function: self.function, expr: ExprId(0), line: 0 }
    }

    /// Walks ways of which one is taken. `all` says that one of them is, in any case.
    fn ways(&mut self, all: bool, count: usize, mut walk: impl FnMut(&mut Self, usize)) {
        let (mark, was_dead) = (self.log.len(), self.dead);
        // For each way that goes on: what it assigned, by variable.
        let mut ends: Vec<Vec<(u32, CellId)>> = Vec::new();
        for way in 0..count {
            self.dead = was_dead;
            self.forget();
            walk(self, way);
            let end = self.undo(mark);
            if !self.dead {
                ends.push(end);
            }
        }
        self.forget();
        if !all {
            ends.push(Vec::new());
        }
        self.dead = was_dead || ends.is_empty();
        self.join(ends);
    }

    /// Takes back what was assigned since the mark, and tells what each variable had in the end.
    fn undo(&mut self, mark: usize) -> Vec<(u32, CellId)> {
        let mut end = Vec::new();
        while self.log.len() > mark {
            let Some((var, before)) = self.log.pop() else { break };
            end.push((var, self.current[var as usize]));
            self.current[var as usize] = before;
        }
        // The last assignment of each variable was met first.
        end.sort_by_key(|(var, _)| *var);
        end.dedup_by_key(|(var, _)| *var);
        end
    }

    /// What each way assigned meets what the others left as it was.
    fn join(&mut self, ends: Vec<Vec<(u32, CellId)>>) {
        let mut changed: Vec<u32> = ends.iter().flatten().map(|(var, _)| *var).collect();
        changed.sort_unstable();
        changed.dedup();
        for var in changed {
            let before = self.current[var as usize];
            let of = |end: &Vec<(u32, CellId)>| match end.binary_search_by_key(&var, |(var, _)| *var) {
                Ok(at) => end[at].1,
                Err(_) => before,
            };
            let mut cells: Vec<CellId> = ends.iter().map(of).filter(|cell| *cell != NOTHING).collect();
            cells.sort_unstable();
            cells.dedup();
            let cell = self.either(&cells);
            self.log.push((var, before));
            self.current[var as usize] = cell;
        }
    }

    /// A cell that has the values of all.
    pub(super) fn either(&mut self, cells: &[CellId]) -> CellId {
        if let [one] = cells {
            return *one;
        }
        if cells.iter().all(|cell| *cell == NOTHING) {
            return NOTHING;
        }
        let both = self.solver.cell();
        cells.iter().for_each(|cell| self.solver.flow(*cell, both));
        both
    }

    fn branch(&mut self, branches: Run<Branch>) {
        let branches: &'p [Branch] = self.unit.branches(branches);
        if let Some(first) = branches.first().and_then(|branch| branch.condition) {
            self.eval(first);
        }
        let all = branches.last().is_some_and(|branch| branch.condition.is_none());
        self.ways(all, branches.len(), |flow, way| {
            if let Some(condition) = branches[way].condition.filter(|_| way > 0) {
                flow.eval(condition);
            }
            flow.block(branches[way].body);
        });
    }

    fn attempt(&mut self, body: Block, handlers: Run<Handler>, otherwise: Block, finally: Block) {
        let handlers: &'p [Handler] = self.unit.handlers(handlers);
        let (mark, undone, was_dead) = (self.assigned.len(), self.log.len(), self.dead);
        self.block(body);
        self.block(otherwise);
        let body_dead = self.dead;
        // What each variable had before, and all that it was assigned.
        let mut may_have = self.log[undone..].to_vec();
        may_have.extend_from_slice(&self.assigned[mark..]);
        let handler = |flow: &mut Self, way: usize| {
            // A failure may come at any point of the body.
            flow.maybe(&may_have);
            if let Some(ty) = handlers[way].ty {
                flow.handle(ty, handlers[way].target);
            }
            flow.block(handlers[way].body);
        };
        self.dead = was_dead;
        self.ways(body_dead, handlers.len(), handler);
        self.block(finally);
    }

    fn maybe(&mut self, may_have: &[(u32, CellId)]) {
        let mut by_var = may_have.to_vec();
        by_var.sort_unstable();
        by_var.dedup();
        for group in by_var.chunk_by(|a, b| a.0 == b.0) {
            let var = group[0].0 as usize;
            let cells: Vec<CellId> =
                group.iter().map(|(_, cell)| *cell).filter(|cell| *cell != NOTHING).collect();
            let cell = self.either(&cells);
            self.log.push((var as u32, self.current[var]));
            self.current[var] = cell;
        }
    }

    fn handle(&mut self, ty: ExprId, target: Option<ExprId>) {
        let ty = self.eval(ty);
        if let Some(target) = target {
            let caught = self.solver.cell();
            self.solver.add_use(ty, Use::Instance(caught, self.id));
            self.assign(target, caught);
        }
    }

    fn repeat(&mut self, one: Loop) {
        if let LoopKind::Counted { start, .. } = one.kind {
            self.block(start);
        }
        let iterated = match one.kind {
            LoopKind::Each { iterated, .. } | LoopKind::EachKey { iterated, .. } => Some(self.eval(iterated)),
            _ => None,
        };
        let (mark, was_dead) = (self.assigned.len(), self.dead);
        let heads = self.heads(&one);
        self.forget();
        self.round(&one, iterated);
        self.forget();
        // Whatever the body assigns is there at the head of the next round, and behind the loop.
        for at in mark..self.assigned.len() {
            let (var, cell) = self.assigned[at];
            if let Some(head) = heads.get(&var) {
                self.solver.flow(cell, *head);
            }
        }
        for (var, head) in heads {
            self.log.push((var, self.current[var as usize]));
            self.current[var as usize] = head;
        }
        self.dead = was_dead;
        self.block(one.otherwise);
    }

    fn round(&mut self, one: &Loop, iterated: Option<CellId>) {
        match one.kind {
            LoopKind::Each { target, iterated: expr } => {
                let element = self.solver.cell();
                let at = self.site(expr);
                self.solver.elements(iterated.unwrap_or(NOTHING), element, at);
                self.assign(target, element);
            }
            LoopKind::EachKey { target, .. } => {
                let key = self.solver.constant(Value::SomeText);
                self.assign(target, key);
            }
            LoopKind::While(condition) | LoopKind::Counted { condition: Some(condition), .. } => {
                self.eval(condition);
            }
            LoopKind::DoWhile(_) | LoopKind::Counted { .. } | LoopKind::Forever => {}
        }
        self.block(one.body);
        match one.kind {
            LoopKind::Counted { step, .. } => self.block(step),
            LoopKind::DoWhile(condition) => {
                self.eval(condition);
            }
            _ => {}
        }
    }

    /// For each variable that a loop assigns, a cell for its head.
    fn heads(&mut self, one: &Loop) -> FxHashMap<u32, CellId> {
        let mut heads = FxHashMap::default();
        for var in super::assigned::vars(self.unit, &self.solver.bindings[self.id.index()], one) {
            if heads.contains_key(&var) {
                continue;
            }
            let head = self.solver.cell();
            self.solver.flow(self.current[var as usize], head);
            self.log.push((var, self.current[var as usize]));
            self.current[var as usize] = head;
            heads.insert(var, head);
        }
        heads
    }
}
