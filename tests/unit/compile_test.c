/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler of the `syscalls` section: random policies, compiled, against what the policy says
 * read rule by rule; the default profile, also in the kernel; and the mistakes it refuses. Needs
 * no privileges.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "linux/seccomp.h"
#include "policy/arg_width.h"
#include "policy/merge.h"
#include "policy/seccomp_default.h"
#include "policy_build.h"

#define SEED UINT64_C(20240601)
#define POLICIES 1500
#define CALLS_PER_POLICY 200

enum outcome { ALLOWED, LOGGED, DENIED, KILLED, NOT_BUILT };

/* What the policy says, rule by rule. */

static bool condition_holds(const struct policy_condition *c, const uint64_t *args)
{
	uint64_t x = args[c->arg];

	switch (c->op) {
	case POLICY_OP_EQ:
		return x == c->value;
	case POLICY_OP_NEQ:
		return x != c->value;
	case POLICY_OP_LT:
		return x < c->value;
	case POLICY_OP_LTE:
		return x <= c->value;
	case POLICY_OP_GT:
		return x > c->value;
	case POLICY_OP_GTE:
		return x >= c->value;
	case POLICY_OP_MASKED_EQ:
		return (x & c->mask) == c->value;
	case POLICY_OP_MASKED_NEQ:
		return (x & c->mask) != c->value;
	}
	abort();
}

static bool rule_holds(const struct policy_syscall_rule *r, const uint64_t *args)
{
	size_t i;

	for (i = 0; i < r->conditions.n; i++)
		if (!condition_holds(&r->conditions.v[i], args))
			return false;
	return true;
}

/* Is there a rule of this action for the call; plain, or with conditions that hold? */
static bool has_rule(const struct policy *p, const char *call, enum policy_action action,
		     bool plain, const uint64_t *args)
{
	size_t i;

	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		const struct policy_syscall_rule *r = &p->syscalls.advanced_rules.v[i];

		if (streq(r->syscall, call) && r->action == action &&
		    (r->conditions.n == 0) == plain && (!args || rule_holds(r, args)))
			return true;
	}
	return false;
}

static bool has_name(const policy_names *l, const char *call)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (streq(l->v[i].name, call))
			return true;
	return false;
}

static bool in_list(const char *const *l, const char *call)
{
	for (; *l; l++)
		if (streq(*l, call))
			return true;
	return false;
}

static bool default_allows(const char *call, const uint64_t *args)
{
	const struct seccomp_default_rule *r;
	size_t i;

	if (in_list(seccomp_default_plain, call))
		return true;
	for (r = seccomp_default_rules; r->name; r++) {
		bool all = streq(r->name, call);

		for (i = 0; i < r->n_conds && all; i++) {
			uint64_t x = args[r->conds[i].arg], v = r->conds[i].value;

			all = r->conds[i].op == COND_EQ ? x == v :
			      r->conds[i].op == COND_NE ? x != v :
			      r->conds[i].op == COND_LE ? x <= v :
			      r->conds[i].op == COND_GE ? x >= v :
							  (x & r->conds[i].mask) == v;
		}
		if (all)
			return true;
	}
	return false;
}

static bool is_granted(const struct policy *p, const char *call, const uint64_t *args)
{
	bool plain_deny = has_name(&p->syscalls.deny, call) ||
			  has_rule(p, call, POLICY_DENY, true, NULL);
	bool plain_allow = has_name(&p->syscalls.allow, call) ||
			   has_rule(p, call, POLICY_ALLOW, true, NULL);
	bool has_conditional = has_rule(p, call, POLICY_ALLOW, false, NULL);
	bool conditional = has_rule(p, call, POLICY_ALLOW, false, args);

	if (has_rule(p, call, POLICY_LOG, false, args))
		return true;
	if (plain_deny)
		return conditional;
	if (has_rule(p, call, POLICY_LOG, true, NULL))
		return true;
	if (plain_allow)
		return !has_conditional || conditional;
	if (conditional)
		return true;
	return p->syscalls.default_deny ? in_list(seccomp_default_essential, call) :
					  default_allows(call, args);
}

static bool is_named(const struct policy *p, const char *call)
{
	size_t i;

	for (i = 0; i < p->syscalls.advanced_rules.n; i++)
		if (streq(p->syscalls.advanced_rules.v[i].syscall, call))
			return true;
	return has_name(&p->syscalls.allow, call) || has_name(&p->syscalls.deny, call);
}

/* An int argument that some rule speaks of, with something in its upper half. */
static bool has_upper_half(const struct policy *p, const char *call, const uint64_t *args)
{
	size_t i, k;

	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		const struct policy_syscall_rule *r = &p->syscalls.advanced_rules.v[i];

		for (k = 0; streq(r->syscall, call) && k < r->conditions.n; k++) {
			uint32_t arg = r->conditions.v[k].arg;

			if (!syscall_arg_is_wide(call, arg) && args[arg] >> 32)
				return true;
		}
	}
	return false;
}

static enum outcome expected(const struct policy *p, const char *call, const uint64_t *args)
{
	enum outcome denied = p->syscalls.kill_on_violation ? KILLED : DENIED;
	bool plain_deny = has_name(&p->syscalls.deny, call) ||
			  has_rule(p, call, POLICY_DENY, true, NULL);

	if (streq(call, "clone3") && !is_named(p, call))
		return NOT_BUILT;
	if (has_rule(p, call, POLICY_KILL, true, NULL) ||
	    has_rule(p, call, POLICY_KILL, false, args))
		return KILLED;
	if (has_rule(p, call, POLICY_DENY, false, args) || has_upper_half(p, call, args))
		return denied;
	if (!is_granted(p, call, args))
		return denied;
	if (has_rule(p, call, POLICY_LOG, false, args) ||
	    (has_rule(p, call, POLICY_LOG, true, NULL) && !plain_deny))
		return LOGGED;
	return ALLOWED;
}

/* What the profile does; fails the test when rules that overlap disagree. */

static bool arg_holds(const struct oci_seccomp_arg *a, const uint64_t *args)
{
	uint64_t x = args[a->index];

	if (streq(a->op, "SCMP_CMP_EQ"))
		return x == a->value;
	if (streq(a->op, "SCMP_CMP_NE"))
		return x != a->value;
	if (streq(a->op, "SCMP_CMP_LE"))
		return x <= a->value;
	if (streq(a->op, "SCMP_CMP_GE"))
		return x >= a->value;
	assert_string_equal(a->op, "SCMP_CMP_MASKED_EQ");
	return (x & a->value) == a->value_two;
}

static enum outcome outcome_of(const char *action, const struct opt_u32 *code)
{
	if (streq(action, "SCMP_ACT_ALLOW"))
		return ALLOWED;
	if (streq(action, "SCMP_ACT_LOG"))
		return LOGGED;
	if (streq(action, "SCMP_ACT_KILL_PROCESS"))
		return KILLED;
	assert_string_equal(action, "SCMP_ACT_ERRNO");
	assert_true(code->set);
	if (code->value == ENOSYS)
		return NOT_BUILT;
	assert_int_equal(code->value, EPERM);
	return DENIED;
}

static enum outcome evaluate(const struct oci_seccomp *s, const char *call,
			     const uint64_t *args)
{
	enum outcome found = ALLOWED;
	bool any = false;
	size_t i, k;

	for (i = 0; i < s->syscalls.n; i++) {
		const struct oci_syscall *sc = &s->syscalls.v[i];
		enum outcome o;

		if (!strv_contains(&sc->names, call))
			continue;
		for (k = 0; k < sc->args.n; k++)
			if (!arg_holds(&sc->args.v[k], args))
				break;
		if (k < sc->args.n)
			continue;
		o = outcome_of(sc->action, &sc->errno_ret);
		if (any)
			assert_int_equal(o, found);
		any = true;
		found = o;
	}
	return any ? found : outcome_of(s->default_action, &s->default_errno_ret);
}

/* Random policies. */

static const char *const calls[] = { "read",	   "openat", "socket", "ioctl",
				     "clone",	   "clone3", "ptrace", "personality",
				     "exit_group", "bpf",    "mmap",   "unshare" };
static const uint64_t values[] = { 0,
				   1,
				   2,
				   3,
				   7,
				   16,
				   0x80,
				   0x5412,
				   0x541c,
				   0x20000,
				   0xffffffff,
				   0x100005412,
				   UINT64_MAX,
				   0x7e020000,
				   1u << 31,
				   UINT64_C(0xffffffff80000000),
				   UINT64_C(1) << 63,
				   UINT64_MAX - 1 };
static const uint64_t masks[] = {
	1, 3, 0xf, 0x80, 0x30, 0x7e020000, 0x8000000000000001, UINT64_MAX
};

static uint64_t random_value(void)
{
	uint64_t v = random_of(values);

	if (random_one_in(3))
		v += random_below(3) - 1;
	if (random_one_in(4))
		v ^= UINT64_C(1) << random_below(64);
	return v;
}

static struct policy *random_policy(void)
{
	struct policy *p = build_policy("random");
	size_t i, k, rules = random_below(8);

	p->syscalls.default_deny = random_one_in(2);
	p->syscalls.kill_on_violation = random_one_in(4);
	build_name(&p->syscalls.allow, "execve", 1);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (random_one_in(3))
			build_name(&p->syscalls.allow, calls[i], 2);
		if (random_one_in(5))
			build_name(&p->syscalls.deny, calls[i], 3);
	}
	for (i = 0; i < rules; i++) {
		struct policy_syscall_rule *r =
			build_rule(p, random_of(calls),
				   (enum policy_action)random_below(4), 4);
		size_t conditions = random_one_in(8) ? 0 : 1 + random_below(3);

		for (k = 0; k < conditions; k++) {
			enum policy_op op = (enum policy_op)random_below(8);
			uint64_t mask = op >= POLICY_OP_MASKED_EQ ? random_of(masks) : 0;
			uint64_t value = random_value();

			if (mask && !random_one_in(8))
				value &= mask;
			build_condition(r, (uint32_t)random_below(3), op, value, mask);
		}
	}
	return p;
}

static void print_policy(const struct policy *p, const char *call, const uint64_t *args)
{
	size_t i, k;

	print_error("%s(%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
		    "), default_deny %d, kill %d, allow %d, "
		    "deny %d\n",
		    call, args[0], args[1], args[2], p->syscalls.default_deny,
		    p->syscalls.kill_on_violation, has_name(&p->syscalls.allow, call),
		    has_name(&p->syscalls.deny, call));
	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		const struct policy_syscall_rule *r = &p->syscalls.advanced_rules.v[i];

		print_error("  %s action %d:", r->syscall, (int)r->action);
		for (k = 0; k < r->conditions.n; k++)
			print_error(" [arg %u op %d value %#" PRIx64 " mask %#" PRIx64 "]",
				    r->conditions.v[k].arg, (int)r->conditions.v[k].op,
				    r->conditions.v[k].value, r->conditions.v[k].mask);
		print_error("\n");
	}
}

static void compiled_policies_do_what_their_rules_say(void **state)
{
	size_t i, k, a, compiled = 0, seen[5] = { 0 };

	random_state = SEED;
	print_message("seed %" PRIu64 "\n", SEED);
	for (i = 0; i < POLICIES; i++) {
		struct policy *p = random_policy();
		struct oci_seccomp s = { 0 };
		struct err e;
		int r = policy_compile_seccomp(p, &s, &e);

		if (r == -E2BIG) { /* allowed for a few: counted below */
			policy_free(p);
			continue;
		}
		if (r < 0)
			fail_msg("%s", e.msg);
		compiled++;
		for (k = 0; k < CALLS_PER_POLICY; k++) {
			const char *call = random_of(calls);
			uint64_t args[6] = { 0 };
			enum outcome want, got;

			for (a = 0; a < 3; a++)
				args[a] = random_value();
			want = expected(p, call, args);
			got = evaluate(&s, call, args);
			if (want != got)
				print_policy(p, call, args);
			assert_int_equal(got, want);
			seen[want]++;
		}
		json_clear(&oci_seccomp_type, &s);
		policy_free(p);
	}
	/* The cases were worth something: nearly all compiled, and every outcome was met. */
	assert_true(compiled > POLICIES * 9 / 10);
	for (i = 0; i < ARRAY_SIZE(seen); i++)
		assert_true(seen[i] > 1000);
}

/* Single promises. */

static struct oci_seccomp compile(struct policy *p)
{
	struct oci_seccomp s = { 0 };
	struct err e;

	if (policy_compile_seccomp(p, &s, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

static void assert_refused(struct policy *p, const char *beginning, const char *part)
{
	struct oci_seccomp s = { 0 };
	struct err e;

	assert_true(policy_compile_seccomp(p, &s, &e) < 0);
	assert_int_equal(e.kind, ERR_POLICY);
	assert_true(str_has_prefix(e.msg, beginning));
	if (!strstr(e.msg, part))
		fail_msg("'%s' lacks '%s'", e.msg, part);
	policy_free(p);
}

static void denying_execve_gives_exec_once(void **state)
{
	const uint64_t args[6] = { 0 };
	struct policy *p = build_policy("p");
	struct oci_seccomp s;

	s = compile(p);
	assert_false(s.exec_once);
	assert_int_equal(evaluate(&s, "execve", args), ALLOWED);
	json_clear(&oci_seccomp_type, &s);

	build_name(&p->syscalls.deny, "execve", 3);
	s = compile(p);
	assert_true(s.exec_once);
	assert_int_equal(evaluate(&s, "execve", args), DENIED);
	assert_int_equal(evaluate(&s, "execveat", args), DENIED);
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);

	/* execveat alone: programs still run others by execve. */
	p = build_policy("p");
	build_name(&p->syscalls.deny, "execveat", 3);
	s = compile(p);
	assert_false(s.exec_once);
	assert_int_equal(evaluate(&s, "execve", args), ALLOWED);
	assert_int_equal(evaluate(&s, "execveat", args), DENIED);
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);
}

static void an_allow_list_without_execve_gives_exec_once(void **state)
{
	const uint64_t args[6] = { 0 };
	struct policy *p = build_policy("p");
	struct oci_seccomp s;

	p->syscalls.default_deny = true;
	build_name(&p->syscalls.allow, "read", 3);
	s = compile(p);
	assert_true(s.exec_once);
	assert_int_equal(evaluate(&s, "read", args), ALLOWED);
	assert_int_equal(evaluate(&s, "write", args), DENIED);
	assert_int_equal(evaluate(&s, "exit_group", args), ALLOWED);
	assert_int_equal(evaluate(&s, "rt_sigreturn", args), ALLOWED);
	assert_int_equal(evaluate(&s, "clone3", args), NOT_BUILT);
	json_clear(&oci_seccomp_type, &s);

	build_name(&p->syscalls.allow, "execve", 4);
	s = compile(p);
	assert_false(s.exec_once);
	assert_int_equal(evaluate(&s, "execve", args), ALLOWED);
	assert_int_equal(evaluate(&s, "execveat", args), DENIED);
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);
}

static void rules_that_cannot_hold_are_refused_with_their_line(void **state)
{
	struct policy *p;
	int i;

	p = build_policy("p");
	build_name(&p->syscalls.deny, "execve", 3);
	build_name(&p->syscalls.allow, "execveat", 5);
	assert_refused(p, "policy test.yaml:5:1: ", "'execveat' cannot hold");

	p = build_policy("p");
	build_name(&p->syscalls.deny, "execve", 3);
	build_condition(build_rule(p, "execve", POLICY_ALLOW, 6), 0, POLICY_OP_NEQ, 0, 0);
	assert_refused(p, "policy test.yaml:6:1: ", "'execve' cannot hold");

	p = build_policy("p");
	build_rule(p, "execve", POLICY_KILL, 8);
	assert_refused(p, "policy test.yaml:8:1: ", "kill the agent's own start");

	/* (x & 0xffffffff) != v twice is 32 times 32 conjunctions. */
	p = build_policy("p");
	for (i = 0; i < 2; i++)
		build_condition(build_rule(p, "fcntl", POLICY_DENY, 10 + i),
				(uint32_t)i + 1, POLICY_OP_MASKED_EQ, 5, 0xffffffff);
	assert_refused(p, "policy test.yaml:11:1: ", "'fcntl' together are too complex");
}

static void upper_halves_of_int_arguments_do_not_get_round_a_rule(void **state)
{
	const uint64_t family[6] = { 40 }, hidden[6] = { UINT64_C(1) << 32 | 40 };
	const uint64_t other[6] = { AF_UNIX, SOCK_STREAM };
	const uint64_t offset[6] = { 3, UINT64_C(1) << 40 };
	struct policy *p = build_policy("p");
	struct oci_seccomp s;

	build_name(&p->syscalls.allow, "socket", 3);
	build_condition(build_rule(p, "socket", POLICY_DENY, 4), 0, POLICY_OP_EQ, 40, 0);
	build_condition(build_rule(p, "lseek", POLICY_DENY, 5), 1, POLICY_OP_EQ, 40, 0);
	s = compile(p);
	assert_int_equal(evaluate(&s, "socket", family), DENIED);
	assert_int_equal(evaluate(&s, "socket", hidden), DENIED);
	assert_int_equal(evaluate(&s, "socket", other), ALLOWED);
	/* An offset has 64 bits. */
	assert_int_equal(evaluate(&s, "lseek", offset), ALLOWED);
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);
}

static void kill_on_violation_kills(void **state)
{
	const uint64_t args[6] = { 0 };
	struct policy *p = build_policy("p");
	struct oci_seccomp s;

	p->syscalls.kill_on_violation = true;
	build_name(&p->syscalls.deny, "mkdir", 3);
	s = compile(p);
	assert_int_equal(evaluate(&s, "mkdir", args), KILLED);
	assert_int_equal(evaluate(&s, "bpf", args), KILLED);
	assert_int_equal(evaluate(&s, "read", args), ALLOWED);
	assert_int_equal(evaluate(&s, "clone3", args), NOT_BUILT);
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);
}

static void the_default_profile_compares_what_the_kernel_sees(void **state)
{
	static const struct {
		const char *call;
		uint64_t args[3];
		enum outcome want;
	} rows[] = {
		{ "ioctl", { 0, TIOCGWINSZ }, ALLOWED },
		{ "ioctl", { 0, 0x5412 }, DENIED },
		{ "ioctl", { 0, 0x541c }, DENIED },
		/* the kernel looks at the low half alone */
		{ "ioctl", { 0, 0x100005412 }, DENIED },
		{ "ioctl", { 0, UINT64_C(0xffffffff00005412) }, DENIED },
		/* _IOR(...) through a libc that takes an int */
		{ "ioctl", { 0, 0x80045430 }, ALLOWED },
		{ "ioctl", { 0, UINT64_C(0xffffffff80045430) }, ALLOWED },
		{ "socket", { AF_UNIX, SOCK_STREAM }, ALLOWED },
		{ "socket", { AF_INET, SOCK_STREAM | SOCK_CLOEXEC }, ALLOWED },
		{ "socket", { AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK }, ALLOWED },
		{ "socket", { AF_INET, SOCK_RAW }, DENIED },
		{ "socket", { AF_INET, SOCK_PACKET }, DENIED },
		{ "socket", { AF_INET6, SOCK_RAW | SOCK_CLOEXEC }, DENIED },
		{ "socket", { UINT64_C(0x100000000) | AF_INET, SOCK_RAW }, DENIED },
		{ "socket", { UINT64_C(0x100000000) | AF_INET, SOCK_STREAM }, ALLOWED },
		{ "socket", { AF_PACKET, SOCK_DGRAM }, DENIED },
		{ "socket", { AF_VSOCK, SOCK_STREAM }, DENIED },
		{ "socket", { AF_ALG, SOCK_SEQPACKET }, DENIED },
		{ "socket", { AF_NETLINK, SOCK_RAW, 0 }, ALLOWED },
		{ "socket", { AF_NETLINK, SOCK_RAW, 12 }, DENIED },
		{ "clone", { SIGCHLD }, ALLOWED },
		{ "clone", { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND }, ALLOWED },
		{ "clone", { CLONE_NEWUSER | SIGCHLD }, DENIED },
		{ "clone", { CLONE_NEWNET }, DENIED },
		{ "unshare", { CLONE_FILES }, ALLOWED },
		{ "unshare", { CLONE_NEWNS }, DENIED },
		{ "unshare", { 0x80 }, DENIED },
		{ "personality", { 0xffffffff }, ALLOWED },
		{ "personality", { UINT64_MAX }, ALLOWED },
		{ "personality", { 0x0400000 }, DENIED },
		{ "clone3", { 0 }, NOT_BUILT },
		{ "setns", { 0 }, DENIED },
		{ "ptrace", { 0 }, DENIED },
		{ "process_vm_readv", { 0 }, DENIED },
		{ "io_uring_setup", { 0 }, DENIED },
		{ "mount", { 0 }, DENIED },
		{ "chroot", { 0 }, DENIED },
		{ "open_by_handle_at", { 0 }, DENIED },
		{ "add_key", { 0 }, DENIED },
	};
	struct policy *p = build_policy("p");
	struct oci_seccomp s = compile(p);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t args[6] = { rows[i].args[0], rows[i].args[1], rows[i].args[2] };

		if (evaluate(&s, rows[i].call, args) != rows[i].want)
			fail_msg("row %zu: %s(%#" PRIx64 ", %#" PRIx64 ")", i,
				 rows[i].call, args[0], args[1]);
	}
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);
}

/* In a child under the default profile: the number of the first step that is not as it should be. */
static int try_calls(void)
{
	void *page;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 1;
	if (socket(AF_PACKET, SOCK_DGRAM, 0) != -1 || errno != EPERM)
		return 2;
	if (unshare(CLONE_NEWUSER) != -1 || errno != EPERM)
		return 3;
	if (syscall(SYS_ioctl, 0, 0x5412ul, "x") != -1 || errno != EPERM)
		return 4;
	if (syscall(SYS_ioctl, 0, 0x100005412ul, "x") != -1 || errno != EPERM)
		return 5;
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 6;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM)
		return 7;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || munmap(page, 4096) < 0)
		return 8;
	if (getpid() <= 0 || write(-1, "", 0) != -1 || errno != EBADF)
		return 9;
	return 0;
}

static void the_kernel_enforces_the_default_profile(void **state)
{
	struct policy *p = build_policy("p");
	struct oci_seccomp s = compile(p);
	struct seccomp_plan plan = { 0 };
	int status = 0;
	struct err e;
	pid_t pid;

	if (seccomp_plan_make(NULL, &s, 1, -1, &plan, &e) < 0)
		fail_msg("%s", e.msg);
	pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_plan_load(&plan, -1, NULL, &e) < 0)
			_exit(100);
		_exit(try_calls());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	seccomp_plan_clear(&plan);
	json_clear(&oci_seccomp_type, &s);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled_policies_do_what_their_rules_say),
		cmocka_unit_test(denying_execve_gives_exec_once),
		cmocka_unit_test(an_allow_list_without_execve_gives_exec_once),
		cmocka_unit_test(rules_that_cannot_hold_are_refused_with_their_line),
		cmocka_unit_test(upper_halves_of_int_arguments_do_not_get_round_a_rule),
		cmocka_unit_test(kill_on_violation_kills),
		cmocka_unit_test(the_default_profile_compares_what_the_kernel_sees),
		cmocka_unit_test(the_kernel_enforces_the_default_profile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
