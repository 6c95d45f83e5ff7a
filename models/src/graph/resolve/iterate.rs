//! Elements. In: values that are iterated, taken apart, waited for or entered. Out: flows from their elements. What an
//! instance gives is what its own methods return, so iterating one calls them.

use super::cells::Solver;
use super::uses::{Access, Iteration, KeyOf, Site, Take, TakeFrom, Use};
use super::values::{CellId, Key, ObjectKind, Value, ValueId};
use crate::graph::ir::Collection;

/// Places of a container that are copied one by one; those behind have no known place in the copy.
const PLACES_MAX: u32 = 32;

impl Solver<'_> {
    /// The elements of a cell's values.
    pub(super) fn elements(&mut self, cell: CellId, to: CellId, at: Site) {
        let iteration = self.iterations.len() as u32;
        self.iterations.push(Iteration { cell, to, at, calls_made: false });
        self.add_use(cell, Use::Iterate(iteration));
    }

    pub(super) fn iterate(&mut self, iteration: u32, value: ValueId) {
        let Iteration { to, at, .. } = self.iterations[iteration as usize];
        match self.values.get(value) {
            Value::Object(ObjectKind::Collection(Collection::Dict), _)
                if self.language(at.unit).rules().maps_give_keys =>
            {
                let keys = self.field(value, Key::KEYS);
                self.flow(keys, to);
            }
            Value::Object(..) => {
                let all = self.any_element(value);
                self.flow(all, to);
            }
            Value::Generator(function) => {
                let yielded = self.functions[function.index()].yielded;
                self.flow(yielded, to);
            }
            Value::Library(path) | Value::LibraryResult(path) => {
                let part = self.values.id(Value::LibraryResult(path));
                self.add(to, part);
            }
            Value::Text(_) | Value::SomeText => {
                let text = self.values.id(Value::SomeText);
                self.add(to, text);
            }
            Value::Instance(_) | Value::Declared(_) => self.iterate_instances(iteration),
            _ => {}
        }
    }

    /// `__next__` is called on what `__iter__` returns.
    fn iterate_instances(&mut self, iteration: u32) {
        let Iteration { cell, to, at, calls_made } = self.iterations[iteration as usize];
        let Some((first, second)) = self.language(at.unit).rules().iteration.filter(|_| !calls_made) else {
            return;
        };
        self.iterations[iteration as usize].calls_made = true;
        let iterator = self.call_method_here(at, cell, first);
        let element = self.call_method_here(at, iterator, second);
        self.flow(element, to);
        // A generator method gives its elements itself.
        self.elements_of_generators(iterator, to, at);
    }

    fn elements_of_generators(&mut self, iterator: CellId, to: CellId, at: Site) {
        let iteration = self.iterations.len() as u32;
        self.iterations.push(Iteration { cell: iterator, to, at, calls_made: true });
        self.add_use(iterator, Use::Iterate(iteration));
    }

    /// Calls the method of that name of a cell's values, without arguments.
    pub(super) fn call_method_here(&mut self, at: Site, object: CellId, name: &str) -> CellId {
        let name = self.names.intern(name);
        let (callee, result) = (self.cell(), self.cell());
        let key = KeyOf::Fixed(Key::attribute(name));
        self.read(Access { base: object, key, cell: callee, at, called: true });
        self.call_here(at, callee, &[], result);
        result
    }

    pub(super) fn take(&mut self, take: u32, value: ValueId) {
        let TakeFrom { take, at, cell } = self.takes[take as usize];
        let length = self.lengths.get(&value).copied();
        let ordered = match self.values.get(value) {
            Value::Object(ObjectKind::Collection(kind), _) => {
                kind != Collection::Dict && kind != Collection::Set
            }
            _ => false,
        };
        match take {
            Take::Nth(place, to) if ordered => self.read_element(value, Key::position(i64::from(place)), to),
            Take::NthLast(place, to) if ordered => {
                match length.and_then(|length| length.checked_sub(place + 1)) {
                    Some(place) => self.read_element(value, Key::position(i64::from(place)), to),
                    None => self.read_element(value, Key::ANY, to),
                }
            }
            Take::Rest { from, end, object } if ordered => {
                let to = length.map(|length| length.saturating_sub(end));
                self.copy_places(value, from, to, object);
            }
            Take::Slice { from, to, object } if ordered => self.copy_places(value, from, to, object),
            Take::Nth(_, to) | Take::NthLast(_, to) => {
                // Whatever is no container of known places gives any of its elements.
                self.elements_once(cell, to, at);
            }
            Take::Rest { object, .. } | Take::Slice { object, .. } => {
                let to = self.field(object, Key::ANY);
                self.elements_once(cell, to, at);
            }
        }
    }

    fn elements_once(&mut self, cell: CellId, to: CellId, at: Site) {
        if self.done.insert((u32::MAX, cell.0, to.0)) {
            self.elements(cell, to, at);
        }
    }

    fn copy_places(&mut self, from_object: ValueId, from: u32, to: Option<u32>, into: ValueId) {
        let keys = self.keys.get(&from_object).cloned().unwrap_or_default();
        let wanted = |place: &u32| *place >= from && to.is_none_or(|to| *place < to);
        for place in keys.iter().filter_map(|key| key.as_position()).filter(wanted).take(PLACES_MAX as usize)
        {
            let source = self.field(from_object, Key::position(i64::from(place)));
            let copy = self.field(into, Key::position(i64::from(place - from)));
            self.flow(source, copy);
        }
        let anywhere = self.field(from_object, Key::ANY);
        let copy = self.field(into, Key::ANY);
        self.flow(anywhere, copy);
    }

    /// What is waited for gives its value; what need not be waited for is its own.
    pub(super) fn wait(&mut self, to: CellId, value: ValueId) {
        match self.values.get(value) {
            Value::Object(ObjectKind::Promise, _) => {
                let settled = self.field(value, Key::ANY);
                self.add_use(settled, Use::Await(to));
            }
            _ => self.add(to, value),
        }
    }

    /// Entering calls one method and gives what it returns, leaving calls the other. A library's resource gives a part
    /// of itself, and a generator what it yields.
    pub(super) fn enter(&mut self, iteration: u32, value: ValueId, cell: CellId) {
        let Iteration { to, at, calls_made, .. } = self.iterations[iteration as usize];
        match self.values.get(value) {
            Value::Instance(_) | Value::Declared(_) => {
                let resource = self.language(at.unit).rules().resource.filter(|_| !calls_made);
                let Some((enter, leave)) = resource else { return };
                self.iterations[iteration as usize].calls_made = true;
                let entered = self.call_method_here(at, cell, enter);
                self.flow(entered, to);
                self.call_method_here(at, cell, leave);
            }
            Value::Generator(function) => {
                let yielded = self.functions[function.index()].yielded;
                self.flow(yielded, to);
            }
            Value::Library(_) | Value::LibraryResult(_) => self.add(to, value),
            _ => {}
        }
    }
}
