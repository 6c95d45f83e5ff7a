//! Tables of counts, and how they become arrivals. In: how often each function was called in each minute or second. Out:
//! calls in the order of time, by a stated rule: evenly within the unit, or each uniformly at random within it.

use serde::{Deserialize, Serialize};

use super::{App, Call, Fault, Limits};
use crate::dice::Dice;

/// How a count becomes arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expansion {
    /// `k` calls stand in the middle of `k` equal parts of the unit.
    Even,
    /// Each call stands anywhere in the unit, all places being equally likely. A function's calls of one unit depend on the
    /// seed, the function and the unit alone.
    Uniform {
        /// Another seed gives other places.
        seed: u64,
    },
}

/// Calls of one function in one unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) unit: u32,
    pub(super) function: u32,
    pub(super) count: u32,
}

/// A function within its application.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Function {
    pub(super) app: u32,
    pub(super) duration_us: u64,
}

/// A table of counts per unit of time.
#[derive(Clone, Debug)]
pub struct Counts {
    apps: Vec<App>,
    functions: Vec<Function>,
    cells: Vec<Cell>,
    unit_us: u64,
    first_unit: u32,
    units: u32,
}

impl Counts {
    /// Sorts the cells by time.
    ///
    /// # Errors
    /// [`Fault::TooMany`] if one unit has more calls than the limits allow.
    pub(super) fn new(
        apps: Vec<App>,
        functions: Vec<Function>,
        mut cells: Vec<Cell>,
        unit_us: u64,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        cells.sort_unstable();
        for unit in cells.chunk_by(|a, b| a.unit == b.unit) {
            let calls: u64 = unit.iter().map(|cell| u64::from(cell.count)).sum();
            if calls > limits.calls_per_unit_max {
                let what = "calls in one unit of time";
                return Err(Fault::TooMany { what, max: limits.calls_per_unit_max });
            }
        }
        let first_unit = cells.first().map_or(0, |cell| cell.unit);
        let units = cells.last().map_or(0, |cell| cell.unit - first_unit + 1);
        Ok(Self { apps, functions, cells, unit_us, first_unit, units })
    }

    /// The applications, by index.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The applications, to give them start times or limits that the trace does not tell.
    pub fn apps_mut(&mut self) -> &mut [App] {
        &mut self.apps
    }

    /// When the first unit begins, in µs.
    pub fn begin_us(&self) -> u64 {
        u64::from(self.first_unit) * self.unit_us
    }

    /// When the last unit ends, in µs.
    pub fn end_us(&self) -> u64 {
        self.begin_us() + u64::from(self.units) * self.unit_us
    }

    /// Number of calls.
    pub fn calls(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(cell.count)).sum()
    }

    /// The calls in the order of time.
    pub fn expand(&self, expansion: Expansion) -> Expanded<'_> {
        Expanded { counts: self, expansion, next_cell: 0, calls: Vec::new(), next_call: 0 }
    }
}

/// Calls made from counts, one unit at a time.
#[derive(Debug)]
pub struct Expanded<'a> {
    counts: &'a Counts,
    expansion: Expansion,
    next_cell: usize,
    calls: Vec<Call>,
    next_call: usize,
}

impl Expanded<'_> {
    /// Fills the calls of the next unit; false at the end.
    fn fill(&mut self) -> bool {
        self.calls.clear();
        self.next_call = 0;
        let Some(first) = self.counts.cells.get(self.next_cell) else { return false };
        while let Some(cell) = self.counts.cells.get(self.next_cell).filter(|cell| cell.unit == first.unit) {
            self.place(*cell);
            self.next_cell += 1;
        }
        self.calls.sort_unstable();
        true
    }

    fn place(&mut self, cell: Cell) {
        let Function { app, duration_us } = self.counts.functions[cell.function as usize];
        let unit_us = self.counts.unit_us;
        let begin_us = u64::from(cell.unit) * unit_us;
        let count = u64::from(cell.count);
        match self.expansion {
            Expansion::Even => self.calls.extend((0..count).map(|index| {
                let within_us = (2 * index + 1) * unit_us / (2 * count);
                Call { at_us: begin_us + within_us, app, duration_us }
            })),
            Expansion::Uniform { seed } => {
                let place = u64::from(cell.unit) << 32 | u64::from(cell.function);
                let mut dice = Dice::new(seed ^ place.wrapping_mul(0x9e6c_63d0_876a_9a47));
                let call = |_| Call { at_us: begin_us + dice.below(unit_us), app, duration_us };
                self.calls.extend((0..count).map(call));
            }
        }
    }
}

impl Iterator for Expanded<'_> {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        while self.next_call >= self.calls.len() {
            if !self.fill() {
                return None;
            }
        }
        let call = self.calls[self.next_call];
        self.next_call += 1;
        Some(call)
    }
}
