//! The kernel of VMs. In: a cache. Out: Debian's kernel and its modules, unpacked there and never installed: no machine boots
//! another kernel for it. Refuses what `apt-get` or `dpkg-deb` refuse, with their words.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::containerd::run;

/// The package that depends on the newest kernel. Not the one for clouds: that lacks the driver by which a restored guest
/// learns that its random numbers are old.
const PACKAGE: &str = "linux-image-amd64";

/// A kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// What boots.
    pub image: PathBuf,
    /// The folder of its modules.
    pub modules: PathBuf,
}

impl Kernel {
    /// The kernel in a cache, downloaded and unpacked where it is not there.
    ///
    /// # Errors
    /// When there is no such package, or it holds no kernel.
    pub fn fetched(cache: &Path) -> Result<Self> {
        let folder = cache.join("kernel");
        fs::create_dir_all(cache).with_context(|| format!("make {}", cache.display()))?;
        // Tests run side by side.
        let lock = fs::File::create(cache.join("kernel.lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
        if !folder.is_dir() {
            fetch(&folder)?;
        }
        Self::below(&folder)
    }

    fn below(folder: &Path) -> Result<Self> {
        let only = |folder: PathBuf, start: &str| {
            let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
            let mut names =
                entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
            names
                .next()
                .map(|entry| entry.path())
                .with_context(|| format!("{} holds no kernel", folder.display()))
        };
        Ok(Self {
            image: only(folder.join("boot"), "vmlinuz-")?,
            modules: only(folder.join("lib/modules"), "")?,
        })
    }
}

fn fetch(folder: &Path) -> Result<()> {
    let part = folder.with_extension("part");
    // What a fetch that was cut off has left.
    let _ = fs::remove_dir_all(&part);
    fs::create_dir_all(&part)?;
    let name = newest().context("find the newest kernel (apt-get update may be needed)")?;
    run(Command::new("apt-get").args(["download", &name]).current_dir(&part))?;
    let archives = fs::read_dir(&part)?.flatten().map(|entry| entry.path());
    let archive = archives.into_iter().next().context("apt-get downloaded nothing")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&part))?;
    fs::remove_file(archive)?;
    fs::rename(part, folder)?;
    Ok(())
}

/// "  Depends: linux-image-6.1.0-9-amd64 (= …)"
fn newest() -> Result<String> {
    let told = run(Command::new("apt-cache").args(["depends", PACKAGE]))?;
    let name = told.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(name.context("the package depends on no kernel")?.to_owned())
}
