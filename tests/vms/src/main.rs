//! What it takes to have a VM. In: on standard input, `boot`, `restore` or `paused`, once per VM wanted. Out: a JSON line per
//! VM with the time from the wish to the first answer, in milliseconds, or the error; written when the VM is gone again.
//! Refuses other words. Before the first question one VM has booted and left the snapshot.
use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use weft_vms::{BOOTED, RESTORED, Stage};

/// Make VMs and time their first answers
#[derive(Debug, Parser)]
#[command(name = "weft-vms")]
struct Arguments {
    /// Where images and the guests' kernel are kept from run to run
    #[arg(long)]
    cache: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stage = Stage::open("bench-vm", &arguments.cache).await?;
        let served = answer(&stage).await;
        stage.close().await.and(served)
    })
}

async fn answer(stage: &Stage) -> Result<()> {
    let first = stage.serve(RESTORED).await.context("the VM that leaves the snapshot")?;
    stage.remove(&first.id).await?;
    tell(&serde_json::json!({ "ready": true, "accelerator": stage.vms().accelerator().await? }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        match one(stage, line.trim()).await {
            Ok(ms) => tell(&serde_json::json!({ "ms": ms }))?,
            Err(error) => tell(&serde_json::json!({ "error": format!("{error:#}") }))?,
        }
    }
    Ok(())
}

/// Makes one VM and takes it away again.
async fn one(stage: &Stage, kind: &str) -> Result<f64> {
    let segment = match kind {
        "boot" => BOOTED,
        "restore" => RESTORED,
        "paused" => {
            stage.vms().hold(RESTORED, &stage.recipe(RESTORED)).await?;
            RESTORED
        }
        other => bail!("`{other}` is not known; say `boot`, `restore` or `paused`"),
    };
    let instance = stage.serve(segment).await?;
    stage.remove(&instance.id).await?;
    Ok(instance.took.as_secs_f64() * 1000.0)
}

fn tell(answer: &serde_json::Value) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{answer}")?;
    output.flush().context("standard output")
}
