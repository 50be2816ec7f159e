/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple audit: what audited policies recorded, of all containers; and audit verify: whether a log is
 * what was recorded. Runs as root, whose the logs are; reads only. The lines hold what programs of the
 * containers chose: they are printed as JSON, or cleaned.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "audit/log_read.h"
#include "audit/log_verify.h"
#include "base/fd.h"
#include "base/log.h"
#include "cmd/purple/audit_logs.h"
#include "cmd/purple/audit_time.h"
#include "cmd/purple/event_text.h"
#include "cmd/purple/purple.h"

#define CHUNK 65536
#define LOOK_MS 1000 /* for logs in folders that are not there yet */
#define PROBLEMS_MAX 100

enum audit_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct audit_options {
	const char *policy, *since, *until, *type, *decision, *format;
	bool follow;
};

static const struct option_row rows[] = {
	OPTION(audit_options, policy, "policy", 0, OPTION_STRING, "NAME",
	       "the log of this policy alone"),
	OPTION(audit_options, since, "since", 0, OPTION_STRING, "TIME",
	       "from then on: 2026-11-22, 2026-11-22T15:04:05 (UTC), or 90s, 10m, 2h, 3d ago"),
	OPTION(audit_options, until, "until", 0, OPTION_STRING, "TIME", "before then"),
	OPTION(audit_options, type, "type", 't', OPTION_STRING, "TYPE",
	       "only lines of this type: network, dns, llm_call ..."),
	OPTION(audit_options, decision, "decision", 0, OPTION_STRING, "DECISION",
	       "only what was denied, or allowed"),
	OPTION(audit_options, format, "format", 0, OPTION_STRING, "FORMAT",
	       "text (default), json (one object a line) or csv"),
	OPTION(audit_options, follow, "follow", 'f', OPTION_FLAG, NULL,
	       "go on with what is recorded from now on"),
	{},
};

struct printer {
	enum audit_format format;
	bool one_container;
	struct buf out;
};

/* --- lines --- */

/* The text, with the container behind the time. */
static void print_line_text(struct printer *p, const struct json *j)
{
	_buf_free_ struct buf text = {};
	size_t time;

	event_write_text(&text, j);
	if (text.failed) {
		p->out.failed = true;
		return;
	}
	time = strcspn(text.s, " ");
	buf_add(&p->out, text.s, time);
	if (!p->one_container) {
		buf_adds(&p->out, " ");
		print_plain(&p->out, event_text_at(j, "container", "id"), 0);
	}
	buf_adds(&p->out, text.s + time);
	buf_adds(&p->out, "\n");
}

static const struct {
	const char *name, *a, *b;
} columns[] = {
	{ "time", "@timestamp", NULL },	   { "container", "container", "id" },
	{ "type", "type", NULL },	   { "verdict", "verdict", NULL },
	{ "action", "event", "action" },   { "outcome", "event", "outcome" },
	{ "pid", "process", "pid" },	   { "process", "process", "name" },
	{ "file", "file", "path" },	   { "ip", "destination", "ip" },
	{ "port", "destination", "port" }, { "domain", "destination", "domain" },
	{ "rule", "rule", "name" },	   { "reference", "rule", "reference" },
	{ "policy", "rule", "ruleset" },   { "count", "count", NULL },
	{ "number", "line", "number" },
};

static void print_header(struct printer *p)
{
	if (p->format != FORMAT_CSV)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		buf_addf(&p->out, "%s,", columns[i].name);
	buf_adds(&p->out, "log,text\n");
}

static void print_line_csv(struct printer *p, const struct audit_line *line)
{
	_buf_free_ struct buf text = {};

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		print_csv(&p->out, event_text_at(line->json, columns[i].a, columns[i].b));
		buf_adds(&p->out, ",");
	}
	print_csv(&p->out, line->log);
	buf_adds(&p->out, ",");
	event_write_text(&text, line->json);
	print_csv(&p->out, text.s ? text.s : "");
	buf_adds(&p->out, "\n");
	p->out.failed |= text.failed;
}

static void print_line(struct printer *p, const struct audit_line *line)
{
	switch (p->format) {
	case FORMAT_TEXT:
		print_line_text(p, line->json);
		break;
	case FORMAT_JSON:
		buf_add(&p->out, line->text, line->len);
		buf_adds(&p->out, "\n");
		break;
	case FORMAT_CSV:
		print_line_csv(p, line);
		break;
	}
}

/* *ret_gone: nobody reads what is printed. */
static int print_out(struct printer *p, bool *ret_gone, struct err *e)
{
	int r;

	if (p->out.failed)
		return err_oom(e);
	r = p->out.len ? fd_write_all(STDOUT_FILENO, p->out.s, p->out.len) : 0;
	p->out.len = 0;
	*ret_gone = r == -EPIPE;
	return r < 0 && !*ret_gone ? err_errno(e, r, "cannot write to stdout") : 0;
}

/* All that is there now. */
static int print_lines(struct audit_reader *reader, struct printer *p, bool *ret_gone,
		       struct err *e)
{
	struct audit_line line;
	int r;

	*ret_gone = false;
	while (!*ret_gone && (r = audit_reader_next(reader, &line, e)) != 0) {
		if (r < 0)
			return r;
		print_line(p, &line);
		if (p->out.len < CHUNK && !p->out.failed)
			continue;
		r = print_out(p, ret_gone, e);
		if (r < 0)
			return r;
	}
	return *ret_gone ? 0 : print_out(p, ret_gone, e);
}

static int follow(struct audit_reader *reader, struct printer *p, struct err *e)
{
	int watch = audit_reader_watch(reader, e);
	bool gone = false;
	int r = 0;

	if (watch < 0)
		return watch;
	while (r == 0 && !gone) {
		struct pollfd fds[] = { { .fd = watch, .events = POLLIN },
					{ .fd = STDOUT_FILENO } };

		r = print_lines(reader, p, &gone, e);
		if (r < 0 || gone)
			break;
		(void)poll(fds, ARRAY_SIZE(fds), LOOK_MS);
		gone = fds[1].revents & (POLLERR | POLLNVAL);
	}
	return r;
}

/* --- verify --- */

static void print_problem(void *arg, const char *file, uint64_t line, const char *text)
{
	const struct log_verify *v = arg;

	if (v->problems > PROBLEMS_MAX)
		return;
	if (line)
		printf("%s:%" PRIu64 ": %s\n", file, line, text);
	else
		printf("%s: %s\n", file, text);
}

static int verify_one(const char *path, bool *ret_sound, struct err *e)
{
	struct log_verify v = { .tell = print_problem };
	char hex[CHAIN_HEX_SIZE];
	int r;

	v.arg = &v;
	r = log_verify(path, &v, e);
	if (r < 0)
		return r;
	if (v.files == 0 && v.problems == 0)
		return err_set(e, ERR_STATE, ENOENT, "there is no audit log '%s'", path);
	if (v.problems) {
		*ret_sound = false;
		printf("%s: %zu problems in %" PRIu64 " lines\n", path, v.problems, v.lines);
		return 0;
	}
	chain_hex(v.last.hash, hex);
	printf("%s: %" PRIu64 " lines in %zu files are as they were written", path,
	       v.lines, v.files);
	if (v.first > 1)
		printf(", from number %" PRIu64
		       " on (those before it were removed by rotation)",
		       v.first);
	if (v.torn)
		printf(", besides %" PRIu64 " that a killed writer left unfinished", v.torn);
	if (v.unrecorded)
		printf(", the last %" PRIu64 " by a writer that was killed", v.unrecorded);
	printf("; number %" PRIu64 " has SHA-256 %s\n", v.last.number, hex);
	return 0;
}

/* A rotated file or a head stands for its log. */
static char *log_of(const char *path)
{
	size_t n = strlen(path), digits = n;

	if (str_has_suffix(path, ".head"))
		return str_printf("%.*s", (int)(n - strlen(".head")), path);
	while (digits && path[digits - 1] >= '0' && path[digits - 1] <= '9')
		digits--;
	return str_printf("%.*s",
			  (int)(digits < n && digits && path[digits - 1] == '.' ? digits - 1 :
										  n),
			  path);
}

static bool is_there(const char *path)
{
	_free_ char *first = str_printf("%s.1", path), *head = str_printf("%s.head", path);

	return access(path, F_OK) == 0 || (first && access(first, F_OK) == 0) ||
	       (head && access(head, F_OK) == 0);
}

static int verify(const char *root, const char *file, const struct audit_options *o,
		  int *ret_status, struct err *e)
{
	_strv_free_ struct strv logs = {};
	bool sound = true;
	size_t n = 0;
	int r = 0;

	if (o->since || o->until || o->type || o->decision || o->format || o->follow)
		return err_set(e, ERR_USAGE, EINVAL, "audit verify: takes --policy alone");
	if (file && o->policy)
		return err_set(e, ERR_USAGE, EINVAL,
			       "audit verify: either a file or --policy");
	if (file) {
		_free_ char *log = log_of(file);

		r = log && strv_add(&logs, log) == 0 ? 0 : err_oom(e);
	} else {
		r = audit_logs_find(root, NULL, o->policy, &logs, e);
	}
	for (size_t i = 0; r == 0 && i < logs.n; i++) {
		if (!file && !is_there(logs.v[i]))
			continue;
		r = verify_one(logs.v[i], &sound, e);
		n++;
	}
	if (r == 0 && n == 0)
		r = err_set(e, ERR_STATE, ENOENT, "there is no audit log%s%s",
			    o->policy ? " of policy " : "", o->policy ? o->policy : "");
	if (fflush(stdout) != 0 && r == 0)
		r = err_sys(e, "cannot write to stdout");
	*ret_status = sound ? 0 : 1;
	return r;
}

/* --- the command --- */

static int parse_format(const char *text, enum audit_format *ret, struct err *e)
{
	static const char *const names[] = { "text", "json", "csv" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (streq(text ? text : "text", names[i])) {
			*ret = (enum audit_format)i;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, EINVAL, "--format '%s': expected text, json or csv",
		       text);
}

static int parse_decision(const char *text, enum audit_decision *ret, struct err *e)
{
	if (text && !streq(text, "denied") && !streq(text, "allowed"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--decision '%s': expected denied or allowed", text);
	*ret = !text ? AUDIT_ANY : streq(text, "denied") ? AUDIT_DENIED : AUDIT_ALLOWED;
	return 0;
}

static int check_type(const char *type, struct err *e)
{
	_buf_free_ struct buf names = {};

	if (!type || event_type_is_known(type))
		return 0;
	event_type_names(&names);
	return err_set(e, ERR_USAGE, EINVAL,
		       "--type '%s': there is none of that name: expected one of %s",
		       type, names.s ? names.s : "");
}

static int parse_query(const struct audit_options *o, char since[AUDIT_TIME_SIZE],
		       char until[AUDIT_TIME_SIZE], struct audit_query *q, struct err *e)
{
	time_t now = time(NULL);
	int r = check_type(o->type, e);

	q->type = o->type;
	if (r == 0)
		r = parse_decision(o->decision, &q->decision, e);
	if (r == 0 && o->since) {
		q->since = since;
		r = audit_time_parse(o->since, now, since, e);
	}
	if (r == 0 && o->until) {
		q->until = until;
		r = audit_time_parse(o->until, now, until, e);
	}
	return r;
}

/* Lines that are left out are not left out silently. */
static int print_odd(size_t n, struct printer *p, struct err *e)
{
	bool gone;

	if (n == 0)
		return 0;
	if (p->format != FORMAT_TEXT) {
		log_warn("%zu lines that no recorder wrote were left out", n);
		return 0;
	}
	buf_addf(&p->out,
		 "(%zu lines that no recorder wrote were left out: see purple audit verify)\n",
		 n);
	return print_out(p, &gone, e);
}

static int show(const char *root, const struct audit_options *o,
		const struct audit_query *q, struct printer *p, struct err *e)
{
	_strv_free_ struct strv logs = {};
	struct audit_reader *reader = NULL;
	bool gone;
	int r = audit_logs_find(root, q->container, o->policy, &logs, e);

	if (r < 0)
		return r;
	if (logs.n == 0)
		return err_set(e, ERR_STATE, ENOENT,
			       "there is no audit log: no policy with audit has been used");
	r = audit_reader_open(&logs, q, &reader, e);
	if (r < 0)
		return r;
	print_header(p);
	r = o->follow ? follow(reader, p, e) : print_lines(reader, p, &gone, e);
	if (r == 0)
		r = print_odd(audit_reader_odd(reader), p, e);
	audit_reader_free(reader);
	return r;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const char *root = ((const struct purple_globals *)global)->root;
	const struct audit_options *o = opts;
	char since[AUDIT_TIME_SIZE], until[AUDIT_TIME_SIZE];
	struct audit_query q = { .container = n ? args[0] : NULL };
	struct printer p = { .one_container = n > 0 };
	int r;

	if (n && streq(args[0], "verify"))
		return verify(root, args[1], o, ret_status, e);
	if (n > 1)
		return err_set(e, ERR_USAGE, EINVAL,
			       "audit: expected one container, or verify [FILE]");
	r = parse_format(o->format, &p.format, e);
	if (r == 0)
		r = parse_query(o, since, until, &q, e);
	if (r == 0)
		r = show(root, o, &q, &p, e);
	buf_free(&p.out);
	return r;
}

const struct command purple_audit_command = {
	.name = "audit",
	.arguments = "[ID] | verify [FILE]",
	.help = "Print what policies with audit recorded of their containers, also of those that "
		"are gone; or say whether the logs are what was recorded: no line changed, removed "
		"or added.",
	.options = rows,
	.options_size = sizeof(struct audit_options),
	.min_args = 0,
	.max_args = 2,
	.run = run,
};
