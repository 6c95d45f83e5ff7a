//! What the rounds of a loop do to its variables. In: a variable and what it is given. Out: whether it goes on by steps, is
//! scaled, follows a chain, or begins anew.

use super::names_in;
use crate::cost::facts::{Given, Source, Var};
use crate::cost::parts::{self, Part};
use crate::cost::sizes::Scene;
use crate::graph::ir::{ExprId, ExprKind, Literal, LoopId, LoopKind, Op};

/// What a round does to a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Adds to it, or takes from it.
    Step,
    /// Divides or multiplies it, or sets it to the middle of a range.
    Scale,
    /// Goes on to the next node.
    Follow,
    /// Gives it another value.
    Reset,
}

/// What a loop does to a variable.
pub(super) fn changes(scene: &Scene<'_>, var: Var, id: LoopId) -> Vec<Change> {
    let given = scene.facts.given(var).iter();
    let inside: Vec<&Given> = given.filter(|one| scene.facts.is_within(one.within, id)).collect();
    // `for (i = n; i > 0; i >>= 1)`: an operator that a front end does not know leaves what stands behind it. Nobody
    // counts by giving the same number in each step.
    if let (LoopKind::Counted { .. }, [only]) = (scene.unit.loops[id.index()].kind, &inside[..])
        && let Source::Value(value) = only.source
        && matches!(scene.kind(value), ExprKind::Literal(Literal::Int(_)))
    {
        return vec![Change::Scale];
    }
    inside.into_iter().map(|one| change(scene, var, one)).collect()
}

pub(super) fn change(scene: &Scene<'_>, var: Var, given: &Given) -> Change {
    match given.source {
        Source::Change(Op::Add | Op::Subtract, value) => {
            if mentions_bits(scene, value, var) {
                Change::Scale
            } else {
                Change::Step
            }
        }
        Source::Change(Op::Multiply | Op::Divide | Op::FloorDivide | Op::ShiftRight | Op::Modulo, _) => {
            Change::Scale
        }
        Source::Change(..) => Change::Scale,
        Source::Value(value) => change_to(scene, var, value, 0),
        Source::PartOf(value) => match scene.kind(value) {
            ExprKind::Call(_, callee, _) if scene.callee_name(callee) == "divmod" => Change::Scale,
            _ => Change::Reset,
        },
        Source::Param(_) | Source::ElementOf(_) => Change::Reset,
    }
}

fn change_to(scene: &Scene<'_>, var: Var, value: ExprId, depth: u32) -> Change {
    if depth > 6 || !scene.step() {
        return Change::Reset;
    }
    let is_var = |expr| scene.var(expr) == Some(var);
    match scene.kind(value) {
        ExprKind::Binary(op, left, right) => {
            match op {
                Op::Add | Op::Subtract if is_var(left) || is_var(right) => {
                    if mentions_bits(scene, value, var) { Change::Scale } else { Change::Step }
                }
                Op::Add | Op::Subtract if is_middle(scene, left) => Change::Scale,
                Op::Multiply | Op::Divide | Op::FloorDivide | Op::ShiftRight | Op::ShiftLeft
                    if is_var(left) || is_var(right) =>
                {
                    Change::Scale
                }
                Op::Modulo => Change::Scale,
                Op::Add | Op::Subtract | Op::Divide | Op::FloorDivide | Op::Multiply => {
                    change_to(scene, var, left, depth + 1)
                }
                Op::Other if is_var(left) => Change::Scale,
                _ => Change::Reset,
            }
        }
        ExprKind::Attr(object, name) => match scene.names.text(name) {
            "next" | "nxt" | "parent" | "prev" | "left" | "right" if depth == 0 || is_var(object) => {
                Change::Follow
            }
            _ => Change::Reset,
        },
        ExprKind::Call(_, callee, args) => {
            let name = scene.callee_name(callee);
            let inner = scene.unit.args(args).first().map(|arg| arg.value);
            match (name, inner) {
                (
                    "floor" | "int" | "trunc" | "ceil" | "Floor" | "BigInt" | "Number" | "parseInt" | "round",
                    Some(inner),
                ) => change_to(scene, var, inner, depth + 1),
                ("next" | "Next" | "getNext", _) => Change::Follow,
                _ => Change::Reset,
            }
        }
        ExprKind::Name(..) if is_middle(scene, value) => Change::Scale,
        ExprKind::Index(_, key) if is_var(key) => Change::Follow,
        ExprKind::Unary(_, inner) | ExprKind::Cast(inner, _) => change_to(scene, var, inner, depth + 1),
        ExprKind::Conditional(_, one, other) => {
            let ways = [one, other].map(|way| change_to(scene, var, way, depth + 1));
            if ways[0] == Change::Reset { ways[1] } else { ways[0] }
        }
        _ => Change::Reset,
    }
}

/// `x & -x` and `x & (x - 1)`.
fn mentions_bits(scene: &Scene<'_>, value: ExprId, var: Var) -> bool {
    let mut found = false;
    let mut budget = 64;
    parts::each(scene.unit, vec![Part::Expr(value)], &mut budget, &mut |part| {
        if let Part::Expr(id) = part
            && let ExprKind::Binary(Op::Other, left, right) = scene.kind(id)
        {
            let both = [left, right].map(|side| names_in(scene, side).contains(&var));
            found |= both[0] && both[1];
        }
    });
    found
}

/// A variable that is the middle of a range: half of a sum.
pub(in crate::cost) fn is_middle(scene: &Scene<'_>, expr: ExprId) -> bool {
    let Some(var) = scene.var(expr) else { return halves(scene, expr) };
    let given = scene.facts.given(var).iter().take(16);
    let mut values = given.filter_map(|one| match one.source {
        Source::Value(value) => Some(value),
        _ => None,
    });
    values.any(|value| halves(scene, value))
}

/// Divides something by two somewhere.
pub(in crate::cost) fn halves(scene: &Scene<'_>, expr: ExprId) -> bool {
    let mut found = false;
    let mut budget = 64;
    let literal = |expr, wanted| matches!(scene.kind(expr), ExprKind::Literal(Literal::Int(number)) if number == wanted);
    parts::each(scene.unit, vec![Part::Expr(expr)], &mut budget, &mut |part| {
        if let Part::Expr(id) = part
            && let ExprKind::Binary(op, _, right) = scene.kind(id)
        {
            found |= match op {
                Op::Divide | Op::FloorDivide => literal(right, 2) || literal(right, 3),
                Op::ShiftRight => literal(right, 1),
                // `x >>> 1` and its like are not told apart from other operators on bits.
                Op::Other => false,
                _ => false,
            };
        }
    });
    found
}
