/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See trace_event.h. Runs in purple-monitor, as nobody. Paths, arguments and names are what the
 * container's programs chose: all go through json_quote().
 */
#include "audit/trace_event.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/recorder.h"
#include "audit/trace_names.h"
#include "base/json.h"
#include "base/list.h"

/* Of each text in a line that would be too long otherwise: six bytes a character at most. */
#define TEXT_SHORT 1024
#define COUNT_ROOM 256 /* of a line, for one more call and its end */

/* --- whether it is whole --- */

static bool texts_fit(const uint16_t *lengths, size_t n, size_t head, size_t size)
{
	for (size_t i = 0; i < n; i++)
		head += lengths[i];
	return head <= size;
}

bool trace_event_is_whole(const void *data, size_t size)
{
	static const size_t sizes[TRACE_TYPES] = {
		[TRACE_EXEC] = sizeof(struct trace_exec),
		[TRACE_EXIT] = sizeof(struct trace_exit),
		[TRACE_FORK] = sizeof(struct trace_head),
		[TRACE_DENIED] = sizeof(struct trace_denied),
		[TRACE_PRIVILEGE] = sizeof(struct trace_privilege),
		[TRACE_MOUNT] = sizeof(struct trace_file),
		[TRACE_OPEN] = sizeof(struct trace_file),
		[TRACE_REMOVE] = sizeof(struct trace_file),
		[TRACE_RENAME] = sizeof(struct trace_file),
		[TRACE_CHANGE] = sizeof(struct trace_file),
		[TRACE_CONNECT] = sizeof(struct trace_socket),
		[TRACE_BIND] = sizeof(struct trace_socket),
	};
	const struct trace_head *h = data;

	if (size < sizeof(*h) || h->type >= TRACE_TYPES || h->size > size ||
	    h->size < sizes[h->type])
		return false;
	switch (h->type) {
	case TRACE_EXEC:
		return texts_fit(((const struct trace_exec *)data)->lengths,
				 TRACE_EXEC_TEXTS, sizeof(struct trace_exec), h->size);
	case TRACE_MOUNT:
	case TRACE_OPEN:
	case TRACE_REMOVE:
	case TRACE_RENAME:
	case TRACE_CHANGE:
		return texts_fit(((const struct trace_file *)data)->lengths,
				 TRACE_FILE_TEXTS, sizeof(struct trace_file), h->size);
	default:
		return true;
	}
}

/* --- texts --- */

struct text {
	const char *s; /* not terminated */
	size_t len;
};

/* The text at `index` of those behind a struct. */
static struct text text_at(const void *base, size_t head, const uint16_t *lengths,
			   size_t index)
{
	struct text t = { (const char *)base + head, lengths[index] };

	for (size_t i = 0; i < index; i++)
		t.s += lengths[i];
	return t;
}

/* Up to `max` bytes; up to a NUL. */
static void add_text(struct buf *out, struct text t, size_t max)
{
	char s[2 * TRACE_TEXT_MAX + 2];
	size_t len = t.len < max ? t.len : max;

	len = len < sizeof(s) ? len : sizeof(s) - 1;
	memcpy(s, t.s, len);
	s[len] = '\0';
	json_quote(out, s);
}

/* A path, behind the folder that it starts from. */
static void add_path(struct buf *out, struct text base, struct text path, size_t max)
{
	char s[2 * TRACE_TEXT_MAX + 1];
	size_t len = 0;

	if (base.len && (!path.len || path.s[0] != '/')) {
		len = base.len < TRACE_TEXT_MAX ? base.len : TRACE_TEXT_MAX;
		memcpy(s, base.s, len);
		if (path.len && s[len - 1] != '/')
			s[len++] = '/';
	}
	if (path.len > TRACE_TEXT_MAX)
		path.len = TRACE_TEXT_MAX;
	memcpy(s + len, path.s, path.len);
	add_text(out, (struct text){ s, len + path.len }, 2 * max);
}

/* The name of an abstract socket, which may hold NULs: they become @, too. */
static void add_abstract(struct buf *out, struct text name, size_t max)
{
	char s[TRACE_TEXT_MAX + 1] = "@";
	size_t len = name.len < TRACE_TEXT_MAX ? name.len : TRACE_TEXT_MAX;

	for (size_t i = 0; i < len; i++)
		s[i + 1] = name.s[i] ? name.s[i] : '@';
	add_text(out, (struct text){ s, len + 1 }, max);
}

static void add_arguments(struct buf *out, struct text t, size_t max)
{
	const char *comma = "";

	buf_adds(out, ",\"args\":[");
	if (t.len > max)
		t.len = max;
	while (t.len) {
		size_t len = strnlen(t.s, t.len);

		buf_adds(out, comma);
		add_text(out, (struct text){ t.s, len }, max);
		comma = ",";
		len += len < t.len;
		t.s += len;
		t.len -= len;
	}
	buf_adds(out, "]");
}

/* --- who --- */

/* Leaves the object open. */
static void open_process(struct buf *out, const struct trace_head *h)
{
	char comm[sizeof(h->comm) + 1] = {};

	memcpy(comm, h->comm, sizeof(h->comm));
	buf_addf(out, ",\"process\":{\"pid\":%u", h->pid);
	if (h->pid_inside)
		buf_addf(out, ",\"vpid\":%u", h->pid_inside);
	buf_adds(out, ",\"name\":");
	json_quote(out, comm);
	if (h->thread != h->pid)
		buf_addf(out, ",\"thread\":{\"id\":%u}", h->thread);
	if (h->parent) {
		buf_addf(out, ",\"parent\":{\"pid\":%u", h->parent);
		if (h->parent_inside)
			buf_addf(out, ",\"vpid\":%u", h->parent_inside);
		buf_adds(out, "}");
	}
}

static void add_user(struct buf *out, const struct trace_head *h)
{
	buf_addf(out, ",\"user\":{\"id\":\"%u\"", h->uid);
	if (h->euid != h->uid)
		buf_addf(out, ",\"effective\":{\"id\":\"%u\"}", h->euid);
	buf_adds(out, "}");
	if (h->egid || h->gid)
		buf_addf(out, ",\"group\":{\"id\":\"%u\"}", h->egid);
}

static void add_flags(struct buf *out, const struct trace_head *h, bool is_cut)
{
	if (is_cut || (h->flags & TRACE_CUT))
		buf_adds(out, ",\"truncated\":true");
	if (h->flags & TRACE_OUTSIDE)
		buf_adds(out, ",\"outside\":true");
	if (h->flags & TRACE_UNREAD)
		buf_adds(out, ",\"unread\":true");
}

static struct audit_head head_of(const struct audit_head *h, const char *outcome)
{
	struct audit_head head = *h;

	head.provider = TRACE_PROVIDER;
	head.outcome = outcome;
	return head;
}

/* --- processes --- */

static uint32_t print_exec(const struct audit_head *h, const struct trace_exec *x,
			   size_t max, struct buf *out)
{
	struct audit_head head = head_of(h, "success");
	bool raised = x->head.flags & TRACE_RAISED;

	audit_event_begin(out, &head, "process", "exec");
	open_process(out, &x->head);
	buf_adds(out, ",\"executable\":");
	add_text(out, text_at(x, sizeof(*x), x->lengths, TRACE_EXECUTABLE), max);
	if (x->lengths[TRACE_CALLED]) {
		buf_adds(out, ",\"called\":");
		add_text(out, text_at(x, sizeof(*x), x->lengths, TRACE_CALLED), max);
	}
	add_arguments(out, text_at(x, sizeof(*x), x->lengths, TRACE_ARGUMENTS), max);
	buf_addf(out, ",\"args_count\":%u", x->arguments);
	if (raised) {
		buf_adds(out, ",\"capabilities\":{\"effective\":");
		trace_names_caps(out, x->effective);
		buf_adds(out, ",\"permitted\":");
		trace_names_caps(out, x->permitted);
		buf_adds(out, "}");
	}
	buf_adds(out, "}");
	add_user(out, &x->head);
	if (raised)
		buf_adds(out, ",\"raised\":true");
	if (x->head.flags & TRACE_DELETED)
		buf_adds(out, ",\"deleted\":true");
	add_flags(out, &x->head, max < TRACE_TEXT_MAX);
	audit_event_close(out);
	return raised ? AUDIT_EXEC | AUDIT_SECURITY_EVENTS : AUDIT_EXEC;
}

static uint32_t print_fork(const struct audit_head *h, const struct trace_head *x,
			   struct buf *out)
{
	struct audit_head head = head_of(h, "success");

	audit_event_begin(out, &head, "process", "fork");
	open_process(out, x);
	buf_adds(out, "}");
	add_user(out, x);
	audit_event_close(out);
	return AUDIT_EXEC;
}

static uint32_t print_exit(const struct audit_head *h, const struct trace_exit *x,
			   struct buf *out)
{
	struct audit_head head = head_of(h, x->signal || x->code ? "failure" : "success");
	bool is_thread = x->head.flags & TRACE_THREAD, is_denied = x->call != TRACE_NO_CALL;
	uint64_t start = x->head.started <= x->head.time ? x->head.time - x->head.started :
							   0;

	head.duration = is_thread ? 0 : start;
	audit_event_begin(out, &head, "process", is_thread ? "thread_killed" : "exit");
	if (is_denied)
		buf_adds(out, ",\"verdict\":\"deny\"");
	open_process(out, &x->head);
	if (x->signal)
		buf_addf(out, ",\"exit_signal\":%u", x->signal);
	else
		buf_addf(out, ",\"exit_code\":%u", x->code);
	buf_adds(out, "}");
	add_user(out, &x->head);
	if (!is_thread)
		buf_addf(out, ",\"cpu\":{\"user\":%" PRIu64 ",\"system\":%" PRIu64 "}",
			 (uint64_t)x->user_ns, (uint64_t)x->system_ns);
	if (is_denied) {
		buf_adds(out, ",\"denied_by\":\"seccomp\",\"syscall\":");
		trace_names_call(out, x->arch, x->call);
	}
	audit_event_close(out);
	if (is_thread)
		return AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS;
	return is_denied ? AUDIT_EXEC | AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS : AUDIT_EXEC;
}

/* --- system calls --- */

static void add_call_arguments(struct buf *out, const __u64 v[6])
{
	buf_adds(out, ",\"arguments\":[");
	for (size_t i = 0; i < 6; i++)
		buf_addf(out, "%s\"0x%" PRIx64 "\"", i ? "," : "", (uint64_t)v[i]);
	buf_adds(out, "]");
}

static uint32_t print_denied(const struct audit_head *h, const struct trace_denied *x,
			     struct buf *out)
{
	static const char *const deniers[] = {
		[TRACE_BY_KERNEL] = "kernel", [TRACE_BY_SECCOMP] = "seccomp", [TRACE_BY_EITHER] = "either"
	};
	struct audit_head head = head_of(h, "failure");
	char name[64];

	trace_names_call_text(x->arch, x->call, name, sizeof(name));
	audit_event_begin(out, &head, "syscall", name);
	buf_adds(out, ",\"verdict\":\"deny\"");
	open_process(out, &x->head);
	buf_adds(out, "}");
	add_user(out, &x->head);
	add_call_arguments(out, x->arguments);
	buf_adds(out, ",\"error\":{\"code\":");
	trace_names_error(out, (int)x->error);
	buf_adds(out, "}");
	if (x->denier < ARRAY_SIZE(deniers))
		buf_addf(out, ",\"denied_by\":\"%s\"", deniers[x->denier]);
	buf_addf(out, ",\"count\":%" PRIu64, (uint64_t)(x->count ? x->count : 1));
	audit_event_close(out);
	return AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS;
}

static uint32_t print_privilege(const struct audit_head *h,
				const struct trace_privilege *x, struct buf *out)
{
	struct audit_head head = head_of(h, "success");
	char name[64];

	trace_names_call_text(x->arch, x->call, name, sizeof(name));
	audit_event_begin(out, &head, "privilege", name);
	open_process(out, &x->head);
	buf_adds(out, ",\"capabilities\":{\"effective\":");
	trace_names_caps(out, x->effective);
	buf_adds(out, ",\"permitted\":");
	trace_names_caps(out, x->permitted);
	buf_adds(out, "}}");
	add_user(out, &x->head);
	if (x->namespaces) {
		buf_adds(out, ",\"namespaces\":");
		trace_names_namespaces(out, x->namespaces);
	}
	add_call_arguments(out, x->arguments);
	buf_addf(out, ",\"count\":%" PRIu64, (uint64_t)(x->count ? x->count : 1));
	audit_event_close(out);
	return AUDIT_SECURITY_EVENTS;
}

/* --- files --- */

static bool is_denial(int result)
{
	return result == -EACCES || result == -EPERM || result == -EROFS;
}

static void add_opened(struct buf *out, const struct trace_file *x)
{
	static const char *const accesses[] = { "read", "write", "read-write", "none" };
	static const struct {
		uint32_t mode;
		const char *name;
	} kinds[] = {
		{ S_IFREG, "file" },	    { S_IFDIR, "dir" },
		{ S_IFCHR, "char_device" }, { S_IFBLK, "block_device" },
		{ S_IFIFO, "fifo" },	    { S_IFSOCK, "socket" },
	};

	buf_addf(out, ",\"access\":\"%s\"",
		 x->open_flags & O_PATH ? "path" : accesses[x->open_flags & O_ACCMODE]);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((x->mode & S_IFMT) == kinds[i].mode)
			buf_addf(out, ",\"type\":\"%s\"", kinds[i].name);
	if (x->head.flags & TRACE_CREATED)
		buf_adds(out, ",\"created\":true");
	if (x->open_flags & O_TRUNC)
		buf_adds(out, ",\"emptied\":true");
	if (x->head.flags & TRACE_DELETED)
		buf_adds(out, ",\"deleted\":true");
}

static bool is_socket(const struct trace_file *x)
{
	return x->change == TRACE_UNIX_CONNECT || x->change == TRACE_UNIX_BIND;
}

/* The other text, or path. */
static void add_second(struct buf *out, const struct trace_file *x, const struct text *t,
		       size_t max)
{
	const struct text none = { "", 0 };

	if (is_socket(x) || (!t[TRACE_NEW_PATH].len && !t[TRACE_NEW_BASE].len))
		return;
	if (x->change == TRACE_SETXATTR || x->change == TRACE_REMOVEXATTR) {
		buf_adds(out, ",\"attribute\":");
		add_text(out, t[TRACE_NEW_PATH], max);
		return;
	}
	buf_adds(out, ",\"target_path\":");
	add_path(out, x->change == TRACE_SYMLINK ? none : t[TRACE_NEW_BASE],
		 t[TRACE_NEW_PATH], max);
}

static void add_paths(struct buf *out, const struct trace_file *x, size_t max)
{
	struct text t[TRACE_FILE_TEXTS];

	for (size_t i = 0; i < TRACE_FILE_TEXTS; i++)
		t[i] = text_at(x, sizeof(*x), x->lengths, i);
	buf_adds(out, ",\"file\":{\"path\":");
	if (is_socket(x) && !t[TRACE_PATH].len && t[TRACE_NEW_PATH].len)
		add_abstract(out, t[TRACE_NEW_PATH], max);
	else
		add_path(out, t[TRACE_BASE], t[TRACE_PATH], max);
	add_second(out, x, t, max);
}

/* What was asked for. */
static void add_change(struct buf *out, const struct trace_file *x)
{
	if (is_socket(x))
		buf_adds(out, ",\"type\":\"socket\"");
	if (x->change >= TRACE_MKDIR && x->change <= TRACE_CHMOD)
		buf_addf(out, ",\"mode\":\"%04o\"", x->mode & 07777);
	if (x->change != TRACE_CHOWN)
		return;
	if (x->owner != ~0u)
		buf_addf(out, ",\"uid\":\"%u\"", x->owner);
	if (x->owner_group != ~0u)
		buf_addf(out, ",\"gid\":\"%u\"", x->owner_group);
}

static const char *file_action(const struct trace_file *x)
{
	static const char *const changes[TRACE_CHANGES] = {
		[TRACE_NO_CHANGE] = "change",	  [TRACE_LINK] = "link",
		[TRACE_SYMLINK] = "symlink",	  [TRACE_TRUNCATE] = "truncate",
		[TRACE_MKDIR] = "mkdir",	  [TRACE_MKNOD] = "mknod",
		[TRACE_CHMOD] = "chmod",	  [TRACE_CHOWN] = "chown",
		[TRACE_SETXATTR] = "setxattr",	  [TRACE_REMOVEXATTR] = "removexattr",
		[TRACE_UNIX_CONNECT] = "connect", [TRACE_UNIX_BIND] = "bind",
	};

	switch (x->head.type) {
	case TRACE_OPEN:
		return "open";
	case TRACE_REMOVE:
		return "remove";
	case TRACE_RENAME:
		return "rename";
	default:
		return changes[x->change < TRACE_CHANGES ? x->change : TRACE_NO_CHANGE];
	}
}

static uint32_t print_file(const struct audit_head *h, const struct trace_file *x,
			   size_t max, struct buf *out)
{
	struct audit_head head = head_of(h, x->result < 0 ? "failure" : "success");
	bool is_denied = is_denial(x->result);
	uint32_t levels = AUDIT_FILESYSTEM;

	audit_event_begin(out, &head, "file", file_action(x));
	if (is_denied || x->result >= 0)
		buf_addf(out, ",\"verdict\":\"%s\"", is_denied ? "deny" : "allow");
	open_process(out, &x->head);
	buf_adds(out, "}");
	add_user(out, &x->head);
	add_paths(out, x, max);
	if (x->head.type == TRACE_OPEN)
		add_opened(out, x);
	else
		add_change(out, x);
	buf_adds(out, "}");
	if (x->result < 0) {
		buf_adds(out, ",\"error\":{\"code\":");
		trace_names_error(out, -x->result);
		buf_adds(out, "}");
	}
	add_flags(out, &x->head, max < TRACE_TEXT_MAX);
	audit_event_close(out);
	if (is_denied)
		levels |= AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS;
	return is_socket(x) ? levels | AUDIT_NETWORK : levels;
}

/* A mount, or what is like it: the call that was done, and its paths. */
static uint32_t print_mount(const struct audit_head *h, const struct trace_file *x,
			    size_t max, struct buf *out)
{
	struct audit_head head = head_of(h, "success");
	char name[64];

	trace_names_call_text(x->arch, x->call, name, sizeof(name));
	audit_event_begin(out, &head, "privilege", name);
	open_process(out, &x->head);
	buf_adds(out, "}");
	add_user(out, &x->head);
	add_paths(out, x, max);
	buf_adds(out, "}");
	add_flags(out, &x->head, max < TRACE_TEXT_MAX);
	audit_event_close(out);
	return AUDIT_SECURITY_EVENTS;
}

/* --- sockets --- */

static uint32_t print_socket(const struct audit_head *h, const struct trace_socket *x,
			     struct audit_names *names, struct buf *out)
{
	static const char *const actions[] = {
		[TRACE_CALL_CONNECT] = "connect", [TRACE_CALL_SEND] = "send", [TRACE_CALL_BIND] = "bind"
	};
	bool is_bind = x->head.type == TRACE_BIND,
	     is_denied = x->verdict == TRACE_VERDICT_DENIED;
	struct audit_head head = head_of(h, is_denied ? "failure" : NULL);
	struct network_address a;

	memcpy(a.bytes, x->address, sizeof(a.bytes));
	audit_event_begin(out, &head, "network",
			  is_bind			? "bind" :
			  x->call < ARRAY_SIZE(actions) ? actions[x->call] :
							  "connect");
	buf_addf(out, ",\"verdict\":\"%s\"", is_denied ? "deny" : "allow");
	audit_add_protocol(out, x->family == AF_INET6, x->protocol);
	audit_add_end(out, is_bind ? "server" : "destination", &a, x->port,
		      names && !is_bind ? audit_names_find(names, &a) : NULL);
	open_process(out, &x->head);
	buf_adds(out, "}");
	add_user(out, &x->head);
	audit_event_close(out);
	return is_denied ? AUDIT_NETWORK | AUDIT_SECURITY_EVENTS : AUDIT_NETWORK;
}

/* --- lines --- */

static uint32_t print(const struct audit_head *h, const void *data, size_t max,
		      struct audit_names *names, struct buf *out)
{
	switch (((const struct trace_head *)data)->type) {
	case TRACE_EXEC:
		return print_exec(h, data, max, out);
	case TRACE_EXIT:
		return print_exit(h, data, out);
	case TRACE_FORK:
		return print_fork(h, data, out);
	case TRACE_DENIED:
		return print_denied(h, data, out);
	case TRACE_PRIVILEGE:
		return print_privilege(h, data, out);
	case TRACE_MOUNT:
		return print_mount(h, data, max, out);
	case TRACE_OPEN:
	case TRACE_REMOVE:
	case TRACE_RENAME:
	case TRACE_CHANGE:
		return print_file(h, data, max, out);
	default:
		return print_socket(h, data, names, out);
	}
}

void trace_event_print(const struct audit_head *h, const void *data,
		       struct audit_names *names, struct buf *out, uint32_t *ret_levels)
{
	size_t before = out->len;

	*ret_levels = print(h, data, TRACE_TEXT_MAX, names, out);
	if (out->len - before <= AUDIT_LINE_MAX || out->failed)
		return;
	out->len = before;
	*ret_levels = print(h, data, TEXT_SHORT, names, out);
}

/* `"name":{"count":N}` of one call. */
static void add_count(struct buf *out, uint32_t arch, const struct trace_count *x)
{
	/* TRACE_COUNT_OF(): one more than the call's number. */
	uint32_t call = (uint32_t)x->what - 1;
	char name[64];

	if (call & TRACE_COUNT_FOREIGN)
		snprintf(name, sizeof(name), "32-bit:%u", call & ~TRACE_COUNT_FOREIGN);
	else
		trace_names_call_text(arch, call, name, sizeof(name));
	buf_addf(out, "\"%s\":{\"count\":%" PRIu64, name, (uint64_t)x->calls);
	if (x->failed)
		buf_addf(out, ",\"failed\":%" PRIu64, (uint64_t)x->failed);
	buf_adds(out, "}");
}

size_t trace_event_calls(const struct audit_head *h, const struct trace_calls_line *x,
			 uint32_t arch, struct buf *out)
{
	struct audit_head head = head_of(h, NULL);
	size_t before = out->len, i;

	audit_event_begin(out, &head, "syscalls", NULL);
	buf_addf(out, ",\"process\":{\"pid\":%u},\"calls\":{", x->pid);
	for (i = 0; i < x->n && out->len - before < AUDIT_LINE_MAX - COUNT_ROOM; i++) {
		buf_adds(out, i ? "," : "");
		add_count(out, arch, &x->v[i]);
	}
	buf_adds(out, "}");
	audit_event_close(out);
	return i;
}

uint32_t trace_event_repeated(const struct audit_head *h, enum trace_type type,
			      uint64_t count, struct buf *out)
{
	bool is_denied = type == TRACE_DENIED;
	struct audit_head head = head_of(h, is_denied ? "failure" : "success");

	audit_event_begin(out, &head, is_denied ? "syscall" : "privilege", "repeated");
	if (is_denied)
		buf_adds(out, ",\"verdict\":\"deny\"");
	buf_addf(out, ",\"count\":%" PRIu64, count);
	audit_event_close(out);
	return is_denied ? AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS : AUDIT_SECURITY_EVENTS;
}
