/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See alert.h. gateway_alert_start() runs in purple-gateway as root, gateway_alert_tell() without
 * privileges, the rest in the alerter. What that is told are names of policies, and numbers.
 */
#include "gateway/alert.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "audit/alerter.h"
#include "budget/money.h"

#define PROVIDER "purple-alerter"
#define PERCENT_MAX 100
#define LIMITED_TOKENS 1u
#define LIMITED_COST 2u

bool gateway_alert_event(const struct gateway_config *c, const struct gateway_alert *m,
			 struct gateway_event *ret)
{
	if (m->policy >= c->policies.n || m->percent > PERCENT_MAX ||
	    (m->type != GATEWAY_BUDGET_ALERT && m->type != GATEWAY_BUDGET_EXCEEDED &&
	     m->type != GATEWAY_BUDGET_LIFTED))
		return false;
	*ret = (struct gateway_event){
		.type = (enum gateway_event_type)m->type,
		.policy = (int)m->policy,
		.percent = m->percent,
		.has_tokens = m->limited & LIMITED_TOKENS,
		.has_cost_limit = m->limited & LIMITED_COST,
		.tokens = m->tokens,
		.tokens_limit = m->tokens_limit,
		.cost = m->cost,
		.cost_limit = m->cost_limit,
		.action = c->policies.v[m->policy].on_exceeded,
	};
	return true;
}

/* 0 or -ENOMEM. */
static int make_environment(const struct gateway_config *c, const struct gateway_event *x,
			    struct strv *ret)
{
	const struct gateway_policy *p = &c->policies.v[x->policy];
	_buf_free_ struct buf budget = {};
	int r;

	gateway_budget_name(c, p, &budget);
	if (budget.failed)
		return -ENOMEM;
	r = strv_addf(ret, "PURPLE_EVENT=%s", gateway_event_name(x->type));
	if (r == 0)
		r = strv_addf(ret, "PURPLE_CONTAINER=%s", c->container ? c->container : "");
	if (r == 0)
		r = strv_addf(ret, "PURPLE_POLICY=%s", p->name);
	if (r == 0)
		r = strv_addf(ret, "PURPLE_BUDGET=%s", budget.s ? budget.s : "");
	if (r == 0 && x->type == GATEWAY_BUDGET_ALERT)
		r = strv_addf(ret, "PURPLE_PERCENT=%" PRIu32, x->percent);
	if (r == 0 && x->type == GATEWAY_BUDGET_EXCEEDED)
		r = strv_addf(ret, "PURPLE_ACTION=%s", gateway_exceeded_name(x->action));
	if (r == 0 && x->has_tokens)
		r = strv_addf(ret, "PURPLE_TOKENS=%" PRId64, x->tokens);
	if (r == 0 && x->has_tokens)
		r = strv_addf(ret, "PURPLE_TOKENS_LIMIT=%" PRId64, x->tokens_limit);
	if (r == 0 && x->has_cost_limit)
		r = strv_addf(ret, "PURPLE_COST=%s", money_text(x->cost).s);
	if (r == 0 && x->has_cost_limit)
		r = strv_addf(ret, "PURPLE_COST_LIMIT=%s", money_text(x->cost_limit).s);
	return r;
}

static bool read_message(const void *arg, const void *message, size_t len,
			 struct alerter_run *ret)
{
	static uint64_t sequence;
	const struct gateway_config *c = arg;
	struct gateway_alert m;
	struct gateway_event x;
	struct timespec now = {};

	if (len != sizeof(m))
		return false;
	memcpy(&m, message, sizeof(m));
	if (!gateway_alert_event(c, &m, &x))
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	gateway_event_print(c, &x, PROVIDER, ++sequence, now, &ret->input);
	ret->command = &c->alert_command;
	ret->input.failed |= make_environment(c, &x, &ret->environment) < 0;
	return true;
}

int gateway_alert_start(const struct gateway_config *c, int *ret_fd, struct err *e)
{
	return alerter_start(&(struct alerter_setup){ .read = read_message, .arg = c },
			     ret_fd, e);
}

int gateway_alert_tell(int fd, const struct gateway_event *x)
{
	const struct gateway_alert m = {
		.type = x->type,
		.policy = (uint32_t)x->policy,
		.percent = x->percent,
		.limited = (x->has_tokens ? LIMITED_TOKENS : 0) |
			   (x->has_cost_limit ? LIMITED_COST : 0),
		.tokens = x->tokens,
		.tokens_limit = x->tokens_limit,
		.cost = x->cost,
		.cost_limit = x->cost_limit,
	};

	return alerter_tell(fd, &m, sizeof(m));
}
