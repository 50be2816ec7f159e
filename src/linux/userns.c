/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces: id maps, written by the runtime itself or, where it is an ordinary user's, by
 * newuidmap and newgidmap. Runs in the runtime, right after the clone. See ns.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "linux/ns.h"

static int write_map(pid_t pid, const char *file, const oci_id_mappings *maps, struct err *e)
{
	_buf_free_ struct buf text = {};
	char path[64];
	int r;

	for (size_t i = 0; i < maps->n; i++)
		buf_addf(&text, "%u %u %u\n", maps->v[i].container_id, maps->v[i].host_id,
			 maps->v[i].size);
	if (text.failed)
		return err_oom(e);
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	r = fs_write_existing(AT_FDCWD, path, text.len ? text.s : "");
	return r < 0 ? err_errno(e, r, "cannot write %s", file) : 0;
}

/* Whether an ordinary user may write the map: the own id, once. */
static bool maps_own_id(const oci_id_mappings *maps, uint32_t own)
{
	return maps->n == 1 && maps->v[0].host_id == own && maps->v[0].size == 1;
}

static int tool_arguments(const char *tool, pid_t pid, const oci_id_mappings *maps,
			  struct strv *ret)
{
	if (strv_add(ret, tool) < 0 || strv_addf(ret, "%d", (int)pid) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < maps->n; i++)
		if (strv_addf(ret, "%u", maps->v[i].container_id) < 0 ||
		    strv_addf(ret, "%u", maps->v[i].host_id) < 0 ||
		    strv_addf(ret, "%u", maps->v[i].size) < 0)
			return -ENOMEM;
	return 0;
}

/* In a process whose output goes to `output`; what the caller passes to the container stays out. */
static int spawn_tool(char **args, int output, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output, 2);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (r == 0)
		r = posix_spawnp(ret, args[0], &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/*
 * newuidmap(1) and newgidmap(1) map the further ids that the administrator gave to the user in
 * /etc/subuid and /etc/subgid. They are found in PATH: the caller has no privileges that another
 * program of that name could take.
 */
static int run_map_tool(const char *tool, pid_t pid, const oci_id_mappings *maps,
			struct err *e)
{
	_strv_free_ struct strv args = {};
	_close_ int from = -1, to = -1;
	_free_ char *said = NULL;
	int fds[2], status, r;
	struct err unused;
	pid_t child;

	if (tool_arguments(tool, pid, maps, &args) < 0)
		return err_oom(e);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	from = fds[0];
	to = fds[1];
	r = spawn_tool(args.v, to, &child);
	if (r < 0)
		return err_errno(e, r,
				 "cannot run %s (package uidmap), which maps more than the own id "
				 "for an ordinary user",
				 tool);
	fd_close(&to);
	if (fd_read_all(from, 4096, &said, NULL, &unused) < 0)
		said = NULL;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "cannot wait for %s", tool);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (said)
		said[strcspn(said, "\n")] = '\0';
	return err_set(e, ERR_KERNEL, EPERM, "%s",
		       said && *said ? said : "newuidmap or newgidmap failed");
}

/* Without CAP_SETGID in the parent's namespace, setgroups has to be given up first. */
static int write_gid_map_denied(pid_t pid, const oci_id_mappings *gids, struct err *e)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	r = fs_write_existing(AT_FDCWD, path, "deny");
	if (r < 0)
		return err_errno(e, r, "cannot write setgroups");
	return write_map(pid, "gid_map", gids, e);
}

int userns_write_maps(pid_t pid, const oci_id_mappings *uids, const oci_id_mappings *gids,
		      struct err *e)
{
	bool ordinary = geteuid() != 0;
	int r;

	r = write_map(pid, "uid_map", uids, e);
	if (r == -EPERM && ordinary && !maps_own_id(uids, geteuid()))
		r = run_map_tool("newuidmap", pid, uids, e);
	if (r < 0)
		return err_wrap(e, "linux.uidMappings");
	r = write_map(pid, "gid_map", gids, e);
	if (r == -EPERM && ordinary && !maps_own_id(gids, getegid()))
		r = run_map_tool("newgidmap", pid, gids, e);
	else if (r == -EPERM)
		r = write_gid_map_denied(pid, gids, e);
	return r < 0 ? err_wrap(e, "linux.gidMappings") : 0;
}

bool userns_is_nested(void)
{
	_free_ char *text = NULL;
	unsigned int inside, outside, size;
	struct err e;

	if (fs_read(AT_FDCWD, "/proc/self/uid_map", 4096, &text, NULL, &e) < 0)
		return false;
	if (sscanf(text, "%u %u %u", &inside, &outside, &size) != 3)
		return true;
	return inside != 0 || outside != 0 || size != UINT32_MAX;
}
