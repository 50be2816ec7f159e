/* SPDX-License-Identifier: Apache-2.0 */
/* From files that were opened to the paths that a policy names. Private to src/policy. Pure. */
#ifndef PURPLE_POLICY_LEARN_PATHS_H
#define PURPLE_POLICY_LEARN_PATHS_H

#include <stdbool.h>

#include "base/str.h"

/*
 * Adds the fewest paths at or below `dir` that stand for all of `opened` there: files of one
 * directory become the directory where they are more than a few, and so on upwards; `dir` itself
 * where it was opened, or where it would be many paths. Nothing was opened there: nothing.
 */
int paths_generalize(const char *dir, const struct strv *opened, struct strv *ret);

#endif
