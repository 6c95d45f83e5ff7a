//! How long instances stand without work, and when one is made ahead by the clock. In: calls of segments, what an instance
//! takes, and who is idle. Out: until when an instance stays, or is to be there. What is due is asked of the one decision
//! rule, in models; here are only its terms. Without forecasts of time an instance stays for the keep-alive, and none is
//! made.

use weft_models::policy::{Foresight, Known, Rule, SEGMENTS_MAX, Tuner};
use weft_models::replay::{Decision, Hold, Idle, Met, Policy};
use weft_models::seed;
use weft_models::trace::App;

use super::instance::{Instance, InstanceState, Origin};
use super::{Found, Weaver};

/// When one for which there was no place is asked about again.
const AGAIN_MS: u64 = 1_000;

/// The rule, as it stands for this node.
#[derive(Debug)]
pub(super) struct Standing {
    foresight: Foresight<'static>,
    /// By segment: when its last work ended, and until when it was decided that none is made.
    segments: Vec<(Option<u64>, u64)>,
}

impl Standing {
    /// For a keep-alive that says what a cold start is worth.
    pub(super) fn new(keep_alive_ms: u64) -> Self {
        let rule = Rule::of_keep_alive(keep_alive_ms.saturating_mul(1_000));
        let foresight = Foresight::of_node(seed::timing(), rule, SEGMENTS_MAX);
        Self { foresight, segments: Vec::new() }
    }

    /// What was learned of classes of segments.
    pub(super) fn tuner(&self) -> &Tuner {
        self.foresight.tuner()
    }

    /// Goes on from what was learned before.
    pub(super) fn set_tuner(&mut self, tuner: Tuner) {
        self.foresight.set_tuner(tuner);
    }

    /// What is known of a segment's calls.
    pub(super) fn known(&self, segment: usize, name: &str) -> Option<Known> {
        self.foresight.known(segment as u32, name)
    }

    /// Goes on from what was known of a segment's calls, so that what is due by the clock is made for its next one.
    pub(super) fn resume(&mut self, segment: usize, known: Known) {
        self.meet(segment + 1);
        self.segments[segment] = (Some(known.rhythm.last_us() / 1_000), 0);
        self.foresight.resume(segment as u32, known);
    }

    /// Knows all of so many segments.
    fn meet(&mut self, count: usize) {
        while self.segments.len() < count {
            self.foresight.meet(App::named(""));
            self.segments.push((None, 0));
        }
    }

    fn decide(&mut self, idle: Idle) -> Decision {
        let Decision { hold, until_us } = self.foresight.decide(&idle);
        // In whole milliseconds, and never at once again.
        Decision { hold, until_us: until_us.max(idle.now_us + 1_000) }
    }
}

impl Weaver {
    /// A request came to a segment, and found this.
    pub(super) fn called(&mut self, segment: usize, found: Found, now_ms: u64) {
        let Some(standing) = &mut self.standing else { return };
        standing.meet(self.rules.segments.len());
        let met = match found {
            Found::Ready => Met::Warm,
            Found::Creating | Found::Nothing => Met::Cold,
        };
        standing.foresight.called(segment as u32, now_ms * 1_000, met);
        standing.segments[segment] = (Some(now_ms), 0);
    }

    /// Decides anew wherever a decision has run out.
    pub(super) fn decide_standing(&mut self, now_ms: u64) {
        let Some(mut standing) = self.standing.take() else { return };
        standing.meet(self.rules.segments.len());
        for (segment, rules) in self.rules.segments.iter().enumerate() {
            let start_us = (self.cold_ms[segment] * 1_000.0) as u64;
            standing.foresight.weigh(segment as u32, rules.memory_bytes >> 10, start_us);
        }
        let idle = |i: &&Instance| i.is_open() && i.open == 0 && (!i.is_speculative() || i.timed);
        let due: Vec<u64> =
            self.instances.values().filter(idle).filter(|i| i.kept_ms <= now_ms).map(|i| i.number).collect();
        for number in due {
            let Some(instance) = self.instances.get_mut(&number) else { continue };
            let segment = instance.segment;
            if standing.segments[segment].0.is_none() {
                // Nothing is known of its segment: it stands from before, or nobody's requests can be read.
                let since_ms = instance.used_ms.or(instance.ready_ms).unwrap_or(now_ms);
                instance.kept_ms = since_ms.saturating_add(self.rules.keep_alive_ms);
                continue;
            }
            let used_ms = instance.used_ms;
            let others = |i: &&Instance| i.segment == segment && i.number != number;
            let spare = self.instances.values().filter(idle).filter(others).filter(|i| i.kept_ms > now_ms);
            let spare = spare.count() as u32;
            let since_us = used_ms.or(standing.segments[segment].0).map(|at_ms| at_ms * 1_000);
            let app = segment as u32;
            let asked = Idle { app, now_us: now_ms * 1_000, since_us, hold: Hold::Loaded, spare };
            let decision = standing.decide(asked);
            if let Some(instance) = self.instances.get_mut(&number)
                && decision.hold == Hold::Loaded
            {
                instance.kept_ms = decision.until_us / 1_000;
            } else {
                standing.segments[segment].1 = decision.until_us / 1_000;
            }
        }
        self.make_ahead(&mut standing, now_ms);
        self.standing = Some(standing);
    }

    /// Makes an instance of each segment that has none and is to have one.
    fn make_ahead(&mut self, standing: &mut Standing, now_ms: u64) {
        if !self.rules.weave || self.draining {
            return;
        }
        for segment in 0..self.rules.segments.len() {
            let (since_ms, asked_ms) = standing.segments[segment];
            let Some(since_ms) = since_ms.filter(|_| asked_ms <= now_ms) else { continue };
            let there = |i: &Instance| i.segment == segment && i.state != InstanceState::Gone;
            if self.instances.values().any(there) || !self.deployments.serves(segment) {
                continue;
            }
            let since_us = Some(since_ms * 1_000);
            let now_us = now_ms * 1_000;
            let asked = Idle { app: segment as u32, now_us, since_us, hold: Hold::Unloaded, spare: 0 };
            let Decision { hold, until_us } = standing.decide(asked);
            let until_ms = until_us / 1_000;
            if hold == Hold::Unloaded {
                standing.segments[segment].1 = until_ms;
            } else if self.may_create(segment, now_ms) {
                let number = self.create(segment, Origin::Forecast, None, now_ms);
                if let Some(instance) = self.instances.get_mut(&number) {
                    (instance.timed, instance.kept_ms) = (true, until_ms);
                }
            } else {
                // The budget has no place for it: nothing stands, and nothing is paid for.
                standing.foresight.evicted(segment as u32, 0.0, true);
                standing.segments[segment].1 = now_ms + AGAIN_MS;
            }
        }
    }

    /// Until when an instance stays for what is known of time: of its segment's calls, or by the keep-alive.
    pub(super) fn kept_until_ms(&self, instance: &Instance) -> u64 {
        if self.standing.is_some() && (instance.timed || !instance.is_speculative()) {
            return instance.kept_ms;
        }
        let used = instance.used_ms.or(instance.ready_ms).filter(|_| !instance.is_speculative());
        used.map_or(0, |at_ms| at_ms.saturating_add(self.rules.keep_alive_ms))
    }
}
