//! The agent is killed: under load, with connections open, in the middle of a creation or of an unpacking, and containerd
//! with it. Traffic goes on as if it were not installed, and the next agent takes over what serves and clears the rest.
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use weft_tests::agent::{Agent, Builder, Segment, Signal};
use weft_tests::containerd::Unpack;
use weft_tests::http::Request;
use weft_tests::image::segment_image;
use weft_tests::load::Load;
use weft_tests::ordinary::{ORDINARY, ordinary_service};
use weft_tests::wait::{let_pass, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);
/// Within this time an agent takes over what it finds.
const TAKE_OVER: Duration = Duration::from_secs(5);

fn shop(name: &str, segments: &[&str]) -> Result<Builder> {
    let builder = Agent::builder(name).fixture("shop/any:1")?.keep_alive(Duration::from_secs(60));
    Ok(segments.iter().fold(builder, |builder, name| builder.segment(Segment::new(name, "shop/any:1"))))
}

fn get(agent: &Agent, segment: &str) -> Request {
    Request::get(agent.address(segment), "/").patience(PATIENCE)
}

fn instances(agent: &Agent) -> Result<Vec<Value>> {
    Ok(agent.status()?["instances"].as_array().context("a list of instances")?.clone())
}

/// The segments of the instances that were taken over.
fn adopted(agent: &Agent) -> Result<Vec<String>> {
    let mut all = instances(agent)?;
    all.retain(|instance| instance["origin"] == "adopted");
    Ok(all.iter().map(|instance| instance["segment"].as_str().unwrap_or_default().to_owned()).collect())
}

fn signal_all(processes: &[Pid], signal: Signal) -> Result<()> {
    processes.iter().try_for_each(|process| Ok(kill_process(*process, signal)?))
}

/// An agent is ready before containerd has listed what stands, if that takes its time.
fn assert_taken_over(agent: &Agent, segments: &[&str]) -> Result<()> {
    wait_for("the instances from before to be taken over", PATIENCE, || {
        adopted(agent).is_ok_and(|adopted| adopted == segments)
    })
    .map_err(|error| error.context(format!("{:?}\n{}", adopted(agent), agent.log_tail())))
}

fn assert_nothing_astray(agent: &Agent) -> Result<()> {
    wait_for("the removal of what belongs to nobody", PATIENCE, || {
        agent.orphans().is_ok_and(|orphans| orphans.is_empty())
    })
    .map_err(|error| error.context(format!("{:?}", agent.orphans())))
}

#[test]
fn a_kill_under_load_fails_no_request_and_the_next_agent_takes_over() -> Result<()> {
    let service = ordinary_service()?;
    let cart = Segment::new("cart", "shop/any:1").address(service);
    let mut agent = shop("load", &[])?.segment(cart).start()?;
    let (caller, request) = (agent.caller()?, get(&agent, "cart"));
    assert_ne!(caller.send(&request)?.body, ORDINARY);
    let load = Load::start(agent.caller()?, &request, 3);
    load.wait_for_more(50)?;
    agent.kill9()?;
    assert_eq!(caller.send(&request)?.body, ORDINARY, "the first dial after the kill is still redirected");
    load.wait_for_more(50)?;
    agent.start_again()?;
    wait_for("the instance to serve again", TAKE_OVER, || {
        caller.send(&request).is_ok_and(|reply| reply.status == 200 && reply.body != ORDINARY)
    })?;
    assert_taken_over(&agent, &["cart"])?;
    load.wait_for_more(50)?;
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{} of {}: {:?}", tally.failures.len(), tally.served, tally.failures);
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn instances_that_the_configuration_no_longer_has_are_removed_and_the_others_kept() -> Result<()> {
    let changed = ["image", "env", "limits"];
    let all = ["kept", "dropped", changed[0], changed[1], changed[2]];
    let mut agent = shop("config", &all)?.fixture("shop/any:2")?.start()?;
    let caller = agent.caller()?;
    for segment in all {
        assert_eq!(caller.send(&get(&agent, segment))?.status, 200);
    }
    agent.kill9()?;
    agent.configure(|builder| {
        let builder = ["dropped"].iter().chain(&changed).fold(builder, |builder, name| builder.without(name));
        let builder = builder.segment(Segment::new("image", "shop/any:2"));
        let builder = builder.segment(Segment::new("env", "shop/any:1").env("MODE", "other"));
        builder.segment(Segment::new("limits", "shop/any:1").limits(96, 0.7))
    });
    agent.start_again()?;
    assert_taken_over(&agent, &["kept"])?;
    assert_nothing_astray(&agent)?;
    for segment in changed {
        let reply = caller.send(&get(&agent, segment))?;
        assert!(reply.status == 200 && reply.body.contains("\"requests\":1,"), "{segment}: {reply:?}");
    }
    agent.stop()
}

#[test]
fn an_instance_whose_shim_is_slow_to_answer_is_taken_over_all_the_same() -> Result<()> {
    let mut agent = shop("slow", &["cart"])?.start()?;
    let caller = agent.caller()?;
    assert_eq!(caller.send(&get(&agent, "cart"))?.status, 200);
    agent.kill9()?;
    let shims = agent.shims();
    assert_eq!(shims.len(), 1);
    signal_all(&shims, Signal::STOP)?;
    thread::scope(|scope| {
        // containerd waits for two seconds, and then says that it does not know.
        let awake = scope.spawn(|| {
            let_pass(Duration::from_secs(4));
            signal_all(&shims, Signal::CONT)
        });
        agent.start_again()?;
        awake.join().ok().context("the thread that wakes the shim")?
    })?;
    assert_taken_over(&agent, &["cart"])?;
    assert!(caller.send(&get(&agent, "cart"))?.body.contains("\"requests\":2,"));
    agent.stop()
}

#[test]
fn a_connection_from_before_holds_its_instance_beyond_its_keep_alive() -> Result<()> {
    let mut agent = shop("long", &["cart"])?.keep_alive(Duration::from_secs(1)).start()?;
    agent.caller()?.send(&get(&agent, "cart"))?;
    let mut wire = agent.dial(agent.address("cart"))?;
    assert_eq!(wire.ask("/")?.status, 200);
    agent.kill9()?;
    agent.start_again()?;
    assert_taken_over(&agent, &["cart"])?;
    wait_for("several times its keep-alive", PATIENCE, || {
        instances(&agent).is_ok_and(|all| all.first().is_none_or(|one| one["age_ms"].as_u64() > Some(4_000)))
    })?;
    assert_eq!(wire.ask("/").context("the connection from before was cut")?.status, 200);
    drop(wire);
    wait_for("its end", PATIENCE, || instances(&agent).is_ok_and(|all| all.is_empty()))?;
    agent.stop()
}

#[test]
fn a_kill_at_any_moment_of_a_creation_leaves_nothing_astray() -> Result<()> {
    let segments: Vec<String> = (0..10).map(|index| format!("s{index}")).collect();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut agent = shop("midway", &names)?.start()?;
    for (index, segment) in names.iter().enumerate() {
        let (caller, request) = (agent.caller()?, get(&agent, segment));
        thread::scope(|scope| {
            // Whoever is held when the agent dies loses its connection.
            scope.spawn(|| caller.send(&request).ok());
            let_pass(Duration::from_millis(15 * index as u64));
            agent.kill9()
        })?;
        agent.start_again()?;
        assert_nothing_astray(&agent).with_context(|| format!("after {} ms", 15 * index))?;
    }
    assert_eq!(agent.caller()?.send(&get(&agent, "s0"))?.status, 200);
    agent.stop()
}

#[test]
fn a_kill_at_any_moment_of_an_unpacking_leaves_nothing_astray() -> Result<()> {
    let mut agent = Agent::builder("unpack").segment(Segment::new("cart", "shop/cart:1")).start()?;
    agent.terminate()?;
    // Large enough to be met at it.
    let image = segment_image("shop/cart:1", agent.cache())?.layer_file(vec![7; 48 << 20], "/ballast", 0o644);
    agent.import_later(&image, Unpack::Later)?;
    for index in 0..6 {
        agent.start_again()?;
        let_pass(Duration::from_millis(25 * index));
        agent.kill9()?;
    }
    agent.start_again()?;
    assert_eq!(agent.caller()?.send(&get(&agent, "cart"))?.status, 200);
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn agent_and_containerd_both_killed_come_back_to_what_stands() -> Result<()> {
    let mut agent = shop("both", &["cart", "price"])?.start()?;
    let caller = agent.caller()?;
    caller.send(&get(&agent, "cart"))?;
    let request = get(&agent, "price");
    thread::scope(|scope| {
        scope.spawn(|| caller.send(&request).ok());
        let_pass(Duration::from_millis(60));
        agent.containerd_mut()?.kill9()?;
        agent.kill9()
    })?;
    agent.containerd_mut()?.start_again()?;
    agent.start_again()?;
    let taken_over = || adopted(&agent).is_ok_and(|all| all.contains(&"cart".to_owned()));
    wait_for("the instance from before to be taken over", PATIENCE, taken_over)
        .map_err(|error| error.context(agent.log_tail()))?;
    assert!(caller.send(&get(&agent, "cart"))?.body.contains("\"requests\":2,"));
    assert_eq!(caller.send(&get(&agent, "price"))?.status, 200);
    assert_nothing_astray(&agent)?;
    agent.stop()
}
