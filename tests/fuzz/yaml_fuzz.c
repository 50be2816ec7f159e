/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the YAML reader by itself, and for the runtime's settings file, which is
 * read with it.
 * runs: 20000
 */
#include "base/yaml.h"
#include "fuzz.h"
#include "policy/find.h"

static char *settings_file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	settings_file = fuzz_path("purple.yaml");
	return 0;
}

static void check_text(const struct yaml_node *n)
{
	fuzz_require(n->kind == YAML_KIND_TEXT && n->text);
	fuzz_require(str_is_utf8(n->text, strlen(n->text)));
	fuzz_require(yaml_meaning(n) != YAML_MEANS_BOOL || n->plain);
	for (const char *c = yaml_show(n->text).s; *c; c++)
		fuzz_require((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_node(const struct yaml_node *n, int depth)
{
	fuzz_require(n->line >= 1 && n->column >= 1 && depth <= 16);
	if (n->kind == YAML_KIND_TEXT)
		check_text(n);
	for (size_t i = 0; i < n->n; i++) {
		if (n->kind == YAML_KIND_MAP) {
			check_text(n->keys[i]);
			/* No other member has this key. */
			fuzz_require(yaml_get(n, n->keys[i]->text) == n->items[i]);
		}
		check_node(n->items[i], depth + 1);
	}
}

static void check_settings(const uint8_t *data, size_t size)
{
	struct policy_settings s;
	struct err e = {};
	int r;

	fuzz_write_file(settings_file, data, size);
	r = policy_settings_load(settings_file, &s, &e);
	if (r < 0) {
		fuzz_check_error(r, &e);
		return;
	}
	fuzz_require(!s.default_policy || policy_name_is_valid(s.default_policy));
	for (size_t i = 0; i < s.selectable.n; i++)
		fuzz_require(policy_name_is_valid(s.selectable.v[i]));
	fuzz_require(!s.selectable_all || s.selectable.n == 0);
	policy_settings_clear(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_yaml_free_ struct yaml_node *doc = NULL;
	struct err e = {};
	int r;

	r = yaml_doc_parse((const char *)data, size, "fuzz", &doc, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	else
		check_node(doc, 1);
	check_settings(data, size);
	return 0;
}
