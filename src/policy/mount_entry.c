// SPDX-License-Identifier: Apache-2.0
/* Mount entries of a configuration: options asked for, added and taken away. Pure. */
#include <errno.h>
#include <stdlib.h>

#include "policy/merge_parts.h"

bool mount_has_option(const struct oci_mount *m, const char *option)
{
	return oci_mount_has_option(m, option);
}

bool mount_is_bind(const struct oci_mount *m)
{
	return streq_null(m->type, "bind") || streq_null(m->type, "rbind") ||
	       mount_has_option(m, "bind") || mount_has_option(m, "rbind");
}

int mount_split_options(struct oci_mount *m, struct err *e)
{
	struct strv words;

	if (oci_mount_words(m, &words) < 0)
		return err_oom(e);
	strv_free(&m->options);
	m->options = words;
	return 0;
}

static void remove_option(struct oci_mount *m, const char *option)
{
	size_t i;

	for (i = m->options.n; i-- > 0;)
		if (streq(m->options.v[i], option))
			strv_remove(&m->options, i);
}

/* The attributes that a merge takes from a mount, and what would give them back. */
static const struct {
	const char *name, *recursive, *opposite, *recursive_opposite;
} attributes[] = {
	[MOUNT_RO] = { "ro", "rro", "rw", "rrw" },
	[MOUNT_NOSUID] = { "nosuid", "rnosuid", "suid", "rsuid" },
	[MOUNT_NODEV] = { "nodev", "rnodev", "dev", "rdev" },
	[MOUNT_NOEXEC] = { "noexec", "rnoexec", "exec", "rexec" },
};

int mount_restrict(struct oci_mount *m, enum mount_attribute a, bool *ret_changed,
		   struct err *e)
{
	bool recursive = mount_has_option(m, "rbind");
	bool has = mount_has_option(m, attributes[a].name);
	bool has_recursive = mount_has_option(m, attributes[a].recursive);
	bool undone = mount_has_option(m, attributes[a].opposite) ||
		      mount_has_option(m, attributes[a].recursive_opposite);

	*ret_changed = false;
	if (has && (has_recursive || !recursive) && !undone)
		return 0;
	remove_option(m, attributes[a].opposite);
	remove_option(m, attributes[a].recursive_opposite);
	if (!has && strv_add(&m->options, attributes[a].name) < 0)
		return err_oom(e);
	if (recursive && !has_recursive &&
	    strv_add(&m->options, attributes[a].recursive) < 0)
		return err_oom(e);
	*ret_changed = true;
	return 0;
}

/* Mounts made on the host may come in; none made inside goes out. */
int mount_stop_sharing(struct oci_mount *m, bool *ret_changed, struct err *e)
{
	static const char *const names[][2] = { { "shared", "slave" },
						{ "rshared", "rslave" } };
	size_t i, k;

	*ret_changed = false;
	for (k = 0; k < ARRAY_SIZE(names); k++) {
		for (i = 0; i < m->options.n; i++) {
			char *slave;

			if (!streq(m->options.v[i], names[k][0]))
				continue;
			slave = strdup(names[k][1]);
			if (!slave)
				return err_oom(e);
			free(m->options.v[i]);
			m->options.v[i] = slave;
			*ret_changed = true;
		}
	}
	return 0;
}

static int strdup_to(const char *s, char **ret)
{
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

int mount_fill(struct oci_mount *m, const char *destination, const char *type,
	       const char *source, const char *options, struct err *e)
{
	const char *end;

	*m = (struct oci_mount){ 0 };
	if (strdup_to(destination, &m->destination) < 0 ||
	    strdup_to(type, &m->type) < 0 || strdup_to(source, &m->source) < 0)
		return err_oom(e);
	for (; *options; options = *end ? end + 1 : end) {
		end = strchrnul(options, ',');
		if (strv_addf(&m->options, "%.*s", (int)(end - options), options) < 0)
			return err_oom(e);
	}
	return 0;
}

void mount_clear(struct oci_mount *m)
{
	free(m->destination);
	free(m->type);
	free(m->source);
	strv_free(&m->options);
	free(m->uid_mappings.v);
	free(m->gid_mappings.v);
	*m = (struct oci_mount){ 0 };
}

bool mount_is_equal(const struct oci_mount *a, const struct oci_mount *b)
{
	size_t i;

	if (!streq_null(a->destination, b->destination) ||
	    !streq_null(a->type, b->type) || !streq_null(a->source, b->source) ||
	    a->options.n != b->options.n || a->uid_mappings.n || a->gid_mappings.n ||
	    b->uid_mappings.n || b->gid_mappings.n)
		return false;
	for (i = 0; i < a->options.n; i++)
		if (!streq(a->options.v[i], b->options.v[i]))
			return false;
	return true;
}

struct oci_mount *mounts_insert(struct oci_spec *s, size_t at, struct err *e)
{
	struct oci_mount *last = list_add(&s->mounts);

	if (!last) {
		err_oom(e);
		return NULL;
	}
	memmove(&s->mounts.v[at + 1], &s->mounts.v[at],
		(s->mounts.n - 1 - at) * sizeof(*s->mounts.v));
	s->mounts.v[at] = (struct oci_mount){ 0 };
	return &s->mounts.v[at];
}
