//! What functions cost that call themselves. In: a function, what it does apart from that, and its calls to itself. Out: the
//! solution of its recurrence, and the recurrence in words. Calls whose arguments say nothing are taken to go through
//! the input once, and the answer is marked as not sure.

use super::facts::{Source, Var};
use super::growth::Growth;
use super::loops;
use super::parts::{self, Part};
use super::sizes::Scene;
use crate::graph::ir::{
    Arg, Block, Branch, ExprId, ExprKind, Function, FunctionId, Literal, Op, Run, StmtKind,
};

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

/// How an argument differs from what the function was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Same,
    /// Does not grow: a literal, a truth value.
    Constant,
    /// Less or more by a step.
    Step,
    /// Half of it, or the middle of a range.
    Half,
    /// A child or a neighbour.
    Child,
    /// Where the node at hand points to.
    Pointed,
    /// The place of a child in a tree that lies in a list: twice its own.
    Double,
    /// A set of bits.
    Bits,
    /// The variable of a loop.
    Chosen,
    Other,
}

const PARTS_MAX: usize = 20_000;

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

/// The most calls of itself that a function makes on one way through it.
fn on_path(scene: &Scene<'_>, block: Block, calls: &[OwnCall], depth: u32) -> usize {
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

fn shapes(scene: &Scene<'_>, call: &OwnCall, params: &[Var]) -> Vec<Shape> {
    scene.unit.args(call.args).iter().map(|arg| shape(scene, arg.value, params, 0)).collect()
}

fn shape(scene: &Scene<'_>, expr: ExprId, params: &[Var], depth: u32) -> Shape {
    if depth > 8 || !scene.step() {
        return Shape::Other;
    }
    let inner = |expr| shape(scene, expr, params, depth + 1);
    match scene.kind(expr) {
        ExprKind::Literal(_) => Shape::Constant,
        ExprKind::Name(..) => of_name(scene, expr, params, depth),
        ExprKind::Attr(object, name) => match scene.names.text(name) {
            "next" | "parent" => Shape::Step,
            "length" => Shape::Same,
            _ if inner(object) == Shape::Other => Shape::Other,
            _ => Shape::Child,
        },
        ExprKind::Index(object, key) => match (inner(object), scene.kind(key)) {
            (_, ExprKind::Literal(_)) => Shape::Child,
            (_, _) if inner(key) == Shape::Same => Shape::Pointed,
            _ => Shape::Child,
        },
        ExprKind::Slice(_, from, to) => {
            let middle = from.into_iter().chain(to).any(|end| loops::is_middle(scene, end));
            if middle { Shape::Half } else { Shape::Step }
        }
        ExprKind::Binary(op, left, right) => match op {
            Op::Add | Op::Subtract => {
                let sides = [inner(left), inner(right)];
                if loops::is_middle(scene, left) || sides.contains(&Shape::Half) {
                    Shape::Half
                } else if sides.contains(&Shape::Double) {
                    Shape::Double
                } else if sides.contains(&Shape::Bits) {
                    Shape::Bits
                } else if sides.iter().all(|side| *side == Shape::Constant) {
                    Shape::Constant
                } else {
                    Shape::Step
                }
            }
            Op::Divide | Op::FloorDivide | Op::ShiftRight | Op::Modulo => Shape::Half,
            Op::Multiply | Op::ShiftLeft => match [inner(left), inner(right)] {
                [Shape::Same, Shape::Constant] | [Shape::Constant, Shape::Same] => Shape::Double,
                [Shape::Constant, _] => Shape::Bits,
                _ => Shape::Other,
            },
            Op::Other => match [inner(left), inner(right)] {
                [Shape::Double, _] | [_, Shape::Double] => Shape::Double,
                [_, Shape::Constant] if loops::halves(scene, expr) => Shape::Half,
                _ => Shape::Bits,
            },
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => Shape::Constant,
            Op::Equal | Op::NotEqual | Op::In | Op::And | Op::Or | Op::Not => Shape::Constant,
            _ => Shape::Other,
        },
        ExprKind::Unary(_, value) | ExprKind::Spread(value) | ExprKind::Cast(value, _) => inner(value),
        ExprKind::Conditional(_, one, other) => inner(one).max(inner(other)),
        ExprKind::Call(_, callee, args) => {
            let args = scene.unit.args(args);
            let middle = args.iter().any(|arg| loops::is_middle(scene, arg.value));
            match scene.callee_name(callee) {
                "slice" | "substring" | "subarray" | "substr" | "copyOfRange" | "subList" => {
                    if middle {
                        Shape::Half
                    } else {
                        Shape::Step
                    }
                }
                _ => args.iter().map(|arg| inner(arg.value)).max().unwrap_or(Shape::Other),
            }
        }
        ExprKind::Collection(_, parts) => {
            scene.unit.exprs_of(parts).iter().map(|part| inner(*part)).max().unwrap_or(Shape::Constant)
        }
        _ => Shape::Other,
    }
}

fn of_name(scene: &Scene<'_>, expr: ExprId, params: &[Var], depth: u32) -> Shape {
    let Some(var) = scene.var(expr) else { return Shape::Other };
    if params.contains(&var) {
        return Shape::Same;
    }
    if loops::is_middle(scene, expr) {
        return Shape::Half;
    }
    let given = scene.facts.given(var).iter().take(8);
    let shapes = given.map(|one| match one.source {
        Source::ElementOf(_) => Shape::Chosen,
        Source::Value(value) => match scene.kind(value) {
            // A list that is made here, and filled with a part of what was given.
            ExprKind::Collection(..) | ExprKind::Comprehension(..) => Shape::Half,
            _ => shape(scene, value, params, depth + 1),
        },
        Source::Change(..) => Shape::Chosen,
        Source::PartOf(_) => Shape::Child,
        Source::Param(_) => Shape::Same,
    });
    shapes.max().unwrap_or(Shape::Other)
}

/// Whether a function remembers its results.
fn is_memoised(scene: &Scene<'_>, id: FunctionId, function: &Function) -> bool {
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
fn is_marked(scene: &Scene<'_>, function: &Function) -> bool {
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
