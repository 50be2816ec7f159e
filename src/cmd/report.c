/* SPDX-License-Identifier: Apache-2.0 */
/* See report.h. */
#include "cmd/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

/* The one place that knows what engines look for in a message, and the exit code of each kind. */
static const struct {
	const char *phrase;
	int exit_code;
} kinds[] = {
	[ERR_NONE] = { NULL, 1 },
	[ERR_INTERNAL] = { NULL, 1 },
	[ERR_USAGE] = { NULL, 1 },
	[ERR_CONFIG] = { NULL, 1 },
	[ERR_POLICY] = { NULL, 1 },
	[ERR_NOT_EXIST] = { "container does not exist", 1 },
	[ERR_EXISTS] = { "container with given ID already exists", 1 },
	[ERR_NOT_RUNNING] = { "container not running", 1 },
	[ERR_NOT_PAUSED] = { "container not paused", 1 },
	[ERR_STATE] = { NULL, 1 },
	[ERR_EXEC_NOT_FOUND] = { NULL, 1 },
	[ERR_EXEC_DENIED] = { NULL, 1 },
	[ERR_UNSUPPORTED] = { NULL, 1 },
	[ERR_KERNEL] = { NULL, 1 },
};

int report_error(const struct err *e)
{
	const char *phrase = kinds[e->kind].phrase;

	log_write(LOG_LEVEL_ERROR, "%s%s%s", phrase ? phrase : "", phrase ? ": " : "",
		  e->msg);
	return kinds[e->kind].exit_code;
}

void program_begin(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN },
			 dfl = { .sa_handler = SIG_DFL };
	int fd;

	/* A descriptor that we open must not become somebody's stdin. */
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
	for (int i = 0; i <= 2; i++) {
		int flags = fcntl(i, F_GETFD);

		if (flags >= 0 && (flags & FD_CLOEXEC))
			fcntl(i, F_SETFD, flags & ~FD_CLOEXEC);
	}
	sigaction(SIGPIPE, &ignore, NULL);
	/* A caller that ignores it would have the kernel reap our children behind our back. */
	sigaction(SIGCHLD, &dfl, NULL);
	umask(0022);
}

int report_open_log(const struct log_options *o, struct err *e)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	enum log_format format = LOG_FORMAT_TEXT;
	int level = o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR;
	int r;

	if (o->format && streq(o->format, "json"))
		format = LOG_FORMAT_JSON;
	r = log_open(o->file, format, e);
	if (r < 0)
		return r;
	if (o->format && format == LOG_FORMAT_TEXT && !streq(o->format, "text"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "unknown --log-format '%s': expected text or json",
			       o->format);
	if (o->level && !o->debug) {
		for (level = 0; level < 4 && !streq(levels[level], o->level);)
			level++;
		if (level == 4)
			return err_set(e, ERR_USAGE, EINVAL, "unknown --log-level '%s'",
				       o->level);
	}
	log_set_level((enum log_level)level);
	return 0;
}
