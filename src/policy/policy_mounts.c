// SPDX-License-Identifier: Apache-2.0
/* A policy's `filesystem` section: what it says of a path, and the mounts it asks for. Pure. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "policy/merge_parts.h"

static void rule_try(const char *path, const char *entry, enum path_rule rule,
		     size_t *best, enum path_rule *ret)
{
	size_t n = strlen(entry);

	if (path_is_within(path, entry) && n >= *best) {
		*best = n;
		*ret = rule;
	}
}

enum path_rule policy_path_rule(const struct policy *p, const char *path)
{
	enum path_rule r = PATH_NONE;
	size_t i, best = 0;

	for (i = 0; i < p->filesystem.immutable_paths.n; i++)
		rule_try(path, p->filesystem.immutable_paths.v[i].sandbox_path,
			 PATH_IMMUTABLE, &best, &r);
	for (i = 0; i < p->filesystem.scratch_paths.n; i++)
		rule_try(path, p->filesystem.scratch_paths.v[i].name, PATH_SCRATCH, &best,
			 &r);
	for (i = 0; i < p->filesystem.output_paths.n; i++)
		rule_try(path, p->filesystem.output_paths.v[i].sandbox_path, PATH_OUTPUT,
			 &best, &r);
	return r;
}

bool policy_path_is_images_own(const struct policy_path *path)
{
	return !path->host_path || streq(path->host_path, path->sandbox_path);
}

/* Memory that a tmpfs may hold; 0: no limit is known. */
int64_t spec_memory_limit(const struct oci_spec *s)
{
	const struct oci_resources *r = s->linux_->resources;

	if (!r || !r->memory || !r->memory->limit.set || r->memory->limit.value <= 0)
		return 0;
	return r->memory->limit.value;
}

static bool paths_have(const struct policy_path *v, size_t n, const struct policy_path *x)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (streq(v[i].sandbox_path, x->sandbox_path) &&
		    streq_null(v[i].host_path, x->host_path))
			return true;
	return false;
}

/* A policy of lower rank gives no path of the host that the administrator's does not give. */
static bool output_is_granted(const struct policy *above, const struct policy_path *x)
{
	return !above || paths_have(above->filesystem.output_paths.v,
				    above->filesystem.output_paths.n, x);
}

bool policy_immutable_is_granted(const struct policy *above, const struct policy_path *x)
{
	return !above || paths_have(above->filesystem.immutable_paths.v,
				    above->filesystem.immutable_paths.n, x);
}

static int left_out(struct merge *m, const char *path)
{
	return merge_explain(m,
			     "filesystem: '%s' is left out: the policy '%s' of the administrator does "
			     "not grant it",
			     path, m->above->name ? m->above->name : m->above->file);
}

static int add_mount(struct merge *m, struct policy_mounts *l, const char *destination,
		     const char *type, const char *source, const char *options)
{
	struct oci_mount *mnt = list_add(&l->l);

	return mnt ? mount_fill(mnt, destination, type, source, options, m->e) :
		     err_oom(m->e);
}

/* May agents write where this path lies? Then one could have put a symbolic link on the way. */
static bool is_in_output(const struct policy *p, const char *host_path)
{
	size_t i;

	for (i = 0; i < p->filesystem.output_paths.n; i++)
		if (path_is_within(host_path, p->filesystem.output_paths.v[i].host_path))
			return true;
	return false;
}

static int add_immutables(struct merge *m, bool in_sandbox, struct policy_mounts *l)
{
	const char *from;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < m->p->filesystem.immutable_paths.n; i++) {
		const struct policy_path *x = &m->p->filesystem.immutable_paths.v[i];

		if (!in_sandbox && policy_path_is_images_own(x))
			continue;
		if (streq(x->sandbox_path, "/"))
			return err_set(m->e, ERR_UNSUPPORTED, ENOTSUP,
				       POLICY_AT
				       "filesystem.immutable_paths: '/' holds for an image; a "
				       "sandbox without one needs the directories by name",
				       policy_at(m->p, x->pos));
		if (!policy_immutable_is_granted(m->above, x)) {
			r = left_out(m, x->sandbox_path);
			continue;
		}
		from = x->host_path ? x->host_path : x->sandbox_path;
		r = add_mount(m, l, x->sandbox_path, "bind", from,
			      "rbind,ro,rro,nosuid,rnosuid,nodev,rnodev");
		if (r == 0)
			l->l.v[l->l.n - 1].plain_source = is_in_output(m->p, from);
	}
	return r;
}

static int add_scratch(struct merge *m, struct policy_mounts *l)
{
	int64_t size = spec_memory_limit(m->spec);
	char options[96];
	size_t i;
	int r = 0;

	if (size)
		snprintf(options, sizeof(options), "nosuid,nodev,mode=1777,size=%" PRIi64,
			 size);
	else /* of the machine's memory */
		snprintf(options, sizeof(options), "nosuid,nodev,mode=1777,size=25%%");
	for (i = 0; r == 0 && i < m->p->filesystem.scratch_paths.n; i++) {
		const char *path = m->p->filesystem.scratch_paths.v[i].name;

		if (m->above && policy_path_rule(m->above, path) == PATH_IMMUTABLE)
			r = left_out(m, path);
		else
			r = add_mount(m, l, path, "tmpfs", "tmpfs", options);
	}
	return r;
}

static int add_outputs(struct merge *m, struct policy_mounts *l)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < m->p->filesystem.output_paths.n; i++) {
		const struct policy_path *x = &m->p->filesystem.output_paths.v[i];

		if (!output_is_granted(m->above, x)) {
			r = left_out(m, x->sandbox_path);
			continue;
		}
		r = add_mount(m, l, x->sandbox_path, "bind",
			      x->host_path ? x->host_path : x->sandbox_path,
			      "rbind,rw,nosuid,rnosuid,nodev,rnodev,noexec,rnoexec");
		if (r == 0)
			l->l.v[l->l.n - 1].plain_source = true;
	}
	return r;
}

static size_t path_depth(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/' && path[1] != '\0';
	return n;
}

static void sort_by_depth(struct policy_mounts *l)
{
	size_t i, k;

	for (i = 1; i < l->l.n; i++) {
		struct oci_mount mnt = l->l.v[i];

		for (k = i; k > 0 && path_depth(l->l.v[k - 1].destination) >
					     path_depth(mnt.destination);
		     k--)
			l->l.v[k] = l->l.v[k - 1];
		l->l.v[k] = mnt;
	}
}

int policy_mounts_make(struct merge *m, bool in_sandbox, struct policy_mounts *ret)
{
	int r = add_immutables(m, in_sandbox, ret);

	if (r == 0)
		r = add_scratch(m, ret);
	if (r == 0)
		r = add_outputs(m, ret);
	if (r == 0)
		sort_by_depth(ret);
	else
		policy_mounts_clear(ret);
	return r;
}

void policy_mounts_clear(struct policy_mounts *l)
{
	size_t i;

	for (i = 0; i < l->l.n; i++)
		mount_clear(&l->l.v[i]);
	free(l->l.v);
	*l = (struct policy_mounts){ 0 };
}

int policy_output_dirs(const struct policy *p, const struct policy *above,
		       struct strv *ret, struct err *e)
{
	size_t i;

	for (i = 0; i < p->filesystem.output_paths.n; i++) {
		const struct policy_path *x = &p->filesystem.output_paths.v[i];
		const char *dir = x->host_path ? x->host_path : x->sandbox_path;

		if (output_is_granted(above, x) && !strv_contains(ret, dir) &&
		    strv_add(ret, dir) < 0)
			return err_oom(e);
	}
	return 0;
}
