/* SPDX-License-Identifier: Apache-2.0 */
/* Building seccomp profiles, for the tests of src/linux/seccomp*.c. */
#ifndef PURPLE_TESTS_SECCOMP_PROFILE_H
#define PURPLE_TESTS_SECCOMP_PROFILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linux/seccomp.h"

static inline void profile_init(struct oci_seccomp *p, const char *default_action)
{
	*p = (struct oci_seccomp){ .default_action = strdup(default_action) };
	assert_non_null(p->default_action);
}

static inline void profile_clear(struct oci_seccomp *p)
{
	for (size_t i = 0; i < p->syscalls.n; i++) {
		strv_free(&p->syscalls.v[i].names);
		free(p->syscalls.v[i].action);
		for (size_t j = 0; j < p->syscalls.v[i].args.n; j++)
			free(p->syscalls.v[i].args.v[j].op);
		free(p->syscalls.v[i].args.v);
	}
	free(p->syscalls.v);
	free(p->default_action);
	strv_free(&p->architectures);
	strv_free(&p->flags);
	free(p->listener_path);
	free(p->listener_metadata);
	*p = (struct oci_seccomp){ 0 };
}

/* Adds a rule for one name, and returns it: valid until the next rule. */
static inline struct oci_syscall *profile_rule(struct oci_seccomp *p, const char *name,
					       const char *action)
{
	struct oci_syscall *s = list_add(&p->syscalls);

	assert_non_null(s);
	assert_int_equal(strv_add(&s->names, name), 0);
	s->action = strdup(action);
	return s;
}

static inline void rule_arg(struct oci_syscall *s, uint32_t index, const char *op,
			    uint64_t value, uint64_t value_two)
{
	struct oci_seccomp_arg *a = list_add(&s->args);

	assert_non_null(a);
	a->index = index;
	a->op = strdup(op);
	a->value = value;
	a->value_two = value_two;
}

#endif
