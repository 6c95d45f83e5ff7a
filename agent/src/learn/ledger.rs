//! What forecasts were worth. In: requests with what they found, and the weaver's notes. Out: for each request an
//! outcome, for each step of a forecast that was acted upon a lesson, and totals by segment. Pure: the time is given.
//!
//! A request is a *hit* when it found an instance ready that would not have been there without forecasts: had there
//! been keep-alive alone, the last instance of its segment would have been gone.

use crate::weave::{Asker, Found, Note};

/// Steps whose outcome is awaited; past that the oldest is closed as it stands.
const CLAIMS_MAX: usize = 8192;
/// What a cold start is taken to last before one was seen.
const COLD_GUESS_MS: f64 = 300.0;

/// What a request found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// An instance that was there anyway.
    Warm,
    /// An instance that was there because it was forecast.
    Hit,
    /// A forecast instance that was still being made.
    Late,
    /// Nothing: it waited for its own.
    Cold,
    /// Nothing, and none could be made.
    Failed,
    /// Nothing; the ordinary service took it.
    Pass,
}

impl Outcome {
    /// The word shown to users and used as label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Hit => "hit",
            Self::Late => "late",
            Self::Cold => "cold",
            Self::Failed => "failed",
            Self::Pass => "pass",
        }
    }
}

/// The way a request took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Redirected to an instance as it was dialled.
    Direct {
        /// The instance.
        instance: u64,
    },
    /// Held by the activator.
    Activated {
        /// The instance that took it.
        instance: u64,
        /// What it found.
        found: Found,
        /// How long it was held.
        waited_ms: f64,
    },
    /// Held by the activator and sent away.
    Refused,
    /// Not redirected.
    Passed,
}

/// How a step of a forecast ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its request came and found the instance ready.
    Hit,
    /// Its request came while the instance was being made.
    Late,
    /// Its request did not come.
    Waste,
}

impl Verdict {
    /// The word shown to users and used as label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Late => "late",
            Self::Waste => "waste",
        }
    }
}

/// One step of a forecast, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// The forecast.
    pub forecast: u64,
    /// The segment of the step.
    pub segment: usize,
    /// How it ended.
    pub verdict: Verdict,
    /// Latency that it saved, in milliseconds.
    pub saved_ms: f64,
    /// Memory-time that stood idle for it, in mebibyte-seconds.
    pub cost_mb_s: f64,
}

impl Lesson {
    /// Memory-time that stood idle for nothing, in mebibyte-seconds.
    pub fn wasted_mb_s(&self) -> f64 {
        if self.verdict == Verdict::Waste { self.cost_mb_s } else { 0.0 }
    }
}

/// Sums of one segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Requests by [`Outcome`]: warm, hit, late, cold, failed, pass.
    pub requests: [u64; 6],
    /// Lessons by [`Verdict`]: hit, late, waste.
    pub lessons: [u64; 3],
    /// Latency saved, in milliseconds.
    pub saved_ms: f64,
    /// Memory-time of forecast instances that nobody used, in mebibyte-seconds.
    pub wasted_mb_s: f64,
    /// Memory-time of all instances without work, in mebibyte-seconds.
    pub idle_mb_s: f64,
}

#[derive(Debug)]
struct Claim {
    forecast: u64,
    segment: usize,
    asker: Asker,
    since_ms: u64,
    instance: u64,
    deadline_ms: u64,
    verdict: Option<(Verdict, f64)>,
    /// What its instance cost until its first use; a step that shares an instance costs nothing.
    cost_mb_s: Option<f64>,
}

/// The books of all forecasts and segments.
#[derive(Debug)]
pub struct Ledger {
    keep_alive_ms: u64,
    claims: Vec<Claim>,
    reactive_until_ms: Vec<u64>,
    cold_ms: Vec<f64>,
    totals: Vec<Totals>,
}

impl Ledger {
    /// Books for further segments, up to so many; those that there are stay.
    pub fn grow(&mut self, segments: usize) {
        let count = segments.max(self.totals.len());
        self.reactive_until_ms.resize(count, 0);
        self.cold_ms.resize(count, COLD_GUESS_MS);
        self.totals.resize(count, Totals::default());
    }

    /// Empty books for so many segments.
    pub fn new(segments: usize, keep_alive_ms: u64) -> Self {
        Self {
            keep_alive_ms,
            claims: Vec::new(),
            reactive_until_ms: vec![0; segments],
            cold_ms: vec![COLD_GUESS_MS; segments],
            totals: vec![Totals::default(); segments],
        }
    }

    /// Sums by segment, in the order of the configuration.
    pub fn totals(&self) -> &[Totals] {
        &self.totals
    }

    /// Books a request that came at `at_ms`, by whom, and which way it took.
    pub fn request(&mut self, segment: usize, asker: Option<Asker>, way: Way, at_ms: u64) -> Outcome {
        let would_be_cold = at_ms >= self.reactive_until_ms[segment];
        let outcome = self.outcome(segment, way, would_be_cold);
        let busy_ms = if let Way::Activated { waited_ms, .. } = way { waited_ms as u64 } else { 0 };
        self.reactive_until_ms[segment] = at_ms + busy_ms + self.keep_alive_ms;
        if let Way::Activated { found: Found::Nothing, waited_ms, .. } = way {
            self.cold_ms[segment] += (waited_ms - self.cold_ms[segment]) * 0.2;
        }
        self.totals[segment].requests[outcome as usize] += 1;
        self.resolve(segment, asker, way, outcome, at_ms);
        outcome
    }

    fn outcome(&self, segment: usize, way: Way, would_be_cold: bool) -> Outcome {
        let forecast = || self.claims.iter().any(|claim| claim.segment == segment);
        match way {
            Way::Refused => Outcome::Failed,
            Way::Passed => Outcome::Pass,
            Way::Activated { found: Found::Nothing, .. } => Outcome::Cold,
            Way::Activated { found: Found::Creating, .. } => Outcome::Late,
            Way::Direct { .. } | Way::Activated { found: Found::Ready, .. }
                if would_be_cold && forecast() =>
            {
                Outcome::Hit
            }
            _ => Outcome::Warm,
        }
    }

    /// Closes every claim that expected this request: a step that several forecasts named came for all of them. What it
    /// saved, it saved once.
    fn resolve(&mut self, segment: usize, asker: Option<Asker>, way: Way, outcome: Outcome, at_ms: u64) {
        let cold_ms = self.cold_ms[segment];
        let (verdict, saved_ms) = match (outcome, way) {
            (Outcome::Hit, _) => (Verdict::Hit, cold_ms),
            (Outcome::Warm, _) => (Verdict::Hit, 0.0),
            (Outcome::Late, Way::Activated { waited_ms, .. }) => {
                (Verdict::Late, (cold_ms - waited_ms).max(0.0))
            }
            _ => (Verdict::Late, 0.0),
        };
        // The request that gave rise to a forecast is not the one that it expects.
        let expected = |claim: &&mut Claim| {
            claim.segment == segment && Some(claim.asker) == asker && claim.since_ms < at_ms
        };
        let open = self.claims.iter_mut().filter(|claim| claim.verdict.is_none()).filter(expected);
        for (nth, claim) in open.enumerate() {
            claim.verdict = Some((verdict, if nth == 0 { saved_ms } else { 0.0 }));
        }
        self.totals[segment].saved_ms += saved_ms;
    }

    /// Books what the weaver did.
    pub fn note(&mut self, note: &Note) {
        match *note {
            Note::Claimed { forecast, segment, asker, since_ms, instance, fresh, deadline_ms } => {
                let cost_mb_s = if fresh { None } else { Some(0.0) };
                if self.claims.len() >= CLAIMS_MAX {
                    self.claims[0].verdict.get_or_insert((Verdict::Waste, 0.0));
                    self.claims[0].cost_mb_s.get_or_insert(0.0);
                }
                let verdict = None;
                self.claims.push(Claim {
                    forecast,
                    segment,
                    asker,
                    since_ms,
                    instance,
                    deadline_ms,
                    verdict,
                    cost_mb_s,
                });
            }
            Note::Spent { instance, segment, idle_mb_s, used } => {
                self.totals[segment].idle_mb_s += idle_mb_s;
                let fresh = self
                    .claims
                    .iter_mut()
                    .find(|claim| claim.instance == instance && claim.cost_mb_s.is_none());
                if let Some(claim) = fresh {
                    claim.cost_mb_s = Some(idle_mb_s);
                }
                if !used {
                    self.totals[segment].wasted_mb_s += idle_mb_s;
                }
            }
            _ => {}
        }
    }

    /// Closes what is due; returns the lessons that are complete.
    pub fn close(&mut self, now_ms: u64) -> Vec<Lesson> {
        let mut lessons = Vec::new();
        let totals = &mut self.totals;
        self.claims.retain_mut(|claim| {
            if claim.verdict.is_none() && claim.deadline_ms <= now_ms {
                claim.verdict = Some((Verdict::Waste, 0.0));
            }
            let (Some((verdict, saved_ms)), Some(cost_mb_s)) = (claim.verdict, claim.cost_mb_s) else {
                return true;
            };
            totals[claim.segment].lessons[verdict as usize] += 1;
            lessons.push(Lesson {
                forecast: claim.forecast,
                segment: claim.segment,
                verdict,
                saved_ms,
                cost_mb_s,
            });
            false
        });
        lessons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Asker = Asker::Principal(7);

    fn claimed(ledger: &mut Ledger, forecast: u64, fresh: bool) {
        let (since_ms, deadline_ms) = (2_000, 5_000);
        ledger.note(&Note::Claimed {
            forecast,
            segment: 0,
            asker: USER,
            since_ms,
            instance: 1,
            fresh,
            deadline_ms,
        });
    }

    fn spent(idle_mb_s: f64, used: bool) -> Note {
        Note::Spent { instance: 1, segment: 0, idle_mb_s, used }
    }

    #[test]
    fn a_request_that_keep_alive_would_have_served_is_warm_and_not_a_hit() {
        let mut ledger = Ledger::new(1, 1_000);
        let cold = Way::Activated { instance: 1, found: Found::Nothing, waited_ms: 80.0 };
        assert_eq!(ledger.request(0, Some(USER), cold, 10_000), Outcome::Cold);
        claimed(&mut ledger, 1, false);
        assert_eq!(ledger.request(0, Some(USER), Way::Direct { instance: 1 }, 10_500), Outcome::Warm);
        let lessons = ledger.close(10_600);
        assert_eq!((lessons[0].verdict, lessons[0].saved_ms), (Verdict::Hit, 0.0));
    }

    #[test]
    fn a_hit_saves_a_cold_start_and_carries_what_its_instance_cost() {
        let mut ledger = Ledger::new(1, 1_000);
        claimed(&mut ledger, 1, true);
        assert_eq!(ledger.request(0, Some(USER), Way::Direct { instance: 1 }, 3_000), Outcome::Hit);
        assert_eq!(ledger.close(3_000), [], "the cost is not known yet");
        ledger.note(&spent(12.5, true));
        let lessons = ledger.close(3_000);
        assert_eq!((lessons[0].verdict, lessons[0].cost_mb_s), (Verdict::Hit, 12.5));
        assert!(lessons[0].saved_ms > 0.0);
        assert_eq!(ledger.totals()[0].wasted_mb_s, 0.0);
    }

    #[test]
    fn a_request_that_meets_its_instance_in_the_making_is_late_and_saves_the_rest() {
        let mut ledger = Ledger::new(1, 1_000);
        claimed(&mut ledger, 1, true);
        let late = Way::Activated { instance: 1, found: Found::Creating, waited_ms: 100.0 };
        assert_eq!(ledger.request(0, Some(USER), late, 3_000), Outcome::Late);
        ledger.note(&spent(0.0, true));
        let lessons = ledger.close(3_100);
        assert_eq!((lessons[0].verdict, lessons[0].saved_ms), (Verdict::Late, 200.0));
    }

    #[test]
    fn a_forecast_whose_request_never_comes_is_waste_with_its_memory_time() {
        let mut ledger = Ledger::new(1, 1_000);
        claimed(&mut ledger, 1, true);
        assert_eq!(ledger.close(6_000), [], "the instance still stands");
        ledger.note(&spent(40.0, false));
        let lessons = ledger.close(6_200);
        assert_eq!((lessons[0].verdict, lessons[0].cost_mb_s), (Verdict::Waste, 40.0));
        assert_eq!(ledger.totals()[0].wasted_mb_s, 40.0);
    }

    #[test]
    fn one_request_answers_all_forecasts_that_named_it_and_saves_its_time_once() {
        let mut ledger = Ledger::new(1, 1_000);
        claimed(&mut ledger, 1, true);
        claimed(&mut ledger, 2, false);
        ledger.request(0, Some(USER), Way::Direct { instance: 1 }, 3_000);
        ledger.note(&spent(1.0, true));
        let lessons = ledger.close(3_000);
        let verdicts: Vec<_> = lessons.iter().map(|l| (l.forecast, l.verdict, l.saved_ms > 0.0)).collect();
        assert_eq!(verdicts, [(1, Verdict::Hit, true), (2, Verdict::Hit, false)]);
    }

    #[test]
    fn the_request_that_gave_rise_to_a_forecast_does_not_fulfil_it() {
        let mut ledger = Ledger::new(1, 1_000);
        claimed(&mut ledger, 1, false);
        ledger.request(0, Some(USER), Way::Direct { instance: 1 }, 2_000);
        assert_eq!(ledger.close(2_000), [], "it is still expected");
        ledger.request(0, Some(USER), Way::Direct { instance: 1 }, 2_500);
        assert_eq!(ledger.close(2_500)[0].verdict, Verdict::Hit);
    }

    #[test]
    fn another_users_request_does_not_close_a_users_forecast() {
        let mut ledger = Ledger::new(1, 1_000);
        claimed(&mut ledger, 1, false);
        ledger.request(0, Some(Asker::Principal(8)), Way::Direct { instance: 1 }, 3_000);
        assert_eq!(ledger.close(3_000), []);
        assert_eq!(ledger.close(5_000)[0].verdict, Verdict::Waste);
    }
}
