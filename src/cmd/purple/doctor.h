/* SPDX-License-Identifier: Apache-2.0 */
/* What `purple doctor` finds. Each part tries the thing itself, and adds a finding for it. */
#ifndef PURPLE_CMD_PURPLE_DOCTOR_H
#define PURPLE_CMD_PURPLE_DOCTOR_H

#include "cmd/purple/purple.h"
#include "container/container.h"

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_MISSING, /* this host, or this user, has it not */
	DOCTOR_BROKEN,	/* it is there and wrong */
};

struct doctor_finding {
	const char *name;
	const char *serves; /* what it is for: policy keys, commands */
	bool needed;	    /* false: nothing that is enforced now needs it */
	enum doctor_status status;
	char *detail; /* what was found */
	char *fix;    /* what to do; NULL: nothing */
};

struct doctor {
	LIST_OF(struct doctor_finding) findings;
	const char *root;
	bool may_fix;  /* --fix */
	bool ordinary; /* the caller is not root of the host */
	bool failed;   /* out of memory; latches */
};

/* What the finding is about, before its outcome is known. */
struct doctor_subject {
	const char *name, *serves;
	bool needed;
};

void doctor_ok(struct doctor *d, const struct doctor_subject *s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* `fix` may be NULL. */
void doctor_bad(struct doctor *d, const struct doctor_subject *s,
		enum doctor_status status, const char *fix, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Runs fn in a child, so that what it does to its process is gone with it: 0 or -errno, of fn or
 * of making the child. */
int doctor_try(int (*fn)(void *arg), void *arg);

/*
 * A finding about all containers that run: `is_lacking` says of which something is not there that
 * should be; `what` is said of those.
 */
void doctor_check_containers(struct doctor *d, const struct doctor_subject *s,
			     bool (*is_lacking)(const struct container *c),
			     const char *what);

/* What is pinned for containers, by name: `list` gives the id of the group too, 0 where it is gone. */
struct doctor_pins {
	const char *name; /* of the finding */
	int (*list)(int (*each)(const char *name, uint64_t group, unsigned int n, void *arg),
		    void *arg, struct err *e);
	int (*remove)(const char *name, struct err *e);
	void (*tidy)(void);
};
/* A finding about those of containers that are gone; --fix removes them. */
void doctor_check_pins(struct doctor *d, const struct doctor_pins *p);

void doctor_check_kernel(struct doctor *d);	/* doctor_kernel.c */
void doctor_check_namespaces(struct doctor *d); /* doctor_kernel.c */
void doctor_check_cgroups(struct doctor *d);	/* doctor_cgroup.c */
void doctor_check_network(struct doctor *d);	/* doctor_network.c */
void doctor_check_tracing(struct doctor *d);	/* doctor_trace.c */
void doctor_check_gateway(struct doctor *d);	/* doctor_gateway.c */
void doctor_check_policies(struct doctor *d);	/* doctor_files.c */
void doctor_check_programs(struct doctor *d);	/* doctor_files.c */
void doctor_check_leftovers(struct doctor *d);	/* doctor_stale.c */

#endif
