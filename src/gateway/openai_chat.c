/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAI's Chat Completions, Completions and Embeddings, and the servers that speak them: vLLM,
 * llama.cpp, Ollama, Azure, Mistral, DeepSeek, xAI, Groq, OpenRouter. Tables only.
 *
 * Usage is in the answer, or in a stream in one chunk before [DONE] when stream_options asks for it.
 * vLLM has it on every chunk when asked (continuous_usage_stats), Mistral and OpenRouter on the
 * last, llama.cpp there or in a chunk of its own, Groq under x_groq.
 */
#include "gateway/answer.h"
#include "gateway/format.h"

#define MODELS_LIST "asks for other models to fall back on: one call is for one model"

/* clang-format off */
#define COMMON_FIELDS \
	{ "model", LLM_F_MODEL, 0, NULL }, \
	{ "models", LLM_F_REFUSED, 0, MODELS_LIST }, \
	{ "preset", LLM_F_REFUSED, 0, "would pick the model at the provider" }, \
	{ "stream", LLM_F_STREAM, 0, NULL }, \
	{ "max_tokens", LLM_F_MAX, 0, NULL }, \
	{ "max_completion_tokens", LLM_F_MAX, 0, NULL }, \
	/* llama.cpp takes this before the others; Ollama and TGI have names of their own. */ \
	{ "n_predict", LLM_F_MAX, 0, NULL }, \
	{ "options.num_predict", LLM_F_MAX, 0, NULL }, \
	{ "max_new_tokens", LLM_F_MAX, 0, NULL }, \
	{ "max_output_tokens", LLM_F_MAX, 0, NULL }, \
	{ "n", LLM_F_COPIES, 0, NULL }, \
	{ "best_of", LLM_F_COPIES, 0, NULL }, \
	{ "stream_options", LLM_F_STREAM_OPTIONS, 0, NULL }, \
	{ "stream_options.include_usage", LLM_F_INCLUDE_USAGE, 0, NULL }, \
	{ "service_tier", LLM_F_TIER, 0, NULL }, \
	{ "background", LLM_F_REFUSED_IF_TRUE, 0, "would give its usage later, where it cannot be metered" }, \
	{ "deferred", LLM_F_REFUSED_IF_TRUE, 0, "would give its usage later, where it cannot be metered" }

static const struct llm_field_row chat_fields[] = {
	COMMON_FIELDS,
	{ "tools.#.type", LLM_F_TOOL, 0, NULL },
	{ "web_search_options", LLM_F_TOOL_KEY, LLM_TOOL_WEB_SEARCH, NULL },
	{ "search_parameters", LLM_F_TOOL_KEY, LLM_TOOL_WEB_SEARCH, NULL },
	{ "plugins.#.id", LLM_F_PLUGIN, 0, NULL },
	{ "audio", LLM_F_TOOL_KEY, LLM_TOOL_AUDIO, NULL },
	{ "thinking.budget_tokens", LLM_F_THINKING, 0, NULL },
	{ "reasoning.max_tokens", LLM_F_THINKING, 0, NULL },
	{ "*.cache_control", LLM_F_CACHE, 0, NULL },
	{ "*.cache_control.ttl", LLM_F_CACHE_TTL, 0, NULL },
	{ "*.image_url", LLM_F_URL, 0, NULL },
	{ "*.image_url.url", LLM_F_URL, 0, NULL },
	{ "*.video_url.url", LLM_F_URL, 0, NULL },
	{ "*.audio_url.url", LLM_F_URL, 0, NULL },
	{ "*.document_url", LLM_F_URL, 0, NULL },
	{ "*.file_id", LLM_F_HIDDEN, 0, "it refers to a file that the provider keeps" },
	{ "*.file_data", LLM_F_MEDIA, 0, NULL },
	{ "*.input_audio.data", LLM_F_MEDIA, 0, NULL },
	{},
};

static const struct llm_field_row completions_fields[] = {
	COMMON_FIELDS,
	{ "prompt.#", LLM_F_PROMPTS, 0, NULL },
	{},
};

static const struct llm_field_row embeddings_fields[] = {
	{ "model", LLM_F_MODEL, 0, NULL },
	{ "models", LLM_F_REFUSED, 0, MODELS_LIST },
	{ "*.image_url.url", LLM_F_URL, 0, NULL },
	{},
};

static const struct llm_tool_row chat_tools[] = {
	{ "function", false, 0 },
	{ "custom", false, 0 },
	{ "web_search", true, LLM_TOOL_WEB_SEARCH },
	{ "openrouter:web_search", false, LLM_TOOL_WEB_SEARCH },
	{ "browser_search", false, LLM_TOOL_WEB_SEARCH },
	{ "live_search", false, LLM_TOOL_WEB_SEARCH },
	{ "code_interpreter", false, LLM_TOOL_CODE },
	{ "code_execution", false, LLM_TOOL_CODE },
	{ "file_search", false, LLM_TOOL_FILE_SEARCH },
	{ "document_library", false, LLM_TOOL_FILE_SEARCH },
	{ "image_generation", false, LLM_TOOL_IMAGE },
	{ "mcp", false, LLM_TOOL_MCP },
	{},
};

static const struct llm_figure_row figures[] = {
	{ "model", LLM_T_MODEL },
	{ "service_tier", LLM_T_TIER },
	{ "choices.#.finish_reason", LLM_T_FINISH },
	{ "error", LLM_E_ERROR },
	{ "error.code", LLM_T_ERROR },
	{ "usage.prompt_tokens", LLM_N_IN },
	{ "usage.completion_tokens", LLM_N_OUT },
	{ "usage.total_tokens", LLM_N_TOTAL },
	{ "usage.prompt_tokens_details.cached_tokens", LLM_N_CACHED },
	{ "usage.prompt_tokens_details.cache_write_tokens", LLM_N_CACHE_WRITE },
	{ "usage.prompt_tokens_details.audio_tokens", LLM_N_IN_AUDIO },
	{ "usage.completion_tokens_details.reasoning_tokens", LLM_N_REASONING },
	{ "usage.completion_tokens_details.audio_tokens", LLM_N_OUT_AUDIO },
	/* DeepSeek; Moonshot. */
	{ "usage.prompt_cache_hit_tokens", LLM_N_CACHE_HIT },
	{ "usage.cached_tokens", LLM_N_CACHE_HIT },
	/* OpenRouter: when it calls on with the user's own key, cost is its fee alone. */
	{ "usage.cost", LLM_N_COST },
	{ "usage.is_byok", LLM_B_BYOK },
	{ "usage.cost_details.upstream_inference_cost", LLM_N_COST_UPSTREAM },
	{ "usage.server_tool_use.web_search_requests", LLM_N_WEB_SEARCH },
	/* xAI. */
	{ "usage.cost_in_usd_ticks", LLM_N_COST_TICKS },
	{ "usage.num_sources_used", LLM_N_WEB_SEARCH },
	/* llama.cpp. */
	{ "timings.prompt_n", LLM_N_TIMED_IN },
	{ "timings.cache_n", LLM_N_TIMED_CACHED },
	{ "timings.predicted_n", LLM_N_TIMED_OUT },
	{},
};
/* clang-format on */

static const char *const wrappers[] = { "x_groq.", NULL };
static const char *const content[] = { "choices.#.delta.", "choices.#.text", NULL };
static const char *const content_whole[] = { "choices.#.message.", NULL };
static const struct llm_tool_row no_tools[] = { {} };

static void settle(const struct llm_figures *f, struct llm_answer *a)
{
	llm_settle_inclusive(f, &a->usage);
}

const struct llm_format llm_format_chat = {
	.id = LLM_CHAT,
	.family = LLM_OPENAI,
	.name = "Chat Completions",
	.has_stream_options = true,
	.max_new = "max_completion_tokens",
	.max_old = "max_tokens",
	.fields = chat_fields,
	.tools = chat_tools,
	.wrappers = wrappers,
	.figures = figures,
	.content = content,
	.content_whole = content_whole,
	.settle = settle,
};

const struct llm_format llm_format_completions = {
	.id = LLM_COMPLETIONS,
	.family = LLM_OPENAI,
	.name = "Completions",
	.has_stream_options = true,
	.max_new = "max_tokens",
	.fields = completions_fields,
	.tools = no_tools,
	.wrappers = wrappers,
	.figures = figures,
	.content = content,
	.settle = settle,
};

const struct llm_format llm_format_embeddings = {
	.id = LLM_EMBEDDINGS,
	.family = LLM_OPENAI,
	.name = "Embeddings",
	.fields = embeddings_fields,
	.tools = no_tools,
	.figures = figures,
	.settle = settle,
};
