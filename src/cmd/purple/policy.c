/* SPDX-License-Identifier: Apache-2.0 */
/* purple policy check, compile, why, diff, schema and man: what can be done with a policy without running
 * anything; and reload, for a container that runs. Runs with the caller's privileges; only `compile
 * --bundle` and `reload` write. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "budget/prices.h"
#include "cmd/purple/purple.h"
#include "policy/gateway.h"
#include "policy/merge.h"
#include "policy/plain.h"
#include "policy/plan.h"

/* crun before 1.9 refuses newer numbers, though it knows all that is in the document. */
#define PLAIN_VERSION "1.0.2"

struct policy_options {
	const char *bundle, *policy;
	bool strict;
};

static const struct option_row rows[] = {
	OPTION(policy_options, strict, "strict", 0, OPTION_FLAG, NULL,
	       "check: warnings fail too; reload: fail where more has changed than the network"),
	OPTION(policy_options, bundle, "bundle", 'b', OPTION_STRING, "DIR",
	       "compile: write DIR/config.json and DIR/rootfs instead of printing"),
	OPTION(policy_options, policy, "policy", 0, OPTION_STRING, "NAME|FILE",
	       "reload: in place of the policy that was chosen for the container"),
	{},
};

/* --- check --- */

/* A maximum of money holds where prices are known: a model without one is never called. */
static int check_models(const struct gateway_policy *p, const struct prices *prices,
			struct strv *warnings)
{
	for (size_t i = 0; i < p->providers.n; i++) {
		const struct gateway_provider *v = &p->providers.v[i];

		for (size_t k = 0; k < v->models.n; k++) {
			const struct price_model *model;

			if (!strchr(v->models.v[k], '*') &&
			    prices_find(prices, v->name, v->models.v[k], &model) != PRICE_OK &&
			    strv_addf(warnings,
				      "policy %s:%u: the model '%s' has no price: with "
				      "max_cost it is never called",
				      p->file, v->line, v->models.v[k]) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* 1 with *found: the gateway would not start. */
static int check_prices(const struct gateway_policy *p, struct strv *warnings,
			struct buf *out, struct err *found, struct err *e)
{
	_prices_free_ struct prices *prices = NULL;
	int r;

	if (!p->max_cost.set)
		return 0;
	if (access(PRICES_FILE, F_OK) < 0) {
		buf_addf(out,
			 "note: policy %s:%u: models are not checked for prices: "
			 "'" PRICES_FILE "' is not installed\n",
			 p->file, p->budget_line);
		return 0;
	}
	r = prices_load(PRICES_FILE, PRICES_OVERLAY, &prices, found);
	for (size_t i = 0; r == 0 && i < p->providers.n; i++)
		if (p->providers.v[i].prices)
			r = prices_add_file(&prices, p->providers.v[i].prices, found);
	if (r < 0)
		return 1;
	return check_models(p, prices, warnings) < 0 ? err_oom(e) : 0;
}

/* What the gateway's own view of the policy shows. */
static int check_llm(const struct policy *p, struct strv *warnings, struct buf *out,
		     struct err *found, struct err *e)
{
	_gateway_config_clear_ struct gateway_config c = {};
	policy_llm_keys keys = {};
	int r;

	if (!p->ai_policy.pos.line)
		return 0;
	r = policy_gateway_add(p, &c, &keys, found);
	policy_llm_keys_clear(&keys);
	return r < 0 ? 1 : check_prices(&c.policies.v[0], warnings, out, found, e);
}

/* Adds the findings of one file. *ret_good is false when it is no policy. */
static int check_file(const char *file, bool strict, struct buf *out, bool *ret_good,
		      struct err *e)
{
	_policy_free_ struct policy *p = NULL;
	_strv_free_ struct strv warnings = {};
	struct err found;
	int r;

	*ret_good = false;
	r = policy_load(file, &p, &found);
	if (r < 0) {
		buf_addf(out, "error: %s\n", found.msg);
		return 0;
	}
	r = policy_lint(p, &warnings, e);
	if (r == 0)
		r = check_llm(p, &warnings, out, &found, e);
	if (r < 0)
		return r;
	if (r > 0) {
		buf_addf(out, "error: %s\n", found.msg);
		return 0;
	}
	for (size_t i = 0; i < warnings.n; i++)
		buf_addf(out, "warning: %s\n", warnings.v[i]);
	if (policy_check_enforceable(p, POLICY_HAS_ALL, &found) < 0)
		buf_addf(out, "note: %s\n", found.msg);
	*ret_good = !strict || warnings.n == 0;
	buf_addf(out, *ret_good ? "%s: ok\n" : "%s: has warnings\n", file);
	return 0;
}

static int check(const struct policy_options *o, char **files, int n, int *ret_status,
		 struct err *e)
{
	_buf_free_ struct buf out = {};
	int r = 0;

	if (o->bundle)
		return err_set(e, ERR_USAGE, EINVAL, "--bundle is for policy compile");
	for (int i = 0; r == 0 && i < n; i++) {
		bool good;

		r = check_file(files[i], o->strict, &out, &good, e);
		if (!good)
			*ret_status = 1;
	}
	return r < 0 ? r : print_text(&out, e);
}

/* --- compile --- */

/* What any runtime can carry out, in a version of the spec that it takes. */
static int make_plain(const struct policy *p, struct oci_spec *s, struct err *e)
{
	free(s->oci_version);
	s->oci_version = strdup(PLAIN_VERSION);
	return s->oci_version ? policy_make_plain(s, &p, 1, 0, e) : err_oom(e);
}

static int fill_request(struct sandbox_request *rq, struct err *e)
{
	rq->uid = geteuid();
	rq->gid = getegid();
	rq->rootless = geteuid() != 0;
	rq->rootfs = "rootfs";
	return strv_add(&rq->args, "sh") < 0 ? err_oom(e) : 0;
}

static int compile_spec(const struct policy *p, struct oci_spec **ret, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = NULL;
	struct sandbox_request rq = {};
	struct merge_host host = {};
	int r;

	r = policy_check_enforceable(p, 0, e);
	if (r == 0)
		r = fill_request(&rq, e);
	if (r == 0)
		r = merge_host_detect(NULL, p, NULL, &host, e);
	if (r == 0)
		r = policy_sandbox_spec(p, &rq, &host, &s, NULL, e);
	if (r == 0)
		r = make_plain(p, s, e);
	merge_host_clear(&host);
	strv_free(&rq.args);
	if (r == 0)
		*ret = take_ptr(&s);
	return r;
}

/* The runtime that takes the bundle makes no directories of the host. */
static int make_output_dirs(const struct policy *p, struct err *e)
{
	_strv_free_ struct strv dirs = {};
	int r = policy_output_dirs(p, NULL, &dirs, e);

	for (size_t i = 0; r == 0 && i < dirs.n; i++)
		r = fs_mkdir_p(dirs.v[i], 0700, e);
	return r;
}

static int write_bundle(const struct policy *p, const char *dir, const struct buf *text,
			struct err *e)
{
	_close_ int fd = -1;
	int r;

	r = fs_mkdir_p(dir, 0755, e);
	if (r < 0)
		return r;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", dir);
	if (faccessat(fd, "config.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, ERR_USAGE, EEXIST,
			       "'%s/config.json' exists already: remove it first", dir);
	if (mkdirat(fd, "rootfs", 0755) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make '%s/rootfs'", dir);
	r = make_output_dirs(p, e);
	return r < 0 ? r : fs_write_atomic(fd, "config.json", text->s, text->len, 0644, e);
}

static int compile(const struct policy_options *o, const char *file, struct err *e)
{
	_policy_free_ struct policy *p = NULL;
	_oci_spec_free_ struct oci_spec *s = NULL;
	_buf_free_ struct buf out = {};
	int r;

	if (o->strict)
		return err_set(e, ERR_USAGE, EINVAL, "--strict is for policy check");
	r = policy_load(file, &p, e);
	if (r == 0)
		r = compile_spec(p, &s, e);
	if (r == 0)
		r = json_write(&oci_spec_type, s, true, &out, e);
	if (r < 0)
		return r;
	buf_adds(&out, "\n");
	if (out.failed)
		return err_oom(e);
	return o->bundle ? write_bundle(p, o->bundle, &out, e) : print_text(&out, e);
}

/* --- diff --- */

static int diff(const char *first, const char *second, int *ret_status, struct err *e)
{
	_free_ char *a = NULL, *b = NULL;
	int r = profile_resolve(first, &a, e);

	if (r == 0)
		r = profile_resolve(second, &b, e);
	return r < 0 ? r : policy_diff_files(a, b, ret_status, e);
}

/* --- */

static int print_generated(const struct policy_options *o, int (*write)(struct buf *out),
			   struct err *e)
{
	_buf_free_ struct buf out = {};

	if (o->strict || o->bundle)
		return err_set(e, ERR_USAGE, EINVAL, "this takes no options");
	if (write(&out) < 0)
		return err_oom(e);
	return print_text(&out, e);
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct policy_options *o = opts;

	if (streq(args[0], "reload") && n == 2) {
		if (o->bundle)
			return err_set(e, ERR_USAGE, EINVAL,
				       "--bundle is for policy compile");
		return policy_reload_container(((const struct purple_globals *)global)->root,
					       args[1], o->policy, o->strict, e);
	}
	if (o->policy)
		return err_set(e, ERR_USAGE, EINVAL, "--policy is for policy reload");
	if (streq(args[0], "check") && n > 1)
		return check(o, args + 1, n - 1, ret_status, e);
	if (streq(args[0], "compile") && n == 2)
		return compile(o, args[1], e);
	if (streq(args[0], "why") && n == 3) {
		if (o->strict || o->bundle)
			return err_set(e, ERR_USAGE, EINVAL, "policy why takes no options");
		return policy_why(args[1], args[2], ret_status, e);
	}
	if (streq(args[0], "diff") && n == 3) {
		if (o->strict || o->bundle)
			return err_set(e, ERR_USAGE, EINVAL, "policy diff takes no options");
		return diff(args[1], args[2], ret_status, e);
	}
	if (streq(args[0], "schema") && n == 1)
		return print_generated(o, policy_write_json_schema, e);
	if (streq(args[0], "man") && n == 1)
		return print_generated(o, policy_write_man_page, e);
	return err_set(e, ERR_USAGE, EINVAL,
		       "policy: expected check FILE..., compile FILE, "
		       "why FILE HOST:PORT, diff FIRST SECOND, reload ID or schema");
}

const struct command purple_policy_command = {
	.name = "policy",
	.arguments = "check FILE... | compile FILE | why FILE HOST:PORT[/udp] | diff FIRST SECOND | "
		     "reload ID | schema",
	.help = "Check policies, print what one comes to, which rule decides about a connection, "
		"in what one is stricter than another, or the JSON Schema of the language; give a running container's network new rules.",
	.options = rows,
	.options_size = sizeof(struct policy_options),
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
