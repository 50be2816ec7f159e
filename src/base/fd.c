/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers on descriptors: see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>

int fd_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len, struct err *e)
{
	_free_ char *data = NULL;
	size_t len = 0, cap = 4096;

	data = malloc(cap + 1);
	if (!data)
		return err_oom(e);
	for (;;) {
		ssize_t n;

		if (len == cap) {
			char *bigger = realloc(data, cap * 2 + 1);

			if (!bigger)
				return err_oom(e);
			data = bigger;
			cap *= 2;
		}
		n = read(fd, data + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read");
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return err_set(e, ERR_CONFIG, EFBIG, "is larger than %zu bytes",
				       max);
	}
	data[len] = '\0';
	*ret = take_ptr(&data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int fd_cloexec(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0)
		return -errno;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

static int close_from_to(int first, unsigned int last, struct err *e)
{
	if ((unsigned int)first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return 0;
	return err_sys(e, "cannot close descriptors");
}

int fd_close_all_but(int first, const int *keep, size_t n, struct err *e)
{
	for (;;) {
		int next = -1, r;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= first && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			return close_from_to(first, ~0U, e);
		if (next > first) {
			r = close_from_to(first, (unsigned int)next - 1, e);
			if (r < 0)
				return r;
		}
		first = next + 1;
	}
}

static bool is_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

int fd_keep_inherited(unsigned int n, struct err *e)
{
	_closedir_ DIR *dir = NULL;
	struct dirent *d;

	for (unsigned int i = 0; i < n; i++)
		if (!is_inherited(3 + (int)i))
			return err_set(e, ERR_USAGE, EBADF,
				       "descriptor %u is to be passed on, but is not open",
				       3 + i);
	dir = opendir("/proc/self/fd");
	if (!dir)
		return err_sys(e, "cannot read /proc/self/fd");
	while ((d = readdir(dir))) {
		int fd = atoi(d->d_name);

		if (fd >= 3 && (unsigned int)fd - 3 >= n && is_inherited(fd))
			close(fd);
	}
	return 0;
}
