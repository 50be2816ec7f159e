/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network rules and the LLM gateway of a container that another runtime makes: see foreign.h.
 * Runs in purple-network-hook or purple-budget-hook, which that runtime starts when the container's init is in its namespaces and
 * its program does not run yet; in the host's namespaces, as root of the host.
 *
 * The steps are those of create.c, without what the other runtime does itself. The state folder is
 * made first, so that what a hook killed half-way leaves behind is found from it.
 */
#include "container/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "container/gateway.h"
#include "container/network.h"
#include "container/undo.h"

#define INIT_END_MS 10000

/* Everything of one such container. */
struct foreign {
	const struct container_foreign_request *rq;
	struct policy_plan plan;
	struct container c;
	struct container_network network;
	struct container_gateway gateway;
	bool has_network, has_gateway; /* hooks for it */
	int cgroup_fd;
	char *cgroup_dir;
	bool net_raw;
};

static void foreign_clear(struct foreign *f)
{
	policy_plan_clear(&f->plan);
	container_close(&f->c);
	container_network_clear(&f->network);
	container_gateway_clear(&f->gateway);
	fd_close(&f->cgroup_fd);
	free(f->cgroup_dir);
}

/* --- what holds --- */

/* A policy that isolates has no rules: here it is one that allows nothing. */
static int isolate(struct policy_plan *plan, struct err *e)
{
	struct network_policy *slot = list_add(&plan->network);

	if (!slot)
		return err_oom(e);
	slot->isolated = true;
	slot->name = strdup(plan->sources.v[0].name);
	return slot->name ? 0 : err_oom(e);
}

static int load_plan(struct foreign *f, struct oci_spec **ret_spec, struct err *e)
{
	struct policy_request pr = { .admin_policy = f->rq->admin_policy,
				     .admin_chosen_by = "--policy",
				     .dirs = f->rq->dirs,
				     .bundle = f->rq->bundle };
	_free_ char *path = fs_join(f->rq->bundle, "config.json");
	int r;

	if (!path)
		return err_oom(e);
	r = oci_spec_load(AT_FDCWD, path, ret_spec, e);
	if (r < 0)
		return r;
	f->has_network = f->rq->network || policy_has_network_hook(*ret_spec);
	f->has_gateway = f->rq->gateway || policy_has_budget_hook(*ret_spec);
	pr.network_filter = f->has_network;
	pr.gateway = f->has_gateway;
	r = policy_plan_make(*ret_spec, &pr, &f->plan, e);
	if (r == 0 && f->has_network && f->plan.sources.n && !f->plan.network.n)
		r = isolate(&f->plan, e);
	return r;
}

/* --- what is there already --- */

/* And not what a killed runtime has left of it. */
static bool is_being_made(const struct container *c, const char *bundle)
{
	return !c->st.foreign && c->st.pid == 0 && streq_null(c->st.bundle, bundle) &&
	       container_is_locked(c);
}

/*
 * The id's state folder, where there is one: of Purple's own runtime, which is calling this hook and
 * has applied the policy itself; of this very container (runc 1.1 says "created" in poststart
 * hooks too); what its last life left; or somebody else's. *ret_done: nothing is to be made.
 */
static int look_at_state(const struct container_foreign_request *rq, bool *ret_done,
			 struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	bool alive;
	int r = container_open(rq->root, rq->id, false, &c, e);

	*ret_done = false;
	if (r == -ENOENT && e->kind == ERR_NOT_EXIST)
		return 0;
	if (r < 0)
		return r;
	alive = process_is_alive(c.st.pid, c.st.pid_start);
	*ret_done = is_being_made(&c, rq->bundle) ||
		    (c.st.foreign && alive && c.st.pid == rq->pid);
	if (*ret_done)
		return container_foreign_started(rq->root, rq->id, e);
	if (!c.st.foreign || alive)
		return err_set(e, ERR_EXISTS, EEXIST, "'%s'", rq->id);
	return container_delete(rq->root, rq->id, false, e);
}

struct sought {
	uint64_t cgroup;
	bool found;
};

static int match_group(const char *name, uint64_t cgroup, unsigned int missing, void *arg)
{
	struct sought *s = arg;

	(void)name;
	(void)missing;
	s->found |= cgroup == s->cgroup;
	return 0;
}

/*
 * Whether the group that init has for itself has a filter: Purple's own runtime, called with another
 * state root, has made it. A second one there would take the first one's place.
 */
static int look_at_group(pid_t init, bool *ret_filtered, struct err *e)
{
	_free_ char *mount = NULL, *dir = NULL;
	struct sought sought = {};
	struct stat st;
	bool alone;
	int r = cgroup_find_unified(init, &mount, &dir, e);

	if (r == 0 && !streq(mount, dir))
		r = cgroup_holds_only(dir, init, &alone, e);
	else
		alone = false;
	if (r < 0 || !alone)
		return r;
	if (stat(dir, &st) < 0)
		return err_sys(e, "cannot look at the group '%s'", dir);
	sought.cgroup = st.st_ino;
	r = network_filter_list(match_group, &sought, e);
	*ret_filtered = r == 0 && sought.found;
	return r;
}

/* --- making it --- */

static void undo_state(void *arg)
{
	struct foreign *f = arg;
	struct err unused;

	container_state_remove(&f->c, &unused);
}

/* The one that was made, and init with it: the runtime would end it a moment later. */
static void undo_cgroup(void *arg)
{
	struct foreign *f = arg;
	struct err unused;

	if (!f->c.st.cgroup)
		return;
	cgroup_kill(f->c.st.cgroup, SIGKILL, &unused);
	cgroup_destroy(f->c.st.cgroup, &unused);
}

static void undo_network(void *arg)
{
	struct foreign *f = arg;
	struct err unused;

	container_network_remove(&f->c, &unused);
}

static char *timestamp(void)
{
	time_t now = time(NULL);
	char text[64];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return strdup(text);
}

static int fill_policies(struct foreign *f, struct err *e)
{
	for (size_t i = 0; i < f->plan.sources.n; i++) {
		const struct policy_source *from = &f->plan.sources.v[i];
		struct container_policy *to = list_add(&f->c.st.policies);

		if (!to)
			return err_oom(e);
		to->name = strdup(from->name);
		to->path = strdup(from->path);
		to->chosen_by = strdup(from->chosen_by);
		if (!to->name || !to->path || !to->chosen_by)
			return err_oom(e);
	}
	return 0;
}

static int make_state(struct foreign *f, struct undo *u, struct err *e)
{
	const struct container_foreign_request *rq = f->rq;
	struct container_state *st = &f->c.st;
	int r = container_state_create(rq->root, rq->id, &f->c, e);

	if (r < 0)
		return r;
	undo_push(u, undo_state, f);
	st->foreign = true;
	st->id = strdup(rq->id);
	st->bundle = strdup(rq->bundle);
	st->created = timestamp();
	st->owner = container_owner_name(getuid());
	st->pid = rq->pid;
	st->pid_start = process_start_time(rq->pid);
	if (!st->id || !st->bundle || !st->created || !st->owner)
		return err_oom(e);
	if (!st->pid_start)
		return err_set(e, ERR_STATE, ESRCH, "the container's init has ended");
	r = fill_policies(f, e);
	return r < 0 ? r : container_state_save(&f->c, e);
}

/* A child of the group that init is in, which is the engine's or the root. */
static int make_group(struct foreign *f, const char *mount, const char *dir, struct err *e)
{
	struct cgroup *cg = calloc(1, sizeof(*cg));
	int r;

	if (!cg)
		return err_oom(e);
	r = cgroup_make_child(mount, dir, f->rq->id, cg, e);
	if (r < 0) {
		free(cg);
		return r;
	}
	f->c.st.cgroup = cg;
	return container_state_save(&f->c, e);
}

static int make_cgroup(struct foreign *f, struct undo *u, struct err *e)
{
	_free_ char *mount = NULL, *dir = NULL;
	const char *path;
	bool alone = false;
	int r = cgroup_find_unified(f->rq->pid, &mount, &dir, e);

	if (r < 0)
		return r;
	if (!streq(mount, dir))
		r = cgroup_holds_only(dir, f->rq->pid, &alone, e);
	undo_push(u, undo_cgroup, f);
	if (r == 0 && !alone)
		r = make_group(f, mount, dir, e);
	if (r < 0)
		return r;
	path = alone ? dir : f->c.st.cgroup->unified;
	f->cgroup_dir = strdup(path);
	if (!f->cgroup_dir)
		return err_oom(e);
	f->cgroup_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->cgroup_fd < 0 ? err_sys(e, "cannot open the group '%s'", path) : 0;
}

/* The filter is there before init is. */
static int enter_cgroup(struct foreign *f, struct err *e)
{
	_free_ char *mount = NULL, *dir = NULL;
	bool alone = false;
	int r;

	if (!f->c.st.cgroup)
		return 0;
	r = cgroup_enter_unified(f->c.st.cgroup, f->rq->pid, e);
	if (r == 0)
		r = cgroup_find_unified(f->rq->pid, &mount, &dir, e);
	if (r == 0)
		r = cgroup_holds_only(f->c.st.cgroup->unified, f->rq->pid, &alone, e);
	if (r == 0 && (!alone || !streq(dir, f->c.st.cgroup->unified)))
		return err_set(e, ERR_STATE, EBUSY,
			       "the container's init did not go into the group '%s'",
			       f->c.st.cgroup->unified);
	return r;
}

static int attach_wires(struct foreign *f, struct err *e)
{
	struct network_wires wires = {};
	int r = container_network_attach_wires(&f->c, &wires, e);

	if (r < 0)
		return r;
	log_debug("the network filter is at %u devices at the host's end, at %u in the namespace",
		  wires.at_host, wires.in_ns);
	if (f->net_raw && !wires.in_ns && !wires.at_host)
		return err_set(
			e, ERR_UNSUPPORTED, EOPNOTSUPP,
			"the container has CAP_NET_RAW, and no network device yet: one that is "
			"plugged in when it runs would have no filter for packet sockets. Drop "
			"CAP_NET_RAW, or set up its network before the createRuntime hooks");
	if (f->net_raw && wires.in_ns)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the container has CAP_NET_RAW, and a network device whose other end is "
			       "not the host's (or that has none): its packet sockets get round a "
			       "filter at the device. Drop CAP_NET_RAW, or use a bridge");
	return 0;
}

static int make_network(struct foreign *f, struct undo *u, struct err *e)
{
	int r;

	undo_push(u, undo_network, f);
	r = container_network_make(&f->network, &f->plan, &f->c, f->cgroup_fd, e);
	/* Another runtime's init does not try for itself. */
	if (r == 0 && f->c.st.network_filter)
		r = network_filter_self_test(f->cgroup_fd, e);
	if (r == 0)
		r = enter_cgroup(f, e);
	if (r == 0)
		r = container_network_enter(&f->network, &f->plan, &f->c, f->rq->pid, e);
	if (r == 0)
		r = attach_wires(f, e);
	/* Until it says that it is ready, the monitor may be in the network namespace for a moment. */
	if (r == 0)
		r = container_network_wait(&f->network, e);
	/* Whoever joined the namespaces meanwhile would not be filtered. */
	if (r == 0)
		r = container_foreign_check_init(f->rq->pid, e);
	return r == 0 ? container_state_save(&f->c, e) : r;
}

/* --- its gateway --- */

static void undo_gateway(void *arg)
{
	struct foreign *f = arg;

	gateway_client_end(&f->gateway.client);
}

/*
 * The loopback must be the container's own: on another one everybody could call. And what isolates is
 * not this hook's doing: the policy hook has said it in the configuration, or the network hook does it.
 */
static int check_for_gateway(const struct foreign *f, const struct oci_spec *spec,
			     struct err *e)
{
	const struct oci_namespace *ns = oci_spec_namespace(spec, "network");

	if (!ns)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the container is in the host's network, where others could use its "
			       "LLM gateway: give it a network namespace, or run it under "
			       "purple-runtime");
	if (!f->has_network && f->plan.spec->linux_->isolate_network &&
	    (ns->path || policy_has_other_hooks(spec)))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "network.isolated needs purple-policy-hook (precreate) or "
			       "purple-network-hook beside this one");
	return 0;
}

/* With the group that init is in, which need not be one that we made. */
static int begin_gateway(struct foreign *f, int netns, int init, struct err *e)
{
	struct cgroup group = { .mode = CGROUP_V2, .unified = f->cgroup_dir };
	struct cgroup *own = f->c.st.cgroup;
	int r;

	f->c.st.cgroup = &group;
	r = container_gateway_begin(&f->gateway, &f->c, netns, init, e);
	f->c.st.cgroup = own;
	return r;
}

static int make_gateway(struct foreign *f, struct undo *u, struct err *e)
{
	_close_ int netns = -1, init = -1;
	int r;

	if (!f->gateway.config)
		return 0;
	netns = container_netns_of(f->rq->pid, e);
	if (netns < 0)
		return netns;
	init = (int)syscall(SYS_pidfd_open, f->rq->pid, 0);
	if (init < 0)
		return err_sys(e, "cannot watch the container's init");
	r = container_netns_loopback_up(netns, e);
	undo_push(u, undo_gateway, f);
	if (r == 0)
		r = begin_gateway(f, netns, init, e);
	if (r == 0)
		r = container_gateway_wait(&f->gateway, e);
	return r == 0 ? container_state_save(&f->c, e) : r;
}

static int check(struct foreign *f, const struct oci_spec *spec, struct err *e)
{
	int r = 0;

	if (f->has_network)
		r = container_foreign_check(spec, f->rq->bundle, &f->net_raw, e);
	if (r == 0 && f->has_network)
		r = container_foreign_check_init(f->rq->pid, e);
	if (r == 0 && gateway_config_is_set(&f->plan.gateway))
		r = check_for_gateway(f, spec, e);
	return r < 0 ? r :
		       container_gateway_prepare_described(&f->gateway, &f->plan, spec, e);
}

static int make(struct foreign *f, const struct oci_spec *spec, struct err *e)
{
	_undo_ struct undo u = {};
	int r = check(f, spec, e);

	/* Neither is asked for. */
	if (r == 0 && !f->has_network && !f->gateway.config)
		return 0;
	if (r == 0)
		r = make_state(f, &u, e);
	if (r == 0)
		r = make_cgroup(f, &u, e);
	if (r == 0)
		r = f->has_network ? make_network(f, &u, e) : enter_cgroup(f, e);
	if (r == 0)
		r = make_gateway(f, &u, e);
	if (r < 0)
		return err_wrap(e, "policy %s", f->plan.sources.v[0].name);
	undo_forget(&u);
	network_filter_tidy();
	return 0;
}

int container_foreign_create(const struct container_foreign_request *rq, struct err *e)
{
	__attribute__((cleanup(foreign_clear))) struct foreign f = {
		.rq = rq,
		.c = CONTAINER_EMPTY,
		.network = CONTAINER_NETWORK_EMPTY,
		.gateway = CONTAINER_GATEWAY_EMPTY,
		.cgroup_fd = -1,
	};
	_oci_spec_free_ struct oci_spec *spec = NULL;
	bool done = false;
	int r = container_check_id(rq->id, e);

	if (r == 0)
		r = load_plan(&f, &spec, e);
	if (r < 0 || f.plan.sources.n == 0)
		return r;
	r = look_at_state(rq, &done, e);
	if (r == 0 && !done)
		r = look_at_group(rq->pid, &done, e);
	if (r < 0 || done)
		return r;
	return make(&f, spec, e);
}

/* --- later --- */

/* *ret_found: it is there, and not of Purple's own runtime, which holds the lock when it calls. */
static int open_foreign(const char *root, const char *id, struct container *ret,
			bool *ret_found, struct err *e)
{
	int r = container_check_id(id, e);

	*ret_found = false;
	if (r == 0)
		r = container_open(root, id, false, ret, e);
	if (r == -ENOENT && e->kind == ERR_NOT_EXIST)
		return 0;
	*ret_found = r == 0 && ret->st.foreign;
	return r;
}

int container_foreign_started(const char *root, const char *id, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	struct network_wires wires = {};
	bool found;
	int r = open_foreign(root, id, &c, &found, e);

	if (r < 0 || !found)
		return r;
	r = container_network_attach_wires(&c, &wires, e);
	/* A short one has ended meanwhile, and its network with it. */
	return r < 0 && !process_is_alive(c.st.pid, c.st.pid_start) ? 0 : r;
}

int container_foreign_remove(const char *root, const char *id, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	bool found;
	int r = open_foreign(root, id, &c, &found, e);

	if (r < 0 || !found)
		return r;
	for (int waited = 0;
	     waited < INIT_END_MS && process_is_alive(c.st.pid, c.st.pid_start); waited += 5)
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	/* A running container keeps its filter, whatever its runtime says. */
	return container_delete(root, id, false, e);
}

int container_foreign_list_stale(const char *root, struct strv *ret_ids, struct err *e)
{
	_strv_free_ struct strv ids = {};
	int r = container_list_ids(root, &ids, e);

	for (size_t i = 0; r == 0 && i < ids.n; i++) {
		_container_close_ struct container c = CONTAINER_EMPTY;
		struct err gone;

		if (container_open(root, ids.v[i], false, &c, &gone) < 0 ||
		    !c.st.foreign || process_is_alive(c.st.pid, c.st.pid_start))
			continue;
		if (strv_add(ret_ids, ids.v[i]) < 0)
			r = err_oom(e);
	}
	return r;
}
