// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
//! Syscalls of tracked cgroups, counted exactly. In: every entry into a syscall. Out: per cgroup and CPU an array of
//! counts by number. What is not tracked costs one look into a hash.
#include "kernel.h"
#include "weft_abi.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct weft_counts {
	__u64 calls[WEFT_SYSCALLS];
};

/* Whoever is in it is counted. Allocated one by one: a node of many CPUs pays for the instances that it has. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WEFT_PROFILES_MAX);
	__type(key, __u64);
	__type(value, struct weft_counts);
} profiles SEC(".maps");

static __always_inline int count(long number)
{
	__u64 cgroup_id = bpf_get_current_cgroup_id();
	struct weft_counts *counts = bpf_map_lookup_elem(&profiles, &cgroup_id);

	/* A task that asks for a negative number asks for nothing. */
	if (!counts || number < 0)
		return 0;
	/* Unsigned, bounded in the register that is used: what lies beyond shares the last place. */
	__u64 place = number;

	if (place >= WEFT_SYSCALLS)
		place = WEFT_SYSCALLS - 1;
	counts->calls[place & (WEFT_SYSCALLS - 1)] += 1;
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(syscall_enter, void *registers, long number)
{
	return count(number);
}

/* The twin for kernels without BTF for tracepoints. */
SEC("raw_tp/sys_enter")
int syscall_enter_raw(struct bpf_raw_tracepoint_args *context)
{
	return count(context->args[1]);
}
