//! The policy that follows forecasts. In: calls, and instances that serve nobody. Out: how long they stand, and when one is
//! made ahead of a call.

use serde::{Deserialize, Serialize};

use crate::replay::{Decision, Hold, Idle, Met, Policy, gigabytes};
use crate::timing::{Outlook, Rhythm, Stretch, Timing, TimingModel};
use crate::trace::{App, SECOND_US};

/// An instance that has just served stays for this long, whatever is forecast: calls that come in a row need no thought.
const GRACE_US: u64 = 250_000;
/// It does not go if it is wanted again within this.
const PAUSE_US: u64 = 2 * SECOND_US;
/// Stretches looked at in one decision.
const LOOK_MAX: usize = 24;
/// Spare instances stay for this long.
const SPARE_US: u64 = 10 * SECOND_US;

/// What a saved cold start is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Price of one cold start of an application of 1 GB that is called once an hour, in GB·s.
    pub price_gb_s: f64,
    /// How the price grows with memory: 0, not at all: every cold start counts the same; 1: with the memory.
    pub memory_power: f64,
    /// How the price falls with the calls of an hour: 0, not at all; 1: each application counts the same.
    pub rate_power: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { price_gb_s: 200.0, memory_power: 0.5, rate_power: 0.0 }
    }
}

impl Rule {
    /// Price of a cold start in GB·s.
    pub fn price(&self, gigabytes: f64, calls_per_hour: f64) -> f64 {
        let rate = calls_per_hour.max(1.0).powf(self.rate_power);
        self.price_gb_s * gigabytes.powf(self.memory_power) / rate
    }
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    gigabytes: f64,
    start_us: u64,
    outlook: Outlook,
    calls: u64,
    first_us: u64,
    /// Calls expected per second when last asked for.
    per_second: f64,
}

/// Follows a model's forecasts by a rule.
#[derive(Clone, Debug)]
pub struct Foresight<'a> {
    model: &'a TimingModel,
    apps: &'a [App],
    rule: Rule,
    timing: Timing,
    segments: Vec<Segment>,
}

impl<'a> Foresight<'a> {
    /// For these applications.
    pub fn new(model: &'a TimingModel, apps: &'a [App], rule: Rule) -> Self {
        let segment = |app: &App| Segment {
            gigabytes: gigabytes(app),
            start_us: app.start_us,
            outlook: Outlook::default(),
            calls: 0,
            first_us: 0,
            per_second: 0.0,
        };
        let segments = apps.iter().map(segment).collect();
        Self { model, apps, rule, timing: Timing::new(apps.len()), segments }
    }

    /// Calls per second below which an instance of a segment is not worth its memory.
    fn bar(&self, app: usize, now_us: u64) -> f64 {
        let Segment { gigabytes, calls, first_us, .. } = self.segments[app];
        let hours = ((now_us - first_us) as f64 / 3.6e9).max(1.0);
        gigabytes / self.rule.price(gigabytes, calls as f64 / hours).max(f64::MIN_POSITIVE)
    }

    /// The decision of one stretch after another, as long as it is the same.
    fn look(
        &mut self,
        app: usize,
        rhythm_of: impl Fn(&Timing) -> Option<&Rhythm>,
        now_us: u64,
        hold: Hold,
    ) -> Option<Decision> {
        let bar = self.bar(app, now_us);
        let trigger = self.apps[app].trigger;
        let lead_us = self.segments[app].start_us;
        let rhythm = rhythm_of(&self.timing)?;
        let mut outlook = self.segments[app].outlook;
        let mut decided: Option<Hold> = None;
        let mut at_us = now_us;
        for _ in 0..LOOK_MAX {
            let Stretch { until_us, per_second } = outlook.at(self.model, rhythm, trigger, at_us);
            let mut wanted = per_second >= bar;
            let mut until_us = until_us;
            // What takes time to be ready is worth making, or keeping, if it is wanted by then.
            let ahead_us = if hold == Hold::Loaded { lead_us.max(PAUSE_US) } else { lead_us };
            if ahead_us > 0 && !wanted {
                let then = outlook.at(self.model, rhythm, trigger, at_us + ahead_us);
                wanted = then.per_second >= bar;
                until_us = until_us.min(then.until_us - ahead_us).max(at_us + 1);
            }
            if at_us == now_us {
                self.segments[app].per_second = per_second;
            }
            let here = if wanted { Hold::Loaded } else { Hold::Unloaded };
            if *decided.get_or_insert(here) != here {
                break;
            }
            at_us = until_us;
        }
        self.segments[app].outlook = outlook;
        Some(Decision { hold: decided.unwrap_or(hold), until_us: at_us })
    }
}

impl Policy for Foresight<'_> {
    fn called(&mut self, app: u32, now_us: u64, _met: Met) {
        self.timing.called(app, now_us);
        let segment = &mut self.segments[app as usize];
        if segment.calls == 0 {
            segment.first_us = now_us;
        }
        segment.calls += 1;
    }

    fn decide(&mut self, idle: &Idle) -> Decision {
        let app = idle.app as usize;
        if self.segments[app].calls == 0 {
            return Decision::unloaded(u64::MAX);
        }
        if idle.hold == Hold::Loaded && idle.since_us == Some(idle.now_us) {
            return Decision::loaded(idle.now_us + GRACE_US);
        }
        if idle.spare > 0 {
            let until_us = idle.since_us.unwrap_or(0) + SPARE_US;
            let stays = idle.now_us < until_us;
            return if stays { Decision::loaded(until_us) } else { Decision::unloaded(u64::MAX) };
        }
        let decision = self.look(app, |timing| timing.get(idle.app), idle.now_us, idle.hold);
        decision.unwrap_or(Decision::unloaded(u64::MAX))
    }

    fn worth(&mut self, app: u32, now_us: u64, _idle_since_us: u64) -> f64 {
        self.segments[app as usize].per_second / self.bar(app as usize, now_us)
    }
}
