//! How large values are. In: an expression. Out: how its value, or the number of its elements, grows with the input.
//! Parameters and what is read are as large as the input; what is written in the text is constant. What cannot be told
//! is taken to be as large as the input, and is marked as not sure.

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;

use super::facts::{Facts, Source, Var};
use super::growth::Growth;
use super::library;
use super::loops;
use crate::graph::Analysis;
use crate::graph::ir::{
    Arg, Block, Collection, Expr, ExprId, ExprKind, Literal, LoopId, LoopKind, Op, Run, Spread, StmtKind,
    Unit, UnitId,
};
use crate::graph::names::Names;

/// What is asked about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// How large a number it is.
    Value,
    /// How many elements it has.
    Length,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) growth: Growth,
    /// Nothing was guessed.
    pub(super) sure: bool,
}

impl Size {
    pub(super) const ONE: Self = Self { growth: Growth::ONE, sure: true };
    pub(super) const N: Self = Self { growth: Growth::N, sure: true };
    const GUESS: Self = Self { growth: Growth::N, sure: false };

    fn of(growth: Growth) -> Self {
        Self { growth, sure: true }
    }

    fn max(self, other: Self) -> Self {
        Self { growth: self.growth.max(other.growth), sure: self.sure && other.sure }
    }

    fn min(self, other: Self) -> Self {
        Self { growth: self.growth.min(other.growth), sure: self.sure && other.sure }
    }

    fn times(self, other: Self) -> Self {
        Self { growth: self.growth.times(other.growth), sure: self.sure && other.sure }
    }

    fn map(self, change: fn(Growth) -> Growth) -> Self {
        Self { growth: change(self.growth), ..self }
    }
}

/// Expressions in expressions are followed this far.
const DEPTH_MAX: u32 = 24;
/// Values of one variable that are looked at.
const VALUES_MAX: usize = 64;

/// A unit with all that is known of it.
pub(super) struct Scene<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) id: UnitId,
    pub(super) unit: &'a Unit,
    pub(super) names: &'a Names,
    pub(super) facts: &'a Facts,
    /// Steps that the whole assessment may still take.
    pub(super) budget: &'a Cell<usize>,
    known: RefCell<FxHashMap<(Var, Want), Option<Size>>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(analysis: &'a Analysis, id: UnitId, facts: &'a Facts, budget: &'a Cell<usize>) -> Self {
        let (unit, names) = (&analysis.program.units[id.index()], &analysis.program.names);
        Self { analysis, id, unit, names, facts, budget, known: RefCell::default() }
    }

    pub(super) fn kind(&self, expr: ExprId) -> ExprKind {
        let Expr { kind, .. } = self.unit.expr(expr);
        kind
    }

    /// One step of the budget; none is left when it says no.
    pub(super) fn step(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0
    }

    /// The last part of the name of what is called.
    pub(super) fn callee_name(&self, callee: ExprId) -> &'a str {
        match self.kind(callee) {
            ExprKind::Name(name, _) | ExprKind::Attr(_, name) => self.names.text(name),
            ExprKind::Index(inner, _) => self.callee_name(inner),
            ExprKind::Import(path) => library::last(self.names.text(path)),
            _ => "",
        }
    }

    /// The variable, if the expression is one.
    pub(super) fn var(&self, expr: ExprId) -> Option<Var> {
        self.facts.var(self.unit, expr)
    }

    pub(super) fn value(&self, expr: ExprId) -> Size {
        self.size(expr, Want::Value, 0)
    }

    pub(super) fn length(&self, expr: ExprId) -> Size {
        self.size(expr, Want::Length, 0)
    }

    fn size(&self, expr: ExprId, want: Want, depth: u32) -> Size {
        if depth > DEPTH_MAX || !self.step() {
            return Size::GUESS;
        }
        let inner = |expr| self.size(expr, want, depth + 1);
        match self.kind(expr) {
            ExprKind::Literal(Literal::SomeText(parts)) => {
                self.unit.exprs_of(parts).iter().map(|part| inner(*part)).fold(Size::ONE, Size::max)
            }
            ExprKind::Literal(_) => Size::ONE,
            ExprKind::Name(..) => match self.var(expr) {
                Some(var) => self.of_var(var, want, depth),
                None => Size::GUESS,
            },
            ExprKind::Attr(object, name) => match self.names.text(name) {
                "length" | "size" | "Length" | "Count" => self.size(object, Want::Length, depth + 1),
                name if library::is_constant(name) => Size::ONE,
                _ => self.var(expr).map_or(Size::GUESS, |var| self.of_var(var, want, depth)),
            },
            ExprKind::Call(_, callee, args) => self.of_call(callee, args, want, depth),
            ExprKind::Binary(op, left, right) => self.of_binary(op, left, right, want, depth),
            ExprKind::Unary(_, value)
            | ExprKind::Await(value)
            | ExprKind::Spread(value)
            | ExprKind::Enter(value)
            | ExprKind::Assign(_, value) => inner(value),
            // `new int[n]` is a list that is said to be as long as that.
            ExprKind::Cast(value, _) => match (self.kind(value), want) {
                (ExprKind::Unknown(sizes), Want::Length) => match self.unit.exprs_of(sizes).first() {
                    Some(first) => self.size(*first, Want::Value, depth + 1),
                    None => Size::GUESS,
                },
                _ => inner(value),
            },
            ExprKind::Conditional(_, one, other) => inner(one).max(inner(other)),
            ExprKind::Index(object, _) => self.element(object, want, depth),
            ExprKind::Slice(object, from, to) => match (from, to) {
                (None | Some(_), Some(to)) if self.is_constant_slice(from, to) => Size::ONE,
                _ => self.size(object, Want::Length, depth + 1),
            },
            ExprKind::Collection(_, parts) => self.of_parts(self.unit.exprs_of(parts), depth),
            ExprKind::Map(_, entries) => {
                let taken = self.unit.entries(entries).iter().filter(|entry| entry.key.is_none());
                taken.map(|entry| self.size(entry.value, Want::Length, depth + 1)).fold(Size::ONE, Size::max)
            }
            ExprKind::Comprehension(_, block) => self.of_comprehension(block, depth),
            _ => Size::GUESS,
        }
    }

    /// Spread elements count; others are written there.
    fn of_parts(&self, parts: &[ExprId], depth: u32) -> Size {
        let spread = parts.iter().filter_map(|part| match self.kind(*part) {
            ExprKind::Spread(inner) => Some(inner),
            _ => None,
        });
        spread.map(|inner| self.size(inner, Want::Length, depth + 1)).fold(Size::ONE, Size::max)
    }

    fn is_constant_slice(&self, from: Option<ExprId>, to: ExprId) -> bool {
        let literal =
            |expr| matches!(self.kind(expr), ExprKind::Literal(Literal::Int(number)) if number >= 0);
        literal(to) || from.is_some_and(|from| self.differ_by_constant(from, to))
    }

    /// `i` and `i + 3`, whatever `i` is.
    pub(super) fn differ_by_constant(&self, one: ExprId, other: ExprId) -> bool {
        let mut bases = [Vec::new(), Vec::new()];
        self.bases(one, &mut bases[0], 0);
        self.bases(other, &mut bases[1], 0);
        bases[0].iter().any(|base| bases[1].contains(base))
    }

    /// Variables from which an expression differs by a constant, or by less where it is the smallest of several.
    fn bases(&self, expr: ExprId, out: &mut Vec<Var>, depth: u32) {
        if depth > 6 || !self.step() {
            return;
        }
        match self.kind(expr) {
            ExprKind::Binary(Op::Add | Op::Subtract, left, right)
                if matches!(self.kind(right), ExprKind::Literal(_)) =>
            {
                self.bases(left, out, depth + 1);
            }
            ExprKind::Call(_, callee, args) if matches!(self.callee_name(callee), "min" | "max") => {
                for arg in self.unit.args(args).iter().take(8) {
                    self.bases(arg.value, out, depth + 1);
                }
            }
            _ => out.extend(self.var(expr)),
        }
    }

    fn of_var(&self, var: Var, want: Want, depth: u32) -> Size {
        let key = (var, want);
        if let Some(known) = self.known.borrow().get(&key) {
            // In a circle, a variable adds nothing to what its other values say.
            return known.unwrap_or(Size::ONE);
        }
        self.known.borrow_mut().insert(key, None);
        let size = self.of_given(var, want, depth);
        self.known.borrow_mut().insert(key, Some(size));
        size
    }

    fn of_given(&self, var: Var, want: Want, depth: u32) -> Size {
        let given = self.facts.given(var);
        if given.is_empty() {
            return match self.facts.name(self.names, var) {
                name if library::is_constant(name) => Size::ONE,
                _ => Size::GUESS,
            };
        }
        let mut size = Size::ONE;
        for one in given.iter().take(VALUES_MAX) {
            let next = match one.source {
                Source::Param(_) => Size::N,
                Source::Value(value) => match self.stepped(var, value, one.within) {
                    Some(within) if want == Want::Value => self.counted_to(var, within, depth),
                    _ => self.size(value, want, depth + 1),
                },
                Source::Change(Op::Add | Op::Subtract, _) if want == Want::Value && one.within.is_some() => {
                    one.within.map_or(Size::N, |within| self.counted_to(var, within, depth))
                }
                // What changes in each round of a loop grows with the rounds.
                Source::Change(Op::Modulo, value) => self.size(value, want, depth + 1),
                Source::Change(op, value) => {
                    let by = self.size(value, want, depth + 1);
                    let shrinks = matches!(op, Op::Divide | Op::FloorDivide | Op::Other | Op::ShiftRight);
                    if one.within.is_some() && !shrinks { by.max(Size::N) } else { by }
                }
                Source::ElementOf(iterated) => self.element(iterated, want, depth),
                Source::PartOf(value) => match self.kind(value) {
                    ExprKind::Literal(_) => Size::ONE,
                    _ => Size::GUESS,
                },
            };
            size = size.max(next);
        }
        if want == Want::Length && self.facts.grows(var) {
            size = size.max(Size::N);
        }
        let map = |one: &&super::facts::Given| match one.source {
            Source::Value(value) => self.is_map(value),
            _ => false,
        };
        if want == Want::Length && self.facts.is_keyed(var) && given.iter().any(|one| map(&one)) {
            size = size.max(Size::N);
        }
        size
    }

    /// `i = i + 1` in a loop.
    fn stepped(&self, var: Var, value: ExprId, within: Option<LoopId>) -> Option<LoopId> {
        match self.kind(value) {
            ExprKind::Binary(Op::Add | Op::Subtract | Op::Multiply, left, right)
                if self.var(left) == Some(var) || self.var(right) == Some(var) =>
            {
                within
            }
            _ => None,
        }
    }

    /// How large a counter gets: as large as what its loop compares it with.
    fn counted_to(&self, var: Var, within: LoopId, depth: u32) -> Size {
        let condition = match self.unit.loops[within.index()].kind {
            LoopKind::While(condition) | LoopKind::DoWhile(condition) => Some(condition),
            LoopKind::Counted { condition, .. } => condition,
            _ => None,
        };
        let mut compared = Vec::new();
        if let Some(condition) = condition {
            loops::comparisons(self, condition, &mut compared, 0);
        }
        let limits = compared.iter().filter_map(|(_, left, right)| {
            let is = |side| self.var(side) == Some(var);
            if is(*left) {
                Some(*right)
            } else if is(*right) {
                Some(*left)
            } else {
                None
            }
        });
        limits.map(|limit| self.size(limit, Want::Value, depth + 1)).reduce(Size::min).unwrap_or(Size::N)
    }

    /// What a map, or a call that makes one, gives.
    pub(super) fn is_map(&self, value: ExprId) -> bool {
        match self.kind(value) {
            ExprKind::Map(..) | ExprKind::Comprehension(Collection::Dict, _) => true,
            ExprKind::Call(_, callee, _) => library::is_map(self.callee_name(callee)),
            _ => false,
        }
    }

    /// An element of a collection.
    fn element(&self, collection: ExprId, want: Want, depth: u32) -> Size {
        if depth > DEPTH_MAX || !self.step() {
            return Size::GUESS;
        }
        match self.kind(collection) {
            ExprKind::Literal(Literal::Text(_) | Literal::SomeText(_)) => Size::ONE,
            ExprKind::Collection(_, parts) => {
                let parts = self.unit.exprs_of(parts).iter().take(VALUES_MAX);
                parts.map(|part| self.size(*part, want, depth + 1)).fold(Size::ONE, Size::max)
            }
            ExprKind::Call(_, callee, args) => {
                let args = self.unit.args(args);
                match self.callee_name(callee) {
                    "range" | "xrange" if want == Want::Value => args
                        .iter()
                        .map(|arg| self.size(arg.value, want, depth + 1))
                        .fold(Size::ONE, Size::max),
                    "range" | "xrange" => Size::ONE,
                    "enumerate" | "entries" | "items" | "zip" if want == Want::Length => Size::ONE,
                    "reversed" | "sorted" | "list" | "set" => match args.first() {
                        Some(arg) => self.element(arg.value, want, depth + 1),
                        None => Size::ONE,
                    },
                    _ => Size::N,
                }
            }
            ExprKind::Name(..) => {
                let given = self.var(collection).map_or(&[][..], |var| self.facts.given(var));
                match given {
                    [] => Size::GUESS,
                    [one] => match one.source {
                        Source::Value(value) if !matches!(self.kind(value), ExprKind::Name(..)) => {
                            let written = self.element(value, want, depth + 1);
                            let changes = self
                                .var(collection)
                                .is_some_and(|var| self.facts.grows(var) || self.facts.is_keyed(var));
                            if changes { written.max(Size::N) } else { written }
                        }
                        _ => Size::N,
                    },
                    _ => Size::N,
                }
            }
            ExprKind::Binary(Op::Multiply, list, _) => self.element(list, want, depth + 1),
            _ => Size::N,
        }
    }

    fn of_comprehension(&self, block: Block, depth: u32) -> Size {
        let mut size = Size::ONE;
        let mut open: Vec<_> = self.unit.block(block).to_vec();
        while let Some(stmt) = open.pop() {
            if !self.step() {
                return Size::GUESS;
            }
            match self.unit.stmt(stmt).kind {
                StmtKind::Loop(id) => {
                    let one = self.unit.loops[id.index()];
                    if let LoopKind::Each { iterated, .. } | LoopKind::EachKey { iterated, .. } = one.kind {
                        size = size.times(self.size(iterated, Want::Length, depth + 1));
                    }
                    open.extend(self.unit.block(one.body));
                }
                StmtKind::Branch(branches) => {
                    for branch in self.unit.branches(branches) {
                        open.extend(self.unit.block(branch.body));
                    }
                }
                _ => {}
            }
        }
        size
    }

    fn of_binary(&self, op: Op, left: ExprId, right: ExprId, want: Want, depth: u32) -> Size {
        let size = |expr| self.size(expr, want, depth + 1);
        match (op, want) {
            (Op::Multiply, Want::Length) => match self.kind(left) {
                ExprKind::Collection(..) | ExprKind::Literal(_) => {
                    size(left).times(self.size(right, Want::Value, depth + 1))
                }
                _ => size(left).max(size(right)),
            },
            (Op::Multiply, Want::Value) => size(left).times(size(right)),
            (Op::Divide | Op::FloorDivide | Op::ShiftRight, _) => size(left),
            (Op::Modulo, _) => size(right),
            (Op::Power, _) => match self.kind(right) {
                ExprKind::Literal(Literal::Int(power)) if (0..8).contains(&power) => {
                    let base = size(left);
                    (0..power).fold(Size::ONE, |product, _| product.times(base))
                }
                ExprKind::Literal(_) => size(left).map(Growth::root),
                _ if size(right).growth.is_constant() => size(left),
                _ => Size::of(Growth::EXPONENTIAL),
            },
            (Op::ShiftLeft, _) if size(right).growth.is_constant() => size(left),
            (Op::ShiftLeft, _) => Size::of(Growth::EXPONENTIAL),
            (Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual, _) => Size::ONE,
            (Op::Equal | Op::NotEqual | Op::In, _) => Size::ONE,
            (Op::Subtract, _) if self.differ_by_constant(left, right) => Size::ONE,
            // `x | 0` is x; a mask of bits keeps a number small.
            (Op::Other, _) => match (self.kind(left), self.kind(right)) {
                (_, ExprKind::Literal(Literal::Int(0))) => size(left),
                (ExprKind::Literal(_), _) | (_, ExprKind::Literal(_)) => size(left).min(size(right)),
                _ => size(left).max(size(right)),
            },
            _ => size(left).max(size(right)),
        }
    }

    fn of_call(&self, callee: ExprId, args: Run<Arg>, want: Want, depth: u32) -> Size {
        let args = self.unit.args(args);
        let of = |at: usize, want| args.get(at).map(|arg: &Arg| self.size(arg.value, want, depth + 1));
        let receiver = match self.kind(callee) {
            ExprKind::Attr(object, _) => Some(object),
            _ => None,
        };
        let of_receiver =
            || receiver.map_or(Size::GUESS, |object| self.size(object, Want::Length, depth + 1));
        let all = |want| args.iter().map(move |arg| self.size(arg.value, want, depth + 1));
        match library::size_of(self.callee_name(callee)) {
            library::SizeOf::Length if args.is_empty() => of_receiver(),
            library::SizeOf::Length => of(0, Want::Length).unwrap_or(Size::ONE),
            library::SizeOf::SameValue => of(0, want).unwrap_or_else(of_receiver),
            library::SizeOf::Least if args.len() > 1 => all(want).reduce(Size::min).unwrap_or(Size::N),
            library::SizeOf::Most if args.len() > 1 => all(want).fold(Size::ONE, Size::max),
            library::SizeOf::Least | library::SizeOf::Most => match args.first() {
                Some(arg) => self.element(arg.value, want, depth),
                None => Size::N,
            },
            library::SizeOf::Root => of(0, want).unwrap_or_else(of_receiver).map(Growth::root),
            library::SizeOf::Log => of(0, Want::Value).unwrap_or(Size::N).map(Growth::log),
            library::SizeOf::Constant => Size::ONE,
            library::SizeOf::Range => match args {
                [only] => self.size(only.value, Want::Value, depth + 1),
                [from, to, ..] if self.differ_by_constant(from.value, to.value) => Size::ONE,
                [from, to, ..] => {
                    let ends = [from, to].map(|arg| self.size(arg.value, Want::Value, depth + 1));
                    ends[0].max(ends[1])
                }
                [] => Size::N,
            },
            library::SizeOf::Elements => match args.iter().find(|arg| arg.spread == Spread::No) {
                None if args.is_empty() && receiver.is_none() => Size::ONE,
                None => of_receiver(),
                Some(_) if receiver.is_some() => {
                    let static_call = all(Want::Length).fold(Size::ONE, Size::max);
                    of_receiver().max(static_call)
                }
                Some(_) => all(Want::Length).fold(Size::ONE, Size::max),
            },
            library::SizeOf::Shortest => all(Want::Length).reduce(Size::min).unwrap_or(Size::N),
            library::SizeOf::Made => match args {
                [] => Size::ONE,
                [first, ..] if want == Want::Length => {
                    let value = self.size(first.value, Want::Value, depth + 1);
                    value.min(self.size(first.value, Want::Length, depth + 1).max(value))
                }
                _ => Size::N,
            },
            library::SizeOf::Subsets => Size::of(Growth::EXPONENTIAL),
            library::SizeOf::Choices => match args.get(1).map(|arg| self.kind(arg.value)) {
                Some(ExprKind::Literal(Literal::Int(count))) if (0..8).contains(&count) => {
                    Size::of(Growth::power(count as u8))
                }
                _ => Size::of(Growth::EXPONENTIAL),
            },
            library::SizeOf::Product => {
                if args.iter().any(|arg| arg.name.is_some()) {
                    return Size::of(Growth::EXPONENTIAL);
                }
                all(Want::Length).fold(Size::ONE, Size::times)
            }
            library::SizeOf::Input => Size::N,
            library::SizeOf::Unknown => Size::GUESS,
        }
    }
}
