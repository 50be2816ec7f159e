/* SPDX-License-Identifier: Apache-2.0 */
/* The name in the first bytes of TLS. Part of network_filter.bpf.c. */
#ifndef PURPLE_BPF_NETWORK_TLS_H
#define PURPLE_BPF_NETWORK_TLS_H

#include "network/packets.h"

#define TLS_EXTENSIONS_MAX 40
#define TLS_ENCRYPTED_HELLO 0xfe0d /* ECH, RFC 9849 */
#define TCP_URGENT 0x20		   /* of the 14th byte of a header */
/* The compiler forgets what it knows of a value, and leaves checks of it standing. */
#define OPAQUE(value) __asm__ volatile("" : "+r"(value))

/*
 * The offset of the first extension of the ClientHello at `offset`; 0: it is none. RFC 8446 4.1.2,
 * in a record of RFC 8446 5.1. *ret_end: of the extensions; *ret_record_end: of the record, which
 * may be the sooner one. Behind it another record's header would stand in the midst of what is
 * read here, and be none of it for the server: then it is not looked at.
 */
static __always_inline __u32 hello_extensions(struct __sk_buff *skb, __u32 offset,
					      __u32 *ret_end, __u32 *ret_record_end)
{
	__u8 head[9], length[2], n;
	__u32 extensions, hello_end;

	/* type 22, version 3.x, length; type 1, length */
	if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)) < 0 || head[0] != 22 ||
	    head[1] != 3 || head[5] != 1 || head[6] != 0)
		return 0;
	*ret_record_end = offset + 5 + ((__u32)head[3] << 8 | head[4]);
	hello_end = offset + 9 + ((__u32)head[7] << 8 | head[8]);
	/* version, random, then three vectors */
	offset += 9 + 2 + 32;
	if (bpf_skb_load_bytes(skb, offset, &n, 1) < 0 || n > 32)
		return 0;
	offset += 1 + n;
	if (bpf_skb_load_bytes(skb, offset, length, 2) < 0)
		return 0;
	offset += 2 + ((__u32)length[0] << 8 | length[1]);
	if (bpf_skb_load_bytes(skb, offset, &n, 1) < 0)
		return 0;
	offset += 1 + n;
	if (bpf_skb_load_bytes(skb, offset, length, 2) < 0)
		return 0;
	extensions = (__u32)length[0] << 8 | length[1];
	*ret_end = offset + 2 + extensions;
	return *ret_end == hello_end ? offset + 2 : 0;
}

/*
 * Not static, so that the verifier looks at each of the two loops once, and not at one for each
 * turn of the other (Linux 6.1 gives up on that).
 */
__noinline __u32 network_tls_name_rule(struct __sk_buff *skb, __u64 key, __u32 offset,
				       __u32 len);
__noinline __u32 network_hello_rule(struct __sk_buff *skb, __u64 key, __u32 offset);

/* The rule that allows the name of `len` bytes at `offset`; NETWORK_RULE_NAME: none. */
__noinline __u32 network_tls_name_rule(struct __sk_buff *skb, __u64 key, __u32 offset,
				       __u32 len)
{
	__u64 last = len - 1, n;
	__u32 zero = 0, *rule;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &zero);
	void *map = bpf_map_lookup_elem(&tls_names, &key);

	if (!s || !map || len < 1 || len > NETWORK_TLS_NAME_MAX - 1)
		return NETWORK_RULE_NAME;
	/* Said once more, for the verifier. */
	OPAQUE(last);
	last &= 0xff;
	OPAQUE(last);
	if (last > NETWORK_TLS_NAME_MAX - 2)
		return NETWORK_RULE_NAME;
	n = last + 1;
	if (bpf_skb_load_bytes(skb, offset, s->name, n) < 0)
		return NETWORK_RULE_NAME;
	for (__u64 i = 0; i < NETWORK_TLS_NAME_MAX - 1; i++) {
		__u64 at = (last - i) & 0xff;
		__u8 c;

		if (i >= n)
			break;
		c = at < sizeof(s->name) ? s->name[at] : 0;
		/* A 0 would end the name before its end. */
		if (c == 0)
			return NETWORK_RULE_NAME;
		c |= (c >= 'A' && c <= 'Z') << 5;
		s->key.reversed[i] = c;
	}
	s->key.reversed[n] = 0;
	s->key.prefix_len = (n + 1) * 8;
	rule = bpf_map_lookup_elem(map, &s->key);
	return rule ? *rule : NETWORK_RULE_NAME;
}

/*
 * Where the one name of a server_name extension at `at` stands, and its length: RFC 6066 3. 0: it
 * has another form, or is longer than it says.
 */
static __always_inline __u32 name_of(struct __sk_buff *skb, __u32 at, __u32 end,
				     __u32 *ret_len)
{
	__u8 e[9];
	__u32 len;

	/* type, length; length of the list, type 0, length of the name */
	if (bpf_skb_load_bytes(skb, at, e, sizeof(e)) < 0 || e[6] != 0)
		return 0;
	len = (__u32)e[7] << 8 | e[8];
	if (((__u32)e[4] << 8 | e[5]) != len + 3 ||
	    ((__u32)e[2] << 8 | e[3]) != len + 5 || at + 9 + len > end)
		return 0;
	*ret_len = len;
	return at + 9;
}

/*
 * The rule that allows the ClientHello at `offset`; NETWORK_RULE_NAME: none. All of its extensions
 * are looked at: an encrypted hello has the name that counts for the server in there.
 */
__noinline __u32 network_hello_rule(struct __sk_buff *skb, __u64 key, __u32 offset)
{
	__u32 end = 0, record_end = 0, name = 0, len = 0,
	      at = hello_extensions(skb, offset, &end, &record_end);

	if (!at || end > record_end)
		return NETWORK_RULE_NAME;
	for (int i = 0; i < TLS_EXTENSIONS_MAX; i++) {
		__u32 type;
		__u8 e[4];

		if (at >= end || bpf_skb_load_bytes(skb, at, e, sizeof(e)) < 0)
			break;
		type = (__u32)e[0] << 8 | e[1];
		if (type == TLS_ENCRYPTED_HELLO || (type == 0 && name))
			return NETWORK_RULE_NAME;
		if (type == 0) {
			name = name_of(skb, at, end, &len);
			if (!name)
				return NETWORK_RULE_NAME;
		}
		at += 4 + ((__u32)e[2] << 8 | e[3]);
	}
	if (at != end || !name)
		return NETWORK_RULE_NAME;
	return network_tls_name_rule(skb, key, name, len);
}

/* Whether a packet of a connection that was allowed by name may go, for the name in its TLS. */
static __always_inline bool may_speak(struct __sk_buff *skb,
				      const struct network_config *config,
				      const struct packet *p, struct socket_state *state)
{
	__u8 offset_flags[2];
	__u32 payload;

	if (!(config->flags & NETWORK_CHECK_TLS) || p->peer.port != NETWORK_TCP + 443 ||
	    state->tls == TLS_ALLOWED)
		return true;
	if (bpf_skb_load_bytes(skb, p->header + 12, offset_flags, 2) < 0)
		return false;
	payload = p->header + (offset_flags[0] >> 4) * 4;
	if (payload >= skb->len)
		return true;
	/* A server does not see an urgent byte where it stands. */
	if (offset_flags[1] & TCP_URGENT)
		state->tls = TLS_DENIED;
	if (state->tls == TLS_UNKNOWN)
		state->tls = network_hello_rule(skb, config->key, payload) ==
					     NETWORK_RULE_NAME ?
				     TLS_DENIED :
				     TLS_ALLOWED;
	return state->tls == TLS_ALLOWED;
}

#endif
