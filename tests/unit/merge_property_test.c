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
#include "merge_promises.h"
#include "policy/merge.h"
#include "policy/merge_parts.h"
#include "policy_build.h"

#define SEED UINT64_C(7041776)
#define CASES 2500

static const char *const cap_names[] = {
	"CAP_CHOWN", "CAP_KILL",   "CAP_NET_RAW",   "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE",
	"CAP_MKNOD", "CAP_SETUID", "CAP_NET_ADMIN", "CAP_BPF",	     "CAP_SYS_MODULE"
};
static const char *const granted_calls[] = { "socket", "io_uring_setup", "io_uring_enter",
					     "bpf",    "setns",		 "getpid",
					     "mount" };
static const char *const policy_places[] = { "/tmp", "/tmp/a",	 "/out",  "/out/x",
					     "/usr", "/usr/lib", "/data", "/data/sub" };
static const char *const mount_places[] = {
	"/tmp",	    "/tmp/a", "/out",		"/out/x",     "/usr",
	"/usr/lib", "/data",  "/data/sub",	"/data/",     "//out//x",
	"tmp/a",    "/dev",   "/dev/shm",	"/run",	      "/etc/hosts",
	"/proc",    "/sys",   "/sys/fs/cgroup", "/opt/../usr"
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
	static const char *const options[] = {
		"ro",	       "rw",	       "rro",	      "rrw",	 "suid",
		"dev",	       "nosuid",       "nodev",	      "shared",	 "rshared",
		"rprivate",    "noexec",       "exec",	      "remount", "nosuid,rw",
		"nodev,rbind", "mode=755,rrw", "suid,rshared"
	};
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
	for (i = random_one_in(3) ? 1 + random_below(3) : 0; i > 0; i--)
		build_name(&p->syscalls.allow, random_of(granted_calls), 1);
	if (random_one_in(8))
		build_rule(p, random_of(granted_calls),
			   random_one_in(2) ? POLICY_ALLOW : POLICY_LOG, 1);
	return p;
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
