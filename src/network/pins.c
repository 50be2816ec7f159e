/* SPDX-License-Identifier: Apache-2.0 */
/* See pins.h. */
#include "network/pins.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "bpf/network_filter_hash.h"

const char *const network_map_names[NETWORK_MAPS] = {
	[NETWORK_MAP_TRIES4] = "tries4",       [NETWORK_MAP_TRIES6] = "tries6",
	[NETWORK_MAP_RANGES] = "ranges",       [NETWORK_MAP_NAMES] = "names",
	[NETWORK_MAP_TLS_NAMES] = "tls_names", [NETWORK_MAP_HITS] = "hits",
	[NETWORK_MAP_RINGS] = "rings",
};

const struct kbpf_map_shape network_map_shapes[NETWORK_MAPS] = {
	[NETWORK_MAP_TRIES4] = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct network_prefix4),
				 sizeof(struct network_entry), NETWORK_PREFIXES_MAX,
				 BPF_F_NO_PREALLOC },
	[NETWORK_MAP_TRIES6] = { BPF_MAP_TYPE_LPM_TRIE, sizeof(struct network_prefix6),
				 sizeof(struct network_entry), NETWORK_PREFIXES_MAX,
				 BPF_F_NO_PREALLOC },
	[NETWORK_MAP_RANGES] = { BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
				 sizeof(struct network_range), NETWORK_SPARE_RANGES,
				 BPF_F_INNER_MAP },
	[NETWORK_MAP_NAMES] = { BPF_MAP_TYPE_HASH, sizeof(struct network_address),
				sizeof(struct network_name), NETWORK_NAMES_MAX,
				BPF_F_NO_PREALLOC },
	[NETWORK_MAP_TLS_NAMES] = { BPF_MAP_TYPE_LPM_TRIE,
				    sizeof(struct network_tls_name), sizeof(uint32_t),
				    NETWORK_PREFIXES_MAX, BPF_F_NO_PREALLOC },
	[NETWORK_MAP_HITS] = { BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
			       sizeof(struct network_hits), NETWORK_SPARE_HITS,
			       BPF_F_INNER_MAP },
	[NETWORK_MAP_RINGS] = { BPF_MAP_TYPE_RINGBUF, 0, 0, NETWORK_RING_SIZE, 0 },
};

const struct network_hook_point network_hooks[NETWORK_HOOKS] = {
	{ "network_out", BPF_CGROUP_INET_EGRESS },
	{ "network_in", BPF_CGROUP_INET_INGRESS },
	{ "network_socket", BPF_CGROUP_INET_SOCK_CREATE },
	{ "network_connect4", BPF_CGROUP_INET4_CONNECT },
	{ "network_connect6", BPF_CGROUP_INET6_CONNECT },
	{ "network_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "network_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "network_recvmsg4", BPF_CGROUP_UDP4_RECVMSG },
	{ "network_recvmsg6", BPF_CGROUP_UDP6_RECVMSG },
	{ "network_peername4", BPF_CGROUP_INET4_GETPEERNAME },
	{ "network_peername6", BPF_CGROUP_INET6_GETPEERNAME },
	{ "network_bind4", BPF_CGROUP_INET4_BIND },
	{ "network_bind6", BPF_CGROUP_INET6_BIND },
	{ "network_option", BPF_CGROUP_SETSOCKOPT },
};

const char *network_pins_own(void)
{
	return NETWORK_PINS "/" NETWORK_FILTER_HASH;
}

int network_pins_check(struct err *e)
{
	struct statfs fs;

	if (statfs(NETWORK_BPFFS, &fs) < 0)
		return err_sys(e, "the network filter needs '" NETWORK_BPFFS "'");
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the network filter needs the BPF file system (mount -t bpf bpf " NETWORK_BPFFS
			       ")");
	return 0;
}

bool network_pins_escape(const char *name, char *ret, size_t size)
{
	size_t n = strlen(name);

	if (n == 0 || n >= size || strchr(name, '/') || strchr(name, '='))
		return false;
	for (size_t i = 0; i <= n; i++)
		ret[i] = name[i] == '.' ? '=' : name[i];
	return true;
}

int network_maps_make(int fds[NETWORK_MAPS], struct err *e)
{
	for (int i = 0; i < NETWORK_MAPS; i++)
		fds[i] = -1;
	for (int i = 0; i < NETWORK_MAPS; i++) {
		fds[i] = kbpf_map_create(&network_map_shapes[i], network_map_names[i]);
		if (fds[i] < 0) {
			int r = fds[i];

			for (int j = 0; j <= i; j++)
				fd_close(&fds[j]);
			return err_errno(e, r, "network filter: cannot make the map '%s'",
					 network_map_names[i]);
		}
	}
	return 0;
}
