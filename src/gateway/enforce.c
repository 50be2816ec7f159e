/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See enforce.h. Runs in purple-gateway's loop, without privileges: the warden and the alerter act.
 *
 * A budget that is spent is refused by the ledger whatever happens here; what is done to the
 * container comes on top. So everything here may fail without a call passing, and what failed is
 * told as an event and in limit.json.
 */
#include "gateway/enforce.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "audit/alerter.h"
#include "audit/warden.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "gateway/alert.h"
#include "gateway/limit.h"

/* How often the ledger is asked whether there is budget again. A call asks it anyway. */
#define LOOK_FROZEN_MS 1000
#define LOOK_DENIED_MS 5000
/* Alerts that wait for their turn. */
#define POSTS_MAX 64
#define WARDEN_PROVIDER "purple-warden"

struct met {
	bool is_met;
	char since[32];
	struct gateway_event event; /* without texts */
	char *failed;
};

struct enforce {
	struct enforce_setup s;
	struct gateway_events events;
	int warden, alerter; /* -1: there is none, or it died */
	int epoll;
	struct met *met; /* of each policy */
	bool is_frozen, is_stopping;
	int64_t look_at;
	LIST_OF(char *) posts;
	uint64_t posted; /* sequence of what went to the webhook */
};

/* --- what failed --- */

static void tell_failure(struct enforce *f, const char *what, const char *why)
{
	const struct gateway_event x = {
		.type = GATEWAY_ACTION_FAILED, .policy = -1, .failed = what, .error = why
	};

	gateway_events_write(&f->events, &x);
}

/* --- limit.json --- */

/* The one that means most for the container. */
static const struct met *strictest(const struct enforce *f, size_t *ret_policy)
{
	static const int rank[] = {
		[GATEWAY_DENY] = 1, [GATEWAY_FREEZE] = 2, [GATEWAY_STOP] = 3
	};
	const struct met *best = NULL;

	for (size_t i = 0; i < f->s.config->policies.n; i++) {
		const struct met *m = &f->met[i];

		if (!m->is_met ||
		    (best && rank[m->event.action] <= rank[best->event.action]))
			continue;
		best = m;
		*ret_policy = i;
	}
	return best;
}

static void note_limit(struct enforce *f)
{
	const struct gateway_policy *p;
	_buf_free_ struct buf budget = {};
	size_t policy = 0;
	const struct met *m = strictest(f, &policy);
	struct err e = {};
	int r;

	if (f->s.limit_fd < 0)
		return;
	if (!m) {
		r = gateway_limit_write(f->s.limit_fd, NULL, &e);
	} else {
		p = &f->s.config->policies.v[policy];
		gateway_budget_name(f->s.config, p, &budget);
		const struct gateway_limit l = {
			.policy = p->name,
			.file = p->file,
			.line = p->budget_line,
			.budget = budget.s ? budget.s : (char[]){ "" },
			.action = (char *)gateway_exceeded_name(m->event.action),
			.since = (char *)m->since,
			.tokens = { m->event.has_tokens, m->event.tokens },
			.tokens_limit = { m->event.has_tokens, m->event.tokens_limit },
			.cost = { m->event.has_cost_limit, m->event.cost },
			.cost_limit = { m->event.has_cost_limit, m->event.cost_limit },
			.failed = m->failed,
		};
		r = gateway_limit_write(f->s.limit_fd, &l, &e);
	}
	if (r < 0)
		tell_failure(f, "note", e.msg);
}

/* --- alerts --- */

static void queue_post(struct enforce *f, const struct gateway_event *x)
{
	_buf_free_ struct buf text = {};
	struct timespec now = {};
	char **slot;

	if (!f->s.post || !f->s.config->alert_webhook)
		return;
	if (f->posts.n >= POSTS_MAX) {
		tell_failure(f, "webhook", "too many alerts wait for it");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gateway_event_print(f->s.config, x, GATEWAY_PROVIDER, ++f->posted, now, &text);
	slot = text.failed ? NULL : list_add(&f->posts);
	if (!slot)
		tell_failure(f, "webhook", "out of memory");
	else
		*slot = take_ptr(&text.s);
}

static void alert(struct enforce *f, const struct gateway_event *x)
{
	int r;

	if (f->s.config->alert_command.n) {
		r = f->alerter < 0 ? -ESRCH : gateway_alert_tell(f->alerter, x);
		if (r < 0)
			tell_failure(f, "alert", strerror(-r));
	}
	queue_post(f, x);
}

static void send_posts(struct enforce *f)
{
	for (size_t i = 0; i < f->posts.n; i++) {
		f->s.post(f->posts.v[i], strlen(f->posts.v[i]), f->s.arg);
		free(f->posts.v[i]);
	}
	free(f->posts.v);
	f->posts.v = NULL;
	f->posts.n = 0;
}

void enforce_posted(struct enforce *f, const char *error)
{
	if (error)
		tell_failure(f, "webhook", error);
}

/* --- what is done --- */

/* Also in answer to what the warden says: `command` could not be done. */
static void note_failure(struct enforce *f, uint32_t command, int error)
{
	const enum gateway_exceeded action = command == WARDEN_STOP ? GATEWAY_STOP :
								      GATEWAY_FREEZE;
	const char *why = error == EOPNOTSUPP ?
				  "the container has no cgroup that can be frozen" :
				  strerror(error);

	if (command == WARDEN_FREEZE)
		f->is_frozen = false;
	tell_failure(f,
		     command == WARDEN_STOP   ? "stop" :
		     command == WARDEN_FREEZE ? "freeze" :
						"thaw",
		     why);
	if (command == WARDEN_THAW)
		return;
	for (size_t i = 0; i < f->s.config->policies.n; i++) {
		if (!f->met[i].is_met || f->met[i].event.action != action)
			continue;
		free(f->met[i].failed);
		f->met[i].failed = strdup(why);
	}
	note_limit(f);
}

static void command(struct enforce *f, enum warden_command c)
{
	int r = f->warden < 0 ? -ESRCH : warden_tell(f->warden, c, WARDEN_FOR_OTHERS);

	if (r < 0)
		note_failure(f, c, -r);
}

static void act(struct enforce *f, enum gateway_exceeded action)
{
	if (action == GATEWAY_STOP && !f->is_stopping) {
		f->is_stopping = true;
		command(f, WARDEN_STOP);
	} else if (action == GATEWAY_FREEZE && !f->is_stopping) {
		/* Again, where somebody has thawed it meanwhile. */
		f->is_frozen = true;
		command(f, WARDEN_FREEZE);
	}
}

static void look_later(struct enforce *f)
{
	f->look_at = clock_ms(CLOCK_BOOTTIME) +
		     (f->is_frozen ? LOOK_FROZEN_MS : LOOK_DENIED_MS);
}

static void exceed(struct enforce *f, const struct gateway_event *x)
{
	struct met *m = &f->met[x->policy];
	time_t now = time(NULL);
	struct tm tm = {};

	if (!m->is_met) {
		*m = (struct met){ .is_met = true, .event = *x };
		gmtime_r(&now, &tm);
		strftime(m->since, sizeof(m->since), "%Y-%m-%dT%H:%M:%SZ", &tm);
		gateway_events_write(&f->events, x);
		alert(f, x);
		/* Before anything is done: who sees the container's end finds the reason. */
		note_limit(f);
	}
	act(f, x->action);
	look_later(f);
}

void enforce_event(struct enforce *f, const struct gateway_event *x)
{
	const struct gateway_config *c = f->s.config;
	bool has_policy = x->policy >= 0 && (size_t)x->policy < c->policies.n;
	struct gateway_event copy = *x;

	if (x->type == GATEWAY_BUDGET_EXCEEDED && has_policy) {
		/* enforcement: audit does nothing but tell. */
		if (c->policies.v[x->policy].is_audit)
			copy.action = GATEWAY_DENY;
		exceed(f, &copy);
		return;
	}
	gateway_events_write(&f->events, x);
	if (x->type == GATEWAY_BUDGET_ALERT && has_policy)
		alert(f, x);
}

void enforce_again(struct enforce *f, size_t policy)
{
	if (policy < f->s.config->policies.n && f->met[policy].is_met)
		act(f, f->met[policy].event.action);
}

/* --- and undone --- */

static void lift(struct enforce *f, size_t policy)
{
	struct met *m = &f->met[policy];
	struct gateway_event x = m->event;

	x.type = GATEWAY_BUDGET_LIFTED;
	free(m->failed);
	*m = (struct met){};
	gateway_events_write(&f->events, &x);
}

static bool is_any_frozen(const struct enforce *f)
{
	for (size_t i = 0; i < f->s.config->policies.n; i++)
		if (f->met[i].is_met && f->met[i].event.action == GATEWAY_FREEZE)
			return true;
	return false;
}

static bool is_any_met(const struct enforce *f)
{
	for (size_t i = 0; i < f->s.config->policies.n; i++)
		if (f->met[i].is_met)
			return true;
	return false;
}

static void look(struct enforce *f)
{
	bool lifted = false;

	for (size_t i = 0; i < f->s.config->policies.n; i++) {
		if (!f->met[i].is_met || !f->s.has_budget || !f->s.has_budget(i, f->s.arg))
			continue;
		lift(f, i);
		lifted = true;
	}
	look_later(f);
	if (!lifted)
		return;
	note_limit(f);
	if (f->is_frozen && !is_any_frozen(f)) {
		f->is_frozen = false;
		command(f, WARDEN_THAW);
		if (f->s.on_thaw)
			f->s.on_thaw(f->s.arg);
	}
}

void enforce_look(struct enforce *f)
{
	if (!f->is_stopping && is_any_met(f))
		look(f);
}

/* --- the loop --- */

static void read_warden(struct enforce *f)
{
	struct warden_reply reply;
	ssize_t n;

	while (f->warden >= 0) {
		n = recv(f->warden, &reply, sizeof(reply), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(reply) && reply.error)
			note_failure(f, reply.command, -reply.error);
		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		fd_close(&f->warden);
	}
}

static void read_alerter(struct enforce *f)
{
	struct alerter_reply reply;
	char text[128];
	int n = -EAGAIN;

	while (f->alerter >= 0 && (n = alerter_hear(f->alerter, &reply)) > 0)
		if (alerter_reply_text(&reply, text, sizeof(text)))
			tell_failure(f, "alert", text);
	if (n == 0)
		fd_close(&f->alerter);
}

int enforce_fd(const struct enforce *f)
{
	return f->epoll;
}

int enforce_wait_ms(const struct enforce *f)
{
	int64_t left;

	if (f->posts.n)
		return 0;
	if (f->is_stopping || !is_any_met(f))
		return -1;
	left = f->look_at - clock_ms(CLOCK_BOOTTIME);
	return left > 0 ? (int)left : 0;
}

void enforce_tick(struct enforce *f)
{
	read_warden(f);
	read_alerter(f);
	send_posts(f);
	if (!f->is_stopping && is_any_met(f) && clock_ms(CLOCK_BOOTTIME) >= f->look_at)
		look(f);
}

bool enforce_is_frozen(const struct enforce *f)
{
	return f->is_frozen;
}

/* --- life --- */

static int watch(const struct enforce *f, int fd, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_sys(e, "cannot watch a socket");
	return 0;
}

/* Runs in the warden. */
static void tell_of_death(int events_fd, bool is_frozen, const void *arg)
{
	const struct enforce_setup *s = arg;
	const struct gateway_event x = {
		.type = GATEWAY_DIED,
		.policy = -1,
		.is_frozen = is_frozen,
		.error = is_frozen ?
				 "the gateway died: the container stays frozen, and cannot call "
				 "an LLM any more (purple-runtime resume thaws it)" :
				 "the gateway died: the container cannot call an LLM any more",
	};
	_buf_free_ struct buf line = {};
	struct timespec now = {};

	clock_gettime(CLOCK_REALTIME, &now);
	gateway_event_print(s->config, &x, WARDEN_PROVIDER, 1, now, &line);
	if (events_fd >= 0 && !line.failed)
		(void)!write(events_fd, line.s, line.len);
	(void)!gateway_events_copy(s->copy_fd, GATEWAY_DIED, &line);
}

static int start(struct enforce *f, struct err *e)
{
	struct warden_setup w = WARDEN_SETUP_EMPTY;
	int r = 0;

	w.init_fd = f->s.init_fd;
	w.kill_fd = f->s.kill_fd;
	w.freezer_fd = f->s.freezer_fd;
	w.on_death = tell_of_death;
	w.death_fd = f->s.events_fd;
	w.copy_fd = f->s.copy_fd;
	w.arg = &f->s;

	f->met = calloc(f->s.config->policies.n + 1, sizeof(*f->met));
	if (!f->met)
		return err_oom(e);
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0)
		return err_sys(e, "cannot make an epoll descriptor");
	/* Called by hand there is no container to be stopped. */
	if (f->s.init_fd >= 0)
		r = warden_start(&w, &f->warden, e);
	if (r == 0 && f->s.config->alert_command.n)
		r = gateway_alert_start(f->s.config, &f->alerter, e);
	if (r == 0 && f->alerter >= 0)
		r = watch(f, f->alerter, e);
	return r;
}

static void enforce_free(struct enforce *f)
{
	if (!f)
		return;
	for (size_t i = 0; f->met && i < f->s.config->policies.n; i++)
		free(f->met[i].failed);
	free(f->met);
	for (size_t i = 0; i < f->posts.n; i++)
		free(f->posts.v[i]);
	free(f->posts.v);
	fd_close(&f->warden);
	fd_close(&f->alerter);
	fd_close(&f->epoll);
	free(f);
}

int enforce_start(const struct enforce_setup *s, struct enforce **ret, struct err *e)
{
	struct enforce *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_oom(e);
	*f = (struct enforce){ .s = *s, .warden = -1, .alerter = -1, .epoll = -1 };
	gateway_events_init(&f->events, s->config, s->events_fd, s->copy_fd);
	r = start(f, e);
	if (r < 0)
		enforce_free(f);
	else
		*ret = f;
	return r;
}

int enforce_wait(struct enforce *f, struct err *e)
{
	int r;

	if (f->warden < 0)
		return 0;
	r = warden_wait(f->warden, e);
	return r < 0 ? r : watch(f, f->warden, e);
}

void enforce_end(struct enforce *f, uint64_t calls, uint64_t denied,
		 const struct gateway_spent *spent)
{
	const struct gateway_event x = { .type = GATEWAY_STOPPED,
					 .policy = -1,
					 .calls = calls,
					 .denied = denied,
					 .spent = spent };

	if (!f)
		return;
	enforce_tick(f);
	gateway_events_write(&f->events, &x);
	if (f->warden >= 0)
		(void)!warden_tell(f->warden, WARDEN_BYE, WARDEN_FOR_OTHERS);
	enforce_free(f);
}
