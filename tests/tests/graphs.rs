//! What is made of a forecast: linked instances, before they are asked for, within the budget.
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_tests::agent::{Agent, Builder, Line, Segment, Watch};
use weft_tests::habit::Users;
use weft_tests::http::Reply;
use weft_tests::image::segment_image;
use weft_tests::ordinary::ordinary_service;
use weft_tests::wait::{wait_for, wait_for_some};

const SOON: Duration = Duration::from_secs(90);
const PRICE: &str = "10.96.0.12:80";

#[test]
fn what_is_forecast_stands_before_it_is_asked_for_and_answers_like_warm() -> Result<()> {
    // A cold start takes half a second and more.
    let agent = shop("ahead", |_, segment| segment.env("LISTEN_AFTER_MS", "500"))?.start()?;
    let users = Users::of(&agent, Duration::from_millis(1500))?;
    users.teach(&[&["home", "cart"]])?;
    agent.wait_until_nothing_stands()?;
    let watch = agent.watch()?;
    let user = users.somebody();
    let cold = user.asks("home")?;
    let ahead = wait_for_some("a cart to stand", SOON, || {
        let ahead = agent.ahead_of_demand().ok()?;
        ahead.into_iter().find(|instance| instance["segment"] == "cart" && instance["state"] == "ready")
    })?;
    let hit = user.asks("cart")?;
    let warm = user.asks("cart")?;
    let told = watch.request("/cart")?;
    assert_eq!((&told["outcome"], &told["instance"]), (&"hit".into(), &ahead["name"]));
    assert_eq!(told["wait_ms"], 0.0);
    assert!(cold.first_byte > Duration::from_millis(500), "{:?}", cold.first_byte);
    assert!(hit.first_byte < Duration::from_millis(250), "{:?} (warm {:?})", hit.first_byte, warm.first_byte);
    assert!(agent.segment_status("cart")?["saved_ms"].as_f64() > Some(0.0));
    drop(users);
    agent.stop()
}

#[test]
fn inside_a_graph_a_call_goes_to_the_graphs_own_instance() -> Result<()> {
    // Slow to listen, so that five requests for a price at once make two.
    let slow_price = |name: &str, segment: Segment| match name {
        "price" => segment.concurrency(4).env("LISTEN_AFTER_MS", "500"),
        _ => segment,
    };
    let agent = shop("linked", slow_price)?.keep_alive(Duration::from_secs(6)).start()?;
    let users = Users::of(&agent, Duration::from_millis(1000))?;
    users.teach(&[&["home", "cart"]])?;
    agent.wait_until_nothing_stands()?;
    let caller = agent.caller()?;
    std::thread::scope(|scope| {
        let ask = || caller.get(agent.address("price"), "/five-at-once", "ann");
        let all = [(); 5].map(|()| scope.spawn(ask));
        all.into_iter().try_for_each(|one| one.join().expect("no panic").map(drop))
    })?;
    users.somebody().asks("cart")?;
    for round in 0..8 {
        let mut others = BTreeSet::new();
        wait_for("callers outside to meet both prices", SOON, || {
            others.extend(
                caller.get(agent.address("price"), "/outside", "bob").ok().and_then(|r| name(&r).ok()),
            );
            others.len() == 2
        })?;
        let user = users.somebody();
        user.asks("home")?;
        let graph =
            wait_for_some("a graph with a cart and a price", SOON, || linked_graph(&agent).ok().flatten())?;
        let reply: Value = serde_json::from_str(&user.asks("cart")?.body)?;
        let inner: Value =
            serde_json::from_str(reply["calls"][0]["body"].as_str().context("the cart's call")?)?;
        assert_eq!((&reply["name"], &inner["name"]), (&graph.0, &graph.1), "round {round}");
    }
    drop((users, caller));
    agent.stop()
}

#[test]
fn graphs_have_names_of_their_own_and_end_by_use_and_by_time() -> Result<()> {
    let segment = |name: &str| Segment::new(name, "shop/segment:1");
    let mut agent =
        Agent::builder("lives").image(image()?).segment(segment("home")).segment(segment("cart")).start()?;
    let mut names = BTreeSet::new();
    // A cart is waited for for as long again; a cold home takes its part of that.
    Users::of(&agent, Duration::from_millis(1200))?.teach(&[&["home", "cart"]])?;
    for _ in ["before", "after a restart"] {
        agent.wait_until_nothing_stands()?;
        let users = Users::of(&agent, Duration::from_millis(200))?;
        let watch = agent.watch()?;
        let mut pictures = agent.weft_piped(&["graphs", "--watch", "-o", "json"])?;
        users.walk(&["home", "cart"])?;
        let used = ended(&watch, "used")?;
        users.somebody().asks("home")?;
        let idle = ended(&watch, "idle")?;
        agent.wait_until_nothing_stands()?;
        for graph in planned(&watch) {
            assert!(names.insert(graph.clone()), "{graph} was given twice");
            watch.wait_for("its end", SOON, |line| line["graph"] == *graph && line["state"] == "gone")?;
        }
        assert!(names.contains(&used) && names.contains(&idle) && used != idle, "{used} {idle} {names:?}");
        drop(users);
        agent.restart()?;
        let shown = std::io::read_to_string(&mut pictures.out)?;
        for graph in [used, idle] {
            assert!(shown.lines().any(|line| line.contains(&graph)), "{graph} was alive: {shown}");
        }
        assert!(shown.lines().last().is_some_and(|line| line.contains("\"graphs\":[]")), "{shown}");
        assert_eq!(pictures.close()?.code, Some(0));
    }
    agent.stop()
}

#[test]
fn no_more_stands_ahead_of_demand_than_the_budget_allows() -> Result<()> {
    // The ordinary service is home: nothing of weft's stands when it is asked.
    let segment = |name: &str| Segment::new(name, "shop/segment:1").limits(64, 1.0);
    let builder = Agent::builder("budget").image(image()?).confidence(0.2).keep_alive(Duration::from_secs(1));
    let home = Segment::new("home", "shop/segment:1").address(ordinary_service()?).pass();
    let builder = builder.segment(home).segment(segment("cart")).segment(segment("search"));
    let mut agent = builder.start()?;
    let paths: [&[&str]; 2] = [&["home", "cart"], &["home", "search"]];
    Users::of(&agent, Duration::from_millis(300))?.teach(&paths)?;

    let most = |agent: &Agent| -> Result<usize> {
        agent.wait_until_nothing_stands()?;
        let users = Users::of(agent, Duration::from_millis(700))?;
        most_ahead(agent, || (0..4).try_for_each(|_| users.crowd(&paths)))
    };
    assert_eq!(most(&agent)?, 2, "without need of the budget both stand");
    agent.configure(|builder| builder.budget(2048, 2.0, 1));
    agent.restart()?;
    assert_eq!(most(&agent)?, 1, "one instance");
    agent.configure(|builder| builder.budget(100, 2.0, 32));
    agent.restart()?;
    assert_eq!(most(&agent)?, 1, "memory for one");
    agent.configure(|builder| builder.budget(63, 2.0, 32));
    agent.restart()?;
    assert_eq!(most(&agent)?, 0, "memory for none");
    agent.stop()
}

#[test]
fn a_node_told_to_watch_only_makes_nothing_ahead() -> Result<()> {
    let agent = shop("watches", |_, segment| segment)?.weave(false).start()?;
    let watch = agent.watch()?;
    let users = Users::of(&agent, Duration::from_millis(300))?;
    users.teach(&[&["home", "cart"]])?;
    agent.wait_until_nothing_stands()?;
    let cold = |agent: &Agent| anyhow::Ok(agent.segment_status("cart")?["cold"].as_u64());
    // A crowd may find nothing, too, where making an instance takes longer than its users think.
    let taught = cold(&agent)?;
    users.walk(&["home", "cart"])?;
    assert!(!agent.latest_forecast("home")?.is_empty());
    let ahead = |line: &Line| line["kind"] == "graph" || line["cause"] == "forecast";
    assert_eq!(watch.lines().into_iter().filter(ahead).collect::<Vec<_>>(), Vec::<Line>::new());
    let cart = agent.segment_status("cart")?;
    assert_eq!((&cart["hit"], &cart["late"]), (&0.into(), &0.into()));
    assert_eq!(cold(&agent)?, taught.map(|cold| cold + 1));
    drop(users);
    agent.stop()
}

/// The most instances that stood ahead of demand at a time while something was done.
fn most_ahead(agent: &Agent, doing: impl FnOnce() -> Result<()>) -> Result<usize> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(agent.ahead_of_demand()?.len());
            }
            anyhow::Ok(most)
        });
        let outcome = doing();
        done.store(true, Ordering::Relaxed);
        outcome?;
        sampler.join().expect("no panic")
    })
}

/// Names of the cart and the price of a graph that expects somebody to ask for that cart.
fn linked_graph(agent: &Agent) -> Result<Option<(Value, Value)>> {
    let reply = agent.graphs()?;
    let linked = |graph: &&Value| graph["state"] == "ready" || graph["state"] == "serving";
    let graphs = reply["graphs"].as_array().context("a list of graphs")?.iter().filter(linked);
    let found = |graph: &Value, is_it: &dyn Fn(&Value) -> bool| {
        let node = graph["nodes"].as_array()?.iter().find(|node| node["instance"] != "" && is_it(node))?;
        Some(node["instance"].clone())
    };
    let cart = |node: &Value| node["segment"] == "cart" && node["used"] == false;
    let price = |node: &Value| node["segment"] == "price";
    // A cart may be in several: the youngest knows best.
    Ok(graphs.filter_map(|graph| Some((found(graph, &cart)?, found(graph, &price)?))).next_back())
}

fn name(reply: &Reply) -> Result<String> {
    ensure!(reply.status == 200, "{}", reply.status);
    let body: Value = serde_json::from_str(&reply.body)?;
    Ok(body["name"].as_str().context("a name")?.to_owned())
}

fn planned(watch: &Watch) -> Vec<String> {
    let lines = watch.lines();
    let planned = lines.iter().filter(|line| line["kind"] == "graph" && line["state"] == "planned");
    planned.filter_map(|line| line["graph"].as_str().map(str::to_owned)).collect()
}

fn ended(watch: &Watch, cause: &str) -> Result<String> {
    let is_it =
        |line: &Line| line["kind"] == "graph" && line["state"] == "draining" && line["cause"] == cause;
    let line = watch.wait_for(&format!("a graph to end by {cause}"), SOON, is_it)?;
    Ok(line["graph"].as_str().context("its name")?.to_owned())
}

/// Home and cart; the cart asks for a price.
fn shop(name: &str, change: impl Fn(&str, Segment) -> Segment) -> Result<Builder> {
    let segment = |name: &str| change(name, Segment::new(name, "shop/segment:1"));
    Ok(Agent::builder(name)
        .image(image()?)
        .segment(segment("home"))
        .segment(segment("cart").env("CALLS", &format!("http://{PRICE}/price")))
        .segment(segment("price").address(PRICE.parse()?)))
}

fn image() -> Result<weft_tests::image::ImageBuilder> {
    segment_image("shop/segment:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))
}
