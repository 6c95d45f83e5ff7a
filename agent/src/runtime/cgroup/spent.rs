//! What a cgroup has spent in its life. In: a cgroup. Out: its processor time, its peak of memory and what it moved to and
//! from disks, from the v2 tree where it has controllers, else from the v1 trees. Refuses a node that counts no peaks; one
//! that counts no bytes of disks has none.
use super::{Cgroup, CgroupError, CgroupTree, number, read};

/// What was spent since the cgroup was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Processor time.
    pub cpu_usec: u64,
    /// The most memory that was charged at once, pages of files among it.
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
        let peak = match &self.memory_v1 {
            Some(mount) if !v2.join("memory.current").exists() => {
                mount.point.join(&cgroup.path).join("memory.max_usage_in_bytes")
            }
            _ => v2.join("memory.peak"),
        };
        Ok(Spent {
            cpu_usec: self.cpu_usec(cgroup)?,
            memory_peak_bytes: number(&peak, None)?,
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
    fn both_trees_tell_what_was_read_and_written() {
        let v1 = "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Total 12288\nTotal 12288\n";
        assert_eq!(bytes_v1(v1), 12_288);
        let v2 =
            "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:0 rbytes=1 wbytes=0 rios=1\n";
        assert_eq!(bytes_v2(v2), 12_289);
        assert_eq!((bytes_v1(""), bytes_v2("")), (0, 0));
    }
}
