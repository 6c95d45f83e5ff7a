//! `cargo xtask bench standing`: what weft's policy costs and saves live, against plain keep-alive. In: for how many minutes. Out:
//! cold starts, idle memory and their sum at the price of a cold start, by segment and over all, of the second half.
//!
//! Two agents stand side by side, with real containers: one as it comes, one that only watches and keeps every instance for the
//! keep-alive. Both get the same requests at the same moments, one after the other, each first in turn:
//!
//! | segment | is called |
//! | --- | --- |
//! | clock | each minute |
//! | slow-clock | each third minute |
//! | bursts | six times within five seconds, each fourth minute |
//! | visits | at random, each minute and a half on average |
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weft_models::policy::Rule;
use weft_tests::agent::{Agent, Segment};
use weft_tests::caller::Caller;
use weft_tests::http::Request;

use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::{Claim, Report, Target};
use super::stats::Ratio;
use crate::repository;
use crate::setup::{self, Purpose};
use crate::stop::Stop;

const SEGMENTS: [&str; 4] = ["clock", "slow-clock", "bursts", "visits"];
const IMAGE: &str = "bench/segment:1";
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const MEMORY_MIB: u64 = 64;
const VISIT_EVERY_S: f64 = 90.0;
const FAILURES_MAX: usize = 5;
/// How often a wait looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// Measure what the policy for standing instances costs and saves live, against plain keep-alive
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// For how long; the first half is for learning
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(8..=10_000))]
    minutes: u64,
}

/// One of the two agents.
struct Side {
    name: &'static str,
    agent: Agent,
    caller: Caller,
}

/// What one segment's requests met, and its idle memory.
#[derive(Debug, Clone, Copy, Default)]
struct Books {
    requests: f64,
    cold: f64,
    idle_mb_s: f64,
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
    let outcome = measure(arguments.minutes * 60, &mut progress, &stop);
    // Whatever failed because of it: this was the cause.
    stop.check()?;
    let (weft, plain, failures) = outcome?;
    let report = report(&weft, &plain, failures, Machine::look(load)?, progress.seconds());
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

/// Seconds and segments of all requests, in their order.
fn schedule(seconds: u64) -> Vec<(f64, usize)> {
    let mut calls = Vec::new();
    let each = |every: u64, from: u64| (0..seconds / every).map(move |nth| (nth * every + from) as f64);
    calls.extend(each(60, 20).map(|at| (at, 0)));
    calls.extend(each(180, 50).map(|at| (at, 1)));
    calls.extend(each(240, 100).flat_map(|at| (0..6).map(move |nth| (at + f64::from(nth), 2))));
    // A generator of Lehmer's; the same visits in each run.
    let (mut state, mut at) = (20_260_101_u64, 0.0);
    while at < seconds as f64 {
        state = state * 48_271 % 0x7fff_ffff;
        at -= VISIT_EVERY_S * (state as f64 / f64::from(0x7fff_ffff_u32)).ln();
        calls.push((at, 3));
    }
    calls.retain(|(at, _)| *at < seconds as f64);
    calls.sort_by(|a, b| a.0.total_cmp(&b.0));
    calls
}

fn side(name: &'static str, weave: bool) -> Result<Side> {
    let images = repository::root().join("target/images");
    let image = weft_tests::image::segment_image(IMAGE, &images)?;
    let segment = |name: &&str| Segment::new(name, IMAGE).limits(MEMORY_MIB, 1.0);
    let builder = Agent::builder(name).weave(weave).keep_alive(KEEP_ALIVE).on_disk().image(image);
    let builder = SEGMENTS.iter().map(segment).fold(builder, |builder, segment| builder.segment(segment));
    let agent = builder.start()?;
    let caller = agent.caller()?;
    Ok(Side { name, agent, caller })
}

type Measured = (Vec<Books>, Vec<Books>, Vec<String>);

fn measure(seconds: u64, progress: &mut Progress, stop: &Stop) -> Result<Measured> {
    progress.stage("start two agents with a private containerd each");
    let sides = [side("bench-weft", true)?, side("bench-plain", false)?];
    progress.stage(&format!("requests for {} minutes; the second half counts", seconds / 60));
    let (began, mut failures) = (Instant::now(), Vec::new());
    let mut halfway: Option<[Vec<Books>; 2]> = None;
    for (nth, (at_s, segment)) in schedule(seconds).into_iter().enumerate() {
        if halfway.is_none() && at_s * 2.0 >= seconds as f64 {
            halfway = Some([books(&sides[0])?, books(&sides[1])?]);
        }
        wait_until(began + Duration::from_secs_f64(at_s), stop)?;
        for turn in 0..2 {
            let side = &sides[(nth + turn) % 2];
            let request = Request::get(side.agent.address(SEGMENTS[segment]), "/");
            match side.caller.send(&request) {
                Ok(reply) if reply.status == 200 => {}
                Ok(reply) => failures.push(format!("{}: {}: {}", side.name, reply.status, reply.body.trim())),
                Err(error) => failures.push(format!("{}: {}: {error:#}", side.name, SEGMENTS[segment])),
            }
        }
        failures.truncate(FAILURES_MAX);
        progress.round(&format!("{:.0} of {} minutes", at_s / 60.0, seconds / 60));
    }
    wait_until(began + Duration::from_secs(seconds), stop)?;
    let halfway = halfway.context("nothing was asked in the second half")?;
    let grown = |side: &Side, before: &[Books]| -> Result<Vec<Books>> {
        let less = |(now, before): (Books, &Books)| Books {
            requests: now.requests - before.requests,
            cold: now.cold - before.cold,
            idle_mb_s: now.idle_mb_s - before.idle_mb_s,
        };
        Ok(books(side)?.into_iter().zip(before).map(less).collect())
    };
    let (weft, plain) = (grown(&sides[0], &halfway[0])?, grown(&sides[1], &halfway[1])?);
    sides.into_iter().try_for_each(|side| side.agent.stop())?;
    Ok((weft, plain, failures))
}

fn wait_until(moment: Instant, stop: &Stop) -> Result<()> {
    while let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        stop.check()?;
        thread::sleep(left.min(LOOK));
    }
    Ok(())
}

fn books(side: &Side) -> Result<Vec<Books>> {
    let of_segment = |name: &&str| {
        let status = side.agent.segment_status(name)?;
        let number = |key: &str| status[key].as_f64().with_context(|| format!("{name}: no {key}"));
        let met: Result<f64> =
            ["warm", "hit", "late", "cold", "failed"].iter().map(|word| number(word)).sum();
        Ok(Books { requests: met?, cold: number("cold")?, idle_mb_s: number("idle_mb_s")? })
    };
    SEGMENTS.iter().map(of_segment).collect()
}

fn report(weft: &[Books], plain: &[Books], failures: Vec<String>, machine: Machine, took_s: f64) -> Report {
    let gigabytes = MEMORY_MIB as f64 / 1024.0;
    let rule = Rule::of_keep_alive(KEEP_ALIVE.as_micros() as u64);
    let price_gb_s = rule.price(gigabytes, 1.0);
    let cost = |books: &Books| books.cold * price_gb_s + books.idle_mb_s / 1024.0;
    let sum = |of: &dyn Fn(&Books) -> f64, books: &[Books]| books.iter().map(of).sum::<f64>();
    let claim = |key, of: &dyn Fn(&Books) -> f64, target| {
        let value = sum(of, weft) / sum(of, plain).max(f64::MIN_POSITIVE);
        Claim { key, ratio: Ratio { value, interval: None }, target }
    };
    let row = |((name, weft), plain): ((&&str, &Books), &Books)| -> Value {
        json!({
            "name": name, "requests": weft.requests, "cold": weft.cold, "cold_keep_alive": plain.cold,
            "idle_mb_s": weft.idle_mb_s, "idle_keep_alive_mb_s": plain.idle_mb_s,
            "lost_gb_s": cost(weft) - cost(plain), "lost_max_gb_s": rule.lost_max_gb_s(gigabytes, price_gb_s),
        })
    };
    Report {
        bench: "standing",
        claims: vec![
            claim("cold_over_keep_alive", &|books| books.cold, None),
            claim("idle_over_keep_alive", &|books| books.idle_mb_s, None),
            claim("cost_over_keep_alive", &cost, Some(Target::AtMost(1.0))),
        ],
        times: Vec::new(),
        steps: Vec::new(),
        counts: vec![("requests_n", sum(&|books| books.requests, weft) as u64)],
        tallies: Vec::new(),
        lists: vec![("segments", SEGMENTS.iter().zip(weft).zip(plain).map(row).collect())],
        failures,
        machine,
        took_s,
    }
}
