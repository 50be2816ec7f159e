/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the configuration check share; only check*.c include it. */
#ifndef PURPLE_OCI_CHECK_H
#define PURPLE_OCI_CHECK_H

#include <errno.h>

#include "oci/spec.h"

/* A fault of the document; the text starts with the member's path. */
#define check_fault(e, ...) err_set((e), ERR_CONFIG, EINVAL, __VA_ARGS__)
/* Something valid that this version does not carry out. */
#define check_unsupported(e, ...) err_set((e), ERR_UNSUPPORTED, ENOTSUP, __VA_ARGS__)

/* `word` is one of the NULL-terminated list. */
bool check_is_one_of(const char *word, const char *const *list);

/* Sizes, ranges and overlaps of one list of id mappings; `path` names it. */
int check_id_mappings(const oci_id_mappings *m, const char *path, struct err *e);

/* The `linux` section, with what it demands of the rest. */
int check_linux(const struct oci_spec *s, struct err *e);

#endif
