/* SPDX-License-Identifier: Apache-2.0 */
/* See arg_width.h. From the SYSCALL_DEFINE lines of Linux 6.12 (and the man pages). */
#include "policy/arg_width.h"

#include <stddef.h>
#include <string.h>

#define A(n) (1u << (n))

/* Calls whose wide arguments a rule can sensibly speak of; bit n is argument n. */
static const struct {
	const char *name;
	uint8_t wide;
} calls[] = {
	{ "add_key", A(0) | A(1) | A(2) | A(3) },
	{ "arch_prctl", A(1) },
	{ "bpf", A(1) },
	{ "brk", A(0) },
	{ "clone", A(1) | A(2) | A(3) | A(4) },
	{ "clone3", A(0) | A(1) },
	{ "copy_file_range", A(1) | A(3) | A(4) },
	{ "execve", A(0) | A(1) | A(2) },
	{ "execveat", A(1) | A(2) | A(3) },
	{ "fadvise64", A(1) | A(2) },
	{ "fallocate", A(2) | A(3) },
	{ "fcntl", A(2) },
	{ "ftruncate", A(1) },
	{ "futex", A(0) | A(3) | A(4) },
	{ "getrandom", A(0) | A(1) },
	{ "init_module", A(0) | A(1) | A(2) },
	{ "ioctl", A(2) },
	{ "io_submit", A(0) | A(1) | A(2) },
	{ "kexec_load", A(0) | A(1) | A(2) | A(3) },
	{ "keyctl", A(1) | A(2) | A(3) | A(4) },
	{ "lseek", A(1) },
	{ "madvise", A(0) | A(1) },
	{ "mbind", A(0) | A(1) | A(2) | A(3) | A(4) },
	{ "memfd_create", A(0) },
	{ "mlock", A(0) | A(1) },
	{ "mlock2", A(0) | A(1) },
	{ "mmap", A(0) | A(1) | A(2) | A(3) | A(5) },
	{ "mount", A(0) | A(1) | A(2) | A(3) | A(4) },
	{ "move_pages", A(1) | A(2) | A(3) | A(4) },
	{ "mprotect", A(0) | A(1) | A(2) },
	{ "mremap", A(0) | A(1) | A(2) | A(3) | A(4) },
	{ "msync", A(0) | A(1) },
	{ "munlock", A(0) | A(1) },
	{ "munmap", A(0) | A(1) },
	{ "pkey_alloc", A(0) | A(1) },
	{ "pkey_mprotect", A(0) | A(1) | A(2) },
	{ "prctl", A(1) | A(2) | A(3) | A(4) },
	{ "pread64", A(1) | A(2) | A(3) },
	{ "preadv", A(1) | A(2) | A(3) | A(4) },
	{ "process_vm_readv", A(1) | A(2) | A(3) | A(4) | A(5) },
	{ "process_vm_writev", A(1) | A(2) | A(3) | A(4) | A(5) },
	{ "ptrace", A(0) | A(1) | A(2) | A(3) },
	{ "pwrite64", A(1) | A(2) | A(3) },
	{ "pwritev", A(1) | A(2) | A(3) | A(4) },
	{ "quotactl", A(1) | A(3) },
	{ "read", A(1) | A(2) },
	{ "readahead", A(1) | A(2) },
	{ "readv", A(1) | A(2) },
	{ "reboot", A(3) },
	{ "recvfrom", A(1) | A(2) | A(4) | A(5) },
	{ "remap_file_pages", A(0) | A(1) | A(2) | A(3) | A(4) },
	{ "semctl", A(3) },
	{ "sendfile", A(2) | A(3) },
	{ "sendto", A(1) | A(2) | A(4) },
	{ "set_mempolicy", A(1) | A(2) },
	{ "shmat", A(1) },
	{ "shmget", A(1) },
	{ "splice", A(1) | A(3) | A(4) },
	{ "sync_file_range", A(1) | A(2) },
	{ "tee", A(2) },
	{ "truncate", A(0) | A(1) },
	{ "unshare", A(0) },
	{ "vmsplice", A(1) | A(2) },
	{ "write", A(1) | A(2) },
	{ "writev", A(1) | A(2) },
};

bool syscall_arg_is_wide(const char *name, uint32_t arg)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].wide & A(arg);
	return false;
}
