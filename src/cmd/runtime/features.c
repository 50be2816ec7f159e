/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime features */
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/runtime/runtime.h"
#include "config.h"
#include "linux/mount_options.h"
#include "linux/seccomp.h"
#include "oci/features.h"

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

static int run(const void *global, void *opts, char **args, int n, int *ret_status, struct err *e)
{
	_strv_free_ struct strv caps = {};
	_strmap_free_ struct strmap notes = {};
	_buf_free_ struct buf out = {};
	struct features_input in = {
		.mount_options = mount_option_names(),
		.cgroup_v1 = true,
		.cgroup_v2 = true,
		.cgroup_rdma = true,
		.seccomp_actions = seccomp_action_names(),
		.seccomp_operators = seccomp_operator_names(),
		.seccomp_archs = seccomp_arch_names(),
		.seccomp_known_flags = seccomp_flag_names(),
		.seccomp_supported_flags = seccomp_supported_flag_names(),
	};
	int r;

	r = list_capabilities(&caps, e);
	if (r < 0)
		return r;
	if (strmap_set(&notes, "io.purple.version", PACKAGE_VERSION) < 0 ||
	    strmap_set(&notes, "io.purple.commit", PURPLE_COMMIT) < 0 ||
	    strmap_set(&notes, "io.purple.policy-schema", "1") < 0 ||
	    strmap_set(&notes, "io.purple.bpf", "devices") < 0)
		return err_oom(e);
	in.capabilities = (const char *const *)caps.v;
	in.annotations = notes;
	r = features_write(&in, &out, e);
	return r < 0 ? r : print_text(&out, e);
}

const struct command features_command = {
	.name = "features",
	.arguments = "",
	.help = "Print what this runtime supports, as JSON.",
	.run = run,
};
