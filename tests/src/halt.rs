//! An agent that does nothing for a while: it neither runs nor ends.
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::agent::Agent;
use crate::wait::wait_for;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Keeps an agent from running; dropping it lets it go on.
#[derive(Debug)]
pub struct Halted(Pid);

impl Agent {
    /// Stops the agent in its tracks.
    ///
    /// # Errors
    /// When it does not run.
    pub fn halt(&self) -> Result<Halted> {
        let pid = self.pid().context("the agent does not run")?;
        let pid = Pid::from_raw(pid.cast_signed()).context("a process has a number")?;
        kill_process(pid, Signal::STOP)?;
        let halted = Halted(pid);
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let stands = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        wait_for("the agent to stand still", PATIENCE, stands)?;
        Ok(halted)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // One that was killed meanwhile needs no word.
        let _ = kill_process(self.0, Signal::CONT);
    }
}
