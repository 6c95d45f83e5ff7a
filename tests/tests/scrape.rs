//! What the node's monitoring sees.
use std::path::Path;

use anyhow::Result;
use weft_tests::agent::{Agent, Segment};
use weft_tests::http::http_get;
use weft_tests::image::segment_image;
use weft_tests::prometheus::{Prometheus, objections};

#[test]
fn prometheus_sees_the_agent_up_and_every_request_that_was_sent() -> Result<()> {
    let image =
        segment_image("shop/cart:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))?;
    let agent = Agent::builder("scrape").image(image).segment(Segment::new("cart", "shop/cart:1")).start()?;
    let prometheus = Prometheus::scraping(&agent)?;
    prometheus.wait_for("up", 1.0)?;
    let caller = agent.caller()?;
    for _ in 0..17 {
        caller.get(agent.address("cart"), "/", "ann")?;
    }
    prometheus.wait_for("sum(weft_requests_total{segment=\"cart\"})", 17.0)?;
    prometheus.wait_for("weft_requests_total{outcome=\"cold\"}", 1.0)?;
    prometheus.wait_for("weft_instances{segment=\"cart\"}", 1.0)?;
    prometheus.wait_for("weft_held_seconds_count", 1.0)?;
    assert_eq!(objections(&agent.metrics()?)?, "");
    drop(prometheus);
    agent.stop()
}

#[test]
fn probes_are_answered_while_the_agent_lives_and_nothing_else_is() -> Result<()> {
    let mut agent = Agent::builder("probes").start()?;
    let status = |path| http_get(agent.metrics_address(), path, &[]).map(|reply| reply.status);
    assert_eq!((status("/healthz")?, status("/readyz")?, status("/elsewhere")?), (200, 200, 404));
    agent.terminate()?;
    assert!(http_get(agent.metrics_address(), "/healthz", &[]).is_err());
    agent.stop()
}
