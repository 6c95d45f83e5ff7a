//! Methods, constructors and lambdas. In: their declarations. Out: functions with their parameters. A method without a
//! body is one that others have.

use super::{F, K, Reader};
use crate::graph::ir::{
    Arg, CallKind, ClassId, ExprId, ExprKind, Flags, FunctionId, Param, ParamKind, ScopeKind, Spread,
    StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn method(&mut self, at: At, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let modifiers = self.of_kind(at, K::Modifiers).next();
        let fixed = modifiers.is_some_and(|modifiers| self.has(modifiers, K::StaticToken));
        let method = place.class.is_some();
        let flags = Flags {
            method,
            of_class: method && fixed,
            declared_only: method && self.field(at, F::Body).is_none(),
            ..Flags::default()
        };
        self.member(at, name, flags, place, line);
    }

    pub(super) fn constructor(&mut self, at: At, place: Place) {
        let (name, line) = (self.out.names.intern("<init>"), self.line(at));
        self.member(at, name, Flags { method: true, ..Flags::default() }, place, line);
    }

    fn member(&mut self, at: At, name: Symbol, flags: Flags, place: Place, line: u32) {
        let function = self.function(at, name, place.class, flags, place);
        let value = self.out.expr(ExprKind::Function(function), line);
        let target = self.declared_name(name, place.scope, line);
        self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
    }

    pub(super) fn lambda(&mut self, at: At, hint: Option<Symbol>, place: Place) -> FunctionId {
        let name = match hint {
            Some(name) => name,
            None => self.out.lambda_name(place),
        };
        self.function(at, name, None, Flags { arrow: true, ..Flags::default() }, place)
    }

    /// `Class::new` is a function that makes an instance of whatever it is given.
    pub(super) fn constructor_reference(&mut self, at: At, class: ExprId, place: Place) -> ExprId {
        let (name, line) = (self.out.lambda_name(place), self.line(at));
        let qualified = self.out.qualify(place, name);
        let id = self.out.function(name, qualified, Some(place.scope), None, ScopeKind::Function, line);
        let inside = self.out.inside(id);
        let rest = self.out.names.intern("<rest>");
        let target = self.declared_name(rest, inside.scope, line);
        let param = Param { name: rest, target, default: None, ty: None, kind: ParamKind::Rest };
        let params = self.out.params(vec![param]);
        let arg = Arg { name: None, value: target, spread: Spread::Elements };
        let made = self.out.call(CallKind::New, class, vec![arg], line);
        let made = self.out.stmt(StmtKind::Return(Some(made)), line);
        let body = self.out.block(vec![made]);
        let function = self.out.function_mut(id);
        (function.params, function.body) = (params, body);
        function.flags = Flags { arrow: true, ..Flags::default() };
        self.out.expr(ExprKind::Function(id), line)
    }

    fn function(
        &mut self,
        at: At,
        name: Symbol,
        class: Option<ClassId>,
        flags: Flags,
        place: Place,
    ) -> FunctionId {
        let line = self.line(at);
        let qualified = self.out.qualify(place, name);
        let id = self.out.function(name, qualified, Some(place.scope), class, ScopeKind::Function, line);
        self.out.function_mut(id).flags = flags;
        let inside = self.out.inside(id);
        let (outer, seen) = (std::mem::take(&mut self.list), self.locals.len());
        self.type_parameters(at, inside);
        let params = self.params(at, inside);
        let params = self.out.params(params);
        let returns = self.field(at, F::Type).and_then(|ty| self.ty(ty, inside));
        match self.field(at, F::Body) {
            Some(body) if matches!(self.kind(body), K::Block | K::ConstructorBody) => {
                self.statements(body, inside);
            }
            Some(body) => {
                let value = self.expr(body, inside);
                self.add(StmtKind::Return(Some(value)), line);
            }
            None => {}
        }
        self.locals.truncate(seen);
        let list = std::mem::replace(&mut self.list, outer);
        let (body, last) = (self.out.block(list), self.syntax.last_line(at));
        let function = self.out.function_mut(id);
        (function.params, function.body, function.returns, function.lines) =
            (params, body, returns, (line, last));
        id
    }

    fn params(&mut self, at: At, inside: Place) -> Vec<Param> {
        // A record's constructor may leave its parameters out.
        let compact = self.kind(at) == K::CompactConstructor;
        let components = self.around.last().and_then(|around| around.parameters).filter(|_| compact);
        let Some(list) = self.field(at, F::Parameters).or(components) else { return Vec::new() };
        if self.kind(list) == K::Identifier {
            return vec![self.param_of(list, None, ParamKind::One, inside)];
        }
        let mut params = Vec::new();
        for one in self.children(list) {
            let param = match self.kind(one) {
                K::FormalParameter => {
                    let Some(name) = self.field(one, F::Name) else { continue };
                    self.param_of(name, self.field(one, F::Type), ParamKind::One, inside)
                }
                K::Identifier => self.param_of(one, None, ParamKind::One, inside),
                K::SpreadParameter => {
                    let declarator = self.of_kind(one, K::VariableDeclarator).next();
                    let Some(name) = declarator.and_then(|one| self.field(one, F::Name)) else { continue };
                    let ty = self
                        .children(one)
                        .find(|child| !matches!(self.kind(*child), K::Modifiers | K::VariableDeclarator));
                    self.param_of(name, ty, ParamKind::Rest, inside)
                }
                _ => continue,
            };
            params.push(param);
        }
        params
    }
}
