/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of events.jsonl. Members are called as in the Elastic Common Schema where that has a
 * word for them; docs/events.schema.json has all of them. Pure.
 */
#ifndef PURPLE_AUDIT_EVENT_H
#define PURPLE_AUDIT_EVENT_H

#include <stdint.h>
#include <time.h>

#include "audit/config.h"
#include "audit/dns_line.h"
#include "audit/rules.h"
#include "base/str.h"
#include "bpf/audit.h"
#include "bpf/network_filter.h"

/* How every line begins. */
struct audit_head {
	struct timespec time; /* CLOCK_REALTIME */
	uint64_t sequence; /* from 1: a number that is missing is a line that could not be written */
	const char *container;
	const char *provider; /* who writes, and counts so; NULL: the monitor */
	const char *outcome;  /* "success", "failure"; NULL: neither */
	uint64_t duration;    /* nanoseconds; 0: none */
};

/* Every line: up to the first member of the type's own, which begin with a comma each; and its end.
 * `action` may be NULL. */
void audit_event_begin(struct buf *out, const struct audit_head *h, const char *type,
		       const char *action);
void audit_event_close(struct buf *out);

/* `rules`: those by which it was decided, NULL where they are not known any more. `name`: one that
 * led to the address, NULL: none is known. */
void audit_event_network(const struct audit_head *h, const struct network_event *x,
			 const struct audit_rules *rules, const char *name,
			 struct buf *out);
/* Parts of it: `transport`, and which end (source, destination, server) an address is of. */
void audit_add_protocol(struct buf *out, bool is_v6, unsigned int protocol);
void audit_add_end(struct buf *out, const char *which, const struct network_address *a,
		   unsigned int port, const char *name);
void audit_event_dns(const struct audit_head *h, const struct audit_dns *x,
		     const struct audit_rules *rules, struct buf *out);

/* What was not told one by one. */
struct audit_lost {
	uint64_t full; /* denials: the ring had no room, since the monitor was too slow */
	uint64_t limited; /* denials: too many of a rule */
	uint64_t dns;	  /* questions, for either reason */
	uint64_t log;	  /* lines: the file has reached its size, or cannot be written */
	uint64_t trace;	  /* what was traced: a ring was full, or a table */
	uint64_t record; /* lines for audit logs: the recorder was too slow, or is not there */
	/* `trace` by enum trace_type, as far as the kernel lost it; last: calls that are not counted. */
	uint64_t traced[TRACE_TYPES + 1];
};
void audit_event_lost(const struct audit_head *h, const struct audit_lost *x,
		      struct buf *out);

/*
 * The monitor begins. `rules`: whose hold for the network, NULL: there is no filter; `c`: the logs
 * that there are.
 */
void audit_event_start(const struct audit_head *h, const struct audit_rules *rules,
		       const struct audit_config *c, struct buf *out);
/* There are other rules from here on. */
void audit_event_rules(const struct audit_head *h, const struct audit_rules *rules,
		       struct buf *out);

/* How init ended, where that is known. */
struct audit_exit {
	bool is_known;
	uint32_t code, signal; /* signal 0: none */
};
/* The container has ended. `denied`: all of it; `lost`: of its whole life. */
void audit_event_end(const struct audit_head *h, uint64_t denied,
		     const struct audit_exit *exit, const struct audit_lost *lost,
		     struct buf *out);

/* What must not be: `type` "log_failed" of a log at `path`, "recorder_died". */
void audit_event_failure(const struct audit_head *h, const char *type, const char *path,
			 const char *message, struct buf *out);

/* An alert that was not given: `action` "alert" or "webhook". `policy` NULL: of none in particular. */
void audit_event_alert_failed(const struct audit_head *h, const char *policy,
			      const char *action, const char *message, struct buf *out);

/* How often a rule denied, also what was not told one by one. */
struct audit_sum {
	uint32_t rule;
	uint64_t count;
};
void audit_event_denials(const struct audit_head *h, const struct audit_rules *rules,
			 const struct audit_sum *sums, size_t n, struct buf *out);

/* "connect", "packet-out"; NULL: none. */
const char *audit_hook_name(unsigned int hook);

#endif
