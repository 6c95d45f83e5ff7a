//! What the assignment graph consists of. In: nothing. Out: the records of uses, reads, writes, calls, functions and
//! classes, which [`super::cells::Solver`] holds and the other modules make.

use super::values::{CellId, Cls, Fun, Key, ValueId};
use crate::graph::ir::{CallKind, ExprId, Flags, ParamKind, Spread, UnitId};
use crate::graph::language::Rules;
use crate::graph::names::Symbol;

/// What is done with each value of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is also a value of that cell.
    To(CellId),
    /// As `To`, for containers and kinds of literals only: what an operator may give back.
    Kind(CellId),
    /// Where it is a text, so is that cell.
    Text(CellId),
    /// A place in it is read.
    Load(u32),
    /// It names the place that is read.
    LoadKey(u32),
    /// It is what an object inherits from: the read goes on in it, for that receiver.
    LoadFrom(u32, ValueId),
    /// It is a member that is read from that receiver.
    Member(u32, ValueId),
    /// A place in it is written.
    Store(u32),
    /// It names the place that is written.
    StoreKey(u32),
    /// It is a member of that class that may want to know of a write.
    Setter(u32, Cls),
    /// It is a function that may have that receiver.
    Receiver(ValueId),
    /// It is iterated.
    Iterate(u32),
    /// It is taken apart.
    Take(u32),
    /// It is called.
    Call(u32),
    /// It is a library's to call.
    Escape(u32, Symbol),
    /// It is what a class inherits from, in the place of that number.
    Base(Cls, u32),
    /// It is a class that is said to inherit from that cell's.
    Inherit(CellId),
    /// It is a class that has that member of the unit outside of it.
    Given(UnitId, u32),
    /// It is an instance of the program, and also a value of that cell.
    Own(CellId),
    /// It is a type: that cell has instances of it.
    Instance(CellId, UnitId),
    /// It is waited for.
    Await(CellId),
    /// It is a resource that is entered and left.
    Enter(u32),
    /// Its entries are also those of that object.
    Entries(ValueId),
    /// It is a receiver whose class's parent is asked for.
    Parent(Cls, CellId),
    /// Its elements are arguments by position, from that one on.
    Elements(u32, Fun, u32),
    /// Its entries are arguments by name.
    Named(Fun),
}

/// A key that is written, or the cell of one that is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyOf {
    Fixed(Key),
    Computed(CellId),
}

/// A read or a write of a place in an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) base: CellId,
    pub(super) key: KeyOf,
    /// What takes the value, or gives it.
    pub(super) cell: CellId,
    pub(super) at: Site,
    /// The value is called at once: it takes its receiver along.
    pub(super) called: bool,
}

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) unit: UnitId,
    pub(super) function: Fun,
    pub(super) expr: ExprId,
    pub(super) line: u32,
}

/// How a value is taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Take {
    /// The element at that place, from the start.
    Nth(u32, CellId),
    /// The element at that place, from the end.
    NthLast(u32, CellId),
    /// The elements from one place up to another counted from the end, as a new object.
    Rest { from: u32, end: u32, object: ValueId },
    /// The elements from one place up to another counted from the start, as a new object.
    Slice { from: u32, to: Option<u32>, object: ValueId },
}

/// What is taken apart, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeFrom {
    pub(super) cell: CellId,
    pub(super) take: Take,
    pub(super) at: Site,
}

/// An iteration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Iteration {
    pub(super) cell: CellId,
    pub(super) to: CellId,
    pub(super) at: Site,
    /// The calls that an instance's own iteration takes are there.
    pub(super) calls_made: bool,
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArgCell {
    pub(super) name: Option<Symbol>,
    pub(super) cell: CellId,
    pub(super) spread: Spread,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallSite {
    pub(super) at: Site,
    pub(super) kind: CallKind,
    pub(super) callee: CellId,
    pub(super) args: (u32, u32),
    pub(super) result: CellId,
}

/// A function's cells.
#[derive(Clone, Debug)]
pub(super) struct FunInfo {
    pub(super) flags: Flags,
    /// The class whose method it is.
    pub(super) class: Option<Cls>,
    pub(super) params: Vec<ParamCell>,
    pub(super) receiver: CellId,
    pub(super) returned: CellId,
    pub(super) yielded: CellId,
    /// What a call of an asynchronous function gives back.
    pub(super) promise: Option<ValueId>,
    pub(super) language: &'static Rules,
}

/// A parameter's cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParamCell {
    pub(super) name: Symbol,
    pub(super) kind: ParamKind,
    pub(super) cell: CellId,
    /// The object that takes the rest.
    pub(super) rest: Option<ValueId>,
}

/// A class's members and parents.
#[derive(Clone, Debug, Default)]
pub(super) struct ClsInfo {
    pub(super) unit: usize,
    pub(super) scope: u32,
    /// Parents, nearest first, as their values become known.
    pub(super) bases: Vec<(u32, ValueId)>,
    pub(super) subclasses: Vec<Cls>,
    /// Members that stand outside of it.
    pub(super) given: Vec<Symbol>,
    /// Reads that are repeated when a parent comes to be known.
    pub(super) readers: Vec<(u32, ValueId)>,
}
