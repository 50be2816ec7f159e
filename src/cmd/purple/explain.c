/* SPDX-License-Identifier: Apache-2.0 */
/* purple explain: which policies hold for a container, and what they changed. Reads only. */
#include "base/fd.h"
#include "cmd/purple/purple.h"
#include "container/container.h"

struct explain_options {
	bool config;
};

static const struct option_row rows[] = {
	OPTION(explain_options, config, "config", 0, OPTION_FLAG, NULL,
	       "print the effective configuration instead, as JSON"),
	{},
};

static int write_config(struct container *c, struct buf *out, struct err *e)
{
	_oci_spec_free_ struct oci_spec *spec = NULL;
	int r = container_config_load(c, &spec, e);

	if (r == 0)
		r = json_write(&oci_state_spec_type, spec, true, out, e);
	buf_adds(out, "\n");
	return r;
}

static void write_policies(const struct container_state *st, struct buf *out)
{
	if (st->policies.n == 0)
		buf_adds(out, "policies: none; the engine's configuration holds as it is\n");
	for (size_t i = 0; i < st->policies.n; i++) {
		const struct container_policy *p = &st->policies.v[i];

		buf_addf(out, "policy: %s (%s), chosen by %s\n", p->name,
			 p->path ? p->path : "no file",
			 p->chosen_by ? p->chosen_by : "unknown");
	}
	for (size_t i = 0; i < st->network_policies.n; i++) {
		const struct container_policy *p = &st->network_policies.v[i];

		buf_addf(out, "network, since a reload: %s (%s), chosen by %s\n", p->name,
			 p->path ? p->path : "no file",
			 p->chosen_by ? p->chosen_by : "unknown");
	}
	if (st->explanations.n)
		buf_adds(out, "what they changed:\n");
	for (size_t i = 0; i < st->explanations.n; i++) {
		buf_adds(out, "  ");
		print_plain(out, st->explanations.v[i], 0);
		buf_adds(out, "\n");
	}
}

static int write_text(struct container *c, struct buf *out, struct err *e)
{
	enum container_status status;
	int r = container_status(c, &status, e);

	if (r < 0)
		return r;
	buf_addf(out, "container: %s\nstatus: %s\n", c->st.id,
		 container_status_name(status));
	if (c->st.created)
		buf_addf(out, "created: %s\n", c->st.created);
	if (c->st.cgroup && c->st.cgroup->path)
		buf_addf(out, "cgroup: %s (%s)\n", c->st.cgroup->path,
			 cgroup_mode_name(c->st.cgroup->mode));
	write_policies(&c->st, out);
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	const struct explain_options *o = opts;
	_container_close_ struct container c = CONTAINER_EMPTY;
	_buf_free_ struct buf out = {};
	int r;

	r = container_open(g->root, args[0], false, &c, e);
	if (r == 0)
		r = o->config ? write_config(&c, &out, e) : write_text(&c, &out, e);
	return r < 0 ? r : print_text(&out, e);
}

const struct command purple_explain_command = {
	.name = "explain",
	.arguments = "ID",
	.help = "Say which policies hold for a container and what they changed.",
	.options = rows,
	.options_size = sizeof(struct explain_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
