/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one LLM call used, in the one form that prices and the ledger work with, whatever the
 * provider's own figures look like. Every token stands in exactly one of the members that are
 * summed: `reasoning` and `out_audio` are parts of `out`, `cache_audio` of `cache_read`, and no
 * other member is part of another.
 *
 *   OpenAI's prompt_tokens includes what was read from and written to the cache, Anthropic's
 *   input_tokens does not; Gemini's candidatesTokenCount leaves thoughts out, OpenAI's
 *   completion_tokens has them. Readers of wire formats even that out before they fill this.
 */
#ifndef PURPLE_BUDGET_USAGE_H
#define PURPLE_BUDGET_USAGE_H

#include <stdint.h>

struct usage {
	int64_t in_uncached; /* text and images read at the full rate; no cache, no audio */
	int64_t cache_read;  /* read from the provider's cache, audio included */
	int64_t cache_audio; /* of `cache_read`: audio */
	int64_t cache_w5m;   /* written to the cache for minutes, or no time was named */
	int64_t cache_w1h;   /* written to the cache for an hour or longer */
	int64_t in_audio;    /* audio read at the full rate */
	int64_t out;	     /* all that was generated, reasoning and audio included */
	int64_t reasoning;   /* of `out`: thoughts */
	int64_t out_audio;   /* of `out`: audio */
	int64_t web_search;  /* calls of the provider's own web search, no tokens */
};

#endif
