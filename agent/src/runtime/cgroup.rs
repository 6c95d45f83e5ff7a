//! Where a process is counted, and how much it has used.
//!
//! In: a PID or a cgroup. Out: the cgroup's ID in the v2 tree (the one BPF programs see), its path, memory and
//! processor time. Works on a pure v2 node and on a hybrid one, where the controllers are in v1 trees and the v2
//! tree only names. Refuses a node without a v2 tree.
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

mod make;
mod remains;
mod spent;

pub use make::Limits;
pub use spent::Spent;

/// A cgroup, named for BPF programs and for the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// ID in the v2 tree: what `bpf_skb_cgroup_id` returns.
    pub id: u64,
    /// Path below each tree's mount point, e.g. `weft/cart-1`, without a slash in front.
    pub path: PathBuf,
}

/// What a cgroup has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Memory that cannot simply be dropped: all that is charged, less file pages not used lately (the working set
    /// of the kubelet).
    pub memory_bytes: u64,
    /// Processor time since its creation.
    pub cpu_usec: u64,
}

/// Why a cgroup cannot be found or read.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no v2 tree.
    #[error("no cgroup2 file system is mounted")]
    NoUnifiedTree,
    /// The process is in a cgroup namespace, and its own cgroup is not below the mount.
    #[error(
        "{point}: this process is in none of its cgroups; give the agent the node's cgroups and process IDs"
    )]
    NotInTree {
        /// Where the v2 tree is mounted.
        point: PathBuf,
    },
    /// No tree has the controller.
    #[error("no mounted cgroup tree has the controller `{controller}`")]
    NoController {
        /// `memory` or `cpuacct`.
        controller: &'static str,
    },
    /// A file of the kernel is not as expected.
    #[error("{path} has no number for `{key}`")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        key: &'static str,
    },
    /// A process in it was killed and does not end.
    #[error("cgroup {path}: its processes do not end")]
    Busy {
        /// Below the trees' mount points.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The mounted trees of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupTree {
    unified: Mount,
    /// Mount points of all trees.
    points: Vec<PathBuf>,
    /// In a cgroup namespace: the namespace's root, below the mount point. Paths of processes are told from there.
    home: Option<PathBuf>,
    memory_v1: Option<Mount>,
    cpuacct_v1: Option<Mount>,
    blkio_v1: Option<Mount>,
}

/// One mounted tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// Which part of the tree is mounted; climbs (`/../..`) when this process is in a cgroup namespace and the
    /// node's own mount was handed in.
    root: PathBuf,
    point: PathBuf,
}

impl CgroupTree {
    /// Finds the trees that are mounted for this process.
    ///
    /// # Errors
    /// [`CgroupError::NoUnifiedTree`] without a v2 tree, [`CgroupError::NotInTree`] in a container that shows the
    /// wrong one, [`CgroupError::Read`] without `/proc`.
    pub fn detect() -> Result<Self, CgroupError> {
        let mut tree = Self::from_mountinfo(&read("/proc/self/mountinfo".as_ref())?)?;
        let depth = tree.unified.root.components().filter(|part| *part == Component::ParentDir).count();
        if depth > 0 {
            let point = &tree.unified.point;
            let home = own_directory(point, depth, &std::process::id().to_string());
            let missing = || CgroupError::NotInTree { point: point.clone() };
            tree.home =
                Some(home.ok_or_else(missing)?.strip_prefix(point).map_err(|_| missing())?.to_owned());
        }
        Ok(tree)
    }

    fn from_mountinfo(text: &str) -> Result<Self, CgroupError> {
        let (mut unified, mut memory_v1, mut cpuacct_v1, mut blkio_v1) = (None, None, None, None);
        let mut points = Vec::new();
        for line in text.lines() {
            // "36 25 0:31 ROOT POINT options… - TYPE SOURCE SUPER_OPTIONS"
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<_> = left.split(' ').collect();
            let right: Vec<_> = right.split(' ').collect();
            let (&[_, _, _, root, point, ..], &[kind, _, options]) = (&left[..], &right[..]) else {
                continue;
            };
            let mount = || Some(Mount { root: root.into(), point: point.into() });
            if matches!(kind, "cgroup" | "cgroup2") {
                points.push(point.into());
            }
            match kind {
                "cgroup2" if unified.is_none() => unified = mount(),
                "cgroup" => {
                    let has = |controller| options.split(',').any(|o| o == controller);
                    if memory_v1.is_none() && has("memory") {
                        memory_v1 = mount();
                    }
                    if cpuacct_v1.is_none() && has("cpuacct") {
                        cpuacct_v1 = mount();
                    }
                    if blkio_v1.is_none() && has("blkio") {
                        blkio_v1 = mount();
                    }
                }
                _ => {}
            }
        }
        let unified = unified.ok_or(CgroupError::NoUnifiedTree)?;
        Ok(Self { unified, points, home: None, memory_v1, cpuacct_v1, blkio_v1 })
    }

    /// Where a cgroup is below the mount point, given what the kernel calls it. In a cgroup namespace that is told from
    /// the namespace's root, with `..` for what is beside it.
    fn below(&self, told: &Path) -> PathBuf {
        let Some(home) = &self.home else {
            let path = told.strip_prefix(&self.unified.root).unwrap_or(told);
            return path.strip_prefix("/").unwrap_or(path).to_owned();
        };
        let mut path = home.clone();
        for part in told.components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
        path
    }

    /// The cgroup a process is in.
    ///
    /// # Errors
    /// [`CgroupError::Read`] when the process or its cgroup is gone.
    pub fn of_pid(&self, pid: u32) -> Result<Cgroup, CgroupError> {
        let file = PathBuf::from(format!("/proc/{pid}/cgroup"));
        let text = read(&file)?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"));
        let path = Path::new(path.ok_or(CgroupError::Format { path: file, key: "0::" })?);
        let path = self.below(path);
        let directory = self.unified.point.join(&path);
        let id = match fs::metadata(&directory) {
            Ok(metadata) => metadata.ino(),
            Err(source) => return Err(CgroupError::Read { path: directory, source }),
        };
        Ok(Cgroup { id, path })
    }

    /// The directory of a cgroup in the v2 tree.
    pub fn directory(&self, cgroup: &Cgroup) -> PathBuf {
        self.unified.point.join(&cgroup.path)
    }

    /// Whether a process is left in a cgroup, or below it.
    pub fn is_populated(&self, cgroup: &Cgroup) -> bool {
        let events = self.directory(cgroup).join("cgroup.events");
        number(&events, Some("populated")).is_ok_and(|populated| populated > 0)
    }

    /// Whether the kernel has killed a process of a cgroup for memory; of one that is gone, nobody knows.
    pub fn ran_out_of_memory(&self, cgroup: &Cgroup) -> bool {
        let v2 = self.directory(cgroup).join("memory.events");
        let file = match &self.memory_v1 {
            Some(mount) if !v2.exists() => mount.point.join(&cgroup.path).join("memory.oom_control"),
            _ => v2,
        };
        number(&file, Some("oom_kill")).is_ok_and(|kills| kills > 0)
    }

    /// Memory and processor time of a cgroup, from the v2 tree where it has controllers, else from the v1 trees.
    ///
    /// # Errors
    /// [`CgroupError::Read`] when it is gone, [`CgroupError::NoController`] when nobody counts.
    pub fn usage(&self, cgroup: &Cgroup) -> Result<Usage, CgroupError> {
        Ok(Usage { memory_bytes: self.memory_bytes(cgroup)?, cpu_usec: self.cpu_usec(cgroup)? })
    }

    fn memory_bytes(&self, cgroup: &Cgroup) -> Result<u64, CgroupError> {
        let v2 = self.directory(cgroup);
        let (directory, total, idle) = if v2.join("memory.current").exists() {
            (v2, "memory.current", "inactive_file")
        } else {
            let mount = self.memory_v1.as_ref().ok_or(CgroupError::NoController { controller: "memory" })?;
            (mount.point.join(&cgroup.path), "memory.usage_in_bytes", "total_inactive_file")
        };
        let total = number(&directory.join(total), None)?;
        Ok(total.saturating_sub(number(&directory.join("memory.stat"), Some(idle))?))
    }

    fn cpu_usec(&self, cgroup: &Cgroup) -> Result<u64, CgroupError> {
        match &self.cpuacct_v1 {
            None => number(&self.directory(cgroup).join("cpu.stat"), Some("usage_usec")),
            Some(mount) => Ok(number(&mount.point.join(&cgroup.path).join("cpuacct.usage"), None)? / 1000),
        }
    }
}

/// The directory, so many levels below `point`, of the cgroup that a process is in. Cgroups that end while this looks, or
/// hide their processes, are not it.
fn own_directory(point: &Path, depth: usize, pid: &str) -> Option<PathBuf> {
    if depth == 0 {
        let processes = fs::read_to_string(point.join("cgroup.procs")).ok()?;
        return processes.lines().any(|line| line == pid).then(|| point.to_owned());
    }
    let entries = fs::read_dir(point).ok()?.flatten();
    let mut directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.find_map(|directory| own_directory(&directory.path(), depth - 1, pid))
}

fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(|source| CgroupError::Read { path: path.to_owned(), source })
}

/// The number in a file: the only one, or the one after `key`.
fn number(path: &Path, key: Option<&'static str>) -> Result<u64, CgroupError> {
    let text = read(path)?;
    let value = match key {
        None => Some(text.trim()),
        Some(key) => text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')),
    };
    value
        .and_then(|value| value.parse().ok())
        .ok_or(CgroupError::Format { path: path.to_owned(), key: key.unwrap_or("the whole file") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(root: &str, home: Option<&str>) -> CgroupTree {
        let line = format!("9 8 0:2 {root} /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
        CgroupTree { home: home.map(PathBuf::from), ..CgroupTree::from_mountinfo(&line).unwrap() }
    }

    #[test]
    fn a_cgroup_is_found_below_the_mount_whatever_part_of_the_tree_is_mounted() {
        assert_eq!(tree("/", None).below("/weft/cart-1".as_ref()), Path::new("weft/cart-1"));
        assert_eq!(tree("/weft", None).below("/weft/cart-1".as_ref()), Path::new("cart-1"));
    }

    #[test]
    fn an_agent_in_a_cgroup_namespace_finds_instances_pods_and_itself() {
        let tree = tree("/../../..", Some("kubepods/pod-a/weft"));
        assert_eq!(tree.below("/../../../weft/cart-1".as_ref()), Path::new("weft/cart-1"));
        assert_eq!(tree.below("/../../pod-b/web".as_ref()), Path::new("kubepods/pod-b/web"));
        assert_eq!(tree.below("/".as_ref()), Path::new("kubepods/pod-a/weft"));
    }

    #[test]
    fn a_process_finds_its_own_cgroup_by_its_id() {
        let folder = tempfile::tempdir().unwrap();
        for (path, processes) in [("a/x", "1\n12\n"), ("b/y", "123\n"), ("b/z", "5\n23\n")] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
            fs::write(folder.path().join(path).join("cgroup.procs"), processes).unwrap();
        }
        assert_eq!(own_directory(folder.path(), 2, "23"), Some(folder.path().join("b/z")));
        assert_eq!(own_directory(folder.path(), 2, "2"), None);
        assert_eq!(own_directory(folder.path(), 1, "23"), None);
    }
}
