//! Calls. In: what is called. Out: flows from arguments to parameters and from results to the call, and the target. A
//! class is called by making an instance and calling its constructor; what a library does is in `model`.

use super::cells::Solver;
use super::uses::{Access, ArgCell, CallSite, KeyOf, Site, Take, TakeFrom, Use};
use super::values::{CellId, Cls, Fun, Key, NOTHING, ObjectKind, Value, ValueId};
use super::{Callback, Target};
use crate::graph::ir::{CallKind, Collection, ParamKind, Spread};
use crate::graph::names::Symbol;

impl Solver<'_> {
    /// A call at a place, with arguments by position.
    pub(super) fn call_here(&mut self, at: Site, callee: CellId, args: &[CellId], result: CellId) {
        let start = self.args.len() as u32;
        let plain = |cell: &CellId| ArgCell { name: None, cell: *cell, spread: Spread::No };
        self.args.extend(args.iter().map(plain));
        self.add_call(CallSite {
            at,
            kind: CallKind::Plain,
            callee,
            args: (start, args.len() as u32),
            result,
        });
    }

    pub(super) fn add_call(&mut self, site: CallSite) {
        let number = self.sites.len() as u32;
        self.sites.push(site);
        self.add_use(site.callee, Use::Call(number));
    }

    pub(super) fn args_of(&self, site: u32) -> &[ArgCell] {
        let (start, len) = self.sites[site as usize].args;
        &self.args[start as usize..(start + len) as usize]
    }

    pub(super) fn call(&mut self, site: u32, callee: ValueId) {
        let CallSite { at, kind, result, .. } = self.sites[site as usize];
        match self.values.get(callee) {
            Value::Class(class) => self.make(site, class),
            _ if kind == CallKind::Raise => {}
            Value::Function(function) if kind == CallKind::New => {
                let made = self.values.id(Value::Made(function));
                self.add(result, made);
                self.enter_function(site, function, Some(made));
            }
            Value::Function(function) => self.enter_function(site, function, None),
            Value::Bound(function, receiver) => self.enter_function(site, function, Some(receiver)),
            Value::Library(path) | Value::LibraryResult(path)
                if kind == CallKind::New && self.language(at.unit).rules().literals =>
            {
                self.fill_library(site, path);
            }
            Value::Library(path) => self.call_library(site, path, None, true),
            Value::LibraryResult(path) => self.call_library(site, path, None, false),
            Value::Method(path, receiver) => self.call_library(site, path, Some(receiver), true),
            Value::Instance(_) | Value::Declared(_) => {
                let Some(method) = self.language(at.unit).rules().call_method else { return };
                self.call_member(site, callee, method);
            }
            Value::Super(..) => {
                let constructor = self.language(at.unit).rules().constructor;
                self.call_member(site, callee, constructor);
            }
            _ => {}
        }
    }

    /// An instance, and a call of its constructor.
    fn make(&mut self, site: u32, class: Cls) {
        let CallSite { at, result, .. } = self.sites[site as usize];
        let instance = self.values.id(Value::Instance(class));
        self.add(result, instance);
        if self.language(at.unit).rules().literals {
            return self.fill(site, instance);
        }
        let constructor = self.language(at.unit).rules().constructor;
        let made = self.without_result(site);
        self.call_member(made, instance, constructor);
    }

    /// Arguments by name are fields; those by position have no place that is known.
    fn fill(&mut self, site: u32, instance: ValueId) {
        for arg in self.args_of(site).to_vec() {
            let key = arg.name.map_or(Key::ANY, Key::attribute);
            let place = self.field(instance, key);
            self.flow(arg.cell, place);
        }
    }

    /// A library's type that is filled and not called; it may call the functions that it is given.
    fn fill_library(&mut self, site: u32, path: Symbol) {
        let part = self.values.id(Value::LibraryResult(path));
        self.add(self.sites[site as usize].result, part);
        for arg in self.args_of(site).to_vec() {
            self.add_use(arg.cell, Use::Escape(site, path));
        }
    }

    /// The same call, whose result is not the constructor's.
    fn without_result(&mut self, site: u32) -> u32 {
        let twin =
            CallSite { result: NOTHING, callee: NOTHING, kind: CallKind::Plain, ..self.sites[site as usize] };
        self.sites.push(twin);
        self.sites.len() as u32 - 1
    }

    /// The same call, of a member of the value.
    fn call_member(&mut self, site: u32, object: ValueId, name: &str) {
        let CallSite { at, .. } = self.sites[site as usize];
        let (base, callee) = (self.constant_of(object), self.cell());
        let key = KeyOf::Fixed(Key::attribute(self.names.intern(name)));
        self.read(Access { base, key, cell: callee, at, called: true });
        self.add_call(CallSite { callee, ..self.sites[site as usize] });
    }

    fn enter_function(&mut self, site: u32, function: Fun, receiver: Option<ValueId>) {
        if !self.fits(site, function, receiver) {
            return;
        }
        let info = &self.functions[function.index()];
        // A method without a body is reached where there is no other.
        if !info.flags.declared_only || self.values_of(self.sites[site as usize].callee).len() < 2 {
            let guessed =
                self.is_declared(receiver) && (!info.language.types_bind || info.flags.declared_only);
            self.targets.push((site, Target::Function(function), !guessed));
        }
        let info = &self.functions[function.index()];
        let shift = usize::from(info.language.receiver_is_parameter && receiver.is_some());
        if let Some(receiver) = receiver {
            let to = if shift == 1 {
                info.params.first().filter(|param| param.kind == ParamKind::One).map(|param| param.cell)
            } else {
                Some(info.receiver)
            };
            if let Some(to) = to {
                self.add(to, receiver);
            }
        }
        if self.done.insert((site, function.0, u32::MAX - shift as u32)) {
            self.pass_arguments(site, function, shift);
            self.give_back(site, function);
        }
    }

    /// Whether a function takes that many arguments, where that is sure to count.
    fn fits(&self, site: u32, function: Fun, receiver: Option<ValueId>) -> bool {
        let info = &self.functions[function.index()];
        let args = self.args_of(site);
        let any = args.iter().any(|arg| arg.spread != Spread::No)
            || info.params.iter().any(|param| param.kind != ParamKind::One);
        let given = args.len() + usize::from(info.language.receiver_is_parameter && receiver.is_some());
        any || !info.language.counts_bind || given == info.params.len()
    }

    fn is_declared(&self, receiver: Option<ValueId>) -> bool {
        receiver.is_some_and(|receiver| matches!(self.values.get(receiver), Value::Declared(_)))
    }

    fn give_back(&mut self, site: u32, function: Fun) {
        let CallSite { result, kind, .. } = self.sites[site as usize];
        let info = &self.functions[function.index()];
        let (flags, returned, promise) = (info.flags, info.returned, info.promise);
        if flags.generator {
            let generator = self.values.id(Value::Generator(function));
            self.add(result, generator);
        } else if let Some(promise) = promise {
            self.add(result, promise);
        } else if kind != CallKind::New {
            self.flow(returned, result);
        }
    }

    fn pass_arguments(&mut self, site: u32, function: Fun, shift: usize) {
        let args = self.args_of(site).to_vec();
        let mut position = shift;
        for arg in args {
            match (arg.spread, arg.name) {
                (Spread::Elements, _) => {
                    self.add_use(arg.cell, Use::Elements(site, function, position as u32));
                    // What follows may be at any place behind.
                    position += 1;
                }
                (Spread::Entries, _) => self.add_use(arg.cell, Use::Named(function)),
                (Spread::No, Some(name)) => self.pass_named(function, name, arg.cell),
                (Spread::No, None) => {
                    self.pass_position(function, position, arg.cell);
                    position += 1;
                }
            }
        }
    }

    fn pass_position(&mut self, function: Fun, position: usize, from: CellId) {
        let params = &self.functions[function.index()].params;
        let before_rest = params.iter().take_while(|param| param.kind == ParamKind::One).count();
        if position < before_rest {
            let to = params[position].cell;
            return self.flow(from, to);
        }
        let rest = params.iter().find(|param| param.kind == ParamKind::Rest).and_then(|param| param.rest);
        if let Some(rest) = rest {
            let place = Key::position((position - before_rest) as i64);
            let to = self.field(rest, place);
            self.flow(from, to);
        }
    }

    fn pass_named(&mut self, function: Fun, name: Symbol, from: CellId) {
        let params = &self.functions[function.index()].params;
        let takes = |kind| matches!(kind, ParamKind::One | ParamKind::Named);
        if let Some(param) = params.iter().find(|param| param.name == name && takes(param.kind)) {
            let to = param.cell;
            return self.flow(from, to);
        }
        let rest =
            params.iter().find(|param| param.kind == ParamKind::NamedRest).and_then(|param| param.rest);
        if let Some(rest) = rest {
            let to = self.field(rest, Key::text(name));
            self.flow(from, to);
        }
    }

    /// `*list`: its elements, by their places where those are known.
    pub(super) fn spread_elements(&mut self, site: u32, function: Fun, from: u32, value: ValueId) {
        let CallSite { at, .. } = self.sites[site as usize];
        let cell = self.constant_of(value);
        let info = &self.functions[function.index()];
        let count = info.params.iter().take_while(|param| param.kind == ParamKind::One).count() as u32;
        let rest = info.params.iter().find_map(|param| param.rest.filter(|_| param.kind == ParamKind::Rest));
        for place in 0..count.saturating_sub(from) {
            let to = self.functions[function.index()].params[(from + place) as usize].cell;
            self.take_apart(cell, Take::Nth(place, to), at);
        }
        if let Some(object) = rest {
            self.take_apart(cell, Take::Slice { from: count.saturating_sub(from), to: None, object }, at);
        }
    }

    /// `**map`: its entries, by their names.
    pub(super) fn spread_entries(&mut self, function: Fun, value: ValueId) {
        if !matches!(self.values.get(value), Value::Object(ObjectKind::Collection(Collection::Dict), _)) {
            return;
        }
        for param in self.functions[function.index()].params.clone() {
            match (param.kind, param.rest) {
                (ParamKind::One | ParamKind::Named, _) => {
                    let entry = self.field(value, Key::text(param.name));
                    self.flow(entry, param.cell);
                }
                (ParamKind::NamedRest, Some(rest)) => self.copy_entries(value, rest),
                _ => {}
            }
        }
    }

    pub(super) fn take_apart(&mut self, cell: CellId, take: Take, at: Site) {
        let number = self.takes.len() as u32;
        self.takes.push(TakeFrom { cell, take, at });
        self.add_use(cell, Use::Take(number));
    }

    pub(super) fn give_receiver(&mut self, function: ValueId, receiver: ValueId) {
        if let Value::Function(function) = self.values.get(function) {
            let to = self.functions[function.index()].receiver;
            self.add(to, receiver);
        }
    }

    /// A function that is given to a library may be called by it.
    pub(super) fn escape(&mut self, site: u32, value: ValueId, library: Symbol) {
        let (Value::Function(function) | Value::Bound(function, _)) = self.values.get(value) else { return };
        let Site { unit, line, .. } = self.sites[site as usize].at;
        self.callbacks.push(Callback { library, function, unit, line });
        if let Value::Bound(_, receiver) = self.values.get(value) {
            let info = &self.functions[function.index()];
            let first = info.params.first().map_or(NOTHING, |param| param.cell);
            let to = if info.language.receiver_is_parameter { first } else { info.receiver };
            self.add(to, receiver);
        }
    }
}
