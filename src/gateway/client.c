// SPDX-License-Identifier: Apache-2.0
/*
 * Starting purple-gateway: see client.h. Runs in the runtime, with its privileges, in the host's
 * namespaces. The keys go from the runtime's memory into a pipe that the gateway alone has the other
 * end of: no file, no argument and no variable ever holds one.
 */
#include "gateway/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/list.h"
#include "base/netns.h"
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

static bool is_absent(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

static int listen_both(uint16_t *port, int *ret4, int *ret6)
{
	_close_ int v4 = -1, v6 = -1;
	int r = netns_bind_loopback(AF_INET, SOCK_STREAM, QUEUE, port);

	if (r < 0 && !is_absent(r))
		return r;
	v4 = r < 0 ? -1 : r;
	r = netns_bind_loopback(AF_INET6, SOCK_STREAM, QUEUE, port);
	if (r < 0 && (!is_absent(r) || v4 < 0))
		return r;
	v6 = r < 0 ? -1 : r;
	*ret4 = take_fd(&v4);
	*ret6 = take_fd(&v6);
	return 0;
}

int gateway_listen(int netns_fd, uint16_t *port, int *ret4, int *ret6, struct err *e)
{
	_close_ int own = -1, v4 = -1, v6 = -1;
	uint16_t wanted = *port, got;
	int r = netns_enter(netns_fd, &own, e), bound = -EADDRINUSE;

	if (r < 0)
		return r;
	/* A port that the kernel chose for one family may be taken in the other. */
	for (int i = 0; bound == -EADDRINUSE && i < (wanted ? 1 : PORT_TRIES); i++) {
		got = wanted;
		bound = listen_both(&got, &v4, &v6);
	}
	r = netns_leave(own, 0, e);
	if (r < 0)
		return r;
	if (bound < 0)
		return err_errno(e, bound,
				 "cannot listen on the container's loopback, port %u",
				 wanted);
	*port = got;
	*ret4 = take_fd(&v4);
	*ret6 = take_fd(&v6);
	return 0;
}

/* --- in the child --- */

static int become_program(const void *start, int *report, struct err *e)
{
	const struct gateway_start *s = start;
	int r = helper_move_report(report, GATEWAY_FD_END, e);
	const int fds[GATEWAY_FD_END] = {
		[GATEWAY_FD_CONFIG] = s->config_fd,
		[GATEWAY_FD_KEYS] = s->keys_fd,
		[2] = -1,
		[GATEWAY_FD_REPORT] = *report,
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
		[GATEWAY_FD_COPY] = s->copy_fd,
	};

	if (r < 0)
		return r;
	return spawn_exec(&(struct spawn){ .program = PROGRAM, .fds = fds, .n = GATEWAY_FD_END },
			  e);
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
	int r = gateway_client_check(e);

	return r < 0 ? r :
		       helper_begin(become_program, start, &ret->pid, &ret->report_fd, e);
}

int gateway_client_wait(struct gateway_client *g, struct err *e)
{
	int r;

	if (g->report_fd < 0)
		return 0;
	r = helper_await(g->report_fd, PROGRAM, ANSWER_MS, e);
	fd_close(&g->report_fd);
	return r < 0 ? err_wrap(e, "cannot start the LLM gateway") : 0;
}

void gateway_client_clear(struct gateway_client *g)
{
	fd_close(&g->report_fd);
}

void gateway_client_end(struct gateway_client *g)
{
	helper_end(&g->pid, &g->report_fd);
}
