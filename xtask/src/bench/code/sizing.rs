//! Memory limits before and after the first runs, on functions that others measured. In: a folder with the tables of
//! Sizeless (`sizeless_summary.csv`, and the single runs in `sizeless_data.tar.xz`) and SeBS (`sebs_summary.csv`), and the
//! sources of those functions where they are given. Out: how often a limit holds and how much of it is left over, beside
//! VPA's rule on the same runs. Nothing of those tables is in the model that is shipped.
//!
//! - *need*: the largest peak of any run of the function at the largest memory size that all functions have, inputs of
//!   all sizes among them. Python's peaks in Sizeless are growth over the bare interpreter, in KiB, so the interpreter's
//!   weight is added; Node's are whole, in bytes; SeBS tells the provider's figure, in MiB.
//! - *runs*: so many runs, evenly drawn over all runs of the function, are known; with 0 only the source is.
//! - *exact_or_over*: the share of functions whose limit is at least their need.
//! - *slack*: (limit - need) / limit, 0 where the limit is below the need, mean over the functions.
//! - Each function is forecast by a model of all *other* functions: those of the tables and weft's own records. `shipped_`
//!   is the model that comes with weft, which knows its own records alone.
//! - *VPA*: the 90th of a hundred of the known runs and 15 % more, at least 250 MiB, which is all it has before the first
//!   run. Its histogram's rounding up to a bucket is left out, in its favour.
//!
//! The depth of the trees, the share of a leaf that a limit holds and the margins over known runs were chosen with these
//! very functions in sight, of some hundred settings: no figure here is of data that nobody had looked at. One function of 28
//! is 0.036, so differences of that size say nothing.
mod sources;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weft_models::profile::{CodeFacts, Example, Run, Sizing, forecast};

use crate::{repository, train};

const VPA_FLOOR_MIB: f32 = 250.0;
const VPA_MARGIN: f32 = 1.15;
/// How many runs are known.
const KNOWN: [usize; 2] = [0, 5];

/// A function of the tables.
pub(super) struct Subject {
    /// As the table calls it.
    name: String,
    facts: CodeFacts,
    /// Whether its source was found.
    has_source: bool,
    /// Its runs by the size of their inputs.
    inputs: Vec<Vec<Run>>,
    need_mib: f32,
}

/// Limits and how they did.
#[derive(Default)]
struct Score {
    held: usize,
    slack: f32,
    /// Each function with its limit and its need.
    limits: Vec<String>,
}

impl Score {
    fn add(&mut self, subject: &Subject, limit_mib: f32) {
        if limit_mib >= subject.need_mib {
            self.held += 1;
            self.slack += (limit_mib - subject.need_mib) / limit_mib;
        }
        self.limits.push(format!("{} {limit_mib:.0} of {:.0}", subject.name, subject.need_mib));
    }

    fn shares(&self, of: usize) -> (f64, f64) {
        (self.held as f64 / of as f64, f64::from(self.slack) / of as f64)
    }
}

/// Scores all functions of the tables in a folder; the second is what is to be said of it.
///
/// # Errors
/// What cannot be read or learned.
pub(super) fn score(folder: &Path, functions: &[PathBuf]) -> Result<(Vec<Value>, Vec<String>)> {
    let mut subjects = tables::read(folder)?;
    ensure!(!subjects.is_empty(), "{}: no measured functions in it", folder.display());
    sources::find(functions, &mut subjects)?;
    let mut notes = Vec::new();
    let without: Vec<_> =
        subjects.iter().filter(|one| !one.has_source).map(|one| one.name.as_str()).collect();
    if !without.is_empty() {
        notes.push(format!("sizing: no source, so only the language is known, of {}", without.join(", ")));
    }
    let mut all = train::sizing::examples(&repository::root())?;
    all.extend(subjects.iter().flat_map(examples));
    let mut rows = Vec::new();
    for known in KNOWN {
        let (mut ours, mut shipped, mut vpa) = (Score::default(), Score::default(), Score::default());
        for subject in &subjects {
            let others: Vec<_> = all.iter().filter(|one| one.function != subject.name).cloned().collect();
            let runs = drawn(subject, known);
            let by = |model: &Sizing| forecast(&subject.facts, &runs, model).memory_mib.high;
            ours.add(subject, by(&Sizing::train(&others)?));
            shipped.add(subject, by(&Sizing::shipped()));
            vpa.add(subject, vpa_mib(&runs));
        }
        let n = subjects.len();
        let ((held, slack), (vpa_held, vpa_slack)) = (ours.shares(n), vpa.shares(n));
        let (shipped_held, shipped_slack) = shipped.shares(n);
        rows.push(json!({
            "runs": known,
            "exact_or_over": rounded(held),
            "slack": rounded(slack),
            "vpa_exact_or_over": rounded(vpa_held),
            "vpa_slack": rounded(vpa_slack),
            "shipped_exact_or_over": rounded(shipped_held),
            "shipped_slack": rounded(shipped_slack),
            "functions": n,
            "with_source": subjects.iter().filter(|one| one.has_source).count(),
        }));
        notes.push(format!("sizing, {known} runs, limits in MiB: {}", ours.limits.join(", ")));
    }
    Ok((rows, notes))
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn examples(subject: &Subject) -> Vec<Example> {
    let example = |runs: &Vec<Run>| Example {
        function: subject.name.clone(),
        facts: subject.facts.clone(),
        runs: runs.clone(),
    };
    subject.inputs.iter().map(example).collect()
}

/// So many runs, evenly drawn over all of a function.
fn drawn(subject: &Subject, count: usize) -> Vec<Run> {
    let all: Vec<Run> = subject.inputs.iter().flatten().copied().collect();
    let count = count.min(all.len());
    (0..count).map(|at| all[(2 * at + 1) * all.len() / (2 * count)]).collect()
}

/// VPA's rule.
fn vpa_mib(runs: &[Run]) -> f32 {
    let mut peaks: Vec<f32> = runs.iter().map(|run| run.memory_peak_bytes as f32 / 1_048_576.0).collect();
    peaks.sort_by(f32::total_cmp);
    let rank = (0.9 * peaks.len() as f32).ceil() as usize;
    let target = rank.checked_sub(1).and_then(|at| peaks.get(at)).map_or(0.0, |peak| peak * VPA_MARGIN);
    target.max(VPA_FLOOR_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mib: u64) -> Run {
        Run { wall_us: 1, memory_peak_bytes: mib << 20, ..Run::default() }
    }

    fn subject(peaks: &[u64]) -> Subject {
        let inputs = vec![peaks.iter().map(|mib| run(*mib)).collect()];
        let need_mib = peaks.iter().copied().max().unwrap_or(0) as f32;
        Subject { name: "f".into(), facts: CodeFacts::default(), has_source: false, inputs, need_mib }
    }

    #[test]
    fn vpa_gives_its_floor_without_runs_and_the_ninetieth_with_a_margin_above_it() {
        assert_eq!((vpa_mib(&[]), vpa_mib(&[run(100)])), (250.0, 250.0));
        let runs: Vec<Run> = (1..=10).map(|n| run(n * 100)).collect();
        assert!((vpa_mib(&runs) - 1035.0).abs() < 0.1);
    }

    #[test]
    fn runs_are_drawn_evenly_and_limits_below_the_need_have_no_slack() {
        let one = subject(&[10, 20, 30, 40]);
        let peaks: Vec<u64> = drawn(&one, 2).iter().map(|run| run.memory_peak_bytes >> 20).collect();
        assert_eq!((peaks, drawn(&one, 9).len()), (vec![20, 40], 4));
        let mut score = Score::default();
        score.add(&one, 80.0);
        score.add(&one, 39.0);
        assert_eq!(score.shares(2), (0.5, 0.25));
        assert_eq!(score.limits, ["f 80 of 40", "f 39 of 40"]);
    }
}
