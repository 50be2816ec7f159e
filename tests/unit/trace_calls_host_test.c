/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracing with the real kernel: system calls that are denied, that change privileges, and how many
 * there are; connections. See trace_host.h.
 */
#include "trace_host.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

#ifdef __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#else
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

static void set_call(struct trace_calls *calls, unsigned int nr)
{
	calls->bits[nr / 64] |= 1ull << (nr % 64);
}

static int become_nobody(void)
{
	return setresgid(65534, 65534, 65534) < 0 ? -1 : setresuid(65534, 65534, 65534);
}

/* --- denied --- */

static int load_seccomp(uint32_t action)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx || seccomp_rule_add(ctx, action, SCMP_SYS(getsid), 0) < 0 ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(personality), 1,
			     SCMP_A0(SCMP_CMP_EQ, 77)) < 0)
		return -1;
	return seccomp_load(ctx);
}

static int be_denied(void *arg)
{
	if (load_seccomp(SCMP_ACT_ERRNO(ENOTTY)) < 0)
		return 1;
	if (syscall(SYS_getsid, 11) != -1 || errno != ENOTTY)
		return 2;
	if (syscall(SYS_personality, 77) != -1 || syscall(SYS_personality, -1u) < 0)
		return 3;
	if (become_nobody() < 0 || sethostname("x", 1) == 0)
		return 4;
	/* Told with the files, and not refused: */
	if (open("/etc/shadow", O_RDONLY) >= 0 || close(999) == 0)
		return 5;
	return 0;
}

static void denied_calls_are_told_with_who_denied_them(void **state)
{
	struct trace_options o = { TRACE_DENIALS | TRACE_FILES, TRACE_INNERMOST };
	const struct trace_denied *d;
	size_t at = 0;

	needs_root();
	set_call(&o.denied, SYS_getsid);
	set_call(&o.denied_some, SYS_personality);
	start_box(&env.box, "box.1", &o);
	assert_int_equal(run_in(env.box.group, be_denied, NULL, NULL), 0);
	read_events(&env.box);
	d = next_event(&env.box, TRACE_DENIED, &at);
	assert_non_null(d);
	assert_int_equal(d->call, SYS_getsid);
	assert_int_equal(d->arch, OWN_ARCH);
	assert_int_equal(d->error, ENOTTY);
	assert_int_equal(d->denier, TRACE_BY_SECCOMP);
	assert_int_equal(d->arguments[0], 11);
	assert_int_equal(d->count, 1);
	d = next_event(&env.box, TRACE_DENIED, &at);
	assert_non_null(d);
	assert_int_equal(d->call, SYS_personality);
	assert_int_equal(d->denier, TRACE_BY_EITHER);
	assert_int_equal(d->arguments[0], 77);
	d = next_event(&env.box, TRACE_DENIED, &at);
	assert_non_null(d);
	assert_int_equal(d->call, SYS_sethostname);
	assert_int_equal(d->error, EPERM);
	assert_int_equal(d->denier, TRACE_BY_KERNEL);
	assert_int_equal(d->head.uid, 65534);
	assert_null(next_event(&env.box, TRACE_DENIED, &at));
	assert_int_equal(env.box.stats->sent[TRACE_OPEN], 1);
	assert_all_is_counted(env.box.stats);
}

/* As a profile whose default is a denial. */
static int load_odd_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int be_denied_often(void *arg)
{
	struct timespec from, now;
	long n = 0;

	if (become_nobody() < 0)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		for (int i = 0; i < 1000; i++, n++)
			if (sethostname("x", 1) == 0)
				return 2;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (n < 100000 || now.tv_sec < from.tv_sec + 3);
	return 0;
}

static volatile sig_atomic_t caught;

static void catch (int signal)
{
	caught = 1;
}

/* What a signal handler returns to may look like a denial: the register is the process's own. */
static int return_from_a_handler(void *arg)
{
	struct timespec long_time = { .tv_nsec = 1 };

	signal(SIGALRM, catch);
	for (int i = 0; i < 10; i++) {
		raise(SIGALRM);
		nanosleep(&long_time, NULL);
	}
#ifdef __x86_64__
	/* -EPERM in the register, while a signal comes. */
	caught = 0;
	alarm(1);
	while (!caught)
		for (long n = 100000, value = -1; n > 0; n--)
			__asm__ volatile("nop" : "+a"(value));
#endif
	return 0;
}

static void the_end_of_a_signal_handler_is_no_call(void **state)
{
	needs_root();
	start(TRACE_DENIALS);
	assert_int_equal(run_in(env.box.group, return_from_a_handler, NULL, NULL), 0);
	read_events(&env.box);
	assert_int_equal(env.box.events.n, 0);
}

static void a_flood_of_denials_is_a_few_events(void **state)
{
	const struct trace_stats *s;
	uint64_t told = 0;

	needs_root();
	start(TRACE_DENIALS);
	s = env.box.stats;
	assert_int_equal(run_in(env.box.group, be_denied_often, NULL, NULL), 0);
	read_events(&env.box);
	assert_true(s->seen[TRACE_DENIED] >= 100000);
	assert_true(s->sent[TRACE_DENIED] >= 2);
	/* One a second, on whatever machine. */
	assert_true(s->sent[TRACE_DENIED] < s->seen[TRACE_DENIED] / 1000);
	for (size_t i = 0; i < env.box.events.n; i++)
		told += ((struct trace_denied *)env.box.events.v[i])->count;
	assert_true(told <= s->seen[TRACE_DENIED] && told > s->seen[TRACE_DENIED] / 2);
	assert_all_is_counted(s);
}

static int be_killed_by_seccomp(void *arg)
{
	prctl(PR_SET_DUMPABLE, 0);
	if (load_seccomp(SCMP_ACT_KILL_PROCESS) < 0)
		return 1;
	syscall(SYS_getsid, 0);
	return 2;
}

static void *thread_to_be_killed(void *arg)
{
	syscall(SYS_getsid, 0);
	return NULL;
}

static int lose_a_thread(void *arg)
{
	pthread_t t;

	if (load_seccomp(SCMP_ACT_KILL_THREAD) < 0 ||
	    pthread_create(&t, NULL, thread_to_be_killed, NULL) != 0)
		return 1;
	/* It says nothing to who waits for it. */
	for (int i = 0; i < 1000 && access("/proc/self/task", F_OK) == 0; i++) {
		struct stat st;

		if (stat("/proc/self/task", &st) == 0 && st.st_nlink == 3)
			return 0;
		usleep(10000);
	}
	return 2;
}

static void a_kill_by_seccomp_names_the_call(void **state)
{
	const struct trace_exit *x;
	int status;

	needs_root();
	start(TRACE_DENIALS);
	status = run_in(env.box.group, be_killed_by_seccomp, NULL, NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXIT);
	assert_int_equal(x->signal, SIGSYS);
	assert_int_equal(x->call, SYS_getsid);
	assert_int_equal(x->arch, OWN_ARCH);
	assert_int_equal(x->head.flags, 0);
	forget_events(&env.box);
	assert_int_equal(run_in(env.box.group, lose_a_thread, NULL, NULL), 0);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXIT);
	assert_int_equal(x->head.flags, TRACE_THREAD);
	assert_int_equal(x->call, SYS_getsid);
}

static int send_sigsys(void *arg)
{
	signal(SIGSYS, SIG_DFL);
	kill(getpid(), SIGSYS);
	return 1;
}

static void *sleep_on(void *arg)
{
	while (pause() < 0)
		;
	return NULL;
}

static int be_killed_with_threads(void *arg)
{
	pthread_t t;

	for (int i = 0; i < 4; i++)
		if (pthread_create(&t, NULL, sleep_on, NULL) != 0)
			return 1;
	return be_killed_by_seccomp(NULL);
}

static void the_signal_alone_is_no_denial(void **state)
{
	const struct trace_exit *x;

	needs_root();
	start(TRACE_PROCESSES);
	assert_int_equal(WTERMSIG(run_in(env.box.group, send_sigsys, NULL, NULL)), SIGSYS);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXIT);
	assert_int_equal(x->signal, SIGSYS);
	assert_int_equal(x->call, TRACE_NO_CALL);
	forget_events(&env.box);
	assert_int_equal(WTERMSIG(run_in(env.box.group, be_killed_with_threads, NULL, NULL)),
			 SIGSYS);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXIT);
	assert_int_equal(x->call, SYS_getsid);
}

/* --- privileges --- */

static int change_privileges(void *arg)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {};
	pid_t pid;

	data[0].effective = data[0].permitted = 1u << CAP_SETUID | 1u << CAP_SETGID;
	if (syscall(SYS_capset, &h, data) < 0 || setgid(1001) < 0 || setuid(1000) < 0 ||
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 1;
	/* A plain child is no event. */
	pid = fork();
	if (pid == 0)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : 2;
}

static void changes_of_privileges_are_told_with_what_came_of_them(void **state)
{
	const struct trace_privilege *p;
	size_t at = 0;

	needs_root();
	start(TRACE_PRIVILEGES);
	assert_int_equal(run_in(env.box.group, change_privileges, NULL, NULL), 0);
	read_events(&env.box);
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_non_null(p);
	assert_int_equal(p->call, SYS_capset);
	assert_int_equal(p->effective, 1u << CAP_SETUID | 1u << CAP_SETGID);
	assert_int_equal(p->permitted, p->effective);
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_non_null(p);
	assert_int_equal(p->call, SYS_setgid);
	assert_int_equal(p->arguments[0], 1001);
	assert_int_equal(p->head.gid, 1001);
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_non_null(p);
	assert_int_equal(p->call, SYS_setuid);
	assert_int_equal(p->head.uid, 1000);
	assert_int_equal(p->effective, 0);
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_non_null(p);
	assert_int_equal(p->call, SYS_unshare);
	assert_int_equal(p->namespaces, CLONE_NEWUSER | CLONE_NEWNET);
	/* All of them, in a namespace of its own. */
	assert_true(p->effective & (1ull << CAP_SYS_ADMIN));
	assert_null(next_event(&env.box, TRACE_PRIVILEGE, &at));
}

static int become_set_uid(void *arg)
{
	if (become_nobody() < 0)
		return 1;
	execl("/mnt/raised", "raised", NULL);
	return 99;
}

static int become_plain(void *arg)
{
	if (become_nobody() < 0)
		return 1;
	execl("/bin/true", "true", NULL);
	return 99;
}

static void a_set_uid_program_is_told(void **state)
{
	const struct trace_exec *x;

	needs_root();
	assert_int_equal(system("cp /bin/true /mnt/raised && chmod 4755 /mnt/raised"), 0);
	start(TRACE_PRIVILEGES);
	assert_int_equal(run_in(env.box.group, become_plain, NULL, NULL), 0);
	assert_int_equal(run_in(env.box.group, become_set_uid, NULL, NULL), 0);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXEC);
	assert_string_equal(TEXT(x, TRACE_EXECUTABLE), "/mnt/raised");
	assert_int_equal(x->head.flags, TRACE_RAISED);
	assert_int_equal(x->head.uid, 65534);
	assert_int_equal(x->head.euid, 0);
	assert_true(x->effective & (1ull << CAP_SYS_ADMIN));
	assert_int_equal(unlink("/mnt/raised"), 0);
}

static int change_mounts(void *arg)
{
	if (unshare(CLONE_NEWNS) < 0 || mkdir("/mnt/m", 0755) < 0 ||
	    mount("none", "/mnt/m", "tmpfs", 0, NULL) < 0 || chdir("/mnt") < 0 ||
	    umount2("m", MNT_DETACH) < 0 || rmdir("m") < 0 || chroot("/mnt") < 0)
		return 1;
	if (prctl(PR_SET_DUMPABLE, 1) < 0 ||
	    syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getpid(), 0), 0, 0) < 0)
		return 2;
	return ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? 3 : 0;
}

static void mounts_are_told_with_their_paths(void **state)
{
	static const struct {
		unsigned int call;
		const char *base, *path, *other;
	} told[] = {
		{ SYS_mount, "/", "none", "/mnt/m" },
		{ SYS_umount2, "/mnt", "m", "" },
		{ SYS_chroot, "", "/mnt", "" },
	};
	const struct trace_privilege *p;
	size_t at = 0;

	needs_root();
	assert_int_equal(chdir("/"), 0);
	start(TRACE_PRIVILEGES);
	assert_int_equal(run_in(env.box.group, change_mounts, NULL, NULL), 0);
	read_events(&env.box);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		const struct trace_file *f = next_event(&env.box, TRACE_MOUNT, &at);

		assert_non_null(f);
		assert_int_equal(f->call, told[i].call);
		assert_string_equal(TEXT(f, TRACE_BASE), told[i].base);
		assert_string_equal(TEXT(f, TRACE_PATH), told[i].path);
		assert_string_equal(TEXT(f, TRACE_NEW_PATH), told[i].other);
	}
	assert_null(next_event(&env.box, TRACE_MOUNT, &at));
	at = 0;
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_int_equal(p->call, SYS_unshare);
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_int_equal(p->call, SYS_pidfd_getfd);
	p = next_event(&env.box, TRACE_PRIVILEGE, &at);
	assert_int_equal(p->call, SYS_ptrace);
	assert_null(next_event(&env.box, TRACE_PRIVILEGE, &at));
}

/* --- counts --- */

static int call_often(void *arg)
{
	for (int i = 0; i < 5000; i++)
		syscall(SYS_getppid);
	for (int i = 0; i < 30; i++)
		close(999);
	return 0;
}

static uint64_t counted(pid_t pid, unsigned int call, uint64_t *ret_failed)
{
	uint64_t calls = 0;

	*ret_failed = 0;
	for (size_t i = 0; i < TRACE_COUNTS_MAX; i++)
		if (env.box.counts[i].what == TRACE_COUNT_OF(pid, call)) {
			calls += env.box.counts[i].calls;
			*ret_failed += env.box.counts[i].failed;
		}
	return calls;
}

static void all_calls_are_counted_without_events(void **state)
{
	uint64_t failed;
	pid_t pid;

	needs_root();
	start(TRACE_COUNTS);
	assert_int_equal(run_in(env.box.group, call_often, NULL, &pid), 0);
	read_events(&env.box);
	assert_int_equal(env.box.events.n, 0);
	assert_int_equal(counted(pid, SYS_getppid, &failed), 5000);
	assert_int_equal(failed, 0);
	assert_int_equal(counted(pid, SYS_close, &failed), 30);
	assert_int_equal(failed, 30);
	/* The call that made it was this process's. */
	assert_int_equal(counted(pid, SYS_clone3, &failed), 0);
	assert_int_equal(env.box.stats->uncounted, 0);
}

/* From here to TRACE_CALLS no kernel has a call. */
#define FREE_NUMBER 500

static int call_many_kinds(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (unsigned int nr = FREE_NUMBER; nr < FREE_NUMBER + 10; nr++)
				syscall(nr);
			_exit(0);
		}
		if (waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

static void calls_that_have_no_place_are_counted_as_such(void **state)
{
	uint64_t calls = 0;

	needs_root();
	start(TRACE_COUNTS);
	assert_int_equal(run_in(env.box.group, call_many_kinds, NULL, NULL), 0);
	for (size_t i = 0; i < TRACE_COUNTS_MAX; i++) {
		uint32_t call = (uint32_t)env.box.counts[i].what - 1;

		if (call >= FREE_NUMBER && call < TRACE_CALLS)
			calls += env.box.counts[i].calls;
	}
	assert_true(env.box.stats->uncounted > 0);
	assert_true(calls <= 20000 && calls + env.box.stats->uncounted >= 20000);
}

/* Numbers that no kernel has, by which a process could fill the table and the ring. */
static int call_odd_numbers(void *arg)
{
	char *const argv[] = { "true", NULL };
	pid_t pid;

	if (load_odd_filter() < 0)
		return 1;
	for (unsigned int nr = 1000; nr < 101000; nr++)
		if (syscall(nr) != -1 || errno != EPERM)
			return 2;
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv + 1) != 0)
		return 3;
	return waitpid(pid, NULL, 0) == pid ? 0 : 4;
}

static void odd_numbers_are_one_call(void **state)
{
	const struct trace_denied *d;
	const struct trace_stats *s;
	uint64_t failed;
	size_t at = 0, n = 0;
	pid_t pid;

	needs_root();
	start(TRACE_COUNTS | TRACE_DENIALS | TRACE_PROCESSES);
	s = env.box.stats;
	assert_int_equal(run_in(env.box.group, call_odd_numbers, NULL, &pid), 0);
	read_events(&env.box);
	assert_int_equal(counted(pid, TRACE_CALL_UNKNOWN, &failed), 100000);
	assert_int_equal(failed, 100000);
	assert_int_equal(s->uncounted, 0);
	while ((d = next_event(&env.box, TRACE_DENIED, &at))) {
		assert_int_equal(d->call, TRACE_CALL_UNKNOWN);
		assert_int_equal(d->denier, TRACE_BY_EITHER);
		n++;
	}
	assert_true(n >= 1 && n < 1000);
	assert_int_equal(s->seen[TRACE_DENIED], 100000);
	assert_int_equal(s->sent[TRACE_EXEC], 1);
	assert_int_equal(s->sent[TRACE_EXIT], 2);
	assert_all_is_counted(s);
}

/* Each one is another event, and nobody reads. */
static int change_ids_often(void *arg)
{
	for (unsigned int i = 0; i < 20000; i++)
		if (setresgid(1000 + i, 0, 0) < 0)
			return 1;
	return become_true(NULL);
}

static void a_flood_leaves_room_for_processes(void **state)
{
	const struct trace_stats *s;

	needs_root();
	start(TRACE_PRIVILEGES | TRACE_PROCESSES);
	s = env.box.stats;
	assert_int_equal(run_in(env.box.group, change_ids_often, NULL, NULL), 0);
	assert_true(s->lost[TRACE_PRIVILEGE] > 0 && s->sent[TRACE_PRIVILEGE] > 1000);
	assert_int_equal(s->sent[TRACE_EXEC], 1);
	assert_int_equal(s->sent[TRACE_EXIT], 1);
	assert_int_equal(s->lost[TRACE_EXEC] + s->lost[TRACE_EXIT], 0);
	assert_all_is_counted(s);
}

/* Long arguments, and nobody reads. */
static int execute_often(void *arg)
{
	static char text[2 * TRACE_TEXT_MAX];
	char *const argv[] = { "true", text, NULL };

	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 400; i++) {
		pid_t pid;

		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, argv + 2) != 0 ||
		    waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return unshare(CLONE_NEWUTS) < 0 ? 2 : 0;
}

static void a_flood_of_programs_leaves_room_for_privileges(void **state)
{
	const struct trace_exec *x = NULL, *next;
	const struct trace_privilege *p;
	size_t at = 0;

	needs_root();
	start(TRACE_PRIVILEGES | TRACE_PROCESSES);
	assert_int_equal(run_in(env.box.group, execute_often, NULL, NULL), 0);
	assert_int_equal(env.box.stats->sent[TRACE_EXEC], 400);
	assert_int_equal(env.box.stats->lost[TRACE_PRIVILEGE], 0);
	read_events(&env.box);
	p = only_event(&env.box, TRACE_PRIVILEGE);
	assert_int_equal(p->call, SYS_unshare);
	/* The first ones have their arguments, the last one has its path. */
	for (next = next_event(&env.box, TRACE_EXEC, &at); next;
	     next = next_event(&env.box, TRACE_EXEC, &at)) {
		assert_int_equal(next->head.flags, TRACE_CUT);
		if (!x)
			assert_true(next->lengths[TRACE_ARGUMENTS] > 0);
		x = next;
	}
	assert_int_equal(x->lengths[TRACE_ARGUMENTS], 0);
	assert_string_equal(TEXT(x, TRACE_CALLED), "/bin/true");
	assert_all_is_counted(env.box.stats);
}

/* --- connections --- */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int talk(void *arg)
{
	struct sockaddr_in to = loopback(9), here = loopback(0);
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(9),
				    .sin6_addr = in6addr_loopback };
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int tcp6 = socket(AF_INET6, SOCK_STREAM, 0);

	if (unshare(CLONE_NEWNET) < 0)
		return 1;
	if (bind(udp, (struct sockaddr *)&here, sizeof(here)) < 0)
		return 2;
	connect(tcp, (struct sockaddr *)&to, sizeof(to));
	connect(tcp6, (struct sockaddr *)&to6, sizeof(to6));
	for (int i = 0; i < 50; i++)
		sendto(udp, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	to.sin_port = htons(10);
	sendto(udp, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	return 0;
}

static const struct trace_socket *next_socket(enum trace_type type, size_t *at,
					      unsigned int call, uint16_t port,
					      enum trace_verdict verdict)
{
	const struct trace_socket *x = next_event(&env.box, type, at);

	assert_non_null(x);
	assert_int_equal(x->call, call);
	assert_int_equal(x->port, port);
	assert_int_equal(x->verdict, verdict);
	return x;
}

static void connections_are_told(void **state)
{
	static const uint8_t v4[16] = { [10] = 255, 255, 127, 0, 0, 1 },
			     v6[16] = { [15] = 1 };
	const struct trace_socket *x;
	size_t at = 0;

	needs_root();
	start(TRACE_NETWORK);
	assert_int_equal(run_in(env.box.group, talk, NULL, NULL), 0);
	read_events(&env.box);
	x = next_socket(TRACE_CONNECT, &at, TRACE_CALL_CONNECT, 9, TRACE_VERDICT_ALLOWED);
	assert_memory_equal(x->address, v4, 16);
	assert_int_equal(x->family, AF_INET);
	assert_int_equal(x->protocol, IPPROTO_TCP);
	x = next_socket(TRACE_CONNECT, &at, TRACE_CALL_CONNECT, 9, TRACE_VERDICT_ALLOWED);
	assert_memory_equal(x->address, v6, 16);
	assert_int_equal(x->family, AF_INET6);
	/* One for each place that it sends to. */
	x = next_socket(TRACE_CONNECT, &at, TRACE_CALL_SEND, 9, TRACE_VERDICT_ALLOWED);
	assert_int_equal(x->protocol, IPPROTO_UDP);
	next_socket(TRACE_CONNECT, &at, TRACE_CALL_SEND, 10, TRACE_VERDICT_ALLOWED);
	assert_null(next_event(&env.box, TRACE_CONNECT, &at));
	at = 0;
	x = next_socket(TRACE_BIND, &at, TRACE_CALL_BIND, 0, TRACE_VERDICT_ALLOWED);
	assert_memory_equal(x->address, v4, 16);
	assert_null(next_event(&env.box, TRACE_BIND, &at));
	assert_all_is_counted(env.box.stats);
}

/* As the network filter: attached before, and it says no. */
static int attach_denier(int group)
{
	struct bpf_insn no[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	_close_ int program = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "no", "GPL",
					    no, 2, &opts);

	assert_true(program >= 0);
	return kbpf_link_create(program, group, BPF_CGROUP_INET4_CONNECT);
}

static void what_the_filter_denies_is_told_as_denied(void **state)
{
	const struct trace_options o = { TRACE_NETWORK, TRACE_INNERMOST };
	_close_ int group = -1, link = -1;
	struct trace t = TRACE_EMPTY;
	struct err e;
	size_t at = 0;

	needs_root();
	start(TRACE_PROCESSES);
	link = attach_denier(env.box.group);
	assert_true(link >= 0);
	/* Started anew, as the runtime does it: after the filter. */
	assert_ok(trace_stop("box.1", &e));
	trace_clear(&env.box.trace);
	assert_ok(trace_start("box.1", env.box.group, &o, &t, &e));
	ring_buffer__free(env.box.bulk);
	env.box.bulk = ring_buffer__new(t.bulk, add_event, &env.box, NULL);
	assert_non_null(env.box.bulk);
	assert_int_equal(run_in(env.box.group, talk, NULL, NULL), 0);
	read_events(&env.box);
	next_socket(TRACE_CONNECT, &at, TRACE_CALL_CONNECT, 9, TRACE_VERDICT_DENIED);
	next_socket(TRACE_CONNECT, &at, TRACE_CALL_CONNECT, 9, TRACE_VERDICT_ALLOWED);
	trace_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_teardown(f, stop)
		TEST(denied_calls_are_told_with_who_denied_them),
		TEST(the_end_of_a_signal_handler_is_no_call),
		TEST(a_flood_of_denials_is_a_few_events),
		TEST(a_kill_by_seccomp_names_the_call),
		TEST(the_signal_alone_is_no_denial),
		TEST(changes_of_privileges_are_told_with_what_came_of_them),
		TEST(a_set_uid_program_is_told),
		TEST(mounts_are_told_with_their_paths),
		TEST(all_calls_are_counted_without_events),
		TEST(calls_that_have_no_place_are_counted_as_such),
		TEST(odd_numbers_are_one_call),
		TEST(a_flood_leaves_room_for_processes),
		TEST(a_flood_of_programs_leaves_room_for_privileges),
		TEST(connections_are_told),
		TEST(what_the_filter_denies_is_told_as_denied),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
