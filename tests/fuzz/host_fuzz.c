/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for what the kernel says of cgroups: /proc/self/mountinfo and
 * /proc/self/cgroup (two parts), whose paths a user namespace or a mount can choose.
 * runs: 60000
 */
#include "cgroup/cgroup.h"
#include "fuzz.h"

static void check_hierarchy(const struct cgroup_hierarchy *h)
{
	fuzz_require(h->mount && h->own);
	fuzz_require(h->mount[0] == '/' && h->own[0] == '/');
}

static void check_host(const struct cgroup_host *h)
{
	fuzz_require(h->mode <= CGROUP_V2);
	fuzz_require((h->mode == CGROUP_V1 || h->mode == CGROUP_HYBRID) == (h->v1.n > 0));
	fuzz_require((h->mode == CGROUP_V2 || h->mode == CGROUP_HYBRID) ==
		     (h->unified.mount != NULL));
	for (size_t i = 0; i < h->v1.n; i++) {
		check_hierarchy(&h->v1.v[i]);
		fuzz_require(h->v1.v[i].controllers.n > 0);
	}
	if (h->unified.mount)
		check_hierarchy(&h->unified);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_free_ char *mountinfo = fuzz_next_part(&data, &size);
	_free_ char *cgroup = fuzz_next_part(&data, &size);
	_cgroup_host_clear_ struct cgroup_host h = {};
	struct err e = {};
	int r;

	if (!cgroup)
		return 0;
	r = cgroup_host_parse(mountinfo, cgroup, &h, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	else
		check_host(&h);
	return 0;
}
