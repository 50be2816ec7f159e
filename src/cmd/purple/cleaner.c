/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cleaner of `purple run`: a process that outlives its supervisor, to take away what that one
 * leaves when it is killed. It is in a session of its own, so that what kills a terminal's or a
 * job's processes misses it, and has the caller's privileges, since it removes cgroups and states.
 *
 * The supervisor holds the write end of a pipe, and nobody else for long: init drops it with all
 * its descriptors. A byte means that all is clean; the end of file without one that the
 * supervisor is dead. Init dies with the supervisor (PR_SET_PDEATHSIG), so what is left is passive.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cmd/purple/purple.h"
#include "container/container.h"
#include "container/end.h"

#define CLEAN_TRIES 200
#define CLEAN_PAUSE_NS (50 * 1000 * 1000)

/* Whose container the cleaner may delete. */
struct owner {
	const char *root, *id;
	pid_t pid;
	uint64_t start;
};

/*
 * Whether the container is the dead supervisor's: another one with the same id, which made ours
 * fail, is not to be touched. A folder without state is of a create that died at once: whoever
 * makes one holds the lock that we wait for.
 */
static bool is_owners(const struct owner *o)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	struct err e;
	int r = container_open(o->root, o->id, true, &c, &e);

	if (r < 0)
		return e.kind != ERR_NOT_EXIST; /* busy or broken: deleting it says more */
	if (c.st.supervisor == 0)
		return !c.st.oci_version;
	return c.st.supervisor == o->pid && c.st.supervisor_start == o->start;
}

/* Init dies with the supervisor: that is why it ended, whoever killed that one. */
static void note_end(const struct owner *o)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	struct err e;

	if (container_open(o->root, o->id, false, &c, &e) == 0 && c.st.pid > 0)
		container_end_note(&c, &(struct container_end){
					       .reason = (char *)END_STOPPED,
					       .detail = (char *)"purple run was killed" });
}

static void clean(const struct owner *o)
{
	const struct timespec pause = { .tv_nsec = CLEAN_PAUSE_NS };
	struct err e;

	if (is_owners(o))
		note_end(o);
	for (int i = 0; i < CLEAN_TRIES; i++) {
		if (!is_owners(o) || container_delete(o->root, o->id, true, &e) == 0)
			return;
		nanosleep(&pause, NULL);
	}
}

static void leave_the_caller(int fd)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "purple-cleaner");
	setsid();
	for (int s = 1; s <= SIGRTMAX; s++)
		if (s != SIGKILL && s != SIGSTOP && s != SIGCHLD)
			sigaction(s, &ignore, NULL);
	for (int i = 0; i <= 2; i++)
		dup2(null, i);
	dup2(fd, 3);
	syscall(SYS_close_range, 4, ~0U, 0);
	/* The log's descriptor is closed with them. */
	log_set_level(LOG_LEVEL_ERROR);
	if (chdir("/") < 0)
		_exit(1);
}

static void __attribute__((noreturn)) cleaner_main(const struct owner *o, int fd)
{
	ssize_t n;
	char byte;

	leave_the_caller(fd);
	do
		n = read(3, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		clean(o);
	_exit(0);
}

int cleaner_start(struct cleaner *c, const char *root, const char *id, struct err *e)
{
	struct owner o = { .root = root,
			   .id = id,
			   .pid = getpid(),
			   .start = process_start_time(getpid()) };
	_close_ int from = -1, to = -1;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	from = fds[0];
	to = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot start the cleaner");
	if (pid == 0) {
		close(to);
		cleaner_main(&o, from);
	}
	c->pid = pid;
	c->fd = take_fd(&to);
	return 0;
}

void cleaner_finish(struct cleaner *c)
{
	if (c->fd < 0)
		return;
	fd_write_all(c->fd, "", 1);
	fd_close(&c->fd);
	/* ECHILD: it was killed, and reaped with the container's processes. */
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
