//! Expressions. In: expressions. Out: the same in no language's own terms. What is not known is kept with the expressions
//! in it, for the calls they hold.

use super::{F, K, Reader};
use crate::graph::ir::{Arg, CallKind, Collection, ExprId, ExprKind, Literal, Op, Run, Spread};
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
            K::Identifier | K::TypeIdentifier => return self.variable(at, place),
            K::Invocation => return self.invocation(at, place),
            K::ExplicitConstructor => return self.explicit(at, place),
            K::New => return self.instantiation(at, place),
            K::FieldAccess => return self.field_access(at, place),
            K::ScopedIdentifier => return self.path(at, place),
            K::ArrayAccess => {
                let array = self.part(at, F::Array, place);
                ExprKind::Index(array, self.part(at, F::Index, place))
            }
            K::ArrayCreation => return self.array(at, place),
            K::ArrayInitializer => ExprKind::Collection(Collection::List, self.parts(at, place)),
            K::Lambda => ExprKind::Function(self.lambda(at, hint, place)),
            K::MethodReference => return self.reference(at, place),
            K::String => {
                let text = self.text(at);
                self.text_literal(text.trim_matches('"'))
            }
            K::Int => {
                let text = self.text(at).replace('_', "");
                let number = text.trim_end_matches(['l', 'L']).parse();
                ExprKind::Literal(number.map_or(Literal::Number, Literal::Int))
            }
            K::HexInt | K::BinaryInt | K::Float | K::Character => ExprKind::Literal(Literal::Number),
            K::True | K::False => ExprKind::Literal(Literal::Bool(self.kind(at) == K::True)),
            K::Null => ExprKind::Literal(Literal::None),
            K::This => ExprKind::Receiver,
            K::Super => ExprKind::Super,
            K::Assignment => return self.assignment_value(at, hint, place),
            K::Update => self.update(at, place),
            K::Binary => {
                let op = self.operator(at);
                let (left, right) = (self.part(at, F::Left, place), self.part(at, F::Right, place));
                ExprKind::Binary(op, left, right)
            }
            K::Unary => {
                let op = match self.field(at, F::Operator).map(|operator| self.kind(operator)) {
                    Some(K::Minus) => Op::Negate,
                    Some(K::Bang) => Op::Not,
                    _ => Op::Other,
                };
                ExprKind::Unary(op, self.part(at, F::Operand, place))
            }
            K::Ternary => {
                let condition = self.part(at, F::Condition, place);
                let one = self.part(at, F::Consequence, place);
                ExprKind::Conditional(condition, one, self.part(at, F::Alternative, place))
            }
            K::Cast => {
                let value = self.part(at, F::Value, place);
                match self.field(at, F::Type).and_then(|ty| self.ty(ty, place)) {
                    Some(ty) => ExprKind::Cast(value, ty),
                    None => return value,
                }
            }
            K::InstanceOf => return self.instance_of(at, place),
            K::Parenthesized => {
                return match self.first(at) {
                    Some(inner) => self.named(inner, hint, place),
                    None => self.out.unknown(Vec::new(), line),
                };
            }
            K::Switch => return self.switch_value(at, place),
            K::ClassLiteral | K::TypeArguments | K::Annotation | K::MarkerAnnotation => {
                ExprKind::Unknown(Run::EMPTY)
            }
            K::ClassBody | K::InterfaceBody => ExprKind::Unknown(Run::EMPTY),
            _ => ExprKind::Unknown(self.parts(at, place)),
        };
        self.out.expr(kind, line)
    }

    fn operator(&self, at: At) -> Op {
        self.field(at, F::Operator).map_or(Op::Other, |operator| op_of(self.kind(operator)))
    }

    fn arguments(&mut self, at: At, place: Place) -> Vec<Arg> {
        let mut args = Vec::new();
        for child in self.field(at, F::Arguments).map(|list| self.children(list)).into_iter().flatten() {
            let value = self.expr(child, place);
            args.push(Arg { name: None, value, spread: Spread::No });
        }
        args
    }

    fn invocation(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let Some(name) = self.field(at, F::Name) else { return self.out.unknown(Vec::new(), line) };
        let callee = match self.field(at, F::Object) {
            Some(object) => {
                let object = self.expr(object, place);
                let (name, line) = (self.symbol(name), self.line(name));
                self.out.expr(ExprKind::Attr(object, name), line)
            }
            None => self.method_name(name, place),
        };
        let args = self.arguments(at, place);
        self.out.call(CallKind::Plain, callee, args, line)
    }

    /// `this(…)` and `super(…)`.
    fn explicit(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let above = self.field(at, F::Constructor).is_some_and(|one| self.kind(one) == K::Super);
        let object = self.out.expr(if above { ExprKind::Super } else { ExprKind::Receiver }, line);
        let name = self.out.names.intern("<init>");
        let callee = self.out.expr(ExprKind::Attr(object, name), line);
        let args = self.arguments(at, place);
        self.out.call(CallKind::Plain, callee, args, line)
    }

    fn instantiation(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let ty = self.field(at, F::Type);
        let mut name = ty;
        while let Some(inner) = name.filter(|name| self.kind(*name) == K::GenericType) {
            name = self.first(inner);
        }
        let callee = match name {
            Some(name) if matches!(self.kind(name), K::TypeIdentifier) => {
                let symbol = self.symbol(name);
                self.out.name(symbol, place.scope, line)
            }
            Some(name) => match self.ty(name, place) {
                Some(ty) => ty,
                None => self.out.unknown(Vec::new(), line),
            },
            None => self.out.unknown(Vec::new(), line),
        };
        let args = self.arguments(at, place);
        if let Some(body) = self.of_kind(at, K::ClassBody).next() {
            let class = self.anonymous(at, body, callee, place);
            return self.out.call(CallKind::New, class, args, line);
        }
        let call = self.out.call(CallKind::New, callee, args, line);
        // A container is what its type says, and not just anything of its library.
        match ty.and_then(|ty| self.container_type(ty, place)) {
            Some(of) => {
                let call = self.out.unknown(vec![call], line);
                self.out.expr(ExprKind::Binary(Op::Or, call, of), line)
            }
            None => call,
        }
    }

    fn field_access(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let (Some(object), Some(field)) = (self.field(at, F::Object), self.field(at, F::Field)) else {
            return self.out.unknown(Vec::new(), line);
        };
        if self.kind(field) == K::This {
            let class = self.symbol(object);
            return self.outer(class, place, line);
        }
        let own = self.kind(object) == K::This;
        let (object, name) = (self.expr(object, place), self.symbol(field));
        let name = if own { self.field_name(self.around.len(), name) } else { name };
        self.out.expr(ExprKind::Attr(object, name), line)
    }

    /// `a.b.C` where no expression can stand.
    fn path(&mut self, at: At, place: Place) -> ExprId {
        let parts: Vec<At> = self.children(at).collect();
        let line = self.line(at);
        let [scope, name] = parts[..] else { return self.out.unknown(Vec::new(), line) };
        let (object, name) = (self.expr(scope, place), self.symbol(name));
        self.out.expr(ExprKind::Attr(object, name), line)
    }

    fn array(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        if let Some(value) = self.field(at, F::Value) {
            return self.expr(value, place);
        }
        let sizes: Vec<At> = self.of_kind(at, K::Dimensions).collect();
        let sizes = sizes.into_iter().map(|size| self.inside(size, place)).collect();
        let sizes = self.out.unknown(sizes, line);
        let element = self.field(at, F::Type).and_then(|ty| self.ty(ty, place));
        match element {
            Some(element) => {
                let list = self.out.container_of(Collection::List, Some(element), line);
                self.out.expr(ExprKind::Cast(sizes, list), line)
            }
            None => sizes,
        }
    }

    /// `object::method` and `Class::new`.
    fn reference(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let parts: Vec<At> =
            self.children(at).filter(|child| self.kind(*child) != K::TypeArguments).collect();
        let Some(first) = parts.first() else { return self.out.unknown(Vec::new(), line) };
        let object = match self.kind(*first) {
            K::GenericType | K::ScopedType | K::ArrayType => self.ty(*first, place),
            _ => Some(self.expr(*first, place)),
        };
        let object = match object {
            Some(object) => object,
            None => self.out.unknown(Vec::new(), line),
        };
        match parts.get(1) {
            Some(name) => {
                let name = self.symbol(*name);
                self.out.expr(ExprKind::Attr(object, name), line)
            }
            None => self.constructor_reference(at, object, place),
        }
    }

    fn assignment_value(&mut self, at: At, hint: Option<Symbol>, place: Place) -> ExprId {
        let line = self.line(at);
        let (Some(left), Some(right)) = (self.field(at, F::Left), self.field(at, F::Right)) else {
            return self.out.unknown(Vec::new(), line);
        };
        let mut value = self.named(right, hint, place);
        if self.field(at, F::Operator).is_some_and(|operator| self.kind(operator) != K::Equals) {
            let (op, before) = (self.operator(at), self.expr(left, place));
            value = self.out.expr(ExprKind::Binary(op, before, value), line);
        }
        let target = self.target(left, place);
        self.out.expr(ExprKind::Assign(target, value), line)
    }

    /// What is assigned; a name that is no local variable was declared elsewhere.
    pub(super) fn target(&mut self, at: At, place: Place) -> ExprId {
        let target = self.expr(at, place);
        if let ExprKind::Name(name, scope) = self.out.unit.expr(target).kind {
            self.out.unit.written.push((scope, name));
        }
        target
    }

    /// `i++` assigns `i + 1`.
    fn update(&mut self, at: At, place: Place) -> ExprKind {
        let line = self.line(at);
        let Some(inner) = self.first(at) else { return ExprKind::Unknown(Run::EMPTY) };
        let before = self.expr(inner, place);
        let one = self.out.expr(ExprKind::Literal(Literal::Int(1)), line);
        let op = if self.has(at, K::Increment) { Op::Add } else { Op::Subtract };
        let value = self.out.expr(ExprKind::Binary(op, before, one), line);
        ExprKind::Assign(self.target(inner, place), value)
    }

    /// `value instanceof Type name`: the name has the value as that type.
    fn instance_of(&mut self, at: At, place: Place) -> ExprId {
        let (value, line) = (self.part(at, F::Left, place), self.line(at));
        let ty = self.field(at, F::Right).and_then(|ty| self.ty(ty, place));
        if let Some(pattern) = self.field(at, F::Pattern) {
            self.pattern(pattern, place);
        }
        let Some(name) = self.field(at, F::Name) else { return self.out.unknown(vec![value], line) };
        let target = self.local(name, place);
        let value = match ty {
            Some(ty) => self.out.expr(ExprKind::Cast(value, ty), line),
            None => value,
        };
        let bound = self.out.expr(ExprKind::Assign(target, value), line);
        self.out.unknown(vec![bound], line)
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
        K::ShiftRight | K::ShiftRightUnsigned | K::ShiftRightAssign => Op::ShiftRight,
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
