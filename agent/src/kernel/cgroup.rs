//! Cgroups of the second version. In: the system's mounts. Out: where they are, and their ids. Both layouts are met:
//! version 2 alone, and beside version 1 under a folder of its own.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::KernelError;

/// Where cgroup2 is mounted.
///
/// # Errors
/// [`KernelError::NoCgroup2`].
pub fn cgroup2_mount() -> Result<PathBuf, KernelError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mount_in(&mounts).ok_or(KernelError::NoCgroup2)
}

fn mount_in(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        // "ID PARENT DEV ROOT MOUNTPOINT OPTIONS [FIELDS] - TYPE SOURCE OPTIONS"
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup2 ").then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// The id by which programs know a cgroup: the inode number of its folder.
///
/// # Errors
/// [`KernelError::Cgroup`].
pub fn cgroup_id(path: &Path) -> Result<u64, KernelError> {
    let metadata =
        std::fs::metadata(path).map_err(|source| KernelError::Cgroup { path: path.into(), source })?;
    Ok(metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_recognised() {
        let hybrid = "30 25 0:26 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw\n";
        let pure = "24 1 0:5 / /proc rw - proc proc rw\n29 24 0:25 / /sys/fs/cgroup rw - cgroup2 none rw\n";
        assert_eq!(mount_in(hybrid).unwrap(), Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(mount_in(pure).unwrap(), Path::new("/sys/fs/cgroup"));
        assert_eq!(mount_in("30 25 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n"), None);
    }
}
