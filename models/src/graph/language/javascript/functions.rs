//! Functions. In: declarations, expressions, arrows and methods. Out: functions with their parameters; patterns in
//! parameters are taken apart by statements before the body.

use super::{F, K, Reader};
use crate::graph::ir::{ClassId, ExprKind, Flags, FunctionId, Param, ParamKind, ScopeKind, StmtId, StmtKind};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// A function that is declared has its name in the block around it.
    pub(super) fn function_declaration(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let function = self.function(at, Some(name), None, place);
        let value = self.out.expr(ExprKind::Function(function), line);
        let target = self.declared_name(name, place.scope, line);
        list.push(self.out.assign(target, value, line));
    }

    /// A method of a class or an object.
    pub(super) fn method(&mut self, at: At, place: Place) -> FunctionId {
        let name = match self.field(at, F::Name) {
            Some(name) => self.hint(name),
            None => None,
        };
        self.function(at, name, place.class, place)
    }

    pub(super) fn function(
        &mut self,
        at: At,
        hint: Option<Symbol>,
        class: Option<ClassId>,
        place: Place,
    ) -> FunctionId {
        let line = self.line(at);
        let own = self.field(at, F::Name).filter(|name| self.kind(*name) == K::Identifier);
        let own = own.map(|name| self.symbol(name));
        let name = match own.or(hint) {
            Some(name) => name,
            None => self.out.lambda_name(place),
        };
        let qualified = self.out.qualify(place, name);
        let id = self.out.function(name, qualified, Some(place.scope), class, ScopeKind::Function, line);
        self.out.function_mut(id).flags = self.flags(at, class.is_some());
        let inside = self.out.inside(id);
        if self.kind(at) == K::FunctionExpression
            && let Some(own) = own
        {
            // The name of a function expression is seen inside of it.
            let target = self.declared_name(own, inside.scope, line);
            let itself = self.out.expr(ExprKind::Function(id), line);
            let bound = self.out.assign(target, itself, line);
            return self.finish(id, at, place, inside, vec![bound]);
        }
        self.finish(id, at, place, inside, Vec::new())
    }

    fn flags(&self, at: At, method: bool) -> Flags {
        Flags {
            method,
            of_class: method && self.has(at, K::StaticToken),
            getter: self.has(at, K::GetToken),
            setter: self.has(at, K::SetToken),
            asynchronous: self.has(at, K::AsyncToken),
            arrow: self.kind(at) == K::ArrowFunction,
            ..Flags::default()
        }
    }

    fn finish(
        &mut self,
        id: FunctionId,
        at: At,
        outer: Place,
        inside: Place,
        mut list: Vec<StmtId>,
    ) -> FunctionId {
        let mut params = Vec::new();
        if let Some(name) = self.field(at, F::Parameter) {
            params.push(self.param(name, None, inside, &mut list));
        }
        let all = self.field(at, F::Parameters).map(|all| self.children(all));
        for param in all.into_iter().flatten() {
            self.any_param(param, inside, &mut params, &mut list);
        }
        let params = self.out.params(params);
        let returns = self.field(at, F::ReturnType).and_then(|ty| self.ty(ty, outer));
        match self.field(at, F::Body) {
            Some(body) if self.kind(body) == K::StatementBlock => {
                let block = self.statements(body, inside);
                let line = self.line(body);
                list.push(self.out.stmt(StmtKind::Block(block), line));
            }
            Some(body) => {
                let value = self.expr(body, inside);
                self.push(StmtKind::Return(Some(value)), body, &mut list);
            }
            None => {}
        }
        let (body, lines) = (self.out.block(list), (self.line(at), self.syntax.last_line(at)));
        let function = self.out.function_mut(id);
        (function.params, function.body, function.lines) = (params, body, lines);
        // What an asynchronous function says it returns is a promise.
        function.returns = returns.filter(|_| !function.flags.asynchronous);
        id
    }

    fn any_param(&mut self, at: At, inside: Place, params: &mut Vec<Param>, list: &mut Vec<StmtId>) {
        match self.kind(at) {
            K::RequiredParameter | K::OptionalParameter => {
                let Some(pattern) = self.field(at, F::Pattern) else { return };
                // `this: Type` is no parameter.
                if self.kind(pattern) == K::This {
                    return;
                }
                let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, inside));
                let mut param = self.param(pattern, ty, inside, list);
                param.default =
                    self.field(at, F::Value).map(|value| self.expr(value, inside)).or(param.default);
                if self.has(at, K::AccessibilityModifier) || self.has(at, K::ReadonlyToken) {
                    self.keep_in_receiver(param, list);
                }
                params.push(param);
            }
            K::Decorator => {}
            _ => params.push(self.param(at, None, inside, list)),
        }
    }

    /// `constructor(private name: Type)` keeps the argument in the instance.
    fn keep_in_receiver(&mut self, param: Param, list: &mut Vec<StmtId>) {
        let line = self.out.unit.expr(param.target).line;
        let receiver = self.out.expr(ExprKind::Receiver, line);
        let target = self.out.expr(ExprKind::Attr(receiver, param.name), line);
        list.push(self.out.assign(target, param.target, line));
    }

    fn param(
        &mut self,
        at: At,
        ty: Option<crate::graph::ir::ExprId>,
        inside: Place,
        list: &mut Vec<StmtId>,
    ) -> Param {
        let line = self.line(at);
        let (mut pattern, mut default, mut kind) = (at, None, ParamKind::One);
        if self.kind(pattern) == K::AssignmentPattern {
            default = self.field(pattern, F::Right).map(|value| self.expr(value, inside));
            pattern = self.field(pattern, F::Left).unwrap_or(pattern);
        }
        if self.kind(pattern) == K::RestPattern {
            kind = ParamKind::Rest;
            pattern = self.first(pattern).unwrap_or(pattern);
        }
        if self.kind(pattern) == K::Identifier {
            let name = self.symbol(pattern);
            let target = self.declared_name(name, inside.scope, line);
            return Param { name, target, default, ty, kind };
        }
        // A name that no program can write.
        let name = self.out.names.intern(&format!("<{}>", list.len()));
        let target = self.declared_name(name, inside.scope, line);
        let apart = self.target(pattern, inside, Some(inside.scope));
        list.push(self.out.assign(apart, target, line));
        Param { name, target, default, ty, kind }
    }
}
