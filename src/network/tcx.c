/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See tcx.h. Runs in the runtime, with CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN) in the host's
 * user namespace, in the network namespace of the devices.
 */
#include "network/tcx.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "network/bpf.h"

/* Newer than some headers. */
#define TCX_INGRESS 46
#define BEFORE (1u << 3) /* with nothing said of before whom: of all */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Programs where the device receives. -EOPNOTSUPP: there is no such place. */
static int list(int device, uint32_t ids[static KBPF_ATTACHED_MAX])
{
	int n = kbpf_query(device, TCX_INGRESS, ids);

	if (n == -ENOENT)
		return 0;
	return n == -EINVAL ? -EOPNOTSUPP : n;
}

static int id_of(int program, uint32_t *ret)
{
	struct bpf_prog_info info;
	int r = kbpf_info(program, &info, sizeof(info));

	*ret = info.id;
	return r;
}

int network_tcx_has(int device, int program)
{
	uint32_t ids[KBPF_ATTACHED_MAX], id;
	int n = list(device, ids), r = id_of(program, &id);

	for (int i = 0; r == 0 && i < n; i++)
		if (ids[i] == id)
			return 1;
	if (r < 0)
		return r;
	return n < 0 && n != -EOPNOTSUPP ? n : 0;
}

static int remove_one(int device, uint32_t id)
{
	_close_ int program = kbpf_get_program(id);
	struct bpf_prog_info info;
	int r;

	/* Gone since it was listed. */
	if (program == -ENOENT)
		return 0;
	r = program < 0 ? program : kbpf_info(program, &info, sizeof(info));
	if (r < 0 || strcmp(info.name, NETWORK_TCX_PROGRAM) != 0)
		return r;
	r = kbpf_detach(program, device, TCX_INGRESS);
	return r == -ENOENT ? 0 : r;
}

int network_tcx_remove(int device, int keep)
{
	uint32_t ids[KBPF_ATTACHED_MAX], kept = 0;
	int n = list(device, ids), r = keep < 0 ? 0 : id_of(keep, &kept);

	for (int i = 0; r == 0 && i < n; i++)
		if (ids[i] != kept)
			r = remove_one(device, ids[i]);
	if (r < 0)
		return r;
	return n < 0 && n != -EOPNOTSUPP ? n : 0;
}

int network_tcx_attach(int device, int program)
{
	int r = network_tcx_has(device, program);

	if (r == 0)
		r = kbpf_attach(program, device, TCX_INGRESS, BEFORE);
	if (r == -EINVAL)
		return 0;
	if (r < 0)
		return r;
	r = network_tcx_remove(device, program);
	return r < 0 ? r : 1;
}

unsigned long long network_tcx_namespace(int sock)
{
	unsigned long long cookie = 0;
	socklen_t size = sizeof(cookie);

	if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		return 0;
	return cookie;
}
