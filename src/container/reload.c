/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See reload.h. Theory of operation:
 *
 *  - The policies are read and compiled; whatever can be refused is refused here.
 *  - New maps are filled beside the old ones, with what was learned of names that stay, and a second
 *    forwarder of names is started with them. Nobody asks it yet.
 *  - The state folder gets the new rules. From here to the switch it is a generation ahead of the
 *    filter: whoever finds that after a crash knows that the rules there are not those that hold.
 *  - The switch is one write of the kernel (network_filter_switch()). Up to there all is undone on
 *    failure, in reverse; there is nothing after it that could need to be.
 *  - The old forwarder is ended. What it has learned since the maps were filled, the new one is
 *    told: it alone writes to its map. Until then an address of those few milliseconds is denied.
 *  - Connections that the new rules deny are ended.
 *
 * The container's lock is held all the time. If init ends meanwhile, its forwarders end with it.
 */
#include "container/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "container/gateway.h"
#include "container/intercept.h"
#include "container/monitor.h"
#include "container/state.h"
#include "container/undo.h"
#include "network/dns_client.h"
#include "network/fill.h"
#include "network/rules_json.h"
#include "network/survivors.h"

#define END_MS 2000

/* The part of the state that a reload changes. */
struct part {
	container_policies policies;
	struct strv explanations;
	uint32_t generation;
	int32_t dns_pid;
	uint64_t dns_start;
};

struct reload {
	const struct container_reload_request *rq;
	struct container_reload_result *result;
	struct container c;
	int init_fd, netns_fd;
	LIST_OF(struct policy_source) sources;
	network_policies before, after;
	bool before_known; /* `before` and `now` are those of `old` */
	struct network_tables now, tables;
	struct network_filter old, next;
	struct network_dns dns;
	struct part other; /* until it is saved the new one, then the old one */
	struct network_survivors survivors;
	bool told_monitor;
};
#define RELOAD_EMPTY                                                       \
	{                                                                  \
		.c = CONTAINER_EMPTY, .init_fd = -1, .netns_fd = -1,       \
		.old = NETWORK_FILTER_EMPTY, .next = NETWORK_FILTER_EMPTY, \
		.dns.control_fd = -1, .survivors = NETWORK_SURVIVORS_EMPTY \
	}

static void policies_clear(container_policies *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].path);
		free(l->v[i].chosen_by);
		strmap_free(&l->v[i].sections);
	}
	free(l->v);
	*l = (container_policies){};
}

static void reload_clear(struct reload *l)
{
	for (size_t i = 0; i < l->sources.n; i++)
		policy_source_clear(&l->sources.v[i]);
	free(l->sources.v);
	policies_clear(&l->other.policies);
	strv_free(&l->other.explanations);
	network_survivors_clear(&l->survivors);
	network_tables_clear(&l->now);
	network_tables_clear(&l->tables);
	network_policies_clear(&l->before);
	network_policies_clear(&l->after);
	network_filter_clear(&l->old);
	network_filter_clear(&l->next);
	fd_close(&l->dns.control_fd);
	fd_close(&l->init_fd);
	fd_close(&l->netns_fd);
	container_close(&l->c);
}

/* --- what there is --- */

static int open_namespace(struct reload *l, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)l->c.st.pid);
	l->init_fd = (int)syscall(SYS_pidfd_open, l->c.st.pid, 0);
	l->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Only then is what was opened init's: the pid may have been used anew. */
	if (!process_is_alive(l->c.st.pid, l->c.st.pid_start))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "the container has ended");
	if (l->init_fd < 0 || l->netns_fd < 0)
		return err_sys(e, "cannot open the network namespace of the container");
	return 0;
}

static int open_container(struct reload *l, struct err *e)
{
	struct container_state *st = &l->c.st;
	enum container_status status;
	int r = container_open(l->rq->root, l->rq->id, true, &l->c, e);

	if (r == 0)
		r = container_status(&l->c, &status, e);
	if (r < 0)
		return r;
	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING)
		return err_set(e, ERR_NOT_RUNNING, EINVAL, "cannot reload: it is %s",
			       container_status_name(status));
	if (!st->network_filter)
		return err_set(e, ERR_STATE, ENOENT,
			       "container %s has no network filter: no policy of it has a network "
			       "that is not isolated, and that cannot change while it runs",
			       l->rq->id);
	r = network_filter_open(st->network_filter, &l->old, e);
	return r == 0 ? open_namespace(l, e) : r;
}

/* Where a reload was killed between the two, what the state says is not what holds. */
static int load_before(struct reload *l, struct err *e)
{
	uint32_t generation = l->c.st.network_generation ? l->c.st.network_generation : 1;

	l->before_known = generation == l->old.config.generation;
	return network_policies_load(l->c.dirfd, &l->before, e);
}

/* --- which policies --- */

static int add_source(struct reload *l, const struct container_policy *from, struct err *e)
{
	const struct policy_source s = { from->name, from->path,
					 from->chosen_by ? from->chosen_by : "",
					 from->sections };
	struct policy_source *slot = list_add(&l->sources);

	return slot ? policy_reload(&s, &l->after, slot, e) : err_oom(e);
}

static int warn_of_changes(struct reload *l, const struct strmap *started_with,
			   struct err *e)
{
	const struct policy_source *s = &l->sources.v[l->sources.n - 1];
	_strv_free_ struct strv names = {};
	_buf_free_ struct buf text = {};

	if (policy_sections_compare(started_with, &s->sections, &names) < 0)
		return err_oom(e);
	if (names.n == 0)
		return 0;
	for (size_t i = 0; i < names.n; i++)
		buf_addf(&text, "%s%s", i ? ", " : "", names.v[i]);
	if (text.failed)
		return err_oom(e);
	if (l->rq->strict)
		return err_set(e, ERR_POLICY, EINVAL,
			       "policy %s: %s: not as when the container was started, and only its "
			       "network can change while it runs",
			       s->path, text.s);
	if (strv_addf(&l->result->warnings,
		      "policy %s: %s: not as when the container was started; of that only the "
		      "network changes, the rest holds from its next start",
		      s->path, text.s) < 0)
		return err_oom(e);
	return 0;
}

/* What it was started with is what the next reload compares with, too. */
static int keep_sections(struct reload *l, const struct strmap *started_with, struct err *e)
{
	struct policy_source *s = &l->sources.v[l->sources.n - 1];

	strmap_free(&s->sections);
	return strmap_copy(started_with, &s->sections) < 0 ? err_oom(e) : 0;
}

static int take_source(struct reload *l, const struct container_policy *from,
		       const struct strmap *started_with, struct err *e)
{
	int r;

	for (size_t i = 0; i < l->sources.n; i++)
		if (streq_null(l->sources.v[i].path, from->path))
			return 0; /* named twice: it holds once */
	r = add_source(l, from, e);
	if (r == 0)
		r = warn_of_changes(l, started_with, e);
	return r < 0 ? r : keep_sections(l, started_with, e);
}

static bool stays_beside(const struct container_policy *p)
{
	return streq_null(p->chosen_by, POLICY_BY_DEFAULT) ||
	       streq_null(p->chosen_by, POLICY_BY_ANNOTATION);
}

static int read_policies(struct reload *l, struct err *e)
{
	static const struct strmap nothing = {};
	const container_policies *from = l->c.st.network_policies.n ?
						 &l->c.st.network_policies :
						 &l->c.st.policies;
	struct policy_source other = {};
	struct container_policy named;
	bool pending = l->rq->policy != NULL;
	int r = 0;

	if (pending)
		r = policy_reload_find(l->rq->dirs, l->rq->policy, &other, e);
	named = (struct container_policy){ other.name, other.path, other.chosen_by, {} };
	for (size_t i = 0; r == 0 && i < from->n; i++) {
		const struct container_policy *p = &from->v[i];

		if (!l->rq->policy || stays_beside(p)) {
			r = take_source(l, p, &p->sections, e);
		} else if (pending) {
			pending = false;
			r = take_source(l, &named, &p->sections, e);
		}
	}
	if (r == 0 && pending)
		r = take_source(l, &named, &nothing, e);
	if (r == 0 && !(l->old.config.flags & NETWORK_OWN_LOOPBACK))
		r = container_gateway_allow_again(&l->c, &l->after, e);
	policy_source_clear(&other);
	return r;
}

static int compile(struct reload *l, struct err *e)
{
	struct network_surroundings around = {};
	int r = network_surroundings_read(l->old.config.flags & NETWORK_OWN_LOOPBACK,
					  &around, e);

	if (r == 0)
		r = network_compile(&l->after, &around, &l->tables, e);
	if (r == 0 && l->before_known)
		r = network_compile(&l->before, &around, &l->now, e);
	network_surroundings_clear(&around);
	return r;
}

/* --- up to the switch --- */

static void undo_maps(void *arg)
{
	struct reload *l = arg;

	network_filter_drop(&l->next);
}

static int make_maps(struct reload *l, struct undo *u, struct err *e)
{
	int r = network_filter_make_next(l->before_known ? &l->now : NULL, &l->tables,
					 l->c.st.network_filter, &l->next, e);

	if (r == 0)
		undo_push(u, undo_maps, l);
	return r;
}

static void undo_monitor(void *arg)
{
	struct reload *l = arg;
	struct err ignored;

	if (l->told_monitor)
		monitor_set_rules(&l->c, &l->before, &l->old, &ignored);
}

static bool is_silence(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN;
}

/*
 * One that has died, or has been stopped, holds nothing up: rules hold without it. What it was sent
 * stays with it, and it does it when it goes on.
 */
static int tell_monitor(struct reload *l, struct undo *u, struct err *e)
{
	int r;

	if (!monitor_is_running(&l->c))
		return 0;
	undo_push(u, undo_monitor, l);
	r = monitor_set_rules(&l->c, &l->after, &l->next, e);
	if (is_silence(r))
		log_warn("the monitor does not answer: what is denied may be told with the old rules");
	l->told_monitor = r == 0 || is_silence(r);
	return r == -ECONNREFUSED || r == -ENOENT || is_silence(r) ? 0 : r;
}

/* Adds to what the map says of the address. Before the forwarder that writes to it has started, or
 * where there is none. */
static int keep_in_map(const struct network_address *address,
		       const struct network_name *name, void *arg, struct err *e)
{
	const struct reload *l = arg;
	int map = l->next.maps[NETWORK_MAP_NAMES], r;
	struct network_name value;

	if (kbpf_map_lookup(map, address, &value) < 0)
		value = (struct network_name){};
	network_name_add(&value, name);
	r = kbpf_map_update(map, address, &value, BPF_ANY);
	/* A container that has filled the map does not keep its old rules by that: after the switch
	 * the forwarder is told, which makes room. */
	if (r == -E2BIG)
		return 0;
	return r < 0 ? err_errno(e, r, "network: cannot keep what connections were allowed") :
		       0;
}

static int look_at_connections(struct reload *l, struct err *e)
{
	l->survivors.old = &l->old;
	l->survivors.next = &l->next;
	l->survivors.now = l->before_known ? &l->now : NULL;
	l->survivors.tables = &l->tables;
	return network_survivors_look(&l->survivors, keep_in_map, l, e);
}

/* The lines of the new forwarder for the monitor: -1 where none runs. */
static int open_events(struct reload *l, int *ret, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2], r;

	if (!monitor_is_running(&l->c))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	r = monitor_add_dns(&l->c, theirs, e);
	if (r == -ECONNREFUSED || r == -ENOENT)
		return 0;
	if (r < 0 && !is_silence(r))
		return r;
	*ret = take_fd(&ours);
	return 0;
}

static void undo_forwarder(void *arg)
{
	struct reload *l = arg;

	network_dns_end(&l->dns);
}

static int start_forwarder(struct reload *l, struct undo *u, struct err *e)
{
	struct network_dns_start start = { .netns_fd = l->netns_fd,
					   .init_fd = l->init_fd,
					   .names_fd = l->next.maps[NETWORK_MAP_NAMES],
					   .events_fd = -1,
					   .tables = &l->tables,
					   .teach = true };
	_strv_free_ struct strv hosts = {};
	_free_ char *address = NULL;
	_close_ int events = -1;
	int r;

	if (!(l->tables.config.flags & NETWORK_REDIRECT_DNS))
		return 0;
	r = intercept_load(&l->c, &hosts, &address, e);
	if (r < 0)
		return r;
	if (address) {
		start.own_names = &hosts;
		start.own_address = address;
	}
	r = open_events(l, &events, e);
	if (r < 0)
		return r;
	start.events_fd = events;
	r = network_dns_start(&start, true, &l->dns, e);
	if (r == 0)
		undo_push(u, undo_forwarder, l);
	return r;
}

/* --- the state folder --- */

static int fill_policies(struct reload *l, container_policies *ret)
{
	for (size_t i = 0; i < l->sources.n; i++) {
		struct policy_source *from = &l->sources.v[i];
		struct container_policy *to = list_add(ret);

		if (!to || strv_add(&l->result->policies, from->name) < 0)
			return -ENOMEM;
		*to = (struct container_policy){ take_ptr(&from->name),
						 take_ptr(&from->path),
						 take_ptr(&from->chosen_by),
						 from->sections };
		from->sections = (struct strmap){};
	}
	return 0;
}

/* What the old rules were explained by, the new ones are. */
static int fill_explanations(struct reload *l, struct strv *ret, struct err *e)
{
	_strv_free_ struct strv old = {};
	int r = policy_network_explain(&l->before, &old, e);

	for (size_t i = 0; r == 0 && i < l->c.st.explanations.n; i++)
		if (!strv_contains(&old, l->c.st.explanations.v[i]) &&
		    strv_add(ret, l->c.st.explanations.v[i]) < 0)
			r = err_oom(e);
	return r < 0 ? r : policy_network_explain(&l->after, ret, e);
}

static int fill_part(struct reload *l, struct err *e)
{
	struct part *p = &l->other;
	int r = fill_explanations(l, &p->explanations, e);

	if (r < 0)
		return r;
	p->generation = l->next.config.generation;
	p->dns_pid = l->dns.pid;
	p->dns_start = l->dns.pid ? process_start_time(l->dns.pid) : 0;
	return fill_policies(l, &p->policies) < 0 ? err_oom(e) : 0;
}

static void swap_part(struct reload *l)
{
	struct container_state *st = &l->c.st;
	const struct part mine = l->other;

	l->other = (struct part){ st->network_policies, st->explanations,
				  st->network_generation, st->dns_pid, st->dns_start };
	st->network_policies = mine.policies;
	st->explanations = mine.explanations;
	st->network_generation = mine.generation;
	st->dns_pid = mine.dns_pid;
	st->dns_start = mine.dns_start;
}

static void undo_save(void *arg)
{
	struct reload *l = arg;
	struct err e;

	swap_part(l);
	if (network_policies_save(l->c.dirfd, &l->before, &e) < 0 ||
	    container_state_save(&l->c, &e) < 0)
		log_warn("the state folder cannot be put back: %s", e.msg);
}

/* The generation first: with it, the other file is not taken for that of the filter. */
static int save(struct reload *l, struct undo *u, struct err *e)
{
	int r = fill_part(l, e);

	if (r < 0)
		return r;
	swap_part(l);
	undo_push(u, undo_save, l);
	r = container_state_save(&l->c, e);
	return r == 0 ? network_policies_save(l->c.dirfd, &l->after, e) : r;
}

/* --- after the switch --- */

/* Waits for its end: then it learns no more. */
static void end_old_forwarder(const struct part *old)
{
	_close_ int fd = -1;
	struct pollfd p;

	if (old->dns_pid <= 0)
		return;
	fd = (int)syscall(SYS_pidfd_open, old->dns_pid, 0);
	if (fd < 0 || !process_is_alive(old->dns_pid, old->dns_start))
		return;
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 ||
	    poll(&p, 1, END_MS) <= 0)
		log_warn("the old forwarder of names (%d) does not end", old->dns_pid);
}

static int tell_forwarder(const struct network_address *address,
			  const struct network_name *name, void *arg, struct err *e)
{
	const struct reload *l = arg;
	struct network_name known;

	if (l->dns.control_fd < 0)
		return keep_in_map(address, name, arg, e);
	if (kbpf_map_lookup(l->next.maps[NETWORK_MAP_NAMES], address, &known) == 0 &&
	    network_name_has(&known, name))
		return 0;
	return network_dns_teach(&l->dns, address, name, e);
}

/* The rules hold: what fails here is told, and makes no reload fail. */
static void finish(struct reload *l)
{
	struct err e;
	int n;

	end_old_forwarder(&l->other);
	if (l->before_known &&
	    network_fill_learned(&l->now, &l->tables, l->old.maps[NETWORK_MAP_NAMES],
				 tell_forwarder, l, &e) < 0)
		log_warn("names that were looked up in the last moment have to be once more: %s",
			 e.msg);
	if (network_survivors_look(&l->survivors, tell_forwarder, l, &e) < 0)
		log_warn("%s", e.msg);
	n = network_survivors_end(&l->survivors, &e);
	if (n < 0)
		log_warn("%s: it hangs, and nothing of it passes", e.msg);
	l->result->ended = n > 0 ? (unsigned int)n : 0;
}

static int reload(struct reload *l, struct err *e)
{
	_undo_ struct undo u = {};
	int r = open_container(l, e);

	if (r == 0)
		r = load_before(l, e);
	if (r == 0)
		r = read_policies(l, e);
	if (r == 0)
		r = compile(l, e);
	if (r == 0)
		r = network_survivors_open(l->netns_fd, &l->survivors, e);
	if (r == 0)
		r = make_maps(l, &u, e);
	if (r == 0)
		r = tell_monitor(l, &u, e);
	if (r == 0)
		r = look_at_connections(l, e);
	if (r == 0)
		r = start_forwarder(l, &u, e);
	if (r == 0)
		r = save(l, &u, e);
	if (r == 0)
		r = network_filter_switch(&l->next, l->dns.port, e);
	if (r < 0)
		return r;
	undo_forget(&u);
	finish(l);
	network_filter_tidy();
	l->result->generation = l->next.config.generation;
	l->result->rules = l->tables.rules.n;
	return 0;
}

int container_reload(const struct container_reload_request *rq,
		     struct container_reload_result *ret, struct err *e)
{
	struct container_reload_result result = {};
	struct reload l = RELOAD_EMPTY;
	int r;

	l.rq = rq;
	l.result = &result;
	r = reload(&l, e);
	reload_clear(&l);
	if (r < 0)
		container_reload_result_clear(&result);
	else
		*ret = result;
	return r;
}

void container_reload_result_clear(struct container_reload_result *r)
{
	strv_free(&r->policies);
	strv_free(&r->warnings);
}
