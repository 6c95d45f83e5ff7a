//! How an instance is confined: its OCI runtime specification.
//!
//! In: what the segment asks for and what its image says. Out: the specification for runc, as JSON. Refuses an
//! image without a program and one whose user is a name.
use std::path::Path;

use serde_json::{Value, json};

use super::sandbox::{Access, Bind};
use crate::runtime::{Confinement, ImageFault, ImageInfo, InstanceId, InstanceSpec, Recipe};

mod hardened;
mod machine;

/// What a server that drops its privileges needs, and no more: no raw sockets, no device nodes.
const CAPABILITIES: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
];

/// Files of the kernel that tell about the node or change it.
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PIDS_MAX: u64 = 4096;
/// The period over which runc counts processor time.
const CPU_PERIOD_US: u64 = 100_000;

/// Writes the specification; for a runtime that makes VMs, if the recipe names a machine.
pub(super) fn runtime_spec(
    instance: &InstanceSpec,
    image: &ImageInfo,
    cgroup_parent: &Path,
) -> Result<Value, ImageFault> {
    let mut document = of_container(instance, image, cgroup_parent)?;
    if let Some(machine) = &instance.recipe.machine {
        machine::make(&mut document, &instance.recipe, machine);
    }
    Ok(document)
}

fn of_container(
    instance: &InstanceSpec,
    image: &ImageInfo,
    cgroup_parent: &Path,
) -> Result<Value, ImageFault> {
    if instance.recipe.confinement == Confinement::Hardened {
        return hardened::runtime_spec(instance, image, cgroup_parent);
    }
    let (uid, gid) = user(&image.user)?;
    let directory = if image.working_dir.is_empty() { "/" } else { &image.working_dir };
    let capabilities = json!(CAPABILITIES);
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": uid, "gid": gid },
            "args": arguments(&instance.recipe, image)?,
            "env": environment(&instance.recipe, image),
            "cwd": directory,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            // No limits of files: those of containerd hold, which it may not be allowed to raise.
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": instance.hostname,
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": cgroup_parent.join(instance.id.as_str()),
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
                { "type": "cgroup" }, { "type": "network", "path": instance.netns },
            ],
            "resources": {
                "devices": [{ "allow": false, "access": "rwm" }],
                "memory": { "limit": instance.recipe.memory_bytes },
                "cpu": {
                    "quota": u64::from(instance.recipe.cpu_millis) * (CPU_PERIOD_US / 1000),
                    "period": CPU_PERIOD_US,
                },
                "pids": { "limit": PIDS_MAX },
            },
            // As Docker and containerd's CRI do: programs that are not root may listen on port 80 of their own network.
            "sysctl": { "net.ipv4.ip_unprivileged_port_start": "0" },
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    }))
}

/// Shows a program files and folders of the node.
pub(super) fn add_binds(document: &mut Value, binds: &[Bind]) {
    let mounts = binds.iter().map(|bind| {
        let access = if bind.access == Access::Read { "ro" } else { "rw" };
        json!({
            "destination": bind.destination, "type": "bind", "source": bind.source,
            "options": ["rbind", "nosuid", "nodev", access],
        })
    });
    if let Some(list) = document["mounts"].as_array_mut() {
        list.extend(mounts);
    }
}

/// The user of the node by whom a container's user is stood for.
pub(super) fn host_id(confinement: Confinement, id: &InstanceId, inside: u32) -> u32 {
    match confinement {
        Confinement::Trusted => inside,
        Confinement::Hardened => hardened::first_host_id(id) + inside,
    }
}

/// The program and its arguments: the segment's, else the image's.
pub(in crate::runtime) fn arguments(recipe: &Recipe, image: &ImageInfo) -> Result<Vec<String>, ImageFault> {
    let own = || image.entrypoint.iter().chain(&image.cmd).cloned().collect();
    let arguments: Vec<_> = recipe.args.clone().unwrap_or_else(own);
    if arguments.is_empty() { Err(ImageFault::NoProgram) } else { Ok(arguments) }
}

/// The image's, where the segment sets no other value; PATH as every shell expects it.
pub(in crate::runtime) fn environment(recipe: &Recipe, image: &ImageInfo) -> Vec<String> {
    let name_of = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let mut lines: Vec<_> = recipe.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for line in image.env.iter().map(String::as_str).chain([DEFAULT_PATH]) {
        if lines.iter().all(|known| name_of(known) != name_of(line)) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// User and group of an image, by number.
pub(in crate::runtime) fn user(text: &str) -> Result<(u32, u32), ImageFault> {
    if text.is_empty() {
        return Ok((0, 0));
    }
    let named = |_| ImageFault::NamedUser { user: text.to_owned() };
    let (user, group) = text.split_once(':').unwrap_or((text, "0"));
    let name_or_number = |text: &str| if text == "root" { Ok(0) } else { text.parse().map_err(named) };
    Ok((name_or_number(user)?, name_or_number(group)?))
}

fn mounts() -> Value {
    let closed = ["nosuid", "noexec", "nodev"];
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": closed },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": closed },
        { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
        { "destination": "/run", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        // An image from scratch has none, and programs count on it.
        { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "nodev", "mode=1777", "size=65536k"] },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{ImageRef, InstanceId};

    fn recipe() -> Recipe {
        Recipe {
            image: ImageRef::new("shop/cart:1"),
            memory_bytes: 64 << 20,
            cpu_millis: 500,
            env: vec![("MODE".into(), "shop".into())],
            args: None,
            confinement: Confinement::Trusted,
            port: 8080,
            machine: None,
        }
    }

    fn instance() -> InstanceSpec {
        InstanceSpec {
            id: InstanceId::new("cart-1").unwrap(),
            graph: None,
            segment: "cart".into(),
            recipe: recipe(),
            netns: "/proc/7/fd/12".into(),
            ip: [10, 201, 0, 2].into(),
            hostname: "cart-1".into(),
        }
    }

    fn image() -> ImageInfo {
        ImageInfo {
            digest: String::new(),
            chain_id: String::new(),
            env: vec!["MODE=none".into(), "LANG=C".into()],
            entrypoint: vec!["/cart".into()],
            cmd: vec!["serve".into()],
            user: String::new(),
            working_dir: String::new(),
            size_bytes: 0,
        }
    }

    #[test]
    fn the_segment_overrides_the_image() {
        let spec = runtime_spec(&instance(), &image(), "/weft".as_ref()).unwrap();
        assert_eq!(spec["process"]["args"], json!(["/cart", "serve"]));
        assert_eq!(spec["process"]["env"], json!(["MODE=shop", "LANG=C", DEFAULT_PATH]));
        assert_eq!(spec["linux"]["cgroupsPath"], "/weft/cart-1");
        assert_eq!(spec["linux"]["resources"]["cpu"]["quota"], 50_000);
        let args = Some(vec!["/other".into()]);
        let recipe = Recipe { args, ..recipe() };
        let spec = runtime_spec(&InstanceSpec { recipe, ..instance() }, &image(), "/weft".as_ref()).unwrap();
        assert_eq!(spec["process"]["args"], json!(["/other"]));
    }

    #[test]
    fn a_vm_of_containerds_has_its_size_in_annotations_and_no_limits_or_users_inside() {
        let machine = crate::runtime::Machine {
            disk_bytes: 64 << 20,
            bandwidth_bits: Some(8_000_000),
            snapshots: crate::runtime::Snapshots::Never,
        };
        let sized = |memory_bytes, cpu_millis| {
            let (machine, confinement) = (Some(machine), Confinement::Hardened);
            let recipe = Recipe { memory_bytes, cpu_millis, machine, confinement, ..recipe() };
            let image = ImageInfo { user: "65534:65534".into(), ..image() };
            runtime_spec(&InstanceSpec { recipe, ..instance() }, &image, "/weft".as_ref()).unwrap()
        };
        let spec = sized(512 << 20, 1500);
        let annotation =
            |name: &str| spec["annotations"][format!("io.katacontainers.config.hypervisor.{name}")].as_str();
        assert_eq!((annotation("default_vcpus"), annotation("default_memory")), (Some("2"), Some("640")));
        assert_eq!(annotation("tx_rate_limiter_max_rate"), Some("8000000"));
        let linux = &spec["linux"];
        assert!(linux["resources"].get("memory").is_none() && linux["resources"].get("cpu").is_none());
        let namespaces = linux["namespaces"].as_array().unwrap();
        assert!(namespaces.iter().all(|one| one["type"] != "user") && linux.get("uidMappings").is_none());
        assert!(namespaces.iter().any(|one| one["type"] == "network"), "its network stays weft's");
        let small = sized(16 << 20, 100)["annotations"].to_string();
        assert!(small.contains("\"256\"") && small.contains("\"1\""), "{small}");
        let trusted = runtime_spec(&instance(), &image(), "/weft".as_ref()).unwrap();
        assert!(trusted.get("annotations").is_none(), "a container has none");
    }

    #[test]
    fn a_program_that_is_not_root_may_listen_on_port_80_of_its_own_network() {
        let spec = runtime_spec(&instance(), &image(), "/weft".as_ref()).unwrap();
        assert_eq!(spec["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"], "0");
        assert_eq!(spec["linux"]["namespaces"][5], json!({ "type": "network", "path": "/proc/7/fd/12" }));
    }

    #[test]
    fn an_image_without_a_program_or_with_a_named_user_is_refused() {
        let without = ImageInfo { entrypoint: vec![], cmd: vec![], ..image() };
        let refused = runtime_spec(&instance(), &without, "/weft".as_ref());
        assert!(matches!(refused, Err(ImageFault::NoProgram)));
        assert!(matches!(user("node"), Err(ImageFault::NamedUser { .. })));
        assert_eq!(user("1000:50").unwrap(), (1000, 50));
        assert_eq!(user("root").unwrap(), (0, 0));
    }
}
