//! `cargo xtask bench foresee`: how right forecasts of what comes next are, and what they cost, beside sequence predictors of
//! the literature. In: traces of requests and of calls. Out: per trace a row of figures, as table or JSON, and the aims
//! with their verdicts.
//!
//! Everything is trained on the past and scored on the future, on the same events: those that go on in a session. Weft's
//! counts, the Markov chains and PPM go on learning while they are scored; the neural peers may, in twenty parts, if that
//! did them good on held-out requests of the past.
mod neural;
mod peers;
mod retrain;
mod row;
mod score;
mod sessions;
mod tally;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weft_models::trace::habits;

use self::neural::{MODELS, Python};
use self::retrain::{Gathered, LESSONS, Retrain};
use self::row::{PeerRow, Row};
use self::sessions::Sessions;
use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::Report;
use crate::data;

/// Measure forecasts of what comes next against sequence predictors of the literature
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// A folder that holds traces as `requests` and `chains`; the folder that WEFT_DATA names, if it is not given
    #[arg(long)]
    data: Option<PathBuf>,
    /// Train an LSTM and a small Transformer as well; PyTorch is installed below target/ for them (4.5 GB)
    #[arg(long)]
    peers: bool,
    /// Seconds of CPU that each of these two may learn for on a trace
    #[arg(long, default_value_t = 90.0)]
    peer_seconds: f64,
    /// The share of each trace that is the past
    #[arg(long, default_value_t = 0.7)]
    cut: f64,
    /// The share of each trace at which the future ends; below 1, the end is kept for another time
    #[arg(long, default_value_t = 1.0)]
    until: f64,
    /// Which traces; all, if none is named
    traces: Vec<String>,
}

/// Measures and prints.
///
/// # Errors
/// What could not be measured.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let load = release::enter_with(&["xtask"])?;
    let mut progress = Progress::start();
    let folder = data::folder(arguments.data.as_deref(), "").context(
        "no traces; name the folder that holds requests and chains with --data DIR, or set WEFT_DATA",
    )?;
    let python = arguments.peers.then(|| Python::ready(arguments.peer_seconds)).transpose()?;
    let names: Vec<&str> = arguments.traces.iter().map(String::as_str).collect();
    let names = if names.is_empty() { habits::ALL.to_vec() } else { names };
    let mut outcome = Outcome::default();
    let mut gathered = Gathered::of(names.len());
    if python.is_some() {
        let seconds = arguments.peer_seconds;
        outcome.notes.push(format!("each network had about {seconds} s of CPU to learn from a trace's past"));
    }
    for name in &names {
        progress.stage(name);
        let open = |path: &str| Ok(Box::new(data::open(&folder.join(path))?) as Box<dyn Read>);
        let habits = habits::read(name, &open).with_context(|| folder.display().to_string())?;
        let sessions = Sessions::new(habits, arguments.cut, arguments.until)?;
        outcome.add(&sessions, &mut gathered, python.as_ref(), &mut progress)?;
        // A run takes long; what is known of it is told at once.
        match outcome.rows.last().map(Row::table) {
            Some(table) if arguments.json => eprint!("{table}"),
            Some(table) => print!("{table}"),
            None => {}
        }
    }
    progress.stage("training again");
    let retrain = gathered.train(LESSONS)?;
    let Outcome { rows, notes, failures, scored } = outcome;
    let report = Report {
        bench: "foresee",
        claims: row::claims(&rows, &retrain),
        times: Vec::new(),
        steps: Vec::new(),
        counts: vec![("traces_n", rows.len() as u64), ("scored_n", scored)],
        tallies: Vec::new(),
        lists: if arguments.json { lists(&rows, &retrain, &notes)? } else { Vec::new() },
        failures,
        machine: Machine::look(load)?,
        took_s: progress.seconds(),
    };
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        println!();
        notes.iter().for_each(|note| println!("{note}"));
        print!("{}", report.table());
    }
    Ok(())
}

fn lists(rows: &[Row], retrain: &Retrain, notes: &[String]) -> Result<Vec<(&'static str, Vec<Value>)>> {
    let rows = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let retrain = vec![serde_json::to_value(retrain)?];
    Ok(vec![
        ("traces", rows),
        ("retrain", retrain),
        ("notes", notes.iter().map(|note| json!(note)).collect()),
    ])
}

/// What came of the traces so far.
#[derive(Default)]
struct Outcome {
    rows: Vec<Row>,
    /// How things were measured, in words.
    notes: Vec<String>,
    failures: Vec<String>,
    scored: u64,
}

impl Outcome {
    fn add(
        &mut self,
        sessions: &Sessions,
        gathered: &mut Gathered,
        python: Option<&Python>,
        progress: &mut Progress,
    ) -> Result<()> {
        let name = sessions.trace.name;
        let ours = score::ours(sessions, gathered).with_context(|| format!("the trace {name}"))?;
        let (events, scored) = (sessions.trace.events.len(), ours.tally.scored());
        let left_out = sessions.trace.left_out.map(|what| format!("; left out: {what}")).unwrap_or_default();
        self.notes.push(format!("{name}: {events} requests, {scored} of the future scored{left_out}"));
        self.scored += scored as u64;
        let mut told = Vec::new();
        for (peer, mut model) in peers::all() {
            progress.round(peer);
            told.push(PeerRow::of(peer, &score::peer(sessions, model.as_mut())));
        }
        match python {
            Some(python) => {
                let events = python.give(sessions)?;
                for (peer, model) in MODELS {
                    progress.stage(&format!("{name}: {peer}"));
                    told.push(self.neural(peer, model, python, sessions, &events));
                }
            }
            None => told.extend(MODELS.map(|(peer, _)| PeerRow::absent(peer))),
        }
        self.rows.push(Row::new(name, &ours, told));
        Ok(())
    }

    /// A network that fails takes no other figure with it.
    fn neural(
        &mut self,
        peer: &'static str,
        model: &str,
        python: &Python,
        sessions: &Sessions,
        events: &Path,
    ) -> PeerRow {
        let name = sessions.trace.name;
        match python.score(model, sessions, events) {
            Ok(told) => {
                self.notes.push(format!("{name}: {peer}: {}", told.chosen()));
                PeerRow {
                    name: peer,
                    hit1: Some(told.hit1),
                    hit3: Some(told.hit3),
                    cpu_us_per_forecast: Some(told.cpu_us_per_forecast),
                    train_s: Some(told.train_s),
                }
            }
            Err(error) => {
                self.failures.push(format!("{name}: {peer}: {error:#}"));
                PeerRow::absent(peer)
            }
        }
    }
}
