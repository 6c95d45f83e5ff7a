//! What earlier runs took, and limits that follow it. In: measured runs. Out: [`Usage`], an interval per resource, and
//! memory limits that rise at once when a run dies of them and fall only after a while. Runs with impossible numbers are
//! left out.

use serde::{Deserialize, Serialize};

use super::Interval;
use super::rungs::{self, MEMORY_MIB};
use crate::observe::SyscallShares;

/// Runs that are looked at, the newest; more tell nothing new.
pub const RUNS_MAX: usize = 512;
/// Bytes of a MiB.
const MIB: f32 = 1_048_576.0;
/// Over what was seen, in the best of cases.
const MARGIN: f32 = 0.15;
/// More of it while few runs have been seen: this much by the square root of their number.
const MARGIN_OF_FEW: f32 = 0.25;
/// A run that died of memory would have taken more: this much more, at least.
const OUT_OF_MEMORY: f32 = 1.2;
/// After a run died of memory, its limit is not lowered for a day.
pub const HOLD_MS: u64 = 24 * 3_600_000;

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself.
    #[default]
    Done,
    /// The kernel ended it for want of memory.
    OutOfMemory,
}

/// One run, as its cgroup counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Processor time of all its threads.
    pub cpu_us: u64,
    /// From the request to the answer.
    pub wall_us: u64,
    /// The most memory it held.
    pub memory_peak_bytes: u64,
    /// Read from and written to storage.
    pub storage_bytes: u64,
    /// Received and sent.
    pub network_bytes: u64,
    /// How it spent its system calls, where they were counted.
    pub syscalls: Option<SyscallShares>,
    /// How it ended.
    pub ended: Ended,
}

/// What runs took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Runs that it is made of.
    pub runs: usize,
    /// Those of them that died of memory.
    pub out_of_memory: usize,
    /// Cores in use.
    pub vcpu: Interval,
    /// Peak memory.
    pub memory_mib: Interval,
    /// To and from storage.
    pub storage_mib_per_s: Interval,
    /// To and from networks.
    pub network_mib_per_s: Interval,
    /// Share of system calls for files and networks.
    pub outside_calls: Option<f32>,
}

impl Usage {
    /// What the newest runs took: the median, the 90th and the 99th of a hundred. None without runs.
    pub fn of(runs: &[Run]) -> Option<Self> {
        let runs: Vec<Run> = runs.iter().copied().filter(is_possible).collect();
        let runs = &runs[runs.len().saturating_sub(RUNS_MAX)..];
        if runs.is_empty() {
            return None;
        }
        let each = |value: &dyn Fn(&Run) -> f32| interval(runs.iter().map(value).collect());
        let per_s = |bytes: u64, run: &Run| bytes as f32 / MIB / (run.wall_us as f32 / 1e6);
        let memory = |run: &Run| {
            let more = if run.ended == Ended::OutOfMemory { OUT_OF_MEMORY } else { 1.0 };
            run.memory_peak_bytes as f32 / MIB * more
        };
        let shares: Vec<_> = runs.iter().filter_map(|run| run.syscalls?.checked()).collect();
        let outside = shares.iter().map(|share| share.io + share.network).sum::<f32>() / shares.len() as f32;
        Some(Self {
            runs: runs.len(),
            out_of_memory: runs.iter().filter(|run| run.ended == Ended::OutOfMemory).count(),
            vcpu: each(&|run| run.cpu_us as f32 / run.wall_us as f32),
            memory_mib: each(&memory),
            storage_mib_per_s: each(&|run| per_s(run.storage_bytes, run)),
            network_mib_per_s: each(&|run| per_s(run.network_bytes, run)),
            outside_calls: (!shares.is_empty()).then(|| outside.min(1.0)),
        })
    }

    /// Memory by these runs: the median, the 90th with a margin, and what should be the limit: the 99th with a margin
    /// that is the larger the fewer runs there are and the further they lie apart.
    pub(super) fn memory_limits(&self) -> Interval {
        let seen = self.memory_mib;
        let apart = ((seen.high - seen.low) / seen.high.max(1.0)).clamp(0.0, 1.0);
        let few = MARGIN_OF_FEW / (self.runs as f32).sqrt() * (1.0 + apart);
        let margin = 1.0 + MARGIN + few;
        Interval {
            low: seen.low,
            target: seen.target * (1.0 + MARGIN),
            high: (seen.high * margin).max(seen.high + 4.0),
        }
    }
}

fn is_possible(run: &Run) -> bool {
    run.wall_us > 0 && run.memory_peak_bytes > 0
}

/// Median, 90th and 99th of a hundred, each the nearest that was seen.
pub(super) fn interval(mut values: Vec<f32>) -> Interval {
    values.sort_by(f32::total_cmp);
    let at = |share: f32| {
        let rank = (share * values.len() as f32).ceil() as usize;
        values.get(rank.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(0.0)
    };
    Interval { low: at(0.5), target: at(0.9), high: at(0.99) }
}

/// A memory limit in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimit {
    /// The limit.
    pub mib: u32,
    /// When a run last died of it.
    pub raised_at_ms: Option<u64>,
}

/// The limit after a run has died of it: at least a fifth more than it, and than what the run had used, on the next rung.
/// At the last rung it stays.
pub fn after_out_of_memory(limit: MemoryLimit, used_mib: u32, now_ms: u64) -> MemoryLimit {
    let least = limit.mib.max(used_mib) as f32 * OUT_OF_MEMORY;
    let mib = rungs::up(&MEMORY_MIB, least).max(limit.mib);
    MemoryLimit { mib, raised_at_ms: Some(now_ms) }
}

/// The limit that follows a forecast: a higher one at once, a lower one only when no run has died for [`HOLD_MS`].
pub fn follow(limit: MemoryLimit, forecast_mib: u32, now_ms: u64) -> MemoryLimit {
    let held = limit.raised_at_ms.is_some_and(|raised| now_ms.saturating_sub(raised) < HOLD_MS);
    if forecast_mib > limit.mib || !held {
        return MemoryLimit { mib: forecast_mib, ..limit };
    }
    limit
}
