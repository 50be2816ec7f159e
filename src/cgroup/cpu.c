/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources.cpu. Runs in the runtime process with write rights on the group. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup/internal.h"

#define FIELD "linux.resources.cpu"

uint64_t cgroup_shares_to_weight(uint64_t shares)
{
	double l, exponent;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	/* A parabola in log2(shares) through (2, 1), (1024, 100) and (262144, 10000). */
	l = log2((double)shares);
	exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
	/* The small number keeps a rounding error from lifting 100 to 101. */
	return (uint64_t)ceil(pow(10, exponent) - 1e-9);
}

static int set_u64(const char *field, const char *dir, const char *file, uint64_t value,
		   struct err *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return cgroup_set(field, dir, file, text, e);
}

/* Weight and idle: an idle group has no weight, so leaving idle comes first, going idle last. */
static int apply_weight(const struct cgroup_place *at, const struct oci_cpu *c,
			struct err *e)
{
	bool leave = c->idle.set && c->idle.value == 0;
	int r = 0;

	/* Nobody is idle where the kernel has no such file. */
	if (leave && cgroup_has_file(at->dir, "cpu.idle"))
		r = cgroup_set_i64(FIELD ".idle", at->dir, "cpu.idle", 0, e);
	if (r == 0 && cgroup_given_u64(c->shares) && at->v2)
		r = set_u64(FIELD ".shares", at->dir, "cpu.weight",
			    cgroup_shares_to_weight(c->shares.value), e);
	if (r == 0 && cgroup_given_u64(c->shares) && !at->v2)
		r = set_u64(FIELD ".shares", at->dir, "cpu.shares", c->shares.value, e);
	if (r == 0 && c->idle.set && !leave)
		r = cgroup_set_i64(FIELD ".idle", at->dir, "cpu.idle", c->idle.value, e);
	return r;
}

static int v1_period(const char *dir, const struct oci_cpu *c, int *ret_code)
{
	char text[32];

	*ret_code = 0;
	if (!cgroup_given_u64(c->period))
		return 0;
	snprintf(text, sizeof(text), "%" PRIu64, c->period.value);
	*ret_code = cgroup_write(dir, "cpu.cfs_period_us", text);
	return *ret_code;
}

/* With both given the kernel may want either first: the share must fit the parent's between. */
static int v1_bandwidth(const char *dir, const struct oci_cpu *c, struct err *e)
{
	bool retry = false;
	char text[32];
	int code, r;

	if (v1_period(dir, c, &code) < 0) {
		retry = code == -EINVAL && cgroup_given(c->quota);
		snprintf(text, sizeof(text), "%" PRIu64, c->period.value);
		if (!retry)
			return cgroup_set_failed(FIELD ".period", dir,
						 "cpu.cfs_period_us", text, code, e);
	}
	if (cgroup_given(c->quota)) {
		r = cgroup_set_i64(FIELD ".quota", dir, "cpu.cfs_quota_us",
				   c->quota.value < 0 ? -1 : c->quota.value, e);
		if (r < 0)
			return r;
	}
	if (retry && v1_period(dir, c, &code) < 0)
		return cgroup_set_failed(FIELD ".period", dir, "cpu.cfs_period_us", text,
					 code, e);
	return 0;
}

static int v2_bandwidth(const char *dir, const struct oci_cpu *c, struct err *e)
{
	_free_ char *now = NULL;
	char quota[32] = "max", text[64];
	int r;

	if (!cgroup_given(c->quota) && !cgroup_given_u64(c->period))
		return 0;
	if (!cgroup_given(c->quota)) {
		r = cgroup_read(dir, "cpu.max", &now);
		if (r < 0)
			return cgroup_set_failed(FIELD ".period", dir, "cpu.max", "", r, e);
		snprintf(quota, sizeof(quota), "%.*s", (int)strcspn(now, " \n"), now);
	} else if (c->quota.value > 0) {
		snprintf(quota, sizeof(quota), "%" PRId64, c->quota.value);
	}
	/* Without a period the kernel keeps the present one. */
	if (cgroup_given_u64(c->period))
		snprintf(text, sizeof(text), "%s %" PRIu64, quota, c->period.value);
	else
		snprintf(text, sizeof(text), "%s", quota);
	return cgroup_set(cgroup_given(c->quota) ? FIELD ".quota" : FIELD ".period", dir,
			  "cpu.max", text, e);
}

/* The burst may be no more than the quota, so it goes before a lower and after a higher one. */
static int apply_bandwidth(const struct cgroup_place *at, const struct oci_cpu *c,
			   struct err *e)
{
	const char *file = at->v2 ? "cpu.max.burst" : "cpu.cfs_burst_us";
	/* No burst is what a kernel without it has. */
	bool burst = c->burst.set && (c->burst.value || cgroup_has_file(at->dir, file));
	char text[32];
	int first = 0, r;

	snprintf(text, sizeof(text), "%" PRIu64, c->burst.value);
	if (burst)
		first = cgroup_write(at->dir, file, text);
	if (first < 0 && first != -EINVAL)
		return cgroup_set_failed(FIELD ".burst", at->dir, file, text, first, e);
	r = at->v2 ? v2_bandwidth(at->dir, c, e) : v1_bandwidth(at->dir, c, e);
	if (r == 0 && first < 0)
		r = cgroup_set(FIELD ".burst", at->dir, file, text, e);
	return r;
}

static int apply_realtime(const struct cgroup_place *at, const struct oci_cpu *c,
			  struct err *e)
{
	int r = 0;

	if (!cgroup_given(c->realtime_runtime) && !cgroup_given_u64(c->realtime_period))
		return 0;
	if (at->v2)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot set " FIELD ".%s: cgroup v2 has no realtime limits",
			       cgroup_given(c->realtime_runtime) ? "realtimeRuntime" :
								   "realtimePeriod");
	if (cgroup_given_u64(c->realtime_period))
		r = set_u64(FIELD ".realtimePeriod", at->dir, "cpu.rt_period_us",
			    c->realtime_period.value, e);
	if (r == 0 && cgroup_given(c->realtime_runtime))
		r = cgroup_set_i64(FIELD ".realtimeRuntime", at->dir, "cpu.rt_runtime_us",
				   c->realtime_runtime.value, e);
	return r;
}

/* The member that makes the cpu controller necessary, or NULL. */
static const char *first_member(const struct oci_cpu *c)
{
	if (cgroup_given(c->quota))
		return FIELD ".quota";
	if (cgroup_given_u64(c->period))
		return FIELD ".period";
	if (cgroup_given_u64(c->shares))
		return FIELD ".shares";
	if (cgroup_given_u64(c->burst))
		return FIELD ".burst";
	if (cgroup_given(c->idle))
		return FIELD ".idle";
	if (cgroup_given(c->realtime_runtime))
		return FIELD ".realtimeRuntime";
	return cgroup_given_u64(c->realtime_period) ? FIELD ".realtimePeriod" : NULL;
}

static int apply_cpuset(const struct cgroup *cg, const struct oci_cpu *c, struct err *e)
{
	bool cpus = c->cpus && *c->cpus, mems = c->mems && *c->mems;
	struct cgroup_place at;
	int r;

	if (!cpus && !mems)
		return 0;
	r = cgroup_place(cg, "cpuset", cpus ? FIELD ".cpus" : FIELD ".mems", &at, e);
	if (r == 0 && cpus)
		r = cgroup_set(FIELD ".cpus", at.dir, "cpuset.cpus", c->cpus, e);
	if (r == 0 && mems)
		r = cgroup_set(FIELD ".mems", at.dir, "cpuset.mems", c->mems, e);
	return r;
}

int cgroup_apply_cpu(const struct cgroup *cg, const struct oci_cpu *c, bool update,
		     struct err *e)
{
	const char *member = first_member(c);
	struct cgroup_place at;
	bool v2;
	int r = 0;

	/* Zeros of idle and burst are values in an update: they undo an earlier one. */
	if (!member && update && (c->idle.set || c->burst.set) &&
	    cgroup_find(cg, "cpu", &v2))
		member = c->idle.set ? FIELD ".idle" : FIELD ".burst";
	/* Limits are only lifted, and there are none. */
	if (member &&
	    !(cgroup_needs(&(struct oci_resources){ .cpu = (struct oci_cpu *)c }) &
	      CGROUP_NEEDS_CPU) &&
	    !cgroup_find(cg, "cpu", &v2))
		member = NULL;
	if (member) {
		r = cgroup_place(cg, "cpu", member, &at, e);
		if (r == 0)
			r = apply_realtime(&at, c, e);
		if (r == 0)
			r = apply_weight(&at, c, e);
		if (r == 0)
			r = apply_bandwidth(&at, c, e);
	}
	return r < 0 ? r : apply_cpuset(cg, c, e);
}
