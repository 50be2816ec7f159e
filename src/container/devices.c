/* SPDX-License-Identifier: Apache-2.0 */
/* See devices.h. Runs in the runtime. */
#include "container/devices.h"

#include <unistd.h>

#include "linux/ns.h"

/* The nodes that the runtime makes, terminals, and mknod of anything: a node that no rule allows
 * to open is of no use. */
static const struct oci_device_cgroup defaults[] = {
	{ .allow = true, .type = "c", .access = "m" },
	{ .allow = true, .type = "b", .access = "m" },
	{ .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 3 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 5 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 7 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 8 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 9 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 5 }, .minor = { true, 0 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 5 }, .minor = { true, 2 }, .access = "rwm" },
	{ .allow = true, .type = "c", .major = { true, 136 }, .access = "rwm" },
};

int devices_list(const struct oci_spec *s, device_rules *ret, struct err *e)
{
	const struct oci_resources *res = s->linux_->resources;
	size_t given = res ? res->devices.n : 0;

	if (geteuid() != 0 || userns_is_nested())
		return 0;
	for (size_t i = 0; i < given + ARRAY_SIZE(defaults); i++) {
		struct oci_device_cgroup *rule = list_add(ret);

		if (!rule)
			return err_oom(e);
		*rule = i < given ? res->devices.v[i] : defaults[i - given];
	}
	return 0;
}

int devices_apply(const struct cgroup *cg, const struct oci_spec *s, struct err *e)
{
	device_rules rules = {};
	int r = 0;

	if (cg->mode != CGROUP_NONE)
		r = devices_list(s, &rules, e);
	if (r == 0 && rules.n)
		r = cgroup_apply_devices(cg, rules.v, rules.n, e);
	free(rules.v);
	return r;
}
