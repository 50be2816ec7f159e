/* SPDX-License-Identifier: Apache-2.0 */
/* process.rlimits: names, and prlimit(2). Runs in the runtime, for init or an exec'd process. */
#include "linux/rlimit.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "base/list.h"
#include "base/str.h"

static const struct {
	const char *name;
	int resource;
} limits[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

int rlimit_parse(const char *name, int *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (streq(name, limits[i].name)) {
			*ret = limits[i].resource;
			return 0;
		}
	}
	return -EINVAL;
}

int rlimit_apply_to(pid_t pid, const struct oci_rlimit *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct rlimit l = { .rlim_cur = v[i].soft, .rlim_max = v[i].hard };
		int resource;

		if (rlimit_parse(v[i].type, &resource) < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "unknown rlimit '%s'",
				       v[i].type);
		if (prlimit(pid, resource, &l, NULL) < 0)
			return err_sys(e, "cannot set %s to soft %" PRIu64 ", hard %" PRIu64,
				       v[i].type, v[i].soft, v[i].hard);
	}
	return 0;
}
