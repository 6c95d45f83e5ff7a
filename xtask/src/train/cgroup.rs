//! A cgroup to measure in. In: nothing. Out: what the processes in it used, in either layout of cgroups: one tree, or one
//! per controller. Removed when dropped; its processes have ended by then.
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

const ROOT: &str = "/sys/fs/cgroup";

/// Folders of one cgroup.
pub(super) struct Cgroup {
    folders: Vec<PathBuf>,
    memory: PathBuf,
    io: Option<PathBuf>,
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            if let Err(error) = fs::remove_dir(folder) {
                eprintln!("{}: stays behind: {error}", folder.display());
            }
        }
    }
}

impl Cgroup {
    /// A new one.
    ///
    /// # Errors
    /// Without root, and where memory cannot be counted.
    pub(super) fn make() -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("weft-sizing-{}-{number}", std::process::id());
        let root = Path::new(ROOT);
        if root.join("cgroup.controllers").exists() {
            fs::write(root.join("cgroup.subtree_control"), "+memory +io").context(
                "/sys/fs/cgroup/cgroup.subtree_control: run it as root, where these controllers are",
            )?;
            let folder = make(&root.join(name))?;
            return Ok(Self {
                memory: folder.join("memory.peak"),
                io: Some(folder.join("io.stat")),
                folders: vec![folder],
            });
        }
        let mut cgroup = Self { folders: vec![], memory: PathBuf::new(), io: None };
        for controller in ["memory", "blkio"] {
            let folder = make(&root.join(controller).join(&name))?;
            cgroup.folders.push(folder.clone());
            match controller {
                "memory" => cgroup.memory = folder.join("memory.max_usage_in_bytes"),
                _ => cgroup.io = Some(folder.join("blkio.throttle.io_service_bytes")),
            }
        }
        Ok(cgroup)
    }

    /// The files that take a process in.
    pub(super) fn doors(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// The most memory that was held at once.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn memory_peak(&self) -> Result<u64> {
        let text = fs::read_to_string(&self.memory).with_context(|| {
            format!("{}: peaks of memory are counted since Linux 5.19", self.memory.display())
        })?;
        text.trim().parse().with_context(|| format!("`{}` is no number of bytes", text.trim()))
    }

    /// Read from and written to devices; nothing where it is not counted.
    pub(super) fn io_bytes(&self) -> u64 {
        let text = self.io.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        io_bytes(&text)
    }
}

fn make(folder: &Path) -> Result<PathBuf> {
    fs::create_dir(folder).with_context(|| format!("{}: make it as root", folder.display()))?;
    Ok(folder.to_owned())
}

/// Sums `8:0 rbytes=1 wbytes=2 ...` and `8:0 Read 1`, the two ways in which it is told.
fn io_bytes(text: &str) -> u64 {
    let mut sum = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "Read" | "Write", bytes] => sum += bytes.parse::<u64>().unwrap_or(0),
            _ => {
                let counts = words
                    .iter()
                    .filter_map(|word| word.strip_prefix("rbytes=").or_else(|| word.strip_prefix("wbytes=")));
                sum += counts.filter_map(|bytes| bytes.parse::<u64>().ok()).sum::<u64>();
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_devices_are_summed_in_both_ways_of_telling() {
        assert_eq!(io_bytes("8:0 rbytes=10 wbytes=5 rios=1 wios=1\n8:1 rbytes=1 wbytes=0\n"), 16);
        assert_eq!(io_bytes("8:0 Read 7\n8:0 Write 2\n8:0 Sync 9\n8:0 Total 9\nTotal 9\n"), 9);
    }
}
