//! Places in objects. In: reads and writes of attributes and elements, value by value. Out: flows between their cells
//! and those of the places. Attributes of built-in values are library methods, with the value as their receiver.

use super::cells::Solver;
use super::uses::{Access, KeyOf, Use};
use super::values::{CellId, Cls, Key, NOTHING, ObjectKind, Value, ValueId};
use crate::graph::ir::{Collection, ExprKind, ScopeId, UnitId};
use crate::graph::language::BuiltinTypes;
use crate::graph::names::Symbol;

/// Parts of a library's path; what is further inside is the part itself.
const PATH_PARTS_MAX: usize = 8;
/// Star imports of star imports that are followed.
const STARS_MAX: u32 = 4;

impl Solver<'_> {
    /// The cell of a place.
    pub(super) fn field(&mut self, object: ValueId, key: Key) -> CellId {
        if let Some(cell) = self.fields.get(&(object, key)) {
            return *cell;
        }
        let cell = self.cell();
        self.fields.insert((object, key), cell);
        self.keys.entry(object).or_default().push(key);
        let plain = matches!(self.values.get(object), Value::Object(ObjectKind::Plain, _));
        if key.is_element() || (plain && key.as_attribute().is_some()) {
            let all = self.any_element(object);
            self.flow(cell, all);
        }
        let followers = self.followers.get(&object).map_or(&[][..], |followers| followers);
        self.copies.extend(followers.iter().map(|follower| (object, key, *follower)));
        cell
    }

    /// The cell of all elements, whatever their places. Elements with unknown places are in it as well as in its source.
    pub(super) fn any_element(&mut self, object: ValueId) -> CellId {
        self.field(object, Key::ALL)
    }

    /// The entries of one object are those of another, too.
    pub(super) fn copy_entries(&mut self, from: ValueId, into: ValueId) {
        if from == into || !matches!(self.values.get(from), Value::Object(..)) {
            return;
        }
        let followers = self.followers.entry(from).or_default();
        if followers.contains(&into) {
            return;
        }
        followers.push(into);
        let keys = self.keys.get(&from).map_or(&[][..], |keys| keys);
        self.copies.extend(keys.iter().map(|key| (from, *key, into)));
    }

    pub(super) fn follow(&mut self, from: ValueId, key: Key, into: ValueId) {
        if key == Key::ALL || key == Key::PROTOTYPE {
            return;
        }
        let source = self.field(from, key);
        let copy = self.field(into, key);
        self.flow(source, copy);
    }

    pub(super) fn load(&mut self, load: u32, value: ValueId) {
        match self.loads[load as usize].key {
            KeyOf::Fixed(key) => self.load_at(load, value, key),
            KeyOf::Computed(cell) => {
                let keys = self.values_of(cell).to_vec();
                for key in keys {
                    let key = self.key_of(key, value);
                    self.load_at(load, value, key);
                }
            }
        }
    }

    pub(super) fn load_key(&mut self, load: u32, key: ValueId) {
        let Access { base, .. } = self.loads[load as usize];
        for value in self.values_of(base).to_vec() {
            let key = self.key_of(key, value);
            self.load_at(load, value, key);
        }
    }

    /// The place that a value names.
    fn key_of(&mut self, key: ValueId, object: ValueId) -> Key {
        let plain = matches!(self.values.get(object), Value::Object(ObjectKind::Plain, _));
        match self.values.get(key) {
            Value::Text(text) if plain => Key::attribute(text),
            Value::Text(text) => Key::text(text),
            Value::Int(number) => Key::position(number),
            _ => Key::ANY,
        }
    }

    fn load_at(&mut self, load: u32, value: ValueId, key: Key) {
        self.load_from_object(load, value, key, value);
    }

    pub(super) fn load_from(&mut self, load: u32, object: ValueId, receiver: ValueId) {
        if let KeyOf::Fixed(key) = self.loads[load as usize].key {
            self.load_from_object(load, object, key, receiver);
        }
    }

    fn load_from_object(&mut self, load: u32, object: ValueId, key: Key, receiver: ValueId) {
        let to = self.loads[load as usize].cell;
        match self.values.get(object) {
            Value::Instance(class) | Value::Declared(class) => self.load_instance(load, class, key, receiver),
            Value::Class(class) => {
                let own = self.field(object, key);
                self.flow(own, to);
                self.load_member(load, class, key, object);
            }
            Value::Module(unit) => self.load_module(unit, key, to, 0),
            Value::Library(path) => {
                let default = self.language(self.loads[load as usize].at.unit).rules().default_export;
                let is_default = |name| default.is_some_and(|default| self.names.text(name) == default);
                let part = match key.as_attribute() {
                    Some(name) if is_default(name) => Value::Library(path),
                    Some(name) => Value::Library(self.path(path, name)),
                    None => Value::LibraryResult(path),
                };
                let part = self.values.id(part);
                self.add(to, part);
            }
            Value::LibraryResult(path) => {
                let path = key.as_attribute().map_or(path, |name| self.path(path, name));
                let part = self.values.id(Value::LibraryResult(path));
                self.add(to, part);
            }
            Value::Object(kind, _) => self.load_object(load, object, kind, key, receiver),
            Value::Text(_) | Value::SomeText => {
                let any = self.values.id(Value::SomeText);
                self.load_method(load, |types| types.text, key, any);
            }
            Value::Int(_) | Value::SomeNumber => {
                let any = self.values.id(Value::SomeNumber);
                self.load_method(load, |types| types.number, key, any);
            }
            Value::Generator(function) => {
                if key.is_element() {
                    let yielded = self.functions[function.index()].yielded;
                    self.flow(yielded, to);
                }
                self.load_method(load, |types| types.iterator, key, object);
            }
            Value::Function(_) | Value::Bound(..) => self.load_function(load, object, key),
            Value::Made(function) => {
                let own = self.field(object, key);
                self.flow(own, to);
                let prototype = self.values.id(Value::Prototype(function));
                self.load_from_object(load, prototype, key, receiver);
            }
            Value::Prototype(_) => self.load_inherited(load, object, key, receiver),
            Value::Super(class, below) => self.load_above(load, class, key, below),
            Value::Method(..) => {}
        }
    }

    fn load_object(&mut self, load: u32, object: ValueId, kind: ObjectKind, key: Key, receiver: ValueId) {
        let to = self.loads[load as usize].cell;
        let ty: fn(&BuiltinTypes) -> &'static str = match kind {
            ObjectKind::Plain => {
                self.load_inherited(load, object, key, receiver);
                if key == Key::ANY {
                    let all = self.any_element(object);
                    self.flow(all, to);
                }
                return;
            }
            ObjectKind::Promise => |types| types.promise,
            ObjectKind::Collection(Collection::List) => |types| types.list,
            ObjectKind::Collection(Collection::Tuple) => |types| types.tuple,
            ObjectKind::Collection(Collection::Set) => |types| types.set,
            ObjectKind::Collection(Collection::Dict) => |types| types.dict,
            ObjectKind::Collection(Collection::Iterator) => |types| types.iterator,
        };
        if key.as_attribute().is_some() {
            self.load_method(load, ty, key, object);
        } else {
            self.read_element(object, key, to);
        }
    }

    /// An element at a known place may also be one whose place was not known.
    pub(super) fn read_element(&mut self, object: ValueId, key: Key, to: CellId) {
        if key == Key::ANY {
            let all = self.any_element(object);
            self.flow(all, to);
            return;
        }
        let exact = self.field(object, key);
        self.flow(exact, to);
        let anywhere = self.field(object, Key::ANY);
        self.flow(anywhere, to);
    }

    /// What the object has itself, and what it inherits from its prototypes.
    fn load_inherited(&mut self, load: u32, object: ValueId, key: Key, receiver: ValueId) {
        let own = self.field(object, key);
        self.add_use(own, Use::Member(load, receiver));
        let prototypes = self.field(object, Key::PROTOTYPE);
        if self.done.insert((load, object.0, receiver.0)) {
            self.add_use(prototypes, Use::LoadFrom(load, receiver));
        }
    }

    fn load_method(&mut self, load: u32, ty: fn(&BuiltinTypes) -> &'static str, key: Key, receiver: ValueId) {
        let Some(name) = key.as_attribute() else { return };
        let Access { at, cell, .. } = self.loads[load as usize];
        let ty = ty(&self.language(at.unit).rules().builtin_types);
        let ty = self.names.intern(ty);
        let path = self.path(ty, name);
        let method = self.values.id(Value::Method(path, receiver));
        self.add(cell, method);
    }

    /// A function's own attributes; its prototype; its built-in methods.
    fn load_function(&mut self, load: u32, object: ValueId, key: Key) {
        let to = self.loads[load as usize].cell;
        if self.language(self.loads[load as usize].at.unit).rules().functions_are_objects {
            return self.add(to, object);
        }
        let Value::Function(function) = self.values.get(object) else {
            return self.load_method(load, |types| types.function, key, object);
        };
        let own = self.field(object, key);
        self.flow(own, to);
        let name = key.as_attribute().map(|name| self.names.text(name));
        match name {
            Some("prototype") => {
                let prototype = self.values.id(Value::Prototype(function));
                self.add(to, prototype);
            }
            Some("call" | "apply" | "bind") => self.load_method(load, |types| types.function, key, object),
            _ => {}
        }
    }

    /// A module's name, or the module of that name inside it.
    pub(super) fn load_module(&mut self, unit: UnitId, key: Key, to: CellId, depth: u32) {
        let module = self.values.id(Value::Module(unit));
        let own = self.field(module, key);
        self.flow(own, to);
        let Some(name) = key.as_attribute() else { return };
        let source = &self.units[unit.index()];
        let rules = self.language(unit).rules();
        let var = self.bindings[unit.index()].declared(ScopeId(0), name).filter(|_| rules.scope_is_exported);
        if let Some(var) = var {
            let var = self.vars[unit.index()][var];
            self.flow(var, to);
            if !rules.packages {
                return;
            }
        }
        if rules.packages
            && let Some(all) = self.package_name(unit, name)
        {
            return self.flow(all, to);
        }
        if rules.default_export.is_some_and(|default| self.names.text(name) == default) {
            // A module that has no default is its own.
            let exports = self.field(module, Key::EXPORTS);
            self.flow(exports, to);
            if !source.has_default {
                self.add(to, module);
            }
            return;
        }
        if rules.scope_is_exported {
            let inner = format!("{}.{}", self.names.text(source.module), self.names.text(name));
            if let Some(inner) = self.modules.named(self.names, source.language, &inner) {
                let inner = self.values.id(Value::Module(inner));
                return self.add(to, inner);
            }
        }
        if depth < STARS_MAX {
            self.load_stars(unit, name, to, depth);
        }
    }

    /// A name that a module has by taking in all names of others.
    pub(super) fn load_stars(&mut self, unit: UnitId, name: Symbol, to: CellId, depth: u32) {
        let source = &self.units[unit.index()];
        for module in &source.imports_all {
            let ExprKind::Import(spec) = source.expr(*module).kind else { continue };
            match self.modules.resolve(self.units, self.names, unit, spec) {
                super::Imported::Unit(other) if other != unit => {
                    self.load_module(other, Key::attribute(name), to, depth + 1);
                }
                super::Imported::Unit(_) => {}
                super::Imported::Library(path) => {
                    let path = self.names.intern(&path);
                    let path = self.path(path, name);
                    let part = self.values.id(Value::LibraryResult(path));
                    self.add(to, part);
                }
            }
        }
    }

    /// A part of a library by its path.
    pub(super) fn path(&mut self, path: Symbol, name: Symbol) -> Symbol {
        if let Some(known) = self.paths.get(&(path, name)) {
            return *known;
        }
        let text = self.names.text(path);
        if text.bytes().filter(|byte| *byte == b'.').count() >= PATH_PARTS_MAX {
            return path;
        }
        let text = format!("{text}.{}", self.names.text(name));
        let part = self.names.intern(&text);
        self.paths.insert((path, name), part);
        part
    }

    pub(super) fn store(&mut self, store: u32, value: ValueId) {
        match self.stores[store as usize].key {
            KeyOf::Fixed(key) => self.store_at(store, value, key),
            KeyOf::Computed(cell) => {
                for key in self.values_of(cell).to_vec() {
                    let key = self.key_of(key, value);
                    self.store_at(store, value, key);
                }
            }
        }
    }

    pub(super) fn store_key(&mut self, store: u32, key: ValueId) {
        let Access { base, .. } = self.stores[store as usize];
        for value in self.values_of(base).to_vec() {
            let key = self.key_of(key, value);
            self.store_at(store, value, key);
        }
    }

    fn store_at(&mut self, store: u32, value: ValueId, key: Key) {
        let from = self.stores[store as usize].cell;
        let object = match self.values.get(value) {
            Value::Declared(class) => self.values.id(Value::Instance(class)),
            Value::Module(unit) => {
                let name = key.as_attribute();
                let scope = ScopeId(0);
                let var = name.and_then(|name| self.bindings[unit.index()].declared(scope, name));
                if let Some(var) = var.filter(|_| self.language(unit).rules().scope_is_exported) {
                    let var = self.vars[unit.index()][var];
                    return self.flow(from, var);
                }
                if let Some(name) = name.filter(|_| self.language(unit).rules().packages) {
                    return self.write_package_name(unit, name, from);
                }
                value
            }
            Value::Instance(_)
            | Value::Class(_)
            | Value::Made(_)
            | Value::Prototype(_)
            | Value::Function(_)
            | Value::Object(..) => value,
            _ => return,
        };
        let place = self.field(object, key);
        self.flow(from, place);
        match self.values.get(object) {
            Value::Instance(class) => self.watch_setters(store, class, key),
            Value::Prototype(function) => {
                // A method may be called on objects that are made elsewhere.
                let made = self.values.id(Value::Made(function));
                self.add_use(from, Use::Receiver(made));
            }
            _ => {}
        }
        if let Value::Function(function) = self.values.get(object)
            && key.as_attribute().is_some_and(|name| self.names.text(name) == "prototype")
        {
            // A whole prototype is what the function's own prototype inherits from.
            let prototype = self.values.id(Value::Prototype(function));
            let inherited = self.field(prototype, Key::PROTOTYPE);
            self.flow(from, inherited);
        }
    }

    /// Where a class has a setter, an assignment calls it.
    fn watch_setters(&mut self, store: u32, class: Cls, key: Key) {
        let Some(name) = key.as_attribute() else { return };
        for one in self.order(class).iter() {
            let Value::Class(class) = self.values.get(*one) else { continue };
            if let Some(var) = self.member_var(class, name) {
                return self.add_use(var, Use::Setter(store, class));
            }
        }
    }

    pub(super) fn call_setter(&mut self, store: u32, member: ValueId, class: Cls) {
        let Value::Function(function) = self.values.get(member) else { return };
        if !self.functions[function.index()].flags.setter {
            return;
        }
        let Access { cell, at, .. } = self.stores[store as usize];
        let instance = self.values.id(Value::Instance(class));
        let callee = self.constant(Value::Bound(function, instance));
        self.call_here(at, callee, &[cell], NOTHING);
    }

    /// A read of a place, once for all values of a cell.
    pub(super) fn read(&mut self, access: Access) -> CellId {
        if access.base == NOTHING {
            return NOTHING;
        }
        let load = self.loads.len() as u32;
        self.loads.push(access);
        self.add_use(access.base, Use::Load(load));
        if let KeyOf::Computed(key) = access.key {
            self.add_use(key, Use::LoadKey(load));
        }
        access.cell
    }

    /// A write of a place.
    pub(super) fn write(&mut self, access: Access) {
        if access.base == NOTHING || access.cell == NOTHING {
            return;
        }
        let store = self.stores.len() as u32;
        self.stores.push(access);
        self.add_use(access.base, Use::Store(store));
        if let KeyOf::Computed(key) = access.key {
            self.add_use(key, Use::StoreKey(store));
        }
    }
}
