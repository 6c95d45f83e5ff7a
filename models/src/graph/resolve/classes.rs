//! Members of classes. In: reads of members, and what classes inherit from. Out: flows from the first class that has the
//! member, in the order in which the language looks (C3), with the receiver bound to what is found. Where only a type is
//! known, what its subclasses have counts as well.

use std::rc::Rc;

use super::cells::Solver;
use super::uses::{Access, Use};
use super::values::{CellId, Cls, Key, Value, ValueId};
use super::{Inherits, Target};
use crate::graph::ir::{ExprKind, Member, ScopeId, UnitId};
use crate::graph::names::Symbol;

/// Classes above a class that are looked at.
const ANCESTORS_MAX: usize = 64;
/// Classes below a declared type that are looked at.
const SUBCLASSES_MAX: usize = 32;

impl Solver<'_> {
    /// A class comes to have a parent: what was read through it is read again.
    pub(super) fn base(&mut self, class: Cls, place: u32, base: ValueId) {
        let bases = &mut self.classes[class.index()].bases;
        if bases.iter().any(|(_, known)| *known == base) || bases.len() >= ANCESTORS_MAX {
            return;
        }
        let at = bases.partition_point(|(known, _)| *known <= place);
        bases.insert(at, (place, base));
        self.orders.clear();
        if let Value::Class(parent) = self.values.get(base) {
            self.found.inherits.push(Inherits { class, base: parent });
            self.classes[parent.index()].subclasses.push(class);
            self.repeat(parent);
        }
        self.repeat(class);
    }

    fn repeat(&mut self, class: Cls) {
        for (load, receiver) in self.classes[class.index()].readers.clone() {
            let base = self.loads[load as usize].base;
            self.delay(base, Use::LoadFrom(load, receiver), receiver);
        }
    }

    /// The class and those above it, in the order in which members are looked for. Parents that are no class of the
    /// program are in it, too.
    pub(super) fn order(&mut self, class: Cls) -> Rc<[ValueId]> {
        if let Some(order) = self.orders.get(&class) {
            return order.clone();
        }
        self.linear(class, 0)
    }

    fn linear(&mut self, class: Cls, depth: usize) -> Rc<[ValueId]> {
        let own = self.values.id(Value::Class(class));
        let alone: Rc<[ValueId]> = [own].into();
        if depth >= ANCESTORS_MAX {
            return alone;
        }
        // A class that inherits from itself, over whatever way, meets this.
        self.orders.insert(class, alone);
        let bases: Vec<ValueId> = self.classes[class.index()].bases.iter().map(|(_, base)| *base).collect();
        let mut lists = Vec::with_capacity(bases.len() + 1);
        for base in &bases {
            lists.push(match self.values.get(*base) {
                Value::Class(parent) => match self.orders.get(&parent) {
                    Some(order) => order.to_vec(),
                    None => self.linear(parent, depth + 1).to_vec(),
                },
                _ => vec![*base],
            });
        }
        lists.push(bases);
        let mut order = vec![own];
        merge(lists, &mut order);
        let order: Rc<[ValueId]> = order.into();
        self.orders.insert(class, order.clone());
        order
    }

    pub(super) fn load_instance(&mut self, load: u32, class: Cls, key: Key, receiver: ValueId) {
        let to = self.loads[load as usize].cell;
        let instance = self.values.id(Value::Instance(class));
        let own = self.field(instance, key);
        self.flow(own, to);
        let found = self.load_member(load, class, key, receiver);
        if matches!(self.values.get(receiver), Value::Declared(_)) {
            self.load_below(load, class, key, receiver);
        } else if !found {
            self.abstract_reads.push((load, class, key));
        }
    }

    /// Members of what inherits from a class.
    fn load_below(&mut self, load: u32, class: Cls, key: Key, receiver: ValueId) {
        let (mut below, mut at) = (vec![class], 0);
        while at < below.len().min(SUBCLASSES_MAX) {
            for subclass in self.classes[below[at].index()].subclasses.clone() {
                if !below.contains(&subclass) && below.len() < SUBCLASSES_MAX {
                    below.push(subclass);
                    // A method of the subclass has an instance of it.
                    let own = self.values.id(Value::Declared(subclass));
                    self.load_own_member(load, subclass, key, own);
                    self.watch(subclass, load, receiver);
                }
            }
            at += 1;
        }
    }

    /// What a class does not have, and nothing gave its instances, those that inherit from it are meant to have.
    pub(super) fn answer_abstract_reads(&mut self) {
        for (load, class, key) in std::mem::take(&mut self.abstract_reads) {
            if self.values_of(self.loads[load as usize].cell).is_empty() {
                let receiver = self.values.id(Value::Declared(class));
                self.load_below(load, class, key, receiver);
            }
        }
    }

    /// The member of the first class that has it.
    pub(super) fn load_member(&mut self, load: u32, class: Cls, key: Key, receiver: ValueId) -> bool {
        let order = self.order(class);
        let found = self.load_in_order(load, &order, key, receiver);
        self.watch(class, load, receiver);
        found
    }

    fn watch(&mut self, class: Cls, load: u32, receiver: ValueId) {
        let readers = &mut self.classes[class.index()].readers;
        if !readers.contains(&(load, receiver)) && readers.len() < self.bounds.values {
            readers.push((load, receiver));
        }
    }

    /// The member of the first class that has it behind that class, for the receiver.
    pub(super) fn load_above(&mut self, load: u32, class: Cls, key: Key, receiver: ValueId) {
        let own = match self.values.get(receiver) {
            Value::Instance(own) | Value::Declared(own) | Value::Class(own) => own,
            _ => class,
        };
        let order = self.order(own);
        let above = self.values.id(Value::Class(class));
        let behind = order.iter().position(|one| *one == above);
        match behind {
            Some(at) => {
                self.load_in_order(load, &order[at + 1..], key, receiver);
            }
            None => {
                let order = self.order(class);
                self.load_in_order(load, &order[1..], key, receiver);
            }
        }
    }

    fn load_in_order(&mut self, load: u32, order: &[ValueId], key: Key, receiver: ValueId) -> bool {
        for one in order {
            match self.values.get(*one) {
                Value::Class(class) if self.load_own_member(load, class, key, receiver) => return true,
                Value::Library(path) | Value::LibraryResult(path) => {
                    let Some(name) = key.as_attribute() else { return false };
                    // What every object has is not looked for in a library.
                    if !self.is_builtin(self.loads[load as usize].at.unit, path) {
                        let part = self.path(path, name);
                        let part = self.values.id(Value::LibraryResult(part));
                        let to = self.loads[load as usize].cell;
                        self.inherited.push((to, part));
                    }
                }
                Value::Function(function) => {
                    let prototype = self.values.id(Value::Prototype(function));
                    let own = self.field(prototype, key);
                    self.add_use(own, Use::Member(load, receiver));
                }
                _ => {}
            }
        }
        false
    }

    /// A class's own member. It may have been given to it from outside.
    fn load_own_member(&mut self, load: u32, class: Cls, key: Key, receiver: ValueId) -> bool {
        let Some(name) = key.as_attribute() else { return false };
        if !self.done.insert((load, class.0, receiver.0 | 1 << 31)) {
            return self.has_member(class, name);
        }
        let own = self.values.id(Value::Class(class));
        let given = self.field(own, key);
        self.add_use(given, Use::Member(load, receiver));
        let var = self.member_var(class, name);
        if let Some(var) = var {
            self.add_use(var, Use::Member(load, receiver));
        }
        self.has_member(class, name)
    }

    fn has_member(&self, class: Cls, name: Symbol) -> bool {
        self.member_var(class, name).is_some() || self.classes[class.index()].given.contains(&name)
    }

    /// A class that is said elsewhere to inherit from what a cell has.
    pub(super) fn inherit(&mut self, class: ValueId, base: CellId) {
        if let Value::Class(class) = self.values.get(class) {
            self.add_use(base, Use::Base(class, u32::MAX));
        }
    }

    /// A class comes to have a member that stands outside of it.
    pub(super) fn give_member(&mut self, class: ValueId, unit: UnitId, member: u32) {
        let Value::Class(class) = self.values.get(class) else { return };
        let source = &self.units[unit.index()];
        let Member { name, value, .. } = source.members[member as usize];
        let ExprKind::Function(function) = source.expr(value).kind else { return };
        let function = self.fun(unit, function);
        let given = &mut self.classes[class.index()].given;
        if !given.contains(&name) {
            given.push(name);
        }
        let own = self.values.id(Value::Class(class));
        let place = self.field(own, Key::attribute(name));
        let value = self.values.id(Value::Function(function));
        self.add(place, value);
        self.found.owners.push((function, class));
        let info = &mut self.functions[function.index()];
        info.class.get_or_insert(class);
        if let Some(first) = info.params.first().map(|param| param.cell).filter(|_| !info.flags.fixed) {
            let receiver = self.values.id(Value::Declared(class));
            self.add(first, receiver);
        }
    }

    pub(super) fn add_own(&mut self, to: CellId, value: ValueId) {
        if matches!(self.values.get(value), Value::Instance(_) | Value::Declared(_)) {
            self.add(to, value);
        }
    }

    /// The variable that a class declares by that name.
    pub(super) fn member_var(&self, class: Cls, name: Symbol) -> Option<CellId> {
        let info = &self.classes[class.index()];
        let var = self.bindings[info.unit].declared(ScopeId(info.scope), name)?;
        Some(self.vars[info.unit][var])
    }

    fn is_builtin(&self, unit: UnitId, path: Symbol) -> bool {
        self.language(unit).is_builtin(self.names.text(path))
    }

    /// A member that was found for a receiver: functions take it along, properties are called with it.
    pub(super) fn member(&mut self, load: u32, member: ValueId, receiver: ValueId) {
        let Access { cell: to, at, called, .. } = self.loads[load as usize];
        let Value::Function(function) = self.values.get(member) else {
            return self.add(to, member);
        };
        let info = &self.functions[function.index()];
        let (flags, python) = (info.flags, info.language.receiver_is_parameter);
        if flags.getter {
            return self.call_getter(load, function, receiver, at, to);
        }
        if flags.setter {
            return;
        }
        let receiver = match self.values.get(receiver) {
            Value::Class(class) if flags.of_class => self.values.id(Value::Class(class)),
            // A method that is read from its class has no receiver.
            Value::Class(_) if python => return self.add(to, member),
            Value::Instance(class) | Value::Declared(class) if flags.of_class => {
                self.values.id(Value::Class(class))
            }
            _ => receiver,
        };
        let takes = if python { !flags.fixed } else { called && !flags.arrow };
        let value = if takes { self.values.id(Value::Bound(function, receiver)) } else { member };
        if flags.declared_only {
            return self.bodiless.push((to, value));
        }
        self.add(to, value);
    }

    fn call_getter(
        &mut self,
        load: u32,
        function: super::Fun,
        receiver: ValueId,
        at: super::uses::Site,
        to: CellId,
    ) {
        if !self.done.insert((load, function.0 | 1 << 31, receiver.0)) {
            return;
        }
        let callee = self.values.id(Value::Bound(function, receiver));
        let callee = self.constant_of(callee);
        self.call_here(at, callee, &[], to);
    }

    pub(super) fn library_target(&mut self, site: u32, path: Symbol, certain: bool) {
        self.targets.push((site, Target::Library(path), certain));
    }

    /// Instances of what a type names.
    pub(super) fn instance(&mut self, to: CellId, ty: ValueId, unit: UnitId) {
        let value = match self.values.get(ty) {
            Value::Class(class) => Value::Declared(class),
            kept @ (Value::Object(..) | Value::LibraryResult(_) | Value::Declared(_) | Value::SomeText)
                if self.language(unit).rules().types_bind =>
            {
                kept
            }
            Value::Library(path)
                if self.language(unit).rules().types_bind || !self.is_builtin(unit, path) =>
            {
                Value::LibraryResult(path)
            }
            _ => return,
        };
        let value = self.values.id(value);
        self.add(to, value);
    }
}

/// The C3 merge. Where parents contradict each other the first in line is taken, as no program does that runs.
fn merge(mut lists: Vec<Vec<ValueId>>, order: &mut Vec<ValueId>) {
    lists.iter_mut().for_each(|list| list.reverse());
    while order.len() < ANCESTORS_MAX {
        lists.retain(|list| !list.is_empty());
        let heads = || lists.iter().filter_map(|list| list.last());
        let in_tail = |head: &ValueId| lists.iter().any(|list| list[..list.len() - 1].contains(head));
        let Some(next) = heads().find(|head| !in_tail(head)).or_else(|| heads().next()).copied() else {
            return;
        };
        if !order.contains(&next) {
            order.push(next);
        }
        for list in &mut lists {
            if list.last() == Some(&next) {
                list.pop();
            } else {
                list.retain(|one| *one != next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_stand_behind_all_their_children_and_in_the_order_in_which_they_are_named() {
        let ids = |numbers: &[u32]| numbers.iter().map(|number| ValueId(*number)).collect::<Vec<_>>();
        // D(B, C), B(A), C(A).
        let mut order = ids(&[4]);
        merge(vec![ids(&[2, 1]), ids(&[3, 1]), ids(&[2, 3])], &mut order);
        assert_eq!(order, ids(&[4, 2, 3, 1]));
    }

    #[test]
    fn parents_that_contradict_each_other_end_all_the_same() {
        let ids = |numbers: &[u32]| numbers.iter().map(|number| ValueId(*number)).collect::<Vec<_>>();
        let mut order = ids(&[9]);
        merge(vec![ids(&[1, 2]), ids(&[2, 1])], &mut order);
        assert_eq!(order, ids(&[9, 1, 2]));
    }
}
