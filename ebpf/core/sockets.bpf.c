// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
//! Sockets of watched instances. In: state changes of every TCP socket, and every `listen` below the agent's cgroup. Out:
//! in a ring, that an instance listens; in a map, how many connections to its port are open, and for how long there were some. The cgroup is read from the
//! socket: most changes happen in softirq, where there is no task to ask.
#include "kernel.h"
#include "weft_abi.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEFT_WATCHED_MAX);
	__type(key, __u64);
	__type(value, struct weft_watched);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} listens SEC(".maps");

/* Instances whose sockets are in a VM, by where they answer: their connections are counted at those who dial. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEFT_WATCHED_MAX);
	__type(key, struct weft_dialled);
	__type(value, __u64);
} dialled SEC(".maps");

/* Marks the sockets that were counted as open, so that each is taken off once, whichever way it ends. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} counted SEC(".maps");

static __always_inline __u64 cgroup_of(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
}

static __always_inline void listening(__u64 cgroup_id, __u32 port)
{
	struct weft_listening *record = bpf_ringbuf_reserve(&listens, sizeof(*record), 0);

	if (!record)
		return;
	record->cgroup_id = cgroup_id;
	record->at_ns = bpf_ktime_get_ns();
	record->port = port;
	record->pad = 0;
	bpf_ringbuf_submit(record, 0);
}

/* The first of the open connections begins a stretch of work, the last one ends it. Another that comes on another
 * processor in between has the time counted from one of the two. */
static __always_inline void came(struct weft_watched *instance)
{
	if (__sync_fetch_and_add(&instance->open, 1) == 0)
		instance->since_ns = bpf_ktime_get_ns();
}

static __always_inline void left(struct weft_watched *instance)
{
	__u64 now = bpf_ktime_get_ns();

	if (__sync_fetch_and_add(&instance->open, -1) == 1 && now > instance->since_ns)
		__sync_fetch_and_add(&instance->busy_ns, now - instance->since_ns);
}

/* The instance that a socket belongs to, which is counted: that of its cgroup, or that which it has dialled. */
static __always_inline __u64 owner_of(struct sock *sk, int before)
{
	if (before == TCP_SYN_RECV)
		return cgroup_of(sk);
	struct weft_dialled to = {
		/* Set for IPv4 that is spoken by a socket of IPv6 as well. */
		.ip = BPF_CORE_READ(sk, __sk_common.skc_daddr),
		.port = BPF_CORE_READ(sk, __sk_common.skc_dport),
	};
	__u64 *owner = bpf_map_lookup_elem(&dialled, &to);

	return owner ? *owner : 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, struct sock *sk, int before, int after)
{
	if (after == TCP_CLOSE) {
		__u64 *owner = bpf_sk_storage_get(&counted, sk, 0, 0);
		struct weft_watched *instance = owner ? bpf_map_lookup_elem(&watched, owner) : 0;

		if (instance && instance->open > 0)
			left(instance);
		if (owner)
			bpf_sk_storage_delete(&counted, sk);
		return 0;
	}
	if (after != TCP_ESTABLISHED || (before != TCP_SYN_RECV && before != TCP_SYN_SENT))
		return 0;

	__u64 cgroup_id = owner_of(sk, before);
	struct weft_watched *instance = bpf_map_lookup_elem(&watched, &cgroup_id);

	if (!instance)
		return 0;
	if (before == TCP_SYN_RECV && BPF_CORE_READ(sk, __sk_common.skc_num) != instance->port)
		return 0;
	if (bpf_sk_storage_get(&counted, sk, &cgroup_id, BPF_SK_STORAGE_GET_F_CREATE))
		came(instance);
	return 0;
}

/* Not at the change of state: the kernel sets that first and hashes the socket then, and a connection that comes in
 * between is refused. This is called when the socket can be found. */
SEC("sockops")
int socket_listens(struct bpf_sock_ops *context)
{
	if (context->op != BPF_SOCK_OPS_TCP_LISTEN_CB)
		return 1;
	/* Read once: the verifier takes each reading for another socket. */
	struct bpf_sock *of_context = context->sk;
	struct sock *sk = of_context ? (struct sock *)bpf_skc_to_tcp_sock(of_context) : 0;

	if (!sk)
		return 1;
	__u64 cgroup_id = cgroup_of(sk);
	struct weft_watched *instance = bpf_map_lookup_elem(&watched, &cgroup_id);

	if (!instance)
		return 1;
	__u32 port = BPF_CORE_READ(sk, __sk_common.skc_num);

	/* Noted in the map first: a full ring delays the word, it does not lose it. */
	if (port == instance->port)
		instance->listens = 1;
	listening(cgroup_id, port);
	return 1;
}
