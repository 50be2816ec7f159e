/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight gateways on one ledger, with budgets of their own and budgets that they share, killed at any
 * moment (ledger_crew.h), and a provider that keeps to the maximum it is given and to nothing else: it
 * counts any input up to a token a byte, fills the maximum or not, and often does not say what it
 * took. All the while one process looks whether charged + reserved passes a limit. At the end every
 * call that the provider saw is in the ledger once, charged with what the provider took, or with what
 * was reserved.
 *
 * The seed is fixed, and so is the number of rounds; what the kernel makes of eight processes is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/meter_parts.h"
#include "ledger_crew.h"
#include "meter_build.h"

#define SEED 20261122u
#define SHARED_TOKENS INT64_C(600000)
#define SHARED_COST INT64_C(1500000000)
#define OWN_TOKENS INT64_C(200000)

/* So many calls are over budget until a new day comes. */
enum { KILLS = 60, SPENT_A_DAY = 100, HELD_MAX = 8 };

static struct meter_box box;

static int setup(void **state)
{
	(void)state;
	box = (struct meter_box){};
	box_open(&box);
	crew_setup();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crew_teardown();
	box_close(&box);
	return 0;
}

/* --- a gateway --- */

/*
 * Records: 'A' was admitted, with what is reserved; 'P' the provider took so much; 'S' is about to be charged
 * with so much, 'E' with an estimate, 'L' to be released; small letters: has been.
 */

struct held {
	struct meter_call *call;
	int64_t id, tokens, cost, cap, bytes;
};

struct gateway {
	struct life life;
	struct held held[HELD_MAX];
	int n;
};

static struct meter_time now(void)
{
	return at(shared->now);
}

/* Of any kind: huge maxima, none, several answers, long input, streams. */
static size_t make_body(struct gateway *g, char *to, size_t size)
{
	static const char *const maxima[] = { "\"max_tokens\":128000,", "",
					      "\"max_tokens\":300,", "\"max_tokens\":40,",
					      "\"max_completion_tokens\":1500,\"n\":2," };
	int pad = (int)roll(&g->life, 4) == 0 ? (int)roll(&g->life, 3000) :
						(int)roll(&g->life, 200);
	int n = snprintf(to, size,
			 "{\"model\":\"%s\",%s%s\"messages\":[{\"role\":\"user\",\"content\":"
			 "\"%*s\"}]}",
			 roll(&g->life, 3) ? "m" : "big",
			 maxima[roll(&g->life, ARRAY_SIZE(maxima))],
			 roll(&g->life, 2) ? "\"stream\":true," : "", pad, "x");

	return (size_t)n;
}

static void begin_call(struct gateway *g)
{
	struct held *h = &g->held[g->n];
	struct meter_verdict v = {};
	struct llm_request r = {};
	struct edits edits;
	struct llm_server server = llm_server_by_name("openai");
	char body[4096];
	size_t len = make_body(g, body, sizeof(body));
	struct err e = {};
	bool hides;

	if (llm_request_read(&llm_format_chat, "", false, body, len, &r, &e) < 0)
		die("read", e.msg);
	*h = (struct held){ .bytes = (int64_t)len };
	meter_admit(box.meter, "openai", &r, now(), &h->call, &v);
	if (!v.admitted) {
		if (v.reason != LLM_REFUSE_RATE && v.reason != LLM_REFUSE_BUDGET)
			die("refused", v.message);
		if (v.reason == LLM_REFUSE_RATE && v.exceeded)
			die("a call that waits is said to be over budget", v.message);
		*(v.reason == LLM_REFUSE_RATE ? &shared->waiting : &shared->spent) += 1;
		return;
	}
	if (llm_request_rewrite(&r, &server, v.out_cap, &edits, &hides, &e) < 0)
		die("rewrite", e.msg);
	h->id = h->call->id;
	h->tokens = h->call->tokens;
	h->cost = h->call->cost;
	/* What the provider is told: the client's own, or less. */
	h->cap = r.max == INT64_MAX ? INT64_MAX : r.max * r.copies;
	if (v.out_cap < h->cap)
		h->cap = v.out_cap;
	note(&g->life, 'A', h->id, h->tokens, h->cost);
	shared->admitted++;
	g->n++;
}

/* What the provider takes: any input, and output up to what it was told. */
static struct llm_answer provide(struct gateway *g, const struct held *h, int64_t *ret_cost)
{
	bool is_big = streq(h->call->request.model, "big");
	int64_t in = 1 + roll(&g->life, h->bytes), out,
		cached = roll(&g->life, 3) ? 0 : roll(&g->life, in);
	struct llm_answer a = { .known = LLM_KNOWN_WHOLLY, .end = LLM_END_DONE };

	/* Every fourth takes all that there is. */
	out = roll(&g->life, 4) ? roll(&g->life, h->cap < 2000 ? h->cap + 1 : 2000) :
				  h->cap;
	if (roll(&g->life, 4) == 0)
		in = h->bytes;
	if (is_big)
		cached = 0;
	a.usage = (struct usage){ .in_uncached = in - cached,
				  .cache_read = cached,
				  .out = out };
	if (cached > in)
		die("the test", "cached");
	*ret_cost = (in - cached) * 1000 + cached * 100 + out * 4000;
	if (is_big && in > 1000)
		*ret_cost = in * 2000 + out * 8000;
	/* The text is as long as that of so many tokens. */
	a.text_bytes = (uint64_t)out * 4;
	a.pieces = (uint64_t)out / 2;
	return a;
}

static void end_call(struct gateway *g)
{
	int i = (int)roll(&g->life, g->n), kind = (int)roll(&g->life, 8);
	struct held h = g->held[i];
	int64_t cost = 0, tokens;
	struct llm_answer a = provide(g, &h, &cost);
	struct meter_verdict v;

	g->held[i] = g->held[--g->n];
	tokens = a.usage.in_uncached + a.usage.cache_read + a.usage.out;
	if (kind == 0) {
		note(&g->life, 'L', h.id, 0, 0);
		meter_settle(box.meter, h.call, NULL, METER_REFUSED, 503, now());
		note(&g->life, 'l', h.id, 0, 0);
		return;
	}
	note(&g->life, 'P', h.id, tokens, cost);
	meter_progress(box.meter, h.call, &a, now(), &v);
	if (!v.admitted)
		die("a provider that keeps to its maximum is cut", v.message);
	/* Without usage: hung up, broken off, or it was never told. */
	if (kind <= 3) {
		a.known = LLM_KNOWN_NONE;
		a.usage = (struct usage){};
		if (kind != 3)
			a.end = LLM_END_CUT;
	}
	note(&g->life, kind <= 3 ? 'E' : 'S', h.id, tokens, cost);
	meter_settle(box.meter, h.call, &a,
		     kind == 1 ? METER_GONE :
		     kind == 2 ? METER_BROKEN :
				 METER_WHOLE,
		     200, now());
	note(&g->life, kind <= 3 ? 'e' : 's', h.id, tokens, cost);
}

/* The budgets of one gateway: two that all share, and one of its own. */
static void make_policies(int index)
{
	struct gateway_policy *p = box_policy(&box, "all");

	p->scope = LEDGER_POLICY;
	p->period = LEDGER_DAY;
	box_limit_tokens(p, SHARED_TOKENS);
	p = box_policy(&box, "team");
	p->scope = LEDGER_TEAM;
	p->team = strdup("red");
	p->period = LEDGER_DAY;
	box_limit_cost(p, SHARED_COST);
	p = box_policy(&box, "own");
	p->period = LEDGER_DAY;
	box_limit_tokens(p, OWN_TOKENS);
	free(box.config.session);
	box.config.session = str_printf("c%d@1", index);
	/* Every other one writes the end of a call later. */
	box.defers = index % 2 == 0;
}

static _Noreturn void work(int index, int life)
{
	struct gateway g = {};
	struct err e = {};

	life_begin(&g.life, box.dir, index, life, SEED);
	make_policies(index);
	if (box_start_as(&box, &box.ledger, &box.meter, &e) < 0)
		die("start", e.msg);
	for (int i = 0; i < CREW_CALLS_OF_A_LIFE && !shared->is_over; i++) {
		if (g.n == 0 || (g.n < HELD_MAX && roll(&g.life, 2)))
			begin_call(&g);
		else
			end_call(&g);
		if (meter_wait_ms(box.meter, now()) >= 0 && roll(&g.life, 4) == 0 &&
		    meter_tick(box.meter, now(), &e) < 0)
			die("tick", e.msg);
	}
	/* It ends in good order, with calls under way: these are charged in full. */
	if (meter_tick(box.meter, now(), &e) < 0 ||
	    ledger_close(box.ledger, now().real, &e) < 0)
		die("close", e.msg);
	_exit(0);
}

/* --- who looks on --- */

static int check_counter(const struct ledger_counter *c, void *arg)
{
	int64_t tokens = streq(c->scope, "policy")  ? SHARED_TOKENS :
			 streq(c->scope, "session") ? OWN_TOKENS :
						      INT64_MAX;
	int64_t cost = streq(c->scope, "team") ? SHARED_COST : INT64_MAX;
	int64_t *seen = arg;

	if (c->tokens + c->tokens_reserved > tokens || c->cost + c->cost_reserved > cost)
		die("a limit was passed", c->scope);
	(*seen)++;
	return 0;
}

static _Noreturn void look_on(void)
{
	struct ledger *l = NULL;
	struct err e = {};
	int64_t seen = 0;

	if (ledger_open(box.ledger_path, LEDGER_ADMIN, 60000, NOON, &l, &e) < 0)
		die("open to look on", e.msg);
	while (!shared->is_over) {
		if (ledger_counters(l, NULL, NULL, check_counter, &seen, &e) < 0 ||
		    ledger_verify(l, &e) < 0)
			die("look on", e.msg);
	}
	ledger_drop(l);
	_exit(0);
}

/* --- the test --- */

static void begin_a_day(void)
{
	static int64_t spent;

	if (shared->spent > spent + SPENT_A_DAY) {
		shared->now += DAY;
		spent = shared->spent;
	}
}

/* The last that is told of a call, and what the provider took of it; `is_late`: of that gateway. */
static const struct record *find_record(const struct log *logs, int64_t id,
					const struct record **ret_bill, bool *ret_defers)
{
	const struct record *last = NULL;

	*ret_bill = NULL;
	for (int i = 0; i < CREW_WORKERS && !last; i++) {
		for (size_t k = 0; k < logs[i].n; k++) {
			const struct record *r = &logs[i].records[k];

			if (r->id != id)
				continue;
			last = r;
			*ret_defers = i % 2 == 0;
			if (r->op == 'P')
				*ret_bill = r;
		}
	}
	return last;
}

static bool is_row_right(const struct row *w, const struct record *r,
			 const struct record *bill, bool defers)
{
	bool is_settled = streq(w->state, "settled");
	/* An estimate is something, and no more than was reserved. */
	bool is_estimated = is_settled && w->tokens > 0 && w->cost > 0 &&
			    w->tokens <= w->tokens_reserved && w->cost <= w->cost_reserved;

	/* The provider keeps to what it was told, so what is reserved is enough. */
	if (bill && (bill->tokens > w->tokens_reserved || bill->cost > w->cost_reserved))
		return false;
	if (!r)
		return is_recovered(w);
	switch ((char)r->op) {
	case 'A':
		return is_recovered(w) && w->tokens == r->tokens && w->cost == r->cost;
	case 'P':
		return is_recovered(w);
	case 'S':
	case 's':
		return (is_settled && w->tokens == r->tokens && w->cost == r->cost) ||
		       ((r->op == 'S' || defers) && is_recovered(w));
	case 'E':
	case 'e':
		return is_estimated || ((r->op == 'E' || defers) && is_recovered(w));
	case 'L':
	case 'l':
		return is_released(w) || ((r->op == 'L' || defers) && is_recovered(w));
	}
	return false;
}

static bool check_row(const struct row *w, const struct log *logs)
{
	const struct record *bill, *r;
	bool defers = false;

	r = find_record(logs, w->id, &bill, &defers);
	if (!is_row_right(w, r, bill, defers))
		fail_msg("call %lld is %s with %lld of %lld tokens and %lld of %lld, but its "
			 "log ends with '%c' %lld %lld",
			 (long long)w->id, w->state, (long long)w->tokens,
			 (long long)w->tokens_reserved, (long long)w->cost,
			 (long long)w->cost_reserved, r ? (char)r->op : '-',
			 r ? (long long)r->tokens : 0, r ? (long long)r->cost : 0);
	return r != NULL;
}

static void check_ledger(struct tally *t)
{
	struct log logs[CREW_WORKERS];
	struct ledger *l = NULL;
	int64_t admitted = 0, seen = 0;
	struct err e = {};

	assert_int_equal(ledger_open(box.ledger_path, LEDGER_GATEWAY, 1000, NOON, &l, &e),
			 0);
	if (ledger_verify(l, &e) < 0 ||
	    ledger_counters(l, NULL, NULL, check_counter, &seen, &e) < 0 ||
	    ledger_close(l, NOON, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(seen > 2);
	for (int i = 0; i < CREW_WORKERS; i++) {
		logs[i] = read_log(box.dir, i);
		for (size_t k = 0; k < logs[i].n; k++)
			admitted += logs[i].records[k].op == 'A';
	}
	check_rows(box.ledger_path, logs, check_row, t);
	/* Every call that was admitted has its row, and there are no others but of the killed. */
	assert_int_equal(t->rows, admitted + t->unlogged);
	assert_true(t->unlogged <= KILLS + CREW_WORKERS);
	for (int i = 0; i < CREW_WORKERS; i++)
		free(logs[i].records);
}

static void test_never_overspent(void **state)
{
	struct crew crew = {
		.seed = SEED, .work = work, .look_on = look_on, .meanwhile = begin_a_day
	};
	struct tally t = {};

	(void)state;
	print_message("# seed %u, %d kills\n", SEED, KILLS);
	crew_begin(&crew);
	for (int k = 0; k < KILLS; k++)
		crew_kill_one(&crew, 40, 160);
	crew_end(&crew);
	check_ledger(&t);
	print_message("# %lld calls: %lld settled, %lld released, %lld recovered; %lld had to wait, "
		      "%lld were over budget\n",
		      (long long)t.rows, (long long)t.settled, (long long)t.released,
		      (long long)t.recovered, (long long)shared->waiting,
		      (long long)shared->spent);
	assert_true(t.settled > 50 && t.released > 0 && t.recovered > 10);
	assert_true(shared->waiting > 0 && shared->spent > 0);
}

/* --- 64 calls at 99 % of a budget --- */

static const char last_body[] = "{\"model\":\"m\",\"max_tokens\":1000,\"stream\":true,"
				"\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";

/* Eight calls of each of eight gateways, all of them under way before the first ends. */
static _Noreturn void ask_at_once(int index)
{
	struct gateway g = {};
	struct llm_request r = {};
	struct err e = {};

	make_policies(index);
	if (box_start_as(&box, &box.ledger, &box.meter, &e) < 0 ||
	    llm_request_read(&llm_format_chat, "", false, last_body, strlen(last_body),
			     &r, &e) < 0)
		die("start", e.msg);
	crew_meet(CREW_WORKERS);
	for (int i = 0; i < HELD_MAX; i++) {
		struct held *h = &g.held[g.n];
		struct meter_verdict v = {};

		meter_admit(box.meter, "openai", &r, now(), &h->call, &v);
		h->cap = v.out_cap;
		g.n += v.admitted;
		if (!v.admitted && v.reason != LLM_REFUSE_RATE &&
		    v.reason != LLM_REFUSE_BUDGET)
			die("refused", v.message);
	}
	shared->admitted += g.n;
	crew_meet(2 * CREW_WORKERS);
	/* Each takes all that it was told it may. */
	for (int i = 0; i < g.n; i++) {
		struct llm_answer a = { .known = LLM_KNOWN_WHOLLY,
					.end = LLM_END_DONE,
					.usage = { .in_uncached = (int64_t)strlen(last_body),
						   .out = g.held[i].cap } };

		meter_settle(box.meter, g.held[i].call, &a, METER_WHOLE, 200, now());
	}
	if (meter_tick(box.meter, now(), &e) < 0 ||
	    ledger_close(box.ledger, now().real, &e) < 0)
		die("close", e.msg);
	_exit(0);
}

/* What was spent before: 99 % of what all share. */
static void spend(int64_t tokens, int64_t cost)
{
	const struct ledger_limit limits[] = {
		{ .scope = LEDGER_POLICY, .period = LEDGER_DAY, .name = "all" },
		{ .scope = LEDGER_TEAM, .period = LEDGER_DAY, .name = "red" },
	};
	struct ledger_call c = { .limits = limits, .n_limits = 2 };
	struct ledger_charge charge = { .usage = { .out = tokens }, .cost = cost };
	struct ledger_answer a = {};
	struct ledger *l = NULL;
	struct err e = {};

	if (ledger_open(box.ledger_path, LEDGER_GATEWAY, 1000, NOON, &l, &e) < 0 ||
	    ledger_reserve(l, &c, NOON, &a, &e) < 0 ||
	    ledger_settle(l, a.id, &charge, NOON, &e) < 0 || ledger_close(l, NOON, &e) < 0)
		fail_msg("%s", e.msg);
}

static void test_64_calls_at_the_limit(void **state)
{
	pid_t pids[CREW_WORKERS];
	struct ledger *l = NULL;
	int64_t seen = 0;
	struct err e = {};

	(void)state;
	spend(SHARED_TOKENS * 99 / 100, SHARED_COST * 99 / 100);
	for (int i = 0; i < CREW_WORKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			ask_at_once(i);
	}
	for (int i = 0; i < CREW_WORKERS; i++)
		expect_end(pids[i]);
	assert_int_equal(ledger_open(box.ledger_path, LEDGER_ADMIN, 1000, NOON, &l, &e), 0);
	/* check_counter() ends the process where a limit was passed. */
	if (ledger_counters(l, NULL, NULL, check_counter, &seen, &e) < 0 ||
	    ledger_verify(l, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(shared->admitted >= 1 && shared->admitted < 16);
	print_message("# %lld of 64 calls passed\n", (long long)shared->admitted);
	ledger_drop(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_never_overspent),
		T(test_64_calls_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
