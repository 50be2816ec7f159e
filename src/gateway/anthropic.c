/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anthropic's Messages. input_tokens leaves out what was read from the cache and written to it. In a
 * stream message_start has the input and a first figure of the output, message_delta has sums: the
 * largest figure of each holds, nothing is added up. Tables, and what the last event is.
 */
#include "gateway/answer.h"
#include "gateway/format.h"

/* clang-format off */
static const struct llm_field_row fields[] = {
	{ "model", LLM_F_MODEL, 0, NULL },
	{ "stream", LLM_F_STREAM, 0, NULL },
	{ "max_tokens", LLM_F_MAX, 0, NULL },
	{ "thinking.budget_tokens", LLM_F_THINKING, 0, NULL },
	{ "service_tier", LLM_F_TIER, 0, NULL },
	{ "speed", LLM_F_SPEED, 0, NULL },
	{ "inference_geo", LLM_F_GEO, 0, NULL },
	{ "tools.#.type", LLM_F_TOOL, 0, NULL },
	{ "mcp_servers.#", LLM_F_TOOL_KEY, LLM_TOOL_MCP, NULL },
	{ "container", LLM_F_HIDDEN, 0, "it uses a container that the provider keeps" },
	{ "*.cache_control", LLM_F_CACHE, 0, NULL },
	{ "*.cache_control.ttl", LLM_F_CACHE_TTL, 0, NULL },
	{ "cache_control", LLM_F_CACHE, 0, NULL },
	{ "cache_control.ttl", LLM_F_CACHE_TTL, 0, NULL },
	{ "*.source.url", LLM_F_URL, 0, NULL },
	{ "*.file_id", LLM_F_HIDDEN, 0, "it refers to a file that the provider keeps" },
	{ "*.source.data", LLM_F_MEDIA, 0, NULL },
	{},
};

static const struct llm_tool_row tools[] = {
	/* These the client runs. */
	{ "custom", false, 0 },
	{ "bash_", true, 0 },
	{ "text_editor_", true, 0 },
	{ "computer_", true, 0 },
	{ "memory_", true, 0 },
	/* Looks through the tools that the request itself has. */
	{ "tool_search_tool_", true, 0 },
	{ "web_search_", true, LLM_TOOL_WEB_SEARCH },
	{ "web_fetch_", true, LLM_TOOL_WEB_FETCH },
	{ "code_execution_", true, LLM_TOOL_CODE },
	{ "mcp_toolset", false, LLM_TOOL_MCP },
	{},
};

static const struct llm_figure_row figures[] = {
	{ "type", LLM_T_EVENT },
	{ "id", LLM_T_ID },
	{ "model", LLM_T_MODEL },
	{ "error", LLM_E_ERROR },
	{ "error.type", LLM_T_ERROR },
	{ "delta.stop_reason", LLM_T_FINISH },
	{ "usage.input_tokens", LLM_N_IN },
	{ "usage.output_tokens", LLM_N_OUT },
	{ "usage.cache_read_input_tokens", LLM_N_CACHED },
	{ "usage.cache_creation_input_tokens", LLM_N_CACHE_WRITE },
	{ "usage.cache_creation.ephemeral_5m_input_tokens", LLM_N_CACHE_WRITE_5M },
	{ "usage.cache_creation.ephemeral_1h_input_tokens", LLM_N_CACHE_WRITE_1H },
	{ "usage.output_tokens_details.thinking_tokens", LLM_N_REASONING },
	{ "usage.server_tool_use.web_search_requests", LLM_N_WEB_SEARCH },
	{ "usage.service_tier", LLM_T_TIER },
	{ "usage.speed", LLM_T_SPEED },
	{ "usage.inference_geo", LLM_T_GEO },
	{},
};
/* clang-format on */

static const char *const wrappers[] = { "message.", NULL };
static const char *const content[] = { "delta.", NULL };
static const char *const content_whole[] = {
	"content.#.text",
	"content.#.thinking",
	"content.#.name",
	"content.#.input.",
	NULL,
};

static void settle(const struct llm_figures *f, struct llm_answer *a)
{
	llm_settle_exclusive(f, &a->usage);
}

static void event(const char *type, struct llm_answer *a)
{
	if (a->end != LLM_END_OPEN)
		return;
	if (streq(type, "message_stop"))
		a->end = LLM_END_DONE;
	else if (streq(type, "error"))
		a->end = LLM_END_ERROR;
}

const struct llm_format llm_format_messages = {
	.id = LLM_MESSAGES,
	.family = LLM_ANTHROPIC,
	.name = "Messages",
	.needs_max = true,
	.max_new = "max_tokens",
	.fields = fields,
	.tools = tools,
	.wrappers = wrappers,
	.figures = figures,
	.content = content,
	.content_whole = content_whole,
	.shares = "usage.iterations",
	.keeps_largest = true,
	.settle = settle,
	.event = event,
};
