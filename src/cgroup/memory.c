/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources.memory. Runs in the runtime process with write rights on the group.
 *
 * The spec counts as v1 does: `swap` is memory plus swap. cgroup2 limits swap alone. On v1 the
 * kernel wants memory <= memory+swap at every moment, so the order of the two writes depends on
 * whether the limits go up or down.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "cgroup/internal.h"

#define FIELD "linux.resources.memory"

#define V1_LIMIT "memory.limit_in_bytes"
#define V1_SWAP "memory.memsw.limit_in_bytes"

int cgroup_swap_to_v2(int64_t swap, int64_t limit, int64_t *ret, struct err *e)
{
	if (swap < 0) {
		*ret = -1;
		return 0;
	}
	if (limit <= 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD
			       ".swap: memory plus swap can be limited only with a memory limit");
	if (swap < limit)
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD ".swap: memory plus swap (%" PRId64
				     ") is less than the memory "
				     "limit (%" PRId64 ")",
			       swap, limit);
	*ret = swap - limit;
	return 0;
}

/* False also when it cannot be told: then a swap limit counts as not enforceable. */
static bool host_has_no_swap(void)
{
	_free_ char *text = NULL;
	struct err ignored;
	const char *at;

	if (fs_read(AT_FDCWD, "/proc/meminfo", 1 << 16, &text, NULL, &ignored) < 0)
		return false;
	at = strstr(text, "SwapTotal:");
	return at && strtoull(at + strlen("SwapTotal:"), NULL, 10) == 0;
}

/* The kernel keeps no count of swap. Harmless when there is nothing to limit. */
static int without_swap_accounting(int64_t swap_alone, const char *dir, const char *file,
				   struct err *e)
{
	if (swap_alone < 0 || (swap_alone == 0 && host_has_no_swap()))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "cannot set " FIELD
		       ".swap: this kernel has no '%s/%s' (swap accounting is off; "
		       "boot with swapaccount=1, or turn swap off and set swap to the memory limit)",
		       dir, file);
}

/* checkBeforeUpdate: a limit below what is in use is refused instead of enforced. */
static int check_usage(const struct oci_memory *m, const char *dir, bool v2, struct err *e)
{
	uint64_t usage = 0, swap = 0;
	int r;

	r = cgroup_read_u64(dir, v2 ? "memory.current" : "memory.usage_in_bytes", &usage);
	if (r < 0)
		return err_errno(e, r, "cannot read the memory usage in '%s'", dir);
	if (m->limit.set && m->limit.value > 0 && (uint64_t)m->limit.value < usage)
		return err_set(e, ERR_STATE, EBUSY,
			       FIELD ".limit: %" PRId64
				     " is below the present usage of %" PRIu64,
			       m->limit.value, usage);
	r = cgroup_read_u64(dir, v2 ? "memory.swap.current" : "memory.memsw.usage_in_bytes",
			    &swap);
	if (r < 0)
		return 0; /* not counted, so there is nothing to compare */
	if (v2)
		swap += usage;
	if (m->swap.set && m->swap.value > 0 && (uint64_t)m->swap.value < swap)
		return err_set(e, ERR_STATE, EBUSY,
			       FIELD ".swap: %" PRId64
				     " is below the present usage of %" PRIu64,
			       m->swap.value, swap);
	return 0;
}

static int v1_set_limit(const char *dir, int64_t limit, struct err *e)
{
	int r = cgroup_set_i64(FIELD ".limit", dir, V1_LIMIT, limit, e);

	/* What the two refusals mean, which the kernel does not say. */
	if (r == -EBUSY)
		return err_set(e, ERR_STATE, EBUSY,
			       "cannot set " FIELD ".limit: write '%" PRId64
			       "' to '%s/" V1_LIMIT
			       "': more than that is in use and cannot be freed",
			       limit, dir);
	if (r == -EINVAL)
		return err_wrap(e, "the limit is above the present memory plus swap limit, if that is "
				   "lower (set swap too)");
	return r;
}

static int v1_limits(const char *dir, const struct oci_memory *m, struct err *e)
{
	bool has_limit = cgroup_given(m->limit), has_swap = cgroup_given(m->swap);
	int64_t limit = has_limit ? m->limit.value : 0, swap = has_swap ? m->swap.value : 0;
	uint64_t now = 0;
	int64_t alone;
	int r;

	if (has_swap) {
		if (!has_limit && cgroup_read_u64(dir, V1_LIMIT, &now) == 0)
			limit = (int64_t)now;
		r = cgroup_swap_to_v2(swap, limit, &alone, e);
		if (r < 0)
			return r;
		if (!cgroup_has_file(dir, V1_SWAP)) {
			r = without_swap_accounting(alone, dir, V1_SWAP, e);
			if (r < 0)
				return r;
			has_swap = false;
		}
	} else if (has_limit && limit < 0 && cgroup_has_file(dir, V1_SWAP)) {
		/* Memory cannot be unlimited while memory plus swap is not. */
		has_swap = true;
		swap = -1;
	}
	if (has_swap && (swap < 0 || (cgroup_read_u64(dir, V1_SWAP, &now) == 0 &&
				      (uint64_t)swap > now))) {
		r = cgroup_set_i64(FIELD ".swap", dir, V1_SWAP, swap, e);
		return r < 0 || !has_limit ? r : v1_set_limit(dir, limit, e);
	}
	if (has_limit) {
		r = v1_set_limit(dir, limit, e);
		if (r < 0)
			return r;
	}
	return has_swap ? cgroup_set_i64(FIELD ".swap", dir, V1_SWAP, swap, e) : 0;
}

static int v1_set_hierarchy(const char *dir, bool wanted, struct err *e)
{
	uint64_t now;

	if (cgroup_read_u64(dir, "memory.use_hierarchy", &now) == 0 && (now != 0) == wanted)
		return 0;
	return cgroup_set(FIELD ".useHierarchy", dir, "memory.use_hierarchy",
			  wanted ? "1" : "0", e);
}

static int apply_v1(const char *dir, const struct oci_memory *m, bool update, struct err *e)
{
	int r = 0;

	/* First: with groups below, the kernel lets it be no more. */
	if (m->use_hierarchy.set)
		r = v1_set_hierarchy(dir, m->use_hierarchy.value, e);
	if (r == 0)
		r = v1_limits(dir, m, e);
	if (r == 0 && cgroup_given(m->reservation))
		r = cgroup_set_i64(FIELD ".reservation", dir,
				   "memory.soft_limit_in_bytes", m->reservation.value, e);
	if (r == 0 && cgroup_given(m->kernel_tcp) &&
	    (m->kernel_tcp.value > 0 ||
	     cgroup_has_file(dir, "memory.kmem.tcp.limit_in_bytes")))
		r = cgroup_set_i64(FIELD ".kernelTCP", dir, "memory.kmem.tcp.limit_in_bytes",
				   m->kernel_tcp.value, e);
	if (r == 0 && m->swappiness.set && (m->swappiness.value || !update))
		r = cgroup_set_i64(FIELD ".swappiness", dir, "memory.swappiness",
				   (int64_t)m->swappiness.value, e);
	if (r == 0 && m->disable_oom_killer.set && (m->disable_oom_killer.value || update))
		r = cgroup_set(FIELD ".disableOOMKiller", dir, "memory.oom_control",
			       m->disable_oom_killer.value ? "1" : "0", e);
	return r;
}

/* Members that v1 alone has. What asks for v2's own behaviour is fine. */
static int refuse_v1_members(const struct oci_memory *m, bool update, struct err *e)
{
	const char *name = NULL;

	if (m->swappiness.set && (m->swappiness.value || !update))
		name = "swappiness";
	else if (m->disable_oom_killer.set && m->disable_oom_killer.value)
		name = "disableOOMKiller";
	else if (m->use_hierarchy.set && !m->use_hierarchy.value)
		name = "useHierarchy";
	else if (m->kernel_tcp.set && m->kernel_tcp.value > 0)
		name = "kernelTCP";
	return name ? err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			      "cannot set " FIELD ".%s: cgroup v2 has no such setting",
			      name) :
		      0;
}

static int v2_swap(const char *dir, const struct oci_memory *m, struct err *e)
{
	int64_t swap = cgroup_given(m->swap) ? m->swap.value : -1, alone;
	int64_t limit = cgroup_given(m->limit) ? m->limit.value : -1;
	uint64_t now;
	int r;

	if (!cgroup_given(m->limit) && cgroup_read_u64(dir, "memory.max", &now) == 0 &&
	    now <= INT64_MAX)
		limit = (int64_t)now;
	r = cgroup_swap_to_v2(swap, limit, &alone, e);
	if (r < 0)
		return r;
	if (!cgroup_has_file(dir, "memory.swap.max"))
		return without_swap_accounting(alone, dir, "memory.swap.max", e);
	return cgroup_set_max(FIELD ".swap", dir, "memory.swap.max", alone, e);
}

static int apply_v2(const char *dir, const struct oci_memory *m, bool update, struct err *e)
{
	int r = refuse_v1_members(m, update, e);

	/* As on v1, unlimited memory without a word about swap lifts the swap limit too. */
	if (r == 0 &&
	    (cgroup_given(m->swap) || (cgroup_given(m->limit) && m->limit.value < 0)))
		r = v2_swap(dir, m, e);
	if (r == 0 && cgroup_given(m->limit))
		r = cgroup_set_max(FIELD ".limit", dir, "memory.max", m->limit.value, e);
	/* -1, no soft limit, is nothing protected here: "max" would protect everything. */
	if (r == 0 && cgroup_given(m->reservation))
		r = cgroup_set_i64(FIELD ".reservation", dir, "memory.low",
				   m->reservation.value < 0 ? 0 : m->reservation.value, e);
	return r;
}

/* Whether there is anything to set, or to refuse. */
static bool asks_for_something(const struct oci_memory *m, bool update)
{
	return cgroup_given(m->limit) || cgroup_given(m->swap) ||
	       cgroup_given(m->reservation) ||
	       (m->kernel_tcp.set && m->kernel_tcp.value > 0) ||
	       (m->swappiness.set && (m->swappiness.value || !update)) ||
	       (m->disable_oom_killer.set && m->disable_oom_killer.value) ||
	       (m->use_hierarchy.set && !m->use_hierarchy.value);
}

static const char *first_member(const struct oci_memory *m)
{
	if (cgroup_given(m->limit))
		return FIELD ".limit";
	if (cgroup_given(m->swap))
		return FIELD ".swap";
	return cgroup_given(m->reservation) ? FIELD ".reservation" : FIELD;
}

int cgroup_apply_memory(const struct cgroup *cg, const struct oci_memory *m, bool update,
			struct err *e)
{
	struct cgroup_place at;
	bool v2;
	int r;

	if (m->kernel.set && m->kernel.value > 0)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot set " FIELD
			       ".kernel: kernel memory limits are deprecated and "
			       "current kernels have none (leave it out)");
	if (!asks_for_something(m, update))
		return 0;
	/* Limits are only lifted, and there are none. */
	if (!(cgroup_needs(&(struct oci_resources){ .memory = (struct oci_memory *)m }) &
	      CGROUP_NEEDS_MEMORY) &&
	    !cgroup_find(cg, "memory", &v2))
		return 0;
	r = cgroup_place(cg, "memory", first_member(m), &at, e);
	if (r < 0)
		return r;
	if (update && m->check_before_update.set && m->check_before_update.value) {
		r = check_usage(m, at.dir, at.v2, e);
		if (r < 0)
			return r;
	}
	return at.v2 ? apply_v2(at.dir, m, update, e) : apply_v1(at.dir, m, update, e);
}
