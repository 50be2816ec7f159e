/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting purple-gateway for a container. The runtime does without HTTP, TLS and SQLite, and
 * without staying: the gateway is a program of its own (main/purple-gateway.c). What both sides have
 * to agree on is here.
 */
#ifndef PURPLE_GATEWAY_CLIENT_H
#define PURPLE_GATEWAY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/*
 * What the program finds, without arguments. All are there but those marked with [], which are
 * /dev/null where they are not, as is 2.
 */
enum gateway_fd {
	GATEWAY_FD_CONFIG = 0, /* gateway.json: read to its end */
	GATEWAY_FD_KEYS = 1, /* a pipe: one JSON object of API keys by provider's name; then it ends */
	GATEWAY_FD_REPORT = 3, /* SOCK_SEQPACKET: see base/helper.h; closed thereafter */
	GATEWAY_FD_INIT,    /* pidfd of the container's init: the gateway ends after it */
	GATEWAY_FD_LISTEN4, /* [] 127.0.0.1, listening, non-blocking; one of both is there */
	GATEWAY_FD_LISTEN6, /* [] ::1, the same port */
	GATEWAY_FD_EVENTS,  /* events.jsonl, O_APPEND */
	GATEWAY_FD_LIMIT,   /* [] limit.json: what limit was met */
	GATEWAY_FD_KILL,    /* [] cgroup.kill */
	GATEWAY_FD_FREEZER, /* [] cgroup.freeze, or freezer.state of cgroup v1 */
	GATEWAY_FD_CONTENT, /* [] llm.jsonl, O_APPEND: log_prompts, log_responses */
	/* Interception: listening sockets of the address that providers' names resolve to, and where
	 * the container's CA certificate is written before the gateway says that it is ready. */
	GATEWAY_FD_TLS,	 /* [] port 443 */
	GATEWAY_FD_HTTP, /* [] port 80 */
	GATEWAY_FD_CA,	 /* [] */
	GATEWAY_FD_COPY, /* [] SOCK_SEQPACKET, non-blocking: records for audit logs (audit/recorder.h) */
	GATEWAY_FD_END,
};

/* In the program: whether a descriptor marked [] is there. */
bool gateway_fd_is_there(int fd);

/* In the state folder. */
#define GATEWAY_CONTENT "llm.jsonl"

/* The port in a network namespace that is the container's own. */
#define GATEWAY_PORT 4141

/* Descriptors that are the caller's; -1: there is none. */
struct gateway_start {
	int config_fd, keys_fd, init_fd;
	int listen4_fd, listen6_fd;
	int events_fd, limit_fd, kill_fd, freezer_fd, content_fd;
	int tls_fd, http_fd, ca_fd;
	int copy_fd;
};

struct gateway_client {
	pid_t pid;     /* a child of the caller; 0: none */
	int report_fd; /* -1: it was waited for */
};
#define GATEWAY_CLIENT_EMPTY     \
	{                        \
		.report_fd = -1, \
	}

/*
 * A pipe with the keys in it (by provider's name) and nobody to write more: keys_fd. No copy of them
 * is left in memory, but for those of `keys`.
 */
int gateway_keys_pipe(const struct strmap *keys, int *ret, struct err *e);

/*
 * Starts it, and does not wait: gateway_client_wait() does. All that `start` names is of no more use
 * after it. On failure nothing is left of it.
 * Runs in: a process with one thread, as root, in the host's namespaces.
 */
int gateway_client_begin(const struct gateway_start *start, struct gateway_client *ret,
			 struct err *e);
/* At most 10 s. Nothing to wait for is fine. */
int gateway_client_wait(struct gateway_client *g, struct err *e);
/* The way back of a caller that fails later: ends and reaps it. */
void gateway_client_end(struct gateway_client *g);
/* Leaves it running. */
void gateway_client_clear(struct gateway_client *g);

/* ERR_UNSUPPORTED where the program is not there. */
int gateway_client_check(struct err *e);

/*
 * Listening sockets on the loopback of a network namespace, whose device is up, in *ret4 and *ret6
 * (-1 where the namespace has not the family; one is there). `*port` 0: the kernel chooses; else
 * -EADDRINUSE where it is taken. The caller's namespace is the same afterwards.
 * Runs in: a process with one thread, as root.
 */
int gateway_listen(int netns_fd, uint16_t *port, int *ret4, int *ret6, struct err *e);

#endif
