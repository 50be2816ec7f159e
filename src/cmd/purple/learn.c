/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple learn: runs an agent under a policy that is as its base but for what the base lets one learn,
 * and writes the least policy that would have let it do the same (policy/learn.h). Runs with the
 * caller's privileges, root's; the agent is run by `purple run`, in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audit/config.h"
#include "audit/log_read.h"
#include "base/clock.h"
#include "base/fd.h"
#include "cmd/purple/learn_read.h"
#include "cmd/purple/purple.h"
#include "policy/diff.h"
#include "policy/find.h"

#define STATUS_FAILED \
	125 /* as of purple run: the agent was not run, or nothing could be learnt */
#define SUFFIX ".yaml"

struct learn_options {
	const char *profile, *output;
	struct strv env;
	bool no_network;
};

static const struct option_row rows[] = {
	OPTION(learn_options, profile, "profile", 'p', OPTION_STRING, "PROFILE",
	       "the base: a profile's name or a file"),
	OPTION(learn_options, output, "output", 'o', OPTION_STRING, "FILE",
	       "the new policy; the file must not exist"),
	OPTION(learn_options, env, "env", 'e', OPTION_LIST, "NAME[=VALUE]",
	       "an environment variable of the agent, as for purple run"),
	OPTION(learn_options, no_network, "no-network", 0, OPTION_FLAG, NULL,
	       "learn nothing of the network: the base's rules hold"),
	{},
};

/* One learning: the folder is there while the agent runs. */
struct learning {
	struct policy *base, *loose;
	char *id;
	char folder[sizeof("/tmp/purple-learn-XXXXXX")];
	char *file; /* what holds meanwhile */
	char *log;
	char since[sizeof("0000-00-00T00:00:00")];
	struct policy_seen seen;
	struct learn_gaps gaps;
	struct policy_learned learned;
};

static void learning_clear(struct learning *l)
{
	if (l->file)
		unlink(l->file);
	if (l->folder[0])
		rmdir(l->folder);
	policy_free(l->base);
	policy_free(l->loose);
	free(l->id);
	free(l->file);
	free(l->log);
	policy_seen_clear(&l->seen);
	learn_gaps_clear(&l->gaps);
	policy_learned_clear(&l->learned);
}

/* --- before --- */

static int write_policy_file(const char *path, const struct policy *p,
			     const policy_notes *notes, struct err *e)
{
	_buf_free_ struct buf text = {};
	_close_ int fd = -1;
	int r;

	if (policy_write(p, notes, &text) < 0)
		return err_oom(e);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return err_set(e, ERR_USAGE, EEXIST, "'%s' exists already", path);
	if (fd < 0)
		return err_sys(e, "cannot make '%s'", path);
	r = fd_write_all(fd, text.s, text.len);
	if (r == 0)
		return 0;
	unlink(path);
	return err_errno(e, r, "cannot write '%s'", path);
}

static int make_file(struct learning *l, struct err *e)
{
	char folder[] = "/tmp/purple-learn-XXXXXX";

	if (!mkdtemp(folder))
		return err_sys(e, "cannot make a folder in /tmp");
	memcpy(l->folder, folder, sizeof(folder));
	l->file = str_printf("%s/%s" SUFFIX, folder, l->loose->name);
	return l->file ? write_policy_file(l->file, l->loose, NULL, e) : err_oom(e);
}

static int choose_names(struct learning *l, struct err *e)
{
	const char *name = l->base->name;
	struct tm tm = {};
	unsigned char b[4];
	time_t now = time(NULL);

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return err_sys(e, "cannot get random bytes");
	l->id = str_printf("learn-%s-%02x%02x%02x%02x", name, b[0], b[1], b[2], b[3]);
	l->log = l->loose->audit.log_path ? strdup(l->loose->audit.log_path) :
					    str_printf(AUDIT_LOG_FOLDER "/%s.jsonl", name);
	gmtime_r(&now, &tm);
	strftime(l->since, sizeof(l->since), "%Y-%m-%dT%H:%M:%S", &tm);
	return l->id && l->log ? 0 : err_oom(e);
}

static int prepare(struct learning *l, const struct learn_options *o, struct err *e)
{
	_free_ char *path = NULL;
	int r = profile_resolve(o->profile, &path, e);

	if (r == 0)
		r = policy_load(path, &l->base, e);
	if (r == 0)
		r = policy_load(path, &l->loose, e);
	if (r == 0)
		r = policy_learn_begin(l->loose, !o->no_network, e);
	if (r == 0)
		r = choose_names(l, e);
	return r < 0 ? r : make_file(l, e);
}

/* --- the run --- */

static int add_args(struct strv *args, const struct purple_globals *g,
		    const struct learn_options *o, const struct learning *l,
		    char **command, int n)
{
	const char *const fixed[] = { "purple",	   "--root", g->root,  "run",
				      "--profile", l->file,  "--name", l->id,
				      "--summary", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (strv_add(args, fixed[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < o->env.n; i++)
		if (strv_add(args, "--env") < 0 || strv_add(args, o->env.v[i]) < 0)
			return -ENOMEM;
	if (strv_add(args, "--") < 0)
		return -ENOMEM;
	for (int i = 0; i < n; i++)
		if (strv_add(args, command[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* The terminal's signals are the agent's; what it did until then is learnt. */
static int run_agent(const struct purple_globals *g, const struct learn_options *o,
		     const struct learning *l, char **command, int n, int *ret_status,
		     struct err *e)
{
	_strv_free_ struct strv args = {};
	const int signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	sigset_t mask, before;
	int status;
	pid_t pid;

	if (add_args(&args, g, o, l, command, n) < 0)
		return err_oom(e);
	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&mask, signals[i]);
	/* Those that come before they are ignored are dropped then. */
	sigprocmask(SIG_BLOCK, &mask, &before);
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execv("/proc/self/exe", args.v);
		_exit(STATUS_FAILED);
	}
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err_sys(e, "cannot fork");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "cannot wait for the run");
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_DFL);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

/* --- behind it --- */

static int read_log(struct learning *l, struct err *e)
{
	const struct audit_query q = { .container = l->id, .since = l->since };
	struct audit_reader *reader = NULL;
	_strv_free_ struct strv logs = {};
	struct audit_line line;
	size_t lines = 0;
	int r;

	if (strv_add(&logs, l->log) < 0)
		return err_oom(e);
	r = audit_reader_open(&logs, &q, &reader, e);
	while (r == 0 && (r = audit_reader_next(reader, &line, e)) > 0) {
		r = learn_read_line(line.json, &l->seen, &l->gaps) < 0 ? err_oom(e) : 0;
		lines++;
	}
	audit_reader_free(reader);
	if (r == 0 && lines && !l->gaps.ran)
		return err_set(e, ERR_STATE, ECANCELED, "the agent was not run");
	if (r == 0 && lines == 0)
		return err_set(e, ERR_STATE, ENOENT,
			       "the agent was not run: nothing of it is in '%s'", l->log);
	return r;
}

/* The file's name without its end, if that is a name. */
static int new_name(const struct learning *l, const char *output, char **ret, struct err *e)
{
	const char *base = strrchr(output, '/') ? strrchr(output, '/') + 1 : output;
	size_t len = strlen(base);

	if (str_has_suffix(base, SUFFIX))
		len -= strlen(SUFFIX);
	*ret = strndup(base, len);
	if (*ret && !policy_name_is_valid(*ret)) {
		free(*ret);
		*ret = strdup(l->base->name);
	}
	return *ret ? 0 : err_oom(e);
}

static void tell_list(struct buf *out, const char *title, const struct strv *l)
{
	if (l->n == 0)
		return;
	buf_addf(out, "%s:\n", title);
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(out, "  ");
		print_plain(out, l->v[i], 0);
		buf_adds(out, "\n");
	}
}

static void tell(const struct learning *l, const char *output, struct buf *out)
{
	tell_list(out, "look at these before you use it", &l->learned.sensitive);
	tell_list(out, "denied while it was learnt, and not in it", &l->gaps.refused);
	if (l->gaps.lost)
		buf_addf(out,
			 "%llu events were lost: the policy may be too small for what was done\n",
			 (unsigned long long)l->gaps.lost);
	buf_addf(out, "written: %s\n", output);
}

static int finish(struct learning *l, const struct learn_options *o, struct err *e)
{
	_free_ char *name = NULL;
	_buf_free_ struct buf out = {};
	policy_differences differences = {};
	_policy_free_ struct policy *before = NULL, *after = NULL;
	bool written = false;
	int r = new_name(l, o->output, &name, e);

	if (r == 0)
		r = policy_load(l->base->file, &before, e);
	if (r == 0)
		r = policy_learn_result(l->base, l->loose, &l->seen, name, !o->no_network,
					&l->learned, e);
	if (r == 0)
		r = write_policy_file(o->output, l->base, &l->learned.notes, e);
	written = r == 0;
	if (r == 0)
		r = policy_load(o->output, &after, e);
	if (r == 0)
		r = policy_diff(before, after, &differences, e);
	if (r == 0) {
		policy_diff_write(before->file, o->output, &differences, &out);
		tell(l, o->output, &out);
		r = print_text(&out, e);
	} else if (written) {
		unlink(o->output);
	}
	policy_differences_clear(&differences);
	return r;
}

static int check(const struct learn_options *o, struct err *e)
{
	if (!o->profile || !o->output)
		return err_set(e, ERR_USAGE, EINVAL, "learn needs --profile and --output");
	if (faccessat(AT_FDCWD, o->output, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, ERR_USAGE, EEXIST, "'%s' exists already", o->output);
	if (!is_host_root())
		return err_set(e, ERR_UNSUPPORTED, EPERM,
			       "learn records what the kernel tells of the agent: only root of the "
			       "host can");
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	__attribute__((cleanup(learning_clear))) struct learning l = {};
	const struct learn_options *o = opts;
	uint64_t start;
	int status = 0, r = check(o, e);

	if (r == 0)
		r = prepare(&l, o, e);
	if (r < 0)
		return r;
	start = clock_s(CLOCK_MONOTONIC);
	r = run_agent(global, o, &l, args, n, &status, e);
	if (r < 0)
		return r;
	*ret_status = status;
	if (status == STATUS_FAILED)
		return err_set(e, ERR_STATE, ECANCELED, "the agent was not run");
	l.seen.seconds = clock_s(CLOCK_MONOTONIC) - start + 1;
	r = read_log(&l, e);
	return r < 0 ? r : finish(&l, o, e);
}

const struct command purple_learn_command = {
	.name = "learn",
	.arguments = "[--] COMMAND [ARGUMENT...]",
	.help = "Run an agent while its network and its system calls are learnt, and write the least "
		"policy that would have let it do the same.",
	.options = rows,
	.options_size = sizeof(struct learn_options),
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.run = run,
};
