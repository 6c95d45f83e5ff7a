//! Where a process is counted, and how much it has used.
//!
//! In: a PID or a cgroup. Out: the cgroup's ID in the v2 tree (the one BPF programs see), its path, memory and
//! processor time. Works on a pure v2 node and on a hybrid one, where the controllers are in v1 trees and the v2
//! tree only names. Refuses a node without a v2 tree.
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
    memory_v1: Option<Mount>,
    cpuacct_v1: Option<Mount>,
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
    /// [`CgroupError::NoUnifiedTree`] without a v2 tree, [`CgroupError::Read`] without `/proc`.
    pub fn detect() -> Result<Self, CgroupError> {
        Self::from_mountinfo(&read("/proc/self/mountinfo".as_ref())?)
    }

    fn from_mountinfo(text: &str) -> Result<Self, CgroupError> {
        let (mut unified, mut memory_v1, mut cpuacct_v1) = (None, None, None);
        for line in text.lines() {
            // "36 25 0:31 ROOT POINT options… - TYPE SOURCE SUPER_OPTIONS"
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<_> = left.split(' ').collect();
            let right: Vec<_> = right.split(' ').collect();
            let (&[_, _, _, root, point, ..], &[kind, _, options]) = (&left[..], &right[..]) else {
                continue;
            };
            let mount = || Some(Mount { root: root.into(), point: point.into() });
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
                }
                _ => {}
            }
        }
        Ok(Self { unified: unified.ok_or(CgroupError::NoUnifiedTree)?, memory_v1, cpuacct_v1 })
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
        let path = path.strip_prefix(&self.unified.root).unwrap_or(path);
        let path = path.strip_prefix("/").unwrap_or(path).to_owned();
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
