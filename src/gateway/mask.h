/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a secret out of bytes that pass: a provider that quotes the key it was given must not tell it
 * to the agent. Each of its characters becomes '*', so that lengths stay. Pure.
 */
#ifndef PURPLE_GATEWAY_MASK_H
#define PURPLE_GATEWAY_MASK_H

#include "base/str.h"

struct mask {
	const char *secret; /* NULL or shorter than MASK_LEAST: nothing is masked */
	struct buf held; /* what passed last, and what may be the beginning of the secret */
	size_t passed;
};

#define MASK_LEAST 8

/*
 * The next bytes: *ret and *ret_len are what may pass, in the caller's bytes or the mask's, and valid
 * until the next call. False: no memory.
 */
bool mask_feed(struct mask *m, const char *p, size_t len, const char **ret, size_t *ret_len);
/* What was held back, when no more bytes come. */
void mask_end(struct mask *m, const char **ret, size_t *ret_len);
/* A text as a whole. */
void mask_text(const char *secret, char *text);
void mask_free(struct mask *m);

#endif
