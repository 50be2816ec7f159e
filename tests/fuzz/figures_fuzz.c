/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the files of a group that are read: each part is a file's name on the first
 * line and its content. The figures are read as of cgroup2 and as of v1, with the processes and
 * whether the group is frozen.
 * runs: 3000
 */
#include <dirent.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/cgroup.h"
#include "fuzz.h"

static char *group;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err e;

	group = fuzz_path("group");
	if (fs_mkdir_p(group, 0700, &e) < 0)
		fuzz_die("cannot make the group", e.msg);
	return 0;
}

static void clear_files(void)
{
	_closedir_ DIR *d = opendir(group);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
}

static void write_part(const char *part)
{
	size_t len = strcspn(part, "\n");
	_free_ char *name = strndup(part, len);
	_free_ char *path = fs_join(group, name);

	if (len > 0 && len < 64 && !strchr(name, '/') && name[0] != '.')
		fuzz_write_file(path, part + len, strlen(part + len));
}

static void read_all(const struct cgroup *cg)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	cgroup_pid_list pids = {};
	struct err e = {};
	bool frozen;
	int r;

	r = cgroup_stats(cg, &s, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	r = cgroup_is_frozen(cg, &frozen, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	r = cgroup_pids(cg, &pids, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	/* They are sent signals: kill(0) and kill(-1) reach far. */
	for (size_t i = 0; i < pids.n; i++)
		fuzz_require(pids.v[i] > 0);
	for (size_t i = 0; i < s.hugetlb.n; i++)
		fuzz_require(s.hugetlb.v[i].page_size);
	free(pids.v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const controllers[] = { "memory", "cpu",	"cpuacct", "pids",
						   "blkio",  "hugetlb", "freezer" };
	struct cgroup v2 = { .mode = CGROUP_V2, .path = (char *)"/group", .unified = group };
	_strmap_free_ struct strmap dirs = {};
	struct cgroup v1 = { .mode = CGROUP_V1, .path = (char *)"/group" };

	clear_files();
	for (int i = 0; data && i < 16; i++) {
		_free_ char *part = fuzz_next_part(&data, &size);

		write_part(part);
	}
	read_all(&v2);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (strmap_set(&dirs, controllers[i], group) < 0)
			abort();
	v1.v1 = dirs;
	read_all(&v1);
	return 0;
}
