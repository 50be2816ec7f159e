/* SPDX-License-Identifier: Apache-2.0 */
/* Which processors and memory nodes a group has. Runs in the runtime process; only reads. */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup/internal.h"

static int read_list(const char *dir, const char *file, char **ret, struct err *e)
{
	_free_ char *text = NULL;
	int r = cgroup_read(dir, file, &text);

	if (r == -ENOENT || r == -ENODEV)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/%s'", dir, file);
	text[strcspn(text, "\n")] = '\0';
	*ret = take_ptr(&text);
	return 0;
}

/* What only v1 has. sched_relax_domain_level may be -1, which is read as its 64 bits. */
static int read_flags(const char *dir, struct cgroup_cpuset_stats *s, struct err *e)
{
	static const char *const names[] = {
		"cpu_exclusive",   "mem_hardwall",	 "mem_exclusive",
		"memory_migrate",  "memory_spread_page", "memory_spread_slab",
		"memory_pressure", "sched_load_balance", "sched_relax_domain_level",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_free_ char *file = str_printf("cpuset.%s", names[i]), *text = NULL;
		struct cgroup_stat_value *at;
		int r;

		if (!file)
			return err_oom(e);
		r = read_list(dir, file, &text, e);
		if (r < 0)
			return r;
		if (!text)
			continue;
		at = list_add(&s->flags);
		if (!at)
			return err_oom(e);
		at->value = (uint64_t)strtoll(text, NULL, 10);
		at->name = strdup(names[i]);
		if (!at->name)
			return err_oom(e);
	}
	return 0;
}

int cgroup_read_cpuset(const struct cgroup *cg, struct cgroup_cpuset_stats *ret,
		       struct err *e)
{
	bool v2;
	const char *dir = cgroup_find(cg, "cpuset", &v2);
	int r;

	if (!dir)
		return 0;
	r = read_list(dir, v2 ? "cpuset.cpus.effective" : "cpuset.cpus", &ret->cpus, e);
	if (r == 0)
		r = read_list(dir, v2 ? "cpuset.mems.effective" : "cpuset.mems",
			      &ret->mems, e);
	return r < 0 || v2 ? r : read_flags(dir, ret, e);
}
