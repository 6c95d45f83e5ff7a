//! From definitions to uses. In: the functions of a program, and what their calls reach. Out: edges from where a value
//! enters a function, its parameters and the returns of what it calls, to where it leaves it, the arguments of its calls
//! and its own return. What lies between, in variables and expressions, is followed and left out. Values are not
//! followed through objects' attributes and module variables.

use rustc_hash::FxHashMap;

use super::code::{EdgeKind, NodeId, NodeKind};
use super::emit::Emit;
use super::ir::{
    Arg, Block, ExprId, ExprKind, Function, FunctionId, Literal, Loop, LoopKind, ParamKind, Spread, StmtId,
    StmtKind, Unit, UnitId,
};
use super::language;
use super::resolve::{Bindings, Call, Target};

/// Where values come from, in one function; those beyond are not followed.
const ORIGINS_MAX: usize = 64;

/// Where a value enters a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    Param(u32),
    /// What a function of the program returns.
    Returned(NodeId),
    /// A function of a library, for what it returns.
    Library(NodeId),
}

/// Some of a function's origins.
type Origins = u64;

/// Nodes that are made when an edge needs them.
#[derive(Default)]
struct Ends {
    params: FxHashMap<(NodeId, u32), NodeId>,
    returns: FxHashMap<NodeId, NodeId>,
}

/// Adds the edges.
pub(super) fn reach(emit: &mut Emit<'_>) {
    let (program, resolution) = (emit.program, emit.resolution);
    let mut ends = Ends::default();
    for (at, unit) in program.units.iter().enumerate() {
        let id = UnitId::of(at);
        let bindings = &resolution.bindings[at];
        let mut vars = vec![0; bindings.vars.len()];
        let start = resolution.calls.partition_point(|call| call.unit < id);
        let end = resolution.calls.partition_point(|call| call.unit <= id);
        let calls = &resolution.calls[start..end];
        for (number, function) in unit.functions.iter().enumerate() {
            let node = emit.function_node(resolution.function(id, FunctionId::of(number)));
            let mut walk = Walk {
                emit,
                ends: &mut ends,
                unit,
                bindings,
                calls,
                node,
                function: FunctionId::of(number),
                vars: &mut vars,
                origins: Vec::new(),
                loops: false,
                last: false,
            };
            walk.function(function);
        }
    }
}

struct Walk<'w, 'p> {
    emit: &'w mut Emit<'p>,
    ends: &'w mut Ends,
    unit: &'p Unit,
    bindings: &'p Bindings,
    calls: &'p [Call],
    node: NodeId,
    function: FunctionId,
    /// The origins of what each variable of the unit may have; those of other functions are not looked at.
    vars: &'w mut [Origins],
    origins: Vec<Origin>,
    /// The function has loops: what is assigned late may be used early.
    loops: bool,
    /// Edges are made in the last walk.
    last: bool,
}

impl<'p> Walk<'_, 'p> {
    fn function(&mut self, function: &Function) {
        for (at, param) in self.unit.params(function.params).iter().enumerate() {
            let origin = self.origin(Origin::Param(at as u32));
            self.assign(param.target, origin);
        }
        self.block(function.body);
        if self.loops {
            self.block(function.body);
        }
        self.last = true;
        self.block(function.body);
    }

    fn origin(&mut self, origin: Origin) -> Origins {
        let at = self.origins.iter().position(|one| *one == origin).unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        });
        if at < ORIGINS_MAX { 1 << at } else { 0 }
    }

    fn param_node(&mut self, function: NodeId, at: u32, name: &str) -> NodeId {
        if let Some(node) = self.ends.params.get(&(function, at)) {
            return *node;
        }
        let node = self.emit.node_in(function, NodeKind::Parameter, name);
        self.ends.params.insert((function, at), node);
        node
    }

    fn return_node(&mut self, function: NodeId) -> NodeId {
        if let Some(node) = self.ends.returns.get(&function) {
            return *node;
        }
        let node = self.emit.node_in(function, NodeKind::Return, "<return>");
        self.ends.returns.insert(function, node);
        node
    }

    fn edges(&mut self, origins: Origins, to: NodeId, certain: bool, line: u32) {
        let mut left = origins;
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let from = match self.origins[at as usize] {
                Origin::Param(param) => {
                    let own = &self.unit.functions[self.function.index()];
                    let name = self.unit.params(own.params)[param as usize].name;
                    let name = self.emit.program.names.text(name);
                    self.param_node(self.node, param, name)
                }
                Origin::Returned(function) => self.return_node(function),
                Origin::Library(function) => function,
            };
            self.emit.edge(from, to, EdgeKind::Reaches, certain, line);
        }
    }

    fn block(&mut self, block: Block) {
        let unit = self.unit;
        unit.block(block).iter().for_each(|stmt| self.statement(*stmt));
    }

    fn statement(&mut self, id: StmtId) {
        let (unit, line) = (self.unit, self.unit.stmt(id).line);
        match unit.stmt(id).kind {
            StmtKind::Expr(value) | StmtKind::ExportsAre(value) => {
                self.eval(value);
            }
            StmtKind::Assign { target, value, op, .. } => {
                let mut origins = value.map_or(0, |value| self.eval(value));
                if op.is_some() {
                    origins |= self.eval(target);
                }
                self.assign(target, origins);
            }
            StmtKind::Branch(branches) => {
                for branch in unit.branches(branches) {
                    branch.condition.map(|condition| self.eval(condition));
                    self.block(branch.body);
                }
            }
            StmtKind::Loop(id) => self.repeat(&unit.loops[id.index()]),
            StmtKind::Try { body, handlers, otherwise, finally } => {
                self.block(body);
                unit.handlers(handlers).iter().for_each(|handler| self.block(handler.body));
                self.block(otherwise);
                self.block(finally);
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Return(value) => {
                let origins = value.map_or(0, |value| self.eval(value));
                self.leave(origins, line);
            }
            StmtKind::Raise(value) => {
                value.map(|value| self.eval(value));
            }
            StmtKind::Emit(key, value) => {
                key.map(|key| self.eval(key));
                self.eval(value);
            }
            StmtKind::Break | StmtKind::Continue => {}
        }
    }

    fn leave(&mut self, origins: Origins, line: u32) {
        // A module returns nothing to anybody.
        if self.last && origins != 0 && self.function != FunctionId(0) {
            let to = self.return_node(self.node);
            self.edges(origins, to, true, line);
        }
    }

    fn repeat(&mut self, one: &Loop) {
        self.loops = true;
        match one.kind {
            LoopKind::Each { target, iterated } | LoopKind::EachKey { target, iterated } => {
                let origins = self.eval(iterated);
                self.assign(target, origins);
            }
            LoopKind::While(condition) | LoopKind::DoWhile(condition) => {
                self.eval(condition);
            }
            LoopKind::Counted { start, condition, step } => {
                self.block(start);
                condition.map(|condition| self.eval(condition));
                self.block(step);
            }
            LoopKind::Forever => {}
        }
        self.block(one.body);
        self.block(one.otherwise);
    }

    fn assign(&mut self, target: ExprId, origins: Origins) {
        let unit = self.unit;
        match unit.expr(target).kind {
            ExprKind::Name(..) => {
                let own = |var: &usize| self.bindings.vars[*var].function == self.function;
                if let Some(var) = self.bindings.var(target).filter(own) {
                    self.vars[var] |= origins;
                }
            }
            ExprKind::Collection(_, parts) => {
                unit.exprs_of(parts).iter().for_each(|part| self.assign(*part, origins));
            }
            ExprKind::Map(_, entries) => {
                unit.entries(entries).iter().for_each(|entry| self.assign(entry.value, origins));
            }
            ExprKind::Spread(inner) => self.assign(inner, origins),
            ExprKind::Assign(inner, default) => {
                let default = self.eval(default);
                self.assign(inner, origins | default);
            }
            // What is put into a container or an object may be taken out of the variable that has it.
            ExprKind::Index(object, key) => {
                self.eval(key);
                self.assign(object, origins);
            }
            ExprKind::Attr(object, _) => {
                self.eval(object);
            }
            _ => {}
        }
    }

    fn eval_all(&mut self, parts: &[ExprId]) -> Origins {
        parts.iter().fold(0, |origins, part| origins | self.eval(*part))
    }

    fn eval(&mut self, id: ExprId) -> Origins {
        let unit = self.unit;
        match unit.expr(id).kind {
            ExprKind::Unknown(parts) | ExprKind::Collection(_, parts) => self.eval_all(unit.exprs_of(parts)),
            ExprKind::Literal(Literal::SomeText(parts)) => self.eval_all(unit.exprs_of(parts)),
            ExprKind::Name(..) => {
                let own = |var: &usize| self.bindings.vars[*var].function == self.function;
                self.bindings.var(id).filter(own).map_or(0, |var| self.vars[var])
            }
            ExprKind::Call(_, callee, args) => self.call(id, callee, unit.args(args)),
            ExprKind::Class(class) => {
                self.block(unit.classes[class.index()].body);
                0
            }
            ExprKind::Map(_, entries) => unit.entries(entries).iter().fold(0, |origins, entry| {
                let key = entry.key.map_or(0, |key| self.eval(key));
                origins | key | self.eval(entry.value)
            }),
            ExprKind::Comprehension(_, block) => self.comprehension(block),
            ExprKind::Attr(one, _)
            | ExprKind::Unary(_, one)
            | ExprKind::Await(one)
            | ExprKind::Spread(one)
            | ExprKind::Enter(one)
            | ExprKind::Cast(one, _) => self.eval(one),
            ExprKind::Binary(_, one, other) => self.eval(one) | self.eval(other),
            // Which element it is does not make it come from the key.
            ExprKind::Index(one, key) => {
                self.eval(key);
                self.eval(one)
            }
            ExprKind::Slice(one, from, to) => {
                from.into_iter().chain(to).for_each(|end| {
                    self.eval(end);
                });
                self.eval(one)
            }
            ExprKind::Conditional(condition, one, other) => {
                self.eval(condition);
                self.eval(one) | self.eval(other)
            }
            ExprKind::Assign(target, value) => {
                let origins = self.eval(value);
                self.assign(target, origins);
                origins
            }
            ExprKind::Yield(value) => {
                let origins = value.map_or(0, |value| self.eval(value));
                self.leave(origins, unit.expr(id).line);
                0
            }
            ExprKind::YieldFrom(value) => {
                let origins = self.eval(value);
                self.leave(origins, unit.expr(id).line);
                0
            }
            ExprKind::Literal(_)
            | ExprKind::Function(_)
            | ExprKind::Import(_)
            | ExprKind::Exports
            | ExprKind::Receiver
            | ExprKind::Super
            | ExprKind::InstanceOf(_) => 0,
        }
    }

    /// What a comprehension emits, and what it iterates: an element may be either.
    fn comprehension(&mut self, block: Block) -> Origins {
        let mut open: Vec<StmtId> = self.unit.block(block).to_vec();
        let mut origins = 0;
        while let Some(id) = open.pop() {
            match self.unit.stmt(id).kind {
                StmtKind::Emit(key, value) => {
                    origins |= key.map_or(0, |key| self.eval(key));
                    origins |= self.eval(value);
                }
                StmtKind::Loop(id) => {
                    let one = self.unit.loops[id.index()];
                    if let LoopKind::Each { target, iterated } = one.kind {
                        let iterated = self.eval(iterated);
                        self.assign(target, iterated);
                    }
                    open.extend(self.unit.block(one.body));
                }
                StmtKind::Branch(branches) => {
                    for branch in self.unit.branches(branches) {
                        branch.condition.map(|condition| self.eval(condition));
                        open.extend(self.unit.block(branch.body));
                    }
                }
                _ => self.statement(id),
            }
        }
        origins
    }

    fn call(&mut self, id: ExprId, callee: ExprId, args: &[Arg]) -> Origins {
        let (receiver, line) = (self.eval(callee), self.unit.expr(id).line);
        let given: Vec<Origins> = args.iter().map(|arg| self.eval(arg.value)).collect();
        let all = given.iter().fold(receiver, |all, one| all | one);
        let start = self.calls.partition_point(|call| call.expr < id);
        let calls: &'p [Call] = self.calls;
        let reached = calls[start..].iter().take_while(|call| call.expr == id);
        let (mut result, mut known) = (0, false);
        for call in reached {
            known = true;
            match call.target {
                Target::Function(function) => {
                    let node = self.emit.function_node(function);
                    if self.last && all != 0 {
                        self.give(call, node, receiver, args, &given);
                    }
                    result |= self.origin(Origin::Returned(node));
                }
                Target::Library(path) => {
                    result |= all;
                    // What the language itself has only hands values on.
                    if let Some(node) =
                        self.emit.library_node(path).filter(|_| !self.emit.is_builtin(self.unit, path))
                    {
                        if self.last {
                            self.edges(all, node, call.certain, line);
                        }
                        result |= self.origin(Origin::Library(node));
                    }
                }
            }
        }
        if known { result } else { all }
    }

    /// Arguments come to be parameters.
    fn give(&mut self, call: &Call, node: NodeId, receiver: Origins, args: &[Arg], given: &[Origins]) {
        let Target::Function(function) = call.target else { return };
        let Some((unit, callee)) = self.emit.function_source(function) else { return };
        let params = unit.params(callee.params);
        let takes_receiver = language::of(unit.language).rules().receiver_is_parameter;
        let shift = usize::from(takes_receiver && callee.flags.method && !callee.flags.fixed);
        let names = &self.emit.program.names;
        let mut flows = Vec::new();
        if shift == 1 && receiver != 0 && !params.is_empty() {
            flows.push((0, receiver));
        }
        let mut position = shift;
        for (arg, origins) in args.iter().zip(given) {
            let at = match (arg.spread, arg.name) {
                (Spread::No, Some(name)) => params.iter().position(|param| param.name == name),
                (Spread::Entries, _) => params.iter().position(|param| param.kind == ParamKind::NamedRest),
                _ => {
                    position += 1;
                    let rest = params.iter().position(|param| param.kind == ParamKind::Rest);
                    let one = params.get(position - 1).filter(|param| param.kind == ParamKind::One);
                    one.map(|_| position - 1).or(rest)
                }
            };
            flows.extend(at.filter(|_| *origins != 0).map(|at| (at, *origins)));
        }
        for (at, origins) in flows {
            let name = names.text(params[at].name);
            let to = self.param_node(node, at as u32, name);
            self.edges(origins, to, call.certain, call.line);
        }
    }
}
