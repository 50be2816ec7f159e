/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on containers that exist: signals, freezing, removal. Runs in the runtime. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/num.h"
#include "container/attributes.h"
#include "container/audit.h"
#include "container/container.h"
#include "container/gateway.h"
#include "container/group.h"
#include "container/history.h"
#include "container/network.h"
#include "oci/hooks.h"

#define KILL_WAIT_MS 10000

int signal_parse(const char *s, int *ret)
{
	uint32_t number;

	if (num_u32(s, &number) == 0) {
		if (number > (uint32_t)SIGRTMAX)
			return -EINVAL;
		*ret = (int)number;
		return 0;
	}
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, s) == 0) {
			*ret = i;
			return 0;
		}
	}
	if (strncasecmp(s, "RTMIN+", 6) == 0 && num_u32(s + 6, &number) == 0 &&
	    SIGRTMIN + (int)number <= SIGRTMAX) {
		*ret = SIGRTMIN + (int)number;
		return 0;
	}
	return -EINVAL;
}

/* Through a pidfd that is checked to be init's: the pid may have been used anew. */
static int signal_init(const struct container *c, int signum, struct err *e)
{
	_close_ int fd = (int)syscall(SYS_pidfd_open, c->st.pid, 0);

	if (fd < 0 || !process_is_alive(c->st.pid, c->st.pid_start))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "no such process");
	if (syscall(SYS_pidfd_send_signal, fd, signum, NULL, 0) < 0)
		return err_sys(e, "cannot send signal %d to the container's init", signum);
	return 0;
}

/* Signals stay pending on frozen processes, SIGKILL too in a v1 freezer: the thaw lets it act. */
static int signal_container(struct container *c, int signum, bool all, struct err *e)
{
	enum container_status status;
	int r;

	r = container_status(c, &status, e);
	if (r < 0)
		return r;
	if (all && c->st.cgroup)
		return cgroup_kill(c->st.cgroup, signum, e);
	r = signal_init(c, signum, e);
	if (r == 0 && status == CONTAINER_PAUSED && signum == SIGKILL)
		r = cgroup_freeze(c->st.cgroup, false, e);
	return r;
}

static bool is_meant_to_end(int signum)
{
	return signum == SIGTERM || signum == SIGKILL || signum == SIGINT ||
	       signum == SIGQUIT;
}

/* Somebody's wish that it ends: who, and how. */
static void note_wish(const struct container *c, const char *how)
{
	_free_ char *user = container_owner_name(getuid());
	_free_ char *by = user ? str_printf("%s, by %s", how, user) : NULL;

	container_end_note(c, &(struct container_end){ .reason = (char *)END_STOPPED,
						       .by = by });
}

static void note_signal(const struct container *c, int signum)
{
	char text[32];

	snprintf(text, sizeof(text), "SIG%s", sigabbrev_np(signum));
	note_wish(c, text);
}

int container_kill(const char *root, const char *id, int signum, bool all, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r;

	r = container_open(root, id, false, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	/* With --all, processes may outlive init (a shared pid namespace). */
	if (!all && (status == CONTAINER_STOPPED || status == CONTAINER_CREATING))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "no such process");
	if (is_meant_to_end(signum))
		note_signal(&c, signum);
	return signal_container(&c, signum, all, e);
}

static int wait_init_gone(const struct container *c, struct err *e)
{
	for (int waited = 0; process_is_alive(c->st.pid, c->st.pid_start); waited += 5) {
		if (waited >= KILL_WAIT_MS)
			return err_set(e, ERR_STATE, ETIMEDOUT,
				       "the container's init does not die");
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	}
	return 0;
}

/* NULL when there is none, as after a create that was killed early, or it cannot be read. */
static struct oci_spec *load_config(struct container *c)
{
	struct oci_spec *spec = NULL;
	struct err e;

	if (faccessat(c->dirfd, "config.json", F_OK, 0) == 0 &&
	    container_config_load(c, &spec, &e) < 0)
		log_warn("poststop hooks do not run: %s", e.msg);
	return spec;
}

static void run_poststop(struct container *c, const struct oci_spec *spec)
{
	_buf_free_ struct buf state = {};
	struct err e;

	if (!spec || !spec->hooks || spec->hooks->poststop.n == 0)
		return;
	if (container_hook_state(c, "stopped", 0, &state, &e) == 0)
		hooks_run_all(&spec->hooks->poststop, "poststop", state.s,
			      access(c->st.bundle, X_OK) == 0 ? c->st.bundle : "/");
}

/* Where a policy held, and the program was started. */
static bool is_recorded(const struct container *c)
{
	return c->st.policies.n > 0 && c->st.pid > 0 &&
	       faccessat(c->dirfd, "start.sock", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

/* That a run cannot be recorded is no reason to keep what is left of it. */
static void record_run(const struct container *c, struct run_record *record)
{
	struct err e;

	if (!record->id || history_write(record, &e) == 0)
		return;
	record->not_kept = strdup(e.msg);
	log_warn("container %s: %s", c->st.id, e.msg);
}

/* Everything of a container whose init is dead. What fails is told, the rest is done all the same;
 * the state folder stays when the cgroup does, so that a later delete finds it. */
static int remove_container(struct container *c, struct run_record *record, struct err *e)
{
	_oci_spec_free_ struct oci_spec *spec = load_config(c);
	int r = group_adopt_pending(c, e);
	struct err part;

	if (r == 0 && c->st.cgroup)
		r = cgroup_kill(c->st.cgroup, SIGKILL, e);
	/* Nobody is left to call it. */
	if (r == 0)
		container_gateway_remove(c);
	/* Before its group, which may be another's when it is gone. */
	if (r == 0)
		r = container_network_remove(c, e);
	if (r == 0)
		r = container_audit_remove(c, e);
	if (r == 0 && is_recorded(c) && run_record_collect(c, spec, record, &part) < 0)
		log_warn("the run of container %s is not recorded: %s", c->st.id, part.msg);
	if (r == 0 && c->st.cgroup)
		r = cgroup_destroy(c->st.cgroup, e);
	if (r == 0 && spec)
		r = attributes_remove_rdt(spec->linux_, c->st.id, e);
	if (r < 0)
		return r;
	run_poststop(c, spec);
	record_run(c, record);
	r = container_state_remove(c, e);
	if (r == 0)
		log_debug("container %s is removed", c->st.id);
	return r;
}

int container_delete_recorded(const char *root, const char *id, bool force,
			      struct run_record *record, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r;

	r = container_open(root, id, true, &c, e);
	if (r == -ENOENT && force && e->kind == ERR_NOT_EXIST)
		return 0;
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status == CONTAINER_STOPPED)
		return remove_container(&c, record, e);
	if (c.st.foreign)
		return err_set(e, ERR_STATE, EBUSY,
			       "container %s is another runtime's, and is not stopped: only its "
			       "network is Purple's",
			       id);
	if (!force)
		return err_set(e, ERR_STATE, EBUSY,
			       "cannot delete container %s that is not stopped: %s", id,
			       container_status_name(status));
	if (status != CONTAINER_CREATING) {
		note_wish(&c, "delete --force");
		r = signal_container(&c, SIGKILL, false, e);
		/* It may die on its own meanwhile. */
		if (r < 0 && e->kind != ERR_NOT_RUNNING)
			return r;
		r = wait_init_gone(&c, e);
		if (r < 0)
			return r;
	}
	return remove_container(&c, record, e);
}

int container_delete(const char *root, const char *id, bool force, struct err *e)
{
	_run_record_clear_ struct run_record record = {};

	return container_delete_recorded(root, id, force, &record, e);
}

int container_pause(const char *root, const char *id, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r;

	r = container_open(root, id, true, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status != CONTAINER_RUNNING && status != CONTAINER_CREATED)
		return err_set(e, ERR_NOT_RUNNING, EINVAL, "cannot pause: it is %s",
			       container_status_name(status));
	if (!c.st.cgroup || c.st.cgroup->mode == CGROUP_NONE)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "cannot pause a container without cgroup");
	return cgroup_freeze(c.st.cgroup, true, e);
}

int container_resume(const char *root, const char *id, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r;

	r = container_open(root, id, true, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status != CONTAINER_PAUSED)
		return err_set(e, ERR_NOT_PAUSED, EINVAL, "it is %s",
			       container_status_name(status));
	return cgroup_freeze(c.st.cgroup, false, e);
}

int container_processes(const char *root, const char *id, cgroup_pid_list *ret,
			struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	int r;

	r = container_open(root, id, false, &c, e);
	if (r < 0)
		return r;
	if (!c.st.cgroup)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "cannot list the processes of a container without cgroup");
	return cgroup_pids(c.st.cgroup, ret, e);
}
