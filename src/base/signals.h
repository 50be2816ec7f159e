/* SPDX-License-Identifier: Apache-2.0 */
/* Signal state of a process that is about to become another program. */
#ifndef PURPLE_BASE_SIGNALS_H
#define PURPLE_BASE_SIGNALS_H

/* Default dispositions for every signal, those that libc keeps for itself included, and an empty
 * mask: both survive an exec. Async-signal-safe. */
void signals_reset(void);

#endif
