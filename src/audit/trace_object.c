/* SPDX-License-Identifier: Apache-2.0 */
/* See trace_object.h. The path is that of the build. */
#include "audit/trace_object.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	".global trace_object, trace_object_end\n"
	"trace_object:\n"
	".incbin \"" TRACE_OBJECT "\"\n"
	"trace_object_end:\n"
	".byte 0\n"
	".previous\n");
