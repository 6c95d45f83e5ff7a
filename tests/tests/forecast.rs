//! What weft expects, and why.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::habit::Users;
use weft_tests::image::segment_image;

#[test]
fn a_node_without_history_forecasts_nothing_and_says_so() -> Result<()> {
    let agent = shop("blank")?.start()?;
    assert!(agent.weft(&["forecasts"])?.contains("no request has been seen yet"));
    Users::of(&agent, Duration::ZERO)?.walk(&["home", "cart"])?;
    let forecasts = agent.forecasts()?;
    assert_eq!((&forecasts["forecasts"], &forecasts["model_rows"]), (&serde_json::json!([]), &0.into()));
    assert_eq!(forecasts["silence"], "this node has not learned enough for a model yet");
    assert!(agent.weft(&["forecasts"])?.contains("has not learned enough"), "people are told too");
    assert_eq!(agent.status()?["silence"], forecasts["silence"]);
    agent.stop()
}

#[test]
fn habits_become_a_model_that_ranks_what_comes_next_says_why_and_outlives_the_agent() -> Result<()> {
    let mut agent = shop("habits")?.start()?;
    let path = ["home", "cart", "pay"];
    let users = Users::of(&agent, Duration::from_millis(200))?;
    users.teach(&[&path])?;
    let all = ["cart", "pay", "price"];
    users.teach_until(&[&path], |steps| {
        all.iter().all(|name| steps.iter().any(|step| step["segment"] == *name))
    })?;
    users.somebody().asks("home")?;
    let steps = agent.latest_forecast("home")?;
    let named =
        |name: &str| steps.iter().find(|step| step["segment"] == name).cloned().context("is forecast");
    let (cart, pay, price) = (named("cart")?, named("pay")?, named("price")?);
    assert!(sure(&cart) > 0.6 && sure(&cart) >= sure(&pay), "{steps:#?}");
    assert_eq!((&cart["position"], &pay["position"]), (&1.into(), &2.into()));
    // The price is the cart's doing: it follows at once, the user's own steps after a pause each.
    assert!(in_ms(&cart) >= 150.0 && in_ms(&pay) >= 2.0 * 150.0 && in_ms(&price) < in_ms(&pay), "{steps:#?}");
    let confidences: Vec<f64> = steps.iter().map(sure).collect();
    assert!(confidences.is_sorted_by(|a, b| a >= b), "likeliest first: {confidences:?}");
    assert!(confidences.iter().all(|confidence| (0.0..=1.0).contains(confidence)), "{confidences:?}");

    let why = agent.weft(&["forecasts", "--explain"])?;
    let of_cart =
        why.split("\n\n").find(|part| part.trim_start().starts_with("cart ")).context(why.clone())?;
    assert!(of_cart.contains("leaf with") && of_cart.contains("that came"), "{of_cart}");
    assert!(of_cart.contains("<=") || of_cart.contains('>'), "the splits on the way are told: {of_cart}");
    assert!(!agent.weft(&["forecasts"])?.contains("leaf with"), "only where it is asked for");

    drop(users);
    let before = agent.status()?;
    agent.restart()?;
    let after = agent.status()?;
    for known in ["model_rows", "contexts", "principals"] {
        // The last lessons may have made another model meanwhile.
        assert!(after[known].as_u64() >= before[known].as_u64() && after[known] != 0, "{known}: {after}");
    }
    Users::of(&agent, Duration::ZERO)?.somebody().asks("home")?;
    let again = agent.latest_forecast("home")?;
    assert!(again.iter().any(|step| step["segment"] == "cart" && sure(step) > 0.6), "{again:#?}");
    agent.stop()
}

fn sure(step: &Value) -> f64 {
    step["confidence"].as_f64().unwrap_or(f64::NAN)
}

fn in_ms(step: &Value) -> f64 {
    step["expected_ms"].as_f64().unwrap_or(f64::NAN)
}

/// Home, cart and pay; the cart asks for a price.
fn shop(name: &str) -> Result<Builder> {
    let image =
        segment_image("shop/segment:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))?;
    let segment = |name: &str| Segment::new(name, "shop/segment:1");
    let price = "10.96.0.12:80";
    Ok(Agent::builder(name)
        .image(image)
        .weave(false)
        .keep_alive(Duration::from_secs(60))
        .segment(segment("home"))
        .segment(segment("cart").env("CALLS", &format!("http://{price}/price")))
        .segment(segment("pay"))
        .segment(segment("price").address(price.parse()?)))
}
