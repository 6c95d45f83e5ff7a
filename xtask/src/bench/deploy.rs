//! `cargo xtask bench deploy`: how long the first request to uploaded code waits. In: how many rounds. Out: ratios and
//! times.
//!
//! | | what is timed, from dialling to the first byte |
//! | --- | --- |
//! | first | the first request to code that was just deployed: its instance stands and listens |
//! | warm | a later request to the same instance, on a connection of its own, after as long a pause as before the first |
//! | busy | the same, without a pause: caches and processors are awake |
//! | unprepared | a request to the same code when nothing stands: its container is made and its libraries are loaded |
//!
//! The code is a Python function that imports numpy and pillow. Each round deploys a version that nobody has seen before,
//! asks it for the first time, asks it again, waits until nothing stands, and asks once more; what is compared comes from
//! the same round. The time of the deployment itself is told beside it.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weft_tests::agent::Agent;
use weft_tests::caller::Caller;
use weft_tests::http::Request;

use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::{Claim, Report, Target, Times};
use super::stats::{Series, ratio};
use crate::repository;
use crate::setup::{self, Purpose};
use crate::stop::Stop;

const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for a first request to find what was deployed, short enough to wait for its end in each round.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Warm requests of a round, and as many busy ones.
const WARM: usize = 5;
/// Before the first request and each warm one: who comes first comes to a program that has waited.
const PAUSE: Duration = Duration::from_millis(200);
/// Rounds before the first one that counts: libraries are installed, files come into the cache.
const WARM_UP: usize = 2;
const FAILURES_MAX: usize = 3;

const CODE: &str = "
import numpy
from PIL import Image

def handler(event):
    pixels = numpy.full((10, 20, 3), 200, dtype=numpy.uint8)
    small = Image.fromarray(pixels).resize((7, 5))
    return {'size': small.size, 'mean': float(numpy.asarray(small).mean())}
";

/// Measure how long the first request to uploaded code waits
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Samples of each kind
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

/// What was measured, in milliseconds.
#[derive(Debug, Default)]
struct Outcome {
    first: Vec<f64>,
    warm: Vec<f64>,
    /// The median of the warm requests of each round.
    warm_of_round: Vec<f64>,
    busy: Vec<f64>,
    /// The median of the busy requests of each round.
    busy_of_round: Vec<f64>,
    unprepared: Vec<f64>,
    deploy: Vec<f64>,
    failures: Vec<String>,
}

/// One round.
struct Round {
    deploy: f64,
    first: f64,
    warm: Vec<f64>,
    busy: Vec<f64>,
    unprepared: f64,
}

/// Measures and prints.
///
/// # Errors
/// What could not be measured.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    setup::ready(&[Purpose::Demo])?;
    let load = release::enter()?;
    let stop = Stop::listen()?;
    let mut progress = Progress::start();
    let outcome = measure(arguments.rounds as usize, &mut progress, &stop);
    // Whatever failed because of it: this was the cause.
    stop.check()?;
    let report = report(outcome?, Machine::look(load)?, progress.seconds())?;
    eprintln!("samples: {}", report.keep()?.display());
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

/// The code on its way in; gone when dropped.
struct Upload(PathBuf);

impl Drop for Upload {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("left behind: {}: {error}", self.0.display());
        }
    }
}

fn measure(rounds: usize, progress: &mut Progress, stop: &Stop) -> Result<Outcome> {
    progress.stage("start a private containerd and weft, which forecasts nothing");
    let target = repository::root().join("target");
    let upload = Upload(target.join("bench/deploy/resize"));
    fs::create_dir_all(&upload.0)?;
    let builder = Agent::builder("bench-deploy").weave(false).keep_alive(KEEP_ALIVE).on_disk();
    let agent = builder.cache(&target.join("images")).start()?;
    let caller = agent.caller()?;
    progress.stage("deploy the first versions: libraries are installed");
    for version in 0..WARM_UP {
        round(&agent, &caller, &upload.0, version)?;
        stop.check()?;
    }
    progress.stage(&format!("measure {rounds} deployments"));
    let mut outcome = Outcome::default();
    while outcome.first.len() < rounds {
        stop.check()?;
        let version = WARM_UP + outcome.first.len() + outcome.failures.len();
        match round(&agent, &caller, &upload.0, version) {
            Ok(round) => outcome.take(round),
            Err(error) => {
                eprintln!("\na round failed: {error:#}; the agent's log ends:\n{}", agent.log_tail());
                outcome.failures.push(format!("{error:#}"));
                ensure!(outcome.failures.len() <= FAILURES_MAX, "too many rounds failed: {error:#}");
            }
        }
        progress.round(&format!("{} of {rounds} rounds", outcome.first.len()));
    }
    drop(caller);
    agent.stop()?;
    Ok(outcome)
}

impl Outcome {
    fn take(&mut self, round: Round) {
        self.warm_of_round.extend(Series::new(round.warm.clone()).p50());
        self.warm.extend(round.warm);
        self.busy_of_round.extend(Series::new(round.busy.clone()).p50());
        self.busy.extend(round.busy);
        self.first.push(round.first);
        self.unprepared.push(round.unprepared);
        self.deploy.push(round.deploy);
    }
}

fn round(agent: &Agent, caller: &Caller, folder: &Path, version: usize) -> Result<Round> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    fs::write(folder.join("app.py"), format!("# version {version} of {now}{CODE}"))?;
    fs::write(folder.join("requirements.txt"), "numpy\npillow\n")?;
    // There is no such segment before the first round.
    let cold = || agent.segment_status("resize").ok().and_then(|status| status["cold"].as_u64()).unwrap_or(0);
    let before = cold();
    let begun = Instant::now();
    let said = agent.weft(&["deploy", folder.to_str().context("a path in UTF-8")?])?;
    let deploy = begun.elapsed().as_secs_f64() * 1000.0;
    let address = said.trim_end().rsplit(' ').next().context("an address at the end")?.parse()?;
    let ask = || {
        let reply = caller.send(&Request::get(address, "/").patience(PATIENCE))?;
        ensure!(reply.status == 200, "it answers {}: {}", reply.status, reply.body);
        anyhow::Ok(reply.first_byte.as_secs_f64() * 1000.0)
    };
    let after_pause = || {
        std::thread::sleep(PAUSE);
        ask()
    };
    let first = after_pause()?;
    let warm = (0..WARM).map(|_| after_pause()).collect::<Result<Vec<_>>>()?;
    let busy = (0..WARM).map(|_| ask()).collect::<Result<Vec<_>>>()?;
    ensure!(cold() == before, "a request after the deployment found no instance");
    agent.wait_until_nothing_stands()?;
    let unprepared = ask()?;
    agent.wait_until_nothing_stands()?;
    Ok(Round { deploy, first, warm, busy, unprepared })
}

fn report(outcome: Outcome, machine: Machine, took_s: f64) -> Result<Report> {
    let claim = |key, samples: &[f64], reference: &[f64], target| {
        let ratio = ratio(samples, reference).with_context(|| format!("no samples for {key}"))?;
        anyhow::Ok(Claim { key, ratio, target })
    };
    let Outcome { first, warm, warm_of_round, busy, busy_of_round, unprepared, deploy, failures } = outcome;
    Ok(Report {
        bench: "deploy",
        claims: vec![
            claim("first_over_warm_p50", &first, &warm_of_round, Some(Target::AtMost(1.5)))?,
            claim("first_over_busy_p50", &first, &busy_of_round, None)?,
            claim("unprepared_over_prepared_p50", &unprepared, &first, Some(Target::AtLeast(5.0)))?,
        ],
        times: [
            ("first", first),
            ("warm", warm),
            ("busy", busy),
            ("unprepared", unprepared),
            ("deploy", deploy),
        ]
        .map(|(name, samples)| Times { name, samples })
        .into(),
        steps: Vec::new(),
        counts: vec![("failed_samples", failures.len() as u64), ("warmup_rounds", WARM_UP as u64)],
        tallies: Vec::new(),
        lists: Vec::new(),
        failures,
        machine,
        took_s,
    })
}
