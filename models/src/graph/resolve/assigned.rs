//! What a loop assigns. In: a loop. Out: the variables that its statements assign, those in expressions among them, in
//! no order and perhaps more than once. Functions that are made in it are not entered.

use super::bind::Bindings;
use crate::graph::ir::{Block, ExprId, ExprKind, Literal, Loop, LoopKind, StmtKind, Unit};

/// The variables.
pub(super) fn vars(unit: &Unit, bindings: &Bindings, one: &Loop) -> Vec<u32> {
    let mut walk = Walk { unit, bindings, vars: Vec::new(), blocks: Vec::new(), exprs: Vec::new() };
    walk.enter(one);
    walk.run();
    walk.vars
}

struct Walk<'a> {
    unit: &'a Unit,
    bindings: &'a Bindings,
    vars: Vec<u32>,
    blocks: Vec<Block>,
    exprs: Vec<ExprId>,
}

impl Walk<'_> {
    fn run(&mut self) {
        loop {
            if let Some(expr) = self.exprs.pop() {
                self.expr(expr);
            } else if let Some(block) = self.blocks.pop() {
                let unit = self.unit;
                unit.block(block).iter().for_each(|stmt| self.statement(unit.stmt(*stmt).kind));
            } else {
                return;
            }
        }
    }

    fn enter(&mut self, one: &Loop) {
        match one.kind {
            LoopKind::Each { target, iterated } | LoopKind::EachKey { target, iterated } => {
                self.target(target);
                self.exprs.push(iterated);
            }
            LoopKind::While(condition) | LoopKind::DoWhile(condition) => self.exprs.push(condition),
            LoopKind::Counted { start, condition, step } => {
                self.blocks.extend([start, step]);
                self.exprs.extend(condition);
            }
            LoopKind::Forever => {}
        }
        self.blocks.extend([one.body, one.otherwise]);
    }

    fn statement(&mut self, kind: StmtKind) {
        match kind {
            StmtKind::Expr(value) | StmtKind::ExportsAre(value) => self.exprs.push(value),
            StmtKind::Assign { target, value, .. } => {
                self.target(target);
                self.exprs.extend(value);
            }
            StmtKind::Branch(branches) => {
                for branch in self.unit.branches(branches) {
                    self.exprs.extend(branch.condition);
                    self.blocks.push(branch.body);
                }
            }
            StmtKind::Loop(id) => self.enter(&self.unit.loops[id.index()]),
            StmtKind::Try { body, handlers, otherwise, finally } => {
                self.blocks.extend([body, otherwise, finally]);
                for handler in self.unit.handlers(handlers) {
                    handler.target.into_iter().for_each(|target| self.target(target));
                    self.blocks.push(handler.body);
                }
            }
            StmtKind::Block(block) => self.blocks.push(block),
            StmtKind::Return(value) | StmtKind::Raise(value) => self.exprs.extend(value),
            StmtKind::Emit(key, value) => {
                self.exprs.extend(key);
                self.exprs.push(value);
            }
            StmtKind::Break | StmtKind::Continue => {}
        }
    }

    /// Names in it are assigned; what else is in it is evaluated.
    fn target(&mut self, target: ExprId) {
        let mut open = vec![target];
        while let Some(target) = open.pop() {
            match self.unit.expr(target).kind {
                ExprKind::Name(..) => self.vars.extend(self.bindings.var(target).map(|var| var as u32)),
                ExprKind::Collection(_, parts) => open.extend(self.unit.exprs_of(parts)),
                ExprKind::Map(_, entries) => {
                    open.extend(self.unit.entries(entries).iter().map(|entry| entry.value));
                }
                ExprKind::Spread(inner) => open.push(inner),
                ExprKind::Assign(inner, default) => {
                    open.push(inner);
                    self.exprs.push(default);
                }
                _ => self.exprs.push(target),
            }
        }
    }

    fn expr(&mut self, expr: ExprId) {
        let unit = self.unit;
        match unit.expr(expr).kind {
            ExprKind::Assign(target, value) => {
                self.target(target);
                self.exprs.push(value);
            }
            ExprKind::Unknown(parts)
            | ExprKind::Collection(_, parts)
            | ExprKind::Literal(Literal::SomeText(parts)) => self.exprs.extend(unit.exprs_of(parts)),
            ExprKind::Call(_, callee, args) => {
                self.exprs.push(callee);
                self.exprs.extend(unit.args(args).iter().map(|arg| arg.value));
            }
            ExprKind::Map(_, entries) => {
                for entry in unit.entries(entries) {
                    self.exprs.extend(entry.key);
                    self.exprs.push(entry.value);
                }
            }
            ExprKind::Comprehension(_, block) => self.blocks.push(block),
            ExprKind::Class(class) => self.blocks.push(unit.classes[class.index()].body),
            ExprKind::Index(one, other) | ExprKind::Binary(_, one, other) | ExprKind::Cast(one, other) => {
                self.exprs.extend([one, other]);
            }
            ExprKind::Conditional(one, other, third) => self.exprs.extend([one, other, third]),
            ExprKind::Slice(one, other, third) => {
                self.exprs.push(one);
                self.exprs.extend(other.into_iter().chain(third));
            }
            ExprKind::Attr(one, _)
            | ExprKind::Unary(_, one)
            | ExprKind::YieldFrom(one)
            | ExprKind::Await(one)
            | ExprKind::Spread(one)
            | ExprKind::Enter(one) => self.exprs.push(one),
            ExprKind::Yield(one) => self.exprs.extend(one),
            ExprKind::Literal(_)
            | ExprKind::Name(..)
            | ExprKind::Function(_)
            | ExprKind::Import(_)
            | ExprKind::Exports
            | ExprKind::Receiver
            | ExprKind::Super
            | ExprKind::InstanceOf(_) => {}
        }
    }
}
