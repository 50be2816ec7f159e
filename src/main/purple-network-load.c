/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-network-load: loads BPF programs into the kernel, once per boot, with libbpf, which the
 * runtime itself does without: the network filter, or with the argument "trace" the programs that
 * tell what containers do. Started by the runtime (network/loader.c), in the foreground when they
 * are not there and in the background to tidy up behind containers. Changes nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "audit/trace_load.h"
#include "base/err.h"
#include "network/load.h"
#include "network/loader.h"

int main(int argc, char **argv)
{
	struct err e;
	int r;

	if (argc > 1 && strcmp(argv[1], LOADER_TRACE) == 0)
		r = trace_load(&e);
	else
		r = network_load(&e);
	if (r < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return 0;
}
