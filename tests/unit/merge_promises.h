/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a merge promises, as a check of the configuration before and after it: nothing is granted
 * that was not, and the policy holds. For the unit tests and the fuzz target; a failure is one
 * of cmocka's.
 */
#ifndef PURPLE_TESTS_MERGE_PROMISES_H
#define PURPLE_TESTS_MERGE_PROMISES_H

#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/fs.h"
#include "linux/caps.h"
#include "linux/mount_options.h"
#include "policy/merge.h"
#include "policy/merge_parts.h"
#include "policy_build.h"
#include "seccomp_reference.h"

static const char *const probes[] = {
	"/",	     "/tmp",	 "/tmp/a",	   "/tmp/a/b", "/out",
	"/out/x",    "/out/x/y", "/usr",	   "/usr/lib", "/data",
	"/data/sub", "/dev",	 "/dev/shm",	   "/run",     "/etc/hosts",
	"/etc",	     "/sys",	 "/sys/fs/cgroup", "/opt"
};

/* What a configuration grants. */

/* What the runtime makes of the options; false when it refuses them, so nothing is mounted. */
static inline bool runtime_options(const struct oci_mount *m, struct mount_options *ret)
{
	struct err e;

	return mount_options_parse(m, ret, &e) == 0;
}

static inline bool is_writable_mount(const struct oci_mount *m)
{
	struct mount_options o;
	bool writable;

	if (!runtime_options(m, &o))
		return false;
	writable = !((o.top.set | (o.rec.set & ~o.top.clr)) & MOUNT_ATTR_RDONLY);
	mount_options_free(&o);
	return writable;
}

static inline bool is_bind_mount(const struct oci_mount *m)
{
	struct mount_options o;
	bool bind;

	if (!runtime_options(m, &o))
		return false;
	bind = o.is_bind;
	mount_options_free(&o);
	return bind;
}

/* What is seen at a path: the last mount above it; NULL is the root. */
static inline const struct oci_mount *mount_at(const struct oci_spec *s, const char *path)
{
	size_t i;

	for (i = s->mounts.n; i-- > 0;) {
		char *absolute = build_check(fs_join("/", s->mounts.v[i].destination));
		char *clean = build_check(fs_clean_path(absolute));
		bool within = path_is_within(path, clean);

		free(absolute);
		free(clean);
		if (within)
			return &s->mounts.v[i];
	}
	return NULL;
}

static inline bool may_write(const struct oci_spec *s, const char *path)
{
	const struct oci_mount *m = mount_at(s, path);
	size_t i;

	for (i = 0; i < s->linux_->readonly_paths.n; i++)
		if (path_is_within(path, s->linux_->readonly_paths.v[i]))
			return false;
	return m ? is_writable_mount(m) : !s->root->readonly;
}

/* A device by the cgroup rules: the last that matches decides, and without one it is allowed. */
static inline bool device_is_allowed(const struct oci_spec *s, char type, int64_t major,
				     int64_t minor, char access)
{
	const struct oci_resources *r = s->linux_->resources;
	bool allowed = true;
	size_t i;

	for (i = 0; r && i < r->devices.n; i++) {
		const struct oci_device_cgroup *d = &r->devices.v[i];

		if (d->type && d->type[0] != 'a' && d->type[0] != type)
			continue;
		if (d->major.set && d->major.value != -1 && d->major.value != major)
			continue;
		if (d->minor.set && d->minor.value != -1 && d->minor.value != minor)
			continue;
		if (!d->access || strchr(d->access, access))
			allowed = d->allow;
	}
	return allowed;
}

static inline const struct oci_namespace *namespace_of(const struct oci_spec *s,
						       const char *type)
{
	size_t i;

	for (i = 0; i < s->linux_->namespaces.n; i++)
		if (streq(s->linux_->namespaces.v[i].type, type))
			return &s->linux_->namespaces.v[i];
	return NULL;
}

/* INT64_MAX: no limit. */
static inline int64_t memory_of(const struct oci_spec *s, bool swap)
{
	const struct oci_resources *r = s->linux_->resources;
	int64_t limit = INT64_MAX;
	const char *text;

	if (!r)
		return limit;
	if (r->memory && swap && r->memory->swap.set && r->memory->swap.value > 0)
		limit = r->memory->swap.value;
	if (r->memory && !swap && r->memory->limit.set && r->memory->limit.value > 0)
		limit = r->memory->limit.value;
	text = strmap_get(&r->unified, "memory.max");
	if (!swap && text)
		limit = streq(text, "max") ? INT64_MAX : atoll(text);
	return limit;
}

static inline int64_t pids_of(const struct oci_spec *s)
{
	const struct oci_resources *r = s->linux_->resources;
	const char *text = r ? strmap_get(&r->unified, "pids.max") : NULL;

	if (text)
		return streq(text, "max") ? INT64_MAX : atoll(text);
	if (!r || !r->pids || !r->pids->limit.set || r->pids->limit.value < 0)
		return INT64_MAX;
	return r->pids->limit.value;
}

/* CPUs; a large number without a quota. */
static inline double cpus_of(const struct oci_spec *s)
{
	const struct oci_resources *r = s->linux_->resources;
	const char *text = r ? strmap_get(&r->unified, "cpu.max") : NULL;
	double period = 100000;

	if (text && str_has_prefix(text, "max"))
		return 1e30;
	if (text && strchr(text, ' '))
		period = strtod(strchr(text, ' '), NULL);
	if (text)
		return strtod(text, NULL) / period;
	if (!r || !r->cpu || !r->cpu->quota.set || r->cpu->quota.value <= 0)
		return 1e30;
	if (r->cpu->period.set && r->cpu->period.value)
		period = (double)r->cpu->period.value;
	return (double)r->cpu->quota.value / period;
}

/* UINT64_MAX: no limit. */
static inline uint64_t throttle_of(const struct oci_spec *s, bool write, int64_t major,
				   int64_t minor)
{
	const struct oci_resources *r = s->linux_->resources;
	uint64_t rate = UINT64_MAX;
	size_t i;

	if (!r || !r->block_io)
		return rate;
	const oci_throttles *l = write ? &r->block_io->throttle_write_bps :
					 &r->block_io->throttle_read_bps;

	for (i = 0; i < l->n; i++)
		if (l->v[i].major == major && l->v[i].minor == minor)
			rate = l->v[i].rate ? l->v[i].rate : UINT64_MAX;
	return rate;
}

/* The promises. */

static inline void assert_subset(const struct strv *out, const struct strv *in)
{
	size_t i;

	for (i = 0; i < out->n; i++)
		assert_true(strv_contains(in, out->v[i]));
}

static inline bool names_have(const policy_names *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (streq(l->v[i].name, name))
			return true;
	return false;
}

/* The bits that the runtime makes of names. */
static inline uint64_t cap_bits(const struct strv *names)
{
	struct oci_capabilities c = { .bounding = *names };
	struct caps caps;
	struct err e;

	assert_int_equal(caps_parse(&c, &caps, NULL, &e), 0);
	return caps.bounding;
}

static inline uint64_t policy_cap_bits(const policy_names *l)
{
	_strv_free_ struct strv names = { 0 };
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strv_add(&names, l->v[i].name) < 0)
			abort();
	return names_have(l, "ALL") ? UINT64_MAX : cap_bits(&names);
}

static inline void check_cap_set(const struct strv *out, const struct strv *in,
				 const struct policy *p)
{
	uint64_t bits = cap_bits(out);

	assert_subset(out, in);
	assert_int_equal(bits & policy_cap_bits(&p->capabilities.drop), 0);
	if (p->capabilities.default_drop)
		assert_int_equal(bits & ~policy_cap_bits(&p->capabilities.add), 0);
	if (!p->network.isolated)
		assert_int_equal(bits & (UINT64_C(1) << CAP_NET_RAW |
					 UINT64_C(1) << CAP_NET_ADMIN |
					 UINT64_C(1) << CAP_BPF |
					 UINT64_C(1) << CAP_SYS_MODULE),
				 0);
}

static inline void check_process(const struct oci_process *in,
				 const struct oci_process *out, const struct policy *p,
				 const struct merge_host *h, bool exec_once)
{
	size_t i, found = 0;

	assert_true((in == NULL) == (out == NULL));
	if (!in)
		return;
	assert_true(out->no_new_privileges);
	assert_true((in->user == NULL) == (out->user == NULL));
	if (in->user)
		assert_int_equal(out->user->uid, in->user->uid);
	assert_true((in->capabilities == NULL) == (out->capabilities == NULL));
	if (in->capabilities) {
		check_cap_set(&out->capabilities->bounding, &in->capabilities->bounding, p);
		check_cap_set(&out->capabilities->effective, &in->capabilities->effective,
			      p);
		check_cap_set(&out->capabilities->permitted, &in->capabilities->permitted,
			      p);
		check_cap_set(&out->capabilities->inheritable,
			      &in->capabilities->inheritable, p);
		check_cap_set(&out->capabilities->ambient, &in->capabilities->ambient, p);
		if (exec_once)
			assert_int_equal(cap_bits(&out->capabilities->bounding) &
						 UINT64_C(1) << CAP_SYS_RESOURCE,
					 0);
	}
	for (i = 0; i < out->rlimits.n; i++) {
		const struct oci_rlimit *l = &out->rlimits.v[i];

		assert_true(l->soft <= l->hard);
		if (i < in->rlimits.n)
			assert_true(l->hard <= in->rlimits.v[i].hard);
		if (streq(l->type, "RLIMIT_NOFILE") && exec_once) {
			found++;
			assert_true(l->hard <= 65534 && l->hard < h->nofile_hard);
		}
	}
	if (exec_once)
		assert_int_equal(found, 1);
}

static inline void check_resources(const struct oci_spec *in, const struct oci_spec *out,
				   const struct policy *p, const struct merge_host *h)
{
	size_t i;

	assert_true(memory_of(out, false) <= memory_of(in, false) ||
		    (memory_of(in, false) == 0 && memory_of(out, false) == 1));
	assert_true(memory_of(out, true) <= memory_of(in, true));
	assert_true(pids_of(out) <= pids_of(in));
	assert_true(cpus_of(out) <= cpus_of(in));
	if (p->resources.memory_bytes) {
		assert_true(memory_of(out, false) <= (int64_t)p->resources.memory_bytes);
		assert_true(memory_of(out, true) == memory_of(out, false));
		assert_null(strmap_get(&out->linux_->resources->unified, "memory.swap.max"));
		assert_false(out->linux_->resources->memory->disable_oom_killer.set &&
			     out->linux_->resources->memory->disable_oom_killer.value);
		assert_true(!h->cgroup_v2 == !strmap_get(&out->linux_->resources->unified,
							 "memory.oom.group"));
	}
	if (p->resources.pids_limit)
		assert_true(pids_of(out) <= (int64_t)p->resources.pids_limit);
	if (p->resources.cpu_millis) {
		assert_true(cpus_of(out) * 1000 <= (double)p->resources.cpu_millis + 1e-6);
		assert_false(out->linux_->resources->cpu->burst.set &&
			     out->linux_->resources->cpu->burst.value);
	}
	for (i = 0; i < h->block_devices.n; i++) {
		const struct oci_throttle *d = &h->block_devices.v[i];
		int write;

		for (write = 0; write < 2; write++) {
			uint64_t rate = throttle_of(out, write, d->major, d->minor);

			assert_true(rate <= throttle_of(in, write, d->major, d->minor));
			if (p->resources.block_io_bps)
				assert_true(rate <= p->resources.block_io_bps);
		}
	}
}

static inline bool policy_gives(const struct policy *p, const char *path,
				const struct oci_mount *m, bool output)
{
	size_t i, n = output ? p->filesystem.output_paths.n :
			       p->filesystem.immutable_paths.n;
	const struct policy_path *v = output ? p->filesystem.output_paths.v :
					       p->filesystem.immutable_paths.v;

	for (i = 0; i < n; i++)
		if (path_is_within(path, v[i].sandbox_path) &&
		    streq(m->destination, v[i].sandbox_path) && v[i].host_path &&
		    streq(m->source, v[i].host_path))
			return true;
	return false;
}

static inline void print_mounts(const char *what, const struct oci_spec *s)
{
	size_t i, k;

	for (i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];

		print_error("%s %s %s from %s:", what, m->type ? m->type : "-",
			    m->destination, m->source);
		for (k = 0; k < m->options.n; k++)
			print_error(" %s", m->options.v[k]);
		print_error("\n");
	}
}

static inline void print_paths(const struct policy *p)
{
	size_t i;

	for (i = 0; i < p->filesystem.immutable_paths.n; i++)
		print_error("immutable %s from %s\n",
			    p->filesystem.immutable_paths.v[i].sandbox_path,
			    p->filesystem.immutable_paths.v[i].host_path ?
				    p->filesystem.immutable_paths.v[i].host_path :
				    "the image");
	for (i = 0; i < p->filesystem.scratch_paths.n; i++)
		print_error("scratch %s\n", p->filesystem.scratch_paths.v[i].name);
	for (i = 0; i < p->filesystem.output_paths.n; i++)
		print_error("output %s from %s\n",
			    p->filesystem.output_paths.v[i].sandbox_path,
			    p->filesystem.output_paths.v[i].host_path);
}

/* What is seen at one path. `above`: the policy gives no host path that `above` does not give. */
static inline bool path_is_right(const struct oci_spec *in, const struct oci_spec *out,
				 const struct policy *p, const struct policy *above,
				 const char *path)
{
	const struct oci_mount *before = mount_at(in, path), *after = mount_at(out, path);
	const struct policy *grants = above ? above : p;
	bool is_bind = after && is_bind_mount(after);
	bool same = before && after && streq_null(before->source, after->source) &&
		    streq_null(before->type, after->type);

	/* Host files that are seen were seen before, or the policy names them. */
	if (is_bind && !same)
		if (!policy_gives(grants, path, after, true) &&
		    !policy_gives(grants, path, after, false))
			return false;
	if (policy_path_rule(p, path) == PATH_IMMUTABLE && !path_is_within(path, "/dev") &&
	    !path_is_within(path, "/proc") && may_write(out, path))
		return false;
	if (!may_write(out, path))
		return true;
	/* Writable: memory, or the container's own control files ... */
	if (after && !is_bind && after->type &&
	    (streq(after->type, "tmpfs") || streq(after->type, "mqueue") ||
	     streq(after->type, "devpts") || streq(after->type, "proc")))
		return true;
	if (!after)
		return false;
	/* ... or what was writable before and the policy lets, or what it gives itself. */
	if (policy_gives(grants, path, after, true) && policy_gives(p, path, after, true))
		return true;
	return same && may_write(in, path) && policy_path_rule(p, path) >= PATH_SCRATCH;
}

static inline void check_path(const struct oci_spec *in, const struct oci_spec *out,
			      const struct policy *p, const struct policy *above,
			      const char *path)
{
	if (path_is_right(in, out, p, above, path))
		return;
	print_mounts("before", in);
	print_paths(p);
	if (above)
		print_error("under:\n");
	if (above)
		print_paths(above);
	print_mounts("after", out);
	fail_msg("'%s' is not as it should be", path);
}

/* The attributes that no mount of a sandbox is without, as the runtime understands its options. */
static inline void check_mount_options(const struct oci_mount *m, const struct policy *p)
{
	bool harmless = streq_null(m->source, "/dev/null");
	uint64_t top, tree;
	struct mount_options o;
	size_t i;

	if (!runtime_options(m, &o))
		return;
	for (i = 0; i < o.propagation.n; i++)
		assert_true(o.propagation.v[i].type != MS_SHARED);
	top = o.top.set | (o.rec.set & ~o.top.clr);
	tree = o.rec.set;
	if (o.is_bind) {
		assert_true(top & MOUNT_ATTR_NOSUID);
		assert_true(harmless || (top & MOUNT_ATTR_NODEV));
	}
	if (o.is_bind && o.recursive) {
		assert_true(tree & MOUNT_ATTR_NOSUID);
		if (policy_path_rule(p, m->destination) < PATH_SCRATCH)
			assert_true(tree & MOUNT_ATTR_RDONLY);
	}
	mount_options_free(&o);
}

static inline void check_mounts(const struct oci_spec *in, const struct oci_spec *out,
				const struct policy *p, const struct policy *above)
{
	size_t i;

	assert_true(out->root->readonly);
	assert_subset(&in->linux_->masked_paths, &out->linux_->masked_paths);
	assert_subset(&in->linux_->readonly_paths, &out->linux_->readonly_paths);
	assert_true(strv_contains(&out->linux_->masked_paths, "/proc/kcore"));
	assert_true(strv_contains(&out->linux_->readonly_paths, "/proc/sys"));
	if (out->linux_->rootfs_propagation)
		assert_false(str_has_suffix(out->linux_->rootfs_propagation, "shared"));
	for (i = 0; i < out->mounts.n; i++)
		check_mount_options(&out->mounts.v[i], p);
	for (i = 0; i < ARRAY_SIZE(probes); i++)
		check_path(in, out, p, above, probes[i]);
}

static inline void check_isolation(const struct oci_spec *in, const struct oci_spec *out,
				   const struct policy *p)
{
	static const char *const types[] = { "mount", "pid", "ipc", "uts", "cgroup" };
	int64_t major, minor;
	size_t i;

	for (i = 0; i < in->linux_->namespaces.n; i++) {
		const struct oci_namespace *ns = &in->linux_->namespaces.v[i];

		assert_non_null(namespace_of(out, ns->type));
		assert_true(streq_null(namespace_of(out, ns->type)->path, ns->path));
	}
	for (i = 0; i < ARRAY_SIZE(types); i++)
		assert_non_null(namespace_of(out, types[i]));
	assert_true((namespace_of(in, "user") == NULL) ==
		    (namespace_of(out, "user") == NULL));
	if (p->network.isolated || in->linux_->isolate_network) {
		assert_non_null(namespace_of(out, "network"));
		assert_true(out->linux_->isolate_network);
	}
	for (i = 0; i < out->linux_->devices.n; i++)
		assert_true(out->linux_->devices.v[i].major.value == 1);
	for (major = 0; major < 140; major++) {
		for (minor = 0; minor < 10; minor++) {
			for (i = 0; i < 6; i++) {
				char type = i % 2 ? 'b' : 'c', access = "rwm"[i / 2];
				bool standard = type == 'c' &&
						(major == 136 ||
						 (major == 1 && minor >= 3 && minor <= 9 &&
						  minor != 4 && minor != 6) ||
						 (major == 5 && minor <= 2));

				if (!device_is_allowed(out, type, major, minor, access))
					continue;
				assert_true(standard);
				assert_true(device_is_allowed(in, type, major, minor,
							      access));
			}
		}
		if (major == 10)
			major = 135;
	}
}

static inline char *as_text(const struct oci_spec *s)
{
	struct buf b = { 0 };
	struct err e;

	if (json_write(&oci_state_spec_type, s, true, &b, &e) < 0)
		fail_msg("%s", e.msg);
	return b.s;
}

static inline void assert_same(const struct oci_spec *a, const struct oci_spec *b)
{
	char *x = as_text(a), *y = as_text(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

/* Whether the filters of `out` refuse a call. */
static inline bool call_is_refused(const struct seccomp_plan *plan, const char *name,
				   uint64_t arg0, uint64_t arg2)
{
	struct seccomp_data d = { .arch = NATIVE->audit, .args = { arg0, 1, arg2 } };
	uint32_t action;

	d.nr = seccomp_syscall_resolve_name(name);
	action = plan_run(plan, &d) & SECCOMP_RET_ACTION_FULL;
	return action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG;
}

/* Nothing gets round the network's rules, whatever the policy says of system calls. */
static inline void check_network_calls(const struct oci_spec *out, const struct policy *p)
{
	const struct oci_linux *l = out->linux_;
	struct seccomp_plan plan = { 0 };
	struct err e;

	if (!p->syscalls.allow.n && !p->syscalls.advanced_rules.n)
		return; /* the default profile, or less */
	if (seccomp_plan_make(NULL, l->policy_seccomp.v, l->policy_seccomp.n, 100000,
			      &plan, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(call_is_refused(&plan, "socket", AF_VSOCK, 0));
	assert_true(call_is_refused(&plan, "socket", AF_PACKET, 0));
	assert_true(call_is_refused(&plan, "socket", AF_NETLINK, 9));
	assert_true(call_is_refused(&plan, "socket", AF_NETLINK, UINT64_C(1) << 32 | 9));
	assert_true(call_is_refused(&plan, "socket", UINT64_C(1) << 32 | AF_PACKET, 0));
	assert_true(call_is_refused(&plan, "io_uring_setup", 1, 0));
	assert_true(call_is_refused(&plan, "io_uring_enter", 1, 0));
	if (!p->network.isolated) {
		assert_true(call_is_refused(&plan, "bpf", 0, 0));
		assert_true(call_is_refused(&plan, "setns", 3, 0));
		assert_true(call_is_refused(&plan, "mount", 0, 0));
		assert_true(call_is_refused(&plan, "mount_setattr", 3, 0));
	}
	seccomp_plan_clear(&plan);
}

static inline void check_merge(const struct oci_spec *in, const struct oci_spec *out,
			       const struct policy *p, const struct policy *above,
			       const struct merge_host *h)
{
	const struct oci_seccomp *added;
	size_t n = out->linux_->policy_seccomp.n - in->linux_->policy_seccomp.n;
	struct buf x = { 0 }, y = { 0 };
	struct err e;

	/* The policy's filter, and perhaps the one that its network rests on. */
	assert_true(n == 1 || n == 2);
	added = &out->linux_->policy_seccomp.v[in->linux_->policy_seccomp.n];
	assert_true(added->exec_once ==
		    (p->syscalls.default_deny || names_have(&p->syscalls.deny, "execve")));
	assert_true((in->linux_->seccomp == NULL) == (out->linux_->seccomp == NULL));
	if (in->linux_->seccomp) {
		assert_int_equal(json_write(&oci_seccomp_type, in->linux_->seccomp, false,
					    &x, &e),
				 0);
		assert_int_equal(json_write(&oci_seccomp_type, out->linux_->seccomp,
					    false, &y, &e),
				 0);
		assert_string_equal(x.s, y.s);
		buf_free(&x);
		buf_free(&y);
	}
	check_process(in->process, out->process, p, h, added->exec_once);
	check_resources(in, out, p, h);
	check_mounts(in, out, p, above);
	check_isolation(in, out, p);
	check_network_calls(out, p);
}

#endif
