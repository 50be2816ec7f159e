/* SPDX-License-Identifier: Apache-2.0 */
/* See trace_pins.h. */
#include "audit/trace_pins.h"

#include "bpf/audit.h"
#include "bpf/audit_hash.h"

const struct trace_map_point trace_maps[TRACE_MAPS] = {
	[TRACE_MAP_URGENT] = { "urgent",
			       "rings",
			       0,
			       { BPF_MAP_TYPE_RINGBUF, 0, 0, TRACE_URGENT_SIZE, 0 } },
	[TRACE_MAP_BULK] = { "bulk",
			     "rings",
			     TRACE_KEY_BULK,
			     { BPF_MAP_TYPE_RINGBUF, 0, 0, TRACE_BULK_SIZE, 0 } },
	[TRACE_MAP_STATS] = { "stats",
			      "stats",
			      0,
			      { BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
				sizeof(struct trace_stats), 1, BPF_F_MMAPABLE } },
	[TRACE_MAP_COUNTS] = { "counts",
			       "counts",
			       0,
			       { BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
				 sizeof(struct trace_count), TRACE_COUNTS_MAX,
				 BPF_F_MMAPABLE } },
};

const char *trace_pins_own(void)
{
	return TRACE_PINS "/" AUDIT_HASH;
}
