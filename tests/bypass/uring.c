// SPDX-License-Identifier: Apache-2.0
/*
 * io_uring: the kernel makes sockets, connects and sends without those system calls, also by a
 * thread of its own. See bypass.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bypass.h"

#define ENTRIES 4
#define IDLE 1000 /* of the kernel's thread, milliseconds */

struct ring {
	int fd;
	bool polled;
	uint8_t *sq, *cq;
	struct io_uring_params p;
	struct io_uring_sqe *sqes;
};

static int ring_make(bool polled, struct ring *ret)
{
	struct ring r = { .polled = polled };
	size_t sq_len, cq_len;

	if (polled) {
		r.p.flags = IORING_SETUP_SQPOLL;
		r.p.sq_thread_idle = IDLE;
	}
	r.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r.p);
	if (r.fd < 0)
		return -errno;
	sq_len = r.p.sq_off.array + r.p.sq_entries * sizeof(uint32_t);
	cq_len = r.p.cq_off.cqes + r.p.cq_entries * sizeof(struct io_uring_cqe);
	r.sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
		    IORING_OFF_SQ_RING);
	r.cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
		    IORING_OFF_CQ_RING);
	r.sqes = mmap(NULL, r.p.sq_entries * sizeof(*r.sqes), PROT_READ | PROT_WRITE,
		      MAP_SHARED, r.fd, IORING_OFF_SQES);
	if (r.sq == MAP_FAILED || r.cq == MAP_FAILED || r.sqes == MAP_FAILED)
		return -errno;
	*ret = r;
	return 0;
}

static uint32_t *word(uint8_t *ring, uint32_t offset)
{
	return (uint32_t *)(void *)(ring + offset);
}

/* Submits one, waits for it, and returns its result. */
static int ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	uint32_t mask = *word(r->sq, r->p.sq_off.ring_mask);
	uint32_t *tail = word(r->sq, r->p.sq_off.tail),
		 *head = word(r->cq, r->p.cq_off.head);
	unsigned int flags = IORING_ENTER_GETEVENTS;
	struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);
	int res;

	r->sqes[*tail & mask] = *sqe;
	word(r->sq, r->p.sq_off.array)[*tail & mask] = *tail & mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (r->polled)
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, flags, NULL, 0) < 0)
		return -errno;
	while (__atomic_load_n(word(r->cq, r->p.cq_off.tail), __ATOMIC_ACQUIRE) == *head)
		if (syscall(SYS_io_uring_enter, r->fd, 0, 1, flags, NULL, 0) < 0)
			return -errno;
	res = cqes[*head & *word(r->cq, r->p.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

/* n: the kernel's thread polls; m: the ring makes the socket */
static int ring_socket(const struct attempt *a, int type, struct ring *ring)
{
	struct io_uring_sqe make = { .opcode = IORING_OP_NOP };
	int r = ring_make(a->n, ring);

	if (r < 0)
		return r;
	if (!a->m)
		return new_socket(strchr(a->text, ':') ? AF_INET6 : AF_INET, type, 0);
	make.opcode = 45; /* IORING_OP_SOCKET, Linux 5.19 */
	make.fd = strchr(a->text, ':') ? AF_INET6 : AF_INET;
	make.off = (uint64_t)type;
	return ring_do(ring, &make);
}

static int try_connect(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT };
	struct ring ring;
	int fd = ring_socket(a, SOCK_STREAM, &ring), r;

	if (fd < 0)
		return fd;
	sqe.fd = fd;
	sqe.addr = (uintptr_t)sa(&to);
	sqe.off = to.len;
	r = ring_do(&ring, &sqe);
	/* Nobody listens: it was there. */
	return r == -ECONNREFUSED || r > 0 ? 0 : r;
}

static int try_sendmsg(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	struct iovec iov = { attempt_mark, strlen(attempt_mark) };
	struct msghdr m = {
		.msg_name = &to.sa, .msg_namelen = to.len, .msg_iov = &iov, .msg_iovlen = 1
	};
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SENDMSG };
	struct ring ring;
	int fd = ring_socket(a, SOCK_DGRAM, &ring), r;

	if (fd < 0)
		return fd;
	sqe.fd = fd;
	sqe.addr = (uintptr_t)&m;
	sqe.len = 1;
	r = ring_do(&ring, &sqe);
	return r > 0 ? 0 : r;
}

static int try_setup(const struct attempt *a)
{
	struct ring ring;

	return ring_make(a->n, &ring);
}

static const struct attempt uring[] = {
	{ "setup", try_setup, .judge = CALL },
	{ "connect", try_connect, .text = DENIED4 },
	{ "connect-ipv6", try_connect, .text = DENIED6 },
	{ "connect-mapped", try_connect, .text = "::ffff:" DENIED4 },
	{ "connect-polled", try_connect, .text = DENIED4, .n = 1 },
	{ "sendmsg", try_sendmsg, .text = DENIED4 },
	{ "sendmsg-ipv6", try_sendmsg, .text = DENIED6 },
	{ "sendmsg-polled", try_sendmsg, .text = DENIED4, .n = 1 },
	{ "own-socket", try_sendmsg, .text = DENIED4, .m = 1 },
	{ "own-socket-polled", try_connect, .text = DENIED4, .n = 1, .m = 1 },
};
const struct group uring_group = { "io_uring", uring, ARRAY_SIZE(uring) };
