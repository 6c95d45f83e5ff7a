//! Code on its way to a segment that answers, as its sender sees it.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use weft_tests::agent::{Agent, Segment};
use weft_tests::http::{Reply, Request};
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);

/// A folder of code beside the agent's own files, which go with it.
fn upload(agent: &Agent, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = agent.place().directory().join(name);
    fs::create_dir_all(&folder)?;
    for (file, text) in files {
        fs::write(folder.join(file), text)?;
    }
    Ok(folder)
}

fn deploy(agent: &Agent, path: &Path) -> Result<String> {
    agent.weft(&["deploy", path.to_str().context("a path in UTF-8")?])
}

/// Where `weft deploy` says that it is served.
fn served_at(said: &str) -> Result<std::net::SocketAddr> {
    let address = said.trim_end().rsplit(' ').next().context("an address at the end")?;
    address.parse().with_context(|| said.to_owned())
}

fn ask(agent: &Agent, address: std::net::SocketAddr) -> Result<Reply> {
    agent.caller()?.send(&Request::get(address, "/").patience(PATIENCE))
}

#[test]
fn code_is_listening_before_its_first_request_and_a_bad_version_leaves_it_serving() -> Result<()> {
    let agent = Agent::builder("deploy").keep_alive(Duration::from_secs(60)).start()?;
    let first = upload(&agent, "greet", &[("app.py", "def handler(event):\n    return 'one'\n")])?;
    let address = served_at(&deploy(&agent, &first)?)?;
    let before = agent.status()?;
    let instance = before["instances"][0].clone();
    assert_eq!((&instance["segment"], &instance["origin"]), (&"greet".into(), &"deploy".into()), "{before}");
    assert_eq!((&instance["state"], &instance["uses"]), (&"ready".into(), &0.into()), "{before}");
    assert_eq!(ask(&agent, address)?.body, "one");
    wait_for("the request to be booked at that instance", PATIENCE, || {
        agent.status().is_ok_and(|status| {
            status["instances"][0]["name"] == instance["name"] && status["instances"][0]["uses"] == 1
        })
    })?;

    let broken = upload(&agent, "broken/greet", &[("app.py", "def handler(event:\n    return 'two'\n")])?;
    let refused = format!("{:#}", deploy(&agent, &broken).err().context("it was taken")?);
    assert!(refused.contains("app.py") && refused.contains("SyntaxError"), "{refused}");
    assert_eq!(ask(&agent, address)?.body, "one");

    let second = upload(&agent, "second/greet", &[("app.py", "def handler(event):\n    return 'two'\n")])?;
    assert_eq!(served_at(&deploy(&agent, &second)?)?, address, "a version keeps its address");
    assert_eq!(ask(&agent, address)?.body, "two");
    agent.stop()
}

#[test]
fn what_was_deployed_is_served_by_the_next_agent_too() -> Result<()> {
    let mut agent = Agent::builder("redeploy").fixture("shop/cart:1")?.start()?;
    let file = agent.place().directory().join("cart.toml");
    let address = std::net::Ipv4Addr::from_bits(agent.place().dial_base().to_bits() + 100);
    let cart = format!("name = 'cart'\nimage = 'shop/cart:1'\nport = 8080\naddress = '{address}:80'\n");
    fs::write(&file, cart)?;
    let address = served_at(&deploy(&agent, &file)?)?;
    assert_eq!(ask(&agent, address)?.status, 200);
    agent.restart()?;
    assert_eq!(ask(&agent, address)?.status, 200, "the next agent does not know it");
    agent.kill9()?;
    agent.start_again()?;
    assert_eq!(ask(&agent, address)?.status, 200);
    agent.stop()
}

#[test]
fn a_segment_of_the_configuration_cannot_be_deployed_over() -> Result<()> {
    let agent = Agent::builder("over")
        .fixture("shop/cart:1")?
        .segment(Segment::new("cart", "shop/cart:1"))
        .start()?;
    let code = upload(&agent, "cart", &[("app.py", "def handler(event):\n    return 'mine'\n")])?;
    let refused = format!("{:#}", deploy(&agent, &code).err().context("it was taken")?);
    assert!(refused.contains("`cart` stands in the configuration"), "{refused}");
    let reply = ask(&agent, agent.address("cart"))?;
    assert!(reply.status == 200 && reply.body != "mine", "{reply:?}");
    agent.stop()
}
