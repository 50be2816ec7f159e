/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of sandboxes for `purple monitor`: each events.jsonl is read on from where it was left.
 * The lines hold what programs of the sandbox chose; they are cleaned here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/purple/event_text.h"
#include "cmd/purple/monitor.h"

#define CHUNK 65536
/* So much is read at once of a sandbox; of what is older the last is enough. */
#define READ_MAX (256 * 1024)
#define LINE_MAX_LEN (64 * 1024)

static void event_clear(struct monitor_event *x)
{
	free(x->time);
	free(x->text);
	free(x->raw);
}

void monitor_tail_clear(struct monitor_tail *t)
{
	for (size_t i = 0; i < t->events.n; i++)
		event_clear(&t->events.v[i]);
	free(t->events.v);
	buf_free(&t->line);
	*t = (struct monitor_tail){};
}

static bool is_alarm(const struct json *j)
{
	static const char *const types[] = { "budget_exceeded", "action_failed",
					     "gateway_died",	"monitor_died",
					     "llm_sensitive",	"llm_injection" };

	if (streq(event_text_at(j, "verdict", NULL), "deny"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(event_text_at(j, "type", NULL), types[i]))
			return true;
	return false;
}

/* The oldest goes where there are enough. */
static struct monitor_event *new_event(monitor_events *l)
{
	struct monitor_event *x;

	if (l->n < MONITOR_EVENTS_KEPT)
		return list_add(l);
	event_clear(&l->v[0]);
	memmove(l->v, l->v + 1, (l->n - 1) * sizeof(*l->v));
	x = &l->v[l->n - 1];
	*x = (struct monitor_event){};
	return x;
}

static int take_line(struct monitor_tail *t, struct monitor *m, struct err *e)
{
	_buf_free_ struct buf text = {};
	_json_free_ struct json *j = NULL;
	struct monitor_event *x;
	struct err unused;
	const char *rest;

	/* What a full disk left of one. */
	if (json_parse(t->line.s, t->line.len, "line", &j, &unused) < 0 ||
	    j->type != JSON_MAP)
		return 0;
	event_write_text(&text, j);
	x = text.failed || !text.s ? NULL : new_event(&t->events);
	if (!x)
		return err_oom(e);
	rest = strchr(text.s, ' ');
	x->number = ++m->events;
	x->is_denied = is_alarm(j);
	x->time = strdup(event_text_at(j, "@timestamp", NULL));
	x->text = strdup(rest ? rest + 1 : "");
	x->raw = m->keep_raw ? strdup(t->line.s) : NULL;
	return x->time && x->text && (x->raw || !m->keep_raw) ? 0 : err_oom(e);
}

static int end_line(struct monitor_tail *t, struct monitor *m, struct err *e)
{
	int r = 0;

	if (t->line.failed)
		return err_oom(e);
	if (!t->is_cut && t->line.len)
		r = take_line(t, m, e);
	t->is_cut = false;
	t->line.len = 0;
	return r;
}

static int take_bytes(struct monitor_tail *t, const char *s, size_t n, struct monitor *m,
		      struct err *e)
{
	int r = 0;

	while (r == 0 && n) {
		const char *end = memchr(s, '\n', n);
		size_t len = end ? (size_t)(end - s) : n;

		if (t->line.len + len > LINE_MAX_LEN)
			t->is_cut = true;
		else
			buf_add(&t->line, s, len);
		if (end)
			r = end_line(t, m, e);
		s += len + (end ? 1 : 0);
		n -= len + (end ? 1 : 0);
	}
	return r;
}

int monitor_tail_read(struct monitor_tail *t, int dirfd, struct monitor *m, struct err *e)
{
	_close_ int fd = openat(dirfd, CONTAINER_EVENTS,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char chunk[CHUNK];
	struct stat st;
	ssize_t n = 0;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open the events");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_STATE, EINVAL, "the events are no file");
	if (st.st_ino != t->inode || st.st_size < t->offset) {
		t->inode = st.st_ino;
		t->offset = 0;
		t->line.len = 0;
		t->is_cut = false;
	}
	if (st.st_size - t->offset > READ_MAX) {
		t->skipped += (uint64_t)(st.st_size - READ_MAX - t->offset);
		t->offset = st.st_size - READ_MAX;
		t->line.len = 0;
		t->is_cut = true;
	}
	while (r == 0 && t->offset < st.st_size &&
	       (n = pread(fd, chunk, sizeof(chunk), t->offset)) > 0) {
		t->offset += n;
		r = take_bytes(t, chunk, (size_t)n, m, e);
	}
	return r == 0 && n < 0 ? err_sys(e, "cannot read the events") : r;
}

static bool is_older(const struct monitor_line *a, const struct monitor_line *b)
{
	int order = strcmp(a->event->time, b->event->time);

	return order ? order < 0 : a->event->number < b->event->number;
}

/* Into its place among those that are there, which are at most `max`. */
static size_t insert(struct monitor_line *list, size_t n, size_t max,
		     const struct monitor_line *x)
{
	size_t at = n;

	while (at > 0 && is_older(x, &list[at - 1]))
		at--;
	if (n == max) {
		if (at == 0)
			return n;
		memmove(list, list + 1, (at - 1) * sizeof(*list));
		list[at - 1] = *x;
		return n;
	}
	memmove(list + at + 1, list + at, (n - at) * sizeof(*list));
	list[at] = *x;
	return n + 1;
}

size_t monitor_newest(const struct monitor *m, const struct monitor_row *row,
		      uint64_t after, struct monitor_line *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; max && i < m->rows.n; i++) {
		const monitor_events *l = &m->rows.v[i].tail.events;

		if (row && row != &m->rows.v[i])
			continue;
		for (size_t k = 0; k < l->n; k++)
			if (l->v[k].number > after)
				n = insert(ret, n, max,
					   &(struct monitor_line){ &m->rows.v[i], &l->v[k] });
	}
	return n;
}
