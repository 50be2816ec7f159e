/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See log_file.h. Runs in purple-monitor's recorder, as root without capabilities.
 *
 * Theory of operation. Who writes holds an OFD lock on the whole of LOG.head, in which number, SHA-256
 * and the file's size after the last line stand. Lines are appended with one write(2), and then the
 * head is written anew, in place: it always has the same size, and so needs no space on a disk that
 * is full. A writer may be killed between any two system calls:
 *
 * - Lines without the head: the file is longer than the head says. The next writer takes those that
 *   hang together with the head's, and tells how many they were.
 * - A part of a line: the next writer ends it, and tells its length and SHA-256.
 * - In the middle of a rotation: files are renamed from the oldest on, so a gap in the numbers may be
 *   left, which the next rotation fills; or LOG is missing or empty, and the head's line is the last
 *   one of LOG.1; or a file that is too many is still there, though a line says that it is not.
 *
 * What else is found was nobody's kill: lines were removed, or the machine lost its power. That is
 * told, too ("cause"), and the chain goes on from the head, so that `purple audit verify` finds it.
 * Files are known by their inode: another writer may have rotated them meanwhile.
 */
#include "audit/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "audit/log_scan.h"
#include "base/fd.h"

#define CHUNK (512u << 10) /* of lines, in one write */
#define LOCK_TRIES 16
#define OLD_MAX 10000 /* rotated files that are looked for */

/* --- the lock --- */

static void on_alarm(int signal)
{
}

static int set_lock(int fd, int command, int type)
{
	struct flock lock = { .l_type = (short)type, .l_whence = SEEK_SET };

	return fcntl(fd, command, &lock) < 0 ? -errno : 0;
}

int log_file_lock(int fd, int type)
{
	/* Again each second, should one come before it waits. */
	const struct itimerval on = { .it_value.tv_sec = LOG_LOCK_SECONDS,
				      .it_interval.tv_sec = 1 };
	const struct itimerval off = {};
	const struct sigaction action = { .sa_handler = on_alarm };
	struct sigaction old;
	int r = set_lock(fd, F_OFD_SETLK, type);

	if (r != -EAGAIN && r != -EACCES)
		return r;
	if (sigaction(SIGALRM, &action, &old) < 0 || setitimer(ITIMER_REAL, &on, NULL) < 0)
		return -errno;
	r = set_lock(fd, F_OFD_SETLKW, type);
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old, NULL);
	return r == -EINTR ? -ETIMEDOUT : r;
}

static void log_file_unlock(int fd)
{
	(void)set_lock(fd, F_OFD_SETLK, F_UNLCK);
}

/* --- opening --- */

void log_file_name(const char *name, uint32_t number, char ret[LOG_NAME_MAX + 16])
{
	if (number)
		snprintf(ret, LOG_NAME_MAX + 16, "%s.%u", name, number);
	else
		snprintf(ret, LOG_NAME_MAX + 16, "%s", name);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A file of ours alone. */
static int open_own(struct log_file *f, const char *suffix, int flags,
		    struct stat *ret_st, int *ret, struct err *e)
{
	char name[LOG_NAME_MAX + 16];
	_close_ int fd = -1;

	snprintf(name, sizeof(name), "%s%s", f->name, suffix);
	fd = openat(f->dirfd, name,
		    flags | O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_sys(e, "cannot open '%s%s'", f->path, suffix);
	if (fstat(fd, ret_st) < 0)
		return err_sys(e, "cannot look at '%s%s'", f->path, suffix);
	if (!S_ISREG(ret_st->st_mode))
		return err_set(e, ERR_STATE, EINVAL, "'%s%s' is not a file", f->path,
			       suffix);
	if (ret_st->st_uid != geteuid() || (ret_st->st_mode & 022))
		return err_set(e, ERR_STATE, EPERM,
			       "'%s%s' belongs to user %u with mode %04o: others could change it",
			       f->path, suffix, ret_st->st_uid, ret_st->st_mode & 07777);
	fd_close(ret);
	*ret = take_fd(&fd);
	return 0;
}

/* Whether it is still the one of this name. */
static bool is_current(const struct log_file *f, const char *suffix, const struct stat *st)
{
	char name[LOG_NAME_MAX + 16];
	struct stat now;

	snprintf(name, sizeof(name), "%s%s", f->name, suffix);
	return fstatat(f->dirfd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && is_same(&now, st);
}

/* The head that has the name, locked. */
static int lock(struct log_file *f, struct err *e)
{
	int r = 0;

	for (int i = 0; r == 0 && i < LOCK_TRIES; i++) {
		if (f->head_fd < 0)
			r = open_own(f, ".head", 0, &f->head_st, &f->head_fd, e);
		if (r < 0)
			return r;
		r = log_file_lock(f->head_fd, F_WRLCK);
		if (r < 0)
			return err_errno(e, r, "cannot lock '%s.head'", f->path);
		if (is_current(f, ".head", &f->head_st))
			return 0;
		/* Somebody has removed it. */
		fd_close(&f->head_fd);
		f->checked = false;
	}
	return err_set(e, ERR_STATE, EAGAIN, "somebody keeps removing '%s.head'", f->path);
}

static int write_head(struct log_file *f, struct err *e)
{
	char text[CHAIN_HEAD_SIZE];
	ssize_t n;

	chain_head_format(&f->head, text);
	do
		n = pwrite(f->head_fd, text, sizeof(text), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "cannot write '%s.head'", f->path);
	return n == sizeof(text) ?
		       0 :
		       err_set(e, ERR_STATE, ENOSPC, "cannot write '%s.head'", f->path);
}

/* --- putting right --- */

/* The last line of LOG.1, if it is one. */
static bool last_of_rotated(struct log_file *f, struct chain_link *ret)
{
	char name[LOG_NAME_MAX + 16];
	struct stat st;
	_close_ int fd = -1;

	log_file_name(f->name, 1, name);
	fd = openat(f->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       log_scan_last(fd, (uint64_t)st.st_size, ret) == 0 && ret->number;
}

static bool is_link(const struct chain_link *a, const struct chain_link *b)
{
	return a->number == b->number && memcmp(a->hash, b->hash, CHAIN_HASH_SIZE) == 0;
}

/* There is no head, or none that says anything: it is made of what is there. */
static int make_head(struct log_file *f, uint64_t size, struct err *e)
{
	struct log_scan x = {};
	int r;

	f->head = (struct chain_head){};
	if (size == 0) {
		if (last_of_rotated(f, &f->head.last))
			f->fix.cause = "head";
		return 0;
	}
	f->fix.cause = "head";
	r = log_scan_all(f->fd, size, &x);
	if (r < 0)
		return err_errno(e, r, "cannot read '%s'", f->path);
	f->head.last = x.last;
	f->broken = x.broken;
	return 0;
}

/* The file ends before the head's line, or that is another one. */
static void find_cut(struct log_file *f, uint64_t size)
{
	struct chain_link last;

	if (size == 0 && last_of_rotated(f, &last) && is_link(&last, &f->head.last))
		return;
	f->fix.cause = "cut";
}

/* What is behind the head's line. */
static int take_rest(struct log_file *f, uint64_t size, struct err *e)
{
	struct log_scan x = { .last = f->head.last };
	int r = log_scan_rest(f->fd, f->head.size, size, &x);

	if (r < 0)
		return err_errno(e, r, "cannot read '%s'", f->path);
	f->fix.lines += x.lines;
	f->head.last = x.last;
	f->broken = x.broken;
	if (x.rest) {
		f->fix.torn = x.rest;
		memcpy(f->fix.torn_hash, x.rest_hash, CHAIN_HASH_SIZE);
	}
	return 0;
}

static int put_right(struct log_file *f, uint64_t size, bool has_head, struct err *e)
{
	struct chain_link last = {};
	int r = 0;

	f->fix = (struct recorder_repair){};
	f->broken = false;
	if (!has_head)
		r = make_head(f, size, e);
	else if (size < f->head.size)
		find_cut(f, size);
	else if (f->head.size && (log_scan_last(f->fd, f->head.size, &last) < 0 ||
				  !is_link(&last, &f->head.last)))
		f->fix.cause = "changed";
	else
		r = take_rest(f, size, e);
	if (r < 0)
		return r;
	if (f->fix.cause && size && !f->broken)
		f->broken = !log_scan_ends(f->fd, size);
	f->head.size = size;
	f->checked = true;
	return 0;
}

/* Locked: its files are those that have the names, and their ends are known. */
static int look(struct log_file *f, struct err *e)
{
	char text[CHAIN_HEAD_SIZE];
	bool has_head;
	ssize_t n;
	int r;

	if (f->fd < 0 || !is_current(f, "", &f->st)) {
		f->checked = false;
		r = open_own(f, "", O_APPEND, &f->st, &f->fd, e);
		if (r < 0)
			return r;
	}
	if (fstat(f->fd, &f->st) < 0)
		return err_sys(e, "cannot look at '%s'", f->path);
	n = pread(f->head_fd, text, sizeof(text), 0);
	if (n < 0)
		return err_sys(e, "cannot read '%s.head'", f->path);
	has_head = chain_head_parse(text, (size_t)n, &f->head);
	if (f->checked && has_head && f->head.size == (uint64_t)f->st.st_size)
		return 0;
	r = put_right(f, (uint64_t)f->st.st_size, has_head, e);
	/* Also to have the space that it takes. What was put right is told first. */
	return r < 0 || recorder_repair_is_needed(&f->fix) ? r : write_head(f, e);
}

/* --- writing --- */

struct batch {
	struct buf out;
	struct chain_link last;
	size_t own;   /* lines before the caller's */
	size_t lines; /* of the caller's; in the end, those that are written */
	size_t all;   /* of the caller's */
};

/* What goes before the first of the caller's lines. */
static void begin_batch(struct log_file *f, struct batch *b)
{
	_buf_free_ struct buf line = {};

	b->out.len = 0;
	b->last = f->head.last;
	b->own = b->lines = 0;
	if (f->broken) {
		buf_adds(&b->out, "\n");
		b->own++;
	}
	if (!recorder_repair_is_needed(&f->fix))
		return;
	recorder_event_repaired(f->self, &f->fix, &line);
	if (line.failed)
		b->out.failed = true;
	else
		chain_add(&b->out, &b->last, f->self->container, line.s, line.len - 1);
	b->own++;
}

static bool is_room(const struct log_file *f, const struct batch *b, size_t len)
{
	return !f->max_size || f->head.size + b->out.len == 0 ||
	       f->head.size + b->out.len + len + CHAIN_HEX_SIZE + 128 <= f->max_size;
}

/* Of a batch, so many bytes are there: what is not a whole line is taken back, and what is to be told
 * first is told as a whole. Whether anything stays. */
static bool keep_whole(struct log_file *f, struct batch *b, size_t written)
{
	size_t end = 0, begin = 0, lines = 0;
	const char *s;

	while ((s = memchr(b->out.s + end, '\n', written - end))) {
		begin = end;
		end = (size_t)(s - b->out.s) + 1;
		lines++;
	}
	if (lines < b->own)
		end = lines = 0;
	/* Whoever comes next finds it if that fails. */
	if (end < written && ftruncate(f->fd, (off_t)(f->head.size + end)) < 0)
		f->checked = false;
	b->lines = lines > b->own ? lines - b->own : 0;
	if (lines == 0)
		return false;
	chain_hash(b->out.s + begin, end - begin - 1, f->head.last.hash);
	f->head.last.number = b->last.number - (b->own + b->all - lines);
	f->head.size += end;
	return true;
}

static int write_batch(struct log_file *f, struct batch *b, size_t *written, struct err *e)
{
	bool any = true;
	size_t done = 0;
	ssize_t n = 0;
	int r = 0, r2;

	if (b->out.failed)
		return err_oom(e);
	while (done < b->out.len) {
		n = write(f->fd, b->out.s + done, b->out.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < b->out.len) {
		r = n < 0 ? err_sys(e, "cannot write '%s'", f->path) :
			    err_set(e, ERR_STATE, ENOSPC, "cannot write '%s'", f->path);
		b->all = b->lines;
		any = keep_whole(f, b, done);
	} else {
		f->head.last = b->last;
		f->head.size += done;
	}
	if (!any)
		return r;
	f->broken = false;
	f->fix = (struct recorder_repair){};
	/* They are in the log even when the head cannot be written: that is found. */
	*written += b->lines;
	r2 = write_head(f, r < 0 ? &(struct err){} : e);
	if (r2 < 0)
		f->checked = false;
	return r < 0 ? r : r2;
}

/* --- rotation --- */

static bool exists(const struct log_file *f, uint32_t number)
{
	char name[LOG_NAME_MAX + 16];
	struct stat st;

	log_file_name(f->name, number, name);
	return fstatat(f->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* The first and the last line of a rotated file, as far as they are lines of a log. */
static void look_at_old(const struct log_file *f, struct recorder_removal *x)
{
	_close_ int fd = openat(f->dirfd, x->file,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    log_scan_first(fd, (uint64_t)st.st_size, &x->first) < 0 ||
	    log_scan_last(fd, (uint64_t)st.st_size, &x->last) < 0)
		x->first = 0;
}

static int tell_removal(struct log_file *f, const struct recorder_removal *x, struct err *e)
{
	struct batch b = { .last = f->head.last, .own = 1 };
	_buf_free_ struct buf line = {};
	size_t written = 0;
	int r;

	recorder_event_removed(f->self, x, &line);
	if (line.failed)
		return err_oom(e);
	chain_add(&b.out, &b.last, f->self->container, line.s, line.len - 1);
	r = write_batch(f, &b, &written, e);
	buf_free(&b.out);
	return r;
}

/* Those that are too many, oldest first: there are no gaps between them. Each is told before it
 * goes; where there is no space for that, its own is what there will be. */
static int remove_old(struct log_file *f, struct err *e)
{
	uint32_t end = f->keep;
	int r = 0;

	while (end < OLD_MAX && exists(f, end + 1))
		end++;
	for (uint32_t i = end; r == 0 && i > f->keep; i--) {
		char name[LOG_NAME_MAX + 16];
		struct recorder_removal x = { .file = name };

		log_file_name(f->name, i, name);
		look_at_old(f, &x);
		r = tell_removal(f, &x, e);
		if (r < 0 && r != -ENOSPC && r != -EDQUOT)
			return r;
		if (unlinkat(f->dirfd, name, 0) < 0)
			return err_sys(e, "cannot remove '%s.%u'", f->path, i);
		if (r < 0)
			r = tell_removal(f, &x, e);
	}
	return r;
}

static int rotate(struct log_file *f, struct err *e)
{
	char from[LOG_NAME_MAX + 16], to[LOG_NAME_MAX + 16];
	uint32_t free_one = 1;
	int r;

	while (free_one < OLD_MAX && exists(f, free_one))
		free_one++;
	/* Of another policy's, or of one that keeps all: none is renamed over. */
	if (free_one == OLD_MAX)
		return err_set(e, ERR_STATE, ENOSPC, "there are %d rotated files of '%s'",
			       OLD_MAX - 1, f->path);
	for (uint32_t i = free_one; i > 0; i--) {
		log_file_name(f->name, i - 1, from);
		log_file_name(f->name, i, to);
		if (renameat(f->dirfd, from, f->dirfd, to) < 0)
			return err_sys(e, "cannot rename '%s' (%s to %s)", f->path, from,
				       to);
	}
	f->checked = false;
	r = open_own(f, "", O_APPEND | O_EXCL, &f->st, &f->fd, e);
	if (r < 0)
		return r;
	f->head.size = 0;
	r = write_head(f, e);
	if (r < 0)
		return r;
	f->checked = true;
	return remove_old(f, e);
}

/* --- appending --- */

static int append_locked(struct log_file *f, const struct iovec *lines, size_t n,
			 struct batch *b, size_t *written, struct err *e)
{
	int r = look(f, e);
	bool is_new = false; /* what removed files leave is in it, and one line fits at least */
	size_t i = 0;

	while (r == 0 && (i < n || recorder_repair_is_needed(&f->fix))) {
		begin_batch(f, b);
		if (f->head.size && i < n && !is_new && !is_room(f, b, lines[i].iov_len)) {
			/* A repair is told in the file in which it was. */
			if (b->own)
				r = write_batch(f, b, written, e);
			if (r == 0)
				r = rotate(f, e);
			is_new = true;
			continue;
		}
		for (; i < n && b->out.len < CHUNK; i++) {
			if (b->lines && !is_room(f, b, lines[i].iov_len))
				break;
			chain_add(&b->out, &b->last, f->self->container,
				  lines[i].iov_base, lines[i].iov_len);
			b->lines++;
		}
		is_new = false;
		r = write_batch(f, b, written, e);
	}
	return r;
}

int log_file_append(struct log_file *f, const struct iovec *lines, size_t n,
		    size_t *ret_written, struct err *e)
{
	struct batch b = {};
	size_t written = 0;
	int r = lock(f, e);

	if (r == 0) {
		r = append_locked(f, lines, n, &b, &written, e);
		log_file_unlock(f->head_fd);
	}
	buf_free(&b.out);
	*ret_written = written;
	return r;
}

int log_file_open(struct log_file *f, int dirfd, const char *name, struct err *e)
{
	size_t written;

	f->dirfd = dirfd;
	f->fd = f->head_fd = -1;
	if (strlen(name) > LOG_NAME_MAX)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG,
			       "the name of '%s' is too long", f->path);
	snprintf(f->name, sizeof(f->name), "%s", name);
	return log_file_append(f, NULL, 0, &written, e);
}

void log_file_close(struct log_file *f)
{
	fd_close(&f->head_fd);
	fd_close(&f->fd);
	fd_close(&f->dirfd);
}
