//! Expressions. In: expressions. Out: the same in no language's own terms. What is not known is kept with the
//! expressions in it, for the calls they hold. A tag of JSX is a call of its component.

use super::{F, K, Reader};
use crate::graph::ir::{
    Arg, CallKind, Collection, Entry, ExprId, ExprKind, Literal, MapKind, Op, Run, Spread,
};
use crate::graph::lower::{Place, TEXT_MAX};
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl<'r> Reader<'r, '_> {
    pub(super) fn expr(&mut self, at: At, place: Place) -> ExprId {
        self.named(at, None, place)
    }

    /// An expression; a function in its place goes by the name that is given.
    pub(super) fn named(&mut self, at: At, hint: Option<Symbol>, place: Place) -> ExprId {
        let line = self.line(at);
        let kind = match self.kind(at) {
            K::Identifier | K::TypeIdentifier | K::ShorthandProperty => return self.name(at, place),
            K::Call => return self.call(at, place),
            K::New => return self.instantiation(at, place),
            K::Member => return self.member(at, place),
            K::Subscript => {
                let (object, key) = (self.part(at, F::Object, place), self.part(at, F::Index, place));
                ExprKind::Index(object, key)
            }
            K::ArrowFunction | K::FunctionExpression | K::GeneratorFunction => {
                ExprKind::Function(self.function(at, hint, None, place))
            }
            K::Class | K::ClassDeclaration => return self.class(at, hint, place),
            K::Object => self.object(at, place),
            K::Array => ExprKind::Collection(Collection::List, self.parts(at, place)),
            K::Spread => ExprKind::Spread(self.inside(at, place)),
            K::String => self.string(at),
            K::TemplateString => ExprKind::Literal(Literal::SomeText(self.substitutions(at, place))),
            K::Number => ExprKind::Literal(self.number(at)),
            K::True | K::False => ExprKind::Literal(Literal::Bool(self.kind(at) == K::True)),
            K::Null | K::Undefined => ExprKind::Literal(Literal::None),
            K::This => ExprKind::Receiver,
            K::Super => ExprKind::Super,
            K::Assignment | K::AugmentedAssignment => return self.assignment_value(at, hint, place),
            K::Update => self.update(at, place),
            K::Binary => self.binary(at, place),
            K::Unary => {
                let negative = self.field(at, F::Operator).map(|operator| self.kind(operator));
                let value = self.part(at, F::Argument, place);
                let op = match negative {
                    Some(K::Minus) => Op::Negate,
                    Some(K::Bang) => Op::Not,
                    _ => Op::Other,
                };
                ExprKind::Unary(op, value)
            }
            K::Ternary => {
                let condition = self.part(at, F::Condition, place);
                let (one, other) =
                    (self.part(at, F::Consequence, place), self.part(at, F::Alternative, place));
                ExprKind::Conditional(condition, one, other)
            }
            K::Await => ExprKind::Await(self.inside(at, place)),
            K::Yield => self.give(at, place),
            K::Parenthesized | K::NonNull | K::Satisfies | K::JsxExpression => {
                return match self.first(at) {
                    Some(inner) => self.named(inner, hint, place),
                    None => self.out.unknown(Vec::new(), line),
                };
            }
            K::Sequence => return self.sequence(at, place),
            K::As => return self.cast(at, place),
            K::TypeAssertion => return self.assertion(at, place),
            K::JsxElement | K::JsxSelfClosing => return self.tag(at, place),
            K::TypeArguments | K::TypeParameters | K::TypeAnnotation | K::Regex => {
                ExprKind::Unknown(Run::EMPTY)
            }
            _ => ExprKind::Unknown(self.parts(at, place)),
        };
        self.out.expr(kind, line)
    }

    fn name(&mut self, at: At, place: Place) -> ExprId {
        let (name, line) = (self.symbol(at), self.line(at));
        if self.syntax.text(at) == "exports" {
            return self.out.expr(ExprKind::Exports, line);
        }
        self.out.name(name, place.scope, line)
    }

    /// The only expression inside.
    pub(super) fn inside(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        match self.first(at) {
            Some(inner) => self.expr(inner, place),
            None => self.out.unknown(Vec::new(), line),
        }
    }

    pub(super) fn part(&mut self, at: At, field: F, place: Place) -> ExprId {
        let line = self.line(at);
        match self.field(at, field) {
            Some(part) => self.expr(part, place),
            None => self.out.unknown(Vec::new(), line),
        }
    }

    fn parts(&mut self, at: At, place: Place) -> Run<ExprId> {
        let mut parts = Vec::new();
        for child in self.children(at) {
            parts.push(self.expr(child, place));
        }
        self.out.exprs(parts)
    }

    fn member(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        if self.is_module_exports(at) {
            return self.out.expr(ExprKind::Exports, line);
        }
        let object = self.part(at, F::Object, place);
        match self.field(at, F::Property) {
            Some(property) => {
                let (name, line) = (self.symbol(property), self.line(property));
                self.out.expr(ExprKind::Attr(object, name), line)
            }
            None => object,
        }
    }

    fn call(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        if let Some(module) = self.required(at) {
            return module;
        }
        let callee = self.part(at, F::Function, place);
        let mut args = Vec::new();
        match self.field(at, F::Arguments) {
            Some(list) if self.kind(list) == K::Arguments => self.arguments(list, place, &mut args),
            Some(template) => {
                let value = self.expr(template, place);
                args.push(Arg { name: None, value, spread: Spread::No });
            }
            None => {}
        }
        self.out.call(CallKind::Plain, callee, args, line)
    }

    fn instantiation(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let callee = self.part(at, F::Constructor, place);
        let mut args = Vec::new();
        if let Some(list) = self.field(at, F::Arguments) {
            self.arguments(list, place, &mut args);
        }
        self.out.call(CallKind::New, callee, args, line)
    }

    fn arguments(&mut self, list: At, place: Place, args: &mut Vec<Arg>) {
        for child in self.children(list) {
            let (value, spread) = match self.kind(child) {
                K::Spread => (self.inside(child, place), Spread::Elements),
                _ => (self.expr(child, place), Spread::No),
            };
            args.push(Arg { name: None, value, spread });
        }
    }

    fn object(&mut self, at: At, place: Place) -> ExprKind {
        let mut entries = Vec::new();
        for child in self.children(at) {
            let entry = match self.kind(child) {
                K::Pair => {
                    let (Some(key), Some(value)) = (self.field(child, F::Key), self.field(child, F::Value))
                    else {
                        continue;
                    };
                    let hint = self.hint(key);
                    let key = Some(self.key(key, place));
                    Entry { key, value: self.named(value, hint, place) }
                }
                K::ShorthandProperty => {
                    let key = Some(self.key(child, place));
                    Entry { key, value: self.name(child, place) }
                }
                K::MethodDefinition => {
                    let Some(name) = self.field(child, F::Name) else { continue };
                    let (key, line) = (Some(self.key(name, place)), self.line(child));
                    let function = self.method(child, place);
                    Entry { key, value: self.out.expr(ExprKind::Function(function), line) }
                }
                K::Spread => Entry { key: None, value: self.inside(child, place) },
                _ => continue,
            };
            entries.push(entry);
        }
        ExprKind::Map(MapKind::Object, self.out.entries(entries))
    }

    pub(super) fn string(&mut self, at: At) -> ExprKind {
        let text = self.text_of(at);
        if text.len() > TEXT_MAX || text.contains('\\') {
            return ExprKind::Literal(Literal::SomeText(Run::EMPTY));
        }
        ExprKind::Literal(Literal::Text(self.out.names.intern(text)))
    }

    /// What stands between the quotes.
    pub(super) fn text_of(&self, at: At) -> &'r str {
        let syntax = self.syntax;
        syntax.text(at).trim_matches(['"', '\'', '`'])
    }

    fn substitutions(&mut self, at: At, place: Place) -> Run<ExprId> {
        let mut parts = Vec::new();
        for child in self.of_kind(at, K::TemplateSubstitution) {
            parts.push(self.inside(child, place));
        }
        self.out.exprs(parts)
    }

    fn number(&self, at: At) -> Literal {
        let text = self.syntax.text(at).replace('_', "");
        text.parse().map_or(Literal::Number, Literal::Int)
    }

    fn assignment_value(&mut self, at: At, hint: Option<Symbol>, place: Place) -> ExprId {
        let line = self.line(at);
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else {
            return self.out.unknown(Vec::new(), line);
        };
        let hint = self.hint(left).or(hint);
        let mut value = self.named(right, hint, place);
        if let Some(operator) =
            self.field(at, F::Operator).filter(|operator| self.kind(*operator) != K::Equals)
        {
            let (op, before) = (self.compound_op(operator), self.expr(left, place));
            value = self.out.expr(ExprKind::Binary(op, before, value), line);
        }
        // `exports = module.exports = value`: both are what the module exports.
        if self.is_module_exports(left) {
            return value;
        }
        let target = self.target(left, place, None);
        self.out.expr(ExprKind::Assign(target, value), line)
    }

    /// `i++` assigns `i + 1`.
    fn update(&mut self, at: At, place: Place) -> ExprKind {
        let line = self.line(at);
        let before = self.part(at, F::Argument, place);
        let plus = self.field(at, F::Operator).is_some_and(|operator| self.kind(operator) == K::Increment);
        let one = self.out.expr(ExprKind::Literal(Literal::Int(1)), line);
        let op = if plus { Op::Add } else { Op::Subtract };
        let value = self.out.expr(ExprKind::Binary(op, before, one), line);
        match self.field(at, F::Argument) {
            Some(target) => ExprKind::Assign(self.target(target, place, None), value),
            None => ExprKind::Unary(Op::Other, value),
        }
    }

    fn binary(&mut self, at: At, place: Place) -> ExprKind {
        let op = self.field(at, F::Operator).map_or(Op::Other, |operator| op_of(self.kind(operator)));
        let (left, right) = (self.part(at, F::Left, place), self.part(at, F::Right, place));
        ExprKind::Binary(op, left, right)
    }

    fn give(&mut self, at: At, place: Place) -> ExprKind {
        self.out.function_mut(place.function).flags.generator = true;
        let all = self.has(at, K::Star);
        match self.first(at).map(|value| self.expr(value, place)) {
            Some(value) if all => ExprKind::YieldFrom(value),
            value => ExprKind::Yield(value),
        }
    }

    /// The value of the last.
    fn sequence(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let parts: Vec<At> = self.children(at).collect();
        let Some((last, before)) = parts.split_last() else { return self.out.unknown(Vec::new(), line) };
        let before = before.iter().map(|part| self.expr(*part, place)).collect();
        let before = self.out.unknown(before, line);
        let last = self.expr(*last, place);
        // Nothing or the last: what comes before has no value that is followed.
        self.out.expr(ExprKind::Binary(Op::Or, before, last), line)
    }

    /// `<Component attribute={value}>`: elements that begin with a small letter are the browser's.
    fn tag(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let open = self.field(at, F::OpenTag).unwrap_or(at);
        let mut entries = Vec::new();
        let mut parts = Vec::new();
        for attribute in self.called(open, F::Attribute) {
            let mut inside = self.children(attribute);
            match (self.kind(attribute), inside.next(), inside.next()) {
                (K::JsxAttribute, Some(name), Some(value)) => {
                    let key = Some(self.key(name, place));
                    entries.push(Entry { key, value: self.expr(value, place) });
                }
                (K::JsxExpression, Some(value), _) => parts.push(self.expr(value, place)),
                _ => {}
            }
        }
        for child in self.children(at).filter(|child| *child != open) {
            if matches!(self.kind(child), K::JsxElement | K::JsxSelfClosing | K::JsxExpression) {
                parts.push(self.expr(child, place));
            }
        }
        let entries = self.out.entries(entries);
        let properties = self.out.expr(ExprKind::Map(MapKind::Object, entries), line);
        let name = self.field(open, F::Name);
        let own = |name: &At| self.syntax.text(*name).starts_with(|c: char| c.is_ascii_lowercase());
        match name.filter(|name| self.kind(*name) == K::Member || !own(name)) {
            Some(name) => {
                let callee = self.expr(name, place);
                parts.push(self.out.apply(CallKind::Plain, callee, properties, line));
            }
            None => parts.push(properties),
        }
        self.out.unknown(parts, line)
    }
}

fn op_of(kind: K) -> Op {
    match kind {
        K::Plus => Op::Add,
        K::Minus => Op::Subtract,
        K::Star => Op::Multiply,
        K::Slash => Op::Divide,
        K::Percent => Op::Modulo,
        K::DoubleStar => Op::Power,
        K::ShiftLeft => Op::ShiftLeft,
        K::ShiftRight | K::ShiftRightUnsigned => Op::ShiftRight,
        K::Less => Op::Less,
        K::LessEqual => Op::LessEqual,
        K::Greater => Op::Greater,
        K::GreaterEqual => Op::GreaterEqual,
        K::Equal | K::StrictEqual => Op::Equal,
        K::NotEqual | K::StrictNotEqual => Op::NotEqual,
        K::InToken => Op::In,
        K::AndAnd => Op::And,
        K::OrOr | K::Nullish => Op::Or,
        _ => Op::Other,
    }
}
