/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the resources of `update`: two objects, what policies limit and what is
 * asked for. The second is held to the first and written to the plain files of a folder that
 * looks like a group of cgroup2. Nothing gets past a limit, and no file outside is touched.
 * runs: 5000
 */
#include <dirent.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "cgroup/cgroup.h"
#include "container/limits.h"
#include "fuzz.h"
#include "oci/spec.h"

static const char *const files[] = {
	"memory.max",	   "memory.low",      "memory.swap.max", "cpu.max",
	"cpu.max.burst",   "cpu.weight",      "cpu.idle",	 "cpuset.cpus",
	"cpuset.mems",	   "pids.max",	      "io.max",		 "io.weight",
	"hugetlb.2MB.max", "hugetlb.1GB.max", "rdma.max",	 "cgroup.subtree_control",
	"cgroup.procs",	   "cgroup.kill",     "cgroup.freeze",	 "memory.high",
	"cgroup.type",
};
/* What the runtime alone may write. */
static const char *const guarded[] = { "cgroup.procs", "cgroup.kill", "cgroup.freeze",
				       "cgroup.type" };
static char *group, *outside;

static void put(const char *dir, const char *file, const char *text)
{
	_free_ char *path = fs_join(dir, file);

	fuzz_write_file(path, text, strlen(text));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err e;

	outside = fuzz_path("cgroup");
	group = fs_join(outside, "group");
	if (fs_mkdir_p(group, 0700, &e) < 0)
		fuzz_die("cannot make the group", e.msg);
	return 0;
}

static int check(const void *resources, struct err *e)
{
	return oci_resources_check(resources, e);
}

/* INT64_MAX: none. In an update zero and absent change nothing, and below zero lifts. */
static bool is_within(struct opt_i64 value, struct opt_i64 limit, bool zero_is_none)
{
	if (!limit.set || !value.set || (zero_is_none && value.value == 0))
		return true;
	return value.value >= 0 && value.value <= limit.value;
}

static bool cpu_is_within(const struct oci_cpu *c, const struct oci_cpu *limit)
{
	if (!limit->quota.set || limit->quota.value <= 0)
		return true;
	if ((!c->quota.set || c->quota.value == 0) && (!c->period.set || !c->period.value))
		return true; /* nothing changes */
	return c->quota.set && c->quota.value > 0 && c->period.set && c->period.value &&
	       (unsigned __int128)c->quota.value * limit->period.value <=
		       (unsigned __int128)limit->quota.value * c->period.value;
}

static bool throttles_are_within(const oci_throttles *l, const oci_throttles *limits)
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < limits->n; k++)
			if (l->v[i].major == limits->v[k].major &&
			    l->v[i].minor == limits->v[k].minor && limits->v[k].rate &&
			    (l->v[i].rate == 0 || l->v[i].rate > limits->v[k].rate))
				return false;
	return true;
}

static void check_within(const struct oci_resources *r, const struct oci_resources *l)
{
	if (r->memory && l->memory) {
		fuzz_require(is_within(r->memory->limit, l->memory->limit, true));
		fuzz_require(is_within(r->memory->swap, l->memory->swap, true));
		fuzz_require(!r->memory->disable_oom_killer.set);
	}
	if (r->pids && l->pids)
		fuzz_require(is_within(r->pids->limit, l->pids->limit, false));
	if (r->cpu && l->cpu)
		fuzz_require(cpu_is_within(r->cpu, l->cpu));
	if (r->block_io && l->block_io)
		fuzz_require(throttles_are_within(&r->block_io->throttle_read_bps,
						  &l->block_io->throttle_read_bps) &&
			     throttles_are_within(&r->block_io->throttle_write_bps,
						  &l->block_io->throttle_write_bps));
	for (size_t i = 0; i < r->unified.n; i++)
		fuzz_require(!(l->memory && str_has_prefix(r->unified.k[i], "memory.")) &&
			     !(l->pids && str_has_prefix(r->unified.k[i], "pids.")));
}

/* What merge_resources() makes of policies: limits are above zero, a quota has its period. */
static bool are_policy_limits(const struct oci_resources *l)
{
	const struct oci_memory *m = l->memory;
	const struct oci_cpu *c = l->cpu;

	if (m && (m->limit.value < 0 || m->swap.value < 0 || !m->limit.set ||
		  !m->swap.set || m->limit.value == 0 || m->swap.value == 0))
		return false;
	if (c && (c->quota.value <= 0 || !c->period.set || !c->period.value))
		return false;
	return !l->pids || (l->pids->limit.set && l->pids->limit.value > 0);
}

static bool is_guarded(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(guarded); i++)
		if (streq(guarded[i], name))
			return true;
	return false;
}

static void check_files(const char *dir)
{
	_closedir_ DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_free_ char *text = NULL;
		struct err e;

		if (!is_guarded(entry->d_name) && !streq(entry->d_name, "canary"))
			continue;
		fuzz_require(fs_read(dirfd(d), entry->d_name, 1 << 20, &text, NULL, &e) ==
			     0);
		fuzz_require(streq(text, "untouched"));
	}
}

static void apply(const struct oci_resources *r, bool update)
{
	struct cgroup cg = { .mode = CGROUP_V2, .path = (char *)"/group", .unified = group };
	_free_ char *text = NULL;
	struct err e = {};
	uint64_t value;
	int res;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(group, files[i], is_guarded(files[i]) ? "untouched" : "");
	put(group, "cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
	put(outside, "canary", "untouched");
	put(outside, "memory.max", "");
	res = cgroup_apply(&cg, r, update, &e);
	if (res < 0)
		fuzz_check_error(res, &e);
	check_files(group);
	check_files(outside);
	/* The limit that was asked for is the one that is written. */
	if (res == 0 && r->pids && r->pids->limit.set && r->pids->limit.value > 0 &&
	    !strmap_get(&r->unified, "pids.max")) {
		_free_ char *path = fs_join(group, "pids.max");

		fuzz_require(fs_read(AT_FDCWD, path, 100, &text, NULL, &e) == 0);
		fuzz_require(num_u64(text, &value) == 0 &&
			     value == (uint64_t)r->pids->limit.value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_free_ char *limits_text = fuzz_next_part(&data, &size);
	_free_ char *text = fuzz_next_part(&data, &size);
	struct oci_resources limits = {}, r = {};
	struct err e = {};
	int res;

	if (!text || !fuzz_read(text, strlen(text), &oci_resources_type, &r))
		return 0;
	fuzz_round_trip(&oci_resources_type, &r, check);
	if (oci_resources_check(&r, &e) == 0) {
		apply(&r, false);
		if (fuzz_read(limits_text, strlen(limits_text), &oci_resources_type,
			      &limits) &&
		    oci_resources_check(&limits, &e) == 0 && are_policy_limits(&limits)) {
			res = limits_tighten(&limits, &r, &e);
			if (res < 0)
				fuzz_check_error(res, &e);
			else
				check_within(&r, &limits);
		}
		apply(&r, true);
	}
	json_clear(&oci_resources_type, &limits);
	json_clear(&oci_resources_type, &r);
	return 0;
}
