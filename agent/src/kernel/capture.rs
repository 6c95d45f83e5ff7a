//! Captured segments. In: records of the ring, and which connections are the agent's own. Out: addresses, cgroups and
//! bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{HashMap, Map, MapData};
use weft_abi::{FLAG_EGRESS, FLAG_OWN, Flow, FlowKey, SegmentHeader};

use super::ring::Ring;
use super::{KernelError, endpoint, map_error, socket_address};

/// A segment from client to server that begins a request head or continues one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedSegment {
    /// When it was seen, monotonic nanoseconds.
    pub at_ns: u64,
    /// Who opened the connection.
    pub client: SocketAddr,
    /// Who was called.
    pub server: SocketAddr,
    /// Cgroup of the client; 0 if it is not on this node.
    pub client_cgroup: u64,
    /// Cgroup of the server; 0 if it is not on this node.
    pub server_cgroup: u64,
    /// TCP sequence number of the first byte.
    pub seq: u32,
    /// TCP acknowledgement number: how far the client has heard the server.
    pub ack: u32,
    /// Bytes of the segment on the wire.
    pub segment_len: u32,
    /// Its first bytes, 4096 at most.
    pub payload: Vec<u8>,
    flags: u32,
}

impl CapturedSegment {
    /// Whether it was seen as it left the client, since its server is elsewhere.
    pub fn is_egress(&self) -> bool {
        self.flags & FLAG_EGRESS != 0
    }
}

/// The ring of captured segments.
pub struct CaptureRing(Ring);

impl CaptureRing {
    pub(super) fn new(map: Map) -> Result<Self, KernelError> {
        Ok(Self(Ring::new("SEGMENTS", map)?))
    }

    /// The next segment; waits for one.
    ///
    /// # Errors
    /// [`KernelError::Ring`].
    pub async fn next(&mut self) -> Result<CapturedSegment, KernelError> {
        self.0.next(segment).await
    }
}

fn segment(record: &[u8]) -> Option<CapturedSegment> {
    let head = record.get(..size_of::<SegmentHeader>())?;
    // SAFETY: any bytes are a header (integers and arrays of them, no padding), and there are enough of them.
    let header = unsafe { std::ptr::read_unaligned(head.as_ptr().cast::<SegmentHeader>()) };
    let payload = record.get(size_of::<SegmentHeader>()..)?.get(..header.copied_len as usize)?;
    Some(CapturedSegment {
        at_ns: header.at_ns,
        client: socket_address(&header.key.client),
        server: socket_address(&header.key.server),
        client_cgroup: header.client_cgroup,
        server_cgroup: header.server_cgroup,
        seq: header.seq,
        ack: header.ack,
        segment_len: header.segment_len,
        payload: payload.to_vec(),
        flags: header.flags,
    })
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PodKey(FlowKey);

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PodFlow(Flow);

// SAFETY: integers and arrays of them, without padding (asserted in the ABI).
unsafe impl aya::Pod for PodKey {}
// SAFETY: as above.
unsafe impl aya::Pod for PodFlow {}

/// The connections that are followed; the agent names its own among them.
#[derive(Clone)]
pub struct OwnConnections(Arc<Mutex<HashMap<MapData, PodKey, PodFlow>>>);

impl OwnConnections {
    pub(super) fn new(map: Map) -> Result<Self, KernelError> {
        Ok(Self(Arc::new(Mutex::new(HashMap::try_from(map).map_err(map_error("FLOWS"))?))))
    }

    /// Says that the connection from `client` to `server` is the agent's own: what it carries was seen on its way in.
    /// To be called once it is established and before anything is sent on it: until then the kernel's side writes
    /// nothing more of it.
    ///
    /// # Errors
    /// [`KernelError::Map`]; its requests are then seen twice.
    pub fn add(&self, client: SocketAddr, server: SocketAddr) -> Result<(), KernelError> {
        let key = PodKey(FlowKey { client: endpoint(client), server: endpoint(server) });
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that the programs have not seen, or that was evicted, is new.
        let mut flow = map.get(&key, 0).unwrap_or(PodFlow(Flow::default()));
        flow.0.flags |= FLAG_OWN;
        map.insert(key, flow, 0).map_err(map_error("FLOWS"))
    }
}
