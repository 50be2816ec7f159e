/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus as the runtime sees it: see systemd.h. Runs in the runtime process.
 *
 * libsystemd, with all that it brings along, would cost every start of every container a multiple
 * of what the runtime's own start takes, and the runtime is a static program, which cannot load
 * it. So it is in a program of its own, purple-systemd, which is started when it is needed, lives
 * as long as the bus is open, and does what the functions below are asked to.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "cgroup/systemd_wire.h"

#define PROGRAM PKGLIBEXECDIR "/purple-systemd"

struct unit_bus {
	int fd;
	pid_t pid;
};

bool cgroup_has_systemd(void)
{
#ifdef HAVE_SYSTEMD
	return true;
#else
	return false;
#endif
}

int cgroup_prefers_unit(const struct oci_resources *r, bool *ret, struct err *e)
{
	_cgroup_host_clear_ struct cgroup_host host = {};
	const char *dir = getenv("XDG_RUNTIME_DIR");
	_free_ char *bus = NULL;
	int res;

	*ret = false;
	if (geteuid() == 0 || !dir || !cgroup_has_systemd() || cgroup_needs(r) == 0)
		return 0;
	bus = fs_join(dir, "bus");
	if (!bus)
		return err_oom(e);
	res = cgroup_host_detect(&host, e);
	*ret = res == 0 && host.mode == CGROUP_V2 && access(bus, F_OK) == 0;
	return res;
}

static int start_program(struct unit_bus *b, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2];

	if (!cgroup_has_systemd())
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "--systemd-cgroup: this build has no support for systemd "
			       "(./configure --with-systemd)");
	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "--systemd-cgroup needs the program '%s', which is not there",
			       PROGRAM);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	b->pid = fork();
	if (b->pid < 0)
		return err_sys(e, "cannot fork");
	/* Its stdin is the connection; of ours it has the environment, where the bus's address is. */
	if (b->pid == 0)
		spawn_exec_or_exit(&(struct spawn){ .program = PROGRAM,
						    .envp = (const char *const *)environ,
						    .fds = &theirs,
						    .n = 1,
						    .dies_with_parent = true });
	b->fd = take_fd(&ours);
	return 0;
}

/* Sends a request and waits for its answer, which is the caller's to clear. */
static int ask(struct unit_bus *b, const struct wire_request *request,
	       struct wire_answer *ret, struct err *e)
{
	int r = wire_send(b->fd, &wire_request_type, request, e);

	if (r == 0) {
		r = wire_receive(b->fd, &wire_answer_type, ret, e);
		if (r == 0)
			return err_set(e, ERR_INTERNAL, EPIPE, "'%s' died", PROGRAM);
	}
	if (r < 0)
		return r;
	if (!ret->error && ret->code == 0)
		return 0;
	r = err_set(e, ret->kind, (int)ret->code, "%s",
		    ret->error ? ret->error : "systemd: out of memory");
	json_clear(&wire_answer_type, ret);
	return r;
}

static int call(struct unit_bus *b, const char *name, const char *unit,
		const unit_properties *l, struct wire_answer *ret, struct err *e)
{
	struct wire_request request = { .call = strdup(name) };
	int r = 0;

	if (unit)
		request.unit = strdup(unit);
	if (!request.call || (unit && !request.unit))
		r = err_oom(e);
	if (r == 0 && l)
		r = wire_from_properties(l, &request, e);
	if (r == 0)
		r = ask(b, &request, ret, e);
	json_clear(&wire_request_type, &request);
	return r;
}

static int call_plain(struct unit_bus *b, const char *name, const char *unit,
		      const unit_properties *l, struct err *e)
{
	struct wire_answer answer = {};
	int r = call(b, name, unit, l, &answer, e);

	json_clear(&wire_answer_type, &answer);
	return r;
}

int unit_bus_open(bool user, struct unit_bus **ret, struct err *e)
{
	_unit_bus_close_ struct unit_bus *b = NULL;
	struct wire_request request = { .user = user };
	struct wire_answer answer = {};
	int r;

	if (access("/run/systemd/system", F_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "--systemd-cgroup: this host was not booted with systemd (let the engine "
			       "use cgroupfs)");
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_oom(e);
	b->fd = -1;
	r = start_program(b, e);
	if (r < 0)
		return r;
	request.call = strdup("open");
	r = request.call ? ask(b, &request, &answer, e) : err_oom(e);
	json_clear(&wire_request_type, &request);
	json_clear(&wire_answer_type, &answer);
	if (r == 0)
		*ret = take_ptr(&b);
	return r;
}

/* The program ends when the connection does. */
void unit_bus_close(struct unit_bus **b)
{
	if (!*b)
		return;
	fd_close(&(*b)->fd);
	while ((*b)->pid > 0 && waitpid((*b)->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(*b);
	*b = NULL;
}

int unit_bus_start(struct unit_bus *b, const char *unit, const unit_properties *l,
		   struct err *e)
{
	return call_plain(b, "start", unit, l, e);
}

int unit_bus_stop(struct unit_bus *b, const char *unit, struct err *e)
{
	return call_plain(b, "stop", unit, NULL, e);
}

int unit_bus_set(struct unit_bus *b, const char *unit, const unit_properties *l,
		 struct err *e)
{
	return call_plain(b, "set", unit, l, e);
}

int unit_bus_attach(struct unit_bus *b, const char *unit, pid_t pid, struct err *e)
{
	struct wire_request request = { .call = strdup("attach"),
					.unit = strdup(unit),
					.pid = (uint32_t)pid };
	struct wire_answer answer = {};
	int r = request.call && request.unit ? ask(b, &request, &answer, e) : err_oom(e);

	json_clear(&wire_request_type, &request);
	json_clear(&wire_answer_type, &answer);
	return r;
}

int unit_bus_group(struct unit_bus *b, const char *unit, char **ret, struct err *e)
{
	struct wire_answer answer = {};
	int r = call(b, "group", unit, NULL, &answer, e);

	if (r == 0 && !answer.text)
		r = err_set(e, ERR_INTERNAL, EPROTO, "systemd: an answer without a group");
	if (r == 0)
		*ret = take_ptr(&answer.text);
	json_clear(&wire_answer_type, &answer);
	return r;
}

int unit_bus_version(struct unit_bus *b, unsigned int *ret, struct err *e)
{
	struct wire_answer answer = {};
	int r = call(b, "version", NULL, NULL, &answer, e);

	if (r == 0)
		*ret = answer.number;
	json_clear(&wire_answer_type, &answer);
	return r;
}
