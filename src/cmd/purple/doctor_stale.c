/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple doctor: what sandboxes have left whose supervisor and cleaner were both killed. With --fix
 * it is removed. Runs with the caller's privileges.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/cgroup.h"
#include "cmd/purple/doctor.h"
#include "container/container.h"

#define OWN_PREFIX "/purple-"
/* A younger group may be of a container that is being made. */
#define GROUP_AGE_S 60

static const char remove_them[] = "purple doctor --fix";

/* Removes them with --fix; the error of the first that stays. */
static int remove_states(const char *root, const struct strv *ids, size_t *ret_removed,
			 struct err *e)
{
	struct err later;
	int first = 0;

	for (size_t i = 0; i < ids->n; i++) {
		int r = container_delete(root, ids->v[i], true, first < 0 ? &later : e);

		if (r == 0)
			(*ret_removed)++;
		else if (first == 0)
			first = r;
	}
	return first;
}

static void check_states(struct doctor *d)
{
	const struct doctor_subject s = { "leftover states", "purple run", true };
	_strv_free_ struct strv ids = {};
	size_t removed = 0;
	struct err e;

	if (stale_list(d->root, &ids, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (ids.n == 0)
		doctor_ok(d, &s, "none in %s", d->root);
	else if (!d->may_fix)
		doctor_bad(d, &s, DOCTOR_BROKEN, remove_them,
			   "%zu of killed sandboxes in %s: %s%s", ids.n, d->root,
			   ids.v[0], ids.n > 1 ? ", ..." : "");
	else if (remove_states(d->root, &ids, &removed, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, "remove what keeps it, and try again",
			   "%zu of %zu removed: %s", removed, ids.n, e.msg);
	else
		doctor_ok(d, &s, "%zu removed from %s", removed, d->root);
}

/* --- groups without a state --- */

/* Groups by name, each as one struct cgroup over all hierarchies, for cgroup_pids() and
 * cgroup_destroy(). */
typedef LIST_OF(struct cgroup) group_list;

static void groups_clear(group_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		cgroup_clear(&l->v[i]);
	free(l->v);
}

static struct cgroup *find_group(group_list *l, const char *path)
{
	struct cgroup *cg;

	for (size_t i = 0; i < l->n; i++)
		if (streq(l->v[i].path, path))
			return &l->v[i];
	cg = list_add(l);
	if (!cg)
		return NULL;
	cg->mode = CGROUP_HYBRID;
	cg->path = strdup(path);
	return cg->path ? cg : NULL;
}

static int add_group(group_list *l, const struct cgroup_hierarchy *h, const char *name)
{
	_free_ char *path = str_printf("/%s", name);
	_free_ char *dir = path ? str_printf("%s%s", h->mount, path) : NULL;
	struct cgroup *cg = dir ? find_group(l, path) : NULL;

	if (!cg)
		return -ENOMEM;
	if (h->controllers.n)
		return strmap_set(&cg->v1, h->controllers.v[0], dir);
	cg->unified = take_ptr(&dir);
	return 0;
}

static int list_groups(const struct cgroup_hierarchy *h, group_list *l)
{
	_closedir_ DIR *dir = opendir(h->mount);
	time_t now = time(NULL);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_type != DT_DIR ||
		    !str_has_prefix(entry->d_name, OWN_PREFIX + 1) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    now - st.st_ctime < GROUP_AGE_S)
			continue;
		if (add_group(l, h, entry->d_name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* No process, and no state of this root that would remove it. */
static bool is_orphan(const struct doctor *d, const struct cgroup *cg)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	struct cgroup one = { .mode = cg->mode, .path = cg->path };
	cgroup_pid_list pids = {};
	struct err e;
	bool empty = true;

	if (container_open(d->root, cg->path + strlen(OWN_PREFIX), false, &c, &e) == 0)
		return false;
	/* Each hierarchy by itself: a process may have been moved out of one. */
	for (size_t i = 0; empty && i <= cg->v1.n; i++) {
		one.unified = i < cg->v1.n ? cg->v1.v[i] : cg->unified;
		empty = !one.unified || (cgroup_pids(&one, &pids, &e) == 0 && pids.n == 0);
		free(pids.v);
		pids = (cgroup_pid_list){};
	}
	return empty;
}

static void check_groups(struct doctor *d)
{
	const struct doctor_subject s = { "leftover cgroups", "containers", true };
	_cgroup_host_clear_ struct cgroup_host host = {};
	__attribute__((cleanup(groups_clear))) group_list groups = {};
	size_t orphans = 0, removed = 0;
	struct err e = {};

	if (cgroup_host_detect(&host, &e) < 0) {
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
		return;
	}
	for (size_t i = 0; i < host.v1.n; i++)
		d->failed |= list_groups(&host.v1.v[i], &groups) < 0;
	if (host.unified.mount)
		d->failed |= list_groups(&host.unified, &groups) < 0;
	for (size_t i = 0; i < groups.n; i++) {
		if (!is_orphan(d, &groups.v[i]))
			continue;
		orphans++;
		if (d->may_fix && cgroup_destroy(&groups.v[i], &e) == 0)
			removed++;
	}
	if (orphans == 0)
		doctor_ok(d, &s, "none in " OWN_PREFIX "*");
	else if (removed == orphans)
		doctor_ok(d, &s, "%zu removed", removed);
	else
		doctor_bad(d, &s, DOCTOR_BROKEN, remove_them,
			   "%zu empty groups without a container in " OWN_PREFIX "*%s%s",
			   orphans - removed, e.msg[0] ? ": " : "", e.msg);
}

void doctor_check_leftovers(struct doctor *d)
{
	check_states(d);
	check_groups(d);
}
