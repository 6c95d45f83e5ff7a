//! What hits need: an agent that has learned. In: two segments. Out: a model that forecasts the second when the first
//! is asked for. Nothing is given to the agent but requests: users ask for the one and, a moment later, mostly for the
//! other. Refuses to go on for longer than [`PATIENCE`].
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use weft_tests::agent::Agent;
use weft_tests::caller::Caller;

use super::Bench;
use super::hit::{FIRST, SECOND};

/// What passes between the two requests of a session: a busy machine makes a container in it.
pub(super) const MOMENT: Duration = Duration::from_millis(1_000);
const PATIENCE: Duration = Duration::from_secs(240);
/// How often the agent is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Users at a time.
const USERS: u64 = 12;
/// Of so many sessions, one looks at the first page again instead: what always comes true teaches nothing.
const STRAYS: u64 = 6;
/// Requests that may fail before something is taken to be wrong.
const FAILURES_MAX: u64 = 20;

/// Lets users come until the agent forecasts. Returns the lessons of its model.
///
/// # Errors
/// When it does not in time, or requests fail.
pub(super) fn train(agent: &Agent, caller: &Caller, bench: &mut Bench) -> Result<u64> {
    let (over, failed) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for user in 0..USERS {
            let (over, failed) = (&over, &failed);
            scope.spawn(move || {
                let mut session = 0;
                while !over.load(Ordering::Relaxed) {
                    if play(agent, caller, user, session).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    session += 1;
                }
            });
        }
        let learned = watch(agent, bench, &failed);
        over.store(true, Ordering::Relaxed);
        learned
    })
}

/// One session. Each has a user of its own, so that its end is not the beginning of another.
fn play(agent: &Agent, caller: &Caller, user: u64, session: u64) -> Result<()> {
    let token = format!("user-{user}-{session}");
    caller.get(agent.address(FIRST), "/", &token)?;
    // A user's pause, and not two users' the same.
    thread::sleep(MOMENT.mul_f64(0.9 + 0.2 * (user as f64 / USERS as f64)));
    let next = if (user + session).is_multiple_of(STRAYS) { FIRST } else { SECOND };
    caller.get(agent.address(next), "/", &token).map(drop)
}

fn watch(agent: &Agent, bench: &mut Bench, failed: &AtomicU64) -> Result<u64> {
    let begun = Instant::now();
    loop {
        bench.stop.check()?;
        let failed = failed.load(Ordering::Relaxed);
        ensure!(
            failed <= FAILURES_MAX,
            "{failed} requests failed while the agent learned:\n{}",
            agent.log_tail()
        );
        ensure!(
            begun.elapsed() < PATIENCE,
            "the agent has not learned within {PATIENCE:?}:\n{}",
            agent.log_tail()
        );
        let rows = agent.status()?["model_rows"].as_u64().unwrap_or(0);
        if rows > 0 && forecasts_second(&agent.forecasts()?) {
            return Ok(rows);
        }
        bench.progress.round(&format!("model of {rows} lessons after {:.0?}", begun.elapsed()));
        thread::sleep(LOOK_EVERY);
    }
}

/// Whether the latest forecast from the first segment names the second.
fn forecasts_second(reply: &Value) -> bool {
    let mut forecasts = reply["forecasts"].as_array().into_iter().flatten();
    let latest = forecasts.rfind(|forecast| forecast["trigger"] == FIRST);
    let path = latest.and_then(|forecast| forecast["path"].as_array()).into_iter().flatten();
    path.into_iter().any(|step| step["segment"] == SECOND)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_latest_forecast_from_the_first_segment_counts() {
        let forecast =
            |trigger: &str, segment: &str| json!({ "trigger": trigger, "path": [{ "segment": segment }] });
        let reply = |forecasts: Vec<Value>| json!({ "forecasts": forecasts });
        assert!(forecasts_second(&reply(vec![forecast(FIRST, SECOND), forecast(SECOND, FIRST)])));
        assert!(!forecasts_second(&reply(vec![forecast(FIRST, SECOND), forecast(FIRST, FIRST)])));
        assert!(!forecasts_second(&reply(vec![])));
    }
}
