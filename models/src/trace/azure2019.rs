//! Azure Functions 2019: three tables of one day (durations, memory, invocations per minute). In: readers of them, in this
//! order. Out: counts per minute. An application is what Azure loads as one; its memory is the average allocated, or
//! the median of those known where the trace does not tell; a function runs for its average duration, or 0.
//!
//! Source: Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, and the description of AzureFunctionsDataset2019.

use std::io::BufRead;

use rustc_hash::FxHashMap;

use super::counts::{Cell, Function};
use super::lines::{Header, Lines, amount, columns};
use super::{App, Assumed, Counts, Fault, Limits, MINUTE_US, Names, TraceError, Trigger};

/// Longest duration that is believed, in ms: a month.
const DURATION_MS_MAX: f64 = 31.0 * 86_400_000.0;
/// Largest memory that is believed, in MB.
const MEMORY_MB_MAX: f64 = 1_048_576.0;
/// Most calls in a minute that are believed.
const COUNT_MAX: f64 = 4_194_304.0;
/// Minutes of a year: larger names of columns are no minutes.
const MINUTES_MAX: u32 = 527_040;
const MEMORY_DEFAULT_KIB: u64 = 128 << 10;

/// Reads the three tables.
#[derive(Debug, Default)]
pub struct MinuteCounts {
    limits: Limits,
    assumed: Assumed,
    durations_us: FxHashMap<Box<str>, u64>,
    memory_kib: FxHashMap<Box<str>, u64>,
}

impl MinuteCounts {
    /// A reader of three tables.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What holds for functions and applications that the tables do not tell of.
    pub fn assuming(self, assumed: Assumed) -> Self {
        Self { assumed, ..self }
    }

    /// Reads the table of durations (`HashOwner, HashApp, HashFunction, Average` in ms, more columns are left alone).
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn durations(&mut self, reader: impl BufRead) -> Result<(), TraceError> {
        let keys = ["HashOwner", "HashApp", "HashFunction"];
        let limits = self.limits;
        let into = &mut self.durations_us;
        read_values(reader, &limits, &keys, ("Average", DURATION_MS_MAX), into, |ms| (ms * 1e3) as u64)
    }

    /// Reads the table of memory (`HashOwner, HashApp, AverageAllocatedMb`, more columns are left alone).
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn memory(&mut self, reader: impl BufRead) -> Result<(), TraceError> {
        let keys = ["HashOwner", "HashApp"];
        let value = ("AverageAllocatedMb", MEMORY_MB_MAX);
        let limits = self.limits;
        read_values(reader, &limits, &keys, value, &mut self.memory_kib, |mb| (mb * 1024.0).round() as u64)
    }

    /// Reads the table of invocations (`HashOwner, HashApp, HashFunction, Trigger`, then one column per minute).
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn invocations(self, reader: impl BufRead) -> Result<Counts, TraceError> {
        let mut lines = Lines::new(reader, &self.limits);
        let header = Header::read(&mut lines)?;
        let minutes = minutes(&header)?;
        let mut building = Building {
            source: &self,
            names: Names::default(),
            apps: vec![],
            functions: vec![],
            cells: vec![],
        };
        while let Some((number, line)) = lines.next_line()? {
            building.row(line, &minutes).map_err(|fault| fault.at(number))?;
        }
        let Building { apps, functions, cells, .. } = building;
        Counts::new(apps, functions, cells, MINUTE_US, &self.limits).map_err(|fault| fault.at(lines.number()))
    }

    /// Memory of an application that is not told of.
    fn untold_kib(&self) -> u64 {
        if let Some(memory_kib) = self.assumed.memory_kib {
            return memory_kib;
        }
        let mut known: Vec<u64> = self.memory_kib.values().copied().collect();
        let middle = known.len() / 2;
        if known.is_empty() { MEMORY_DEFAULT_KIB } else { *known.select_nth_unstable(middle).1 }
    }
}

/// One value per key, from a table with a header.
fn read_values(
    reader: impl BufRead,
    limits: &Limits,
    keys: &[&'static str],
    (value_column, value_max): (&'static str, f64),
    into: &mut FxHashMap<Box<str>, u64>,
    convert: fn(f64) -> u64,
) -> Result<(), TraceError> {
    let mut lines = Lines::new(reader, limits);
    let header = Header::read(&mut lines)?;
    let at = keys.iter().map(|key| header.need(key, &[key])).collect::<Result<Vec<_>, _>>()?;
    let value_at = header.need(value_column, &[value_column])?;
    while let Some((number, line)) = lines.next_line()? {
        let row = header.row(line).map_err(|fault| fault.at(number))?;
        let value = amount(&row[value_at], value_column, value_max).map_err(|fault| fault.at(number))?;
        if into.len() >= limits.names_max {
            return Err(Fault::TooMany { what: "names", max: limits.names_max as u64 }.at(number));
        }
        let key = at.iter().map(|at| &*row[*at]).collect::<Vec<_>>().join("/");
        into.insert(key.into(), convert(value));
    }
    Ok(())
}

/// The minutes of the header's columns behind the names.
fn minutes(header: &Header) -> Result<Vec<u32>, TraceError> {
    for (at, column) in ["HashOwner", "HashApp", "HashFunction", "Trigger"].into_iter().enumerate() {
        if header.need(column, &[column])? != at {
            let found = header.names().join(", ").chars().take(400).collect();
            return Err(Fault::NoColumn { column, found }.at(1));
        }
    }
    let minute = |name: &String| {
        let minute = name.parse().ok().filter(|minute| *minute < MINUTES_MAX);
        minute.ok_or_else(|| Fault::UnknownColumn { column: name.chars().take(40).collect() }.at(1))
    };
    header.names()[4..].iter().map(minute).collect()
}

struct Building<'a> {
    source: &'a MinuteCounts,
    names: Names,
    apps: Vec<App>,
    functions: Vec<Function>,
    cells: Vec<Cell>,
}

impl Building<'_> {
    fn row(&mut self, line: &str, minutes: &[u32]) -> Result<(), Fault> {
        let mut row = columns(line);
        let mut name = || row.next().filter(|name| !name.is_empty()).unwrap_or_default();
        let (owner, app, function, trigger) = (name(), name(), name(), name());
        let limits = &self.source.limits;
        if self.functions.len() >= limits.names_max {
            return Err(Fault::TooMany { what: "functions", max: limits.names_max as u64 });
        }
        let key = format!("{owner}/{app}");
        let (number, new) = self.names.number(&key, limits.names_max)?;
        if new {
            let memory = self.source.memory_kib.get(key.as_str()).copied();
            let memory_kib = memory.unwrap_or_else(|| self.source.untold_kib()).max(1);
            self.apps.push(App { memory_kib, trigger: Trigger::of(&trigger), ..App::named(&key) });
        }
        let duration = self.source.durations_us.get(format!("{key}/{function}").as_str());
        let function = self.functions.len() as u32;
        self.functions.push(Function {
            app: number,
            duration_us: duration.copied().unwrap_or(self.source.assumed.duration_us),
        });
        let expected = minutes.len() + 4;
        for (index, unit) in minutes.iter().enumerate() {
            let text = row.next().ok_or(Fault::CutOff { found: index + 4, expected })?;
            let count = if text == "0" { 0 } else { amount(&text, "count", COUNT_MAX)? as u32 };
            if count > 0 {
                self.cells.push(Cell { unit: *unit, function, count });
            }
        }
        if self.cells.len() > limits.cells_max {
            return Err(Fault::TooMany { what: "counts above zero", max: limits.cells_max as u64 });
        }
        match row.count() {
            0 => Ok(()),
            more => Err(Fault::CutOff { found: expected + more, expected }),
        }
    }
}
