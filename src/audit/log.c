/* SPDX-License-Identifier: Apache-2.0 */
/* See log.h. Runs in purple-monitor, as nobody. */
#include "audit/log.h"

#include <errno.h>
#include <unistd.h>

/* A newline ends what is left of a line that was not written whole. */
static bool end_torn(struct audit_log *l)
{
	if (!l->torn)
		return true;
	if (write(l->fd, "\n", 1) != 1)
		return false;
	l->size++;
	l->torn = false;
	return true;
}

bool audit_log_write(struct audit_log *l, const struct buf *line, bool last)
{
	uint64_t max = l->max + (last ? AUDIT_LOG_RESERVE : 0);
	ssize_t n = -1;

	if (!line->failed && l->size + line->len + 1 <= max && end_torn(l)) {
		do
			n = write(l->fd, line->s, line->len);
		while (n < 0 && errno == EINTR);
	}
	if (n > 0)
		l->size += (uint64_t)n;
	if (!line->failed && n == (ssize_t)line->len)
		return true;
	l->torn = l->torn || n > 0;
	l->lost++;
	return false;
}
