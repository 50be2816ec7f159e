/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Violations that somebody is told of at once (`audit.alert` of a policy): what the monitor and the
 * recorder send to purple-alert, and how that merges bursts. Pure, but for alert_send().
 */
#ifndef PURPLE_AUDIT_ALERT_H
#define PURPLE_AUDIT_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/pace.h"
#include "base/str.h"

/* What purple-alert is started with. */
enum alert_fd {
	ALERT_FD_SOCK = 3, /* SOCK_SEQPACKET: first as base/helper.h, then as below */
	ALERT_FD_CONFIG,   /* audit.json: read to its end */
	ALERT_FD_END,
};

/* By the type of the event's line. Each has a pace of its own: a flood of one hides no other. */
enum alert_type {
	ALERT_NETWORK,
	ALERT_DNS,
	ALERT_FILE,
	ALERT_SYSCALL,
	ALERT_PROCESS, /* that seccomp killed */
	ALERT_LLM_DENIED,
	ALERT_LLM_SENSITIVE,
	ALERT_LLM_INJECTION,
	ALERT_LIMIT,
	ALERT_STOP,
	ALERT_BUDGET_EXCEEDED,
	ALERT_LOG_FAILED,
	ALERT_RECORDER_DIED,
	ALERT_MONITOR_DIED,
	ALERT_AUDIT_STOPPED,
	ALERT_GATEWAY_DIED,
	ALERT_TYPES,
	ALERT_BYE = ALERT_TYPES, /* no event: the container has ended in order */
};
/* "network" */
const char *alert_name(enum alert_type t);
/* -1: nobody is alerted to such a line. */
int alert_type_of(const char *line, size_t len);

/* A message, before the line. Without one there were so many more like the last. */
struct alert_message {
	uint32_t type;
	uint32_t target; /* of the alerter: index of the policy's alert */
	uint64_t count;
};
#define ALERT_MESSAGE_MAX (96u << 10)
/* A newline at its end is left out. 0 or -errno. Does not wait. */
int alert_send(int fd, const struct alert_message *m, const char *line, size_t len);
/* False: it is none; *ret_line points behind the head. */
bool alert_parse(const void *message, size_t size, struct alert_message *ret,
		 const char **ret_line, size_t *ret_len);

/* What purple-alert says to the monitor: one that was not given. */
struct alert_failure {
	uint32_t target;
	uint32_t is_webhook;
	char why[240];
};

/*
 * What waits for one command or webhook. So many of a type at once, and then one at a time; those
 * that come meanwhile are one alert with their count and the last one's line.
 */
#define ALERT_BURST 10
#define ALERT_PAUSE_NS 1000000000ull
struct alert_queue {
	struct {
		struct pace pace;
		uint64_t count; /* 0: nothing waits */
		struct buf line;
	} of[ALERT_TYPES];
	unsigned int last;
};
void alert_queue_init(struct alert_queue *q);
void alert_queue_clear(struct alert_queue *q);
/* `len` 0: no line. -ENOMEM: it is counted nevertheless. */
int alert_queue_add(struct alert_queue *q, const struct alert_message *m,
		    const char *line, size_t len);
bool alert_queue_is_empty(const struct alert_queue *q);
/* When the next one may go, 0: none waits. */
uint64_t alert_queue_due(const struct alert_queue *q);
/* The type of one that may go; `all`: whatever its pace. Its count is 0 from then on, and its line
 * stays until the next call. -1: none. */
int alert_queue_take(struct alert_queue *q, uint64_t now, bool all, uint64_t *ret_count);

/* The line of an event with who is told and of how many. Its newline, too. */
void alert_print(const char *line, size_t len, const char *policy, uint64_t count,
		 struct buf *out);

#endif
