/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for config.json with its hooks: any bytes are parsed, read and checked as
 * create does. What can be read is written, copied, and read again: all must say the same.
 * runs: 20000
 */
#include "fuzz.h"
#include "oci/spec.h"

static int check(const void *spec, struct err *e)
{
	return oci_spec_check(spec, e);
}

static void run_one(const uint8_t *data, size_t size, const struct json_type *t)
{
	struct oci_spec s = {};

	if (!fuzz_read(data, size, t, &s))
		return;
	fuzz_round_trip(t, &s, check);
	json_clear(t, &s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run_one(data, size, &oci_spec_type);
	run_one(data, size, &oci_state_spec_type);
	return 0;
}
