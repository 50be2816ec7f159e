/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See probe.h. The child is born in the container's group, enters its network namespace, becomes
 * nobody, and only then sends or reads anything. What it tells is a struct of fixed size.
 */
#include "network/probe.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"

#define NOBODY 65534
#define LOOKUP_MS 4000
#define CONNECT_MS 3000
#define ANSWER_MS 1000 /* of a datagram */
#define ALL_MS 15000
#define NAME_MAX_LENGTH 253
#define DNS_PORT 53

/* --- in the child: the lookup --- */

/* RFC 1035 4.1: one question, recursion desired. Its length; 0: not a name. */
static size_t make_query(const char *name, uint16_t id, uint16_t type,
			 uint8_t ret[NAME_MAX_LENGTH + 20])
{
	const uint8_t head[] = {
		(uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0
	};
	size_t n = sizeof(head);

	if (strlen(name) > NAME_MAX_LENGTH)
		return 0;
	memcpy(ret, head, sizeof(head));
	while (*name) {
		size_t len = strcspn(name, ".");

		if (len == 0 || len > 63)
			return 0;
		ret[n++] = (uint8_t)len;
		memcpy(ret + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	memcpy(ret + n, (const uint8_t[]){ 0, 0, (uint8_t)type, 0, 1 }, 5);
	return n + 5;
}

static void add_address(const uint8_t *data, size_t len, struct network_probe_result *ret)
{
	struct network_address *a;

	if (ret->n >= NETWORK_PROBE_ADDRESSES)
		return;
	a = &ret->tried[ret->n++].address;
	memset(a, 0, sizeof(*a));
	if (len == 4)
		a->bytes[10] = a->bytes[11] = 0xff;
	memcpy(a->bytes + sizeof(a->bytes) - len, data, len);
}

/* The addresses of an answer; false: it is not the one to the question. */
static bool read_answer(const uint8_t *data, size_t len, uint16_t id, uint16_t type,
			struct network_probe_result *ret)
{
	ns_msg m;
	ns_rr rr;

	if (ns_initparse(data, (int)len, &m) < 0 || ns_msg_id(m) != id)
		return false;
	ret->rcode = (int)ns_msg_getflag(m, ns_f_rcode);
	for (int i = 0; i < ns_msg_count(m, ns_s_an); i++) {
		if (ns_parserr(&m, ns_s_an, i, &rr) < 0)
			break;
		if (ns_rr_type(rr) == type && ns_rr_rdlen(rr) == (type == ns_t_a ? 4 : 16))
			add_address(ns_rr_rdata(rr), ns_rr_rdlen(rr), ret);
	}
	return true;
}

/* 0 or a positive errno. Whomever it asks on this port, the forwarder hears it. */
static int ask(const char *name, uint16_t type, struct network_probe_result *ret)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(DNS_PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t query[NAME_MAX_LENGTH + 20], answer[4096];
	uint16_t id = (uint16_t)(getpid() + type);
	size_t len = make_query(name, id, type, query);
	int64_t until = clock_ms(CLOCK_MONOTONIC) + LOOKUP_MS;

	if (len == 0)
		return EINVAL;
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(fd, query, len, 0) < 0)
		return errno;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_ms(CLOCK_MONOTONIC);
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return ETIMEDOUT;
		n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno;
		if (n > 0 && read_answer(answer, (size_t)n, id, type, ret))
			return 0;
	}
}

static int look_up(const char *name, struct network_probe_result *ret)
{
	int r = ask(name, ns_t_a, ret);

	return r == 0 ? ask(name, ns_t_aaaa, ret) : r;
}

/* --- in the child: connections --- */

static int start_one(const struct network_address *a, uint32_t port, bool udp)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)a);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons((uint16_t)port) };
	int fd = socket(v4 ? AF_INET : AF_INET6,
			(udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	memcpy(&in.sin_addr, a->bytes + 12, 4);
	memcpy(&in6.sin6_addr, a, 16);
	r = connect(fd, v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
		    v4 ? sizeof(in) : sizeof(in6));
	if (r == 0 && udp)
		r = send(fd, "", 1, MSG_NOSIGNAL) < 0 ? -1 : 0;
	if (r < 0 && errno != EINPROGRESS) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void connect_all(uint32_t port, struct network_probe_result *ret)
{
	struct pollfd fds[NETWORK_PROBE_ADDRESSES];
	bool udp = port >= NETWORK_UDP;
	int64_t until = clock_ms(CLOCK_MONOTONIC) + (udp ? ANSWER_MS : CONNECT_MS);
	unsigned int waiting = 0;

	for (unsigned int i = 0; i < ret->n; i++) {
		int fd = start_one(&ret->tried[i].address, port & 0xffff, udp);

		fds[i] = (struct pollfd){ fd, udp ? POLLIN : POLLOUT, 0 };
		ret->tried[i].error = fd < 0 ? -fd : ETIMEDOUT;
		waiting += fd >= 0;
	}
	while (waiting) {
		int64_t left = until - clock_ms(CLOCK_MONOTONIC);

		if (left <= 0 || (poll(fds, ret->n, (int)left) < 0 && errno != EINTR))
			break;
		for (unsigned int i = 0; i < ret->n; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			ret->tried[i].error = error_of(fds[i].fd);
			fds[i].fd = -1;
			waiting--;
		}
	}
}

/* Of the caller it keeps the way back alone. A change of user forgets the signal. */
static int enter(const struct network_probe *p, int to)
{
	struct err e;

	if (prctl(PR_SET_NAME, NETWORK_PROBE_NAME) < 0 || setns(p->netns, CLONE_NEWNET) < 0)
		return errno;
	if (fd_close_all_but(0, &to, 1, &e) < 0)
		return e.code;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return errno;
	return 0;
}

/* What the child tells: an errno of getting there, then the rest. */
struct word {
	int error;
	struct network_probe_result result;
};

static void __attribute__((noreturn)) child(const struct network_probe *p, int to)
{
	struct word w = { .error = enter(p, to) };

	if (w.error == 0 && p->name)
		w.result.lookup = look_up(p->name, &w.result);
	if (w.error == 0 && !p->name) {
		w.result.n = 1;
		w.result.tried[0].address = p->address;
	}
	if (w.error == 0)
		connect_all(p->port, &w.result);
	_exit(write(to, &w, sizeof(w)) == sizeof(w) ? 0 : 1);
}

/* --- in the caller --- */

static int hear(int from, struct word *ret, struct err *e)
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ALL_MS) == 0)
		return err_set(e, ERR_KERNEL, ETIMEDOUT,
			       "the process in the container's group says nothing (is it frozen?)");
	n = read(from, ret, sizeof(*ret));
	if (n < 0)
		return err_sys(e, "cannot hear from the process in the container's group");
	if (n != sizeof(*ret) || ret->result.n > NETWORK_PROBE_ADDRESSES)
		return err_set(e, ERR_KERNEL, EPIPE,
			       "the process in the container's group has died");
	if (ret->error)
		return err_errno(e, ret->error, "cannot enter the container's network");
	return 0;
}

int network_probe_run(const struct network_probe *p, struct network_probe_result *ret,
		      struct err *e)
{
	struct clone_args args;
	_close_ int ours = -1, theirs = -1;
	struct word w;
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	ours = fds[0];
	theirs = fds[1];
	memset(&args, 0, sizeof(args));
	args.flags = CLONE_INTO_CGROUP;
	args.exit_signal = SIGCHLD;
	args.cgroup = (uint64_t)p->cgroup;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return err_sys(e, "cannot start a process in the container's group");
	if (pid == 0)
		child(p, theirs);
	fd_close(&theirs);
	r = hear(ours, &w, e);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		*ret = w.result;
	return r;
}
