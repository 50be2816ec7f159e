/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: what is taken of them, and what is not. The bytes are written by hand here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "network/dns_message.h"

struct message {
	uint8_t data[20000];
	size_t len;
};

static void put8(struct message *m, unsigned int v)
{
	m->data[m->len++] = (uint8_t)v;
}

static void put16(struct message *m, unsigned int v)
{
	put8(m, v >> 8);
	put8(m, v & 0xff);
}

static void put32(struct message *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

static void put_name(struct message *m, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		put8(m, (unsigned int)n);
		memcpy(m->data + m->len, name, n);
		m->len += n;
		name += n + (name[n] == '.');
	}
	put8(m, 0);
}

/* Counts stand at 4, 6, 8 and 10. */
static void count(struct message *m, int section)
{
	m->data[4 + section * 2 + 1]++;
}

static struct message begin(uint16_t id, uint16_t flags)
{
	struct message m = {};

	put16(&m, id);
	put16(&m, flags);
	for (int i = 0; i < 4; i++)
		put16(&m, 0);
	return m;
}

static void question(struct message *m, const char *name, uint16_t type)
{
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
	count(m, 0);
}

static void record(struct message *m, int section, const char *owner, uint16_t type,
		   uint32_t ttl, const void *data, size_t len)
{
	put_name(m, owner);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, (unsigned int)len);
	memcpy(m->data + m->len, data, len);
	m->len += len;
	count(m, section);
}

static void a_record(struct message *m, const char *owner, uint32_t ttl, unsigned int last)
{
	const uint8_t address[] = { 192, 0, 2, (uint8_t)last };

	record(m, 1, owner, DNS_A, ttl, address, 4);
}

static void cname(struct message *m, const char *owner, uint32_t ttl, const char *target)
{
	struct message t = {};

	put_name(&t, target);
	record(m, 1, owner, DNS_CNAME, ttl, t.data, t.len);
}

static void soa(struct message *m, const char *zone, uint32_t ttl, uint32_t minimum)
{
	struct message t = {};

	put_name(&t, "ns.example.org");
	put_name(&t, "host.master");
	for (int i = 0; i < 4; i++)
		put32(&t, 7);
	put32(&t, minimum);
	record(m, 2, zone, DNS_SOA, ttl, t.data, t.len);
}

static void opt(struct message *m, uint16_t size, uint32_t ttl)
{
	put8(m, 0);
	put16(m, 41);
	put16(m, size);
	put32(m, ttl);
	put16(m, 0);
	count(m, 3);
}

/* --- questions --- */

static void test_query(void **state)
{
	struct message m = begin(0x1234, 0x0100);
	struct dns_query q;

	question(&m, "Api.EXAMPLE.com", DNS_AAAA);
	assert_int_equal(dns_query_parse(m.data, m.len, &q), 0);
	assert_string_equal(q.name, "api.example.com");
	assert_int_equal(q.type, DNS_AAAA);
	assert_int_equal(q.id, 0x1234);
	assert_true(q.recursion);
	assert_false(q.edns);
	assert_int_equal(q.size, 512);
	opt(&m, 4096, 0);
	assert_int_equal(dns_query_parse(m.data, m.len, &q), 0);
	assert_true(q.edns);
	assert_int_equal(q.size, DNS_UDP_MAX);
}

static void test_query_small_edns(void **state)
{
	struct message m = begin(1, 0x0100);
	struct dns_query q;

	question(&m, "a.b", DNS_A);
	opt(&m, 100, 0);
	assert_int_equal(dns_query_parse(m.data, m.len, &q), 0);
	assert_int_equal(q.size, 512);
}

static void expect_code(struct message *m, int code)
{
	struct dns_query q;

	assert_int_equal(dns_query_parse(m->data, m->len, &q), code);
}

static void test_query_refused(void **state)
{
	struct message m = begin(1, 0x8100);

	question(&m, "a.b", DNS_A);
	expect_code(&m, -EBADMSG); /* an answer */
	m = begin(1, 0x0100);
	m.len = 11;
	expect_code(&m, -EBADMSG);
	m = begin(1, 0x0100);
	expect_code(&m, DNS_FORMERR); /* without a question */
	question(&m, "a.b", DNS_A);
	question(&m, "c.d", DNS_A);
	expect_code(&m, DNS_FORMERR);
	m = begin(1, 0x0100);
	question(&m, "a.b", DNS_A);
	a_record(&m, "a.b", 1, 1);
	expect_code(&m, DNS_FORMERR);
	m = begin(1, 0x2900); /* UPDATE */
	question(&m, "a.b", DNS_A);
	expect_code(&m, DNS_NOTIMP);
	m = begin(1, 0x0100);
	question(&m, "a.b", DNS_A);
	opt(&m, 1232, 0x00010000); /* EDNS version 1 */
	expect_code(&m, DNS_BADVERS);
	m = begin(1, 0x0100);
	question(&m, "a.b", DNS_A);
	m.data[m.len - 1] = 3; /* CHAOS */
	expect_code(&m, DNS_REFUSED);
	/* Names that end in the middle, point to themselves, or have a label of 64. */
	m = begin(1, 0x0100);
	question(&m, "a.b", DNS_A);
	m.len -= 5;
	expect_code(&m, DNS_FORMERR);
	m = begin(1, 0x0100);
	put16(&m, 0xc00c);
	put16(&m, 1);
	put16(&m, 1);
	count(&m, 0);
	expect_code(&m, DNS_FORMERR);
}

/* A dot or another odd byte in a label: a question, for a name that nothing allows. */
static void test_query_odd_names(void **state)
{
	static const char *const labels[] = { "a.b", "a b", "a\\b", "*", "\xc3\xbc" };

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		struct message m = begin(1, 0x0100);
		struct dns_query q;
		uint8_t out[512];
		size_t n = strlen(labels[i]);

		put8(&m, (unsigned int)n);
		memcpy(m.data + m.len, labels[i], n);
		m.len += n;
		put_name(&m, "example.org");
		put16(&m, DNS_A);
		put16(&m, 1);
		count(&m, 0);
		assert_int_equal(dns_query_parse(m.data, m.len, &q), 0);
		assert_string_equal(q.name, "");
		/* It is answered all the same, with the name as it was. */
		n = dns_reply_make(&q, DNS_NXDOMAIN, NULL, out, sizeof(out));
		assert_int_equal(n, m.len);
		assert_memory_equal(out + 12, m.data + 12, m.len - 12);
	}
}

/* --- answers of upstream servers --- */

static enum dns_found parse(const struct message *m, struct dns_answer *a)
{
	return dns_answer_parse(m->data, m->len, 7, "www.example.org", DNS_A, a);
}

static struct message begin_answer(unsigned int rcode)
{
	struct message m = begin(7, 0x8180 | rcode);

	question(&m, "www.Example.org", DNS_A);
	return m;
}

static void test_answer(void **state)
{
	struct message m = begin_answer(0);
	struct dns_answer a;

	a_record(&m, "WWW.example.org", 300, 1);
	a_record(&m, "www.example.org", 200, 2);
	a_record(&m, "www.example.org", 200, 2);
	a_record(&m, "other.example.org", 5, 3);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.address_count, 2);
	assert_int_equal(a.addresses[1].bytes[15], 2);
	assert_true(dns_address_is_ipv4(&a.addresses[0]));
	assert_int_equal(a.ttl, 200);
	assert_int_equal(a.chain_count, 0);
}

static void test_answer_foreign(void **state)
{
	struct message m = begin_answer(0);
	struct dns_answer a;

	a_record(&m, "www.example.org", 300, 1);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	m.data[1] = 8; /* the id */
	assert_int_equal(parse(&m, &a), DNS_FOREIGN);
	m.data[1] = 7;
	m.data[2] = 0x01; /* a question */
	assert_int_equal(parse(&m, &a), DNS_FOREIGN);
	m = begin(7, 0x8180);
	question(&m, "wwx.example.org", DNS_A);
	a_record(&m, "www.example.org", 300, 1);
	assert_int_equal(parse(&m, &a), DNS_FOREIGN);
	m = begin(7, 0x8180);
	question(&m, "www.example.org", DNS_AAAA);
	a_record(&m, "www.example.org", 300, 1);
	assert_int_equal(parse(&m, &a), DNS_FOREIGN);
	m = begin(7, 0x8180);
	a_record(&m, "www.example.org", 300, 1);
	assert_int_equal(parse(&m, &a), DNS_FOREIGN);
	m = begin_answer(0);
	a_record(&m, "www.example.org", 300, 1);
	m.len -= 2;
	assert_int_equal(parse(&m, &a), DNS_FOREIGN);
}

static void test_answer_chain(void **state)
{
	struct message m = begin_answer(0);
	struct dns_answer a;

	/* In any order, with the least time to live of the chain. */
	a_record(&m, "c.example.net", 300, 9);
	a_record(&m, "www.example.org", 300, 1); /* beside a CNAME: not of the chain's end */
	cname(&m, "b.example.net", 60, "c.example.net");
	cname(&m, "www.example.org", 100, "B.example.net");
	cname(&m, "x.example.net", 1, "y.example.net");
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.chain_count, 2);
	assert_string_equal(a.chain[0], "b.example.net");
	assert_string_equal(a.chain[1], "c.example.net");
	assert_int_equal(a.address_count, 1);
	assert_int_equal(a.addresses[0].bytes[15], 9);
	assert_int_equal(a.ttl, 60);
}

static void test_answer_loops(void **state)
{
	struct message m = begin_answer(0);
	struct dns_answer a;
	char from[32] = "www.example.org", to[32];

	cname(&m, "www.example.org", 60, "www.example.org");
	assert_int_equal(parse(&m, &a), DNS_BAD);
	m = begin_answer(0);
	cname(&m, "www.example.org", 60, "b.example.org");
	cname(&m, "b.example.org", 60, "www.example.org");
	a_record(&m, "b.example.org", 300, 1);
	assert_int_equal(parse(&m, &a), DNS_BAD);
	/* Eight hops are taken, nine are not. */
	m = begin_answer(0);
	for (int i = 0; i < 9; i++) {
		struct message with;

		snprintf(to, sizeof(to), "n%d.example.org", i);
		cname(&m, from, 60, to);
		strcpy(from, to);
		with = m;
		a_record(&with, to, 60, 1);
		assert_int_equal(parse(&with, &a), i < 8 ? DNS_FOUND : DNS_BAD);
	}
	m = begin_answer(0);
	cname(&m, "www.example.org", 60, "b c.example.org");
	assert_int_equal(parse(&m, &a), DNS_BAD);
}

static void test_answer_many(void **state)
{
	struct message m = begin_answer(0);
	struct dns_answer a;

	for (unsigned int i = 1; i <= 40; i++)
		a_record(&m, "www.example.org", 300, i);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.address_count, DNS_ADDRESSES_MAX);
	assert_int_equal(a.addresses[15].bytes[15], 16);
}

static void test_answer_mapped(void **state)
{
	const uint8_t mapped[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	struct message m = begin(7, 0x8180);
	struct dns_answer a;

	question(&m, "www.example.org", DNS_AAAA);
	record(&m, 1, "www.example.org", DNS_AAAA, 60, mapped, 16);
	assert_int_equal(dns_answer_parse(m.data, m.len, 7, "www.example.org", DNS_AAAA, &a),
			 DNS_BAD);
	/* An A record has nothing to say to a question for AAAA. */
	m = begin(7, 0x8180);
	question(&m, "www.example.org", DNS_AAAA);
	a_record(&m, "www.example.org", 60, 1);
	assert_int_equal(dns_answer_parse(m.data, m.len, 7, "www.example.org", DNS_AAAA, &a),
			 DNS_FOUND);
	assert_int_equal(a.address_count, 0);
}

static void test_answer_odd_length(void **state)
{
	const uint8_t five[5] = { 192, 0, 2, 1, 1 };
	struct message m = begin_answer(0);
	struct dns_answer a;

	record(&m, 1, "www.example.org", DNS_A, 60, five, 3);
	assert_int_not_equal(parse(&m, &a), DNS_FOUND);
	m = begin_answer(0);
	record(&m, 1, "www.example.org", DNS_A, 60, five, 0);
	assert_int_not_equal(parse(&m, &a), DNS_FOUND);
	/* ldns leaves out what is too much. */
	m = begin_answer(0);
	record(&m, 1, "www.example.org", DNS_A, 60, five, 5);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.address_count, 1);
	assert_memory_equal(a.addresses[0].bytes + 12, five, 4);
}

static void test_answer_negative(void **state)
{
	struct message m = begin_answer(3);
	struct dns_answer a;
	struct dns_query q = { .id = 9, .type = DNS_A, .class_ = 1, .size = 512 };
	uint8_t out[512];
	size_t n;

	soa(&m, "example.com", 900, 60); /* of a zone that it is not in */
	soa(&m, "example.org", 900, 60);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.rcode, DNS_NXDOMAIN);
	assert_int_equal(a.ttl, 60);
	assert_string_equal(a.soa_owner, "example.org");
	/* It goes out as it came in, with the time to live that holds. */
	q.wire_len = 17;
	memcpy(q.wire, m.data + 12, 17);
	n = dns_reply_make(&q, a.rcode, &a, out, sizeof(out));
	assert_true(n > 0);
	assert_int_equal(out[3] & 0xf, DNS_NXDOMAIN);
	assert_int_equal(out[9], 1);
	assert_int_equal(dns_answer_parse(out, n, 9, "www.example.org", DNS_A, &a),
			 DNS_FOUND);
	assert_int_equal(a.ttl, 60);
	assert_string_equal(a.soa_owner, "example.org");
	/* NODATA, and addresses beside NXDOMAIN. */
	m = begin_answer(0);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.address_count, 0);
	assert_int_equal(a.ttl, 0);
	m = begin_answer(3);
	a_record(&m, "www.example.org", 60, 1);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.address_count, 0);
}

static void test_answer_failures(void **state)
{
	struct message m = begin_answer(2);
	struct dns_answer a;

	assert_int_equal(parse(&m, &a), DNS_FAILED);
	m = begin_answer(5);
	assert_int_equal(parse(&m, &a), DNS_FAILED);
	m = begin_answer(1);
	assert_int_equal(parse(&m, &a), DNS_NO_EDNS);
	m = begin(7, 0x8184);
	assert_int_equal(parse(&m, &a), DNS_NO_EDNS);
	m = begin_answer(0);
	m.data[2] |= 2; /* TC */
	assert_int_equal(parse(&m, &a), DNS_TRUNCATED);
	a_record(&m, "www.example.org", 60, 1);
	m.len -= 3;
	assert_int_equal(parse(&m, &a), DNS_TRUNCATED);
	/* BADVERS: the upper bits of the code are in OPT. */
	m = begin_answer(0);
	opt(&m, 1232, 0x01000000);
	assert_int_equal(parse(&m, &a), DNS_FAILED);
}

static void test_answer_ttl(void **state)
{
	struct message m = begin_answer(0);
	struct dns_answer a;

	a_record(&m, "www.example.org", 0x80000001, 1);
	assert_int_equal(parse(&m, &a), DNS_FOUND);
	assert_int_equal(a.ttl, 0);
}

/* --- what goes out --- */

static void test_question_out(void **state)
{
	uint8_t out[512];
	size_t n = dns_question_make(0xabcd, "www.example.org", DNS_AAAA, true, out,
				     sizeof(out));
	struct dns_query q;

	assert_true(n > 0);
	assert_int_equal(dns_query_parse(out, n, &q), 0);
	assert_int_equal(q.id, 0xabcd);
	assert_string_equal(q.name, "www.example.org");
	assert_int_equal(q.type, DNS_AAAA);
	assert_true(q.recursion && q.edns);
	assert_int_equal(q.size, DNS_UDP_MAX);
	n = dns_question_make(1, "www.example.org", DNS_A, false, out, sizeof(out));
	assert_int_equal(dns_query_parse(out, n, &q), 0);
	assert_false(q.edns);
}

static void test_reply_truncated(void **state)
{
	struct message m = begin(3, 0x0100);
	struct dns_answer a = { .ttl = 60,
				.address_count = DNS_ADDRESSES_MAX,
				.chain_count = 4 };
	struct dns_query q;
	uint8_t out[4096];
	char label[64];
	size_t n;

	question(&m, "www.example.org", DNS_AAAA);
	assert_int_equal(dns_query_parse(m.data, m.len, &q), 0);
	memset(label, 'x', 63);
	label[63] = '\0';
	for (int i = 0; i < 4; i++)
		snprintf(a.chain[i], sizeof(a.chain[i]), "%c%.62s.example.org", 'a' + i,
			 label);
	for (uint8_t i = 0; i < DNS_ADDRESSES_MAX; i++)
		a.addresses[i] = (struct network_address){ { 0x20, 1, 0xd, 0xb8, [15] = i } };
	n = dns_reply_make(&q, 0, &a, out, q.size);
	assert_true(n > 0 && n <= 512);
	assert_true(out[2] & 2);
	assert_int_equal(out[7], 0);
	n = dns_reply_make(&q, 0, &a, out, sizeof(out));
	assert_true(n > 512);
	assert_false(out[2] & 2);
	assert_int_equal(out[7], 20);
	assert_int_equal(dns_answer_parse(out, n, 3, "www.example.org", DNS_AAAA, &a),
			 DNS_FOUND);
	assert_int_equal(a.address_count, DNS_ADDRESSES_MAX);
	assert_int_equal(a.chain_count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_small_edns),
		cmocka_unit_test(test_query_refused),
		cmocka_unit_test(test_query_odd_names),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_answer_foreign),
		cmocka_unit_test(test_answer_chain),
		cmocka_unit_test(test_answer_loops),
		cmocka_unit_test(test_answer_many),
		cmocka_unit_test(test_answer_mapped),
		cmocka_unit_test(test_answer_odd_length),
		cmocka_unit_test(test_answer_negative),
		cmocka_unit_test(test_answer_failures),
		cmocka_unit_test(test_answer_ttl),
		cmocka_unit_test(test_question_out),
		cmocka_unit_test(test_reply_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
