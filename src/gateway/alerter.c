/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See alerter.h. A fork of purple-gateway, made while that has no key yet, with the privileges that
 * it was started with: the command is the administrator's, as a hook is. It runs one at a time, in a
 * session of its own, without a shell. What it is told are names of policies, and numbers.
 */
#include "gateway/alerter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/spawn.h"
#include "budget/money.h"

#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROVIDER "purple-alerter"
#define PERCENT_MAX 100
#define LIMITED_TOKENS 1u
#define LIMITED_COST 2u

/* --- what is told --- */

bool alert_event(const struct gateway_config *c, const struct alert_message *m,
		 struct gateway_event *ret)
{
	if (m->policy >= c->policies.n || m->percent > PERCENT_MAX ||
	    (m->type != GATEWAY_BUDGET_ALERT && m->type != GATEWAY_BUDGET_EXCEEDED &&
	     m->type != GATEWAY_BUDGET_LIFTED))
		return false;
	*ret = (struct gateway_event){
		.type = (enum gateway_event_type)m->type,
		.policy = (int)m->policy,
		.percent = m->percent,
		.has_tokens = m->limited & LIMITED_TOKENS,
		.has_cost_limit = m->limited & LIMITED_COST,
		.tokens = m->tokens,
		.tokens_limit = m->tokens_limit,
		.cost = m->cost,
		.cost_limit = m->cost_limit,
		.action = c->policies.v[m->policy].on_exceeded,
	};
	return true;
}

/* The command's environment: PATH and PURPLE_*. 0 or -ENOMEM. */
static int make_environment(const struct gateway_config *c, const struct gateway_event *x,
			    struct strv *ret)
{
	const struct gateway_policy *p = &c->policies.v[x->policy];
	int r = strv_add(ret, "PATH=" SEARCH_PATH);
	_buf_free_ struct buf budget = {};

	gateway_budget_name(c, p, &budget);
	if (budget.failed)
		return -ENOMEM;
	if (r == 0)
		r = strv_addf(ret, "PURPLE_EVENT=%s", gateway_event_name(x->type));
	if (r == 0)
		r = strv_addf(ret, "PURPLE_CONTAINER=%s", c->container ? c->container : "");
	if (r == 0)
		r = strv_addf(ret, "PURPLE_POLICY=%s", p->name);
	if (r == 0)
		r = strv_addf(ret, "PURPLE_BUDGET=%s", budget.s ? budget.s : "");
	if (r == 0 && x->type == GATEWAY_BUDGET_ALERT)
		r = strv_addf(ret, "PURPLE_PERCENT=%" PRIu32, x->percent);
	if (r == 0 && x->type == GATEWAY_BUDGET_EXCEEDED)
		r = strv_addf(ret, "PURPLE_ACTION=%s", gateway_exceeded_name(x->action));
	if (r == 0 && x->has_tokens)
		r = strv_addf(ret, "PURPLE_TOKENS=%" PRId64, x->tokens);
	if (r == 0 && x->has_tokens)
		r = strv_addf(ret, "PURPLE_TOKENS_LIMIT=%" PRId64, x->tokens_limit);
	if (r == 0 && x->has_cost_limit)
		r = strv_addf(ret, "PURPLE_COST=%s", money_text(x->cost).s);
	if (r == 0 && x->has_cost_limit)
		r = strv_addf(ret, "PURPLE_COST_LIMIT=%s", money_text(x->cost_limit).s);
	return r;
}

const char *alert_reply_text(const struct alert_reply *r, char *text, size_t size)
{
	if (r->status == 0)
		return NULL;
	if (r->status == -ETIMEDOUT)
		snprintf(text, size, "it did not end within %d s, and was killed",
			 ALERT_SECONDS);
	else if (r->status < 0)
		snprintf(text, size, "it cannot be started: %s", strerror(-r->status));
	else if (WIFSIGNALED(r->status))
		snprintf(text, size, "signal %d ended it", WTERMSIG(r->status));
	else if (WEXITSTATUS(r->status) == 127)
		snprintf(text, size, "it cannot be started, or ended with status 127");
	else
		snprintf(text, size, "it ended with status %d", WEXITSTATUS(r->status));
	return text;
}

/* --- the command --- */

static void __attribute__((noreturn))
become(const struct gateway_config *c, const struct strv *env, int in)
{
	const struct spawn s = { .program = c->alert_command.v[0],
				 .argv = (const char *const *)c->alert_command.v,
				 .envp = (const char *const *)env->v,
				 .fds = &in,
				 .n = 1 };

	/* A group to kill it by, with what it has started. */
	setsid();
	spawn_exec_or_exit(&s);
}

static int wait_for(pid_t pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int64_t until = clock_ms(CLOCK_MONOTONIC) + ALERT_SECONDS * 1000, left;
	int status = 0, r = p.fd < 0 ? -1 : 0;

	while (p.fd >= 0 && (left = until - clock_ms(CLOCK_MONOTONIC)) > 0) {
		r = poll(&p, 1, (int)left);
		if (r > 0 || (r < 0 && errno != EINTR))
			break;
		r = 0;
	}
	if (p.fd >= 0)
		close(p.fd);
	if (r <= 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return r <= 0 ? -ETIMEDOUT : status;
}

static int run_command(const struct gateway_config *c, const struct gateway_event *x,
		       uint64_t sequence)
{
	_close_ int in = -1, out = -1;
	_strv_free_ struct strv env = {};
	_buf_free_ struct buf text = {};
	struct timespec now = {};
	int fds[2];
	pid_t pid;

	clock_gettime(CLOCK_REALTIME, &now);
	gateway_event_print(c, x, PROVIDER, sequence, now, &text);
	if (text.failed || make_environment(c, x, &env) < 0)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	out = fds[1];
	/* All of it fits: a command that does not read it holds nobody up. */
	if (fcntl(out, F_SETFL, O_NONBLOCK) < 0 ||
	    write(out, text.s, text.len) != (ssize_t)text.len)
		return -EIO;
	fd_close(&out);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(c, &env, in);
	return wait_for(pid);
}

/* --- its life --- */

static void __attribute__((noreturn)) serve(const struct gateway_config *c, int sock)
{
	struct alert_message m;
	uint64_t sequence = 0;
	struct err e;
	ssize_t n;

	prctl(PR_SET_NAME, "purple-alerter");
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(SIGPIPE, SIG_IGN);
	if (fd_close_all_but(0, &sock, 1, &e) < 0)
		_exit(EXIT_FAILURE);
	while ((n = recv(sock, &m, sizeof(m), MSG_TRUNC)) != 0) {
		struct alert_reply reply;
		struct gateway_event x;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(EXIT_FAILURE);
		if (n != sizeof(m) || !alert_event(c, &m, &x))
			continue;
		reply.status = run_command(c, &x, ++sequence);
		(void)!send(sock, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	_exit(EXIT_SUCCESS);
}

int alerter_start(const struct gateway_config *c, int *ret_fd, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set a socket up");
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0)
		serve(c, theirs);
	*ret_fd = take_fd(&ours);
	return 0;
}

int alerter_tell(int fd, const struct gateway_event *x)
{
	const struct alert_message m = {
		.type = x->type,
		.policy = (uint32_t)x->policy,
		.percent = x->percent,
		.limited = (x->has_tokens ? LIMITED_TOKENS : 0) |
			   (x->has_cost_limit ? LIMITED_COST : 0),
		.tokens = x->tokens,
		.tokens_limit = x->tokens_limit,
		.cost = x->cost,
		.cost_limit = x->cost_limit,
	};

	if (send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(m))
		return errno ? -errno : -EIO;
	return 0;
}
