/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps of a container's process, shared by init and exec: who it is, what it may do, and
 * the program itself. */
#ifndef PURPLE_CONTAINER_PROCESS_H
#define PURPLE_CONTAINER_PROCESS_H

#include "base/err.h"
#include "linux/caps.h"
#include "linux/seccomp.h"
#include "oci/spec.h"

struct process_plan {
	const struct oci_process *process;
	struct caps caps;
	const struct seccomp_plan *seccomp;
	int listener_sock;	      /* -1: none */
	const char *listener_message; /* NULL: none */
	unsigned int preserve_fds;    /* descriptors 3 to 2+n stay open */
	bool die_with_parent;	      /* SIGKILL when the parent dies */
	bool keep_groups; /* the caller's supplementary groups instead of additionalGids */
	const oci_hooks_list *hooks; /* startContainer, or NULL */
	const char *hook_state;	     /* what they are given on stdin */
};

/*
 * Whether the annotation OCI_KEEP_GROUPS asks for the supplementary groups of who calls the
 * runtime (podman run --group-add keep-groups), in place of additionalGids. A policy sets it to 0.
 */
bool process_keeps_groups(const struct strmap *annotations);

/* Capabilities as the process gets them; names that are unknown, or not ours to give, are warned
 * about. Runs in the runtime. */
int process_plan_caps(const struct oci_process *p, struct caps *ret, struct err *e);

/* The descriptor number by which an exec_once program is executed: just out of the process's
 * reach. */
int process_exec_fd(const struct oci_process *p);

/*
 * The runtime's part of process.rlimits: raises hard limits that init itself may not raise. The
 * rest is done by process_exec().
 */
int process_raise_limits(pid_t pid, const struct oci_process *p, struct err *e);

/* process.oomScoreAdj of the process `pid`. Runs in the runtime. */
int process_set_oom_score(pid_t pid, const struct oci_process *p, struct err *e);

/*
 * A new session keyring in place of the caller's, whose keys are the host's. `id` is the
 * container's, for people who read /proc/keys. It has the SELinux label of the process `p` (NULL:
 * none), which could not use it otherwise. Kernels without keyrings are fine.
 */
int process_new_keyring(const char *id, const struct oci_process *p, struct err *e);

/*
 * Closes what of the host is still open, before anything of the container is looked up: a link of
 * the image to /proc/self/fd/N would lead out through it (CVE-2024-21626). What stays are stdio,
 * the caller's preserved descriptors, the listener's socket, and `keep`.
 */
int process_close_host(const struct process_plan *plan, const int *keep, size_t n,
		       struct err *e);

/* Enters the working directory, which is made with make_cwd, and looks whether the program is there and executable, with the
 * errors that engines know. Runs in the container's root. */
int process_check_program(const struct oci_process *p, bool make_cwd, struct err *e);

/*
 * Becomes the process: directory, limits, ids, capabilities, no_new_privs, hooks, seccomp,
 * program.
 * Returns only on failure.
 * Runs in the container, with all its privileges, which it gives up on the way.
 * Should: be followed by nothing but the report of the error.
 */
int process_exec(const struct process_plan *plan, struct err *e);

/*
 * What PID 1 of `purple run` keeps: the process's ids, no capability, no_new_privs, no descriptor.
 * For a process that executes nothing.
 */
int process_drop_all(const struct oci_process *p, struct err *e);

#endif
