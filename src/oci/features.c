/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the document of `features` (runtime-spec, features.md and features-linux.md): see
 * features.h. Pure: what depends on the build or the host comes in from the caller.
 */
#include "oci/features.h"

#include "base/json.h"
#include "oci/state.h"

struct enabled {
	struct opt_bool enabled;
};

struct cgroup {
	struct opt_bool v1, v2, systemd, systemd_user, rdma;
};

struct seccomp {
	struct opt_bool enabled;
	struct strv actions, operators, archs, known_flags, supported_flags;
};

struct intel_rdt {
	struct opt_bool enabled, schemata, monitoring;
};

struct memory_policy {
	struct strv modes, flags;
};

struct mount_extensions {
	struct enabled *idmap;
};

struct linux_features {
	struct strv namespaces, capabilities;
	struct cgroup *cgroup;
	struct seccomp *seccomp;
	struct enabled *apparmor, *selinux;
	struct intel_rdt *intel_rdt;
	struct memory_policy *memory_policy;
	struct mount_extensions *mount_extensions;
	struct enabled *net_devices;
};

/* Everything in it is borrowed or static: it is written and never cleared. */
struct features {
	const char *oci_version_min, *oci_version_max;
	struct strv hooks, mount_options;
	struct linux_features *linux_;
	struct strmap annotations;
	struct strv unsafe_annotations;
};

#define TYPE_OF(st, rows)                                   \
	{                                                   \
		.size = sizeof(struct st), .fields = (rows) \
	}
/* An empty list means "none", an absent one "unknown": so lists are always written. */
#define LIST(st, member, name) JSON_FR(st, member, name, JSON_STRV)

static const struct json_field enabled_rows[] = {
	JSON_F(enabled, enabled, "enabled", JSON_OPT_BOOL),
	{},
};
static const struct json_type enabled_type = TYPE_OF(enabled, enabled_rows);

static const struct json_field cgroup_rows[] = {
	JSON_F(cgroup, v1, "v1", JSON_OPT_BOOL),
	JSON_F(cgroup, v2, "v2", JSON_OPT_BOOL),
	JSON_F(cgroup, systemd, "systemd", JSON_OPT_BOOL),
	JSON_F(cgroup, systemd_user, "systemdUser", JSON_OPT_BOOL),
	JSON_F(cgroup, rdma, "rdma", JSON_OPT_BOOL),
	{},
};
static const struct json_type cgroup_type = TYPE_OF(cgroup, cgroup_rows);

static const struct json_field seccomp_rows[] = {
	JSON_F(seccomp, enabled, "enabled", JSON_OPT_BOOL),
	LIST(seccomp, actions, "actions"),
	LIST(seccomp, operators, "operators"),
	LIST(seccomp, archs, "archs"),
	LIST(seccomp, known_flags, "knownFlags"),
	LIST(seccomp, supported_flags, "supportedFlags"),
	{},
};
static const struct json_type seccomp_type = TYPE_OF(seccomp, seccomp_rows);

static const struct json_field intel_rdt_rows[] = {
	JSON_F(intel_rdt, enabled, "enabled", JSON_OPT_BOOL),
	JSON_F(intel_rdt, schemata, "schemata", JSON_OPT_BOOL),
	JSON_F(intel_rdt, monitoring, "monitoring", JSON_OPT_BOOL),
	{},
};
static const struct json_type intel_rdt_type = TYPE_OF(intel_rdt, intel_rdt_rows);

static const struct json_field memory_policy_rows[] = {
	LIST(memory_policy, modes, "modes"),
	LIST(memory_policy, flags, "flags"),
	{},
};
static const struct json_type memory_policy_type = TYPE_OF(memory_policy,
							   memory_policy_rows);

static const struct json_field mount_extensions_rows[] = {
	JSON_FT(mount_extensions, idmap, "idmap", JSON_STRUCT, &enabled_type),
	{},
};
static const struct json_type mount_extensions_type = TYPE_OF(mount_extensions,
							      mount_extensions_rows);

static const struct json_field linux_rows[] = {
	LIST(linux_features, namespaces, "namespaces"),
	LIST(linux_features, capabilities, "capabilities"),
	JSON_FT(linux_features, cgroup, "cgroup", JSON_STRUCT, &cgroup_type),
	JSON_FT(linux_features, seccomp, "seccomp", JSON_STRUCT, &seccomp_type),
	JSON_FT(linux_features, apparmor, "apparmor", JSON_STRUCT, &enabled_type),
	JSON_FT(linux_features, selinux, "selinux", JSON_STRUCT, &enabled_type),
	JSON_FT(linux_features, intel_rdt, "intelRdt", JSON_STRUCT, &intel_rdt_type),
	JSON_FT(linux_features, memory_policy, "memoryPolicy", JSON_STRUCT,
		&memory_policy_type),
	JSON_FT(linux_features, mount_extensions, "mountExtensions", JSON_STRUCT,
		&mount_extensions_type),
	JSON_FT(linux_features, net_devices, "netDevices", JSON_STRUCT, &enabled_type),
	{},
};
static const struct json_type linux_type = TYPE_OF(linux_features, linux_rows);

static const struct json_field features_rows[] = {
	JSON_FR(features, oci_version_min, "ociVersionMin", JSON_STR),
	JSON_FR(features, oci_version_max, "ociVersionMax", JSON_STR),
	LIST(features, hooks, "hooks"),
	LIST(features, mount_options, "mountOptions"),
	JSON_FT(features, linux_, "linux", JSON_STRUCT, &linux_type),
	JSON_F(features, annotations, "annotations", JSON_STRMAP),
	LIST(features, unsafe_annotations, "potentiallyUnsafeConfigAnnotations"),
	{},
};
static const struct json_type features_type = TYPE_OF(features, features_rows);

static const char *const hook_stages[] = {
	"prestart",
	"createRuntime",
	"createContainer",
	"startContainer",
	"poststart",
	"poststop",
	NULL,
};

static const char *const namespace_types[] = {
	"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts", NULL,
};

/* Annotations name a policy, and set properties of a systemd unit: they change what a container may
 * do. The final dot makes a prefix (features.md). */
static const char *const unsafe_annotations[] = { "io.purple.", "org.systemd.property.",
						  NULL };

/* The list as a vector, without copying; for writing only. */
static struct strv borrow(const char *const *list)
{
	struct strv l = { .v = (char **)list };

	while (list && list[l.n])
		l.n++;
	return l;
}

static struct opt_bool known(bool value)
{
	return (struct opt_bool){ .set = true, .value = value };
}

int features_write(const struct features_input *in, struct buf *out, struct err *e)
{
	/* "Unrelated to whether the host supports it": what the runtime itself can do. */
	struct enabled yes = { known(true) };
	struct intel_rdt intel_rdt = { known(true), known(true), known(true) };
	struct memory_policy memory_policy = {
		.modes = borrow(in->memory_policy_modes),
		.flags = borrow(in->memory_policy_flags),
	};
	struct mount_extensions extensions = { .idmap = &yes };
	struct cgroup cgroup = {
		.v1 = known(in->cgroup_v1),
		.v2 = known(in->cgroup_v2),
		.systemd = known(in->cgroup_systemd),
		.systemd_user = known(in->cgroup_systemd),
		.rdma = known(in->cgroup_rdma),
	};
	struct seccomp seccomp = {
		.enabled = known(true),
		.actions = borrow(in->seccomp_actions),
		.operators = borrow(in->seccomp_operators),
		.archs = borrow(in->seccomp_archs),
		.known_flags = borrow(in->seccomp_known_flags),
		.supported_flags = borrow(in->seccomp_supported_flags),
	};
	struct linux_features linux_part = {
		.namespaces = borrow(namespace_types),
		.capabilities = borrow(in->capabilities),
		.cgroup = &cgroup,
		.seccomp = &seccomp,
		.apparmor = &yes,
		.selinux = &yes,
		.intel_rdt = &intel_rdt,
		.memory_policy = &memory_policy,
		.mount_extensions = &extensions,
		.net_devices = &yes,
	};
	const struct features f = {
		.oci_version_min = "1.0.0",
		.oci_version_max = OCI_STATE_VERSION,
		.hooks = borrow(hook_stages),
		.mount_options = borrow(in->mount_options),
		.linux_ = &linux_part,
		.annotations = in->annotations,
		.unsafe_annotations = borrow(unsafe_annotations),
	};
	int r;

	r = json_write(&features_type, &f, true, out, e);
	if (r < 0)
		return r;
	buf_adds(out, "\n");
	return out->failed ? err_oom(e) : 0;
}
