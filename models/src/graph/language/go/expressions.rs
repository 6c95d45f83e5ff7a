//! Expressions. In: expressions. Out: the same in no language's own terms. Pointers are what they point to, a channel is
//! a list of what is sent through it. What is not known is kept with the expressions in it, for the calls they hold.

use super::{F, K, Reader};
use crate::graph::ir::{Arg, CallKind, ExprId, ExprKind, Literal, Op, Run, Spread};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn expr(&mut self, at: At, place: Place) -> ExprId {
        self.named(at, None, place)
    }

    /// An expression; a function in its place goes by the name that is given.
    pub(super) fn named(&mut self, at: At, hint: Option<Symbol>, place: Place) -> ExprId {
        let line = self.line(at);
        let kind = match self.kind(at) {
            K::Identifier | K::TypeIdentifier => {
                let name = self.symbol(at);
                return self.out.name(name, place.scope, line);
            }
            K::Call => return self.call(at, place),
            K::Selector => {
                let object = self.part(at, F::Operand, place);
                let Some(field) = self.field(at, F::Field) else { return object };
                let (name, line) = (self.symbol(field), self.line(field));
                return self.out.expr(ExprKind::Attr(object, name), line);
            }
            K::Index => {
                let object = self.part(at, F::Operand, place);
                ExprKind::Index(object, self.part(at, F::Index, place))
            }
            K::Slice => {
                let object = self.part(at, F::Operand, place);
                let start = self.field(at, F::Start).map(|start| self.expr(start, place));
                let end = self.field(at, F::End).map(|end| self.expr(end, place));
                ExprKind::Slice(object, start, end)
            }
            K::CompositeLiteral => return self.composite(at, place),
            K::FuncLiteral => {
                let name = match hint {
                    Some(name) => name,
                    None => self.out.lambda_name(place),
                };
                ExprKind::Function(self.function(at, name, place, Vec::new()))
            }
            K::InterpretedString | K::RawString => {
                let text = self.text(at);
                self.text_literal(text.trim_matches(['"', '`']))
            }
            K::Int => {
                let text = self.text(at).replace('_', "");
                ExprKind::Literal(text.parse().map_or(Literal::Number, Literal::Int))
            }
            K::Float | K::Imaginary | K::Rune | K::Iota => ExprKind::Literal(Literal::Number),
            K::True | K::False => ExprKind::Literal(Literal::Bool(self.kind(at) == K::True)),
            K::Nil => ExprKind::Literal(Literal::None),
            K::Binary => {
                let op = self.field(at, F::Operator).map_or(Op::Other, |operator| op_of(self.kind(operator)));
                let (left, right) = (self.part(at, F::Left, place), self.part(at, F::Right, place));
                ExprKind::Binary(op, left, right)
            }
            K::Unary => return self.unary(at, place),
            K::Parenthesized | K::LiteralElement => {
                return match self.first(at) {
                    Some(inner) => self.named(inner, hint, place),
                    None => self.out.unknown(Vec::new(), line),
                };
            }
            K::TypeAssertion => return self.typed(at, place),
            K::TypeConversion => {
                let value = self.part(at, F::Operand, place);
                match self.field(at, F::Type).and_then(|ty| self.ty(ty, place)) {
                    Some(ty) => ExprKind::Cast(value, ty),
                    None => return value,
                }
            }
            _ if self.is_type(at) => {
                return match self.ty(at, place) {
                    Some(ty) => ty,
                    None => self.out.unknown(Vec::new(), line),
                };
            }
            _ => ExprKind::Unknown(self.parts(at, place)),
        };
        self.out.expr(kind, line)
    }

    /// `value.(Type)`.
    fn typed(&mut self, at: At, place: Place) -> ExprId {
        let (value, line) = (self.part(at, F::Operand, place), self.line(at));
        match self.field(at, F::Type).and_then(|ty| self.ty(ty, place)) {
            Some(ty) => self.out.expr(ExprKind::Cast(value, ty), line),
            None => value,
        }
    }

    fn unary(&mut self, at: At, place: Place) -> ExprId {
        let (value, line) = (self.part(at, F::Operand, place), self.line(at));
        let operator = self.field(at, F::Operator).map(|operator| self.kind(operator));
        let kind = match operator {
            Some(K::And | K::Star) => return value,
            Some(K::Arrow) => return self.any_of(value, line),
            Some(K::Minus) => ExprKind::Unary(Op::Negate, value),
            Some(K::Bang) => ExprKind::Unary(Op::Not, value),
            _ => ExprKind::Unary(Op::Other, value),
        };
        self.out.expr(kind, line)
    }

    /// Any element of a channel.
    pub(super) fn any_of(&mut self, channel: ExprId, line: u32) -> ExprId {
        let key = self.out.unknown(Vec::new(), line);
        self.out.expr(ExprKind::Index(channel, key), line)
    }

    fn call(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let Some(function) = self.field(at, F::Function) else { return self.out.unknown(Vec::new(), line) };
        let list: Vec<At> = match self.field(at, F::Arguments) {
            Some(list) => self.children(list).collect(),
            None => Vec::new(),
        };
        let text = self.text(function);
        let made = if matches!(text, "make" | "new") { list.first().copied() } else { None };
        let callee = self.expr(function, place);
        let mut args = Vec::with_capacity(list.len());
        for child in list.iter().skip(usize::from(made.is_some())) {
            let (value, spread) = match self.kind(*child) {
                K::VariadicArgument => (self.inside(*child, place), Spread::Elements),
                _ => (self.expr(*child, place), Spread::No),
            };
            args.push(Arg { name: None, value, spread });
        }
        let call = self.out.call(CallKind::Plain, callee, args, line);
        // `make(Type, size)` and `new(Type)` give a value of the type.
        match made.and_then(|ty| self.ty(ty, place)) {
            Some(ty) => self.out.expr(ExprKind::Cast(call, ty), line),
            None => call,
        }
    }

    /// The expressions of a list, or the one that is there.
    pub(super) fn items(&self, at: At) -> Vec<At> {
        match self.kind(at) {
            K::ExpressionList => self.children(at).collect(),
            _ => vec![at],
        }
    }

    pub(super) fn values(&mut self, items: &[At], place: Place) -> Run<ExprId> {
        let values = items.iter().map(|item| self.expr(*item, place)).collect();
        self.out.exprs(values)
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
