//! `cargo xtask bench start`: how long a request waits for its container. In: how many rounds. Out: ratios and times.
//!
//! | | what is timed, from dialling to the first byte |
//! | --- | --- |
//! | cold | a request that finds nothing: weft makes the container and serves it |
//! | floor | the same container by containerd's own calls, and its program's first answer, without weft |
//! | ctr | the same container by `ctr run`, until its port answers |
//! | hit | a request to a container that weft made because it forecast the request |
//! | warm | the same, but dialled at the container's own address: weft has nothing to do with it |
//!
//! A hit and a warm request are both the first that a container gets, each on a new connection. Each container is used
//! for one of the two. What is compared is measured in turns, so that a machine that slows down slows down both.
mod cold;
mod ctr;
mod floor;
mod hit;
mod network;
mod train;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use weft_tests::agent::{Agent, Segment};
use weft_tests::image::ImageBuilder;

use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::{Claim, Report, Steps, Target, Times};
use super::stats::{Ratio, ratio};
use crate::repository;
use crate::setup::{self, Purpose};
use crate::stop::Stop;

/// The image that every container is made of: one static program.
const IMAGE: &str = "bench/segment:1";
/// What every container may use.
const MEMORY_MIB: u64 = 64;
const CORES: f64 = 1.0;
/// Rounds before the first one that counts: programs come into memory, files into the cache.
const WARM_UP: usize = 3;
/// Failures that are told in words.
const TOLD_MAX: usize = 10;

/// Measure how long a request waits for its container
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Samples of each kind
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    rounds: u32,
}

/// What all parts of the benchmark need.
struct Bench {
    rounds: usize,
    image: ImageBuilder,
    progress: Progress,
    stop: Stop,
}

/// What went wrong: counted, told, and too often the end.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    told: Vec<String>,
}

impl Failures {
    fn note(&mut self, kind: &str, error: &anyhow::Error, agent: &Agent) {
        eprintln!("\na sample failed: {kind}: {error:#}; the agent's log ends:\n{}", agent.log_tail());
        self.add(kind, error);
    }

    fn add(&mut self, kind: &str, error: &anyhow::Error) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("{kind}: {error:#}"));
        }
    }

    /// Half as many failures as samples are wanted: that is no measurement any more.
    fn check(&self, rounds: usize) -> Result<()> {
        let last = self.told.last().map(String::as_str).unwrap_or_default();
        ensure!(self.count <= 10 + rounds as u64 / 2, "{} samples failed; one of them: {last}", self.count);
        Ok(())
    }

    fn join(self, other: Self) -> Self {
        let told = self.told.into_iter().chain(other.told).take(TOLD_MAX).collect();
        Self { count: self.count + other.count, told }
    }
}

/// Measures and prints.
///
/// # Errors
/// What could not be measured.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    setup::ready(&[Purpose::Demo])?;
    let load = release::enter()?;
    let stop = Stop::listen()?;
    let outcome = measure(arguments.rounds as usize, &stop);
    // Whatever failed because of it: this was the cause.
    stop.check()?;
    let (cold, hit, took_s) = outcome?;
    let report = report(cold, hit, Machine::look(load)?, took_s)?;
    eprintln!("samples: {}", report.keep()?.display());
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn measure(rounds: usize, stop: &Stop) -> Result<(cold::Outcome, hit::Outcome, f64)> {
    let mut progress = Progress::start();
    progress.stage("build the image");
    let image = weft_tests::image::segment_image(IMAGE, &images())?;
    let mut bench = Bench { rounds, image, progress, stop: stop.clone() };
    let cold = cold::measure(&mut bench).context("cold starts")?;
    let hit = hit::measure(&mut bench).context("hits")?;
    Ok((cold, hit, bench.progress.seconds()))
}

/// Where layers of images are kept between runs.
fn images() -> PathBuf {
    repository::root().join("target/images")
}

/// A segment of the benchmark.
fn segment(name: &str) -> Segment {
    Segment::new(name, IMAGE).limits(MEMORY_MIB, CORES)
}

fn report(cold: cold::Outcome, hit: hit::Outcome, machine: Machine, took_s: f64) -> Result<Report> {
    let of = |name: &str, ratio: Option<Ratio>| ratio.with_context(|| format!("no samples for {name}"));
    let claim = |key, ratio, target| Ok::<_, anyhow::Error>(Claim { key, ratio: of(key, ratio)?, target });
    let claims = vec![
        claim("hit_over_warm_p50", ratio(&hit.hit, &hit.warm), Some(Target::AtMost(1.10)))?,
        claim("cold_over_floor_p50", ratio(&cold.cold, &cold.floor), Some(Target::AtMost(1.15)))?,
        claim("ctr_over_cold_p50", ratio(&cold.ctr, &cold.cold), Some(Target::AtLeast(2.0)))?,
        claim("redirected_over_direct_p50", ratio(&hit.redirected, &hit.direct), None)?,
    ];
    let (misses, failures) = (hit.misses(), cold.failures.join(hit.failures));
    let times = [
        ("cold", cold.cold),
        ("floor", cold.floor),
        ("floor_alone", cold.floor_alone),
        ("ctr", cold.ctr),
        ("hit", hit.hit),
        ("warm", hit.warm),
        ("redirected", hit.redirected),
        ("direct", hit.direct),
    ];
    Ok(Report {
        bench: "start",
        claims,
        times: times.map(|(name, times)| Times { name, samples: times }).into(),
        steps: vec![
            Steps { key: "cold_phases_p50_ms", medians: cold.phases },
            Steps { key: "floor_steps_p50_ms", medians: cold.floor_steps },
        ],
        counts: vec![
            ("failed_samples", failures.count),
            ("not_hit", misses),
            ("model_rows", hit.model_rows),
            ("warmup_rounds", WARM_UP as u64),
        ],
        tallies: vec![("not_hit_but", hit.not_hit)],
        lists: Vec::new(),
        failures: failures.told,
        machine,
        took_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_told_up_to_a_number_and_too_many_are_the_end() {
        let mut failures = Failures::default();
        for _ in 0..40 {
            failures.add("cold", &anyhow::anyhow!("it fell over"));
        }
        assert_eq!((failures.count, failures.told.len()), (40, TOLD_MAX));
        failures.check(60).unwrap();
        failures.add("cold", &anyhow::anyhow!("again"));
        let error = failures.check(60).unwrap_err().to_string();
        assert!(error.contains("41 samples failed") && error.contains("it fell over"), "{error}");
    }

    #[test]
    fn failures_of_two_parts_are_one_count() {
        let mut one = Failures::default();
        one.add("cold", &anyhow::anyhow!("first"));
        let mut other = Failures::default();
        other.add("hit", &anyhow::anyhow!("second"));
        let both = one.join(other);
        assert_eq!((both.count, both.told), (2, vec!["cold: first".to_owned(), "hit: second".to_owned()]));
    }
}
