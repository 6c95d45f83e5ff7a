//! What a segment's programs ask the kernel for.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weft_tests::agent::{Agent, Segment};
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

#[test]
fn a_segments_syscalls_are_counted_exactly_also_after_its_instances_are_gone() -> Result<()> {
    let image =
        segment_image("shop/cart:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))?;
    let agent = Agent::builder("profile")
        .image(image)
        .segment(Segment::new("cart", "shop/cart:1").env("STATS_PER_REQUEST", "7"))
        .segment(Segment::new("price", "shop/cart:1"))
        .start()?;
    let (mut cart, mut price) = (agent.dial(agent.address("cart"))?, agent.dial(agent.address("price"))?);
    cart.ask("/")?;
    price.ask("/")?;
    let before = (count(&agent, "cart", "statx")?, count(&agent, "price", "statx")?);
    for _ in 0..40 {
        cart.ask("/")?;
        price.ask("/")?;
    }
    let after = (count(&agent, "cart", "statx")?, count(&agent, "price", "statx")?);
    assert_eq!((after.0 - before.0, after.1 - before.1), (7 * 40, 0));

    let shares = profile(&agent, "cart")?;
    let [io, cpu, network] = ["io", "cpu", "network"].map(|part| shares[part].as_f64().unwrap_or(f64::NAN));
    assert!((io + cpu + network - 1.0).abs() < 1e-3 && io > 0.5 && network > 0.0, "{io} {cpu} {network}");
    let calls: u64 =
        shares["syscalls"].as_array().context("calls")?.iter().filter_map(|c| c["count"].as_u64()).sum();
    assert_eq!(shares["calls"], calls);
    assert!(agent.weft(&["profile", "cart"])?.contains("statx"), "the table shows them too");

    drop((cart, price));
    let gone =
        || agent.status().is_ok_and(|status| status["instances"].as_array().is_some_and(Vec::is_empty));
    wait_for("the instances to go", Duration::from_secs(90), gone)?;
    assert_eq!(count(&agent, "cart", "statx")?, after.0);

    let error = agent.weft(&["profile", "nobody"]).expect_err("there is no such segment").to_string();
    assert!(error.contains("no segment `nobody`") && error.contains("cart, price"), "{error}");
    agent.stop()
}

fn profile(agent: &Agent, segment: &str) -> Result<Value> {
    let reply: Value = serde_json::from_str(&agent.weft(&["profile", segment, "-o", "json"])?)?;
    let [of_segment] = &reply["segments"].as_array().context("segments")?[..] else {
        anyhow::bail!("not one segment: {reply}")
    };
    assert_eq!(of_segment["segment"], segment);
    Ok(of_segment.clone())
}

fn count(agent: &Agent, segment: &str, call: &str) -> Result<u64> {
    let profile = profile(agent, segment)?;
    let mut calls = profile["syscalls"].as_array().context("calls")?.iter();
    Ok(calls.find(|known| known["name"] == call).and_then(|known| known["count"].as_u64()).unwrap_or(0))
}
