//! Hits, and the same containers reached directly, in turns. In: a machine. Out: equally many first requests of either
//! way to containers that weft made on a forecast, and pairs of later requests to the same containers.
//!
//! A round asks for the first segment, waits until weft has made the second on its own account, and asks for that, a
//! moment after the first as the users did that weft has learned from. Whether it was a hit, the agent's journal says.
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use weft_tests::agent::{Agent, Line, Watch};
use weft_tests::caller::Caller;
use weft_tests::http::{Reply, Request};
use weft_tests::wait::{wait_for, wait_for_some};

use super::super::release;
use super::train::{MOMENT, train};
use super::{Bench, Failures, WARM_UP, segment};

/// Who asks for the first mostly asks for the second.
pub(super) const FIRST: &str = "first";
pub(super) const SECOND: &str = "second";
/// Short, so that a round soon finds nothing standing.
const KEEP_ALIVE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);
/// A forecast has its container standing by then, or has none.
const MADE: Duration = Duration::from_secs(5);
/// Later requests of either way to each container.
const PAIRS: usize = 4;
/// The journal's clock and this one are the same, read a moment apart.
const SLACK_MS: f64 = 1_000.0;

/// What was measured, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) hit: Vec<f64>,
    pub(super) warm: Vec<f64>,
    /// Later requests through the segment's address.
    pub(super) redirected: Vec<f64>,
    /// Later requests to the container's own.
    pub(super) direct: Vec<f64>,
    /// Rounds whose request was no hit, by what it was instead.
    pub(super) not_hit: BTreeMap<String, u64>,
    pub(super) model_rows: u64,
    pub(super) failures: Failures,
}

/// How the second segment is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// At its address: weft redirects.
    Redirected,
    /// At the container's own address.
    Direct,
}

impl Way {
    /// The order of a pair: each way is first equally often.
    fn order(number: usize) -> [Self; 2] {
        if number.is_multiple_of(2) {
            [Self::Redirected, Self::Direct]
        } else {
            [Self::Direct, Self::Redirected]
        }
    }
}

/// How a round ended.
enum Ended {
    Measured(Sample),
    /// weft had made nothing, or what it had made was gone again: what the request was instead.
    NotHit(String),
}

/// What one round gave.
#[derive(Debug, Default)]
struct Sample {
    first_ms: f64,
    redirected: Vec<f64>,
    direct: Vec<f64>,
}

/// A container that stands for a forecast.
#[derive(Debug, Clone, Deserialize)]
struct Instance {
    name: String,
    segment: String,
    state: String,
    origin: String,
    address: String,
}

/// What the image's program says.
#[derive(Debug, Deserialize)]
struct Said {
    /// The container's host name, which is the instance's.
    name: String,
    /// How many requests it has had, this one included.
    requests: u64,
}

/// Everything that stands meanwhile; dropped from the top down.
struct Stage {
    watch: Watch,
    caller: Caller,
    agent: Agent,
    asked: u64,
}

/// Measures.
///
/// # Errors
/// When something does not start, the agent does not learn, or too little are hits.
pub(super) fn measure(bench: &mut Bench) -> Result<Outcome> {
    bench.progress.stage("start weft anew; users come until it forecasts");
    let agent = Agent::builder("bench")
        .fixed()
        .on_disk()
        .binary(&release::program("weft")?)
        .image(bench.image.clone());
    let agent = agent.segment(segment(FIRST)).segment(segment(SECOND)).keep_alive(KEEP_ALIVE).start()?;
    let caller = agent.caller()?;
    let model_rows = train(&agent, &caller, bench)?;
    let watch = agent.watch()?;
    let mut stage = Stage { watch, caller, agent, asked: 0 };
    bench.progress.stage(&format!("measure {} hits, in turns with direct requests", bench.rounds));
    let mut outcome = Outcome { model_rows, ..Outcome::default() };
    let mut number = 0;
    while outcome.hit.len() < bench.rounds {
        bench.stop.check()?;
        outcome.failures.check(bench.rounds)?;
        let misses = outcome.misses();
        ensure!(
            misses <= 20 + bench.rounds as u64,
            "{misses} forecasts led to no hit:\n{}",
            stage.agent.log_tail()
        );
        let pair = stage.pair(number, &mut outcome);
        if let (Some(pair), true) = (pair, number >= WARM_UP) {
            outcome.take(pair);
        }
        number += 1;
        let (hits, misses) = (outcome.hit.len(), outcome.misses());
        bench.progress.round(&format!("{hits} of {} hits, {misses} rounds were none", bench.rounds));
    }
    let Stage { watch, caller, agent, .. } = stage;
    drop((watch, caller));
    agent.stop()?;
    Ok(outcome)
}

impl Outcome {
    /// How many rounds were none.
    pub(super) fn misses(&self) -> u64 {
        self.not_hit.values().sum()
    }

    fn take(&mut self, [hit, warm]: [Sample; 2]) {
        self.hit.push(hit.first_ms);
        self.warm.push(warm.first_ms);
        for sample in [hit, warm] {
            self.redirected.extend(sample.redirected);
            self.direct.extend(sample.direct);
        }
    }
}

impl Stage {
    /// A hit and a warm request, or nothing if one of them was none.
    fn pair(&mut self, number: usize, outcome: &mut Outcome) -> Option<[Sample; 2]> {
        let (mut hit, mut warm) = (None, None);
        for way in Way::order(number) {
            let place = if way == Way::Redirected { &mut hit } else { &mut warm };
            match self.round(way, number) {
                Ok(Ended::Measured(sample)) => *place = Some(sample),
                Ok(Ended::NotHit(word)) => *outcome.not_hit.entry(word).or_default() += 1,
                Err(error) => {
                    let kind = format!("{way:?} request of pair {number}");
                    outcome.failures.note(&kind, &error, &self.agent);
                }
            }
        }
        Some([hit?, warm?])
    }

    fn round(&mut self, way: Way, number: usize) -> Result<Ended> {
        let nothing = || self.instances().is_some_and(|instances| instances.is_empty());
        wait_for("the last instance to go", PATIENCE, nothing)?;
        let token = self.token();
        let (asked, journal) = (Instant::now(), self.watch.lines().len());
        let request = Request::get(self.agent.address(FIRST), "/").patience(PATIENCE);
        let reply = self.caller.send(&signed(request, &token))?;
        ensure!(reply.status == 200, "status {}: {}", reply.status, reply.body.trim());
        let Ok(instance) = wait_for_some("the forecast's container", MADE, || self.forecast_made()) else {
            return Ok(Ended::NotHit(why_none(&self.watch.lines_after(journal)).to_owned()));
        };
        // The user's pause, as it was learned.
        thread::sleep(MOMENT.saturating_sub(asked.elapsed()));
        let begun_ms = unix_ms();
        let reply = self.ask(way, &instance, &token)?;
        let said = said(&reply)?;
        if way == Way::Redirected {
            let word = self.outcome_of(&reply, begun_ms)?;
            if word != "hit" {
                return Ok(Ended::NotHit(word));
            }
        }
        ensure!(said.name == instance.name, "{} answered instead of {}", said.name, instance.name);
        ensure!(said.requests == 1, "{} had had {} requests before", said.name, said.requests - 1);
        let mut sample = Sample { first_ms: ms(&reply), ..Sample::default() };
        for pair in 0..PAIRS {
            self.later(pair + number, &instance, &mut sample)?;
        }
        Ok(Ended::Measured(sample))
    }

    /// One more request of either way. Each is another user's: nobody is to be learned to ask again.
    fn later(&mut self, number: usize, instance: &Instance, sample: &mut Sample) -> Result<()> {
        for way in Way::order(number) {
            let token = self.token();
            let reply = self.ask(way, instance, &token)?;
            let said = said(&reply)?;
            ensure!(said.name == instance.name, "{} answered instead of {}", said.name, instance.name);
            match way {
                Way::Redirected => sample.redirected.push(ms(&reply)),
                Way::Direct => sample.direct.push(ms(&reply)),
            }
        }
        Ok(())
    }

    fn ask(&self, way: Way, instance: &Instance, token: &str) -> Result<Reply> {
        let address = match way {
            Way::Redirected => self.agent.address(SECOND),
            Way::Direct => instance.address.parse().with_context(|| format!("`{}`", instance.address))?,
        };
        let reply = self.caller.send(&signed(Request::get(address, "/"), token))?;
        ensure!(reply.status == 200, "status {}: {}", reply.status, reply.body.trim());
        Ok(reply)
    }

    fn instances(&self) -> Option<Vec<Instance>> {
        serde_json::from_value(self.agent.status().ok()?["instances"].take()).ok()
    }

    fn forecast_made(&self) -> Option<Instance> {
        let mut instances = self.instances()?.into_iter();
        instances.find(|one| one.segment == SECOND && one.origin == "forecast" && one.state == "ready")
    }

    /// What the journal says of a request.
    fn outcome_of(&self, reply: &Reply, begun_ms: f64) -> Result<String> {
        let what = format!("the request from port {} in the journal", reply.local_port);
        let line = self.watch.wait_for(&what, MADE, |line| is_request(line, reply.local_port, begun_ms))?;
        Ok(line["outcome"].as_str().unwrap_or_default().to_owned())
    }

    fn token(&mut self) -> String {
        self.asked += 1;
        format!("visitor-{}", self.asked)
    }
}

/// Why no container stood for the second segment, by the journal since the first was asked for.
fn why_none(journal: &[Line]) -> &'static str {
    let of = |line: &&Line, kind: &str| line["kind"] == kind && line["segment"] == SECOND;
    let forecast = |line: &Line| {
        let path = line["path"].as_array().into_iter().flatten();
        line["trigger"] == FIRST && path.into_iter().any(|step| step["segment"] == SECOND)
    };
    let mut made = journal.iter().filter(|line| of(line, "instance"));
    match (journal.iter().any(forecast), made.any(|line| line["state"] == "ready")) {
        (false, _) => "not forecast",
        (true, false) => "forecast, not made",
        (true, true) => "forecast, gone too soon",
    }
}

/// Whether a line tells of the request from that port since then; ports come again after a while.
fn is_request(line: &Line, port: u16, since_ms: f64) -> bool {
    let from = line["from"].as_str().and_then(|from| from.rsplit_once(':'));
    line["kind"] == "request"
        && line["at_ms"].as_f64().is_some_and(|at_ms| at_ms >= since_ms - SLACK_MS)
        && from.is_some_and(|(_, found)| found == port.to_string())
}

fn signed(request: Request, token: &str) -> Request {
    request.header("Authorization", &format!("Bearer {token}"))
}

fn said(reply: &Reply) -> Result<Said> {
    serde_json::from_str(&reply.body).with_context(|| format!("the program said `{}`", reply.body.trim()))
}

fn ms(reply: &Reply) -> f64 {
    reply.first_byte.as_secs_f64() * 1000.0
}

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_way_is_first_equally_often() {
        let first = (0..10).filter(|number| Way::order(*number)[0] == Way::Direct).count();
        assert_eq!(first, 5);
    }

    #[test]
    fn a_request_is_found_by_its_port_and_an_older_one_from_that_port_is_not() {
        let line = |port: u16, at_ms: f64| json!({ "kind": "request", "from": format!("10.0.0.1:{port}"), "at_ms": at_ms });
        assert!(is_request(&line(4000, 9_500.0), 4000, 10_000.0));
        assert!(!is_request(&line(4000, 8_500.0), 4000, 10_000.0));
        assert!(!is_request(&line(4001, 10_000.0), 4000, 10_000.0));
        assert!(!is_request(&line(14_000, 10_000.0), 4000, 10_000.0));
        let mut other = line(4000, 10_000.0);
        other["kind"] = json!("forecast");
        assert!(!is_request(&other, 4000, 10_000.0));
    }

    #[test]
    fn the_journal_tells_why_no_container_stood() {
        let step = json!([{ "segment": SECOND, "confidence": 0.8 }]);
        let forecast = json!({ "kind": "forecast", "trigger": FIRST, "path": step });
        let instance = |state: &str| json!({ "kind": "instance", "segment": SECOND, "state": state });
        assert_eq!(why_none(&[instance("ready")]), "not forecast");
        assert_eq!(why_none(&[forecast.clone(), instance("creating")]), "forecast, not made");
        assert_eq!(why_none(&[forecast, instance("ready")]), "forecast, gone too soon");
    }

    #[test]
    fn a_pair_gives_one_hit_one_warm_request_and_the_later_ones_of_both() {
        let sample = |first_ms| Sample { first_ms, redirected: vec![1.0, 2.0], direct: vec![3.0] };
        let mut outcome = Outcome::default();
        outcome.take([sample(10.0), sample(20.0)]);
        assert_eq!((outcome.hit, outcome.warm), (vec![10.0], vec![20.0]));
        assert_eq!((outcome.redirected.len(), outcome.direct.len()), (4, 2));
    }
}
