//! What is known of when a segment is called has its instance stand in time, with real containers, and outlives the agent.
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use weft::learn::store::{Item, Store};
use weft_models::policy::{Known, Learned};
use weft_models::timing::Rhythm;
use weft_tests::agent::{Agent, Segment};
use weft_tests::http::Request;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(120);
const SECOND_US: u64 = 1_000_000;
const PERIOD_US: u64 = 300 * SECOND_US;

/// A day of calls every five minutes, of which the next is due this far from now.
fn by_the_clock(segment: &str, due_us: u64) -> Result<Known> {
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let calls = 288;
    let first_us = now_us + due_us - calls * PERIOD_US;
    let mut rhythm = Rhythm::new(first_us);
    (1..calls).for_each(|nth| drop(rhythm.called(first_us + nth * PERIOD_US)));
    Ok(Known { segment: segment.to_owned(), calls, first_us, rhythm })
}

fn learned(agent: &Agent) -> Result<Learned> {
    let bytes = store(agent)?.read(Item::Policy)?.context("nothing is stored")?;
    Ok(Learned::from_bytes(&bytes)?)
}

fn store(agent: &Agent) -> Result<Store> {
    Ok(Store::open(&agent.state())?)
}

#[test]
fn what_is_due_by_the_clock_stands_before_it_is_called_and_nothing_else_does() -> Result<()> {
    let (due, never) = (Segment::new("due", "shop/cart:1"), Segment::new("never", "shop/cart:1"));
    let agent = Agent::builder("timing").fixture("shop/cart:1")?.segment(due).segment(never);
    let mut agent = agent.keep_alive(Duration::from_secs(10)).start()?;
    agent.terminate()?;
    // Half a minute is time enough to start and to see that nothing is made before it is due.
    let segments = vec![by_the_clock("due", 40 * SECOND_US)?, by_the_clock("gone", 40 * SECOND_US)?];
    store(&agent)?.write(Item::Policy, &Learned { segments, ..Learned::default() }.to_bytes()?)?;
    agent.start_again()?;
    let instances = |agent: &Agent| -> Result<Vec<serde_json::Value>> {
        Ok(agent.status()?["instances"].as_array().cloned().unwrap_or_default())
    };
    assert!(instances(&agent)?.is_empty(), "nothing is due yet");

    let stands = || instances(&agent).is_ok_and(|all| all.iter().any(|one| one["state"] == "ready"));
    wait_for("an instance to stand before its call", PATIENCE, stands)?;
    let all = instances(&agent)?;
    assert!(all.len() == 1 && all[0]["segment"] == "due" && all[0]["origin"] == "forecast", "{all:?}");
    assert_eq!(agent.caller()?.send(&Request::get(agent.address("due"), "/"))?.status, 200);
    let due = agent.segment_status("due")?;
    assert!(due["cold"] == 0 && due["failed"] == 0, "{due:#}");
    agent.terminate()?;

    let known = learned(&agent)?.segments;
    let calls: Vec<_> = known.iter().map(|known| (known.segment.as_str(), known.calls)).collect();
    assert_eq!(calls, [("due", 289)], "the call is known of, and who is not configured is forgotten");
    agent.stop()
}

#[test]
fn what_was_learned_and_is_damaged_is_said_and_learned_anew() -> Result<()> {
    let agent =
        Agent::builder("damaged").fixture("shop/cart:1")?.segment(Segment::new("cart", "shop/cart:1"));
    let mut agent = agent.start()?;
    agent.terminate()?;
    let mut bytes = learned(&agent)?.to_bytes()?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    store(&agent)?.write(Item::Policy, &bytes)?;
    agent.start_again()?;
    assert!(agent.log().contains("what hits and waste have taught cannot be read"), "{}", agent.log());
    assert_eq!(agent.caller()?.send(&Request::get(agent.address("cart"), "/"))?.status, 200);
    agent.terminate()?;
    learned(&agent)?;
    agent.stop()
}
