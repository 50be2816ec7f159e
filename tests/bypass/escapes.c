// SPDX-License-Identifier: Apache-2.0
/*
 * Ways out of what the rules are tied to: the network namespace, the control group, the programs of
 * the kernel; and sockets that were made elsewhere. See bypass.c. The bundle has, from the host:
 *
 *   /foreign.net   another network namespace         /groups   the tree of cgroup2, writable
 *   /pins          bpffs, writable                   /sockets  a socket that gives a descriptor away
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

static int send_denied(void)
{
	int fd = new_socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? fd : send_mark_to(fd, address_of(DENIED4, attempt_port));
}

/* n: flags */
static int try_unshare(const struct attempt *a)
{
	return result(unshare(a->n));
}

/* clone() and clone3() make namespaces as well. */
static int try_clone(const struct attempt *a)
{
	long pid = syscall(SYS_clone, (unsigned long)(a->n | SIGCHLD), 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int try_clone3(const struct attempt *a)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack,
			stack_size, tls;
	} args = { .flags = (uint64_t)a->n, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int try_setns(const struct attempt *a)
{
	int fd = open(a->text, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = result(setns(fd, CLONE_NEWNET));
	return r ? r : send_denied();
}

static int join(const char *dir)
{
	char path[300], pid[16];
	int fd, r;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(pid, sizeof(pid), "%d", getpid());
	r = result(write(fd, pid, strlen(pid)));
	close(fd);
	return r;
}

static int try_join(const struct attempt *a)
{
	int r = join(a->text);

	return r ? r : send_denied();
}

/* From below, where the namespace of groups begins at the container's own. */
static int try_mount_groups(const struct attempt *a)
{
	int r;

	(void)a;
	mkdir("/tmp/groups", 0700);
	r = result(mount("none", "/tmp/groups", "cgroup2", 0, NULL));
	if (r == 0)
		r = join("/tmp/groups");
	return r ? r : send_denied();
}

/* n: command */
static int try_bpf(const struct attempt *a)
{
	union bpf_attr attr;
	long r;

	memset(&attr, 0, sizeof(attr));
	if (a->n == BPF_MAP_CREATE) {
		attr.map_type = BPF_MAP_TYPE_ARRAY;
		attr.key_size = 4;
		attr.value_size = 4;
		attr.max_entries = 1;
	}
	r = syscall(SYS_bpf, a->n, &attr, sizeof(attr));
	/* There may be none. */
	return r < 0 && errno == ENOENT ? 0 : result(r);
}

static int try_mount_bpffs(const struct attempt *a)
{
	(void)a;
	mkdir("/tmp/pins", 0700);
	return result(mount("none", "/tmp/pins", "bpf", 0, NULL));
}

static int try_tun(const struct attempt *a)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd;

	(void)a;
	mknod("/tmp/tun", S_IFCHR | 0600, makedev(10, 200));
	fd = open("/tmp/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return result(ioctl(fd, TUNSETIFF, &ifr));
}

/* text: the kind of a device, which is made */
static int try_device(const struct attempt *a)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg link;
		char attributes[128];
	} q = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
		       .nlmsg_type = RTM_NEWLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
				      NLM_F_EXCL } };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[256];
	} answer;
	struct rtattr *info = (void *)((char *)&q + q.h.nlmsg_len),
		      *kind = (void *)(info + 1);
	int fd = new_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd < 0)
		return fd;
	kind->rta_type = IFLA_INFO_KIND;
	kind->rta_len = (unsigned short)(sizeof(*kind) + strlen(a->text) + 1);
	memcpy(kind + 1, a->text, strlen(a->text) + 1);
	info->rta_type = IFLA_LINKINFO;
	info->rta_len = (unsigned short)(sizeof(*info) + RTA_ALIGN(kind->rta_len));
	q.h.nlmsg_len += info->rta_len;
	if (send(fd, &q, q.h.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		return -errno;
	return answer.h.nlmsg_type == NLMSG_ERROR ? answer.e.error : -EPROTO;
}

/* The links that tie the filter to the group stand in bpffs. n: how deep it goes */
static void remove_below(const char *dir, int depth)
{
	DIR *d = depth ? opendir(dir) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >=
		    (int)sizeof(path))
			continue;
		if (unlink(path) < 0)
			remove_below(path, depth - 1);
	}
	if (d)
		closedir(d);
}

static int try_unpin(const struct attempt *a)
{
	remove_below(a->text, a->n);
	return send_denied();
}

static const struct attempt escapes[] = {
	{ "user-namespace", try_unshare, CALL, .n = CLONE_NEWUSER },
	{ "network-namespace", try_unshare, CALL, .n = CLONE_NEWUSER | CLONE_NEWNET },
	{ "clone-network-namespace", try_clone, CALL, .n = CLONE_NEWUSER | CLONE_NEWNET },
	{ "clone3-network-namespace", try_clone3, CALL, .n = CLONE_NEWUSER | CLONE_NEWNET },
	{ "setns", try_setns, .text = "/foreign.net" },
	{ "other-group", try_join, .text = "/groups" },
	{ "mounted-groups", try_mount_groups, .text = NULL },
	{ "bpf-map", try_bpf, CALL, .n = BPF_MAP_CREATE },
	{ "bpf-programs", try_bpf, CALL, .n = BPF_PROG_GET_NEXT_ID },
	{ "bpf-links", try_bpf, CALL, .n = BPF_LINK_GET_NEXT_ID },
	{ "bpffs", try_mount_bpffs, CALL, .n = 0 },
	{ "unpin", try_unpin, .text = "/pins", .n = 6 },
	{ "tun", try_tun, CALL, .n = 0 },
	{ "device-bridge", try_device, CALL, .text = "bridge" },
	{ "device-veth", try_device, CALL, .text = "veth" },
	{ "device-ipip", try_device, CALL, true, "ipip", 0, 0 },
	{ "device-gre", try_device, CALL, true, "gretap", 0, 0 },
	{ "device-wireguard", try_device, CALL, true, "wireguard", 0, 0 },
};
const struct group escapes_group = { "escapes", escapes, ARRAY_SIZE(escapes) };

/* --- sockets that were made elsewhere --- */

/* Any descriptor that came with the program. */
static int try_inherited(const struct attempt *a)
{
	int r = -EBADF;

	(void)a;
	for (int fd = 3; fd < 64; fd++) {
		int type;
		socklen_t len = sizeof(type);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		    type != SOCK_DGRAM)
			continue;
		r = send_mark_to(fd, address_of(DENIED4, attempt_port));
		if (r == 0)
			return 0;
	}
	return r;
}

/* One that somebody outside gives. text: where he listens */
static int try_passed(const struct attempt *a)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	union {
		char data[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.data,
			    .msg_controllen = sizeof(control.data) };
	int fd = new_socket(AF_UNIX, SOCK_STREAM, 0), passed;

	if (fd < 0)
		return fd;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", a->text);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	if (!CMSG_FIRSTHDR(&m) || CMSG_FIRSTHDR(&m)->cmsg_type != SCM_RIGHTS)
		return -EBADF;
	memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(passed));
	return send_mark_to(passed, address_of(DENIED4, attempt_port));
}

static const struct attempt inherited[] = {
	{ "descriptor", try_inherited, .text = NULL },
};
const struct group inherited_group = { "inherited", inherited, ARRAY_SIZE(inherited) };

static const struct attempt passed[] = {
	/* Below the container's root, or the test's folder outside of it. */
	{ "socket", try_passed, .text = "sockets/give" },
};
const struct group passed_group = { "passed", passed, ARRAY_SIZE(passed) };
