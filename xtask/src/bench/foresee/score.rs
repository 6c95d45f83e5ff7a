//! Scores on one trace. In: its sessions. Out: of weft's model and of each peer in Rust how right its forecasts of the
//! future are, what one costs, and what learning the past cost.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use weft_models::{History, Lesson, Limits, Model, Options, Principal, Ranked, SegmentId};

use super::peers::Peer;
use super::retrain::Gathered;
use super::sessions::Sessions;
use super::tally::Tally;

/// A replay may wait for more outcomes than a node: cases that last for weeks are all open at once.
const OPEN_MAX: usize = 65_536;
/// Items that a peer in Rust is shown; none looks back further than five.
const PEER_MEMORY: usize = 8;
const SEED: u64 = 7;

/// What came out.
#[derive(Debug)]
pub(super) struct Score {
    pub(super) tally: Tally,
    /// What learning the past cost, in seconds of a core.
    pub(super) train_s: f64,
}

/// Scores weft's model: its trees learn the past; its counts go on learning, as on a node. Of the past's lessons some are
/// gathered.
///
/// # Errors
/// When the past teaches nothing.
pub(super) fn ours(sessions: &Sessions, gathered: &mut Gathered) -> Result<Score> {
    let Sessions { trace, continues, cut, until } = sessions;
    let limits = Limits { session_gap_ms: trace.gap_ms, open: OPEN_MAX, ..Limits::default() };
    let mut history = History::new(limits);
    let began_s = cpu_s();
    let mut lessons: Vec<Lesson> = Vec::new();
    for event in &trace.events[..*cut] {
        lessons.extend(history.observe(event));
    }
    let model = Model::train(&lessons, Options::default(), SEED)?;
    let train_s = cpu_s() - began_s;
    gathered.add(&lessons);
    drop(lessons);
    let mut forecasts: HashMap<Principal, (u64, Vec<Ranked>)> = HashMap::new();
    let mut tally = Tally::default();
    for (index, event) in trace.events.iter().enumerate().take(*until).skip(*cut) {
        if continues[index] {
            // Before the cut nothing was forecast yet.
            let ranked = forecasts
                .remove(&event.principal)
                .map(|(_, ranked)| ranked)
                .unwrap_or_else(|| model.rank(&history.candidates(event.principal, history.now_ms())));
            tally.count(&pairs(&ranked), Some(event.segment.0));
        } else if let Some((_, ranked)) = forecasts.remove(&event.principal) {
            // The session before ended there.
            tally.count(&pairs(&ranked), None);
        }
        history.observe(event);
        let began = Instant::now();
        let ranked = model.rank(&history.candidates(event.principal, event.at_ms));
        tally.times_us.push(began.elapsed().as_secs_f64() * 1e6);
        forecasts.insert(event.principal, (event.at_ms, ranked));
    }
    // Sessions that had ended by the end of the trace; of those still open nobody knows.
    for (at_ms, ranked) in forecasts.into_values() {
        if history.now_ms() - at_ms > trace.gap_ms {
            tally.count(&pairs(&ranked), None);
        }
    }
    Ok(Score { tally, train_s })
}

fn pairs(ranked: &[Ranked]) -> Vec<(u32, f32)> {
    ranked.iter().map(|one| (one.segment.0, one.confidence)).collect()
}

/// Scores a peer, which goes on learning as well.
pub(super) fn peer(sessions: &Sessions, peer: &mut dyn Peer) -> Score {
    let Sessions { trace, continues, cut, until } = sessions;
    let mut before: HashMap<Principal, Vec<u32>> = HashMap::new();
    let mut forecasts: HashMap<Principal, Vec<u32>> = HashMap::new();
    let mut tally = Tally::default();
    let (began_s, mut train_s) = (cpu_s(), 0.0);
    for (index, event) in trace.events.iter().enumerate().take(*until) {
        if index == *cut {
            train_s = cpu_s() - began_s;
        }
        let SegmentId(item) = event.segment;
        let trail = before.entry(event.principal).or_default();
        if continues[index] {
            if index >= *cut {
                let ranked = forecasts.remove(&event.principal).unwrap_or_else(|| peer.rank(trail));
                let ranked: Vec<(u32, f32)> = ranked.into_iter().map(|item| (item, 0.0)).collect();
                tally.count(&ranked, Some(item));
            }
            peer.learn(trail, item);
        } else {
            trail.clear();
        }
        trail.push(item);
        if trail.len() > PEER_MEMORY {
            trail.remove(0);
        }
        if index >= *cut {
            let began = Instant::now();
            let ranked = peer.rank(trail);
            tally.times_us.push(began.elapsed().as_secs_f64() * 1e6);
            forecasts.insert(event.principal, ranked);
        }
    }
    Score { tally, train_s }
}

/// What this process has spent on cores so far, in seconds: others may use the machine as well.
pub(super) fn cpu_s() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::peers::Markov;
    use super::*;
    use weft_models::trace::habits::Builder;

    /// Users who ask for one, two, three in turns.
    fn rounds() -> Sessions {
        let mut builder = Builder::default();
        for at in 0..600_u64 {
            let item = ["one", "two", "three"][(at / 4 % 3) as usize];
            builder.add(1_000_000 + at * 1_000, &(at % 4).to_string(), item, 0, 0);
        }
        Sessions::new(builder.done("rounds", 60_000), 0.7, 1.0).unwrap()
    }

    #[test]
    fn a_peer_is_scored_on_what_goes_on_after_the_cut_alone() {
        let sessions = rounds();
        let Score { tally, train_s } = peer(&sessions, &mut Markov::new(1));
        assert_eq!((tally.scored(), tally.hit(1)), (sessions.scored(), 1.0));
        assert_eq!((sessions.scored(), tally.times_us.len()), (180, 180));
        assert!(train_s > 0.0);
    }

    #[test]
    fn ours_is_scored_on_the_same_events_as_its_peers() {
        let sessions = rounds();
        let Score { tally, train_s } = ours(&sessions, &mut Gathered::of(1)).unwrap();
        assert_eq!(tally.scored(), sessions.scored());
        assert!(tally.hit(1) > 0.95 && tally.ece() < 0.2 && train_s > 0.0, "{tally:?}");
    }
}
