/* SPDX-License-Identifier: Apache-2.0 */
/* What linux/rootfs is made of: tmpcopyup, id maps, devices, sysctl, cgroup and other file
 * systems, in real namespaces. Needs root: skipped without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "linux/proc.h"
#include "linux/rlimit.h"
#include "linux/sysctl.h"
#include "rootfs_box.h"

#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 8192
#endif

/* ---- tmpcopyup ---- */

static void host_copyup(void)
{
	const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };

	CHECK(mkdir("rootfs/c", 0755) == 0 && chmod("rootfs/c", 02751) == 0);
	CHECK(mkdir("rootfs/c/d", 0755) == 0);
	put_file("rootfs/c/d/file", "deep");
	CHECK(chown("rootfs/c/d/file", 12, 34) == 0 && chmod("rootfs/c/d/file", 04751) == 0);
	CHECK(symlink("/nowhere", "rootfs/c/link") == 0);
	CHECK(mkfifo("rootfs/c/fifo", 0640) == 0);
	CHECK(mknod("rootfs/c/null", S_IFCHR | 0600, makedev(1, 3)) == 0);
	CHECK(setxattr("rootfs/c/d/file", "trusted.test", "v", 1, 0) == 0);
	CHECK(utimensat(AT_FDCWD, "rootfs/c/d/file", times, 0) == 0);
	CHECK(utimensat(AT_FDCWD, "rootfs/c/d", times, 0) == 0);
}

static void inside_copyup(struct rootfs *r)
{
	char value[8];
	struct stat st;

	CHECK(mount_tags("/c"));
	CHECK(stat("/c", &st) == 0 && (st.st_mode & 07777) == 02751);
	CHECK(stat("/c/d", &st) == 0 && st.st_mtime == 2000);
	CHECK(stat("/c/d/file", &st) == 0);
	CHECK(st.st_uid == 12 && st.st_gid == 34 && (st.st_mode & 07777) == 04751);
	CHECK(st.st_mtime == 2000 && st.st_atime == 1000);
	CHECK(getxattr("/c/d/file", "trusted.test", value, sizeof(value)) == 1);
	CHECK(file_is("/c/d/file", "deep"));
	check_link("/c/link", "/nowhere");
	CHECK(stat("/c/fifo", &st) == 0 && S_ISFIFO(st.st_mode) &&
	      (st.st_mode & 07777) == 0640);
	CHECK(stat("/c/null", &st) == 0 && S_ISCHR(st.st_mode) &&
	      st.st_rdev == makedev(1, 3));
	put_file("/c/d/file", "changed");
	CHECK(stat("/e", &st) == 0 && (st.st_mode & 07777) == 0700);
}

static void after_copyup(void)
{
	CHECK(file_is("rootfs/c/d/file", "deep"));
}

static void test_tmpcopyup(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/c','type':'tmpfs','options':['tmpcopyup']}"
		",{'destination':'/e','type':'tmpfs','options':['tmpcopyup','mode=700']}",
		.host = host_copyup,
		.inside = inside_copyup,
		.after = after_copyup,
	};

	assert_true(box_run(&b));
}

static void host_copyup_big(void)
{
	CHECK(mkdir("rootfs/c", 0755) == 0);
	put_file("rootfs/c/big", "");
	CHECK(truncate("rootfs/c/big", 1 << 20) == 0);
}

static void test_tmpcopyup_that_does_not_fit(void **state)
{
	refuse("{'destination':'/c','type':'tmpfs','options':['tmpcopyup','size=64k']}",
	       host_copyup_big, "tmpcopyup: big: cannot copy: No space left on device");
}

/* ---- Id-mapped mounts ---- */

static void host_idmap(void)
{
	CHECK(mkdir("vol", 0755) == 0 && mkdir("vol/sub", 0755) == 0);
	put_file("vol/file", "x");
	CHECK(chown("vol/file", 5, 6) == 0);
	CHECK(mount("tmpfs", "vol/sub", "tmpfs", 0, NULL) == 0);
	put_file("vol/sub/file", "x");
	CHECK(chown("vol/sub/file", 5, 6) == 0);
}

static bool owned_by(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return st.st_uid == uid && st.st_gid == gid;
}

static void inside_idmap(struct rootfs *r)
{
	CHECK(owned_by("/m/file", 1005, 2006));
	CHECK(owned_by("/m/sub/file", 5, 6));
	CHECK(owned_by("/r/file", 1005, 2006));
	CHECK(owned_by("/r/sub/file", 1005, 2006));
}

#define MAPS                                                          \
	"'uidMappings':[{'containerID':0,'hostID':1000,'size':100}]," \
	"'gidMappings':[{'containerID':0,'hostID':2000,'size':100}]"

static void test_idmap(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/m','source':'vol','options':['rbind',"
		"'idmap']," MAPS
		"},{'destination':'/r','source':'vol','options':['rbind','ridmap']," MAPS
		"}",
		.host = host_idmap,
		.inside = inside_idmap,
	};

	assert_true(box_run(&b));
}

static void inside_idmap_own(struct rootfs *r)
{
	/* The container's maps: what is 5:6 on disk is 5:6 in the container. */
	CHECK(owned_by("/m/file", 5, 6));
	CHECK(owned_by("/n/file", 65534, 65534));
}

static void test_idmap_of_the_container(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/m','source':'vol','options':['bind','idmap']}"
		",{'destination':'/n','source':'vol','options':['bind']}",
		.userns = true,
		.host = host_idmap,
		.inside = inside_idmap_own,
	};

	assert_true(box_run(&b));
	b.userns = false;
	b.fails = "option 'idmap' needs uidMappings and gidMappings";
	assert_true(box_run(&b));
	b.mounts = "{'destination':'/m','source':'/sys','options':['bind']," MAPS "}";
	b.fails = "does not support id-mapped mounts";
	assert_true(box_run(&b));
}

/* ---- Devices ---- */

static void host_devices(void)
{
	CHECK(mkdir("rootfs/dev", 0755) == 0);
	CHECK(mknod("rootfs/dev/zero", S_IFCHR | 0666, makedev(1, 5)) == 0);
	CHECK(chmod("rootfs/dev/zero", 0666) == 0);
	CHECK(mknod("rootfs/dev/ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
}

static void inside_devices(struct rootfs *r)
{
	struct stat st;

	CHECK(stat("/dev/mine", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(st.st_rdev == makedev(1, 7) && (st.st_mode & 07777) == 0640);
	CHECK(st.st_uid == 3 && st.st_gid == 4);
	CHECK(stat("/dev/blk", &st) == 0 && S_ISBLK(st.st_mode) &&
	      st.st_rdev == makedev(7, 0));
	CHECK((st.st_mode & 07777) == 0666);
	CHECK(stat("/var/fifo", &st) == 0 && S_ISFIFO(st.st_mode));
	check_device("/dev/zero", 1, 5);
	check_link("/dev/ptmx", "pts/ptmx");
}

static void test_devices(void **state)
{
	struct box b = {
		.mounts = PROC,
		.linux_extra = ",'devices':[{'path':'/dev/mine','type':'c','major':1,'minor':7,"
			       "'fileMode':416,'uid':3,'gid':4},"
			       "{'path':'/dev/blk','type':'b','major':7,'minor':0},"
			       "{'path':'/var/fifo','type':'p'},"
			       "{'path':'/dev/zero','type':'u','major':1,'minor':5}]",
		.host = host_devices,
		.inside = inside_devices,
	};

	assert_true(box_run(&b));
	b.linux_extra = ",'devices':[{'path':'/dev/zero','type':'c','major':1,'minor':3}]";
	b.fails = "cannot make device '/dev/zero': another file is there";
	assert_true(box_run(&b));
	b.linux_extra = ",'devices':[{'path':'/dev/x','type':'q','major':1,'minor':3}]";
	b.fails = "device '/dev/x': unknown type 'q'";
	assert_true(box_run(&b));
	/* In a user namespace the host's node is bound, if it is the right one. */
	b.userns = true;
	b.host = NULL;
	b.linux_extra = ",'devices':[{'path':'/dev/null','type':'c','major':1,'minor':5}]";
	b.fails = "another device";
	assert_true(box_run(&b));
}

static void inside_dev_bind(struct rootfs *r)
{
	CHECK(access("/dev/hostfile", F_OK) == 0);
	CHECK(access("/dev/fd", F_OK) < 0 && access("/dev/full", F_OK) < 0);
}

static void host_dev_bind(void)
{
	CHECK(mkdir("devdir", 0755) == 0);
	put_file("devdir/hostfile", "");
}

static void test_bound_dev_is_left_alone(void **state)
{
	struct box b = { .mounts = PROC
			 ",{'destination':'/dev/','source':'devdir','options':['bind']}",
			 .host = host_dev_bind,
			 .inside = inside_dev_bind };

	assert_true(box_run(&b));
}

static void inside_console(struct rootfs *r)
{
	_close_ int master = -1, slave = -1;
	int unlock = 0, n;
	char path[64];
	struct stat st;
	struct err e;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(master >= 0);
	CHECK(ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCGPTN, &n) == 0);
	snprintf(path, sizeof(path), "/dev/pts/%d", n);
	slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(slave >= 0);
	CHECK(rootfs_bind_console(r, slave, &e) == 0);
	CHECK(stat("/dev/console", &st) == 0 && S_ISCHR(st.st_mode) &&
	      major(st.st_rdev) == 136);
	CHECK(mount_flags("/dev") & ST_RDONLY);
}

static void test_console(void **state)
{
	struct box b = {
		.mounts = PROC ",{'destination':'/dev','type':'tmpfs','options':['ro']}," PTS,
		.terminal = true,
		.inside = inside_console,
	};

	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
}

static void host_console_link(void)
{
	CHECK(mkdir("rootfs/dev", 0755) == 0);
	CHECK(symlink("/etc/passwd", "rootfs/dev/console") == 0);
}

static void test_console_that_is_a_link(void **state)
{
	struct box b = { .mounts = PROC,
			 .terminal = true,
			 .host = host_console_link,
			 .fails = "/dev/console of the container is a symbolic link" };

	assert_true(box_run(&b));
}

/* ---- sysctl, procfs, limits ---- */

static void inside_sysctl(struct rootfs *r)
{
	struct strmap m = { 0 };
	struct err e = { 0 };

	CHECK(strmap_set(&m, "kernel.msgmax", "4242") == 0);
	CHECK(strmap_set(&m, "net/ipv4/ip_forward", "1") == 0);
	CHECK(strmap_set(&m, "kernel.domainname", "example.org") == 0);
	if (sysctl_apply(r->proc_fd, &m, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		CHECK(!"sysctl_apply");
	}
	CHECK(file_is("/proc/sys/kernel/msgmax", "4242\n"));
	CHECK(file_is("/proc/sys/net/ipv4/ip_forward", "1\n"));
	CHECK(file_is("/proc/sys/kernel/domainname", "example.org\n"));
	CHECK(strmap_set(&m, "net.no.such", "1") == 0);
	CHECK(sysctl_apply(r->proc_fd, &m, &e) == -ENOENT);
	CHECK(strstr(e.msg,
		     "cannot set sysctl 'net.no.such': cannot open /proc/sys/net/no/such"));
	CHECK(proc_write(r->proc_fd, "../etc/passwd", "x", &e) == -EXDEV);
	CHECK(proc_open_file(r->proc_fd, "self/root/etc", O_RDONLY, &e) == -ELOOP);
	strmap_free(&m);
}

static void test_sysctl(void **state)
{
	/* Also when /proc/sys is read-only by then. */
	struct box b = { .mounts = PROC,
			 .linux_extra = ",'readonlyPaths':['/proc/sys']",
			 .inside = inside_sysctl };

	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
}

static void inside_covered(struct rootfs *r)
{
	struct err e = { 0 };
	_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_close_ int own = -1;

	/* A procfs file that something covers is not written to; the runtime's own procfs has
	 * nothing on it. */
	CHECK(mount("/etc/target", "/proc/sys/kernel/msgmax", NULL, MS_BIND, NULL) == 0);
	CHECK(proc_write(fd, "sys/kernel/msgmax", "1", &e) == -EXDEV);
	CHECK(file_is("/etc/target", ""));
	own = proc_open(&e);
	CHECK(own >= 0 && proc_write(own, "sys/kernel/msgmax", "4343", &e) == 0);
	CHECK(file_is("/etc/target", ""));
}

static void host_covered(void)
{
	CHECK(mkdir("rootfs/etc", 0755) == 0);
	put_file("rootfs/etc/target", "");
}

static void test_covered_procfs(void **state)
{
	struct box b = { .mounts = PROC, .host = host_covered, .inside = inside_covered };

	assert_true(box_run(&b));
}

static void test_rlimits(void **state)
{
	struct rlimit was, now;
	struct oci_rlimit l = { .type = (char *)"RLIMIT_NOFILE" };
	struct err e;
	int n;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	l.soft = was.rlim_cur - 1;
	l.hard = was.rlim_max;
	assert_int_equal(rlimit_apply_to(0, &l, 1, &e), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, was.rlim_cur - 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	l.soft = 2;
	l.hard = 1;
	assert_int_equal(rlimit_apply_to(0, &l, 1, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "RLIMIT_NOFILE"));
	assert_int_equal(rlimit_parse("RLIMIT_BOGUS", &n), -EINVAL);
	assert_int_equal(rlimit_parse("NOFILE", &n), -EINVAL);
}

/* ---- cgroup mounts ---- */

static struct rootfs_cgroup_view view;

static void host_cgroup(void)
{
	/* Stands in for a host with combined v1 hierarchies and a unified one beside them. */
	CHECK(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/sys/fs/cgroup/cpu,cpuacct", 0755) == 0 &&
	      mkdir("/sys/fs/cgroup/cpu,cpuacct/box", 0755) == 0 &&
	      mkdir("/sys/fs/cgroup/memory", 0755) == 0 &&
	      mkdir("/sys/fs/cgroup/memory/box", 0755) == 0 &&
	      mkdir("/sys/fs/cgroup/unified", 0755) == 0 &&
	      mkdir("/sys/fs/cgroup/unified/box", 0755) == 0);
	put_file("/sys/fs/cgroup/cpu,cpuacct/box/cpu.shares", "1");
	put_file("/sys/fs/cgroup/memory/box/memory.limit", "2");
	put_file("/sys/fs/cgroup/unified/box/cgroup.procs", "3");
}

static void inside_cgroup(struct rootfs *r)
{
	CHECK(file_is("/sys/fs/cgroup/cpu,cpuacct/cpu.shares", "1"));
	check_link("/sys/fs/cgroup/cpu", "cpu,cpuacct");
	check_link("/sys/fs/cgroup/cpuacct", "cpu,cpuacct");
	CHECK(file_is("/sys/fs/cgroup/memory/memory.limit", "2"));
	CHECK(file_is("/sys/fs/cgroup/unified/cgroup.procs", "3"));
	CHECK(mount_flags("/sys/fs/cgroup") & ST_RDONLY);
	CHECK(mount_flags("/sys/fs/cgroup/memory") & ST_RDONLY);
	CHECK(mount_flags("/sys/fs/cgroup/memory") & ST_NOSUID);
}

#define CGROUP                                                               \
	"{'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup'," \
	"'options':['rprivate','nosuid','noexec','nodev','relatime','ro']}"

static void fill_view(const char *a, const char *a_dir, const char *b, const char *b_dir)
{
	view = (struct rootfs_cgroup_view){ .mode = ROOTFS_CGROUP_HYBRID };
	assert_int_equal(strmap_set(&view.v1, a, a_dir), 0);
	assert_int_equal(strmap_set(&view.v1, b, b_dir), 0);
	assert_int_equal(strmap_set(&view.v1, "memory", "/sys/fs/cgroup/memory/box"), 0);
	view.unified = "/sys/fs/cgroup/unified/box";
}

static void test_cgroup_v1_binds(void **state)
{
	struct box b = { .mounts = PROC "," SYS "," CGROUP,
			 .cg = &view,
			 .host = host_cgroup,
			 .inside = inside_cgroup };

	fill_view("cpu", "/sys/fs/cgroup/cpu,cpuacct/box", "cpuacct",
		  "/sys/fs/cgroup/cpu,cpuacct/box");
	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
	strmap_free(&view.v1);
}

static void inside_cgroup_v2(struct rootfs *r)
{
	CHECK(file_is("/sys/fs/cgroup/cgroup.procs", "3"));
	CHECK(!(mount_flags("/sys/fs/cgroup") & ST_RDONLY));
}

static void test_cgroup_v2_bind(void **state)
{
	struct box b = {
		.mounts = PROC "," SYS ",{'destination':'/sys/fs/cgroup','type':'cgroup',"
			       "'options':['nosuid']}",
		.cg = &view,
		.host = host_cgroup,
		.inside = inside_cgroup_v2,
	};

	view = (struct rootfs_cgroup_view){ .mode = ROOTFS_CGROUP_V2,
					    .unified = "/sys/fs/cgroup/unified/box" };
	assert_true(box_run(&b));
	view.mode = ROOTFS_CGROUP_NONE;
	b.fails = "the mount must have option 'ro'";
	assert_true(box_run(&b));
}

static void inside_cgroupns(struct rootfs *r)
{
	/* A real cgroup2, rooted at our own group. */
	CHECK(access("/cg/cgroup.procs", F_OK) == 0);
	CHECK(mount_flags("/cg") & ST_NOEXEC);
}

static void test_cgroup2_with_namespace(void **state)
{
	struct box b = {
		.mounts = PROC ",{'destination':'/cg','type':'cgroup2','options':['noexec']}",
		.cg = &view,
		.inside = inside_cgroupns,
	};

	view = (struct rootfs_cgroup_view){ .mode = ROOTFS_CGROUP_V2, .new_cgroupns = true };
	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
}

static void inside_cgroupns_v1(struct rootfs *r)
{
	/* Mounts of their own, each rooted at the namespace. */
	CHECK(access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) == 0);
	CHECK(access("/sys/fs/cgroup/systemd/cgroup.procs", F_OK) == 0);
	CHECK(mount_flags("/sys/fs/cgroup/memory") & ST_RDONLY);
	CHECK(mkdir("/sys/fs/cgroup/memory/x", 0755) < 0 && errno == EROFS);
}

static void test_cgroup_v1_with_namespace(void **state)
{
	struct box b = { .mounts = PROC "," SYS "," CGROUP,
			 .cg = &view,
			 .inside = inside_cgroupns_v1 };

	if (access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) < 0 ||
	    access("/sys/fs/cgroup/systemd/cgroup.procs", F_OK) < 0) {
		print_message("[  SKIP    ] this host has no cgroup v1 hierarchies\n");
		skip();
	}
	view = (struct rootfs_cgroup_view){ .mode = ROOTFS_CGROUP_V1, .new_cgroupns = true };
	assert_int_equal(strmap_set(&view.v1, "memory", "/sys/fs/cgroup/memory"), 0);
	assert_int_equal(strmap_set(&view.v1, "name=systemd", "/sys/fs/cgroup/systemd"), 0);
	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
	strmap_free(&view.v1);
}

/* ---- Other file systems ---- */

static void host_overlay(void)
{
	char path[64];

	CHECK(mkdir("up", 0755) == 0 && mkdir("work", 0755) == 0);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "lower-with-a-rather-long-name-%d", i);
		CHECK(mkdir(path, 0755) == 0);
		snprintf(path, sizeof(path), "lower-with-a-rather-long-name-%d/f%d", i, i);
		put_file(path, "layer");
	}
}

static void inside_overlay(struct rootfs *r)
{
	CHECK(file_is("/o/f0", "layer"));
	CHECK(file_is("/long/f0", "layer") && file_is("/long/f19", "layer"));
	CHECK(mount_flags("/long") & ST_RDONLY);
	put_file("/o/f0", "changed");
}

static void after_overlay(void)
{
	CHECK(file_is("up/f0", "changed"));
	CHECK(file_is("lower-with-a-rather-long-name-0/f0", "layer"));
}

static void test_overlay(void **state)
{
	_buf_free_ struct buf m = { 0 };
	struct box b = { .host = host_overlay,
			 .inside = inside_overlay,
			 .after = after_overlay };

	buf_adds(&m, PROC
		 ",{'destination':'/o','type':'overlay','options':["
		 "'lowerdir=/tmp/purple-box/lower-with-a-rather-long-name-0',"
		 "'upperdir=/tmp/purple-box/up','workdir=/tmp/purple-box/work']},"
		 "{'destination':'/long','type':'overlay','options':['ro','lowerdir=");
	for (int i = 0; i < 20; i++)
		buf_addf(&m, "%s/tmp/purple-box/lower-with-a-rather-long-name-%d",
			 i ? ":" : "", i);
	buf_adds(&m, "']}");
	assert_false(m.failed);
	b.mounts = m.s;
	assert_true(box_run(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tmpcopyup),
		cmocka_unit_test(test_tmpcopyup_that_does_not_fit),
		cmocka_unit_test(test_idmap),
		cmocka_unit_test(test_idmap_of_the_container),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_bound_dev_is_left_alone),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_console_that_is_a_link),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_covered_procfs),
		cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_cgroup_v1_binds),
		cmocka_unit_test(test_cgroup_v2_bind),
		cmocka_unit_test(test_cgroup2_with_namespace),
		cmocka_unit_test(test_cgroup_v1_with_namespace),
		cmocka_unit_test(test_overlay),
	};

	if (geteuid() != 0) {
		puts("SKIP: needs root, for namespaces and mounts");
		return 77;
	}
	return cmocka_run_group_tests_name("rootfs_parts", tests, NULL, NULL);
}
