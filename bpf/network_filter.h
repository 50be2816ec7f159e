/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of network_filter.bpf.c and src/network share: keys and values of their maps,
 * and the events. Numbers are in host byte order, addresses in network byte order. No pointers,
 * no padding that is not named.
 *
 * One set of programs holds for all containers. Which container a packet or a call belongs to is
 * told by the cgroup that the program is attached to: its cgroup storage is a struct
 * network_config. Storage that nobody has written yet is zero, and zero allows nothing.
 * config.key then finds the container's own maps in the maps of maps below.
 */
#ifndef PURPLE_BPF_NETWORK_FILTER_H
#define PURPLE_BPF_NETWORK_FILTER_H

#include <linux/types.h>

/*
 * Protocol and port as one number, so that a range of it says both: TCP ports from NETWORK_TCP,
 * UDP ports from NETWORK_UDP. Other protocols are not for rules to allow.
 */
#define NETWORK_TCP 0u
#define NETWORK_UDP 0x10000u
#define NETWORK_PORTS_END 0x20000u

/* The most that one container's maps hold, and how many keys there can be at a time. */
#define NETWORK_PREFIXES_MAX \
	131072 /* 100,000 rules, and the reserved ranges beside them */
#define NETWORK_NAMES_MAX 16384
#define NETWORK_RING_SIZE (128 << 10)
#define NETWORK_KEYS_MAX 32768
/* Arrays of maps that are made in advance; larger ones take their place where needed. */
#define NETWORK_SPARE_RANGES 1024
#define NETWORK_SPARE_HITS 1024

enum network_verdict {
	NETWORK_NONE = 0, /* no rule speaks: learned names decide, then config.fallback */
	NETWORK_ALLOW = 1,
	NETWORK_DENY = 2, /* a block, or a built-in one: wins over names */
	NETWORK_AUDIT = 3, /* a rule would deny, and its policy only records: an event, and passes */
};

/* Rules that stand in no policy. Others are indexes into the container's table of rules. */
#define NETWORK_RULE_NONE 0xffffffffu /* denied since nothing allows it */
#define NETWORK_RULE_RESERVED \
	0xfffffffeu /* metadata, link-local, multicast, private ... */
#define NETWORK_RULE_PROTOCOL \
	0xfffffffdu /* neither TCP nor UDP; raw sockets; IP options ... */
#define NETWORK_RULE_NAME 0xfffffffcu /* TLS: the name is missing or not an allowed one */
#define NETWORK_RULE_INCOMING 0xfffffffbu /* a port that the policy does not open */
#define NETWORK_RULE_ALL 0xfffffffau /* in `hits` alone: the sum of what was denied */

/* Keys of the tries; the address of IPv4 stands in the first four bytes of `address`. */
struct network_prefix4 {
	__u32 prefix_len;
	__u8 address[4];
};
struct network_prefix6 {
	__u32 prefix_len;
	__u8 address[16];
};

/* Ports `lo` to `hi` (both inclusive, NETWORK_TCP + port or NETWORK_UDP + port). */
struct network_range {
	__u32 lo, hi;
	__u32 rule;
	__u32 verdict; /* enum network_verdict */
};

/*
 * Value of the tries: the whole verdict for a prefix, shorter prefixes' rules worked in by whoever
 * wrote it: the longest match alone decides. Ranges are disjoint and ascending; what none holds is
 * NETWORK_NONE. `first` is the first (lo > hi: there is none); the other ones stand in the
 * container's `ranges` from index `more`, `more_count` of them.
 */
struct network_entry {
	struct network_range first;
	__u32 more, more_count;
};

/* Which names an address was the answer for: value of the container's `names`. */
#define NETWORK_NAME_SLOTS 8
struct network_name_slot {
	__u32 lo, hi; /* as in network_range; lo > hi: the slot is free */
	__u32 rule;
	__u32 flags;   /* NETWORK_NAME_... */
	__u64 expires; /* CLOCK_BOOTTIME, seconds; UINT64_MAX: never */
};
#define NETWORK_NAME_BLOCKED \
	1u /* the address of a blocked name: denied, whatever else allows */
#define NETWORK_NAME_KEPT \
	2u /* for a connection from before a reload: stays when it has expired */
struct network_name {
	struct network_name_slot slots[NETWORK_NAME_SLOTS];
};
/* Key of `names`: IPv6, or IPv4 as ::ffff:a.b.c.d. */
struct network_address {
	__u8 bytes[16];
};

/*
 * Key of the container's `tls_names`, a trie: bits of `reversed` that count (8 a byte), and the
 * name in lower case from its last byte to its first, then a 0 for an exact name, or '.' for the
 * names below it. Value: __u32, the rule; NETWORK_RULE_NAME: a blocked name, never allowed.
 */
#define NETWORK_TLS_NAME_MAX 252
struct network_tls_name {
	__u32 prefix_len;
	__u8 reversed[NETWORK_TLS_NAME_MAX];
};

/* config.flags */
#define NETWORK_OWN_LOOPBACK \
	1u /* a network namespace of its own: the loopback device is free */
#define NETWORK_USES_NAMES 2u	/* look into `names` */
#define NETWORK_BLOCKS_NAMES 4u /* also for what an address rule or the fallback allows */
#define NETWORK_REDIRECT_DNS \
	8u /* port 53 goes to the forwarder, other DNS ports nowhere */
#define NETWORK_CHECK_TLS \
	16u /* TCP 443 by name: the first bytes must name an allowed one */
#define NETWORK_ANY_INCOMING \
	32u /* no rule about incoming: what the fallback says holds */

/* Value of `storage`, BPF_MAP_TYPE_CGROUP_STORAGE with a __u64 key; replaced as a whole. */
struct network_config {
	__u64 key; /* of this generation of the container's maps; 0: nothing is allowed */
	__u32 flags;
	__u32 generation; /* from 1, one more at each reload */
	__u32 fallback; /* enum network_verdict for what no rule and no name speaks of */
	__u32 fallback_rule; /* of the events of a fallback that denies or audits */
	/* Local ports others may reach: `incoming_count` ranges in `ranges` from `incoming`. */
	__u32 incoming, incoming_count;
	__u16 dns_port; /* of the forwarder, on 127.0.0.1 and ::1; 0: there is none */
	__u16 reserved;
	__u32 rules; /* how many are numbered: NETWORK_RULE_... stand behind them in `hits` */
	__u64 cgroup; /* id of the group: whose the memory of a socket is */
};

/*
 * Value of `wires`, by the class id of the filter at a device; or, at the host's end of a pair, by
 * NETWORK_WIRE_END and the index of the device in the namespace whose cookie stands in `home`.
 */
#define NETWORK_WIRE_END 0x80000000u
struct network_wire {
	__u64 key;    /* of the container's maps, also in `configs` */
	__u32 header; /* bytes before the IP header: 14 or 0 */
	__u32 reserved;
};

/*
 * Value of the container's `hits`, an array by rule; its last six are those of NETWORK_RULE_...,
 * from the end: the last is NETWORK_RULE_NONE's. All of `denied` is in `events` (by their counts),
 * in `lost`, in `limited`, or waits to be counted in the next event of its like.
 */
#define NETWORK_RULES_SPECIAL 6
struct network_hits {
	__u64 allowed; /* connect(), sendto() elsewhere than before, connections that came in */
	__u64 denied; /* calls and packets; with the verdict NETWORK_AUDIT also counted here */
	__u64 events, lost; /* written to the ring; not written since it was full */
	__u64 limited;	    /* not written since there were too many of the rule */
	__u64 paced; /* when its next event would come if they came evenly; CLOCK_BOOTTIME */
};
/* Value of `allowed`: a target, and how often `rule` has allowed it without being asked. */
#define NETWORK_ALLOWED_BITS 8
#define NETWORK_ALLOWED (1u << NETWORK_ALLOWED_BITS) /* of a processor */
struct network_allowed {
	__u32 turn;
	__u32 port; /* as in struct network_range */
	__u64 key;
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u64 hits;	  /* that are not in the container's `hits` yet */
	__u32 rule;
	__u32 index; /* of the rule in `hits` */
	__u32 reserved[4];
};
/* Events of one rule: so many at once, and one each so many nanoseconds. */
#define NETWORK_EVENTS_BURST 200ull
#define NETWORK_EVENTS_PAUSE 100000000ull
/* Index in `hits`, of any rule. */
#define NETWORK_HITS_INDEX(rule, rules) \
	((rule) < (rules) ? (rule) : (rule) + (rules) + NETWORK_RULES_SPECIAL)

/* Denied by all policies, without an event: whether the filter is there. UDP, of TEST-NET-1. */
#define NETWORK_SELF_TEST_ADDRESS 0xc0000201u
#define NETWORK_SELF_TEST_PORT (NETWORK_UDP + 9)

/*
 * Where Docker's own resolver listens in the container's network namespace (any port: it has its
 * packets led to another one). It asks others from the host's: not a part of the loopback that is
 * the container's own.
 */
#define NETWORK_ENGINE_RESOLVER 0x7f00000bu

enum network_hook {
	NETWORK_HOOK_CONNECT,
	NETWORK_HOOK_SEND,
	NETWORK_HOOK_BIND,
	NETWORK_HOOK_SOCKET,
	NETWORK_HOOK_OPTION,
	NETWORK_HOOK_OUT, /* a packet at the cgroup */
	NETWORK_HOOK_IN,
	NETWORK_HOOK_WIRE, /* a packet at the device */
};

/* What the container's ring buffer holds. `count` counts what was denied alike since the last one. */
struct network_event {
	__u64 time;   /* CLOCK_BOOTTIME, nanoseconds */
	__u64 cgroup; /* id of the process's cgroup; 0 where there is no process */
	__u32 pid;    /* in the host's namespace; 0: unknown */
	__u32 uid;
	char comm[16];
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 port;	  /* of the other end; with NETWORK_HOOK_IN the local one */
	__u8 family, protocol, hook, verdict;
	__u16 local_port; /* of a packet; 0: unknown */
	__u32 rule;
	__u32 count;
	__u32 generation; /* of the rules that `rule` is one of */
	__u32 reserved;
};

#endif
