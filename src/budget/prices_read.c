/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads price files: JSON into the table of prices_table.h. The schema is that of
 * data/model_prices.json. Strict, since a price that is silently not there or silently ignored is
 * a wrong bill: unknown keys are refused, and every fault is told with its place.
 *
 *   {"schema": 1, "unit": "pUSD ...", "models": [
 *     {"id": "m-1", "provider": "p", "match": [{"exact": "m-1-latest"}, {"prefix": "m-1-x"}],
 *      "context": 200000, "max_output": 8192,
 *      "price": {"input": 2000000, "output": 8000000,
 *                "tiers": [{"above_input_tokens": 200000, "input": 4000000}]},
 *      "windows": [{"from_utc": "01:00:00Z", "to_utc": "04:00:00Z", "input": 1000000}],
 *      "steps": [{"from": "2027-01-01", "price": {"input": 1000000, "output": 4000000}}],
 *      "service_tiers": {"priority": {"price": {"input": 4000000, "output": 16000000}}}}]}
 *
 * Pure; the document is the administrator's, and may be damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "budget/price_reader.h"
#include "budget/prices_table.h"

#define FILE_MAX (16 << 20)
#define MODELS_MAX 8192
#define LIST_MAX 64
/* $10000 for a million tokens, and $100 for a call: above, somebody took another unit. */
#define TOKEN_RATE_MAX INT64_C(10000000000)
#define CALL_RATE_MAX INT64_C(100000000000000)
#define TOKENS_MAX INT64_C(1000000000000)

static const char *const rate_keys[RATES + 1] = {
	[RATE_INPUT] = "input",
	[RATE_OUTPUT] = "output",
	[RATE_CACHE_READ] = "cache_read",
	[RATE_CACHE_WRITE] = "cache_write",
	[RATE_CACHE_WRITE_1H] = "cache_write_1h",
	[RATE_INPUT_AUDIO] = "input_audio",
	[RATE_INPUT_IMAGE] = "input_image",
	[RATE_INPUT_VIDEO] = "input_video",
	[RATE_CACHE_AUDIO_READ] = "cache_audio_read",
	[RATE_CACHE_IMAGE_READ] = "cache_image_read",
	[RATE_OUTPUT_AUDIO] = "output_audio",
	[RATE_OUTPUT_IMAGE] = "output_image",
	[RATE_OUTPUT_VIDEO] = "output_video",
	[RATE_OUTPUT_REASONING] = "output_reasoning",
	[RATE_WEB_SEARCH] = "web_search_call",
	[RATE_REQUEST] = "request_call",
};

static int read_rates(struct price_reader *r, const struct json *j, struct rates *ret)
{
	for (int i = 0; i < RATES; i++) {
		int64_t max = i >= RATE_WEB_SEARCH ? CALL_RATE_MAX : TOKEN_RATE_MAX;
		int c;

		if (!json_get(j, rate_keys[i]))
			continue;
		c = price_reader_member(r, j, rate_keys[i], max, &ret->v[i]);
		if (c < 0)
			return c;
		ret->set |= UINT32_C(1) << i;
	}
	return 0;
}

static int read_tier(struct price_reader *r, const struct json *j, struct price_list *l)
{
	static const char *const keys[] = { "above_input_tokens", NULL };
	int64_t before = l->tiers.n ? l->tiers.v[l->tiers.n - 1].above : -1;
	struct price_tier *t = list_add(&l->tiers);
	int c;

	if (!t)
		return err_oom(r->e);
	c = price_reader_map(r, j);
	if (c == 0)
		c = price_reader_keys(r, j, keys, rate_keys);
	if (c == 0 && !json_get(j, "above_input_tokens"))
		c = price_reader_fail(r, "'above_input_tokens' is missing");
	if (c == 0)
		c = price_reader_member(r, j, "above_input_tokens", TOKENS_MAX, &t->above);
	if (c == 0 && t->above <= before)
		c = price_reader_fail(r,
				      "'above_input_tokens' is not above that of the tier before");
	if (c == 0)
		c = read_rates(r, j, &t->rates);
	if (c == 0 && !t->rates.set)
		c = price_reader_fail(r, "there is no price");
	return c;
}

static bool window_has(const struct price_window *w, int32_t second)
{
	return w->from < w->to ? second >= w->from && second < w->to :
				 second >= w->from || second < w->to;
}

static int read_window(struct price_reader *r, const struct json *j, struct price_list *l)
{
	static const char *const keys[] = { "from_utc", "to_utc", NULL };
	struct price_window *w = list_add(&l->windows);
	int c;

	if (!w)
		return err_oom(r->e);
	c = price_reader_map(r, j);
	if (c == 0)
		c = price_reader_keys(r, j, keys, rate_keys);
	if (c == 0)
		c = price_reader_clock(r, j, "from_utc", &w->from);
	if (c == 0)
		c = price_reader_clock(r, j, "to_utc", &w->to);
	if (c == 0 && (w->from == w->to || w->from == PRICE_DAY || w->to == 0))
		c = price_reader_fail(r, "'from_utc' and 'to_utc' make no part of a day (a day is 00:00:00Z "
					 "to 24:00:00Z)");
	for (size_t i = 0; c == 0 && i + 1 < l->windows.n; i++) {
		const struct price_window *other = &l->windows.v[i];

		if (window_has(other, w->from) || window_has(w, other->from))
			c = price_reader_fail(r, "this overlaps with another window");
	}
	if (c == 0)
		c = read_rates(r, j, &w->rates);
	if (c == 0 && !w->rates.set)
		c = price_reader_fail(r, "there is no price");
	return c;
}

typedef int (*read_one)(struct price_reader *r, const struct json *j, struct price_list *l);

static int read_each(struct price_reader *r, const struct json *map, const char *key,
		     read_one one, struct price_list *l)
{
	const struct json *j = json_get(map, key);
	size_t back;
	int c;

	if (!j)
		return 0;
	back = price_reader_enter(r, ".%s", key);
	c = price_reader_list(r, j, LIST_MAX);
	for (size_t i = 0; c == 0 && i < j->n; i++) {
		size_t len = price_reader_enter(r, "[%zu]", i);

		c = one(r, j->items[i], l);
		if (c == 0)
			price_reader_leave(r, len);
	}
	if (c == 0)
		price_reader_leave(r, back);
	return c;
}

/* "price" and "windows" of a map into a list. */
static int read_price(struct price_reader *r, const struct json *map, struct price_list *l)
{
	static const char *const keys[] = { "tiers", NULL };
	const struct json *j = json_get(map, "price");
	size_t back;
	int c;

	if (!j)
		return price_reader_fail(r, "'price' is missing");
	back = price_reader_enter(r, ".price");
	c = price_reader_map(r, j);
	if (c == 0)
		c = price_reader_keys(r, j, keys, rate_keys);
	if (c == 0)
		c = read_rates(r, j, &l->rates);
	if (c == 0 && !(l->rates.set & (1u << RATE_INPUT)))
		c = price_reader_fail(r, "'input' is missing");
	if (c == 0)
		c = read_each(r, j, "tiers", read_tier, l);
	if (c < 0)
		return c;
	price_reader_leave(r, back);
	c = read_each(r, map, "windows", read_window, l);
	if (c == 0 && l->tiers.n && l->windows.n)
		c = price_reader_fail(r, "'tiers' and 'windows' together are not supported");
	return c;
}

static int read_step(struct price_reader *r, const struct json *j, struct price_service *s)
{
	static const char *const keys[] = { "from", "price", "windows", NULL };
	int64_t before = s->steps.v[s->steps.n - 1].from;
	struct price_list *l = list_add(&s->steps);
	int c;

	if (!l)
		return err_oom(r->e);
	c = price_reader_map(r, j);
	if (c == 0)
		c = price_reader_keys(r, j, keys, NULL);
	if (c == 0)
		c = price_reader_date(r, j, "from", &l->from);
	if (c == 0 && l->from <= before)
		c = price_reader_fail(r, "'from' is not after that of the step before");
	return c < 0 ? c : read_price(r, j, l);
}

/* The prices of one service tier: the map has "price", and may have "windows" and "steps". */
static int read_service(struct price_reader *r, const struct json *map, const char *name,
			struct price_model *m)
{
	struct price_service *s = list_add(&m->services);
	const struct json *j = json_get(map, "steps");
	struct price_list *first;
	size_t back;
	int c;

	if (!s)
		return err_oom(r->e);
	s->name = strdup(name);
	first = list_add(&s->steps);
	if (!s->name || !first)
		return err_oom(r->e);
	first->from = INT64_MIN;
	c = read_price(r, map, first);
	if (c < 0 || !j)
		return c;
	back = price_reader_enter(r, ".steps");
	c = price_reader_list(r, j, LIST_MAX);
	for (size_t i = 0; c == 0 && i < j->n; i++) {
		size_t len = price_reader_enter(r, "[%zu]", i);

		c = read_step(r, j->items[i], s);
		if (c == 0)
			price_reader_leave(r, len);
	}
	if (c == 0)
		price_reader_leave(r, back);
	return c;
}

static int read_services(struct price_reader *r, const struct json *map,
			 struct price_model *m)
{
	static const char *const keys[] = { "price", "windows", "steps", NULL };
	const struct json *j = json_get(map, "service_tiers");
	size_t back;
	int c;

	if (!j)
		return 0;
	back = price_reader_enter(r, ".service_tiers");
	c = price_reader_map(r, j);
	if (c == 0 && j->n > LIST_MAX)
		c = price_reader_fail(r, "there are more than %d", LIST_MAX);
	for (size_t i = 0; c == 0 && i < j->n; i++) {
		size_t len;

		if (!j->keys[i][0] || strlen(j->keys[i]) > 32 ||
		    strspn(j->keys[i], "abcdefghijklmnopqrstuvwxyz_") != strlen(j->keys[i]) ||
		    streq(j->keys[i], "default") || streq(j->keys[i], "standard"))
			return price_reader_fail(
				r, "'%s' is not the name of another tier than the usual one",
				price_reader_show(j->keys[i]).s);
		len = price_reader_enter(r, ".%s", j->keys[i]);
		c = price_reader_map(r, j->items[i]);
		if (c == 0)
			c = price_reader_keys(r, j->items[i], keys, NULL);
		if (c == 0)
			c = read_service(r, j->items[i], j->keys[i], m);
		if (c == 0)
			price_reader_leave(r, len);
	}
	if (c == 0)
		price_reader_leave(r, back);
	return c;
}

static int add_name(struct price_reader *r, struct price_model *m, bool is_prefix,
		    char **text)
{
	struct price_name *n;

	/* The id is a name too, and may be told again. */
	if (!is_prefix && m->names.n && streq(m->names.v[0].text, *text))
		return 0;
	n = list_add(&m->names);
	if (!n)
		return err_oom(r->e);
	n->is_prefix = is_prefix;
	n->text = take_ptr(text);
	return 0;
}

static int read_match(struct price_reader *r, const struct json *map, struct price_model *m)
{
	static const char *const keys[] = { "exact", "prefix", NULL };
	const struct json *j = json_get(map, "match");
	_free_ char *id = strdup(m->id);
	size_t back;
	int c;

	if (!id)
		return err_oom(r->e);
	c = add_name(r, m, false, &id);
	if (c < 0 || !j)
		return c;
	back = price_reader_enter(r, ".match");
	c = price_reader_list(r, j, LIST_MAX);
	for (size_t i = 0; c == 0 && i < j->n; i++) {
		const struct json *rule = j->items[i];
		size_t len = price_reader_enter(r, "[%zu]", i);
		_free_ char *text = NULL;

		c = price_reader_map(r, rule);
		if (c == 0)
			c = price_reader_keys(r, rule, keys, NULL);
		if (c == 0 && rule->n != 1)
			c = price_reader_fail(r, "a rule has one of 'exact' and 'prefix'");
		if (c == 0)
			c = price_reader_name(r, rule, rule->keys[0], &text);
		if (c == 0)
			c = add_name(r, m, streq(rule->keys[0], "prefix"), &text);
		if (c == 0)
			price_reader_leave(r, len);
	}
	if (c == 0)
		price_reader_leave(r, back);
	return c;
}

static int read_model(struct price_reader *r, const struct json *j, struct price_model *m)
{
	static const char *const keys[] = {
		"id",	 "provider", "match", "context",       "max_output", "src",
		"price", "windows",  "steps", "service_tiers", NULL
	};
	int64_t src;
	int c = price_reader_map(r, j);

	if (c == 0)
		c = price_reader_name(r, j, "id", &m->id);
	if (c < 0)
		return c;
	price_reader_enter(r, " '%s'", price_reader_show(m->id).s);
	c = price_reader_keys(r, j, keys, NULL);
	if (c == 0)
		c = price_reader_name(r, j, "provider", &m->provider);
	if (c == 0)
		c = read_match(r, j, m);
	if (c == 0)
		c = price_reader_member(r, j, "context", TOKENS_MAX, &m->context);
	if (c == 0)
		c = price_reader_member(r, j, "max_output", TOKENS_MAX, &m->max_output);
	if (c == 0)
		c = price_reader_member(r, j, "src", INT32_MAX, &src);
	if (c == 0)
		c = read_service(r, j, "", m);
	return c < 0 ? c : read_services(r, j, m);
}

/* --- names that no call could tell apart --- */

struct claim {
	const struct price_model *m;
	const struct price_name *n;
};

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = strcmp(x->m->provider, y->m->provider);

	if (c == 0)
		c = strcmp(x->n->text, y->n->text);
	return c ? c : (int)x->n->is_prefix - (int)y->n->is_prefix;
}

static int check_claims(struct price_reader *r, const struct prices *p)
{
	LIST_OF(struct claim) claims = {};
	int c = 0;

	for (size_t i = 0; i < p->models.n; i++) {
		const struct price_model *m = p->models.v[i];

		for (size_t k = 0; k < m->names.n; k++) {
			struct claim *claim = list_add(&claims);

			if (!claim) {
				free(claims.v);
				return err_oom(r->e);
			}
			*claim = (struct claim){ m, &m->names.v[k] };
		}
	}
	if (claims.n)
		qsort(claims.v, claims.n, sizeof(*claims.v), compare_claims);
	for (size_t i = 0; c == 0 && i + 1 < claims.n; i++) {
		const struct claim *x = &claims.v[i];

		if (compare_claims(x, x + 1) == 0)
			c = price_reader_fail(r,
					      "the models '%s' and '%s' of '%s' both have the %s '%s'",
					      price_reader_show(x->m->id).s,
					      price_reader_show(x[1].m->id).s,
					      price_reader_show(x->m->provider).s,
					      x->n->is_prefix ? "prefix" : "name",
					      price_reader_show(x->n->text).s);
	}
	free(claims.v);
	return c;
}

static int check_head(struct price_reader *r, const struct json *j)
{
	static const char *const keys[] = { "schema",  "unit",	 "as_of", "sources",
					    "changes", "models", NULL };
	const struct json *unit = json_get(j, "unit");
	int64_t schema = 0;
	int c = price_reader_map(r, j);

	if (c == 0)
		c = price_reader_keys(r, j, keys, NULL);
	if (c == 0)
		c = price_reader_member(r, j, "schema", INT32_MAX, &schema);
	if (c == 0 && schema != 1)
		c = price_reader_fail(
			r,
			"'schema' is missing, or not 1, which this version of Purple reads");
	/* Who writes dollars has to read this first. */
	if (c == 0 &&
	    (!unit || unit->type != JSON_TEXT || !str_has_prefix(unit->text, "pUSD")))
		c = price_reader_fail(r, "'unit' is missing or not pUSD (10^-12 US dollars for a token or call; "
					 "$1 for a million tokens is 1000000)");
	if (c == 0 && !json_get(j, "models"))
		c = price_reader_fail(r, "'models' is missing");
	return c;
}

static int read_models(struct price_reader *r, const struct json *j, struct prices *p)
{
	size_t back = price_reader_enter(r, "models");
	int c = price_reader_list(r, j, MODELS_MAX);

	for (size_t i = 0; c == 0 && i < j->n; i++) {
		size_t len = price_reader_enter(r, "[%zu]", i);
		struct price_model **slot = list_add(&p->models);

		if (!slot)
			return err_oom(r->e);
		*slot = calloc(1, sizeof(**slot));
		if (!*slot)
			return err_oom(r->e);
		c = read_model(r, j->items[i], *slot);
		if (c == 0)
			price_reader_leave(r, len);
	}
	if (c == 0)
		price_reader_leave(r, back);
	return c;
}

/* Puts what was read behind what is there. No error leaves the table half changed. */
static int append(struct prices *p, struct prices *more, struct err *e)
{
	size_t old = p->models.n;

	for (size_t i = 0; i < more->models.n; i++) {
		struct price_model **slot = list_add(&p->models);

		if (!slot) {
			p->models.n = old;
			return err_oom(e);
		}
		*slot = more->models.v[i];
		(*slot)->layer = p->layers;
	}
	for (size_t i = 0; i < old; i++) {
		for (size_t k = old; k < p->models.n; k++) {
			struct price_model *m = p->models.v[i];

			if (streq(m->id, p->models.v[k]->id) &&
			    streq(m->provider, p->models.v[k]->provider))
				m->replaced = true;
		}
	}
	p->layers++;
	free(more->models.v);
	free(more);
	return 0;
}

int prices_add(struct prices **p, const char *text, size_t len, const char *name,
	       struct err *e)
{
	_json_free_ struct json *j = NULL;
	_prices_free_ struct prices *more = NULL;
	struct price_reader r = { .file = name, .e = e };
	int c = json_parse(text, len, name, &j, e);

	if (c < 0)
		return c;
	more = calloc(1, sizeof(*more));
	if (!more)
		return err_oom(e);
	c = check_head(&r, j);
	if (c == 0)
		c = read_models(&r, json_get(j, "models"), more);
	if (c == 0)
		c = check_claims(&r, more);
	if (c < 0)
		return c;
	if (!*p) {
		more->layers = 1;
		*p = take_ptr(&more);
		return 0;
	}
	c = append(*p, more, e);
	if (c == 0)
		more = NULL;
	return c;
}

int prices_add_file(struct prices **p, const char *path, struct err *e)
{
	_free_ char *text = NULL;
	size_t len = 0;
	int c = fs_read_document(AT_FDCWD, path, FILE_MAX, &text, &len, e);

	return c < 0 ? c : prices_add(p, text, len, path, e);
}

int prices_load(const char *shipped, const char *overlay, struct prices **ret, struct err *e)
{
	_prices_free_ struct prices *p = NULL;
	int c = prices_add_file(&p, shipped, e);

	if (c < 0)
		return c;
	if (overlay) {
		c = prices_add_file(&p, overlay, e);
		if (c < 0 && c != -ENOENT)
			return c;
	}
	*ret = take_ptr(&p);
	return 0;
}

static void price_model_free(struct price_model *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->services.n; i++) {
		struct price_service *s = &m->services.v[i];

		for (size_t k = 0; k < s->steps.n; k++) {
			free(s->steps.v[k].tiers.v);
			free(s->steps.v[k].windows.v);
		}
		free(s->steps.v);
		free(s->name);
	}
	for (size_t i = 0; i < m->names.n; i++)
		free(m->names.v[i].text);
	free(m->names.v);
	free(m->services.v);
	free(m->id);
	free(m->provider);
	free(m);
}

void prices_free(struct prices *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->models.n; i++)
		price_model_free(p->models.v[i]);
	free(p->models.v);
	free(p);
}
