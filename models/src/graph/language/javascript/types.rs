//! Types. In: annotations and casts of TypeScript. Out: expressions whose values are the classes and interfaces that are
//! named. What names none, as most types do, gives nothing.

use super::{F, K, Reader};
use crate::graph::ir::{ExprId, ExprKind, Op};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn ty(&mut self, at: At, place: Place) -> Option<ExprId> {
        let line = self.line(at);
        match self.kind(at) {
            K::TypeAnnotation | K::ParenthesizedType | K::ReadonlyType => {
                let inner = self.first(at)?;
                self.ty(inner, place)
            }
            K::TypeIdentifier | K::Identifier => {
                let name = self.symbol(at);
                Some(self.out.name(name, place.scope, line))
            }
            K::GenericType => {
                let name = self.field(at, F::Name)?;
                self.ty(name, place)
            }
            K::NestedTypeIdentifier => {
                let module = self.field(at, F::Module)?;
                let object = self.expr(module, place);
                let name = self.field(at, F::Name)?;
                let name = self.symbol(name);
                Some(self.out.expr(ExprKind::Attr(object, name), line))
            }
            K::UnionType | K::IntersectionType => {
                let mut all = None;
                for part in self.children(at) {
                    let part = self.ty(part, place);
                    all = match (all, part) {
                        (Some(one), Some(other)) => {
                            Some(self.out.expr(ExprKind::Binary(Op::Or, one, other), line))
                        }
                        (one, other) => one.or(other),
                    };
                }
                all
            }
            _ => None,
        }
    }

    /// `value as Type`.
    pub(super) fn cast(&mut self, at: At, place: Place) -> ExprId {
        let mut parts = self.children(at);
        let (value, ty) = (parts.next(), parts.next());
        self.casted(value, ty, at, place)
    }

    /// `<Type>value`.
    pub(super) fn assertion(&mut self, at: At, place: Place) -> ExprId {
        let mut parts = self.children(at);
        let ty = parts.next().and_then(|arguments| self.first(arguments));
        self.casted(parts.next(), ty, at, place)
    }

    fn casted(&mut self, value: Option<At>, ty: Option<At>, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        let value = match value {
            Some(value) => self.expr(value, place),
            None => self.out.unknown(Vec::new(), line),
        };
        match ty.and_then(|ty| self.ty(ty, place)) {
            Some(ty) => self.out.expr(ExprKind::Cast(value, ty), line),
            None => value,
        }
    }
}
