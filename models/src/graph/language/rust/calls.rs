//! Calls and literals of structs. In: calls by paths and of methods. Out: calls, and instances with their fields. Wrapping
//! something gives what is wrapped.

use super::types::{Shape, shape};
use super::{F, K, Reader};
use crate::graph::ir::{Arg, CallKind, Collection, ExprId, ExprKind, Op, Run, Spread};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

fn is_large(text: &str) -> bool {
    text.starts_with(|c: char| c.is_uppercase())
}

impl Reader<'_, '_> {
    pub(super) fn call(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let list: Vec<At> = match self.field(at, F::Arguments) {
            Some(list) => self.children(list).filter(|child| self.kind(*child) != K::AttributeItem).collect(),
            None => Vec::new(),
        };
        let Some(mut function) = self.field(at, F::Function) else {
            return self.out.unknown(Vec::new(), line);
        };
        if self.kind(function) == K::GenericFunction {
            function = self.field(function, F::Function).unwrap_or(function);
        }
        if matches!(self.kind(function), K::Identifier | K::ScopedIdentifier) {
            let mut parts = Vec::new();
            self.segments(function, &mut parts);
            let args = list.iter().map(|arg| self.expr(*arg, place)).collect();
            return self.call_path(&parts, args, place, line);
        }
        let callee =
            match self.field(function, F::Field).filter(|_| self.kind(function) == K::FieldExpression) {
                Some(name) => {
                    let object = self.part(function, F::Value, place);
                    let name = self.symbol(name);
                    self.out.expr(ExprKind::Attr(object, name), line)
                }
                None => self.expr(function, place),
            };
        let args = list.iter().map(|arg| self.expr(*arg, place)).map(plain).collect::<Vec<_>>();
        self.out.call(CallKind::Plain, callee, args, line)
    }

    /// A call by a path, whose last parts tell what it is.
    pub(super) fn call_path(&mut self, parts: &[&str], args: Vec<ExprId>, place: Place, line: u32) -> ExprId {
        match (parts, &args[..]) {
            (["Some" | "Ok"] | ["Option", "Some"] | ["Result", "Ok"], [value]) => return *value,
            (["Err"] | ["Result", "Err"], _) => return self.out.unknown(args, line),
            ([.., ty, "new" | "pin" | "from"], [value]) if shape(ty) == Some(Shape::Wrapper) => {
                return *value;
            }
            ([.., ty, "clone"], [value]) if shape(ty) == Some(Shape::Wrapper) => return *value,
            ([.., ty, variant], _) if is_large(variant) && is_large(ty) => {
                let named = self.by_place(&format!("{variant}."), &args);
                let callee = self.path_of(&parts[..parts.len() - 1], place, line);
                return self.out.call(CallKind::New, callee, named, line);
            }
            ([.., name], _) if is_large(name) => {
                let named = self.by_place("", &args);
                let callee = self.path_of(parts, place, line);
                return self.out.call(CallKind::New, callee, named, line);
            }
            _ => {}
        }
        let callee = self.path_of(parts, place, line);
        let call = self.out.call(CallKind::Plain, callee, args.into_iter().map(plain).collect(), line);
        let [.., ty, "new" | "with_capacity" | "from" | "default"] = parts else { return call };
        // A container that is made is one whose elements are followed.
        let made = match shape(ty) {
            Some(Shape::List) => self.out.container_of(Collection::List, None, line),
            Some(Shape::Set) => self.out.container_of(Collection::Set, None, line),
            Some(Shape::Map) => self.map_of(Vec::new(), line),
            _ if *ty == "String" => self.some_text(line),
            _ => return call,
        };
        let call = self.out.unknown(vec![call], line);
        self.out.expr(ExprKind::Binary(Op::Or, call, made), line)
    }

    /// Arguments as fields that are called by their places.
    fn by_place(&mut self, prefix: &str, args: &[ExprId]) -> Vec<Arg> {
        let mut named = Vec::with_capacity(args.len());
        for (number, value) in args.iter().enumerate() {
            let name = Some(self.out.names.intern(&format!("{prefix}{number}")));
            named.push(Arg { name, value: *value, spread: Spread::No });
        }
        named
    }

    /// `Struct { field: value }` and `Enum::Variant { field: value }`.
    pub(super) fn literal(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let mut parts = Vec::new();
        self.field(at, F::Name).into_iter().for_each(|name| self.segments(name, &mut parts));
        let mut prefix = String::new();
        if let [.., ty, variant] = parts[..]
            && is_large(ty)
            && is_large(variant)
        {
            prefix = format!("{variant}.");
            parts.pop();
        }
        let callee = self.path_of(&parts, place, line);
        let (mut args, mut bases) = (Vec::new(), Vec::new());
        for field in self.field(at, F::Body).map(|body| self.children(body)).into_iter().flatten() {
            let (name, value) = match self.kind(field) {
                K::FieldInitializer => (self.field(field, F::Field), self.field(field, F::Value)),
                K::ShorthandInitializer => {
                    let name = self.of_kind(field, K::Identifier).next();
                    (name, name)
                }
                K::BaseField => {
                    bases.push(self.inside(field, place));
                    continue;
                }
                _ => continue,
            };
            let (Some(name), Some(value)) = (name, value) else { continue };
            let name = Some(self.out.names.intern(&format!("{prefix}{}", self.text(name))));
            args.push(Arg { name, value: self.expr(value, place), spread: Spread::No });
        }
        let made = self.out.call(CallKind::New, callee, args, line);
        if bases.is_empty() {
            return made;
        }
        let bases = self.out.unknown(bases, line);
        self.out.expr(ExprKind::Binary(Op::Or, bases, made), line)
    }

    pub(super) fn list_literal(&mut self, items: Vec<ExprId>, line: u32) -> ExprId {
        let items: Run<ExprId> = self.out.exprs(items);
        self.out.expr(ExprKind::Collection(Collection::List, items), line)
    }
}

/// An argument by its place.
pub(super) fn plain(value: ExprId) -> Arg {
    Arg { name: None, value, spread: Spread::No }
}
