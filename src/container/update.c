/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update: new limits for a container that exists. Runs in the runtime, on the host, with the
 * caller's privileges.
 */
#include <errno.h>

#include "base/fd.h"
#include "container/attributes.h"
#include "container/container.h"
#include "container/limits.h"

static int update_cgroup(struct container *c, struct oci_resources *res, struct err *e)
{
	int r = 0;

	if (!c->st.cgroup)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "cannot update a container without cgroup");
	if (c->st.policy_limits)
		r = limits_tighten(c->st.policy_limits, res, e);
	return r == 0 ? cgroup_apply(c->st.cgroup, res, true, e) : r;
}

/* The schemata come first: they can be put back when the rest fails. */
static int update_rdt(struct container *c, const struct oci_intel_rdt *rdt,
		      struct oci_resources *res, struct err *e)
{
	_oci_spec_free_ struct oci_spec *spec = NULL;
	_free_ char *before = NULL;
	int r;

	r = container_config_load(c, &spec, e);
	if (r == 0)
		r = attributes_update_rdt(spec->linux_, c->st.id, rdt, &before, e);
	if (r < 0 || !res)
		return r;
	r = update_cgroup(c, res, e);
	if (r < 0)
		attributes_restore_rdt(spec->linux_, c->st.id, before);
	return r;
}

int container_update(const char *root, const char *id, struct oci_resources *res,
		     const struct oci_intel_rdt *rdt, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r;

	r = container_open(root, id, true, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING)
		return err_set(e, ERR_NOT_RUNNING, EINVAL, "cannot update: it is %s",
			       container_status_name(status));
	return rdt ? update_rdt(&c, rdt, res, e) : update_cgroup(&c, res, e);
}
