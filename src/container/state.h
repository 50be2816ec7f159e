/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state folder: ROOT/ID holds everything Purple knows of a container.
 *
 *   lock         a record lock: create, start, delete and the like hold it
 *   state.json   struct container_state
 *   config.json  the effective configuration: the engine's, tightened by its policies
 *   start.sock   where init waits to be started; gone once it was
 *   network.json the rules of its policies for the network, where it has a filter
 *   events.jsonl what the filter denied and the forwarder was asked (monitor.h), and what came of
 *                LLM calls (gateway/events.h)
 *   end.jsonl    why it ended, or is being ended (end.h)
 *   limit.json   the budget that is spent, where one is (gateway/limit.h)
 *   audit.json   what is recorded of it and where, where a policy is audited (audit/config.h)
 *   monitor.sock where who writes events.jsonl takes requests
 *   gateway.json what its LLM gateway is to do, where it has one
 *   trust        certificates and more that the container sees of it (intercept.h)
 *   llm.jsonl    prompts and answers, where a policy asks for them
 *   rootfs       `purple run`: the directory on which the sandbox's root is built
 *
 * The folder is made before anything else and removed after everything else, so whatever is left
 * of a container after a crash can be found from it.
 */
#ifndef PURPLE_CONTAINER_STATE_H
#define PURPLE_CONTAINER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "cgroup/cgroup.h"
#include "oci/spec.h"

/* A policy that holds for the container. */
struct container_policy {
	char *name, *path, *chosen_by;
	struct strmap sections; /* as in struct policy_source */
};
typedef LIST_OF(struct container_policy) container_policies;

struct container_state {
	char *id;
	char *oci_version;
	char *bundle;  /* absolute */
	char *rootfs;  /* absolute */
	char *created; /* RFC 3339 */
	char *owner;
	int32_t pid;	    /* 0: init does not run yet, or create did not finish */
	uint64_t pid_start; /* init's start time in clock ticks, against reuse of the pid */
	struct strmap annotations;
	struct cgroup *cgroup; /* NULL: none yet */
	char *cgroups_path;    /* as configured, for a create that died on the way */
	bool cgroup_systemd;   /* systemd makes the group */
	bool cgroup_pending;   /* the group may exist though `cgroup` is not filled in */
	container_policies policies;
	/* Whose rules the network has since a reload; empty: those of the policies above. Their
	 * sections are those with which the container was started. */
	container_policies network_policies;
	struct strv explanations;
	struct oci_resources *policy_limits; /* what policies limit, for update; NULL: nothing */
	bool no_new_keyring; /* processes keep the session keyring of who runs them */
	int32_t supervisor; /* `purple run`: pid of the process in front of it; 0: none */
	uint64_t supervisor_start;
	char *network_filter; /* its name (network/filter.h); NULL: none */
	char *trace; /* by what name it is traced (audit/trace.h); NULL: it is not */
	/* Of the filter that network.json and dns_pid are of; 0: 1. A reload that was killed has left
	 * another one. */
	uint32_t network_generation;
	int32_t dns_pid; /* the forwarder of names; 0: none */
	uint64_t dns_start;
	int32_t monitor_pid; /* purple-monitor (monitor.h); 0: none */
	uint64_t monitor_start;
	int32_t gateway_pid; /* purple-gateway (gateway.h); 0: none */
	uint64_t gateway_start;
	bool foreign; /* of another runtime: Purple has its network alone (foreign.h) */
	int32_t usernet_pid; /* usernet.h; 0: none */
	uint64_t usernet_start;
	int32_t warden_pid; /* who keeps its limits, where no monitor does (monitor.h); 0: none */
	uint64_t warden_start;
	/* Its policies' limits that may end it; the places are "FILE:LINE", for messages. */
	uint64_t timeout_seconds; /* 0: none */
	char *timeout_place, *memory_place;
};

enum container_status {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_STOPPED,
};

struct container {
	char *root; /* the state root: /run/purple, or --root */
	char *dir;  /* ROOT/ID */
	int dirfd;
	int lockfd; /* -1: not locked */
	struct container_state st;
};

#define CONTAINER_EMPTY                   \
	{                                 \
		.dirfd = -1, .lockfd = -1 \
	}

/* `$XDG_RUNTIME_DIR/purple` for callers that are not root of the host, if set and not empty;
 * else /run/purple. */
char *container_default_root(void);

/* Ids: 1 to 1024 of [A-Za-z0-9_+.-], not "." or "..". */
int container_check_id(const char *id, struct err *e);

/* Makes ROOT/ID and locks it; ERR_EXISTS when it is there. */
int container_state_create(const char *root, const char *id, struct container *ret,
			   struct err *e);

/* Opens ROOT/ID; ERR_NOT_EXIST when it is not there. A folder whose create died before it wrote
 * state.json has an empty state with the id alone. `lock`: wait for the lock (at most 10 s). */
int container_open(const char *root, const char *id, bool lock, struct container *ret,
		   struct err *e);

int container_state_save(struct container *c, struct err *e);
int container_config_save(struct container *c, const struct oci_spec *s, struct err *e);
int container_config_load(struct container *c, struct oci_spec **ret, struct err *e);

/* The file of events, for appending: whoever has something to tell makes it. */
#define CONTAINER_EVENTS "events.jsonl"
int container_open_events(const struct container *c, int *ret_fd, struct err *e);

/* Removes ROOT/ID. */
int container_state_remove(struct container *c, struct err *e);
void container_close(struct container *c);
#define _container_close_ __attribute__((cleanup(container_close)))

/* Whether another process has the lock, as one that makes the container does. */
bool container_is_locked(const struct container *c);

/* Where the container is in its life. A zombie, or another process with init's pid, is stopped. */
int container_status(const struct container *c, enum container_status *ret, struct err *e);
const char *container_status_name(enum container_status s);

/* Whether init waits for `start`. */
bool container_waits_for_start(const struct container *c);

/* Connects to where init waits for `start`; -ECONNREFUSED or -ENOENT when it waits no more. `flags`
 * are of socket(), added to SOCK_CLOEXEC. Returns a descriptor or -errno. */
int container_connect_init(const struct container *c, int flags);

/* True while the process with this pid and start time runs (zombies do not). */
bool process_is_alive(pid_t pid, uint64_t start);
/* Start time of a process, field 22 of /proc/PID/stat; 0 when there is none, or it is dead. One
 * whose first thread has ended is not, while others run. */
uint64_t process_start_time(pid_t pid);

/* The state document for hooks ("creating", ...) or for people, with `status` as given. */
int container_hook_state(const struct container *c, const char *status, pid_t pid,
			 struct buf *out, struct err *e);
int container_state_document(const struct container *c, enum container_status status,
			     bool pretty, struct buf *out, struct err *e);

/* What goes to a seccomp listener beside the descriptor (runtime-spec, "Container Process State").
 * `pid` is the process's; metadata may be NULL. */
int container_listener_message(const struct container *c, const char *status, pid_t pid,
			       const char *metadata, struct buf *out, struct err *e);

/* The name of a user, for people who list containers; "#UID" for one without. NULL: no memory. */
char *container_owner_name(uid_t uid);

/* The ids below a state root, sorted. No root is no containers. */
int container_list_ids(const char *root, struct strv *ret, struct err *e);

#endif
