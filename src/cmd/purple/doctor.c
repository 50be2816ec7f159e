/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: what this host, and this user, can enforce. Runs with the caller's privileges;
 * leaves nothing behind, and changes nothing without --fix. */
#include "cmd/purple/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"

struct doctor_options {
	const char *format;
	bool fix;
};

static const struct option_row rows[] = {
	OPTION(doctor_options, fix, "fix", 0, OPTION_FLAG, NULL,
	       "remove what killed sandboxes have left"),
	OPTION(doctor_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "table (default) or json"),
	{},
};

static void add(struct doctor *d, const struct doctor_subject *s,
		enum doctor_status status, const char *fix, const char *fmt, va_list ap)
{
	struct doctor_finding *f = list_add(&d->findings);
	char detail[1024];

	if (!f) {
		d->failed = true;
		return;
	}
	vsnprintf(detail, sizeof(detail), fmt, ap);
	f->name = s->name;
	f->serves = s->serves;
	f->needed = s->needed;
	f->status = status;
	f->detail = strdup(detail);
	f->fix = fix ? strdup(fix) : NULL;
	d->failed |= !f->detail || (fix && !f->fix);
}

void doctor_ok(struct doctor *d, const struct doctor_subject *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, s, DOCTOR_OK, NULL, fmt, ap);
	va_end(ap);
}

void doctor_bad(struct doctor *d, const struct doctor_subject *s,
		enum doctor_status status, const char *fix, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, s, status, fix, fmt, ap);
	va_end(ap);
}

int doctor_try(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int r = fn(arg);

		_exit(r < 0 ? -r : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return -EFAULT;
	return -WEXITSTATUS(status);
}

static int list_lacking(const char *root, bool (*is_lacking)(const struct container *c),
			struct strv *ret, struct err *e)
{
	_strv_free_ struct strv ids = {};
	int r = container_list_ids(root, &ids, e);

	for (size_t i = 0; r == 0 && i < ids.n; i++) {
		_container_close_ struct container c = CONTAINER_EMPTY;
		struct err gone;

		if (container_open(root, ids.v[i], false, &c, &gone) < 0 ||
		    !is_lacking(&c) || !process_is_alive(c.st.pid, c.st.pid_start))
			continue;
		if (strv_add(ret, ids.v[i]) < 0)
			r = err_oom(e);
	}
	return r;
}

void doctor_check_containers(struct doctor *d, const struct doctor_subject *s,
			     bool (*is_lacking)(const struct container *c), const char *what)
{
	_strv_free_ struct strv ids = {};
	struct err e = {};

	if (d->ordinary)
		return;
	if (list_lacking(d->root, is_lacking, &ids, &e) < 0)
		doctor_bad(d, s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (ids.n == 0)
		doctor_ok(d, s, "of all containers that run");
	else
		doctor_bad(d, s, DOCTOR_BROKEN, "start the container anew", "%s: %s%s",
			   what, ids.v[0], ids.n > 1 ? ", ..." : "");
}

static const char *status_name(const struct doctor_finding *f)
{
	if (f->status == DOCTOR_OK)
		return "ok";
	if (f->status == DOCTOR_BROKEN)
		return "broken";
	return f->needed ? "missing" : "absent";
}

static void write_table(const struct doctor *d, struct buf *out)
{
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct doctor_finding *f = &d->findings.v[i];

		buf_addf(out, "%-8s %-22s ", status_name(f), f->name);
		print_plain(out, f->detail, 0);
		buf_adds(out, "\n");
		if (f->status == DOCTOR_OK)
			continue;
		buf_addf(out, "         for: %s%s\n", f->serves,
			 f->needed ? "" : " (not needed by what is enforced now)");
		if (f->fix)
			buf_addf(out, "         fix: %s\n", f->fix);
	}
}

static void write_json(const struct doctor *d, struct buf *out)
{
	buf_adds(out, "[");
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct doctor_finding *f = &d->findings.v[i];

		buf_addf(out, "%s\n  {\"check\":", i ? "," : "");
		json_quote(out, f->name);
		buf_addf(out, ",\"status\":\"%s\",\"needed\":%s,\"for\":", status_name(f),
			 f->needed ? "true" : "false");
		json_quote(out, f->serves);
		buf_adds(out, ",\"detail\":");
		json_quote(out, f->detail);
		if (f->fix) {
			buf_adds(out, ",\"fix\":");
			json_quote(out, f->fix);
		}
		buf_adds(out, "}");
	}
	buf_adds(out, "\n]\n");
}

static void doctor_clear(struct doctor *d)
{
	for (size_t i = 0; i < d->findings.n; i++) {
		free(d->findings.v[i].detail);
		free(d->findings.v[i].fix);
	}
	free(d->findings.v);
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	const struct doctor_options *o = opts;
	__attribute__((cleanup(doctor_clear))) struct doctor d = {
		.root = g->root,
		.may_fix = o->fix,
		.ordinary = !is_host_root(),
	};
	_buf_free_ struct buf out = {};
	bool json;
	int r = format_is_json(o->format, &json, e);

	if (r < 0)
		return r;
	doctor_check_kernel(&d);
	doctor_check_namespaces(&d);
	doctor_check_cgroups(&d);
	doctor_check_network(&d);
	doctor_check_tracing(&d);
	doctor_check_gateway(&d);
	doctor_check_policies(&d);
	doctor_check_programs(&d);
	doctor_check_leftovers(&d);
	if (d.failed)
		return err_oom(e);
	for (size_t i = 0; i < d.findings.n; i++)
		if (d.findings.v[i].needed && d.findings.v[i].status != DOCTOR_OK)
			*ret_status = 1;
	if (json)
		write_json(&d, &out);
	else
		write_table(&d, &out);
	return print_text(&out, e);
}

const struct command purple_doctor_command = {
	.name = "doctor",
	.arguments = "",
	.help = "Say what this host can enforce, and what is missing with its fix.",
	.options = rows,
	.options_size = sizeof(struct doctor_options),
	.run = run,
};
