/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See alerts.h. Runs in `purple run`, in the host's namespaces; follows events.jsonl of the state
 * folder. What is told goes to a terminal, and an agent had a hand in it: no more than plain
 * characters of it pass.
 */
#include "container/alerts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "container/record.h"

#define LINE_MAX_LEN 65536
#define BURST 10 /* lines at once, and one each second */
#define SECOND 1000000000ull

int alerts_open(struct alerts *a, const struct container *c, struct err *e)
{
	_close_ int events = -1, fd = -1;
	char path[64];

	events = openat(c->dirfd, CONTAINER_EVENTS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (events < 0)
		return errno == ENOENT ?
			       0 :
			       err_sys(e, "cannot open '%s/" CONTAINER_EVENTS "'", c->dir);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", events);
	if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return err_sys(e, "cannot watch '%s/" CONTAINER_EVENTS "'", c->dir);
	a->fd = take_fd(&fd);
	a->events = take_fd(&events);
	a->container = c;
	a->pace = (struct pace){ .burst = BURST, .pause = SECOND };
	return 0;
}

void alerts_close(struct alerts *a)
{
	fd_close(&a->fd);
	fd_close(&a->events);
	buf_free(&a->line);
	a->container = NULL;
}

/* --- one line --- */

static void add_plain(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_add(out, *text >= ' ' && *text < 0x7f ? text : "?", 1);
}

static const char *verb_of(const struct run_denial *d)
{
	if (streq(d->type, "dns"))
		return "the lookup of";
	if (streq(d->type, "network"))
		return "the connection with";
	if (str_has_prefix(d->type, "llm_"))
		return "a call of";
	if (streq(d->type, "syscall"))
		return "the system call";
	if (streq(d->type, "file"))
		return "the file";
	return d->type;
}

bool alerts_text(const struct container *c, const struct json *event, struct buf *out)
{
	const struct json *reason = json_get(event, "reason");
	struct run_denial d;
	const char *why;

	if (!run_denial_read(c, event, &d))
		return false;
	/* Of some calls there is no rule: the gateway knows no such thing. */
	why = *d.rule || !reason || reason->type != JSON_TEXT ? d.rule : reason->text;
	buf_addf(out, "purple: %s: %s ",
		 streq(d.verdict, "audit") ? "would be denied" : "denied", verb_of(&d));
	add_plain(out, d.target ? d.target : "something");
	buf_adds(out, *why ? ": " : "");
	add_plain(out, why);
	if (d.reference) {
		buf_adds(out, " (");
		add_plain(out, d.reference);
		buf_adds(out, ")");
	}
	if (d.command) {
		buf_adds(out, "; see: ");
		add_plain(out, d.command);
	}
	json_clear(&run_denial_type, &d);
	return true;
}

/* --- all of them --- */

static bool is_in_time(struct alerts *a)
{
	return pace_allows(&a->pace, clock_ns(CLOCK_BOOTTIME));
}

static void take_line(struct alerts *a, const char *newline, struct buf *out)
{
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf text = {};
	struct err ignored;

	/* Most lines are of calls that passed. */
	if (!strstr(a->line.s, "\"verdict\":\"deny\"") &&
	    !strstr(a->line.s, "\"verdict\":\"audit\""))
		return;
	if (json_parse(a->line.s, a->line.len, CONTAINER_EVENTS, &j, &ignored) < 0 ||
	    !alerts_text(a->container, j, &text) || text.failed)
		return;
	if (!is_in_time(a)) {
		a->untold++;
		return;
	}
	buf_adds(out, text.s);
	if (a->untold)
		buf_addf(out, " (and %" PRIu64 " before it)", a->untold);
	a->untold = 0;
	buf_adds(out, newline);
}

static void take_bytes(struct alerts *a, const char *bytes, size_t n, const char *newline,
		       struct buf *out)
{
	for (const char *end = bytes + n, *at; bytes < end; bytes = at + 1) {
		at = memchr(bytes, '\n', (size_t)(end - bytes));
		buf_add(&a->line, bytes, (size_t)((at ? at : end) - bytes));
		if (a->line.len > LINE_MAX_LEN || a->line.failed)
			a->line.len = 0;
		if (!at)
			return;
		if (a->line.len)
			take_line(a, newline, out);
		a->line.len = 0;
	}
}

void alerts_take(struct alerts *a, const char *newline, struct buf *out)
{
	char bytes[4096] __attribute__((aligned(8)));
	ssize_t n;

	while (a->fd >= 0 && read(a->fd, bytes, sizeof(bytes)) > 0)
		;
	while (a->events >= 0 && (n = read(a->events, bytes, sizeof(bytes))) > 0)
		take_bytes(a, bytes, (size_t)n, newline, out);
}
