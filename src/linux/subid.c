/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id mappings of a user namespace for which the configuration names none. userns.c writes them.
 * Runs in the runtime, with the caller's privileges. See ns.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/num.h"
#include "linux/ns.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

static int add_map(oci_id_mappings *l, uint32_t inside, uint32_t outside, uint32_t size)
{
	struct oci_id_mapping *m;

	if (size == 0)
		return 0;
	m = list_add(l);
	if (!m)
		return -ENOMEM;
	*m = (struct oci_id_mapping){ inside, outside, size };
	return 0;
}

/* Every id that the caller's own user namespace has, as itself. */
static int map_all(const char *map_file, oci_id_mappings *ret, struct err *e)
{
	_fclose_ FILE *f = fopen(map_file, "re");
	unsigned int inside, outside, size;
	int n;

	if (!f)
		return err_sys(e, "cannot open %s", map_file);
	while ((n = fscanf(f, "%u %u %u", &inside, &outside, &size)) == 3)
		if (add_map(ret, inside, inside, size) < 0)
			return err_oom(e);
	if (n != EOF || ret->n == 0)
		return err_set(e, ERR_KERNEL, EINVAL, "cannot make sense of %s", map_file);
	return 0;
}

/* The user's name in /etc/passwd, or NULL: subuid(5) goes by names or numbers. Other sources of
 * users need a C library that loads modules. */
static char *find_user_name(uid_t uid)
{
	_fclose_ FILE *f = fopen("/etc/passwd", "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		char *rest = line, *name = strsep(&rest, ":");
		uint32_t id;

		strsep(&rest, ":");
		if (rest && num_u32(strsep(&rest, ":"), &id) == 0 && id == uid)
			return strdup(name);
	}
	return NULL;
}

/* The first range that the file (subuid(5)) grants the user. */
static bool find_range(const char *file, const char *name, uid_t uid, uint32_t *ret_first,
		       uint32_t *ret_count)
{
	_fclose_ FILE *f = fopen(file, "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		char *rest = line, *who = strsep(&rest, ":"), *first = strsep(&rest, ":");
		char *count = strsep(&rest, ":\n");
		uint32_t id, from, n;

		if (!count ||
		    !((name && streq(who, name)) || (num_u32(who, &id) == 0 && id == uid)))
			continue;
		if (num_u32(first, &from) < 0 || num_u32(count, &n) < 0 || n == 0 ||
		    (uint64_t)from + n > UINT32_MAX)
			continue;
		*ret_first = from;
		*ret_count = n;
		return true;
	}
	return false;
}

/* The program's path, or NULL. */
static char *find_helper(const char *name)
{
	const char *path = getenv("PATH");

	if (!path || !*path)
		path = DEFAULT_PATH;
	for (size_t n; *path; path += n + (path[n] == ':')) {
		_free_ char *candidate = NULL;

		n = strcspn(path, ":");
		if (n == 0 || path[0] != '/')
			continue;
		candidate = str_printf("%.*s/%s", (int)n, path, name);
		if (candidate && faccessat(AT_FDCWD, candidate, X_OK, AT_EACCESS) == 0)
			return take_ptr(&candidate);
	}
	return NULL;
}

struct id_kind {
	const char *map_file, *grant_file, *helper;
};
static const struct id_kind uid_kind = { "/proc/self/uid_map", "/etc/subuid", "newuidmap" };
static const struct id_kind gid_kind = { "/proc/self/gid_map", "/etc/subgid", "newgidmap" };

/*
 * The caller's own id as the one that the container's process has, and around it what is granted.
 * Ids of the container above and below the process's own are handed out in order.
 */
static int map_granted(const struct id_kind *kind, const char *name, uint32_t inside,
		       uint32_t own, oci_id_mappings *ret, struct err *e)
{
	uint32_t first = 0, count = 0, below = 0, most;
	_free_ char *helper = find_helper(kind->helper);
	int r;

	if (helper && !find_range(kind->grant_file, name, geteuid(), &first, &count))
		count = 0;
	if (count) {
		below = inside < count ? inside : count;
		count -= below;
	}
	/* No id of the container is above the last one. */
	most = UINT32_MAX - 1 - inside;
	if (count > most)
		count = most;
	r = add_map(ret, 0, first, below);
	if (r == 0)
		r = add_map(ret, inside, own, 1);
	if (r == 0)
		r = add_map(ret, inside + 1, first + below, count);
	return r < 0 ? err_oom(e) : 0;
}

int userns_choose_maps(uint32_t uid, uint32_t gid, oci_id_mappings *ret_uids,
		       oci_id_mappings *ret_gids, struct err *e)
{
	_free_ char *name = NULL;
	int r;

	if (geteuid() == 0) {
		r = map_all(uid_kind.map_file, ret_uids, e);
		return r < 0 ? r : map_all(gid_kind.map_file, ret_gids, e);
	}
	name = find_user_name(geteuid());
	r = map_granted(&uid_kind, name, uid, geteuid(), ret_uids, e);
	return r < 0 ? r : map_granted(&gid_kind, name, gid, getegid(), ret_gids, e);
}
