//! Composite literals. In: `Type{…}` and the braces in it that leave their type out. Out: lists, maps and instances with
//! their fields.

use super::{F, K, Reader};
use crate::graph::ir::{Arg, CallKind, Collection, Entry, ExprId, ExprKind, MapKind, Spread};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn composite(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        match (self.field(at, F::Type), self.field(at, F::Body)) {
            (ty, Some(body)) => self.literal_of(ty, body, place),
            _ => self.out.unknown(Vec::new(), line),
        }
    }

    fn literal_of(&mut self, ty: Option<At>, body: At, place: Place) -> ExprId {
        let line = self.line(body);
        let ty = ty.map(|ty| if self.kind(ty) == K::PointerType { self.first(ty).unwrap_or(ty) } else { ty });
        match ty.map(|ty| self.kind(ty)) {
            Some(K::SliceType | K::ArrayType | K::ImplicitLengthArray) => {
                let element = ty.and_then(|ty| self.field(ty, F::Element));
                let mut parts = Vec::new();
                for child in self.children(body) {
                    let value = match self.kind(child) {
                        K::KeyedElement => self.field(child, F::Value),
                        _ => Some(child),
                    };
                    parts.extend(value.map(|value| self.element(value, element, place)));
                }
                let parts = self.out.exprs(parts);
                self.out.expr(ExprKind::Collection(Collection::List, parts), line)
            }
            Some(K::MapType) => {
                let inner = |field| ty.and_then(|ty| self.field(ty, field));
                let (key_ty, value_ty) = (inner(F::Key), inner(F::Value));
                let mut entries = Vec::new();
                for (key, value) in self.keyed(body) {
                    let key = Some(self.element(key, key_ty, place));
                    entries.push(Entry { key, value: self.element(value, value_ty, place) });
                }
                let entries = self.out.entries(entries);
                self.out.expr(ExprKind::Map(MapKind::Dict, entries), line)
            }
            _ => self.instance_of(ty, body, place),
        }
    }

    fn keyed(&self, body: At) -> Vec<(At, At)> {
        let pair = |one| Some((self.field(one, F::Key)?, self.field(one, F::Value)?));
        self.of_kind(body, K::KeyedElement).filter_map(pair).collect()
    }

    fn instance_of(&mut self, ty: Option<At>, body: At, place: Place) -> ExprId {
        let line = self.line(body);
        let callee = ty.and_then(|ty| self.ty(ty, place));
        let mut args = Vec::new();
        for child in self.children(body) {
            let (name, value) = match self.kind(child) {
                K::KeyedElement => (self.field(child, F::Key), self.field(child, F::Value)),
                _ => (None, Some(child)),
            };
            let Some(value) = value else { continue };
            // A field, or the constant that is an index or key of a named list or map.
            let name =
                name.and_then(|name| self.first(name)).filter(|name| self.kind(*name) == K::Identifier);
            let name = name.map(|name| self.symbol(name));
            let value = self.element_named(value, None, name, place);
            args.push(Arg { name, value, spread: Spread::No });
        }
        match callee {
            Some(callee) => self.out.call(CallKind::New, callee, args, line),
            None => {
                let parts = args.iter().map(|arg| arg.value).collect();
                self.out.unknown(parts, line)
            }
        }
    }

    /// An element, which may leave its type out.
    fn element(&mut self, at: At, ty: Option<At>, place: Place) -> ExprId {
        self.element_named(at, ty, None, place)
    }

    fn element_named(
        &mut self,
        at: At,
        ty: Option<At>,
        hint: Option<crate::graph::names::Symbol>,
        place: Place,
    ) -> ExprId {
        let inner = match self.kind(at) {
            K::LiteralElement => self.first(at).unwrap_or(at),
            _ => at,
        };
        match self.kind(inner) {
            K::LiteralValue => self.literal_of(ty, inner, place),
            _ => self.named(inner, hint, place),
        }
    }
}
