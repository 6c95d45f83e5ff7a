//! Cold starts and their two references, in turns. In: a machine. Out: equally many samples of each, measured in rounds
//! of one each; a round in which one failed does not count. Between two samples nothing stands: what the last one has
//! left is gone before the next begins.
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weft_tests::agent::Agent;
use weft_tests::caller::Caller;
use weft_tests::cgroup::Subtree;
use weft_tests::containerd::Unpack;
use weft_tests::http::Request;
use weft_tests::wait::wait_for;

use super::super::release;
use super::super::scrape::Scrape;
use super::super::stats::Series;
use super::ctr::Ctr;
use super::floor::{Floor, Steps};
use super::network::{Room, Rooms};
use super::{Bench, Failures, WARM_UP, images, segment};

const SEGMENT: &str = "cold";
/// The references' containers are in a namespace of containerd in which weft makes nothing.
const NAMESPACE: &str = "reference";
const KEEP_ALIVE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);
/// Samples of the floor while weft does not run: whether weft's presence slows down the reference too.
const ALONE_MAX: usize = 20;
const PHASE_SUM: &str = "weft_create_phase_seconds_sum";
const PHASE_COUNT: &str = "weft_create_phase_seconds_count";

/// What was measured, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) cold: Vec<f64>,
    pub(super) floor: Vec<f64>,
    pub(super) ctr: Vec<f64>,
    pub(super) floor_alone: Vec<f64>,
    /// Medians of weft's own account of a cold start.
    pub(super) phases: Vec<(String, f64)>,
    /// Medians of the floor's steps.
    pub(super) floor_steps: Vec<(String, f64)>,
    pub(super) failures: Failures,
}

/// What is measured in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cold,
    Floor,
    Ctr,
}

impl Kind {
    /// The order of a round: each kind is first, second and third equally often.
    fn order(round: usize) -> [Self; 3] {
        let mut order = [Self::Cold, Self::Floor, Self::Ctr];
        order.rotate_left(round % 3);
        order
    }
}

/// One round.
#[derive(Debug, Default)]
struct Round {
    cold: Option<Cold>,
    floor: Option<Steps>,
    ctr_ms: Option<f64>,
}

/// One cold start.
#[derive(Debug)]
struct Cold {
    first_byte_ms: f64,
    phases: Vec<(String, f64)>,
}

/// Everything that stands while cold starts are measured. Dropped from the top down: who asks, then the agent with its
/// containerd and all containers, then what these were in.
struct Stage {
    floor: Floor,
    caller: Caller,
    agent: Agent,
    room: Room,
    cgroup_parent: PathBuf,
    _subtree: Subtree,
    _rooms: Rooms,
}

/// Measures.
///
/// # Errors
/// When something does not start, or too many samples fail.
pub(super) fn measure(bench: &mut Bench) -> Result<Outcome> {
    bench.progress.stage("start a private containerd and weft, which acts on requests alone");
    let mut stage = Stage::open(bench)?;
    bench
        .progress
        .stage(&format!("measure {} cold starts, in turns with the floor and ctr run", bench.rounds));
    let mut failures = Failures::default();
    let mut rounds = Vec::new();
    let mut number = 0;
    while rounds.len() < bench.rounds {
        bench.stop.check()?;
        failures.check(bench.rounds)?;
        let round = stage.round(number, &mut failures);
        if number >= WARM_UP {
            rounds.extend(round.is_whole().then_some(round));
        }
        number += 1;
        bench.progress.round(&format!("{} of {} rounds", rounds.len(), bench.rounds));
    }
    bench.progress.stage("measure the floor once more, without weft");
    let floor_alone = stage.floor_alone(bench)?;
    let Stage { floor, caller, agent, .. } = stage;
    drop((floor, caller));
    agent.stop()?;
    Ok(Outcome { floor_alone, failures, ..Outcome::of(&rounds) })
}

impl Stage {
    fn open(bench: &Bench) -> Result<Self> {
        // Forecasts would make hits of what is to be cold.
        let agent = Agent::builder("bench").fixed().on_disk().binary(&release::program("weft")?).weave(false);
        let agent =
            agent.image(bench.image.clone()).segment(segment(SEGMENT)).keep_alive(KEEP_ALIVE).start()?;
        let archive = agent.place().directory().join("reference.tar");
        bench.image.build(&images(), &archive)?;
        agent.containerd()?.import(NAMESPACE, &archive, Unpack::Now)?;
        std::fs::remove_file(archive)?;
        let name = format!("{}-floor", agent.place().name());
        let subtree = Subtree::make(&name)?;
        let cgroup_parent = Path::new("/").join(name);
        // Half of the addresses that callers dial, of which the segments need few.
        let rooms = Rooms::make((agent.place().dial_base().to_bits() + 128).into())?;
        let [room, other] = rooms.rooms();
        let floor = Floor::start(agent.containerd()?, NAMESPACE, &cgroup_parent, &other)?;
        let caller = agent.caller()?;
        Ok(Self { floor, caller, agent, room, cgroup_parent, _subtree: subtree, _rooms: rooms })
    }

    fn round(&mut self, number: usize, failures: &mut Failures) -> Round {
        let mut round = Round::default();
        for kind in Kind::order(number) {
            let done = match kind {
                Kind::Cold => self.cold().map(|cold| round.cold = Some(cold)).context("cold"),
                Kind::Floor => self.floor.sample().map(|steps| round.floor = Some(steps)).context("floor"),
                Kind::Ctr => self.ctr(number).map(|ms| round.ctr_ms = Some(ms)).context("ctr"),
            };
            if let Err(error) = done {
                failures.note(&format!("round {number}"), &error, &self.agent);
            }
        }
        round
    }

    fn cold(&self) -> Result<Cold> {
        self.nothing_stands()?;
        let before = Scrape::take(&self.agent)?;
        let request = Request::get(self.agent.address(SEGMENT), "/").patience(PATIENCE);
        let reply = self.caller.send(&request)?;
        // Also for the figures: they are complete when the container is gone.
        self.nothing_stands()?;
        let after = Scrape::take(&self.agent)?;
        ensure!(reply.status == 200, "status {}: {}", reply.status, reply.body.trim());
        let cold = [("segment", SEGMENT), ("outcome", "cold")];
        let cold = grown(&before, &after, "weft_requests_total", &cold);
        ensure!(cold == 1.0, "weft does not count it as cold");
        Ok(Cold { first_byte_ms: reply.first_byte.as_secs_f64() * 1000.0, phases: phases(&before, &after) })
    }

    fn ctr(&self, number: usize) -> Result<f64> {
        let containerd = self.agent.containerd()?;
        Ctr { containerd, namespace: NAMESPACE, cgroup_parent: &self.cgroup_parent, room: &self.room }
            .sample(number)
    }

    /// Waits until weft knows of no instance, and containerd of no container of weft's.
    fn nothing_stands(&self) -> Result<()> {
        let none = || {
            let status = self.agent.status().ok()?;
            status["instances"].as_array().is_some_and(Vec::is_empty).then_some(())?;
            let containers =
                self.agent.containerd().ok()?.ctr(&["--namespace", "weft", "containers", "list", "-q"]);
            containers.ok()?.trim().is_empty().then_some(())
        };
        wait_for("the last instance to go", PATIENCE, || none().is_some())
    }

    fn floor_alone(&mut self, bench: &Bench) -> Result<Vec<f64>> {
        self.agent.terminate()?;
        let samples = (0..bench.rounds.min(ALONE_MAX)).map(|_| {
            bench.stop.check()?;
            Ok(self.floor.sample()?.whole_ms)
        });
        samples.collect()
    }
}

impl Round {
    fn is_whole(&self) -> bool {
        self.cold.is_some() && self.floor.is_some() && self.ctr_ms.is_some()
    }
}

impl Outcome {
    fn of(rounds: &[Round]) -> Self {
        let colds: Vec<&Cold> = rounds.iter().filter_map(|round| round.cold.as_ref()).collect();
        let floors: Vec<&Steps> = rounds.iter().filter_map(|round| round.floor.as_ref()).collect();
        let phases = colds.iter().flat_map(|cold| cold.phases.clone());
        let steps = floors.iter().flat_map(|steps| steps.named()).map(|(step, ms)| (step.to_owned(), ms));
        Self {
            cold: colds.iter().map(|cold| cold.first_byte_ms).collect(),
            floor: floors.iter().map(|steps| steps.whole_ms).collect(),
            ctr: rounds.iter().filter_map(|round| round.ctr_ms).collect(),
            phases: in_order(medians(phases)),
            floor_steps: medians(steps),
            ..Self::default()
        }
    }
}

/// The median of each name, the names in the order of their first appearance.
fn medians(values: impl Iterator<Item = (String, f64)>) -> Vec<(String, f64)> {
    let mut all: Vec<(String, Vec<f64>)> = Vec::new();
    for (name, value) in values {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => all.push((name, vec![value])),
        }
    }
    all.into_iter().filter_map(|(name, values)| Some((name, Series::new(values).p50()?))).collect()
}

/// Phases as they follow each other, for people; one that is not known here comes before the wholes.
fn in_order(mut phases: Vec<(String, f64)>) -> Vec<(String, f64)> {
    let known = ["image", "lease", "network", "snapshot", "container", "task", "start"];
    let place = |name: &str| match known.iter().position(|phase| *phase == name) {
        Some(place) => place,
        None if name.ends_with("_whole") => known.len() + 1,
        None => known.len(),
    };
    phases.sort_by_key(|(name, _)| place(name));
    phases
}

/// What weft itself says of the one cold start between two looks, in milliseconds: each phase of the making, the whole
/// making up to the program's start, and how long the activator held the request.
fn phases(before: &Scrape, after: &Scrape) -> Vec<(String, f64)> {
    let mut phases = Vec::new();
    let of = [("segment", SEGMENT)];
    for phase in after.values_of(PHASE_SUM, "phase", &of) {
        let labels = [of[0], ("phase", phase)];
        if grown(before, after, PHASE_COUNT, &labels) == 1.0 {
            phases.push((phase.to_owned(), grown(before, after, PHASE_SUM, &labels) * 1000.0));
        }
    }
    for (name, shown) in [("weft_create_seconds", "create_whole"), ("weft_held_seconds", "held_whole")] {
        if grown(before, after, &format!("{name}_count"), &of) == 1.0 {
            phases.push((shown.to_owned(), grown(before, after, &format!("{name}_sum"), &of) * 1000.0));
        }
    }
    phases
}

fn grown(before: &Scrape, after: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    after.value(name, labels) - before.value(name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_first_second_and_third_equally_often() {
        for kind in [Kind::Cold, Kind::Floor, Kind::Ctr] {
            for place in 0..3 {
                let there = (0..9).filter(|round| Kind::order(*round)[place] == kind).count();
                assert_eq!(there, 3, "{kind:?} at {place}");
            }
        }
    }

    #[test]
    fn phases_are_shown_as_they_follow_each_other_and_the_wholes_last() {
        let phases = ["create_whole", "task", "mounts", "image"].map(|name| (name.to_owned(), 1.0));
        let names: Vec<_> = in_order(phases.into()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["image", "task", "mounts", "create_whole"]);
    }

    #[test]
    fn a_round_in_which_one_failed_is_not_whole() {
        let steps = || {
            serde_json::from_str(
                r#"{"snapshot_ms":1,"container_ms":1,"task_ms":40,"start_ms":9,"answer_ms":2,"whole_ms":53}"#,
            )
        };
        let cold = || Cold { first_byte_ms: 70.0, phases: vec![("task".to_owned(), 50.0)] };
        let whole = || Round { cold: Some(cold()), floor: steps().ok(), ctr_ms: Some(200.0) };
        assert!(whole().is_whole());
        assert!(!Round { floor: None, ..whole() }.is_whole());
        let outcome = Outcome::of(&[whole(), whole()]);
        assert_eq!(
            (outcome.cold, outcome.floor, outcome.ctr),
            (vec![70.0; 2], vec![53.0; 2], vec![200.0; 2])
        );
        assert_eq!(outcome.phases, [("task".to_owned(), 50.0)]);
        assert_eq!(outcome.floor_steps[2], ("task".to_owned(), 40.0));
    }
}
