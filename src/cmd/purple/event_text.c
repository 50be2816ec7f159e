/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of events.jsonl for people: see event_text.h. Such lines hold what programs of the
 * container chose: all of it is cleaned. Pure.
 */
#include "cmd/purple/event_text.h"

#include "cmd/purple/event_trace_text.h"
#include "cmd/purple/purple.h"

const char *event_text_at(const struct json *j, const char *a, const char *b)
{
	j = json_get(j, a);
	if (j && b)
		j = j->type == JSON_MAP ? json_get(j, b) : NULL;
	return j && (j->type == JSON_TEXT || j->type == JSON_NUMBER) ? j->text : "";
}

void event_text_add(struct buf *out, const char *before, const char *text, const char *after)
{
	if (!*text)
		return;
	buf_adds(out, before);
	print_plain(out, text, 0);
	buf_adds(out, after);
}

static void add(struct buf *out, const char *before, const char *text, const char *after)
{
	event_text_add(out, before, text, after);
}

static void add_end(struct buf *out, const char *before, const struct json *j,
		    const char *which)
{
	const char *port = event_text_at(j, which, "port");

	if (!*event_text_at(j, which, "ip") && !*port)
		return;
	buf_adds(out, before);
	add(out, " ", event_text_at(j, which, "ip"), "");
	add(out, " port ", port, "");
	add(out, " (", event_text_at(j, which, "domain"), ")");
}

static void add_rule(struct buf *out, const struct json *j)
{
	add(out, ": ", event_text_at(j, "rule", "name"), "");
	add(out, " (", event_text_at(j, "rule", "reference"), ")");
}

static void write_network(struct buf *out, const struct json *j)
{
	add(out, " ", event_text_at(j, "event", "action"), "");
	add(out, " ", event_text_at(j, "network", "transport"), "");
	add(out, " protocol ", event_text_at(j, "network", "iana_number"), "");
	add_end(out, " at", j, "server");
	add_end(out, " to", j, "destination");
	add_end(out, " from", j, "source");
	add(out, ", by ", event_text_at(j, "process", "name"), "");
	add(out, " (process ", event_text_at(j, "process", "pid"), ")");
	add_rule(out, j);
	if (!streq(event_text_at(j, "count", NULL), "1"))
		add(out, ", ", event_text_at(j, "count", NULL), " times");
}

static void add_list(struct buf *out, const char *before, const struct json *list)
{
	for (size_t i = 0; list && list->type == JSON_LIST && i < list->n; i++)
		if (list->items[i]->type == JSON_TEXT)
			add(out, i ? ", " : before, list->items[i]->text, "");
}

static void write_lookup(struct buf *out, const struct json *j)
{
	const struct json *dns = json_get(j, "dns");

	if (!dns || dns->type != JSON_MAP)
		return;
	add(out, " lookup of ", event_text_at(dns, "question", "name"), "");
	add(out, " ", event_text_at(dns, "question", "type"), "");
	add(out, ", ", event_text_at(dns, "response_code", NULL), "");
	add_list(out, " ", json_get(dns, "resolved_ip"));
	add_list(out, ", without ", json_get(dns, "removed_ip"));
	add(out, ", ", event_text_at(j, "reason", NULL), "");
	add_rule(out, j);
}

static void write_lost(struct buf *out, const struct json *j)
{
	static const struct {
		const char *key, *what;
	} kinds[] = {
		{ "limited", "denials (too many of a rule)" },
		{ "full", "denials (faster than they were read)" },
		{ "dns", "lookups" },
		{ "log", "lines (the file is full, or cannot be written)" },
		{ "trace", "events (faster than they were read)" },
		{ "record", "lines of audit logs (faster than they were written)" },
	};
	const char *comma = " not told one by one: ";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *n = event_text_at(j, "lost", kinds[i].key);

		if (!*n || streq(n, "0"))
			continue;
		add(out, comma, n, " ");
		buf_adds(out, kinds[i].what);
		comma = ", ";
	}
}

static void write_end(struct buf *out, const struct json *j)
{
	add(out, " ", event_text_at(j, "denied", NULL), " denials in all;");
	write_lost(out, j);
}

static void write_sums(struct buf *out, const struct json *j)
{
	const struct json *list = json_get(j, "denials");
	const char *comma = " in all: ";

	for (size_t i = 0; list && list->type == JSON_LIST && i < list->n; i++) {
		if (list->items[i]->type != JSON_MAP)
			continue;
		add(out, comma, event_text_at(list->items[i], "count", NULL), "");
		add_rule(out, list->items[i]);
		comma = "; ";
	}
}

static void write_rules(struct buf *out, const struct json *j)
{
	const struct json *rules = json_get(j, "rules"), *list;
	const char *comma = ": ";

	add(out, " rules of generation ", event_text_at(j, "rules", "generation"), "");
	list = rules && rules->type == JSON_MAP ? json_get(rules, "policies") : NULL;
	for (size_t i = 0; list && list->type == JSON_LIST && i < list->n; i++) {
		if (list->items[i]->type != JSON_MAP)
			continue;
		add(out, comma, event_text_at(list->items[i], "name", NULL), "");
		add(out, " (", event_text_at(list->items[i], "enforcement", NULL), ")");
		comma = ", ";
	}
}

/* --- LLM calls --- */

static void write_call(struct buf *out, const struct json *j)
{
	const struct json *ai = json_get(j, "gen_ai");

	if (!ai || ai->type != JSON_MAP)
		return;
	add(out, " call of ", event_text_at(ai, "system", NULL), "");
	add(out, " ", event_text_at(ai, "request", "model"), "");
	add(out, ", ", event_text_at(ai, "usage", "input_tokens"), " tokens in");
	add(out, ", ", event_text_at(ai, "usage", "output_tokens"), " out");
	add(out, ", ", event_text_at(j, "cost_text", NULL), "");
	if (json_get(j, "estimated"))
		buf_adds(out, " (estimated)");
	add(out, ", for ", event_text_at(j, "reason", NULL), "");
	add_list(out, ": ", json_get(j, "kinds"));
	add_rule(out, j);
}

static void write_budget(struct buf *out, const struct json *j)
{
	add(out, " of ", event_text_at(j, "budget", "name"), "");
	add(out, " at ", event_text_at(j, "budget", "percent"), " %");
	add(out, ": ", event_text_at(j, "budget", "cost_text"), "");
	add(out, " of ", event_text_at(j, "budget", "cost_limit_text"), "");
	add(out, ", ", event_text_at(j, "budget", "tokens"), "");
	add(out, " of ", event_text_at(j, "budget", "tokens_limit"), " tokens");
	add(out, ", action: ", event_text_at(j, "budget", "action"), "");
	add_rule(out, j);
}

/* What the gateway tells of itself. */
static void write_gateway(struct buf *out, const struct json *j)
{
	const struct json *error = json_get(j, "error");

	add(out, " ", event_text_at(j, "calls", NULL), " calls");
	if (*event_text_at(j, "calls", NULL))
		add(out, ", ", event_text_at(j, "denied", NULL), " refused");
	add(out, " ", event_text_at(j, "action", NULL), "");
	if (error && error->type == JSON_MAP)
		add(out, ": ", event_text_at(error, "message", NULL), "");
	add_rule(out, j);
	write_lost(out, j);
}

static void write_stop(struct buf *out, const struct json *j)
{
	add(out, " for ", event_text_at(j, "event", "action"), "");
	add(out, ": ", event_text_at(j, "reason", NULL), "");
	add_rule(out, j);
}

/* Every type, and how it is told. */
static const struct {
	const char *name;
	void (*write)(struct buf *out, const struct json *j);
} types[] = {
	{ "network", write_network },
	{ "dns", write_lookup },
	{ "lost", write_lost },
	{ "denials", write_sums },
	{ "start", write_rules },
	{ "rules", write_rules },
	{ "end", write_end },
	{ "llm_call", write_call },
	{ "llm_denied", write_call },
	{ "llm_sensitive", write_call },
	{ "llm_injection", write_call },
	{ "budget_alert", write_budget },
	{ "budget_exceeded", write_budget },
	{ "budget_lifted", write_budget },
	{ "action_failed", write_gateway },
	{ "gateway_started", write_gateway },
	{ "gateway_stopped", write_gateway },
	{ "gateway_died", write_gateway },
	{ "process", event_write_process },
	{ "file", event_write_file },
	{ "syscall", event_write_syscall },
	{ "privilege", event_write_privilege },
	{ "syscalls", event_write_syscalls },
	{ "limit", event_write_limit },
	{ "usage", event_write_usage },
	{ "stop", write_stop },
	{ "log_failed", event_write_failure },
	{ "recorder_died", event_write_failure },
	{ "audit_stopped", event_write_failure },
	{ "log_repaired", event_write_repaired },
	{ "log_removed", event_write_removed },
	{ "monitor_died", event_write_died },
};

bool event_type_is_known(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(types[i].name, type))
			return true;
	return false;
}

void event_type_names(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		buf_addf(out, "%s%s", i ? ", " : "", types[i].name);
}

void event_write_text(struct buf *out, const struct json *j)
{
	const char *verdict = event_text_at(j, "verdict", NULL);
	const char *type = event_text_at(j, "type", NULL);

	print_plain(out, event_text_at(j, "@timestamp", NULL), 0);
	if (streq(verdict, "deny"))
		buf_adds(out, " denied");
	else if (streq(verdict, "audit"))
		buf_adds(out, " would be denied:");
	else if (!streq(type, "llm_call"))
		add(out, " ", streq(type, "dns") ? verdict : type, "");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(types[i].name, type))
			types[i].write(out, j);
}
