//! Blocks, branches and loops. In: blocks and what branches or repeats, as statements and as values. Out: statements; a
//! value that several ways give is a variable that each way assigns. A loop over a range counts.

use super::{F, K, Reader};
use crate::graph::ir::{Block, Branch, ExprId, ExprKind, Literal, Loop, LoopKind, Op, Run, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// A range that a loop counts through.
struct Counting {
    from: Option<At>,
    to: At,
    inclusive: bool,
    down: bool,
    step: Option<At>,
}

impl Reader<'_, '_> {
    /// What a walk adds, as a block in a scope of its own.
    fn block_with(&mut self, place: Place, walk: impl FnOnce(&mut Self, Place)) -> Block {
        let inner = self.inner(place);
        let outer = std::mem::take(&mut self.list);
        walk(self, inner);
        let list = std::mem::replace(&mut self.list, outer);
        self.out.block(list)
    }

    /// The statements of a block, items first; the value of its last expression.
    pub(super) fn block_value(&mut self, at: At, place: Place) -> Option<ExprId> {
        if !matches!(self.kind(at), K::Block) {
            return Some(self.expr(at, place));
        }
        let (items, others): (Vec<At>, Vec<At>) = self.children(at).partition(|child| {
            matches!(
                self.kind(*child),
                K::FunctionItem
                    | K::Struct
                    | K::Enum
                    | K::Trait
                    | K::Impl
                    | K::Use
                    | K::ConstItem
                    | K::StaticItem
            )
        });
        items.into_iter().for_each(|item| {
            self.item(item, place);
        });
        let last = others.last().copied().filter(|last| {
            !matches!(
                self.kind(*last),
                K::ExpressionStatement | K::Let | K::Empty | K::AttributeItem | K::MacroDefinition | K::Label
            )
        });
        for child in others.iter().take(others.len() - usize::from(last.is_some())) {
            self.statement(*child, place);
        }
        last.map(|last| self.expr(last, place))
    }

    pub(super) fn statement(&mut self, at: At, place: Place) {
        let line = self.line(at);
        match self.kind(at) {
            K::ExpressionStatement => {
                if let Some(inner) = self.first(at) {
                    self.statement(inner, place);
                }
            }
            K::Let => self.variable(at, place),
            K::If => self.branch(at, None, place),
            K::Match => self.arms(at, None, place),
            K::For | K::While | K::Loop => self.repeat(at, place),
            K::Block | K::Unsafe | K::ConstBlock => {
                let block = self.first(at).filter(|_| self.kind(at) != K::Block).unwrap_or(at);
                let block = self.ways(Some(block), None, place);
                self.add(StmtKind::Block(block), line);
            }
            K::Assignment => {
                let value = Some(self.part(at, F::Right, place));
                let target = self.target(at, place);
                self.add(StmtKind::Assign { target, value, op: None, ty: None }, line);
            }
            K::CompoundAssignment => {
                let op = self.field(at, F::Operator).map(|operator| self.kind(operator));
                let op = Some(op.map_or(Op::Other, super::expressions::op_of));
                let value = Some(self.part(at, F::Right, place));
                let target = self.target(at, place);
                self.add(StmtKind::Assign { target, value, op, ty: None }, line);
            }
            K::Other if self.first(at).is_some() => {
                for child in self.children(at) {
                    self.statement(child, place);
                }
            }
            _ if self.item(at, place) => {}
            K::Label => {}
            _ => {
                let value = self.expr(at, place);
                self.add(StmtKind::Expr(value), line);
            }
        }
    }

    pub(super) fn target(&mut self, at: At, place: Place) -> ExprId {
        let target = self.part(at, F::Left, place);
        if let ExprKind::Name(name, scope) = self.out.unit.expr(target).kind {
            self.out.unit.written.push((scope, name));
        }
        target
    }

    fn variable(&mut self, at: At, place: Place) {
        let line = self.line(at);
        let pattern = self.field(at, F::Pattern);
        let value = self.field(at, F::Value).map(|value| self.expr(value, place));
        let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, place));
        if let Some(otherwise) = self.field(at, F::Alternative) {
            let body = self.ways(Some(otherwise), None, place);
            let condition = Some(self.out.unknown(Vec::new(), line));
            let branches = self.out.branches(vec![Branch { condition, body }]);
            self.add(StmtKind::Branch(branches), line);
        }
        let Some(pattern) = pattern else { return };
        if self.kind(pattern) == K::Identifier {
            let name = self.symbol(pattern);
            let target = self.declared_name(name, place.scope, line);
            return self.add(StmtKind::Assign { target, value, op: None, ty }, line);
        }
        let target = self.temporary(place, line);
        self.add(StmtKind::Assign { target, value, op: None, ty }, line);
        self.bind(pattern, target, place);
    }

    /// A block; what it gives is assigned to the target.
    fn ways(&mut self, at: Option<At>, target: Option<ExprId>, place: Place) -> Block {
        let Some(at) = at else { return Run::EMPTY };
        self.block_with(place, |reader, inner| reader.give(at, target, inner))
    }

    fn give(&mut self, at: At, target: Option<ExprId>, place: Place) {
        let line = self.line(at);
        let value = self.block_value(at, place);
        match (value, target) {
            (Some(value), Some(target)) => {
                self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
            }
            (Some(value), None) => self.add(StmtKind::Expr(value), line),
            (None, _) => {}
        }
    }

    /// A variable that several ways assign.
    pub(super) fn value_of(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let target = self.temporary(place, line);
        match self.kind(at) {
            K::If => self.branch(at, Some(target), place),
            _ => self.arms(at, Some(target), place),
        }
        target
    }

    /// `else if` stands in the alternative; a long chain of them is walked, not nested.
    fn branch(&mut self, at: At, target: Option<ExprId>, place: Place) {
        let (mut branches, mut next) = (Vec::new(), Some(at));
        while let Some(one) = next.take() {
            let inner = self.inner(place);
            let condition = self.field(one, F::Condition).map(|condition| self.condition(condition, inner));
            let body = self.field(one, F::Consequence);
            branches.push(Branch { condition, body: self.ways(body, target, inner) });
            let otherwise = self.field(one, F::Alternative).and_then(|clause| self.first(clause));
            match otherwise {
                Some(otherwise) if self.kind(otherwise) == K::If => next = Some(otherwise),
                Some(otherwise) => {
                    let body = self.ways(Some(otherwise), target, place);
                    branches.push(Branch { condition: None, body });
                }
                None => {}
            }
        }
        let (branches, line) = (self.out.branches(branches), self.line(at));
        self.add(StmtKind::Branch(branches), line);
    }

    /// A condition; `let` in it declares names in the scope that is given.
    fn condition(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        match self.kind(at) {
            K::LetCondition => {
                let value = self.part(at, F::Value, place);
                let target = self.temporary(place, line);
                self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
                if let Some(pattern) = self.field(at, F::Pattern) {
                    self.bind(pattern, target, place);
                }
                target
            }
            K::LetChain => {
                let parts: Vec<At> = self.children(at).collect();
                let parts = parts.into_iter().map(|part| self.condition(part, place)).collect();
                self.out.unknown(parts, line)
            }
            _ => self.expr(at, place),
        }
    }

    fn arms(&mut self, at: At, target: Option<ExprId>, place: Place) {
        let (value, line) = (self.part(at, F::Value, place), self.line(at));
        let matched = self.temporary(place, line);
        self.add(StmtKind::Assign { target: matched, value: Some(value), op: None, ty: None }, line);
        let mut branches = Vec::new();
        let arms = self.field(at, F::Body).map(|body| self.of_kind(body, K::MatchArm));
        for arm in arms.into_iter().flatten() {
            let mut conditions = Vec::new();
            let body = self.block_with(place, |reader, inner| {
                if let Some(pattern) = reader.field(arm, F::Pattern) {
                    reader.bind(pattern, matched, inner);
                    if let Some(guard) = reader.field(pattern, F::Condition) {
                        conditions.push(reader.condition(guard, inner));
                    }
                }
                if let Some(value) = reader.field(arm, F::Value) {
                    reader.give(value, target, inner);
                }
            });
            let line = self.line(arm);
            branches.push(Branch { condition: Some(self.out.unknown(conditions, line)), body });
        }
        // One of the arms is always taken.
        if let Some(last) = branches.last_mut() {
            last.condition = None;
        }
        let branches = self.out.branches(branches);
        self.add(StmtKind::Branch(branches), line);
    }

    pub(super) fn repeat(&mut self, at: At, place: Place) {
        let (line, body) = (self.line(at), self.field(at, F::Body));
        let place = self.inner(place);
        let (kind, body) = match self.kind(at) {
            K::For => self.each(at, body, place),
            K::While => self.while_loop(at, body, place),
            _ => (LoopKind::Forever, self.ways(body, None, place)),
        };
        let id = self.out.add_loop(Loop { kind, body, otherwise: Run::EMPTY, line });
        self.add(StmtKind::Loop(id), line);
    }

    /// `while let pattern = value`: the condition assigns, the body takes apart.
    fn while_loop(&mut self, at: At, body: Option<At>, place: Place) -> (LoopKind, Block) {
        let line = self.line(at);
        let Some(condition) = self.field(at, F::Condition) else {
            return (LoopKind::Forever, self.ways(body, None, place));
        };
        if self.kind(condition) != K::LetCondition {
            let condition = self.condition(condition, place);
            return (LoopKind::While(condition), self.ways(body, None, place));
        }
        let value = self.part(condition, F::Value, place);
        let target = self.temporary(place, line);
        let assigned = self.out.expr(ExprKind::Assign(target, value), line);
        let body = self.block_with(place, |reader, inner| {
            if let Some(pattern) = reader.field(condition, F::Pattern) {
                reader.bind(pattern, target, inner);
            }
            body.into_iter().for_each(|body| reader.give(body, None, inner));
        });
        (LoopKind::While(assigned), body)
    }

    fn each(&mut self, at: At, body: Option<At>, place: Place) -> (LoopKind, Block) {
        let line = self.line(at);
        let (Some(pattern), Some(value)) = (self.field(at, F::Pattern), self.field(at, F::Value)) else {
            return (LoopKind::Forever, self.ways(body, None, place));
        };
        if let Some(counting) = self.counting(value) {
            return self.counted(pattern, &counting, body, place);
        }
        let (value, pattern) = self.numbered(value, pattern);
        let iterated = self.iterated(value, place);
        let simple = self.kind(pattern) == K::Identifier;
        let target = match simple {
            true => {
                let name = self.symbol(pattern);
                self.declared_name(name, place.scope, line)
            }
            false => self.temporary(place, line),
        };
        let body = self.block_with(place, |reader, inner| {
            if !simple {
                reader.bind(pattern, target, inner);
            }
            body.into_iter().for_each(|body| reader.give(body, None, inner));
        });
        (LoopKind::Each { target, iterated }, body)
    }

    /// A method of a receiver without arguments.
    fn method_of(&self, at: At) -> Option<(At, &str)> {
        let function = self.field(at, F::Function).filter(|_| self.kind(at) == K::Call)?;
        let name = self.field(function, F::Field)?;
        Some((self.field(function, F::Value)?, self.text(name)))
    }

    /// `for (number, element) in list.enumerate()` walks over the list's elements.
    fn numbered(&self, value: At, pattern: At) -> (At, At) {
        let parts: Vec<At> = self.children(pattern).collect();
        match (self.method_of(value), &parts[..]) {
            (Some((receiver, "enumerate")), [_, element]) if self.kind(pattern) == K::TuplePattern => {
                (receiver, *element)
            }
            _ => (value, pattern),
        }
    }

    /// What is iterated, without the calls and references that only say how.
    fn iterated(&mut self, at: At, place: Place) -> ExprId {
        let mut at = at;
        loop {
            at = match self.method_of(at) {
                Some((receiver, "iter" | "iter_mut" | "into_iter" | "rev" | "copied" | "cloned")) => receiver,
                _ if self.kind(at) == K::Reference => self.field(at, F::Value).unwrap_or(at),
                _ => return self.expr(at, place),
            };
        }
    }

    /// A range, perhaps turned round or with a step.
    fn counting(&self, at: At) -> Option<Counting> {
        let (mut at, mut down, mut step) = (at, false, None);
        loop {
            match (self.kind(at), self.method_of(at)) {
                (K::Parenthesized, _) => at = self.first(at)?,
                (_, Some((receiver, "rev"))) => (at, down) = (receiver, true),
                (_, Some((receiver, "step_by"))) => {
                    step = self.field(at, F::Arguments).and_then(|list| self.first(list));
                    at = receiver;
                }
                (K::Range, _) => break,
                _ => return None,
            }
        }
        let ends: Vec<At> = self.children(at).collect();
        let inclusive = self.has(at, K::Inclusive);
        match ends[..] {
            [from, to] => Some(Counting { from: Some(from), to, inclusive, down, step }),
            [to] if self.text(at).starts_with("..") => {
                Some(Counting { from: None, to, inclusive, down, step })
            }
            _ => None,
        }
    }

    fn counted(
        &mut self,
        pattern: At,
        range: &Counting,
        body: Option<At>,
        place: Place,
    ) -> (LoopKind, Block) {
        let line = self.line(pattern);
        let target = match self.kind(pattern) {
            K::Identifier => {
                let name = self.symbol(pattern);
                self.declared_name(name, place.scope, line)
            }
            _ => self.temporary(place, line),
        };
        let zero = ExprKind::Literal(Literal::Int(0));
        let low = match range.from {
            Some(from) => self.expr(from, place),
            None => self.out.expr(zero, line),
        };
        let high = self.expr(range.to, place);
        let (first, op, end) = match (range.down, range.inclusive) {
            (true, _) => (high, Op::GreaterEqual, low),
            (false, true) => (low, Op::LessEqual, high),
            (false, false) => (low, Op::Less, high),
        };
        let start = self.out.assign(target, first, line);
        let condition = Some(self.out.expr(ExprKind::Binary(op, target, end), line));
        let by = match range.step {
            Some(step) => self.expr(step, place),
            None => self.out.expr(ExprKind::Literal(Literal::Int(1)), line),
        };
        let op = Some(if range.down { Op::Subtract } else { Op::Add });
        let step = self.out.stmt(StmtKind::Assign { target, value: Some(by), op, ty: None }, line);
        let (start, step) = (self.out.block(vec![start]), self.out.block(vec![step]));
        let body = self.ways(body, None, place);
        (LoopKind::Counted { start, condition, step }, body)
    }
}
