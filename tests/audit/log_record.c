/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_record CONTAINER MAX-SIZE LOG...: a recorder of audit logs whose records come from standard
 * input, as purple-monitor would send them. Runs as root. Prints what the recorder reports, and
 * "ready" once it takes records.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "audit/recorder.h"
#include "base/fd.h"
#include "base/num.h"

static int copy(int to)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		if (fd_write_all(to, buf, (size_t)n) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

/* What it reports until all is written. */
static int finish(const struct audit_recorder *r)
{
	struct audit_recorder_report x;

	if (audit_recorder_say(r->report_fd, AUDIT_RECORDER_FLUSH) < 0)
		return -1;
	for (;;) {
		int n = audit_recorder_read_report(r->report_fd, &x);

		if (n == -EAGAIN) {
			usleep(1000);
			continue;
		}
		if (n <= 0)
			return -1;
		if (x.type == AUDIT_RECORDER_FAILED)
			printf("failed: %s\n", x.err.msg);
		if (x.type == AUDIT_RECORDER_FLUSHED)
			break;
	}
	printf("lost: %ju\n", (uintmax_t)x.lost);
	return audit_recorder_say(r->report_fd, AUDIT_RECORDER_BYE);
}

int main(int argc, char **argv)
{
	struct audit_log_config logs[AUDIT_RECORDER_LOGS] = {};
	struct audit_config config = { .logs = { .v = logs } };
	const struct audit_recorder_start start = { .config = &config,
						    .others_fd = -1,
						    .alerts_fd = -1 };
	struct audit_recorder r = AUDIT_RECORDER_EMPTY;
	struct err e = {};
	uint32_t max_size;

	if (argc < 4 || argc > 3 + AUDIT_RECORDER_LOGS || num_u32(argv[2], &max_size) < 0) {
		fprintf(stderr, "log_record CONTAINER MAX-SIZE LOG...\n");
		return 2;
	}
	config.container = argv[1];
	for (int i = 3; i < argc; i++)
		logs[config.logs.n++] = (struct audit_log_config){ .path = argv[i],
								   .levels = AUDIT_LEVEL_ALL,
								   .max_size = max_size,
								   .keep = 10 };
	if (audit_recorder_start(&start, &r, &e) < 0 || audit_recorder_wait(&r, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	if (copy(r.lines_fd) < 0 || finish(&r) < 0) {
		fprintf(stderr, "the recorder died\n");
		return 1;
	}
	fd_close(&r.lines_fd);
	fd_close(&r.report_fd);
	waitpid(r.pid, NULL, 0);
	return 0;
}
