/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire formats of LLM providers: which calls pass, what a request asks for and how its maximum
 * is lowered, what an answer used, and how a refusal is told. One file per provider
 * (gateway/openai_chat.c, openai_responses.c, anthropic.c, gemini.c) has the tables and the sums
 * that are its own; request.c, answer.c and refusal.c work from them.
 *
 * All of it is pure: bytes in, bytes and figures out. No sockets, no threads, no privileges; the
 * caller is the gateway's event loop. What is read comes from the agent or from a provider, and is
 * hostile until checked.
 */
#ifndef PURPLE_GATEWAY_FORMAT_H
#define PURPLE_GATEWAY_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LLM_MODEL_MAX 200

/* Whose API it is: `format` of a policy's provider. */
enum llm_family {
	LLM_OPENAI,
	LLM_ANTHROPIC,
	LLM_GEMINI,
};

/* What a body looks like. */
enum llm_format_id {
	LLM_CHAT, /* POST /v1/chat/completions */
	LLM_COMPLETIONS,
	LLM_EMBEDDINGS,
	LLM_RESPONSES,
	LLM_MESSAGES, /* Anthropic */
	LLM_GENERATE, /* Gemini */
};

/* Members of a request that matter. */
enum llm_field {
	LLM_F_MODEL = 1,
	LLM_F_STREAM,
	LLM_F_MAX,	  /* a spelling of the most tokens to generate; lowered */
	LLM_F_MAX_PARENT, /* an object that holds one */
	LLM_F_COPIES,	  /* the maximum holds for each of so many */
	LLM_F_PROMPTS,	  /* of Completions: a list of texts is that many calls */
	LLM_F_STREAM_OPTIONS,
	LLM_F_INCLUDE_USAGE,
	LLM_F_TIER,
	LLM_F_SPEED,
	LLM_F_GEO,
	LLM_F_THINKING,	 /* tokens to think, which the maximum includes */
	LLM_F_TOOL,	 /* a tool's type */
	LLM_F_TOOL_KEY,	 /* its being there (not null, not false) asks for a tool */
	LLM_F_TOOL_NAME, /* the keys below it are types of tools */
	LLM_F_ITEM,	 /* a text: "item_reference" is as LLM_F_HIDDEN */
	LLM_F_CACHE_TTL,
	LLM_F_CACHE,
	LLM_F_HIDDEN, /* the provider adds input that the request does not hold */
	LLM_F_URL,    /* a text: as LLM_F_HIDDEN unless it is a data: URL */
	LLM_F_MEDIA,  /* a text: an image, sound or file in base64 */
	LLM_F_PLUGIN, /* OpenRouter: the name of one */
	LLM_F_REFUSED,
	LLM_F_REFUSED_IF_TRUE,
};

/* Tools that the provider runs, and asks money or input tokens for; a request has a set of them. */
enum llm_tool {
	LLM_TOOL_WEB_SEARCH = 1 << 0,
	LLM_TOOL_WEB_FETCH = 1 << 1,
	LLM_TOOL_FILE_SEARCH = 1 << 2,
	LLM_TOOL_CODE = 1 << 3,
	LLM_TOOL_IMAGE = 1 << 4,
	LLM_TOOL_MCP = 1 << 5,
	LLM_TOOL_MAPS = 1 << 6,
	LLM_TOOL_AUDIO = 1 << 7, /* answers in sound */
	LLM_TOOL_UNKNOWN = 1 << 8,
};

struct llm_field_row {
	const char *path; /* as in base/json_scan.h; "*.x" is any that ends in ".x" */
	enum llm_field field;
	unsigned int tool; /* LLM_F_TOOL_KEY */
	const char *why;   /* LLM_F_REFUSED... and LLM_F_HIDDEN */
};

/* A tool's type, or how it begins: 0 is one that the client runs. */
struct llm_tool_row {
	const char *type;
	bool is_prefix;
	unsigned int tool;
};

/* Figures of an answer, as the provider gives them. */
enum llm_figure {
	LLM_N_IN = 1,
	LLM_N_OUT,
	LLM_N_TOTAL,
	LLM_N_CACHED,
	LLM_N_CACHE_HIT, /* another place for it */
	LLM_N_CACHE_WRITE,
	LLM_N_CACHE_WRITE_5M,
	LLM_N_CACHE_WRITE_1H,
	LLM_N_IN_AUDIO,
	LLM_N_OUT_AUDIO,
	LLM_N_CACHED_AUDIO,
	LLM_N_REASONING,
	LLM_N_TOOL_IN,
	LLM_N_WEB_SEARCH,
	LLM_N_COST,	     /* US dollars, a decimal number */
	LLM_N_COST_UPSTREAM, /* as well, when the provider calls on with the user's own key */
	LLM_N_COST_TICKS, /* 10^-10 US dollars */
	LLM_N_TIMED_IN,	  /* llama.cpp's timings */
	LLM_N_TIMED_CACHED,
	LLM_N_TIMED_OUT,
	LLM_N_SEQUENCE, /* of an event, and when the answer began: for an event of our own */
	LLM_N_CREATED,
	LLM_N_LIMIT,
	/* Texts. */
	LLM_T_MODEL = LLM_N_LIMIT,
	LLM_T_TIER,
	LLM_T_SPEED,
	LLM_T_GEO,
	LLM_T_ID,
	LLM_T_EVENT,	   /* the type of an event */
	LLM_T_ERROR,	   /* a code */
	LLM_T_ITEM,	   /* an item's type, in an event: calls of tools are counted */
	LLM_T_OUTPUT_ITEM, /* the same in a whole answer */
	LLM_T_FINISH,	   /* any text: the answer is at its end */
	/* By being there. */
	LLM_E_ERROR, /* an object or a text */
	LLM_E_QUERY, /* an element of a list of searches */
	LLM_B_BYOK,  /* true: LLM_N_COST_UPSTREAM counts */
};

struct llm_figure_row {
	const char *path;
	enum llm_figure figure;
};

struct llm_answer;
struct llm_figures;

struct llm_format {
	enum llm_format_id id;
	enum llm_family family;
	const char *name; /* of the API, for messages */
	/* Requests. */
	bool has_stream_options; /* usage comes in a stream only when asked for */
	bool needs_max;		 /* the maximum is required */
	const char *max_new; /* what is inserted: the present name; NULL: nothing is generated */
	const char *max_old;		    /* and the one that older servers know */
	const char *max_parent;		    /* the object it goes into, or NULL */
	const struct llm_field_row *fields; /* ends with a NULL path */
	const struct llm_tool_row *tools;
	/* Answers. */
	const char *const *wrappers; /* "response.": what is below it counts as if at the top */
	const struct llm_figure_row *figures;
	const char *const *content; /* where generated text stands, in streams and whole answers */
	const char *const *content_whole;   /* and in whole answers only */
	const struct llm_figure_row *audio; /* lists of {modality, tokenCount} */
	const char *shares; /* a list of parts, each with a model and figures */
	bool keeps_largest; /* figures only grow: the largest holds, else the last */
	/* The figures as struct usage: outputs of llm_answer, see gateway/answer.h. */
	void (*settle)(const struct llm_figures *f, struct llm_answer *a);
	/* What an event's type says about the end. */
	void (*event)(const char *type, struct llm_answer *a);
};

extern const struct llm_format llm_format_chat, llm_format_completions,
	llm_format_embeddings, llm_format_responses, llm_format_messages,
	llm_format_generate;

#endif
