/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of purple-dns (network/dns_events.h), taken apart. They come from a process that reads what
 * programs of the container and foreign servers send: nothing in them is believed. Pure.
 */
#ifndef PURPLE_AUDIT_DNS_LINE_H
#define PURPLE_AUDIT_DNS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/network_filter.h"

#define AUDIT_DNS_LINE_MAX 16384
#define AUDIT_DNS_NAME_MAX 255
#define AUDIT_DNS_ADDRESSES_MAX 64

struct audit_dns {
	char name[AUDIT_DNS_NAME_MAX + 1];
	char query[16];	  /* "A" */
	char verdict[8];  /* "allow", "deny", "audit", "error" */
	char rcode[16];	  /* "NXDOMAIN" */
	char reason[128]; /* "": none */
	uint32_t rule;	  /* NETWORK_RULE_NONE: none */
	struct network_address answers[AUDIT_DNS_ADDRESSES_MAX];
	struct network_address removed[AUDIT_DNS_ADDRESSES_MAX];
	size_t answer_count, removed_count;
	uint64_t lost, limited; /* questions before this one that were not told */
};

/* False: it is not such a line. */
bool audit_dns_parse(const char *line, size_t len, struct audit_dns *ret);

#endif
