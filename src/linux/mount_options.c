/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount options of the runtime-spec ("Linux mount options"): one table, one parser. Pure: runs in
 * the runtime before anything is opened, and for `features`.
 *
 * As with mount(8) the last of several contradicting options wins. An r form holds for the whole
 * tree; a plain form given after it holds for the topmost mount.
 */
#include "linux/mount_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"

enum option_kind {
	OPT_NOTHING,  /* asks for what is the case anyway */
	OPT_ATTR_SET, /* `arg` is MOUNT_ATTR_* */
	OPT_ATTR_CLEAR,
	OPT_ATIME,	 /* `arg` is one value of MOUNT_ATTR__ATIME */
	OPT_NOT_ATIME,	 /* the opposite of that value */
	OPT_PROPAGATION, /* `arg` is MS_* */
	OPT_SB_SET,	 /* a flag of the file system */
	OPT_SB_CLEAR,	 /* the absence of flag `counterpart` */
	OPT_BIND,
	OPT_REMOUNT,
	OPT_TMPCOPYUP,
	OPT_IDMAP,
	OPT_GONE, /* cannot be had: `counterpart` is why */
};

struct option {
	const char *name;
	enum option_kind kind;
	uint64_t arg;
	bool recursive;
	const char *counterpart;
};

#define ATTR(n, a)                                  \
	{                                           \
		(n), OPT_ATTR_SET, (a), false, NULL \
	}
#define NO_ATTR(n, a)                                 \
	{                                             \
		(n), OPT_ATTR_CLEAR, (a), false, NULL \
	}
#define R_ATTR(n, a)                               \
	{                                          \
		(n), OPT_ATTR_SET, (a), true, NULL \
	}
#define R_NO_ATTR(n, a)                              \
	{                                            \
		(n), OPT_ATTR_CLEAR, (a), true, NULL \
	}
#define PROP(n, a, r)                                \
	{                                            \
		(n), OPT_PROPAGATION, (a), (r), NULL \
	}

/* Sorted by name: mount_option_names() and the lookup rely on it. */
static const struct option options[] = {
	{ "async", OPT_SB_CLEAR, 0, false, "sync" },
	{ "atime", OPT_NOT_ATIME, MOUNT_ATTR_NOATIME, false, NULL },
	{ "bind", OPT_BIND, 0, false, NULL },
	{ "defaults", OPT_NOTHING, 0, false, NULL },
	NO_ATTR("dev", MOUNT_ATTR_NODEV),
	NO_ATTR("diratime", MOUNT_ATTR_NODIRATIME),
	{ "dirsync", OPT_SB_SET, 0, false, NULL },
	NO_ATTR("exec", MOUNT_ATTR_NOEXEC),
	{ "idmap", OPT_IDMAP, 0, false, NULL },
	{ "iversion", OPT_GONE, 0, false, "fsconfig(2) cannot ask for it" },
	{ "lazytime", OPT_SB_SET, 0, false, NULL },
	{ "loud", OPT_NOTHING, 0, false, NULL },
	{ "mand", OPT_GONE, 0, false, "Linux has no mandatory locking since 5.15" },
	{ "noatime", OPT_ATIME, MOUNT_ATTR_NOATIME, false, NULL },
	ATTR("nodev", MOUNT_ATTR_NODEV),
	ATTR("nodiratime", MOUNT_ATTR_NODIRATIME),
	ATTR("noexec", MOUNT_ATTR_NOEXEC),
	{ "noiversion", OPT_NOTHING, 0, false, NULL },
	{ "nolazytime", OPT_SB_CLEAR, 0, false, "lazytime" },
	{ "nomand", OPT_NOTHING, 0, false, NULL },
	{ "norelatime", OPT_NOT_ATIME, MOUNT_ATTR_RELATIME, false, NULL },
	{ "nostrictatime", OPT_NOT_ATIME, MOUNT_ATTR_STRICTATIME, false, NULL },
	ATTR("nosuid", MOUNT_ATTR_NOSUID),
	ATTR("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW),
	PROP("private", MS_PRIVATE, false),
	{ "ratime", OPT_NOT_ATIME, MOUNT_ATTR_NOATIME, true, NULL },
	{ "rbind", OPT_BIND, 0, true, NULL },
	R_NO_ATTR("rdev", MOUNT_ATTR_NODEV),
	R_NO_ATTR("rdiratime", MOUNT_ATTR_NODIRATIME),
	{ "relatime", OPT_ATIME, MOUNT_ATTR_RELATIME, false, NULL },
	{ "remount", OPT_REMOUNT, 0, false, NULL },
	R_NO_ATTR("rexec", MOUNT_ATTR_NOEXEC),
	{ "ridmap", OPT_IDMAP, 0, true, NULL },
	{ "rnoatime", OPT_ATIME, MOUNT_ATTR_NOATIME, true, NULL },
	R_ATTR("rnodev", MOUNT_ATTR_NODEV),
	R_ATTR("rnodiratime", MOUNT_ATTR_NODIRATIME),
	R_ATTR("rnoexec", MOUNT_ATTR_NOEXEC),
	{ "rnorelatime", OPT_NOT_ATIME, MOUNT_ATTR_RELATIME, true, NULL },
	{ "rnostrictatime", OPT_NOT_ATIME, MOUNT_ATTR_STRICTATIME, true, NULL },
	R_ATTR("rnosuid", MOUNT_ATTR_NOSUID),
	R_ATTR("rnosymfollow", MOUNT_ATTR_NOSYMFOLLOW),
	ATTR("ro", MOUNT_ATTR_RDONLY),
	PROP("rprivate", MS_PRIVATE, true),
	{ "rrelatime", OPT_ATIME, MOUNT_ATTR_RELATIME, true, NULL },
	R_ATTR("rro", MOUNT_ATTR_RDONLY),
	R_NO_ATTR("rrw", MOUNT_ATTR_RDONLY),
	PROP("rshared", MS_SHARED, true),
	PROP("rslave", MS_SLAVE, true),
	{ "rstrictatime", OPT_ATIME, MOUNT_ATTR_STRICTATIME, true, NULL },
	R_NO_ATTR("rsuid", MOUNT_ATTR_NOSUID),
	R_NO_ATTR("rsymfollow", MOUNT_ATTR_NOSYMFOLLOW),
	PROP("runbindable", MS_UNBINDABLE, true),
	NO_ATTR("rw", MOUNT_ATTR_RDONLY),
	PROP("shared", MS_SHARED, false),
	/* Only keeps the kernel's log quiet, which the fd-based mount calls are anyway. */
	{ "silent", OPT_NOTHING, 0, false, NULL },
	PROP("slave", MS_SLAVE, false),
	{ "strictatime", OPT_ATIME, MOUNT_ATTR_STRICTATIME, false, NULL },
	NO_ATTR("suid", MOUNT_ATTR_NOSUID),
	NO_ATTR("symfollow", MOUNT_ATTR_NOSYMFOLLOW),
	{ "sync", OPT_SB_SET, 0, false, NULL },
	{ "tmpcopyup", OPT_TMPCOPYUP, 0, false, NULL },
	PROP("unbindable", MS_UNBINDABLE, false),
};

static int compare_option(const void *name, const void *option)
{
	return strcmp(name, ((const struct option *)option)->name);
}

static const struct option *option_find(const char *name)
{
	return bsearch(name, options, ARRAY_SIZE(options), sizeof(options[0]),
		       compare_option);
}

const char *const *mount_option_names(void)
{
	static const char *names[ARRAY_SIZE(options) + 1];
	size_t n = 0;

	if (!names[0])
		for (size_t i = 0; i < ARRAY_SIZE(options); i++)
			if (options[i].kind != OPT_GONE)
				names[n++] = options[i].name;
	return names;
}

static const char *next_name(const void *arg, size_t i)
{
	return i < ARRAY_SIZE(options) ? options[i].name : NULL;
}

int mount_propagation_parse(const char *name, struct mount_propagation *ret)
{
	const struct option *o = option_find(name);

	if (!o || o->kind != OPT_PROPAGATION)
		return -EINVAL;
	*ret = (struct mount_propagation){ .type = o->arg, .recursive = o->recursive };
	return 0;
}

static void attr_set(struct mount_attrs *a, uint64_t bits)
{
	a->set |= bits;
	a->clr &= ~bits;
}

static void attr_clear(struct mount_attrs *a, uint64_t bits)
{
	a->clr |= bits;
	a->set &= ~bits;
}

/* Access time is a field, not a bit: mount_setattr(2) wants all of it cleared, then one value. */
static void atime_set(struct mount_attrs *a, uint64_t value)
{
	a->clr |= MOUNT_ATTR__ATIME;
	a->set = (a->set & ~MOUNT_ATTR__ATIME) | value;
}

/* "Not this one": what was chosen otherwise before stays; else relatime, the kernel's default,
 * and for norelatime the full updates that it asks for. */
static void atime_refuse(struct mount_attrs *a, uint64_t value)
{
	bool chosen = a->clr & MOUNT_ATTR__ATIME;

	if (chosen && (a->set & MOUNT_ATTR__ATIME) != value)
		return;
	atime_set(a, value == MOUNT_ATTR_RELATIME ? MOUNT_ATTR_STRICTATIME :
						    MOUNT_ATTR_RELATIME);
}

/* An r form overrides what plain forms before it said about the same bits. */
static struct mount_attrs *attrs_for(struct mount_options *mo, const struct option *o)
{
	uint64_t bits = o->arg;

	if (!o->recursive)
		return &mo->top;
	if (o->kind == OPT_ATIME || o->kind == OPT_NOT_ATIME)
		bits = MOUNT_ATTR__ATIME;
	mo->top.set &= ~bits;
	mo->top.clr &= ~bits;
	return &mo->rec;
}

static int sb_flag_clear(struct mount_options *mo, const char *name)
{
	for (size_t i = mo->sb_flags.n; i > 0; i--)
		if (streq(mo->sb_flags.v[i - 1], name))
			strv_remove(&mo->sb_flags, i - 1);
	return 0;
}

static int option_apply(const struct option *o, struct mount_options *mo)
{
	struct mount_propagation *p;

	switch (o->kind) {
	case OPT_NOTHING:
	case OPT_GONE:
		return 0;
	case OPT_ATTR_SET:
		attr_set(attrs_for(mo, o), o->arg);
		return 0;
	case OPT_ATTR_CLEAR:
		attr_clear(attrs_for(mo, o), o->arg);
		return 0;
	case OPT_ATIME:
		atime_set(attrs_for(mo, o), o->arg);
		return 0;
	case OPT_NOT_ATIME:
		atime_refuse(attrs_for(mo, o), o->arg);
		return 0;
	case OPT_PROPAGATION:
		p = list_add(&mo->propagation);
		if (!p)
			return -ENOMEM;
		*p = (struct mount_propagation){ .type = o->arg, .recursive = o->recursive };
		return 0;
	case OPT_SB_SET:
		return strv_contains(&mo->sb_flags, o->name) ?
			       0 :
			       strv_add(&mo->sb_flags, o->name);
	case OPT_SB_CLEAR:
		return sb_flag_clear(mo, o->counterpart);
	case OPT_BIND:
		mo->is_bind = true;
		mo->recursive |= o->recursive;
		return 0;
	case OPT_REMOUNT:
		mo->is_remount = true;
		return 0;
	case OPT_TMPCOPYUP:
		mo->tmpcopyup = true;
		return 0;
	case OPT_IDMAP:
		mo->idmap = true;
		mo->idmap_recursive |= o->recursive;
		return 0;
	}
	return 0;
}

static bool is_selinux_context(const char *s)
{
	return str_has_prefix(s, "context=") || str_has_prefix(s, "fscontext=") ||
	       str_has_prefix(s, "defcontext=") || str_has_prefix(s, "rootcontext=");
}

/* A context holds commas of its own and comes in quotes, which the kernel wants gone. */
static int add_context(struct strv *data, const char *s)
{
	const char *eq = strchr(s, '=');
	size_t len = strlen(eq + 1);

	if (len >= 2 && eq[1] == '"' && eq[len] == '"')
		return strv_addf(data, "%.*s=%.*s", (int)(eq - s), s, (int)len - 2, eq + 2);
	return strv_add(data, s);
}

/* An option for the file system. */
static int add_data(struct mount_options *mo, const char *s)
{
	return is_selinux_context(s) ? add_context(&mo->data, s) : strv_add(&mo->data, s);
}

/* What an option list may not ask for together. */
static int check_combination(const struct oci_mount *m, const struct mount_options *mo,
			     struct err *e)
{
	const char *hint;

	if (mo->tmpcopyup && (mo->is_bind || !m->type || !streq(m->type, "tmpfs")))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "option 'tmpcopyup': only a mount of type tmpfs can copy up");
	if (!m->uid_mappings.n != !m->gid_mappings.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "uidMappings and gidMappings must be given together");
	if (mo->is_remount && (mo->idmap || mo->tmpcopyup))
		return err_set(e, ERR_CONFIG, EINVAL, "option 'remount' excludes '%s'",
			       mo->idmap ? "idmap" : "tmpcopyup");
	if (!mo->is_bind)
		return 0;
	if (mo->sb_flags.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "option '%s' belongs to the file system, which a bind mount cannot change",
			       mo->sb_flags.v[0]);
	if (mo->data.n) {
		hint = str_suggest(mo->data.v[0], next_name, NULL);
		return err_set(e, ERR_CONFIG, EINVAL,
			       "unknown option '%s' of a bind mount%s%s%s", mo->data.v[0],
			       hint ? " (did you mean '" : "", hint ? hint : "",
			       hint ? "'?)" : "");
	}
	return 0;
}

static int parse(const struct oci_mount *m, struct mount_options *mo, struct err *e)
{
	/* "copy-symlink" is another runtime's; as data it would reach the kernel. */
	static const char *const foreign[] = { "copy-symlink", "dest-nofollow",
					       "src-nofollow" };
	_strv_free_ struct strv words = {};
	const struct option *o;
	int r;

	if (oci_mount_words(m, &words) < 0)
		return err_oom(e);
	mo->is_bind = m->type && streq(m->type, "bind");
	for (size_t i = 0; i < words.n; i++) {
		const char *s = words.v[i];

		for (size_t k = 0; k < ARRAY_SIZE(foreign); k++)
			if (streq(s, foreign[k]))
				return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
					       "option '%s' is not supported", s);
		o = option_find(s);
		if (o && o->kind == OPT_GONE)
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       "option '%s' is not supported: %s", s,
				       o->counterpart);
		r = o ? option_apply(o, mo) : add_data(mo, s);
		if (r < 0)
			return err_oom(e);
	}
	if (m->uid_mappings.n || m->gid_mappings.n)
		mo->idmap = true;
	return check_combination(m, mo, e);
}

int mount_options_parse(const struct oci_mount *m, struct mount_options *ret, struct err *e)
{
	struct mount_options mo = { 0 };
	int r;

	r = parse(m, &mo, e);
	if (r < 0) {
		mount_options_free(&mo);
		return err_wrap(e, "mount at '%s'", m->destination ? m->destination : "");
	}
	*ret = mo;
	return 0;
}

void mount_options_free(struct mount_options *o)
{
	free(o->propagation.v);
	strv_free(&o->sb_flags);
	strv_free(&o->data);
	*o = (struct mount_options){ 0 };
}
