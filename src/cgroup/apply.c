/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources but for devices: what it needs, and each part in turn. Runs in the runtime
 * process with write rights on the group. A limit that cannot be set is an error, never skipped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

const char *const cgroup_controller_names[] = {
	"memory", "cpu", "cpuset", "pids", "io", "hugetlb", "rdma",
};
_Static_assert(ARRAY_SIZE(cgroup_controller_names) == CGROUP_CONTROLLERS,
	       "one name per bit");

/* -1 needs no controller: where there is none, nothing is limited. */
static bool is_limit(struct opt_i64 v)
{
	return v.set && v.value > 0;
}

static unsigned int memory_needs(const struct oci_memory *m)
{
	return m && (is_limit(m->limit) || is_limit(m->swap) ||
		     is_limit(m->reservation) || m->swappiness.set ||
		     (m->disable_oom_killer.set && m->disable_oom_killer.value) ||
		     is_limit(m->kernel_tcp)) ?
		       CGROUP_NEEDS_MEMORY :
		       0;
}

static unsigned int cpu_needs(const struct oci_cpu *c)
{
	unsigned int needs = 0;

	if (!c)
		return 0;
	if (cgroup_given_u64(c->shares) || is_limit(c->quota) ||
	    cgroup_given_u64(c->period) || cgroup_given_u64(c->burst) ||
	    cgroup_given(c->idle) || cgroup_given(c->realtime_runtime) ||
	    cgroup_given_u64(c->realtime_period))
		needs |= CGROUP_NEEDS_CPU;
	if ((c->cpus && *c->cpus) || (c->mems && *c->mems))
		needs |= CGROUP_NEEDS_CPUSET;
	return needs;
}

static unsigned int block_io_needs(const struct oci_block_io *b)
{
	return b && ((b->weight.set && b->weight.value) ||
		     (b->leaf_weight.set && b->leaf_weight.value) || b->weight_device.n ||
		     b->throttle_read_bps.n || b->throttle_write_bps.n ||
		     b->throttle_read_iops.n || b->throttle_write_iops.n) ?
		       CGROUP_NEEDS_IO :
		       0;
}

/* The controller of a unified key is what stands before its first dot. */
static unsigned int key_needs(const char *key)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		size_t len = strlen(cgroup_controller_names[i]);

		if (strncmp(key, cgroup_controller_names[i], len) == 0 && key[len] == '.')
			return 1u << i;
	}
	return CGROUP_NEEDS_OTHER;
}

static bool has_network(const struct oci_network *n)
{
	return n && ((n->class_id.set && n->class_id.value) || n->priorities.n);
}

unsigned int cgroup_needs(const struct oci_resources *r)
{
	unsigned int needs;

	if (!r)
		return 0;
	needs = memory_needs(r->memory) | cpu_needs(r->cpu) | block_io_needs(r->block_io);
	if (r->pids && r->pids->limit.set && r->pids->limit.value >= 0)
		needs |= CGROUP_NEEDS_PIDS;
	if (r->hugepage_limits.n)
		needs |= CGROUP_NEEDS_HUGETLB;
	if (r->rdma.n)
		needs |= CGROUP_NEEDS_RDMA;
	if (has_network(r->network))
		needs |= CGROUP_NEEDS_OTHER;
	for (size_t i = 0; i < r->unified.n; i++)
		needs |= key_needs(r->unified.k[i]);
	return needs;
}

static int apply_pids(const struct cgroup *cg, const struct oci_pids *p, bool update,
		      struct err *e)
{
	struct cgroup_place at;
	bool v2;
	int r;

	if (!p || !p->limit.set || (update && p->limit.value == 0))
		return 0;
	if (p->limit.value < 0 && !cgroup_find(cg, "pids", &v2))
		return 0;
	r = cgroup_place(cg, "pids", "linux.resources.pids.limit", &at, e);
	if (r < 0)
		return r;
	return cgroup_set_max("linux.resources.pids.limit", at.dir, "pids.max",
			      p->limit.value, e);
}

static int apply_hugepage_limit(const struct cgroup_place *at,
				const struct oci_hugepage_limit *l, struct err *e)
{
	const char *field = "linux.resources.hugepageLimits";
	const char *end = at->v2 ? "max" : "limit_in_bytes";
	char file[96], value[32];
	int r;

	if (!l->page_size || strlen(l->page_size) > 32 || strchr(l->page_size, '/'))
		return err_set(e, ERR_CONFIG, EINVAL, "%s: bad pageSize '%s'", field,
			       l->page_size ? l->page_size : "");
	snprintf(value, sizeof(value), "%" PRIu64, l->limit);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", l->page_size, end);
	r = cgroup_set(field, at->dir, file, value, e);
	if (r < 0)
		return r;
	/* Reservations are counted apart since 5.7; without this limit they fault in later. */
	snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", l->page_size, end);
	return cgroup_has_file(at->dir, file) ? cgroup_set(field, at->dir, file, value, e) :
						0;
}

static int apply_hugepages(const struct cgroup *cg, const struct oci_resources *r,
			   struct err *e)
{
	struct cgroup_place at;
	int res;

	if (r->hugepage_limits.n == 0)
		return 0;
	res = cgroup_place(cg, "hugetlb", "linux.resources.hugepageLimits", &at, e);
	for (size_t i = 0; res == 0 && i < r->hugepage_limits.n; i++)
		res = apply_hugepage_limit(&at, &r->hugepage_limits.v[i], e);
	return res;
}

/* One field of a resource that v1 alone has. */
static int place_v1(const struct cgroup *cg, const char *controller, const char *field,
		    const char **ret_dir, struct err *e)
{
	*ret_dir = strmap_get(&cg->v1, controller);
	if (*ret_dir)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "cannot set %s: it needs the v1 controller %s, which is not mounted here "
		       "(cgroup v2 has none like it)",
		       field, controller);
}

static int apply_network(const struct cgroup *cg, const struct oci_network *n, struct err *e)
{
	const char *field = "linux.resources.network.classID", *dir;
	int r;

	if (!has_network(n))
		return 0;
	if (n->class_id.set && n->class_id.value) {
		r = place_v1(cg, "net_cls", field, &dir, e);
		if (r == 0)
			r = cgroup_set_i64(field, dir, "net_cls.classid",
					   n->class_id.value, e);
		if (r < 0)
			return r;
	}
	field = "linux.resources.network.priorities";
	for (size_t i = 0; i < n->priorities.n; i++) {
		const struct oci_interface_priority *p = &n->priorities.v[i];
		_free_ char *value = str_printf("%s %" PRIu32, p->name, p->priority);

		if (!value)
			return err_oom(e);
		r = place_v1(cg, "net_prio", field, &dir, e);
		if (r == 0)
			r = cgroup_set(field, dir, "net_prio.ifpriomap", value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_rdma(const struct cgroup *cg, const struct oci_resources *r, struct err *e)
{
	struct cgroup_place at;
	int res;

	if (r->rdma.n == 0)
		return 0;
	res = cgroup_place(cg, "rdma", "linux.resources.rdma", &at, e);
	if (res < 0)
		return res;
	for (size_t i = 0; i < r->rdma.n; i++) {
		const struct oci_rdma *d = &r->rdma.v[i];
		_buf_free_ struct buf value = {};

		buf_adds(&value, d->device);
		if (d->hca_handles.set)
			buf_addf(&value, " hca_handle=%" PRIu32, d->hca_handles.value);
		if (d->hca_objects.set)
			buf_addf(&value, " hca_object=%" PRIu32, d->hca_objects.value);
		if (value.failed)
			return err_oom(e);
		res = cgroup_set("linux.resources.rdma", at.dir, "rdma.max", value.s, e);
		if (res < 0)
			return res;
	}
	return 0;
}

/* Files that are not limits, and by which a config could undo what the runtime does. */
static bool is_no_limit(const char *key)
{
	static const char *const names[] = {
		"cgroup.procs", "cgroup.threads", "cgroup.type",
		"cgroup.kill",	"cgroup.freeze",  "cgroup.subtree_control",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(key, names[i]))
			return true;
	return strchr(key, '/') || !strchr(key, '.') || key[0] == '.';
}

static int apply_unified_key(const struct cgroup *cg, const char *key, const char *value,
			     struct err *e)
{
	_free_ char *field = str_printf("linux.resources.unified['%s']", key);
	_free_ char *lines = strdup(value);
	unsigned int needs = key_needs(key);
	struct cgroup_place at;
	char *line, *save = NULL;
	int r;

	if (!field || !lines)
		return err_oom(e);
	if (is_no_limit(key))
		return err_set(e, ERR_CONFIG, EINVAL, "%s is not a limit of cgroup v2",
			       field);
	if (!cg->unified)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot set %s: there is no cgroup v2 group here", field);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (!(needs & 1u << i))
			continue;
		r = cgroup_place(cg, cgroup_controller_names[i], field, &at, e);
		if (r < 0)
			return r;
		if (!at.v2)
			return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
				       "cannot set %s: the %s controller is a v1 hierarchy on this host",
				       field, cgroup_controller_names[i]);
	}
	if (!*value)
		return cgroup_set(field, cg->unified, key, "\n", e);
	/* The kernel takes one line at a time (io.max for several devices). */
	for (line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		r = cgroup_set(field, cg->unified, key, line, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_apply(const struct cgroup *cg, const struct oci_resources *r, bool update,
		 struct err *e)
{
	return cg->unit ? cgroup_unit_apply(cg, r, update, e) :
			  cgroup_apply_files(cg, r, update, e);
}

int cgroup_apply_files(const struct cgroup *cg, const struct oci_resources *r,
		       bool update, struct err *e)
{
	int res = 0;

	if (!r)
		return 0;
	if (r->memory)
		res = cgroup_apply_memory(cg, r->memory, update, e);
	if (res == 0 && r->cpu)
		res = cgroup_apply_cpu(cg, r->cpu, update, e);
	if (res == 0)
		res = apply_pids(cg, r->pids, update, e);
	if (res == 0 && r->block_io)
		res = cgroup_apply_block_io(cg, r->block_io, e);
	if (res == 0)
		res = apply_hugepages(cg, r, e);
	if (res == 0)
		res = apply_network(cg, r->network, e);
	if (res == 0)
		res = apply_rdma(cg, r, e);
	/* Last, so that a raw v2 key wins over the same limit in the spec's own words. */
	for (size_t i = 0; res == 0 && i < r->unified.n; i++)
		res = apply_unified_key(cg, r->unified.k[i], r->unified.v[i], e);
	return res;
}
