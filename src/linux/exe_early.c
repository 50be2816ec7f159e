/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry point of a statically linked purple-runtime: what exe_protect() does, done before the C
 * library starts. Starting it costs more than all of this (it asks the processor for its features,
 * which under a hypervisor takes more than half a millisecond), and would be paid twice otherwise.
 * Runs in the runtime with the caller's privileges. Whatever does not succeed is left to
 * exe_protect(), which has other ways and says what went wrong.
 *
 * Nothing of the C library may be used here, neither a function nor the thread's storage, and
 * nothing that needs a relocation: see the test "the early entry point stands alone".
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#undef ST_RDONLY
#define ST_RDONLY 1 /* as fstatfs() gives it; the C library has it for fstatvfs() alone */
/* Its canary is in the thread's storage. */
#define BARE __attribute__((no_stack_protector))

/* argc, argv, NULL, environment, NULL: as the kernel leaves them on the stack. */
void purple_early(long *stack);

#if defined(__x86_64__)
__asm__(".text\n"
	".globl purple_entry\n"
	".type purple_entry, @function\n"
	"purple_entry:\n"
	"	endbr64\n"
	"	mov %rsp, %rdi\n"
	"	push %rdx\n"
	"	sub $8, %rsp\n"
	"	call purple_early\n"
	"	add $8, %rsp\n"
	"	pop %rdx\n"
	"	jmp _start\n"
	".size purple_entry, .-purple_entry\n");

static BARE long call5(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl purple_entry\n"
	".type purple_entry, %function\n"
	"purple_entry:\n"
	"	mov x19, x0\n"
	"	mov x0, sp\n"
	"	bl purple_early\n"
	"	mov x0, x19\n"
	"	b _start\n"
	".size purple_entry, .-purple_entry\n");

static BARE long call5(long nr, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
			 x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}
#else
#error "no entry point for this processor: configure with --disable-static-runtime"
#endif

static BARE bool is_word(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* The commands that bring a process into a container. A container may have such a name: then this
 * is done for nothing. */
static BARE bool enters_container(char **argv)
{
	for (; *argv; argv++)
		if (is_word(*argv, "create") || is_word(*argv, "run") ||
		    is_word(*argv, "exec"))
			return true;
	return false;
}

static BARE bool is_read_only(long fd)
{
	struct statfs st;

	return call5(SYS_fstatfs, fd, (long)&st, 0, 0, 0) == 0 && (st.f_flags & ST_RDONLY);
}

static BARE bool is_protected(void)
{
	long fd = call5(SYS_openat, AT_FDCWD, (long)"/proc/self/exe",
			O_RDONLY | O_CLOEXEC, 0, 0);
	bool yes;

	if (fd < 0)
		return true; /* exe_protect() says so */
	yes = is_read_only(fd);
	call5(SYS_close, fd, 0, 0, 0, 0);
	return yes;
}

BARE void purple_early(long *stack)
{
	struct mount_attr attr;
	char **argv = (char **)(stack + 1), **env = argv + stack[0] + 1;
	long fd;

	attr.attr_set = MOUNT_ATTR_RDONLY;
	attr.attr_clr = 0;
	attr.propagation = MS_PRIVATE;
	attr.userns_fd = 0;
	if (!enters_container(argv) || is_protected())
		return;
	fd = call5(SYS_open_tree, AT_FDCWD, (long)"/proc/self/exe",
		   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
	if (fd < 0)
		return;
	if (call5(SYS_mount_setattr, fd, (long)"", AT_EMPTY_PATH, (long)&attr,
		  sizeof(attr)) == 0 &&
	    is_read_only(fd))
		call5(SYS_execveat, fd, (long)"", (long)argv, (long)env, AT_EMPTY_PATH);
	call5(SYS_close, fd, 0, 0, 0, 0);
}
