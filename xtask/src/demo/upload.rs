//! Code on its way into the shop. In: a running weft. Out: what weft read of a function before it ran, the instance that
//! stood before anybody asked, and the first request that it served. Fails if another instance served it.
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use weft_tests::agent::Agent;
use weft_tests::http::Request;
use weft_tests::wait::wait_for;

const SEGMENT: &str = "reviews";
const PATIENCE: Duration = Duration::from_secs(60);
/// The function: reads reviews, counts their words, and ranks them.
const CODE: &str = r#"import json
import re
from collections import Counter

REVIEWS = ["good shop, good price", "slow cart", "good checkout, slow delivery"]


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def ranked(reviews):
    counts = Counter()
    for review in reviews:
        counts.update(words(review))
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def handler(event):
    return json.dumps(ranked(REVIEWS)[:3])
"#;

/// What became of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Uploaded {
    /// From the upload to a listening instance, in seconds.
    deploy_s: f64,
    /// The profile that its source lets forecast.
    profile: String,
    /// Requests that the instance had served when it was ready: none.
    uses_before: u64,
    /// The first request, in milliseconds to its first byte.
    first_ms: f64,
    /// The one after it.
    second_ms: f64,
    /// The instance that was ready, and served both.
    instance: String,
}

/// Deploys a function, shows what is known of it, and asks it.
///
/// # Errors
/// What does not work, or a first request that something else served.
pub(super) fn deploy(agent: &Agent, output: &Path) -> Result<Uploaded> {
    let folder = output.join("upload").join(SEGMENT);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("app.py"), CODE)?;
    let begun = Instant::now();
    let said = agent.weft(&["deploy", folder.to_str().context("a path in UTF-8")?])?;
    let deploy_s = begun.elapsed().as_secs_f64();
    println!("        weft deploy {SEGMENT}/: {}", said.trim());
    for question in [&["graph"][..], &["query", "costs"][..]] {
        println!("        weft code {} --of {SEGMENT}:", question.join(" "));
        let shown = agent.weft(&[&["code"], question, &["--of", SEGMENT]].concat())?;
        shown.lines().for_each(|line| println!("          {line}"));
    }
    let profile = said.split(", profile ").nth(1).and_then(|rest| rest.split(',').next());
    let profile = profile.context("the answer names the profile")?.to_owned();
    let ready = only(agent)?;
    let name = ready["name"].as_str().context("a name")?.to_owned();
    println!(
        "        {name} is {}, and nobody has asked for it yet",
        ready["state"].as_str().unwrap_or_default()
    );
    let address = said.trim_end().rsplit(' ').next().context("an address at the end")?.parse()?;
    let caller = agent.caller()?;
    let ask = || {
        let reply = caller.send(&Request::get(address, "/").patience(PATIENCE))?;
        ensure!(reply.status == 200, "{SEGMENT} answers {}: {}", reply.status, reply.body);
        anyhow::Ok((reply.first_byte.as_secs_f64() * 1000.0, reply.body))
    };
    let ((first_ms, answer), (second_ms, _)) = (ask()?, ask()?);
    let served = || only(agent).is_ok_and(|one| one["name"] == ready["name"] && one["uses"] == 2);
    wait_for("both requests to be booked at the instance that was ready", PATIENCE, served)?;
    println!("        first request {first_ms:.1} ms, the next {second_ms:.1} ms, both by {name}: {answer}");
    let uses_before = ready["uses"].as_u64().context("a count")?;
    ensure!(ready["state"] == "ready" && uses_before == 0, "it had served before: {ready}");
    Ok(Uploaded { deploy_s, profile, uses_before, first_ms, second_ms, instance: name })
}

/// Its only instance.
fn only(agent: &Agent) -> Result<Value> {
    let status = agent.status()?;
    let instances = status["instances"].as_array().context("a list of instances")?;
    let mut its = instances.iter().filter(|one| one["segment"] == SEGMENT);
    let one = its.next().context("there is an instance of it")?;
    ensure!(its.next().is_none(), "there are several: {status}");
    Ok(one.clone())
}
