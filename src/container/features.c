/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime can do, collected from the modules that know it. Runs in the runtime. */
#include "oci/features.h"

#include <linux/seccomp.h>
#include <sys/capability.h>

#include "cgroup/cgroup.h"
#include "container/container.h"
#include "linux/mempolicy.h"
#include "linux/mount_options.h"
#include "linux/seccomp.h"

/* All capabilities that this kernel knows. */
static int list_capabilities(struct strv *ret, struct err *e)
{
	for (cap_value_t c = 0; cap_get_bound(c) >= 0; c++) {
		char *name = cap_to_name(c);
		int r = name ? 0 : -1;

		for (char *p = name; p && *p; p++)
			if (*p >= 'a' && *p <= 'z')
				*p = (char)(*p - 'a' + 'A');
		if (name)
			r = strv_add(ret, name);
		cap_free(name);
		if (r < 0)
			return err_oom(e);
	}
	return 0;
}

int container_features(const struct strmap *annotations, struct buf *out, struct err *e)
{
	_strv_free_ struct strv caps = {};
	struct features_input in = {
		.mount_options = mount_option_names(),
		.cgroup_v1 = true,
		.cgroup_v2 = true,
		.cgroup_rdma = true,
		.cgroup_systemd = cgroup_has_systemd(),
		.seccomp_actions = seccomp_action_names(),
		.seccomp_operators = seccomp_operator_names(),
		.seccomp_archs = seccomp_arch_names(),
		.seccomp_known_flags = seccomp_flag_names(),
		.seccomp_supported_flags = seccomp_supported_flag_names(),
		.memory_policy_modes = mempolicy_mode_names(),
		.memory_policy_flags = mempolicy_flag_names(),
		.annotations = *annotations,
	};
	int r;

	r = list_capabilities(&caps, e);
	if (r < 0)
		return r;
	in.capabilities = (const char *const *)caps.v;
	return features_write(&in, out, e);
}
