/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple profile: policies by name. Runs with the caller's privileges. Root of the host works on
 * the administrator's folder, others on their own; what came with Purple is never changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/purple/profile_text.h"
#include "cmd/purple/purple.h"
#include "policy/find.h"
#include "policy/merge.h"

#define DEFAULT_BASE "secure-agent"
#define FILE_MAX ((size_t)1 << 20)

struct profile_options {
	const char *from;
};

static const struct option_row rows[] = {
	OPTION(profile_options, from, "from", 0, OPTION_STRING, "BASE",
	       "create: the profile or file to copy (default secure-agent)"),
	{},
};

/* --- list --- */

/* Whether `purple run` would take it: by making the whole configuration. */
static int try_plan(const char *path, struct err *e)
{
	struct sandbox_request rq = { .uid = geteuid(),
				      .network = geteuid() == 0,
				      .gid = getegid(),
				      .rootless = geteuid() != 0,
				      .rootfs = "rootfs" };
	struct policy_plan plan = {};
	int r;

	if (strv_add(&rq.args, "sh") < 0)
		return err_oom(e);
	r = policy_plan_sandbox(&rq, path, &policy_default_dirs, &plan, e);
	policy_plan_clear(&plan);
	strv_free(&rq.args);
	return r;
}

static void list_one(const char *name, const char *path, struct buf *out)
{
	_policy_free_ struct policy *p = NULL;
	const char *status = "ok";
	struct err why = {};

	bool good = false;

	if (policy_load(path, &p, &why) < 0)
		status = "invalid";
	else if (try_plan(path, &why) < 0)
		status = why.kind == ERR_UNSUPPORTED ? "unsupported" : "fails here";
	else
		good = true;
	buf_addf(out, "%-22s %-12s %-7s ", name, status, profile_where(path));
	print_plain(out, p && p->description ? p->description : "", 0);
	buf_adds(out, "\n");
	if (good)
		return;
	buf_adds(out, "                         ");
	print_plain(out, why.msg, 0);
	buf_adds(out, "\n");
}

static int list(struct err *e)
{
	_strv_free_ struct strv names = {}, paths = {};
	_buf_free_ struct buf out = {};
	int r = profile_list(&names, &paths, e);

	if (r < 0)
		return r;
	buf_addf(&out, "%-22s %-12s %-7s %s\n", "NAME", "STATUS", "WHERE", "DESCRIPTION");
	for (size_t i = 0; i < names.n; i++)
		list_one(names.v[i], paths.v[i], &out);
	return print_text(&out, e);
}

/* --- show --- */

static int show(const char *name, struct err *e)
{
	_policy_free_ struct policy *p = NULL;
	_free_ char *path = NULL, *text = NULL;
	_buf_free_ struct buf out = {};
	size_t len;
	int r;

	r = profile_find(name, &path, e);
	if (r == 0)
		r = fs_read_document(AT_FDCWD, path, FILE_MAX, &text, &len, e);
	if (r == 0)
		r = policy_parse(text, len, path, &p, e);
	if (r < 0)
		return r;
	profile_summarize(p, &out);
	buf_adds(&out, "\n");
	profile_write_runs(p->name, &out);
	buf_add(&out, text, len);
	return print_text(&out, e);
}

/* --- create --- */

/* The text with another name: the line with `name:` is replaced, everything else stays. */
static int rename_text(const char *text, const char *path, const char *name,
		       struct buf *out, struct err *e)
{
	_policy_free_ struct policy *p = NULL;
	const char *line = text, *end;

	while (!str_has_prefix(line, "name:")) {
		line = strchr(line, '\n');
		if (!line)
			return err_set(e, ERR_POLICY, EINVAL,
				       "'%s' has no line that begins with name:", path);
		line++;
	}
	end = line + strcspn(line, "\n");
	buf_add(out, text, (size_t)(line - text));
	/* In quotes: 1.5 and null are names too. */
	buf_addf(out, "name: \"%s\"%s", name, end);
	if (out->failed)
		return err_oom(e);
	if (policy_parse(out->s, out->len, path, &p, e) < 0)
		return err_wrap(e, "with another name");
	if (!streq(p->name, name))
		return err_set(e, ERR_POLICY, EINVAL,
			       "the name in '%s' cannot be replaced", path);
	return 0;
}

static int write_new(const char *path, const struct buf *text, struct err *e)
{
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			      0644);
	int r;

	if (fd < 0 && errno == EEXIST)
		return err_set(e, ERR_USAGE, EEXIST, "'%s' exists already", path);
	if (fd < 0)
		return err_sys(e, "cannot make '%s'", path);
	r = fd_write_all(fd, text->s, text->len);
	if (r == 0)
		return 0;
	unlink(path);
	return err_errno(e, r, "cannot write '%s'", path);
}

static int check_new_name(const char *name, struct err *e)
{
	_free_ char *path = NULL;
	struct err unknown;

	if (!policy_name_is_valid(name))
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%.80s' is not a profile's name: 1 to 64 of a-z 0-9 . _ -, not "
			       "beginning with a dot",
			       name);
	if (profile_find(name, &path, &unknown) == 0)
		return err_set(e, ERR_USAGE, EEXIST, "profile '%s' exists already: %s",
			       name, path);
	return unknown.code == ENOENT ? 0 : (*e = unknown, -e->code);
}

static int create(const char *name, const char *base, struct err *e)
{
	_free_ char *from = NULL, *dir = NULL, *path = NULL, *text = NULL;
	_buf_free_ struct buf out = {};
	int r;

	r = check_new_name(name, e);
	if (r == 0)
		r = profile_resolve(base, &from, e);
	if (r == 0)
		r = fs_read_document(AT_FDCWD, from, FILE_MAX, &text, NULL, e);
	if (r == 0)
		r = rename_text(text, from, name, &out, e);
	if (r == 0)
		r = profile_own_dir(&dir, e);
	if (r == 0)
		r = fs_mkdir_p(dir, is_host_root() ? 0755 : 0700, e);
	if (r < 0)
		return r;
	path = str_printf("%s/%s.yaml", dir, name);
	if (!path)
		return err_oom(e);
	r = write_new(path, &out, e);
	if (r < 0)
		return r;
	buf_free(&out);
	out = (struct buf){};
	buf_addf(&out, "%s\n", path);
	return print_text(&out, e);
}

/* --- delete --- */

static int delete (const char *name, struct err *e)
{
	_free_ char *dir = NULL, *path = NULL, *found = NULL;
	int r;

	r = profile_find(name, &found, e);
	if (r == 0)
		r = profile_own_dir(&dir, e);
	if (r < 0)
		return r;
	path = str_printf("%s/%s.yaml", dir, name);
	if (!path)
		return err_oom(e);
	if (!streq(path, found))
		return err_set(e, ERR_USAGE, EPERM,
			       streq(profile_where(found), "system") ?
				       "profile '%s' came with Purple (%s): it is not deleted" :
				       "profile '%s' is the administrator's (%s): it is not deleted",
			       name, found);
	return unlink(path) < 0 ? err_sys(e, "cannot delete '%s'", path) : 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct profile_options *o = opts;

	if (streq(args[0], "create") && n == 2)
		return create(args[1], o->from ? o->from : DEFAULT_BASE, e);
	if (o->from)
		return err_set(e, ERR_USAGE, EINVAL, "--from is for profile create");
	if (streq(args[0], "list") && n == 1)
		return list(e);
	if (streq(args[0], "show") && n == 2)
		return show(args[1], e);
	if (streq(args[0], "delete") && n == 2)
		return delete (args[1], e);
	return err_set(e, ERR_USAGE, EINVAL,
		       "profile: expected list, show NAME, create NAME or delete NAME");
}

const struct command purple_profile_command = {
	.name = "profile",
	.arguments = "list | show NAME | create NAME | delete NAME",
	.help = "List, show, make and delete policies that are known by name.",
	.options = rows,
	.options_size = sizeof(struct profile_options),
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
