/* SPDX-License-Identifier: Apache-2.0 */
/* Calls through a meter, from the text of a request to that of an answer: see meter_build.h. */
#ifndef PURPLE_TESTS_METER_CALLS_H
#define PURPLE_TESTS_METER_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meter_build.h"

static inline int setup(void **state)
{
	struct meter_box *b = calloc(1, sizeof(*b));

	box_open(b);
	*state = b;
	return 0;
}

static inline int teardown(void **state)
{
	struct meter_box *b = *state;

	box_close(b);
	free(b);
	return 0;
}

/* --- calls --- */

struct call {
	struct meter_call *c;
	struct meter_verdict v;
	struct llm_request r;
	struct edits edits;
	bool hides_usage;
};

static inline struct call begin_at(struct meter_box *b, const char *provider,
				   const struct llm_format *f, const char *body, int64_t ms)
{
	struct llm_server server = llm_server_by_name(provider);
	struct call call = {};
	struct err e = {};

	if (llm_request_read(f, "", false, body, strlen(body), &call.r, &e) < 0)
		fail_msg("%s", e.msg);
	meter_admit(b->meter, provider, &call.r, at(ms), &call.c, &call.v);
	assert_true(call.v.admitted == !!call.c);
	if (call.v.admitted && llm_request_rewrite(&call.r, &server, call.v.out_cap,
						   &call.edits, &call.hides_usage, &e) < 0)
		fail_msg("%s", e.msg);
	return call;
}

static inline struct call chat(struct meter_box *b, const char *body)
{
	return begin_at(b, "openai", &llm_format_chat, body, 0);
}

static inline struct call messages(struct meter_box *b, const char *body)
{
	return begin_at(b, "anthropic", &llm_format_messages, body, 0);
}

/* The answer as it was read. */
static inline struct llm_answer answer(const struct llm_format *f, bool streams,
				       bool is_whole, const char *text)
{
	_llm_reader_free_ struct llm_reader *r = NULL;
	struct err e = {};

	assert_int_equal(llm_reader_new(f, streams ? LLM_EVENTS : LLM_WHOLE, false, &r, &e),
			 0);
	assert_int_equal(llm_reader_feed(r, text, strlen(text), NULL, &e), 0);
	assert_int_equal(llm_reader_end(r, is_whole, NULL, &e), 0);
	return *llm_reader_answer(r);
}

static inline struct llm_answer whole(const char *text)
{
	return answer(&llm_format_chat, false, true, text);
}

static inline void end_at(struct meter_box *b, struct call *call,
			  const struct llm_answer *a, enum meter_end end, int64_t ms)
{
	assert_non_null(call->c);
	meter_settle(b->meter, call->c, a, end, 200, at(ms));
	call->c = NULL;
}

static inline void end(struct meter_box *b, struct call *call, const char *text)
{
	struct llm_answer a = whole(text);

	end_at(b, call, &a, METER_WHOLE, 0);
}

/* So many tokens in and out, as OpenAI tells them. */
static inline void end_with(struct meter_box *b, struct call *call, int in, int out)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"model\":\"%s\",\"choices\":[{\"message\":{\"content\":\"x\"},"
		 "\"finish_reason\":\"stop\"}],"
		 "\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d}}",
		 call->r.model, in, out, in + out);
	end(b, call, text);
}

static inline struct ledger_state state_of(struct meter_box *b, enum ledger_scope scope,
					   const char *name)
{
	struct ledger_limit limit = { .scope = scope, .name = name };
	struct ledger_state s = {};
	struct err e = {};

	assert_int_equal(ledger_look(b->ledger, &limit, 1, NOON, &s, &e), 0);
	return s;
}

static inline struct ledger_state session(struct meter_box *b)
{
	return state_of(b, LEDGER_SESSION, b->config.session);
}

static inline void verify(struct meter_box *b)
{
	struct err e = {};

	if (ledger_verify(b->ledger, &e) < 0)
		fail_msg("%s", e.msg);
}

#define assert_refused(call, why)                       \
	do {                                            \
		assert_false((call).v.admitted);        \
		assert_int_equal((call).v.reason, why); \
		assert_true((call).v.message[0]);       \
	} while (0)

/* A body whose last text has so many bytes. */
static inline char *long_body(const char *head, size_t n, const char *tail)
{
	size_t a = strlen(head), z = strlen(tail);
	char *s = malloc(a + n + z + 1);

	memcpy(s, head, a);
	memset(s + a, 'x', n);
	memcpy(s + a + n, tail, z + 1);
	return s;
}

#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]"
#define SMALL "{\"model\":\"m\",\"max_tokens\":300," ASK "}"

static inline int64_t bound(const char *body)
{
	return (int64_t)strlen(body);
}

#define CHUNK(text) \
	"data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
