//! `cargo xtask bench code`: how right and how fast the code graph is, and how right the analysis of cost. In: PyCG's
//! micro-benchmark, a tree of sources and sets of programs of known cost, where they are. Out: counts of right call graphs,
//! megabytes of source per second of one core, and shares of right costs. What is not there is left out, and said.
//!
//! A case is *complete* when its graph has no call that does not happen, and *sound* when no call that happens is
//! missing, as in Salis et al., "PyCG: Practical Call Graph Generation in Python", ICSE 2021.
pub(crate) mod bigo;
mod pycg;
mod sizing;
mod speed;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::{Claim, Report, Target};
use super::stats::Ratio;
use crate::data;

/// Measure how right and how fast the code graph is
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// A checkout of PyCG, or its micro-benchmark
    #[arg(long)]
    pycg: Option<PathBuf>,
    /// A folder of sources to be read at speed; several are read as one program each
    #[arg(long, default_value = "/usr/lib/python3")]
    source: Vec<PathBuf>,
    /// The folder of sets of programs of known cost; `bigo` in the folder that WEFT_DATA names, if it is not given
    #[arg(long)]
    bigo: Option<PathBuf>,
    /// The folder of tables of measured functions, of Sizeless and SeBS; `sizing` in the folder that WEFT_DATA names, if it
    /// is not given
    #[arg(long)]
    sizing: Option<PathBuf>,
    /// A checkout with the sources of those functions; may be given several times
    #[arg(long)]
    functions: Vec<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// What could not be measured.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let load = release::enter_with(&["xtask"])?;
    let progress = Progress::start();
    let (mut claims, mut counts, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    match arguments.pycg.as_deref().filter(|folder| folder.is_dir()) {
        Some(folder) => {
            let score = pycg::score(folder)?;
            ensure!(score.cases > 0, "{}: no callgraph.json below it", folder.display());
            claims.push(claim("pycg_complete", score.complete as f64, Some(105.0)));
            claims.push(claim("pycg_sound", score.sound as f64, Some(95.0)));
            counts.extend([("pycg_n", score.cases), ("pycg_exact_edges", score.exact_edges)]);
            counts.extend([("pycg_inferred_edges", score.inferred_edges), ("pycg_more_n", score.more_cases)]);
            counts
                .extend([("pycg_more_complete", score.more_complete), ("pycg_more_sound", score.more_sound)]);
            failures.extend(score.failures);
        }
        None => eprintln!("skipped: PyCG's cases; give a checkout of it with --pycg DIR"),
    }
    let folders: Vec<_> = arguments.source.iter().filter(|folder| folder.is_dir()).collect();
    for folder in arguments.source.iter().filter(|folder| !folder.is_dir()) {
        eprintln!("skipped: {}; it is no folder", folder.display());
    }
    if !folders.is_empty() {
        let speed = speed::measure(&folders)?;
        claims.push(claim("source_mb_per_s", speed.mb_per_cpu_s, Some(5.0)));
        claims.push(claim("parsed_mb_per_s", speed.parsed_mb_per_cpu_s, None));
        claims.push(claim("source_over_parsed", speed.mb_per_cpu_s / speed.parsed_mb_per_cpu_s, None));
        claims.push(claim("source_mb_per_s_wall", speed.mb_per_wall_s, None));
        counts.extend([("source_files", speed.files), ("source_bytes", speed.bytes)]);
        counts.extend([("source_nodes", speed.nodes), ("source_edges", speed.edges)]);
        counts.extend([("source_call_edges", speed.calls), ("source_diagnostics", speed.diagnostics)]);
    }
    let costs = match data::folder(arguments.bigo.as_deref(), "bigo") {
        Some(folder) => bigo::score(&folder)?,
        None => {
            eprintln!("skipped: programs of known cost; name their folder with --bigo DIR, or set WEFT_DATA");
            Vec::new()
        }
    };
    let limits = match data::folder(arguments.sizing.as_deref(), "sizing") {
        Some(folder) => {
            let (rows, notes) = sizing::score(&folder, &arguments.functions)?;
            notes.iter().for_each(|note| eprintln!("{note}"));
            rows
        }
        None => {
            eprintln!(
                "skipped: memory of measured functions; name their folder with --sizing DIR, or set WEFT_DATA"
            );
            Vec::new()
        }
    };
    let report = Report {
        bench: "code",
        lists: vec![
            ("bigo", costs.iter().map(serde_json::to_value).collect::<Result<_, _>>()?),
            ("sizing", limits),
        ],
        claims,
        times: Vec::new(),
        steps: Vec::new(),
        counts,
        tallies: Vec::new(),
        failures,
        machine: Machine::look(load)?,
        took_s: progress.seconds(),
    };
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn claim(key: &'static str, value: f64, least: Option<f64>) -> Claim {
    Claim { key, ratio: Ratio { value, interval: None }, target: least.map(Target::AtLeast) }
}
