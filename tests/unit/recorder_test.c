/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder of audit logs as its parent sees it: what goes into which log, what is lost, a full
 * disk, deaths, and its jail.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/log_folder.h"
#include "audit/log_verify.h"
#include "audit/recorder.h"
#include "base/fd.h"
#include "base/fs.h"

#define WAIT_MS 60000
#define LINE "{\"@timestamp\":\"2026-01-01T00:00:00.000000Z\",\"n\":%u}"

static char folder[64], first[128], second[128];

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/purple-recorder.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(first, sizeof(first), "%s/first/a.jsonl", folder);
	snprintf(second, sizeof(second), "%s/second/b.jsonl", folder);
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	return fs_remove_tree(AT_FDCWD, folder, &e);
}

/* --- a parent --- */

static struct audit_recorder start(const char *id, const char *const *paths,
				   const uint32_t *levels, size_t n, int others)
{
	struct audit_log_config logs[2] = {};
	const struct audit_recorder_start x = {
		.config = &(struct audit_config){ .container = (char *)id,
						  .logs = { logs, n } },
		.others_fd = others,
		.alerts_fd = -1,
	};
	struct audit_recorder r = AUDIT_RECORDER_EMPTY;
	struct err e = {};

	for (size_t i = 0; i < n; i++)
		logs[i] = (struct audit_log_config){ .path = (char *)paths[i],
						     .levels = levels[i],
						     .keep = 10 };
	if (audit_recorder_start(&x, &r, &e) < 0 || audit_recorder_wait(&r, &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

static struct audit_recorder start_one(const char *id, int others)
{
	const char *const paths[] = { first };
	const uint32_t levels[] = { AUDIT_LEVEL_ALL };

	return start(id, paths, levels, 1, others);
}

static void add(struct buf *out, uint32_t levels, unsigned int n)
{
	char line[128];
	int len = snprintf(line, sizeof(line), LINE, n);

	audit_record_add(out, levels, line, (size_t)len);
}

static void put(const struct audit_recorder *r, const char *s, size_t len)
{
	assert_return_code(fd_write_all(r->lines_fd, s, len), 0);
}

static void put_lines(const struct audit_recorder *r, unsigned int n)
{
	_buf_free_ struct buf out = {};

	for (unsigned int i = 0; i < n; i++)
		add(&out, 1, i);
	put(r, out.s, out.len);
}

/* The next report, when it is of this type. */
static struct audit_recorder_report expect(const struct audit_recorder *r, uint32_t type)
{
	struct audit_recorder_report x;
	struct pollfd p = { .fd = r->report_fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(audit_recorder_read_report(r->report_fd, &x), 1);
	assert_int_equal(x.type, type);
	return x;
}

static uint64_t flush(const struct audit_recorder *r)
{
	assert_return_code(audit_recorder_say(r->report_fd, AUDIT_RECORDER_FLUSH), 0);
	return expect(r, AUDIT_RECORDER_FLUSHED).lost;
}

static void end(struct audit_recorder *r, bool bye)
{
	int status;

	if (bye)
		assert_return_code(audit_recorder_say(r->report_fd, AUDIT_RECORDER_BYE), 0);
	fd_close(&r->lines_fd);
	fd_close(&r->report_fd);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	assert_int_equal(status, 0);
}

/* --- its logs --- */

static void fail_on_problem(void *arg, const char *file, uint64_t line, const char *text)
{
	fail_msg("%s:%ju: %s", file, (uintmax_t)line, text);
}

static uint64_t sound_lines(const char *path)
{
	struct log_verify v = { .tell = fail_on_problem };
	struct err e = {};

	if (log_verify(path, &v, &e) < 0)
		fail_msg("%s", e.msg);
	return v.lines;
}

static bool has(const char *path, const char *text)
{
	_free_ char *s = NULL;
	struct err e;

	assert_return_code(fs_read(AT_FDCWD, path, 1 << 28, &s, NULL, &e), 0);
	return strstr(s, text);
}

/* Of all lines that tell of it. */
static uint64_t told_lost(const char *path)
{
	static const char member[] = "\"log\":";
	_free_ char *s = NULL;
	uint64_t n = 0;
	struct err e;

	assert_return_code(fs_read(AT_FDCWD, path, 1 << 28, &s, NULL, &e), 0);
	for (const char *at = s; (at = strstr(at, member)); at++)
		n += strtoull(at + strlen(member), NULL, 10);
	return n;
}

static void test_levels(void **state)
{
	const char *const paths[] = { first, second };
	const uint32_t levels[] = { AUDIT_EXEC, AUDIT_NETWORK | AUDIT_SECURITY_EVENTS };
	_buf_free_ struct buf out = {};
	struct audit_recorder r;

	need_root();
	r = start("box", paths, levels, 2, -1);
	add(&out, AUDIT_EXEC, 100);
	add(&out, AUDIT_NETWORK, 200);
	add(&out, AUDIT_SECURITY_EVENTS | AUDIT_EXEC, 300);
	add(&out, 0, 400);
	add(&out, AUDIT_FILESYSTEM, 500);
	put(&r, out.s, out.len);
	assert_int_equal(flush(&r), 0);
	end(&r, true);
	assert_int_equal(sound_lines(first), 3);
	assert_int_equal(sound_lines(second), 3);
	assert_true(has(first, "100") && has(first, "300") && has(first, "400"));
	assert_true(has(second, "200") && has(second, "300") && has(second, "400"));
	assert_false(has(first, "monitor_died"));
}

static void test_modes(void **state)
{
	struct audit_recorder r;
	struct stat st;
	char path[160];

	need_root();
	r = start_one("box", -1);
	put_lines(&r, 1);
	end(&r, true);
	assert_return_code(stat(first, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	snprintf(path, sizeof(path), "%s/first", folder);
	assert_return_code(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

/* What is no record is lost, counted and told, and the next one is taken. */
static void test_odd_records(void **state)
{
	const char *const odd[] = {
		"x{\"a\":1}\n", "{\"a\":1}\n",		"1[\"a\":1]\n",	 "1\n",
		"\n",		"123456789{\"a\":1}\n", "1{\"a\t\":1}\n"
	};
	const size_t n = sizeof(odd) / sizeof(odd[0]), long_len = 3 * AUDIT_LINE_MAX;
	struct audit_recorder r;
	_free_ char *long_one = malloc(long_len);

	need_root();
	r = start_one("box", -1);
	for (size_t i = 0; i < n; i++)
		put(&r, odd[i], strlen(odd[i]));
	memset(long_one, 'x', long_len);
	memcpy(long_one, "1{\"", 3);
	memcpy(long_one + long_len - 2, "}\n", 2);
	put(&r, long_one, long_len);
	put_lines(&r, 2);
	/* And a beginning of which no more comes. */
	put(&r, "1{\"a\"", 5);
	assert_int_equal(flush(&r), n + 1);
	end(&r, true);
	/* Within a second each, or all at the end. */
	assert_in_range(sound_lines(first), 3, 2 + n + 2);
	assert_int_equal(told_lost(first), n + 2);
}

/* The longest line that there may be, and one more byte. */
static void test_longest(void **state)
{
	const size_t len = AUDIT_LINE_MAX + 3;
	struct audit_recorder r;
	_free_ char *s = malloc(len);

	need_root();
	r = start_one("box", -1);
	for (size_t longer = 0; longer < 2; longer++) {
		memset(s, 'x', len);
		memcpy(s, "1{\"", 3);
		s[AUDIT_LINE_MAX + longer] = '}';
		s[AUDIT_LINE_MAX + longer + 1] = '\n';
		put(&r, s, AUDIT_LINE_MAX + longer + 2);
		assert_int_equal(flush(&r), longer);
	}
	end(&r, true);
	assert_int_equal(sound_lines(first), 2);
	assert_int_equal(told_lost(first), 1);
}

static void test_death_of_parent(void **state)
{
	struct audit_recorder r;

	need_root();
	r = start_one("box", -1);
	put_lines(&r, 5);
	/* Nothing was said: what it had sent is there, and that it died. */
	end(&r, false);
	assert_int_equal(sound_lines(first), 6);
	assert_true(has(first, "\"type\":\"monitor_died\""));
}

static void test_others(void **state)
{
	_buf_free_ struct buf out = {};
	struct audit_recorder r;
	_free_ char *large = calloc(1, AUDIT_MESSAGE_MAX + 1);
	int fds[2];

	need_root();
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	r = start_one("box", fds[0]);
	close(fds[0]);
	add(&out, 1, 1);
	add(&out, 1, 2);
	assert_int_equal(send(fds[1], out.s, out.len, 0), out.len);
	assert_int_equal(send(fds[1], "no line", 7, 0), 7);
	assert_int_equal(send(fds[1], large, AUDIT_MESSAGE_MAX + 1, 0),
			 AUDIT_MESSAGE_MAX + 1);
	assert_int_equal(flush(&r), 2);
	/* They outlive the parent. */
	assert_return_code(audit_recorder_say(r.report_fd, AUDIT_RECORDER_BYE), 0);
	fd_close(&r.lines_fd);
	fd_close(&r.report_fd);
	assert_int_equal(send(fds[1], out.s, out.len, 0), out.len);
	close(fds[1]);
	assert_int_equal(waitpid(r.pid, NULL, 0), r.pid);
	sound_lines(first);
	assert_int_equal(told_lost(first), 2);
}

/* --- a full disk --- */

#define BALLAST (64u << 10)

static void make_small_disk(const char *path)
{
	_free_ char *zeros = calloc(1, BALLAST);
	char ballast[200];
	int fd;

	assert_return_code(unshare(CLONE_NEWNS), 0);
	assert_return_code(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_return_code(mkdir(path, 0700), 0);
	assert_return_code(mount("tmpfs", path, "tmpfs", 0, "size=256k,mode=0700"), 0);
	snprintf(ballast, sizeof(ballast), "%s/ballast", path);
	fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_return_code(fd_write_all(fd, zeros, BALLAST), 0);
	close(fd);
}

/* In a process of its own, which has the disk. */
static void fill_disk(void)
{
	struct audit_recorder_report x;
	struct audit_recorder r;
	uint64_t lost, lines;
	char path[160];

	snprintf(path, sizeof(path), "%s/first", folder);
	make_small_disk(path);
	r = start_one("box", -1);
	put_lines(&r, 2000);
	x = expect(&r, AUDIT_RECORDER_FAILED);
	assert_int_equal(x.log, 0);
	assert_int_equal(x.err.code, ENOSPC);
	assert_non_null(strstr(x.err.msg, "cannot write"));
	put_lines(&r, 10);
	lost = flush(&r);
	assert_true(lost > 10 && lost < 2000);
	lines = sound_lines(first);
	assert_int_equal(lines, 2010 - lost);
	/* There is space again. */
	snprintf(path, sizeof(path), "%s/first/ballast", folder);
	assert_return_code(unlink(path), 0);
	x = expect(&r, AUDIT_RECORDER_WORKS);
	assert_int_equal(x.lost, lost);
	put_lines(&r, 10);
	assert_int_equal(flush(&r), lost);
	end(&r, true);
	assert_int_equal(sound_lines(first), lines + 11);
	assert_int_equal(told_lost(first), lost);
	assert_false(has(first, "log_repaired"));
}

static void test_full_disk(void **state)
{
	int status;
	pid_t pid;

	need_root();
	pid = fork();
	if (pid == 0) {
		fill_disk();
		_exit(EXIT_SUCCESS);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* --- several --- */

static void test_kills(void **state)
{
	unsigned int seed = 7;

	need_root();
	for (int round = 0; round < 20; round++) {
		struct audit_recorder a = start_one("a", -1), b = start_one("b", -1);
		uint64_t before = sound_lines(first);

		put_lines(&a, 200);
		assert_int_equal(flush(&a), 0);
		put_lines(&a, 2000);
		put_lines(&b, 2000);
		usleep((useconds_t)(rand_r(&seed) % 4000));
		kill(a.pid, SIGKILL);
		waitpid(a.pid, NULL, 0);
		fd_close(&a.lines_fd);
		fd_close(&a.report_fd);
		assert_int_equal(flush(&b), 0);
		end(&b, true);
		/* What it had acknowledged, and all of the other one's. */
		assert_true(sound_lines(first) >= before + 200 + 2000);
	}
}

/* --- what it refuses --- */

static void assert_refused(const char *path, const char *why)
{
	struct audit_log_config log = { .path = (char *)path, .levels = 1 };
	const struct audit_recorder_start x = {
		.config = &(struct audit_config){ .container = (char *)"box",
						  .logs = { &log, 1 } },
		.others_fd = -1,
		.alerts_fd = -1,
	};
	struct audit_recorder r = AUDIT_RECORDER_EMPTY;
	struct err e = {};

	assert_return_code(audit_recorder_start(&x, &r, &e), 0);
	assert_true(audit_recorder_wait(&r, &e) < 0);
	if (!strstr(e.msg, why))
		fail_msg("%s", e.msg);
	fd_close(&r.lines_fd);
	fd_close(&r.report_fd);
	waitpid(r.pid, NULL, 0);
}

static void test_refused(void **state)
{
	char path[160];

	need_root();
	assert_refused("relative.jsonl", "names no file");
	assert_refused("/tmp/", "names no file");
	snprintf(path, sizeof(path), "%s/open", folder);
	assert_return_code(mkdir(path, 0700), 0);
	assert_return_code(chmod(path, 0777), 0);
	strcat(path, "/x.jsonl");
	assert_refused(path, "others could replace what is in it");
	snprintf(path, sizeof(path), "%s/theirs", folder);
	assert_return_code(mkdir(path, 0700), 0);
	assert_return_code(chown(path, 1234, 1234), 0);
	strcat(path, "/x.jsonl");
	assert_refused(path, "belongs to user 1234");
}

/* What lies above the folder is as good as the folder. */
static void test_parents(void **state)
{
	char path[160], blamed[160], link[160];
	int fd = -1;
	struct err e;

	need_root();
	snprintf(path, sizeof(path), "%s/theirs/ours/deep", folder);
	assert_return_code(fs_mkdir_p(path, 0700, &e), 0);
	snprintf(blamed, sizeof(blamed), "%s/theirs", folder);
	assert_return_code(chown(blamed, 1234, 1234), 0);
	strcat(path, "/x.jsonl");
	assert_refused(path, "/theirs' belongs to user 1234");
	assert_return_code(chown(blamed, 0, 0), 0);
	assert_return_code(chmod(blamed, 0770), 0);
	assert_refused(path, "/theirs' has mode 0770");
	/* Where all keep what is theirs, root keeps its folder; but whose a link is, nobody asks. */
	assert_return_code(chmod(blamed, 01777), 0);
	*strrchr(path, '/') = '\0';
	assert_return_code(log_folder_open(path, &fd, &e), 0);
	fd_close(&fd);
	snprintf(link, sizeof(link), "%s/theirs/link", folder);
	assert_return_code(symlink("ours", link), 0);
	strcat(link, "/x.jsonl");
	assert_refused(link, "/theirs/link' lies in a folder that others write to");
	assert_return_code(chmod(blamed, 0700), 0);
	*strrchr(link, '/') = '\0';
	assert_return_code(log_folder_open(link, &fd, &e), 0);
	fd_close(&fd);
	/* The last one is not sticky, either. */
	assert_return_code(chmod(blamed, 01777), 0);
	strcat(blamed, "/x.jsonl");
	assert_refused(blamed, "has mode 1777");
	/* Links that lead nowhere, and around. */
	snprintf(link, sizeof(link), "%s/nowhere", folder);
	assert_return_code(symlink("missing", link), 0);
	strcat(link, "/x.jsonl");
	assert_refused(link, "cannot open folder");
	snprintf(link, sizeof(link), "%s/round", folder);
	assert_return_code(symlink("./round", link), 0);
	strcat(link, "/x.jsonl");
	assert_refused(link, "cannot follow link");
}

/* What /proc tells of its process. */
static bool status_has(pid_t pid, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return has(path, text);
}

static void test_jail(void **state)
{
	struct audit_recorder r;
	char link[64], target[64] = {};

	need_root();
	r = start_one("box", -1);
	assert_true(status_has(r.pid, "CapEff:\t0000000000000000"));
	assert_true(status_has(r.pid, "CapPrm:\t0000000000000000"));
	assert_true(status_has(r.pid, "CapBnd:\t0000000000000000"));
	assert_true(status_has(r.pid, "NoNewPrivs:\t1"));
	assert_true(status_has(r.pid, "Seccomp:\t2"));
	snprintf(link, sizeof(link), "/proc/%d/root", (int)r.pid);
	assert_true(readlink(link, target, sizeof(target) - 1) > 0);
	snprintf(link, sizeof(link), "/proc/%d/root/etc", (int)r.pid);
	assert_int_equal(access(link, F_OK), -1);
	end(&r, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_levels),
		TEST(test_modes),
		TEST(test_odd_records),
		TEST(test_longest),
		TEST(test_death_of_parent),
		TEST(test_others),
		TEST(test_full_disk),
		TEST(test_kills),
		TEST(test_refused),
		TEST(test_parents),
		TEST(test_jail),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
