/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least policy that would have let an agent do what it was seen to do, within what its base
 * allows to learn. Pure: `purple learn` runs the agent, and reads what was recorded of it.
 */
#ifndef PURPLE_POLICY_LEARN_H
#define PURPLE_POLICY_LEARN_H

#include "policy/policy.h"

struct policy_seen_host {
	char *name; /* lower case; NULL: the address alone is known */
	int family; /* AF_INET or AF_INET6; of the address */
	uint8_t address[16];
	uint16_t port;
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
};

struct policy_seen_model {
	char *provider, *model;
};

/* What was seen of one run or of several. */
struct policy_seen {
	struct strv calls;	   /* names of system calls; empty: not known */
	struct strv read, written; /* paths that were opened, as the agent sees them */
	LIST_OF(struct policy_seen_host) hosts;
	LIST_OF(struct policy_seen_host) bound; /* name unused */
	LIST_OF(struct policy_seen_model) models;
	uint64_t memory_peak, pids_peak, seconds; /* 0: not known */
	uint64_t tokens;
	int64_t cost; /* picodollars */
};
void policy_seen_clear(struct policy_seen *s);

/* Adds what is not there yet. -ENOMEM. */
int policy_seen_add_host(struct policy_seen *s, const struct policy_seen_host *host,
			 bool is_bound);
int policy_seen_add_model(struct policy_seen *s, const char *provider, const char *model);

/* What `policy_learn_result()` has to say beside the policy. */
struct policy_learned {
	policy_notes notes;    /* for policy_write() */
	struct strv sensitive; /* what a person should look at, a line each */
	struct strv texts;     /* owns the notes' texts */
};
void policy_learned_clear(struct policy_learned *l);

/*
 * Makes of the base what holds while it is learnt: the default profile's system calls besides the
 * base's own, but for those that the base denies by name; a network without a list of who may be
 * talked to, where what the base blocks stays blocked, and private addresses too that the base does
 * not name; everything recorded. Files, capabilities, limits and LLM calls stay as they are.
 */
int policy_learn_begin(struct policy *base, bool network, struct err *e);

/*
 * Makes of the base (read anew) the policy for what was seen. `while_learning`: what
 * policy_learn_begin() made. Nothing is in it that was not allowed while learning. Limits have
 * headroom, and are at most the base's. `network` as there: without it the base's rules stay.
 */
int policy_learn_result(struct policy *base, const struct policy *while_learning,
			const struct policy_seen *seen, const char *name, bool network,
			struct policy_learned *ret, struct err *e);

/* Whether a path is of the kind that holds secrets: why, or NULL. */
const char *policy_path_is_sensitive(const char *path);

#endif
