// SPDX-License-Identifier: Apache-2.0
/*
 * The runtime's settings, /etc/purple/purple.yaml, read as strictly as a policy. Runs in the
 * runtime with its caller's privileges; reads one file.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/yaml.h"
#include "policy/find.h"

struct settings_reader {
	const char *label;
	struct policy_settings *s;
};

static int read_name(const struct settings_reader *r, const struct yaml_node *n,
		     const char *key, struct err *e)
{
	if (n->kind != YAML_KIND_TEXT || yaml_meaning(n) != YAML_MEANS_STRING)
		return yaml_fail(e, r->label, n,
				 "%s: expected the name of a policy, found %s", key,
				 yaml_type_name(n));
	if (!policy_name_is_valid(n->text))
		return yaml_fail(e, r->label, n,
				 "%s: '%s' is not a policy name (1 to 64 of a-z 0-9 . _ -, not "
				 "beginning with a dot, never a path)",
				 key, yaml_show(n->text).s);
	return 0;
}

static int read_default_policy(const struct settings_reader *r, const struct yaml_node *n,
			       struct err *e)
{
	int c = read_name(r, n, "default_policy", e);

	if (c < 0)
		return c;
	r->s->default_policy = strdup(n->text);
	return r->s->default_policy ? 0 : err_oom(e);
}

static int read_selectable(const struct settings_reader *r, const struct yaml_node *n,
			   struct err *e)
{
	size_t i;
	int c;

	if (n->kind == YAML_KIND_TEXT && streq(n->text, "all"))
		return 0;
	if (n->kind != YAML_KIND_LIST)
		return yaml_fail(e, r->label, n,
				 "selectable: expected 'all' or a list of policy names, found %s",
				 yaml_type_name(n));
	r->s->selectable_all = false;
	for (i = 0; i < n->n; i++) {
		c = read_name(r, n->items[i], "selectable", e);
		if (c < 0)
			return c;
		if (strv_contains(&r->s->selectable, n->items[i]->text))
			return yaml_fail(e, r->label, n->items[i],
					 "selectable: '%s' is given twice",
					 n->items[i]->text);
		if (strv_add(&r->s->selectable, n->items[i]->text) < 0)
			return err_oom(e);
	}
	return 0;
}

static int read_kubernetes(const struct settings_reader *r, const struct yaml_node *n,
			   struct err *e)
{
	if (n->kind != YAML_KIND_TEXT || yaml_meaning(n) != YAML_MEANS_BOOL)
		return yaml_fail(e, r->label, n,
				 "kubernetes: expected true or false, found %s",
				 yaml_type_name(n));
	r->s->kubernetes = yaml_is_true(n);
	return 0;
}

static const struct settings_key {
	const char *name;
	int (*read)(const struct settings_reader *r, const struct yaml_node *n,
		    struct err *e);
} keys[] = {
	{ "default_policy", read_default_policy },
	{ "selectable", read_selectable },
	{ "kubernetes", read_kubernetes },
};

static const char *next_key(const void *arg, size_t i)
{
	return i < ARRAY_SIZE(keys) ? keys[i].name : NULL;
}

static int read_key(const struct settings_reader *r, const struct yaml_node *key,
		    const struct yaml_node *value, struct err *e)
{
	const char *near;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (streq(keys[i].name, key->text))
			return keys[i].read(r, value, e);
	near = str_suggest(key->text, next_key, NULL);
	return yaml_fail(e, r->label, key, "unknown key '%s'%s%s%s",
			 yaml_show(key->text).s, near ? " (did you mean '" : "",
			 near ? near : "", near ? "'?)" : "");
}

static int settings_parse(const char *path, const char *text, size_t len,
			  struct policy_settings *s, struct err *e)
{
	_yaml_free_ struct yaml_node *doc = NULL;
	_free_ char *label = str_printf("settings %s", path);
	struct settings_reader r = { .label = label, .s = s };
	size_t i;
	int c;

	if (!label)
		return err_oom(e);
	c = yaml_doc_parse(text, len, label, &doc, e);
	if (c < 0)
		return c;
	if (doc->kind != YAML_KIND_MAP)
		return yaml_fail(e, label, doc, "expected a map of settings, found %s",
				 yaml_type_name(doc));
	for (i = 0; c == 0 && i < doc->n; i++)
		c = read_key(&r, doc->keys[i], doc->items[i], e);
	return c;
}

int policy_settings_load(const char *path, struct policy_settings *ret, struct err *e)
{
	struct policy_settings s = { .selectable_all = true };
	_free_ char *text = NULL;
	struct stat st;
	size_t len;
	int r;

	r = policy_read_installed("settings", path, &text, &len, e);
	/* A link that leads nowhere is broken settings, not missing ones. */
	if ((r == -ENOENT || r == -ENOTDIR) && lstat(path, &st) < 0 && errno == -r) {
		*ret = s;
		return 0;
	}
	if (r == 0)
		r = settings_parse(path, text, len, &s, e);
	if (r < 0)
		policy_settings_clear(&s);
	else
		*ret = s;
	return r;
}

void policy_settings_clear(struct policy_settings *s)
{
	free(s->default_policy);
	strv_free(&s->selectable);
	*s = (struct policy_settings){ 0 };
}
