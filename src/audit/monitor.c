/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See monitor.h. Runs in purple-monitor: monitor_make() as root, the rest as nobody.
 *
 * Theory of operation. The kernel's ring and the forwarder's socket never wait for us: who is slow
 * here loses events, which are counted there, and the counts are told in lines of type "lost". So
 * one loop with poll() does it all, without threads. Events of connections that hang go to the
 * cutter before they are written. After something has happened the counts are looked at a second
 * later, and less often while they go on changing; a container that is quiet costs nothing.
 */
#include "audit/monitor.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "audit/cutter.h"
#include "audit/event.h"
#include "audit/log.h"
#include "audit/monitor_jail.h"
#include "audit/names.h"
#include "audit/pace.h"
#include "audit/protocol.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/jail.h"
#include "network/bpf.h"
#include "network/cut.h"

#define RULES_MAX (64u << 20)
#define SETS_MAX 3 /* of rules: events of older ones may still come */
#define CLIENTS_MAX 4
#define FORWARDERS_MAX 4
#define BATCH 512 /* events of the ring, before others have their turn */
#define SECOND 1000000000ull
#define TICK_MAX (60 * SECOND)
#define SUMS_MAX 64    /* rules that are told of at the end */
#define LINGER_MS 1000 /* for the forwarder's last lines */

/* Counts of one generation of the rules. */
struct counts {
	int fd; /* map of hits; -1: none */
	uint32_t generation, rules;
	struct network_hits last;
};

struct forwarder {
	int fd;
	uint32_t generation;
};

struct monitor {
	const char *id;
	struct audit_log log;
	struct audit_names *names;
	struct ring_buffer *ring;
	int batch;
	int cut_sock, cutter;
	struct audit_rules rules[SETS_MAX]; /* the latest first */
	struct counts counts[2];	    /* likewise */
	struct forwarder forwarders[FORWARDERS_MAX];
	int clients[CLIENTS_MAX];
	uint64_t denied;
	struct audit_lost told, now; /* in lines of before; all */
	struct pace ends, cuts, lookups, refusals;
	uint64_t tick_at, tick_pause; /* 0: nothing to look at */
	bool said_full;
	uint32_t generation;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t = {};

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* --- lines --- */

/* `at`: CLOCK_BOOTTIME */
static struct audit_head head_of(struct monitor *m, uint64_t at)
{
	uint64_t real = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_BOOTTIME) + at;

	return (struct audit_head){
		.time = { .tv_sec = (time_t)(real / SECOND),
			  .tv_nsec = (long)(real % SECOND) },
		.sequence = ++m->log.sequence,
		.container = m->id,
	};
}

static struct audit_head head_now(struct monitor *m)
{
	return head_of(m, now_ns(CLOCK_BOOTTIME));
}

static const struct audit_rules *rules_of(const struct monitor *m, uint32_t generation)
{
	for (size_t i = 0; i < SETS_MAX; i++)
		if (m->rules[i].generation == generation)
			return &m->rules[i];
	return NULL;
}

/* Something was told: what was not is looked at soon. */
static void expect_tick(struct monitor *m)
{
	if (!m->tick_at)
		m->tick_at = now_ns(CLOCK_BOOTTIME) + m->tick_pause;
}

/* --- the ring --- */

static int on_event(void *arg, void *data, size_t size)
{
	struct monitor *m = arg;
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
		if (x.verdict == NETWORK_DENY && pace_allows(&m->ends, x.time))
			(void)!send(m->cutter, &x, sizeof(x), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (!pace_allows(&m->cuts, x.time)) {
			m->now.limited += x.count;
			return m->batch-- > 0 ? 0 : -EAGAIN;
		}
	}
	memcpy(a.bytes, x.address, sizeof(a.bytes));
	head = head_of(m, x.time);
	audit_event_network(&head, &x, rules_of(m, x.generation),
			    audit_names_find(m->names, &a), &line);
	audit_log_write(&m->log, &line, false);
	return m->batch-- > 0 ? 0 : -EAGAIN;
}

/* False: there may be more. */
static bool read_ring(struct monitor *m)
{
	m->batch = BATCH;
	expect_tick(m);
	return ring_buffer__consume(m->ring) != -EAGAIN;
}

/* --- the forwarder --- */

static void write_lookup(struct monitor *m, const struct forwarder *f,
			 const struct audit_dns *x)
{
	uint64_t now = now_ns(CLOCK_BOOTTIME);
	_buf_free_ struct buf line = {};
	struct audit_head head;

	for (size_t i = 0; i < x->answer_count; i++)
		audit_names_add(m->names, &x->answers[i], x->name);
	m->now.dns += x->lost + x->limited;
	if (!pace_allows(streq(x->verdict, "allow") ? &m->lookups : &m->refusals, now)) {
		m->now.dns++;
		return;
	}
	head = head_of(m, now);
	audit_event_dns(&head, x, rules_of(m, f->generation), &line);
	audit_log_write(&m->log, &line, false);
}

/* False: there is no more now, or never. */
static bool read_line(struct monitor *m, struct forwarder *f)
{
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
	expect_tick(m);
	if ((size_t)n <= sizeof(line) && audit_dns_parse(line, (size_t)n, &x))
		write_lookup(m, f, &x);
	else
		m->now.dns++;
	return true;
}

/* --- counts --- */

static void read_counts(struct monitor *m, struct counts *c)
{
	uint32_t index = NETWORK_HITS_INDEX(NETWORK_RULE_ALL, c->rules);
	struct network_hits hits;

	if (c->fd < 0 || kbpf_map_lookup(c->fd, &index, &hits) < 0)
		return;
	m->denied += hits.denied - c->last.denied;
	m->now.full += hits.lost - c->last.lost;
	m->now.limited += hits.limited - c->last.limited;
	c->last = hits;
}

/* Whether there is something new to say; it is said. The last line of all has the sums. */
static bool tell_lost(struct monitor *m)
{
	struct audit_lost x;
	_buf_free_ struct buf line = {};
	struct audit_head head;

	for (size_t i = 0; i < ARRAY_SIZE(m->counts); i++)
		read_counts(m, &m->counts[i]);
	m->now.log = m->log.lost;
	x = (struct audit_lost){ .full = m->now.full - m->told.full,
				 .limited = m->now.limited - m->told.limited,
				 .dns = m->now.dns - m->told.dns,
				 .log = m->now.log - m->told.log };
	if (!x.full && !x.limited && !x.dns && !x.log)
		return false;
	/* Once more when the file is full, and then at the end. */
	if (m->said_full)
		return true;
	head = head_now(m);
	audit_event_lost(&head, &x, &line);
	m->said_full = m->log.size + line.len >= m->log.max;
	if (audit_log_write(&m->log, &line, x.log > 0))
		m->told = m->now;
	return true;
}

static void tick(struct monitor *m)
{
	m->tick_at = 0;
	if (!tell_lost(m)) {
		m->tick_pause = SECOND;
		return;
	}
	m->tick_pause *= 2;
	if (m->tick_pause > TICK_MAX)
		m->tick_pause = TICK_MAX;
}

/* --- rules --- */

/* A reload that failed goes back to the rules of before: what they had counted is known. */
static void use_counts(struct monitor *m, int fd, uint32_t generation, uint32_t rules)
{
	struct counts c = { .fd = fd, .generation = generation, .rules = rules };

	read_counts(m, &m->counts[1]);
	if (m->counts[1].fd >= 0 && m->counts[1].generation == generation &&
	    generation < m->counts[0].generation)
		c.last = m->counts[1].last;
	fd_close(&m->counts[1].fd);
	m->counts[1] = m->counts[0];
	m->counts[0] = c;
}

/* From here on `hits` is the monitor's. */
static int use_rules(struct monitor *m, int text_fd, int hits, uint32_t generation,
		     struct err *e)
{
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
	audit_rules_clear(&m->rules[SETS_MAX - 1]);
	memmove(m->rules + 1, m->rules, (SETS_MAX - 1) * sizeof(m->rules[0]));
	m->rules[0] = rules;
	use_counts(m, take_fd(&map), generation, (uint32_t)rules.rules.n);
	/* Many rules were much more text. */
	free(take_ptr(&text));
#ifdef __GLIBC__
	malloc_trim(0);
#endif
	head = head_now(m);
	audit_event_rules(&head, m->counts[1].fd < 0 ? "start" : "rules", &m->rules[0],
			  &line);
	audit_log_write(&m->log, &line, false);
	return 0;
}

/* --- requests --- */

static int use_forwarder(struct monitor *m, int fd, struct err *e)
{
	for (size_t i = 0; i < FORWARDERS_MAX; i++) {
		if (m->forwarders[i].fd >= 0)
			continue;
		m->forwarders[i] = (struct forwarder){ fd, m->rules[0].generation };
		return 0;
	}
	return err_set(e, ERR_STATE, EBUSY, "too many forwarders");
}

static int obey(struct monitor *m, const struct monitor_request *rq,
		int fds[MONITOR_REQUEST_FDS], struct err *e)
{
	int r;

	if (rq->type == MONITOR_RULES && fds[0] >= 0 && fds[1] >= 0)
		return use_rules(m, fds[0], take_fd(&fds[1]), rq->generation, e);
	if (rq->type == MONITOR_DNS && fds[0] >= 0 && fds[1] < 0) {
		r = use_forwarder(m, fds[0], e);
		if (r == 0)
			fds[0] = -1;
		return r;
	}
	return err_set(e, ERR_INTERNAL, EPROTO, "an odd request");
}

/* The descriptors beside a message; -1: none. More than expected is none at all. */
static void take_fds(struct msghdr *msg, int fds[MONITOR_REQUEST_FDS])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int all[MONITOR_REQUEST_FDS];
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > MONITOR_REQUEST_FDS)
		return;
	memcpy(all, CMSG_DATA(c), n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		fds[i] = all[i];
}

static void read_client(struct monitor *m, int client)
{
	union {
		char buf[CMSG_SPACE(MONITOR_REQUEST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct monitor_request rq = {};
	struct iovec iov = { .iov_base = &rq, .iov_len = sizeof(rq) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	int fds[MONITOR_REQUEST_FDS] = { -1, -1 };
	struct err e = {};
	ssize_t n = recvmsg(client, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int r;

	if (n <= 0)
		return;
	take_fds(&msg, fds);
	if (n != sizeof(rq) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		rq.type = 0;
	r = obey(m, &rq, fds, &e);
	for (size_t i = 0; i < MONITOR_REQUEST_FDS; i++)
		fd_close(&fds[i]);
	helper_report(client, r < 0 ? &e : NULL);
}

static void accept_client(struct monitor *m)
{
	int fd = accept4(MONITOR_FD_CONTROL, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++)
		if (m->clients[i] < 0)
			m->clients[i] = take_fd(&fd);
	/* Who finds no place sees that at once. */
	fd_close(&fd);
}

/* --- life --- */

static int keep_quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

int monitor_make(const char *id, uint32_t generation, bool has_dns, struct monitor **ret,
		 struct err *e)
{
	struct monitor *m = calloc(1, sizeof(*m));

	if (!m)
		return err_oom(e);
	*m = (struct monitor){
		.id = id,
		.generation = generation,
		.log = { .fd = MONITOR_FD_LOG, .max = AUDIT_LOG_MAX },
		.cut_sock = -1,
		.cutter = -1,
		.counts = { { .fd = -1 }, { .fd = -1 } },
		.ends = { .burst = 500, .pause = SECOND / 50 },
		.cuts = { .burst = NETWORK_EVENTS_BURST, .pause = NETWORK_EVENTS_PAUSE },
		.lookups = { .burst = 300, .pause = SECOND / 5 },
		.refusals = { .burst = 300, .pause = SECOND / 10 },
		.tick_pause = SECOND,
		.names = audit_names_make(),
	};
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		m->clients[i] = -1;
	for (size_t i = 0; i < FORWARDERS_MAX; i++)
		m->forwarders[i].fd = -1;
	if (has_dns)
		m->forwarders[0] = (struct forwarder){ MONITOR_FD_DNS, generation };
	if (!m->names)
		return err_oom(e);
	m->cut_sock = network_cut_open(MONITOR_FD_NETNS, e);
	if (m->cut_sock < 0)
		return m->cut_sock;
	libbpf_set_print(keep_quiet);
	m->ring = ring_buffer__new(MONITOR_FD_RING, on_event, m, NULL);
	if (!m->ring)
		return err_sys(e, "cannot read the ring of the network filter");
	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
	*ret = m;
	return 0;
}

/* Whichever of them there is, of however many rules. */
static int probe_counts(void *arg)
{
	struct network_hits hits;
	uint32_t index = 0;

	return kbpf_map_lookup(MONITOR_FD_HITS, &index, &hits);
}

int monitor_enter_jail(struct monitor *m, struct err *e)
{
	int r = jail_enter_empty_root(e);

	if (r == 0)
		r = jail_drop_bounding(e);
	if (r == 0)
		r = audit_cutter_start(m->cut_sock, &m->cutter, e);
	/* Of no use without the capability. */
	fd_close(&m->cut_sock);
	close(MONITOR_FD_NETNS);
	if (r == 0)
		r = monitor_jail_enter(probe_counts, NULL, e);
	return r < 0 ? r : audit_cutter_wait(m->cutter, e);
}

/* What is waited for: these two, and behind them the forwarders and the clients. */
enum { WAIT_INIT, WAIT_RING, WAIT_CONTROL, WAIT_OTHERS };
#define WAIT_MAX (WAIT_OTHERS + FORWARDERS_MAX + CLIENTS_MAX)

static int wait_for(struct monitor *m, struct pollfd p[WAIT_MAX], struct err *e)
{
	uint64_t now = now_ns(CLOCK_BOOTTIME);
	int left = -1, r;

	p[WAIT_INIT] = (struct pollfd){ .fd = MONITOR_FD_INIT, .events = POLLIN };
	p[WAIT_RING] = (struct pollfd){ .fd = MONITOR_FD_RING, .events = POLLIN };
	p[WAIT_CONTROL] = (struct pollfd){ .fd = MONITOR_FD_CONTROL, .events = POLLIN };
	for (size_t i = 0; i < FORWARDERS_MAX; i++)
		p[WAIT_OTHERS + i] = (struct pollfd){ .fd = m->forwarders[i].fd,
						      .events = POLLIN };
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		p[WAIT_OTHERS + FORWARDERS_MAX + i] = (struct pollfd){ .fd = m->clients[i],
								       .events = POLLIN };
	if (m->tick_at)
		left = m->tick_at > now ? (int)((m->tick_at - now) / 1000000) + 1 : 0;
	r = poll(p, WAIT_MAX, left);
	return r < 0 && errno != EINTR ? err_sys(e, "cannot wait for events") : 0;
}

static void read_all(struct monitor *m, const struct pollfd p[WAIT_MAX])
{
	/* Names first: what was asked for comes before who goes there. */
	for (size_t i = 0; i < FORWARDERS_MAX; i++)
		for (int n = 0; p[WAIT_OTHERS + i].revents && n < BATCH; n++)
			if (!read_line(m, &m->forwarders[i]))
				break;
	if (p[WAIT_RING].revents)
		read_ring(m);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (!p[WAIT_OTHERS + FORWARDERS_MAX + i].revents)
			continue;
		read_client(m, m->clients[i]);
		fd_close(&m->clients[i]);
	}
	if (p[WAIT_CONTROL].revents)
		accept_client(m);
}

/* What is left when the container is gone; the forwarder ends at the same time as we do. */
static void drain(struct monitor *m)
{
	uint64_t until = now_ns(CLOCK_BOOTTIME) + LINGER_MS * 1000000ull;

	for (size_t i = 0; i < FORWARDERS_MAX; i++) {
		while (m->forwarders[i].fd >= 0 && now_ns(CLOCK_BOOTTIME) < until) {
			struct pollfd p = { .fd = m->forwarders[i].fd, .events = POLLIN };

			if (!read_line(m, &m->forwarders[i]) && m->forwarders[i].fd >= 0)
				poll(&p, 1, LINGER_MS / 10);
		}
	}
	/* It has a time of its own: a forwarder that hangs takes nothing from what was denied. */
	until = now_ns(CLOCK_BOOTTIME) + LINGER_MS * 1000000ull;
	while (!read_ring(m) && now_ns(CLOCK_BOOTTIME) < until)
		;
}

static uint64_t denied_by(const struct counts *c, uint32_t rule)
{
	uint32_t index = NETWORK_HITS_INDEX(rule, c->rules);
	struct network_hits hits;

	return kbpf_map_lookup(c->fd, &index, &hits) == 0 ? hits.denied : 0;
}

/* Of the rules that hold now: those of before a reload are in the lines alone. */
static void write_sums(struct monitor *m)
{
	const struct counts *c = &m->counts[0];
	struct audit_sum sums[SUMS_MAX];
	_buf_free_ struct buf line = {};
	struct audit_head head;
	size_t n = 0;

	for (uint32_t i = 0;
	     c->fd >= 0 && n < SUMS_MAX && i < c->rules + NETWORK_RULES_SPECIAL - 1; i++) {
		/* The special ones, from NONE down to the one before ALL, stand behind. */
		uint32_t rule = i < c->rules ? i : NETWORK_RULE_NONE - (i - c->rules);
		uint64_t count = denied_by(c, rule);

		if (count)
			sums[n++] = (struct audit_sum){ .rule = rule, .count = count };
	}
	if (!n)
		return;
	head = head_now(m);
	audit_event_denials(&head, &m->rules[0], sums, n, &line);
	audit_log_write(&m->log, &line, true);
}

static void write_end(struct monitor *m)
{
	_buf_free_ struct buf line = {};
	struct audit_head head;

	write_sums(m);
	tell_lost(m);
	m->now.log = m->log.lost;
	head = head_now(m);
	audit_event_end(&head, m->denied, &m->now, &line);
	audit_log_write(&m->log, &line, true);
}

int monitor_run(struct monitor *m, struct err *e)
{
	struct pollfd p[WAIT_MAX] = {};
	int r = use_rules(m, MONITOR_FD_RULES, MONITOR_FD_HITS, m->generation, e);

	close(MONITOR_FD_RULES);
	while (r == 0 && !p[WAIT_INIT].revents) {
		r = wait_for(m, p, e);
		if (r < 0)
			break;
		read_all(m, p);
		if (m->tick_at && m->tick_at <= now_ns(CLOCK_BOOTTIME))
			tick(m);
	}
	if (r == 0) {
		drain(m);
		write_end(m);
	}
	return r;
}
