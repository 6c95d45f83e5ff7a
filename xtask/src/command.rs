//! Other programs. In: their arguments. Out: their exit, with their output shown as it comes. The search path holds
//! cargo's own folder and the system's `sbin`s, which a plain root shell or a service may lack.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::repository;

/// Starts this program anew with all tools in its search path, unless they are there. `PATH` is read by the libraries
/// in this very process too, and a process that has begun cannot change its own safely.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn with_tools_in_path() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let have: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let missing: Vec<PathBuf> = tool_folders().into_iter().filter(|folder| !have.contains(folder)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let whole = std::env::join_paths(have.into_iter().chain(missing)).context("PATH")?;
    let this = std::env::current_exe().context("the path of this program")?;
    let error = Command::new(this).args(std::env::args_os().skip(1)).env("PATH", whole).exec();
    Err(error).context("this program cannot be started anew")
}

fn tool_folders() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let installed = std::env::var_os("CARGO_INSTALL_ROOT").map(PathBuf::from);
    let folders = [installed, cargo].into_iter().flatten().map(|folder| folder.join("bin"));
    folders.chain(["/usr/sbin".into(), "/sbin".into()]).collect()
}

/// `cargo` in the repository.
pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(repository::root());
    command
}

/// Runs a program to its end; its output goes where ours goes.
///
/// # Errors
/// If it cannot be started, or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = shown(command);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("{name} cannot be started"))?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// What a program prints, if it is there and succeeds.
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program is in the search path.
pub(crate) fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Whether this process may do what root may.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // "Uid: REAL EFFECTIVE SAVED FILESYSTEM"
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    effective == Some("0")
}
