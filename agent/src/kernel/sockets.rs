//! Sockets of instances. In: which cgroups to watch. Out: who began to listen, how many connections are open.

use std::fs::File;
use std::mem::offset_of;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use weft_abi::{Dialled, WATCHED_MAX, Watched};

use super::KernelError;
use super::ring::Ring;

mod skeleton {
    #![expect(unsafe_code, unreachable_pub, clippy::unwrap_used, reason = "generated")]
    #![expect(
        clippy::undocumented_unsafe_blocks,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    include!(concat!(env!("OUT_DIR"), "/sockets.skel.rs"));
}

/// A socket of a watched cgroup began to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The cgroup.
    pub cgroup_id: u64,
    /// The port.
    pub port: u16,
    /// When, monotonic nanoseconds.
    pub at_ns: u64,
}

/// The ring of listening sockets.
pub struct ListenRing(Ring);

impl ListenRing {
    /// The next one; waits for it.
    ///
    /// # Errors
    /// [`KernelError::Ring`].
    pub async fn next(&mut self) -> Result<Listening, KernelError> {
        self.0.next(listening).await
    }
}

fn listening(record: &[u8]) -> Option<Listening> {
    let bytes = record.get(..size_of::<weft_abi::Listening>())?;
    // SAFETY: any bytes are such a record (integers, no padding), and there are enough of them.
    let record = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast::<weft_abi::Listening>()) };
    Some(Listening { cgroup_id: record.cgroup_id, port: record.port as u16, at_ns: record.at_ns })
}

/// What the kernel knows of a watched cgroup's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connected {
    /// Connections that are open.
    pub open: u32,
    /// Whether a socket has listened on it.
    pub listens: bool,
    /// For how long connections have been open so far.
    pub busy: Duration,
}

/// Open connections of watched cgroups.
#[derive(Clone)]
pub struct Connections {
    watched: Arc<MapHandle>,
    dialled: Arc<MapHandle>,
}

impl Connections {
    /// Watches a cgroup: its listening sockets are told, and connections to `port` counted.
    ///
    /// # Errors
    /// [`KernelError::Full`] or [`KernelError::Core`].
    pub fn watch(&self, cgroup_id: u64, port: u16) -> Result<(), KernelError> {
        let mut value = [0; size_of::<Watched>()];
        value[..4].copy_from_slice(&u32::from(port).to_ne_bytes());
        let full = super::or_full("watched", "watched instances", WATCHED_MAX);
        self.watched.update(&cgroup_id.to_ne_bytes(), &value, MapFlags::ANY).map_err(full)
    }

    /// Watches an instance whose sockets are in a VM: connections are counted at those of this node who dial it.
    ///
    /// # Errors
    /// [`KernelError::Full`] or [`KernelError::Core`].
    pub fn watch_dialled(&self, cgroup_id: u64, address: SocketAddrV4) -> Result<(), KernelError> {
        // A port that no socket has: those of the VM's own process are none of its program's.
        self.watch(cgroup_id, 0)?;
        let full = super::or_full("dialled", "watched VMs", WATCHED_MAX);
        self.dialled.update(&dialled(address), &cgroup_id.to_ne_bytes(), MapFlags::ANY).map_err(full)
    }

    /// Stops watching; a cgroup that is not watched is none to stop.
    pub fn unwatch(&self, cgroup_id: u64, address: Option<SocketAddr>) {
        // The only other failure is a bad descriptor, which an open map has not.
        let _ = self.watched.delete(&cgroup_id.to_ne_bytes());
        if let Some(SocketAddr::V4(address)) = address {
            let _ = self.dialled.delete(&dialled(address));
        }
    }

    /// What is known of a cgroup now; nothing if it is not watched.
    pub fn read(&self, cgroup_id: u64) -> Connected {
        let value =
            self.watched.lookup(&cgroup_id.to_ne_bytes(), MapFlags::ANY).ok().flatten().unwrap_or_default();
        let word = |at: usize| {
            value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes)
        };
        let long = |at: usize| {
            value.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
        };
        let open = word(offset_of!(Watched, open)).max(0) as u32;
        let (busy, since) = (long(offset_of!(Watched, busy_ns)), long(offset_of!(Watched, since_ns)));
        let now = if open > 0 { monotonic_ns().saturating_sub(since) } else { 0 };
        let listens = word(offset_of!(Watched, listens)) != 0;
        Connected { open, listens, busy: Duration::from_nanos(busy.saturating_add(now)) }
    }
}

/// A key as the kernel's socket has it.
fn dialled(address: SocketAddrV4) -> [u8; size_of::<Dialled>()] {
    let mut key = [0; size_of::<Dialled>()];
    key[..4].copy_from_slice(&address.ip().octets());
    key[4..].copy_from_slice(&u32::from(address.port().to_be()).to_ne_bytes());
    key
}

/// The clock of `bpf_ktime_get_ns`.
fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Loads the programs and attaches them: they do nothing for cgroups that are not watched.
pub(super) fn load(cgroup: &File) -> Result<([libbpf_rs::Link; 2], ListenRing, Connections), KernelError> {
    let failed = |source| KernelError::Core { name: "sockets", source };
    super::hush_libbpf();
    let mut storage = std::mem::MaybeUninit::uninit();
    let open = skeleton::SocketsSkelBuilder::default().open(&mut storage).map_err(failed)?;
    let skeleton = open.load().map_err(failed)?;
    let watched = MapHandle::try_from(&skeleton.maps.watched).map_err(failed)?;
    let dialled = MapHandle::try_from(&skeleton.maps.dialled).map_err(failed)?;
    let listens = adopt("listens", &skeleton.maps.listens)?;
    let failed = |name| move |source| KernelError::Core { name, source };
    let states = skeleton.progs.socket_state.attach().map_err(failed("socket_state"))?;
    let listening = skeleton.progs.socket_listens.attach_cgroup(cgroup.as_raw_fd());
    let listening = listening.map_err(failed("socket_listens"))?;
    Ok((
        [states, listening],
        ListenRing(listens),
        Connections { watched: Arc::new(watched), dialled: Arc::new(dialled) },
    ))
}

/// The other library's ring, read in the same way as our own.
fn adopt(name: &'static str, map: &impl MapCore) -> Result<Ring, KernelError> {
    let fd: OwnedFd =
        map.as_fd().try_clone_to_owned().map_err(|source| KernelError::Ring { name, source })?;
    let data = aya::maps::MapData::from_fd(fd).map_err(super::map_error(name))?;
    Ring::new(name, aya::maps::Map::RingBuf(data))
}
