/* SPDX-License-Identifier: Apache-2.0 */
/* purple policy diff: what is stricter in which of two policies, rule by rule. Runs with the
 * caller's privileges, reads the two files. */
#include "cmd/purple/purple.h"
#include "policy/diff.h"

#define STATUS_DIFFERENT 1

static void add_text(struct buf *out, const char *text)
{
	print_plain(out, *text ? text : "-", 0);
}

static void write_sum(const char *first, const char *second, const size_t n[],
		      struct buf *out)
{
	size_t all = n[POLICY_STRICTER] + n[POLICY_LOOSER] + n[POLICY_OTHER];

	if (all == 0) {
		buf_addf(out, "%s and %s say the same\n", first, second);
		return;
	}
	buf_addf(out, "%s is ", second);
	if (n[POLICY_LOOSER] + n[POLICY_OTHER] == 0)
		buf_addf(out, "stricter than %s in all in which they differ", first);
	else if (n[POLICY_STRICTER] + n[POLICY_OTHER] == 0)
		buf_addf(out, "looser than %s in all in which they differ", first);
	else
		buf_addf(out, "neither stricter nor looser than %s", first);
	buf_addf(out, ": %zu stricter, %zu looser, %zu other\n", n[POLICY_STRICTER],
		 n[POLICY_LOOSER], n[POLICY_OTHER]);
}

void policy_diff_write(const char *first, const char *second, const policy_differences *l,
		       struct buf *out)
{
	size_t n[POLICY_OTHER + 1] = {};

	for (size_t i = 0; i < l->n; i++) {
		const struct policy_difference *d = &l->v[i];

		n[d->change]++;
		buf_addf(out, "%-8s  ", policy_change_name(d->change));
		print_plain(out, d->key, 0);
		buf_adds(out, "\n          ");
		add_text(out, d->first);
		buf_adds(out, " -> ");
		add_text(out, d->second);
		buf_adds(out, "\n");
	}
	write_sum(first, second, n, out);
}

int policy_diff_files(const char *first, const char *second, int *ret_status, struct err *e)
{
	_policy_free_ struct policy *a = NULL, *b = NULL;
	_buf_free_ struct buf out = {};
	policy_differences l = {};
	int r = policy_load(first, &a, e);

	if (r == 0)
		r = policy_load(second, &b, e);
	if (r == 0)
		r = policy_diff(a, b, &l, e);
	if (r == 0) {
		policy_diff_write(first, second, &l, &out);
		*ret_status = l.n ? STATUS_DIFFERENT : 0;
		r = print_text(&out, e);
	}
	policy_differences_clear(&l);
	return r;
}
