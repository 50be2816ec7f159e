/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that ask together, and are reserved in one transaction of the ledger: one that is refused
 * leaves the others right; when the transaction fails none passes, and nothing is lost; killed at any
 * moment, what was let pass is charged, and nothing else. SQLite must not be open across fork(): what
 * is killed is a child that opens the ledger itself.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "meter_calls.h"

#define N 5

struct batch {
	struct llm_request r[METER_ASKS_MAX];
	struct meter_ask asks[METER_ASKS_MAX];
	size_t n;
};

static void add_ask(struct batch *b, const char *body)
{
	struct err e = {};

	if (llm_request_read(&llm_format_chat, "", false, body, strlen(body), &b->r[b->n],
			     &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	b->asks[b->n] = (struct meter_ask){ .provider = "openai", .request = &b->r[b->n] };
	b->n++;
}

static void add_small(struct batch *b, size_t n)
{
	while (n-- > 0)
		add_ask(b, SMALL);
}

static void admit(struct meter_box *box, struct batch *b, int64_t ms)
{
	meter_admit_all(box->meter, b->asks, b->n, at(ms));
}

static size_t admitted(const struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		assert_true(b->asks[i].verdict.admitted == !!b->asks[i].call);
		n += b->asks[i].verdict.admitted;
	}
	return n;
}

static void settle(struct meter_box *box, struct batch *b)
{
	struct llm_answer a = whole(
		"{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"x\"},"
		"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":2,"
		"\"completion_tokens\":3,\"total_tokens\":5}}");

	for (size_t i = 0; i < b->n; i++)
		if (b->asks[i].call)
			meter_settle(box->meter, b->asks[i].call, &a, METER_WHOLE, 200,
				     at(0));
}

/* What one SMALL call reserves. */
static int64_t small(void)
{
	return bound(SMALL) + 300;
}

/* Each sees those before it, and one that is refused is as if it had not asked. */
static void test_refused_in_the_middle(void **state)
{
	struct meter_box *box = *state;
	struct batch b = {};
	_free_ char *large =
		long_body("{\"model\":\"m\",\"max_tokens\":300,\"messages\":[{\"role\":"
			  "\"user\",\"content\":\"",
			  9000, "\"}]}");

	box_limit_tokens(box_policy(box, "p"), 2000);
	box_start(box);
	add_small(&b, 2);
	add_ask(&b, large);
	add_small(&b, 2);
	admit(box, &b, 0);
	assert_int_equal(admitted(&b), 4);
	assert_false(b.asks[2].verdict.admitted);
	assert_int_equal(b.asks[2].verdict.reason, LLM_REFUSE_BUDGET);
	assert_int_equal(meter_calls(box->meter), 4);
	assert_int_equal(session(box).tokens_reserved, 4 * small());
	verify(box);
	settle(box, &b);
	assert_int_equal(meter_calls(box->meter), 0);
	assert_int_equal(session(box).tokens_reserved, 0);
	assert_int_equal(session(box).tokens, 4 * 5);
	verify(box);
}

/* They share what is left: together never more than that, and the last ones wait. */
static void test_never_more_than_is_left(void **state)
{
	struct meter_box *box = *state;
	struct batch b = {}, after = {};

	box_limit_tokens(box_policy(box, "p"), 3 * small() + 10);
	box_start(box);
	add_small(&b, N);
	admit(box, &b, 0);
	assert_int_equal(admitted(&b), 3);
	for (size_t i = 3; i < N; i++)
		assert_int_equal(b.asks[i].verdict.reason, LLM_REFUSE_RATE);
	assert_int_equal(session(box).tokens_reserved, 3 * small());
	verify(box);
	settle(box, &b);
	add_small(&after, 2);
	admit(box, &after, 0);
	assert_int_equal(admitted(&after), 2);
	assert_int_equal(session(box).tokens, 3 * 5);
	settle(box, &after);
	verify(box);
}

static void test_requests_a_minute(void **state)
{
	struct meter_box *box = *state;
	struct batch b = {};

	box_policy(box, "p")->requests_per_minute = 3;
	box_start(box);
	add_small(&b, N);
	admit(box, &b, 0);
	assert_int_equal(admitted(&b), 3);
	assert_int_equal(b.asks[3].verdict.reason, LLM_REFUSE_RATE);
	assert_true(b.asks[3].verdict.retry_after > 0);
	settle(box, &b);
}

/* No file may grow any more: statements go through, and the commit does not. */
static void forbid_writing(struct rlimit *ret_before)
{
	struct rlimit none;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, ret_before), 0);
	none = *ret_before;
	none.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

/* None of a batch passes whose commit fails; what was over before it is charged later, once. */
static void test_commit_fails(void **state)
{
	struct meter_box *box = *state;
	struct batch before = {}, b = {}, after = {};
	struct rlimit rlimit;

	box->defers = true;
	box_limit_tokens(box_policy(box, "p"), 100000);
	box->config.policies.v[0].requests_per_minute = N + 1;
	box_start(box);
	add_small(&before, 1);
	admit(box, &before, 0);
	assert_int_equal(admitted(&before), 1);
	settle(box, &before);

	add_small(&b, N);
	forbid_writing(&rlimit);
	admit(box, &b, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rlimit), 0);
	assert_int_equal(admitted(&b), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(b.asks[i].verdict.reason, LLM_REFUSE_UNAVAILABLE);
	assert_int_equal(box_count(box, GATEWAY_LLM_DENIED), N);
	assert_non_null(strstr(box_last(box, GATEWAY_LLM_DENIED)->error, "commit"));
	assert_int_equal(meter_calls(box->meter), 0);
	/* The first is still reserved, as its end is not written. */
	assert_int_equal(session(box).tokens_reserved, small());
	assert_int_equal(session(box).tokens, 0);
	verify(box);

	/* Calls that were not made do not count for the minute. */
	add_small(&after, N);
	admit(box, &after, 0);
	assert_int_equal(admitted(&after), N);
	assert_int_equal(session(box).tokens, 5);
	assert_int_equal(session(box).tokens_reserved, N * small());
	settle(box, &after);
	assert_int_equal(meter_tick(box->meter, at(0), &(struct err){}), 0);
	assert_int_equal(session(box).tokens, 5 + N * 5);
	assert_int_equal(session(box).tokens_reserved, 0);
	verify(box);
}

/* --- killed --- */

static void run_and_kill(struct meter_box *box, void (*run)(struct meter_box *box))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		box_start(box);
		run(box);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void let_pass(struct meter_box *box)
{
	struct batch b = {};

	add_small(&b, N);
	admit(box, &b, 0);
	if (admitted(&b) != N)
		_exit(1);
}

/* They were let pass, and nobody knows what became of them. */
static void test_killed_after_the_commit(void **state)
{
	struct meter_box *box = *state;

	box_limit_tokens(box_policy(box, "p"), 100000);
	run_and_kill(box, let_pass);
	box_start(box);
	assert_int_equal(session(box).tokens, N * small());
	assert_int_equal(session(box).tokens_reserved, 0);
	verify(box);
}

static void stop_before_the_commit(struct meter_box *box)
{
	struct ledger_limit limit = { .name = box->config.session,
				      .has_tokens = true,
				      .tokens = 100000 };
	struct ledger_call c = {
		.container = "c1", .limits = &limit, .n_limits = 1, .tokens = 7
	};
	struct ledger_answer a = {};
	struct err e = {};

	let_pass(box);
	if (ledger_begin(box->ledger, &e) < 0)
		_exit(1);
	for (int i = 0; i < N; i++)
		if (ledger_reserve(box->ledger, &c, NOON, &a, &e) < 0 || !a.granted)
			_exit(1);
}

/* Those of the second batch were not let pass: nothing of them is left. */
static void test_killed_before_the_commit(void **state)
{
	struct meter_box *box = *state;

	box_limit_tokens(box_policy(box, "p"), 100000);
	run_and_kill(box, stop_before_the_commit);
	box_start(box);
	assert_int_equal(session(box).tokens, N * small());
	assert_int_equal(session(box).tokens_reserved, 0);
	verify(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_refused_in_the_middle),	 T(test_never_more_than_is_left),
		T(test_requests_a_minute),	 T(test_commit_fails),
		T(test_killed_after_the_commit), T(test_killed_before_the_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
