//! Traces in a folder. In: the folder. Out: tables of counts by name. Known are counts per minute
//! (`NAME_invocations.csv` with `NAME_durations.csv` and `NAME_memory.csv`) and counts per second
//! (`NAME_persecond.csv` with `NAME_metas.jsonl`), packed with zstd (`.zst`) or plain.
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result};
use weft_models::trace::{Counts, Limits, MinuteCounts, SecondCounts, TraceError};

/// Every trace of the folder, by name.
///
/// # Errors
/// What cannot be read.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, Counts)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut traces = Vec::new();
    for name in names {
        let plain = name.trim_end_matches(".zst");
        if let Some(name) = plain.strip_suffix("_invocations.csv") {
            traces.push((name.to_owned(), minutes(folder, name)?));
        } else if let Some(name) = plain.strip_suffix("_persecond.csv") {
            traces.push((name.to_owned(), seconds(folder, name)?));
        }
    }
    Ok(traces)
}

fn minutes(folder: &Path, name: &str) -> Result<Counts> {
    let mut tables = MinuteCounts::new(Limits::default());
    let part = |part: &str| format!("{name}_{part}.csv");
    file(folder, &part("durations"), |reader| tables.durations(reader))?;
    file(folder, &part("memory"), |reader| tables.memory(reader))?;
    file(folder, &part("invocations"), |reader| tables.invocations(reader))
}

fn seconds(folder: &Path, name: &str) -> Result<Counts> {
    let mut tables = SecondCounts::new(Limits::default());
    file(folder, &format!("{name}_metas.jsonl"), |reader| tables.functions(reader))?;
    file(folder, &format!("{name}_persecond.csv"), |reader| tables.table(reader))
}

/// Reads a file, packed or plain.
fn file<T>(
    folder: &Path,
    name: &str,
    read: impl FnOnce(Box<dyn BufRead>) -> Result<T, TraceError>,
) -> Result<T> {
    let path = folder.join(name);
    let told = || path.display().to_string();
    read(crate::data::open(&path).with_context(told)?).with_context(told)
}
