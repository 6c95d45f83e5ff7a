//! Items. In: functions, structs, enums, traits, impls, constants. Out: functions and classes, assigned to their names;
//! what stands in an `impl` is given to its type.

use super::{F, K, Reader};
use crate::graph::ir::{
    ClassId, ExprId, ExprKind, Flags, FunctionId, Member, Param, ParamKind, ScopeKind, StmtId, StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

/// What the functions that are read belong to.
#[derive(Clone, Copy, Debug)]
struct Owner {
    ty: Option<ExprId>,
    class: Option<ClassId>,
}

impl Reader<'_, '_> {
    pub(super) fn items(&mut self, at: At, place: Place) {
        for child in self.children(at) {
            if !self.item(child, place) {
                self.statement(child, place);
            }
        }
    }

    /// Reads an item; tells whether it is one.
    pub(super) fn item(&mut self, at: At, place: Place) -> bool {
        match self.kind(at) {
            K::Use => self.import(at, place),
            K::Mod => self.module(at, place),
            K::FunctionItem | K::FunctionSignature => {
                let Some(name) = self.field(at, F::Name) else { return true };
                let (name, line) = (self.symbol(name), self.line(at));
                let id = self.function(at, name, Owner { ty: None, class: None }, place);
                let value = self.out.expr(ExprKind::Function(id), line);
                self.declare_as(name, value, place, line);
            }
            K::Struct | K::Union | K::Enum => self.structure(at, place),
            K::Trait => self.contract(at, place),
            K::Impl => self.implementation(at, place),
            K::ConstItem | K::StaticItem => self.constant(at, place),
            K::TypeItem => {
                let (Some(name), Some(ty)) = (self.field(at, F::Name), self.field(at, F::Type)) else {
                    return true;
                };
                if let Some(value) = self.ty(ty, place) {
                    let (name, line) = (self.symbol(name), self.line(at));
                    self.declare_as(name, value, place, line);
                }
            }
            K::AttributeItem | K::InnerAttribute | K::MacroDefinition | K::Empty | K::Visibility => {}
            _ => return false,
        }
        true
    }

    pub(super) fn add(&mut self, kind: StmtKind, line: u32) {
        let stmt = self.out.stmt(kind, line);
        self.list.push(stmt);
    }

    pub(super) fn declare_as(&mut self, name: Symbol, value: ExprId, place: Place, line: u32) {
        let target = self.declared_name(name, place.scope, line);
        self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
    }

    fn constant(&mut self, at: At, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let value = self.field(at, F::Value).map(|value| self.expr(value, place));
        let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, place));
        let target = self.declared_name(name, place.scope, line);
        self.add(StmtKind::Assign { target, value, op: None, ty }, line);
    }

    /// Notes generic parameters, with what binds them, until they are forgotten again.
    fn bind_generics(&mut self, at: At) -> usize {
        let before = self.generics.len();
        let list = self.field(at, F::TypeParameters).map(|list| self.of_kind(list, K::TypeParameter));
        for parameter in list.into_iter().flatten() {
            if let Some(name) = self.field(parameter, F::Name) {
                let (name, bounds) = (self.symbol(name), self.field(parameter, F::Bounds));
                self.generics.push((name, bounds));
            }
        }
        let clauses = self.of_kind(at, K::WhereClause).next();
        for predicate in clauses.map(|clause| self.of_kind(clause, K::WherePredicate)).into_iter().flatten() {
            if let (Some(left), Some(bounds)) =
                (self.field(predicate, F::Left), self.field(predicate, F::Bounds))
            {
                let name = self.symbol(left);
                self.generics.push((name, Some(bounds)));
            }
        }
        before
    }

    /// A function with its name, what it belongs to and where it stands.
    fn function(&mut self, at: At, name: Symbol, owner: Owner, place: Place) -> FunctionId {
        let line = self.line(at);
        let qualified = self.out.qualify(place, name);
        let id =
            self.out.function(name, qualified, Some(place.scope), owner.class, ScopeKind::Function, line);
        let inside = self.out.inside(id);
        let outer = std::mem::take(&mut self.list);
        let bound = self.bind_generics(at);
        let mut receiver = false;
        let mut params = Vec::new();
        let list = self.field(at, F::Parameters).map(|list| self.children(list));
        for one in list.into_iter().flatten() {
            match self.kind(one) {
                K::SelfParameter => {
                    receiver = true;
                    let name = self.out.names.intern("self");
                    let target = self.declared_name(name, inside.scope, line);
                    params.push(Param { name, target, default: None, ty: owner.ty, kind: ParamKind::One });
                }
                K::Parameter => params.push(self.param(one, params.len(), inside)),
                _ => {}
            }
        }
        let params = self.out.params(params);
        let returns = self.field(at, F::ReturnType).and_then(|ty| self.ty(ty, inside));
        let body_at = self.field(at, F::Body);
        if let Some(body) = body_at {
            let value = self.block_value(body, inside);
            if let Some(value) = value {
                self.add(StmtKind::Return(Some(value)), line);
            }
        }
        self.generics.truncate(bound);
        let list = std::mem::replace(&mut self.list, outer);
        let (body, last) = (self.out.block(list), self.syntax.last_line(at));
        let modifiers = self.of_kind(at, K::FunctionModifiers).next();
        let asynchronous = modifiers.is_some_and(|modifiers| self.has(modifiers, K::AsyncToken));
        let function = self.out.function_mut(id);
        function.flags = Flags {
            method: owner.ty.is_some(),
            fixed: !receiver,
            asynchronous,
            declared_only: owner.class.is_some() && body_at.is_none(),
            ..Flags::default()
        };
        (function.params, function.body, function.returns, function.lines) =
            (params, body, returns, (line, last));
        id
    }

    /// A parameter; a pattern is taken apart before the body.
    pub(super) fn param(&mut self, at: At, number: usize, inside: Place) -> Param {
        let (pattern, line) = (self.field(at, F::Pattern).unwrap_or(at), self.line(at));
        let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, inside));
        if let K::Identifier | K::SelfToken = self.kind(pattern) {
            let name = self.symbol(pattern);
            let target = self.declared_name(name, inside.scope, line);
            return Param { name, target, default: None, ty, kind: ParamKind::One };
        }
        // A name that no program can write.
        let name = self.out.names.intern(&format!("<{number}>"));
        let target = self.declared_name(name, inside.scope, line);
        self.bind(pattern, target, inside);
        Param { name, target, default: None, ty, kind: ParamKind::One }
    }

    /// Structs and enums: fields are members, those of a variant are called by both names.
    fn structure(&mut self, at: At, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let (id, inside) = self.out.class(name, place, line);
        let outer = std::mem::take(&mut self.list);
        let bound = self.bind_generics(at);
        if let Some(body) = self.field(at, F::Body) {
            self.fields(body, "", inside);
            for variant in self.of_kind(body, K::EnumVariant) {
                let Some(variant_at) = self.field(variant, F::Name) else { continue };
                let (symbol, line) = (self.symbol(variant_at), self.line(variant));
                let ty = self.out.name(name, place.scope, line);
                let value = self.out.expr(ExprKind::InstanceOf(ty), line);
                self.declare_as(symbol, value, inside, line);
                if let Some(body) = self.field(variant, F::Body) {
                    let prefix = format!("{}.", self.text(variant_at));
                    self.fields(body, &prefix, inside);
                }
            }
        }
        self.generics.truncate(bound);
        let body = std::mem::replace(&mut self.list, outer);
        self.finish_class(at, id, name, (Vec::new(), body), place);
    }

    fn finish_class(
        &mut self,
        at: At,
        id: ClassId,
        name: Symbol,
        (bases, body): (Vec<ExprId>, Vec<StmtId>),
        place: Place,
    ) {
        let (bases, body) = (self.out.exprs(bases), self.out.block(body));
        let (line, last) = (self.line(at), self.syntax.last_line(at));
        let class = self.out.class_mut(id);
        (class.bases, class.body, class.lines) = (bases, body, (line, last));
        let value = self.out.expr(ExprKind::Class(id), line);
        self.declare_as(name, value, place, line);
    }

    fn fields(&mut self, at: At, prefix: &str, place: Place) {
        let named = self.of_kind(at, K::FieldDeclaration);
        let named = named.map(|field| (self.field(field, F::Name), self.field(field, F::Type)));
        let mut fields: Vec<(String, At)> = Vec::new();
        for (name, ty) in named.collect::<Vec<_>>() {
            if let (Some(name), Some(ty)) = (name, ty) {
                fields.push((format!("{prefix}{}", self.text(name)), ty));
            }
        }
        if self.kind(at) == K::OrderedFields {
            let types = self.called(at, F::Type).enumerate();
            fields.extend(types.map(|(number, ty)| (format!("{prefix}{number}"), ty)));
        }
        for (name, ty) in fields {
            let (name, line) = (self.out.names.intern(&name), self.line(ty));
            let ty = self.ty(ty, place);
            let target = self.declared_name(name, place.scope, line);
            self.add(StmtKind::Assign { target, value: None, op: None, ty }, line);
        }
    }

    /// A trait is a class; its methods without a body are those of who implements it.
    fn contract(&mut self, at: At, place: Place) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let (id, inside) = self.out.class(name, place, line);
        let outer = std::mem::take(&mut self.list);
        let bound = self.bind_generics(at);
        let mut bases = Vec::new();
        for base in self.field(at, F::Bounds).map(|bounds| self.children(bounds)).into_iter().flatten() {
            bases.extend(self.ty(base, place));
        }
        let own = self.out.name(name, place.scope, line);
        let before = self.own_type.replace(own);
        for member in self.field(at, F::Body).map(|body| self.children(body)).into_iter().flatten() {
            if let (K::FunctionItem | K::FunctionSignature, Some(name)) =
                (self.kind(member), self.field(member, F::Name))
            {
                let (name, line) = (self.symbol(name), self.line(member));
                let function = self.function(member, name, Owner { ty: Some(own), class: Some(id) }, inside);
                let value = self.out.expr(ExprKind::Function(function), line);
                self.declare_as(name, value, inside, line);
            }
        }
        self.own_type = before;
        self.generics.truncate(bound);
        let body = std::mem::replace(&mut self.list, outer);
        self.finish_class(at, id, name, (bases, body), place);
    }

    fn implementation(&mut self, at: At, place: Place) {
        let (Some(ty_at), line) = (self.field(at, F::Type), self.line(at)) else { return };
        let bound = self.bind_generics(at);
        let mut parts = Vec::new();
        self.segments(ty_at, &mut parts);
        let name = parts.last().copied().unwrap_or_default();
        let name = self.out.names.intern(name);
        let qualified = self.out.qualify(place, name);
        let inside = Place { qualified, ..place };
        let ty = match self.ty(ty_at, place) {
            Some(ty) => ty,
            None => self.out.unknown(Vec::new(), line),
        };
        let contract = self.field(at, F::Trait).and_then(|contract| self.ty(contract, place));
        if let Some(contract) = contract {
            self.out.unit.implements.push((ty, contract));
        }
        let before = self.own_type.replace(ty);
        for member in self.field(at, F::Body).map(|body| self.children(body)).into_iter().flatten() {
            let Some(name_at) = self.field(member, F::Name) else { continue };
            match self.kind(member) {
                K::FunctionItem => {
                    let (name, line) = (self.symbol(name_at), self.line(member));
                    let owner = Owner { ty: Some(ty), class: None };
                    let function = self.function(member, name, owner, inside);
                    let value = self.out.expr(ExprKind::Function(function), line);
                    self.out.unit.members.push(Member { ty, name, value });
                }
                K::ConstItem => {
                    if let Some(value) = self.field(member, F::Value) {
                        let (value, line) = (self.expr(value, place), self.line(member));
                        self.add(StmtKind::Expr(value), line);
                    }
                }
                _ => {}
            }
        }
        self.own_type = before;
        self.generics.truncate(bound);
    }
}
