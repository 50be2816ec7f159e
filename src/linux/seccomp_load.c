/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads seccomp programs into the calling process: the container's init or the child of exec, as
 * its last step before execve. Needs no_new_privs or CAP_SYS_ADMIN, nothing else. Mustn't allocate
 * from the heap or log: it runs between clone and exec.
 *
 * Theory of operation, for a program with a listener
 *
 * The kernel gives the listener's descriptor to the thread that loads the program, which from
 * then on may be denied every call, or made to wait in any of them for the very agent that has
 * not got the listener yet. So a second thread sends it. It is started before the first program
 * is loaded, shares memory and descriptors, and has no filter (a filter binds the thread that
 * loads it and what it starts). It waits for the descriptor's number to appear in memory, sends
 * and closes the descriptor, and ends; the loading thread meanwhile watches memory only, without
 * a call.
 *
 * It is a thread and no process, since a process would be left behind as a zombie child of the
 * container's first process: nobody can wait for it any more. The kernel clears `tid` when the
 * thread has stopped using our memory, and execve ends what is left of it.
 *
 * SECCOMP_FILTER_FLAG_TSYNC binds all threads to the filter. Init has only one, so the flag says
 * nothing new; it is left out while the sender lives.
 */
#include "linux/seccomp.h"

#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What the loading thread tells the sender in `fd` instead of a descriptor. */
#define FD_NONE_YET (-1)
#define FD_NEVER (-2)

struct sender {
	_Atomic int fd;	    /* set by the loading thread */
	_Atomic pid_t tid;  /* cleared by the kernel when the sender has ended */
	_Atomic int result; /* 0 or -errno, set by the sender */
	int sock;
	const char *message;
	size_t len;
	char stack[64 * 1024] __attribute__((aligned(16)));
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Sends the descriptor beside the first bytes of the message, then the rest. */
static int send_listener(const struct sender *s, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)s->message, .iov_len = s->len };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	while (iov.iov_len) {
		ssize_t n = sendmsg(s->sock, &m, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= n;
		m.msg_control = NULL;
		m.msg_controllen = 0;
	}
	return 0;
}

static int sender_main(void *arg)
{
	const struct timespec nap = { .tv_nsec = 20 * 1000 };
	struct sender *s = arg;
	int fd;

	while ((fd = atomic_load(&s->fd)) == FD_NONE_YET)
		nanosleep(&nap, NULL);
	if (fd < 0)
		return 0;
	atomic_store(&s->result, send_listener(s, fd));
	close(fd);
	return 0;
}

/* Starts the sender. All signals are blocked in it: they are for the loading thread. */
static int sender_start(struct sender *s, struct err *e)
{
	int flags = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		    CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	sigset_t all, old;
	int r;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	r = clone(sender_main, s->stack + sizeof(s->stack), flags, s, &s->tid, NULL,
		  &s->tid);
	if (r < 0)
		r = err_sys(e, "cannot start a thread that sends the seccomp listener");
	else
		r = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* Hands the listener over (or FD_NEVER) and waits for the sender's end, without any call. */
static int sender_finish(struct sender *s, int fd)
{
	atomic_store(&s->fd, fd);
	while (atomic_load(&s->tid))
		relax();
	return atomic_load(&s->result);
}

static int load_program(const struct seccomp_program *p, unsigned int flags, struct err *e)
{
	struct sock_fprog prog = { .len = p->n, .filter = p->insns };
	long r;

	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (r < 0 && errno == EACCES)
		return err_sys(e,
			       "cannot load a seccomp filter: no_new_privs is not set and "
			       "CAP_SYS_ADMIN is missing (set process.noNewPrivileges)");
	if (r < 0)
		return err_sys(e, "cannot load a seccomp filter");
	if (r > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC) &&
	    !(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER))
		return err_errno(e, EBUSY,
				 "cannot load a seccomp filter: thread %ld has another", r);
	return (int)r;
}

static int load_all(const struct seccomp_plan *p, struct sender *sender,
		    int *ret_listener, struct err *e)
{
	for (size_t i = 0; i < p->programs.n; i++) {
		const struct seccomp_program *prog = &p->programs.v[i];
		unsigned int flags = prog->flags;
		int r;

		if (sender)
			flags &= ~SECCOMP_FILTER_FLAG_TSYNC;
		if (prog->notify)
			flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		r = load_program(prog, flags, e);
		if (r < 0)
			return r;
		if (prog->notify)
			*ret_listener = r;
	}
	return 0;
}

static int load_with_listener(const struct seccomp_plan *p, int sock, const char *message,
			      struct err *e)
{
	int listener = FD_NEVER;
	struct sender *s;
	int r, sent;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (s == MAP_FAILED)
		return err_oom(e);
	s->fd = FD_NONE_YET;
	s->sock = sock;
	s->message = message;
	s->len = strlen(message);
	r = sender_start(s, e);
	if (r < 0) {
		munmap(s, sizeof(*s));
		return r;
	}
	r = load_all(p, s, &listener, e);
	sent = sender_finish(s, r < 0 ? FD_NEVER : listener);
	/* munmap may be a filtered call by now: the memory goes with execve, or with us. */
	if (r < 0)
		return r;
	if (sent < 0)
		return err_errno(e, sent, "cannot send the seccomp listener to '%s'",
				 p->listener_path);
	return 0;
}

int seccomp_plan_load(const struct seccomp_plan *p, int listener_sock,
		      const char *message, struct err *e)
{
	int listener;

	if (!p->listener_path)
		return load_all(p, NULL, &listener, e);
	if (listener_sock < 0 || !message || !*message)
		return err_set(e, ERR_INTERNAL, EBADF,
			       "no socket or message for the listener");
	return load_with_listener(p, listener_sock, message, e);
}
