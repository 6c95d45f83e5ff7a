//! The kernel modules that a VM needs. In: the folder of a kernel's modules, installed or just unpacked. Out: their files
//! in an order in which they can be loaded. Refuses a folder that has neither a module nor its name among the built-in
//! ones.
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::VmError;

/// What the guest's devices and file systems need.
const WANTED: [&str; 6] = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "squashfs", "overlay"];
/// The driver of the generation counter.
const GENERATION: &str = "vmgenid";
const DEPTH_MAX: usize = 12;

/// The modules of one kernel.
#[derive(Debug)]
pub(super) struct Modules {
    folder: PathBuf,
    /// By name, as the kernel has it.
    files: HashMap<String, PathBuf>,
    built_in: Vec<String>,
    /// What depends on what, where the folder says so.
    dependencies: HashMap<String, Vec<String>>,
}

impl Modules {
    /// Looks at a folder, as `/lib/modules/6.1.0-9-amd64`.
    pub(super) fn read(folder: &Path) -> Result<Self, VmError> {
        let unreadable = |source| VmError::File { path: folder.to_owned(), source };
        let built_in = fs::read_to_string(folder.join("modules.builtin")).map_err(unreadable)?;
        let mut files = HashMap::new();
        collect(&folder.join("kernel"), &mut files, 0).map_err(unreadable)?;
        // Only an installed kernel has this; otherwise each module is asked.
        let table = fs::read_to_string(folder.join("modules.dep")).unwrap_or_default();
        let dependencies = table.lines().filter_map(|line| {
            let (module, needs) = line.split_once(':')?;
            Some((
                name_of(Path::new(module))?,
                needs.split_whitespace().filter_map(|n| name_of(Path::new(n))).collect(),
            ))
        });
        let built_in = built_in.lines().filter_map(|line| name_of(Path::new(line))).collect();
        Ok(Self { folder: folder.to_owned(), files, built_in, dependencies: dependencies.collect() })
    }

    /// Whether a guest learns at once that it was restored, and so that its random numbers are another's too.
    pub(super) fn knows_generations(&self) -> bool {
        self.built_in.iter().any(|name| name == GENERATION) || self.files.contains_key(GENERATION)
    }

    /// Everything that a VM needs, what others need first.
    pub(super) fn in_order(&self) -> Result<Vec<PathBuf>, VmError> {
        let mut order = Vec::new();
        let generation = self.files.contains_key(GENERATION).then_some(GENERATION);
        for name in WANTED.into_iter().chain(generation) {
            self.add(name, &mut order, 0)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<PathBuf>, depth: usize) -> Result<(), VmError> {
        if self.built_in.iter().any(|built_in| built_in == name) {
            return Ok(());
        }
        let missing = || VmError::Module { name: name.to_owned(), folder: self.folder.clone() };
        let path = self.files.get(name).filter(|_| depth < DEPTH_MAX).ok_or_else(missing)?;
        if order.contains(path) {
            return Ok(());
        }
        let needs = match self.dependencies.get(name) {
            Some(needs) => needs.clone(),
            None => told_by(path)?,
        };
        for need in needs {
            self.add(&need, order, depth + 1)?;
        }
        order.push(path.clone());
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut HashMap<String, PathBuf>, depth: usize) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() && depth < DEPTH_MAX {
            collect(&path, files, depth + 1)?;
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `virtio_net` of `kernel/drivers/net/virtio-net.ko.xz`.
fn name_of(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

/// What a module itself says that it needs: `depends=a,b` among its zero-ended notes.
fn told_by(path: &Path) -> Result<Vec<String>, VmError> {
    const MARK: &[u8] = b"\0depends=";
    let bytes = fs::read(path).map_err(|source| VmError::File { path: path.to_owned(), source })?;
    let Some(at) = bytes.windows(MARK.len()).position(|window| window == MARK) else { return Ok(Vec::new()) };
    let text = bytes[at + MARK.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    Ok(text.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(order: &[PathBuf]) -> Vec<String> {
        order.iter().map(|path| name_of(path).unwrap()).collect()
    }

    const BUILT_IN: &str = "kernel/a/virtio_pci.ko\nkernel/a/virtio_blk.ko\nkernel/a/squashfs.ko\n\
        kernel/a/virtio_console.ko\nkernel/a/overlay.ko\n";

    #[test]
    fn a_module_comes_after_all_that_it_says_it_needs() {
        let folder = folder(&[
            ("modules.builtin", BUILT_IN),
            ("kernel/net/virtio_net.ko", "elf\0depends=net-failover,virtio\0license=GPL\0"),
            ("kernel/net/net_failover.ko", "elf\0depends=virtio\0"),
            ("kernel/virtio.ko", "elf\0depends=\0"),
        ]);
        let modules = Modules::read(folder.path()).unwrap();
        assert_eq!(names(&modules.in_order().unwrap()), ["virtio", "net_failover", "virtio_net"]);
        assert!(!modules.knows_generations());
    }

    #[test]
    fn the_table_of_an_installed_kernel_is_believed_also_for_packed_modules() {
        let folder = folder(&[
            ("modules.builtin", BUILT_IN),
            ("modules.dep", "kernel/virtio_net.ko.xz: kernel/virtio.ko.xz\nkernel/virtio.ko.xz:\n"),
            ("kernel/virtio_net.ko.xz", "packed"),
            ("kernel/virtio.ko.xz", "packed"),
            ("kernel/vmgenid.ko", "elf\0depends=\0"),
        ]);
        let modules = Modules::read(folder.path()).unwrap();
        assert_eq!(names(&modules.in_order().unwrap()), ["virtio", "virtio_net", "vmgenid"]);
        assert!(modules.knows_generations());
    }

    #[test]
    fn a_kernel_that_lacks_a_module_is_refused_by_its_name() {
        let folder = folder(&[("modules.builtin", BUILT_IN), ("kernel/virtio.ko", "")]);
        let error = Modules::read(folder.path()).unwrap().in_order().unwrap_err();
        assert!(error.to_string().contains("virtio_net"), "{error}");
    }
}
