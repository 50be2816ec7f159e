/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the programs of audit.bpf.c and src/audit share: keys and values of their maps, and the
 * events. Numbers are in host byte order, addresses in network byte order. No pointers, no padding
 * that is not named.
 *
 * One set of programs holds for all containers. Which container a process belongs to is told by
 * the ids of its cgroup and of those above it, in `groups`; of containers in containers the
 * innermost that is traced gets the event. struct trace_group.key then finds the container's own
 * maps, as in network_filter.h.
 */
#ifndef PURPLE_BPF_AUDIT_H
#define PURPLE_BPF_AUDIT_H

#include <linux/types.h>

/*
 * The rings. None wakes its reader at each event: see struct trace_stats.waiting. Starts and ends
 * of programs may fill the urgent one; privileges and mounts are lost when three quarters of it are
 * full, what else is urgent when half of it is, so that no flood of that hides them. From half on
 * programs are told without their arguments (TRACE_CUT), so that no flood of these hides the others
 * soon; a longer one does, and what was lost is counted.
 */
#define TRACE_URGENT_SIZE (1 << 20)
#define TRACE_BULK_SIZE (4 << 20)
/* Containers at a time, and how deep their groups may lie below the root of cgroup2. */
#define TRACE_GROUPS_MAX 4096
#define TRACE_LEVEL_MAX 63

/* What a container wants to have told: struct trace_group.wants. */
#define TRACE_PROCESSES 1u /* TRACE_FORK, TRACE_EXEC, TRACE_EXIT */
#define TRACE_FILES 2u	   /* TRACE_OPEN, TRACE_REMOVE, TRACE_RENAME, TRACE_CHANGE */
#define TRACE_NETWORK 4u   /* TRACE_CONNECT, TRACE_BIND */
/* TRACE_DENIED; files, as far as they were refused; threads that seccomp kills: TRACE_EXIT */
#define TRACE_DENIALS 8u
#define TRACE_PRIVILEGES \
	16u /* TRACE_PRIVILEGE, TRACE_MOUNT; and TRACE_EXEC that raises them */
#define TRACE_COUNTS 32u /* all system calls of each process, in `counts`; no events */

enum trace_type {
	TRACE_EXEC,	 /* struct trace_exec; urgent */
	TRACE_EXIT,	 /* struct trace_exit; urgent */
	TRACE_FORK,	 /* struct trace_head alone: of the child; urgent */
	TRACE_DENIED,	 /* struct trace_denied; urgent */
	TRACE_PRIVILEGE, /* struct trace_privilege; urgent */
	TRACE_MOUNT,	 /* struct trace_file, of what TRACE_PRIVILEGES is for; urgent */
	TRACE_OPEN,	 /* struct trace_file; bulk, as the rest */
	TRACE_REMOVE,	 /* struct trace_file */
	TRACE_RENAME,	 /* struct trace_file */
	TRACE_CHANGE,	 /* struct trace_file */
	TRACE_CONNECT,	 /* struct trace_socket */
	TRACE_BIND,	 /* struct trace_socket */
	TRACE_TYPES,
};

/* Flags of events. */
#define TRACE_CUT \
	1u /* a text is longer than what is here; of a path its beginning is missing */
/* The path does not lead to the root of the process: memfd, detached mounts, other namespaces. */
#define TRACE_OUTSIDE 2u
#define TRACE_DELETED 4u /* the file (of TRACE_EXEC, TRACE_OPEN) has no name any more */
#define TRACE_UNREAD 8u	 /* a text could not be read from the process's memory */
#define TRACE_RESOLVED \
	16u /* TRACE_OPEN: the path is the kernel's own, not what the process said */
#define TRACE_RAISED 32u   /* TRACE_EXEC: set-uid, set-gid, or capabilities of the file */
#define TRACE_THREAD 64u   /* TRACE_EXIT: of a thread alone, which seccomp killed */
#define TRACE_CREATED 128u /* TRACE_OPEN: it was not there before */
/*
 * Of the runtime itself, which sets the container up, or a process that joins it: it runs from the
 * runtime's file, has not executed another program since it was forked, and nobody else in the
 * container has.
 */
#define TRACE_SETUP 256u

/*
 * Ids are the host's, also of users; `*_inside`: as seen in the container's pid namespace, 0:
 * not there. Process ids are those of its first thread. A process is told for certain by `pid` and
 * `started`.
 */
struct trace_head {
	__u32 size; /* of the whole, texts included */
	__u16 type; /* enum trace_type */
	__u16 flags;
	__u64 number;  /* of its ring, from 0; a gap: lost. Not quite ascending */
	__u64 time;    /* CLOCK_BOOTTIME, nanoseconds */
	__u64 started; /* likewise: the process */
	__u64 cgroup;  /* id of its group: the container's or one below it */
	__u32 pid, thread, parent;
	__u32 pid_inside, parent_inside;
	__u32 uid, euid, gid, egid;
	__u32 reserved;
	char comm[16];
};

/*
 * Texts stand one after the other behind the struct, of the lengths that it says, without NULs
 * between or after them (but in the arguments: one after each). Bytes are as the process chose them.
 */
#define TRACE_TEXT_MAX 4096 /* of one */

enum trace_exec_text {
	TRACE_EXECUTABLE, /* path, as the process sees it; of a script: the interpreter's */
	TRACE_CALLED,	  /* as execve() was asked */
	TRACE_ARGUMENTS, /* with a NUL after each, as far as it is not cut */
	TRACE_EXEC_TEXTS,
};
struct trace_exec {
	struct trace_head head;
	__u64 effective, permitted; /* capabilities, afterwards */
	__u32 arguments;	    /* how many */
	__u16 lengths[TRACE_EXEC_TEXTS];
	__u16 reserved[3];
};

struct trace_exit {
	struct trace_head head;
	__u32 code;   /* of exit() */
	__u32 signal; /* that ended it; 0: none */
	/* With SIGSYS: the call that seccomp killed it for; else TRACE_NO_CALL. */
	__u32 call, arch;
	__u64 user_ns, system_ns; /* processor time of the process */
};
#define TRACE_NO_CALL 0xffffffffu

/* Who refused a call. */
enum trace_denier {
	TRACE_BY_KERNEL, /* not seccomp: capabilities, modes of files, Landlock, the network filter */
	TRACE_BY_SECCOMP, /* the profile denies this call whatever its arguments are */
	/* the profile denies it by its arguments, or the call is of another ABI, or unknown */
	TRACE_BY_EITHER,
};
/*
 * A call that gave EPERM or EACCES, or any error where the profile denies it. Calls whose failures
 * other events tell (files, connect()) are here for seccomp alone. Alike ones (process, call,
 * error) are told once a second; those of numbers that no kernel has are alike.
 */
struct trace_denied {
	struct trace_head head;
	__u64 arguments[6];
	__u32 call;   /* number, or TRACE_CALL_UNKNOWN */
	__u32 arch;   /* AUDIT_ARCH_... of the number */
	__u32 error;  /* positive errno */
	__u32 denier; /* enum trace_denier */
	__u64 count;  /* 1 and how many alike ones had no event since the last one */
};

/*
 * A call of these that was done: set*id(), setgroups(), capset(), unshare(), setns(), clone(),
 * ptrace() and its like, bpf(), calls for modules, other kernels (kexec) and mounts that have no path.
 */
struct trace_privilege {
	struct trace_head head; /* of afterwards */
	__u64 arguments[6];
	__u32 call, arch;
	__u64 effective, permitted; /* capabilities, afterwards */
	__u64 namespaces; /* CLONE_NEW... that unshare(), setns() or clone() was asked for */
	__u64 count; /* as in struct trace_denied; alike: process, call and first argument */
};

/* What TRACE_CHANGE changes. */
enum trace_change {
	TRACE_NO_CHANGE,
	TRACE_LINK,    /* a second name: TRACE_NEW_PATH */
	TRACE_SYMLINK, /* TRACE_NEW_PATH: its text, as it is */
	TRACE_TRUNCATE,
	TRACE_MKDIR,	   /* `mode` */
	TRACE_MKNOD,	   /* likewise: type and mode */
	TRACE_CHMOD,	   /* likewise */
	TRACE_CHOWN,	   /* `owner` */
	TRACE_SETXATTR,	   /* TRACE_NEW_PATH: the name of the attribute, as it is */
	TRACE_REMOVEXATTR, /* likewise */
	/* Unix sockets; TRACE_NEW_PATH, and no path: the name of an abstract one, without its NUL. */
	TRACE_UNIX_CONNECT,
	TRACE_UNIX_BIND,
	TRACE_CHANGES,
};

/*
 * A path that the process said stands in TRACE_PATH; where it is relative, TRACE_BASE is the folder
 * it starts from. What the kernel resolved (TRACE_RESOLVED) is TRACE_PATH alone.
 */
enum trace_file_text {
	TRACE_BASE,
	TRACE_PATH,
	TRACE_NEW_BASE, /* of TRACE_RENAME, TRACE_MOUNT, TRACE_LINK */
	TRACE_NEW_PATH,
	TRACE_FILE_TEXTS,
};
struct trace_file {
	struct trace_head head;
	__u32 call, arch;
	__s32 result; /* 0 (of an open too), or -errno */
	union {
		__u32 open_flags; /* O_... of TRACE_OPEN */
		__u32 owner; /* of TRACE_CHOWN, as the process numbers users; ~0: as it was */
	};
	union {
		__u32 mode; /* type and mode of the file that was opened; 0: unknown */
		__u32 owner_group; /* of TRACE_CHOWN */
	};
	__u16 lengths[TRACE_FILE_TEXTS];
	__u32 change; /* enum trace_change */
};

enum trace_verdict {
	TRACE_VERDICT_UNKNOWN, /* of kernels before 5.18 */
	TRACE_VERDICT_ALLOWED, /* by the filter; whether the other end answers is not known here */
	TRACE_VERDICT_DENIED,
};
enum trace_socket_call {
	TRACE_CALL_CONNECT,
	TRACE_CALL_SEND, /* sendto() and the like: the first one of each process to each address */
	TRACE_CALL_BIND,
};
struct trace_socket {
	struct trace_head head;
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u8 family, verdict;
	__u16 protocol; /* IPPROTO_... */
	__u8 call, reserved;
};

/*
 * Map `stats` of a container, one element, to be mapped into memory. Of each type: all of `seen` is
 * in `sent` (an event in a ring), in `lost` (the ring was full), or in `merged` (told by the count
 * of a later event). More than one processor writes; `seen` is counted first.
 */
struct trace_stats {
	__u64 seen[TRACE_TYPES], sent[TRACE_TYPES], lost[TRACE_TYPES], merged[TRACE_TYPES];
	__u64 uncounted;  /* calls that had no place in `counts` */
	__u64 numbers[2]; /* the next one of the urgent ring, of the bulk ring */
	/*
	 * Of either ring. The reader sets it to 1 before it goes to sleep on the ring, looks once
	 * more whether that is empty, and sleeps; the next event sets it to 0 and wakes it. While it
	 * is 0 nothing wakes the reader but each eighth of the ring that fills: it looks every 50 ms.
	 */
	__u32 waiting[2];
};

/*
 * Map `counts` of a container, TRACE_COUNTS_MAX elements, to be mapped into memory. A call of a
 * process may stand in more than one element: they are to be added. The reader sets `what` to 0
 * in those of processes that have ended. What sets the container up is not counted.
 */
#define TRACE_COUNTS_MAX 16384
struct trace_count {
	__u64 what; /* TRACE_COUNT_OF(pid, call); 0: free */
	__u64 calls, failed;
};
#define TRACE_COUNT_FOREIGN 0x80000000u /* or'ed to the number of a call of 32 bits */
#define TRACE_COUNT_OF(pid, call) ((__u64)(pid) << 32 | (__u32)((call) + 1))

/* The rings' key in the map of maps is that of the group, or'ed with this for the bulk one. */
#define TRACE_KEY_BULK 1ull

/* Calls that the seccomp profile denies, a bit each. */
#define TRACE_CALLS 512
/* Any number beyond them, which no kernel has (with or without the bit of x32). */
#define TRACE_CALL_UNKNOWN 0x3fffffffu
struct trace_calls {
	__u64 bits[TRACE_CALLS / 64];
};

/* Value of `groups`, by the id of a container's group. */
struct trace_group {
	__u64 key; /* even, not 0 */
	__u32 wants;
	__u32 level; /* of the group below the root of cgroup2 */
	__u32 pid_level; /* of the container's pid namespace below the host's; TRACE_INNERMOST */
	__u32 device; /* of the runtime's file, as the kernel has it; with `inode` */
	__u64 inode;
	struct trace_calls denied;	/* whatever the arguments are */
	struct trace_calls denied_some; /* with some arguments */
	__u32 is_set_up;		/* the kernel's: a program was executed in it */
	__u32 reserved;
};
#define TRACE_INNERMOST 0xffffffffu /* the one that the process is in */

/* The one element of `self`: what trace_look() has seen of the process that ran it. */
struct trace_self {
	__u64 inode; /* of its file */
	__u32 device;
	__u32 level; /* of its group below the root of cgroup2 */
};

/* The one element of `control`: what all that is in `groups` comes to. */
struct trace_control {
	__u32 wants;
	__u8 levels[TRACE_LEVEL_MAX + 1]; /* at which there are containers, deepest first; ends with 0 */
};

#endif
