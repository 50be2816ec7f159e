/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens when a limit is met. The gateway's loop tells every event here; it is written down,
 * and where a budget is spent the container is stopped or frozen, and the administrator alerted. A
 * frozen container goes on when its budgets allow it again.
 */
#ifndef PURPLE_GATEWAY_ENFORCE_H
#define PURPLE_GATEWAY_ENFORCE_H

#include "gateway/events.h"

struct enforce;

struct enforce_setup {
	const struct gateway_config *config; /* borrowed */
	/* Borrowed; -1: there is none. */
	int events_fd;	/* events.jsonl, for appending */
	int copy_fd;	/* GATEWAY_FD_COPY */
	int limit_fd;	/* limit.json, for writing */
	int init_fd;	/* pidfd of the container's init */
	int kill_fd;	/* cgroup.kill, for writing */
	int freezer_fd; /* cgroup.freeze or freezer.state, for writing */
	/* Whether all budgets of a policy allow a call again, as the ledger has it now. False where
	 * that cannot be told. */
	bool (*has_budget)(size_t policy, void *arg);
	/* The container goes on, after the line is written; may be NULL. */
	void (*on_thaw)(void *arg);
	/* Sends this to the webhook, where there is one; may be NULL. From enforce_tick() alone. */
	void (*post)(const char *text, size_t len, void *arg);
	void *arg;
};

/*
 * Starts the warden, and who runs the alert command where there is one. Runs in purple-gateway,
 * as root, with one thread, and before any key is read: both are forks.
 */
int enforce_start(const struct enforce_setup *s, struct enforce **ret, struct err *e);
/* Both are in their jails. From here on without privileges. */
int enforce_wait(struct enforce *f, struct err *e);

void enforce_event(struct enforce *f, const struct gateway_event *x);

/* A call was refused by the budget of a policy, after its event: what is due is done again, where
 * somebody has undone it. */
void enforce_again(struct enforce *f, size_t policy);

/* To poll for POLLIN, and call enforce_tick() then, too. */
int enforce_fd(const struct enforce *f);
/* Milliseconds until enforce_tick() wants to be called; -1: not before an event. */
int enforce_wait_ms(const struct enforce *f);
void enforce_tick(struct enforce *f);
/* The ledger may have changed: looks at it now. */
void enforce_look(struct enforce *f);
bool enforce_is_frozen(const struct enforce *f);

/* What became of a post: NULL is well. */
void enforce_posted(struct enforce *f, const char *error);

/* The orderly end: a container that is frozen stays so, and that is told. `spent` may be NULL. */
void enforce_end(struct enforce *f, uint64_t calls, uint64_t denied,
		 const struct gateway_spent *spent);

#endif
