/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices requests that look like an injected prompt: phrases that tell a model to forget what it
 * was told, and characters that people do not see. What is found becomes an event, and nothing else:
 * a phrase is no proof, and who knows the list writes around it.
 *
 * The phrases' file has a line each, "NAME WORD...": words of ASCII letters and digits, found whatever
 * their case and whatever stands between them but letters and digits. The line "NAME tags" is
 * Unicode's tag characters, which show nothing and which models read. '#' begins a comment.
 */
#ifndef PURPLE_GATEWAY_INJECTION_H
#define PURPLE_GATEWAY_INJECTION_H

#include <stddef.h>

#include "base/err.h"

#define INJECTION_NAMES_MAX 32
#define INJECTION_NAME_MAX 31

struct injection_rules;

/* `name`: of the file, for messages, which give the line. */
int injection_rules_parse(const char *text, size_t len, const char *name,
			  struct injection_rules **ret, struct err *e);
void injection_rules_free(struct injection_rules *r);

static inline void injection_rules_freep(struct injection_rules **r)
{
	injection_rules_free(*r);
}
#define _injection_rules_free_ __attribute__((cleanup(injection_rules_freep)))

/*
 * The names of what is found, each once, in the order of the file; how many. They live as long as the
 * rules. `body` is JSON text: its escapes are what they stand for. One pass, whatever is in it.
 */
size_t injection_find(const struct injection_rules *r, const char *body, size_t len,
		      const char *ret[INJECTION_NAMES_MAX]);

#endif
