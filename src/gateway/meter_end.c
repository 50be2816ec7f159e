/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call while its answer passes, and its end: growth, estimates, what is charged. The theory is at
 * the top of meter.c. Runs in purple-gateway.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "budget/money.h"
#include "gateway/meter_parts.h"

/* Text without anything that tells tokens apart: none is longer on the average. */
#define LONGEST_TOKEN 16
/* Reserved besides, when an answer outgrows its reservation. */
#define GROWTH_LEAST 256
/*
 * Thoughts that nobody sees: so many a second from the request to the first text, but for the time
 * in which a call is queued and read.
 */
#define THOUGHTS_A_SECOND 100
#define QUEUED_SECONDS 3
#define BROKEN_SOON_MS 30000
#define TRIES 8
/* So long the end of a call may wait for a reservation to be written with. */
#define DEFERRED_MS 5

static int64_t to_i64(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* 2^48 is the largest figure that an answer is believed (LLM_FIGURE_MAX): no sum here overflows. */
static int64_t input_of(const struct usage *u)
{
	return u->in_uncached + u->cache_read + u->cache_w5m + u->cache_w1h + u->in_audio;
}

static void add_usage(struct usage *to, const struct usage *u)
{
	to->in_uncached += u->in_uncached;
	to->cache_read += u->cache_read;
	to->cache_audio += u->cache_audio;
	to->cache_w5m += u->cache_w5m;
	to->cache_w1h += u->cache_w1h;
	to->in_audio += u->in_audio;
	to->out += u->out;
	to->reasoning += u->reasoning;
	to->out_audio += u->out_audio;
	to->web_search += u->web_search;
}

/* --- rates --- */

/* What a call took so far enters the minute; at its end nothing is held any more. */
static void count_tokens(struct meter *m, struct meter_call *c, uint64_t used,
			 bool is_end, struct meter_time now)
{
	uint64_t more = used > c->rate_used ? used - c->rate_used : 0;
	uint64_t held = is_end || more > c->rate_held ? c->rate_held : more;

	if (more == 0 && !is_end)
		return;
	for (size_t i = 0; i < m->config->policies.n; i++)
		meter_rate_use(&m->policies[i].rate, now.mono, more, held);
	c->rate_used += more;
	c->rate_held -= held;
}

/* --- while it streams --- */

/* The usage so far, of which the provider has been told of at least that much output. */
static struct usage usage_so_far(const struct meter_call *c, const struct llm_answer *a)
{
	struct usage u = a->known == LLM_KNOWN_NONE ? (struct usage){} : a->usage;

	if (a->known == LLM_KNOWN_NONE)
		u.in_uncached = c->in_guess;
	u.out = larger(u.out, to_i64(a->pieces));
	u.out = larger(u.out, to_i64(a->text_bytes / LONGEST_TOKEN));
	return u;
}

/* What must be reserved for a call that has come so far: sums; false: as yet nothing more. */
static bool outgrows(const struct meter *m, const struct meter_call *c,
		     const struct llm_answer *a, const struct usage *u, int64_t now,
		     int64_t *ret_tokens, int64_t *ret_cost)
{
	int64_t tokens = input_of(u) + u->out, cost = 0;

	if (!m->has_cost || !meter_price_of(&c->price, a, u, now / 1000, &cost))
		cost = 0;
	*ret_tokens = tokens;
	*ret_cost = cost;
	return (m->has_tokens && tokens > c->tokens) || (m->has_cost && cost > c->cost);
}

static bool grow(struct meter *m, struct meter_call *c, int64_t tokens, int64_t cost,
		 struct ledger_answer *answer, int *ret_errno, struct err *e)
{
	struct ledger_call more = meter_ledger_call(m, c, larger(tokens - c->tokens, 0),
						    larger(cost - c->cost, 0));
	int r = ledger_grow(m->ledger, c->id, &more, answer, e);

	*ret_errno = r;
	if (r < 0 || !answer->granted)
		return false;
	c->tokens += more.tokens;
	c->out_max += more.tokens;
	c->cost += more.cost;
	return true;
}

/*
 * The call will be cut, but more was generated than is reserved: of what the provider asks for it,
 * all that is left is charged, so it is reserved now.
 */
static void take_rest(struct meter *m, struct meter_call *c, int64_t tokens, int64_t cost,
		      struct ledger_answer answer)
{
	struct err ignored = {};
	bool granted = false;
	int r = 0;

	/* Others may take of it in between. */
	for (int i = 0; i < TRIES && r == 0 && !granted; i++) {
		int64_t more_tokens = smaller(larger(tokens - c->tokens, 0),
					      answer.left.tokens);
		int64_t more_cost = smaller(larger(cost - c->cost, 0), answer.left.cost);

		granted = grow(m, c, c->tokens + more_tokens, c->cost + more_cost,
			       &answer, &r, &ignored);
	}
}

/* The policy that a counter refuses for. */
static size_t policy_of(const struct meter *m, const struct ledger_answer *a)
{
	size_t i = 0;

	for (; i + 1 < m->config->policies.n; i++) {
		const struct meter_policy *p = &m->policies[i];

		if (p->limit != (int)a->limit || p->p->is_audit)
			continue;
		if ((a->too_little_tokens && p->own.has_tokens &&
		     p->own.tokens == m->limits[a->limit].tokens) ||
		    (a->too_little_money && p->own.has_cost &&
		     p->own.cost == m->limits[a->limit].cost))
			break;
	}
	return i;
}

static void cut(struct meter *m, const struct meter_call *c, const struct ledger_answer *a,
		int64_t tokens, int64_t cost, struct meter_verdict *v)
{
	size_t policy = policy_of(m, a);
	const struct meter_policy *p = &m->policies[policy];
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = (int)policy,
				   .reason = LLM_REFUSE_BUDGET };
	struct ledger_state s = {};
	struct err ignored = {};

	meter_refuse(v, (int)policy, LLM_REFUSE_BUDGET,
		     "the budget is spent, and the answer ends here (policy %s, line %u)",
		     p->p->name, p->p->budget_line);
	meter_tell(m, &x, c);
	if (ledger_look(m->ledger, &p->own, 1, c->began.real, &s, &ignored) < 0)
		return;
	/* With what other calls hold it is no end of the budget yet. */
	v->exceeded = (p->own.has_tokens &&
		       (__int128)s.tokens + tokens >
			       (__int128)p->own.tokens + s.tokens_added) ||
		      (p->own.has_cost &&
		       (__int128)s.cost + cost > (__int128)p->own.cost + s.cost_added);
	v->action = p->p->on_exceeded;
	if (v->exceeded)
		meter_tell_spent(m, policy, &s, c, METER_USEFUL_MAX, 1);
}

void meter_progress(struct meter *m, struct meter_call *c, const struct llm_answer *a,
		    struct meter_time now, struct meter_verdict *ret)
{
	struct meter_verdict v = { .admitted = true, .policy = -1, .out_cap = INT64_MAX };
	struct usage u = usage_so_far(c, a), more = u;
	struct ledger_answer answer = {};
	int64_t tokens, cost, tokens_more, cost_more;
	struct err e = {};
	int r = 0;

	*ret = v;
	if (c->first_text == 0 && (a->text_bytes > 0 || u.out > 0))
		c->first_text = now.mono;
	count_tokens(m, c, (uint64_t)(input_of(&u) + u.out), false, now);
	/* Prices are looked up when something changed. */
	if (!(m->has_tokens || m->has_cost) || input_of(&u) + u.out == c->seen_tokens)
		return;
	c->seen_tokens = input_of(&u) + u.out;
	if (!outgrows(m, c, a, &u, now.real, &tokens, &cost))
		return;
	more.out += larger(GROWTH_LEAST, more.out / 8);
	outgrows(m, c, a, &more, now.real, &tokens_more, &cost_more);
	if (grow(m, c, tokens_more, cost_more, &answer, &r, &e) ||
	    (r == 0 && grow(m, c, tokens, cost, &answer, &r, &e)))
		return;
	if (r < 0)
		meter_unavailable(m, c, &e, &v);
	else
		cut(m, c, &answer, tokens, cost, &v);
	if (r == 0)
		take_rest(m, c, tokens, cost, answer);
	v.admitted = false;
	*ret = v;
}

/* --- the end --- */

/* The provider's answer says that there is none, and nothing of one was seen. */
static bool is_empty_error(const struct llm_answer *a)
{
	return a->end == LLM_END_ERROR && a->known == LLM_KNOWN_NONE &&
	       a->text_bytes == 0 && a->pieces == 0;
}

static int64_t unseen_thoughts(const struct meter_call *c, int64_t now)
{
	int64_t until = c->first_text ? c->first_text : now;
	int64_t seconds = (until - c->began.mono) / 1000 - QUEUED_SECONDS;

	return seconds > 0 ? seconds * THOUGHTS_A_SECOND : 0;
}

/*
 * Whether the provider may have generated all that it was allowed to, and be asking money for it,
 * though it was not seen: a whole document is worked on to its end whoever listens, and thoughts do
 * not show. In Gemini's answers the figures can be left out by what the request asks for.
 */
static bool may_be_all(const struct meter_call *c, const struct llm_answer *a,
		       enum meter_end end, int64_t mono)
{
	const struct llm_request *r = &c->request;
	bool is_document = !r->streams || !a;
	bool is_unseen = !a || (a->text_bytes == 0 && a->pieces == 0 && a->usage.out == 0);

	switch (end) {
	case METER_WHOLE:
		return is_document || r->format->family == LLM_GEMINI;
	case METER_GONE:
		return is_document || is_unseen;
	case METER_BROKEN:
		/* A connection that breaks soon is no answer that was long in the making. */
		return (is_document || is_unseen) && mono - c->began.mono > BROKEN_SOON_MS;
	default:
		return false;
	}
}

/*
 * What a call took of which the provider gave no final figures. The input as it was told, else what
 * it probably was, or, where the provider read more than was seen, all that was reserved; the output
 * by what was seen, and the thoughts that came before it.
 */
static struct usage estimate(const struct meter *m, const struct meter_call *c,
			     const struct llm_answer *a, enum meter_end end, int64_t mono)
{
	bool has_input = a && a->known != LLM_KNOWN_NONE;
	struct usage u = has_input ? a->usage : (struct usage){};
	int64_t guess = a ? to_i64(llm_answer_output_guess(a)) : 0, most = METER_NO_LIMIT;

	if (!has_input || input_of(&u) == 0)
		u.in_uncached = c->request.hidden ? c->in_max : larger(c->in_guess, 1);
	if (!c->request.format->max_new)
		return u;
	guess += unseen_thoughts(c, mono);
	if (may_be_all(c, a, end, mono))
		guess = larger(guess, c->out_max);
	/* One that was cut did not keep to its maximum: it had all that was reserved. */
	if (m->has_tokens || m->has_cost)
		most = end == METER_CUT ? larger(c->tokens - input_of(&u), 0) : c->out_max;
	u.out = larger(u.out, smaller(guess, most));
	return u;
}

static bool is_final(const struct llm_answer *a)
{
	return a && a->known == LLM_KNOWN_WHOLLY;
}

/* The provider's own figures, of all models that had a part. */
static struct usage final_usage(const struct llm_answer *a)
{
	struct usage u = { .web_search = a->usage.web_search };

	if (a->shares_n == 0)
		return a->usage;
	for (size_t i = 0; i < a->shares_n; i++)
		add_usage(&u, &a->shares[i].usage);
	return u;
}

/* Figures that cannot be right: of each side the larger. */
static void take_larger(struct usage *u, const struct usage *guess)
{
	if (input_of(u) < input_of(guess))
		u->in_uncached += input_of(guess) - input_of(u);
	u->out = larger(u->out, guess->out);
}

/*
 * Whether a provider's own bill can be right: beside what the table says, or, for a model that is in
 * no table, at all. One absurd figure would fill a counter for ever.
 */
static bool is_credible(int64_t cost, bool is_table, int64_t table)
{
	const int64_t most = 1000 * MONEY_DOLLAR;

	if (is_table && table < most / 100)
		return cost >= 0 && cost <= larger(table * 100, MONEY_DOLLAR);
	return cost >= 0 && cost <= most;
}

/* What a call is charged; false: nothing, it is released. */
static bool charge_of(const struct meter *m, const struct meter_call *c,
		      const struct llm_answer *a, enum meter_end end,
		      struct meter_time now, struct ledger_charge *ret)
{
	struct usage guess;
	bool is_table;

	if (end == METER_REFUSED || (a && end != METER_GONE && is_empty_error(a)))
		return false;
	guess = estimate(m, c, a, end, now.mono);
	ret->is_estimate = !is_final(a) || a->is_unclear;
	ret->usage = is_final(a) ? final_usage(a) : guess;
	if (is_final(a) && a->is_unclear)
		take_larger(&ret->usage, &guess);
	is_table = meter_price_of(&c->price, a, ret->is_estimate ? &ret->usage : &a->usage,
				  now.real / 1000, &ret->cost);
	if (a && a->has_cost && is_credible(a->cost, is_table, ret->cost)) {
		ret->cost = a->cost;
		return true;
	}
	ret->is_estimate |= a && a->has_cost;
	/* Something of it has no price: all that it could have cost. */
	if (!is_table) {
		ret->cost = c->cost;
		ret->is_estimate = true;
	}
	/* A guess is never more than what was reserved. */
	if (!is_final(a) && m->has_cost && ret->cost > c->cost)
		ret->cost = c->cost;
	return true;
}

/* What bytes and tokens of this call teach about the next. */
static void learn(struct meter *m, const struct meter_call *c, const struct usage *u)
{
	const struct llm_request *r = &c->request;
	uint64_t ratio = r->text_bytes * 100 / (uint64_t)larger(input_of(u), 1);
	struct meter_ratio *to = NULL;

	m->usual_out = (m->usual_out * 7 + (uint64_t)u->out) / 8 + 1;
	if (r->hidden || r->media > 0 || input_of(u) == 0 || r->text_bytes < 1024)
		return;
	ratio = ratio < 100 ? 100 : ratio > 1000 ? 1000 : ratio;
	for (size_t i = 0; i < METER_RATIOS_MAX && !to; i++)
		if (streq(m->ratios[i].model, r->model))
			to = &m->ratios[i];
	if (!to) {
		to = &m->ratios[m->ratios_next++ % METER_RATIOS_MAX];
		*to = (struct meter_ratio){ .bytes_per_100 = (uint32_t)ratio };
		snprintf(to->model, sizeof(to->model), "%s", r->model);
	}
	to->bytes_per_100 = (uint32_t)((to->bytes_per_100 * 3 + ratio) / 4);
}

/* No figure is below zero: nothing is taken from a counter. */
static void check_figures(struct usage *u)
{
	int64_t *all[] = { &u->in_uncached, &u->cache_read, &u->cache_audio,
			   &u->cache_w5m,   &u->cache_w1h,  &u->in_audio,
			   &u->out,	    &u->reasoning,  &u->out_audio,
			   &u->web_search };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		*all[i] = larger(*all[i], 0);
}

static void write_end(struct meter *m, const struct meter_late *end, struct meter_time now)
{
	struct meter_late *kept = list_add(&m->late);
	struct err ignored = {};

	/* Without memory it stays open, and closing the ledger charges it in full. */
	if (!kept)
		return;
	*kept = *end;
	if (!m->defers)
		meter_tick(m, now, &ignored);
	else if (m->late.n == 1)
		m->late_due = now.mono + DEFERRED_MS;
}

static void tell_end(struct meter *m, const struct meter_call *c,
		     const struct llm_answer *a, const struct ledger_charge *charge,
		     unsigned int status, struct meter_time now)
{
	struct gateway_event x = {
		.type = GATEWAY_LLM_CALL,
		.policy = 0,
		.answered = a && *a->model ? a->model : NULL,
		.status = status,
		.duration_ms = (uint64_t)larger(now.mono - c->began.mono, 0),
		.is_estimate = charge->is_estimate,
		.usage = m->logs_tokens ? &charge->usage : NULL,
		.has_cost = m->logs_costs,
		.call_cost = charge->cost,
	};

	meter_tell(m, &x, c);
}

static int64_t add_up(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void meter_sum(struct meter *m, struct meter_time now, struct gateway_spent *ret)
{
	*ret = (struct gateway_spent){ .tokens = m->spent_tokens, .cost = m->spent_cost };
	for (size_t i = 0; i < m->config->policies.n && ret->n < GATEWAY_BUDGETS_MAX; i++) {
		const struct meter_policy *p = &m->policies[i];
		struct ledger_state s = {};
		struct err ignored = {};

		if (p->limit < 0 ||
		    ledger_look(m->ledger, &p->own, 1, now.real, &s, &ignored) < 0)
			continue;
		ret->budgets[ret->n++] = (struct gateway_left){
			.policy = (int)i,
			.has_tokens = p->own.has_tokens,
			.has_cost = p->own.has_cost,
			.tokens = s.tokens,
			.tokens_limit = add_up(p->own.tokens, s.tokens_added),
			.cost = s.cost,
			.cost_limit = add_up(p->own.cost, s.cost_added),
		};
	}
}

void meter_settle(struct meter *m, struct meter_call *c, const struct llm_answer *a,
		  enum meter_end end, unsigned int status, struct meter_time now)
{
	struct meter_late late = {
		.id = c->id,
		.began = c->began.real,
		.reserved = { .usage = { .in_uncached = smaller(c->in_max, c->tokens),
					 .out = larger(c->tokens - c->in_max, 0) },
			      .cost = c->cost,
			      .is_estimate = true },
	};
	const struct usage *u = &late.charge.usage;

	late.is_release = !charge_of(m, c, a, end, now, &late.charge);
	check_figures(&late.charge.usage);
	if (a)
		snprintf(late.answered, sizeof(late.answered), "%s", a->model);
	write_end(m, &late, now);
	count_tokens(m, c, late.is_release ? 0 : (uint64_t)(input_of(u) + u->out), true,
		     now);
	if (is_final(a) && !a->is_unclear && !late.is_release)
		learn(m, c, u);
	if (!late.is_release) {
		m->spent_tokens = add_up(m->spent_tokens, input_of(u) + u->out);
		m->spent_cost = add_up(m->spent_cost, late.charge.cost);
	}
	tell_end(m, c, a, &late.charge, status, now);
	m->calls--;
	free(c);
}
