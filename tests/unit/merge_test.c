/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merge and sandbox, promise by promise: what exactly comes out, in which order, and how it is
 * explained. Needs no privileges.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fd.h"
#include "policy/merge.h"
#include "policy/merge_parts.h"
#include "policy/plan.h"
#include "policy_build.h"

static const struct merge_host host = { .block_devices_known = true,
					.nofile_hard = 1048576 };

static struct oci_spec *plain_spec(void)
{
	struct oci_spec *s = build_check(calloc(1, sizeof(*s)));

	s->oci_version = build_text("1.2.0");
	s->root = build_check(calloc(1, sizeof(*s->root)));
	s->root->path = build_text("rootfs");
	s->linux_ = build_check(calloc(1, sizeof(*s->linux_)));
	s->process = build_check(calloc(1, sizeof(*s->process)));
	s->process->cwd = build_text("/");
	s->process->user = build_check(calloc(1, sizeof(*s->process->user)));
	s->process->capabilities = build_check(calloc(1, sizeof(*s->process->capabilities)));
	if (strv_add(&s->process->args, "sh") < 0)
		abort();
	return s;
}

static void add_mount(struct oci_spec *s, const char *destination, const char *type,
		      const char *source, const char *options)
{
	struct err e;

	if (mount_fill(build_check(list_add(&s->mounts)), destination, type, source,
		       options, &e) < 0)
		abort();
}

static void merge(struct oci_spec *s, const struct policy *p, struct strv *why)
{
	struct err e;

	if (policy_merge(s, p, NULL, &host, why, &e) < 0)
		fail_msg("%s", e.msg);
}

static void assert_merge_refused(struct policy *p, const struct merge_host *h,
				 const char *part)
{
	struct oci_spec *s = plain_spec();
	struct err e;

	assert_true(policy_merge(s, p, NULL, h, NULL, &e) < 0);
	assert_int_equal(e.kind, ERR_POLICY);
	if (!strstr(e.msg, part))
		fail_msg("'%s' lacks '%s'", e.msg, part);
	oci_spec_free(s);
	policy_free(p);
}

static void assert_mount(const struct oci_spec *s, size_t at, const char *destination,
			 const char *type, const char *source, const char *options)
{
	struct buf b = { 0 };
	size_t i;

	assert_true(at < s->mounts.n);
	assert_string_equal(s->mounts.v[at].destination, destination);
	assert_string_equal(s->mounts.v[at].type, type);
	assert_string_equal(s->mounts.v[at].source, source);
	for (i = 0; i < s->mounts.v[at].options.n; i++)
		buf_addf(&b, "%s%s", i ? "," : "", s->mounts.v[at].options.v[i]);
	assert_string_equal(b.s ? b.s : "", options);
	buf_free(&b);
}

static void assert_explained(const struct strv *why, const char *line)
{
	if (!strv_contains(why, line))
		fail_msg("no explanation says '%s'", line);
}

static void capabilities_are_intersected_and_explained(void **state)
{
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");
	struct strv why = { 0 };

	if (strv_add(&s->process->capabilities->bounding, "CAP_CHOWN") < 0 ||
	    strv_add(&s->process->capabilities->bounding, "CAP_NET_RAW") < 0 ||
	    strv_add(&s->process->capabilities->bounding, "CAP_KILL") < 0 ||
	    strv_add(&s->process->capabilities->effective, "CAP_KILL") < 0)
		abort();
	build_name(&p->capabilities.add, "CAP_KILL", 1);
	build_name(&p->capabilities.add, "CAP_SYS_ADMIN", 1);
	merge(s, p, &why);
	assert_int_equal(s->process->capabilities->bounding.n, 1);
	assert_string_equal(s->process->capabilities->bounding.v[0], "CAP_KILL");
	assert_int_equal(s->process->capabilities->effective.n, 1);
	assert_true(s->process->no_new_privileges);
	assert_explained(&why,
			 "capabilities: dropped CAP_CHOWN, CAP_NET_RAW (policy: only what it adds)");
	strv_free(&why);
	oci_spec_free(s);
	policy_free(p);
}

static void the_callers_groups_are_given_up(void **state)
{
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");
	struct strv why = {};

	if (strmap_set(&s->annotations, OCI_KEEP_GROUPS, "1") < 0)
		abort();
	merge(s, p, &why);
	assert_string_equal(strmap_get(&s->annotations, OCI_KEEP_GROUPS), "0");
	assert_explained(&why,
			 "process: the caller's supplementary groups are given up (always, "
			 "under a policy)");
	strv_free(&why);
	oci_spec_free(s);
	policy_free(p);
}

static void a_process_that_is_executed_later_gets_no_more(void **state)
{
	struct oci_spec *s = plain_spec();
	struct oci_process proc = { 0 };
	struct policy *p = build_policy("p");
	struct oci_capabilities *c = build_check(calloc(1, sizeof(*c)));
	struct err e;

	proc.capabilities = c;
	if (strv_add(&s->process->capabilities->bounding, "CAP_KILL") < 0 ||
	    strv_add(&c->effective, "CAP_SYS_ADMIN") < 0 ||
	    strv_add(&c->effective, "CAP_KILL") < 0)
		abort();
	build_name(&p->capabilities.add, "CAP_KILL", 1);
	build_name(&p->syscalls.deny, "execve", 1);
	/* Without a policy nothing is changed. */
	assert_int_equal(policy_limit_process(s, &proc, &e), 0);
	assert_int_equal(c->effective.n, 2);
	assert_false(proc.no_new_privileges);
	merge(s, p, NULL);
	assert_int_equal(policy_limit_process(s, &proc, &e), 0);
	assert_int_equal(c->effective.n, 1);
	assert_string_equal(c->effective.v[0], "CAP_KILL");
	assert_true(proc.no_new_privileges);
	assert_int_equal(proc.rlimits.n, 1);
	assert_int_equal(proc.rlimits.v[0].hard, 65534);
	json_clear(&oci_process_type, &proc);
	oci_spec_free(s);
	policy_free(p);
}

/* What was merged, or the error. */
static int try_merge(struct oci_spec *s, const struct policy *p, struct err *e)
{
	int r = policy_merge(s, p, NULL, &host, NULL, e);

	if (r < 0)
		assert_int_equal(e->kind, ERR_POLICY);
	return r;
}

static void an_isolated_network_gets_no_device_of_the_host(void **state)
{
	struct policy *p = build_policy("p");
	struct oci_spec *s = plain_spec();
	struct oci_net_device *d = build_check(list_add(&s->linux_->net_devices));
	struct err e;

	d->host_name = build_text("eth7");
	p->network.isolated = false;
	assert_int_equal(try_merge(s, p, &e), 0);
	assert_int_equal(s->linux_->net_devices.n, 1);
	p->network.isolated = true;
	assert_true(try_merge(s, p, &e) < 0);
	assert_non_null(strstr(e.msg, "linux.netDevices asks for the host's device 'eth7'"));
	oci_spec_free(s);
	policy_free(p);
}

static void realtime_does_not_evade_the_cpu_limit(void **state)
{
	static const char *const realtime[] = { "SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE" };
	static const char *const others[] = { "SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE" };
	struct policy *limited = build_policy("p"), *unlimited = build_policy("q");
	struct oci_scheduler exec_scheduler = { 0 };
	struct oci_process later = { .scheduler = &exec_scheduler };
	struct err e;
	size_t i;

	limited->resources.cpu_millis = 500;
	for (i = 0; i < ARRAY_SIZE(realtime) + ARRAY_SIZE(others); i++) {
		bool is_realtime = i < ARRAY_SIZE(realtime);
		const char *name = is_realtime ? realtime[i] :
						 others[i - ARRAY_SIZE(realtime)];
		struct oci_spec *s = plain_spec();

		s->process->scheduler =
			build_check(calloc(1, sizeof(*s->process->scheduler)));
		s->process->scheduler->policy = build_text(name);
		assert_int_equal(try_merge(s, unlimited, &e), 0);
		assert_int_equal(try_merge(s, limited, &e) < 0, is_realtime);
		if (is_realtime)
			assert_non_null(strstr(e.msg, name));
		/* A process of exec is under the same limit. */
		exec_scheduler.policy = (char *)name;
		assert_int_equal(policy_limit_process(s, &later, &e) < 0, is_realtime);
		oci_spec_free(s);
	}
	policy_free(limited);
	policy_free(unlimited);
}

static void denying_execve_limits_open_files(void **state)
{
	static const struct merge_host small = { .nofile_hard = 1024 },
				       none = { .nofile_hard = 1 };
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");
	struct oci_rlimit *l;
	struct err e;

	p->capabilities.default_drop = false;
	if (strv_add(&s->process->capabilities->effective, "CAP_SYS_RESOURCE") < 0)
		abort();
	build_name(&p->syscalls.deny, "execve", 1);
	merge(s, p, NULL);
	assert_int_equal(s->process->capabilities->effective.n, 0);
	assert_int_equal(s->process->rlimits.n, 1);
	l = &s->process->rlimits.v[0];
	assert_string_equal(l->type, "RLIMIT_NOFILE");
	assert_int_equal(l->soft, 1024);
	assert_int_equal(l->hard, 65534);
	/* The number has to be one that the runtime can open itself. */
	assert_int_equal(policy_merge(s, p, NULL, &small, NULL, &e), 0);
	assert_int_equal(s->process->rlimits.n, 1);
	assert_int_equal(s->process->rlimits.v[0].hard, 1023);
	assert_int_equal(s->process->rlimits.v[0].soft, 1023);
	oci_spec_free(s);
	assert_merge_refused(p, &none, "RLIMIT_NOFILE");
}

static void the_smaller_limit_wins(void **state)
{
	struct oci_spec *s = plain_spec();
	struct oci_resources *r = build_check(calloc(1, sizeof(*r)));
	struct policy *p = build_policy("p");
	struct strv why = { 0 };

	s->linux_->resources = r;
	r->memory = build_check(calloc(1, sizeof(*r->memory)));
	r->memory->limit = (struct opt_i64){ true, 1 << 30 };
	r->memory->swap = (struct opt_i64){ true, -1 };
	r->memory->disable_oom_killer = (struct opt_bool){ true, true };
	r->cpu = build_check(calloc(1, sizeof(*r->cpu)));
	r->cpu->quota = (struct opt_i64){ true, 20000 };
	r->cpu->period = (struct opt_u64){ true, 50000 };
	r->pids = build_check(calloc(1, sizeof(*r->pids)));
	r->pids->limit = (struct opt_i64){ true, -1 };
	p->resources.memory_bytes = 512 << 20;
	p->resources.cpu_millis = 500;
	p->resources.pids_limit = 64;
	merge(s, p, &why);
	assert_int_equal(r->memory->limit.value, 512 << 20);
	assert_int_equal(r->memory->swap.value, 512 << 20);
	assert_false(r->memory->disable_oom_killer.value);
	/* 0.4 CPUs are less than 0.5. */
	assert_int_equal(r->cpu->quota.value, 20000);
	assert_int_equal(r->cpu->period.value, 50000);
	assert_int_equal(r->pids->limit.value, 64);
	assert_explained(&why, "memory: at most 536870912 bytes, swap included");
	assert_explained(&why, "pids: at most 64 processes and threads");
	p->resources.cpu_millis = 250;
	merge(s, p, &why);
	assert_int_equal(r->cpu->quota.value, 25000);
	assert_int_equal(r->cpu->period.value, 100000);
	assert_explained(&why, "cpu: at most 0.250 CPUs");
	strv_free(&why);
	oci_spec_free(s);
	policy_free(p);
}

static void the_unified_map_cannot_lift_a_limit(void **state)
{
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");
	struct merge_host v2 = host;
	struct oci_resources *r = build_check(calloc(1, sizeof(*r)));
	struct err e;

	s->linux_->resources = r;
	v2.cgroup_v2 = true;
	if (strmap_set(&r->unified, "memory.max", "max") < 0 ||
	    strmap_set(&r->unified, "memory.swap.max", "max") < 0 ||
	    strmap_set(&r->unified, "pids.max", "10") < 0 ||
	    strmap_set(&r->unified, "cpu.max", "max 100000") < 0)
		abort();
	p->resources.memory_bytes = 1 << 20;
	p->resources.cpu_millis = 1000;
	p->resources.pids_limit = 20;
	assert_int_equal(policy_merge(s, p, NULL, &v2, NULL, &e), 0);
	assert_int_equal(r->memory->limit.value, 1 << 20);
	assert_int_equal(r->pids->limit.value, 10);
	assert_int_equal(r->cpu->quota.value, 100000);
	assert_int_equal(r->unified.n, 1);
	assert_string_equal(strmap_get(&r->unified, "memory.oom.group"), "1");
	assert_int_equal(strmap_set(&r->unified, "memory.max", "50%"), 0);
	assert_true(policy_merge(s, p, NULL, &v2, NULL, &e) < 0);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.msg, "memory.max: '50%'"));
	oci_spec_free(s);
	policy_free(p);
}

static void block_io_needs_devices_that_are_known(void **state)
{
	struct merge_host unknown = { .block_devices_why = (char *)"'/out' is on nfs" };
	struct oci_throttle disk = { 8, 0, 0 };
	struct merge_host known = { .block_devices_known = true,
				    .block_devices = { &disk, 1 } };
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");
	struct err e;

	p->resources.block_io_bps = 1000000;
	p->resources.block_io_pos = (struct policy_pos){ 9, 3 };
	assert_int_equal(policy_merge(s, p, NULL, &known, NULL, &e), 0);
	assert_int_equal(s->linux_->resources->block_io->throttle_read_bps.n, 1);
	assert_int_equal(s->linux_->resources->block_io->throttle_write_bps.v[0].rate,
			 1000000);
	assert_int_equal(s->linux_->resources->block_io->throttle_write_bps.v[0].major, 8);
	oci_spec_free(s);
	assert_merge_refused(p, &unknown,
			     "policy test.yaml:9:3: resources.block_io_limit cannot hold here: '/out' "
			     "is on nfs");
}

static void mounts_of_an_engine_become_read_only(void **state)
{
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");

	p->resources.memory_bytes = 1 << 20;
	build_name(&p->filesystem.scratch_paths, "/work", 1);
	build_output(p, "/srv/out", "/work/out");
	build_immutable(p, NULL, "/usr");
	build_immutable(p, "/srv/ref", "/ref");
	add_mount(s, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	add_mount(s, "/dev", "tmpfs", "tmpfs", "nosuid,mode=755");
	add_mount(s, "/dev/shm", "bind", "/var/lib/engine/shm", "bind,rw,rprivate");
	add_mount(s, "/sys", "sysfs", "sysfs", "rw");
	add_mount(s, "/data/", "bind", "/home/data", "rbind,rw,rshared");
	add_mount(s, "/work/cache", "bind", "/home/cache", "bind");
	add_mount(s, "/run", "tmpfs", "tmpfs", "nosuid,nodev");
	add_mount(s, "/usr/tmp", "tmpfs", "tmpfs", "nosuid,nodev,rw");
	add_mount(s, "/etc/off", "bind", "/dev/null", "bind,ro");
	merge(s, p, NULL);
	assert_true(s->root->readonly);
	assert_int_equal(s->mounts.n, 12);
	assert_mount(s, 0, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	assert_mount(s, 1, "/dev", "tmpfs", "tmpfs", "nosuid,mode=755");
	assert_mount(s, 2, "/dev/shm", "tmpfs", "tmpfs",
		     "nosuid,noexec,nodev,mode=1777,size=1048576");
	assert_mount(s, 3, "/sys", "sysfs", "sysfs", "ro");
	assert_mount(s, 4, "/data", "bind", "/home/data",
		     "rbind,rslave,ro,rro,nosuid,rnosuid,nodev,rnodev");
	/* The scratch directory comes before what the engine puts into it. */
	assert_mount(s, 5, "/work", "tmpfs", "tmpfs", "nosuid,nodev,mode=1777,size=1048576");
	assert_mount(s, 6, "/work/cache", "bind", "/home/cache", "bind,nosuid,nodev");
	assert_mount(s, 7, "/run", "tmpfs", "tmpfs", "nosuid,nodev");
	assert_mount(s, 8, "/usr/tmp", "tmpfs", "tmpfs", "nosuid,nodev,ro");
	assert_mount(s, 9, "/etc/off", "bind", "/dev/null", "bind,ro,nosuid");
	assert_mount(s, 10, "/ref", "bind", "/srv/ref",
		     "rbind,ro,rro,nosuid,rnosuid,nodev,rnodev");
	assert_mount(s, 11, "/work/out", "bind", "/srv/out",
		     "rbind,rw,nosuid,rnosuid,nodev,rnodev,noexec,rnoexec");
	assert_true(strv_contains(&s->linux_->readonly_paths, "/usr"));
	assert_false(strv_contains(&s->linux_->readonly_paths, "/ref"));
	oci_spec_free(s);
	policy_free(p);
}

/* fstab's way: the runtime reads each word of a string, so the merge has to. */
static void options_in_one_string_are_seen(void **state)
{
	static const struct {
		const char *type, *options, *out;
	} cases[] = {
		{ "bind", "ro|nodev,rw", "ro,nodev,nosuid" },
		{ "tmpfs", "nosuid,rbind", "nosuid,rbind,ro,rro,rnosuid,nodev,rnodev" },
		{ "bind", "rbind|nosuid,suid,rshared",
		  "rbind,nosuid,rslave,ro,rro,rnosuid,nodev,rnodev" },
		{ "tmpfs", "mode=755,remount,rw", "mode=755,remount,ro,nosuid,nodev" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct oci_spec *s = plain_spec();
		struct policy *p = build_policy("p");
		_free_ char *options = build_text(cases[i].options);
		char *one, *rest = options;
		struct oci_mount *m;

		add_mount(s, "/data", cases[i].type, "/home/data", "");
		m = &s->mounts.v[0];
		while ((one = strsep(&rest, "|")))
			if (strv_add(&m->options, one) < 0)
				abort();
		merge(s, p, NULL);
		assert_mount(s, 0, "/data", cases[i].type, "/home/data", cases[i].out);
		oci_spec_free(s);
		policy_free(p);
	}
}

static void an_immutable_path_is_not_both_in_and_around_a_writable_one(void **state)
{
	struct policy *p = build_policy("p");

	build_output(p, "/srv/out", "/out");
	build_immutable(p, NULL, "/out/ref")->pos = (struct policy_pos){ 7, 5 };
	build_name(&p->filesystem.scratch_paths, "/out/ref/tmp", 1);
	assert_merge_refused(p, &host,
			     "policy test.yaml:7:5: filesystem.immutable_paths: '/out/ref'");
}

static void the_host_is_not_shared(void **state)
{
	struct oci_spec *s = plain_spec();
	struct policy *p = build_policy("p");
	struct oci_namespace *ns = build_check(list_add(&s->linux_->namespaces));
	struct oci_device *d = build_check(list_add(&s->linux_->devices));
	struct strv why = { 0 };
	size_t i;

	ns->type = build_text("network");
	ns->path = build_text("/run/netns/x");
	d->type = build_text("b");
	d->path = build_text("/dev/sda");
	d->major = (struct opt_i64){ true, 8 };
	d->minor = (struct opt_i64){ true, 0 };
	s->linux_->rootfs_propagation = build_text("rshared");
	merge(s, p, &why);
	assert_true(s->linux_->isolate_network);
	assert_int_equal(s->linux_->namespaces.n, 6);
	/* The engine's hooks still find the namespace that they plug into. */
	assert_string_equal(s->linux_->namespaces.v[0].path, "/run/netns/x");
	for (i = 1; i < 6; i++)
		assert_null(s->linux_->namespaces.v[i].path);
	assert_int_equal(s->linux_->devices.n, 0);
	assert_int_equal(s->linux_->resources->devices.n, 1);
	assert_false(s->linux_->resources->devices.v[0].allow);
	assert_string_equal(s->linux_->rootfs_propagation, "rslave");
	assert_explained(&why, "namespaces: a new pid namespace instead of the host's");
	assert_explained(&why, "devices: '/dev/sda' is left out");
	strv_free(&why);
	oci_spec_free(s);

	/* Not isolated: the engine's network, or none, as it is. */
	s = plain_spec();
	p->network.isolated = false;
	merge(s, p, NULL);
	assert_false(s->linux_->isolate_network);
	assert_int_equal(s->linux_->namespaces.n, 5);
	oci_spec_free(s);
	policy_free(p);
}

static void a_policy_of_lower_rank_gives_no_path_of_the_host(void **state)
{
	struct oci_spec *s = plain_spec();
	struct policy *admin = build_policy("admin"), *p = build_policy("p");
	struct strv why = { 0 }, dirs = { 0 };
	struct err e;

	build_output(admin, "/srv/a", "/a");
	build_immutable(admin, NULL, "/opt");
	build_output(p, "/srv/a", "/a");
	build_output(p, "/srv/b", "/b");
	build_output(p, "/srv/b", "/a/b");
	build_immutable(p, "/srv/secret", "/secret");
	build_name(&p->filesystem.scratch_paths, "/opt/x", 1);
	build_name(&p->filesystem.scratch_paths, "/tmp", 1);
	merge(s, admin, NULL);
	assert_int_equal(policy_merge(s, p, admin, &host, &why, &e), 0);
	assert_int_equal(s->mounts.n, 2);
	assert_string_equal(s->mounts.v[0].destination, "/a");
	assert_true(mount_has_option(&s->mounts.v[0], "rw"));
	assert_string_equal(s->mounts.v[1].destination, "/tmp");
	assert_explained(&why, "filesystem: '/secret' is left out: the policy 'admin' of the "
			       "administrator does not grant it");
	assert_int_equal(policy_output_dirs(p, admin, &dirs, &e), 0);
	assert_int_equal(dirs.n, 1);
	assert_string_equal(dirs.v[0], "/srv/a");
	strv_free(&dirs);
	strv_free(&why);
	oci_spec_free(s);
	policy_free(admin);
	policy_free(p);
}

/* The sandbox of `purple run`. */

static struct sandbox_request *request(uint32_t uid, bool rootless)
{
	static struct sandbox_request rq;

	rq = (struct sandbox_request){
		.uid = uid, .gid = uid, .rootless = rootless, .rootfs = "/var/empty"
	};
	if (strv_add(&rq.args, "agent") < 0 || strv_add(&rq.env, "HOME=/home/me") < 0 ||
	    strv_add(&rq.env, "X=1") < 0)
		abort();
	return &rq;
}

static struct oci_spec *sandbox(const struct policy *p, struct sandbox_request *rq)
{
	struct oci_spec *s = NULL;
	struct err e;

	if (policy_sandbox_spec(p, rq, &host, &s, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	if (oci_spec_check(s, &e) < 0)
		fail_msg("%s", e.msg);
	strv_free(&rq->args);
	strv_free(&rq->env);
	return s;
}

static void a_sandbox_has_what_the_policy_says_and_no_more(void **state)
{
	struct policy *p = build_policy("agent");
	struct oci_spec *s;

	build_immutable(p, "/usr", "/usr");
	build_immutable(p, NULL, "/etc/ssl");
	build_name(&p->filesystem.scratch_paths, "/usr/scratch/x", 1);
	build_name(&p->filesystem.scratch_paths, "/tmp", 1);
	build_name(&p->capabilities.add, "CAP_CHOWN", 1);
	build_name(&p->capabilities.add, "CAP_SYS_ADMIN", 1);
	s = sandbox(p, request(0, false));
	assert_true(s->root->readonly);
	assert_string_equal(s->hostname, "agent");
	assert_string_equal(s->process->cwd, "/usr/scratch/x");
	assert_int_equal(s->mounts.n, 9);
	assert_mount(s, 0, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	assert_mount(s, 2, "/dev/pts", "devpts", "devpts",
		     "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
	/* Parents come before what is below them. */
	assert_mount(s, 5, "/usr", "bind", "/usr",
		     "rbind,ro,rro,nosuid,rnosuid,nodev,rnodev");
	assert_mount(s, 6, "/tmp", "tmpfs", "tmpfs", "nosuid,nodev,mode=1777,size=25%");
	assert_mount(s, 7, "/etc/ssl", "bind", "/etc/ssl",
		     "rbind,ro,rro,nosuid,rnosuid,nodev,rnodev");
	assert_mount(s, 8, "/usr/scratch/x", "tmpfs", "tmpfs",
		     "nosuid,nodev,mode=1777,size=25%");
	assert_int_equal(s->process->capabilities->effective.n, 1);
	assert_string_equal(s->process->capabilities->effective.v[0], "CAP_CHOWN");
	assert_true(s->process->no_new_privileges);
	assert_true(s->linux_->isolate_network);
	assert_int_equal(s->linux_->policy_seccomp.n, 1);
	assert_int_equal(s->process->env.n, 3);
	assert_true(strv_contains(&s->process->env, "HOME=/home/me"));
	assert_true(strv_contains(&s->process->env, "X=1"));
	assert_true(strv_contains(&s->linux_->masked_paths, "/proc/kcore"));
	oci_spec_free(s);
	policy_free(p);
}

static void a_rootless_sandbox_maps_its_caller_alone(void **state)
{
	struct policy *p = build_policy("agent");
	struct oci_spec *s = sandbox(p, request(1000, true));

	assert_int_equal(s->linux_->uid_mappings.n, 1);
	assert_int_equal(s->linux_->uid_mappings.v[0].container_id, 1000);
	assert_int_equal(s->linux_->uid_mappings.v[0].host_id, 1000);
	assert_int_equal(s->linux_->uid_mappings.v[0].size, 1);
	assert_non_null(oci_spec_namespace(s, "user"));
	assert_int_equal(s->process->user->uid, 1000);
	assert_int_equal(s->process->capabilities->effective.n, 0);
	assert_string_equal(s->process->cwd, "/");
	assert_mount(s, 2, "/dev/pts", "devpts", "devpts",
		     "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620");
	oci_spec_free(s);
	policy_free(p);
}

static void assert_sandbox_refused(struct policy *p, struct sandbox_request *rq,
				   const char *part)
{
	struct oci_spec *s = NULL;
	struct err e;

	assert_true(policy_sandbox_spec(p, rq, &host, &s, NULL, &e) < 0);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	if (!strstr(e.msg, part))
		fail_msg("'%s' lacks '%s'", e.msg, part);
	assert_null(s);
	strv_free(&rq->args);
	strv_free(&rq->env);
	policy_free(p);
}

static void a_sandbox_refuses_what_it_cannot_do_with_the_line(void **state)
{
	struct policy *p = build_policy("agent");

	p->network.isolated = false;
	p->network.isolated_pos = (struct policy_pos){ 12, 13 };
	assert_sandbox_refused(p, request(0, false),
			       "policy test.yaml:12:13: network.isolated: false");
	p = build_policy("agent");
	build_immutable(p, NULL, "/")->pos = (struct policy_pos){ 4, 5 };
	assert_sandbox_refused(p, request(0, false),
			       "policy test.yaml:4:5: filesystem.immutable_paths");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_are_intersected_and_explained),
		cmocka_unit_test(the_callers_groups_are_given_up),
		cmocka_unit_test(a_process_that_is_executed_later_gets_no_more),
		cmocka_unit_test(an_isolated_network_gets_no_device_of_the_host),
		cmocka_unit_test(realtime_does_not_evade_the_cpu_limit),
		cmocka_unit_test(denying_execve_limits_open_files),
		cmocka_unit_test(the_smaller_limit_wins),
		cmocka_unit_test(the_unified_map_cannot_lift_a_limit),
		cmocka_unit_test(block_io_needs_devices_that_are_known),
		cmocka_unit_test(mounts_of_an_engine_become_read_only),
		cmocka_unit_test(options_in_one_string_are_seen),
		cmocka_unit_test(an_immutable_path_is_not_both_in_and_around_a_writable_one),
		cmocka_unit_test(the_host_is_not_shared),
		cmocka_unit_test(a_policy_of_lower_rank_gives_no_path_of_the_host),
		cmocka_unit_test(a_sandbox_has_what_the_policy_says_and_no_more),
		cmocka_unit_test(a_rootless_sandbox_maps_its_caller_alone),
		cmocka_unit_test(a_sandbox_refuses_what_it_cannot_do_with_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
