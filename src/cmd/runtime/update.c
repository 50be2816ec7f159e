/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime update: limits from a document, or one by one as options, as runc and crun take
 * them. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

#define RESOURCES_MAX (1024 * 1024)

struct update_options {
	const char *resources;
	const char *blkio_weight;
	const char *cpu_period, *cpu_quota, *cpu_share, *cpu_rt_period, *cpu_rt_runtime;
	const char *cpuset_cpus, *cpuset_mems;
	const char *memory, *memory_reservation, *memory_swap;
	const char *kernel_memory, *kernel_memory_tcp;
	const char *pids_limit;
	const char *l3_cache_schema, *mem_bw_schema;
};

#define LIMIT(member, name, value, text) \
	OPTION(update_options, member, name, 0, OPTION_STRING, value, text)

static const struct option_row rows[] = {
	OPTION(update_options, resources, "resources", 'r', OPTION_STRING, "FILE",
	       "an OCI resources object; - is stdin"),
	LIMIT(blkio_weight, "blkio-weight", "N", "block I/O weight, 10 to 1000"),
	LIMIT(cpu_period, "cpu-period", "US", "period of the CPU quota, in microseconds"),
	LIMIT(cpu_quota, "cpu-quota", "US", "CPU time in a period; -1: no limit"),
	LIMIT(cpu_share, "cpu-share", "N", "CPU weight, 2 to 262144"),
	LIMIT(cpu_rt_period, "cpu-rt-period", "US", "period of the real-time quota"),
	LIMIT(cpu_rt_runtime, "cpu-rt-runtime", "US", "real-time CPU time in a period"),
	LIMIT(cpuset_cpus, "cpuset-cpus", "LIST", "CPUs, as in 0-3,5"),
	LIMIT(cpuset_mems, "cpuset-mems", "LIST", "memory nodes"),
	LIMIT(memory, "memory", "SIZE", "memory in bytes, or as 64M; -1: no limit"),
	LIMIT(memory_reservation, "memory-reservation", "SIZE", "memory to be left alone"),
	LIMIT(memory_swap, "memory-swap", "SIZE", "memory and swap; -1: no limit"),
	LIMIT(kernel_memory, "kernel-memory", "SIZE", "kernel memory (cgroup v1)"),
	LIMIT(kernel_memory_tcp, "kernel-memory-tcp", "SIZE", "TCP buffers (cgroup v1)"),
	LIMIT(pids_limit, "pids-limit", "N", "processes; -1: no limit"),
	LIMIT(l3_cache_schema, "l3-cache-schema", "SCHEMA",
	      "L3 cache of its resctrl group, as in L3:0=7f0;1=1f"),
	LIMIT(mem_bw_schema, "mem-bw-schema", "SCHEMA",
	      "memory bandwidth of its resctrl group, as in MB:0=20;1=70"),
	{},
};

static int read_resources(const char *path, struct oci_resources *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r;

	if (streq(path, "-"))
		r = fd_read_all(STDIN_FILENO, RESOURCES_MAX, &text, &len, e);
	else
		r = fs_read_document(AT_FDCWD, path, RESOURCES_MAX, &text, &len, e);
	if (r == 0)
		r = json_parse(text, len, "resources", &j, e);
	if (r == 0)
		r = json_read(j, &oci_resources_type, "resources", ret, e);
	if (r == 0) {
		r = oci_resources_check(ret, e);
		if (r < 0)
			json_clear(&oci_resources_type, ret);
	}
	return r;
}

/* --- options --- */

static int bad_value(const char *name, const char *text, const char *what, struct err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "--%s: '%s' is not %s", name, text, what);
}

static int read_i64(const char *name, const char *text, struct opt_i64 *ret, struct err *e)
{
	if (!text)
		return 0;
	if (num_i64(text, &ret->value) < 0)
		return bad_value(name, text, "a number", e);
	ret->set = true;
	return 0;
}

static int read_u64(const char *name, const char *text, struct opt_u64 *ret, struct err *e)
{
	if (!text)
		return 0;
	if (num_u64(text, &ret->value) < 0)
		return bad_value(name, text, "a number", e);
	ret->set = true;
	return 0;
}

/* Bytes, or a number with k, m, g or t behind it (binary, "b" and "ib" allowed), or -1. */
static int read_size(const char *name, const char *text, struct opt_i64 *ret, struct err *e)
{
	static const char units[] = "kmgt";
	char digits[24];
	const char *whole = text, *unit;
	size_t n;
	int shift = 0;

	if (!text)
		return 0;
	n = strspn(text, "-0123456789");
	snprintf(digits, sizeof(digits), "%.*s", (int)n, text);
	text += n;
	if (n == 0 || n >= sizeof(digits) || num_i64(digits, &ret->value) < 0 ||
	    ret->value < -1)
		return bad_value(name, whole, "a size", e);
	unit = *text ? strchr(units, tolower((unsigned char)*text)) : NULL;
	if (unit) {
		shift = 10 * (int)(unit - units + 1);
		text++;
		if (tolower((unsigned char)*text) == 'i')
			text++;
	}
	if (shift ? strcasecmp(text, "b") != 0 && *text : *text)
		return bad_value(name, whole, "a size", e);
	if (shift && (ret->value < 0 || ret->value > INT64_MAX >> shift))
		return bad_value(name, whole, "a size in range", e);
	ret->value *= INT64_C(1) << shift;
	ret->set = true;
	return 0;
}

static int read_list(const char *text, char **ret, struct err *e)
{
	if (text) {
		*ret = strdup(text);
		if (!*ret)
			return err_oom(e);
	}
	return 0;
}

static int read_cpu(const struct update_options *o, struct oci_cpu *c, struct err *e)
{
	int r = read_u64("cpu-period", o->cpu_period, &c->period, e);

	if (r == 0)
		r = read_i64("cpu-quota", o->cpu_quota, &c->quota, e);
	if (r == 0)
		r = read_u64("cpu-share", o->cpu_share, &c->shares, e);
	if (r == 0)
		r = read_u64("cpu-rt-period", o->cpu_rt_period, &c->realtime_period, e);
	if (r == 0)
		r = read_i64("cpu-rt-runtime", o->cpu_rt_runtime, &c->realtime_runtime, e);
	if (r == 0)
		r = read_list(o->cpuset_cpus, &c->cpus, e);
	return r == 0 ? read_list(o->cpuset_mems, &c->mems, e) : r;
}

static int read_memory(const struct update_options *o, struct oci_memory *m, struct err *e)
{
	int r = read_size("memory", o->memory, &m->limit, e);

	if (r == 0)
		r = read_size("memory-reservation", o->memory_reservation,
			      &m->reservation, e);
	if (r == 0)
		r = read_size("memory-swap", o->memory_swap, &m->swap, e);
	if (r == 0)
		r = read_size("kernel-memory", o->kernel_memory, &m->kernel, e);
	return r == 0 ? read_size("kernel-memory-tcp", o->kernel_memory_tcp,
				  &m->kernel_tcp, e) :
			r;
}

static int read_weight(const struct update_options *o, struct oci_block_io *b, struct err *e)
{
	if (!o->blkio_weight)
		return 0;
	if (num_u32(o->blkio_weight, &b->weight.value) < 0)
		return bad_value("blkio-weight", o->blkio_weight, "a number", e);
	b->weight.set = true;
	return 0;
}

/* What is absent stays unset, and so unchanged. */
static int read_options(const struct update_options *o, struct oci_resources *ret,
			struct err *e)
{
	int r;

	ret->cpu = calloc(1, sizeof(*ret->cpu));
	ret->memory = calloc(1, sizeof(*ret->memory));
	ret->pids = calloc(1, sizeof(*ret->pids));
	ret->block_io = calloc(1, sizeof(*ret->block_io));
	if (!ret->cpu || !ret->memory || !ret->pids || !ret->block_io)
		r = err_oom(e);
	else
		r = read_cpu(o, ret->cpu, e);
	if (r == 0)
		r = read_memory(o, ret->memory, e);
	if (r == 0)
		r = read_i64("pids-limit", o->pids_limit, &ret->pids->limit, e);
	if (r == 0)
		r = read_weight(o, ret->block_io, e);
	if (r == 0)
		r = oci_resources_check(ret, e);
	if (r < 0)
		json_clear(&oci_resources_type, ret);
	return r;
}

static int check_schema(const char *name, const char *text, struct err *e)
{
	return text && !strchr(text, ':') ? bad_value(name, text, "a schema", e) : 0;
}

static bool has_limits(const struct update_options *o)
{
	return o->blkio_weight || o->cpu_period || o->cpu_quota || o->cpu_share ||
	       o->cpu_rt_period || o->cpu_rt_runtime || o->cpuset_cpus ||
	       o->cpuset_mems || o->memory || o->memory_reservation || o->memory_swap ||
	       o->kernel_memory || o->kernel_memory_tcp || o->pids_limit;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct runtime_globals *g = global;
	const struct update_options *o = opts;
	bool schemata = o->l3_cache_schema || o->mem_bw_schema;
	bool limits = o->resources || has_limits(o);
	/* Borrowed: nobody writes to them. */
	struct oci_intel_rdt rdt = { .l3_cache_schema = (char *)o->l3_cache_schema,
				     .mem_bw_schema = (char *)o->mem_bw_schema };
	struct oci_resources res = {};
	int r;

	if (!limits && !schemata)
		return err_set(e, ERR_USAGE, EINVAL,
			       "update needs --resources FILE, or limits as options");
	if (o->resources && has_limits(o))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--resources and limits as options exclude each other");
	r = check_schema("l3-cache-schema", o->l3_cache_schema, e);
	if (r == 0)
		r = check_schema("mem-bw-schema", o->mem_bw_schema, e);
	/* No limits of a cgroup: as with runc they go beside --resources, too. */
	if (r == 0 && limits)
		r = o->resources ? read_resources(o->resources, &res, e) :
				   read_options(o, &res, e);
	if (r < 0)
		return r;
	r = container_update(g->root, args[0], limits ? &res : NULL,
			     schemata ? &rdt : NULL, e);
	json_clear(&oci_resources_type, &res);
	return r;
}

const struct command update_command = {
	.name = "update",
	.arguments = "ID",
	.help = "Change the limits of a running container.",
	.options = rows,
	.options_size = sizeof(struct update_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
