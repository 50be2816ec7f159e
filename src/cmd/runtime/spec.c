/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime spec */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/runtime/runtime.h"
#include "oci/template.h"

struct spec_options {
	const char *bundle;
	bool rootless;
};

static const struct option_row rows[] = {
	OPTION(spec_options, bundle, "bundle", 'b', OPTION_STRING, "DIR",
	       "where to write it (default: the current directory)"),
	OPTION(spec_options, rootless, "rootless", 0, OPTION_FLAG, NULL,
	       "one that an ordinary user can run"),
	{},
};

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct spec_options *o = opts;
	_buf_free_ struct buf text = {};
	_close_ int dir = -1;
	int r;

	dir = open(o->bundle ? o->bundle : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "cannot open '%s'", o->bundle);
	if (faccessat(dir, "config.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, ERR_USAGE, EEXIST,
			       "config.json exists already: remove it first");
	r = template_write(o->rootless, geteuid(), getegid(), &text, e);
	if (r < 0)
		return r;
	return fs_write_atomic(dir, "config.json", text.s, text.len, 0644, e);
}

const struct command spec_command = {
	.name = "spec",
	.arguments = "",
	.help = "Write a config.json to start from.",
	.options = rows,
	.options_size = sizeof(struct spec_options),
	.run = run,
};
