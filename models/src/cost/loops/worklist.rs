//! Queues and stacks that are worked off, and rounds that loops share. In: a loop and the loops around it. Out: whether it
//! takes elements out of a collection, and the outermost loop whose rounds share its own.

use super::{Around, Change, PARTS_MAX, change, names_in};
use crate::cost::facts::{Given, Source, Var};
use crate::cost::parts::{self, Part};
use crate::cost::sizes::Scene;
use crate::graph::ir::{ExprKind, LoopId, LoopKind, StmtKind};

/// Whether a loop takes elements out of a collection.
pub(super) fn is_emptied(scene: &Scene<'_>, var: Var, id: LoopId) -> bool {
    let mut found = false;
    let mut budget = PARTS_MAX.min(scene.budget.get());
    let before = budget;
    parts::each(scene.unit, parts::of_loop(scene.unit, id), &mut budget, &mut |part| {
        let Part::Expr(expr) = part else { return };
        if let ExprKind::Call(_, callee, args) = scene.kind(expr) {
            let taken = match scene.kind(callee) {
                ExprKind::Attr(object, _) if !matches!(scene.kind(object), ExprKind::Import(_)) => {
                    Some(object)
                }
                _ => None,
            };
            let first = scene.unit.args(args).first().map(|arg| arg.value);
            found |= match scene.callee_name(callee) {
                "pop" | "popleft" | "shift" | "poll" | "remove" | "removeFirst" | "removeLast"
                | "pollFirst" | "pollLast" | "dequeue" | "pop_front" | "pop_back" | "truncate"
                | "popitem" => taken.and_then(|object| scene.var(object)) == Some(var),
                "heappop" | "Pop" => first.and_then(|one| scene.var(one)) == Some(var),
                _ => false,
            };
        }
    });
    scene.budget.set(scene.budget.get().saturating_sub(before - budget));
    // `queue = queue[1:]`
    found || {
        let given = scene.facts.given(var).iter().filter(|one| scene.facts.is_within(one.within, id));
        given.into_iter().any(|one| match one.source {
            Source::Value(value) => match scene.kind(value) {
                ExprKind::Slice(object, ..) => scene.var(object) == Some(var),
                // The next level of a tree takes the place of this one.
                ExprKind::Name(..) => scene.var(value).is_some_and(|next| scene.facts.grows(next)),
                _ => false,
            },
            _ => false,
        })
    }
}

/// Nodes are places of a grid: their neighbours are looked up by two keys.
pub(super) fn works_on_a_grid(scene: &Scene<'_>, id: LoopId) -> bool {
    indexes_two_deep(scene, parts::of_loop(scene.unit, id))
}

/// `grid[x][y]` with two names.
pub(in crate::cost) fn indexes_two_deep(scene: &Scene<'_>, open: Vec<Part>) -> bool {
    let mut found = false;
    let mut budget = PARTS_MAX.min(scene.budget.get());
    let before = budget;
    parts::each(scene.unit, open, &mut budget, &mut |part| {
        if let Part::Expr(expr) = part
            && let ExprKind::Index(inner, key) = scene.kind(expr)
            && let ExprKind::Index(_, outer_key) = scene.kind(inner)
        {
            let literal = |key| matches!(scene.kind(key), ExprKind::Literal(_));
            found |= !literal(key) && !literal(outer_key) && scene.var(key) != scene.var(outer_key);
        }
    });
    scene.budget.set(scene.budget.get().saturating_sub(before - budget));
    found
}

/// The outermost loop in which nothing takes the drivers back to where they began.
pub(super) fn shared_from(
    scene: &Scene<'_>,
    id: LoopId,
    drivers: &[Var],
    around: &[Around],
) -> Option<usize> {
    if drivers.is_empty() {
        return None;
    }
    let mut shared = None;
    for (at, outer) in around.iter().enumerate().rev() {
        let goes_back = |var: &Var| {
            scene.facts.given(*var).iter().any(|one| {
                let between =
                    scene.facts.is_within(one.within, outer.id) && !scene.facts.is_within(one.within, id);
                between
                    && matches!(change(scene, *var, one), Change::Reset)
                    && !takes_turns(scene, *var, one, outer.id)
            })
        };
        if drivers.iter().any(goes_back) || is_own_start(scene, id, drivers) {
            break;
        }
        shared = Some(at);
    }
    shared
}

/// A counted loop that begins anew each time.
fn is_own_start(scene: &Scene<'_>, id: LoopId, drivers: &[Var]) -> bool {
    let LoopKind::Counted { start, .. } = scene.unit.loops[id.index()].kind else { return false };
    let mut found = false;
    let mut budget = 256;
    parts::each(scene.unit, parts::of_block(scene.unit, start).collect(), &mut budget, &mut |part| {
        if let Part::Stmt(stmt) = part
            && let StmtKind::Assign { target, value: Some(_), .. } = scene.unit.stmt(stmt).kind
        {
            found |= scene.var(target).is_some_and(|var| drivers.contains(&var));
        }
    });
    found
}

/// `j = i` before the loop and `i = j` behind it: the two go on together.
fn takes_turns(scene: &Scene<'_>, var: Var, given: &Given, outer: LoopId) -> bool {
    let Source::Value(value) = given.source else { return false };
    names_in(scene, value).into_iter().any(|other| {
        other != var
            && scene.facts.given(other).iter().any(|one| {
                let Source::Value(back) = one.source else { return false };
                scene.facts.is_within(one.within, outer) && names_in(scene, back).contains(&var)
            })
    })
}
