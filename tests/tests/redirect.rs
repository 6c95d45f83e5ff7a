//! Where a connection goes: straight to an instance, or wherever it would have gone without weft.
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::image::segment_image;
use weft_tests::ordinary::{ORDINARY, ordinary_service};

#[test]
fn a_caller_sees_what_it_dialled_and_the_instance_sees_the_caller() -> Result<()> {
    let agent = one_segment("straight", None)?.start()?;
    let address = agent.address("price");
    agent.dial(address)?.ask("/warm")?;
    let before = redirected(&agent)?;
    let mut wire = agent.dial(address)?;
    let answer = wire.ask("/")?;
    assert_eq!(wire.stream().peer_addr()?, address);
    assert_eq!(answer.header("Peer"), Some(&*wire.stream().local_addr()?.to_string()));
    assert_eq!(redirected(&agent)?, before + 1);
    drop(wire);
    agent.stop()
}

#[test]
fn callers_by_ipv6_reach_the_instance_and_see_what_they_dialled() -> Result<()> {
    for dialled in ["[fd5e:6d1a::12]:80", "[::ffff:10.96.0.12]:80"] {
        let dialled: SocketAddr = dialled.parse()?;
        let served = SocketAddr::new(dialled.ip().to_canonical(), dialled.port());
        let agent = one_segment("six", Some(served))?.start()?;
        agent.dial(dialled)?.ask("/warm")?;
        let mut wire = agent.dial(dialled)?;
        let peer: SocketAddr = wire.ask("/")?.header("Peer").context("the instance's view")?.parse()?;
        assert_eq!(wire.stream().peer_addr()?, dialled);
        let local = wire.stream().local_addr()?;
        assert_eq!(peer, SocketAddr::new(local.ip().to_canonical(), local.port()));
        drop(wire);
        agent.stop()?;
    }
    Ok(())
}

#[test]
fn other_addresses_and_callers_elsewhere_are_left_alone() -> Result<()> {
    let service = ordinary_service()?;
    let agent = one_segment("alone", Some(service))?.start()?;
    let beside = TcpListener::bind((service.ip(), 0))?;
    let before = redirected(&agent)?;
    let wire = agent.dial(beside.local_addr()?)?;
    assert_eq!(redirected(&agent)?, before);
    let (_, from) = beside.accept()?;
    assert_eq!((wire.stream().peer_addr()?, wire.stream().local_addr()?), (beside.local_addr()?, from));
    // This process is not in the watched cgroup.
    assert_eq!(weft_tests::http::http_get(service, "/", &[])?.body, ORDINARY);
    assert_eq!(redirected(&agent)?, before);
    assert_ne!(agent.caller()?.get(service, "/", "ann")?.body, ORDINARY);
    agent.stop()
}

#[test]
fn a_connection_goes_on_when_the_agent_is_killed_and_new_ones_go_the_ordinary_way() -> Result<()> {
    let service = ordinary_service()?;
    let mut agent = one_segment("killed", Some(service))?.start()?;
    let caller = agent.caller()?;
    caller.get(service, "/warm", "ann")?;
    let mut wire = agent.dial(service)?;
    let name = wire.ask("/before")?.json()?["name"].clone();
    agent.kill9()?;
    assert_eq!(wire.ask("/after")?.json()?["name"], name);
    assert_eq!(caller.get(service, "/", "ann")?.body, ORDINARY);
    agent.start_again()?;
    assert_eq!(agent.dial(service)?.ask("/taken-over")?.json()?["name"], name);
    assert_eq!(wire.ask("/still")?.json()?["name"], name);
    drop(wire);
    agent.stop()
}

#[test]
fn a_miss_that_passes_reaches_the_ordinary_service_and_is_counted() -> Result<()> {
    let service = ordinary_service()?;
    let segment = Segment::new("price", "shop/price:1").address(service).pass();
    // Nothing is made ahead: only the way of a miss is looked at.
    let agent = Agent::builder("pass").image(image()?).segment(segment).confidence(1.0).start()?;
    let (caller, watch) = (agent.caller()?, agent.watch()?);
    for path in ["/one", "/two"] {
        assert_eq!(caller.get(service, path, "ann")?.body, ORDINARY);
        assert_eq!(watch.request(path)?["outcome"], "pass");
    }
    let status = agent.status()?;
    assert_eq!((&status["segments"][0]["pass"], &status["segments"][0]["instances"]), (&2.into(), &0.into()));
    assert_eq!(status["redirected"], 0);
    assert!(agent.metrics()?.contains("weft_requests_total{segment=\"price\",outcome=\"pass\"} 2\n"));
    agent.stop()
}

/// One segment, which misses nothing.
fn one_segment(name: &str, address: Option<SocketAddr>) -> Result<Builder> {
    let segment = Segment::new("price", "shop/price:1");
    let segment = address.into_iter().fold(segment, Segment::address);
    Ok(Agent::builder(name).image(image()?).segment(segment))
}

fn image() -> Result<weft_tests::image::ImageBuilder> {
    segment_image("shop/price:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))
}

fn redirected(agent: &Agent) -> Result<u64> {
    agent.status()?["redirected"].as_u64().context("a count")
}
