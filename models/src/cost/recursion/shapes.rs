//! On what a function calls itself. In: a call, and the function's parameters. Out: for each argument how it differs from
//! what the function was given.

use super::OwnCall;
use crate::cost::facts::{Source, Var};
use crate::cost::loops;
use crate::cost::sizes::Scene;
use crate::graph::ir::{ExprId, ExprKind, Op};

/// How an argument differs from what the function was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
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

pub(super) fn shapes(scene: &Scene<'_>, call: &OwnCall, params: &[Var]) -> Vec<Shape> {
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
