//! What was seen of one phase. In: the players' lines, the agent's journal and its sums. Out: one file, from which
//! report and picture are made, now or later.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::player::Asked;

/// A request answers to a line of the journal that is no further away than this.
const SAME_REQUEST_MS: f64 = 20_000.0;

/// One phase, as it was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Phase {
    /// Whether forecasts were acted upon.
    pub(super) weaving: bool,
    /// When it began, Unix milliseconds.
    pub(super) begun_ms: f64,
    /// When its last request was answered.
    pub(super) ended_ms: f64,
    /// What the users saw.
    pub(super) asked: Vec<Asked>,
    /// What the agent saw and did.
    pub(super) journal: Vec<Event>,
    /// Lines of the journal that were not kept.
    pub(super) lost: u64,
    /// The agent's sums at the end: `weft status`.
    pub(super) status: Value,
}

/// A line of the journal, as far as it is of use here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Event {
    /// Unix milliseconds.
    #[serde(default)]
    pub(super) at_ms: f64,
    /// What happened.
    #[serde(flatten)]
    pub(super) what: What,
}

/// What a line tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum What {
    /// A request came.
    Request {
        /// Its segment, if it is one of weft's.
        segment: Option<String>,
        /// The segment that asked, if it was not a user.
        caller: Option<String>,
        /// The client's end.
        from: String,
        /// What it found.
        outcome: Option<String>,
        /// How long it was held.
        wait_ms: f64,
    },
    /// A forecast was made.
    Forecast {
        /// Its steps.
        path: Vec<Step>,
    },
    /// An instance changed.
    Instance {
        /// Its name.
        instance: String,
        /// Its segment.
        segment: String,
        /// What it is now.
        state: String,
        /// Why.
        cause: String,
    },
    /// Something else.
    #[serde(other)]
    Other,
}

/// One step of a forecast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    /// The segment.
    pub(super) segment: String,
    /// Probability.
    pub(super) confidence: f64,
    /// Milliseconds from the forecast.
    pub(super) expected_ms: f64,
}

/// A request with what both sides know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined<'a> {
    /// What the user saw.
    pub(super) asked: &'a Asked,
    /// What it found, in the agent's words; none if the journal does not have it.
    pub(super) outcome: Option<&'a str>,
}

impl Phase {
    /// Every user's request with its outcome: both sides name the port it came from.
    pub(super) fn joined(&self) -> Vec<Joined<'_>> {
        let mut seen: BTreeMap<u16, Vec<(f64, &str)>> = BTreeMap::new();
        for event in &self.journal {
            if let What::Request { caller: None, from, outcome: Some(outcome), .. } = &event.what
                && let Some(port) = from.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
            {
                seen.entry(port).or_default().push((event.at_ms, outcome));
            }
        }
        let outcome = |asked: &Asked| {
            let near = seen.get(&asked.port)?.iter();
            let distance = |at_ms: f64| (at_ms - asked.at_ms).abs();
            let (at_ms, outcome) = near.min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)))?;
            (distance(*at_ms) < SAME_REQUEST_MS).then_some(*outcome)
        };
        self.asked.iter().map(|asked| Joined { asked, outcome: outcome(asked) }).collect()
    }

    /// How long it lasted, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        (self.ended_ms - self.begun_ms) / 1000.0
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_vec(self)?).with_context(|| format!("write {}", path.display()))
    }

    /// Reads one that was kept.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let context = || format!("read {} (it is there after one whole run)", path.display());
        let bytes = fs::read(path).with_context(context)?;
        serde_json::from_slice(&bytes).with_context(context)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A phase of four requests: a cold and a warm one of the cart, a hit of the checkout, and one unknown to the
    /// journal; the checkout calls the price, which is a hit too.
    pub(in crate::demo) fn phase() -> Phase {
        let asked = |at_ms: f64, segment: &str, port, first_byte_ms| Asked {
            at_ms,
            user: 1,
            segment: segment.into(),
            path: "/".into(),
            port,
            status: 200,
            first_byte_ms,
            error: String::new(),
        };
        let request = |at_ms: f64, segment: &str, caller: Option<&str>, port: u16, outcome: &str| {
            json!({ "at_ms": at_ms, "kind": "request", "segment": segment, "method": "GET", "path": "/",
                    "caller": caller, "from": format!("10.128.0.1:{port}"), "outcome": outcome, "wait_ms": 0.0 })
        };
        let instance = |at_ms: f64, segment: &str, state: &str, cause: &str| {
            json!({ "at_ms": at_ms, "kind": "instance", "instance": format!("{segment}-1"), "segment": segment,
                    "graph": null, "state": state, "cause": cause })
        };
        let step = json!({ "segment": "checkout", "confidence": 0.9, "expected_ms": 1500, "position": 1 });
        let lines = json!([
            request(1_010.0, "cart", None, 4001, "cold"),
            instance(1_010.0, "cart", "creating", "demand"),
            instance(1_300.0, "cart", "ready", "listens"),
            { "at_ms": 1_020.0, "kind": "forecast", "id": 1, "trigger": "cart", "path": [step] },
            instance(1_040.0, "checkout", "creating", "forecast"),
            instance(1_700.0, "checkout", "ready", "listens"),
            request(2_010.0, "cart", None, 4002, "warm"),
            request(3_010.0, "checkout", None, 4003, "hit"),
            request(3_020.0, "price", Some("checkout"), 4004, "hit"),
            instance(5_000.0, "checkout", "gone", "idle"),
            { "at_ms": 5_100.0, "kind": "lesson", "forecast": 1, "segment": "checkout", "outcome": "hit" }
        ]);
        let sums = |name: &str, [warm, hit, late, cold]: [u64; 4]| {
            json!({ "name": name, "warm": warm, "hit": hit, "late": late, "cold": cold, "failed": 0, "pass": 0,
                    "wasted_mb_s": 2.5, "idle_mb_s": 9.0, "saved_ms": 100.0 })
        };
        let segments =
            [sums("cart", [1, 0, 0, 1]), sums("checkout", [0, 1, 0, 0]), sums("price", [0, 1, 0, 0])];
        Phase {
            weaving: true,
            begun_ms: 1_000.0,
            ended_ms: 6_000.0,
            asked: vec![
                asked(1_000.0, "cart", 4001, 300.0),
                asked(2_000.0, "cart", 4002, 4.0),
                asked(3_000.0, "checkout", 4003, 6.0),
                asked(4_000.0, "price", 4009, 1.0),
            ],
            journal: serde_json::from_value(lines).unwrap(),
            lost: 0,
            status: json!({ "segments": segments }),
        }
    }

    #[test]
    fn a_request_meets_its_line_by_the_port_and_never_another_ones() {
        let phase = phase();
        let outcomes: Vec<_> = phase.joined().iter().map(|one| one.outcome).collect();
        assert_eq!(outcomes, [Some("cold"), Some("warm"), Some("hit"), None]);
    }

    #[test]
    fn a_port_that_comes_again_is_told_apart_by_the_time() {
        let mut phase = phase();
        phase.asked[1].port = 4001;
        phase.asked[1].at_ms = 60_000.0;
        assert_eq!(phase.joined()[1].outcome, None);
    }

    #[test]
    fn a_kept_phase_reads_back() {
        let path = std::env::temp_dir().join(format!("weft-demo-record-{}", std::process::id()));
        phase().write(&path).unwrap();
        assert_eq!(Phase::read(&path).unwrap().joined().len(), 4);
        fs::remove_file(path).unwrap();
    }
}
