/* SPDX-License-Identifier: Apache-2.0 */
/* linux/rootfs_files in real namespaces: an image can do nothing with it. Needs root: skipped
 * without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "rootfs_box.h"

#define PLACE "/run/purple"

/* Of the boxes, which are run one after another. */
static struct rootfs_cover covers[8];
static struct rootfs_files files = { .tree_fd = -1, .place = PLACE, .covers = covers };

static int open_own(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "own/%s", name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	return fd;
}

static int bundle_fd, hosts_fd;

static void add(const char *file, const char *place, enum rootfs_cover_when when, int fd)
{
	covers[files.n++] = (struct rootfs_cover){ file, place, when, fd };
}

static void host_plain(void)
{
	CHECK(mkdir("own", 0755) == 0 && mkdir("rootfs/etc", 0755) == 0 &&
	      mkdir("rootfs/etc/ssl", 0755) == 0);
	files.n = 0;
	put_file("own/ca.pem", "CA\n");
	bundle_fd = open_own("bundle.pem");
	hosts_fd = open_own("hosts");
	CHECK(write(hosts_fd, "ours\n", 5) == 5);
	add("bundle.pem", "/etc/ssl/none.pem", ROOTFS_COVER_EXISTING, bundle_fd);
	add("bundle.pem", "/etc/ssl/first.pem", ROOTFS_COVER_EXISTING, bundle_fd);
	add("bundle.pem", "/etc/ssl/second.pem", ROOTFS_COVER_EXISTING, bundle_fd);
	add("hosts", "/etc/hosts", ROOTFS_COVER_ALWAYS, hosts_fd);
	add("ca.pem", "/etc/agent/config", ROOTFS_COVER_ABSENT, -1);
	add("ca.pem", "/etc/agent.own", ROOTFS_COVER_ABSENT, -1);
}

/* --- what it is for --- */

static void host_usual(void)
{
	host_plain();
	/* For the root of a user namespace. */
	CHECK(chmod("rootfs/etc", 0777) == 0);
	put_file("rootfs/etc/ssl/first.pem", "one");
	put_file("rootfs/etc/ssl/second.pem", "two\n");
	put_file("rootfs/etc/hosts", "theirs\n");
	put_file("rootfs/etc/agent.own", "mine");
	/* As the last container has left it. */
	put_file("rootfs/etc/agent.left", "");
	add("ca.pem", "/etc/agent.left", ROOTFS_COVER_ABSENT, -1);
}

static void check_mount_at(const char *path)
{
	unsigned long flags = mount_flags(path);

	CHECK(flags & ST_RDONLY && flags & ST_NOSUID && flags & ST_NODEV &&
	      flags & ST_NOEXEC);
	CHECK(streq(mount_tags(path), ""));
	/* To the root of a user namespace they are somebody else's besides. */
	CHECK(open(path, O_WRONLY | O_CLOEXEC) < 0 && (errno == EROFS || errno == EACCES));
}

static void inside_usual(struct rootfs *r)
{
	/* What is written when the container is there already is seen in it. */
	CHECK(write(bundle_fd, "CA\n", 3) == 3);
	CHECK(file_is(PLACE "/ca.pem", "CA\n"));
	CHECK(file_is(PLACE "/bundle.pem", "one\nCA\n"));
	CHECK(file_is("/etc/ssl/first.pem", "one\nCA\n"));
	CHECK(file_is("/etc/ssl/second.pem", "one\nCA\n"));
	CHECK(file_is("/etc/hosts", "ours\ntheirs\n"));
	CHECK(file_is("/etc/agent/config", "CA\n"));
	CHECK(file_is("/etc/agent.own", "mine"));
	CHECK(file_is("/etc/agent.left", "CA\n"));
	CHECK(access("/etc/ssl/none.pem", F_OK) < 0);
	check_mount_at("/etc/ssl/first.pem");
	check_mount_at("/etc/ssl/second.pem");
	check_mount_at("/etc/hosts");
	CHECK(mount_flags(PLACE) & ST_RDONLY);
	CHECK(open(PLACE "/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 &&
	      (errno == EROFS || errno == EACCES));
}

static void after_usual(void)
{
	/* The image's own files are as they were. */
	CHECK(file_is("rootfs/etc/ssl/first.pem", "one"));
	CHECK(file_is("rootfs/etc/ssl/second.pem", "two\n"));
	CHECK(file_is("rootfs/etc/hosts", "theirs\n"));
	/* Nothing of it is mounted for the host. */
	CHECK(mount_tags("/tmp/purple-box/rootfs" PLACE) == NULL);
}

static void test_files_are_copied_and_covered(void **state)
{
	struct box b = { .mounts = USUAL,
			 .readonly = true,
			 .files = &files,
			 .host = host_usual,
			 .inside = inside_usual,
			 .after = after_usual };

	assert_true(box_run(&b));
	b.userns = true;
	assert_true(box_run(&b));
}

/* --- images with other things there --- */

static void host_links(void)
{
	host_plain();
	put_file("outside", "secret");
	put_file("rootfs/etc/real.pem", "real\n");
	CHECK(symlink("../real.pem", "rootfs/etc/ssl/first.pem") == 0);
	CHECK(symlink("/etc/real.pem", "rootfs/etc/ssl/second.pem") == 0);
	CHECK(symlink("../../../../outside", "rootfs/etc/ssl/none.pem") == 0);
	CHECK(symlink("made-by-link", "rootfs/etc/hosts") == 0);
}

static void inside_links(struct rootfs *r)
{
	CHECK(write(bundle_fd, "CA\n", 3) == 3);
	/* Links are followed inside the root, and both lead to the one file. */
	CHECK(file_is("/etc/real.pem", "real\nCA\n"));
	CHECK(file_is("/etc/ssl/first.pem", "real\nCA\n"));
	CHECK(file_is("/etc/ssl/second.pem", "real\nCA\n"));
	CHECK(access("/etc/ssl/none.pem", F_OK) < 0);
	CHECK(file_is("/etc/made-by-link", "ours\n"));
	CHECK(file_is("/etc/hosts", "ours\n"));
}

static void after_links(void)
{
	CHECK(file_is("outside", "secret"));
}

static void test_links_lead_nowhere_else(void **state)
{
	struct box b = { .mounts = USUAL,
			 .files = &files,
			 .host = host_links,
			 .inside = inside_links,
			 .after = after_links };

	assert_true(box_run(&b));
}

/* A FIFO would make who opens it wait, a device do things. */
static void host_odd(void)
{
	host_plain();
	CHECK(mkfifo("rootfs/etc/ssl/none.pem", 0644) == 0);
	CHECK(mkdir("rootfs/etc/ssl/first.pem", 0755) == 0);
	CHECK(mknod("rootfs/etc/ssl/second.pem", S_IFCHR | 0666, (dev_t)0x105) == 0);
	put_file("rootfs/etc/agent", "a file, where others have a directory");
}

static void inside_odd(struct rootfs *r)
{
	CHECK(file_is(PLACE "/bundle.pem", ""));
	CHECK(mount_tags("/etc/ssl/first.pem") == NULL &&
	      mount_tags("/etc/ssl/none.pem") == NULL);
	CHECK(file_is("/etc/hosts", "ours\n"));
	CHECK(file_is("/etc/agent", "a file, where others have a directory"));
}

static void test_what_is_no_file_is_left_alone(void **state)
{
	struct box b = {
		.mounts = USUAL, .files = &files, .host = host_odd, .inside = inside_odd
	};

	assert_true(box_run(&b));
}

/* Links to what init could read and the container's users cannot, or not so much of. */
static void host_secrets(void)
{
	host_plain();
	put_file("rootfs/etc/secret", "root's own");
	CHECK(chmod("rootfs/etc/secret", 0600) == 0);
	CHECK(mkdir("rootfs/etc/hidden", 0700) == 0);
	put_file("rootfs/etc/hidden/file", "root's own");
	CHECK(symlink("/etc/secret", "rootfs/etc/ssl/none.pem") == 0);
	CHECK(symlink("/etc/hidden/file", "rootfs/etc/ssl/third.pem") == 0);
	add("bundle.pem", "/etc/ssl/third.pem", ROOTFS_COVER_EXISTING, bundle_fd);
	CHECK(symlink("/proc/kallsyms", "rootfs/etc/ssl/first.pem") == 0);
	CHECK(symlink("/proc/sys/kernel/ostype", "rootfs/etc/ssl/second.pem") == 0);
	CHECK(symlink("/proc/version", "rootfs/etc/agent.own") == 0);
	put_file("rootfs/etc/hosts", "root's own");
	CHECK(chmod("rootfs/etc/hosts", 0600) == 0);
}

static void inside_secrets(struct rootfs *r)
{
	CHECK(file_is(PLACE "/bundle.pem", ""));
	CHECK(file_is("/etc/ssl/none.pem", "root's own"));
	CHECK(file_is("/etc/ssl/third.pem", "root's own"));
	CHECK(file_is("/proc/sys/kernel/ostype", "Linux\n"));
	CHECK(mount_tags("/proc/kallsyms") == NULL && mount_tags("/proc/version") == NULL);
	CHECK(file_is("/etc/hosts", "ours\n"));
}

static void test_nothing_is_made_public(void **state)
{
	struct box b = { .mounts = USUAL,
			 .files = &files,
			 .host = host_secrets,
			 .inside = inside_secrets };

	assert_true(box_run(&b));
}

static void host_hosts_of_kernel(void)
{
	host_plain();
	CHECK(symlink("/proc/sys/kernel/hostname", "rootfs/etc/hosts") == 0);
}

static void host_place_of_kernel(void)
{
	host_plain();
	CHECK(mkdir("rootfs/run", 0755) == 0 &&
	      symlink("/proc/sys", "rootfs/run/purple") == 0);
}

static void test_nothing_is_mounted_over_the_kernels(void **state)
{
	struct box b = { .mounts = USUAL,
			 .files = &files,
			 .host = host_hosts_of_kernel,
			 .fails = "'/etc/hosts' in the root file system is no regular file" };

	assert_true(box_run(&b));
	b.host = host_place_of_kernel;
	b.fails = "leads to one of the kernel's";
	assert_true(box_run(&b));
}

static void host_directory(void)
{
	host_plain();
	CHECK(mkdir("rootfs/etc/hosts", 0755) == 0);
}

static void test_a_place_that_must_be_a_file(void **state)
{
	struct box b = { .mounts = USUAL,
			 .files = &files,
			 .host = host_directory,
			 .fails = "'/etc/hosts' in the root file system is no regular file" };

	assert_true(box_run(&b));
}

static void host_long(void)
{
	_close_ int fd = -1;

	host_plain();
	fd = open("rootfs/etc/ssl/first.pem", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)ROOTFS_COPY_MAX + 1) == 0);
}

static void test_what_is_copied_is_bounded(void **state)
{
	struct box b = { .mounts = USUAL,
			 .files = &files,
			 .host = host_long,
			 .fails = "is longer than 16 MiB" };

	assert_true(box_run(&b));
}

static int needs_root(void **state)
{
	if (geteuid() != 0)
		skip();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_files_are_copied_and_covered, needs_root),
		cmocka_unit_test_setup(test_links_lead_nowhere_else, needs_root),
		cmocka_unit_test_setup(test_what_is_no_file_is_left_alone, needs_root),
		cmocka_unit_test_setup(test_nothing_is_made_public, needs_root),
		cmocka_unit_test_setup(test_nothing_is_mounted_over_the_kernels, needs_root),
		cmocka_unit_test_setup(test_a_place_that_must_be_a_file, needs_root),
		cmocka_unit_test_setup(test_what_is_copied_is_bounded, needs_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
