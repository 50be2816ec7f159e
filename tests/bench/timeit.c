/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeit COMMAND [ARG]...: runs a command once and prints "STATUS NANOSECONDS KILOBYTES CPU": its exit
 * status, the wall time from before fork to after wait, the peak resident memory of the largest
 * process among it and what it waited for, and the nanoseconds of processor time of all of them.
 * Runs as the caller; the command's output is discarded, stderr is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t ns_of(struct timeval t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_usec * 1000;
}

/* In the child: stdin and stdout to /dev/null, then the command. */
static _Noreturn void run_command(char **argv)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		_exit(126);
	execvp(argv[0], argv);
	fprintf(stderr, "timeit: cannot run '%s': %s\n", argv[0], strerror(errno));
	_exit(127);
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int64_t start, end;
	int status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: timeit COMMAND [ARG]...\n");
		return 2;
	}
	start = now_ns();
	pid = fork();
	if (pid == 0)
		run_command(argv + 1);
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		fprintf(stderr, "timeit: %s\n", strerror(errno));
		return 1;
	}
	end = now_ns();
	printf("%d %" PRId64 " %ld %" PRId64 "\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	       end - start, usage.ru_maxrss, ns_of(usage.ru_utime) + ns_of(usage.ru_stime));
	return 0;
}
