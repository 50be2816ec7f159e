/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as decision tables: shared by the seccomp_*.c files only. */
#ifndef PURPLE_LINUX_SECCOMP_FILTER_H
#define PURPLE_LINUX_SECCOMP_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "linux/seccomp_bpf.h"
#include "oci/spec.h"

#define SECCOMP_ERRNO_ACTION(code) (SECCOMP_RET_ERRNO | (uint32_t)(code))
/* For calls of architectures that are not listed. */
#define SECCOMP_BAD_ARCH_ACTION SECCOMP_RET_KILL_THREAD
/* Linux 5.19; not in the headers of all distributions. */
#define SECCOMP_FLAG_WAIT_KILLABLE_RECV (1U << 5)

/* An architecture that we write filters for. `family`: the native one whose kernel runs it. */
struct seccomp_arch {
	const char *name;
	uint32_t token; /* libseccomp's */
	uint32_t audit;
	uint32_t family;
	bool is_64bit; /* arguments are 64 bit registers */
};

extern const struct seccomp_arch seccomp_archs[];
extern const size_t seccomp_n_archs;

/* SECCOMP_RET_* with its data, for a name that seccomp_check() has passed. */
uint32_t seccomp_action_value(const char *name, struct opt_u32 errno_ret);
/* An enum seccomp_op, or -1. */
int seccomp_op_find(const char *name);
int seccomp_flags_value(const struct strv *names, unsigned int *ret, struct err *e);
bool seccomp_has_notify(const struct oci_seccomp *s);
/* The order in which the kernel ranks actions: lower is more restrictive. */
int32_t seccomp_action_rank(uint32_t action);

struct seccomp_tests {
	LIST_OF(struct seccomp_test) list;
};

/* A profile on its way to a program. Zeroed but for `profile` and `is_policy` at first. */
struct seccomp_filter {
	const struct oci_seccomp *profile;
	bool is_policy;
	bool notify;
	unsigned int flags;
	uint32_t default_action;
	struct seccomp_table tables[3]; /* by audit architecture, native first */
	size_t n_tables;
	const struct seccomp_arch *archs[3]; /* native first */
	uint32_t last_nr[3]; /* by archs: highest number that the profile names; 0: none */
	size_t n_archs;
	LIST_OF(struct seccomp_tests) tests; /* what matches point to */
	size_t seq;
};

/* The matches that come before all rules of the profile, among themselves in order of adding. */
#define SECCOMP_ORDER_FIRST 0

/* The architecture this machine runs natively; NULL when filters cannot be written for it. */
const struct seccomp_arch *seccomp_arch_find_native(void);
/* A call's number on an architecture, or -1. */
int64_t seccomp_number_of(const struct seccomp_arch *a, const char *name);

/* Checks the profile and fills the filter's tables, unsorted. */
int seccomp_filter_fill(struct seccomp_filter *f, const struct seccomp_arch *native,
			struct err *e);
void seccomp_filter_sort(struct seccomp_filter *f);
void seccomp_filter_clear(struct seccomp_filter *f);

/* Copies a list of tests into f->tests and returns its index (the list of lists moves as it
 * grows), or -1 when out of memory. */
ssize_t seccomp_filter_add_tests(struct seccomp_filter *f, const struct seccomp_test *t,
				 size_t n);
/* Adds a match for the architecture; tests may be NULL. 0 or -ENOMEM. */
int seccomp_filter_add_match(struct seccomp_filter *f, const struct seccomp_arch *a,
			     uint32_t nr, uint32_t action,
			     const struct seccomp_tests *tests, uint64_t order);

#endif
