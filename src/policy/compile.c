// SPDX-License-Identifier: Apache-2.0
/*
 * From a policy's `syscalls` section to an OCI seccomp profile. Pure.
 *
 * What a call does is decided so (the first that applies):
 *
 *   kill    a `kill` rule whose conditions hold
 *   deny    a conditional `deny` rule whose conditions hold
 *   log     granted, and a `log` rule whose conditions hold
 *   allow   granted
 *   deny    everything else
 *
 * Granted is:
 *   - after a plain `deny` of the call: what its conditional `allow` and `log` rules name, alone;
 *   - else, with a plain `allow` of the call: what its conditional `allow` rules name, or
 *     everything when there are none: a conditional rule is never voided by a plain one;
 *   - else what its conditional `allow` rules name, and with `default_deny: false` also what
 *     Purple's default profile allows;
 *   - and besides, what `log` rules name.
 * `default_deny: true` also allows what a process cannot end without
 * (seccomp_default_essential), unless the policy denies it.
 *
 * A filter sees whole registers, and the kernel takes the lower half of one for an int. So where a
 * rule speaks of an argument that is no 64 bit one (arg_width.h), calls with anything in the upper
 * half of it are denied: 40 | 1 << 32 would be 40 to the kernel, and another number to the rule.
 *
 * Denied is EPERM, or the end of the process with `on_violation: kill`. The one exception is
 * clone3, whose flags no filter can see: unless the policy names it, it is ENOSYS, so that C
 * libraries go on to clone(). A policy that does not let the agent exec gives `exec_once`: the
 * agent itself is started by a way that cannot be taken twice (linux/seccomp.c).
 *
 * The outcome is disjoint sets of arguments for each call, so the profile has no rules that
 * overlap and its meaning does not depend on their order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/arg_width.h"
#include "policy/merge.h"
#include "policy/merge_parts.h"
#include "policy/seccomp_default.h"
#include "policy/seccomp_rules.h"

/* All that the policy says of one call, as sets of arguments. */
struct call {
	const char *name;
	struct policy_pos pos; /* of the rule that was read last, for messages */
	bool plain_allow, plain_deny, plain_kill, plain_log;
	/* The conditional rules: whether there are any (also such as never hold), and when one of
	 * them holds. */
	bool has_allow, has_deny, has_kill, has_log;
	struct dnf allow, deny, kill, log;
};

static void call_clear(struct call *c)
{
	dnf_clear(&c->allow);
	dnf_clear(&c->deny);
	dnf_clear(&c->kill);
	dnf_clear(&c->log);
}

static bool names_find(const policy_names *l, const char *name, struct policy_pos *ret_pos)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (streq(l->v[i].name, name)) {
			*ret_pos = l->v[i].pos;
			return true;
		}
	}
	return false;
}

static int compile_fail(const struct policy *p, const struct call *c, int r, struct err *e)
{
	if (r == -E2BIG)
		return err_set(e, ERR_POLICY, E2BIG,
			       POLICY_AT
			       "the rules for '%s' together are too complex (more than "
			       "%d combinations of conditions): write fewer conditions with masks",
			       policy_at(p, c->pos), c->name, DNF_MAX);
	return err_oom(e);
}

/* One condition in normal terms; *ret_never when it cannot hold. */
static struct cond cond_from_policy(const struct policy_condition *from, bool *ret_never)
{
	struct cond c = { .arg = from->arg, .value = from->value };

	switch (from->op) {
	case POLICY_OP_EQ:
		c.op = COND_EQ;
		break;
	case POLICY_OP_NEQ:
		c.op = COND_NE;
		break;
	case POLICY_OP_LT:
		c.op = COND_LE;
		*ret_never |= from->value == 0;
		c.value--;
		break;
	case POLICY_OP_LTE:
		c.op = COND_LE;
		break;
	case POLICY_OP_GT:
		c.op = COND_GE;
		*ret_never |= from->value == UINT64_MAX;
		c.value++;
		break;
	case POLICY_OP_GTE:
		c.op = COND_GE;
		break;
	case POLICY_OP_MASKED_EQ:
	case POLICY_OP_MASKED_NEQ: /* its caller negates it */
		c.op = COND_MASKED_EQ;
		c.mask = from->mask;
		break;
	}
	return c;
}

/* set = set OR the rule's conditions. */
static int rule_add(struct dnf *set, const struct policy_syscall_rule *rule)
{
	_dnf_clear_ struct dnf one = { 0 };
	_free_ struct cond *conds = calloc(rule->conditions.n, sizeof(*conds));
	bool never = false;
	size_t i, n = 0;
	int r;

	if (!conds)
		return -ENOMEM;
	for (i = 0; i < rule->conditions.n; i++)
		if (rule->conditions.v[i].op != POLICY_OP_MASKED_NEQ)
			conds[n++] = cond_from_policy(&rule->conditions.v[i], &never);
	if (never)
		return 0;
	r = dnf_or_conj(&one, conds, n);
	for (i = 0; r == 0 && i < rule->conditions.n; i++) {
		_dnf_clear_ struct dnf masked = { 0 };

		if (rule->conditions.v[i].op != POLICY_OP_MASKED_NEQ)
			continue;
		conds[0] = cond_from_policy(&rule->conditions.v[i], &never);
		r = dnf_or_conj(&masked, conds, 1);
		if (r == 0)
			r = dnf_and_not(&one, &masked);
	}
	return r ? r : dnf_or(set, &one);
}

/* Int arguments that the rule speaks of are ints: see above. */
static int rule_deny_upper_halves(struct dnf *deny, const struct policy_syscall_rule *rule)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < rule->conditions.n; i++) {
		struct cond c = { .arg = rule->conditions.v[i].arg,
				  .op = COND_GE,
				  .value = UINT64_C(1) << 32 };

		if (!syscall_arg_is_wide(rule->syscall, c.arg))
			r = dnf_or_conj(deny, &c, 1);
	}
	return r;
}

static int call_read(const struct policy *p, const char *name, struct call *c, struct err *e)
{
	size_t i;

	*c = (struct call){ .name = name };
	c->plain_allow = names_find(&p->syscalls.allow, name, &c->pos);
	c->plain_deny = names_find(&p->syscalls.deny, name, &c->pos);
	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		const struct policy_syscall_rule *rule = &p->syscalls.advanced_rules.v[i];
		bool plain = rule->conditions.n == 0;
		struct dnf *set = NULL;
		int r = 0;

		if (!streq(rule->syscall, name))
			continue;
		c->pos = rule->pos;
		switch (rule->action) {
		case POLICY_ALLOW:
			set = &c->allow;
			c->plain_allow |= plain;
			c->has_allow |= !plain;
			break;
		case POLICY_DENY:
			set = &c->deny;
			c->plain_deny |= plain;
			c->has_deny |= !plain;
			break;
		case POLICY_KILL:
			set = &c->kill;
			c->plain_kill |= plain;
			c->has_kill |= !plain;
			break;
		case POLICY_LOG:
			set = &c->log;
			c->plain_log |= plain;
			c->has_log |= !plain;
			break;
		}
		if (!plain)
			r = rule_add(set, rule);
		if (r == 0)
			r = rule_deny_upper_halves(&c->deny, rule);
		if (r < 0)
			return compile_fail(p, c, r, e);
	}
	return 0;
}

/* What is granted: silently, and with a record. The two may overlap still. */
static int call_grants(const struct policy *p, const struct call *c,
		       struct dnf *ret_allow, struct dnf *ret_log)
{
	const char *const *name;
	int r;

	r = dnf_or(ret_log, &c->log);
	if (r == 0 && c->plain_log && !c->plain_deny)
		r = dnf_set_true(ret_log);
	if (r == 0)
		r = dnf_or(ret_allow, &c->allow);
	if (r < 0 || c->plain_deny)
		return r;
	if (c->plain_allow)
		return c->has_allow ? 0 : dnf_set_true(ret_allow);
	if (!p->syscalls.default_deny)
		return seccomp_default_call(c->name, ret_allow);
	for (name = seccomp_default_essential; *name; name++)
		if (streq(*name, c->name))
			return dnf_set_true(ret_allow);
	return 0;
}

static int call_emit(const struct policy *p, const struct call *c, struct oci_seccomp *s)
{
	_dnf_clear_ struct dnf kill = { 0 }, log = { 0 }, allow = { 0 };
	const struct opt_u32 none = { 0 };
	bool named = c->plain_allow || c->plain_deny || c->plain_kill || c->plain_log ||
		     c->has_allow || c->has_deny || c->has_kill || c->has_log;
	int r;

	r = dnf_or(&kill, &c->kill);
	if (r == 0 && c->plain_kill)
		r = dnf_set_true(&kill);
	if (r == 0)
		r = call_grants(p, c, &allow, &log);
	if (r == 0)
		r = dnf_and_not(&log, &kill);
	if (r == 0)
		r = dnf_and_not(&log, &c->deny);
	if (r == 0)
		r = dnf_and_not(&allow, &kill);
	if (r == 0)
		r = dnf_and_not(&allow, &c->deny);
	if (r == 0)
		r = dnf_and_not(&allow, &log);
	if (r < 0)
		return r;
	if (streq(c->name, "clone3") && !named)
		return seccomp_add_plain(s, c->name, "SCMP_ACT_ERRNO",
					 (struct opt_u32){ .set = true, .value = ENOSYS });
	if (!p->syscalls.kill_on_violation) /* else the default action kills */
		r = seccomp_add_set(s, c->name, "SCMP_ACT_KILL_PROCESS", none, &kill);
	if (r == 0)
		r = seccomp_add_set(s, c->name, "SCMP_ACT_LOG", none, &log);
	return r ? r : seccomp_add_set(s, c->name, "SCMP_ACT_ALLOW", none, &allow);
}

static bool call_is_exec(const char *name)
{
	return streq(name, "execve") || streq(name, "execveat");
}

/*
 * Whether the agent's own start is the only exec: execve is denied, or not granted. Then no rule
 * may say anything else of the exec calls, since the filter denies every one of them.
 */
static int compile_exec(const struct policy *p, bool *ret_once, struct err *e)
{
	static const char *const names[] = { "execve", "execveat" };
	bool once = false;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		_dnf_clear_ struct dnf allow = { 0 }, log = { 0 };
		bool says_else;
		struct call c;

		r = call_read(p, names[i], &c, e);
		if (r == 0) {
			r = call_grants(p, &c, &allow, &log);
			r = r ? compile_fail(p, &c, r, e) : 0;
		}
		if (i == 0)
			once = c.plain_deny || (dnf_is_false(&allow) && dnf_is_false(&log));
		says_else = c.has_allow || c.has_log ||
			    (c.has_kill && !p->syscalls.kill_on_violation);
		if (!c.plain_deny)
			says_else |= c.plain_allow || c.plain_log;
		call_clear(&c);
		if (r < 0)
			return r;
		if (c.plain_kill)
			return err_set(e, ERR_POLICY, EINVAL,
				       POLICY_AT
				       "'kill' for every '%s' would kill the agent's own start: "
				       "write deny: [execve], with on_violation: kill if it is to kill",
				       policy_at(p, c.pos), names[i]);
		if (once && says_else)
			return err_set(e, ERR_POLICY, EINVAL,
				       POLICY_AT
				       "this rule for '%s' cannot hold while execve is denied: "
				       "the agent's own start is then the only exec",
				       policy_at(p, c.pos), names[i]);
	}
	*ret_once = once;
	return 0;
}

/* A call that can have a rule. */
struct named_call {
	const char *name; /* its owner's */
	bool in_policy;	  /* the policy says something of it */
	bool is_plain;	  /* in seccomp_default_plain */
};
typedef LIST_OF(struct named_call) named_calls;

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named_call *)a)->name,
		      ((const struct named_call *)b)->name);
}

static int named_calls_add(named_calls *l, const char *name, bool in_policy, bool is_plain)
{
	struct named_call *c = list_add(l);

	if (!c)
		return -ENOMEM;
	*c = (struct named_call){ name, in_policy, is_plain };
	return 0;
}

static int named_calls_add_names(named_calls *l, const policy_names *names)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < names->n; i++)
		r = named_calls_add(l, names->v[i].name, true, false);
	return r;
}

/* Every call that can have a rule, once, sorted. */
static int named_calls_collect(const struct policy *p, named_calls *ret)
{
	const struct seccomp_default_rule *rule;
	const char *const *s;
	size_t i, n;
	int r = named_calls_add(ret, "clone3", false, false);

	for (s = seccomp_default_plain; r == 0 && *s; s++)
		r = named_calls_add(ret, *s, false, true);
	for (rule = seccomp_default_rules; r == 0 && rule->name; rule++)
		r = named_calls_add(ret, rule->name, false, false);
	if (r == 0)
		r = named_calls_add_names(ret, &p->syscalls.allow);
	if (r == 0)
		r = named_calls_add_names(ret, &p->syscalls.deny);
	for (i = 0; r == 0 && i < p->syscalls.advanced_rules.n; i++)
		r = named_calls_add(ret, p->syscalls.advanced_rules.v[i].syscall, true,
				    false);
	if (r < 0)
		return r;
	qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	for (i = 1, n = 0; i < ret->n; i++) {
		if (!streq(ret->v[i].name, ret->v[n].name)) {
			ret->v[++n] = ret->v[i];
			continue;
		}
		ret->v[n].in_policy |= ret->v[i].in_policy;
		ret->v[n].is_plain |= ret->v[i].is_plain;
	}
	ret->n = n + 1;
	return 0;
}

static int compile_call(const struct policy *p, const char *name, struct oci_seccomp *s,
			struct err *e)
{
	struct call c;
	int r = call_read(p, name, &c, e);

	if (r == 0) {
		r = call_emit(p, &c, s);
		r = r ? compile_fail(p, &c, r, e) : 0;
	}
	call_clear(&c);
	return r;
}

static int compile_calls(const struct policy *p, const named_calls *calls,
			 struct oci_seccomp *s, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < calls->n; i++) {
		const struct named_call *c = &calls->v[i];

		if (s->exec_once && call_is_exec(c->name))
			continue;
		/* Most calls, so the short way: nothing to combine. */
		if (c->is_plain && !c->in_policy && !p->syscalls.default_deny)
			r = seccomp_add_plain(s, c->name, "SCMP_ACT_ALLOW",
					      (struct opt_u32){ 0 }) < 0 ?
				    err_oom(e) :
				    0;
		else
			r = compile_call(p, c->name, s, e);
	}
	return r;
}

int policy_compile_seccomp(const struct policy *p, struct oci_seccomp *ret, struct err *e)
{
	struct oci_seccomp s = { 0 };
	named_calls calls = { 0 };
	int r;

	r = compile_exec(p, &s.exec_once, e);
	if (r < 0)
		return r;
	if (p->syscalls.kill_on_violation) {
		s.default_action = strdup("SCMP_ACT_KILL_PROCESS");
	} else {
		s.default_action = strdup("SCMP_ACT_ERRNO");
		s.default_errno_ret = (struct opt_u32){ .set = true, .value = EPERM };
	}
	if (!s.default_action || strv_add(&s.architectures, seccomp_native_arch) < 0 ||
	    named_calls_collect(p, &calls) < 0)
		r = err_oom(e);
	if (r == 0)
		r = compile_calls(p, &calls, &s, e);
	free(calls.v);
	if (r < 0)
		json_clear(&oci_seccomp_type, &s);
	else
		*ret = s;
	return r;
}
