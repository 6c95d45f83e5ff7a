//! Records and map keys that the kernel programs and the agent share, written once. Every field has a fixed width,
//! padding is named, and sizes are asserted here; the C programs' header is generated from the same numbers.
#![no_std]
#![forbid(unsafe_code)]

/// The mark of the agent's own connections: they are not redirected.
pub const MARK: u32 = 0x7765_6674;
/// Backends of one route.
pub const BACKENDS_MAX: usize = 16;
/// Routes of one node.
pub const ROUTES_MAX: u32 = 16_384;
/// Connections whose two ends are known.
pub const FLOWS_MAX: u32 = 65_536;
/// Redirected sockets whose dialled address is known.
pub const DIALLED_MAX: u32 = 65_536;
/// Instances that are watched at a time.
pub const WATCHED_MAX: u32 = 4_096;
/// Cgroups whose syscalls are counted at a time.
pub const PROFILES_MAX: u32 = 512;
/// Syscall numbers that are counted; higher ones share the last place.
pub const SYSCALLS: usize = 512;
/// Size classes of captured payloads.
pub const PAYLOADS: [usize; 3] = [512, 2048, 4096];
/// Bytes for which an unfinished request head is followed.
pub const HEAD_BYTES: u32 = 8192;
/// The methods with the blank that follows them, and how long they are.
pub const METHODS: [([u8; 8], u32); 9] = [
    (*b"GET     ", 4),
    (*b"POST    ", 5),
    (*b"PUT     ", 4),
    (*b"HEAD    ", 5),
    (*b"DELETE  ", 7),
    (*b"PATCH   ", 6),
    (*b"OPTIONS ", 8),
    (*b"CONNECT ", 8),
    (*b"TRACE   ", 6),
];

/// The agent itself opened the connection, on behalf of a request that was seen already.
pub const FLAG_OWN: u32 = 1;
/// The segment was seen as it left the client; its server is not on this node.
pub const FLAG_EGRESS: u32 = 2;

/// Places in the array of counters.
pub mod counter {
    /// Segments handed to the agent.
    pub const CAPTURED: u32 = 0;
    /// Segments that found the ring full.
    pub const DROPPED: u32 = 1;
    /// Connections redirected.
    pub const REDIRECTED: u32 = 2;
    /// Connections that no route named.
    pub const PASSED: u32 = 3;
    /// How many there are.
    pub const COUNT: u32 = 4;
}

/// An address and a port; IPv4 is mapped into IPv6. The port is in network order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Endpoint {
    /// The address.
    pub address: [u8; 16],
    /// The port, big-endian.
    pub port_be: u16,
    /// Zero.
    pub pad: [u8; 6],
}

/// A connection, named by who opened it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// Who opened it.
    pub client: Endpoint,
    /// Who was called.
    pub server: Endpoint,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Cgroup of the client; 0 if it is not on this node.
    pub client_cgroup: u64,
    /// Cgroup of the server; 0 until its side has seen the connection.
    pub server_cgroup: u64,
    /// When the client sent its SYN, monotonic.
    pub syn_ns: u64,
    /// `FLAG_*`.
    pub flags: u32,
    /// Bytes for which an unfinished request head is still followed.
    pub head_left: u32,
}

/// Head of a captured segment; the payload follows it in the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SegmentHeader {
    /// When it was seen, monotonic.
    pub at_ns: u64,
    /// The connection.
    pub key: FlowKey,
    /// Cgroup of the client; 0 if it is not on this node.
    pub client_cgroup: u64,
    /// Cgroup of the server; 0 if it is not on this node.
    pub server_cgroup: u64,
    /// TCP sequence number of the payload's first byte.
    pub seq: u32,
    /// Bytes of the payload on the wire.
    pub segment_len: u32,
    /// Bytes of it that were copied.
    pub copied_len: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// TCP acknowledgement number: how far the client has heard the server.
    pub ack: u32,
    /// Zero.
    pub pad: u32,
}

/// A captured segment of a size class.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Segment<const N: usize> {
    /// What it is.
    pub header: SegmentHeader,
    /// Its first bytes.
    pub payload: [u8; N],
}

/// What is dialled, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct RouteKey {
    /// Cgroup of the caller; 0 for everyone.
    pub caller_cgroup: u64,
    /// The dialled address.
    pub dial: Endpoint,
}

/// Where a dialled address leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Route {
    /// How many of the backends are set; at least one.
    pub count: u32,
    /// Zero.
    pub pad: u32,
    /// The backends.
    pub backends: [Endpoint; BACKENDS_MAX],
}

/// A socket of a watched instance began to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Listening {
    /// Cgroup of the instance.
    pub cgroup_id: u64,
    /// When, monotonic.
    pub at_ns: u64,
    /// The port, host order.
    pub port: u32,
    /// Zero.
    pub pad: u32,
}

/// Where an instance in a VM answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Dialled {
    /// IPv4, network order.
    pub ip: u32,
    /// Network order, in the lower half.
    pub port: u32,
}

/// A watched instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Watched {
    /// Its port, host order.
    pub port: u32,
    /// Connections to it that are open.
    pub open: i32,
    /// 1 once a socket of its port listens.
    pub listens: u32,
    /// Zero.
    pub pad: u32,
    /// Nanoseconds for which connections were open, up to when the last of them ended.
    pub busy_ns: u64,
    /// When the first of those that are open now came, monotonic.
    pub since_ns: u64,
}

const _: () = {
    assert!(size_of::<Endpoint>() == 24);
    assert!(size_of::<FlowKey>() == 48);
    assert!(size_of::<Flow>() == 32);
    assert!(size_of::<SegmentHeader>() == 96);
    assert!(size_of::<Segment<512>>() == 96 + 512);
    assert!(size_of::<RouteKey>() == 32);
    assert!(size_of::<Route>() == 8 + 16 * 24);
    assert!(size_of::<Listening>() == 24);
    assert!(size_of::<Watched>() == 32);
    assert!(size_of::<Dialled>() == 8);
};
