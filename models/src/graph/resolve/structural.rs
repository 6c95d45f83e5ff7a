//! Interfaces that are met without being named. In: classes with their methods, those of embedded ones among them. Out:
//! each class inherits from every interface whose methods it has, by name and number of parameters.

use rustc_hash::FxHashMap;

use super::cells::Solver;
use super::values::{Cls, Value};
use crate::graph::names::Symbol;

/// Classes that are compared with one interface.
const CANDIDATES_MAX: usize = 512;

/// A method by its name and the number of its parameters.
type Method = (Symbol, usize);

#[derive(Default)]
struct Methods {
    /// Of interfaces: what they ask for.
    asked: FxHashMap<Cls, Vec<Method>>,
    /// Of other classes: what they have.
    has: FxHashMap<Cls, Vec<Method>>,
    by_method: FxHashMap<Method, Vec<Cls>>,
}

impl Solver<'_> {
    /// Lets classes inherit from the interfaces that they meet; tells whether any does.
    pub(super) fn link_structures(&mut self) -> bool {
        let methods = self.methods();
        let mut interfaces: Vec<Cls> = methods.asked.keys().copied().collect();
        interfaces.sort_unstable();
        let mut links = Vec::new();
        for interface in interfaces {
            let asked = self.all_methods(interface, &methods.asked);
            let classes = |method: &Method| methods.by_method.get(method).map_or(0, Vec::len);
            let Some(rarest) = asked.iter().min_by_key(|method| (classes(method), **method)) else {
                continue;
            };
            let direct = methods.by_method.get(rarest).map_or(&[][..], |classes| classes);
            let mut candidates = direct.to_vec();
            for class in direct {
                candidates.extend(&self.classes[class.index()].subclasses);
            }
            candidates.sort_unstable();
            candidates.dedup();
            for class in candidates.into_iter().take(CANDIDATES_MAX) {
                let has = self.all_methods(class, &methods.has);
                if !methods.asked.contains_key(&class) && asked.iter().all(|method| has.contains(method)) {
                    links.push((class, interface));
                }
            }
        }
        for (class, interface) in &links {
            let interface = self.values.id(Value::Class(*interface));
            self.base(*class, u32::MAX, interface);
        }
        !links.is_empty()
    }

    /// The methods of each class of a structural language.
    fn methods(&self) -> Methods {
        let mut methods = Methods::default();
        for (at, unit) in self.units.iter().enumerate() {
            if !crate::graph::language::of(unit.language).rules().structural {
                continue;
            }
            let first = self.found.first_function[at] as usize;
            for (number, function) in unit.functions.iter().enumerate() {
                let info = &self.functions[first + number];
                let Some(class) = info.class else { continue };
                let method = (function.name, info.params.len());
                if info.flags.declared_only {
                    methods.asked.entry(class).or_default().push(method);
                } else {
                    methods.has.entry(class).or_default().push(method);
                    methods.by_method.entry(method).or_default().push(class);
                }
            }
        }
        methods
    }

    /// A class's methods and those of what it inherits from.
    fn all_methods(&mut self, class: Cls, of: &FxHashMap<Cls, Vec<Method>>) -> Vec<Method> {
        let order = self.order(class);
        let classes = order.iter().filter_map(|one| match self.values.get(*one) {
            Value::Class(class) => of.get(&class),
            _ => None,
        });
        classes.flatten().copied().collect()
    }
}
