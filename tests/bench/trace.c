/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tracing containers costs (src/audit/trace.h): make bench. Medians over rounds; in each round
 * everything is measured once, so that what else the machine does falls on all alike; of calls and
 * spawns the quickest of a few counts, which others disturb the least. "adds" is the median of the
 * differences to the same thing without tracing, of the same round. Runs as root, with its own
 * groups, bpffs and copy of the programs.
 *
 *	tests/bench/trace [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "audit/trace.h"
#include "audit/trace_load.h"
#include "base/fd.h"
#include "base/list.h"

#define GROUPS 10
#define SLICES 20
#define CALLS 5000 /* in each */
#define OPENS 5000
#define SPAWNS 20
#define ROUNDS_MAX 1000
#define ALL_EVENTS \
	(TRACE_PROCESSES | TRACE_FILES | TRACE_NETWORK | TRACE_DENIALS | TRACE_PRIVILEGES)

static char top[200];
static pid_t holder; /* in `top`: groups without a process may be taken for left-overs */
static int groups[GROUPS];
static struct trace traces[GROUPS];

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "trace: %s: %s\n", what, why);
	exit(1);
}

static double now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* --- what is measured: nanoseconds of one; of calls those of the processor --- */

static double quicker(double best, double now)
{
	return best > 0 && best < now ? best : now;
}

static double time_calls(void)
{
	double best = 0;

	for (int k = 0; k < SLICES; k++) {
		double from = now_ns(CLOCK_THREAD_CPUTIME_ID);

		for (int i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		best = quicker(best, now_ns(CLOCK_THREAD_CPUTIME_ID) - from);
	}
	return best / CALLS;
}

static double time_opens(void)
{
	double from = now_ns(CLOCK_THREAD_CPUTIME_ID);

	for (int i = 0; i < OPENS; i++) {
		int fd = open("/usr/share/common-licenses/../../../etc/passwd",
			      O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			fail("open", strerror(errno));
		close(fd);
	}
	return (now_ns(CLOCK_THREAD_CPUTIME_ID) - from) / OPENS;
}

static double time_spawns(void)
{
	char *const argv[] = { "true", NULL };
	double best = 0;

	for (int i = 0; i < SPAWNS; i++) {
		double from = now_ns(CLOCK_MONOTONIC);
		pid_t pid;

		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv + 1) != 0 ||
		    waitpid(pid, NULL, 0) < 0)
			fail("spawn", strerror(errno));
		best = quicker(best, now_ns(CLOCK_MONOTONIC) - from);
	}
	return best;
}

/* --- containers --- */

static int forget_event(void *arg, void *data, size_t size)
{
	return 0;
}

/* Reads as purple-monitor does while there is much to read. */
static void __attribute__((noreturn)) read_all(const struct trace *t)
{
	struct ring_buffer *bulk = ring_buffer__new(t->bulk, forget_event, NULL, NULL);
	struct ring_buffer *urgent = ring_buffer__new(t->urgent, forget_event, NULL, NULL);

	for (;;) {
		ring_buffer__poll(bulk, 50);
		ring_buffer__consume(bulk);
		ring_buffer__consume(urgent);
	}
}

static pid_t fork_into(int group)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (uint64_t)group };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		fail("clone3", strerror(errno));
	return pid;
}

/* In the first container, with a reader outside of it. */
static double measure_inside(double (*what)(void))
{
	pid_t reader = 0, pid;
	double result = 0;
	int fds[2];

	if (traces[0].bulk >= 0) {
		reader = fork();
		if (reader == 0)
			read_all(&traces[0]);
	}
	if (pipe(fds) < 0)
		fail("pipe", strerror(errno));
	pid = fork_into(groups[0]);
	if (pid == 0) {
		result = what();
		_exit(write(fds[1], &result, sizeof(result)) != sizeof(result));
	}
	close(fds[1]);
	if (read(fds[0], &result, sizeof(result)) != sizeof(result))
		fail("child", "it failed");
	close(fds[0]);
	waitpid(pid, NULL, 0);
	if (reader) {
		kill(reader, SIGKILL);
		waitpid(reader, NULL, 0);
	}
	return result;
}

static void start(int n, uint32_t wants)
{
	const struct trace_options o = { .wants = wants, .pid_level = TRACE_INNERMOST };
	struct err e;

	for (int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "bench%d", i);
		if (trace_load(&e) < 0 ||
		    trace_start(name, groups[i], &o, &traces[i], &e) < 0)
			fail("start", e.msg);
	}
}

static void stop(int n)
{
	struct err e;

	for (int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "bench%d", i);
		trace_clear(&traces[i]);
		if (trace_stop(name, &e) < 0)
			fail("stop", e.msg);
	}
	/* The kernel takes the programs off a moment later. */
	usleep(50000);
}

static void hold(void)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	holder = fork_into(fd);
	if (holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	close(fd);
}

static void set_up(void)
{
	const char *mount_point = "/sys/fs/cgroup/unified";
	struct statfs fs;
	struct err e;

	if (statfs(mount_point, &fs) < 0 || (unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
		mount_point = "/sys/fs/cgroup";
	snprintf(top, sizeof(top), "%s/purple-bench-%d", mount_point, (int)getpid());
	if (mkdir(top, 0755) < 0)
		fail(top, strerror(errno));
	hold();
	for (int i = 0; i < GROUPS; i++) {
		char dir[240];

		snprintf(dir, sizeof(dir), "%s/%d", top, i);
		if (mkdir(dir, 0755) < 0)
			fail(dir, strerror(errno));
		groups[i] = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		traces[i] = (struct trace)TRACE_EMPTY;
	}
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)
		fail("own mounts", strerror(errno));
	if (trace_load(&e) < 0)
		fail("load", e.msg);
}

static void tear_down(void)
{
	for (int i = 0; i < GROUPS; i++) {
		char dir[240];

		snprintf(dir, sizeof(dir), "%s/%d", top, i);
		for (int j = 0; j < 500 && rmdir(dir) < 0 && errno == EBUSY; j++)
			usleep(10000);
	}
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	for (int i = 0; i < 500 && rmdir(top) < 0 && errno == EBUSY; i++)
		usleep(10000);
}

/* --- rows --- */

static double bystander(void)
{
	return time_calls();
}

static double open_inside(void)
{
	return measure_inside(time_opens);
}

static double spawn_inside(void)
{
	return measure_inside(time_spawns);
}

static double call_inside(void)
{
	return measure_inside(time_calls);
}

/* What the start of a container has of it, and its end. */
static double start_and_stop(void)
{
	const struct trace_options o = { .wants = ALL_EVENTS, .pid_level = TRACE_INNERMOST };
	struct trace t = TRACE_EMPTY;
	struct err e;
	double from;

	if (trace_load(&e) < 0)
		fail("load", e.msg);
	from = now_ns(CLOCK_MONOTONIC);
	if (trace_start("bench", groups[0], &o, &t, &e) < 0)
		fail("start", e.msg);
	trace_clear(&t);
	if (trace_stop("bench", &e) < 0)
		fail("stop", e.msg);
	return now_ns(CLOCK_MONOTONIC) - from;
}

enum row_number {
	ROW_BYSTANDER,
	ROW_BYSTANDER_PROCESSES,
	ROW_BYSTANDER_1,
	ROW_BYSTANDER_10,
	ROW_BYSTANDER_COUNTS,
	ROW_CALL,
	ROW_CALL_TRACED,
	ROW_CALL_COUNTED,
	ROW_OPEN,
	ROW_OPEN_TRACED,
	ROW_SPAWN,
	ROW_SPAWN_TRACED,
	ROW_SPAWN_ALL,
	ROW_START,
	ROWS,
};

static const struct row {
	const char *name;
	enum row_number base; /* itself: none */
	int n;		      /* containers that are traced */
	uint32_t wants;
	double (*measure)(void);
	double goal; /* of what it adds; 0: none */
} rows[ROWS] = {
	[ROW_BYSTANDER] = { "getppid(), a process of the host", ROW_BYSTANDER, 0, 0,
			    bystander, 0 },
	[ROW_BYSTANDER_PROCESSES] = { "  a container: processes, network", ROW_BYSTANDER,
				      1, TRACE_PROCESSES | TRACE_NETWORK, bystander, 0 },
	[ROW_BYSTANDER_1] = { "  a container: all events", ROW_BYSTANDER, 1, ALL_EVENTS,
			      bystander, 70 },
	[ROW_BYSTANDER_10] = { "  10 containers: all events", ROW_BYSTANDER, GROUPS,
			       ALL_EVENTS, bystander, 70 },
	[ROW_BYSTANDER_COUNTS] = { "  10 containers: and counts", ROW_BYSTANDER, GROUPS,
				   ALL_EVENTS | TRACE_COUNTS, bystander, 70 },
	[ROW_CALL] = { "getppid() in a container", ROW_CALL, 0, 0, call_inside, 0 },
	[ROW_CALL_TRACED] = { "  all events", ROW_CALL, 1, ALL_EVENTS, call_inside, 0 },
	[ROW_CALL_COUNTED] = { "  counts", ROW_CALL, 1, TRACE_COUNTS, call_inside, 0 },
	[ROW_OPEN] = { "open(), close()", ROW_OPEN, 0, 0, open_inside, 0 },
	[ROW_OPEN_TRACED] = { "  all events", ROW_OPEN, 1, ALL_EVENTS, open_inside, 2000 },
	[ROW_SPAWN] = { "posix_spawn() of true, wait", ROW_SPAWN, 0, 0, spawn_inside, 0 },
	[ROW_SPAWN_TRACED] = { "  processes", ROW_SPAWN, 1, TRACE_PROCESSES, spawn_inside,
			       0 },
	[ROW_SPAWN_ALL] = { "  all events", ROW_SPAWN, 1, ALL_EVENTS, spawn_inside, 0 },
	[ROW_START] = { "trace_start(), trace_stop()", ROW_START, 0, 0, start_and_stop, 0 },
};

static double results[ROWS][ROUNDS_MAX];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, const double *minus, int n)
{
	static double sorted[ROUNDS_MAX];

	for (int i = 0; i < n; i++)
		sorted[i] = values[i] - (minus ? minus[i] : 0);
	qsort(sorted, (size_t)n, sizeof(double), compare);
	return sorted[n / 2];
}

static void print_results(int rounds)
{
	struct utsname u;
	double load = 0;

	if (uname(&u) < 0 || getloadavg(&load, 1) < 0)
		fail("uname", strerror(errno));
	printf("# command: tests/bench/trace %d\n# kernel: %s  cpus: %ld  load: %.2f\n",
	       rounds, u.release, sysconf(_SC_NPROCESSORS_ONLN), load);
	printf("%-36s %10s %10s %6s\n", "tracing", "ns", "adds ns", "goal");
	for (size_t j = 0; j < ROWS; j++) {
		const struct row *row = &rows[j];

		printf("%-36s %10.0f", row->name, median(results[j], NULL, rounds));
		if (row->base != j)
			printf(" %10.0f", median(results[j], results[row->base], rounds));
		if (row->goal > 0)
			printf(" %6.0f", row->goal);
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		fail("rounds", "1 to 1000");
	if (geteuid() != 0)
		fail("needs root", "only root may trace");
	set_up();
	for (int i = 0; i < rounds; i++)
		for (size_t j = 0; j < ROWS; j++) {
			start(rows[j].n, rows[j].wants);
			results[j][i] = rows[j].measure();
			stop(rows[j].n);
		}
	print_results(rounds);
	tear_down();
	return 0;
}
