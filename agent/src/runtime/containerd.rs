//! Instances in containerd.
use std::path::PathBuf;

/// Which containerd, and how weft uses it.
#[derive(Debug, Clone)]
pub struct ContainerdConfig {
    /// Its socket.
    pub address: PathBuf,
    /// weft's namespace in it.
    pub namespace: String,
    /// The snapshotter for root file systems.
    pub snapshotter: String,
    /// Parent of the instances' cgroups, below the root of each tree, e.g. `/weft`.
    pub cgroup_parent: PathBuf,
}
