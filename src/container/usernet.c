/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of `purple run` with a policy that is not isolated: see usernet.h. Runs in the
 * runtime, as root.
 *
 * pasta opens the namespace by a path, after it has given up what it would take to go through
 * another process's /proc: so the namespace is bound to a file, as `ip netns` does. It ends when
 * that file goes, which is why a killed Purple leaves none behind for good. It drops all
 * capabilities and has namespaces and a seccomp filter of its own, but must begin as root, since
 * the namespace is root's.
 *
 * The file is in the state folder; but Debian's AppArmor profile of passt lets it open namespaces
 * nowhere but in /run/user/UID/netns, and write its pid below /tmp or a home: where AppArmor is on,
 * they are there.
 */
#include "container/usernet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "base/spawn.h"
#include "linux/lsm.h"

#define NAMESPACE_FILE "netns"
#define PID_FILE "pasta.pid"
#define CONFINED_DIR "/run/user/0/netns"
#define START_MS 10000

static const char *const places[] = { "/usr/bin/pasta", "/usr/local/bin/pasta",
				      "/bin/pasta" };

static const char *find_program(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

int usernet_check(struct err *e)
{
	if (find_program())
		return 0;
	return err_set(e, ERR_UNSUPPORTED, ENOENT,
		       "network.isolated: false needs the program pasta for 'purple run' "
		       "(install the package passt)");
}

/* One of its own for each state folder. NULL: out of memory. */
static char *confined_path(const struct container *c)
{
	struct stat st;

	if (fstat(c->dirfd, &st) < 0)
		return NULL;
	return str_printf(CONFINED_DIR "/purple-%llx-%llx", (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino);
}

static int make_confined_dir(struct err *e)
{
	static const struct {
		const char *path;
		mode_t mode;
	} dirs[] = { { "/run/user", 0755 }, { "/run/user/0", 0700 }, { CONFINED_DIR, 0700 } };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i].path, dirs[i].mode) < 0 && errno != EEXIST)
			return err_sys(e, "cannot make '%s'", dirs[i].path);
	return 0;
}

/* The file is made, and the namespace of process `pid` bound to it. */
static int bind_namespace(pid_t pid, const char *path, struct err *e)
{
	_close_ int ns = -1, file = -1;
	char text[64];

	snprintf(text, sizeof(text), "/proc/%d/ns/net", (int)pid);
	ns = open(text, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_sys(e, "cannot open '%s'", text);
	file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0)
		return err_sys(e, "cannot make '%s'", path);
	snprintf(text, sizeof(text), "/proc/self/fd/%d", ns);
	if (mount(text, path, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, "cannot bind the network namespace to '%s'", path);
	return 0;
}

/* Nothing of ours is left to it but where it writes its errors. */
static void __attribute__((noreturn))
become_pasta(const char *program, int errors, const char *netns, const char *pid_file)
{
	const char *const argv[] = {
		"pasta",  "--quiet", "--config-net", "--no-map-gw", "-t",
		"none",	  "-u",	     "none",	     "-T",	    "none",
		"-U",	  "none",    "--runas",	     "0:0",	    "--pid",
		pid_file, "--netns", netns,	     NULL
	};

	spawn_exec_or_exit(&(struct spawn){ .program = program,
					    .argv = argv,
					    .fds = (const int[]){ -1, errors, errors },
					    .n = 3,
					    .dies_with_parent = true });
}

/* What it said, on one line. */
static void read_errors(int fd, char *to, size_t size)
{
	ssize_t n = pread(fd, to, size - 1, 0);
	size_t len = n > 0 ? (size_t)n : 0;

	while (len > 0 && to[len - 1] == '\n')
		len--;
	to[len] = '\0';
	for (char *p = to; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

/* The process that we start ends when its copy in the background is ready. */
static int wait_ready(pid_t pid, int errors, struct err *e)
{
	struct pollfd ready = { .events = POLLIN };
	_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char text[256];
	int status, n;

	ready.fd = pidfd;
	do
		n = pidfd < 0 ? -1 : poll(&ready, 1, START_MS);
	while (n < 0 && pidfd >= 0 && errno == EINTR);
	if (n <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	read_errors(errors, text, sizeof(text));
	if (*text)
		return err_set(e, ERR_KERNEL, EIO,
			       "pasta could not set up the network: %s", text);
	return err_set(e, ERR_KERNEL, EIO, "pasta %s",
		       n <= 0 ? "took too long to set up the network" :
				"ended without a word");
}

static int note_process(struct container *c, const char *pid_file, struct err *e)
{
	_free_ char *text = NULL;
	uint32_t pid;
	int r = fs_read(AT_FDCWD, pid_file, 32, &text, NULL, e);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (num_u32(text, &pid) < 0 || pid == 0)
		return err_set(e, ERR_KERNEL, EPROTO, "pasta wrote no pid");
	c->st.usernet_pid = (int32_t)pid;
	c->st.usernet_start = process_start_time((pid_t)pid);
	return 0;
}

static int run_pasta(struct container *c, pid_t pid, const char *netns,
		     const char *pid_file, struct err *e)
{
	_close_ int errors = memfd_create("pasta", MFD_CLOEXEC);
	pid_t child;
	int r;

	if (errors < 0)
		return err_sys(e, "cannot make a file in memory");
	r = bind_namespace(pid, netns, e);
	if (r < 0)
		return r;
	child = fork();
	if (child < 0)
		return err_sys(e, "cannot fork");
	if (child == 0)
		become_pasta(find_program(), errors, netns, pid_file);
	r = wait_ready(child, errors, e);
	if (r == 0)
		r = note_process(c, pid_file, e);
	unlink(pid_file);
	return r;
}

static int start_confined(struct container *c, pid_t pid, struct err *e)
{
	char dir[] = "/tmp/purple-XXXXXX";
	_free_ char *netns = confined_path(c), *pid_file = NULL;
	int r = make_confined_dir(e);

	if (r < 0)
		return r;
	if (!netns)
		return err_oom(e);
	if (!mkdtemp(dir))
		return err_sys(e, "cannot make a folder in /tmp");
	pid_file = fs_join(dir, PID_FILE);
	r = pid_file ? run_pasta(c, pid, netns, pid_file, e) : err_oom(e);
	rmdir(dir);
	return r;
}

int usernet_start(struct container *c, pid_t pid, struct err *e)
{
	_free_ char *netns = fs_join(c->dir, NAMESPACE_FILE),
		    *pid_file = fs_join(c->dir, PID_FILE);
	int r = usernet_check(e);

	if (r < 0)
		return r;
	if (lsm_is_enabled(LSM_APPARMOR))
		return start_confined(c, pid, e);
	return netns && pid_file ? run_pasta(c, pid, netns, pid_file, e) : err_oom(e);
}

static void unbind(const char *path)
{
	if (!path)
		return;
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	unlink(path);
}

void usernet_stop(struct container *c)
{
	_free_ char *path = fs_join(c->dir, NAMESPACE_FILE), *confined = confined_path(c);

	if (c->st.usernet_pid > 0 &&
	    process_is_alive(c->st.usernet_pid, c->st.usernet_start))
		kill(c->st.usernet_pid, SIGKILL);
	unbind(path);
	unbind(confined);
}
