//! Which cgroup is whose. In: what the weaver makes, and containerd's events of every container on the node. Out: a
//! name for the cgroup of an event, and the syscall profile of a segment. Containers that nobody named are the host's.
//!
//! Bounded: [`CONTAINERS_MAX`] names; past that a foreign container stays unnamed, which costs its name alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError, RwLock};

use weft_models::SyscallShares;

use crate::kernel::{SYSCALLS, SyscallProfiles, syscall_name};
use crate::runtime::{ExitCause, Named, RuntimeEvent};

/// Containers of one node that are named.
const CONTAINERS_MAX: usize = 16_384;
/// Calls below this say nothing of what a segment does.
const SHARES_CALLS_MIN: u64 = 50;

/// Whose a cgroup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// An instance of weft's.
    Instance {
        /// Its number.
        instance: u64,
        /// Its name.
        name: String,
        /// Index of its segment.
        segment: usize,
    },
    /// Anybody else's: `namespace/pod/container` in Kubernetes, else containerd's namespace and id.
    Foreign(String),
}

/// What an event of the runtime means for weft's own instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// This one ended.
    One {
        /// Its name.
        name: String,
        /// Its program's process.
        pid: u32,
        /// Its program's exit status.
        status: u32,
        /// What the runtime knows of the cause.
        cause: ExitCause,
    },
    /// Events were missed: any of them may have ended.
    Any,
}

/// The names of all containers, and the profiles of weft's own.
pub struct Containers {
    names: RwLock<HashMap<u64, Container>>,
    /// Instances by where they answer: the packets of a VM's are no socket's of this node.
    addresses: RwLock<HashMap<SocketAddr, u64>>,
    syscalls: SyscallProfiles,
    /// Counts of instances that are gone, by segment.
    past: Mutex<HashMap<usize, Vec<u64>>>,
    own_namespace: String,
}

impl Containers {
    /// No names yet.
    pub fn new(own_namespace: &str, syscalls: SyscallProfiles) -> Self {
        Self {
            names: RwLock::default(),
            addresses: RwLock::default(),
            syscalls,
            past: Mutex::default(),
            own_namespace: own_namespace.to_owned(),
        }
    }

    /// Names an instance of weft's and begins its profile.
    pub fn appeared(&self, cgroup_id: u64, address: SocketAddr, instance: u64, name: &str, segment: usize) {
        self.addresses.write().unwrap_or_else(PoisonError::into_inner).insert(address, cgroup_id);
        let container = Container::Instance { instance, name: name.to_owned(), segment };
        self.names.write().unwrap_or_else(PoisonError::into_inner).insert(cgroup_id, container);
        if let Err(error) = self.syscalls.track(cgroup_id) {
            tracing::warn!(%error, instance = name, "its syscalls are not counted");
        }
    }

    /// Adds its profile to its segment's and forgets the name.
    pub fn vanished(&self, cgroup_id: u64) {
        let gone = self.names.write().unwrap_or_else(PoisonError::into_inner).remove(&cgroup_id);
        self.addresses.write().unwrap_or_else(PoisonError::into_inner).retain(|_, its| *its != cgroup_id);
        let Some(Container::Instance { segment, .. }) = gone else { return };
        if let Ok(counts) = self.syscalls.read(cgroup_id) {
            let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
            let sums = past.entry(segment).or_insert_with(|| vec![0; SYSCALLS]);
            sums.iter_mut().zip(&counts).for_each(|(sum, count)| *sum += count);
        }
        self.syscalls.untrack(cgroup_id);
    }

    /// Takes an event of the runtime; answers with what it means for weft's own instances, if anything.
    pub fn heard(&self, event: RuntimeEvent) -> Option<Ending> {
        match event {
            RuntimeEvent::Listed(all) => {
                let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
                names.retain(|_, container| matches!(container, Container::Instance { .. }));
                drop(names);
                all.into_iter().for_each(|named| self.foreign(named));
                return Some(Ending::Any);
            }
            RuntimeEvent::Named(named) => self.foreign(named),
            RuntimeEvent::Exited { namespace, container_id, pid, status, cause }
                if namespace == self.own_namespace =>
            {
                return Some(Ending::One { name: container_id, pid, status, cause });
            }
            RuntimeEvent::Exited { namespace, container_id, .. }
            | RuntimeEvent::Deleted { namespace, container_id } => {
                let suffix = foreign_name(&namespace, &container_id, &HashMap::new());
                let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
                names.retain(|_, container| *container != Container::Foreign(suffix.clone()));
            }
        }
        None
    }

    fn foreign(&self, named: Named) {
        if named.namespace == self.own_namespace {
            return;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() < CONTAINERS_MAX {
            let name = foreign_name(&named.namespace, &named.container_id, &named.labels);
            names.insert(named.cgroup_id, Container::Foreign(name));
        }
    }

    /// Whose the cgroup is.
    pub fn name(&self, cgroup_id: u64) -> Option<Container> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(&cgroup_id).cloned()
    }

    /// Whose instance answers at an address.
    pub fn at(&self, address: SocketAddr) -> Option<Container> {
        let cgroup_id = *self.addresses.read().unwrap_or_else(PoisonError::into_inner).get(&address)?;
        self.name(cgroup_id)
    }

    /// Syscalls of a segment, instances past and present, as (name, count), most first.
    pub fn profile(&self, segment: usize) -> Vec<(String, u64)> {
        let counts = self.counts(segment).into_iter().enumerate().filter(|(_, count)| *count > 0);
        let mut named: Vec<_> = counts.map(|(number, count)| (syscall_name(number), count)).collect();
        named.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        named
    }

    /// What a segment's syscalls say of it; `None` before it has made enough of them.
    pub fn shares(&self, segment: usize) -> Option<SyscallShares> {
        shares(&self.counts(segment))
    }

    fn counts(&self, segment: usize) -> Vec<u64> {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = past.get(&segment).cloned().unwrap_or_else(|| vec![0; SYSCALLS]);
        drop(past);
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let of_segment = |container: &Container| matches!(container, Container::Instance { segment: s, .. } if *s == segment);
        for (cgroup_id, _) in names.iter().filter(|(_, container)| of_segment(container)) {
            if let Ok(live) = self.syscalls.read(*cgroup_id) {
                counts.iter_mut().zip(&live).for_each(|(sum, count)| *sum += count);
            }
        }
        counts
    }
}

fn foreign_name(namespace: &str, id: &str, labels: &HashMap<String, String>) -> String {
    let label = |key: &str| labels.get(key).map(String::as_str);
    match (label("io.kubernetes.pod.namespace"), label("io.kubernetes.pod.name")) {
        (Some(pod_namespace), Some(pod)) => {
            let container = label("io.kubernetes.container.name").unwrap_or(id);
            format!("{pod_namespace}/{pod}/{container}")
        }
        _ => format!("{namespace}/{id}"),
    }
}

/// Shares of input and output, of processor and of network among the calls that tell them apart.
fn shares(counts: &[u64]) -> Option<SyscallShares> {
    let (mut io, mut cpu, mut network) = (0, 0, 0);
    for (number, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        match class(&syscall_name(number)) {
            Some(Class::Io) => io += count,
            Some(Class::Cpu) => cpu += count,
            Some(Class::Network) => network += count,
            None => {}
        }
    }
    let all = io + cpu + network;
    let share = |part: u64| part as f32 / all as f32;
    (all >= SHARES_CALLS_MIN).then(|| SyscallShares {
        io: share(io),
        cpu: share(cpu),
        network: share(network),
    })
}

enum Class {
    Io,
    Cpu,
    Network,
}

/// A call that computes shows itself only by what it needs for it: memory, threads and their locks.
fn class(name: &str) -> Option<Class> {
    match name {
        "read" | "pread64" | "readv" | "preadv" | "write" | "pwrite64" | "writev" | "open" | "openat"
        | "openat2" | "stat" | "lstat" | "fstat" | "newfstatat" | "statx" | "getdents64" | "fsync"
        | "fdatasync" | "lseek" | "unlink" | "unlinkat" | "rename" | "renameat2" | "mkdir" | "readlink"
        | "readlinkat" | "access" => Some(Class::Io),
        "mmap" | "munmap" | "mprotect" | "mremap" | "brk" | "madvise" | "futex" | "sched_yield" | "clone"
        | "clone3" | "clock_gettime" | "getrusage" => Some(Class::Cpu),
        "socket" | "connect" | "accept" | "accept4" | "sendto" | "recvfrom" | "sendmsg" | "recvmsg"
        | "sendmmsg" | "recvmmsg" | "shutdown" | "getsockname" | "getpeername" | "setsockopt"
        | "getsockopt" | "epoll_wait" | "epoll_pwait" | "epoll_ctl" | "poll" | "ppoll" | "select"
        | "pselect6" => Some(Class::Network),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_by_its_labels_and_anything_else_by_its_id() {
        let labels = [
            ("io.kubernetes.pod.namespace".to_owned(), "shop".to_owned()),
            ("io.kubernetes.pod.name".to_owned(), "cart-0".to_owned()),
            ("io.kubernetes.container.name".to_owned(), "web".to_owned()),
        ];
        assert_eq!(foreign_name("k8s.io", "ab12", &labels.into()), "shop/cart-0/web");
        assert_eq!(foreign_name("moby", "ab12", &HashMap::new()), "moby/ab12");
    }

    #[test]
    fn shares_add_up_and_need_enough_calls() {
        let number = |name: &str| (0..SYSCALLS).find(|n| syscall_name(*n) == name).unwrap();
        let mut counts = vec![0; SYSCALLS];
        counts[number("read")] = 60;
        counts[number("futex")] = 20;
        counts[number("connect")] = 20;
        let shares = shares(&counts).unwrap();
        assert_eq!((shares.io, shares.cpu, shares.network), (0.6, 0.2, 0.2));
        assert_eq!(super::shares(&vec![0; SYSCALLS]), None);
    }
}
