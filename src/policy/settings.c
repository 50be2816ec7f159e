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
#include "gateway/endpoint.h"
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

/* --- alerts --- */

static int read_alert_command(const struct settings_reader *r, const struct yaml_node *n,
			      struct err *e)
{
	size_t i;

	if (n->kind != YAML_KIND_LIST || n->n == 0)
		return yaml_fail(e, r->label, n,
				 "alerts.command: expected a list of a program and its arguments");
	for (i = 0; i < n->n; i++) {
		if (n->items[i]->kind != YAML_KIND_TEXT)
			return yaml_fail(e, r->label, n->items[i],
					 "alerts.command: expected a string, found %s",
					 yaml_type_name(n->items[i]));
		if (i == 0 && n->items[i]->text[0] != '/')
			return yaml_fail(e, r->label, n->items[i],
					 "alerts.command: '%s' is not an absolute path: no "
					 "shell looks for it",
					 yaml_show(n->items[i]->text).s);
		if (strv_add(&r->s->alert_command, n->items[i]->text) < 0)
			return err_oom(e);
	}
	return 0;
}

static int read_alert_webhook(const struct settings_reader *r, const struct yaml_node *n,
			      struct err *e)
{
	struct gateway_endpoint place;

	if (n->kind != YAML_KIND_TEXT || gateway_url_place(n->text, &place) < 0)
		return yaml_fail(e, r->label, n,
				 "alerts.webhook: expected a URL (http:// or https://, without a "
				 "user)");
	r->s->alert_webhook = strdup(n->text);
	return r->s->alert_webhook ? 0 : err_oom(e);
}

struct settings_key {
	const char *name;
	int (*read)(const struct settings_reader *r, const struct yaml_node *n,
		    struct err *e);
};

static const struct settings_key alert_keys[] = {
	{ "command", read_alert_command },
	{ "webhook", read_alert_webhook },
	{ NULL, NULL },
};

static int read_map(const struct settings_reader *r, const struct yaml_node *map,
		    const struct settings_key *known, struct err *e);

static int read_alerts(const struct settings_reader *r, const struct yaml_node *n,
		       struct err *e)
{
	if (n->kind != YAML_KIND_MAP)
		return yaml_fail(e, r->label, n,
				 "alerts: expected a map with command, webhook or both, found %s",
				 yaml_type_name(n));
	return read_map(r, n, alert_keys, e);
}

/* --- all of them --- */

static const struct settings_key keys[] = {
	{ "default_policy", read_default_policy },
	{ "selectable", read_selectable },
	{ "kubernetes", read_kubernetes },
	{ "alerts", read_alerts },
	{ NULL, NULL },
};

static const char *next_key(const void *arg, size_t i)
{
	return ((const struct settings_key *)arg)[i].name;
}

static int read_key(const struct settings_reader *r, const struct yaml_node *key,
		    const struct yaml_node *value, const struct settings_key *known,
		    struct err *e)
{
	const char *near;
	size_t i;

	for (i = 0; known[i].name; i++)
		if (streq(known[i].name, key->text))
			return known[i].read(r, value, e);
	near = str_suggest(key->text, next_key, known);
	return yaml_fail(e, r->label, key, "unknown key '%s'%s%s%s",
			 yaml_show(key->text).s, near ? " (did you mean '" : "",
			 near ? near : "", near ? "'?)" : "");
}

static int read_map(const struct settings_reader *r, const struct yaml_node *map,
		    const struct settings_key *known, struct err *e)
{
	size_t i;
	int c = 0;

	for (i = 0; c == 0 && i < map->n; i++)
		c = read_key(r, map->keys[i], map->items[i], known, e);
	return c;
}

static int settings_parse(const char *path, const char *text, size_t len,
			  struct policy_settings *s, struct err *e)
{
	_yaml_free_ struct yaml_node *doc = NULL;
	_free_ char *label = str_printf("settings %s", path);
	struct settings_reader r = { .label = label, .s = s };
	int c;

	if (!label)
		return err_oom(e);
	c = yaml_doc_parse(text, len, label, &doc, e);
	if (c < 0)
		return c;
	if (doc->kind != YAML_KIND_MAP)
		return yaml_fail(e, label, doc, "expected a map of settings, found %s",
				 yaml_type_name(doc));
	return read_map(&r, doc, keys, e);
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
	strv_free(&s->alert_command);
	free(s->alert_webhook);
	*s = (struct policy_settings){ 0 };
}
