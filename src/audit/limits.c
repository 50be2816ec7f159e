/* SPDX-License-Identifier: Apache-2.0 */
/* See limits.h. Runs in the runtime and in purple-monitor, before that gives its rights up. */
#include "audit/limits.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"

#define NAME "the limits"
#define LIMITS_MAX ((size_t)64 * 1024)

static const struct json_field limits_fields[] = {
	JSON_F(audit_limits, timeout_seconds, "timeoutSeconds", JSON_U64),
	JSON_F(audit_limits, ends_on_death, "endsOnDeath", JSON_BOOL),
	JSON_F(audit_limits, timeout_note, "timeoutNote", JSON_STR),
	JSON_F(audit_limits, oom_note, "oomNote", JSON_STR),
	JSON_F(audit_limits, audit_note, "auditNote", JSON_STR),
	JSON_F(audit_limits, death_note, "deathNote", JSON_STR),
	{},
};
static const struct json_type limits_type = { sizeof(struct audit_limits), limits_fields };

void audit_limits_clear(struct audit_limits *l)
{
	json_clear(&limits_type, l);
}

bool audit_limits_are_set(const struct audit_limits *l)
{
	return l->timeout_seconds || l->ends_on_death || l->oom_note;
}

int audit_limits_write(const struct audit_limits *l, struct err *e)
{
	_close_ int fd = memfd_create("purple-limits", MFD_CLOEXEC);
	_buf_free_ struct buf text = {};
	int r = json_write(&limits_type, l, false, &text, e);

	if (r < 0)
		return r;
	if (fd < 0 || fd_write_all(fd, text.s, text.len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot write " NAME " for the monitor");
	return take_fd(&fd);
}

int audit_limits_read(int fd, struct audit_limits *ret, struct err *e)
{
	_json_free_ struct json *doc = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(fd, LIMITS_MAX, &text, &len, e);

	if (r == 0)
		r = json_parse(text, len, NAME, &doc, e);
	return r < 0 ? r : json_read(doc, &limits_type, NAME, ret, e);
}

void audit_limits_fill(const struct audit_limits *l, struct warden_setup *s)
{
	s->timeout_ms = l->timeout_seconds > INT64_MAX / 1000 ?
				INT64_MAX / 2 :
				(int64_t)l->timeout_seconds * 1000;
	s->ends_on_death = l->ends_on_death;
	s->ends_rest = true;
	s->notes[WARDEN_FOR_TIMEOUT] = l->timeout_note;
	s->notes[WARDEN_FOR_OOM] = l->oom_note;
	s->notes[WARDEN_FOR_DEATH] = l->death_note;
}
