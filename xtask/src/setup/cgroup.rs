//! The second version of cgroups. In: the machine's mounts. Out: whether it is mounted; where it is not, a mount of it.
//! Beside version 1 it goes into a folder of its own, as systemd's hybrid layout has it; without either it is mounted
//! where everyone looks for it.

use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{run, shown};

const BASE: &str = "/sys/fs/cgroup";
const BESIDE: &str = "/sys/fs/cgroup/unified";

/// Whether it is mounted anywhere.
pub(super) fn is_mounted() -> bool {
    mounted_in(&mounts())
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").unwrap_or_default()
}

fn mounted_in(mounts: &str) -> bool {
    // "SOURCE POINT TYPE OPTIONS …"
    mounts.lines().any(|line| line.split(' ').nth(2) == Some("cgroup2"))
}

/// Where it goes: the base is a mount itself where version 1 is in use.
fn place(mounts: &str) -> &'static str {
    if mounts.lines().any(|line| line.split(' ').nth(1) == Some(BASE)) { BESIDE } else { BASE }
}

fn mounting(place: &str) -> std::process::Command {
    let mut command = std::process::Command::new("mount");
    command.args(["-t", "cgroup2", "none", place]);
    command
}

/// What one types to mount it.
pub(super) fn command() -> String {
    let place = place(&mounts());
    format!("mkdir -p {place} && {}", shown(&mounting(place)))
}

/// Mounts it.
///
/// # Errors
/// If the folder cannot be made, or what `mount` said.
pub(super) fn mount() -> Result<()> {
    let place = place(&mounts());
    eprintln!("setup: {}", command());
    std::fs::create_dir_all(Path::new(place)).with_context(|| format!("the folder {place}"))?;
    run(&mut mounting(place)).context("a container needs the right to mount (CAP_SYS_ADMIN)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_beside_version_1_and_else_where_everyone_looks() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n";
        assert_eq!((mounted_in(hybrid), place(hybrid)), (false, BESIDE));
        assert_eq!((mounted_in(""), place("sysfs /sys sysfs rw 0 0\n")), (false, BASE));
        assert!(mounted_in("none /sys/fs/cgroup cgroup2 rw 0 0\n"));
    }
}
