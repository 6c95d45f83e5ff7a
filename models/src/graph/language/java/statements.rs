//! Statements. In: blocks. Out: their statements in no language's own terms. What is broken is read for the statements in
//! it.

use super::expressions::op_of;
use super::{F, K, Reader};
use crate::graph::ir::{
    Block, Branch, CallKind, ExprId, ExprKind, Handler, Literal, Loop, LoopKind, Op, Run, StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// The statements of a block, in that scope.
    pub(super) fn statements(&mut self, at: At, place: Place) {
        for child in self.children(at) {
            self.statement(child, place);
        }
    }

    /// What a walk adds, as a block in a scope of its own.
    pub(super) fn block_with(&mut self, place: Place, walk: impl FnOnce(&mut Self, Place)) -> Block {
        let (inner, seen) = (self.inner(place), self.locals.len());
        let outer = std::mem::take(&mut self.list);
        walk(self, inner);
        self.locals.truncate(seen);
        let list = std::mem::replace(&mut self.list, outer);
        self.out.block(list)
    }

    pub(super) fn block(&mut self, at: Option<At>, place: Place) -> Block {
        let Some(at) = at else { return Run::EMPTY };
        self.block_with(place, |reader, inner| match reader.kind(at) {
            K::Block => reader.statements(at, inner),
            _ => reader.statement(at, inner),
        })
    }

    pub(super) fn statement(&mut self, at: At, place: Place) {
        let line = self.line(at);
        match self.kind(at) {
            K::ExpressionStatement => self.simple(at, place),
            K::Local => self.variables(at, place),
            K::If => self.branch(at, place),
            K::For | K::Each | K::While | K::Do => self.repeat(at, place),
            K::Try | K::TryWithResources => self.attempt(at, place),
            K::Switch => self.switch(at, None, place),
            K::Return => {
                let value = self.first(at).map(|value| self.expr(value, place));
                self.add(StmtKind::Return(value), line);
            }
            K::Throw => {
                let value = self.first(at).map(|value| self.expr(value, place));
                self.add(StmtKind::Raise(value), line);
            }
            K::Break => self.add(StmtKind::Break, line),
            K::Continue => self.add(StmtKind::Continue, line),
            K::Block => {
                let block = self.block(Some(at), place);
                self.add(StmtKind::Block(block), line);
            }
            K::Labeled => {
                // The label stands before its statement.
                for child in self.children(at).skip(1) {
                    self.statement(child, place);
                }
            }
            K::Synchronized => {
                for child in self.children(at) {
                    self.statement(child, place);
                }
            }
            _ if self.is_class(at) => self.class_declaration(at, place.scope, place),
            K::Method => self.method(at, place),
            K::Import => self.import(at, place),
            K::Field => self.variables(at, place),
            K::Other if self.first(at).is_some() => self.statements(at, place),
            _ => {
                let value = self.expr(at, place);
                self.add(StmtKind::Expr(value), line);
            }
        }
    }

    /// An expression for what it does; assignments are statements of their own.
    fn simple(&mut self, at: At, place: Place) {
        for child in self.children(at) {
            let line = self.line(child);
            match self.kind(child) {
                K::Assignment => self.assignment(child, place),
                K::Update => {
                    let Some(inner) = self.first(child) else { continue };
                    let target = self.target(inner, place);
                    let value = Some(self.out.expr(ExprKind::Literal(Literal::Int(1)), line));
                    let op = Some(if self.has(child, K::Increment) { Op::Add } else { Op::Subtract });
                    self.add(StmtKind::Assign { target, value, op, ty: None }, line);
                }
                K::Switch => self.switch(child, None, place),
                _ => {
                    let value = self.expr(child, place);
                    self.add(StmtKind::Expr(value), line);
                }
            }
        }
    }

    fn assignment(&mut self, at: At, place: Place) {
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else { return };
        let hint = match self.kind(left) {
            K::Identifier => Some(self.symbol(left)),
            K::FieldAccess => self.field(left, F::Field).map(|field| self.symbol(field)),
            _ => None,
        };
        let value = Some(self.named(right, hint, place));
        let target = self.target(left, place);
        let operator = self.field(at, F::Operator).map(|operator| self.kind(operator));
        let op = operator.filter(|kind| *kind != K::Equals).map(op_of);
        let line = self.line(at);
        self.add(StmtKind::Assign { target, value, op, ty: None }, line);
    }

    fn variables(&mut self, at: At, place: Place) {
        let ty_at = self.field(at, F::Type);
        for one in self.of_kind(at, K::VariableDeclarator) {
            let Some(name) = self.field(one, F::Name) else { continue };
            let (hint, line) = (Some(self.symbol(name)), self.line(one));
            let value = self.field(one, F::Value).map(|value| self.named(value, hint, place));
            let ty = ty_at.and_then(|ty| self.ty(ty, place));
            let target = self.local(name, place);
            self.add(StmtKind::Assign { target, value, op: None, ty }, line);
        }
    }

    /// `else if` stands in the alternative; a long chain of them is walked, not nested.
    fn branch(&mut self, at: At, place: Place) {
        let (mut branches, mut next) = (Vec::new(), Some(at));
        while let Some(one) = next.take() {
            let condition = self.field(one, F::Condition).map(|condition| self.expr(condition, place));
            let body = self.field(one, F::Consequence);
            branches.push(Branch { condition, body: self.block(body, place) });
            match self.field(one, F::Alternative) {
                Some(other) if self.kind(other) == K::If => next = Some(other),
                Some(other) => {
                    branches.push(Branch { condition: None, body: self.block(Some(other), place) })
                }
                None => {}
            }
        }
        let (branches, line) = (self.out.branches(branches), self.line(at));
        self.add(StmtKind::Branch(branches), line);
    }

    fn repeat(&mut self, at: At, place: Place) {
        let (inner, seen) = (self.inner(place), self.locals.len());
        let kind = match self.kind(at) {
            K::Each => {
                let iterated = self.part(at, F::Value, inner);
                let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, inner));
                match self.field(at, F::Name) {
                    Some(name) => {
                        let target = self.local(name, inner);
                        return self.each(at, target, iterated, ty, inner, seen);
                    }
                    None => LoopKind::Forever,
                }
            }
            K::For => self.counted(at, inner),
            kind => {
                let condition = self.field(at, F::Condition).map(|condition| self.expr(condition, inner));
                match condition {
                    Some(condition) if kind == K::Do => LoopKind::DoWhile(condition),
                    Some(condition) => LoopKind::While(condition),
                    None => LoopKind::Forever,
                }
            }
        };
        let body = self.block(self.field(at, F::Body), inner);
        self.finish(at, kind, body, seen);
    }

    /// What the loop's variable is said to be is so at the head of each round.
    fn each(
        &mut self,
        at: At,
        target: ExprId,
        iterated: ExprId,
        ty: Option<ExprId>,
        place: Place,
        seen: usize,
    ) {
        let (body_at, line) = (self.field(at, F::Body), self.line(at));
        let body = self.block_with(place, |reader, inner| {
            if let Some(ty) = ty {
                let value = Some(target);
                reader.add(StmtKind::Assign { target, value, op: None, ty: Some(ty) }, line);
            }
            match body_at {
                Some(body) if reader.kind(body) == K::Block => reader.statements(body, inner),
                Some(body) => reader.statement(body, inner),
                None => {}
            }
        });
        self.finish(at, LoopKind::Each { target, iterated }, body, seen);
    }

    fn finish(&mut self, at: At, kind: LoopKind, body: Block, seen: usize) {
        self.locals.truncate(seen);
        let line = self.line(at);
        let id = self.out.add_loop(Loop { kind, body, otherwise: Run::EMPTY, line });
        self.add(StmtKind::Loop(id), line);
    }

    fn counted(&mut self, at: At, place: Place) -> LoopKind {
        let outer = std::mem::take(&mut self.list);
        for one in self.called(at, F::Init) {
            self.part_of_for(one, place);
        }
        let start = std::mem::take(&mut self.list);
        let condition = self.field(at, F::Condition).map(|condition| self.expr(condition, place));
        for one in self.called(at, F::Update) {
            self.part_of_for(one, place);
        }
        let step = std::mem::replace(&mut self.list, outer);
        let (start, step) = (self.out.block(start), self.out.block(step));
        LoopKind::Counted { start, condition, step }
    }

    fn part_of_for(&mut self, at: At, place: Place) {
        match self.kind(at) {
            K::Local => self.variables(at, place),
            K::Assignment => self.assignment(at, place),
            _ => {
                let (value, line) = (self.expr(at, place), self.line(at));
                self.add(StmtKind::Expr(value), line);
            }
        }
    }

    /// Resources are closed in the end.
    fn attempt(&mut self, at: At, place: Place) {
        let (body_at, line) = (self.field(at, F::Body), self.line(at));
        let mut opened = Vec::new();
        let body = self.block_with(place, |reader, inner| {
            let resources = reader.field(at, F::Resources).map(|list| reader.of_kind(list, K::Resource));
            for resource in resources.into_iter().flatten() {
                opened.extend(reader.resource(resource, inner));
            }
            if let Some(body) = body_at {
                reader.statements(body, inner);
            }
            for name in std::mem::take(&mut opened) {
                let close = reader.out.names.intern("close");
                let callee = reader.out.expr(ExprKind::Attr(name, close), line);
                let call = reader.out.call(CallKind::Plain, callee, Vec::new(), line);
                reader.add(StmtKind::Expr(call), line);
            }
        });
        let mut handlers = Vec::new();
        for clause in self.of_kind(at, K::CatchClause) {
            let (outer, seen) = (self.inner(place), self.locals.len());
            let parameter = self.of_kind(clause, K::CatchParameter).next();
            let ty = parameter.and_then(|one| self.of_kind(one, K::CatchType).next());
            let ty = ty.and_then(|ty| self.ty(ty, outer));
            let target = parameter.and_then(|one| self.field(one, F::Name));
            let target = target.map(|target| self.local(target, outer));
            let body = self.block(self.field(clause, F::Body), outer);
            self.locals.truncate(seen);
            handlers.push(Handler { ty, target, body });
        }
        let finally = self.of_kind(at, K::FinallyClause).next().and_then(|clause| self.first(clause));
        let finally = self.block(finally, place);
        let handlers = self.out.handlers(handlers);
        self.add(StmtKind::Try { body, handlers, otherwise: Run::EMPTY, finally }, line);
    }

    /// The name that a resource goes by.
    fn resource(&mut self, at: At, place: Place) -> Option<ExprId> {
        let line = self.line(at);
        let Some(name) = self.field(at, F::Name) else {
            let inner = self.first(at)?;
            return Some(self.expr(inner, place));
        };
        let value = self.field(at, F::Value).map(|value| self.expr(value, place));
        let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, place));
        let target = self.local(name, place);
        self.add(StmtKind::Assign { target, value, op: None, ty }, line);
        Some(target)
    }
}
