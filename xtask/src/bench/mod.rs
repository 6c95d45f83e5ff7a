//! `cargo xtask bench WHAT`: what weft costs and gains, against a reference that is measured in the same run, in turns
//! with it. In: which benchmark. Out: a table with target and verdict, or one JSON object; progress goes to standard
//! error. A target that is missed is a result; only what could not be measured is a failure.
pub(crate) mod code;
mod deploy;
mod foresee;
mod machine;
mod progress;
mod release;
mod replay;
mod report;
mod scrape;
mod standing;
mod start;
mod stats;
mod vm;

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

/// Measure weft against a reference
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Cold starts against containerd's own calls and `ctr run`; hits against the same container reached directly
    Start(start::Arguments),
    /// The first request to uploaded code, against later ones and one for which nothing stands
    Deploy(deploy::Arguments),
    /// The boot of a VM against going on from a snapshot, and that against one that was held paused
    Vm(vm::Arguments),
    /// The code graph and what code costs: right call graphs of PyCG's benchmark, source per second, right costs
    Code(code::Arguments),
    /// The policy for prewarming and keep-alive, against those of the literature on traces of calls
    Replay(replay::Arguments),
    /// What the policy for standing instances costs and saves live, against plain keep-alive
    Standing(standing::Arguments),
    /// Forecasts of what comes next, against sequence predictors of the literature on traces of requests
    Foresee(foresee::Arguments),
}

/// Measures.
///
/// # Errors
/// What could not be measured.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Start(arguments) => start::run(arguments),
        What::Deploy(arguments) => deploy::run(arguments),
        What::Vm(arguments) => vm::run(arguments),
        What::Code(arguments) => code::run(arguments),
        What::Replay(arguments) => replay::run(arguments),
        What::Standing(arguments) => standing::run(arguments),
        What::Foresee(arguments) => foresee::run(arguments),
    }
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// When it cannot be started or fails; the message holds what it said.
fn run_program(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}: {}", arguments.join(" "), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
