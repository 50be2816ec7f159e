/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAI's Responses. Usage is in the answer, or in a stream in the response of its last event:
 * response.completed, response.incomplete or response.failed. There is no [DONE]. Tables, and what
 * the last event is.
 */
#include "gateway/answer.h"
#include "gateway/format.h"

/* clang-format off */
static const struct llm_field_row fields[] = {
	{ "model", LLM_F_MODEL, 0, NULL },
	{ "models", LLM_F_REFUSED, 0, "asks for other models to fall back on: one call is for one model" },
	{ "preset", LLM_F_REFUSED, 0, "would pick the model at the provider" },
	{ "stream", LLM_F_STREAM, 0, NULL },
	{ "max_output_tokens", LLM_F_MAX, 0, NULL },
	{ "max_tokens", LLM_F_MAX, 0, NULL },
	{ "max_completion_tokens", LLM_F_MAX, 0, NULL },
	{ "service_tier", LLM_F_TIER, 0, NULL },
	{ "background", LLM_F_REFUSED_IF_TRUE, 0, "would give its usage later, where it cannot be metered" },
	{ "tools.#.type", LLM_F_TOOL, 0, NULL },
	{ "plugins.#.id", LLM_F_PLUGIN, 0, NULL },
	{ "search_parameters", LLM_F_TOOL_KEY, LLM_TOOL_WEB_SEARCH, NULL },
	{ "previous_response_id", LLM_F_HIDDEN, 0, "it goes on from an answer that the provider keeps" },
	{ "conversation", LLM_F_HIDDEN, 0, "it goes on with a conversation that the provider keeps" },
	{ "prompt", LLM_F_HIDDEN, 0, "it uses a prompt that the provider keeps" },
	{ "input.#.type", LLM_F_ITEM, 0, NULL },
	{ "*.cache_control", LLM_F_CACHE, 0, NULL },
	{ "*.image_url", LLM_F_URL, 0, NULL },
	{ "*.file_url", LLM_F_URL, 0, NULL },
	{ "*.file_id", LLM_F_HIDDEN, 0, "it refers to a file that the provider keeps" },
	{ "*.file_data", LLM_F_MEDIA, 0, NULL },
	{ "*.input_audio.data", LLM_F_MEDIA, 0, NULL },
	{},
};

static const struct llm_tool_row tools[] = {
	/* These the client runs. */
	{ "function", false, 0 },
	{ "custom", false, 0 },
	{ "namespace", false, 0 },
	{ "local_shell", false, 0 },
	{ "apply_patch", false, 0 },
	{ "computer", true, 0 },
	{ "tool_search", false, 0 },
	{ "web_search", true, LLM_TOOL_WEB_SEARCH },
	{ "x_search", false, LLM_TOOL_WEB_SEARCH },
	{ "file_search", false, LLM_TOOL_FILE_SEARCH },
	{ "collections_search", false, LLM_TOOL_FILE_SEARCH },
	{ "code_interpreter", false, LLM_TOOL_CODE },
	{ "code_execution", false, LLM_TOOL_CODE },
	{ "shell", false, LLM_TOOL_CODE },
	{ "image_generation", false, LLM_TOOL_IMAGE },
	{ "mcp", false, LLM_TOOL_MCP },
	{},
};

static const struct llm_figure_row figures[] = {
	{ "type", LLM_T_EVENT },
	{ "id", LLM_T_ID },
	{ "model", LLM_T_MODEL },
	{ "service_tier", LLM_T_TIER },
	{ "sequence_number", LLM_N_SEQUENCE },
	{ "created_at", LLM_N_CREATED },
	{ "error", LLM_E_ERROR },
	{ "error.code", LLM_T_ERROR },
	{ "item.type", LLM_T_ITEM },
	{ "output.#.type", LLM_T_OUTPUT_ITEM },
	{ "usage.input_tokens", LLM_N_IN },
	{ "usage.output_tokens", LLM_N_OUT },
	{ "usage.total_tokens", LLM_N_TOTAL },
	{ "usage.input_tokens_details.cached_tokens", LLM_N_CACHED },
	{ "usage.input_tokens_details.cache_write_tokens", LLM_N_CACHE_WRITE },
	{ "usage.input_tokens_details.cache_write_tokens_details.ttl_30m_tokens", LLM_N_CACHE_WRITE_5M },
	{ "usage.input_tokens_details.cache_write_tokens_details.ttl_12h_tokens", LLM_N_CACHE_WRITE_1H },
	{ "usage.input_tokens_details.audio_tokens", LLM_N_IN_AUDIO },
	{ "usage.output_tokens_details.reasoning_tokens", LLM_N_REASONING },
	{ "usage.output_tokens_details.audio_tokens", LLM_N_OUT_AUDIO },
	{ "usage.cost", LLM_N_COST },
	{ "usage.is_byok", LLM_B_BYOK },
	{ "usage.cost_details.upstream_inference_cost", LLM_N_COST_UPSTREAM },
	{ "usage.cost_in_usd_ticks", LLM_N_COST_TICKS },
	{ "usage.num_sources_used", LLM_N_WEB_SEARCH },
	{},
};
/* clang-format on */

static const char *const wrappers[] = { "response.", NULL };
static const char *const content[] = { "delta", NULL };
static const char *const content_whole[] = {
	"output.#.content.", "output.#.summary.", "output.#.arguments",
	"output.#.input",    "output.#.code",	  NULL,
};

static void settle(const struct llm_figures *f, struct llm_answer *a)
{
	llm_settle_inclusive(f, &a->usage);
}

static void event(const char *type, struct llm_answer *a)
{
	if (a->end != LLM_END_OPEN)
		return;
	if (streq(type, "response.completed") || streq(type, "response.incomplete"))
		a->end = LLM_END_DONE;
	else if (streq(type, "response.failed") || streq(type, "error"))
		a->end = LLM_END_ERROR;
}

const struct llm_format llm_format_responses = {
	.id = LLM_RESPONSES,
	.family = LLM_OPENAI,
	.name = "Responses",
	.max_new = "max_output_tokens",
	.fields = fields,
	.tools = tools,
	.wrappers = wrappers,
	.figures = figures,
	.content = content,
	.content_whole = content_whole,
	.settle = settle,
	.event = event,
};
