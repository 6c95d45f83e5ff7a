//! VMs as the configuration has them. In: the whole configuration. Out: what this runtime needs of it. Refuses nothing: what
//! is not there is found out at the first VM.
use std::path::{Path, PathBuf};

use super::{QemuConfig, Snapshots, VmSegment};
use crate::config::{Config, Isolation, Segment};

/// Where running VMs are when the agent's own folder is too long a path for sockets in it.
const FOLDER: &str = "vm";

impl QemuConfig {
    /// What the configuration says; `cgroup_parent` as for containers.
    pub fn of(config: &Config, cgroup_parent: &Path) -> Self {
        let vm = &config.vm;
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let own = |folder: &str, name: String| Path::new(folder).join(name);
        let folder = config.agent.socket.parent().unwrap_or(Path::new("/run/weft"));
        let in_vms = config.segments.iter().filter(|segment| segment.isolation == Isolation::Vm);
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
            segments: in_vms.map(|segment| (segment.name.clone(), of_segment(config, segment))).collect(),
        }
    }
}

fn state(agent: &Path) -> PathBuf {
    agent.join(FOLDER)
}

fn of_segment(config: &Config, segment: &Segment) -> VmSegment {
    VmSegment {
        port: segment.port,
        disk_bytes: config.vm.disk.0,
        bandwidth_bits: config.vm.bandwidth.map(|bytes| bytes.0.saturating_mul(8)),
        snapshots: if config.vm.snapshots { Snapshots::Taken } else { Snapshots::Never },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_in_vms_get_their_port_and_what_the_table_says_and_others_are_not_named() {
        let text = "[vm]\nkernel = \"/k\"\nbandwidth = \"1MiB\"\ndisk = \"32MiB\"\n\
            [[segment]]\nname = \"a\"\nimage = \"a:1\"\nport = 80\naddress = \"10.9.0.1:80\"\nisolation = \"vm\"\n\
            [[segment]]\nname = \"b\"\nimage = \"b:1\"\nport = 81\naddress = \"10.9.0.2:80\"\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let config = QemuConfig::of(&Config::load(file.path()).unwrap(), Path::new("/weft"));
        let a = VmSegment {
            port: 80,
            disk_bytes: 32 << 20,
            bandwidth_bits: Some(8 << 20),
            snapshots: Snapshots::Taken,
        };
        assert_eq!(config.segments.get("a"), Some(&a));
        assert!(!config.segments.contains_key("b") && config.kernel == Path::new("/k"));
        assert!(config.modules.starts_with("/lib/modules") && config.directory == Path::new("/run/weft/vm"));
    }
}
