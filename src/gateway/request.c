/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads requests: see request.h. One pass of base/json_scan over the body; the tables of the
 * formats say which members matter.
 *
 * Two readers of one document must not see two requests: what matters may stand there once only,
 * spelled exactly (some servers do not look at the case of keys), as the plain type it has. Members
 * that say the same in other words ("models", a list to fall back on) are refused by name.
 */
#include "gateway/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/num.h"
#include "base/str.h"

#define COPIES_MAX 1024
/* Rows of a format's table; a bit each. */
#define ROWS_MAX 64

struct reading {
	struct llm_request *r;
	const char *body;
	struct err *e;
	size_t row_len[ROWS_MAX];
	uint64_t seen;	  /* rows whose key was there, by index */
	uint64_t prompts; /* texts to complete */
	bool path_model, has_tools, failed;
};

static bool refuse(struct reading *rd, const char *path, const char *what)
{
	rd->failed = true;
	err_set(rd->e, ERR_USAGE, EINVAL, "the request's '%s' %s", path, what);
	return false;
}

/* A key as servers may read it that do not look at the case: Unicode folds two more to ASCII. */
static void fold(const char *s, char out[JSON_SCAN_PATH_MAX + 1])
{
	while (*s) {
		if (strncmp(s, "\u017f", 2) == 0) {
			*out++ = 's';
			s += 2;
		} else if (strncmp(s, "\u212a", 3) == 0) {
			*out++ = 'k';
			s += 3;
		} else {
			*out++ = (char)tolower((unsigned char)*s++);
		}
	}
	*out = '\0';
}

static bool is_anywhere(const struct llm_field_row *row)
{
	return row->path[0] == '*';
}

static bool row_matches(const struct reading *rd, size_t i, const char *path, size_t len)
{
	const struct llm_field_row *row = &rd->r->format->fields[i];
	size_t n = rd->row_len[i];

	/* The last byte tells most of them apart. */
	if (len == 0 || path[len - 1] != row->path[n - 1])
		return false;
	if (is_anywhere(row))
		return len >= n - 1 &&
		       memcmp(path + len - (n - 1), row->path + 1, n - 1) == 0;
	return len == n && memcmp(path, row->path, n) == 0;
}

/* A key that matters is there once, and no other may be taken for it. */
static bool check_key(struct reading *rd, const struct json_token *t)
{
	const struct llm_field_row *rows = rd->r->format->fields;
	char folded[JSON_SCAN_PATH_MAX + 1], row_folded[JSON_SCAN_PATH_MAX + 1];
	size_t len, folded_len;

	fold(t->path, folded);
	len = strlen(t->path);
	folded_len = strlen(folded);
	for (size_t i = 0; rows[i].path; i++) {
		if (is_anywhere(&rows[i]) || rd->row_len[i] != folded_len)
			continue;
		if (row_matches(rd, i, t->path, len)) {
			if (rd->seen >> i & 1 && !strchr(rows[i].path, '#'))
				return refuse(rd, t->path, "is there twice");
			rd->seen |= UINT64_C(1) << i;
			continue;
		}
		fold(rows[i].path, row_folded);
		if (streq(folded, row_folded)) {
			rd->failed = true;
			err_set(rd->e, ERR_USAGE, EINVAL,
				"the request has the key '%s': write it '%s'", t->path,
				rows[i].path);
			return false;
		}
	}
	return true;
}

static bool is_unset(const struct json_token *t)
{
	return t->type == JSON_TOKEN_NULL || t->type == JSON_TOKEN_FALSE;
}

static struct llm_span span_of(const struct json_token *t)
{
	return (struct llm_span){ .start = t->start, .end = t->end };
}

/* A text without control characters that fits. */
static bool take_word(struct reading *rd, const struct json_token *t, char *ret, size_t max)
{
	if (t->type != JSON_TOKEN_TEXT)
		return refuse(rd, t->path, "is not a text");
	if (t->len > max || t->is_cut)
		return refuse(rd, t->path, "is too long");
	for (size_t i = 0; i < t->len; i++)
		if ((unsigned char)t->text[i] < 0x20 || t->text[i] == 0x7f || t->is_odd)
			return refuse(rd, t->path, "has a control character");
	memcpy(ret, t->text, t->len);
	ret[t->len] = '\0';
	return true;
}

static bool take_number(struct reading *rd, const struct json_token *t, int64_t *ret)
{
	if (t->type != JSON_TOKEN_NUMBER || t->is_cut || num_i64(t->text, ret) < 0)
		return refuse(rd, t->path, "is not a whole number");
	return true;
}

static bool take_bool(struct reading *rd, const struct json_token *t, bool *ret)
{
	if (t->type != JSON_TOKEN_TRUE && !is_unset(t))
		return refuse(rd, t->path, "is neither true nor false");
	*ret = t->type == JSON_TOKEN_TRUE;
	return true;
}

static bool take_max(struct reading *rd, const struct json_token *t, const char *path)
{
	struct llm_request *r = rd->r;
	struct llm_maximum *m = &r->maxima[r->maxima_n];
	int64_t tokens = -1;

	if (r->maxima_n == LLM_SPELLINGS_MAX)
		return refuse(rd, t->path, "is one spelling of the maximum too many");
	if (t->type != JSON_TOKEN_NULL && !take_number(rd, t, &tokens))
		return false;
	*m = (struct llm_maximum){ .path = path,
				   .value = span_of(t),
				   .tokens = tokens < 0 ? INT64_MAX : tokens,
				   .is_null = t->type == JSON_TOKEN_NULL };
	if (m->tokens < r->max)
		r->max = m->tokens;
	r->maxima_n++;
	return true;
}

static bool take_copies(struct reading *rd, const struct json_token *t)
{
	int64_t n;

	if (t->type == JSON_TOKEN_NULL)
		return true;
	if (!take_number(rd, t, &n))
		return false;
	if (n < 1 || n > COPIES_MAX)
		return refuse(rd, t->path, "is not a number from 1 to 1024");
	if ((uint32_t)n > rd->r->copies)
		rd->r->copies = (uint32_t)n;
	return true;
}

static bool take_thinking(struct reading *rd, const struct json_token *t)
{
	int64_t n;

	if (t->type == JSON_TOKEN_NULL)
		return true;
	if (!take_number(rd, t, &n))
		return false;
	if (n > rd->r->thinking)
		rd->r->thinking = n;
	return true;
}

/* An object whose inside is known by its end: is_empty is settled there. */
static bool take_object(struct reading *rd, const struct json_token *t, struct llm_object *o)
{
	if (t->type == JSON_TOKEN_MAP_END) {
		o->is_empty = true;
		for (uint64_t i = o->all.start + 1; i < t->start; i++)
			if (!strchr(" \t\r\n", rd->body[i]))
				o->is_empty = false;
		o->all.end = t->end;
		return true;
	}
	if (o->all.end)
		return refuse(rd, t->path, "is there twice");
	if (t->type != JSON_TOKEN_MAP && t->type != JSON_TOKEN_NULL)
		return refuse(rd, t->path, "is not an object");
	o->all = span_of(t);
	o->is_null = t->type == JSON_TOKEN_NULL;
	return true;
}

static void take_tool(struct reading *rd, const char *type)
{
	const struct llm_tool_row *row = rd->r->format->tools;

	for (; row->type; row++)
		if (row->is_prefix ? str_has_prefix(type, row->type) :
				     streq(type, row->type))
			break;
	rd->r->tools |= row->type ? row->tool : LLM_TOOL_UNKNOWN;
	rd->has_tools = true;
}

static void take_hidden(struct reading *rd, const char *why)
{
	if (!rd->r->hidden)
		rd->r->hidden = why;
}

static void take_media(struct reading *rd, const struct json_token *t)
{
	size_t len = t->end - t->start;

	rd->r->text_bytes -= len;
	rd->r->media_bytes += len;
	rd->r->media++;
}

static bool is_data_url(const struct json_token *t)
{
	return t->type == JSON_TOKEN_TEXT && t->len > 5 &&
	       strncasecmp(t->text, "data:", 5) == 0;
}

/*
 * Pages and films are read as pictures, as many as there are in them, and a few bytes can be a
 * thousand: no count of bytes is a bound for them.
 */
static void take_type(struct reading *rd, const char *type)
{
	if (strncasecmp(type, "image/", 6) != 0 && strncasecmp(type, "audio/", 6) != 0 &&
	    strncasecmp(type, "text/plain", 10) != 0)
		take_hidden(rd, "it holds a document or a film, of which the pages or pictures "
				"are not counted");
}

static bool ends_in(const struct json_token *t, const char *const *ends)
{
	for (; *ends; ends++)
		if (t->type == JSON_TOKEN_TEXT && str_has_suffix(t->path, *ends))
			return true;
	return false;
}

/* The type that is named beside base64, or within a data: URL. */
static void take_types(struct reading *rd, const struct json_token *t)
{
	static const char *const types[] = {
		"source.media_type",	"inlineData.mimeType",	 "inlineData.mime_type",
		"inline_data.mimeType", "inline_data.mime_type", NULL
	};
	static const char *const urls[] = { "url", "file_data", ".data", NULL };

	if (ends_in(t, types))
		take_type(rd, t->text);
	if (is_data_url(t) && ends_in(t, urls))
		take_type(rd, t->text + 5);
}

/* What says how much is read: counts only. */
static bool take_input(struct reading *rd, const struct llm_field_row *row,
		       const struct json_token *t)
{
	switch (row->field) {
	case LLM_F_PROMPTS:
		rd->prompts += t->type == JSON_TOKEN_TEXT || t->type == JSON_TOKEN_LIST;
		return true;
	case LLM_F_CACHE:
		rd->r->caches |= !is_unset(t);
		return true;
	case LLM_F_CACHE_TTL:
		rd->r->caches_1h |= t->type == JSON_TOKEN_TEXT && !streq(t->text, "5m");
		return true;
	case LLM_F_ITEM:
		if (t->type == JSON_TOKEN_TEXT && streq(t->text, "item_reference"))
			take_hidden(rd, "it refers to an item that the provider keeps");
		return true;
	case LLM_F_HIDDEN:
		if (!is_unset(t))
			take_hidden(rd, row->why);
		return true;
	case LLM_F_URL:
		if (t->type == JSON_TOKEN_TEXT && !is_data_url(t))
			take_hidden(rd, "it has an address that the provider fetches");
		return true;
	case LLM_F_MEDIA:
		if (t->type == JSON_TOKEN_TEXT && !is_data_url(t))
			take_media(rd, t);
		/* A file without a type is a document. */
		if (t->type == JSON_TOKEN_TEXT && !is_data_url(t) &&
		    str_has_suffix(t->path, ".file_data"))
			take_type(rd, "");
		return true;
	default:
		return true;
	}
}

static bool take_refused(struct reading *rd, const struct llm_field_row *row,
			 const struct json_token *t)
{
	if (is_unset(t))
		return true;
	return refuse(rd, t->path, row->why);
}

static bool take_field(struct reading *rd, const struct llm_field_row *row,
		       const struct json_token *t)
{
	char ignored[LLM_MODEL_MAX + 1];
	struct llm_request *r = rd->r;

	switch (row->field) {
	case LLM_F_MODEL:
		/* The path's own model is the one that answers. */
		return take_word(rd, t, rd->path_model ? ignored : r->model, LLM_MODEL_MAX);
	case LLM_F_STREAM:
		return take_bool(rd, t, &r->streams);
	case LLM_F_MAX:
		return take_max(rd, t, row->path);
	case LLM_F_MAX_PARENT:
		return take_object(rd, t, &r->max_parent);
	case LLM_F_COPIES:
		return take_copies(rd, t);
	case LLM_F_STREAM_OPTIONS:
		return take_object(rd, t, &r->stream_options);
	case LLM_F_INCLUDE_USAGE:
		r->include_usage = span_of(t);
		return take_bool(rd, t, &r->asks_usage);
	case LLM_F_TIER:
		return t->type == JSON_TOKEN_NULL ||
		       take_word(rd, t, r->tier, LLM_WORD_MAX);
	case LLM_F_SPEED:
		return t->type == JSON_TOKEN_NULL ||
		       take_word(rd, t, r->speed, LLM_WORD_MAX);
	case LLM_F_GEO:
		return t->type == JSON_TOKEN_NULL || take_word(rd, t, r->geo, LLM_WORD_MAX);
	case LLM_F_THINKING:
		return take_thinking(rd, t);
	case LLM_F_TOOL:
		if (t->type == JSON_TOKEN_NULL)
			return true;
		if (t->type != JSON_TOKEN_TEXT || t->is_cut)
			return refuse(rd, t->path, "is not the name of a type");
		take_tool(rd, t->text);
		return true;
	case LLM_F_TOOL_KEY:
		r->tools |= is_unset(t) ? 0 : row->tool;
		return true;
	case LLM_F_PLUGIN:
		if (t->type == JSON_TOKEN_TEXT)
			r->tools |= streq(t->text, "web") ? LLM_TOOL_WEB_SEARCH :
							    LLM_TOOL_UNKNOWN;
		return true;
	case LLM_F_REFUSED:
	case LLM_F_REFUSED_IF_TRUE:
		return take_refused(rd, row, t);
	default:
		return take_input(rd, row, t);
	}
}

/* Types of tools that are keys: "tools.#.googleSearch". */
static bool take_tool_keys(struct reading *rd, const struct json_token *t)
{
	const struct llm_field_row *row = rd->r->format->fields;

	if (t->path[0] != 't')
		return true;
	for (; row->path; row++)
		if (row->field == LLM_F_TOOL_NAME && str_has_prefix(t->path, row->path) &&
		    !strchr(t->path + strlen(row->path), '.'))
			take_tool(rd, t->path + strlen(row->path));
	return true;
}

static void count_bytes(struct reading *rd, const struct json_token *t)
{
	if (t->type == JSON_TOKEN_NUMBER)
		rd->r->text_bytes += t->end - t->start + 1;
	if (t->type == JSON_TOKEN_TEXT || t->type == JSON_TOKEN_KEY)
		rd->r->text_bytes += t->end - t->start;
	if (is_data_url(t))
		take_media(rd, t);
	take_types(rd, t);
}

static bool on_token(void *ctx, const struct json_token *t)
{
	struct reading *rd = ctx;
	const struct llm_field_row *rows = rd->r->format->fields;
	bool is_end = t->type == JSON_TOKEN_MAP_END || t->type == JSON_TOKEN_LIST_END;
	size_t len;

	count_bytes(rd, t);
	if (t->type == JSON_TOKEN_KEY)
		return check_key(rd, t) && take_tool_keys(rd, t);
	if (t->depth == 0)
		return take_object(rd, t, &rd->r->body);
	len = strlen(t->path);
	for (size_t i = 0; rows[i].path; i++) {
		bool wants_end = rows[i].field == LLM_F_STREAM_OPTIONS ||
				 rows[i].field == LLM_F_MAX_PARENT;

		if (row_matches(rd, i, t->path, len) && (!is_end || wants_end) &&
		    !take_field(rd, &rows[i], t))
			return false;
	}
	return true;
}

/* What only the whole request shows. */
static int check_whole(struct reading *rd)
{
	const unsigned int fed = LLM_TOOL_WEB_SEARCH | LLM_TOOL_WEB_FETCH |
				 LLM_TOOL_FILE_SEARCH | LLM_TOOL_CODE | LLM_TOOL_MCP |
				 LLM_TOOL_MAPS | LLM_TOOL_UNKNOWN;
	struct llm_request *r = rd->r;

	if (r->body.is_null)
		return err_set(rd->e, ERR_USAGE, EINVAL, "the request is not an object");
	if (!r->model[0])
		return err_set(rd->e, ERR_USAGE, EINVAL, "the request names no model");
	if (r->format->needs_max && r->maxima_n == 0)
		return err_set(rd->e, ERR_USAGE, EINVAL, "the request has no '%s'",
			       r->format->max_new);
	if (rd->prompts > COPIES_MAX)
		return err_set(rd->e, ERR_USAGE, EINVAL,
			       "the request has more than %d prompts", COPIES_MAX);
	/* OpenRouter's suffix for its search. */
	if (r->format->id == LLM_CHAT && str_has_suffix(r->model, ":online"))
		r->tools |= LLM_TOOL_WEB_SEARCH;
	if (rd->prompts > 1)
		r->copies *= (uint32_t)rd->prompts;
	if (r->tools & fed)
		take_hidden(rd, "it has tools that the provider runs");
	if (rd->has_tools)
		r->bytes += 1024; /* providers explain to the model how tools are called */
	return 0;
}

int llm_request_read(const struct llm_format *format, const char *model, bool path_streams,
		     const char *body, size_t len, struct llm_request *ret, struct err *e)
{
	struct llm_request r = { .format = format,
				 .streams = path_streams,
				 .max = INT64_MAX,
				 .copies = 1,
				 .bytes = len };
	struct reading rd = { .r = &r, .body = body, .e = e, .path_model = model[0] };
	struct json_scan scan;
	int err;

	for (size_t i = 0; format->fields[i].path; i++)
		rd.row_len[i] = strlen(format->fields[i].path);
	snprintf(r.model, sizeof(r.model), "%s", model);
	json_scan_begin(&scan, on_token, &rd);
	if (!json_scan_feed(&scan, body, len) || !json_scan_end(&scan))
		return rd.failed ? -EINVAL :
				   err_set(e, ERR_USAGE, EINVAL, "the request's body %s",
					   scan.fault);
	err = check_whole(&rd);
	if (err < 0)
		return err;
	*ret = r;
	return 0;
}

uint64_t llm_request_input_bound(const struct llm_request *r)
{
	return r->bytes + (uint64_t)r->media * 65536;
}

uint64_t llm_request_input_guess(const struct llm_request *r, uint32_t bytes_per_100)
{
	uint64_t text = r->text_bytes * 100 / (bytes_per_100 ? bytes_per_100 : 400);

	return text + (uint64_t)r->media * 1600 + r->media_bytes / 64 + 1;
}
