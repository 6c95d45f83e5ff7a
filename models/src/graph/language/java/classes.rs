//! Classes, interfaces, enums, records. In: declarations. Out: classes whose members are names of their scope; what fields
//! are set to is evaluated where the class is made.

use super::{F, K, Reader};
use crate::graph::ir::{
    Arg, CallKind, Collection, ExprId, ExprKind, Flags, Param, ParamKind, ScopeId, ScopeKind, Spread, StmtId,
    StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// What stands at the top of a file.
    pub(super) fn item(&mut self, at: At, place: Place) {
        match self.kind(at) {
            K::Import => self.import(at, place),
            K::Package => {}
            _ if self.is_class(at) => self.class_declaration(at, ScopeId(0), place),
            K::Method => self.method(at, place),
            _ => self.statement(at, place),
        }
    }

    pub(super) fn class_declaration(&mut self, at: At, scope: ScopeId, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let mut bases: Vec<At> = self.field(at, F::Superclass).into_iter().collect();
        let clauses = self.field(at, F::Interfaces).into_iter().chain(self.of_kind(at, K::ExtendsInterfaces));
        for list in clauses.flat_map(|clause| self.of_kind(clause, K::TypeList)) {
            bases.extend(self.children(list));
        }
        let class = self.class(at, name, &bases, place);
        let target = self.declared_name(name, scope, line);
        let stmt = self.out.assign(target, class, line);
        self.list.push(stmt);
    }

    /// A class with a name, what it inherits from and where its body stands.
    fn class(&mut self, at: At, name: Symbol, bases: &[At], place: Place) -> ExprId {
        let line = self.line(at);
        let bases: Vec<ExprId> = bases.iter().filter_map(|base| self.ty(*base, place)).collect();
        self.class_of(at, name, bases, self.field(at, F::Body), place, line)
    }

    /// `new Base() { … }`: a class without a name.
    pub(super) fn anonymous(&mut self, at: At, body: At, base: ExprId, place: Place) -> ExprId {
        let (name, line) = (self.out.lambda_name(place), self.line(at));
        self.class_of(at, name, vec![base], Some(body), place, line)
    }

    fn class_of(
        &mut self,
        at: At,
        name: Symbol,
        bases: Vec<ExprId>,
        body: Option<At>,
        place: Place,
        line: u32,
    ) -> ExprId {
        let (id, inside) = self.out.class(name, place, line);
        let outer = std::mem::take(&mut self.list);
        self.type_parameters(at, inside);
        let parameters = self.field(at, F::Parameters).filter(|_| self.kind(at) == K::Record);
        let bodies: Vec<At> = body.into_iter().chain(parameters).collect();
        let mut around = self.around(name, &bodies, !bases.is_empty());
        around.parameters = parameters;
        self.around.push(around);
        for component in parameters.map(|list| self.children(list)).into_iter().flatten() {
            self.component(component, inside);
        }
        if let Some(body) = body {
            self.members(body, name, inside);
        }
        let left = self.around.pop().map_or(0, |around| around.locals);
        self.locals.truncate(left);
        let list: Vec<StmtId> = std::mem::replace(&mut self.list, outer);
        let (bases, body) = (self.out.exprs(bases), self.out.block(list));
        let last = self.syntax.last_line(at);
        let class = self.out.class_mut(id);
        (class.bases, class.body, class.lines) = (bases, body, (line, last));
        self.out.expr(ExprKind::Class(id), line)
    }

    /// Names that stand for types which nobody knows.
    pub(super) fn type_parameters(&mut self, at: At, place: Place) {
        let list = self.of_kind(at, K::TypeParameters).next();
        let Some(list) = list.or(self.field(at, F::TypeParameters)) else { return };
        for parameter in self.of_kind(list, K::TypeParameter) {
            if let Some(name) = self.of_kind(parameter, K::TypeIdentifier).next() {
                let name = self.symbol(name);
                self.out.declare(place.scope, name);
            }
        }
    }

    fn members(&mut self, body: At, class: Symbol, place: Place) {
        for member in self.children(body) {
            match self.kind(member) {
                K::Method => self.method(member, place),
                K::Constructor | K::CompactConstructor => self.constructor(member, place),
                K::Field | K::ConstantDeclaration => self.fields(member, place),
                K::EnumConstant => self.constant(member, class, place),
                K::EnumBodyDeclarations => self.members(member, class, place),
                K::StaticInitializer => {
                    if let Some(block) = self.first(member) {
                        self.statement(block, place);
                    }
                }
                K::Block => self.statement(member, place),
                _ if self.is_class(member) => self.class_declaration(member, place.scope, place),
                _ => {}
            }
        }
    }

    fn fields(&mut self, at: At, place: Place) {
        let ty_at = self.field(at, F::Type);
        for one in self.of_kind(at, K::VariableDeclarator) {
            let Some(name_at) = self.field(one, F::Name) else { continue };
            let (name, line) = (self.symbol(name_at), self.line(one));
            let value = self.field(one, F::Value).map(|value| self.named(value, Some(name), place));
            let ty = ty_at.and_then(|ty| self.ty(ty, place));
            let name = self.field_name(self.around.len(), name);
            let target = self.declared_name(name, place.scope, line);
            self.add(StmtKind::Assign { target, value, op: None, ty }, line);
        }
    }

    /// A component of a record is a field, and a method that gives it back.
    fn component(&mut self, at: At, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, place));
        let qualified = self.out.qualify(place, name);
        let id =
            self.out.function(name, qualified, Some(place.scope), place.class, ScopeKind::Function, line);
        let receiver = self.out.expr(ExprKind::Receiver, line);
        let field = self.field_name(self.around.len(), name);
        let value = self.out.expr(ExprKind::Attr(receiver, field), line);
        let body = self.out.stmt(StmtKind::Return(Some(value)), line);
        let body = self.out.block(vec![body]);
        let function = self.out.function_mut(id);
        (function.body, function.returns) = (body, ty);
        function.flags = Flags { method: true, ..Flags::default() };
        let target = self.declared_name(name, place.scope, line);
        let accessor = self.out.expr(ExprKind::Function(id), line);
        self.add(StmtKind::Assign { target, value: Some(accessor), op: None, ty: None }, line);
        let target = self.declared_name(field, place.scope, line);
        self.add(StmtKind::Assign { target, value: None, op: None, ty }, line);
    }

    /// A constant is an instance of its enum, or of a class within it that has a body of its own.
    fn constant(&mut self, at: At, class: Symbol, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let mut args = Vec::new();
        if let Some(list) = self.field(at, F::Arguments) {
            for child in self.children(list) {
                let value = self.expr(child, place);
                args.push(Arg { name: None, value, spread: Spread::No });
            }
        }
        let mut callee = self.out.name(class, place.scope, line);
        if let Some(body) = self.field(at, F::Body) {
            callee = self.class_of(at, name, vec![callee], Some(body), place, line);
        }
        let value = self.out.call(CallKind::New, callee, args, line);
        let target = self.declared_name(name, place.scope, line);
        self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
    }

    pub(super) fn add(&mut self, kind: StmtKind, line: u32) {
        let stmt = self.out.stmt(kind, line);
        self.list.push(stmt);
    }

    pub(super) fn param_of(&mut self, name: At, ty: Option<At>, kind: ParamKind, inside: Place) -> Param {
        let (symbol, line) = (self.symbol(name), self.line(name));
        let ty = ty.and_then(|ty| self.ty(ty, inside));
        let ty = match (ty, kind) {
            (Some(ty), ParamKind::Rest) => Some(self.out.container_of(Collection::List, Some(ty), line)),
            (ty, _) => ty,
        };
        let target = self.local(name, inside);
        Param { name: symbol, target, default: None, ty, kind }
    }
}
