/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of base/helper.c: a child that stands for a helper program, and its caller. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/helper.h"

#define PROGRAM "the program"
#define PATIENCE_MS 60000

static int cannot_become(const void *start, int *report, struct err *e)
{
	int r = helper_move_report(report, 100, e);

	if (r < 0 || *report < 100)
		_exit(EXIT_FAILURE);
	return err_set(e, ERR_CONFIG, EINVAL, "there is no %s", (const char *)start);
}

/* Says the messages of `start`, and stays. */
static int say(const void *start, int *report, struct err *e)
{
	for (const char *const *m = start; *m; m++)
		if (send(*report, *m, strlen(*m), MSG_NOSIGNAL) < 0)
			_exit(EXIT_FAILURE);
	for (;;)
		pause();
}

static int stay_ready(const void *start, int *report, struct err *e)
{
	if (helper_report(*report, NULL) < 0)
		_exit(EXIT_FAILURE);
	for (;;)
		pause();
}

static int die(const void *start, int *report, struct err *e)
{
	_exit(EXIT_FAILURE);
}

/* Starts it, waits for its word, ends it: what the wait came to. */
static int try(helper_become *become, const void *start, int ms, struct err *e)
{
	pid_t pid = 0, child;
	int report = -1, r;

	assert_int_equal(helper_begin(become, start, &pid, &report, e), 0);
	assert_true(pid > 0);
	assert_true(fcntl(report, F_GETFD) & FD_CLOEXEC);
	r = helper_await(report, PROGRAM, ms, e);
	child = pid;
	helper_end(&pid, &report);
	assert_int_equal(pid, 0);
	assert_int_equal(report, -1);
	assert_int_equal(waitpid(child, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
	return r;
}

static void a_program_that_is_ready_is_waited_for(void **state)
{
	struct err e;

	assert_int_equal(try(stay_ready, NULL, PATIENCE_MS, &e), 0);
}

static void what_keeps_a_child_from_being_the_program_is_told(void **state)
{
	struct err e;

	assert_int_equal(try(cannot_become, "way", PATIENCE_MS, &e), -EIO);
	assert_string_equal(e.msg, "there is no way");
}

static void the_longest_error_comes_through(void **state)
{
	char text[sizeof(((struct err *)0)->msg) + 1];
	struct err e;

	memset(text, 'x', sizeof(text));
	text[0] = HELPER_ERROR;
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(try(say, (const char *const[]){ text, NULL }, PATIENCE_MS, &e),
			 -EIO);
	assert_string_equal(e.msg, text + 1);
}

static void other_words_death_and_silence_are_errors(void **state)
{
	struct err e;

	assert_int_equal(try(say, (const char *const[]){ "?", NULL }, PATIENCE_MS, &e),
			 -EPROTO);
	assert_string_equal(e.msg, "'" PROGRAM "' says odd things");
	assert_int_equal(try(die, NULL, PATIENCE_MS, &e), -EPIPE);
	assert_string_equal(e.msg, "'" PROGRAM "' died");
	assert_int_equal(try(say, (const char *const[]){ NULL }, 1, &e), -ETIMEDOUT);
}

static void messages_of_its_own_come_one_by_one(void **state)
{
	const char *const words[] = { "p41", "r", NULL };
	char buf[HELPER_MESSAGE_MAX];
	int64_t since = clock_ms(CLOCK_MONOTONIC);
	int report = -1;
	pid_t pid = 0;
	struct err e;

	assert_int_equal(helper_begin(say, words, &pid, &report, &e), 0);
	assert_int_equal(helper_receive(report, PROGRAM, since, PATIENCE_MS, buf, &e), 3);
	assert_string_equal(buf, "p41");
	assert_int_equal(helper_await(report, PROGRAM, PATIENCE_MS, &e), 0);
	helper_end(&pid, &report);
	/* What is not there is left alone. */
	helper_end(&pid, &report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_is_ready_is_waited_for),
		cmocka_unit_test(what_keeps_a_child_from_being_the_program_is_told),
		cmocka_unit_test(the_longest_error_comes_through),
		cmocka_unit_test(other_words_death_and_silence_are_errors),
		cmocka_unit_test(messages_of_its_own_come_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
