/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of src/base/json.c, json_bind.c and json_overlay.c: documents, tables that bind them to
 * structs, and changes of such structs carried over to their documents. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/list.h"

/* --- documents --- */

static void test_parse_tree(void **state)
{
	static const char text[] =
		" {\"a\": [1, -2.5e3, \"x\\u00e9\\n\", true, false, null, {}],"
		" \"\": \"\"} ";
	_json_free_ struct json *j = NULL;
	const struct json *a;
	struct err e = { 0 };

	assert_int_equal(json_parse(text, strlen(text), "doc", &j, &e), 0);
	assert_int_equal(j->type, JSON_MAP);
	assert_int_equal(j->n, 2);
	assert_string_equal(json_get(j, "")->text, "");
	assert_null(json_get(j, "b"));
	a = json_get(j, "a");
	assert_int_equal(a->type, JSON_LIST);
	assert_int_equal(a->n, 7);
	assert_int_equal(a->items[0]->type, JSON_NUMBER);
	assert_string_equal(a->items[1]->text, "-2.5e3");
	assert_string_equal(a->items[2]->text, "x\xc3\xa9\n");
	assert_int_equal(a->items[3]->type, JSON_TRUE);
	assert_int_equal(a->items[4]->type, JSON_FALSE);
	assert_int_equal(a->items[5]->type, JSON_NULL);
	assert_int_equal(a->items[6]->n, 0);
	assert_null(json_get(a, "a"));
}

/* Each is refused, with an error that names the document, and leaves the result alone. */
static void test_parse_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: strlen */
		const char *says;
	} rows[] = {
		{ "", 0, NULL },
		{ "   ", 0, NULL },
		{ "{", 0, NULL },
		{ "{\"a\":1,}", 0, NULL },
		{ "{\"a\":1} x", 0, NULL },
		{ "{\"a\":1}{}", 0, NULL },
		{ "{\"a\":01}", 0, NULL },
		{ "{a:1}", 0, NULL },
		{ "[1,2", 0, NULL },
		{ "nul", 0, NULL },
		{ "NaN", 0, NULL },
		{ "// comment\n{}", 0, NULL },
		{ "{}\0", 3, NULL },
		{ "{\"a\":\n1,\n\"b\" 2}", 0, "line 3" },
		{ "{\"a\":1,\"b\":2,\"a\":3}", 0, "duplicate key 'a'" },
		{ "[{\"k\":{\"x\":1,\"x\":1}}]", 0, "duplicate key 'x'" },
		{ "{\"a\":1,\"\\u0061\":2}", 0, "duplicate key 'a'" },
		{ "[\"a\\u0000b\"]", 0, "NUL" },
		{ "{\"a\\u0000b\":1}", 0, "NUL" },
		{ "[\"\xff\"]", 0, "UTF-8" },
		{ "[\"\xc0\xaf\"]", 0, "UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = rows[i].len ? rows[i].len : strlen(rows[i].text);
		struct json *j = (struct json *)0x1;
		struct err e = { 0 };

		assert_int_equal(json_parse(rows[i].text, len, "doc", &j, &e), -EINVAL);
		assert_ptr_equal(j, (struct json *)0x1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_true(str_has_prefix(e.msg, "doc: "));
		if (rows[i].says && !strstr(e.msg, rows[i].says))
			fail_msg("'%s': '%s' lacks '%s'", rows[i].text, e.msg, rows[i].says);
	}
}

/* An object whose keys are all different; each is compared with all others. */
static int parse_members(int n)
{
	_buf_free_ struct buf b = { 0 };
	struct json *j = NULL;
	struct err e = { 0 };
	int r;

	for (int i = 0; i < n; i++)
		buf_addf(&b, "%s\"%d\":%d", i ? "," : "{", i, i);
	buf_adds(&b, "}");
	r = json_parse(b.s, b.len, "doc", &j, &e);
	json_free(j);
	if (r < 0)
		assert_non_null(strstr(e.msg, "too many members"));
	return r;
}

static void the_number_of_members_is_limited(void **state)
{
	assert_int_equal(parse_members(16384), 0);
	assert_int_equal(parse_members(16385), -EINVAL);
}

static int parse_nested(int depth, const char *open, const char *close)
{
	_buf_free_ struct buf b = { 0 };
	struct json *j = NULL;
	struct err e = { 0 };
	int r;

	for (int i = 0; i < depth; i++)
		buf_adds(&b, open);
	buf_adds(&b, "1");
	for (int i = 0; i < depth; i++)
		buf_adds(&b, close);
	r = json_parse(b.s, b.len, "doc", &j, &e);
	json_free(j);
	return r;
}

static void test_parse_depth(void **state)
{
	assert_int_equal(parse_nested(64, "[", "]"), 0);
	assert_int_equal(parse_nested(65, "[", "]"), -EINVAL);
	assert_int_equal(parse_nested(64, "{\"a\":", "}"), 0);
	assert_int_equal(parse_nested(65, "{\"a\":", "}"), -EINVAL);
	assert_int_equal(parse_nested(200000, "[", "]"), -EINVAL);
}

static void test_quote(void **state)
{
	static const char *const rows[][2] = {
		{ "", "\"\"" },
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
		{ "\n\t\r\x01\x7f", "\"\\n\\t\\u000d\\u0001\\u007f\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\"\\u0080\\u009b\\u009f\xc2\xa0\"" },
		{ "\xff.\xc3", "\"\\ufffd.\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" }, /* a surrogate */
		{ "\xc0\xaf", "\"\\ufffd\\ufffd\"" },		 /* overlong */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_buf_free_ struct buf b = { 0 };

		json_quote(&b, rows[i][0]);
		assert_string_equal(b.s, rows[i][1]);
	}
}

/* Whatever bytes a string has, what is written can be read. */
static void test_quote_all_bytes(void **state)
{
	for (int a = 1; a < 256; a++) {
		for (int b = 1; b < 256; b++) {
			char s[] = { (char)a, (char)b, 'x', 0 };
			_buf_free_ struct buf out = { 0 };
			_json_free_ struct json *j = NULL;
			struct err e;

			json_quote(&out, s);
			assert_int_equal(json_parse(out.s, out.len, "doc", &j, &e), 0);
		}
	}
}

/* --- tables: a struct with a member of every kind --- */

struct part {
	char *name;
	int32_t size;
};

struct whole {
	char *text;
	bool flag;
	int32_t i32;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	struct opt_bool obool;
	struct opt_i32 oi32;
	struct opt_u32 ou32;
	struct opt_i64 oi64;
	struct opt_u64 ou64;
	struct strv words;
	struct strmap map;
	LIST_OF(uint32_t) ids;
	struct part *part;
	LIST_OF(struct part) parts;
	LIST_OF(struct part) named;
};

static const struct json_field part_fields[] = {
	JSON_FR(part, name, "name", JSON_STR),
	JSON_F(part, size, "size", JSON_I32),
	{ 0 },
};
static const struct json_type part_type = { sizeof(struct part), part_fields };

/* The key of the map goes to `name`, so the table has no row for it. */
static const struct json_field named_fields[] = {
	JSON_F(part, size, "size", JSON_I32),
	{ 0 },
};
static const struct json_type named_type = { sizeof(struct part), named_fields };

static const struct json_field whole_fields[] = {
	JSON_F(whole, text, "text", JSON_STR),
	JSON_F(whole, flag, "flag", JSON_BOOL),
	JSON_F(whole, i32, "i32", JSON_I32),
	JSON_F(whole, u32, "u32", JSON_U32),
	JSON_F(whole, u64, "u64", JSON_U64),
	JSON_F(whole, i64, "i64", JSON_I64),
	JSON_F(whole, obool, "obool", JSON_OPT_BOOL),
	JSON_F(whole, oi32, "oi32", JSON_OPT_I32),
	JSON_F(whole, ou32, "ou32", JSON_OPT_U32),
	JSON_F(whole, oi64, "oi64", JSON_OPT_I64),
	JSON_F(whole, ou64, "ou64", JSON_OPT_U64),
	JSON_F(whole, words, "words", JSON_STRV),
	JSON_F(whole, map, "map", JSON_STRMAP),
	JSON_F(whole, ids, "ids", JSON_U32V),
	JSON_FT(whole, part, "part", JSON_STRUCT, &part_type),
	JSON_FT(whole, parts, "parts", JSON_STRUCTS, &part_type),
	JSON_FT(whole, named, "named", JSON_STRUCT_MAP, &named_type),
	JSON_NO("later", "it comes with the next version"),
	JSON_NO("never", NULL),
	{ 0 },
};
static const struct json_type whole_type = { sizeof(struct whole), whole_fields };

static int read_whole(const char *text, struct whole *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;

	assert_int_equal(json_parse(text, strlen(text), "doc", &j, e), 0);
	return json_read(j, &whole_type, "doc", ret, e);
}

static const char full[] =
	"{\"text\":\"t\",\"flag\":true,\"i32\":-1,\"u32\":4294967295,"
	"\"u64\":18446744073709551615,\"i64\":-9223372036854775808,\"obool\":false,"
	"\"oi32\":0,\"ou32\":0,\"oi64\":-5,\"ou64\":0,\"words\":[\"a\",\"b\"],"
	"\"map\":{\"k\":\"v\",\"l\":\"\"},\"ids\":[1,2,3],\"part\":{\"name\":\"p\",\"size\":1},"
	"\"parts\":[{\"name\":\"q\",\"size\":2},{\"name\":\"r\",\"size\":0}],"
	"\"named\":{\"x\":{\"size\":7},\"y\":{\"size\":8}}}";

static const char empty[] = "{\"i32\":0,\"u32\":0,\"u64\":0,\"i64\":0}";

static void test_bind_read(void **state)
{
	struct err e = { 0 };
	struct whole w;

	assert_int_equal(read_whole(full, &w, &e), 0);
	assert_string_equal(w.text, "t");
	assert_true(w.flag);
	assert_int_equal(w.i32, -1);
	assert_true(w.u32 == UINT32_MAX);
	assert_true(w.u64 == UINT64_MAX);
	assert_true(w.i64 == INT64_MIN);
	assert_true(w.obool.set && !w.obool.value);
	assert_true(w.oi32.set && w.oi32.value == 0);
	assert_true(w.oi64.set && w.oi64.value == -5);
	assert_int_equal(w.words.n, 2);
	assert_string_equal(w.words.v[1], "b");
	assert_null(w.words.v[2]);
	assert_string_equal(strmap_get(&w.map, "l"), "");
	assert_int_equal(w.ids.n, 3);
	assert_int_equal(w.ids.v[2], 3);
	assert_string_equal(w.part->name, "p");
	assert_int_equal(w.parts.n, 2);
	assert_string_equal(w.parts.v[1].name, "r");
	assert_string_equal(w.named.v[1].name, "y");
	assert_int_equal(w.named.v[1].size, 8);
	json_clear(&whole_type, &w);
	assert_null(w.text);
	assert_int_equal(w.parts.n, 0);
}

/* Absent, null and unknown members are the same: nothing is set. */
static void test_bind_absent(void **state)
{
	struct err e = { 0 };
	struct whole w, zero;

	memset(&zero, 0, sizeof(zero));
	memset(&w, 0xff, sizeof(w)); /* json_read() zeroes it */
	assert_int_equal(read_whole("{\"unknown\":{\"a\":[1]}}", &w, &e), 0);
	assert_memory_equal(&w, &zero, sizeof(w));
	assert_int_equal(read_whole("{\"text\":null,\"part\":null,\"ids\":null,\"ou64\":null,"
				    "\"later\":null}",
				    &w, &e),
			 0);
	assert_memory_equal(&w, &zero, sizeof(w));
}

static void write_whole(const struct whole *w, bool pretty, struct buf *out)
{
	struct err e = { 0 };

	assert_int_equal(json_write(&whole_type, w, pretty, out, &e), 0);
}

static void test_bind_round_trip(void **state)
{
	static const char *const texts[] = { full, empty };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_buf_free_ struct buf out = { 0 };
		_buf_free_ struct buf pretty = { 0 };
		_buf_free_ struct buf again = { 0 };
		struct whole w, copy, reread;
		struct err e = { 0 };

		assert_int_equal(read_whole(texts[i], &w, &e), 0);
		assert_int_equal(json_copy(&whole_type, &w, &copy, &e), 0);
		write_whole(&w, true, &pretty);
		json_clear(&whole_type, &w);
		write_whole(&copy, false, &out);
		assert_string_equal(out.s, texts[i]);
		json_clear(&whole_type, &copy);
		assert_int_equal(read_whole(pretty.s, &reread, &e), 0);
		write_whole(&reread, false, &again);
		assert_string_equal(again.s, texts[i]);
		json_clear(&whole_type, &reread);
	}
}

static void test_bind_pretty(void **state)
{
	_buf_free_ struct buf out = { 0 };
	struct part p = { .name = (char *)"a", .size = 1 };
	struct err e = { 0 };

	assert_int_equal(json_write(&part_type, &p, true, &out, &e), 0);
	assert_string_equal(out.s, "{\n  \"name\": \"a\",\n  \"size\": 1\n}");
}

/* Each is refused by its full path, and nothing is left allocated. */
static void test_bind_refuses(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{ "[]", "doc: expected an object" },
		{ "{\"text\":1}", "doc: text: expected a string" },
		{ "{\"flag\":1}", "doc: flag: expected true or false" },
		{ "{\"obool\":\"true\"}", "doc: obool: expected true or false" },
		{ "{\"i32\":\"1\"}", "doc: i32: expected an integer" },
		{ "{\"i32\":1.0}", "doc: i32: expected an integer" },
		{ "{\"i32\":1e2}", "doc: i32: expected an integer" },
		{ "{\"i32\":2147483648}", "doc: i32: the number is out of range" },
		{ "{\"oi32\":-2147483649}", "doc: oi32: the number is out of range" },
		{ "{\"u32\":-1}", "doc: u32: must not be negative" },
		{ "{\"ou32\":4294967296}", "doc: ou32: the number is out of range" },
		{ "{\"u64\":18446744073709551616}", "doc: u64: the number is out of range" },
		{ "{\"i64\":9223372036854775808}", "doc: i64: the number is out of range" },
		{ "{\"words\":\"a\"}", "doc: words: expected a list of strings" },
		{ "{\"words\":[\"a\",1]}", "doc: words[1]: expected a string" },
		{ "{\"map\":[]}", "doc: map: expected an object of strings" },
		{ "{\"map\":{\"k\":\"v\",\"l\":2}}", "doc: map.l: expected a string" },
		{ "{\"ids\":[1,-1]}", "doc: ids[1]: must not be negative" },
		{ "{\"part\":[]}", "doc: part: expected an object" },
		{ "{\"part\":{}}", "doc: part.name: is required" },
		{ "{\"part\":{\"name\":null}}", "doc: part.name: is required" },
		{ "{\"text\":\"t\",\"parts\":[{\"name\":\"a\"},{\"name\":\"b\",\"size\":\"\"}]}",
		  "doc: parts[1].size: expected an integer" },
		{ "{\"named\":{\"x\":{\"size\":1},\"y\":7}}",
		  "doc: named.y: expected an object" },
		{ "{\"later\":1}",
		  "doc: later is not supported: it comes with the next version" },
		{ "{\"never\":{}}", "doc: never is not supported" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = { 0 };
		struct whole w, zero;

		memset(&zero, 0, sizeof(zero));
		assert_true(read_whole(rows[i].text, &w, &e) < 0);
		assert_string_equal(e.msg, rows[i].says);
		assert_memory_equal(&w, &zero, sizeof(w));
	}
}

/* --- changes carried over --- */

/* What becomes of `text` when `change` is made to what was read from it; or what is said. */
static void check_overlay(const char *text, void (*change)(struct whole *w), const char *want)
{
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf out = {};
	struct whole before, after;
	struct err e = { 0 };
	int r;

	assert_int_equal(json_parse(text, strlen(text), "doc", &j, &e), 0);
	assert_int_equal(json_read(j, &whole_type, "doc", &before, &e), 0);
	assert_int_equal(json_copy(&whole_type, &before, &after, &e), 0);
	change(&after);
	r = json_overlay(j, &whole_type, &before, &after, "doc", &e);
	if (r == 0)
		json_print(j, &out);
	assert_string_equal(r == 0 ? out.s : e.msg, want);
	json_clear(&whole_type, &before);
	json_clear(&whole_type, &after);
}

static void change_nothing(struct whole *w)
{
}

static void change_text(struct whole *w)
{
	free(w->text);
	w->text = strdup("\"new\"");
	w->i32 = 5;
}

static void change_part(struct whole *w)
{
	if (!w->part) {
		w->part = calloc(1, sizeof(*w->part));
		w->part->name = strdup("made");
	}
	w->part->size = 9;
}

static void drop_part(struct whole *w)
{
	free(w->part->name);
	free(w->part);
	w->part = NULL;
}

static void change_parts(struct whole *w)
{
	w->parts.v[0].size = 9;
}

static void change_named(struct whole *w)
{
	w->named.v[0].size = 9;
}

static void test_overlay(void **state)
{
	static const struct {
		const char *text;
		void (*change)(struct whole *w);
		const char *want;
	} rows[] = {
		{ " { \"new\" : [1e3, null, true, false, \"\\u00e9\"], \"i32\": 0 } ",
		  change_nothing, "{\"new\":[1e3,null,true,false,\"\xc3\xa9\"],\"i32\":0}" },
		{ "{\"new\":1,\"text\":\"old\",\"other\":{}}", change_text,
		  "{\"new\":1,\"text\":\"\\\"new\\\"\",\"other\":{},\"i32\":5}" },
		{ "{\"part\":{\"new\":1.50,\"name\":\"p\"}}", change_part,
		  "{\"part\":{\"new\":1.50,\"name\":\"p\",\"size\":9}}" },
		{ "{}", change_part, "{\"part\":{\"name\":\"made\",\"size\":9}}" },
		{ "{\"part\":null}", change_part,
		  "{\"part\":{\"name\":\"made\",\"size\":9}}" },
		{ "{\"part\":{\"name\":\"p\"},\"new\":0}", drop_part, "{\"new\":0}" },
		{ "{\"part\":{\"name\":\"p\",\"new\":0}}", drop_part,
		  "doc: part.new: a member that is not known here, in a part that changes, "
		  "would be lost" },
		{ "{\"parts\":[{\"name\":\"q\"}]}", change_parts,
		  "{\"parts\":[{\"name\":\"q\",\"size\":9}]}" },
		{ "{\"parts\":[{\"name\":\"q\"},{\"name\":\"r\",\"new\":0}]}", change_parts,
		  "doc: parts.new: a member that is not known here, in a part that changes, "
		  "would be lost" },
		{ "{\"parts\":[{\"name\":\"q\",\"new\":0}]}", change_text,
		  "{\"parts\":[{\"name\":\"q\",\"new\":0}],\"text\":\"\\\"new\\\"\",\"i32\":5}" },
		{ "{\"named\":{\"x\":{\"size\":1}}}", change_named,
		  "{\"named\":{\"x\":{\"size\":9}}}" },
		{ "{\"named\":{\"x\":{\"size\":1,\"new\":0}}}", change_named,
		  "doc: named.new: a member that is not known here, in a part that changes, "
		  "would be lost" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_overlay(rows[i].text, rows[i].change, rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_number_of_members_is_limited),
		cmocka_unit_test(test_parse_tree),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_depth),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_all_bytes),
		cmocka_unit_test(test_bind_read),
		cmocka_unit_test(test_bind_absent),
		cmocka_unit_test(test_bind_round_trip),
		cmocka_unit_test(test_bind_pretty),
		cmocka_unit_test(test_bind_refuses),
		cmocka_unit_test(test_overlay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
