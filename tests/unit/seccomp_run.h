/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers for seccomp profiles, and what libseccomp makes of these, for tests. */
#ifndef PURPLE_TESTS_SECCOMP_RUN_H
#define PURPLE_TESTS_SECCOMP_RUN_H

#include "seccomp_profile.h"
#include "seccomp_reference.h"

#include <sys/mman.h>
#include <unistd.h>

static const char *const ops[] = {
	"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT",	    "SCMP_CMP_LE",
	"SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
};
/* A generator of our own: the same profiles on every run and libc. */
static uint64_t seed;

static inline uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

static inline uint64_t rnd_value(bool wide)
{
	static const uint64_t values[] = { 0,
					   1,
					   2,
					   5,
					   0x10,
					   0x7fffffff,
					   0x80000000,
					   0xffffffff,
					   0x100000000,
					   0x100000001,
					   0x500000005,
					   0x8000000000000000,
					   0xffffffffffffffff };
	uint64_t v = values[rnd(wide ? ARRAY_SIZE(values) : 8)];

	if (rnd(4) == 0)
		v += rnd(3) - 1;
	return wide ? v : (uint32_t)v;
}

static inline enum scmp_compare scmp_op(const char *op)
{
	static const enum scmp_compare values[] = { SCMP_CMP_EQ,       SCMP_CMP_NE,
						    SCMP_CMP_LT,       SCMP_CMP_LE,
						    SCMP_CMP_GE,       SCMP_CMP_GT,
						    SCMP_CMP_MASKED_EQ };
	size_t i = 0;

	while (!streq(ops[i], op))
		i++;
	return values[i];
}

/* Adds a rule the way that runc does. 0, or what libseccomp says. */
static inline int scmp_rule(scmp_filter_ctx ctx, const struct oci_syscall *s,
			    const char *name, uint32_t act)
{
	int nr = seccomp_syscall_resolve_name(name);
	struct scmp_arg_cmp cmp[6];
	unsigned int count[6] = { 0 };
	bool split = false;
	int r = 0;

	for (size_t i = 0; i < s->args.n; i++) {
		cmp[i] = SCMP_CMP64(s->args.v[i].index, scmp_op(s->args.v[i].op),
				    s->args.v[i].value, s->args.v[i].value_two);
		split = split || ++count[s->args.v[i].index] > 1;
	}
	if (!split)
		return seccomp_rule_add_array(ctx, act, nr, s->args.n, cmp);
	for (size_t i = 0; !r && i < s->args.n; i++)
		r = seccomp_rule_add_array(ctx, act, nr, 1, &cmp[i]);
	return r;
}

/* What libseccomp makes of a profile, given to it as runc does; what this kernel knows of it is no
 * matter. */
static inline size_t scmp_compile(const struct oci_seccomp *p, struct sock_filter *insns,
				  size_t max)
{
	uint32_t def = ref_action(p->default_action, p->default_errno_ret);
	_close_ int fd = memfd_create("bpf", MFD_CLOEXEC);
	scmp_filter_ctx ctx;
	ssize_t n;

	assert_int_equal(seccomp_api_set(6), 0);
	ctx = seccomp_init(def);
	assert_non_null(ctx);
	for (size_t i = 1; i < ARRAY_SIZE(arches); i++)
		if (strv_contains(&p->architectures, arches[i].name))
			assert_int_equal(seccomp_arch_add(ctx, arches[i].token), 0);
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const struct oci_syscall *s = &p->syscalls.v[i];
		uint32_t act = ref_action(s->action, s->errno_ret);

		for (size_t k = 0; act != def && k < s->names.n; k++) {
			int r = scmp_rule(ctx, s, s->names.v[k], act);

			assert_true(r == 0 || r == -EEXIST);
		}
	}
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	seccomp_release(ctx);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	n = read(fd, insns, max * sizeof(*insns));
	assert_true(n > 0 && n % sizeof(*insns) == 0);
	return n / sizeof(*insns);
}

#endif
