/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NOTIFY_SOCKET: a container that is run by a service manager says when it is ready. Runs in the
 * runtime (create, start, run), in the host's namespaces with the caller's privileges.
 *
 * The manager's own socket is never in the container, since it takes words such as MAINPID and
 * FDSTORE from whoever reaches it. The container has a socket in the state folder, mounted
 * read-only on /run/notify; what it says there is anybody's word in it. Only READY=1 and a STATUS
 * of printable text go on, in messages that are written here; descriptors that come along are
 * dropped by the kernel, as no room is given for them.
 */
#include "container/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/socket.h"

#define INSIDE_DIR "/run/notify"
#define SOCKET_NAME "notify.sock"
#define ENV_NAME "NOTIFY_SOCKET="

#define MESSAGE_MAX 4096
#define STATUS_MAX 512
#define MESSAGES_AT_ONCE 16 /* a container that talks without end does not hold us */
#define SEND_TIMEOUT_S 5
#define BARRIER_TIMEOUT_MS 5000

static int check_address(const char *address, struct err *e)
{
	if (address[0] != '/' && address[0] != '@')
		return err_set(e, ERR_USAGE, EINVAL,
			       "NOTIFY_SOCKET '%s' is neither an absolute path nor an abstract "
			       "name (@NAME)",
			       address);
	return 0;
}

static int add_mount(const char *dir, struct oci_spec *s, struct err *e)
{
	static const char *const options[] = { "bind",	 "rprivate", "nosuid",
					       "noexec", "nodev",    "ro" };
	struct oci_mount *m = list_add(&s->mounts);

	if (!m)
		return err_oom(e);
	m->destination = strdup(INSIDE_DIR);
	m->type = strdup("bind");
	m->source = strdup(dir);
	if (!m->destination || !m->type || !m->source)
		return err_oom(e);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strv_add(&m->options, options[i]) < 0)
			return err_oom(e);
	return 0;
}

static int set_env(struct oci_process *p, struct err *e)
{
	for (size_t i = p->env.n; i-- > 0;)
		if (str_has_prefix(p->env.v[i], ENV_NAME))
			strv_remove(&p->env, i);
	return strv_add(&p->env, ENV_NAME INSIDE_DIR "/" SOCKET_NAME) < 0 ? err_oom(e) : 0;
}

int notify_add(const char *address, struct container *c, struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *ns = oci_spec_namespace(s, "mount");
	_free_ char *dir = NULL, *joined = NULL;
	int r = check_address(address, e);

	if (r < 0 || !s->process)
		return r;
	if (ns && ns->path)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "NOTIFY_SOCKET: a mount namespace that is joined by path stays "
			       "as it is, and gets no " INSIDE_DIR);
	if (mkdirat(c->dirfd, "notify", 0755) < 0)
		return err_sys(e, "cannot make '%s/notify'", c->dir);
	joined = fs_join(c->dir, "notify");
	if (!joined)
		return err_oom(e);
	r = fs_realpath(joined, &dir, e);
	if (r == 0)
		r = add_mount(dir, s, e);
	return r < 0 ? r : set_env(s->process, e);
}

static int bind_socket(const struct container *c, int *ret, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int dir = -1, fd = -1;

	dir = openat(c->dirfd, "notify", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return err_set(e, ERR_USAGE, EINVAL,
			       "NOTIFY_SOCKET is set for start, and was not for create: the "
			       "container has nowhere to say that it is ready");
	if (dir < 0)
		return err_sys(e, "cannot open '%s/notify'", c->dir);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "cannot make the container's notify socket");
	/* Of a start that was killed. */
	unlinkat(dir, SOCKET_NAME, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SOCKET_NAME, dir);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    fchmodat(dir, SOCKET_NAME, 0777, 0) < 0)
		return err_sys(e, "cannot make the container's notify socket");
	*ret = take_fd(&fd);
	return 0;
}

int notify_open(const char *address, const struct container *c, struct notify *ret,
		struct err *e)
{
	struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
	int r = check_address(address, e);

	if (r == 0)
		r = bind_socket(c, &ret->sock, e);
	if (r == 0)
		r = socket_connect(address, SOCK_DGRAM, "NOTIFY_SOCKET", &ret->host, e);
	if (r < 0)
		return r;
	if (setsockopt(ret->host, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return err_sys(e, "cannot set NOTIFY_SOCKET up");
	return 0;
}

static bool is_printable(const char *s)
{
	size_t len = strlen(s);

	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return len <= STATUS_MAX && str_is_utf8(s, len);
}

/* Takes a message of the container apart, and writes ours for what is known of it. */
static void read_message(char *text, pid_t main_pid, struct buf *out, bool *ret_ready)
{
	char *line, *save = NULL;
	const char *status = NULL;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (streq(line, "READY=1"))
			*ret_ready = true;
		else if (str_has_prefix(line, "STATUS=") && is_printable(line))
			status = line;
	}
	if (status)
		buf_addf(out, "%s\n", status);
	if (*ret_ready)
		buf_addf(out, "MAINPID=%d\nREADY=1\n", (int)main_pid);
}

/* A status that the manager has no room for is dropped: there will be another one. READY is not. */
static int send_on(struct notify *n, const struct buf *b, bool ready, struct err *e)
{
	ssize_t sent;

	if (b->failed)
		return err_oom(e);
	do
		sent = send(n->host, b->s, b->len,
			    MSG_NOSIGNAL | (ready ? 0 : MSG_DONTWAIT));
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && ready)
		return err_sys(e, "cannot send READY=1 to NOTIFY_SOCKET");
	n->ready |= ready;
	return 0;
}

int notify_forward(struct notify *n, pid_t main_pid, struct err *e)
{
	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		_buf_free_ struct buf out = {};
		char text[MESSAGE_MAX + 1];
		bool ready = false;
		ssize_t len = recv(n->sock, text, MESSAGE_MAX, MSG_TRUNC);
		int r;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ?
				       0 :
				       err_sys(e,
					       "cannot read the container's notify socket");
		/* Longer than any that is known, or not text: not ours to make sense of. */
		if (len > MESSAGE_MAX || memchr(text, '\0', (size_t)len))
			continue;
		text[len] = '\0';
		read_message(text, main_pid, &out, &ready);
		/* Ready is said once; each saying would name a main process again. */
		if (out.len == 0 || (ready && n->ready))
			continue;
		r = send_on(n, &out, ready, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* systemd knows a message's sender by its pid, so the sender must not be gone before the message
 * was read: sd_notify_barrier(3). Managers that do not know of it close the descriptor as well. */
static void wait_until_read(struct notify *n)
{
	struct pollfd p = { .events = 0 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	p.fd = fds[0];
	if (socket_send_fd(n->host, fds[1], "BARRIER=1") == 0) {
		close(fds[1]);
		poll(&p, 1, BARRIER_TIMEOUT_MS);
	} else {
		close(fds[1]);
	}
	close(fds[0]);
}

int notify_wait(struct notify *n, int pidfd, pid_t main_pid, struct err *e)
{
	struct pollfd p[] = { { .fd = n->sock, .events = POLLIN },
			      { .fd = pidfd, .events = POLLIN } };

	while (!n->ready) {
		int r;

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return err_sys(e, "cannot wait for the container to be ready");
		r = notify_forward(n, main_pid, e);
		if (r < 0)
			return r;
		/* It may have said so with its last breath: all that it sent was read above. */
		if (!n->ready && p[1].revents && !(p[0].revents & POLLIN))
			return 0;
	}
	wait_until_read(n);
	return 0;
}

void notify_close(struct notify *n)
{
	fd_close(&n->sock);
	fd_close(&n->host);
}
