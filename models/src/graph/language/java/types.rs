//! Types. In: types as they are written. Out: expressions whose values are the classes that are named, and containers of
//! them. Numbers, type parameters and interfaces of Java itself that functions stand for give nothing.

use super::{K, Reader};
use crate::graph::ir::{Collection, Entry, ExprId, ExprKind, Literal, MapKind, Run};
use crate::graph::lower::Place;
use crate::graph::syntax::At;

/// Names without members that are followed, and interfaces that functions are given for.
const PLAIN: &[&str] = &[
    "BiConsumer",
    "BiFunction",
    "BinaryOperator",
    "Boolean",
    "Byte",
    "Callable",
    "Character",
    "Comparator",
    "Consumer",
    "Double",
    "Float",
    "Function",
    "Integer",
    "Long",
    "Number",
    "Object",
    "Predicate",
    "Runnable",
    "Short",
    "Supplier",
    "UnaryOperator",
    "Void",
    "var",
];

const LISTS: &[&str] = &[
    "ArrayDeque",
    "ArrayList",
    "Collection",
    "CopyOnWriteArrayList",
    "Deque",
    "Iterable",
    "Iterator",
    "LinkedBlockingQueue",
    "LinkedList",
    "List",
    "PriorityQueue",
    "Queue",
    "Stack",
    "Stream",
    "Vector",
];

const SETS: &[&str] = &["EnumSet", "HashSet", "LinkedHashSet", "Set", "SortedSet", "TreeSet"];

const MAPS: &[&str] = &[
    "ConcurrentHashMap",
    "ConcurrentMap",
    "EnumMap",
    "HashMap",
    "LinkedHashMap",
    "Map",
    "SortedMap",
    "TreeMap",
];

impl Reader<'_, '_> {
    pub(super) fn ty(&mut self, at: At, place: Place) -> Option<ExprId> {
        let line = self.line(at);
        match self.kind(at) {
            K::TypeIdentifier | K::Identifier => {
                let text = self.text(at);
                let name = self.symbol(at);
                let own = self.own.contains(&name);
                if text == "String" && !own {
                    return Some(self.out.expr(ExprKind::Literal(Literal::SomeText(Run::EMPTY)), line));
                }
                if PLAIN.binary_search(&text).is_ok() && !own {
                    return None;
                }
                self.container(at, &[], place).or_else(|| Some(self.out.name(name, place.scope, line)))
            }
            K::ScopedType => {
                let parts: Vec<At> = self.children(at).collect();
                let (last, first) = (parts.last()?, parts.first()?);
                if parts.len() == 1 {
                    return self.ty(*last, place);
                }
                let object = self.ty(*first, place)?;
                let name = self.symbol(*last);
                Some(self.out.expr(ExprKind::Attr(object, name), line))
            }
            K::GenericType => {
                let base = self.first(at)?;
                let args = self.of_kind(at, K::TypeArguments).next();
                let args: Vec<At> = args.map(|args| self.children(args).collect()).unwrap_or_default();
                match self.text(base) {
                    "Optional" => args.first().and_then(|inner| self.ty(*inner, place)),
                    _ => self.container(base, &args, place).or_else(|| self.ty(base, place)),
                }
            }
            K::ArrayType => {
                let element = self.field(at, super::F::Element);
                let element = element.and_then(|element| self.ty(element, place));
                Some(self.out.container_of(Collection::List, element, line))
            }
            K::AnnotatedType | K::Wildcard | K::Superclass => {
                let inner = self.children(at).last()?;
                self.ty(inner, place)
            }
            K::CatchType => {
                let types: Vec<At> = self.children(at).collect();
                let types = types.into_iter().filter_map(|ty| self.ty(ty, place)).collect::<Vec<_>>();
                let or = crate::graph::ir::Op::Or;
                types.into_iter().reduce(|one, other| self.out.expr(ExprKind::Binary(or, one, other), line))
            }
            _ => None,
        }
    }

    /// The type, if it is a container.
    pub(super) fn container_type(&mut self, at: At, place: Place) -> Option<ExprId> {
        let ty = self.ty(at, place)?;
        let kind = self.out.unit.expr(ty).kind;
        matches!(kind, ExprKind::Comprehension(..) | ExprKind::Map(..)).then_some(ty)
    }

    /// A container of `java.util` by its name.
    fn container(&mut self, base: At, args: &[At], place: Place) -> Option<ExprId> {
        let (text, line) = (self.text(base), self.line(base));
        let is = |names: &[&str]| names.binary_search(&text).is_ok();
        let (list, set, map) = (is(LISTS), is(SETS), is(MAPS));
        if !(list || set || map) {
            return None;
        }
        let name = self.symbol(base);
        let known = self.utilities.contains(&name) || self.all_utilities || text == "Iterable";
        if !known || self.own.contains(&name) {
            return None;
        }
        let mut args = args.iter().map(|arg| self.ty(*arg, place)).collect::<Vec<_>>().into_iter();
        if map {
            let (key, value) = (args.next().flatten(), args.next().flatten());
            let key = Some(self.instance(key, line));
            let entry = Entry { key, value: self.instance(value, line) };
            let entries = self.out.entries(vec![entry]);
            return Some(self.out.expr(ExprKind::Map(MapKind::Dict, entries), line));
        }
        let element = args.next().flatten();
        Some(self.out.container_of(if set { Collection::Set } else { Collection::List }, element, line))
    }

    fn instance(&mut self, ty: Option<ExprId>, line: u32) -> ExprId {
        match ty {
            Some(ty) => self.out.expr(ExprKind::InstanceOf(ty), line),
            None => self.out.unknown(Vec::new(), line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!([PLAIN, LISTS, SETS, MAPS].iter().all(|names| names.is_sorted()));
    }
}
