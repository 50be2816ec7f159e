/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is recorded of one container, and where: audit.json of its state folder. The runtime makes it
 * of the container's policies; purple-monitor gets it as a descriptor. Pure.
 */
#ifndef PURPLE_AUDIT_CONFIG_H
#define PURPLE_AUDIT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

#define AUDIT_CONFIG_FILE "audit.json"
#define AUDIT_CONFIG_MAX (1u << 20)
/* LOG_FOLDER/POLICY.jsonl, where a policy names no file. */
#define AUDIT_LOG_FOLDER "/var/log/purple/audit"

/*
 * What a log takes: the words of a policy's `detail_level` in the order of the policy language, and
 * what ebpf_monitoring adds. Lines of the audit itself (start, end, lost, died) go to every log.
 */
enum audit_level {
	AUDIT_RESOURCE = 1u << 0,   /* limits that are hit, what was used at the end */
	AUDIT_FILESYSTEM = 1u << 1, /* what is done with files, Unix sockets */
	AUDIT_SYSCALL = 1u << 2,    /* system calls that were denied */
	AUDIT_NETWORK = 1u << 3, /* connect, bind, names asked for: also what is allowed */
	AUDIT_EXEC = 1u << 4,	 /* processes: made, started, with arguments, ended */
	AUDIT_API_CALLS = 1u << 5,	 /* calls of LLMs */
	AUDIT_BUDGET_USAGE = 1u << 6,	 /* what is spent */
	AUDIT_SECURITY_EVENTS = 1u << 7, /* denials of anything, changes of privilege, ... */
	AUDIT_COUNTS = 1u << 8,		 /* trace_syscalls: counts of all system calls */
};
/* Beside others, on a line's way: it is of a violation. No log asks for it. */
#define AUDIT_ALERT (1u << 9)
#define AUDIT_LEVELS 8 /* words of detail_level */
#define AUDIT_LEVEL_ALL ((1u << AUDIT_LEVELS) - 1)

#define AUDIT_KEEP_ALL UINT32_MAX

/* One log. Of policies that name the same file there is one, with the levels of all. */
struct audit_log_config {
	char *policy; /* its name; of several: "first,second" */
	char *place;  /* "FILE:LINE" of its audit section */
	char *path;   /* absolute */
	uint32_t levels;
	uint64_t max_size; /* bytes of a file; then it is rotated */
	uint32_t keep;	   /* rotated files that are kept; AUDIT_KEEP_ALL */
	bool go_on;	   /* on_log_failure: continue */
};
typedef LIST_OF(struct audit_log_config) audit_log_configs;

/* Who is told of violations (alert.h). Each policy has its own. */
struct audit_alert_config {
	char *policy;
	struct strv command; /* argv, run as root; empty: none */
	char *webhook;	     /* URL; NULL: none */
};
typedef LIST_OF(struct audit_alert_config) audit_alert_configs;

struct audit_config {
	char *container;
	audit_log_configs logs; /* empty: it is not audited */
	audit_alert_configs alerts;
};

/* The levels of all logs, and of what is alerted to. */
uint32_t audit_config_levels(const struct audit_config *c);
/* Whether the container ends when it cannot be recorded any more: one log says so. */
bool audit_config_stops(const struct audit_config *c);

/* Adds a log; what it has in common with another one's path is one log. Takes over `x`, which is
 * empty afterwards. -ENOMEM. */
int audit_config_add(struct audit_config *c, struct audit_log_config *x);

int audit_config_save(int dirfd, const struct audit_config *c, struct err *e);
/* -ENOENT: there is none. */
int audit_config_load(int dirfd, struct audit_config *ret, struct err *e);
int audit_config_parse(const char *text, size_t len, struct audit_config *ret,
		       struct err *e);

void audit_log_config_clear(struct audit_log_config *x);
void audit_config_clear(struct audit_config *c);
#define _audit_config_clear_ __attribute__((cleanup(audit_config_clear)))

#endif
