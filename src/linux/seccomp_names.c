/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a seccomp profile: actions, operators, flags, architectures; and the check of a
 * profile. Pure. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/seccomp.h"
#include "linux/seccomp_filter.h"

#define MAX_ERRNO 4095

struct action_name {
	const char *name;
	uint32_t action;
	bool takes_errno;
	uint32_t max_errno;
};

static const struct action_name action_names[] = {
	{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
	{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, true, MAX_ERRNO },
	{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE, true, SECCOMP_RET_DATA },
	{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW },
	{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
	{ "SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF },
};

static const char *const op_names[] = {
	[SECCOMP_OP_EQ] = "SCMP_CMP_EQ",
	[SECCOMP_OP_NE] = "SCMP_CMP_NE",
	[SECCOMP_OP_LT] = "SCMP_CMP_LT",
	[SECCOMP_OP_LE] = "SCMP_CMP_LE",
	[SECCOMP_OP_GE] = "SCMP_CMP_GE",
	[SECCOMP_OP_GT] = "SCMP_CMP_GT",
	[SECCOMP_OP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};

static const struct {
	const char *name;
	unsigned int flag;
} flag_names[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FLAG_WAIT_KILLABLE_RECV },
};

const struct seccomp_arch seccomp_archs[] = {
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, true },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386, SCMP_ARCH_X86_64, false },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, true },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64,
	  true },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, SCMP_ARCH_AARCH64, false },
};
const size_t seccomp_n_archs = ARRAY_SIZE(seccomp_archs);

/* The other names of the spec. A profile may list them; no kernel that we run on makes calls
 * of theirs, so there is nothing to filter. */
static const char *const other_archs[] = {
	"SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",
	"SCMP_ARCH_MIPSEL",   "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
	"SCMP_ARCH_PPC",      "SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",
	"SCMP_ARCH_S390",     "SCMP_ARCH_S390X",    "SCMP_ARCH_PARISC",
	"SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",  "SCMP_ARCH_LOONGARCH64",
	"SCMP_ARCH_M68K",     "SCMP_ARCH_SH",	    "SCMP_ARCH_SHEB",
};

static const struct action_name *action_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(action_names); i++)
		if (streq(name, action_names[i].name))
			return &action_names[i];
	return NULL;
}

uint32_t seccomp_action_value(const char *name, struct opt_u32 errno_ret)
{
	const struct action_name *a = action_find(name);

	return a->takes_errno ? a->action | (errno_ret.set ? errno_ret.value : EPERM) :
				a->action;
}

int seccomp_op_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(op_names); i++)
		if (streq(name, op_names[i]))
			return i;
	return -1;
}

static bool arch_is_known(const char *name)
{
	for (size_t i = 0; i < seccomp_n_archs; i++)
		if (streq(name, seccomp_archs[i].name))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(other_archs); i++)
		if (streq(name, other_archs[i]))
			return true;
	return false;
}

static int check_action(const char *where, const char *name, struct opt_u32 errno_ret,
			const char *errno_member, struct err *e)
{
	const struct action_name *a = action_find(name);

	if (!a)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: unknown action '%s'", where,
			       name ? name : "");
	if (errno_ret.set && !a->takes_errno)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: %s takes no %s", where, name,
			       errno_member);
	if (errno_ret.set && errno_ret.value > a->max_errno)
		return err_set(e, ERR_CONFIG, ERANGE, "%s: %s %u is above %u", where,
			       errno_member, errno_ret.value, a->max_errno);
	return 0;
}

static int check_rule(const struct oci_syscall *s, size_t at, struct err *e)
{
	char where[64];
	int r;

	snprintf(where, sizeof(where), "linux.seccomp.syscalls[%zu]", at);
	if (!s->names.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s.names: at least one is required", where);
	for (size_t i = 0; i < s->names.n; i++)
		if (!*s->names.v[i])
			return err_set(e, ERR_CONFIG, EINVAL, "%s.names[%zu] is empty",
				       where, i);
	r = check_action(where, s->action, s->errno_ret, "errnoRet", e);
	for (size_t i = 0; !r && i < s->args.n; i++) {
		const struct oci_seccomp_arg *a = &s->args.v[i];

		if (a->index > 5)
			r = err_set(e, ERR_CONFIG, ERANGE,
				    "%s.args[%zu].index: %u is above 5", where, i,
				    a->index);
		else if (seccomp_op_find(a->op) < 0)
			r = err_set(e, ERR_CONFIG, EINVAL,
				    "%s.args[%zu].op: unknown operator '%s'", where, i,
				    a->op ? a->op : "");
	}
	return r;
}

bool seccomp_has_notify(const struct oci_seccomp *s)
{
	if (streq_null(s->default_action, "SCMP_ACT_NOTIFY"))
		return true;
	for (size_t i = 0; i < s->syscalls.n; i++)
		if (streq_null(s->syscalls.v[i].action, "SCMP_ACT_NOTIFY"))
			return true;
	return false;
}

int seccomp_flags_value(const struct strv *names, unsigned int *ret, struct err *e)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < names->n; i++) {
		size_t f = 0;

		while (f < ARRAY_SIZE(flag_names) && !streq(names->v[i], flag_names[f].name))
			f++;
		if (f == ARRAY_SIZE(flag_names))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "linux.seccomp.flags[%zu]: unknown flag '%s'", i,
				       names->v[i]);
		flags |= flag_names[f].flag;
	}
	*ret = flags;
	return 0;
}

int seccomp_check(const struct oci_seccomp *s, struct err *e)
{
	unsigned int flags;
	int r;

	r = check_action("linux.seccomp.defaultAction", s->default_action,
			 s->default_errno_ret, "defaultErrnoRet", e);
	if (r < 0)
		return r;
	r = seccomp_flags_value(&s->flags, &flags, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->architectures.n; i++)
		if (!arch_is_known(s->architectures.v[i]))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "linux.seccomp.architectures[%zu]: unknown architecture '%s'",
				       i, s->architectures.v[i]);
	for (size_t i = 0; !r && i < s->syscalls.n; i++)
		r = check_rule(&s->syscalls.v[i], i, e);
	if (r < 0)
		return r;
	if (seccomp_has_notify(s) && !s->listener_path)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.seccomp.listenerPath is required with SCMP_ACT_NOTIFY");
	if (s->listener_metadata && !s->listener_path)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.seccomp.listenerMetadata needs listenerPath");
	return 0;
}

const char *const *seccomp_action_names(void)
{
	static const char *names[ARRAY_SIZE(action_names) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(action_names); i++)
		names[i] = action_names[i].name;
	return names;
}

const char *const *seccomp_operator_names(void)
{
	static const char *names[ARRAY_SIZE(op_names) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(op_names); i++)
		names[i] = op_names[i];
	return names;
}

const char *const *seccomp_arch_names(void)
{
	static const char *names[ARRAY_SIZE(seccomp_archs) + ARRAY_SIZE(other_archs) + 1];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(seccomp_archs); i++)
		names[n++] = seccomp_archs[i].name;
	for (size_t i = 0; i < ARRAY_SIZE(other_archs); i++)
		names[n++] = other_archs[i];
	return names;
}

const char *const *seccomp_flag_names(void)
{
	static const char *names[ARRAY_SIZE(flag_names) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		names[i] = flag_names[i].name;
	return names;
}

/* The kernel looks at the flags before the program: EFAULT means that it knows them. */
const char *const *seccomp_supported_flag_names(void)
{
	static const char *names[ARRAY_SIZE(flag_names) + 1];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++) {
		unsigned int flags = flag_names[i].flag;

		if (flags == SECCOMP_FLAG_WAIT_KILLABLE_RECV)
			flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 &&
		    errno == EFAULT)
			names[n++] = flag_names[i].name;
	}
	return names;
}
