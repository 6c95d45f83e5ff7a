//! Capture at `cgroup_skb`. In: every TCP segment of the watched subtree. Out: in the ring, those segments from client
//! to server that begin a request head or continue one. Which requests they make up is decided by the agent, which
//! knows sequence numbers and lengths of bodies; so a segment too many does no harm, and none may be missing.
//!
//! The role comes from who opened the connection: the client's SYN names its cgroup as it leaves, the server's as it
//! arrives. A segment whose server is on this node is taken where it arrives, so that each is taken once.
//!
//! Connections that the agent opens for requests it holds are marked as such by the agent, in the same map, before it
//! sends anything on them.
//!
//! State per connection lies in an LRU map, not in SK_STORAGE, which aya-ebpf 0.2 does not offer. What an eviction
//! costs is the caller's name and, if it falls inside a head, that one request; nothing is kept from going on.

use core::mem::offset_of;

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_skb_cgroup_id, bpf_skb_load_bytes};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, RingBuf};
use aya_ebpf::programs::SkBuffContext;
use weft_abi::{
    Endpoint, FLAG_EGRESS, FLAG_OWN, FLOWS_MAX, Flow, FlowKey, HEAD_BYTES, METHODS, PAYLOADS, Segment,
    counter,
};

use crate::count;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// The least that a segment uses up of the bytes for which an unfinished head is followed.
const SEGMENT_BYTES: u32 = 64;
/// A client's name is fresh if its SYN left this recently before the server's side saw it.
const SYN_FRESH_NS: u64 = 3_000_000_000;

#[map]
static FLOWS: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(FLOWS_MAX, 0);
/// The agent sets the size.
#[map]
static SEGMENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// Whose socket a segment is seen at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As it leaves.
    Client,
    /// As it arrives.
    Server,
}

/// Where things stand in a packet.
struct Packet {
    key: FlowKey,
    seq: u32,
    ack: u32,
    tcp_flags: u8,
    payload_at: u32,
    payload_len: u32,
}

/// Looks at one segment; `None` says only that there was nothing to do.
#[inline(always)]
pub fn segment(context: &SkBuffContext, side: Side) -> Option<()> {
    let packet = parse(context)?;
    if packet.tcp_flags & (SYN | ACK) == SYN {
        opened(context, side, &packet.key);
        return None;
    }
    if packet.payload_len == 0 {
        return None;
    }
    let begins = begins_like_a_request(context, &packet);
    let flow = match FLOWS.get_ptr_mut(&packet.key) {
        // SAFETY: the map's value; another CPU may write it too, and each field is a word of its own.
        Some(flow) => unsafe { &mut *flow },
        // Older than the programs: known by its first request at the server's side. An answer that looks like one is
        // none: its connection is known the other way round.
        None if begins && side == Side::Server && !is_answer(&packet.key) => {
            let flow = Flow { server_cgroup: cgroup(context), ..Flow::default() };
            FLOWS.insert(&packet.key, &flow, BPF_NOEXIST as u64).ok()?;
            // SAFETY: as above.
            unsafe { &mut *FLOWS.get_ptr_mut(&packet.key)? }
        }
        None => return None,
    };
    if flow.flags & FLAG_OWN != 0 {
        return None;
    }
    if side == Side::Server && flow.server_cgroup == 0 {
        flow.server_cgroup = cgroup(context);
    }
    // A server on this node takes it where it arrives.
    if side == Side::Client && flow.server_cgroup != 0 {
        return None;
    }
    if flow.head_left == 0 && !begins {
        return None;
    }
    let left = if flow.head_left == 0 { HEAD_BYTES } else { flow.head_left };
    let used = if packet.payload_len < SEGMENT_BYTES { SEGMENT_BYTES } else { packet.payload_len };
    flow.head_left = if ends_a_head(context, &packet) { 0 } else { left.saturating_sub(used) };
    emit(context, side, &packet, flow)
}

/// Whether the key is that of a known connection, seen from its server.
#[inline(always)]
fn is_answer(key: &FlowKey) -> bool {
    FLOWS.get_ptr(&FlowKey { client: key.server, server: key.client }).is_some()
}

#[inline(always)]
fn opened(context: &SkBuffContext, side: Side, key: &FlowKey) {
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let flow = match side {
        Side::Client => Flow { client_cgroup: cgroup(context), syn_ns: now_ns, ..Flow::default() },
        Side::Server => {
            let server_cgroup = cgroup(context);
            match FLOWS.get_ptr_mut(key) {
                Some(flow) => {
                    // SAFETY: the map's value, as above.
                    let flow = unsafe { &mut *flow };
                    // An entry of an earlier connection with the same ends names the wrong client.
                    if now_ns.wrapping_sub(flow.syn_ns) > SYN_FRESH_NS {
                        flow.client_cgroup = 0;
                        flow.flags = 0;
                    }
                    flow.server_cgroup = server_cgroup;
                    flow.head_left = 0;
                    return;
                }
                None => Flow { server_cgroup, ..Flow::default() },
            }
        }
    };
    let _ = FLOWS.insert(key, &flow, BPF_ANY as u64);
}

#[inline(always)]
fn cgroup(context: &SkBuffContext) -> u64 {
    // SAFETY: the context of a cgroup_skb program.
    unsafe { bpf_skb_cgroup_id(context.skb.skb) }
}

#[inline(always)]
fn parse(context: &SkBuffContext) -> Option<Packet> {
    let mut key = FlowKey::default();
    let tcp_at = match u16::from_be(context.skb.protocol() as u16) {
        ETH_P_IP => {
            let head: [u8; 20] = context.load(0).ok()?;
            // A later fragment has no TCP header.
            if head[9] != TCP || (head[6] & 0x1f) != 0 || head[7] != 0 {
                return None;
            }
            map_v4(&mut key.client, [head[12], head[13], head[14], head[15]]);
            map_v4(&mut key.server, [head[16], head[17], head[18], head[19]]);
            u32::from(head[0] & 0x0f) * 4
        }
        ETH_P_IPV6 => {
            let next: u8 = context.load(6).ok()?;
            if next != TCP {
                return None;
            }
            key.client.address = context.load(8).ok()?;
            key.server.address = context.load(24).ok()?;
            40
        }
        _ => return None,
    };
    let tcp: [u8; 14] = context.load(tcp_at as usize).ok()?;
    key.client.port_be = u16::from_ne_bytes([tcp[0], tcp[1]]);
    key.server.port_be = u16::from_ne_bytes([tcp[2], tcp[3]]);
    let payload_at = tcp_at + u32::from(tcp[12] >> 4) * 4;
    Some(Packet {
        key,
        seq: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
        ack: u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]),
        tcp_flags: tcp[13],
        payload_at,
        payload_len: context.len().saturating_sub(payload_at),
    })
}

#[inline(always)]
fn map_v4(endpoint: &mut Endpoint, address: [u8; 4]) {
    endpoint.address[10] = 0xff;
    endpoint.address[11] = 0xff;
    endpoint.address[12] = address[0];
    endpoint.address[13] = address[1];
    endpoint.address[14] = address[2];
    endpoint.address[15] = address[3];
}

/// Whether the payload begins with a method, or is so short that it may be the beginning of one.
#[inline(always)]
fn begins_like_a_request(context: &SkBuffContext, packet: &Packet) -> bool {
    let seen = if packet.payload_len < 8 { packet.payload_len } else { 8 };
    let mut word = 0u64;
    if packet.payload_len >= 8 {
        match context.load::<u64>(packet.payload_at as usize) {
            Ok(loaded) => word = loaded,
            Err(_) => return false,
        }
    } else {
        // Shorter than a word: byte by byte, each load of a constant length.
        let mut index = 0;
        while index < 7 {
            if index < seen {
                match context.load::<u8>((packet.payload_at + index) as usize) {
                    Ok(byte) => word |= u64::from(byte) << (8 * index),
                    Err(_) => return false,
                }
            }
            index += 1;
        }
    }
    let mut index = 0;
    while index < METHODS.len() {
        let (method, len) = METHODS[index];
        let compared = if seen < len { seen } else { len };
        let mask = if compared >= 8 { u64::MAX } else { (1u64 << (8 * compared)) - 1 };
        if (word ^ u64::from_le_bytes(method)) & mask == 0 {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether the payload ends with an empty line.
#[inline(always)]
fn ends_a_head(context: &SkBuffContext, packet: &Packet) -> bool {
    if packet.payload_len < 4 {
        return false;
    }
    let last = packet.payload_at + packet.payload_len - 4;
    matches!(context.load::<[u8; 4]>(last as usize), Ok(bytes) if bytes == *b"\r\n\r\n")
}

/// Copies the segment into the smallest size class that holds it; what is longer than the largest is cut.
#[inline(always)]
fn emit(context: &SkBuffContext, side: Side, packet: &Packet, flow: &Flow) -> Option<()> {
    if packet.payload_len <= PAYLOADS[0] as u32 {
        emit_as::<{ PAYLOADS[0] }>(context, side, packet, flow)
    } else if packet.payload_len <= PAYLOADS[1] as u32 {
        emit_as::<{ PAYLOADS[1] }>(context, side, packet, flow)
    } else {
        emit_as::<{ PAYLOADS[2] }>(context, side, packet, flow)
    }
}

#[inline(always)]
fn emit_as<const N: usize>(context: &SkBuffContext, side: Side, packet: &Packet, flow: &Flow) -> Option<()> {
    let Some(mut entry) = SEGMENTS.reserve::<Segment<N>>(0) else {
        count(counter::DROPPED);
        return None;
    };
    let record = entry.as_mut_ptr();
    let mut copied = packet.payload_len;
    if copied > N as u32 {
        copied = N as u32;
    }
    // SAFETY: the entry is ours until it is submitted; each field is written before that, through raw pointers, since
    // its memory is not initialised.
    let loaded = unsafe {
        let header = &raw mut (*record).header;
        (*header).at_ns = bpf_ktime_get_ns();
        (*header).key = packet.key;
        (*header).client_cgroup = flow.client_cgroup;
        (*header).server_cgroup = flow.server_cgroup;
        (*header).seq = packet.seq;
        (*header).segment_len = packet.payload_len;
        (*header).copied_len = copied;
        (*header).flags = flow.flags | if side == Side::Client { FLAG_EGRESS } else { 0 };
        (*header).ack = packet.ack;
        (*header).pad = 0;
        let payload = record.cast::<u8>().add(offset_of!(Segment<N>, payload));
        load(context, packet.payload_at, payload, copied, N as u32)
    };
    if loaded {
        entry.submit(0);
        count(counter::CAPTURED);
        Some(())
    } else {
        entry.discard(0);
        None
    }
}

/// Copies `len` bytes of the packet, 1 to `len_max`.
///
/// # Safety
/// `to` must have room for `len_max` bytes.
#[inline(always)]
unsafe fn load(context: &SkBuffContext, at: u32, to: *mut u8, len: u32, len_max: u32) -> bool {
    // As wide as the register: a narrower one is widened into a copy, and the check would bound the copy alone.
    let mut len = u64::from(len);
    // The verifier must see the bound on the very register that the helper gets; without this the compiler proves
    // the comparison away.
    // A real instruction: an empty one gives two lines of source the same place, which the kernel refuses.
    // SAFETY: it copies a register to itself, which makes the value opaque.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) len, options(nostack, preserves_flags)) };
    if len == 0 || len > u64::from(len_max) {
        return false;
    }
    // SAFETY: `to` has room for `len_max` bytes, and `len` is no more.
    unsafe { bpf_skb_load_bytes(context.skb.skb.cast(), at, to.cast(), len as u32) == 0 }
}
