/* SPDX-License-Identifier: Apache-2.0 */
/* What the last runs under a policy used and were denied, for `purple profile show`. Reads only. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "cmd/purple/profile_text.h"
#include "cmd/purple/purple.h"
#include "cmd/purple/summary.h"
#include "container/history.h"

#define RUNS_SHOWN 5
/* So many are looked at for their denials. */
#define RUNS_READ 20
#define RULES_SHOWN 10

/* Denials of one rule, in all these runs. */
typedef LIST_OF(struct run_denial) denial_list;

static void write_run(const struct run_record *x, struct buf *out)
{
	buf_addf(out, "#   %.16s  ", x->ended);
	summary_duration(x->duration_ms, out);
	if (x->usage && x->usage->memory_peak.set) {
		buf_adds(out, ", ");
		summary_bytes(x->usage->memory_peak.value, out);
	}
	if (x->usage && x->usage->processes_peak.set)
		buf_addf(out, ", %" PRIu64 " processes", x->usage->processes_peak.value);
	if (x->llm && x->llm->calls)
		buf_addf(out, ", %" PRIu64 " LLM calls", x->llm->calls);
	if (x->denied)
		buf_addf(out, ", %" PRIu64 " denied", x->denied);
	buf_adds(out, ": ");
	summary_end(x->end, out);
	buf_adds(out, "\n");
}

static bool is_alike(const struct run_denial *a, const struct run_denial *b)
{
	return streq(a->type, b->type) && streq(a->rule, b->rule) &&
	       streq_null(a->reference, b->reference) && streq(a->verdict, b->verdict);
}

static void add_denials(const struct run_record *x, denial_list *all)
{
	for (size_t i = 0; i < x->denials.n; i++) {
		const struct run_denial *d = &x->denials.v[i];
		struct run_denial *to = NULL;
		struct err ignored;

		for (size_t k = 0; k < all->n && !to; k++)
			if (is_alike(&all->v[k], d))
				to = &all->v[k];
		if (to) {
			to->count += d->count;
			continue;
		}
		to = list_add(all);
		if (to && json_copy(&run_denial_type, d, to, &ignored) < 0)
			all->n--;
	}
}

static int by_count(const void *a, const void *b)
{
	const struct run_denial *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

static void write_denials(denial_list *all, struct buf *out)
{
	if (all->n > 1)
		qsort(all->v, all->n, sizeof(all->v[0]), by_count);
	for (size_t i = 0; i < all->n && i < RULES_SHOWN; i++) {
		const struct run_denial *d = &all->v[i];

		buf_addf(out, "%s%" PRIu64 " x ",
			 i ? "#     " : "#   denied to them:\n#     ", d->count);
		print_plain(out, d->target ? d->target : d->type, 60);
		buf_adds(out, ": ");
		print_plain(out, d->rule, 0);
		if (d->reference) {
			buf_adds(out, " (");
			print_plain(out, d->reference, 0);
			buf_adds(out, ")");
		}
		buf_adds(out, "\n");
	}
}

void profile_write_runs(const char *name, struct buf *out)
{
	_strv_free_ struct strv names = {};
	denial_list all = {};
	struct err e;
	size_t n = 0;

	if (history_list(&names, &e) < 0)
		log_debug("%s", e.msg);
	for (size_t i = 0; i < names.n && n < RUNS_READ; i++) {
		_run_record_clear_ struct run_record x = {};

		if (history_read(names.v[i], &x, &e) < 0 ||
		    !strv_contains(&x.policies, name))
			continue;
		if (n == 0)
			buf_adds(out, "# last runs (UTC):\n");
		if (n++ < RUNS_SHOWN)
			write_run(&x, out);
		add_denials(&x, &all);
	}
	write_denials(&all, out);
	if (n)
		buf_adds(out, "\n");
	for (size_t i = 0; i < all.n; i++)
		json_clear(&run_denial_type, &all.v[i]);
	free(all.v);
}
