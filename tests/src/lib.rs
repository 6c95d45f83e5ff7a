//! The harness.
use std::path::PathBuf;

use anyhow::{Context, Result};

pub mod agent;
pub mod caller;
pub mod cgroup;
pub mod command;
pub mod containerd;
pub mod dial;
pub mod habit;
pub mod halt;
pub mod helm;
pub mod http;
pub mod image;
pub mod kernel;
pub mod load;

pub mod netns;
pub mod node;
pub mod ordinary;
pub mod pods;
pub mod prometheus;
pub mod wait;

/// Where a program of this workspace was built: the path in `WEFT_BINARY` for the agent if that is set, else beside
/// the running program.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    if name == "weft"
        && let Some(path) = std::env::var_os("WEFT_BINARY")
    {
        return Ok(path.into());
    }
    let exe = std::env::current_exe()?;
    let mut beside = exe.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    let package = if name == "weft" { "weft" } else { "weft-tests" };
    beside.find(|path| path.is_file()).with_context(|| {
        format!("{name} is not beside {} (cargo build -p {package} --bin {name})", exe.display())
    })
}
