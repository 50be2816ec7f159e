/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime and purple-systemd say to each other: one JSON document at a time, with its
 * length (four bytes, the machine's order) before it. Each request is answered once.
 */
#ifndef PURPLE_CGROUP_SYSTEMD_WIRE_H
#define PURPLE_CGROUP_SYSTEMD_WIRE_H

#include "cgroup/systemd.h"

/* A unit_property; `text` is in hexadecimal digits, as not all of it is UTF-8. */
struct wire_property {
	char *name;
	uint32_t type;
	uint64_t number;
	char *text;
	struct strv strings;
};

struct wire_request {
	char *call; /* "open", "start", "stop", "set", "attach", "group", "version" */
	bool user;  /* open: the caller's own manager */
	char *unit;
	uint32_t pid; /* attach */
	LIST_OF(struct wire_property) properties;
};

struct wire_answer {
	uint32_t kind, code; /* enum err_kind; of a success 0 */
	char *error;
	char *text;	 /* group */
	uint32_t number; /* version */
};

extern const struct json_type wire_request_type, wire_answer_type;

int wire_send(int fd, const struct json_type *t, const void *obj, struct err *e);
/* 1: a document; 0: the peer has closed. */
int wire_receive(int fd, const struct json_type *t, void *obj, struct err *e);

/* Between the property lists of both sides; ret is cleared by the caller. */
int wire_from_properties(const unit_properties *l, struct wire_request *ret, struct err *e);
int wire_to_properties(const struct wire_request *r, unit_properties *ret, struct err *e);

#endif
