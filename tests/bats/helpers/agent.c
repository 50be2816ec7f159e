// SPDX-License-Identifier: Apache-2.0
/*
 * A hostile agent: a static program that tests put into a container to try what a policy forbids.
 * Runs inside the container, with whatever rights it has there. It decides nothing: each command
 * prints what the kernel answered ("ok", or the name of the error), and the test compares.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define MAX_ARGS 6

struct name {
	const char *name;
	long number;
};

static const struct name calls[] = {
#define CALL(x)             \
	{                   \
#x, SYS_##x \
	}
	CALL(bpf),
	CALL(chroot),
	CALL(clone3),
	CALL(close),
	CALL(dup3),
	CALL(execve),
	CALL(execveat),
	CALL(fchmod),
	CALL(getpgid),
	CALL(getpid),
	CALL(getpriority),
	CALL(init_module),
	CALL(io_uring_setup),
	CALL(ioctl),
	CALL(keyctl),
	CALL(kexec_load),
	CALL(lseek),
	CALL(mkdirat),
	CALL(mknodat),
	CALL(mount),
	CALL(move_mount),
	CALL(open_by_handle_at),
	CALL(open_tree),
	CALL(openat2),
	CALL(personality),
	CALL(pivot_root),
	CALL(prctl),
	CALL(prlimit64),
	CALL(process_vm_readv),
	CALL(ptrace),
	CALL(seccomp),
	CALL(sethostname),
	CALL(setns),
	CALL(setpriority),
	CALL(socket),
	CALL(socketpair),
	CALL(swapoff),
	CALL(swapon),
	CALL(symlinkat),
	CALL(sync),
	CALL(umask),
	CALL(umount2),
	CALL(unshare),
	CALL(userfaultfd),
	CALL(mount_setattr),
	CALL(fsopen),
	CALL(perf_event_open),
	CALL(sched_setscheduler),
	CALL(getppid),
#undef CALL
};

static const char *answer(long r)
{
	return r == -1 ? strerrorname_np(errno) : "ok";
}

static int die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	return 125;
}

static long call_number(const char *name)
{
	char *end;
	long n = strtol(name, &end, 0);

	if (*name && !*end)
		return n;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	fprintf(stderr, "agent: unknown call '%s'\n", name);
	exit(125);
}

/* A number is passed in all 64 bits as it is; s:TEXT is a pointer to the text, b:N to N zeros. */
static long argument(const char *text)
{
	if (strncmp(text, "s:", 2) == 0)
		return (long)(text + 2);
	if (strncmp(text, "b:", 2) == 0)
		return (long)calloc(1, strtoul(text + 2, NULL, 0));
	if (text[0] == '-')
		return strtol(text, NULL, 0);
	return (long)strtoul(text, NULL, 0);
}

/* call NAME ARG...: the answer of one system call. */
static int cmd_call(char **argv)
{
	long a[MAX_ARGS] = { 0 }, number = call_number(argv[0]);

	for (int i = 0; i < MAX_ARGS && argv[i + 1]; i++)
		a[i] = argument(argv[i + 1]);
	puts(answer(syscall(number, a[0], a[1], a[2], a[3], a[4], a[5])));
	return 0;
}

/* call32 NUMBER ARG...: a system call of the i386 table, through int 0x80. */
static int cmd_call32(char **argv)
{
#if defined(__x86_64__)
	long a[3] = { 0 }, r = strtol(argv[0], NULL, 0);
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (low == MAP_FAILED)
		return die("mmap");
	for (int i = 0; i < 3 && argv[i + 1]; i++) {
		a[i] = argument(argv[i + 1]);
		if (strncmp(argv[i + 1], "s:", 2) == 0) {
			a[i] = (long)strcpy(low, argv[i + 1] + 2);
			low += strlen(low) + 1;
		}
	}
	__asm__ volatile("int $0x80"
			 : "+a"(r)
			 : "b"(a[0]), "c"(a[1]), "d"(a[2])
			 : "memory", "r8", "r9", "r10", "r11");
	r = (int)r;
	errno = r < 0 ? (int)-r : 0;
	puts(answer(r < 0 ? -1 : r));
	return 0;
#else
	puts("ENOSYS");
	return 0;
#endif
}

/* fork-bomb: forks until the kernel says no; how many children there were, and the answer. */
static int cmd_fork_bomb(char **argv)
{
	int n = 0, fds[2];
	pid_t pid = 0;
	char c;

	if (pipe(fds) < 0)
		return die("pipe");
	while (n < 5000 && (pid = fork()) > 0)
		n++;
	if (pid == 0) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) == 0 ? 0 : 1);
	}
	printf("%d %s\n", n, answer(pid < 0 ? -1 : 0));
	return 0;
}

static void *thread_sleep(void *arg)
{
	pause();
	return NULL;
}

/* thread-bomb: as fork-bomb, with threads. */
static int cmd_thread_bomb(char **argv)
{
	pthread_attr_t attr;
	pthread_t t;
	int n = 0, r = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	while (n < 5000 && (r = pthread_create(&t, &attr, thread_sleep, NULL)) == 0)
		n++;
	printf("%d %s\n", n, r ? strerrorname_np(r) : "ok");
	return 0;
}

static int touch(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	return 0;
}

/* memory MIB [PROCESSES]: uses that much memory, split over processes; "survived" at the end. */
static int cmd_memory(char **argv)
{
	size_t bytes = strtoul(argv[0], NULL, 0) << 20;
	int n = argv[1] ? atoi(argv[1]) : 1, fds[2], status, killed = 0;
	char c;

	if (pipe(fds) < 0)
		return die("pipe");
	for (int i = 1; i < n; i++)
		if (fork() == 0) {
			close(fds[1]);
			touch(malloc(bytes / (size_t)n), bytes / (size_t)n);
			_exit(read(fds[0], &c, 1) == 0 ? 0 : 1);
		}
	touch(malloc(bytes / (size_t)n), bytes / (size_t)n);
	usleep(200 * 1000);
	close(fds[1]);
	while (wait(&status) > 0)
		killed += WIFSIGNALED(status);
	printf("%s\n", killed ? "a child was killed" : "survived");
	return 0;
}

/* memfd MIB: fills a file in memory. */
static int cmd_memfd(char **argv)
{
	size_t mib = strtoul(argv[0], NULL, 0);
	int fd = memfd_create("x", 0);
	char *block = calloc(1, 1 << 20);

	for (size_t i = 0; i < mib; i++)
		if (write(fd, block, 1 << 20) < 0) {
			puts(answer(-1));
			return 0;
		}
	puts("survived");
	return 0;
}

/* spin SECONDS: keeps the CPU busy; the CPU time that it got, in thousandths of a second. */
static int cmd_spin(char **argv)
{
	long end = time(NULL) + atol(argv[0]);
	struct rusage u;

	while (time(NULL) < end)
		;
	getrusage(RUSAGE_SELF, &u);
	printf("%ld\n", (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
				(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000);
	return 0;
}

/* A copy of a file in memory that has no name. */
static int memfd_copy(const char *path)
{
	int from = open(path, O_RDONLY), to = memfd_create("x", 0);
	char block[65536];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0)
		if (write(to, block, (size_t)n) != n)
			exit(die("write"));
	return to;
}

/* exec HOW FILE ARG...: executes FILE one way or another; prints the answer when it returns. */
static int cmd_exec(char **argv)
{
	const char *how = argv[0], *file = argv[1];
	char **args = argv + 1, *env[] = { NULL };
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (strcmp(how, "execve") == 0)
		syscall(SYS_execve, file, args, env);
	else if (strcmp(how, "execveat-path") == 0)
		syscall(SYS_execveat, AT_FDCWD, file, args, env, 0);
	else if (strcmp(how, "execveat-fd") == 0)
		syscall(SYS_execveat, fd, "", args, env, AT_EMPTY_PATH);
	else if (strcmp(how, "memfd") == 0)
		syscall(SYS_execveat, memfd_copy(file), "", args, env, AT_EMPTY_PATH);
	else if (strcmp(how, "memfd-path") == 0) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd_copy(file));
		syscall(SYS_execve, path, args, env);
	} else if (strcmp(how, "vfork") == 0) {
		pid_t pid = vfork();
		int status = 0;

		if (pid == 0) {
			execve(file, args, env);
			_exit(errno);
		}
		waitpid(pid, &status, 0);
		errno = WEXITSTATUS(status);
		if (errno == 0)
			return 0;
	} else {
		return die(how);
	}
	puts(answer(-1));
	return 0;
}

/* exec-any-fd FILE ARG...: by every descriptor number that the kernel could have left open for
 * the start of a program, after trying to get FILE there; the answers that came, each once. */
static int cmd_exec_any_fd(char **argv)
{
	struct rlimit all = { 1 << 20, 1 << 20 };
	int fd = open(argv[0], O_RDONLY), seen[256] = { 0 };
	char *env[] = { NULL };

	printf("setrlimit %s\n", answer(setrlimit(RLIMIT_NOFILE, &all)));
	for (int n = 3; n < 70000; n++) {
		if (n != fd)
			syscall(SYS_dup3, fd, n, 0);
		syscall(SYS_execveat, n, "", argv, env, AT_EMPTY_PATH);
		seen[errno & 255] = 1;
	}
	for (int i = 0; i < 256; i++)
		if (seen[i])
			printf("%s\n", strerrorname_np(i));
	return 0;
}

/* map-exec FILE: maps a file executable, as a dynamic linker does. */
static int cmd_map_exec(char **argv)
{
	int fd = open(argv[0], O_RDONLY);
	void *p;

	if (fd < 0)
		return die(argv[0]);
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	puts(p == MAP_FAILED ? answer(-1) : "ok");
	return 0;
}

/* abstract NAME: connects to an abstract Unix socket. */
static int cmd_abstract(char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t n = strlen(argv[0]);

	if (fd < 0) {
		puts(answer(-1));
		return 0;
	}
	memcpy(a.sun_path + 1, argv[0], n);
	puts(answer(connect(fd, (struct sockaddr *)&a,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n))));
	return 0;
}

/* connect ADDRESS PORT: over TCP. udp ADDRESS PORT: sends one datagram. */
static int inet(char **argv, int type)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)atoi(argv[1])) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = a6.sin6_port };
	int is_v4 = inet_pton(AF_INET, argv[0], &a4.sin_addr) == 1;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, type, 0);

	if (!is_v4 && inet_pton(AF_INET6, argv[0], &a6.sin6_addr) != 1)
		return 2;
	if (fd < 0 ||
	    connect(fd, is_v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		    is_v4 ? sizeof(a4) : sizeof(a6)) < 0 ||
	    (type == SOCK_DGRAM && send(fd, "x", 1, 0) < 0))
		puts(answer(-1));
	else
		puts("ok");
	return 0;
}

static int cmd_connect(char **argv)
{
	return inet(argv, SOCK_STREAM);
}

static int cmd_udp(char **argv)
{
	return inet(argv, SOCK_DGRAM);
}

/* scan ADDRESS FROM TO: a datagram to each of these ports; how many were refused with EPERM. */
static int cmd_scan(char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), refused = 0;

	if (fd < 0 || inet_pton(AF_INET, argv[0], &to.sin_addr) != 1)
		return 125;
	for (int port = atoi(argv[1]); port <= atoi(argv[2]); port++) {
		to.sin_port = htons((uint16_t)port);
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		    errno == EPERM)
			refused++;
	}
	printf("%d\n", refused);
	return 0;
}

/* ip-option: one that does nothing, on a datagram socket. */
static int cmd_ip_option(char **argv)
{
	static const char nothing[4] = { 1, 1, 1, 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	puts(answer(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, nothing, sizeof(nothing))));
	return 0;
}

/* setns PATH: joins a namespace by its file. */
static int cmd_setns(char **argv)
{
	int fd = open(argv[0], O_RDONLY);

	puts(answer(fd < 0 ? -1 : setns(fd, 0)));
	return 0;
}

/* handle PATH: opens a file by its handle: past the mounts, as the "shocker" exploit. */
static int cmd_handle(char **argv)
{
	union {
		struct file_handle h;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int id, dir = open(argv[0], O_RDONLY);

	if (dir < 0 || name_to_handle_at(AT_FDCWD, argv[0], &u.h, &id, 0) < 0) {
		printf("no handle: %s\n", answer(-1));
		return 0;
	}
	puts(answer(open_by_handle_at(dir, &u.h, O_RDONLY)));
	return 0;
}

/* loosen NAME ARG...: tries to get rid of the filter and to replace it, then makes the call. */
static int cmd_loosen(char **argv)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { ARRAY_SIZE(allow), allow };

	printf("disable: %s\n", answer(prctl(PR_SET_SECCOMP, SECCOMP_MODE_DISABLED)));
	printf("another: %s\n", answer(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)));
	return cmd_call(argv);
}

/* ptrace: may a process be traced? */
static int cmd_ptrace(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	puts(errno ? answer(-1) : "ok");
	return 0;
}

/* direct-write FILE MIB: past the page cache; the thousandths of a second that it took. */
static int cmd_direct_write(char **argv)
{
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_DIRECT, 0600);
	char *block = aligned_alloc(4096, 1 << 20);
	struct timespec t0, t1;

	if (fd < 0)
		return die(argv[0]);
	memset(block, 'x', 1 << 20);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = atoi(argv[1]); i > 0; i--)
		if (write(fd, block, 1 << 20) < 0)
			return die("write");
	clock_gettime(CLOCK_MONOTONIC, &t1);
	printf("%ld\n",
	       (t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000);
	return 0;
}

/* fds: the open descriptors. */
static int cmd_fds(char **argv)
{
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	puts("");
	return 0;
}

/* euid: what a set-user-ID program makes of its caller. */
static int cmd_euid(char **argv)
{
	printf("%u\n", geteuid());
	return 0;
}

static const struct {
	const char *name;
	int min_args;
	int (*run)(char **argv);
} commands[] = {
	{ "call", 1, cmd_call },
	{ "call32", 1, cmd_call32 },
	{ "fork-bomb", 0, cmd_fork_bomb },
	{ "thread-bomb", 0, cmd_thread_bomb },
	{ "memory", 1, cmd_memory },
	{ "memfd", 1, cmd_memfd },
	{ "spin", 1, cmd_spin },
	{ "exec", 2, cmd_exec },
	{ "exec-any-fd", 1, cmd_exec_any_fd },
	{ "map-exec", 1, cmd_map_exec },
	{ "abstract", 1, cmd_abstract },
	{ "connect", 2, cmd_connect },
	{ "udp", 2, cmd_udp },
	{ "scan", 3, cmd_scan },
	{ "ip-option", 0, cmd_ip_option },
	{ "setns", 1, cmd_setns },
	{ "handle", 1, cmd_handle },
	{ "loosen", 1, cmd_loosen },
	{ "ptrace", 0, cmd_ptrace },
	{ "direct-write", 2, cmd_direct_write },
	{ "fds", 0, cmd_fds },
	{ "euid", 0, cmd_euid },
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0 &&
		    argc - 2 >= commands[i].min_args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "agent: unknown command\n");
	return 125;
}
