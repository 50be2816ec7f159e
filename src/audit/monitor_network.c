/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the network filter and the forwarder of names tell the monitor. Runs in purple-monitor:
 * monitor_network_make() as root, the rest as nobody.
 *
 * The kernel's ring and the forwarder's socket never wait for us: who is slow here loses events,
 * which are counted there, and the counts are told in lines of type "lost". Events of connections
 * that hang go to the cutter before they are written.
 */
#include "audit/monitor_parts.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "audit/cutter.h"
#include "audit/protocol.h"
#include "base/clock.h"
#include "base/fd.h"
#include "network/bpf.h"
#include "network/cut.h"

#define RULES_MAX (64u << 20)
#define LINGER_MS 1000 /* for the forwarder's last lines */
#define SUMS_MAX 64    /* rules that are told of at the end */

static const struct audit_rules *rules_of(const struct monitor_network *n,
					  uint32_t generation)
{
	for (size_t i = 0; i < SETS_MAX; i++)
		if (n->rules[i].generation == generation)
			return &n->rules[i];
	return NULL;
}

/* Whatever a policy would deny is also of interest to who asks for denials alone. */
static uint32_t levels_of(bool is_denied)
{
	return is_denied ? AUDIT_NETWORK | AUDIT_SECURITY_EVENTS | AUDIT_ALERT :
			   AUDIT_NETWORK;
}

/* --- the ring --- */

static int on_event(void *arg, void *data, size_t size)
{
	struct monitor *m = arg;
	struct monitor_network *n = &m->network;
	_buf_free_ struct buf line = {};
	struct network_event x;
	struct network_address a;
	struct audit_head head;

	if (size < sizeof(x))
		return 0;
	memcpy(&x, data, sizeof(x));
	if (x.hook == NETWORK_HOOK_OUT && x.protocol == IPPROTO_TCP) {
		/*
		 * Not waited for, and not more than so many, each of which goes through all sockets
		 * of the host: what is still denied a second later comes again.
		 */
		if (x.verdict == NETWORK_DENY && pace_allows(&n->ends, x.time))
			(void)!send(n->cutter, &x, sizeof(x), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (!pace_allows(&n->cuts, x.time)) {
			m->now.limited += x.count;
			return n->batch-- > 0 ? 0 : -EAGAIN;
		}
	}
	memcpy(a.bytes, x.address, sizeof(a.bytes));
	head = monitor_head(m, x.time);
	audit_event_network(&head, &x, rules_of(n, x.generation),
			    audit_names_find(n->names, &a), &line);
	monitor_tell(m, levels_of(true), &line, false);
	return n->batch-- > 0 ? 0 : -EAGAIN;
}

bool monitor_network_read(struct monitor *m)
{
	m->network.batch = BATCH;
	monitor_expect_tick(m);
	return ring_buffer__consume(m->network.ring) != -EAGAIN;
}

/* --- the forwarder --- */

static void write_lookup(struct monitor *m, const struct monitor_forwarder *f,
			 const struct audit_dns *x)
{
	struct monitor_network *n = &m->network;
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	_buf_free_ struct buf line = {};
	struct audit_head head;

	for (size_t i = 0; i < x->answer_count; i++)
		audit_names_add(n->names, &x->answers[i], x->name);
	m->now.dns += x->lost + x->limited;
	if (!pace_allows(streq(x->verdict, "allow") ? &n->lookups : &n->refusals, now)) {
		m->now.dns++;
		return;
	}
	head = monitor_head(m, now);
	audit_event_dns(&head, x, rules_of(n, f->generation), &line);
	monitor_tell(m, levels_of(!streq(x->verdict, "allow")), &line, false);
}

bool monitor_network_read_line(struct monitor *m, size_t i)
{
	struct monitor_forwarder *f = &m->network.forwarders[i];
	char line[AUDIT_DNS_LINE_MAX];
	struct audit_dns x;
	ssize_t n = recv(f->fd, line, sizeof(line), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			fd_close(&f->fd);
		return false;
	}
	monitor_expect_tick(m);
	if ((size_t)n <= sizeof(line) && audit_dns_parse(line, (size_t)n, &x))
		write_lookup(m, f, &x);
	else
		m->now.dns++;
	return true;
}

void monitor_network_read_names(struct monitor *m)
{
	for (size_t i = 0; m->network.is_on && i < FORWARDERS_MAX; i++)
		for (int n = 0; m->network.forwarders[i].fd >= 0 && n < BATCH; n++)
			if (!monitor_network_read_line(m, i))
				break;
}

/* --- counts --- */

static void read_counts(struct monitor *m, struct monitor_counts *c)
{
	uint32_t index = NETWORK_HITS_INDEX(NETWORK_RULE_ALL, c->rules);
	struct network_hits hits;

	if (c->fd < 0 || kbpf_map_lookup(c->fd, &index, &hits) < 0)
		return;
	m->network.denied += hits.denied - c->last.denied;
	m->now.full += hits.lost - c->last.lost;
	m->now.limited += hits.limited - c->last.limited;
	c->last = hits;
}

void monitor_network_count(struct monitor *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(m->network.counts); i++)
		read_counts(m, &m->network.counts[i]);
}

/* --- rules --- */

/* A reload that failed goes back to the rules of before: what they had counted is known. */
static void use_counts(struct monitor *m, int fd, uint32_t generation, uint32_t rules)
{
	struct monitor_network *n = &m->network;
	struct monitor_counts c = { .fd = fd, .generation = generation, .rules = rules };

	read_counts(m, &n->counts[1]);
	if (n->counts[1].fd >= 0 && n->counts[1].generation == generation &&
	    generation < n->counts[0].generation)
		c.last = n->counts[1].last;
	fd_close(&n->counts[1].fd);
	n->counts[1] = n->counts[0];
	n->counts[0] = c;
}

int monitor_use_rules(struct monitor *m, int text_fd, int hits, uint32_t generation,
		      struct err *e)
{
	struct monitor_network *n = &m->network;
	_buf_free_ struct buf line = {};
	_free_ char *text = NULL;
	_close_ int map = hits;
	struct audit_rules rules;
	struct audit_head head;
	size_t len;
	int r = fd_read_all(text_fd, RULES_MAX, &text, &len, e);

	if (r == 0)
		r = audit_rules_parse(text, len, generation, &rules, e);
	if (r < 0)
		return r;
	audit_rules_clear(&n->rules[SETS_MAX - 1]);
	memmove(n->rules + 1, n->rules, (SETS_MAX - 1) * sizeof(n->rules[0]));
	n->rules[0] = rules;
	use_counts(m, take_fd(&map), generation, (uint32_t)rules.rules.n);
	/* Many rules were much more text. */
	free(take_ptr(&text));
#ifdef __GLIBC__
	malloc_trim(0);
#endif
	head = monitor_head_now(m);
	if (n->counts[1].fd < 0)
		audit_event_start(&head, &n->rules[0], &m->record.config, &line);
	else
		audit_event_rules(&head, &n->rules[0], &line);
	monitor_tell(m, 0, &line, false);
	return 0;
}

/* --- forwarders --- */

int monitor_use_forwarder(struct monitor *m, int fd, struct err *e)
{
	for (size_t i = 0; i < FORWARDERS_MAX; i++) {
		if (m->network.forwarders[i].fd >= 0)
			continue;
		m->network.forwarders[i] =
			(struct monitor_forwarder){ fd, m->network.rules[0].generation };
		return 0;
	}
	return err_set(e, ERR_STATE, EBUSY, "too many forwarders");
}

/* --- life --- */

static int keep_quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

int monitor_network_make(struct monitor *m, uint32_t generation, struct err *e)
{
	struct monitor_network *n = &m->network;

	*n = (struct monitor_network){
		.is_on = monitor_fd_is_there(MONITOR_FD_RING),
		.generation = generation,
		.cut_sock = -1,
		.cutter = -1,
		.counts = { { .fd = -1 }, { .fd = -1 } },
		.ends = { .burst = 500, .pause = SECOND / 50 },
		.cuts = { .burst = NETWORK_EVENTS_BURST, .pause = NETWORK_EVENTS_PAUSE },
		.lookups = { .burst = 300, .pause = SECOND / 5 },
		.refusals = { .burst = 300, .pause = SECOND / 10 },
	};
	for (size_t i = 0; i < FORWARDERS_MAX; i++)
		n->forwarders[i].fd = -1;
	libbpf_set_print(keep_quiet);
	if (!n->is_on)
		return 0;
	if (monitor_fd_is_there(MONITOR_FD_DNS))
		n->forwarders[0] = (struct monitor_forwarder){ MONITOR_FD_DNS, generation };
	n->names = audit_names_make();
	if (!n->names)
		return err_oom(e);
	n->cut_sock = network_cut_open(MONITOR_FD_NETNS, e);
	if (n->cut_sock < 0)
		return n->cut_sock;
	n->ring = ring_buffer__new(MONITOR_FD_RING, on_event, m, NULL);
	if (!n->ring)
		return err_sys(e, "cannot read the ring of the network filter");
	return 0;
}

int monitor_network_enter_jail(struct monitor *m, struct err *e)
{
	struct monitor_network *n = &m->network;
	int r = n->is_on ? audit_cutter_start(n->cut_sock, &n->cutter, e) : 0;

	/* Of no use without the capability. */
	fd_close(&n->cut_sock);
	close(MONITOR_FD_NETNS);
	return r;
}

int monitor_network_begin(struct monitor *m, struct err *e)
{
	int r;

	if (!m->network.is_on)
		return 0;
	r = monitor_use_rules(m, MONITOR_FD_RULES, MONITOR_FD_HITS, m->network.generation,
			      e);
	close(MONITOR_FD_RULES);
	return r;
}

/* What is left when the container is gone; the forwarder ends at the same time as we do. */
void monitor_network_drain(struct monitor *m)
{
	struct monitor_forwarder *f = m->network.forwarders;
	uint64_t until = clock_ns(CLOCK_BOOTTIME) + LINGER_MS * 1000000ull;

	if (!m->network.is_on)
		return;
	for (size_t i = 0; i < FORWARDERS_MAX; i++) {
		while (f[i].fd >= 0 && clock_ns(CLOCK_BOOTTIME) < until) {
			struct pollfd p = { .fd = f[i].fd, .events = POLLIN };

			if (!monitor_network_read_line(m, i) && f[i].fd >= 0)
				poll(&p, 1, LINGER_MS / 10);
		}
	}
	/* It has a time of its own: a forwarder that hangs takes nothing from what was denied. */
	until = clock_ns(CLOCK_BOOTTIME) + LINGER_MS * 1000000ull;
	while (!monitor_network_read(m) && clock_ns(CLOCK_BOOTTIME) < until)
		;
}

static uint64_t denied_by(const struct monitor_counts *c, uint32_t rule)
{
	uint32_t index = NETWORK_HITS_INDEX(rule, c->rules);
	struct network_hits hits;

	return kbpf_map_lookup(c->fd, &index, &hits) == 0 ? hits.denied : 0;
}

/* Of the rules that hold now: those of before a reload are in the lines alone. */
void monitor_network_tell_sums(struct monitor *m)
{
	const struct monitor_counts *c = &m->network.counts[0];
	struct audit_sum sums[SUMS_MAX];
	_buf_free_ struct buf line = {};
	struct audit_head head;
	uint32_t all = c->rules + NETWORK_RULES_SPECIAL - 1;
	size_t n = 0;

	if (!m->network.is_on || c->fd < 0)
		return;
	for (uint32_t i = 0; n < SUMS_MAX && i < all; i++) {
		/* The special ones, from NONE down to the one before ALL, stand behind. */
		uint32_t rule = i < c->rules ? i : NETWORK_RULE_NONE - (i - c->rules);
		uint64_t count = denied_by(c, rule);

		if (count)
			sums[n++] = (struct audit_sum){ .rule = rule, .count = count };
	}
	if (!n)
		return;
	head = monitor_head_now(m);
	audit_event_denials(&head, &m->network.rules[0], sums, n, &line);
	monitor_tell(m, AUDIT_NETWORK | AUDIT_SECURITY_EVENTS, &line, true);
}
