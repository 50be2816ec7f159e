/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the libFuzzer targets share: how a broken promise is told, inputs of several parts, files
 * for functions that read files, and documents that must survive being written and read again.
 */
#ifndef PURPLE_TESTS_FUZZ_H
#define PURPLE_TESTS_FUZZ_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static inline _Noreturn void fuzz_die(const char *what, const char *more)
{
	fprintf(stderr, "broken promise: %s: %s\n", what, more ? more : "");
	abort();
}

#define fuzz_require(cond)                             \
	do {                                           \
		if (!(cond))                           \
			fuzz_die(__FILE__ ":", #cond); \
	} while (0)

/* What every failure says: a kind, an errno, words, and a return value that agrees. */
static inline void fuzz_check_error(int r, const struct err *e)
{
	if (r >= 0 || e->code <= 0 || r != -e->code || e->kind == ERR_NONE ||
	    !e->msg[0] || !memchr(e->msg, '\0', sizeof(e->msg)))
		fuzz_die("an error is not whole", e->msg);
}

/* Inputs of several texts have lines of "%%" between them. */
#define FUZZ_SEPARATOR "\n%%\n"

/* A copy of the next part, ending in NUL; NULL when there is none left. */
static inline char *fuzz_next_part(const uint8_t **data, size_t *size)
{
	size_t len = strlen(FUZZ_SEPARATOR);
	const uint8_t *end;
	char *part;

	if (!*data)
		return NULL;
	end = memmem(*data, *size, FUZZ_SEPARATOR, len);
	part = strndup((const char *)*data, end ? (size_t)(end - *data) : *size);
	if (!part)
		abort();
	*size = end ? *size - (size_t)(end - *data) - len : 0;
	*data = end ? end + len : NULL;
	return part;
}

/* A path below the folder that tests/fuzz/run gives each run. */
static inline char *fuzz_path(const char *name)
{
	const char *dir = getenv("PURPLE_FUZZ_DIR");
	char *path = dir ? fs_join(dir, name) : NULL;

	if (!path)
		fuzz_die("PURPLE_FUZZ_DIR is not set", "use tests/fuzz/run");
	return path;
}

static inline void fuzz_write_file(const char *path, const void *text, size_t len)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0)
		fuzz_die("cannot write", path);
}

/* Reads a JSON text into obj, which is zeroed on failure; false then, and the error is whole. */
static inline bool fuzz_read(const void *text, size_t len, const struct json_type *t,
			     void *obj)
{
	_json_free_ struct json *j = NULL;
	struct err e = {};
	int r;

	r = json_parse(text, len, "fuzz", &j, &e);
	if (r == 0)
		r = json_read(j, t, "fuzz", obj, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	return r == 0;
}

typedef int (*fuzz_check)(const void *obj, struct err *e);

static inline void fuzz_same(const struct json_type *t, const void *a, const void *b,
			     fuzz_check check, const char *what)
{
	_buf_free_ struct buf x = {}, y = {};
	struct err e1 = {}, e2 = {};
	int r1, r2;

	if (json_write(t, a, false, &x, &e1) < 0 || json_write(t, b, false, &y, &e2) < 0)
		fuzz_die("a document that was read cannot be written", e1.msg);
	if (x.len != y.len || memcmp(x.s, y.s, x.len) != 0)
		fuzz_die(what, x.s);
	if (!check)
		return;
	r1 = check(a, &e1);
	r2 = check(b, &e2);
	if (r1 < 0)
		fuzz_check_error(r1, &e1);
	if (r1 != r2 || !streq(e1.msg, e2.msg))
		fuzz_die(what, e1.msg);
}

/* A document that was read says the same as its copy, and as what is written and read again. */
static inline void fuzz_round_trip(const struct json_type *t, const void *obj,
				   fuzz_check check)
{
	_buf_free_ struct buf text = {};
	void *other = calloc(1, t->size);
	struct err e = {};

	if (!other || json_copy(t, obj, other, &e) < 0)
		fuzz_die("cannot copy", e.msg);
	fuzz_same(t, obj, other, check, "a copy differs");
	json_clear(t, other);
	if (json_write(t, obj, true, &text, &e) < 0)
		fuzz_die("a document that was read cannot be written", e.msg);
	if (!fuzz_read(text.s, text.len, t, other))
		fuzz_die("what was written cannot be read", text.s);
	fuzz_same(t, obj, other, check, "what was written reads otherwise");
	json_clear(t, other);
	free(other);
}

#endif
