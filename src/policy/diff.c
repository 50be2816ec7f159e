// SPDX-License-Identifier: Apache-2.0
/* See diff.h. This file has the sections whose values stand for themselves. Pure. */
#include "policy/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "policy/diff_parts.h"
#include "policy/merge_parts.h"

const char *policy_change_name(enum policy_change c)
{
	static const char *const words[] = {
		[POLICY_STRICTER] = "stricter", [POLICY_LOOSER] = "looser", [POLICY_OTHER] = "other"
	};

	return words[c];
}

void policy_differences_clear(policy_differences *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].first);
		free(l->v[i].second);
	}
	free(l->v);
	*l = (policy_differences){};
}

/* --- adding --- */

int diff_add(policy_differences *l, enum policy_change c, const char *key,
	     const char *first, const char *second)
{
	struct policy_difference *d = list_add(l);

	if (!d)
		return -ENOMEM;
	*d = (struct policy_difference){ .change = c,
					 .key = strdup(key),
					 .first = strdup(first ? first : ""),
					 .second = strdup(second ? second : "") };
	return d->key && d->first && d->second ? 0 : -ENOMEM;
}

static void join(struct buf *out, const struct strv *l)
{
	buf_adds(out, "");
	for (size_t i = 0; i < l->n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", l->v[i]);
}

int diff_add_lists(policy_differences *l, enum policy_change c, const char *key,
		   const struct strv *first, const struct strv *second)
{
	_buf_free_ struct buf x = {}, y = {};

	join(&x, first);
	join(&y, second);
	if (x.failed || y.failed)
		return -ENOMEM;
	return streq(x.s, y.s) ? 0 : diff_add(l, c, key, x.s, y.s);
}

int diff_add_sets(policy_differences *l, const char *key, const struct strv *first,
		  const struct strv *second, enum policy_change gone,
		  enum policy_change come)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < first->n; i++)
		if (!strv_contains(second, first->v[i]))
			r = diff_add(l, gone, key, first->v[i], "");
	for (size_t i = 0; r == 0 && i < second->n; i++)
		if (!strv_contains(first, second->v[i]))
			r = diff_add(l, come, key, "", second->v[i]);
	return r;
}

int diff_add_limit(policy_differences *l, const char *key, uint64_t first,
		   uint64_t second, void (*write)(struct buf *out, uint64_t value))
{
	_buf_free_ struct buf x = {}, y = {};

	if (first == second)
		return 0;
	if (first)
		write(&x, first);
	if (second)
		write(&y, second);
	if (x.failed || y.failed)
		return -ENOMEM;
	return diff_add(l,
			second && (!first || second < first) ? POLICY_STRICTER :
							       POLICY_LOOSER,
			key, first ? x.s : "no limit", second ? y.s : "no limit");
}

int diff_add_bool(policy_differences *l, const char *key, bool first, bool second)
{
	if (first == second)
		return 0;
	return diff_add(l, second ? POLICY_STRICTER : POLICY_LOOSER, key,
			first ? "true" : "false", second ? "true" : "false");
}

/* --- filesystem --- */

typedef __typeof__(((struct policy *)NULL)->filesystem.output_paths) policy_paths;

static int path_texts(const policy_paths *l, struct strv *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct policy_path *p = &l->v[i];
		int r = !p->host_path || streq(p->host_path, p->sandbox_path) ?
				strv_add(ret, p->sandbox_path) :
				strv_addf(ret, "%s at %s", p->host_path, p->sandbox_path);

		if (r < 0)
			return -ENOMEM;
	}
	return 0;
}

static int name_texts(const policy_names *l, struct strv *ret)
{
	for (size_t i = 0; i < l->n; i++)
		if (strv_add(ret, l->v[i].name) < 0)
			return -ENOMEM;
	return 0;
}

/*
 * An immutable path shows an agent of `purple run` a part of the host, and makes a part of an
 * engine's image read-only: neither word alone is right for it.
 */
static int compare_files(const struct policy *a, const struct policy *b,
			 policy_differences *ret)
{
	struct strv fixed[2] = {}, output[2] = {}, scratch[2] = {};
	const struct policy *const both[] = { a, b };
	const char *dirs[2];
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2; i++) {
		const __typeof__(a->filesystem) *f = &both[i]->filesystem;

		r = path_texts(&f->immutable_paths, &fixed[i]);
		if (r == 0)
			r = path_texts(&f->output_paths, &output[i]);
		if (r == 0)
			r = name_texts(&f->scratch_paths, &scratch[i]);
		dirs[i] = f->working_dir ? f->working_dir : "";
	}
	if (r == 0)
		r = diff_add_sets(ret, "filesystem.immutable_paths", &fixed[0], &fixed[1],
				  POLICY_OTHER, POLICY_OTHER);
	if (r == 0)
		r = diff_add_sets(ret, "filesystem.output_paths", &output[0], &output[1],
				  POLICY_STRICTER, POLICY_LOOSER);
	if (r == 0)
		r = diff_add_sets(ret, "filesystem.scratch_paths", &scratch[0],
				  &scratch[1], POLICY_STRICTER, POLICY_LOOSER);
	if (r == 0 && !streq(dirs[0], dirs[1]))
		r = diff_add(ret, POLICY_OTHER, "filesystem.working_dir", dirs[0], dirs[1]);
	for (size_t i = 0; i < 2; i++) {
		strv_free(&fixed[i]);
		strv_free(&output[i]);
		strv_free(&scratch[i]);
	}
	return r;
}

/* --- resources --- */

void diff_write_number(struct buf *out, uint64_t value)
{
	buf_addf(out, "%llu", (unsigned long long)value);
}

static void write_cpus(struct buf *out, uint64_t millis)
{
	buf_addf(out, "%llu.%03llu", (unsigned long long)millis / 1000,
		 (unsigned long long)millis % 1000);
}

static int compare_resources(const struct policy *a, const struct policy *b,
			     policy_differences *ret)
{
	const __typeof__(a->resources) *x = &a->resources, *y = &b->resources;
	int r = diff_add_limit(ret, "resources.cpu_shares", x->cpu_millis, y->cpu_millis,
			       write_cpus);

	if (r == 0)
		r = diff_add_limit(ret, "resources.memory_limit_bytes", x->memory_bytes,
				   y->memory_bytes, diff_write_number);
	if (r == 0)
		r = diff_add_limit(ret, "resources.pids_limit", x->pids_limit,
				   y->pids_limit, diff_write_number);
	if (r == 0)
		r = diff_add_limit(ret, "resources.block_io_limit", x->block_io_bps,
				   y->block_io_bps, diff_write_number);
	if (r == 0)
		r = diff_add_limit(ret, "resources.session_timeout_seconds",
				   x->timeout_seconds, y->timeout_seconds,
				   diff_write_number);
	return r;
}

/* --- capabilities --- */

#define OTHERS "all others"

static int add_caps(const policy_names *l, struct strv *ret)
{
	for (size_t i = 0; i < l->n; i++)
		if (!streq(l->v[i].name, "ALL") && !strv_contains(ret, l->v[i].name) &&
		    strv_add(ret, l->v[i].name) < 0)
			return -ENOMEM;
	return 0;
}

/* Those that either names, and one word for the rest. */
static int compare_caps(const struct policy *a, const struct policy *b,
			policy_differences *ret)
{
	const struct policy *const both[] = { a, b };
	_strv_free_ struct strv names = {};
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2; i++) {
		r = add_caps(&both[i]->capabilities.add, &names);
		if (r == 0)
			r = add_caps(&both[i]->capabilities.drop, &names);
	}
	if (r == 0 && strv_add(&names, OTHERS) < 0)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		bool first = policy_cap_may_stay(a, names.v[i]),
		     second = policy_cap_may_stay(b, names.v[i]);

		if (first != second)
			r = diff_add(ret, second ? POLICY_LOOSER : POLICY_STRICTER,
				     "capabilities", first ? names.v[i] : "",
				     second ? names.v[i] : "");
	}
	return r;
}

/* --- what is recorded --- */

static int compare_number(policy_differences *ret, const char *key, uint64_t first,
			  uint64_t second)
{
	char x[24] = "all", y[24] = "all"; /* the word of keep_logs */

	if (first == second)
		return 0;
	if (first != UINT64_MAX)
		snprintf(x, sizeof(x), "%llu", (unsigned long long)first);
	if (second != UINT64_MAX)
		snprintf(y, sizeof(y), "%llu", (unsigned long long)second);
	return diff_add(ret, POLICY_OTHER, key, x, y);
}

static int compare_logs(const struct policy *a, const struct policy *b,
			policy_differences *ret)
{
	const char *const words[] = {
		[POLICY_LOG_STOP] = "stop", [POLICY_LOG_CONTINUE] = "continue"
	};
	int r = compare_number(ret, "audit.max_log_size", a->audit.max_log_size,
			       b->audit.max_log_size);

	if (r == 0)
		r = compare_number(ret, "audit.keep_logs", a->audit.keep_logs,
				   b->audit.keep_logs);
	if (r == 0 && a->audit.on_log_failure != b->audit.on_log_failure)
		r = diff_add(ret,
			     b->audit.on_log_failure == POLICY_LOG_STOP ? POLICY_STRICTER :
									  POLICY_LOOSER,
			     "audit.on_log_failure", words[a->audit.on_log_failure],
			     words[b->audit.on_log_failure]);
	return r;
}

static int compare_alerts(const struct policy *a, const struct policy *b,
			  policy_differences *ret)
{
	const char *const urls[] = { a->audit.alert.webhook ? a->audit.alert.webhook : "",
				     b->audit.alert.webhook ? b->audit.alert.webhook : "" };
	int r = diff_add_lists(ret, POLICY_OTHER, "audit.alert.command",
			       &a->audit.alert.command, &b->audit.alert.command);

	return r < 0 || streq(urls[0], urls[1]) ?
		       r :
		       diff_add(ret, POLICY_OTHER, "audit.alert.webhook", urls[0], urls[1]);
}

static int compare_traces(const struct policy *a, const struct policy *b,
			  policy_differences *ret)
{
	const __typeof__(a->ebpf_monitoring) *x = &a->ebpf_monitoring,
					     *y = &b->ebpf_monitoring;
	int r = diff_add_bool(ret, "ebpf_monitoring.enabled", x->enabled, y->enabled);

	if (r == 0)
		r = diff_add_bool(ret, "ebpf_monitoring.trace_syscalls",
				  x->trace_syscalls, y->trace_syscalls);
	if (r == 0)
		r = diff_add_bool(ret, "ebpf_monitoring.trace_files", x->trace_files,
				  y->trace_files);
	if (r == 0)
		r = diff_add_bool(ret, "ebpf_monitoring.trace_network", x->trace_network,
				  y->trace_network);
	return r;
}

static int compare_records(const struct policy *a, const struct policy *b,
			   policy_differences *ret)
{
	_strv_free_ struct strv x = {}, y = {};
	const char *const logs[] = { a->audit.log_path ? a->audit.log_path : "",
				     b->audit.log_path ? b->audit.log_path : "" };
	int r = diff_add_bool(ret, "audit.enabled", a->audit.enabled, b->audit.enabled);

	if (r == 0 && a->audit.enabled && b->audit.enabled) {
		r = name_texts(&a->audit.detail_level, &x);
		if (r == 0)
			r = name_texts(&b->audit.detail_level, &y);
		if (r == 0)
			r = diff_add_lists(ret, POLICY_OTHER, "audit.detail_level", &x, &y);
		if (r == 0 && !streq(logs[0], logs[1]))
			r = diff_add(ret, POLICY_OTHER, "audit.log_path", logs[0], logs[1]);
		if (r == 0)
			r = compare_logs(a, b, ret);
		if (r == 0)
			r = compare_alerts(a, b, ret);
	}
	return r < 0 ? r : compare_traces(a, b, ret);
}

/* --- */

static const char *enforcement_word(const struct policy *p)
{
	return p->enforcement == POLICY_AUDIT ? "audit" : "enforce";
}

static int compare_rest(const struct policy *a, const struct policy *b,
			policy_differences *ret)
{
	int r = 0;

	if (a->enforcement != b->enforcement)
		r = diff_add(ret,
			     b->enforcement == POLICY_AUDIT ? POLICY_LOOSER : POLICY_STRICTER,
			     "enforcement", enforcement_word(a), enforcement_word(b));
	if (r == 0)
		r = compare_files(a, b, ret);
	if (r == 0)
		r = compare_resources(a, b, ret);
	return r ? r : compare_caps(a, b, ret);
}

int policy_diff(const struct policy *first, const struct policy *second,
		policy_differences *ret, struct err *e)
{
	int r = compare_rest(first, second, ret);

	if (r < 0)
		return err_oom(e);
	r = diff_calls(first, second, ret, e);
	if (r == 0)
		r = diff_network(first, second, ret, e);
	if (r < 0)
		return r;
	r = compare_records(first, second, ret);
	if (r == 0)
		r = diff_llm(first, second, ret);
	return r < 0 ? err_oom(e) : 0;
}
