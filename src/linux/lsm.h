/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of Linux security modules: AppArmor profiles and SELinux contexts of a process. */
#ifndef PURPLE_LINUX_LSM_H
#define PURPLE_LINUX_LSM_H

#include <stdbool.h>

#include "base/err.h"

enum lsm { LSM_APPARMOR, LSM_SELINUX };

/* Whether the running kernel enforces labels of this module. Runs on the host. */
bool lsm_is_enabled(enum lsm m);

/*
 * A label that was asked for (`member` is where: "process.apparmorProfile") and can never be
 * applied here is ERR_UNSUPPORTED; a SELinux context that the policy does not know is ERR_CONFIG;
 * an absent or empty label asks for nothing. Runs on the host.
 */
int lsm_check(enum lsm m, const char *member, const char *label, struct err *e);

/*
 * The calling process gets the label with its next execve(2), and so do its children with theirs.
 * Runs in the container. Should: be single-threaded. A label that is absent or empty is none.
 */
int lsm_set_exec_label(enum lsm m, const char *member, const char *label, struct err *e);

/*
 * The keys and keyrings that the calling process makes before its next execve(2) have this SELinux
 * label: its program could not use those of the runtime. Runs in the container.
 */
int lsm_set_key_label(const char *member, const char *label, struct err *e);

/* Gives a directory this SELinux context; an absent or empty one changes nothing. */
int lsm_label_dir(int dir_fd, const char *label, struct err *e);

#endif
