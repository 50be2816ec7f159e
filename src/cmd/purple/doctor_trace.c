/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: whether containers can be traced, for audit and ebpf_monitoring. Runs in `purple`. */
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

static void check_leftovers(struct doctor *d)
{
	static const struct doctor_pins traces = { "leftover traces", trace_list,
						   trace_stop, trace_tidy };

	/* They would go on costing the whole host time. */
	doctor_check_pins(d, &traces);
}

void doctor_check_tracing(struct doctor *d)
{
	check_programs(d);
	check_leftovers(d);
}
