//! What a node offers for VMs. In: nothing. Out: whether QEMU, the tool that makes disks, Kata's shim and `/dev/kvm` are
//! there, in words. Whether KVM works is not told by its device: the agent finds it out by booting a guest, at the first VM.
use std::path::{Path, PathBuf};

/// One thing that VMs need, or can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it is.
    pub name: &'static str,
    /// What was found, or what is wrong.
    pub found: Result<String, String>,
    /// What to do where it is missing.
    pub remedy: &'static str,
}

/// Looks for everything.
pub fn offers() -> Vec<Offer> {
    let tool =
        |name| in_path(name).map(|path| path.display().to_string()).ok_or_else(|| "not in PATH".to_owned());
    let mut offers = vec![
        Offer {
            name: "qemu",
            found: tool("qemu-system-x86_64"),
            remedy: "apt-get install qemu-system-x86 (for segments with isolation = \"vm\")",
        },
        Offer {
            name: "mksquashfs",
            found: tool("mksquashfs"),
            remedy: "apt-get install squashfs-tools (for segments with isolation = \"vm\")",
        },
        Offer {
            name: "kvm",
            found: kvm(Path::new("/dev/kvm")),
            remedy: "load kvm_intel or kvm_amd; without it VMs run in TCG, an order of magnitude slower",
        },
    ];
    // Nobody misses it who has not installed it.
    if let Some(shim) = in_path("containerd-shim-kata-v2") {
        let found =
            Ok(format!("{}; [vm] runtime = \"io.containerd.kata.v2\" has it make the VMs", shim.display()));
        offers.push(Offer { name: "kata", found, remedy: "" });
    }
    offers
}

fn kvm(device: &Path) -> Result<String, String> {
    let opened = std::fs::File::options().read(true).write(true).open(device);
    opened
        .map(|_| format!("{} opens; the first VM shows whether guests run in it", device.display()))
        .map_err(|error| format!("{}: {error}", device.display()))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_open_is_told_with_its_path() {
        let told = kvm(Path::new("/dev/no-such-kvm")).unwrap_err();
        assert!(told.starts_with("/dev/no-such-kvm: "), "{told}");
    }
}
