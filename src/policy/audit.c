/* SPDX-License-Identifier: Apache-2.0 */
/* See audit.h. Runs in the runtime. */
#include "policy/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In the order of enum audit_level; what ebpf_monitoring adds last. */
static const char *const level_names[] = {
	"resource",
	"filesystem",
	"syscall",
	"network",
	"exec",
	"api_calls",
	"budget_usage",
	"security_events",
	"counts of system calls",
};

static uint32_t levels_of(const struct policy *p)
{
	const __typeof__(p->ebpf_monitoring) *t = &p->ebpf_monitoring;
	uint32_t levels = p->audit.detail_level.n ? 0 : AUDIT_LEVEL_ALL;

	for (size_t i = 0; i < p->audit.detail_level.n; i++)
		for (size_t k = 0; k < AUDIT_LEVELS; k++)
			if (streq(p->audit.detail_level.v[i].name, level_names[k]))
				levels |= 1u << k;
	if (!t->enabled)
		return levels;
	if (t->trace_files)
		levels |= AUDIT_FILESYSTEM;
	if (t->trace_network)
		levels |= AUDIT_NETWORK;
	if (t->trace_syscalls)
		levels |= AUDIT_COUNTS;
	return levels;
}

static int add_alert(const struct policy *p, struct audit_config *c)
{
	const __typeof__(p->audit.alert) *from = &p->audit.alert;
	struct audit_alert_config *x = from->pos.line ? list_add(&c->alerts) : NULL;

	if (!x)
		return from->pos.line ? -ENOMEM : 0;
	*x = (struct audit_alert_config){ .policy = strdup(p->name) };
	if (from->webhook)
		x->webhook = strdup(from->webhook);
	return x->policy && !x->webhook == !from->webhook ?
		       strv_copy(&from->command, &x->command) :
		       -ENOMEM;
}

int policy_audit_add(const struct policy *p, struct audit_config *c, struct err *e)
{
	struct audit_log_config x = {
		.levels = levels_of(p),
		.max_size = p->audit.max_log_size,
		.keep = p->audit.keep_logs == UINT64_MAX ? AUDIT_KEEP_ALL :
							   (uint32_t)p->audit.keep_logs,
		.go_on = p->audit.on_log_failure == POLICY_LOG_CONTINUE,
	};
	int r = 0;

	if (!p->audit.enabled)
		return 0;
	x.policy = strdup(p->name);
	x.place = str_printf("%s:%d", p->file, p->audit.pos.line);
	x.path = p->audit.log_path ? strdup(p->audit.log_path) :
				     str_printf(AUDIT_LOG_FOLDER "/%s.jsonl", p->name);
	if (!x.policy || !x.place || !x.path || audit_config_add(c, &x) < 0 ||
	    add_alert(p, c) < 0)
		r = err_oom(e);
	audit_log_config_clear(&x);
	return r;
}

static int explain(const struct audit_log_config *x, struct strv *to)
{
	_buf_free_ struct buf names = {};

	for (size_t k = 0; k < ARRAY_SIZE(level_names); k++)
		if (x->levels & (1u << k))
			buf_addf(&names, "%s%s", names.len ? ", " : "", level_names[k]);
	if (names.failed)
		return -ENOMEM;
	return strv_addf(to,
			 "audit: %s goes to %s; when that cannot be written, the sandbox %s",
			 names.len ? names.s : "start and end", x->path,
			 x->go_on ? "goes on" : "ends");
}

/* A URL may be a secret from its path on: it is not repeated. */
static int explain_alert(const struct audit_alert_config *x, struct strv *to)
{
	const char *both = x->command.n && x->webhook ? " and " : "";

	return strv_addf(to, "audit: policy %s: violations go to %s%s%s%s", x->policy,
			 x->command.n ? "the command " : "",
			 x->command.n ? x->command.v[0] : "", both,
			 x->webhook ? "a webhook" : "");
}

int policy_audit_explain(const struct audit_config *c, struct strv *explanations,
			 struct err *e)
{
	for (size_t i = 0; i < c->logs.n; i++)
		if (explain(&c->logs.v[i], explanations) < 0)
			return err_oom(e);
	for (size_t i = 0; i < c->alerts.n; i++)
		if (explain_alert(&c->alerts.v[i], explanations) < 0)
			return err_oom(e);
	return 0;
}
