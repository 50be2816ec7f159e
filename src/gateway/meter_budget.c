/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Budgets: what a call may generate by what is left, its reservation, and what is told when a
 * budget is spent or a threshold passed. The theory is at the top of meter.c. Runs in
 * purple-gateway.
 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "budget/money.h"
#include "gateway/meter_parts.h"

/* Answers of models of which the table does not say how long they can be. */
#define UNKNOWN_OUT INT64_C(8192)
/* Calls share what is left down to this. */
#define SHARED_OUT INT64_C(16384)
#define WAIT_FOR_OTHERS 2
/* The input of a call that could hardly be smaller, in tokens. */
#define SMALL_INPUT INT64_C(1024)

/* --- limits --- */

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

static void take_lower(bool *has, int64_t *to, bool has_more, int64_t more)
{
	if (has_more && (!*has || more < *to))
		*to = more;
	*has |= has_more;
}

/* The counter of a budget; policies that name the same one share it. */
static int add_limit(struct meter *m, const struct ledger_limit *own, bool enforces)
{
	struct ledger_limit *l = m->limits;
	size_t i = 0;

	while (i < m->limits_n && !(l[i].scope == own->scope && l[i].period == own->period &&
				    streq(l[i].name, own->name)))
		i++;
	if (i == METER_LIMITS_MAX)
		return -1;
	if (i == m->limits_n)
		l[m->limits_n++] = (struct ledger_limit){ .scope = own->scope,
							  .period = own->period,
							  .name = own->name };
	if (enforces) {
		take_lower(&l[i].has_tokens, &l[i].tokens, own->has_tokens, own->tokens);
		take_lower(&l[i].has_cost, &l[i].cost, own->has_cost, own->cost);
	}
	return (int)i;
}

int meter_limits_init(struct meter *m, struct err *e)
{
	for (size_t i = 0; i < m->config->policies.n; i++) {
		struct meter_policy *p = &m->policies[i];

		p->p = &m->config->policies.v[i];
		p->own = limit_of(m->config, p->p);
		p->limit = -1;
		if (!p->own.has_tokens && !p->own.has_cost)
			continue;
		if (!p->own.name || !*p->own.name)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "the budget of policy '%s' has no name in the ledger",
				       p->p->name);
		p->limit = add_limit(m, &p->own, !p->p->is_audit);
		if (p->limit < 0)
			return err_set(e, ERR_CONFIG, E2BIG,
				       "the policies have more than %d different budgets",
				       METER_LIMITS_MAX);
		if (p->p->is_audit)
			continue;
		m->has_tokens |= p->own.has_tokens;
		m->has_cost |= p->own.has_cost;
	}
	return 0;
}

/* --- what is left --- */

struct room {
	int64_t tokens, cost;
};

static int64_t clamp(__int128 v)
{
	return v < 0 ? 0 : v > METER_NO_LIMIT - 1 ? METER_NO_LIMIT - 1 : (int64_t)v;
}

/* What a policy's budget leaves; `with_held`: less what calls under way hold. */
static struct room room_of(const struct meter_policy *p, const struct ledger_state *s,
			   bool with_held)
{
	struct room r = { METER_NO_LIMIT, METER_NO_LIMIT };

	if (p->own.has_tokens)
		r.tokens = clamp((__int128)p->own.tokens + s->tokens_added - s->tokens -
				 (with_held ? s->tokens_reserved : 0));
	if (p->own.has_cost)
		r.cost = clamp((__int128)p->own.cost + s->cost_added - s->cost -
			       (with_held ? s->cost_reserved : 0));
	return r;
}

/* The output that a call with so much input has room for; -1: there is none for the input. */
static int64_t output_in(const struct meter_call *c, struct room room, int64_t in,
			 int64_t now)
{
	int64_t out = METER_NO_LIMIT, sum;

	if (room.tokens != METER_NO_LIMIT)
		out = room.tokens >= in ? room.tokens - in : -1;
	if (room.cost == METER_NO_LIMIT || out < 0)
		return out;
	if (!c->request.format->max_new)
		return meter_price_bound(&c->price, in, 0, now, &sum) && sum <= room.cost ?
			       0 :
			       -1;
	sum = meter_price_buys(&c->price, in, room.cost, now);
	return sum < out ? sum : out;
}

static int64_t times(int64_t a, uint32_t n)
{
	int64_t v;

	return __builtin_mul_overflow(a, (int64_t)n, &v) ? METER_NO_LIMIT : v;
}

/* What the call may come to generate, all copies together, if nothing limits it. */
static int64_t wanted(const struct meter_call *c)
{
	const struct llm_request *r = &c->request;
	int64_t most = c->price.model ? price_model_max_output(c->price.model) : 0;

	if (!r->format->max_new)
		return 0;
	if (r->max != INT64_MAX)
		return times(r->max, r->copies);
	return times(most > 0 ? most : UNKNOWN_OUT, r->copies);
}

/* With less than that the call is of no use. */
static int64_t useful(const struct meter_call *c)
{
	const struct llm_request *r = &c->request;
	int64_t least = METER_USEFUL_MAX;

	if (!r->format->max_new)
		return 0;
	if (r->thinking > 0 && !money_add(least, r->thinking, &least))
		least = METER_NO_LIMIT;
	if (r->max < least)
		least = r->max;
	return times(least, r->copies);
}

/* --- refusing --- */

static struct gateway_event budget_event(const struct meter *m, size_t policy,
					 const struct ledger_state *s)
{
	const struct meter_policy *p = &m->policies[policy];

	return (struct gateway_event){
		.policy = (int)policy,
		.has_tokens = p->own.has_tokens,
		.tokens = s->tokens,
		.tokens_limit = clamp((__int128)p->own.tokens + s->tokens_added),
		.has_cost_limit = p->own.has_cost,
		.cost = s->cost,
		.cost_limit = clamp((__int128)p->own.cost + s->cost_added),
		.action = p->p->on_exceeded,
	};
}

void meter_tell_spent(struct meter *m, size_t policy, const struct ledger_state *s,
		      const struct meter_call *c, int64_t need_tokens, int64_t need_cost)
{
	struct meter_policy *p = &m->policies[policy];
	struct gateway_event x = budget_event(m, policy, s);

	if (p->is_spent && p->spent.start == s->start &&
	    p->spent.tokens_added == s->tokens_added && p->spent.cost_added == s->cost_added)
		return;
	p->is_spent = true;
	p->spent = *s;
	p->need_tokens = need_tokens;
	p->need_cost = need_cost;
	x.type = GATEWAY_BUDGET_EXCEEDED;
	meter_tell(m, &x, c);
}

/* What is left of what, for people: "$0.02 of $5.00". */
static void describe(const struct meter_policy *p, const struct ledger_state *s, char *to,
		     size_t size)
{
	struct room room = room_of(p, s, false);
	int n = 0;

	if (p->own.has_tokens)
		n = snprintf(to, size, "%lld of %lld tokens", (long long)room.tokens,
			     (long long)clamp((__int128)p->own.tokens + s->tokens_added));
	if (p->own.has_cost && n >= 0 && (size_t)n < size)
		snprintf(to + n, size - (size_t)n, "%s%s of %s", n > 0 ? " and " : "",
			 money_text(room.cost).s,
			 money_text(clamp((__int128)p->own.cost + s->cost_added)).s);
}

/*
 * With how much input a budget counts as spent where it has no room for it. What the call probably
 * takes; of a small call its bound, for then hardly any call passes any more. A larger one may be
 * made smaller.
 */
static int64_t spent_input(const struct meter_call *c)
{
	int64_t in = c->in_max < SMALL_INPUT ? c->in_max : SMALL_INPUT;

	return in > c->in_guess ? in : c->in_guess;
}

static bool is_spent_for(const struct meter_call *c, struct room room, int64_t least,
			 int64_t now)
{
	return output_in(c, room, spent_input(c), now) < least;
}

static void refuse_spent(struct meter *m, size_t policy, const struct meter_call *c,
			 const struct ledger_state *s, int64_t least, int64_t now,
			 struct meter_verdict *v)
{
	const struct meter_policy *p = &m->policies[policy];
	int64_t in = c->in_max, cost = 0;
	char left[160] = "";

	describe(p, s, left, sizeof(left));
	v->exceeded = is_spent_for(c, room_of(p, s, false), least, now);
	if (v->exceeded) {
		v->action = p->p->on_exceeded;
		meter_refuse(v, (int)policy, LLM_REFUSE_BUDGET,
			     "the budget is spent: %s left, too little for this call",
			     left);
		in = spent_input(c);
	} else {
		meter_price_bound(&c->price, in, least, now, &cost);
		meter_refuse(v, (int)policy, LLM_REFUSE_BUDGET,
			     "this call is too large for what is left of the budget: %s, and it "
			     "could come to %lld tokens%s%s; make it smaller",
			     left, (long long)(in + least), cost > 0 ? " and " : "",
			     cost > 0 ? money_text(cost).s : "");
		return;
	}
	meter_price_bound(&c->price, in, least, now, &cost);
	meter_tell_spent(m, policy, s, c, in + least, cost);
}

/* A policy that only audits: what it would have refused is told, and passes. */
static void audit_spent(struct meter *m, size_t policy, const struct meter_call *c,
			const struct ledger_state *s, int64_t least, int64_t now)
{
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = (int)policy,
				   .reason = LLM_REFUSE_BUDGET,
				   .is_audit = true };
	int64_t cost = 0;

	meter_tell(m, &x, c);
	meter_price_bound(&c->price, spent_input(c), least, now, &cost);
	meter_tell_spent(m, policy, s, c, spent_input(c) + least, cost);
}

void meter_unavailable(struct meter *m, const struct meter_call *c, const struct err *e,
		       struct meter_verdict *v)
{
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = -1,
				   .reason = LLM_REFUSE_UNAVAILABLE,
				   .error = e->msg };

	/* Where the ledger is, and what its disk says, is not for the agent. */
	meter_refuse(v, -1, LLM_REFUSE_UNAVAILABLE,
		     "the ledger of budgets cannot be written, and without it no call is made; "
		     "the administrator finds the reason in the events");
	meter_tell(m, &x, c);
}

/* --- reserving --- */

struct ledger_call meter_ledger_call(const struct meter *m, const struct meter_call *c,
				     int64_t tokens, int64_t cost)
{
	return (struct ledger_call){ .container = m->config->container,
				     .policy = m->name,
				     .team = m->team,
				     .provider = c->provider,
				     .model = c->request.model,
				     .limits = m->limits,
				     .n_limits = m->limits_n,
				     .tokens = tokens,
				     .cost = cost };
}

/* What one look at all budgets says. */
struct look {
	int64_t cap; /* the output that all leave */
	int spent, held; /* a policy that leaves too little; with the others' calls alone; -1 */
};

static struct look look_at_budgets(const struct meter *m, const struct meter_call *c,
				   const struct ledger_state *states, int64_t least,
				   int64_t now)
{
	struct look look = { METER_NO_LIMIT, -1, -1 };

	for (size_t i = 0; i < m->config->policies.n; i++) {
		const struct meter_policy *p = &m->policies[i];
		const struct ledger_state *s = &states[p->limit < 0 ? 0 : p->limit];
		int64_t out;

		if (p->limit < 0 || p->p->is_audit)
			continue;
		out = output_in(c, room_of(p, s, true), c->in_max, now);
		if (out < look.cap)
			look.cap = out;
		if (out >= least)
			continue;
		look.held = (int)i;
		if (look.spent < 0 &&
		    output_in(c, room_of(p, s, false), c->in_max, now) < least)
			look.spent = (int)i;
	}
	return look;
}

/*
 * How much a call takes of what is left: all that it asked for if there is plenty, else half, so
 * that a call beside it need not wait; nobody is cut short below SHARED_OUT for that.
 */
static int64_t share(const struct meter_call *c, int64_t cap, int64_t least)
{
	int64_t take = wanted(c), floor = times(SHARED_OUT, c->request.copies);

	if (cap == METER_NO_LIMIT)
		return take;
	if (floor < least)
		floor = least;
	if (cap / 2 > floor)
		floor = cap / 2;
	if (take > floor)
		take = floor;
	return take < cap ? take : cap;
}

/* Calls of gateways that are dead hold what nobody gives back: they are charged now. */
static void recover(struct meter *m, struct meter_time now)
{
	struct err ignored = {};
	size_t calls;

	if (m->recovered != 0 && now.mono - m->recovered < 1000)
		return;
	m->recovered = now.mono > 0 ? now.mono : 1;
	ledger_recover(m->ledger, now.real, &calls, &ignored);
}

static void refuse_held(int policy, struct meter_verdict *v)
{
	v->retry_after = WAIT_FOR_OTHERS;
	meter_refuse(v, policy, LLM_REFUSE_RATE,
		     "other calls that are under way hold what is left of the budget: try again "
		     "when they are over");
}

/* Within a transaction: 1 reserved, 0 refused, -errno. */
static int look_and_reserve(struct meter *m, struct meter_call *c, struct meter_time now,
			    struct meter_verdict *v, struct err *e)
{
	struct ledger_state states[METER_LIMITS_MAX] = {};
	int64_t least = useful(c), seconds = now.real / 1000;
	struct ledger_answer answer = {};
	struct ledger_call call;
	struct look look;
	int r = ledger_look(m->ledger, m->limits, m->limits_n, now.real, states, e);

	if (r < 0)
		return r;
	look = look_at_budgets(m, c, states, least, seconds);
	if (look.spent >= 0) {
		refuse_spent(m, (size_t)look.spent, c,
			     &states[m->policies[look.spent].limit], least, seconds, v);
		return 0;
	}
	if (look.held >= 0) {
		refuse_held(look.held, v);
		return 0;
	}
	c->out_max = share(c, look.cap, least);
	c->is_capped = look.cap != METER_NO_LIMIT && c->request.format->max_new;
	if (look.cap == METER_NO_LIMIT && c->out_max > UNKNOWN_OUT)
		c->out_max = UNKNOWN_OUT; /* for the records of a gateway that dies */
	if (!money_add(c->in_max, c->out_max, &c->tokens))
		return err_set(e, ERR_STATE, EOVERFLOW, "the call's maximum is too large");
	if (!meter_price_bound(&c->price, c->in_max, c->out_max, seconds, &c->cost))
		c->cost = 0; /* nobody limits costs, or it was refused before */
	call = meter_ledger_call(m, c, c->tokens, c->cost);
	r = ledger_reserve(m->ledger, &call, now.real, &answer, e);
	if (r < 0)
		return r;
	if (!answer.granted) {
		refuse_held(-1, v);
		return 0;
	}
	c->id = answer.id;
	return 1;
}

static void look_at_audits(struct meter *m, const struct meter_call *c, int64_t now)
{
	struct ledger_state states[METER_LIMITS_MAX] = {};
	struct err ignored = {};

	if (ledger_look(m->ledger, m->limits, m->limits_n, now, states, &ignored) < 0)
		return;
	for (size_t i = 0; i < m->config->policies.n; i++) {
		const struct meter_policy *p = &m->policies[i];
		const struct ledger_state *s = &states[p->limit < 0 ? 0 : p->limit];

		if (p->limit >= 0 && p->p->is_audit &&
		    is_spent_for(c, room_of(p, s, false), useful(c), now / 1000))
			audit_spent(m, i, c, s, useful(c), now / 1000);
	}
}

static bool has_audited_budget(const struct meter *m)
{
	for (size_t i = 0; i < m->config->policies.n; i++)
		if (m->policies[i].limit >= 0 && m->policies[i].p->is_audit)
			return true;
	return false;
}

/* What is late is written first: what it gives back is there for the calls of the batch. */
static int begin_batch(struct meter *m, struct meter_batch *b, struct meter_time now)
{
	if (b->is_begun)
		return b->fault;
	b->is_begun = true;
	b->fault = ledger_begin(m->ledger, &b->e);
	if (b->fault == 0) {
		b->is_open = true;
		b->fault = meter_write_late(m, now.real, &b->e);
	}
	return b->fault;
}

bool meter_reserve(struct meter *m, struct meter_batch *b, struct meter_call *c,
		   struct meter_time now, struct meter_verdict *v)
{
	struct err e;
	int r = begin_batch(m, b, now);

	if (r < 0) {
		meter_unavailable(m, c, &b->e, v);
		return false;
	}
	if (has_audited_budget(m))
		look_at_audits(m, c, now.real);
	r = look_and_reserve(m, c, now, v, &e);
	if (r == 1)
		return true;
	if (r < 0)
		meter_unavailable(m, c, &e, v);
	b->meets_others |= v->reason == LLM_REFUSE_RATE;
	return false;
}

int meter_batch_end(struct meter *m, struct meter_batch *b, struct meter_time now)
{
	int r = b->is_open ? ledger_end(m->ledger, b->fault, &b->e) : b->fault;

	if (r == 0 && m->late.n > 0 && b->is_open)
		meter_late_written(m);
	/* A call that waits for a dead gateway waits no longer. */
	if (b->meets_others)
		recover(m, now);
	return r;
}

/* --- marks and what was spent --- */

static void tell_marks_of(struct meter *m, size_t policy, const struct ledger_state *s,
			  size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct gateway_event x = budget_event(m, policy, s);

		x.type = GATEWAY_BUDGET_ALERT;
		x.percent = m->policies[policy].p->alert_at.v[i];
		meter_tell(m, &x, NULL);
	}
}

/* The ledger is asked only when the mark is another than it was. */
static void tell_marks(struct meter *m, size_t policy, const struct ledger_state *s,
		       int64_t began)
{
	struct meter_policy *p = &m->policies[policy];
	const uint32_t *marks = p->p->alert_at.v;
	uint32_t percent = ledger_percent(&p->own, s), at = 0;
	struct err ignored = {};
	size_t from, to;

	for (size_t i = 0; i < p->p->alert_at.n && marks[i] <= percent; i++)
		at = marks[i];
	if (p->is_told_known && p->told_start == s->start && p->told == at)
		return;
	/* On failure it is asked again after the next call. */
	if (ledger_reach(m->ledger, &p->own, p->p->name, marks, p->p->alert_at.n, began,
			 &from, &to, &ignored) < 0)
		return;
	p->is_told_known = true;
	p->told_start = s->start;
	p->told = to > 0 ? marks[to - 1] : 0;
	tell_marks_of(m, policy, s, from, to);
}

void meter_tell_marks(struct meter *m, int64_t began)
{
	struct ledger_state states[METER_LIMITS_MAX] = {};
	struct err ignored = {};
	bool has_any = false;

	for (size_t i = 0; i < m->config->policies.n; i++)
		has_any |= m->policies[i].limit >= 0 && m->policies[i].p->alert_at.n > 0;
	if (!has_any ||
	    ledger_look(m->ledger, m->limits, m->limits_n, began, states, &ignored) < 0)
		return;
	for (size_t i = 0; i < m->config->policies.n; i++) {
		const struct meter_policy *p = &m->policies[i];

		if (p->limit >= 0 && p->p->alert_at.n > 0)
			tell_marks(m, i, &states[p->limit], began);
	}
}

bool meter_is_spent(struct meter *m, size_t policy, struct meter_time now)
{
	struct meter_policy *p = policy < m->config->policies.n ? &m->policies[policy] :
								  NULL;
	struct ledger_state s = {};
	struct err ignored = {};
	struct room room;

	if (!p || !p->is_spent)
		return false;
	if (ledger_look(m->ledger, &p->own, 1, now.real, &s, &ignored) < 0)
		return true;
	room = room_of(p, &s, false);
	p->is_spent = room.tokens < p->need_tokens || room.cost < p->need_cost;
	return p->is_spent;
}
