//! What it was worth. In: both phases. Out: numbers in JSON, and tables. Nothing is in it that was not measured: what
//! requests found is counted by the agent's own ledger, how long they took by their callers.
use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::record::{Joined, Phase};
use super::shop;
use super::upload::Uploaded;

/// Both phases in numbers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Requests without a proper answer, in both phases: as users saw them, and as the agent counted them.
    pub(super) failed_requests: u64,
    /// What the users were drawn from.
    pub(super) seed: u64,
    /// How many there were.
    pub(super) users: u32,
    /// How long everything took, without the build.
    pub(super) duration_s: f64,
    /// weft watches and learns.
    pub(super) phase1: Numbers,
    /// weft weaves.
    pub(super) phase2: Numbers,
    /// A function was deployed.
    pub(super) upload: Uploaded,
}

/// One phase in numbers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Numbers {
    /// How long it lasted.
    seconds: f64,
    /// Requests that the agent counted: those of users, and those of the checkout to the three behind it.
    requests: u64,
    /// Requests of users.
    user_requests: u64,
    /// Requests of users that failed.
    user_failed: u64,
    /// Requests of users that the journal does not have.
    user_requests_unseen: u64,
    /// Lines of the journal that were lost.
    journal_lost: u64,
    /// Instances that a forecast still held at the end; their waste is not counted.
    instances_standing: u64,
    #[serde(flatten)]
    counts: Counts,
    /// Of the requests that would have been cold without a forecast, the share that found an instance.
    pub(super) hit_share: Option<f64>,
    /// The middle cold request took so many times as long as the middle hit.
    pub(super) cold_over_hit_p50: Option<f64>,
    /// The middle cold request, in milliseconds to the first byte.
    cold_p50_ms: Option<f64>,
    /// The middle hit.
    hit_p50_ms: Option<f64>,
    /// The middle request.
    p50_ms: Option<f64>,
    /// One request in a hundred took longer.
    p99_ms: Option<f64>,
    /// Forecasts that were made.
    forecasts: u64,
    /// Requests that a forecast spared a cold start.
    hits: u64,
    /// Requests that a forecast spared a part of it.
    late_hits: u64,
    /// Memory-time of forecast instances that nobody used.
    waste_mb_s: f64,
    /// Memory-time of all instances without work: what being ready cost.
    idle_mb_s: f64,
    /// The same per segment.
    segments: BTreeMap<String, Segment>,
}

/// Requests by what they found, in the agent's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    warm: u64,
    hit: u64,
    late: u64,
    cold: u64,
    failed: u64,
    pass: u64,
}

/// One segment in numbers.
#[derive(Debug, Clone, Serialize)]
struct Segment {
    requests: u64,
    #[serde(flatten)]
    counts: Counts,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    waste_mb_s: f64,
    idle_mb_s: f64,
    saved_ms: f64,
}

/// What `weft status` says of a segment, as far as it is of use here.
#[derive(Deserialize)]
struct Sums {
    name: String,
    #[serde(flatten)]
    counts: Counts,
    wasted_mb_s: f64,
    idle_mb_s: f64,
    saved_ms: f64,
}

impl Counts {
    fn all(self) -> u64 {
        self.warm + self.hit + self.late + self.cold + self.failed + self.pass
    }

    fn add(&mut self, other: Self) {
        self.warm += other.warm;
        self.hit += other.hit;
        self.late += other.late;
        self.cold += other.cold;
        self.failed += other.failed;
        self.pass += other.pass;
    }

    fn hit_share(self) -> Option<f64> {
        let would_be_cold = self.hit + self.late + self.cold;
        (would_be_cold > 0).then(|| self.hit as f64 / would_be_cold as f64)
    }
}

impl Report {
    /// The numbers of both phases.
    ///
    /// # Errors
    /// When the agent's sums are not as expected.
    pub(super) fn new(
        phases: [&Phase; 2],
        upload: Uploaded,
        seed: u64,
        users: u32,
        duration_s: f64,
    ) -> Result<Self> {
        let [phase1, phase2] = [Numbers::new(phases[0])?, Numbers::new(phases[1])?];
        let failed = |numbers: &Numbers| numbers.user_failed.max(numbers.counts.failed);
        let failed_requests = failed(&phase1) + failed(&phase2);
        Ok(Self { failed_requests, seed, users, duration_s, phase1, phase2, upload })
    }

    /// Both phases as tables, and what changed in between.
    pub(super) fn tables(&self) -> String {
        let [before, after] = [&self.phase1, &self.phase2];
        let mut text = format!(
            "\nwatching only, {:.0} s\n{}\nweaving, {:.0} s\n{}\n",
            before.seconds,
            before.table(),
            after.seconds,
            after.table()
        );
        let percent = after.hit_share.map_or("no".into(), |share| format!("{:.0} %", share * 100.0));
        let _ = writeln!(
            text,
            "cold starts {} → {}; {percent} of the requests that would have been cold found their instance ready.",
            before.counts.cold, after.counts.cold
        );
        if let (Some(cold), Some(hit), Some(times)) =
            (after.cold_p50_ms, after.hit_p50_ms, after.cold_over_hit_p50)
        {
            let _ = writeln!(
                text,
                "first byte, p50: cold {cold:.0} ms, hit {hit:.1} ms: {times:.0} times as fast."
            );
        }
        let _ = writeln!(
            text,
            "forecasts {}, hits {}, late hits {}, wasted {:.0} MB·s; failed requests {}.",
            after.forecasts, after.hits, after.late_hits, after.waste_mb_s, self.failed_requests
        );
        text
    }
}

impl Numbers {
    fn new(phase: &Phase) -> Result<Self> {
        let joined = phase.joined();
        let sums: Vec<Sums> =
            serde_json::from_value(phase.status["segments"].clone()).context("weft status")?;
        let mut counts = Counts::default();
        sums.iter().for_each(|segment| counts.add(segment.counts));
        let times_of = |outcome: &str| times(&joined, |one| one.outcome == Some(outcome));
        let (cold, hit, all) = (times_of("cold"), times_of("hit"), times(&joined, |_| true));
        let (cold_p50_ms, hit_p50_ms) = (quantile(&cold, 0.5), quantile(&hit, 0.5));
        let count = |is_it: fn(&Joined<'_>) -> bool| joined.iter().filter(|one| is_it(one)).count() as u64;
        let is_forecast = |event: &&super::record::Event| matches!(&event.what, super::record::What::Forecast { path } if !path.is_empty());
        Ok(Self {
            seconds: phase.seconds(),
            requests: counts.all(),
            user_requests: joined.len() as u64,
            user_failed: count(|one| !one.asked.succeeded()),
            user_requests_unseen: count(|one| one.outcome.is_none()),
            journal_lost: phase.lost,
            instances_standing: phase.status["instances"].as_array().map_or(0, Vec::len) as u64,
            counts,
            hit_share: counts.hit_share(),
            cold_over_hit_p50: cold_p50_ms.zip(hit_p50_ms).map(|(cold, hit)| cold / hit),
            cold_p50_ms,
            hit_p50_ms,
            p50_ms: quantile(&all, 0.5),
            p99_ms: quantile(&all, 0.99),
            forecasts: phase.journal.iter().filter(is_forecast).count() as u64,
            hits: counts.hit,
            late_hits: counts.late,
            waste_mb_s: sums.iter().map(|segment| segment.wasted_mb_s).sum(),
            idle_mb_s: sums.iter().map(|segment| segment.idle_mb_s).sum(),
            segments: sums.into_iter().map(|sums| (sums.name.clone(), Segment::new(sums, &joined))).collect(),
        })
    }

    fn table(&self) -> String {
        let ms = |time: Option<f64>| time.map_or("–".into(), |time| format!("{time:.1}"));
        let head = [
            "segment",
            "requests",
            "cold",
            "late",
            "hit",
            "warm",
            "p50 ms",
            "p99 ms",
            "wasted MB·s",
            "idle MB·s",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        let mut row = |name: &str, counts: Counts, times: [Option<f64>; 2], memory_time: [f64; 2]| {
            let counted = [counts.all(), counts.cold, counts.late, counts.hit, counts.warm];
            let [all, cold, late, hit, warm] = counted.map(|count| count.to_string());
            let ([p50, p99], [wasted, idle]) = (times.map(ms), memory_time.map(|sum| format!("{sum:.0}")));
            rows.push([name.to_owned(), all, cold, late, hit, warm, p50, p99, wasted, idle]);
        };
        for name in shop::NAMES {
            if let Some(s) = self.segments.get(name) {
                row(name, s.counts, [s.p50_ms, s.p99_ms], [s.waste_mb_s, s.idle_mb_s]);
            }
        }
        row("all", self.counts, [self.p50_ms, self.p99_ms], [self.waste_mb_s, self.idle_mb_s]);
        aligned(&rows)
    }
}

impl Segment {
    fn new(sums: Sums, joined: &[Joined<'_>]) -> Self {
        let times = times(joined, |one| one.asked.segment == sums.name);
        Self {
            requests: sums.counts.all(),
            counts: sums.counts,
            p50_ms: quantile(&times, 0.5),
            p99_ms: quantile(&times, 0.99),
            waste_mb_s: sums.wasted_mb_s,
            idle_mb_s: sums.idle_mb_s,
            saved_ms: sums.saved_ms,
        }
    }
}

/// Times to the first byte of the requests that succeeded and that `is_it`, sorted.
fn times(joined: &[Joined<'_>], is_it: impl Fn(&Joined<'_>) -> bool) -> Vec<f64> {
    let of_interest = joined.iter().filter(|one| one.asked.succeeded() && is_it(one));
    let mut times: Vec<_> = of_interest.map(|one| one.asked.first_byte_ms).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The smallest of the sorted values that is not below this share of all.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// Columns: the first to the left, numbers to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text += &format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::phase;
    use super::*;

    #[test]
    fn counts_are_the_agents_and_times_the_callers() {
        let numbers = Numbers::new(&phase()).unwrap();
        assert_eq!((numbers.requests, numbers.user_requests, numbers.user_requests_unseen), (4, 4, 1));
        assert_eq!((numbers.counts.hit, numbers.counts.cold), (2, 1));
        assert_eq!(numbers.hit_share, Some(2.0 / 3.0));
        assert_eq!((numbers.cold_p50_ms, numbers.hit_p50_ms), (Some(300.0), Some(6.0)));
        assert_eq!(numbers.cold_over_hit_p50, Some(50.0));
        assert_eq!((numbers.forecasts, numbers.waste_mb_s), (1, 7.5));
        assert_eq!(numbers.segments["cart"].p99_ms, Some(300.0));
    }

    #[test]
    fn a_failed_request_is_counted_and_does_not_count_as_fast() {
        let mut broken = phase();
        broken.asked[1].status = 503;
        let report = Report::new([&broken, &phase()], Uploaded::default(), 7, 1, 10.0).unwrap();
        assert_eq!(report.failed_requests, 1);
        assert_eq!(report.phase1.segments["cart"].p50_ms, Some(300.0));
        assert!(report.tables().contains("failed requests 1"));
    }

    #[test]
    fn what_was_not_measured_has_no_number() {
        let mut idle = phase();
        (idle.asked, idle.journal) = (Vec::new(), Vec::new());
        idle.status = serde_json::json!({ "segments": [] });
        let numbers = Numbers::new(&idle).unwrap();
        assert_eq!((numbers.hit_share, numbers.cold_over_hit_p50, numbers.p50_ms), (None, None, None));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99)), (Some(50.0), Some(99.0)));
        assert_eq!(quantile(&values[..1], 0.99), Some(1.0));
    }
}
