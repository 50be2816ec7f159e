/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing with the real kernel: programs and files of processes in a group. See trace_host.h. */
#include "trace_host.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

/* --- programs --- */

static int become_sh(void *arg)
{
	execl("/bin/sh", "sh", "-c", "exit 3", "two  words", "", NULL);
	return 99;
}

static void a_program_is_told_from_its_start_to_its_end(void **state)
{
	const struct trace_exec *x;
	const struct trace_exit *end;
	char real[4096];
	pid_t pid;

	needs_root();
	start(TRACE_PROCESSES);
	assert_int_equal(WEXITSTATUS(run_in(env.box.group, become_sh, NULL, &pid)), 3);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXEC);
	assert_non_null(realpath("/bin/sh", real));
	assert_string_equal(TEXT(x, TRACE_EXECUTABLE), real);
	assert_string_equal(TEXT(x, TRACE_CALLED), "/bin/sh");
	assert_int_equal(x->lengths[TRACE_ARGUMENTS],
			 sizeof("sh\0-c\0exit 3\0two  words\0"));
	assert_memory_equal(TEXT(x, TRACE_ARGUMENTS), "sh\0-c\0exit 3\0two  words\0", 25);
	assert_int_equal(x->arguments, 5);
	assert_int_equal(x->head.flags, 0);
	assert_int_equal(x->head.pid, pid);
	assert_int_equal(x->head.parent, getpid());
	assert_int_equal(x->head.pid_inside, pid);
	assert_int_equal(x->head.uid, 0);
	assert_string_equal(x->head.comm, "sh");
	end = only_event(&env.box, TRACE_EXIT);
	assert_int_equal(end->head.pid, pid);
	assert_int_equal(end->head.started, x->head.started);
	assert_true(end->head.time > x->head.time);
	assert_int_equal(end->code, 3);
	assert_int_equal(end->signal, 0);
	assert_all_is_counted(env.box.stats);
}

static int open_one(void *arg)
{
	return open("/etc/passwd", O_RDONLY) < 0;
}

/* What the runtime does in the container until it becomes the container's program. */
static void what_sets_the_container_up_is_marked(void **state)
{
	const struct trace_options o = { TRACE_FILES, TRACE_INNERMOST };
	const struct trace_file *f;
	pid_t pid;

	needs_root();
	start_box(&env.box, "box.1", &o);
	pid = fork_into(env.box.group);
	if (pid == 0) {
		close(open("/etc/passwd", O_RDONLY));
		execl("/bin/sh", "sh", "-c", ": </etc/group; (: </etc/hosts) & wait", NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	read_events(&env.box);
	assert_true(env.box.events.n >= 3);
	for (size_t i = 0; i < env.box.events.n; i++) {
		f = (const void *)env.box.events.v[i];
		assert_int_equal(f->head.flags & TRACE_SETUP, i == 0 ? TRACE_SETUP : 0);
	}
	/* From then on nothing is, also what an agent does that runs the runtime's file. */
	forget_events(&env.box);
	assert_int_equal(run_in(env.box.group, open_one, NULL, NULL), 0);
	read_events(&env.box);
	f = only_event(&env.box, TRACE_OPEN);
	assert_int_equal(f->head.flags & TRACE_SETUP, 0);
}

static int become_memfd(void *arg)
{
	int fd = (int)syscall(SYS_memfd_create, "hidden", 1),
	    from = open("/bin/true", O_RDONLY);
	char *const none[] = { NULL };
	char *const argv[] = { "true", NULL };
	char room[65536];
	ssize_t n;

	while ((n = read(from, room, sizeof(room))) > 0)
		if (write(fd, room, (size_t)n) != n)
			return 98;
	syscall(SYS_execveat, fd, "", argv, none, AT_EMPTY_PATH);
	return 99;
}

static void a_program_without_a_file_shows(void **state)
{
	const struct trace_exec *x;

	needs_root();
	start(TRACE_PROCESSES);
	assert_int_equal(run_in(env.box.group, become_memfd, NULL, NULL), 0);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXEC);
	assert_string_equal(TEXT(x, TRACE_EXECUTABLE), "memfd:hidden");
	assert_true(x->head.flags & TRACE_OUTSIDE);
}

static int become_long(void *arg)
{
	char *argv[102] = { "true" };
	static char word[101];

	memset(word, 'x', 100);
	for (int i = 1; i < 101; i++)
		argv[i] = word;
	execv("/bin/true", argv);
	return 99;
}

static void long_arguments_are_cut_and_it_is_said(void **state)
{
	const struct trace_exec *x;

	needs_root();
	start(TRACE_PROCESSES);
	assert_int_equal(run_in(env.box.group, become_long, NULL, NULL), 0);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXEC);
	assert_int_equal(x->head.flags, TRACE_CUT);
	assert_int_equal(x->lengths[TRACE_ARGUMENTS], TRACE_TEXT_MAX - 1);
	assert_int_equal(x->arguments, 101);
}

static int be_killed(void *arg)
{
	raise(SIGKILL);
	return 0;
}

static void *thread_that_waits(void *arg)
{
	pause();
	return NULL;
}

static int exit_with_threads(void *arg)
{
	pthread_t t;

	for (int i = 0; i < 8; i++)
		if (pthread_create(&t, NULL, thread_that_waits, NULL) != 0)
			return 98;
	_exit(7);
}

static void each_process_ends_once(void **state)
{
	const struct trace_exit *x;

	needs_root();
	start(TRACE_PROCESSES | TRACE_DENIALS);
	run_in(env.box.group, be_killed, NULL, NULL);
	read_events(&env.box);
	x = only_event(&env.box, TRACE_EXIT);
	assert_int_equal(x->signal, SIGKILL);
	assert_int_equal(x->call, TRACE_NO_CALL);
	forget_events(&env.box);
	for (int i = 0; i < 20; i++) {
		run_in(env.box.group, exit_with_threads, NULL, NULL);
		read_events(&env.box);
		x = only_event(&env.box, TRACE_EXIT);
		assert_int_equal(x->code, 7);
		forget_events(&env.box);
	}
}

static void *open_nothing(void *arg)
{
	return arg;
}

static int fork_and_wait(void *arg)
{
	pid_t pid = fork(), *ret = arg;
	pthread_t t;

	if (pid == 0)
		_exit(4);
	*ret = pid;
	return waitpid(pid, NULL, 0) != pid ||
	       pthread_create(&t, NULL, open_nothing, NULL) != 0 ||
	       pthread_join(t, NULL) != 0;
}

/* One that executes nothing has a start, too; threads have none. */
static void a_child_is_told_when_it_is_made(void **state)
{
	const struct trace_head *h;
	const struct trace_exit *x;
	size_t at = 0;
	pid_t pid, *child = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	needs_root();
	assert_true(child != MAP_FAILED);
	start(TRACE_PROCESSES);
	assert_int_equal(run_in(env.box.group, fork_and_wait, child, &pid), 0);
	read_events(&env.box);
	h = only_event(&env.box, TRACE_FORK);
	assert_int_equal(h->pid, *child);
	assert_int_equal(h->thread, *child);
	assert_int_equal(h->pid_inside, *child);
	assert_int_equal(h->parent, pid);
	x = next_event(&env.box, TRACE_EXIT, &at);
	assert_int_equal(x->head.pid, *child);
	assert_int_equal(x->head.started, h->started);
	assert_int_equal(x->code, 4);
	assert_all_is_counted(env.box.stats);
	munmap(child, 4096);
}

/* --- namespaces and groups --- */

static int child_of_namespaces(void *arg)
{
	pid_t pid;
	int status;

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
	    unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
		return 98;
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "/bin/true; :", NULL);
		_exit(99);
	}
	return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 97;
}

static void ids_are_right_in_user_and_pid_namespaces(void **state)
{
	const struct trace_exec *first, *second;
	size_t at = 0;

	needs_root();
	start(TRACE_PROCESSES);
	assert_int_equal(run_in(env.box.group, child_of_namespaces, NULL, NULL), 0);
	read_events(&env.box);
	first = next_event(&env.box, TRACE_EXEC, &at);
	second = next_event(&env.box, TRACE_EXEC, &at);
	assert_non_null(first);
	assert_non_null(second);
	assert_null(next_event(&env.box, TRACE_EXEC, &at));
	assert_int_equal(first->head.pid_inside, 1);
	assert_int_equal(first->head.parent_inside, 0);
	assert_int_equal(second->head.pid_inside, 2);
	assert_int_equal(second->head.parent_inside, 1);
	assert_int_equal(second->head.parent, first->head.pid);
	assert_true(first->head.pid > 2);
	assert_int_equal(first->head.uid, 65534);
	assert_int_equal(first->head.euid, 65534);
	assert_int_equal(first->head.gid, 65534);
}

static void groups_below_belong_to_it_and_others_do_not(void **state)
{
	const struct trace_options o = { TRACE_PROCESSES | TRACE_FILES, TRACE_INNERMOST };
	char path[300], deep[310];
	_close_ int below = -1, deeper = -1;
	const struct trace_exec *x;
	struct stat st;
	pid_t pid;

	needs_root();
	start(TRACE_PROCESSES | TRACE_FILES);
	start_box(&env.other, "box.2", &o);
	snprintf(path, sizeof(path), "%s/below", env.box.dir);
	snprintf(deep, sizeof(deep), "%s/deeper", path);
	below = make_group(path);
	deeper = make_group(deep);
	assert_true(below >= 0 && deeper >= 0);
	assert_int_equal(WEXITSTATUS(run_in(deeper, become_sh, NULL, &pid)), 3);
	assert_int_equal(fstat(deeper, &st), 0);
	read_events(&env.box);
	read_events(&env.other);
	x = only_event(&env.box, TRACE_EXEC);
	assert_int_equal(x->head.pid, pid);
	assert_int_equal(x->head.cgroup, st.st_ino);
	assert_true(env.box.stats->seen[TRACE_OPEN] > 0);
	assert_int_equal(env.other.events.n, 0);
	forget_events(&env.box);
	assert_int_equal(WEXITSTATUS(run_in(env.other.group, become_sh, NULL, &pid)), 3);
	/* Of the host, and of this process, which made all of them. */
	assert_int_equal(system("/bin/true"), 0);
	read_events(&env.box);
	read_events(&env.other);
	assert_int_equal(env.box.events.n, 0);
	x = only_event(&env.other, TRACE_EXEC);
	assert_int_equal(x->head.pid, pid);
	for (size_t i = 0; i < env.other.events.n; i++)
		assert_int_equal(env.other.events.v[i]->pid, pid);
	fd_close(&deeper);
	fd_close(&below);
	assert_int_equal(remove_group_of_test(deep), 0);
	assert_int_equal(remove_group_of_test(path), 0);
}

static int trace_in_a_namespace(void *arg)
{
	const struct trace_options o = { TRACE_PROCESSES, TRACE_INNERMOST };
	struct trace t = TRACE_EMPTY;
	struct trace_stats *s;
	struct err e;
	int group, status;

	if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) < 0 || mkdir("/mnt/groups", 0755) < 0 ||
	    mount("cgroup2", "/mnt/groups", "cgroup2", 0, NULL) < 0)
		return 1;
	group = open("/mnt/groups/inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (group < 0)
		return 2;
	if (trace_start("inner", group, &o, &t, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 3;
	}
	s = mmap(NULL, sizeof(*s), PROT_READ, MAP_SHARED, t.stats, 0);
	status = run_in(group, become_sh, NULL, NULL);
	if (s == MAP_FAILED || WEXITSTATUS(status) != 3)
		return 4;
	if (trace_stop("inner", &e) < 0)
		return 5;
	return s->sent[TRACE_EXEC] == 1 ? 0 : 6;
}

/* The runtime may run in a container itself, where it sees a part of the groups. */
static void groups_are_found_in_a_cgroup_namespace(void **state)
{
	_free_ char *inner = str_printf("%s/inner", env.top);
	_close_ int top = -1;
	struct err e;

	needs_root();
	assert_int_equal(mkdir(inner, 0755), 0);
	top = open(env.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(run_in(top, trace_in_a_namespace, NULL, NULL), 0);
	assert_int_equal(remove_group_of_test(inner), 0);
	assert_int_equal(rmdir("/mnt/groups"), 0);
	assert_ok(trace_load(&e));
}

/* --- files --- */

static int open_things(void *arg)
{
	int dir;

	if (mkdir("/mnt/a", 0755) < 0 || mkdir("/mnt/a/b", 0755) < 0 ||
	    symlink("b", "/mnt/a/link") < 0 || chdir("/mnt/a") < 0)
		return 1;
	dir = open("/mnt/a", O_PATH | O_DIRECTORY);
	/* 1: created, by a relative path over a link. 2: read. 3, 4: not there. 5: gone. */
	close(openat(dir, "link/../b/new", O_WRONLY | O_CREAT, 0600));
	close(open("b/../b/./new", O_RDONLY));
	if (open("b/none", O_RDWR) >= 0 || openat(dir, "link/none", O_RDONLY) >= 0)
		return 2;
	if (open("/mnt/a/none", O_RDONLY) >= 0)
		return 3;
	return creat("/mnt/a/b/last", 0600) < 0;
}

static void paths_of_files_are_those_that_the_kernel_took(void **state)
{
	const struct trace_file *f;
	size_t at = 0;

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(run_in(env.box.group, open_things, NULL, NULL), 0);
	read_events(&env.box);
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/mnt/a");
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/mnt/a/b/new");
	assert_int_equal(f->head.flags, TRACE_RESOLVED | TRACE_CREATED);
	assert_int_equal(f->open_flags & (O_ACCMODE | O_CREAT), O_WRONLY | O_CREAT);
	assert_int_equal(f->result, 0);
	assert_true(S_ISREG(f->mode));
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/mnt/a/b/new");
	assert_int_equal(f->head.flags, TRACE_RESOLVED);
	assert_int_equal(f->open_flags & (O_ACCMODE | O_CREAT), O_RDONLY);
	for (int i = 0; i < 2; i++) {
		f = next_event(&env.box, TRACE_OPEN, &at);
		assert_string_equal(TEXT(f, TRACE_BASE), "/mnt/a");
		assert_string_equal(TEXT(f, TRACE_PATH), i ? "link/none" : "b/none");
		assert_int_equal(f->result, -ENOENT);
		assert_int_equal(f->open_flags & O_ACCMODE, i ? O_RDONLY : O_RDWR);
		assert_int_equal(f->head.flags, 0);
	}
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_int_equal(f->lengths[TRACE_BASE], 0);
	assert_string_equal(TEXT(f, TRACE_PATH), "/mnt/a/none");
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/mnt/a/b/last");
	assert_true(f->open_flags & O_CREAT);
	assert_null(next_event(&env.box, TRACE_OPEN, &at));
	assert_all_is_counted(env.box.stats);
	assert_int_equal(system("rm -r /mnt/a"), 0);
}

static int open_in_own_root(void *arg)
{
	if (unshare(CLONE_NEWNS) < 0 || mkdir("/mnt/root", 0755) < 0 ||
	    mount("tmpfs", "/mnt/root", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/mnt/root/work", 0755) < 0 ||
	    mount("tmpfs", "/mnt/root/work", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/mnt/root/work/dir", 0755) < 0 || chroot("/mnt/root") < 0 ||
	    chdir("/work") < 0)
		return 1;
	close(open("dir/file", O_WRONLY | O_CREAT, 0600));
	close(open("/", O_RDONLY));
	close(open(".", O_TMPFILE | O_RDWR, 0600));
	return 0;
}

static void paths_are_as_the_container_sees_them(void **state)
{
	const struct trace_file *f;
	size_t at = 0;

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(run_in(env.box.group, open_in_own_root, NULL, NULL), 0);
	read_events(&env.box);
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/work/dir/file");
	assert_int_equal(f->head.flags, TRACE_RESOLVED | TRACE_CREATED);
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/");
	f = next_event(&env.box, TRACE_OPEN, &at);
	assert_true(f->head.flags & TRACE_DELETED);
	assert_true(str_has_prefix(TEXT(f, TRACE_PATH), "/work/#"));
	assert_int_equal(rmdir("/mnt/root"), 0);
}

static int remove_things(void *arg)
{
	int dir;

	if (mkdir("/mnt/x", 0755) < 0 || chdir("/mnt/x") < 0 || mkdir("d", 0755) < 0)
		return 1;
	dir = open("/mnt/x/d", O_PATH | O_DIRECTORY);
	close(open("one", O_WRONLY | O_CREAT, 0600));
	if (renameat(AT_FDCWD, "one", dir, "two") < 0 || rename("none", "/mnt/y") == 0 ||
	    unlinkat(dir, "two", 0) < 0 || rmdir("/mnt/x/d") < 0 || unlink("nothing") == 0)
		return 2;
	return 0;
}

static void removed_and_renamed_files_are_told(void **state)
{
	const struct trace_file *f;
	size_t at = 0;

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(run_in(env.box.group, remove_things, NULL, NULL), 0);
	read_events(&env.box);
	f = next_event(&env.box, TRACE_RENAME, &at);
	assert_string_equal(TEXT(f, TRACE_BASE), "/mnt/x");
	assert_string_equal(TEXT(f, TRACE_PATH), "one");
	assert_string_equal(TEXT(f, TRACE_NEW_BASE), "/mnt/x/d");
	assert_string_equal(TEXT(f, TRACE_NEW_PATH), "two");
	assert_int_equal(f->result, 0);
	f = next_event(&env.box, TRACE_RENAME, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "none");
	assert_int_equal(f->lengths[TRACE_NEW_BASE], 0);
	assert_string_equal(TEXT(f, TRACE_NEW_PATH), "/mnt/y");
	assert_int_equal(f->result, -ENOENT);
	assert_null(next_event(&env.box, TRACE_RENAME, &at));
	at = 0;
	f = next_event(&env.box, TRACE_REMOVE, &at);
	assert_string_equal(TEXT(f, TRACE_BASE), "/mnt/x/d");
	assert_string_equal(TEXT(f, TRACE_PATH), "two");
	f = next_event(&env.box, TRACE_REMOVE, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "/mnt/x/d");
	assert_int_equal(f->result, 0);
	f = next_event(&env.box, TRACE_REMOVE, &at);
	assert_string_equal(TEXT(f, TRACE_PATH), "nothing");
	assert_int_equal(f->result, -ENOENT);
	assert_int_equal(rmdir("/mnt/x"), 0);
}

/* --- other changes --- */

static int change_things(void *arg)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sock" };
	struct sockaddr_un hidden = { .sun_family = AF_UNIX, .sun_path = "\0purple-a\0b" };
	const socklen_t head = offsetof(struct sockaddr_un, sun_path);
	int dir, fd, sock = socket(AF_UNIX, SOCK_STREAM, 0);

	if (mkdir("/mnt/c", 0750) < 0 || chdir("/mnt/c") < 0)
		return 1;
	dir = open("/mnt/c", O_PATH | O_DIRECTORY);
	fd = openat(dir, "f", O_WRONLY | O_CREAT, 0600);
	if (mkdirat(dir, "d", 0700) < 0 || link("f", "/mnt/c/l") < 0 ||
	    linkat(dir, "f", dir, "d/l", 0) < 0 || symlinkat("../to", dir, "s") < 0 ||
	    truncate("f", 5) < 0 || ftruncate(fd, 6) < 0 || chmod("f", 04711) < 0 ||
	    fchmod(fd, 0644) < 0 || fchownat(dir, "f", 7, (gid_t)-1, 0) < 0 ||
	    setxattr("f", "trusted.purple", "x", 1, 0) < 0 ||
	    fremovexattr(fd, "trusted.purple") < 0 || mkfifo("d/p", 0600) < 0)
		return 2;
	/* Without a NUL at its end; then one that is not there. */
	if (bind(sock, (struct sockaddr *)&a, head + 4) < 0 ||
	    connect(sock, (struct sockaddr *)&hidden, head + 11) == 0 ||
	    mkdir("/mnt/none/x", 0755) == 0)
		return 3;
	return 0;
}

static void assert_change(size_t *at, enum trace_change change, const char *base,
			  const char *path, const char *other)
{
	const struct trace_file *f = next_event(&env.box, TRACE_CHANGE, at);

	assert_non_null(f);
	assert_int_equal(f->change, change);
	assert_string_equal(TEXT(f, TRACE_BASE), base);
	assert_string_equal(TEXT(f, TRACE_PATH), path);
	assert_string_equal(TEXT(f, TRACE_NEW_PATH), other);
}

static void what_changes_files_is_told(void **state)
{
	const struct trace_file *f;
	size_t at = 0;

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(run_in(env.box.group, change_things, NULL, NULL), 0);
	read_events(&env.box);
	assert_change(&at, TRACE_MKDIR, "", "/mnt/c", "");
	assert_int_equal(((struct trace_file *)env.box.events.v[at - 1])->mode, 0750);
	assert_change(&at, TRACE_MKDIR, "/mnt/c", "d", "");
	assert_change(&at, TRACE_LINK, "/mnt/c", "f", "/mnt/c/l");
	assert_change(&at, TRACE_LINK, "/mnt/c", "f", "d/l");
	assert_string_equal(TEXT((struct trace_file *)env.box.events.v[at - 1],
				 TRACE_NEW_BASE),
			    "/mnt/c");
	assert_change(&at, TRACE_SYMLINK, "/mnt/c", "s", "../to");
	assert_change(&at, TRACE_TRUNCATE, "/mnt/c", "f", "");
	assert_change(&at, TRACE_TRUNCATE, "", "/mnt/c/f", "");
	assert_change(&at, TRACE_CHMOD, "/mnt/c", "f", "");
	assert_int_equal(((struct trace_file *)env.box.events.v[at - 1])->mode, 04711);
	assert_change(&at, TRACE_CHMOD, "", "/mnt/c/f", "");
	assert_change(&at, TRACE_CHOWN, "/mnt/c", "f", "");
	f = (const void *)env.box.events.v[at - 1];
	assert_int_equal(f->owner, 7);
	assert_int_equal(f->owner_group, ~0u);
	assert_change(&at, TRACE_SETXATTR, "/mnt/c", "f", "trusted.purple");
	assert_change(&at, TRACE_REMOVEXATTR, "", "/mnt/c/f", "trusted.purple");
	assert_change(&at, TRACE_MKNOD, "/mnt/c", "d/p", "");
	assert_change(&at, TRACE_UNIX_BIND, "/mnt/c", "sock", "");
	assert_change(&at, TRACE_UNIX_CONNECT, "", "", "purple-a");
	f = (const void *)env.box.events.v[at - 1];
	assert_int_equal(f->lengths[TRACE_NEW_PATH], 10);
	assert_int_equal(f->result, -ECONNREFUSED);
	assert_change(&at, TRACE_MKDIR, "", "/mnt/none/x", "");
	assert_null(next_event(&env.box, TRACE_CHANGE, &at));
	assert_all_is_counted(env.box.stats);
	assert_int_equal(system("rm -r /mnt/c"), 0);
}

struct overwriting {
	pid_t thread;
	int listener;
	struct sockaddr_un to;
};

/* Overwrites the address while the connection waits, and then lets it go on. */
static void *overwrite(void *arg)
{
	struct overwriting *o = arg;
	char path[64];
	long call = -1;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", o->thread);
	while (call != SYS_connect) {
		FILE *f = fopen(path, "re");

		if (!f || fscanf(f, "%ld", &call) != 1)
			call = -1;
		if (f)
			fclose(f);
	}
	*(volatile sa_family_t *)&o->to.sun_family = 2;
	accept(o->listener, NULL, NULL);
	return NULL;
}

static int connect_and_overwrite(void *arg)
{
	struct overwriting o = { .thread = gettid(),
				 .to = { .sun_family = AF_UNIX, .sun_path = "\0purple-o" } };
	const socklen_t size = offsetof(struct sockaddr_un, sun_path) + 9;
	int first = socket(AF_UNIX, SOCK_STREAM, 0),
	    second = socket(AF_UNIX, SOCK_STREAM, 0);
	pthread_t t;

	o.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(o.listener, (struct sockaddr *)&o.to, size) < 0 ||
	    listen(o.listener, 0) < 0 || connect(first, (struct sockaddr *)&o.to, size) < 0)
		return 1;
	if (pthread_create(&t, NULL, overwrite, &o) != 0 ||
	    connect(second, (struct sockaddr *)&o.to, size) < 0)
		return 2;
	return pthread_join(t, NULL);
}

static void a_unix_socket_is_told_whatever_becomes_of_its_address(void **state)
{
	const struct trace_file *f;
	size_t at = 0;

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(run_in(env.box.group, connect_and_overwrite, NULL, NULL), 0);
	read_events(&env.box);
	assert_change(&at, TRACE_UNIX_BIND, "", "", "purple-o");
	assert_change(&at, TRACE_UNIX_CONNECT, "", "", "purple-o");
	f = next_event(&env.box, TRACE_CHANGE, &at);
	assert_non_null(f);
	assert_int_equal(f->change, TRACE_UNIX_CONNECT);
	assert_int_equal(f->head.flags & TRACE_UNREAD, TRACE_UNREAD);
	assert_null(next_event(&env.box, TRACE_CHANGE, &at));
}

static int be_refused_files(void *arg)
{
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (open("/etc/shadow", O_RDONLY) >= 0 || mkdir("/mnt/none/x", 0755) == 0 ||
	    mkdir("/etc/x", 0755) == 0 || open("/etc/passwd", O_RDONLY) < 0)
		return 2;
	return 0;
}

/* Who wants denials alone is told which file it was. */
static void refused_files_are_told_with_their_paths(void **state)
{
	const struct trace_file *f;

	needs_root();
	start(TRACE_DENIALS);
	assert_int_equal(run_in(env.box.group, be_refused_files, NULL, NULL), 0);
	read_events(&env.box);
	f = only_event(&env.box, TRACE_OPEN);
	assert_string_equal(TEXT(f, TRACE_PATH), "/etc/shadow");
	assert_int_equal(f->result, -EACCES);
	f = only_event(&env.box, TRACE_CHANGE);
	assert_string_equal(TEXT(f, TRACE_PATH), "/etc/x");
	assert_int_equal(env.box.events.n, 2);
}

#ifdef __x86_64__
/* By the gate of 32-bit programs: other numbers, other registers. */
static long old_call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return ret;
}

static int open_by_the_old_gate(void *arg)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0purple-c" };
	uint32_t words[3] = { socket(AF_UNIX, SOCK_STREAM, 0), 0,
			      offsetof(struct sockaddr_un, sun_path) + 9 };

	if (low == MAP_FAILED)
		return 1;
	strcpy(low, "/etc/passwd");
	/* open() is 5 there, which is fstat() here. */
	if (old_call(5, (long)low, O_RDONLY, 0) < 0)
		return 2;
	/* connect() by socketcall(), to nobody. */
	memcpy(low, &to, sizeof(to));
	memcpy(low + 256, words, sizeof(words));
	((uint32_t *)(low + 256))[1] = (uint32_t)(uintptr_t)low;
	return old_call(102, 3, (long)low + 256, 0) == -ECONNREFUSED ? 0 : 3;
}

static void calls_of_32_bits_are_no_way_round(void **state)
{
	const struct trace_file *f;
	size_t at = 0;
	int status;

	needs_root();
	start(TRACE_FILES);
	status = run_in(env.box.group, open_by_the_old_gate, NULL, NULL);
	if (WIFSIGNALED(status) || WEXITSTATUS(status) == 2) {
		print_message("skipped: the kernel has no calls of 32 bits\n");
		skip();
	}
	read_events(&env.box);
	f = only_event(&env.box, TRACE_OPEN);
	assert_string_equal(TEXT(f, TRACE_PATH), "/etc/passwd");
	assert_int_equal(f->call, 5);
	assert_true(f->head.flags & TRACE_RESOLVED);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_change(&at, TRACE_UNIX_CONNECT, "", "", "purple-c");
	assert_null(next_event(&env.box, TRACE_CHANGE, &at));
}
#endif

static int go_deep(void *arg)
{
	static char name[201];

	memset(name, 'n', 200);
	if (chdir("/mnt") < 0)
		return 1;
	/* Deeper than a path can say. */
	for (int i = 0; i < 30; i++)
		if (mkdir(name, 0755) < 0 || chdir(name) < 0)
			return 2;
	return open("file", O_WRONLY | O_CREAT, 0600) < 0;
}

static void a_path_that_is_too_long_keeps_its_end(void **state)
{
	const struct trace_file *f;
	const char *path;

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(run_in(env.box.group, go_deep, NULL, NULL), 0);
	read_events(&env.box);
	f = only_event(&env.box, TRACE_OPEN);
	assert_true(f->head.flags & TRACE_CUT);
	path = TEXT(f, TRACE_PATH);
	assert_true(strlen(path) > 3800);
	assert_string_equal(path + strlen(path) - 7, "nn/file");
	assert_int_equal(system("rm -r /mnt/nnnn*"), 0);
}

/* --- load --- */

#define MANY 100000

static int open_often(void *arg)
{
	for (int i = 0; i < MANY; i++) {
		int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return 1;
		close(fd);
	}
	return 0;
}

static void what_has_no_place_is_counted(void **state)
{
	const struct trace_stats *s;

	needs_root();
	start(TRACE_FILES | TRACE_PROCESSES);
	s = env.box.stats;
	/* Nobody reads. */
	assert_int_equal(run_in(env.box.group, open_often, NULL, NULL), 0);
	assert_all_is_counted(s);
	assert_int_equal(s->seen[TRACE_OPEN], MANY);
	assert_true(s->lost[TRACE_OPEN] > 0 && s->sent[TRACE_OPEN] > 10000);
	assert_int_equal(s->numbers[1], MANY);
	/* The other ring has its place. */
	assert_int_equal(s->sent[TRACE_EXIT], 1);
	assert_int_equal(s->lost[TRACE_EXIT], 0);
	read_events(&env.box);
	assert_int_equal(env.box.events.n, s->sent[TRACE_OPEN] + 1);
	/* With a reader there is place again. */
	forget_events(&env.box);
	assert_int_equal(WEXITSTATUS(run_in(env.box.group, become_sh, NULL, NULL)), 3);
	read_events(&env.box);
	assert_true(env.box.events.n > 2);
	assert_all_is_counted(s);
}

static void a_reader_of_all_misses_nothing(void **state)
{
	uint64_t n = 0;
	pid_t pid;

	needs_root();
	start(TRACE_FILES);
	pid = fork_into(env.box.group);
	if (pid == 0)
		_exit(open_often(NULL));
	while (n < MANY) {
		assert_true(ring_buffer__poll(env.box.bulk, 50) >= 0);
		read_events(&env.box);
		for (size_t i = 0; i < env.box.events.n; i++)
			n += env.box.events.v[i]->type == TRACE_OPEN;
		forget_events(&env.box);
		n += env.box.stats->lost[TRACE_OPEN];
		env.box.stats->lost[TRACE_OPEN] = 0;
	}
	assert_int_equal(n, MANY);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* One event in an empty ring wakes who sleeps, and nobody else. */
static void check_sleep(struct ring_buffer *ring, int (*act)(void *arg), size_t which)
{
	size_t n;

	assert_int_equal(run_in(env.box.group, act, NULL, NULL), 0);
	assert_int_equal(ring_buffer__poll(ring, 0), 0);
	read_events(&env.box);
	n = env.box.events.n;
	assert_true(n > 0);
	env.box.stats->waiting[which] = 1;
	__sync_synchronize();
	assert_int_equal(run_in(env.box.group, act, NULL, NULL), 0);
	assert_true(ring_buffer__poll(ring, 10000) > 0);
	assert_int_equal(env.box.stats->waiting[which], 0);
	read_events(&env.box);
	assert_int_equal(env.box.events.n, 2 * n);
	forget_events(&env.box);
}

static void a_sleeping_reader_is_woken(void **state)
{
	needs_root();
	start(TRACE_FILES);
	check_sleep(env.box.bulk, open_one, 1);
	assert_int_equal(stop(NULL), 0);
	env.box.group = -1;
	start(TRACE_PROCESSES);
	check_sleep(env.box.urgent, become_true, 0);
}

/* --- what is attached --- */

static int count_pins(const char *folder)
{
	_free_ char *command = str_printf("ls %s/%s | wc -l", trace_pins_own(), folder);
	FILE *f = popen(command, "r");
	int n = -1;

	if (!f || fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		pclose(f);
	return n;
}

static int note_wants(const char *name, uint64_t group, uint32_t wants, void *arg)
{
	uint32_t *ret = arg;

	assert_true(streq(name, "box.1") || streq(name, "box.2"));
	assert_true(group > 1);
	*ret |= wants;
	return 0;
}

static void nothing_runs_that_nobody_asked_for(void **state)
{
	const struct trace_options o = { TRACE_NETWORK, TRACE_INNERMOST };
	struct trace again = TRACE_EMPTY;
	uint32_t wants = 0;
	struct err e;

	needs_root();
	assert_int_equal(count_pins("links"), 0);
	/* Each has the one that sees its set-up end. */
	start_box(&env.other, "box.2", &o);
	assert_int_equal(count_pins("links"), 1);
	assert_int_equal(count_pins("containers/box=2"), 7);
	start(TRACE_PROCESSES);
	assert_int_equal(count_pins("links"), 3);
	assert_int_equal(count_pins("containers/box=1"), 1);
	assert_ok(trace_list(note_wants, &wants, &e));
	assert_int_equal(wants, TRACE_NETWORK | TRACE_PROCESSES);
	assert_int_equal(trace_start("box.1", env.other.group, &o, &again, &e), -EEXIST);
	assert_ok(trace_open("box.1", &again, &e));
	trace_clear(&again);
	/* The group of another one, and then nothing of it is left. */
	assert_ok(trace_load(&e));
	assert_int_equal(trace_start("box.3", env.other.group, &o, &again, &e), -EEXIST);
	assert_int_equal(count_pins("containers"), 2);
	assert_int_equal(stop_box(&env.box), 0);
	env.box.group = -1;
	assert_int_equal(count_pins("links"), 1);
	start(TRACE_FILES);
	assert_int_equal(count_pins("links"), 2);
	assert_int_equal(stop(NULL), 0);
	assert_int_equal(count_pins("links"), 0);
	assert_int_equal(count_pins("containers"), 0);
	assert_int_equal(count_pins("trash"), 0);
	assert_int_equal(count_pins("spare"), 2);
	assert_int_equal(trace_open("box.1", &again, &e), -ENOENT);
	assert_ok(trace_stop("box.1", &e));
}

static void a_group_that_is_gone_costs_nobody_anything(void **state)
{
	const struct trace_options o = { TRACE_NETWORK, TRACE_INNERMOST };

	needs_root();
	start(TRACE_FILES);
	assert_int_equal(count_pins("links"), 2);
	assert_int_equal(remove_group_of_test(env.box.dir), 0);
	start_box(&env.other, "box.2", &o);
	assert_int_equal(count_pins("links"), 1);
	assert_int_equal(count_pins("containers"), 2);
	assert_int_equal(mkdir(env.box.dir, 0755), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_teardown(f, stop)
		TEST(a_program_is_told_from_its_start_to_its_end),
		TEST(what_sets_the_container_up_is_marked),
		TEST(a_program_without_a_file_shows),
		TEST(long_arguments_are_cut_and_it_is_said),
		TEST(each_process_ends_once),
		TEST(a_child_is_told_when_it_is_made),
		TEST(ids_are_right_in_user_and_pid_namespaces),
		TEST(groups_below_belong_to_it_and_others_do_not),
		TEST(groups_are_found_in_a_cgroup_namespace),
		TEST(paths_of_files_are_those_that_the_kernel_took),
		TEST(paths_are_as_the_container_sees_them),
		TEST(removed_and_renamed_files_are_told),
		TEST(what_changes_files_is_told),
		TEST(a_unix_socket_is_told_whatever_becomes_of_its_address),
		TEST(refused_files_are_told_with_their_paths),
#ifdef __x86_64__
		TEST(calls_of_32_bits_are_no_way_round),
#endif
		TEST(a_path_that_is_too_long_keeps_its_end),
		TEST(what_has_no_place_is_counted),
		TEST(a_reader_of_all_misses_nothing),
		TEST(a_sleeping_reader_is_woken),
		TEST(nothing_runs_that_nobody_asked_for),
		TEST(a_group_that_is_gone_costs_nobody_anything),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
