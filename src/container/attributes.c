/* SPDX-License-Identifier: Apache-2.0 */
/* See attributes.h. */
#include "container/attributes.h"

#include <errno.h>

#include "base/fd.h"
#include "linux/lsm.h"
#include "linux/mempolicy.h"
#include "linux/resctrl.h"
#include "linux/sched.h"

#define APPARMOR "process.apparmorProfile"
#define SELINUX "process.selinuxLabel"

static int check_process(const struct oci_process *p, struct err *e)
{
	int r;

	r = sched_check(p->scheduler, e);
	if (r == 0)
		r = sched_check_io_priority(p->io_priority, e);
	if (r == 0)
		r = sched_check_affinity(p->exec_cpu_affinity, e);
	if (r == 0)
		r = lsm_check(LSM_APPARMOR, APPARMOR, p->apparmor_profile, e);
	if (r == 0)
		r = lsm_check(LSM_SELINUX, SELINUX, p->selinux_label, e);
	return r;
}

int attributes_check(const struct oci_process *p, const struct oci_linux *l,
		     const char *id, struct err *e)
{
	int r = p ? check_process(p, e) : 0;

	if (r == 0)
		r = lsm_check(LSM_SELINUX, "linux.mountLabel", l->mount_label, e);
	if (r == 0)
		r = mempolicy_check(l->memory_policy, e);
	if (r == 0)
		r = personality_check(l->personality, e);
	if (r == 0)
		r = resctrl_check(l->intel_rdt, id, e);
	return r;
}

int attributes_set_own(const struct oci_process *p, const struct oci_linux *l, struct err *e)
{
	int r;

	r = mempolicy_apply(l->memory_policy, e);
	if (r == 0)
		r = personality_apply(l->personality, e);
	if (r == 0 && p)
		r = lsm_set_exec_label(LSM_APPARMOR, APPARMOR, p->apparmor_profile, e);
	if (r == 0 && p)
		r = lsm_set_exec_label(LSM_SELINUX, SELINUX, p->selinux_label, e);
	return r;
}

int attributes_set_of(pid_t pid, const struct oci_process *p, struct err *e)
{
	int r = p ? sched_apply_io_priority(pid, p->io_priority, e) : 0;

	return r == 0 && p ? sched_apply(pid, p->scheduler, e) : r;
}

int attributes_make_rdt(const struct oci_linux *l, const char *id,
			struct attributes_rdt *ret, struct err *e)
{
	struct resctrl_group g;
	_close_ int root = -1;
	int r;

	if (!l->intel_rdt)
		return 0;
	root = resctrl_open(e);
	if (root < 0)
		return root;
	g = resctrl_group_of(l->intel_rdt, id);
	r = resctrl_make(root, &g, l->intel_rdt, &ret->made, &ret->made_monitor, e);
	if (r == 0)
		r = resctrl_write_schemata(root, &g, l->intel_rdt, ret->made, e);
	return r;
}

void attributes_undo_rdt(const struct oci_linux *l, const char *id,
			 const struct attributes_rdt *made)
{
	struct resctrl_group g;
	_close_ int root = -1;
	struct err unused;

	if (!made->made && !made->made_monitor)
		return;
	root = resctrl_open(&unused);
	if (root < 0)
		return;
	g = resctrl_group_of(l->intel_rdt, id);
	g.own = made->made;
	if (!made->made_monitor)
		g.monitor = NULL;
	resctrl_remove(root, &g, &unused);
}

int attributes_enter_rdt(const struct oci_linux *l, const char *id, pid_t pid, struct err *e)
{
	struct resctrl_group g;
	_close_ int root = -1;

	if (!l->intel_rdt)
		return 0;
	root = resctrl_open(e);
	if (root < 0)
		return root;
	g = resctrl_group_of(l->intel_rdt, id);
	return resctrl_enter(root, &g, pid, e);
}

int attributes_update_rdt(const struct oci_linux *l, const char *id,
			  const struct oci_intel_rdt *want, char **ret_before,
			  struct err *e)
{
	struct resctrl_group g;
	_close_ int root = -1;
	int r;

	r = resctrl_check(want, id, e);
	if (r < 0)
		return r;
	/* runc would make a group and put the first process into it, without the others. */
	if (!l->intel_rdt)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "the container was created without linux.intelRdt: it has no "
			       "schemata that could be updated");
	root = resctrl_open(e);
	if (root < 0)
		return root;
	g = resctrl_group_of(l->intel_rdt, id);
	return resctrl_update_schemata(root, &g, want, ret_before, e);
}

void attributes_restore_rdt(const struct oci_linux *l, const char *id, const char *before)
{
	struct resctrl_group g = resctrl_group_of(l->intel_rdt, id);
	struct err unused;
	_close_ int root = resctrl_open(&unused);

	if (root >= 0)
		resctrl_restore_schemata(root, &g, before);
}

int attributes_remove_rdt(const struct oci_linux *l, const char *id, struct err *e)
{
	struct resctrl_group g;
	_close_ int root = -1;

	if (!l->intel_rdt)
		return 0;
	root = resctrl_open(e);
	/* Unmounting it removed all groups. */
	if (root == -ENOTSUP)
		return 0;
	if (root < 0)
		return root;
	g = resctrl_group_of(l->intel_rdt, id);
	return resctrl_remove(root, &g, e);
}
