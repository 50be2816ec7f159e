/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with containers: the operations behind the commands. */
#ifndef PURPLE_CONTAINER_CONTAINER_H
#define PURPLE_CONTAINER_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "container/state.h"
#include "oci/spec.h"
#include "policy/plan.h"

struct container_create_request {
	const char *root; /* the state root */
	const char *id;
	const char *bundle;	    /* directory; NULL: the current one */
	const char *config;	    /* config.json's path; NULL: BUNDLE/config.json */
	const char *pid_file;	    /* NULL: none */
	const char *console_socket; /* NULL: none */
	const char *pidfd_socket;   /* NULL: none */
	const char *notify_socket;  /* the caller's NOTIFY_SOCKET; NULL: none */
	unsigned int preserve_fds;  /* with listen_fds */
	unsigned int listen_fds;    /* how many of them socket activation passed */
	bool no_pivot;
	bool no_new_keyring;
	bool cgroup_disabled;
	bool cgroup_systemd;	     /* systemd makes the group */
	const char *admin_policy;    /* NULL: none */
	const char *admin_chosen_by; /* "--policy" or "program name" */

	/* `purple run`: the configuration is made from the policy, not read from a bundle; its
	 * root.path is "rootfs", an empty directory that is made in the state folder. */
	struct policy_plan *plan; /* NULL: read the bundle; else taken over (cleared) */
	bool reaper; /* PID 1 is Purple's own: it reaps, forwards signals, and exits
				   * with the program's status */
	bool die_with_parent;

	/* Foreground: a connected socket takes the terminal's master instead of console_socket. */
	int console_fd; /* -1: none */
};

#define CONTAINER_CREATE_EMPTY   \
	{                        \
		.console_fd = -1 \
	}

/* Makes a container up to the point where only its program's start is missing. */
int container_create(const struct container_create_request *rq, pid_t *ret_pid,
		     struct err *e);

/* Lets the program run, then runs the poststart hooks. With the caller's NOTIFY_SOCKET (NULL:
 * none), also waits until the program says that it is ready, or ends. */
int container_start(const char *root, const char *id, const char *notify_socket,
		    struct err *e);

/* The hooks alone, of a container whose program runs. */
int container_run_poststart(struct container *c, struct err *e);

struct container_run_request {
	struct container_create_request create;
	bool detach;
	bool keep; /* the stopped container stays */
	bool no_subreaper;
};

/* create, start and, unless detached, wait: *ret_status is the exit code (128+n for a signal). */
int container_run(struct container_run_request *rq, int *ret_status, struct err *e);

struct container_exec_request {
	const char *root;
	const char *id;
	const char *process_file; /* NULL: made from the members below */
	struct strv args;
	struct strv env;  /* added to the container's */
	const char *cwd;  /* NULL: the container's */
	const char *user; /* "uid[:gid]"; NULL: the container's */
	struct strv caps; /* added, as far as the container's own process has them */
	struct strv additional_gids;
	struct strv sub_cgroups; /* of cgroup_narrow(); empty: the container's own */
	bool tty;
	bool no_new_privileges;
	bool detach;
	const char *pid_file;
	const char *console_socket;
	const char *pidfd_socket;
	unsigned int preserve_fds;
	bool ignore_paused;
};

/* Runs a further process in a container. As container_run() for the foreground. */
int container_exec(const struct container_exec_request *rq, int *ret_status, struct err *e);

/* all: every process of the container's cgroup. */
int container_kill(const char *root, const char *id, int signum, bool all, struct err *e);
int container_delete(const char *root, const char *id, bool force, struct err *e);
/* As above; *record is filled, where a policy held: see record.h. */
struct run_record;
int container_delete_recorded(const char *root, const char *id, bool force,
			      struct run_record *record, struct err *e);
int container_pause(const char *root, const char *id, struct err *e);
int container_resume(const char *root, const char *id, struct err *e);
/*
 * What the container's policies limit is lowered in r first. rdt: l3_cache_schema and mem_bw_schema
 * for the group of its linux.intelRdt. Either may be NULL.
 */
int container_update(const char *root, const char *id, struct oci_resources *r,
		     const struct oci_intel_rdt *rdt, struct err *e);
/* Host pids of the container's processes. */
int container_processes(const char *root, const char *id, cgroup_pid_list *ret,
			struct err *e);

/* What the container uses, as the object that `events` prints (no newline). It has a cgroup. */
int container_stats_document(const struct container *c, struct buf *out, struct err *e);

/* The features document (runtime-spec, "Features Structure"); annotations as given. */
int container_features(const struct strmap *annotations, struct buf *out, struct err *e);

/* exe_protect() of linux/exe.h: first thing in a program that puts a process into containers. */
int container_protect_program(char *const argv[], struct err *e);

/* "TERM", "SIGTERM", "15": a signal number, or -EINVAL. */
int signal_parse(const char *s, int *ret);

#endif
