/* SPDX-License-Identifier: Apache-2.0 */
/* See audit_time.h. */
#include "cmd/purple/audit_time.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/str.h"

#define AGE_MAX (100ll * 366 * 86400)

static bool parse_age(const char *text, time_t now, time_t *ret)
{
	static const struct {
		char unit;
		long long seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t digits = strspn(text, "0123456789");
	long long n;

	if (digits == 0 || digits > 10 || !text[digits] || text[digits + 1])
		return false;
	n = atoll(text);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (text[digits] != units[i].unit || n > AGE_MAX / units[i].seconds)
			continue;
		*ret = now - (time_t)(n * units[i].seconds);
		return true;
	}
	return false;
}

static bool parse_date(const char *text, time_t *ret)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M",
					       "%Y-%m-%dT%H:%M:%S" };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct tm tm = {}, back;
		const char *end = strptime(text, formats[i], &tm);

		if (!end || (*end && (i == 0 || !streq(end, "Z"))))
			continue;
		back = tm;
		*ret = timegm(&back);
		/* The 31st of a shorter month would be one of the next. */
		return *ret >= 0 && back.tm_mday == tm.tm_mday && back.tm_hour == tm.tm_hour;
	}
	return false;
}

int audit_time_parse(const char *text, time_t now, char ret[AUDIT_TIME_SIZE], struct err *e)
{
	struct tm tm = {};
	time_t t;

	if ((!parse_age(text, now, &t) && !parse_date(text, &t)) || !gmtime_r(&t, &tm) ||
	    strftime(ret, AUDIT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S.000000Z", &tm) !=
		    AUDIT_TIME_SIZE - 1)
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%s' is no time: expected 2026-11-22, 2026-11-22T15:04:05 (UTC), or "
			       "how long ago (90s, 10m, 2h, 3d)",
			       text);
	return 0;
}
