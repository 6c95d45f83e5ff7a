//! Statements. In: blocks. Out: their statements in no language's own terms. What is no statement of Python is read for
//! the statements and calls in it, so that broken text loses no more than what is broken.

use super::{F, K, Reader};
use crate::graph::ir::{Block, Branch, ExprId, ExprKind, Handler, Loop, LoopKind, Op, Run, StmtId, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn block(&mut self, at: At, place: Place) -> Block {
        let mut list = Vec::new();
        for child in self.children(at) {
            self.statement(child, place, &mut list);
        }
        self.out.block(list)
    }

    fn block_of(&mut self, at: Option<At>, place: Place) -> Block {
        at.map_or(Run::EMPTY, |at| self.block(at, place))
    }

    fn push(&mut self, kind: StmtKind, at: At, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        list.push(self.out.stmt(kind, line));
    }

    fn statement(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        match self.kind(at) {
            K::ExpressionStatement => self.simple(at, place, list),
            K::FunctionDefinition => self.function_definition(at, &[], place, list),
            K::ClassDefinition => self.class_definition(at, &[], place, list),
            K::DecoratedDefinition => self.decorated(at, place, list),
            K::If => self.branch(at, place, list),
            K::For => self.each(at, place, list),
            K::While => self.repeat(at, place, list),
            K::Try => self.attempt(at, place, list),
            K::With => self.with(at, place, list),
            K::Match => self.switch(at, place, list),
            K::Return => {
                let value = self.first(at).map(|value| self.expr(value, place));
                self.push(StmtKind::Return(value), at, list);
            }
            K::Raise => self.raise(at, place, list),
            K::Break => self.push(StmtKind::Break, at, list),
            K::Continue => self.push(StmtKind::Continue, at, list),
            K::Import => self.import(at, place, list),
            K::ImportFrom => self.import_from(at, place, list),
            K::Global => self.global(at, place),
            K::Nonlocal => self.nonlocal(at, place),
            K::Pass | K::FutureImport | K::TypeAlias => {}
            K::Block | K::Module => {
                for child in self.children(at) {
                    self.statement(child, place, list);
                }
            }
            K::Other if self.children(at).next().is_some() => {
                // What is broken: whatever is whole in it counts.
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

    /// An expression for what it does, or an assignment.
    fn simple(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::Assignment => {
                    self.assignment(child, place, list);
                }
                K::AugmentedAssignment => self.compound(child, place, list),
                _ => {
                    let value = self.expr(child, place);
                    self.push(StmtKind::Expr(value), child, list);
                }
            }
        }
    }

    /// `a = b = value`: the value is assigned to each target.
    fn assignment(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) -> Option<ExprId> {
        let ty = self.field(at, F::Type).map(|ty| self.expr(ty, place));
        let value = match self.field(at, F::Right) {
            Some(right) if self.kind(right) == K::Assignment => self.assignment(right, place, list),
            right => right.map(|right| self.expr(right, place)),
        };
        let target = self.field(at, F::Left).map(|left| self.target(left, place))?;
        self.push(StmtKind::Assign { target, value, op: None, ty }, at, list);
        value
    }

    fn compound(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let value = self.field(at, F::Right).map(|right| self.expr(right, place));
        let op = match self.field(at, F::Operator).map(|operator| self.kind(operator)) {
            Some(K::PlusAssign) => Op::Add,
            Some(K::MinusAssign) => Op::Subtract,
            Some(K::StarAssign) => Op::Multiply,
            Some(K::SlashAssign) => Op::Divide,
            Some(K::DoubleSlashAssign) => Op::FloorDivide,
            Some(K::PercentAssign) => Op::Modulo,
            _ => Op::Other,
        };
        if let Some(left) = self.field(at, F::Left) {
            let target = self.target(left, place);
            self.push(StmtKind::Assign { target, value, op: Some(op), ty: None }, at, list);
        }
    }

    fn branch(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let mut branches = vec![self.branch_of(at, F::Consequence, place)];
        for child in self.children(at) {
            match self.kind(child) {
                K::ElifClause => branches.push(self.branch_of(child, F::Consequence, place)),
                K::ElseClause => branches.push(self.branch_of(child, F::Body, place)),
                _ => {}
            }
        }
        let branches = self.out.branches(branches);
        self.push(StmtKind::Branch(branches), at, list);
    }

    fn branch_of(&mut self, at: At, body: F, place: Place) -> Branch {
        let condition = self.field(at, F::Condition).map(|condition| self.expr(condition, place));
        let body = self.field(at, body);
        Branch { condition, body: self.block_of(body, place) }
    }

    fn otherwise(&mut self, at: At, place: Place) -> Block {
        let clause = self.of_kind(at, K::ElseClause).next();
        let body = clause.and_then(|clause| self.field(clause, F::Body));
        self.block_of(body, place)
    }

    fn each(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else { return };
        let iterated = self.expr(right, place);
        let target = self.target(left, place);
        self.add_loop(LoopKind::Each { target, iterated }, at, place, list);
    }

    fn repeat(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(condition) = self.field(at, F::Condition) else { return };
        let forever = self.kind(condition) == K::True;
        let condition = self.expr(condition, place);
        let kind = if forever { LoopKind::Forever } else { LoopKind::While(condition) };
        self.add_loop(kind, at, place, list);
    }

    fn add_loop(&mut self, kind: LoopKind, at: At, place: Place, list: &mut Vec<StmtId>) {
        let body = self.field(at, F::Body);
        let body = self.block_of(body, place);
        let otherwise = self.otherwise(at, place);
        let line = self.line(at);
        let id = self.out.add_loop(Loop { kind, body, otherwise, line });
        self.push(StmtKind::Loop(id), at, list);
    }

    fn attempt(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let body = self.field(at, F::Body);
        let body = self.block_of(body, place);
        let (mut handlers, mut finally) = (Vec::new(), Run::EMPTY);
        for child in self.children(at) {
            match self.kind(child) {
                K::ExceptClause => handlers.push(self.handler(child, place)),
                K::FinallyClause => {
                    let block = self.of_kind(child, K::Block).next();
                    finally = self.block_of(block, place);
                }
                _ => {}
            }
        }
        let otherwise = self.otherwise(at, place);
        let handlers = self.out.handlers(handlers);
        self.push(StmtKind::Try { body, handlers, otherwise, finally }, at, list);
    }

    fn handler(&mut self, at: At, place: Place) -> Handler {
        let block = self.of_kind(at, K::Block).next();
        let mut value = self.field(at, F::Value);
        let mut alias = self.field(at, F::Alias);
        if let Some(pattern) = value.filter(|value| self.kind(*value) == K::AsPattern) {
            alias = self.field(pattern, F::Alias);
            value = self.first(pattern);
        }
        let ty = value.map(|value| self.expr(value, place));
        let target = alias.map(|alias| self.target(alias, place));
        Handler { ty, target, body: self.block_of(block, place) }
    }

    fn with(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let clause = self.of_kind(at, K::WithClause).next();
        let items = clause.map(|clause| self.of_kind(clause, K::WithItem));
        for item in items.into_iter().flatten() {
            let Some(mut value) = self.field(item, F::Value) else { continue };
            let mut alias = None;
            if self.kind(value) == K::AsPattern {
                alias = self.field(value, F::Alias);
                value = self.first(value).unwrap_or(value);
            }
            let (resource, line) = (self.expr(value, place), self.line(item));
            let entered = self.out.expr(ExprKind::Enter(resource), line);
            match alias.map(|alias| self.target(alias, place)) {
                Some(target) => list.push(self.out.assign(target, entered, line)),
                None => list.push(self.out.stmt(StmtKind::Expr(entered), line)),
            }
        }
        let body = self.field(at, F::Body);
        let body = self.block_of(body, place);
        self.push(StmtKind::Block(body), at, list);
    }

    /// Names in the patterns take any part of the subject, which is not followed.
    fn switch(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        if let Some(subject) = self.field(at, F::Subject) {
            let subject = self.expr(subject, place);
            self.push(StmtKind::Expr(subject), at, list);
        }
        let Some(body) = self.field(at, F::Body) else { return };
        let mut branches = Vec::new();
        for clause in self.of_kind(body, K::CaseClause) {
            let guard = self.field(clause, F::Guard).and_then(|guard| self.first(guard));
            let mut parts: Vec<_> = guard.map(|guard| self.expr(guard, place)).into_iter().collect();
            for pattern in self.of_kind(clause, K::CasePattern) {
                self.pattern(pattern, place, &mut parts);
            }
            let line = self.line(clause);
            let condition = Some(self.out.unknown(parts, line));
            let block = self.field(clause, F::Consequence);
            branches.push(Branch { condition, body: self.block_of(block, place) });
        }
        let branches = self.out.branches(branches);
        self.push(StmtKind::Branch(branches), at, list);
    }

    fn pattern(&mut self, at: At, place: Place, parts: &mut Vec<ExprId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::DottedName => {
                    let single = self.children(child).count() == 1;
                    match self.first(child) {
                        Some(name) if single && self.kind(at) != K::ClassPattern => {
                            self.target_name(name, place);
                        }
                        _ => parts.push(self.dotted(child, place)),
                    }
                }
                K::Identifier => {
                    self.target_name(child, place);
                }
                _ => self.pattern(child, place, parts),
            }
        }
    }

    fn raise(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let value = self.first(at).filter(|value| !self.is_field(*value, F::Cause));
        let value = value.map(|value| self.expr(value, place));
        if let Some(cause) = self.field(at, F::Cause) {
            let cause = self.expr(cause, place);
            self.push(StmtKind::Expr(cause), at, list);
        }
        self.push(StmtKind::Raise(value), at, list);
    }

    fn global(&mut self, at: At, place: Place) {
        let module = self.out.module_place().scope;
        for name in self.of_kind(at, K::Identifier) {
            let name = self.symbol(name);
            self.out.declare(module, name);
            self.out.unit.redirected.push((place.outer, name, module));
        }
    }

    fn nonlocal(&mut self, at: At, place: Place) {
        let around = self.out.unit.scopes[place.outer.index()].parent;
        let Some(around) = around else { return };
        for name in self.of_kind(at, K::Identifier) {
            let name = self.symbol(name);
            self.out.unit.redirected.push((place.outer, name, around));
        }
    }
}
