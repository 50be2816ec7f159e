/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of a group. Runs in the runtime process; only reads. A file that is not there is a
 * part that this host does not count, not an error.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "cgroup/internal.h"

/* v1 says "no limit" as the highest multiple of the page size. */
#define V1_UNLIMITED (INT64_MAX / 65536 * 65536)

static bool is_missing(int r)
{
	return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP;
}

/* Reads a number into *ret, leaving it alone when the host does not have the file. */
static int read_number(const char *dir, const char *file, uint64_t *ret, struct err *e)
{
	int r = cgroup_read_u64(dir, file, ret);

	if (r == 0 || is_missing(r))
		return 0;
	return err_errno(e, r, "cannot read '%s/%s'", dir, file);
}

static int read_v1_limit(const char *dir, const char *file, uint64_t *ret, struct err *e)
{
	int r = read_number(dir, file, ret, e);

	if (r == 0 && *ret >= V1_UNLIMITED)
		*ret = CGROUP_UNLIMITED;
	return r;
}

/* A value of a "key value" file; 0 when it is not there. */
static uint64_t key_or_zero(const char *dir, const char *file, const char *key)
{
	uint64_t v = 0;

	return cgroup_read_key(dir, file, key, &v) == 0 ? v : 0;
}

static uint64_t raw_or_zero(const struct cgroup_stats *s, const char *key)
{
	for (size_t i = 0; i < s->memory_raw.n; i++)
		if (streq(s->memory_raw.v[i].name, key))
			return s->memory_raw.v[i].value;
	return 0;
}

static int read_raw_memory(const char *dir, struct cgroup_stats *s, struct err *e)
{
	_free_ char *text = NULL;
	char *line, *save = NULL;
	int r = cgroup_read(dir, "memory.stat", &text);

	if (r < 0)
		return is_missing(r) ?
			       0 :
			       err_errno(e, r, "cannot read '%s/memory.stat'", dir);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_stat_value *at;
		char *blank = strchr(line, ' ');
		uint64_t value;

		if (!blank || num_u64(blank + 1, &value) < 0)
			continue;
		*blank = '\0';
		at = list_add(&s->memory_raw);
		if (!at)
			return err_oom(e);
		at->value = value;
		at->name = strdup(line);
		if (!at->name) {
			s->memory_raw.n--;
			return err_oom(e);
		}
	}
	return 0;
}

static int read_memory_v1(const char *dir, struct cgroup_stats *s, struct err *e)
{
	uint64_t failures = 0;
	int r;

	r = read_number(dir, "memory.usage_in_bytes", &s->memory_usage, e);
	if (r == 0)
		r = read_v1_limit(dir, "memory.limit_in_bytes", &s->memory_limit, e);
	if (r == 0)
		r = read_number(dir, "memory.max_usage_in_bytes", &s->memory_peak, e);
	if (r == 0)
		r = read_number(dir, "memory.failcnt", &failures, e);
	if (r == 0 && cgroup_has_file(dir, "memory.memsw.usage_in_bytes")) {
		s->has_swap = true;
		r = read_number(dir, "memory.memsw.usage_in_bytes", &s->swap_usage, e);
		if (r == 0)
			r = read_v1_limit(dir, "memory.memsw.limit_in_bytes",
					  &s->swap_limit, e);
	}
	if (r == 0 && cgroup_has_file(dir, "memory.kmem.usage_in_bytes")) {
		s->has_kernel_memory = true;
		r = read_number(dir, "memory.kmem.usage_in_bytes", &s->kernel_usage, e);
	}
	s->memory_failures = failures;
	s->oom_kills = key_or_zero(dir, "memory.oom_control", "oom_kill");
	s->memory_cache = raw_or_zero(s, "total_cache");
	s->memory_inactive_file = raw_or_zero(s, "total_inactive_file");
	return r;
}

static int read_memory_v2(const char *dir, struct cgroup_stats *s, struct err *e)
{
	int r;

	r = read_number(dir, "memory.current", &s->memory_usage, e);
	if (r == 0)
		r = read_number(dir, "memory.max", &s->memory_limit, e);
	if (r == 0)
		r = read_number(dir, "memory.peak", &s->memory_peak, e);
	if (r == 0 && cgroup_has_file(dir, "memory.swap.current")) {
		s->has_swap = true;
		r = read_number(dir, "memory.swap.current", &s->swap_usage, e);
		if (r == 0)
			r = read_number(dir, "memory.swap.max", &s->swap_limit, e);
	}
	s->memory_failures = key_or_zero(dir, "memory.events", "max");
	s->oom_kills = key_or_zero(dir, "memory.events", "oom_kill");
	s->memory_cache = raw_or_zero(s, "file");
	s->memory_inactive_file = raw_or_zero(s, "inactive_file");
	s->kernel_usage = raw_or_zero(s, "kernel");
	s->has_kernel_memory = s->kernel_usage > 0;
	return r;
}

static int read_memory(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	bool v2;
	const char *dir = cgroup_find(cg, "memory", &v2);
	int r;

	if (!dir)
		return 0;
	s->has_memory = true;
	r = read_raw_memory(dir, s, e);
	if (r < 0)
		return r;
	return v2 ? read_memory_v2(dir, s, e) : read_memory_v1(dir, s, e);
}

static int read_percpu(const char *dir, struct cgroup_stats *s, struct err *e)
{
	_free_ char *text = NULL;
	char *word, *save = NULL;
	int r = cgroup_read(dir, "cpuacct.usage_percpu", &text);

	if (r < 0)
		return is_missing(r) ?
			       0 :
			       err_errno(e, r, "cannot read '%s/cpuacct.usage_percpu'", dir);
	for (word = strtok_r(text, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save)) {
		uint64_t *at, value;

		if (num_u64(word, &value) < 0)
			continue;
		at = list_add(&s->cpu_percpu_ns);
		if (!at)
			return err_oom(e);
		*at = value;
	}
	return 0;
}

static int read_cpu_v1(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	const char *usage = strmap_get(&cg->v1, "cpuacct"),
		   *cpu = strmap_get(&cg->v1, "cpu");
	int r = 0;

	if (usage) {
		s->has_cpu = true;
		r = read_number(usage, "cpuacct.usage", &s->cpu_usage_ns, e);
		if (r == 0)
			r = read_number(usage, "cpuacct.usage_user", &s->cpu_user_ns, e);
		if (r == 0)
			r = read_number(usage, "cpuacct.usage_sys", &s->cpu_system_ns, e);
		if (r == 0)
			r = read_percpu(usage, s, e);
	}
	if (cpu) {
		s->cpu_periods = key_or_zero(cpu, "cpu.stat", "nr_periods");
		s->cpu_throttled_periods = key_or_zero(cpu, "cpu.stat", "nr_throttled");
		s->cpu_throttled_ns = key_or_zero(cpu, "cpu.stat", "throttled_time");
	}
	return r;
}

static int read_cpu(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	const char *dir = cg->unified;

	if (strmap_get(&cg->v1, "cpuacct") || strmap_get(&cg->v1, "cpu"))
		return read_cpu_v1(cg, s, e);
	/* cgroup2 counts time in every group, with or without the controller. */
	if (!dir || !cgroup_has_file(dir, "cpu.stat"))
		return 0;
	s->has_cpu = true;
	s->cpu_usage_ns = key_or_zero(dir, "cpu.stat", "usage_usec") * 1000;
	s->cpu_user_ns = key_or_zero(dir, "cpu.stat", "user_usec") * 1000;
	s->cpu_system_ns = key_or_zero(dir, "cpu.stat", "system_usec") * 1000;
	s->cpu_periods = key_or_zero(dir, "cpu.stat", "nr_periods");
	s->cpu_throttled_periods = key_or_zero(dir, "cpu.stat", "nr_throttled");
	s->cpu_throttled_ns = key_or_zero(dir, "cpu.stat", "throttled_usec") * 1000;
	return 0;
}

static int read_pids(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	bool v2;
	const char *dir = cgroup_find(cg, "pids", &v2);
	int r;

	if (!dir)
		return 0;
	s->has_pids = true;
	s->pids_limit = CGROUP_UNLIMITED;
	r = read_number(dir, "pids.peak", &s->pids_peak, e);
	if (r < 0)
		return r;
	r = read_number(dir, "pids.current", &s->pids_current, e);
	return r == 0 ? read_number(dir, "pids.max", &s->pids_limit, e) : r;
}

/* The entry of a device, made when it is new. */
static struct cgroup_io_stats *io_device(struct cgroup_stats *s, uint32_t major,
					 uint32_t minor)
{
	struct cgroup_io_stats *at;

	for (size_t i = 0; i < s->io.n; i++)
		if (s->io.v[i].major == major && s->io.v[i].minor == minor)
			return &s->io.v[i];
	at = list_add(&s->io);
	if (at) {
		at->major = major;
		at->minor = minor;
	}
	return at;
}

/* "254:0 Read 4096" */
static int read_io_v1(const char *dir, const char *file, bool bytes,
		      struct cgroup_stats *s, struct err *e)
{
	_free_ char *text = NULL;
	char *line, *save = NULL;
	int r = cgroup_read(dir, file, &text);

	if (r < 0)
		return is_missing(r) ? 0 :
				       err_errno(e, r, "cannot read '%s/%s'", dir, file);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_io_stats *at;
		uint32_t major, minor;
		uint64_t value;
		char what[16];

		if (sscanf(line, "%" SCNu32 ":%" SCNu32 " %15s %" SCNu64, &major, &minor,
			   what, &value) != 4)
			continue;
		at = io_device(s, major, minor);
		if (!at)
			return err_oom(e);
		if (streq(what, "Read"))
			*(bytes ? &at->read_bytes : &at->reads) = value;
		else if (streq(what, "Write"))
			*(bytes ? &at->write_bytes : &at->writes) = value;
	}
	return 0;
}

/* "254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0" */
static int read_io_v2(const char *dir, struct cgroup_stats *s, struct err *e)
{
	_free_ char *text = NULL;
	char *line, *save = NULL;
	int r = cgroup_read(dir, "io.stat", &text);

	if (r < 0)
		return is_missing(r) ? 0 : err_errno(e, r, "cannot read '%s/io.stat'", dir);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *word, *words = NULL, *device = strtok_r(line, " ", &words);
		struct cgroup_io_stats *at;
		uint32_t major, minor;

		if (!device || sscanf(device, "%" SCNu32 ":%" SCNu32, &major, &minor) != 2)
			continue;
		at = io_device(s, major, minor);
		if (!at)
			return err_oom(e);
		while ((word = strtok_r(NULL, " ", &words))) {
			sscanf(word, "rbytes=%" SCNu64, &at->read_bytes);
			sscanf(word, "wbytes=%" SCNu64, &at->write_bytes);
			sscanf(word, "rios=%" SCNu64, &at->reads);
			sscanf(word, "wios=%" SCNu64, &at->writes);
		}
	}
	return 0;
}

static int read_io(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	bool v2;
	const char *dir = cgroup_find(cg, "io", &v2);
	int r;

	if (!dir)
		return 0;
	s->has_io = true;
	if (v2)
		return read_io_v2(dir, s, e);
	r = read_io_v1(dir, "blkio.throttle.io_service_bytes_recursive", true, s, e);
	return r < 0 ? r :
		       read_io_v1(dir, "blkio.throttle.io_serviced_recursive", false, s, e);
}

/* One page size, from the name of its limit file. */
static int read_hugetlb_size(const char *dir, const char *size, bool v2,
			     struct cgroup_stats *s, struct err *e)
{
	struct cgroup_hugetlb_stats *at = list_add(&s->hugetlb);
	char file[96];
	int r;

	if (!at)
		return err_oom(e);
	at->page_size = strdup(size);
	if (!at->page_size)
		return err_oom(e);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size,
		 v2 ? "current" : "usage_in_bytes");
	r = read_number(dir, file, &at->usage, e);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "max" : "limit_in_bytes");
	if (r == 0)
		r = v2 ? read_number(dir, file, &at->limit, e) :
			 read_v1_limit(dir, file, &at->limit, e);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "events" : "failcnt");
	if (r == 0 && v2)
		at->failures = key_or_zero(dir, file, "max");
	else if (r == 0)
		r = read_number(dir, file, &at->failures, e);
	return r;
}

static int read_hugetlb(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	bool v2;
	const char *dir = cgroup_find(cg, "hugetlb", &v2);
	const char *end = v2 ? ".current" : ".usage_in_bytes";
	_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *entry;

	if (!dir)
		return 0;
	if (!d)
		return err_sys(e, "cannot read cgroup '%s'", dir);
	while ((entry = readdir(d))) {
		char size[32];
		size_t len = strlen(entry->d_name), head = strlen("hugetlb."),
		       tail = strlen(end);
		int r;

		if (len <= head + tail || len - head - tail >= sizeof(size) ||
		    !str_has_prefix(entry->d_name, "hugetlb.") ||
		    !str_has_suffix(entry->d_name, end))
			continue;
		snprintf(size, sizeof(size), "%.*s", (int)(len - head - tail),
			 entry->d_name + head);
		if (strchr(size, '.')) /* hugetlb.2MB.rsvd.current */
			continue;
		r = read_hugetlb_size(dir, size, v2, s, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_pressure(const struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	int r;

	if (!cg->unified)
		return 0;
	r = cgroup_read_pressure(cg->unified, "cpu.pressure", &s->cpu_pressure, e);
	if (r == 0)
		r = cgroup_read_pressure(cg->unified, "memory.pressure",
					 &s->memory_pressure, e);
	if (r == 0)
		r = cgroup_read_pressure(cg->unified, "io.pressure", &s->io_pressure, e);
	return r;
}

int cgroup_stats(const struct cgroup *cg, struct cgroup_stats *ret, struct err *e)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {
		.memory_limit = CGROUP_UNLIMITED,
		.swap_limit = CGROUP_UNLIMITED,
	};
	int r = read_memory(cg, &s, e);

	if (r == 0)
		r = read_cpu(cg, &s, e);
	if (r == 0)
		r = read_pids(cg, &s, e);
	if (r == 0)
		r = read_io(cg, &s, e);
	if (r == 0)
		r = read_hugetlb(cg, &s, e);
	if (r == 0)
		r = read_pressure(cg, &s, e);
	if (r == 0)
		r = cgroup_read_cpuset(cg, &s.cpuset, e);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct cgroup_stats){};
	return 0;
}

void cgroup_stats_clear(struct cgroup_stats *s)
{
	for (size_t i = 0; i < s->memory_raw.n; i++)
		free(s->memory_raw.v[i].name);
	free(s->memory_raw.v);
	free(s->cpu_percpu_ns.v);
	free(s->io.v);
	for (size_t i = 0; i < s->hugetlb.n; i++)
		free(s->hugetlb.v[i].page_size);
	free(s->hugetlb.v);
	free(s->cpuset.cpus);
	free(s->cpuset.mems);
	for (size_t i = 0; i < s->cpuset.flags.n; i++)
		free(s->cpuset.flags.v[i].name);
	free(s->cpuset.flags.v);
	*s = (struct cgroup_stats){};
}
