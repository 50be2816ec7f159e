/* SPDX-License-Identifier: Apache-2.0 */
/* purple monitor without a screen: columns, figures, texts from sandboxes, the tail of events. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fs.h"
#include "budget/money.h"
#include "cgroup/cgroup.h"
#include "cmd/purple/monitor.h"

static void assert_fit(const char *text, unsigned int width, bool right, bool utf8,
		       const char *expected)
{
	_buf_free_ struct buf out = {};

	monitor_fit(text, width, right, utf8, &out);
	assert_string_equal(out.s ? out.s : "", expected);
}

static void figures_are_short_and_round(void **state)
{
	assert_string_equal(monitor_bytes(0).s, "0");
	assert_string_equal(monitor_bytes(999).s, "999");
	assert_string_equal(monitor_bytes(1000).s, "1.0K");
	assert_string_equal(monitor_bytes(512u << 20).s, "512M");
	assert_string_equal(monitor_bytes(UINT64_MAX).s, "16E");
	assert_string_equal(monitor_count(999).s, "999");
	assert_string_equal(monitor_count(1000).s, "1.0k");
	assert_string_equal(monitor_count(182034).s, "182k");
	assert_string_equal(monitor_money(0).s, "$0.00");
	assert_string_equal(monitor_money(1).s, "<$0.01");
	assert_string_equal(monitor_money(MONEY_DOLLAR / 100).s, "$0.01");
	assert_string_equal(monitor_money(3 * MONEY_DOLLAR + MONEY_DOLLAR / 2).s, "$3.50");
	assert_string_equal(monitor_money(12345 * MONEY_DOLLAR).s, "$12345");
	assert_string_equal(monitor_percent(0).s, "0.0");
	assert_string_equal(monitor_percent(1299).s, "13.0");
	assert_string_equal(monitor_percent(160000).s, "1600");
	for (uint64_t v = 1; v < UINT64_MAX / 3; v *= 3) {
		assert_true(strlen(monitor_bytes(v).s) <= 6);
		assert_true(strlen(monitor_count(v).s) <= 6);
	}
	for (int64_t v = 1; v < INT64_MAX / 3; v *= 3)
		assert_true(strlen(monitor_money(v).s) <= 6);
}

static void text_fills_its_cells_exactly(void **state)
{
	assert_fit("abc", 5, false, false, "abc  ");
	assert_fit("abc", 5, true, false, "  abc");
	assert_fit("abcdef", 5, false, false, "abcd~");
	assert_fit("abc", 0, false, false, "");
	assert_fit("", 2, false, false, "  ");
	assert_fit("a\033[2J\nb", 8, false, false, "a?[2J?b ");
	assert_fit("\xff\xc3", 3, false, true, "?? ");
}

static void wide_and_odd_characters_keep_the_width(void **state)
{
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	assert_fit("ä€", 4, false, true, "ä€  ");
	assert_fit("ä€", 4, false, false, "??  ");
	assert_fit("日本語", 5, false, true, "日本~");
	assert_fit("日本語", 4, false, true, "日 ~");
	/* What turns the direction around, and what ends a terminal's line. */
	assert_fit("a\u202eb\xc2\x85", 5, false, true, "a?b? ");
	setlocale(LC_CTYPE, "C");
}

static void long_lines_go_on_in_the_next(void **state)
{
	static const struct {
		const char *text, *wrapped;
		unsigned int width;
	} cases[] = {
		{ "", "", 5 },
		{ "abc\n\nde", "abc\n\nde\n", 5 },
		{ "abcdefgh", "abcde\nfgh\n", 5 },
		{ "ab cdefgh\n", "ab \ncdefg\nh\n", 5 },
		{ "a", "a\n", 1 },
		{ "one two three four five six", "one two three four \n    five six\n", 21 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_buf_free_ struct buf out = {};

		monitor_wrap(cases[i].text, cases[i].width, false, &out);
		assert_string_equal(out.s ? out.s : "", cases[i].wrapped);
	}
}

static void columns_fit_into_every_width(void **state)
{
	for (unsigned int width = 1; width < 400; width++) {
		unsigned int w[MONITOR_COLUMNS], sum = 0, n = 0;

		monitor_layout(width, w);
		for (int c = 0; c < MONITOR_COLUMNS; c++) {
			sum += w[c];
			n += w[c] > 0;
		}
		assert_true(n > 0);
		assert_true(sum + n - 1 <= width);
		assert_true(w[MONITOR_ID] > 0);
		if (width >= 80)
			assert_int_equal(n, MONITOR_COLUMNS);
	}
}

static void bar_shows_a_little_and_never_too_much(void **state)
{
	static const struct {
		uint32_t percent;
		const char *text;
	} bars[] = { { 0, "...." },  { 1, "#..." },   { 50, "##.." },
		     { 99, "###." }, { 100, "####" }, { UINT32_MAX, "####" } };

	for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
		_buf_free_ struct buf out = {};

		monitor_bar(bars[i].percent, 4, false, &out);
		assert_string_equal(out.s, bars[i].text);
	}
}

static void cells_say_what_is_not_known(void **state)
{
	struct monitor_row r = { .id = (char *)"a",
				 .policies = (char *)"p\033]0;x\007",
				 .status = CONTAINER_PAUSED };
	struct monitor_budget budgets[] = { { .percent = 10 }, { .percent = 80 } };

	for (int c = MONITOR_CPU; c < MONITOR_COLUMNS; c++) {
		_buf_free_ struct buf out = {};

		monitor_cell(&r, (enum monitor_column)c, 9, false, &out);
		assert_string_equal(out.s, "-");
	}
	r.has_memory = r.has_pids = r.has_llm = true;
	r.memory = 64u << 20;
	r.memory_limit = 512u << 20;
	r.pids = 12;
	r.pids_limit = CGROUP_UNLIMITED;
	r.budgets.v = budgets;
	r.budgets.n = 2;
	const struct {
		enum monitor_column c;
		const char *text;
	} cells[] = { { MONITOR_ID, "a" },
		      { MONITOR_POLICY, "p?]0;x?" },
		      { MONITOR_STATE, "frozen" },
		      { MONITOR_MEMORY, "64M/512M" },
		      { MONITOR_PIDS, "12" },
		      { MONITOR_COST, "$0.00" },
		      { MONITOR_BUDGET, "###.  80%" } };
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		_buf_free_ struct buf out = {};

		monitor_cell(&r, cells[i].c, 9, false, &out);
		assert_string_equal(out.s, cells[i].text);
	}
}

static void order_is_by_figure_and_then_by_id(void **state)
{
	struct monitor_row rows[] = {
		{ .id = (char *)"a", .has_cpu = true, .cpu = 5 },
		{ .id = (char *)"b" },
		{ .id = (char *)"c", .has_cpu = true, .cpu = 9 },
		{ .id = (char *)"d", .has_cpu = true, .cpu = 5 },
	};
	struct monitor m = { .rows = { rows, 4 } };
	size_t order[4];

	monitor_order(&m, MONITOR_BY_ID, order);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(order[i], i);
	monitor_order(&m, MONITOR_BY_CPU, order);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 0);
	assert_int_equal(order[2], 3);
	assert_int_equal(order[3], 1);
}

/* --- the tail --- */

struct folder {
	char path[64];
	int fd;
	struct monitor m;
	struct monitor_row row;
};

static int folder_make(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/purple-monitor-test.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	f->m.keep_raw = true;
	*state = f;
	return 0;
}

static int folder_remove(void **state)
{
	struct folder *f = *state;
	struct err e;

	monitor_tail_clear(&f->row.tail);
	close(f->fd);
	fs_remove_tree(AT_FDCWD, f->path, &e);
	free(f);
	return 0;
}

static void append(struct folder *f, const char *text)
{
	int fd = openat(f->fd, CONTAINER_EVENTS,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void read_tail(struct folder *f)
{
	struct err e;

	assert_int_equal(monitor_tail_read(&f->row.tail, f->fd, &f->m, &e), 0);
}

#define DENIED(time)                                                              \
	"{\"@timestamp\":\"" time "\",\"type\":\"network\",\"verdict\":\"deny\"," \
	"\"process\":{\"name\":\"cu\\u001brl\",\"pid\":7},\"event\":{\"action\":\"connect\"}}"

static void tail_goes_on_where_it_was(void **state)
{
	struct folder *f = *state;
	const monitor_events *l = &f->row.tail.events;

	read_tail(f);
	assert_int_equal(l->n, 0);
	append(f, DENIED("2026-11-22T10:00:00.000000Z") "\nno json\n\n[1]\n{\"@times");
	read_tail(f);
	assert_int_equal(l->n, 1);
	assert_true(l->v[0].is_denied);
	assert_string_equal(l->v[0].time, "2026-11-22T10:00:00.000000Z");
	assert_string_equal(l->v[0].text, "denied connect, by cu?rl (process 7)");
	append(f, "tamp\":\"x\",\"type\":\"end\"}\n");
	read_tail(f);
	read_tail(f);
	assert_int_equal(l->n, 2);
	assert_string_equal(l->v[1].raw, "{\"@timestamp\":\"x\",\"type\":\"end\"}");
	assert_false(l->v[1].is_denied);
	assert_int_equal(l->v[1].number, 2);
}

static void tail_keeps_the_newest_and_is_not_held_up(void **state)
{
	struct folder *f = *state;
	struct monitor_tail *t = &f->row.tail;
	_buf_free_ struct buf text = {};

	/* A line that has no end, then more than is read at once. */
	for (int i = 0; i < 70000; i++)
		buf_adds(&text, "x");
	append(f, text.s);
	read_tail(f);
	assert_int_equal(t->events.n, 0);
	text.len = 0;
	buf_adds(&text, "\n");
	for (int i = 0; i < 9000; i++)
		buf_addf(&text, "{\"@timestamp\":\"%06d\",\"type\":\"end\",\"denied\":%d}\n",
			 i, i);
	append(f, text.s);
	read_tail(f);
	assert_int_equal(t->events.n, MONITOR_EVENTS_KEPT);
	assert_string_equal(t->events.v[MONITOR_EVENTS_KEPT - 1].time, "008999");
	assert_string_equal(t->events.v[0].time, "008800");
	assert_true(t->line.len == 0 && !t->is_cut);
	/* Another container's by now. */
	assert_int_equal(unlinkat(f->fd, CONTAINER_EVENTS, 0), 0);
	append(f, "{\"@timestamp\":\"z\",\"type\":\"end\"}\n");
	read_tail(f);
	assert_string_equal(t->events.v[MONITOR_EVENTS_KEPT - 1].time, "z");
}

static void tail_refuses_what_is_no_file(void **state)
{
	struct folder *f = *state;
	struct err e;

	assert_int_equal(symlinkat("/etc/passwd", f->fd, CONTAINER_EVENTS), 0);
	assert_true(monitor_tail_read(&f->row.tail, f->fd, &f->m, &e) < 0);
	assert_int_equal(unlinkat(f->fd, CONTAINER_EVENTS, 0), 0);
	assert_int_equal(mkfifoat(f->fd, CONTAINER_EVENTS, 0600), 0);
	assert_true(monitor_tail_read(&f->row.tail, f->fd, &f->m, &e) < 0);
}

static void newest_are_by_time_over_all_sandboxes(void **state)
{
	struct monitor_event a[] = { { .number = 1, .time = (char *)"1" },
				     { .number = 4, .time = (char *)"5" } };
	struct monitor_event b[] = { { .number = 2, .time = (char *)"2" },
				     { .number = 3, .time = (char *)"4" } };
	struct monitor_row rows[] = { { .tail.events = { a, 2 } },
				      { .tail.events = { b, 2 } } };
	struct monitor m = { .rows = { rows, 2 } };
	struct monitor_line got[4];

	assert_int_equal(monitor_newest(&m, NULL, 0, got, 4), 4);
	assert_ptr_equal(got[0].event, &a[0]);
	assert_ptr_equal(got[3].event, &a[1]);
	assert_int_equal(monitor_newest(&m, NULL, 0, got, 2), 2);
	assert_ptr_equal(got[0].event, &b[1]);
	assert_ptr_equal(got[1].event, &a[1]);
	assert_int_equal(monitor_newest(&m, &rows[1], 2, got, 4), 1);
	assert_ptr_equal(got[0].event, &b[1]);
	assert_int_equal(monitor_newest(&m, NULL, 0, got, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_are_short_and_round),
		cmocka_unit_test(text_fills_its_cells_exactly),
		cmocka_unit_test(wide_and_odd_characters_keep_the_width),
		cmocka_unit_test(long_lines_go_on_in_the_next),
		cmocka_unit_test(columns_fit_into_every_width),
		cmocka_unit_test(bar_shows_a_little_and_never_too_much),
		cmocka_unit_test(cells_say_what_is_not_known),
		cmocka_unit_test(order_is_by_figure_and_then_by_id),
		cmocka_unit_test_setup_teardown(tail_goes_on_where_it_was, folder_make,
						folder_remove),
		cmocka_unit_test_setup_teardown(tail_keeps_the_newest_and_is_not_held_up,
						folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(tail_refuses_what_is_no_file, folder_make,
						folder_remove),
		cmocka_unit_test(newest_are_by_time_over_all_sandboxes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
