// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile program that tries ways around a network policy:
 *
 *   bypass GROUP...   makes each attempt of these groups in a process of its own, and prints a line
 *                     for each: NUMBER GROUP/NAME wire|call[?] ANSWER
 *   bypass answer PORT  waits for datagrams, and answers whoever sends one
 *
 * A "wire" attempt got through when its packets are seen at the outside end: the sniffer (sniff.py)
 * knows them by the number. A "call" attempt got through when the answer is "ok". "?": the kernel
 * may lack the protocol. Runs inside the container, as whoever the test makes it; decides nothing.
 */
#define _GNU_SOURCE
#include "bypass.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTEMPT_SECONDS 20

uint16_t attempt_port;
char attempt_mark[64];
unsigned int attempt_number;

static const struct group *const groups[] = {
	&tcp_group,	  &udp_group,	    &raw_group,	  &packet_group,
	&fragments_group, &headers_group,   &uring_group, &protocols_group,
	&metadata_group,  &multicast_group, &dns_group,	  &escapes_group,
	&inherited_group, &passed_group,
};

struct address address_of(const char *text, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct address ret = { .len = 0 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(&ret.sa, &v4, sizeof(v4));
		ret.len = sizeof(v4);
	} else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		memcpy(&ret.sa, &v6, sizeof(v6));
		ret.len = sizeof(v6);
	} else {
		fprintf(stderr, "bypass: '%s' is no address\n", text);
		exit(2);
	}
	return ret;
}

int result(long r)
{
	return r < 0 ? -errno : 0;
}

int new_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

int connect_to(int fd, struct address to)
{
	int r;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	r = result(connect(fd, sa(&to), to.len));
	return r == -EINPROGRESS ? 0 : r;
}

int send_mark_to(int fd, struct address to)
{
	return result(sendto(fd, attempt_mark, strlen(attempt_mark),
			     MSG_NOSIGNAL | MSG_DONTWAIT, sa(&to), to.len));
}

static void set_number(unsigned int number)
{
	attempt_number = number;
	attempt_port = (uint16_t)(BASE_PORT + number);
	snprintf(attempt_mark, sizeof(attempt_mark), "bypass-%u-", number);
}

static void try_one(const struct group *g, const struct attempt *a, unsigned int number)
{
	int status, fds[2], r = -ECANCELED;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(2);
	pid = fork();
	if (pid < 0)
		exit(2);
	if (pid == 0) {
		set_number(number);
		alarm(ATTEMPT_SECONDS);
		signal(SIGPIPE, SIG_IGN);
		r = a->run(a);
		if (write(fds[1], &r, sizeof(r)) != sizeof(r))
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &r, sizeof(r)) != sizeof(r))
		r = -ECANCELED;
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* One that was killed for its call has its answer as well. */
	printf("%u %s/%s %s%s %s\n", number, g->name, a->name,
	       a->judge == WIRE ? "wire" : "call", a->may_lack ? "?" : "",
	       r == 0	       ? "ok" :
	       r == -ECANCELED ? "KILLED" :
				 strerrorname_np(-r));
	fflush(stdout);
}

static int try_group(const char *name)
{
	unsigned int number = 1;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		bool wanted = strcmp(groups[i]->name, name) == 0;

		for (size_t k = 0; wanted && k < groups[i]->n; k++)
			try_one(groups[i], &groups[i]->attempts[k],
				number + (unsigned int)k);
		if (wanted && groups[i]->after)
			groups[i]->after();
		if (wanted)
			return 0;
		number += (unsigned int)groups[i]->n;
	}
	fprintf(stderr, "bypass: there is no group '%s'\n", name);
	return 2;
}

static int answer(const char *port)
{
	int fd = new_socket(AF_INET6, SOCK_DGRAM, 0);
	struct address who = address_of("::", (uint16_t)atoi(port));
	char b[1500];

	if (fd < 0 || bind(fd, sa(&who), who.len) < 0) {
		perror("bypass: bind");
		return 1;
	}
	for (;;) {
		who.len = sizeof(who.sa);
		if (recvfrom(fd, b, sizeof(b), 0, sa(&who), &who.len) >= 0)
			sendto(fd, "shell\n", 6, 0, sa(&who), who.len);
	}
}

int main(int argc, char **argv)
{
	int r = argc < 2 ? 2 : 0;

	if (argc == 3 && strcmp(argv[1], "answer") == 0)
		return answer(argv[2]);

	for (int i = 1; r == 0 && i < argc; i++)
		r = try_group(argv[i]);
	return r;
}
