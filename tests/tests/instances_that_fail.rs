//! Instances that fail: an image that is not there, a program that ends, hangs, listens elsewhere, eats memory or dies at
//! work. The caller is told why and when to come again; the next attempt waits longer; success ends that.
use std::time::{Duration, Instant};

use anyhow::Result;
use weft_tests::agent::{Agent, Segment};
use weft_tests::containerd::Unpack;
use weft_tests::http::Reply;
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);

fn one(name: &str, cart: impl FnOnce(Segment) -> Segment) -> Result<Agent> {
    let cart = cart(Segment::new("cart", "shop/cart:1"));
    Agent::builder(name).fixture("shop/cart:1")?.segment(cart).start()
}

fn ask(agent: &Agent, path: &str) -> Result<Reply> {
    agent.caller()?.get(agent.address("cart"), path, "ann")
}

/// The status of the only segment.
fn cart(agent: &Agent) -> Result<serde_json::Value> {
    Ok(agent.status()?["segments"][0].clone())
}

fn wait_for_the_next_attempt(agent: &Agent) -> Result<()> {
    wait_for("the end of the pause", PATIENCE, || cart(agent).is_ok_and(|cart| cart["retry_in_ms"] == 0))
}

/// A refusal that names the segment and the cause, and says when to come again.
fn assert_refused(reply: &Reply, cause: &str) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("segment cart") && reply.body.contains(cause), "{reply:?}");
    let seconds = reply.header("Retry-After").and_then(|value| value.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{reply:?}");
}

#[test]
fn an_image_that_is_not_there_is_told_at_once_and_taken_as_soon_as_it_is() -> Result<()> {
    let agent = Agent::builder("absent").segment(Segment::new("cart", "shop/cart:1")).start()?;
    let told = |text: &str| text.contains("shop/cart:1") && text.contains("import or pull it");
    wait_for("a warning", PATIENCE, || told(&agent.log()))?;
    let cause = "image `shop/cart:1` is not in containerd's namespace `weft`; import or pull it there";
    assert_refused(&ask(&agent, "/")?, cause);
    assert!(told(cart(&agent)?["trouble"].as_str().unwrap_or_default()), "{}", cart(&agent)?);
    assert!(told(&agent.weft(&["status"])?), "the table does not show the trouble");
    agent.import_later(&segment_image("shop/cart:1", agent.cache())?, Unpack::Now)?;
    wait_for_the_next_attempt(&agent)?;
    assert_eq!(ask(&agent, "/")?.status, 200);
    assert_eq!(cart(&agent)?["trouble"], "", "success did not end the trouble");
    agent.stop()
}

#[test]
fn one_that_exits_at_once_is_told_at_once_with_its_status_and_tried_less_and_less() -> Result<()> {
    let agent = one("exits", |cart| cart.env("EXIT_AT_ONCE", "7"))?;
    let mut pauses = Vec::new();
    for failures in 1..=3 {
        wait_for_the_next_attempt(&agent)?;
        let reply = ask(&agent, "/")?;
        assert_refused(&reply, "its program ended with status 7");
        assert!(reply.whole < Duration::from_secs(10), "{reply:?} took as long as a start may");
        let cart = cart(&agent)?;
        let trouble = cart["trouble"].as_str().unwrap_or_default();
        assert!(
            trouble.starts_with(&format!("{failures} failures")) && trouble.contains("status 7"),
            "{trouble}"
        );
        pauses.push(cart["retry_in_ms"].as_u64().unwrap_or_default());
        // Until then nothing is tried, and nobody waits.
        assert!(ask(&agent, "/")?.first_byte < Duration::from_secs(1));
    }
    assert!(pauses[0] < pauses[1] && pauses[1] < pauses[2], "{pauses:?} do not grow");
    agent.stop()
}

#[test]
fn one_that_never_listens_is_given_up_after_its_start_timeout() -> Result<()> {
    let agent = one("deaf", |cart| cart.env("NEVER_LISTEN", "1").start_timeout(Duration::from_secs(2)))?;
    let reply = ask(&agent, "/")?;
    assert_refused(&reply, "2000 ms");
    let late = Duration::from_secs(2)..Duration::from_secs(3);
    assert!(late.contains(&reply.whole), "{reply:?} is not within a second of the start timeout");
    assert!(cart(&agent)?["trouble"].as_str().is_some_and(|trouble| trouble.contains("did not listen")));
    wait_for("its removal", PATIENCE, || agent.traces().is_ok_and(|traces| traces.is_empty()))?;
    agent.stop()
}

#[test]
fn one_that_listens_on_another_port_alone_is_not_taken_for_ready() -> Result<()> {
    let agent = one("elsewhere", |cart| cart.env("PORT", "9090").start_timeout(Duration::from_secs(2)))?;
    assert_refused(&ask(&agent, "/")?, "2000 ms");
    assert!(cart(&agent)?["trouble"].as_str().is_some_and(|trouble| trouble.contains("did not listen")));
    agent.stop()
}

#[test]
fn one_that_dies_at_work_is_replaced_at_the_next_request() -> Result<()> {
    let agent = one("dies", |cart| cart)?;
    assert_eq!(ask(&agent, "/")?.status, 200);
    let first = agent.status()?["instances"][0]["name"].clone();
    assert!(ask(&agent, "/end/3").is_err(), "a program that ended has answered");
    let stands = || agent.status().is_ok_and(|status| status["instances"][0]["name"] == first);
    wait_for("its end to be noticed", PATIENCE, || !stands())?;
    let reply = ask(&agent, "/")?;
    assert!(reply.status == 200 && reply.body.contains("\"requests\":1,"), "{reply:?}");
    assert_eq!(cart(&agent)?["trouble"], "", "one that had worked is no trouble");
    wait_for("its removal", PATIENCE, || agent.orphans().is_ok_and(|left| left.is_empty()))?;
    agent.stop()
}

#[test]
fn one_that_needs_more_memory_than_it_may_have_is_named_as_such() -> Result<()> {
    let agent = one("hungry", |cart| cart.env("ALLOC_MB", "200").limits(32, 1.0))?;
    for _ in 0..3 {
        wait_for_the_next_attempt(&agent)?;
        assert_refused(&ask(&agent, "/")?, "ran out of memory");
    }
    agent.stop()
}

#[test]
fn an_image_that_names_no_program_or_a_missing_one_is_refused_with_the_cause() -> Result<()> {
    let cache = Agent::builder("image").cache_path().to_owned();
    let fixture = segment_image("shop/none:1", &cache)?;
    let images = [
        (fixture.clone().entrypoint(&[]), "none", "names no program"),
        (fixture.clone().named("shop/lost:1").entrypoint(&["/lost"]), "lost", "/lost"),
        (fixture.named("shop/user:1").user("node"), "user", "`node` is no number"),
    ];
    let mut builder = Agent::builder("image");
    for (image, name, _) in &images {
        builder = builder.image(image.clone()).segment(Segment::new(name, &format!("shop/{name}:1")));
    }
    let agent = builder.start()?;
    for (_, name, cause) in &images {
        let begun = Instant::now();
        let reply = agent.caller()?.get(agent.address(name), "/", "ann")?;
        assert!(reply.status == 503 && reply.body.contains(cause), "{reply:?} does not say {cause}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{name} was waited for");
    }
    wait_for("the removal of all", PATIENCE, || agent.traces().is_ok_and(|traces| traces.is_empty()))?;
    agent.stop()
}
