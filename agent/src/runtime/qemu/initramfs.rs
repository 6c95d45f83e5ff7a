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

    /// Names, modes and contents, read as the kernel reads them: the header tells both lengths, and each part ends at a
    /// multiple of four.
    fn unpack(mut rest: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while !rest.is_empty() {
            assert_eq!(&rest[..6], b"070701");
            let field = |index: usize| {
                let digits = std::str::from_utf8(&rest[6 + index * 8..14 + index * 8]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (mode, size, name_len) = (field(1), field(6) as usize, field(11) as usize);
            let name = String::from_utf8(rest[110..110 + name_len - 1].to_vec()).unwrap();
            let begin = (110 + name_len).next_multiple_of(4);
            entries.push((name, mode, rest[begin..begin + size].to_vec()));
            rest = &rest[(begin + size).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn the_archive_holds_the_first_process_and_the_modules_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let modules = ["virtio.ko", "overlay.ko"].map(|name| folder.path().join(name));
        modules.iter().for_each(|path| fs::write(path, path.as_os_str().as_encoded_bytes()).unwrap());
        let entries = unpack(&pack(&modules).unwrap());
        let names: Vec<_> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        let first = ["dev", "modules", "dev/console", "dev/null", "init"];
        assert_eq!(names[..5], first);
        assert_eq!(names[5..], ["modules/00-virtio.ko", "modules/01-overlay.ko", "TRAILER!!!"]);
        assert_eq!((entries[4].1, &entries[4].2[..4]), (PROGRAM, &b"\x7fELF"[..]));
        assert_eq!(entries[6].2, modules[1].as_os_str().as_encoded_bytes());
    }
}
