/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `purple monitor` shows of the sandboxes of a state root: their states, the figures of their
 * control groups, the counters of their network filters, their budgets in the ledger. Runs with the
 * caller's privileges; what these do not reach is left out. A sandbox may vanish at any moment.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "cmd/purple/budget_text.h"
#include "cmd/purple/monitor.h"
#include "cmd/purple/summary.h"
#include "container/container.h"
#include "container/end.h"
#include "gateway/limit.h"
#include "network/filter.h"

/* A screen does not stand still for a ledger that is locked. */
#define LEDGER_WAIT_MS 200

/* --- rows --- */

static void clear_budgets(struct monitor_row *r)
{
	for (size_t i = 0; i < r->budgets.n; i++)
		free(r->budgets.v[i].name);
	free(r->budgets.v);
	r->budgets.v = NULL;
	r->budgets.n = 0;
}

static void row_clear(struct monitor_row *r)
{
	clear_budgets(r);
	monitor_tail_clear(&r->tail);
	gateway_config_clear(&r->config);
	free(r->id);
	free(r->created);
	free(r->policies);
	free(r->why);
	*r = (struct monitor_row){};
}

void monitor_clear(struct monitor *m)
{
	for (size_t i = 0; i < m->rows.n; i++)
		row_clear(&m->rows.v[i]);
	free(m->rows.v);
	for (size_t i = 0; i < m->ledgers.n; i++) {
		ledger_drop(m->ledgers.v[i].ledger);
		free(m->ledgers.v[i].path);
	}
	free(m->ledgers.v);
	free(m->complaint);
	*m = (struct monitor){};
}

/* Its row, in its place; a new one where there was none. NULL: no memory. */
static struct monitor_row *row_of(struct monitor *m, const char *id)
{
	struct monitor_row *r;
	size_t at = 0;

	while (at < m->rows.n && strcmp(m->rows.v[at].id, id) < 0)
		at++;
	if (at < m->rows.n && streq(m->rows.v[at].id, id))
		return &m->rows.v[at];
	if (!list_add(&m->rows))
		return NULL;
	r = &m->rows.v[at];
	memmove(r + 1, r, (m->rows.n - 1 - at) * sizeof(*r));
	*r = (struct monitor_row){ .id = strdup(id) };
	if (!r->id) {
		memmove(r, r + 1, (m->rows.n - 1 - at) * sizeof(*r));
		m->rows.n--;
		return NULL;
	}
	return r;
}

static void drop_unseen(struct monitor *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->rows.n; i++) {
		if (m->rows.v[i].is_seen)
			m->rows.v[kept++] = m->rows.v[i];
		else
			row_clear(&m->rows.v[i]);
	}
	m->rows.n = kept;
}

/* --- what a row is made of --- */

static void take_figures(struct monitor_row *r, const struct cgroup_stats *s)
{
	uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);

	r->has_memory = s->has_memory;
	r->memory = s->memory_usage > s->memory_inactive_file ?
			    s->memory_usage - s->memory_inactive_file :
			    0;
	r->memory_limit = s->memory_limit;
	r->has_pids = s->has_pids;
	r->pids = s->pids_current;
	r->pids_limit = s->pids_limit;
	/* The first look is the one that the next is measured by. */
	if (s->has_cpu && r->cpu_at && now > r->cpu_at && s->cpu_usage_ns >= r->cpu_ns) {
		r->cpu = (uint64_t)((double)(s->cpu_usage_ns - r->cpu_ns) * 10000 /
				    (double)(now - r->cpu_at));
		r->has_cpu = true;
	}
	r->cpu_ns = s->cpu_usage_ns;
	r->cpu_at = s->has_cpu ? now : 0;
}

static void look_at_group(struct monitor_row *r, const struct container *c)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct err unused;

	r->has_memory = r->has_pids = r->has_cpu = false;
	if (r->status == CONTAINER_STOPPED || !c->st.cgroup ||
	    c->st.cgroup->mode == CGROUP_NONE || cgroup_stats(c->st.cgroup, &s, &unused) < 0)
		r->cpu_at = 0;
	else
		take_figures(r, &s);
}

static bool add_hits(const struct network_filter *f, uint32_t rule, uint64_t *sum)
{
	struct network_hits hits;

	if (network_filter_hits(f, rule, &hits) < 0)
		return false;
	*sum += hits.denied;
	return true;
}

static void look_at_network(struct monitor_row *r, const struct container *c)
{
	static const uint32_t others[] = { NETWORK_RULE_NONE, NETWORK_RULE_RESERVED,
					   NETWORK_RULE_PROTOCOL, NETWORK_RULE_NAME,
					   NETWORK_RULE_INCOMING };
	struct network_filter f = NETWORK_FILTER_EMPTY;
	uint64_t sum = 0;
	bool ok = true;
	struct err unused;

	r->has_network = false;
	if (!c->st.network_filter ||
	    network_filter_open(c->st.network_filter, &f, &unused) < 0) {
		network_filter_clear(&f);
		return;
	}
	for (uint32_t i = 0; ok && i < f.config.rules; i++)
		ok = add_hits(&f, i, &sum);
	for (size_t i = 0; ok && i < ARRAY_SIZE(others); i++)
		ok = add_hits(&f, others[i], &sum);
	network_filter_clear(&f);
	r->has_network = ok;
	r->denied = sum;
}

/* --- the ledger --- */

static void complain(struct monitor *m, const struct err *e)
{
	if (!m->complaint)
		m->complaint = strdup(e->msg);
}

/* The open ledger of this path. One that is not there, or was replaced, is looked for each time. */
static struct ledger *ledger_at(struct monitor *m, const char *path)
{
	struct monitor_ledger *l = NULL;
	struct stat st;
	struct err e;

	for (size_t i = 0; !l && i < m->ledgers.n; i++)
		if (streq(m->ledgers.v[i].path, path))
			l = &m->ledgers.v[i];
	if (!l) {
		l = list_add(&m->ledgers);
		if (!l || !(l->path = strdup(path))) {
			m->ledgers.n -= l ? 1 : 0;
			return NULL;
		}
	}
	if (stat(path, &st) < 0)
		st.st_ino = 0;
	if (l->ledger && l->inode != st.st_ino) {
		ledger_drop(l->ledger);
		l->ledger = NULL;
	}
	l->inode = st.st_ino;
	if (!l->ledger && st.st_ino &&
	    ledger_open(path, LEDGER_ADMIN, LEDGER_WAIT_MS, budget_now(), &l->ledger, &e) <
		    0) {
		l->ledger = NULL;
		complain(m, &e);
	}
	return l->ledger;
}

static int add_usage(const struct ledger_sum *s, void *arg)
{
	struct monitor_row *r = arg;

	r->calls += s->calls;
	r->tokens += s->tokens;
	r->cost += s->cost;
	return 0;
}

static struct ledger_limit limit_of(const struct gateway_config *c,
				    const struct gateway_policy *p)
{
	const char *names[] = {
		[LEDGER_SESSION] = c->session, [LEDGER_POLICY] = p->name, [LEDGER_TEAM] = p->team
	};

	return (struct ledger_limit){ .scope = p->scope,
				      .period = p->period,
				      .name = names[p->scope],
				      .has_tokens = p->max_tokens.set,
				      .has_cost = p->max_cost.set,
				      .tokens = p->max_tokens.value,
				      .cost = p->max_cost.value };
}

static int look_at_budget(struct monitor_row *r, struct ledger *l,
			  const struct ledger_limit *limit, struct err *e)
{
	struct ledger_state s;
	struct monitor_budget *b;
	int code = ledger_look(l, limit, 1, budget_now(), &s, e);

	if (code < 0)
		return code;
	b = list_add(&r->budgets);
	if (!b)
		return err_oom(e);
	*b = (struct monitor_budget){
		.name = limit->scope == LEDGER_SESSION ?
				strdup(r->id) :
				str_printf("%s:%s", ledger_scope_name(limit->scope),
					   limit->name),
		.has_tokens = limit->has_tokens,
		.has_cost = limit->has_cost,
		.tokens = s.tokens,
		.tokens_limit = limit->tokens + s.tokens_added,
		.cost = s.cost,
		.cost_limit = limit->cost + s.cost_added,
		.percent = ledger_percent(limit, &s),
	};
	return b->name ? 0 : err_oom(e);
}

/* "2026-11-22T15:04:05.123456789Z" in milliseconds since 1970; 0 where it is none. */
static int64_t time_ms(const char *text)
{
	struct tm tm = {};

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

static void look_at_ledger(struct monitor *m, struct monitor_row *r)
{
	const struct gateway_config *c = &r->config;
	struct ledger_filter filter = { .container = c->container,
					.since = time_ms(r->created) };
	struct ledger *l;
	struct err e;
	int code;

	clear_budgets(r);
	r->calls = r->tokens = r->cost = 0;
	r->has_llm = gateway_config_is_set(c);
	if (!r->has_llm)
		return;
	l = ledger_at(m, m->ledger ? m->ledger : c->ledger ? c->ledger : LEDGER_FILE);
	if (!l) {
		/* A ledger that cannot be read is not one in which nothing stands. */
		r->has_llm = !m->complaint;
		return;
	}
	code = ledger_usage(l, LEDGER_BY_CONTAINER, &filter, add_usage, r, &e);
	for (size_t i = 0; code == 0 && i < c->policies.n; i++) {
		struct ledger_limit limit = limit_of(c, &c->policies.v[i]);

		if (limit.name && (limit.has_tokens || limit.has_cost))
			code = look_at_budget(r, l, &limit, &e);
	}
	if (code < 0) {
		r->has_llm = false;
		complain(m, &e);
	}
}

/* --- one sandbox --- */

static int join_policies(const struct container *c, char **ret, struct err *e)
{
	_buf_free_ struct buf names = {};

	for (size_t i = 0; i < c->st.policies.n; i++)
		buf_addf(&names, "%s%s", i ? "," : "", c->st.policies.v[i].name);
	free(*ret);
	*ret = strdup(names.s ? names.s : "");
	return *ret && !names.failed ? 0 : err_oom(e);
}

/* Why it ended; where it has not, which budget it stands still for. */
static void look_for_reason(struct monitor_row *r, const struct container *c)
{
	_gateway_limit_clear_ struct gateway_limit limit = {};
	_container_end_clear_ struct container_end end = {};
	_buf_free_ struct buf text = {};
	bool is_known = false, is_met = false;
	struct err unused;

	free(r->why);
	r->why = NULL;
	if (r->status == CONTAINER_STOPPED &&
	    container_end_load(c, &end, &is_known, &unused) == 0 && is_known)
		summary_end(&end, &text);
	else if (gateway_limit_load(c->dirfd, &limit, &is_met, &unused) == 0 && is_met)
		gateway_limit_text(&limit, &text);
	if (text.s && !text.failed)
		r->why = strdup(text.s);
}

/* The same id may be another container's by now. */
static void check_life(struct monitor_row *r, const struct container *c)
{
	const char *created = c->st.created ? c->st.created : "";
	char *id = r->id;

	if (r->created && streq(r->created, created))
		return;
	r->id = NULL;
	row_clear(r);
	r->id = id;
	r->created = strdup(created);
}

static int look_at(struct monitor *m, struct monitor_row *r, const struct container *c,
		   struct err *e)
{
	struct err unused;
	int code;

	check_life(r, c);
	code = container_status(c, &r->status, e);
	if (code == 0)
		code = join_policies(c, &r->policies, e);
	if (code < 0)
		return code;
	r->is_broken = false;
	r->pid = r->status == CONTAINER_STOPPED ? 0 : c->st.pid;
	look_for_reason(r, c);
	look_at_group(r, c);
	look_at_network(r, c);
	if (!r->has_config && r->status != CONTAINER_CREATING)
		r->has_config = gateway_config_load(c->dirfd, &r->config, &unused) == 0 ||
				c->st.gateway_pid == 0;
	look_at_ledger(m, r);
	return monitor_tail_read(&r->tail, c->dirfd, m, e);
}

static bool has_vanished(const char *root, const char *id)
{
	_free_ char *dir = fs_join(root, id);

	return !dir || access(dir, F_OK) < 0;
}

static int look_at_id(struct monitor *m, const char *id, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	struct monitor_row *r;
	struct err why;
	int code;

	code = container_open(m->root, id, false, &c, &why);
	if (code < 0 && has_vanished(m->root, id))
		return 0;
	r = row_of(m, id);
	if (!r)
		return err_oom(e);
	if (code == 0)
		code = look_at(m, r, &c, &why);
	if (code < 0 && has_vanished(m->root, id))
		return 0;
	r->is_seen = true;
	if (code == 0)
		return 0;
	r->is_broken = true;
	free(r->why);
	r->why = strdup(why.msg);
	return r->why ? 0 : err_oom(e);
}

int monitor_look(struct monitor *m, struct err *e)
{
	_strv_free_ struct strv ids = {};
	int r = container_list_ids(m->root, &ids, e);

	free(m->complaint);
	m->complaint = NULL;
	for (size_t i = 0; i < m->rows.n; i++)
		m->rows.v[i].is_seen = false;
	for (size_t i = 0; r == 0 && i < ids.n; i++)
		r = look_at_id(m, ids.v[i], e);
	drop_unseen(m);
	return r;
}
