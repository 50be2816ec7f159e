// SPDX-License-Identifier: Apache-2.0
/*
 * What a profile says to a call: its program is run as the kernel would run it. For profiles that
 * another runtime loads. Runs in purple-network-hook; pure.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/list.h"
#include "linux/seccomp.h"
#include "linux/seccomp_filter.h"

/* The one call of i386 for all of sockets: the family is in memory, where no filter looks. */
#define I386_CALL "socketcall"
/* Its rings make sockets without a call that a filter would see (Linux 5.19). */
#define RING_CALL "io_uring_setup"
/*
 * The kernel takes the lower half of a register for a family or a type, whatever is in the upper
 * one; a filter of an engine that compares all of it may not.
 */
static const uint64_t upper_halves[] = { 0, 1ull << 32, 1ull << 63, 0xffffffffull << 32 };

static uint32_t load_word(const struct seccomp_data *d, uint32_t offset)
{
	uint32_t word = 0;

	if (offset <= sizeof(*d) - sizeof(word))
		memcpy(&word, (const char *)d + offset, sizeof(word));
	return word;
}

/* The instructions that seccomp_bpf.c writes; whatever else there were would allow. */
static uint32_t run(const struct seccomp_program *p, const struct seccomp_data *d)
{
	uint32_t a = 0;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct sock_filter *in = &p->insns[i];

		if (in->code == (BPF_RET | BPF_K))
			return in->k;
		if (in->code == (BPF_LD | BPF_W | BPF_ABS))
			a = load_word(d, in->k);
		else if (in->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= in->k;
		else if (in->code == (BPF_JMP | BPF_JA))
			i += in->k;
		else if (BPF_CLASS(in->code) == BPF_JMP && BPF_SRC(in->code) == BPF_K)
			i += seccomp_jump_is_taken(in, a) ? in->jt : in->jf;
		else
			break;
	}
	return SECCOMP_RET_ALLOW;
}

static bool is_denial(uint32_t action)
{
	action &= SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD ||
	       action == SECCOMP_RET_TRAP || action == SECCOMP_RET_ERRNO;
}

static bool denies(const struct seccomp_plan *plan, const struct seccomp_data *d)
{
	size_t i;

	for (i = 0; i < plan->programs.n; i++)
		if (is_denial(run(&plan->programs.v[i], d)))
			return true;
	return false;
}

/*
 * By the words of the profile: libseccomp, with which other runtimes load it, takes a rule about
 * socket() for one about this call in other cases than our programs do.
 */
static bool denies_i386_call(const struct oci_seccomp *s)
{
	const struct opt_u32 none = { 0 };
	bool denied = is_denial(seccomp_action_value(s->default_action, none));
	size_t i;

	if (!strv_contains(&s->architectures, "SCMP_ARCH_X86"))
		return true;
	for (i = 0; i < s->syscalls.n; i++) {
		const struct oci_syscall *rule = &s->syscalls.v[i];

		if (!strv_contains(&rule->names, I386_CALL))
			continue;
		if (!is_denial(seccomp_action_value(rule->action, none)))
			return false;
		denied |= rule->args.n == 0;
	}
	return denied;
}

/* Whatever the upper halves of the two arguments are. */
static bool denies_call(const struct seccomp_plan *plan, const struct seccomp_arch *arch,
			int64_t nr, uint32_t first, uint32_t second)
{
	size_t n = arch->is_64bit ? ARRAY_SIZE(upper_halves) : 1;
	struct seccomp_data d = { .arch = arch->audit, .nr = (int)nr };
	size_t i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++) {
			d.args[0] = upper_halves[i] | first;
			d.args[1] = upper_halves[k] | second;
			if (!denies(plan, &d))
				return false;
		}
	return true;
}

static bool arch_denies(const struct seccomp_plan *plan, const struct seccomp_arch *arch,
			int family)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW };
	static const int flags[] = { 0, SOCK_CLOEXEC, SOCK_NONBLOCK,
				     SOCK_CLOEXEC | SOCK_NONBLOCK };
	int64_t nr = seccomp_number_of(arch, "socket"),
		ring = seccomp_number_of(arch, RING_CALL);
	size_t i, k;

	for (i = 0; nr >= 0 && i < ARRAY_SIZE(types); i++)
		for (k = 0; k < ARRAY_SIZE(flags); k++)
			if (!denies_call(plan, arch, nr, (uint32_t)family,
					 (uint32_t)(types[i] | flags[k])))
				return false;
	return ring >= 0 && denies_call(plan, arch, ring, 1, 0);
}

int seccomp_denies_family(const struct oci_seccomp *s, int family, bool *ret, struct err *e)
{
	_seccomp_plan_clear_ struct seccomp_plan plan = { .exec_fd = -1 };
	const struct seccomp_arch *native = seccomp_arch_find_native();
	bool all;
	size_t i;
	int r;

	*ret = false;
	if (!s || !native)
		return 0;
	r = seccomp_check(s, e);
	if (r == 0)
		r = seccomp_plan_make(s, NULL, 0, -1, &plan, e);
	if (r < 0)
		return r;
	all = denies_i386_call(s);
	for (i = 0; all && i < seccomp_n_archs; i++)
		if (seccomp_archs[i].family == native->family)
			all = arch_denies(&plan, &seccomp_archs[i], family);
	*ret = all;
	return 0;
}
