/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories of the host: small reads and writes, atomic replacement, recursive work. */
#ifndef PURPLE_BASE_FS_H
#define PURPLE_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Reads a whole file (at most `max` bytes; more is an error) as a NUL-terminated string. */
int fs_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	    struct err *e);

/*
 * As above, for a document that somebody names: what is no regular file is an error, and no wait
 * (a FIFO) or endless read (a device). A pipe without a name, as /dev/stdin may be, will do.
 */
int fs_read_document(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
		     struct err *e);

/* Writes to an existing file (a cgroup or proc file): one write(2) of all of `data`. No err text:
 * returns -errno only, since callers decide which failures matter. */
int fs_write_existing(int dirfd, const char *path, const char *data);

/* Writes a file anew, mode as given: temporary name, fsync is not done, rename. Nothing is left
 * behind on failure. A device or FIFO of this name is not replaced: that is an error. */
int fs_write_atomic(int dirfd, const char *path, const void *data, size_t len,
		    mode_t mode, struct err *e);
/* As fs_write_atomic(), for a file of a folder in which nobody else writes: quicker, and not for a
 * path that may be a directory. */
int fs_write_own(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
		 struct err *e);

/* mkdir -p; existing directories are fine. */
int fs_mkdir_p(const char *path, mode_t mode, struct err *e);

/* As above, and an error where a component is a symbolic link, or is made one meanwhile. */
int fs_mkdir_p_plain(const char *path, mode_t mode, struct err *e);

/* Removes a tree without following symbolic links or crossing mount points. Missing is fine. */
int fs_remove_tree(int dirfd, const char *path, struct err *e);

/* readlink() into an owned string. */
int fs_readlink(int dirfd, const char *path, char **ret);

/* An absolute path as given from the current directory, with `.`, `..` and // resolved by the
 * kernel (symbolic links too). The path must exist. */
int fs_realpath(const char *path, char **ret, struct err *e);

/* a + "/" + b with exactly one slash between; NULL when out of memory. */
char *fs_join(const char *a, const char *b);

/* `path`, or dir/path when it is relative; NULL when out of memory. */
char *fs_from(const char *dir, const char *path);

/* Text cleaning of an absolute path: no `.`, `..`, `//` or trailing slash. Does not touch the
 * file system. `..` at the root stays there. NULL when out of memory. */
char *fs_clean_path(const char *path);

#endif
