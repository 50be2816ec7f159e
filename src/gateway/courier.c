/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See courier.h. Runs in purple-alert: courier_make() as root, read_message() in the alerters, which
 * stay root; the rest without privileges.
 *
 * An alerter has its policy's command from root's file, and is told a number for the event, a count
 * and the line: nothing that an agent or this process chose stands on the command line or in the
 * environment, and the line is bytes on standard input.
 */
#include "gateway/courier.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "audit/alert.h"
#include "audit/alerter.h"
#include "audit/event.h"
#include "base/clock.h"
#include "base/fd.h"
#include "gateway/endpoint.h"
#include "gateway/gateway_jail.h"
#include "gateway/loop.h"
#include "gateway/webhook.h"

#define PROVIDER "purple-alert"
#define CONNECT_MS 10000
#define IDLE_MS 20000

/* A command or a webhook of a policy. */
struct channel {
	struct courier *c;
	uint32_t target; /* index of config.alerts */
	bool is_webhook;
	bool is_busy, is_gone;
	struct loop_source alerter; /* of a command */
	struct alert_queue queue;
	struct buf text; /* of the last one */
};

struct courier {
	struct audit_config *config;
	struct loop loop;
	struct loop_source sock;
	struct upstream *upstream;
	struct webhooks webhooks;
	struct channel *channels;
	size_t n;
	bool said_bye, said_died;
	int64_t ends_at; /* 0: there may come more */
	char message[ALERT_MESSAGE_MAX];
};

/* --- failures --- */

static void tell_failure(struct channel *ch, const char *why)
{
	struct alert_failure x;

	memset(&x, 0, sizeof(x));
	x.target = ch->target;
	x.is_webhook = ch->is_webhook;
	snprintf(x.why, sizeof(x.why), "%s", why);
	if (ch->c->sock.fd >= 0)
		(void)!send(ch->c->sock.fd, &x, sizeof(x), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- in the alerter --- */

static int make_environment(const struct audit_config *config,
			    const struct alert_message *m, struct strv *ret)
{
	int r = strv_addf(ret, "PURPLE_EVENT=%s", alert_name((enum alert_type)m->type));

	if (r == 0)
		r = strv_addf(ret, "PURPLE_CONTAINER=%s", config->container);
	if (r == 0)
		r = strv_addf(ret, "PURPLE_POLICY=%s", config->alerts.v[m->target].policy);
	return r < 0 ? r : strv_addf(ret, "PURPLE_COUNT=%" PRIu64, m->count);
}

static bool read_message(const void *arg, const void *message, size_t size,
			 struct alerter_run *ret)
{
	const struct audit_config *config = arg;
	struct alert_message m;
	const char *line;
	size_t len;

	if (!alert_parse(message, size, &m, &line, &len) || m.type >= ALERT_TYPES ||
	    m.target >= config->alerts.n || !config->alerts.v[m.target].command.n || !len)
		return false;
	ret->command = &config->alerts.v[m.target].command;
	buf_add(&ret->input, line, len);
	buf_adds(&ret->input, "\n");
	ret->input.failed |= make_environment(config, &m, &ret->environment) < 0;
	return true;
}

/* --- giving --- */

static void run_command(struct channel *ch, int type, uint64_t count)
{
	const struct alert_message m = { .type = (uint32_t)type,
					 .target = ch->target,
					 .count = count };
	int r = ch->is_gone ? -ESRCH :
			      alert_send(ch->alerter.fd, &m, ch->text.s, ch->text.len);

	ch->is_busy = r == 0;
	if (r < 0)
		tell_failure(ch, strerror(-r));
}

/* Of so many that came as a count only: what is known of them. */
static void make_line(const struct courier *c, const char *type, struct buf *out)
{
	struct audit_head head = { .sequence = 1,
				   .container = c->config->container,
				   .provider = PROVIDER };

	clock_gettime(CLOCK_REALTIME, &head.time);
	audit_event_begin(out, &head, type, NULL);
	audit_event_close(out);
}

static void give(struct channel *ch, uint64_t now, bool all)
{
	const struct audit_alert_config *x = &ch->c->config->alerts.v[ch->target];
	uint64_t count;
	int type = ch->is_busy ? -1 : alert_queue_take(&ch->queue, now, all, &count);
	_buf_free_ struct buf plain = {};
	const struct buf *line;

	if (type < 0)
		return;
	line = &ch->queue.of[type].line;
	if (!line->len) {
		make_line(ch->c, alert_name((enum alert_type)type), &plain);
		if (plain.len)
			plain.len--;
		line = &plain;
	}
	ch->text.len = 0;
	if (!line->failed)
		alert_print(line->s, line->len, x->policy, count, &ch->text);
	if (line->failed || ch->text.failed) {
		buf_free(&ch->text);
		ch->text = (struct buf){};
		tell_failure(ch, "out of memory");
	} else if (ch->is_webhook) {
		ch->is_busy = true;
		webhook_post(&ch->c->webhooks, x->webhook, ch->text.s, ch->text.len, ch);
	} else {
		run_command(ch, type, count);
	}
}

static void posted(void *arg, const char *error)
{
	struct channel *ch = arg;

	ch->is_busy = false;
	if (error)
		tell_failure(ch, error);
}

static void alerter_ready(struct loop_source *s, uint32_t events)
{
	struct channel *ch = loop_container_of(s, struct channel, alerter);
	struct alerter_reply reply;
	char text[128];
	int n;

	while ((n = alerter_hear(s->fd, &reply)) > 0) {
		ch->is_busy = false;
		if (alerter_reply_text(&reply, text, sizeof(text)))
			tell_failure(ch, text);
	}
	if (n == -EAGAIN)
		return;
	n = s->fd;
	loop_remove(&ch->c->loop, s);
	close(n);
	ch->is_gone = true;
	ch->is_busy = false;
	tell_failure(ch, "who runs it has died");
}

/* --- taking --- */

static void add(struct courier *c, const struct alert_message *m, const char *line,
		size_t len)
{
	c->said_died |= m->type == ALERT_MONITOR_DIED;
	for (size_t i = 0; i < c->n; i++)
		if (alert_queue_add(&c->channels[i].queue, m, line, len) < 0)
			tell_failure(&c->channels[i], "out of memory");
}

/* Neither the monitor nor its recorder could say so. */
static void add_death(struct courier *c)
{
	const struct alert_message m = { .type = ALERT_MONITOR_DIED, .count = 1 };
	_buf_free_ struct buf line = {};

	make_line(c, "monitor_died", &line);
	if (!line.failed)
		add(c, &m, line.s, line.len - 1);
}

static void sock_ready(struct loop_source *s, uint32_t events)
{
	struct courier *c = loop_container_of(s, struct courier, sock);
	struct alert_message m;
	const char *line;
	size_t len;
	ssize_t n;

	while ((n = recv(s->fd, c->message, sizeof(c->message), MSG_DONTWAIT)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		if (!alert_parse(c->message, (size_t)n, &m, &line, &len))
			continue;
		if (m.type == ALERT_BYE)
			c->said_bye = true;
		else
			add(c, &m, line, len);
	}
	loop_remove(&c->loop, s);
	if (!c->said_bye && !c->said_died)
		add_death(c);
	c->ends_at = loop_now() + COURIER_END_MS;
}

/* --- life --- */

static bool is_done(const struct courier *c)
{
	if (!c->ends_at || loop_now() >= c->ends_at)
		return c->ends_at;
	for (size_t i = 0; i < c->n; i++)
		if (c->channels[i].is_busy || !alert_queue_is_empty(&c->channels[i].queue))
			return false;
	return true;
}

static int wait_ms(const struct courier *c)
{
	int ms = c->upstream ? upstream_wait_ms(c->upstream) : -1, left;
	uint64_t now = clock_ns(CLOCK_BOOTTIME), due;

	for (size_t i = 0; i < c->n; i++) {
		due = c->channels[i].is_busy ? 0 : alert_queue_due(&c->channels[i].queue);
		if (!due)
			continue;
		left = due > now && !c->ends_at ? (int)((due - now) / 1000000) + 1 : 0;
		ms = ms < 0 || left < ms ? left : ms;
	}
	return c->ends_at && (ms < 0 || ms > 1000) ? 1000 : ms;
}

int courier_run(struct courier *c, struct err *e)
{
	int r = 0;

	while (r == 0 && !is_done(c)) {
		r = loop_wait(&c->loop, wait_ms(c), e);
		if (c->upstream)
			upstream_turn(c->upstream);
		for (size_t i = 0; i < c->n; i++)
			give(&c->channels[i], clock_ns(CLOCK_BOOTTIME), c->ends_at != 0);
	}
	webhooks_drop(&c->webhooks);
	return r;
}

/* --- its start --- */

static struct channel *add_channel(struct courier *c, size_t target, bool is_webhook)
{
	struct channel *ch = &c->channels[c->n++];

	*ch = (struct channel){ .c = c,
				.target = (uint32_t)target,
				.is_webhook = is_webhook,
				.alerter = { .fd = -1, .ready = alerter_ready } };
	alert_queue_init(&ch->queue);
	return ch;
}

static int make_channels(struct courier *c, bool *ret_posts, struct err *e)
{
	const audit_alert_configs *all = &c->config->alerts;
	const struct alerter_setup setup = { .read = read_message, .arg = c->config };
	int r = 0;

	c->channels = calloc(2 * all->n + 1, sizeof(*c->channels));
	if (!c->channels)
		return err_oom(e);
	for (size_t i = 0; r == 0 && i < all->n; i++) {
		if (all->v[i].command.n)
			r = alerter_start(&setup, &add_channel(c, i, false)->alerter.fd, e);
		if (all->v[i].webhook)
			add_channel(c, i, true);
		*ret_posts |= all->v[i].webhook != NULL;
	}
	return r;
}

int courier_make(struct audit_config *config, int sock, struct courier **ret, struct err *e)
{
	const struct upstream_limits limits = { .connect_ms = CONNECT_MS,
						.idle_ms = IDLE_MS };
	struct courier *c = calloc(1, sizeof(*c));
	bool posts = false;
	int r;

	if (!c)
		return err_oom(e);
	c->config = config;
	c->sock = (struct loop_source){ .fd = sock, .ready = sock_ready };
	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
	r = make_channels(c, &posts, e);
	if (r == 0)
		r = loop_make(&c->loop, e);
	if (r == 0 && posts)
		r = upstream_make(&c->loop, &limits, NULL, &c->upstream, e);
	c->webhooks = (struct webhooks){ .upstream = c->upstream, .posted = posted };
	if (r == 0 && loop_add(&c->loop, &c->sock, EPOLLIN) < 0)
		r = err_sys(e, "cannot watch a socket");
	for (size_t i = 0; r == 0 && i < c->n; i++)
		if (c->channels[i].alerter.fd >= 0 &&
		    loop_add(&c->loop, &c->channels[i].alerter, EPOLLIN) < 0)
			r = err_sys(e, "cannot watch a socket");
	if (r == 0)
		*ret = c;
	return r;
}

int courier_enter_jail(struct courier *c, struct err *e)
{
	const audit_alert_configs *all = &c->config->alerts;
	_free_ uint16_t *ports = calloc(all->n + 1, sizeof(*ports));
	struct gateway_jail jail = { .ports = ports };
	struct gateway_endpoint at;

	if (!ports)
		return err_oom(e);
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].webhook && gateway_url_place(all->v[i].webhook, &at) == 0)
			ports[jail.ports_n++] = at.port;
	return gateway_jail_enter(&jail, e);
}
