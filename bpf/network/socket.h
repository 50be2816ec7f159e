/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs remember of a socket: value of `sockets`. Also read by src/network/sockets.c. */
#ifndef PURPLE_BPF_NETWORK_SOCKET_H
#define PURPLE_BPF_NETWORK_SOCKET_H

#include <linux/types.h>

/*
 * Who made a socket, or another process that connected it, for the events of its packets. The name
 * is that of the time: 0.1 us to ask for it again would be much of what the filter adds to connect().
 */
struct who {
	__u64 cgroup;
	__u32 pid, uid;
	char comm[16];
};

struct socket_state {
	struct who who;
	__u64 cgroup; /* the filter that all the following is of */
	/* The remote end that was allowed, and by which rules, as in config.key; 0: none. */
	__u64 key;
	__u64 incoming; /* rules that let others connect to the local port; 0: none did */
	__u8 address[16];
	__u32 port;
	__u32 rule;
	__u8 named; /* allowed by a name; stays when `key` has passed */
	__u8 tls;   /* enum tls_state */
	__u8 redirected;
	__u8 reserved;
	__u16 original_port; /* before it was redirected to the forwarder; network byte order */
	__u16 reserved2;
	__u8 original[16];
};
enum tls_state { TLS_UNKNOWN, TLS_ALLOWED, TLS_DENIED };

#endif
