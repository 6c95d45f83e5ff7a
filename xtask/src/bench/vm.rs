//! `cargo xtask bench vm`: how long a request waits for its VM. In: how many rounds. Out: ratios and times.
//!
//! | | what is timed, from the wish for an instance to its first answer |
//! | --- | --- |
//! | boot | a VM that begins with its first instruction |
//! | restore | one that goes on from the snapshot of another |
//! | paused | one that was held, stopped, and becomes somebody |
//!
//! The three are measured in turns, and are references of each other: what executes the guests differs by an order of
//! magnitude from machine to machine, what they gain does not.
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::machine::Machine;
use super::progress::Progress;
use super::release;
use super::report::{Claim, Report, Target, Times};
use super::stats::ratio;
use crate::repository;
use crate::setup::{self, Purpose};
use crate::stop::Stop;

/// A boot without KVM on a busy machine, and the first fetch of a kernel.
const PATIENCE: Duration = Duration::from_secs(600);
const FAILURES_MAX: usize = 3;
const KINDS: [&str; 3] = ["boot", "restore", "paused"];

/// Measure how long a request waits for its VM
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Samples of each kind
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Made { ms: f64 },
    Failed { error: String },
    Ready { ready: bool, accelerator: String },
}

/// What was measured.
#[derive(Debug, Default)]
struct Outcome {
    /// One series for each of [`KINDS`].
    samples: [Vec<f64>; 3],
    failures: Vec<String>,
    accelerator: String,
}

/// Measures and prints.
///
/// # Errors
/// What could not be measured.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    setup::ready(&[Purpose::Demo])?;
    let load = release::enter()?;
    let stop = Stop::listen()?;
    let mut progress = Progress::start();
    let outcome = measure(arguments.rounds as usize, &mut progress, &stop);
    // Whatever failed because of it: this was the cause.
    stop.check()?;
    let report = report(outcome?, Machine::look(load)?, progress.seconds())?;
    eprintln!("samples: {}", report.keep()?.display());
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn measure(rounds: usize, progress: &mut Progress, stop: &Stop) -> Result<Outcome> {
    progress.stage("boot the VM that leaves the snapshot");
    let (mut tool, accelerator) = Tool::start()?;
    progress.stage(&format!("measure {rounds} VMs of each kind, executed by {accelerator}, in turns"));
    let mut outcome = Outcome { accelerator, ..Outcome::default() };
    for round in 0.. {
        let done = outcome.samples.iter().map(Vec::len).min().unwrap_or(0);
        if done >= rounds {
            break;
        }
        stop.check()?;
        let failed = outcome.failures.len();
        ensure!(
            failed <= FAILURES_MAX + rounds / 4,
            "{failed} samples failed: {:?}",
            outcome.failures.last()
        );
        outcome.round(&mut tool, round);
        progress.round(&format!("{done} of {rounds} rounds"));
    }
    tool.end()?;
    Ok(outcome)
}

impl Outcome {
    /// One of each kind, each kind first equally often; a round with a failure counts for none.
    fn round(&mut self, tool: &mut Tool, round: usize) {
        let mut times = [0.0; 3];
        for place in 0..KINDS.len() {
            let kind = (place + round) % KINDS.len();
            match tool.sample(KINDS[kind]) {
                Ok(ms) => times[kind] = ms,
                Err(error) => return self.failures.push(format!("{}: {error:#}", KINDS[kind])),
            }
        }
        self.samples.iter_mut().zip(times).for_each(|(samples, ms)| samples.push(ms));
    }
}

/// The program that makes the VMs.
struct Tool {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Tool {
    fn start() -> Result<(Self, String)> {
        let mut command = Command::new(release::program("weft-vms")?);
        command.arg("--cache").arg(repository::root().join("target/images"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("start weft-vms")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("weft-vms has an output")?);
        // One line per question, and one before the first.
        let (sender, lines) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        let tool = Self { child, input, lines };
        match tool.answer()? {
            Answer::Ready { ready: true, accelerator } => Ok((tool, accelerator)),
            Answer::Failed { error } => bail!("weft-vms: {error}"),
            _ => bail!("weft-vms did not say that it is ready"),
        }
    }

    fn sample(&mut self, kind: &str) -> Result<f64> {
        let input = self.input.as_mut().context("weft-vms has an input")?;
        writeln!(input, "{kind}").context("weft-vms has ended")?;
        match self.answer()? {
            Answer::Made { ms } => Ok(ms),
            Answer::Failed { error } => bail!("{error}"),
            Answer::Ready { .. } => bail!("weft-vms made nothing"),
        }
    }

    fn answer(&self) -> Result<Answer> {
        let line = self.lines.recv_timeout(PATIENCE).context("weft-vms does not answer")?;
        serde_json::from_str(&line).with_context(|| format!("weft-vms said `{line}`"))
    }

    /// Lets it take everything away.
    fn end(&mut self) -> Result<()> {
        // The end of its input is the end of its work.
        self.input = None;
        let status = self.child.wait().context("wait for weft-vms")?;
        ensure!(status.success(), "weft-vms: {status}");
        Ok(())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}

fn report(outcome: Outcome, machine: Machine, took_s: f64) -> Result<Report> {
    let [boot, restore, paused] = outcome.samples;
    let of = |key, samples: &[f64], reference: &[f64], least| {
        let ratio = ratio(samples, reference).with_context(|| format!("no samples for {key}"))?;
        Ok::<_, anyhow::Error>(Claim { key, ratio, target: Some(Target::AtLeast(least)) })
    };
    let claims = vec![
        of("boot_over_restore_p50", &boot, &restore, 10.0)?,
        of("restore_over_paused_p50", &restore, &paused, 3.0)?,
    ];
    let times = KINDS.into_iter().zip([boot, restore, paused]);
    Ok(Report {
        bench: "vm",
        claims,
        times: times.map(|(name, samples)| Times { name, samples }).collect(),
        steps: Vec::new(),
        counts: vec![("failed_samples", outcome.failures.len() as u64)],
        tallies: vec![("accelerator", [(outcome.accelerator, 1)].into())],
        lists: Vec::new(),
        failures: outcome.failures,
        machine,
        took_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_answers_of_the_tool_are_told_apart() {
        let read = |text: &str| serde_json::from_str::<Answer>(text).unwrap();
        assert!(matches!(read(r#"{"ms":12.5}"#), Answer::Made { ms } if ms == 12.5));
        assert!(matches!(read(r#"{"error":"no"}"#), Answer::Failed { error } if error == "no"));
        let ready = read(r#"{"ready":true,"accelerator":"tcg"}"#);
        assert!(matches!(ready, Answer::Ready { ready: true, accelerator } if accelerator == "tcg"));
    }
}
