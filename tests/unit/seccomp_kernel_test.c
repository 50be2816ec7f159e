/* SPDX-License-Identifier: Apache-2.0 */
/* src/linux/seccomp*.c with the kernel: each test loads filters in a child and makes calls there.
 * Needs no privileges: the children set no_new_privs. */
#include "seccomp_profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define EXEC_FD 700
#define MESSAGE "{\"ociVersion\": \"1.2.0\"}"

static void make_plan(const struct oci_seccomp *engine,
		      const struct oci_seccomp *policies, size_t n, struct seccomp_plan *p)
{
	struct err e = { 0 };

	if (seccomp_plan_make(engine, policies, n, EXEC_FD, p, &e) < 0)
		fail_msg("%s", e.msg);
}

/* cmocka catches signals, and would go on with the tests in the child. */
static _Noreturn void run_child(int (*body)(const struct seccomp_plan *, int),
				const struct seccomp_plan *p, int sock)
{
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	_exit(body(p, sock));
}

/* Runs `body` in a child and gives its wait status. */
static int in_child(int (*body)(const struct seccomp_plan *, int),
		    const struct seccomp_plan *p, int sock)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		run_child(body, p, sock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool load(const struct seccomp_plan *p, int sock)
{
	struct err e = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    seccomp_plan_load(p, sock, MESSAGE, &e) == 0)
		return true;
	fprintf(stderr, "%s\n", e.msg);
	return false;
}

static void expect_exit(int status, int code)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("wait status %#x instead of exit code %d", status, code);
}

static int body_errno(const struct seccomp_plan *p, int sock)
{
	if (!load(p, sock))
		return 100;
	if (syscall(SYS_getppid) != -1 || errno != 77)
		return 1;
	if (syscall(SYS_dup3, 0, 1, 0x55) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_dup3, 0, 0, 0x54) != -1 || errno != EINVAL)
		return 3;
	return 0;
}

static void test_denied_calls_fail_with_their_errno(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	strv_add(&p.flags, "SECCOMP_FILTER_FLAG_TSYNC");
	strv_add(&p.flags, "SECCOMP_FILTER_FLAG_LOG");
	strv_add(&p.flags, "SECCOMP_FILTER_FLAG_SPEC_ALLOW");
	profile_rule(&p, "getppid", "SCMP_ACT_ERRNO")->errno_ret = (struct opt_u32){ true,
										     77 };
	rule_arg(profile_rule(&p, "dup3", "SCMP_ACT_ERRNO"), 2, "SCMP_CMP_EQ", 0x55, 0);
	make_plan(&p, NULL, 0, &plan);
	expect_exit(in_child(body_errno, &plan, -1), 0);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

static int body_getppid(const struct seccomp_plan *p, int sock)
{
	if (!load(p, sock))
		return 100;
	syscall(SYS_getppid);
	return 0;
}

static void test_kill_and_trap_end_the_process(void **state)
{
	static const char *const kills[] = { "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD",
					     "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP" };

	for (size_t i = 0; i < ARRAY_SIZE(kills); i++) {
		struct seccomp_plan plan;
		struct oci_seccomp p;
		int status;

		profile_init(&p, "SCMP_ACT_ALLOW");
		profile_rule(&p, "getppid", kills[i]);
		make_plan(&p, NULL, 0, &plan);
		status = in_child(body_getppid, &plan, -1);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
		seccomp_plan_clear(&plan);
		profile_clear(&p);
	}
}

static int body_all_allowed(const struct seccomp_plan *p, int sock)
{
	if (!load(p, sock))
		return 100;
	return syscall(SYS_getppid) > 0 ? 0 : 1;
}

static void test_log_lets_pass(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_LOG");
	make_plan(&p, NULL, 0, &plan);
	expect_exit(in_child(body_all_allowed, &plan, -1), 0);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

static int body_chain(const struct seccomp_plan *p, int sock)
{
	struct sock_fprog none = { 0 };

	if (!load(p, sock))
		return 100;
	if (syscall(SYS_getppid) != -1 || errno != 3)
		return 1;
	/* All filters deny seccomp(2), and did not stand in each other's way. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &none) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &none) != -1 || errno != EPERM)
		return 3;
	syscall(SYS_exit_group, 0);
	return 4;
}

/* A profile that allows nothing but the end. */
static void tight_profile(struct oci_seccomp *p)
{
	profile_init(p, "SCMP_ACT_ERRNO");
	profile_rule(p, "exit_group", "SCMP_ACT_ALLOW");
	profile_rule(p, "getppid", "SCMP_ACT_ALLOW");
}

static void test_filters_that_deny_seccomp_load_in_a_row(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p[3];

	for (uint32_t i = 0; i < 3; i++)
		tight_profile(&p[i]);
	free(p[1].syscalls.v[1].action);
	p[1].syscalls.v[1].action = strdup("SCMP_ACT_ERRNO");
	p[1].syscalls.v[1].errno_ret = (struct opt_u32){ true, 3 };
	make_plan(&p[0], &p[1], 2, &plan);
	assert_int_equal(plan.programs.n, 3);
	expect_exit(in_child(body_chain, &plan, -1), 0);
	seccomp_plan_clear(&plan);
	for (int i = 0; i < 3; i++)
		profile_clear(&p[i]);
}

/* As the container's init: the program on a descriptor that cannot be had again. */
static int body_exec_once(const struct seccomp_plan *p, int sock)
{
	/* The shell goes on when its child's exec is denied, and says so with 126. */
	char *const argv[] = { "sh", "-c", "/bin/true; [ $? = 126 ] && exec /bin/true",
			       NULL };
	char *const envp[] = { NULL };
	const struct rlimit limit = { EXEC_FD, EXEC_FD };
	int fd = open("/bin/sh", O_PATH | O_CLOEXEC);

	if (fd < 0 || dup3(fd, p->exec_fd, O_CLOEXEC) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 99;
	close(STDERR_FILENO);
	if (!load(p, sock))
		return 100;
	syscall(SYS_execveat, p->exec_fd, "", argv, envp, AT_EMPTY_PATH);
	return 98;
}

static void test_exec_once_starts_the_program_and_no_other(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p[2];
	int status;

	profile_init(&p[0], "SCMP_ACT_ALLOW");
	p[0].exec_once = true;
	/* A profile beside it that knows of no exec at all. */
	profile_init(&p[1], "SCMP_ACT_ALLOW");
	profile_rule(&p[1], "execve", "SCMP_ACT_ERRNO");
	profile_rule(&p[1], "execveat", "SCMP_ACT_ERRNO");
	for (size_t i = 0; i < 2; i++) {
		make_plan(i ? &p[1] : NULL, p, 1, &plan);
		assert_true(plan.exec_once);
		status = in_child(body_exec_once, &plan, -1);
		expect_exit(status, 126);
		seccomp_plan_clear(&plan);
	}
	profile_clear(&p[0]);
	profile_clear(&p[1]);
}

/* An exec that is not the first one, by the path that the first one took. */
static int body_exec_again(const struct seccomp_plan *p, int sock)
{
	char *const argv[] = { "true", NULL };
	int fd = open("/bin/true", O_PATH | O_CLOEXEC);

	if (!load(p, sock))
		return 100;
	if (syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH) != -1 || errno != EPERM)
		return 1;
	if (syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0) != -1 ||
	    errno != EPERM)
		return 2;
	if (syscall(SYS_execve, "/bin/true", argv, NULL) != -1 || errno != EPERM)
		return 3;
	/* The number that is allowed, with nothing behind it. */
	if (syscall(SYS_execveat, EXEC_FD, "", argv, NULL, AT_EMPTY_PATH) != -1 ||
	    errno != EBADF)
		return 4;
	return 0;
}

static void test_exec_once_allows_one_number_only(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	p.exec_once = true;
	make_plan(NULL, &p, 1, &plan);
	expect_exit(in_child(body_exec_again, &plan, -1), 0);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

/* The listener and the message, from the socket. */
static int receive_listener(int sock)
{
	char text[256], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;
	int fd;

	assert_int_equal(n, strlen(MESSAGE));
	assert_memory_equal(text, MESSAGE, n);
	c = CMSG_FIRSTHDR(&m);
	assert_non_null(c);
	assert_int_equal(c->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Answers calls until the process is gone: getppid with 4242, all others go on. Returns how many
 * were asked about. (Before Linux 6.11 nothing but poll() says that the process is gone.) */
static int serve(int listener)
{
	struct pollfd fd = { .fd = listener, .events = POLLIN };
	int n = 0;

	for (;;) {
		struct seccomp_notif req = { 0 };
		struct seccomp_notif_resp resp = { 0 };

		if (poll(&fd, 1, -1) != 1 || !(fd.revents & POLLIN) ||
		    ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
			return n;
		n++;
		resp.id = req.id;
		if (req.data.nr == SYS_getppid)
			resp.val = 4242;
		else
			resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	}
}

static int body_notify(const struct seccomp_plan *p, int sock)
{
	struct dirent *d;
	int tasks = 0;
	DIR *dir;

	if (!load(p, sock))
		return 100;
	if (syscall(SYS_getppid) != 4242)
		return 1;
	/* No process is left behind, nor a thread (which may take a moment to be gone; to sleep is
	 * denied). */
	if (waitpid(-1, NULL, __WALL) != -1 || errno != ECHILD)
		return 2;
	for (int i = 0; i < 100000 && tasks != 1; i++) {
		if (i > 0)
			sched_yield();
		dir = opendir("/proc/self/task");
		for (tasks = 0; dir && (d = readdir(dir));)
			tasks += *d->d_name != '.';
		closedir(dir);
	}
	return tasks == 1 ? 0 : 3;
}

/* Loads and runs `body` with an agent here; gives the wait status and the number of calls that
 * were asked about. */
static int with_agent(int (*body)(const struct seccomp_plan *, int),
		      const struct seccomp_plan *p, int *ret_asked)
{
	int pair[2], listener, status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pair[0]);
		run_child(body, p, pair[1]);
	}
	close(pair[1]);
	listener = receive_listener(pair[0]);
	*ret_asked = serve(listener);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(listener);
	close(pair[0]);
	return status;
}

static void test_the_agent_gets_the_listener(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p[2];
	int asked;

	profile_init(&p[0], "SCMP_ACT_ALLOW");
	strv_add(&p[0].flags, "SECCOMP_FILTER_FLAG_TSYNC");
	p[0].listener_path = strdup("/run/agent");
	profile_rule(&p[0], "getppid", "SCMP_ACT_NOTIFY");
	/* What sends the listener is denied to the container, by another filter and by this. */
	profile_rule(&p[0], "sendmsg", "SCMP_ACT_KILL_PROCESS");
	profile_rule(&p[0], "nanosleep", "SCMP_ACT_KILL_PROCESS");
	profile_rule(&p[0], "clock_nanosleep", "SCMP_ACT_KILL_PROCESS");
	profile_init(&p[1], "SCMP_ACT_ALLOW");
	strv_add(&p[1].flags, "SECCOMP_FILTER_FLAG_TSYNC");
	profile_rule(&p[1], "sendmsg", "SCMP_ACT_KILL_PROCESS");
	profile_rule(&p[1], "clone", "SCMP_ACT_KILL_PROCESS");
	profile_rule(&p[1], "clone3", "SCMP_ACT_KILL_PROCESS");
	for (size_t n = 0; n < 2; n++) {
		make_plan(&p[0], &p[1], n, &plan);
		expect_exit(with_agent(body_notify, &plan, &asked), 0);
		assert_int_equal(asked, 1);
		seccomp_plan_clear(&plan);
	}
	profile_clear(&p[0]);
	profile_clear(&p[1]);
}

/* The agent decides about every call, from the execve that starts the program on. */
static int body_notify_all(const struct seccomp_plan *p, int sock)
{
	char *const argv[] = { "true", NULL };
	char *const envp[] = { NULL };

	if (!load(p, sock))
		return 100;
	syscall(SYS_execve, "/bin/true", argv, envp);
	return 1;
}

static void test_notify_as_default_action(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;
	int asked;

	profile_init(&p, "SCMP_ACT_NOTIFY");
	p.listener_path = strdup("/run/agent");
	make_plan(&p, NULL, 0, &plan);
	expect_exit(with_agent(body_notify_all, &plan, &asked), 0);
	assert_true(asked > 3);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

static int body_no_agent(const struct seccomp_plan *p, int sock)
{
	struct err e = { 0 };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (seccomp_plan_load(p, sock, MESSAGE, &e) >= 0 || e.code != EPIPE)
		return 1;
	return strstr(e.msg, "/run/agent") ? 0 : 2;
}

static void test_an_agent_that_is_gone_is_an_error(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;
	int pair[2];

	profile_init(&p, "SCMP_ACT_ALLOW");
	p.listener_path = strdup("/run/agent");
	profile_rule(&p, "getppid", "SCMP_ACT_NOTIFY");
	make_plan(&p, NULL, 0, &plan);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[0]);
	expect_exit(in_child(body_no_agent, &plan, pair[1]), 0);
	close(pair[1]);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

/* A filter that the kernel refuses: an error, and the sender is gone. */
static int body_refused(const struct seccomp_plan *p, int sock)
{
	struct err e = { 0 };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	p->programs.v[0].insns[0].code = 0xffff;
	if (seccomp_plan_load(p, sock, MESSAGE, &e) >= 0 || e.code != EINVAL)
		return 1;
	return syscall(SYS_getppid) > 0 ? 0 : 2;
}

static void test_a_refused_filter_is_an_error(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;
	int pair[2];

	profile_init(&p, "SCMP_ACT_ALLOW");
	p.listener_path = strdup("/run/agent");
	profile_rule(&p, "getppid", "SCMP_ACT_NOTIFY");
	make_plan(&p, NULL, 0, &plan);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	expect_exit(in_child(body_refused, &plan, pair[1]), 0);
	close(pair[0]);
	close(pair[1]);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

static int body_no_socket(const struct seccomp_plan *p, int sock)
{
	struct err e = { 0 };

	return seccomp_plan_load(p, -1, MESSAGE, &e) == -EBADF ? 0 : 1;
}

static void test_a_listener_needs_a_socket(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_NOTIFY");
	p.listener_path = strdup("/run/agent");
	make_plan(&p, NULL, 0, &plan);
	expect_exit(in_child(body_no_socket, &plan, -1), 0);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied_calls_fail_with_their_errno),
		cmocka_unit_test(test_kill_and_trap_end_the_process),
		cmocka_unit_test(test_log_lets_pass),
		cmocka_unit_test(test_filters_that_deny_seccomp_load_in_a_row),
		cmocka_unit_test(test_exec_once_starts_the_program_and_no_other),
		cmocka_unit_test(test_exec_once_allows_one_number_only),
		cmocka_unit_test(test_the_agent_gets_the_listener),
		cmocka_unit_test(test_notify_as_default_action),
		cmocka_unit_test(test_an_agent_that_is_gone_is_an_error),
		cmocka_unit_test(test_a_refused_filter_is_an_error),
		cmocka_unit_test(test_a_listener_needs_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
