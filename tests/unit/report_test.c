/* SPDX-License-Identifier: Apache-2.0 */
/* purple report without its sources: tables, times, lines of events, text in a page. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/purple/report.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static const struct budget_column columns[] = {
	{ "A", "a", BUDGET_TEXT, -10 },
	{ "B", "b", BUDGET_TEXT, -10 },
	{ "N", "n", BUDGET_COUNT, 8 },
	{},
};
static const struct report_kind kind = {
	.columns = columns, .keys = 2, .chart = 2, .order = 2
};

static struct report_row *find(struct report_table *t, const char *a, const char *b)
{
	const char *keys[] = { a, b };
	bool failed = false;
	struct report_row *r = report_find(t, keys, &failed);

	assert_false(failed);
	return r;
}

static void rows_are_found_by_their_keys_and_sorted(void **state)
{
	struct report_table t = { .kind = &kind };

	report_add(find(&t, "x", "y"), 2, 1);
	report_add(find(&t, "xy", ""), 2, 5);
	report_add(find(&t, "", "xy"), 2, 5);
	report_add(find(&t, "x", "y"), 2, 2);
	assert_int_equal(t.rows.n, 3);
	report_add(find(&t, "x", "y"), 2, INT64_MAX);
	assert_true(find(&t, "x", "y")->cells[2].number == INT64_MAX);
	report_sort(&t);
	assert_string_equal(t.rows.v[0].cells[0].text, "x");
	assert_string_equal(t.rows.v[1].cells[0].text, "");
	assert_string_equal(t.rows.v[2].cells[0].text, "xy");
	report_table_clear(&t);
}

static void table_is_bounded_and_counts_what_is_left_out(void **state)
{
	struct report_table t = { .kind = &kind };
	char name[32];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < REPORT_ROWS_MAX + 10; i++) {
			struct report_row *r;

			snprintf(name, sizeof(name), "%d", i);
			r = find(&t, name, "");
			assert_true((r == NULL) == (i >= REPORT_ROWS_MAX));
			if (r)
				report_add(r, 2, 1);
		}
	}
	assert_int_equal(t.rows.n, REPORT_ROWS_MAX);
	assert_int_equal(t.left_out, 20);
	for (size_t i = 0; i < t.rows.n; i++)
		assert_int_equal(t.rows.v[i].cells[2].number, 2);
	report_table_clear(&t);
}

static void times_are_read(void **state)
{
	assert_int_equal(report_time("1970-01-02T01"), DAY + HOUR);
	assert_int_equal(report_time("1970-01-02T01:00:00.123456Z"), DAY + HOUR);
	assert_int_equal(report_time("soon"), 0);
	assert_int_equal(report_time(NULL), 0);
}

static void buckets_have_no_gaps_and_lose_nothing(void **state)
{
	const int64_t now = 1000 * DAY + HOUR / 2;

	/* Hours, days and weeks, with and without a beginning. */
	for (int64_t span = HOUR; span < 900 * DAY; span = span * 3 / 2) {
		const struct report_bucket hours[] = {
			{ (now - span) / HOUR * HOUR, 1, 10, 100 },
			{ (now - span / 2) / HOUR * HOUR, 2, 20, 200 },
			{ now / HOUR * HOUR, 4, 40, 400 },
		};

		for (int begin = 0; begin < 2; begin++) {
			struct report r = { .now = now,
					    .since = begin ? now - span - DAY : 0 };
			int64_t calls = 0, cost = 0;
			struct err e;

			assert_int_equal(report_make_buckets(&r, hours, 3, &e), 0);
			assert_true(r.buckets.n > 0);
			for (size_t i = 0; i < r.buckets.n; i++) {
				assert_true(i == 0 ||
					    r.buckets.v[i].start ==
						    r.buckets.v[i - 1].start + r.step);
				calls += r.buckets.v[i].calls;
				cost += r.buckets.v[i].cost;
			}
			assert_int_equal(calls, 7);
			assert_int_equal(cost, 700);
			report_clear(&r);
		}
	}
}

static void no_calls_and_odd_clocks_are_fine(void **state)
{
	const struct report_bucket late = { 2000 * DAY, 1, 1, 1 };
	struct report r = { .now = 1000 * DAY, .since = 999 * DAY };
	struct err e;

	assert_int_equal(report_make_buckets(&r, NULL, 0, &e), 0);
	assert_int_equal(r.buckets.n, 0);
	assert_int_equal(report_make_buckets(&r, &late, 1, &e), 0);
	report_clear(&r);
}

/* --- lines --- */

static const struct budget_column denials[] = {
	{ "", "rule", BUDGET_TEXT, 1 },	   { "", "place", BUDGET_TEXT, 1 },
	{ "", "policy", BUDGET_TEXT, 1 },  { "", "type", BUDGET_TEXT, 1 },
	{ "", "denied", BUDGET_COUNT, 1 }, { "", "audited", BUDGET_COUNT, 1 },
	{ "", "target", BUDGET_TEXT, 1 },  {},
};
static const struct budget_column touched[] = { { "", "name", BUDGET_TEXT, 1 }, {} };
static const struct report_kind denial_kind = { .columns = denials, .keys = 4 };
static const struct report_kind touched_kind = { .columns = touched, .keys = 1 };

static void take(struct report *r, const char *text, enum report_source from)
{
	_json_free_ struct json *j = NULL;
	struct err e;

	assert_int_equal(json_parse(text, strlen(text), "line", &j, &e), 0);
	report_take_line(r, j, from);
	assert_false(r->failed);
}

static void lines_become_denials_hosts_and_files(void **state)
{
	struct report r = { .since = DAY,
			    .tables = { [REPORT_DENIALS].kind = &denial_kind,
					[REPORT_HOSTS].kind = &touched_kind,
					[REPORT_FILES].kind = &touched_kind } };
	const struct report_table *d = &r.tables[REPORT_DENIALS],
				  *h = &r.tables[REPORT_HOSTS],
				  *f = &r.tables[REPORT_FILES];

#define AT "{\"@timestamp\":\"1970-01-03T00:00:00Z\","
#define DENY                                                                                  \
	AT "\"type\":\"network\",\"verdict\":\"deny\",\"count\":3,\"rule\":{\"name\":\"r\"}," \
	   "\"destination\":{\"ip\":\"192.0.2.1\",\"port\":80}}"
	take(&r, DENY, REPORT_FROM_EVENTS);
	/* The record of its run has this denial; the host is told here. */
	take(&r, DENY, REPORT_FROM_LOG);
	take(&r, DENY, REPORT_FROM_EVENTS_OF_AUDITED);
	take(&r,
	     "{\"@timestamp\":\"1970-01-01T00:00:00Z\",\"type\":\"network\",\"verdict\":\"deny\"}",
	     REPORT_FROM_EVENTS);
	take(&r,
	     AT "\"type\":\"llm_denied\",\"verdict\":\"audit\",\"reason\":\"rate\","
		"\"gen_ai\":{\"request\":{\"model\":\"m\"}}}",
	     REPORT_FROM_EVENTS);
	take(&r,
	     AT
	     "\"type\":\"dns\",\"verdict\":\"allow\",\"dns\":{\"question\":{\"name\":\"a.b\"}}}",
	     REPORT_FROM_LOG);
	take(&r,
	     AT "\"type\":\"network\",\"verdict\":\"allow\",\"event\":{\"action\":\"bind\"},"
		"\"server\":{\"port\":80}}",
	     REPORT_FROM_LOG);
	take(&r,
	     AT "\"type\":\"file\",\"verdict\":\"allow\",\"event\":{\"action\":\"open\"},"
		"\"file\":{\"path\":\"/a\",\"access\":\"read-write\"}}",
	     REPORT_FROM_LOG);
	take(&r,
	     AT "\"type\":\"file\",\"verdict\":\"deny\",\"event\":{\"action\":\"open\"},"
		"\"file\":{\"path\":\"/a\",\"access\":\"read\"}}",
	     REPORT_FROM_LOG);
	/* Nothing that such lines have. */
	take(&r, "[]", REPORT_FROM_LOG);
	take(&r, AT "\"type\":7,\"verdict\":{},\"count\":-1,\"rule\":[]}",
	     REPORT_FROM_EVENTS);
	assert_int_equal(d->rows.n, 3);
	assert_string_equal(d->rows.v[0].cells[0].text, "r");
	assert_int_equal(d->rows.v[0].cells[4].number, 6);
	assert_string_equal(d->rows.v[0].cells[6].text, "192.0.2.1:80");
	assert_string_equal(d->rows.v[1].cells[0].text, "rate");
	assert_int_equal(d->rows.v[1].cells[5].number, 1);
	assert_string_equal(d->rows.v[1].cells[6].text, "m");
	assert_string_equal(d->rows.v[2].cells[3].text, "file");
	assert_int_equal(h->rows.n, 2);
	assert_int_equal(h->rows.v[0].cells[2].number, 6);
	assert_int_equal(h->rows.v[1].cells[3].number, 1);
	assert_int_equal(f->rows.n, 1);
	assert_int_equal(f->rows.v[0].cells[2].number, 1);
	assert_int_equal(f->rows.v[0].cells[4].number, 1);
	assert_int_equal(r.denied, 7);
	report_clear(&r);
}

/* --- the page --- */

static void text_of_a_page_is_no_markup(void **state)
{
	static const struct {
		const char *text, *html;
	} cases[] = {
		{ "a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;" },
		{ "ä€😀", "ä€😀" },
		{ "\033[2J\x7f\n", "\ufffd[2J\ufffd\ufffd" },
		{ "\xff\xc3(\xed\xa0\x80", "\ufffd\ufffd(\ufffd\ufffd\ufffd" },
		{ "\xc2\x9b\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf",
		  "\ufffd\ufffd\ufffd\ufffd" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_buf_free_ struct buf out = {};

		report_html_text(&out, cases[i].text);
		assert_string_equal(out.s ? out.s : "", cases[i].html);
	}
}

static void long_text_is_shortened(void **state)
{
	_buf_free_ struct buf out = {};
	char text[5000];

	memset(text, '<', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	report_html_text(&out, text);
	assert_int_equal(out.len, 400 * 4 + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_by_their_keys_and_sorted),
		cmocka_unit_test(table_is_bounded_and_counts_what_is_left_out),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(buckets_have_no_gaps_and_lose_nothing),
		cmocka_unit_test(no_calls_and_odd_clocks_are_fine),
		cmocka_unit_test(lines_become_denials_hosts_and_files),
		cmocka_unit_test(text_of_a_page_is_no_markup),
		cmocka_unit_test(long_text_is_shortened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
