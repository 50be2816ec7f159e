/* SPDX-License-Identifier: Apache-2.0 */
/* See console.h. */
#include "container/console.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int console_connect(const char *path, int *ret_fd, struct err *e)
{
	return socket_connect(path, SOCK_STREAM, "console socket", ret_fd, e);
}

/* The container may have put anything at /dev/pts/ptmx: only the real device will do. */
static int open_ptmx(int *ret, struct err *e)
{
	_close_ int fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return err_sys(e, "cannot open a terminal: '/dev/pts/ptmx'");
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot check '/dev/pts/ptmx'");
	if (fs.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(5, 2))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "cannot open a terminal: '/dev/pts' is not a devpts");
	*ret = take_fd(&fd);
	return 0;
}

int console_open(uid_t uid, const struct oci_box *size, int *ret_master, int *ret_slave,
		 struct err *e)
{
	_close_ int master = -1, slave = -1;
	int r, unlock = 0;

	r = open_ptmx(&master, e);
	if (r < 0)
		return r;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "cannot unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "cannot open the terminal's other side");
	if (size && size->width && size->height) {
		struct winsize ws = { .ws_row = (unsigned short)size->height,
				      .ws_col = (unsigned short)size->width };

		if (ioctl(slave, TIOCSWINSZ, &ws) < 0)
			return err_sys(e, "cannot set the terminal's size");
	}
	/* An id that the user namespace does not map cannot own it: the mode suffices then. */
	if (fchown(slave, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL)
		return err_sys(e, "cannot give the terminal to uid %u", uid);
	*ret_master = take_fd(&master);
	*ret_slave = take_fd(&slave);
	return 0;
}

int console_send(int sock, int master, struct err *e)
{
	unsigned int number = 0;
	char name[32];
	int r;

	if (ioctl(master, TIOCGPTN, &number) < 0)
		return err_sys(e, "cannot name the terminal");
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	r = socket_send_fd(sock, master, name);
	if (r < 0)
		return err_errno(e, r, "cannot send the terminal to the console socket");
	return 0;
}

int console_receive(int sock, int *ret_master, struct err *e)
{
	char name[128];
	ssize_t n = socket_receive_fd(sock, name, sizeof(name), ret_master);

	if (n < 0)
		return err_errno(e, (int)n, "cannot receive the terminal");
	if (*ret_master < 0)
		return err_set(e, ERR_INTERNAL, EPROTO, "the terminal did not arrive");
	return 0;
}

int console_attach(int slave, struct err *e)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(e, "cannot set the controlling terminal");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(slave, fd) < 0)
			return err_sys(e, "cannot set descriptor %d to the terminal", fd);
	return 0;
}
