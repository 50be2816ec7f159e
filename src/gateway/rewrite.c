/* SPDX-License-Identifier: Apache-2.0 */
/* Lowers a request's maximum and asks for usage: see request.h. Pure. */
#include "gateway/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

struct llm_server llm_server_by_name(const char *provider)
{
	static const struct {
		const char *name;
		struct llm_server server;
	} servers[] = {
		{ "openai", { .knows_new_max = true } },
		{ "azure", { .knows_new_max = true } },
		{ "groq", { .knows_new_max = true } },
		{ "xai", { .knows_new_max = true } },
		{ "mistral", { .sends_usage = true } },
	};

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (streq(servers[i].name, provider))
			return servers[i].server;
	return (struct llm_server){};
}

static int edit(struct edits *v, size_t at, size_t remove, struct err *e, const char *fmt,
		...) __attribute__((format(printf, 5, 6)));

static int edit(struct edits *v, size_t at, size_t remove, struct err *e, const char *fmt,
		...)
{
	char text[EDIT_TEXT_MAX + 1];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text) || !edits_add(v, at, remove, text))
		return err_set(e, ERR_INTERNAL, EINVAL,
			       "cannot change the request at byte %zu", at);
	return 0;
}

/* Puts a member behind the brace of an object; in place of null, the object too. */
static int insert_member(struct edits *v, const struct llm_object *o, const char *member,
			 struct err *e)
{
	if (o->is_null)
		return edit(v, o->all.start, o->all.end - o->all.start, e, "{%s}", member);
	return edit(v, o->all.start + 1, 0, e, "%s%s", member, o->is_empty ? "" : ",");
}

static int insert_max(const struct llm_request *r, const struct llm_server *server,
		      int64_t cap, struct edits *v, struct err *e)
{
	const struct llm_format *f = r->format;
	char member[64], nested[EDIT_TEXT_MAX];

	snprintf(member, sizeof(member), "\"%s\":%" PRId64,
		 f->max_old && !server->knows_new_max ? f->max_old : f->max_new, cap);
	if (!f->max_parent)
		return insert_member(v, &r->body, member, e);
	if (r->max_parent.all.end)
		return insert_member(v, &r->max_parent, member, e);
	snprintf(nested, sizeof(nested), "\"%s\":{%s}", f->max_parent, member);
	return insert_member(v, &r->body, nested, e);
}

/* Every spelling above the cap is lowered: which of them a server takes is its own affair. */
static int lower_max(const struct llm_request *r, const struct llm_server *server,
		     int64_t cap, struct edits *v, struct err *e)
{
	const char *body_null = NULL;
	int err = 0;

	if (r->maxima_n == 0)
		return insert_max(r, server, cap, v, e);
	for (size_t i = 0; i < r->maxima_n && err == 0; i++) {
		const struct llm_maximum *m = &r->maxima[i];

		if (m->tokens <= cap)
			continue;
		/* Of several that are null one is enough; beside one that is given, none. */
		if (m->is_null && (body_null || r->max != INT64_MAX))
			continue;
		if (m->is_null)
			body_null = m->path;
		err = edit(v, m->value.start, m->value.end - m->value.start, e,
			   "%" PRId64, cap);
	}
	return err;
}

static int ask_usage(const struct llm_request *r, struct edits *v, struct err *e)
{
	const struct llm_span *given = &r->include_usage;

	if (given->end)
		return edit(v, given->start, given->end - given->start, e, "true");
	if (r->stream_options.all.end)
		return insert_member(v, &r->stream_options, "\"include_usage\":true", e);
	return insert_member(v, &r->body, "\"stream_options\":{\"include_usage\":true}", e);
}

int llm_request_rewrite(const struct llm_request *r, const struct llm_server *server,
			int64_t out_cap, struct edits *ret, bool *ret_hide_usage,
			struct err *e)
{
	int64_t cap = out_cap / r->copies, max = cap < r->max ? cap : r->max;
	struct edits v = {};
	bool asks;
	int err = 0;

	if (r->format->max_new && cap < 1)
		return err_set(e, ERR_USAGE, ENOSPC, "there is no token left for an answer");
	if (r->format->max_new && r->thinking > 0 && max <= r->thinking && cap < r->max)
		return err_set(e, ERR_USAGE, ENOSPC,
			       "what is left, %" PRId64 " tokens, is less than the %" PRId64
			       " that are set apart for thinking",
			       cap, r->thinking);
	if (r->format->max_new && out_cap != INT64_MAX)
		err = lower_max(r, server, cap, &v, e);
	asks = r->format->has_stream_options && r->streams && !r->asks_usage &&
	       !server->sends_usage;
	if (err == 0 && asks)
		err = ask_usage(r, &v, e);
	if (err < 0)
		return err;
	*ret = v;
	*ret_hide_usage = asks;
	return 0;
}
