//! `weft train`: makes the shipped models again, the same bytes from the same traces. In: the folder of the data sets, packed
//! or plain. Out: the models' files, and how right forecasts are on what was not trained on. Refused: data sets that are not there.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use weft_models::Scorecard;
use weft_models::seed::{self, SeedScore};

use super::table::Table;
use super::{Output, say};
use crate::replay::packed;

/// Endings of packed files.
const PACKED: [&str; 3] = ["", ".zst", ".gz"];

#[derive(Debug, clap::Args)]
pub(super) struct Train {
    /// The folder of the data sets; the one that WEFT_DATA names, if it is not given
    #[arg(long)]
    data: Option<PathBuf>,
    /// The folder that the models are written to
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(super) fn train(arguments: &Train) -> anyhow::Result<()> {
    let folder = arguments.data.clone().or_else(|| std::env::var_os("WEFT_DATA").map(PathBuf::from));
    let folder = folder.context("no data sets; name their folder with --data DIR, or set WEFT_DATA")?;
    let open = |path: &str| open(&folder, path);
    let mut told = |what: &str| {
        if io::stderr().is_terminal() {
            eprintln!("{what}");
        }
    };
    let grown = seed::grow(&open, &mut told).with_context(|| folder.display().to_string())?;
    told("when calls come");
    let timing = seed::grow_timing(&open).with_context(|| folder.display().to_string())?;
    for (name, bytes) in [("forecast.weft", grown.model.to_bytes()?), ("timing.weft", timing.to_bytes()?)] {
        let path = arguments.out.join(name);
        let cannot = || format!("{}: the model cannot be written; --out names a folder", path.display());
        std::fs::write(&path, bytes).with_context(cannot)?;
    }
    match arguments.output {
        Output::Json => say(&format!("{}\n", serde_json::to_string_pretty(&rows(&grown.scores))?)),
        Output::Table => say(&table(&grown.scores)),
    }
}

fn open(folder: &Path, path: &str) -> io::Result<Box<dyn Read>> {
    let files = PACKED.iter().map(|end| folder.join(format!("{path}{end}")));
    let file = files.into_iter().find(|file| file.is_file()).ok_or(io::ErrorKind::NotFound)?;
    Ok(Box::new(packed::unpacked(File::open(file)?)?))
}

fn rows(scores: &[SeedScore]) -> Vec<serde_json::Value> {
    let figures = |card: &Scorecard| {
        serde_json::json!({
            "forecasts": card.moments,
            "hit1": card.hit_at_1(),
            "hit3": card.hit_at_3(),
            "ece": card.calibration_error(),
            "brier": card.brier(),
        })
    };
    let row = |one: &SeedScore| {
        let (future, first) = (figures(&one.future), figures(&one.first));
        serde_json::json!({ "name": one.name, "trained_on": one.trained_on, "future": future, "first": first })
    };
    scores.iter().map(row).collect()
}

fn table(scores: &[SeedScore]) -> String {
    let head = ["data set", "trained on", ">forecasts", ">hit@1", ">hit@3", ">calibration error"];
    let mut table = Table::new(&[&head[..], &[">first 1,000: hit@1", ">hit@3"]].concat());
    for SeedScore { name, trained_on, future, first } in scores {
        table.row([
            name.clone(),
            if *trained_on { "its past" } else { "no" }.to_owned(),
            future.moments.to_string(),
            format!("{:.3}", future.hit_at_1()),
            format!("{:.3}", future.hit_at_3()),
            format!("{:.3}", future.calibration_error()),
            format!("{:.3}", first.hit_at_1()),
            format!("{:.3}", first.hit_at_3()),
        ]);
    }
    table.text()
}
