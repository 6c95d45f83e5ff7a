//! Types. In: types as they are written. Out: expressions whose values are the classes that are named, and containers of
//! them. Types of Go itself, functions and what has no name give nothing.

use super::{F, K, Reader};
use crate::graph::ir::{Collection, ExprId, ExprKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// Types that have no members.
const PLAIN: &[&str] = &[
    "any",
    "bool",
    "byte",
    "comparable",
    "complex128",
    "complex64",
    "error",
    "float32",
    "float64",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "rune",
    "string",
    "uint",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "uintptr",
];

impl Reader<'_, '_> {
    pub(super) fn ty(&mut self, at: At, place: Place) -> Option<ExprId> {
        let line = self.line(at);
        match self.kind(at) {
            K::TypeIdentifier | K::Identifier => {
                if PLAIN.binary_search(&self.text(at)).is_ok() {
                    return None;
                }
                let name = self.symbol(at);
                Some(self.out.name(name, place.scope, line))
            }
            K::QualifiedType => {
                let (package, name) = (self.field(at, F::Package)?, self.field(at, F::Name)?);
                let (package, name) = (self.symbol(package), self.symbol(name));
                let package = self.out.name(package, place.scope, line);
                Some(self.out.expr(ExprKind::Attr(package, name), line))
            }
            K::PointerType | K::ParenthesizedType | K::TypeElem => {
                let inner = self.first(at)?;
                self.ty(inner, place)
            }
            K::GenericType => {
                let inner = self.field(at, F::Type)?;
                self.ty(inner, place)
            }
            K::SliceType | K::ArrayType | K::ImplicitLengthArray => {
                let inner = self.field(at, F::Element)?;
                let inner = self.ty(inner, place)?;
                Some(self.out.container_of(Collection::List, Some(inner), line))
            }
            K::ChannelType | K::MapType => {
                let inner = self.field(at, F::Value)?;
                let inner = self.ty(inner, place)?;
                Some(self.out.container_of(Collection::List, Some(inner), line))
            }
            _ => None,
        }
    }

    /// Whether it is written as only a type can be.
    pub(super) fn is_type(&self, at: At) -> bool {
        matches!(
            self.kind(at),
            K::SliceType
                | K::ArrayType
                | K::MapType
                | K::ChannelType
                | K::PointerType
                | K::TypeIdentifier
                | K::QualifiedType
                | K::GenericType
                | K::FunctionType
                | K::StructType
                | K::InterfaceType
                | K::ParenthesizedType
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!(PLAIN.is_sorted());
    }
}
