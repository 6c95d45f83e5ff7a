//! A VM as QEMU is told it. In: its size, machine, disk and folder. Out: the command line. Refuses nothing; QEMU does.
//! Pure.
//!
//! No default device: a clock, a serial console that is kept in memory, the port to the agent, one network card, one disk
//! that is only read, and the generation counter that tells a restored guest that its random numbers are old. The machine
//! is always q35: microvm has no such counter, and under TCG it is no faster.
//!
//! QEMU gives up root before the guest runs, may start no program, and sees no network but the one that is put into its
//! namespace later.
use std::ffi::OsString;
use std::path::Path;

use serde_json::json;
use weft_init::protocol::PORT_NAME;

use super::machine::Accelerator;
use super::shape::VmShape;

/// The tap device's name, in the namespace of one QEMU.
pub(super) const TAP: &str = "tap0";
/// Names below the folder of a VM.
pub(super) const QMP_SOCKET: &str = "qmp";
pub(super) const GUEST_SOCKET: &str = "guest";
pub(super) const PID_FILE: &str = "pid";

/// Translated code that is kept; QEMU's own choice grows with the machine.
const TRANSLATED_MIB: u32 = 64;
/// What the guest's console may hold for those who look why it failed.
const CONSOLE_BYTES: u32 = 32 << 10;

/// Where a VM's state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// From its first instruction on.
    Boot,
    /// From a snapshot at standard input.
    Snapshot,
}

/// A VM that is to be launched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    /// Its own name.
    pub(super) name: &'a str,
    /// The folder of its sockets.
    pub(super) directory: &'a Path,
    /// What executes the guest.
    pub(super) accelerator: Accelerator,
    /// Its size.
    pub(super) shape: VmShape,
    /// The guest's kernel.
    pub(super) kernel: &'a Path,
    /// The guest's first files.
    pub(super) initramfs: &'a Path,
    /// The image's files; none for a trial.
    pub(super) disk: Option<&'a Path>,
    /// Where its state comes from.
    pub(super) origin: Origin,
    /// The user and group that QEMU becomes.
    pub(super) user: u32,
}

impl Launch<'_> {
    /// The command line.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut line = Line(Vec::new());
        line.words("-nodefaults -no-user-config -display none -no-reboot -S");
        line.words("-sandbox on,obsolete=deny,spawn=deny,resourcecontrol=deny");
        line.option("-runas", format!("{0}:{0}", self.user));
        line.option("-name", format!("weft-{}", self.name));
        line.path("-pidfile", self.directory.join(PID_FILE));
        self.machine(&mut line);
        self.devices(&mut line);
        if self.origin == Origin::Snapshot {
            line.words("-incoming fd:0");
        }
        line.0
    }

    fn machine(&self, line: &mut Line) {
        // What a server needs none of costs time at boot.
        line.words("-machine q35,graphics=off,vmport=off,usb=off,smm=off,sata=off,smbus=off,hpet=off");
        match self.accelerator {
            Accelerator::Kvm => line.words("-accel kvm -cpu host"),
            Accelerator::Tcg => {
                line.option("-accel", format!("tcg,tb-size={TRANSLATED_MIB}"));
                line.words("-cpu max");
            }
        }
        line.option("-m", format!("{}M", self.shape.memory_mib));
        line.option("-smp", self.shape.vcpus.to_string());
        line.path("-kernel", self.kernel);
        line.path("-initrd", self.initramfs);
        line.option("-append", kernel_line(self.accelerator).to_owned());
    }

    fn devices(&self, line: &mut Line) {
        line.option("-chardev", format!("ringbuf,id=console,size={CONSOLE_BYTES}"));
        line.words("-serial chardev:console -device vmgenid,guid=auto");
        line.socket("qmp", &self.directory.join(QMP_SOCKET));
        line.words("-mon chardev=qmp,mode=control");
        line.socket("guest", &self.directory.join(GUEST_SOCKET));
        line.words("-device virtio-serial-pci,max_ports=2");
        line.option("-device", format!("virtserialport,chardev=guest,name={PORT_NAME}"));
        line.option("-netdev", format!("tap,id=net,ifname={TAP},script=no,downscript=no,vhost=off"));
        line.words("-device virtio-net-pci,netdev=net,romfile=");
        if let Some(disk) = self.disk {
            let file = json!({ "driver": "file", "filename": disk, "locking": "off" });
            let disk = json!({ "driver": "raw", "node-name": "disk", "read-only": true, "file": file });
            line.option("-blockdev", disk.to_string());
            line.words("-device virtio-blk-pci,drive=disk");
        }
    }
}

/// Quiet, since every line costs a trap per character; a panic ends the machine.
fn kernel_line(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "console=ttyS0 loglevel=4 panic=-1 8250.nr_uarts=1",
        // A translated processor has none of the faults that these work around.
        Accelerator::Tcg => "console=ttyS0 loglevel=4 panic=-1 8250.nr_uarts=1 mitigations=off nokaslr",
    }
}

/// A command line that grows.
struct Line(Vec<OsString>);

impl Line {
    fn words(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }

    fn option(&mut self, name: &str, value: String) {
        self.0.extend([name.into(), value.into()]);
    }

    fn path(&mut self, name: &str, path: impl AsRef<Path>) {
        self.0.extend([name.into(), path.as_ref().into()]);
    }

    /// Listens at a path; QEMU parts its options by commas, and takes two for one in a value.
    fn socket(&mut self, id: &str, path: &Path) {
        let path = path.display().to_string().replace(',', ",,");
        self.option("-chardev", format!("socket,id={id},path={path},server=on,wait=off"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch<'a>(directory: &'a Path, disk: Option<&'a Path>, origin: Origin) -> Launch<'a> {
        Launch {
            name: "v1",
            directory,
            accelerator: Accelerator::Tcg,
            shape: VmShape { vcpus: 2, memory_mib: 256, cpu_millis: 1500, disk_bytes: 1 << 20 },
            kernel: Path::new("/boot/vmlinuz"),
            initramfs: Path::new("/state/initramfs"),
            disk,
            origin,
            user: 1_998_585_857,
        }
    }

    fn text(launch: &Launch<'_>) -> String {
        let arguments = launch.arguments();
        arguments.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_size_of_the_vm_is_what_qemu_is_told() {
        let text = text(&launch(Path::new("/run/v1"), Some(Path::new("/state/a,b.disk")), Origin::Boot));
        for part in ["-m 256M", "-smp 2", "-accel tcg,tb-size=64", "-cpu max", "-kernel /boot/vmlinuz"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(text.contains(r#""filename":"/state/a,b.disk""#) && text.contains(r#""read-only":true"#));
        assert!(!text.contains("-incoming"));
    }

    #[test]
    fn qemu_gives_up_root_and_the_right_to_start_programs_and_has_no_device_but_those_named() {
        let text = text(&launch(Path::new("/run/v1"), None, Origin::Snapshot));
        for part in ["-nodefaults", "spawn=deny", "-runas 1998585857:1998585857", "-incoming fd:0", "-S"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("virtio-blk"));
    }

    #[test]
    fn a_comma_in_a_path_is_part_of_the_path() {
        let text = text(&launch(Path::new("/run/a,b"), None, Origin::Boot));
        assert!(text.contains("path=/run/a,,b/qmp,server=on"), "{text}");
    }
}
