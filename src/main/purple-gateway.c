/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-gateway: where one container's LLM calls go through. The runtime starts it without
 * arguments and with all that it needs as descriptors (enum gateway_fd of gateway/client.h); called
 * by hand, with options, it serves one address of the host.
 *
 * Runs in the host's namespaces; its listening sockets are in the container's network namespace. As
 * root it reads and opens what it needs; then it gives everything up (gateway/gateway_jail.c), and
 * only then reads from a socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/helper.h"
#include "base/num.h"
#include "cmd/command.h"
#include "cmd/report.h"
#include "gateway/client.h"
#include "gateway/enforce.h"
#include "gateway/setup.h"

#define QUEUE 128

struct options {
	const char *config, *listen, *keys, *ca_file, *events, *content, *prices;
	unsigned int timeout;
	bool version;
};

static const struct option_row rows[] = {
	OPTION(options, config, "config", 0, OPTION_STRING, "FILE",
	       "what to allow: a file as the runtime writes it, gateway.json"),
	OPTION(options, listen, "listen", 0, OPTION_STRING, "ADDRESS:PORT",
	       "where to listen; port 0: any that is free, which is printed"),
	OPTION(options, keys, "keys", 0, OPTION_STRING, "FILE",
	       "API keys: a JSON object by provider's name"),
	OPTION(options, ca_file, "ca-file", 0, OPTION_STRING, "FILE",
	       "whose certificates of providers are trusted (default: the host's)"),
	OPTION(options, events, "events", 0, OPTION_STRING, "FILE",
	       "where calls are recorded, a JSON object a line"),
	OPTION(options, content, "content", 0, OPTION_STRING, "FILE",
	       "where prompts and answers go that a policy wants to have stored"),
	OPTION(options, prices, "prices", 0, OPTION_STRING, "FILE",
	       "the table of prices (default: the one that is installed)"),
	OPTION(options, timeout, "timeout", 0, OPTION_UINT, "SECONDS",
	       "how long a provider may be silent (default 600)"),
	OPTION(options, version, "version", 'v', OPTION_FLAG, NULL, "print the version"),
	{},
};

static const char help_text[] =
	"Usage: purple-gateway --config FILE --listen ADDRESS:PORT [OPTION...]\n"
	"\nLet LLM calls through that a policy allows, with the API key that the caller\n"
	"does not have, and within a budget. For containers purple-runtime starts it.\n"
	"See purple-gateway(8).\n";

/* --- by hand --- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int read_address(const char *text, union address *ret, socklen_t *ret_len,
			struct err *e)
{
	const char *colon = strrchr(text, ':');
	_free_ char *host = colon ? strndup(text, (size_t)(colon - text)) : NULL;
	union address a = {};
	size_t n = host ? strlen(host) : 0;
	uint64_t port;

	if (!colon || !host || num_u64(colon + 1, &port) < 0 || port > 65535)
		return err_set(e, ERR_USAGE, EINVAL, "'%s' is not ADDRESS:PORT", text);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(a.v6);
		n = inet_pton(AF_INET6, host + 1, &a.v6.sin6_addr) == 1;
	} else {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons((uint16_t)port);
		*ret_len = sizeof(a.v4);
		n = inet_pton(AF_INET, host, &a.v4.sin_addr) == 1;
	}
	if (!n)
		return err_set(e, ERR_USAGE, EINVAL, "'%s' is not ADDRESS:PORT", text);
	*ret = a;
	return 0;
}

static int listen_at(const char *text, int *ret_fd, uint16_t *ret_port, struct err *e)
{
	_close_ int fd = -1;
	union address a;
	const int on = 1;
	socklen_t len;
	int r = read_address(text, &a, &len, e);

	if (r < 0)
		return r;
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &a.any, len) < 0 || listen(fd, QUEUE) < 0 ||
	    getsockname(fd, &a.any, &len) < 0)
		return err_sys(e, "cannot listen at %s", text);
	*ret_port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int read_config(const char *path, struct gateway_config *ret, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fs_read_document(AT_FDCWD, path, GATEWAY_CONFIG_MAX, &text, &len, e);

	return r < 0 ? r : gateway_config_read(text, len, path, ret, e);
}

static int read_keys(const char *path, struct strmap *ret, struct err *e)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? err_sys(e, "cannot open '%s'", path) :
			gateway_read_keys(fd, path, ret, e);
}

static int say_port(const char *listen_text, uint16_t port, struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_addf(&out, "%.*s:%u\n", (int)(strrchr(listen_text, ':') - listen_text),
		 listen_text, (unsigned int)port);
	return print_text(&out, e);
}

/* --- signals --- */

struct signals {
	struct loop_source source;
	struct gateway *g;
};

static void signal_came(struct loop_source *source, uint32_t events)
{
	struct signals *s = loop_container_of(source, struct signals, source);
	struct signalfd_siginfo info;

	if (read(s->source.fd, &info, sizeof(info)) == sizeof(info))
		gateway_end(s->g);
}

static int watch_signals(struct signals *s, struct gateway *g, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	s->g = g;
	s->source.ready = signal_came;
	s->source.fd = sigprocmask(SIG_BLOCK, &set, NULL) < 0 ?
			       -1 :
			       signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->source.fd < 0 || loop_add(&g->loop, &s->source, EPOLLIN) < 0)
		return err_sys(e, "cannot wait for signals");
	return 0;
}

/* --- one life --- */

/* Its sources are in it. */
struct life {
	struct gateway_config config;
	struct gateway g;
	struct signals signals;
	struct loop_source init;
};
#define LIFE_EMPTY                                                         \
	{                                                                  \
		.g.loop.epoll = -1, .signals.source.fd = -1, .init.fd = -1 \
	}

static int run_and_close(struct gateway *g, struct err *e)
{
	int r = gateway_run(g, e);
	struct err late = {};

	return r < 0 ? (gateway_close(g, &late), r) : gateway_close(g, e);
}

static int open_for_lines(const char *path, int *ret, struct err *e)
{
	*ret = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	return *ret < 0 ? err_sys(e, "cannot open '%s'", path) : 0;
}

static int serve(const struct options *o, struct err *e)
{
	_strmap_free_ struct strmap keys = {};
	struct life l = LIFE_EMPTY;
	struct gateway_setup setup = { .config = &l.config,
				       .ca_file = o->ca_file,
				       .prices = o->prices,
				       .idle_ms = o->timeout * INT64_C(1000),
				       .events_fd = -1,
				       .copy_fd = -1,
				       .limit_fd = -1,
				       .init_fd = -1,
				       .kill_fd = -1,
				       .freezer_fd = -1,
				       .content_fd = -1 };
	uint16_t port = 0;
	int fd = -1;
	int r = read_config(o->config, &l.config, e);

	if (r == 0 && o->events)
		r = open_for_lines(o->events, &setup.events_fd, e);
	if (r == 0 && o->content)
		r = open_for_lines(o->content, &setup.content_fd, e);
	if (r == 0)
		r = gateway_start_helpers(&l.g, &setup, e);
	if (r == 0 && o->keys)
		r = read_keys(o->keys, &keys, e);
	if (r == 0)
		r = listen_at(o->listen, &fd, &port, e);
	if (r == 0)
		r = gateway_open(&l.g, &setup, &keys, e);
	if (r == 0)
		r = server_listen(l.g.server, take_fd(&fd), SERVER_BASE_URL, e);
	if (r == 0)
		r = watch_signals(&l.signals, &l.g, e);
	if (r == 0)
		r = gateway_enter(&l.g, &setup, e);
	if (r == 0)
		r = say_port(o->listen, port, e);
	if (r == 0)
		r = run_and_close(&l.g, e);
	fd_close(&fd);
	gateway_clear(&l.g);
	fd_close(&l.signals.source.fd);
	fd_close(&setup.events_fd);
	fd_close(&setup.content_fd);
	gateway_config_clear(&l.config);
	return r;
}

/* --- for a container --- */

/*
 * Nothing is left of the caller but what belongs here; none of it is inherited. Those that are not
 * there are /dev/null, and what is opened later has other numbers than any of these.
 */
static int keep_descriptors(struct err *e)
{
	for (int fd = 0; fd < GATEWAY_FD_END; fd++)
		if (fd_cloexec(fd, true) < 0)
			return err_sys(e, "descriptor %d", fd);
	if (fcntl(GATEWAY_FD_EVENTS, F_SETFL, O_NONBLOCK | O_APPEND) < 0)
		return err_sys(e, "descriptor %d", GATEWAY_FD_EVENTS);
	return fd_close_all_but(GATEWAY_FD_END, NULL, 0, e);
}

/* In the places of what is read once, so that nothing else gets them. */
static int forget(int fd, struct err *e)
{
	_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	return null < 0 || dup3(null, fd, O_CLOEXEC) < 0 ?
		       err_sys(e, "cannot open /dev/null") :
		       0;
}

static int optional(int fd)
{
	return gateway_fd_is_there(fd) ? fd : -1;
}

static int listen_on(struct gateway *g, int fd, enum server_kind kind, struct err *e)
{
	int copy;

	if (!gateway_fd_is_there(fd))
		return 0;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, GATEWAY_FD_END);
	return copy < 0 ? err_sys(e, "descriptor %d", fd) :
			  server_listen(g->server, copy, kind, e);
}

static int listen_all(struct gateway *g, struct err *e)
{
	int r = listen_on(g, GATEWAY_FD_LISTEN4, SERVER_BASE_URL, e);

	if (r == 0)
		r = listen_on(g, GATEWAY_FD_LISTEN6, SERVER_BASE_URL, e);
	if (r == 0)
		r = listen_on(g, GATEWAY_FD_HTTP, SERVER_HTTP, e);
	return r < 0 ? r : listen_on(g, GATEWAY_FD_TLS, SERVER_TLS, e);
}

static void init_ended(struct loop_source *s, uint32_t events)
{
	struct life *l = loop_container_of(s, struct life, init);

	loop_remove(&l->g.loop, s);
	gateway_end(&l->g);
}

static int watch_container(struct life *l, struct err *e)
{
	l->init = (struct loop_source){ .fd = GATEWAY_FD_INIT, .ready = init_ended };
	return loop_add(&l->g.loop, &l->init, EPOLLIN) < 0 ?
		       err_sys(e, "cannot watch the container's init") :
		       0;
}

static int prepare(struct life *l, struct err *e)
{
	_strmap_free_ struct strmap keys = {};
	struct gateway_setup setup;
	int r = gateway_config_read_fd(GATEWAY_FD_CONFIG, GATEWAY_CONFIG_FILE, &l->config,
				       e);

	if (r == 0)
		r = keep_descriptors(e);
	if (r < 0)
		return r;
	/* No terminal and no group whose signals could end it. It may be a leader already. */
	(void)!setsid();
	setup = (struct gateway_setup){ .config = &l->config,
					.events_fd = optional(GATEWAY_FD_EVENTS),
					.copy_fd = optional(GATEWAY_FD_COPY),
					.limit_fd = optional(GATEWAY_FD_LIMIT),
					.init_fd = GATEWAY_FD_INIT,
					.kill_fd = optional(GATEWAY_FD_KILL),
					.freezer_fd = optional(GATEWAY_FD_FREEZER),
					.content_fd = optional(GATEWAY_FD_CONTENT) };
	r = gateway_start_helpers(&l->g, &setup, e);
	if (r == 0)
		r = gateway_read_keys(GATEWAY_FD_KEYS, "the keys", &keys, e);
	if (r == 0)
		r = forget(GATEWAY_FD_KEYS, e);
	if (r == 0)
		r = gateway_open(&l->g, &setup, &keys, e);
	if (r == 0)
		r = watch_signals(&l->signals, &l->g, e);
	if (r == 0)
		r = watch_container(l, e);
	if (r == 0)
		r = gateway_enter(&l->g, &setup, e);
	if (r == 0 && l->config.intercept)
		r = gateway_make_authority(&l->g, optional(GATEWAY_FD_CA), e);
	return r < 0 ? r : listen_all(&l->g, e);
}

static int serve_container(struct err *e)
{
	struct life l = LIFE_EMPTY;
	int r = prepare(&l, e);

	if (r < 0) {
		helper_report(GATEWAY_FD_REPORT, e);
	} else {
		helper_report(GATEWAY_FD_REPORT, NULL);
		close(GATEWAY_FD_REPORT);
		r = run_and_close(&l.g, e);
	}
	gateway_clear(&l.g);
	gateway_config_clear(&l.config);
	return r;
}

static int run(int argc, char **argv, struct err *e)
{
	_free_ char **args = calloc((size_t)argc + 1, sizeof(*args));
	struct options o = {};
	bool help = false;
	int n, r;

	if (!args)
		return err_oom(e);
	r = options_parse(rows, &o, argv + 1, argc - 1, false, args, &n, &help, e);
	if (r < 0)
		return r;
	if (help)
		return print_help(help_text, rows, e);
	if (o.version)
		return print_version("purple-gateway", NULL, e);
	if (n > 0 || !o.config || !o.listen)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--config and --listen are needed, and nothing besides; see "
			       "purple-gateway --help");
	return serve(&o, e);
}

int main(int argc, char **argv)
{
	struct err e = {};

	program_begin();
	/* The runtime gives no arguments, and is told by what it gave. */
	if (argc < 2)
		return serve_container(&e) < 0;
	if (run(argc, argv, &e) == 0)
		return 0;
	return report_error(&e);
}
