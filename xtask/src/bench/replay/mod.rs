//! `cargo xtask bench replay`: what the policy that follows forecasts leaves of the cold starts and of the wasted memory of the
//! policies of the literature. In: traces of calls. Out: a curve per policy and trace as table, JSON and picture, the ratios
//! between them with their targets, and how long a replay takes.
//!
//! The trees are grown on the first half of each trace, every policy is scored on the second. Minutes and seconds of the
//! tables become arrivals uniformly at random within them, by a seed. Each application's first call is left out.
mod picture;
mod traces;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_models::contest::{Contest, Sweep, contest, grown};
use weft_models::policy::{Foresight, Rule};
use weft_models::replay::{Node, Window, replay};
use weft_models::trace::Counts;

use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::{Claim, Report, Target};
use super::stats::Ratio;
use crate::{data, repository};

/// Measure the policy against those of the literature on traces of calls
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// A folder of traces of calls, or one that holds it as `calls`; the folder that WEFT_DATA names, if it is not given
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// What could not be measured.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let load = release::enter_with(&["xtask"])?;
    let mut progress = Progress::start();
    let named = arguments.data.as_ref().map(|folder| {
        let inner = folder.join("calls");
        if inner.is_dir() { inner } else { folder.clone() }
    });
    let folder = data::folder(named.as_deref(), "calls")
        .context("no traces of calls; name their folder with --data DIR, or set WEFT_DATA")?;
    let traces = traces::read(&folder)?;
    ensure!(!traces.is_empty(), "{}: no trace that is known here", folder.display());
    let sweep = Sweep::default();
    let (mut contests, mut seconds) = (Vec::new(), Vec::new());
    for (name, counts) in &traces {
        progress.stage(name);
        seconds.push(seconds_per_million(counts, &sweep)?);
        let outcome = contest(name, counts, &sweep, &mut |text| progress.round(text));
        contests.push(outcome.with_context(|| format!("the trace {name}"))?);
    }
    for outcome in &contests {
        let path = repository::target().join(format!("bench/replay-{}.svg", outcome.name));
        picture::keep(outcome, &path)?;
        eprintln!("{}", path.display());
    }
    let report = Report {
        bench: "replay",
        claims: claims(&contests, &seconds),
        times: Vec::new(),
        steps: Vec::new(),
        counts: vec![("traces_n", contests.len() as u64)],
        tallies: Vec::new(),
        lists: if arguments.json { vec![("traces", values(&contests)?)] } else { Vec::new() },
        failures: Vec::new(),
        machine: Machine::look(load)?,
        took_s: progress.seconds(),
    };
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        contests.iter().for_each(tell);
        print!("{}", report.table());
    }
    Ok(())
}

fn values(contests: &[Contest]) -> Result<Vec<Value>> {
    Ok(contests.iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
}

/// Seconds of one core for a million calls under the policy that follows forecasts.
fn seconds_per_million(counts: &Counts, sweep: &Sweep) -> Result<f64> {
    let model = grown(counts, sweep)?;
    let window = Window { from_us: counts.begin_us(), until_us: counts.end_us() };
    let policy = Foresight::new(&model, counts.apps(), Rule::default());
    let begun = Instant::now();
    replay(counts.apps(), counts.expand(sweep.expansion), policy, Node::default(), window)?;
    Ok(begun.elapsed().as_secs_f64() * 1e6 / counts.calls().max(1) as f64)
}

/// The worst trace stands for all.
fn claims(contests: &[Contest], seconds: &[f64]) -> Vec<Claim> {
    let worst = |key, field: fn(&Contest) -> f64, target| {
        let value = contests.iter().map(field).fold(f64::NEG_INFINITY, f64::max);
        Claim { key, ratio: Ratio { value, interval: None }, target }
    };
    let closed = contests.iter().map(|one| one.comparison.gap_to_oracle_closed).fold(f64::INFINITY, f64::min);
    let slowest = seconds.iter().copied().fold(0.0, f64::max);
    let plain = |key, value, target| Claim { key, ratio: Ratio { value, interval: None }, target };
    vec![
        worst(
            "waste_over_hhp_at_equal_cold_median",
            |one| one.comparison.waste_over_hhp_at_equal_cold_median,
            Some(Target::AtMost(0.55)),
        ),
        worst(
            "waste_over_hhp_at_equal_cold_worst",
            |one| one.comparison.waste_over_hhp_at_equal_cold_worst,
            Some(Target::AtMost(0.65)),
        ),
        worst(
            "cold_over_hhp_at_equal_waste_median",
            |one| one.comparison.cold_over_hhp_at_equal_waste_median,
            Some(Target::AtMost(0.40)),
        ),
        worst(
            "cold_over_hhp_at_equal_waste_worst",
            |one| one.comparison.cold_over_hhp_at_equal_waste_worst,
            Some(Target::AtMost(0.60)),
        ),
        worst(
            "cold_over_gd_at_equal_memory_worst",
            |one| one.cold_over_gd_at_equal_memory_worst,
            Some(Target::AtMost(1.0)),
        ),
        plain("gap_to_oracle_closed", closed, None),
        plain("replay_s_per_million_calls", slowest, Some(Target::AtMost(10.0))),
    ]
}

fn tell(outcome: &Contest) {
    println!("\n{}: {} trees with {} leaves", outcome.name, outcome.trees.0, outcome.trees.1);
    println!(
        "{:<8} {:>9} {:>9} {:>8} {:>8} {:>9} {:>11} {:>8}",
        "POLICY", "PARAMETER", "COLD %", "P75 %", "P90 %", "SLOWDOWN", "WASTE GB·s", "CHURN"
    );
    for point in &outcome.curve {
        let figures = &point.figures;
        println!(
            "{:<8} {:>9.0} {:>9.4} {:>8.2} {:>8.2} {:>9.2} {:>11.0} {:>8}",
            point.policy,
            point.parameter,
            figures.cold_percent,
            figures.p75_cold_percent,
            figures.p90_cold_percent,
            figures.slowdown_p99_geomean,
            figures.wasted_gb_s,
            figures.churn
        );
    }
    for row in &outcome.at_memory {
        println!(
            "with {:>6.1} GB: {:.4} % cold, greedy-dual {:.4} % (price {:.0} GB·s)",
            row.memory_gb, row.cold_percent, row.greedy_dual_cold_percent, row.price_gb_s
        );
    }
    let comparison = &outcome.comparison;
    println!(
        "waste over the hybrid histogram's: median {:.3}, worst {:.3}; cold starts: median {:.3}, worst {:.3}",
        comparison.waste_over_hhp_at_equal_cold_median,
        comparison.waste_over_hhp_at_equal_cold_worst,
        comparison.cold_over_hhp_at_equal_waste_median,
        comparison.cold_over_hhp_at_equal_waste_worst
    );
}
