/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages: what a program in the container asks, what is asked of an upstream server in its
 * place, what of the answer is taken, and what the program is told. Nothing is passed through:
 * each message is taken apart by ldns, and another one made. Pure.
 */
#ifndef PURPLE_NETWORK_DNS_MESSAGE_H
#define PURPLE_NETWORK_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network/dns_names.h"

#define DNS_WIRE_NAME_MAX 255
#define DNS_HEADER_SIZE 12
/* Longest question that is read, and longest answer over UDP (dnsflagday.net/2020). */
#define DNS_UDP_MAX 1232
/* Longest answer of an upstream server that is read, over TCP. */
#define DNS_ANSWER_MAX 16384
#define DNS_CHAIN_MAX 8
#define DNS_ADDRESSES_MAX 16

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_AAAA = 28 };
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,
};

/* A question of the container. */
struct dns_query {
	uint16_t id, type, class_;
	bool recursion; /* RD */
	bool edns;
	uint16_t size;			 /* how long an answer over UDP may be */
	uint8_t wire[DNS_WIRE_NAME_MAX]; /* the name as it was written */
	size_t wire_len;
	char name[DNS_NAME_MAX + 1]; /* in lower case; "" where it is not plain */
};

/*
 * Takes a message apart. 0: it is a question; a code of enum dns_rcode: to be answered with it
 * (ret->wire_len may be 0: without a question); -EBADMSG: to be left without an answer.
 */
int dns_query_parse(const uint8_t *data, size_t len, struct dns_query *ret);

/* The question for an upstream server: name in lower case, RD. Length, 0 when out of memory. */
size_t dns_question_make(uint16_t id, const char *name, uint16_t type, bool edns,
			 uint8_t *out, size_t size);

/* What was taken of an upstream server's answer. */
struct dns_answer {
	int rcode;    /* DNS_NOERROR or DNS_NXDOMAIN */
	uint32_t ttl; /* least of the chain's, of the addresses' or of the negative answer */
	size_t chain_count;
	char chain[DNS_CHAIN_MAX][DNS_NAME_MAX + 1]; /* names that CNAMEs led to, in order */
	size_t address_count;
	struct network_address addresses[DNS_ADDRESSES_MAX];
	/* Of a negative answer: the zone's SOA as on the wire, without its header; 0: none. */
	char soa_owner[DNS_NAME_MAX + 1];
	size_t soa_len;
	uint8_t soa[2 * DNS_WIRE_NAME_MAX + 20];
};

enum dns_found {
	DNS_FOUND,     /* *ret holds */
	DNS_FOREIGN,   /* not the answer to this question: the wait goes on */
	DNS_TRUNCATED, /* to be asked over TCP */
	DNS_NO_EDNS,   /* FORMERR or NOTIMP: the server may know no EDNS */
	DNS_FAILED,    /* SERVFAIL, REFUSED or so: another server may know */
	DNS_BAD,       /* broken: a loop, a name that is none, a record of odd length */
};

enum dns_found dns_answer_parse(const uint8_t *data, size_t len, uint16_t id,
				const char *name, uint16_t type, struct dns_answer *ret);

/*
 * The answer to the container; `answer` may be NULL (no records). At most `size` bytes: else it is
 * marked truncated, and has no records. Length, 0 when out of memory.
 */
size_t dns_reply_make(const struct dns_query *q, int rcode,
		      const struct dns_answer *answer, uint8_t *out, size_t size);

/* "A", "AAAA", "TYPE65": for events. */
const char *dns_type_text(uint16_t type, char *buf, size_t size);
const char *dns_rcode_text(int rcode);

#endif
