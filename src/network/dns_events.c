/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_events.h. Runs in purple-dns. Never waits for who reads. */
#include "network/dns_events.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

static void add_time(struct buf *out)
{
	struct timespec t = {};
	struct tm tm = {};
	char text[32];

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(out, "\"%s.%06ldZ\"", text, t.tv_nsec / 1000);
}

static void add_addresses(struct buf *out, const char *key,
			  const struct network_address *a, size_t n)
{
	char text[INET6_ADDRSTRLEN];

	if (n == 0)
		return;
	buf_addf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s\"%s\"", i ? "," : "",
			 dns_address_text(&a[i], text, sizeof(text)));
	buf_adds(out, "]");
}

static void add_chain(struct buf *out, const struct dns_answer *a)
{
	if (a->chain_count == 0)
		return;
	buf_adds(out, ",\"aliases\":[");
	for (size_t i = 0; i < a->chain_count; i++) {
		buf_adds(out, i ? "," : "");
		json_quote(out, a->chain[i]);
	}
	buf_adds(out, "]");
}

static void add_rule(struct buf *out, uint32_t rule)
{
	if (rule == NETWORK_RULE_RESERVED)
		buf_adds(out, ",\"rule\":\"reserved\"");
	else if (rule < NETWORK_RULE_INCOMING)
		buf_addf(out, ",\"rule\":%u", rule);
}

/* Makes the line. */
static void dns_event_format(const struct dns_events *e, const struct dns_event *x,
			     struct buf *out)
{
	char type[16];

	buf_adds(out, "{\"type\":\"dns\",\"time\":");
	add_time(out);
	buf_adds(out, ",\"name\":");
	json_quote(out, x->name);
	buf_addf(out, ",\"query\":\"%s\",\"verdict\":\"%s\"",
		 dns_type_text(x->type, type, sizeof(type)), x->verdict);
	add_rule(out, x->rule);
	buf_addf(out, ",\"rcode\":\"%s\"", dns_rcode_text(x->rcode));
	if (x->reason) {
		buf_adds(out, ",\"reason\":");
		json_quote(out, x->reason);
	}
	if (x->answer) {
		add_chain(out, x->answer);
		add_addresses(out, "answers", x->answer->addresses,
			      x->answer->address_count);
		if (x->answer->address_count)
			buf_addf(out, ",\"ttl\":%u", x->answer->ttl);
	}
	add_addresses(out, "removed", x->removed, x->removed_count);
	if (x->displaced)
		buf_addf(out, ",\"displaced\":%u", x->displaced);
	if (e->limited)
		buf_addf(out, ",\"limited\":%" PRIu64, e->limited);
	if (e->lost)
		buf_addf(out, ",\"lost\":%" PRIu64, e->lost);
	buf_adds(out, "}\n");
}

void dns_events_open(struct dns_events *e, int fd)
{
	*e = (struct dns_events){ .fd = fd };
	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
}

void dns_events_write(struct dns_events *e, const struct dns_event *x)
{
	_buf_free_ struct buf line = {};
	ssize_t n;

	if (e->fd < 0)
		return;
	if (e->torn)
		buf_adds(&line, "\n");
	dns_event_format(e, x, &line);
	n = line.failed ? -1 : write(e->fd, line.s, line.len);
	if (n != (ssize_t)line.len) {
		e->lost++;
		e->torn = e->torn || n > 0;
		return;
	}
	e->torn = false;
	e->lost = 0;
	e->limited = 0;
}
