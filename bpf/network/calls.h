/* SPDX-License-Identifier: Apache-2.0 */
/* The programs at system calls. Part of network_filter.bpf.c. */
#ifndef PURPLE_BPF_NETWORK_CALLS_H
#define PURPLE_BPF_NETWORK_CALLS_H

#include <linux/in6.h>

#include "network/events.h"

/* Not in UAPI headers. */
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PAGE_MAX 4096 /* of a socket option, as the kernel shows it */

/* Protocol of a call as a port's number space; false: none that rules speak of. */
static __always_inline bool transport_of(const struct bpf_sock_addr *ctx, __u32 *ret)
{
	if (ctx->type == SOCK_STREAM &&
	    (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_MPTCP)) {
		*ret = NETWORK_TCP;
		return true;
	}
	if (ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP) {
		*ret = NETWORK_UDP;
		return true;
	}
	return false;
}

static __always_inline void target_v4(struct bpf_sock_addr *ctx, struct target *t)
{
	t->is_v4 = 1;
	set_v4(t->address, ctx->user_ip4);
}

static __always_inline void target_v6(struct bpf_sock_addr *ctx, struct target *t)
{
	((__u32 *)t->address)[0] = ctx->user_ip6[0];
	((__u32 *)t->address)[1] = ctx->user_ip6[1];
	((__u32 *)t->address)[2] = ctx->user_ip6[2];
	((__u32 *)t->address)[3] = ctx->user_ip6[3];
	t->is_v4 = is_mapped(t->address);
}

static __always_inline void set_loopback(struct bpf_sock_addr *ctx, bool is_v6_call,
					 bool is_v4, __u16 port)
{
	if (!is_v6_call) {
		ctx->user_ip4 = bpf_htonl(INADDR_LOOPBACK);
	} else {
		ctx->user_ip6[0] = 0;
		ctx->user_ip6[1] = 0;
		ctx->user_ip6[2] = is_v4 ? bpf_htonl(0xffff) : 0;
		ctx->user_ip6[3] = is_v4 ? bpf_htonl(INADDR_LOOPBACK) : bpf_htonl(1);
	}
	ctx->user_port = bpf_htons(port);
}

static __always_inline void remember_target(const struct network_config *config,
					    struct socket_state *state,
					    const struct target *t, __u64 v)
{
	state->key = 0;
	state->rule = VERDICT_RULE(v);
	copy_address(state->address, t->address);
	state->port = t->port;
	state->named = VERDICT_NAMED(v);
	state->key = config->key;
}

/* For another target. Who made the socket is known from socket(). */
static __always_inline void forget_target(struct socket_state *state)
{
	if (state->who.pid != bpf_get_current_pid_tgid() >> 32)
		ask_who(&state->who);
	state->key = 0;
	state->incoming = 0;
	state->named = 0;
	state->tls = TLS_UNKNOWN;
	state->redirected = 0;
}

/*
 * What nearly all calls of connect() are: TCP, to where address rules have let something go lately.
 * (That is neither the loopback nor a port that is redirected.) As with packets, the rest is
 * another function, so that the processor has little to load and to save for these.
 */
static __always_inline bool is_known_connect(struct bpf_sock_addr *ctx,
					     const struct network_config *config)
{
	__u32 address = ctx->user_ip4, port = bpf_ntohs(ctx->user_port);
	struct network_allowed *a;
	struct socket_state *state;

	if (ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP)
		return false;
	a = known_v4(config->key, address, NETWORK_TCP + port);
	if (!a)
		return false;
	state = bpf_sk_storage_get(&sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	state = own_state(config, state);
	if (state) {
		forget_target(state);
		set_v4(state->address, address);
		state->port = NETWORK_TCP + port;
		state->rule = a->rule;
		state->key = config->key;
	}
	/* Should another target have taken its place just now, it counts for that one. */
	__sync_fetch_and_add(&a->hits, 1);
	return true;
}

/* connect(), also of UDP, and sendmsg() with an address. */
static __always_inline int on_target(struct bpf_sock_addr *ctx,
				     const struct network_config *config,
				     struct target *t, bool is_v6_call)
{
	struct socket_state *state = NULL;
	struct who who = {};
	__u32 space = 0;
	__u64 v;

	t->protocol = ctx->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : ctx->protocol;
	t->port = bpf_ntohs(ctx->user_port);
	if (config->key)
		state = own_state(config, bpf_sk_storage_get(&sockets, ctx->sk, NULL,
							     BPF_SK_STORAGE_GET_F_CREATE));
	if (!transport_of(ctx, &space)) {
		ask_who(&who);
		report(config, t, &who, VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0));
		return 0;
	}
	t->port += space;
	if (t->is_v4 && v4_of(t->address) == bpf_htonl(NETWORK_SELF_TEST_ADDRESS) &&
	    t->port == NETWORK_SELF_TEST_PORT)
		return 0;
	if (state && t->hook == NETWORK_HOOK_CONNECT)
		forget_target(state);
	if ((config->flags & NETWORK_REDIRECT_DNS) && config->dns_port &&
	    (t->port & 0xffff) == 53) {
		if (!state)
			return 0;
		copy_address(state->original, t->address);
		state->original_port = ctx->user_port;
		state->redirected = 1;
		set_loopback(ctx, is_v6_call, t->is_v4, config->dns_port);
		return 1;
	}
	if (is_own_loopback(config, t))
		return 1;
	/* The next datagram to where the last one went. Names have their time. */
	if (t->hook == NETWORK_HOOK_SEND && state && !state->named &&
	    is_target(state, t) && is_current(config, state))
		return 1;
	v = decide(config, t, false);
	if (VERDICT_WHAT(v) != NETWORK_ALLOW && space == NETWORK_UDP &&
	    was_heard(config, t, NETWORK_UDP + (ctx->sk->src_port & 0xffff)))
		return 1;
	if (VERDICT_WHAT(v) == NETWORK_ALLOW) {
		/* Without a memory there is no check of the name in TLS. */
		if (VERDICT_NAMED(v) && !state)
			return 0;
		/* A datagram's packet follows at once, and need not be decided again. */
		if (state && (t->hook == NETWORK_HOOK_CONNECT || !VERDICT_NAMED(v)))
			remember_target(config, state, t, v);
		count_allowed(config, VERDICT_RULE(v));
		return 1;
	}
	ask_who(&who);
	report(config, t, &who, v);
	return VERDICT_WHAT(v) == NETWORK_AUDIT;
}

static __noinline int call_v4(struct bpf_sock_addr *ctx,
			      const struct network_config *config, __u32 hook)
{
	struct target t = { .hook = hook };

	target_v4(ctx, &t);
	return on_target(ctx, config, &t, false);
}

static __noinline int call_v6(struct bpf_sock_addr *ctx,
			      const struct network_config *config, __u32 hook)
{
	struct target t = { .hook = hook };

	target_v6(ctx, &t);
	return on_target(ctx, config, &t, true);
}

SEC("cgroup/connect4")
int network_connect4(struct bpf_sock_addr *ctx)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);

	return is_known_connect(ctx, config) ? 1 :
					       call_v4(ctx, config, NETWORK_HOOK_CONNECT);
}

SEC("cgroup/connect6")
int network_connect6(struct bpf_sock_addr *ctx)
{
	return call_v6(ctx, bpf_get_local_storage(&storage, 0), NETWORK_HOOK_CONNECT);
}

SEC("cgroup/sendmsg4")
int network_sendmsg4(struct bpf_sock_addr *ctx)
{
	return call_v4(ctx, bpf_get_local_storage(&storage, 0), NETWORK_HOOK_SEND);
}

SEC("cgroup/sendmsg6")
int network_sendmsg6(struct bpf_sock_addr *ctx)
{
	return call_v6(ctx, bpf_get_local_storage(&storage, 0), NETWORK_HOOK_SEND);
}

/* Where an address is the forwarder's, shows the one that the program asked. */
static __always_inline void show_original(struct bpf_sock_addr *ctx, bool is_v6_call)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);
	const struct socket_state *state;
	struct target t = {};

	if (!config->dns_port || bpf_ntohs(ctx->user_port) != config->dns_port)
		return;
	if (is_v6_call)
		target_v6(ctx, &t);
	else
		target_v4(ctx, &t);
	if (!is_loopback(&t))
		return;
	state = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (!state || !state->redirected || is_mapped(state->original) != t.is_v4)
		return;
	ctx->user_port = state->original_port;
	if (is_v6_call) {
		ctx->user_ip6[0] = ((const __u32 *)state->original)[0];
		ctx->user_ip6[1] = ((const __u32 *)state->original)[1];
		ctx->user_ip6[2] = ((const __u32 *)state->original)[2];
		ctx->user_ip6[3] = ((const __u32 *)state->original)[3];
	} else {
		ctx->user_ip4 = v4_of(state->original);
	}
}

SEC("cgroup/recvmsg4")
int network_recvmsg4(struct bpf_sock_addr *ctx)
{
	show_original(ctx, false);
	return 1;
}

SEC("cgroup/recvmsg6")
int network_recvmsg6(struct bpf_sock_addr *ctx)
{
	show_original(ctx, true);
	return 1;
}

SEC("cgroup/getpeername4")
int network_peername4(struct bpf_sock_addr *ctx)
{
	show_original(ctx, false);
	return 1;
}

SEC("cgroup/getpeername6")
int network_peername6(struct bpf_sock_addr *ctx)
{
	show_original(ctx, true);
	return 1;
}

/*
 * In a network namespace of its own, a port that is not open may be bound: programs in the
 * container reach it over the loopback device, others do not. In the host's it may not.
 */
static __always_inline int on_bind(struct bpf_sock_addr *ctx, struct target *t)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);
	struct who who = {};
	__u32 space = 0;
	__u64 v;

	t->protocol = ctx->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : ctx->protocol;
	t->port = bpf_ntohs(ctx->user_port);
	if (!config->key)
		return 0;
	if (!transport_of(ctx, &space)) {
		v = VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0);
	} else if (t->port == 0) {
		return 1;
	} else if (t->port == config->dns_port) {
		v = VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0);
	} else if (config->flags & NETWORK_OWN_LOOPBACK) {
		return 1;
	} else {
		v = decide_incoming(config, t->port + space);
	}
	t->port += space;
	if (VERDICT_WHAT(v) == NETWORK_ALLOW)
		return 1;
	ask_who(&who);
	report(config, t, &who, v);
	return VERDICT_WHAT(v) == NETWORK_AUDIT;
}

SEC("cgroup/bind4")
int network_bind4(struct bpf_sock_addr *ctx)
{
	struct target t = { .hook = NETWORK_HOOK_BIND };

	target_v4(ctx, &t);
	return on_bind(ctx, &t);
}

SEC("cgroup/bind6")
int network_bind6(struct bpf_sock_addr *ctx)
{
	struct target t = { .hook = NETWORK_HOOK_BIND };

	target_v6(ctx, &t);
	return on_bind(ctx, &t);
}

SEC("cgroup/sock_create")
int network_socket(struct bpf_sock *ctx)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);
	struct target t = { .hook = NETWORK_HOOK_SOCKET, .protocol = ctx->protocol };
	struct socket_state *state;
	struct who who = {};

	if (!config->key)
		return 0;
	ask_who(&who);
	if ((ctx->type == SOCK_STREAM &&
	     (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_MPTCP)) ||
	    (ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP)) {
		state = bpf_sk_storage_get(&sockets, ctx, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (state) {
			state->who = who;
			state->cgroup = config->cgroup;
		}
		return 1;
	}
	t.is_v4 = ctx->family == AF_INET;
	if (t.is_v4)
		set_v4(t.address, 0);
	report(config, &t, &who, VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0));
	return 0;
}

/* Options that put something between the addresses and the ports of a packet. */
static __always_inline bool is_header_option(int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_OPTIONS;
	if (level != IPPROTO_IPV6)
		return false;
	return name == IPV6_HOPOPTS || name == IPV6_RTHDRDSTOPTS || name == IPV6_RTHDR ||
	       name == IPV6_DSTOPTS || name == IPV6_2292HOPOPTS ||
	       name == IPV6_2292DSTOPTS || name == IPV6_2292RTHDR ||
	       name == IPV6_2292PKTOPTIONS;
}

SEC("cgroup/setsockopt")
int network_option(struct bpf_sockopt *ctx)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);
	struct target t = { .hook = NETWORK_HOOK_OPTION };
	const struct socket_state *state;
	struct who who = {};

	if (!config->key)
		return 0;
	if (!is_header_option(ctx->level, ctx->optname)) {
		/* Larger than what is shown here: as the caller gave it. */
		if (ctx->optlen > PAGE_MAX)
			ctx->optlen = 0;
		return 1;
	}
	if (ctx->sk) {
		t.protocol = ctx->sk->protocol;
		t.is_v4 = ctx->sk->family == AF_INET;
		state = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
		if (state)
			who = state->who;
	}
	if (t.is_v4)
		set_v4(t.address, 0);
	report(config, &t, &who, VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0));
	return 0;
}

#endif
