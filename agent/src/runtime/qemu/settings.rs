//! VMs as the configuration has them. In: the whole configuration. Out: what this runtime needs of it. Refuses nothing: what
//! is not there is found out at the first VM.
use std::path::{Path, PathBuf};

use super::QemuConfig;
use crate::config::Config;

/// Where running VMs are when the agent's own folder is too long a path for sockets in it.
const FOLDER: &str = "vm";

impl QemuConfig {
    /// What the configuration says; `cgroup_parent` as for containers.
    pub fn of(config: &Config, cgroup_parent: &Path) -> Self {
        let vm = &config.vm;
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let own = |folder: &str, name: String| Path::new(folder).join(name);
        let folder = config.agent.socket.parent().unwrap_or(Path::new("/run/weft"));
        Self {
            program: vm.qemu.clone(),
            kernel: vm.kernel.clone().unwrap_or_else(|| own("/boot", format!("vmlinuz-{}", release.trim()))),
            modules: vm.modules.clone().unwrap_or_else(|| own("/lib/modules", release.trim().to_owned())),
            acceleration: vm.acceleration,
            directory: folder.join(FOLDER),
            state: state(&config.agent.state),
            state_bytes_max: vm.cache.0,
            cgroup_parent: cgroup_parent.to_owned(),
            gateway: config.network.subnet.gateway(),
            prefix_len: config.network.subnet.prefix(),
            namespace: config.containerd.namespace.clone(),
        }
    }
}

fn state(agent: &Path) -> PathBuf {
    agent.join(FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_the_nodes_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[vm]\nkernel = \"/k\"\n").unwrap();
        let config = QemuConfig::of(&Config::load(file.path()).unwrap(), Path::new("/weft"));
        assert_eq!(config.kernel, Path::new("/k"));
        assert!(config.modules.starts_with("/lib/modules") && config.directory == Path::new("/run/weft/vm"));
    }
}
