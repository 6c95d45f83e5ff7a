//! Syscalls of instances. In: which cgroups to count. Out: exact counts by number. The program is loaded once and
//! attached only while there is something to count: the attach itself is the floor of its cost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object, ObjectBuilder};
use weft_abi::PROFILES_MAX;

use super::KernelError;

/// The program and its twin, built from `ebpf/core`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/syscalls.bpf.o"));

/// Syscall numbers that are counted; higher ones share the last place.
pub const SYSCALLS: usize = weft_abi::SYSCALLS;

/// The name of a syscall on this architecture; its number where it has none.
pub fn syscall_name(number: usize) -> String {
    match syscalls::Sysno::new(number) {
        Some(call) => call.name().to_owned(),
        None => number.to_string(),
    }
}

/// Counts of tracked cgroups. Without [`SyscallProfiles::load`] it counts nothing.
#[derive(Clone, Default)]
pub struct SyscallProfiles(Arc<Mutex<Option<Loaded>>>);

struct Loaded {
    object: Object,
    /// Which of the twins this kernel takes.
    program: &'static str,
    profiles: MapHandle,
    tracked: HashSet<u64>,
    attached: Option<Link>,
}

impl SyscallProfiles {
    /// Loads the program, so that no instance waits for that; nothing is counted yet, and nothing attached.
    ///
    /// # Errors
    /// [`KernelError::Core`].
    pub fn load(&self) -> Result<(), KernelError> {
        let loaded = Loaded::load()?;
        *self.state() = Some(loaded);
        Ok(())
    }

    /// Counts the syscalls of a cgroup from now on, from zero.
    ///
    /// # Errors
    /// [`KernelError::Full`], or [`KernelError::Core`] if the program cannot be attached.
    pub fn track(&self, cgroup_id: u64) -> Result<(), KernelError> {
        let mut state = self.state();
        let Some(loaded) = &mut *state else { return Ok(()) };
        if !loaded.tracked.contains(&cgroup_id) {
            loaded.count(cgroup_id)?;
            loaded.tracked.insert(cgroup_id);
        }
        Ok(())
    }

    /// Stops counting a cgroup; with the last one the program is detached.
    pub fn untrack(&self, cgroup_id: u64) {
        let mut state = self.state();
        let Some(loaded) = &mut *state else { return };
        // The only failures are that it is not there, and a bad descriptor, which an open map has not.
        let _ = loaded.profiles.delete(&cgroup_id.to_ne_bytes());
        if loaded.tracked.remove(&cgroup_id) && loaded.tracked.is_empty() {
            loaded.attached = None;
        }
    }

    /// Counts of a cgroup by number, over all CPUs; all zero if it is not tracked.
    ///
    /// # Errors
    /// [`KernelError::Core`].
    pub fn read(&self, cgroup_id: u64) -> Result<Vec<u64>, KernelError> {
        let state = self.state();
        let mut sums = vec![0; SYSCALLS];
        let Some(loaded) = &*state else { return Ok(sums) };
        let failed = |source| KernelError::Core { name: "profiles", source };
        let per_cpu =
            loaded.profiles.lookup_percpu(&cgroup_id.to_ne_bytes(), MapFlags::ANY).map_err(failed)?;
        for counts in per_cpu.into_iter().flatten() {
            for (sum, bytes) in sums.iter_mut().zip(counts.chunks_exact(8)) {
                *sum += bytes.try_into().map_or(0, u64::from_ne_bytes);
            }
        }
        Ok(sums)
    }

    fn state(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn load() -> Result<Self, KernelError> {
        let failed = |source| KernelError::Core { name: "syscall_enter", source };
        super::hush_libbpf();
        let mut open = ObjectBuilder::default().open_memory(OBJECT).map_err(failed)?;
        // Without the kernel's BTF only the raw twin can be loaded.
        let typed = std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
        let program = if typed { "syscall_enter" } else { "syscall_enter_raw" };
        for mut twin in open.progs_mut() {
            let wanted = twin.name() == program;
            twin.set_autoload(wanted);
        }
        let object = open.load().map_err(failed)?;
        let profiles = object.maps().find(|map| map.name() == "profiles");
        let profiles = profiles.ok_or(KernelError::Absent("profiles"))?;
        let profiles = MapHandle::try_from(&profiles).map_err(failed)?;
        Ok(Self { object, program, profiles, tracked: HashSet::new(), attached: None })
    }

    fn count(&mut self, cgroup_id: u64) -> Result<(), KernelError> {
        let failed = super::or_full("profiles", "syscall profiles", PROFILES_MAX);
        let cpus = libbpf_rs::num_possible_cpus().map_err(failed)?;
        let zeros = vec![vec![0; SYSCALLS * 8]; cpus];
        self.profiles.update_percpu(&cgroup_id.to_ne_bytes(), &zeros, MapFlags::ANY).map_err(failed)?;
        if self.attached.is_none() {
            let program = self.object.progs_mut().find(|program| program.name() == self.program);
            let program = program.ok_or(KernelError::Absent("syscall_enter"))?;
            let failed = |source| KernelError::Core { name: self.program, source };
            self.attached = Some(program.attach().map_err(failed)?);
        }
        Ok(())
    }
}
