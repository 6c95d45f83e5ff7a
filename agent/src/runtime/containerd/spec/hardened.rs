//! How code that a stranger sent is confined. In: what the segment asks for and what its image says. Out: the
//! specification for runc: a root that cannot be written, no capability, users of its own, a closed list of system calls,
//! a small bounded `/tmp`. Refuses what the plain specification refuses.
//!
//! Nothing of the image is given to the container's users: they read it as strangers, which a root that is read-only and
//! layers that everyone may read allow. So neither a copy with other owners nor mapped mounts are needed, and any
//! snapshotter does.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{CPU_PERIOD_US, MASKED, READ_ONLY, arguments, environment, user};
use crate::runtime::{ImageFault, ImageInfo, InstanceId, InstanceSpec};

/// The system calls that are let through; the rest is told to be unknown.
const SECCOMP: &str = include_str!("seccomp.json");
/// Threads and processes of one instance.
const PIDS_MAX: u64 = 512;
/// Users of one container.
const USERS: u32 = 1 << 16;
/// Where the users of hardened containers begin: above those of people, of services and of rootless tools.
const FIRST_USER: u32 = 1 << 30;
/// How many ranges there are; two containers that share one by chance still have nothing in common but it.
const RANGES: u32 = 1 << 14;

/// The user of the node that stands for root in this container.
pub(super) fn first_host_id(id: &InstanceId) -> u32 {
    let hash = Sha256::digest(id.as_str());
    let range = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) % RANGES;
    FIRST_USER + range * USERS
}

pub(super) fn runtime_spec(
    instance: &InstanceSpec,
    image: &ImageInfo,
    cgroup_parent: &Path,
) -> Result<Value, ImageFault> {
    let (uid, gid) = user(&image.user)?;
    let directory = if image.working_dir.is_empty() { "/" } else { &image.working_dir };
    let host = first_host_id(&instance.id);
    let mapping = json!([{ "containerID": 0, "hostID": host, "size": USERS }]);
    // The file is the program's own, read by its tests.
    let seccomp: Value = serde_json::from_str(SECCOMP).expect("the profile is valid JSON, as its test sees");
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": uid, "gid": gid },
            "args": arguments(&instance.recipe, image)?,
            "env": environment(&instance.recipe, image),
            "cwd": directory,
            "capabilities": {
                "bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": [],
            },
            "rlimits": [{ "type": "RLIMIT_CORE", "hard": 0, "soft": 0 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": instance.hostname,
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": cgroup_parent.join(instance.id.as_str()),
            "namespaces": [
                { "type": "user" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
                { "type": "cgroup" }, { "type": "network", "path": instance.netns },
            ],
            "uidMappings": mapping,
            "gidMappings": mapping,
            "resources": {
                "devices": [{ "allow": false, "access": "rwm" }],
                "memory": { "limit": instance.recipe.memory_bytes },
                "cpu": {
                    "quota": u64::from(instance.recipe.cpu_millis) * (CPU_PERIOD_US / 1000),
                    "period": CPU_PERIOD_US,
                },
                "pids": { "limit": PIDS_MAX },
            },
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": seccomp,
        },
    }))
}

/// No `/sys`: its owner is the network namespace's, which is not the container's.
fn mounts() -> Value {
    let closed = ["nosuid", "noexec", "nodev"];
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": closed },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=64k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"] },
        { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"] },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Confinement, ImageRef, Recipe};

    fn document() -> Value {
        let recipe = Recipe {
            image: ImageRef::new("weft/cart:1"),
            memory_bytes: 64 << 20,
            cpu_millis: 500,
            env: vec![],
            args: None,
            confinement: Confinement::Hardened,
            port: 8080,
            machine: None,
        };
        let instance = InstanceSpec {
            id: InstanceId::new("cart-1").unwrap(),
            graph: None,
            segment: "cart".into(),
            recipe,
            netns: "/proc/7/fd/12".into(),
            ip: [10, 201, 0, 2].into(),
            hostname: "cart-1".into(),
        };
        let image = ImageInfo {
            digest: String::new(),
            chain_id: String::new(),
            env: vec![],
            entrypoint: vec!["/cart".into()],
            cmd: vec![],
            user: "65534:65534".into(),
            working_dir: String::new(),
            size_bytes: 0,
        };
        super::super::runtime_spec(&instance, &image, "/weft".as_ref()).unwrap()
    }

    #[test]
    fn uploaded_code_can_write_nothing_and_has_no_rights() {
        let document = document();
        assert_eq!(document["root"]["readonly"], true);
        assert_eq!(document["process"]["noNewPrivileges"], true);
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            assert_eq!(document["process"]["capabilities"][set], json!([]), "{set}");
        }
        assert_eq!(document["process"]["user"]["uid"], 65534);
        let memory = |mount: &&Value| mount["type"] == "tmpfs";
        for mount in document["mounts"].as_array().unwrap().iter().filter(memory) {
            let options = mount["options"].as_array().unwrap();
            assert!(options.iter().any(|option| option.as_str().unwrap().starts_with("size=")), "{mount}");
        }
    }

    #[test]
    fn root_inside_is_nobody_outside_and_no_two_names_share_users_by_rule() {
        let document = document();
        let host = document["linux"]["uidMappings"][0]["hostID"].as_u64().unwrap();
        assert!(host >= u64::from(FIRST_USER) && host < 1 << 31);
        assert_eq!(document["linux"]["namespaces"][0]["type"], "user");
        let of = |name: &str| first_host_id(&InstanceId::new(name).unwrap());
        assert_eq!(of("cart-1"), of("cart-1"));
        assert_ne!(of("cart-1"), of("cart-2"));
    }

    #[test]
    fn the_list_of_system_calls_is_closed_and_leaves_out_what_changes_the_node() {
        let document = document();
        let seccomp = &document["linux"]["seccomp"];
        assert_eq!(seccomp["defaultAction"], "SCMP_ACT_ERRNO");
        let rules = seccomp["syscalls"].as_array().unwrap();
        let allowed = rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
        let names: Vec<_> = allowed
            .flat_map(|rule| rule["names"].as_array().unwrap())
            .map(|name| name.as_str().unwrap())
            .collect();
        for name in ["read", "futex", "epoll_wait", "clone", "accept4", "execve"] {
            assert!(names.contains(&name), "{name} is needed");
        }
        for name in [
            "mount",
            "bpf",
            "ptrace",
            "keyctl",
            "unshare",
            "setns",
            "init_module",
            "io_uring_setup",
            "kexec_load",
            "perf_event_open",
            "userfaultfd",
            "clone3",
        ] {
            assert!(!names.contains(&name), "{name} is to be refused");
        }
    }
}
