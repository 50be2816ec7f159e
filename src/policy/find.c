// SPDX-License-Identifier: Apache-2.0
/*
 * Looking up installed policies by name. Runs in the runtime with its caller's privileges; reads
 * files only.
 *
 * Engines turn the phrases "not found", "no such file" and "permission denied" of an error into
 * exit codes of their own, so the messages here do without them.
 */
#include "policy/find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"

#define NAME_MAX_LEN 64
#define FILE_SUFFIX ".yaml"

const struct policy_dirs policy_default_dirs = {
	.settings = SYSCONFDIR "/purple/purple.yaml",
	.admin_dir = SYSCONFDIR "/purple/policies",
	.system_dir = DATADIR "/purple/policies",
};

bool policy_name_is_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return n >= 1 && n <= NAME_MAX_LEN && name[n] == '\0' && name[0] != '.';
}

/* strerror() without the phrases that engines look for. */
static const char *reason(int code)
{
	switch (code) {
	case ENOENT:
		return "it is missing";
	case EACCES:
	case EPERM:
		return "this user may not read it";
	case ELOOP:
		return "its symbolic links go in circles";
	default:
		return strerror(code);
	}
}

static char *policy_file(const char *dir, const char *name)
{
	return str_printf("%s/%s" FILE_SUFFIX, dir, name);
}

/* In a user namespace the machine's root can be an id without a map, shown as this one. */
static bool is_unmapped_owner(uid_t uid)
{
	_free_ char *text = NULL, *map = NULL;
	uint64_t overflow;
	struct err ignored;

	if (fs_read(AT_FDCWD, "/proc/sys/kernel/overflowuid", 64, &text, NULL, &ignored) < 0 ||
	    fs_read(AT_FDCWD, "/proc/self/uid_map", 65536, &map, NULL, &ignored) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	if (num_u64(text, &overflow) < 0 || overflow != uid)
		return false;
	/* The initial namespace maps all there is: an id of that number is an ordinary user. */
	return strstr(map, "4294967295") == NULL;
}

int policy_read_installed(const char *what, const char *path, char **ret, size_t *ret_len,
			  struct err *e)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0) {
		int code = errno;

		return err_set(e, ERR_POLICY, code, "%s '%s' cannot be read: %s", what,
			       path, reason(code));
	}
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_POLICY, EINVAL, "%s '%s' is not a regular file",
			       what, path);
	if (st.st_uid != 0 && st.st_uid != geteuid() && !is_unmapped_owner(st.st_uid))
		return err_set(e, ERR_POLICY, EINVAL,
			       "%s '%s' belongs to user %u: it must belong to root or to the caller",
			       what, path, (unsigned int)st.st_uid);
	if (st.st_mode & S_IWOTH)
		return err_set(e, ERR_POLICY, EINVAL,
			       "%s '%s' may be written by everybody: run chmod o-w on it",
			       what, path);
	r = fd_read_all(fd, POLICY_FILE_MAX, ret, ret_len, e);
	if (r == -EFBIG)
		return err_set(e, ERR_POLICY, EFBIG, "%s '%s' is larger than 8 MiB", what,
			       path);
	return r;
}

int policy_load_installed(const char *path, struct policy **ret, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = policy_read_installed("policy", path, &text, &len, e);

	return r ? r : policy_parse(text, len, path, ret, e);
}

/* Adds the names of one folder that are not in the list yet. */
static int list_folder(const char *dir, struct strv *names, struct err *e)
{
	_closedir_ DIR *d = opendir(dir);
	struct dirent *entry;
	int code = errno;

	if (!d && (code == ENOENT || code == ENOTDIR))
		return 0;
	if (!d)
		return err_set(e, ERR_POLICY, code, "the folder '%s' cannot be read: %s",
			       dir, reason(code));
	while ((errno = 0, entry = readdir(d))) {
		char name[NAME_MAX_LEN + 1];
		size_t n = strlen(entry->d_name);

		if (!str_has_suffix(entry->d_name, FILE_SUFFIX) ||
		    n - strlen(FILE_SUFFIX) > NAME_MAX_LEN)
			continue;
		n -= strlen(FILE_SUFFIX);
		memcpy(name, entry->d_name, n);
		name[n] = '\0';
		if (policy_name_is_valid(name) && !strv_contains(names, name) &&
		    strv_add(names, name) < 0)
			return err_oom(e);
	}
	if (errno)
		return err_sys(e, "cannot list '%s'", dir);
	return 0;
}

/* Where the policy of this name is: 0, or -errno of looking at the first place that failed. */
static int locate(const struct policy_dirs *d, const char *name, char **ret)
{
	const char *const dirs[] = { d->admin_dir, d->system_dir };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		_free_ char *path = policy_file(dirs[i], name);
		struct stat st;

		if (!path)
			return -ENOMEM;
		/* A link that leads nowhere is a broken policy, not a missing one. */
		if (lstat(path, &st) == 0) {
			*ret = take_ptr(&path);
			return 0;
		}
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return -ENOENT;
}

int policy_list(const struct policy_dirs *d, struct strv *ret_names,
		struct strv *ret_paths, struct err *e)
{
	_strv_free_ struct strv names = { 0 }, paths = { 0 };
	size_t i;
	int r;

	r = list_folder(d->admin_dir, &names, e);
	if (r == 0)
		r = list_folder(d->system_dir, &names, e);
	if (r < 0)
		return r;
	strv_sort(&names);
	for (i = 0; i < names.n; i++) {
		_free_ char *path = NULL;

		r = locate(d, names.v[i], &path);
		if (r == -ENOENT) { /* gone since */
			strv_remove(&names, i--);
			continue;
		}
		if (r < 0)
			return err_set(e, ERR_POLICY, -r, "policy \"%s\" cannot be read: %s",
				       names.v[i], reason(-r));
		if (strv_add(&paths, path) < 0)
			return err_oom(e);
	}
	*ret_names = names;
	*ret_paths = paths;
	names = paths = (struct strv){ 0 };
	return 0;
}

static const char *next_name(const void *arg, size_t i)
{
	const struct strv *l = arg;

	return i < l->n ? l->v[i] : NULL;
}

static int unknown(const struct policy_dirs *d, const char *name, struct err *e)
{
	_strv_free_ struct strv names = { 0 }, paths = { 0 };
	_buf_free_ struct buf known = { 0 };
	const char *near;
	struct err ignored;
	size_t i;

	(void)policy_list(d, &names, &paths, &ignored); /* for the message only */
	near = str_suggest(name, next_name, &names);
	for (i = 0; i < names.n && i < 20; i++)
		buf_addf(&known, "%s%s", i ? ", " : "", names.v[i]);
	if (names.n > 20)
		buf_adds(&known, ", ...");
	return err_set(e, ERR_POLICY, ENOENT,
		       "policy \"%s\" is unknown (looked in %s and %s; known: %s)%s%s%s",
		       name, d->admin_dir, d->system_dir, known.s ? known.s : "none",
		       near ? "; did you mean \"" : "", near ? near : "",
		       near ? "\"?" : "");
}

int policy_find(const struct policy_dirs *d, const char *name, char **ret_path,
		struct err *e)
{
	int r;

	if (!policy_name_is_valid(name))
		return err_set(e, ERR_POLICY, EINVAL,
			       "policy name \"%.80s\" is not valid: 1 to 64 of a-z 0-9 . _ -, not "
			       "beginning with a dot, and never a path",
			       name);
	r = locate(d, name, ret_path);
	if (r == -ENOENT)
		return unknown(d, name, e);
	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0)
		return err_set(e, ERR_POLICY, -r, "policy \"%s\" cannot be read: %s",
			       name, reason(-r));
	return 0;
}
