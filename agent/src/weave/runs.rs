//! Runs of uploaded code. In: what an instance's cgroup, network and connections have counted, now and then. Out: a [`Run`]
//! for each stretch in which it worked, and for each end by want of memory. What it takes to start is none of them. VMs
//! are left out: what their cgroup counts is the machine's.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use weft_models::SyscallShares;
use weft_models::profile::{Ended, Run};

use crate::config::{Confinement, Isolation, Segment};
use crate::runtime::Spent;

/// Work that does not pause is cut into runs of this length.
const RUN_MAX: Duration = Duration::from_secs(10);

/// A run of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Index of the segment.
    pub segment: usize,
    /// What was measured.
    pub run: Run,
}

/// All that is counted of an instance since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) spent: Spent,
    /// Received and sent.
    pub(super) network_bytes: u64,
    /// How long connections were open.
    pub(super) busy: Duration,
    /// Requests.
    pub(super) uses: u64,
}

/// What is counted, and where runs go.
pub(super) struct Runs {
    before: HashMap<u64, (Instant, Counts)>,
    out: mpsc::Sender<Measured>,
}

impl Runs {
    pub(super) fn new(out: mpsc::Sender<Measured>) -> Self {
        Self { before: HashMap::new(), out }
    }

    /// Whether runs of a segment are counted.
    pub(super) fn counts(segment: &Segment) -> bool {
        segment.confinement == Confinement::Hardened && segment.isolation == Isolation::Container
    }

    /// Looks at an instance that stands. `count` is asked only when a run may have ended.
    pub(super) fn look(
        &mut self,
        (instance, segment): (u64, usize),
        (uses, open): (u64, u32),
        count: impl FnOnce() -> Option<(Counts, Option<SyscallShares>)>,
    ) {
        let now = Instant::now();
        if let Some((began, before)) = self.before.get(&instance) {
            let over = open == 0 || now.duration_since(*began) >= RUN_MAX;
            if uses == before.uses || !over {
                return;
            }
        }
        let Some((counts, syscalls)) = count() else { return };
        if let Some((_, before)) = self.before.insert(instance, (now, counts))
            && let Some(run) = run(&before, &counts, syscalls)
        {
            self.tell(segment, run);
        }
    }

    /// An instance died for want of the memory that it was given.
    pub(super) fn starved(&mut self, segment: usize, limit_bytes: u64) {
        let died =
            Run { wall_us: 1, memory_peak_bytes: limit_bytes, ended: Ended::OutOfMemory, ..Run::default() };
        self.tell(segment, died);
    }

    pub(super) fn gone(&mut self, instance: u64) {
        self.before.remove(&instance);
    }

    fn tell(&self, segment: usize, run: Run) {
        // Runs are many and alike: those that nobody has time for are not missed.
        let _ = self.out.try_send(Measured { segment, run });
    }
}

/// What was spent between two looks; nothing without a time to relate it to.
fn run(before: &Counts, after: &Counts, syscalls: Option<SyscallShares>) -> Option<Run> {
    let cpu_us = after.spent.cpu_usec.saturating_sub(before.spent.cpu_usec);
    let wall_us = after.busy.saturating_sub(before.busy).as_micros() as u64;
    (wall_us > 0).then(|| Run {
        cpu_us,
        wall_us,
        memory_peak_bytes: after.spent.memory_peak_bytes,
        storage_bytes: after.spent.storage_bytes.saturating_sub(before.spent.storage_bytes),
        network_bytes: after.network_bytes.saturating_sub(before.network_bytes),
        syscalls,
        ended: Ended::Done,
    })
}

/// Bytes that the network namespace of a process has received and sent; none if it is gone.
pub(super) fn network_bytes(pid: u32) -> u64 {
    bytes(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

/// Two lines of titles, then "eth0: RECEIVED and seven more, SENT and seven more".
fn bytes(table: &str) -> u64 {
    let of_line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_ascii_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let received = numbers.next()?;
        (name.trim() != "lo").then(|| received.saturating_add(numbers.nth(7).unwrap_or(0)))
    };
    table.lines().skip(2).filter_map(of_line).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(uses: u64, busy_ms: u64, cpu_usec: u64) -> Counts {
        let spent = Spent { cpu_usec, memory_peak_bytes: 30 << 20, storage_bytes: cpu_usec };
        Counts { spent, network_bytes: 10 * uses, busy: Duration::from_millis(busy_ms), uses }
    }

    fn look(runs: &mut Runs, uses: u64, open: u32, counts: Counts) {
        runs.look((7, 2), (uses, open), || Some((counts, None)));
    }

    #[test]
    fn a_stretch_of_work_is_one_run_and_what_came_before_it_is_none() {
        let (out, mut told) = mpsc::channel(4);
        let mut runs = Runs::new(out);
        look(&mut runs, 0, 0, counts(0, 0, 900_000));
        look(&mut runs, 3, 1, counts(3, 50, 950_000));
        assert!(told.try_recv().is_err(), "it works on");
        look(&mut runs, 5, 0, counts(5, 80, 960_000));
        let Measured { segment, run } = told.try_recv().unwrap();
        let expected = Run {
            cpu_us: 60_000,
            wall_us: 80_000,
            memory_peak_bytes: 30 << 20,
            storage_bytes: 60_000,
            network_bytes: 50,
            ..Run::default()
        };
        assert_eq!((segment, run), (2, expected));
        look(&mut runs, 5, 0, counts(5, 80, 990_000));
        assert!(told.try_recv().is_err(), "nobody asked for anything");
    }

    #[test]
    fn a_death_for_want_of_memory_is_a_run_at_the_limit() {
        let (out, mut told) = mpsc::channel(4);
        Runs::new(out).starved(2, 64 << 20);
        let Measured { segment, run } = told.try_recv().unwrap();
        assert_eq!((segment, run.ended, run.memory_peak_bytes), (2, Ended::OutOfMemory, 64 << 20));
    }

    #[test]
    fn what_a_program_says_to_itself_is_no_network() {
        let table = "Inter-|   Receive |  Transmit\n face |bytes packets |bytes packets\n    \
            lo: 500 5 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 40 1 0 0 0 0 0 0\n";
        assert_eq!(bytes(table), 140);
        assert_eq!(bytes(""), 0);
    }
}
