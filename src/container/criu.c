/* SPDX-License-Identifier: Apache-2.0 */
/* See criu.h. Runs in the runtime, in the host's namespaces, as root. */
#include "container/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/helper.h"
#include "base/socket.h"
#include "base/spawn.h"

#define PATH_OF_PROGRAMS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ANSWER_MAX 16384
#define LOG_LEVEL 4
#define END_MS 60000
#define LOG_MAX (16 * 1024 * 1024)

/* criu_req_type */
enum { REQUEST_DUMP = 1, REQUEST_RESTORE = 2, REQUEST_PRE_DUMP = 4, REQUEST_NOTIFY = 6 };

/* Members of criu_req. */
enum { REQ_TYPE = 1, REQ_OPTS = 2, REQ_NOTIFY_SUCCESS = 3 };

/* Members of criu_opts, and values of its enumerations. */
enum {
	OPT_IMAGES_DIR_FD = 1,
	OPT_PID = 2,
	OPT_LEAVE_RUNNING = 3,
	OPT_EXT_UNIX_SK = 4,
	OPT_TCP_ESTABLISHED = 5,
	OPT_EVASIVE_DEVICES = 6,
	OPT_SHELL_JOB = 7,
	OPT_FILE_LOCKS = 8,
	OPT_LOG_LEVEL = 9,
	OPT_LOG_FILE = 10,
	OPT_NOTIFY_SCRIPTS = 12,
	OPT_ROOT = 13,
	OPT_PARENT_IMG = 14,
	OPT_TRACK_MEM = 15,
	OPT_WORK_DIR_FD = 17,
	OPT_LINK_REMAP = 18,
	OPT_RST_SIBLING = 26,
	OPT_INHERIT_FD = 27,
	OPT_MANAGE_CGROUPS_MODE = 34,
	OPT_EXTERNAL = 37,
	OPT_FREEZE_CGROUP = 44,
	OPT_TCP_SKIP_IN_FLIGHT = 46,
	OPT_ORPHAN_PTS_MASTER = 50,
	OPT_TCP_CLOSE = 52,
	OPT_LSM_PROFILE = 53,
	OPT_LSM_MOUNT_CONTEXT = 63,
};
enum { INHERIT_KEY = 1, INHERIT_FD = 2 };
enum { CGROUPS_IGNORE = 0 };

/* Members of criu_resp, and of what is in it. */
enum {
	RESP_TYPE = 1,
	RESP_SUCCESS = 2,
	RESP_RESTORE = 4,
	RESP_NOTIFY = 5,
	RESP_ERRMSG = 9
};
enum { RESTORE_PID = 1 };
enum { NOTIFY_SCRIPT = 1, NOTIFY_PID = 2 };

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct answer {
	uint64_t type;
	bool success;
	pid_t pid; /* of restore or notify */
	char script[64];
	char message[256];
};

/* --- protocol buffers --- */

static void put_varint(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add(b, &(char){ (char)(v | 0x80) }, 1);
	buf_add(b, &(char){ (char)v }, 1);
}

static void put_number(struct buf *b, unsigned int field, uint64_t v)
{
	put_varint(b, field << 3 | WIRE_VARINT);
	put_varint(b, v);
}

static void put_bytes(struct buf *b, unsigned int field, const char *s, size_t len)
{
	put_varint(b, field << 3 | WIRE_BYTES);
	put_varint(b, len);
	buf_add(b, s, len);
}

static void put_text(struct buf *b, unsigned int field, const char *s)
{
	if (s)
		put_bytes(b, field, s, strlen(s));
}

static void put_flag(struct buf *b, unsigned int field, bool on)
{
	if (on)
		put_number(b, field, 1);
}

struct bytes {
	const unsigned char *p, *end;
};

struct field {
	unsigned int number;
	uint64_t value;	    /* WIRE_VARINT */
	struct bytes bytes; /* WIRE_BYTES */
};

static bool get_varint(struct bytes *in, uint64_t *ret)
{
	*ret = 0;
	for (unsigned int shift = 0; in->p < in->end && shift < 64; shift += 7) {
		unsigned char c = *in->p++;

		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

/* The next member: 1; the end: 0; what is none: -EPROTO. */
static int get_field(struct bytes *in, struct field *ret)
{
	uint64_t tag, size = 0;

	*ret = (struct field){};
	if (in->p == in->end)
		return 0;
	if (!get_varint(in, &tag))
		return -EPROTO;
	ret->number = (unsigned int)(tag >> 3);
	switch (tag & 7) {
	case WIRE_VARINT:
		return get_varint(in, &ret->value) ? 1 : -EPROTO;
	case WIRE_64:
		size = 8;
		break;
	case WIRE_32:
		size = 4;
		break;
	case WIRE_BYTES:
		if (!get_varint(in, &size))
			return -EPROTO;
		break;
	default:
		return -EPROTO;
	}
	if (size > (uint64_t)(in->end - in->p))
		return -EPROTO;
	ret->bytes = (struct bytes){ in->p, in->p + size };
	in->p += size;
	return 1;
}

/* Cut where it is too long; what is not printable becomes a blank. */
static void get_text(const struct bytes *from, char *to, size_t size)
{
	size_t n = 0;

	for (const unsigned char *p = from->p; p < from->end && n + 1 < size; p++)
		to[n++] = *p >= ' ' && *p < 0x7f ? (char)*p : ' ';
	to[n] = '\0';
}

static int get_pid(struct bytes in, unsigned int member, pid_t *ret)
{
	struct field f;
	int r;

	while ((r = get_field(&in, &f)) > 0)
		if (f.number == member)
			*ret = (pid_t)f.value;
	return r;
}

static int get_notify(struct bytes in, struct answer *ret)
{
	struct bytes all = in;
	struct field f;
	int r;

	while ((r = get_field(&in, &f)) > 0)
		if (f.number == NOTIFY_SCRIPT)
			get_text(&f.bytes, ret->script, sizeof(ret->script));
	return r < 0 ? r : get_pid(all, NOTIFY_PID, &ret->pid);
}

static int get_answer(struct bytes in, struct answer *ret)
{
	struct field f;
	int r;

	*ret = (struct answer){};
	while ((r = get_field(&in, &f)) > 0) {
		if (f.number == RESP_TYPE)
			ret->type = f.value;
		else if (f.number == RESP_SUCCESS)
			ret->success = f.value != 0;
		else if (f.number == RESP_ERRMSG)
			get_text(&f.bytes, ret->message, sizeof(ret->message));
		else if (f.number == RESP_RESTORE)
			r = get_pid(f.bytes, RESTORE_PID, &ret->pid);
		else if (f.number == RESP_NOTIFY)
			r = get_notify(f.bytes, ret);
		if (r < 0)
			return r;
	}
	return r;
}

/* --- the program --- */

static char *find_program(void)
{
	static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin",
					    "/usr/sbin",       "/usr/bin",
					    "/sbin",	       "/bin" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_free_ char *path = fs_join(dirs[i], "criu");

		if (path && access(path, X_OK) == 0)
			return take_ptr(&path);
	}
	return NULL;
}

struct begin {
	const struct criu_start *start;
	const char *program;
};

static int become_criu(const void *arg, int *report, struct err *e)
{
	const struct begin *b = arg;
	const struct criu_start *s = b->start;
	static const char *const argv[] = { "criu", "swrk", "3", NULL };
	static const char *const envp[] = { "PATH=" PATH_OF_PROGRAMS, NULL };
	int r = helper_move_report(report, CRIU_FD_FIRST + 1, e);

	if (r == 0 && s->prepare)
		r = s->prepare(s->arg, e);
	if (r == 0) {
		const int fds[] = { s->inherits_stdio ? 0 : -1, s->inherits_stdio ? 1 : -1,
				    s->inherits_stdio ? 2 : -1, *report, s->fd };

		r = spawn_exec(&(struct spawn){ .program = b->program,
						.argv = argv,
						.envp = envp,
						.fds = fds,
						.n = ARRAY_SIZE(fds) },
			       e);
	}
	return r;
}

int criu_begin(const struct criu_start *start, struct criu *ret, struct err *e)
{
	_free_ char *program = find_program();

	if (!program)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "checkpoint and restore need CRIU: criu(8) is not installed");
	return helper_begin(become_criu, &(struct begin){ start, program }, &ret->pid,
			    &ret->sock, e);
}

void criu_end(struct criu *c)
{
	helper_end(&c->pid, &c->sock);
}

/* It has answered, and ends when it sees that nothing more is asked. */
static void let_end(struct criu *c)
{
	_close_ int pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	fd_close(&c->sock);
	while (pidfd >= 0 && poll(&p, 1, END_MS) < 0 && errno == EINTR)
		;
	criu_end(c);
}

/* --- requests --- */

void criu_request_clear(struct criu_request *rq)
{
	for (size_t i = 0; i < rq->inherited.n; i++)
		free(rq->inherited.v[i].key);
	free(rq->inherited.v);
	strv_free(&rq->external);
	if (rq->work_fd != rq->images_fd)
		fd_close(&rq->work_fd);
	fd_close(&rq->images_fd);
}

int criu_request_inherit(struct criu_request *rq, const char *key, int fd, struct err *e)
{
	struct criu_inherited *i = list_add(&rq->inherited);

	if (!i || !(i->key = strdup(key)))
		return err_oom(e);
	i->fd = fd;
	return 0;
}

static int open_dir(const char *path, bool make, int *ret, struct err *e)
{
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make '%s'", path);
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, "cannot open '%s'", path) : 0;
}

static const char *image_path(const struct checkpoint_options *o)
{
	return o->image_path ? o->image_path : "checkpoint";
}

int criu_request_open(struct criu_request *rq, bool make, struct err *e)
{
	const struct checkpoint_options *o = rq->options;
	int r = open_dir(image_path(o), make, &rq->images_fd, e);

	if (r == 0 && o->work_path)
		return open_dir(o->work_path, true, &rq->work_fd, e);
	rq->work_fd = rq->images_fd;
	return r;
}

static void put_common(struct buf *b, const struct criu_request *rq, const char *log)
{
	const struct checkpoint_options *o = rq->options;

	put_number(b, OPT_IMAGES_DIR_FD, (uint64_t)rq->images_fd);
	put_number(b, OPT_WORK_DIR_FD, (uint64_t)rq->work_fd);
	put_number(b, OPT_LOG_LEVEL, LOG_LEVEL);
	put_text(b, OPT_LOG_FILE, log);
	put_text(b, OPT_ROOT, rq->root);
	/* The container has groups of its own before anything is restored into them. */
	put_number(b, OPT_MANAGE_CGROUPS_MODE, CGROUPS_IGNORE);
	put_flag(b, OPT_TCP_ESTABLISHED, o->tcp_established);
	put_flag(b, OPT_EXT_UNIX_SK, o->ext_unix_sk);
	put_flag(b, OPT_SHELL_JOB, o->shell_job);
	put_flag(b, OPT_FILE_LOCKS, o->file_locks);
	for (size_t i = 0; i < rq->external.n; i++)
		put_text(b, OPT_EXTERNAL, rq->external.v[i]);
}

static void put_dump(struct buf *b, const struct criu_request *rq, const char *log)
{
	const struct checkpoint_options *o = rq->options;

	put_common(b, rq, log);
	put_number(b, OPT_PID, (uint64_t)rq->pid);
	put_text(b, OPT_FREEZE_CGROUP, rq->freeze_cgroup);
	put_text(b, OPT_PARENT_IMG, o->parent_path);
	put_flag(b, OPT_TRACK_MEM, o->parent_path || o->pre_dump);
	put_flag(b, OPT_LEAVE_RUNNING, o->leave_running);
	put_flag(b, OPT_TCP_SKIP_IN_FLIGHT, o->tcp_skip_in_flight);
	/* Files that are open and were removed. */
	put_flag(b, OPT_LINK_REMAP, true);
	put_flag(b, OPT_ORPHAN_PTS_MASTER, true);
}

static void put_restore(struct buf *b, const struct criu_request *rq, const char *log)
{
	const struct checkpoint_options *o = rq->options;

	put_common(b, rq, log);
	put_flag(b, OPT_RST_SIBLING, true);
	put_flag(b, OPT_EVASIVE_DEVICES, true);
	put_flag(b, OPT_NOTIFY_SCRIPTS, true);
	put_flag(b, OPT_ORPHAN_PTS_MASTER, rq->terminal);
	put_flag(b, OPT_TCP_CLOSE, o->tcp_close);
	put_text(b, OPT_LSM_PROFILE, o->lsm_profile);
	put_text(b, OPT_LSM_MOUNT_CONTEXT, o->lsm_mount_context);
	for (size_t i = 0; i < rq->inherited.n; i++) {
		_buf_free_ struct buf one = {};

		put_text(&one, INHERIT_KEY, rq->inherited.v[i].key);
		put_number(&one, INHERIT_FD, (uint64_t)rq->inherited.v[i].fd);
		b->failed |= one.failed;
		put_bytes(b, OPT_INHERIT_FD, one.s, one.len);
	}
}

static int send_request(int sock, const struct buf *request, struct err *e)
{
	if (request->failed)
		return err_oom(e);
	if (send(sock, request->s, request->len, MSG_NOSIGNAL) < 0)
		return err_sys(e, "cannot ask CRIU");
	return 0;
}

/* *ret_fd gets a descriptor that came with it, or is left as it is. */
static int receive_answer(int sock, struct answer *ret, int *ret_fd, struct err *e)
{
	unsigned char text[ANSWER_MAX];
	int fd = -1;
	ssize_t n = socket_receive_fd(sock, text, sizeof(text) - 1, &fd);

	if (n == -EMSGSIZE)
		return err_set(e, ERR_INTERNAL, EPROTO, "CRIU says too much");
	if (n < 0)
		return err_errno(e, (int)n, "cannot hear from CRIU");
	if (fd >= 0) {
		fd_close(ret_fd);
		*ret_fd = fd;
	}
	if (n == 0)
		return err_set(e, ERR_KERNEL, EPIPE, "CRIU died");
	text[n] = '\0';
	/* Of our child, before it was CRIU: no answer begins so. */
	if (text[0] == HELPER_ERROR)
		return err_set(e, ERR_KERNEL, EIO, "%s", (char *)text + 1);
	if (get_answer((struct bytes){ text, text + n }, ret) < 0)
		return err_set(e, ERR_INTERNAL, EPROTO, "CRIU says odd things");
	return 0;
}

/* Why: its first line about an error, without place and time. Where it may not raise its own limit of
 * open files, it says so as if it were one, and goes on. */
static void read_reason(int dirfd, const char *log, char *to, size_t size)
{
	_free_ char *text = NULL;
	char *error, *end;
	struct err unused;

	if (fs_read(dirfd, log, LOG_MAX, &text, NULL, &unused) < 0)
		return;
	error = text;
	do {
		error = strstr(error, "Error (");
		error = error ? strstr(error, "): ") : NULL;
		if (!error)
			return;
		error += 3;
	} while (str_has_prefix(error, "rlimit: Can't setup RLIMIT_NOFILE"));
	end = strchrnul(error, '\n');
	get_text(&(struct bytes){ (unsigned char *)error, (unsigned char *)end }, to, size);
}

static int failed(const struct criu_request *rq, const char *what, const char *log,
		  struct answer *a, struct err *e)
{
	const struct checkpoint_options *o = rq->options;

	read_reason(rq->work_fd, log, a->message, sizeof(a->message));
	return err_set(e, ERR_UNSUPPORTED, EIO,
		       "CRIU cannot %s the container%s%s (see '%s/%s')", what,
		       a->message[0] ? ": " : "", a->message,
		       o->work_path ? o->work_path : image_path(o), log);
}

int criu_dump(struct criu *c, const struct criu_request *rq, struct err *e)
{
	static const char log[] = "dump.log";
	uint64_t type = rq->options->pre_dump ? REQUEST_PRE_DUMP : REQUEST_DUMP;
	_buf_free_ struct buf opts = {}, request = {};
	struct answer a;
	_close_ int fd = -1;
	int r;

	put_dump(&opts, rq, log);
	put_number(&request, REQ_TYPE, type);
	put_bytes(&request, REQ_OPTS, opts.s, opts.len);
	request.failed |= opts.failed;
	r = send_request(c->sock, &request, e);
	if (r == 0)
		r = receive_answer(c->sock, &a, &fd, e);
	if (r == 0 && (!a.success || a.type != type))
		r = failed(rq, "dump", log, &a, e);
	if (r == 0)
		let_end(c);
	return r;
}

static int answer_notification(struct criu *c, const struct criu_restored *to,
			       const struct answer *a, struct err *e)
{
	_buf_free_ struct buf reply = {};
	int r = 0;

	if (streq(a->script, "setup-namespaces"))
		r = to->in_namespaces(to->arg, a->pid, e);
	else if (streq(a->script, "post-restore"))
		r = to->before_resume(to->arg, a->pid, e);
	put_number(&reply, REQ_TYPE, REQUEST_NOTIFY);
	put_number(&reply, REQ_NOTIFY_SUCCESS, r == 0);
	if (r < 0) {
		struct err unused;

		send_request(c->sock, &reply, &unused);
		return r;
	}
	return send_request(c->sock, &reply, e);
}

int criu_restore(struct criu *c, const struct criu_request *rq,
		 const struct criu_restored *to, pid_t *ret_pid, struct err *e)
{
	static const char log[] = "restore.log";
	_buf_free_ struct buf opts = {}, request = {};
	struct answer a;
	int r;

	put_restore(&opts, rq, log);
	put_number(&request, REQ_TYPE, REQUEST_RESTORE);
	put_bytes(&request, REQ_OPTS, opts.s, opts.len);
	request.failed |= opts.failed;
	r = send_request(c->sock, &request, e);
	while (r == 0) {
		r = receive_answer(c->sock, &a, to->terminal_fd, e);
		if (r < 0 || a.type != REQUEST_NOTIFY)
			break;
		if (a.pid > 0)
			*ret_pid = a.pid;
		r = answer_notification(c, to, &a, e);
	}
	if (r == 0 && (!a.success || a.type != REQUEST_RESTORE || a.pid <= 0))
		r = failed(rq, "restore", log, &a, e);
	if (r < 0)
		return r;
	let_end(c);
	*ret_pid = a.pid;
	return 0;
}
