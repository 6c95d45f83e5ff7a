//! File systems. In: the disk with the image's files, and how much may be written above them. Out: the root that a
//! container would have: the same mounts, the same few devices. Refuses a machine without the disk.
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, chmod, makedev, mknodat};
use rustix::mount::{MountFlags, mount, mount_move};

const DISK: &str = "/dev/vda";
const KIND: &std::ffi::CStr = c"squashfs";
/// What every container has.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

fn attach(source: &str, target: &str, kind: &str, flags: MountFlags, data: &str) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(target)
        .with_context(|| format!("make {target}"))?;
    let data = std::ffi::CString::new(data)?;
    mount(source, target, kind, flags, data.as_c_str()).with_context(|| format!("mount {kind} at {target}"))
}

/// What the first process itself needs.
pub(crate) fn first_mounts() -> Result<()> {
    attach("dev", "/dev", "devtmpfs", MountFlags::empty(), "mode=755")?;
    attach("proc", "/proc", "proc", MountFlags::empty(), "")?;
    attach("sys", "/sys", "sysfs", MountFlags::empty(), "")
}

/// Makes the program's root and goes there for good.
pub(crate) fn enter(disk_bytes: u64) -> Result<()> {
    attach("tmpfs", "/upper", "tmpfs", MountFlags::NODEV, &format!("mode=755,size={disk_bytes}"))?;
    fs::create_dir_all("/lower")?;
    let kind = KIND.to_str()?;
    attach(DISK, "/lower", kind, MountFlags::RDONLY | MountFlags::NODEV, "")?;
    fs::create_dir_all("/upper/files")?;
    fs::create_dir_all("/upper/work")?;
    let layers = "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work";
    attach("overlay", "/root", "overlay", MountFlags::NODEV, layers)?;
    furnish("/root")?;
    rustix::process::chdir("/root").context("go to the new root")?;
    mount_move(".", "/").context("put the new root in the old one's place")?;
    rustix::process::chroot(".").context("enter the new root")?;
    rustix::process::chdir("/").context("go to the new root")?;
    Ok(())
}

/// The mounts of a container.
fn furnish(root: &str) -> Result<()> {
    let closed = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let at = |path: &str| format!("{root}{path}");
    attach("proc", &at("/proc"), "proc", closed, "")?;
    attach("sysfs", &at("/sys"), "sysfs", closed | MountFlags::RDONLY, "")?;
    attach("tmpfs", &at("/dev"), "tmpfs", MountFlags::NOSUID, "mode=755,size=1m")?;
    for (name, major, minor) in DEVICES {
        let path = at("/dev/") + name;
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(major, minor))
            .and_then(|()| chmod(&path, mode))
            .with_context(|| format!("make {path}"))?;
    }
    for (target, name) in LINKS {
        symlink(target, at("/dev/") + name).with_context(|| format!("link /dev/{name}"))?;
    }
    let ptys = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    attach("devpts", &at("/dev/pts"), "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, ptys)?;
    attach("shm", &at("/dev/shm"), "tmpfs", closed, "mode=1777,size=64m")?;
    attach("tmpfs", &at("/run"), "tmpfs", MountFlags::NOSUID, "mode=755,size=64m")?;
    attach("tmpfs", &at("/tmp"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777,size=64m")
}

/// Stirs bytes into the kernel's random numbers. The machine's own generation counter does the same after a restore, at
/// once and for all readers; this comes on top.
pub(crate) fn stir(hexadecimal: &str) -> Result<()> {
    let device = Path::new("/dev/urandom");
    fs::File::options().write(true).open(device)?.write_all(hexadecimal.as_bytes())?;
    Ok(())
}
