/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See events.h. Runs in purple-gateway without privileges, and in its children that have few. What
 * the agent chose is the name of a model alone, and goes through json_quote().
 */
#include "gateway/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "audit/event.h"
#include "audit/recorder.h"
#include "base/clock.h"
#include "base/json.h"
#include "budget/money.h"

#define SECOND 1000000000ull
#define VIOLATION (AUDIT_SECURITY_EVENTS | AUDIT_ALERT)

static const struct event_kind {
	const char *name;
	const char *verdict; /* NULL: it is no verdict */
	uint32_t levels;     /* of audit/config.h; 0: every log takes it */
} event_kinds[GATEWAY_EVENT_TYPES] = {
	[GATEWAY_STARTED] = { "gateway_started", NULL, 0 },
	[GATEWAY_LLM_CALL] = { "llm_call", "allow", AUDIT_API_CALLS },
	[GATEWAY_LLM_DENIED] = { "llm_denied", "deny", AUDIT_API_CALLS | VIOLATION },
	[GATEWAY_LLM_SENSITIVE] = { "llm_sensitive", "deny", AUDIT_API_CALLS | VIOLATION },
	[GATEWAY_LLM_INJECTION] = { "llm_injection", NULL, AUDIT_API_CALLS | VIOLATION },
	[GATEWAY_BUDGET_ALERT] = { "budget_alert", NULL, AUDIT_BUDGET_USAGE },
	[GATEWAY_BUDGET_EXCEEDED] = { "budget_exceeded", NULL,
				      AUDIT_BUDGET_USAGE | AUDIT_ALERT },
	[GATEWAY_BUDGET_LIFTED] = { "budget_lifted", NULL, AUDIT_BUDGET_USAGE },
	[GATEWAY_ACTION_FAILED] = { "action_failed", NULL, 0 },
	[GATEWAY_STOPPED] = { "gateway_stopped", NULL, 0 },
	[GATEWAY_DIED] = { "gateway_died", NULL, AUDIT_ALERT },
};

const char *gateway_event_name(enum gateway_event_type t)
{
	return event_kinds[t].name;
}

const char *gateway_event_api(enum llm_format_id id)
{
	static const char *const names[] = {
		[LLM_CHAT] = "chat",
		[LLM_COMPLETIONS] = "text_completion",
		[LLM_EMBEDDINGS] = "embeddings",
		[LLM_RESPONSES] = "responses",
		[LLM_MESSAGES] = "messages",
		[LLM_GENERATE] = "generate_content",
	};

	return id < ARRAY_SIZE(names) ? names[id] : NULL;
}

/* --- whose rule it is --- */

static bool is_of_budget(enum gateway_event_type t)
{
	return t == GATEWAY_BUDGET_ALERT || t == GATEWAY_BUDGET_EXCEEDED ||
	       t == GATEWAY_BUDGET_LIFTED;
}

static const struct gateway_policy *policy_of(const struct gateway_config *c,
					      const struct gateway_event *x)
{
	return x->policy >= 0 && (size_t)x->policy < c->policies.n ?
		       &c->policies.v[x->policy] :
		       NULL;
}

/* Which setting of the policy it is about: "ai_policy.budget"; and its line. 0: not known. */
static const char *event_rule(const struct gateway_config *c,
			      const struct gateway_event *x, uint32_t *ret_line)
{
	const struct gateway_policy *p = policy_of(c, x);

	*ret_line = 0;
	if (!p)
		return NULL;
	if (is_of_budget(x->type) ||
	    (x->type == GATEWAY_LLM_DENIED && x->reason == LLM_REFUSE_BUDGET)) {
		*ret_line = p->budget_line;
		return "ai_policy.budget";
	}
	if (x->type == GATEWAY_LLM_SENSITIVE || x->type == GATEWAY_LLM_INJECTION)
		return "ai_policy.security";
	if (x->type != GATEWAY_LLM_DENIED)
		return NULL;
	switch (x->reason) {
	case LLM_REFUSE_RATE:
		*ret_line = p->rates_line;
		return "ai_policy.rate_limits";
	case LLM_REFUSE_MODEL:
	case LLM_REFUSE_PROVIDER:
	case LLM_REFUSE_KEY:
		*ret_line = p->apis_line;
		return "ai_policy.llm_apis";
	case LLM_REFUSE_CONTENT:
		return "ai_policy.security";
	default:
		return NULL;
	}
}

static void add_rule(struct buf *out, const struct gateway_config *c,
		     const struct gateway_event *x)
{
	const struct gateway_policy *p = policy_of(c, x);
	_buf_free_ struct buf reference = {};
	uint32_t line;
	const char *rule = event_rule(c, x, &line);

	if (!rule)
		return;
	buf_addf(out, ",\"rule\":{\"name\":\"%s\"", rule);
	if (line) {
		buf_addf(&reference, "%s:%" PRIu32, p->file, line);
		buf_adds(out, ",\"reference\":");
		json_quote(out, reference.s ? reference.s : "");
	}
	buf_adds(out, ",\"ruleset\":");
	json_quote(out, p->name);
	buf_adds(out, "}");
	out->failed |= reference.failed;
}

/* --- calls --- */

/* At most so many bytes, and whole characters. */
static void add_model(struct buf *out, const char *model)
{
	char text[GATEWAY_EVENT_MODEL_MAX + 1];
	size_t len = strnlen(model, GATEWAY_EVENT_MODEL_MAX);

	memcpy(text, model, len);
	if (model[len])
		while (len > 0 && ((unsigned char)model[len] & 0xc0) == 0x80)
			len--;
	text[len] = '\0';
	json_quote(out, text);
}

static void add_usage(struct buf *out, const struct usage *u)
{
	__int128 in = (__int128)u->in_uncached + u->cache_read + u->cache_w5m +
		      u->cache_w1h + u->in_audio;

	buf_addf(out, ",\"usage\":{\"input_tokens\":%" PRId64 ",\"output_tokens\":%" PRId64,
		 in > INT64_MAX ? INT64_MAX : (int64_t)in, u->out);
	if (u->cache_read)
		buf_addf(out, ",\"cache_read_tokens\":%" PRId64, u->cache_read);
	if (u->cache_w5m || u->cache_w1h)
		buf_addf(out, ",\"cache_write_tokens\":%" PRId64,
			 u->cache_w5m + u->cache_w1h);
	if (u->reasoning)
		buf_addf(out, ",\"reasoning_tokens\":%" PRId64, u->reasoning);
	if (u->web_search)
		buf_addf(out, ",\"web_searches\":%" PRId64, u->web_search);
	buf_adds(out, "}");
}

static void add_call(struct buf *out, const struct gateway_event *x)
{
	buf_adds(out, ",\"gen_ai\":{\"system\":");
	json_quote(out, x->provider ? x->provider : "unknown");
	if (x->api)
		buf_addf(out, ",\"operation\":{\"name\":\"%s\"}", x->api);
	if (x->model) {
		buf_adds(out, ",\"request\":{\"model\":");
		add_model(out, x->model);
		buf_adds(out, "}");
	}
	if (x->answered) {
		buf_adds(out, ",\"response\":{\"model\":");
		add_model(out, x->answered);
		buf_adds(out, "}");
	}
	if (x->usage)
		add_usage(out, x->usage);
	buf_adds(out, "}");
	if (x->is_stream)
		buf_adds(out, ",\"stream\":true");
	if (x->is_estimate)
		buf_adds(out, ",\"estimated\":true");
	if (x->status)
		buf_addf(out, ",\"http\":{\"response\":{\"status_code\":%u}}", x->status);
	if (x->has_cost)
		buf_addf(out, ",\"cost\":%" PRId64 ",\"cost_text\":\"%s\"", x->call_cost,
			 money_text(x->call_cost).s);
}

static void add_kinds(struct buf *out, const struct gateway_event *x)
{
	buf_adds(out, ",\"kinds\":[");
	for (size_t i = 0; i < x->n_kinds; i++) {
		buf_adds(out, i ? "," : "");
		json_quote(out, x->kinds[i]);
	}
	buf_adds(out, "]");
}

/* --- budgets --- */

void gateway_budget_name(const struct gateway_config *c, const struct gateway_policy *p,
			 struct buf *out)
{
	if (p->scope == LEDGER_POLICY)
		buf_addf(out, "policy:%s", p->name);
	else if (p->scope == LEDGER_TEAM)
		buf_addf(out, "team:%s", p->team);
	else
		buf_adds(out, c->container ? c->container : "");
}

static void add_budget(struct buf *out, const struct gateway_config *c,
		       const struct gateway_event *x)
{
	const struct gateway_policy *p = policy_of(c, x);
	_buf_free_ struct buf name = {};

	if (!p)
		return;
	gateway_budget_name(c, p, &name);
	buf_adds(out, ",\"budget\":{\"name\":");
	json_quote(out, name.s ? name.s : "");
	out->failed |= name.failed;
	if (p->period != LEDGER_ALWAYS)
		buf_addf(out, ",\"period\":\"%s\"", ledger_period_name(p->period));
	if (x->type == GATEWAY_BUDGET_ALERT)
		buf_addf(out, ",\"percent\":%" PRIu32, x->percent);
	if (x->has_tokens)
		buf_addf(out, ",\"tokens\":%" PRId64 ",\"tokens_limit\":%" PRId64,
			 x->tokens, x->tokens_limit);
	if (x->has_cost_limit)
		buf_addf(out,
			 ",\"cost\":%" PRId64 ",\"cost_text\":\"%s\",\"cost_limit\":%" PRId64
			 ",\"cost_limit_text\":\"%s\"",
			 x->cost, money_text(x->cost).s, x->cost_limit,
			 money_text(x->cost_limit).s);
	if (x->type == GATEWAY_BUDGET_EXCEEDED)
		buf_addf(out, ",\"action\":\"%s\"", gateway_exceeded_name(x->action));
	buf_adds(out, "}");
}

static void add_left(struct buf *out, const struct gateway_config *c,
		     const struct gateway_left *b)
{
	_buf_free_ struct buf name = {};

	gateway_budget_name(c, &c->policies.v[b->policy], &name);
	buf_adds(out, "{\"name\":");
	json_quote(out, name.s ? name.s : "");
	out->failed |= name.failed;
	if (b->has_tokens)
		buf_addf(out, ",\"tokens\":%" PRId64 ",\"tokens_limit\":%" PRId64,
			 b->tokens, b->tokens_limit);
	if (b->has_cost)
		buf_addf(out,
			 ",\"cost\":%" PRId64 ",\"cost_text\":\"%s\",\"cost_limit\":%" PRId64
			 ",\"cost_limit_text\":\"%s\"",
			 b->cost, money_text(b->cost).s, b->cost_limit,
			 money_text(b->cost_limit).s);
	buf_adds(out, "}");
}

static void add_spent(struct buf *out, const struct gateway_config *c,
		      const struct gateway_spent *s)
{
	buf_addf(out, ",\"tokens\":%" PRId64 ",\"cost\":%" PRId64 ",\"cost_text\":\"%s\"",
		 s->tokens, s->cost, money_text(s->cost).s);
	if (s->n == 0)
		return;
	for (size_t i = 0; i < s->n; i++) {
		buf_adds(out, i ? "," : ",\"budgets\":[");
		add_left(out, c, &s->budgets[i]);
	}
	buf_adds(out, "]");
}

/* --- lines --- */

static void add_members(struct buf *out, const struct gateway_config *c,
			const struct gateway_event *x)
{
	switch (x->type) {
	case GATEWAY_LLM_CALL:
		add_call(out, x);
		break;
	case GATEWAY_LLM_DENIED:
		add_call(out, x);
		buf_addf(out, ",\"reason\":\"%s\"", llm_refusal_word(x->reason));
		break;
	case GATEWAY_LLM_SENSITIVE:
	case GATEWAY_LLM_INJECTION:
		add_call(out, x);
		add_kinds(out, x);
		break;
	case GATEWAY_ACTION_FAILED:
		buf_adds(out, ",\"action\":");
		json_quote(out, x->failed ? x->failed : "unknown");
		break;
	case GATEWAY_DIED:
		buf_addf(out, ",\"frozen\":%s", x->is_frozen ? "true" : "false");
		break;
	case GATEWAY_STOPPED:
		buf_addf(out, ",\"calls\":%" PRIu64 ",\"denied\":%" PRIu64, x->calls,
			 x->denied);
		if (x->spent)
			add_spent(out, c, x->spent);
		break;
	default:
		if (is_of_budget(x->type))
			add_budget(out, c, x);
	}
	if (x->error) {
		buf_adds(out, ",\"error\":{\"message\":");
		json_quote(out, x->error);
		buf_adds(out, "}");
	}
	if (x->lost.log || x->lost.limited || x->lost.record) {
		buf_addf(out,
			 ",\"lost\":{\"full\":0,\"limited\":%" PRIu64
			 ",\"dns\":0,\"log\":%" PRIu64,
			 x->lost.limited, x->lost.log);
		if (x->lost.record)
			buf_addf(out, ",\"record\":%" PRIu64, x->lost.record);
		buf_adds(out, "}");
	}
}

void gateway_event_print(const struct gateway_config *c, const struct gateway_event *x,
			 const char *provider, uint64_t sequence, struct timespec now,
			 struct buf *out)
{
	const struct audit_head head = { .time = now,
					 .sequence = sequence,
					 .container = c->container ? c->container : "",
					 .provider = provider,
					 .duration = x->duration_ms * 1000000 };
	const char *verdict = event_kinds[x->type].verdict;

	if (x->type == GATEWAY_LLM_SENSITIVE && x->is_redacted)
		verdict = "allow";
	if (x->is_audit)
		verdict = "audit";
	audit_event_begin(out, &head, event_kinds[x->type].name, NULL);
	if (verdict)
		buf_addf(out, ",\"verdict\":\"%s\"", verdict);
	add_members(out, c, x);
	add_rule(out, c, x);
	audit_event_close(out);
}

void gateway_events_init(struct gateway_events *ev, const struct gateway_config *c,
			 int fd, int copy_fd)
{
	*ev = (struct gateway_events){
		.config = c,
		.log = { .fd = fd, .max = AUDIT_LOG_MAX },
		.copy_fd = copy_fd,
		.calls = { .burst = 2000, .pause = SECOND / 50 },
		.refusals = { .burst = 200, .pause = SECOND / 10 },
	};
	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
}

/* An agent that goes on and on must not fill the file with it. */
static bool is_told(struct gateway_events *ev, const struct gateway_event *x)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);

	switch (x->type) {
	case GATEWAY_LLM_CALL:
		return pace_allows(&ev->calls, now);
	case GATEWAY_LLM_DENIED:
	case GATEWAY_LLM_SENSITIVE:
	case GATEWAY_LLM_INJECTION:
		return pace_allows(&ev->refusals, now);
	default:
		return true;
	}
}

static bool send_records(int fd, const struct buf *records)
{
	return !records->failed &&
	       send(fd, records->s, records->len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		       (ssize_t)records->len;
}

bool gateway_events_copy(int fd, enum gateway_event_type type, const struct buf *line)
{
	_buf_free_ struct buf record = {};

	if (fd < 0)
		return true;
	if (line->failed)
		return false;
	audit_record_add(&record, event_kinds[type].levels, line->s, line->len);
	return send_records(fd, &record);
}

/* With the next line that gets through goes one that tells how many did not before it. */
static void copy_line(struct gateway_events *ev, enum gateway_event_type type,
		      const struct buf *line, struct timespec now)
{
	const struct audit_head head = { .time = now,
					 .sequence = ev->log.sequence + 1,
					 .container = ev->config->container ?
							      ev->config->container :
							      "",
					 .provider = GATEWAY_PROVIDER };
	_buf_free_ struct buf records = {}, lost = {};

	if (ev->copy_fd < 0)
		return;
	if (line->failed)
		records.failed = true;
	else
		audit_record_add(&records, event_kinds[type].levels, line->s, line->len);
	if (ev->untold) {
		audit_event_lost(&head, &(struct audit_lost){ .record = ev->untold }, &lost);
		audit_record_add(&records, 0, lost.s, lost.len);
	}
	if (lost.failed || !send_records(ev->copy_fd, &records)) {
		ev->not_copied++;
		ev->untold++;
	} else if (ev->untold) {
		ev->log.sequence++;
		audit_log_write(&ev->log, &lost, false);
		ev->untold = 0;
	}
}

void gateway_events_write(struct gateway_events *ev, const struct gateway_event *x)
{
	struct gateway_event copy = *x;
	_buf_free_ struct buf line = {};
	struct timespec now = {};

	if (ev->log.fd < 0)
		return;
	if (!is_told(ev, x)) {
		ev->limited++;
		return;
	}
	if (x->type == GATEWAY_STOPPED) {
		copy.lost.log = ev->log.lost;
		copy.lost.limited = ev->limited;
		copy.lost.record = ev->not_copied;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gateway_event_print(ev->config, &copy, GATEWAY_PROVIDER, ++ev->log.sequence, now,
			    &line);
	audit_log_write(&ev->log, &line, x->type >= GATEWAY_BUDGET_EXCEEDED);
	copy_line(ev, x->type, &line, now);
}
