//! `cargo xtask train cost`: the trees that weft is shipped with, from programs of known cost. In: the folder of those
//! programs. Out: `models/seed/cost.bin` and its card. The same programs give the same trees, bit for bit. Only what
//! its licence lets ship is trained on: CodeComplex's rows for development, and kamyu104's solutions.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use weft_models::cost::{Judge, Lesson, Options};

use crate::bench::code::bigo::{self, Program};
use crate::{data, repository};

/// What it is made of.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder of programs of known cost; `bigo` in the folder that WEFT_DATA names, if it is not given
    #[arg(long)]
    bigo: Option<PathBuf>,
}

/// Sets, their files and what is said of them in the card.
const SETS: [(&str, &str, &str); 2] = [
    (
        "codecomplex_dev",
        "codecomplex_dev.jsonl.gz",
        "CodeComplex, rows of TCProF's development files (data CC BY 4.0); none of the official test split",
    ),
    (
        "kamyu",
        "kamyu_bigo.jsonl.gz",
        "kamyu104/LeetCode-Solutions, the author's own claims (MIT); C++ is left out",
    ),
];
const SEED: u64 = 5;
/// Fewer and smaller trees than the benchmark grows: they are part of the program.
const OPTIONS: Options = Options { trees: 40, depth_max: 11, leaf_min: 4 };

/// Trains and writes.
///
/// # Errors
/// What cannot be read, learned from or written.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let folder = data::folder(arguments.bigo.as_deref(), "bigo")
        .context("there is no folder of programs of known cost; name it with --bigo DIR, or set WEFT_DATA")?;
    let mut programs: Vec<Program> = Vec::new();
    let mut told = String::new();
    for (set, file, about) in SETS {
        let mut read = bigo::read(&folder.join(file))?;
        // Problems of different sets are different problems.
        let first = programs.iter().map(|program| program.group + 1).max().unwrap_or(0);
        read.programs.iter_mut().for_each(|program| program.group += first);
        for score in bigo::score_set(set, &read.programs)? {
            told += &format!(
                "| {set} | {} | {} | {} | {:.1} | {:.1} | {:.1} |\n",
                score.lang, score.n, score.problems, score.accuracy, score.hierarchy, score.forest_accuracy
            );
        }
        eprintln!("{about}: {} rows", read.programs.len());
        programs.append(&mut read.programs);
    }
    ensure!(!programs.is_empty(), "{}: no row can be trained on", folder.display());
    let lessons: Vec<Lesson> = programs.iter().map(Program::lesson).collect();
    let groups: Vec<u32> = programs.iter().map(|program| program.group).collect();
    let judge = Judge::train(&lessons, &groups, &OPTIONS, SEED)?;
    let bytes = judge.to_bytes()?;
    let seed = repository::root().join("models/seed");
    fs::create_dir_all(&seed).with_context(|| format!("make {}", seed.display()))?;
    write(&seed.join("cost.bin"), &bytes)?;
    write(&seed.join("cost.md"), card(&judge, bytes.len(), &told).as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))?;
    println!("{}: {} bytes", path.display(), bytes.len());
    Ok(())
}

fn card(judge: &Judge, bytes: usize, told: &str) -> String {
    let sets: String = SETS.iter().map(|(_, _, about)| format!("- {about}\n")).collect();
    format!(
        "# cost.bin: trees of the analysis of cost

What it is: {} trees with {} leaves over counts and what the rules say of a program, {bytes} bytes, and for each class how far
the rules are trusted that are sure of it. They decide the class of growth where the rules of `models/src/cost` are not sure.

Trained on {} programs, on {}, by `cargo xtask train cost`; the same programs give the same bytes:

{sets}
Scores of trees that were trained in the same way on four fifths of the problems and asked about the last fifth, in per
cent; *plain* is a forest over counts of lines, loops and calls:

| set | language | rows | problems | accuracy | hierarchy | plain |
| --- | --- | --- | --- | --- | --- | --- |
{told}
Not for: programs that are much longer than an exercise; what grows with something else than its input.
",
        judge.forest().trees(),
        judge.forest().leaves(),
        judge.rows,
        date()
    )
}

/// The day, in UTC.
fn date() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut days = now.as_secs() / 86_400;
    let mut year = 1970;
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while month < 11 && days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, days + 1)
}
