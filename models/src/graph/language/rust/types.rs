//! Types. In: types as they are written. Out: expressions whose values are the classes that are named, and containers of
//! them. A wrapper is what is in it, a generic parameter the trait that binds it; numbers and functions give nothing.

use super::{F, K, Reader};
use crate::graph::ir::{Collection, Entry, ExprId, ExprKind, Literal, MapKind, Run};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// Types that are followed as what is in them.
const WRAPPERS: &[&str] = &[
    "Arc",
    "Box",
    "Cell",
    "Cow",
    "Data",
    "Extension",
    "Form",
    "Json",
    "Lazy",
    "LazyLock",
    "Mutex",
    "MutexGuard",
    "OnceCell",
    "OnceLock",
    "Option",
    "Path",
    "Pin",
    "Query",
    "Rc",
    "Ref",
    "RefCell",
    "RefMut",
    "Result",
    "RwLock",
    "State",
    "Weak",
];

const LISTS: &[&str] = &[
    "BinaryHeap",
    "IntoIter",
    "IntoIterator",
    "Iter",
    "IterMut",
    "Iterator",
    "LinkedList",
    "Peekable",
    "SmallVec",
    "Vec",
    "VecDeque",
];

const SETS: &[&str] = &["BTreeSet", "FxHashSet", "HashSet", "IndexSet"];

const MAPS: &[&str] = &["BTreeMap", "DashMap", "FxHashMap", "HashMap", "IndexMap"];

/// What a generic type of the standard library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Wrapper,
    List,
    Set,
    Map,
}

/// The shape of a type by its name.
pub(super) fn shape(name: &str) -> Option<Shape> {
    let is = |names: &[&str]| names.binary_search(&name).is_ok();
    match name {
        _ if is(WRAPPERS) => Some(Shape::Wrapper),
        _ if is(LISTS) => Some(Shape::List),
        _ if is(SETS) => Some(Shape::Set),
        _ if is(MAPS) => Some(Shape::Map),
        _ => None,
    }
}

impl Reader<'_, '_> {
    pub(super) fn ty(&mut self, at: At, place: Place) -> Option<ExprId> {
        let line = self.line(at);
        match self.kind(at) {
            K::TypeIdentifier | K::Identifier => self.type_name(at, place),
            K::PrimitiveType => (self.text(at) == "str").then(|| self.some_text(line)),
            K::ScopedType | K::ScopedIdentifier => {
                let mut parts = Vec::new();
                self.segments(at, &mut parts);
                Some(self.path_of(&parts, place, line))
            }
            K::GenericType | K::GenericTurbofish => self.generic(at, place),
            K::ReferenceType | K::PointerType => {
                let inner = self.field(at, F::Type)?;
                self.ty(inner, place)
            }
            K::ArrayType => {
                let element = self.field(at, F::Element).and_then(|element| self.ty(element, place));
                Some(self.out.container_of(Collection::List, element, line))
            }
            K::TupleType => {
                let parts: Vec<At> = self.children(at).collect();
                let mut values = Vec::new();
                for part in parts {
                    let ty = self.ty(part, place);
                    values.push(self.instance(ty, line));
                }
                let values = self.out.exprs(values);
                Some(self.out.expr(ExprKind::Collection(Collection::Tuple, values), line))
            }
            K::DynamicType | K::AbstractType => {
                let inner = self.field(at, F::Trait)?;
                self.ty(inner, place)
            }
            K::BoundedType | K::TraitBounds => {
                let inner = self.children(at).find(|child| self.kind(*child) != K::Lifetime)?;
                self.ty(inner, place)
            }
            K::QualifiedType => {
                let inner = self.field(at, F::Type)?;
                self.ty(inner, place)
            }
            _ => None,
        }
    }

    fn type_name(&mut self, at: At, place: Place) -> Option<ExprId> {
        let (name, line) = (self.symbol(at), self.line(at));
        let text = self.text(at);
        if let Some(position) = self.generics.iter().rposition(|(generic, _)| *generic == name) {
            let bounds = self.generics[position].1?;
            // A bound that names its own parameter must not be asked for it again.
            let inner = self.generics.split_off(position);
            let ty = self.ty(bounds, place);
            self.generics.extend(inner);
            return ty;
        }
        match text {
            "Self" => self.own_type,
            "String" if !self.items.contains(&name) => Some(self.some_text(line)),
            _ => Some(self.out.name(name, place.scope, line)),
        }
    }

    pub(super) fn some_text(&mut self, line: u32) -> ExprId {
        self.out.expr(ExprKind::Literal(Literal::SomeText(Run::EMPTY)), line)
    }

    fn instance(&mut self, ty: Option<ExprId>, line: u32) -> ExprId {
        match ty {
            Some(ty) => self.out.expr(ExprKind::InstanceOf(ty), line),
            None => self.out.unknown(Vec::new(), line),
        }
    }

    fn generic(&mut self, at: At, place: Place) -> Option<ExprId> {
        let (base, line) = (self.field(at, F::Type)?, self.line(at));
        let mut parts = Vec::new();
        self.segments(base, &mut parts);
        let arguments = self.field(at, F::TypeArguments).map(|list| self.children(list));
        let arguments: Vec<At> = arguments.into_iter().flatten().collect();
        let mut types = arguments
            .into_iter()
            .filter(|one| self.kind(*one) != K::Lifetime)
            .collect::<Vec<_>>()
            .into_iter();
        let name = parts.last().copied().unwrap_or_default();
        let symbol = self.out.names.intern(name);
        // A type of the program that goes by such a name is its own.
        let own = parts.len() == 1 && self.out.unit.classes.iter().any(|class| class.name == symbol);
        match shape(name).filter(|_| !own) {
            Some(Shape::Wrapper) => {
                let inner = types.next()?;
                self.ty(inner, place)
            }
            Some(shape @ (Shape::List | Shape::Set)) => {
                let element = types.next().and_then(|element| self.ty(element, place));
                let kind = if shape == Shape::Set { Collection::Set } else { Collection::List };
                Some(self.out.container_of(kind, element, line))
            }
            Some(Shape::Map) => {
                let key = types.next().and_then(|key| self.ty(key, place));
                let value = types.next().and_then(|value| self.ty(value, place));
                let key = Some(self.instance(key, line));
                let entry = Entry { key, value: self.instance(value, line) };
                Some(self.map_of(vec![entry], line))
            }
            None => self.ty(base, place),
        }
    }

    pub(super) fn map_of(&mut self, entries: Vec<Entry>, line: u32) -> ExprId {
        let entries = self.out.entries(entries);
        self.out.expr(ExprKind::Map(MapKind::Dict, entries), line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!([WRAPPERS, LISTS, SETS, MAPS].iter().all(|names| names.is_sorted()));
        assert_eq!(
            (shape("Vec"), shape("Arc"), shape("Cart")),
            (Some(Shape::List), Some(Shape::Wrapper), None)
        );
    }
}
