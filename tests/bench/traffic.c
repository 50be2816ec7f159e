/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for tests/bench/network: `traffic serve PORT` takes TCP connections, also on port 443, reads
 * them empty, and lets datagrams pile up; `traffic ask ADDRESS PORT` reads one command a line from stdin and
 * answers each with one number:
 *
 *	udp N		median nanoseconds of a sendto(), of N
 *	connect N	median nanoseconds of a TCP connect(), of N
 *	stream MS	bits per second of one TCP connection, sent for so long
 *	lookup NAME	how many answers DNS has for it
 *	hello NAME	median nanoseconds to send the first bytes of TLS, on port 443
 *
 * The caller puts it into the network namespace and the group that are to be measured. A sample of
 * datagrams is a few at a time, of connect() a single one; what else the machine does is in few of
 * them, so in no median. It stays on the last processor, as the kernel's part of a connection does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 65536
#define DATAGRAMS 16 /* in one sample */
#define CHUNK (128 << 10)
#define BACKLOG 4096
#define ANY_RESOLVER 0x08080808u
#define ANSWER_MS 10000
#define HELLO_SIZE 517
#define HELLOS 100

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t samples[SAMPLES_MAX];

static int64_t median(size_t n)
{
	qsort(samples, n, sizeof(*samples), by_size);
	return samples[n / 2];
}

static size_t count(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n == 0 || n > SAMPLES_MAX) {
		errno = EINVAL;
		fail(text);
	}
	return n;
}

/* One socket for all: what a program that sends much has. */
static int64_t send_datagrams(const struct sockaddr_in *to, size_t n)
{
	static const char text[64];
	static int fd = -1;

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	for (size_t i = 0; i < n; i++) {
		int64_t start = now_ns();

		for (int k = 0; k < DATAGRAMS; k++)
			if (sendto(fd, text, sizeof(text), 0, (const struct sockaddr *)to,
				   sizeof(*to)) < 0)
				fail("sendto");
		samples[i] = (now_ns() - start) / DATAGRAMS;
	}
	return median(n);
}

static int connected(const struct sockaddr_in *to, int64_t *ret_ns)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t start;

	if (fd < 0)
		fail("socket");
	start = now_ns();
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		fail("connect");
	*ret_ns = now_ns() - start;
	return fd;
}

/* Closed by a reset: no port is kept waiting. */
static int64_t make_connections(const struct sockaddr_in *to, size_t n)
{
	const struct linger reset = { .l_onoff = 1 };

	for (size_t i = 0; i < n; i++) {
		int fd = connected(to, &samples[i]);

		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	return median(n);
}

static int64_t send_stream(const struct sockaddr_in *to, size_t ms)
{
	static const char chunk[CHUNK];
	int64_t start, end, ignored, sent = 0;
	int fd = connected(to, &ignored);

	start = now_ns();
	do {
		ssize_t n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

		if (n < 0)
			fail("send");
		sent += n;
		end = now_ns();
	} while (end - start < (int64_t)ms * 1000000);
	close(fd);
	return sent * 8 * 1000 / ((end - start) / 1000000);
}

static size_t put16(uint8_t *to, size_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
	return 2;
}

/* A question for A (RFC 1035 4.1), of any server: under a policy with names there is but one. */
static int64_t look_up(const char *name)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(ANY_RESOLVER) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t m[512] = { 0x12, 0x34, 1, 0, 0, 1 };
	size_t n = 12;

	for (const char *label = name; *label;) {
		size_t len = strcspn(label, ".");

		m[n++] = (uint8_t)len;
		memcpy(m + n, label, len);
		n += len;
		label += len + (label[len] == '.');
	}
	n += 1;
	n += put16(m + n, 1);
	n += put16(m + n, 1);
	if (fd < 0 || sendto(fd, m, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("cannot ask for a name");
	if (poll(&p, 1, ANSWER_MS) != 1 || recv(fd, m, sizeof(m), 0) < 12)
		fail("no answer for a name");
	close(fd);
	return m[6] << 8 | m[7];
}

/* A ClientHello as a browser's is long (RFC 8446 4.1.2), with one name; its length. */
static size_t make_hello(const char *name, uint8_t hello[HELLO_SIZE])
{
	size_t len = strlen(name), n = 9, extensions;

	memset(hello, 0, HELLO_SIZE);
	memcpy(hello, (const uint8_t[]){ 22, 3, 1 }, 3);
	put16(hello + 3, HELLO_SIZE - 5);
	hello[5] = 1;
	put16(hello + 7, HELLO_SIZE - 9);
	n += put16(hello + n, 0x0303) + 32;
	hello[n++] = 0;
	n += put16(hello + n, 2);
	n += put16(hello + n, 0x1301);
	hello[n++] = 1;
	hello[n++] = 0;
	extensions = n;
	n += 2;
	n += put16(hello + n, 0);
	n += put16(hello + n, len + 5);
	n += put16(hello + n, len + 3);
	hello[n++] = 0;
	n += put16(hello + n, len);
	memcpy(hello + n, name, len);
	n += len;
	/* Padding (RFC 7685). */
	n += put16(hello + n, 21);
	put16(hello + n, HELLO_SIZE - n - 2);
	put16(hello + extensions, HELLO_SIZE - extensions - 2);
	return HELLO_SIZE;
}

static int64_t send_hellos(const struct sockaddr_in *to, const char *name)
{
	const struct linger reset = { .l_onoff = 1 };
	struct sockaddr_in https = *to;
	uint8_t hello[HELLO_SIZE];
	size_t len = make_hello(name, hello);

	https.sin_port = htons(443);
	for (size_t i = 0; i < HELLOS; i++) {
		int64_t ignored, start;
		int fd = connected(&https, &ignored);

		start = now_ns();
		if (send(fd, hello, len, MSG_NOSIGNAL) != (ssize_t)len)
			fail("send");
		samples[i] = now_ns() - start;
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	return median(HELLOS);
}

static int ask(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)atoi(port)) };
	char line[64];
	cpu_set_t cpus;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		fail(address);
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
		int last = CPU_SETSIZE - 1;

		while (last > 0 && !CPU_ISSET(last, &cpus))
			last--;
		CPU_ZERO(&cpus);
		CPU_SET(last, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
	}
	while (fgets(line, sizeof(line), stdin)) {
		const char *command = strtok(line, " \n"), *n = strtok(NULL, " \n");
		int64_t answer = -1;

		if (command && n && strcmp(command, "udp") == 0)
			answer = send_datagrams(&to, count(n));
		else if (command && n && strcmp(command, "connect") == 0)
			answer = make_connections(&to, count(n));
		else if (command && n && strcmp(command, "stream") == 0)
			answer = send_stream(&to, count(n));
		else if (command && n && strcmp(command, "lookup") == 0)
			answer = look_up(n);
		else if (command && n && strcmp(command, "hello") == 0)
			answer = send_hellos(&to, n);
		else
			return 2;
		printf("%" PRId64 "\n", answer);
		fflush(stdout);
	}
	return 0;
}

static int listen_on(int type, uint16_t port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* A full queue takes no more: each datagram that comes then costs the same. */
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		fail("listen");
	return fd;
}

static int serve(const char *text)
{
	static char chunk[CHUNK];
	uint16_t port = (uint16_t)atoi(text);
	int tcp = listen_on(SOCK_STREAM, port), https = listen_on(SOCK_STREAM, 443);
	int udp = listen_on(SOCK_DGRAM, port), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = tcp },
			   other = { .events = EPOLLIN, .data.fd = https };

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, tcp, &event) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, https, &other) < 0)
		fail("epoll");
	printf("ready %d\n", udp);
	fflush(stdout);
	for (;;) {
		int fd;

		if (epoll_wait(epoll, &event, 1, -1) != 1) {
			if (errno == EINTR)
				continue;
			fail("epoll_wait");
		}
		if (event.data.fd != tcp && event.data.fd != https) {
			if (read(event.data.fd, chunk, sizeof(chunk)) <= 0)
				close(event.data.fd);
			continue;
		}
		fd = accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC);
		event = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
		/* One that was reset while it waited is not there any more. */
		if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			fail("epoll");
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 4 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3]);
	fprintf(stderr, "usage: traffic serve PORT | ask ADDRESS PORT\n");
	return 2;
}
