/* SPDX-License-Identifier: Apache-2.0 */
/* Counts and events. Part of network_filter.bpf.c. */
#ifndef PURPLE_BPF_NETWORK_EVENTS_H
#define PURPLE_BPF_NETWORK_EVENTS_H

#include "network/rules.h"

static __always_inline struct network_hits *hits_of(const struct network_config *config,
						    __u32 rule)
{
	return hits_at(config->key, NETWORK_HITS_INDEX(rule, config->rules));
}

static __always_inline void count_allowed(const struct network_config *config, __u32 rule)
{
	count_allowed_at(config->key, NETWORK_HITS_INDEX(rule, config->rules), 1);
}

/* How many alike denials the event to be written stands for; 0: none is due. */
static __always_inline __u32 due(const struct network_config *config,
				 const struct target *t, __u32 rule, __u64 now)
{
	struct alike alike = { .key = config->key,
			       .port = t->port,
			       .rule = rule,
			       .hook = t->hook,
			       .protocol = t->protocol };
	struct counted *seen, first = { .time = now };
	__u32 count;

	/* Each connection that hangs is one to be ended: network/cut.h. */
	if (t->hook == NETWORK_HOOK_OUT && t->protocol == IPPROTO_TCP)
		alike.local = t->local;
	copy_address(alike.address, t->address);
	seen = bpf_map_lookup_elem(&recent, &alike);
	if (!seen) {
		bpf_map_update_elem(&recent, &alike, &first, BPF_ANY);
		return 1;
	}
	__sync_fetch_and_add(&seen->count, 1);
	if (now - seen->time < NANOSECONDS)
		return 0;
	count = seen->count;
	seen->time = now;
	seen->count = 0;
	return count;
}

/*
 * Whether the rule may have another event now: each address and port that is tried is one, and who
 * tries them all must not drive what others tell out of the log.
 */
static __always_inline bool may_write(struct network_hits *h, const struct target *t,
				      __u64 now)
{
	__u64 next = h->paced;

	/* Each connection that hangs is one to be ended. */
	if (t->hook == NETWORK_HOOK_OUT && t->protocol == IPPROTO_TCP)
		return true;
	if (next < now)
		next = now;
	if (next - now > (NETWORK_EVENTS_BURST - 1) * NETWORK_EVENTS_PAUSE)
		return false;
	h->paced = next + NETWORK_EVENTS_PAUSE;
	return true;
}

/* Counts what is denied (or would be), and writes an event. */
static __noinline void report(const struct network_config *config, const struct target *t,
			      const struct who *who, __u64 v)
{
	__u32 rule = VERDICT_RULE(v), count;
	struct network_event *event;
	struct network_hits *h, *all;
	__u64 now = bpf_ktime_get_boot_ns(), key = config->key;
	void *ring;

	if (!key)
		return;
	h = hits_of(config, rule);
	all = hits_of(config, NETWORK_RULE_ALL);
	if (!h || !all)
		return;
	__sync_fetch_and_add(&h->denied, 1);
	__sync_fetch_and_add(&all->denied, 1);
	count = due(config, t, rule, now);
	if (!count)
		return;
	if (!may_write(h, t, now)) {
		__sync_fetch_and_add(&h->limited, count);
		__sync_fetch_and_add(&all->limited, count);
		return;
	}
	ring = bpf_map_lookup_elem(&rings, &key);
	if (!ring)
		return;
	event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&h->lost, count);
		__sync_fetch_and_add(&all->lost, count);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time = now;
	event->cgroup = who->cgroup;
	event->pid = who->pid;
	event->uid = who->uid;
	__builtin_memcpy(event->comm, who->comm, sizeof(event->comm));
	copy_address(event->address, t->address);
	event->port = t->port & 0xffff;
	event->local_port = t->local & 0xffff;
	event->family = t->is_v4 ? AF_INET : AF_INET6;
	event->protocol = t->protocol;
	event->hook = t->hook;
	event->verdict = VERDICT_WHAT(v);
	event->rule = rule;
	event->count = count;
	event->generation = config->generation;
	bpf_ringbuf_submit(event, 0);
	__sync_fetch_and_add(&h->events, 1);
	__sync_fetch_and_add(&all->events, 1);
}

static __always_inline void ask_who(struct who *ret)
{
	ret->cgroup = bpf_get_current_cgroup_id();
	ret->pid = bpf_get_current_pid_tgid() >> 32;
	ret->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(ret->comm, sizeof(ret->comm));
}

#endif
