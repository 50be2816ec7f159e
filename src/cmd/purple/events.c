/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple events: what a container's network filter denied and its forwarder was asked, and what came
 * of its LLM calls, as its monitor and its gateway write it to events.jsonl in the state folder. Runs as root, whose the folder is; reads
 * only. The lines hold what programs of the container chose: they are printed as JSON, or cleaned.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "cmd/purple/event_text.h"
#include "cmd/purple/purple.h"
#include "container/container.h"
#include "container/gateway.h"
#include "container/monitor.h"

#define CHUNK 65536
#define LINE_MAX_LEN (1u << 20)
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
	bool json;
	bool has_monitor, has_gateway; /* the container has */
	bool saw_end, saw_stop;	       /* their last lines */
	struct buf line;	       /* what is there of it */
	struct buf out;
};

/* --- the file --- */

static void take_line(struct reader *r, const char *line, size_t len)
{
	_json_free_ struct json *j = NULL;
	const char *type;
	struct err e;

	/* What a full disk left of one. */
	if (json_parse(line, len, "line", &j, &e) < 0 || j->type != JSON_MAP)
		return;
	type = event_text_at(j, "type", NULL);
	r->saw_end |= streq(type, "end");
	r->saw_stop |= streq(type, "gateway_stopped") || streq(type, "gateway_died");
	if ((r->o->type && !streq(r->o->type, type)) ||
	    (r->o->denied && !streq(event_text_at(j, "verdict", NULL), "deny")))
		return;
	if (!r->json) {
		event_write_text(&r->out, j);
		buf_adds(&r->out, "\n");
		return;
	}
	buf_add(&r->out, line, len);
	buf_adds(&r->out, "\n");
}

/* All whole lines that are there now. *ret_gone: nobody reads what is printed. */
static int read_lines(struct reader *r, int fd, bool *ret_gone, struct err *e)
{
	char chunk[CHUNK];
	ssize_t n;
	int w;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		size_t from = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read the events");
		for (size_t i = 0; i < (size_t)n; i++) {
			if (chunk[i] != '\n')
				continue;
			buf_add(&r->line, chunk + from, i - from);
			if (r->line.len)
				take_line(r, r->line.s, r->line.len);
			r->line.len = 0;
			from = i + 1;
		}
		buf_add(&r->line, chunk + from, (size_t)n - from);
		if (r->line.failed || r->out.failed)
			return err_oom(e);
		if (r->line.len > LINE_MAX_LEN)
			return err_set(e, ERR_STATE, EFBIG, "the events have no lines");
		w = r->out.len ? fd_write_all(STDOUT_FILENO, r->out.s, r->out.len) : 0;
		r->out.len = 0;
		*ret_gone = w == -EPIPE;
		if (w < 0)
			return *ret_gone ? 0 : err_errno(e, w, "cannot write to stdout");
	}
	return 0;
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
	_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	bool gone = false, last;
	char path[64];
	int code = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (watch < 0 || inotify_add_watch(watch, path, IN_MODIFY | IN_ATTRIB) < 0)
		return err_sys(e, "cannot watch the events");
	while (code == 0 && !gone && !has_ended(r)) {
		/* Looked at before the file: what they wrote last is read after their end. */
		last = !is_written(r, c);
		code = read_lines(r, fd, &gone, e);
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

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	struct reader r = { .o = opts };
	_container_close_ struct container c = CONTAINER_EMPTY;
	_close_ int fd = -1;
	bool gone = false;
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
			       "not isolated, or lets it call LLMs",
			       args[0]);
	if (fd < 0)
		return err_sys(e, "cannot open '%s/" MONITOR_LOG "'", c.dir);
	code = r.o->follow ? follow(&r, &c, fd, e) : read_lines(&r, fd, &gone, e);
	buf_free(&r.line);
	buf_free(&r.out);
	return code;
}

const struct command purple_events_command = {
	.name = "events",
	.arguments = "ID",
	.help = "Print what a container's network rules denied, by whom and which rule, which names "
		"were asked for, and what came of its LLM calls.",
	.options = rows,
	.options_size = sizeof(struct events_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
