/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the forwarder's lines, as purple-monitor takes them apart: what is taken
 * keeps its bounds, and the line that is made of it is one, and JSON.
 * runs: 30000
 */
#include "audit/event.h"
#include "base/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct audit_head head = { .sequence = 1, .container = "c" };
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf line = {};
	struct audit_dns x;
	struct err e;

	if (!audit_dns_parse((const char *)data, size, &x))
		return 0;
	fuzz_require(x.name[sizeof(x.name) - 1] == '\0' ||
		     memchr(x.name, '\0', sizeof(x.name)));
	fuzz_require(x.answer_count <= AUDIT_DNS_ADDRESSES_MAX);
	fuzz_require(x.removed_count <= AUDIT_DNS_ADDRESSES_MAX);
	audit_event_dns(&head, &x, NULL, &line);
	fuzz_require(!line.failed && line.s[line.len - 1] == '\n');
	fuzz_require(!memchr(line.s, '\n', line.len - 1));
	fuzz_require(json_parse(line.s, line.len - 1, "line", &j, &e) == 0);
	return 0;
}
