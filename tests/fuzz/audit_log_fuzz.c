/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for audit logs: the head in the first part of the input, files in the others.
 * What says where the chain of a line ends keeps to the line, each byte is of one line, and problems
 * are counted as they are told.
 * runs: 20000
 */
#include <sys/mman.h>

#include "audit/log_lines.h"
#include "audit/log_verify.h"
#include "fuzz.h"

static void check_line(const struct log_line *line)
{
	struct chain_tail tail;

	if (line->too_long || !chain_tail_of(line->s, line->len, &tail))
		return;
	fuzz_require(tail.number > 0);
	fuzz_require(tail.body > 0 && tail.body < line->len);
	fuzz_require(tail.writer > line->s &&
		     tail.writer + tail.writer_len < line->s + line->len);
}

/* Each byte is of one line. */
static void check_file(struct log_check *c, const char *text)
{
	const size_t size = strlen(text);
	_close_ int fd = memfd_create("log", MFD_CLOEXEC);
	struct log_lines l;
	struct log_line line;
	uint64_t seen = 0;
	int r;

	fuzz_require(fd >= 0 && fd_write_all(fd, text, size) == 0);
	fuzz_require(log_lines_open(&l, fd, 0, size) == 0);
	while ((r = log_lines_next(&l, &line)) > 0) {
		fuzz_require(line.offset == seen && text[seen + line.len] == '\n');
		fuzz_require(line.too_long || memcmp(line.s, text + seen, line.len) == 0);
		seen += line.len + 1;
		check_line(&line);
		log_check_line(c, &line, true);
	}
	fuzz_require(r == 0);
	r = log_lines_rest(&l, &line);
	fuzz_require(r >= 0 && (r > 0) == (seen < size));
	if (r > 0) {
		fuzz_require(line.len == size - seen);
		log_check_line(c, &line, false);
	}
	log_lines_close(&l);
}

static void count(void *arg, const char *file, uint64_t line, const char *text)
{
	(*(size_t *)arg)++;
	fuzz_require(*text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_free_ char *first = fuzz_next_part(&data, &size);
	struct chain_head head, again;
	size_t told = 0;
	struct log_verify v = { .tell = count, .arg = &told };
	struct log_check c = { .v = &v, .file = "log" };
	char text[CHAIN_HEAD_SIZE];
	char *part;

	if (chain_head_parse(first, strlen(first), &head)) {
		chain_head_format(&head, text);
		fuzz_require(chain_head_parse(text, sizeof(text), &again));
		fuzz_require(memcmp(&head.last, &again.last, sizeof(head.last)) == 0);
		c.head = &head;
	}
	while ((part = fuzz_next_part(&data, &size))) {
		log_check_file(&c, "log", !data);
		check_file(&c, part);
		free(part);
	}
	log_check_end(&c);
	fuzz_require(told == v.problems);
	return 0;
}
