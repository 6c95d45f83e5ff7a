//! `cargo xtask train sizing`: the model of what code needs. In: `models/seed/sizing.csv`, or with `--measure` new runs of
//! `models/seed/functions` in cgroups of this machine, as root. Out: `models/seed/sizing.weft`, bit for bit the same for the
//! same records and functions, and its card `sizing.md`; `--check` only compares.
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use weft_models::graph::{Bounds, SourceFile, analyse};
use weft_models::profile::{CodeFacts, Example, Sizing, forecast};

use super::measure;
use super::table::{self, Record};
use crate::repository;

/// Make the model of what code needs
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run the functions anew on this machine, as root
    #[arg(long)]
    measure: bool,
    /// Write nothing; fail where the model would differ
    #[arg(long, conflicts_with = "measure")]
    check: bool,
}

const RECORDS: &str = "models/seed/sizing.csv";
const MODEL: &str = "models/seed/sizing.weft";
const CARD: &str = "models/seed/sizing.md";

/// Makes the model.
///
/// # Errors
/// What could not be measured, learned or written; with `--check` a model that differs.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let root = repository::root();
    if arguments.measure {
        let records = measure::all(&root.join("models/seed/functions"))?;
        fs::write(root.join(RECORDS), table::write(&records)).context(RECORDS)?;
        fs::write(root.join(CARD), card(&examples(&root)?, &machine()?)?).context(CARD)?;
    }
    let examples = examples(&root)?;
    let bytes = Sizing::train(&examples)?.to_bytes()?;
    if arguments.check {
        let there = fs::read(root.join(MODEL)).context(MODEL)?;
        ensure!(there == bytes, "{MODEL} differs from what {RECORDS} gives; run `cargo xtask train sizing`");
        eprintln!("train: {MODEL} is what {RECORDS} gives, {} bytes", bytes.len());
        return Ok(());
    }
    fs::write(root.join(MODEL), &bytes).context(MODEL)?;
    let old = fs::read_to_string(root.join(CARD)).context(CARD)?;
    let measured = old.lines().find(|line| line.starts_with("Measured ")).context("the card tells no day")?;
    fs::write(root.join(CARD), card(&examples, measured)?).context(CARD)?;
    eprintln!("train: {MODEL}, {} bytes", bytes.len());
    Ok(())
}

/// The recorded runs with the facts of their functions' sources.
///
/// # Errors
/// What cannot be read.
pub(crate) fn examples(root: &Path) -> Result<Vec<Example>> {
    let text = fs::read_to_string(root.join(RECORDS)).context(RECORDS)?;
    let records = table::read(&text).context(RECORDS)?;
    let mut examples: Vec<Example> = Vec::new();
    for same in records.chunk_by(|a, b| (&a.function, a.size) == (&b.function, b.size)) {
        let Some(first) = same.first() else { continue };
        let path = root.join("models/seed/functions").join(&first.function);
        let source = fs::read(&path).with_context(|| path.display().to_string())?;
        let analysis = analyse(&[SourceFile::new(first.function.clone(), source)], &Bounds::default());
        let facts = CodeFacts::of(&analysis);
        let runs = same.iter().map(Record::as_run).collect();
        examples.push(Example { function: first.function.clone(), facts, runs });
    }
    Ok(examples)
}

/// How far forecasts are right about functions that the model has not seen.
#[derive(Debug, Default)]
struct Score {
    functions: usize,
    held: usize,
    slack: f32,
    named: usize,
}

/// Each function by a model of the others.
fn left_out(examples: &[Example]) -> Result<Score> {
    let mut score = Score::default();
    for same in examples.chunk_by(|a, b| a.function == b.function) {
        let Some(first) = same.first() else { continue };
        let others: Vec<Example> =
            examples.iter().filter(|one| one.function != first.function).cloned().collect();
        let forecast = forecast(&first.facts, &[], &Sizing::train(&others)?);
        let peak = |one: &Example| one.runs.iter().map(|run| run.memory_peak_bytes).max();
        let need = same.iter().filter_map(peak).max().unwrap_or(0) as f32 / 1_048_576.0;
        score.functions += 1;
        score.held += usize::from(forecast.memory_mib.high >= need);
        score.slack += (forecast.memory_mib.high - need).max(0.0) / forecast.memory_mib.high;
        let runs: Vec<_> = same.iter().flat_map(|one| one.runs.iter().copied()).collect();
        let usage = weft_models::profile::Usage::of(&runs);
        let kind = usage.as_ref().map(weft_models::profile::ProfileKind::of_usage);
        score.named += usize::from(forecast.kind.is_some() && forecast.kind == kind);
    }
    score.slack /= score.functions.max(1) as f32;
    Ok(score)
}

fn card(examples: &[Example], measured: &str) -> Result<String> {
    let model = Sizing::train(examples)?;
    let (card, score) = (model.card(), left_out(examples)?);
    Ok(format!(
        "# The sizing model\n\n\
         What code needs, learned from own runs of the {} small functions in `functions/`, {} sizes and {} runs in all, \
         recorded in `sizing.csv`. No data of others is in it. `cargo xtask train sizing` makes `sizing.weft` of the \
         records, the same bytes each time; `cargo xtask train sizing --measure` makes new records.\n\n\
         {measured}\n\n\
         Scores, each function forecast before its first run by a model of the others:\n\n\
         | what | score |\n| --- | --- |\n\
         | memory limit holds the largest of its runs | {} of {} |\n\
         | slack, (limit - peak) / limit, 0 where it does not hold, mean | {:.2} |\n\
         | profile is that of its measured runs | {} of {} |\n\n\
         The functions are small: the largest takes some hundreds of MiB. Forecasts for code that works with more lean on \
         the table of libraries and are low for what comes with its input.\n",
        card.functions,
        card.examples,
        card.runs,
        score.held,
        score.functions,
        score.slack,
        score.named,
        score.functions
    ))
}

/// The line of the card that tells day and machine.
fn machine() -> Result<String> {
    let tell = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().with_context(|| format!("start {program}"))?;
        if !output.status.success() {
            bail!("{program}: {}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let day = tell("date", &["-u", "+%F"])?;
    let (python, node) = (tell("/usr/bin/python3", &["--version"])?, tell("node", &["--version"])?);
    let kernel = tell("uname", &["-rm"])?;
    let cores = std::thread::available_parallelism().context("count the cores")?;
    Ok(format!("Measured {day} on Linux {kernel} with {cores} cores, {python}, Node.js {node}."))
}
