/* SPDX-License-Identifier: Apache-2.0 */
/* So many at once, and then one at a time: as bpf/network/events.h has it for events. Pure. */
#ifndef PURPLE_AUDIT_PACE_H
#define PURPLE_AUDIT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t burst, pause; /* how many at once; nanoseconds for each one more */
	uint64_t next;	       /* when the next one would come if they came evenly */
};

static inline bool pace_allows(struct pace *p, uint64_t now)
{
	uint64_t next = p->next > now ? p->next : now;

	if (next - now > (p->burst - 1) * p->pause)
		return false;
	p->next = next + p->pause;
	return true;
}

#endif
