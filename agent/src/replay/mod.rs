//! Replay: calls of a trace against policies, on a virtual clock and simulated instances. In: where the trace is, how it is
//! read, which policies, which node. Out: figures of each policy. Nothing outside is touched but the files that are named.
//! Refused, with file, line, cause and remedy: traces that cannot be read, models that are none, a past that teaches nothing.
//!
//! ```text
//! path ─ files ─► readers ─ packed ─► lines ─ models::trace ─► calls ─┬─ first part ─► trees ─┐
//!                                                                     └─ models::contest ◄────┴─► rows
//! ```

pub mod choice;
mod files;
pub(crate) mod packed;
mod progress;

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use weft_models::ArtifactError;
use weft_models::contest::{
    Comparison, ContestError, Entrant, Row, Trial, compare, grown_until, mark_front, picture, scored_from_us,
};
use weft_models::replay::{Node, ReplayError as Unreplayed, Window};
use weft_models::timing::{GrowOptions, TimingModel};
use weft_models::trace::{Fault, Format, MinuteCounts, Reading, SecondCounts, Trace, TraceError};

use choice::Choice;
use files::Located;
use progress::Progress;

/// Largest model that is read.
const MODEL_BYTES_MAX: u64 = 64 << 20;
/// Trees of each forest that is grown.
const TREES: usize = 20;

/// Why a replay fails.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file or folder cannot be opened.
    #[error("{}: {source}. Name a file, a folder, or what the names of its tables begin with", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder or beginning of names has no trace.
    #[error("{}: it holds no table of counts (`…invocations….csv` or `…persecond….csv`). Name the file of the trace", path.display())]
    NoTable {
        /// Which.
        path: PathBuf,
    },
    /// It has several.
    #[error("{}: it holds {}. Name one of them", path.display(), names.join(", "))]
    Several {
        /// Which.
        path: PathBuf,
        /// What it holds.
        names: Vec<String>,
    },
    /// A table without its companion.
    #[error("{}: {wanted} is missing beside it. {remedy}", path.display())]
    NoCompanion {
        /// The table.
        path: PathBuf,
        /// What goes with it.
        wanted: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A line cannot be read.
    #[error("{}:{line}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        #[source]
        fault: Fault,
    },
    /// No known format.
    #[error(
        "{}:1: no known trace begins with `{begins}`. Name its format with --format (azure2019, azure2021, http, spans, weft, \
         alibaba), and see whether the file is what it should be",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// How it begins.
        begins: String,
    },
    /// Nothing to grow trees from.
    #[error("{0}; or name grown trees with --model, or leave out the policy `weft`")]
    Past(#[source] ContestError),
    /// The calls are not in order.
    #[error("the trace cannot be replayed")]
    Replay(#[from] Unreplayed),
    /// Not a model.
    #[error("{}: {source}. Name a file that `weft replay --save-model` wrote with this version", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArtifactError,
    },
    /// A result cannot be written.
    #[error("{}: {source}. Name a place that can be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What is replayed, and how.
#[derive(Debug)]
pub struct Settings {
    /// File, folder, or beginning of the tables' names.
    pub path: PathBuf,
    /// The format, if it is not to be found out.
    pub format: Option<Format>,
    /// How it is read.
    pub reading: Reading,
    /// Which policies; all of them if there are none.
    pub choices: Vec<Choice>,
    /// The node.
    pub node: Node,
    /// Share of the trace's time that only teaches.
    pub scored_from: f64,
    /// Seed of the trees.
    pub seed: u64,
    /// Where trees are read from, instead of being grown.
    pub model: Option<PathBuf>,
    /// Where the trees are kept.
    pub save_model: Option<PathBuf>,
    /// Where the picture goes.
    pub picture: Option<PathBuf>,
}

/// The trees that were followed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trees {
    /// `grown`, or the file.
    pub from: String,
    /// How many.
    pub trees: usize,
    /// Their leaves.
    pub leaves: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The trace's name.
    pub trace: String,
    /// Its format.
    pub format: Format,
    /// Applications.
    pub apps: usize,
    /// Calls, those that only teach included.
    pub calls: u64,
    /// Lines that a recording lacks.
    pub dropped_lines: u64,
    /// Whether any start takes time: else nothing is slowed down.
    pub starts_known: bool,
    /// When the trace begins, in µs of its own time.
    pub begin_us: u64,
    /// From when calls are scored.
    pub scored_from_us: u64,
    /// When it ends.
    pub end_us: u64,
    /// The trees, where they were followed.
    pub trees: Option<Trees>,
    /// Why weft's own policy is left out, if it is.
    pub left_out: Option<String>,
    /// A row for each policy and parameter.
    pub policies: Vec<Row>,
    /// What weft leaves of the hybrid histogram's losses, where both are there.
    pub comparison: Option<Comparison>,
}

/// Reads a trace and replays it.
///
/// # Errors
/// See [`ReplayError`].
pub fn run(settings: &Settings) -> Result<Outcome, ReplayError> {
    let progress = Progress::start();
    let (format, trace) = read(settings, &progress)?;
    let from_us = scored_from_us(&trace, settings.scored_from);
    let window = Window { from_us, until_us: trace.end_us() };
    let entrants = choice::entrants(&settings.choices, &trace, settings.node);
    let (model, left_out) = model(settings, &trace, from_us, &entrants, &progress)?;
    if let (Some(path), Some(model)) = (&settings.save_model, &model) {
        let bytes = model.to_bytes().map_err(|source| ReplayError::Model { path: path.clone(), source })?;
        write(path, &bytes)?;
    }
    let trial = Trial { trace: &trace, node: settings.node, window, model: model.as_ref() };
    let mut rows = Vec::new();
    for entrant in entrants {
        progress.replaying(entrant, trace.len());
        rows.extend(trial.run(entrant, &mut |calls| progress.at(calls))?);
    }
    mark_front(&mut rows);
    let points: Vec<_> = rows.iter().map(|row| row.point.clone()).collect();
    let name = settings.path.file_name().unwrap_or(settings.path.as_os_str()).to_string_lossy().into_owned();
    if let Some(path) = &settings.picture {
        write(path, picture::svg(&name, &points).as_bytes())?;
    }
    let has = |policy: &str| points.iter().any(|point| point.policy == policy);
    let trees = model.as_ref().map(|model| {
        let from = settings.model.as_ref().map_or("grown".to_owned(), |path| path.display().to_string());
        let (trees, leaves) = model.size();
        Trees { from, trees, leaves }
    });
    Ok(Outcome {
        trace: name,
        format,
        apps: trace.apps().len(),
        calls: trace.len(),
        dropped_lines: trace.dropped(),
        starts_known: trace.apps().iter().any(|app| app.start_us > 0),
        begin_us: trace.begin_us(),
        scored_from_us: from_us,
        end_us: trace.end_us(),
        trees,
        left_out,
        policies: rows,
        comparison: (has("weft") && has("hybrid")).then(|| compare(&points)),
    })
}

fn read(settings: &Settings, progress: &Progress) -> Result<(Format, Trace), ReplayError> {
    let main = files::locate(&settings.path, settings.format)?;
    let mut reader = packed::open(&main, progress)?;
    let first = first_line(&mut reader, settings.reading.limits.line_len_max, &main)?;
    let text = String::from_utf8_lossy(&first);
    let line = text.trim();
    let format = match settings.format.or_else(|| Format::of(line)) {
        Some(format) => format,
        None if first.is_empty() => return Err(at(&main)(TraceError { line: 1, fault: Fault::Empty })),
        None => {
            let shown = line.chars().filter(|letter| !letter.is_control()).take(60);
            return Err(ReplayError::Format { begins: shown.collect(), path: main });
        }
    };
    let how = &settings.reading;
    let whole = std::io::Cursor::new(first).chain(reader);
    let trace = match files::companions(&main, format, how.assumed.memory_kib.is_some())? {
        Located::Alone => Trace::read(format, whole, how).map_err(at(&main))?,
        Located::Minutes { durations, memory } => {
            let mut tables = MinuteCounts::new(how.limits).assuming(how.assumed);
            tables.durations(packed::open(&durations, progress)?).map_err(at(&durations))?;
            if let Some(memory) = memory {
                tables.memory(packed::open(&memory, progress)?).map_err(at(&memory))?;
            }
            Trace::minutes(tables, whole, how).map_err(at(&main))?
        }
        Located::Seconds { functions } => {
            let mut tables = SecondCounts::new(how.limits).assuming(how.assumed);
            tables.functions(packed::open(&functions, progress)?).map_err(at(&functions))?;
            Trace::seconds(tables, whole, how).map_err(at(&main))?
        }
    };
    Ok((format, trace))
}

/// The first line that is not empty, and what stands before it.
fn first_line(reader: &mut impl BufRead, len_max: usize, path: &Path) -> Result<Vec<u8>, ReplayError> {
    let mut first = Vec::new();
    while first.trim_ascii().is_empty() && first.len() <= len_max {
        let read = reader.by_ref().take(len_max as u64).read_until(b'\n', &mut first);
        if read.map_err(|error| at(path)(TraceError { line: 1, fault: Fault::Read(error) }))? == 0 {
            break;
        }
    }
    Ok(first)
}

fn at(path: &Path) -> impl FnOnce(TraceError) -> ReplayError + use<> {
    let path = path.to_owned();
    |error| ReplayError::Line { path, line: error.line, fault: error.fault }
}

/// The trees, or why there are none. Only who asked for them is failed without them.
fn model(
    settings: &Settings,
    trace: &Trace,
    from_us: u64,
    entrants: &[Entrant],
    progress: &Progress,
) -> Result<(Option<TimingModel>, Option<String>), ReplayError> {
    if !entrants.iter().any(|entrant| matches!(entrant, Entrant::Weft(_))) {
        return Ok((None, None));
    }
    if let Some(path) = &settings.model {
        let opened = |source| ReplayError::Open { path: path.clone(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(opened)?;
        file.take(MODEL_BYTES_MAX).read_to_end(&mut bytes).map_err(opened)?;
        let read = TimingModel::from_bytes(&bytes);
        let model = read.map_err(|source| ReplayError::Model { path: path.clone(), source })?;
        return Ok((Some(model), None));
    }
    progress.growing();
    let options = GrowOptions { trees: TREES, ..GrowOptions::default() };
    match grown_until(trace, from_us, &options, settings.seed) {
        Ok(model) => Ok((Some(model), None)),
        Err(error) if settings.choices.is_empty() && settings.save_model.is_none() => {
            Ok((None, Some(error.to_string())))
        }
        Err(error) => Err(ReplayError::Past(error)),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ReplayError> {
    std::fs::write(path, bytes).map_err(|source| ReplayError::Write { path: path.to_owned(), source })
}
