/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An audit log as its writers and `purple audit verify` see it: appending, rotation, several writers
 * at once, writers that are killed, and everything that somebody may do to the files.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/log_file.h"
#include "audit/log_verify.h"
#include "base/fd.h"
#include "base/fs.h"

#define NAME "p.jsonl"

static char folder[64], path[128];
static struct recorder_self self = { .container = "box" };

static int setup(void **state)
{
	strcpy(folder, "/tmp/purple-log-file.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/" NAME, folder);
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	return fs_remove_tree(AT_FDCWD, folder, &e);
}

static struct log_file make_log(uint64_t max_size, uint32_t keep)
{
	struct log_file f = LOG_FILE_EMPTY;

	f.path = path;
	f.max_size = max_size;
	f.keep = keep;
	f.self = &self;
	return f;
}

static void open_log(struct log_file *f, uint64_t max_size, uint32_t keep)
{
	struct err e = {};
	int dirfd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	*f = make_log(max_size, keep);
	if (log_file_open(f, dirfd, NAME, &e) < 0)
		fail_msg("%s", e.msg);
}

static void append(struct log_file *f, const char *container, unsigned int n)
{
	char text[64][160];
	struct iovec lines[64];
	struct err e = {};
	size_t written;

	assert_true(n <= 64);
	for (unsigned int i = 0; i < n; i++) {
		int len = snprintf(text[i], sizeof(text[i]),
				   "{\"@timestamp\":\"2026-01-01T00:00:00.%06uZ\",\"container\":"
				   "{\"id\":\"%s\"}}",
				   i, container);

		lines[i] = (struct iovec){ text[i], (size_t)len };
	}
	if (log_file_append(f, lines, n, &written, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(written, n);
}

/* --- verifying --- */

struct problems {
	char file[8][128], text[8][512];
	uint64_t line[8];
};

static void keep_problem(void *arg, const char *file, uint64_t line, const char *text)
{
	static size_t at;
	struct problems *p = arg;

	/* Counted by log_verify(), too. */
	at = p->text[0][0] ? at + 1 : 0;
	if (at >= 8)
		return;
	snprintf(p->file[at], sizeof(p->file[at]), "%s", file);
	snprintf(p->text[at], sizeof(p->text[at]), "%s", text);
	p->line[at] = line;
}

static struct log_verify verify(struct problems *p)
{
	struct log_verify v = { .tell = keep_problem, .arg = p };
	struct err e = {};

	*p = (struct problems){};
	if (log_verify(path, &v, &e) < 0)
		fail_msg("%s", e.msg);
	return v;
}

static struct log_verify assert_sound(uint64_t lines)
{
	struct problems p;
	struct log_verify v = verify(&p);

	if (v.problems)
		fail_msg("%s:%ju: %s", p.file[0], (uintmax_t)p.line[0], p.text[0]);
	if (lines)
		assert_int_equal(v.lines, lines);
	return v;
}

static void assert_problem(size_t at, uint64_t line, const char *text)
{
	struct problems p;
	struct log_verify v = verify(&p);

	assert_true(v.problems > at);
	if (p.line[at] != line || !strstr(p.text[at], text))
		fail_msg("line %ju: %s", (uintmax_t)p.line[at], p.text[at]);
}

/* --- what somebody may do --- */

static char *content(size_t *ret_len)
{
	struct err e;
	char *s;

	assert_return_code(fs_read(AT_FDCWD, path, 1 << 28, &s, ret_len, &e), 0);
	return s;
}

static void replace(const char *s, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_return_code(fd_write_all(fd, s, len), 0);
	close(fd);
}

/* Where a line begins, from 1. */
static char *line_at(char *s, unsigned int number)
{
	while (--number)
		s = strchr(s, '\n') + 1;
	return s;
}

/* Lines in another order: their numbers, 0 ends. */
static void reorder(const unsigned int *order)
{
	size_t len;
	_free_ char *s = content(&len);
	_buf_free_ struct buf out = {};

	for (; *order; order++) {
		char *line = line_at(s, *order);

		buf_add(&out, line, (size_t)(strchr(line, '\n') - line) + 1);
	}
	replace(out.s, out.len);
}

static void fill(unsigned int n)
{
	struct log_file f;

	open_log(&f, 0, 3);
	append(&f, "box", n);
	log_file_close(&f);
}

static void test_sound(void **state)
{
	struct log_verify v;

	assert_int_equal(assert_sound(0).files, 0);
	fill(10);
	fill(5);
	v = assert_sound(15);
	assert_int_equal(v.first, 1);
	assert_int_equal(v.unrecorded, 0);
}

static void test_changed(void **state)
{
	size_t len;
	_free_ char *s = NULL;

	fill(10);
	s = content(&len);
	line_at(s, 4)[20] ^= 1;
	replace(s, len);
	assert_problem(0, 4, "this line was changed");
	line_at(s, 4)[20] ^= 1;
	line_at(s, 10)[20] ^= 1;
	replace(s, len);
	assert_problem(0, 10, "this line was changed");
	/* So that it is none any more. */
	line_at(s, 10)[20] ^= 1;
	strchr(line_at(s, 5), '\n')[-1] = ']';
	replace(s, len);
	assert_problem(0, 5, "was added or changed");
}

static void test_removed(void **state)
{
	fill(6);
	reorder((const unsigned int[]){ 1, 2, 5, 6, 0 });
	assert_problem(0, 3, "lines number 3 to 4 are missing");
}

static void test_removed_first(void **state)
{
	fill(6);
	reorder((const unsigned int[]){ 3, 4, 5, 6, 0 });
	/* Not as old files that are not kept: no rotation tells of them. */
	assert_problem(0, 1, "lines number 1 to 2 are missing before this line");
}

static void test_removed_last(void **state)
{
	fill(6);
	reorder((const unsigned int[]){ 1, 2, 3, 4, 5, 0 });
	assert_problem(0, 6, "lines number 6 to 6 are missing at the end");
	/* Whoever writes next does not hide it. */
	fill(1);
	assert_problem(0, 6, "lines before it had been removed");
	assert_problem(1, 6, "number 6 is missing");
}

static void test_removed_file(void **state)
{
	fill(6);
	assert_return_code(unlink(path), 0);
	assert_problem(0, 1, "missing at the end");
	fill(1);
	assert_problem(0, 1, "had been removed");
}

static void test_removed_head(void **state)
{
	char head[160];

	fill(6);
	snprintf(head, sizeof(head), "%s.head", path);
	assert_return_code(unlink(head), 0);
	assert_problem(0, 0, "there is no head");
	fill(2);
	assert_problem(0, 7, "had no head");
	assert_int_equal(verify(&(struct problems){}).lines, 9);
}

static void test_swapped(void **state)
{
	fill(6);
	reorder((const unsigned int[]){ 1, 2, 4, 3, 5, 6, 0 });
	assert_problem(0, 3, "number 3 is missing");
	assert_problem(1, 4, "number 3 comes behind number 4");
}

static void test_added(void **state)
{
	size_t len;
	_free_ char *s = NULL;
	_buf_free_ struct buf out = {};

	fill(6);
	reorder((const unsigned int[]){ 1, 2, 3, 4, 4, 5, 6, 0 });
	assert_problem(0, 5, "number 4 comes behind number 4");
	reorder((const unsigned int[]){ 1, 2, 3, 4, 6, 7, 0 });
	assert_sound(6);
	s = content(&len);
	buf_add(&out, s, len);
	buf_adds(&out, "{\"a\":1}\n");
	replace(out.s, out.len);
	assert_problem(0, 7, "was added or changed");
	/* Whoever writes next has not written that one. */
	fill(1);
	assert_problem(0, 7, "was added or changed");
}

/* The head names the last line: one more that hangs together may be a killed writer's, and is told. */
static void test_unrecorded(void **state)
{
	char head[160];
	_free_ char *old = NULL;
	size_t len;
	struct err e;
	int fd;

	fill(6);
	snprintf(head, sizeof(head), "%s.head", path);
	assert_return_code(fs_read(AT_FDCWD, head, 4096, &old, &len, &e), 0);
	fill(2);
	fd = open(head, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd_write_all(fd, old, len), 0);
	close(fd);
	assert_int_equal(assert_sound(8).unrecorded, 2);
	fill(1);
	/* And a line that tells of it. */
	assert_int_equal(assert_sound(10).unrecorded, 0);
}

static void test_torn(void **state)
{
	size_t len;
	_free_ char *s = NULL, *after = NULL;

	fill(6);
	s = content(&len);
	/* A writer that was killed in the middle of two lines, the head not written yet. */
	for (size_t cut = 1; cut < 200; cut += 7) {
		_buf_free_ struct buf out = {};
		struct chain_link last = assert_sound(0).last;
		_buf_free_ struct buf more = {};
		struct log_verify v;
		size_t size;
		_free_ char *now = content(&size);

		chain_add(&more, &last, "box", "{\"a\":1}", 7);
		chain_add(&more, &last, "box", "{\"b\":2}", 7);
		buf_add(&out, now, size);
		buf_add(&out, more.s, cut < more.len ? cut : more.len);
		replace(out.s, out.len);
		v = assert_sound(0);
		fill(1);
		v = assert_sound(0);
		assert_int_equal(v.unrecorded, 0);
	}
	after = content(&len);
	assert_non_null(strstr(after, "\"type\":\"log_repaired\""));
	assert_non_null(strstr(after, "\"torn\":{\"bytes\":1,"));
}

/* A line that lacks its newline alone is whole. */
static void test_torn_at_newline(void **state)
{
	size_t len;
	_free_ char *s = NULL;
	struct log_verify v;
	char head[160];
	_free_ char *old = NULL;
	size_t head_len;
	struct err e;
	int fd;

	fill(2);
	snprintf(head, sizeof(head), "%s.head", path);
	assert_return_code(fs_read(AT_FDCWD, head, 4096, &old, &head_len, &e), 0);
	fill(1);
	fd = open(head, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd_write_all(fd, old, head_len), 0);
	close(fd);
	s = content(&len);
	replace(s, len - 1);
	v = assert_sound(3);
	assert_int_equal(v.unrecorded, 1);
	fill(1);
	v = assert_sound(5);
	assert_int_equal(v.torn, 0);
}

static void test_other_container(void **state)
{
	struct log_file f;

	open_log(&f, 0, 3);
	append(&f, "box", 2);
	append(&f, "other", 1);
	log_file_close(&f);
	assert_problem(0, 3, "speaks of another container");
}

/* --- rotation --- */

static bool is_there(unsigned int number)
{
	char name[160];

	snprintf(name, sizeof(name), "%s.%u", path, number);
	return access(name, F_OK) == 0;
}

static void test_rotation(void **state)
{
	struct log_file f;
	struct log_verify v;
	struct stat st;

	open_log(&f, 4000, 3);
	for (int i = 0; i < 10; i++)
		append(&f, "box", 20);
	log_file_close(&f);
	assert_true(is_there(1) && is_there(3));
	assert_false(is_there(4));
	assert_return_code(stat(path, &st), 0);
	assert_true(st.st_size <= 4000);
	v = assert_sound(0);
	assert_int_equal(v.files, 4);
	assert_true(v.first > 100);
	/* With those that tell of files that were removed. */
	assert_true(v.last.number > 200);
	/* Fewer are kept from now on, and each that goes is told. */
	open_log(&f, 4000, 0);
	append(&f, "box", 20);
	log_file_close(&f);
	assert_false(is_there(1));
	assert_sound(0);
}

/* LOG.from has the name LOG.to; 0: LOG. */
static void move(unsigned int from, unsigned int to)
{
	char a[160], b[160];

	snprintf(a, sizeof(a), from ? "%s.%u" : "%s", path, from);
	snprintf(b, sizeof(b), to ? "%s.%u" : "%s", path, to);
	assert_return_code(rename(a, b), 0);
}

static void make_rotated(uint32_t keep, int batches)
{
	struct log_file f;

	open_log(&f, 4000, keep);
	for (int i = 0; i < batches; i++)
		append(&f, "box", 20);
	log_file_close(&f);
}

static void rotate_once(uint32_t keep)
{
	struct log_file f;
	struct stat before, now;

	assert_return_code(stat(path, &before), 0);
	open_log(&f, 4000, keep);
	do {
		append(&f, "box", 1);
		assert_return_code(stat(path, &now), 0);
	} while (now.st_ino == before.st_ino);
	log_file_close(&f);
}

/* What rotation removed is told from what somebody else did, also when that is rotated on. */
static void test_oldest_removed(void **state)
{
	char name[160];

	make_rotated(3, 10);
	snprintf(name, sizeof(name), "%s.3", path);
	assert_return_code(unlink(name), 0);
	assert_problem(0, 1, "no rotation tells of having removed");
	/* No file is too many in the next one; the one after that tells of the file before it. */
	rotate_once(3);
	assert_problem(0, 1, "no rotation tells of having removed");
	rotate_once(3);
	assert_problem(0, 1, "had been removed");
}

static void test_all_kept(void **state)
{
	make_rotated(UINT32_MAX, 20);
	assert_true(is_there(12));
	assert_sound(400);
	/* Another policy that keeps fewer in the same log: each line of it is told. */
	rotate_once(2);
	assert_false(is_there(3));
	assert_true(assert_sound(0).first > 300);
}

/* Killed between the line and the removal, which the next rotation makes up for. */
static void test_removal_killed(void **state)
{
	char saved[160], name[160];

	make_rotated(2, 6);
	snprintf(name, sizeof(name), "%s.2", path);
	snprintf(saved, sizeof(saved), "%s/saved", folder);
	assert_return_code(link(name, saved), 0);
	rotate_once(2);
	snprintf(name, sizeof(name), "%s.3", path);
	assert_return_code(rename(saved, name), 0);
	assert_sound(0);
	rotate_once(2);
	assert_false(is_there(3));
	assert_sound(0);
}

static void test_files_swapped(void **state)
{
	make_rotated(5, 4);
	move(1, 100);
	move(2, 1);
	move(100, 2);
	assert_problem(0, 1, "are missing before this line");
	/* As it was. */
	move(1, 100);
	move(2, 1);
	move(100, 2);
	assert_sound(80);
	move(0, 100);
	move(1, 0);
	move(100, 1);
	assert_problem(0, 1, "are missing before this line");
}

static void test_rotated_changed(void **state)
{
	char name[160];
	int fd;

	make_rotated(5, 4);
	snprintf(name, sizeof(name), "%s.2", path);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "3", 1, 17), 1);
	close(fd);
	assert_problem(0, 1, "this line was changed");
}

/* The one thing that a log cannot show: all of it, head and all, as it was before. */
static void test_put_back(void **state)
{
	size_t len, head_len;
	_free_ char *s = NULL, *old = NULL;
	char head[160];
	struct err e;
	int fd;

	fill(6);
	s = content(&len);
	snprintf(head, sizeof(head), "%s.head", path);
	assert_return_code(fs_read(AT_FDCWD, head, 4096, &old, &head_len, &e), 0);
	fill(3);
	replace(s, len);
	/* Without the head it is found. */
	assert_problem(0, 7, "lines number 7 to 9 are missing at the end");
	fd = open(head, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd_write_all(fd, old, head_len), 0);
	close(fd);
	assert_sound(6);
}

/* A log's first line of a container names the logs that it goes to. */
static void test_other_log(void **state)
{
	static const char start[] =
		"{\"type\":\"start\",\"logs\":[{\"path\":\"/var/q.jsonl\"},{\"path\":\"/var/%s\"}]}";
	struct log_file f;
	char text[160];
	struct iovec line = { text, 0 };
	struct err e;
	size_t written;

	open_log(&f, 0, 3);
	line.iov_len = (size_t)snprintf(text, sizeof(text), start, NAME);
	assert_return_code(log_file_append(&f, &line, 1, &written, &e), 0);
	assert_sound(1);
	line.iov_len = (size_t)snprintf(text, sizeof(text), start, "other.jsonl");
	assert_return_code(log_file_append(&f, &line, 1, &written, &e), 0);
	log_file_close(&f);
	assert_problem(0, 2, "it is of the log '/var/q.jsonl'");
}

/* A rotated file in the middle goes. */
static void test_rotation_gap(void **state)
{
	struct log_file f;
	char name[160];

	open_log(&f, 4000, 5);
	for (int i = 0; i < 4; i++)
		append(&f, "box", 20);
	log_file_close(&f);
	snprintf(name, sizeof(name), "%s.2", path);
	assert_return_code(unlink(name), 0);
	assert_problem(0, 1, "are missing before this line");
}

/* In every state that a writer who is killed while it rotates leaves behind. */
static void test_rotation_killed(void **state)
{
	struct log_file f;
	char one[160], two[160];

	snprintf(one, sizeof(one), "%s.1", path);
	snprintf(two, sizeof(two), "%s.2", path);
	open_log(&f, 4000, 30);
	append(&f, "box", 30);
	log_file_close(&f);
	assert_true(is_there(1));
	/* LOG.1 has its new name. */
	assert_return_code(rename(one, two), 0);
	assert_sound(30);
	/* LOG, too. */
	assert_return_code(rename(path, one), 0);
	assert_sound(30);
	open_log(&f, 4000, 30);
	append(&f, "box", 1);
	assert_int_equal(assert_sound(31).files, 3);
	append(&f, "box", 60);
	log_file_close(&f);
	assert_sound(91);
}

static void write_many(uint64_t max_size, unsigned int batches)
{
	struct log_file f;

	open_log(&f, max_size, 200);
	for (unsigned int i = 0; i < batches; i++)
		append(&f, "box", 1 + i % 40);
	_exit(EXIT_SUCCESS);
}

static void test_several_writers(void **state)
{
	pid_t pids[4];
	uint64_t lines = 0;
	int status;

	for (unsigned int i = 0; i < 200; i++)
		lines += 1 + i % 40;
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			write_many(100000, 200);
	}
	for (int i = 0; i < 4; i++) {
		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	assert_true(assert_sound(4 * lines).files > 10);
}

/* Each tells of what it has written, and nothing of that is missing later. */
static void write_and_tell(int fd)
{
	struct log_file f;

	open_log(&f, 50000, 10000);
	for (uint32_t total = 0;;) {
		append(&f, "box", 10);
		total += 10;
		if (write(fd, &total, sizeof(total)) != sizeof(total))
			_exit(EXIT_FAILURE);
	}
}

static void test_kills(void **state)
{
	uint64_t told = 0;
	unsigned int seed = 1;
	struct log_verify v;

	for (int round = 0; round < 40; round++) {
		int fds[2][2];
		pid_t pids[2];

		for (int i = 0; i < 2; i++) {
			assert_return_code(pipe2(fds[i], O_CLOEXEC), 0);
			pids[i] = fork();
			if (pids[i] == 0)
				write_and_tell(fds[i][1]);
			close(fds[i][1]);
		}
		usleep((useconds_t)(rand_r(&seed) % 8000));
		for (int i = 0; i < 2; i++)
			kill(pids[i], SIGKILL);
		for (int i = 0; i < 2; i++) {
			uint32_t last = 0;

			waitpid(pids[i], NULL, 0);
			while (read(fds[i][0], &last, sizeof(last)) == sizeof(last))
				;
			told += last;
			close(fds[i][0]);
		}
		v = assert_sound(0);
		assert_true(v.lines >= told);
	}
	assert_true(told > 0);
	fill(1);
	v = assert_sound(0);
	assert_int_equal(v.unrecorded, 0);
	assert_int_equal(v.first, 1);
}

/* --- what it refuses --- */

static void test_refused(void **state)
{
	struct log_file f = make_log(0, 1);
	int dirfd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = {};

	assert_return_code(symlinkat("/tmp/elsewhere", dirfd, NAME), 0);
	assert_int_equal(log_file_open(&f, dup(dirfd), NAME, &e), -ELOOP);
	log_file_close(&f);
	assert_return_code(unlinkat(dirfd, NAME, 0), 0);
	assert_return_code(mkfifoat(dirfd, NAME, 0600), 0);
	f = make_log(0, 1);
	assert_int_equal(log_file_open(&f, dup(dirfd), NAME, &e), -EINVAL);
	log_file_close(&f);
	assert_return_code(unlinkat(dirfd, NAME, 0), 0);
	close(openat(dirfd, NAME, O_CREAT | O_CLOEXEC, 0600));
	assert_return_code(fchmodat(dirfd, NAME, 0666, 0), 0);
	f = make_log(0, 1);
	assert_int_equal(log_file_open(&f, dup(dirfd), NAME, &e), -EPERM);
	log_file_close(&f);
	close(dirfd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sound),
		TEST(test_changed),
		TEST(test_removed),
		TEST(test_removed_first),
		TEST(test_removed_last),
		TEST(test_removed_file),
		TEST(test_removed_head),
		TEST(test_swapped),
		TEST(test_added),
		TEST(test_unrecorded),
		TEST(test_torn),
		TEST(test_torn_at_newline),
		TEST(test_other_container),
		TEST(test_rotation),
		TEST(test_oldest_removed),
		TEST(test_all_kept),
		TEST(test_removal_killed),
		TEST(test_files_swapped),
		TEST(test_rotated_changed),
		TEST(test_put_back),
		TEST(test_other_log),
		TEST(test_rotation_gap),
		TEST(test_rotation_killed),
		TEST(test_several_writers),
		TEST(test_kills),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
