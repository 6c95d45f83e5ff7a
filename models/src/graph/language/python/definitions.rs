//! Functions and classes. In: definitions with their decorators. Out: functions and classes, and the assignments that
//! give them their names. Decorators that only say what a method is are read as that and not as calls.

use super::{F, K, Reader};
use crate::graph::ir::{
    CallKind, ExprId, ExprKind, Flags, FunctionId, Param, ParamKind, Run, ScopeKind, StmtId, StmtKind,
};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn decorated(&mut self, at: At, place: Place, list: &mut Vec<StmtId>) {
        let decorators: Vec<At> = self.of_kind(at, K::Decorator).collect();
        let Some(definition) = self.field(at, F::Definition) else { return };
        match self.kind(definition) {
            K::ClassDefinition => self.class_definition(definition, &decorators, place, list),
            _ => self.function_definition(definition, &decorators, place, list),
        }
    }

    pub(super) fn function_definition(
        &mut self,
        at: At,
        decorators: &[At],
        place: Place,
        list: &mut Vec<StmtId>,
    ) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(name_at));
        let qualified = self.out.qualify(place, name);
        let mut flags = self.flags(name, decorators, place);
        flags.asynchronous = self.has(at, K::Async);
        let id =
            self.out.function(name, qualified, Some(place.scope), place.class, ScopeKind::Function, line);
        self.out.function_mut(id).flags = flags;
        let inside = self.out.inside(id);
        let params =
            self.field(at, F::Parameters).map_or(Run::EMPTY, |params| self.params(params, place, inside));
        let returns = self.field(at, F::ReturnType).map(|ty| self.expr(ty, place));
        let body = self.field(at, F::Body).map_or(Run::EMPTY, |body| self.block(body, inside));
        let last = self.syntax.last_line(at);
        let function = self.out.function_mut(id);
        (function.params, function.returns, function.body) = (params, returns, body);
        function.lines = (line, last);
        let made = self.out.expr(ExprKind::Function(id), line);
        self.bind(made, name, decorators, place, line, list);
    }

    /// What a method is, by its name and its decorators.
    fn flags(&mut self, name: Symbol, decorators: &[At], place: Place) -> Flags {
        let mut flags = Flags { method: place.class.is_some(), ..Flags::default() };
        // These are class methods without saying so.
        let name = self.out.names.text(name);
        flags.of_class = flags.method && matches!(name, "__init_subclass__" | "__class_getitem__");
        flags.fixed = flags.method && name == "__new__";
        for decorator in decorators {
            match self.says(*decorator) {
                Says::Static => flags.fixed = true,
                Says::OfClass => flags.of_class = true,
                Says::Getter => flags.getter = true,
                Says::Setter => flags.setter = true,
                Says::Nothing => {}
            }
        }
        flags
    }

    fn says(&self, decorator: At) -> Says {
        let text = self.first(decorator).map_or("", |inner| self.syntax.text(inner));
        match text.rsplit('.').next().unwrap_or_default() {
            "staticmethod" => Says::Static,
            "classmethod" => Says::OfClass,
            "property" | "cached_property" | "abstractproperty" | "getter" => Says::Getter,
            "setter" if text.contains('.') => Says::Setter,
            _ => Says::Nothing,
        }
    }

    /// Gives what was made its name, through its decorators.
    fn bind(
        &mut self,
        made: ExprId,
        name: Symbol,
        decorators: &[At],
        place: Place,
        line: u32,
        list: &mut Vec<StmtId>,
    ) {
        let mut value = made;
        for decorator in decorators.iter().rev() {
            if self.says(*decorator) != Says::Nothing {
                continue;
            }
            let Some(inner) = self.first(*decorator) else { continue };
            let callee = self.expr(inner, place);
            let decorator_line = self.line(*decorator);
            value = self.out.apply(CallKind::Decorator, callee, value, decorator_line);
        }
        let target = self.declared_name(name, place.scope, line);
        list.push(self.out.assign(target, value, line));
    }

    /// Defaults and types are seen from around the function.
    fn params(&mut self, list: At, outer: Place, inside: Place) -> Run<Param> {
        let mut params = Vec::new();
        let mut plain = ParamKind::One;
        for child in self.children(list) {
            match self.kind(child) {
                K::KeywordSeparator => plain = ParamKind::Named,
                K::Identifier => params.push(self.param(child, plain, None, None, outer, inside)),
                K::DefaultParameter | K::TypedDefaultParameter => {
                    let (value, ty) = (self.field(child, F::Value), self.field(child, F::Type));
                    if let Some(name) = self.field(child, F::Name) {
                        params.push(self.param(name, plain, value, ty, outer, inside));
                    }
                }
                K::TypedParameter => {
                    let ty = self.field(child, F::Type);
                    if let Some(inner) = self.first(child) {
                        self.any_param(inner, &mut plain, ty, (outer, inside), &mut params);
                    }
                }
                K::ListSplatPattern | K::DictionarySplatPattern => {
                    self.any_param(child, &mut plain, None, (outer, inside), &mut params);
                }
                _ => {}
            }
        }
        self.out.params(params)
    }

    fn any_param(
        &mut self,
        at: At,
        plain: &mut ParamKind,
        ty: Option<At>,
        (outer, inside): (Place, Place),
        params: &mut Vec<Param>,
    ) {
        let kind = match self.kind(at) {
            K::ListSplatPattern => ParamKind::Rest,
            K::DictionarySplatPattern => ParamKind::NamedRest,
            _ => *plain,
        };
        // The type of a parameter that takes the rest is that of its elements.
        let ty = ty.filter(|_| kind == *plain);
        let name = if kind == *plain { Some(at) } else { self.first(at) };
        if kind == ParamKind::Rest {
            *plain = ParamKind::Named;
        }
        if let Some(name) = name {
            params.push(self.param(name, kind, None, ty, outer, inside));
        }
    }

    fn param(
        &mut self,
        name: At,
        kind: ParamKind,
        default: Option<At>,
        ty: Option<At>,
        outer: Place,
        inside: Place,
    ) -> Param {
        let target = self.target_name(name, inside);
        let default = default.map(|default| self.expr(default, outer));
        let ty = ty.map(|ty| self.expr(ty, outer));
        Param { name: self.symbol(name), target, default, ty, kind }
    }

    pub(super) fn lambda(&mut self, at: At, place: Place) -> FunctionId {
        let (name, line) = (self.out.lambda_name(place), self.line(at));
        let qualified = self.out.qualify(place, name);
        let id = self.out.function(name, qualified, Some(place.scope), None, ScopeKind::Function, line);
        let inside = self.out.inside(id);
        let params =
            self.field(at, F::Parameters).map_or(Run::EMPTY, |params| self.params(params, place, inside));
        let value = self.field(at, F::Body).map(|body| self.expr(body, inside));
        let returned = self.out.stmt(StmtKind::Return(value), line);
        let body = self.out.block(vec![returned]);
        let last = self.syntax.last_line(at);
        let function = self.out.function_mut(id);
        (function.params, function.body, function.lines) = (params, body, (line, last));
        id
    }

    pub(super) fn class_definition(
        &mut self,
        at: At,
        decorators: &[At],
        place: Place,
        list: &mut Vec<StmtId>,
    ) {
        let Some(name_at) = self.field(at, F::Name) else { return };
        let (name, line) = (self.symbol(name_at), self.line(name_at));
        let mut bases = Vec::new();
        let superclasses = self.field(at, F::Superclasses).map(|list| self.children(list));
        for base in superclasses.into_iter().flatten() {
            if !matches!(self.kind(base), K::KeywordArgument | K::DictionarySplat | K::ListSplat) {
                bases.push(self.base(base, place));
            }
        }
        let (id, inside) = self.out.class(name, place, line);
        let body = self.field(at, F::Body).map_or(Run::EMPTY, |body| self.block(body, inside));
        let (bases, last) = (self.out.exprs(bases), self.syntax.last_line(at));
        let class = self.out.class_mut(id);
        (class.bases, class.body, class.lines) = (bases, body, (line, last));
        let made = self.out.expr(ExprKind::Class(id), line);
        self.bind(made, name, decorators, place, line, list);
    }

    /// `Generic[T]`, `Base[int]`: the class stands before the brackets.
    fn base(&mut self, at: At, place: Place) -> ExprId {
        match self.field(at, F::Value) {
            Some(inner) if self.kind(at) == K::Subscript => self.expr(inner, place),
            _ => self.expr(at, place),
        }
    }
}

/// What a decorator says of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Static,
    OfClass,
    Getter,
    Setter,
    Nothing,
}
