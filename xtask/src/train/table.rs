//! Recorded runs as text. In: records. Out: lines of comma-separated values, and back. Refused: other columns, and fields
//! that are no numbers, with their line.
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use weft_models::profile::Run;

const HEAD: &str = "function,size,run,cpu_us,wall_us,memory_peak_bytes,storage_bytes,network_bytes";

/// One measured run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) function: String,
    pub(crate) size: u64,
    pub(crate) run: u32,
    pub(crate) cpu_us: u64,
    pub(crate) wall_us: u64,
    pub(crate) memory_peak_bytes: u64,
    pub(crate) storage_bytes: u64,
    pub(crate) network_bytes: u64,
}

impl Record {
    /// For the model.
    pub(crate) fn as_run(&self) -> Run {
        Run {
            cpu_us: self.cpu_us,
            wall_us: self.wall_us.max(1),
            memory_peak_bytes: self.memory_peak_bytes,
            storage_bytes: self.storage_bytes,
            network_bytes: self.network_bytes,
            ..Run::default()
        }
    }
}

/// Writes them.
pub(super) fn write(records: &[Record]) -> String {
    let mut text = format!("{HEAD}\n");
    for one in records {
        let numbers = [one.cpu_us, one.wall_us, one.memory_peak_bytes, one.storage_bytes, one.network_bytes];
        let numbers = numbers.map(|number| number.to_string()).join(",");
        // Writing to a text does not fail.
        let _ = writeln!(text, "{},{},{},{numbers}", one.function, one.size, one.run);
    }
    text
}

/// Reads them.
///
/// # Errors
/// The line that is none.
pub(crate) fn read(text: &str) -> Result<Vec<Record>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some(HEAD), "the first line is not `{HEAD}`");
    let record = |(at, line): (usize, &str)| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| {
            let field = fields.get(index).copied().unwrap_or_default();
            field.parse::<u64>().with_context(|| format!("line {}: `{field}` is no number", at + 2))
        };
        Ok(Record {
            function: fields[0].to_owned(),
            size: number(1)?,
            run: number(2)? as u32,
            cpu_us: number(3)?,
            wall_us: number(4)?,
            memory_peak_bytes: number(5)?,
            storage_bytes: number(6)?,
            network_bytes: number(7)?,
        })
    };
    lines.enumerate().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_a_bad_line_is_named() {
        let record = Record {
            function: "a.py".into(),
            size: 2,
            run: 1,
            cpu_us: 3,
            wall_us: 4,
            memory_peak_bytes: 5,
            storage_bytes: 6,
            network_bytes: 7,
        };
        let text = write(&[record.clone(), record.clone()]);
        assert_eq!(read(&text).unwrap(), [record.clone(), record]);
        let error = read(&format!("{text}a.py,x\n")).unwrap_err().to_string();
        assert!(error.contains("line 4"), "{error}");
    }
}
