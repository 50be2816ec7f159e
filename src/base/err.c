/* SPDX-License-Identifier: Apache-2.0 */
/* Error values: see err.h. Allocates nothing, so it is safe in a child between clone and exec. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append_errno(struct err *e)
{
	size_t used = strlen(e->msg);

	snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", strerror(e->code));
}

int err_set(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
{
	va_list ap;

	e->kind = kind;
	e->code = code < 0 ? -code : code;
	if (e->code == 0)
		e->code = EINVAL;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -e->code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno;
	va_list ap;

	e->kind = ERR_KERNEL;
	e->code = code ? code : EIO;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	append_errno(e);
	return -e->code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	e->kind = ERR_KERNEL;
	e->code = code < 0 ? -code : code;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	append_errno(e);
	return -e->code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	size_t used;
	va_list ap;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	/* Cutting a chain of contexts short is wanted: the buffer is fixed. */
	snprintf(e->msg + used, sizeof(e->msg) - used, ": %.*s", (int)sizeof(old) - 1, old);
	return -e->code;
}

int err_oom(struct err *e)
{
	return err_set(e, ERR_INTERNAL, ENOMEM, "out of memory");
}
