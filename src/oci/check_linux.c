/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime-spec (config-linux.md) demands of the linux section beyond types. Names of
 * system calls, seccomp actions and the like are checked where they are known, in linux/.
 * Pure: looks at nothing but its argument.
 */
#include "oci/check.h"

#include <ctype.h>
#include <stdint.h>
#include <sys/stat.h>

/* user_namespaces(7): lines of a uid_map since Linux 4.15. */
#define ID_MAPPINGS_MAX 340
/* The kernel's dev_t has 12 and 20 bits. */
#define DEV_MAJOR_MAX 4095
#define DEV_MINOR_MAX 1048575

static bool ranges_overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t)a < (uint64_t)b + b_size && (uint64_t)b < (uint64_t)a + a_size;
}

int check_id_mappings(const oci_id_mappings *m, const char *path, struct err *e)
{
	if (m->n > ID_MAPPINGS_MAX)
		return check_fault(e, "%s: more than %d entries", path, ID_MAPPINGS_MAX);
	for (size_t i = 0; i < m->n; i++) {
		const struct oci_id_mapping *a = &m->v[i];

		if (a->size == 0)
			return check_fault(e, "%s[%zu].size: must be above 0", path, i);
		/* The last id, 2^32 - 1, is "no id". */
		if ((uint64_t)a->container_id + a->size > UINT32_MAX ||
		    (uint64_t)a->host_id + a->size > UINT32_MAX)
			return check_fault(e, "%s[%zu]: reaches beyond the last id", path,
					   i);
		for (size_t k = 0; k < i; k++) {
			const struct oci_id_mapping *b = &m->v[k];

			if (ranges_overlap(a->container_id, a->size, b->container_id,
					   b->size) ||
			    ranges_overlap(a->host_id, a->size, b->host_id, b->size))
				return check_fault(e, "%s[%zu]: overlaps with [%zu]",
						   path, i, k);
		}
	}
	return 0;
}

static const char *const namespace_types[] = {
	"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time", NULL,
};

static int check_namespaces(const struct oci_linux *l, struct err *e)
{
	/* At most one of each type passes, so the inner loop stays short. */
	for (size_t i = 0; i < l->namespaces.n; i++) {
		const struct oci_namespace *ns = &l->namespaces.v[i];

		if (!check_is_one_of(ns->type, namespace_types))
			return check_fault(e, "linux.namespaces[%zu].type: '%s' is unknown",
					   i, ns->type);
		if (ns->path && ns->path[0] != '/')
			return check_fault(e,
					   "linux.namespaces[%zu].path: must be absolute, not '%s'",
					   i, ns->path);
		for (size_t k = 0; k < i; k++)
			if (streq(l->namespaces.v[k].type, ns->type))
				return check_fault(e,
						   "linux.namespaces[%zu].type: '%s' is given twice",
						   i, ns->type);
	}
	return 0;
}

/*
 * A new user namespace has both mappings, or none: the runtime chooses them then. With a path they
 * may stand there too (engines repeat those of a pod): the joined namespace has its own, and they
 * serve id-mapped mounts only.
 */
static int check_user_namespace(const struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *user = oci_spec_namespace(s, "user");
	const struct oci_linux *l = s->linux_;
	int r;

	if (!user && (l->uid_mappings.n || l->gid_mappings.n))
		return check_fault(e, "linux.%s: needs a user namespace",
				   l->uid_mappings.n ? "uidMappings" : "gidMappings");
	if (user && !user->path && !l->uid_mappings.n != !l->gid_mappings.n)
		return check_fault(e,
				   "linux.%s: is required beside linux.%s for a new user namespace",
				   l->uid_mappings.n ? "gidMappings" : "uidMappings",
				   l->uid_mappings.n ? "uidMappings" : "gidMappings");
	r = check_id_mappings(&l->uid_mappings, "linux.uidMappings", e);
	if (r < 0)
		return r;
	return check_id_mappings(&l->gid_mappings, "linux.gidMappings", e);
}

static int check_time_offsets(const struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *ns = oci_spec_namespace(s, "time");
	const struct oci_linux *l = s->linux_;

	if (l->time_offsets.n && (!ns || ns->path))
		return check_fault(e, "linux.timeOffsets: needs a new time namespace");
	for (size_t i = 0; i < l->time_offsets.n; i++) {
		const struct oci_time_offset *o = &l->time_offsets.v[i];

		if (!streq(o->clock, "monotonic") && !streq(o->clock, "boottime"))
			return check_fault(e, "linux.timeOffsets: the clock '%s' is unknown",
					   o->clock);
		if (o->nanosecs >= 1000000000)
			return check_fault(e,
					   "linux.timeOffsets.%s.nanosecs: must be below 10^9",
					   o->clock);
	}
	return 0;
}

static bool is_device_number(const struct opt_i64 *n, int64_t max)
{
	return n->set && n->value >= 0 && n->value <= max;
}

static int check_device(const struct oci_device *d, size_t at, struct err *e)
{
	if (strlen(d->type) != 1 || !strchr("cbup", d->type[0]))
		return check_fault(e,
				   "linux.devices[%zu].type: must be c, b, u or p, not '%s'",
				   at, d->type);
	if (d->path[0] != '/')
		return check_fault(e, "linux.devices[%zu].path: must be absolute, not '%s'",
				   at, d->path);
	if (d->type[0] != 'p' && !is_device_number(&d->major, DEV_MAJOR_MAX))
		return check_fault(e, "linux.devices[%zu].major: %s (%s)", at,
				   d->major.set ? "is out of range" : "is required",
				   d->path);
	if (d->type[0] != 'p' && !is_device_number(&d->minor, DEV_MINOR_MAX))
		return check_fault(e, "linux.devices[%zu].minor: %s (%s)", at,
				   d->minor.set ? "is out of range" : "is required",
				   d->path);
	/* Some engines leave the file type in. */
	if (d->file_mode.set && (d->file_mode.value & ~(uint32_t)(S_IFMT | 07777)))
		return check_fault(e, "linux.devices[%zu].fileMode: is no file mode", at);
	return 0;
}

static int check_device_cgroup(const struct oci_device_cgroup *d, size_t at, struct err *e)
{
	if (d->type && (strlen(d->type) != 1 || !strchr("abc", d->type[0])))
		return check_fault(e,
				   "linux.resources.devices[%zu].type: must be a, b or c, not '%s'",
				   at, d->type);
	if ((d->major.set && d->major.value < -1) || (d->minor.set && d->minor.value < -1))
		return check_fault(e,
				   "linux.resources.devices[%zu]: a device number is out of range",
				   at);
	if (d->access &&
	    (d->access[0] == '\0' || d->access[strspn(d->access, "rwm")] != '\0'))
		return check_fault(e,
				   "linux.resources.devices[%zu].access: must be of r, w and m, not "
				   "'%s'",
				   at, d->access);
	return 0;
}

static int check_memory(const struct oci_memory *m, struct err *e)
{
	const struct {
		const char *name;
		const struct opt_i64 *value;
	} amounts[] = {
		{ "limit", &m->limit },
		{ "reservation", &m->reservation },
		{ "swap", &m->swap },
		{ "kernel", &m->kernel },
		{ "kernelTCP", &m->kernel_tcp },
	};

	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
		if (amounts[i].value->set && amounts[i].value->value < -1)
			return check_fault(e,
					   "linux.resources.memory.%s: must not be below -1",
					   amounts[i].name);
	if (m->swappiness.set && m->swappiness.value > 100)
		return check_fault(e,
				   "linux.resources.memory.swappiness: must not be above 100");
	/* swap is memory and swap together; 0 is how engines say "unchanged". */
	if (m->limit.set && m->swap.set && m->swap.value > 0 &&
	    m->limit.value > m->swap.value)
		return check_fault(e, "linux.resources.memory.swap: must not be below limit, which it "
				      "includes");
	return 0;
}

static int check_cpu(const struct oci_cpu *c, struct err *e)
{
	if (c->quota.set && c->quota.value < -1)
		return check_fault(e, "linux.resources.cpu.quota: must not be below -1");
	if (c->idle.set && c->idle.value != 0 && c->idle.value != 1)
		return check_fault(e, "linux.resources.cpu.idle: must be 0 or 1");
	return 0;
}

static bool is_weight(const struct opt_u32 *w)
{
	return !w->set || w->value == 0 || (w->value >= 10 && w->value <= 1000);
}

static int check_throttles(const oci_throttles *l, const char *member, struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].major < 0 || l->v[i].minor < 0)
			return check_fault(e,
					   "linux.resources.blockIO.%s[%zu]: a device number is "
					   "negative",
					   member, i);
	return 0;
}

static int check_block_io(const struct oci_block_io *b, struct err *e)
{
	int r;

	if (!is_weight(&b->weight) || !is_weight(&b->leaf_weight))
		return check_fault(e,
				   "linux.resources.blockIO: a weight must be from 10 to 1000");
	for (size_t i = 0; i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		if (d->major < 0 || d->minor < 0)
			return check_fault(e,
					   "linux.resources.blockIO.weightDevice[%zu]: a device number "
					   "is negative",
					   i);
		if (!is_weight(&d->weight) || !is_weight(&d->leaf_weight))
			return check_fault(e,
					   "linux.resources.blockIO.weightDevice[%zu]: a weight must be "
					   "from 10 to 1000",
					   i);
		if (!d->weight.set && !d->leaf_weight.set)
			return check_fault(e,
					   "linux.resources.blockIO.weightDevice[%zu]: needs weight or "
					   "leafWeight",
					   i);
	}
	r = check_throttles(&b->throttle_read_bps, "throttleReadBpsDevice", e);
	if (r == 0)
		r = check_throttles(&b->throttle_write_bps, "throttleWriteBpsDevice", e);
	if (r == 0)
		r = check_throttles(&b->throttle_read_iops, "throttleReadIOPSDevice", e);
	if (r == 0)
		r = check_throttles(&b->throttle_write_iops, "throttleWriteIOPSDevice", e);
	return r;
}

/* "^[1-9][0-9]*[KMG]B$", as the files of hugetlb are named. */
static bool is_page_size(const char *s)
{
	if (*s < '1' || *s > '9')
		return false;
	while (isdigit((unsigned char)*s))
		s++;
	return *s && strchr("KMG", *s) && streq(s + 1, "B");
}

static int check_lists(const struct oci_resources *r, struct err *e)
{
	for (size_t i = 0; i < r->hugepage_limits.n; i++)
		if (!is_page_size(r->hugepage_limits.v[i].page_size))
			return check_fault(e,
					   "linux.resources.hugepageLimits[%zu].pageSize: '%s' is no "
					   "size such as 2MB",
					   i, r->hugepage_limits.v[i].page_size);
	for (size_t i = 0; i < r->rdma.n; i++)
		if (!r->rdma.v[i].device[0] ||
		    (!r->rdma.v[i].hca_handles.set && !r->rdma.v[i].hca_objects.set))
			return check_fault(e,
					   "linux.resources.rdma.%s: needs a name, and hcaHandles or "
					   "hcaObjects",
					   r->rdma.v[i].device);
	for (size_t i = 0; r->network && i < r->network->priorities.n; i++)
		if (r->network->priorities.v[i].name[0] == '\0')
			return check_fault(e,
					   "linux.resources.network.priorities[%zu].name: must not be "
					   "empty",
					   i);
	for (size_t i = 0; i < r->unified.n; i++)
		if (!r->unified.k[i][0] || strchr(r->unified.k[i], '/'))
			return check_fault(e,
					   "linux.resources.unified: '%s' is no name of a cgroup file",
					   r->unified.k[i]);
	return 0;
}

int oci_resources_check(const struct oci_resources *r, struct err *e)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < r->devices.n; i++)
		code = check_device_cgroup(&r->devices.v[i], i, e);
	if (code == 0 && r->memory)
		code = check_memory(r->memory, e);
	if (code == 0 && r->cpu)
		code = check_cpu(r->cpu, e);
	if (code == 0 && r->block_io)
		code = check_block_io(r->block_io, e);
	if (code == 0)
		code = check_lists(r, e);
	return code;
}

/* The shape alone: names and their combinations are linux/seccomp's to know. */
static int check_seccomp(const struct oci_seccomp *s, struct err *e)
{
	if (s->listener_path && s->listener_path[0] && s->listener_path[0] != '/')
		return check_fault(e,
				   "linux.seccomp.listenerPath: must be absolute, not '%s'",
				   s->listener_path);
	if (s->listener_metadata && s->listener_metadata[0] &&
	    (!s->listener_path || !s->listener_path[0]))
		return check_fault(e, "linux.seccomp.listenerMetadata: needs listenerPath");
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct oci_syscall *c = &s->syscalls.v[i];

		if (c->names.n == 0)
			return check_fault(e,
					   "linux.seccomp.syscalls[%zu].names: must not be empty",
					   i);
		for (size_t k = 0; k < c->names.n; k++)
			if (c->names.v[k][0] == '\0')
				return check_fault(e,
						   "linux.seccomp.syscalls[%zu].names[%zu]: must not be "
						   "empty",
						   i, k);
		for (size_t k = 0; k < c->args.n; k++)
			if (c->args.v[k].index > 5)
				return check_fault(e,
						   "linux.seccomp.syscalls[%zu].args[%zu].index: must be "
						   "from 0 to 5",
						   i, k);
	}
	return 0;
}

static const char *const propagations[] = {
	"",	   "shared",   "rshared",    "slave",	    "rslave",
	"private", "rprivate", "unbindable", "runbindable", NULL,
};

/* maskedPaths and readonlyPaths: without a mount namespace they would hit the host. */
static int check_paths(const struct oci_spec *s, const struct strv *l, const char *member,
		       struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i][0] != '/')
			return check_fault(e, "linux.%s[%zu]: must be absolute, not '%s'",
					   member, i, l->v[i]);
	if (l->n && !oci_spec_namespace(s, "mount"))
		return check_fault(e, "linux.%s: needs a mount namespace", member);
	return 0;
}

static int check_rest(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	int r;

	if (l->rootfs_propagation && !check_is_one_of(l->rootfs_propagation, propagations))
		return check_fault(e, "linux.rootfsPropagation: '%s' is unknown",
				   l->rootfs_propagation);
	for (size_t i = 0; i < l->sysctl.n; i++)
		if (l->sysctl.k[i][0] == '\0')
			return check_fault(e, "linux.sysctl: a key must not be empty");
	r = check_paths(s, &l->masked_paths, "maskedPaths", e);
	if (r < 0)
		return r;
	return check_paths(s, &l->readonly_paths, "readonlyPaths", e);
}

int check_linux(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	int r;

	r = check_namespaces(l, e);
	if (r == 0)
		r = check_user_namespace(s, e);
	if (r == 0)
		r = check_time_offsets(s, e);
	for (size_t i = 0; r == 0 && i < l->devices.n; i++)
		r = check_device(&l->devices.v[i], i, e);
	if (r == 0 && l->resources)
		r = oci_resources_check(l->resources, e);
	if (r == 0 && l->seccomp)
		r = check_seccomp(l->seccomp, e);
	for (size_t i = 0; r == 0 && i < l->policy_seccomp.n; i++)
		r = check_seccomp(&l->policy_seccomp.v[i], e);
	if (r == 0)
		r = check_rest(s, e);
	return r;
}
