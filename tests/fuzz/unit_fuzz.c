/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for what a config.json says to systemd: linux.cgroupsPath ("n" and the path) and
 * the annotations org.systemd.property.NAME ("a", NAME, a newline and the value). Besides memory
 * errors it looks for broken promises: a name that leads out of its slice or that systemd would take
 * for something else, a property that is not on the list.
 * runs: 20000
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "cgroup/systemd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_unit(const char *s)
{
	size_t len = strlen(s);

	require(len > 6 && len <= 255);
	require(str_has_suffix(s, ".scope") || str_has_suffix(s, ".slice"));
	require(strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-\\") ==
		len);
}

static void check_name(const char *text)
{
	_unit_name_clear_ struct unit_name n = {};
	_free_ char *path = NULL;
	struct err e = {};
	int r = unit_name_choose(text, "id", false, &n, &e);

	if (r < 0) {
		require(!n.unit && !n.slice && strstr(e.msg, "linux.cgroupsPath"));
		return;
	}
	check_unit(n.unit);
	require(!n.slice == str_has_suffix(n.unit, ".slice"));
	if (!n.slice)
		return;
	check_unit(n.slice);
	path = unit_name_path(&n);
	require(path && path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../"));
	require(str_has_suffix(path, n.unit));
}

static void check_annotation(const char *name, const char *value)
{
	_unit_properties_clear_ unit_properties l = {};
	_strmap_free_ struct strmap m = {};
	_free_ char *key = str_printf("org.systemd.property.%s", name);
	struct err e = {};

	require(key && strmap_set(&m, key, value) == 0);
	if (unit_properties_of_annotations(&m, &l, &e) < 0) {
		require(e.code > 0 && strstr(e.msg, "annotation org.systemd.property."));
		return;
	}
	require(l.n == 1 && l.v[0].name);
	require(l.v[0].type != UNIT_STRING || l.v[0].text);
	require(!str_has_prefix(l.v[0].name, "Device") && !streq(l.v[0].name, "Slice"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_free_ char *text = malloc(size + 1);
	char *value;

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (text[0] == 'n')
		check_name(text + 1);
	value = text[0] == 'a' ? strchr(text, '\n') : NULL;
	if (value) {
		*value++ = '\0';
		check_annotation(text + 1, value);
	}
	return 0;
}
