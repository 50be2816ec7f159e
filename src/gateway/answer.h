/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meters an answer while it passes: struct llm_reader takes the body in pieces of any size, gives
 * back what goes to the client, and knows at each moment what was used. Whole bodies pass at once.
 * Streams pass event by event, so that a stream can be stopped between two; an event longer than
 * LLM_HELD_MAX passes in parts. That and some kilobytes is all the memory that a reader takes.
 *
 * Nothing here breaks an answer: what cannot be read passes, and counts as generated text.
 */
#ifndef PURPLE_GATEWAY_ANSWER_H
#define PURPLE_GATEWAY_ANSWER_H

#include "base/err.h"
#include "base/str.h"
#include "budget/usage.h"
#include "gateway/format.h"
#include "gateway/refusal.h"

#define LLM_HELD_MAX (256U << 10)
#define LLM_NAME_MAX 127
#define LLM_SHARES_MAX 8
/* A figure beyond this is no count of tokens. */
#define LLM_FIGURE_MAX (INT64_C(1) << 48)

enum llm_shape {
	LLM_WHOLE,  /* one document */
	LLM_EVENTS, /* server-sent events */
	LLM_LIST,   /* one list that grows: Gemini without alt=sse */
};

/* How far an answer has come. */
enum llm_end {
	LLM_END_OPEN,
	LLM_END_DONE,
	LLM_END_ERROR,	 /* the provider said so in the body */
	LLM_END_CUT,	 /* the connection ended before the answer did */
	LLM_END_STOPPED, /* by llm_reader_stop() */
};

/* What is known of the usage. */
enum llm_known {
	LLM_KNOWN_NONE,
	LLM_KNOWN_PARTLY, /* the input; of the output, a part */
	LLM_KNOWN_WHOLLY, /* the provider's own final figures */
};

/* A part of an answer that another model gave. */
struct llm_share {
	char model[LLM_NAME_MAX + 1];
	struct usage usage;
};

struct llm_answer {
	char model[LLM_NAME_MAX + 1]; /* as the answer names it; "" when it does not */
	char tier[32], speed[32], geo[32], error[64];
	enum llm_end end;
	enum llm_known known;
	struct usage usage;
	/* When not empty: what is billed, a part by each model, in place of `usage` (whose
	 * web_search still counts). */
	struct llm_share shares[LLM_SHARES_MAX];
	size_t shares_n;
	bool has_cost;
	int64_t cost; /* picodollars, as the provider says */
	/* Figures that cannot be right, or bytes that could not be read: `usage` is not to be relied
	 * on alone, take the larger of it and the estimate. */
	bool is_unclear;
	uint64_t text_bytes; /* of generated text so far */
	uint64_t pieces;     /* that it came in: a token each at least */
	uint64_t bytes;	     /* of the body */
};

/* The figures of an answer, as they were read: what a format's settle() works from. */
struct llm_figures {
	int64_t v[LLM_N_LIMIT]; /* money in picodollars */
	uint64_t set;		/* bits */
};

static inline int64_t llm_figure(const struct llm_figures *f, enum llm_figure n)
{
	return f->set >> n & 1 ? f->v[n] : 0;
}

static inline bool llm_has_figure(const struct llm_figures *f, enum llm_figure n)
{
	return f->set >> n & 1;
}

/*
 * For settle(): usage where the input's figure includes the cache (OpenAI, Gemini), and where it
 * does not (Anthropic).
 */
void llm_settle_inclusive(const struct llm_figures *f, struct usage *u);
void llm_settle_exclusive(const struct llm_figures *f, struct usage *u);

struct llm_reader;

/* By the Content-Type of a 2xx answer; NULL is none. */
enum llm_shape llm_shape_of(const struct llm_format *format, bool streams,
			    const char *content_type);

/* `hide_usage`: what llm_request_rewrite() put in is taken out again. */
int llm_reader_new(const struct llm_format *format, enum llm_shape shape, bool hide_usage,
		   struct llm_reader **ret, struct err *e);
void llm_reader_free(struct llm_reader *r);

static inline void llm_reader_freep(struct llm_reader **r)
{
	llm_reader_free(*r);
}
#define _llm_reader_free_ __attribute__((cleanup(llm_reader_freep)))

/*
 * The next bytes of the body. What goes to the client is appended to `out`; with NULL nothing does
 * (the client is gone, the answer is read to its end for the bill). Fails only without memory.
 */
int llm_reader_feed(struct llm_reader *r, const void *data, size_t len, struct buf *out,
		    struct err *e);

/* The body is over; `is_whole`: as HTTP sees it, it came to its end. */
int llm_reader_end(struct llm_reader *r, bool is_whole, struct buf *out, struct err *e);

/*
 * Ends a stream for the client with the format's own error event, behind what passed so far. Of a
 * whole body nothing can be ended: nothing is appended. Later bytes are not taken.
 */
void llm_reader_stop(struct llm_reader *r, enum llm_refusal_reason reason,
		     const char *message, struct buf *out);

/* As it stands now; settled after each event. */
const struct llm_answer *llm_reader_answer(const struct llm_reader *r);

/* The least that was generated so far, by what was seen and what the provider said. */
uint64_t llm_answer_output_guess(const struct llm_answer *a);

#endif
