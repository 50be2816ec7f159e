/* SPDX-License-Identifier: Apache-2.0 */
/* See rootfs_box.h. */
#include "rootfs_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"

#define BUNDLE "/tmp/purple-box"

_Noreturn void box_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: check failed: %s (errno: %s)\n", file, line, what,
		strerror(errno));
	fflush(NULL);
	_exit(1);
}

void put_file(const char *path, const char *text)
{
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

bool file_is(const char *path, const char *text)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return streq(buf, text);
}

unsigned long mount_flags(const char *path)
{
	struct statvfs v;

	CHECK(statvfs(path, &v) == 0);
	return v.f_flag;
}

const char *mount_tags(const char *point)
{
	static char tags[256];
	_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	const char *found = NULL;
	char line[4096], at[1024];
	int end;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %*s %*s %1023s %*s%n", at, &end) != 1)
			continue;
		if (!streq(at, point))
			continue;
		*dash = '\0';
		snprintf(tags, sizeof(tags), "%s", line + end);
		found = tags + (tags[0] == ' ');
	}
	return found;
}

static struct oci_spec make_spec(const struct box *b)
{
	_json_free_ struct json *j = NULL;
	struct oci_spec s;
	struct err e;
	char *text = str_printf(
		"{'ociVersion':'1.2.0','root':{'path':'rootfs','readonly':%s},"
		"'process':{'cwd':'/','args':['x'],'user':{'uid':0,'gid':0},'terminal':%s},"
		"'mounts':[%s],"
		"'linux':{'namespaces':[{'type':'mount'},{'type':'pid'},{'type':'ipc'},"
		"{'type':'uts'}%s%s]%s%s}}",
		b->readonly ? "true" : "false", b->terminal ? "true" : "false",
		b->mounts ? b->mounts : "", b->userns || b->user ? ",{'type':'user'}" : "",
		b->host_net ? "" : ",{'type':'network'}",
		b->userns ?
			",'uidMappings':[{'containerID':0,'hostID':100000,'size':65536}],"
			"'gidMappings':[{'containerID':0,'hostID':100000,'size':65536}]" :
			"",
		b->linux_extra ? b->linux_extra : "");

	CHECK(text);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	if (json_parse(text, strlen(text), "test", &j, &e) < 0 ||
	    json_read(j, &oci_spec_type, "test", &s, &e) < 0) {
		fprintf(stderr, "%s\n%s\n", e.msg, text);
		CHECK(!"the test's own config");
	}
	free(text);
	return s;
}

/* Whether the expected error, if one is, came. Ends the process when it did. */
static void check_error(const struct box *b, int r, const struct err *e)
{
	if (r == 0)
		return;
	if (!b->fails || !strstr(e->msg, b->fails)) {
		fprintf(stderr, "error: %s\nexpected: %s\n", e->msg,
			b->fails ? b->fails : "none");
		_exit(1);
	}
	_exit(42);
}

static void container(const struct box *b, struct rootfs *r, const struct oci_spec *s,
		      int go, int ready)
{
	struct err e = { 0 };
	char cwd[64], c;

	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	CHECK(read(go, &c, 1) == 1);
	if (b->userns || b->user)
		CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	check_error(b, rootfs_mount(r, s, b->cg, &e), &e);
	if (b->files)
		check_error(b, rootfs_files_mount(r, b->files, &e), &e);
	check_error(b, rootfs_enter(r, s, b->no_pivot, &e), &e);
	CHECK(!b->fails);
	CHECK(getcwd(cwd, sizeof(cwd)) && streq(cwd, "/"));
	if (b->inside)
		b->inside(r);
	rootfs_clear(r);
	CHECK(write(ready, "x", 1) == 1);
	CHECK(read(go, &c, 1) == 1);
	_exit(0);
}

static void write_map(pid_t pid, const char *file, const char *map)
{
	_free_ char *path = str_printf("/proc/%d/%s", (int)pid, file);

	CHECK(path && fs_write_existing(AT_FDCWD, path, map) == 0);
}

static int finish(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run_container(const struct box *b, struct rootfs *r, const struct oci_spec *s)
{
	unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			      SIGCHLD;
	int go[2], ready[2];
	pid_t pid;
	char c;

	flags |= b->host_net ? 0 : CLONE_NEWNET;
	flags |= b->userns || b->user ? CLONE_NEWUSER : 0;
	flags |= b->cg && b->cg->new_cgroupns ? CLONE_NEWCGROUP : 0;
	CHECK(pipe2(go, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
	pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	CHECK(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		close(ready[0]);
		container(b, r, s, go[0], ready[1]);
	}
	close(go[0]);
	close(ready[1]);
	if (b->userns) {
		write_map(pid, "uid_map", "0 100000 65536\n");
		write_map(pid, "gid_map", "0 100000 65536\n");
	} else if (b->user) {
		write_map(pid, "setgroups", "deny");
		write_map(pid, "uid_map", "0 1000 1\n");
		write_map(pid, "gid_map", "0 1000 1\n");
	}
	CHECK(write(go[1], "x", 1) == 1);
	/* The end of file comes when the container failed. */
	if (read(ready[0], &c, 1) == 1) {
		if (b->after)
			b->after();
		CHECK(write(go[1], "x", 1) == 1);
	}
	return finish(pid);
}

static void make_dir(const char *path)
{
	CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
}

/* The host: everything lies in a tmpfs, and all mounts are shared, as systemd has them. */
static void host(const struct box *b)
{
	struct rootfs r = { 0 };
	struct err e = { 0 };
	struct oci_spec s;
	int code;

	umask(022);
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) == 0);
	make_dir(BUNDLE);
	make_dir(BUNDLE "/rootfs");
	CHECK(chdir(BUNDLE) == 0);
	if (b->userns || b->user) {
		uid_t id = b->user ? 1000 : 100000;

		CHECK(chown(BUNDLE "/rootfs", id, id) == 0);
	}
	if (b->host)
		b->host();
	if (b->late_path)
		CHECK(chmod(BUNDLE, 0700) == 0);
	if (b->user)
		CHECK(setresgid(1000, 1000, 1000) == 0 &&
		      setresuid(1000, 1000, 1000) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
	s = make_spec(b);
	code = rootfs_prepare(&s, BUNDLE, &r, &e);
	check_error(b, code, &e);
	if (b->files) {
		_close_ int dir = open("own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		CHECK(dir >= 0);
		b->files->tree_fd = rootfs_files_open(dir, &e);
		CHECK(b->files->tree_fd >= 0);
	}
	code = run_container(b, &r, &s);
	rootfs_clear(&r);
	json_clear(&oci_spec_type, &s);
	exit(code);
}

bool box_run(const struct box *b)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0)
		host(b);
	return finish(pid) == (b->fails ? 42 : 0);
}

void check_device(const char *path, unsigned int major, unsigned int minor)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(major, minor));
	CHECK((st.st_mode & 07777) == 0666);
}

void check_link(const char *path, const char *target)
{
	char buf[256] = "";

	CHECK(readlink(path, buf, sizeof(buf) - 1) > 0);
	CHECK(streq(buf, target));
}

void refuse(const char *mounts, void (*prepare)(void), const char *fails)
{
	struct box b = { .mounts = mounts, .host = prepare, .fails = fails };

	assert_true(box_run(&b));
}
