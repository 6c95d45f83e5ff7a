//! An agent that ends in good order: work in flight ends well, and nothing is left; what does not end is left to the
//! next agent, with the connection it has.
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::http::Request;
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);

fn shop(name: &str) -> Result<Builder> {
    let cache = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images");
    let image = segment_image("shop/drain:1", &cache)?;
    Ok(Agent::builder(name).image(image).segment(Segment::new("cart", "shop/drain:1")))
}

fn at_work(agent: &Agent) -> bool {
    let connections = |status: serde_json::Value| status["instances"][0]["open_connections"].as_u64();
    agent.status().ok().and_then(connections).is_some_and(|open| open > 0)
}

/// A request that keeps an instance at work for so long, on a connection straight to it.
fn at_work_for(agent: &Agent, ms: u64) -> Request {
    Request::get(agent.address("cart"), &format!("/busy/{ms}"))
}

#[test]
fn a_request_that_is_under_way_ends_well_and_then_everything_goes() -> Result<()> {
    let mut agent = shop("ends")?.start()?;
    let caller = agent.caller()?;
    caller.get(agent.address("cart"), "/", "ann")?;
    let request = at_work_for(&agent, 1_500);
    thread::scope(|scope| -> Result<()> {
        let asked = scope.spawn(|| caller.send(&request));
        wait_for("the request to be under way", PATIENCE, || at_work(&agent))?;
        agent.drain()?;
        let reply = asked.join().ok().context("the caller's thread")??;
        assert_eq!(reply.status, 200);
        Ok(())
    })?;
    agent.stop()
}

#[test]
fn an_instance_that_works_on_past_the_grace_is_left_to_the_next_agent() -> Result<()> {
    let mut agent = shop("grace")?.drain(Duration::from_millis(200)).start()?;
    left_to_the_next(&mut agent, |agent| agent.terminate())
}

#[test]
fn a_second_signal_ends_the_wait_for_instances_that_work_on() -> Result<()> {
    let mut agent = shop("twice")?.start()?;
    left_to_the_next(&mut agent, |agent| {
        agent.signal(Signal::TERM)?;
        let draining = || agent.log_tail().contains("draining");
        wait_for("the agent to drain", PATIENCE, draining)?;
        agent.terminate()
    })
}

/// Ends the agent while its instance is at work; the next one takes the instance over, and the work ends well.
fn left_to_the_next(agent: &mut Agent, end: impl FnOnce(&mut Agent) -> Result<()>) -> Result<()> {
    let caller = agent.caller()?;
    caller.get(agent.address("cart"), "/", "ann")?;
    let request = at_work_for(agent, 6_000);
    thread::scope(|scope| {
        let asked = scope.spawn(|| caller.send(&request));
        wait_for("the request to be under way", PATIENCE, || at_work(agent))?;
        end(agent)?;
        agent.start_again()?;
        assert_eq!(agent.status()?["instances"][0]["origin"], "adopted");
        let reply = asked.join().ok().context("the caller's thread")??;
        assert_eq!(reply.status, 200);
        agent.terminate()
    })
}
