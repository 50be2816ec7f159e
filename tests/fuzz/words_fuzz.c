/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for short texts of the command line and of config.json. The first line says
 * what follows: mount (type, then options, a line each), cgroup (cgroupsPath), user (exec's
 * --user), signal, number, path, id.
 * runs: 80000
 */
#include <limits.h>
#include <sys/mount.h>

#include "base/num.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "fuzz.h"
#include "linux/mount_options.h"

/* For its reader of --user, which nothing else can reach without a running container. */
#include "container/exec.c"

static void try_mount(const char *text)
{
	struct oci_mount m = { .destination = (char *)"/m" };
	struct mount_options o;
	_free_ char *copy = strdup(text);
	char *line, *rest = copy;
	struct err e = {};
	int r;

	m.type = strsep(&rest, "\n");
	while ((line = strsep(&rest, "\n")))
		if (strv_add(&m.options, line) < 0)
			abort();
	r = mount_options_parse(&m, &o, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	strv_free(&m.options);
	if (r < 0)
		return;
	fuzz_require(!(o.top.set & ~o.top.clr & MOUNT_ATTR__ATIME) &&
		     !(o.is_bind && o.data.n));
	for (size_t i = 0; i < o.propagation.n; i++)
		fuzz_require(o.propagation.v[i].type);
	mount_options_free(&o);
}

static void try_cgroup(const char *text)
{
	for (int privileged = 0; privileged < 2; privileged++) {
		_free_ char *path = NULL, *clean = NULL;
		struct err e = {};
		bool own;
		int r = cgroup_path_choose(text, "id", privileged, &own, &path, &e);

		if (r < 0) {
			fuzz_check_error(r, &e);
			continue;
		}
		clean = fs_clean_path(path);
		fuzz_require(path[0] == '/' && path[1] && clean && streq(clean, path));
		fuzz_require(!strchr(path, '\n') && !strstr(path, "/../"));
		fuzz_require(!own || !privileged);
	}
}

/* CVE-2026-30892: what is not a whole number must not become root. */
static void try_user(const char *text)
{
	struct oci_user u = { .uid = 4242, .gid = 4343 };
	struct err e = {};
	char again[64];
	int r = parse_user(text, &u, &e);

	if (r < 0) {
		fuzz_check_error(r, &e);
		return;
	}
	if (strchr(text, ':'))
		snprintf(again, sizeof(again), "%u:%u", u.uid, u.gid);
	else
		snprintf(again, sizeof(again), "%u", u.uid);
	/* As written, but for zeros in front. */
	fuzz_require(strspn(text, "0123456789:") == strlen(text));
	fuzz_require(strlen(text) > strlen(again) || streq(text, again));
	fuzz_require(strchr(text, ':') || u.gid == 4343);
}

static void try_signal(const char *text)
{
	int number = -1;

	if (signal_parse(text, &number) == 0)
		fuzz_require(number >= 0 && number <= 64);
}

static void try_number(const char *text)
{
	char again[32];
	uint64_t u;
	uint32_t u32;
	int64_t i;

	if (num_u64(text, &u) == 0) {
		snprintf(again, sizeof(again), "%llu", (unsigned long long)u);
		fuzz_require(streq(again, text) || text[0] == '0');
		fuzz_require((num_u32(text, &u32) == 0) == (u <= UINT32_MAX));
		fuzz_require((num_i64(text, &i) == 0) == (u <= INT64_MAX));
	}
	if (num_i64(text, &i) == 0 && i < 0) {
		snprintf(again, sizeof(again), "%lld", (long long)i);
		fuzz_require(text[0] == '-');
	}
	num_u64_any_base(text, &u);
}

static void try_path(const char *text)
{
	_free_ char *clean = fs_clean_path(text),
		    *again = clean ? fs_clean_path(clean) : NULL;
	_free_ char *joined = fs_join("/root", text);

	fuzz_require(again && joined && streq(clean, again) && clean[0] == '/');
	fuzz_require(!strstr(clean, "//") && !strstr(clean, "/../") &&
		     !strstr(clean, "/./"));
	fuzz_require(!str_has_suffix(clean, "/..") && !str_has_suffix(clean, "/."));
}

static void try_id(const char *text)
{
	struct err e = {};
	int r = container_check_id(text, &e);

	if (r < 0)
		fuzz_check_error(r, &e);
	else
		fuzz_require(*text && !strchr(text, '/') && !streq(text, "..") &&
			     !streq(text, ".") && strlen(text) <= 1024);
}

static const struct {
	const char *name;
	void (*try)(const char *text);
} kinds[] = {
	{ "mount", try_mount },	  { "cgroup", try_cgroup }, { "user", try_user },
	{ "signal", try_signal }, { "number", try_number }, { "path", try_path },
	{ "id", try_id },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_free_ char *text = strndup((const char *)data, size);
	char *rest = text;
	const char *kind;

	if (!text)
		abort();
	kind = strsep(&rest, "\n");
	for (size_t i = 0; rest && i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i].name, kind))
			kinds[i].try(rest);
	return 0;
}
