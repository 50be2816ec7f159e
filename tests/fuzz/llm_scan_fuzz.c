/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for what must not leave in requests: a file of patterns, then a body. What is
 * found stands in order within the body, and a document is one still when it is taken out.
 * runs: 10000
 */
#include "fuzz.h"
#include "gateway/scan.h"

static void check_findings(const struct scan_findings *f, size_t len)
{
	fuzz_require(f->n <= SCAN_FINDINGS_MAX);
	for (size_t i = 0; i < f->n; i++) {
		fuzz_require(f->v[i].rule[0] && f->v[i].start < f->v[i].end);
		fuzz_require(f->v[i].end <= len);
		fuzz_require(i == 0 || f->v[i - 1].end <= f->v[i].start);
	}
}

static void check_redacted(const struct scan_findings *f, const char *body, size_t len)
{
	_json_free_ struct json *before = NULL, *after = NULL;
	struct edits edits = {};
	struct err e = {};
	size_t size;
	char *out;

	if (json_parse(body, len, "body", &before, &e) < 0)
		return;
	if (!scan_redact(f, &edits)) {
		fuzz_require(f->are_more);
		return;
	}
	size = edits_length(&edits, len);
	out = malloc(size + 1);
	fuzz_require(out);
	fuzz_require(edits_read(&edits, body, len, 0, out, size + 1) == size);
	/* Two keys may be the same word now. */
	if (json_parse(out, size, "body", &after, &e) < 0 && !strstr(e.msg, "duplicate key"))
		fuzz_die("no JSON when redacted", e.msg);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_scan_rules_free_ struct scan_rules *rules = NULL;
	struct scan_findings found;
	char *text = fuzz_next_part(&data, &size);
	struct err e = {};
	int err;

	err = scan_rules_parse(text, strlen(text), "patterns", &rules, &e);
	free(text);
	if (err < 0) {
		fuzz_check_error(err, &e);
		return 0;
	}
	if (!data)
		return 0;
	scan_body(rules, (const char *)data, size, &found);
	check_findings(&found, size);
	check_redacted(&found, (const char *)data, size);
	return 0;
}
