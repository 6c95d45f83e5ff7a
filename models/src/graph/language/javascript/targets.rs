//! What is assigned. In: patterns and other targets. Out: the same in no language's own terms, with defaults as
//! assignments inside of them. Names are declared in the scope that is given; without one they are someone else's.

use super::{F, K, Reader};
use crate::graph::ir::{Collection, Entry, ExprId, ExprKind, Literal, MapKind, ScopeId};
use crate::graph::lower::Place;
use crate::graph::names::Symbol;
use crate::graph::syntax::At;

impl Reader<'_, '_> {
    pub(super) fn target(&mut self, at: At, place: Place, scope: Option<ScopeId>) -> ExprId {
        let line = self.line(at);
        match self.kind(at) {
            K::Identifier | K::ShorthandPattern | K::TypeIdentifier => {
                let name = self.symbol(at);
                self.name_target(name, place, scope, line)
            }
            K::ArrayPattern | K::Array => {
                let mut parts = Vec::new();
                for child in self.children(at) {
                    parts.push(self.target(child, place, scope));
                }
                let parts = self.out.exprs(parts);
                self.out.expr(ExprKind::Collection(Collection::Tuple, parts), line)
            }
            K::ObjectPattern | K::Object => self.object_target(at, place, scope),
            K::AssignmentPattern | K::ObjectAssignmentPattern | K::Assignment => {
                let inner = self.field(at, F::Left);
                let default = self.field(at, F::Right).map(|default| self.expr(default, place));
                match (inner.map(|inner| self.target(inner, place, scope)), default) {
                    (Some(inner), Some(default)) => self.out.expr(ExprKind::Assign(inner, default), line),
                    (Some(inner), None) => inner,
                    _ => self.out.unknown(Vec::new(), line),
                }
            }
            K::RestPattern | K::Spread => match self.first(at) {
                Some(inner) => {
                    let inner = self.target(inner, place, scope);
                    self.out.expr(ExprKind::Spread(inner), line)
                }
                None => self.out.unknown(Vec::new(), line),
            },
            K::Parenthesized | K::NonNull => match self.first(at) {
                Some(inner) => self.target(inner, place, scope),
                None => self.out.unknown(Vec::new(), line),
            },
            _ => self.expr(at, place),
        }
    }

    /// A name that is assigned; one that is not declared with it is written where it was.
    pub(super) fn name_target(
        &mut self,
        name: Symbol,
        place: Place,
        scope: Option<ScopeId>,
        line: u32,
    ) -> ExprId {
        match scope {
            Some(scope) => self.declared_name(name, scope, line),
            None => {
                self.out.unit.written.push((place.scope, name));
                self.out.name(name, place.scope, line)
            }
        }
    }

    fn object_target(&mut self, at: At, place: Place, scope: Option<ScopeId>) -> ExprId {
        let mut entries = Vec::new();
        for child in self.children(at) {
            let entry = match self.kind(child) {
                K::ShorthandPattern | K::ShorthandProperty => {
                    self.shorthand_target(child, child, place, scope)
                }
                K::ObjectAssignmentPattern | K::AssignmentPattern => {
                    let name = self.field(child, F::Left).unwrap_or(child);
                    self.shorthand_target(name, child, place, scope)
                }
                K::PairPattern | K::Pair => {
                    let (Some(key), Some(value)) = (self.field(child, F::Key), self.field(child, F::Value))
                    else {
                        continue;
                    };
                    let key = Some(self.key(key, place));
                    Entry { key, value: self.target(value, place, scope) }
                }
                _ => Entry { key: None, value: self.target(child, place, scope) },
            };
            entries.push(entry);
        }
        let (entries, line) = (self.out.entries(entries), self.line(at));
        self.out.expr(ExprKind::Map(MapKind::Object, entries), line)
    }

    /// `{ name }` and `{ name = default }`.
    fn shorthand_target(&mut self, name: At, target: At, place: Place, scope: Option<ScopeId>) -> Entry {
        let (symbol, line) = (self.symbol(name), self.line(name));
        let key = Some(self.out.expr(ExprKind::Literal(Literal::Text(symbol)), line));
        Entry { key, value: self.target(target, place, scope) }
    }

    /// The key of an entry, as an expression.
    pub(super) fn key(&mut self, at: At, place: Place) -> ExprId {
        let line = self.line(at);
        match self.kind(at) {
            K::PropertyIdentifier | K::PrivateName | K::Identifier | K::ShorthandProperty => {
                let name = self.symbol(at);
                self.out.expr(ExprKind::Literal(Literal::Text(name)), line)
            }
            K::ComputedName => match self.first(at) {
                Some(inner) => self.expr(inner, place),
                None => self.out.unknown(Vec::new(), line),
            },
            _ => self.expr(at, place),
        }
    }

    /// The name by which a function goes that is assigned to this.
    pub(super) fn hint(&mut self, at: At) -> Option<Symbol> {
        match self.kind(at) {
            K::Identifier | K::PropertyIdentifier | K::PrivateName => Some(self.symbol(at)),
            K::Member => {
                let property = self.field(at, F::Property)?;
                Some(self.symbol(property))
            }
            _ => None,
        }
    }
}
