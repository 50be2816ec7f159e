/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See monitor.h. Runs in the runtime, in the host's namespaces, as root of the host. All that the
 * monitor needs is opened here, so that it can begin without a right to the state folder.
 */
#include "container/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "audit/limits.h"
#include "base/fd.h"
#include "base/list.h"
#include "container/audit.h"
#include "container/end.h"
#include "network/rules_json.h"

/* More than it takes for the forwarder's lines (1 s) and the ring behind them (1 s), */
#define END_MS 3000
/* and for what was traced (2 s) and its log (5 s), too. */
#define AUDITED_END_MS 12000

#define WHO_DIED "who records it died"

/* Bound through the folder's descriptor: the path may be long. */
static int make_socket(const struct container *c, int *ret, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, "cannot make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" MONITOR_SOCKET,
		 c->dirfd);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		return err_sys(e, "cannot make the monitor's socket in '%s'", c->dir);
	*ret = take_fd(&fd);
	return 0;
}

/* What it is given; closed when it has it. */
struct handed {
	int log, control, rules, config, kill, dns, limits, freezer, oom, ended;
	struct cgroup_dirs dirs;
};
#define HANDED_EMPTY                                                      \
	{                                                                 \
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, CGROUP_DIRS_EMPTY \
	}

static void handed_close(struct handed *h)
{
	fd_close(&h->log);
	fd_close(&h->control);
	fd_close(&h->rules);
	fd_close(&h->config);
	fd_close(&h->kill);
	fd_close(&h->dns);
	fd_close(&h->limits);
	fd_close(&h->freezer);
	fd_close(&h->oom);
	fd_close(&h->ended);
	cgroup_dirs_close(&h->dirs);
}

static int open_network(struct container *c, struct monitor_network_start *n,
			struct handed *h, struct audit_client_start *start, struct err *e)
{
	int fds[2];

	h->rules = network_policies_open(c->dirfd, e);
	if (h->rules < 0)
		return h->rules;
	n->events_fd = -1;
	if (n->has_forwarder) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
			return err_sys(e, "cannot make a socket pair");
		n->events_fd = fds[0];
		h->dns = fds[1];
	}
	start->generation = n->filter->config.generation;
	start->fds[MONITOR_FD_NETNS] = n->netns_fd;
	start->fds[MONITOR_FD_RING] = n->filter->maps[NETWORK_MAP_RINGS];
	start->fds[MONITOR_FD_HITS] = n->filter->maps[NETWORK_MAP_HITS];
	start->fds[MONITOR_FD_RULES] = h->rules;
	start->fds[MONITOR_FD_DNS] = h->dns;
	return 0;
}

static int open_audit(struct container *c, const struct container_audit *a,
		      struct handed *h, struct audit_client_start *start, struct err *e)
{
	int r = 0;

	h->config = openat(c->dirfd, AUDIT_CONFIG_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (h->config < 0)
		return err_sys(e, "cannot open '%s/" AUDIT_CONFIG_FILE "'", c->dir);
	if (h->kill < 0 && audit_config_stops(a->config))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "a container that ends when it cannot be recorded needs a group with "
			       "cgroup.kill (Linux 5.14), and it has none");
	if (c->st.cgroup && (audit_config_levels(a->config) & AUDIT_RESOURCE))
		r = cgroup_dirs_open(c->st.cgroup, &h->dirs, e);
	if (r == 0 && h->ended < 0)
		r = container_end_open(c, &h->ended, e);
	start->fds[MONITOR_FD_ENDED] = h->ended;
	start->fds[MONITOR_FD_AUDIT] = h->config;
	start->fds[MONITOR_FD_OTHERS] = a->others_fd;
	start->fds[MONITOR_FD_URGENT] = a->trace.urgent;
	start->fds[MONITOR_FD_BULK] = a->trace.bulk;
	start->fds[MONITOR_FD_STATS] = a->trace.stats;
	start->fds[MONITOR_FD_COUNTS] = a->trace.counts;
	start->fds[MONITOR_FD_GROUP] = h->dirs.unified;
	start->fds[MONITOR_FD_MEMORY] = h->dirs.memory;
	start->fds[MONITOR_FD_PIDS] = h->dirs.pids;
	start->fds[MONITOR_FD_CPU] = h->dirs.cpu;
	start->fds[MONITOR_FD_CPUACCT] = h->dirs.cpuacct;
	return r;
}

/* --- limits --- */

/* A line of end.jsonl that lacks its time and its end. */
static char *make_note(const char *reason, const char *detail, const char *setting,
		       const char *place)
{
	const struct container_end x = { .reason = (char *)reason,
					 .detail = (char *)detail,
					 .by = (char *)"purple-monitor",
					 .setting = (char *)setting,
					 .policy = (char *)place };
	_buf_free_ struct buf text = {};
	struct err ignored;

	if (json_write(&container_end_type, &x, false, &text, &ignored) < 0 ||
	    text.failed || text.len == 0)
		return NULL;
	text.s[--text.len] = '\0';
	return take_ptr(&text.s);
}

/* Where `purple run` stands in front of it, that keeps its time and its memory. */
static bool has_own_keeper(const struct container *c)
{
	return c->st.supervisor > 0;
}

static bool has_oom_to_watch(const struct container *c)
{
	return c->st.memory_place && c->st.cgroup && !has_own_keeper(c) &&
	       strmap_get(&c->st.cgroup->v1, "memory");
}

static bool has_timeout(const struct container *c)
{
	return c->st.timeout_seconds && !has_own_keeper(c);
}

bool monitor_keeps_limits(const struct container *c)
{
	return has_timeout(c) || has_oom_to_watch(c);
}

/* Of the first policy that says so. */
static const char *stop_place(const struct audit_config *config)
{
	for (size_t i = 0; i < config->logs.n; i++)
		if (!config->logs.v[i].go_on)
			return config->logs.v[i].place;
	return NULL;
}

static int fill_limits(const struct container *c, const struct container_audit *a,
		       struct audit_limits *l, struct err *e)
{
	if (has_timeout(c)) {
		l->timeout_seconds = c->st.timeout_seconds;
		l->timeout_note = make_note(END_TIMEOUT, NULL,
					    "resources.session_timeout_seconds",
					    c->st.timeout_place);
	}
	if (has_oom_to_watch(c))
		l->oom_note = make_note(END_OOM, NULL, "resources.memory_limit_bytes",
					c->st.memory_place);
	if (a && a->config && audit_config_stops(a->config)) {
		const char *place = stop_place(a->config);

		l->ends_on_death = true;
		l->audit_note = make_note(END_AUDIT, "its log cannot be written",
					  "audit.on_log_failure", place);
		l->death_note = make_note(END_AUDIT, WHO_DIED, "audit.on_log_failure",
					  place);
	}
	return (has_timeout(c) && !l->timeout_note) ||
			       (has_oom_to_watch(c) && !l->oom_note) ||
			       (l->ends_on_death && (!l->audit_note || !l->death_note)) ?
		       err_oom(e) :
		       0;
}

static int open_limits(struct container *c, const struct container_audit *a,
		       struct handed *h, struct audit_client_start *start, struct err *e)
{
	_audit_limits_clear_ struct audit_limits l = {};
	int r = fill_limits(c, a, &l, e);

	if (r < 0 || !audit_limits_are_set(&l))
		return r;
	h->limits = audit_limits_write(&l, e);
	r = h->limits < 0 ? h->limits : container_end_open(c, &h->ended, e);
	if (r == 0 && c->st.cgroup)
		r = cgroup_open_freezer(c->st.cgroup, &h->freezer, e);
	if (r == 0 && l.oom_note)
		r = cgroup_watch_oom(c->st.cgroup, &h->oom, e);
	start->fds[MONITOR_FD_LIMITS] = h->limits;
	start->fds[MONITOR_FD_FREEZER] = h->freezer;
	start->fds[MONITOR_FD_OOM] = h->oom;
	start->fds[MONITOR_FD_ENDED] = h->ended;
	return r;
}

static int begin_warden(struct container *c, struct audit_client_start *start,
			struct audit_client *ret, struct err *e)
{
	int r = audit_client_begin(start, ret, e);

	if (r < 0)
		return r;
	c->st.warden_pid = ret->pid;
	c->st.warden_start = process_start_time(ret->pid);
	return 0;
}

int monitor_begin(struct container *c, struct container_audit *audit,
		  struct monitor_network_start *network, int init_fd,
		  struct audit_client *ret, struct err *e)
{
	__attribute__((cleanup(handed_close))) struct handed h = HANDED_EMPTY;
	struct audit_client_start start;
	int r;

	audit_client_start_init(&start, c->st.id);
	start.fds[MONITOR_FD_INIT] = init_fd;
	r = c->st.cgroup ? cgroup_open_kill(c->st.cgroup, &h.kill, e) : 0;
	start.fds[MONITOR_FD_KILL] = h.kill;
	if (r == 0)
		r = open_limits(c, audit, &h, &start, e);
	if (r == 0 && !network && !(audit && audit->config))
		return begin_warden(c, &start, ret, e);
	if (r == 0)
		r = container_open_events(c, &h.log, e);
	if (r == 0)
		r = make_socket(c, &h.control, e);
	if (r == 0 && network)
		r = open_network(c, network, &h, &start, e);
	if (r == 0 && audit && audit->config)
		r = open_audit(c, audit, &h, &start, e);
	start.fds[MONITOR_FD_LOG] = h.log;
	start.fds[MONITOR_FD_CONTROL] = h.control;
	if (r == 0)
		r = audit_client_begin(&start, ret, e);
	if (r < 0) {
		if (network)
			fd_close(&network->events_fd);
		return r;
	}
	c->st.monitor_pid = ret->pid;
	c->st.monitor_start = process_start_time(ret->pid);
	/* Its alone: it sees by that when all others are gone. */
	if (audit)
		fd_close(&audit->others_fd);
	return 0;
}

bool monitor_is_running(const struct container *c)
{
	return c->st.monitor_pid > 0 &&
	       process_is_alive(c->st.monitor_pid, c->st.monitor_start);
}

static bool is_audited(const struct container *c)
{
	return faccessat(c->dirfd, AUDIT_CONFIG_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether it ends when it is not recorded. */
static bool load_stopping(const struct container *c, struct audit_config *ret)
{
	struct err e = {};

	if (!is_audited(c) || c->st.monitor_pid <= 0)
		return false;
	/* Who cannot tell does not let it go on. */
	return audit_config_load(c->dirfd, ret, &e) < 0 || audit_config_stops(ret);
}

int monitor_watch(const struct container *c)
{
	_audit_config_clear_ struct audit_config config = {};

	return load_stopping(c, &config) ?
		       (int)syscall(SYS_pidfd_open, c->st.monitor_pid, 0) :
		       -1;
}

bool monitor_end_unrecorded(const struct container *c)
{
	_audit_config_clear_ struct audit_config config = {};
	struct err e = {};

	/* It ends by itself after init. */
	if (!load_stopping(c, &config) || monitor_is_running(c) ||
	    !process_is_alive(c->st.pid, c->st.pid_start))
		return false;
	container_end_note(c, &(struct container_end){
				      .reason = (char *)END_AUDIT,
				      .detail = (char *)WHO_DIED,
				      .by = (char *)"purple",
				      .setting = (char *)"audit.on_log_failure",
				      .policy = (char *)stop_place(&config) });
	if (!c->st.cgroup || cgroup_kill(c->st.cgroup, SIGKILL, &e) < 0)
		kill(c->st.pid, SIGKILL);
	return true;
}

void monitor_stop(struct container *c)
{
	_close_ int fd = -1;

	if (c->st.warden_pid > 0 && process_is_alive(c->st.warden_pid, c->st.warden_start))
		kill(c->st.warden_pid, SIGKILL);
	if (!monitor_is_running(c))
		return;
	/* Its last line says what was denied in all; it ends by itself when the container has. */
	if (!process_is_alive(c->st.pid, c->st.pid_start))
		fd = (int)syscall(SYS_pidfd_open, c->st.monitor_pid, 0);
	if (fd >= 0)
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1,
		     is_audited(c) ? AUDITED_END_MS : END_MS);
	if (monitor_is_running(c))
		kill(c->st.monitor_pid, SIGKILL);
}

int monitor_set_rules(struct container *c, const network_policies *policies,
		      const struct network_filter *next, struct err *e)
{
	const struct monitor_request request = { .type = MONITOR_RULES,
						 .generation = next->config.generation };
	_close_ int text_fd = memfd_create("purple-rules", MFD_CLOEXEC);
	_buf_free_ struct buf text = {};
	int r = network_policies_write(policies, &text, e);

	if (r < 0)
		return r;
	if (text_fd < 0 || fd_write_all(text_fd, text.s, text.len) < 0 ||
	    lseek(text_fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot write the rules for the monitor");
	return audit_client_ask(c->dirfd, MONITOR_SOCKET, &request,
				(const int[]){ text_fd, next->maps[NETWORK_MAP_HITS] }, 2,
				e);
}

int monitor_add_dns(struct container *c, int fd, struct err *e)
{
	const struct monitor_request request = { .type = MONITOR_DNS };

	return audit_client_ask(c->dirfd, MONITOR_SOCKET, &request, &fd, 1, e);
}
