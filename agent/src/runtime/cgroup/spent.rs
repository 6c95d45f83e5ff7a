//! What a cgroup has spent in its life. In: a cgroup. Out: its processor time, its peak of memory and what it moved to and
//! from disks, from the v2 tree where it has controllers, else from the v1 trees. Refuses a node that counts no peaks; one
//! that counts no bytes of disks has none.
//!
//! The kernel's own peak has the pages of files in it, which grow to whatever limit there is. So it is only the upper bound of
//! what the processes themselves have held at once, or hold now beside it, as files of a `tmpfs`.
use std::fs;

use super::{Cgroup, CgroupError, CgroupTree, number, read};

/// Processes that are asked for their peaks.
const PROCESSES_MAX: usize = 64;
/// What cannot be given back, in the words of the v2 tree and of the v1 tree.
const HELD_V2: [&str; 5] = ["anon", "shmem", "kernel_stack", "pagetables", "slab_unreclaimable"];
const HELD_V1: [&str; 2] = ["total_rss", "total_shmem"];

/// What was spent since the cgroup was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Processor time.
    pub cpu_usec: u64,
    /// The most memory that its processes have held at once, as far as they live.
    pub memory_peak_bytes: u64,
    /// Read from and written to disks.
    pub storage_bytes: u64,
}

impl CgroupTree {
    /// What a cgroup has spent.
    ///
    /// # Errors
    /// [`CgroupError::Read`] when it is gone, or the kernel is older than 5.19 and counts no peaks in its v2 tree;
    /// [`CgroupError::NoController`] when nobody counts.
    pub fn spent(&self, cgroup: &Cgroup) -> Result<Spent, CgroupError> {
        let v2 = self.directory(cgroup);
        let (folder, peak, held) = match &self.memory_v1 {
            Some(mount) if !v2.join("memory.current").exists() => {
                (mount.point.join(&cgroup.path), "memory.max_usage_in_bytes", &HELD_V1[..])
            }
            _ => (v2.clone(), "memory.peak", &HELD_V2[..]),
        };
        let charged = number(&folder.join(peak), None)?;
        let held = sum(&read(&folder.join("memory.stat"))?, held);
        let processes = read(&v2.join("cgroup.procs"))?;
        let peaks = processes.lines().take(PROCESSES_MAX).map(peak_of).fold(0, u64::saturating_add);
        Ok(Spent {
            cpu_usec: self.cpu_usec(cgroup)?,
            memory_peak_bytes: held.max(peaks).min(charged),
            storage_bytes: self.storage_bytes(cgroup),
        })
    }

    fn storage_bytes(&self, cgroup: &Cgroup) -> u64 {
        match &self.blkio_v1 {
            Some(mount) => {
                let file = mount.point.join(&cgroup.path).join("blkio.throttle.io_service_bytes");
                read(&file).map_or(0, |text| bytes_v1(&text))
            }
            None => read(&self.directory(cgroup).join("io.stat")).map_or(0, |text| bytes_v2(&text)),
        }
    }
}

/// The most that a process has had in memory; nothing once it is gone.
fn peak_of(pid: &str) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |status| peak_in(&status))
}

/// A line among others: "VmHWM:     7164 kB".
fn peak_in(status: &str) -> u64 {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024)
}

/// The numbers behind these words, a line each: "anon 4096".
fn sum(text: &str, words: &[&str]) -> u64 {
    let bytes = |line: &str| {
        let (word, number) = line.split_once(' ')?;
        words.contains(&word).then(|| number.parse::<u64>().ok())?
    };
    text.lines().filter_map(bytes).fold(0, u64::saturating_add)
}

/// A line for each disk and direction, and one with the sum: "254:0 Read 4096", "Total 4096".
fn bytes_v1(text: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix("Total ")?.trim().parse().ok()).unwrap_or(0)
}

/// A line for each disk: "254:0 rbytes=4096 wbytes=0 rios=1 …".
fn bytes_v2(text: &str) -> u64 {
    let bytes = |word: &str| {
        word.strip_prefix("rbytes=").or_else(|| word.strip_prefix("wbytes="))?.parse::<u64>().ok()
    };
    text.split_ascii_whitespace().filter_map(bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_files_are_no_memory_that_a_program_needs() {
        let v2 = "anon 4096\nfile 999999\nshmem 8192\nactive_file 999999\nkernel_stack 1\n";
        assert_eq!(sum(v2, &HELD_V2), 12_289);
        let v1 = "cache 999999\nrss 1\ntotal_cache 999999\ntotal_rss 4096\ntotal_shmem 1\n";
        assert_eq!(sum(v1, &HELD_V1), 4097);
        assert_eq!(peak_in("Name:\tx\nVmHWM:\t    7164 kB\nVmRSS:\t 1 kB\n"), 7164 << 10);
        assert!(peak_of(&std::process::id().to_string()) > 0 && peak_of("0") == 0);
    }

    #[test]
    fn both_trees_tell_what_was_read_and_written() {
        let v1 = "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Total 12288\nTotal 12288\n";
        assert_eq!(bytes_v1(v1), 12_288);
        let v2 =
            "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:0 rbytes=1 wbytes=0 rios=1\n";
        assert_eq!(bytes_v2(v2), 12_289);
        assert_eq!((bytes_v1(""), bytes_v2("")), (0, 0));
    }
}
