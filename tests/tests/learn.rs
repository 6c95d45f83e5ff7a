//! What every forecast was worth.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use weft_tests::agent::{Agent, Line, Segment, Watch};
use weft_tests::habit::Users;
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

const SOON: Duration = Duration::from_secs(90);

#[test]
fn every_step_that_was_acted_upon_ends_as_hit_late_or_waste() -> Result<()> {
    let agent = home_and_slow_cart()?;
    let watch = agent.watch()?;
    let users = Users::of(&agent, Duration::from_millis(1500))?;
    users.teach(&[&["home", "cart"]])?;
    agent.wait_until_nothing_stands()?;
    let mut books = Books::settled(&agent, &watch)?;

    users.walk(&["home", "cart"])?;
    let hit = books.next(&agent, &watch, [1.0, 0.0, 0.0])?;
    assert!(hit.saved_s > 0.3 && hit.wasted_mb_s == 0.0, "a cold start was saved: {hit:?}");

    let user = users.somebody();
    user.asks("home")?;
    wait_for("a cart to be in the making", SOON, || {
        agent.ahead_of_demand().is_ok_and(|ahead| !ahead.is_empty())
    })?;
    user.asks("cart")?;
    let late = books.next(&agent, &watch, [0.0, 1.0, 0.0])?;
    assert!(late.wasted_mb_s == 0.0, "it was used after all: {late:?}");

    users.somebody().asks("home")?;
    let waste = books.next(&agent, &watch, [0.0, 0.0, 1.0])?;
    // It held more than 8 MiB for more than half a second.
    assert!(waste.saved_s == 0.0 && waste.wasted_mb_s > 4.0, "{waste:?}");

    let lessons = books.lessons.iter().sum::<f64>();
    assert!(made_ahead(&watch) as f64 <= lessons, "{} made, {lessons} judged", made_ahead(&watch));
    drop(users);
    agent.stop()
}

/// What the cart's forecasts were worth so far: hits, late ones, waste.
#[derive(Debug, Clone, Copy)]
struct Books {
    lessons: [f64; 3],
    saved_s: f64,
    wasted_mb_s: f64,
}

impl Books {
    /// As status shows them, once journal and metrics say the same.
    fn settled(agent: &Agent, watch: &Watch) -> Result<Self> {
        let alike = || {
            let books = Self::of(agent)?;
            anyhow::Ok(books.lessons == told(watch) && books.lessons == scraped(agent)?)
        };
        wait_for("status, journal and metrics to agree", SOON, || alike().unwrap_or(false))?;
        Self::of(agent)
    }

    fn of(agent: &Agent) -> Result<Self> {
        let cart = agent.segment_status("cart")?;
        let number = |key: &str| cart[key].as_f64().with_context(|| format!("no {key}"));
        Ok(Self {
            lessons: [number("lessons_hit")?, number("lessons_late")?, number("lessons_waste")?],
            saved_s: number("saved_ms")? / 1000.0,
            wasted_mb_s: number("wasted_mb_s")?,
        })
    }

    /// Waits until so many more were judged and nothing stands; what that added. No other may have been judged.
    fn next(&mut self, agent: &Agent, watch: &Watch, more: [f64; 3]) -> Result<Self> {
        let before = *self;
        let all = |lessons: [f64; 3]| lessons.iter().sum::<f64>();
        let judged = || Self::of(agent).is_ok_and(|now| all(now.lessons) >= all(before.lessons) + all(more));
        wait_for("the step to be judged", SOON, judged)?;
        agent.wait_until_nothing_stands()?;
        *self = Self::settled(agent, watch)?;
        let added = Self {
            lessons: [0, 1, 2].map(|verdict| self.lessons[verdict] - before.lessons[verdict]),
            saved_s: self.saved_s - before.saved_s,
            wasted_mb_s: self.wasted_mb_s - before.wasted_mb_s,
        };
        assert_eq!(added.lessons, more, "hits, late, waste");
        Ok(added)
    }
}

/// Lessons of the cart, as the journal told them one by one.
fn told(watch: &Watch) -> [f64; 3] {
    let lines = watch.lines();
    let of_cart = |line: &&Line| line["kind"] == "lesson" && line["segment"] == "cart";
    let count =
        |outcome: &str| lines.iter().filter(of_cart).filter(|line| line["outcome"] == outcome).count() as f64;
    [count("hit"), count("late"), count("waste")]
}

/// Lessons of the cart, as Prometheus would see them.
fn scraped(agent: &Agent) -> Result<[f64; 3]> {
    let text = agent.metrics()?;
    let count = |verdict: &str| {
        let name = format!("weft_lessons_total{{segment=\"cart\",verdict=\"{verdict}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0.0)
    };
    Ok([count("hit"), count("late"), count("waste")])
}

/// Carts that were made for a forecast.
fn made_ahead(watch: &Watch) -> usize {
    let is_made = |line: &&Line| {
        line["state"] == "creating" && line["cause"] == "forecast" && line["segment"] == "cart"
    };
    watch.lines().iter().filter(is_made).count()
}

/// A cart that takes its time to listen and holds some memory.
fn home_and_slow_cart() -> Result<Agent> {
    let image =
        segment_image("shop/segment:1", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images"))?;
    let segment = |name: &str| Segment::new(name, "shop/segment:1");
    let slow = segment("cart").env("LISTEN_AFTER_MS", "600").env("ALLOC_MB", "8");
    Agent::builder("worth").image(image).segment(segment("home")).segment(slow).start()
}
