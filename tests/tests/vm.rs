//! Segments in virtual machines, through the runtime's own door: a segment's image boots behind the bridge and answers; the
//! next goes on from its state, and one that is held ready is there at once.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weft::runtime::qemu::{Acceleration, VmSignal};
use weft::runtime::{InstanceState, Runtime, RuntimeEvent};
use weft_vms::{BANDWIDTH, BOOTED, CONTAINED, Instance, LIMITED, RESTORED, Stage, ask};

const PATIENCE: Duration = Duration::from_secs(60);

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_boots_in_a_vm_and_the_next_go_on_where_it_listened_or_where_they_were_held() -> Result<()>
{
    let stage = Stage::open("vm-life", &cache()).await?;
    let booted = stage.serve(RESTORED).await?;
    assert!(ask(booted.address, "/").await?.contains(&format!("\"name\":\"{}\"", booted.id)));
    let restored = stage.serve(RESTORED).await?;
    stage.vms().hold(RESTORED, &stage.recipe(RESTORED)).await?;
    let held = stage.serve(RESTORED).await?;
    assert_eq!(stage.vms().held(), 0);
    let began = [began(&booted).await?, began(&restored).await?, began(&held).await?];
    assert!(began.iter().all(|one| *one == began[0]), "one program, begun once: {began:?}");

    // All of one state, and yet each somebody: an address of its own, and random numbers of its own.
    let mut drawn = Vec::new();
    for one in [&booted, &restored, &held] {
        drawn.push(told(one, "/tell/proc/sys/kernel/random/uuid").await?);
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 3, "{drawn:?}");
    assert!(told(&held, "/tell/proc/sys/kernel/hostname").await?.contains(held.id.as_str()));
    for one in [booted, restored, held] {
        stage.remove(&one.id).await?;
    }
    assert_eq!(stage.leftovers()?, Vec::<String>::new());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_vm_is_seen_whoever_ends_it_and_nothing_of_it_is_left() -> Result<()> {
    let stage = Stage::open("vm-end", &cache()).await?;
    let mut events = stage.runtimes().events();
    let killed = stage.serve(RESTORED).await?;
    std::process::Command::new("kill").args(["-9", &killed.pid.to_string()]).status()?;
    let told = timeout(PATIENCE, async {
        while let Some(event) = events.recv().await {
            if let RuntimeEvent::Exited { container_id, pid, status, .. } = event {
                return Some((container_id, pid, status));
            }
        }
        None
    });
    let expected = Some((killed.id.to_string(), killed.pid, 137));
    assert_eq!(told.await.context("the end was not told")?, expected);
    stage.remove(&killed.id).await?;

    // The program's own end: its status comes out of the guest.
    let ended = stage.serve(RESTORED).await?;
    assert!(ask(ended.address, "/end/7").await.is_err());
    let told = timeout(PATIENCE, async {
        while let Some(event) = events.recv().await {
            if let RuntimeEvent::Exited { container_id, status, .. } = event
                && container_id == ended.id.as_str()
            {
                return Some(status);
            }
        }
        None
    });
    assert_eq!(told.await.context("the end was not told")?, Some(7));
    stage.remove(&ended.id).await?;
    assert_eq!(stage.leftovers()?, Vec::<String>::new());
    stage.close().await
}

#[test]
fn an_agent_that_starts_takes_over_the_vms_of_the_one_before() -> Result<()> {
    // All that an agent has under way ends with its runtime, as it does with its process.
    let before = tokio::runtime::Runtime::new()?;
    let (stage, one) = before.block_on(async {
        let stage = Stage::open("vm-adopt", &cache()).await?;
        let one = stage.serve(RESTORED).await?;
        Ok::<_, anyhow::Error>((stage, one))
    })?;
    before.shutdown_timeout(PATIENCE);
    tokio::runtime::Runtime::new()?.block_on(taken_over(stage, one))
}

async fn taken_over(stage: Stage, one: Instance) -> Result<()> {
    let stage = stage.reopened().await?;
    let found = stage.runtimes().list().await?;
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&found.id, found.pid, found.state), (&one.id, one.pid, InstanceState::Running));
    let recipe = stage.recipe(&found.segment);
    let image = stage.runtimes().image(&recipe.image).await?;
    assert_eq!(found.made_from, recipe.fingerprint(&image.digest));
    // Its guest is asked how things stand, and says so.
    timeout(PATIENCE, stage.listening(one.cgroup_id)).await??;
    assert!(ask(one.address, "/").await?.contains(one.id.as_str()));
    let open = TcpStream::connect(one.address).await?;
    let counted = |open| VmSignal::Connections { cgroup_id: one.cgroup_id, open };
    timeout(PATIENCE, stage.signal(|signal| signal == counted(1))).await??;
    assert_eq!(stage.runtimes().open_connections(found.cgroup.as_ref().context("it lives")?), Some(1));
    drop(open);
    timeout(PATIENCE, stage.signal(|signal| signal == counted(0))).await??;
    stage.remove(&one.id).await?;
    assert_eq!(stage.leftovers()?, Vec::<String>::new());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_snapshot_costs_a_boot_and_nothing_else() -> Result<()> {
    let stage = Stage::open("vm-broken", &cache()).await?;
    let first = stage.serve(RESTORED).await?;
    stage.remove(&first.id).await?;
    let snapshot = snapshots(&stage)?.pop().context("the first left a snapshot")?;
    let mut bytes = fs::read(&snapshot)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&snapshot, &bytes)?;
    let second = stage.serve(RESTORED).await?;
    // Only one that boots leaves another.
    let [left] = &snapshots(&stage)?[..] else { panic!("{:?}", snapshots(&stage)?) };
    assert!(fs::read(left)? != bytes, "it went on from a broken one");
    stage.remove(&second.id).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_and_a_vm_of_one_image_serve_side_by_side() -> Result<()> {
    let stage = Stage::open("vm-both", &cache()).await?;
    let (vm, container) = tokio::join!(stage.serve(BOOTED), stage.serve(CONTAINED));
    let (vm, container) = (vm?, container?);
    // A segment that never leaves a snapshot has not left one.
    assert_eq!(snapshots(&stage)?.len(), 0);
    assert!(told(&vm, "/tell/proc/sys/kernel/osrelease").await?.contains("6."));
    assert_ne!(
        told(&vm, "/tell/proc/sys/kernel/random/boot_id").await?,
        told(&container, "/tell/proc/sys/kernel/random/boot_id").await?
    );
    let mut known: Vec<_> = stage.runtimes().list().await?.into_iter().map(|found| found.id).collect();
    known.sort();
    assert_eq!(known, [vm.id.clone(), container.id.clone()]);
    for one in [vm, container] {
        stage.remove(&one.id).await?;
    }
    assert_eq!(stage.leftovers()?, Vec::<String>::new());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn kvm_executes_guests_only_where_one_has_been_seen_to_run_in_it() -> Result<()> {
    let stage = Stage::open_executed_by(Acceleration::Auto, "vm-kvm", &cache()).await?;
    let begun = Instant::now();
    timeout(PATIENCE, stage.vms().accelerator()).await.context("the trial has no end")??;
    println!("the trial took {:?} and chose {}", begun.elapsed(), stage.vms().accelerator().await?);
    assert_eq!(stage.leftovers()?, Vec::<String>::new());
    // Whatever was chosen, guests run in it.
    let one = stage.serve(BOOTED).await?;
    stage.remove(&one.id).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_sends_and_receives_no_faster_than_its_profile_says() -> Result<()> {
    let stage = Stage::open("vm-band", &cache()).await?;
    let (limited, free) = (stage.serve(LIMITED).await?, stage.serve(BOOTED).await?);
    let bytes = usize::try_from(BANDWIDTH * 4)?;
    let (slow, fast) = (echoed(&limited, bytes).await?, echoed(&free, bytes).await?);
    println!("limited {slow:?}, free {fast:?}");
    // What goes at once is a part of the first second's.
    assert!(slow > Duration::from_secs(3), "{slow:?}");
    assert!(fast * 2 < slow, "{fast:?}, limited {slow:?}");
    for one in [limited, free] {
        stage.remove(&one.id).await?;
    }
    stage.close().await
}

/// Sends so many bytes in parts, each of which comes back, and tells how long it took.
async fn echoed(instance: &Instance, bytes: usize) -> Result<Duration> {
    const PART: usize = 32 << 10;
    let part = vec![b'a'; PART];
    let mut stream = BufReader::new(TcpStream::connect(instance.address).await?);
    let begun = Instant::now();
    for _ in 0..bytes / PART {
        let head = format!("POST /echo HTTP/1.1\r\nHost: vm\r\nContent-Length: {PART}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&part).await?;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the connection was closed");
        }
        stream.read_exact(&mut vec![0; PART]).await?;
    }
    Ok(begun.elapsed())
}

/// When its program began, in the guest's own time: another for each boot.
async fn began(one: &Instance) -> Result<u64> {
    let stat = told(one, "/tell/proc/self/stat").await?;
    // The name in brackets may have blanks; the 20th word behind it.
    let mut words = stat.rsplit_once(')').context("a name in brackets")?.1.split_whitespace();
    Ok(words.nth(19).context("a time")?.parse()?)
}

/// What the segment tells of a file of its own.
async fn told(instance: &Instance, target: &str) -> Result<String> {
    let answer = ask(instance.address, target).await?;
    let (_, told) = answer.split_once("\"told\":\"").context("an answer tells")?;
    Ok(told.split('"').next().unwrap_or_default().to_owned())
}

fn snapshots(stage: &Stage) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(&stage.config().state)?.flatten().map(|entry| entry.path());
    Ok(entries.filter(|path| path.extension().is_some_and(|ending| ending == "snapshot")).collect())
}
