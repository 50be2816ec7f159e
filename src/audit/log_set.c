/* SPDX-License-Identifier: Apache-2.0 */
/* See log_set.h. */
#include "audit/log_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/log_file.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"

#define FILES_MAX 10000

static int by_age(const void *a, const void *b)
{
	uint32_t x = ((const struct log_set_file *)a)->number;
	uint32_t y = ((const struct log_set_file *)b)->number;

	return x > y ? -1 : x < y;
}

static int add_file(struct log_set *s, int dirfd, const char *path, const char *name,
		    uint32_t number, struct err *e)
{
	char file[LOG_NAME_MAX + 16];
	struct log_set_file *x;
	_close_ int fd = -1;

	log_file_name(name, number, file);
	fd = openat(dirfd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ?
			       0 :
			       err_sys(e, "cannot open '%.*s%s'",
				       (int)(strlen(path) - strlen(name)), path, file);
	x = list_add(&s->files);
	if (!x)
		return err_oom(e);
	*x = (struct log_set_file){ .number = number, .fd = take_fd(&fd) };
	x->path = str_printf("%.*s%s", (int)(strlen(path) - strlen(name)), path, file);
	if (!x->path)
		return err_oom(e);
	if (fstat(x->fd, &x->st) < 0)
		return err_sys(e, "cannot look at '%s'", x->path);
	return S_ISREG(x->st.st_mode) ?
		       0 :
		       err_set(e, ERR_STATE, EINVAL, "'%s' is not a file", x->path);
}

/* NAME.number */
static bool is_rotated(const char *entry, const char *name, uint32_t *ret)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '.' && entry[n + 1] != '0' &&
	       num_u32(entry + n + 1, ret) == 0;
}

static int add_rotated(struct log_set *s, int dirfd, const char *path, const char *name,
		       struct err *e)
{
	_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	uint32_t number;
	int r = 0;

	if (!d)
		return err_sys(e, "cannot read the folder of '%s'", path);
	take_fd(&fd);
	while (r == 0 && (entry = readdir(d)))
		if (is_rotated(entry->d_name, name, &number) && s->files.n < FILES_MAX)
			r = add_file(s, dirfd, path, name, number, e);
	if (r == 0 && s->files.n)
		qsort(s->files.v, s->files.n, sizeof(s->files.v[0]), by_age);
	return r;
}

/* The lock goes with the descriptor. */
static int lock_head(struct log_set *s, int dirfd, const char *path, const char *name,
		     int *ret, struct err *e)
{
	_free_ char *file = str_printf("%s.head", name);
	char text[CHAIN_HEAD_SIZE + 1];
	_close_ int fd = -1;
	ssize_t n;
	int r;

	if (!file)
		return err_oom(e);
	fd = openat(dirfd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open '%s.head'", path);
	r = log_file_lock(fd, F_RDLCK);
	if (r < 0)
		return err_errno(e, r, "cannot lock '%s.head'", path);
	n = pread(fd, text, sizeof(text), 0);
	if (n < 0)
		return err_sys(e, "cannot read '%s.head'", path);
	s->has_head = chain_head_parse(text, (size_t)n, &s->head);
	*ret = take_fd(&fd);
	return 0;
}

int log_set_open(const char *path, struct log_set *ret, struct err *e)
{
	_log_set_close_ struct log_set s = {};
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	_free_ char *folder = slash ? strndup(path,
					      slash == path ? 1 : (size_t)(slash - path)) :
				      strdup(".");
	_close_ int dirfd = -1, head = -1;
	int r;

	if (!folder)
		return err_oom(e);
	if (!*name || strlen(name) > LOG_NAME_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "'%s' names no audit log", path);
	dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 && errno == ENOENT)
		return 0;
	if (dirfd < 0)
		return err_sys(e, "cannot open '%s'", folder);
	r = lock_head(&s, dirfd, path, name, &head, e);
	if (r == 0)
		r = add_rotated(&s, dirfd, path, name, e);
	if (r == 0)
		r = add_file(&s, dirfd, path, name, 0, e);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct log_set){};
	return 0;
}

void log_set_close(struct log_set *s)
{
	for (size_t i = 0; i < s->files.n; i++) {
		free(s->files.v[i].path);
		fd_close(&s->files.v[i].fd);
	}
	free(s->files.v);
	*s = (struct log_set){};
}
