//! weft's programs whose context is stable UAPI. In: packets and connects of the watched cgroup subtree. Out: segments
//! in a ring, rewritten connects. They refuse nothing: every path lets the packet or the call go on.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod capture;
mod redirect;

use aya_ebpf::macros::{cgroup_skb, cgroup_sock_addr, map};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::{SkBuffContext, SockAddrContext};

/// What a cgroup program answers so that the packet, or the call, goes on.
const PASS: i32 = 1;

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(weft_abi::counter::COUNT, 0);

/// Adds one to a counter of this CPU.
#[inline(always)]
fn count(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the pointer is to this CPU's own value, and the verifier has checked the bound.
        unsafe { *counter += 1 };
    }
}

#[cgroup_skb]
pub fn capture_ingress(context: SkBuffContext) -> i32 {
    let _ = capture::segment(&context, capture::Side::Server);
    PASS
}

#[cgroup_skb]
pub fn capture_egress(context: SkBuffContext) -> i32 {
    let _ = capture::segment(&context, capture::Side::Client);
    PASS
}

#[cgroup_sock_addr(connect4)]
pub fn redirect_connect4(context: SockAddrContext) -> i32 {
    redirect::connect4(&context);
    PASS
}

#[cgroup_sock_addr(connect6)]
pub fn redirect_connect6(context: SockAddrContext) -> i32 {
    redirect::connect6(&context);
    PASS
}

#[cgroup_sock_addr(getpeername4)]
pub fn redirect_getpeername4(context: SockAddrContext) -> i32 {
    redirect::getpeername4(&context);
    PASS
}

#[cgroup_sock_addr(getpeername6)]
pub fn redirect_getpeername6(context: SockAddrContext) -> i32 {
    redirect::getpeername6(&context);
    PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Never reached: the verifier refuses a program in which it could be.
    loop {}
}
