//! Calls of libraries. In: the path of a library function, its receiver and arguments. Out: what its model says: calls of
//! the functions that it is given, flows of elements, a result.

use super::cells::Solver;
use super::uses::{Access, ArgCell, CallSite, KeyOf, Site, Take, Use};
use super::values::{CellId, Key, ObjectKind, Value, ValueId};
use crate::graph::ir::{CallKind, Collection, Spread};
use crate::graph::language::Model;
use crate::graph::names::Symbol;

impl Solver<'_> {
    pub(super) fn call_library(&mut self, site: u32, path: Symbol, receiver: Option<ValueId>, certain: bool) {
        self.library_target(site, path, certain);
        let receiver_key = receiver.map_or(u32::MAX, |receiver| receiver.0);
        if !self.done.insert((site, path.0, receiver_key)) {
            return;
        }
        let CallSite { at, .. } = self.sites[site as usize];
        let model = match self.library_models.get(&path) {
            Some(model) => *model,
            None => {
                let model = self.language(at.unit).model(self.names.text(path));
                self.library_models.insert(path, model);
                model
            }
        };
        self.follow_model(site, model, path, receiver);
    }

    fn follow_model(&mut self, site: u32, model: Model, path: Symbol, receiver: Option<ValueId>) {
        let CallSite { result, .. } = self.sites[site as usize];
        match model {
            Model::Unknown => self.call_unknown(site, path),
            Model::Nothing => {}
            Model::Text => self.give(result, Value::SomeText),
            Model::Number => self.give(result, Value::SomeNumber),
            Model::Super => self.give_super(site),
            Model::Same => self.for_first(site, |solver, cell| solver.flow(cell, result)),
            Model::ListOf => self.list_arguments(site),
            Model::Append => self.append(site),
            Model::NewPromise => self.call_first(site),
            Model::Get
            | Model::GetOrSet
            | Model::Take
            | Model::Values
            | Model::Keys
            | Model::Items
            | Model::Copy
            | Model::Add
            | Model::AddAll
            | Model::Update => self.use_container(site, model, receiver),
            Model::MapMethod
            | Model::FilterMethod
            | Model::FindMethod
            | Model::ReduceMethod
            | Model::Then => {
                self.call_with_elements(site, model, receiver);
            }
            Model::CallMethod | Model::ApplyMethod | Model::BindMethod => {
                self.use_function(site, model, receiver)
            }
            Model::GetAttribute | Model::SetAttribute => self.use_attribute(site, model),
            Model::CreateObject | Model::Assign | Model::SetPrototype | Model::Inherit => {
                self.use_object(site, model)
            }
            Model::NewMap => self.map_of_pairs(site),
            Model::Resolve | Model::ResolveAll => self.settle(site, model),
            Model::Elements | Model::Map | Model::Filter | Model::Pick | Model::Enumerate | Model::Zip => {
                self.use_elements(site, model);
            }
        }
    }

    fn give(&mut self, result: CellId, value: Value) {
        let value = self.values.id(value);
        self.add(result, value);
    }

    fn for_first(&mut self, site: u32, then: impl FnOnce(&mut Self, CellId)) {
        if let Some(cell) = self.args_of(site).first().map(|arg| arg.cell) {
            then(self, cell);
        }
    }

    /// What is not known may call what it is given, and gives back a part of itself. A decorator gives back what it
    /// decorates, too: most only wrap it.
    fn call_unknown(&mut self, site: u32, path: Symbol) {
        let CallSite { result, kind, .. } = self.sites[site as usize];
        self.give(result, Value::LibraryResult(path));
        for arg in self.args_of(site).to_vec() {
            self.add_use(arg.cell, Use::Escape(site, path));
            if kind == CallKind::Decorator {
                self.flow(arg.cell, result);
            }
        }
    }

    fn list_arguments(&mut self, site: u32) {
        let CallSite { result, .. } = self.sites[site as usize];
        let list = self.object_of(Collection::List, result);
        let place = self.field(list, Key::ANY);
        self.args_of(site).to_vec().iter().for_each(|arg| self.flow(arg.cell, place));
    }

    /// `append(list, element, more...)`; there may be no list yet.
    fn append(&mut self, site: u32) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let args = self.args_of(site).to_vec();
        let Some((list, added)) = args.split_first() else { return };
        self.object_of(Collection::List, result);
        self.flow(list.cell, result);
        for arg in added {
            let cell = match arg.spread {
                Spread::No => arg.cell,
                _ => {
                    let elements = self.cell();
                    self.elements(arg.cell, elements, at);
                    elements
                }
            };
            self.write(Access { base: result, key: KeyOf::Fixed(Key::ANY), cell, at, called: false });
        }
    }

    fn give_super(&mut self, site: u32) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let Some((class, receiver)) = self.method_around(at.function) else { return };
        self.add_use(receiver, Use::Parent(class, result));
    }

    /// The class and the receiver of a method, also within functions inside it.
    pub(super) fn method_around(&self, function: super::Fun) -> Option<(super::Cls, CellId)> {
        let mut function = function;
        // Functions nest no deeper than syntax does.
        for _ in 0..=self.bounds.syntax_depth {
            let info = &self.functions[function.index()];
            if let Some(class) = info.class {
                let first = info.params.first().map(|param| param.cell);
                let receiver = if info.language.receiver_is_parameter { first? } else { info.receiver };
                return Some((class, receiver));
            }
            function = self.function_around(function)?;
        }
        None
    }

    fn object_of(&mut self, kind: Collection, result: CellId) -> ValueId {
        let object = self.values.object(ObjectKind::Collection(kind));
        self.add(result, object);
        object
    }

    fn use_elements(&mut self, site: u32, model: Model) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let args = self.args_of(site).to_vec();
        let elements = self.cell();
        for arg in &args {
            self.elements(arg.cell, elements, at);
        }
        match model {
            Model::Pick => {
                self.flow(elements, result);
                if args.len() > 1 {
                    args.iter().filter(|arg| arg.name.is_none()).for_each(|arg| self.flow(arg.cell, result));
                }
                self.call_named(at, &args, elements);
            }
            Model::Elements => {
                let list = self.object_of(Collection::List, result);
                let place = self.field(list, Key::ANY);
                self.flow(elements, place);
                self.call_named(at, &args, elements);
            }
            Model::Enumerate => {
                let iterator = self.object_of(Collection::Iterator, result);
                let pair = self.pair_in(iterator);
                let second = self.field(pair, Key::position(1));
                self.flow(elements, second);
            }
            Model::Zip => {
                let iterator = self.object_of(Collection::Iterator, result);
                let tuple = self.pair_in(iterator);
                for (place, arg) in args.iter().enumerate() {
                    let place = self.field(tuple, Key::position(place as i64));
                    self.elements(arg.cell, place, at);
                }
            }
            _ => {
                let iterator = self.object_of(Collection::Iterator, result);
                let place = self.field(iterator, Key::ANY);
                let returned = self.call_functions(at, &args, &[elements]);
                self.flow(if model == Model::Map { returned } else { elements }, place);
            }
        }
    }

    /// A tuple that is the only element of an iterator.
    fn pair_in(&mut self, iterator: ValueId) -> ValueId {
        let pair = self.values.object(ObjectKind::Collection(Collection::Tuple));
        let place = self.field(iterator, Key::ANY);
        self.add(place, pair);
        pair
    }

    /// Functions that are given by name (`key=`) are called with an element.
    fn call_named(&mut self, at: Site, args: &[ArgCell], elements: CellId) {
        let named: Vec<ArgCell> = args.iter().filter(|arg| arg.name.is_some()).copied().collect();
        self.call_functions(at, &named, &[elements]);
    }

    /// Calls whatever functions the arguments may be. What they return is in the cell that comes back.
    fn call_functions(&mut self, at: Site, functions: &[ArgCell], args: &[CellId]) -> CellId {
        let returned = self.cell();
        for function in functions {
            self.call_here(at, function.cell, args, returned);
        }
        returned
    }

    /// `new Promise(executor)`: the executor is called with functions that settle it.
    fn call_first(&mut self, site: u32) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let Some(executor) = self.args_of(site).first().copied() else { return };
        let promise = self.values.object(ObjectKind::Promise);
        self.add(result, promise);
        let ty = self.language(at.unit).rules().builtin_types.promise;
        let path = self.names.intern(&format!("{ty}.settle"));
        let settle = self.constant(Value::Method(path, promise));
        self.call_functions(at, &[executor], &[settle, settle]);
    }

    /// `new Map([[key, value]])`.
    fn map_of_pairs(&mut self, site: u32) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let map = self.object_of(Collection::Dict, result);
        let (pairs, place) = (self.cell(), self.field(map, Key::ANY));
        let Some(first) = self.args_of(site).first().map(|arg| arg.cell) else { return };
        self.elements(first, pairs, at);
        self.take_apart(pairs, Take::Nth(1, place), at);
    }

    fn settle(&mut self, site: u32, model: Model) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let promise = self.values.object(ObjectKind::Promise);
        self.add(result, promise);
        let settled = self.field(promise, Key::ANY);
        self.for_first(site, |solver, cell| {
            if model == Model::Resolve {
                solver.flow(cell, settled);
                return;
            }
            let list = solver.object_of(Collection::List, settled);
            let (elements, place) = (solver.cell(), solver.field(list, Key::ANY));
            solver.elements(cell, elements, at);
            solver.add_use(elements, Use::Await(place));
        });
    }
}
