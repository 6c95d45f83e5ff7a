//! Counts of what followed a context. In come followers with their time and delay; out go shares and delays.
//! Bounded: a full context replaces its follower of least weight, and old counts fade by halving.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::features;
use crate::observe::SegmentId;

/// Above this weight all counts of a context are halved, so that a habit that changed wins within as many events.
const FADE_AT: f32 = 8192.0;
/// A delay is averaged over about this many sightings.
const DELAY_MEMORY: f32 = 16.0;
/// How many neighbours are compared when one context must go.
const EVICTION_SAMPLE: usize = 8;
/// A context that was not met for this long counts half as useful as it was, twice as long a quarter, and so on.
const USE_HALVES_MS: u64 = 6 * 3_600_000;
/// A leader that stays away so often that by its share the odds of it are one to `e` to this power was led by a habit
/// that is over.
const SURPRISE_MAX: f32 = 14.0;

/// One segment that followed a context.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Follower {
    pub(crate) segment: SegmentId,
    pub(crate) weight: f32,
    /// Seconds since the epoch: nothing asks when to the millisecond, and many are kept.
    pub(crate) last_s: u32,
    pub(crate) delay_ms: f32,
}

/// What followed one context, and how often the context was met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) followers: Vec<Follower>,
    pub(crate) total: f32,
    /// Which of the followers came last.
    latest: u8,
    /// How many times in a row the heaviest follower stayed away.
    away: u16,
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
        self.doubt(segment);
        let last_s = (at_ms / 1000) as u32;
        if let Some(index) = self.followers.iter().position(|known| known.segment == segment) {
            let known = &mut self.followers[index];
            known.weight += 1.0;
            known.last_s = known.last_s.max(last_s);
            known.delay_ms += (delay_ms - known.delay_ms) / known.weight.clamp(1.0, DELAY_MEMORY);
            self.latest = index as u8;
            return;
        }
        let newcomer = Follower { segment, weight: 1.0, last_s, delay_ms };
        let lighter = |a: &(usize, &Follower), b: &(usize, &Follower)| {
            let by_age = a.1.last_s.cmp(&b.1.last_s).then(a.1.segment.cmp(&b.1.segment));
            a.1.weight.total_cmp(&b.1.weight).then(by_age)
        };
        if self.followers.len() < capacity {
            self.latest = self.followers.len() as u8;
            // Most contexts have few followers: room for more is only made when they come.
            if self.followers.len() == self.followers.capacity() {
                self.followers.reserve_exact(if self.followers.len() < 2 { 1 } else { 2 });
            }
            self.followers.push(newcomer);
        } else if let Some((index, _)) = self.followers.iter().enumerate().min_by(lighter) {
            self.followers[index] = newcomer;
            self.latest = index as u8;
        }
    }

    /// Counts how long the heaviest follower stays away. When that is no longer chance, the habit has changed: the old
    /// counts are cut to as many as speak for the new one.
    fn doubt(&mut self, came: SegmentId) {
        let Some(leader) = self.followers.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)) else { return };
        if leader.segment == came {
            self.away = 0;
            return;
        }
        self.away = self.away.saturating_add(1);
        let share = (leader.weight / self.total.max(1.0)).min(0.95);
        let surprise = -(1.0 - share).ln() * f32::from(self.away);
        if surprise > SURPRISE_MAX && self.total > 2.0 * f32::from(self.away) {
            let keep = f32::from(self.away) / self.total;
            self.total *= keep;
            self.followers.iter_mut().for_each(|follower| follower.weight *= keep);
            self.away = 0;
        }
    }

    /// The segment that followed when the context was last followed by anything.
    pub(crate) fn latest(&self) -> Option<SegmentId> {
        self.followers.get(usize::from(self.latest)).map(|follower| follower.segment)
    }

    /// Shannon entropy of the followers in bits: 0 when one thing always follows.
    pub(crate) fn entropy_bits(&self) -> f32 {
        let (mut sum, mut parts) = (0.0, 0.0);
        for weight in self.followers.iter().map(|follower| follower.weight).filter(|weight| *weight > 0.0) {
            sum += weight;
            parts += weight * features::log2_of(weight);
        }
        if sum <= 0.0 { 0.0 } else { (features::log2_of(sum) - parts / sum).max(0.0) }
    }

    /// What is lost if the context is forgotten: how often it was met, less the longer ago that is.
    fn usefulness(&self, now_ms: u64) -> f32 {
        usefulness(self.total, now_ms.saturating_sub(self.last_ms))
    }

    /// Whether the counts can have come from learning: nothing negative, nothing that is not a number.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |value: f32| value.is_finite() && value >= 0.0;
        sound(self.total) && self.followers.iter().all(|f| sound(f.weight) && sound(f.delay_ms))
    }
}

/// How often something was of use, less the longer ago that is.
pub(crate) fn usefulness(times: f32, age_ms: u64) -> f32 {
    times * (-(age_ms as f32) / USE_HALVES_MS as f32).exp2()
}

/// All contexts of a node, by the hash of what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContextTable {
    places: HashMap<u64, u32, FxBuildHasher>,
    contexts: Vec<(u64, Context)>,
    /// Where the search for the next victim begins.
    hand: usize,
}

impl ContextTable {
    pub(crate) fn len(&self) -> usize {
        self.contexts.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter().map(|(_, context)| context)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Context> {
        self.places.get(&key).map(|place| &self.contexts[*place as usize].1)
    }

    /// Counts one more meeting of the context.
    pub(crate) fn meet(&mut self, key: u64, at_ms: u64, capacity: usize) {
        self.entry(key, at_ms, capacity).meet(at_ms);
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
        self.entry(key, at_ms, limits.contexts).follow(follower, at_ms, delay_ms, limits.followers);
    }

    fn entry(&mut self, key: u64, now_ms: u64, capacity: usize) -> &mut Context {
        let place = match self.places.get(&key) {
            Some(place) => *place as usize,
            None => {
                if self.contexts.len() >= capacity {
                    self.forget_one(now_ms);
                }
                let place = self.contexts.len();
                self.places.insert(key, place as u32);
                self.contexts.push((key, Context::default()));
                place
            }
        };
        &mut self.contexts[place].1
    }

    /// Forgets, of the few contexts after the hand, the least useful. The newest stand together where those that
    /// went left room, so the hand strides over the table: each of the few is of another age.
    fn forget_one(&mut self, now_ms: u64) {
        let count = self.contexts.len();
        let stride = count / EVICTION_SAMPLE + 1;
        self.hand = (self.hand + 1) % count.max(1);
        let sample = (0..EVICTION_SAMPLE).map(|nth| (self.hand + nth * stride) % count.max(1));
        let useful = |place: &usize| self.contexts[*place].1.usefulness(now_ms);
        let victim = sample.filter(|place| *place < count).min_by(|a, b| useful(a).total_cmp(&useful(b)));
        let Some(victim) = victim else { return };
        let (key, _) = self.contexts.swap_remove(victim);
        self.places.remove(&key);
        if let Some((moved, _)) = self.contexts.get(victim) {
            self.places.insert(*moved, victim as u32);
        }
    }

    /// Whether every key leads to its context.
    pub(crate) fn is_sound(&self) -> bool {
        let leads = |(place, (key, _)): (usize, &(u64, Context))| {
            self.places.get(key).is_some_and(|known| *known as usize == place)
        };
        self.places.len() == self.contexts.len() && self.contexts.iter().enumerate().all(leads)
    }
}

/// The two capacities a context table keeps to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) contexts: usize,
    pub(crate) followers: usize,
}
