/* SPDX-License-Identifier: Apache-2.0 */
/* The forwarder against this kernel, as root: the map of names, and what its jail leaves. */
#include "config.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "network/dns_config.h"
#include "network/dns_jail.h"
#include "network/dns_learn.h"

static int make_map(unsigned int entries)
{
	int fd;

	if (geteuid() != 0) {
		printf("skipped: needs root\n");
		skip();
	}
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "names", sizeof(struct network_address),
			    sizeof(struct network_name), entries, NULL);
	assert_true(fd >= 0);
	return fd;
}

static struct network_address address(unsigned int i)
{
	struct network_address a = { { [10] = 0xff, [11] = 0xff, 192 } };

	a.bytes[13] = (uint8_t)(i >> 16);
	a.bytes[14] = (uint8_t)(i >> 8);
	a.bytes[15] = (uint8_t)i;
	return a;
}

static int learn(struct dns_map *m, unsigned int i, uint32_t flags, uint64_t life,
		 unsigned int *lost)
{
	struct network_address a = address(i);
	struct network_name_slot s = { 443, 443, i, flags, dns_now() + life };
	struct err e = {};

	return dns_map_learn(m, &a, &s, 1, lost, &e);
}

static bool has(int fd, unsigned int i)
{
	struct network_address a = address(i);
	struct network_name value;

	return bpf_map_lookup_elem(fd, &a, &value) == 0;
}

static void test_map(void **state)
{
	_close_ int fd = make_map(8);
	struct network_address a = address(1);
	struct network_name value;
	struct dns_map *m, *again;
	unsigned int lost = 0;
	struct err e = {};

	assert_int_equal(dns_map_open(fd, &m, &e), 0);
	assert_int_equal(dns_map_probe(fd), 0);
	assert_int_equal(learn(m, 1, 0, 100, &lost), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &a, &value), 0);
	assert_int_equal(value.slots[0].lo, 443);
	assert_int_equal(value.slots[0].rule, 1);
	assert_true(value.slots[1].lo > value.slots[1].hi);
	/* A block, which is never displaced, and others until the map is full. */
	assert_int_equal(learn(m, 2, NETWORK_NAME_BLOCKED, 1, &lost), 0);
	for (unsigned int i = 3; i <= 8; i++)
		assert_int_equal(learn(m, i, 0, 100 + i, &lost), 0);
	assert_int_equal(lost, 0);
	/* One more: that with the least time goes. */
	assert_int_equal(learn(m, 9, 0, 300, &lost), 0);
	assert_int_equal(lost, 1);
	assert_false(has(fd, 1));
	assert_true(has(fd, 2));
	assert_true(has(fd, 9));
	/* Another forwarder finds what is there. */
	assert_int_equal(dns_map_open(fd, &again, &e), 0);
	lost = 0;
	assert_int_equal(learn(again, 10, 0, 300, &lost), 0);
	assert_int_equal(lost, 1);
	assert_false(has(fd, 3));
	dns_map_close(again);
	dns_map_close(m);
}

/* Against a plain list: many come and go, and what is in the map is what should be. */
static void test_map_sweep(void **state)
{
	_close_ int fd = make_map(256);
	unsigned int lost = 0, there = 0;
	struct dns_map *m;
	struct err e = {};

	assert_int_equal(dns_map_open(fd, &m, &e), 0);
	/* Every other one has expired when it comes. */
	for (unsigned int i = 0; i < 256; i++)
		assert_int_equal(learn(m, i * 7919, 0, i % 2 ? 1000 : 0, &lost), 0);
	dns_map_sweep(m);
	for (unsigned int i = 0; i < 256; i++) {
		assert_int_equal(has(fd, i * 7919), i % 2);
		there += has(fd, i * 7919);
	}
	assert_int_equal(there, 128);
	for (unsigned int i = 1000; i < 1128; i++)
		assert_int_equal(learn(m, i * 7919, 0, 1000, &lost), 0);
	assert_int_equal(lost, 0);
	for (unsigned int i = 1; i < 256; i += 2)
		assert_true(has(fd, i * 7919));
	dns_map_close(m);
}

static void test_map_full_of_blocks(void **state)
{
	_close_ int fd = make_map(4);
	unsigned int lost = 0;
	struct dns_map *m;
	struct err e = {};

	assert_int_equal(dns_map_open(fd, &m, &e), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(learn(m, i, NETWORK_NAME_BLOCKED, 1000, &lost), 0);
	assert_true(learn(m, 5, 0, 1000, &lost) < 0);
	dns_map_close(m);
}

static void test_map_of_another_kind(void **state)
{
	_close_ int fd = make_map(4), other = -1;
	struct dns_map *m;
	struct err e = {};

	other = bpf_map_create(BPF_MAP_TYPE_HASH, "other", 16, 8, 4, NULL);
	assert_true(other >= 0);
	assert_true(dns_map_open(other, &m, &e) < 0);
	assert_non_null(strstr(e.msg, "another kind"));
}

/* --- the jail --- */

static int map_fd, server_fd, answering_fd;
static struct sockaddr_in *server; /* the one that it may connect to */
static struct sockaddr_in other = { .sin_family = AF_INET };

static int make_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void allowed_server(void)
{
	int fd = make_socket();

	if (fd < 0 || connect(fd, (struct sockaddr *)server, sizeof(*server)) < 0 ||
	    send(fd, "", 1, 0) != 1)
		_exit(1);
	close(fd);
}

static void allowed_answer(void)
{
	if (sendto(answering_fd, "", 1, 0, (struct sockaddr *)server, sizeof(*server)) != 1)
		_exit(1);
}

static void call_connect(void)
{
	connect(make_socket(), (struct sockaddr *)&other, sizeof(other));
}
static void call_sendto(void)
{
	sendto(make_socket(), "", 1, 0, (struct sockaddr *)&other, sizeof(other));
}
static void call_close(void)
{
	close(answering_fd);
}
static void call_bind(void)
{
	bind(make_socket(), (struct sockaddr *)&other, sizeof(other));
}
#ifndef PURPLE_SANITIZED
static void call_mprotect(void)
{
	syscall(SYS_mprotect, server, 4096, PROT_READ | PROT_WRITE);
}
static void call_munmap(void)
{
	syscall(SYS_munmap, server, 4096);
}
static void refused_mmap(void)
{
	if (syscall(SYS_mmap, server, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -1 ||
	    errno != ENOMEM)
		_exit(1);
}
#endif

static void allowed_map(void)
{
	struct network_address a = address(1);
	struct network_name value = {};

	if (bpf_map_update_elem(map_fd, &a, &value, BPF_ANY) < 0 ||
	    bpf_map_lookup_elem(map_fd, &a, &value) < 0 ||
	    bpf_map_delete_elem(map_fd, &a) < 0)
		_exit(1);
}

static void allowed_socket(void)
{
	if (socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) < 0)
		_exit(1);
}

static void allowed_memory(void)
{
	free(memset(malloc(1 << 22), 1, 1 << 22));
}

#ifndef PURPLE_SANITIZED /* there, reports are written to files */
static void call_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
}
#endif
static void call_fork(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static void call_exec(void)
{
	char *const none[] = { NULL };

	syscall(SYS_execve, "/bin/true", none, none);
}
static void call_map_create(void)
{
	syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, NULL, 0);
}
static void call_prog_load(void)
{
	syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, NULL, 0);
}
static void call_unix(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}
static void call_raw(void)
{
	syscall(SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}
static void call_listen(void)
{
	syscall(SYS_listen, 3, 1);
}
#ifdef PURPLE_SANITIZED
static void call_exec_memory(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
}
#endif
static void call_setns(void)
{
	syscall(SYS_setns, 3, 0);
}
static void call_kill(void)
{
	syscall(SYS_kill, 1, 0);
}
static void call_ptrace(void)
{
	syscall(SYS_ptrace, 0, 1, 0, 0);
}
static void call_getdents(void)
{
	syscall(SYS_getdents64, 3, NULL, 0);
}

/* Jailed, then `call`: how it ended. 0: all is well. */
static int jailed(void (*call)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const void *const servers[] = { server };
		const struct dns_jail j = { .map_fd = map_fd,
					    .servers = servers,
					    .server_count = 1,
					    .answering = &answering_fd,
					    .answering_count = 1,
					    .first_own_fd = server_fd + 1,
					    .control_fd = map_fd };
		struct err e = {};

		if (dns_jail_prepare(&e) < 0 || dns_jail_enter(&j, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			_exit(99);
		}
		call();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A map, a socket that listens on the loopback, and one that answers. */
static void make_jail(void)
{
	socklen_t len = sizeof(*server);

	map_fd = make_map(4);
	server_fd = make_socket();
	answering_fd = make_socket();
	server = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	assert_true(server != MAP_FAILED);
	*server = (struct sockaddr_in){ .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(server_fd, (struct sockaddr *)server, len), 0);
	assert_int_equal(getsockname(server_fd, (struct sockaddr *)server, &len), 0);
	assert_int_equal(mprotect(server, 4096, PROT_READ), 0);
	/* Those that can be closed are above them. */
	if (answering_fd > server_fd) {
		int fd = answering_fd;

		answering_fd = server_fd;
		server_fd = fd;
	}
}

static void free_jail(void)
{
	close(map_fd);
	close(server_fd);
	close(answering_fd);
	munmap(server, 4096);
}

static void test_jail_allows(void **state)
{
	make_jail();
	assert_int_equal(jailed(allowed_server), 0);
	assert_int_equal(jailed(allowed_answer), 0);
#ifndef PURPLE_SANITIZED
	assert_int_equal(jailed(refused_mmap), 0);
#endif
	assert_int_equal(jailed(allowed_map), 0);
	assert_int_equal(jailed(allowed_socket), 0);
	assert_int_equal(jailed(allowed_memory), 0);
	free_jail();
}

static void test_jail_kills(void **state)
{
	static const struct {
		const char *name;
		void (*call)(void);
	} calls[] = {
#ifndef PURPLE_SANITIZED
		{ "open", call_open },
#endif
		{ "fork", call_fork },
		{ "exec", call_exec },
		{ "BPF_MAP_CREATE", call_map_create },
		{ "BPF_PROG_LOAD", call_prog_load },
		{ "socket(AF_UNIX)", call_unix },
		{ "socket(SOCK_RAW)", call_raw },
		{ "listen", call_listen },
#ifdef PURPLE_SANITIZED
		{ "mmap(PROT_EXEC)", call_exec_memory },
#endif
		{ "setns", call_setns },
		{ "kill", call_kill },
		{ "ptrace", call_ptrace },
		{ "getdents64", call_getdents },
		{ "connect to another address", call_connect },
		{ "sendto another address", call_sendto },
		{ "close of a socket that answers", call_close },
		{ "bind", call_bind },
#ifndef PURPLE_SANITIZED
		{ "mprotect", call_mprotect },
		{ "munmap", call_munmap },
#endif
	};

	make_jail();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int status = jailed(calls[i].call);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s is survived: %x", calls[i].name, (unsigned int)status);
	}
	free_jail();
}

/* It cannot be entered without privileges; nothing is let slip then. */
static void test_jail_fails_closed(void **state)
{
	_close_ int fd = make_map(4);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct dns_jail j = { .map_fd = fd };
		struct err e = {};

		if (setresuid(1, 1, 1) < 0)
			_exit(2);
		_exit(dns_jail_enter(&j, &e) < 0 && e.msg[0] ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_map_sweep),
		cmocka_unit_test(test_map_full_of_blocks),
		cmocka_unit_test(test_map_of_another_kind),
		cmocka_unit_test(test_jail_allows),
		cmocka_unit_test(test_jail_kills),
		cmocka_unit_test(test_jail_fails_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
