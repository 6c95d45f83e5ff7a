//! An image as a disk. In: what to mount to see its files. Out: a squashfs file of them, which any number of VMs read.
//! Refuses an image without layers.
//!
//! It is mounted in a mount namespace that ends with this: nobody else sees it, and nothing stays of an agent that dies.
//! Nothing is compressed: the file is read through the node's page cache, which all VMs of the image share, and a guest
//! without KVM would unpack it very slowly.
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;
use tokio::sync::oneshot;

use super::VmError;
use crate::runtime::containerd::LayerMount;

const TOOL: &str = "mksquashfs";
const OPTIONS: [&str; 7] = ["-noappend", "-no-progress", "-quiet", "-noI", "-noD", "-noF", "-noX"];

/// Writes the files that `mounts` shows to `target`; `point` is an empty folder to see them in.
pub(super) async fn make(mounts: Vec<LayerMount>, point: PathBuf, target: PathBuf) -> Result<(), VmError> {
    let (sender, receiver) = oneshot::channel();
    // A thread of its own, which ends with it: it leaves the agent's mounts.
    let spawned = thread::Builder::new().name("weft-disk".to_owned()).spawn(move || {
        // A caller that has gone away needs no disk.
        let _ = sender.send(make_apart(&mounts, &point, &target));
    });
    let failed = |source| VmError::Program { program: TOOL.into(), package: "squashfs-tools", source };
    spawned.map_err(failed)?;
    receiver.await.map_err(|_| VmError::Failed { program: TOOL, said: "its thread has ended".into() })?
}

fn make_apart(mounts: &[LayerMount], point: &Path, target: &Path) -> Result<(), VmError> {
    let mounting = |errno: rustix::io::Errno| VmError::File { path: point.to_owned(), source: errno.into() };
    #[expect(
        deprecated,
        reason = "the unsafe twin warns of FILES alone; NEWNS touches no memory or descriptor"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNS | UnshareFlags::FS).map_err(mounting)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(mounting)?;
    for one in mounts {
        attach(one, point).map_err(VmError::file(point))?;
    }
    let mut command = Command::new(TOOL);
    command.arg(point).arg(target).args(OPTIONS).stdin(Stdio::null());
    let output = command.output().map_err(|source| VmError::Program {
        program: TOOL.into(),
        package: "squashfs-tools",
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(VmError::Failed { program: TOOL, said: format!("{}: {said}", output.status) })
}

fn attach(one: &LayerMount, point: &Path) -> io::Result<()> {
    let (flags, data) = options(&one.options);
    let data = CString::new(data.join(","))?;
    Ok(mount(&one.source, point, &one.kind, flags, data.as_c_str())?)
}

/// The options that are flags, and the rest. Whatever is mounted is only read.
fn options(options: &[String]) -> (MountFlags, Vec<&str>) {
    let (mut flags, mut data) = (MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID, Vec::new());
    for option in options {
        match option.as_str() {
            "bind" => flags |= MountFlags::BIND,
            "rbind" => flags |= MountFlags::BIND | MountFlags::REC,
            "ro" | "rw" => {}
            other => data.push(other),
        }
    }
    (flags, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_what_a_file_system_itself_understands() {
        let told = ["rbind", "rw", "lowerdir=/a:/b", "index=off"].map(str::to_owned);
        let (flags, data) = options(&told);
        assert!(flags.contains(MountFlags::BIND | MountFlags::REC | MountFlags::RDONLY));
        assert_eq!(data, ["lowerdir=/a:/b", "index=off"]);
    }
}
