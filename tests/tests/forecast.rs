//! What weft expects, and why.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::habit::Users;
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

#[test]
fn a_node_without_history_begins_with_the_shipped_model_and_is_sure_of_nothing() -> Result<()> {
    let agent = shop("blank")?.start()?;
    assert!(agent.weft(&["forecasts"])?.contains("no request has been seen yet"));
    Users::of(&agent, Duration::ZERO)?.walk(&["home", "cart"])?;
    let forecasts = agent.forecasts()?;
    assert_eq!(forecasts["model_rows"], 0, "nothing is from this node");
    let steps = |forecast: &Value| forecast["path"].as_array().cloned().unwrap_or_default();
    let all = forecasts["forecasts"].as_array().context("forecasts")?.iter().flat_map(steps);
    let surest = all.map(|step| sure(&step)).fold(0.0, f64::max);
    assert!(surest < 0.5, "{forecasts:#}");
    assert!(agent.weft(&["status"])?.contains("model shipped with weft"), "people are told too");
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
    for known in ["contexts", "principals"] {
        assert!(after[known].as_u64() >= before[known].as_u64() && after[known] != 0, "{known}: {after}");
    }
    // The last lessons may have made another model meanwhile, or none yet that is better than the shipped one.
    assert!(after["model_rows"].as_u64() >= before["model_rows"].as_u64(), "{after}");
    Users::of(&agent, Duration::ZERO)?.somebody().asks("home")?;
    let again = agent.latest_forecast("home")?;
    assert!(again.iter().any(|step| step["segment"] == "cart" && sure(step) > 0.6), "{again:#?}");
    agent.stop()
}

#[test]
fn how_well_forecasts_do_is_told_and_one_command_leads_back_to_the_model_before() -> Result<()> {
    let agent = shop("judged")?.start()?;
    assert!(agent.weft(&["forecasts", "--accuracy"])?.contains("no forecast has been judged yet"));
    assert!(agent.weft(&["model", "show"])?.contains("shipped with weft"));
    let refused = agent.weft(&["model", "rollback"]).expect_err("there is none").to_string();
    assert!(refused.contains("the shipped model is in charge"), "{refused}");

    let users = Users::of(&agent, Duration::from_millis(100))?;
    users.teach(&[&["home", "cart"]])?;
    let models =
        || -> Result<Value> { Ok(serde_json::from_str(&agent.weft(&["model", "show", "-o", "json"])?)?) };
    // One may have taken over already; of what nobody asked for nothing is judged.
    let mut crowds = 0;
    while crowds < 1 || models()?["before"].is_null() {
        anyhow::ensure!(crowds < 60, "no model took over: {}", models()?);
        users.crowd(&[&["home", "cart"], &["home", "pay"]])?;
        crowds += 1;
    }
    let scores: Value = serde_json::from_str(&agent.weft(&["forecasts", "--accuracy", "-o", "json"])?)?;
    let recent = &scores["recent"];
    let share = |of: &Value, name: &str| of[name].as_f64().unwrap_or(f64::NAN);
    assert!(recent["forecasts"].as_u64() > Some(0) && share(recent, "hit_at_1") > 0.2, "{scores:#}");
    assert!(
        (0.0..1.0).contains(&share(recent, "brier")) && !scores["reliability"][0].is_null(),
        "{scores:#}"
    );
    let pay = scores["segments"].as_array().context("segments")?.iter().find(|one| one["segment"] == "pay");
    assert!(share(&pay.context("pay was judged")?["score"], "hit_at_3") > 0.0, "{scores:#}");
    wait_for("the metrics to tell the same", Duration::from_secs(90), || {
        agent.metrics().is_ok_and(|text| {
            text.contains("weft_forecast_accuracy{measure=\"hit_at_1\"}")
                && text.contains("weft_segment_forecast_accuracy{segment=\"pay\",measure=\"recall\"}")
        })
    })?;

    let before = models()?["before"].clone();
    let back: Value = serde_json::from_str(&agent.weft(&["model", "rollback", "-o", "json"])?)?;
    assert_eq!((&back["current"], &back["before"]), (&before, &Value::Null));
    drop(users);
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
