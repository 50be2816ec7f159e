/* SPDX-License-Identifier: Apache-2.0 */
/* Groups that a container made below its own. Runs in the runtime process; only reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

/* The sub-group is found by its name alone: nothing in a cgroup file system is a link. */
static int check_name(const char *name, struct err *e)
{
	for (const char *p = name; *p; p += strcspn(p, "/")) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, ERR_USAGE, EINVAL,
				       "sub-cgroup '%s': '..' would leave the container's group",
				       name);
	}
	return 0;
}

static int narrow_dir(char **dir, const char *name, struct err *e)
{
	_free_ char *sub = fs_join(*dir, name);

	if (!sub)
		return err_oom(e);
	/* Not as "no such file": engines take these words for a missing command. */
	if (!cgroup_has_file(sub, "cgroup.procs"))
		return err_set(e, ERR_USAGE, EINVAL, "there is no sub-cgroup '%s'", sub);
	free(*dir);
	*dir = take_ptr(&sub);
	return 0;
}

/* Every hierarchy; on hybrid hosts those of v1, since the other one has no limits. */
static int narrow_all(struct cgroup *cg, const char *name, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cg->v1.n; i++)
		r = narrow_dir(&cg->v1.v[i], name, e);
	if (r == 0 && cg->v1.n == 0 && cg->unified)
		r = narrow_dir(&cg->unified, name, e);
	return r;
}

/* "cpu,cpuacct" of v1. */
static int narrow_some(struct cgroup *cg, char *controllers, const char *name, struct err *e)
{
	char *one, *save = NULL;

	for (one = strtok_r(controllers, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		size_t i;
		int r;

		for (i = 0; i < cg->v1.n; i++)
			if (streq(cg->v1.k[i], one))
				break;
		if (i == cg->v1.n)
			return err_set(e, ERR_USAGE, EINVAL,
				       "sub-cgroup '%s': the container has no group of a "
				       "controller '%s' of cgroup v1",
				       name, one);
		r = narrow_dir(&cg->v1.v[i], name, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_narrow(struct cgroup *cg, const struct strv *subs, struct err *e)
{
	if (cg->v1.n == 0 && !cg->unified)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "sub-cgroup '%s': the container has no cgroup", subs->v[0]);
	for (size_t i = 0; i < subs->n; i++) {
		_free_ char *copy = strdup(subs->v[i]);
		char *name;
		int r;

		if (!copy)
			return err_oom(e);
		name = strchr(copy, ':');
		if (!name && subs->n > 1)
			return err_set(e, ERR_USAGE, EINVAL,
				       "sub-cgroup '%s': of several, each needs its "
				       "controllers: CONTROLLER[,...]:PATH",
				       subs->v[i]);
		if (name)
			*name++ = '\0';
		r = check_name(name ? name : copy, e);
		if (r == 0)
			r = name ? narrow_some(cg, copy, name, e) : narrow_all(cg, copy, e);
		if (r < 0)
			return r;
	}
	return 0;
}
