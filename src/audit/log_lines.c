/* SPDX-License-Identifier: Apache-2.0 */
/* See log_lines.h. Runs in purple-monitor's recorder as root without capabilities, and in `purple`. */
#include "audit/log_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/log_file.h"

#define BUFFER_SIZE (4 * LOG_LINE_MAX)

int log_lines_open(struct log_lines *l, int fd, uint64_t from, uint64_t end)
{
	*l = (struct log_lines){
		.fd = fd, .at = from, .end = end, .buf = malloc(BUFFER_SIZE)
	};
	return l->buf ? 0 : -ENOMEM;
}

void log_lines_close(struct log_lines *l)
{
	free(l->buf);
	l->buf = NULL;
}

/* More bytes behind those that are there: 1; 0: there are none. */
static int fill(struct log_lines *l, uint64_t at)
{
	size_t room = BUFFER_SIZE - l->from - l->have;
	ssize_t n;

	if (at >= l->end)
		return 0;
	if (room > l->end - at)
		room = (size_t)(l->end - at);
	do
		n = pread(l->fd, l->buf + l->from + l->have, room, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	l->have += (size_t)n;
	return n > 0;
}

/* The rest of a line of which only the beginning is kept. */
static int skip_long(struct log_lines *l, struct log_line *ret)
{
	/* Behind the beginning there is room for pieces. */
	uint64_t at = l->at + l->have;
	const size_t kept = LOG_LINE_MAX;
	int r;

	for (;;) {
		const char *newline;

		l->have = kept;
		r = fill(l, at);
		if (r <= 0)
			break;
		newline = memchr(l->buf + kept, '\n', l->have - kept);
		if (newline) {
			at += (uint64_t)(newline - (l->buf + kept));
			*ret = (struct log_line){ .s = l->buf,
						  .len = (size_t)(at - l->at),
						  .offset = l->at,
						  .too_long = true };
			l->at = at + 1;
			l->have = l->from = 0;
			return 1;
		}
		at += l->have - kept;
	}
	l->have = 0;
	return r;
}

int log_lines_next(struct log_lines *l, struct log_line *ret)
{
	size_t seen = 0;
	int r;

	for (;;) {
		char *s = l->buf + l->from;
		char *newline = memchr(s + seen, '\n', l->have - seen);
		size_t len = newline ? (size_t)(newline - s) : 0;

		if (newline) {
			*ret = (struct log_line){ .s = s,
						  .len = len,
						  .offset = l->at,
						  .too_long = len > LOG_LINE_MAX };
			l->at += len + 1;
			l->from += len + 1;
			l->have -= len + 1;
			return 1;
		}
		seen = l->have;
		memmove(l->buf, s, l->have);
		l->from = 0;
		if (l->have > LOG_LINE_MAX)
			return skip_long(l, ret);
		r = fill(l, l->at + l->have);
		if (r > 0)
			continue;
		/* What is left is read again when there may be more of it. */
		l->have = 0;
		return r;
	}
}

int log_lines_rest(struct log_lines *l, struct log_line *ret)
{
	int r;

	if (l->at >= l->end)
		return 0;
	l->from = l->have = 0;
	do
		r = fill(l, l->at + l->have);
	while (r > 0 && l->have < BUFFER_SIZE);
	if (r < 0 || l->have == 0)
		return r;
	*ret = (struct log_line){ .s = l->buf,
				  .len = (size_t)(l->end - l->at),
				  .offset = l->at,
				  .too_long = l->end - l->at > LOG_LINE_MAX };
	if (!ret->too_long && ret->len > l->have)
		ret->len = l->have;
	l->have = 0;
	return 1;
}
