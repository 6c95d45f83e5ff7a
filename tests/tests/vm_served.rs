//! Segments in VMs, as their callers see them. The guests are executed without KVM, so that the tests say the same on every
//! machine.
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weft_tests::agent::{Agent, Builder, Segment};
use weft_tests::http::{Reply, Request};
use weft_tests::kernel::Kernel;
use weft_tests::wait::wait_for;

/// A guest without KVM on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(300);

fn with_guests(name: &str) -> Result<Builder> {
    let builder = Agent::builder(name);
    let kernel = Kernel::fetched(builder.cache_path())?;
    Ok(builder.guests(kernel))
}

fn ask(agent: &Agent, address: SocketAddr) -> Result<Reply> {
    let reply = agent.caller()?.send(&Request::get(address, "/").patience(PATIENCE))?;
    ensure!(reply.status == 200, "{reply:?}");
    Ok(reply)
}

/// The only instance there is.
fn only(agent: &Agent) -> Result<Value> {
    let status = agent.status()?;
    let instances = status["instances"].as_array().context("a list of instances")?;
    ensure!(instances.len() == 1, "{status}");
    Ok(instances[0].clone())
}

fn booked(agent: &Agent, uses: u64) -> Result<()> {
    wait_for("the request to be booked", PATIENCE, || only(agent).is_ok_and(|one| one["uses"] == uses))
}

fn qemu_of(agent: &Agent) -> Result<usize> {
    let folder = agent.place().directory().display().to_string();
    let lines =
        fs::read_dir("/proc")?.flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    Ok(lines
        .filter(|line| line.starts_with(b"qemu") && String::from_utf8_lossy(line).contains(&folder))
        .count())
}

#[test]
fn callers_are_served_by_a_vm_as_by_a_container_also_after_the_agent_was_killed() -> Result<()> {
    let cart = Segment::new("cart", "shop/cart:1").in_vm().limits(128, 1.0).start_timeout(PATIENCE);
    let mut agent = with_guests("invm")?
        .fixture("shop/cart:1")?
        .segment(cart)
        .keep_alive(Duration::from_secs(20))
        .start()?;
    let address = agent.address("cart");
    let first = ask(&agent, address)?;
    let one = only(&agent)?;
    let name = one["name"].as_str().context("a name")?;
    assert!(first.body.contains(name), "the guest bears its instance's name: {}", first.body);
    booked(&agent, 1)?;
    assert_eq!(qemu_of(&agent)?, 1);

    let redirected = |agent: &Agent| anyhow::Ok(agent.status()?["redirected"].as_u64().context("a count")?);
    let before = redirected(&agent)?;
    assert!(ask(&agent, address)?.body.contains(name));
    assert_eq!(redirected(&agent)?, before + 1, "the way into a VM is that into a container");
    booked(&agent, 2)?;

    agent.kill9()?;
    agent.start_again()?;
    assert_eq!(only(&agent)?["name"], one["name"], "the VM outlives its agent");
    assert!(ask(&agent, address)?.body.contains(name));
    agent.wait_until_nothing_stands()?;
    assert_eq!(qemu_of(&agent)?, 0);
    agent.stop()
}

#[test]
fn code_that_is_deployed_into_a_vm_listens_there_before_its_first_request() -> Result<()> {
    let agent = with_guests("vmcode")?.keep_alive(PATIENCE).start()?;
    let folder = agent.place().directory().join("greet");
    fs::create_dir_all(&folder)?;
    let code = "import platform\ndef handler(event):\n    return platform.node()\n";
    fs::write(folder.join("app.py"), code)?;
    fs::write(folder.join("weft.toml"), "isolation = 'vm'\nstart_timeout = '5m'\n")?;
    let said = agent.weft(&["deploy", Path::to_str(&folder).context("a path in UTF-8")?])?;
    let address = said.trim_end().rsplit(' ').next().context("an address at the end")?.parse()?;
    let one = only(&agent)?;
    assert_eq!((&one["state"], &one["uses"], &one["origin"]), (&"ready".into(), &0.into(), &"deploy".into()));
    assert_eq!(qemu_of(&agent)?, 1);
    assert_eq!(Value::from(ask(&agent, address)?.body), one["name"]);
    booked(&agent, 1)?;
    agent.stop()
}

/// Kata needs KVM. What weft does for VMs of another's making is the same for every runtime of containerd's, and runc is one:
/// of sockets inside, the kernel's programs are told nothing.
#[test]
fn a_vm_that_containerd_makes_is_dialled_until_it_accepts_and_stays_while_somebody_is_connected() -> Result<()>
{
    let keep_alive = Duration::from_secs(1);
    let cart = Segment::new("cart", "shop/cart:1").in_vm().env("LISTEN_AFTER_MS", "300");
    let builder = Agent::builder("othervm").fixture("shop/cart:1")?.segment(cart).keep_alive(keep_alive);
    let mut agent = builder.vm_runtime("io.containerd.runc.v2").start()?;
    let address = agent.address("cart");
    let caller = agent.caller()?;
    let first = ask(&agent, address)?;
    let name = only(&agent)?["name"].as_str().context("a name")?.to_owned();
    assert!(first.body.contains(&name), "{}", first.body);
    assert_eq!(qemu_of(&agent)?, 0, "weft makes none itself");
    let long = Request::get(address, "/busy/4000").patience(PATIENCE);
    let open = |agent: &Agent| only(agent).is_ok_and(|one| one["open_connections"] == 1);
    std::thread::scope(|scope| -> Result<()> {
        let working = scope.spawn(|| caller.send(&long));
        wait_for("its connection to be counted", PATIENCE, || open(&agent))?;
        agent.kill9()?;
        agent.start_again()?;
        assert_eq!(only(&agent)?["name"], *name, "it outlives its agent");
        let reply = working.join().map_err(|_| anyhow::anyhow!("the caller panicked"))??;
        assert!(reply.status == 200 && reply.body.contains(&name), "{reply:?}");
        Ok(())
    })?;
    agent.wait_until_nothing_stands()?;
    agent.stop()
}
