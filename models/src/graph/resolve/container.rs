//! Methods of built-in values. In: their model, receiver and arguments. Out: flows into and out of containers, promises,
//! functions and objects, and calls of the functions that they are given.

use super::cells::Solver;
use super::uses::{Access, CallSite, KeyOf, Use};
use super::values::{CellId, Key, NOTHING, ObjectKind, Value, ValueId};
use crate::graph::ir::Collection;
use crate::graph::language::Model;

impl Solver<'_> {
    pub(super) fn use_container(&mut self, site: u32, model: Model, receiver: Option<ValueId>) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let args = self.args_of(site).to_vec();
        let first = args.first().map_or(NOTHING, |arg| arg.cell);
        let last = args.last().map_or(NOTHING, |arg| arg.cell);
        if model == Model::Copy && receiver.is_none() {
            return self.make_map(site);
        }
        let Some(object) = receiver.filter(|object| matches!(self.values.get(*object), Value::Object(..)))
        else {
            return;
        };
        match model {
            Model::Add => {
                let place = self.field(object, Key::ANY);
                self.flow(last, place);
            }
            Model::AddAll => {
                let place = self.field(object, Key::ANY);
                self.elements(first, place, at);
            }
            Model::Update => {
                self.add_use(first, Use::Entries(object));
                for (name, arg) in args.iter().filter_map(|arg| Some((arg.name?, arg))) {
                    let place = self.field(object, Key::text(name));
                    self.flow(arg.cell, place);
                }
            }
            Model::Get | Model::GetOrSet => {
                let base = self.constant_of(object);
                let key = KeyOf::Computed(first);
                let key = if first == NOTHING { KeyOf::Fixed(Key::ANY) } else { key };
                self.read(Access { base, key, cell: result, at, called: false });
                if args.len() > 1 {
                    self.flow(last, result);
                    if model == Model::GetOrSet {
                        self.write(Access { base, key, cell: last, at, called: false });
                    }
                }
            }
            Model::Take => {
                let all = self.any_element(object);
                self.flow(all, result);
            }
            Model::Copy => {
                let Value::Object(kind, _) = self.values.get(object) else { return };
                let copy = self.values.object(kind);
                self.copy_entries(object, copy);
                self.add(result, copy);
            }
            _ => self.iterate_map(object, model, result),
        }
    }

    /// A new map of the entries of the arguments.
    fn make_map(&mut self, site: u32) {
        let CallSite { result, .. } = self.sites[site as usize];
        let map = self.values.object(ObjectKind::Collection(Collection::Dict));
        self.add(result, map);
        for arg in self.args_of(site).to_vec() {
            match arg.name {
                Some(name) => {
                    let place = self.field(map, Key::text(name));
                    self.flow(arg.cell, place);
                }
                None => self.add_use(arg.cell, Use::Entries(map)),
            }
        }
    }

    fn iterate_map(&mut self, object: ValueId, model: Model, result: CellId) {
        let iterator = self.values.object(ObjectKind::Collection(Collection::Iterator));
        self.add(result, iterator);
        let place = self.field(iterator, Key::ANY);
        let (keys, all) = (self.field(object, Key::KEYS), self.any_element(object));
        match model {
            Model::Values => self.flow(all, place),
            Model::Keys => self.flow(keys, place),
            _ => {
                let pair = self.values.object(ObjectKind::Collection(Collection::Tuple));
                self.add(place, pair);
                let (first, second) =
                    (self.field(pair, Key::position(0)), self.field(pair, Key::position(1)));
                self.flow(keys, first);
                self.flow(all, second);
            }
        }
    }

    /// Functions that are called with elements of the receiver.
    pub(super) fn call_with_elements(&mut self, site: u32, model: Model, receiver: Option<ValueId>) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let Some(object) = receiver else { return };
        let args = self.args_of(site).to_vec();
        let Some(function) = args.first().map(|arg| arg.cell) else { return };
        let (elements, returned) = (self.any_element(object), self.cell());
        match model {
            Model::ReduceMethod => {
                let initial = args.get(1).map_or(elements, |arg| arg.cell);
                let so_far = self.cell();
                self.flow(initial, so_far);
                self.flow(returned, so_far);
                self.call_here(at, function, &[so_far, elements], returned);
                self.flow(so_far, result);
            }
            Model::Then => {
                let promise = self.values.object(ObjectKind::Promise);
                self.add(result, promise);
                let settled = self.field(promise, Key::ANY);
                let value = self.cell();
                self.add_use(elements, Use::Await(value));
                for arg in &args {
                    self.call_here(at, arg.cell, &[value], returned);
                }
                self.add_use(returned, Use::Await(settled));
            }
            Model::FindMethod => {
                self.call_here(at, function, &[elements], returned);
                self.flow(elements, result);
            }
            _ => {
                self.call_here(at, function, &[elements], returned);
                let list = self.values.object(ObjectKind::Collection(Collection::List));
                self.add(result, list);
                let place = self.field(list, Key::ANY);
                self.flow(if model == Model::MapMethod { returned } else { elements }, place);
            }
        }
    }

    /// `call`, `apply` and `bind` of a function: the first argument is the receiver.
    pub(super) fn use_function(&mut self, site: u32, model: Model, receiver: Option<ValueId>) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let Some(callee) = receiver else { return };
        let args = self.args_of(site).to_vec();
        let function = match self.values.get(callee) {
            Value::Function(function) | Value::Bound(function, _) => function,
            _ => return,
        };
        if let Some(receiver) = args.first() {
            let to = self.functions[function.index()].receiver;
            self.flow(receiver.cell, to);
        }
        let callee_cell = self.constant_of(callee);
        match model {
            Model::BindMethod => self.add(result, callee),
            Model::CallMethod => {
                let rest: Vec<CellId> = args.iter().skip(1).map(|arg| arg.cell).collect();
                self.call_here(at, callee_cell, &rest, result);
            }
            _ => {
                let elements = self.cell();
                if let Some(list) = args.get(1) {
                    self.elements(list.cell, elements, at);
                }
                let count = self.functions[function.index()].params.len();
                self.call_here(at, callee_cell, &vec![elements; count], result);
            }
        }
    }

    /// `getattr` and `setattr`.
    pub(super) fn use_attribute(&mut self, site: u32, model: Model) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let args = self.args_of(site).to_vec();
        let [object, name, rest @ ..] = &args[..] else { return };
        for value in self.values_of(name.cell).to_vec() {
            let Value::Text(text) = self.values.get(value) else { continue };
            let key = KeyOf::Fixed(Key::attribute(text));
            match (model, rest.first()) {
                (Model::GetAttribute, default) => {
                    self.read(Access { base: object.cell, key, cell: result, at, called: false });
                    if let Some(default) = default {
                        self.flow(default.cell, result);
                    }
                }
                (_, Some(value)) => {
                    self.write(Access { base: object.cell, key, cell: value.cell, at, called: false });
                }
                _ => {}
            }
        }
    }

    /// Functions on objects: creation from a prototype, copies of entries, another prototype.
    pub(super) fn use_object(&mut self, site: u32, model: Model) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let args = self.args_of(site).to_vec();
        let Some((first, rest)) = args.split_first() else { return };
        match model {
            Model::CreateObject => {
                let object = self.values.object(ObjectKind::Plain);
                self.add(result, object);
                let prototype = self.field(object, Key::PROTOTYPE);
                self.flow(first.cell, prototype);
            }
            Model::Assign => {
                self.flow(first.cell, result);
                for target in self.values_of(first.cell).to_vec() {
                    rest.iter().for_each(|source| self.add_use(source.cell, Use::Entries(target)));
                }
            }
            Model::Inherit => {
                let Some(parent) = rest.first() else { return };
                let name = KeyOf::Fixed(Key::attribute(self.names.intern("prototype")));
                let (own, above) = (self.cell(), self.cell());
                self.read(Access { base: first.cell, key: name, cell: own, at, called: false });
                self.read(Access { base: parent.cell, key: name, cell: above, at, called: false });
                let key = KeyOf::Fixed(Key::PROTOTYPE);
                self.write(Access { base: own, key, cell: above, at, called: false });
            }
            _ => {
                if let Some(prototype) = rest.first() {
                    let key = KeyOf::Fixed(Key::PROTOTYPE);
                    self.write(Access { base: first.cell, key, cell: prototype.cell, at, called: false });
                }
            }
        }
    }
}
