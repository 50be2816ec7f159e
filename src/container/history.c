/* SPDX-License-Identifier: Apache-2.0 */
/* See history.h. Runs in the runtime (writing) and in `purple`, with the caller's privileges. */
#include "config.h"

#include "container/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "linux/ns.h"

#define RECORD_MAX ((size_t)1 << 20)
#define NAME_ID_MAX 128
#define SUFFIX ".json"

/* The folder; ERR_STATE where the caller has none. */
static int history_folder(char **ret, struct err *e)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0 && !userns_is_nested())
		*ret = strdup(LOCALSTATEDIR "/lib/purple/runs");
	else if (state && state[0] == '/')
		*ret = str_printf("%s/purple/runs", state);
	else if (home && home[0] == '/')
		*ret = str_printf("%s/.local/state/purple/runs", home);
	else
		return err_set(e, ERR_STATE, ENOENT,
			       "neither XDG_STATE_HOME nor HOME says where runs are recorded");
	return *ret ? 0 : err_oom(e);
}

/* A folder that others may write to would let them choose what is read. */
static int check_folder(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, ERR_STATE, EPERM,
			       "'%s' belongs to somebody else, or others may write to it",
			       path);
	return 0;
}

/* *ret_fd is -1 where there is none and `make` is false. */
static int open_folder(bool make, char **ret_path, int *ret_fd, struct err *e)
{
	_free_ char *path = NULL;
	_close_ int fd = -1;
	int r = history_folder(&path, e);

	if (r == 0 && make)
		r = fs_mkdir_p(path, 0700, e);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && !(errno == ENOENT && !make))
		return err_sys(e, "cannot open '%s'", path);
	r = fd < 0 ? 0 : check_folder(fd, path, e);
	if (r < 0)
		return r;
	*ret_path = take_ptr(&path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* 20261122T150830.123456789Z-ID.json: names are in the order of time. */
static char *name_of(const struct run_record *x)
{
	_free_ char *stamp = strdup(x->ended);
	char *to = stamp;

	if (!stamp)
		return NULL;
	for (const char *from = stamp; *from; from++)
		if ((*from >= '0' && *from <= '9') || strchr("T.Z", *from))
			*to++ = *from;
	*to = '\0';
	return str_printf("%s-%.*s" SUFFIX, stamp, NAME_ID_MAX, x->id);
}

static int newest_first(const void *a, const void *b)
{
	return -strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(int folder, const char *path, struct strv *ret, struct err *e)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;

	if (!dir) {
		fd_close(&copy);
		return err_sys(e, "cannot read '%s'", path);
	}
	while ((d = readdir(dir)))
		if (d->d_name[0] >= '0' && d->d_name[0] <= '9' &&
		    str_has_suffix(d->d_name, SUFFIX) && strv_add(ret, d->d_name) < 0)
			return err_oom(e);
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), newest_first);
	return 0;
}

/* Others may be at it as well. */
static int forget_old(int folder, const char *path, struct err *e)
{
	_strv_free_ struct strv names = {};
	int r = list_folder(folder, path, &names, e);

	for (size_t i = HISTORY_MAX; r == 0 && i < names.n; i++)
		if (unlinkat(folder, names.v[i], 0) < 0 && errno != ENOENT)
			r = err_sys(e, "cannot remove '%s/%s'", path, names.v[i]);
	return r;
}

int history_write(const struct run_record *x, struct err *e)
{
	_free_ char *path = NULL, *name = name_of(x);
	_buf_free_ struct buf text = {};
	_close_ int folder = -1;
	int r = name ? json_write(&run_record_type, x, true, &text, e) : err_oom(e);

	buf_adds(&text, "\n");
	if (r == 0 && text.failed)
		r = err_oom(e);
	if (r == 0)
		r = open_folder(true, &path, &folder, e);
	if (r == 0)
		r = fs_write_own(folder, name, text.s, text.len, 0600, e);
	if (r == 0)
		r = forget_old(folder, path, e);
	return r < 0 ? err_wrap(e, "the run is not recorded") : 0;
}

int history_list(struct strv *ret, struct err *e)
{
	_free_ char *path = NULL;
	_close_ int folder = -1;
	int r = open_folder(false, &path, &folder, e);

	return r < 0 || folder < 0 ? r : list_folder(folder, path, ret, e);
}

int history_read(const char *name, struct run_record *ret, struct err *e)
{
	_free_ char *path = NULL, *file = NULL;
	_close_ int folder = -1;
	int r = open_folder(false, &path, &folder, e);

	if (r < 0)
		return r;
	if (strchr(name, '/') || folder < 0 || faccessat(folder, name, F_OK, 0) < 0)
		return err_set(e, ERR_NOT_EXIST, ENOENT, "there is no record '%s'", name);
	file = fs_join(path, name);
	return file ? json_read_file(AT_FDCWD, file, RECORD_MAX, &run_record_type, ret, e) :
		      err_oom(e);
}
