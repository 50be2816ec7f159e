/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime update */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

#define RESOURCES_MAX (1024 * 1024)

struct update_options {
	const char *resources;
};

static const struct option_row rows[] = {
	OPTION(update_options, resources, "resources", 'r', OPTION_STRING, "FILE",
	       "an OCI resources object; - is stdin"),
	{},
};

static int read_resources(const char *path, struct oci_resources *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r;

	if (streq(path, "-"))
		r = fd_read_all(STDIN_FILENO, RESOURCES_MAX, &text, &len, e);
	else
		r = fs_read(AT_FDCWD, path, RESOURCES_MAX, &text, &len, e);
	if (r == 0)
		r = json_parse(text, len, "resources", &j, e);
	if (r == 0)
		r = json_read(j, &oci_resources_type, "resources", ret, e);
	if (r == 0) {
		r = oci_resources_check(ret, e);
		if (r < 0)
			json_clear(&oci_resources_type, ret);
	}
	return r;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct runtime_globals *g = global;
	const struct update_options *o = opts;
	struct oci_resources res = {};
	int r;

	if (!o->resources)
		return err_set(e, ERR_USAGE, EINVAL, "update needs --resources FILE");
	r = read_resources(o->resources, &res, e);
	if (r < 0)
		return r;
	r = container_update(g->root, args[0], &res, e);
	json_clear(&oci_resources_type, &res);
	return r;
}

const struct command update_command = {
	.name = "update",
	.arguments = "ID",
	.help = "Change the limits of a running container.",
	.options = rows,
	.options_size = sizeof(struct update_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
