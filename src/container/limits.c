/* SPDX-License-Identifier: Apache-2.0 */
/* See limits.h. */
#include "container/limits.h"

#include <errno.h>

/* In an update, 0 and absent mean "as it is", and -1 lifts the limit. */
static void lower(struct opt_i64 *value, const struct opt_i64 *limit)
{
	if (!limit->set || !value->set || value->value == 0)
		return;
	if (value->value < 0 || value->value > limit->value)
		value->value = limit->value;
}

static void tighten_cpu(const struct oci_cpu *limit, struct oci_cpu *cpu)
{
	unsigned __int128 asked, allowed;

	if (!limit->quota.set || limit->quota.value <= 0)
		return;
	cpu->burst = (struct opt_u64){};
	cpu->realtime_runtime = (struct opt_i64){};
	cpu->realtime_period = (struct opt_u64){};
	if (!cpu->quota.set && !cpu->period.set)
		return;
	/* Half of a quota may be worse than none: both are set together. */
	if (cpu->quota.set && cpu->quota.value > 0 && cpu->period.set &&
	    cpu->period.value > 0) {
		asked = (unsigned __int128)cpu->quota.value * limit->period.value;
		allowed = (unsigned __int128)limit->quota.value * cpu->period.value;
		if (asked <= allowed)
			return;
	} else if (cpu->quota.set && cpu->quota.value == 0 && !cpu->period.value) {
		return;
	}
	cpu->quota = limit->quota;
	cpu->period = limit->period;
}

static void tighten_throttles(const oci_throttles *limits, oci_throttles *l)
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < limits->n; k++)
			if (l->v[i].major == limits->v[k].major &&
			    l->v[i].minor == limits->v[k].minor &&
			    (l->v[i].rate == 0 || l->v[i].rate > limits->v[k].rate))
				l->v[i].rate = limits->v[k].rate;
}

static int refuse_unified(const struct oci_resources *limits,
			  const struct oci_resources *res, struct err *e)
{
	const struct {
		const char *prefix;
		bool limited;
	} parts[] = {
		{ "memory.", limits->memory != NULL },
		{ "cpu.", limits->cpu != NULL },
		{ "pids.", limits->pids != NULL },
		{ "io.", limits->block_io != NULL },
	};

	for (size_t i = 0; i < res->unified.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++)
			if (parts[k].limited &&
			    str_has_prefix(res->unified.k[i], parts[k].prefix))
				return err_set(e, ERR_POLICY, EPERM,
					       "unified: %s: a policy limits this: use the member "
					       "of its own instead",
					       res->unified.k[i]);
	return 0;
}

int limits_tighten(const struct oci_resources *limits, struct oci_resources *res,
		   struct err *e)
{
	if (limits->memory && res->memory) {
		lower(&res->memory->limit, &limits->memory->limit);
		lower(&res->memory->swap, &limits->memory->swap);
		res->memory->disable_oom_killer = (struct opt_bool){};
	}
	if (limits->cpu && res->cpu)
		tighten_cpu(limits->cpu, res->cpu);
	if (limits->pids && res->pids) {
		struct opt_i64 *pids = &res->pids->limit;

		/* Here 0 is a limit. */
		if (limits->pids->limit.set && pids->set &&
		    (pids->value < 0 || pids->value > limits->pids->limit.value))
			pids->value = limits->pids->limit.value;
	}
	if (limits->block_io && res->block_io) {
		tighten_throttles(&limits->block_io->throttle_read_bps,
				  &res->block_io->throttle_read_bps);
		tighten_throttles(&limits->block_io->throttle_write_bps,
				  &res->block_io->throttle_write_bps);
	}
	return refuse_unified(limits, res, e);
}
