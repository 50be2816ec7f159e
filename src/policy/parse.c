/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a policy: walks the YAML tree along the table of language.c and fills struct policy; the
 * same walk frees it. Pure: no privileges; the file is foreign. Every fault is an error with
 * file, line and column; nothing is guessed or ignored.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "policy/language.h"

/* Lists have no common type in C: only these two functions look inside one. */
static struct policy_any_list list_at(const void *at)
{
	struct policy_any_list l;

	memcpy(&l, at, sizeof(l));
	return l;
}

/* A new, zeroed element at the end of the list at `at`, or NULL. */
static void *list_add_sized(void *at, size_t size)
{
	struct policy_any_list l = list_at(at);

	l.v = list_grow(l.v, l.n, size);
	if (!l.v)
		return NULL;
	l.n++;
	memcpy(at, &l, sizeof(l));
	return (char *)l.v + (l.n - 1) * size;
}

static struct policy_pos pos_of(const struct yaml_node *n)
{
	return (struct policy_pos){ n->line, n->column };
}

static bool is_null(const struct yaml_node *n)
{
	return yaml_meaning(n) == YAML_MEANS_NULL;
}

static int fail_fault(const struct policy_reader *r, const struct yaml_node *n, int code,
		      const struct fault *f, struct err *e)
{
	if (code == -ENOMEM)
		return err_oom(e);
	return yaml_fail(e, r->label, n, "%s: %s", r->section, f->text);
}

/* "expected WHAT, found ..." with what helps: empty, unquoted, quoted. */
static int fail_type(const struct policy_reader *r, const struct yaml_node *n,
		     const char *what, struct err *e)
{
	bool text = n->kind == YAML_KIND_TEXT;

	if (is_null(n))
		return yaml_fail(e, r->label, n, "%s is empty (expected %s)", r->section,
				 what);
	if (!text)
		return yaml_fail(e, r->label, n, "%s: expected %s, found %s", r->section,
				 what, yaml_type_name(n));
	return yaml_fail(e, r->label, n, "%s: expected %s, found %s '%s'", r->section, what,
			 yaml_meaning(n) == YAML_MEANS_STRING ? "the string" :
			 yaml_meaning(n) == YAML_MEANS_BOOL   ? "the truth value" :
								"the number",
			 yaml_show(n->text).s);
}

static int expect_kind(const struct policy_reader *r, const struct yaml_node *n,
		       enum yaml_kind kind, struct err *e)
{
	if (n->kind == kind)
		return 0;
	if (is_null(n))
		return yaml_fail(e, r->label, n, "%s is empty: write %s or remove it",
				 r->section, kind == YAML_KIND_MAP ? "{}" : "[]");
	return fail_type(r, n, kind == YAML_KIND_MAP ? "a map" : "a list", e);
}

/* A number that may come with a unit, so that both 512 and "512M" are meant to be written. */
static int expect_number_or_string(const struct policy_reader *r, const struct yaml_node *n,
				   const char *what, struct err *e)
{
	enum yaml_meaning m = yaml_meaning(n);

	if (n->kind == YAML_KIND_TEXT && m != YAML_MEANS_NULL && m != YAML_MEANS_BOOL)
		return 0;
	return fail_type(r, n, what, e);
}

static int expect_number(const struct policy_reader *r, const struct yaml_node *n,
			 const char *what, struct err *e)
{
	enum yaml_meaning m = yaml_meaning(n);

	if (n->kind == YAML_KIND_TEXT && !n->plain)
		return yaml_fail(e, r->label, n,
				 "%s: expected %s, found the string '%s' (remove "
				 "the quotes)",
				 r->section, what, yaml_show(n->text).s);
	/* A plain string is number-like text such as 12abc: the value's reader words it. */
	if (n->kind == YAML_KIND_TEXT && m != YAML_MEANS_NULL && m != YAML_MEANS_BOOL)
		return 0;
	return fail_type(r, n, what, e);
}

static int read_bool(const struct policy_reader *r, const struct yaml_node *n, bool *ret,
		     struct err *e)
{
	static const char *const old[] = { "yes", "no", "on", "off", "y", "n" };
	size_t i;

	if (yaml_meaning(n) == YAML_MEANS_BOOL) {
		*ret = yaml_is_true(n);
		return 0;
	}
	for (i = 0; n->kind == YAML_KIND_TEXT && n->plain && i < ARRAY_SIZE(old); i++) {
		if (strcasecmp(n->text, old[i]) == 0)
			return yaml_fail(e, r->label, n,
					 "%s: expected true or false, found '%s' "
					 "(write %s)",
					 r->section, yaml_show(n->text).s,
					 i % 2 ? "false" : "true");
	}
	return fail_type(r, n, "true or false", e);
}

static const char *next_choice(const void *arg, size_t i)
{
	const char *const *choices = arg;

	return choices[i];
}

/* The index of the text in `choices`. */
static int read_choice(const struct policy_reader *r, const struct yaml_node *n,
		       const char *const *choices, size_t *ret, struct err *e)
{
	char all[256] = "";
	const char *near;
	size_t i, used = 0;

	for (i = 0; choices[i]; i++) {
		if (n->kind == YAML_KIND_TEXT && streq(n->text, choices[i])) {
			*ret = i;
			return 0;
		}
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
					 i ? ", " : "", choices[i]);
	}
	if (n->kind != YAML_KIND_TEXT || is_null(n)) {
		char what[300];

		snprintf(what, sizeof(what), "one of %s", all);
		return fail_type(r, n, what, e);
	}
	near = str_suggest(n->text, next_choice, choices);
	if (near)
		return yaml_fail(e, r->label, n,
				 "%s: '%s' is not one of %s (did you mean '%s'?)",
				 r->section, yaml_show(n->text).s, all, near);
	return yaml_fail(e, r->label, n, "%s: '%s' is not one of %s", r->section,
			 yaml_show(n->text).s, all);
}

static int read_scalar(const struct policy_reader *r, const struct yaml_node *n,
		       const struct policy_scalar *scalar, char **ret, struct err *e)
{
	bool text = n->kind == YAML_KIND_TEXT && !is_null(n);
	struct fault f;
	int c;

	if (!text)
		return fail_type(r, n, scalar->what, e);
	c = scalar->read(n->text, ret, &f);
	if (yaml_meaning(n) == YAML_MEANS_STRING)
		return c < 0 ? fail_fault(r, n, c, &f, e) : 0;
	/* YAML takes it for a number or a truth value: was a string meant? */
	if (c < 0)
		return fail_type(r, n, scalar->what, e);
	free(*ret);
	*ret = NULL;
	return yaml_fail(e, r->label, n, "%s: '%s' is %s, not a string: put it in quotes",
			 r->section, yaml_show(n->text).s, yaml_type_name(n));
}

static int read_integer(const struct policy_reader *r, const struct policy_key *k,
			const struct yaml_node *n, uint64_t *ret, struct err *e)
{
	struct fault f;
	int c;

	if (k->endless && n->kind == YAML_KIND_TEXT && streq(n->text, k->endless)) {
		*ret = UINT64_MAX;
		return 0;
	}
	c = expect_number(r, n, "a whole number", e);
	if (c < 0)
		return c;
	c = value_integer(n->text, k->min, k->max, ret, &f);
	return c < 0 ? fail_fault(r, n, c, &f, e) : 0;
}

static int read_number(const struct policy_reader *r, const struct policy_key *k,
		       const struct yaml_node *n, void *at, struct err *e)
{
	struct fault f;
	uint64_t v = 0;
	int c;

	switch (k->kind) {
	case POLICY_KIND_INTEGER:
		return read_integer(r, k, n, at, e);
	case POLICY_KIND_INTEGER32:
		c = read_integer(r, k, n, &v, e);
		if (c == 0)
			*(uint32_t *)at = (uint32_t)v;
		return c;
	case POLICY_KIND_REGISTER:
		c = expect_number_or_string(r, n, "a number (decimal, 0x... or 0o...)", e);
		if (c == 0 && (c = value_register(n->text, at, &f)) < 0)
			return fail_fault(r, n, c, &f, e);
		return c;
	case POLICY_KIND_SIZE:
		c = expect_number_or_string(r, n, "a size", e);
		if (c == 0 && (c = value_size(n->text, at, &f)) < 0)
			return fail_fault(r, n, c, &f, e);
		return c;
	case POLICY_KIND_RATE:
		c = expect_number_or_string(r, n, "a rate", e);
		if (c == 0 && (c = value_rate(n->text, at, &f)) < 0)
			return fail_fault(r, n, c, &f, e);
		return c;
	case POLICY_KIND_CPUS:
		c = expect_number(r, n, "a number of CPUs", e);
		if (c == 0 && (c = value_cpus(n->text, at, &f)) < 0)
			return fail_fault(r, n, c, &f, e);
		return c;
	default: /* POLICY_KIND_MONEY */
		c = expect_number_or_string(r, n, "a sum of US dollars", e);
		if (c == 0 && (c = value_money(n->text, at, &f)) < 0)
			return fail_fault(r, n, c, &f, e);
		return c;
	}
}

static int read_net_rule(const struct policy_reader *r, enum value_net_form form,
			 const struct yaml_node *n, struct policy_net_rule *ret,
			 struct err *e)
{
	struct fault f;
	int c;

	c = expect_number_or_string(r, n,
				    form == VALUE_NET_PORTS	? "a port" :
				    form == VALUE_NET_ADDRESSES ? "an address" :
								  "a network rule",
				    e);
	if (c < 0)
		return c;
	c = value_net_rule(n->text, form, ret, &f);
	if (c < 0)
		return fail_fault(r, n, c, &f, e);
	ret->pos = pos_of(n);
	return 0;
}

/* One element of a list of scalars. */
static int read_element(const struct policy_reader *r, const struct policy_key *k,
			const struct yaml_node *n, void *at, struct err *e)
{
	struct policy_net_rule rule = { 0 };
	struct policy_name name = { .pos = pos_of(n) };
	_free_ char *text = NULL;
	size_t choice;
	uint64_t v;
	void *item;
	int c = 0;

	switch (k->kind) {
	case POLICY_KIND_WORDS:
		c = read_choice(r, n, k->choices, &choice, e);
		if (c == 0 && !(text = strdup(k->choices[choice])))
			c = err_oom(e);
		break;
	case POLICY_KIND_NAMES:
	case POLICY_KIND_STRINGS:
		c = read_scalar(r, n, k->scalar, &text, e);
		break;
	case POLICY_KIND_INTEGERS32:
		c = read_integer(r, k, n, &v, e);
		break;
	default:
		c = read_net_rule(r,
				  k->kind == POLICY_KIND_NET_BLOCKS ? VALUE_NET_ADDRESSES :
				  k->kind == POLICY_KIND_PORTS	    ? VALUE_NET_PORTS :
								      VALUE_NET_ANY,
				  n, &rule, e);
		break;
	}
	if (c < 0)
		return c;
	if (k->kind == POLICY_KIND_STRINGS)
		return strv_add(at, text) < 0 ? err_oom(e) : 0;
	if (k->kind == POLICY_KIND_INTEGERS32) {
		item = list_add_sized(at, sizeof(uint32_t));
		if (item)
			*(uint32_t *)item = (uint32_t)v;
	} else if (k->kind == POLICY_KIND_WORDS || k->kind == POLICY_KIND_NAMES) {
		item = list_add_sized(at, sizeof(name));
		if (item) {
			name.name = take_ptr(&text);
			memcpy(item, &name, sizeof(name));
		}
	} else {
		item = list_add_sized(at, sizeof(rule));
		if (item) {
			memcpy(item, &rule, sizeof(rule));
		} else {
			free(rule.text);
			free(rule.domain);
		}
	}
	return item ? 0 : err_oom(e);
}

static int read_map(struct policy_reader *r, const struct policy_key *map_key,
		    const struct yaml_node *n, void *base, struct err *e);

static int read_list(struct policy_reader *r, const struct policy_key *k,
		     const struct yaml_node *n, void *at, struct err *e)
{
	size_t i;
	int c;

	c = expect_kind(r, n, YAML_KIND_LIST, e);
	if (c == 0 && n->n > policy_list_max(k))
		return yaml_fail(e, r->label, n, "%s has more than %zu entries",
				 r->section, policy_list_max(k));
	for (i = 0; c == 0 && i < n->n; i++) {
		struct policy_pos pos = pos_of(n->items[i]);
		char *element;

		if (k->kind != POLICY_KIND_MAPS) {
			c = read_element(r, k, n->items[i], at, e);
			continue;
		}
		element = list_add_sized(at, k->size);
		if (!element)
			return err_oom(e);
		if (k->has_pos)
			memcpy(element + k->pos_offset, &pos, sizeof(pos));
		c = read_map(r, k, n->items[i], element, e);
	}
	return c;
}

/* One value; its key was found in the table. */
static int read_value(struct policy_reader *r, const struct policy_key *k,
		      const struct yaml_node *n, void *base, struct err *e)
{
	void *at = (char *)base + k->offset;
	size_t choice;
	int c;

	switch (k->kind) {
	case POLICY_KIND_MAP:
		return read_map(r, k, n, base, e);
	case POLICY_KIND_BOOL:
		return read_bool(r, n, at, e);
	case POLICY_KIND_TEXT:
		return read_scalar(r, n, k->scalar, at, e);
	case POLICY_KIND_ENUM:
	case POLICY_KIND_FLAG:
	case POLICY_KIND_WORD:
		c = read_choice(r, n, k->choices, &choice, e);
		if (c < 0)
			return c;
		if (k->kind == POLICY_KIND_ENUM)
			*(unsigned int *)at = (unsigned int)choice;
		else if (k->kind == POLICY_KIND_FLAG)
			*(bool *)at = choice == 1;
		else if (!(*(char **)at = strdup(k->choices[choice])))
			return err_oom(e);
		return 0;
	case POLICY_KIND_INTEGER:
	case POLICY_KIND_INTEGER32:
	case POLICY_KIND_REGISTER:
	case POLICY_KIND_SIZE:
	case POLICY_KIND_RATE:
	case POLICY_KIND_CPUS:
	case POLICY_KIND_MONEY:
		return read_number(r, k, n, at, e);
	default:
		return read_list(r, k, n, at, e);
	}
}

static const char *next_key(const void *arg, size_t i)
{
	const struct policy_key *keys = arg;

	return keys[i].name;
}

/* The dotted name of a section (a map, not in a list) that has this key. */
static bool find_home(const struct policy_key *keys, const char *prefix, const char *name,
		      char *ret, size_t size)
{
	char path[128];

	for (; keys->name; keys++) {
		if (*prefix && streq(keys->name, name)) {
			snprintf(ret, size, "%s", prefix);
			return true;
		}
		if (keys->kind != POLICY_KIND_MAP)
			continue;
		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "",
			 keys->name);
		if (find_home(keys->keys, path, name, ret, size))
			return true;
	}
	return false;
}

static int fail_unknown_key(const struct policy_reader *r, const struct policy_key *keys,
			    const struct yaml_node *key, struct err *e)
{
	const char *near = str_suggest(key->text, next_key, keys);
	char hint[400], home[128];
	size_t used = 0, i;

	if (near) {
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	} else if (find_home(policy_language.keys, "", key->text, home, sizeof(home))) {
		snprintf(hint, sizeof(hint), "it belongs in %s", home);
	} else {
		for (i = 0; keys[i].name; i++)
			used += (size_t)snprintf(hint + used, sizeof(hint) - used, "%s%s",
						 i ? ", " : "known: ", keys[i].name);
	}
	return yaml_fail(e, r->label, key, "unknown key '%s'%s%s (%s)",
			 yaml_show(key->text).s, *r->section ? " in " : "", r->section,
			 hint);
}

static const struct policy_key *find_key(const struct policy_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (streq(keys->name, name))
			return keys;
	}
	return NULL;
}

/* Appends a key to the section's dotted name; returns the length to cut back to. */
static size_t enter_section(struct policy_reader *r, const char *name)
{
	size_t len = strlen(r->section);

	snprintf(r->section + len, sizeof(r->section) - len, "%s%s", len ? "." : "", name);
	return len;
}

static int read_key(struct policy_reader *r, const struct policy_key *k,
		    const struct yaml_node *key, const struct yaml_node *item, void *base,
		    struct err *e)
{
	struct policy_pos pos = pos_of(key);
	size_t len;
	int c;

	if (k->has_pos && k->kind != POLICY_KIND_MAPS)
		memcpy((char *)base + k->pos_offset, &pos, sizeof(pos));
	len = enter_section(r, k->name);
	c = read_value(r, k, item, base, e);
	r->section[len] = '\0';
	if (c == 0 && k->set_offset)
		*((bool *)((char *)base + k->set_offset)) = true;
	return c;
}

static int read_map(struct policy_reader *r, const struct policy_key *map_key,
		    const struct yaml_node *n, void *base, struct err *e)
{
	const struct policy_key *k;
	size_t i;
	int c;

	c = expect_kind(r, n, YAML_KIND_MAP, e);
	for (i = 0; c == 0 && i < n->n; i++) {
		k = find_key(map_key->keys, n->keys[i]->text);
		if (!k)
			return fail_unknown_key(r, map_key->keys, n->keys[i], e);
		c = read_key(r, k, n->keys[i], n->items[i], base, e);
	}
	for (k = map_key->keys; c == 0 && k->name; k++) {
		if (k->required && !yaml_get(n, k->name))
			c = yaml_fail(e, r->label, n, "%s%s'%s' is missing", r->section,
				      *r->section ? ": " : "", k->name);
	}
	if (c == 0 && map_key->check)
		c = map_key->check(r, n, base, e);
	return c;
}

/* What holds for keys that are absent, where that is not zero. */
static void set_defaults(struct policy *p)
{
	p->capabilities.default_drop = true;
	p->network.isolated = true;
	p->audit.max_log_size = (uint64_t)100 << 20;
	p->audit.keep_logs = 10;
	p->ai_policy.llm_apis.block_unknown = true;
}

int policy_parse(const char *text, size_t len, const char *file, struct policy **ret,
		 struct err *e)
{
	_policy_free_ struct policy *p = calloc(1, sizeof(*p));
	_yaml_free_ struct yaml_node *root = NULL;
	struct policy_reader r = { 0 };
	_free_ char *label = str_printf("policy %s", file);
	int c;

	if (!p || !label)
		return err_oom(e);
	if (len > POLICY_FILE_MAX)
		return err_set(e, ERR_POLICY, EFBIG,
			       "%s:1:1: the file is larger than 8 MiB", label);
	p->file = strdup(file);
	if (!p->file)
		return err_oom(e);
	set_defaults(p);
	c = yaml_doc_parse(text, len, label, &root, e);
	if (c < 0)
		return c;
	r.label = label;
	if (root->kind != YAML_KIND_MAP)
		return yaml_fail(e, label, root,
				 "expected a map of keys such as 'name', found %s",
				 yaml_type_name(root));
	/* Before their sections are read: a section that is there is on unless it says no. */
	p->audit.enabled = yaml_get(root, "audit") != NULL;
	p->ebpf_monitoring.enabled = yaml_get(root, "ebpf_monitoring") != NULL;
	c = read_map(&r, &policy_language, root, p, e);
	if (c < 0)
		return c;
	if (policy_sections_read(root, &p->sections) < 0)
		return err_oom(e);
	if (!p->ai_policy.budget.scope && !(p->ai_policy.budget.scope = strdup("session")))
		return err_oom(e);
	*ret = take_ptr(&p);
	return 0;
}

/* The words are the caller's own: engines take some of strerror's for "no such container". */
static int fail_open(const char *path, struct err *e)
{
	int code = errno;

	if (code == ENOENT)
		return err_set(e, ERR_POLICY, code, "policy %s: the file does not exist",
			       path);
	if (code == EACCES || code == EPERM)
		return err_set(e, ERR_POLICY, code,
			       "policy %s: this user may not read the file", path);
	err_errno(e, code, "policy %s: cannot be opened", path);
	e->kind = ERR_POLICY;
	return -e->code;
}

int policy_load(const char *path, struct policy **ret, struct err *e)
{
	_close_ int fd = -1;
	_free_ char *text = NULL;
	struct stat st;
	size_t len;
	int c;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_open(path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_POLICY, EINVAL, "policy %s: not a regular file", path);
	if (st.st_size > (off_t)POLICY_FILE_MAX)
		return err_set(e, ERR_POLICY, EFBIG,
			       "policy %s:1:1: the file is larger than 8 MiB", path);
	c = fd_read_all(fd, POLICY_FILE_MAX, &text, &len, e);
	if (c < 0) {
		err_wrap(e, "policy %s", path);
		e->kind = ERR_POLICY;
		return c;
	}
	return policy_parse(text, len, path, ret, e);
}

static void free_map(const struct policy_key *keys, void *base);

static void free_list(const struct policy_key *k, void *at)
{
	struct policy_any_list l = list_at(at);
	size_t i;

	for (i = 0; i < l.n; i++) {
		if (k->kind == POLICY_KIND_MAPS)
			free_map(k->keys, (char *)l.v + i * k->size);
		else if (k->kind == POLICY_KIND_NAMES || k->kind == POLICY_KIND_WORDS)
			free(((struct policy_name *)l.v)[i].name);
		else if (k->kind != POLICY_KIND_INTEGERS32) {
			free(((struct policy_net_rule *)l.v)[i].text);
			free(((struct policy_net_rule *)l.v)[i].domain);
		}
	}
	free(l.v);
}

static void free_map(const struct policy_key *keys, void *base)
{
	for (; keys->name; keys++) {
		void *at = (char *)base + keys->offset;

		switch (keys->kind) {
		case POLICY_KIND_MAP:
			free_map(keys->keys, base);
			break;
		case POLICY_KIND_TEXT:
		case POLICY_KIND_WORD:
			free(*(char **)at);
			break;
		case POLICY_KIND_STRINGS:
			strv_free(at);
			break;
		case POLICY_KIND_MAPS:
		case POLICY_KIND_NAMES:
		case POLICY_KIND_WORDS:
		case POLICY_KIND_INTEGERS32:
		case POLICY_KIND_NET_RULES:
		case POLICY_KIND_NET_BLOCKS:
		case POLICY_KIND_PORTS:
			free_list(keys, at);
			break;
		default: /* numbers and truth values own nothing */
			break;
		}
	}
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free_map(policy_language.keys, p);
	strmap_free(&p->sections);
	free(p->file);
	free(p);
}
