/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder: see state.h. Runs in the runtime, with the caller's privileges. */
#include "container/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "linux/ns.h"
#include "oci/state.h"

#define STATE_FILE_MAX (16 * 1024 * 1024)
#define LOCK_WAIT_MS 10000
#define REMOVE_TRIES 10

static const struct json_field policy_fields[] = {
	JSON_FR(container_policy, name, "name", JSON_STR),
	JSON_F(container_policy, path, "path", JSON_STR),
	JSON_F(container_policy, chosen_by, "chosenBy", JSON_STR),
	JSON_F(container_policy, sections, "sections", JSON_STRMAP),
	{},
};
static const struct json_type policy_type = { sizeof(struct container_policy),
					      policy_fields };

static const struct json_field state_fields[] = {
	JSON_FR(container_state, id, "id", JSON_STR),
	JSON_F(container_state, oci_version, "ociVersion", JSON_STR),
	JSON_F(container_state, bundle, "bundle", JSON_STR),
	JSON_F(container_state, rootfs, "rootfs", JSON_STR),
	JSON_F(container_state, created, "created", JSON_STR),
	JSON_F(container_state, owner, "owner", JSON_STR),
	JSON_F(container_state, pid, "pid", JSON_I32),
	JSON_F(container_state, pid_start, "pidStart", JSON_U64),
	JSON_F(container_state, annotations, "annotations", JSON_STRMAP),
	JSON_FT(container_state, cgroup, "cgroup", JSON_STRUCT, &cgroup_type),
	JSON_F(container_state, cgroups_path, "cgroupsPath", JSON_STR),
	JSON_F(container_state, cgroup_systemd, "cgroupSystemd", JSON_BOOL),
	JSON_F(container_state, cgroup_pending, "cgroupPending", JSON_BOOL),
	JSON_FT(container_state, policies, "policies", JSON_STRUCTS, &policy_type),
	JSON_FT(container_state, network_policies, "networkPolicies", JSON_STRUCTS,
		&policy_type),
	JSON_F(container_state, explanations, "explanations", JSON_STRV),
	JSON_FT(container_state, policy_limits, "policyLimits", JSON_STRUCT,
		&oci_resources_type),
	JSON_F(container_state, no_new_keyring, "noNewKeyring", JSON_BOOL),
	JSON_F(container_state, supervisor, "supervisor", JSON_I32),
	JSON_F(container_state, supervisor_start, "supervisorStart", JSON_U64),
	JSON_F(container_state, network_filter, "networkFilter", JSON_STR),
	JSON_F(container_state, trace, "trace", JSON_STR),
	JSON_F(container_state, network_generation, "networkGeneration", JSON_U32),
	JSON_F(container_state, dns_pid, "dnsPid", JSON_I32),
	JSON_F(container_state, dns_start, "dnsStart", JSON_U64),
	JSON_F(container_state, monitor_pid, "monitorPid", JSON_I32),
	JSON_F(container_state, monitor_start, "monitorStart", JSON_U64),
	JSON_F(container_state, gateway_pid, "gatewayPid", JSON_I32),
	JSON_F(container_state, gateway_start, "gatewayStart", JSON_U64),
	JSON_F(container_state, foreign, "foreign", JSON_BOOL),
	JSON_F(container_state, usernet_pid, "usernetPid", JSON_I32),
	JSON_F(container_state, usernet_start, "usernetStart", JSON_U64),
	JSON_F(container_state, warden_pid, "wardenPid", JSON_I32),
	JSON_F(container_state, warden_start, "wardenStart", JSON_U64),
	JSON_F(container_state, timeout_seconds, "timeoutSeconds", JSON_U64),
	JSON_F(container_state, timeout_place, "timeoutPlace", JSON_STR),
	JSON_F(container_state, memory_place, "memoryPlace", JSON_STR),
	{},
};
static const struct json_type state_type = { sizeof(struct container_state), state_fields };

char *container_default_root(void)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if ((geteuid() != 0 || userns_is_nested()) && run && *run)
		return fs_join(run, "purple");
	return strdup("/run/purple");
}

int container_check_id(const char *id, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+.-";
	size_t len = strlen(id);

	if (len == 0)
		return err_set(e, ERR_USAGE, EINVAL, "container id cannot be empty");
	if (len > 1024)
		return err_set(e, ERR_USAGE, EINVAL,
			       "container id is longer than 1024 bytes");
	if (streq(id, ".") || streq(id, "..") || strspn(id, allowed) != len)
		return err_set(e, ERR_USAGE, EINVAL,
			       "invalid container id '%s': use letters, digits and _ + . -",
			       id);
	return 0;
}

static int set_names(struct container *c, const char *root, const char *id, struct err *e)
{
	c->root = strdup(root);
	c->dir = fs_join(root, id);
	return c->root && c->dir ? 0 : err_oom(e);
}

/* While we waited for the lock, a delete may have removed the folder that it is in. */
static bool is_removed(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* A record lock: unlike flock() it is not inherited by init. ENOENT: the folder is gone. */
static int lock_folder(struct container *c, bool wait, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_close_ int fd = openat(c->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "cannot open '%s/lock'", c->dir);
	for (int waited = 0;; waited += 10) {
		if (fcntl(fd, F_SETLK, &lock) == 0)
			break;
		if (errno != EAGAIN && errno != EACCES)
			return err_sys(e, "cannot lock '%s'", c->dir);
		if (!wait || waited >= LOCK_WAIT_MS)
			return err_set(e, ERR_STATE, EBUSY,
				       "container is busy: another command works on it");
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	}
	if (is_removed(fd))
		return err_set(e, ERR_STATE, ENOENT, "'%s' was removed", c->dir);
	c->lockfd = take_fd(&fd);
	return 0;
}

bool container_is_locked(const struct container *c)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_close_ int fd = openat(c->dirfd, "lock", O_RDWR | O_CLOEXEC);

	return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int container_state_create(const char *root, const char *id, struct container *ret,
			   struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	int r;

	r = container_check_id(id, e);
	if (r < 0)
		return r;
	r = set_names(&c, root, id, e);
	if (r < 0)
		return r;
	r = fs_mkdir_p(root, 0700, e);
	if (r < 0)
		return err_wrap(e, "cannot make the state root");
	if (mkdir(c.dir, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(e, ERR_EXISTS, EEXIST, "'%s'", id);
		return err_sys(e, "cannot make state folder '%s'", c.dir);
	}
	c.dirfd = open(c.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c.dirfd < 0)
		r = err_sys(e, "cannot open state folder '%s'", c.dir);
	if (r == 0)
		r = lock_folder(&c, false, e);
	if (r == -ENOENT)
		err_set(e, ERR_STATE, EBUSY,
			"container is busy: another command removed '%s'", c.dir);
	/* Not more than what is surely ours: another command may have taken the folder away, and a
	 * third one made it anew. */
	if (r < 0) {
		rmdir(c.dir);
		return -e->code;
	}
	*ret = c;
	c = (struct container)CONTAINER_EMPTY;
	return 0;
}

/* A damaged file must not make us signal or remove what is not this container's. */
static int check_state(const struct container_state *st, const char *id, struct err *e)
{
	if (!streq_null(st->id, id))
		return err_set(e, ERR_STATE, EINVAL, "state.json: is of container '%s'",
			       st->id ? st->id : "");
	if (st->pid < 0 || st->supervisor < 0 || st->dns_pid < 0 || st->usernet_pid < 0 ||
	    st->monitor_pid < 0 || st->gateway_pid < 0 || st->warden_pid < 0)
		return err_set(e, ERR_STATE, EINVAL, "state.json: a pid is negative");
	return st->cgroup ? cgroup_check(st->cgroup, e) : 0;
}

static int load_state(struct container *c, const char *id, struct err *e)
{
	_free_ char *path = fs_join(c->dir, "state.json");
	int r;

	if (!path)
		return err_oom(e);
	if (faccessat(c->dirfd, "state.json", F_OK, 0) < 0 && errno == ENOENT) {
		c->st.id = strdup(id);
		return c->st.id ? 0 : err_oom(e);
	}
	r = json_read_file(AT_FDCWD, path, STATE_FILE_MAX, &state_type, &c->st, e);
	if (r == 0)
		r = check_state(&c->st, id, e);
	return r < 0 ? err_wrap(e, "cannot read the state of container '%s'", id) : 0;
}

int container_open(const char *root, const char *id, bool lock, struct container *ret,
		   struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	int r;

	r = container_check_id(id, e);
	if (r < 0)
		return r;
	r = set_names(&c, root, id, e);
	if (r < 0)
		return r;
	c.dirfd = open(c.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c.dirfd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOT_EXIST, ENOENT, "'%s'", id);
	if (c.dirfd < 0)
		return err_sys(e, "cannot open state folder '%s'", c.dir);
	if (lock) {
		r = lock_folder(&c, true, e);
		/* The folder may have gone while we waited. */
		if (r == -ENOENT)
			return err_set(e, ERR_NOT_EXIST, ENOENT, "'%s'", id);
		if (r < 0)
			return r;
	}
	r = load_state(&c, id, e);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct container)CONTAINER_EMPTY;
	return 0;
}

static int save(struct container *c, const char *name, const struct json_type *t,
		const void *obj, struct err *e)
{
	_buf_free_ struct buf text = {};
	int r;

	r = json_write(t, obj, true, &text, e);
	if (r < 0)
		return r;
	buf_adds(&text, "\n");
	if (text.failed)
		return err_oom(e);
	r = fs_write_own(c->dirfd, name, text.s, text.len, 0600, e);
	return r < 0 ? err_wrap(e, "state folder '%s'", c->dir) : 0;
}

int container_state_save(struct container *c, struct err *e)
{
	return save(c, "state.json", &state_type, &c->st, e);
}

int container_config_save(struct container *c, const struct oci_spec *s, struct err *e)
{
	return save(c, "config.json", &oci_state_spec_type, s, e);
}

int container_config_load(struct container *c, struct oci_spec **ret, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = calloc(1, sizeof(*s));
	_free_ char *path = fs_join(c->dir, "config.json");
	int r;

	if (!s || !path)
		return err_oom(e);
	r = json_read_file(AT_FDCWD, path, STATE_FILE_MAX, &oci_state_spec_type, s, e);
	if (r == 0 && !s->linux_)
		r = err_set(e, ERR_CONFIG, EINVAL, "linux: is missing");
	if (r == 0)
		r = oci_spec_check(s, e);
	if (r < 0)
		return err_wrap(e, "cannot read the container's configuration");
	*ret = take_ptr(&s);
	return 0;
}

int container_open_events(const struct container *c, int *ret_fd, struct err *e)
{
	int fd = openat(c->dirfd, CONTAINER_EVENTS,
			O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "cannot open '%s/" CONTAINER_EVENTS "'", c->dir);
	*ret_fd = fd;
	return 0;
}

int container_state_remove(struct container *c, struct err *e)
{
	int r = -ENOTEMPTY;

	/* Who waits to lock it may make the lock file anew. */
	for (int i = 0; (r == -ENOTEMPTY || r == -EEXIST) && i < REMOVE_TRIES; i++)
		r = fs_remove_tree(AT_FDCWD, c->dir, e);
	return r < 0 ? err_wrap(e, "cannot remove state folder") : 0;
}

void container_close(struct container *c)
{
	free(c->root);
	free(c->dir);
	fd_close(&c->dirfd);
	fd_close(&c->lockfd);
	json_clear(&state_type, &c->st);
	*c = (struct container)CONTAINER_EMPTY;
}

uint64_t process_start_time(pid_t pid)
{
	_free_ char *text = NULL;
	unsigned long long start;
	char path[64], state;
	long threads;
	struct err e;
	char *after;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (fs_read(AT_FDCWD, path, 4096, &text, NULL, &e) < 0)
		return 0;
	/* The name may hold anything; the last ")" ends it. Fields 3, 20 and 22. */
	after = strrchr(text, ')');
	if (!after ||
	    sscanf(after + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
		   &state, &threads, &start) != 3)
		return 0;
	/* Others may go on when the first thread has ended: the kernel says 'Z' then, too. */
	return (state == 'Z' && threads <= 1) || state == 'X' ? 0 : start;
}

bool process_is_alive(pid_t pid, uint64_t start)
{
	return start != 0 && process_start_time(pid) == start;
}

int container_connect_init(const struct container *c, int flags)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		return -errno;
	/* Through the descriptor: the path may be long. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/start.sock",
		 c->dirfd);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return take_fd(&fd);
}

/* A start that was killed may have let init run, and left the socket. */
bool container_waits_for_start(const struct container *c)
{
	_close_ int fd = -1;

	if (faccessat(c->dirfd, "start.sock", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	fd = container_connect_init(c, SOCK_NONBLOCK);
	return fd != -ECONNREFUSED && fd != -ENOENT;
}

int container_status(const struct container *c, enum container_status *ret, struct err *e)
{
	bool frozen = false;
	int r;

	if (c->st.pid == 0) {
		/* Created by someone who is at it, or who died: then nothing runs. */
		*ret = CONTAINER_CREATING;
		return 0;
	}
	if (!process_is_alive(c->st.pid, c->st.pid_start)) {
		*ret = CONTAINER_STOPPED;
		return 0;
	}
	if (c->st.cgroup) {
		r = cgroup_is_frozen(c->st.cgroup, &frozen, e);
		if (r < 0)
			return r;
	}
	if (frozen)
		*ret = CONTAINER_PAUSED;
	else if (container_waits_for_start(c))
		*ret = CONTAINER_CREATED;
	else
		*ret = CONTAINER_RUNNING;
	return 0;
}

const char *container_status_name(enum container_status s)
{
	static const char *const names[] = { "creating", "created", "running", "paused",
					     "stopped" };

	return names[s];
}

static struct oci_state as_document(const struct container *c)
{
	return (struct oci_state){
		.oci_version = OCI_STATE_VERSION,
		.id = c->st.id,
		.bundle = c->st.bundle ? c->st.bundle : "",
		.annotations = c->st.annotations,
	};
}

int container_hook_state(const struct container *c, const char *status, pid_t pid,
			 struct buf *out, struct err *e)
{
	struct oci_state doc = as_document(c);

	doc.status = status;
	doc.pid = pid;
	return oci_state_write_hook(&doc, out, e);
}

char *container_owner_name(uid_t uid)
{
	/* Not getpwuid(): its sources of names are libraries to load. */
	_fclose_ FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *p;

	while (f && (p = fgetpwent(f)))
		if (p->pw_uid == uid)
			return strdup(p->pw_name);
	return str_printf("#%u", (unsigned int)uid);
}

int container_state_document(const struct container *c, enum container_status status,
			     bool pretty, struct buf *out, struct err *e)
{
	struct oci_state doc = as_document(c);

	doc.status = container_status_name(status);
	doc.pid = status == CONTAINER_STOPPED ? 0 : c->st.pid;
	doc.rootfs = c->st.rootfs;
	doc.created = c->st.created;
	doc.owner = c->st.owner;
	return oci_state_write(&doc, pretty, out, e);
}

int container_listener_message(const struct container *c, const char *status, pid_t pid,
			       const char *metadata, struct buf *out, struct err *e)
{
	_buf_free_ struct buf state = {};
	int r;

	r = container_hook_state(c, status, c->st.pid ? c->st.pid : pid, &state, e);
	if (r < 0)
		return r;
	buf_addf(out, "{\"ociVersion\":\"%s\",\"fds\":[\"seccompFd\"],\"pid\":%d,",
		 OCI_STATE_VERSION, (int)pid);
	if (metadata) {
		buf_adds(out, "\"metadata\":");
		json_quote(out, metadata);
		buf_adds(out, ",");
	}
	buf_addf(out, "\"state\":%s}", state.s);
	return out->failed ? err_oom(e) : 0;
}

int container_list_ids(const char *root, struct strv *ret, struct err *e)
{
	_closedir_ DIR *dir = opendir(root);
	struct dirent *d;
	struct err unused;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_sys(e, "cannot read '%s'", root);
	while ((d = readdir(dir))) {
		if (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN)
			continue;
		if (container_check_id(d->d_name, &unused) < 0)
			continue;
		if (strv_add(ret, d->d_name) < 0)
			return err_oom(e);
	}
	strv_sort(ret);
	return 0;
}
