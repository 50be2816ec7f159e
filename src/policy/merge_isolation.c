// SPDX-License-Identifier: Apache-2.0
/* The parts of a merge that concern namespaces, the network and devices. Pure. */
#include <errno.h>
#include <stdlib.h>

#include "policy/merge_parts.h"

/* The devices that every container has (runtime-spec, "Default Devices"); all are of type c. */
static const struct {
	int64_t major, minor;
} standard_devices[] = {
	{ 1, 3 }, /* null */
	{ 1, 5 }, /* zero */
	{ 1, 7 }, /* full */
	{ 1, 8 }, /* random */
	{ 1, 9 }, /* urandom */
	{ 5, 0 }, /* tty */
	{ 5, 1 }, /* console */
	{ 5, 2 }, /* ptmx */
};
#define PTY_MAJOR 136 /* /dev/pts/N: any minor */
/* The container's console is a terminal of its own, bound on /dev/console; this node is the
 * machine's. */
#define CONSOLE_MAJOR 5
#define CONSOLE_MINOR 1

int merge_add_namespace(struct merge *m, const char *type)
{
	struct oci_namespace *ns = list_add(&m->spec->linux_->namespaces);

	if (!ns)
		return err_oom(m->e);
	ns->type = strdup(type);
	return ns->type ? 0 : err_oom(m->e);
}

static bool namespace_is_listed(const struct oci_spec *s, const char *type)
{
	size_t i;

	for (i = 0; i < s->linux_->namespaces.n; i++)
		if (streq_null(s->linux_->namespaces.v[i].type, type))
			return true;
	return false;
}

/* A device of the host in an isolated network would be a way out: the engine has to decide. */
static int refuse_net_devices(struct merge *m)
{
	const struct oci_linux *l = m->spec->linux_;

	if (l->net_devices.n == 0)
		return 0;
	return err_set(m->e, ERR_POLICY, EINVAL,
		       "policy %s: the network is isolated, and linux.netDevices asks for the "
		       "host's device '%s'",
		       m->p->file, l->net_devices.v[0].host_name);
}

int merge_namespaces(struct merge *m)
{
	static const char *const types[] = { "mount", "pid", "ipc", "uts", "cgroup" };
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (namespace_is_listed(m->spec, types[i]))
			continue;
		r = merge_add_namespace(m, types[i]);
		if (r == 0)
			r = merge_explain(m,
					  "namespaces: a new %s namespace instead of the host's",
					  types[i]);
		if (r < 0)
			return r;
	}
	if (!m->p->network.isolated)
		return 0;
	r = refuse_net_devices(m);
	if (r < 0)
		return r;
	/*
	 * A joined or new network namespace stays in the list: the engine's hooks plug their
	 * network into it. Init leaves it for another one after they ran.
	 */
	if (!namespace_is_listed(m->spec, "network")) {
		r = merge_add_namespace(m, "network");
		if (r < 0)
			return r;
	}
	if (m->spec->linux_->isolate_network)
		return 0;
	m->spec->linux_->isolate_network = true;
	return merge_explain(m,
			     "network: isolated, a new network namespace with loopback alone");
}

static bool device_is_standard(const char *type, const struct opt_i64 *major,
			       const struct opt_i64 *minor)
{
	size_t i;

	if (!type || (!streq(type, "c") && !streq(type, "u")) || !major->set)
		return false;
	if (major->value == PTY_MAJOR)
		return true;
	for (i = 0; i < ARRAY_SIZE(standard_devices); i++)
		if (minor->set && major->value == standard_devices[i].major &&
		    minor->value == standard_devices[i].minor)
			return true;
	return false;
}

static void device_clear(struct oci_device *d)
{
	free(d->type);
	free(d->path);
}

static int merge_device_nodes(struct merge *m)
{
	struct oci_linux *l = m->spec->linux_;
	size_t i, kept = 0;
	int r = 0;

	for (i = 0; i < l->devices.n; i++) {
		struct oci_device *d = &l->devices.v[i];
		bool is_console = d->major.value == CONSOLE_MAJOR &&
				  d->minor.value == CONSOLE_MINOR;

		if (streq_null(d->type, "p") ||
		    (device_is_standard(d->type, &d->major, &d->minor) && !is_console)) {
			l->devices.v[kept++] = *d;
			continue;
		}
		if (r == 0)
			r = merge_explain(m, "devices: '%s' is left out",
					  d->path ? d->path : "");
		device_clear(d);
	}
	l->devices.n = kept;
	return r;
}

/* A rule that denies everything: what the list has to begin with. */
static bool rule_denies_all(const struct oci_device_cgroup *d)
{
	return !d->allow && (!d->type || streq(d->type, "a")) &&
	       (!d->major.set || d->major.value == -1) &&
	       (!d->minor.set || d->minor.value == -1) &&
	       (!d->access || (strchr(d->access, 'r') && strchr(d->access, 'w') &&
			       strchr(d->access, 'm')));
}

/*
 * First everything is denied, then the engine's rules follow without those that allow more than
 * the standard devices. The runtime adds the standard devices themselves at the end.
 */
static int merge_device_rules(struct merge *m)
{
	struct oci_linux *l = m->spec->linux_;
	struct oci_device_cgroup deny = { 0 };
	size_t i, kept = 0, dropped = 0;

	if (!l->resources)
		l->resources = calloc(1, sizeof(*l->resources));
	if (!l->resources)
		return err_oom(m->e);
	struct oci_device_cgroup *v = l->resources->devices.v;

	for (i = 0; i < l->resources->devices.n; i++) {
		if (!v[i].allow || device_is_standard(v[i].type, &v[i].major, &v[i].minor)) {
			v[kept++] = v[i];
			continue;
		}
		free(v[i].type);
		free(v[i].access);
		dropped++;
	}
	l->resources->devices.n = kept;
	if (dropped &&
	    merge_explain(m,
			  "devices: %zu rule%s that allow%s more than the standard devices "
			  "left out",
			  dropped, dropped == 1 ? "" : "s", dropped == 1 ? "s" : "") < 0)
		return -ENOMEM;
	if (kept && rule_denies_all(&v[0]))
		return 0;
	deny.access = strdup("rwm");
	if (!deny.access || !list_add(&l->resources->devices)) {
		free(deny.access);
		return err_oom(m->e);
	}
	v = l->resources->devices.v;
	memmove(&v[1], &v[0], kept * sizeof(*v));
	v[0] = deny;
	return merge_explain(m, "devices: all but the standard devices are denied");
}

int merge_devices(struct merge *m)
{
	int r = merge_device_nodes(m);

	return r ? r : merge_device_rules(m);
}
