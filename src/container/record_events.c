/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What events.jsonl says of a run: denials by rule, LLM calls, what was lost. Runs in the runtime, at
 * `delete`. The lines are written by processes without rights that read what agents send: nothing of
 * them is believed but as text and numbers of a record, and what is odd is passed over.
 */
#include "container/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/num.h"

/* Of a text that an agent had a hand in. */
#define TEXT_MAX 256
/* Rules that are told apart; more of them are counted together. */
#define DENIALS_MAX 64
#define FILE_MAX ((size_t)64 << 20)

/* --- members of a line --- */

static const struct json *at(const struct json *j, const char *a, const char *b)
{
	j = json_get(j, a);
	if (j && b)
		j = j->type == JSON_MAP ? json_get(j, b) : NULL;
	return j;
}

static const char *text_at(const struct json *j, const char *a, const char *b)
{
	const struct json *v = at(j, a, b);

	return v && v->type == JSON_TEXT ? v->text : NULL;
}

/* Negative ones and no numbers at all are `absent`. */
static uint64_t number_at(const struct json *j, const char *a, const char *b, uint64_t absent)
{
	const struct json *v = at(j, a, b);
	uint64_t n;

	return v && v->type == JSON_NUMBER && num_u64(v->text, &n) == 0 && n <= INT64_MAX ?
		       n :
		       absent;
}

static void add_figure(struct opt_i64 *to, const struct json *j, const char *a,
		       const char *b)
{
	uint64_t n = number_at(j, a, b, UINT64_MAX);

	if (n == UINT64_MAX)
		return;
	to->value = n > (uint64_t)(INT64_MAX - to->value) ? INT64_MAX :
							    to->value + (int64_t)n;
	to->set = true;
}

static void set_figure(struct opt_i64 *to, const struct json *j, const char *name)
{
	*to = (struct opt_i64){};
	add_figure(to, j, name, NULL);
}

static char *shortened(const char *text)
{
	return text && *text ? strndup(text, TEXT_MAX) : NULL;
}

/* --- denials --- */

/* For whom or what it was: HOST:PORT, a name, a model. */
static void describe_target(const struct json *j, struct buf *out)
{
	static const char *const ends[] = { "destination", "server", "source" };
	const char *text;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const char *ip = text_at(j, ends[i], "ip"),
			   *name = text_at(j, ends[i], "domain");
		uint64_t port = number_at(j, ends[i], "port", 0);

		if (!ip && !name)
			continue;
		if (name)
			buf_adds(out, name);
		else
			buf_addf(out, strchr(ip, ':') && port ? "[%s]" : "%s", ip);
		if (port)
			buf_addf(out, ":%" PRIu64, port);
		return;
	}
	text = at(j, "dns", "question") ? text_at(at(j, "dns", "question"), "name", NULL) :
					  NULL;
	if (!text)
		text = text_at(j, "file", "path");
	if (!text && at(j, "gen_ai", "request"))
		text = text_at(at(j, "gen_ai", "request"), "model", NULL);
	if (!text)
		text = text_at(j, "gen_ai", "system");
	if (!text && streq_null(text_at(j, "type", NULL), "syscall"))
		text = text_at(j, "event", "action");
	buf_adds(out, text ? text : "");
}

/* Nothing of an agent's choice becomes a part of a command that it should not be. */
static bool is_plain_word(const char *text)
{
	static const char odd[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-:/[]+@%,";

	return *text && *text != '-' && text[strspn(text, odd)] == '\0';
}

/* The file that a rule stands in: without its line and column. */
static char *file_of(const char *reference)
{
	_free_ char *file = strdup(reference);

	for (int i = 0; file && i < 2; i++) {
		char *colon = strrchr(file, ':');

		if (colon && colon[1] && colon[1 + strspn(colon + 1, "0123456789")] == '\0')
			*colon = '\0';
	}
	return take_ptr(&file);
}

/* The file of a policy of the container: of the name, or of the only one that there is. */
static const char *policy_path(const struct container *c, const char *name)
{
	for (size_t i = 0; i < c->st.policies.n; i++)
		if (name && streq(c->st.policies.v[i].name, name))
			return c->st.policies.v[i].path;
	return c->st.policies.n == 1 ? c->st.policies.v[0].path : NULL;
}

/* `purple policy why FILE HOST:PORT`; a lookup is for a connection, most of them by HTTPS. */
static char *network_command(const struct run_denial *d, const struct container *c,
			     const struct json *j)
{
	const char *path = policy_path(c, d->policy), *transport;
	_free_ char *file = !path && d->reference ? file_of(d->reference) : NULL;

	path = path ? path : file;
	if (!path || !is_plain_word(path) || !d->target || !is_plain_word(d->target))
		return NULL;
	if (streq(d->type, "dns"))
		return str_printf("purple policy why %s %s:443", path, d->target);
	if (!strrchr(d->target, ':') || d->target[strlen(d->target) - 1] == ']')
		return NULL;
	transport = text_at(j, "network", "transport");
	return str_printf("purple policy why %s %s%s", path, d->target,
			  transport && streq(transport, "udp") ? "/udp" : "");
}

static char *command_of(const struct run_denial *d, const struct container *c,
			const struct json *j)
{
	const char *reason = text_at(j, "reason", NULL), *policy = d->policy;

	if (streq(d->type, "network") || streq(d->type, "dns"))
		return network_command(d, c, j);
	if (streq(d->type, "llm_denied") && reason && streq(reason, "budget"))
		return str_printf("purple budget show");
	if (!policy && c->st.policies.n == 1)
		policy = c->st.policies.v[0].name;
	if (policy && is_plain_word(policy))
		return str_printf("purple profile show %s", policy);
	return NULL;
}

/* The rule; of what no rule denied but the kernel, which call it was. */
static const char *rule_of(const struct json *j)
{
	const char *rule = text_at(j, "rule", "name");

	return rule ? rule : text_at(j, "event", "action");
}

/* Whether `have` is what shortened() made of the text. */
static bool is_text(const char *have, const char *text)
{
	if (!text || !*text)
		return !have || !*have;
	return have && strncmp(have, text, TEXT_MAX) == 0;
}

static bool is_of(const struct run_denial *d, const struct json *j, const char *type,
		  const char *verdict)
{
	return streq(d->type, type) && streq(d->verdict, verdict) &&
	       is_text(d->rule, rule_of(j)) &&
	       is_text(d->reference, text_at(j, "rule", "reference")) &&
	       is_text(d->policy, text_at(j, "rule", "ruleset"));
}

/* NULL: it is no denial. */
static const char *verdict_of(const struct json *j)
{
	const char *verdict = text_at(j, "verdict", NULL);

	return verdict && (streq(verdict, "deny") || streq(verdict, "audit")) ? verdict :
										NULL;
}

bool run_denial_read(const struct container *c, const struct json *j, struct run_denial *ret)
{
	const char *type = j->type == JSON_MAP ? text_at(j, "type", NULL) : NULL;
	const char *verdict = type ? verdict_of(j) : NULL;
	_buf_free_ struct buf target = {};
	struct run_denial d = {};

	if (!verdict)
		return false;
	describe_target(j, &target);
	d.type = strdup(type);
	d.verdict = strdup(verdict);
	d.rule = shortened(rule_of(j));
	if (!d.rule)
		d.rule = strdup("");
	d.reference = shortened(text_at(j, "rule", "reference"));
	d.policy = shortened(text_at(j, "rule", "ruleset"));
	d.target = shortened(target.s);
	if (!d.type || !d.verdict || !d.rule) {
		json_clear(&run_denial_type, &d);
		return false;
	}
	d.command = command_of(&d, c, j);
	*ret = d;
	return true;
}

static void count_denial(struct run_record *x, const struct container *c,
			 const struct json *j, const char *type, const char *verdict)
{
	uint64_t n = number_at(j, "count", NULL, 1);
	struct run_denial fresh, *d = NULL;

	*(streq(verdict, "audit") ? &x->audited : &x->denied) += n;
	for (size_t i = 0; i < x->denials.n && !d; i++)
		if (is_of(&x->denials.v[i], j, type, verdict))
			d = &x->denials.v[i];
	if (!d && x->denials.n < DENIALS_MAX && run_denial_read(c, j, &fresh)) {
		d = list_add(&x->denials);
		if (d)
			*d = fresh;
		else
			json_clear(&run_denial_type, &fresh);
	}
	if (d)
		d->count += n;
}

/* What rules denied in all: the lines have of it what was told one by one. */
static void take_sums(struct run_record *x, const struct json *list)
{
	for (size_t i = 0; list && list->type == JSON_LIST && i < list->n; i++) {
		const struct json *j = list->items[i];
		uint64_t n = j->type == JSON_MAP ? number_at(j, "count", NULL, 0) : 0;

		for (size_t k = 0; n && k < x->denials.n; k++) {
			struct run_denial *d = &x->denials.v[k];

			if (!is_of(d, j, "network", d->verdict))
				continue;
			if (n > d->count)
				d->count = n;
			break;
		}
	}
}

/* --- LLM calls --- */

static struct run_llm *llm_of(struct run_record *x)
{
	if (!x->llm && (x->llm = calloc(1, sizeof(*x->llm))))
		x->llm->incomplete = true;
	return x->llm;
}

static void add_budgets(struct run_llm *l, const struct json *list)
{
	for (size_t i = 0; list && list->type == JSON_LIST && i < list->n; i++) {
		const struct json *j = list->items[i];
		const char *name = j->type == JSON_MAP ? text_at(j, "name", NULL) : NULL;
		struct run_budget *b = name && l->budgets.n < 16 ? list_add(&l->budgets) :
								   NULL;

		if (!b)
			continue;
		b->name = shortened(name);
		if (!b->name) {
			l->budgets.n--;
			continue;
		}
		set_figure(&b->tokens, j, "tokens");
		set_figure(&b->tokens_limit, j, "tokens_limit");
		set_figure(&b->cost, j, "cost");
		set_figure(&b->cost_limit, j, "cost_limit");
	}
}

/* Until the gateway has told its sums, what it told one by one. */
static void take_llm(struct run_record *x, const struct json *j, const char *type)
{
	struct run_llm *l = llm_of(x);

	if (!l || !l->incomplete)
		return;
	if (streq(type, "llm_call")) {
		l->calls++;
		add_figure(&l->cost, j, "cost", NULL);
		if (at(j, "gen_ai", "usage")) {
			add_figure(&l->tokens, at(j, "gen_ai", "usage"), "input_tokens",
				   NULL);
			add_figure(&l->tokens, at(j, "gen_ai", "usage"), "output_tokens",
				   NULL);
		}
	} else if (streq(type, "llm_denied")) {
		l->denied++;
	} else if (streq(type, "gateway_stopped")) {
		l->incomplete = false;
		l->calls = number_at(j, "calls", NULL, l->calls);
		l->denied = number_at(j, "denied", NULL, l->denied);
		set_figure(&l->tokens, j, "tokens");
		set_figure(&l->cost, j, "cost");
		add_budgets(l, json_get(j, "budgets"));
	}
}

/* --- lines --- */

static void take_lost(struct run_record *x, const struct json *j, const char *type)
{
	const struct json *lost = json_get(j, "lost");
	uint64_t told = x->denied, all;

	/* Lines of type lost come before, and their sums are in those of the end. */
	if (!lost || lost->type != JSON_MAP ||
	    (!streq(type, "end") && !streq(type, "gateway_stopped")))
		return;
	for (size_t i = 0; i < lost->n; i++)
		x->lost += number_at(lost, lost->keys[i], NULL, 0);
	all = streq(type, "end") ? number_at(j, "denied", NULL, 0) : 0;
	if (all > told)
		x->denied = all;
}

void run_record_take_event(struct run_record *x, const struct container *c,
			   const struct json *j)
{
	const char *type = j->type == JSON_MAP ? text_at(j, "type", NULL) : NULL, *verdict;

	if (!type)
		return;
	verdict = verdict_of(j);
	if (verdict)
		count_denial(x, c, j, type, verdict);
	if (str_has_prefix(type, "llm_") || str_has_prefix(type, "gateway_"))
		take_llm(x, j, type);
	if (streq(type, "denials"))
		take_sums(x, json_get(j, "denials"));
	take_lost(x, j, type);
}

/* Whether a line can matter: most of them are calls that passed and names that were found. */
static bool may_matter(const char *line, size_t len)
{
	static const char *const words[] = {
		"\"verdict\":\"deny\"", "\"verdict\":\"audit\"", "\"type\":\"llm_",
		"\"type\":\"gateway_",	"\"type\":\"end\"",	 "\"type\":\"denials\""
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (memmem(line, len, words[i], strlen(words[i])))
			return true;
	return false;
}

static void take_text(struct run_record *x, const struct container *c, const char *text,
		      size_t len)
{
	const char *end = text + len, *newline;

	for (const char *line = text; line < end; line = newline + 1) {
		_json_free_ struct json *j = NULL;
		struct err ignored;

		newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			return;
		if (may_matter(line, (size_t)(newline - line)) &&
		    json_parse(line, (size_t)(newline - line), CONTAINER_EVENTS, &j,
			       &ignored) == 0)
			run_record_take_event(x, c, j);
	}
}

static int by_count(const void *a, const void *b)
{
	const struct run_denial *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

int run_record_take_events(struct run_record *x, const struct container *c, struct err *e)
{
	_close_ int fd = openat(c->dirfd, CONTAINER_EVENTS,
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_free_ char *text = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return errno == ENOENT ?
			       0 :
			       err_sys(e, "cannot open '%s/" CONTAINER_EVENTS "'", c->dir);
	r = fd_read_all(fd, FILE_MAX, &text, &len, e);
	if (r < 0)
		return err_wrap(e, "'%s/" CONTAINER_EVENTS "'", c->dir);
	take_text(x, c, text, len);
	if (x->denials.n > 1)
		qsort(x->denials.v, x->denials.n, sizeof(x->denials.v[0]), by_count);
	return 0;
}
