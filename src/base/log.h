/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics: to --log in its format, and to stderr. Errors are reported by main() alone; below
 * that only debug, info and warn are used. Children between clone and exec never log.
 */
#ifndef PURPLE_BASE_LOG_H
#define PURPLE_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Opens the log file (O_APPEND|O_CREAT 0644) at once: engines take a missing one for a crash. */
int log_open(const char *path, enum log_format format, struct err *e);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* One record. Errors go to stderr always and to the log file when there is one; lower levels go
 * to the log file, or to stderr when there is none. */
void log_write(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
