/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See policy.h. Runs in purple-policy-hook, as a child of an engine with its privileges, before
 * the container's runtime is called. Reads the settings and policies of the host; makes missing
 * directories of output paths; changes nothing else.
 */
#include "cmd/hook/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "container/gateway.h"
#include "linux/seccomp.h"
#include "policy/plain.h"

#define NAME "config.json"
#define EFFECTIVE_POLICY "io.purple.effective-policy"

/* What has to be known of a configuration to tell whether it concerns us. */
struct head {
	struct strmap annotations;
};
static const struct json_field head_rows[] = {
	JSON_F(head, annotations, "annotations", JSON_STRMAP),
	{},
};
static const struct json_type head_type = { .size = sizeof(struct head),
					    .fields = head_rows };

static int check_applies(const struct json *doc, const struct policy_request *rq,
			 bool *ret, struct err *e)
{
	struct head head;
	int r = json_read(doc, &head_type, NAME, &head, e);

	if (r < 0)
		return r;
	r = policy_plan_applies(&head.annotations, rq, ret, e);
	json_clear(&head_type, &head);
	return r;
}

/* Nobody tells us the bundle's folder. */
static int check_paths(const struct oci_spec *s, struct err *e)
{
	if (s->root && s->root->path[0] != '/')
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       NAME ": root.path '%s' is relative: the policy hook cannot "
				    "know to what",
			       s->root->path);
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];
		bool bind = (m->type && streq(m->type, "bind")) ||
			    oci_mount_has_option(m, "bind") ||
			    oci_mount_has_option(m, "rbind");

		if (bind && m->source && m->source[0] != '/')
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       NAME ": mounts[%zu].source '%s' is relative: the policy "
					    "hook cannot know to what",
				       i, m->source);
	}
	return 0;
}

/*
 * Annotations by which other runtimes do something else than the configuration says: crun takes
 * another system call filter by run.oci.seccomp_bpf_data, keeps the caller's groups, or hands
 * the container to a virtual machine; runc and crun give org.systemd.property.* to systemd, which
 * has limits and device rules among them. An image can bring them. Podman sets two of its own.
 */
static int check_annotations(const struct oci_spec *s, struct err *e)
{
	static const char *const refused[] = { "run.oci.", "krun.", "module.wasm.",
					       "org.systemd.property." };
	static const char *const harmless[] = { "org.systemd.property.KillSignal",
						"org.systemd.property.TimeoutStopUSec" };

	for (size_t i = 0; i < s->annotations.n; i++) {
		const char *key = s->annotations.k[i];
		bool known = false;

		for (size_t k = 0; k < ARRAY_SIZE(harmless); k++)
			known = known || streq(key, harmless[k]);
		for (size_t k = 0; !known && k < ARRAY_SIZE(refused); k++)
			if (str_has_prefix(key, refused[k]))
				return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
					       "annotation '%s': it can make a runtime do "
					       "something else than the policy says, and is not "
					       "supported by the policy hook",
					       key);
	}
	return 0;
}

/* Other runtimes take a limit of 0 processes for none, so it is none that the policy lowers. */
static void read_habits(struct oci_spec *s)
{
	struct oci_resources *r = s->linux_->resources;

	if (r && r->pids && r->pids->limit.set && r->pids->limit.value == 0)
		r->pids->limit.value = -1;
}

/* The other runtime opens a source by its name, and follows what links it finds: so there are to be
 * none where an agent could have put one. */
static int check_plain_sources(const struct oci_spec *s, struct err *e)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];
		struct open_how how = { .flags = O_PATH | O_CLOEXEC,
					.resolve = RESOLVE_NO_SYMLINKS };
		_close_ int fd = -1;

		if (!m->plain_source)
			continue;
		fd = (int)syscall(SYS_openat2, AT_FDCWD, m->source, &how, sizeof(how));
		if (fd < 0 && errno == ELOOP)
			return err_set(e, ERR_CONFIG, ELOOP,
				       "the way to the source '%s' has a symbolic link that "
				       "is not followed: name the directory that it leads to",
				       m->source);
		if (fd < 0)
			return err_sys(e, "cannot open the source '%s'", m->source);
	}
	return 0;
}

/* crun (1.8) cannot make a file's bind recursively read-only and the like. A file has nothing
 * below it, and the option itself is there too. */
static void simplify_file_binds(struct oci_spec *s)
{
	static const char *const options[] = { "rro", "rnosuid", "rnodev", "rnoexec" };

	for (size_t i = 0; i < s->mounts.n; i++) {
		struct oci_mount *m = &s->mounts.v[i];
		struct stat st;

		if (!m->source || m->source[0] != '/' || stat(m->source, &st) < 0 ||
		    S_ISDIR(st.st_mode))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(options); k++)
			for (size_t o = m->options.n; o-- > 0;)
				if (streq(m->options.v[o], options[k]) &&
				    strv_contains(&m->options, options[k] + 1))
					strv_remove(&m->options, o);
	}
}

static int make_output_dirs(const struct policy_plan *plan, struct err *e)
{
	for (size_t i = 0; i < plan->output_dirs.n; i++) {
		int r = fs_mkdir_p_plain(plan->output_dirs.v[i], 0700, e);

		if (r < 0)
			return err_wrap(e, "filesystem.output_paths");
	}
	return 0;
}

/* As `state` of Purple's own containers says it; what the configuration says of it is not handed
 * on. */
static int name_policies(struct policy_plan *plan, struct err *e)
{
	_buf_free_ struct buf names = {};

	for (size_t i = 0; i < plan->sources.n; i++)
		buf_addf(&names, "%s%s", i ? "," : "", plan->sources.v[i].name);
	if (names.failed || !names.s ||
	    strmap_set(&plan->spec->annotations, EFFECTIVE_POLICY, names.s) < 0)
		return err_oom(e);
	return 0;
}

static int merge(struct json *doc, const struct policy_request *rq, struct err *e)
{
	_oci_spec_free_ struct oci_spec *spec = NULL;
	struct policy_request plain = *rq;
	struct policy_plan plan = {};
	int r;

	plain.plain = true;
	plain.bundle = "/";
	r = oci_spec_read(doc, NAME, &spec, e);
	if (r == 0)
		r = check_paths(spec, e);
	if (r == 0)
		r = check_annotations(spec, e);
	if (r == 0 && spec->linux_->seccomp)
		r = seccomp_check(spec->linux_->seccomp, e);
	if (r < 0)
		return r;
	read_habits(spec);
	/* An engine's hooks are the administrator's. */
	plain.network_filter = policy_has_network_hook(spec);
	plain.gateway = policy_has_budget_hook(spec);
	r = policy_plan_make(spec, &plain, &plan, e);
	if (r == 0)
		r = container_gateway_describe(&plan, e);
	if (r == 0)
		r = make_output_dirs(&plan, e);
	if (r == 0)
		r = check_plain_sources(plan.spec, e);
	if (r == 0)
		r = name_policies(&plan, e);
	if (r == 0)
		simplify_file_binds(plan.spec);
	if (r == 0)
		r = json_overlay(doc, &oci_spec_type, spec, plan.spec, NAME, e);
	policy_plan_clear(&plan);
	return r;
}

int policy_hook_apply(const char *text, size_t len, const struct policy_request *rq,
		      struct buf *out, struct err *e)
{
	_json_free_ struct json *doc = NULL;
	bool applies = false;
	int r = json_parse(text, len, NAME, &doc, e);

	if (r == 0)
		r = check_applies(doc, rq, &applies, e);
	if (r < 0)
		return r;
	if (!applies) {
		buf_add(out, text, len);
		return 0;
	}
	r = merge(doc, rq, e);
	if (r < 0)
		return r;
	json_print(doc, out);
	buf_adds(out, "\n");
	return 0;
}
