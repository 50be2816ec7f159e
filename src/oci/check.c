/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime-spec (config.md) demands of a configuration beyond types: the parts that all
 * platforms share. check_linux.c has the linux section. Pure: looks at nothing but its argument.
 */
#include "oci/check.h"

#include <ctype.h>
#include <stdio.h>

/* sethostname(2) and setdomainname(2): __NEW_UTS_LEN. */
#define UTS_NAME_MAX 64
/* struct winsize has 16 bits for each. */
#define CONSOLE_SIZE_MAX 65535

bool check_is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (streq(word, *list))
			return true;
	return false;
}

/* Reads one number of a semantic version; NULL when there is none. */
static const char *version_number(const char *s, unsigned int *ret)
{
	const char *p = s;

	*ret = 0;
	for (; isdigit((unsigned char)*p) && p - s < 6; p++)
		*ret = *ret * 10 + (unsigned int)(*p - '0');
	if (p == s || isdigit((unsigned char)*p) || (s[0] == '0' && p - s > 1))
		return NULL;
	return p;
}

/* "Semantic Versioning 2.0.0": MAJOR.MINOR.PATCH with -pre-release and +build. */
static bool version_parse(const char *s, unsigned int *ret_major)
{
	unsigned int other;

	s = version_number(s, ret_major);
	if (!s || *s++ != '.')
		return false;
	s = version_number(s, &other);
	if (!s || *s++ != '.')
		return false;
	s = version_number(s, &other);
	if (!s)
		return false;
	if (*s == '\0')
		return true;
	if ((*s != '-' && *s != '+') || s[1] == '\0')
		return false;
	for (s++; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-.+", *s))
			return false;
	return true;
}

static int check_version(const char *version, struct err *e)
{
	unsigned int major;

	if (!version)
		return check_fault(e, "ociVersion: is required");
	if (!version_parse(version, &major))
		return check_fault(e, "ociVersion: '%s' is no semantic version", version);
	if (major != 1)
		return check_unsupported(e, "ociVersion: '%s' is not supported, only 1.x is",
					 version);
	return 0;
}

static const char *const rlimit_types[] = {
	"RLIMIT_AS",
	"RLIMIT_CORE",
	"RLIMIT_CPU",
	"RLIMIT_DATA",
	"RLIMIT_FSIZE",
	"RLIMIT_LOCKS",
	"RLIMIT_MEMLOCK",
	"RLIMIT_MSGQUEUE",
	"RLIMIT_NICE",
	"RLIMIT_NOFILE",
	"RLIMIT_NPROC",
	"RLIMIT_RSS",
	"RLIMIT_RTPRIO",
	"RLIMIT_RTTIME",
	"RLIMIT_SIGPENDING",
	"RLIMIT_STACK",
	NULL,
};

static int check_rlimits(const struct oci_process *p, struct err *e)
{
	/* More entries than types must hold one twice: the scan below stays short. */
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *r = &p->rlimits.v[i];

		if (!check_is_one_of(r->type, rlimit_types))
			return check_fault(e, "process.rlimits[%zu].type: '%s' is unknown",
					   i, r->type);
		for (size_t k = 0; k < i; k++)
			if (streq(p->rlimits.v[k].type, r->type))
				return check_fault(e,
						   "process.rlimits[%zu].type: %s is given twice",
						   i, r->type);
		if (r->soft > r->hard)
			return check_fault(e,
					   "process.rlimits[%zu]: soft is above hard (%s)",
					   i, r->type);
	}
	return 0;
}

int oci_process_check(const struct oci_process *p, struct err *e)
{
	const struct oci_box *box = p->console_size;

	if (!p->cwd || p->cwd[0] != '/')
		return check_fault(e, "process.cwd: must be an absolute path");
	if (p->args.n == 0)
		return check_fault(e, "process.args: must not be empty");
	if (box && (box->height > CONSOLE_SIZE_MAX || box->width > CONSOLE_SIZE_MAX))
		return check_fault(e, "process.consoleSize: must not be above %d",
				   CONSOLE_SIZE_MAX);
	if (p->user && p->user->umask.set && p->user->umask.value > 0777)
		return check_fault(e,
				   "process.user.umask: must not be above 511 (octal 777)");
	/* -1 says "unchanged" to setresuid(2) and setresgid(2): the id would not be dropped. */
	if (p->user && p->user->uid == UINT32_MAX)
		return check_fault(e, "process.user.uid: %u is no user id", UINT32_MAX);
	if (p->user && p->user->gid == UINT32_MAX)
		return check_fault(e, "process.user.gid: %u is no group id", UINT32_MAX);
	for (size_t i = 0; p->user && i < p->user->additional_gids.n; i++)
		if (p->user->additional_gids.v[i] == UINT32_MAX)
			return check_fault(e,
					   "process.user.additionalGids[%zu]: %u is no group id",
					   i, UINT32_MAX);
	if (p->oom_score_adj.set &&
	    (p->oom_score_adj.value < -1000 || p->oom_score_adj.value > 1000))
		return check_fault(e, "process.oomScoreAdj: must be between -1000 and 1000");
	return check_rlimits(p, e);
}

static bool has_option(const struct oci_mount *m, const char *a, const char *b)
{
	return oci_mount_has_option(m, a) || oci_mount_has_option(m, b);
}

/*
 * A relative destination is meant from "/" (deprecated by the spec, still met). Options and types
 * are the business of linux/mount, which knows them.
 */
static int check_mount(const struct oci_mount *m, size_t at, struct err *e)
{
	char path[64];
	int r;

	if (m->destination[0] == '\0')
		return check_fault(e, "mounts[%zu].destination: must not be empty", at);
	if (((m->type && streq(m->type, "bind")) || has_option(m, "bind", "rbind")) &&
	    !oci_mount_has_option(m, "remount") && (!m->source || m->source[0] == '\0'))
		return check_fault(e,
				   "mounts[%zu].source: is required for a bind mount on '%s'",
				   at, m->destination);
	if ((m->uid_mappings.n == 0) != (m->gid_mappings.n == 0))
		return check_fault(e,
				   "mounts[%zu]: uidMappings and gidMappings need each other",
				   at);
	snprintf(path, sizeof(path), "mounts[%zu].uidMappings", at);
	r = check_id_mappings(&m->uid_mappings, path, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "mounts[%zu].gidMappings", at);
	return check_id_mappings(&m->gid_mappings, path, e);
}

static int check_hook_list(const oci_hooks_list *l, const char *stage, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct oci_hook *h = &l->v[i];

		if (h->path[0] != '/')
			return check_fault(e,
					   "hooks.%s[%zu].path: must be absolute, not '%s'",
					   stage, i, h->path);
		if (h->timeout.set && h->timeout.value <= 0)
			return check_fault(e, "hooks.%s[%zu].timeout: must be above 0",
					   stage, i);
	}
	return 0;
}

static int check_hooks(const struct oci_hooks *h, struct err *e)
{
	const struct {
		const char *stage;
		const oci_hooks_list *list;
	} stages[] = {
		{ "prestart", &h->prestart },
		{ "createRuntime", &h->create_runtime },
		{ "createContainer", &h->create_container },
		{ "startContainer", &h->start_container },
		{ "poststart", &h->poststart },
		{ "poststop", &h->poststop },
	};

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		int r = check_hook_list(stages[i].list, stages[i].stage, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* hostname and domainname: length, and a UTS namespace to set them in. */
static int check_uts_name(const struct oci_spec *s, const char *member, const char *name,
			  struct err *e)
{
	if (!name || name[0] == '\0')
		return 0;
	if (strlen(name) > UTS_NAME_MAX)
		return check_fault(e, "%s: is longer than %d bytes", member, UTS_NAME_MAX);
	if (!oci_spec_namespace(s, "uts"))
		return check_fault(e, "%s: cannot be set without a uts namespace", member);
	return 0;
}

int oci_spec_check(const struct oci_spec *s, struct err *e)
{
	int r;

	r = check_version(s->oci_version, e);
	if (r < 0)
		return r;
	if (!s->root)
		return check_fault(e, "root: is required");
	if (!s->root->path || s->root->path[0] == '\0')
		return check_fault(e, "root.path: must not be empty");
	r = s->process ? oci_process_check(s->process, e) : 0;
	if (r < 0)
		return r;
	r = check_uts_name(s, "hostname", s->hostname, e);
	if (r < 0)
		return r;
	r = check_uts_name(s, "domainname", s->domainname, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->mounts.n; i++) {
		r = check_mount(&s->mounts.v[i], i, e);
		if (r < 0)
			return r;
	}
	r = s->hooks ? check_hooks(s->hooks, e) : 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->annotations.n; i++)
		if (s->annotations.k[i][0] == '\0')
			return check_fault(e, "annotations: a key must not be empty");
	return s->linux_ ? check_linux(s, e) : 0;
}
