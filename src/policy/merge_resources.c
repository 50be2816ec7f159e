// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of a merge that concern limits: memory, CPU, processes, block I/O. Pure.
 *
 * An engine can also set limits by writing cgroup v2 files itself (`linux.resources.unified`),
 * after all others. What it says there of a thing that the policy limits is folded into the
 * member of its own first, so that the smaller one wins whatever way it came.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/num.h"
#include "policy/merge_parts.h"

#define CPU_PERIOD \
	UINT64_C(100000) /* microseconds: the kernel's and every engine's default */

/* The member, made if it is not there. */
#define ensure(pp) (*(pp) ? *(pp) : (*(pp) = calloc(1, sizeof(**(pp)))))

static struct oci_resources *resources(struct merge *m)
{
	struct oci_resources *r = ensure(&m->spec->linux_->resources);

	if (!r)
		err_oom(m->e);
	return r;
}

static void strmap_remove(struct strmap *map, const char *key)
{
	size_t i;

	for (i = 0; i < map->n; i++) {
		if (!streq(map->k[i], key))
			continue;
		free(map->k[i]);
		free(map->v[i]);
		map->n--;
		for (; i < map->n; i++) {
			map->k[i] = map->k[i + 1];
			map->v[i] = map->v[i + 1];
		}
		return;
	}
}

/* Tightens a limit of which "none" is absent or negative. True when it changed. */
static bool limit_lower(struct opt_i64 *limit, uint64_t max, bool zero_is_none)
{
	int64_t top = max > INT64_MAX ? INT64_MAX : (int64_t)max;
	bool none = !limit->set || limit->value < 0 || (zero_is_none && limit->value == 0);

	if (!none && limit->value <= top)
		return false;
	limit->set = true;
	limit->value = top;
	return true;
}

/*
 * Takes `key` out of the engine's unified map. *ret is its number; UINT64_MAX for "max" and when
 * it is not there.
 */
static int unified_take(struct merge *m, struct oci_resources *r, const char *key,
			uint64_t *ret)
{
	const char *text = strmap_get(&r->unified, key);

	*ret = UINT64_MAX;
	if (!text)
		return 0;
	if (!streq(text, "max") && num_u64(text, ret) < 0)
		return err_set(m->e, ERR_CONFIG, EINVAL,
			       "linux.resources.unified: %s: '%s' is neither a number nor 'max', so it "
			       "cannot be compared with the policy's limit",
			       key, text);
	strmap_remove(&r->unified, key);
	return 0;
}

static int merge_memory(struct merge *m)
{
	uint64_t max = m->p->resources.memory_bytes, unified;
	struct oci_resources *r;
	struct oci_memory *mem;
	bool changed;

	if (!max)
		return 0;
	r = resources(m);
	if (!r)
		return -ENOMEM;
	mem = ensure(&r->memory);
	if (!mem)
		return err_oom(m->e);
	if (unified_take(m, r, "memory.max", &unified) < 0)
		return -EINVAL;
	if (unified < max)
		max = unified ? unified : 1;	       /* 0 would read as no limit */
	strmap_remove(&r->unified, "memory.swap.max"); /* the policy's is none */
	if (mem->swap.set && mem->swap.value > 0 && (uint64_t)mem->swap.value < max)
		max = (uint64_t)mem->swap.value; /* memory and swap together */
	changed = limit_lower(&mem->limit, max, true);
	if (!mem->swap.set || mem->swap.value != mem->limit.value) {
		mem->swap = mem->limit;
		changed = true;
	}
	if (mem->reservation.set && mem->reservation.value > mem->limit.value)
		mem->reservation.value = mem->limit.value;
	if (mem->disable_oom_killer.set && mem->disable_oom_killer.value) {
		mem->disable_oom_killer.value = false;
		changed = true;
	}
	if (changed && merge_explain(m, "memory: at most %" PRIi64 " bytes, swap included",
				     mem->limit.value) < 0)
		return -ENOMEM;
	if (!m->host->cgroup_v2)
		return merge_explain(
			m,
			"memory: out of memory, the kernel kills one process and not the "
			"container, because this host's memory limits are cgroup v1; "
			"'purple run' and Purple's runtime, as root, then kill the rest");
	return strmap_set(&r->unified, "memory.oom.group", "1") < 0 ? err_oom(m->e) : 0;
}

/* Folds "cpu.max" of the unified map ("QUOTA PERIOD" or "max PERIOD") into cpu. */
static int unified_take_cpu(struct merge *m, struct oci_resources *r, struct oci_cpu *cpu)
{
	const char *text = strmap_get(&r->unified, "cpu.max");
	_free_ char *quota = NULL;
	uint64_t q = 0, period = CPU_PERIOD;
	const char *space;

	if (!text)
		return 0;
	space = strchr(text, ' ');
	quota = space ? strndup(text, (size_t)(space - text)) : strdup(text);
	if (!quota)
		return err_oom(m->e);
	if ((space && (num_u64(space + 1, &period) < 0 || period == 0)) ||
	    (!streq(quota, "max") && (num_u64(quota, &q) < 0 || q == 0 || q > INT64_MAX)))
		return err_set(m->e, ERR_CONFIG, EINVAL,
			       "linux.resources.unified: cpu.max: '%s' is not understood, so it cannot "
			       "be compared with the policy's limit",
			       text);
	if (q) {
		/* The unified map is applied last: it replaces what the engine said before. */
		cpu->quota = (struct opt_i64){ .set = true, .value = (int64_t)q };
		cpu->period = (struct opt_u64){ .set = true, .value = period };
	}
	strmap_remove(&r->unified, "cpu.max");
	return 0;
}

static int merge_cpu(struct merge *m)
{
	uint64_t millis = m->p->resources.cpu_millis, period = CPU_PERIOD;
	struct oci_resources *r;
	struct oci_cpu *cpu;
	bool has_quota, changed = false;

	if (!millis)
		return 0;
	r = resources(m);
	if (!r)
		return -ENOMEM;
	cpu = ensure(&r->cpu);
	if (!cpu)
		return err_oom(m->e);
	if (unified_take_cpu(m, r, cpu) < 0)
		return -EINVAL;
	if (cpu->period.set && cpu->period.value)
		period = cpu->period.value;
	has_quota = cpu->quota.set && cpu->quota.value > 0;
	if (!has_quota || (unsigned __int128)cpu->quota.value * 1000 >
				  (unsigned __int128)millis * period) {
		cpu->quota = (struct opt_i64){
			.set = true, .value = (int64_t)(millis * (CPU_PERIOD / 1000))
		};
		cpu->period = (struct opt_u64){ .set = true, .value = CPU_PERIOD };
		changed = true;
	}
	/* Both would let it run beyond the quota. */
	if (cpu->burst.set && cpu->burst.value) {
		cpu->burst.value = 0;
		changed = true;
	}
	strmap_remove(&r->unified, "cpu.max.burst");
	if (cpu->realtime_runtime.set && cpu->realtime_runtime.value) {
		cpu->realtime_runtime.value = 0;
		changed = true;
	}
	if (!changed)
		return 0;
	return merge_explain(m, "cpu: at most %" PRIu64 ".%03" PRIu64 " CPUs",
			     millis / 1000, millis % 1000);
}

static int merge_pids(struct merge *m)
{
	uint64_t max = m->p->resources.pids_limit, unified;
	struct oci_resources *r;
	struct oci_pids *pids;

	if (!max)
		return 0;
	r = resources(m);
	if (!r)
		return -ENOMEM;
	pids = ensure(&r->pids);
	if (!pids)
		return err_oom(m->e);
	if (unified_take(m, r, "pids.max", &unified) < 0)
		return -EINVAL;
	if (unified < max)
		max = unified;
	if (!limit_lower(&pids->limit, max, false))
		return 0;
	return merge_explain(m, "pids: at most %" PRIi64 " processes and threads",
			     pids->limit.value);
}

/* The entry of one device, lowered or added. True when something changed; -ENOMEM. */
static int throttle_lower(oci_throttles *l, const struct oci_throttle *dev, uint64_t rate)
{
	struct oci_throttle *t;
	bool found = false, changed = false;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (l->v[i].major != dev->major || l->v[i].minor != dev->minor)
			continue;
		found = true;
		if (l->v[i].rate == 0 || l->v[i].rate > rate) { /* 0 lifts the limit */
			l->v[i].rate = rate;
			changed = true;
		}
	}
	if (found)
		return changed;
	t = list_add(l);
	if (!t)
		return -ENOMEM;
	*t = *dev;
	t->rate = rate;
	return 1;
}

static int merge_block_io(struct merge *m)
{
	uint64_t rate = m->p->resources.block_io_bps;
	const struct merge_host *h = m->host;
	struct oci_resources *r;
	struct oci_block_io *io;
	size_t i;

	if (!rate)
		return 0;
	if (!h->block_devices_known)
		return err_set(m->e, ERR_POLICY, ENOTSUP,
			       POLICY_AT "resources.block_io_limit cannot hold here: %s",
			       policy_at(m->p, m->p->resources.block_io_pos),
			       h->block_devices_why ?
				       h->block_devices_why :
				       "the devices behind its files are unknown");
	r = resources(m);
	if (!r)
		return -ENOMEM;
	if (strmap_get(&r->unified, "io.max"))
		return err_set(m->e, ERR_POLICY, EINVAL,
			       POLICY_AT
			       "resources.block_io_limit cannot be combined with io.max in "
			       "linux.resources.unified",
			       policy_at(m->p, m->p->resources.block_io_pos));
	io = ensure(&r->block_io);
	if (!io)
		return err_oom(m->e);
	for (i = 0; i < h->block_devices.n; i++) {
		const struct oci_throttle *dev = &h->block_devices.v[i];
		int rd = throttle_lower(&io->throttle_read_bps, dev, rate);
		int wr = throttle_lower(&io->throttle_write_bps, dev, rate);

		if (rd < 0 || wr < 0)
			return err_oom(m->e);
		if ((rd || wr) && merge_explain(m,
						"block I/O: at most %" PRIu64
						" bytes a second each way on "
						"device %" PRIi64 ":%" PRIi64,
						rate, dev->major, dev->minor) < 0)
			return -ENOMEM;
	}
	if (h->block_devices.n == 0)
		return merge_explain(m,
				     "block I/O: the container writes to no block device");
	if (h->cgroup_v2)
		return 0;
	return merge_explain(m, "block I/O: with cgroup v1 the kernel counts reads and direct writes; "
				"writes through the page cache go by uncounted");
}

int merge_resources(struct merge *m)
{
	int r = merge_memory(m);

	if (r == 0)
		r = merge_cpu(m);
	if (r == 0)
		r = merge_pids(m);
	return r ? r : merge_block_io(m);
}
