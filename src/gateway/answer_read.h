/* SPDX-License-Identifier: Apache-2.0 */
/* What answer.c and answer_read.c share: a reader from the inside. */
#ifndef PURPLE_GATEWAY_ANSWER_READ_H
#define PURPLE_GATEWAY_ANSWER_READ_H

#include "base/json_scan.h"
#include "gateway/answer.h"
#include "gateway/sse.h"

/* What one document, an event or an element, said beside figures. */
struct llm_document {
	char type[64], item[32];
	unsigned int output_items, queries;
	bool has_text, has_error;
	bool has_choices, has_usage;
	unsigned int choices;
	uint64_t null_start,
		null_end;  /* of a member "usage": null, key included; end 0: none */
	char modality[16]; /* of the entry at hand */
	int64_t tokens;
	char share_model[LLM_NAME_MAX + 1];
	struct llm_figures share;
};

struct llm_reader {
	const struct llm_format *format;
	enum llm_shape shape;
	bool hide_usage;
	struct json_scan scan;
	struct sse sse;
	struct llm_answer answer;
	struct llm_figures figures;
	struct llm_document doc;
	char id[LLM_NAME_MAX + 1];
	bool is_finishing; /* the answer named why it ends */
	bool is_byok;
	unsigned int items; /* calls of web search that events told of */

	/* Events: the data at hand, and the bytes that wait for the event's end. */
	struct buf held;
	bool is_spilled; /* the event began to pass before it ended */
	bool is_unreadable;
	char head[8]; /* how the data begins */
	size_t data_len;
	size_t data_at;	  /* in held: where the data begins */
	const char *line; /* the piece that is being read */

	/* Lists: bytes that passed, and where the last whole element ends. */
	uint64_t passed, element_end;
	unsigned int elements;
};

/* For json_scan_begin(). */
bool llm_document_token(void *reader, const struct json_token *t);

/* A document is whole: what it said goes into the answer. */
void llm_document_end(struct llm_reader *r);

#endif
