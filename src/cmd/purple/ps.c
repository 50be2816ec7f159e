/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple ps: the containers of the state root, and with --all those that were (container/history.h).
 * Runs with the caller's privileges, reads only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "cmd/purple/purple.h"
#include "cmd/purple/summary.h"
#include "container/container.h"
#include "container/end.h"
#include "container/history.h"
#include "gateway/limit.h"

#define COMMAND_WIDTH 60

struct ps_options {
	const char *format, *last;
	bool all, quiet;
};

static const struct option_row rows[] = {
	OPTION(ps_options, all, "all", 'a', OPTION_FLAG, NULL,
	       "stopped and unfinished ones, and runs that are over, too"),
	OPTION(ps_options, last, "last", 'n', OPTION_STRING, "N",
	       "at most so many runs that are over (default: all that are recorded)"),
	OPTION(ps_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "table (default) or json"),
	OPTION(ps_options, quiet, "quiet", 'q', OPTION_FLAG, NULL, "print the ids only"),
	{},
};

/* What one line or object is made of. */
struct entry {
	struct container c;
	enum container_status status;
	struct oci_spec *spec; /* NULL: not there yet */
	char *profile;	       /* its policies' names */
	bool has_limit;
	struct gateway_limit limit; /* a budget that is spent, and what was done */
	bool has_end;
	struct container_end end; /* why it ends, or ended */
};

static void entry_clear(struct entry *x)
{
	container_close(&x->c);
	oci_spec_free(x->spec);
	free(x->profile);
	gateway_limit_clear(&x->limit);
	container_end_clear(&x->end);
}

static int read_entry(const char *root, const char *id, struct entry *x, struct err *e)
{
	_buf_free_ struct buf names = {};
	struct err unused;
	int r;

	r = container_open(root, id, false, &x->c, e);
	if (r == 0)
		r = container_status(&x->c, &x->status, e);
	if (r < 0)
		return r;
	container_config_load(&x->c, &x->spec, &unused);
	gateway_limit_load(x->c.dirfd, &x->limit, &x->has_limit, &unused);
	/* A wish that it ends says nothing before it has. */
	if (x->status == CONTAINER_STOPPED)
		container_end_load(&x->c, &x->end, &x->has_end, &unused);
	for (size_t i = 0; i < x->c.st.policies.n; i++)
		buf_addf(&names, "%s%s", i ? "," : "", x->c.st.policies.v[i].name);
	x->profile = strdup(names.s ? names.s : "");
	return x->profile && !names.failed ? 0 : err_oom(e);
}

/* "5 s", "3 min", "2 h", "4 d" since an RFC 3339 time in UTC. */
static void format_age(const char *created, char *ret, size_t size)
{
	static const struct {
		long seconds;
		const char *unit;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	struct tm tm = {};
	long age;

	snprintf(ret, size, "-");
	if (!created || !strptime(created, "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	age = (long)(time(NULL) - timegm(&tm));
	if (age < 0)
		age = 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (age >= units[i].seconds || units[i].seconds == 1) {
			snprintf(ret, size, "%ld %s", age / units[i].seconds, units[i].unit);
			return;
		}
	}
}

static void write_command(const struct strv *args, struct buf *out)
{
	_buf_free_ struct buf words = {};

	for (size_t i = 0; args && i < args->n; i++)
		buf_addf(&words, "%s%s", i ? " " : "", args->v[i]);
	print_plain(out, words.s ? words.s : "-", COMMAND_WIDTH);
}

static void write_reason(const struct container_end *x, struct buf *out)
{
	buf_adds(out, " [");
	summary_end(x, out);
	buf_adds(out, "]");
}

static void write_row(const struct entry *x, struct buf *out)
{
	const struct oci_process *p = x->spec ? x->spec->process : NULL;
	char age[32];

	format_age(x->c.st.created, age, sizeof(age));
	buf_addf(out, "%-28s %-20s %-9s %-8d %-8s ", x->c.st.id,
		 x->profile[0] ? x->profile : "-", container_status_name(x->status),
		 x->status == CONTAINER_STOPPED ? 0 : x->c.st.pid, age);
	write_command(p ? &p->args : NULL, out);
	/* Why it stands still, or has ended. */
	if (x->has_end) {
		write_reason(&x->end, out);
	} else if (x->has_limit) {
		buf_adds(out, " [budget spent: ");
		print_plain(out, x->limit.action, 0);
		buf_adds(out, "]");
	}
	buf_adds(out, "\n");
}

static void write_limit(const struct gateway_limit *l, struct buf *out)
{
	_buf_free_ struct buf text = {};

	gateway_limit_text(l, &text);
	buf_adds(out, ",\"limit\":{\"action\":");
	json_quote(out, l->action);
	buf_adds(out, ",\"policy\":");
	json_quote(out, l->policy);
	buf_adds(out, ",\"budget\":");
	json_quote(out, l->budget);
	buf_adds(out, ",\"since\":");
	json_quote(out, l->since);
	buf_adds(out, ",\"text\":");
	json_quote(out, text.s ? text.s : "");
	buf_adds(out, "}");
	out->failed |= text.failed;
}

static void write_end(const struct container_end *x, struct buf *out)
{
	struct err e;

	buf_adds(out, ",\"end\":");
	if (json_write(&container_end_type, x, false, out, &e) < 0)
		out->failed = true;
}

static void write_strings(const struct strv *l, struct buf *out)
{
	buf_adds(out, "[");
	for (size_t i = 0; l && i < l->n; i++) {
		buf_adds(out, i ? "," : "");
		json_quote(out, l->v[i]);
	}
	buf_adds(out, "]");
}

static void write_object(const struct entry *x, struct buf *out)
{
	const struct oci_process *p = x->spec ? x->spec->process : NULL;

	buf_adds(out, "{\"id\":");
	json_quote(out, x->c.st.id);
	buf_adds(out, ",\"policies\":[");
	for (size_t i = 0; i < x->c.st.policies.n; i++) {
		buf_adds(out, i ? "," : "");
		json_quote(out, x->c.st.policies.v[i].name);
	}
	buf_addf(out, "],\"status\":\"%s\",\"pid\":%d,\"created\":",
		 container_status_name(x->status),
		 x->status == CONTAINER_STOPPED ? 0 : x->c.st.pid);
	json_quote(out, x->c.st.created ? x->c.st.created : "");
	buf_adds(out, ",\"command\":");
	write_strings(p ? &p->args : NULL, out);
	if (x->has_limit)
		write_limit(&x->limit, out);
	if (x->has_end)
		write_end(&x->end, out);
	buf_adds(out, "}");
}

/* --- runs that are over --- */

static void write_run_row(const struct run_record *x, struct buf *out)
{
	_buf_free_ struct buf names = {};
	char age[32];

	for (size_t i = 0; i < x->policies.n; i++)
		buf_addf(&names, "%s%s", i ? "," : "", x->policies.v[i]);
	format_age(x->ended, age, sizeof(age));
	buf_addf(out, "%-28s %-20s %-9s %-8d %-8s ", x->id, names.s ? names.s : "-",
		 "ended", 0, age);
	write_command(&x->command, out);
	write_reason(x->end, out);
	buf_adds(out, "\n");
}

static void write_run_object(const struct run_record *x, struct buf *out)
{
	buf_adds(out, "{\"id\":");
	json_quote(out, x->id);
	buf_adds(out, ",\"policies\":");
	write_strings(&x->policies, out);
	buf_adds(out, ",\"status\":\"ended\",\"pid\":0,\"created\":");
	json_quote(out, x->started ? x->started : "");
	buf_adds(out, ",\"ended\":");
	json_quote(out, x->ended);
	buf_adds(out, ",\"command\":");
	write_strings(&x->command, out);
	write_end(x->end, out);
	buf_adds(out, "}");
}

/* What `list` writes into, and how. */
struct listing {
	const struct ps_options *o;
	const char *root;
	bool json;
	size_t written;
	struct buf *out;
};

static int list_runs(struct listing *l, struct err *e)
{
	_strv_free_ struct strv names = {};
	uint32_t left = UINT32_MAX;
	int r;

	if (l->o->last && num_u32(l->o->last, &left) < 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "option '--last' needs a number, not '%s'", l->o->last);
	r = history_list(&names, e);
	for (size_t i = 0; r == 0 && i < names.n && left > 0; i++) {
		_run_record_clear_ struct run_record x = {};
		struct err odd;

		if (history_read(names.v[i], &x, &odd) < 0) {
			if (odd.kind != ERR_NOT_EXIST)
				log_warn("%s", odd.msg);
			continue;
		}
		if (!streq_null(x.root, l->root))
			continue;
		left--;
		if (l->json && l->written++)
			buf_adds(l->out, ",");
		if (l->json)
			write_run_object(&x, l->out);
		else
			write_run_row(&x, l->out);
	}
	return r;
}

static bool is_listed(const struct ps_options *o, enum container_status s)
{
	return o->all || s == CONTAINER_RUNNING || s == CONTAINER_PAUSED ||
	       s == CONTAINER_CREATED;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	const struct ps_options *o = opts;
	_strv_free_ struct strv ids = {};
	_buf_free_ struct buf out = {};
	struct listing l = { .o = o, .root = g->root, .out = &out };
	int r;

	r = format_is_json(o->format, &l.json, e);
	if (r == 0 && o->last && !o->all)
		r = err_set(e, ERR_USAGE, EINVAL, "--last is for ps --all");
	if (r == 0)
		r = container_list_ids(g->root, &ids, e);
	if (r < 0)
		return r;
	if (l.json)
		buf_adds(&out, "[");
	else if (!o->quiet)
		buf_addf(&out, "%-28s %-20s %-9s %-8s %-8s %s\n", "ID", "PROFILE",
			 "STATUS", "PID", "AGE", "COMMAND");
	for (size_t i = 0; i < ids.n; i++) {
		__attribute__((
			cleanup(entry_clear))) struct entry x = { .c = CONTAINER_EMPTY };
		struct err gone;

		/* One that vanishes meanwhile is left out. */
		if (read_entry(g->root, ids.v[i], &x, &gone) < 0) {
			log_warn("%s", gone.msg);
			continue;
		}
		if (!is_listed(o, x.status))
			continue;
		if (l.json && l.written++)
			buf_adds(&out, ",");
		if (l.json)
			write_object(&x, &out);
		else if (o->quiet)
			buf_addf(&out, "%s\n", ids.v[i]);
		else
			write_row(&x, &out);
	}
	/* Their ids are of no use to a command. */
	if (o->all && !o->quiet)
		r = list_runs(&l, e);
	if (l.json)
		buf_adds(&out, "]\n");
	return r < 0 ? r : print_text(&out, e);
}

const struct command purple_ps_command = {
	.name = "ps",
	.arguments = "",
	.help = "List sandboxes and containers.",
	.options = rows,
	.options_size = sizeof(struct ps_options),
	.run = run,
};
