/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of a container's rules: see filter.h. What the programs remember of targets that rules
 * have allowed (`allowed`, struct network_allowed) counts by itself, for all containers.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/str.h"
#include "network/filter.h"

#define READ_TRIES 8

int network_filter_hits(const struct network_filter *f, uint32_t rule,
			struct network_hits *ret)
{
	uint32_t index = NETWORK_HITS_INDEX(rule, f->config.rules);

	return kbpf_map_lookup(f->maps[NETWORK_MAP_HITS], &index, ret);
}

/* One target, as its processor has it, which writes meanwhile; false: it is of another key. */
static bool read_allowed(const volatile struct network_allowed *a, uint64_t key,
			 uint32_t *ret_index, uint64_t *ret_hits)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t turn = __atomic_load_n(&a->turn, __ATOMIC_ACQUIRE);
		bool is_ours = a->key == key;

		*ret_index = a->index;
		*ret_hits = a->hits;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(turn & 1) && a->turn == turn)
			return is_ours;
	}
	return false;
}

static int add_allowed(const struct network_filter *f, struct network_hits *hits,
		       size_t n, struct err *e)
{
	_free_ char *path = str_printf("%s/allowed", network_pins_own());
	_close_ int map = path ? kbpf_get(path) : -ENOMEM;
	struct bpf_map_info info;
	int r = map < 0 ? map : kbpf_info(map, &info, sizeof(info));
	struct network_allowed *all;

	if (r < 0)
		return err_errno(e, r, "network filter: cannot open 'allowed'");
	all = mmap(NULL, info.max_entries * sizeof(*all), PROT_READ, MAP_SHARED, map, 0);
	if (all == MAP_FAILED)
		return err_sys(e, "network filter: cannot map 'allowed'");
	for (uint32_t i = 0; i < info.max_entries; i++) {
		uint64_t count;
		uint32_t index;

		if (read_allowed(&all[i], f->config.key, &index, &count) && index < n)
			hits[index].allowed += count;
	}
	munmap(all, info.max_entries * sizeof(*all));
	return 0;
}

int network_filter_hits_all(const struct network_filter *f, struct network_hits **ret,
			    struct err *e)
{
	uint32_t n = f->config.rules + NETWORK_RULES_SPECIAL;
	_free_ struct network_hits *hits = calloc(n, sizeof(*hits));
	int r = 0;

	if (!hits)
		return err_oom(e);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = kbpf_map_lookup(f->maps[NETWORK_MAP_HITS], &i, &hits[i]);
	if (r < 0)
		return err_errno(e, r, "cannot read the counts of the rules");
	r = add_allowed(f, hits, n, e);
	if (r < 0)
		return r;
	*ret = hits;
	hits = NULL;
	return 0;
}
