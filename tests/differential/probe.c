/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's program of the differential tests: prints what a process sees of itself and of
 * its surroundings, a line `key<TAB>value` each. Linked statically, needs nothing in the rootfs.
 *
 *   probe                      prints the facts
 *   probe exit N | kill N      ends so
 *   probe sleep                waits for a signal
 *   probe term-exit N          says "ready" and ends with N on SIGTERM
 *   probe hook FILE            a hook: appends what it is given to FILE
 *   probe trap                 dies of a signal of its own making
 *   probe syscall              makes a call that a filter may kill for: getpriority
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static FILE *out;

/* One fact; control characters of the value are escaped, so that a fact is a line. */
static void fact(const char *key, const char *value)
{
	fprintf(out, "%s\t", key);
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if (*p < ' ' || *p == '\\')
			fprintf(out, "\\x%02x", *p);
		else
			fputc(*p, out);
	fputc('\n', out);
}

__attribute__((format(printf, 2, 3))) static void factf(const char *key,
							const char *format, ...)
{
	char value[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	fact(key, value);
}

static const char *errno_word(int r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

/* Reads a file whole; its last newline is left out. NULL with errno when it cannot be read. */
static char *read_all(const char *path)
{
	static char content[1 << 18];
	size_t have = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((n = read(fd, content + have, sizeof(content) - 1 - have)) > 0)
		have += n;
	close(fd);
	if (n < 0)
		return NULL;
	if (have && content[have - 1] == '\n')
		have--;
	content[have] = '\0';
	return content;
}

static void file_fact(const char *key, const char *path)
{
	char *content = read_all(path);

	if (content)
		fact(key, content);
	else
		factf(key, "cannot be read: %s", strerrorname_np(errno));
}

static void link_fact(const char *key, const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	target[n < 0 ? 0 : n] = '\0';
	if (n < 0)
		factf(key, "cannot be read: %s", strerrorname_np(errno));
	else
		fact(key, target);
}

static void status_facts(void)
{
	static const char *const wanted[] = {
		"Name",
		"Umask",
		"State",
		"Ngid",
		"TracerPid",
		"Uid",
		"Gid",
		"Groups",
		"Threads",
		"SigPnd",
		"ShdPnd",
		"SigBlk",
		"SigIgn",
		"SigCgt",
		"CapInh",
		"CapPrm",
		"CapEff",
		"CapBnd",
		"CapAmb",
		"NoNewPrivs",
		"Seccomp",
		"Seccomp_filters",
		"Speculation_Store_Bypass",
		"SpeculationIndirectBranch",
		"Cpus_allowed",
		"Mems_allowed_list",
		"THP_enabled",
		"CoreDumping",
	};
	char *status = read_all("/proc/self/status");
	char *save = NULL;

	for (char *line = status ? strtok_r(status, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');
		char key[64];

		if (!colon)
			continue;
		*colon = '\0';
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (strcmp(line, wanted[i]) != 0)
				continue;
			snprintf(key, sizeof(key), "status.%s", line);
			fact(key, colon[1] ? colon + 2 : "");
		}
	}
}

/* mount.PATH: root, options, propagation, type, source and super block options. A mount on top of
 * another at the same place has the key of the lower one and a "+". */
static void mount_facts(void)
{
	char *info = strdup(read_all("/proc/self/mountinfo") ?: "");
	char *save = NULL;
	char seen[512][96];
	size_t n = 0;

	for (char *line = strtok_r(info, "\n", &save); line && n < 512;
	     line = strtok_r(NULL, "\n", &save)) {
		char root[1024], point[1024], options[256], key[1100];
		char *rest = strstr(line, " - "), *optional;
		int used = 0, above = 0;

		if (!rest || sscanf(line, "%*d %*d %*s %1023s %1023s %255s%n", root,
				    point, options, &used) != 3)
			continue;
		*rest = '\0';
		optional = line + used;
		for (size_t i = 0; i < n; i++)
			above += strncmp(seen[i], point, 95) == 0;
		snprintf(seen[n++], 96, "%.95s", point);
		snprintf(key, sizeof(key), "mount.%s%.*s", point, above, "++++++++");
		factf(key, "%s %s [%s] %s", root, options, optional, rest + 3);
	}
	free(info);
}

static void stat_fact(const char *prefix, const char *path, const char *shown)
{
	char key[PATH_MAX + 16], target[PATH_MAX] = "";
	struct stat st;

	snprintf(key, sizeof(key), "%s%s", prefix, shown);
	if (lstat(path, &st) < 0) {
		factf(key, "%s", strerrorname_np(errno));
		return;
	}
	if (S_ISLNK(st.st_mode) && readlink(path, target, sizeof(target) - 1) > 0)
		factf(key, "link to %s", target);
	else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		factf(key, "%o %u:%u %u:%u", st.st_mode, st.st_uid, st.st_gid,
		      major(st.st_rdev), minor(st.st_rdev));
	else
		factf(key, "%o %u:%u", st.st_mode, st.st_uid, st.st_gid);
}

static void tree_facts(const char *prefix, const char *dir, int depth)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char path[PATH_MAX];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") == 0 ? "" : dir,
			 entry->d_name);
		stat_fact(prefix, path, path);
		if (entry->d_type == DT_DIR && depth > 1)
			tree_facts(prefix, path, depth - 1);
	}
	if (d)
		closedir(d);
}

static void fd_facts(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		char key[32], path[64], target[PATH_MAX] = "";
		int flags = fcntl(fd, F_GETFD);
		struct stat st;

		if (flags < 0 || fd == fileno(out))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			snprintf(target, sizeof(target), "?");
		if (strncmp(target, "pipe:", 5) == 0 || strncmp(target, "socket:", 7) == 0)
			*strchr(target, ':') = '\0';
		if (fstat(fd, &st) < 0)
			memset(&st, 0, sizeof(st));
		snprintf(key, sizeof(key), "fd.%d", fd);
		factf(key, "%s mode=%o owner=%u:%u fdflags=%x access=%x", target, st.st_mode,
		      st.st_uid, st.st_gid, flags, fcntl(fd, F_GETFL) & O_ACCMODE);
	}
}

static void limit_facts(void)
{
	static const char *const names[] = { "CPU",	 "FSIZE", "DATA",   "STACK",
					     "CORE",	 "RSS",	  "NPROC",  "NOFILE",
					     "MEMLOCK",	 "AS",	  "LOCKS",  "SIGPENDING",
					     "MSGQUEUE", "NICE",  "RTPRIO", "RTTIME" };

	for (int i = 0; i < 16; i++) {
		struct rlimit l;
		char key[32];

		getrlimit(i, &l);
		snprintf(key, sizeof(key), "rlimit.%s", names[i]);
		factf(key, "%lld %lld", (long long)l.rlim_cur, (long long)l.rlim_max);
	}
}

static void process_facts(int argc, char **argv)
{
	char cwd[PATH_MAX], key[32];
	struct utsname uts;
	struct stat st;

	for (int i = 0; i < argc; i++) {
		snprintf(key, sizeof(key), "args.%d", i);
		fact(key, argv[i]);
	}
	for (int i = 0; environ[i]; i++) {
		char name[256];

		snprintf(key, sizeof(key), "env.%d", i);
		fact(key, environ[i]);
		snprintf(name, sizeof(name), "environment.%.*s",
			 (int)strcspn(environ[i], "="), environ[i]);
		fact(name, strchr(environ[i], '=') ?: "");
	}
	fact("cwd", getcwd(cwd, sizeof(cwd)) ?: strerrorname_np(errno));
	link_fact("root", "/proc/self/root");
	uname(&uts);
	fact("hostname", uts.nodename);
	fact("domainname", uts.domainname);
	fact("machine", uts.machine);
	/* The process that started this one is outside, where there is no private pid namespace. */
	factf("ids", "pid is %s, parent %s, session %s, group %s",
	      getpid() == 1 ? "1" : "other", getppid() == 0 ? "0" : "other",
	      getsid(0) == getpid() ? "own" : "other",
	      getpgrp() == getpid() ? "own" : "other");
	factf("nice", "%d", getpriority(PRIO_PROCESS, 0));
	factf("scheduler", "%d", sched_getscheduler(0));
	factf("ioprio", "%ld", syscall(SYS_ioprio_get, 1, 0));
	factf("securebits", "%d", prctl(PR_GET_SECUREBITS));
	factf("dumpable", "%d", prctl(PR_GET_DUMPABLE));
	factf("keepcaps", "%d", prctl(PR_GET_KEEPCAPS));
	factf("timerslack", "%d", prctl(PR_GET_TIMERSLACK));
	factf("thp-disable", "%d", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	int value = -1;
	prctl(PR_GET_PDEATHSIG, &value);
	factf("pdeathsig", "%d", value);
	prctl(PR_GET_CHILD_SUBREAPER, &value);
	factf("subreaper", "%d", value);
	factf("secure", "%lu", getauxval(AT_SECURE));
	fact("execfn", (const char *)getauxval(AT_EXECFN));
	file_fact("personality", "/proc/self/personality");
	file_fact("oom_score_adj", "/proc/self/oom_score_adj");
	file_fact("coredump_filter", "/proc/self/coredump_filter");
	file_fact("loginuid", "/proc/self/loginuid");
	file_fact("label", "/proc/self/attr/current");
	file_fact("cgroup", "/proc/self/cgroup");
	file_fact("uid_map", "/proc/self/uid_map");
	file_fact("gid_map", "/proc/self/gid_map");
	file_fact("setgroups", "/proc/self/setgroups");
	file_fact("timens_offsets", "/proc/self/timens_offsets");
	file_fact("comm", "/proc/self/comm");
	link_fact("exe", "/proc/self/exe");
	if (stat("/proc/self/exe", &st) == 0)
		factf("exe.mode", "%o", st.st_mode);
}

static void keyring_facts(void)
{
	char text[512] = "";
	long session = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
			       KEY_SPEC_SESSION_KEYRING, 0);

	if (session < 0 ||
	    syscall(SYS_keyctl, KEYCTL_DESCRIBE, session, text, sizeof(text) - 1) < 0)
		snprintf(text, sizeof(text), "%s", strerrorname_np(errno));
	fact("keyring", text);
}

static void namespace_facts(void)
{
	static const char *const names[] = { "cgroup",
					     "ipc",
					     "mnt",
					     "net",
					     "pid",
					     "time",
					     "user",
					     "uts",
					     "pid_for_children",
					     "time_for_children" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[64], path[64];

		snprintf(key, sizeof(key), "ns.%s", names[i]);
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		link_fact(key, path);
	}
}

static void network_facts(void)
{
	struct if_nameindex *all = if_nameindex();
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct ifreq request = {};
		char key[64];

		snprintf(request.ifr_name, IFNAMSIZ, "%s", i->if_name);
		snprintf(key, sizeof(key), "interface.%s", i->if_name);
		if (ioctl(s, SIOCGIFFLAGS, &request) == 0)
			factf(key, "%s", request.ifr_flags & IFF_UP ? "up" : "down");
	}
	if (s >= 0)
		close(s);
}

/* Where a path is hidden or must not be written to: what reading and writing say. */
static void access_facts(void)
{
	static const char *const paths[] = {
		"/proc/acpi",
		"/proc/asound",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/sys/firmware",
		"/proc/bus",
		"/proc/fs",
		"/proc/irq",
		"/proc/sys",
		"/proc/sysrq-trigger",
		"/proc/interrupts",
		"/proc/sys/kernel/shm_rmid_forced",
		"/sys",
		"/sys/fs/cgroup",
		"/dev",
		"/dev/shm",
		"/dev/mqueue",
		"/dev/pts",
		"/tmp",
		"/",
		"/etc",
		"/masked",
		"/masked-file",
		"/read-only",
		"/read-only/file",
		"/mnt",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char key[128];
		struct stat st;
		struct statvfs fs;
		const char *what;
		int fd;

		snprintf(key, sizeof(key), "access.%s", paths[i]);
		if (stat(paths[i], &st) < 0 || statvfs(paths[i], &fs) < 0) {
			fact(key, strerrorname_np(errno));
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			int entries = 0;
			DIR *d = opendir(paths[i]);

			what = d ? "dir" : strerrorname_np(errno);
			while (d && readdir(d))
				entries++;
			if (d)
				closedir(d);
			factf(key, "%s %o %u:%u %s%s%s%s %s", what, st.st_mode, st.st_uid,
			      st.st_gid, fs.f_flag & ST_RDONLY ? "ro" : "rw",
			      fs.f_flag & ST_NOSUID ? ",nosuid" : "",
			      fs.f_flag & ST_NODEV ? ",nodev" : "",
			      fs.f_flag & ST_NOEXEC ? ",noexec" : "",
			      entries <= 2 ? "empty" : "filled");
			continue;
		}
		fd = open(paths[i], O_WRONLY | O_CLOEXEC);
		factf(key, "file %o %u:%u %u:%u %s write=%s", st.st_mode, st.st_uid,
		      st.st_gid, major(st.st_rdev), minor(st.st_rdev),
		      fs.f_flag & ST_RDONLY ? "ro" : "rw", errno_word(fd));
		if (fd >= 0)
			close(fd);
	}
}

/* Makes and removes a file in a folder. */
static void make_facts(void)
{
	static const char *const dirs[] = { "",	    "/tmp", "/dev",  "/dev/shm",
					    "/mnt", "/sys", "/proc", "/sys/fs/cgroup",
					    "/etc", "/data" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char key[64], path[64];
		int fd;

		snprintf(path, sizeof(path), "%s/.probe", dirs[i]);
		snprintf(key, sizeof(key), "make.%s", dirs[i]);
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
		fact(key, errno_word(fd));
		if (fd >= 0) {
			struct stat st;

			fstat(fd, &st);
			factf(key, "%o %u:%u", st.st_mode, st.st_uid, st.st_gid);
			close(fd);
			unlink(path);
		}
	}
}

static void sysctl_facts(void)
{
	static const char *const names[] = {
		"kernel/msgmax",
		"kernel/shmmax",
		"kernel/hostname",
		"kernel/domainname",
		"kernel/sem",
		"fs/mqueue/msg_max",
		"net/ipv4/ip_unprivileged_port_start",
		"net/ipv4/ping_group_range",
		"net/ipv4/ip_forward",
		"net/core/somaxconn",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[96], path[96];

		snprintf(key, sizeof(key), "sysctl.%s", names[i]);
		snprintf(path, sizeof(path), "/proc/sys/%s", names[i]);
		file_fact(key, path);
	}
}

static void terminal_facts(void)
{
	struct termios t;
	struct winsize size;
	char name[256];
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		char key[32];

		snprintf(key, sizeof(key), "tty.%d", fd);
		if (!isatty(fd)) {
			fact(key, "no");
			continue;
		}
		if (ttyname_r(fd, name, sizeof(name)) != 0)
			snprintf(name, sizeof(name), "no name");
		fstat(fd, &st);
		ioctl(fd, TIOCGWINSZ, &size);
		factf(key, "%s %ux%u owner=%u:%u mode=%o foreground=%d", name,
		      size.ws_col, size.ws_row, st.st_uid, st.st_gid, st.st_mode,
		      tcgetpgrp(fd) == getpgrp());
		if (fd == 0 && tcgetattr(fd, &t) == 0)
			factf("tty.modes", "%x %x %x %x", t.c_iflag, t.c_oflag, t.c_cflag,
			      t.c_lflag);
	}
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	fact("tty.controlling", errno_word(fd));
	if (fd >= 0)
		close(fd);
}

/* System calls that do no harm whatever they answer. */
static void syscall_facts(void)
{
	static const struct {
		const char *name;
		long number, a, b;
	} calls[] = {
		{ "getcpu", SYS_getcpu, 0, 0 },
		{ "acct", SYS_acct, 1, 0 },
		{ "clone3", SYS_clone3, 0, 0 },
		{ "io_uring_setup", SYS_io_uring_setup, 0, 0 },
		{ "bpf", SYS_bpf, -1, 0 },
		{ "unshare(0)", SYS_unshare, 0, 0 },
		{ "personality", SYS_personality, 0xffffffff, 0 },
		{ "getpgid(0)", SYS_getpgid, 0x7ffffff, 0 },
		{ "getpgid(5)", SYS_getpgid, 0x7fffff5, 0 },
		{ "ptrace", SYS_ptrace, -1, 0 },
		{ "setns", SYS_setns, -1, 0 },
		{ "open_tree", SYS_open_tree, -1, 0 },
		{ "mknod", SYS_mknod, 0, 0 },
		{ "sethostname", SYS_sethostname, 0, 1 },
		{ "no such call", 5000, 0, 0 },
		{ "chroot", SYS_chroot, 0, 0 },
		{ "setuid(-1)", SYS_setuid, -1, 0 },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char key[64];

		snprintf(key, sizeof(key), "syscall.%s", calls[i].name);
		fact(key, errno_word((int)syscall(calls[i].number, calls[i].a, calls[i].b,
						  0, 0, 0)));
	}
}

/* What /proc says of the container's first process. */
static void init_facts(void)
{
	static const char *const files[] = { "environ", "cmdline", "comm", "oom_score_adj" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char key[64], path[64], *content;

		snprintf(key, sizeof(key), "proc1.%s", files[i]);
		snprintf(path, sizeof(path), "/proc/1/%s", files[i]);
		content = read_all(path);
		fact(key, !content ? strerrorname_np(errno) :
			  i == 0   ? "readable" :
				     content);
	}
	link_fact("proc1.exe", "/proc/1/exe");
	link_fact("proc1.cwd", "/proc/1/cwd");
}

static int hook(const char *file, int argc, char **argv)
{
	char state[65536] = "", cwd[PATH_MAX];
	size_t have = 0;
	ssize_t n;

	while ((n = read(0, state + have, sizeof(state) - 1 - have)) > 0)
		have += n;
	out = fopen(file, "ae");
	if (!out)
		return 1;
	fact("state", state);
	for (int i = 0; i < argc; i++)
		fact("args", argv[i]);
	for (int i = 0; environ[i]; i++)
		fact("env", environ[i]);
	fact("cwd", getcwd(cwd, sizeof(cwd)) ?: strerrorname_np(errno));
	namespace_facts();
	factf("umask", "%o", umask(0));
	factf("session", "%s", getsid(0) == getpid() ? "own" : "other");
	status_facts();
	fd_facts();
	fact("end", "");
	return fclose(out) == 0 ? 0 : 1;
}

static void ignore(int sig)
{
}

static int wait_for_signal(int argc, char **argv)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGTERM, ignore);
	dprintf(1, "ready\n");
	sigwait(&set, &sig);
	return argc > 2 ? atoi(argv[2]) : 0;
}

static int facts(int argc, char **argv)
{
	/* Not the file itself: reading the table of fds must not see it as one more. */
	out = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 200), "w");
	if (!out)
		return 1;
	fd_facts();
	status_facts();
	process_facts(argc, argv);
	limit_facts();
	keyring_facts();
	namespace_facts();
	network_facts();
	init_facts();
	sysctl_facts();
	terminal_facts();
	access_facts();
	make_facts();
	syscall_facts();
	mount_facts();
	tree_facts("dev.", "/dev", 2);
	tree_facts("rootfs.", "/", 1);
	tree_facts("cgroupfs.", "/sys/fs/cgroup", 1);
	tree_facts("mnt.", "/mnt", 2);
	fact("end", "");
	return fclose(out) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(what, "kill") == 0)
		return kill(getpid(), atoi(argv[2])) + 100;
	if (strcmp(what, "trap") == 0)
		/* The first process of a pid namespace is not hit by its own signals. */
		__builtin_trap();
	if (strcmp(what, "sleep") == 0)
		return pause();
	if (strcmp(what, "term-exit") == 0)
		return wait_for_signal(argc, argv);
	if (strcmp(what, "syscall") == 0)
		return getpriority(PRIO_PROCESS, 0) < 0 ? 1 : 0;
	if (strcmp(what, "hook") == 0)
		return hook(argv[2], argc, argv);
	return facts(argc, argv);
}
