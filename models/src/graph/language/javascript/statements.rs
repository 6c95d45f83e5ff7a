//! Statements. In: blocks. Out: their statements in no language's own terms. Functions that a block declares are there
//! before its first statement. What is broken is read for the statements in it.

use super::{F, K, Reader};
use crate::graph::ir::{Block, Branch, ExprId, Handler, Loop, LoopKind, Op, Run, StmtId, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// The children as statements, declared functions first.
    pub(super) fn statements(&mut self, at: At, place: Place) -> Block {
        let children: Vec<At> = self.children(at).collect();
        let (functions, others): (Vec<At>, Vec<At>) =
            children.into_iter().partition(|child| self.is_hoisted(*child));
        let mut list = Vec::new();
        for child in functions.into_iter().chain(others) {
            self.statement(child, place, &mut list);
        }
        self.out.block(list)
    }

    fn is_hoisted(&self, at: At) -> bool {
        let declared = match self.kind(at) {
            K::Export => self.field(at, F::Declaration),
            _ => Some(at),
        };
        let kind = declared.map(|declared| self.kind(declared));
        matches!(kind, Some(K::FunctionDeclaration | K::GeneratorDeclaration | K::Import))
    }

    /// A statement as a block; a block of statements has a scope of its own.
    pub(super) fn block(&mut self, at: At, place: Place) -> Block {
        let inner = self.inner(place);
        if self.kind(at) == K::StatementBlock {
            return self.statements(at, inner);
        }
        let mut list = Vec::new();
        self.statement(at, inner, &mut list);
        self.out.block(list)
    }

    fn block_of(&mut self, at: Option<At>, place: Place) -> Block {
        at.map_or(Run::EMPTY, |at| self.block(at, place))
    }

    pub(super) fn push(&mut self, kind: StmtKind, at: At, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        list.push(self.out.stmt(kind, line));
    }

    pub(super) fn statement(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        match self.kind(at) {
            K::ExpressionStatement => self.simple(at, place, list),
            K::VariableDeclaration | K::LexicalDeclaration | K::Using => self.declaration(at, place, list),
            K::FunctionDeclaration | K::GeneratorDeclaration => self.function_declaration(at, place, list),
            K::ClassDeclaration | K::AbstractClass => self.class_declaration(at, place, list),
            K::InterfaceDeclaration => self.interface(at, place, list),
            K::TypeAlias => self.type_alias(at, place, list),
            K::EnumDeclaration => self.enumeration(at, place, list),
            K::InternalModule | K::Namespace => self.namespace(at, place, list),
            K::Import => self.import(at, place, list),
            K::Export => self.export(at, place, list),
            K::If => self.branch(at, place, list),
            K::For | K::ForIn | K::While | K::Do => self.repeat(at, place, list),
            K::Try => self.attempt(at, place, list),
            K::Switch => self.switch(at, place, list),
            K::Return => {
                let value = self.first(at).map(|value| self.expr(value, place));
                self.push(StmtKind::Return(value), at, list);
            }
            K::Throw => {
                let value = self.first(at).map(|value| self.expr(value, place));
                self.push(StmtKind::Raise(value), at, list);
            }
            K::Break => self.push(StmtKind::Break, at, list),
            K::Continue => self.push(StmtKind::Continue, at, list),
            K::StatementBlock => {
                let block = self.block(at, place);
                self.push(StmtKind::Block(block), at, list);
            }
            K::Labeled | K::With => {
                if let Some(body) = self.field(at, F::Body) {
                    self.statement(body, place, list);
                }
            }
            K::Empty => {}
            K::Ambient | K::Other if self.first(at).is_some() => {
                for child in self.children(at) {
                    self.statement(child, place, list);
                }
            }
            _ => {
                let value = self.expr(at, place);
                self.push(StmtKind::Expr(value), at, list);
            }
        }
    }

    /// An expression for what it does; assignments are statements of their own.
    fn simple(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::Assignment => self.assignment(child, place, list),
                K::AugmentedAssignment => self.compound(child, place, list),
                K::InternalModule | K::Namespace => self.namespace(child, place, list),
                _ => {
                    let value = self.expr(child, place);
                    self.push(StmtKind::Expr(value), child, list);
                }
            }
        }
    }

    fn assignment(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else { return };
        let hint = self.hint(left);
        let value = self.named(right, hint, place);
        if self.is_module_exports(left) {
            return self.push(StmtKind::ExportsAre(value), at, list);
        }
        let target = self.target(left, place, None);
        let value = Some(value);
        self.push(StmtKind::Assign { target, value, op: None, ty: None }, at, list);
    }

    fn compound(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else { return };
        let value = self.expr(right, place);
        let op = self.field(at, F::Operator).map_or(Op::Other, |operator| self.compound_op(operator));
        let target = self.target(left, place, None);
        let kind = match op {
            // One value or the other is no operation on both.
            Op::Or | Op::And => {
                let before = self.expr(left, place);
                let line = self.line(at);
                let either = self.out.expr(crate::graph::ir::ExprKind::Binary(op, before, value), line);
                StmtKind::Assign { target, value: Some(either), op: None, ty: None }
            }
            op => StmtKind::Assign { target, value: Some(value), op: Some(op), ty: None },
        };
        self.push(kind, at, list);
    }

    pub(super) fn compound_op(&self, operator: At) -> Op {
        match self.kind(operator) {
            K::PlusAssign => Op::Add,
            K::MinusAssign => Op::Subtract,
            K::StarAssign => Op::Multiply,
            K::SlashAssign => Op::Divide,
            K::PercentAssign => Op::Modulo,
            K::AndAssign => Op::And,
            K::OrAssign | K::NullishAssign => Op::Or,
            _ => Op::Other,
        }
    }

    /// `var` is seen in the whole function, `let` and `const` in the block.
    pub(super) fn declaration(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let scope = if self.kind(at) == K::VariableDeclaration { place.outer } else { place.scope };
        for one in self.of_kind(at, K::VariableDeclarator) {
            let Some(name) = self.field(one, F::Name) else { continue };
            let hint = self.hint(name);
            let value = self.field(one, F::Value).map(|value| self.named(value, hint, place));
            let ty = self.field(one, F::Type).and_then(|ty| self.ty(ty, place));
            let target = self.target(name, place, Some(scope));
            self.push(StmtKind::Assign { target, value, op: None, ty }, one, list);
        }
    }

    /// `else if` stands in the alternative; a long chain of them is walked, not nested.
    fn branch(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let (mut branches, mut next) = (Vec::new(), Some(at));
        while let Some(one) = next.take() {
            let condition = self.field(one, F::Condition).map(|condition| self.expr(condition, place));
            let body = self.field(one, F::Consequence);
            branches.push(Branch { condition, body: self.block_of(body, place) });
            let otherwise = self.field(one, F::Alternative).and_then(|clause| self.first(clause));
            match otherwise {
                Some(otherwise) if self.kind(otherwise) == K::If => next = Some(otherwise),
                Some(otherwise) => {
                    branches.push(Branch { condition: None, body: self.block(otherwise, place) });
                }
                None => {}
            }
        }
        let branches = self.out.branches(branches);
        self.push(StmtKind::Branch(branches), at, list);
    }

    fn repeat(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let inner = self.inner(place);
        let kind = match self.kind(at) {
            K::ForIn => self.each(at, inner),
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
        let body = self.field(at, F::Body);
        let body = self.block_of(body, inner);
        let line = self.line(at);
        let id = self.out.add_loop(Loop { kind, body, otherwise: Run::EMPTY, line });
        self.push(StmtKind::Loop(id), at, list);
    }

    fn each(&mut self, at: At, place: Place) -> LoopKind {
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else {
            return LoopKind::Forever;
        };
        let iterated = self.expr(right, place);
        let scope = match self.field(at, F::Kind).map(|kind| self.kind(kind)) {
            Some(K::VarToken) => Some(place.outer),
            Some(_) => Some(place.scope),
            None => None,
        };
        let target = self.target(left, place, scope);
        let of = self.field(at, F::Operator).is_some_and(|operator| self.kind(operator) == K::OfToken);
        if of { LoopKind::Each { target, iterated } } else { LoopKind::EachKey { target, iterated } }
    }

    fn counted(&mut self, at: At, place: Place) -> LoopKind {
        let mut start = Vec::new();
        if let Some(initializer) = self.field(at, F::Initializer) {
            self.statement(initializer, place, &mut start);
        }
        let condition = self.field(at, F::Condition).filter(|condition| self.kind(*condition) != K::Empty);
        // The grammar may have the condition as a statement.
        let condition = condition.map(|condition| match self.kind(condition) {
            K::ExpressionStatement => self.first(condition).unwrap_or(condition),
            _ => condition,
        });
        let condition = condition.map(|condition| self.expr(condition, place));
        let mut step = Vec::new();
        if let Some(increment) = self.field(at, F::Increment) {
            let value = self.expr(increment, place);
            self.push(StmtKind::Expr(value), increment, &mut step);
        }
        let (start, step) = (self.out.block(start), self.out.block(step));
        LoopKind::Counted { start, condition, step }
    }

    fn attempt(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let body = self.field(at, F::Body);
        let body = self.block_of(body, place);
        let mut handlers = Vec::new();
        if let Some(handler) = self.field(at, F::Handler) {
            let inner = self.inner(place);
            let target = self.field(handler, F::Parameter);
            let target = target.map(|target| self.target(target, inner, Some(inner.scope)));
            let block = self.field(handler, F::Body);
            handlers.push(Handler { ty: None, target, body: self.block_of(block, inner) });
        }
        let finally = self.field(at, F::Finalizer).and_then(|clause| self.field(clause, F::Body));
        let finally = self.block_of(finally, place);
        let handlers = self.out.handlers(handlers);
        self.push(StmtKind::Try { body, handlers, otherwise: Run::EMPTY, finally }, at, list);
    }

    /// That a case goes on in the next is not followed.
    fn switch(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        if let Some(value) = self.field(at, F::Value) {
            let value = self.expr(value, place);
            self.push(StmtKind::Expr(value), at, list);
        }
        let inner = self.inner(place);
        let (mut branches, mut default) = (Vec::new(), None);
        let cases = self.field(at, F::Body).map(|body| self.children(body));
        for case in cases.into_iter().flatten() {
            let condition: Option<ExprId> = self.field(case, F::Value).map(|value| self.expr(value, inner));
            let mut body = Vec::new();
            for child in self.called(case, F::Body) {
                self.statement(child, inner, &mut body);
            }
            let branch = Branch { condition, body: self.out.block(body) };
            if condition.is_some() { branches.push(branch) } else { default = Some(branch) }
        }
        branches.extend(default);
        let branches = self.out.branches(branches);
        self.push(StmtKind::Branch(branches), at, list);
    }
}
