/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime ps: the host's pids of a container's processes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

struct ps_options {
	const char *format;
};

static const struct option_row rows[] = {
	OPTION(ps_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "table (default) or json"),
	{},
};

static int write_json(const cgroup_pid_list *pids, struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_adds(&out, "[");
	for (size_t i = 0; i < pids->n; i++)
		buf_addf(&out, "%s%d", i ? "," : "", (int)pids->v[i]);
	buf_adds(&out, "]\n");
	return print_text(&out, e);
}

static bool is_listed(const cgroup_pid_list *pids, long pid)
{
	for (size_t i = 0; i < pids->n; i++)
		if (pids->v[i] == (pid_t)pid)
			return true;
	return false;
}

/* Which column of ps's heading is the pid; -1 when there is none. */
static int pid_column(const char *line)
{
	_free_ char *copy = strdup(line);
	char *rest = copy, *word;
	int column = 0;

	while (rest && (word = strsep(&rest, " \t\n"))) {
		if (!*word)
			continue;
		if (streq(word, "PID"))
			return column;
		column++;
	}
	return -1;
}

static long column_value(const char *line, int column)
{
	for (int i = 0;; i++) {
		line += strspn(line, " \t");
		if (i == column)
			return strtol(line, NULL, 10);
		line += strcspn(line, " \t\n");
	}
}

/* ps(1) prints, and we keep the container's lines. */
static int filter_ps(FILE *ps, const cgroup_pid_list *pids, struct err *e)
{
	_buf_free_ struct buf out = {};
	_free_ char *line = NULL;
	size_t size = 0;
	int column = -1;

	while (getline(&line, &size, ps) > 0) {
		if (column < 0) {
			column = pid_column(line);
			if (column < 0)
				return err_set(e, ERR_USAGE, EINVAL,
					       "ps prints no PID column with these arguments");
			buf_adds(&out, line);
		} else if (is_listed(pids, column_value(line, column))) {
			buf_adds(&out, line);
		}
	}
	return print_text(&out, e);
}

static int write_table(const cgroup_pid_list *pids, char **args, int n, struct err *e)
{
	_fclose_ FILE *ps = NULL;
	int fds[2], status, r;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	child = fork();
	if (child < 0)
		return err_sys(e, "cannot fork");
	if (child == 0) {
		char *standard[] = { "ps", "-ef", NULL };

		dup2(fds[1], STDOUT_FILENO);
		/* args[-1] is the container's id: its place takes the program's name. */
		args[-1] = "ps";
		execvp("ps", n > 0 ? args - 1 : standard);
		_exit(127);
	}
	close(fds[1]);
	ps = fdopen(fds[0], "r");
	r = ps ? filter_ps(ps, pids, e) : err_sys(e, "cannot read from ps");
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "ps is needed for a table: use --format json, or install procps");
	return r;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct runtime_globals *g = global;
	const struct ps_options *o = opts;
	cgroup_pid_list pids = {};
	bool json;
	int r;

	r = format_is_json(o->format, &json, e);
	if (r == 0)
		r = container_processes(g->root, args[0], &pids, e);
	if (r == 0)
		r = json ? write_json(&pids, e) : write_table(&pids, args + 1, n - 1, e);
	free(pids.v);
	return r;
}

const struct command ps_command = {
	.name = "ps",
	.arguments = "ID [PS-ARGUMENT...]",
	.help = "List the processes of a container.",
	.options = rows,
	.options_size = sizeof(struct ps_options),
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.run = run,
};
