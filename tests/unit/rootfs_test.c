/* SPDX-License-Identifier: Apache-2.0 */
/* linux/rootfs and what it is made of, in real namespaces. Needs root: skipped without. */
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

/* ---- The usual container ---- */

static void host_usual(void)
{
	CHECK(mkdir("rootfs/etc", 0755) == 0 && mkdir("rootfs/hidden", 0755) == 0 &&
	      mkdir("rootfs/frozen", 0777) == 0 && mkdir("rootfs/data", 0777) == 0);
	CHECK(chmod("rootfs/frozen", 0777) == 0);
	put_file("rootfs/etc/shadow", "secret");
	put_file("rootfs/hidden/file", "secret");
	put_file("rootfs/frozen/file", "text");
}

static void inside_usual(struct rootfs *r)
{
	_close_ int null = -1;
	struct stat st;

	check_device("/dev/null", 1, 3);
	check_device("/dev/zero", 1, 5);
	check_device("/dev/full", 1, 7);
	check_device("/dev/random", 1, 8);
	check_device("/dev/urandom", 1, 9);
	check_device("/dev/tty", 5, 0);
	check_link("/dev/fd", "/proc/self/fd");
	check_link("/dev/stdin", "/proc/self/fd/0");
	check_link("/dev/stdout", "/proc/self/fd/1");
	check_link("/dev/stderr", "/proc/self/fd/2");
	check_link("/dev/ptmx", "pts/ptmx");
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(null >= 0 && write(null, "x", 1) == 1);
	CHECK(mount_flags("/dev/shm") & ST_NODEV);
	CHECK(stat("/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
	/* Procfs of the new pid namespace. */
	check_link("/proc/self", "1");
	/* Masks. */
	CHECK(file_is("/etc/shadow", ""));
	CHECK(stat("/etc/shadow", &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(file_is("/proc/keys", ""));
	CHECK(access("/hidden/file", F_OK) < 0 && errno == ENOENT);
	CHECK(mkdir("/hidden/x", 0755) < 0 && errno == EROFS);
	CHECK(file_is("/frozen/file", "text"));
	CHECK(mkdir("/frozen/x", 0755) < 0 && errno == EROFS);
	CHECK(mount_flags("/proc/sys") & ST_RDONLY);
	CHECK(open("/proc/sys/kernel/hostname", O_WRONLY | O_CLOEXEC) < 0);
	CHECK(open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC) < 0);
	CHECK(mkdir("/sys/x", 0755) < 0);
	/* Read-only root, writable tmpfs. */
	CHECK(mkdir("/data/x", 0755) < 0 && errno == EROFS);
	put_file("/dev/shm/x", "x");
	/* The host's tree is gone. */
	CHECK(mount_tags("/tmp/purple-box/rootfs") == NULL);
	CHECK(access("/tmp", F_OK) < 0 && access("/../tmp", F_OK) < 0);
}

static void test_usual_container(void **state)
{
	struct box b = { .mounts = USUAL,
			 .linux_extra = MASKS,
			 .readonly = true,
			 .host = host_usual,
			 .inside = inside_usual };

	assert_true(box_run(&b));
}

static void test_usual_container_in_user_namespace(void **state)
{
	struct box b = { .mounts = USUAL,
			 .linux_extra = MASKS,
			 .readonly = true,
			 .userns = true,
			 .host = host_usual,
			 .inside = inside_usual };

	assert_true(box_run(&b));
}

static void test_bundle_that_init_cannot_reach(void **state)
{
	struct box b = { .mounts = USUAL,
			 .linux_extra = MASKS,
			 .readonly = true,
			 .userns = true,
			 .late_path = true,
			 .host = host_usual,
			 .inside = inside_usual };

	assert_true(box_run(&b));
	b.no_pivot = true;
	assert_true(box_run(&b));
}

#define PTS_USER "{'destination':'/dev/pts','type':'devpts','source':'devpts'}"

static void host_user(void)
{
	host_usual();
	put_file("rootfs/etc/shadow", "secret");
	CHECK(mkdir("vol", 0755) == 0 && chown("vol", 1000, 1000) == 0);
	put_file("vol/file", "text");
	for (const char *const *p = (const char *[]){ "rootfs/etc", "rootfs/hidden",
						      "rootfs/frozen", "rootfs/data", NULL };
	     *p; p++)
		CHECK(chown(*p, 1000, 1000) == 0);
}

static void inside_user(struct rootfs *r)
{
	inside_usual(r);
	CHECK(file_is("/vol/file", "text"));
	CHECK(mkdir("/vol/x", 0755) < 0 && errno == EROFS);
}

static void test_ordinary_user(void **state)
{
	struct box b = {
		.mounts = PROC
		"," DEV "," PTS_USER "," SHM "," MQUEUE "," SYS
		",{'destination':'/vol','source':'vol','options':['bind','ro']}",
		.linux_extra = MASKS,
		.readonly = true,
		.user = true,
		.host = host_user,
		.inside = inside_user,
	};

	assert_true(box_run(&b));
}

static void inside_no_pivot(struct rootfs *r)
{
	inside_usual(r);
	/* No full procfs of the host is left to be found. */
	CHECK(mount_tags("/") != NULL);
}

static void test_no_pivot(void **state)
{
	struct box b = { .mounts = USUAL,
			 .linux_extra = MASKS,
			 .readonly = true,
			 .no_pivot = true,
			 .host = host_usual,
			 .inside = inside_no_pivot };

	assert_true(box_run(&b));
}

/* ---- Options ---- */

struct option_case {
	const char *options;
	unsigned long with, without; /* ST_* that must and must not be set */
};

static const struct option_case *current_case;

static void host_options(void)
{
	CHECK(mkdir("plain", 0755) == 0 && mkdir("strict", 0755) == 0);
	/* A source that has everything set, for the options that clear. */
	CHECK(mount("tmpfs", "strict", "tmpfs",
		    MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME,
		    NULL) == 0);
	CHECK(mkdir("strict/sub", 0755) == 0);
	CHECK(mount("tmpfs", "strict/sub", "tmpfs",
		    MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME,
		    NULL) == 0);
	CHECK(mount(NULL, "strict/sub", NULL,
		    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC |
			    MS_NOATIME | MS_NODIRATIME | 256 /* MS_NOSYMFOLLOW */,
		    NULL) == 0);
	CHECK(mount(NULL, "strict", NULL,
		    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC |
			    MS_NOATIME | MS_NODIRATIME | 256,
		    NULL) == 0);
	CHECK(mount("tmpfs", "plain", "tmpfs", MS_RELATIME, NULL) == 0);
	CHECK(mkdir("plain/sub", 0755) == 0);
	CHECK(mount("tmpfs", "plain/sub", "tmpfs", MS_RELATIME, NULL) == 0);
}

static void check_flags(const char *path, const struct option_case *c, bool same)
{
	unsigned long f = mount_flags(path);

	if ((f & c->with) != c->with || (f & c->without)) {
		fprintf(stderr, "%s with options %s: flags %#lx, want %#lx and not %#lx\n",
			path, c->options, f, c->with, c->without);
		CHECK(!"mount flags");
	}
}

static void inside_option(struct rootfs *r)
{
	check_flags("/m", current_case, true);
}

static void inside_option_recursive(struct rootfs *r)
{
	check_flags("/m", current_case, true);
	check_flags("/m/sub", current_case, true);
}

static void run_options(const struct option_case *cases, size_t n, const char *source,
			void (*inside)(struct rootfs *))
{
	for (size_t i = 0; i < n; i++) {
		_free_ char *mounts =
			str_printf(PROC ",{'destination':'/m','source':'%s','options':[%s]}",
				   source, cases[i].options);
		struct box b = { .mounts = mounts, .host = host_options, .inside = inside };

		current_case = &cases[i];
		assert_non_null(mounts);
		assert_true(box_run(&b));
		/* In a user namespace options can be set; those of the host can be cleared too,
		 * since the runtime does it. */
		b.userns = true;
		assert_true(box_run(&b));
	}
}

static void test_options_that_set(void **state)
{
	static const struct option_case cases[] = {
		{ "'bind'", ST_RELATIME,
		  ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME |
			  ST_NOSYMFOLLOW },
		{ "'bind','ro'", ST_RDONLY, ST_NOSUID },
		{ "'bind','ro','rw'", 0, ST_RDONLY },
		{ "'bind','nosuid'", ST_NOSUID, ST_RDONLY },
		{ "'bind','nodev'", ST_NODEV, ST_RDONLY },
		{ "'bind','noexec'", ST_NOEXEC, ST_RDONLY },
		{ "'bind','noatime'", ST_NOATIME, ST_RELATIME },
		{ "'bind','nodiratime'", ST_NODIRATIME, ST_NOATIME },
		{ "'bind','strictatime'", 0, ST_NOATIME | ST_RELATIME },
		{ "'bind','norelatime'", 0, ST_NOATIME | ST_RELATIME },
		{ "'bind','noatime','relatime'", ST_RELATIME, ST_NOATIME },
		{ "'bind','nosymfollow'", ST_NOSYMFOLLOW, 0 },
		{ "'bind','defaults','async','silent','loud','nomand','nolazytime','noiversion'",
		  ST_RELATIME, ST_RDONLY },
		{ "'rbind','ro'", ST_RDONLY, 0 },
	};

	run_options(cases, ARRAY_SIZE(cases), "plain", inside_option);
}

static void test_options_that_clear(void **state)
{
	static const struct option_case cases[] = {
		{ "'bind'",
		  ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME |
			  ST_NODIRATIME | ST_NOSYMFOLLOW,
		  0 },
		{ "'bind','rw'", ST_NOSUID, ST_RDONLY },
		{ "'bind','suid'", ST_RDONLY, ST_NOSUID },
		{ "'bind','dev'", ST_RDONLY, ST_NODEV },
		{ "'bind','exec'", ST_RDONLY, ST_NOEXEC },
		{ "'bind','atime'", ST_RELATIME, ST_NOATIME },
		{ "'bind','relatime'", ST_RELATIME, ST_NOATIME },
		{ "'bind','strictatime'", 0, ST_NOATIME | ST_RELATIME },
		{ "'bind','nostrictatime'", ST_RELATIME, ST_NOATIME },
		{ "'bind','diratime'", ST_NOATIME, ST_NODIRATIME },
		{ "'bind','symfollow'", ST_RDONLY, ST_NOSYMFOLLOW },
	};

	run_options(cases, ARRAY_SIZE(cases), "strict", inside_option);
}

static void test_recursive_options(void **state)
{
	static const struct option_case set[] = {
		{ "'rbind','rro'", ST_RDONLY, 0 },
		{ "'rbind','rnosuid','rnodev','rnoexec'",
		  ST_NOSUID | ST_NODEV | ST_NOEXEC, 0 },
		{ "'rbind','rnoatime','rnodiratime'", ST_NOATIME | ST_NODIRATIME,
		  ST_RELATIME },
		{ "'rbind','rstrictatime'", 0, ST_NOATIME | ST_RELATIME },
		{ "'rbind','rnorelatime'", 0, ST_NOATIME | ST_RELATIME },
		{ "'rbind','rnosymfollow'", ST_NOSYMFOLLOW, 0 },
	};
	static const struct option_case clear[] = {
		{ "'rbind','rrw'", 0, ST_RDONLY },
		{ "'rbind','rsuid','rdev','rexec'", ST_RDONLY,
		  ST_NOSUID | ST_NODEV | ST_NOEXEC },
		{ "'rbind','ratime','rdiratime'", ST_RELATIME, ST_NOATIME | ST_NODIRATIME },
		{ "'rbind','rrelatime'", ST_RELATIME, ST_NOATIME },
		{ "'rbind','rnostrictatime'", ST_RELATIME, ST_NOATIME },
		{ "'rbind','rsymfollow'", 0, ST_NOSYMFOLLOW },
	};

	run_options(set, ARRAY_SIZE(set), "plain", inside_option_recursive);
	run_options(clear, ARRAY_SIZE(clear), "strict", inside_option_recursive);
}

static void inside_plain_ro(struct rootfs *r)
{
	CHECK(mount_flags("/m") & ST_RDONLY);
	CHECK(!(mount_flags("/m/sub") & ST_RDONLY));
	CHECK(mount_tags("/n") && !mount_tags("/n/sub"));
}

static void test_plain_ro_is_not_recursive_and_bind_takes_one_mount(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/m','source':'plain','options':['rbind','ro']},"
		"{'destination':'/n','source':'plain','options':['bind']}",
		.host = host_options,
		.inside = inside_plain_ro,
	};

	assert_true(box_run(&b));
}

static void inside_tmpfs(struct rootfs *r)
{
	struct stat st;

	CHECK((mount_flags("/t") &
	       (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_SYNCHRONOUS)) ==
	      (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_SYNCHRONOUS));
	CHECK(stat("/t", &st) == 0 && (st.st_mode & 07777) == 0710);
	/* Read-only, and yet what is mounted in it found its place. */
	CHECK(mount_flags("/ro") & ST_RDONLY);
	CHECK(!(mount_flags("/ro/deep/below") & ST_RDONLY));
	CHECK(mkdir("/ro/x", 0755) < 0 && errno == EROFS);
	CHECK(mount_flags("/dev") & ST_RDONLY);
	check_device("/dev/null", 1, 3);
	/* Without mode=, that of the directory below. */
	CHECK(stat("/sticky", &st) == 0 && (st.st_mode & 07777) == 01777);
	CHECK(mount_tags("/sticky"));
	/* remount. */
	CHECK(mount_flags("/again") & ST_RDONLY);
	CHECK(mount_flags("/again") & ST_NOSUID);
}

static void host_tmpfs(void)
{
	CHECK(mkdir("rootfs/sticky", 0755) == 0 && chmod("rootfs/sticky", 01777) == 0);
}

static void test_tmpfs_options(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/t','type':'tmpfs','options':['nosuid','nodev','noexec',"
		"'noatime','sync','mode=0710,size=1m']}"
		",{'destination':'/ro','type':'tmpfs','options':['ro']}"
		",{'destination':'/ro/deep/below','type':'tmpfs'}"
		",{'destination':'/dev','type':'tmpfs','options':['ro','mode=755']}"
		",{'destination':'/sticky','type':'tmpfs'}"
		",{'destination':'/again','type':'tmpfs','options':['nosuid']}"
		",{'destination':'/again','options':['remount','ro','size=2m']}",
		.host = host_tmpfs,
		.inside = inside_tmpfs,
	};

	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
}

/* ---- Propagation ---- */

static const char *expected_tag;

static void host_propagation(void)
{
	CHECK(mkdir("vol", 0755) == 0 && mkdir("vol/late", 0755) == 0 &&
	      mkdir("vol/inner", 0755) == 0);
}

static void inside_propagation(struct rootfs *r)
{
	const char *tags = mount_tags("/m");

	CHECK(tags);
	if (*expected_tag ? !strstr(tags, expected_tag) : *tags) {
		fprintf(stderr, "tags '%s', want '%s'\n", tags, expected_tag);
		CHECK(!"propagation");
	}
	if (strstr(expected_tag, "shared"))
		return;
	CHECK(strstr(tags, "shared:") == NULL);
	CHECK(mount("tmpfs", "/m/inner", "tmpfs", 0, NULL) == 0);
}

static void after_propagation(void)
{
	/* What the container mounted is not seen here. */
	CHECK(mount_tags("/tmp/purple-box/vol/inner") == NULL);
	CHECK(mount_tags("/tmp/purple-box/rootfs") == NULL);
}

static void test_propagation(void **state)
{
	static const struct {
		const char *option, *tag;
	} cases[] = {
		{ "'bind'", "master:" },
		{ "'bind','slave'", "master:" },
		{ "'rbind','rslave'", "master:" },
		{ "'bind','private'", "" },
		{ "'rbind','rprivate'", "" },
		{ "'bind','shared'", "shared:" },
		{ "'rbind','rshared'", "shared:" },
		{ "'bind','unbindable'", "unbindable" },
		{ "'rbind','runbindable'", "unbindable" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *mounts =
			str_printf(PROC
				   ",{'destination':'/m','source':'vol','options':[%s]}",
				   cases[i].option);
		struct box b = { .mounts = mounts,
				 .host = host_propagation,
				 .inside = inside_propagation,
				 .after = after_propagation };

		expected_tag = cases[i].tag;
		assert_true(box_run(&b));
	}
}

static void inside_shared(struct rootfs *r)
{
	CHECK(strstr(mount_tags("/"), "shared:"));
	CHECK(mount("tmpfs", "/m/inner", "tmpfs", 0, NULL) == 0);
	CHECK(mount("tmpfs", "/m2", "tmpfs", 0, NULL) == 0);
}

static void host_shared(void)
{
	host_propagation();
	CHECK(mkdir("rootfs/m2", 0755) == 0);
}

static void after_shared(void)
{
	CHECK(mount_tags("/tmp/purple-box/vol/inner"));
	/* Only the volume is open to the host, not the root. */
	CHECK(!mount_tags("/tmp/purple-box/rootfs/m2"));
}

static void test_shared_volume_reaches_the_host_when_both_ask(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/m','source':'vol','options':['rbind','rshared']}",
		.linux_extra = ",'rootfsPropagation':'rshared'",
		.host = host_shared,
		.inside = inside_shared,
		.after = after_shared,
	};

	assert_true(box_run(&b));
}

static void inside_root_private(struct rootfs *r)
{
	CHECK(streq(mount_tags("/"), ""));
}

static void inside_root_slave(struct rootfs *r)
{
	CHECK(str_has_prefix(mount_tags("/"), "master:"));
}

static void inside_root_unbindable(struct rootfs *r)
{
	CHECK(strstr(mount_tags("/"), "unbindable"));
}

static void test_rootfs_propagation(void **state)
{
	struct box b = { .mounts = PROC,
			 .linux_extra = ",'rootfsPropagation':'private'",
			 .inside = inside_root_private };

	assert_true(box_run(&b));
	b.linux_extra = ",'rootfsPropagation':'rslave'";
	b.inside = inside_root_slave;
	assert_true(box_run(&b));
	b.linux_extra = NULL;
	assert_true(box_run(&b));
	b.linux_extra = ",'rootfsPropagation':'unbindable'";
	b.inside = inside_root_unbindable;
	assert_true(box_run(&b));
	b.linux_extra = ",'rootfsPropagation':'sideways'";
	b.fails = "unknown linux.rootfsPropagation 'sideways'";
	assert_true(box_run(&b));
}

/* ---- Links that attack ---- */

static void host_attack(void)
{
	CHECK(mkdir("/tmp/outside", 0777) == 0 && chmod("/tmp/outside", 0777) == 0);
	CHECK(mkdir("vol", 0755) == 0);
	put_file("vol/file", "vol");
	put_file("file", "single");
	CHECK(symlink("/tmp/outside", "rootfs/abs") == 0);
	CHECK(symlink("../../../../tmp/outside", "rootfs/rel") == 0);
	CHECK(symlink("/", "rootfs/top") == 0);
	CHECK(symlink("/tmp/outside", "rootfs/dev") == 0);
	CHECK(mkdir("rootfs/etc", 0755) == 0);
	CHECK(symlink("../run/systemd/resolv.conf", "rootfs/etc/resolv.conf") == 0);
	CHECK(symlink("/run/lock", "rootfs/lock") == 0);
}

static void inside_attack(struct rootfs *r)
{
	CHECK(file_is("/abs/in/file", "vol"));
	CHECK(file_is("/tmp/outside/in/file", "vol"));
	CHECK(file_is("/tmp/outside/in2/file", "vol"));
	CHECK(file_is("/from-top/file", "vol"));
	CHECK(file_is("/etc/resolv.conf", "single"));
	CHECK(file_is("/run/systemd/resolv.conf", "single"));
	CHECK(file_is("/run/lock/sub/file", "vol"));
	/* /dev is a link: the devices are where it leads, inside. */
	check_device("/tmp/outside/null", 1, 3);
}

static void after_attack(void)
{
	/* The host's own directory of that name is as it was. */
	CHECK(rmdir("/tmp/outside") == 0);
	CHECK(access("/from-top", F_OK) < 0);
}

static void test_links_stay_inside(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/abs/in','source':'vol','options':['bind']}"
		",{'destination':'/rel/in2','source':'vol','options':['bind']}"
		",{'destination':'/top/top/../from-top','source':'vol','options':['bind']}"
		",{'destination':'/etc/resolv.conf','source':'file','options':['bind']}"
		",{'destination':'/lock/sub','source':'vol','options':['bind']}",
		.host = host_attack,
		.inside = inside_attack,
		.after = after_attack,
	};

	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
}

static void host_proc_link(void)
{
	CHECK(mkdir("rootfs/real", 0755) == 0);
	CHECK(symlink("/real", "rootfs/proc") == 0);
	CHECK(symlink("/real", "rootfs/sys") == 0);
}

static void host_link_to_proc(void)
{
	CHECK(symlink("/proc", "rootfs/to-proc") == 0);
	CHECK(symlink("/proc/self/attr", "rootfs/to-attr") == 0);
	CHECK(symlink("/proc/self/root", "rootfs/to-root") == 0);
	CHECK(mkdir("vol", 0755) == 0);
}

static void test_mounts_on_proc(void **state)
{
	refuse(PROC, host_proc_link, "must be mounted on an ordinary directory");
	refuse(SYS, host_proc_link, "must be mounted on an ordinary directory");
	refuse("{'destination':'/proc','type':'tmpfs'}", NULL,
	       "only procfs may be mounted there");
	refuse("{'destination':'/proc','source':'vol','options':['bind']}",
	       host_link_to_proc, "only procfs may be mounted on /proc");
	refuse(PROC ",{'destination':'/proc/self/attr','type':'tmpfs'}", NULL,
	       "mounts below /proc are refused");
	refuse(PROC ",{'destination':'/x/../proc/sys','type':'tmpfs'}", NULL,
	       "mounts below /proc are refused");
	refuse(PROC ",{'destination':'/to-proc','type':'tmpfs'}", host_link_to_proc,
	       "only procfs may be mounted on /proc");
	refuse("{'destination':'/to-proc','type':'tmpfs'}," PROC, host_link_to_proc,
	       "cannot mount 'tmpfs' at '/to-proc'");
	refuse(PROC ",{'destination':'/to-attr','type':'tmpfs'}", host_link_to_proc,
	       "the destination leads into a procfs");
	refuse(PROC ",{'destination':'/to-root/x','type':'tmpfs'}", host_link_to_proc,
	       "cannot mount 'tmpfs' at '/to-root/x'");
}

static void host_uptime(void)
{
	put_file("uptime", "fake");
}

static void inside_uptime(struct rootfs *r)
{
	CHECK(file_is("/proc/uptime", "fake"));
}

static void test_allowed_file_in_proc(void **state)
{
	struct box b = {
		.mounts = PROC
		",{'destination':'/proc/uptime','source':'uptime','options':['bind']}",
		.host = host_uptime,
		.inside = inside_uptime,
	};

	assert_true(box_run(&b));
}

/* ---- Errors name what, where and why ---- */

static void host_vol(void)
{
	CHECK(mkdir("vol", 0755) == 0);
	put_file("file", "x");
	put_file("rootfs/plainfile", "x");
	CHECK(mkdir("rootfs/dir", 0755) == 0);
}

static void test_errors(void **state)
{
	refuse("{'destination':'/t','type':'tmpfs','options':['sizze=1m']}", NULL,
	       "cannot mount 'tmpfs' at '/t': option 'sizze=1m': tmpfs: Unknown parameter 'sizze'");
	refuse("{'destination':'/t','type':'nosuchfs'}", NULL,
	       "cannot mount 'nosuchfs' at '/t': this kernel has no file system 'nosuchfs'");
	refuse("{'destination':'/t','source':'vol','options':['bind','readonli']}",
	       host_vol, "mount at '/t': unknown option 'readonli' of a bind mount");
	refuse("{'destination':'/t','source':'gone','options':['bind']}", host_vol,
	       "cannot mount '/tmp/purple-box/gone' at '/t': the source '/tmp/purple-box/gone' "
	       "does not exist");
	refuse("{'destination':'/plainfile','source':'vol','options':['bind']}", host_vol,
	       "cannot mount '/tmp/purple-box/vol' at '/plainfile'");
	refuse("{'destination':'/dir','source':'file','options':['bind']}", host_vol,
	       "the destination is a directory, the source is not");
	refuse("{'destination':'/','type':'tmpfs'}", NULL,
	       "the destination is the root itself");
	refuse("{'destination':'/a/..','type':'tmpfs'}", NULL,
	       "the destination is the root itself");
	refuse("{'destination':'/dir','options':['remount','ro']}", host_vol,
	       "nothing is mounted there");
	refuse("{'destination':'/dev/pts','type':'devpts','options':['gid=bogus']}", NULL,
	       "cannot mount 'devpts' at '/dev/pts'");
}

static void test_proc_without_own_pid_namespace_explained(void **state)
{
	struct box b = { .mounts = "{'destination':'/sys','type':'sysfs'}",
			 .userns = true,
			 .host_net = true,
			 .fails = "the network namespace is not the container's own" };

	assert_true(box_run(&b));
}

static void inside_host_sys(struct rootfs *r)
{
	CHECK(mount_flags("/sys") & ST_RDONLY);
	CHECK(access("/sys/kernel", F_OK) == 0);
}

static void test_sysfs_of_the_host(void **state)
{
	struct box b = { .mounts = PROC "," SYS,
			 .userns = true,
			 .host_net = true,
			 .inside = inside_host_sys };

	assert_true(box_run(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual_container),
		cmocka_unit_test(test_usual_container_in_user_namespace),
		cmocka_unit_test(test_bundle_that_init_cannot_reach),
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_no_pivot),
		cmocka_unit_test(test_options_that_set),
		cmocka_unit_test(test_options_that_clear),
		cmocka_unit_test(test_recursive_options),
		cmocka_unit_test(test_plain_ro_is_not_recursive_and_bind_takes_one_mount),
		cmocka_unit_test(test_tmpfs_options),
		cmocka_unit_test(test_propagation),
		cmocka_unit_test(test_shared_volume_reaches_the_host_when_both_ask),
		cmocka_unit_test(test_rootfs_propagation),
		cmocka_unit_test(test_links_stay_inside),
		cmocka_unit_test(test_mounts_on_proc),
		cmocka_unit_test(test_allowed_file_in_proc),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_proc_without_own_pid_namespace_explained),
		cmocka_unit_test(test_sysfs_of_the_host),
	};

	if (geteuid() != 0) {
		puts("SKIP: needs root, for namespaces and mounts");
		return 77;
	}
	return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
