/* SPDX-License-Identifier: Apache-2.0 */
/* See log_folder.h. Runs in the runtime, and in purple-monitor's recorder before its jail. */
#include "audit/log_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define LINKS_MAX 40

struct walk {
	const char *log; /* for errors */
	int dir;
	struct stat st;	     /* of dir */
	char path[PATH_MAX]; /* to dir, without links; "": the root */
	unsigned int links;
	int depth; /* in links: nothing is made where one leads nowhere */
};

static int check(const struct walk *w, struct err *e)
{
	const char *path = *w->path ? w->path : "/";

	if (w->st.st_uid != 0)
		return err_set(e, ERR_STATE, EPERM,
			       "folder '%s' belongs to user %u, who could replace what is in it: "
			       "an audit log cannot be kept below it (%s)",
			       path, w->st.st_uid, w->log);
	/* Debian's heirs let the group of the system's log daemon write there. */
	if ((w->st.st_mode & 022) == 020 && streq(path, "/var/log"))
		return 0;
	if ((w->st.st_mode & 022) && !(w->st.st_mode & S_ISVTX))
		return err_set(e, ERR_STATE, EPERM,
			       "folder '%s' has mode %04o: others could replace what is in it, "
			       "and an audit log cannot be kept below it (%s)",
			       path, w->st.st_mode & 07777, w->log);
	return 0;
}

/* *fd is where it is now. */
static int arrive(struct walk *w, int *fd, struct err *e)
{
	fd_close(&w->dir);
	w->dir = take_fd(fd);
	if (fstat(w->dir, &w->st) < 0)
		return err_sys(e, "cannot look at '%s'", w->path);
	return check(w, e);
}

static int walk(struct walk *w, const char *path, struct err *e);

static int follow(struct walk *w, int link, const char *name, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n;
	int r;

	if (w->st.st_mode & 022)
		return err_set(e, ERR_STATE, EPERM,
			       "link '%s/%s' lies in a folder that others write to: it is not "
			       "followed to an audit log (%s)",
			       w->path, name, w->log);
	n = readlinkat(link, "", target, sizeof(target));
	if (n <= 0 || (size_t)n == sizeof(target) || ++w->links > LINKS_MAX)
		return err_set(e, ERR_STATE, ELOOP, "cannot follow link '%s/%s'", w->path,
			       name);
	target[n] = '\0';
	w->depth++;
	r = walk(w, target, e);
	w->depth--;
	return r;
}

static int step(struct walk *w, const char *name, struct err *e)
{
	_close_ int fd = -1;
	struct stat st;
	char *end;

	if (streq(name, ".."))
		fd = openat(w->dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	else
		fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && w->depth == 0 && mkdirat(w->dir, name, 0700) == 0)
		fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open folder '%s/%s' (%s)", w->path, name, w->log);
	if (S_ISLNK(st.st_mode))
		return follow(w, fd, name, e);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_STATE, ENOTDIR, "'%s/%s' is not a folder (%s)",
			       w->path, name, w->log);
	end = w->path + strlen(w->path);
	if (streq(name, "..")) {
		end = strrchr(w->path, '/');
		if (end)
			*end = '\0';
	} else if ((size_t)(end - w->path) + strlen(name) + 2 > sizeof(w->path)) {
		return err_set(e, ERR_STATE, ENAMETOOLONG, "'%s' is too long", w->log);
	} else {
		*end = '/';
		strcpy(end + 1, name);
	}
	return arrive(w, &fd, e);
}

static int walk(struct walk *w, const char *path, struct err *e)
{
	_free_ char *copy = strdup(path);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return err_oom(e);
	if (path[0] == '/') {
		_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (root < 0)
			return err_sys(e, "cannot open '/'");
		w->path[0] = '\0';
		r = arrive(w, &root, e);
	}
	for (char *name = strtok_r(copy, "/", &save); r == 0 && name;
	     name = strtok_r(NULL, "/", &save))
		if (!streq(name, "."))
			r = step(w, name, e);
	return r;
}

int log_folder_open(const char *path, int *ret, struct err *e)
{
	struct walk w = { .log = path, .dir = -1 };
	int r = walk(&w, path, e);

	if (r == 0 && (w.st.st_mode & 022))
		r = err_set(e, ERR_STATE, EPERM,
			    "folder '%s' of the audit log has mode %04o: others could replace it "
			    "(chmod go-w)",
			    path, w.st.st_mode & 07777);
	if (r == 0)
		*ret = take_fd(&w.dir);
	fd_close(&w.dir);
	return r;
}
