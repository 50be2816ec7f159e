/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request asks for, and the same request with a lower maximum. The body is kept as the client
 * wrote it: the few members that change are replaced where they stand.
 */
#ifndef PURPLE_GATEWAY_REQUEST_H
#define PURPLE_GATEWAY_REQUEST_H

#include "base/err.h"
#include "gateway/edits.h"
#include "gateway/format.h"

/* A body is held until it is sent: longer ones are refused (413) by the caller. */
#define LLM_REQUEST_MAX (32U << 20)
#define LLM_SPELLINGS_MAX 6
#define LLM_WORD_MAX 31

struct llm_span {
	size_t start, end; /* end 0: absent */
};

/* An object into which members are put: right behind its brace. */
struct llm_object {
	struct llm_span all; /* of null: the word */
	bool is_null, is_empty;
};

/* One spelling of the maximum, as it was given. */
struct llm_maximum {
	const char *path;
	struct llm_span value;
	int64_t tokens; /* null and what is below zero: no limit, INT64_MAX */
	bool is_null;
};

struct llm_request {
	const struct llm_format *format;
	char model[LLM_MODEL_MAX + 1];
	bool streams;
	bool asks_usage;    /* the client itself wants usage in the stream */
	int64_t max;	    /* smallest of the maxima that were given; INT64_MAX: none */
	uint32_t copies;    /* so many answers are generated, each up to the maximum */
	int64_t thinking;   /* tokens of the maximum that are set apart for thinking */
	unsigned int tools; /* enum llm_tool */
	bool caches, caches_1h; /* asks the provider to write to its cache */
	char tier[LLM_WORD_MAX + 1], speed[LLM_WORD_MAX + 1], geo[LLM_WORD_MAX + 1];
	const char *hidden; /* why the provider reads more than the body holds; NULL: it does not */

	/* What the input may come to. */
	size_t bytes;	    /* of the body */
	size_t text_bytes;  /* of texts, base64 left out */
	size_t media_bytes; /* of base64 */
	unsigned int media; /* how many of those */

	/* Where the members stand that are rewritten. */
	struct llm_object body, stream_options, max_parent;
	struct llm_span include_usage;
	struct llm_maximum maxima[LLM_SPELLINGS_MAX];
	size_t maxima_n;
};

/*
 * Reads a body. `model` and `streams` of the route: the path's own, "" and false when the body says
 * it. ERR_USAGE: the client's request is wrong or cannot be metered, the message is for its
 * developer (400). The request holds no pointer into the body.
 */
int llm_request_read(const struct llm_format *format, const char *model, bool path_streams,
		     const char *body, size_t len, struct llm_request *ret, struct err *e);

/*
 * The most tokens that the input can come to: a token has one byte at least, and a picture may be
 * small and cost much. Says nothing about a request with `hidden`: take the model's whole context.
 */
uint64_t llm_request_input_bound(const struct llm_request *r);

/* What the input probably comes to, at so many bytes of text for 100 tokens (400 to start with). */
uint64_t llm_request_input_guess(const struct llm_request *r, uint32_t bytes_per_100);

/* What servers of OpenAI's formats differ in. */
struct llm_server {
	bool knows_new_max; /* max_completion_tokens; others refuse or ignore it */
	bool sends_usage; /* in streams without being asked, and may refuse stream_options */
};

/* By the provider's name in the policy, in lower case. */
struct llm_server llm_server_by_name(const char *provider);

/*
 * The changes that hold the answers, all copies together, to `out_cap` tokens (INT64_MAX: as they
 * are), and ask for usage in a stream. *ret_hide_usage: the client did not ask for it, so it is taken
 * out again. -ENOSPC: the cap leaves nothing that is useful: below the thinking budget, or less than
 * one token each.
 */
int llm_request_rewrite(const struct llm_request *r, const struct llm_server *server,
			int64_t out_cap, struct edits *ret, bool *ret_hide_usage,
			struct err *e);

#endif
