/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for answers of LLM providers: the first byte picks format, shape and whether
 * usage is hidden, the second how the rest, the body, is split. However it is split, the figures and
 * the bytes to the client are the same; nothing is lost where nothing is hidden; a stream that is
 * stopped ends in an error that can be read.
 * runs: 10000
 */
#include "fuzz.h"
#include "gateway/answer.h"

static const struct llm_format *const formats[] = {
	&llm_format_chat,      &llm_format_completions, &llm_format_embeddings,
	&llm_format_responses, &llm_format_messages,	&llm_format_generate,
};

struct run {
	struct llm_answer answer;
	struct buf out;
};

static void check_usage(const struct usage *u)
{
	fuzz_require(u->in_uncached >= 0 && u->cache_read >= 0 && u->cache_w5m >= 0 &&
		     u->cache_w1h >= 0 && u->in_audio >= 0 && u->out >= 0 &&
		     u->web_search >= 0);
	fuzz_require(u->reasoning >= 0 && u->reasoning <= u->out);
	fuzz_require(u->out_audio >= 0 && u->out_audio <= u->out);
}

static void check_answer(const struct llm_answer *a)
{
	check_usage(&a->usage);
	fuzz_require(a->shares_n <= LLM_SHARES_MAX);
	for (size_t i = 0; i < a->shares_n; i++)
		check_usage(&a->shares[i].usage);
	fuzz_require(a->end != LLM_END_OPEN && a->cost >= 0);
	fuzz_require(memchr(a->model, '\0', sizeof(a->model)));
	fuzz_require(memchr(a->error, '\0', sizeof(a->error)));
	fuzz_require(llm_answer_output_guess(a) >= (uint64_t)a->usage.out);
}

/* In pieces of `piece` bytes; stopped before the end, when asked. */
static void run(const struct llm_format *f, enum llm_shape shape, bool hide,
		const uint8_t *data, size_t size, size_t piece, bool stop, struct run *ret)
{
	struct llm_reader *r = NULL;
	struct err e = {};

	memset(ret, 0, sizeof(*ret));
	if (llm_reader_new(f, shape, hide, &r, &e) < 0)
		fuzz_die("no memory", e.msg);
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (llm_reader_feed(r, data + at, n, &ret->out, &e) < 0)
			fuzz_die("feed", e.msg);
	}
	if (stop)
		llm_reader_stop(r, LLM_REFUSE_BUDGET, "m", &ret->out);
	if (llm_reader_end(r, true, &ret->out, &e) < 0)
		fuzz_die("end", e.msg);
	memcpy(&ret->answer, llm_reader_answer(r), sizeof(ret->answer));
	check_answer(&ret->answer);
	llm_reader_free(r);
}

static bool ends_with(const struct buf *b, const char *s)
{
	size_t n = strlen(s);

	return b->len >= n && memcmp(b->s + b->len - n, s, n) == 0;
}

static bool has(const struct buf *b, const char *s)
{
	return b->s && memmem(b->s, b->len, s, strlen(s));
}

static void check_stopped(const struct llm_format *f, enum llm_shape shape,
			  const uint8_t *data, size_t size)
{
	_json_free_ struct json *j = NULL;
	struct err e = {};
	struct run s;

	run(f, shape, false, data, size, size + 1, true, &s);
	if (s.answer.end == LLM_END_STOPPED && shape == LLM_EVENTS) {
		fuzz_require(ends_with(&s.out, "}\n\n"));
		fuzz_require(has(&s.out, "insufficient_quota") ||
			     has(&s.out, "billing_error") ||
			     has(&s.out, "RESOURCE_EXHAUSTED"));
	}
	/* What another reader takes, but for what only that one forbids. */
	if (s.answer.end == LLM_END_STOPPED && shape == LLM_LIST && !s.answer.is_unclear &&
	    ends_with(&s.out, "}]") && has(&s.out, "\"message\":\"m\"") &&
	    json_parse(s.out.s, s.out.len, "list", &j, &e) < 0 &&
	    !strstr(e.msg, "duplicate") && !strstr(e.msg, "NUL") &&
	    !strstr(e.msg, "surrogate") && !strstr(e.msg, "deeply"))
		fuzz_die("a list that was stopped is none", e.msg);
	buf_free(&s.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct llm_format *f;
	enum llm_shape shape;
	struct run a, b;
	size_t piece;
	bool hide;

	if (size < 2)
		return 0;
	f = formats[data[0] % 6];
	shape = (enum llm_shape)(data[0] / 6 % 3);
	hide = data[0] / 18 % 2;
	piece = (size_t)data[1] + 1;
	data += 2;
	size -= 2;
	run(f, shape, hide, data, size, size + 1, false, &a);
	run(f, shape, hide, data, size, piece, false, &b);
	fuzz_require(memcmp(&a.answer, &b.answer, sizeof(a.answer)) == 0);
	fuzz_require(a.out.len == b.out.len &&
		     (!a.out.len || memcmp(a.out.s, b.out.s, a.out.len) == 0));
	fuzz_require(a.out.len <= size);
	if (!hide)
		fuzz_require(a.out.len == size &&
			     (size == 0 || memcmp(a.out.s, data, size) == 0));
	check_stopped(f, shape, data, size);
	buf_free(&a.out);
	buf_free(&b.out);
	return 0;
}
