//! Which confidence suffices for a step of a forecast. In: steps with what making and keeping an instance for each takes, and
//! requests that come. Out: the bar that a step's confidence has to reach, and what follows from hits and waste for the next one.
//! Refuses nothing; what is more than its bounds is judged by the rule as it stands and not learned from.
//!
//! The bar is where hope and fear are equal. Made in vain, an instance takes its memory until its request is no longer expected,
//! and the CPU of a start; made for one that comes, it saves a cold start, which the rule has a price for, and somebody
//! who waits for as long as a core works. So with waste `w` and gain `g` in GB·s a step is acted upon from a confidence of
//! `w / (w + g)` on. The gain is multiplied by what has been learned for the step's class: once a step has come or has not, it
//! is known for every multiple what it would have lost, whether it was acted upon or not. So, as with standing
//! (see [`Tuner`]), nobody pays for what is learned.

use std::collections::VecDeque;

use super::guard::Guard;
use super::tune::{ARMS, Class, KEEP, MULTIPLES, Tuner};
use super::{Rule, Tuned};
use crate::trace::Trigger;

/// What one second of a core is taken to be worth in GB·s: about what a vCPU costs to rent beside a GB. A choice, not a
/// measurement.
pub const CPU_GB_S: f64 = 9.0;
/// Steps of a segment that are followed at a time.
const FOLLOWED_MAX: usize = 256;
/// Bars are at least this: below it a forecast says little.
const BAR_MIN: f64 = 0.02;
/// A segment whose forecasts lost more than so many cold starts within the last hour gets no more of them until that is over.
const LOST_MAX: f64 = 4.0;

/// What making an instance for a step takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stake {
    /// Memory of an instance.
    pub gigabytes: f64,
    /// How long its start takes, in µs; a core works for as long.
    pub start_us: u64,
    /// When the request came that gave rise to the forecast, in µs.
    pub since_us: u64,
    /// When the instance would be made, in µs.
    pub made_us: u64,
    /// Until when the step's request is waited for, in µs.
    pub until_us: u64,
    /// The step's place on its path, from 1.
    pub position: u32,
    /// Whether an instance stands that the step would share: it decides alike, and nothing is learned from it.
    pub stands: bool,
}

/// What is thought of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighed {
    /// The least confidence that suffices; above 1, none does.
    pub bar: f64,
    /// What it costs if its request does not come, in GB·s.
    pub waste_gb_s: f64,
    /// What it gains if its request comes, in GB·s.
    pub gain_gb_s: f64,
}

#[derive(Clone, Debug)]
struct Followed<A> {
    asker: A,
    stake: Stake,
    confidence: f64,
    class: Class,
    acted: bool,
}

#[derive(Clone, Debug)]
struct Segment<A> {
    calls: u64,
    first_us: u64,
    /// When plain keep-alive would have taken its last instance away.
    kept_until_us: u64,
    followed: VecDeque<Followed<A>>,
    /// What those of them that were acted upon cost if none comes, in GB·s.
    staked_gb_s: f64,
    guard: Guard,
}

impl<A> Default for Segment<A> {
    fn default() -> Self {
        let (followed, guard) = (VecDeque::new(), Guard::default());
        Self { calls: 0, first_us: 0, kept_until_us: 0, followed, staked_gb_s: 0.0, guard }
    }
}

/// The books of all steps; `A` tells who a request is expected from.
#[derive(Clone, Debug)]
pub struct Steps<A> {
    rule: Rule,
    keep_us: u64,
    tuner: Tuner,
    segments: Vec<Segment<A>>,
}

impl<A: Copy + PartialEq> Steps<A> {
    /// For a rule; what is lost and won is told against its plain keep-alive.
    pub fn new(rule: Rule) -> Self {
        let keep_us = match rule.tuned {
            Tuned::Online { keep_us, .. } => keep_us,
            Tuned::Never => 0,
        };
        Self { rule, keep_us, tuner: Tuner::default(), segments: Vec::new() }
    }

    /// What was learned of classes of steps.
    pub fn tuner(&self) -> &Tuner {
        &self.tuner
    }

    /// Goes on from what was learned before.
    pub fn set_tuner(&mut self, tuner: Tuner) {
        self.tuner = tuner;
    }

    /// Goes on from how often a segment was called since when, in µs.
    pub fn resume(&mut self, segment: u32, calls: u64, first_us: u64) {
        let books = self.segment(segment);
        (books.calls, books.first_us) = (calls, first_us);
    }

    fn segment(&mut self, segment: u32) -> &mut Segment<A> {
        let index = segment as usize;
        if self.segments.len() <= index {
            self.segments.resize_with(index + 1, Segment::default);
        }
        &mut self.segments[index]
    }

    /// Weighs a step: what its confidence is measured by.
    pub fn weigh(&mut self, segment: u32, stake: &Stake) -> Weighed {
        let (waste_gb_s, gain_gb_s) = self.worth(stake);
        let class = self.class(segment, stake);
        let books = self.segment(segment);
        let lost = books.guard.lost_gb_s(stake.since_us) + books.staked_gb_s;
        let arm = if lost > LOST_MAX * gain_gb_s { KEEP } else { self.tuner.arm(class) };
        Weighed { bar: bar(arm, waste_gb_s, gain_gb_s), waste_gb_s, gain_gb_s }
    }

    /// Follows a step until its request comes or is no longer expected.
    pub fn follow(&mut self, segment: u32, asker: A, confidence: f64, stake: Stake, acted: bool) {
        self.expire(segment, stake.since_us);
        let class = self.class(segment, &stake);
        let (waste_gb_s, _) = self.worth(&stake);
        let books = self.segment(segment);
        // What shares an instance costs nothing and saves nothing of its own; and of a request that is expected already
        // nothing more is learned: what was made for it stands.
        let known = books.followed.iter().any(|other| other.asker == asker);
        if stake.stands || known || books.followed.len() >= FOLLOWED_MAX {
            return;
        }
        books.staked_gb_s += if acted { waste_gb_s } else { 0.0 };
        books.followed.push_back(Followed { asker, stake, confidence, class, acted });
    }

    /// A request came: every step that expected it is judged.
    pub fn called(&mut self, segment: u32, asker: A, now_us: u64) {
        self.expire(segment, now_us);
        let keep_us = self.keep_us;
        let books = self.segment(segment);
        let cold = now_us >= books.kept_until_us;
        books.kept_until_us = now_us.saturating_add(keep_us);
        if books.calls == 0 {
            books.first_us = now_us;
        }
        books.calls += 1;
        let came = |one: &Followed<A>| one.asker == asker && one.stake.since_us < now_us;
        let Some(index) = books.followed.iter().position(came) else { return };
        let Some(one) = self.take(segment, index) else { return };
        // What stands anyway saves nothing, and the step is not its cause.
        if cold {
            self.judge(segment, &one, now_us, Some(now_us));
        }
    }

    fn take(&mut self, segment: u32, index: usize) -> Option<Followed<A>> {
        let one = self.segment(segment).followed.remove(index)?;
        if one.acted {
            let (waste_gb_s, _) = self.worth(&one.stake);
            let books = self.segment(segment);
            books.staked_gb_s = (books.staked_gb_s - waste_gb_s).max(0.0);
        }
        Some(one)
    }

    /// Judges what is no longer expected.
    pub fn pass(&mut self, now_us: u64) {
        for segment in 0..self.segments.len() as u32 {
            self.expire(segment, now_us);
        }
    }

    fn expire(&mut self, segment: u32, now_us: u64) {
        let mut index = 0;
        while let Some(one) = self.segment(segment).followed.get(index) {
            if one.stake.until_us >= now_us {
                index += 1;
            } else if let Some(one) = self.take(segment, index) {
                self.judge(segment, &one, now_us, None);
            }
        }
    }

    /// Tells the tuner what each multiple would have lost.
    fn judge(&mut self, segment: u32, one: &Followed<A>, now_us: u64, came_us: Option<u64>) {
        let (waste, gain) = self.worth(&one.stake);
        let (acted, left) = match came_us {
            None => (waste, 0.0),
            Some(at_us) => {
                let ready_us = one.stake.made_us + one.stake.start_us;
                let idle_s = at_us.saturating_sub(ready_us) as f64 / 1e6;
                let late = ready_us.saturating_sub(at_us) as f64 / one.stake.start_us.max(1) as f64;
                (idle_s * one.stake.gigabytes + late * gain, gain)
            }
        };
        let mut losses = [left; ARMS];
        for (arm, loss) in losses.iter_mut().enumerate() {
            if one.confidence >= bar(arm, waste, gain) {
                *loss = acted;
            }
        }
        self.tuner.learn(one.class, &losses, gain);
        if one.acted {
            self.segment(segment).guard.add(now_us, acted - left);
        }
    }

    /// Waste and gain in GB·s.
    fn worth(&self, stake: &Stake) -> (f64, f64) {
        let start_gb_s = stake.start_us as f64 / 1e6 * CPU_GB_S;
        let stands_us = stake.until_us.saturating_sub(stake.made_us);
        let waste = stake.gigabytes * stands_us as f64 / 1e6 + start_gb_s;
        (waste.max(f64::MIN_POSITIVE), self.rule.price(stake.gigabytes, 1.0) + start_gb_s)
    }

    /// What a step is learned of together with: its place, and how often its segment is called.
    fn class(&mut self, segment: u32, stake: &Stake) -> Class {
        let books = self.segment(segment);
        let hours = (stake.since_us.saturating_sub(books.first_us) as f64 / 3.6e9).max(1.0);
        let per_hour = books.calls as f64 / hours;
        let rate = [2.0, 20.0, 200.0].iter().filter(|least| per_hour >= **least).count() as u8;
        Class { trigger: Trigger::default(), regular: stake.position.clamp(1, 3) as u8 - 1, rate }
    }
}

/// The least confidence from which an arm acts; the last arm never does.
fn bar(arm: usize, waste_gb_s: f64, gain_gb_s: f64) -> f64 {
    MULTIPLES
        .get(arm)
        .map_or(f64::INFINITY, |multiple| (waste_gb_s / (waste_gb_s + gain_gb_s * multiple)).max(BAR_MIN))
}

#[cfg(test)]
mod tests;
