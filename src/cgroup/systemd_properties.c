/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits and devices as properties of a systemd unit: see systemd.h. Runs in the runtime process;
 * reads cgroup files.
 *
 * systemd writes the limits that it knows of a unit to the unit's group again when it is reloaded,
 * so it must know those that the runtime wrote. They are read from the files, where every way to
 * ask for a limit (the specification's words, raw v2 keys, an update) has come to the same end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "cgroup/systemd.h"

#define INFINITY_VALUE UINT64_MAX
/* What v1 says for no limit is the largest multiple of the page size. */
#define V1_UNLIMITED ((uint64_t)INT64_MAX - (1 << 20))
#define CPUSET_MAX 8192

static struct unit_property *add(unit_properties *l, const char *name,
				 enum unit_property_type type)
{
	char *copy = strdup(name);
	struct unit_property *p = copy ? list_add(l) : NULL;

	if (!p) {
		free(copy);
		return NULL;
	}
	p->name = copy;
	p->type = type;
	return p;
}

int unit_property_bool(unit_properties *l, const char *name, bool value, struct err *e)
{
	struct unit_property *p = add(l, name, UNIT_BOOL);

	if (!p)
		return err_oom(e);
	p->number = value;
	return 0;
}

int unit_property_u64(unit_properties *l, const char *name, uint64_t value, struct err *e)
{
	struct unit_property *p = add(l, name, UNIT_U64);

	if (!p)
		return err_oom(e);
	p->number = value;
	return 0;
}

int unit_property_string(unit_properties *l, const char *name, const char *value,
			 struct err *e)
{
	struct unit_property *p = add(l, name, UNIT_STRING);

	if (!p)
		return err_oom(e);
	p->text = strdup(value);
	return p->text ? 0 : err_oom(e);
}

int unit_property_strings(unit_properties *l, const char *name, const char *value,
			  struct err *e)
{
	struct unit_property *p = add(l, name, UNIT_STRINGS);

	return !p || strv_add(&p->strings, value) < 0 ? err_oom(e) : 0;
}

void unit_properties_clear(unit_properties *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].text);
		strv_free(&l->v[i].strings);
	}
	free(l->v);
	*l = (unit_properties){};
}

static bool is_equal(const struct unit_property *a, const struct unit_property *b)
{
	if (!streq(a->name, b->name) || a->type != b->type || a->number != b->number ||
	    a->len != b->len || a->strings.n != b->strings.n)
		return false;
	if (a->type == UNIT_BYTES)
		return a->len == 0 || memcmp(a->text, b->text, a->len) == 0;
	for (size_t i = 0; i < a->strings.n; i++)
		if (!streq(a->strings.v[i], b->strings.v[i]))
			return false;
	return streq_null(a->text, b->text);
}

bool unit_properties_equal(const unit_properties *a, const unit_properties *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!is_equal(&a->v[i], &b->v[i]))
			return false;
	return true;
}

/* --- devices --- */

static int add_device(struct unit_property *allow, const struct cgroup_device_rule *r)
{
	const char *kind = r->type == 'b' ? "block" : "char";
	char access[4] = "";
	size_t n = 0;
	int res;

	if (r->access & CGROUP_DEV_READ)
		access[n++] = 'r';
	if (r->access & CGROUP_DEV_WRITE)
		access[n++] = 'w';
	if (r->access & CGROUP_DEV_MKNOD)
		access[n++] = 'm';
	access[n] = '\0';
	if (r->major < 0)
		res = strv_addf(&allow->strings, "%s-*", kind);
	else if (r->minor < 0)
		res = strv_addf(&allow->strings, "%s-%" PRId64, kind, r->major);
	else
		res = strv_addf(&allow->strings, "/dev/%s/%" PRId64 ":%" PRId64, kind,
				r->major, r->minor);
	return res < 0 ? res : strv_add(&allow->strings, access);
}

/* systemd knows "nothing but these" alone, and no minor of any major. */
static bool is_expressible(const cgroup_device_rules *exceptions, bool default_allow)
{
	if (default_allow)
		return exceptions->n == 0;
	for (size_t i = 0; i < exceptions->n; i++)
		if (exceptions->v[i].major < 0 && exceptions->v[i].minor >= 0)
			return false;
	return true;
}

int unit_properties_of_devices(const struct oci_device_cgroup *rules, size_t n,
			       unit_properties *ret, bool *ret_exact, struct err *e)
{
	cgroup_device_rules list = {}, exceptions = {};
	bool default_allow = false, strict;
	struct unit_property *allow;
	int r;

	r = cgroup_device_rules_read(rules, n, &list, e);
	if (r < 0)
		goto out;
	r = cgroup_device_rules_to_v1(&list, &default_allow, &exceptions);
	if (r == -ENOMEM) {
		err_oom(e);
		goto out;
	}
	*ret_exact = r == 0 && is_expressible(&exceptions, default_allow);
	strict = *ret_exact && !default_allow;
	r = unit_property_string(ret, "DevicePolicy", strict ? "strict" : "auto", e);
	allow = r == 0 ? add(ret, "DeviceAllow", UNIT_PAIRS) : NULL;
	if (r == 0 && !allow)
		r = err_oom(e);
	for (size_t i = 0; r == 0 && strict && i < exceptions.n; i++)
		if (add_device(allow, &exceptions.v[i]) < 0)
			r = err_oom(e);
out:
	free(list.v);
	free(exceptions.v);
	return r;
}

/* --- limits --- */

/* A file with a number or "max"; one that is not there is no limit that could be undone. */
static int add_number(unit_properties *l, const char *name, const char *dir,
		      const char *file, struct err *e)
{
	uint64_t value;
	int r = cgroup_read_u64(dir, file, &value);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/%s'", dir, file);
	return unit_property_u64(l, name,
				 value == CGROUP_UNLIMITED ? INFINITY_VALUE : value, e);
}

/* "0-3,7" as a bit for each, in bytes: what systemd takes. */
static int parse_cpuset(const char *text, struct unit_property *p)
{
	while (*text) {
		char *end;
		unsigned long from = strtoul(text, &end, 10), to = from;

		if (end == text)
			return -EINVAL;
		if (*end == '-') {
			text = end + 1;
			to = strtoul(text, &end, 10);
			if (end == text)
				return -EINVAL;
		}
		if (to < from || to >= CPUSET_MAX)
			return -ERANGE;
		if (to / 8 + 1 > p->len) {
			char *more = realloc(p->text, to / 8 + 1);

			if (!more)
				return -ENOMEM;
			memset(more + p->len, 0, to / 8 + 1 - p->len);
			p->text = more;
			p->len = to / 8 + 1;
		}
		for (; from <= to; from++)
			p->text[from / 8] |= (char)(1 << from % 8);
		text = end + (*end == ',');
		if (*end && *end != ',')
			return -EINVAL;
	}
	return 0;
}

static int add_cpuset(unit_properties *l, const char *name, const char *dir,
		      const char *file, struct err *e)
{
	_free_ char *text = NULL;
	struct unit_property *p;
	int r = cgroup_read(dir, file, &text);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/%s'", dir, file);
	text[strcspn(text, "\n")] = '\0';
	if (!*text)
		return 0;
	p = add(l, name, UNIT_BYTES);
	r = p ? parse_cpuset(text, p) : -ENOMEM;
	return r < 0 ? err_errno(e, r, "cannot take '%s' of '%s/%s' for a set of numbers",
				 text, dir, file) :
		       0;
}

/* systemd keeps whole percents of a CPU, cut off: rounded up here, or less than a percent would be
 * no limit, and the group's own groups could not have what they are promised. */
static int add_quota(unit_properties *l, uint64_t quota, uint64_t period, struct err *e)
{
	unsigned __int128 per_second = INFINITY_VALUE;
	int r;

	if (quota != CGROUP_UNLIMITED && period) {
		per_second = (unsigned __int128)quota * 1000000 / period;
		per_second = (per_second + 9999) / 10000 * 10000;
	}
	if (per_second > INFINITY_VALUE)
		per_second = INFINITY_VALUE;
	r = unit_property_u64(l, "CPUQuotaPeriodUSec", period, e);
	return r < 0 ? r :
		       unit_property_u64(l, "CPUQuotaPerSecUSec", (uint64_t)per_second, e);
}

static int add_v2_quota(unit_properties *l, const char *dir, struct err *e)
{
	uint64_t quota = CGROUP_UNLIMITED, period = 0;
	_free_ char *text = NULL;
	char *space;
	int r = cgroup_read(dir, "cpu.max", &text);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/cpu.max'", dir);
	text[strcspn(text, "\n")] = '\0';
	space = strchr(text, ' ');
	if (space)
		*space = '\0';
	if (!space || num_u64(space + 1, &period) < 0 ||
	    (!streq(text, "max") && num_u64(text, &quota) < 0))
		return err_set(e, ERR_KERNEL, EINVAL, "cannot understand '%s/cpu.max'", dir);
	return add_quota(l, quota, period, e);
}

/* An idle group is CPUWeight 0, since 252; before, systemd does not touch the file. */
static int add_v2_weight(unit_properties *l, const char *dir, unsigned int version,
			 struct err *e)
{
	uint64_t idle = 0;

	if (cgroup_read_u64(dir, "cpu.idle", &idle) == 0 && idle)
		return version >= 252 ? unit_property_u64(l, "CPUWeight", 0, e) : 0;
	return add_number(l, "CPUWeight", dir, "cpu.weight", e);
}

/* io.bfq.weight is what systemd makes of IOWeight: 1..100 alike, 100..1000 for 100..10000. */
static int add_v2_io_weight(unit_properties *l, const char *dir, struct err *e)
{
	uint64_t weight;

	if (cgroup_read_key(dir, "io.weight", "default", &weight) < 0) {
		if (cgroup_read_key(dir, "io.bfq.weight", "default", &weight) < 0)
			return 0;
		if (weight > 100)
			weight = 100 + (weight - 100) * (10000 - 100) / (1000 - 100);
	}
	return unit_property_u64(l, "IOWeight", weight, e);
}

static int add_tasks(unit_properties *l, const char *dir, struct err *e)
{
	uint64_t value;
	int r = cgroup_read_u64(dir, "pids.max", &value);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/pids.max'", dir);
	/* systemd knows no limit of 0. */
	return unit_property_u64(l, "TasksMax", value ? value : 1, e);
}

static int of_v2(const char *dir, unsigned int version, unit_properties *l, struct err *e)
{
	static const struct {
		const char *name, *file;
		unsigned int since;
	} memory[] = {
		{ "MemoryMin", "memory.min", 0 },
		{ "MemoryLow", "memory.low", 0 },
		{ "MemoryHigh", "memory.high", 0 },
		{ "MemoryMax", "memory.max", 0 },
		{ "MemorySwapMax", "memory.swap.max", 0 },
		{ "MemoryZSwapMax", "memory.zswap.max", 253 },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(memory); i++)
		if (version >= memory[i].since)
			r = add_number(l, memory[i].name, dir, memory[i].file, e);
	if (r == 0)
		r = add_v2_weight(l, dir, version, e);
	if (r == 0)
		r = add_v2_quota(l, dir, e);
	if (r == 0)
		r = add_tasks(l, dir, e);
	if (r == 0)
		r = add_cpuset(l, "AllowedCPUs", dir, "cpuset.cpus", e);
	if (r == 0)
		r = add_cpuset(l, "AllowedMemoryNodes", dir, "cpuset.mems", e);
	return r < 0 ? r : add_v2_io_weight(l, dir, e);
}

static int of_v1_cpu(const char *dir, unit_properties *l, struct err *e)
{
	_free_ char *quota = NULL;
	uint64_t period, limit = CGROUP_UNLIMITED;
	int r = add_number(l, "CPUShares", dir, "cpu.shares", e);

	if (r < 0 || cgroup_read_u64(dir, "cpu.cfs_period_us", &period) < 0 ||
	    cgroup_read(dir, "cpu.cfs_quota_us", &quota) < 0)
		return r;
	quota[strcspn(quota, "\n")] = '\0';
	if (!streq(quota, "-1") && num_u64(quota, &limit) < 0)
		return err_set(e, ERR_KERNEL, EINVAL,
			       "cannot understand '%s/cpu.cfs_quota_us'", dir);
	return add_quota(l, limit, period, e);
}

/* systemd sets these three of v1's controllers, and block I/O weights of schedulers long gone. */
static int of_v1(const struct cgroup *cg, unit_properties *l, struct err *e)
{
	const char *dir = strmap_get(&cg->v1, "memory");
	uint64_t limit;
	int r = 0;

	if (dir && cgroup_read_u64(dir, "memory.limit_in_bytes", &limit) == 0)
		r = unit_property_u64(l, "MemoryMax",
				      limit > V1_UNLIMITED ? INFINITY_VALUE : limit, e);
	dir = strmap_get(&cg->v1, "cpu");
	if (r == 0 && dir)
		r = of_v1_cpu(dir, l, e);
	dir = strmap_get(&cg->v1, "pids");
	return r == 0 && dir ? add_tasks(l, dir, e) : r;
}

int unit_properties_of_files(const struct cgroup *cg, unsigned int version,
			     unit_properties *ret, struct err *e)
{
	if (cg->mode == CGROUP_V2)
		return of_v2(cg->unified, version, ret, e);
	return of_v1(cg, ret, e);
}
