//! containerd's garbage collector runs at the worst moments: while instances are made, serve and are removed, and while
//! an image is unpacked. It takes nothing in use, and what weft has no more use for is not kept from it.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use weft_tests::agent::{Agent, Segment};
use weft_tests::containerd::{PrivateContainerd, Unpack};
use weft_tests::http::Request;
use weft_tests::image::segment_image;
use weft_tests::load::Load;
use weft_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(90);

/// Tells a thread to stop, also when a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does `work` while garbage is collected without a pause, and returns how often it was.
fn while_collecting(containerd: &PrivateContainerd, work: impl FnOnce() -> Result<()>) -> Result<usize> {
    let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                containerd.collect_garbage()?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
        let stopping = Stop(&stop);
        let begun = wait_for("the first collection", PATIENCE, || {
            count.load(Ordering::Relaxed) > 0 || collecting.is_finished()
        });
        let worked = begun.and_then(|()| work());
        drop(stopping);
        collecting.join().map_err(|_| anyhow!("the collector's thread panicked"))??;
        worked.map(|()| count.load(Ordering::Relaxed))
    })
}

fn get(agent: &Agent, segment: &str) -> Request {
    Request::get(agent.address(segment), "/").patience(PATIENCE)
}

fn instances(agent: &Agent) -> Result<usize> {
    Ok(agent.status()?["instances"].as_array().context("a list of instances")?.len())
}

/// The snapshots of unpacked layers.
fn layers(agent: &Agent) -> Result<Vec<String>> {
    let snapshots = agent.containerd()?.ctr(&["-n", "weft", "snapshots", "ls"])?;
    let committed = snapshots.lines().filter(|line| line.trim_end().ends_with("Committed"));
    Ok(committed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn assert_nothing_astray(agent: &Agent) -> Result<()> {
    wait_for("the removal of what belongs to nobody", PATIENCE, || {
        agent.orphans().is_ok_and(|orphans| orphans.is_empty())
    })
    .map_err(|error| error.context(format!("{:?}", agent.orphans())))
}

#[test]
fn collections_without_a_pause_take_nothing_from_instances_that_are_made_serve_and_go() -> Result<()> {
    let briefly = ["cart", "price", "stock"];
    let builder = Agent::builder("garbage").fixture("shop/any:1")?.keep_alive(Duration::from_millis(200));
    let builder = builder.segment(Segment::new("steady", "shop/any:1"));
    let agent = briefly
        .iter()
        .fold(builder, |builder, name| builder.segment(Segment::new(name, "shop/any:1")))
        .start()?;
    let caller = agent.caller()?;
    let before = layers(&agent)?;
    let load = Load::start(agent.caller()?, &get(&agent, "steady"), 1);
    let collections = while_collecting(agent.containerd()?, || {
        for _ in 0..8 {
            for segment in briefly {
                let reply = caller.send(&get(&agent, segment))?;
                assert_eq!(reply.status, 200, "{segment}: {}", reply.body);
            }
            wait_for("the end of all but the steady one", PATIENCE, || {
                instances(&agent).is_ok_and(|count| count <= 1)
            })?;
        }
        Ok(())
    })?;
    load.wait_for_more(10)?;
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{} of {}: {:?}", tally.failures.len(), tally.served, tally.failures);
    assert!(collections > 24, "only {collections} collections");
    assert_eq!(layers(&agent)?, before, "the layers of the image were taken");
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn an_image_is_unpacked_while_garbage_is_collected_and_its_layers_stay() -> Result<()> {
    let agent = Agent::builder("unpacks").segment(Segment::new("cart", "shop/cart:1")).start()?;
    // Several layers, each large enough to be met at it.
    let image = segment_image("shop/cart:1", agent.cache())?;
    let image = ["/one", "/two", "/three"]
        .into_iter()
        .fold(image, |image, path| image.layer_file(vec![7; 16 << 20], path, 0o644));
    let caller = agent.caller()?;
    while_collecting(agent.containerd()?, || {
        agent.import_later(&image, Unpack::Later)?;
        assert_eq!(layers(&agent)?, [""; 0]);
        let reply = caller.send(&get(&agent, "cart"))?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        wait_for("the end of the instance", PATIENCE, || instances(&agent).is_ok_and(|count| count == 0))
    })?;
    agent.containerd()?.collect_garbage()?;
    assert_eq!(layers(&agent)?.len(), 4);
    assert_nothing_astray(&agent)?;
    agent.stop()
}

#[test]
fn layers_that_a_cut_off_unpacking_has_left_are_kept_with_the_image_and_its_lease_is_given_back() -> Result<()>
{
    let mut agent = Agent::builder("cut-off")
        .fixture("shop/cart:1")?
        .segment(Segment::new("cart", "shop/cart:1"))
        .start()?;
    agent.terminate()?;
    // As it is after the last layer and before the end: a lease, and nothing by which the image keeps its layers.
    let containerd = agent.containerd()?;
    let before = layers(&agent)?;
    let [top] = &before[..] else { panic!("the image has one layer: {before:?}") };
    let lease = format!("weft-unpack-{}", top.trim_start_matches("sha256:"));
    containerd.ctr(&["-n", "weft", "leases", "create", "--id", &lease])?;
    let content = containerd.ctr(&["-n", "weft", "content", "ls"])?;
    let keeps = content.lines().find(|line| line.contains("containerd.io/gc.ref.snapshot.overlayfs"));
    let digest = keeps.and_then(|line| line.split_whitespace().next()).context("what keeps the layers")?;
    containerd.ctr(&[
        "-n",
        "weft",
        "content",
        "label",
        digest,
        "containerd.io/gc.ref.snapshot.overlayfs=",
    ])?;
    agent.start_again()?;
    assert_eq!(agent.caller()?.send(&get(&agent, "cart"))?.status, 200);
    assert_nothing_astray(&agent)?;
    wait_for("the end of the instance", PATIENCE, || instances(&agent).is_ok_and(|count| count == 0))?;
    agent.containerd()?.collect_garbage()?;
    assert_eq!(layers(&agent)?, before);
    agent.stop()
}
