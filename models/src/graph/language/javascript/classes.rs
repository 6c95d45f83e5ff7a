//! Classes and what is like them. In: classes, interfaces, enums, namespaces. Out: classes whose members are names of
//! their scope, and objects. Fields are members as well; what they are set to is evaluated where the class is made.

use super::{F, K, Reader};
use crate::graph::ir::{CallKind, Entry, ExprId, ExprKind, Literal, MapKind, ScopeKind, StmtId, StmtKind};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn class_declaration(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let value = self.class(at, Some(name), place);
        let target = self.declared_name(name, place.scope, line);
        list.push(self.out.assign(target, value, line));
    }

    /// A class with its decorators.
    pub(super) fn class(&mut self, at: At, hint: Option<Symbol>, place: Place) -> ExprId {
        let line = self.line(at);
        let own = self.field(at, F::Name).map(|name| self.symbol(name));
        let name = match own.or(hint) {
            Some(name) => name,
            None => self.out.lambda_name(place),
        };
        let bases = self.bases(at, place);
        let (id, inside) = self.out.class(name, place, line);
        let mut list = Vec::new();
        let body = self.field(at, F::Body).map(|body| self.children(body));
        for member in body.into_iter().flatten() {
            self.class_member(member, inside, &mut list);
        }
        let (bases, body) = (self.out.exprs(bases), self.out.block(list));
        let last = self.syntax.last_line(at);
        let class = self.out.class_mut(id);
        (class.bases, class.body, class.lines) = (bases, body, (line, last));
        let mut value = self.out.expr(ExprKind::Class(id), line);
        for decorator in self.of_kind(at, K::Decorator).collect::<Vec<_>>().into_iter().rev() {
            let callee = self.inside(decorator, place);
            value = self.out.apply(CallKind::Decorator, callee, value, line);
        }
        value
    }

    /// `extends` first, then what it says it implements.
    fn bases(&mut self, at: At, place: Place) -> Vec<ExprId> {
        let mut bases = Vec::new();
        let heritage = self.of_kind(at, K::ClassHeritage).next().map(|heritage| self.children(heritage));
        for clause in heritage.into_iter().flatten() {
            match self.kind(clause) {
                K::ExtendsClause => {
                    for value in self.called(clause, F::Value) {
                        bases.push(self.expr(value, place));
                    }
                }
                K::ImplementsClause => {
                    for ty in self.children(clause) {
                        bases.extend(self.ty(ty, place));
                    }
                }
                _ => bases.push(self.expr(clause, place)),
            }
        }
        bases
    }

    fn class_member(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let line = self.line(at);
        match self.kind(at) {
            K::MethodDefinition => {
                let Some(name) = self.field(at, F::Name) else { return };
                let name = self.hint(name);
                let function = self.method(at, place);
                let value = self.out.expr(ExprKind::Function(function), line);
                for decorator in self.of_kind(at, K::Decorator) {
                    let called = self.inside(decorator, place);
                    list.push(self.out.stmt(StmtKind::Expr(called), line));
                }
                if let Some(name) = name {
                    let target = self.declared_name(name, place.scope, line);
                    list.push(self.out.assign(target, value, line));
                }
            }
            K::FieldDefinition | K::PublicFieldDefinition => {
                let name = self.field(at, F::Property).or(self.field(at, F::Name));
                let Some(name) = name.and_then(|name| self.hint(name)) else { return };
                // Other members are not seen by their bare names.
                let inner = self.inner(place);
                let value = self.field(at, F::Value).map(|value| self.named(value, Some(name), inner));
                let ty = self.field(at, F::Type).and_then(|ty| self.ty(ty, inner));
                let target = self.declared_name(name, place.scope, line);
                list.push(self.out.stmt(StmtKind::Assign { target, value, op: None, ty }, line));
            }
            K::ClassStaticBlock => {
                if let Some(body) = self.field(at, F::Body) {
                    let block = self.block(body, place);
                    list.push(self.out.stmt(StmtKind::Block(block), line));
                }
            }
            K::Decorator => {
                let called = self.inside(at, place);
                list.push(self.out.stmt(StmtKind::Expr(called), line));
            }
            _ => {}
        }
    }

    /// An interface is a class without members: calls on it reach those who implement it.
    pub(super) fn interface(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let mut bases = Vec::new();
        for clause in self.of_kind(at, K::ExtendsTypeClause) {
            for ty in self.children(clause) {
                bases.extend(self.ty(ty, place));
            }
        }
        let (id, _) = self.out.class(name, place, line);
        let (bases, last) = (self.out.exprs(bases), self.syntax.last_line(at));
        let class = self.out.class_mut(id);
        (class.bases, class.lines) = (bases, (line, last));
        let value = self.out.expr(ExprKind::Class(id), line);
        let target = self.declared_name(name, place.scope, line);
        list.push(self.out.assign(target, value, line));
    }

    pub(super) fn enumeration(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let mut entries = Vec::new();
        let members = self.field(at, F::Body).map(|body| self.of_kind(body, K::EnumAssignment));
        for member in members.into_iter().flatten() {
            if let (Some(key), Some(value)) = (self.field(member, F::Name), self.field(member, F::Value)) {
                let key = Some(self.key(key, place));
                entries.push(Entry { key, value: self.expr(value, place) });
            }
        }
        let entries = self.out.entries(entries);
        let value = self.out.expr(ExprKind::Map(MapKind::Object, entries), line);
        let target = self.declared_name(name, place.scope, line);
        list.push(self.out.assign(target, value, line));
    }

    /// A namespace is an object of what it exports.
    pub(super) fn namespace(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let (Some(name_at), Some(body)) = (self.field(at, F::Name), self.field(at, F::Body)) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let scope = self.out.scope(Some(place.scope), ScopeKind::Block, place.function);
        let qualified = self.out.qualify(place, name);
        let inside = Place { scope, qualified, ..place };
        let (mut statements, mut exported) = (Vec::new(), Vec::new());
        for child in self.children(body) {
            let declared = self.field(child, F::Declaration).filter(|_| self.kind(child) == K::Export);
            if let Some(declared) = declared {
                self.declared_names(declared, &mut exported);
            }
            self.statement(declared.unwrap_or(child), inside, &mut statements);
        }
        let block = self.out.block(statements);
        list.push(self.out.stmt(StmtKind::Block(block), line));
        let mut entries = Vec::new();
        for name in exported {
            let key = Some(self.out.expr(ExprKind::Literal(Literal::Text(name)), line));
            entries.push(Entry { key, value: self.out.name(name, scope, line) });
        }
        let entries = self.out.entries(entries);
        let value = self.out.expr(ExprKind::Map(MapKind::Object, entries), line);
        let target = self.declared_name(name, place.scope, line);
        list.push(self.out.assign(target, value, line));
    }

    pub(super) fn type_alias(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let value = self.field(at, F::Value).and_then(|ty| self.ty(ty, place));
        if let Some(value) = value {
            let target = self.declared_name(name, place.scope, line);
            list.push(self.out.assign(target, value, line));
        }
    }
}
