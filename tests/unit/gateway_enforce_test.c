/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done at a limit: the warden with a process in the container's place and files in that of
 * its control group; the alert command; limit.json. As root and without.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/warden.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "gateway/alert.h"
#include "gateway/enforce.h"
#include "gateway/limit.h"
#include "gateway_build.h"

#define PATIENCE_MS 30000
#define GRACE_MS 100

/* Everything of one test. */
struct box {
	char dir[64];
	int dirfd;
	struct gateway_config config;
	pid_t init;
	int init_fd, kill_fd, freezer_fd, events_fd, limit_fd;
	int warden;
	struct warden_setup setup; /* what a test sets besides */
	struct enforce *enforce;
	bool has_budget;
	int thaws;
	struct strv posts;
};

/* --- a container of one process --- */

static pid_t start_init(bool ignores_term)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, ignores_term ? SIG_IGN : SIG_DFL);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int open_file(struct box *b, const char *name)
{
	int fd = openat(b->dirfd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static char *read_file(struct box *b, const char *name)
{
	char *text = NULL;
	struct err e;

	assert_int_equal(fs_read(b->dirfd, name, 1 << 20, &text, NULL, &e), 0);
	return text;
}

static void make_box(struct box *b, bool ignores_term, bool has_kill, const char *freezer)
{
	*b = (struct box){ .kill_fd = -1, .warden = -1, .setup = WARDEN_SETUP_EMPTY };
	strcpy(b->dir, "/tmp/purple-enforce-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	build_config(&b->config);
	b->init = start_init(ignores_term);
	b->init_fd = (int)syscall(SYS_pidfd_open, b->init, 0);
	assert_true(b->init_fd >= 0);
	if (has_kill)
		b->kill_fd = open_file(b, "cgroup.kill");
	b->freezer_fd = freezer ? open_file(b, freezer) : -1;
	b->events_fd = open_file(b, "events.jsonl");
	b->limit_fd = openat(b->dirfd, GATEWAY_LIMIT_FILE, O_RDWR | O_CREAT | O_CLOEXEC,
			     0600);
}

/* Waits for children that have ended; those that are left are ended. */
static void clear_box(struct box *b)
{
	struct err e;

	fd_close(&b->warden);
	kill(b->init, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	fd_close(&b->init_fd);
	fd_close(&b->kill_fd);
	fd_close(&b->freezer_fd);
	fd_close(&b->events_fd);
	fd_close(&b->limit_fd);
	fd_close(&b->dirfd);
	gateway_config_clear(&b->config);
	strv_free(&b->posts);
	assert_int_equal(fs_remove_tree(AT_FDCWD, b->dir, &e), 0);
}

/* The signal that ended init; 0: none did. */
static int end_of_init(struct box *b)
{
	struct pollfd p = { .fd = b->init_fd, .events = POLLIN };
	int status;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(waitpid(b->init, &status, 0), b->init);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* --- the warden --- */

static void note_death(int fd, bool is_frozen, const void *arg)
{
	const char *text = is_frozen ? "{\"type\":\"gateway_died\",\"frozen\":true}\n" :
				       "{\"type\":\"gateway_died\",\"frozen\":false}\n";

	/* Its filter of system calls lets this alone be done with a file. */
	(void)!write(fd, text, strlen(text));
}

static void start_warden(struct box *b)
{
	struct warden_setup s = b->setup;
	struct err e = {};

	s.init_fd = b->init_fd;
	s.kill_fd = b->kill_fd;
	s.freezer_fd = b->freezer_fd;
	s.on_death = note_death;
	s.death_fd = b->events_fd;
	s.grace_ms = GRACE_MS;
	assert_int_equal(warden_start(&s, &b->warden, &e), 0);
	if (warden_wait(b->warden, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct warden_reply reply_of(struct box *b)
{
	struct pollfd p = { .fd = b->warden, .events = POLLIN };
	struct warden_reply r = {};

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(recv(b->warden, &r, sizeof(r), 0), sizeof(r));
	return r;
}

static int tell(struct box *b, enum warden_command c)
{
	struct warden_reply r;

	assert_int_equal(warden_tell(b->warden, c, WARDEN_FOR_OTHERS), 0);
	r = reply_of(b);
	assert_int_equal(r.command, c);
	return r.error;
}

static void wait_for_end_of_warden(struct box *b)
{
	struct pollfd p = { .fd = b->warden };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_true(p.revents & POLLHUP);
}

static void stop_asks_first(void **state)
{
	struct box b;
	_free_ char *killed = NULL;

	make_box(&b, false, true, "cgroup.freeze");
	start_warden(&b);
	assert_int_equal(tell(&b, WARDEN_STOP), 0);
	assert_int_equal(end_of_init(&b), SIGTERM);
	wait_for_end_of_warden(&b);
	killed = read_file(&b, "cgroup.kill");
	assert_string_equal(killed, "");
	clear_box(&b);
}

static void stop_ends_who_does_not_listen(void **state)
{
	struct box b;

	/* Without cgroup.kill: init. */
	make_box(&b, true, false, NULL);
	start_warden(&b);
	assert_int_equal(tell(&b, WARDEN_STOP), 0);
	assert_int_equal(end_of_init(&b), SIGKILL);
	wait_for_end_of_warden(&b);
	clear_box(&b);
}

static void wait_for_text(struct box *b, const char *name, const char *expected)
{
	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		_free_ char *text = read_file(b, name);

		if (streq(text, expected))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	fail_msg("'%s' is not '%s'", name, expected);
}

static void stop_ends_the_whole_group(void **state)
{
	struct box b;

	/* Frozen by v1: thawed for the signal, and again for the end. */
	make_box(&b, true, true, "freezer.state");
	start_warden(&b);
	assert_int_equal(tell(&b, WARDEN_FREEZE), 0);
	assert_int_equal(tell(&b, WARDEN_STOP), 0);
	assert_int_equal(tell(&b, WARDEN_FREEZE), -ESRCH);
	wait_for_text(&b, "cgroup.kill", "1");
	wait_for_text(&b, "freezer.state", "FROZENTHAWEDTHAWED");
	clear_box(&b);
}

static void stop_goes_on_when_the_gateway_dies(void **state)
{
	struct box b;

	make_box(&b, true, false, NULL);
	start_warden(&b);
	assert_int_equal(warden_tell(b.warden, WARDEN_STOP, WARDEN_FOR_OTHERS), 0);
	fd_close(&b.warden);
	assert_int_equal(end_of_init(&b), SIGKILL);
	clear_box(&b);
}

static void freezing_and_thawing(void **state)
{
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	start_warden(&b);
	assert_int_equal(tell(&b, WARDEN_FREEZE), 0);
	assert_int_equal(tell(&b, WARDEN_THAW), 0);
	wait_for_text(&b, "cgroup.freeze", "10");
	clear_box(&b);
	make_box(&b, false, false, NULL);
	start_warden(&b);
	assert_int_equal(tell(&b, WARDEN_FREEZE), -EOPNOTSUPP);
	clear_box(&b);
}

static void frozen_stays_frozen_when_the_gateway_dies(void **state)
{
	_free_ char *freezer = NULL, *events = NULL;
	_json_free_ struct json *j = NULL;
	struct box b;
	struct err e;

	make_box(&b, false, true, "cgroup.freeze");
	start_warden(&b);
	assert_int_equal(tell(&b, WARDEN_FREEZE), 0);
	fd_close(&b.warden);
	/* The warden alone is left to be waited for besides init. */
	while (waitpid(-1, NULL, 0) == b.init)
		;
	freezer = read_file(&b, "cgroup.freeze");
	assert_string_equal(freezer, "1");
	events = read_file(&b, "events.jsonl");
	assert_int_equal(json_parse(events, strlen(events) - 1, "line", &j, &e), 0);
	assert_string_equal(json_get(j, "type")->text, "gateway_died");
	assert_non_null(strstr(events, "\"frozen\":true"));
	clear_box(&b);
}

static void an_orderly_end_is_no_death(void **state)
{
	_free_ char *events = NULL;
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	start_warden(&b);
	assert_int_equal(warden_tell(b.warden, WARDEN_BYE, WARDEN_FOR_OTHERS), 0);
	fd_close(&b.warden);
	while (waitpid(-1, NULL, 0) == b.init)
		;
	events = read_file(&b, "events.jsonl");
	assert_string_equal(events, "");
	clear_box(&b);
}

static void it_takes_nothing_but_its_messages(void **state)
{
	const char odd[1024] = "stop";
	struct warden_reply r;
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	start_warden(&b);
	assert_int_equal(send(b.warden, odd, sizeof(odd), 0), sizeof(odd));
	r = reply_of(&b);
	assert_int_equal(r.error, -EINVAL);
	assert_int_equal(tell(&b, (enum warden_command)77), -EINVAL);
	assert_int_equal(tell(&b, WARDEN_FREEZE), 0);
	clear_box(&b);
}

/* The only line of end.jsonl: `reason` and a time. */
static void check_note(struct box *b, const char *reason)
{
	_free_ char *text = read_file(b, "end.jsonl");
	_json_free_ struct json *j = NULL;
	struct err e;

	assert_int_equal(json_parse(text, strlen(text), "end.jsonl", &j, &e), 0);
	assert_string_equal(json_get(j, "reason")->text, reason);
	assert_int_equal(strlen(json_get(j, "time")->text),
			 strlen("2026-01-01T00:00:00.000000000Z"));
	assert_int_equal(json_get(j, "time")->text[4], '-');
}

static void make_noted_box(struct box *b, bool has_kill)
{
	make_box(b, true, has_kill, NULL);
	b->setup.end_fd = open_file(b, "end.jsonl");
	b->setup.notes[WARDEN_FOR_TIMEOUT] = "{\"reason\":\"timeout\"";
	b->setup.notes[WARDEN_FOR_OOM] = "{\"reason\":\"oom\"";
	b->setup.notes[WARDEN_FOR_DEATH] = "{\"reason\":\"audit\",\"detail\":\"died\"";
}

static void clear_noted_box(struct box *b)
{
	fd_close(&b->setup.end_fd);
	clear_box(b);
}

/* Whether its parent lives or not. */
static void a_session_has_its_time(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct box b;

		make_noted_box(&b, false);
		b.setup.timeout_ms = 300;
		start_warden(&b);
		if (i)
			fd_close(&b.warden);
		assert_int_equal(end_of_init(&b), SIGKILL);
		check_note(&b, "timeout");
		clear_noted_box(&b);
	}
}

static void spent_memory_ends_all(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	const uint64_t one = 1;
	struct box b;

	make_noted_box(&b, true);
	b.setup.oom_fd = fd;
	start_warden(&b);
	fd_close(&b.warden);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	wait_for_text(&b, "cgroup.kill", "1");
	check_note(&b, "oom");
	close(fd);
	clear_noted_box(&b);
}

static void its_parents_death_is_the_end_where_it_is_to_be(void **state)
{
	struct box b;

	make_noted_box(&b, false);
	b.setup.ends_on_death = true;
	start_warden(&b);
	fd_close(&b.warden);
	assert_int_equal(end_of_init(&b), SIGKILL);
	check_note(&b, "audit");
	clear_noted_box(&b);
}

static void the_first_reason_is_the_one(void **state)
{
	struct warden_reply r;
	struct box b;

	make_noted_box(&b, true);
	start_warden(&b);
	assert_int_equal(warden_tell(b.warden, WARDEN_KILL, WARDEN_FOR_TIMEOUT), 0);
	r = reply_of(&b);
	assert_int_equal(r.error, 0);
	wait_for_text(&b, "cgroup.kill", "1");
	assert_int_equal(warden_tell(b.warden, WARDEN_KILL, WARDEN_FOR_OOM), 0);
	r = reply_of(&b);
	assert_int_equal(r.error, 0);
	/* One that there is not is a reason to end it all the same. */
	assert_int_equal(warden_tell(b.warden, WARDEN_KILL, (enum warden_reason)99), 0);
	r = reply_of(&b);
	assert_int_equal(r.error, 0);
	check_note(&b, "timeout");
	clear_noted_box(&b);
}

/* The children of this process but for init. */
static void read_status(struct box *b, char **ret)
{
	_free_ char *children = NULL;
	char *save = NULL, path[64];
	struct err e;

	*ret = NULL;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	assert_int_equal(fs_read(AT_FDCWD, path, 4096, &children, NULL, &e), 0);
	for (char *w = strtok_r(children, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (atoi(w) == b->init)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", w);
		assert_int_equal(fs_read(AT_FDCWD, path, 65536, ret, NULL, &e), 0);
	}
}

static void it_keeps_one_capability(void **state)
{
	_free_ char *status = NULL;
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	start_warden(&b);
	read_status(&b, &status);
	assert_non_null(status);
	assert_non_null(strstr(status, "Name:\tpurple-warden"));
	assert_non_null(strstr(status, "NoNewPrivs:\t1"));
	assert_non_null(strstr(status, "Seccomp:\t2"));
	if (geteuid() == 0) {
		assert_non_null(strstr(status, "CapEff:\t0000000000000020"));
		assert_non_null(strstr(status, "CapPrm:\t0000000000000020"));
		assert_non_null(strstr(status, "CapBnd:\t0000000000000000"));
		assert_non_null(strstr(status, "Uid:\t65534\t65534\t65534\t65534"));
	} else {
		assert_non_null(strstr(status, "CapPrm:\t0000000000000000"));
	}
	clear_box(&b);
}

/* --- the whole of it --- */

static bool has_budget(size_t policy, void *arg)
{
	return ((struct box *)arg)->has_budget;
}

static void on_thaw(void *arg)
{
	((struct box *)arg)->thaws++;
}

static void post(const char *text, size_t len, void *arg)
{
	assert_int_equal(strlen(text), len);
	assert_int_equal(strv_add(&((struct box *)arg)->posts, text), 0);
}

static void start_enforce(struct box *b)
{
	const struct enforce_setup s = { .config = &b->config,
					 .events_fd = b->events_fd,
					 .limit_fd = b->limit_fd,
					 .init_fd = b->init_fd,
					 .kill_fd = b->kill_fd,
					 .freezer_fd = b->freezer_fd,
					 .has_budget = has_budget,
					 .on_thaw = on_thaw,
					 .post = post,
					 .arg = b };
	struct err e = {};

	assert_int_equal(enforce_start(&s, &b->enforce, &e), 0);
	assert_int_equal(enforce_wait(b->enforce, &e), 0);
}

/* As the gateway's loop does it. */
static void turn(struct box *b)
{
	struct pollfd p = { .fd = enforce_fd(b->enforce), .events = POLLIN };
	int ms = enforce_wait_ms(b->enforce);

	poll(&p, 1, ms < 0 || ms > 100 ? 100 : ms);
	enforce_tick(b->enforce);
}

static const struct gateway_event spent = { .type = GATEWAY_BUDGET_EXCEEDED,
					    .has_cost_limit = true,
					    .cost = INT64_C(5000000000000),
					    .cost_limit = INT64_C(5000000000000) };

static void exceed(struct box *b, int policy)
{
	struct gateway_event x = spent;

	x.policy = policy;
	x.action = b->config.policies.v[policy].on_exceeded;
	enforce_event(b->enforce, &x);
}

static size_t count_of(struct box *b, const char *word)
{
	_free_ char *events = read_file(b, "events.jsonl");
	size_t n = 0;

	for (const char *at = events; (at = strstr(at, word)); at++)
		n++;
	return n;
}

static void check_limit(struct box *b, const char *expected, const char *action)
{
	_gateway_limit_clear_ struct gateway_limit l = {};
	_buf_free_ struct buf text = {};
	bool met = true;
	struct err e;

	assert_int_equal(gateway_limit_load(b->dirfd, &l, &met, &e), 0);
	assert_int_equal(met, expected != NULL);
	if (!expected)
		return;
	gateway_limit_text(&l, &text);
	assert_string_equal(text.s, expected);
	assert_string_equal(l.action, action);
}

static void a_spent_budget_stops_the_container_and_says_why(void **state)
{
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	start_enforce(&b);
	check_limit(&b, NULL, NULL);
	exceed(&b, BUILD_STOP);
	assert_int_equal(end_of_init(&b), SIGTERM);
	check_limit(&b,
		    "the budget of policy stops is spent: $5.00 of $5.00 "
		    "(ai_policy.budget, /etc/purple/policies/p.yaml:10)",
		    "stop");
	/* There is no way back. */
	b.has_budget = true;
	enforce_look(b.enforce);
	assert_int_equal(count_of(&b, "\"budget_lifted\""), 0);
	enforce_end(b.enforce, 7, 1, NULL);
	assert_int_equal(count_of(&b, "\"type\":\"budget_exceeded\""), 1);
	assert_int_equal(count_of(&b, "\"calls\":7,\"denied\":1"), 1);
	assert_int_equal(count_of(&b, "gateway_died"), 0);
	clear_box(&b);
}

static void a_frozen_container_goes_on_when_there_is_budget(void **state)
{
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	start_enforce(&b);
	assert_int_equal(enforce_wait_ms(b.enforce), -1);
	exceed(&b, BUILD_FREEZE);
	wait_for_text(&b, "cgroup.freeze", "1");
	assert_true(enforce_is_frozen(b.enforce));
	check_limit(&b,
		    "the budget of policy freezes is spent: $5.00 of $5.00 "
		    "(ai_policy.budget, /etc/purple/policies/p.yaml:30)",
		    "freeze");
	/* Of a second policy, too: both must have budget. */
	exceed(&b, BUILD_DENY);
	check_limit(&b,
		    "the budget of policy freezes is spent: $5.00 of $5.00 "
		    "(ai_policy.budget, /etc/purple/policies/p.yaml:30)",
		    "freeze");
	/* Told once, and done again where somebody has thawed it. */
	exceed(&b, BUILD_FREEZE);
	enforce_again(b.enforce, BUILD_FREEZE);
	wait_for_text(&b, "cgroup.freeze", "111");
	assert_int_equal(count_of(&b, "\"type\":\"budget_exceeded\""), 2);
	/* Within a second or so, without being told. */
	assert_in_range(enforce_wait_ms(b.enforce), 0, 1000);
	turn(&b);
	assert_int_equal(b.thaws, 0);
	b.has_budget = true;
	for (int i = 0; i < PATIENCE_MS / 100 && b.thaws == 0; i++)
		turn(&b);
	assert_int_equal(b.thaws, 1);
	wait_for_text(&b, "cgroup.freeze", "1110");
	assert_false(enforce_is_frozen(b.enforce));
	check_limit(&b, NULL, NULL);
	assert_int_equal(count_of(&b, "\"type\":\"budget_lifted\""), 2);
	assert_int_equal(enforce_wait_ms(b.enforce), -1);
	/* And again. */
	b.has_budget = false;
	exceed(&b, BUILD_FREEZE);
	wait_for_text(&b, "cgroup.freeze", "11101");
	b.has_budget = true;
	enforce_look(b.enforce);
	wait_for_text(&b, "cgroup.freeze", "111010");
	enforce_end(b.enforce, 0, 0, NULL);
	clear_box(&b);
}

static void what_cannot_be_done_is_told(void **state)
{
	_gateway_limit_clear_ struct gateway_limit l = {};
	bool met = false;
	struct box b;
	struct err e;

	make_box(&b, false, true, NULL);
	start_enforce(&b);
	exceed(&b, BUILD_FREEZE);
	for (int i = 0; i < PATIENCE_MS / 100 && enforce_is_frozen(b.enforce); i++)
		turn(&b);
	assert_false(enforce_is_frozen(b.enforce));
	assert_int_equal(count_of(&b, "\"type\":\"action_failed\""), 1);
	assert_int_equal(count_of(&b,
				  "\"action\":\"freeze\",\"error\":{\"message\":\"the container has no cgroup"),
			 1);
	assert_int_equal(gateway_limit_load(b.dirfd, &l, &met, &e), 0);
	assert_true(met);
	assert_string_equal(l.failed, "the container has no cgroup that can be frozen");
	enforce_end(b.enforce, 0, 0, NULL);
	clear_box(&b);
}

static void a_policy_that_audits_only_tells(void **state)
{
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	b.config.policies.v[BUILD_STOP].is_audit = true;
	start_enforce(&b);
	exceed(&b, BUILD_STOP);
	turn(&b);
	assert_int_equal(kill(b.init, 0), 0);
	assert_int_equal(count_of(&b, "\"type\":\"budget_exceeded\""), 1);
	enforce_end(b.enforce, 0, 0, NULL);
	clear_box(&b);
}

/* --- alerts --- */

static void write_script(struct box *b, const char *text)
{
	_free_ char *path = str_printf("%s/alert", b->dir);
	struct err e;

	assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0700, &e), 0);
	assert_int_equal(strv_add(&b->config.alert_command, path), 0);
	assert_int_equal(strv_add(&b->config.alert_command, "; touch $(pwned)"), 0);
	assert_int_equal(strv_add(&b->config.alert_command, b->dir), 0);
}

static void alert_at(struct box *b, int policy, uint32_t percent)
{
	struct gateway_event x = spent;

	x.type = GATEWAY_BUDGET_ALERT;
	x.policy = policy;
	x.percent = percent;
	enforce_event(b->enforce, &x);
}

static void alerts_run_the_command_and_call_the_webhook(void **state)
{
	static const char script[] =
		"#!/bin/sh\n"
		"dir=$2\n"
		"cat >>\"$dir/stdin\"\n"
		"env | grep PURPLE | sort >>\"$dir/env\"\n"
		"echo \"$1|$(pwd)|$(ls /proc/self/fd | wc -w)\" >>\"$dir/args\"\n"
		"echo done >>\"$dir/done\"\n";
	static const char environment[] = "PURPLE_BUDGET=c1\n"
					  "PURPLE_CONTAINER=c1\n"
					  "PURPLE_COST=$5.00\n"
					  "PURPLE_COST_LIMIT=$5.00\n"
					  "PURPLE_EVENT=budget_alert\n"
					  "PURPLE_PERCENT=80\n"
					  "PURPLE_POLICY=stops\n"
					  "PURPLE_ACTION=deny\n"
					  "PURPLE_BUDGET=policy:denies\n"
					  "PURPLE_CONTAINER=c1\n"
					  "PURPLE_COST=$5.00\n"
					  "PURPLE_COST_LIMIT=$5.00\n"
					  "PURPLE_EVENT=budget_exceeded\n"
					  "PURPLE_POLICY=denies\n";
	_free_ char *env = NULL, *args = NULL, *in = NULL;
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	write_script(&b, script);
	b.config.alert_webhook = strdup("https://hooks.example/x");
	open_file(&b, "done");
	start_enforce(&b);
	alert_at(&b, BUILD_STOP, 80);
	exceed(&b, BUILD_DENY);
	/* Not again for the same. */
	exceed(&b, BUILD_DENY);
	turn(&b);
	assert_int_equal(b.posts.n, 2);
	assert_non_null(strstr(b.posts.v[0], "\"type\":\"budget_alert\""));
	assert_non_null(strstr(b.posts.v[1], "\"type\":\"budget_exceeded\""));
	/* It goes on when the gateway has ended. */
	enforce_end(b.enforce, 0, 0, NULL);
	wait_for_text(&b, "done", "done\ndone\n");
	env = read_file(&b, "env");
	assert_string_equal(env, environment);
	args = read_file(&b, "args");
	/* Three descriptors, and the one of the folder that ls reads. */
	assert_string_equal(args, "; touch $(pwned)|/|4\n; touch $(pwned)|/|4\n");
	in = read_file(&b, "stdin");
	assert_non_null(strstr(in, "\"type\":\"budget_alert\""));
	assert_non_null(strstr(in, "\n{"));
	assert_int_equal(count_of(&b, "action_failed"), 0);
	clear_box(&b);
}

static void a_command_that_fails_is_told(void **state)
{
	struct box b;

	make_box(&b, false, true, "cgroup.freeze");
	write_script(&b, "#!/bin/sh\nexit 3\n");
	start_enforce(&b);
	alert_at(&b, BUILD_STOP, 50);
	for (int i = 0; i < PATIENCE_MS / 100 && !count_of(&b, "action_failed"); i++)
		turn(&b);
	assert_int_equal(count_of(&b,
				  "\"action\":\"alert\",\"error\":{\"message\":\"it ended with status 3\"}"),
			 1);
	enforce_end(b.enforce, 0, 0, NULL);
	clear_box(&b);
}

static void the_alerter_believes_nothing(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};
	const struct gateway_alert good = { .type = GATEWAY_BUDGET_ALERT, .percent = 80 };
	struct gateway_event x;
	struct gateway_alert m;

	build_config(&c);
	assert_true(gateway_alert_event(&c, &good, &x));
	m = good;
	m.policy = 3;
	assert_false(gateway_alert_event(&c, &m, &x));
	m = good;
	m.type = GATEWAY_LLM_CALL;
	assert_false(gateway_alert_event(&c, &m, &x));
	m = good;
	m.percent = 101;
	assert_false(gateway_alert_event(&c, &m, &x));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_asks_first),
		cmocka_unit_test(stop_ends_who_does_not_listen),
		cmocka_unit_test(stop_ends_the_whole_group),
		cmocka_unit_test(stop_goes_on_when_the_gateway_dies),
		cmocka_unit_test(freezing_and_thawing),
		cmocka_unit_test(frozen_stays_frozen_when_the_gateway_dies),
		cmocka_unit_test(an_orderly_end_is_no_death),
		cmocka_unit_test(it_takes_nothing_but_its_messages),
		cmocka_unit_test(it_keeps_one_capability),
		cmocka_unit_test(a_session_has_its_time),
		cmocka_unit_test(spent_memory_ends_all),
		cmocka_unit_test(its_parents_death_is_the_end_where_it_is_to_be),
		cmocka_unit_test(the_first_reason_is_the_one),
		cmocka_unit_test(a_spent_budget_stops_the_container_and_says_why),
		cmocka_unit_test(a_frozen_container_goes_on_when_there_is_budget),
		cmocka_unit_test(what_cannot_be_done_is_told),
		cmocka_unit_test(a_policy_that_audits_only_tells),
		cmocka_unit_test(alerts_run_the_command_and_call_the_webhook),
		cmocka_unit_test(a_command_that_fails_is_told),
		cmocka_unit_test(the_alerter_believes_nothing),
	};

	/* Whatever hangs is a failure. */
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
