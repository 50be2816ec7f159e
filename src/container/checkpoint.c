/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint: see checkpoint.h. Runs in the runtime, in the host's namespaces, as root. */
#include "container/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "container/checkpoint_image.h"
#include "container/checkpoint_mounts.h"
#include "container/criu.h"
#include "linux/ns.h"

#define FDINFO_MAX 4096
#define STATUS_MAX 65536

static const struct json_type checkpoint_mount_type = {
	sizeof(struct checkpoint_mount),
	(const struct json_field[]){
		JSON_FR(checkpoint_mount, path, "path", JSON_STR),
		JSON_FR(checkpoint_mount, options, "options", JSON_STR),
		{},
	},
};

const struct json_type checkpoint_image_type = {
	sizeof(struct checkpoint_image),
	(const struct json_field[]){
		JSON_FR(checkpoint_image, stdio, "stdio", JSON_STRV),
		JSON_FTR(checkpoint_image, mounts, "mounts", JSON_STRUCTS,
			 &checkpoint_mount_type),
		{},
	},
};

/* What CRIU would bring back otherwise than it was, or not at all. */
int checkpoint_check(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	const char *member = NULL;

	if (l->seccomp && l->seccomp->listener_path)
		member = "linux.seccomp.listenerPath";
	else if (l->net_devices.n)
		member = "linux.netDevices";
	else if (l->intel_rdt)
		member = "linux.intelRdt";
	else if (l->memory_policy)
		member = "linux.memoryPolicy";
	else if (l->time_offsets.n)
		member = "linux.timeOffsets";
	if (member)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "%s: a container with this can be neither checkpointed nor "
			       "restored",
			       member);
	for (size_t i = 0; i < l->namespaces.n; i++)
		if (l->namespaces.v[i].path && !streq(l->namespaces.v[i].type, "network"))
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				       "the container shares a namespace (%s) that is not a "
				       "network: it can be neither checkpointed nor restored",
				       l->namespaces.v[i].type);
	if (geteuid() != 0 || userns_is_nested())
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "checkpoint and restore are for root of the host alone");
	return 0;
}

int checkpoint_refuse_policy(const char *name, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "policy \"%s\": a container under a policy can be neither checkpointed "
		       "nor restored, since the policy would not hold for what is restored",
		       name);
}

static int check(const struct container *c, const struct oci_spec *s, struct err *e)
{
	enum container_status status;
	int r;

	if (c->st.foreign || c->st.supervisor)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "only what create, run or restore have made can be "
			       "checkpointed");
	if (faccessat(c->dirfd, "notify", F_OK, 0) == 0)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "a container that was made with NOTIFY_SOCKET cannot be "
			       "checkpointed");
	if (c->st.policies.n)
		return checkpoint_refuse_policy(c->st.policies.v[0].name, e);
	r = container_status(c, &status, e);
	if (r == 0 && status != CONTAINER_RUNNING && status != CONTAINER_PAUSED)
		r = err_set(e, ERR_STATE, EINVAL, "cannot checkpoint a container that is %s",
			    container_status_name(status));
	return r == 0 ? checkpoint_check(s, e) : r;
}

static pid_t parent_of(pid_t pid)
{
	_free_ char *text = NULL;
	struct err unused;
	char path[64], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (fs_read(AT_FDCWD, path, STATUS_MAX, &text, NULL, &unused) < 0)
		return 0;
	line = strstr(text, "\nPPid:");
	return line ? (pid_t)strtol(line + strlen("\nPPid:"), NULL, 10) : 0;
}

/* CRIU dumps init and its descendants, and says nothing of others, which would be lost. */
static int check_processes(const struct container *c, struct err *e)
{
	cgroup_pid_list pids = {};
	int r;

	if (!c->st.cgroup || c->st.cgroup->mode == CGROUP_NONE)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "a container without a control group cannot be checkpointed: "
			       "nothing tells which processes are its own");
	r = cgroup_pids(c->st.cgroup, &pids, e);
	for (size_t i = 0; r == 0 && i < pids.n; i++) {
		pid_t pid = pids.v[i];

		while (pid > 1 && pid != c->st.pid)
			pid = parent_of(pid);
		if (pid != c->st.pid && process_start_time(pids.v[i]))
			r = err_set(e, ERR_STATE, EBUSY,
				    "process %d was not started by the container's program, "
				    "but by exec: it cannot be checkpointed",
				    (int)pids.v[i]);
	}
	free(pids.v);
	return r;
}

/* A network namespace that was joined by path stays whose it is. */
static int add_network(const struct oci_spec *s, struct strv *external, struct err *e)
{
	const struct oci_namespace *ns = oci_spec_namespace(s, "network");
	struct stat st;

	if (!ns || !ns->path)
		return 0;
	if (stat(ns->path, &st) < 0)
		return err_sys(e, "cannot examine network namespace '%s'", ns->path);
	return strv_addf(external, "net[%" PRIu64 "]:" CHECKPOINT_NETWORK,
			 (uint64_t)st.st_ino) < 0 ?
		       err_oom(e) :
		       0;
}

/* The mount that the descriptor's file is in. */
static int read_mount_id(const struct container *c, int fd, uint64_t *ret, struct err *e)
{
	_free_ char *text = NULL;
	char path[64], *line;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", c->st.pid, fd);
	r = fs_read(AT_FDCWD, path, FDINFO_MAX, &text, NULL, e);
	if (r < 0)
		return r;
	line = strstr(text, "mnt_id:");
	if (!line)
		return err_set(e, ERR_KERNEL, EINVAL, "%s: no mnt_id", path);
	*ret = strtoull(line + strlen("mnt_id:"), NULL, 10);
	return 0;
}

/* By what key the file that is `fd` of init is handed to the restored container; empty: it is the
 * container's own, and CRIU brings it back. */
static int name_stdio(const struct container *c, const struct mounts_seen *mounts, int fd,
		      struct strv *external, char **ret, struct err *e)
{
	_free_ char *link = NULL;
	uint64_t mount_id = 0;
	char path[64];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", c->st.pid, fd);
	r = fs_readlink(AT_FDCWD, path, &link);
	if (r == -ENOENT)
		return (*ret = strdup("")) ? 0 : err_oom(e);
	if (r < 0 || stat(path, &st) < 0)
		return err_errno(e, r < 0 ? r : errno, "cannot examine '%s'", path);
	if (str_has_prefix(link, "pipe:"))
		return (*ret = take_ptr(&link)) ? 0 : err_oom(e);
	*ret = strdup("");
	if (!*ret)
		return err_oom(e);
	if (link[0] != '/' || (S_ISCHR(st.st_mode) && str_has_prefix(link, "/dev/pts/")))
		return 0;
	r = read_mount_id(c, fd, &mount_id, e);
	if (r < 0 || mounts_find(mounts, mount_id))
		return r;
	free(*ret);
	*ret = str_printf("file[%" PRIx64 ":%" PRIx64 "]", mount_id, (uint64_t)st.st_ino);
	return *ret && strv_add(external, *ret) == 0 ? 0 : err_oom(e);
}

static int fill_image(const struct container *c, const struct mounts_seen *mounts,
		      struct checkpoint_image *image, struct strv *external, struct err *e)
{
	for (int fd = 0; fd <= 2; fd++) {
		_free_ char *key = NULL;
		int r = name_stdio(c, mounts, fd, external, &key, e);

		if (r < 0)
			return r;
		if (strv_add(&image->stdio, key) < 0)
			return err_oom(e);
	}
	for (size_t i = 0; i < mounts->v.n; i++) {
		struct checkpoint_mount *m = list_add(&image->mounts);

		if (!m)
			return err_oom(e);
		m->path = strdup(mounts->v.v[i].point);
		m->options = strdup(mounts->v.v[i].options);
		if (!m->path || !m->options)
			return err_oom(e);
	}
	return 0;
}

static int write_image(const struct container *c, const struct mounts_seen *mounts,
		       struct criu_request *rq, struct err *e)
{
	struct checkpoint_image image = {};
	_buf_free_ struct buf text = {};
	int r = fill_image(c, mounts, &image, &rq->external, e);

	if (r == 0)
		r = json_write(&checkpoint_image_type, &image, false, &text, e);
	if (r == 0)
		r = fs_write_atomic(rq->images_fd, CHECKPOINT_IMAGE, text.s, text.len,
				    0600, e);
	json_clear(&checkpoint_image_type, &image);
	return r;
}

static const char *freezer_of(const struct cgroup *cg)
{
	const char *v1 = cg ? strmap_get(&cg->v1, "freezer") : NULL;

	return v1 ? v1 : cg ? cg->unified : NULL;
}

static int dump(const struct container *c, const struct oci_spec *s,
		const struct checkpoint_options *o, struct err *e)
{
	_criu_request_clear_ struct criu_request rq = CRIU_REQUEST_EMPTY;
	const struct criu_start start = { .fd = -1 };
	_mounts_seen_clear_ struct mounts_seen mounts = {};
	_criu_end_ struct criu criu = CRIU_EMPTY;
	int r;

	rq.options = o;
	rq.root = c->st.rootfs;
	rq.pid = c->st.pid;
	rq.freeze_cgroup = freezer_of(c->st.cgroup);
	r = check_processes(c, e);
	if (r == 0)
		r = criu_request_open(&rq, true, e);
	if (r == 0)
		r = add_network(s, &rq.external, e);
	if (r == 0)
		r = mounts_see(c, &mounts, e);
	if (r == 0)
		r = checkpoint_mounts(c, s, &mounts, &rq.external, e);
	if (r == 0)
		r = write_image(c, &mounts, &rq, e);
	if (r == 0)
		r = criu_begin(&start, &criu, e);
	return r == 0 ? criu_dump(&criu, &rq, e) : r;
}

int container_checkpoint(const char *root, const char *id,
			 const struct checkpoint_options *o, struct err *e)
{
	_oci_spec_free_ struct oci_spec *spec = NULL;
	_container_close_ struct container c = CONTAINER_EMPTY;
	int r;

	r = container_open(root, id, true, &c, e);
	if (r == 0)
		r = container_config_load(&c, &spec, e);
	if (r == 0)
		r = check(&c, spec, e);
	if (r == 0)
		r = dump(&c, spec, o, e);
	if (r < 0 || o->leave_running || o->pre_dump)
		return r;
	container_close(&c);
	c = (struct container)CONTAINER_EMPTY;
	return container_delete(root, id, true, e);
}
