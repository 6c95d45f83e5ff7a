//! Loops and what stands in them. In: a function's body. Out: for each loop how deep it stands, for each call in how many
//! loops it stands. Recursion is safe: the syntax was cut at a depth before.

use crate::graph::ir::{Block, ExprId, ExprKind, Literal, LoopKind, Run, StmtId, StmtKind, Unit};

/// What is met on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// A loop in so many others.
    Loop(usize),
    /// An expression that may call something, in so many loops.
    Call(ExprId, usize),
}

/// Walks a body in the order of the text.
pub(super) fn walk(unit: &Unit, body: Block, met: &mut dyn FnMut(Met)) {
    Walk { unit, met }.block(body, 0);
}

struct Walk<'u, 'f> {
    unit: &'u Unit,
    met: &'f mut dyn FnMut(Met),
}

impl Walk<'_, '_> {
    fn block(&mut self, block: Block, depth: usize) {
        let unit = self.unit;
        for stmt in unit.block(block) {
            self.stmt(*stmt, depth);
        }
    }

    fn stmt(&mut self, stmt: StmtId, depth: usize) {
        let unit = self.unit;
        match unit.stmt(stmt).kind {
            StmtKind::Expr(expr) | StmtKind::ExportsAre(expr) => self.expr(expr, depth),
            StmtKind::Assign { target, value, .. } => self.all([Some(target), value], depth),
            StmtKind::Branch(branches) => {
                for branch in unit.branches(branches) {
                    self.all([branch.condition], depth);
                    self.block(branch.body, depth);
                }
            }
            StmtKind::Loop(id) => self.of_loop(unit.loops[id.index()], depth),
            StmtKind::Try { body, handlers, otherwise, finally } => {
                self.block(body, depth);
                for handler in unit.handlers(handlers) {
                    self.block(handler.body, depth);
                }
                self.block(otherwise, depth);
                self.block(finally, depth);
            }
            StmtKind::Block(block) => self.block(block, depth),
            StmtKind::Return(value) | StmtKind::Raise(value) => self.all([value], depth),
            StmtKind::Emit(key, value) => self.all([key, Some(value)], depth),
            StmtKind::Break | StmtKind::Continue => {}
        }
    }

    fn of_loop(&mut self, one: crate::graph::ir::Loop, depth: usize) {
        (self.met)(Met::Loop(depth));
        match one.kind {
            LoopKind::Each { iterated, .. } | LoopKind::EachKey { iterated, .. } => {
                self.expr(iterated, depth)
            }
            LoopKind::While(condition) | LoopKind::DoWhile(condition) => self.expr(condition, depth + 1),
            LoopKind::Counted { start, condition, step } => {
                self.block(start, depth);
                self.all([condition], depth + 1);
                self.block(step, depth + 1);
            }
            LoopKind::Forever => {}
        }
        self.block(one.body, depth + 1);
        self.block(one.otherwise, depth);
    }

    fn all<const N: usize>(&mut self, exprs: [Option<ExprId>; N], depth: usize) {
        exprs.into_iter().flatten().for_each(|expr| self.expr(expr, depth));
    }

    fn list(&mut self, exprs: Run<ExprId>, depth: usize) {
        let unit = self.unit;
        unit.exprs_of(exprs).iter().for_each(|expr| self.expr(*expr, depth));
    }

    fn expr(&mut self, expr: ExprId, depth: usize) {
        let unit = self.unit;
        (self.met)(Met::Call(expr, depth));
        match unit.expr(expr).kind {
            ExprKind::Unknown(list)
            | ExprKind::Collection(_, list)
            | ExprKind::Literal(Literal::SomeText(list)) => self.list(list, depth),
            ExprKind::Attr(object, _)
            | ExprKind::Unary(_, object)
            | ExprKind::YieldFrom(object)
            | ExprKind::Await(object)
            | ExprKind::Spread(object)
            | ExprKind::Enter(object)
            | ExprKind::Cast(object, _) => self.expr(object, depth),
            ExprKind::Index(one, two) | ExprKind::Binary(_, one, two) | ExprKind::Assign(one, two) => {
                self.all([Some(one), Some(two)], depth);
            }
            ExprKind::Slice(object, from, to) => self.all([Some(object), from, to], depth),
            ExprKind::Call(_, callee, args) => {
                self.expr(callee, depth);
                unit.args(args).iter().for_each(|arg| self.expr(arg.value, depth));
            }
            ExprKind::Class(class) => self.block(unit.classes[class.index()].body, depth),
            ExprKind::Map(_, entries) => {
                unit.entries(entries)
                    .iter()
                    .for_each(|entry| self.all([entry.key, Some(entry.value)], depth));
            }
            ExprKind::Comprehension(_, block) => self.block(block, depth),
            ExprKind::Conditional(one, two, three) => self.all([Some(one), Some(two), Some(three)], depth),
            ExprKind::Yield(value) => self.all([value], depth),
            // A function's body is walked as its own; the others hold nothing.
            ExprKind::Function(_)
            | ExprKind::Literal(_)
            | ExprKind::Name(..)
            | ExprKind::Import(_)
            | ExprKind::Exports
            | ExprKind::Receiver
            | ExprKind::Super
            | ExprKind::InstanceOf(_) => {}
        }
    }
}
