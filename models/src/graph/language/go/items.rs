//! What a file declares: functions, methods, types, variables. In: declarations. Out: functions and classes, and
//! assignments of them to the names of the package or of the block they stand in.

use super::{F, K, Reader};
use crate::graph::ir::{
    Class, Collection, ExprId, ExprKind, Flags, FunctionId, Member, Param, ParamKind, ScopeId, ScopeKind,
    StmtId, StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    /// A declaration at the top of a file.
    pub(super) fn item(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        match self.kind(at) {
            K::ImportDeclaration => self.imports(at, place, list),
            K::FunctionDeclaration => self.function_declaration(at, place, list),
            K::MethodDeclaration => self.method_declaration(at, place),
            K::TypeDeclaration | K::VarDeclaration | K::ConstDeclaration => {
                self.declaration(at, ScopeId(0), place, list);
            }
            K::PackageClause => {}
            _ => self.statement(at, place, list),
        }
    }

    pub(super) fn declaration(&mut self, at: At, scope: ScopeId, place: Place, list: &mut Vec<StmtId>) {
        for child in self.children(at) {
            match self.kind(child) {
                K::TypeSpec => self.type_spec(child, scope, place, list),
                K::TypeAlias => {
                    let (Some(name), Some(ty)) = (self.field(child, F::Name), self.field(child, F::Type))
                    else {
                        continue;
                    };
                    if let Some(value) = self.ty(ty, place) {
                        let (name, line) = (self.symbol(name), self.line(child));
                        let target = self.declared_name(name, scope, line);
                        list.push(self.out.assign(target, value, line));
                    }
                }
                K::VarSpec | K::ConstSpec => self.var_spec(child, scope, place, list),
                K::VarSpecList => self.declaration(child, scope, place, list),
                _ => {}
            }
        }
    }

    /// `var a, b Type = value, value`.
    fn var_spec(&mut self, at: At, scope: ScopeId, place: Place, list: &mut Vec<StmtId>) {
        let ty = self.field(at, F::Type);
        let names: Vec<At> = self.called(at, F::Name).collect();
        let values: Vec<At> = self.field(at, F::Value).map(|values| self.items(values)).unwrap_or_default();
        if names.len() > 1 && values.len() == 1 {
            let value = self.expr(values[0], place);
            let targets = names.iter().map(|name| self.declared(*name, scope)).collect();
            return self.spread_over(targets, value, values[0], at, list);
        }
        for (number, name) in names.into_iter().enumerate() {
            let hint = Some(self.symbol(name));
            let value = values.get(number).map(|value| self.named(*value, hint, place));
            let ty = ty.and_then(|ty| self.ty(ty, place));
            let target = self.declared(name, scope);
            self.push(StmtKind::Assign { target, value, op: None, ty }, name, list);
        }
    }

    /// A name that is declared; `_` takes what nobody wants.
    pub(super) fn declared(&mut self, at: At, scope: ScopeId) -> ExprId {
        let line = self.line(at);
        if self.text(at) == "_" {
            return self.out.unknown(Vec::new(), line);
        }
        let name = self.symbol(at);
        self.declared_name(name, scope, line)
    }

    fn function_declaration(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let function = self.function(at, name, place, Vec::new());
        let value = self.out.expr(ExprKind::Function(function), line);
        // Nobody can call `init` or `_`.
        let target = match self.text(name_at) {
            "init" | "_" => self.out.unknown(Vec::new(), line),
            _ => self.declared_name(name, ScopeId(0), line),
        };
        list.push(self.out.assign(target, value, line));
    }

    /// A method is given to its type, which may stand in another file.
    fn method_declaration(&mut self, at: At, place: Place) {
        let (Some(name), Some(receiver)) = (self.field(at, F::Name), self.field(at, F::Receiver)) else {
            return;
        };
        let (name, line) = (self.symbol(name), self.line(at));
        let declaration = self.of_kind(receiver, K::ParameterDeclaration).next();
        let ty_at = declaration.and_then(|one| self.field(one, F::Type)).and_then(|ty| self.base_name(ty));
        let Some(ty_at) = ty_at else { return };
        let ty_name = self.symbol(ty_at);
        let inside = Place { qualified: self.out.qualify(place, ty_name), ..place };
        let receiver_name = declaration.and_then(|one| self.field(one, F::Name));
        let ty = self.out.name(ty_name, place.scope, line);
        let function = self.function(at, name, inside, vec![(receiver_name, ty)]);
        self.out.function_mut(function).flags = Flags { method: true, ..Flags::default() };
        let value = self.out.expr(ExprKind::Function(function), line);
        self.out.unit.members.push(Member { ty, name, value });
    }

    /// The type's own name, without stars and arguments.
    fn base_name(&self, at: At) -> Option<At> {
        match self.kind(at) {
            K::TypeIdentifier => Some(at),
            K::PointerType | K::ParenthesizedType => self.base_name(self.first(at)?),
            K::GenericType => self.base_name(self.field(at, F::Type)?),
            _ => None,
        }
    }

    pub(super) fn function(
        &mut self,
        at: At,
        name: Symbol,
        place: Place,
        receiver: Vec<(Option<At>, ExprId)>,
    ) -> FunctionId {
        let line = self.line(at);
        let qualified = self.out.qualify(place, name);
        let id = self.out.function(name, qualified, Some(place.scope), None, ScopeKind::Function, line);
        let inside = Place { class: None, ..self.out.inside(id) };
        let mut params = Vec::new();
        for (name, ty) in receiver {
            params.push(self.receiver(name, ty, inside, line));
        }
        self.params(at, inside, &mut params);
        let params = self.out.params(params);
        let results = self.field(at, F::Result);
        let returns = results.and_then(|result| self.result(result, inside));
        let named = results.map(|result| self.named_results(result, inside)).unwrap_or_default();
        self.results.push(named);
        let mut list = Vec::new();
        if let Some(body) = self.field(at, F::Body) {
            self.statements(body, inside, &mut list);
        }
        self.results.pop();
        let (body, last) = (self.out.block(list), self.syntax.last_line(at));
        let function = self.out.function_mut(id);
        (function.params, function.body, function.returns, function.lines) =
            (params, body, returns, (line, last));
        id
    }

    fn receiver(&mut self, name: Option<At>, ty: ExprId, inside: Place, line: u32) -> Param {
        let symbol = match name {
            Some(name) => self.symbol(name),
            None => self.out.names.intern("<receiver>"),
        };
        let target = self.declared_name(symbol, inside.scope, line);
        Param { name: symbol, target, default: None, ty: Some(ty), kind: ParamKind::One }
    }

    fn params(&mut self, at: At, inside: Place, params: &mut Vec<Param>) {
        let list = self.field(at, F::Parameters).map(|list| self.children(list));
        for one in list.into_iter().flatten() {
            let kind = match self.kind(one) {
                K::VariadicParameter => ParamKind::Rest,
                K::ParameterDeclaration => ParamKind::One,
                _ => continue,
            };
            let names: Vec<At> = self.called(one, F::Name).collect();
            let (ty, line) = (self.field(one, F::Type), self.line(one));
            for number in 0..names.len().max(1) {
                let ty = ty.and_then(|ty| self.ty(ty, inside));
                let ty = match (ty, kind) {
                    (Some(ty), ParamKind::Rest) => {
                        Some(self.out.container_of(Collection::List, Some(ty), line))
                    }
                    (ty, _) => ty,
                };
                let name = match names.get(number) {
                    Some(name) => self.symbol(*name),
                    // A name that no program can write.
                    None => self.out.names.intern(&format!("<{}>", params.len())),
                };
                let target = self.declared_name(name, inside.scope, line);
                params.push(Param { name, target, default: None, ty, kind });
            }
        }
    }

    /// What a function says it returns: a type, or a tuple of what several give.
    fn result(&mut self, at: At, place: Place) -> Option<ExprId> {
        if self.kind(at) != K::ParameterList {
            return self.ty(at, place);
        }
        let (mut parts, mut known, line) = (Vec::new(), false, self.line(at));
        for one in self.of_kind(at, K::ParameterDeclaration) {
            let count = self.called(one, F::Name).count().max(1);
            for _ in 0..count {
                let ty = self.field(one, F::Type).and_then(|ty| self.ty(ty, place));
                known |= ty.is_some();
                parts.push(match ty {
                    Some(ty) => self.out.expr(ExprKind::InstanceOf(ty), line),
                    None => self.out.unknown(Vec::new(), line),
                });
            }
        }
        let single = parts.len() == 1;
        if let (true, ExprKind::InstanceOf(ty)) =
            (single, parts.first().map(|part| self.out.unit.expr(*part).kind)?)
        {
            return Some(ty);
        }
        let parts = self.out.exprs(parts);
        known.then(|| self.out.expr(ExprKind::Collection(Collection::Tuple, parts), line))
    }

    /// Results with names are variables, which a bare `return` gives back.
    fn named_results(&mut self, at: At, inside: Place) -> Vec<ExprId> {
        let mut names = Vec::new();
        if self.kind(at) == K::ParameterList {
            for one in self.of_kind(at, K::ParameterDeclaration) {
                for name in self.called(one, F::Name) {
                    names.push(self.declared(name, inside.scope));
                }
            }
        }
        names
    }

    fn type_spec(&mut self, at: At, scope: ScopeId, place: Place, list: &mut Vec<StmtId>) {
        let (Some(name_at), Some(ty)) = (self.field(at, F::Name), self.field(at, F::Type)) else { return };
        let (name, line) = (self.symbol(name_at), self.line(at));
        let (id, inside) = self.out.class(name, place, line);
        let (mut bases, mut body) = (Vec::new(), Vec::new());
        match self.kind(ty) {
            K::StructType => self.fields(ty, place, inside, &mut bases, &mut body),
            K::InterfaceType => self.methods(ty, place, inside, &mut bases, &mut body),
            // What the other type has but its methods.
            K::TypeIdentifier | K::QualifiedType => {}
            _ => {}
        }
        let (bases, body) = (self.out.exprs(bases), self.out.block(body));
        let lines = (line, self.syntax.last_line(at));
        let class: &mut Class = self.out.class_mut(id);
        (class.bases, class.body, class.lines) = (bases, body, lines);
        let value = self.out.expr(ExprKind::Class(id), line);
        let target = self.declared_name(name, scope, line);
        list.push(self.out.assign(target, value, line));
    }

    /// Fields are members of their types; an embedded one is what the class inherits from, too.
    fn fields(
        &mut self,
        at: At,
        place: Place,
        inside: Place,
        bases: &mut Vec<ExprId>,
        body: &mut Vec<StmtId>,
    ) {
        let list = self.of_kind(at, K::FieldDeclarationList).next();
        for field in list.map(|list| self.of_kind(list, K::FieldDeclaration)).into_iter().flatten() {
            let Some(ty_at) = self.field(field, F::Type) else { continue };
            let mut names: Vec<At> = self.called(field, F::Name).collect();
            if names.is_empty() {
                bases.extend(self.ty(ty_at, place));
                names.extend(self.last_name(ty_at));
            }
            for name in names {
                let (symbol, line) = (self.symbol(name), self.line(name));
                let ty = self.ty(ty_at, place);
                let target = self.declared_name(symbol, inside.scope, line);
                body.push(self.out.stmt(StmtKind::Assign { target, value: None, op: None, ty }, line));
            }
        }
    }

    /// The name by which an embedded field goes.
    fn last_name(&self, at: At) -> Option<At> {
        match self.kind(at) {
            K::QualifiedType => self.field(at, F::Name),
            _ => self.base_name(at),
        }
    }

    /// An interface's methods have no body.
    fn methods(
        &mut self,
        at: At,
        place: Place,
        inside: Place,
        bases: &mut Vec<ExprId>,
        body: &mut Vec<StmtId>,
    ) {
        for child in self.children(at) {
            match self.kind(child) {
                K::MethodElem => {
                    let Some(name) = self.field(child, F::Name) else { continue };
                    let (name, line) = (self.symbol(name), self.line(child));
                    let ty = self.out.unknown(Vec::new(), line);
                    let function = self.function(child, name, inside, vec![(None, ty)]);
                    let one = self.out.function_mut(function);
                    one.class = inside.class;
                    one.flags = Flags { method: true, declared_only: true, ..Flags::default() };
                    let value = self.out.expr(ExprKind::Function(function), line);
                    let target = self.declared_name(name, inside.scope, line);
                    body.push(self.out.assign(target, value, line));
                }
                // A union of types asks for no methods.
                K::TypeElem if self.children(child).count() == 1 => {
                    let ty = self.first(child);
                    bases.extend(ty.and_then(|ty| self.ty(ty, place)));
                }
                _ => {}
            }
        }
    }
}
