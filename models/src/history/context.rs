//! Counts of what followed a context. In come followers with their time and delay; out go shares and delays.
//! Bounded: a full context replaces its follower of least weight, and old counts fade by halving.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::observe::SegmentId;

/// Above this weight all counts of a context are halved, so that a habit that changed wins within as many events.
const FADE_AT: f32 = 512.0;
/// A delay is averaged over about this many sightings.
const DELAY_MEMORY: f32 = 16.0;
/// How many neighbours are compared when one context must go.
const EVICTION_SAMPLE: usize = 8;

/// One segment that followed a context.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Follower {
    pub(crate) segment: SegmentId,
    pub(crate) weight: f32,
    pub(crate) last_ms: u64,
    pub(crate) delay_ms: f32,
}

/// What followed one context, and how often the context was met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) followers: Vec<Follower>,
    pub(crate) total: f32,
    pub(crate) last_ms: u64,
}

impl Context {
    /// The context was met once more.
    fn meet(&mut self, at_ms: u64) {
        self.total += 1.0;
        self.last_ms = self.last_ms.max(at_ms);
        if self.total > FADE_AT {
            self.total /= 2.0;
            self.followers.iter_mut().for_each(|follower| follower.weight /= 2.0);
        }
    }

    /// `segment` followed the context after `delay_ms`. A full context forgets its lightest, oldest follower.
    fn follow(&mut self, segment: SegmentId, at_ms: u64, delay_ms: f32, capacity: usize) {
        if let Some(known) = self.followers.iter_mut().find(|known| known.segment == segment) {
            known.weight += 1.0;
            known.last_ms = known.last_ms.max(at_ms);
            known.delay_ms += (delay_ms - known.delay_ms) / known.weight.clamp(1.0, DELAY_MEMORY);
            return;
        }
        let newcomer = Follower { segment, weight: 1.0, last_ms: at_ms, delay_ms };
        if self.followers.len() < capacity {
            self.followers.push(newcomer);
        } else if let Some(lightest) = self.followers.iter_mut().min_by(|a, b| {
            a.weight.total_cmp(&b.weight).then(a.last_ms.cmp(&b.last_ms)).then(a.segment.cmp(&b.segment))
        }) {
            *lightest = newcomer;
        }
    }

    /// Shannon entropy of the followers in bits: 0 when one thing always follows.
    pub(crate) fn entropy_bits(&self) -> f32 {
        let sum: f32 = self.followers.iter().map(|follower| follower.weight).sum();
        if sum <= 0.0 {
            return 0.0;
        }
        self.followers
            .iter()
            .map(|follower| follower.weight / sum)
            .filter(|share| *share > 0.0)
            .map(|share| -share * share.log2())
            .sum()
    }

    /// Whether the counts can have come from learning: nothing negative, nothing that is not a number.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |value: f32| value.is_finite() && value >= 0.0;
        sound(self.total) && self.followers.iter().all(|f| sound(f.weight) && sound(f.delay_ms))
    }
}

/// All contexts of a node, by the hash of what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContextTable {
    pub(crate) contexts: BTreeMap<u64, Context>,
    /// Where the search for the next victim begins.
    hand: u64,
}

impl ContextTable {
    pub(crate) fn get(&self, key: u64) -> Option<&Context> {
        self.contexts.get(&key)
    }

    /// Counts one more meeting of the context.
    pub(crate) fn meet(&mut self, key: u64, at_ms: u64, capacity: usize) {
        self.entry(key, capacity).meet(at_ms);
    }

    /// Counts a follower of a context that was met.
    pub(crate) fn follow(
        &mut self,
        key: u64,
        follower: SegmentId,
        at_ms: u64,
        delay_ms: f32,
        limits: Bounds,
    ) {
        self.entry(key, limits.contexts).follow(follower, at_ms, delay_ms, limits.followers);
    }

    fn entry(&mut self, key: u64, capacity: usize) -> &mut Context {
        if self.contexts.len() >= capacity && !self.contexts.contains_key(&key) {
            self.forget_one();
        }
        self.contexts.entry(key).or_default()
    }

    /// Forgets, of the few contexts after the hand, the one met least, then the one not met for longest.
    /// Keys are hashes, so the few are a fair sample and no order over all contexts need be kept.
    pub(crate) fn forget_one(&mut self) {
        let after = (Bound::Excluded(self.hand), Bound::Unbounded);
        let mut sample = self.contexts.range(after).chain(self.contexts.iter()).take(EVICTION_SAMPLE);
        let Some(first) = sample.next() else { return };
        let mut last_key = *first.0;
        let mut victim = first;
        for other in sample {
            last_key = *other.0;
            if (other.1.total, other.1.last_ms) < (victim.1.total, victim.1.last_ms) {
                victim = other;
            }
        }
        let victim_key = *victim.0;
        self.hand = last_key;
        self.contexts.remove(&victim_key);
    }
}

/// The two capacities a context table keeps to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) contexts: usize,
    pub(crate) followers: usize,
}
