/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/cgroup share among themselves. */
#ifndef PURPLE_CGROUP_INTERNAL_H
#define PURPLE_CGROUP_INTERNAL_H

#include "cgroup/cgroup.h"

/* --- control files (file.c). Those without `e` return -errno and leave the text to the caller. */

int cgroup_write(const char *dir, const char *file, const char *value);
int cgroup_read(const char *dir, const char *file, char **ret);
/* A single number; "max" is CGROUP_UNLIMITED. */
int cgroup_read_u64(const char *dir, const char *file, uint64_t *ret);
/* The number after `key` in a "key value" file; -ENODATA when there is no such line. */
int cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t *ret);
bool cgroup_has_file(const char *dir, const char *file);
/* Whether `word` is one of the words of `text`, which are separated by blanks. */
bool cgroup_has_word(const char *text, const char *word);

/* v1's name of a v2 controller. */
const char *cgroup_v1_name(const char *controller);

/* Sets one limit; `field` is the member of config.json that asked for it. */
int cgroup_set(const char *field, const char *dir, const char *file, const char *value,
	       struct err *e);
int cgroup_set_i64(const char *field, const char *dir, const char *file, int64_t value,
		   struct err *e);
/* As cgroup_set_i64(), with a value below zero written as "max". */
int cgroup_set_max(const char *field, const char *dir, const char *file, int64_t value,
		   struct err *e);
/* The error of a limit that could not be set: `code` is the -errno of the write. */
int cgroup_set_failed(const char *field, const char *dir, const char *file,
		      const char *value, int code, struct err *e);

/* Where a limit is to be set. */
struct cgroup_place {
	const char *dir;
	bool v2; /* the interface spoken there */
};

/* The directory of a controller, NULL when the group has none. `controller` is v2's name. */
const char *cgroup_find(const struct cgroup *cg, const char *controller, bool *ret_v2);
/* As cgroup_find(), with an error that names the field, and enabling the controller if need be. */
int cgroup_place(const struct cgroup *cg, const char *controller, const char *field,
		 struct cgroup_place *ret, struct err *e);

/* --- v2 (create.c) --- */

/* Passes a controller on from the cgroup2 mount's root to the group. */
int cgroup_v2_enable(const struct cgroup *cg, const char *controller, struct err *e);

/* --- what resources ask for (apply.c) --- */

enum {
	CGROUP_NEEDS_MEMORY = 1 << 0,
	CGROUP_NEEDS_CPU = 1 << 1,
	CGROUP_NEEDS_CPUSET = 1 << 2,
	CGROUP_NEEDS_PIDS = 1 << 3,
	CGROUP_NEEDS_IO = 1 << 4,
	CGROUP_NEEDS_HUGETLB = 1 << 5,
	CGROUP_NEEDS_RDMA = 1 << 6,
	CGROUP_NEEDS_OTHER = 1 << 7, /* a limit that no controller of v2 stands for */
};

/* v2 names of the bits above, in order; without CGROUP_NEEDS_OTHER. */
extern const char *const cgroup_controller_names[];
enum { CGROUP_CONTROLLERS = 7 };

unsigned int cgroup_needs(const struct oci_resources *r);

/* A limit that was given: set, and not the zero that engines send for "nothing". */
static inline bool cgroup_given(struct opt_i64 v)
{
	return v.set && v.value != 0;
}

static inline bool cgroup_given_u64(struct opt_u64 v)
{
	return v.set && v.value != 0;
}

int cgroup_apply_memory(const struct cgroup *cg, const struct oci_memory *m, bool update,
			struct err *e);
int cgroup_apply_cpu(const struct cgroup *cg, const struct oci_cpu *c, bool update,
		     struct err *e);
int cgroup_apply_block_io(const struct cgroup *cg, const struct oci_block_io *b,
			  struct err *e);

/*
 * memory.swap.max (swap alone) for the spec's swap (memory plus swap) and a memory limit, both
 * with -1 as unlimited. The swap must be given.
 */
int cgroup_swap_to_v2(int64_t swap, int64_t limit, int64_t *ret, struct err *e);

/* --- devices (devices.c, devices_bpf.c) --- */

enum {
	CGROUP_DEV_MKNOD = 1,
	CGROUP_DEV_READ = 2,
	CGROUP_DEV_WRITE = 4,
	CGROUP_DEV_ALL = 7
};

/* A rule, checked: type is 'a', 'b' or 'c'; -1 is any number. */
struct cgroup_device_rule {
	bool allow;
	char type;
	int64_t major, minor;
	unsigned int access;
};
typedef LIST_OF(struct cgroup_device_rule) cgroup_device_rules;

int cgroup_device_rules_read(const struct oci_device_cgroup *rules, size_t n,
			     cgroup_device_rules *ret, struct err *e);

/*
 * The same rules as a default and exceptions from it, which is all that v1 knows; exceptions have
 * type b or c. -ENOTSUP (without text) when the list cannot be put that way.
 */
int cgroup_device_rules_to_v1(const cgroup_device_rules *rules, bool *ret_default_allow,
			      cgroup_device_rules *ret);

int cgroup_device_bpf_attach(const char *dir, const cgroup_device_rules *rules,
			     struct err *e);

/* --- figures (psi.c, cpuset.c) --- */

/* A file that is not there leaves *ret alone. */
int cgroup_read_pressure(const char *dir, const char *file, struct cgroup_pressure *ret,
			 struct err *e);
int cgroup_read_cpuset(const struct cgroup *cg, struct cgroup_cpuset_stats *ret,
		       struct err *e);

/* --- processes (kill.c) --- */

/* Pids of a directory and all below it, added to `ret` unsorted. A missing directory has none. */
int cgroup_dir_pids(const char *dir, cgroup_pid_list *ret, struct err *e);

/* A sleep that signals do not cut short. */
void cgroup_sleep_ms(unsigned int ms);

#endif
