/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for heads of requests: a target, then a header a line. What is let pass has one
 * host and one framing; no credential and no control character goes to a provider. The rest is
 * masked: no key passes, in whatever pieces it comes.
 * runs: 20000
 */
#include <strings.h>

#include "fuzz.h"
#include "gateway/check.h"
#include "gateway/mask.h"

#define FIELDS 8

static size_t split(char *text, struct check_field f[FIELDS])
{
	size_t n = 0;

	while (text && n < FIELDS) {
		char *line = strsep(&text, "\n"), *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		f[n++] = (struct check_field){ line, colon + 1, (size_t)(colon - line),
					       strlen(colon + 1) };
	}
	return n;
}

static void check_accepted(const struct check_head *h, const struct check_field *f, size_t n)
{
	unsigned int hosts = 0, framings = 0;

	for (size_t i = 0; i < n; i++) {
		hosts += strcasecmp(f[i].name, "host") == 0;
		framings += strcasecmp(f[i].name, "content-length") == 0 ||
			    strcasecmp(f[i].name, "transfer-encoding") == 0;
		fuzz_require(!strpbrk(f[i].value, "\r\n\x01\x7f"));
		if (check_passes_on(f[i].name))
			fuzz_require(!strcasestr(f[i].name, "auth") &&
				     !strcasestr(f[i].name, "key:"));
	}
	fuzz_require(hosts == 1 && framings <= 1);
	fuzz_require(h->has_length + h->is_chunked == (int)framings);
}

static void check_mask(const char *secret, const char *text)
{
	struct mask m = { .secret = secret };
	_buf_free_ struct buf out = {};
	size_t len = strlen(text), n;
	const char *p;

	for (size_t i = 0; i < len;) {
		size_t step = 1 + (unsigned char)text[i] % 7;

		if (step > len - i)
			step = len - i;
		fuzz_require(mask_feed(&m, text + i, step, &p, &n));
		buf_add(&out, p, n);
		i += step;
	}
	mask_end(&m, &p, &n);
	buf_add(&out, p, n);
	fuzz_require(out.len == len);
	if (strlen(secret) >= MASK_LEAST && out.s && !strchr(secret, '*'))
		fuzz_require(!strstr(out.s, secret));
	mask_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *target = fuzz_next_part(&data, &size), *head = fuzz_next_part(&data, &size),
	     *secret = fuzz_next_part(&data, &size), *text = fuzz_next_part(&data, &size);
	struct check_field f[FIELDS];
	struct check_head h;
	enum llm_refusal_reason reason;
	const char *message = NULL;
	char key[64];
	size_t n = head ? split(head, f) : 0;

	if (target &&
	    check_request("HTTP/1.1", target, f, n, &h, &reason, &message) == CHECK_OK)
		check_accepted(&h, f, n);
	else
		fuzz_require(!target || message);
	if (target)
		check_query_key(target, key, sizeof(key));
	if (secret && text)
		check_mask(secret, text);
	free(target);
	free(head);
	free(secret);
	free(text);
	return 0;
}
