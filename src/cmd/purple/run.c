/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple run: an agent in a sandbox that its policy describes, with no engine and no image. Runs
 * with the caller's privileges, as the sandbox's supervisor until its end. Nothing is left behind:
 * what this process does not take away because it was killed, the cleaner does (cleaner.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "cmd/purple/purple.h"
#include "cmd/purple/summary.h"
#include "container/alerts.h"
#include "container/budget.h"
#include "container/record.h"
#include "container/run.h"
#include "policy/merge.h"

#define STATUS_TIMED_OUT 124 /* as timeout(1) */
#define STATUS_SPENT 123     /* a budget stopped it */
#define ID_TRIES 100

struct run_options {
	const char *profile, *name, *summary, *summary_file;
	struct strv env;
	bool tty, no_tty, quiet;
};

static const struct option_row rows[] = {
	OPTION(run_options, profile, "profile", 'p', OPTION_STRING, "PROFILE",
	       "the policy: a profile's name or a file"),
	OPTION(run_options, name, "name", 0, OPTION_STRING, "ID",
	       "the sandbox's id (default: the policy's name and a random suffix)"),
	OPTION(run_options, env, "env", 'e', OPTION_LIST, "NAME[=VALUE]",
	       "an environment variable; without VALUE, the caller's"),
	OPTION(run_options, tty, "tty", 't', OPTION_FLAG, NULL,
	       "give the agent a terminal (default: when stdin and stdout are one)"),
	OPTION(run_options, no_tty, "no-tty", 'T', OPTION_FLAG, NULL,
	       "give it no terminal of its own"),
	OPTION(run_options, quiet, "quiet", 'q', OPTION_FLAG, NULL,
	       "print nothing of Purple's own: no denials, no reason of the end, no summary"),
	OPTION(run_options, summary, "summary", 0, OPTION_STRING, "FORMAT",
	       "what is printed to stderr at the end: text (default on a terminal), json or none "
	       "(default elsewhere)"),
	OPTION(run_options, summary_file, "summary-file", 0, OPTION_STRING, "FILE",
	       "write the summary to this file as JSON"),
	{},
};

/* Where in which policy the limits stand that may end the agent, for messages: "FILE:LINE". */
struct limit_places {
	char *timeout, *memory;
};

static void limit_places_clear(struct limit_places *l)
{
	free(l->timeout);
	free(l->memory);
}

/* One variable as `--env` gives it. */
static int add_env(struct strv *env, const char *arg, struct err *e)
{
	const char *equals = strchr(arg, '='), *value;

	if (equals == arg || !*arg)
		return err_set(e, ERR_USAGE, EINVAL, "--env '%s' names no variable", arg);
	if (equals)
		return strv_add(env, arg) < 0 ? err_oom(e) : 0;
	value = getenv(arg);
	if (!value)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--env %s: the caller's environment has no such variable",
			       arg);
	return strv_addf(env, "%s=%s", arg, value) < 0 ? err_oom(e) : 0;
}

static int fill_request(const struct run_options *o, char **args, int n,
			struct sandbox_request *ret, struct err *e)
{
	const char *term = getenv("TERM");
	int r = 0;

	if (o->tty && o->no_tty)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--tty and --no-tty exclude each other");
	ret->terminal = o->tty ||
			(!o->no_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	ret->uid = geteuid();
	ret->gid = getegid();
	ret->rootless = geteuid() != 0;
	ret->network = !ret->rootless;
	ret->gateway = !ret->rootless;
	ret->audit = !ret->rootless;
	ret->rootfs = "rootfs";
	for (int i = 0; i < n; i++)
		if (strv_add(&ret->args, args[i]) < 0)
			return err_oom(e);
	if (ret->terminal && term && *term && strv_addf(&ret->env, "TERM=%s", term) < 0)
		return err_oom(e);
	for (size_t i = 0; r == 0 && i < o->env.n; i++)
		r = add_env(&ret->env, o->env.v[i], e);
	return r;
}

/* A profile is shown by its policy's name, and by a path that stays valid. */
static int name_profile(struct policy_source *s, const struct policy *p, struct err *e)
{
	_free_ char *path = NULL, *name = strdup(p->name);
	int r;

	if (!name)
		return err_oom(e);
	r = fs_realpath(s->path, &path, e);
	if (r < 0)
		return r;
	free(s->name);
	free(s->path);
	s->name = take_ptr(&name);
	s->path = take_ptr(&path);
	return 0;
}

static int note_limits(const struct policy_plan *plan, struct limit_places *l, struct err *e)
{
	l->timeout = plan->timeout_place ? strdup(plan->timeout_place) : NULL;
	l->memory = plan->memory_place ? strdup(plan->memory_place) : NULL;
	return !l->timeout == !plan->timeout_place && !l->memory == !plan->memory_place ?
		       0 :
		       err_oom(e);
}

/* The last source is the profile. */
static int read_profile(struct policy_plan *plan, struct err *e)
{
	struct policy_source *s = &plan->sources.v[plan->sources.n - 1];
	_policy_free_ struct policy *p = NULL;
	int r = policy_load(s->path, &p, e);

	return r < 0 ? r : name_profile(s, p, e);
}

/* An id that no state folder has. Making the folder decides; this only keeps people from odds. */
static int generate_id(const char *root, const char *name, char **ret, struct err *e)
{
	for (int i = 0; i < ID_TRIES; i++) {
		_free_ char *id = NULL, *dir = NULL;
		unsigned char b[3];
		struct stat st;

		if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
			return err_sys(e, "cannot get random bytes");
		id = str_printf("%s-%02x%02x%02x", name, b[0], b[1], b[2]);
		dir = id ? fs_join(root, id) : NULL;
		if (!dir)
			return err_oom(e);
		if (lstat(dir, &st) < 0 && errno == ENOENT) {
			*ret = take_ptr(&id);
			return 0;
		}
		if (errno == ENOTDIR || errno == EACCES)
			return err_sys(e, "cannot look into '%s'", root);
	}
	return err_set(e, ERR_STATE, EEXIST, "no free id was found: give one with --name");
}

static int choose_id(const struct run_options *o, const char *root,
		     const struct policy_plan *plan, char **ret, struct err *e)
{
	int r;

	if (!o->name)
		return generate_id(root, plan->sources.v[plan->sources.n - 1].name, ret, e);
	r = container_check_id(o->name, e);
	if (r < 0)
		return r;
	*ret = strdup(o->name);
	return *ret ? 0 : err_oom(e);
}

/* What an ordinary user can do about errors that root does not meet. */
static int explain_ordinary_user(const char *root, struct err *e)
{
	if (geteuid() == 0)
		return -e->code;
	if (e->code == EACCES && streq(root, "/run/purple") && strstr(e->msg, root))
		return err_wrap(e, "this user has no XDG_RUNTIME_DIR: log in anew, or give --root a "
				   "folder of its own");
	if (strstr(e->msg, "need a cgroup") || strstr(e->msg, "cgroup.subtree_control") ||
	    strstr(e->msg, "cgroup.controllers"))
		return err_wrap(e,
				"the policy's resource limits need a cgroup that this user may write: "
				"run as root, or on a host with cgroup v2 alone with a systemd of the "
				"user's own ('systemctl --user status')");
	return -e->code;
}

static int tell_budget(const struct budget_watch *w, char *text, size_t size)
{
	_buf_free_ struct buf b = {};

	budget_watch_text(w, true, &b);
	return b.failed ? 0 : snprintf(text, size, "%s\n", b.s);
}

/* Says why Purple, and not the agent itself, ended it. */
static void tell_end(const struct supervise *s, const struct limit_places *l)
{
	const struct container_end *end = s->record->end;
	char text[2048];
	int n = 0;

	if (s->timed_out)
		n = snprintf(text, sizeof(text),
			     "purple: stopped after %ld s (resources.session_timeout_seconds, %s)\n",
			     s->timeout_s, l->timeout ? l->timeout : "");
	else if (s->oom_killed && l->memory)
		n = snprintf(text, sizeof(text),
			     "purple: the agent was killed: out of memory "
			     "(resources.memory_limit_bytes, %s)\n",
			     l->memory);
	else if (s->oom_killed)
		n = snprintf(text, sizeof(text),
			     "purple: the agent was killed: out of memory\n");
	else if (budget_watch_stops(s->budget))
		n = tell_budget(s->budget, text, sizeof(text));
	else if (end && streq_null(end->reason, END_AUDIT))
		n = snprintf(text, sizeof(text),
			     "purple: the agent was stopped: %s (%s, %s)\n",
			     end->detail ? end->detail : "it could not be recorded",
			     end->setting ? end->setting : "audit",
			     end->policy ? end->policy : "");
	if (n > 0)
		fd_write_all(STDERR_FILENO, text, strnlen(text, sizeof(text)));
}

/* --- the summary --- */

enum summary { SUMMARY_REASON, SUMMARY_NONE, SUMMARY_TEXT, SUMMARY_JSON };

static int choose_summary(const struct run_options *o, enum summary *ret, struct err *e)
{
	static const struct {
		const char *name;
		enum summary value;
	} formats[] = { { "text", SUMMARY_TEXT },
			{ "json", SUMMARY_JSON },
			{ "none", SUMMARY_REASON } };

	*ret = isatty(STDERR_FILENO) ? SUMMARY_TEXT : SUMMARY_REASON;
	if (o->quiet)
		*ret = SUMMARY_NONE;
	if (!o->summary)
		return 0;
	if (o->quiet)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--quiet and --summary exclude each other");
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!streq(o->summary, formats[i].name))
			continue;
		*ret = formats[i].value;
		return 0;
	}
	return err_set(e, ERR_USAGE, EINVAL,
		       "--summary '%s': expected text, json or none", o->summary);
}

static unsigned int terminal_width(void)
{
	struct winsize ws;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40 ? ws.ws_col :
									       80;
}

static int write_summary_file(const char *path, const struct run_record *x, struct err *e)
{
	_buf_free_ struct buf text = {};
	int r = json_write(&run_record_type, x, true, &text, e);

	buf_adds(&text, "\n");
	if (r == 0 && text.failed)
		r = err_oom(e);
	return r < 0 ? r : fs_write_atomic(AT_FDCWD, path, text.s, text.len, 0644, e);
}

static void tell_line(const char *text)
{
	_buf_free_ struct buf line = {};

	buf_addf(&line, "purple: %s\n", text);
	if (!line.failed)
		(void)!fd_write_all(STDERR_FILENO, line.s, line.len);
}

static void tell_summary(enum summary format, const struct run_record *x)
{
	_buf_free_ struct buf text = {};
	struct err e;

	if (format == SUMMARY_TEXT) {
		summary_write(x, terminal_width(), &text);
	} else {
		if (json_write(&run_record_type, x, false, &text, &e) < 0)
			return;
		buf_adds(&text, "\n");
	}
	if (!text.failed)
		(void)!fd_write_all(STDERR_FILENO, text.s, text.len);
}

/*
 * The agent's stdout and exit status are its own: nothing that fails here changes them. What cannot be
 * told for want of a record is told without.
 */
static void tell(const struct run_options *o, enum summary format,
		 const struct supervise *s, const struct limit_places *l)
{
	const struct run_record *x = s->record->id ? s->record : NULL;
	struct err e = {};

	if (format == SUMMARY_TEXT && x)
		tell_summary(format, x);
	/* What to do about a budget is in no record. */
	if (format == SUMMARY_REASON || (!x && format != SUMMARY_NONE) ||
	    (format == SUMMARY_TEXT && budget_watch_stops(s->budget)))
		tell_end(s, l);
	if (format != SUMMARY_NONE && x && x->not_kept)
		tell_line(x->not_kept);
	if (o->summary_file && x && write_summary_file(o->summary_file, x, &e) < 0)
		tell_line(e.msg);
	if (format == SUMMARY_JSON && x)
		tell_summary(format, x);
}

static int supervise(const char *root, const char *id, struct policy_plan *plan,
		     struct supervise *s, int *ret_status, struct err *e)
{
	struct container_create_request rq = CONTAINER_CREATE_EMPTY;
	struct cleaner cleaner = { .fd = -1 };
	int r;

	rq.root = root;
	rq.id = id;
	rq.plan = plan;
	rq.reaper = true;
	rq.die_with_parent = true;
	s->kill_on_oom = true;
	s->timeout_s = plan->timeout_seconds > LONG_MAX ? LONG_MAX :
							  (long)plan->timeout_seconds;
	r = cgroup_prefers_unit(plan->spec->linux_->resources, &rq.cgroup_systemd, e);
	/* Before signals are blocked for the supervisor, and before there is anything to clean. */
	if (r == 0)
		r = cleaner_start(&cleaner, root, id, e);
	if (r == 0)
		r = supervise_begin(s, false, e);
	if (r == 0)
		r = container_run_supervised(&rq, s, false, ret_status, e);
	cleaner_finish(&cleaner);
	return r;
}

static int run_sandbox(const struct purple_globals *g, const struct run_options *o,
		       const struct sandbox_request *sandbox, struct policy_plan *plan,
		       int *ret_status, struct err *e)
{
	__attribute__((cleanup(limit_places_clear))) struct limit_places limits = {};
	_budget_watch_close_ struct budget_watch budget = BUDGET_WATCH_EMPTY;
	_alerts_close_ struct alerts alerts = ALERTS_EMPTY;
	_run_record_clear_ struct run_record record = {};
	_supervise_end_ struct supervise s = SUPERVISE_EMPTY;
	_free_ char *path = NULL, *id = NULL;
	enum summary format;
	int r = choose_summary(o, &format, e);

	budget.is_quiet = o->quiet;
	s.budget = &budget;
	s.record = &record;
	s.alerts = o->quiet ? NULL : &alerts;
	if (r == 0)
		r = profile_resolve(o->profile, &path, e);
	if (r == 0)
		r = policy_plan_sandbox(sandbox, path, &policy_default_dirs, plan, e);
	if (r == 0)
		r = note_limits(plan, &limits, e);
	if (r == 0)
		r = read_profile(plan, e);
	if (r == 0)
		r = choose_id(o, g->root, plan, &id, e);
	if (r == 0)
		r = supervise(g->root, id, plan, &s, ret_status, e);
	if (r < 0)
		return explain_ordinary_user(g->root, e);
	tell(o, format, &s, &limits);
	if (s.timed_out)
		*ret_status = STATUS_TIMED_OUT;
	else if (s.oom_killed)
		*ret_status = 128 + SIGKILL;
	else if (budget_watch_stops(&budget))
		*ret_status = STATUS_SPENT;
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct run_options *o = opts;
	struct sandbox_request sandbox = {};
	struct policy_plan plan = {};
	int r;

	if (!o->profile)
		return err_set(e, ERR_USAGE, EINVAL,
			       "run needs --profile: see 'purple profile list'");
	r = fill_request(o, args, n, &sandbox, e);
	if (r == 0)
		r = run_sandbox(global, o, &sandbox, &plan, ret_status, e);
	policy_plan_clear(&plan);
	strv_free(&sandbox.args);
	strv_free(&sandbox.env);
	return r;
}

const struct command purple_run_command = {
	.name = "run",
	.arguments = "[--] COMMAND [ARGUMENT...]",
	.help = "Run an agent under a policy, and wait for its end.",
	.options = rows,
	.options_size = sizeof(struct run_options),
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.run = run,
};
