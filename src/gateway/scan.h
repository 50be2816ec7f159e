/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what must not leave in a request: keys, tokens, card numbers. The patterns are data: one
 * pass over the body, whatever they are and whatever it holds, with no going back.
 *
 * The patterns' file has a line each, "NAME BEGINNING CHARACTERS LEAST-MOST": a text that begins so,
 * not in the midst of a word, and goes on with so many of the characters, a digit among them where
 * digits are allowed. LEAST equal to MOST is that many and no more. CHARACTERS are ranges as in
 * "A-Za-z0-9_-", with \s for white space; '_' in BEGINNING is itself, \s a space. The line "NAME card"
 * is payment card numbers, by their lengths and their check digit. '#' begins a comment.
 */
#ifndef PURPLE_GATEWAY_SCAN_H
#define PURPLE_GATEWAY_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "gateway/edits.h"

#define SCAN_RULES_MAX 64
#define SCAN_NAME_MAX 31
#define SCAN_FINDINGS_MAX 64

struct scan_rules;

/* `name`: of the file, for messages, which give the line. */
int scan_rules_parse(const char *text, size_t len, const char *name,
		     struct scan_rules **ret, struct err *e);
void scan_rules_free(struct scan_rules *r);

static inline void scan_rules_freep(struct scan_rules **r)
{
	scan_rules_free(*r);
}
#define _scan_rules_free_ __attribute__((cleanup(scan_rules_freep)))

struct scan_finding {
	const char *rule; /* its name; lives as long as the rules */
	size_t start, end; /* bytes of the body; whole characters and escapes of one string */
};

struct scan_findings {
	struct scan_finding v[SCAN_FINDINGS_MAX]; /* by place, none within another */
	size_t n;
	bool are_more; /* than fit: the request can only be refused */
};

/* `body` is valid JSON: what llm_request_read() accepted. Looks into its strings and keys. */
void scan_body(const struct scan_rules *r, const char *body, size_t len,
	       struct scan_findings *ret);

/* Puts "[REDACTED:name]" in the place of each. False: they do not fit, refuse the request. */
bool scan_redact(const struct scan_findings *f, struct edits *edits);

#endif
