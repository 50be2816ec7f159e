/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: policies built in memory, and random numbers that are the same in every run. */
#ifndef PURPLE_TESTS_POLICY_BUILD_H
#define PURPLE_TESTS_POLICY_BUILD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

/* xorshift64*: good enough to mix cases, and needs no state of the C library. */
static uint64_t random_state = 1;

static inline uint64_t random_u64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(2685821657736338717);
}

/* 0 to n - 1 */
static inline size_t random_below(size_t n)
{
	return (size_t)((random_u64() >> 16) % n);
}

/* True once in n times. */
static inline bool random_one_in(size_t n)
{
	return random_below(n) == 0;
}

#define random_of(array) ((array)[random_below(ARRAY_SIZE(array))])

static inline void *build_check(void *p)
{
	if (!p)
		abort();
	return p;
}

static inline char *build_text(const char *s)
{
	return s ? build_check(strdup(s)) : NULL;
}

/* A policy as the reader leaves a file with nothing but a name. */
static inline struct policy *build_policy(const char *name)
{
	struct policy *p = build_check(calloc(1, sizeof(*p)));

	p->file = build_text("test.yaml");
	p->name = build_text(name);
	p->capabilities.default_drop = true;
	p->network.isolated = true;
	return p;
}

static inline void build_name(policy_names *l, const char *name, int line)
{
	struct policy_name *n = build_check(list_add(l));

	n->name = build_text(name);
	n->pos = (struct policy_pos){ line, 1 };
}

static inline struct policy_syscall_rule *build_rule(struct policy *p, const char *syscall,
						     enum policy_action action, int line)
{
	struct policy_syscall_rule *r = build_check(list_add(&p->syscalls.advanced_rules));

	r->syscall = build_text(syscall);
	r->action = action;
	r->pos = (struct policy_pos){ line, 1 };
	return r;
}

static inline void build_condition(struct policy_syscall_rule *r, uint32_t arg,
				   enum policy_op op, uint64_t value, uint64_t mask)
{
	struct policy_condition *c = build_check(list_add(&r->conditions));

	*c = (struct policy_condition){ .arg = arg, .op = op, .value = value, .mask = mask };
}

static inline struct policy_path *build_immutable(struct policy *p, const char *host,
						  const char *sandbox)
{
	struct policy_path *x = build_check(list_add(&p->filesystem.immutable_paths));

	x->host_path = build_text(host);
	x->sandbox_path = build_text(sandbox);
	return x;
}

static inline struct policy_path *build_output(struct policy *p, const char *host,
					       const char *sandbox)
{
	struct policy_path *x = build_check(list_add(&p->filesystem.output_paths));

	x->host_path = build_text(host);
	x->sandbox_path = build_text(sandbox);
	return x;
}

#endif
