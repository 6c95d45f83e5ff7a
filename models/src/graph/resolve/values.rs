//! What an expression may be. In: functions, classes, objects and literals of a program. Out: a small number for each,
//! and for the places in objects where other values lie. Refuses nothing; [`Bounds`](crate::graph::bounds::Bounds)
//! bound how many there are.

use rustc_hash::FxHashMap;

use crate::graph::ir::{Collection, UnitId};
use crate::graph::names::Symbol;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(in crate::graph) struct $name(pub(in crate::graph) u32);

        impl $name {
            pub(in crate::graph) fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

numbers! {
    /// A function of the program.
    Fun,
    /// A class of the program.
    Cls,
    /// A value.
    ValueId,
    /// A cell of the assignment graph.
    CellId,
}

impl ValueId {
    fn of(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

impl CellId {
    pub(super) fn of(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// The cell of what is not followed: it never has a value.
pub(super) const NOTHING: CellId = CellId(0);

/// A value that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    /// A function, a method without its receiver, a lambda.
    Function(Fun),
    /// A class itself.
    Class(Cls),
    /// An instance that was made.
    Instance(Cls),
    /// An instance of the class or of one that inherits from it, by what a type says.
    Declared(Cls),
    /// What `new` makes of a function.
    Made(Fun),
    /// What such objects inherit from.
    Prototype(Fun),
    /// A function with its receiver.
    Bound(Fun, ValueId),
    /// A container or object that is made at a place.
    Object(ObjectKind, u32),
    /// What a call of a generator gives back.
    Generator(Fun),
    /// A file of the program.
    Module(UnitId),
    /// Something that an import names.
    Library(Symbol),
    /// Something that a library gave back, or a part of it.
    LibraryResult(Symbol),
    /// A method of a built-in value.
    Method(Symbol, ValueId),
    /// A text that is known.
    Text(Symbol),
    /// Any text.
    SomeText,
    /// A number that is known.
    Int(i64),
    /// Any number.
    SomeNumber,
    /// The receiver, as an instance of what stands above the class.
    Super(Cls, ValueId),
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ObjectKind {
    /// A built-in container.
    Collection(Collection),
    /// An object with attributes of its own.
    Plain,
    /// A value that is still to come.
    Promise,
}

/// All values of a program.
#[derive(Debug, Default)]
pub(super) struct Values {
    by_value: FxHashMap<Value, ValueId>,
    values: Vec<Value>,
    objects: u32,
}

impl Values {
    pub(super) fn id(&mut self, value: Value) -> ValueId {
        let next = ValueId::of(self.values.len());
        let id = *self.by_value.entry(value).or_insert(next);
        if id == next {
            self.values.push(value);
        }
        id
    }

    pub(super) fn get(&self, id: ValueId) -> Value {
        self.values[id.index()]
    }

    /// An object that is made at a place of its own.
    pub(super) fn object(&mut self, kind: ObjectKind) -> ValueId {
        self.objects += 1;
        self.id(Value::Object(kind, self.objects))
    }
}

/// A place in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u32);

impl Key {
    /// Elements whose place is not known.
    pub(super) const ANY: Self = Self::special(0);
    /// The keys of a map.
    pub(super) const KEYS: Self = Self::special(1);
    /// What the object inherits from.
    pub(super) const PROTOTYPE: Self = Self::special(2);
    /// What the module is to those that import it.
    pub(super) const EXPORTS: Self = Self::special(3);

    /// All elements, wherever they are: what is read at a place that is not known.
    pub(super) const ALL: Self = Self::special(4);

    const SHIFT: u32 = 29;
    const MAX: u32 = (1 << Self::SHIFT) - 1;

    const fn special(number: u32) -> Self {
        Self(3 << Self::SHIFT | number)
    }

    pub(super) fn attribute(name: Symbol) -> Self {
        Self(name.0 & Self::MAX)
    }

    pub(super) fn text(text: Symbol) -> Self {
        Self(1 << Self::SHIFT | (text.0 & Self::MAX))
    }

    /// A place in an order; what is not counted from the start is not known.
    pub(super) fn position(number: i64) -> Self {
        match u32::try_from(number) {
            Ok(number) if number <= Self::MAX => Self(2 << Self::SHIFT | number),
            _ => Self::ANY,
        }
    }

    pub(super) fn as_attribute(self) -> Option<Symbol> {
        (self.0 >> Self::SHIFT == 0).then_some(Symbol(self.0))
    }

    pub(super) fn as_position(self) -> Option<u32> {
        (self.0 >> Self::SHIFT == 2).then_some(self.0 & Self::MAX)
    }

    /// Whether it is the place of an element, which `object[key]` reaches.
    pub(super) fn is_element(self) -> bool {
        matches!(self.0 >> Self::SHIFT, 1 | 2) || self == Self::ANY
    }
}
