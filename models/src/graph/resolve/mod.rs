//! Who calls whom. In: a program. Out: for each call the functions and library functions that it may reach.
//!
//! An assignment graph: every variable, parameter, result and place in an object is a cell that holds the values it may
//! have. A cell passes its values on along its uses: to cells that it is assigned to, to reads and writes of places in
//! the values, to calls. Each value passes each use once, until nothing moves any more: the fixpoint. Within a function
//! the order of assignments counts (`flow`); between functions, in objects and in loops it does not.
//!
//! ```text
//! Unit ─► bind ─► flow, eval ─► cells and uses ─► solve ─┬─ heap: places in objects
//!                                                        ├─ classes: members by method resolution order
//!                                                        └─ calls, models: arguments, receivers, results
//! ```

mod assigned;
mod bind;
mod calls;
mod cells;
mod classes;
mod container;
mod eval;
mod flow;
mod heap;
mod iterate;
mod model;
mod modules;
mod packages;
mod structural;
mod targets;
mod uses;
mod values;

use super::bounds::Bounds;
use super::diagnostic::{Diagnostics, Trouble};
use super::ir::{ExprId, Program, UnitId};
use super::names::Symbol;
pub(super) use bind::Bindings;
use cells::Solver;
pub(super) use modules::{Imported, Modules};
pub(super) use values::{Cls, Fun};

/// What a call reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    /// A function of the program.
    Function(Fun),
    /// A function of a library.
    Library(Symbol),
}

/// A call and one of what it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) unit: UnitId,
    /// The expression; calls that no expression stands for have that which causes them.
    pub(super) expr: ExprId,
    /// Who calls.
    pub(super) caller: Fun,
    pub(super) line: u32,
    pub(super) target: Target,
    /// Nothing was guessed on the way to the target.
    pub(super) certain: bool,
}

/// A function that is given to a library, which may call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Callback {
    pub(super) library: Symbol,
    pub(super) function: Fun,
    pub(super) unit: UnitId,
    pub(super) line: u32,
}

/// A class and one that it inherits from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inherits {
    pub(super) class: Cls,
    pub(super) base: Cls,
}

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Resolution {
    /// In order, each once.
    pub(super) calls: Vec<Call>,
    /// In order, each once.
    pub(super) callbacks: Vec<Callback>,
    /// In order, each once.
    pub(super) inherits: Vec<Inherits>,
    /// Methods that stand outside of their classes.
    pub(super) owners: Vec<(Fun, Cls)>,
    /// The first function of each unit; functions of a unit follow each other.
    pub(super) first_function: Vec<u32>,
    /// The first class of each unit.
    pub(super) first_class: Vec<u32>,
    pub(super) bindings: Vec<Bindings>,
    pub(super) modules: Modules,
}

impl Resolution {
    /// The number of a unit's function in the program.
    pub(super) fn function(&self, unit: UnitId, function: super::ir::FunctionId) -> Fun {
        Fun(self.first_function[unit.index()] + function.0)
    }

    /// The number of a unit's class in the program.
    pub(super) fn class(&self, unit: UnitId, class: super::ir::ClassId) -> Cls {
        Cls(self.first_class[unit.index()] + class.0)
    }
}

/// Resolves a program. Names that come up on the way are added to it.
pub(super) fn resolve(program: &mut Program, bounds: &Bounds, trouble: &mut Diagnostics) -> Resolution {
    let modules = Modules::of(&program.units, &program.names, &program.roots);
    let bindings: Vec<_> = program.units.iter().map(Bindings::of).collect();
    let mut names = std::mem::take(&mut program.names);
    // The names are borrowed apart from the units: resolution makes new ones.
    let mut solver = Solver::new(&program.units, &mut names, &bindings, &modules, bounds);
    flow::generate(&mut solver);
    let end = solver.solve();
    if end.stopped {
        let detail = format!("after {} steps", bounds.resolution_steps);
        trouble.add(Trouble::ResolutionStopped, "", 0, detail);
    }
    if end.full_cells > 0 {
        let detail = format!("{} expressions with more than {} values", end.full_cells, bounds.values);
        trouble.add(Trouble::ValuesDropped, "", 0, detail);
    }
    let found = solver.into_found();
    program.names = names;
    Resolution {
        calls: found.calls,
        callbacks: found.callbacks,
        inherits: found.inherits,
        owners: found.owners,
        first_function: found.first_function,
        first_class: found.first_class,
        bindings,
        modules,
    }
}
