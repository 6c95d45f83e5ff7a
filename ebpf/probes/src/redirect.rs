//! Redirects at connect time. In: what a caller dials. Out: the address of an instance, or the same as before. The
//! caller's own route (a link of its graph) comes before everyone's. `getpeername` tells what was dialled.
//!
//! The dialled address lies in an LRU map by socket cookie, since aya-ebpf 0.2 offers no SK_STORAGE: an eviction makes
//! `getpeername` tell the instance's address; the connection itself does not depend on it.

use aya_ebpf::bindings::{BPF_ANY, bpf_sock_addr};
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_prandom_u32, bpf_get_socket_cookie};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap};
use aya_ebpf::programs::SockAddrContext;
use weft_abi::{BACKENDS_MAX, DIALLED_MAX, Endpoint, MARK, ROUTES_MAX, Route, RouteKey, counter};

use crate::count;

const TCP: u32 = 6;

#[map]
static ROUTES: HashMap<RouteKey, Route> = HashMap::with_max_entries(ROUTES_MAX, 0);
#[map]
static DIALLED: LruHashMap<u64, Endpoint> = LruHashMap::with_max_entries(DIALLED_MAX, 0);

#[inline(always)]
pub fn connect4(context: &SockAddrContext) -> Option<()> {
    let address = context.sock_addr;
    // SAFETY: fields of the context.
    let (ip, port) = unsafe { ((*address).user_ip4, (*address).user_port) };
    let backend = route(context, mapped(ip, port as u16))?;
    // SAFETY: fields of the context that a connect program may write.
    unsafe {
        (*address).user_ip4 = ip_of(&backend);
        (*address).user_port = u32::from(backend.port_be);
    }
    Some(())
}

#[inline(always)]
pub fn connect6(context: &SockAddrContext) -> Option<()> {
    let address = context.sock_addr;
    let dialled = endpoint6(address);
    // A socket with an IPv6 address of its own cannot go to an instance, whose address is IPv4. Any other goes there
    // as to a mapped address; one that is told to speak IPv6 only (IPV6_V6ONLY) hears that there is no way.
    if !is_mapped(&dialled) && has_source6(address) {
        return None;
    }
    let backend = route(context, dialled)?;
    write6(address, &backend);
    Some(())
}

#[inline(always)]
fn has_source6(address: *mut bpf_sock_addr) -> bool {
    // SAFETY: fields of the context's socket, where there is one.
    unsafe {
        let socket = (*address).__bindgen_anon_1.sk;
        if socket.is_null() {
            return false;
        }
        let ip = &raw const (*socket).src_ip6;
        (*ip)[0] | (*ip)[1] | (*ip)[2] | (*ip)[3] != 0
    }
}

#[inline(always)]
pub fn getpeername4(context: &SockAddrContext) -> Option<()> {
    let dialled = dialled(context)?;
    // SAFETY: fields of the context that a getpeername program may write.
    unsafe {
        (*context.sock_addr).user_ip4 = ip_of(&dialled);
        (*context.sock_addr).user_port = u32::from(dialled.port_be);
    }
    Some(())
}

#[inline(always)]
pub fn getpeername6(context: &SockAddrContext) -> Option<()> {
    let dialled = dialled(context)?;
    write6(context.sock_addr, &dialled);
    Some(())
}

#[inline(always)]
fn route(context: &SockAddrContext, dial: Endpoint) -> Option<Endpoint> {
    let address = context.sock_addr;
    // SAFETY: fields of the context, and of the socket where there is one.
    let (protocol, mark) = unsafe {
        let socket = (*address).__bindgen_anon_1.sk;
        ((*address).protocol, if socket.is_null() { 0 } else { (*socket).mark })
    };
    if protocol != TCP || mark == MARK {
        return None;
    }
    // SAFETY: a helper without arguments.
    let caller_cgroup = unsafe { bpf_get_current_cgroup_id() };
    let own = RouteKey { caller_cgroup, dial };
    let anyone = RouteKey { caller_cgroup: 0, dial };
    let Some(route) = ROUTES.get_ptr(&own).or_else(|| ROUTES.get_ptr(&anyone)) else {
        count(counter::PASSED);
        return None;
    };
    // SAFETY: the map's value; it is replaced as a whole, never written in place.
    let route = unsafe { &*route };
    // SAFETY: a helper without arguments.
    let index = unsafe { bpf_get_prandom_u32() }.checked_rem(route.count)?;
    let backend = *route.backends.get(index as usize & (BACKENDS_MAX - 1))?;
    // SAFETY: the context of a cgroup_sock_addr program.
    let cookie = unsafe { bpf_get_socket_cookie(address.cast()) };
    let _ = DIALLED.insert(&cookie, &dial, BPF_ANY as u64);
    count(counter::REDIRECTED);
    Some(backend)
}

#[inline(always)]
fn dialled(context: &SockAddrContext) -> Option<Endpoint> {
    // SAFETY: the context of a cgroup_sock_addr program.
    let cookie = unsafe { bpf_get_socket_cookie(context.sock_addr.cast()) };
    // SAFETY: copied at once; entries are replaced, never written in place.
    unsafe { DIALLED.get(&cookie) }.copied()
}

#[inline(always)]
fn mapped(ip: u32, port_be: u16) -> Endpoint {
    let mut endpoint = Endpoint { port_be, ..Endpoint::default() };
    let bytes = ip.to_ne_bytes();
    endpoint.address[10] = 0xff;
    endpoint.address[11] = 0xff;
    endpoint.address[12] = bytes[0];
    endpoint.address[13] = bytes[1];
    endpoint.address[14] = bytes[2];
    endpoint.address[15] = bytes[3];
    endpoint
}

#[inline(always)]
fn is_mapped(endpoint: &Endpoint) -> bool {
    let a = &endpoint.address;
    let zero = a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7] | a[8] | a[9];
    zero == 0 && a[10] == 0xff && a[11] == 0xff
}

#[inline(always)]
fn ip_of(endpoint: &Endpoint) -> u32 {
    let a = &endpoint.address;
    u32::from_ne_bytes([a[12], a[13], a[14], a[15]])
}

#[inline(always)]
fn endpoint6(address: *mut bpf_sock_addr) -> Endpoint {
    // SAFETY: fields of the context.
    let (words, port) = unsafe {
        let ip = &raw const (*address).user_ip6;
        ([(*ip)[0], (*ip)[1], (*ip)[2], (*ip)[3]], (*address).user_port)
    };
    let mut endpoint = Endpoint { port_be: port as u16, ..Endpoint::default() };
    let mut word = 0;
    while word < 4 {
        let bytes = words[word].to_ne_bytes();
        endpoint.address[word * 4] = bytes[0];
        endpoint.address[word * 4 + 1] = bytes[1];
        endpoint.address[word * 4 + 2] = bytes[2];
        endpoint.address[word * 4 + 3] = bytes[3];
        word += 1;
    }
    endpoint
}

#[inline(always)]
fn write6(address: *mut bpf_sock_addr, endpoint: &Endpoint) {
    let a = &endpoint.address;
    // SAFETY: fields of the context that a connect or getpeername program may write.
    unsafe {
        (*address).user_ip6[0] = u32::from_ne_bytes([a[0], a[1], a[2], a[3]]);
        (*address).user_ip6[1] = u32::from_ne_bytes([a[4], a[5], a[6], a[7]]);
        (*address).user_ip6[2] = u32::from_ne_bytes([a[8], a[9], a[10], a[11]]);
        (*address).user_ip6[3] = u32::from_ne_bytes([a[12], a[13], a[14], a[15]]);
        (*address).user_port = u32::from(endpoint.port_be);
    }
}
