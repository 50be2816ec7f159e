/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what is generated from the policy language's table to stdout: `policy_docs man` the man
 * page purple-policy(5), `policy_docs schema` the JSON Schema; `policy_docs check FILE...` reads
 * policies and prints the first fault of each, or its warnings. For tests and for the files in docs/.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/policy.h"

static int check_files(char **paths)
{
	struct err e = { 0 };
	int failed = 0;
	size_t i;

	for (; *paths; paths++) {
		_policy_free_ struct policy *p = NULL;
		_strv_free_ struct strv warnings = { 0 };

		if (policy_load(*paths, &p, &e) < 0 || policy_lint(p, &warnings, &e) < 0) {
			printf("%s\n", e.msg);
			failed = 1;
		}
		for (i = 0; i < warnings.n; i++)
			printf("warning: %s\n", warnings.v[i]);
	}
	return failed;
}

int main(int argc, char **argv)
{
	_buf_free_ struct buf out = { 0 };
	int r;

	if (argc > 2 && streq(argv[1], "check"))
		return check_files(argv + 2);
	if (argc != 2 || (!streq(argv[1], "man") && !streq(argv[1], "schema"))) {
		fprintf(stderr, "usage: policy_docs man|schema|check FILE...\n");
		return 2;
	}
	r = streq(argv[1], "man") ? policy_write_man_page(&out) :
				    policy_write_json_schema(&out);
	if (r < 0 || fwrite(out.s, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
		return 1;
	return 0;
}
