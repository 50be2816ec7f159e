/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for config.json: any bytes are parsed, read and checked as create does. What
 * can be read is written, copied, and read again: all must say the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", what, e->msg);
	abort();
}

static void write_spec(const struct oci_spec *s, bool pretty, struct buf *out)
{
	struct err e = {};

	if (json_write(&oci_state_spec_type, s, pretty, out, &e) < 0)
		die("a document that was read cannot be written", &e);
}

static struct oci_spec *read_spec(const char *text, size_t len, const struct json_type *t,
				  struct err *e)
{
	_json_free_ struct json *j = NULL;
	struct oci_spec *s;

	if (json_parse(text, len, "fuzz", &j, e) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	if (json_read(j, t, "fuzz", s, e) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void compare(const struct buf *a, const struct oci_spec *s, const char *what)
{
	_buf_free_ struct buf b = {};
	struct err e = {};

	write_spec(s, false, &b);
	if (a->len != b.len || memcmp(a->s, b.s, a->len) != 0)
		die(what, &e);
}

static void check_both(const struct oci_spec *a, const struct oci_spec *b)
{
	struct err e1 = {}, e2 = {};

	if (oci_spec_check(a, &e1) != oci_spec_check(b, &e2) || !streq(e1.msg, e2.msg))
		die("the check sees a copy otherwise", &e2);
}

static void run_one(const char *data, size_t size, const struct json_type *t)
{
	_oci_spec_free_ struct oci_spec *s = NULL, *copy = NULL, *again = NULL;
	_buf_free_ struct buf flat = {}, pretty = {};
	struct err e = {};

	s = read_spec(data, size, t, &e);
	if (!s) {
		if (e.kind == ERR_NONE || !e.msg[0])
			die("an error without words", &e);
		return;
	}
	write_spec(s, false, &flat);
	copy = oci_spec_dup(s, &e);
	if (!copy)
		die("cannot copy", &e);
	compare(&flat, copy, "a copy differs");
	check_both(s, copy);
	write_spec(s, true, &pretty);
	again = read_spec(pretty.s, pretty.len, t, &e);
	if (!again)
		die("what was written cannot be read", &e);
	compare(&flat, again, "what was written reads otherwise");
	check_both(s, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run_one((const char *)data, size, &oci_spec_type);
	run_one((const char *)data, size, &oci_state_spec_type);
	return 0;
}
