/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of providers as struct usage, in which each token stands once: see answer.h. Where a
 * provider contradicts itself, nothing is lost: the reading with more tokens holds. Pure.
 */
#include "gateway/answer.h"

static int64_t at_most(int64_t v, int64_t limit)
{
	return v < limit ? v : limit;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* llama.cpp without usage: what it timed. */
static void settle_timings(const struct llm_figures *f, struct usage *u)
{
	u->in_uncached = llm_figure(f, LLM_N_TIMED_IN);
	u->cache_read = llm_figure(f, LLM_N_TIMED_CACHED);
	u->out = llm_figure(f, LLM_N_TIMED_OUT);
}

void llm_settle_inclusive(const struct llm_figures *f, struct usage *u)
{
	int64_t in = llm_figure(f, LLM_N_IN), tool = llm_figure(f, LLM_N_TOOL_IN);
	int64_t cached = larger(llm_figure(f, LLM_N_CACHED), llm_figure(f, LLM_N_CACHE_HIT));
	int64_t w1h = llm_figure(f, LLM_N_CACHE_WRITE_1H);
	int64_t written = larger(llm_figure(f, LLM_N_CACHE_WRITE),
				 llm_figure(f, LLM_N_CACHE_WRITE_5M) + w1h);
	int64_t audio = llm_figure(f, LLM_N_IN_AUDIO) - llm_figure(f, LLM_N_CACHED_AUDIO);
	int64_t total = llm_figure(f, LLM_N_TOTAL);

	u->web_search = llm_figure(f, LLM_N_WEB_SEARCH);
	if (!llm_has_figure(f, LLM_N_IN) && llm_has_figure(f, LLM_N_TIMED_IN)) {
		settle_timings(f, u);
		return;
	}
	/* Servers that count as Anthropic does. */
	if (cached + written > in)
		in += cached + written;
	u->cache_read = cached;
	u->cache_w1h = at_most(w1h, written);
	u->cache_w5m = written - u->cache_w1h;
	u->in_audio = at_most(larger(audio, 0), in - cached - written);
	u->in_uncached = in - cached - written - u->in_audio + tool;
	/*
	 * xAI, and Gemini behind OpenAI's format, leave the thoughts out of the output, but not out
	 * of the total.
	 */
	u->out = larger(llm_figure(f, LLM_N_OUT), total - in - tool);
	u->reasoning = at_most(llm_figure(f, LLM_N_REASONING), u->out);
	/* More thoughts than output, and no total: they were left out. */
	if (!total && llm_figure(f, LLM_N_REASONING) > u->out) {
		u->reasoning = llm_figure(f, LLM_N_REASONING);
		u->out += u->reasoning;
	}
	u->out_audio = at_most(llm_figure(f, LLM_N_OUT_AUDIO), u->out);
}

void llm_settle_exclusive(const struct llm_figures *f, struct usage *u)
{
	int64_t written = llm_figure(f, LLM_N_CACHE_WRITE);

	u->in_uncached = llm_figure(f, LLM_N_IN);
	u->cache_read = llm_figure(f, LLM_N_CACHED);
	u->cache_w1h = llm_figure(f, LLM_N_CACHE_WRITE_1H);
	/* What is said to be for no named time is for five minutes. */
	u->cache_w5m = larger(llm_figure(f, LLM_N_CACHE_WRITE_5M), written - u->cache_w1h);
	u->out = llm_figure(f, LLM_N_OUT);
	u->reasoning = at_most(llm_figure(f, LLM_N_REASONING), u->out);
	u->web_search = llm_figure(f, LLM_N_WEB_SEARCH);
}
