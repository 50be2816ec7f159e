/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups that systemd makes: the container is a transient scope (or slice), and systemd's manager
 * is told of its limits. Runs in the runtime process with the caller's privileges.
 *
 * A scope is made of a process that runs already, and init must be in its group, with its limits
 * and devices set, before it runs anything. So the scope is made of a process of ours, the holder,
 * which does nothing and dies with the runtime; the container is then made as in any other group,
 * and the holder ends when init is in. Should the runtime die before, nothing is in the scope any
 * more, and systemd removes it by itself.
 *
 * Delegate= leaves the group to us. systemd writes the limits that it knows of a unit again when it
 * is reloaded, so it is told what the files say after every change (systemd_properties.c); the two
 * are in step when a second look at the files shows what systemd was told.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/systemd.h"

/* Times that another may reload systemd between our two looks at the files. */
#define SYNC_TRIES 5

/* --- the holder --- */

static void hold(pid_t parent)
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	/* Whatever ends it ends it: the scope is then empty, and the caller finds out. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_range(0, ~0U, 0);
	for (;;)
		pause();
}

void cgroup_holder_end(pid_t *holder)
{
	if (*holder <= 0)
		return;
	kill(*holder, SIGKILL);
	while (waitpid(*holder, NULL, 0) < 0 && errno == EINTR)
		;
	*holder = 0;
}

static int start_holder(pid_t *ret, struct err *e)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return err_sys(e, "cannot make a process for the scope");
	if (pid == 0)
		hold(parent);
	*ret = pid;
	return 0;
}

/* --- making a unit --- */

static int add_pid(unit_properties *l, pid_t pid, struct err *e)
{
	int r = unit_property_u64(l, "PIDs", (uint64_t)pid, e);

	if (r == 0)
		l->v[l->n - 1].type = UNIT_NUMBERS;
	return r;
}

/* What the unit is. The annotations' come first: what the runtime sets itself wins. */
static int unit_properties_make(const struct cgroup_unit_request *rq,
				const struct unit_name *name, pid_t holder,
				unit_properties *ret, struct err *e)
{
	static const char *const counted[] = { "CPUAccounting", "MemoryAccounting",
					       "IOAccounting", "TasksAccounting" };
	_free_ char *description = str_printf("Container %s (purple)", rq->id);
	int r;

	if (!description)
		return err_oom(e);
	r = unit_property_string(ret, "Description", description, e);
	if (r == 0)
		r = unit_property_bool(ret, "DefaultDependencies", false, e);
	if (r == 0 && name->slice)
		r = unit_property_string(ret, "CollectMode", "inactive-or-failed", e);
	if (r == 0)
		r = unit_properties_of_annotations(rq->annotations, ret, e);
	if (r == 0 && name->slice)
		r = unit_property_string(ret, "Slice", name->slice, e);
	if (r == 0 && name->slice)
		r = add_pid(ret, holder, e);
	/* A slice is a group of groups, and always left to who makes them. */
	if (r == 0 && name->slice)
		r = unit_property_bool(ret, "Delegate", true, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(counted); i++)
		r = unit_property_bool(ret, counted[i], true, e);
	return r;
}

/* With a list that systemd cannot express, v1's file would be undone by its next reload. */
static int add_devices(const struct cgroup_unit_request *rq, unit_properties *l,
		       bool *ret_exact, struct err *e)
{
	*ret_exact = true;
	if (rq->devices_n == 0)
		return 0;
	return unit_properties_of_devices(rq->devices, rq->devices_n, l, ret_exact, e);
}

static int make_unit(struct unit_bus *b, const struct cgroup_unit_request *rq,
		     const struct unit_name *name, pid_t holder, bool *ret_made,
		     struct cgroup *ret, struct err *e)
{
	_unit_properties_clear_ unit_properties l = {};
	_free_ char *path = NULL;
	bool exact;
	int r;

	r = unit_properties_make(rq, name, holder, &l, e);
	if (r == 0)
		r = add_devices(rq, &l, &exact, e);
	if (r == 0)
		r = unit_bus_start(b, name->unit, &l, e);
	if (r < 0)
		return r;
	*ret_made = true;
	r = unit_bus_group(b, name->unit, &path, e);
	if (r == 0)
		r = cgroup_create_around(path, rq->resources, holder, ret, e);
	if (r == 0)
		ret->devices_by_bpf = !exact;
	return r;
}

int cgroup_create_unit(const struct cgroup_unit_request *rq, struct cgroup *ret,
		       pid_t *ret_holder, struct err *e)
{
	_unit_name_clear_ struct unit_name name = {};
	_unit_bus_close_ struct unit_bus *b = NULL;
	bool user = !cgroup_is_privileged(), made = false;
	struct err later;
	pid_t holder = 0;
	int r;

	r = unit_name_choose(rq->cgroups_path, rq->id, user, &name, e);
	if (r == 0)
		r = unit_bus_open(user, &b, e);
	if (r == 0 && name.slice)
		r = start_holder(&holder, e);
	if (r == 0)
		r = make_unit(b, rq, &name, holder, &made, ret, e);
	if (r < 0) {
		cgroup_holder_end(&holder);
		if (made)
			unit_bus_stop(b, name.unit, &later);
		return r;
	}
	ret->unit = take_ptr(&name.unit);
	ret->user_manager = user;
	*ret_holder = holder;
	return 0;
}

/*
 * The holder died with its runtime, and systemd removes the scope, now or soon. What is left is
 * then in hierarchies that it does not look after, at the scope's path.
 */
int cgroup_adopt_unit(const char *cgroups_path, const char *id, struct cgroup *ret,
		      struct err *e)
{
	_unit_name_clear_ struct unit_name name = {};
	_unit_bus_close_ struct unit_bus *b = NULL;
	bool user = !cgroup_is_privileged();
	_free_ char *path = NULL;
	int r;

	r = unit_name_choose(cgroups_path, id, user, &name, e);
	if (r == 0)
		r = unit_bus_open(user, &b, e);
	/* A slice may be anybody's: it is made before anything is in it. */
	if (r < 0 || !name.slice)
		return r;
	r = unit_bus_group(b, name.unit, &path, e);
	if (r < 0)
		return r;
	if (!*path) {
		free(path);
		path = user ? strdup("") : unit_name_path(&name);
		if (!path)
			return err_oom(e);
	}
	if (!*path)
		return 0;
	r = cgroup_create_around(path, NULL, 0, ret, e);
	if (r < 0)
		return r;
	ret->unit = take_ptr(&name.unit);
	ret->user_manager = user;
	return 0;
}

/* --- limits --- */

int cgroup_unit_apply(const struct cgroup *cg, const struct oci_resources *res,
		      bool update, struct err *e)
{
	_unit_bus_close_ struct unit_bus *b = NULL;
	unsigned int version;
	int r;

	if (!res)
		return 0;
	r = unit_bus_open(cg->user_manager, &b, e);
	if (r == 0)
		r = unit_bus_version(b, &version, e);
	for (int i = 0; r == 0 && i < SYNC_TRIES; i++) {
		_unit_properties_clear_ unit_properties told = {}, now = {};

		r = cgroup_apply_files(cg, res, update, e);
		if (r == 0)
			r = unit_properties_of_files(cg, version, &told, e);
		if (r == 0)
			r = unit_bus_set(b, cg->unit, &told, e);
		/* systemd wrote what it was told, with the CPU quota rounded. */
		if (r == 0)
			r = cgroup_apply_files(cg, res, update, e);
		if (r == 0)
			r = unit_properties_of_files(cg, version, &now, e);
		if (r == 0 && unit_properties_equal(&told, &now))
			return 0;
	}
	return r < 0 ? r :
		       err_set(e, ERR_STATE, EBUSY,
			       "systemd changes the limits of '%s' as fast as they are set",
			       cg->unit);
}

/* --- entering --- */

/*
 * A user may move processes within the groups that are the user's own; a login session is not among
 * them. systemd moves the user's processes from there too.
 */
int cgroup_unit_enter(const struct cgroup *cg, pid_t pid, struct err *e)
{
	_unit_bus_close_ struct unit_bus *b = NULL;
	int r = unit_bus_open(cg->user_manager, &b, e);

	return r < 0 ? r : unit_bus_attach(b, cg->unit, pid ? pid : getpid(), e);
}

/* --- the end --- */

int cgroup_unit_stop(const struct cgroup *cg, struct err *e)
{
	_unit_bus_close_ struct unit_bus *b = NULL;
	int r = unit_bus_open(cg->user_manager, &b, e);

	return r < 0 ? r : unit_bus_stop(b, cg->unit, e);
}
