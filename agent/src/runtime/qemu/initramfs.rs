//! The first files of a VM's kernel. In: the first process and the modules that it is to load. Out: a cpio archive as the
//! kernel unpacks it ("newc"), the same bytes for the same input. Refuses a module that cannot be read.
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>
use std::fs;
use std::path::PathBuf;

use super::VmError;

/// The first process, built for the guest.
const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weft-init"));

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// Packs them.
pub(super) fn pack(modules: &[PathBuf]) -> Result<Vec<u8>, VmError> {
    let mut archive = Archive::default();
    for name in ["dev", "modules"] {
        archive.add(name, DIRECTORY, (0, 0), &[]);
    }
    // The kernel opens the one for the first process, which needs the other before it has mounted anything.
    archive.add("dev/console", CHARACTER_DEVICE, (5, 1), &[]);
    archive.add("dev/null", CHARACTER_DEVICE, (1, 3), &[]);
    archive.add("init", PROGRAM, (0, 0), INIT);
    for (index, path) in modules.iter().enumerate() {
        let bytes = fs::read(path).map_err(|source| VmError::File { path: path.clone(), source })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.add(&format!("modules/{index:02}-{name}"), FILE, (0, 0), &bytes);
    }
    archive.add("TRAILER!!!", 0, (0, 0), &[]);
    Ok(archive.bytes)
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        // No file of this archive is near 4 GiB.
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_len = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, user, group, links, time, size, device it is on, device it is, name's length, no checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_len, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpio_reads_back_what_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("virtio.ko");
        fs::write(&module, "elf").unwrap();
        let packed = pack(&[module]).unwrap();
        assert_eq!(packed.len() % 4, 0);
        let text = String::from_utf8_lossy(&packed);
        let names = ["dev\0", "dev/console\0", "init\0", "modules/00-virtio.ko\0\0\0\0elf\0", "TRAILER!!!\0"];
        let places = names.map(|name| text.find(name).unwrap_or_else(|| panic!("{name} is missing")));
        assert!(places.is_sorted(), "{places:?}");
    }
}
