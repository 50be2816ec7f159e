/* SPDX-License-Identifier: Apache-2.0 */
/* How a program says that it failed. For main() alone. */
#ifndef PURPLE_CMD_REPORT_H
#define PURPLE_CMD_REPORT_H

#include "base/err.h"

/* Logs the error with the phrase that engines know for its kind; returns the exit code. */
int report_error(const struct err *e);

/* Descriptors 0 to 2 exist, SIGPIPE is ignored, SIGCHLD is not, the umask is 0022. First thing in
 * main(). */
void program_begin(void);

struct log_options {
	const char *file;   /* NULL: none */
	const char *format; /* text (default), json */
	const char *level;  /* error (default), warning, info, debug */
	bool debug;
};

/* Sets logging up as a program's global options ask. */
int report_open_log(const struct log_options *o, struct err *e);

#endif
