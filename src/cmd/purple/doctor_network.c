/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: whether rules for the network can be enforced. Runs in `purple`. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/purple/doctor.h"
#include "container/foreign.h"
#include "container/monitor.h"
#include "network/filter.h"
#include "network/loader.h"

#define FORWARDER PKGLIBEXECDIR "/purple-dns"
#define MONITOR PKGLIBEXECDIR "/purple-monitor"

/* By loading the programs, as the first container with such a policy does. */
static void check_filter(struct doctor *d)
{
	const struct doctor_subject s = { "network filter",
					  "rules of network but isolated", false };
	struct err e;

	if (d->ordinary)
		doctor_bad(d, &s, DOCTOR_MISSING, "run as root",
			   "an ordinary user cannot load it");
	else if (network_loader_ensure(&e) < 0)
		doctor_bad(d, &s, DOCTOR_MISSING, NULL, "%s", e.msg);
	else
		doctor_ok(d, &s, "its programs are loaded");
}

static void check_names(struct doctor *d)
{
	const struct doctor_subject s = { "network names", "names in rules of network",
					  false };

	if (access(FORWARDER, X_OK) == 0)
		doctor_ok(d, &s, "%s", FORWARDER);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, "build Purple with libldns",
			   "'%s' is not there", FORWARDER);
}

static void check_monitor(struct doctor *d)
{
	const struct doctor_subject s = { "network events",
					  "rules of network but isolated", false };

	if (access(MONITOR, X_OK) == 0)
		doctor_ok(d, &s, "%s", MONITOR);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, "install Purple anew",
			   "'%s' is not there", MONITOR);
}

/* --- containers whose monitor has died --- */

static bool is_unwatched(const struct container *c)
{
	return c->st.monitor_pid && !monitor_is_running(c);
}

static void check_unwatched(struct doctor *d)
{
	const struct doctor_subject s = { "network monitors", "events of containers", true };

	doctor_check_containers(d, &s, is_unwatched, "not running, though their rules hold");
}

/* --- filters of containers that are gone --- */

static int add_if_gone(const char *name, uint64_t cgroup, unsigned int missing, void *arg)
{
	(void)missing;
	return cgroup || strv_add(arg, name) == 0 ? 0 : -ENOMEM;
}

/*
 * The names that `add` takes, now and a moment later: one that is being made has no group yet, and
 * one that is being made or taken away is not whole.
 */
static int list_twice(const struct doctor_pins *p,
		      int (*add)(const char *, uint64_t, unsigned int, void *),
		      struct strv *ret, struct err *e)
{
	const struct timespec moment = { .tv_nsec = 500 * 1000 * 1000 };
	_strv_free_ struct strv first = {}, second = {};
	int r = p->list(add, &first, e);

	if (r == 0 && first.n == 0)
		return 0;
	if (r == 0) {
		nanosleep(&moment, NULL);
		r = p->list(add, &second, e);
	}
	for (size_t i = 0; r == 0 && i < second.n; i++)
		if (strv_contains(&first, second.v[i]) && strv_add(ret, second.v[i]) < 0)
			r = -ENOMEM;
	return r == -ENOMEM ? err_oom(e) : r;
}

static int remove_leftovers(const struct doctor_pins *p, const struct strv *names,
			    struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->n; i++)
		r = p->remove(names->v[i], e);
	p->tidy();
	return r;
}

void doctor_check_pins(struct doctor *d, const struct doctor_pins *p)
{
	const struct doctor_subject s = { p->name, "containers", true };
	_strv_free_ struct strv names = {};
	struct err e = {};

	if (d->ordinary)
		return;
	if (list_twice(p, add_if_gone, &names, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (names.n == 0)
		doctor_ok(d, &s, "none of containers that are gone");
	else if (!d->may_fix)
		doctor_bad(d, &s, DOCTOR_BROKEN, "purple doctor --fix",
			   "%zu of containers that are gone: %s%s", names.n, names.v[0],
			   names.n > 1 ? ", ..." : "");
	else if (remove_leftovers(p, &names, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else
		doctor_ok(d, &s, "%zu removed", names.n);
}

static const struct doctor_pins filters = { "leftover filters", network_filter_list,
					    network_filter_detach, network_filter_tidy };

/* --- of containers of other runtimes --- */

static int remove_stale(const char *root, const struct strv *ids, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ids->n; i++)
		r = container_delete(root, ids->v[i], false, e);
	return r;
}

static void check_hooks(struct doctor *d)
{
	const struct doctor_subject s = { "leftovers of hooks", "purple-network-hook",
					  true };
	_strv_free_ struct strv ids = {};
	struct err e = {};

	if (d->ordinary)
		return;
	if (container_foreign_list_stale(d->root, &ids, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (ids.n == 0)
		doctor_ok(d, &s, "none in %s", d->root);
	else if (!d->may_fix)
		doctor_bad(d, &s, DOCTOR_BROKEN, "purple doctor --fix",
			   "%zu of containers that are gone in %s: %s%s", ids.n, d->root,
			   ids.v[0], ids.n > 1 ? ", ..." : "");
	else if (remove_stale(d->root, &ids, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else
		doctor_ok(d, &s, "%zu removed", ids.n);
}

/* --- filters of containers that are there --- */

static int add_if_torn(const char *name, uint64_t cgroup, unsigned int missing, void *arg)
{
	return !cgroup || !missing || strv_add(arg, name) == 0 ? 0 : -ENOMEM;
}

/* Nothing that Purple does takes a program off a group with processes in it. */
static void check_attached(struct doctor *d)
{
	const struct doctor_subject s = { "attached filters", "containers", false };
	_strv_free_ struct strv names = {};
	struct err e = {};

	if (d->ordinary)
		return;
	if (list_twice(&filters, add_if_torn, &names, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (names.n == 0)
		doctor_ok(d, &s, "all are as they were made");
	else
		doctor_bad(d, &s, DOCTOR_BROKEN, "delete these containers",
			   "somebody took programs off %zu containers: %s%s", names.n,
			   names.v[0], names.n > 1 ? ", ..." : "");
}

void doctor_check_network(struct doctor *d)
{
	check_filter(d);
	check_names(d);
	check_monitor(d);
	check_unwatched(d);
	check_hooks(d);
	check_attached(d);
	doctor_check_pins(d, &filters);
}
