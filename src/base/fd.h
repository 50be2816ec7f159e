/* SPDX-License-Identifier: Apache-2.0 */
/* Cleanup attributes for descriptors, memory and streams, and small helpers on descriptors. */
#ifndef PURPLE_BASE_FD_H
#define PURPLE_BASE_FD_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/err.h"

static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void ptr_free(void *p)
{
	free(*(void **)p);
}

static inline void stream_close(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void dir_close(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _close_ __attribute__((cleanup(fd_close)))
#define _free_ __attribute__((cleanup(ptr_free)))
#define _fclose_ __attribute__((cleanup(stream_close)))
#define _closedir_ __attribute__((cleanup(dir_close)))

/* Takes the descriptor out of its owner's hands. */
static inline int take_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#define take_ptr(p)                         \
	({                                  \
		__typeof__(*(p)) _t = *(p); \
		*(p) = NULL;                \
		_t;                         \
	})

/* Writes all of buf, going on after a short write or EINTR. */
int fd_write_all(int fd, const void *buf, size_t len);

/*
 * Reads to the end of file, at most `max` bytes (more is -EFBIG), into a NUL-terminated buffer
 * of the caller's. `ret_len` may be NULL.
 */
int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len, struct err *e);

/* Sets or clears FD_CLOEXEC. */
int fd_cloexec(int fd, bool on);

/* Closes every descriptor from `first` on but the `n` of `keep`; a negative one stands for none. */
int fd_close_all_but(int first, const int *keep, size_t n, struct err *e);

/*
 * Of the descriptors that the caller of this program left open, keeps 0 to 2+n and closes the
 * others. Ours are told from them by FD_CLOEXEC, and stay. An error when one of 3 to 2+n is not
 * the caller's: it could be any of ours by now, and must not be passed on.
 */
int fd_keep_inherited(unsigned int n, struct err *e);

#endif
