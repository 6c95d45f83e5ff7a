//! Patterns. In: patterns and what they take apart. Out: assignments of the names in them. A wrapper's pattern takes what
//! is in it; fields of variants are called by both names.

use super::types::{Shape, shape};
use super::{F, K, Reader};
use crate::graph::ir::{Collection, ExprId, ExprKind, StmtKind};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

fn is_large(text: &str) -> bool {
    text.starts_with(|c: char| c.is_uppercase())
}

impl Reader<'_, '_> {
    /// Gives the names of a pattern their values.
    pub(super) fn bind(&mut self, at: At, value: ExprId, place: Place) {
        let line = self.line(at);
        match self.kind(at) {
            K::Identifier | K::ShorthandField if is_large(self.text(at)) => {}
            K::Identifier | K::ShorthandField => {
                let name = self.symbol(at);
                self.declare_as(name, value, place, line);
            }
            K::TuplePattern | K::SlicePattern => {
                let children: Vec<At> = self.children(at).collect();
                let (mut names, mut others) = (Vec::new(), Vec::new());
                for child in children {
                    let temporary = self.temporary(place, line);
                    names.push(temporary);
                    others.push((child, temporary));
                }
                let names = self.out.exprs(names);
                let target = self.out.expr(ExprKind::Collection(Collection::Tuple, names), line);
                self.add(StmtKind::Assign { target, value: Some(value), op: None, ty: None }, line);
                others.into_iter().for_each(|(child, temporary)| self.bind(child, temporary, place));
            }
            K::TupleStructPattern => self.bind_tuple(at, value, place),
            K::StructPattern => self.bind_struct(at, value, place),
            K::CapturedPattern | K::OrPattern | K::MatchPattern => {
                let condition = self.field(at, F::Condition);
                for child in self.children(at).filter(|child| Some(*child) != condition).collect::<Vec<_>>() {
                    self.bind(child, value, place);
                }
            }
            K::RefPattern | K::ReferencePattern | K::MutPattern => {
                let inner = self.children(at).find(|child| self.kind(*child) != K::MutableSpecifier);
                inner.into_iter().for_each(|inner| self.bind(inner, value, place));
            }
            _ => {}
        }
    }

    /// A variable that no program can name.
    pub(super) fn temporary(&mut self, place: Place, line: u32) -> ExprId {
        let name = self.out.names.intern(&format!("<{}>", self.out.unit.exprs.len()));
        self.declared_name(name, place.scope, line)
    }

    /// `Some(x)` is the value itself, `Variant(x)` and `Struct(x)` its field.
    fn bind_tuple(&mut self, at: At, value: ExprId, place: Place) {
        let (ty, line) = (self.field(at, F::Type), self.line(at));
        let mut parts = Vec::new();
        ty.into_iter().for_each(|ty| self.segments(ty, &mut parts));
        let name = parts.last().copied().unwrap_or_default();
        let prefix = if parts.len() > 1 { format!("{name}.") } else { String::new() };
        let inner: Vec<At> = self.children(at).filter(|child| Some(*child) != ty).collect();
        for (number, child) in inner.into_iter().enumerate() {
            let part = match name {
                "Some" | "Ok" => value,
                "Err" => self.out.unknown(Vec::new(), line),
                _ if shape(name) == Some(Shape::Wrapper) => value,
                _ => {
                    let field = self.out.names.intern(&format!("{prefix}{number}"));
                    self.out.expr(ExprKind::Attr(value, field), line)
                }
            };
            self.bind(child, part, place);
        }
    }

    fn bind_struct(&mut self, at: At, value: ExprId, place: Place) {
        let (ty, line) = (self.field(at, F::Type), self.line(at));
        let mut parts = Vec::new();
        ty.into_iter().for_each(|ty| self.segments(ty, &mut parts));
        let prefix = match parts[..] {
            [.., before, name] if is_large(before) => format!("{name}."),
            _ => String::new(),
        };
        for field in self.of_kind(at, K::FieldPattern) {
            let Some(name) = self.field(field, F::Name) else { continue };
            let symbol = self.out.names.intern(&format!("{prefix}{}", self.text(name)));
            let part = self.out.expr(ExprKind::Attr(value, symbol), line);
            let pattern = self.field(field, F::Pattern).unwrap_or(name);
            self.bind(pattern, part, place);
        }
    }
}
