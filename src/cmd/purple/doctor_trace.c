/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: whether containers can be traced, for audit and ebpf_monitoring. Runs in `purple`. */
#include <errno.h>
#include <time.h>

#include "audit/trace.h"
#include "cmd/purple/doctor.h"

/* By loading the programs, as the first container that is traced does. */
static void check_programs(struct doctor *d)
{
	const struct doctor_subject s = { "tracing", "audit, ebpf_monitoring", false };
	struct err e;

	if (d->ordinary)
		doctor_bad(d, &s, DOCTOR_MISSING, "run as root",
			   "an ordinary user cannot load it");
	else if (trace_check(&e) < 0)
		doctor_bad(d, &s, DOCTOR_MISSING, NULL, "%s", e.msg);
	else
		doctor_ok(d, &s,
			  "programs, files, connections, denied system calls, privileges");
}

static int add_if_gone(const char *name, uint64_t group, uint32_t wants, void *arg)
{
	return group || strv_add(arg, name) == 0 ? 0 : -ENOMEM;
}

/* Now and a moment later: one that is being made or taken away is not whole. */
static int list_gone(struct strv *ret, struct err *e)
{
	const struct timespec moment = { .tv_nsec = 500 * 1000 * 1000 };
	_strv_free_ struct strv first = {}, second = {};
	int r = trace_list(add_if_gone, &first, e);

	if (r == 0 && first.n == 0)
		return 0;
	if (r == 0) {
		nanosleep(&moment, NULL);
		r = trace_list(add_if_gone, &second, e);
	}
	for (size_t i = 0; r == 0 && i < second.n; i++)
		if (strv_contains(&first, second.v[i]) && strv_add(ret, second.v[i]) < 0)
			r = -ENOMEM;
	return r == -ENOMEM ? err_oom(e) : r;
}

static int remove_leftovers(const struct strv *names, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++)
		r = trace_stop(names->v[i], e);
	trace_tidy();
	return r;
}

/* They would go on costing the whole host time. */
static void check_leftovers(struct doctor *d)
{
	const struct doctor_subject s = { "leftover traces", "containers", true };
	_strv_free_ struct strv names = {};
	struct err e = {};

	if (d->ordinary)
		return;
	if (list_gone(&names, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (names.n == 0)
		doctor_ok(d, &s, "none of containers that are gone");
	else if (!d->may_fix)
		doctor_bad(d, &s, DOCTOR_BROKEN, "purple doctor --fix",
			   "%zu of containers that are gone: %s%s", names.n, names.v[0],
			   names.n > 1 ? ", ..." : "");
	else if (remove_leftovers(&names, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else
		doctor_ok(d, &s, "%zu removed", names.n);
}

void doctor_check_tracing(struct doctor *d)
{
	check_programs(d);
	check_leftovers(d);
}
