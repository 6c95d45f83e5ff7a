//! A subtree of cgroups of one's own.
//!
//! In: a name. Out: a directory in the cgroup2 tree to watch, ways to start programs inside it, and at the end no
//! trace of it in any tree. Both layouts are met: version 2 alone, and beside version 1, where runc makes the same
//! path in every tree. Refuses a machine without cgroup2.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(120);

/// A subtree; dropping it kills what still runs in it and removes it from all trees.
#[derive(Debug)]
pub struct Subtree {
    name: String,
    directory: PathBuf,
}

impl Subtree {
    /// Makes `name` directly below the cgroup2 mount. What an earlier, killed run left under this name is cleared.
    ///
    /// # Errors
    /// Without cgroup2, without the right to make one, or with a name that is no single word.
    pub fn make(name: &str) -> Result<Self> {
        ensure!(!name.is_empty() && !name.contains(['/', '.']), "`{name}` is no name for a cgroup");
        let mount = mount_points().into_iter().find(|mount| mount.version == Version::Two);
        let mount =
            mount.context("no cgroup2 file system is mounted (mount -t cgroup2 none /sys/fs/cgroup)")?;
        let this = Self { name: name.to_owned(), directory: mount.point.join(name) };
        this.clear()?;
        fs::create_dir(&this.directory).with_context(|| format!("make {}", this.directory.display()))?;
        Ok(this)
    }

    /// Its directory in the cgroup2 tree.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A command that runs inside the child `child` of this subtree, from its first instruction on.
    ///
    /// # Errors
    /// When the child cannot be made.
    pub fn command(&self, child: &str, program: &Path) -> Result<Command> {
        let directory = self.directory.join(child);
        fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
        let mut command = Command::new("sh");
        // The shell moves itself and becomes the program: no socket is made elsewhere.
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        command.arg(directory.join("cgroup.procs")).arg(program);
        Ok(command)
    }

    /// Removes it from all trees.
    ///
    /// # Errors
    /// When a process in it does not die, or the kernel refuses.
    pub fn remove(self) -> Result<()> {
        self.clear()
    }

    fn clear(&self) -> Result<()> {
        clear(&self.name)
    }
}

impl Drop for Subtree {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("left behind in {}: {error:#}", self.directory.display());
        }
    }
}

/// Removes a subtree by its name from all trees, and kills what runs in it.
///
/// # Errors
/// When a process in it does not die, or the kernel refuses.
pub fn clear(name: &str) -> Result<()> {
    for directory in traces(name) {
        for below in inside_out(&directory) {
            kill_all(&below);
            // It can be removed as soon as its last process is gone.
            wait_for(&format!("the end of {}", below.display()), PATIENCE, || {
                fs::remove_dir(&below).is_ok() || !below.exists()
            })?;
        }
    }
    Ok(())
}

/// Where a subtree of this name is, in all trees.
pub fn traces(name: &str) -> Vec<PathBuf> {
    mount_points().into_iter().map(|mount| mount.point.join(name)).filter(|path| path.exists()).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

struct Mount {
    point: PathBuf,
    version: Version,
}

fn mount_points() -> Vec<Mount> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        let version = match kind {
            "cgroup2" => Version::Two,
            "cgroup" => Version::One,
            _ => return None,
        };
        Some(Mount { point: point.into(), version })
    };
    mounts.lines().filter_map(mount).collect()
}

/// A directory and all below it, the innermost first.
fn inside_out(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<_> = below.flat_map(|entry| inside_out(&entry.path())).collect();
    all.push(directory.to_owned());
    all
}

fn kill_all(directory: &Path) {
    let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        // One that has just ended is what was wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_inside_is_killed_and_nothing_is_left() -> Result<()> {
        let name = format!("weft-test-subtree-{}", std::process::id());
        let subtree = Subtree::make(&name)?;
        let mut sleeper = subtree.command("child", Path::new("sleep"))?.arg("600").spawn()?;
        let inside = subtree.directory().join("child/cgroup.procs");
        let listed = || fs::read_to_string(&inside).is_ok_and(|text| text.trim() == sleeper.id().to_string());
        wait_for("the program to be inside", PATIENCE, listed)?;
        subtree.remove()?;
        assert_eq!(traces(&name), Vec::<PathBuf>::new());
        assert!(!sleeper.wait()?.success());
        Ok(())
    }

    #[test]
    fn a_name_that_would_leave_the_tree_is_refused() {
        assert!(Subtree::make("../elsewhere").is_err());
        assert!(Subtree::make("").is_err());
    }
}
