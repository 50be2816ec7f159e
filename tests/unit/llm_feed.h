/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds an answer to a reader, split in every way, and holds each run against the one in one piece:
 * same figures, same bytes to the client.
 */
#ifndef PURPLE_TESTS_LLM_FEED_H
#define PURPLE_TESTS_LLM_FEED_H

#include "gateway/answer.h"

struct fed {
	struct llm_answer answer;
	struct buf out;
};

static inline void feed_pieces(const struct llm_format *f, enum llm_shape shape,
			       bool hide, const char *body, size_t len, size_t split,
			       bool whole, struct fed *ret)
{
	struct llm_reader *r = NULL;
	struct err e = {};

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(llm_reader_new(f, shape, hide, &r, &e), 0);
	if (split > len) {
		for (size_t i = 0; i < len; i++)
			assert_int_equal(llm_reader_feed(r, body + i, 1, &ret->out, &e), 0);
	} else {
		assert_int_equal(llm_reader_feed(r, body, split, &ret->out, &e), 0);
		assert_int_equal(llm_reader_feed(r, body + split, len - split, &ret->out,
						 &e),
				 0);
	}
	assert_int_equal(llm_reader_end(r, whole, &ret->out, &e), 0);
	/* With the bytes between the members: they are compared. */
	memcpy(&ret->answer, llm_reader_answer(r), sizeof(ret->answer));
	llm_reader_free(r);
}

/* `want` NULL: the body itself comes out. */
static inline struct llm_answer feed(const struct llm_format *f, enum llm_shape shape,
				     bool hide, const char *body, bool whole,
				     const char *want)
{
	size_t len = strlen(body);
	struct fed first, other;

	feed_pieces(f, shape, hide, body, len, len, whole, &first);
	assert_string_equal(first.out.s ? first.out.s : "", want ? want : body);
	for (size_t split = 0; split <= len + 1; split++) {
		feed_pieces(f, shape, hide, body, len, split, whole, &other);
		assert_string_equal(other.out.s ? other.out.s : "", want ? want : body);
		assert_memory_equal(&other.answer, &first.answer, sizeof(first.answer));
		buf_free(&other.out);
	}
	buf_free(&first.out);
	return first.answer;
}

static inline void expect_usage(const struct llm_answer *a, enum llm_known known,
				struct usage want)
{
	assert_int_equal(a->known, known);
	assert_int_equal(a->usage.in_uncached, want.in_uncached);
	assert_int_equal(a->usage.cache_read, want.cache_read);
	assert_int_equal(a->usage.cache_w5m, want.cache_w5m);
	assert_int_equal(a->usage.cache_w1h, want.cache_w1h);
	assert_int_equal(a->usage.in_audio, want.in_audio);
	assert_int_equal(a->usage.out, want.out);
	assert_int_equal(a->usage.reasoning, want.reasoning);
	assert_int_equal(a->usage.out_audio, want.out_audio);
	assert_int_equal(a->usage.web_search, want.web_search);
}

#endif
