/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of config.json (runtime-spec 1.3, config.md and config-linux.md): one row for each
 * member, in the order of the spec. They are all there is to reading, writing, copying and
 * freeing a configuration. A member that the spec knows and this version does not carry out is a
 * JSON_NO row: its presence is an error that names it. Runs anywhere, needs no privileges.
 */
#include "oci/spec.h"

#include <stdlib.h>

#include "base/fd.h"

/* config.json of Kubernetes pods with a long environment are some hundred KiB. */
#define OCI_SPEC_MAX (16u << 20)

#define PURPLE_OWN "it is Purple's own and must not come from a bundle"

#define TYPE_OF(st, rows)                                   \
	{                                                   \
		.size = sizeof(struct st), .fields = (rows) \
	}

static const struct json_field id_mapping_rows[] = {
	JSON_FR(oci_id_mapping, container_id, "containerID", JSON_U32),
	JSON_FR(oci_id_mapping, host_id, "hostID", JSON_U32),
	JSON_FR(oci_id_mapping, size, "size", JSON_U32),
	{},
};
static const struct json_type id_mapping_type = TYPE_OF(oci_id_mapping, id_mapping_rows);

static const struct json_field mount_rows[] = {
	JSON_FR(oci_mount, destination, "destination", JSON_STR),
	JSON_F(oci_mount, type, "type", JSON_STR),
	JSON_F(oci_mount, source, "source", JSON_STR),
	JSON_F(oci_mount, options, "options", JSON_STRV),
	JSON_FT(oci_mount, uid_mappings, "uidMappings", JSON_STRUCTS, &id_mapping_type),
	JSON_FT(oci_mount, gid_mappings, "gidMappings", JSON_STRUCTS, &id_mapping_type),
	{},
};
static const struct json_type mount_type = TYPE_OF(oci_mount, mount_rows);

static const struct json_field root_rows[] = {
	JSON_FR(oci_root, path, "path", JSON_STR),
	JSON_F(oci_root, readonly, "readonly", JSON_BOOL),
	{},
};
static const struct json_type root_type = TYPE_OF(oci_root, root_rows);

static const struct json_field box_rows[] = {
	JSON_FR(oci_box, height, "height", JSON_U32),
	JSON_FR(oci_box, width, "width", JSON_U32),
	{},
};
static const struct json_type box_type = TYPE_OF(oci_box, box_rows);

static const struct json_field user_rows[] = {
	JSON_F(oci_user, uid, "uid", JSON_U32),
	JSON_F(oci_user, gid, "gid", JSON_U32),
	JSON_F(oci_user, umask, "umask", JSON_OPT_U32),
	JSON_F(oci_user, additional_gids, "additionalGids", JSON_U32V),
	JSON_F(oci_user, username, "username", JSON_STR),
	{},
};
static const struct json_type user_type = TYPE_OF(oci_user, user_rows);

static const struct json_field capabilities_rows[] = {
	JSON_F(oci_capabilities, bounding, "bounding", JSON_STRV),
	JSON_F(oci_capabilities, effective, "effective", JSON_STRV),
	JSON_F(oci_capabilities, permitted, "permitted", JSON_STRV),
	JSON_F(oci_capabilities, inheritable, "inheritable", JSON_STRV),
	JSON_F(oci_capabilities, ambient, "ambient", JSON_STRV),
	{},
};
const struct json_type oci_capabilities_type = TYPE_OF(oci_capabilities, capabilities_rows);

static const struct json_field rlimit_rows[] = {
	JSON_FR(oci_rlimit, type, "type", JSON_STR),
	JSON_FR(oci_rlimit, soft, "soft", JSON_U64),
	JSON_FR(oci_rlimit, hard, "hard", JSON_U64),
	{},
};
static const struct json_type rlimit_type = TYPE_OF(oci_rlimit, rlimit_rows);

static const struct json_field scheduler_rows[] = {
	JSON_FR(oci_scheduler, policy, "policy", JSON_STR),
	JSON_F(oci_scheduler, nice, "nice", JSON_OPT_I32),
	JSON_F(oci_scheduler, priority, "priority", JSON_OPT_I32),
	JSON_F(oci_scheduler, flags, "flags", JSON_STRV),
	JSON_F(oci_scheduler, runtime, "runtime", JSON_OPT_U64),
	JSON_F(oci_scheduler, deadline, "deadline", JSON_OPT_U64),
	JSON_F(oci_scheduler, period, "period", JSON_OPT_U64),
	{},
};
static const struct json_type scheduler_type = TYPE_OF(oci_scheduler, scheduler_rows);

static const struct json_field io_priority_rows[] = {
	JSON_FR(oci_io_priority, class_, "class", JSON_STR),
	JSON_F(oci_io_priority, priority, "priority", JSON_OPT_I32),
	{},
};
static const struct json_type io_priority_type = TYPE_OF(oci_io_priority, io_priority_rows);

static const struct json_field cpu_affinity_rows[] = {
	JSON_F(oci_cpu_affinity, initial, "initial", JSON_STR),
	JSON_F(oci_cpu_affinity, final_, "final", JSON_STR),
	{},
};
static const struct json_type cpu_affinity_type = TYPE_OF(oci_cpu_affinity,
							  cpu_affinity_rows);

static const struct json_field process_rows[] = {
	JSON_F(oci_process, terminal, "terminal", JSON_BOOL),
	JSON_FT(oci_process, console_size, "consoleSize", JSON_STRUCT, &box_type),
	JSON_FT(oci_process, user, "user", JSON_STRUCT, &user_type),
	JSON_F(oci_process, args, "args", JSON_STRV),
	JSON_NO("commandLine", "it is for Windows"),
	JSON_F(oci_process, env, "env", JSON_STRV),
	JSON_FR(oci_process, cwd, "cwd", JSON_STR),
	JSON_FT(oci_process, capabilities, "capabilities", JSON_STRUCT,
		&oci_capabilities_type),
	JSON_FT(oci_process, rlimits, "rlimits", JSON_STRUCTS, &rlimit_type),
	JSON_F(oci_process, no_new_privileges, "noNewPrivileges", JSON_BOOL),
	JSON_F(oci_process, apparmor_profile, "apparmorProfile", JSON_STR),
	JSON_F(oci_process, oom_score_adj, "oomScoreAdj", JSON_OPT_I32),
	JSON_FT(oci_process, scheduler, "scheduler", JSON_STRUCT, &scheduler_type),
	JSON_F(oci_process, selinux_label, "selinuxLabel", JSON_STR),
	JSON_FT(oci_process, io_priority, "ioPriority", JSON_STRUCT, &io_priority_type),
	JSON_FT(oci_process, exec_cpu_affinity, "execCPUAffinity", JSON_STRUCT,
		&cpu_affinity_type),
	{},
};
const struct json_type oci_process_type = TYPE_OF(oci_process, process_rows);

static const struct json_field hook_rows[] = {
	JSON_FR(oci_hook, path, "path", JSON_STR),
	JSON_F(oci_hook, args, "args", JSON_STRV),
	JSON_F(oci_hook, env, "env", JSON_STRV),
	JSON_F(oci_hook, timeout, "timeout", JSON_OPT_I32),
	{},
};
static const struct json_type hook_type = TYPE_OF(oci_hook, hook_rows);

static const struct json_field hooks_rows[] = {
	JSON_FT(oci_hooks, prestart, "prestart", JSON_STRUCTS, &hook_type),
	JSON_FT(oci_hooks, create_runtime, "createRuntime", JSON_STRUCTS, &hook_type),
	JSON_FT(oci_hooks, create_container, "createContainer", JSON_STRUCTS, &hook_type),
	JSON_FT(oci_hooks, start_container, "startContainer", JSON_STRUCTS, &hook_type),
	JSON_FT(oci_hooks, poststart, "poststart", JSON_STRUCTS, &hook_type),
	JSON_FT(oci_hooks, poststop, "poststop", JSON_STRUCTS, &hook_type),
	{},
};
static const struct json_type hooks_type = TYPE_OF(oci_hooks, hooks_rows);

static const struct json_field namespace_rows[] = {
	JSON_FR(oci_namespace, type, "type", JSON_STR),
	JSON_F(oci_namespace, path, "path", JSON_STR),
	{},
};
static const struct json_type namespace_type = TYPE_OF(oci_namespace, namespace_rows);

static const struct json_field device_rows[] = {
	JSON_FR(oci_device, type, "type", JSON_STR),
	JSON_FR(oci_device, path, "path", JSON_STR),
	JSON_F(oci_device, major, "major", JSON_OPT_I64),
	JSON_F(oci_device, minor, "minor", JSON_OPT_I64),
	JSON_F(oci_device, file_mode, "fileMode", JSON_OPT_U32),
	JSON_F(oci_device, uid, "uid", JSON_OPT_U32),
	JSON_F(oci_device, gid, "gid", JSON_OPT_U32),
	{},
};
static const struct json_type device_type = TYPE_OF(oci_device, device_rows);

static const struct json_field device_cgroup_rows[] = {
	JSON_FR(oci_device_cgroup, allow, "allow", JSON_BOOL),
	JSON_F(oci_device_cgroup, type, "type", JSON_STR),
	JSON_F(oci_device_cgroup, major, "major", JSON_OPT_I64),
	JSON_F(oci_device_cgroup, minor, "minor", JSON_OPT_I64),
	JSON_F(oci_device_cgroup, access, "access", JSON_STR),
	{},
};
static const struct json_type device_cgroup_type = TYPE_OF(oci_device_cgroup,
							   device_cgroup_rows);

static const struct json_field memory_rows[] = {
	JSON_F(oci_memory, limit, "limit", JSON_OPT_I64),
	JSON_F(oci_memory, reservation, "reservation", JSON_OPT_I64),
	JSON_F(oci_memory, swap, "swap", JSON_OPT_I64),
	JSON_F(oci_memory, kernel, "kernel", JSON_OPT_I64),
	JSON_F(oci_memory, kernel_tcp, "kernelTCP", JSON_OPT_I64),
	JSON_F(oci_memory, swappiness, "swappiness", JSON_OPT_U64),
	JSON_F(oci_memory, disable_oom_killer, "disableOOMKiller", JSON_OPT_BOOL),
	JSON_F(oci_memory, use_hierarchy, "useHierarchy", JSON_OPT_BOOL),
	JSON_F(oci_memory, check_before_update, "checkBeforeUpdate", JSON_OPT_BOOL),
	{},
};
static const struct json_type memory_type = TYPE_OF(oci_memory, memory_rows);

static const struct json_field cpu_rows[] = {
	JSON_F(oci_cpu, shares, "shares", JSON_OPT_U64),
	JSON_F(oci_cpu, quota, "quota", JSON_OPT_I64),
	JSON_F(oci_cpu, burst, "burst", JSON_OPT_U64),
	JSON_F(oci_cpu, period, "period", JSON_OPT_U64),
	JSON_F(oci_cpu, realtime_runtime, "realtimeRuntime", JSON_OPT_I64),
	JSON_F(oci_cpu, realtime_period, "realtimePeriod", JSON_OPT_U64),
	JSON_F(oci_cpu, cpus, "cpus", JSON_STR),
	JSON_F(oci_cpu, mems, "mems", JSON_STR),
	JSON_F(oci_cpu, idle, "idle", JSON_OPT_I64),
	{},
};
static const struct json_type cpu_type = TYPE_OF(oci_cpu, cpu_rows);

static const struct json_field pids_rows[] = {
	JSON_F(oci_pids, limit, "limit", JSON_OPT_I64),
	{},
};
static const struct json_type pids_type = TYPE_OF(oci_pids, pids_rows);

static const struct json_field weight_device_rows[] = {
	JSON_FR(oci_weight_device, major, "major", JSON_I64),
	JSON_FR(oci_weight_device, minor, "minor", JSON_I64),
	JSON_F(oci_weight_device, weight, "weight", JSON_OPT_U32),
	JSON_F(oci_weight_device, leaf_weight, "leafWeight", JSON_OPT_U32),
	{},
};
static const struct json_type weight_device_type = TYPE_OF(oci_weight_device,
							   weight_device_rows);

static const struct json_field throttle_rows[] = {
	JSON_FR(oci_throttle, major, "major", JSON_I64),
	JSON_FR(oci_throttle, minor, "minor", JSON_I64),
	JSON_FR(oci_throttle, rate, "rate", JSON_U64),
	{},
};
static const struct json_type throttle_type = TYPE_OF(oci_throttle, throttle_rows);

static const struct json_field block_io_rows[] = {
	JSON_F(oci_block_io, weight, "weight", JSON_OPT_U32),
	JSON_F(oci_block_io, leaf_weight, "leafWeight", JSON_OPT_U32),
	JSON_FT(oci_block_io, weight_device, "weightDevice", JSON_STRUCTS,
		&weight_device_type),
	JSON_FT(oci_block_io, throttle_read_bps, "throttleReadBpsDevice", JSON_STRUCTS,
		&throttle_type),
	JSON_FT(oci_block_io, throttle_write_bps, "throttleWriteBpsDevice", JSON_STRUCTS,
		&throttle_type),
	JSON_FT(oci_block_io, throttle_read_iops, "throttleReadIOPSDevice", JSON_STRUCTS,
		&throttle_type),
	JSON_FT(oci_block_io, throttle_write_iops, "throttleWriteIOPSDevice",
		JSON_STRUCTS, &throttle_type),
	{},
};
static const struct json_type block_io_type = TYPE_OF(oci_block_io, block_io_rows);

static const struct json_field hugepage_limit_rows[] = {
	JSON_FR(oci_hugepage_limit, page_size, "pageSize", JSON_STR),
	JSON_FR(oci_hugepage_limit, limit, "limit", JSON_U64),
	{},
};
static const struct json_type hugepage_limit_type = TYPE_OF(oci_hugepage_limit,
							    hugepage_limit_rows);

static const struct json_field interface_priority_rows[] = {
	JSON_FR(oci_interface_priority, name, "name", JSON_STR),
	JSON_FR(oci_interface_priority, priority, "priority", JSON_U32),
	{},
};
static const struct json_type interface_priority_type = TYPE_OF(oci_interface_priority,
								interface_priority_rows);

static const struct json_field network_rows[] = {
	JSON_F(oci_network, class_id, "classID", JSON_OPT_U32),
	JSON_FT(oci_network, priorities, "priorities", JSON_STRUCTS,
		&interface_priority_type),
	{},
};
static const struct json_type network_type = TYPE_OF(oci_network, network_rows);

static const struct json_field rdma_rows[] = {
	JSON_F(oci_rdma, hca_handles, "hcaHandles", JSON_OPT_U32),
	JSON_F(oci_rdma, hca_objects, "hcaObjects", JSON_OPT_U32),
	{},
};
static const struct json_type rdma_type = TYPE_OF(oci_rdma, rdma_rows);

static const struct json_field resources_rows[] = {
	JSON_FT(oci_resources, devices, "devices", JSON_STRUCTS, &device_cgroup_type),
	JSON_FT(oci_resources, memory, "memory", JSON_STRUCT, &memory_type),
	JSON_FT(oci_resources, cpu, "cpu", JSON_STRUCT, &cpu_type),
	JSON_FT(oci_resources, pids, "pids", JSON_STRUCT, &pids_type),
	JSON_FT(oci_resources, block_io, "blockIO", JSON_STRUCT, &block_io_type),
	JSON_FT(oci_resources, hugepage_limits, "hugepageLimits", JSON_STRUCTS,
		&hugepage_limit_type),
	JSON_FT(oci_resources, network, "network", JSON_STRUCT, &network_type),
	JSON_FT(oci_resources, rdma, "rdma", JSON_STRUCT_MAP, &rdma_type),
	JSON_F(oci_resources, unified, "unified", JSON_STRMAP),
	{},
};
const struct json_type oci_resources_type = TYPE_OF(oci_resources, resources_rows);

static const struct json_field seccomp_arg_rows[] = {
	JSON_FR(oci_seccomp_arg, index, "index", JSON_U32),
	JSON_FR(oci_seccomp_arg, value, "value", JSON_U64),
	JSON_F(oci_seccomp_arg, value_two, "valueTwo", JSON_U64),
	JSON_FR(oci_seccomp_arg, op, "op", JSON_STR),
	{},
};
static const struct json_type seccomp_arg_type = TYPE_OF(oci_seccomp_arg, seccomp_arg_rows);

static const struct json_field syscall_rows[] = {
	JSON_FR(oci_syscall, names, "names", JSON_STRV),
	JSON_FR(oci_syscall, action, "action", JSON_STR),
	JSON_F(oci_syscall, errno_ret, "errnoRet", JSON_OPT_U32),
	JSON_FT(oci_syscall, args, "args", JSON_STRUCTS, &seccomp_arg_type),
	{},
};
static const struct json_type syscall_type = TYPE_OF(oci_syscall, syscall_rows);

/* Rows that a bundle's document and the state folder's have in common are written once. */
#define SECCOMP_ROWS                                                                     \
	JSON_FR(oci_seccomp, default_action, "defaultAction", JSON_STR),                 \
		JSON_F(oci_seccomp, default_errno_ret, "defaultErrnoRet", JSON_OPT_U32), \
		JSON_F(oci_seccomp, architectures, "architectures", JSON_STRV),          \
		JSON_F(oci_seccomp, flags, "flags", JSON_STRV),                          \
		JSON_F(oci_seccomp, listener_path, "listenerPath", JSON_STR),            \
		JSON_F(oci_seccomp, listener_metadata, "listenerMetadata", JSON_STR),    \
		JSON_FT(oci_seccomp, syscalls, "syscalls", JSON_STRUCTS, &syscall_type)

static const struct json_field seccomp_rows[] = {
	SECCOMP_ROWS,
	JSON_NO("purpleExecOnce", PURPLE_OWN),
	{},
};
const struct json_type oci_seccomp_type = TYPE_OF(oci_seccomp, seccomp_rows);

static const struct json_field state_seccomp_rows[] = {
	SECCOMP_ROWS,
	JSON_F(oci_seccomp, exec_once, "purpleExecOnce", JSON_BOOL),
	{},
};
static const struct json_type state_seccomp_type = TYPE_OF(oci_seccomp, state_seccomp_rows);

static const struct json_field time_offset_rows[] = {
	JSON_F(oci_time_offset, secs, "secs", JSON_I64),
	JSON_F(oci_time_offset, nanosecs, "nanosecs", JSON_U32),
	{},
};
static const struct json_type time_offset_type = TYPE_OF(oci_time_offset, time_offset_rows);

static const struct json_field net_device_rows[] = {
	JSON_F(oci_net_device, name, "name", JSON_STR),
	{},
};
static const struct json_type net_device_type = TYPE_OF(oci_net_device, net_device_rows);

static const struct json_field intel_rdt_rows[] = {
	JSON_F(oci_intel_rdt, clos_id, "closID", JSON_STR),
	JSON_F(oci_intel_rdt, schemata, "schemata", JSON_STRV),
	JSON_F(oci_intel_rdt, l3_cache_schema, "l3CacheSchema", JSON_STR),
	JSON_F(oci_intel_rdt, mem_bw_schema, "memBwSchema", JSON_STR),
	JSON_F(oci_intel_rdt, enable_monitoring, "enableMonitoring", JSON_BOOL),
	JSON_F(oci_intel_rdt, enable_cmt, "enableCMT", JSON_BOOL),
	JSON_F(oci_intel_rdt, enable_mbm, "enableMBM", JSON_BOOL),
	{},
};
static const struct json_type intel_rdt_type = TYPE_OF(oci_intel_rdt, intel_rdt_rows);

static const struct json_field memory_policy_rows[] = {
	JSON_FR(oci_memory_policy, mode, "mode", JSON_STR),
	JSON_F(oci_memory_policy, nodes, "nodes", JSON_STR),
	JSON_F(oci_memory_policy, flags, "flags", JSON_STRV),
	{},
};
static const struct json_type memory_policy_type = TYPE_OF(oci_memory_policy,
							   memory_policy_rows);

static const struct json_field personality_rows[] = {
	JSON_FR(oci_personality, domain, "domain", JSON_STR),
	JSON_F(oci_personality, flags, "flags", JSON_STRV),
	{},
};
static const struct json_type personality_type = TYPE_OF(oci_personality, personality_rows);

#define LINUX_ROWS(seccomp_table)                                                        \
	JSON_FT(oci_linux, namespaces, "namespaces", JSON_STRUCTS, &namespace_type),     \
		JSON_FT(oci_linux, uid_mappings, "uidMappings", JSON_STRUCTS,            \
			&id_mapping_type),                                               \
		JSON_FT(oci_linux, gid_mappings, "gidMappings", JSON_STRUCTS,            \
			&id_mapping_type),                                               \
		JSON_FT(oci_linux, time_offsets, "timeOffsets", JSON_STRUCT_MAP,         \
			&time_offset_type),                                              \
		JSON_FT(oci_linux, devices, "devices", JSON_STRUCTS, &device_type),      \
		JSON_FT(oci_linux, net_devices, "netDevices", JSON_STRUCT_MAP,           \
			&net_device_type),                                               \
		JSON_F(oci_linux, cgroups_path, "cgroupsPath", JSON_STR),                \
		JSON_FT(oci_linux, resources, "resources", JSON_STRUCT,                  \
			&oci_resources_type),                                            \
		JSON_FT(oci_linux, intel_rdt, "intelRdt", JSON_STRUCT, &intel_rdt_type), \
		JSON_FT(oci_linux, memory_policy, "memoryPolicy", JSON_STRUCT,           \
			&memory_policy_type),                                            \
		JSON_F(oci_linux, sysctl, "sysctl", JSON_STRMAP),                        \
		JSON_FT(oci_linux, seccomp, "seccomp", JSON_STRUCT, (seccomp_table)),    \
		JSON_F(oci_linux, rootfs_propagation, "rootfsPropagation", JSON_STR),    \
		JSON_F(oci_linux, masked_paths, "maskedPaths", JSON_STRV),               \
		JSON_F(oci_linux, readonly_paths, "readonlyPaths", JSON_STRV),           \
		JSON_F(oci_linux, mount_label, "mountLabel", JSON_STR),                  \
		JSON_FT(oci_linux, personality, "personality", JSON_STRUCT,              \
			&personality_type)

static const struct json_field linux_rows[] = {
	LINUX_ROWS(&oci_seccomp_type),
	JSON_NO("purplePolicySeccomp", PURPLE_OWN),
	JSON_NO("purpleIsolateNetwork", PURPLE_OWN),
	{},
};
static const struct json_type linux_type = TYPE_OF(oci_linux, linux_rows);

static const struct json_field state_linux_rows[] = {
	LINUX_ROWS(&state_seccomp_type),
	JSON_FT(oci_linux, policy_seccomp, "purplePolicySeccomp", JSON_STRUCTS,
		&state_seccomp_type),
	JSON_F(oci_linux, isolate_network, "purpleIsolateNetwork", JSON_BOOL),
	{},
};
static const struct json_type state_linux_type = TYPE_OF(oci_linux, state_linux_rows);

#define SPEC_ROWS(linux_table)                                                         \
	JSON_FR(oci_spec, oci_version, "ociVersion", JSON_STR),                        \
		JSON_FT(oci_spec, process, "process", JSON_STRUCT, &oci_process_type), \
		JSON_FTR(oci_spec, root, "root", JSON_STRUCT, &root_type),             \
		JSON_F(oci_spec, hostname, "hostname", JSON_STR),                      \
		JSON_F(oci_spec, domainname, "domainname", JSON_STR),                  \
		JSON_FT(oci_spec, mounts, "mounts", JSON_STRUCTS, &mount_type),        \
		JSON_FT(oci_spec, hooks, "hooks", JSON_STRUCT, &hooks_type),           \
		JSON_F(oci_spec, annotations, "annotations", JSON_STRMAP),             \
		JSON_FT(oci_spec, linux_, "linux", JSON_STRUCT, (linux_table)),        \
		JSON_NO("solaris", "Purple runs Linux containers"),                    \
		JSON_NO("windows", "Purple runs Linux containers"),                    \
		JSON_NO("zos", "Purple runs Linux containers"),                        \
		JSON_NO("freebsd", "Purple runs Linux containers"),                    \
		JSON_NO("vm", "Purple does not run virtual machines")

static const struct json_field spec_rows[] = { SPEC_ROWS(&linux_type), {} };
const struct json_type oci_spec_type = TYPE_OF(oci_spec, spec_rows);

static const struct json_field state_spec_rows[] = { SPEC_ROWS(&state_linux_type), {} };
const struct json_type oci_state_spec_type = TYPE_OF(oci_spec, state_spec_rows);

/* What every reader relies on. Takes *s over. */
static int spec_complete(struct oci_spec **s, const char *name, struct oci_spec **ret,
			 struct err *e)
{
	if (!(*s)->linux_)
		(*s)->linux_ = calloc(1, sizeof(*(*s)->linux_));
	if (!(*s)->linux_)
		return err_oom(e);
	if (oci_spec_check(*s, e) < 0)
		return err_wrap(e, "%s", name);
	*ret = take_ptr(s);
	return 0;
}

int oci_spec_load(int dirfd, const char *path, struct oci_spec **ret, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = NULL;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(e);
	r = json_read_file(dirfd, path, OCI_SPEC_MAX, &oci_spec_type, s, e);
	return r < 0 ? r : spec_complete(&s, path, ret, e);
}

int oci_spec_read(const struct json *j, const char *name, struct oci_spec **ret,
		  struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(e);
	r = json_read(j, &oci_spec_type, name, s, e);
	return r < 0 ? r : spec_complete(&s, name, ret, e);
}

void oci_spec_free(struct oci_spec *s)
{
	if (!s)
		return;
	/* The state folder's table is the one that knows every member. */
	json_clear(&oci_state_spec_type, s);
	free(s);
}

struct oci_spec *oci_spec_dup(const struct oci_spec *s, struct err *e)
{
	struct oci_spec *copy = calloc(1, sizeof(*copy));

	if (!copy) {
		err_oom(e);
		return NULL;
	}
	if (json_copy(&oci_state_spec_type, s, copy, e) < 0) {
		free(copy);
		return NULL;
	}
	return copy;
}

const struct oci_namespace *oci_spec_namespace(const struct oci_spec *s, const char *type)
{
	for (size_t i = 0; s->linux_ && i < s->linux_->namespaces.n; i++)
		if (streq(s->linux_->namespaces.v[i].type, type))
			return &s->linux_->namespaces.v[i];
	return NULL;
}

bool oci_map_id(const oci_id_mappings *l, uint32_t *id)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct oci_id_mapping *m = &l->v[i];

		if (*id >= m->container_id && *id - m->container_id < m->size) {
			*id = m->host_id + (*id - m->container_id);
			return true;
		}
	}
	return false;
}
