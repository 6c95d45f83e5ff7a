//! containerd is not there: at the agent's start, for a while, in the middle of a creation, or when a program dies. What
//! stands serves on, who needs a new instance waits, and nothing is left lying about afterwards.
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::http::Request;
use weft_tests::load::Load;
use weft_tests::wait::{let_pass, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);

fn shop(name: &str, segments: &[&str]) -> Result<Builder> {
    let builder = Agent::builder(name).fixture("shop/any:1")?.keep_alive(Duration::from_secs(60));
    Ok(segments.iter().fold(builder, |builder, name| builder.segment(Segment::new(name, "shop/any:1"))))
}

/// An agent that was started while its containerd is away.
fn started_without(mut agent: Agent) -> Result<Agent> {
    agent.containerd_mut()?.kill9()?;
    agent.start_again()?;
    assert_eq!(agent.status()?["containerd"], false);
    assert!(agent.weft(&["status"])?.contains("containerd DOES NOT ANSWER"));
    Ok(agent)
}

fn get(agent: &Agent, segment: &str) -> Request {
    Request::get(agent.address(segment), "/").patience(PATIENCE)
}

fn waits(agent: &Agent, segment: usize) -> bool {
    agent.status().is_ok_and(|status| status["segments"][segment]["waiting"] == 1)
}

fn instance(agent: &Agent) -> Result<Value> {
    Ok(agent.status()?["instances"][0].clone())
}

fn instance_of(agent: &Agent, origin: &str) -> Result<Value> {
    let status = agent.status()?;
    let mut instances = status["instances"].as_array().into_iter().flatten();
    let found = instances.find(|instance| instance["origin"] == origin);
    Ok(found.with_context(|| format!("none is {origin}: {status}"))?.clone())
}

fn assert_nothing_astray(agent: &Agent) -> Result<()> {
    wait_for("the removal of what belongs to nobody", PATIENCE, || {
        agent.orphans().is_ok_and(|orphans| orphans.is_empty())
    })
    .map_err(|error| error.context(format!("{:?}", agent.orphans())))
}

#[test]
fn requests_wait_for_a_containerd_that_comes_late_and_are_served() -> Result<()> {
    let mut agent = shop("late", &["cart"])?.start()?;
    agent.terminate()?;
    let mut agent = started_without(agent)?;
    let (caller, request) = (agent.caller()?, get(&agent, "cart"));
    let reply = thread::scope(|scope| {
        let asked = scope.spawn(|| caller.send(&request));
        wait_for("the request to wait", PATIENCE, || waits(&agent, 0))?;
        agent.containerd_mut()?.start_again()?;
        asked.join().expect("the thread does not panic")
    })?;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!agent.log().contains("cannot be made"), "an image was missed that nobody could look for");
    wait_for("containerd's return to be shown", PATIENCE, || {
        agent.status().is_ok_and(|status| status["containerd"] == true)
    })?;
    agent.stop()
}

#[test]
fn without_containerd_a_caller_is_told_so_after_the_start_timeout() -> Result<()> {
    let cart = Segment::new("cart", "shop/any:1").start_timeout(Duration::from_secs(1));
    let mut agent = shop("never", &[])?.segment(cart).start()?;
    agent.terminate()?;
    let agent = started_without(agent)?;
    let reply = agent.caller()?.send(&get(&agent, "cart"))?;
    assert!(reply.status == 503 && reply.header("Retry-After").is_some(), "{reply:?}");
    assert!(reply.body.contains("containerd"), "{reply:?}");
    assert!((900..2_000).contains(&reply.whole.as_millis()), "{reply:?}");
    agent.stop()
}

#[test]
fn instances_from_before_are_taken_over_when_containerd_comes_late() -> Result<()> {
    let mut agent = shop("adopt", &["cart"])?.start()?;
    let caller = agent.caller()?;
    let first = caller.send(&get(&agent, "cart"))?;
    agent.kill9()?;
    let mut agent = started_without(agent)?;
    let request = get(&agent, "cart");
    let second = thread::scope(|scope| {
        let asked = scope.spawn(|| caller.send(&request));
        wait_for("the request to wait", PATIENCE, || waits(&agent, 0))?;
        agent.containerd_mut()?.start_again()?;
        asked.join().expect("the thread does not panic")
    })?;
    assert_eq!(instance_of(&agent, "adopted")?["uses"], 1);
    assert!(first.body.contains("\"requests\":1,") && second.body.contains("\"requests\":2,"), "{second:?}");
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn a_restart_or_a_kill_under_load_fails_no_request_and_new_instances_are_made_after() -> Result<()> {
    let mut agent = shop("load", &["cart", "price", "stock"])?.start()?;
    agent.caller()?.send(&get(&agent, "cart"))?;
    let load = Load::start(agent.caller()?, &get(&agent, "cart"), 2);
    load.wait_for_more(50)?;
    agent.containerd_mut()?.restart()?;
    assert_eq!(agent.caller()?.send(&get(&agent, "price"))?.status, 200);
    agent.containerd_mut()?.kill9()?;
    load.wait_for_more(50)?;
    agent.containerd_mut()?.start_again()?;
    assert_eq!(agent.caller()?.send(&get(&agent, "stock"))?.status, 200);
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{} of {}: {:?}", tally.failures.len(), tally.served, tally.failures);
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn a_creation_that_loses_containerd_at_any_moment_succeeds_when_it_is_back() -> Result<()> {
    let segments = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
    let mut agent = shop("midway", &segments)?.start()?;
    let caller = agent.caller()?;
    for (index, segment) in segments.iter().enumerate() {
        let request = get(&agent, segment);
        let reply = thread::scope(|scope| {
            let asked = scope.spawn(|| caller.send(&request));
            // From before the lease to after the start of the program.
            let_pass(Duration::from_millis(20 * index as u64));
            agent.containerd_mut()?.kill9()?;
            agent.containerd_mut()?.start_again()?;
            asked.join().expect("the thread does not panic")
        })?;
        assert_eq!(reply.status, 200, "{segment}: {reply:?}\n{}", agent.log_tail());
    }
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn a_program_that_dies_while_containerd_is_away_is_noticed_and_replaced() -> Result<()> {
    let mut agent = shop("dies", &["cart"])?.start()?;
    let caller = agent.caller()?;
    caller.send(&get(&agent, "cart"))?;
    let first = instance(&agent)?["name"].clone();
    agent.containerd_mut()?.kill9()?;
    let end = Request::get(agent.address("cart"), "/end/3");
    assert!(caller.send(&end).is_err(), "a program that ended has answered");
    wait_for("its end to be noticed", Duration::from_secs(5), || {
        instance(&agent).is_ok_and(|instance| instance["name"] != first || instance["state"] == "gone")
    })?;
    let request = get(&agent, "cart");
    let reply = thread::scope(|scope| {
        let asked = scope.spawn(|| caller.send(&request));
        wait_for("the request to wait", PATIENCE, || waits(&agent, 0))?;
        agent.containerd_mut()?.start_again()?;
        asked.join().expect("the thread does not panic")
    })?;
    assert!(reply.status == 200 && reply.body.contains("\"requests\":1,"), "{reply:?}");
    assert_nothing_astray(&agent)?;
    agent.stop()
}
