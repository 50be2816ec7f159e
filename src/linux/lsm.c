/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels are written to attr files of procfs. An image can put something else there, so that the
 * write goes nowhere and the process stays unconfined (runc CVE-2019-16884, CVE-2019-19921): the
 * file is opened only on a verified procfs that nothing covers (proc.c). Checked in the runtime,
 * written by the container's process. Podman knows these failures by the backquoted path.
 */
#include "linux/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "linux/proc.h"

/* The files take one page, with the verb. */
#define LABEL_MAX 4000

static const struct {
	const char *name;
	const char *path, *old_path; /* below /proc */
	const char *verb;
} modules[] = {
	[LSM_APPARMOR] = { "AppArmor", "thread-self/attr/apparmor/exec",
			   "thread-self/attr/exec", "exec " },
	[LSM_SELINUX] = { "SELinux", "thread-self/attr/exec", NULL, "" },
};

static bool apparmor_is_enabled(void)
{
	_free_ char *text = NULL;
	struct err unused;

	return fs_read(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &text,
		       NULL, &unused) == 0 &&
	       text[0] == 'Y';
}

/* selinuxfs, as an O_PATH descriptor; -1 where the kernel does not have SELinux on. */
static int open_selinuxfs(void)
{
	_close_ int fd = open("/sys/fs/selinux", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs sfs;

	if (fd < 0 || fstatfs(fd, &sfs) < 0 || (unsigned int)sfs.f_type != SELINUX_MAGIC)
		return -1;
	return take_fd(&fd);
}

static bool selinux_is_enabled(void)
{
	_close_ int fd = open_selinuxfs();

	return fd >= 0;
}

/* Whether the loaded policy knows this context. Who may not ask learns it when it is applied. */
static bool selinux_knows(const char *context)
{
	_close_ int dir_fd = open_selinuxfs(), fd = -1;

	fd = dir_fd < 0 ? -1 : openat(dir_fd, "context", O_RDWR | O_CLOEXEC);
	return fd < 0 || write(fd, context, strlen(context) + 1) >= 0 || errno != EINVAL;
}

bool lsm_is_enabled(enum lsm m)
{
	return m == LSM_APPARMOR ? apparmor_is_enabled() : selinux_is_enabled();
}

int lsm_check(enum lsm m, const char *member, const char *label, struct err *e)
{
	if (!label || !*label)
		return 0;
	if (strlen(label) > LABEL_MAX)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG, "%s: is longer than %d bytes",
			       member, LABEL_MAX);
	if (!lsm_is_enabled(m))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "%s '%s' is not possible: %s is not enabled on this host, so "
			       "that `/proc/%s` takes no label",
			       member, label, modules[m].name, modules[m].path);
	if (m == LSM_SELINUX && !selinux_knows(label))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s '%s' is not possible: this host's SELinux policy has no such "
			       "context, so that `/proc/%s` does not take it",
			       member, label, modules[m].path);
	return 0;
}

/* Before Linux 5.1 AppArmor has the file that modules share. *ret_path is the one that is open. */
static int open_label(int proc_fd, enum lsm m, const char **ret_path, struct err *e)
{
	int fd;

	*ret_path = modules[m].path;
	fd = proc_open_file(proc_fd, *ret_path, O_WRONLY, e);
	if (fd == -ENOENT && modules[m].old_path) {
		*ret_path = modules[m].old_path;
		fd = proc_open_file(proc_fd, *ret_path, O_WRONLY, e);
	}
	return fd < 0 ? err_wrap(e, "write `/proc/%s`", *ret_path) : fd;
}

static int write_label(int fd, const char *path, const char *text, struct err *e)
{
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);

	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? err_sys(e, "write `/proc/%s`", path) :
		       err_errno(e, EIO, "write `/proc/%s`", path);
}

static int set_exec_label(enum lsm m, const char *label, struct err *e)
{
	_free_ char *text = str_printf("%s%s", modules[m].verb, label);
	_close_ int proc_fd = -1, fd = -1;
	const char *path;

	if (!text)
		return err_oom(e);
	proc_fd = proc_open(e);
	if (proc_fd < 0)
		return proc_fd;
	fd = open_label(proc_fd, m, &path, e);
	return fd < 0 ? fd : write_label(fd, path, text, e);
}

int lsm_set_exec_label(enum lsm m, const char *member, const char *label, struct err *e)
{
	if (!label || !*label)
		return 0;
	if (set_exec_label(m, label, e) < 0)
		return err_wrap(e, "cannot apply %s '%s'", member, label);
	return 0;
}

int lsm_set_key_label(const char *member, const char *label, struct err *e)
{
	static const char path[] = "thread-self/attr/keycreate";
	_close_ int proc_fd = -1, fd = -1;
	int r;

	if (!label || !*label)
		return 0;
	proc_fd = proc_open(e);
	if (proc_fd < 0)
		return proc_fd;
	fd = proc_open_file(proc_fd, path, O_WRONLY, e);
	r = fd < 0 ? fd : write_label(fd, path, label, e);
	return r < 0 ? err_wrap(e, "cannot label keys with %s '%s'", member, label) : 0;
}

int lsm_label_dir(int dir_fd, const char *label, struct err *e)
{
	_close_ int fd = -1;

	if (!label || !*label)
		return 0;
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsetxattr(fd, "security.selinux", label, strlen(label) + 1, 0) < 0)
		return err_sys(e, "cannot label it '%s'", label);
	return 0;
}
