//! What uploaded code took when it ran. In: runs, as the weaver measures them. Out: by segment the latest of them, across its
//! versions and the agent's starts; what that lets forecast. Bounded: [`RUNS_MAX`] runs of each segment that is served. What
//! came within the last seconds before an agent is killed is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_models::profile::{Forecast, RUNS_MAX, Run, Sizing, forecast};

use super::graphs::{Graphs, GraphsError};

/// Runs of all segments.
#[derive(Debug)]
pub(super) struct History {
    graphs: Arc<Graphs>,
    sizing: Sizing,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    runs: Vec<Run>,
    /// When its memory was last raised.
    raised_at_ms: Option<u64>,
    unsaved: bool,
    /// Whether there are runs that its limits have not been compared with.
    unjudged: bool,
}

impl History {
    /// What is kept.
    pub(super) fn new(graphs: Arc<Graphs>) -> Self {
        Self { graphs, sizing: Sizing::shipped(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a run of a segment.
    pub(super) fn add(&self, segment: &str, run: Run) {
        self.change(segment, |known| {
            // Half at a time, so that not every run moves all others.
            if known.runs.len() >= 2 * RUNS_MAX {
                known.runs.drain(..RUNS_MAX);
            }
            known.runs.push(run);
            (known.unsaved, known.unjudged) = (true, true);
        });
    }

    /// A segment has got more memory.
    pub(super) fn raised(&self, segment: &str, now_ms: u64) {
        self.change(segment, |known| known.raised_at_ms = Some(now_ms));
    }

    /// When that was, since the agent's start.
    pub(super) fn raised_at_ms(&self, segment: &str) -> Option<u64> {
        self.known().get(segment)?.raised_at_ms
    }

    fn change(&self, segment: &str, change: impl FnOnce(&mut Known)) {
        let mut all = self.known();
        let runs = || Known { runs: self.graphs.runs_of(segment), ..Known::default() };
        change(all.entry(segment.to_owned()).or_insert_with(runs));
    }

    /// Whether there are new runs of a segment since this was last asked.
    pub(super) fn is_unjudged(&self, segment: &str) -> bool {
        self.known().get_mut(segment).is_some_and(|known| std::mem::take(&mut known.unjudged))
    }

    /// What a segment will need by its source and its runs; `None` if its code did not come as an upload. Reads the disk.
    pub(super) fn forecast(&self, segment: &str) -> Option<Forecast> {
        let facts = self.graphs.facts_of(segment)?;
        let known = self.known().get(segment).map(|known| known.runs.clone());
        Some(forecast(&facts, &known.unwrap_or_else(|| self.graphs.runs_of(segment)), &self.sizing))
    }

    /// Writes what is new to the disk.
    ///
    /// # Errors
    /// [`GraphsError::Access`]; it is tried again the next time.
    pub(super) fn save(&self) -> Result<(), GraphsError> {
        let unsaved: Vec<(String, Vec<Run>)> = {
            let mut all = self.known();
            let new = |(segment, known): (&String, &mut Known)| {
                std::mem::take(&mut known.unsaved).then(|| (segment.clone(), known.runs.clone()))
            };
            all.iter_mut().filter_map(new).collect()
        };
        if unsaved.is_empty() {
            return Ok(());
        }
        self.graphs.put_runs(&unsaved).inspect_err(|_| {
            for (segment, _) in &unsaved {
                self.change(segment, |known| known.unsaved = true);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mib: u64) -> Run {
        Run { cpu_us: 100, wall_us: 1_000, memory_peak_bytes: mib << 20, ..Run::default() }
    }

    #[test]
    fn runs_outlive_the_agent_and_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let graphs = Arc::new(Graphs::open(folder.path()).unwrap());
        let history = History::new(graphs.clone());
        for mib in 0..3 * RUNS_MAX as u64 {
            history.add("cart", run(mib));
        }
        assert!(history.known()["cart"].runs.len() <= 2 * RUNS_MAX);
        history.save().unwrap();
        let again = History::new(graphs.clone());
        again.add("cart", run(7));
        again.save().unwrap();
        let kept = graphs.runs_of("cart");
        assert_eq!((kept.len(), kept.last()), (RUNS_MAX, Some(&run(7))));
        assert_eq!(kept[0], run(2 * RUNS_MAX as u64 + 1));
    }

    #[test]
    fn limits_are_judged_once_for_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(Arc::new(Graphs::open(folder.path()).unwrap()));
        assert!(!history.is_unjudged("cart"));
        history.add("cart", run(7));
        assert!(history.is_unjudged("cart"));
        assert!(!history.is_unjudged("cart"));
        history.raised("cart", 5);
        assert_eq!(history.raised_at_ms("cart"), Some(5));
        assert!(history.forecast("cart").is_none(), "nothing is known of its source");
    }
}
