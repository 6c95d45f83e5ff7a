//! The result of a benchmark. In: ratios with their targets, series of times, and what else is to be told. Out: one JSON
//! object, or a table with target and verdict per line.
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::machine::Machine;
use super::stats::{Ratio, Series};
use crate::repository;

/// What a ratio is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn json(self) -> Value {
        match self {
            Self::AtMost(most) => json!({ "at_most": most }),
            Self::AtLeast(least) => json!({ "at_least": least }),
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most:.2}"),
            Self::AtLeast(least) => format!(">= {least:.2}"),
        }
    }
}

/// A ratio, under the name that programs know it by.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) key: &'static str,
    pub(super) ratio: Ratio,
    pub(super) target: Option<Target>,
}

/// Times of one kind, in milliseconds.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) name: &'static str,
    /// In the order in which they were measured.
    pub(super) samples: Vec<f64>,
}

/// Medians of the steps of one thing, in milliseconds and in their order.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) key: &'static str,
    pub(super) medians: Vec<(String, f64)>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) bench: &'static str,
    pub(super) claims: Vec<Claim>,
    pub(super) times: Vec<Times>,
    pub(super) steps: Vec<Steps>,
    /// Counts that tell how far the rest can be believed.
    pub(super) counts: Vec<(&'static str, u64)>,
    /// Counts of one kind, by word.
    pub(super) tallies: Vec<(&'static str, BTreeMap<String, u64>)>,
    /// Lists of figures that belong together.
    pub(super) lists: Vec<(&'static str, Value)>,
    /// What went wrong, in words.
    pub(super) failures: Vec<String>,
    pub(super) machine: Machine,
    pub(super) took_s: f64,
}

/// Pairs in their order, as one JSON object.
struct Entries(Vec<(String, Value)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Report {
    /// One JSON object.
    ///
    /// # Errors
    /// When a series has no samples.
    pub(super) fn json(&self) -> Result<String> {
        let mut entries = Entries(vec![("bench".to_owned(), json!(self.bench))]);
        let mut put = |key: String, value: Value| entries.0.push((key, value));
        for claim in &self.claims {
            put(claim.key.to_owned(), json!(rounded(claim.ratio.value)));
        }
        for Times { name, samples } in &self.times {
            let series = Series::new(samples.clone());
            let figure = |figure: Option<f64>| figure.with_context(|| format!("no sample of {name}"));
            put(format!("{name}_p50_ms"), json!(rounded(figure(series.p50())?)));
            put(format!("{name}_p99_ms"), json!(rounded(figure(series.p99())?)));
            put(format!("{name}_n"), json!(series.n()));
        }
        let of_target = |claim: &Claim| {
            let target = claim.target?;
            let mut value = target.json();
            value["met"] = json!(target.is_met(claim.ratio.value));
            Some((claim.key.to_owned(), value))
        };
        put("targets".to_owned(), json!(Entries(self.claims.iter().filter_map(of_target).collect())));
        let of_interval = |claim: &Claim| {
            let (low, high) = claim.ratio.interval?;
            Some((claim.key.to_owned(), json!([rounded(low), rounded(high)])))
        };
        put("interval_95".to_owned(), json!(Entries(self.claims.iter().filter_map(of_interval).collect())));
        for Steps { key, medians } in &self.steps {
            let medians = medians.iter().map(|(step, ms)| (step.clone(), json!(rounded(*ms))));
            put((*key).to_owned(), json!(Entries(medians.collect())));
        }
        for (key, count) in &self.counts {
            put((*key).to_owned(), json!(count));
        }
        for (key, tally) in &self.tallies {
            put((*key).to_owned(), json!(tally));
        }
        for (key, list) in &self.lists {
            put((*key).to_owned(), list.clone());
        }
        put("failures".to_owned(), json!(self.failures));
        let machine = serde_json::to_value(&self.machine)?;
        let machine = machine.as_object().context("a machine has fields")?.clone();
        machine.into_iter().for_each(|(key, value)| put(key, value));
        put("took_s".to_owned(), json!(rounded(self.took_s)));
        Ok(serde_json::to_string(&entries)?)
    }

    /// Keeps every sample below `target/bench`, in the order in which they were measured, and returns where.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn keep(&self) -> Result<PathBuf> {
        let folder = repository::root().join("target/bench");
        let samples = |times: &Times| (times.name.to_owned(), json!(times.samples));
        let samples = Entries(self.times.iter().map(samples).collect());
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let path = folder.join(format!("{}.json", self.bench));
        std::fs::write(&path, serde_json::to_vec(&samples)?)
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A table for people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n{:<30} {:>7}   {:<14} {:<8} VERDICT", "RATIO", "VALUE", "95 %", "TARGET")?;
        for Claim { key, ratio, target } in &self.claims {
            let interval =
                ratio.interval.map(|(low, high)| format!("{low:.2} to {high:.2}")).unwrap_or_default();
            let verdict = target.map(|target| if target.is_met(ratio.value) { "met" } else { "missed" });
            let target = target.map(Target::words).unwrap_or_default();
            let (value, verdict) = (ratio.value, verdict.unwrap_or("-"));
            writeln!(text, "{key:<30} {value:>7.3}   {interval:<14} {target:<8} {verdict}")?;
        }
        if !self.times.is_empty() {
            writeln!(text, "\n{:<30} {:>10} {:>10} {:>6}", "FIRST BYTE", "P50 MS", "P99 MS", "N")?;
        }
        for Times { name, samples } in &self.times {
            let series = Series::new(samples.clone());
            let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |ms| format!("{ms:.3}"));
            let (p50, p99) = (figure(series.p50()), figure(series.p99()));
            writeln!(text, "{name:<30} {p50:>10} {p99:>10} {:>6}", series.n())?;
        }
        for Steps { key, medians } in &self.steps {
            let steps: Vec<_> = medians.iter().map(|(step, ms)| format!("{step} {ms:.2}")).collect();
            writeln!(text, "\n{key}\n  {}", steps.join(", "))?;
        }
        let counts: Vec<_> = self.counts.iter().map(|(key, count)| format!("{key} {count}")).collect();
        writeln!(text, "\n{}", counts.join(", "))?;
        for (key, tally) in self.tallies.iter().filter(|(_, tally)| !tally.is_empty()) {
            let counts: Vec<_> = tally.iter().map(|(word, count)| format!("{word} {count}")).collect();
            writeln!(text, "{key} {}", counts.join(", "))?;
        }
        for (key, list) in &self.lists {
            list.as_array().into_iter().flatten().try_for_each(|row| writeln!(text, "{key} {row}"))?;
        }
        self.failures.iter().try_for_each(|failure| writeln!(text, "failed: {failure}"))?;
        let Machine { kernel, cores, nice, load_start, load_end, under_load } = &self.machine;
        writeln!(text, "Linux {kernel}, {cores} cores, nice {nice}, {:.0} s", self.took_s)?;
        writeln!(text, "load average {load_start} before, {load_end} after")?;
        if *under_load {
            writeln!(text, "The machine was busy with other work: expect longer times and wider intervals.")?;
        }
        Ok(())
    }
}

/// A tenth of a microsecond, or of a thousandth, is the last that means anything.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::super::machine::Load;
    use super::*;

    fn report(load: &str) -> Report {
        let claim = |key, value, target| Claim {
            key,
            ratio: Ratio { value, interval: Some((value - 0.1, value + 0.1)) },
            target: Some(target),
        };
        let load = Load::parse(load).unwrap();
        Report {
            bench: "start",
            claims: vec![
                claim("hit_over_warm_p50", 1.0500049, Target::AtMost(1.10)),
                claim("ctr_over_cold_p50", 1.9, Target::AtLeast(2.0)),
            ],
            times: vec![Times { name: "cold", samples: vec![2.0, 1.0, 3.0] }],
            steps: vec![Steps { key: "floor_steps_p50_ms", medians: vec![("task".to_owned(), 40.0)] }],
            counts: vec![("not_hit", 3)],
            tallies: vec![("not_hit_but", BTreeMap::from([("late".to_owned(), 3)]))],
            lists: Vec::new(),
            failures: vec!["cold: it fell over".to_owned()],
            machine: Machine::look(load).unwrap(),
            took_s: 1.0,
        }
    }

    #[test]
    fn the_json_is_one_object_with_ratios_times_and_verdicts() {
        let text = report("0.0 0 0").json().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["hit_over_warm_p50"], 1.05);
        assert_eq!(value["cold_p50_ms"], 2.0);
        assert_eq!((&value["cold_p99_ms"], &value["cold_n"]), (&json!(3.0), &json!(3)));
        assert_eq!(value["targets"]["hit_over_warm_p50"], json!({ "at_most": 1.1, "met": true }));
        assert_eq!(value["targets"]["ctr_over_cold_p50"], json!({ "at_least": 2.0, "met": false }));
        assert_eq!(value["interval_95"]["ctr_over_cold_p50"], json!([1.8, 2.0]));
        assert_eq!(value["floor_steps_p50_ms"]["task"], 40.0);
        assert_eq!((&value["not_hit"], &value["under_load"]), (&json!(3), &json!(false)));
        assert_eq!(value["not_hit_but"], json!({ "late": 3 }));
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_series_without_samples_is_no_result() {
        let mut report = report("0 0 0");
        report.times[0].samples.clear();
        assert!(report.json().unwrap_err().to_string().contains("cold"));
    }

    #[test]
    fn the_table_tells_target_and_verdict_and_a_busy_machine() {
        let text = report("50 0 0").table();
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        assert!(line("hit_over_warm_p50").ends_with("<= 1.10  met"), "{text}");
        assert!(line("ctr_over_cold_p50").ends_with(">= 2.00  missed"), "{text}");
        assert!(
            text.contains("cold: it fell over")
                && text.contains("not_hit 3")
                && text.contains("not_hit_but late 3")
        );
        assert!(text.contains("busy with other work"));
        assert!(!report("0 0 0").table().contains("busy with other work"));
    }
}
