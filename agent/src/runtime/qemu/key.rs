//! What two VMs must have in common for one to go on from the other's state. In: everything that went into the first. Out:
//! one name for all of it. Refuses nothing: what differs in the least has another name, and boots anew. Pure.
use serde::Serialize;
use sha2::{Digest, Sha256};
use weft_init::protocol::Program;

use super::machine::Accelerator;
use super::shape::VmShape;

/// All that must match.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Likeness<'a> {
    /// Digest of the image: its program and its libraries.
    pub(super) image: &'a str,
    /// What is run, and with which environment.
    pub(super) program: &'a Program,
    /// The size of the machine.
    pub(super) shape: VmShape,
    /// What QEMU says of its version.
    pub(super) qemu: &'a str,
    /// What executes the guest.
    pub(super) accelerator: Accelerator,
    /// The processor that the guest sees.
    pub(super) processor: &'a str,
    /// Digest of the guest's kernel, its modules and its first process.
    pub(super) kernel: &'a str,
}

/// The name of a likeness.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Likeness<'_> {
    pub(super) fn key(&self) -> Key {
        // Texts and numbers can always be written as JSON.
        Key(hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default())))
    }
}

impl Key {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Half of a digest, which is enough to tell things apart that nobody forges.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        Program {
            args: vec!["/cart".into()],
            env: vec!["A=b".into()],
            uid: 0,
            gid: 0,
            directory: "/".into(),
            port: 8080,
            disk_bytes: 1 << 20,
        }
    }

    fn likeness(program: &Program) -> Likeness<'_> {
        let shape = VmShape { vcpus: 1, memory_mib: 128, cpu_millis: 500, disk_bytes: 1 << 20 };
        let accelerator = Accelerator::Tcg;
        Likeness {
            image: "sha256:1",
            program,
            shape,
            qemu: "7.2",
            accelerator,
            processor: "max",
            kernel: "k",
        }
    }

    #[test]
    fn a_vm_of_another_image_spec_qemu_machine_or_processor_has_another_key() {
        let own = program();
        let one = likeness(&own).key();
        assert_eq!(likeness(&own).key(), one);
        let other = Program { env: vec!["A=c".into()], ..program() };
        let shape = VmShape { vcpus: 2, ..likeness(&own).shape };
        let others = [
            Likeness { image: "sha256:2", ..likeness(&own) },
            likeness(&other),
            Likeness { shape, ..likeness(&own) },
            Likeness { qemu: "7.2.1", ..likeness(&own) },
            Likeness { accelerator: Accelerator::Kvm, ..likeness(&own) },
            Likeness { processor: "host", ..likeness(&own) },
            Likeness { kernel: "l", ..likeness(&own) },
        ];
        for other in others {
            assert_ne!(other.key(), one, "{other:?}");
        }
    }
}
