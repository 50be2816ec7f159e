/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gemini's generateContent and streamGenerateContent. The model is in the path. Every chunk of a
 * stream has usageMetadata, and the last holds. candidatesTokenCount leaves the thoughts out, and
 * what tools read is beside the prompt. Names are taken as Google does: in camelCase and with
 * underscores. Tables and sums.
 */
#include "gateway/answer.h"
#include "gateway/format.h"

#define KEPT_CONTENT "it uses content that the provider keeps"
#define KEPT_FILE "it refers to a file that the provider keeps or fetches"

/* clang-format off */
static const struct llm_field_row fields[] = {
	{ "generationConfig", LLM_F_MAX_PARENT, 0, NULL },
	{ "generation_config", LLM_F_MAX_PARENT, 0, NULL },
	{ "generationConfig.maxOutputTokens", LLM_F_MAX, 0, NULL },
	{ "generationConfig.max_output_tokens", LLM_F_MAX, 0, NULL },
	{ "generation_config.maxOutputTokens", LLM_F_MAX, 0, NULL },
	{ "generation_config.max_output_tokens", LLM_F_MAX, 0, NULL },
	{ "generationConfig.candidateCount", LLM_F_COPIES, 0, NULL },
	{ "generationConfig.candidate_count", LLM_F_COPIES, 0, NULL },
	{ "generation_config.candidateCount", LLM_F_COPIES, 0, NULL },
	{ "generation_config.candidate_count", LLM_F_COPIES, 0, NULL },
	{ "tools.#.", LLM_F_TOOL_NAME, 0, NULL },
	{ "serviceTier", LLM_F_TIER, 0, NULL },
	{ "service_tier", LLM_F_TIER, 0, NULL },
	{ "cachedContent", LLM_F_HIDDEN, 0, KEPT_CONTENT },
	{ "cached_content", LLM_F_HIDDEN, 0, KEPT_CONTENT },
	{ "*.fileData.fileUri", LLM_F_HIDDEN, 0, KEPT_FILE },
	{ "*.fileData.file_uri", LLM_F_HIDDEN, 0, KEPT_FILE },
	{ "*.file_data.fileUri", LLM_F_HIDDEN, 0, KEPT_FILE },
	{ "*.file_data.file_uri", LLM_F_HIDDEN, 0, KEPT_FILE },
	{ "*.inlineData.data", LLM_F_MEDIA, 0, NULL },
	{ "*.inline_data.data", LLM_F_MEDIA, 0, NULL },
	{},
};

static const struct llm_tool_row tools[] = {
	{ "functionDeclarations", false, 0 },
	{ "function_declarations", false, 0 },
	{ "computerUse", false, 0 },
	{ "computer_use", false, 0 },
	{ "googleSearch", true, LLM_TOOL_WEB_SEARCH },
	{ "google_search", true, LLM_TOOL_WEB_SEARCH },
	{ "enterpriseWebSearch", false, LLM_TOOL_WEB_SEARCH },
	{ "enterprise_web_search", false, LLM_TOOL_WEB_SEARCH },
	{ "urlContext", false, LLM_TOOL_WEB_FETCH },
	{ "url_context", false, LLM_TOOL_WEB_FETCH },
	{ "codeExecution", false, LLM_TOOL_CODE },
	{ "code_execution", false, LLM_TOOL_CODE },
	{ "googleMaps", false, LLM_TOOL_MAPS },
	{ "google_maps", false, LLM_TOOL_MAPS },
	{ "fileSearch", false, LLM_TOOL_FILE_SEARCH },
	{ "file_search", false, LLM_TOOL_FILE_SEARCH },
	{ "mcpServers", false, LLM_TOOL_MCP },
	{ "mcp_servers", false, LLM_TOOL_MCP },
	{},
};

static const struct llm_figure_row figures[] = {
	{ "modelVersion", LLM_T_MODEL },
	{ "candidates.#.finishReason", LLM_T_FINISH },
	{ "promptFeedback.blockReason", LLM_T_FINISH },
	{ "error", LLM_E_ERROR },
	{ "error.status", LLM_T_ERROR },
	{ "candidates.#.groundingMetadata.webSearchQueries.#", LLM_E_QUERY },
	{ "usageMetadata.promptTokenCount", LLM_N_IN },
	{ "usageMetadata.candidatesTokenCount", LLM_N_OUT },
	{ "usageMetadata.thoughtsTokenCount", LLM_N_REASONING },
	{ "usageMetadata.totalTokenCount", LLM_N_TOTAL },
	{ "usageMetadata.cachedContentTokenCount", LLM_N_CACHED },
	{ "usageMetadata.toolUsePromptTokenCount", LLM_N_TOOL_IN },
	{ "usageMetadata.serviceTier", LLM_T_TIER },
	{},
};

static const struct llm_figure_row audio[] = {
	{ "usageMetadata.promptTokensDetails.#", LLM_N_IN_AUDIO },
	{ "usageMetadata.candidatesTokensDetails.#", LLM_N_OUT_AUDIO },
	{ "usageMetadata.cacheTokensDetails.#", LLM_N_CACHED_AUDIO },
	{},
};
/* clang-format on */

static const char *const content[] = { "candidates.#.content.", NULL };

static void settle(const struct llm_figures *f, struct llm_answer *a)
{
	struct llm_figures with_thoughts = *f;
	int64_t thoughts = llm_figure(f, LLM_N_REASONING);

	if (thoughts > 0) {
		with_thoughts.v[LLM_N_OUT] = llm_figure(f, LLM_N_OUT) + thoughts;
		with_thoughts.set |= UINT64_C(1) << LLM_N_OUT;
	}
	llm_settle_inclusive(&with_thoughts, &a->usage);
}

const struct llm_format llm_format_generate = {
	.id = LLM_GENERATE,
	.family = LLM_GEMINI,
	.name = "generateContent",
	.max_new = "maxOutputTokens",
	.max_parent = "generationConfig",
	.fields = fields,
	.tools = tools,
	.figures = figures,
	.audio = audio,
	.content = content,
	.settle = settle,
};
