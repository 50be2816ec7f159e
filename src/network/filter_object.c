/* SPDX-License-Identifier: Apache-2.0 */
/* See filter_object.h. The path is that of the build. */
#include "network/filter_object.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	".global network_filter_object, network_filter_object_end\n"
	"network_filter_object:\n"
	".incbin \"" NETWORK_FILTER_OBJECT "\"\n"
	"network_filter_object_end:\n"
	".byte 0\n"
	".previous\n");
