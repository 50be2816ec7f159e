/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of the merge, over random configurations and policies: what comes out grants nothing
 * that did not go in, obeys the policy, and stays the same when the policy is merged again. Needs
 * no privileges.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fs.h"
#include "policy/merge.h"
#include "policy/merge_parts.h"
#include "policy_build.h"

#define SEED UINT64_C(7041776)
#define CASES 2500

static const char *const cap_names[] = { "CAP_CHOWN",	     "CAP_KILL",
					 "CAP_NET_RAW",	     "CAP_SYS_ADMIN",
					 "CAP_SYS_RESOURCE", "CAP_MKNOD",
					 "CAP_SETUID" };
static const char *const policy_places[] = { "/tmp", "/tmp/a",	 "/out",  "/out/x",
					     "/usr", "/usr/lib", "/data", "/data/sub" };
static const char *const mount_places[] = {
	"/tmp",	    "/tmp/a", "/out",		"/out/x",     "/usr",
	"/usr/lib", "/data",  "/data/sub",	"/data/",     "//out//x",
	"tmp/a",    "/dev",   "/dev/shm",	"/run",	      "/etc/hosts",
	"/proc",    "/sys",   "/sys/fs/cgroup", "/opt/../usr"
};
static const char *const probes[] = {
	"/",	     "/tmp",	 "/tmp/a",	   "/tmp/a/b", "/out",
	"/out/x",    "/out/x/y", "/usr",	   "/usr/lib", "/data",
	"/data/sub", "/dev",	 "/dev/shm",	   "/run",     "/etc/hosts",
	"/etc",	     "/sys",	 "/sys/fs/cgroup", "/opt"
};

/* Random configurations. */

static void random_strings(struct strv *l, const char *const *from, size_t n, size_t one_in)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (random_one_in(one_in) && strv_add(l, from[i]) < 0)
			abort();
}

static struct opt_i64 random_limit(void)
{
	static const int64_t v[] = {
		-1, 0, 1, 4096, 100000, 1 << 20, INT64_C(1) << 40, INT64_MAX
	};

	return (struct opt_i64){ .set = !random_one_in(3), .value = random_of(v) };
}

static void random_process(struct oci_spec *s)
{
	struct oci_process *p = s->process = build_check(calloc(1, sizeof(*p)));
	size_t i, n = ARRAY_SIZE(cap_names);

	p->cwd = build_text("/");
	p->user = build_check(calloc(1, sizeof(*p->user)));
	p->user->uid = (uint32_t)random_below(3) * 1000;
	if (strv_add(&p->args, "sh") < 0)
		abort();
	p->no_new_privileges = random_one_in(2);
	if (!random_one_in(5)) {
		struct oci_capabilities *c = build_check(calloc(1, sizeof(*c)));

		p->capabilities = c;
		random_strings(&c->bounding, cap_names, n, 2);
		random_strings(&c->effective, cap_names, n, 2);
		random_strings(&c->permitted, cap_names, n, 2);
		random_strings(&c->inheritable, cap_names, n, 4);
		random_strings(&c->ambient, cap_names, n, 4);
	}
	for (i = 0; i < 2; i++) {
		struct oci_rlimit *l;

		if (random_one_in(2))
			continue;
		l = build_check(list_add(&p->rlimits));
		l->type = build_text(i ? "RLIMIT_NOFILE" : "RLIMIT_NPROC");
		l->hard = random_one_in(3) ? UINT64_MAX : random_below(1 << 20);
		l->soft = l->hard / 2;
	}
}

static void random_mount(struct oci_spec *s)
{
	static const char *const types[] = { "bind", "bind",   "bind",	 "tmpfs",
					     "proc", "sysfs",  "cgroup", "overlay",
					     "none", "mqueue", "devpts", "tmpfs",
					     "ext4" };
	static const char *const options[] = { "ro",	 "rw",	    "rro",	"rrw",
					       "suid",	 "dev",	    "nosuid",	"nodev",
					       "shared", "rshared", "rprivate", "noexec",
					       "exec",	 "remount" };
	static const char *const sources[] = { "/host/a", "/host/b",   "/",
					       "/dev",	  "/dev/null", "relative" };
	struct oci_mount *m = build_check(list_add(&s->mounts));

	m->destination = build_text(random_of(mount_places));
	m->type = random_one_in(12) ? NULL : build_text(random_of(types));
	m->source = build_text(random_of(sources));
	random_strings(&m->options, options, ARRAY_SIZE(options), 5);
	if (random_one_in(2) &&
	    strv_add(&m->options, random_one_in(2) ? "rbind" : "bind") < 0)
		abort();
}

static void random_device_rules(struct oci_resources *r)
{
	static const int64_t majors[] = { -1, 1, 5, 8, 10, 136 };
	static const char *const access[] = { "rwm", "rw", "r", "m" };
	size_t i, n = random_below(5);

	for (i = 0; i < n; i++) {
		struct oci_device_cgroup *d = build_check(list_add(&r->devices));

		d->allow = random_one_in(2);
		d->type = build_text(random_one_in(3) ? "a" :
				     random_one_in(2) ? "c" :
							"b");
		d->major = (struct opt_i64){ !random_one_in(3), random_of(majors) };
		d->minor = (struct opt_i64){ !random_one_in(3),
					     (int64_t)random_below(10) - 1 };
		d->access = random_one_in(4) ? NULL : build_text(random_of(access));
	}
}

static void random_resources(struct oci_spec *s)
{
	static const char *const files[] = { "memory.max", "pids.max", "memory.swap.max",
					     "cpu.weight" };
	static const char *const contents[] = { "max", "0", "4096", "1000000000000" };
	struct oci_resources *r;
	size_t i;

	if (random_one_in(4))
		return;
	r = s->linux_->resources = build_check(calloc(1, sizeof(*r)));
	if (random_one_in(2)) {
		r->memory = build_check(calloc(1, sizeof(*r->memory)));
		r->memory->limit = random_limit();
		r->memory->swap = random_limit();
		r->memory->reservation = random_limit();
		r->memory->disable_oom_killer = (struct opt_bool){ random_one_in(2),
								   random_one_in(2) };
	}
	if (random_one_in(2)) {
		r->cpu = build_check(calloc(1, sizeof(*r->cpu)));
		r->cpu->quota = random_limit();
		r->cpu->period = (struct opt_u64){ random_one_in(2),
						   random_below(3) * 50000 };
		r->cpu->burst = (struct opt_u64){ random_one_in(2), random_below(2) * 1000 };
	}
	if (random_one_in(2)) {
		r->pids = build_check(calloc(1, sizeof(*r->pids)));
		r->pids->limit = random_limit();
	}
	if (random_one_in(3)) {
		struct oci_throttle *t;

		r->block_io = build_check(calloc(1, sizeof(*r->block_io)));
		t = build_check(list_add(&r->block_io->throttle_read_bps));
		*t = (struct oci_throttle){ 254, 0, random_below(3) * 1000000 };
	}
	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (random_one_in(6) &&
		    strmap_set(&r->unified, files[i], random_of(contents)) < 0)
			abort();
	if (random_one_in(8) &&
	    strmap_set(&r->unified, "cpu.max",
		       random_one_in(2) ? "max 100000" : "300000 50000") < 0)
		abort();
	random_device_rules(r);
}

static void random_linux(struct oci_spec *s)
{
	static const char *const types[] = { "mount",	"pid",	  "ipc", "uts",
					     "network", "cgroup", "user" };
	static const char *const propagation[] = { "shared", "rshared", "slave",
						   "rprivate" };
	struct oci_linux *l = s->linux_ = build_check(calloc(1, sizeof(*l)));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct oci_namespace *ns;

		if (random_one_in(3))
			continue;
		ns = build_check(list_add(&l->namespaces));
		ns->type = build_text(types[i]);
		ns->path = random_one_in(3) ? build_text("/proc/7/ns/x") : NULL;
	}
	for (i = random_below(3); i > 0; i--) {
		struct oci_device *d = build_check(list_add(&l->devices));

		d->type = build_text(random_one_in(2) ? "c" : "b");
		d->path = build_text("/dev/something");
		d->major = (struct opt_i64){ true, random_one_in(2) ? 1 : 8 };
		d->minor = (struct opt_i64){ true, (int64_t)random_below(6) };
	}
	l->rootfs_propagation = random_one_in(2) ? build_text(random_of(propagation)) :
						   NULL;
	if (random_one_in(2) && (strv_add(&l->masked_paths, "/proc/kcore") < 0 ||
				 strv_add(&l->masked_paths, "/opt/secret") < 0))
		abort();
	if (random_one_in(2) && strv_add(&l->readonly_paths, "/proc/sys") < 0)
		abort();
	if (random_one_in(2)) {
		l->seccomp = build_check(calloc(1, sizeof(*l->seccomp)));
		l->seccomp->default_action = build_text("SCMP_ACT_ALLOW");
	}
	random_resources(s);
}

static struct oci_spec *random_spec(void)
{
	struct oci_spec *s = build_check(calloc(1, sizeof(*s)));
	size_t i, n = random_below(9);

	s->oci_version = build_text("1.2.0");
	s->root = build_check(calloc(1, sizeof(*s->root)));
	s->root->path = build_text("rootfs");
	s->root->readonly = random_one_in(3);
	if (!random_one_in(20))
		random_process(s);
	for (i = 0; i < n; i++)
		random_mount(s);
	random_linux(s);
	return s;
}

/* Random policies. */

static void random_paths(struct policy *p)
{
	static const char *const hosts[] = { NULL, "/host/a", "/host/policy" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(policy_places); i++) {
		const char *place = policy_places[i];

		switch (random_below(8)) {
		case 0:
			build_immutable(p, random_of(hosts), place);
			break;
		case 1:
			build_name(&p->filesystem.scratch_paths, place, 1);
			break;
		case 2:
			build_output(p, random_one_in(2) ? "/host/a" : "/host/policy",
				     place);
			break;
		default:
			break;
		}
	}
	if (random_one_in(10))
		build_immutable(p, NULL, "/");
	if (random_one_in(4))
		p->filesystem.working_dir = build_text("/tmp");
}

static struct policy *random_policy(const char *name)
{
	static const uint64_t bytes[] = { 0, 0, 1 << 20, UINT64_C(1) << 33 };
	struct policy *p = build_policy(name);
	size_t i;

	random_paths(p);
	p->capabilities.default_drop = !random_one_in(3);
	for (i = 0; i < ARRAY_SIZE(cap_names); i++) {
		if (random_one_in(3))
			build_name(&p->capabilities.add, cap_names[i], 1);
		if (random_one_in(5))
			build_name(&p->capabilities.drop, cap_names[i], 1);
	}
	if (random_one_in(20))
		build_name(&p->capabilities.drop, "ALL", 1);
	p->network.isolated = !random_one_in(3);
	p->resources.memory_bytes = random_of(bytes);
	p->resources.cpu_millis = random_one_in(2) ? 0 : 10 + random_below(4000);
	p->resources.pids_limit = random_one_in(2) ? 0 : 1 + random_below(1000);
	p->resources.block_io_bps = random_one_in(3) ? 500000 : 0;
	if (random_one_in(3))
		build_name(&p->syscalls.deny, "execve", 1);
	p->syscalls.default_deny = random_one_in(6);
	return p;
}

/* What a configuration grants. */

static bool is_writable_mount(const struct oci_mount *m)
{
	return !mount_has_option(m, "ro") || mount_has_option(m, "rw") ||
	       mount_has_option(m, "rrw");
}

/* What is seen at a path: the last mount above it; NULL is the root. */
static const struct oci_mount *mount_at(const struct oci_spec *s, const char *path)
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

static bool may_write(const struct oci_spec *s, const char *path)
{
	const struct oci_mount *m = mount_at(s, path);
	size_t i;

	for (i = 0; i < s->linux_->readonly_paths.n; i++)
		if (path_is_within(path, s->linux_->readonly_paths.v[i]))
			return false;
	return m ? is_writable_mount(m) : !s->root->readonly;
}

/* A device by the cgroup rules: the last that matches decides, and without one it is allowed. */
static bool device_is_allowed(const struct oci_spec *s, char type, int64_t major,
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

static const struct oci_namespace *namespace_of(const struct oci_spec *s, const char *type)
{
	size_t i;

	for (i = 0; i < s->linux_->namespaces.n; i++)
		if (streq(s->linux_->namespaces.v[i].type, type))
			return &s->linux_->namespaces.v[i];
	return NULL;
}

/* INT64_MAX: no limit. */
static int64_t memory_of(const struct oci_spec *s, bool swap)
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

static int64_t pids_of(const struct oci_spec *s)
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
static double cpus_of(const struct oci_spec *s)
{
	const struct oci_resources *r = s->linux_->resources;
	const char *text = r ? strmap_get(&r->unified, "cpu.max") : NULL;
	double period = 100000;

	if (text)
		return streq(text, "max 100000") ? 1e30 : 6;
	if (!r || !r->cpu || !r->cpu->quota.set || r->cpu->quota.value <= 0)
		return 1e30;
	if (r->cpu->period.set && r->cpu->period.value)
		period = (double)r->cpu->period.value;
	return (double)r->cpu->quota.value / period;
}

/* UINT64_MAX: no limit. */
static uint64_t throttle_of(const struct oci_spec *s, bool write, int64_t major,
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

static void assert_subset(const struct strv *out, const struct strv *in)
{
	size_t i;

	for (i = 0; i < out->n; i++)
		assert_true(strv_contains(in, out->v[i]));
}

static bool names_have(const policy_names *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (streq(l->v[i].name, name))
			return true;
	return false;
}

static void check_cap_set(const struct strv *out, const struct strv *in,
			  const struct policy *p)
{
	size_t i;

	assert_subset(out, in);
	for (i = 0; i < out->n; i++) {
		assert_false(names_have(&p->capabilities.drop, out->v[i]));
		assert_false(names_have(&p->capabilities.drop, "ALL"));
		if (p->capabilities.default_drop)
			assert_true(names_have(&p->capabilities.add, out->v[i]));
	}
}

static void check_process(const struct oci_process *in, const struct oci_process *out,
			  const struct policy *p, const struct merge_host *h, bool exec_once)
{
	size_t i, found = 0;

	assert_true((in == NULL) == (out == NULL));
	if (!in)
		return;
	assert_true(out->no_new_privileges);
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
			assert_false(strv_contains(&out->capabilities->bounding,
						   "CAP_SYS_RESOURCE"));
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

static void check_resources(const struct oci_spec *in, const struct oci_spec *out,
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

static bool policy_gives(const struct policy *p, const char *path,
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

static void print_mounts(const char *what, const struct oci_spec *s)
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

static void print_paths(const struct policy *p)
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
static bool path_is_right(const struct oci_spec *in, const struct oci_spec *out,
			  const struct policy *p, const struct policy *above,
			  const char *path)
{
	const struct oci_mount *before = mount_at(in, path), *after = mount_at(out, path);
	const struct policy *grants = above ? above : p;
	bool is_bind = after && mount_is_bind(after);
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

static void check_path(const struct oci_spec *in, const struct oci_spec *out,
		       const struct policy *p, const struct policy *above, const char *path)
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

static void check_mounts(const struct oci_spec *in, const struct oci_spec *out,
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
	for (i = 0; i < out->mounts.n; i++) {
		const struct oci_mount *m = &out->mounts.v[i];
		bool harmless = streq_null(m->source, "/dev/null");

		assert_false(mount_has_option(m, "shared") ||
			     mount_has_option(m, "rshared"));
		if (!mount_is_bind(m))
			continue;
		assert_true(mount_has_option(m, "nosuid") && !mount_has_option(m, "suid"));
		assert_true(harmless ||
			    (mount_has_option(m, "nodev") && !mount_has_option(m, "dev")));
		if (!mount_has_option(m, "rbind"))
			continue;
		assert_true(mount_has_option(m, "rnosuid"));
		if (policy_path_rule(p, m->destination) < PATH_SCRATCH)
			assert_true(mount_has_option(m, "rro") &&
				    !mount_has_option(m, "rrw"));
	}
	for (i = 0; i < ARRAY_SIZE(probes); i++)
		check_path(in, out, p, above, probes[i]);
}

static void check_isolation(const struct oci_spec *in, const struct oci_spec *out,
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

static char *as_text(const struct oci_spec *s)
{
	struct buf b = { 0 };
	struct err e;

	if (json_write(&oci_state_spec_type, s, true, &b, &e) < 0)
		fail_msg("%s", e.msg);
	return b.s;
}

static void assert_same(const struct oci_spec *a, const struct oci_spec *b)
{
	char *x = as_text(a), *y = as_text(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

static void check_merge(const struct oci_spec *in, const struct oci_spec *out,
			const struct policy *p, const struct policy *above,
			const struct merge_host *h)
{
	const struct oci_seccomp *added;
	struct buf x = { 0 }, y = { 0 };
	struct err e;

	assert_int_equal(out->linux_->policy_seccomp.n, in->linux_->policy_seccomp.n + 1);
	added = &out->linux_->policy_seccomp.v[out->linux_->policy_seccomp.n - 1];
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
}

static struct oci_spec *dup_spec(const struct oci_spec *s)
{
	struct err e;
	struct oci_spec *copy = oci_spec_dup(s, &e);

	if (!copy)
		fail_msg("%s", e.msg);
	return copy;
}

/* The merged copy, or NULL where the policy cannot hold and the error says so. */
static struct oci_spec *merged(const struct oci_spec *in, const struct policy *p,
			       const struct policy *above, const struct merge_host *h)
{
	struct oci_spec *out = dup_spec(in);
	struct err e;

	if (policy_merge(out, p, above, h, NULL, &e) == 0)
		return out;
	assert_int_equal(e.kind, ERR_POLICY);
	assert_true(str_has_prefix(e.msg, "policy test.yaml:"));
	oci_spec_free(out);
	return NULL;
}

/* The filters are a list that grows by one each time: the only thing that may. */
static void check_again(const struct oci_spec *once, const struct policy *p,
			const struct policy *above, const struct merge_host *h)
{
	struct oci_spec *twice = merged(once, p, above, h);

	assert_non_null(twice);
	json_clear(&oci_seccomp_type,
		   &twice->linux_->policy_seccomp.v[--twice->linux_->policy_seccomp.n]);
	assert_same(once, twice);
	oci_spec_free(twice);
}

static struct merge_host random_host(void)
{
	struct merge_host h = { .block_devices_known = !random_one_in(8),
				.cgroup_v2 = random_one_in(2),
				.nofile_hard = 10 + random_below(2000000) };

	if (h.block_devices_known && !random_one_in(3))
		*(struct oci_throttle *)build_check(list_add(&h.block_devices)) =
			(struct oci_throttle){ 254, 0, 0 };
	return h;
}

static void a_merge_only_tightens(void **state)
{
	size_t i, done = 0, second = 0;

	random_state = SEED;
	print_message("seed %" PRIu64 ", %d cases\n", SEED, CASES);
	for (i = 0; i < CASES; i++) {
		struct oci_spec *in = random_spec(), *out, *same, *both;
		struct policy *p = random_policy("first"), *q = random_policy("second");
		struct merge_host h = random_host();

		out = merged(in, p, NULL, &h);
		assert_true(out || !h.block_devices_known ||
			    p->filesystem.immutable_paths.n);
		if (out) {
			done++;
			check_merge(in, out, p, NULL, &h);
			same = merged(in, p, NULL, &h);
			assert_same(out, same); /* nothing was kept from the first time */
			oci_spec_free(same);
			check_again(out, p, NULL, &h);
			both = merged(out, q, p, &h);
			if (both) {
				second++;
				check_merge(out, both, q, p, &h);
				oci_spec_free(both);
			}
		}
		oci_spec_free(out);
		oci_spec_free(in);
		policy_free(p);
		policy_free(q);
		merge_host_clear(&h);
	}
	assert_true(done > CASES * 3 / 4 && second > CASES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_merge_only_tightens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
