/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of src/network with the real kernel. They need root. Each test has a group of cgroup2
 * of its own ("the container") below one with a process in it; all of it happens in a mount
 * namespace with its own bpffs, and in two network namespaces joined by a veth pair: the
 * container's, where the test runs, and the outside. A socket belongs to the group and namespace
 * of its maker for good, so that one process may hold both ends.
 */
#ifndef PURPLE_TESTS_UNIT_NETWORK_HOST_H
#define PURPLE_TESTS_UNIT_NETWORK_HOST_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "network/filter.h"
#include "network/load.h"

/* Addresses of the outside: of the link, and further ones. */
#define OUT4 "10.9.0.1"
#define OTHER4 "10.9.1.1"
#define OUT6 "fd09::1"
#define OTHER6 "fd09:1::1"
#define IN4 "10.9.0.2"
#define IN6 "fd09::2"
#define WAIT_MS 10000

static struct {
	bool is_root;
	char top[200]; /* group with the holder */
	char dir[220]; /* group of the container */
	int cgroup;
	pid_t holder;	     /* in `top`, and in the outside's namespace */
	int inside, outside; /* network namespaces */
	struct network_filter filter;
	struct network_tables tables;
} env = { .cgroup = -1, .inside = -1, .outside = -1, .filter = NETWORK_FILTER_EMPTY };

#define assert_ok(call)                                   \
	do {                                              \
		if ((call) < 0)                           \
			fail_msg("%s: %s", #call, e.msg); \
	} while (0)

#define needs_root()                                          \
	do {                                                  \
		if (!env.is_root) {                           \
			print_message("skipped: not root\n"); \
			skip();                               \
		}                                             \
	} while (0)

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
/* `fd` is what came of making such a socket. */
#define needs_mptcp(fd)                                                 \
	do {                                                            \
		if ((fd) == -EPROTONOSUPPORT || (fd) == -ENOPROTOOPT) { \
			print_message("skipped: needs MPTCP\n");        \
			skip();                                         \
		}                                                       \
	} while (0)

static inline void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void shell(const char *fmt, ...)
{
	char command[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		abort();
	}
	close(fd);
}

static inline const char *cgroup2_mount(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup/unified", &fs) == 0 &&
	    (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
		return "/sys/fs/cgroup/unified";
	return "/sys/fs/cgroup";
}

/* In the parent group, so that the container's is not taken for one that is left over. */
static inline pid_t start_holder(int ready)
{
	pid_t pid = fork();
	char procs[250];

	if (pid != 0)
		return pid;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", env.top);
	write_file(procs, "0");
	if (unshare(CLONE_NEWNET) < 0 || write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static inline void make_network(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)env.holder);
	env.outside = open(path, O_RDONLY | O_CLOEXEC);
	env.inside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	shell("ip link set lo up && ip link add eth0 type veth peer name host0 netns %d && "
	      "ip addr add " IN4 "/24 dev eth0 && ip addr add " IN6 "/64 dev eth0 nodad && "
	      "ip link set eth0 up",
	      (int)env.holder);
	shell("nsenter -t %d -n sh -ec 'ip link set lo up; ip addr add " OUT4 "/24 dev host0; "
	      "ip addr add " OUT6 "/64 dev host0 nodad; ip addr add " OTHER4 "/32 dev lo; "
	      "ip addr add " OTHER6 "/128 dev lo nodad; ip link set host0 up'",
	      (int)env.holder);
	shell("ip route add default via " OUT4 " && ip -6 route add default via " OUT6);
}

static inline int set_up_host(void **state)
{
	int ready[2];
	struct err e;
	char byte;

	env.is_root = geteuid() == 0;
	if (!env.is_root)
		return 0;
	snprintf(env.top, sizeof(env.top), "%s/purple-test-%d", cgroup2_mount(),
		 (int)getpid());
	if (mkdir(env.top, 0755) < 0 || pipe(ready) < 0)
		return -1;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", NETWORK_BPFFS, "bpf", 0, NULL) < 0)
		return -1;
	env.holder = start_holder(ready[1]);
	if (env.holder < 0 || read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	close(ready[1]);
	make_network();
	if (network_load(&e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	return 0;
}

static inline int tear_down_host(void **state)
{
	if (!env.is_root)
		return 0;
	kill(env.holder, SIGKILL);
	waitpid(env.holder, NULL, 0);
	close(env.inside);
	close(env.outside);
	/* The last process of a group is a moment in going. */
	for (int i = 0; i < 500 && rmdir(env.top) < 0 && errno == EBUSY; i++)
		usleep(10000);
	return access(env.top, F_OK) == 0 ? -1 : 0;
}

static inline int make_container(void **state)
{
	if (!env.is_root)
		return 0;
	snprintf(env.dir, sizeof(env.dir), "%s/t", env.top);
	env.tables = (struct network_tables){};
	env.tables.config = (struct network_config){ .flags = NETWORK_OWN_LOOPBACK,
						     .fallback = NETWORK_DENY,
						     .fallback_rule = NETWORK_RULE_NONE };
	if (mkdir(env.dir, 0755) < 0)
		return -1;
	env.cgroup = open(env.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return env.cgroup < 0 ? -1 : 0;
}

static inline void clear_tables(struct network_tables *t)
{
	for (size_t i = 0; i < t->names.n; i++)
		free(t->names.v[i].ranges.v);
	free(t->names.v);
	free(t->v4.v);
	free(t->v6.v);
	free(t->ranges.v);
	free(t->rules.v);
	*t = (struct network_tables){};
}

static inline int remove_container(void **state)
{
	struct err e;
	int r = 0;

	if (!env.is_root)
		return 0;
	network_filter_clear(&env.filter);
	if (network_filter_detach("test.1", &e) < 0 || network_load(&e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		r = -1;
	}
	clear_tables(&env.tables);
	fd_close(&env.cgroup);
	for (int i = 0; i < 500 && rmdir(env.dir) < 0 && errno == EBUSY; i++)
		usleep(10000);
	return access(env.dir, F_OK) == 0 ? -1 : r;
}

/* --- rules --- */

static inline void parse_address(const char *text, uint8_t ret[16], bool *ret_v4)
{
	*ret_v4 = !strchr(text, ':');
	memset(ret, 0, 16);
	assert_int_equal(inet_pton(*ret_v4 ? AF_INET : AF_INET6, text, ret), 1);
}

static inline struct network_entry *add_prefix(struct network_tables *t,
					       const char *address, unsigned int prefix_len)
{
	struct network_table_entry *entry;
	uint8_t bytes[16];
	bool v4;

	parse_address(address, bytes, &v4);
	entry = v4 ? list_add(&t->v4) : list_add(&t->v6);
	assert_non_null(entry);
	memcpy(entry->address, bytes, 16);
	entry->prefix_len = (uint8_t)prefix_len;
	entry->entry.first.lo = 1;
	return &entry->entry;
}

/* One range of ports of a prefix. */
static inline void add_rule(struct network_tables *t, const char *address,
			    unsigned int prefix_len, uint32_t lo, uint32_t hi,
			    enum network_verdict verdict, uint32_t rule)
{
	static const struct network_rule nothing;
	struct network_entry *entry = add_prefix(t, address, prefix_len);

	entry->first = (struct network_range){ lo, hi, rule, verdict };
	while (t->rules.n <= rule && rule < 1000) {
		const struct network_rule **r = list_add(&t->rules);

		assert_non_null(r);
		*r = &nothing;
	}
}

#define TCP(port) (NETWORK_TCP + (port))
#define UDP(port) (NETWORK_UDP + (port))

static inline void attach(uint16_t dns_port)
{
	struct err e;

	assert_ok(network_filter_make(&env.tables, "test.1", &env.filter, &e));
	assert_ok(network_filter_attach(&env.filter, env.cgroup, dns_port, &e));
}

/* --- sockets --- */

static inline socklen_t sockaddr_of(const char *address, uint16_t port,
				    struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

static inline void send_fd(int sock, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = {};
	int value = fd < 0 ? errno : 0;
	struct iovec iov = { &value, sizeof(value) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		m.msg_control = space;
		m.msg_controllen = sizeof(space);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(sock, &m, 0) < 0)
		_exit(1);
}

static inline int receive_fd(int sock)
{
	char space[CMSG_SPACE(sizeof(int))] = {};
	int value = EIO, fd;
	struct iovec iov = { &value, sizeof(value) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	struct cmsghdr *c;

	assert_int_equal(recvmsg(sock, &m, MSG_CMSG_CLOEXEC), sizeof(value));
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return -value;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* Does `work` in a process of the container's group (or of one below it), and says what came out. */
static inline int run_in_group(const char *dir, int (*work)(void *), void *arg)
{
	char procs[300];
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
		write_file(procs, "0");
		_exit(work(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct making {
	int family, type, protocol, sock;
};

static inline int make_and_send(void *arg)
{
	struct making *m = arg;

	send_fd(m->sock, socket(m->family, m->type | SOCK_CLOEXEC, m->protocol));
	return 0;
}

/* A socket of the container: a descriptor or -errno. */
static inline int socket_in(const char *dir, int family, int type, int protocol)
{
	struct making m = { .family = family, .type = type, .protocol = protocol };
	int pair[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	m.sock = pair[1];
	assert_int_equal(run_in_group(dir, make_and_send, &m), 0);
	fd = receive_fd(pair[0]);
	close(pair[0]);
	close(pair[1]);
	return fd;
}

static inline int inside_socket(int family, int type)
{
	int fd = socket_in(env.dir, family, type, 0);

	assert_true(fd >= 0);
	return fd;
}

/* A socket of the outside, bound; TCP ones listen. */
static inline int outside_socket(int type, const char *address, uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of(address, port, &a);
	int fd, on = 1;

	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	fd = socket(a.ss_family, type | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline int outside_socket_unbound(int family, int type)
{
	int fd;

	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	assert_true(fd >= 0);
	return fd;
}

static inline void bind_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of(address, port, &a);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
}

/* 0 or -errno; -EINPROGRESS: nobody answered for so long. */
static inline int connect_for(int fd, const char *address, uint16_t port, int ms)
{
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of(address, port, &a);
	struct timeval wait = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return connect(fd, (struct sockaddr *)&a, len) < 0 ? -errno : 0;
}

static inline int connect_to(int fd, const char *address, uint16_t port)
{
	return connect_for(fd, address, port, WAIT_MS);
}

static inline int send_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of(address, port, &a);

	return sendto(fd, "x", 1, 0, (struct sockaddr *)&a, len) < 0 ? -errno : 0;
}

static inline bool is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Connects a new socket of the container. */
static inline int try_connect(int family, const char *address, uint16_t port)
{
	int fd = inside_socket(family, SOCK_STREAM), r = connect_to(fd, address, port);

	close(fd);
	return r;
}

static inline int try_send(int family, const char *address, uint16_t port)
{
	int fd = inside_socket(family, SOCK_DGRAM), r = send_to(fd, address, port);

	close(fd);
	return r;
}

#endif
