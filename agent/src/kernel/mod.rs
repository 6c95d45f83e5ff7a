//! The one door to aya and libbpf-rs. In: a cgroup subtree to watch, routes, cgroups to count. Out: captured segments,
//! listening sockets, counts. Refuses a kernel that lacks what it needs, and says what that is.
//!
//! Nothing is pinned: when this process ends, however it ends, the kernel detaches every program and flows take the
//! ordinary way.

#![expect(unsafe_code, reason = "records of the kernel's maps and rings are read as they lie")]

mod capture;
mod cgroup;
mod links;
mod probe;
mod redirect;
mod ring;
mod sockets;
mod syscalls;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{MapData, PerCpuArray};
use weft_abi::{Endpoint, counter};

pub use capture::{CaptureRing, CapturedSegment, OwnConnections};
pub use cgroup::{cgroup_id, cgroup2_mount};
pub use links::Links;
pub use probe::{Feature, FeatureState, privileges, probe};
pub use redirect::{RouteKey, RouteTable};
pub use sockets::{Connected, Connections, ListenRing, Listening};
pub use syscalls::{SYSCALLS, SyscallProfiles, syscall_name};

/// The mark of the agent's own connections: they are not redirected.
pub const MARK: u32 = weft_abi::MARK;

/// Why the kernel does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The process may not do what the agent does.
    #[error("this process lacks {missing}; run weft {}", probe::PRIVILEGES)]
    Privileges {
        /// The capabilities that it has not.
        missing: String,
    },
    /// There is no cgroup2 mount.
    #[error("no cgroup2 file system is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified")]
    NoCgroup2,
    /// A cgroup cannot be opened.
    #[error("cgroup {}: {source}", path.display())]
    Cgroup {
        /// Its folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The Rust programs cannot be loaded.
    #[error("the programs cannot be loaded: {}", first_line(said))]
    Load {
        /// What the kernel, or the loader, said. Not as a source: that would be told in its whole length.
        said: Box<aya::EbpfError>,
    },
    /// One program cannot be loaded or attached.
    #[error("program {name}: {}", brief(said))]
    Program {
        /// Its name.
        name: &'static str,
        /// What the kernel, or the verifier, said. Not as a source: that would be told in its whole length.
        said: Box<aya::programs::ProgramError>,
    },
    /// The object lacks a part that this agent was built with.
    #[error("the programs have no {0}; build the agent anew")]
    Absent(&'static str),
    /// A map refuses.
    #[error("map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: Box<aya::maps::MapError>,
    },
    /// A C program or one of its maps refuses.
    #[error("{name}: {source}")]
    Core {
        /// The program or map.
        name: &'static str,
        /// What libbpf said.
        source: libbpf_rs::Error,
    },
    /// A ring cannot be waited on.
    #[error("ring {name}: {source}")]
    Ring {
        /// Its name.
        name: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// All places are taken.
    #[error("all {max} places for {what} are taken")]
    Full {
        /// What they are for.
        what: &'static str,
        /// How many there are.
        max: u32,
    },
}

/// What the kernel said, without the verifier's thousand lines: its complaint is the last but its statistics.
fn brief(error: &aya::programs::ProgramError) -> String {
    let aya::programs::ProgramError::LoadError { io_error, verifier_log } = error else {
        return error.to_string();
    };
    let log = verifier_log.to_string();
    let statistics = ["verification time", "stack depth", "processed"];
    let complaint =
        log.lines().rev().find(|line| !line.is_empty() && !statistics.iter().any(|s| line.starts_with(s)));
    match complaint {
        Some(complaint) => format!("{io_error}; the verifier says: {complaint}"),
        None => io_error.to_string(),
    }
}

fn first_line(error: &aya::EbpfError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// libbpf writes to standard error unless told otherwise. What it says, the error says too; the rest is for those who
/// look for it.
fn hush_libbpf() {
    libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Debug, |_, text| {
        tracing::debug!(libbpf = text.trim_end())
    })));
}

/// What to watch.
#[derive(Debug, Clone)]
pub struct KernelOptions {
    /// Folder of the cgroup2 subtree.
    pub cgroup: PathBuf,
    /// Bytes of the capture ring: a power of two, at least a page.
    pub capture_ring_bytes: u32,
}

/// Everything that is loaded, each part to be handed to whom it serves.
pub struct Kernel {
    /// Captured segments.
    pub captures: CaptureRing,
    /// Which connections are the agent's own.
    pub own: OwnConnections,
    /// Sockets that began to listen.
    pub listens: ListenRing,
    /// Where dialled addresses lead.
    pub routes: RouteTable,
    /// Open connections of instances.
    pub connections: Connections,
    /// Syscalls of instances.
    pub syscalls: SyscallProfiles,
    /// What the programs counted.
    pub counters: KernelCounters,
    /// Keeps the programs attached; dropping it detaches them.
    pub links: Links,
}

impl Kernel {
    /// Loads all programs and attaches them.
    ///
    /// # Errors
    /// [`KernelError`]; nothing stays attached.
    pub fn load(options: &KernelOptions) -> Result<Self, KernelError> {
        let path = &options.cgroup;
        let cgroup =
            std::fs::File::open(path).map_err(|source| KernelError::Cgroup { path: path.into(), source })?;
        let mut object = links::object(options.capture_ring_bytes)?;
        let captures = CaptureRing::new(take(&mut object, "SEGMENTS")?)?;
        let own = OwnConnections::new(take(&mut object, "FLOWS")?)?;
        let routes = RouteTable::new(take(&mut object, "ROUTES")?)?;
        let counters = KernelCounters::new(take(&mut object, "COUNTERS")?)?;
        let syscalls = SyscallProfiles::default();
        if let Err(error) = syscalls.load() {
            tracing::warn!(%error, "syscalls are not counted; forecasts do without them");
        }
        let (sockets, listens, connections) = sockets::load(&cgroup)?;
        // Attached last: what they fill is there to be read.
        let links = Links::attach(object, sockets, &cgroup)?;
        Ok(Self { captures, own, listens, routes, connections, syscalls, counters, links })
    }
}

fn take(object: &mut aya::Ebpf, name: &'static str) -> Result<aya::maps::Map, KernelError> {
    object.take_map(name).ok_or(KernelError::Absent(name))
}

fn map_error<E: Into<aya::maps::MapError>>(name: &'static str) -> impl FnOnce(E) -> KernelError {
    move |source| KernelError::Map { name, source: Box::new(source.into()) }
}

/// What a hash map of the C programs says when it takes no more, in our words.
fn or_full(
    name: &'static str,
    what: &'static str,
    max: u32,
) -> impl FnOnce(libbpf_rs::Error) -> KernelError + Copy {
    move |source| {
        // E2BIG has no kind of its own.
        if source.kind() == libbpf_rs::ErrorKind::Other && source.to_string().contains("os error 7") {
            return KernelError::Full { what, max };
        }
        KernelError::Core { name, source }
    }
}

/// What the programs counted since they were attached.
#[derive(Clone)]
pub struct KernelCounters(Arc<Mutex<PerCpuArray<MapData, u64>>>);

impl KernelCounters {
    fn new(map: aya::maps::Map) -> Result<Self, KernelError> {
        Ok(Self(Arc::new(Mutex::new(PerCpuArray::try_from(map).map_err(map_error("COUNTERS"))?))))
    }

    fn read(&self, index: u32) -> u64 {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&index, 0).map_or(0, |values| values.iter().sum())
    }

    /// Segments handed to the agent.
    pub fn captured(&self) -> u64 {
        self.read(counter::CAPTURED)
    }

    /// Segments that found the ring full.
    pub fn capture_drops(&self) -> u64 {
        self.read(counter::DROPPED)
    }

    /// Connections redirected.
    pub fn redirected(&self) -> u64 {
        self.read(counter::REDIRECTED)
    }

    /// Connections that no route named.
    pub fn passed(&self) -> u64 {
        self.read(counter::PASSED)
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    Endpoint { address: ip.octets(), port_be: address.port().to_be(), pad: [0; 6] }
}

fn socket_address(endpoint: &Endpoint) -> SocketAddr {
    let ip = Ipv6Addr::from(endpoint.address).to_canonical();
    SocketAddr::new(ip, u16::from_be(endpoint.port_be))
}
