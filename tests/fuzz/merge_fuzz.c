/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the merge: a policy, a configuration and, if there is a third part, a
 * policy of lower rank. What comes out is held to the promises that the unit tests hold random
 * configurations to: nothing is granted that was not, and both policies hold.
 * runs: 12000
 */
#include "fuzz.h"

#include "../unit/merge_promises.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* cmocka's assertions abort then, with their text. */
	return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

static struct policy *read_policy(const char *text)
{
	struct policy *p = NULL;
	struct err e = {};

	if (text && policy_parse(text, strlen(text), "test.yaml", &p, &e) < 0)
		fuzz_require(!p && e.kind == ERR_POLICY);
	return p;
}

/* Tens of thousands of mounts or rules are slow to check, and no other than ten. */
static bool is_small(const struct oci_spec *s)
{
	const struct oci_resources *r = s->linux_->resources;

	return s->mounts.n <= 12 && s->linux_->devices.n <= 12 &&
	       (!r || (r->devices.n <= 12 && r->unified.n <= 12));
}

static struct oci_spec *read_spec(const char *text)
{
	_oci_spec_free_ struct oci_spec *s = calloc(1, sizeof(*s));
	struct err e = {};

	if (!s || !fuzz_read(text, strlen(text), &oci_spec_type, s))
		return NULL;
	if (!s->linux_)
		s->linux_ = build_check(calloc(1, sizeof(*s->linux_)));
	return oci_spec_check(s, &e) == 0 && is_small(s) ? take_ptr(&s) : NULL;
}

/* The merged copy; NULL when it cannot be, which the error says. */
static struct oci_spec *merge(const struct oci_spec *in, const struct policy *p,
			      const struct policy *above, const struct merge_host *h)
{
	_strv_free_ struct strv why = {};
	struct err e = {};
	struct oci_spec *out = oci_spec_dup(in, &e);
	int r;

	if (!out)
		fuzz_die("cannot copy", e.msg);
	r = policy_merge(out, p, above, h, &why, &e);
	if (r == 0)
		return out;
	fuzz_check_error(r, &e);
	oci_spec_free(out);
	return NULL;
}

static void check_second(const struct oci_spec *once, const struct policy *p,
			 const struct policy *q, const struct merge_host *h)
{
	_oci_spec_free_ struct oci_spec *both = merge(once, q, p, h);
	_oci_spec_free_ struct oci_spec *again = merge(once, p, NULL, h);

	if (both)
		check_merge(once, both, q, p, h);
	/* The same policy again changes nothing but the list of filters. */
	fuzz_require(again);
	json_clear(&oci_seccomp_type,
		   &again->linux_->policy_seccomp.v[--again->linux_->policy_seccomp.n]);
	assert_same(once, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_throttle disk = { 254, 0, 0 };
	struct merge_host h = { .block_devices = { &disk, 1 },
				.block_devices_known = true,
				.cgroup_v2 = size % 2,
				.nofile_hard = 1 << 20 };
	_free_ char *first = fuzz_next_part(&data, &size);
	_free_ char *config = fuzz_next_part(&data, &size);
	_free_ char *second = fuzz_next_part(&data, &size);
	_oci_spec_free_ struct oci_spec *in = config ? read_spec(config) : NULL,
					*out = NULL;
	_policy_free_ struct policy *p = in ? read_policy(first) : NULL;
	_policy_free_ struct policy *q = p ? read_policy(second) : NULL;

	if (!p)
		return 0;
	out = merge(in, p, NULL, &h);
	if (!out)
		return 0;
	check_merge(in, out, p, NULL, &h);
	check_second(out, p, q ? q : p, &h);
	return 0;
}
