/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.intelRdt (runtime-spec, "Intel RDT"). A group is a directory below the root of the resctrl
 * file system; the kernel fills it with `schemata`, what the group may use, and `tasks`, who is in
 * it. Runs in the runtime, on the host. Nothing here needs hardware but resctrl_open(): the rest
 * works on whatever directory it is given.
 */
#include "linux/resctrl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"

#define RESCTRL_PATH "/sys/fs/resctrl"
#define RESCTRL_MAGIC 0x7655821
#define FILE_MAX_BYTES 65536
#define NAME_MAX_BYTES 255

static bool is_group_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= NAME_MAX_BYTES && !strpbrk(s, "/\n") && !streq(s, ".") &&
	       !streq(s, "..");
}

static bool is_given(const char *s)
{
	return s && *s;
}

/* The directories that resctrl itself has in its root. */
static bool is_reserved(const char *s)
{
	return streq(s, "info") || streq(s, "mon_groups") || streq(s, "mon_data");
}

int resctrl_check(const struct oci_intel_rdt *c, const char *id, struct err *e)
{
	struct resctrl_group g;

	if (!c)
		return 0;
	if (is_given(c->clos_id) && !streq(c->clos_id, "/") &&
	    (!is_group_name(c->clos_id) || is_reserved(c->clos_id)))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.intelRdt.closID: '%s' is no name of a group",
			       c->clos_id);
	if (is_given(c->mem_bw_schema) &&
	    (!str_has_prefix(c->mem_bw_schema, "MB:") || strchr(c->mem_bw_schema, '\n')))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.intelRdt.memBwSchema: must be one line that begins with "
			       "'MB:'");
	for (size_t i = 0; i < c->schemata.n; i++)
		if (!strchr(c->schemata.v[i], ':'))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "linux.intelRdt.schemata[%zu]: '%s' is no line such as "
				       "L3:0=7f0;1=1f",
				       i, c->schemata.v[i]);
	g = resctrl_group_of(c, id);
	if ((g.own && (!is_group_name(id) || is_reserved(id))) ||
	    (g.monitor && !is_group_name(id)))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.intelRdt: the container's id '%s' cannot be the name of a "
			       "group",
			       id);
	return 0;
}

struct resctrl_group resctrl_group_of(const struct oci_intel_rdt *c, const char *id)
{
	struct resctrl_group g = { .name = id, .own = true };

	if (is_given(c->clos_id)) {
		g.name = streq(c->clos_id, "/") ? "." : c->clos_id;
		g.own = false;
	}
	if (c->enable_monitoring || c->enable_cmt || c->enable_mbm)
		g.monitor = id;
	return g;
}

int resctrl_open(struct err *e)
{
	_close_ int fd = open(RESCTRL_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs sfs;

	if (fd < 0 && errno != ENOENT)
		return err_sys(e, "cannot open %s", RESCTRL_PATH);
	if (fd < 0 || fstatfs(fd, &sfs) < 0 || sfs.f_type != RESCTRL_MAGIC)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "linux.intelRdt is not possible: resctrl is not mounted at %s (no "
			       "such hardware or kernel, or 'mount -t resctrl resctrl %s' is needed)",
			       RESCTRL_PATH, RESCTRL_PATH);
	return take_fd(&fd);
}

/* Lines of l3CacheSchema but those of memory bandwidth, when memBwSchema has them. */
static void add_cache_lines(const char *schema, bool without_mb, struct buf *out)
{
	for (const char *p = schema; *p;) {
		size_t n = strcspn(p, "\n");

		if (n > 0 && !(without_mb && str_has_prefix(p, "MB:"))) {
			buf_add(out, p, n);
			buf_adds(out, "\n");
		}
		p += n + (p[n] == '\n');
	}
}

int resctrl_format(const struct oci_intel_rdt *c, struct buf *out, struct err *e)
{
	if (is_given(c->l3_cache_schema))
		add_cache_lines(c->l3_cache_schema, is_given(c->mem_bw_schema), out);
	if (is_given(c->mem_bw_schema))
		buf_addf(out, "%s\n", c->mem_bw_schema);
	return out->failed ? err_oom(e) : 0;
}

/* "0=7f0": the number after the domain `id` of a line's part behind the colon; false: none. */
static bool find_domain(const char *p, unsigned long id, int base, unsigned long long *ret)
{
	while (*p && *p != '\n') {
		char *end;
		unsigned long this = strtoul(p, &end, 10);

		if (end == p || *end != '=')
			return false;
		p = end + 1;
		*ret = strtoull(p, &end, base);
		if (end == p)
			return false;
		if (this == id)
			return true;
		p = end + strspn(end, "; \t");
	}
	return false;
}

/* The line of a resource ("L3", of length n) behind its colon, or NULL. The kernel indents. */
static const char *find_line(const char *text, const char *resource, size_t n)
{
	while (*text) {
		const char *p = text + strspn(text, " \t");

		if (strncmp(p, resource, n) == 0 && p[n] == ':')
			return p + n + 1;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

/* One line: every domain that it names has that value in `have`. */
static bool line_holds(const char *have, const char *want)
{
	const char *line, *p;
	size_t n;
	int base;

	want += strspn(want, " \t");
	n = strcspn(want, ":\n");
	if (want[n] != ':')
		return false;
	line = find_line(have, want, n);
	if (!line)
		return false;
	/* Bit masks are hexadecimal, bandwidths are decimal. */
	base = n == 2 && strncmp(want, "MB", 2) == 0 ? 10 : 16;
	for (p = want + n + 1 + strspn(want + n + 1, " \t"); *p && *p != '\n';) {
		unsigned long long mine, theirs;
		char *end;
		unsigned long domain = strtoul(p, &end, 10);

		if (end == p || *end != '=')
			return false;
		p = end + 1;
		mine = strtoull(p, &end, base);
		if (end == p || !find_domain(line, domain, base, &theirs) || mine != theirs)
			return false;
		p = end + strspn(end, "; \t");
	}
	return true;
}

bool resctrl_schemata_hold(const char *have, const char *want)
{
	while (*want) {
		size_t n = strcspn(want, "\n");

		if (n > 0 && !line_holds(have, want))
			return false;
		want += n + (want[n] == '\n');
	}
	return true;
}

/* 1: made, 0: it was there. */
static int make_dir(int root, const char *path, struct err *e)
{
	if (mkdirat(root, path, 0755) == 0)
		return 1;
	if (errno == EEXIST)
		return 0;
	if (errno == ENOSPC)
		return err_errno(e, ENOSPC,
				 "linux.intelRdt: the hardware has no group left for '%s'",
				 path);
	return err_sys(e, "linux.intelRdt: cannot make the group '%s'", path);
}

static int make_group(int root, const struct resctrl_group *g,
		      const struct oci_intel_rdt *c, bool *ret_made, struct err *e)
{
	bool asks = is_given(c->l3_cache_schema) || is_given(c->mem_bw_schema) ||
		    c->schemata.n > 0;
	int r;

	if (!g->own && !asks) {
		if (faccessat(root, g->name, F_OK, 0) == 0)
			return 0;
		return err_sys(e, "linux.intelRdt.closID: the group '%s' must be there",
			       g->name);
	}
	r = make_dir(root, g->name, e);
	if (r == 0 && g->own)
		return err_set(e, ERR_CONFIG, EEXIST,
			       "linux.intelRdt: a group '%s' is there already, and not this "
			       "container's",
			       g->name);
	*ret_made = r > 0;
	return r < 0 ? r : 0;
}

static char *monitor_path(const struct resctrl_group *g)
{
	return str_printf("%s/mon_groups/%s", g->name, g->monitor);
}

int resctrl_make(int root, const struct resctrl_group *g, const struct oci_intel_rdt *c,
		 bool *ret_made, bool *ret_made_monitor, struct err *e)
{
	_free_ char *path = NULL;
	int r;

	*ret_made = *ret_made_monitor = false;
	r = make_group(root, g, c, ret_made, e);
	if (r < 0 || !g->monitor)
		return r;
	path = monitor_path(g);
	if (!path)
		return err_oom(e);
	r = make_dir(root, path, e);
	if (r == 0)
		return err_set(e, ERR_CONFIG, EEXIST,
			       "linux.intelRdt.enableMonitoring: '%s' is there already",
			       path);
	*ret_made_monitor = r > 0;
	return r < 0 ? r : 0;
}

/* The kernel says in words what is wrong with a schema. */
static int schemata_error(int root, int code, const char *text, struct err *e)
{
	_free_ char *why = NULL;
	struct err unused;

	if (fs_read(root, "info/last_cmd_status", FILE_MAX_BYTES, &why, NULL, &unused) == 0)
		why[strcspn(why, "\n")] = '\0';
	return err_errno(e, code, "linux.intelRdt: cannot write the schemata '%.*s'%s%s%s",
			 (int)strcspn(text, "\n"), text, why ? " (" : "", why ? why : "",
			 why ? ")" : "");
}

static int write_text(int root, const char *path, const char *text, struct err *e)
{
	int r = fs_write_existing(root, path, text);

	return r < 0 ? schemata_error(root, r, text, e) : 0;
}

int resctrl_write_schemata(int root, const struct resctrl_group *g,
			   const struct oci_intel_rdt *c, bool made, struct err *e)
{
	_free_ char *path = str_printf("%s/schemata", g->name), *have = NULL;
	_buf_free_ struct buf lines = {}, more = {};
	int r;

	if (!path)
		return err_oom(e);
	r = resctrl_format(c, &lines, e);
	if (r < 0)
		return r;
	if (lines.len && !made) {
		r = fs_read(root, path, FILE_MAX_BYTES, &have, NULL, e);
		if (r < 0)
			return err_wrap(e, "linux.intelRdt");
		if (!resctrl_schemata_hold(have, lines.s))
			return err_set(e, ERR_CONFIG, EEXIST,
				       "linux.intelRdt.closID: the group '%s' is there with other "
				       "schemata",
				       g->name);
	} else if (lines.len) {
		r = write_text(root, path, lines.s, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < c->schemata.n; i++)
		buf_addf(&more, "%s\n", c->schemata.v[i]);
	if (more.failed)
		return err_oom(e);
	return more.len ? write_text(root, path, more.s, e) : 0;
}

int resctrl_update_schemata(int root, const struct resctrl_group *g,
			    const struct oci_intel_rdt *c, char **ret_before, struct err *e)
{
	_free_ char *path = str_printf("%s/schemata", g->name), *before = NULL;
	_buf_free_ struct buf lines = {};
	int r;

	if (!path)
		return err_oom(e);
	r = resctrl_format(c, &lines, e);
	if (r < 0)
		return r;
	r = fs_read(root, path, FILE_MAX_BYTES, &before, NULL, e);
	if (r < 0)
		return err_wrap(e, "linux.intelRdt: group '%s'", g->name);
	r = write_text(root, path, lines.s, e);
	if (r == 0)
		*ret_before = take_ptr(&before);
	return r;
}

void resctrl_restore_schemata(int root, const struct resctrl_group *g, const char *before)
{
	_free_ char *path = str_printf("%s/schemata", g->name);

	if (path)
		fs_write_existing(root, path, before);
}

static int add_task(int root, const char *dir, pid_t pid, struct err *e)
{
	_free_ char *path = str_printf("%s/tasks", dir);
	char text[16];
	int r;

	if (!path)
		return err_oom(e);
	snprintf(text, sizeof(text), "%d", (int)pid);
	r = fs_write_existing(root, path, text);
	return r < 0 ? err_errno(e, r, "linux.intelRdt: cannot enter the group '%s'", dir) :
		       0;
}

int resctrl_enter(int root, const struct resctrl_group *g, pid_t pid, struct err *e)
{
	_free_ char *monitor = NULL;
	int r = add_task(root, g->name, pid, e);

	if (r < 0 || !g->monitor)
		return r;
	monitor = monitor_path(g);
	return monitor ? add_task(root, monitor, pid, e) : err_oom(e);
}

static int remove_dir(int root, const char *path, struct err *e)
{
	if (unlinkat(root, path, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(e, "linux.intelRdt: cannot remove the group '%s'", path);
	return 0;
}

int resctrl_remove(int root, const struct resctrl_group *g, struct err *e)
{
	_free_ char *monitor = NULL;
	int r = 0;

	if (g->monitor) {
		monitor = monitor_path(g);
		if (!monitor)
			return err_oom(e);
		r = remove_dir(root, monitor, e);
	}
	return r == 0 && g->own ? remove_dir(root, g->name, e) : r;
}
