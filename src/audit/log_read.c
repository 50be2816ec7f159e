/* SPDX-License-Identifier: Apache-2.0 */
/* See log_read.h. */
#include "audit/log_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/chain.h"
#include "audit/log_lines.h"
#include "audit/log_set.h"
#include "base/fd.h"
#include "base/list.h"

/* How lines begin: what is out of the time that is asked for is not parsed. */
#define TIME_MEMBER "{\"@timestamp\":\""
#define SEEN_MAX 4096 /* lines of several logs that are remembered; a power of two */
#define TIME_LEN 27   /* 2026-01-01T00:00:00.000000Z */

struct source {
	const char *path;
	bool is_plain;
	struct log_set set;
	size_t at; /* the file that is read */
	struct log_lines lines;
	bool is_open;
	/* the line that is next */
	struct log_line line;
	size_t body; /* of it, what is not the recorder's */
	struct json *json;
	const char *time;
};

/* A line that was given lately. */
struct seen {
	uint8_t hash[CHAIN_HASH_SIZE]; /* of its body */
	const struct source *source;
};

struct audit_reader {
	const struct audit_query *q;
	LIST_OF(struct source) sources;
	struct source *given;
	struct seen *seen; /* SEEN_MAX; by their hashes */
	int watch;
	size_t odd;
};

/* --- one line --- */

static const char *text_at(const struct json *j, const char *a, const char *b)
{
	j = json_get(j, a);
	if (j && b)
		j = j->type == JSON_MAP ? json_get(j, b) : NULL;
	return j && j->type == JSON_TEXT ? j->text : "";
}

static enum audit_decision decision_of(const struct json *j)
{
	const char *verdict = text_at(j, "verdict", NULL);

	if (streq(verdict, "deny"))
		return AUDIT_DENIED;
	/* With enforcement: audit, it has passed. */
	if (streq(verdict, "allow") || streq(verdict, "audit"))
		return AUDIT_ALLOWED;
	return !*verdict && streq(text_at(j, "event", "outcome"), "success") ?
		       AUDIT_ALLOWED :
		       AUDIT_ANY;
}

static bool is_in_time(const struct audit_query *q, const char *time, size_t len)
{
	char text[TIME_LEN + 1] = {};

	memcpy(text, time, len < TIME_LEN ? len : TIME_LEN);
	return (!q->since || strcmp(text, q->since) >= 0) &&
	       (!q->until || strcmp(text, q->until) < 0);
}

/* Without parsing it: whether it cannot be wanted. */
static bool is_out(const struct audit_query *q, const struct source *s,
		   const struct log_line *line, const struct chain_tail *tail)
{
	const size_t n = sizeof(TIME_MEMBER) - 1;

	if (!s->is_plain && q->container &&
	    (strlen(q->container) != tail->writer_len ||
	     memcmp(q->container, tail->writer, tail->writer_len) != 0))
		return true;
	return line->len > n + TIME_LEN && memcmp(line->s, TIME_MEMBER, n) == 0 &&
	       !is_in_time(q, line->s + n, TIME_LEN);
}

/* What there is of a line besides its JSON. False: it is none. */
static bool take_tail(const struct source *s, const struct log_line *line,
		      struct chain_tail *ret)
{
	if (line->too_long)
		return false;
	if (!s->is_plain)
		return chain_tail_of(line->s, line->len, ret);
	*ret = (struct chain_tail){ .body = line->len ? line->len - 1 : 0 };
	return true;
}

/* Nobody speaks for another container. */
static bool is_writers_own(const struct source *s, const struct chain_tail *tail)
{
	const char *id = text_at(s->json, "container", "id");

	return s->is_plain || (strlen(id) == tail->writer_len &&
			       memcmp(id, tail->writer, tail->writer_len) == 0);
}

static bool is_wanted(const struct audit_query *q, const struct source *s)
{
	return is_in_time(q, s->time, strlen(s->time)) &&
	       (!q->container || streq(q->container, text_at(s->json, "container", "id"))) &&
	       (!q->type || streq(q->type, text_at(s->json, "type", NULL))) &&
	       (q->decision == AUDIT_ANY || q->decision == decision_of(s->json));
}

/* Whether it is wanted; then it is the source's next one. */
static bool take(struct audit_reader *r, struct source *s, const struct log_line *line)
{
	struct chain_tail tail;
	struct err e;

	if (!take_tail(s, line, &tail)) {
		r->odd++;
		return false;
	}
	if (is_out(r->q, s, line, &tail))
		return false;
	if (json_parse(line->s, line->len, "line", &s->json, &e) < 0) {
		s->json = NULL;
		r->odd++;
		return false;
	}
	s->time = s->json->type == JSON_MAP ? text_at(s->json, "@timestamp", NULL) : "";
	if (!*s->time || !is_writers_own(s, &tail)) {
		r->odd++;
	} else if (is_wanted(r->q, s)) {
		s->line = *line;
		s->body = tail.body;
		return true;
	}
	json_free(take_ptr(&s->json));
	return false;
}

/* --- one log --- */

static int open_file(struct source *s, uint64_t from, struct err *e)
{
	const struct log_set_file *f = &s->set.files.v[s->at];
	int r = log_lines_open(&s->lines, f->fd, from, (uint64_t)f->st.st_size);

	s->is_open = r == 0;
	return r < 0 ? err_oom(e) : 0;
}

static void close_file(struct source *s)
{
	if (s->is_open)
		log_lines_close(&s->lines);
	s->is_open = false;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A file that is no log. */
static int open_plain(const char *path, struct log_set *ret, struct err *e)
{
	struct log_set s = {};
	struct log_set_file *f;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open '%s'", path);
	f = list_add(&s.files);
	if (!f) {
		close(fd);
		return err_oom(e);
	}
	*f = (struct log_set_file){ .path = strdup(path), .fd = fd };
	*ret = s;
	if (!f->path)
		return err_oom(e);
	return fstat(fd, &f->st) < 0 ? err_sys(e, "cannot look at '%s'", path) : 0;
}

/* The log's files were renamed, or have come: goes on where it was. */
static int reopen(struct source *s, struct err *e)
{
	const uint64_t from = s->is_open ? s->lines.at : 0;
	_log_set_close_ struct log_set set = {};
	size_t at = 0, n;
	bool found = false;
	int r = s->is_plain ? open_plain(s->path, &set, e) : log_set_open(s->path, &set, e);

	if (r < 0)
		return r;
	n = set.files.n;
	for (size_t i = 0; s->is_open && !found && i < set.files.n; i++) {
		found = is_same(&set.files.v[i].st, &s->set.files.v[s->at].st);
		at = found ? i : 0;
	}
	close_file(s);
	log_set_close(&s->set);
	s->set = set;
	set = (struct log_set){};
	s->at = at;
	return n ? open_file(s, found ? from : 0, e) : 0;
}

/* At the end of what is known of the newest file. 1: there may be more. */
static int look_for_more(struct source *s, struct err *e)
{
	struct stat now = {}, named;
	int r;

	if (s->is_open && fstat(s->lines.fd, &now) == 0 &&
	    (uint64_t)now.st_size > s->lines.end) {
		s->lines.end = (uint64_t)now.st_size;
		return 1;
	}
	if (s->is_open && stat(s->path, &named) == 0 && is_same(&named, &now))
		return 0;
	if (!s->is_open && access(s->path, F_OK) < 0)
		return 0;
	r = reopen(s, e);
	return r < 0 ? r : s->is_open && s->at + 1 < s->set.files.n;
}

/* The source's next line: 1; 0: there is none now. */
static int advance(struct audit_reader *r, struct source *s, struct err *e)
{
	struct log_line line;
	uint64_t seen = UINT64_MAX;
	int result;

	for (;;) {
		while (s->is_open && (result = log_lines_next(&s->lines, &line)) != 0) {
			if (result < 0)
				return err_errno(e, result, "cannot read '%s'",
						 s->set.files.v[s->at].path);
			if (take(r, s, &line))
				return 1;
		}
		if (s->is_open && s->at + 1 < s->set.files.n) {
			close_file(s);
			s->at++;
			result = open_file(s, 0, e);
			seen = UINT64_MAX;
		} else {
			/* A part of a line, whose rest is to come. */
			if (s->is_open && seen == s->lines.end)
				return 0;
			seen = s->is_open ? s->lines.end : UINT64_MAX;
			result = look_for_more(s, e);
			if (result == 0)
				return 0;
		}
		if (result < 0)
			return result;
	}
}

/* --- several --- */

static void forget(struct source *s)
{
	json_free(take_ptr(&s->json));
}

/*
 * Whether another log has given it already. Logs may have their lines in another order; of two that
 * are far apart the later one would come twice.
 */
static bool is_copy(struct audit_reader *r, const struct source *s)
{
	uint8_t hash[CHAIN_HASH_SIZE];
	struct seen *seen;
	uint32_t at;

	if (r->sources.n < 2)
		return false;
	chain_hash(s->line.s, s->body, hash);
	memcpy(&at, hash, sizeof(at));
	seen = &r->seen[at % SEEN_MAX];
	if (seen->source && seen->source != s &&
	    memcmp(seen->hash, hash, CHAIN_HASH_SIZE) == 0)
		return true;
	seen->source = s;
	memcpy(seen->hash, hash, CHAIN_HASH_SIZE);
	return false;
}

/* The one of them all that comes next: 1; 0: there is none now. */
static int find_first(struct audit_reader *r, struct source **ret, struct err *e)
{
	struct source *first = NULL;

	for (size_t i = 0; i < r->sources.n; i++) {
		struct source *s = &r->sources.v[i];
		int result = s->json ? 1 : advance(r, s, e);

		if (result < 0)
			return result;
		if (result > 0 && (!first || strcmp(s->time, first->time) < 0))
			first = s;
	}
	*ret = first;
	return first ? 1 : 0;
}

int audit_reader_next(struct audit_reader *r, struct audit_line *ret, struct err *e)
{
	struct source *first;
	char events[4096];
	int result;

	if (r->watch >= 0)
		while (read(r->watch, events, sizeof(events)) > 0)
			;
	if (r->given)
		forget(r->given);
	r->given = NULL;
	while ((result = find_first(r, &first, e)) > 0 && is_copy(r, first))
		forget(first);
	if (result <= 0)
		return result;
	r->given = first;
	*ret = (struct audit_line){ .text = first->line.s,
				    .len = first->line.len,
				    .json = first->json,
				    .log = first->path };
	return 1;
}

size_t audit_reader_odd(const struct audit_reader *r)
{
	return r->odd;
}

static int add_source(struct audit_reader *r, const char *path, bool is_plain, struct err *e)
{
	struct source *s = list_add(&r->sources);

	if (!s)
		return err_oom(e);
	*s = (struct source){ .path = path, .is_plain = is_plain };
	return reopen(s, e);
}

int audit_reader_add_plain(struct audit_reader *r, const char *path, struct err *e)
{
	return add_source(r, path, true, e);
}

int audit_reader_open(const struct strv *logs, const struct audit_query *q,
		      struct audit_reader **ret, struct err *e)
{
	struct audit_reader *r = calloc(1, sizeof(*r));
	int result = 0;

	if (!r)
		return err_oom(e);
	r->q = q;
	r->watch = -1;
	r->seen = calloc(SEEN_MAX, sizeof(*r->seen));
	if (!r->seen)
		result = err_oom(e);
	for (size_t i = 0; result == 0 && i < logs->n; i++)
		result = add_source(r, logs->v[i], false, e);
	if (result < 0) {
		audit_reader_free(r);
		return result;
	}
	*ret = r;
	return 0;
}

int audit_reader_watch(struct audit_reader *r, struct err *e)
{
	if (r->watch >= 0)
		return r->watch;
	r->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (r->watch < 0)
		return err_sys(e, "cannot watch the audit logs");
	for (size_t i = 0; i < r->sources.n; i++) {
		const char *path = r->sources.v[i].path;
		const char *slash = strrchr(path, '/');
		_free_ char *folder =
			slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) :
				strdup(".");

		if (!folder)
			return err_oom(e);
		/* Of a folder that is to come, its caller asks now and then. */
		if (inotify_add_watch(r->watch, folder,
				      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE) < 0 &&
		    errno != ENOENT)
			return err_sys(e, "cannot watch '%s'", folder);
	}
	return r->watch;
}

void audit_reader_free(struct audit_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->sources.n; i++) {
		forget(&r->sources.v[i]);
		close_file(&r->sources.v[i]);
		log_set_close(&r->sources.v[i].set);
	}
	free(r->sources.v);
	free(r->seen);
	fd_close(&r->watch);
	free(r);
}
