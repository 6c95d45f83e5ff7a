//! `weft replay`. In: arguments. Out: a table or JSON with the figures of each policy, and a picture.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use weft_models::contest::Row;
use weft_models::replay::Node;
use weft_models::trace::{Assumed, Expansion, Format, Limits, Reading};

use super::table::Table;
use super::{Output, say};
use crate::config::Bytes;
use crate::replay::choice::Choice;
use crate::replay::{Outcome, Settings, run};

/// What is replayed, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// The trace: a file, `-` for standard input, a folder, or what the names of its tables begin with; packed with zstd or
    /// gzip, or plain
    trace: PathBuf,
    /// The trace's format; found out from its first line if it is not given
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// A policy, with parameters after a colon: none, warm, fixed:MINUTES,…, hybrid:MINUTES,…, dual:GB,…, oracle, weft:GB·s,…;
    /// may be given again. All with their usual parameters if it is not given
    #[arg(long = "policy", value_name = "POLICY[:VALUE,…]")]
    policies: Vec<Choice>,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Draw the curves into this SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Time that a start takes where the trace does not tell
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    start_ms: u64,
    /// Memory of an instance where the trace does not tell
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    memory_mib: Option<u64>,
    /// Time that a call takes where the trace does not tell
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    duration_ms: u64,
    /// Parts of the path that make an application of an access log
    #[arg(long, value_name = "PARTS", default_value_t = 1)]
    path_depth: usize,
    /// Memory of the node, such as 16GiB; any if it is not given
    #[arg(long, value_name = "SIZE")]
    node_memory: Option<Bytes>,
    /// Share of the trace's time that trees are grown on and that is not scored
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    scored_from: f64,
    /// Seed of arrivals within a minute or second, and of the trees
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Follow the trees in this file instead of growing them
    #[arg(long, value_name = "FILE", conflicts_with = "save_model")]
    model: Option<PathBuf>,
    /// Keep the trees in this file
    #[arg(long, value_name = "FILE")]
    save_model: Option<PathBuf>,
    /// Most calls of a trace that has one line for each; each takes 16 bytes of memory
    #[arg(long, value_name = "CALLS", default_value_t = 64 << 20)]
    calls_max: u64,
}

/// Formats by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    /// Azure Functions 2019: tables of invocations, durations and memory
    Azure2019,
    /// Azure Functions 2021: a row per call
    Azure2021,
    /// An HTTP access log, common or combined
    Http,
    /// A table of spans
    Spans,
    /// A recording by `weft record`
    Weft,
    /// The scaler challenge's counts per second, with its list of functions
    Alibaba,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Azure2019 => Self::Azure2019,
            FormatName::Azure2021 => Self::Azure2021,
            FormatName::Http => Self::Http,
            FormatName::Spans => Self::Spans,
            FormatName::Weft => Self::Weft,
            FormatName::Alibaba => Self::Alibaba,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a share is at least 0 and below 1, such as 0.5".to_owned())
}

/// Replays and prints.
pub(super) fn replay(arguments: Replay) -> anyhow::Result<()> {
    let output = arguments.output;
    let outcome = run(&settings(arguments))?;
    match output {
        Output::Json => say(&format!("{}\n", serde_json::to_string_pretty(&outcome).context("JSON")?)),
        Output::Table => say(&table(&outcome)),
    }
}

fn settings(arguments: Replay) -> Settings {
    let assumed = Assumed {
        memory_kib: arguments.memory_mib.map(|mib| mib << 10),
        start_us: arguments.start_ms * 1_000,
        duration_us: arguments.duration_ms * 1_000,
    };
    let reading = Reading {
        limits: Limits::default(),
        assumed,
        expansion: Expansion::Uniform { seed: arguments.seed },
        calls_max: arguments.calls_max,
        path_depth: arguments.path_depth,
    };
    Settings {
        path: arguments.trace,
        format: arguments.format.map(Format::from),
        reading,
        choices: arguments.policies,
        node: Node { memory_kib: arguments.node_memory.map(|bytes| bytes.0 >> 10), idle_kib: None },
        scored_from: arguments.scored_from,
        seed: arguments.seed,
        model: arguments.model,
        save_model: arguments.save_model,
        picture: arguments.picture,
    }
}

fn table(outcome: &Outcome) -> String {
    let hours = |us: u64| us as f64 / 3.6e9;
    let mut text = format!(
        "{} ({}): {} calls of {} applications in {:.2} h, scored after {:.2} h\n",
        outcome.trace,
        outcome.format.name(),
        outcome.calls,
        outcome.apps,
        hours(outcome.end_us - outcome.begin_us),
        hours(outcome.scored_from_us - outcome.begin_us),
    );
    if outcome.dropped_lines > 0 {
        text += &format!("the recording lacks {} lines\n", outcome.dropped_lines);
    }
    if !outcome.starts_known {
        text +=
            "no start takes any time, so nothing is slowed down; say with --start-ms how long one takes\n";
    }
    if let Some(trees) = &outcome.trees {
        text +=
            &format!("weft follows {} trees with {} leaves ({})\n", trees.trees, trees.leaves, trees.from);
    }
    if let Some(cause) = &outcome.left_out {
        text += &format!("weft is left out: {cause}\n");
    }
    text += &format!("\n{}", rows(&outcome.policies));
    if let Some(comparison) = &outcome.comparison {
        text += &format!(
            "\nweft leaves of the hybrid histogram's waste at no more cold starts {:.3} (median; worst {:.3}), of its cold \
             starts at no more waste {:.3} (median; worst {:.3})\n",
            comparison.waste_over_hhp_at_equal_cold_median,
            comparison.waste_over_hhp_at_equal_cold_worst,
            comparison.cold_over_hhp_at_equal_waste_median,
            comparison.cold_over_hhp_at_equal_waste_worst,
        );
    }
    text
}

fn rows(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "policy",
        ">parameter",
        "unit",
        ">cold %",
        ">p75 %",
        ">p90 %",
        ">slowdown p99",
        ">waste GB·s",
        ">prewarmed",
        ">unused",
        ">evicted",
        ">dropped",
        "front",
    ]);
    for row in rows {
        let (point, figures) = (&row.point, &row.point.figures);
        let unit = match point.policy.as_str() {
            "fixed" | "hybrid" => "min",
            "weft" => "GB·s",
            "dual" if point.parameter > 0.0 => "GB",
            _ => "",
        };
        let parameter = match unit {
            "" => String::new(),
            "GB" => format!("{:.2}", point.parameter),
            _ => point.parameter.to_string(),
        };
        table.row([
            point.policy.clone(),
            parameter,
            unit.to_owned(),
            format!("{:.4}", figures.cold_percent),
            format!("{:.2}", figures.p75_cold_percent),
            format!("{:.2}", figures.p90_cold_percent),
            format!("{:.2}", figures.slowdown_p99_geomean),
            format!("{:.1}", figures.wasted_gb_s),
            figures.churn.to_string(),
            row.churn_unused.to_string(),
            row.evictions.to_string(),
            row.dropped.to_string(),
            if row.pareto { "*" } else { "" }.to_owned(),
        ]);
    }
    table.text()
}
