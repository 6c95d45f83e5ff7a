//! Expressions. In: expressions. Out: the same in no language's own terms; statements in them go to the block that is
//! read. What is not known is kept with the expressions in it, for the calls they hold.

use super::{F, K, Reader};
use crate::graph::ir::{
    Collection, ExprId, ExprKind, Flags, Literal, Op, Param, ParamKind, Run, ScopeKind, StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn expr(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let kind = match self.kind(at) {
            K::Identifier | K::SelfToken | K::TypeIdentifier => return self.name(at, place),
            K::ScopedIdentifier | K::ScopedType | K::GenericType | K::GenericTurbofish => {
                let mut parts = Vec::new();
                self.segments(at, &mut parts);
                return self.path_of(&parts, place, line);
            }
            K::GenericFunction => return self.part(at, F::Function, place),
            K::Call => return self.call(at, place),
            K::Macro => return self.macro_call(at, place),
            K::StructExpression => return self.literal(at, place),
            K::FieldExpression => {
                let object = self.part(at, F::Value, place);
                let Some(field) = self.field(at, F::Field) else { return object };
                ExprKind::Attr(object, self.symbol(field))
            }
            K::Index => return self.index(at, place),
            K::Closure => return self.closure(at, place),
            K::If | K::Match => return self.value_of(at, place),
            K::For | K::While | K::Loop => {
                self.repeat(at, place);
                ExprKind::Unknown(Run::EMPTY)
            }
            K::Block | K::Unsafe | K::AsyncBlock | K::TryBlock | K::GenBlock | K::ConstBlock => {
                return self.block_expr(at, place);
            }
            K::Reference => return self.part(at, F::Value, place),
            K::Try | K::Parenthesized => return self.inside(at, place),
            K::TypeCast => return self.part(at, F::Value, place),
            K::Await => ExprKind::Await(self.inside(at, place)),
            K::Unary => return self.unary(at, place),
            K::Binary => {
                let op = self.field(at, F::Operator).map_or(Op::Other, |operator| op_of(self.kind(operator)));
                let (left, right) = (self.part(at, F::Left, place), self.part(at, F::Right, place));
                ExprKind::Binary(op, left, right)
            }
            K::TupleExpression => ExprKind::Collection(Collection::Tuple, self.parts(at, place)),
            K::ArrayExpression => ExprKind::Collection(Collection::List, self.parts(at, place)),
            K::Return | K::Break | K::Continue | K::Assignment | K::CompoundAssignment => {
                return self.leave(at, place);
            }
            K::String | K::RawString => {
                let text = self.text(at);
                let text = text.trim_start_matches(['r', 'b', 'c', '#']).trim_end_matches('#');
                self.text_literal(text.trim_matches('"'))
            }
            K::Integer => {
                let text = self.text(at).replace('_', "");
                let digits = text.find(['i', 'u']).map_or(text.as_str(), |end| &text[..end]);
                ExprKind::Literal(digits.parse().map_or(Literal::Number, Literal::Int))
            }
            K::Float | K::Char | K::NegativeLiteral => ExprKind::Literal(Literal::Number),
            K::Bool => ExprKind::Literal(Literal::Bool(self.text(at) == "true")),
            K::AttributeItem | K::Lifetime | K::Label | K::TypeArguments | K::UnitExpression => {
                ExprKind::Unknown(Run::EMPTY)
            }
            K::Let | K::ExpressionStatement => {
                self.statement(at, place);
                ExprKind::Unknown(Run::EMPTY)
            }
            _ => ExprKind::Unknown(self.parts(at, place)),
        };
        self.out.expr(kind, line)
    }

    fn name(&mut self, at: At, place: Place) -> ExprId {
        let (name, line) = (self.symbol(at), self.line(at));
        match (self.text(at), self.own_type) {
            ("Self", Some(ty)) => ty,
            ("None", _) => self.out.expr(ExprKind::Literal(Literal::None), line),
            _ => self.out.name(name, place.scope, line),
        }
    }

    /// A block as a value: its statements go before.
    fn block_expr(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let block = if self.kind(at) == K::Block {
            Some(at)
        } else {
            self.of_kind(at, K::Block).next().or(self.field(at, F::Body))
        };
        let inner = self.inner(place);
        match block.and_then(|block| self.block_value(block, inner)) {
            Some(value) => value,
            None => self.out.unknown(Vec::new(), line),
        }
    }

    /// What ends a block, a round or a function, or assigns, has no value.
    fn leave(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        match self.kind(at) {
            K::Return => {
                let value = self.first(at).map(|value| self.expr(value, place));
                self.add(StmtKind::Return(value), line);
            }
            K::Break => {
                for value in
                    self.children(at).filter(|child| self.kind(*child) != K::Label).collect::<Vec<_>>()
                {
                    let value = self.expr(value, place);
                    self.add(StmtKind::Expr(value), line);
                }
                self.add(StmtKind::Break, line);
            }
            K::Continue => self.add(StmtKind::Continue, line),
            _ => self.statement(at, place),
        }
        self.out.unknown(Vec::new(), line)
    }

    fn unary(&mut self, at: At, place: Place) -> ExprId {
        let (value, line) = (self.inside(at, place), self.line(at));
        if self.has(at, K::Star) {
            return value;
        }
        let op = if self.has(at, K::Minus) { Op::Negate } else { Op::Not };
        self.out.expr(ExprKind::Unary(op, value), line)
    }

    fn index(&mut self, at: At, place: Place) -> ExprId {
        let (parts, line): (Vec<At>, u32) = (self.children(at).collect(), self.line(at));
        let [object, key] = parts[..] else { return self.out.unknown(Vec::new(), line) };
        let object = self.expr(object, place);
        if self.kind(key) == K::Range {
            let ends: Vec<At> = self.children(key).collect();
            let leading = self.text(key).starts_with("..");
            let mut ends = ends.into_iter();
            let from = if leading { None } else { ends.next().map(|end| self.expr(end, place)) };
            let to = ends.next().map(|end| self.expr(end, place));
            return self.out.expr(ExprKind::Slice(object, from, to), line);
        }
        let key = self.expr(key, place);
        self.out.expr(ExprKind::Index(object, key), line)
    }

    fn closure(&mut self, at: At, place: Place) -> ExprId {
        let (name, line) = (self.out.lambda_name(place), self.line(at));
        let qualified = self.out.qualify(place, name);
        let id = self.out.function(name, qualified, Some(place.scope), None, ScopeKind::Function, line);
        let inside = self.out.inside(id);
        let outer = std::mem::take(&mut self.list);
        let mut params: Vec<Param> = Vec::new();
        for one in self.field(at, F::Parameters).map(|list| self.children(list)).into_iter().flatten() {
            let mut param = self.param(one, params.len(), inside);
            param.kind = ParamKind::One;
            params.push(param);
        }
        let params = self.out.params(params);
        let returns = self.field(at, F::ReturnType).and_then(|ty| self.ty(ty, inside));
        if let Some(body) = self.field(at, F::Body)
            && let Some(value) = self.block_value(body, inside)
        {
            self.add(StmtKind::Return(Some(value)), line);
        }
        let list = std::mem::replace(&mut self.list, outer);
        let (body, last) = (self.out.block(list), self.syntax.last_line(at));
        let function = self.out.function_mut(id);
        (function.params, function.body, function.returns, function.lines) =
            (params, body, returns, (line, last));
        function.flags = Flags { fixed: true, arrow: true, ..Flags::default() };
        self.out.expr(ExprKind::Function(id), line)
    }
}

/// The operator of a token; that of a compound assignment is its own.
pub(super) fn op_of(kind: K) -> Op {
    match kind {
        K::Plus | K::PlusAssign => Op::Add,
        K::Minus | K::MinusAssign => Op::Subtract,
        K::Star | K::StarAssign => Op::Multiply,
        K::Slash | K::SlashAssign => Op::Divide,
        K::Percent | K::PercentAssign => Op::Modulo,
        K::ShiftLeft | K::ShiftLeftAssign => Op::ShiftLeft,
        K::ShiftRight | K::ShiftRightAssign => Op::ShiftRight,
        K::Less => Op::Less,
        K::LessEqual => Op::LessEqual,
        K::Greater => Op::Greater,
        K::GreaterEqual => Op::GreaterEqual,
        K::Equal => Op::Equal,
        K::NotEqual => Op::NotEqual,
        K::AndAnd => Op::And,
        K::OrOr => Op::Or,
        _ => Op::Other,
    }
}
