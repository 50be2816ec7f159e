/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime state and list */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

static int run_state(const void *global, void *opts, char **args, int n, int *ret_status,
		     struct err *e)
{
	const struct runtime_globals *g = global;
	_container_close_ struct container c = CONTAINER_EMPTY;
	_buf_free_ struct buf out = {};
	enum container_status status;
	int r;

	r = container_open(g->root, args[0], false, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r == 0)
		r = container_state_document(&c, status, true, &out, e);
	if (r < 0)
		return r;
	buf_adds(&out, "\n");
	return print_text(&out, e);
}

const struct command state_command = {
	.name = "state",
	.arguments = "ID",
	.help = "Print the state of a container as JSON.",
	.min_args = 1,
	.max_args = 1,
	.run = run_state,
};

struct list_options {
	const char *format;
	bool quiet;
};

static const struct option_row list_rows[] = {
	OPTION(list_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "table (default) or json"),
	OPTION(list_options, quiet, "quiet", 'q', OPTION_FLAG, NULL, "print the ids only"),
	{},
};

/* One container for `list`. One that vanishes meanwhile is left out. */
static int add_container(const char *root, const char *id, const struct list_options *o,
			 bool json, bool *first, struct buf *out, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r;

	if (o->quiet) {
		buf_addf(out, "%s\n", id);
		return 0;
	}
	r = container_open(root, id, false, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0) {
		log_warn("%s", e->msg);
		return 0;
	}
	if (!json) {
		buf_addf(out, "%-28s %-8d %-10s %-40s %-32s %s\n", id,
			 status == CONTAINER_STOPPED ? 0 : c.st.pid,
			 container_status_name(status), c.st.bundle ? c.st.bundle : "",
			 c.st.created ? c.st.created : "", c.st.owner ? c.st.owner : "");
		return 0;
	}
	if (!*first)
		buf_adds(out, ",");
	*first = false;
	return container_state_document(&c, status, false, out, e);
}

static int run_list(const void *global, void *opts, char **args, int n, int *ret_status,
		    struct err *e)
{
	const struct runtime_globals *g = global;
	const struct list_options *o = opts;
	bool json, first = true;
	_strv_free_ struct strv ids = {};
	_buf_free_ struct buf out = {};
	int r;

	r = format_is_json(o->format, &json, e);
	if (r == 0)
		r = container_list_ids(g->root, &ids, e);
	if (r < 0)
		return r;
	if (json)
		buf_adds(&out, "[");
	else if (!o->quiet)
		buf_addf(&out, "%-28s %-8s %-10s %-40s %-32s %s\n", "ID", "PID", "STATUS",
			 "BUNDLE", "CREATED", "OWNER");
	for (size_t i = 0; r == 0 && i < ids.n; i++)
		r = add_container(g->root, ids.v[i], o, json, &first, &out, e);
	if (json)
		buf_adds(&out, "]\n");
	return r < 0 ? r : print_text(&out, e);
}

const struct command list_command = {
	.name = "list",
	.arguments = "",
	.help = "List the containers of the state root.",
	.options = list_rows,
	.options_size = sizeof(struct list_options),
	.run = run_list,
};
