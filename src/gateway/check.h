/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a request as the agent sent it: what of it is refused before anything else is looked
 * at, and what the gateway takes from it. libmicrohttpd lets much pass that other programs read in
 * another way: two lengths, a length beside chunks, control characters. Nothing of that is of use to
 * an honest client. Pure: see tests/fuzz.
 */
#ifndef PURPLE_GATEWAY_CHECK_H
#define PURPLE_GATEWAY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/refusal.h"

#define CHECK_TARGET_MAX 4096
#define CHECK_HEADERS_MAX 100

/* One line of the head. Lengths count: there may be a NUL within. */
struct check_field {
	const char *name, *value;
	size_t name_len, value_len;
};

struct check_head {
	const char *host;
	bool has_length, is_chunked, is_upgrade, expects_continue;
	uint64_t length;
	/* Each points into a field, without what stands before it; NULL: not there. */
	const char *bearer, *x_api_key, *api_key, *x_goog_api_key;
};

enum check_answer {
	CHECK_OK,
	CHECK_REFUSE, /* this request; its body can be read to the end */
	CHECK_CLOSE, /* and nothing more is read from the connection: its framing is in doubt */
};

/*
 * `version`: "HTTP/1.1". `target` ends in NUL. On refusal *ret_reason and *ret_message say why;
 * the message is constant.
 */
enum check_answer check_request(const char *version, const char *target,
				const struct check_field *fields, size_t n,
				struct check_head *ret, enum llm_refusal_reason *ret_reason,
				const char **ret_message);

/* Whether a header of the client's goes to the provider, and one of the provider's to the client. */
bool check_passes_on(const char *name);
bool check_passes_back(const char *name);

/* Whether a text can be a header's value. */
bool check_is_value(const char *text);

/* Equal, in a time that tells nothing of where they differ. */
bool check_secret_equal(const char *given, const char *secret);

/*
 * Takes the values of "key" (and its like) out of a target's query, to compare: the first one,
 * its escapes undone, into `ret`. False: there is none, or none that fits.
 */
bool check_query_key(const char *target, char *ret, size_t size);

#endif
