//! The floor of a cold start: containerd's own calls, one after the other, and the program's start; nothing else.
//!
//! In: on the command line, an image and a network namespace with an address; on standard input, `go` once per
//! container wanted. Out: a JSON line per container, with each step's time or the error, written when the container
//! is gone again. Refuses other words. The image is looked up, the connection to containerd opened and a lease against
//! its garbage collector taken once, before the first container, and not timed.
mod container;
mod image;
mod spec;

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Serialize;

use container::{Containerd, Steps};

/// Make containers with containerd's own calls and time them
#[derive(Debug, Parser)]
#[command(name = "weft-floor")]
struct Arguments {
    /// containerd's socket
    #[arg(long)]
    containerd: PathBuf,
    /// The namespace in it that has the image, unpacked
    #[arg(long)]
    namespace: String,
    /// The snapshotter that has the image's layers
    #[arg(long, default_value = "overlayfs")]
    snapshotter: String,
    /// Where runc notes its containers
    #[arg(long)]
    runc_root: PathBuf,
    /// The image to run
    #[arg(long)]
    image: String,
    /// Parent of the containers' cgroups, from the root of each tree
    #[arg(long)]
    cgroup_parent: PathBuf,
    /// The network namespace that the containers join, one after the other
    #[arg(long)]
    netns: PathBuf,
    /// Where the program answers in there
    #[arg(long)]
    address: SocketAddr,
    /// Hard limit of memory, in bytes
    #[arg(long)]
    memory: u64,
    /// Hard limit of processor time, in cores
    #[arg(long)]
    cores: f64,
}

/// What is told of one container.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Made(Steps),
    Failed { error: String },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // One thread: every hand-over to another would be time that containerd did not take.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let containerd = runtime.block_on(Containerd::open(arguments))?;
    tell(&serde_json::json!({ "ready": true }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        match line.trim() {
            "go" => tell(&runtime.block_on(one(&containerd)))?,
            word => bail!("`{word}` is not known; say `go`"),
        }
    }
    runtime.block_on(containerd.close())
}

/// Makes one container and takes it away again.
async fn one(containerd: &Containerd) -> Answer {
    let id = containerd.next_id();
    let made = containerd.make(&id).await;
    let cleared = containerd.clear(&id).await;
    match made.and_then(|steps| cleared.map(|()| steps)) {
        Ok(steps) => Answer::Made(steps),
        Err(error) => Answer::Failed { error: format!("{error:#}") },
    }
}

fn tell(answer: &impl Serialize) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(answer)?)?;
    output.flush().context("standard output")
}
