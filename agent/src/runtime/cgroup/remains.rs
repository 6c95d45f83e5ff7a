//! The end of a cgroup. In: its path below the trees' mount points. Out: no process in it, and no trace of it in any tree.
//!
//! Usually the container runtime has removed it. One that was killed in the middle of a creation knows nothing of what it
//! had begun, and neither does its successor: a directory in some of the trees, or a process that waits to be started.
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::{CgroupError, CgroupTree};

/// Pauses in which killed processes leave.
const LEAVING: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

impl CgroupTree {
    /// Kills what runs in a cgroup and removes it from all trees. One that is not there is no error, and neither is an
    /// empty one that cannot be removed: it holds nothing.
    ///
    /// # Errors
    /// [`CgroupError::Busy`] when a process does not end.
    pub async fn clear(&self, path: &Path) -> Result<(), CgroupError> {
        for pause in LEAVING {
            sleep(pause).await;
            let left =
                self.points.iter().map(|point| point.join(path)).filter(|directory| directory.exists());
            let left: Vec<_> = left.filter(|directory| fs::remove_dir(directory).is_err()).collect();
            if left.iter().all(|directory| kill_all(directory) == Killed::None) {
                return Ok(());
            }
        }
        Err(CgroupError::Busy { path: path.to_owned() })
    }

    /// Removes an empty cgroup from all trees; one that is in use stays.
    pub fn leave(&self, path: &Path) {
        for point in &self.points {
            // In use, or never made there.
            let _ = fs::remove_dir(point.join(path));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Killed {
    None,
    Some,
}

fn kill_all(directory: &Path) -> Killed {
    let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let processes: Vec<_> = processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
    if processes.is_empty() {
        return Killed::None;
    }
    // At once and without a number that may be another's by now; only version 2 has it, since Linux 5.14.
    if fs::write(directory.join("cgroup.kill"), "1").is_err() {
        for process in processes {
            // One that has ended meanwhile is what was wanted.
            let _ = kill_process(process, Signal::KILL);
        }
    }
    Killed::Some
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(points: &[&Path]) -> CgroupTree {
        let line = "9 8 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let points = points.iter().map(|&point| point.to_owned()).collect();
        CgroupTree { points, ..CgroupTree::from_mountinfo(line).unwrap() }
    }

    #[tokio::test]
    async fn a_cgroup_goes_from_every_tree_that_has_it() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(one.path().join("weft/cart-1")).unwrap();
        let tree = tree(&[one.path(), other.path()]);
        tree.clear("weft/cart-1".as_ref()).await.unwrap();
        assert!(one.path().join("weft").exists() && !one.path().join("weft/cart-1").exists());
        tree.leave("weft".as_ref());
        assert!(!one.path().join("weft").exists());
    }

    #[tokio::test]
    async fn one_that_holds_nothing_but_cannot_be_removed_keeps_nobody_waiting() {
        let one = tempfile::tempdir().unwrap();
        fs::create_dir_all(one.path().join("weft/cart-1/inner")).unwrap();
        tree(&[one.path()]).clear("weft/cart-1".as_ref()).await.unwrap();
        assert!(one.path().join("weft/cart-1").exists());
    }
}
