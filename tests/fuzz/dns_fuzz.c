/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for DNS messages: the first byte says whether the rest is what a program of the
 * container asks, or what an upstream server answers. What is taken of either keeps its bounds, and
 * what is made of it can be read again.
 * runs: 30000
 */
#include <errno.h>

#include "fuzz.h"
#include "network/dns_message.h"

static void check_name(const char *name)
{
	fuzz_require(memchr(name, '\0', DNS_NAME_MAX + 1));
	fuzz_require(dns_name_is_plain(name));
}

static void check_answer(const struct dns_answer *a, uint16_t type)
{
	fuzz_require(a->rcode == DNS_NOERROR || a->rcode == DNS_NXDOMAIN);
	fuzz_require(a->chain_count <= DNS_CHAIN_MAX);
	fuzz_require(a->address_count <= DNS_ADDRESSES_MAX);
	fuzz_require(a->rcode == DNS_NOERROR || a->address_count == 0);
	fuzz_require(a->ttl <= INT32_MAX);
	fuzz_require(a->soa_len <= sizeof(a->soa));
	for (size_t i = 0; i < a->chain_count; i++)
		check_name(a->chain[i]);
	for (size_t i = 0; i < a->address_count; i++)
		fuzz_require(dns_address_is_ipv4(&a->addresses[i]) == (type == DNS_A));
}

/* An answer to `q` with these records: it says the same when it is read. */
static void check_reply(const struct dns_query *q, int rcode, const struct dns_answer *a,
			size_t size)
{
	uint8_t out[8192];
	struct dns_answer again;
	enum dns_found found;
	size_t n = dns_reply_make(q, rcode, a, out, size);

	fuzz_require(n >= DNS_HEADER_SIZE && n <= size);
	fuzz_require(out[0] == q->id >> 8 && out[1] == (q->id & 0xff) && (out[2] & 0x80));
	if (!a || !q->name[0])
		return;
	found = dns_answer_parse(out, n, q->id, q->name, q->type, &again);
	fuzz_require(found == DNS_FOUND || found == DNS_TRUNCATED);
	if (found == DNS_TRUNCATED)
		return;
	check_answer(&again, q->type);
	fuzz_require(again.rcode == a->rcode && again.chain_count == a->chain_count &&
		     again.address_count == a->address_count);
	fuzz_require(memcmp(again.addresses, a->addresses,
			    a->address_count * sizeof(a->addresses[0])) == 0);
}

static void fuzz_query(const uint8_t *data, size_t size)
{
	struct dns_answer empty = {};
	struct dns_query q;
	int code = dns_query_parse(data, size, &q);

	if (code == -EBADMSG)
		return;
	fuzz_require(code >= 0 && q.size >= 512 && q.size <= DNS_UDP_MAX);
	if (q.name[0])
		check_name(q.name);
	check_reply(&q, code, NULL, q.size);
	if (code == 0 && (q.type == DNS_A || q.type == DNS_AAAA))
		check_reply(&q, DNS_NOERROR, &empty, q.size);
}

/* The question is taken from the message itself: others are turned away at once. */
static void fuzz_answer(const uint8_t *data, size_t size)
{
	static uint8_t copy[65536];
	struct dns_answer a;
	struct dns_query q;
	uint16_t id;

	if (size < DNS_HEADER_SIZE || size > DNS_UDP_MAX) {
		dns_answer_parse(data, size, 0, "www.example.org", DNS_A, &a);
		return;
	}
	memcpy(copy, data, size);
	id = (uint16_t)(data[0] << 8 | data[1]);
	/* As a question: without the mark of an answer, and without records. */
	copy[2] = 1;
	memset(copy + 6, 0, 6);
	if (dns_query_parse(copy, size, &q) != 0 || !q.name[0] ||
	    (q.type != DNS_A && q.type != DNS_AAAA)) {
		dns_answer_parse(data, size, id, "www.example.org", DNS_A, &a);
		return;
	}
	if (dns_answer_parse(data, size, id, q.name, q.type, &a) != DNS_FOUND)
		return;
	check_answer(&a, q.type);
	check_reply(&q, a.rcode, &a, q.size);
	check_reply(&q, a.rcode, &a, 8192);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		fuzz_query(data + 1, size - 1);
	else
		fuzz_answer(data + 1, size - 1);
	return 0;
}
