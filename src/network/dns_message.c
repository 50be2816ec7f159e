/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_message.h. Runs in purple-dns, without privileges, on bytes of the container and of the
 * upstream servers. Fuzzed (tests/fuzz/dns_fuzz.c).
 */
#include "network/dns_message.h"

#include <errno.h>
/* Part by part: <ldns/ldns.h> has OpenSSL's names, which include one of base/err.h. */
/* clang-format off */
#include <ldns/common.h>
#include <ldns/rbtree.h>
#include <ldns/packet.h>
#include <ldns/host2wire.h>
#include <ldns/wire2host.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

static void packet_free(ldns_pkt **p)
{
	ldns_pkt_free(*p);
}

#define _packet_free_ __attribute__((cleanup(packet_free)))

/* --- names --- */

/* The text in lower case of a name on the wire (not compressed). False where it is not plain. */
static bool name_text(const uint8_t *wire, size_t len, char *out)
{
	size_t at = 0, n = 0;

	while (at < len && wire[at]) {
		size_t label = wire[at++];

		if (label > 63 || label > len - at || n + label + 1 > DNS_NAME_MAX + 1)
			return false;
		for (size_t i = 0; i < label; i++) {
			uint8_t c = wire[at++];

			/* A dot inside a label would read as the end of one. */
			if (c == '.' || c == '\0')
				return false;
			out[n++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
		}
		out[n++] = '.';
	}
	if (n == 0 || at + 1 != len)
		return false;
	out[n - 1] = '\0';
	return dns_name_is_plain(out);
}

static bool rdf_text(const ldns_rdf *rdf, char *out)
{
	return rdf && ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_DNAME &&
	       name_text(ldns_rdf_data(rdf), ldns_rdf_size(rdf), out);
}

/* `name` is plain. Its length on the wire. */
static size_t name_wire(const char *name, uint8_t out[DNS_WIRE_NAME_MAX])
{
	size_t n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		out[n++] = (uint8_t)label;
		memcpy(out + n, name, label);
		n += label;
		name += label;
		if (*name)
			name++;
	}
	out[n++] = 0;
	return n;
}

/* --- making messages --- */

static ldns_rr *make_rr(const uint8_t *owner, size_t owner_len, uint16_t type, uint32_t ttl)
{
	ldns_rr *rr = ldns_rr_new();
	ldns_rdf *rdf = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, owner_len, owner);

	if (!rr || !rdf) {
		ldns_rdf_deep_free(rdf);
		ldns_rr_free(rr);
		return NULL;
	}
	ldns_rr_set_owner(rr, rdf);
	ldns_rr_set_type(rr, (ldns_rr_type)type);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(rr, ttl);
	return rr;
}

static bool rr_add(ldns_rr *rr, ldns_rdf_type type, const void *data, size_t len)
{
	ldns_rdf *rdf = ldns_rdf_new_frm_data(type, len, data);

	if (rdf && ldns_rr_push_rdf(rr, rdf))
		return true;
	ldns_rdf_deep_free(rdf);
	return false;
}

/* The record is the packet's now, or gone. */
static bool push(ldns_pkt *p, ldns_pkt_section section, ldns_rr *rr)
{
	if (rr && ldns_pkt_push_rr(p, section, rr))
		return true;
	ldns_rr_free(rr);
	return false;
}

static bool push_question(ldns_pkt *p, const uint8_t *wire, size_t len, uint16_t type,
			  uint16_t class)
{
	ldns_rr *rr = make_rr(wire, len, type, 0);

	if (rr) {
		ldns_rr_set_question(rr, true);
		ldns_rr_set_class(rr, (ldns_rr_class) class);
	}
	return push(p, LDNS_SECTION_QUESTION, rr);
}

static size_t write_out(const ldns_pkt *p, uint8_t *out, size_t size)
{
	_free_ uint8_t *wire = NULL;
	size_t len = 0;

	if (ldns_pkt2wire(&wire, p, &len) != LDNS_STATUS_OK || len > size)
		return 0;
	memcpy(out, wire, len);
	return len;
}

size_t dns_question_make(uint16_t id, const char *name, uint16_t type, bool edns,
			 uint8_t *out, size_t size)
{
	_packet_free_ ldns_pkt *p = ldns_pkt_new();
	uint8_t wire[DNS_WIRE_NAME_MAX];

	if (!p || !push_question(p, wire, name_wire(name, wire), type, LDNS_RR_CLASS_IN))
		return 0;
	ldns_pkt_set_id(p, id);
	ldns_pkt_set_rd(p, true);
	if (edns)
		ldns_pkt_set_edns_udp_size(p, DNS_UDP_MAX);
	return write_out(p, out, size);
}

/* --- what the container asks --- */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void take_question(const ldns_pkt *p, struct dns_query *q)
{
	const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_question(p), 0);
	const ldns_rdf *owner = ldns_rr_owner(rr);

	if (ldns_rdf_size(owner) > sizeof(q->wire))
		return;
	q->type = (uint16_t)ldns_rr_get_type(rr);
	q->class_ = (uint16_t)ldns_rr_get_class(rr);
	q->wire_len = ldns_rdf_size(owner);
	memcpy(q->wire, ldns_rdf_data(owner), q->wire_len);
	if (!name_text(q->wire, q->wire_len, q->name))
		q->name[0] = '\0';
}

static void take_edns(const ldns_pkt *p, struct dns_query *q)
{
	uint16_t size = ldns_pkt_edns_udp_size(p);

	q->edns = ldns_pkt_edns(p);
	if (q->edns && size > q->size)
		q->size = size < DNS_UDP_MAX ? size : DNS_UDP_MAX;
}

int dns_query_parse(const uint8_t *data, size_t len, struct dns_query *ret)
{
	_packet_free_ ldns_pkt *p = NULL;

	*ret = (struct dns_query){ .size = 512 };
	/* An answer is never answered: two programs could go on for ever. */
	if (len < DNS_HEADER_SIZE || LDNS_QR_WIRE(data))
		return -EBADMSG;
	ret->id = get16(data);
	ret->recursion = LDNS_RD_WIRE(data);
	if (LDNS_OPCODE_WIRE(data) != LDNS_PACKET_QUERY)
		return DNS_NOTIMP;
	if (LDNS_QDCOUNT(data) != 1 || LDNS_ANCOUNT(data) || LDNS_NSCOUNT(data) ||
	    LDNS_ARCOUNT(data) > 2 || len > DNS_UDP_MAX)
		return DNS_FORMERR;
	if (ldns_wire2pkt(&p, data, len) != LDNS_STATUS_OK) {
		p = NULL;
		return DNS_FORMERR;
	}
	if (ldns_rr_list_rr_count(ldns_pkt_question(p)) != 1)
		return DNS_FORMERR;
	take_question(p, ret);
	if (ret->wire_len == 0)
		return DNS_FORMERR;
	take_edns(p, ret);
	if (ret->edns && ldns_pkt_edns_version(p) != 0)
		return DNS_BADVERS;
	if (ret->class_ != LDNS_RR_CLASS_IN)
		return DNS_REFUSED;
	return 0;
}

/* --- what an upstream server says --- */

static bool is_answer_to(const ldns_pkt *p, const char *name, uint16_t type)
{
	const ldns_rr *rr;
	char asked[DNS_NAME_MAX + 1];

	if (ldns_rr_list_rr_count(ldns_pkt_question(p)) != 1)
		return false;
	rr = ldns_rr_list_rr(ldns_pkt_question(p), 0);
	return ldns_rr_get_type(rr) == (ldns_rr_type)type &&
	       ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN &&
	       rdf_text(ldns_rr_owner(rr), asked) && streq(asked, name);
}

/* Whether the record is of this owner, type and class. */
static bool is_record(const ldns_rr *rr, const char *owner, uint16_t type)
{
	char text[DNS_NAME_MAX + 1];

	return ldns_rr_get_type(rr) == (ldns_rr_type)type &&
	       ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN &&
	       rdf_text(ldns_rr_owner(rr), text) && streq(text, owner);
}

static void take_ttl(struct dns_answer *a, uint32_t ttl)
{
	/* RFC 2181, section 8: with the top bit set it is none. */
	if (ttl > INT32_MAX)
		ttl = 0;
	if (ttl < a->ttl)
		a->ttl = ttl;
}

static const ldns_rr *find_cname(const ldns_rr_list *l, const char *owner)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(l); i++)
		if (is_record(ldns_rr_list_rr(l, i), owner, DNS_CNAME))
			return ldns_rr_list_rr(l, i);
	return NULL;
}

/* Follows the chain from `name`; *ret_end is where it ends. */
static bool follow(const ldns_rr_list *l, const char *name, struct dns_answer *a,
		   const char **ret_end)
{
	const char *at = name;
	const ldns_rr *rr;

	while ((rr = find_cname(l, at))) {
		char *next = a->chain[a->chain_count];

		/* More hops than that are a loop, or a way to keep others busy. */
		if (a->chain_count == DNS_CHAIN_MAX || !rdf_text(ldns_rr_rdf(rr, 0), next))
			return false;
		take_ttl(a, ldns_rr_ttl(rr));
		a->chain_count++;
		at = next;
	}
	*ret_end = at;
	return true;
}

static bool has_address(const struct dns_answer *a, const struct network_address *x)
{
	for (size_t i = 0; i < a->address_count; i++)
		if (memcmp(&a->addresses[i], x, sizeof(*x)) == 0)
			return true;
	return false;
}

/* False for a record that cannot be one. */
static bool take_address(const ldns_rr *rr, uint16_t type, struct dns_answer *a)
{
	const ldns_rdf *rdf = ldns_rr_rdf(rr, 0);
	struct network_address x = { { [10] = 0xff, [11] = 0xff } };

	if (!rdf || ldns_rdf_size(rdf) != (type == DNS_A ? 4 : 16))
		return false;
	memcpy(x.bytes + (type == DNS_A ? 12 : 0), ldns_rdf_data(rdf), ldns_rdf_size(rdf));
	/* IPv4 in an AAAA record is nobody's address, and would pass for the IPv4 address. */
	if (type == DNS_AAAA && dns_address_is_ipv4(&x))
		return false;
	if (a->address_count < DNS_ADDRESSES_MAX && !has_address(a, &x))
		a->addresses[a->address_count++] = x;
	take_ttl(a, ldns_rr_ttl(rr));
	return true;
}

static bool take_addresses(const ldns_rr_list *l, const char *owner, uint16_t type,
			   struct dns_answer *a)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(l); i++)
		if (is_record(ldns_rr_list_rr(l, i), owner, type) &&
		    !take_address(ldns_rr_list_rr(l, i), type, a))
			return false;
	return true;
}

/* MNAME, RNAME and five numbers. Taken when the zone is one that `name` is in. */
static void take_soa(const ldns_pkt *p, const char *name, struct dns_answer *a)
{
	const ldns_rr_list *l = ldns_pkt_authority(p);

	for (size_t i = 0; i < ldns_rr_list_rr_count(l); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(l, i);
		size_t n = 0, k;

		if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_SOA || ldns_rr_rd_count(rr) != 7 ||
		    !rdf_text(ldns_rr_owner(rr), a->soa_owner) ||
		    !dns_name_is_in(name, a->soa_owner))
			continue;
		for (k = 0; k < 7; k++) {
			const ldns_rdf *rdf = ldns_rr_rdf(rr, k);
			size_t size = ldns_rdf_size(rdf);

			if ((k < 2 ? size > DNS_WIRE_NAME_MAX : size != 4))
				break;
			memcpy(a->soa + n, ldns_rdf_data(rdf), size);
			n += size;
		}
		if (k < 7)
			continue;
		/* RFC 2308: the lesser of the record's time to live and its last field. */
		take_ttl(a, ldns_rr_ttl(rr));
		take_ttl(a, ldns_rdf2native_int32(ldns_rr_rdf(rr, 6)));
		a->soa_len = n;
		return;
	}
}

static enum dns_found take_answer(const ldns_pkt *p, const char *name, uint16_t type,
				  struct dns_answer *a)
{
	const ldns_rr_list *l = ldns_pkt_answer(p);
	const char *end = name;

	if (!follow(l, name, a, &end))
		return DNS_BAD;
	if (a->rcode == DNS_NOERROR && !take_addresses(l, end, type, a))
		return DNS_BAD;
	if (a->address_count == 0)
		take_soa(p, end, a);
	if (a->ttl == UINT32_MAX)
		a->ttl = 0;
	return DNS_FOUND;
}

enum dns_found dns_answer_parse(const uint8_t *data, size_t len, uint16_t id,
				const char *name, uint16_t type, struct dns_answer *ret)
{
	_packet_free_ ldns_pkt *p = NULL;

	*ret = (struct dns_answer){ .ttl = UINT32_MAX };
	if (len < DNS_HEADER_SIZE || len > DNS_ANSWER_MAX || !LDNS_QR_WIRE(data) ||
	    get16(data) != id || LDNS_OPCODE_WIRE(data) != LDNS_PACKET_QUERY)
		return DNS_FOREIGN;
	/* Old servers send a mere header back. */
	ret->rcode = LDNS_RCODE_WIRE(data);
	if ((ret->rcode == DNS_FORMERR || ret->rcode == DNS_NOTIMP) &&
	    LDNS_QDCOUNT(data) == 0)
		return DNS_NO_EDNS;
	if (LDNS_QDCOUNT(data) != 1)
		return DNS_FOREIGN;
	if (ldns_wire2pkt(&p, data, len) != LDNS_STATUS_OK) {
		p = NULL;
		/* Cut short where records are: what matters is then asked again. */
		return LDNS_TC_WIRE(data) ? DNS_TRUNCATED : DNS_FOREIGN;
	}
	if (!is_answer_to(p, name, type))
		return DNS_FOREIGN;
	if (LDNS_TC_WIRE(data))
		return DNS_TRUNCATED;
	if (ret->rcode == DNS_FORMERR || ret->rcode == DNS_NOTIMP)
		return DNS_NO_EDNS;
	if (ldns_pkt_edns_extended_rcode(p) != 0)
		return DNS_FAILED;
	if (ret->rcode != DNS_NOERROR && ret->rcode != DNS_NXDOMAIN)
		return DNS_FAILED;
	return take_answer(p, name, type, ret);
}

/* --- what the container is told --- */

static bool push_chain(ldns_pkt *p, const struct dns_query *q, const struct dns_answer *a)
{
	uint8_t owner[DNS_WIRE_NAME_MAX], target[DNS_WIRE_NAME_MAX];
	size_t owner_len = q->wire_len, target_len;

	memcpy(owner, q->wire, owner_len);
	for (size_t i = 0; i < a->chain_count; i++) {
		ldns_rr *rr = make_rr(owner, owner_len, DNS_CNAME, a->ttl);

		target_len = name_wire(a->chain[i], target);
		if (!rr || !rr_add(rr, LDNS_RDF_TYPE_DNAME, target, target_len)) {
			ldns_rr_free(rr);
			return false;
		}
		if (!push(p, LDNS_SECTION_ANSWER, rr))
			return false;
		memcpy(owner, target, target_len);
		owner_len = target_len;
	}
	for (size_t i = 0; i < a->address_count; i++) {
		ldns_rr *rr = make_rr(owner, owner_len, q->type, a->ttl);
		bool ipv4 = q->type == DNS_A;

		if (!rr || !rr_add(rr, ipv4 ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_AAAA,
				   a->addresses[i].bytes + (ipv4 ? 12 : 0), ipv4 ? 4 : 16)) {
			ldns_rr_free(rr);
			return false;
		}
		if (!push(p, LDNS_SECTION_ANSWER, rr))
			return false;
	}
	return true;
}

static bool push_soa(ldns_pkt *p, const struct dns_answer *a)
{
	uint8_t owner[DNS_WIRE_NAME_MAX];
	ldns_rr *rr = make_rr(owner, name_wire(a->soa_owner, owner), DNS_SOA, a->ttl);
	size_t at = 0;

	for (int i = 0; rr && i < 7; i++) {
		size_t len = 4;

		if (i < 2)
			for (len = 1; a->soa[at + len - 1]; len += a->soa[at + len - 1] + 1U)
				;
		if (!rr_add(rr,
			    i < 2  ? LDNS_RDF_TYPE_DNAME :
			    i == 2 ? LDNS_RDF_TYPE_INT32 :
				     LDNS_RDF_TYPE_PERIOD,
			    a->soa + at, len)) {
			ldns_rr_free(rr);
			return false;
		}
		at += len;
	}
	return push(p, LDNS_SECTION_AUTHORITY, rr);
}

static ldns_pkt *make_head(const struct dns_query *q, int rcode)
{
	ldns_pkt *p = ldns_pkt_new();

	if (!p)
		return NULL;
	ldns_pkt_set_id(p, q->id);
	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_rd(p, q->recursion);
	ldns_pkt_set_ra(p, true);
	ldns_pkt_set_rcode(p, (uint8_t)(rcode & 0xf));
	if (q->edns) {
		ldns_pkt_set_edns_udp_size(p, DNS_UDP_MAX);
		ldns_pkt_set_edns_extended_rcode(p, (uint8_t)(rcode >> 4));
	}
	if (q->wire_len && !push_question(p, q->wire, q->wire_len, q->type, q->class_)) {
		ldns_pkt_free(p);
		return NULL;
	}
	return p;
}

size_t dns_reply_make(const struct dns_query *q, int rcode,
		      const struct dns_answer *answer, uint8_t *out, size_t size)
{
	_packet_free_ ldns_pkt *p = make_head(q, rcode), *cut = NULL;
	size_t n;

	if (!p)
		return 0;
	if (answer &&
	    (!push_chain(p, q, answer) || (answer->soa_len && !push_soa(p, answer))))
		return 0;
	n = write_out(p, out, size);
	if (n || !answer)
		return n;
	cut = make_head(q, rcode);
	if (!cut)
		return 0;
	ldns_pkt_set_tc(cut, true);
	return write_out(cut, out, size);
}

const char *dns_type_text(uint16_t type, char *buf, size_t size)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_AAAA:
		return "AAAA";
	case DNS_PTR:
		return "PTR";
	default:
		snprintf(buf, size, "TYPE%u", type);
		return buf;
	}
}

const char *dns_rcode_text(int rcode)
{
	static const char *const names[] = { "NOERROR",	 "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED" };

	return rcode >= 0 && rcode < (int)ARRAY_SIZE(names) ? names[rcode] : "BADVERS";
}
