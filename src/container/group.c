/* SPDX-License-Identifier: Apache-2.0 */
/* See group.h. Runs in the runtime, with the caller's privileges. */
#include "container/group.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "container/devices.h"

static int make_unit(struct container *c, const struct oci_spec *s, struct cgroup *cg,
		     pid_t *ret_holder, struct err *e)
{
	struct cgroup_unit_request rq = {
		.cgroups_path = c->st.cgroups_path,
		.id = c->st.id,
		.annotations = &s->annotations,
		.resources = s->linux_->resources,
	};
	device_rules rules = {};
	int r = devices_list(s, &rules, e);

	if (r == 0) {
		rq.devices = rules.v;
		rq.devices_n = rules.n;
		r = cgroup_create_unit(&rq, cg, ret_holder, e);
	}
	free(rules.v);
	return r;
}

/*
 * As the specification has it: a container with a cgroup namespace of its own and its group mounted
 * to be written gets the group for the user that its process is; under a policy it never does.
 */
static int delegate(const struct container *c, const struct oci_spec *s, struct err *e)
{
	const struct cgroup *cg = c->st.cgroup;
	const struct oci_namespace *cgroups = oci_spec_namespace(s, "cgroup");
	const struct oci_namespace *user = oci_spec_namespace(s, "user");
	uint32_t uid = s->process && s->process->user ? s->process->user->uid : 0;
	bool is_writable = false;
	int r;

	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];

		if (m->type && str_has_prefix(m->type, "cgroup") &&
		    !oci_mount_has_option(m, "bind") && !oci_mount_has_option(m, "rbind"))
			is_writable = !oci_mount_has_option(m, "ro") &&
				      !oci_mount_has_option(m, "rro");
	}
	if (c->st.policies.n || cg->mode != CGROUP_V2 || !cgroups || cgroups->path ||
	    !is_writable)
		return 0;
	if (user && !oci_map_id(&s->linux_->uid_mappings, &uid))
		return 0;
	if (uid == geteuid())
		return 0;
	r = cgroup_delegate(cg, uid, e);
	/* An ordinary user can give nothing away. */
	return r == -EPERM && geteuid() != 0 ? 0 : r;
}

int group_make(struct container *c, const struct oci_spec *s, bool *ret_made,
	       pid_t *ret_holder, struct err *e)
{
	const struct oci_resources *res = s->linux_->resources;
	struct cgroup *cg = calloc(1, sizeof(*cg));
	int r;

	if (!cg)
		return err_oom(e);
	r = c->st.cgroup_systemd ? make_unit(c, s, cg, ret_holder, e) :
				   cgroup_create(c->st.cgroups_path, c->st.id, res, cg, e);
	if (r < 0) {
		free(cg);
		return r;
	}
	c->st.cgroup = cg;
	c->st.cgroup_pending = false;
	*ret_made = true;
	log_debug("the cgroup is %s", cg->path ? cg->path : "none");
	r = container_state_save(c, e);
	if (r == 0)
		r = cgroup_apply(cg, res, false, e);
	if (r == 0)
		r = devices_apply(cg, s, e);
	return r < 0 ? r : delegate(c, s, e);
}

int group_adopt_pending(struct container *c, struct err *e)
{
	struct cgroup *cg;
	int r;

	if (c->st.cgroup || !c->st.cgroup_pending)
		return 0;
	cg = calloc(1, sizeof(*cg));
	if (!cg)
		return err_oom(e);
	r = c->st.cgroup_systemd ?
		    cgroup_adopt_unit(c->st.cgroups_path, c->st.id, cg, e) :
		    cgroup_create(c->st.cgroups_path, c->st.id, NULL, cg, e);
	if (r < 0)
		free(cg);
	/* No process of ours was in it: it is another container's, which that create had to refuse. */
	if (r == -EBUSY && e->kind == ERR_STATE)
		return 0;
	if (r < 0)
		return r;
	c->st.cgroup = cg;
	return 0;
}
