//! The harness of agents keeps what it promises: several run side by side, and none leaves anything.
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::image::segment_image;

fn one(name: &str) -> Result<Builder> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let image = segment_image("shop/cart:1", &cache)?;
    let cart = Segment::new("cart", "shop/cart:1").env("NAME", "the cart");
    Ok(Agent::builder(name).cache(&cache).image(image).segment(cart))
}

#[test]
fn two_agents_run_side_by_side_and_leave_nothing() -> Result<()> {
    let (one, other) = (one("side")?.start()?, one("side")?.start()?);
    for agent in [&one, &other] {
        let reply = agent.caller()?.get(agent.address("cart"), "/", "ann")?;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("the cart"), "{}", reply.body);
        assert_eq!(agent.status()?["segments"][0]["cold"], 1);
    }
    let places = [one.place().directory().to_owned(), other.place().directory().to_owned()];
    one.stop()?;
    other.stop()?;
    assert_eq!(places.map(|directory: PathBuf| directory.exists()), [false, false]);
    Ok(())
}

#[test]
fn a_killed_agent_with_a_standing_instance_leaves_nothing() -> Result<()> {
    let mut agent = one("killed")?.keep_alive(Duration::from_secs(60)).start()?;
    agent.caller()?.get(agent.address("cart"), "/", "ann")?;
    agent.kill9()?;
    let left = agent.place().leftovers();
    for kind in ["process", "mount", "link", "cgroup", "directory"] {
        assert!(left.iter().any(|one| one.starts_with(kind)), "no {kind} stands in {left:?}");
    }
    agent.stop()
}

#[test]
fn the_journal_names_a_request_by_the_port_it_came_from() -> Result<()> {
    let agent = one("journal")?.start()?;
    let watch = agent.watch()?;
    let reply = agent.caller()?.get(agent.address("cart"), "/items?id=7", "ann")?;
    let line = watch.wait_for("the request", Duration::from_secs(10), |line| line["kind"] == "request")?;
    let from = line["from"].as_str().unwrap_or_default();
    assert!(
        from.ends_with(&format!(":{}", reply.local_port)),
        "{from} is not from port {}",
        reply.local_port
    );
    assert_eq!((&line["path"], &line["outcome"]), (&"/items".into(), &"cold".into()));
    agent.stop()
}
