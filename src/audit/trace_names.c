/* SPDX-License-Identifier: Apache-2.0 */
/* See trace_names.h. Runs in purple-monitor, as nobody: libcap's names would take calls. */
#include "audit/trace_names.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/list.h"
#include "bpf/audit.h"

static const char *const caps[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};

void trace_names_caps(struct buf *out, uint64_t set)
{
	const char *comma = "";

	buf_adds(out, "[");
	for (unsigned int n = 0; n < 64; n++) {
		if (!(set >> n & 1))
			continue;
		if (n < ARRAY_SIZE(caps))
			buf_addf(out, "%s\"CAP_%s\"", comma, caps[n]);
		else
			buf_addf(out, "%s\"CAP_%u\"", comma, n);
		comma = ",";
	}
	buf_adds(out, "]");
}

void trace_names_namespaces(struct buf *out, uint64_t flags)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} kinds[] = {
		{ CLONE_NEWUSER, "user" },     { CLONE_NEWNS, "mount" },
		{ CLONE_NEWPID, "pid" },       { CLONE_NEWNET, "network" },
		{ CLONE_NEWIPC, "ipc" },       { CLONE_NEWUTS, "uts" },
		{ CLONE_NEWCGROUP, "cgroup" }, { 0x80 /* CLONE_NEWTIME */, "time" },
	};
	const char *comma = "";

	buf_adds(out, "[");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!(flags & kinds[i].flag))
			continue;
		buf_addf(out, "%s\"%s\"", comma, kinds[i].name);
		comma = ",";
	}
	buf_adds(out, "]");
}

void trace_names_error(struct buf *out, int number)
{
#ifdef __GLIBC__
	const char *name = strerrorname_np(number);

	if (name) {
		buf_addf(out, "\"%s\"", name);
		return;
	}
#endif
	buf_addf(out, "\"%d\"", number);
}

void trace_names_call_text(uint32_t arch, uint32_t call, char *ret, size_t size)
{
	_free_ char *name = seccomp_syscall_resolve_num_arch(arch, (int)call);

	if (call == TRACE_CALL_UNKNOWN)
		snprintf(ret, size, "unknown");
	else if (name)
		snprintf(ret, size, "%s", name);
	else
		snprintf(ret, size, "%u", call);
}

void trace_names_call(struct buf *out, uint32_t arch, uint32_t call)
{
	char name[64];

	trace_names_call_text(arch, call, name, sizeof(name));
	buf_addf(out, "\"%s\"", name);
}
