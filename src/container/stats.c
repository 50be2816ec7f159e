/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of a container as one JSON object, with the members that runc's `events` has: tools
 * read those of either. Runs in the runtime; only reads.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "container/container.h"

/* A member that is left out when it is nothing, as runc does. `first` says whether a comma is due. */
static void add_member(struct buf *b, bool *first, const char *name, uint64_t value)
{
	buf_addf(b, "%s\"%s\":%" PRIu64, *first ? "" : ",", name, value);
	*first = false;
}

static void add_if(struct buf *b, bool *first, const char *name, uint64_t value)
{
	if (value)
		add_member(b, first, name, value);
}

static void add_pressure_line(struct buf *b, const char *name,
			      const struct cgroup_pressure_line *l)
{
	buf_addf(b,
		 "\"%s\":{\"avg10\":%u.%02u,\"avg60\":%u.%02u,\"avg300\":%u.%02u,"
		 "\"total\":%" PRIu64 "}",
		 name, l->avg[0] / 100, l->avg[0] % 100, l->avg[1] / 100, l->avg[1] % 100,
		 l->avg[2] / 100, l->avg[2] % 100, l->total_us);
}

static void add_pressure(struct buf *b, bool first, const struct cgroup_pressure *p)
{
	if (!p->set)
		return;
	buf_adds(b, first ? "\"psi\":{" : ",\"psi\":{");
	add_pressure_line(b, "some", &p->some);
	buf_adds(b, ",");
	add_pressure_line(b, "full", &p->full);
	buf_adds(b, "}");
}

static void add_cpu(struct buf *b, const struct cgroup_stats *s)
{
	bool first = true;

	buf_adds(b, "\"cpu\":{\"usage\":{");
	add_if(b, &first, "total", s->cpu_usage_ns);
	if (s->cpu_percpu_ns.n) {
		buf_adds(b, first ? "\"percpu\":[" : ",\"percpu\":[");
		for (size_t i = 0; i < s->cpu_percpu_ns.n; i++)
			buf_addf(b, "%s%" PRIu64, i ? "," : "", s->cpu_percpu_ns.v[i]);
		buf_adds(b, "]");
		first = false;
	}
	add_member(b, &first, "kernel", s->cpu_system_ns);
	add_member(b, &first, "user", s->cpu_user_ns);
	buf_adds(b, "},\"throttling\":{");
	first = true;
	add_if(b, &first, "periods", s->cpu_periods);
	add_if(b, &first, "throttledPeriods", s->cpu_throttled_periods);
	add_if(b, &first, "throttledTime", s->cpu_throttled_ns);
	buf_adds(b, "}");
	add_pressure(b, false, &s->cpu_pressure);
	buf_adds(b, "}");
}

/* "0-2,8" as [0,1,2,8]. */
static void add_number_list(struct buf *b, bool *first, const char *name, const char *list)
{
	bool is_first = true;

	if (!list || !*list)
		return;
	buf_addf(b, "%s\"%s\":[", *first ? "" : ",", name);
	*first = false;
	while (*list) {
		char *end;
		unsigned long from = strtoul(list, &end, 10), to = from;

		if (end == list)
			break;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to; from++, is_first = false)
			buf_addf(b, "%s%lu", is_first ? "" : ",", from);
		list = end + (*end == ',');
	}
	buf_adds(b, "]");
}

static void add_cpuset(struct buf *b, const struct cgroup_cpuset_stats *s)
{
	bool first = true;

	buf_adds(b, "\"cpuset\":{");
	add_number_list(b, &first, "cpus", s->cpus);
	add_number_list(b, &first, "mems", s->mems);
	for (size_t i = 0; i < s->flags.n; i++) {
		/* One of them may be -1. */
		buf_addf(b, "%s\"%s\":%" PRId64, first ? "" : ",", s->flags.v[i].name,
			 (int64_t)s->flags.v[i].value);
		first = false;
	}
	buf_adds(b, "}");
}

struct memory_entry {
	uint64_t limit, usage, max, failures;
};

static void add_memory_entry(struct buf *b, const char *name, const struct memory_entry *m)
{
	bool first = true;

	buf_addf(b, "\"%s\":{", name);
	add_member(b, &first, "limit", m->limit);
	add_if(b, &first, "usage", m->usage);
	add_if(b, &first, "max", m->max);
	add_member(b, &first, "failcnt", m->failures);
	buf_adds(b, "}");
}

/* Whether the figures of swap are those of v2: of swap alone. */
static bool counts_swap_alone(const struct cgroup *cg)
{
	return !strmap_get(&cg->v1, "memory");
}

static void add_memory(struct buf *b, const struct cgroup *cg, const struct cgroup_stats *s)
{
	struct memory_entry usage = { s->memory_limit, s->memory_usage, s->memory_peak,
				      s->memory_failures };
	struct memory_entry swap = { s->swap_limit, s->swap_usage, 0, 0 };
	struct memory_entry kernel = { CGROUP_UNLIMITED, s->kernel_usage, 0, 0 };
	bool first = true;

	/* Readers expect memory and swap together, as v1 counts. */
	if (s->has_swap && counts_swap_alone(cg)) {
		swap.usage += s->memory_usage;
		if (swap.limit != CGROUP_UNLIMITED)
			swap.limit = s->memory_limit == CGROUP_UNLIMITED ?
					     CGROUP_UNLIMITED :
					     swap.limit + s->memory_limit;
	}
	if (!s->has_swap)
		swap.limit = 0;
	if (!s->has_kernel_memory)
		kernel.limit = 0;
	buf_adds(b, "\"memory\":{");
	if (s->memory_cache)
		buf_addf(b, "\"cache\":%" PRIu64 ",", s->memory_cache);
	add_memory_entry(b, "usage", &usage);
	buf_adds(b, ",");
	add_memory_entry(b, "swap", &swap);
	buf_adds(b, ",");
	add_memory_entry(b, "kernel", &kernel);
	buf_adds(b, ",\"raw\":{");
	for (size_t i = 0; i < s->memory_raw.n; i++)
		add_member(b, &first, s->memory_raw.v[i].name, s->memory_raw.v[i].value);
	buf_adds(b, "}");
	add_pressure(b, false, &s->memory_pressure);
	buf_adds(b, "}");
}

static void add_pids(struct buf *b, const struct cgroup_stats *s)
{
	bool first = true;

	buf_adds(b, "\"pids\":{");
	add_if(b, &first, "current", s->pids_current);
	if (s->has_pids && s->pids_limit != CGROUP_UNLIMITED)
		add_member(b, &first, "limit", s->pids_limit);
	buf_adds(b, "}");
}

static void add_io_entry(struct buf *b, bool *first, const struct cgroup_io_stats *io,
			 const char *op, uint64_t value)
{
	buf_addf(b, "%s{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}",
		 *first ? "" : ",", io->major, io->minor, op, value);
	*first = false;
}

static void add_io(struct buf *b, const struct cgroup_stats *s)
{
	bool first = true;

	buf_adds(b, "\"blkio\":{");
	if (s->io.n) {
		buf_adds(b, "\"ioServiceBytesRecursive\":[");
		for (size_t i = 0; i < s->io.n; i++) {
			add_io_entry(b, &first, &s->io.v[i], "Read", s->io.v[i].read_bytes);
			add_io_entry(b, &first, &s->io.v[i], "Write",
				     s->io.v[i].write_bytes);
		}
		first = true;
		buf_adds(b, "],\"ioServicedRecursive\":[");
		for (size_t i = 0; i < s->io.n; i++) {
			add_io_entry(b, &first, &s->io.v[i], "Read", s->io.v[i].reads);
			add_io_entry(b, &first, &s->io.v[i], "Write", s->io.v[i].writes);
		}
		buf_adds(b, "]");
	}
	add_pressure(b, s->io.n == 0, &s->io_pressure);
	buf_adds(b, "}");
}

static void add_hugetlb(struct buf *b, const struct cgroup_stats *s)
{
	buf_adds(b, "\"hugetlb\":{");
	for (size_t i = 0; i < s->hugetlb.n; i++) {
		const struct cgroup_hugetlb_stats *h = &s->hugetlb.v[i];
		bool first = true;

		buf_addf(b, "%s\"%s\":{", i ? "," : "", h->page_size);
		add_if(b, &first, "usage", h->usage);
		add_if(b, &first, "max", h->limit == CGROUP_UNLIMITED ? 0 : h->limit);
		add_member(b, &first, "failcnt", h->failures);
		buf_adds(b, "}");
	}
	buf_adds(b, "}");
}

int container_stats_document(const struct container *c, struct buf *out, struct err *e)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	int r = cgroup_stats(c->st.cgroup, &s, e);

	if (r < 0)
		return r;
	buf_addf(out, "{\"type\":\"stats\",\"id\":\"%s\",\"data\":{", c->st.id);
	add_cpu(out, &s);
	buf_adds(out, ",");
	add_cpuset(out, &s.cpuset);
	buf_adds(out, ",");
	add_memory(out, c->st.cgroup, &s);
	buf_adds(out, ",");
	add_pids(out, &s);
	buf_adds(out, ",");
	add_io(out, &s);
	buf_adds(out, ",");
	add_hugetlb(out, &s);
	/* Those of Intel's cache allocation, and of the network, are not the group's. */
	buf_adds(out, ",\"intel_rdt\":{},\"network_interfaces\":null}}");
	return out->failed ? err_oom(e) : 0;
}
