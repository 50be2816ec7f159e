/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the monitor among themselves (monitor.c). */
#ifndef PURPLE_AUDIT_MONITOR_PARTS_H
#define PURPLE_AUDIT_MONITOR_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include <bpf/libbpf.h>

#include "audit/alert.h"
#include "audit/cgroup_watch.h"
#include "audit/config.h"
#include "audit/event.h"
#include "audit/limits.h"
#include "audit/log.h"
#include "audit/names.h"
#include "audit/pace.h"
#include "audit/recorder.h"
#include "audit/rules.h"
#include "audit/trace_event.h"

#define SECOND 1000000000ull
#define TICK_MAX (60 * SECOND)
#define SETS_MAX 3 /* of rules: events of older ones may still come */
#define CLIENTS_MAX 4
#define FORWARDERS_MAX 4
#define BATCH 512 /* events of a ring, before others have their turn */

/* --- lines (monitor_lines.c) --- */

/* To the recorder: what its pipe does not take yet waits here. */
struct monitor_record {
	struct audit_config config;
	struct audit_recorder recorder; /* lines_fd -1: there is none, or no more */
	struct buf pending;
	size_t sent;	 /* of `pending` */
	uint64_t lost;	 /* lines that found no room */
	bool is_gone;	 /* it has died */
	bool is_failing; /* a log that must be written cannot be */
	bool is_flushed;
};

/* --- the network filter (monitor_network.c) --- */

/* Counts of one generation of the rules. */
struct monitor_counts {
	int fd; /* map of hits; -1: none */
	uint32_t generation, rules;
	struct network_hits last;
};

struct monitor_forwarder {
	int fd;
	uint32_t generation;
};

struct monitor_network {
	bool is_on;
	struct audit_names *names;
	struct ring_buffer *ring;
	int batch;
	int cut_sock, cutter;
	struct audit_rules rules[SETS_MAX]; /* the latest first */
	struct monitor_counts counts[2];    /* likewise */
	struct monitor_forwarder forwarders[FORWARDERS_MAX];
	struct pace ends, cuts, lookups, refusals;
	uint64_t denied;
	uint32_t generation;
};

/* --- what is traced (monitor_trace.c) --- */

/* Of an element of struct trace_count: what was told of it. */
struct monitor_calls {
	uint64_t calls, failed;
	bool is_over; /* the process has ended */
};

/* One of the two rings: it wakes us while we sleep on it, and else at each eighth that fills. */
struct monitor_ring {
	struct ring_buffer *ring;
	int wait; /* epoll, of its wake-ups */
	bool is_asleep;
	uint32_t *waiting; /* of struct trace_stats */
	uint64_t look_at;  /* CLOCK_BOOTTIME */
};

struct monitor_trace {
	bool is_on;
	struct monitor_ring urgent, bulk;
	struct trace_stats *stats;
	struct trace_count *counts, *changed;
	struct monitor_calls *calls; /* NULL: they are not counted */
	struct buf line;	     /* kept: there are many */
	int batch;
	uint64_t sequence, lost, read;
	uint64_t merged[TRACE_TYPES]; /* told by the counts of events */
	struct pace violations;	      /* for events.jsonl */
	uint64_t count_at;	      /* CLOCK_BOOTTIME */
	uint32_t arch;		      /* libseccomp's word for the host's */
	uint32_t init_pid;
	struct audit_exit exit; /* of init */
};

/* --- alerts (monitor_alert.c) --- */

/* To purple-alert. */
struct monitor_alerts {
	int fd; /* -1: nobody is to be alerted, or can be */
	struct {
		struct pace pace;
		uint64_t untold;
	} of[ALERT_TYPES];
	uint64_t count_at; /* CLOCK_BOOTTIME; 0: nothing is untold */
};

struct monitor {
	const char *id;
	struct audit_log log; /* events.jsonl */
	struct monitor_record record;
	struct monitor_network network;
	struct monitor_trace trace;
	struct cgroup_watch group;
	struct monitor_alerts alerts;
	struct {
		int fd; /* inotify, of end.jsonl; -1: it is not told */
		off_t seen;
	} stop; /* monitor_stop.c */
	int clients[CLIENTS_MAX];
	struct audit_lost told, now;  /* in lines of before; all */
	uint64_t tick_at, tick_pause; /* 0: nothing to look at */
	bool said_full;
	bool is_ended; /* by us */
	struct audit_limits limits;
	uint64_t timeout_at; /* CLOCK_BOOTTIME, should the warden die; 0: none */
	int warden;	     /* audit/warden.h; -1: there is none, or no more */
};

/* --- lines --- */

/* How a line begins. `at`: CLOCK_BOOTTIME. The second one has a number of somebody else's. */
struct audit_head monitor_head(struct monitor *m, uint64_t at);
struct audit_head monitor_head_numbered(const struct monitor *m, uint64_t at,
					uint64_t number);
struct audit_head monitor_head_now(struct monitor *m);
/*
 * Writes a line to events.jsonl and gives it to the recorder; `levels` of audit/config.h, 0: to all
 * logs; with AUDIT_ALERT it is alerted to. `last`: it may use the reserve. False: events.jsonl has it not.
 */
bool monitor_tell(struct monitor *m, uint32_t levels, const struct buf *line, bool last);
/* To the recorder alone: what there is too much of for events.jsonl. */
void monitor_record(struct monitor *m, uint32_t levels, const struct buf *line);
/* What went wrong; see audit_event_failure(). */
void monitor_tell_failure(struct monitor *m, const char *type, const char *path,
			  const char *message);
/* Whether the recorder is so far behind that no more should be read than must. */
bool monitor_record_is_full(const struct monitor *m);
/* Something was told: what was not is looked at soon. */
void monitor_expect_tick(struct monitor *m);
/* Tells what was lost since the last time. Whether there was something. */
bool monitor_tell_lost(struct monitor *m);

/* Reads audit.json and starts the recorder, as root; waits for it. */
int monitor_record_make(struct monitor *m, struct err *e);
int monitor_record_wait(struct monitor *m, struct err *e);
/* Writes what its pipe takes. */
void monitor_record_push(struct monitor *m);
/* Its reports. */
void monitor_record_hear(struct monitor *m);
/* Waits for what it says or takes. */
void monitor_record_await(struct monitor *m, uint64_t until);
/* All is over: at most so long until it is all written. */
void monitor_record_finish(struct monitor *m, uint64_t ms);

/* --- alerts --- */

/* Reads its settings again from MONITOR_FD_AUDIT. As monitor_record_make(), and _wait(). */
int monitor_alert_make(struct monitor *m, struct err *e);
int monitor_alert_wait(struct monitor *m, struct err *e);
/* Tells of a line that is a violation. */
void monitor_alert(struct monitor *m, const struct buf *line);
/* And how many were not told of, which is due at alerts.count_at. */
void monitor_alert_counts(struct monitor *m);
void monitor_alert_hear(struct monitor *m);
void monitor_alert_finish(struct monitor *m);

/* --- the network filter --- */

int monitor_network_make(struct monitor *m, uint32_t generation, struct err *e);
/* Between jail_drop_bounding() and the jail: who ends connections. */
int monitor_network_enter_jail(struct monitor *m, struct err *e);
/* In the jail. The line "start" is written here, or by monitor_start(). */
int monitor_network_begin(struct monitor *m, struct err *e);
/* False: there may be more. */
bool monitor_network_read(struct monitor *m);
/* Of the forwarder at `i`. False: there is no more now, or never. */
bool monitor_network_read_line(struct monitor *m, size_t i);
/* What forwarders have said of names: an answer is told before it is given. */
void monitor_network_read_names(struct monitor *m);
void monitor_network_count(struct monitor *m);
void monitor_network_drain(struct monitor *m);
/* How often rules denied. */
void monitor_network_tell_sums(struct monitor *m);

/* From here on `hits` is the monitor's. */
int monitor_use_rules(struct monitor *m, int text_fd, int hits, uint32_t generation,
		      struct err *e);
int monitor_use_forwarder(struct monitor *m, int fd, struct err *e);

/* --- why it ends --- */

/* Before MONITOR_FD_AUDIT is read. */
int monitor_stop_make(struct monitor *m, struct err *e);
void monitor_stop_read(struct monitor *m);

/* --- requests (monitor_requests.c) --- */

void monitor_accept(struct monitor *m);
void monitor_read_client(struct monitor *m, size_t i);

/* --- what is traced --- */

int monitor_trace_make(struct monitor *m, struct err *e);
/* A batch of events. False: there may be more. */
bool monitor_trace_read_urgent(struct monitor *m);
bool monitor_trace_read_bulk(struct monitor *m);
/* `wait` of one says that there is something. */
void monitor_trace_wake(struct monitor_ring *r);
/* When it wants to be called again without its rings' having said so: CLOCK_BOOTTIME, 0: never. */
uint64_t monitor_trace_due(struct monitor *m);
void monitor_trace_tick(struct monitor *m);
void monitor_trace_count_lost(struct monitor *m);
void monitor_trace_drain(struct monitor *m);

#endif
