/* SPDX-License-Identifier: Apache-2.0 */
/* Pressure stall information of a group. Runs in the runtime process; only reads. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup/internal.h"

/* "some avg10=0.12 avg60=0.00 avg300=0.00 total=4711" */
static bool parse_line(const char *line, const char *name, struct cgroup_pressure_line *ret)
{
	struct cgroup_pressure_line l;
	unsigned int whole[3], part[3];
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 ||
	    sscanf(line + len, " avg10=%u.%2u avg60=%u.%2u avg300=%u.%2u total=%" SCNu64,
		   &whole[0], &part[0], &whole[1], &part[1], &whole[2], &part[2],
		   &l.total_us) != 7)
		return false;
	for (int i = 0; i < 3; i++)
		l.avg[i] = whole[i] * 100 + part[i];
	*ret = l;
	return true;
}

int cgroup_read_pressure(const char *dir, const char *file, struct cgroup_pressure *ret,
			 struct err *e)
{
	_free_ char *text = NULL;
	char *line, *save = NULL;
	int r = cgroup_read(dir, file, &text);

	/* EOPNOTSUPP: the kernel was started without it. */
	if (r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/%s'", dir, file);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (parse_line(line, "some", &ret->some) ||
		    parse_line(line, "full", &ret->full))
			ret->set = true;
	return 0;
}
