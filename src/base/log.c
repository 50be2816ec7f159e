/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics: see log.h. One process, one thread; the state is the program's. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"

static struct {
	int fd;
	enum log_format format;
	enum log_level level;
} logger = { .fd = -1, .level = LOG_LEVEL_ERROR };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

int log_open(const char *path, enum log_format format, struct err *e)
{
	int fd;

	logger.format = format;
	if (!path)
		return 0;
	/* A FIFO that nobody reads is an error, not a wait. */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		  0644);
	if (fd < 0)
		return err_sys(e, "cannot open log file '%s'", path);
	if (fcntl(fd, F_SETFL, O_APPEND) < 0)
		return err_sys(e, "cannot use log file '%s'", path);
	fd_close(&logger.fd);
	logger.fd = fd;
	return 0;
}

void log_set_level(enum log_level level)
{
	logger.level = level;
}

enum log_level log_get_level(void)
{
	return logger.level;
}

static void add_timestamp(struct buf *b)
{
	struct timespec ts;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(b, "%s.%09ldZ", text, ts.tv_nsec);
}

static void format_record(struct buf *b, enum log_level level, const char *msg)
{
	if (logger.format == LOG_FORMAT_TEXT) {
		add_timestamp(b);
		buf_addf(b, " %s: %s\n", level_names[level], msg);
		return;
	}
	buf_addf(b, "{\"level\":\"%s\",\"msg\":", level_names[level]);
	json_quote(b, msg);
	buf_adds(b, ",\"time\":\"");
	add_timestamp(b);
	buf_adds(b, "\"}\n");
}

void log_write(enum log_level level, const char *fmt, ...)
{
	_buf_free_ struct buf record = {};
	char msg[2048];
	va_list ap;

	if (level > logger.level)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);

	if (logger.fd >= 0) {
		format_record(&record, level, msg);
		if (!record.failed)
			fd_write_all(logger.fd, record.s, record.len);
	}
	/* conmon takes what it gets with one read(): the text goes out in one write. */
	if (level == LOG_LEVEL_ERROR || logger.fd < 0) {
		_buf_free_ struct buf text = {};

		if (level == LOG_LEVEL_ERROR)
			buf_addf(&text, "%s\n", msg);
		else
			buf_addf(&text, "%s: %s\n", level_names[level], msg);
		if (!text.failed)
			fd_write_all(STDERR_FILENO, text.s, text.len);
	}
}
