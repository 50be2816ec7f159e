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

bool call_redact(struct call *c)
{
	struct gateway *g = c->g;
	struct scan_findings found = {};
	bool is_audit, ok;

	tell_injection(c);
	if (!g->scan || c->body.len == 0)
		return true;
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

bool call_admit(struct call *c, int64_t *ret_cap)
{
	struct gateway *g = c->g;
	struct meter_verdict v = {};

	if (c->route.kind == LLM_ROUTE_METERED)
		meter_admit(g->meter, c->provider->name, &c->request, c->body.s,
			    c->body.len, gateway_time(), &c->metered, &v);
	else
		meter_admit_free(g->meter, c->provider->name, gateway_time(), &v);
	if (v.admitted) {
		*ret_cap = v.out_cap;
		return true;
	}
	if (v.exceeded && v.policy >= 0)
		enforce_again(g->enforce, (size_t)v.policy);
	if (v.exceeded && v.action == GATEWAY_FREEZE && enforce_is_frozen(g->enforce) &&
	    !g->is_ending)
		c->state = CALL_HELD;
	else
		call_refuse_verdict(c, &v);
	return false;
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
