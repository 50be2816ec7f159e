/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the documents of an answer, token by token, by the tables of its format. What a provider
 * says twice counts as it said it last (its figures only grow), or the largest where a format keeps
 * parts of them back in later events. Pure; reads foreign input.
 */
#include "gateway/answer_read.h"

#include <stdio.h>

#include "gateway/decimal.h"

/* Strings beside the text that hold none of it, and what tools gave, which is input. */
static bool is_content(const char *path)
{
	static const char *const not_text[] = { "role",
						"id",
						"type",
						"index",
						"signature",
						"thoughtSignature",
						"thought_signature",
						"encrypted_content",
						"obfuscation",
						"stop_reason",
						"data",
						"url",
						"mimeType",
						"call_id",
						"status",
						NULL };
	static const char *const not_below[] = { ".reasoning_details.", ".annotations.",
						 ".executed_tools.",
						 ".codeExecutionResult.", NULL };
	const char *leaf = strrchr(path, '.');

	leaf = leaf ? leaf + 1 : path;
	for (size_t i = 0; not_text[i]; i++)
		if (streq(leaf, not_text[i]))
			return false;
	for (size_t i = 0; not_below[i]; i++)
		if (strstr(path, not_below[i]))
			return false;
	return true;
}

static bool is_below(const char *path, const char *const *list)
{
	for (; list && *list; list++)
		if (**list == *path &&
		    (str_has_suffix(*list, ".") ? str_has_prefix(path, *list) :
						  streq(path, *list)))
			return true;
	return false;
}

static void count_text(struct llm_reader *r, const char *path, const struct json_token *t)
{
	const struct llm_format *f = r->format;
	size_t len = t->end - t->start;

	if (t->type == JSON_TOKEN_TEXT || t->type == JSON_TOKEN_KEY)
		len -= 2;
	else if (t->type != JSON_TOKEN_NUMBER)
		return;
	if (!is_below(path, f->content) &&
	    (r->shape != LLM_WHOLE || !is_below(path, f->content_whole)))
		return;
	if (t->type == JSON_TOKEN_KEY && !strstr(path, ".args.") && !strstr(path, ".input."))
		return;
	if (len == 0 || !is_content(path))
		return;
	r->answer.text_bytes += len;
	r->doc.has_text = true;
}

static void set_figure(struct llm_reader *r, struct llm_figures *f, enum llm_figure n,
		       int64_t v)
{
	if (r->format->keeps_largest && llm_has_figure(f, n) && f->v[n] > v)
		return;
	f->v[n] = v;
	f->set |= UINT64_C(1) << n;
}

static void take_figure(struct llm_reader *r, struct llm_figures *f, enum llm_figure n,
			const struct json_token *t)
{
	int shift = n == LLM_N_COST || n == LLM_N_COST_UPSTREAM ? 12 :
		    n == LLM_N_COST_TICKS			? 2 :
								  0;
	int64_t v;

	if (t->type == JSON_TOKEN_NULL)
		return;
	if (t->type != JSON_TOKEN_NUMBER || t->is_cut ||
	    decimal_scale(t->text, shift, &v) < 0 || (shift == 0 && v > LLM_FIGURE_MAX)) {
		r->answer.is_unclear = true;
		return;
	}
	set_figure(r, f, n, v);
}

static void take_text(char *ret, size_t size, const struct json_token *t)
{
	if ((t->type != JSON_TOKEN_TEXT && t->type != JSON_TOKEN_NUMBER) || t->is_cut ||
	    t->is_odd || t->len == 0 || t->len >= size)
		return;
	memcpy(ret, t->text, t->len + 1);
}

static void take(struct llm_reader *r, enum llm_figure n, const struct json_token *t)
{
	struct llm_answer *a = &r->answer;
	bool is_text = t->type == JSON_TOKEN_TEXT;

	switch (n) {
	case LLM_T_MODEL:
		take_text(a->model, sizeof(a->model), t);
		return;
	case LLM_T_TIER:
		take_text(a->tier, sizeof(a->tier), t);
		return;
	case LLM_T_SPEED:
		take_text(a->speed, sizeof(a->speed), t);
		return;
	case LLM_T_GEO:
		take_text(a->geo, sizeof(a->geo), t);
		return;
	case LLM_T_ID:
		take_text(r->id, sizeof(r->id), t);
		return;
	case LLM_T_EVENT:
		take_text(r->doc.type, sizeof(r->doc.type), t);
		return;
	case LLM_T_ERROR:
		take_text(a->error, sizeof(a->error), t);
		return;
	case LLM_T_ITEM:
		take_text(r->doc.item, sizeof(r->doc.item), t);
		return;
	case LLM_T_OUTPUT_ITEM:
		r->doc.output_items += is_text && streq(t->text, "web_search_call");
		return;
	case LLM_T_FINISH:
		r->is_finishing |= is_text;
		return;
	case LLM_E_ERROR:
		r->doc.has_error |= is_text || t->type == JSON_TOKEN_MAP;
		return;
	case LLM_E_QUERY:
		r->doc.queries += is_text;
		return;
	case LLM_B_BYOK:
		r->is_byok |= t->type == JSON_TOKEN_TRUE;
		return;
	default:
		take_figure(r, &r->figures, n, t);
	}
}

/* What llm_request_rewrite() brought about, for hide_usage. */
static void watch_usage(struct llm_reader *r, const char *path, const struct json_token *t)
{
	struct llm_document *d = &r->doc;

	if (streq(path, "choices"))
		d->has_choices |= t->type == JSON_TOKEN_LIST;
	else if (streq(path, "choices.#"))
		d->choices += t->type != JSON_TOKEN_MAP_END &&
			      t->type != JSON_TOKEN_LIST_END;
	else if (!streq(path, "usage"))
		return;
	else if (t->type == JSON_TOKEN_MAP)
		d->has_usage = true;
	else if (t->type == JSON_TOKEN_NULL) {
		d->null_start = t->key_start;
		d->null_end = t->end;
	}
}

static void usage_add(struct usage *to, const struct usage *u)
{
	to->in_uncached += u->in_uncached;
	to->cache_read += u->cache_read;
	to->cache_w5m += u->cache_w5m;
	to->cache_w1h += u->cache_w1h;
	to->in_audio += u->in_audio;
	to->out += u->out;
	to->reasoning += u->reasoning;
	to->out_audio += u->out_audio;
}

static void end_share(struct llm_reader *r)
{
	struct llm_answer *a = &r->answer;
	struct usage u = {};
	size_t i = 0;

	llm_settle_exclusive(&r->doc.share, &u);
	while (i < a->shares_n && !streq(a->shares[i].model, r->doc.share_model))
		i++;
	if (i == LLM_SHARES_MAX || u.out > LLM_FIGURE_MAX ||
	    (i < a->shares_n && a->shares[i].usage.out > LLM_FIGURE_MAX)) {
		a->is_unclear = true;
		return;
	}
	if (i == a->shares_n) {
		a->shares[a->shares_n++] = (struct llm_share){};
		memcpy(a->shares[i].model, r->doc.share_model, sizeof(a->shares[i].model));
	}
	usage_add(&a->shares[i].usage, &u);
}

/* An element of the list of shares: a model, and figures named as those of `usage`. */
static bool take_share(struct llm_reader *r, const char *path, const struct json_token *t)
{
	const struct llm_figure_row *row = r->format->figures;
	size_t len;

	if (!r->format->shares || !str_has_prefix(path, r->format->shares))
		return false;
	len = strlen(r->format->shares);
	path += len;
	if (!*path) {
		/* A list that comes again takes the place of the one before. */
		if (t->type == JSON_TOKEN_LIST)
			r->answer.shares_n = 0;
	} else if (streq(path, ".#") && t->type == JSON_TOKEN_MAP) {
		memset(&r->doc.share, 0, sizeof(r->doc.share));
		r->doc.share_model[0] = '\0';
	} else if (streq(path, ".#") && t->type == JSON_TOKEN_MAP_END) {
		end_share(r);
	} else if (streq(path, ".#.model")) {
		take_text(r->doc.share_model, sizeof(r->doc.share_model), t);
	} else if (str_has_prefix(path, ".#.") && t->type == JSON_TOKEN_NUMBER) {
		for (; row->path; row++)
			if (row->figure < LLM_N_LIMIT &&
			    str_has_prefix(row->path, "usage.") &&
			    streq(row->path + 6, path + 3))
				take_figure(r, &r->doc.share, row->figure, t);
	}
	return true;
}

/* Lists of tokens by modality: only sound has a price of its own. */
static void take_audio(struct llm_reader *r, const char *path, const struct json_token *t)
{
	const struct llm_figure_row *row = r->format->audio;

	for (; row && row->path; row++) {
		const char *rest = path + strlen(row->path);

		if (!str_has_prefix(path, row->path))
			continue;
		if (!*rest && t->type == JSON_TOKEN_MAP) {
			r->doc.modality[0] = '\0';
			r->doc.tokens = 0;
		} else if (streq(rest, ".modality")) {
			take_text(r->doc.modality, sizeof(r->doc.modality), t);
		} else if (streq(rest, ".tokenCount") && t->type == JSON_TOKEN_NUMBER &&
			   (t->is_cut || decimal_scale(t->text, 0, &r->doc.tokens) < 0 ||
			    r->doc.tokens > LLM_FIGURE_MAX)) {
			r->doc.tokens = 0;
			r->answer.is_unclear = true;
		} else if (!*rest && t->type == JSON_TOKEN_MAP_END &&
			   streq(r->doc.modality, "AUDIO")) {
			set_figure(r, &r->figures, row->figure, r->doc.tokens);
		}
	}
}

/* "response.usage" is "usage" to the tables. */
static const char *unwrap(const struct llm_format *f, const char *path)
{
	for (const char *const *w = f->wrappers; w && *w; w++)
		if (str_has_prefix(path, *w))
			return path + strlen(*w);
	return path;
}

static void take_rows(struct llm_reader *r, const char *path, const struct json_token *t)
{
	const struct llm_figure_row *row = r->format->figures;

	for (; row->path; row++)
		if (row->path[0] == path[0] && streq(row->path, path))
			take(r, row->figure, t);
}

/* Elements of a list are documents; other shapes have one at a time. */
static bool list_token(struct llm_reader *r, const struct json_token *t, const char **path)
{
	if (r->shape != LLM_LIST || (*path)[0] != '#')
		return r->shape != LLM_LIST || t->depth > 0;
	if (!(*path)[1]) {
		if (t->type == JSON_TOKEN_MAP_END) {
			llm_document_end(r);
			r->element_end = t->end;
			r->elements++;
		}
		return false;
	}
	*path += 2;
	return true;
}

bool llm_document_token(void *reader, const struct json_token *t)
{
	struct llm_reader *r = reader;
	const char *path = t->path;
	bool is_value;

	if (!list_token(r, t, &path))
		return true;
	count_text(r, path, t);
	if (t->type == JSON_TOKEN_KEY)
		return true;
	if (r->hide_usage)
		watch_usage(r, path, t);
	path = unwrap(r->format, path);
	if (take_share(r, path, t))
		return true;
	take_audio(r, path, t);
	is_value = t->type != JSON_TOKEN_MAP_END && t->type != JSON_TOKEN_LIST_END;
	if (is_value)
		take_rows(r, path, t);
	return true;
}

/* Calls of the provider's search that are items of the answer, or elements of lists. */
static void count_searches(struct llm_reader *r)
{
	struct llm_document *d = &r->doc;
	int64_t n;

	if (streq(d->item, "web_search_call") && streq(d->type, "response.output_item.done"))
		r->items++;
	n = r->items > d->output_items ? r->items : d->output_items;
	if (d->queries > n)
		n = d->queries;
	if (n > llm_figure(&r->figures, LLM_N_WEB_SEARCH))
		set_figure(r, &r->figures, LLM_N_WEB_SEARCH, n);
}

/* A provider that forgets to count what it sent is not believed. */
static bool is_too_little(const struct llm_answer *a)
{
	return a->text_bytes / 32 > (uint64_t)a->usage.out + 16;
}

static void settle_known(struct llm_reader *r)
{
	const struct llm_figures *f = &r->figures;
	struct llm_answer *a = &r->answer;

	a->known = LLM_KNOWN_NONE;
	if (!llm_has_figure(f, LLM_N_IN) && !llm_has_figure(f, LLM_N_TIMED_IN))
		return;
	a->known = LLM_KNOWN_PARTLY;
	if (a->end != LLM_END_DONE)
		return;
	if (llm_has_figure(f, LLM_N_OUT) || llm_has_figure(f, LLM_N_TOTAL) ||
	    llm_has_figure(f, LLM_N_TIMED_OUT) || !r->format->max_new)
		a->known = LLM_KNOWN_WHOLLY;
	if (a->known == LLM_KNOWN_WHOLLY && r->format->max_new && a->shares_n == 0)
		a->is_unclear |= is_too_little(a);
}

static void settle(struct llm_reader *r)
{
	struct llm_answer *a = &r->answer;
	const struct llm_figures *f = &r->figures;
	int64_t cost;

	memset(&a->usage, 0, sizeof(a->usage));
	r->format->settle(f, a);
	settle_known(r);
	a->has_cost = llm_has_figure(f, LLM_N_COST) || llm_has_figure(f, LLM_N_COST_TICKS);
	if (!a->has_cost)
		return;
	cost = llm_has_figure(f, LLM_N_COST) ? f->v[LLM_N_COST] : f->v[LLM_N_COST_TICKS];
	if (r->is_byok &&
	    __builtin_add_overflow(cost, llm_figure(f, LLM_N_COST_UPSTREAM), &cost)) {
		a->has_cost = false;
		a->is_unclear = true;
		return;
	}
	a->cost = cost;
}

void llm_document_end(struct llm_reader *r)
{
	struct llm_answer *a = &r->answer;

	if (r->doc.has_text)
		a->pieces++;
	count_searches(r);
	if (r->doc.has_error && a->end == LLM_END_OPEN)
		a->end = LLM_END_ERROR;
	if (r->format->event && r->doc.type[0])
		r->format->event(r->doc.type, a);
	settle(r);
	memset(&r->doc, 0, sizeof(r->doc));
}
