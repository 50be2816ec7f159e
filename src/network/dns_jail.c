/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_jail.h; base/jail.h says why in this order. Runs in purple-dns, as root, once. */
#include "config.h"

#include "network/dns_jail.h"

#include <errno.h>
#include <linux/bpf.h>
#include <malloc.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/jail.h"
#include "base/list.h"
#include "network/dns_learn.h"

/* Sockets of lookups and connections, and what it is started with. */
#define DESCRIPTORS_MAX 512
#define MEMORY_MAX (512ull << 20)

/* --- limits --- */

static const struct jail_limit limits[] = {
	{ RLIMIT_NPROC, 0 },	   { RLIMIT_NOFILE, DESCRIPTORS_MAX },
	{ RLIMIT_CORE, 0 },	   { RLIMIT_MEMLOCK, 0 },
#ifndef PURPLE_SANITIZED
	{ RLIMIT_AS, MEMORY_MAX },
#endif
};

static int probe_map(void *arg)
{
	return dns_map_probe(*(const int *)arg);
}

/* --- system calls --- */

/*
 * A filter cannot look at the address that connect() is given, but at where it is. So the servers'
 * addresses are in pages that cannot be written, and memory is had by brk() alone: what mmap(),
 * mremap() or mprotect() could do is to put other pages in their place. Other libraries than glibc
 * have no such setting, and the sanitizers need these calls: there that does not hold.
 */
#if defined(__GLIBC__) && !defined(PURPLE_SANITIZED)
#define MEMORY_BY_BRK 1
#else
#define MEMORY_BY_BRK 0
#endif

static const int calls[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(brk),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(read),
	SCMP_SYS(recvfrom),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(write),
#if !MEMORY_BY_BRK
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
#endif
};

static int add_socket_rules(scmp_filter_ctx ctx)
{
	const unsigned int families[] = { AF_INET, AF_INET6 };
	const unsigned int types[] = { SOCK_DGRAM, SOCK_STREAM };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(types); k++)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
					     SCMP_A0_32(SCMP_CMP_EQ, families[i]),
					     SCMP_A1_32(SCMP_CMP_EQ, types[k] | SOCK_CLOEXEC |
									     SOCK_NONBLOCK),
					     SCMP_A2_32(SCMP_CMP_EQ, 0));
	return r;
}

static int add_bpf_rules(scmp_filter_ctx ctx)
{
	const unsigned int commands[] = { BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM,
					  BPF_MAP_DELETE_ELEM };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(commands); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, commands[i]));
	return r;
}

/* Memory: none where brk() will do, which malloc() then is told; and none that can be run. */
static int add_mmap_rule(scmp_filter_ctx ctx)
{
#if MEMORY_BY_BRK
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOMEM), SCMP_SYS(mmap), 0);
#else
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
#endif
}

/* To where, and from which sockets. */
static int add_address_rules(scmp_filter_ctx ctx, const struct dns_jail *j)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				 SCMP_A4(SCMP_CMP_EQ, 0));

	for (size_t i = 0; r == 0 && i < j->answering_count; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)j->answering[i]));
	for (size_t i = 0; r == 0 && i < j->server_count; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 1,
				     SCMP_A1(SCMP_CMP_EQ, (uintptr_t)j->servers[i]));
	return r;
}

/* The sockets above keep their numbers: no other socket can get one of them. */
static int add_close_rules(scmp_filter_ctx ctx, const struct dns_jail *j)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(close), 1,
				 SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)j->control_fd));

	return r < 0 ? r :
		       seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(close), 1,
					SCMP_A0_32(SCMP_CMP_GE, (uint32_t)j->first_own_fd));
}

static int load_filter(const struct dns_jail *j, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	if (r == 0)
		r = jail_allow_calls(ctx, calls, ARRAY_SIZE(calls));
	if (r == 0)
		r = jail_allow_reports(ctx);
	if (r == 0)
		r = add_socket_rules(ctx);
	if (r == 0)
		r = add_bpf_rules(ctx);
	if (r == 0)
		r = add_mmap_rule(ctx);
	if (r == 0)
		r = add_address_rules(ctx, j);
	if (r == 0)
		r = add_close_rules(ctx, j);
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? err_errno(e, r, "cannot set the filter of system calls") : 0;
}

int dns_jail_prepare(struct err *e)
{
#if MEMORY_BY_BRK
	if (mallopt(M_MMAP_MAX, 0) != 1)
		return err_set(e, ERR_INTERNAL, EINVAL, "cannot set how memory is had");
#endif
	return 0;
}

int dns_jail_enter(const struct dns_jail *j, struct err *e)
{
	int map = j->map_fd;
	int r = jail_enter_empty_root(e);

	if (r == 0)
		r = jail_drop_bounding(e);
	if (r == 0)
		r = jail_limit(limits, ARRAY_SIZE(limits), e);
	if (r == 0)
		r = jail_become_nobody(e);
	if (r == 0)
		r = jail_drop_caps(probe_map, &map, e);
	if (r == 0)
		r = jail_close_doors(e);
	return r < 0 ? r : load_filter(j, e);
}
