//! The assignment graph. In: cells, uses and first values, as `flow` makes them of the source. Out: calls. Stops at its
//! fixpoint or at its bounds, whichever comes first.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::bind::Bindings;
use super::modules::Modules;
use super::uses::{Access, ArgCell, CallSite, ClsInfo, FunInfo, Iteration, KeyOf, Site, TakeFrom, Use};
use super::values::{CellId, Cls, Fun, Key, NOTHING, Value, ValueId, Values};
use super::{Call, Callback, Inherits, Target};
use crate::graph::bounds::Bounds;
use crate::graph::ir::{FunctionId, Unit, UnitId};
use crate::graph::language::{self, Language, Model};
use crate::graph::names::{Names, Symbol};

/// Literals that a cell tells apart; beyond them it has any.
const LITERALS_MAX: usize = 8;

/// Times that what nothing else answered is answered by what is left.
const ROUNDS_MAX: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) calls: Vec<Call>,
    pub(super) callbacks: Vec<Callback>,
    pub(super) inherits: Vec<Inherits>,
    pub(super) owners: Vec<(Fun, Cls)>,
    pub(super) first_function: Vec<u32>,
    pub(super) first_class: Vec<u32>,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) stopped: bool,
    pub(super) full_cells: usize,
}

/// A cell. Most have one value and few uses.
#[derive(Clone, Copy, Debug)]
struct Cell {
    count: u32,
    /// Of several values the first.
    value: ValueId,
    /// The list of several values.
    list: u32,
    last_use: u32,
}

/// No value, no use.
const NONE: u32 = u32::MAX;
const EMPTY: Cell = Cell { count: 0, value: ValueId(NONE), list: NONE, last_use: NONE };

/// The graph under resolution.
pub(super) struct Solver<'p> {
    pub(super) units: &'p [Unit],
    pub(super) names: &'p mut Names,
    pub(super) bindings: &'p [Bindings],
    pub(super) modules: &'p Modules,
    pub(super) bounds: &'p Bounds,
    pub(super) values: Values,
    cells: Vec<Cell>,
    /// The values of cells with more than one.
    lists: Vec<Vec<ValueId>>,
    /// Uses, each with the one before it of the same cell.
    uses: Vec<(Use, u32)>,
    full: FxHashSet<CellId>,
    pub(super) constants: FxHashMap<ValueId, CellId>,
    /// The shared cell of each variable, by unit.
    pub(super) vars: Vec<Vec<CellId>>,
    pub(super) loads: Vec<Access>,
    pub(super) stores: Vec<Access>,
    pub(super) takes: Vec<TakeFrom>,
    pub(super) iterations: Vec<Iteration>,
    pub(super) sites: Vec<CallSite>,
    pub(super) args: Vec<ArgCell>,
    pub(super) functions: Vec<FunInfo>,
    pub(super) classes: Vec<ClsInfo>,
    pub(super) fields: FxHashMap<(ValueId, Key), CellId>,
    pub(super) keys: FxHashMap<ValueId, Vec<Key>>,
    pub(super) followers: FxHashMap<ValueId, Vec<ValueId>>,
    pub(super) lengths: FxHashMap<ValueId, u32>,
    pub(super) orders: FxHashMap<Cls, std::rc::Rc<[ValueId]>>,
    pub(super) paths: FxHashMap<(Symbol, Symbol), Symbol>,
    pub(super) library_models: FxHashMap<Symbol, Model>,
    pub(super) done: FxHashSet<(u32, u32, u32)>,
    pub(super) edges: FxHashSet<(CellId, CellId)>,
    pub(super) targets: Vec<(u32, Target, bool)>,
    pub(super) callbacks: Vec<Callback>,
    pub(super) found: Found,
    /// What a class outside of the program may have, for reads that nothing else answers.
    pub(super) inherited: Vec<(CellId, ValueId)>,
    /// Reads of members that a class does not have.
    pub(super) abstract_reads: Vec<(u32, Cls, Key)>,
    /// Members without a body that were found, each with its receiver.
    pub(super) bodiless: Vec<(CellId, ValueId)>,
    /// Names of modules of several files: their variables, and the cell of all.
    pub(super) package_vars: FxHashMap<(UnitId, Symbol), Vec<(u32, u32)>>,
    pub(super) package_cells: FxHashMap<(UnitId, Symbol), CellId>,
    /// Places that are also places of a follower.
    pub(super) copies: Vec<(ValueId, Key, ValueId)>,
    now: Vec<(CellId, ValueId)>,
    later: VecDeque<(CellId, Use, ValueId)>,
    steps: usize,
    pub(super) solving: bool,
}

impl<'p> Solver<'p> {
    pub(super) fn new(
        units: &'p [Unit],
        names: &'p mut Names,
        bindings: &'p [Bindings],
        modules: &'p Modules,
        bounds: &'p Bounds,
    ) -> Self {
        Self {
            units,
            names,
            bindings,
            modules,
            bounds,
            values: Values::default(),
            // The cell of nothing.
            cells: vec![EMPTY],
            lists: Vec::new(),
            uses: Vec::new(),
            full: FxHashSet::default(),
            constants: FxHashMap::default(),
            vars: Vec::new(),
            loads: Vec::new(),
            stores: Vec::new(),
            takes: Vec::new(),
            iterations: Vec::new(),
            sites: Vec::new(),
            args: Vec::new(),
            functions: Vec::new(),
            classes: Vec::new(),
            fields: FxHashMap::default(),
            keys: FxHashMap::default(),
            followers: FxHashMap::default(),
            lengths: FxHashMap::default(),
            orders: FxHashMap::default(),
            paths: FxHashMap::default(),
            library_models: FxHashMap::default(),
            done: FxHashSet::default(),
            edges: FxHashSet::default(),
            targets: Vec::new(),
            callbacks: Vec::new(),
            found: Found::default(),
            inherited: Vec::new(),
            abstract_reads: Vec::new(),
            bodiless: Vec::new(),
            package_vars: FxHashMap::default(),
            package_cells: FxHashMap::default(),
            copies: Vec::new(),
            now: Vec::new(),
            later: VecDeque::new(),
            steps: 0,
            solving: false,
        }
    }

    pub(super) fn language(&self, unit: UnitId) -> &'static dyn Language {
        language::of(self.units[unit.index()].language)
    }

    /// The number of a unit's function in the program.
    pub(super) fn fun(&self, unit: UnitId, function: FunctionId) -> Fun {
        Fun(self.found.first_function[unit.index()] + function.0)
    }

    pub(super) fn cell(&mut self) -> CellId {
        // What is beyond the bound is not followed.
        if self.solving && self.cells.len() >= self.bounds.resolution_cells {
            self.steps = usize::MAX;
            return NOTHING;
        }
        self.cells.push(EMPTY);
        CellId::of(self.cells.len() - 1)
    }

    /// The cell of a value that is written there.
    pub(super) fn constant(&mut self, value: Value) -> CellId {
        let id = self.values.id(value);
        self.constant_of(id)
    }

    pub(super) fn constant_of(&mut self, id: ValueId) -> CellId {
        if let Some(cell) = self.constants.get(&id) {
            return *cell;
        }
        let cell = self.cell();
        self.add(cell, id);
        self.constants.insert(id, cell);
        cell
    }

    pub(super) fn values_of(&self, cell: CellId) -> &[ValueId] {
        let at = &self.cells[cell.index()];
        match at.count {
            0 => &[],
            1 => std::slice::from_ref(&at.value),
            _ => &self.lists[at.list as usize],
        }
    }

    /// A value that a cell may have.
    pub(super) fn add(&mut self, cell: CellId, value: ValueId) {
        if cell == NOTHING {
            return;
        }
        let Cell { value: first, count, list, last_use } = self.cells[cell.index()];
        if count > 0 && (first == value || (count > 1 && self.values_of(cell).contains(&value))) {
            return;
        }
        let mut value = value;
        if count as usize >= LITERALS_MAX {
            value = self.widened(cell, value);
            if self.values_of(cell).contains(&value) {
                return;
            }
        }
        if count as usize >= self.bounds.values {
            self.full.insert(cell);
            return;
        }
        match count {
            0 => self.cells[cell.index()].value = value,
            1 => {
                self.cells[cell.index()].list = self.lists.len() as u32;
                self.lists.push(vec![first, value]);
            }
            _ => self.lists[list as usize].push(value),
        }
        self.cells[cell.index()].count += 1;
        if last_use != NONE || !self.solving {
            self.now.push((cell, value));
        }
    }

    /// One literal more than are told apart is any literal of its kind.
    fn widened(&mut self, cell: CellId, value: ValueId) -> ValueId {
        let text = match self.values.get(value) {
            Value::Text(_) => true,
            Value::Int(_) => false,
            // That it may be something else of a library, too, says nothing.
            Value::LibraryResult(_) => return self.library_result(cell).unwrap_or(value),
            _ => return value,
        };
        let alike = |id: &&ValueId| match self.values.get(**id) {
            Value::Text(_) => text,
            Value::Int(_) => !text,
            _ => false,
        };
        if self.values_of(cell).iter().filter(alike).count() < LITERALS_MAX {
            return value;
        }
        self.values.id(if text { Value::SomeText } else { Value::SomeNumber })
    }

    fn library_result(&self, cell: CellId) -> Option<ValueId> {
        let values = self.values_of(cell).iter();
        values.copied().find(|value| matches!(self.values.get(*value), Value::LibraryResult(_)))
    }

    /// What is done with each value of a cell, those it has and those to come.
    pub(super) fn add_use(&mut self, cell: CellId, one: Use) {
        if cell == NOTHING {
            return;
        }
        let before = self.cells[cell.index()].last_use;
        self.cells[cell.index()].last_use = self.uses.len() as u32;
        self.uses.push((one, before));
        if self.solving {
            self.again(cell, one);
        }
    }

    /// Values of one cell are values of another.
    pub(super) fn flow(&mut self, from: CellId, to: CellId) {
        if from == to || from == NOTHING || to == NOTHING {
            return;
        }
        // The source makes each of its edges once.
        if self.solving && !self.edges.insert((from, to)) {
            return;
        }
        self.add_use(from, Use::To(to));
    }

    /// Whether values of a cell were dropped.
    pub(super) fn is_full(&self, cell: CellId) -> bool {
        self.full.contains(&cell)
    }

    pub(super) fn solve(&mut self) -> End {
        self.solving = true;
        self.run();
        if self.link_structures() {
            self.run();
        }
        // What is read or written at a place that nothing names may be anywhere in the object.
        let unnamed = |solver: &Self, key: KeyOf| match key {
            KeyOf::Computed(cell) => solver.values_of(cell).is_empty(),
            KeyOf::Fixed(_) => false,
        };
        for at in 0..self.stores.len() {
            if unnamed(self, self.stores[at].key) {
                self.stores[at].key = KeyOf::Fixed(Key::ANY);
                let base = self.stores[at].base;
                self.again(base, Use::Store(at as u32));
            }
        }
        for at in 0..self.loads.len() {
            if unnamed(self, self.loads[at].key) {
                self.loads[at].key = KeyOf::Fixed(Key::ANY);
                let base = self.loads[at].base;
                self.again(base, Use::Load(at as u32));
            }
        }
        self.run();
        for _ in 0..ROUNDS_MAX {
            for (cell, part) in std::mem::take(&mut self.inherited) {
                if self.values_of(cell).is_empty() {
                    self.add(cell, part);
                }
            }
            self.run();
            self.answer_abstract_reads();
            self.run();
            let bodiless = std::mem::take(&mut self.bodiless);
            if bodiless.is_empty() && self.inherited.is_empty() && self.abstract_reads.is_empty() {
                break;
            }
            bodiless.into_iter().for_each(|(cell, method)| self.add(cell, method));
            self.run();
        }
        End { stopped: self.steps > self.bounds.resolution_steps, full_cells: self.full.len() }
    }

    /// Passes all values of a cell to one of its uses. What that leads to waits its turn, so that no chain of objects
    /// is walked by recursion.
    fn again(&mut self, cell: CellId, one: Use) {
        let mut at = 0;
        while let Some(value) = self.values_of(cell).get(at).copied() {
            match one {
                Use::To(to) => self.add(to, value),
                _ => self.later.push_back((cell, one, value)),
            }
            at += 1;
        }
    }

    /// Passes a value to a use when everything else is done.
    pub(super) fn delay(&mut self, cell: CellId, one: Use, value: ValueId) {
        self.later.push_back((cell, one, value));
    }

    fn run(&mut self) {
        while self.steps <= self.bounds.resolution_steps {
            if let Some((from, key, into)) = self.copies.pop() {
                self.follow(from, key, into);
            } else if let Some((cell, value)) = self.now.pop() {
                // A use that is added meanwhile is passed the value when it is added.
                let mut next = self.cells[cell.index()].last_use;
                while let Some((one, before)) = self.uses.get(next as usize).copied() {
                    self.pass(cell, one, value);
                    next = before;
                }
            } else if let Some((cell, one, value)) = self.later.pop_front() {
                self.apply(cell, one, value);
            } else {
                break;
            }
        }
    }

    /// Classes and what they inherit from are to be known before members are looked up in them: what looks members up
    /// waits until nothing else is left to do.
    fn pass(&mut self, cell: CellId, one: Use, value: ValueId) {
        self.steps = self.steps.saturating_add(1);
        match one {
            Use::To(to) => self.add(to, value),
            Use::Call(_) | Use::Store(_) | Use::Iterate(_) | Use::Enter(_) | Use::Parent(..) => {
                self.later.push_back((cell, one, value));
            }
            Use::Load(_) | Use::LoadKey(_) if self.waits(value) => self.later.push_back((cell, one, value)),
            _ => self.apply(cell, one, value),
        }
    }

    fn waits(&self, value: ValueId) -> bool {
        !matches!(self.values.get(value), Value::Module(_) | Value::Library(_) | Value::Class(_))
    }

    fn apply(&mut self, cell: CellId, one: Use, value: ValueId) {
        match one {
            Use::To(to) => self.add(to, value),
            Use::Kind(to) => self.add_kind(to, value),
            Use::Text(to) if self.is_text(value) => self.add_kind(to, value),
            Use::Text(_) => {}
            Use::Load(load) => self.load(load, value),
            Use::LoadKey(load) => self.load_key(load, value),
            Use::LoadFrom(load, receiver) => self.load_from(load, value, receiver),
            Use::Member(load, receiver) => self.member(load, value, receiver),
            Use::Store(store) => self.store(store, value),
            Use::StoreKey(store) => self.store_key(store, value),
            Use::Setter(store, class) => self.call_setter(store, value, class),
            Use::Receiver(receiver) => self.give_receiver(value, receiver),
            Use::Iterate(iteration) => self.iterate(iteration, value),
            Use::Take(take) => self.take(take, value),
            Use::Call(site) => self.call(site, value),
            Use::Escape(site, library) => self.escape(site, value, library),
            Use::Base(class, place) => self.base(class, place, value),
            Use::Inherit(base) => self.inherit(value, base),
            Use::Given(unit, member) => self.give_member(value, unit, member),
            Use::Own(to) => self.add_own(to, value),
            Use::Instance(to, unit) => self.instance(to, value, unit),
            Use::Await(to) => self.wait(to, value),
            Use::Enter(iteration) => self.enter(iteration, value, cell),
            Use::Entries(into) => self.copy_entries(value, into),
            Use::Parent(class, to) => {
                let above = self.values.id(Value::Super(class, value));
                self.add(to, above);
            }
            Use::Elements(site, function, from) => self.spread_elements(site, function, from, value),
            Use::Named(function) => self.spread_entries(function, value),
        }
    }

    fn is_text(&self, value: ValueId) -> bool {
        matches!(self.values.get(value), Value::Text(_) | Value::SomeText)
    }

    fn add_kind(&mut self, to: CellId, value: ValueId) {
        let value = match self.values.get(value) {
            Value::Text(_) | Value::SomeText => self.values.id(Value::SomeText),
            Value::Int(_) | Value::SomeNumber => self.values.id(Value::SomeNumber),
            Value::Object(..) => value,
            _ => return,
        };
        self.add(to, value);
    }

    pub(super) fn into_found(mut self) -> Found {
        self.collect_calls();
        self.callbacks.sort_unstable();
        self.callbacks.dedup();
        self.found.callbacks = std::mem::take(&mut self.callbacks);
        self.found.inherits.sort_unstable();
        self.found.inherits.dedup();
        self.found.owners.sort_unstable();
        self.found.owners.dedup();
        self.found
    }

    /// A call is certain if it can reach one thing only, and nothing was guessed or dropped on the way.
    fn collect_calls(&mut self) {
        let mut targets = std::mem::take(&mut self.targets);
        targets.sort_unstable();
        let mut calls = Vec::with_capacity(targets.len());
        for group in targets.chunk_by(|a, b| a.0 == b.0) {
            let CallSite { at, callee, .. } = self.sites[group[0].0 as usize];
            let one = group.iter().all(|(_, target, _)| *target == group[0].1);
            for (_, target, certain) in group {
                let certain = *certain && one && !self.is_full(callee);
                let Site { unit, function: caller, expr, line } = at;
                calls.push(Call { unit, expr, caller, line, target: *target, certain });
            }
        }
        // Of several ways to one target the most certain counts; it is the last of its equals.
        calls.sort_unstable();
        calls.reverse();
        calls.dedup_by_key(|call| (call.unit, call.expr, call.caller, call.line, call.target));
        calls.reverse();
        self.found.calls = calls;
    }
}
