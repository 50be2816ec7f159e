/* SPDX-License-Identifier: Apache-2.0 */
/* Has the kernel check and load BPF programs, and pins them: parts of purple-network-load. */
#ifndef PURPLE_NETWORK_OBJECT_H
#define PURPLE_NETWORK_OBJECT_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/err.h"

struct object {
	const char *name; /* that the kernel shows */
	const char *what; /* in messages: "the programs of ..." */
	const char *begin, *end;
	const char *per_cpu; /* a map that has its entries for each processor; NULL: none */
};

/* ERR_UNSUPPORTED, with the verifier's last words, where the kernel refuses them. */
int object_load(const struct object *o, struct bpf_object **ret, struct err *e);

/* All programs and maps, by their names, in `folder`. */
int object_pin_all(struct bpf_object *object, const char *folder, struct err *e);

/* A folder that nobody else may write to; one that is there is looked at. */
int object_make_folder(const char *path, struct err *e);

#endif
