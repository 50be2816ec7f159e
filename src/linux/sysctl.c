/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.sysctl. Checked in the runtime, written by init with the privileges it has in its
 * namespaces. A key that no namespace owns is a setting of the host: refused.
 */
#include "linux/sysctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "linux/proc.h"

struct sysctl_rule {
	const char *name; /* of dots; one that ends in a dot stands for all below it */
	const char *ns;
};

static const struct sysctl_rule rules[] = {
	{ "kernel.msgmax", "ipc" },   { "kernel.msgmnb", "ipc" },
	{ "kernel.msgmni", "ipc" },   { "kernel.sem", "ipc" },
	{ "kernel.shmall", "ipc" },   { "kernel.shmmax", "ipc" },
	{ "kernel.shmmni", "ipc" },   { "kernel.shm_rmid_forced", "ipc" },
	{ "fs.mqueue.", "ipc" },      { "net.", "network" },
	{ "kernel.hostname", "uts" }, { "kernel.domainname", "uts" },
};

/*
 * As sysctl(8): the first separator found says which form is used; in the form of dots a slash
 * stands for a dot within a name ("net.ipv4.conf.eth0/100.forwarding").
 */
static char *to_path(const char *key)
{
	char *p = strdup(key), *first = p ? strpbrk(p, "./") : NULL;

	if (first && *first == '.')
		for (char *c = p; *c; c++)
			*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	return p;
}

/* No empty, `.` or `..` component: the path stays what the rule said it is. */
static bool is_plain(const char *path)
{
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

static const char *namespace_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const char *r = rules[i].name, *p = path;

		while (*r && (*r == '.' ? *p == '/' : *p == *r)) {
			r++;
			p++;
		}
		if (!*r && (!*p || r[-1] == '.'))
			return rules[i].ns;
	}
	return NULL;
}

/* Whether the namespace at `path` is the one that the runtime itself is in: the host's. */
static bool is_own_namespace(const struct oci_namespace *ns)
{
	const char *file = streq(ns->type, "network") ? "net" : ns->type;
	_free_ char *own = str_printf("/proc/self/ns/%s", file);
	struct stat a, b;

	return own && stat(own, &a) == 0 && stat(ns->path, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int sysctl_check(const struct oci_spec *s, struct err *e)
{
	const struct strmap *m = &s->linux_->sysctl;

	for (size_t i = 0; i < m->n; i++) {
		_free_ char *path = to_path(m->k[i]);
		const struct oci_namespace *own;
		const char *ns;

		if (!path)
			return err_oom(e);
		ns = is_plain(path) ? namespace_of(path) : NULL;
		if (!ns)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "sysctl '%s' is not in a separate kernel namespace: it "
				       "would change the host",
				       m->k[i]);
		own = oci_spec_namespace(s, ns);
		if (!own || (own->path && is_own_namespace(own)))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "sysctl '%s' is not allowed: the container has no %s "
				       "namespace of its own",
				       m->k[i], ns);
		if (streq(path, "kernel/hostname") && s->hostname)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "sysctl '%s' and hostname set the same: give one",
				       m->k[i]);
		if (streq(path, "kernel/domainname") && s->domainname)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "sysctl '%s' and domainname set the same: give one",
				       m->k[i]);
	}
	return 0;
}

/*
 * The two names of the uts namespace are set by their system calls: the files belong to the root
 * of the initial user namespace, so a container's own root may not write them.
 */
static int write_one(int proc_fd, const char *path, const char *value, struct err *e)
{
	_free_ char *full = NULL;

	if (streq(path, "kernel/hostname"))
		return sethostname(value, strlen(value)) < 0 ? err_sys(e, "sethostname") :
							       0;
	if (streq(path, "kernel/domainname"))
		return setdomainname(value, strlen(value)) < 0 ?
			       err_sys(e, "setdomainname") :
			       0;
	full = str_printf("sys/%s", path);
	return full ? proc_write(proc_fd, full, value, e) : err_oom(e);
}

int sysctl_apply(int proc_fd, const struct strmap *sysctl, struct err *e)
{
	for (size_t i = 0; i < sysctl->n; i++) {
		_free_ char *path = to_path(sysctl->k[i]);
		int r;

		if (!path)
			return err_oom(e);
		r = write_one(proc_fd, path, sysctl->v[i], e);
		if (r < 0)
			return err_wrap(e, "cannot set sysctl '%s'", sysctl->k[i]);
	}
	return 0;
}
