//! Traces for tests, from the folder that `WEFT_DATA` names. Where it is not set, tests on them say so and end.

#![allow(dead_code, reason = "each file of tests uses some of them")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data ends")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use weft_models::trace::{Counts, Limits, MinuteCounts, SecondCounts};

/// The folder of traces of calls.
pub(crate) fn calls_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("WEFT_DATA").map(|data| PathBuf::from(data).join("calls"));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("skipped: WEFT_DATA names no folder with `calls` in it");
    }
    folder
}

pub(crate) fn open(path: &Path) -> impl BufRead + use<> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(StreamingDecoder::new(BufReader::new(file)).unwrap())
}

/// The sample of Azure Functions 2019.
pub(crate) fn azure(folder: &Path) -> Counts {
    let part = |name: &str| open(&folder.join(format!("azure2019_500fn_8h_{name}.csv.zst")));
    let mut tables = MinuteCounts::new(Limits::default());
    tables.durations(part("durations")).unwrap();
    tables.memory(part("memory")).unwrap();
    tables.invocations(part("invocations")).unwrap()
}

/// The scaler challenge's third set.
pub(crate) fn alibaba(folder: &Path) -> Counts {
    let mut tables = SecondCounts::new(Limits::default());
    tables.functions(open(&folder.join("alibaba_fc_metas.jsonl.zst"))).unwrap();
    tables.table(open(&folder.join("alibaba_fc_persecond.csv.zst"))).unwrap()
}
