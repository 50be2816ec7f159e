/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple events: what a container's network filter denied and its forwarder was asked, and what came
 * of its LLM calls, as its monitor and its gateway write it to events.jsonl in the state folder; of
 * one that is audited also what stands in its audit logs alone. Runs as root, whose the files are;
 * reads only. The lines hold what programs of the container chose: they are printed as JSON, or
 * cleaned.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/config.h"
#include "audit/log_read.h"
#include "base/fd.h"
#include "base/json.h"
#include "cmd/purple/audit_time.h"
#include "cmd/purple/event_text.h"
#include "cmd/purple/purple.h"
#include "container/container.h"
#include "container/gateway.h"
#include "container/monitor.h"

#define CHUNK 65536
#define LOOK_MS 1000 /* whether the monitor still lives */
#define DELETE_LOOKS 3

struct events_options {
	const char *format, *type;
	bool follow, denied;
};

static const struct option_row rows[] = {
	OPTION(events_options, denied, "denied", 0, OPTION_FLAG, NULL,
	       "only what was denied"),
	OPTION(events_options, follow, "follow", 'f', OPTION_FLAG, NULL,
	       "go on until the container has ended"),
	OPTION(events_options, format, "format", 0, OPTION_STRING, "FORMAT",
	       "text (default) or json, one object a line"),
	OPTION(events_options, type, "type", 't', OPTION_STRING, "TYPE",
	       "only lines of this type: network, dns, llm_call, llm_denied, budget_exceeded ..."),
	{},
};

struct reader {
	const struct events_options *o;
	struct audit_reader *lines;
	bool json;
	bool has_monitor, has_gateway; /* the container has */
	bool saw_end, saw_stop;	       /* their last lines */
	struct buf out;
};

/* --- lines --- */

static void take_line(struct reader *r, const struct audit_line *line)
{
	const struct json *j = line->json;
	const char *type = event_text_at(j, "type", NULL);

	r->saw_end |= streq(type, "end");
	r->saw_stop |= streq(type, "gateway_stopped") || streq(type, "gateway_died");
	if ((r->o->type && !streq(r->o->type, type)) ||
	    (r->o->denied && !streq(event_text_at(j, "verdict", NULL), "deny")))
		return;
	if (r->json)
		buf_add(&r->out, line->text, line->len);
	else
		event_write_text(&r->out, j);
	buf_adds(&r->out, "\n");
}

static int print_out(struct reader *r, bool *ret_gone, struct err *e)
{
	int w;

	if (r->out.failed)
		return err_oom(e);
	w = r->out.len ? fd_write_all(STDOUT_FILENO, r->out.s, r->out.len) : 0;
	r->out.len = 0;
	*ret_gone = w == -EPIPE;
	return w < 0 && !*ret_gone ? err_errno(e, w, "cannot write to stdout") : 0;
}

/* All whole lines that are there now. *ret_gone: nobody reads what is printed. */
static int read_lines(struct reader *r, bool *ret_gone, struct err *e)
{
	struct audit_line line;
	int code;

	while ((code = audit_reader_next(r->lines, &line, e)) > 0) {
		take_line(r, &line);
		if (r->out.len < CHUNK && !r->out.failed)
			continue;
		code = print_out(r, ret_gone, e);
		if (code < 0 || *ret_gone)
			return code;
	}
	return code < 0 ? code : print_out(r, ret_gone, e);
}

/* Until there may be more, or a while has gone by. False: nobody reads any more. */
static bool wait_for_more(int watch)
{
	struct pollfd p[] = { { .fd = watch, .events = POLLIN }, { .fd = STDOUT_FILENO } };
	char events[4096];

	if (poll(p, ARRAY_SIZE(p), LOOK_MS) > 0 && p[0].revents)
		(void)!read(watch, events, sizeof(events));
	return !(p[1].revents & POLLERR);
}

static bool is_deleted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* A delete ends the monitor, too, and a moment later the file goes. */
static bool is_being_deleted(int fd, int watch)
{
	for (int i = 0; i < DELETE_LOOKS && !is_deleted(fd); i++)
		if (!wait_for_more(watch))
			break;
	return is_deleted(fd);
}

/* Nothing more is to come from those that the container has, or their ends would be there. */
static bool has_ended(const struct reader *r)
{
	return (r->saw_end || !r->has_monitor) && (r->saw_stop || !r->has_gateway);
}

/* Those of whom something may come yet. */
static bool is_written(const struct reader *r, const struct container *c)
{
	return (r->has_monitor && !r->saw_end && monitor_is_running(c)) ||
	       (r->has_gateway && !r->saw_stop && container_gateway_is_running(c));
}

static int follow(struct reader *r, const struct container *c, int fd, struct err *e)
{
	int watch = audit_reader_watch(r->lines, e);
	bool gone = false, last;
	int code = watch < 0 ? watch : 0;

	while (code == 0 && !gone && !has_ended(r)) {
		/* Looked at before the file: what they wrote last is read after their end. */
		last = !is_written(r, c);
		code = read_lines(r, &gone, e);
		if (last && code == 0 && !gone && !has_ended(r) &&
		    !is_being_deleted(fd, watch))
			code = err_set(e, ERR_STATE, ESRCH,
				       "container %s: its %s is not running: nothing more is "
				       "recorded",
				       c->st.id,
				       r->has_monitor && !r->saw_end ? "monitor" :
								       "gateway");
		if (last || (code == 0 && !gone && !has_ended(r) && !wait_for_more(watch)))
			break;
	}
	return code;
}

static int check_options(const struct events_options *o, bool *ret_json, struct err *e)
{
	_buf_free_ struct buf names = {};

	event_type_names(&names);
	if (o->type && !event_type_is_known(o->type))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--type '%s': there is none of that name: expected one of %s",
			       o->type, names.s ? names.s : "");
	*ret_json = o->format && streq(o->format, "json");
	if (o->format && !*ret_json && !streq(o->format, "text"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--format '%s': expected text or json", o->format);
	return 0;
}

/* Since its id is its own: another one may have had it before. */
static void since_created(const struct container *c, char ret[AUDIT_TIME_SIZE],
			  struct audit_query *q)
{
	const char *created = c->st.created ? c->st.created : "";

	if (strlen(created) < AUDIT_TIME_SIZE - 1)
		return;
	snprintf(ret, AUDIT_TIME_SIZE, "%.26sZ", created);
	q->since = ret;
}

static int show(struct reader *r, const struct container *c, int fd, struct err *e)
{
	_audit_config_clear_ struct audit_config config = {};
	_strv_free_ struct strv logs = {};
	_free_ char *path = str_printf("%s/" MONITOR_LOG, c->dir);
	struct audit_query q = { .container = c->st.id };
	char since[AUDIT_TIME_SIZE];
	struct err unused;
	bool gone = false;
	int code = audit_config_load(c->dirfd, &config, &unused);

	if (code < 0 && code != -ENOENT) {
		*e = unused;
		return code;
	}
	for (size_t i = 0; i < config.logs.n; i++)
		if (strv_add(&logs, config.logs.v[i].path) < 0)
			return err_oom(e);
	if (!path)
		return err_oom(e);
	since_created(c, since, &q);
	code = audit_reader_open(&logs, &q, &r->lines, e);
	if (code == 0)
		code = audit_reader_add_plain(r->lines, path, e);
	if (code == 0)
		code = r->o->follow ? follow(r, c, fd, e) : read_lines(r, &gone, e);
	audit_reader_free(r->lines);
	buf_free(&r->out);
	return code;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	struct reader r = { .o = opts };
	_container_close_ struct container c = CONTAINER_EMPTY;
	_close_ int fd = -1;
	int code = check_options(opts, &r.json, e);

	if (code == 0)
		code = container_open(g->root, args[0], false, &c, e);
	if (code < 0)
		return code;
	r.has_monitor = c.st.monitor_pid > 0;
	r.has_gateway = c.st.gateway_pid > 0;
	fd = openat(c.dirfd, MONITOR_LOG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_STATE, ENOENT,
			       "container %s has no events: no policy of it has a network that is "
			       "not isolated, lets it call LLMs, or is audited",
			       args[0]);
	if (fd < 0)
		return err_sys(e, "cannot open '%s/" MONITOR_LOG "'", c.dir);
	return show(&r, &c, fd, e);
}

const struct command purple_events_command = {
	.name = "events",
	.arguments = "ID",
	.help = "Print what a container's network rules denied, by whom and which rule, which names "
		"were asked for, and what came of its LLM calls; of an audited one, all that is "
		"recorded.",
	.options = rows,
	.options_size = sizeof(struct events_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
