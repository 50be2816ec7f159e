// SPDX-License-Identifier: Apache-2.0
/*
 * What a hostile image or process does in the attacks-*.bats tests, where a shell is too slow or
 * cannot do it at all. A static program, run on the host over a container's volume or inside the
 * container. It decides nothing: it prints what it got, and the test compares.
 *
 *   exchange A B          swaps two names for ever; prints how often when it gets SIGTERM
 *   spy SECONDS NAME      looks into other processes that do not run a program called NAME:
 *                         "seen N", and "entered PID exe LINK" for each it could look into
 *   steal NAME FILE       takes a descriptor on the program of a process that does not run one
 *                         called NAME, as soon as there is one; makes /tmp/stolen; goes on as:
 *   overwrite FD FILE     tries to write to the program that FD is open on, until the kernel gives
 *                         another answer than "text file busy"; puts that answer into FILE
 *   connect PATH          "ok", or why nobody listens on the socket
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void on_term(int s)
{
	(void)s;
	ended = 1;
}

static int exchange(const char *a, const char *b)
{
	unsigned long n = 0;

	signal(SIGTERM, on_term);
	while (!ended) {
		if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0) {
			perror("exchange");
			return 1;
		}
		n++;
	}
	printf("%lu\n", n);
	return 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Whether `pid` is a process of ours: its program can be read and is called `name`. */
static bool is_ours(const char *pid, const char *name, char *link, size_t size)
{
	char path[64];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	n = readlink(path, link, size - 1);
	link[n > 0 ? n : 0] = '\0';
	base = strrchr(link, '/');
	return base && strcmp(base + 1, name) == 0;
}

static int spy(double seconds, const char *name)
{
	double end = now() + seconds;
	unsigned long seen = 0, entered = 0;
	char own[16], link[4096];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	/* The test waits for this before it sends anyone in. */
	puts("ready");
	fflush(stdout);
	while (now() < end && entered < 10) {
		DIR *proc = opendir("/proc");
		struct dirent *d;

		while (proc && (d = readdir(proc))) {
			if (d->d_name[0] < '1' || d->d_name[0] > '9' ||
			    !strcmp(d->d_name, own) ||
			    is_ours(d->d_name, name, link, sizeof(link)))
				continue;
			seen++;
			if (!link[0])
				continue;
			printf("entered %s exe %s\n", d->d_name, link);
			entered++;
		}
		if (proc)
			closedir(proc);
	}
	printf("seen %lu\n", seen);
	return 0;
}

static int overwrite(int fd, const char *result)
{
	static const char text[] = "pwned\n";
	char path[32], answer[256];
	double end = now() + 20;
	int out, got, error;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	do {
		got = open(path, O_WRONLY);
		error = errno;
	} while (got < 0 && error == ETXTBSY && now() < end);
	if (got >= 0 && write(got, text, sizeof(text) - 1) > 0)
		snprintf(answer, sizeof(answer), "written\n");
	else
		snprintf(answer, sizeof(answer), "%s\n", strerror(got < 0 ? error : errno));
	out = open(result, O_WRONLY | O_CREAT | O_EXCL, 0600);
	return out < 0 || write(out, answer, strlen(answer)) < 0;
}

static int steal(const char *name, const char *result)
{
	char own[16], link[4096], path[64];
	int fd = -1;

	snprintf(own, sizeof(own), "%d", (int)getpid());
	puts("ready");
	fflush(stdout);
	while (fd < 0) {
		DIR *proc = opendir("/proc");
		struct dirent *d;

		while (proc && fd < 0 && (d = readdir(proc))) {
			if (d->d_name[0] < '1' || d->d_name[0] > '9' ||
			    !strcmp(d->d_name, own) ||
			    is_ours(d->d_name, name, link, sizeof(link)) || !link[0])
				continue;
			snprintf(path, sizeof(path), "/proc/%.20s/exe", d->d_name);
			fd = open(path, O_RDONLY);
		}
		if (proc)
			closedir(proc);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	link[0] = '\0';
	if (readlink(path, link, sizeof(link) - 1) > 0)
		printf("stolen %s\n", link);
	fflush(stdout);
	close(open("/tmp/stolen", O_WRONLY | O_CREAT, 0600));
	if (overwrite(fd, result) != 0)
		return 1;
	for (;;)
		pause();
}

static int try_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		puts(strerror(errno));
	else
		puts("ok");
	return 0;
}

int main(int n, char **args)
{
	if (n == 4 && !strcmp(args[1], "exchange"))
		return exchange(args[2], args[3]);
	if (n == 4 && !strcmp(args[1], "spy"))
		return spy(atof(args[2]), args[3]);
	if (n == 4 && !strcmp(args[1], "steal"))
		return steal(args[2], args[3]);
	if (n == 4 && !strcmp(args[1], "overwrite"))
		return overwrite(atoi(args[2]), args[3]);
	if (n == 3 && !strcmp(args[1], "connect"))
		return try_connect(args[2]);
	fputs("attack: see its source\n", stderr);
	return 2;
}
