/* SPDX-License-Identifier: Apache-2.0 */
/* Between seccomp.c, which says what a filter decides, and seccomp_bpf.c, which writes it as BPF.
 * For these two files and their tests. */
#ifndef PURPLE_LINUX_SECCOMP_BPF_H
#define PURPLE_LINUX_SECCOMP_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

enum seccomp_op {
	SECCOMP_OP_EQ,
	SECCOMP_OP_NE,
	SECCOMP_OP_LT,
	SECCOMP_OP_LE,
	SECCOMP_OP_GE,
	SECCOMP_OP_GT,
	SECCOMP_OP_MASKED_EQ, /* (argument & mask) == value */
};

/* One comparison of an argument, unsigned, over all 64 bits. */
struct seccomp_test {
	uint8_t arg; /* 0 to 5 */
	enum seccomp_op op;
	uint64_t value;
	uint64_t mask; /* of SECCOMP_OP_MASKED_EQ */
};

/* All tests hold (none: always): this action. */
struct seccomp_match {
	uint32_t nr;
	uint32_t action;		  /* SECCOMP_RET_* with its data */
	const struct seccomp_test *tests; /* not owned */
	size_t n_tests;
	uint64_t order; /* among the matches of a number: lower first, then `seq` */
	size_t seq;
};

/* From this number on, up to the next span: the action where no match decides. */
struct seccomp_span {
	uint32_t first;
	uint32_t action;
};

/* What a filter decides for one AUDIT_ARCH_*. */
struct seccomp_table {
	uint32_t audit_arch;
	LIST_OF(struct seccomp_match) matches; /* sorted by nr, order, seq */
	LIST_OF(struct seccomp_span) spans;    /* ascending; the first starts at 0 */
};

/* The span's action for a number. */
uint32_t seccomp_table_base_action(const struct seccomp_table *t, uint32_t nr);

/*
 * Writes the tables as one program, the first table's architecture checked first; any other
 * architecture gets bad_arch_action. ret_insns is the caller's. ERR_UNSUPPORTED with E2BIG when
 * the kernel's limit of BPF_MAXINSNS is passed.
 */
int seccomp_bpf_write(const struct seccomp_table *tables, size_t n_tables,
		      uint32_t bad_arch_action, struct sock_filter **ret_insns,
		      size_t *ret_n, struct err *e);

/* Whether a conditional jump is, with this in the accumulator. */
static inline bool seccomp_jump_is_taken(const struct sock_filter *in, uint32_t a)
{
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		return a == in->k;
	case BPF_JGT:
		return a > in->k;
	case BPF_JGE:
		return a >= in->k;
	default:
		return a & in->k;
	}
}

#endif
