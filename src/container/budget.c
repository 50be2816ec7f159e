/* SPDX-License-Identifier: Apache-2.0 */
/* See budget.h. Runs in `purple run`, in the host's namespaces; reads limit.json of the state folder. */
#include "container/budget.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"

int budget_watch_open(struct budget_watch *w, const struct container *c, struct err *e)
{
	_close_ int fd = -1;
	char path[64];

	if (faccessat(c->dirfd, GATEWAY_LIMIT_FILE, F_OK, 0) < 0)
		return 0;
	w->dirfd = dup(c->dirfd);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" GATEWAY_LIMIT_FILE, c->dirfd);
	if (w->dirfd < 0 || fd_cloexec(w->dirfd, true) < 0 || fd < 0 ||
	    inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return err_sys(e, "cannot watch '%s/" GATEWAY_LIMIT_FILE "'", c->dir);
	w->fd = take_fd(&fd);
	return 0;
}

void budget_watch_close(struct budget_watch *w)
{
	fd_close(&w->fd);
	fd_close(&w->dirfd);
	gateway_limit_clear(&w->limit);
	w->is_met = false;
}

static bool is_same(const struct gateway_limit *a, const struct gateway_limit *b)
{
	return streq(a->policy, b->policy) && streq(a->action, b->action) &&
	       streq(a->since, b->since) && !a->failed == !b->failed;
}

bool budget_watch_take(struct budget_watch *w)
{
	struct gateway_limit now = {};
	bool is_met = false, changed;
	char events[4096];
	struct err e;

	while (w->fd >= 0 && read(w->fd, events, sizeof(events)) > 0)
		;
	/* Half of it is there: the other half is another event. */
	if (w->dirfd < 0 || gateway_limit_load(w->dirfd, &now, &is_met, &e) < 0)
		return false;
	changed = is_met != w->is_met || (is_met && !is_same(&now, &w->limit));
	gateway_limit_clear(&w->limit);
	w->limit = now;
	w->is_met = is_met;
	return changed;
}

bool budget_watch_stops(const struct budget_watch *w)
{
	return w->is_met && streq(w->limit.action, "stop") && !w->limit.failed;
}

static void add_way_out(const struct gateway_limit *l, bool ended, struct buf *out)
{
	/* A session's budget goes with the container. */
	if (ended && !strchr(l->budget, ':'))
		buf_adds(out, "; the policy sets it for each run anew");
	else
		buf_addf(out, "; to raise it: purple budget add %s --%s", l->budget,
			 l->cost_limit.set ? "cost SUM" : "tokens N");
}

/* It goes to a terminal, and comes from a process that reads what agents send. */
static void make_plain(struct buf *text)
{
	for (size_t i = 0; i < text->len; i++)
		if (text->s[i] < ' ' || text->s[i] == 0x7f)
			text->s[i] = '?';
}

void budget_watch_text(const struct budget_watch *w, bool ended, struct buf *out)
{
	const struct gateway_limit *l = &w->limit;
	const char *what = "LLM calls are denied";

	if (!w->is_met) {
		buf_adds(out, "purple: there is budget for LLM calls again");
		return;
	}
	if (streq(l->action, "stop"))
		what = "stopped";
	else if (streq(l->action, "freeze"))
		what = "frozen";
	if (l->failed)
		buf_addf(out, "purple: could not be %s (%s): ", what, l->failed);
	else
		buf_addf(out, "purple: %s: ", what);
	gateway_limit_text(l, out);
	add_way_out(l, ended, out);
	make_plain(out);
}
