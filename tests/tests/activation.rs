//! Requests that find no instance: they are held until there is one, and lose nothing by it.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use weft_tests::agent::{Agent, Builder, Segment, Watch};
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

const SOON: Duration = Duration::from_secs(90);

#[test]
fn a_cold_request_is_held_served_and_counted_once() -> Result<()> {
    let agent = builder("cold", |segment| segment)?.start()?;
    let (caller, watch) = (agent.caller()?, agent.watch()?);
    let reply = caller.get(agent.address("cart"), "/cold", "ann")?;
    assert_eq!(reply.status, 200);
    let line = watch.request("/cold")?;
    assert_eq!(line["outcome"], "cold");
    let held = line["wait_ms"].as_f64().context("a time")?;
    assert!(
        held > 0.0 && held <= reply.first_byte.as_secs_f64() * 1000.0,
        "{held} ms, {:?}",
        reply.first_byte
    );
    caller.get(agent.address("cart"), "/warm", "ann")?;
    assert_eq!(watch.request("/warm")?["outcome"], "warm");
    let counted: Vec<_> = watch.requests().iter().map(|line| line["path"].clone()).collect();
    assert_eq!(counted, ["/cold", "/warm"]);
    let status = agent.status()?;
    assert_eq!((&status["segments"][0]["cold"], &status["segments"][0]["warm"]), (&1.into(), &1.into()));
    agent.stop()
}

#[test]
fn fifty_first_requests_make_what_the_concurrency_calls_for_and_are_all_answered() -> Result<()> {
    // Slow to listen and slower to answer, so that all are there before the first instance is, and stay until the last is,
    // on a busy node too.
    let slow = |segment: Segment| {
        segment.concurrency(16).env("LISTEN_AFTER_MS", "4000").env("REPLY_DELAY_MS", "6000")
    };
    let agent = builder("fifty", slow)?.start()?;
    let (caller, watch) = (agent.caller()?, agent.watch()?);
    let address = agent.address("cart");
    std::thread::scope(|scope| {
        let ask = |user: u32| {
            let caller = &caller;
            scope.spawn(move || caller.get(address, &format!("/{user}"), &user.to_string()))
        };
        let asked: Vec<_> = (0..50).map(ask).collect();
        for reply in asked {
            assert_eq!(reply.join().expect("no panic")?.status, 200);
        }
        anyhow::Ok(())
    })?;
    wait_for("all to be told", SOON, || watch.requests().len() == 50)?;
    assert_eq!(instances_made(&watch), 4);
    for instance in agent.status()?["instances"].as_array().context("instances")? {
        let served = watch.requests().iter().filter(|line| line["instance"] == instance["name"]).count();
        assert!(served <= 16, "{} had {served} at once", instance["name"]);
    }
    assert_eq!(agent.status()?["segments"][0]["cold"], 50);
    agent.stop()
}

#[test]
fn a_mebibyte_passes_both_ways_intact_cold_and_warm() -> Result<()> {
    let agent = builder("mebibyte", |segment| segment)?.start()?;
    let body: Vec<u8> = (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in ["cold", "warm"] {
        let mut wire = agent.dial(agent.address("cart"))?;
        let head = format!("POST /echo HTTP/1.1\r\nHost: cart\r\nContent-Length: {}\r\n\r\n", body.len());
        wire.send(head.as_bytes())?;
        wire.send(&body)?;
        let answer = wire.answer()?;
        assert!(answer.body == body, "{} bytes came back, not all as they were sent", answer.body.len());
    }
    agent.stop()
}

#[test]
fn a_caller_that_has_said_all_still_hears_the_answer_cold_and_warm() -> Result<()> {
    let agent = builder("half", |segment| segment)?.start()?;
    for _ in ["cold", "warm"] {
        let mut wire = agent.dial(agent.address("cart"))?;
        wire.send(b"GET /half HTTP/1.1\r\nHost: cart\r\n\r\n")?;
        wire.half_close()?;
        assert_eq!(wire.answer()?.json()?["target"], "/half");
    }
    agent.stop()
}

#[test]
fn callers_that_hang_up_while_they_wait_do_not_break_the_others() -> Result<()> {
    let agent =
        builder("hang-up", |segment| segment.concurrency(2).env("LISTEN_AFTER_MS", "2500"))?.start()?;
    let watch = agent.watch()?;
    let request = b"GET /stays HTTP/1.1\r\nHost: cart\r\n\r\n";
    let gone_silent = agent.dial(agent.address("cart"))?;
    let mut stays = agent.dial(agent.address("cart"))?;
    let mut gone_after_asking = agent.dial(agent.address("cart"))?;
    stays.send(request)?;
    gone_after_asking.send(b"GET /gone HTTP/1.1\r\nHost: cart\r\n\r\n")?;
    let waiting = |count: u32| agent.status().is_ok_and(|status| status["segments"][0]["waiting"] == count);
    wait_for("all to wait", SOON, || waiting(3))?;
    drop((gone_silent, gone_after_asking));
    // One that has asked and hung up looks like one that has said all: its answer is made and goes nowhere.
    wait_for("the one that asked nothing to be let go", SOON, || waiting(2))?;
    assert_eq!(stays.answer()?.json()?["target"], "/stays");
    assert_eq!(agent.dial(agent.address("cart"))?.ask("/next")?.status, 200);
    watch.request("/next")?;
    drop(stays);
    agent.stop()
}

fn builder(name: &str, change: impl FnOnce(Segment) -> Segment) -> Result<Builder> {
    let image =
        segment_image("shop/cart:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))?;
    Ok(Agent::builder(name).image(image).segment(change(Segment::new("cart", "shop/cart:1"))))
}

fn instances_made(watch: &Watch) -> usize {
    let lines = watch.lines();
    lines.iter().filter(|line| line["kind"] == "instance" && line["state"] == "creating").count()
}
