/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for process.json, the input of `exec --process`: read, checked, and held to a
 * container's policies as exec does. Besides memory errors it looks for a process that gets more
 * than the container's own has.
 * runs: 80000
 */
#include <strings.h>

#include "container/process.h"
#include "fuzz.h"
#include "policy/plan.h"

/* The container: one capability, a limit of open files, execs denied. */
static const char container_text[] =
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"/r\"},\"process\":{\"cwd\":\"/\","
	"\"args\":[\"a\"],\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"]},"
	"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":64,\"hard\":1024}]},"
	"\"linux\":{\"purplePolicySeccomp\":[{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"purpleExecOnce\":true}]}}";

static int check(const void *process, struct err *e)
{
	return oci_process_check(process, e);
}

static void require_subset(const struct strv *set)
{
	for (size_t i = 0; i < set->n; i++)
		fuzz_require(strcasecmp(set->v[i], "CAP_KILL") == 0 ||
			     strcasecmp(set->v[i], "CAP_CHOWN") == 0);
}

static void check_limited(const struct oci_process *p)
{
	size_t files = 0;

	fuzz_require(p->no_new_privileges);
	if (p->capabilities) {
		require_subset(&p->capabilities->bounding);
		require_subset(&p->capabilities->effective);
		require_subset(&p->capabilities->permitted);
		require_subset(&p->capabilities->inheritable);
		require_subset(&p->capabilities->ambient);
	}
	for (size_t i = 0; i < p->rlimits.n; i++) {
		if (!streq(p->rlimits.v[i].type, "RLIMIT_NOFILE"))
			continue;
		files++;
		fuzz_require(p->rlimits.v[i].hard <= 1024);
		fuzz_require(p->rlimits.v[i].soft <= p->rlimits.v[i].hard);
	}
	fuzz_require(files == 1);
}

static void limit(const struct oci_process *p)
{
	static struct oci_spec container;
	struct oci_process limited = {};
	struct caps caps;
	struct err e = {};
	int r;

	if (!container.linux_ && !fuzz_read(container_text, strlen(container_text),
					    &oci_state_spec_type, &container))
		fuzz_die("the container's configuration", "cannot be read");
	if (json_copy(&oci_process_type, p, &limited, &e) < 0)
		fuzz_die("cannot copy", e.msg);
	r = policy_limit_process(&container, &limited, &e);
	if (r < 0)
		fuzz_die("a process cannot be limited", e.msg);
	check_limited(&limited);
	/* Or exec_once had no number for the program. */
	fuzz_require(process_exec_fd(&limited) >= 0);
	if (caps_parse(limited.capabilities, &caps, NULL, &e) == 0)
		fuzz_require(!((caps.bounding | caps.effective | caps.permitted |
				caps.inheritable | caps.ambient) &
			       ~UINT64_C(0x21)));
	json_clear(&oci_process_type, &limited);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_process p = {};
	struct err e = {};

	if (!fuzz_read(data, size, &oci_process_type, &p))
		return 0;
	fuzz_round_trip(&oci_process_type, &p, check);
	if (oci_process_check(&p, &e) == 0)
		limit(&p);
	json_clear(&oci_process_type, &p);
	return 0;
}
