/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* connect(), bind(), and datagrams without connect(). Part of audit.bpf.c. */
#ifndef PURPLE_BPF_AUDIT_SOCKETS_H
#define PURPLE_BPF_AUDIT_SOCKETS_H

#include <bpf/bpf_endian.h>

#include "audit/send.h"

#define AF_INET 2
#define AF_INET6 10

/* Of <linux/bpf.h>: its own names, so that the kernel's BTF can be asked whether it has it. */
enum bpf_func_id___kernel {
	BPF_FUNC_get_retval___kernel = 186,
};

/* What the programs before this one said: the network filter's. */
static __always_inline __u8 verdict_so_far(void)
{
	if (!bpf_core_enum_value_exists(enum bpf_func_id___kernel,
					BPF_FUNC_get_retval___kernel))
		return TRACE_VERDICT_UNKNOWN;
	return bpf_get_retval() < 0 ? TRACE_VERDICT_DENIED : TRACE_VERDICT_ALLOWED;
}

static __always_inline void say_address(struct bpf_sock_addr *ctx, struct trace_socket *x,
					bool is_v6)
{
	__u32 *address = (__u32 *)x->address;

	x->port = bpf_ntohs(ctx->user_port);
	x->family = is_v6 ? AF_INET6 : AF_INET;
	x->protocol = ctx->protocol;
	if (is_v6) {
		address[0] = ctx->user_ip6[0];
		address[1] = ctx->user_ip6[1];
		address[2] = ctx->user_ip6[2];
		address[3] = ctx->user_ip6[3];
	} else {
		address[2] = bpf_htonl(0xffff);
		address[3] = ctx->user_ip4;
	}
}

/* Whether the process has sent there before, with the same verdict. */
static __always_inline bool is_known(const struct trace_group *group,
				     const struct trace_socket *x)
{
	struct destination key = { .key = group->key,
				   .pid = bpf_get_current_pid_tgid() >> 32,
				   .port = x->port,
				   .verdict = x->verdict };
	__u32 one = 1;

	__builtin_memcpy(key.address, x->address, sizeof(key.address));
	if (bpf_map_lookup_elem(&destinations, &key))
		return true;
	bpf_map_update_elem(&destinations, &key, &one, BPF_ANY);
	return false;
}

/*
 * Programs like this one cannot be trusted to be alone on their processor: no draft. Always 1: what
 * was denied stays denied, what was allowed is allowed.
 */
static __always_inline int tell_socket(struct bpf_sock_addr *ctx,
				       enum trace_socket_call what, bool is_v6)
{
	enum trace_type type = what == TRACE_CALL_BIND ? TRACE_BIND : TRACE_CONNECT;
	const struct trace_control *c = get_control();
	struct trace_group *group = c ? find_group(c) : NULL;
	struct trace_socket x = {};
	struct trace_stats *s;

	if (!group || !(group->wants & TRACE_NETWORK))
		return 1;
	s = stats_of(group);
	if (!s)
		return 1;
	x.call = what;
	x.verdict = verdict_so_far();
	say_address(ctx, &x, is_v6);
	if (what == TRACE_CALL_SEND && is_known(group, &x))
		return 1;
	__sync_fetch_and_add(&s->seen[type], 1);
	fill_head(&x.head, group, type);
	send(group, s, &x.head, type, sizeof(x));
	return 1;
}

#endif
