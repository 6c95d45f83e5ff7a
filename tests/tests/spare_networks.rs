//! Networks that stand before their instances.
use std::time::Duration;

use anyhow::Result;
use weft_tests::agent::{Agent, Segment};
use weft_tests::http::Request;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);

fn spare(agent: &Agent) -> Vec<String> {
    let status = agent.status().unwrap_or_default();
    let addresses = status["spare_networks"].as_array().into_iter().flatten();
    addresses.filter_map(|address| address.as_str().map(str::to_owned)).collect()
}

fn wait_for_two(agent: &Agent) -> Result<Vec<String>> {
    wait_for("two networks to stand ahead", PATIENCE, || spare(agent).len() == 2)?;
    Ok(spare(agent))
}

#[test]
fn an_instance_takes_a_network_that_stands_and_another_takes_its_place() -> Result<()> {
    let agent = Agent::builder("spare").fixture("shop/cart:1")?.segment(Segment::new("cart", "shop/cart:1"));
    let mut agent = agent.keep_alive(Duration::from_secs(60)).start()?;
    let before = wait_for_two(&agent)?;
    assert_eq!(agent.caller()?.send(&Request::get(agent.address("cart"), "/"))?.status, 200);
    let status = agent.status()?;
    let address = status["instances"][0]["address"].as_str().unwrap_or_default();
    assert!(before.iter().any(|ip| address.starts_with(&format!("{ip}:"))), "{address} of {before:?}");
    let after = wait_for_two(&agent)?;
    assert!(!after.iter().any(|ip| address.starts_with(&format!("{ip}:"))), "{address} is had twice");

    // They are held by the agent alone, and go with it.
    agent.kill9()?;
    let links =
        |agent: &Agent| agent.traces().map(|all| all.iter().filter(|one| one.kind == "link to").count());
    wait_for("the end of those that nobody had", PATIENCE, || links(&agent).is_ok_and(|count| count == 1))?;
    agent.start_again()?;
    assert_eq!(agent.caller()?.send(&Request::get(agent.address("cart"), "/"))?.status, 200);
    wait_for_two(&agent)?;
    agent.drain()?;
    assert_eq!(agent.remains()?, Vec::<String>::new());
    agent.stop()
}
