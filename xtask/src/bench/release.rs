//! What is measured, and what measures, are release builds: an unoptimised caller would add the same to both sides of a
//! ratio and so flatter it. In: a program of any profile. Out: the same program, released, with everything it starts
//! built and beside it, ahead of other work on the machine: at [`NICE`], which all that it starts inherits.
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::machine::Load;
use crate::command;

/// Set for the released program: that all is built, and the load average before the build.
const BUILT: &str = "WEFT_BENCH_BUILT";
/// The references and what is measured against them are favoured alike; what is disturbed less is measured better.
pub(super) const NICE: i32 = -10;
const PACKAGES: [&str; 5] = ["weft", "weft-tests", "weft-floor", "weft-vms", "xtask"];

/// Builds everything and starts the released program in this one's place. In the released program it returns what load
/// there was before the build.
///
/// # Errors
/// When something does not build or start.
pub(super) fn enter() -> Result<Load> {
    enter_with(&PACKAGES)
}

/// As [`enter`], where only some packages are measured.
///
/// # Errors
/// When something does not build or start.
pub(super) fn enter_with(packages: &[&str]) -> Result<Load> {
    if let Some(load) = std::env::var_os(BUILT) {
        return Load::parse(&load.to_string_lossy());
    }
    let load = Load::read()?;
    let mut build = command::cargo(["build", "--release", "--bins"]);
    build.args(packages.iter().flat_map(|name| ["--package", name]));
    // Standard output is for the result.
    let status = build.stdin(Stdio::null()).stdout(Stdio::null()).status();
    ensure!(status.context("start cargo")?.success(), "what is measured does not build");
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2).context("xtask is not in a target directory")?;
    let mut released = Command::new("nice");
    released.args(["-n", &NICE.to_string()]).arg(target.join("release/xtask"));
    let error = released.args(std::env::args_os().skip(1)).env(BUILT, load.to_string()).exec();
    Err(error).context("the released xtask cannot be started")
}

/// A program that [`enter`] built.
///
/// # Errors
/// When it is not there.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let path = this.parent().context("xtask is in a directory")?.join(name);
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(path)
}
