//! How often a loop runs. In: a loop, and the loops around it. Out: how the number of its rounds grows, why, and whether
//! its rounds are shared by all rounds of a loop around it (a pointer that never goes back, a stack that is emptied). A
//! loop about which nothing is known is taken to run as often as the input is large, and is marked as not sure.

use serde::{Deserialize, Serialize};

use super::facts::{Given, Source, Var};
use super::growth::Growth;
use super::library;
use super::parts::{self, Part};
use super::sizes::{Scene, Size};
use crate::graph::ir::{ExprId, ExprKind, Literal, LoopId, LoopKind, Op, StmtKind};

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

/// What a loop does to a variable.
fn changes(scene: &Scene<'_>, var: Var, id: LoopId) -> Vec<Change> {
    let given = scene.facts.given(var).iter();
    let inside = given.filter(|one| scene.facts.is_within(one.within, id));
    inside.map(|one| change(scene, var, one)).collect()
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
pub(super) fn is_middle(scene: &Scene<'_>, expr: ExprId) -> bool {
    let Some(var) = scene.var(expr) else { return halves(scene, expr) };
    let given = scene.facts.given(var).iter().take(16);
    let mut values = given.filter_map(|one| match one.source {
        Source::Value(value) => Some(value),
        _ => None,
    });
    values.any(|value| halves(scene, value))
}

/// Divides something by two somewhere.
pub(super) fn halves(scene: &Scene<'_>, expr: ExprId) -> bool {
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

/// What the stepping variables are compared with: the largest of what does not step, and of what they begin with.
fn bound(scene: &Scene<'_>, condition: ExprId, driven: &[(Var, Vec<Change>)], id: LoopId) -> Size {
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

pub(super) fn comparisons(
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
fn began(scene: &Scene<'_>, var: Var, id: LoopId) -> Size {
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
fn is_squared(scene: &Scene<'_>, condition: ExprId, driven: &[(Var, Vec<Change>)]) -> bool {
    let mut compared = Vec::new();
    comparisons(scene, condition, &mut compared, 0);
    let steps = |expr| scene.var(expr).filter(|var| driven.iter().any(|(one, _)| one == var));
    compared.iter().flat_map(|(_, left, right)| [*left, *right]).any(|side| match scene.kind(side) {
        ExprKind::Binary(Op::Multiply, one, other) => steps(one).is_some_and(|one| steps(other) == Some(one)),
        ExprKind::Binary(Op::Power, one, _) => steps(one).is_some(),
        _ => false,
    })
}

/// Whether a loop takes elements out of a collection.
fn is_emptied(scene: &Scene<'_>, var: Var, id: LoopId) -> bool {
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
pub(super) fn indexes_two_deep(scene: &Scene<'_>, open: Vec<Part>) -> bool {
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

/// The first round is the last.
fn ends_at_once(scene: &Scene<'_>, id: LoopId) -> bool {
    let last = scene.unit.block(scene.unit.loops[id.index()].body).last();
    last.is_some_and(|stmt| {
        matches!(scene.unit.stmt(*stmt).kind, StmtKind::Return(_) | StmtKind::Break | StmtKind::Raise(_))
    })
}

/// The outermost loop in which nothing takes the drivers back to where they began.
fn shared_from(scene: &Scene<'_>, id: LoopId, drivers: &[Var], around: &[Around]) -> Option<usize> {
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
