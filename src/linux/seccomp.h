/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters: from the profiles of the engine and of policies to classic BPF programs,
 * and from these into the kernel. See seccomp.c for what a profile means exactly.
 */
#ifndef PURPLE_LINUX_SECCOMP_H
#define PURPLE_LINUX_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "oci/spec.h"

struct seccomp_program {
	struct sock_filter *insns;
	size_t n;
	unsigned int flags; /* SECCOMP_FILTER_FLAG_*, without NEW_LISTENER */
	bool notify;	    /* some rule says SCMP_ACT_NOTIFY */
};

struct seccomp_plan {
	LIST_OF(struct seccomp_program) programs; /* in the order of loading */
	/*
	 * The program may be executed once, and only by execveat(exec_fd, "", argv, envp,
	 * AT_EMPTY_PATH). The descriptor must be close-on-exec, and its number must be out of
	 * reach of RLIMIT_NOFILE's hard limit by the time the program runs.
	 */
	bool exec_once;
	int exec_fd;
	char *listener_path;	 /* not NULL exactly if a program has `notify` */
	char *listener_metadata; /* may be NULL */
};

/* The action names, operators, flags, architectures and numbers of a profile: ERR_CONFIG with the
 * name of the first wrong member, from "linux.seccomp" on. Pure. */
int seccomp_check(const struct oci_seccomp *s, struct err *e);

/*
 * Compiles the filters for a container: the engine's profile (may be NULL) and those of policies.
 * exec_fd: the descriptor number of an exec_once profile; unused without one. Pure.
 */
int seccomp_plan_make(const struct oci_seccomp *engine,
		      const struct oci_seccomp *policies, size_t n_policies, int exec_fd,
		      struct seccomp_plan *ret, struct err *e);
void seccomp_plan_clear(struct seccomp_plan *p);

/*
 * Loads the plan's programs into the calling process.
 * Runs in: init, or the child of exec; single-threaded, with no_new_privs set or CAP_SYS_ADMIN.
 * Should: be the last thing before execve.
 * Mustn't: be followed by a system call that the filters may deny, other than that execve.
 *
 * listener_sock: a connected SOCK_STREAM socket, for a plan with a listener_path; else -1. The
 * listener goes there as SCM_RIGHTS, beside the bytes of `message`, even when the filter denies
 * or notifies sendmsg(2). The listener is closed here afterwards; listener_sock is not (it is
 * expected to be close-on-exec).
 */
int seccomp_plan_load(const struct seccomp_plan *p, int listener_sock,
		      const char *message, struct err *e);

/* What profiles may name, for the features document; each list ends with NULL. */
const char *const *seccomp_action_names(void);
const char *const *seccomp_operator_names(void);
const char *const *seccomp_arch_names(void);
const char *const *seccomp_flag_names(void);
/* Those flags that the running kernel takes. */
const char *const *seccomp_supported_flag_names(void);

/*
 * Whether a profile, loaded alone, denies all sockets of a family, by every way that the
 * architectures it lists have, io_uring among them. NULL denies nothing. Pure.
 */
int seccomp_denies_family(const struct oci_seccomp *s, int family, bool *ret, struct err *e);

#define _seccomp_plan_clear_ __attribute__((cleanup(seccomp_plan_clear)))

#endif
