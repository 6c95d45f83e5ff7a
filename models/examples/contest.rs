//! Policies against each other: `cargo run --release -p weft-models --example contest -- FOLDER [azure|alibaba]`, where the
//! folder holds the traces of calls. Prints a table of the curves, then one JSON object per trace.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use weft_models::contest::{Sweep, contest};
use weft_models::trace::{Counts, Limits, MinuteCounts, SecondCounts};

type Failure = Box<dyn std::error::Error>;

fn open(path: &Path) -> Result<impl BufRead + use<>, Failure> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufReader::new(StreamingDecoder::new(BufReader::new(file))?))
}

fn azure(folder: &Path) -> Result<Counts, Failure> {
    let part = |name: &str| open(&folder.join(format!("azure2019_500fn_8h_{name}.csv.zst")));
    let mut tables = MinuteCounts::new(Limits::default());
    tables.durations(part("durations")?)?;
    tables.memory(part("memory")?)?;
    Ok(tables.invocations(part("invocations")?)?)
}

fn alibaba(folder: &Path) -> Result<Counts, Failure> {
    let mut tables = SecondCounts::new(Limits::default());
    tables.functions(open(&folder.join("alibaba_fc_metas.jsonl.zst"))?)?;
    Ok(tables.table(open(&folder.join("alibaba_fc_persecond.csv.zst"))?)?)
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name the folder of traces of calls")?);
    let wanted = arguments.next();
    for (name, read) in [("azure", azure as fn(&Path) -> Result<Counts, Failure>), ("alibaba", alibaba)] {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let counts = read(&folder)?;
        let outcome = contest(name, &counts, &Sweep::default(), &mut |text| eprintln!("{text}"))?;
        for point in &outcome.curve {
            let figures = &point.figures;
            println!(
                "{:7} {:7.0} cold {:.4} % p75 {:6.2} p90 {:6.2} waste {:8.0} GB·s slowdown {:.2} churn {}",
                point.policy,
                point.parameter,
                figures.cold_percent,
                figures.p75_cold_percent,
                figures.p90_cold_percent,
                figures.wasted_gb_s,
                figures.slowdown_p99_geomean,
                figures.churn
            );
        }
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(())
}
