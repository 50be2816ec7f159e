/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of events for `purple report`: what was denied and by which rule, which hosts and files were
 * touched. The lines hold what programs of sandboxes chose; it goes into tables as it is, and is
 * cleaned where it is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/log_read.h"
#include "base/fd.h"
#include "base/num.h"
#include "cmd/purple/event_text.h"
#include "cmd/purple/report.h"
#include "container/state.h"

#define LINE_MAX_LEN (1u << 20)
#define TARGET_MAX 160

/* How many events a line stands for. */
static int64_t count_of(const struct json *j)
{
	int64_t n;

	return num_i64(event_text_at(j, "count", NULL), &n) == 0 && n > 0 ? n : 1;
}

static const char *either(const char *a, const char *b)
{
	return *a ? a : b;
}

static void write_target(const struct json *j, struct buf *out)
{
	const struct json *dns = json_get(j, "dns"), *ai = json_get(j, "gen_ai");
	const char *port = event_text_at(j, "destination", "port");

	if (ai && ai->type == JSON_MAP)
		buf_adds(out, event_text_at(ai, "request", "model"));
	else if (dns && dns->type == JSON_MAP)
		buf_adds(out, event_text_at(dns, "question", "name"));
	else if (*event_text_at(j, "file", "path"))
		buf_adds(out, event_text_at(j, "file", "path"));
	else
		buf_adds(out, either(event_text_at(j, "destination", "domain"),
				     event_text_at(j, "destination", "ip")));
	if (*port && out->len)
		buf_addf(out, ":%s", port);
	if (out->len > TARGET_MAX)
		out->s[out->len = TARGET_MAX] = '\0';
}

/* Denials that neither records of runs nor state folders have. */
static bool is_traced(const char *type)
{
	static const char *const types[] = { "file", "syscall", "privilege", "process" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(types[i], type))
			return true;
	return false;
}

static void take_denial(struct report *r, const struct json *j, enum report_source from)
{
	const char *type = event_text_at(j, "type", NULL);
	const char *verdict = event_text_at(j, "verdict", NULL);
	bool is_deny = streq(verdict, "deny");
	const char *keys[] = { either(event_text_at(j, "rule", "name"),
				      either(event_text_at(j, "reason", NULL),
					     event_text_at(j, "event", "action"))),
			       event_text_at(j, "rule", "reference"),
			       event_text_at(j, "rule", "ruleset"), type };
	_buf_free_ struct buf target = {};
	struct report_row *row;

	if ((!is_deny && !streq(verdict, "audit")) ||
	    (from == REPORT_FROM_LOG) != is_traced(type))
		return;
	row = report_find(&r->tables[REPORT_DENIALS], keys, &r->failed);
	if (!row)
		return;
	write_target(j, &target);
	r->failed |= target.failed;
	report_add(row, is_deny ? 4 : 5, count_of(j));
	if (target.len && !row->cells[6].is_set)
		report_set_text(row, 6, target.s, &r->failed);
	if (is_deny)
		r->denied += count_of(j);
}

static void take_host(struct report *r, const struct json *j, const char *type)
{
	const char *verdict = event_text_at(j, "verdict", NULL);
	_buf_free_ struct buf name = {};
	const char *keys[1];
	struct report_row *row;
	int column = streq(verdict, "deny") ? 2 : 1;

	if (streq(event_text_at(j, "event", "action"), "bind"))
		return;
	write_target(j, &name);
	if (!name.len)
		return;
	keys[0] = name.s;
	row = report_find(&r->tables[REPORT_HOSTS], keys, &r->failed);
	if (!row)
		return;
	if (streq(type, "dns"))
		report_add(row, 3, 1);
	if (column == 2 || !streq(type, "dns"))
		report_add(row, column, count_of(j));
	report_add(row, 4, count_of(j));
}

static void take_file(struct report *r, const struct json *j)
{
	const char *keys[] = { event_text_at(j, "file", "path") };
	const char *action = event_text_at(j, "event", "action");
	struct report_row *row;
	int column = 1;

	if (!*keys[0])
		return;
	row = report_find(&r->tables[REPORT_FILES], keys, &r->failed);
	if (!row)
		return;
	if (streq(event_text_at(j, "verdict", NULL), "deny"))
		column = 4;
	else if (streq(action, "remove") || streq(action, "rename"))
		column = 3;
	else if (!streq(action, "open") ||
		 strstr(event_text_at(j, "file", "access"), "write"))
		column = 2;
	report_add(row, column, count_of(j));
	report_add(row, 5, count_of(j));
}

void report_take_line(struct report *r, const struct json *j, enum report_source from)
{
	const char *type = event_text_at(j, "type", NULL);

	if (report_time(event_text_at(j, "@timestamp", NULL)) < r->since)
		return;
	take_denial(r, j, from);
	if (from == REPORT_FROM_EVENTS_OF_AUDITED)
		return;
	if (streq(type, "network") || streq(type, "dns"))
		take_host(r, j, type);
	else if (streq(type, "file"))
		take_file(r, j);
}

int report_read_events(struct report *r, int dirfd, enum report_source from, struct err *e)
{
	_close_ int fd = openat(dirfd, CONTAINER_EVENTS,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_fclose_ FILE *f = NULL;
	_free_ char *line = NULL;
	struct stat st;
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open the events");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_STATE, EINVAL, "the events are no file");
	f = fdopen(fd, "r");
	if (!f)
		return err_sys(e, "cannot read the events");
	take_fd(&fd);
	while (!r->failed && (n = getline(&line, &size, f)) > 0) {
		_json_free_ struct json *j = NULL;
		struct err unused;

		/* What a full disk left of one, or the last one, which is being written. */
		if ((size_t)n > LINE_MAX_LEN || line[n - 1] != '\n' ||
		    json_parse(line, (size_t)n, "line", &j, &unused) < 0 ||
		    j->type != JSON_MAP)
			continue;
		report_take_line(r, j, from);
	}
	if (ferror(f))
		return err_set(e, ERR_STATE, EIO, "cannot read the events");
	return r->failed ? err_oom(e) : 0;
}

int report_read_logs(struct report *r, const struct strv *logs, struct err *e)
{
	const struct audit_query q = { .since = r->since_text };
	struct audit_reader *reader = NULL;
	struct audit_line line;
	int code = audit_reader_open(logs, &q, &reader, e);
	size_t odd;

	while (code == 0 && !r->failed && (code = audit_reader_next(reader, &line, e)) == 1) {
		report_take_line(r, line.json, REPORT_FROM_LOG);
		code = 0;
	}
	odd = code == 0 ? audit_reader_odd(reader) : 0;
	if (odd)
		r->failed |= strv_addf(&r->notes,
				       "audit logs: %zu lines that no recorder wrote were left out "
				       "(see purple audit verify)",
				       odd) < 0;
	audit_reader_free(reader);
	return r->failed ? err_oom(e) : code;
}
