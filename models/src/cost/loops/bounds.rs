//! How far a counter goes. In: the conditions of a loop, and the variables that drive it. Out: the size of what they are
//! compared with, and of what they begin with.

use super::{Change, names_in};
use crate::cost::facts::{Source, Var};
use crate::cost::growth::Growth;
use crate::cost::sizes::{Scene, Size};
use crate::graph::ir::{ExprId, ExprKind, LoopId, Op};

/// What the stepping variables are compared with: the largest of what does not step, and of what they begin with.
pub(super) fn bound(scene: &Scene<'_>, condition: ExprId, driven: &[(Var, Vec<Change>)], id: LoopId) -> Size {
    let mut size = Size::ONE;
    let mut compared = Vec::new();
    comparisons(scene, condition, &mut compared, 0);
    let mut any = false;
    for (op, left, right) in compared {
        let sides = [left, right].map(|side| names_in(scene, side));
        let drives = |side: &[Var]| driven.iter().any(|(var, _)| side.contains(var));
        let (one, other) = (drives(&sides[0]), drives(&sides[1]));
        if !one && !other {
            continue;
        }
        any = true;
        let falls = matches!(op, Op::Greater | Op::GreaterEqual) == one;
        for (side, moves) in [(left, one), (right, other)] {
            let next = if !moves {
                scene.value(side)
            } else if falls || (one && other) {
                // Down to the other side, or towards each other.
                let vars = names_in(scene, side);
                let began = vars.iter().map(|var| began(scene, *var, id));
                began
                    .reduce(|a, b| Size { growth: a.growth.max(b.growth), sure: a.sure && b.sure })
                    .unwrap_or(Size::ONE)
            } else {
                continue;
            };
            size = Size { growth: size.growth.max(next.growth), sure: size.sure && next.sure };
        }
    }
    if any { size } else { Size { growth: Growth::N, sure: false } }
}

pub(in crate::cost) fn comparisons(
    scene: &Scene<'_>,
    condition: ExprId,
    out: &mut Vec<(Op, ExprId, ExprId)>,
    depth: u32,
) {
    if depth > 12 || !scene.step() {
        return;
    }
    match scene.kind(condition) {
        ExprKind::Binary(Op::And | Op::Or, left, right) => {
            comparisons(scene, left, out, depth + 1);
            comparisons(scene, right, out, depth + 1);
        }
        ExprKind::Unary(_, inner) => comparisons(scene, inner, out, depth + 1),
        ExprKind::Unknown(run) => {
            // `a < b < c`
            for pair in scene.unit.exprs_of(run).windows(2) {
                out.push((Op::Less, pair[0], pair[1]));
            }
        }
        ExprKind::Binary(op, left, right)
            if matches!(
                op,
                Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual | Op::NotEqual | Op::Equal
            ) =>
        {
            out.push((op, left, right));
        }
        _ => {}
    }
}

/// What a variable is before a loop.
pub(super) fn began(scene: &Scene<'_>, var: Var, id: LoopId) -> Size {
    let given = scene.facts.given(var).iter();
    let mut size = Size::ONE;
    for one in given.filter(|one| !scene.facts.is_within(one.within, id)).take(32) {
        let next = match one.source {
            Source::Value(value) => scene.value(value),
            _ => Size::N,
        };
        size = Size { growth: size.growth.max(next.growth), sure: size.sure && next.sure };
    }
    size
}

/// `i * i <= n`
pub(super) fn is_squared(scene: &Scene<'_>, condition: ExprId, driven: &[(Var, Vec<Change>)]) -> bool {
    let mut compared = Vec::new();
    comparisons(scene, condition, &mut compared, 0);
    let steps = |expr| scene.var(expr).filter(|var| driven.iter().any(|(one, _)| one == var));
    compared.iter().flat_map(|(_, left, right)| [*left, *right]).any(|side| match scene.kind(side) {
        ExprKind::Binary(Op::Multiply, one, other) => steps(one).is_some_and(|one| steps(other) == Some(one)),
        ExprKind::Binary(Op::Power, one, _) => steps(one).is_some(),
        _ => false,
    })
}
