//! All tests. In: which, by parts of their names. Out: cargo's own output as it comes, then a line per test program and
//! the sums. Refuses to call it a success when nothing ran, or when tests that need root were left out unasked.

mod report;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, is_root, shown};
use crate::setup::{self, Purpose};
use report::Report;

/// The package whose tests drive the real kernel and a real containerd.
const SYSTEM: &str = "weft-tests";
/// Lines that wait to be shown; the reader waits when they are not.
const LINES_MAX: usize = 1024;
/// How long output is waited for after cargo has ended: what still holds it then was left behind by a test.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which tests
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only tests whose names contain one of these
    filters: Vec<String>,
    /// Only what needs no root: everything but the system tests
    #[arg(long)]
    unit: bool,
}

impl Arguments {
    /// Every test.
    pub(crate) fn all() -> Self {
        Self { filters: Vec::new(), unit: false }
    }
}

/// Runs them.
///
/// # Errors
/// If a test failed, none ran, or the system tests could not run for want of root.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let system = !arguments.unit && is_root();
    setup::ready(if system { &[Purpose::Build, Purpose::Test] } else { &[Purpose::Build] })?;
    let mut command = cargo(["test", "--workspace", "--no-fail-fast"]);
    // The system tests start weft, which is built for the tests of its own package.
    if !system {
        command.args(["--exclude", SYSTEM]);
    }
    if !arguments.filters.is_empty() {
        command.arg("--").args(&arguments.filters);
    }
    println!("test: {}", shown(&command));
    let began = Instant::now();
    let (reader, writer) = std::io::pipe().context("a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("a pipe")?).stderr(writer);
    let child = command.spawn().context("cargo cannot be started")?;
    // Our own ends of the pipe are closed with it, so that reading ends.
    drop(command);
    let mut report = Report::default();
    let success = follow(child, reader, |line| {
        println!("{line}");
        report.line(line);
    })?;
    println!("\n{}tests took {:.0} s", report.table(), began.elapsed().as_secs_f64());
    // A line of its own, in this form: tools that judge a run look for it.
    println!("{} passed, {} failed", report.passed(), report.failed());
    judge(&report, success, arguments, system)
}

fn judge(report: &Report, success: bool, arguments: &Arguments, system: bool) -> Result<()> {
    if report.failed() > 0 {
        bail!("{} tests failed:\n  {}", report.failed(), report.failures().join("\n  "));
    }
    if !success {
        bail!("cargo test failed outside of any test; its last lines above say where");
    }
    if report.passed() == 0 {
        bail!("no test ran; the names given ({}) are part of none", arguments.filters.join(", "));
    }
    if !system && !arguments.unit {
        bail!(
            "the system tests (package {SYSTEM}) did not run: they need root. Run them as root, or ask for --unit"
        );
    }
    Ok(())
}

/// Hands each line of a program's output on until it has ended; whether it succeeded.
fn follow(mut child: Child, reader: std::io::PipeReader, mut take: impl FnMut(&str)) -> Result<bool> {
    let (sender, lines) = mpsc::sync_channel(LINES_MAX);
    // Ends with the output, or with the process.
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut ended: Option<Instant> = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => take(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if ended.is_some_and(|at| at.elapsed() > PATIENCE) => {
                println!("test: a program that a test started still runs, and holds its output");
                break;
            }
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() && child.try_wait().context("cargo")?.is_some() {
                    ended = Some(Instant::now());
                }
            }
        }
    }
    Ok(child.wait().context("cargo")?.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn report(text: &str) -> Report {
        let mut report = Report::default();
        text.lines().for_each(|line| report.line(line));
        report
    }

    #[test]
    fn a_run_without_a_test_is_no_success() {
        let arguments = Arguments { filters: vec!["nothing_like_it".into()], unit: true };
        let none = report(
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s",
        );
        let error = judge(&none, true, &arguments, true).unwrap_err().to_string();
        assert!(error.contains("nothing_like_it"), "{error}");
    }

    #[test]
    fn without_root_the_system_tests_are_missed_unless_they_were_not_asked_for() {
        let one = report(
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        let error = judge(&one, true, &Arguments::all(), false).unwrap_err().to_string();
        assert!(error.contains("need root"), "{error}");
        judge(&one, true, &Arguments { filters: Vec::new(), unit: true }, false).unwrap();
        judge(&one, true, &Arguments::all(), true).unwrap();
    }

    #[test]
    fn a_crash_outside_of_any_test_is_a_failure() {
        let one = report(
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        assert!(judge(&one, false, &Arguments::all(), true).is_err());
    }

    #[test]
    fn lines_of_both_outputs_come_in_their_order_and_the_exit_is_told() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap();
        drop(command);
        let mut lines = Vec::new();
        let success = follow(child, reader, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((lines.join(" ").as_str(), success), ("one two three", false));
    }
}
