/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-network-load: loads the network filter into the kernel, once per boot, with libbpf, which
 * the runtime itself does without. Started by the runtime (network/filter.c), in the foreground
 * when the filter is not there and in the background to tidy up behind containers. Takes no
 * arguments and changes nothing else.
 */
#include <stdio.h>

#include "base/err.h"
#include "network/load.h"

int main(void)
{
	struct err e;

	if (network_load(&e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return 0;
}
