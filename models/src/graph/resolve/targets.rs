//! What is assigned. In: targets and the cells of their values. Out: values of variables, writes of places, values that are
//! taken apart.

use super::flow::Flow;
use super::uses::{Access, KeyOf, Take};
use super::values::{CellId, Key, NOTHING, ObjectKind};
use crate::graph::ir::{Collection, ExprId, ExprKind};

impl Flow<'_, '_> {
    /// Gives a target a value.
    pub(super) fn assign(&mut self, target: ExprId, value: CellId) {
        let unit = self.unit;
        match unit.expr(target).kind {
            ExprKind::Name(..) => {
                if let Some(var) = self.solver.bindings[self.id.index()].var(target) {
                    self.define(var, value);
                } else if let ExprKind::Name(name, _) = unit.expr(target).kind {
                    self.solver.write_package_name(self.id, name, value);
                }
            }
            ExprKind::Attr(object, name) => {
                let base = self.eval(object);
                self.put(target, base, KeyOf::Fixed(Key::attribute(name)), value);
            }
            ExprKind::Index(object, key) => {
                let base = self.eval(object);
                let key = self.key(key);
                self.put(target, base, key, value);
            }
            ExprKind::Collection(_, parts) => self.take_apart(target, unit.exprs_of(parts), value),
            ExprKind::Map(_, entries) => {
                for entry in unit.entries(entries) {
                    let part = match entry.key {
                        Some(key) => {
                            let key = self.key(key);
                            self.access(target, value, key, false)
                        }
                        None => value,
                    };
                    self.assign(entry.value, part);
                }
            }
            ExprKind::Assign(inner, default) => {
                let default = self.eval(default);
                let either = self.either(&[value, default]);
                self.assign(inner, either);
            }
            ExprKind::Spread(inner) => self.assign(inner, value),
            _ => {
                self.eval(target);
            }
        }
    }

    fn put(&mut self, target: ExprId, base: CellId, key: KeyOf, cell: CellId) {
        let at = self.site(target);
        self.solver.write(Access { base, key, cell, at, called: false });
        match key {
            KeyOf::Fixed(key) if key != Key::ANY => {
                // Other objects may be the same.
                self.known.retain(|(_, known), _| *known != key);
                if base != NOTHING {
                    self.known.insert((base, key), cell);
                }
            }
            _ => self.forget(),
        }
    }

    fn take_apart(&mut self, target: ExprId, parts: &[ExprId], value: CellId) {
        let at = self.site(target);
        let mut spread = None;
        for (place, part) in parts.iter().enumerate() {
            let behind = (parts.len() - place - 1) as u32;
            if let ExprKind::Spread(inner) = self.unit.expr(*part).kind {
                spread = Some(place);
                let object = self.solver.values.object(ObjectKind::Collection(Collection::List));
                let take = Take::Rest { from: place as u32, end: behind, object };
                self.solver.take_apart(value, take, at);
                let rest = self.solver.constant_of(object);
                self.assign(inner, rest);
                continue;
            }
            let cell = self.solver.cell();
            let take = match spread {
                None => Take::Nth(place as u32, cell),
                Some(_) => Take::NthLast(behind, cell),
            };
            self.solver.take_apart(value, take, at);
            self.assign(*part, cell);
        }
    }
}
