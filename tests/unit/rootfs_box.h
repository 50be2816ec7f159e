/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of linux/rootfs: a "host" (a child in a private mount namespace whose mounts are
 * shared, with a tmpfs for everything it makes) and a container in it (a clone with new
 * namespaces). Needs root. Nothing of it is visible outside, and it goes with the child.
 */
#ifndef PURPLE_TESTS_ROOTFS_BOX_H
#define PURPLE_TESTS_ROOTFS_BOX_H

#include <stdbool.h>

#include "linux/rootfs.h"
#include "linux/rootfs_files.h"

/* In the children: a failed check says where, and ends the child with an error. */
#define CHECK(cond)                                          \
	do {                                                 \
		if (!(cond))                                 \
			box_fail(__FILE__, __LINE__, #cond); \
	} while (0)

_Noreturn void box_fail(const char *file, int line, const char *what);

struct box {
	const char *mounts;	 /* JSON of the list's inside, with ' for " */
	const char *linux_extra; /* further members of linux, each with a comma before it */
	bool readonly;
	bool terminal;
	bool userns; /* ids 0 to 65535 of the container are 100000 and up */
	bool user; /* the "runtime" is uid 1000 without privileges; implies a user namespace */
	bool no_pivot;
	bool host_net;	    /* no network namespace */
	bool late_path;	    /* the bundle's directory has mode 0700 */
	void (*host)(void); /* in the host, before rootfs_prepare(); cwd is the bundle */
	struct rootfs_files *files; /* its tree_fd is of the bundle's directory "own" */
	void (*inside)(struct rootfs *r); /* in the container, after rootfs_enter() */
	void (*after)(void); /* in the host, while the container still waits */
	const struct rootfs_cgroup_view *cg;
	const char *fails; /* the error that is expected, in part */
};

/* Runs one box; false when a check failed in it. */
bool box_run(const struct box *b);

/* Helpers for the callbacks. */
void put_file(const char *path, const char *text);
bool file_is(const char *path, const char *text);
unsigned long mount_flags(const char *path);
/* The optional fields of /proc/self/mountinfo for a mount point, "shared:1 master:2"; NULL when
 * nothing is mounted there. A static buffer. */
const char *mount_tags(const char *point);

/* Mounts and paths that many containers have. */
#define PROC "{'destination':'/proc','type':'proc','source':'proc'}"
#define DEV                                                      \
	"{'destination':'/dev','type':'tmpfs','source':'tmpfs'," \
	"'options':['nosuid','strictatime','mode=755','size=65536k']}"
#define PTS                                                            \
	"{'destination':'/dev/pts','type':'devpts','source':'devpts'," \
	"'options':['nosuid','noexec','newinstance','ptmxmode=0666','mode=0620','gid=5']}"
#define SHM                                                        \
	"{'destination':'/dev/shm','type':'tmpfs','source':'shm'," \
	"'options':['nosuid','noexec','nodev','mode=1777','size=65536k']}"
#define MQUEUE                                                            \
	"{'destination':'/dev/mqueue','type':'mqueue','source':'mqueue'," \
	"'options':['nosuid','noexec','nodev']}"
#define SYS                                                      \
	"{'destination':'/sys','type':'sysfs','source':'sysfs'," \
	"'options':['nosuid','noexec','nodev','ro']}"
#define USUAL PROC "," DEV "," PTS "," SHM "," MQUEUE "," SYS
#define MASKS                                                                              \
	",'maskedPaths':['/proc/kcore','/proc/keys','/sys/firmware','/hidden','/nowhere'," \
	"'/etc/shadow'],'readonlyPaths':['/proc/sys','/proc/sysrq-trigger','/frozen','/gone']"

/* Checks for `inside` and `after`; refuse(): a box that has to fail. */
void check_device(const char *path, unsigned int major, unsigned int minor);
void check_link(const char *path, const char *target);
void refuse(const char *mounts, void (*prepare)(void), const char *fails);

#endif
