/* SPDX-License-Identifier: Apache-2.0 */
/* See profile_text.h. Pure. */
#include "cmd/purple/profile_text.h"

#include <inttypes.h>

#include "budget/money.h"
#include "cmd/purple/purple.h"

static void write_names(const policy_names *l, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(out, i ? ", " : " ");
		print_plain(out, l->v[i].name, 0);
	}
	buf_adds(out, "\n");
}

static void write_filesystem(const struct policy *p, struct buf *out)
{
	buf_adds(out, "# seen, read-only:");
	for (size_t i = 0; i < p->filesystem.immutable_paths.n; i++) {
		buf_adds(out, i ? ", " : " ");
		print_plain(out, p->filesystem.immutable_paths.v[i].sandbox_path, 0);
	}
	buf_adds(out, p->filesystem.immutable_paths.n ? "\n" : " nothing\n");
	buf_adds(out, "# written, gone at the end:");
	write_names(&p->filesystem.scratch_paths, out);
	buf_adds(out, "# written, kept:");
	for (size_t i = 0; i < p->filesystem.output_paths.n; i++) {
		buf_adds(out, i ? ", " : " ");
		print_plain(out, p->filesystem.output_paths.v[i].sandbox_path, 0);
		buf_adds(out, " (");
		print_plain(out, p->filesystem.output_paths.v[i].host_path, 0);
		buf_adds(out, " of the host)");
	}
	buf_adds(out, p->filesystem.output_paths.n ? "\n" : " nothing\n");
}

static void write_syscalls(const struct policy *p, struct buf *out)
{
	const char *end = p->syscalls.kill_on_violation ? "kills" : "fails with EPERM";

	if (p->syscalls.default_deny)
		buf_addf(out, "# system calls: %zu are allowed, any other %s",
			 p->syscalls.allow.n, end);
	else
		buf_addf(out, "# system calls: Purple's default profile; any other %s", end);
	if (p->syscalls.advanced_rules.n)
		buf_addf(out, "; %zu rules on arguments", p->syscalls.advanced_rules.n);
	buf_adds(out, "\n");
	if (p->syscalls.deny.n) {
		buf_adds(out, "# system calls denied:");
		write_names(&p->syscalls.deny, out);
	}
}

static void write_limits(const struct policy *p, struct buf *out)
{
	const __typeof__(p->resources) *r = &p->resources;
	size_t before;

	buf_adds(out, "# limits:");
	before = out->len;
	if (r->cpu_millis)
		buf_addf(out, " %" PRIu64 ".%03" PRIu64 " CPUs;", r->cpu_millis / 1000,
			 r->cpu_millis % 1000);
	if (r->memory_bytes)
		buf_addf(out, " %" PRIu64 " MiB of memory;", r->memory_bytes >> 20);
	if (r->pids_limit)
		buf_addf(out, " %" PRIu64 " processes;", r->pids_limit);
	if (r->block_io_bps)
		buf_addf(out, " %" PRIu64 " bytes of disk a second each way;",
			 r->block_io_bps);
	if (r->timeout_seconds)
		buf_addf(out, " %" PRIu64 " seconds;", r->timeout_seconds);
	buf_adds(out, out->len == before ? " none\n" : "\n");
}

static void write_capabilities(const struct policy *p, struct buf *out)
{
	if (p->capabilities.default_drop && p->capabilities.add.n == 0) {
		buf_adds(out, "# capabilities: none\n");
	} else if (p->capabilities.default_drop) {
		buf_adds(out, "# capabilities, at most:");
		write_names(&p->capabilities.add, out);
	} else {
		buf_adds(out, "# capabilities: the default ones without");
		write_names(&p->capabilities.drop, out);
	}
}

static void write_network(const struct policy *p, struct buf *out)
{
	if (p->network.isolated) {
		buf_adds(out, "# network: none (loopback alone)\n");
		return;
	}
	buf_adds(out, "# network: ");
	if (p->network.allow_outgoing.n == 0)
		buf_adds(out, "open");
	for (size_t i = 0; i < p->network.allow_outgoing.n; i++) {
		buf_adds(out, i ? ", " : "out to ");
		print_plain(out, p->network.allow_outgoing.v[i].text, 0);
	}
	if (p->network.blocked_ips.n + p->network.blocked_domains.n)
		buf_addf(out, "; %zu addresses and names are blocked",
			 p->network.blocked_ips.n + p->network.blocked_domains.n);
	buf_adds(out, "\n");
}

static void write_budget(const struct policy *p, struct buf *out)
{
	const __typeof__(p->ai_policy.budget) *b = &p->ai_policy.budget;

	if (!b->pos.line)
		return;
	buf_adds(out, "# budget:");
	if (b->has_max_tokens)
		buf_addf(out, " %" PRIu64 " tokens;", b->max_tokens);
	if (b->has_max_cost)
		buf_addf(out, " %s;", money_text(b->max_cost_picodollars).s);
	buf_adds(out, "\n");
}

void profile_summarize(const struct policy *p, struct buf *out)
{
	buf_addf(out, "# %s\n", p->file);
	write_filesystem(p, out);
	write_syscalls(p, out);
	write_limits(p, out);
	write_capabilities(p, out);
	write_network(p, out);
	write_budget(p, out);
}
