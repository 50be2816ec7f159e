// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of a merge on which the network's rules rest: what could get round them, or away from
 * an isolated network. Pure.
 *
 * With a network that is not isolated, whoever may make raw packets, change devices and routes,
 * load programs or modules into the kernel, or enter another namespace is not held by a filter on
 * his sockets: those capabilities go, and the calls are denied. CAP_SYS_ADMIN stays the policy's
 * business, without the calls by which it would lead out: bpf(), setns(), and mounting, with which
 * a read-only view of the host's control groups, if the engine gave one, becomes a writable one.
 *
 * With any network, sockets are of families that a network namespace and the filter hold: an
 * AF_VSOCK one leads out of both. io_uring makes sockets without socket(). Purple's default
 * profile says all that; a filter is added where the policy's own rules could say otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "policy/merge_parts.h"
#include "policy/seccomp_rules.h"

#define NETLINK_ROUTE_PROTOCOL 0

/* Calls that no policy can allow; the second list where the network is not isolated. */
static const char *const never[] = { "io_uring_setup", "io_uring_enter",
				     "io_uring_register", "socketcall" };
static const char *const never_filtered[] = { "bpf",	    "setns",	     "mount",
					      "move_mount", "mount_setattr", "open_tree",
					      "fsmount",    "open_tree_attr" };

static bool is_one_of(const char *name, const char *const *l, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (streq(name, l[i]))
			return true;
	return false;
}

static bool call_matters(const struct policy *p, const char *name)
{
	return streq(name, "socket") || is_one_of(name, never, ARRAY_SIZE(never)) ||
	       (!p->network.isolated &&
		is_one_of(name, never_filtered, ARRAY_SIZE(never_filtered)));
}

/* Whether the policy grants any of the calls by a rule of its own. */
static bool policy_widens(const struct policy *p)
{
	size_t i;

	for (i = 0; i < p->syscalls.allow.n; i++)
		if (call_matters(p, p->syscalls.allow.v[i].name))
			return true;
	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		const struct policy_syscall_rule *rule = &p->syscalls.advanced_rules.v[i];

		if ((rule->action == POLICY_ALLOW || rule->action == POLICY_LOG) &&
		    call_matters(p, rule->syscall))
			return true;
	}
	return false;
}

static int add_calls(struct oci_seccomp *s, const char *const *l, size_t n,
		     const char *action, struct opt_u32 err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++)
		r = seccomp_add_plain(s, l[i], action, err);
	return r;
}

/* Numbers above 32 bits are none of these families, whatever the kernel makes of them. */
static int add_families(struct oci_seccomp *s, const char *action, struct opt_u32 err)
{
	const struct cond other[] = { { .arg = 0, .op = COND_NE, .value = AF_UNIX },
				      { .arg = 0, .op = COND_NE, .value = AF_INET },
				      { .arg = 0, .op = COND_NE, .value = AF_INET6 },
				      { .arg = 0, .op = COND_NE, .value = AF_NETLINK } };
	const struct cond netlink[] = {
		{ .arg = 0, .op = COND_EQ, .value = AF_NETLINK },
		{ .arg = 2, .op = COND_NE, .value = NETLINK_ROUTE_PROTOCOL }
	};
	int r = seccomp_add_rule(s, "socket", action, err, other, ARRAY_SIZE(other));

	return r ? r :
		   seccomp_add_rule(s, "socket", action, err, netlink, ARRAY_SIZE(netlink));
}

static int filter_make(const struct merge *m, struct oci_seccomp *s)
{
	bool kill = m->p->syscalls.kill_on_violation;
	const char *action = kill ? "SCMP_ACT_KILL_PROCESS" : "SCMP_ACT_ERRNO";
	const struct opt_u32 err = { .set = !kill, .value = kill ? 0 : EPERM };
	int r;

	s->default_action = strdup("SCMP_ACT_ALLOW");
	if (!s->default_action || strv_add(&s->architectures, seccomp_native_arch) < 0)
		return -ENOMEM;
	r = add_calls(s, never, ARRAY_SIZE(never), action, err);
	if (r == 0 && !m->p->network.isolated)
		r = add_calls(s, never_filtered, ARRAY_SIZE(never_filtered), action, err);
	return r ? r : add_families(s, action, err);
}

/* Also when it was added by an earlier merge. */
static bool filter_is_there(const struct oci_linux *l, const struct oci_seccomp *s)
{
	size_t i, k, n;

	for (i = 0; i < l->policy_seccomp.n; i++) {
		const struct oci_seccomp *x = &l->policy_seccomp.v[i];

		if (!streq(x->default_action, s->default_action) ||
		    x->syscalls.n != s->syscalls.n ||
		    !streq(x->syscalls.v[0].action, s->syscalls.v[0].action) ||
		    x->syscalls.v[0].names.n != s->syscalls.v[0].names.n)
			continue;
		n = s->syscalls.v[0].names.n;
		for (k = 0; k < n; k++)
			if (!streq(x->syscalls.v[0].names.v[k], s->syscalls.v[0].names.v[k]))
				break;
		if (k == n)
			return true;
	}
	return false;
}

int merge_network_calls(struct merge *m)
{
	struct oci_linux *l = m->spec->linux_;
	struct oci_seccomp s = { 0 }, *slot;
	int r = 0;

	if (!policy_widens(m->p))
		return 0;
	if (filter_make(m, &s) < 0)
		r = err_oom(m->e);
	if (r < 0 || filter_is_there(l, &s)) {
		json_clear(&oci_seccomp_type, &s);
		return r;
	}
	slot = list_add(&l->policy_seccomp);
	if (!slot) {
		json_clear(&oci_seccomp_type, &s);
		return err_oom(m->e);
	}
	*slot = s;
	return merge_explain(m,
			     "syscalls: whatever the rules say, %sio_uring is denied, and sockets "
			     "are AF_UNIX, AF_INET, AF_INET6 or NETLINK_ROUTE",
			     m->p->network.isolated ?
				     "" :
				     "bpf, setns and mounting are denied, ");
}

static bool cap_leaves_filter(const struct policy *p, const char *cap)
{
	static const char *const caps[] = { "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF",
					    "CAP_SYS_MODULE" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		if (strcasecmp(cap, caps[i]) == 0)
			return false;
	return true;
}

int merge_network_caps(struct merge *m)
{
	if (m->p->network.isolated)
		return 0;
	return merge_caps_filter(m, cap_leaves_filter,
				 "policy: they get round a network's rules");
}
