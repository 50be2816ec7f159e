/* SPDX-License-Identifier: Apache-2.0 */
/* Installed policies and the runtime's settings: files that an administrator wrote. */
#ifndef PURPLE_POLICY_FIND_H
#define PURPLE_POLICY_FIND_H

#include "policy/plan.h"
#include "policy/policy.h"

/* [a-z0-9._-], 1 to 64 characters, not beginning with a dot. */
bool policy_name_is_valid(const char *name);

/*
 * The file of an installed policy: NAME.yaml in the administrator's folder, else in the
 * system's. ERR_POLICY when the name is not valid (a path never is) or unknown.
 */
int policy_find(const struct policy_dirs *d, const char *name, char **ret_path,
		struct err *e);

/* All installed policies, sorted by name; paths[i] belongs to names[i]. */
int policy_list(const struct policy_dirs *d, struct strv *ret_names,
		struct strv *ret_paths, struct err *e);

/*
 * As policy_load(), for a file that decides for others: a regular file that belongs to root or to
 * the caller, and that not everybody may write.
 */
int policy_load_installed(const char *path, struct policy **ret, struct err *e);

/* /etc/purple/purple.yaml. Without the file: no default policy, every policy selectable. */
struct policy_settings {
	char *default_policy; /* holds where the administrator named no other; NULL: none */
	bool selectable_all;	/* `selectable: all`, the default */
	struct strv selectable; /* else: what the annotation may name */
	/*
	 * `kubernetes: true`: believe the annotations by which CRI engines mark a pod's sandbox
	 * (pause) container, which gets no policy then. Default false: other engines hand on
	 * annotations of images and users, who could escape the policy with them.
	 */
	bool kubernetes;
	/* `alerts`: what else is done when a budget passes a threshold of `alert_at`, or is spent. */
	struct strv alert_command; /* argv, run as root, the event on its stdin; empty: none */
	char *alert_webhook;	   /* URL that the event is sent to; NULL: none */
};
int policy_settings_load(const char *path, struct policy_settings *ret, struct err *e);
void policy_settings_clear(struct policy_settings *s);

/* Reads a whole file under the rule of policy_load_installed(). -ENOENT (with err set) when it is
 * missing. `what` begins the message: "policy", "settings". */
int policy_read_installed(const char *what, const char *path, char **ret, size_t *ret_len,
			  struct err *e);

#endif
