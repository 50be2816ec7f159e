/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter. Theory of operation.
 *
 * A call passes when every policy of the container allows it: its provider and model, its place in
 * the minute (meter_rates.c), and its budget. For the budget it is reserved in the ledger with the
 * most that it can take, before a byte goes to the provider:
 *
 *   input    A token has one byte at least, so the body's bytes are the bound; pictures and what
 *            the provider adds by itself count besides (request.h). Where the provider adds more
 *            than can be seen, it is all that the model can read.
 *   output   What the request says at most, lowered to what is left: the request goes out with that
 *            maximum in it, for output is not always seen while it is generated (thoughts). Less
 *            than METER_USEFUL_MAX is refused. A request that has no maximum gets the model's.
 *   price    The dearest that any of these tokens can be: cache writes where the request may cause
 *            them, the upper tiers, the dearest hour of the next day.
 *
 * So charged + reserved never passes a limit, as long as the provider keeps to the maximum that it
 * was given and counts no more tokens than bytes. One that does not is seen while the answer streams
 * (meter_progress()): the reservation grows, or the stream is cut. Two things are bounded by
 * experience alone: what a provider reads in the searches of its own tools, and how many of those it
 * makes (METER_SEARCHES_MAX); if it is more, that is charged, and then there is nothing left.
 *
 * Reservations must not starve others. A call takes half of what is left at most, as long as that
 * is plenty (meter_budget.c); at its end all that it did not use is given back. A call for which
 * there is too little only because others hold it is told to come again in seconds; one for which
 * there is too little however they end is told that the budget is spent. The budget counts as spent,
 * with all that follows for the container, when not even what the call probably takes is left; a
 * call whose bound alone does not fit is refused, and nothing else.
 *
 * Rates are of one container: each gateway counts for itself, from zero when it starts. Budgets of
 * scope policy and team are shared by all gateways, in the ledger.
 *
 * At its end a call is charged by the provider's own figures; without them by an estimate that is
 * never zero once something was generated, and never more than was reserved (meter_end.c). What the
 * ledger does not take then is kept and tried again, and until it is written no call passes: what is
 * open is still reserved in full. For the same reason the end of a call can wait for the next
 * reservation and be written with it (`defers`): to reserve and to charge is one transaction then.
 * Calls that ask together are one transaction as well (meter_admit_all()): each is decided beside those
 * before it, and none is let pass before the commit. When that fails, all of them are refused.
 *
 * A policy with `enforcement: audit` refuses nothing: what it would have refused is told.
 */
#include "gateway/meter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "gateway/endpoint.h"
#include "gateway/meter_names.h"
#include "gateway/meter_parts.h"

#define USUAL_OUT 512 /* tokens of an answer, before any was seen */
#define USUAL_RATIO 400
#define RETRY_MS 1000
#define DAY_MS INT64_C(86400000)

/* --- making --- */

static void init_policies(struct meter *m)
{
	for (size_t i = 0; i < m->config->policies.n; i++) {
		const struct gateway_policy *p = &m->config->policies.v[i];

		m->policies[i].rate.requests_limit = p->requests_per_minute;
		m->policies[i].rate.tokens_limit = p->tokens_per_minute;
		m->logs_tokens |= p->log_tokens;
		m->logs_costs |= p->log_costs;
		if (!m->name)
			m->name = p->name;
		if (!m->team && p->scope == LEDGER_TEAM)
			m->team = p->team;
	}
}

int meter_new(const struct meter_setup *setup, struct meter **ret, struct err *e)
{
	_meter_free_ struct meter *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_oom(e);
	m->config = setup->config;
	m->ledger = setup->ledger;
	m->event = setup->event;
	m->ctx = setup->ctx;
	m->defers = setup->defers;
	m->usual_out = USUAL_OUT;
	m->policies = calloc(m->config->policies.n + 1, sizeof(*m->policies));
	if (!m->policies)
		return err_oom(e);
	init_policies(m);
	r = meter_limits_init(m, e);
	if (r == 0)
		r = meter_prices_load(m->config, setup->prices ?: PRICES_FILE,
				      setup->overlay ?: PRICES_OVERLAY, &m->prices, e);
	if (r < 0)
		return r;
	*ret = m;
	m = NULL;
	return 0;
}

void meter_free(struct meter *m)
{
	if (!m)
		return;
	meter_prices_free(&m->prices);
	free(m->late.v);
	free(m->policies);
	free(m);
}

size_t meter_calls(const struct meter *m)
{
	return m->calls;
}

/* --- telling --- */

void meter_tell(struct meter *m, struct gateway_event *x, const struct meter_call *c)
{
	if (!m->event)
		return;
	if (c) {
		x->provider = c->provider;
	}
	if (c && c->request.format) {
		x->model = c->request.model;
		x->api = gateway_event_api(c->request.format->id);
		x->is_stream = c->request.streams;
	}
	m->event(m->ctx, x);
}

void meter_refuse(struct meter_verdict *v, int policy, enum llm_refusal_reason reason,
		  const char *fmt, ...)
{
	va_list ap;

	v->admitted = false;
	v->reason = reason;
	v->policy = policy;
	va_start(ap, fmt);
	vsnprintf(v->message, sizeof(v->message), fmt, ap);
	va_end(ap);
}

/* Which policy says no: behind the message, for who is to change it. */
static void name_policy(const struct meter *m, struct meter_verdict *v, uint32_t line)
{
	size_t n = strlen(v->message);
	const struct gateway_policy *p;

	if (v->policy < 0)
		return;
	p = &m->config->policies.v[v->policy];
	if (line > 0)
		snprintf(v->message + n, sizeof(v->message) - n, " (policy %s, line %u)",
			 p->name, line);
	else
		snprintf(v->message + n, sizeof(v->message) - n, " (policy %s)", p->name);
}

static uint32_t line_of(const struct meter *m, const struct meter_verdict *v)
{
	const struct gateway_policy *p = &m->config->policies.v[v->policy];

	switch (v->reason) {
	case LLM_REFUSE_BUDGET:
		return p->budget_line;
	case LLM_REFUSE_RATE:
		return p->rates_line ?: p->budget_line;
	case LLM_REFUSE_MODEL:
	case LLM_REFUSE_PROVIDER:
		return p->apis_line;
	default:
		return 0;
	}
}

static void tell_refusal(struct meter *m, const struct meter_call *c,
			 struct meter_verdict *v)
{
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = v->policy,
				   .reason = v->reason };

	if (v->policy >= 0)
		name_policy(m, v, line_of(m, v));
	/* meter_unavailable() has told it, with the reason. */
	if (v->reason != LLM_REFUSE_UNAVAILABLE)
		meter_tell(m, &x, c);
}

static void tell_audit(struct meter *m, const struct meter_call *c, int policy,
		       enum llm_refusal_reason reason)
{
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = policy,
				   .reason = reason,
				   .is_audit = true };

	meter_tell(m, &x, c);
}

/* --- what a policy allows --- */

/* `model` NULL: a call without one. */
static bool check_names(struct meter *m, const struct meter_call *c, const char *model,
			struct meter_verdict *v)
{
	for (size_t i = 0; i < m->config->policies.n; i++) {
		const struct gateway_policy *p = &m->config->policies.v[i];
		enum meter_name name = meter_name_check(p, c->provider, model);
		enum llm_refusal_reason reason = name == METER_NAME_MODEL ?
							 LLM_REFUSE_MODEL :
							 LLM_REFUSE_PROVIDER;

		if (name == METER_NAME_OK)
			continue;
		if (p->is_audit) {
			tell_audit(m, c, (int)i, reason);
			continue;
		}
		if (name == METER_NAME_MODEL)
			meter_refuse(v, (int)i, reason,
				     "the model '%s' is not one that the policy allows",
				     model);
		else
			meter_refuse(v, (int)i, reason,
				     "the provider '%s' is not one that the policy allows",
				     c->provider);
		return false;
	}
	return true;
}

static void refuse_rate(const struct meter_policy *p, int policy, unsigned int wait,
			enum meter_rate_reason why, const struct meter_call *c,
			struct meter_verdict *v)
{
	v->retry_after = wait;
	switch (why) {
	case METER_RATE_REQUESTS:
		meter_refuse(v, policy, LLM_REFUSE_RATE,
			     "more than %llu requests a minute: try again in %u s",
			     (unsigned long long)p->rate.requests_limit, wait);
		return;
	case METER_RATE_TOKENS:
		meter_refuse(v, policy, LLM_REFUSE_RATE,
			     "more than %llu tokens a minute: try again in %u s",
			     (unsigned long long)p->rate.tokens_limit, wait);
		return;
	case METER_RATE_NEVER:
		meter_refuse(v, policy, LLM_REFUSE_REQUEST,
			     "the request comes to about %lld tokens, and the policy allows %llu "
			     "in a whole minute: waiting does not help, make it smaller",
			     (long long)c->in_guess,
			     (unsigned long long)p->rate.tokens_limit);
		v->retry_after = 0;
		return;
	}
}

static bool check_rates(struct meter *m, const struct meter_call *c,
			struct meter_time now, struct meter_verdict *v)
{
	uint64_t in = (uint64_t)c->in_guess;

	for (size_t i = 0; i < m->config->policies.n; i++) {
		struct meter_policy *p = &m->policies[i];
		enum meter_rate_reason why;
		unsigned int wait = meter_rate_wait(&p->rate, now.mono, in, c->rate_held,
						    &why);

		if (wait == 0)
			continue;
		if (p->p->is_audit) {
			tell_audit(m, c, (int)i, LLM_REFUSE_RATE);
			continue;
		}
		refuse_rate(p, (int)i, wait, why, c, v);
		return false;
	}
	return true;
}

static void count_call(struct meter *m, const struct meter_call *c, struct meter_time now)
{
	for (size_t i = 0; i < m->config->policies.n; i++)
		meter_rate_begin(&m->policies[i].rate, now.mono, c->rate_held);
}

/* Whether what it may take can be told, where that is limited. */
static bool check_bounds(struct meter *m, const struct meter_call *c, int64_t now,
			 struct meter_verdict *v)
{
	const struct llm_request *r = &c->request;
	const char *fault = m->has_cost ? meter_price_fault(&c->price, r, now / 1000) :
					  NULL;

	if (m->has_cost && !c->price.model) {
		meter_refuse(v, -1, LLM_REFUSE_MODEL,
			     "there is no price for the model '%s' (%s), and the policy limits what "
			     "calls may cost: the administrator can add one to " PRICES_OVERLAY,
			     r->model, fault);
		return false;
	}
	if (fault) {
		meter_refuse(v, -1, LLM_REFUSE_REQUEST,
			     "the policy limits what calls may cost, and of this one nobody can "
			     "tell: %s",
			     fault);
		return false;
	}
	if (r->hidden && (m->has_cost || m->has_tokens) &&
	    (!c->price.model || price_model_context(c->price.model) == 0)) {
		meter_refuse(v, -1, LLM_REFUSE_REQUEST,
			     "the policy has a budget, and nobody can tell how much this call "
			     "reads: %s, and how much '%s' can read is not known",
			     r->hidden, r->model);
		return false;
	}
	return true;
}

/* --- sizes --- */

static uint32_t ratio_of(const struct meter *m, const char *model)
{
	for (size_t i = 0; i < METER_RATIOS_MAX; i++)
		if (*m->ratios[i].model && streq(m->ratios[i].model, model))
			return m->ratios[i].bytes_per_100;
	return USUAL_RATIO;
}

static int64_t to_i64(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void size_up(const struct meter *m, struct meter_call *c)
{
	const struct llm_request *r = &c->request;
	int64_t context = c->price.model ? price_model_context(c->price.model) : 0;
	uint64_t out = m->usual_out;

	c->in_max = to_i64(llm_request_input_bound(r));
	c->in_guess = to_i64(llm_request_input_guess(r, ratio_of(m, r->model)));
	if (r->hidden && context > c->in_max)
		c->in_max = context;
	if (c->in_guess > c->in_max)
		c->in_guess = c->in_max;
	if (!r->format->max_new)
		out = 0;
	else if (r->max < (int64_t)out)
		out = (uint64_t)r->max;
	c->rate_held = (uint64_t)c->in_guess + out * r->copies;
}

static enum llm_family family_of(const struct llm_request *r)
{
	return r->format->family;
}

static void begin(struct meter *m, const char *provider, const struct llm_request *r,
		  struct meter_time now, struct meter_call *c)
{
	*c = (struct meter_call){ .request = *r, .began = now };
	snprintf(c->provider, sizeof(c->provider), "%s", provider);
	meter_price_find(&m->prices, provider, family_of(r), &c->request, &c->price);
	size_up(m, c);
}

/* --- admission --- */

static bool check_all(struct meter *m, struct meter_batch *b, struct meter_call *c,
		      struct meter_time now, struct meter_verdict *v)
{
	return check_names(m, c, c->request.model, v) && check_bounds(m, c, now.real, v) &&
	       check_rates(m, c, now, v) && meter_reserve(m, b, c, now, v);
}

static void admit(struct meter *m, struct meter_batch *b, struct meter_ask *ask,
		  struct meter_time now)
{
	struct meter_call *c = calloc(1, sizeof(*c));
	struct meter_verdict *v = &ask->verdict;

	*v = (struct meter_verdict){ .policy = -1 };
	ask->call = NULL;
	if (!c) {
		meter_refuse(v, -1, LLM_REFUSE_UNAVAILABLE, "the gateway is out of memory");
		return;
	}
	begin(m, ask->provider, ask->request, now, c);
	if (!check_all(m, b, c, now, v)) {
		tell_refusal(m, c, v);
		free(c);
		return;
	}
	/* The next of the batch has it beside it. */
	count_call(m, c, now);
	m->calls++;
	v->admitted = true;
	v->out_cap = c->is_capped ? c->out_max : INT64_MAX;
	ask->call = c;
}

/* Its reservation did not come into the file. */
static void withdraw(struct meter *m, struct meter_ask *ask, const struct err *e)
{
	struct meter_call *c = ask->call;

	ask->call = NULL;
	for (size_t i = 0; i < m->config->policies.n; i++)
		meter_rate_undo(&m->policies[i].rate, c->rate_held);
	m->calls--;
	ask->verdict = (struct meter_verdict){ .policy = -1 };
	meter_unavailable(m, c, e, &ask->verdict);
	free(c);
}

void meter_admit_all(struct meter *m, struct meter_ask *asks, size_t n, struct meter_time now)
{
	struct meter_batch b;

	b.is_begun = b.is_open = b.meets_others = false;
	b.fault = 0;
	for (size_t i = 0; i < n; i++)
		admit(m, &b, &asks[i], now);
	if (meter_batch_end(m, &b, now) == 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (asks[i].call)
			withdraw(m, &asks[i], &b.e);
}

void meter_admit(struct meter *m, const char *provider, const struct llm_request *r,
		 struct meter_time now, struct meter_call **ret_call,
		 struct meter_verdict *ret)
{
	struct meter_ask ask = { .provider = provider, .request = r };

	meter_admit_all(m, &ask, 1, now);
	if (ask.call)
		*ret_call = ask.call;
	*ret = ask.verdict;
}

void meter_admit_free(struct meter *m, const char *provider, struct meter_time now,
		      struct meter_verdict *ret)
{
	struct meter_call c = {};
	struct meter_verdict v = { .policy = -1, .out_cap = INT64_MAX };

	snprintf(c.provider, sizeof(c.provider), "%s", provider);
	v.admitted = check_names(m, &c, NULL, &v) && check_rates(m, &c, now, &v);
	if (v.admitted)
		count_call(m, &c, now);
	else
		tell_refusal(m, NULL, &v);
	*ret = v;
}

/* --- what is late --- */

/*
 * A sum that no counter can hold is charged as what was reserved, and where that does not fit
 * either, nothing is left to be charged: the counter is full.
 */
static int write_one(struct meter *m, struct meter_late *late, int64_t now, struct err *e)
{
	int r;

	if (late->is_release)
		return ledger_release(m->ledger, late->id, now, e);
	late->charge.answered = *late->answered ? late->answered : NULL;
	r = ledger_settle(m->ledger, late->id, &late->charge, now, e);
	if (r == -EOVERFLOW)
		r = ledger_settle(m->ledger, late->id, &late->reserved, now, e);
	return r == -EOVERFLOW ? ledger_release(m->ledger, late->id, now, e) : r;
}

int meter_write_late(struct meter *m, int64_t now, struct err *e)
{
	for (size_t i = 0; i < m->late.n; i++) {
		int r = write_one(m, &m->late.v[i], now, e);

		/* It was written, and only the word of it was lost; or another charged it. */
		if (r < 0 && r != -EALREADY && r != -ENOENT && r != -EPERM)
			return r;
	}
	return 0;
}

void meter_late_written(struct meter *m)
{
	int64_t day = -1;
	size_t n = m->late.n;

	m->late.n = 0;
	/* Those of one day have the same counters, as they are now. */
	for (size_t i = 0; i < n; i++) {
		if (m->late.v[i].is_release || m->late.v[i].began / DAY_MS == day)
			continue;
		day = m->late.v[i].began / DAY_MS;
		meter_tell_marks(m, m->late.v[i].began);
	}
	/* The list grows by doubling, from nothing. */
	free(m->late.v);
	m->late.v = NULL;
}

int meter_tick(struct meter *m, struct meter_time now, struct err *e)
{
	int r = m->late.n > 0 ? ledger_begin(m->ledger, e) : 0;

	if (m->late.n == 0)
		return 0;
	if (r == 0)
		r = ledger_end(m->ledger, meter_write_late(m, now.real, e), e);
	if (r == 0)
		meter_late_written(m);
	else
		m->late_due = now.mono + RETRY_MS;
	return r;
}

int meter_wait_ms(const struct meter *m, struct meter_time now)
{
	int64_t ms = m->late_due - now.mono;

	if (m->late.n == 0)
		return -1;
	return ms < 0 ? 0 : ms > RETRY_MS ? RETRY_MS : (int)ms;
}
