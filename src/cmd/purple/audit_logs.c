/* SPDX-License-Identifier: Apache-2.0 */
/* See audit_logs.h. Runs with the caller's privileges; reads only. */
#include "cmd/purple/audit_logs.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "audit/config.h"
#include "base/fd.h"
#include "cmd/purple/purple.h"
#include "container/container.h"
#include "policy/audit.h"
#include "policy/policy.h"

#define SUFFIX ".jsonl"

static int add(struct strv *l, const char *path, struct err *e)
{
	return strv_contains(l, path) || strv_add(l, path) == 0 ? 0 : err_oom(e);
}

/* --- of the folder --- */

static int add_folder(struct strv *l, struct err *e)
{
	_closedir_ DIR *d = opendir(AUDIT_LOG_FOLDER);
	const struct dirent *x;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 :
					 err_sys(e, "cannot read '" AUDIT_LOG_FOLDER "'");
	while (r == 0 && (x = readdir(d))) {
		_free_ char *path = NULL;
		/* Of a log whose newest file is missing the others count: LOG.jsonl.1 */
		const char *end = strstr(x->d_name, SUFFIX);

		if (!end || (end[strlen(SUFFIX)] && end[strlen(SUFFIX)] != '.'))
			continue;
		path = str_printf(AUDIT_LOG_FOLDER "/%.*s" SUFFIX, (int)(end - x->d_name),
				  x->d_name);
		r = path ? add(l, path, e) : err_oom(e);
	}
	return r;
}

/* --- of policies --- */

static int add_policy(struct strv *l, const char *path, struct err *e)
{
	_audit_config_clear_ struct audit_config c = {};
	struct policy *p = NULL;
	int r = policy_load(path, &p, e);

	if (r == 0)
		r = policy_audit_add(p, &c, e);
	for (size_t i = 0; r == 0 && i < c.logs.n; i++)
		r = add(l, c.logs.v[i].path, e);
	policy_free(p);
	return r;
}

static int add_policies(struct strv *l, struct err *e)
{
	_strv_free_ struct strv names = {}, paths = {};
	struct err unused;
	int r = profile_list(&names, &paths, e);

	/* One that is not valid has no log; `purple profile` tells of it. */
	for (size_t i = 0; r == 0 && i < paths.n; i++)
		if (add_policy(l, paths.v[i], &unused) == -ENOMEM)
			r = err_oom(e);
	return r;
}

/* --- of containers --- */

static bool is_of(const struct audit_log_config *log, const char *policy)
{
	const size_t n = strlen(policy);

	for (const char *s = log->policy; *s; s += strspn(s, ",")) {
		size_t len = strcspn(s, ",");

		if (len == n && memcmp(s, policy, n) == 0)
			return true;
		s += len;
	}
	return false;
}

/* 1: it is known what it is recorded to. */
static int add_container(struct strv *l, const char *root, const char *id,
			 const char *policy, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	_audit_config_clear_ struct audit_config x = {};
	struct err unused;
	int r;

	/* It may be gone, or not be audited. */
	if (container_open(root, id, false, &c, &unused) < 0)
		return 0;
	r = audit_config_load(c.dirfd, &x, &unused);
	if (r < 0)
		return r == -ENOMEM ? err_oom(e) : 0;
	for (size_t i = 0; i < x.logs.n; i++) {
		r = !policy || is_of(&x.logs.v[i], policy) ? add(l, x.logs.v[i].path, e) :
							     0;
		if (r < 0)
			return r;
	}
	return x.logs.n > 0;
}

static int add_containers(struct strv *l, const char *root, const char *policy,
			  struct err *e)
{
	_strv_free_ struct strv ids = {};
	int r = container_list_ids(root, &ids, e);

	for (size_t i = 0; r >= 0 && i < ids.n; i++)
		r = add_container(l, root, ids.v[i], policy, e);
	return r < 0 ? r : 0;
}

/* --- all --- */

static int add_named(struct strv *l, const char *root, const char *policy, struct err *e)
{
	_free_ char *path = NULL, *log = str_printf(AUDIT_LOG_FOLDER "/%s" SUFFIX, policy);
	struct err unused;
	int r;

	if (!log)
		return err_oom(e);
	if (!strchr(policy, '/') && profile_find(policy, &path, &unused) == 0 &&
	    add_policy(l, path, &unused) == -ENOMEM)
		return err_oom(e);
	/* Its log may have been another one before, or the policy be gone. */
	r = strchr(policy, '/') ? 0 : add(l, log, e);
	return r < 0 ? r : add_containers(l, root, policy, e);
}

int audit_logs_find(const char *root, const char *container, const char *policy,
		    struct strv *ret, struct err *e)
{
	_strv_free_ struct strv l = {};
	int r = 0;

	if (container)
		r = add_container(&l, root, container, policy, e);
	if (r == 0 && policy)
		r = add_named(&l, root, policy, e);
	else if (r == 0) {
		r = add_folder(&l, e);
		if (r == 0)
			r = add_policies(&l, e);
		if (r == 0)
			r = add_containers(&l, root, NULL, e);
	}
	if (r < 0)
		return r;
	*ret = l;
	l = (struct strv){};
	return 0;
}
