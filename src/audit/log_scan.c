/* SPDX-License-Identifier: Apache-2.0 */
/* See log_scan.h. Runs in purple-monitor's recorder, as root without capabilities. */
#include "audit/log_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "audit/log_file.h"
#include "audit/log_lines.h"
#include "base/fd.h"

static ssize_t read_at(int fd, char *buf, size_t len, uint64_t at)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int log_scan_last(int fd, uint64_t end, struct chain_link *ret)
{
	size_t len = end > LOG_LINE_MAX + 2 ? LOG_LINE_MAX + 2 : (size_t)end;
	_free_ char *buf = malloc(len + 1);
	struct chain_tail tail;
	const char *newline, *line;
	ssize_t n;

	*ret = (struct chain_link){};
	if (!buf)
		return -ENOMEM;
	n = read_at(fd, buf, len, end - len);
	if (n < 0)
		return (int)n;
	if ((size_t)n != len || len == 0 || buf[len - 1] != '\n')
		return 0;
	newline = memrchr(buf, '\n', len - 1);
	if (!newline && len < end)
		return 0;
	line = newline ? newline + 1 : buf;
	len -= (size_t)(line - buf) + 1;
	if (!chain_tail_of(line, len, &tail))
		return 0;
	ret->number = tail.number;
	chain_hash(line, len, ret->hash);
	return 0;
}

int log_scan_first(int fd, uint64_t size, uint64_t *ret)
{
	struct log_lines l = {};
	struct log_line line;
	struct chain_tail tail;
	int r = log_lines_open(&l, fd, 0, size);

	*ret = 0;
	if (r == 0)
		r = log_lines_next(&l, &line);
	if (r > 0 && !line.too_long && chain_tail_of(line.s, line.len, &tail))
		*ret = tail.number;
	log_lines_close(&l);
	return r < 0 ? r : 0;
}

bool log_scan_ends(int fd, uint64_t size)
{
	char c;

	return size == 0 || (read_at(fd, &c, 1, size - 1) == 1 && c == '\n');
}

static int hash_range(int fd, uint64_t from, uint64_t end, uint8_t ret[CHAIN_HASH_SIZE])
{
	struct sha256_ctx ctx;
	char buf[16384];

	sha256_init(&ctx);
	while (from < end) {
		size_t len = end - from < sizeof(buf) ? (size_t)(end - from) : sizeof(buf);
		ssize_t n = read_at(fd, buf, len, from);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		sha256_update(&ctx, (size_t)n, (const uint8_t *)buf);
		from += (uint64_t)n;
	}
	sha256_digest(&ctx, CHAIN_HASH_SIZE, ret);
	return 0;
}

/* Whether it is the next one. */
static bool take(struct log_scan *x, const struct log_line *line, bool is_first)
{
	struct chain_tail tail;

	if (line->too_long || !chain_tail_of(line->s, line->len, &tail))
		return false;
	if (!is_first && (tail.number != x->last.number + 1 ||
			  memcmp(tail.previous, x->last.hash, CHAIN_HASH_SIZE) != 0))
		return false;
	x->last.number = tail.number;
	chain_hash(line->s, line->len, x->last.hash);
	x->lines++;
	return true;
}

static int scan(int fd, uint64_t from, uint64_t size, bool any_first, struct log_scan *x)
{
	struct log_lines l = {};
	struct log_line line;
	int r = log_lines_open(&l, fd, from, size);

	while (r == 0 && (r = log_lines_next(&l, &line)) > 0) {
		if (take(x, &line, any_first && x->lines == 0))
			from = line.offset + line.len + 1;
		r = 0;
	}
	/* One that lacks nothing but its newline. */
	if (r == 0) {
		r = log_lines_rest(&l, &line);
		x->broken = r > 0;
		if (r > 0 && take(x, &line, any_first && x->lines == 0))
			from = size;
	}
	log_lines_close(&l);
	if (r < 0)
		return r;
	x->rest = size - from - (size > from && !x->broken ? 1 : 0);
	return x->rest ? hash_range(fd, from, from + x->rest, x->rest_hash) : 0;
}

int log_scan_rest(int fd, uint64_t from, uint64_t size, struct log_scan *x)
{
	return scan(fd, from, size, false, x);
}

int log_scan_all(int fd, uint64_t size, struct log_scan *x)
{
	return scan(fd, 0, size, true, x);
}
