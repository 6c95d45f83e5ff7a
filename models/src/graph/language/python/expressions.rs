//! Expressions and targets. In: expressions. Out: the same in no language's own terms. What is not known is kept with
//! the expressions in it, for the calls they hold.

use super::{F, K, Reader};
use crate::graph::ir::{
    Arg, Branch, CallKind, Collection, Entry, ExprId, ExprKind, Literal, Loop, LoopKind, MapKind, Op, Run,
    Spread, StmtId, StmtKind,
};
use crate::graph::lower::{Place, TEXT_MAX};
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn expr(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let kind = match self.kind(at) {
            K::Identifier => ExprKind::Name(self.symbol(at), place.scope),
            K::Call => return self.call(at, place),
            K::Attribute => return self.attribute(at, place),
            K::String => self.string(at, place),
            K::ConcatenatedString => ExprKind::Literal(Literal::SomeText(self.parts(at, place))),
            K::Integer => ExprKind::Literal(self.integer(at)),
            K::Float => ExprKind::Literal(Literal::Number),
            K::True => ExprKind::Literal(Literal::Bool(true)),
            K::False => ExprKind::Literal(Literal::Bool(false)),
            K::None => ExprKind::Literal(Literal::None),
            K::List => ExprKind::Collection(Collection::List, self.parts(at, place)),
            K::Set => ExprKind::Collection(Collection::Set, self.parts(at, place)),
            K::Tuple | K::ExpressionList => ExprKind::Collection(Collection::Tuple, self.parts(at, place)),
            K::Dictionary => self.dictionary(at, place),
            K::ListComprehension => self.comprehension(Collection::List, at, place),
            K::SetComprehension => self.comprehension(Collection::Set, at, place),
            K::DictionaryComprehension => self.comprehension(Collection::Dict, at, place),
            K::GeneratorExpression => self.comprehension(Collection::Iterator, at, place),
            K::Subscript => return self.subscript(at, place),
            K::Lambda => ExprKind::Function(self.lambda(at, place)),
            K::ParenthesizedExpression | K::ParenthesizedListSplat | K::Type => {
                return match self.first(at) {
                    Some(inner) => self.expr(inner, place),
                    None => self.out.unknown(Vec::new(), line),
                };
            }
            K::ListSplat | K::ListSplatPattern | K::DictionarySplat => {
                let value = self.part(self.first(at), place, line);
                ExprKind::Spread(value)
            }
            K::BinaryOperator | K::BooleanOperator => self.binary(at, place),
            K::ComparisonOperator => self.comparison(at, place),
            K::NotOperator => ExprKind::Unary(Op::Not, self.field_expr(at, F::Argument, place)),
            K::UnaryOperator => self.unary(at, place),
            K::ConditionalExpression => self.conditional(at, place),
            K::Await => ExprKind::Await(self.part(self.first(at), place, line)),
            K::Yield => self.give(at, place),
            K::NamedExpression => {
                let value = self.field_expr(at, F::Value, place);
                // A name in a comprehension is assigned in the function around it.
                let outer = Place { scope: place.outer, ..place };
                match self.field(at, F::Name) {
                    Some(name) => ExprKind::Assign(self.target_name(name, outer), value),
                    None => return value,
                }
            }
            // `Optional[X]`, `list[X]`: the type that is asked for stands in it, but not as what the value is.
            K::GenericType | K::UnionType => ExprKind::Unknown(self.parts(at, place)),
            _ => ExprKind::Unknown(self.parts(at, place)),
        };
        self.out.expr(kind, line)
    }

    fn part(&mut self, at: Option<At>, place: Place, line: u32) -> ExprId {
        match at {
            Some(at) => self.expr(at, place),
            None => self.out.unknown(Vec::new(), line),
        }
    }

    fn field_expr(&mut self, at: At, field: F, place: Place) -> ExprId {
        let (part, line) = (self.field(at, field), self.line(at));
        self.part(part, place, line)
    }

    /// All children, each an expression.
    fn parts(&mut self, at: At, place: Place) -> Run<ExprId> {
        let mut parts = Vec::new();
        for child in self.children(at) {
            parts.push(self.expr(child, place));
        }
        self.out.exprs(parts)
    }

    fn attribute(&mut self, at: At, place: Place) -> ExprId {
        let object = self.field_expr(at, F::Object, place);
        match self.field(at, F::Attribute) {
            Some(name) => {
                let (name, line) = (self.symbol(name), self.line(name));
                self.out.expr(ExprKind::Attr(object, name), line)
            }
            None => object,
        }
    }

    /// `a.b.c` as the grammar has it in patterns and decorators.
    pub(super) fn dotted(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let mut value = None;
        for part in self.of_kind(at, K::Identifier) {
            let name = self.symbol(part);
            value = Some(match value {
                None => self.out.name(name, place.scope, line),
                Some(object) => self.out.expr(ExprKind::Attr(object, name), line),
            });
        }
        value.unwrap_or_else(|| self.out.unknown(Vec::new(), line))
    }

    /// A text is known if nothing in it is put in or escaped.
    fn string(&mut self, at: At, place: Place) -> ExprKind {
        let mut parts = Vec::new();
        for child in self.of_kind(at, K::Interpolation) {
            let value = self.field(child, F::Expression);
            parts.extend(value.map(|value| self.expr(value, place)));
        }
        let text = self.syntax.text(at);
        let known = parts.is_empty() && text.len() <= TEXT_MAX && !text.contains(['\\', '{']);
        match inside(text).filter(|_| known) {
            Some(inside) => ExprKind::Literal(Literal::Text(self.out.names.intern(inside))),
            None => ExprKind::Literal(Literal::SomeText(self.out.exprs(parts))),
        }
    }

    fn integer(&self, at: At) -> Literal {
        let text = self.syntax.text(at);
        let digits: String = text.chars().filter(|c| *c != '_').collect();
        digits.parse().map_or(Literal::Number, Literal::Int)
    }

    fn dictionary(&mut self, at: At, place: Place) -> ExprKind {
        let mut entries = Vec::new();
        for child in self.children(at) {
            match self.kind(child) {
                K::Pair => {
                    let key = Some(self.field_expr(child, F::Key, place));
                    entries.push(Entry { key, value: self.field_expr(child, F::Value, place) });
                }
                K::DictionarySplat => {
                    let (inner, line) = (self.first(child), self.line(child));
                    entries.push(Entry { key: None, value: self.part(inner, place, line) });
                }
                _ => {}
            }
        }
        ExprKind::Map(MapKind::Dict, self.out.entries(entries))
    }

    /// The clauses nest as they follow each other; the first is evaluated outside of the comprehension's scope.
    fn comprehension(&mut self, kind: Collection, at: At, place: Place) -> ExprKind {
        let inner = self.inner(place);
        let clauses: Vec<At> = self
            .children(at)
            .filter(|child| matches!(self.kind(*child), K::ForInClause | K::IfClause))
            .collect();
        let mut open = Vec::new();
        for (index, clause) in clauses.into_iter().enumerate() {
            let line = self.line(clause);
            if self.kind(clause) == K::IfClause {
                let condition = self.part(self.first(clause), inner, line);
                open.push((clause, Err(condition)));
                continue;
            }
            let outer = if index == 0 { place } else { inner };
            let iterated = self.field_expr(clause, F::Right, outer);
            let Some(left) = self.field(clause, F::Left) else { continue };
            let target = self.target(left, inner);
            open.push((clause, Ok(LoopKind::Each { target, iterated })));
        }
        let mut body = self.emission(at, inner);
        while let Some((clause, step)) = open.pop() {
            let line = self.line(clause);
            let block = self.out.block(vec![body]);
            body = match step {
                Ok(kind) => {
                    let id = self.out.add_loop(Loop { kind, body: block, otherwise: Run::EMPTY, line });
                    self.out.stmt(StmtKind::Loop(id), line)
                }
                Err(condition) => {
                    let branch = Branch { condition: Some(condition), body: block };
                    let branches = self.out.branches(vec![branch]);
                    self.out.stmt(StmtKind::Branch(branches), line)
                }
            };
        }
        ExprKind::Comprehension(kind, self.out.block(vec![body]))
    }

    fn emission(&mut self, at: At, place: Place) -> StmtId {
        let (body, line) = (self.field(at, F::Body), self.line(at));
        let pair = body.filter(|body| self.kind(*body) == K::Pair);
        let (key, value) = match pair {
            Some(pair) => {
                (Some(self.field_expr(pair, F::Key, place)), self.field_expr(pair, F::Value, place))
            }
            None => (None, self.part(body, place, line)),
        };
        self.out.stmt(StmtKind::Emit(key, value), line)
    }

    fn subscript(&mut self, at: At, place: Place) -> ExprId {
        let (object, line) = (self.field_expr(at, F::Value, place), self.line(at));
        let keys: Vec<At> = self.called(at, F::Subscript).collect();
        let kind = match keys[..] {
            [key] if self.kind(key) == K::Slice => self.slice(object, key, place),
            [key] => ExprKind::Index(object, self.expr(key, place)),
            _ => {
                let keys = keys.into_iter().map(|key| self.expr(key, place)).collect();
                let keys = self.out.exprs(keys);
                let key = self.out.expr(ExprKind::Collection(Collection::Tuple, keys), line);
                ExprKind::Index(object, key)
            }
        };
        self.out.expr(kind, line)
    }

    fn slice(&mut self, object: ExprId, at: At, place: Place) -> ExprKind {
        let mut ends = [None, None, None];
        let mut index = 0;
        for child in self.syntax.with_tokens(at) {
            match self.kind(child) {
                K::Colon => index += 1,
                _ if index < ends.len() => ends[index] = Some(self.expr(child, place)),
                _ => {}
            }
        }
        ExprKind::Slice(object, ends[0], ends[1])
    }

    fn call(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let callee = self.field_expr(at, F::Function, place);
        let mut args = Vec::new();
        match self.field(at, F::Arguments) {
            Some(list) if self.kind(list) == K::ArgumentList => self.arguments(list, place, &mut args),
            Some(generator) => {
                args.push(Arg { name: None, value: self.expr(generator, place), spread: Spread::No });
            }
            None => {}
        }
        self.out.call(CallKind::Plain, callee, args, line)
    }

    pub(super) fn arguments(&mut self, list: At, place: Place, args: &mut Vec<Arg>) {
        for child in self.children(list) {
            let line = self.line(child);
            let (name, spread, value) = match self.kind(child) {
                K::KeywordArgument => (self.field(child, F::Name), Spread::No, self.field(child, F::Value)),
                K::ListSplat => (None, Spread::Elements, self.first(child)),
                K::DictionarySplat => (None, Spread::Entries, self.first(child)),
                _ => (None, Spread::No, Some(child)),
            };
            let name = name.map(|name| self.symbol(name));
            args.push(Arg { name, value: self.part(value, place, line), spread });
        }
    }

    fn binary(&mut self, at: At, place: Place) -> ExprKind {
        let left = self.field_expr(at, F::Left, place);
        let right = self.field_expr(at, F::Right, place);
        let op = self.field(at, F::Operator).map_or(Op::Other, |operator| op_of(self.kind(operator)));
        ExprKind::Binary(op, left, right)
    }

    /// `a < b < c` compares neighbours; what counts is what is compared.
    fn comparison(&mut self, at: At, place: Place) -> ExprKind {
        let (mut parts, mut op) = (Vec::new(), Op::Other);
        for child in self.syntax.with_tokens(at) {
            if self.is_field(child, F::Operators) {
                op = op_of(self.kind(child));
            } else {
                parts.push(self.expr(child, place));
            }
        }
        match parts[..] {
            [left, right] => ExprKind::Binary(op, left, right),
            _ => ExprKind::Unknown(self.out.exprs(parts)),
        }
    }

    fn unary(&mut self, at: At, place: Place) -> ExprKind {
        let operator = self.field(at, F::Operator).map(|operator| self.kind(operator));
        let argument = self.field(at, F::Argument);
        let negative = operator == Some(K::Minus);
        if let Some(Literal::Int(number)) = argument
            .filter(|argument| negative && self.kind(*argument) == K::Integer)
            .map(|at| self.integer(at))
        {
            return ExprKind::Literal(Literal::Int(-number));
        }
        let op = if negative { Op::Negate } else { Op::Other };
        ExprKind::Unary(op, self.field_expr(at, F::Argument, place))
    }

    fn conditional(&mut self, at: At, place: Place) -> ExprKind {
        let parts: Vec<At> = self.children(at).collect();
        let [one, condition, other] = parts[..] else {
            return ExprKind::Unknown(self.parts(at, place));
        };
        let condition = self.expr(condition, place);
        ExprKind::Conditional(condition, self.expr(one, place), self.expr(other, place))
    }

    fn give(&mut self, at: At, place: Place) -> ExprKind {
        self.out.function_mut(place.function).flags.generator = true;
        let from = self.has(at, K::From);
        let value = self.first(at);
        let value = value.map(|value| self.expr(value, place));
        match value {
            Some(value) if from => ExprKind::YieldFrom(value),
            value => ExprKind::Yield(value),
        }
    }

    /// An expression that is assigned.
    pub(super) fn target(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        match self.kind(at) {
            K::Identifier => self.target_name(at, place),
            K::PatternList | K::TuplePattern | K::ListPattern | K::Tuple | K::List | K::ExpressionList => {
                let mut parts = Vec::new();
                for child in self.children(at) {
                    parts.push(self.target(child, place));
                }
                let parts = self.out.exprs(parts);
                self.out.expr(ExprKind::Collection(Collection::Tuple, parts), line)
            }
            K::ListSplatPattern | K::ListSplat => match self.first(at) {
                Some(inner) => {
                    let inner = self.target(inner, place);
                    self.out.expr(ExprKind::Spread(inner), line)
                }
                None => self.out.unknown(Vec::new(), line),
            },
            K::AsPatternTarget | K::ParenthesizedExpression => match self.first(at) {
                Some(inner) => self.target(inner, place),
                None => self.out.unknown(Vec::new(), line),
            },
            _ => self.expr(at, place),
        }
    }
}

/// What stands between the quotes.
fn inside(text: &str) -> Option<&str> {
    let quoted = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    ["\"\"\"", "'''", "\"", "'"].iter().find_map(|quote| quoted.strip_prefix(quote)?.strip_suffix(quote))
}

fn op_of(kind: K) -> Op {
    match kind {
        K::Plus => Op::Add,
        K::Minus => Op::Subtract,
        K::Star => Op::Multiply,
        K::Slash => Op::Divide,
        K::DoubleSlash => Op::FloorDivide,
        K::Percent => Op::Modulo,
        K::DoubleStar => Op::Power,
        K::ShiftLeft => Op::ShiftLeft,
        K::ShiftRight => Op::ShiftRight,
        K::Less => Op::Less,
        K::LessEqual => Op::LessEqual,
        K::Greater => Op::Greater,
        K::GreaterEqual => Op::GreaterEqual,
        K::Equal => Op::Equal,
        K::NotEqual => Op::NotEqual,
        K::In | K::NotIn => Op::In,
        K::And => Op::And,
        K::Or => Op::Or,
        _ => Op::Other,
    }
}
