/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_server.h. Runs in purple-dns, without privileges.
 *
 * A name that is not allowed is answered with NXDOMAIN, and nobody is asked: a question for it
 * would carry its letters out. Not with REFUSED, which would say what is meant: glibc takes that
 * for a failure of the server that may pass, and musl waits for its time-out (5 s).
 * An address that answers may not point to is left out, and the others are given: the kernel would
 * deny it anyway, and a name with one odd address still works. Where none is left, the answer is
 * that there is none of this family: the name may have good ones of the other.
 * What the answer allows is in the kernel's map before the answer goes out.
 */
#include "network/dns_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "network/dns_blocked.h"
#include "network/dns_clients.h"
#include "network/dns_events.h"
#include "network/dns_learn.h"
#include "network/dns_lookup.h"
#include "network/dns_loop.h"
#include "network/dns_message.h"
#include "network/dns_names.h"

/* Nothing to do: a look at the clock now and then. */
#define IDLE_MS 30000

/* What ends the forwarder. */
struct watch {
	struct dns_source source;
	struct dns_server *server;
};

struct dns_server {
	const struct dns_config *config;
	int epoll;
	bool done, detached;
	struct watch control, init;
	struct dns_names *names;
	struct dns_map *map;
	struct dns_lookups *lookups;
	struct dns_clients *clients;
	struct dns_blocked *blocked; /* NULL: their addresses are not asked for */
	struct dns_events events;
	/* The bucket: thousandths of a question. */
	uint64_t tokens, filled_ms;
};

/* A question that upstream servers were asked for. */
struct request {
	struct dns_server *server;
	struct dns_client client;
	struct dns_query query;
	struct dns_verdict verdict;
};

/* --- answers --- */

static void answer(struct dns_server *s, const struct dns_client *c,
		   const struct dns_query *q, int rcode, const struct dns_answer *a)
{
	uint8_t out[8192];
	size_t n = dns_reply_make(q, rcode, a, out, c->tcp ? sizeof(out) : q->size);

	if (n)
		dns_clients_answer(s->clients, c, out, n);
	else
		dns_clients_drop(s->clients, c);
}

static const char *verdict_text(enum network_verdict v)
{
	return v == NETWORK_DENY ? "deny" : v == NETWORK_AUDIT ? "audit" : "allow";
}

static void tell(struct dns_server *s, const struct dns_query *q,
		 const struct dns_verdict *v, int rcode, const char *reason,
		 struct dns_event x)
{
	x.name = q->name;
	x.type = q->type;
	if (!x.verdict)
		x.verdict = verdict_text(v->verdict);
	x.rule = v->rule;
	x.rcode = rcode;
	x.reason = reason;
	dns_events_write(&s->events, &x);
}

static void refuse(struct dns_server *s, const struct dns_client *c,
		   const struct dns_query *q, const struct dns_verdict *v, int rcode,
		   const char *reason)
{
	tell(s, q, v, rcode, reason, (struct dns_event){});
	answer(s, c, q, rcode, NULL);
}

static void want_blocked(struct dns_server *s, const char *name, const struct dns_verdict *v)
{
	if (s->blocked && v->blocked)
		dns_blocked_want(s->blocked, name, v->rule);
}

/* --- what came back --- */

/* A chain through a blocked name is blocked. */
static bool chain_is_blocked(struct request *rq, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->chain_count; i++) {
		struct dns_verdict v;

		dns_names_find(rq->server->names, a->chain[i], &v);
		if (!v.blocked)
			continue;
		/* What is learned remains the question's affair. */
		rq->verdict.verdict = v.verdict;
		rq->verdict.rule = v.rule;
		if (v.verdict == NETWORK_DENY) {
			want_blocked(rq->server, a->chain[i], &v);
			return true;
		}
	}
	return false;
}

/* Moves what answers may not have to `removed`. */
static size_t remove_addresses(const struct dns_server *s, struct dns_answer *a,
			       struct network_address *removed)
{
	size_t kept = 0, gone = 0;

	for (size_t i = 0; i < a->address_count; i++) {
		if (dns_names_may_point_to(s->names, &a->addresses[i]))
			a->addresses[kept++] = a->addresses[i];
		else
			removed[gone++] = a->addresses[i];
	}
	a->address_count = kept;
	return gone;
}

static int learn(struct request *rq, const struct dns_answer *a, unsigned int *displaced)
{
	const struct dns_verdict *v = &rq->verdict;
	struct network_name_slot slots[NETWORK_NAME_SLOTS];
	uint32_t life = a->ttl < DNS_TTL_MIN ? DNS_TTL_MIN : a->ttl;
	struct err e;
	int r = 0;

	*displaced = v->cut;
	if (v->range_count == 0)
		return 0;
	for (size_t i = 0; i < v->range_count; i++)
		slots[i] = (struct network_name_slot){
			.lo = v->ranges[i].lo,
			.hi = v->ranges[i].hi,
			.rule = v->ranges[i].rule,
			.expires = dns_now() + life + DNS_TTL_GRACE,
		};
	for (size_t i = 0; r == 0 && i < a->address_count; i++) {
		unsigned int lost = 0;

		r = dns_map_learn(rq->server->map, &a->addresses[i], slots,
				  v->range_count, &lost, &e);
		*displaced += lost;
	}
	return r;
}

static void give(struct request *rq, struct dns_answer *a)
{
	struct network_address removed[DNS_ADDRESSES_MAX];
	struct dns_event x = { .answer = a, .removed = removed };
	struct dns_server *s = rq->server;

	if (chain_is_blocked(rq, a)) {
		refuse(s, &rq->client, &rq->query, &rq->verdict, DNS_NXDOMAIN,
		       "an alias of a blocked name");
		return;
	}
	if (a->ttl > DNS_TTL_MAX)
		a->ttl = DNS_TTL_MAX;
	x.removed_count = remove_addresses(s, a, removed);
	if (x.removed_count && a->address_count == 0) {
		x.verdict = "deny";
		x.answer = NULL;
		rq->verdict.rule = NETWORK_RULE_RESERVED;
		tell(s, &rq->query, &rq->verdict, DNS_NOERROR,
		     "points to addresses that are denied", x);
		answer(s, &rq->client, &rq->query, DNS_NOERROR, NULL);
		return;
	}
	if (learn(rq, a, &x.displaced) < 0) {
		x.verdict = "error";
		x.answer = NULL;
		tell(s, &rq->query, &rq->verdict, DNS_SERVFAIL,
		     "the map of names cannot be written", x);
		answer(s, &rq->client, &rq->query, DNS_SERVFAIL, NULL);
		return;
	}
	tell(s, &rq->query, &rq->verdict, a->rcode, NULL, x);
	answer(s, &rq->client, &rq->query, a->rcode, a);
}

static void on_done(void *arg, enum dns_found found, const struct dns_answer *a)
{
	_free_ struct request *rq = arg;
	struct dns_answer copy;

	if (found == DNS_FOUND) {
		copy = *a;
		give(rq, &copy);
		return;
	}
	tell(rq->server, &rq->query, &rq->verdict, DNS_SERVFAIL,
	     found == DNS_BAD ? "the answer is broken" : "no name server answers",
	     (struct dns_event){ .verdict = "error" });
	answer(rq->server, &rq->client, &rq->query, DNS_SERVFAIL, NULL);
}

/* --- what is asked --- */

static bool take_token(struct dns_server *s)
{
	uint64_t now = dns_now_ms(), most = (uint64_t)DNS_BURST * 1000;

	s->tokens += (now - s->filled_ms) * DNS_PER_SECOND;
	s->filled_ms = now;
	if (s->tokens > most)
		s->tokens = most;
	if (s->tokens < 1000)
		return false;
	s->tokens -= 1000;
	return true;
}

static void ask(struct dns_server *s, const struct dns_client *c,
		const struct dns_query *q, const struct dns_verdict *v)
{
	struct request *rq = calloc(1, sizeof(*rq));

	if (!rq) {
		refuse(s, c, q, v, DNS_SERVFAIL, "out of memory");
		return;
	}
	*rq = (struct request){ s, *c, *q, *v };
	if (dns_lookup_start(s->lookups, q->name, q->type, on_done, rq) < 0) {
		free(rq);
		tell(s, q, v, DNS_REFUSED, "too many questions are under way",
		     (struct dns_event){ .verdict = "error" });
		answer(s, c, q, DNS_REFUSED, NULL);
	}
}

/* --- names of the container's own --- */

static bool is_own_name(const struct dns_config *c, const char *name)
{
	return strv_contains(&c->own_names, name);
}

/* They have an IPv4 address and nothing else: no hint leads to another one, or past it. */
static void answer_own(struct dns_server *s, const struct dns_client *c,
		       const struct dns_query *q)
{
	const struct dns_verdict v = { .verdict = NETWORK_ALLOW, .rule = NETWORK_RULE_NONE };
	struct dns_answer a = { .ttl = DNS_TTL_MIN };

	if (q->type == DNS_A &&
	    dns_address_parse(s->config->own_address, &a.addresses[0], NULL) == 0)
		a.address_count = 1;
	tell(s, q, &v, DNS_NOERROR, "a name of the container's own",
	     (struct dns_event){ .answer = &a });
	answer(s, c, q, DNS_NOERROR, &a);
}

/* The verdict for a name, with what holds for names that are not listed. */
static const char *decide(const struct dns_server *s, const struct dns_query *q,
			  struct dns_verdict *v)
{
	*v = (struct dns_verdict){ .verdict = NETWORK_DENY, .rule = NETWORK_RULE_NONE };
	if (!q->name[0])
		return "not a name that rules or answers can have";
	if (q->type == DNS_PTR)
		return "names of addresses are not looked up";
	dns_names_find(s->names, q->name, v);
	if (v->verdict != NETWORK_NONE)
		return v->blocked ? "blocked" : NULL;
	v->verdict = !s->config->allow_unlisted ? NETWORK_DENY :
		     s->config->audit_unlisted	? NETWORK_AUDIT :
						  NETWORK_ALLOW;
	if (v->verdict != NETWORK_DENY)
		v->rule = s->config->unlisted_rule;
	return v->verdict == NETWORK_DENY ? "not listed" : NULL;
}

static void on_question(void *arg, const struct dns_client *c, const uint8_t *data,
			size_t len)
{
	struct dns_server *s = arg;
	struct dns_verdict v;
	struct dns_query q;
	int code = dns_query_parse(data, len, &q);
	const char *reason;

	if (code < 0) {
		dns_clients_drop(s->clients, c);
		return;
	}
	if (!take_token(s)) {
		s->events.limited++;
		answer(s, c, &q, DNS_REFUSED, NULL);
		return;
	}
	if (code > 0) {
		answer(s, c, &q, code, NULL);
		return;
	}
	if (is_own_name(s->config, q.name)) {
		answer_own(s, c, &q);
		return;
	}
	reason = decide(s, &q, &v);
	if (v.verdict == NETWORK_DENY) {
		want_blocked(s, q.name, &v);
		refuse(s, c, &q, &v, DNS_NXDOMAIN, reason);
	} else if (q.type != DNS_A && q.type != DNS_AAAA) {
		/* No records: hints in SVCB and HTTPS, keys for ECH and the like would lead
		 * around what addresses are learned for, and TXT carries anything. */
		refuse(s, c, &q, &v, DNS_NOERROR, "only addresses are looked up");
	} else {
		ask(s, c, &q, &v);
	}
}

size_t dns_server_upstreams(const struct dns_server *s, const void **ret, size_t max)
{
	return dns_lookups_servers(s->lookups, ret, max);
}

/* --- life --- */

static void on_init(struct dns_source *source, uint32_t events)
{
	dns_container_of(source, struct watch, source)->server->done = true;
}

/* What another forwarder of the container has learned, under the numbers of these rules. */
static void learn_told(struct dns_server *s, const struct dns_learned *l)
{
	struct network_name_slot slots[NETWORK_NAME_SLOTS];
	unsigned int lost;
	struct err e;
	size_t n = 0;

	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		if (l->name.slots[i].lo <= l->name.slots[i].hi)
			slots[n++] = l->name.slots[i];
	/* Without it the name has to be asked for again. */
	(void)dns_map_learn(s->map, &l->address, slots, n, &lost, &e);
}

static void on_control(struct dns_source *source, uint32_t events)
{
	struct dns_server *s = dns_container_of(source, struct watch, source)->server;
	struct dns_learned l;
	ssize_t n = recv(source->fd, &l, sizeof(l), MSG_DONTWAIT);

	if (n == sizeof(l)) {
		learn_told(s, &l);
		return;
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	/* It has ended. */
	dns_loop_remove(source);
	if (!s->detached)
		s->done = true;
}

static int watch_add(struct dns_server *s, struct watch *w, int fd,
		     void (*ready)(struct dns_source *, uint32_t), struct err *e)
{
	int r;

	*w = (struct watch){ { fd, ready }, s };
	r = dns_loop_add(s->epoll, &w->source, EPOLLIN);
	return r < 0 ? err_errno(e, r, "cannot watch descriptor %d", fd) : 0;
}

static int make_parts(struct dns_server *s, const struct dns_config *c, struct err *e)
{
	const int udp[] = { c->ipv4 ? DNS_FD_UDP4 : -1, c->ipv6 ? DNS_FD_UDP6 : -1 };
	const int tcp[] = { c->ipv4 ? DNS_FD_TCP4 : -1, c->ipv6 ? DNS_FD_TCP6 : -1 };
	int r = dns_names_make(c, &s->names, e);

	if (r == 0)
		r = dns_map_open(DNS_FD_NAMES, &s->map, e);
	if (r == 0)
		r = dns_lookups_make(s->epoll, &c->upstreams, &s->lookups, e);
	if (r == 0)
		r = dns_clients_make(s->epoll, udp, tcp, on_question, s, &s->clients, e);
	if (r == 0 && c->learn_blocked)
		r = dns_blocked_make(c, s->names, s->lookups, s->map, &s->blocked, e);
	if (r == 0)
		r = watch_add(s, &s->control, DNS_FD_CONTROL, on_control, e);
	if (r == 0)
		r = watch_add(s, &s->init, DNS_FD_INIT, on_init, e);
	return r;
}

int dns_server_make(const struct dns_config *c, struct dns_server **ret, struct err *e)
{
	struct dns_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(e);
	s->config = c;
	s->detached = c->detached;
	s->control.source.fd = s->init.source.fd = -1;
	dns_events_open(&s->events, c->events ? DNS_FD_EVENTS : -1);
	s->tokens = (uint64_t)DNS_BURST * 1000;
	s->filled_ms = dns_now_ms();
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	r = s->epoll < 0 ? err_sys(e, "cannot make an epoll instance") :
			   make_parts(s, c, e);
	if (r < 0) {
		dns_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void dns_server_free(struct dns_server *s)
{
	if (!s)
		return;
	dns_blocked_free(s->blocked);
	dns_clients_free(s->clients);
	dns_lookups_free(s->lookups);
	dns_map_close(s->map);
	dns_names_free(s->names);
	fd_close(&s->epoll);
	free(s);
}

int dns_server_run(struct dns_server *s, struct err *e)
{
	int r = 0;

	while (r == 0 && !s->done) {
		uint64_t now = dns_now_ms(), next = now + IDLE_MS;

		next = dns_clients_tick(s->clients, now, next);
		if (s->blocked)
			next = dns_blocked_tick(s->blocked, now, next);
		next = dns_lookups_tick(s->lookups, now, next);
		dns_map_sweep(s->map);
		r = dns_loop_wait(s->epoll, next > now ? (int)(next - now) : 0, e);
	}
	return r;
}
