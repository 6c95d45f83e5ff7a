//! Syscalls of instances. In: which cgroups to count. Out: exact counts by number. The program is attached only while
//! there is something to count: the attach itself is the floor of its cost.

use std::sync::{Arc, Mutex, PoisonError};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle};
use weft_abi::PROFILES_MAX;

use super::KernelError;

mod skeleton {
    #![expect(unsafe_code, unreachable_pub, clippy::unwrap_used, reason = "generated")]
    #![expect(
        clippy::undocumented_unsafe_blocks,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    include!(concat!(env!("OUT_DIR"), "/syscalls.skel.rs"));
}

/// Syscall numbers that are counted; higher ones share the last place.
pub const SYSCALLS: usize = weft_abi::SYSCALLS;

/// The name of a syscall on this architecture; its number where it has none.
pub fn syscall_name(number: usize) -> String {
    match syscalls::Sysno::new(number) {
        Some(call) => call.name().to_owned(),
        None => number.to_string(),
    }
}

/// Counts of tracked cgroups.
#[derive(Clone, Default)]
pub struct SyscallProfiles(Arc<Mutex<Option<Attached>>>);

struct Attached {
    tracked: MapHandle,
    profiles: MapHandle,
    slots: std::collections::HashMap<u64, u32>,
    free: Vec<u32>,
    _link: Link,
}

impl SyscallProfiles {
    /// Counts the syscalls of a cgroup from now on, from zero.
    ///
    /// # Errors
    /// [`KernelError::Full`], or [`KernelError::Core`] if the program cannot be attached.
    pub fn track(&self, cgroup_id: u64) -> Result<(), KernelError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attached = match &mut *state {
            Some(attached) => attached,
            None => state.insert(Attached::load()?),
        };
        if attached.slots.contains_key(&cgroup_id) {
            return Ok(());
        }
        let Some(slot) = attached.free.pop() else {
            return Err(KernelError::Full { what: "syscall profiles", max: PROFILES_MAX });
        };
        attached.clear(slot)?;
        let failed = |source| KernelError::Core { name: "tracked", source };
        attached
            .tracked
            .update(&cgroup_id.to_ne_bytes(), &slot.to_ne_bytes(), MapFlags::ANY)
            .map_err(failed)?;
        attached.slots.insert(cgroup_id, slot);
        Ok(())
    }

    /// Stops counting a cgroup; with the last one the program is detached.
    pub fn untrack(&self, cgroup_id: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(attached) = &mut *state else { return };
        let Some(slot) = attached.slots.remove(&cgroup_id) else { return };
        // The only other failure is a bad descriptor, which an open map has not.
        let _ = attached.tracked.delete(&cgroup_id.to_ne_bytes());
        attached.free.push(slot);
        if attached.slots.is_empty() {
            *state = None;
        }
    }

    /// Counts of a cgroup by number, over all CPUs; all zero if it is not tracked.
    ///
    /// # Errors
    /// [`KernelError::Core`].
    pub fn read(&self, cgroup_id: u64) -> Result<Vec<u64>, KernelError> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = vec![0; SYSCALLS];
        let slot = state.as_ref().and_then(|attached| Some((attached, *attached.slots.get(&cgroup_id)?)));
        let Some((attached, slot)) = slot else { return Ok(sums) };
        let failed = |source| KernelError::Core { name: "profiles", source };
        let per_cpu = attached.profiles.lookup_percpu(&slot.to_ne_bytes(), MapFlags::ANY).map_err(failed)?;
        for counts in per_cpu.into_iter().flatten() {
            for (sum, bytes) in sums.iter_mut().zip(counts.chunks_exact(8)) {
                *sum += bytes.try_into().map_or(0, u64::from_ne_bytes);
            }
        }
        Ok(sums)
    }
}

impl Attached {
    fn load() -> Result<Self, KernelError> {
        let failed = |source| KernelError::Core { name: "syscall_enter", source };
        super::hush_libbpf();
        let mut storage = std::mem::MaybeUninit::uninit();
        let mut open = skeleton::SyscallsSkelBuilder::default().open(&mut storage).map_err(failed)?;
        // Without the kernel's BTF only the raw twin can be loaded.
        let typed = std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
        open.progs.syscall_enter.set_autoload(typed);
        open.progs.syscall_enter_raw.set_autoload(!typed);
        let skeleton = open.load().map_err(failed)?;
        let program = if typed { &skeleton.progs.syscall_enter } else { &skeleton.progs.syscall_enter_raw };
        Ok(Self {
            tracked: MapHandle::try_from(&skeleton.maps.tracked).map_err(failed)?,
            profiles: MapHandle::try_from(&skeleton.maps.profiles).map_err(failed)?,
            slots: std::collections::HashMap::new(),
            free: (0..PROFILES_MAX).rev().collect(),
            _link: program.attach().map_err(failed)?,
        })
    }

    fn clear(&self, slot: u32) -> Result<(), KernelError> {
        let failed = |source| KernelError::Core { name: "profiles", source };
        let cpus = libbpf_rs::num_possible_cpus().map_err(failed)?;
        let zeros = vec![vec![0; SYSCALLS * 8]; cpus];
        self.profiles.update_percpu(&slot.to_ne_bytes(), &zeros, MapFlags::ANY).map_err(failed)
    }
}
