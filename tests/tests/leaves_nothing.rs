//! What is left of an agent that has ended: nothing, once its last instance is gone; and of one that could not start
//! nothing either, but a word on why.
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::Result;
use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::http::Request;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);
const NOTHING: [&str; 0] = [];

fn shop(name: &str) -> Result<Builder> {
    Ok(Agent::builder(name).fixture("shop/cart:1")?.segment(Segment::new("cart", "shop/cart:1")))
}

fn serve(agent: &Agent) -> Result<()> {
    assert_eq!(agent.caller()?.send(&Request::get(agent.address("cart"), "/"))?.status, 200);
    Ok(())
}

/// How many links of programs the kernel has at the agent's cgroup.
fn links(agent: &Agent) -> Result<usize> {
    let watched = fs::metadata(agent.subtree()?.directory())?.ino();
    let at_watched =
        |info: &LinkTypeInfo| matches!(info, LinkTypeInfo::Cgroup(at) if at.cgroup_id == watched);
    Ok(LinkInfoIter::default().filter(|link| at_watched(&link.info)).count())
}

/// Layers apart, which belong to the images: leases, containers, active snapshots, cgroups, links of both kinds, sockets.
fn assert_nothing_remains(agent: &Agent) -> Result<()> {
    assert_eq!(agent.remains()?, NOTHING);
    assert_eq!(links(agent)?, 0, "programs are still attached");
    Ok(())
}

#[test]
fn an_agent_that_is_drained_takes_everything_with_it() -> Result<()> {
    let mut agent = shop("drained")?.keep_alive(Duration::from_secs(60)).start()?;
    serve(&agent)?;
    assert!(links(&agent)? > 0 && agent.remains()?.len() > 5);
    agent.drain()?;
    assert_nothing_remains(&agent)?;
    agent.stop()
}

#[test]
fn an_agent_that_never_made_an_instance_takes_everything_with_it() -> Result<()> {
    let mut agent = shop("idle")?.start()?;
    agent.terminate()?;
    assert_nothing_remains(&agent)?;
    agent.stop()
}

#[test]
fn what_an_agent_had_to_leave_goes_with_the_next_ones_end() -> Result<()> {
    let mut agent =
        shop("leaves")?.drain(Duration::from_millis(200)).keep_alive(Duration::from_secs(1)).start()?;
    serve(&agent)?;
    let mut wire = agent.dial(agent.address("cart"))?;
    assert_eq!(wire.ask("/")?.status, 200);
    agent.terminate()?;
    assert_eq!(links(&agent)?, 0, "programs are still attached");
    assert_eq!(wire.ask("/")?.status, 200);
    agent.start_again()?;
    drop(wire);
    wait_for("the end of the instance", PATIENCE, || {
        agent.status().is_ok_and(|status| status["instances"].as_array().is_some_and(Vec::is_empty))
    })?;
    agent.terminate()?;
    assert_nothing_remains(&agent)?;
    agent.stop()
}

#[test]
fn a_port_for_metrics_that_is_taken_is_told_with_its_remedy_and_nothing_is_made() -> Result<()> {
    let mut agent = shop("port")?.start()?;
    agent.terminate()?;
    let address = agent.metrics_address();
    let holder = TcpListener::bind(address)?;
    let said = agent.try_another(str::to_owned)?;
    let words = ["[agent] metrics", &address.to_string(), "in use", "Free the port or set another"];
    assert!(said.refuses(&words), "{said}");
    assert_nothing_remains(&agent)?;
    drop(holder);
    agent.start_again()?;
    serve(&agent)?;
    agent.stop()
}

#[test]
fn an_agent_that_cannot_start_leaves_nothing_behind() -> Result<()> {
    let mut agent = shop("start")?.start()?;
    agent.terminate()?;
    let cgroup = agent.subtree()?.directory().display().to_string();
    let gone = format!("{cgroup}/gone");
    for other in ["/nowhere", &gone] {
        let said =
            agent.try_another(|config| config.replace(&format!("{cgroup:?}"), &format!("{other:?}")))?;
        assert!(said.refuses(&[other]), "{said}");
        assert_nothing_remains(&agent)?;
    }
    agent.start_again()?;
    serve(&agent)?;
    agent.stop()
}
