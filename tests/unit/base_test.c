/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of src/base but its JSON and YAML: errors, strings, numbers, lists, files, log. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/num.h"
#include "base/spawn.h"
#include "base/str.h"

/* --- errors --- */

static void test_err_set(void **state)
{
	struct err e = { 0 };

	assert_int_equal(err_set(&e, ERR_CONFIG, ENOENT, "no %s", "way"), -ENOENT);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.msg, "no way");
	assert_int_equal(err_set(&e, ERR_USAGE, 0, "x"), -EINVAL);
}

static void test_err_sys_and_wrap(void **state)
{
	struct err e = { 0 };

	errno = EACCES;
	assert_int_equal(err_sys(&e, "cannot open '%s'", "f"), -EACCES);
	assert_string_equal(e.msg, "cannot open 'f': Permission denied");
	assert_int_equal(err_wrap(&e, "rootfs"), -EACCES);
	assert_string_equal(e.msg, "rootfs: cannot open 'f': Permission denied");
	assert_int_equal(e.kind, ERR_KERNEL);
	assert_int_equal(err_errno(&e, -EPERM, "a"), -EPERM);
	assert_string_equal(e.msg, "a: Operation not permitted");
	assert_int_equal(err_oom(&e), -ENOMEM);
	assert_int_equal(e.kind, ERR_INTERNAL);
}

/* However long the contexts grow, the value keeps its size and stays a string. */
static void test_err_long(void **state)
{
	struct err e = { 0 };
	char big[4000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_CONFIG, EINVAL, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	for (int i = 0; i < 400; i++)
		err_wrap(&e, "context %d", i);
	assert_true(str_has_prefix(e.msg, "context 399: context 398: "));
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

/* --- numbers --- */

static void test_num_u64(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
		{ "\xd9\xa1", -EINVAL, 0 }, /* ARABIC-INDIC DIGIT ONE */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = 4711;

		assert_int_equal(num_u64(rows[i].text, &v), rows[i].r);
		assert_int_equal(v, rows[i].r == 0 ? rows[i].value : 4711);
	}
}

static void test_num_signed_and_narrow(void **state)
{
	int64_t i64 = 1;
	int32_t i32 = 1;
	uint32_t u32 = 1;

	assert_int_equal(num_i64("-9223372036854775808", &i64), 0);
	assert_true(i64 == INT64_MIN);
	assert_int_equal(num_i64("9223372036854775807", &i64), 0);
	assert_true(i64 == INT64_MAX);
	assert_int_equal(num_i64("9223372036854775808", &i64), -ERANGE);
	assert_int_equal(num_i64("-9223372036854775809", &i64), -ERANGE);
	assert_int_equal(num_i64("-", &i64), -EINVAL);
	assert_int_equal(num_i64("--1", &i64), -EINVAL);
	assert_true(i64 == INT64_MAX);
	assert_int_equal(num_i32("-2147483648", &i32), 0);
	assert_true(i32 == INT32_MIN);
	assert_int_equal(num_i32("2147483648", &i32), -ERANGE);
	assert_int_equal(num_i32("-2147483649", &i32), -ERANGE);
	assert_int_equal(num_u32("4294967295", &u32), 0);
	assert_true(u32 == UINT32_MAX);
	assert_int_equal(num_u32("4294967296", &u32), -ERANGE);
}

static void test_num_any_base(void **state)
{
	uint64_t v;

	assert_int_equal(num_u64_any_base("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(num_u64_any_base("0xFf", &v), 0);
	assert_int_equal(v, 255);
	assert_int_equal(num_u64_any_base("0o17", &v), 0);
	assert_int_equal(v, 15);
	assert_int_equal(num_u64_any_base("42", &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(num_u64_any_base("0xffffffffffffffff", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(num_u64_any_base("0x10000000000000000", &v), -ERANGE);
	assert_int_equal(num_u64_any_base("017", &v), -EINVAL);
	assert_int_equal(num_u64_any_base("0x", &v), -EINVAL);
	assert_int_equal(num_u64_any_base("0o8", &v), -EINVAL);
	assert_int_equal(num_u64_any_base("0b1", &v), -EINVAL);
}

/* --- strings --- */

static void test_str(void **state)
{
	_free_ char *s = str_printf("%d-%s", 3, "x");

	assert_string_equal(s, "3-x");
	assert_true(streq_null(NULL, NULL));
	assert_false(streq_null("", NULL));
	assert_true(streq_null("a", "a"));
	assert_true(str_has_prefix("abc", "ab"));
	assert_true(str_has_prefix("abc", ""));
	assert_false(str_has_prefix("ab", "abc"));
	assert_true(str_has_suffix("abc", "bc"));
	assert_false(str_has_suffix("c", "bc"));
}

static void test_str_is_utf8(void **state)
{
	static const char *const good[] = { "",
					    "a",
					    "\x7f",
					    "\xc2\x80",
					    "\xdf\xbf",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",
					   "\xbf",
					   "\xc1\xbf",
					   "\xc2",
					   "\xc2\x7f",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xe2\x82",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5",
					   "\xf1\x80\x80\xc0",
					   "a\xff" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(str_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(str_is_utf8(bad[i], strlen(bad[i])));
	assert_true(str_is_utf8("a\0b", 3));
}

static void test_strv(void **state)
{
	_strv_free_ struct strv l = { 0 };
	_strv_free_ struct strv copy = { 0 };

	for (int i = 0; i < 50; i++)
		assert_int_equal(strv_addf(&l, "item %d", i), 0);
	assert_int_equal(l.n, 50);
	assert_null(l.v[50]);
	assert_true(strv_contains(&l, "item 49"));
	strv_remove(&l, 49);
	strv_remove(&l, 0);
	strv_remove(&l, 1000); /* beyond the end: nothing */
	assert_int_equal(l.n, 48);
	assert_null(l.v[48]);
	assert_string_equal(l.v[0], "item 1");
	assert_string_equal(l.v[47], "item 48");
	assert_false(strv_contains(&l, "item 49"));
	assert_int_equal(strv_copy(&l, &copy), 0);
	assert_int_equal(copy.n, 48);
	assert_ptr_not_equal(copy.v[0], l.v[0]);
	assert_string_equal(copy.v[47], "item 48");
	strv_free(&l);
	strv_free(&l);
	assert_false(strv_contains(&l, "item 1"));
}

static void test_strmap(void **state)
{
	_strmap_free_ struct strmap m = { 0 };
	_strmap_free_ struct strmap copy = { 0 };

	assert_null(strmap_get(&m, "a"));
	assert_int_equal(strmap_set(&m, "a", "1"), 0);
	assert_int_equal(strmap_set(&m, "b", "2"), 0);
	assert_int_equal(strmap_set(&m, "a", "3"), 0);
	assert_int_equal(m.n, 2);
	assert_string_equal(strmap_get(&m, "a"), "3");
	assert_string_equal(m.k[0], "a");
	assert_int_equal(strmap_copy(&m, &copy), 0);
	assert_int_equal(strmap_set(&m, "a", "4"), 0);
	assert_string_equal(strmap_get(&copy, "a"), "3");
}

static void test_buf(void **state)
{
	_buf_free_ struct buf b = { 0 }, empty = { 0 };

	for (int i = 0; i < 1000; i++) {
		buf_adds(&b, "ab");
		buf_addf(&b, "%d", i % 10);
		buf_add(&b, "c\0d", 3);
	}
	assert_false(b.failed);
	assert_int_equal(b.len, 6000);
	assert_int_equal(b.s[6000], '\0');
	assert_memory_equal(b.s + 5994, "ab9c\0d", 6);
	/* An empty buffer has no bytes to point at: found by the fuzzer, under UBSan. */
	buf_add(&b, empty.s, empty.len);
	assert_int_equal(b.len, 6000);
}

static const char *next_word(const void *arg, size_t i)
{
	const char *const *words = arg;

	return words[i];
}

static void test_str_suggest(void **state)
{
	static const char *const words[] = { "blocked_ips", "blocked_domains", "isolated",
					     "pid", NULL };

	assert_string_equal(str_suggest("blockd_ips", next_word, words), "blocked_ips");
	assert_string_equal(str_suggest("isolatd", next_word, words), "isolated");
	assert_string_equal(str_suggest("pit", next_word, words), "pid");
	assert_null(str_suggest("xyz", next_word, words));
	assert_null(str_suggest("completely_else", next_word, words));
	assert_null(str_suggest("", next_word, words));
}

/* A word of any length is safe. */
static void test_str_suggest_long(void **state)
{
	static const char *const words[] = { "isolated", NULL };
	char big[1000];

	memset(big, 'i', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_null(str_suggest(big, next_word, words));
}

/* --- lists and ownership --- */

static void test_list(void **state)
{
	LIST_OF(struct err) l = { 0 };

	for (int i = 0; i < 100; i++) {
		struct err *e = list_add(&l);

		assert_non_null(e);
		assert_int_equal(e->code, 0);
		assert_int_equal(e->msg[0], 0);
		e->code = i;
		memset(e->msg, 'x', sizeof(e->msg));
	}
	assert_int_equal(l.n, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(l.v[i].code, i);
	free(l.v);
}

static void test_take(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char *p = strdup("x");
	int taken;

	{
		_close_ int owner = fd;
		_free_ char *s = p;

		taken = take_fd(&owner);
		assert_int_equal(owner, -1);
		assert_ptr_equal(take_ptr(&s), p);
		assert_null(s);
	}
	assert_int_equal(taken, fd);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	assert_string_equal(p, "x");
	free(p);
	{
		_close_ int owner = taken;

		assert_int_equal(fd_cloexec(owner, false), 0);
		assert_int_equal(fcntl(owner, F_GETFD) & FD_CLOEXEC, 0);
		assert_int_equal(fd_cloexec(owner, true), 0);
		assert_int_equal(fcntl(owner, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	}
	assert_int_equal(fcntl(taken, F_GETFD), -1);
	assert_int_equal(fd_cloexec(taken, true), -EBADF);
}

/* --- files, in a folder of the test's own --- */

static char dir[PATH_MAX];

static int make_dir(void **state)
{
	const char *base = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/base-test.XXXXXX", base ? base : "/tmp");
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	struct err e;

	return chdir("/") < 0 || fs_remove_tree(AT_FDCWD, dir, &e) < 0 ? -1 : 0;
}

static void test_fs_write_and_read(void **state)
{
	_free_ char *text = NULL;
	struct err e = { 0 };
	struct stat st;
	size_t len;

	umask(022);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "f", "one", 3, 0640, &e), 0);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "f", "two\0!", 5, 0640, &e), 0);
	assert_int_equal(fs_read(AT_FDCWD, "f", 5, &text, &len, &e), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(text, "two\0!", 6);
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fs_write_existing(AT_FDCWD, "f", "thr"), 0);
	assert_int_equal(fs_write_existing(AT_FDCWD, "missing", "x"), -ENOENT);
	assert_int_equal(access("missing", F_OK), -1);
}

static void test_fs_read_refuses(void **state)
{
	char *text = (char *)0x1; /* untouched on failure */
	struct err e = { 0 };

	assert_int_equal(fs_write_atomic(AT_FDCWD, "f", "123456", 6, 0600, &e), 0);
	assert_int_equal(fs_read(AT_FDCWD, "f", 5, &text, NULL, &e), -EFBIG);
	assert_string_equal(e.msg, "'f': is larger than 5 bytes");
	assert_int_equal(fs_read(AT_FDCWD, "nothing", 5, &text, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "cannot open 'nothing': No such file or directory");
	assert_int_equal(fs_read(AT_FDCWD, ".", 5, &text, NULL, &e), -EISDIR);
	assert_ptr_equal(text, (char *)0x1);
}

/* A large file comes in several reads. */
static void test_fs_read_large(void **state)
{
	size_t len = 300 * 1000, got;
	_free_ char *data = malloc(len);
	_free_ char *text = NULL;
	struct err e = { 0 };

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 7);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "big", data, len, 0600, &e), 0);
	assert_int_equal(fs_read(AT_FDCWD, "big", len, &text, &got, &e), 0);
	assert_int_equal(got, len);
	assert_memory_equal(text, data, len);
}

/* A failed atomic write leaves the old file and nothing else. */
static void test_fs_write_atomic_fails_cleanly(void **state)
{
	struct err e = { 0 };

	/* Only an empty folder can be removed. */
	assert_int_equal(mkdir("empty", 0700), 0);
	assert_int_equal(mkdir("empty/f", 0700), 0);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "empty/f", "x", 1, 0600, &e), -EISDIR);
	assert_int_equal(rmdir("empty/f"), 0);
	assert_int_equal(rmdir("empty"), 0);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "none/f", "x", 1, 0600, &e), -ENOENT);
}

static void test_fs_mkdir_p(void **state)
{
	_free_ char *abs = fs_join(dir, "x/y/z");
	struct err e = { 0 };
	struct stat st;

	assert_int_equal(fs_mkdir_p(abs, 0700, &e), 0);
	assert_int_equal(fs_mkdir_p(abs, 0700, &e), 0);
	assert_int_equal(fs_mkdir_p("x/y/w", 0711, &e), 0);
	assert_int_equal(stat("x/y/w", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "file", "", 0, 0600, &e), 0);
	assert_int_equal(fs_mkdir_p("file/sub", 0700, &e), -ENOTDIR);
}

/* Symbolic links are removed, not followed. */
static void test_fs_remove_tree(void **state)
{
	struct err e = { 0 };

	assert_int_equal(fs_mkdir_p("keep", 0700, &e), 0);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "keep/f", "", 0, 0600, &e), 0);
	assert_int_equal(fs_mkdir_p("tree/a/b/c", 0700, &e), 0);
	assert_int_equal(fs_write_atomic(AT_FDCWD, "tree/a/f", "", 0, 0600, &e), 0);
	assert_int_equal(symlink("../../keep", "tree/a/link"), 0);
	assert_int_equal(symlink("keep", "link"), 0);
	assert_int_equal(mkfifo("tree/a/b/fifo", 0600), 0);
	assert_int_equal(fs_remove_tree(AT_FDCWD, "tree", &e), 0);
	assert_int_equal(access("tree", F_OK), -1);
	assert_int_equal(access("keep/f", F_OK), 0);
	assert_int_not_equal(fs_remove_tree(AT_FDCWD, "link", &e), 0);
	assert_int_equal(access("keep/f", F_OK), 0);
	assert_int_equal(fs_remove_tree(AT_FDCWD, "tree", &e), 0); /* gone already */
}

static void test_fs_links(void **state)
{
	_free_ char *target = NULL;
	_free_ char *real = NULL;
	struct err e = { 0 };

	assert_int_equal(mkdir("real", 0700), 0);
	assert_int_equal(symlink("real", "sym"), 0);
	assert_int_equal(fs_readlink(AT_FDCWD, "sym", &target), 0);
	assert_string_equal(target, "real");
	assert_int_equal(fs_realpath("./sym/../sym//", &real, &e), 0);
	assert_true(str_has_suffix(real, "/real"));
	assert_int_equal(real[0], '/');
	free(take_ptr(&real));
	assert_int_equal(fs_realpath("nothing", &real, &e), -ENOENT);
	assert_null(real);
}

static void test_fs_paths(void **state)
{
	static const char *const rows[][2] = {
		{ "/", "/" },
		{ "//", "/" },
		{ "/a/b", "/a/b" },
		{ "/a//b/", "/a/b" },
		{ "/./a/./b/.", "/a/b" },
		{ "/a/../b", "/b" },
		{ "/a/b/..", "/a" },
		{ "/..", "/" },
		{ "/../../a", "/a" },
		{ "/a/../../b", "/b" },
		{ "/...", "/..." },
		{ "/a/..b", "/a/..b" },
		{ "/.a/b.", "/.a/b." },
	};
	static const char *const joins[][3] = {
		{ "/a", "b", "/a/b" },
		{ "/a/", "/b", "/a/b" },
		{ "/", "b", "/b" },
		{ "a//", "//b/c", "a/b/c" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_free_ char *clean = fs_clean_path(rows[i][0]);

		assert_string_equal(clean, rows[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(joins); i++) {
		_free_ char *joined = fs_join(joins[i][0], joins[i][1]);

		assert_string_equal(joined, joins[i][2]);
	}
}

static void test_fd_pipe(void **state)
{
	_free_ char *text = NULL;
	struct err e = { 0 };
	size_t len;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fd_write_all(p[1], "hello", 5), 0);
	close(p[1]);
	assert_int_equal(fd_read_all(p[0], 100, &text, &len, &e), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "hello");
	close(p[0]);
	assert_int_equal(fd_write_all(p[1], "x", 1), -EBADF);
}

/* --- log: in a child, as its state belongs to the process --- */

static void log_in_child(enum log_format format, const char *file)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = { 0 };

		if (!freopen("stderr.txt", "w", stderr) || log_open(file, format, &e) < 0)
			_exit(1);
		log_warn("not shown by default");
		log_set_level(LOG_LEVEL_INFO);
		log_debug("not shown either");
		log_info("info %d", 1);
		log_write(LOG_LEVEL_ERROR, "bad \"thing\"\n\x01 \xff");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_log_json(void **state)
{
	_free_ char *text = NULL;
	_free_ char *said = NULL;
	_json_free_ struct json *j = NULL;
	struct err e = { 0 };
	char *second;

	log_in_child(LOG_FORMAT_JSON, "log.json");
	assert_int_equal(fs_read(AT_FDCWD, "log.json", 10000, &text, NULL, &e), 0);
	second = strchr(text, '\n');
	assert_non_null(second);
	*second++ = '\0';
	assert_int_equal(json_parse(text, strlen(text), "log", &j, &e), 0);
	assert_string_equal(json_get(j, "level")->text, "info");
	assert_string_equal(json_get(j, "msg")->text, "info 1");
	json_free(take_ptr(&j));
	assert_int_equal(json_parse(second, strlen(second), "log", &j, &e), 0);
	assert_string_equal(json_get(j, "level")->text, "error");
	assert_string_equal(json_get(j, "msg")->text, "bad \"thing\"\n\x01 \xef\xbf\xbd");
	/* RFC 3339: 2006-01-02T15:04:05.000000000Z */
	assert_int_equal(strlen(json_get(j, "time")->text), 30);
	assert_int_equal(json_get(j, "time")->text[10], 'T');
	assert_int_equal(json_get(j, "time")->text[29], 'Z');
	/* Errors, and they alone, stand on stderr too. */
	assert_int_equal(fs_read(AT_FDCWD, "stderr.txt", 10000, &said, NULL, &e), 0);
	assert_string_equal(said, "bad \"thing\"\n\x01 \xff\n");
}

static void test_log_text(void **state)
{
	_free_ char *text = NULL;
	_free_ char *said = NULL;
	struct err e = { 0 };

	log_in_child(LOG_FORMAT_TEXT, "log.txt");
	assert_int_equal(fs_read(AT_FDCWD, "log.txt", 10000, &text, NULL, &e), 0);
	assert_non_null(strstr(text, "Z info: info 1\n"));
	assert_non_null(strstr(text, "Z error: bad "));
	assert_null(strstr(text, "not shown"));
	log_in_child(LOG_FORMAT_TEXT, NULL);
	assert_int_equal(fs_read(AT_FDCWD, "stderr.txt", 10000, &said, NULL, &e), 0);
	assert_true(str_has_prefix(said, "info: info 1\nbad "));
}

static void test_log_open_fails(void **state)
{
	struct err e = { 0 };

	assert_int_equal(log_open("no/such/folder/log", LOG_FORMAT_JSON, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no/such/folder/log"));
}

/* What a shell, started by `s` with fds placed, says of itself on its descriptor 3. */
static void spawn_says(const char *script, bool swapped, char *ret, size_t size)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const char *const envp[] = { "A=1", NULL };
	int pipe_fds[2], other = open("/dev/zero", O_RDONLY | O_CLOEXEC), status;
	_free_ char *text = NULL;
	struct err e = { 0 };
	pid_t pid;

	assert_true(other >= 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int out = pipe_fds[1], in = other;

		/* Each stands where the other one belongs. */
		if (swapped &&
		    (dup2(other, 20) < 0 || dup2(pipe_fds[1], 4) < 0 || dup2(20, 3) < 0))
			_exit(1);
		if (swapped)
			out = 4, in = 3;
		signal(SIGTERM, SIG_IGN);
		spawn_exec(&(struct spawn){ .program = "/bin/sh",
					    .argv = argv,
					    .envp = envp,
					    .fds = (const int[]){ -1, -1, -1, out, in },
					    .n = 5 },
			   &e);
		_exit(1);
	}
	close(pipe_fds[1]);
	assert_int_equal(fd_read_all(pipe_fds[0], size, &text, NULL, &e), 0);
	snprintf(ret, size, "%s", text);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(pipe_fds[0]);
	close(other);
}

static void test_spawn(void **state)
{
	char said[512];

	for (int swapped = 0; swapped < 2; swapped++) {
		/* The shell itself opens what it reads, once it is asked to. */
		spawn_says("for f in /proc/$$/fd/*; do t=$(readlink $f) && case $t in "
			   "pipe:*) ;; *) echo ${f##*/} $t >&3 ;; esac; done",
			   swapped, said, sizeof(said));
		assert_string_equal(said,
				    "0 /dev/null\n1 /dev/null\n2 /dev/null\n4 /dev/zero\n");
	}
	spawn_says("pwd >&3; echo $A $HOME >&3; trap 'echo caught >&3' TERM; kill -TERM $$",
		   false, said, sizeof(said));
	assert_string_equal(said, "/\n1\ncaught\n");
}

static void test_spawn_fails(void **state)
{
	int fds[2], status;
	struct err e = { 0 };
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int high = fcntl(fds[1], F_DUPFD_CLOEXEC, 50);
		int r = spawn_exec(&(struct spawn){ .program = "/no/such/program" }, &e);

		/* What the caller has is still there, to tell of it. */
		if (r != -ENOENT || write(high, e.msg, strlen(e.msg)) < 0)
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	memset(e.msg, 0, sizeof(e.msg));
	assert_true(read(fds[0], e.msg, sizeof(e.msg) - 1) > 0);
	assert_non_null(strstr(e.msg, "cannot start '/no/such/program'"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	pid = fork();
	if (pid == 0)
		spawn_exec_or_exit(&(struct spawn){ .program = "/no/such/program" });
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 127);
}

#define in_dir(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_set),
		cmocka_unit_test(test_err_sys_and_wrap),
		cmocka_unit_test(test_err_long),
		cmocka_unit_test(test_num_u64),
		cmocka_unit_test(test_num_signed_and_narrow),
		cmocka_unit_test(test_num_any_base),
		cmocka_unit_test(test_str),
		cmocka_unit_test(test_str_is_utf8),
		cmocka_unit_test(test_strv),
		cmocka_unit_test(test_strmap),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_str_suggest),
		cmocka_unit_test(test_str_suggest_long),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_take),
		in_dir(test_fs_write_and_read),
		in_dir(test_fs_read_refuses),
		in_dir(test_fs_read_large),
		in_dir(test_fs_write_atomic_fails_cleanly),
		in_dir(test_fs_mkdir_p),
		in_dir(test_fs_remove_tree),
		in_dir(test_fs_links),
		cmocka_unit_test(test_fs_paths),
		cmocka_unit_test(test_fd_pipe),
		cmocka_unit_test(test_spawn),
		cmocka_unit_test(test_spawn_fails),
		in_dir(test_log_json),
		in_dir(test_log_text),
		in_dir(test_log_open_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
