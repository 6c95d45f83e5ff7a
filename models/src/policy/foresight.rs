//! The policy that follows forecasts. In: calls, and instances that serve nobody. Out: how long they stand, and when one is
//! made ahead of a call.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Known;
use super::guard::Guard;
use super::interval::Interval;
use super::steps::CPU_GB_S;
use super::tune::{Class, KEEP, MULTIPLES, PLAIN, Tuner};
use crate::replay::{Decision, Hold, Idle, Met, Policy, gigabytes};
use crate::timing::{Outlook, Rhythm, Stretch, Timing, TimingModel};
use crate::trace::{App, SECOND_US};

/// An instance that has just served stays for this long, whatever is forecast: calls that come in a row need no thought.
const GRACE_US: u64 = 250_000;
/// On a node for up to this long, where that is not more than the keep-alive: forecasts are of minutes, and say little of the
/// next few seconds.
const NODE_GRACE_US: u64 = 10 * SECOND_US;
/// It does not go if it is wanted again within this.
const PAUSE_US: u64 = 2 * SECOND_US;
/// Stretches looked at in one decision on an instance that is to be made: the next two minutes.
const LOOK_MAX: usize = 24;
/// And on one that stands: the next call mostly comes before that.
const LOOK_STANDING_MAX: usize = 2;
/// Calls from which a node takes a segment's rhythm for known.
const KNOWN_MIN: u64 = 8;
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
    /// Whether multiples of the price are learned per class of segments.
    pub tuned: Tuned,
    /// A segment that was called less often than this follows plain keep-alive: little is known of it.
    pub known_min: u64,
    /// How long an instance that has just served stays in any case, in µs.
    pub grace_us: u64,
    /// What a second of a core is worth in GB·s, where starts are to be paid for; a core works for as long as one takes.
    pub cpu_gb_s: f64,
}

/// Whether the price is learned, and what it is kept safe by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tuned {
    /// The price is the price.
    Never,
    /// Per class of segments, never much worse than plain keep-alive.
    Online {
        /// Plain keep-alive: an instance stays for this long, in µs.
        keep_us: u64,
        /// A segment that lost more than the price of so many cold starts against plain keep-alive within the last hour
        /// follows that.
        lost_max: f64,
    },
}

impl Default for Rule {
    fn default() -> Self {
        let tuned = Tuned::Online { keep_us: 600 * SECOND_US, lost_max: 4.0 };
        Self {
            price_gb_s: 200.0,
            memory_power: 0.0,
            rate_power: 0.0,
            tuned,
            known_min: 0,
            grace_us: GRACE_US,
            cpu_gb_s: 0.0,
        }
    }
}

impl Rule {
    /// The rule of a node where an instance stays for `keep_us` after its last call unless something is known. What that
    /// says of the worth of a cold start: as much memory as it takes for as long. (Kept until it has cost as much as the
    /// cold start that it may save, an instance never costs more than twice what one who knew the future would pay.)
    ///
    /// Source: Karlin, Manasse, Rudolph and Sleator, "Competitive snoopy caching", Algorithmica 3, 1988.
    pub fn of_keep_alive(keep_us: u64) -> Self {
        let tuned = Tuned::Online { keep_us, lost_max: 4.0 };
        let price_gb_s = keep_us.max(1) as f64 / SECOND_US as f64;
        let grace_us = keep_us.min(NODE_GRACE_US);
        let (memory_power, rate_power) = (1.0, 0.0);
        Self {
            price_gb_s,
            memory_power,
            rate_power,
            tuned,
            known_min: KNOWN_MIN,
            grace_us,
            cpu_gb_s: CPU_GB_S,
        }
    }

    /// Price of a cold start in GB·s.
    pub fn price(&self, gigabytes: f64, calls_per_hour: f64) -> f64 {
        let rate = calls_per_hour.max(1.0).powf(self.rate_power);
        self.price_gb_s * gigabytes.powf(self.memory_power) / rate
    }

    /// How much more than plain keep-alive a segment can cost within any hour, in GB·s, where a cold start counts
    /// `price_gb_s`; `None` if nothing keeps it safe.
    ///
    /// Intervals within the hour lose at most the limit before the last one of them, which loses at most the limit and a
    /// cold start. The two that reach beyond the hour lose as much each, and what plain keep-alive spent outside of the
    /// hour may be their gain. An instance that stands is looked at again within ten seconds.
    pub fn lost_max_gb_s(&self, gigabytes: f64, price_gb_s: f64) -> Option<f64> {
        let Tuned::Online { keep_us, lost_max } = self.tuned else { return None };
        let kept = (keep_us + 10 * SECOND_US) as f64 / 1e6 * gigabytes;
        Some((4.0 * lost_max + 3.0) * price_gb_s + 2.0 * kept)
    }
}

#[derive(Clone, Debug)]
struct Segment {
    gigabytes: f64,
    start_us: u64,
    outlook: Outlook,
    calls: u64,
    first_us: u64,
    /// Calls expected per second when last asked for.
    per_second: f64,
    interval: Interval,
    guard: Guard,
}

impl Segment {
    fn of(app: &App) -> Self {
        Self {
            gigabytes: gigabytes(app),
            start_us: app.start_us,
            outlook: Outlook::default(),
            calls: 0,
            first_us: 0,
            per_second: 0.0,
            interval: Interval::default(),
            guard: Guard::default(),
        }
    }
}

/// Follows a model's forecasts by a rule.
#[derive(Clone, Debug)]
pub struct Foresight<'a> {
    model: Cow<'a, TimingModel>,
    apps: Cow<'a, [App]>,
    rule: Rule,
    timing: Timing,
    tuner: Tuner,
    segments: Vec<Segment>,
}

impl Foresight<'static> {
    /// For applications that are met later, at most `segments_max` of whose rhythms are remembered.
    pub fn of_node(model: TimingModel, rule: Rule, segments_max: usize) -> Self {
        let (timing, tuner) = (Timing::new(segments_max), Tuner::default());
        let apps = Cow::Owned(Vec::new());
        Self { model: Cow::Owned(model), apps, rule, timing, tuner, segments: Vec::new() }
    }
}

impl<'a> Foresight<'a> {
    /// For these applications.
    pub fn new(model: &'a TimingModel, apps: &'a [App], rule: Rule) -> Self {
        let segments = apps.iter().map(Segment::of).collect();
        let (timing, tuner) = (Timing::new(apps.len()), Tuner::default());
        Self { model: Cow::Borrowed(model), apps: Cow::Borrowed(apps), rule, timing, tuner, segments }
    }

    /// Knows one more application, by the next index.
    pub fn meet(&mut self, app: App) {
        self.segments.push(Segment::of(&app));
        self.apps.to_mut().push(app);
    }

    /// What an instance takes, and how long its start, as it was measured since.
    pub fn weigh(&mut self, app: u32, memory_kib: u64, start_us: u64) {
        if let Some(segment) = self.segments.get_mut(app as usize) {
            segment.gigabytes = memory_kib.max(1) as f64 / f64::from(1 << 20);
            segment.start_us = start_us;
        }
    }

    /// What was learned of classes of segments.
    pub fn tuner(&self) -> &Tuner {
        &self.tuner
    }

    /// What is known of a segment's calls, under this name; nothing where it was never called.
    pub fn known(&self, app: u32, segment: &str) -> Option<Known> {
        let Segment { calls, first_us, .. } = self.segments.get(app as usize).filter(|one| one.calls > 0)?;
        let rhythm = self.timing.get(app)?.clone();
        Some(Known { segment: segment.to_owned(), calls: *calls, first_us: *first_us, rhythm })
    }

    /// Goes on from what was known of a segment's calls.
    pub fn resume(&mut self, app: u32, known: Known) {
        if let Some(segment) = self.segments.get_mut(app as usize) {
            (segment.calls, segment.first_us) = (known.calls, known.first_us);
            self.timing.put(app, known.rhythm);
        }
    }

    /// Goes on from what was learned before.
    pub fn set_tuner(&mut self, tuner: Tuner) {
        self.tuner = tuner;
    }

    /// Price of a cold start of a segment now.
    fn price(&self, app: usize, now_us: u64) -> f64 {
        let Segment { gigabytes, calls, first_us, .. } = self.segments[app];
        let hours = ((now_us - first_us) as f64 / 3.6e9).max(1.0);
        self.rule.price(gigabytes, calls as f64 / hours).max(f64::MIN_POSITIVE)
    }

    /// What the CPU of a start is worth. For as long somebody waits who finds none: that is worth as much.
    fn start_gb_s(&self, app: usize) -> f64 {
        self.segments[app].start_us as f64 / 1e6 * self.rule.cpu_gb_s
    }

    /// Stretches from now on as long as they are all to be stood through, or none.
    fn look(&mut self, app: usize, now_us: u64, hold: Hold, bar: f64) -> Option<Decision> {
        // What a start in vain costs, in prices of a cold start.
        let start = self.start_gb_s(app) * bar / self.segments[app].gigabytes;
        let trigger = self.apps[app].trigger;
        let rhythm = self.timing.get(app as u32)?;
        let segment = &mut self.segments[app];
        let ahead_us = if hold == Hold::Loaded { segment.start_us.max(PAUSE_US) } else { segment.start_us };
        let looks = if hold == Hold::Loaded { LOOK_STANDING_MAX } else { LOOK_MAX };
        let mut decided: Option<Hold> = None;
        let mut at_us = now_us;
        let mut calls = 0.0;
        for _ in 0..looks {
            let Stretch { mut until_us, per_second } =
                segment.outlook.at(&self.model, rhythm, trigger, at_us);
            let mut wanted = per_second >= bar;
            // What takes time to be ready is worth making, or keeping, if it is wanted by then.
            if ahead_us > 0 && !wanted {
                let then = segment.outlook.at(&self.model, rhythm, trigger, at_us + ahead_us);
                wanted = then.per_second >= bar;
                until_us = until_us.min(then.until_us - ahead_us).max(at_us + 1);
            }
            let here = if wanted { Hold::Loaded } else { Hold::Unloaded };
            if *decided.get_or_insert(here) != here {
                break;
            }
            if at_us == now_us {
                segment.per_second = per_second;
            }
            segment.interval.expect(until_us, per_second);
            calls += per_second * (until_us - at_us) as f64 / 1e6;
            at_us = until_us;
        }
        let none = (-calls).exp();
        if hold == Hold::Unloaded && (1.0 - none) * (1.0 + start) < none * start {
            decided = Some(Hold::Unloaded);
        }
        Some(Decision { hold: decided.unwrap_or(hold), until_us: at_us })
    }

    /// The arm that a segment follows now: its class's, or plain keep-alive where it has lost too much against that.
    fn arm(&mut self, app: usize, class: Class, now_us: u64, price: f64) -> (usize, u64) {
        let Tuned::Online { keep_us, lost_max } = self.rule.tuned else { return (PLAIN, 0) };
        let segment = &mut self.segments[app];
        if segment.calls < self.rule.known_min {
            return (KEEP, keep_us);
        }
        let start_gb_s = segment.start_us as f64 / 1e6 * self.rule.cpu_gb_s;
        let starts = f64::from(segment.interval.starts()) * start_gb_s;
        let in_this = segment.interval.lost_gb_s(segment.gigabytes, now_us, keep_us) + starts;
        let lost = segment.guard.lost_gb_s(now_us).max(in_this);
        let arm = if lost > lost_max * (price + start_gb_s) { KEEP } else { self.tuner.arm(class) };
        (arm, keep_us)
    }

    /// Ends the interval of a segment: each arm is told what it would have lost.
    fn settle(&mut self, app: usize, now_us: u64, met: Met) {
        let Tuned::Online { keep_us, .. } = self.rule.tuned else { return };
        let (price, start_gb_s) = (self.price(app, now_us), self.start_gb_s(app));
        let segment = &mut self.segments[app];
        let starts = segment.interval.starts();
        let Some(mut losses) = segment.interval.end(segment.gigabytes, price, now_us, keep_us) else {
            return;
        };
        // Of the starts ahead of the call the last was worth it, if the call met what it made.
        let (cold, worth) = if met == Met::Cold { (price, 0) } else { (0.0, 1) };
        let in_vain = f64::from(starts.saturating_sub(worth)) * start_gb_s;
        let lost = losses.own_gb_s + in_vain + cold - losses.arms[KEEP];
        segment.guard.add(now_us, lost);
        losses.arms.iter_mut().for_each(|loss| *loss = loss.min(1e9));
        self.tuner.learn(segment.interval.class, &losses.arms, price);
    }
}

/// The class that a segment falls into.
fn class(rhythm: &Rhythm, app: &App, calls: u64, hours: f64) -> Class {
    let share = rhythm.regularity();
    let regular = u8::from(share >= 0.3) + u8::from(share >= 0.8);
    let per_hour = calls as f64 / hours;
    let rate = [2.0, 20.0, 200.0].iter().filter(|least| per_hour >= **least).count() as u8;
    Class { trigger: app.trigger, regular, rate }
}

impl Policy for Foresight<'_> {
    fn called(&mut self, app: u32, now_us: u64, met: Met) {
        self.settle(app as usize, now_us, met);
        self.timing.called(app, now_us);
        let segment = &mut self.segments[app as usize];
        if segment.calls == 0 {
            segment.first_us = now_us;
        }
        segment.calls += 1;
        // Until it is asked for: who was just called is worth most.
        segment.per_second = 1.0;
    }

    fn decide(&mut self, idle: &Idle) -> Decision {
        let (app, now_us) = (idle.app as usize, idle.now_us);
        if self.segments[app].calls == 0 {
            return Decision::unloaded(u64::MAX);
        }
        let since_us = idle.since_us.unwrap_or(0);
        if idle.hold == Hold::Loaded && now_us < since_us + self.rule.grace_us {
            return Decision::loaded(since_us + self.rule.grace_us);
        }
        if idle.spare > 0 {
            let stays = now_us < since_us + SPARE_US;
            return if stays { Decision::loaded(since_us + SPARE_US) } else { Decision::unloaded(u64::MAX) };
        }
        let price = self.price(app, now_us);
        let Segment { gigabytes, calls, first_us, .. } = self.segments[app];
        if !self.segments[app].interval.is_open() {
            let hours = ((now_us - first_us) as f64 / 3.6e9).max(1.0);
            let class = self.timing.get(idle.app).map(|rhythm| class(rhythm, &self.apps[app], calls, hours));
            self.segments[app].interval.begin(since_us, class.unwrap_or_default(), idle.hold);
        }
        self.segments[app].interval.pass(gigabytes, price, now_us);
        let (arm, keep_us) = self.arm(app, self.segments[app].interval.class, now_us, price);
        let multiple = MULTIPLES.get(arm).copied().unwrap_or(1.0);
        let looked = self.look(app, now_us, idle.hold, gigabytes / (price * multiple));
        let mut decision = looked.unwrap_or(Decision::unloaded(u64::MAX));
        if arm == KEEP {
            let until_us = since_us + keep_us;
            decision = if idle.hold == Hold::Loaded && now_us < until_us {
                Decision::loaded(decision.until_us.min(until_us))
            } else {
                Decision::unloaded(decision.until_us)
            };
        }
        self.segments[app].interval.follow(decision);
        decision
    }

    fn worth(&mut self, app: u32, now_us: u64, _idle_since_us: u64) -> f64 {
        let at = app as usize;
        // What is not expected at once may well be needed before memory is free again: its usual rate counts, too.
        let Segment { gigabytes, per_second, .. } = self.segments[at];
        let usual = self.timing.get(app).map_or(0.0, Rhythm::active_per_second);
        (per_second + usual) * self.price(at, now_us) / gigabytes
    }

    fn evicted(&mut self, app: u32, _worth: f64, last: bool) {
        if last {
            self.segments[app as usize].interval.follow(Decision::unloaded(u64::MAX));
        }
    }
}
