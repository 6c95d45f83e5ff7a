//! The tables of measured functions. In: their folder. Out: subjects without sources yet. What is not there is left out;
//! a table whose columns are others is refused.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use weft_models::profile::{CodeFacts, Run, Runtime};

use super::Subject;

/// All functions have it, and none is squeezed by it.
const SIZE_MB: &str = "3008";
const REPETITIONS: usize = 3;
/// Resident sizes above are bytes, below KiB: no function of the table holds 10 GiB, no runtime less than 10 MB.
const BYTES_FROM: f64 = 1e7;
const KIB: f64 = 1024.0;
const MIB: f64 = 1_048_576.0;

/// Lines of a table by their columns.
struct Table {
    columns: Vec<String>,
    lines: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let columns = lines.next().with_context(|| format!("{}: it is empty", path.display()))?;
        Ok(Self { columns, lines: lines.collect() })
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|one| one == column)
    }

    fn place(&self, column: &str) -> Result<usize> {
        let place = self.columns.iter().position(|one| one == column);
        place.with_context(|| format!("no column `{column}`"))
    }

    /// A number of a line; 0 where there is none, as for memory that a provider does not tell.
    fn number(&self, line: &[String], column: &str) -> Result<f64> {
        let field = line.get(self.place(column)?).map_or("", String::as_str);
        Ok(field.parse().unwrap_or(0.0))
    }

    fn text<'l>(&self, line: &'l [String], column: &str) -> Result<&'l str> {
        Ok(line.get(self.place(column)?).map_or("", String::as_str))
    }
}

/// Reads what is in a folder.
///
/// # Errors
/// A table that is none.
pub(super) fn read(folder: &Path) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    let (summary, sebs) = (folder.join("sizeless_summary.csv"), folder.join("sebs_summary.csv"));
    if summary.is_file() {
        subjects.extend(sizeless(folder, &Table::read(&summary)?).context("sizeless_summary.csv")?);
    }
    if sebs.is_file() {
        subjects.extend(of_sebs(&Table::read(&sebs)?).context("sebs_summary.csv")?);
    }
    Ok(subjects)
}

/// Removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks the single runs, if they are there.
fn unpack(folder: &Path) -> Result<Option<Scratch>> {
    let archive = folder.join("sizeless_data.tar.xz");
    if !archive.is_file() {
        eprintln!("sizing: no sizeless_data.tar.xz: medians of a hundred runs stand for runs");
        return Ok(None);
    }
    let scratch = std::env::temp_dir().join(format!("weft-bench-sizing-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let scratch = Scratch(scratch);
    let inside = format!("data/validation-data-all/{SIZE_MB}MB");
    let done = Command::new("tar").arg("xJf").arg(&archive).arg("-C").arg(&scratch.0).arg(&inside).status();
    let done = done.context("start tar")?;
    ensure!(done.success(), "{}: tar and xz cannot unpack it: {done}", archive.display());
    Ok(Some(scratch))
}

fn sizeless(folder: &Path, summary: &Table) -> Result<Vec<Subject>> {
    let unpacked = unpack(folder)?;
    let mut functions: BTreeMap<String, Vec<Vec<Run>>> = BTreeMap::new();
    let mut runtimes = BTreeMap::new();
    for line in &summary.lines {
        if summary.text(line, "mem")? != SIZE_MB {
            continue;
        }
        let name = summary.text(line, "fn")?;
        let runtime = if summary.number(line, "rss")? > BYTES_FROM { Runtime::Node } else { Runtime::Python };
        runtimes.insert(name.to_owned(), runtime);
        let inputs = functions.entry(name.to_owned()).or_default();
        let repetition = inputs.len();
        ensure!(repetition < REPETITIONS, "{name}: more than {REPETITIONS} repetitions at {SIZE_MB} MB");
        let single = unpacked.as_ref().map(|scratch| {
            let part = format!("data/validation-data-all/{SIZE_MB}MB/Repetition_{repetition}/{name}.csv");
            scratch.0.join(part)
        });
        inputs.push(match single {
            Some(path) => singles(&path, runtime)?,
            None => vec![of_summary(summary, line, runtime)?],
        });
    }
    let subject = |(name, inputs): (String, Vec<Vec<Run>>)| {
        let runtime = runtimes.get(&name).copied();
        let most = inputs.iter().flatten().map(|run| run.memory_peak_bytes).max().unwrap_or(0);
        let need_mib = (most as f64 / MIB) as f32;
        Subject { name, facts: known(runtime), has_source: false, inputs, need_mib }
    };
    Ok(functions.into_iter().map(subject).collect())
}

fn known(runtime: Option<Runtime>) -> CodeFacts {
    CodeFacts { runtime, ..CodeFacts::default() }
}

/// Growth of Python in KiB, all of Node in bytes.
fn peak_bytes(runtime: Runtime, grown_kib: f64, whole_bytes: f64) -> u64 {
    let peak = match runtime {
        Runtime::Python => grown_kib * KIB + f64::from(Runtime::Python.mib()) * MIB,
        Runtime::Node => whole_bytes,
    };
    peak.max(1.0) as u64
}

fn of_summary(table: &Table, line: &[String], runtime: Runtime) -> Result<Run> {
    let number = |column: &str| table.number(line, column);
    Ok(Run {
        cpu_us: (number("user_us")? + number("sys_us")?) as u64,
        wall_us: (number("dur_ms")? * 1000.0).max(1.0) as u64,
        memory_peak_bytes: peak_bytes(runtime, number("maxrss_kb")?, number("rss")?),
        storage_bytes: ((number("fsR")? + number("fsW")?) * 512.0) as u64,
        network_bytes: (number("rx")? + number("tx")?) as u64,
        ..Run::default()
    })
}

fn singles(path: &Path, runtime: Runtime) -> Result<Vec<Run>> {
    let table = Table::read(path)?;
    let run = |line: &Vec<String>| {
        let number = |column: &str| table.number(line, column);
        Ok(Run {
            cpu_us: (number("userDiff")? + number("sysDiff")?) as u64,
            wall_us: (number("duration")? * 1000.0).max(1.0) as u64,
            memory_peak_bytes: peak_bytes(runtime, number("maxRss")?, number("rss")?),
            storage_bytes: ((number("fsRead")? + number("fsWrite")?) * 512.0) as u64,
            network_bytes: (number("netByRx")? + number("netByTx")?) as u64,
            ..Run::default()
        })
    };
    ensure!(table.has("maxRss"), "{}: no column `maxRss`", path.display());
    table.lines.iter().map(run).collect()
}

/// Only one provider tells the memory. Processor time is told by none: it is given as idle, and scores nothing here.
fn of_sebs(table: &Table) -> Result<Vec<Subject>> {
    let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
    for line in &table.lines {
        let (used, most) =
            (table.number(line, "mem_used_mb_median")?, table.number(line, "mem_used_mb_max")?);
        if used <= 0.0 {
            continue;
        }
        let name = table.text(line, "benchmark")?;
        let runtime = if name.ends_with("_node") { Runtime::Node } else { Runtime::Python };
        let subject = subjects.entry(name.to_owned()).or_insert_with(|| Subject {
            name: name.to_owned(),
            facts: known(Some(runtime)),
            has_source: false,
            inputs: vec![Vec::new()],
            need_mib: 0.0,
        });
        subject.need_mib = subject.need_mib.max(most as f32);
        let wall_us = (table.number(line, "exec_ms_median")? * 1000.0).max(1.0) as u64;
        // Some hundred runs stand behind a line: it tells of an ordinary one and of the largest.
        for mib in [used, most] {
            subject.inputs[0].push(Run { wall_us, memory_peak_bytes: (mib * MIB) as u64, ..Run::default() });
        }
    }
    Ok(subjects.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_grows_from_its_interpreter_and_node_is_told_whole() {
        let interpreter = u64::from(Runtime::Python.mib() as u32) << 20;
        assert_eq!(peak_bytes(Runtime::Python, 1024.0, 7.0), (1 << 20) + interpreter);
        assert_eq!(peak_bytes(Runtime::Node, 1024.0, 5e7), 50_000_000);
    }

    #[test]
    fn memory_that_a_provider_does_not_tell_makes_no_run() {
        let line = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let table = Table {
            columns: line("benchmark,exec_ms_median,mem_used_mb_median,mem_used_mb_max"),
            lines: vec![line("120,10.5,93.0,97.0"), line("120,9.0,,"), line("210_node,9.0,120.0,150.0")],
        };
        let subjects = of_sebs(&table).unwrap();
        let told = subjects.iter().map(|one| (one.name.as_str(), one.inputs[0].len(), one.need_mib));
        assert_eq!(told.collect::<Vec<_>>(), [("120", 2, 97.0), ("210_node", 2, 150.0)]);
    }
}
