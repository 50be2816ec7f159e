/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A D-Bus client: as much of the protocol as it takes to call methods of one service and to wait for
 * its signals. (D-Bus Specification 0.43: "Message Protocol", "Authentication Protocol".)
 *
 * libsystemd has one, but the runtime is a static program where it can be, and cannot load it.
 */
#ifndef PURPLE_CGROUP_DBUS_H
#define PURPLE_CGROUP_DBUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* A connection to a bus. */
struct dbus {
	int fd; /* -1: none */
	uint32_t serial;
	const char *service; /* whose methods are called; borrowed */
	char *owner;	     /* its unique name: no other's signals count */
};

enum dbus_type {
	DBUS_CALL = 1,
	DBUS_RETURN = 2,
	DBUS_ERROR = 3,
	DBUS_SIGNAL = 4,
};

/* A message that came. Strings point into `data`. */
struct dbus_message {
	char *data;
	enum dbus_type type;
	uint32_t reply_to;
	const char *path, *interface, *member, *error, *sender, *signature; /* NULL: absent */
	const char *body;
	size_t body_len, at; /* at: how far the body was read */
};

/* --- bodies --- */

/* Values in a row; each is aligned as the protocol wants it. `out` begins at the body's start. */
void dbus_put_u8(struct buf *out, uint8_t v);
void dbus_put_u32(struct buf *out, uint32_t v);
void dbus_put_u64(struct buf *out, uint64_t v);
void dbus_put_string(struct buf *out, const char *s); /* and object paths */
void dbus_put_signature(struct buf *out, const char *s);
void dbus_align(struct buf *out, size_t to);
/* An array: what begin returned goes to end, which fills in the length. */
size_t dbus_array_begin(struct buf *out, size_t element_align);
void dbus_array_end(struct buf *out, size_t begin, size_t element_align);

/* The next value of a message's body; -EBADMSG when there is none of the kind. */
int dbus_get_u32(struct dbus_message *m, uint32_t *ret);
int dbus_get_string(struct dbus_message *m, const char **ret);
/* A variant with a string in it. */
int dbus_get_variant_string(struct dbus_message *m, const char **ret);

/* --- messages --- */

/* Checks a whole message and takes it apart; `data` is taken over (and freed on failure). Pure. */
int dbus_message_parse(char *data, size_t len, struct dbus_message *ret);
void dbus_message_clear(struct dbus_message *m);
#define _dbus_message_clear_ __attribute__((cleanup(dbus_message_clear)))

/* --- connections --- */

/* Connects to the bus whose socket is at `path`, for calls to `service`. */
int dbus_open(const char *path, const char *service, struct dbus *ret, struct err *e);
void dbus_close(struct dbus *d);

/*
 * Calls a method and waits for the answer. An error of the service's is -EREMOTEIO with its name in
 * ret->error and its text in `e`; other failures leave ret empty.
 */
int dbus_call(struct dbus *d, const char *path, const char *interface, const char *method,
	      const char *signature, const struct buf *body, struct dbus_message *ret,
	      struct err *e);

/* Waits until `deadline_ms` (monotonic) for the next signal of the service's. -ETIMEDOUT. */
int dbus_wait_signal(struct dbus *d, uint64_t deadline_ms, struct dbus_message *ret,
		     struct err *e);

#endif
