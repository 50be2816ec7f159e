/* SPDX-License-Identifier: Apache-2.0 */
/* The mount option tmpcopyup: a tmpfs that starts with what the directory below it holds. */
#ifndef PURPLE_LINUX_TMPCOPYUP_H
#define PURPLE_LINUX_TMPCOPYUP_H

#include "base/err.h"

/* Copies the content of directory `from_fd`, and that directory's own owner, mode and extended
 * attributes, to `to_fd`. Both may be O_PATH. Other mounts below `from_fd` are not entered. */
int tmpcopyup_copy(int from_fd, int to_fd, struct err *e);

#endif
