//! What an instance may do, seen from inside: few privileges, its own processes and network alone, no more memory and
//! processor time than its segment has.
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_tests::agent::{Agent, Segment};
use weft_tests::http::Request;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);
/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap and net_bind_service, as the kernel numbers them.
const CAPABILITIES: u64 = 0b101_1111_1011;
const ABSENT: &str = "No such file or directory (os error 2)";
/// The kernel's unit of processor time in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

fn one(name: &str, cart: impl FnOnce(Segment) -> Segment) -> Result<Agent> {
    let cart = cart(Segment::new("cart", "shop/cart:1"));
    let builder = Agent::builder(name).fixture("shop/cart:1")?.segment(cart);
    builder.keep_alive(Duration::from_secs(60)).start()
}

fn ask(agent: &Agent, target: &str) -> Result<Value> {
    let reply = agent.caller()?.send(&Request::get(agent.address("cart"), target))?;
    ensure!(reply.status == 200, "{reply:?}");
    Ok(serde_json::from_str(&reply.body)?)
}

/// A file as the instance sees it, or what the system says.
fn tell(agent: &Agent, path: &str) -> Result<String> {
    Ok(ask(agent, &format!("/tell{path}"))?["told"].as_str().context("a text")?.to_owned())
}

/// What `/proc/self/status` says under a name.
fn field(status: &str, name: &str) -> Result<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.with_context(|| name.to_owned())?.trim().to_owned())
}

#[test]
fn an_instance_has_the_privileges_of_a_server_and_can_get_no_others() -> Result<()> {
    let agent = one("privileges", |cart| cart)?;
    let status = tell(&agent, "/proc/self/status")?;
    assert_eq!(field(&status, "NoNewPrivs")?, "1");
    for (set, most) in [
        ("CapBnd", CAPABILITIES),
        ("CapPrm", CAPABILITIES),
        ("CapEff", CAPABILITIES),
        ("CapInh", 0),
        ("CapAmb", 0),
    ] {
        let has = u64::from_str_radix(&field(&status, set)?, 16)?;
        assert_eq!(has, most, "{set}: {has:b}");
    }
    agent.stop()
}

#[test]
fn an_instance_sees_itself_and_nothing_of_the_node() -> Result<()> {
    let agent = one("sees", |cart| cart)?;
    assert_eq!(tell(&agent, "/proc/1/comm")?, "segment\n");
    assert_eq!(field(&tell(&agent, "/proc/self/status")?, "NSpid")?, "1");
    let devices = tell(&agent, "/proc/net/dev")?;
    let mut names: Vec<_> =
        devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    names.sort_unstable();
    // Those that the kernel puts into every network have no way out.
    names.retain(|name| ["eth0", "lo"].contains(name) || is_of_the_node(name));
    assert_eq!(names, ["eth0", "lo"]);
    assert!(tell(&agent, "/proc/self/cgroup")?.lines().all(|line| line.ends_with(":/")));
    for masked in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        // Empty; not every kernel has it.
        assert!(["", ABSENT].contains(&tell(&agent, masked)?.as_str()), "{masked} tells something");
    }
    for absent in ["/dev/mem", "/dev/kmsg", "/etc/shadow", agent.place().config().to_str().context("UTF-8")?]
    {
        assert_eq!(tell(&agent, absent)?, ABSENT, "{absent}");
    }
    let mounts = tell(&agent, "/proc/self/mounts")?;
    let is_there = |path: &&str| std::path::Path::new(path).exists();
    for path in ["/sys", "/proc/sys", "/proc/sysrq-trigger", "/proc/irq"].into_iter().filter(is_there) {
        let mount = mounts.lines().find(|line| line.split(' ').nth(1) == Some(path)).context(path)?;
        assert!(mount.split(' ').nth(3).is_some_and(|options| options.starts_with("ro,")), "{mount}");
    }
    agent.stop()
}

/// Whether a link is one of the node's: of a bridge or a pair.
fn is_of_the_node(name: &str) -> bool {
    name.starts_with("weft") || name.starts_with("veth") || name.starts_with("br")
}

#[test]
fn an_instance_that_outgrows_its_memory_at_work_is_killed_alone_and_replaced() -> Result<()> {
    let agent = Agent::builder("outgrows")
        .fixture("shop/cart:1")?
        .segment(Segment::new("cart", "shop/cart:1").limits(48, 1.0))
        .segment(Segment::new("price", "shop/cart:1").limits(48, 1.0))
        .keep_alive(Duration::from_secs(60))
        .start()?;
    let price = Request::get(agent.address("price"), "/");
    assert_eq!(agent.caller()?.send(&price)?.status, 200);
    ask(&agent, "/hold/8")?;
    let known = |name: &str| {
        let status = agent.status()?;
        let mut all = status["instances"].as_array().into_iter().flatten();
        Ok::<_, anyhow::Error>(all.find(|one| one["segment"] == name).cloned().unwrap_or_default())
    };
    let bytes = || known("cart").ok().and_then(|one| one["memory_bytes"].as_u64());
    wait_for("its memory to be seen", PATIENCE, || bytes().is_some_and(|bytes| bytes > 8 << 20))?;
    let (first, other) = (known("cart")?["name"].clone(), known("price")?["name"].clone());
    assert!(ask(&agent, "/hold/100").is_err(), "it holds more than it may");
    wait_for("its end to be seen", PATIENCE, || known("cart").is_ok_and(|one| one["name"] != first))?;
    assert_eq!(ask(&agent, "/")?["requests"], 1, "no new instance took its place");
    assert_eq!(known("price")?["name"], other, "another segment's instance ended with it");
    agent.stop()
}

#[test]
fn one_that_cannot_start_within_its_memory_is_shown_with_the_cause() -> Result<()> {
    let agent = one("starves", |cart| cart.env("ALLOC_MB", "100").limits(48, 1.0))?;
    assert!(ask(&agent, "/").is_err());
    let trouble = agent.status()?["segments"][0]["trouble"].clone();
    assert!(trouble.as_str().is_some_and(|trouble| trouble.contains("ran out of memory")), "{trouble}");
    assert!(agent.weft(&["status"])?.contains("ran out of memory"), "the table does not show it");
    agent.stop()
}

#[test]
fn an_instance_gets_no_more_of_the_processor_than_its_limit_however_many_threads_it_has() -> Result<()> {
    let agent = one("processor", |cart| cart.limits(64, 0.2))?;
    let used = |agent: &Agent| -> Result<f64> {
        let stat = tell(agent, "/proc/self/stat")?;
        let words: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<f64>().ok());
        Ok((number(11).context("utime")? + number(12).context("stime")?) / TICKS_PER_SECOND)
    };
    let (before, begun) = (used(&agent)?, Instant::now());
    thread::scope(|scope| {
        let spins: Vec<_> = (0..2).map(|_| scope.spawn(|| ask(&agent, "/spin/2500"))).collect();
        spins.into_iter().try_for_each(|spin| spin.join().expect("no panic").map(drop))
    })?;
    let (used, took) = (used(&agent)? - before, begun.elapsed().as_secs_f64());
    // A period's worth more: what is left of one when it begins, and of one when it ends.
    assert!(used <= 0.2 * took + 0.1, "{used:.2} s of the processor in {took:.2} s");
    assert!(used >= 0.02, "it did not work: {used} s");
    agent.stop()
}
