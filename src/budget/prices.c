/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which model a name stands for, and what a call of it costs: see prices.h. Pure; names and
 * figures come from the sandbox and from providers, so everything is checked and nothing wraps.
 */
#include "budget/prices.h"

#include <string.h>

#include "base/str.h"
#include "budget/money.h"
#include "budget/prices_table.h"

#define DAY (24 * 60 * 60)

const char *price_answer_text(enum price_answer a)
{
	switch (a) {
	case PRICE_OK:
		return "there is a price";
	case PRICE_UNKNOWN:
		return "the model has no price";
	case PRICE_AMBIGUOUS:
		return "models of several providers go by this name";
	case PRICE_NO_RATE:
		return "the model has no price for a part of the call";
	case PRICE_BAD_USAGE:
		return "the figures of the call contradict each other";
	case PRICE_OVERFLOW:
		return "the sum is too large";
	case PRICE_TOO_DEAR:
		return "the input alone costs more than there is left";
	}
	return "";
}

const char *price_model_id(const struct price_model *m)
{
	return m->id;
}

const char *price_model_provider(const struct price_model *m)
{
	return m->provider;
}

int64_t price_model_max_output(const struct price_model *m)
{
	return m->max_output;
}

int64_t price_model_context(const struct price_model *m)
{
	return m->context;
}

size_t prices_count(const struct prices *p)
{
	return p->models.n;
}

const struct price_model *prices_at(const struct prices *p, size_t i)
{
	return p->models.v[i];
}

/* --- names --- */

struct text {
	const char *s;
	size_t len;
};

/* What fits best so far. */
struct found {
	const struct price_model *m;
	size_t len;
	bool is_ambiguous;
};

static bool is_provider(const struct prices *p, struct text name)
{
	for (size_t i = 0; i < p->models.n; i++) {
		const char *s = p->models.v[i]->provider;

		if (*s == *name.s && strlen(s) == name.len &&
		    memcmp(s, name.s, name.len) == 0)
			return true;
	}
	return false;
}

static bool is_of(const struct price_model *m, struct text provider)
{
	return !provider.s ||
	       (*m->provider == *provider.s && strlen(m->provider) == provider.len &&
		memcmp(m->provider, provider.s, provider.len) == 0);
}

static bool name_fits(const struct price_name *n, struct text t, bool by_prefix)
{
	size_t len;

	/* The first letter tells most of them apart; this is asked for each call. */
	if (n->is_prefix != by_prefix || *n->text != *t.s)
		return false;
	len = strlen(n->text);
	return (by_prefix ? len <= t.len : len == t.len) && memcmp(n->text, t.s, len) == 0;
}

/* The longer name wins, then the later file; two providers in one file are a question. */
static void offer(struct found *f, const struct price_model *m, size_t len)
{
	if (f->m && (len < f->len || (len == f->len && m->layer < f->m->layer)))
		return;
	f->is_ambiguous = f->m && f->m != m && len == f->len && m->layer == f->m->layer;
	f->m = m;
	f->len = len;
}

static enum price_answer search(const struct prices *p, struct text provider,
				struct text name, bool by_prefix,
				const struct price_model **ret)
{
	struct found f = {};

	for (size_t i = 0; i < p->models.n; i++) {
		const struct price_model *m = p->models.v[i];

		if (m->replaced || !is_of(m, provider))
			continue;
		for (size_t k = 0; k < m->names.n; k++) {
			if (name_fits(&m->names.v[k], name, by_prefix))
				offer(&f, m, strlen(m->names.v[k].text));
		}
	}
	if (!f.m)
		return PRICE_UNKNOWN;
	if (f.is_ambiguous)
		return PRICE_AMBIGUOUS;
	*ret = f.m;
	return PRICE_OK;
}

/* The shape of a date at the end of a name, 'd' for a digit. */
static bool ends_in(struct text t, const char *shape)
{
	size_t len = strlen(shape);
	const char *s = t.s + t.len - len;

	if (t.len <= len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (shape[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return false;
	}
	return true;
}

static struct text without_date(struct text t)
{
	if (ends_in(t, "-20dddddd"))
		t.len -= strlen("-20dddddd");
	else if (ends_in(t, "-20dd-dd-dd"))
		t.len -= strlen("-20dd-dd-dd");
	return t;
}

/* The name as it is, and the name without what stands before its slash, in one order of rules. */
static enum price_answer search_all(const struct prices *p, struct text provider,
				    struct text owner, struct text name, struct text cut,
				    const struct price_model **ret)
{
	struct text of = owner.s ? owner : provider, undated = without_date(cut);
	enum price_answer a = search(p, provider, name, false, ret);

	if (a == PRICE_UNKNOWN && cut.len < name.len)
		a = search(p, of, cut, false, ret);
	if (a == PRICE_UNKNOWN && undated.len < cut.len)
		a = search(p, of, undated, false, ret);
	return a == PRICE_UNKNOWN ? search(p, of, cut, true, ret) : a;
}

enum price_answer prices_find(const struct prices *p, const char *provider,
			      const char *name, const struct price_model **ret)
{
	const char *slash = strchr(name, '/');
	struct text all = { name, strlen(name) }, cut = all, owner = {}, hint = {};
	enum price_answer a = PRICE_UNKNOWN;

	if (slash) {
		owner = (struct text){ name, (size_t)(slash - name) };
		if (is_provider(p, owner) || str_has_prefix(name, "models/"))
			cut = (struct text){ slash + 1, strlen(slash + 1) };
		if (!is_provider(p, owner))
			owner = (struct text){};
	}
	if (provider)
		hint = (struct text){ provider, strlen(provider) };
	if (hint.s && is_provider(p, hint))
		a = search_all(p, hint, owner, all, cut, ret);
	return a == PRICE_UNKNOWN ? search_all(p, (struct text){}, owner, all, cut, ret) :
				    a;
}

/* --- rates --- */

/* Prices for calls of some size at some hour, nothing of them left open but what `set` lacks. */
struct scheme {
	int64_t above, upto; /* tokens of input: more than, and at most */
	struct rates r;
};

static bool has(const struct rates *r, enum rate i)
{
	return r->set & (UINT32_C(1) << i);
}

static void set(struct rates *r, enum rate i, int64_t v)
{
	r->v[i] = v;
	r->set |= UINT32_C(1) << i;
}

static void override(struct rates *r, const struct rates *by)
{
	for (int i = 0; i < RATES; i++) {
		if (has(by, (enum rate)i))
			set(r, (enum rate)i, by->v[i]);
	}
}

/* `i` costs what `other` costs, if the table does not say. */
static void fall_back(struct rates *r, enum rate i, enum rate other)
{
	if (!has(r, i) && has(r, other))
		set(r, i, r->v[other]);
}

static void at_least(struct rates *r, enum rate i, enum rate other)
{
	if (has(r, i) && has(r, other) && r->v[other] > r->v[i])
		r->v[i] = r->v[other];
}

/*
 * What is not in the table. A usage does not say which tokens were images or video: all cost what
 * the dearest of these costs. An hour in the cache never costs less than minutes.
 */
static void complete(struct rates *r)
{
	at_least(r, RATE_INPUT, RATE_INPUT_IMAGE);
	at_least(r, RATE_INPUT, RATE_INPUT_VIDEO);
	fall_back(r, RATE_INPUT_AUDIO, RATE_INPUT);
	fall_back(r, RATE_CACHE_AUDIO_READ,
		  has(r, RATE_CACHE_READ) && r->v[RATE_CACHE_READ] > r->v[RATE_INPUT_AUDIO] ?
			  RATE_CACHE_READ :
			  RATE_INPUT_AUDIO);
	fall_back(r, RATE_CACHE_READ, RATE_INPUT);
	fall_back(r, RATE_CACHE_WRITE, RATE_INPUT);
	fall_back(r, RATE_CACHE_WRITE_1H, RATE_CACHE_WRITE);
	at_least(r, RATE_CACHE_WRITE_1H, RATE_CACHE_WRITE);
	at_least(r, RATE_CACHE_READ, RATE_CACHE_IMAGE_READ);
	fall_back(r, RATE_OUTPUT_AUDIO, RATE_OUTPUT);
	fall_back(r, RATE_OUTPUT_REASONING, RATE_OUTPUT);
	at_least(r, RATE_OUTPUT, RATE_OUTPUT_IMAGE);
	at_least(r, RATE_OUTPUT, RATE_OUTPUT_VIDEO);
	if (!has(r, RATE_REQUEST))
		set(r, RATE_REQUEST, 0);
}

/* The i-th of a list's schemes: the usual one, then its tiers, or its windows. */
static size_t count_schemes(const struct price_list *l)
{
	return 1 + l->tiers.n + l->windows.n;
}

static struct scheme get_scheme(const struct price_list *l, size_t i)
{
	struct scheme s = { .above = -1, .upto = INT64_MAX, .r = l->rates };

	/* There are tiers or windows, not both. */
	if (i > 0 && l->windows.n) {
		override(&s.r, &l->windows.v[i - 1].rates);
	} else {
		if (i > 0) {
			s.above = l->tiers.v[i - 1].above;
			override(&s.r, &l->tiers.v[i - 1].rates);
		}
		if (i < l->tiers.n)
			s.upto = l->tiers.v[i].above;
	}
	complete(&s.r);
	return s;
}

static bool is_usual(const char *service)
{
	return !service || !*service || streq(service, "default") ||
	       streq(service, "standard") || streq(service, "auto");
}

/* The prices of a service tier; NULL where they may be dearer than those that are known. */
static const struct price_service *find_service(const struct price_model *m,
						const char *service)
{
	if (is_usual(service))
		return &m->services.v[0];
	for (size_t i = 1; i < m->services.n; i++) {
		if (streq(m->services.v[i].name, service))
			return &m->services.v[i];
	}
	if (streq(service, "batch") || streq(service, "flex"))
		return &m->services.v[0];
	return NULL;
}

/* The index of the step that holds at `now`. */
static size_t find_step(const struct price_service *s, int64_t now)
{
	size_t i = s->steps.n - 1;

	while (i > 0 && s->steps.v[i].from > now)
		i--;
	return i;
}

static struct scheme scheme_of(const struct price_list *l, int64_t input, int64_t now)
{
	int32_t second = (int32_t)(((now % DAY) + DAY) % DAY);
	size_t i;

	for (i = 0; i < l->windows.n; i++) {
		const struct price_window *w = &l->windows.v[i];

		if (w->from < w->to ? second >= w->from && second < w->to :
				      second >= w->from || second < w->to)
			return get_scheme(l, i + 1);
	}
	for (i = l->tiers.n; i > 0 && input <= l->tiers.v[i - 1].above; i--)
		;
	return get_scheme(l, i);
}

/* --- sums --- */

/* sum += n * rate. What was not used needs no rate. */
static enum price_answer charge(int64_t *sum, const struct rates *r, enum rate i, int64_t n)
{
	int64_t v;

	if (n == 0)
		return PRICE_OK;
	if (!has(r, i))
		return PRICE_NO_RATE;
	if (!money_mul(n, r->v[i], &v) || !money_add(*sum, v, sum))
		return PRICE_OVERFLOW;
	return PRICE_OK;
}

static enum price_answer check_usage(const struct usage *u, int64_t *ret_input)
{
	const int64_t all[] = { u->in_uncached, u->cache_read, u->cache_audio,
				u->cache_w5m,	u->cache_w1h,  u->in_audio,
				u->out,		u->reasoning,  u->out_audio,
				u->web_search };
	int64_t input = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i] < 0)
			return PRICE_BAD_USAGE;
	}
	if (u->cache_audio > u->cache_read || u->reasoning > u->out ||
	    u->out_audio > u->out - u->reasoning)
		return PRICE_BAD_USAGE;
	if (!money_add(input, u->in_uncached, &input) ||
	    !money_add(input, u->cache_read, &input) ||
	    !money_add(input, u->cache_w5m, &input) ||
	    !money_add(input, u->cache_w1h, &input) ||
	    !money_add(input, u->in_audio, &input))
		return PRICE_OVERFLOW;
	*ret_input = input;
	return PRICE_OK;
}

enum price_answer price_of(const struct price_model *m, const struct usage *u,
			   const char *service, int64_t now, int64_t *ret)
{
	const struct price_service *s = find_service(m, service);
	int64_t sum = 0, input = 0;
	enum price_answer a = check_usage(u, &input);
	const struct {
		enum rate rate;
		int64_t n;
	} parts[] = {
		{ RATE_INPUT, u->in_uncached },
		{ RATE_CACHE_READ, u->cache_read - u->cache_audio },
		{ RATE_CACHE_AUDIO_READ, u->cache_audio },
		{ RATE_CACHE_WRITE, u->cache_w5m },
		{ RATE_CACHE_WRITE_1H, u->cache_w1h },
		{ RATE_INPUT_AUDIO, u->in_audio },
		{ RATE_OUTPUT, u->out - u->reasoning - u->out_audio },
		{ RATE_OUTPUT_REASONING, u->reasoning },
		{ RATE_OUTPUT_AUDIO, u->out_audio },
		{ RATE_WEB_SEARCH, u->web_search },
		{ RATE_REQUEST, 1 },
	};
	struct scheme scheme;

	if (a != PRICE_OK)
		return a;
	if (!s)
		return PRICE_NO_RATE;
	scheme = scheme_of(&s->steps.v[find_step(s, now)], input, now);
	for (size_t i = 0; a == PRICE_OK && i < ARRAY_SIZE(parts); i++)
		a = charge(&sum, &scheme.r, parts[i].rate, parts[i].n);
	if (a == PRICE_OK)
		*ret = sum;
	return a;
}

enum price_answer price_of_either(const struct price_model *asked,
				  const struct price_model *answered, const struct usage *u,
				  const char *service, int64_t now, int64_t *ret)
{
	int64_t sum = 0, other = 0;
	enum price_answer a = price_of(asked, u, service, now, &sum);

	if (a == PRICE_OK && answered && answered != asked) {
		a = price_of(answered, u, service, now, &other);
		if (other > sum)
			sum = other;
	}
	if (a == PRICE_OK)
		*ret = sum;
	return a;
}

/* --- before the call --- */

static int64_t dearest(const struct rates *r, const enum rate *which, size_t n)
{
	int64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (has(r, which[i]) && r->v[which[i]] > v)
			v = r->v[which[i]];
	}
	return v;
}

static int64_t dearest_input(const struct rates *r, const struct price_ask *a)
{
	enum rate which[6] = { RATE_INPUT, RATE_CACHE_READ };
	size_t n = 2;

	if (!a->no_cache_write)
		which[n++] = RATE_CACHE_WRITE;
	if (!a->no_cache_write && !a->no_cache_write_1h)
		which[n++] = RATE_CACHE_WRITE_1H;
	if (!a->no_audio) {
		which[n++] = RATE_INPUT_AUDIO;
		which[n++] = RATE_CACHE_AUDIO_READ;
	}
	return dearest(r, which, n);
}

static int64_t dearest_output(const struct rates *r, const struct price_ask *a)
{
	const enum rate which[] = { RATE_OUTPUT, RATE_OUTPUT_REASONING, RATE_OUTPUT_AUDIO };

	return dearest(r, which, a->no_audio ? 2 : 3);
}

/* What all but the output of a call costs at most under one scheme. */
static enum price_answer bound_fixed(const struct scheme *s, const struct price_ask *a,
				     int64_t *ret)
{
	int64_t tokens = a->in_max < s->upto ? a->in_max : s->upto, sum = 0;
	enum price_answer answer;

	if (!money_mul(tokens, dearest_input(&s->r, a), &sum))
		return PRICE_OVERFLOW;
	answer = charge(&sum, &s->r, RATE_WEB_SEARCH, a->web_search_max);
	if (answer == PRICE_OK)
		answer = charge(&sum, &s->r, RATE_REQUEST, 1);
	if (answer == PRICE_OK)
		*ret = sum;
	return answer;
}

typedef enum price_answer (*each_scheme)(const struct scheme *s,
					 const struct price_ask *a, void *arg);

/* All schemes that a call can fall into which ends within a day of now. */
static enum price_answer visit(const struct price_model *m, const struct price_ask *a,
			       each_scheme each, void *arg)
{
	const struct price_service *s = find_service(m, a->service);

	if (a->in_max < 0 || a->out_max < 0 || a->web_search_max < 0)
		return PRICE_BAD_USAGE;
	if (!s)
		return PRICE_NO_RATE;
	for (size_t i = find_step(s, a->now); i < s->steps.n; i++) {
		const struct price_list *l = &s->steps.v[i];

		if (l->from > a->now && l->from - a->now > DAY)
			break;
		for (size_t k = 0; k < count_schemes(l); k++) {
			struct scheme scheme = get_scheme(l, k);
			enum price_answer answer;

			if (a->in_max <= scheme.above)
				continue;
			answer = each(&scheme, a, arg);
			if (answer != PRICE_OK)
				return answer;
		}
	}
	return PRICE_OK;
}

static enum price_answer bound_one(const struct scheme *s, const struct price_ask *a,
				   void *arg)
{
	int64_t *max = arg, sum = 0, out = 0;
	enum price_answer answer = bound_fixed(s, a, &sum);

	if (answer != PRICE_OK)
		return answer;
	if (a->out_max > 0 && !has(&s->r, RATE_OUTPUT))
		return PRICE_NO_RATE;
	if (!money_mul(a->out_max, dearest_output(&s->r, a), &out) ||
	    !money_add(sum, out, &sum))
		return PRICE_OVERFLOW;
	if (sum > *max)
		*max = sum;
	return PRICE_OK;
}

enum price_answer price_bound(const struct price_model *m, const struct price_ask *a,
			      int64_t *ret)
{
	int64_t max = 0;
	enum price_answer answer = visit(m, a, bound_one, &max);

	if (answer == PRICE_OK)
		*ret = max;
	return answer;
}

struct purchase {
	int64_t money, tokens;
};

static enum price_answer buy_one(const struct scheme *s, const struct price_ask *a, void *arg)
{
	struct purchase *p = arg;
	int64_t fixed = 0, rate = dearest_output(&s->r, a);
	enum price_answer answer = bound_fixed(s, a, &fixed);

	if (answer == PRICE_OVERFLOW || (answer == PRICE_OK && fixed > p->money))
		return PRICE_TOO_DEAR;
	if (answer != PRICE_OK)
		return answer;
	if (!has(&s->r, RATE_OUTPUT))
		return PRICE_NO_RATE;
	if (rate > 0 && (p->money - fixed) / rate < p->tokens)
		p->tokens = (p->money - fixed) / rate;
	return PRICE_OK;
}

enum price_answer price_output_bought(const struct price_model *m,
				      const struct price_ask *a, int64_t money, int64_t *ret)
{
	struct purchase p = { .money = money, .tokens = INT64_MAX };
	struct price_ask ask = *a;
	enum price_answer answer;

	ask.out_max = 0;
	answer = visit(m, &ask, buy_one, &p);
	if (answer == PRICE_OK)
		*ret = p.tokens;
	return answer;
}
