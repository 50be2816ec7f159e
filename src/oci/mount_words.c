/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a mount's options. Several may stand in one string with commas between them, as in
 * an fstab line, and each counts: whoever asks what a mount is, or takes something from it, must
 * see the words and not the strings. Pure.
 */
#include <errno.h>

#include "oci/spec.h"

/* A context holds commas of its own, in quotes; overlay's paths have them behind a backslash. */
static bool is_one_word(const struct oci_mount *m, const char *option)
{
	static const char *const contexts[] = { "context=", "fscontext=", "defcontext=",
						"rootcontext=" };

	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
		if (str_has_prefix(option, contexts[i]))
			return true;
	return m->type && streq(m->type, "overlay");
}

static size_t word_length(const struct oci_mount *m, const char *option, const char *word)
{
	return is_one_word(m, option) ? strlen(word) : strcspn(word, ",");
}

bool oci_mount_has_option(const struct oci_mount *m, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < m->options.n; i++) {
		const char *option = m->options.v[i], *word = option;

		for (;;) {
			size_t n = word_length(m, option, word);

			if (n == len && memcmp(word, name, len) == 0)
				return true;
			if (!word[n])
				break;
			word += n + 1;
		}
	}
	return false;
}

int oci_mount_words(const struct oci_mount *m, struct strv *ret)
{
	struct strv words = {};

	for (size_t i = 0; i < m->options.n; i++) {
		const char *option = m->options.v[i], *word = option;

		for (;;) {
			size_t n = word_length(m, option, word);

			if (n && strv_addf(&words, "%.*s", (int)n, word) < 0) {
				strv_free(&words);
				return -ENOMEM;
			}
			if (!word[n])
				break;
			word += n + 1;
		}
	}
	*ret = words;
	return 0;
}
