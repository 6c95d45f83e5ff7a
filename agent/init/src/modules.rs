//! The kernel's modules that the machine needs. In: `/modules`, where they lie in the order of their names. Out: all of
//! them loaded, their memory given back. Refuses none that is there already.
use std::fs::{self, File};

use anyhow::{Context, Result};
use rustix::io::Errno;

const FOLDER: &str = "/modules";
/// `MODULE_INIT_COMPRESSED_FILE`: the kernel unpacks it itself.
const COMPRESSED: i32 = 4;

/// Loads them.
pub(crate) fn load() -> Result<()> {
    let entries = fs::read_dir(FOLDER).with_context(|| format!("list {FOLDER}"))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let plain = path.extension().is_some_and(|ending| ending == "ko");
        match rustix::system::finit_module(&file, c"", if plain { 0 } else { COMPRESSED }) {
            // Part of the kernel, or already there.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("load {}", path.display())),
        }
        // The file is in memory like everything here. One that cannot be removed costs its size.
        let _ = fs::remove_file(&path);
    }
    Ok(())
}
