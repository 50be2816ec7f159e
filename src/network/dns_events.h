/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What purple-dns tells of each question: a line of JSON. Lines that could not be written are
 * counted, and the count is told with the next one.
 */
#ifndef PURPLE_NETWORK_DNS_EVENTS_H
#define PURPLE_NETWORK_DNS_EVENTS_H

#include <stdint.h>

#include "base/str.h"
#include "network/dns_message.h"

struct dns_events {
	int fd;	   /* -1: nobody wants to know */
	bool torn; /* the last line is not whole */
	uint64_t lost;
	uint64_t limited; /* questions that were too many, since the last line */
};

struct dns_event {
	const char *name; /* as asked, in lower case; "": not one that could be allowed */
	uint16_t type;
	const char *verdict; /* "allow", "deny", "audit", "error" */
	const char *reason;  /* NULL: the rule says it all */
	uint32_t rule;	     /* index, or NETWORK_RULE_... */
	int rcode;
	const struct dns_answer *answer;       /* what was given; may be NULL */
	const struct network_address *removed; /* addresses that were left out */
	size_t removed_count;
	unsigned int displaced; /* entries of the map that had to make room */
};

/* `fd` as above. Opens what the C library wants to have for telling the time. */
void dns_events_open(struct dns_events *e, int fd);
void dns_events_write(struct dns_events *e, const struct dns_event *x);

#endif
