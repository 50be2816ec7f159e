/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network filter of containers, in the kernel. Loaded once per boot by purple-network-load,
 * shared by all containers; attached to a container's cgroup by network/filter.c, to its devices
 * by network/wire.c. network_filter.h says how a container's rules are found.
 *
 * Theory of operation. Several layers decide by the same rules (decide()):
 *  - the calls connect(), sendmsg(), bind(), socket(), setsockopt() give the program EPERM at once;
 *  - packets at the cgroup catch what has no such call, and cut connections whose rule has gone;
 *  - packets at the device catch what has no socket in the cgroup: packet sockets, sockets that
 *    were made elsewhere.
 * Rules for addresses are stateless. What was allowed for another reason is remembered:
 *  - `sockets`: a TCP connection that was allowed by name lives on when the name's entry expires,
 *    until the next generation of the rules; one that came in through an open port may answer;
 *  - `passed`: such packets leave a note there, by which the device knows them, and by which a
 *    UDP port that is open answers whom it heard from. Nothing else lets a packet out for where it
 *    comes from, or for what it claims to be the answer to.
 *  - `allowed`: on each processor, to where address rules have let something go. They do not
 *    change while their key holds, so this saves time and decides nothing.
 * What cannot be parsed, looked up or remembered is denied.
 *
 * The least kernel is 5.15: no bpf_loop(), no kfuncs, and no helpers that programs at the cgroup
 * got later (so packets' events take the process from `sockets`).
 */
#include "network/calls.h"
#include "network/packets.h"
#include "network/tls.h"

/* --- packets at the cgroup --- */

/* Whether the connection came in through a port that is still open, from where it may. */
static __always_inline bool came_in(const struct network_config *config,
				    const struct packet *p, struct socket_state *state)
{
	bool is_new = state->incoming != config->key;

	if (!state->incoming || !config->key)
		return false;
	if (!is_new && !(config->flags & NETWORK_BLOCKS_NAMES))
		return true;
	if (VERDICT_WHAT(decide_incoming(config, p->peer.local)) == NETWORK_DENY ||
	    is_blocked(config, &p->peer)) {
		state->incoming = 0;
		return false;
	}
	if (is_new)
		state->incoming = config->key;
	return true;
}

/* The verdict for the remote end of a TCP connection. */
static __always_inline __u64 decide_connection(const struct network_config *config,
					       const struct packet *p,
					       struct socket_state *state)
{
	bool same = state && is_target(state, &p->peer);
	__u64 v;

	if (same && is_current(config, state))
		return VERDICT(NETWORK_ALLOW, state->rule, state->named);
	v = decide(config, &p->peer, same && state->named);
	if (same && VERDICT_WHAT(v) == NETWORK_ALLOW) {
		state->key = config->key;
		state->rule = VERDICT_RULE(v);
		if (VERDICT_NAMED(v) && !state->named)
			state->tls = TLS_UNKNOWN;
		state->named = VERDICT_NAMED(v);
	}
	return v;
}

static __always_inline __u64 decide_tcp_out(struct __sk_buff *skb,
					    const struct network_config *config,
					    const struct packet *p,
					    struct socket_state *state)
{
	__u64 v;

	if (state && came_in(config, p, state)) {
		note_passed(skb, config, p, false);
		return VERDICT(NETWORK_ALLOW, NETWORK_RULE_NONE, 0);
	}
	v = decide_connection(config, p, state);
	if (VERDICT_WHAT(v) == NETWORK_ALLOW && VERDICT_NAMED(v)) {
		if (!state || !may_speak(skb, config, p, state))
			return VERDICT(NETWORK_DENY, NETWORK_RULE_NAME, 0);
		note_passed(skb, config, p, false);
	}
	return v;
}

static __always_inline __u64 decide_udp_out(struct __sk_buff *skb,
					    const struct network_config *config,
					    const struct packet *p,
					    const struct socket_state *state)
{
	__u64 v;

	if (state && !state->named && is_target(state, &p->peer) &&
	    is_current(config, state))
		v = VERDICT(NETWORK_ALLOW, state->rule, 0);
	else
		v = decide(config, &p->peer, false);
	if (VERDICT_WHAT(v) == NETWORK_ALLOW) {
		if (VERDICT_NAMED(v) || skb->len > FRAGMENT_FROM)
			note_passed(skb, config, p, false);
		return v;
	}
	if (!was_heard(config, &p->peer, p->peer.local))
		return v;
	note_passed(skb, config, p, false);
	return VERDICT(NETWORK_ALLOW, NETWORK_RULE_NONE, 0);
}

static __always_inline enum packet_kind parse(struct __sk_buff *skb, __u32 protocol,
					      __u32 offset, struct packet *p, bool out)
{
	if (protocol == bpf_htons(ETH_P_IP)) {
		if (offset == 0 && parse_plain_v4(skb, 0, p, out))
			return PACKET_TRANSPORT;
		if (offset == ETH_HLEN && parse_plain_v4(skb, ETH_HLEN, p, out))
			return PACKET_TRANSPORT;
		return parse_v4(skb, offset, p, out);
	}
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_v6(skb, offset, p, out);
	return PACKET_BAD;
}

static __always_inline struct socket_state *state_of(const struct network_config *config,
						     struct bpf_sock *sk, __u64 flags)
{
	return sk ? own_state(config, bpf_sk_storage_get(&sockets, sk, NULL, flags)) : NULL;
}

static __always_inline void report_packet(const struct network_config *config,
					  const struct packet *p,
					  const struct socket_state *state, __u64 v)
{
	struct who who = {};

	if (state)
		who = state->who;
	report(config, &p->peer, &who, v);
}

/*
 * What the rules for addresses allow they allow for every socket, so its memory need not be asked.
 * A large datagram leaves a note for its fragments.
 */
static __always_inline bool may_pass_by_address(struct __sk_buff *skb,
						const struct network_config *config,
						const struct packet *p)
{
	__u32 rule = 0;

	if (p->peer.protocol == IPPROTO_UDP && skb->len > FRAGMENT_FROM)
		return false;
	return is_known_allowed(config->key, &p->peer, &rule);
}

/*
 * What nearly all packets are: plain, and for where address rules have let something go lately. It
 * is looked at before anything else, in as few instructions as it takes: they are seldom in the
 * processor's cache. (What is for the loopback is never known so, nor is it astray then.)
 */
static __always_inline bool is_known_out(struct __sk_buff *skb,
					 const struct network_config *config)
{
	struct plain q;

	return skb->protocol == bpf_htons(ETH_P_IP) && read_plain(skb, 0, true, &q) &&
	       (q.protocol == IPPROTO_TCP || skb->len <= FRAGMENT_FROM) &&
	       known_v4(config->key, q.address, q.port);
}

/* Likewise, to a TCP socket that does not wait for others. */
static __always_inline bool is_known_in(struct __sk_buff *skb,
					const struct network_config *config)
{
	struct bpf_sock *sk = skb->sk;
	struct plain q;

	return skb->protocol == bpf_htons(ETH_P_IP) && read_plain(skb, 0, false, &q) &&
	       q.protocol == IPPROTO_TCP && !(sk && sk->state == BPF_TCP_LISTEN) &&
	       known_v4(config->key, q.address, q.port);
}

static __noinline int packet_out(struct __sk_buff *skb, const struct network_config *config)
{
	struct packet p = { .peer.hook = NETWORK_HOOK_OUT };
	struct bpf_sock *sk = skb->sk;
	enum packet_kind kind;
	__u64 v;

	if ((config->flags & NETWORK_OWN_LOOPBACK) && skb->ifindex == LOOPBACK_IFINDEX)
		return 1;
	kind = parse(skb, skb->protocol, 0, &p, true);
	if (kind == PACKET_TRANSPORT && !is_astray(skb, &p) &&
	    may_pass_by_address(skb, config, &p))
		return 1;
	if (kind == PACKET_ICMP && config->key && is_neighbour_discovery(skb, 0, &p))
		return 1;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (kind != PACKET_TRANSPORT || is_astray(skb, &p))
		v = VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0);
	else if (p.peer.protocol == IPPROTO_TCP)
		v = decide_tcp_out(skb, config, &p, state_of(config, sk, 0));
	else
		v = decide_udp_out(skb, config, &p, state_of(config, sk, 0));
	if (VERDICT_WHAT(v) == NETWORK_ALLOW)
		return 1;
	report_packet(config, &p, state_of(config, sk, 0), v);
	if (VERDICT_WHAT(v) != NETWORK_AUDIT)
		return 0;
	note_passed(skb, config, &p, false);
	return 1;
}

SEC("cgroup_skb/egress")
int network_out(struct __sk_buff *skb)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);

	return is_known_out(skb, config) ? 1 : packet_out(skb, config);
}

/* A packet for a port that waits for others: a listening TCP socket, any UDP socket. */
static __always_inline __u64 decide_open_port(struct __sk_buff *skb,
					      const struct network_config *config,
					      const struct packet *p)
{
	__u64 v = decide_incoming(config, p->peer.local);

	if (VERDICT_WHAT(v) == NETWORK_DENY)
		return v;
	if (is_blocked(config, &p->peer))
		return VERDICT(NETWORK_DENY, NETWORK_RULE_INCOMING, 0);
	note_passed(skb, config, p, true);
	return v;
}

static __always_inline __u64 decide_tcp_in(struct __sk_buff *skb,
					   const struct network_config *config,
					   const struct packet *p, struct bpf_sock *sk)
{
	struct socket_state *state;
	__u64 v;

	if (sk && sk->state == BPF_TCP_LISTEN) {
		v = decide_open_port(skb, config, p);
		if (VERDICT_WHAT(v) == NETWORK_DENY)
			return v;
		/* The connection's socket gets a copy of this. */
		state = state_of(config, sk, BPF_SK_STORAGE_GET_F_CREATE);
		if (!state)
			return VERDICT(NETWORK_DENY, NETWORK_RULE_INCOMING, 0);
		if (state->incoming != config->key)
			state->incoming = config->key;
		count_allowed(config, VERDICT_RULE(v));
		return v;
	}
	if (may_pass_by_address(skb, config, p))
		return VERDICT(NETWORK_ALLOW, NETWORK_RULE_NONE, 0);
	state = state_of(config, sk, 0);
	if (state && came_in(config, p, state))
		return VERDICT(NETWORK_ALLOW, NETWORK_RULE_NONE, 0);
	return decide_connection(config, p, state);
}

static __noinline int packet_in(struct __sk_buff *skb, const struct network_config *config)
{
	struct packet p = { .peer.hook = NETWORK_HOOK_IN };
	struct bpf_sock *sk = skb->sk;
	enum packet_kind kind;
	__u64 v;

	if ((config->flags & NETWORK_OWN_LOOPBACK) && skb->ifindex == LOOPBACK_IFINDEX)
		return 1;
	kind = parse(skb, skb->protocol, 0, &p, false);
	if (kind == PACKET_ICMP && config->key && is_icmp_error(&p))
		return 1;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (kind != PACKET_TRANSPORT) {
		v = VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0);
	} else if (p.peer.protocol == IPPROTO_TCP) {
		v = decide_tcp_in(skb, config, &p, sk);
	} else {
		v = decide_open_port(skb, config, &p);
		/* The answer of whom it may ask. */
		if (VERDICT_WHAT(v) == NETWORK_DENY &&
		    VERDICT_WHAT(decide(config, &p.peer, false)) != NETWORK_DENY)
			return 1;
	}
	if (VERDICT_WHAT(v) == NETWORK_ALLOW)
		return 1;
	/* Of the sender's port nothing is to be learned, and a scan would be as many events. */
	if (kind == PACKET_TRANSPORT)
		p.peer.port = p.peer.local;
	report_packet(config, &p, state_of(config, sk, 0), v);
	return VERDICT_WHAT(v) == NETWORK_AUDIT;
}

SEC("cgroup_skb/ingress")
int network_in(struct __sk_buff *skb)
{
	const struct network_config *config = bpf_get_local_storage(&storage, 0);

	return is_known_in(skb, config) ? 1 : packet_in(skb, config);
}

/* --- packets at the device --- */

/* As is_known_out(), from the header of the link on. */
static __always_inline bool is_known_wire(struct __sk_buff *skb,
					  const struct network_wire *wire)
{
	const struct ethhdr *eth = (const void *)(long)skb->data;
	struct plain q;

	if (wire->header == ETH_HLEN)
		return (const void *)(eth + 1) <= (const void *)(long)skb->data_end &&
		       eth->h_proto == bpf_htons(ETH_P_IP) && !skb->vlan_present &&
		       read_plain(skb, ETH_HLEN, true, &q) &&
		       known_v4(wire->key, q.address, q.port);
	return wire->header == 0 && read_plain(skb, 0, true, &q) &&
	       known_v4(wire->key, q.address, q.port);
}

/* The protocol of the network layer as the bytes say, whatever the sender told the kernel. */
static __always_inline __u32 protocol_of(struct __sk_buff *skb, __u32 header)
{
	__u16 type;
	__u8 first;

	if (header) {
		if (skb->vlan_present || bpf_skb_load_bytes(skb, header - 2, &type, 2) < 0)
			return 0;
		return type;
	}
	if (bpf_skb_load_bytes(skb, 0, &first, 1) < 0)
		return 0;
	return first >> 4 == 4 ? bpf_htons(ETH_P_IP) :
	       first >> 4 == 6 ? bpf_htons(ETH_P_IPV6) :
				 0;
}

static __always_inline bool was_passed(const struct network_config *config,
				       const struct packet *p, enum packet_kind kind)
{
	struct flow flow = {};

	if (kind != PACKET_TRANSPORT && kind != PACKET_FRAGMENT)
		return false;
	flow_of(config, p, &flow);
	return bpf_map_lookup_elem(&passed, &flow);
}

static __noinline int packet_on_wire(struct __sk_buff *skb, __u64 key, __u32 header)
{
	struct packet p = { .peer.hook = NETWORK_HOOK_WIRE };
	const struct network_config *config;
	__u64 v = VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0);
	enum packet_kind kind;
	struct who nobody = {};
	__u32 protocol;

	config = bpf_map_lookup_elem(&configs, &key);
	if (!config)
		return TC_ACT_SHOT;
	protocol = protocol_of(skb, header);
	if (header && protocol == bpf_htons(ETH_P_ARP))
		return is_arp(skb, header) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
	kind = parse(skb, protocol, header, &p, true);
	if (kind == PACKET_ICMP && is_neighbour_discovery(skb, header, &p))
		return TC_ACT_UNSPEC;
	if (is_astray(skb, &p))
		kind = PACKET_BAD;
	if (kind == PACKET_TRANSPORT)
		v = decide(config, &p.peer, false);
	if (VERDICT_WHAT(v) == NETWORK_ALLOW || was_passed(config, &p, kind))
		return TC_ACT_UNSPEC;
	if (!is_group_report(&p))
		report(config, &p.peer, &nobody, v);
	return VERDICT_WHAT(v) == NETWORK_AUDIT ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* At the device all that the container sends passes: ingress of the host's end, or egress. */
static __always_inline int on_wire(struct __sk_buff *skb, __u32 slot)
{
	const struct network_wire *wire = bpf_map_lookup_elem(&wires, &slot);

	if (!wire)
		return TC_ACT_SHOT;
	/* Most packets passed the cgroup a moment ago, on this processor. */
	if (is_known_wire(skb, wire))
		return TC_ACT_UNSPEC;
	return packet_on_wire(skb, wire->key, wire->header);
}

/* By a filter of clsact, whose class id says whose wire it is. */
SEC("tc")
int network_device(struct __sk_buff *skb)
{
	return on_wire(skb, skb->tc_classid);
}

/*
 * By tcx, at the host's end, from Linux 6.6 on: a third of the cost, and in front of all filters.
 * The name is how a device's program is known to be of some build's.
 */
SEC("tc")
int purple_wire_end(struct __sk_buff *skb)
{
	return on_wire(skb, NETWORK_WIRE_END | skb->ifindex);
}

char network_license[] SEC("license") = "Apache-2.0";
