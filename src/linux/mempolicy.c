/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.memoryPolicy by set_mempolicy(2), and linux.personality by personality(2). Checked in the
 * runtime; set by the container's process itself, since both are a thread's own and go through
 * execve(2).
 */
#include "linux/mempolicy.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bitlist.h"
#include "base/fd.h"
#include "base/list.h"

/* Linux 6.9; a mode that the kernel does not know it refuses. */
#define MODE_WEIGHTED_INTERLEAVE 6

/* Position i of the names is position i of the values. */
static const char *const mode_names[] = {
	"MPOL_DEFAULT",	   "MPOL_BIND",
	"MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
	"MPOL_PREFERRED",  "MPOL_PREFERRED_MANY",
	"MPOL_LOCAL",	   NULL,
};
static const unsigned int mode_values[] = {
	MPOL_DEFAULT,	MPOL_BIND,	     MPOL_INTERLEAVE, MODE_WEIGHTED_INTERLEAVE,
	MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_LOCAL,
};

static const char *const flag_names[] = {
	"MPOL_F_NUMA_BALANCING",
	"MPOL_F_RELATIVE_NODES",
	"MPOL_F_STATIC_NODES",
	NULL,
};
static const unsigned int flag_values[] = {
	MPOL_F_NUMA_BALANCING,
	MPOL_F_RELATIVE_NODES,
	MPOL_F_STATIC_NODES,
};

const char *const *mempolicy_mode_names(void)
{
	return mode_names;
}

const char *const *mempolicy_flag_names(void)
{
	return flag_names;
}

/* The name's value, or -EINVAL. */
static int find_value(const char *const *names, const unsigned int *values, const char *name)
{
	for (size_t i = 0; names[i]; i++)
		if (streq(names[i], name))
			return (int)values[i];
	return -EINVAL;
}

static bool has_nodes(const struct oci_memory_policy *m)
{
	return m->nodes && *m->nodes;
}

static int check_nodes(const struct oci_memory_policy *m, int mode, struct err *e)
{
	bool local = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;
	struct bitlist unused;

	if (local && has_nodes(m))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.memoryPolicy.nodes: %s takes none", m->mode);
	if (local && m->flags.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.memoryPolicy.flags: %s takes none", m->mode);
	/* Without nodes MPOL_PREFERRED is MPOL_LOCAL: set_mempolicy(2). */
	if (!local && mode != MPOL_PREFERRED && !has_nodes(m))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.memoryPolicy.nodes: is required for %s", m->mode);
	if (has_nodes(m) && bitlist_parse(m->nodes, &unused) < 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.memoryPolicy.nodes: '%s' is no list of memory nodes such "
			       "as 0-3,7",
			       m->nodes);
	return 0;
}

int mempolicy_check(const struct oci_memory_policy *m, struct err *e)
{
	int mode, all = 0;

	if (!m)
		return 0;
	mode = find_value(mode_names, mode_values, m->mode);
	if (mode < 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.memoryPolicy.mode: '%s' is unknown", m->mode);
	for (size_t i = 0; i < m->flags.n; i++) {
		int flag = find_value(flag_names, flag_values, m->flags.v[i]);

		if (flag < 0)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "linux.memoryPolicy.flags[%zu]: '%s' is unknown",
				       i, m->flags.v[i]);
		all |= flag;
	}
	if ((all & MPOL_F_STATIC_NODES) && (all & MPOL_F_RELATIVE_NODES))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and "
			       "MPOL_F_RELATIVE_NODES exclude each other");
	return check_nodes(m, mode, e);
}

int mempolicy_apply(const struct oci_memory_policy *m, struct err *e)
{
	struct bitlist nodes = {};
	int mode, r = 0;

	if (!m)
		return 0;
	mode = find_value(mode_names, mode_values, m->mode);
	for (size_t i = 0; i < m->flags.n; i++)
		mode |= find_value(flag_names, flag_values, m->flags.v[i]);
	if (has_nodes(m))
		r = bitlist_parse(m->nodes, &nodes);
	/* The kernel takes one bit less than it is told of. */
	if (r == 0 && syscall(SYS_set_mempolicy, mode, has_nodes(m) ? nodes.bits : NULL,
			      has_nodes(m) ? (unsigned long)BITLIST_MAX + 1 : 0UL) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot set linux.memoryPolicy (%s%s%s)", m->mode,
				 has_nodes(m) ? ", nodes " : "",
				 has_nodes(m) ? m->nodes : "") :
		       0;
}

int personality_check(const struct oci_personality *p, struct err *e)
{
	if (!p)
		return 0;
	if (!streq(p->domain, "LINUX") && !streq(p->domain, "LINUX32"))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.personality.domain: '%s' is unknown", p->domain);
	/* The specification has none: those of the kernel weaken the process. */
	if (p->flags.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.personality.flags[0]: '%s' is unknown",
			       p->flags.v[0]);
	return 0;
}

int personality_apply(const struct oci_personality *p, struct err *e)
{
	if (!p)
		return 0;
	if (personality(streq(p->domain, "LINUX32") ? PER_LINUX32 : PER_LINUX) < 0)
		return err_sys(e, "cannot set linux.personality (%s)", p->domain);
	return 0;
}
