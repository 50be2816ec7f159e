/* SPDX-License-Identifier: Apache-2.0 */
/* See log_verify.h. */
#include "audit/log_verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/log_file.h"
#include "audit/log_set.h"
#include "audit/recorder_event.h"
#include "base/json.h"
#include "base/num.h"

/* A killed writer leaves a part of a line; and another one may be killed while it tells of that. */
#define ODD_LINES_MAX 2

static void __attribute__((format(printf, 4, 5)))
tell(struct log_check *c, const char *file, uint64_t line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->v->problems++;
	if (c->v->tell)
		c->v->tell(c->v->arg, file, line, text);
}

/* --- lines that are none of the log --- */

static void add_odd(struct log_check *c, const struct log_line *line, bool whole)
{
	_json_free_ struct json *j = NULL;
	struct err e;

	if (c->odd_n++ == 0)
		c->odd_line = c->line;
	if (line->too_long || json_parse(line->s, line->len, "line", &j, &e) == 0)
		c->odd_json++;
	if (c->odd_n > ODD_LINES_MAX || line->too_long)
		return;
	buf_add(&c->odd, line->s, line->len);
	if (whole)
		buf_adds(&c->odd, "\n");
}

static void clear_odd(struct log_check *c)
{
	c->odd.len = 0;
	c->odd_n = c->odd_line = 0;
	c->odd_json = 0;
}

static bool is_torn(const struct log_check *c)
{
	return c->odd_n <= ODD_LINES_MAX && !c->odd_json && !c->odd.failed;
}

static void tell_odd(struct log_check *c)
{
	if (c->odd_n == 1)
		tell(c, c->file, c->odd_line,
		     "this line was not written by a recorder: it was added or changed");
	else
		tell(c, c->file, c->odd_line,
		     "this line and %" PRIu64
		     " after it were not written by a recorder: they were added or changed",
		     c->odd_n - 1);
	clear_odd(c);
}

/* --- what the recorder told --- */

static const char *text_of(const struct json *j, const char *key)
{
	j = j && j->type == JSON_MAP ? json_get(j, key) : NULL;
	return j && (j->type == JSON_TEXT || j->type == JSON_NUMBER) ? j->text : "";
}

static const struct json *map_of(const struct json *j, const char *key)
{
	j = j && j->type == JSON_MAP ? json_get(j, key) : NULL;
	return j && j->type == JSON_MAP ? j : NULL;
}

static bool tells_of(const struct log_check *c, const struct json *torn)
{
	size_t len = c->odd.len;
	uint8_t hash[CHAIN_HASH_SIZE];
	char hex[CHAIN_HEX_SIZE], bytes[24];

	if (!torn || len == 0)
		return false;
	/* The recorder has ended it. */
	if (c->odd.s[len - 1] == '\n')
		len--;
	chain_hash(c->odd.s, len, hash);
	chain_hex(hash, hex);
	snprintf(bytes, sizeof(bytes), "%zu", len);
	return streq(text_of(torn, "bytes"), bytes) && streq(text_of(torn, "sha256"), hex);
}

static const char *cause_text(const char *cause)
{
	if (streq(cause, "head"))
		return "when this line was written, the log had no head: lines before it may have "
		       "been removed";
	if (streq(cause, "cut"))
		return "when this line was written, lines before it had been removed";
	return "when this line was written, the line before it had been changed";
}

/* A line of that type and writer ("": the monitor), parsed; NULL: it is another one. */
static struct json *parse_as(const struct log_line *line, const char *type,
			     const char *provider)
{
	struct json *j = NULL;
	char member[64];
	struct err e;

	snprintf(member, sizeof(member), "\"type\":\"%s\"", type);
	if (!memmem(line->s, line->len, member, strlen(member)) ||
	    json_parse(line->s, line->len, "line", &j, &e) < 0)
		return NULL;
	if (streq(text_of(j, "type"), type) &&
	    streq(text_of(map_of(j, "event"), "provider"), provider))
		return j;
	json_free(j);
	return NULL;
}

/* Whether it tells of the odd lines before it. */
static bool check_repair(struct log_check *c, const struct log_line *line)
{
	_json_free_ struct json *j = parse_as(line, "log_repaired", RECORDER_PROVIDER);
	const struct json *repaired = j ? map_of(j, "repaired") : NULL;
	const char *cause = text_of(repaired, "cause");

	if (*cause)
		tell(c, c->file, c->line, "%s", cause_text(cause));
	return c->odd_n && is_torn(c) && tells_of(c, map_of(repaired, "torn"));
}

/* Files that rotations removed follow one another, and the first line that is left follows them. */
static void check_removal(struct log_check *c, const struct log_line *line)
{
	_json_free_ struct json *j = parse_as(line, "log_removed", RECORDER_PROVIDER);
	const struct json *removed = j ? map_of(j, "removed") : NULL;
	char hex[CHAIN_HEX_SIZE];
	uint64_t first, last;

	if (!j)
		return;
	if (num_u64(text_of(removed, "first"), &first) < 0 ||
	    num_u64(text_of(removed, "last"), &last) < 0) {
		tell(c, c->file, c->line,
		     "when this line was written, a file was removed that was not as it was "
		     "written");
		return;
	}
	/* A writer that was killed before it removed the file leaves that to the next one. */
	if (c->removed_last && first != c->removed_last + 1 &&
	    !(first == c->removed_first && last == c->removed_last))
		tell(c, c->file, c->line,
		     "when this line was written, a file before the one that it tells of had "
		     "been removed");
	c->removed_first = first;
	c->removed_last = last;
	chain_hex(c->first_previous, hex);
	if (last + 1 == c->v->first && streq(text_of(removed, "sha256"), hex))
		c->is_first_told = true;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A container's first line names its logs: whether this one is among them, wherever it lies now. */
static void check_start(struct log_check *c, const struct log_line *line)
{
	_json_free_ struct json *j = c->name ? parse_as(line, "start", "") : NULL;
	const struct json *logs = j ? json_get(j, "logs") : NULL;

	if (!logs || logs->type != JSON_LIST || logs->n == 0)
		return;
	for (size_t i = 0; i < logs->n; i++)
		if (streq(base_name(text_of(logs->items[i], "path")), c->name))
			return;
	tell(c, c->file, c->line, "it is of the log '%.200s': this one was put in its place",
	     text_of(logs->items[0], "path"));
}

/* The container that a line speaks of is the one whose recorder wrote it. */
static void check_writer(struct log_check *c, const struct log_line *line,
			 const struct chain_tail *tail)
{
	static const char member[] = "\"container\":{\"id\":\"";
	const char *s = memmem(line->s, tail->body, member, sizeof(member) - 1);
	size_t left;

	if (!s)
		return;
	s += sizeof(member) - 1;
	left = tail->body - (size_t)(s - line->s);
	if (left <= tail->writer_len || s[tail->writer_len] != '"' ||
	    memcmp(s, tail->writer, tail->writer_len) != 0)
		tell(c, c->file, c->line,
		     "it speaks of another container than '%.*s', whose recorder wrote it",
		     tail->writer_len > 128 ? 128 : (int)tail->writer_len, tail->writer);
}

/* --- the chain --- */

static void tell_missing(struct log_check *c, uint64_t from, uint64_t to)
{
	if (from == to)
		tell(c, c->file, c->line,
		     "line number %" PRIu64 " is missing before this line", from);
	else
		tell(c, c->file, c->line,
		     "lines number %" PRIu64 " to %" PRIu64 " are missing before this line",
		     from, to);
}

static void tell_changed(struct log_check *c)
{
	tell(c, c->last_file, c->last_line,
	     "this line was changed: its SHA-256 is not the one that was written down");
}

/* False: it is out of its place, and nothing follows from it. */
static bool check_place(struct log_check *c, const struct chain_tail *tail, uint64_t odd)
{
	static const uint8_t zeros[CHAIN_HASH_SIZE];
	struct log_verify *v = c->v;

	if (v->lines == 0) {
		v->first = tail->number;
		c->first_file = c->file;
		memcpy(c->first_previous, tail->previous, CHAIN_HASH_SIZE);
		if (tail->number == 1 && memcmp(tail->previous, zeros, sizeof(zeros)) != 0)
			tell(c, c->file, c->line, "it is no first line: it was changed");
		return true;
	}
	if (tail->number <= v->last.number) {
		tell(c, c->file, c->line,
		     "line number %" PRIu64 " comes behind number %" PRIu64
		     ": it was added or moved",
		     tail->number, v->last.number);
		return false;
	}
	if (tail->number == v->last.number + 1) {
		if (memcmp(tail->previous, v->last.hash, CHAIN_HASH_SIZE) != 0)
			tell_changed(c);
	} else if (tail->number - v->last.number - 1 != odd) {
		/* As many odd ones stand in their place: they were told of. */
		tell_missing(c, v->last.number + 1, tail->number - 1);
	}
	return true;
}

static void take(struct log_check *c, const struct log_line *line,
		 const struct chain_tail *tail, uint64_t odd)
{
	struct log_verify *v = c->v;

	check_writer(c, line, tail);
	if (!check_place(c, tail, odd))
		return;
	check_removal(c, line);
	check_start(c, line);
	v->last.number = tail->number;
	chain_hash(line->s, line->len, v->last.hash);
	v->lines++;
	c->last_file = c->file;
	c->last_line = c->line;
	if (c->head && c->head->last.number == tail->number &&
	    memcmp(c->head->last.hash, v->last.hash, CHAIN_HASH_SIZE) != 0)
		c->head_differs = true;
}

void log_check_line(struct log_check *c, const struct log_line *line, bool whole)
{
	struct chain_tail tail;
	uint64_t odd = 0;

	c->line++;
	if (line->too_long || !chain_tail_of(line->s, line->len, &tail)) {
		add_odd(c, line, whole);
		return;
	}
	if (check_repair(c, line)) {
		c->v->torn++;
		clear_odd(c);
	}
	if (c->odd_n) {
		odd = c->odd_n;
		tell_odd(c);
	}
	take(c, line, &tail, odd);
}

/* Nobody has told of what stands at the end of a file; of the last one nobody could yet. */
static void end_file(struct log_check *c)
{
	if (!c->odd_n)
		return;
	if (c->is_last_file && is_torn(c) && c->odd.s[c->odd.len - 1] != '\n') {
		c->v->torn++;
		clear_odd(c);
	} else {
		tell_odd(c);
	}
}

void log_check_file(struct log_check *c, const char *file, bool is_last)
{
	end_file(c);
	c->v->files++;
	c->file = file;
	c->line = 0;
	c->is_last_file = is_last;
}

void log_check_end(struct log_check *c)
{
	const struct chain_link *last = &c->v->last;
	uint64_t head = c->head ? c->head->last.number : 0;

	end_file(c);
	buf_free(&c->odd);
	if (c->v->first > 1 && !c->is_first_told)
		tell(c, c->first_file, 1,
		     "lines number 1 to %" PRIu64
		     " are missing before this line, and no rotation tells of having removed the "
		     "last of them",
		     c->v->first - 1);
	if (!c->head) {
		if (c->v->files)
			tell(c, c->file, 0,
			     "there is no head (.head), or it is none: lines may have been removed "
			     "at the end");
		return;
	}
	if (head > last->number)
		tell(c, c->file, c->line + 1,
		     "lines number %" PRIu64 " to %" PRIu64 " are missing at the end",
		     last->number + 1, head);
	else if (c->head_differs && head == last->number)
		tell_changed(c);
	else if (c->head_differs)
		tell(c, c->file, 0, "line number %" PRIu64 " is not the one of the head",
		     head);
	else
		c->v->unrecorded = last->number - head;
}

/* --- the files --- */

static int check_one(struct log_check *c, const struct log_set_file *file)
{
	struct log_lines l = {};
	struct log_line line;
	int r = log_lines_open(&l, file->fd, 0, (uint64_t)file->st.st_size);

	if (r < 0)
		return r;
	while ((r = log_lines_next(&l, &line)) > 0)
		log_check_line(c, &line, true);
	if (r == 0)
		r = log_lines_rest(&l, &line);
	if (r > 0)
		log_check_line(c, &line, false);
	log_lines_close(&l);
	return r < 0 ? r : 0;
}

int log_verify(const char *path, struct log_verify *v, struct err *e)
{
	_log_set_close_ struct log_set s = {};
	struct log_check c = { .v = v, .name = base_name(path), .file = path };
	int r = log_set_open(path, &s, e);

	if (r < 0)
		return r;
	c.head = s.has_head ? &s.head : NULL;
	for (size_t i = 0; r == 0 && i < s.files.n; i++) {
		log_check_file(&c, s.files.v[i].path, i + 1 == s.files.n);
		r = check_one(&c, &s.files.v[i]);
		if (r < 0)
			err_errno(e, r, "cannot read '%s'", s.files.v[i].path);
	}
	log_check_end(&c);
	return r;
}
