/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See seccomp_denied.h. A program is followed for each number on all ways that the arguments, which
 * are not known, leave open. Runs in the runtime; pure.
 */
#include "linux/seccomp_denied.h"

#include <linux/seccomp.h>
#include <string.h>

#include "linux/seccomp_filter.h"

/* What a call may come to. */
#define MAY_PASS 1u
#define MAY_FAIL 2u
#define MAY_BE_ASKED 4u

static unsigned int outcome(uint32_t action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
		return MAY_FAIL;
	case SECCOMP_RET_USER_NOTIF:
	case SECCOMP_RET_TRACE:
		return MAY_BE_ASKED;
	default:
		return MAY_PASS;
	}
}

/* Places from which a way is still to be followed, with an accumulator that is not known. */
struct ways {
	bool seen[BPF_MAXINSNS];
	uint16_t open[BPF_MAXINSNS];
	size_t n;
};

static void add_way(struct ways *w, size_t at)
{
	if (at >= BPF_MAXINSNS || w->seen[at])
		return;
	w->seen[at] = true;
	w->open[w->n++] = (uint16_t)at;
}

/* One way from `at` up to its end, or to where it parts. The instructions that seccomp_bpf.c writes. */
static unsigned int follow(const struct seccomp_program *p, size_t at, bool known,
			   uint32_t nr, uint32_t arch, struct ways *w)
{
	uint32_t a = 0;

	for (; at < p->n; at++) {
		const struct sock_filter *in = &p->insns[at];

		if (in->code == (BPF_RET | BPF_K))
			return outcome(in->k);
		if (in->code == (BPF_LD | BPF_W | BPF_ABS)) {
			known = in->k < offsetof(struct seccomp_data, instruction_pointer);
			a = in->k == offsetof(struct seccomp_data, nr) ? nr : arch;
		} else if (in->code == (BPF_ALU | BPF_AND | BPF_K)) {
			a &= in->k;
		} else if (in->code == (BPF_JMP | BPF_JA)) {
			at += in->k;
		} else if (known) {
			at += seccomp_jump_is_taken(in, a) ? in->jt : in->jf;
		} else {
			add_way(w, at + 1 + in->jt);
			add_way(w, at + 1 + in->jf);
			return 0;
		}
	}
	return MAY_PASS;
}

static unsigned int outcomes(const struct seccomp_program *p, uint32_t nr, uint32_t arch,
			     struct ways *w)
{
	unsigned int all;

	memset(w->seen, 0, p->n);
	all = follow(p, 0, true, nr, arch, w);
	while (w->n)
		all |= follow(p, w->open[--w->n], false, nr, arch, w);
	return all;
}

static void set_call(struct trace_calls *calls, uint32_t nr)
{
	calls->bits[nr / 64] |= 1ull << (nr % 64);
}

void seccomp_denied_calls(const struct seccomp_plan *plan, struct trace_calls *ret_always,
			  struct trace_calls *ret_some)
{
	const struct seccomp_arch *native = seccomp_arch_find_native();
	struct ways ways = { .n = 0 };

	memset(ret_always, 0, sizeof(*ret_always));
	memset(ret_some, 0, sizeof(*ret_some));
	for (uint32_t nr = 0; native && nr < TRACE_CALLS; nr++) {
		bool always = false, some = false;

		for (size_t i = 0; i < plan->programs.n; i++) {
			unsigned int all = outcomes(&plan->programs.v[i], nr,
						    native->audit, &ways);

			always |= all == MAY_FAIL;
			some |= (all & (MAY_FAIL | MAY_BE_ASKED)) != 0;
		}
		if (always)
			set_call(ret_always, nr);
		else if (some)
			set_call(ret_some, nr);
	}
}
