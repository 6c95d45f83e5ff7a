//! What stands in what. In: a statement or an expression. Out: the statements and expressions directly in it, in the order
//! of the text, or all below it. Bodies of functions are not entered: they run when they are called.

use crate::graph::ir::{Block, ExprId, ExprKind, Literal, LoopId, LoopKind, StmtId, StmtKind, Unit};

/// A statement or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Stmt(StmtId),
    Expr(ExprId),
}

/// The statements of a block.
pub(super) fn of_block(unit: &Unit, block: Block) -> impl Iterator<Item = Part> {
    unit.block(block).iter().map(|stmt| Part::Stmt(*stmt))
}

/// What stands directly in a part.
pub(super) fn of(unit: &Unit, part: Part, out: &mut Vec<Part>) {
    match part {
        Part::Stmt(id) => of_stmt(unit, unit.stmt(id).kind, out),
        Part::Expr(id) => of_expr(unit, unit.expr(id).kind, out),
    }
}

fn of_stmt(unit: &Unit, kind: StmtKind, out: &mut Vec<Part>) {
    match kind {
        StmtKind::Expr(value) | StmtKind::ExportsAre(value) => out.push(Part::Expr(value)),
        StmtKind::Assign { target, value, .. } => {
            out.extend(value.map(Part::Expr));
            out.push(Part::Expr(target));
        }
        StmtKind::Branch(branches) => {
            for branch in unit.branches(branches) {
                out.extend(branch.condition.map(Part::Expr));
                out.extend(of_block(unit, branch.body));
            }
        }
        StmtKind::Loop(id) => {
            head(unit, id, out);
            rounds(unit, id, out);
            out.extend(of_block(unit, unit.loops[id.index()].otherwise));
        }
        StmtKind::Try { body, handlers, otherwise, finally } => {
            out.extend(of_block(unit, body));
            for handler in unit.handlers(handlers) {
                out.extend(of_block(unit, handler.body));
            }
            out.extend(of_block(unit, otherwise));
            out.extend(of_block(unit, finally));
        }
        StmtKind::Block(block) => out.extend(of_block(unit, block)),
        StmtKind::Return(value) | StmtKind::Raise(value) => out.extend(value.map(Part::Expr)),
        StmtKind::Emit(key, value) => {
            out.extend(key.map(Part::Expr));
            out.push(Part::Expr(value));
        }
        StmtKind::Break | StmtKind::Continue => {}
    }
}

/// What a loop does once, before its first round.
pub(super) fn head(unit: &Unit, id: LoopId, out: &mut Vec<Part>) {
    match unit.loops[id.index()].kind {
        LoopKind::Each { iterated, .. } | LoopKind::EachKey { iterated, .. } => {
            out.push(Part::Expr(iterated))
        }
        LoopKind::Counted { start, .. } => out.extend(of_block(unit, start)),
        LoopKind::While(_) | LoopKind::DoWhile(_) | LoopKind::Forever => {}
    }
}

/// What a loop does in each round.
pub(super) fn rounds(unit: &Unit, id: LoopId, out: &mut Vec<Part>) {
    let one = unit.loops[id.index()];
    match one.kind {
        LoopKind::Each { target, .. } | LoopKind::EachKey { target, .. } => out.push(Part::Expr(target)),
        LoopKind::While(condition) | LoopKind::DoWhile(condition) => out.push(Part::Expr(condition)),
        LoopKind::Counted { condition, .. } => out.extend(condition.map(Part::Expr)),
        LoopKind::Forever => {}
    }
    out.extend(of_block(unit, one.body));
    if let LoopKind::Counted { step, .. } = one.kind {
        out.extend(of_block(unit, step));
    }
}

fn of_expr(unit: &Unit, kind: ExprKind, out: &mut Vec<Part>) {
    let mut push = |id: ExprId| out.push(Part::Expr(id));
    match kind {
        ExprKind::Unknown(run) | ExprKind::Literal(Literal::SomeText(run)) | ExprKind::Collection(_, run) => {
            unit.exprs_of(run).iter().for_each(|id| push(*id));
        }
        ExprKind::Attr(value, _)
        | ExprKind::Unary(_, value)
        | ExprKind::Yield(Some(value))
        | ExprKind::YieldFrom(value)
        | ExprKind::Await(value)
        | ExprKind::Spread(value)
        | ExprKind::Enter(value) => push(value),
        ExprKind::Index(one, other) | ExprKind::Binary(_, one, other) | ExprKind::Cast(one, other) => {
            push(one);
            push(other);
        }
        ExprKind::Assign(target, value) => {
            push(value);
            push(target);
        }
        ExprKind::Slice(value, from, to) => {
            push(value);
            from.into_iter().chain(to).for_each(push);
        }
        ExprKind::Call(_, callee, args) => {
            push(callee);
            unit.args(args).iter().for_each(|arg| push(arg.value));
        }
        ExprKind::Map(_, entries) => {
            for entry in unit.entries(entries) {
                entry.key.into_iter().for_each(&mut push);
                push(entry.value);
            }
        }
        ExprKind::Comprehension(_, block) => out.extend(of_block(unit, block)),
        ExprKind::Class(class) => out.extend(of_block(unit, unit.classes[class.index()].body)),
        ExprKind::Conditional(condition, one, other) => {
            push(condition);
            push(one);
            push(other);
        }
        ExprKind::Literal(_)
        | ExprKind::Name(..)
        | ExprKind::Function(_)
        | ExprKind::Yield(None)
        | ExprKind::Import(_)
        | ExprKind::Exports
        | ExprKind::Receiver
        | ExprKind::Super
        | ExprKind::InstanceOf(_) => {}
    }
}

/// Visits parts and all below them, the outer first, until the visitor has had enough or the budget is spent.
pub(super) fn each(unit: &Unit, mut open: Vec<Part>, budget: &mut usize, visit: &mut dyn FnMut(Part)) {
    open.reverse();
    let mut inner = Vec::new();
    while let Some(part) = open.pop() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        visit(part);
        of(unit, part, &mut inner);
        open.extend(inner.drain(..).rev());
    }
}

/// All parts of a loop: its condition, its step and its body.
pub(super) fn of_loop(unit: &Unit, id: LoopId) -> Vec<Part> {
    let mut parts = Vec::new();
    rounds(unit, id, &mut parts);
    parts
}
