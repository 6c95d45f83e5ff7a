//! Who is under way, and where. In come episodes, out go the ones that an observation belongs to.
//! Bounded: a principal keeps its newest episodes, the node keeps its most active principals. What is pushed out
//! takes its open forecast with it: an outcome that was not seen teaches nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::context::usefulness;
use super::place::Place;
use crate::features::N;
use crate::observe::{Principal, SegmentId};

/// Different callees remembered per request.
const SEEN_MAX: usize = 32;
/// How many neighbours are compared when one principal must go.
const EVICTION_SAMPLE: usize = 8;

/// A forecast that waits for what comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    pub(crate) moment: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) candidates: Vec<(SegmentId, [f32; N])>,
}

/// A user's session, or one request that a segment serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    pub(crate) place: Place,
    pub(crate) began_ms: u64,
    seen: Vec<SegmentId>,
    #[serde(skip)]
    pub(crate) pending: Option<Pending>,
}

impl Episode {
    pub(crate) fn new(start: Place) -> Self {
        Self { place: start, began_ms: start.at_ms, seen: Vec::new(), pending: None }
    }

    /// Notes a segment; true the first time. Past its capacity it notes no more and says no.
    pub(crate) fn see(&mut self, segment: SegmentId) -> bool {
        let new = self.seen.len() < SEEN_MAX && !self.seen.contains(&segment);
        if new {
            self.seen.push(segment);
        }
        new
    }
}

/// The open episodes of one principal, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Stream {
    episodes: Vec<Episode>,
    puts: u64,
    last_ms: u64,
}

/// Everyone under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Streams {
    streams: BTreeMap<Principal, Stream>,
    /// Where the search for the next victim begins.
    hand: Option<Principal>,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn longest(&self) -> usize {
        self.streams.values().map(|stream| stream.episodes.len()).max().unwrap_or(0)
    }

    /// Where the newest episode of `principal` stands.
    pub(crate) fn newest(&self, principal: Principal) -> Option<&Place> {
        self.streams.get(&principal)?.episodes.last().map(|episode| &episode.place)
    }

    /// Takes out the episode whose open forecast has this number.
    pub(crate) fn take_by_moment(&mut self, principal: Principal, moment: u64) -> Option<Episode> {
        let episodes = &mut self.streams.get_mut(&principal)?.episodes;
        let is_it =
            |episode: &Episode| episode.pending.as_ref().is_some_and(|pending| pending.moment == moment);
        let index = episodes.iter().position(is_it)?;
        let episode = episodes.remove(index);
        // It is over, and most of those who are known are not here: their room is given back.
        if episodes.is_empty() {
            *episodes = Vec::new();
        }
        Some(episode)
    }

    /// Takes out the episode, active since `oldest_ms`, that `segment` fits best: where it is most usual, then where
    /// it was not called yet, then the newest, whose caller has had least time to do anything else.
    pub(crate) fn take_best_fit(
        &mut self,
        principal: Principal,
        segment: SegmentId,
        oldest_ms: u64,
        fit: impl Fn(&Place) -> f32,
    ) -> Option<Episode> {
        let episodes = &mut self.streams.get_mut(&principal)?.episodes;
        let active = episodes.iter().enumerate().filter(|(_, episode)| episode.place.at_ms >= oldest_ms);
        let rated = active.map(|(index, e)| (fit(&e.place), !e.seen.contains(&segment), e.began_ms, index));
        let best = rated.max_by(|a, b| match a.0.total_cmp(&b.0) {
            Ordering::Equal => (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3)),
            unequal => unequal,
        })?;
        Some(episodes.remove(best.3))
    }

    /// Puts an episode in its place by age. Returns the open forecasts of whatever had to go for it.
    pub(crate) fn put(
        &mut self,
        episode: Episode,
        episodes_max: usize,
        principals_max: usize,
    ) -> Vec<Pending> {
        let principal = episode.place.principal;
        let mut gone = Vec::new();
        if self.streams.len() >= principals_max && !self.streams.contains_key(&principal) {
            gone = self.forget_one(episode.place.at_ms);
        }
        let stream = self.streams.entry(principal).or_default();
        stream.puts = stream.puts.saturating_add(1);
        stream.last_ms = stream.last_ms.max(episode.place.at_ms);
        // A user has one at a time, and there are many users.
        if stream.episodes.is_empty() {
            stream.episodes.reserve_exact(1);
        }
        let index = stream.episodes.partition_point(|other| other.began_ms <= episode.began_ms);
        stream.episodes.insert(index, episode);
        let excess = stream.episodes.len().saturating_sub(episodes_max);
        gone.extend(stream.episodes.drain(..excess).filter_map(|episode| episode.pending));
        gone
    }

    /// Forgets, of the few principals after the hand, the one whose past says least of the future: who asked seldom,
    /// and long ago.
    fn forget_one(&mut self, now_ms: u64) -> Vec<Pending> {
        let after = self.hand.map_or(Bound::Unbounded, Bound::Excluded);
        let useful = |stream: &Stream| usefulness(stream.puts as f32, now_ms.saturating_sub(stream.last_ms));
        let sample: Vec<(Principal, f32)> = self
            .streams
            .range((after, Bound::Unbounded))
            .chain(self.streams.iter())
            .take(EVICTION_SAMPLE)
            .map(|(principal, stream)| (*principal, useful(stream)))
            .collect();
        self.hand = sample.last().map(|(principal, _)| *principal);
        let victim = sample.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let stream = victim.and_then(|(principal, _)| self.streams.remove(principal));
        stream.into_iter().flat_map(|s| s.episodes).filter_map(|episode| episode.pending).collect()
    }
}
