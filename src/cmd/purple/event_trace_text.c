/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of audit logs for people: processes, files, system calls, limits, and the log's own. What
 * programs of the container chose is cleaned. Pure.
 */
#include "cmd/purple/event_trace_text.h"

#include "base/list.h"
#include "cmd/purple/event_text.h"

#define ARGUMENTS_MAX 200 /* bytes of a command line */
#define CALLS_MAX 8

static const struct json *map_at(const struct json *j, const char *key)
{
	j = json_get(j, key);
	return j && j->type == JSON_MAP ? j : NULL;
}

static void add_who(struct buf *out, const char *before, const struct json *j)
{
	event_text_add(out, before, event_text_at(j, "process", "name"), "");
	event_text_add(out, " (process ", event_text_at(j, "process", "pid"), ")");
}

static void add_count(struct buf *out, const struct json *j)
{
	const char *count = event_text_at(j, "count", NULL);

	if (!streq(count, "1"))
		event_text_add(out, ", ", count, " times");
}

static void add_error(struct buf *out, const struct json *j)
{
	event_text_add(out, ", ", event_text_at(j, "error", "code"), "");
}

/* A list of texts; the rest of a long one is left out. */
static void add_list(struct buf *out, const char *before, const char *between,
		     const struct json *list, size_t max)
{
	size_t from = out->len;

	for (size_t i = 0; list && list->type == JSON_LIST && i < list->n; i++) {
		if (list->items[i]->type != JSON_TEXT)
			continue;
		if (max && out->len - from > max) {
			buf_adds(out, " ...");
			return;
		}
		event_text_add(out, i ? between : before, list->items[i]->text, "");
	}
}

static void add_capabilities(struct buf *out, const struct json *process)
{
	const struct json *caps = process ? map_at(process, "capabilities") : NULL;

	if (caps)
		add_list(out, ", with ", ",", json_get(caps, "effective"), 0);
}

static void add_paths(struct buf *out, const struct json *file)
{
	event_text_add(out, " of ", event_text_at(file, "path", NULL), "");
	event_text_add(out, " to ", event_text_at(file, "target_path", NULL), "");
}

/* --- processes --- */

static void write_exit(struct buf *out, const struct json *j)
{
	buf_adds(out, " end of");
	add_who(out, " ", j);
	event_text_add(out, ", signal ", event_text_at(j, "process", "exit_signal"), "");
	event_text_add(out, ", status ", event_text_at(j, "process", "exit_code"), "");
	event_text_add(out, ", for the system call ", event_text_at(j, "syscall", NULL), "");
}

void event_write_process(struct buf *out, const struct json *j)
{
	const struct json *process = map_at(j, "process");
	const char *action = event_text_at(j, "event", "action");

	if (process && streq(action, "fork")) {
		event_text_add(out, " ", event_text_at(process, "pid", NULL), " made by");
		event_text_add(out, " ", event_text_at(process, "name", NULL), "");
		event_text_add(out, " (process ", event_text_at(process, "parent", "pid"),
			       ")");
		return;
	}
	if (!process || !streq(action, "exec")) {
		write_exit(out, j);
		return;
	}
	event_text_add(out, " start of ", event_text_at(process, "executable", NULL), "");
	event_text_add(out, " (process ", event_text_at(process, "pid", NULL), ")");
	event_text_add(out, " by process ", event_text_at(process, "parent", "pid"), "");
	add_list(out, ": ", " ", json_get(process, "args"), ARGUMENTS_MAX);
	add_capabilities(out, process);
}

void event_write_privilege(struct buf *out, const struct json *j)
{
	event_text_add(out, " ", event_text_at(j, "event", "action"), "");
	if (map_at(j, "file"))
		add_paths(out, map_at(j, "file"));
	add_who(out, " by ", j);
	event_text_add(out, ", user ", event_text_at(j, "user", "id"), "");
	add_capabilities(out, map_at(j, "process"));
	add_list(out, ", new namespaces: ", ",", json_get(j, "namespaces"), 0);
	add_count(out, j);
}

/* --- system calls --- */

void event_write_syscall(struct buf *out, const struct json *j)
{
	event_text_add(out, " system call ", event_text_at(j, "event", "action"), "");
	add_who(out, " by ", j);
	add_error(out, j);
	add_count(out, j);
}

void event_write_syscalls(struct buf *out, const struct json *j)
{
	const struct json *calls = map_at(j, "calls");

	event_text_add(out, " of process ", event_text_at(j, "process", "pid"), "");
	for (size_t i = 0; calls && i < calls->n; i++) {
		if (calls->items[i]->type != JSON_MAP)
			continue;
		if (i >= CALLS_MAX) {
			buf_addf(out, " and %zu more", calls->n - i);
			return;
		}
		event_text_add(out, i ? ", " : ": ", calls->keys[i], "");
		event_text_add(out, " ", event_text_at(calls, calls->keys[i], "count"), "");
	}
}

/* --- files --- */

void event_write_file(struct buf *out, const struct json *j)
{
	const struct json *file = map_at(j, "file");

	event_text_add(out, " ", event_text_at(j, "event", "action"), "");
	if (!file)
		return;
	add_paths(out, file);
	event_text_add(out, " (", event_text_at(file, "access", NULL), ")");
	event_text_add(out, ", mode ", event_text_at(file, "mode", NULL), "");
	event_text_add(out, ", user ", event_text_at(file, "uid", NULL), "");
	event_text_add(out, ", group ", event_text_at(file, "gid", NULL), "");
	event_text_add(out, ", ", event_text_at(file, "attribute", NULL), "");
	add_who(out, ", by ", j);
	add_error(out, j);
}

/* --- limits --- */

void event_write_limit(struct buf *out, const struct json *j)
{
	static const struct {
		const char *action, *text;
	} texts[] = {
		{ "oom", "out of memory" },
		{ "oom_kill", "a process was killed for want of memory" },
		{ "memory_high", "memory is being taken back" },
		{ "memory_max", "no more memory" },
		{ "pids_max", "no more processes" },
		{ "cpu_throttled", "no more CPU time" },
	};
	const char *action = event_text_at(j, "event", "action");

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (streq(texts[i].action, action))
			buf_addf(out, ": %s", texts[i].text);
	add_count(out, j);
}

void event_write_usage(struct buf *out, const struct json *j)
{
	const struct json *usage = map_at(j, "usage");

	for (size_t i = 0; usage && i < usage->n; i++) {
		if (usage->items[i]->type != JSON_NUMBER)
			continue;
		event_text_add(out, i ? ", " : ": ", usage->keys[i], " ");
		event_text_add(out, "", usage->items[i]->text, "");
	}
}

/* --- the log itself --- */

void event_write_failure(struct buf *out, const struct json *j)
{
	const struct json *log = map_at(j, "log");

	event_text_add(out, ": ", log ? event_text_at(log, "file", "path") : "", "");
	event_text_add(out, ": ", event_text_at(j, "error", "message"), "");
}

/* What the recorder of an audit log found at its end. */
void event_write_repaired(struct buf *out, const struct json *j)
{
	const struct json *x = json_get(j, "repaired"), *torn;
	const char *lines, *cause;

	if (!x || x->type != JSON_MAP)
		return;
	lines = event_text_at(x, "lines", NULL);
	cause = event_text_at(x, "cause", NULL);
	torn = json_get(x, "torn");
	if (!streq(lines, "0"))
		event_text_add(out, " ", lines, " lines of a recorder that was killed");
	if (torn && torn->type == JSON_MAP)
		event_text_add(out, " ", event_text_at(torn, "bytes", NULL),
			       " bytes of a torn line");
	if (streq(cause, "cut"))
		buf_adds(out, " lines had been removed at the end");
	else if (streq(cause, "head"))
		buf_adds(out,
			 " the log had no head: lines may have been removed at the end");
	else if (*cause)
		buf_adds(out, " the last line had been changed");
}

void event_write_removed(struct buf *out, const struct json *j)
{
	event_text_add(out, " by rotation: ", event_text_at(j, "removed", "file"), "");
	event_text_add(out, ", ", event_text_at(j, "removed", "lines"), " lines");
	event_text_add(out, ", up to number ", event_text_at(j, "removed", "last"), "");
}

void event_write_died(struct buf *out, const struct json *j)
{
	buf_adds(out, " nothing more is seen of the container");
}
