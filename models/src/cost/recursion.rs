//! What functions cost that call themselves. In: a function, what it does apart from that, and its calls to itself. Out: the
//! solution of its recurrence, and the recurrence in words. Calls whose arguments say nothing are taken to go through
//! the input once, and the answer is marked as not sure.

mod marks;
mod paths;
mod shapes;

use super::facts::{Source, Var};
use super::growth::Growth;
use super::loops;
use super::parts;
use super::sizes::Scene;
use crate::graph::ir::{Arg, Block, ExprId, ExprKind, Function, FunctionId, Literal, Op, Run, StmtKind};
use marks::{is_marked, is_memoised};
use paths::on_path;
use shapes::{Shape, shapes};

/// A call of a function to itself, or to one that calls it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnCall {
    pub(super) expr: ExprId,
    pub(super) args: Run<Arg>,
}

/// A loop around such a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnLoop {
    pub(super) growth: Growth,
    /// Walks over what belongs to the node at hand: children, neighbours, directions.
    pub(super) over_children: bool,
}

/// A solved recurrence.
#[derive(Clone, Debug)]
pub(super) struct Solved {
    pub(super) growth: Growth,
    pub(super) sure: bool,
    /// All calls together do no more than this: what is solved is remembered, or what is seen is marked.
    pub(super) shared: bool,
    pub(super) pattern: Pattern,
    pub(super) says: String,
}

/// The kind of a recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Memoised,
    Marked,
    Halving,
    Tree,
    Step,
    Branching,
    Unknown,
}

/// Solves a function's recurrence.
pub(super) fn solve(
    scene: &Scene<'_>,
    id: FunctionId,
    base: Growth,
    calls: &[OwnCall],
    own_loops: &[OwnLoop],
) -> Solved {
    let function = &scene.unit.functions[id.index()];
    let params: Vec<Var> =
        scene.unit.params(function.params).iter().filter_map(|param| scene.var(param.target)).collect();
    let shapes: Vec<Vec<Shape>> = calls.iter().map(|call| shapes(scene, call, &params)).collect();
    let on_path = on_path(scene, function.body, calls, 0).clamp(1, 64);
    let spawned = own_loops.iter().map(|one| one.growth).max().unwrap_or(Growth::ONE);
    let in_loop = !own_loops.is_empty();
    let any = |shape| shapes.iter().flatten().any(|one| *one == shape);
    let each = |shape| shapes.iter().all(|one| one.contains(&shape));
    let solved = |growth: Growth, sure, pattern, says: String| Solved {
        growth,
        sure,
        shared: matches!(pattern, Pattern::Memoised | Pattern::Marked),
        pattern,
        says,
    };
    if is_memoised(scene, id, function) {
        return memoised(&shapes, base.times(spawned));
    }
    if is_marked(scene, function) {
        let grid = shapes.iter().any(|one| changing(one) >= 2)
            && loops::indexes_two_deep(scene, parts::of_block(scene.unit, function.body).collect());
        let states = Growth::power(if grid { 2 } else { 1 });
        let says = "calls itself, and marks what it has seen: each node or place once".to_owned();
        return solved(states.times(base), true, Pattern::Marked, says);
    }
    let children = own_loops.iter().all(|one| one.over_children) && (any(Shape::Chosen) || any(Shape::Child));
    if in_loop && children && !own_loops.iter().any(|one| one.growth.is_constant()) {
        let says = "calls itself for each child of a node: each node once".to_owned();
        return solved(Growth::N.times(base), true, Pattern::Tree, says);
    }
    if !in_loop && (each(Shape::Half) || each(Shape::Double)) {
        return halving(scene, function, calls, on_path, base);
    }
    if !in_loop && each(Shape::Child) && !any(Shape::Step) {
        return if on_path >= 2 {
            let says = format!("calls itself for {on_path} children of a node: each node once");
            solved(Growth::N.times(base), true, Pattern::Tree, says)
        } else {
            let says = "calls itself for one child of a node: as often as the tree is deep".to_owned();
            solved(Growth::LOG.times(base), false, Pattern::Tree, says)
        };
    }
    if !in_loop && on_path == 1 && any(Shape::Pointed) {
        let says = "calls itself for where an element points to: as often as the chain is long".to_owned();
        return solved(Growth::LOG.times(base), false, Pattern::Tree, says);
    }
    if in_loop || on_path >= 2 {
        let steps = any(Shape::Step) || any(Shape::Chosen) || any(Shape::Bits);
        let says = if in_loop {
            "calls itself in a loop, and remembers nothing: T(n) = n T(n-1)".to_owned()
        } else {
            format!("calls itself {on_path} times, and remembers nothing: T(n) = {on_path} T(n-1)")
        };
        return solved(Growth::EXPONENTIAL, steps, Pattern::Branching, says);
    }
    if any(Shape::Step) {
        let says = format!("calls itself once on a smaller input: T(n) = T(n-1) + {}", base.notation());
        return solved(Growth::N.times(base), true, Pattern::Step, says);
    }
    let says = "calls itself, and nothing tells on how much".to_owned();
    solved(Growth::N.times(base), false, Pattern::Unknown, says)
}

/// Arguments that are not what the function was given.
fn changing(shapes: &[Shape]) -> usize {
    shapes.iter().filter(|shape| !matches!(shape, Shape::Same | Shape::Constant)).count()
}

fn memoised(shapes: &[Vec<Shape>], work: Growth) -> Solved {
    let positions = shapes.iter().map(Vec::len).max().unwrap_or(0);
    let changes = |at: usize| {
        shapes
            .iter()
            .any(|one| one.get(at).is_some_and(|shape| !matches!(shape, Shape::Same | Shape::Constant)))
    };
    let states = (0..positions).filter(|at| changes(*at)).count().clamp(1, 4);
    let bits = shapes.iter().flatten().any(|shape| *shape == Shape::Bits);
    let halves = shapes.iter().all(|one| one.contains(&Shape::Half));
    let space = match (bits, halves) {
        (true, _) => Growth::EXPONENTIAL,
        (_, true) => Growth::LOG,
        _ => Growth::power(states as u8),
    };
    let says = format!(
        "calls itself, and remembers what it has solved: {} states, {} each",
        space.notation(),
        work.notation()
    );
    Solved { growth: space.times(work), sure: states <= 2, shared: true, pattern: Pattern::Memoised, says }
}

/// T(n) = a T(n/2) + f(n)
fn halving(
    scene: &Scene<'_>,
    function: &Function,
    calls: &[OwnCall],
    on_path: usize,
    base: Growth,
) -> Solved {
    let guarded = on_path == 2
        && calls.len() == 2
        && (each_is_guarded(scene, function.body, calls) || asks_for_a_range(scene, function, calls));
    let calls_n = if guarded && base.is_constant() { 1 } else { on_path };
    let own = match calls_n {
        1 => Growth::ONE,
        2 => Growth::N,
        3 | 4 => Growth::power(2),
        _ => Growth::power(3),
    };
    // The master theorem: the larger of leaves and root, and a logarithm where they are alike.
    let growth = match own.cmp(&base) {
        std::cmp::Ordering::Less => base,
        std::cmp::Ordering::Equal => base.times(Growth::LOG),
        std::cmp::Ordering::Greater => own,
    };
    let says = format!("calls itself on halves: T(n) = {calls_n} T(n/2) + {}", base.notation());
    Solved { growth, sure: !guarded, shared: false, pattern: Pattern::Halving, says }
}

/// Two arguments are handed on as they are, and compared: a range that is looked for in a tree of ranges.
fn asks_for_a_range(scene: &Scene<'_>, function: &Function, calls: &[OwnCall]) -> bool {
    let handed_on: Vec<Var> = calls
        .iter()
        .take(1)
        .flat_map(|call| scene.unit.args(call.args))
        .filter_map(|arg| scene.var(arg.value))
        .filter(|var| matches!(scene.facts.given(*var), [one] if matches!(one.source, Source::Param(_))))
        .collect();
    let mut compared = Vec::new();
    for stmt in scene.unit.block(function.body).iter().take(8) {
        if let StmtKind::Branch(branches) = scene.unit.stmt(*stmt).kind {
            for condition in scene.unit.branches(branches).iter().filter_map(|branch| branch.condition) {
                compared.extend(loops::names_in(scene, condition));
            }
        }
    }
    handed_on.iter().filter(|var| compared.contains(var)).count() >= 2
}

/// Each call stands under a condition of its own.
fn each_is_guarded(scene: &Scene<'_>, body: Block, calls: &[OwnCall]) -> bool {
    let mut guarded = 0;
    for stmt in scene.unit.block(body) {
        if let StmtKind::Branch(branches) = scene.unit.stmt(*stmt).kind
            && let [only] = scene.unit.branches(branches)
        {
            guarded += usize::from(on_path(scene, only.body, calls, 0) == 1);
        }
    }
    guarded == calls.len()
}

/// Whether what a loop walks over belongs to the node at hand.
pub(super) fn is_over_children(scene: &Scene<'_>, iterated: ExprId) -> bool {
    match scene.kind(iterated) {
        ExprKind::Attr(..) => true,
        ExprKind::Index(_, key) => !matches!(scene.kind(key), ExprKind::Literal(Literal::Int(_))),
        ExprKind::Call(_, callee, args) => match scene.kind(callee) {
            ExprKind::Attr(object, name) => match scene.names.text(name) {
                "get" | "getOrDefault" => true,
                "values" | "items" | "entries" | "iter" | "keys" => is_over_children(scene, object),
                _ => false,
            },
            _ => {
                let wraps = matches!(scene.callee_name(callee), "enumerate" | "reversed" | "sorted" | "zip");
                wraps && scene.unit.args(args).first().is_some_and(|arg| is_over_children(scene, arg.value))
            }
        },
        ExprKind::Binary(Op::Or, one, _) => is_over_children(scene, one),
        _ => false,
    }
}
