//! What every change must pass. In: the repository as it lies there. Out: every step's outcome and duration. A step
//! that fails keeps no other from running, so that one run tells everything; the whole fails if any step did.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{cargo, run as run_command};
use crate::setup::{self, Purpose};
use crate::{test, tidy};

/// A step: its name, and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 4] = [("format", format), ("clippy", clippy), ("tidy", rules), ("test", tests)];

/// Runs all steps.
///
/// # Errors
/// If a tool is missing, or any step failed.
pub(crate) fn run() -> Result<()> {
    setup::ready(&[Purpose::Lint, Purpose::Build, Purpose::Test])?;
    let outcomes = walk(&STEPS);
    println!("\n{}", summary(&outcomes));
    let failed: Vec<_> =
        outcomes.iter().filter(|outcome| outcome.failure.is_some()).map(|o| o.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

struct Outcome {
    name: &'static str,
    failure: Option<String>,
    took: Duration,
}

fn walk(steps: &[Step]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (name, step) in steps {
        println!("\n── {name}");
        let began = Instant::now();
        let failure = step().err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            println!("{name} failed: {failure}");
        }
        outcomes.push(Outcome { name, failure, took: began.elapsed() });
    }
    outcomes
}

fn summary(outcomes: &[Outcome]) -> String {
    let lines = outcomes.iter().map(|outcome| {
        let word = if outcome.failure.is_some() { "FAILED" } else { "ok" };
        format!("{:<8} {word:<7} {:>7.1} s", outcome.name, outcome.took.as_secs_f64())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn format() -> Result<()> {
    let workspace = run_command(&mut cargo(["fmt", "--all", "--check"]));
    // The programs stand outside the workspace, and their compiler's edition must not give them a style of their own.
    let mut programs = cargo(["fmt", "--check", "--manifest-path", "ebpf/probes/Cargo.toml"]);
    let programs = run_command(programs.args(["--", "--style-edition", "2024"]));
    workspace.and(programs)
}

fn clippy() -> Result<()> {
    run_command(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn rules() -> Result<()> {
    tidy::run(&tidy::Arguments::check())
}

fn tests() -> Result<()> {
    test::run(&test::Arguments::all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_told_and_keeps_no_other_from_running() {
        let outcomes = walk(&[("one", || anyhow::bail!("broken")), ("two", || Ok(()))]);
        let text = summary(&outcomes);
        assert_eq!(outcomes[0].failure.as_deref(), Some("broken"));
        assert!(text.lines().next().unwrap().starts_with("one      FAILED"), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("two      ok"), "{text}");
    }
}
