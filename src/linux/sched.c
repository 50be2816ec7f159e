/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.scheduler, process.ioPriority and process.execCPUAffinity: sched_setattr(2),
 * ioprio_set(2), sched_setaffinity(2). Runs in the runtime, on the container's process from
 * outside, when that is in its cgroup: cpusets and groups for realtime have a say in all three.
 */
#include "linux/sched.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"

#define NICE_MIN (-20)
#define NICE_MAX 19
#define REALTIME_PRIORITY_MIN 1
#define REALTIME_PRIORITY_MAX 99
#define IO_PRIORITY_MAX 7

/* struct sched_attr of the kernel in its first version, before the utilization clamps: not every
 * C library has it. */
struct sched_attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

struct named {
	const char *name;
	unsigned int value;
};

static const struct named policies[] = {
	{ "SCHED_OTHER", SCHED_NORMAL }, { "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },	 { "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_IDLE", SCHED_IDLE },	 { "SCHED_DEADLINE", SCHED_DEADLINE },
};

static const struct named flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
};

static const struct named io_classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
};

static const struct named *find_name(const struct named *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i].name, name))
			return &list[i];
	return NULL;
}
#define find_in(list, name) find_name((list), ARRAY_SIZE(list), (name))

static int check_flags(const struct oci_scheduler *s, struct err *e)
{
	for (size_t i = 0; i < s->flags.n; i++) {
		const char *flag = s->flags.v[i];

		if (str_has_prefix(flag, "SCHED_FLAG_UTIL_CLAMP"))
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       "process.scheduler.flags[%zu]: %s is not supported: "
				       "config.json has no member for the value to clamp to",
				       i, flag);
		if (!find_in(flags, flag))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "process.scheduler.flags[%zu]: '%s' is unknown", i,
				       flag);
	}
	return 0;
}

int sched_check(const struct oci_scheduler *s, struct err *e)
{
	const struct named *policy;
	bool fixed, deadline;

	if (!s)
		return 0;
	if (streq(s->policy, "SCHED_ISO"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "process.scheduler.policy: SCHED_ISO is not supported: Linux has "
			       "no such policy");
	policy = find_in(policies, s->policy);
	if (!policy)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.scheduler.policy: '%s' is unknown", s->policy);
	fixed = policy->value == SCHED_FIFO || policy->value == SCHED_RR;
	deadline = policy->value == SCHED_DEADLINE;
	if (s->nice.set && (s->nice.value < NICE_MIN || s->nice.value > NICE_MAX))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.scheduler.nice: must be from %d to %d", NICE_MIN,
			       NICE_MAX);
	if (fixed && (!s->priority.set || s->priority.value < REALTIME_PRIORITY_MIN ||
		      s->priority.value > REALTIME_PRIORITY_MAX))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.scheduler.priority: must be from %d to %d for %s",
			       REALTIME_PRIORITY_MIN, REALTIME_PRIORITY_MAX, s->policy);
	if (!fixed && s->priority.set && s->priority.value != 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.scheduler.priority: is for SCHED_FIFO and SCHED_RR, not "
			       "%s",
			       s->policy);
	if (!deadline && ((s->runtime.set && s->runtime.value) ||
			  (s->deadline.set && s->deadline.value) ||
			  (s->period.set && s->period.value)))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.scheduler: runtime, deadline and period are for "
			       "SCHED_DEADLINE, not %s",
			       s->policy);
	return check_flags(s, e);
}

int sched_check_io_priority(const struct oci_io_priority *p, struct err *e)
{
	if (!p)
		return 0;
	if (!find_in(io_classes, p->class_))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.ioPriority.class: '%s' is unknown", p->class_);
	if (p->priority.set &&
	    (p->priority.value < 0 || p->priority.value > IO_PRIORITY_MAX))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "process.ioPriority.priority: must be from 0 to %d",
			       IO_PRIORITY_MAX);
	return 0;
}

static int check_cpus(const char *list, const char *member, struct err *e)
{
	struct bitlist unused;

	if (!list || !*list || bitlist_parse(list, &unused) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "process.execCPUAffinity.%s: '%s' is no list of CPUs such as 0-3,7",
		       member, list);
}

int sched_check_affinity(const struct oci_cpu_affinity *a, struct err *e)
{
	int r = a ? check_cpus(a->initial, "initial", e) : 0;

	return r == 0 && a ? check_cpus(a->final_, "final", e) : r;
}

/* True for the policies that take the CPU from all others: FIFO, RR, DEADLINE. */
static bool sched_is_realtime(const struct oci_scheduler *s)
{
	const struct named *policy = s ? find_in(policies, s->policy) : NULL;

	return policy && (policy->value == SCHED_FIFO || policy->value == SCHED_RR ||
			  policy->value == SCHED_DEADLINE);
}

int sched_apply(pid_t pid, const struct oci_scheduler *s, struct err *e)
{
	struct sched_attributes a = { .size = sizeof(a) };

	if (!s)
		return 0;
	a.policy = find_in(policies, s->policy)->value;
	a.nice = s->nice.set ? s->nice.value : 0;
	a.priority = s->priority.set ? (uint32_t)s->priority.value : 0;
	a.runtime = s->runtime.set ? s->runtime.value : 0;
	a.deadline = s->deadline.set ? s->deadline.value : 0;
	a.period = s->period.set ? s->period.value : 0;
	for (size_t i = 0; i < s->flags.n; i++)
		a.flags |= find_in(flags, s->flags.v[i])->value;
	if (syscall(SYS_sched_setattr, pid, &a, 0U) == 0)
		return 0;
	/* EPERM: no CAP_SYS_NICE, or a group of cgroup v1 that has no time for it. */
	return err_sys(e, "cannot set process.scheduler (%s%s)", s->policy,
		       errno == EPERM && sched_is_realtime(s) ?
			       ", which takes CAP_SYS_NICE, and with cgroup v1 "
			       "linux.resources.cpu.realtimeRuntime" :
			       "");
}

int sched_apply_io_priority(pid_t pid, const struct oci_io_priority *p, struct err *e)
{
	unsigned int value;

	if (!p)
		return 0;
	value = find_in(io_classes, p->class_)->value << IOPRIO_CLASS_SHIFT;
	value |= p->priority.set ? (unsigned int)p->priority.value : 0;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, value) < 0)
		return err_sys(e, "cannot set process.ioPriority (%s)", p->class_);
	return 0;
}

int sched_set_affinity(pid_t pid, const char *list, const char *member, struct err *e)
{
	struct bitlist cpus;
	int r = bitlist_parse(list, &cpus);

	if (r == 0 && syscall(SYS_sched_setaffinity, pid, sizeof(cpus.bits), cpus.bits) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot set process.execCPUAffinity.%s to CPUs %s",
				 member, list) :
		       0;
}

int sched_get_affinity(pid_t pid, struct bitlist *ret, struct err *e)
{
	struct bitlist cpus = {};

	if (syscall(SYS_sched_getaffinity, pid, sizeof(cpus.bits), cpus.bits) < 0)
		return err_sys(e, "cannot read the CPU affinity");
	*ret = cpus;
	return 0;
}

int sched_restore_affinity(pid_t pid, const struct bitlist *cpus, struct err *e)
{
	if (syscall(SYS_sched_setaffinity, pid, sizeof(cpus->bits), cpus->bits) < 0 &&
	    errno != EINVAL)
		return err_sys(e, "cannot set the CPU affinity");
	return 0;
}
