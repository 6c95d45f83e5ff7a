//! The models that weft ships with, and how they are made. In: data sets of who asked for what, and of who was called when.
//! Out: the same bytes each time, and scores on what was not trained on. Refused: data sets that cannot be read.
//!
//! What comes next is trained on the past of data sets whose licences allow that, and scored on their future and on data sets that it
//! has seen nothing of. What such a model knows is how far counts can be trusted, not what they are of: so it serves a node that
//! has counted for a minute, until the node's own lessons are enough for a better one.

use std::io::{self, BufReader};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contest::{self, ContestError, Sweep};
use crate::evaluate::{AccuracyLimits, Scorecard, score};
use crate::forecast::{Model, Options, TrainError};
use crate::history::{History, Lesson, Limits};
use crate::timing::TimingModel;
use crate::trace::habits::{self, Habits, HabitsError, Open};
use crate::trace::{self, MinuteCounts, TraceError};

/// Data sets that it is trained on.
pub const TRAINED_ON: [&str; 3] = ["nasa", "train ticket", "msnbc"];
/// Data sets that it is scored on and never trained on.
pub const SCORED_ON: [&str; 3] = ["math", "cran", "bpi"];
/// Requests of a data set that are looked at, from the first.
const REQUESTS_MAX: usize = 60_000;
/// Of these the first seven tenths are the past.
const PAST_TENTHS: usize = 7;
/// Lessons of one data set that are trained on: none outweighs the others by its length alone.
const LESSONS_MAX: usize = 80_000;
/// What a new node sees in its first minutes.
const FIRST_REQUESTS: usize = 1_000;
/// Outcomes that are waited for: cases that last for weeks are all open at once.
const OPEN_MAX: usize = 65_536;
/// Moments of one data set are told from those of another by their upper bits.
const MOMENT_BITS: u32 = 40;
const SEED: u64 = 1;

/// Counts per minute of 500 functions of Azure's, from which is learned when calls come.
const TIMED_ON: &str = "calls/azure2019_500fn_8h";

static FORECAST: &[u8] = include_bytes!("../seed/forecast.weft");

static TIMING: &[u8] = include_bytes!("../seed/timing.weft");

/// The shipped model of what comes next.
pub fn forecast() -> Model {
    Model::from_bytes(FORECAST).expect("a test reads the bytes that are shipped")
}

/// The shipped model of when it comes.
pub fn timing() -> TimingModel {
    TimingModel::from_bytes(TIMING).expect("a test reads the bytes that are shipped")
}

/// Why it cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeedError {
    /// A data set cannot be read.
    #[error(transparent)]
    Habits(#[from] HabitsError),
    /// The lessons teach nothing.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A table of calls cannot be opened.
    #[error("{path}: {source}; name the folder that has it")]
    Open {
        /// Below the folder of the data.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A table of calls cannot be read.
    #[error("{path}: {source}")]
    Calls {
        /// Below the folder of the data.
        path: String,
        /// Line and cause.
        source: TraceError,
    },
    /// The calls teach nothing.
    #[error(transparent)]
    Contest(#[from] ContestError),
}

/// Scores on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedScore {
    /// Its name.
    pub name: String,
    /// Whether its past was trained on.
    pub trained_on: bool,
    /// On what came after the past, where the counts go on.
    pub future: Scorecard,
    /// On the first thousand requests of a node that has counted nothing before.
    pub first: Scorecard,
}

/// The model and what it is worth.
#[derive(Clone, Debug)]
pub struct Grown {
    /// The model; its card holds the squared error over all futures of what was trained on.
    pub model: Model,
    /// Scores, those trained on first.
    pub scores: Vec<SeedScore>,
}

/// What a data set teaches, in the order of time.
struct Taught {
    name: &'static str,
    past: Vec<Lesson>,
    future: Vec<Lesson>,
    first: Vec<Lesson>,
}

/// Makes the shipped model; `told` hears how far it is.
///
/// # Errors
/// See [`SeedError`].
pub fn grow(open: Open<'_>, told: &mut dyn FnMut(&str)) -> Result<Grown, SeedError> {
    let mut taught = Vec::new();
    for name in TRAINED_ON.into_iter().chain(SCORED_ON) {
        told(name);
        taught.push(teach(habits::read(name, open)?));
    }
    let mut lessons = Vec::new();
    for (nth, one) in taught.iter().take(TRAINED_ON.len()).enumerate() {
        let moment = |lesson: &Lesson| (nth as u64) << MOMENT_BITS | lesson.moment;
        lessons.extend(thinned(&one.past).map(|lesson| Lesson { moment: moment(lesson), ..lesson.clone() }));
    }
    told("training");
    let model = Model::train(&lessons, Options::default(), SEED)?;
    let bar = AccuracyLimits::default().bar;
    let judge = |one: &Taught| SeedScore {
        name: one.name.to_owned(),
        trained_on: TRAINED_ON.contains(&one.name),
        future: score(&model, &one.future, bar),
        first: score(&model, &one.first, bar),
    };
    let scores: Vec<SeedScore> = taught.iter().map(judge).collect();
    let of_trained = scores.iter().filter(|score| score.trained_on).map(|score| score.future);
    let all = of_trained.fold(Scorecard::default(), |sum, one| sum.plus(&one));
    Ok(Grown { model: model.with_score(all.brier() as f32), scores })
}

/// Makes the shipped model of when calls come, from the first half of the trace.
///
/// # Errors
/// See [`SeedError`].
pub fn grow_timing(open: Open<'_>) -> Result<TimingModel, SeedError> {
    let mut tables = MinuteCounts::new(trace::Limits::default());
    let table = |part: &str| {
        let path = format!("{TIMED_ON}_{part}.csv");
        match open(&path) {
            Ok(file) => Ok((path, BufReader::new(file))),
            Err(source) => Err(SeedError::Open { path, source }),
        }
    };
    let (path, reader) = table("durations")?;
    tables.durations(reader).map_err(|source| SeedError::Calls { path, source })?;
    let (path, reader) = table("memory")?;
    tables.memory(reader).map_err(|source| SeedError::Calls { path, source })?;
    let (path, reader) = table("invocations")?;
    let counts = tables.invocations(reader).map_err(|source| SeedError::Calls { path, source })?;
    Ok(contest::grown(&counts, &Sweep::default())?)
}

fn teach(habits: Habits) -> Taught {
    let Habits { name, mut events, gap_ms, .. } = habits;
    events.truncate(REQUESTS_MAX);
    let mut history = History::new(Limits { session_gap_ms: gap_ms, open: OPEN_MAX, ..Limits::default() });
    let cut = events.len() * PAST_TENTHS / 10;
    let mut taught = Taught { name, past: Vec::new(), future: Vec::new(), first: Vec::new() };
    for (nth, event) in events.iter().enumerate() {
        let lessons = history.observe(event);
        if nth < FIRST_REQUESTS {
            taught.first.extend(lessons.iter().cloned());
        }
        if nth < cut { taught.past.extend(lessons) } else { taught.future.extend(lessons) }
    }
    taught
}

/// Whole moments at even distances, at most as many lessons as are wanted.
fn thinned(lessons: &[Lesson]) -> impl Iterator<Item = &Lesson> {
    let step = lessons.len().div_ceil(LESSONS_MAX).max(1);
    lessons.chunk_by(|a, b| a.moment == b.moment).step_by(step).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_models_can_be_read_and_tell_what_they_were_trained_on() {
        let card = *forecast().card();
        assert!(card.rows > 100_000 && card.trees > 0, "{card:?}");
        assert!(card.score.is_some_and(|brier| brier < 0.1), "{card:?}");
        let (trees, leaves) = timing().size();
        assert!(trees > 10 && leaves > 1_000, "{trees} trees, {leaves} leaves");
    }
}
