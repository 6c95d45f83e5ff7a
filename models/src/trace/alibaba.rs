//! Function Compute's scaler challenge: starts per function per second, and what is known of each function. In: readers of
//! the lines of JSON with the functions, then of the table. Out: counts per second. Nothing tells durations: calls take none.
//!
//! Source: Alibaba Cloud's serverless scaler challenge of 2023, as exported to `unix_s, metaKey, count`.

use std::io::BufRead;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::counts::{Cell, Function};
use super::lines::{Header, Lines, amount};
use super::{App, Assumed, Counts, Fault, Limits, Names, SECOND_US, TraceError};

const SECOND_MAX: f64 = u32::MAX as f64;
const COUNT_MAX: f64 = 1_048_576.0;
/// Largest memory and start time that are believed.
const MEMORY_MIB_MAX: u64 = 1 << 20;
const START_MS_MAX: u64 = 3_600_000;

/// One function, as its line of JSON tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecondRow {
    key: String,
    memory_in_mb: u64,
    init_duration_in_ms: u64,
}

/// Reads functions and table.
#[derive(Debug, Default)]
pub struct SecondCounts {
    limits: Limits,
    assumed: Assumed,
    functions: FxHashMap<String, SecondRow>,
}

impl SecondCounts {
    /// A reader of both.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What holds for functions that are not told of.
    pub fn assuming(self, assumed: Assumed) -> Self {
        Self { assumed, ..self }
    }

    /// Reads the functions: one object with `key`, `memoryInMb` and `initDurationInMs` a line.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn functions(&mut self, reader: impl BufRead) -> Result<(), TraceError> {
        let mut lines = Lines::new(reader, &self.limits);
        while let Some((number, line)) = lines.next_line()? {
            let row: SecondRow = serde_json::from_str(line).map_err(|_| {
                let text = line.chars().take(40).collect();
                Fault::NotANumber { text, column: "memoryInMb or initDurationInMs" }.at(number)
            })?;
            let known = [
                ("memoryInMb", row.memory_in_mb, MEMORY_MIB_MAX),
                ("initDurationInMs", row.init_duration_in_ms, START_MS_MAX),
            ];
            if let Some((column, value, max)) = known.into_iter().find(|(_, value, max)| value > max) {
                return Err(Fault::OutOfRange { value: value as f64, column, max: max as f64 }.at(number));
            }
            if self.functions.len() >= self.limits.names_max {
                return Err(Fault::TooMany { what: "names", max: self.limits.names_max as u64 }.at(number));
            }
            self.functions.insert(row.key.clone(), row);
        }
        Ok(())
    }

    /// Reads the table `unix_s, metaKey, count`. Times are kept from the beginning of the minute of the first row.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn table(self, reader: impl BufRead) -> Result<Counts, TraceError> {
        let mut lines = Lines::new(reader, &self.limits);
        let header = Header::read(&mut lines)?;
        let second_at = header.need("unix_s", &["unix_s"])?;
        let key_at = header.need("metaKey", &["metaKey"])?;
        let count_at = header.need("count", &["count"])?;
        let (mut names, mut apps, mut functions) = (Names::default(), Vec::new(), Vec::new());
        let mut cells: Vec<Cell> = Vec::new();
        while let Some((number, line)) = lines.next_line()? {
            let mut read = || {
                let row = header.row(line)?;
                let unit = amount(&row[second_at], "unix_s", SECOND_MAX)? as u32;
                let count = amount(&row[count_at], "count", COUNT_MAX)? as u32;
                let (app, new) = names.number(&row[key_at], self.limits.names_max)?;
                if new {
                    apps.push(self.app(&row[key_at]));
                    functions.push(Function { app, duration_us: self.assumed.duration_us });
                }
                if cells.len() >= self.limits.cells_max {
                    return Err(Fault::TooMany { what: "counts", max: self.limits.cells_max as u64 });
                }
                if count > 0 {
                    cells.push(Cell { unit, function: app, count });
                }
                Ok(())
            };
            read().map_err(|fault| fault.at(number))?;
        }
        // Minutes of the hour keep their meaning: whole hours are taken off.
        let origin = cells.iter().map(|cell| cell.unit).min().unwrap_or(0) / 3_600 * 3_600;
        cells.iter_mut().for_each(|cell| cell.unit -= origin);
        Counts::new(apps, functions, cells, SECOND_US, &self.limits).map_err(|fault| fault.at(lines.number()))
    }

    fn app(&self, key: &str) -> App {
        let plain = App::named(key);
        match self.functions.get(key) {
            Some(row) => App {
                memory_kib: (row.memory_in_mb << 10).max(1),
                start_us: row.init_duration_in_ms * 1_000,
                ..plain
            },
            None => App { memory_kib: self.assumed.memory_kib.unwrap_or(plain.memory_kib), ..plain },
        }
    }
}
