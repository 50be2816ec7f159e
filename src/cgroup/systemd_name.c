/* SPDX-License-Identifier: Apache-2.0 */
/* Names of systemd units for containers: see systemd.h. Pure. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup/systemd.h"

#define FIELD "linux.cgroupsPath"
#define SCOPE ".scope"
#define SLICE ".slice"
/* systemd's limit, and that of a file's name. */
#define UNIT_NAME_MAX 255

/* Characters of a unit's name that mean nothing else: '@' makes an instance, '\' escapes. */
static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || (c && strchr(":_.-", c));
}

static char *escape(const char *s)
{
	struct buf out = {};

	buf_adds(&out, "");
	for (; *s; s++) {
		if (is_plain(*s))
			buf_add(&out, s, 1);
		else
			buf_addf(&out, "\\x%02x", (unsigned char)*s);
	}
	if (out.failed) {
		buf_free(&out);
		return NULL;
	}
	return out.s;
}

/* "-.slice" is the root; else parts between dashes, none empty: each names a slice above. */
static int check_slice(const char *name, struct err *e)
{
	size_t len = strlen(name) - strlen(SLICE);

	if (streq(name, "-" SLICE))
		return 0;
	for (size_t i = 0; i < len; i++) {
		bool empty = name[i] == '-' &&
			     (i == 0 || i + 1 == len || name[i + 1] == '-');

		/* Names that systemd-escape made have backslashes. */
		if (empty || (!is_plain(name[i]) && name[i] != '\\'))
			return err_set(e, ERR_CONFIG, EINVAL,
				       FIELD ": '%s' is not the name of a slice", name);
	}
	if (len == 0 || strlen(name) > UNIT_NAME_MAX)
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD ": '%s' is not the name of a slice", name);
	return 0;
}

/* The slice that a slice is in: "a-b.slice" is in "a.slice". */
static char *parent_of(const char *slice)
{
	const char *dash = strrchr(slice, '-');

	return dash ? str_printf("%.*s" SLICE, (int)(dash - slice), slice) :
		      strdup("-" SLICE);
}

static int choose_slice(const char *slice, const char *name, struct unit_name *ret,
			struct err *e)
{
	_free_ char *parent = NULL;
	int r = check_slice(name, e);

	if (r < 0)
		return r;
	if (streq(name, "-" SLICE))
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD ": a container cannot have the root slice");
	parent = parent_of(name);
	if (!parent)
		return err_oom(e);
	if (*slice && !streq(slice, parent))
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD
			       ": slice '%s' is in '%s', as its name says, and not in '%s'",
			       name, parent, slice);
	ret->unit = strdup(name);
	return ret->unit ? 0 : err_oom(e);
}

static int choose_scope(const char *slice, const char *prefix, const char *name,
			struct unit_name *ret, struct err *e)
{
	_free_ char *safe_prefix = escape(prefix), *safe_name = escape(name);
	_free_ char *unit = NULL, *in = strdup(slice);
	int r;

	if (!safe_prefix || !safe_name || !in)
		return err_oom(e);
	if (!str_has_suffix(slice, SLICE))
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD ": '%s' is not the name of a slice", slice);
	r = check_slice(slice, e);
	if (r < 0)
		return r;
	unit = str_printf("%s%s%s" SCOPE, safe_prefix, *prefix ? "-" : "", safe_name);
	if (!unit)
		return err_oom(e);
	if (strlen(unit) > UNIT_NAME_MAX)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG,
			       FIELD ": the scope's name '%.40s...' is too long", unit);
	ret->unit = take_ptr(&unit);
	ret->slice = take_ptr(&in);
	return 0;
}

int unit_name_choose(const char *cgroups_path, const char *id, bool user,
		     struct unit_name *ret, struct err *e)
{
	const char *fallback = user ? "user" SLICE : "system" SLICE;
	_free_ char *copy = NULL;
	char *prefix, *name;

	if (!cgroups_path || !*cgroups_path)
		return choose_scope(fallback, "purple", id, ret, e);
	copy = strdup(cgroups_path);
	if (!copy)
		return err_oom(e);
	prefix = strchr(copy, ':');
	name = prefix ? strchr(prefix + 1, ':') : NULL;
	if (!name || strchr(name + 1, ':') || !name[1])
		return err_set(e, ERR_CONFIG, EINVAL,
			       FIELD
			       " '%s': with --systemd-cgroup it must be slice:prefix:name",
			       cgroups_path);
	*prefix++ = '\0';
	*name++ = '\0';
	if (str_has_suffix(name, SLICE))
		return choose_slice(copy, name, ret, e);
	return choose_scope(*copy ? copy : fallback, prefix, name, ret, e);
}

/* "a-b.slice" is /a.slice/a-b.slice. */
char *unit_name_path(const struct unit_name *n)
{
	struct buf out = {};

	for (const char *at = n->slice; at && !streq(n->slice, "-" SLICE);) {
		const char *dash = strchr(at, '-');

		if (dash)
			buf_addf(&out, "/%.*s" SLICE, (int)(dash - n->slice), n->slice);
		else
			buf_addf(&out, "/%s", n->slice);
		at = dash ? dash + 1 : NULL;
	}
	buf_addf(&out, "/%s", n->unit);
	if (out.failed) {
		buf_free(&out);
		return NULL;
	}
	return out.s;
}

void unit_name_clear(struct unit_name *n)
{
	free(n->unit);
	free(n->slice);
	*n = (struct unit_name){};
}
