/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the systemd driver share among themselves: names, properties, the bus. */
#ifndef PURPLE_CGROUP_SYSTEMD_H
#define PURPLE_CGROUP_SYSTEMD_H

#include "cgroup/internal.h"

/* --- names (systemd_name.c): pure --- */

struct unit_name {
	char *unit;  /* "libpod-ID.scope", or "a-b.slice" */
	char *slice; /* that it is in; NULL for a slice, whose name says it */
};

/*
 * From linux.cgroupsPath "slice:prefix:name", as runc and crun read it: PREFIX-NAME.scope in SLICE.
 * Without slice: system.slice, or `user`'s user.slice; without prefix: NAME.scope; a name that ends
 * in ".slice" is that slice. NULL or "": purple-ID.scope. What a unit's name cannot have is escaped
 * in a scope's name and refused in a slice's.
 */
int unit_name_choose(const char *cgroups_path, const char *id, bool user,
		     struct unit_name *ret, struct err *e);
/* Where the system's manager keeps a scope's group: "/a.slice/a-b.slice/x.scope". */
char *unit_name_path(const struct unit_name *n);
void unit_name_clear(struct unit_name *n);
#define _unit_name_clear_ __attribute__((cleanup(unit_name_clear)))

/* --- properties of units (systemd_properties.c): pure but for reading cgroup files --- */

enum unit_property_type {
	UNIT_BOOL,
	UNIT_I32,
	UNIT_U32,
	UNIT_I64,
	UNIT_U64,
	UNIT_STRING,
	UNIT_STRINGS,
	UNIT_BYTES,   /* text with len */
	UNIT_PAIRS,   /* strings, two and two */
	UNIT_NUMBERS, /* an array of one u32: `number` */
};

struct unit_property {
	char *name;
	enum unit_property_type type;
	uint64_t number; /* signed ones as two's complement */
	char *text;
	size_t len;
	struct strv strings;
};
typedef LIST_OF(struct unit_property) unit_properties;

void unit_properties_clear(unit_properties *l);
#define _unit_properties_clear_ __attribute__((cleanup(unit_properties_clear)))

int unit_property_bool(unit_properties *l, const char *name, bool value, struct err *e);
int unit_property_u64(unit_properties *l, const char *name, uint64_t value, struct err *e);
int unit_property_string(unit_properties *l, const char *name, const char *value,
			 struct err *e);
int unit_property_strings(unit_properties *l, const char *name, const char *value,
			  struct err *e);

bool unit_properties_equal(const unit_properties *a, const unit_properties *b);

/*
 * The annotations org.systemd.property.NAME, whose values are GVariant text as runc and crun take
 * it. An annotation may be an untrusted image's: properties that could loosen a limit, or reach
 * beyond the container, are refused by name.
 */
int unit_properties_of_annotations(const struct strmap *annotations, unit_properties *ret,
				   struct err *e);

/* DevicePolicy and DeviceAllow for a list of rules; *ret_exact is false when systemd cannot express
 * it, and then the properties allow everything. */
int unit_properties_of_devices(const struct oci_device_cgroup *rules, size_t n,
			       unit_properties *ret, bool *ret_exact, struct err *e);

/* The limits that the group's files hold, in the words of a systemd of this version. */
int unit_properties_of_files(const struct cgroup *cg, unsigned int version,
			     unit_properties *ret, struct err *e);

/* --- the bus (systemd_client.c in the runtime, systemd_bus.c in purple-systemd) --- */

struct unit_bus;

/* Connects to the system's manager, or to the caller's own (`user`). */
int unit_bus_open(bool user, struct unit_bus **ret, struct err *e);
void unit_bus_close(struct unit_bus **b);
#define _unit_bus_close_ __attribute__((cleanup(unit_bus_close)))

/* Makes a transient unit and waits until it is there. -EEXIST: another has this name. */
int unit_bus_start(struct unit_bus *b, const char *unit, const unit_properties *l,
		   struct err *e);
/* Stops a unit and waits until it has; one that is not there is fine. */
int unit_bus_stop(struct unit_bus *b, const char *unit, struct err *e);
/* Sets properties until the next boot, and waits until systemd has acted on them. */
int unit_bus_set(struct unit_bus *b, const char *unit, const unit_properties *l,
		 struct err *e);
/* Moves a process into the unit's group; the user's manager has the system's do what it may not. */
int unit_bus_attach(struct unit_bus *b, const char *unit, pid_t pid, struct err *e);
/* The unit's group, as /proc/PID/cgroup of its processes shows it. */
int unit_bus_group(struct unit_bus *b, const char *unit, char **ret, struct err *e);
/* The manager's version: 252. */
int unit_bus_version(struct unit_bus *b, unsigned int *ret, struct err *e);

/* --- units (systemd.c) --- */

/* For a group that a unit stands for: cgroup_apply() and cgroup_destroy() call these. */
int cgroup_unit_apply(const struct cgroup *cg, const struct oci_resources *r, bool update,
		      struct err *e);
int cgroup_unit_enter(const struct cgroup *cg, pid_t pid, struct err *e);
int cgroup_unit_stop(const struct cgroup *cg, struct err *e);

/* cgroup_apply() without a word to systemd (apply.c). */
int cgroup_apply_files(const struct cgroup *cg, const struct oci_resources *r,
		       bool update, struct err *e);

/* Makes the group's directories where a unit's group is, with `holder` in it (create.c). */
int cgroup_create_around(const char *path, const struct oci_resources *r, pid_t holder,
			 struct cgroup *ret, struct err *e);
/* Whether the caller is root of the host, and not of a user namespace (create.c). */
bool cgroup_is_privileged(void);

#endif
