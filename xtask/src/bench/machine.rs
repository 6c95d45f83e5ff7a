//! The machine on which is measured. In: `/proc`. Out: kernel, cores and load, to be told beside every result: another
//! machine, or a busy one, gives other figures.
use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

use super::release;

/// Load averages over 1, 5 and 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Load([f64; 3]);

impl Load {
    /// The load now.
    ///
    /// # Errors
    /// When the kernel does not tell it.
    pub(super) fn read() -> Result<Self> {
        Self::parse(&std::fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?)
    }

    /// The first three numbers of a text.
    ///
    /// # Errors
    /// When they are not there.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut numbers = text.split_whitespace().map_while(|word| word.parse().ok());
        let mut next = || numbers.next().with_context(|| format!("`{text}` is no load average"));
        Ok(Self([next()?, next()?, next()?]))
    }

    /// Over the last minute.
    pub(super) fn latest(self) -> f64 {
        self.0[0]
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, five, fifteen] = self.0;
        write!(f, "{one} {five} {fifteen}")
    }
}

/// What a result was measured on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    pub(super) kernel: String,
    pub(super) cores: usize,
    /// The priority at which everything ran.
    pub(super) nice: i32,
    /// Before anything was built or measured.
    pub(super) load_start: Load,
    /// After the last sample. The benchmark's own work is in it.
    pub(super) load_end: Load,
    /// Whether others kept the machine busy before it began.
    pub(super) under_load: bool,
}

impl Machine {
    /// Looks around at the end of a run.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn look(load_start: Load) -> Result<Self> {
        let kernel =
            std::fs::read_to_string("/proc/sys/kernel/osrelease").context("read the kernel's release")?;
        let cores = std::thread::available_parallelism().context("count the cores")?.get();
        let (load_end, under_load) = (Load::read()?, is_busy(load_start, cores));
        let kernel = kernel.trim().to_owned();
        Ok(Self { kernel, cores, nice: release::NICE, load_start, load_end, under_load })
    }
}

/// When others take a quarter of the machine, it is felt in every tail.
fn is_busy(load: Load, cores: usize) -> bool {
    load.latest() > 0.25 * cores as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_average_is_read_and_written_the_same_and_something_else_refused() {
        let load = Load::parse("0.52 0.41 0.3 1/234 5678\n").unwrap();
        assert_eq!(Load::parse(&load.to_string()).unwrap(), load);
        assert_eq!(load.latest(), 0.52);
        assert!(Load::parse("0.52 busy").is_err());
    }

    #[test]
    fn a_machine_that_others_use_is_busy_and_an_idle_one_is_not() {
        let load = |text: &str| Load::parse(text).unwrap();
        assert!(is_busy(load("0.6 0 0"), 2));
        assert!(!is_busy(load("0.4 3 3"), 2));
        assert!(!is_busy(load("0.6 0 0"), 4));
    }
}
