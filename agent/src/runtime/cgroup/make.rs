//! A cgroup of weft's own making. In: its path below the trees' mount points, and limits. Out: the cgroup in every tree that
//! counts or limits, with the limits set. Refuses a node where memory cannot be limited. Containers get theirs from runc;
//! this is for what weft runs itself.
use std::fs;
use std::path::Path;

use super::{CgroupError, CgroupTree};

/// The period over which processor time is counted.
const CPU_PERIOD_US: u64 = 100_000;

/// What a cgroup may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Hard limit.
    pub memory_bytes: u64,
    /// Hard limit, in thousandths of a processor.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids: u32,
}

impl CgroupTree {
    /// Makes a cgroup; one that is there gets the limits.
    ///
    /// # Errors
    /// [`CgroupError::Read`] for what the kernel refuses, [`CgroupError::NoController`] when nothing limits memory.
    pub fn make(&self, path: &Path, limits: &Limits) -> Result<(), CgroupError> {
        let quota_us = u64::from(limits.cpu_millis) * (CPU_PERIOD_US / 1000);
        let (memory, pids) = (limits.memory_bytes.to_string(), limits.pids.to_string());
        let files = [
            ("memory.max", memory.clone()),
            ("memory.limit_in_bytes", memory),
            ("cpu.max", format!("{quota_us} {CPU_PERIOD_US}")),
            ("cpu.cfs_period_us", CPU_PERIOD_US.to_string()),
            ("cpu.cfs_quota_us", quota_us.to_string()),
            ("pids.max", pids),
        ];
        let mut limited = false;
        for point in &self.points {
            make_below(point, path)?;
            let directory = point.join(path);
            for (name, value) in &files {
                let file = directory.join(name);
                if file.exists() {
                    write(&file, value)?;
                    limited |= name.starts_with("memory.");
                }
            }
        }
        if limited { Ok(()) } else { Err(CgroupError::NoController { controller: "memory" }) }
    }

    /// Puts a process and all its threads into a cgroup that was made.
    ///
    /// # Errors
    /// [`CgroupError::Read`] for what the kernel refuses.
    pub fn enter(&self, path: &Path, pid: u32) -> Result<(), CgroupError> {
        self.points
            .iter()
            .try_for_each(|point| write(&point.join(path).join("cgroup.procs"), &pid.to_string()))
    }
}

/// Makes a directory and those above it, each of which hands its controllers down where the tree is of version 2.
fn make_below(point: &Path, path: &Path) -> Result<(), CgroupError> {
    let mut directory = point.to_owned();
    for part in path.components() {
        hand_down(&directory);
        directory.push(part);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::Read { path: directory, source: error });
            }
            _ => prepare_cpuset(&directory),
        }
    }
    Ok(())
}

/// One by one: a controller that is not there, or not to be had, does not keep the others away.
fn hand_down(directory: &Path) {
    let file = directory.join("cgroup.subtree_control");
    for controller in ["+memory", "+cpu", "+pids"] {
        let _ = fs::write(&file, controller);
    }
}

/// In version 1 a cgroup without processors and memory nodes takes no process.
fn prepare_cpuset(directory: &Path) {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let (file, above) = (directory.join(name), directory.join("..").join(name));
        if fs::read_to_string(&file).is_ok_and(|set| set.trim().is_empty())
            && let Ok(set) = fs::read_to_string(above)
        {
            // A process that is refused for it says so.
            let _ = fs::write(file, set.trim());
        }
    }
}

fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::write(path, value).map_err(|source| CgroupError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory_bytes: 1 << 28, cpu_millis: 1500, pids: 256 };

    fn tree(point: &Path) -> CgroupTree {
        let line = "9 8 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        CgroupTree { points: vec![point.to_owned()], ..CgroupTree::from_mountinfo(line).unwrap() }
    }

    #[test]
    fn limits_are_written_as_each_version_of_cgroups_has_them() {
        let point = tempfile::tempdir().unwrap();
        let directory = point.path().join("weft/v1");
        fs::create_dir_all(&directory).unwrap();
        for name in ["memory.max", "cpu.max", "memory.limit_in_bytes", "cpu.cfs_quota_us"] {
            fs::write(directory.join(name), "").unwrap();
        }
        tree(point.path()).make("weft/v1".as_ref(), &LIMITS).unwrap();
        let read = |name| fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!((read("memory.max"), read("cpu.max")), ("268435456".into(), "150000 100000".into()));
        assert_eq!(
            (read("memory.limit_in_bytes"), read("cpu.cfs_quota_us")),
            ("268435456".into(), "150000".into())
        );
        assert!(!directory.join("pids.max").exists());
    }

    #[test]
    fn a_node_where_memory_cannot_be_limited_is_refused() {
        let point = tempfile::tempdir().unwrap();
        let made = tree(point.path()).make("weft/v1".as_ref(), &LIMITS);
        assert!(matches!(made, Err(CgroupError::NoController { .. })), "{made:?}");
    }
}
