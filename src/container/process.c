/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See process.h. The order matters and is the same for init and exec:
 *
 *   working directory   as root of the container, who may enter more than the user
 *   environment         HOME is looked up in the container's files: the limits may forbid it later
 *   resource limits     lowering only: the runtime raised what had to be raised
 *   stdio               its pipes are given to the user
 *   bounding set        needs CAP_SETPCAP
 *   groups, gid, uid    with PR_SET_KEEPCAPS, so that the next steps are still possible
 *   seccomp (early)     without no_new_privs, loading takes CAP_SYS_ADMIN
 *   capabilities        the process's own sets
 *   no_new_privs
 *   startContainer      hooks are programs of the image: they get no more than its process
 *   seccomp             last: the filter need not allow anything but execve
 *   program
 */
#include "container/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/num.h"
#include "base/signals.h"
#include "container/environment.h"
#include "linux/lsm.h"
#include "linux/ns.h"
#include "linux/paths.h"
#include "linux/rlimit.h"
#include "oci/hooks.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROCESS_KEEP_MAX 4 /* descriptors; see process_close_host() */
#define SCRIPT_DEPTH_MAX 4
#define SCRIPT_LINE_MAX 256

int process_plan_caps(const struct oci_process *p, struct caps *ret, struct err *e)
{
	_strv_free_ struct strv unknown = {};
	int r;

	*ret = (struct caps){};
	if (!p->capabilities)
		return 0;
	r = caps_parse(p->capabilities, ret, &unknown, e);
	for (size_t i = 0; r == 0 && i < unknown.n; i++)
		log_warn("capability %s is unknown here or not ours to give: ignored",
			 unknown.v[i]);
	return r;
}

static const struct oci_rlimit *find_rlimit(const struct oci_process *p, const char *type)
{
	for (size_t i = 0; i < p->rlimits.n; i++)
		if (streq(p->rlimits.v[i].type, type))
			return &p->rlimits.v[i];
	return NULL;
}

int process_exec_fd(const struct oci_process *p)
{
	const struct oci_rlimit *l = find_rlimit(p, "RLIMIT_NOFILE");

	return l && l->hard <= INT_MAX ? (int)l->hard : -1;
}

int process_raise_limits(pid_t pid, const struct oci_process *p, struct err *e)
{
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *l = &p->rlimits.v[i];
		struct rlimit now;
		int resource, r;

		r = rlimit_parse(l->type, &resource);
		if (r < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "unknown rlimit '%s'",
				       l->type);
		if (prlimit(pid, resource, NULL, &now) < 0)
			return err_sys(e, "cannot read %s", l->type);
		if (l->hard <= now.rlim_max)
			continue;
		now.rlim_max = l->hard;
		if (prlimit(pid, resource, &now, NULL) < 0)
			return err_sys(e, "cannot set %s: raising the hard limit to %llu",
				       l->type, (unsigned long long)l->hard);
	}
	return 0;
}

int process_set_oom_score(pid_t pid, const struct oci_process *p, struct err *e)
{
	char path[64], value[16];
	int r;

	if (!p->oom_score_adj.set)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	snprintf(value, sizeof(value), "%d", p->oom_score_adj.value);
	r = fs_write_existing(AT_FDCWD, path, value);
	/* Rootless engines ask for less than what an ordinary user's processes have. */
	if (r == -EACCES && userns_is_nested())
		return 0;
	return r < 0 ? err_errno(e, r, "cannot set process.oomScoreAdj %s", value) : 0;
}

/* 0, or -errno: ENOENT, EACCES (also for a directory), ... */
static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int program_error(const char *name, int code, struct err *e)
{
	if (code == -EACCES || code == -EPERM)
		return err_set(e, ERR_EXEC_DENIED, EACCES,
			       "exec: \"%s\": permission denied", name);
	if (code == -ENOENT)
		return err_set(e, ERR_EXEC_NOT_FOUND, ENOENT,
			       "exec: \"%s\": no such file or directory", name);
	if (code == -ENOTDIR)
		return err_set(e, ERR_EXEC_DENIED, ENOTDIR,
			       "exec: \"%s\": not a directory", name);
	return err_errno(e, code, "exec: \"%s\"", name);
}

/* The file that args[0] names. *ret is owned. */
static int find_program(const struct oci_process *p, char **ret, struct err *e)
{
	const char *name = p->args.v[0], *path = environment_get(&p->env, "PATH");

	if (strchr(name, '/')) {
		int code = check_executable(name);

		if (code < 0)
			return program_error(name, code, e);
		*ret = strdup(name);
		return *ret ? 0 : err_oom(e);
	}
	if (!path)
		path = DEFAULT_PATH;
	for (size_t n; *name; path += n + 1) {
		_free_ char *candidate = NULL;
		int r;

		n = strcspn(path, ":");
		/* An empty element is the current directory. */
		candidate = n ? str_printf("%.*s/%s", (int)n, path, name) :
				str_printf("./%s", name);
		if (!candidate)
			return err_oom(e);
		r = check_executable(candidate);
		if (r == 0) {
			*ret = take_ptr(&candidate);
			return 0;
		}
		if (path[n] == '\0')
			break;
	}
	/* As with other runtimes, whose word engines make an exit status of, what is there and not
	 * executable is passed over. */
	return err_set(e, ERR_EXEC_NOT_FOUND, ENOENT,
		       "exec: \"%s\": executable file not found in $PATH", name);
}

int process_close_host(const struct process_plan *plan, const int *keep, size_t n,
		       struct err *e)
{
	int all[PROCESS_KEEP_MAX + 1];

	if (n > PROCESS_KEEP_MAX)
		return err_set(e, ERR_INTERNAL, E2BIG, "too many descriptors to keep");
	memcpy(all, keep, n * sizeof(*keep));
	all[n] = plan->listener_sock;
	return fd_close_all_but(3 + (int)plan->preserve_fds, all, n + 1, e);
}

/*
 * Engines rely on a missing working directory being made for a container, not for an exec. Links are followed inside the root, those
 * of procfs are not: they lead to whatever some process has open, on the host too.
 */
static int enter_directory(const char *cwd, bool make, struct err *e)
{
	_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (root < 0)
		return err_sys(e, "cannot open /");
	fd = make ? rootfs_mkdir_p(root, cwd, e) :
		    rootfs_openat2(root, cwd, O_PATH | O_DIRECTORY, 0, 0);
	if (fd < 0)
		return make ? err_wrap(e, "cannot enter working directory '%s'", cwd) :
			      err_errno(e, fd, "cannot enter working directory '%s'", cwd);
	if (fchdir(fd) < 0)
		return err_sys(e, "cannot enter working directory '%s'", cwd);
	return 0;
}

/* A working directory outside the root would be a way out (CVE-2024-21626): the kernel then
 * names it "(unreachable)/...". */
static int check_directory(struct err *e)
{
	char here[PATH_MAX];

	if (syscall(SYS_getcwd, here, sizeof(here)) < 0)
		return err_sys(e, "cannot tell the working directory");
	if (here[0] != '/')
		return err_set(e, ERR_CONFIG, EXDEV,
			       "the working directory is outside the container's root");
	return 0;
}

int process_check_program(const struct oci_process *p, bool make_cwd, struct err *e)
{
	_free_ char *path = NULL;
	int r;

	/* A relative program, or $PATH, is meant from there. */
	r = enter_directory(p->cwd, make_cwd, e);
	if (r == 0)
		r = check_directory(e);
	return r < 0 ? r : find_program(p, &path, e);
}

int process_new_keyring(const char *id, const struct oci_process *p, struct err *e)
{
	_free_ char *name = NULL;
	uint64_t unique;
	int r;

	r = p ? lsm_set_key_label("process.selinuxLabel", p->selinux_label, e) : 0;
	if (r < 0)
		return r;

	/* A name that is in use joins that keyring, which another container may have laid out. */
	if (getrandom(&unique, sizeof(unique), 0) != (ssize_t)sizeof(unique))
		return err_sys(e, "cannot get random bytes");
	name = str_printf("_ses.%s.%016" PRIx64, id, unique);
	if (!name)
		return err_oom(e);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 &&
	    errno != ENOSYS && errno != EPERM)
		return err_sys(e, "cannot make a session keyring");
	return 0;
}

static int set_limits(const struct oci_process *p, bool but_nofile, struct err *e)
{
	for (size_t i = 0; i < p->rlimits.n; i++) {
		int r;

		if (but_nofile && streq(p->rlimits.v[i].type, "RLIMIT_NOFILE"))
			continue;
		r = rlimit_apply_to(0, &p->rlimits.v[i], 1, e);
		if (r < 0)
			return r;
	}
	return 0;
}

bool process_keeps_groups(const struct strmap *annotations)
{
	const char *value = strmap_get(annotations, OCI_KEEP_GROUPS);

	return value && !streq(value, "0");
}

static int set_ids(const struct oci_process *p, bool keep_groups, struct err *e)
{
	const struct oci_user none = {}, *u = p->user ? p->user : &none;

	/* In a user namespace that denies setgroups there is nothing to give up. */
	if (!keep_groups && setgroups(u->additional_gids.n, u->additional_gids.v) < 0 &&
	    (errno != EPERM || u->additional_gids.n > 0))
		return err_sys(e, "cannot set the supplementary groups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return err_sys(e, "cannot set gid %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return err_sys(e, "cannot set uid %u", u->uid);
	umask(u->umask.set ? (mode_t)u->umask.value : 0022);
	return 0;
}

/* After setresuid() the effective set is empty; the permitted one is not (PR_SET_KEEPCAPS). */
static int raise_effective(struct err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {};

	if (syscall(SYS_capget, &h, d) < 0)
		return err_sys(e, "cannot read capabilities");
	d[0].effective = d[0].permitted;
	d[1].effective = d[1].permitted;
	if (syscall(SYS_capset, &h, d) < 0)
		return err_sys(e, "cannot raise capabilities");
	return 0;
}

static int load_filters(const struct process_plan *plan, struct err *e)
{
	if (!plan->seccomp || plan->seccomp->programs.n == 0)
		return 0;
	return seccomp_plan_load(plan->seccomp, plan->listener_sock,
				 plan->listener_message, e);
}

static int close_descriptors(unsigned int preserve, struct err *e)
{
	if (syscall(SYS_close_range, 3 + preserve, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(e, "cannot close descriptors");
	for (unsigned int fd = 3; fd < 3 + preserve; fd++)
		fd_cloexec((int)fd, false);
	return 0;
}

/* First line of a script, as binfmt_script reads it: "#!interpreter [argument]". 1: it is one. */
static int read_script_line(const char *path, char *line, char **ret_interpreter,
			    char **ret_arg)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *p, *end;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, line, SCRIPT_LINE_MAX - 1);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	for (end = line + strlen(line); end > line && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
	p = line + 2 + strspn(line + 2, " \t");
	if (!*p)
		return 0;
	*ret_interpreter = p;
	p += strcspn(p, " \t");
	*ret_arg = NULL;
	if (*p) {
		*p++ = '\0';
		*ret_arg = p + strspn(p, " \t");
	}
	return 1;
}

/*
 * For exec_once: what the kernel would run for a script. The descriptor of the program is
 * close-on-exec, so the kernel could not hand a script's path to its interpreter.
 */
static int resolve_scripts(char **path, struct strv *args, struct err *e)
{
	char line[SCRIPT_LINE_MAX], *interpreter, *arg;

	for (int depth = 0; read_script_line(*path, line, &interpreter, &arg); depth++) {
		_strv_free_ struct strv next = {};
		_free_ char *program = strdup(interpreter);
		int r = 0;

		if (depth == SCRIPT_DEPTH_MAX)
			return err_errno(e, ELOOP, "exec: \"%s\"", *path);
		if (!program || strv_add(&next, interpreter) < 0 ||
		    (arg && strv_add(&next, arg) < 0) || strv_add(&next, *path) < 0)
			return err_oom(e);
		for (size_t i = 1; i < args->n; i++)
			r |= strv_add(&next, args->v[i]);
		if (r < 0)
			return err_oom(e);
		r = check_executable(program);
		if (r < 0)
			return program_error(program, r, e);
		strv_free(args);
		*args = next;
		next = (struct strv){};
		free(*path);
		*path = take_ptr(&program);
	}
	return 0;
}

/* Puts the program at the plan's descriptor number, then shuts the door behind it. */
static int place_program(const struct process_plan *plan, const char *path, struct err *e)
{
	int want = plan->seccomp->exec_fd;
	struct rlimit l;
	int fd, r;

	r = getrlimit(RLIMIT_NOFILE, &l);
	if (r == 0) {
		l.rlim_cur = l.rlim_max;
		r = setrlimit(RLIMIT_NOFILE, &l);
	}
	if (r < 0)
		return err_sys(e, "cannot raise the soft limit of open files");
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "exec: \"%s\"", path);
	if (dup3(fd, want, O_CLOEXEC) < 0)
		return err_sys(e, "cannot place the program at descriptor %d", want);
	close(fd);
	for (size_t i = 0; i < plan->process->rlimits.n; i++) {
		const struct oci_rlimit *rl = &plan->process->rlimits.v[i];

		if (streq(rl->type, "RLIMIT_NOFILE")) {
			r = rlimit_apply_to(0, rl, 1, e);
			if (r < 0)
				return r;
		}
	}
	r = getrlimit(RLIMIT_NOFILE, &l);
	if (r < 0 || l.rlim_max > (rlim_t)want)
		return err_set(e, ERR_INTERNAL, EINVAL,
			       "descriptor %d stays within the limit of open files", want);
	return 0;
}

static int run_program(const struct process_plan *plan, struct strv *args, char *path,
		       struct strv *env, struct err *e)
{
	bool once = plan->seccomp && plan->seccomp->exec_once;

	if (plan->process->no_new_privileges) {
		int r = load_filters(plan, e);

		if (r < 0)
			return r;
	}
	if (once)
		syscall(SYS_execveat, plan->seccomp->exec_fd, "", args->v, env->v,
			AT_EMPTY_PATH);
	else
		execve(path, args->v, env->v);
	return program_error(plan->process->args.v[0], -errno, e);
}

/*
 * Pipes that the engine made for stdin, stdout and stderr become the user's, who could not open
 * /dev/stdout otherwise. Nothing else does: a file or a terminal of the host keeps its owner.
 */
static int own_stdio(const struct oci_process *p, struct err *e)
{
	uid_t uid = p->user ? p->user->uid : 0;
	struct stat st;

	for (int fd = 0; fd <= 2; fd++) {
		if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_uid == uid)
			continue;
		/* Its owner is none of our user namespace, or it is on a read-only mount. */
		if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL &&
		    errno != EROFS)
			return err_sys(e, "cannot give descriptor %d to the user", fd);
	}
	return 0;
}

/* Ids and capabilities; see the order at the top. */
static int give_up_privileges(const struct process_plan *plan, struct err *e)
{
	const struct oci_process *p = plan->process;
	struct caps caps = plan->caps;
	int r;

	/* What we were not given ourselves cannot be passed on. */
	r = caps_limit_to_own(&caps, NULL, e);
	if (r == 0)
		r = caps_drop_bounding(&caps, e);
	if (r == 0)
		r = caps_keep_across_setuid(true, e);
	if (r == 0)
		r = set_ids(p, plan->keep_groups, e);
	if (r == 0 && !p->no_new_privileges && plan->seccomp &&
	    plan->seccomp->programs.n > 0) {
		r = raise_effective(e);
		if (r == 0)
			r = load_filters(plan, e);
	}
	if (r == 0)
		r = caps_apply(&caps, e);
	if (r < 0)
		return r;
	if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	return 0;
}

int process_exec(const struct process_plan *plan, struct err *e)
{
	const struct oci_process *p = plan->process;
	bool once = plan->seccomp && plan->seccomp->exec_once;
	_strv_free_ struct strv env = {}, args = {};
	_free_ char *path = NULL;
	int r;

	r = enter_directory(p->cwd, false, e);
	if (r == 0)
		r = check_directory(e);
	if (r == 0)
		r = close_descriptors(plan->preserve_fds, e);
	signals_reset();
	if (r == 0)
		r = environment_make(p, &env, e);
	if (r == 0 && strv_copy(&p->args, &args) < 0)
		r = err_oom(e);
	if (r == 0)
		r = set_limits(p, once, e);
	if (r == 0)
		r = own_stdio(p, e);
	if (r == 0)
		r = give_up_privileges(plan, e);
	if (r == 0 && plan->hooks && plan->hooks->n > 0)
		r = hooks_run(plan->hooks, "startContainer", plan->hook_state, "/", e);
	if (r == 0)
		r = find_program(p, &path, e);
	if (r == 0 && once)
		r = resolve_scripts(&path, &args, e);
	if (r == 0 && once)
		r = place_program(plan, path, e);
	if (r < 0)
		return r;
	/* The change of ids has cleared it. */
	if (plan->die_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(e, "cannot tie the process to its parent");
	return run_program(plan, &args, path, &env, e);
}

int process_drop_all(const struct oci_process *p, struct err *e)
{
	const struct caps none = {};
	int r;

	r = caps_drop_bounding(&none, e);
	if (r == 0)
		r = set_ids(p, false, e);
	if (r == 0)
		r = caps_apply(&none, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, "cannot drop privileges");
	for (int fd = 0; fd <= 2; fd++)
		close(fd);
	syscall(SYS_close_range, 3U, ~0U, 0);
	return 0;
}
