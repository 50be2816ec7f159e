/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy's audit.detail_level may name, as sets of bits. An event may be of several. */
#ifndef PURPLE_AUDIT_LEVEL_H
#define PURPLE_AUDIT_LEVEL_H

enum audit_level {
	AUDIT_ALWAYS = 1 << 0, /* start, end, lost, died: every log takes it */
	AUDIT_RESOURCE = 1 << 1,
	AUDIT_FILESYSTEM = 1 << 2,
	AUDIT_EXEC = 1 << 3,
	AUDIT_NETWORK = 1 << 4,
	AUDIT_SYSCALL = 1 << 5,
	AUDIT_API_CALLS = 1 << 6,
	AUDIT_BUDGET_USAGE = 1 << 7,
	AUDIT_SECURITY = 1 << 8,
	AUDIT_LEVELS_ALL = (1 << 9) - 1,
};

#endif
