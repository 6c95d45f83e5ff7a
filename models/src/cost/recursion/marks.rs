//! Whether a function remembers. In: a function that calls itself. Out: whether it keeps its results and gives them back,
//! or marks what it has seen without taking the marks back.

use crate::cost::facts::Var;
use crate::cost::loops;
use crate::cost::parts::{self, Part};
use crate::cost::sizes::Scene;
use crate::graph::ir::{ExprId, ExprKind, Function, FunctionId, StmtKind};

/// Parts of a function that are looked at.
const PARTS_MAX: usize = 20_000;

/// Whether a function remembers its results.
pub(super) fn is_memoised(scene: &Scene<'_>, id: FunctionId, function: &Function) -> bool {
    let decorators = scene.facts.decorators.get(&id).map_or(&[][..], Vec::as_slice);
    let remembers = |callee: &ExprId| {
        let name = match scene.kind(*callee) {
            ExprKind::Call(_, inner, _) => scene.callee_name(inner),
            _ => scene.callee_name(*callee),
        };
        matches!(name, "cache" | "lru_cache" | "memoize" | "memoise" | "memo" | "cached")
    };
    if decorators.iter().any(remembers) {
        return true;
    }
    let written = written(scene, function);
    let mut found = false;
    let mut budget = PARTS_MAX.min(scene.budget.get());
    let open = parts::of_block(scene.unit, function.body).collect();
    parts::each(scene.unit, open, &mut budget, &mut |part| {
        let Part::Stmt(stmt) = part else { return };
        let StmtKind::Branch(branches) = scene.unit.stmt(stmt).kind else { return };
        for branch in scene.unit.branches(branches) {
            let Some(condition) = branch.condition else { continue };
            let asked = loops::names_in(scene, condition);
            let returned =
                scene.unit.block(branch.body).last().and_then(|last| match scene.unit.stmt(*last).kind {
                    StmtKind::Return(Some(value)) => Some(loops::names_in(scene, value)),
                    _ => None,
                });
            let Some(returned) = returned else { continue };
            found |= written
                .iter()
                .any(|(var, _)| returned.contains(var) && (asked.contains(var) || !asked.is_empty()));
        }
    });
    found
}

/// Whether a function marks what it has seen and never takes the mark back.
pub(super) fn is_marked(scene: &Scene<'_>, function: &Function) -> bool {
    let written = written(scene, function);
    let mut asked = Vec::new();
    let mut taken_back = Vec::new();
    let mut budget = PARTS_MAX.min(scene.budget.get());
    let open = parts::of_block(scene.unit, function.body).collect();
    parts::each(scene.unit, open, &mut budget, &mut |part| match part {
        Part::Stmt(stmt) => {
            if let StmtKind::Branch(branches) = scene.unit.stmt(stmt).kind {
                for condition in scene.unit.branches(branches).iter().filter_map(|branch| branch.condition) {
                    asked.extend(loops::names_in(scene, condition));
                }
            }
        }
        Part::Expr(expr) => {
            if let ExprKind::Call(_, callee, _) = scene.kind(expr)
                && let ExprKind::Attr(object, name) = scene.kind(callee)
                && matches!(scene.names.text(name), "remove" | "delete" | "pop" | "discard")
            {
                taken_back.extend(scene.var(object));
            }
        }
    });
    written.iter().any(|(var, times)| *times == 1 && asked.contains(var) && !taken_back.contains(var))
}

/// Collections in which a function writes by key, or to which it adds, and how often in its text.
fn written(scene: &Scene<'_>, function: &Function) -> Vec<(Var, usize)> {
    let mut written: Vec<Var> = Vec::new();
    let mut budget = PARTS_MAX.min(scene.budget.get());
    let open = parts::of_block(scene.unit, function.body).collect();
    parts::each(scene.unit, open, &mut budget, &mut |part| {
        let target = match part {
            Part::Stmt(stmt) => match scene.unit.stmt(stmt).kind {
                StmtKind::Assign { target, value: Some(_), .. } => target,
                _ => return,
            },
            Part::Expr(expr) => match scene.kind(expr) {
                ExprKind::Assign(target, _) => target,
                ExprKind::Call(_, callee, args) if !args.is_empty() => {
                    let ExprKind::Attr(object, name) = scene.kind(callee) else { return };
                    if matches!(scene.names.text(name), "add" | "set" | "put" | "insert") {
                        written.extend(scene.var(object));
                    }
                    return;
                }
                _ => return,
            },
        };
        written.extend(root_of(scene, target));
    });
    written.sort_unstable();
    let mut counted: Vec<(Var, usize)> = Vec::new();
    for var in written {
        match counted.last_mut().filter(|(last, _)| *last == var) {
            Some((_, times)) => *times += 1,
            None => counted.push((var, 1)),
        }
    }
    counted
}

/// The collection of `collection[a][b]`.
fn root_of(scene: &Scene<'_>, mut expr: ExprId) -> Option<Var> {
    let mut indexed = false;
    while let ExprKind::Index(object, _) = scene.kind(expr) {
        (expr, indexed) = (object, true);
    }
    indexed.then(|| scene.var(expr)).flatten()
}
