/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers of other runtimes that the network filter cannot hold: see foreign.h. Runs in
 * purple-network-hook, as root of the host; reads only.
 *
 * Purple's own runtime takes from a container what leads round the filter. A hook can take nothing:
 * what is too much is refused. The filter is on a cgroup and on devices; round it leads
 *  - to undo it, or make devices that it does not know: CAP_NET_ADMIN, CAP_BPF, CAP_SYS_ADMIN, and
 *    what reaches into the kernel; a BPF file system that is visible
 *  - out of the cgroup: a cgroup file system that can be written to
 *  - other processes that are not filtered: those of the same network or pid namespace
 *  - sockets that have nothing to do with network namespaces: AF_VSOCK
 * CAP_NET_RAW gives packet sockets, which the filter at the other end of a veth pair sees.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "container/foreign.h"
#include "linux/seccomp.h"

#define NEXT_STEP "or run it under purple-runtime, which takes care of that"

/* --- capabilities --- */

static bool has_cap(const struct oci_capabilities *c, const char *name)
{
	const struct strv *const sets[] = { &c->bounding, &c->effective, &c->permitted,
					    &c->inheritable, &c->ambient };

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		for (size_t k = 0; k < sets[i]->n; k++)
			if (strcasecmp(sets[i]->v[k], name) == 0)
				return true;
	return false;
}

static int check_caps(const struct oci_process *p, bool *ret_net_raw, struct err *e)
{
	static const char *const refused[] = { "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF",
					       "CAP_SYS_MODULE", "CAP_SYS_RAWIO" };

	/* Without a word on them some runtimes keep their own. */
	if (!p || !p->capabilities)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "process.capabilities is missing: what the container may do is not "
			       "known");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (has_cap(p->capabilities, refused[i]))
			return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
				       "the container has %s, which gets round the network filter: drop "
				       "it (and do not make it privileged), " NEXT_STEP,
				       refused[i]);
	*ret_net_raw = has_cap(p->capabilities, "CAP_NET_RAW");
	return 0;
}

/* --- namespaces, as the configuration asks for them --- */

static int check_namespaces(const struct oci_spec *s, struct err *e)
{
	static const struct {
		const char *type;
		bool may_join; /* who else is in it is looked at */
		const char *why;
	} needed[] = {
		{ "network", true, "the host's network" },
		{ "pid", false, "processes that are not filtered" },
		{ "mount", false, "the host's control groups" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		const struct oci_namespace *ns = oci_spec_namespace(s, needed[i].type);

		if (ns && (!ns->path || needed[i].may_join))
			continue;
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the container has no %s namespace of its own, and reaches %s, for which "
			       "the network filter does not hold: give it one, " NEXT_STEP,
			       needed[i].type, needed[i].why);
	}
	return 0;
}

/* --- mounts --- */

static bool is_cgroup(const char *type)
{
	return streq(type, "cgroup") || streq(type, "cgroup2");
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (streq(dir, "/"))
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int refuse_mount(const struct oci_mount *m, const char *what, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "the mount on '%s' shows %s, by which the network filter can be left: leave it "
		       "out, " NEXT_STEP,
		       m->destination, what);
}

/* With both, the later one would count. */
static bool is_read_only(const struct oci_mount *m)
{
	return oci_mount_has_option(m, "ro") && !oci_mount_has_option(m, "rw");
}

/* A bind of `source` (resolved) where one of the host's mounts is. */
static int check_bind_at(const struct oci_mount *m, const char *source,
			 const struct mntent *host, struct err *e)
{
	bool inside = is_below(source, host->mnt_dir);
	bool brings = is_below(host->mnt_dir, source) && oci_mount_has_option(m, "rbind");

	if (streq(host->mnt_type, "bpf") && (inside || brings))
		return refuse_mount(m, "a BPF file system", e);
	if (!is_cgroup(host->mnt_type) || oci_mount_has_option(m, "rro"))
		return 0;
	if (brings || (inside && !is_read_only(m)))
		return refuse_mount(m, "control groups that can be written to", e);
	return 0;
}

static int check_bind(const struct oci_mount *m, const char *bundle, struct err *e)
{
	const char *named = m->source ? m->source : "";
	_free_ char *path = fs_from(bundle, named);
	_free_ char *source = path ? realpath(path, NULL) : NULL;
	struct mntent entry;
	char line[8192];
	FILE *f;
	int r = 0;

	if (!source)
		return err_sys(e, "cannot look at the source of the mount on '%s'",
			       m->destination);
	f = setmntent("/proc/self/mounts", "re");
	if (!f)
		return err_sys(e, "cannot read the mounts of the host");
	while (r == 0 && getmntent_r(f, &entry, line, sizeof(line)))
		r = check_bind_at(m, source, &entry, e);
	endmntent(f);
	return r;
}

/* Runtimes bind it with all that is mounted below it. */
static int check_root(const struct oci_spec *s, const char *bundle, struct err *e)
{
	char *options[] = { (char[]){ "rbind" } };
	const struct oci_mount m = { .destination = (char[]){ "/" },
				     .source = s->root ? s->root->path : NULL,
				     .options = { .v = options, .n = 1 } };

	return m.source ? check_bind(&m, bundle, e) : 0;
}

static int check_mount(const struct oci_mount *m, const char *bundle, struct err *e)
{
	if ((m->type && streq(m->type, "bind")) || oci_mount_has_option(m, "bind") ||
	    oci_mount_has_option(m, "rbind"))
		return check_bind(m, bundle, e);
	if (m->type && streq(m->type, "bpf"))
		return refuse_mount(m, "a BPF file system", e);
	if (m->type && is_cgroup(m->type) && !is_read_only(m))
		return refuse_mount(m, "control groups that can be written to", e);
	return 0;
}

/* --- system calls --- */

/* The kernel loads the module for whoever asks. */
static bool kernel_has_family(int family)
{
	_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 || errno != EAFNOSUPPORT;
}

static int check_families(const struct oci_spec *s, struct err *e)
{
	bool denied = false;
	int r = seccomp_denies_family(s->linux_->seccomp, AF_VSOCK, &denied, e);

	if (r < 0)
		return r;
	if (denied || !kernel_has_family(AF_VSOCK))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "the container may make AF_VSOCK sockets, which lead out of every network "
		       "namespace: give it a seccomp profile that denies them, whatever is in the "
		       "upper half of the argument, and io_uring_setup (and socketcall, where it "
		       "allows SCMP_ARCH_X86) as purple-policy-hook does, " NEXT_STEP);
}

int container_foreign_check(const struct oci_spec *s, const char *bundle,
			    bool *ret_net_raw, struct err *e)
{
	int r = check_caps(s->process, ret_net_raw, e);

	if (r == 0)
		r = check_namespaces(s, e);
	if (r == 0)
		r = check_root(s, bundle, e);
	for (size_t i = 0; r == 0 && i < s->mounts.n; i++)
		r = check_mount(&s->mounts.v[i], bundle, e);
	return r == 0 ? check_families(s, e) : r;
}

/* --- namespaces, as they are --- */

static int stat_ns(const char *pid, const char *type, struct stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/ns/%s", pid, type);
	return stat(path, ret) < 0 ? -errno : 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A process other than init in its namespace; 0: none. */
static int find_other(pid_t init, const char *type, const struct stat *ns, pid_t *ret,
		      struct err *e)
{
	_closedir_ DIR *d = opendir("/proc");
	const struct dirent *entry;
	struct stat theirs;

	if (!d)
		return err_sys(e, "cannot read /proc");
	*ret = 0;
	while (*ret == 0 && (entry = readdir(d))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == init)
			continue;
		/* One that has just ended is in no namespace. */
		if (stat_ns(entry->d_name, type, &theirs) == 0 && same_file(&theirs, ns))
			*ret = atoi(entry->d_name);
	}
	return 0;
}

int container_foreign_check_init(pid_t init, struct err *e)
{
	static const struct {
		const char *type, *name;
	} needed[] = { { "net", "network" }, { "pid", "pid" } };
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)init);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		struct stat theirs;
		pid_t other = 0;
		int r = stat_ns(pid, needed[i].type, &theirs);

		if (r < 0)
			return err_errno(e, r, "cannot look at the container's %s namespace",
					 needed[i].name);
		/* The hook itself is in the host's. */
		r = find_other(init, needed[i].type, &theirs, &other, e);
		if (r < 0)
			return r;
		if (other)
			return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
				       "process %d is in the container's %s namespace too (a pod's, or "
				       "another container's), and the network filter would not hold for it: "
				       "give the container one of its own, " NEXT_STEP,
				       (int)other, needed[i].name);
	}
	return 0;
}
