/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the container is being ended, as who ends it notes it (container/end.h): the warden, the
 * runtime, `purple run`. Runs in purple-monitor: monitor_stop_make() as root, the rest as nobody.
 */
#include "audit/monitor_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "audit/protocol.h"
#include "base/fd.h"
#include "base/json.h"

#define NOTES_MAX ((size_t)64 * 1024)

/* A line of end.jsonl: what of it is told. */
struct stop_note {
	char *reason, *detail, *by, *setting, *policy;
};
static const struct json_field note_fields[] = {
	JSON_FR(stop_note, reason, "reason", JSON_STR),
	JSON_F(stop_note, detail, "detail", JSON_STR),
	JSON_F(stop_note, by, "by", JSON_STR),
	JSON_F(stop_note, setting, "setting", JSON_STR),
	JSON_F(stop_note, policy, "policy", JSON_STR),
	{},
};
static const struct json_type note_type = { sizeof(struct stop_note), note_fields };

int monitor_stop_make(struct monitor *m, struct err *e)
{
	char path[64];

	m->stop.fd = -1;
	if (!monitor_fd_is_there(MONITOR_FD_ENDED) || !monitor_fd_is_there(MONITOR_FD_AUDIT))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", MONITOR_FD_ENDED);
	m->stop.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return m->stop.fd < 0 || inotify_add_watch(m->stop.fd, path, IN_MODIFY) < 0 ?
		       err_sys(e, "cannot watch why the container ends") :
		       0;
}

static bool is_by_policy(const struct stop_note *x)
{
	return streq(x->reason, "timeout") || streq(x->reason, "oom") ||
	       streq(x->reason, "audit");
}

static void tell(struct monitor *m, const struct stop_note *x)
{
	const char *why = x->detail ? x->detail : x->by;
	struct audit_head head = monitor_head_now(m);
	_buf_free_ struct buf line = {};

	audit_event_begin(&line, &head, "stop", is_by_policy(x) ? x->reason : "stopped");
	if (x->setting) {
		buf_adds(&line, ",\"rule\":{\"name\":");
		json_quote(&line, x->setting);
		if (x->policy) {
			buf_adds(&line, ",\"reference\":");
			json_quote(&line, x->policy);
		}
		buf_adds(&line, "}");
	}
	if (why) {
		buf_adds(&line, ",\"reason\":");
		json_quote(&line, why);
	}
	audit_event_close(&line);
	monitor_tell(m, is_by_policy(x) ? AUDIT_ALERT : 0, &line, true);
}

/* Told already, as audit_stopped. */
static bool is_own(const struct monitor *m, const struct stop_note *x)
{
	return m->is_ended && streq(x->reason, "audit");
}

/* How a program ended is told at the end. */
static void take_note(struct monitor *m, const char *s, size_t len)
{
	_json_free_ struct json *doc = NULL;
	struct stop_note x = {};
	struct err ignored;

	if (json_parse(s, len, "a note", &doc, &ignored) == 0 &&
	    json_read(doc, &note_type, "a note", &x, &ignored) == 0 &&
	    (is_by_policy(&x) || streq(x.reason, "stopped")) && !is_own(m, &x))
		tell(m, &x);
	json_clear(&note_type, &x);
}

void monitor_stop_read(struct monitor *m)
{
	char events[1024] __attribute__((aligned(8))), text[NOTES_MAX];
	char *newline;
	ssize_t n;

	if (m->stop.fd < 0)
		return;
	while (read(m->stop.fd, events, sizeof(events)) > 0)
		;
	while (m->stop.seen < (off_t)NOTES_MAX &&
	       (n = pread(MONITOR_FD_ENDED, text, sizeof(text), m->stop.seen)) > 0) {
		newline = memchr(text, '\n', (size_t)n);
		if (!newline)
			return;
		take_note(m, text, (size_t)(newline - text));
		m->stop.seen += newline + 1 - text;
	}
}
