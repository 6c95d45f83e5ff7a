//! What this kernel and host can do. In: nothing. Out: a line per feature, each tried for real on a cgroup of its own
//! that is removed again.

use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;

use super::{Kernel, KernelError, KernelOptions, SyscallProfiles, cgroup2_mount};

/// Whether a feature works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureState {
    /// It does.
    Supported,
    /// It does not.
    Missing,
}

/// Something that weft needs or can use.
#[derive(Debug, Clone)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// Whether it works.
    pub state: FeatureState,
    /// What was found.
    pub detail: String,
    /// What to do where it is missing.
    pub remedy: String,
}

/// Tries everything.
pub fn probe() -> Vec<Feature> {
    let mut features = vec![root(), kernel(), btf(), cgroups()];
    features.extend(programs());
    features.push(tool("runc", "apt-get install runc"));
    features.push(tool("containerd", "apt-get install containerd"));
    features
}

fn feature(name: &'static str, found: Result<String, String>, remedy: &str) -> Feature {
    let (state, detail) = match found {
        Ok(detail) => (FeatureState::Supported, detail),
        Err(detail) => (FeatureState::Missing, detail),
    };
    let remedy = if state == FeatureState::Missing { remedy.to_owned() } else { String::new() };
    Feature { name, state, detail, remedy }
}

/// With what the agent may do all that it does.
pub(super) const PRIVILEGES: &str = "as root, or with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_SYS_ADMIN";

/// Whether this process may do what the agent does. The rest of what it needs, the last of these includes.
///
/// # Errors
/// [`KernelError::Privileges`], which names those that are missing.
pub fn privileges() -> Result<(), KernelError> {
    let has = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let needed = [("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN), ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN)];
    let missing = needed.iter().filter(|(_, one)| !has.contains(*one)).map(|(name, _)| *name);
    match missing.collect::<Vec<_>>().join(" and ") {
        missing if missing.is_empty() => Ok(()),
        missing => Err(KernelError::Privileges { missing }),
    }
}

fn root() -> Feature {
    let user = format!("user {}", rustix::process::geteuid().as_raw());
    let found = match privileges() {
        Err(KernelError::Privileges { missing }) => Err(format!("{user} without {missing}")),
        _ => Ok(user),
    };
    feature("privileges", found, &format!("run weft {PRIVILEGES}"))
}

fn kernel() -> Feature {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let found = if version >= (5, 10) { Ok(release) } else { Err(release) };
    feature("kernel", found, "use Linux 5.10 or later")
}

fn btf() -> Feature {
    let path = Path::new("/sys/kernel/btf/vmlinux");
    let found = if path.exists() { Ok(path.display().to_string()) } else { Err("absent".into()) };
    feature("kernel BTF", found, "use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
}

fn cgroups() -> Feature {
    let found = cgroup2_mount().map(|mount| {
        let controllers = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
        let layout = if controllers.contains("memory") { "with controllers" } else { "beside version 1" };
        format!("{} ({layout})", mount.display())
    });
    feature(
        "cgroup2",
        found.map_err(|error| error.to_string()),
        "mount -t cgroup2 none /sys/fs/cgroup/unified",
    )
}

/// A cgroup to try on; removed when dropped.
struct Trial(PathBuf);

impl Trial {
    fn new() -> Result<Self, String> {
        let mount = cgroup2_mount().map_err(|error| error.to_string())?;
        let folder = mount.join(format!("weft-probe-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // An empty cgroup can always be removed; one that is gone already is as good.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn programs() -> Vec<Feature> {
    let whole = Trial::new().and_then(|trial| {
        let options = KernelOptions { cgroup: trial.0.clone(), capture_ring_bytes: 1 << 16 };
        Kernel::load(&options).map(|_| "loaded and attached".to_owned()).map_err(|error| error.to_string())
    });
    let profile = SyscallProfiles::default();
    let syscalls = profile
        .load()
        .and_then(|()| profile.track(1))
        .map(|()| "loaded and attached".to_owned())
        .map_err(|error| error.to_string());
    let remedy = "use a kernel with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF, and the privileges named above";
    vec![
        feature("capture, redirect and socket states", whole, remedy),
        feature("syscall profiles", syscalls, remedy),
    ]
}

fn tool(name: &'static str, remedy: &str) -> Feature {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    feature(name, found.map(|path| path.display().to_string()).ok_or_else(|| "not in PATH".into()), remedy)
}
