//! How often a function calls itself on one way through it. In: its body and those calls. Out: the most of them that one way
//! meets; of branches one is taken, and what leaves the function meets nothing behind it.

use super::OwnCall;
use crate::cost::parts::{self, Part};
use crate::cost::sizes::Scene;
use crate::graph::ir::{Block, Branch, ExprKind, StmtKind};

/// The most calls of itself that a function makes on one way through it.
pub(super) fn on_path(scene: &Scene<'_>, block: Block, calls: &[OwnCall], depth: u32) -> usize {
    if depth > 200 || !scene.step() {
        return 1;
    }
    let mut behind = 0_usize;
    for stmt in scene.unit.block(block).iter().rev() {
        let inner = |block| on_path(scene, block, calls, depth + 1);
        match scene.unit.stmt(*stmt).kind {
            StmtKind::Branch(branches) => {
                let (mut going_on, mut leaving, mut conditions) = (0, 0, 0);
                for Branch { condition, body } in scene.unit.branches(branches) {
                    conditions += condition.map_or(0, |one| in_parts(scene, vec![Part::Expr(one)], calls));
                    let count = inner(*body);
                    if ends(scene, *body) {
                        leaving = leaving.max(count);
                    } else {
                        going_on = going_on.max(count);
                    }
                }
                behind = conditions + leaving.max(going_on + behind);
            }
            StmtKind::Loop(id) => {
                let one = scene.unit.loops[id.index()];
                let mut head = Vec::new();
                parts::head(scene.unit, id, &mut head);
                behind += in_parts(scene, head, calls) + inner(one.body) + inner(one.otherwise);
            }
            StmtKind::Block(body) => behind += inner(body),
            StmtKind::Try { body, otherwise, finally, .. } => {
                behind += inner(body) + inner(otherwise) + inner(finally);
            }
            StmtKind::Return(_) | StmtKind::Raise(_) => {
                behind = in_parts(scene, vec![Part::Stmt(*stmt)], calls)
            }
            _ => behind += in_parts(scene, vec![Part::Stmt(*stmt)], calls),
        }
    }
    behind
}

fn ends(scene: &Scene<'_>, block: Block) -> bool {
    let last = scene.unit.block(block).last();
    last.is_some_and(|stmt| {
        matches!(
            scene.unit.stmt(*stmt).kind,
            StmtKind::Return(_) | StmtKind::Raise(_) | StmtKind::Break | StmtKind::Continue
        )
    })
}

/// Calls in expressions; of two ways of which one is taken, the one with more.
fn in_parts(scene: &Scene<'_>, parts: Vec<Part>, calls: &[OwnCall]) -> usize {
    let mut count = 0;
    for part in parts {
        if !scene.step() {
            return count;
        }
        let mut inner = Vec::new();
        if let Part::Expr(id) = part {
            if let ExprKind::Conditional(condition, one, other) = scene.kind(id) {
                let ways = [one, other].map(|way| in_parts(scene, vec![Part::Expr(way)], calls));
                count += ways[0].max(ways[1]) + in_parts(scene, vec![Part::Expr(condition)], calls);
                continue;
            }
            count += usize::from(calls.iter().any(|call| call.expr == id));
        }
        parts::of(scene.unit, part, &mut inner);
        count += in_parts(scene, inner, calls);
    }
    count
}
