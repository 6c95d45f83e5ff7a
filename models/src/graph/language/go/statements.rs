//! Statements. In: blocks. Out: their statements in no language's own terms. That a case falls through to the next is not
//! followed; what is broken is read for the statements in it.

use super::expressions::op_of;
use super::{F, K, Reader};
use crate::graph::ir::{
    Block, Branch, Collection, ExprId, ExprKind, Literal, Loop, LoopKind, Op, Run, StmtId, StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// The statements of a block or list, in that scope.
    pub(super) fn statements(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::StatementList => self.statements(child, place, list),
                _ => self.statement(child, place, list),
            }
        }
    }

    fn block(&mut self, at: Option<At>, place: Place) -> Block {
        let Some(at) = at else { return Run::EMPTY };
        let inner = self.inner(place);
        let mut list = Vec::new();
        match self.kind(at) {
            K::Block | K::StatementList => self.statements(at, inner, &mut list),
            _ => self.statement(at, inner, &mut list),
        }
        self.out.block(list)
    }

    pub(super) fn statement(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        match self.kind(at) {
            K::ExpressionStatement => self.simple(at, place, list),
            K::ShortVar => self.assignment(at, true, place, list),
            K::Assignment => self.assignment(at, false, place, list),
            K::Inc | K::Dec => self.step(at, place, list),
            K::VarDeclaration | K::ConstDeclaration | K::TypeDeclaration => {
                self.declaration(at, place.scope, place, list);
            }
            K::If => self.branch(at, place, list),
            K::For => self.repeat(at, place, list),
            K::ExpressionSwitch | K::TypeSwitch | K::Select => self.switch(at, place, list),
            K::Return => self.give_back(at, place, list),
            K::GoStatement | K::Defer => self.simple(at, place, list),
            K::Send => {
                let (value, channel) = (self.part(at, F::Value, place), self.part(at, F::Channel, place));
                let line = self.line(at);
                let target = self.any_of(channel, line);
                list.push(self.out.assign(target, value, line));
            }
            K::ReceiveStatement => match self.field(at, F::Left) {
                Some(_) => {
                    let define = self.has(at, K::Define);
                    self.assignment(at, define, place, list);
                }
                None => self.simple(at, place, list),
            },
            K::Labeled => {
                // The label stands before its statement.
                for child in self.children(at).skip(1) {
                    self.statement(child, place, list);
                }
            }
            K::Break => self.push(StmtKind::Break, at, list),
            K::Continue => self.push(StmtKind::Continue, at, list),
            K::Block => {
                let block = self.block(Some(at), place);
                self.push(StmtKind::Block(block), at, list);
            }
            K::Empty => {}
            K::FunctionDeclaration | K::MethodDeclaration => self.item(at, place, list),
            K::Other if self.first(at).is_some() => self.statements(at, place, list),
            _ => {
                let value = self.expr(at, place);
                self.push(StmtKind::Expr(value), at, list);
            }
        }
    }

    /// An expression for what it does; `panic` ends the function.
    fn simple(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        for child in self.children(at) {
            let value = self.expr(child, place);
            self.push(StmtKind::Expr(value), child, list);
            let callee = self.field(child, F::Function);
            if self.kind(at) == K::ExpressionStatement && callee.is_some_and(|one| self.text(one) == "panic")
            {
                self.push(StmtKind::Raise(None), child, list);
            }
        }
    }

    fn give_back(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let items = self.first(at).map(|first| self.items(first)).unwrap_or_default();
        let line = self.line(at);
        let value = match &items[..] {
            [] => match self.results.last().cloned().unwrap_or_default()[..] {
                [] => None,
                [one] => Some(one),
                ref names => {
                    let names = self.out.exprs(names.to_vec());
                    Some(self.out.expr(ExprKind::Collection(Collection::Tuple, names), line))
                }
            },
            [one] => Some(self.expr(*one, place)),
            items => {
                let values = self.values(items, place);
                Some(self.out.expr(ExprKind::Collection(Collection::Tuple, values), line))
            }
        };
        self.push(StmtKind::Return(value), at, list);
    }

    fn target(&mut self, at: At, define: bool, place: Place) -> ExprId {
        match self.kind(at) {
            K::Identifier | K::BlankIdentifier if define => self.declared(at, place.scope),
            K::Identifier if self.text(at) != "_" => {
                let (name, line) = (self.symbol(at), self.line(at));
                self.out.unit.written.push((place.scope, name));
                self.out.name(name, place.scope, line)
            }
            K::Identifier | K::BlankIdentifier => {
                let line = self.line(at);
                self.out.unknown(Vec::new(), line)
            }
            _ => self.expr(at, place),
        }
    }

    fn assignment(&mut self, at: At, define: bool, place: Place, list: &mut Vec<StmtId>) {
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else { return };
        let (lefts, rights) = (self.items(left), self.items(right));
        let operator = self.field(at, F::Operator).map(|operator| self.kind(operator));
        if let ([left], [right]) = (&lefts[..], &rights[..]) {
            let hint = match self.kind(*left) {
                K::Identifier => Some(self.symbol(*left)),
                _ => None,
            };
            // What is assigned is seen behind the assignment only.
            let value = self.named(*right, hint, place);
            let target = self.target(*left, define, place);
            let op = operator.filter(|kind| *kind != K::Equals).map(op_of);
            return self.push(StmtKind::Assign { target, value: Some(value), op, ty: None }, at, list);
        }
        if let [right] = rights[..] {
            let value = self.expr(right, place);
            let targets = lefts.iter().map(|left| self.target(*left, define, place)).collect();
            return self.spread_over(targets, value, right, at, list);
        }
        let line = self.line(at);
        let values = self.values(&rights, place);
        let targets = lefts.iter().map(|left| self.target(*left, define, place)).collect();
        let targets = self.out.exprs(targets);
        let tuple = |kind| ExprKind::Collection(Collection::Tuple, kind);
        let (target, value) = (self.out.expr(tuple(targets), line), self.out.expr(tuple(values), line));
        list.push(self.out.assign(target, value, line));
    }

    /// Several targets of one value: of a call they take its results, of anything else the first takes it all and the
    /// second whether it was there.
    pub(super) fn spread_over(
        &mut self,
        targets: Vec<ExprId>,
        value: ExprId,
        value_at: At,
        at: At,
        list: &mut Vec<StmtId>,
    ) {
        let line = self.line(at);
        let target = match self.kind(value_at) {
            K::Call => {
                let targets = self.out.exprs(targets);
                self.out.expr(ExprKind::Collection(Collection::Tuple, targets), line)
            }
            _ => match targets.first() {
                Some(first) => *first,
                None => return,
            },
        };
        list.push(self.out.assign(target, value, line));
    }

    /// `i++` is `i += 1`.
    fn step(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let (Some(inner), line) = (self.first(at), self.line(at)) else { return };
        let target = self.target(inner, false, place);
        let value = Some(self.out.expr(ExprKind::Literal(Literal::Int(1)), line));
        let op = Some(if self.kind(at) == K::Inc { Op::Add } else { Op::Subtract });
        self.push(StmtKind::Assign { target, value, op, ty: None }, at, list);
    }

    /// `else if` without a statement of its own continues the branches.
    fn branch(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let place = self.inner(place);
        if let Some(initializer) = self.field(at, F::Initializer) {
            self.statement(initializer, place, list);
        }
        let (mut branches, mut next) = (Vec::new(), Some(at));
        while let Some(one) = next.take() {
            let condition = self.field(one, F::Condition).map(|condition| self.expr(condition, place));
            let body = self.field(one, F::Consequence);
            branches.push(Branch { condition, body: self.block(body, place) });
            match self.field(one, F::Alternative) {
                Some(other) if self.kind(other) == K::If && self.field(other, F::Initializer).is_none() => {
                    next = Some(other);
                }
                Some(other) => {
                    branches.push(Branch { condition: None, body: self.block(Some(other), place) })
                }
                None => {}
            }
        }
        let branches = self.out.branches(branches);
        self.push(StmtKind::Branch(branches), at, list);
    }

    fn repeat(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let inner = self.inner(place);
        let body = self.field(at, F::Body);
        let head = self.children(at).find(|child| Some(*child) != body);
        let kind = match head {
            None => LoopKind::Forever,
            Some(head) => match self.kind(head) {
                K::ForClause => self.counted(head, inner),
                K::RangeClause => self.each(head, inner),
                _ => LoopKind::While(self.expr(head, inner)),
            },
        };
        let body = self.block(body, inner);
        let line = self.line(at);
        let id = self.out.add_loop(Loop { kind, body, otherwise: Run::EMPTY, line });
        self.push(StmtKind::Loop(id), at, list);
    }

    fn counted(&mut self, at: At, place: Place) -> LoopKind {
        let (mut start, mut step) = (Vec::new(), Vec::new());
        if let Some(initializer) = self.field(at, F::Initializer) {
            self.statement(initializer, place, &mut start);
        }
        let condition = self.field(at, F::Condition).map(|condition| self.expr(condition, place));
        if let Some(update) = self.field(at, F::Update) {
            self.statement(update, place, &mut step);
        }
        let (start, step) = (self.out.block(start), self.out.block(step));
        LoopKind::Counted { start, condition, step }
    }

    /// The first name of a range takes the key or place, the second the element.
    fn each(&mut self, at: At, place: Place) -> LoopKind {
        let (iterated, line) = (self.part(at, F::Right, place), self.line(at));
        let define = self.has(at, K::Define);
        let lefts = self.field(at, F::Left).map(|left| self.items(left)).unwrap_or_default();
        let targets: Vec<ExprId> = lefts.iter().map(|left| self.target(*left, define, place)).collect();
        match targets[..] {
            [key] => LoopKind::EachKey { target: key, iterated },
            [_, element, ..] => LoopKind::Each { target: element, iterated },
            [] => LoopKind::Each { target: self.out.unknown(Vec::new(), line), iterated },
        }
    }

    fn switch(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let place = self.inner(place);
        if let Some(initializer) = self.field(at, F::Initializer) {
            self.statement(initializer, place, list);
        }
        let alias = self.field(at, F::Alias).and_then(|alias| self.items(alias).first().copied());
        if let Some(value) = self.field(at, F::Value) {
            let value = self.expr(value, place);
            match alias {
                Some(alias) => {
                    let (target, line) = (self.declared(alias, place.scope), self.line(at));
                    list.push(self.out.assign(target, value, line));
                }
                None => self.push(StmtKind::Expr(value), at, list),
            }
        }
        let (mut branches, mut default) = (Vec::new(), None);
        for case in self.children(at) {
            match self.kind(case) {
                K::DefaultCase => default = Some(self.case(case, None, place)),
                K::ExpressionCase | K::TypeCase | K::CommunicationCase => {
                    branches.push(self.case(case, alias, place));
                }
                _ => {}
            }
        }
        branches.extend(default);
        let branches = self.out.branches(branches);
        self.push(StmtKind::Branch(branches), at, list);
    }

    /// One case. In that of a type the switch's name is of the type.
    fn case(&mut self, at: At, alias: Option<At>, place: Place) -> Branch {
        let (inner, line) = (self.inner(place), self.line(at));
        let mut list = Vec::new();
        if let Some(communication) = self.field(at, F::Communication) {
            self.statement(communication, inner, &mut list);
        }
        let types: Vec<At> = self.called(at, F::Type).collect();
        if let (Some(alias), [ty]) = (alias, &types[..])
            && let Some(ty) = self.ty(*ty, inner)
        {
            let target = self.declared(alias, inner.scope);
            list.push(self.out.stmt(StmtKind::Assign { target, value: None, op: None, ty: Some(ty) }, line));
        }
        let values = self.field(at, F::Value).map(|value| self.items(value)).unwrap_or_default();
        let condition = match &values[..] {
            [] if self.kind(at) == K::DefaultCase => None,
            [] => Some(self.out.unknown(Vec::new(), line)),
            [one] => Some(self.expr(*one, inner)),
            values => {
                let values = self.values(values, inner);
                Some(self.out.expr(ExprKind::Unknown(values), line))
            }
        };
        for statements in self.of_kind(at, K::StatementList) {
            self.statements(statements, inner, &mut list);
        }
        Branch { condition, body: self.out.block(list) }
    }
}
