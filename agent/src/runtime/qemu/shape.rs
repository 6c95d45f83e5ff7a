//! How large a VM is. In: what an instance of a segment may use. Out: processors, memory, disk and bandwidth as QEMU and
//! the kernel are told them. Refuses nothing: what is too small for a kernel is made large enough. Pure.
use serde::Serialize;

use crate::runtime::{Machine, Recipe};

/// Below this the guest's kernel does not get as far as its first process.
const MEMORY_MIN_MIB: u64 = 128;
/// QEMU beside the guest's memory: its own heap, device state, and translated code where there is no KVM.
const OVERHEAD_MIB: u64 = 192;
const VCPUS_MAX: u32 = 255;

/// The size of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct VmShape {
    pub(super) vcpus: u32,
    pub(super) memory_mib: u64,
    pub(super) cpu_millis: u32,
    pub(super) disk_bytes: u64,
}

impl VmShape {
    /// As many processors as the limit begins, so that a program sees what it may use; how much of them it gets is
    /// counted outside.
    pub(super) fn of(recipe: &Recipe, machine: &Machine) -> Self {
        Self {
            vcpus: recipe.cpu_millis.div_ceil(1000).clamp(1, VCPUS_MAX),
            memory_mib: recipe.memory_bytes.div_ceil(1 << 20).max(MEMORY_MIN_MIB),
            cpu_millis: recipe.cpu_millis,
            disk_bytes: machine.disk_bytes,
        }
    }

    /// A machine that boots to its first process and has nothing to do.
    pub(super) fn trial() -> Self {
        Self { vcpus: 1, memory_mib: MEMORY_MIN_MIB, cpu_millis: 1000, disk_bytes: 1 << 20 }
    }

    /// The limit of the cgroup that QEMU runs in.
    pub(super) fn host_memory_bytes(self) -> u64 {
        (self.memory_mib + OVERHEAD_MIB) << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Confinement, ImageRef, Snapshots};

    fn shape(memory_bytes: u64, cpu_millis: u32) -> VmShape {
        let image = ImageRef::new("shop/cart:1");
        let machine = Machine { disk_bytes: 1 << 20, bandwidth_bits: None, snapshots: Snapshots::Taken };
        let recipe = Recipe {
            image,
            memory_bytes,
            cpu_millis,
            env: vec![],
            args: None,
            confinement: Confinement::Trusted,
            port: 8080,
            machine: Some(machine),
        };
        VmShape::of(&recipe, &machine)
    }

    #[test]
    fn a_part_of_a_processor_is_one_that_is_not_always_there() {
        assert_eq!((shape(1 << 30, 500).vcpus, shape(1 << 30, 500).cpu_millis), (1, 500));
        assert_eq!(shape(1 << 30, 1500).vcpus, 2);
    }

    #[test]
    fn a_limit_in_which_no_kernel_starts_is_raised_and_every_other_kept() {
        assert_eq!(shape(4 << 20, 1000).memory_mib, MEMORY_MIN_MIB);
        assert_eq!(shape((512 << 20) - 1, 1000).memory_mib, 512);
    }
}
