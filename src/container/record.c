/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h. Runs in the runtime, at `delete`, with its privileges: reads the container's cgroup. */
#include "container/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/config.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"

#define COMMAND_MAX 1024

static const struct json_field denial_fields[] = {
	JSON_FR(run_denial, type, "type", JSON_STR),
	JSON_FR(run_denial, verdict, "verdict", JSON_STR),
	JSON_FR(run_denial, rule, "rule", JSON_STR),
	JSON_F(run_denial, reference, "reference", JSON_STR),
	JSON_F(run_denial, policy, "policy", JSON_STR),
	JSON_F(run_denial, count, "count", JSON_U64),
	JSON_F(run_denial, target, "target", JSON_STR),
	JSON_F(run_denial, command, "command", JSON_STR),
	{},
};
const struct json_type run_denial_type = { sizeof(struct run_denial), denial_fields };

static const struct json_field usage_fields[] = {
	JSON_F(run_usage, memory_peak, "memory_peak", JSON_OPT_U64),
	JSON_F(run_usage, memory_limit, "memory_limit", JSON_OPT_U64),
	JSON_F(run_usage, oom_kills, "oom_kills", JSON_OPT_U64),
	JSON_F(run_usage, cpu_ns, "cpu_ns", JSON_OPT_U64),
	JSON_F(run_usage, throttled_ns, "throttled_ns", JSON_OPT_U64),
	JSON_F(run_usage, processes_peak, "processes_peak", JSON_OPT_U64),
	JSON_F(run_usage, processes_limit, "processes_limit", JSON_OPT_U64),
	JSON_F(run_usage, read_bytes, "read_bytes", JSON_OPT_U64),
	JSON_F(run_usage, written_bytes, "written_bytes", JSON_OPT_U64),
	{},
};
static const struct json_type usage_type = { sizeof(struct run_usage), usage_fields };

static const struct json_field budget_fields[] = {
	JSON_FR(run_budget, name, "name", JSON_STR),
	JSON_F(run_budget, tokens, "tokens", JSON_OPT_I64),
	JSON_F(run_budget, tokens_limit, "tokens_limit", JSON_OPT_I64),
	JSON_F(run_budget, cost, "cost", JSON_OPT_I64),
	JSON_F(run_budget, cost_limit, "cost_limit", JSON_OPT_I64),
	{},
};
static const struct json_type budget_type = { sizeof(struct run_budget), budget_fields };

static const struct json_field llm_fields[] = {
	JSON_F(run_llm, calls, "calls", JSON_U64),
	JSON_F(run_llm, denied, "denied", JSON_U64),
	JSON_F(run_llm, tokens, "tokens", JSON_OPT_I64),
	JSON_F(run_llm, cost, "cost", JSON_OPT_I64),
	JSON_F(run_llm, incomplete, "incomplete", JSON_BOOL),
	JSON_FT(run_llm, budgets, "budgets", JSON_STRUCTS, &budget_type),
	{},
};
static const struct json_type llm_type = { sizeof(struct run_llm), llm_fields };

static const struct json_field record_fields[] = {
	JSON_F(run_record, version, "version", JSON_U32),
	JSON_FR(run_record, id, "id", JSON_STR),
	JSON_F(run_record, root, "root", JSON_STR),
	JSON_F(run_record, owner, "owner", JSON_STR),
	JSON_F(run_record, policies, "policies", JSON_STRV),
	JSON_F(run_record, command, "command", JSON_STRV),
	JSON_F(run_record, started, "started", JSON_STR),
	JSON_FR(run_record, ended, "ended", JSON_STR),
	JSON_F(run_record, duration_ms, "duration_ms", JSON_U64),
	JSON_FTR(run_record, end, "end", JSON_STRUCT, &container_end_type),
	JSON_FT(run_record, usage, "usage", JSON_STRUCT, &usage_type),
	JSON_FT(run_record, llm, "llm", JSON_STRUCT, &llm_type),
	JSON_FT(run_record, denials, "denials", JSON_STRUCTS, &run_denial_type),
	JSON_F(run_record, denied, "denied", JSON_U64),
	JSON_F(run_record, audited, "audited", JSON_U64),
	JSON_F(run_record, lost, "lost", JSON_U64),
	JSON_F(run_record, logs, "logs", JSON_STRV),
	{},
};
const struct json_type run_record_type = { sizeof(struct run_record), record_fields };

void run_record_clear(struct run_record *x)
{
	free(x->not_kept);
	json_clear(&run_record_type, x);
}

/* --- figures --- */

static struct opt_u64 counted(bool is, uint64_t v)
{
	return is ? (struct opt_u64){ true, v } : (struct opt_u64){};
}

static int collect_usage(const struct container *c, struct run_record *x, struct err *e)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct run_usage *u;
	uint64_t in = 0, out = 0;
	int r;

	if (!c->st.cgroup || c->st.cgroup->mode == CGROUP_NONE)
		return 0;
	r = cgroup_stats(c->st.cgroup, &s, e);
	if (r < 0)
		return r;
	u = x->usage = calloc(1, sizeof(*u));
	if (!u)
		return err_oom(e);
	for (size_t i = 0; i < s.io.n; i++) {
		in += s.io.v[i].read_bytes;
		out += s.io.v[i].write_bytes;
	}
	u->memory_peak = counted(s.has_memory && s.memory_peak, s.memory_peak);
	u->memory_limit = counted(s.has_memory && s.memory_limit != CGROUP_UNLIMITED,
				  s.memory_limit);
	u->oom_kills = counted(s.has_memory, s.oom_kills);
	u->cpu_ns = counted(s.has_cpu, s.cpu_usage_ns);
	u->throttled_ns = counted(s.has_cpu && s.cpu_throttled_ns, s.cpu_throttled_ns);
	u->processes_peak = counted(s.has_pids && s.pids_peak, s.pids_peak);
	u->processes_limit = counted(s.has_pids && s.pids_limit != CGROUP_UNLIMITED,
				     s.pids_limit);
	u->read_bytes = counted(s.has_io, in);
	u->written_bytes = counted(s.has_io, out);
	return 0;
}

/* --- the end --- */

static int collect_end(const struct container *c, struct run_record *x, struct err *e)
{
	bool known;
	int r;

	x->end = calloc(1, sizeof(*x->end));
	if (!x->end)
		return err_oom(e);
	r = container_end_load(c, x->end, &known, e);
	if (r < 0 || known)
		return r;
	x->end->reason = strdup(END_UNKNOWN);
	return x->end->reason ? 0 : err_oom(e);
}

/* Milliseconds since 1970; 0: it is no time. */
static int64_t parse_time(const char *text)
{
	struct tm tm = {};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	char *end;
	double fraction;

	if (!rest)
		return 0;
	fraction = *rest == '.' ? strtod(rest, &end) : 0;
	return timegm(&tm) * INT64_C(1000) + (int64_t)(fraction * 1000);
}

static int collect_times(const struct container *c, struct run_record *x, struct err *e)
{
	int64_t from = parse_time(c->st.created), to;

	x->ended = x->end->ended ? strdup(x->end->ended) : container_end_time();
	x->started = c->st.created ? strdup(c->st.created) : NULL;
	if (!x->ended || (c->st.created && !x->started))
		return err_oom(e);
	to = parse_time(x->ended);
	x->duration_ms = from && to > from ? (uint64_t)(to - from) : 0;
	return 0;
}

/* --- who it was --- */

static int add_command(struct run_record *x, const struct strv *args, struct err *e)
{
	size_t left = COMMAND_MAX;

	for (size_t i = 0; i < args->n && left > 0; i++) {
		size_t n = strnlen(args->v[i], left);

		if (strv_addf(&x->command, "%.*s", (int)n, args->v[i]) < 0)
			return err_oom(e);
		left -= n;
	}
	return 0;
}

static int collect_names(const struct container *c, const struct oci_spec *spec,
			 struct run_record *x, struct err *e)
{
	x->version = RUN_VERSION;
	x->id = strdup(c->st.id);
	x->root = strdup(c->root);
	x->owner = c->st.owner ? strdup(c->st.owner) : NULL;
	if (!x->id || !x->root || (c->st.owner && !x->owner))
		return err_oom(e);
	for (size_t i = 0; i < c->st.policies.n; i++)
		if (strv_add(&x->policies, c->st.policies.v[i].name) < 0)
			return err_oom(e);
	return spec && spec->process ? add_command(x, &spec->process->args, e) : 0;
}

static int collect_logs(const struct container *c, struct run_record *x, struct err *e)
{
	struct audit_config config = {};
	int r;

	if (faccessat(c->dirfd, AUDIT_CONFIG_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = audit_config_load(c->dirfd, &config, e);
	for (size_t i = 0; r == 0 && i < config.logs.n; i++)
		if (strv_add(&x->logs, config.logs.v[i].path) < 0)
			r = err_oom(e);
	audit_config_clear(&config);
	return r;
}

int run_record_collect(const struct container *c, const struct oci_spec *spec,
		       struct run_record *ret, struct err *e)
{
	_run_record_clear_ struct run_record x = {};
	struct err part;
	int r = collect_names(c, spec, &x, e);

	if (r < 0)
		return r;
	if (collect_usage(c, &x, &part) < 0)
		log_warn("what container %s used is not known: %s", c->st.id, part.msg);
	r = collect_end(c, &x, e);
	if (r == 0)
		r = collect_times(c, &x, e);
	if (r < 0)
		return r;
	if (c->st.gateway_pid > 0 && !(x.llm = calloc(1, sizeof(*x.llm))))
		return err_oom(e);
	if (x.llm)
		x.llm->incomplete = true;
	if (run_record_take_events(&x, c, &part) < 0)
		log_warn("what container %s was denied is not known: %s", c->st.id,
			 part.msg);
	if (collect_logs(c, &x, &part) < 0)
		log_warn("the logs of container %s are not known: %s", c->st.id, part.msg);
	*ret = x;
	x = (struct run_record){};
	return 0;
}
