//! Names that the files of a module share. In: a file and a name that it does not declare itself. Out: the cell of what the
//! other files of its module declare by that name. A name that several declare, as for several platforms, may be any.

use rustc_hash::FxHashSet;

use super::cells::Solver;
use super::values::{CellId, NOTHING};
use crate::graph::ir::UnitId;
use crate::graph::names::Symbol;

impl Solver<'_> {
    /// Notes what each module of several files declares.
    pub(super) fn share_packages(&mut self) {
        let units = self.units;
        for (at, unit) in units.iter().enumerate() {
            let id = UnitId::of(at);
            if !self.language(id).rules().packages {
                continue;
            }
            let first = self.modules.first_of(unit, id);
            let mut vars: Vec<_> = self.bindings[at].of_module().collect();
            vars.sort_unstable();
            for (name, var) in vars {
                self.package_vars.entry((first, name)).or_default().push((at as u32, var as u32));
            }
        }
    }

    /// What a file's module calls so.
    pub(super) fn package_name(&mut self, unit: UnitId, name: Symbol) -> Option<CellId> {
        let first = self.modules.first_of(&self.units[unit.index()], unit);
        if let Some(cell) = self.package_cells.get(&(first, name)) {
            return Some(*cell);
        }
        let vars = self.package_vars.get(&(first, name))?;
        let cells: Vec<CellId> =
            vars.iter().map(|(unit, var)| self.vars[*unit as usize][*var as usize]).collect();
        let cell = match cells[..] {
            [one] => one,
            _ => {
                let all = self.cell();
                cells.iter().for_each(|cell| self.flow(*cell, all));
                all
            }
        };
        self.package_cells.insert((first, name), cell);
        Some(cell)
    }

    /// Another file of the module gives a name a value.
    pub(super) fn write_package_name(&mut self, unit: UnitId, name: Symbol, value: CellId) {
        if value == NOTHING || !self.language(unit).rules().packages {
            return;
        }
        let first = self.modules.first_of(&self.units[unit.index()], unit);
        let vars: FxHashSet<(u32, u32)> =
            self.package_vars.get(&(first, name)).into_iter().flatten().copied().collect();
        for (unit, var) in vars {
            let to = self.vars[unit as usize][var as usize];
            self.flow(value, to);
        }
    }
}
