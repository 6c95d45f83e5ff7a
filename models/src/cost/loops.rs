//! How often a loop runs. In: a loop, and the loops around it. Out: how the number of its rounds grows, why, and whether
//! its rounds are shared by all rounds of a loop around it (a pointer that never goes back, a stack that is emptied). A
//! loop about which nothing is known is taken to run as often as the input is large, and is marked as not sure.

mod bounds;
mod changes;
mod worklist;

use serde::{Deserialize, Serialize};

use super::facts::{Source, Var};
use super::growth::Growth;
use super::library;
use super::parts::{self, Part};
use super::sizes::{Scene, Size};
use crate::graph::ir::{ExprId, ExprKind, Literal, LoopId, LoopKind, StmtKind};
pub(super) use bounds::comparisons;
use bounds::{began, bound, is_squared};
use changes::{Change, change, changes};
pub(super) use changes::{halves, is_middle};
pub(super) use worklist::indexes_two_deep;
use worklist::{is_emptied, shared_from, works_on_a_grid};

/// What drives a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// A number of rounds that does not grow.
    Constant,
    /// A round per element.
    Walk,
    /// A counter that goes up or down by steps.
    Counter,
    /// A counter that doubles or halves, or a range that is halved.
    Halving,
    /// A range that is walked in steps as long as the number of the round: the harmonic series.
    Harmonic,
    /// A queue or stack that is worked off.
    Worklist,
    /// A chain of nodes that is followed.
    Chain,
    /// Every subset or every order.
    Subsets,
    /// A condition of which nothing is known.
    Condition,
}

/// How often a loop runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trips {
    pub(super) growth: Growth,
    pub(super) drive: Drive,
    pub(super) sure: bool,
    /// The outermost of the loops around it that share its rounds, by its place among them.
    pub(super) shared_from: Option<usize>,
    /// The queue or stack that is worked off.
    pub(super) worklist: Option<Var>,
}

impl Trips {
    fn new(growth: Growth, drive: Drive, sure: bool) -> Self {
        let drive = if growth.is_constant() { Drive::Constant } else { drive };
        Self { growth, drive, sure, shared_from: None, worklist: None }
    }
}

/// A loop around the one that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) id: LoopId,
    pub(super) trips: Trips,
}

/// Parts of a loop that are looked at.
const PARTS_MAX: usize = 20_000;

/// How often a loop runs.
pub(super) fn trips(scene: &Scene<'_>, id: LoopId, around: &[Around]) -> Trips {
    match scene.unit.loops[id.index()].kind {
        LoopKind::Each { iterated, .. } | LoopKind::EachKey { iterated, .. } => {
            walk(scene, id, iterated, around)
        }
        LoopKind::While(condition) | LoopKind::DoWhile(condition) => {
            let conditions = if is_true(scene, condition) { leaving(scene, id) } else { vec![condition] };
            until(scene, id, &conditions, around)
        }
        LoopKind::Counted { condition, .. } => {
            let conditions = condition.map_or_else(|| leaving(scene, id), |one| vec![one]);
            until(scene, id, &conditions, around)
        }
        LoopKind::Forever => until(scene, id, &leaving(scene, id), around),
    }
}

fn is_true(scene: &Scene<'_>, condition: ExprId) -> bool {
    matches!(scene.kind(condition), ExprKind::Literal(Literal::Bool(true) | Literal::Int(1)))
}

/// A round per element.
fn walk(scene: &Scene<'_>, id: LoopId, iterated: ExprId, around: &[Around]) -> Trips {
    let Size { growth, sure } = scene.length(iterated);
    let mut trips = Trips::new(growth, Drive::Walk, sure);
    // `for node in queue: queue.append(…)`
    if let Some(var) = scene.var(iterated).filter(|var| scene.facts.grows_in(*var, id)) {
        return Trips { worklist: Some(var), ..Trips::new(Growth::N, Drive::Worklist, true) };
    }
    if growth.is_exponential() {
        trips.drive = Drive::Subsets;
        return trips;
    }
    if growth.is_constant() {
        return trips;
    }
    if let ExprKind::Call(_, callee, args) = scene.kind(iterated)
        && matches!(scene.callee_name(callee), "range" | "xrange")
    {
        trips.drive = Drive::Counter;
        let args = scene.unit.args(args);
        // `range(i, n, i)` in a loop over `i`: n/1 + n/2 + … rounds in all.
        if let [_, _, step] = args
            && let Some(var) = scene.var(step.value)
            && around.iter().any(|outer| is_target(scene, outer.id, var))
        {
            return Trips::new(Growth::LOG, Drive::Harmonic, true);
        }
        // What a queue holds is worked off once, whatever the number of levels.
        if let Some(outer) = args.last().and_then(|last| level_of(scene, last.value, around)) {
            trips.shared_from = Some(outer);
            return trips;
        }
    }
    if let Some(outer) = level_of(scene, iterated, around) {
        trips.shared_from = Some(outer);
        return trips;
    }
    if let Some(outer) = neighbours_of(scene, iterated, around) {
        trips.shared_from = Some(outer);
        trips.sure = false;
    }
    trips
}

fn is_target(scene: &Scene<'_>, id: LoopId, var: Var) -> bool {
    match scene.unit.loops[id.index()].kind {
        LoopKind::Each { target, .. } | LoopKind::EachKey { target, .. } => scene.var(target) == Some(var),
        LoopKind::Counted { condition, .. } => {
            condition.is_some_and(|condition| names_in(scene, condition).contains(&var))
        }
        _ => false,
    }
}

/// The loop that works off the queue which the expression names.
fn level_of(scene: &Scene<'_>, expr: ExprId, around: &[Around]) -> Option<usize> {
    let at = around.iter().rposition(|outer| outer.trips.worklist.is_some())?;
    let worklist = around[at].trips.worklist?;
    let inside = names_in(scene, expr);
    let direct = inside.contains(&worklist);
    let through = inside.iter().any(|var| {
        let given = scene.facts.given(*var);
        given.iter().any(|one| match one.source {
            Source::Value(value) => names_in(scene, value).contains(&worklist),
            _ => false,
        })
    });
    (direct || (through && inside.len() == 1)).then_some(at)
}

/// `for neighbour in graph[node]` where nodes come from a queue: all edges together are walked once.
fn neighbours_of(scene: &Scene<'_>, iterated: ExprId, around: &[Around]) -> Option<usize> {
    let key = match scene.kind(iterated) {
        ExprKind::Index(_, key) => key,
        ExprKind::Call(_, callee, args) => match (scene.kind(callee), scene.unit.args(args)) {
            (ExprKind::Attr(_, name), [key, ..])
                if matches!(scene.names.text(name), "get" | "getOrDefault") =>
            {
                key.value
            }
            _ => return None,
        },
        _ => return None,
    };
    if matches!(scene.kind(key), ExprKind::Literal(_)) {
        return None;
    }
    around.iter().rposition(|outer| outer.trips.drive == Drive::Worklist)
}

/// The conditions under which a loop without one is left.
fn leaving(scene: &Scene<'_>, id: LoopId) -> Vec<ExprId> {
    let mut conditions = Vec::new();
    let mut open = scene.unit.block(scene.unit.loops[id.index()].body).to_vec();
    let mut left = PARTS_MAX;
    while let Some(stmt) = open.pop() {
        if left == 0 || !scene.step() {
            break;
        }
        left -= 1;
        match scene.unit.stmt(stmt).kind {
            StmtKind::Branch(branches) => {
                for branch in scene.unit.branches(branches) {
                    let body = scene.unit.block(branch.body);
                    let leaves = |stmt: &crate::graph::ir::StmtId| {
                        matches!(scene.unit.stmt(*stmt).kind, StmtKind::Break | StmtKind::Return(_))
                    };
                    if body.iter().any(leaves) {
                        conditions.extend(branch.condition);
                    }
                    open.extend(body);
                }
            }
            StmtKind::Block(block) => open.extend(scene.unit.block(block)),
            StmtKind::Try { body, .. } => open.extend(scene.unit.block(body)),
            _ => {}
        }
    }
    conditions
}

/// Until one of the conditions says so.
fn until(scene: &Scene<'_>, id: LoopId, conditions: &[ExprId], around: &[Around]) -> Trips {
    let mut vars = Vec::new();
    for condition in conditions {
        vars.extend(names_in(scene, *condition));
    }
    vars.sort_unstable();
    vars.dedup();
    let driven: Vec<(Var, Vec<Change>)> = vars
        .iter()
        .map(|var| (*var, changes(scene, *var, id)))
        .filter(|(_, changes)| !changes.is_empty())
        .collect();
    let emptied = vars.iter().copied().find(|var| is_emptied(scene, *var, id));
    let mut trips = rounds(scene, id, conditions, &driven, emptied);
    if trips.drive == Drive::Condition && moves_to_the_middle(scene, id) {
        return Trips::new(Growth::LOG, Drive::Halving, false);
    }
    let mut drivers: Vec<Var> = driven.iter().map(|(var, _)| *var).chain(emptied).collect();
    if trips.drive == Drive::Condition {
        // The condition asks for something else, but something goes on in each round.
        let steps = |var: &Var| changes(scene, *var, id).iter().all(|change| *change == Change::Step);
        drivers = scene.facts.changed(id).iter().copied().filter(steps).take(8).collect();
    }
    if !trips.growth.is_constant() && trips.drive != Drive::Halving {
        trips.shared_from = shared_from(scene, id, &drivers, around);
    }
    trips
}

fn rounds(
    scene: &Scene<'_>,
    id: LoopId,
    conditions: &[ExprId],
    driven: &[(Var, Vec<Change>)],
    emptied: Option<Var>,
) -> Trips {
    let does = |change: Change| driven.iter().any(|(_, changes)| changes.contains(&change));
    if does(Change::Scale) {
        let mut size = Growth::ONE;
        for condition in conditions {
            size = size.max(bound(scene, *condition, driven, id).growth);
        }
        // The halved number itself is as large as what it began with.
        let began = driven.iter().map(|(var, _)| began(scene, *var, id).growth).max();
        let size = size.max(began.unwrap_or(Growth::ONE));
        return Trips::new(size.log(), Drive::Halving, true);
    }
    if let Some(worklist) = emptied {
        let growth = if works_on_a_grid(scene, id) { Growth::power(2) } else { Growth::N };
        let trips = Trips::new(growth, Drive::Worklist, true);
        return Trips { worklist: Some(worklist), ..trips };
    }
    if does(Change::Follow) {
        return Trips::new(Growth::N, Drive::Chain, true);
    }
    if does(Change::Step) {
        let mut size = Size::ONE;
        for condition in conditions {
            let one = bound(scene, *condition, driven, id);
            size = Size { growth: size.growth.max(one.growth), sure: size.sure && one.sure };
        }
        let squared = conditions.iter().any(|condition| is_squared(scene, *condition, driven));
        let growth = if squared { size.growth.root() } else { size.growth };
        return Trips::new(growth, Drive::Counter, size.sure);
    }
    if ends_at_once(scene, id) {
        return Trips::new(Growth::ONE, Drive::Constant, true);
    }
    Trips::new(Growth::N, Drive::Condition, false)
}

/// One end of a range is set to its middle.
fn moves_to_the_middle(scene: &Scene<'_>, id: LoopId) -> bool {
    scene.facts.changed(id).iter().take(16).any(|var| {
        scene.facts.given(*var).iter().take(16).any(|one| match one.source {
            Source::Value(value) => {
                matches!(scene.kind(value), ExprKind::Name(..)) && is_middle(scene, value)
            }
            _ => false,
        })
    })
}

/// Variables in an expression.
pub(super) fn names_in(scene: &Scene<'_>, expr: ExprId) -> Vec<Var> {
    let mut vars = Vec::new();
    let mut budget = PARTS_MAX.min(scene.budget.get());
    let before = budget;
    parts::each(scene.unit, vec![Part::Expr(expr)], &mut budget, &mut |part| {
        if let Part::Expr(id) = part
            && matches!(scene.kind(id), ExprKind::Name(..))
        {
            vars.extend(scene.var(id));
        }
    });
    scene.budget.set(scene.budget.get().saturating_sub(before - budget));
    vars.sort_unstable();
    vars.dedup();
    vars
}

/// The first round is the last.
fn ends_at_once(scene: &Scene<'_>, id: LoopId) -> bool {
    let last = scene.unit.block(scene.unit.loops[id.index()].body).last();
    last.is_some_and(|stmt| {
        matches!(scene.unit.stmt(*stmt).kind, StmtKind::Return(_) | StmtKind::Break | StmtKind::Raise(_))
    })
}

/// Whether a loop reads what the program is given.
pub(super) fn reads_input(scene: &Scene<'_>, id: LoopId) -> bool {
    let mut found = false;
    let mut budget = PARTS_MAX.min(scene.budget.get());
    parts::each(scene.unit, parts::of_loop(scene.unit, id), &mut budget, &mut |part| {
        if let Part::Expr(expr) = part
            && let ExprKind::Call(_, callee, _) = scene.kind(expr)
        {
            found |= library::reads_input(scene.callee_name(callee));
        }
    });
    found
}
