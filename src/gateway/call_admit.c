/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a call passes, and what of its request must not leave: see call.h. Runs in purple-gateway,
 * in its jail.
 */
#include "gateway/call_parts.h"

#include "gateway/enforce.h"
#include "gateway/events.h"

/* --- what must not leave --- */

/* The policy that asks for it; one that only records gives way to one that does not. */
static size_t scanning_policy(const struct gateway *g)
{
	size_t found = 0;

	for (size_t i = g->config->policies.n; i-- > 0;)
		if (g->config->policies.v[i].scan && (!g->config->policies.v[i].is_audit ||
						      !g->config->policies.v[found].scan))
			found = i;
	return found;
}

static void tell_findings(struct call *c, const struct scan_findings *f, bool is_audit,
			  bool is_redacted)
{
	const char *kinds[SCAN_FINDINGS_MAX];
	struct gateway_event x = { .type = GATEWAY_LLM_SENSITIVE,
				   .policy = (int)scanning_policy(c->g),
				   .provider = c->provider->name,
				   .model = *c->request.model ? c->request.model : NULL,
				   .reason = LLM_REFUSE_CONTENT,
				   .is_audit = is_audit,
				   .is_redacted = is_redacted,
				   .kinds = kinds,
				   .count = f->n };

	if (c->route.format)
		x.api = gateway_event_api(c->route.format->id);
	for (size_t i = 0; i < f->n; i++) {
		size_t k = 0;

		while (k < x.n_kinds && !streq(kinds[k], f->v[i].rule))
			k++;
		if (k == x.n_kinds)
			kinds[x.n_kinds++] = f->v[i].rule;
	}
	gateway_tell(c->g, &x);
}

/* It goes on all the same: a phrase is no proof. */
static void tell_injection(struct call *c)
{
	const char *kinds[INJECTION_NAMES_MAX];
	struct gateway_event x = { .type = GATEWAY_LLM_INJECTION,
				   .provider = c->provider->name,
				   .model = *c->request.model ? c->request.model : NULL,
				   .kinds = kinds };

	if (!c->g->injection || c->body.len == 0)
		return;
	x.n_kinds = injection_find(c->g->injection, c->body.s, c->body.len, kinds);
	if (x.n_kinds == 0)
		return;
	while (!c->g->config->policies.v[x.policy].detect_injection)
		x.policy++;
	if (c->route.format)
		x.api = gateway_event_api(c->route.format->id);
	gateway_tell(c->g, &x);
}

static bool redact(struct call *c)
{
	struct gateway *g = c->g;
	struct scan_findings found = {};
	bool is_audit, ok;

	scan_body(g->scan, c->body.s, c->body.len, &found);
	if (found.n == 0)
		return true;
	is_audit = g->config->policies.v[scanning_policy(g)].is_audit;
	ok = is_audit || (!found.are_more && scan_redact(&found, &c->edits));
	tell_findings(c, &found, is_audit, ok && !is_audit);
	if (!ok)
		call_refuse(c, LLM_REFUSE_CONTENT, 0,
			    "the request holds more credentials or card numbers ('%s' and "
			    "others) than can be taken out of it",
			    found.v[0].rule);
	return ok;
}

bool call_redact(struct call *c)
{
	tell_injection(c);
	return !c->g->scan || c->body.len == 0 || redact(c);
}

/* --- the budget --- */

void call_settle(struct call *c, enum meter_end end)
{
	struct meter_call *m = c->metered;

	if (!m)
		return;
	c->metered = NULL;
	meter_settle(c->g->meter, m, c->reader ? llm_reader_answer(c->reader) : NULL, end,
		     c->status, gateway_time());
}

void call_wait(struct call *c)
{
	struct gateway *g = c->g;

	c->state = CALL_WAITING;
	c->next_waiting = NULL;
	if (g->waiting)
		g->waiting_last->next_waiting = c;
	else
		g->waiting = c;
	g->waiting_last = c;
}

void call_leave_queue(struct call *c)
{
	struct gateway *g = c->g;
	struct call **at = &g->waiting, *last = NULL;

	if (c->state != CALL_WAITING)
		return;
	for (; *at && *at != c; at = &(*at)->next_waiting)
		last = *at;
	if (!*at)
		return;
	*at = c->next_waiting;
	if (g->waiting_last == c)
		g->waiting_last = last;
}

/* What the meter said of it; refused, it is held where the container is frozen. */
static void refuse(struct call *c, const struct meter_verdict *v)
{
	struct gateway *g = c->g;

	if (v->exceeded && v->policy >= 0)
		enforce_again(g->enforce, (size_t)v->policy);
	if (v->exceeded && v->action == GATEWAY_FREEZE && enforce_is_frozen(g->enforce) &&
	    !g->is_ending)
		c->state = CALL_HELD;
	else
		call_refuse_verdict(c, v);
}

bool call_admit_free(struct call *c)
{
	struct meter_verdict v;

	meter_admit_free(c->g->meter, c->provider->name, gateway_time(), &v);
	if (!v.admitted)
		refuse(c, &v);
	return v.admitted;
}

static void admitted(struct call *c, const struct meter_verdict *v)
{
	if (v->admitted)
		call_go(c, v->out_cap);
	else
		refuse(c, v);
	if (c->state == CALL_REFUSED)
		call_resume(c);
}

/* The first of those that wait: they wait no more. */
static size_t take_waiting(struct gateway *g, struct call **calls, struct meter_ask *asks)
{
	size_t n = 0;

	for (; g->waiting && n < METER_ASKS_MAX; n++) {
		struct call *c = g->waiting;

		g->waiting = c->next_waiting;
		c->state = CALL_BODY;
		calls[n] = c;
		asks[n].provider = c->provider->name;
		asks[n].request = &c->request;
	}
	return n;
}

void calls_admit(struct gateway *g)
{
	struct meter_ask asks[METER_ASKS_MAX];
	struct call *calls[METER_ASKS_MAX];

	while (g->waiting) {
		size_t n = take_waiting(g, calls, asks);

		meter_admit_all(g->meter, asks, n, gateway_time());
		/* First all of them know what is theirs. */
		for (size_t i = 0; i < n; i++)
			calls[i]->metered = asks[i].call;
		for (size_t i = 0; i < n; i++)
			admitted(calls[i], &asks[i].verdict);
	}
}

bool call_may_go_on(struct call *c, struct meter_verdict *ret)
{
	if (!c->metered || !c->reader)
		return true;
	meter_progress(c->g->meter, c->metered, llm_reader_answer(c->reader),
		       gateway_time(), ret);
	if (!ret->admitted && ret->exceeded && ret->policy >= 0)
		enforce_again(c->g->enforce, (size_t)ret->policy);
	return ret->admitted;
}
