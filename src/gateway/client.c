// SPDX-License-Identifier: Apache-2.0
/*
 * Starting purple-gateway: see client.h. Runs in the runtime, with its privileges, in the host's
 * namespaces. The keys go from the runtime's memory into a pipe that the gateway alone has the other
 * end of: no file, no argument and no variable ever holds one.
 */
#include "gateway/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/list.h"
#include "base/spawn.h"

#ifdef PURPLE_GATEWAY_PROGRAM /* of the build, in tests */
#define PROGRAM PURPLE_GATEWAY_PROGRAM
#else
#define PROGRAM PKGLIBEXECDIR "/purple-gateway"
#endif
#define ANSWER_MS 10000
#define QUEUE 128
#define PORT_TRIES 32
/* What a pipe takes without a reader. */
#define KEYS_MAX 65536

bool gateway_fd_is_there(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode);
}

/* --- listening --- */

/* On the loopback address of the family. -errno. */
static int listen_one(int family, uint16_t *port)
{
	_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(*port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(*port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 :
						 (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);

	if (fd < 0 || bind(fd, a, len) < 0 || listen(fd, QUEUE) < 0 ||
	    getsockname(fd, a, &len) < 0)
		return -errno;
	*port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	return take_fd(&fd);
}

static bool is_absent(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

static int listen_both(uint16_t *port, int *ret4, int *ret6)
{
	_close_ int v4 = -1, v6 = -1;
	int r = listen_one(AF_INET, port);

	if (r < 0 && !is_absent(r))
		return r;
	v4 = r < 0 ? -1 : r;
	r = listen_one(AF_INET6, port);
	if (r < 0 && (!is_absent(r) || v4 < 0))
		return r;
	v6 = r < 0 ? -1 : r;
	*ret4 = take_fd(&v4);
	*ret6 = take_fd(&v6);
	return 0;
}

int gateway_listen(int netns_fd, uint16_t *port, int *ret4, int *ret6, struct err *e)
{
	_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	uint16_t wanted = *port, got;
	int v4 = -1, v6 = -1, r = -EADDRINUSE;

	if (own < 0)
		return err_sys(e, "cannot open the own network namespace");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot enter the container's network namespace");
	/* A port that the kernel chose for one family may be taken in the other. */
	for (int i = 0; r == -EADDRINUSE && i < (wanted ? 1 : PORT_TRIES); i++) {
		got = wanted;
		r = listen_both(&got, &v4, &v6);
	}
	if (setns(own, CLONE_NEWNET) < 0) {
		fd_close(&v4);
		fd_close(&v6);
		return err_sys(e, "cannot go back to the own network namespace");
	}
	if (r < 0)
		return err_errno(e, r, "cannot listen on the container's loopback, port %u",
				 wanted);
	*port = got;
	*ret4 = v4;
	*ret6 = v6;
	return 0;
}

/* --- in the child --- */

static int become_program(const struct gateway_start *s, int *report, struct err *e)
{
	const int fds[GATEWAY_FD_END] = {
		[GATEWAY_FD_CONFIG] = s->config_fd,
		[GATEWAY_FD_KEYS] = s->keys_fd,
		[2] = -1,
		/* Out of the way of what the program gets: failure is still to be told by it. */
		[GATEWAY_FD_REPORT] = fcntl(*report, F_DUPFD_CLOEXEC, GATEWAY_FD_END),
		[GATEWAY_FD_INIT] = s->init_fd,
		[GATEWAY_FD_LISTEN4] = s->listen4_fd,
		[GATEWAY_FD_LISTEN6] = s->listen6_fd,
		[GATEWAY_FD_EVENTS] = s->events_fd,
		[GATEWAY_FD_LIMIT] = s->limit_fd,
		[GATEWAY_FD_KILL] = s->kill_fd,
		[GATEWAY_FD_FREEZER] = s->freezer_fd,
		[GATEWAY_FD_CONTENT] = s->content_fd,
		[GATEWAY_FD_TLS] = s->tls_fd,
		[GATEWAY_FD_HTTP] = s->http_fd,
		[GATEWAY_FD_CA] = s->ca_fd,
	};

	*report = fds[GATEWAY_FD_REPORT];
	if (*report < 0)
		return err_sys(e, "cannot copy a descriptor");
	return spawn_exec(&(struct spawn){ .program = PROGRAM, .fds = fds, .n = GATEWAY_FD_END },
			  e);
}

static void __attribute__((noreturn)) child(const struct gateway_start *start, int report)
{
	struct err e = {};
	char text[sizeof(e.msg) + 1] = { GATEWAY_SAYS_ERROR };

	become_program(start, &report, &e);
	memcpy(text + 1, e.msg, strlen(e.msg));
	(void)!send(report, text, 1 + strlen(e.msg), MSG_NOSIGNAL);
	_exit(EXIT_FAILURE);
}

/* --- in the caller --- */

int gateway_client_check(struct err *e)
{
	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "ai_policy needs the program '%s', which is not there",
			       PROGRAM);
	return 0;
}

static void add_keys(struct buf *text, const struct strmap *keys)
{
	buf_adds(text, "{");
	for (size_t i = 0; i < keys->n; i++) {
		if (i > 0)
			buf_adds(text, ",");
		json_quote(text, keys->k[i]);
		buf_adds(text, ":");
		json_quote(text, keys->v[i]);
	}
	buf_adds(text, "}");
}

/* The text is made in one place, which does not move: what is freed on the way keeps what it held. */
int gateway_keys_pipe(const struct strmap *keys, int *ret, struct err *e)
{
	static char room[KEYS_MAX];
	struct buf text = { .s = room, .cap = sizeof(room) };
	_close_ int from = -1, to = -1;
	size_t most = 3;
	int fds[2], r = 0;

	/* Each character as an escape, at worst. */
	for (size_t i = 0; i < keys->n; i++)
		most += 6 * (strlen(keys->k[i]) + strlen(keys->v[i])) + 6;
	if (most > sizeof(room))
		return err_set(e, ERR_CONFIG, E2BIG, "the API keys are too long");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	from = fds[0];
	to = fds[1];
	add_keys(&text, keys);
	if (fd_write_all(to, text.s, text.len) < 0)
		r = err_sys(e, "cannot write to a pipe");
	explicit_bzero(room, sizeof(room));
	if (r == 0)
		*ret = take_fd(&from);
	return r;
}

int gateway_client_begin(const struct gateway_start *start, struct gateway_client *ret,
			 struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2], r = gateway_client_check(e);
	pid_t pid;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0) {
		fd_close(&ours);
		child(start, theirs);
	}
	*ret = (struct gateway_client){ .pid = pid, .report_fd = take_fd(&ours) };
	return 0;
}

static int await_word(int fd, struct err *e)
{
	char buf[sizeof(e->msg) + 1];
	int64_t until = clock_ms(CLOCK_MONOTONIC) + ANSWER_MS;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_ms(CLOCK_MONOTONIC);
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (r == 0)
			return err_set(e, ERR_KERNEL, ETIMEDOUT,
				       "'%s' says nothing within %d s", PROGRAM,
				       ANSWER_MS / 1000);
		n = r < 0 ? -1 : recv(fd, buf, sizeof(buf) - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot hear from '%s'", PROGRAM);
		buf[n] = '\0';
		if (n == 0)
			return err_set(e, ERR_KERNEL, EPIPE, "'%s' died", PROGRAM);
		if (buf[0] == GATEWAY_SAYS_READY)
			return 0;
		return err_set(e, ERR_KERNEL, EIO, "%s",
			       buf[0] == GATEWAY_SAYS_ERROR ?
				       buf + 1 :
				       "purple-gateway says odd things");
	}
}

int gateway_client_wait(struct gateway_client *g, struct err *e)
{
	int r;

	if (g->report_fd < 0)
		return 0;
	r = await_word(g->report_fd, e);
	fd_close(&g->report_fd);
	return r < 0 ? err_wrap(e, "cannot start the LLM gateway") : 0;
}

void gateway_client_clear(struct gateway_client *g)
{
	fd_close(&g->report_fd);
}

void gateway_client_end(struct gateway_client *g)
{
	fd_close(&g->report_fd);
	if (g->pid <= 0)
		return;
	kill(g->pid, SIGKILL);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
}
