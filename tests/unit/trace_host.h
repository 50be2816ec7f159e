/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of src/audit/trace.c with the real kernel. They need root. Each test has groups of
 * cgroup2 of its own below one with a process in it, in a mount namespace with its own bpffs.
 * Children are born in a group ("the container"); what they do is read from its rings when they
 * have ended.
 */
#ifndef PURPLE_TESTS_UNIT_TRACE_HOST_H
#define PURPLE_TESTS_UNIT_TRACE_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <cmocka.h>

#include "audit/trace.h"
#include "audit/trace_load.h"
#include "audit/trace_pins.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"

struct box {
	char dir[240];
	char name[16];
	int group;
	struct trace trace;
	struct trace_stats *stats;
	struct trace_count *counts;
	struct ring_buffer *urgent, *bulk;
	LIST_OF(struct trace_head *) events;
};
#define BOX_EMPTY                                        \
	{                                                \
		.group = -1, .trace = { -1, -1, -1, -1 } \
	}

static struct {
	bool is_root;
	char top[200]; /* group with the holder */
	pid_t holder;
	struct box box, other;
} env = { .box = BOX_EMPTY, .other = BOX_EMPTY };

#define assert_ok(call)                                   \
	do {                                              \
		if ((call) < 0)                           \
			fail_msg("%s: %s", #call, e.msg); \
	} while (0)

#define needs_root()                                          \
	do {                                                  \
		if (!env.is_root) {                           \
			print_message("skipped: not root\n"); \
			skip();                               \
		}                                             \
	} while (0)

static inline const char *cgroup2_mount(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup/unified", &fs) == 0 &&
	    (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
		return "/sys/fs/cgroup/unified";
	return "/sys/fs/cgroup";
}

/* --- groups and processes --- */

static inline pid_t fork_into(int group)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (uint64_t)group };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Runs fn in a child in the group; its status. fn's result is the child's. */
static inline int run_in(int group, int (*fn)(void *arg), void *arg, pid_t *ret_pid)
{
	pid_t pid = fork_into(group);
	int status = -1;

	if (pid == 0)
		_exit(fn(arg));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (ret_pid)
		*ret_pid = pid;
	return status;
}

static inline int make_group(const char *dir)
{
	return mkdir(dir, 0755) < 0 ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The last process of a group is a moment in going. */
static inline int remove_group_of_test(const char *dir)
{
	for (int i = 0; i < 500 && rmdir(dir) < 0 && errno == EBUSY; i++)
		usleep(10000);
	return access(dir, F_OK) == 0 ? -1 : 0;
}

static inline int set_up_host(void **state)
{
	struct err e;
	int top;

	env.is_root = geteuid() == 0;
	if (!env.is_root)
		return 0;
	snprintf(env.top, sizeof(env.top), "%s/purple-test-%d", cgroup2_mount(),
		 (int)getpid());
	top = make_group(env.top);
	if (top < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0 ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0)
		return -1;
	env.holder = fork_into(top);
	close(top);
	if (env.holder == 0)
		for (;;)
			pause();
	if (trace_load(&e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	return env.holder < 0 ? -1 : 0;
}

static inline int tear_down_host(void **state)
{
	if (!env.is_root)
		return 0;
	kill(env.holder, SIGKILL);
	waitpid(env.holder, NULL, 0);
	return remove_group_of_test(env.top);
}

/* --- a container --- */

static inline int add_event(void *arg, void *data, size_t size)
{
	struct box *b = arg;
	struct trace_head **slot = list_add(&b->events);
	const struct trace_head *h = data;

	assert_non_null(slot);
	assert_true(size >= sizeof(*h));
	/* The ring rounds up; the event says what it has. */
	assert_true(h->size <= size && size < h->size + 8);
	*slot = malloc(size);
	assert_non_null(*slot);
	memcpy(*slot, data, size);
	return 0;
}

static inline void forget_events(struct box *b)
{
	for (size_t i = 0; i < b->events.n; i++)
		free(b->events.v[i]);
	free(b->events.v);
	b->events.v = NULL;
	b->events.n = 0;
}

static inline void start_box(struct box *b, const char *name,
			     const struct trace_options *options)
{
	const int shared = MAP_SHARED, both = PROT_READ | PROT_WRITE;
	struct err e;

	snprintf(b->name, sizeof(b->name), "%s", name);
	snprintf(b->dir, sizeof(b->dir), "%s/%s", env.top, name);
	b->group = make_group(b->dir);
	assert_true(b->group >= 0);
	assert_ok(trace_start(b->name, b->group, options, &b->trace, &e));
	b->stats = mmap(NULL, sizeof(*b->stats), both, shared, b->trace.stats, 0);
	b->counts = mmap(NULL, sizeof(*b->counts) * TRACE_COUNTS_MAX, both, shared,
			 b->trace.counts, 0);
	assert_true(b->stats != MAP_FAILED && b->counts != MAP_FAILED);
	b->urgent = ring_buffer__new(b->trace.urgent, add_event, b, NULL);
	b->bulk = ring_buffer__new(b->trace.bulk, add_event, b, NULL);
	assert_non_null(b->urgent);
	assert_non_null(b->bulk);
}

static inline void read_events(struct box *b)
{
	assert_true(ring_buffer__consume(b->urgent) >= 0);
	assert_true(ring_buffer__consume(b->bulk) >= 0);
}

static inline int become_true(void *arg)
{
	execl("/bin/true", "true", NULL);
	return 99;
}

/* Up to its first program all is the runtime's: children of a test run from its file. */
static inline void end_set_up(struct box *b)
{
	assert_int_equal(run_in(b->group, become_true, NULL, NULL), 0);
	read_events(b);
	forget_events(b);
	memset(b->stats, 0, sizeof(*b->stats));
	memset(b->counts, 0, sizeof(*b->counts) * TRACE_COUNTS_MAX);
}

static inline void start(uint32_t wants)
{
	const struct trace_options o = { .wants = wants, .pid_level = TRACE_INNERMOST };

	start_box(&env.box, "box.1", &o);
	end_set_up(&env.box);
}

static inline int stop_box(struct box *b)
{
	struct err e = {};
	int r = 0;

	if (b->group < 0)
		return 0;
	ring_buffer__free(b->urgent);
	ring_buffer__free(b->bulk);
	munmap(b->stats, sizeof(*b->stats));
	munmap(b->counts, sizeof(*b->counts) * TRACE_COUNTS_MAX);
	trace_clear(&b->trace);
	forget_events(b);
	if (trace_stop(b->name, &e) < 0 || trace_load(&e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		r = -1;
	}
	fd_close(&b->group);
	return remove_group_of_test(b->dir) < 0 ? -1 : r;
}

static inline int stop(void **state)
{
	int r = stop_box(&env.box);

	return stop_box(&env.other) < 0 ? -1 : r;
}

/* The first event of a type after `*at`, which then is the one after it; NULL: none. */
static inline void *next_event(struct box *b, enum trace_type type, size_t *at)
{
	for (; *at < b->events.n; (*at)++)
		if (b->events.v[*at]->type == type)
			return b->events.v[(*at)++];
	return NULL;
}

static inline void *only_event(struct box *b, enum trace_type type)
{
	size_t at = 0;
	void *first = next_event(b, type, &at);

	assert_non_null(first);
	assert_null(next_event(b, type, &at));
	return first;
}

/* The `which`th text of an event, for free() by nobody: the next one overwrites it. */
static inline const char *text_of(const void *event, size_t size, const uint16_t *lengths,
				  size_t which)
{
	static char texts[4][TRACE_TEXT_MAX + 1];
	const char *at = (const char *)event + size;

	for (size_t i = 0; i < which; i++)
		at += lengths[i];
	memcpy(texts[which], at, lengths[which]);
	texts[which][lengths[which]] = '\0';
	return texts[which];
}
#define TEXT(event, which) text_of((event), sizeof(*(event)), (event)->lengths, (which))

/* What all rings hold at any time. */
static inline void assert_all_is_counted(const struct trace_stats *s)
{
	for (size_t i = 0; i < TRACE_TYPES; i++)
		assert_int_equal(s->seen[i], s->sent[i] + s->lost[i] + s->merged[i]);
}

#endif
