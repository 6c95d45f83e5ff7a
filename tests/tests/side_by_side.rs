//! What an agent shares: its containerd with another agent, its bridge with whoever made it. Neither disturbs the other.
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_tests::agent::{Agent, Segment};
use weft_tests::containerd::Unpack;
use weft_tests::http::Request;
use weft_tests::image::segment_image;
use weft_tests::load::{Load, Tally};
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);
const NAMESPACE: &str = "weft-other";

fn get(agent: &Agent) -> Request {
    Request::get(agent.address("cart"), "/").patience(PATIENCE)
}

/// The names of the agent's instances.
fn instances(agent: &Agent) -> Result<Vec<Value>> {
    let status = agent.status()?;
    Ok(status["instances"].as_array().into_iter().flatten().map(|one| one["name"].clone()).collect())
}

/// Everything that containerd holds for the other agent.
fn held_for_the_other(agent: &Agent) -> Result<Vec<String>> {
    let mut held = Vec::new();
    for listing in ["containers", "tasks", "leases"] {
        let names = agent.containerd()?.ctr(&["-n", NAMESPACE, listing, "ls", "-q"])?;
        held.extend(names.lines().map(|name| format!("{listing} {name}")));
    }
    let snapshots = agent.containerd()?.ctr(&["-n", NAMESPACE, "snapshots", "ls"])?;
    held.extend(snapshots.lines().filter(|line| line.trim_end().ends_with("Active")).map(str::to_owned));
    Ok(held)
}

fn assert_no_failures(tally: &Tally) {
    assert!(tally.failures.is_empty(), "{} of {}: {:?}", tally.failures.len(), tally.served, tally.failures);
}

#[test]
fn two_agents_on_one_containerd_take_nothing_from_each_other() -> Result<()> {
    let cart = || Segment::new("cart", "shop/cart:1");
    let shop = |name| Agent::builder(name).segment(cart()).keep_alive(Duration::from_secs(60));
    let mut one = shop("one").fixture("shop/cart:1")?.start()?;
    let archive = one.place().directory().join("other.tar");
    segment_image("shop/cart:1", one.cache())?.build(one.cache(), &archive)?;
    one.containerd()?.import(NAMESPACE, &archive, Unpack::Now)?;
    let mut other = shop("other").beside(one.containerd()?, NAMESPACE).start()?;
    for agent in [&one, &other] {
        assert_eq!(agent.caller()?.send(&get(agent))?.status, 200);
    }
    let (of_one, of_other) = (instances(&one)?, instances(&other)?);
    assert!(of_one.len() == 1 && of_other.len() == 1 && of_one != of_other, "{of_one:?} {of_other:?}");
    assert!(!held_for_the_other(&one)?.is_empty());

    // One dies and comes back, and then ends in good order and comes back: the other serves on with what it has.
    let load = Load::start(other.caller()?, &get(&other), 2);
    one.kill9()?;
    one.start_again()?;
    assert_eq!(instances(&one)?, of_one);
    one.restart()?;
    load.wait_for_more(20)?;
    assert_no_failures(&load.stop());
    assert_eq!(instances(&other)?, of_other);

    // The other ends, and takes all that is its own with it and nothing else.
    assert_eq!(one.caller()?.send(&get(&one))?.status, 200);
    let (of_one, load) = (instances(&one)?, Load::start(one.caller()?, &get(&one), 2));
    other.terminate()?;
    assert_eq!(held_for_the_other(&one)?, Vec::<String>::new());
    assert_eq!(other.remains()?, Vec::<String>::new());
    load.wait_for_more(20)?;
    assert_no_failures(&load.stop());
    assert_eq!(instances(&one)?, of_one);
    assert_eq!(one.orphans()?, Vec::<String>::new());
    other.stop()?;
    one.stop()
}

fn ip(words: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(words).output().context("start ip (apt-get install iproute2)")?;
    ensure!(output.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_bridge_that_somebody_else_made_is_used_and_stays() -> Result<()> {
    let builder =
        Agent::builder("bridge").fixture("shop/cart:1")?.segment(Segment::new("cart", "shop/cart:1"));
    let mut agent = builder.start()?;
    let bridge = agent.place().bridge();
    agent.terminate()?;
    assert!(ip(&["link", "show", &bridge]).is_err(), "its own bridge is still there");
    ip(&["link", "add", &bridge, "type", "bridge"])?;
    // Of two links of one name the number tells which it is.
    let number =
        || Ok::<_, anyhow::Error>(ip(&["link", "show", &bridge])?.split(':').next().map(str::to_owned));
    let before = number()?;
    agent.start_again()?;
    assert_eq!(agent.caller()?.send(&get(&agent))?.status, 200);
    assert!(ip(&["link", "show", "master", &bridge])?.contains("weft"), "the instance is on no bridge");
    agent.terminate()?;
    assert_eq!(number()?, before, "it is another one");
    assert_eq!(ip(&["link", "show", "master", &bridge])?, "", "something of weft's is still on it");
    assert_eq!(ip(&["-4", "address", "show", &bridge])?, "", "it has weft's address still");
    agent.stop()
}

#[test]
fn a_link_that_is_no_bridge_is_refused_and_left_as_it_is() -> Result<()> {
    let mut agent = Agent::builder("link").start()?;
    let bridge = agent.place().bridge();
    agent.terminate()?;
    ip(&["link", "add", &bridge, "type", "veth"])?;
    let refused = agent.start_again();
    let left = ip(&["-4", "address", "show", &bridge])?;
    ip(&["link", "delete", &bridge])?;
    let refused = format!("{:#}", refused.err().context("it was taken for a bridge")?);
    assert!(refused.contains(&format!("`{bridge}` is no bridge")), "{refused}");
    assert_eq!(left, "");
    Ok(())
}

#[test]
fn who_finds_no_address_left_is_told_so_and_served_when_one_is_free() -> Result<()> {
    let names: Vec<String> = (0..6).map(|index| format!("s{index}")).collect();
    let builder = Agent::builder("addresses").prefix(29).weave(false).keep_alive(Duration::from_secs(60));
    let builder = builder.fixture("shop/any:1")?;
    let agent = names
        .iter()
        .fold(builder, |builder, name| builder.segment(Segment::new(name, "shop/any:1")))
        .start()?;
    let caller = agent.caller()?;
    let ask =
        |name: &str, path: &str| caller.send(&Request::get(agent.address(name), path).patience(PATIENCE));
    // Six at once for five addresses.
    let replies: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = names.iter().map(|name| scope.spawn(|| ask(name, "/"))).collect();
        asked.into_iter().map(|asked| asked.join().expect("no panic")).collect::<Result<_>>()
    })?;
    let (served, refused): (Vec<_>, Vec<_>) =
        names.iter().zip(&replies).partition(|(_, reply)| reply.status == 200);
    let [(unlucky, reply)] = refused[..] else { panic!("{} were refused: {refused:?}", refused.len()) };
    assert!(reply.status == 503 && reply.body.contains("all 5 addresses"), "{reply:?}");
    assert!(reply.header("Retry-After").is_some(), "{reply:?}");
    assert!(ask(served[0].0, "/end/0").is_err());
    wait_for("the one left over to be served", PATIENCE, || {
        ask(unlucky, "/").is_ok_and(|reply| reply.status == 200)
    })?;
    assert_eq!(ask(served[0].0, "/")?.status, 503);
    for (name, _) in &served[1..] {
        let reply = ask(name, "/")?;
        assert!(reply.status == 200 && reply.body.contains("\"requests\":2,"), "{name}: {reply:?}");
    }
    assert_eq!(agent.orphans()?, Vec::<String>::new());
    agent.stop()
}
