/* SPDX-License-Identifier: Apache-2.0 */
/* See dbus.h. Runs in the runtime process with the caller's privileges. */
#include "cgroup/dbus.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/internal.h"

#define BUS "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"
#define PEER "org.freedesktop.DBus.Peer"
#define CALL_TIMEOUT_MS 30000
/* The protocol allows 128 MB; what systemd says to us is short. */
#define MESSAGE_MAX (1u << 20)
#define HEADER_MIN 16
#define LINE_MAX_LEN 512

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_ORDER 'l'
#else
#define HOST_ORDER 'B'
#endif

enum field {
	FIELD_PATH = 1,
	FIELD_INTERFACE,
	FIELD_MEMBER,
	FIELD_ERROR,
	FIELD_REPLY_SERIAL,
	FIELD_DESTINATION,
	FIELD_SENDER,
	FIELD_SIGNATURE
};

static size_t aligned(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* --- writing --- */

void dbus_align(struct buf *out, size_t to)
{
	static const char zeros[8];

	buf_add(out, zeros, aligned(out->len, to) - out->len);
}

void dbus_put_u8(struct buf *out, uint8_t v)
{
	buf_add(out, (const char *)&v, sizeof(v));
}

void dbus_put_u32(struct buf *out, uint32_t v)
{
	dbus_align(out, sizeof(v));
	buf_add(out, (const char *)&v, sizeof(v));
}

void dbus_put_u64(struct buf *out, uint64_t v)
{
	dbus_align(out, sizeof(v));
	buf_add(out, (const char *)&v, sizeof(v));
}

void dbus_put_string(struct buf *out, const char *s)
{
	dbus_put_u32(out, (uint32_t)strlen(s));
	buf_add(out, s, strlen(s) + 1);
}

void dbus_put_signature(struct buf *out, const char *s)
{
	dbus_put_u8(out, (uint8_t)strlen(s));
	buf_add(out, s, strlen(s) + 1);
}

size_t dbus_array_begin(struct buf *out, size_t element_align)
{
	size_t begin;

	dbus_put_u32(out, 0);
	begin = out->len - sizeof(uint32_t);
	dbus_align(out, element_align);
	return begin;
}

void dbus_array_end(struct buf *out, size_t begin, size_t element_align)
{
	uint32_t len;

	if (out->failed)
		return;
	/* The padding before the first element does not count. */
	len = (uint32_t)(out->len - aligned(begin + sizeof(len), element_align));
	memcpy(out->s + begin, &len, sizeof(len));
}

static void put_field(struct buf *out, enum field field, const char *signature,
		      const char *value)
{
	dbus_align(out, 8);
	dbus_put_u8(out, (uint8_t)field);
	dbus_put_signature(out, signature);
	if (*signature == 'g')
		dbus_put_signature(out, value);
	else
		dbus_put_string(out, value);
}

/* --- reading --- */

/* A string of `len` bytes at `at`, with its zero and none before, within `end`. */
static bool is_text(const char *data, size_t at, size_t len, size_t end)
{
	return at < end && len < end - at && data[at + len] == '\0' &&
	       strlen(data + at) == len;
}

static int get_u32(const char *data, size_t end, size_t *at, uint32_t *ret)
{
	size_t from = aligned(*at, sizeof(*ret));

	if (from > end || end - from < sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, data + from, sizeof(*ret));
	*at = from + sizeof(*ret);
	return 0;
}

static int get_string(const char *data, size_t end, size_t *at, const char **ret)
{
	size_t from = *at;
	uint32_t len;

	if (get_u32(data, end, &from, &len) < 0 || !is_text(data, from, len, end))
		return -EBADMSG;
	*ret = data + from;
	*at = from + len + 1;
	return 0;
}

static int get_signature(const char *data, size_t end, size_t *at, const char **ret)
{
	size_t from = *at;
	uint8_t len;

	if (from >= end)
		return -EBADMSG;
	len = (uint8_t)data[from++];
	if (!is_text(data, from, len, end))
		return -EBADMSG;
	*ret = data + from;
	*at = from + len + 1;
	return 0;
}

int dbus_get_u32(struct dbus_message *m, uint32_t *ret)
{
	return get_u32(m->body, m->body_len, &m->at, ret);
}

int dbus_get_string(struct dbus_message *m, const char **ret)
{
	return get_string(m->body, m->body_len, &m->at, ret);
}

int dbus_get_variant_string(struct dbus_message *m, const char **ret)
{
	const char *signature;
	size_t at = m->at;

	if (get_signature(m->body, m->body_len, &at, &signature) < 0 ||
	    !streq(signature, "s") || get_string(m->body, m->body_len, &at, ret) < 0)
		return -EBADMSG;
	m->at = at;
	return 0;
}

static void keep_field(struct dbus_message *m, uint8_t field, const char *value)
{
	if (field == FIELD_PATH)
		m->path = value;
	else if (field == FIELD_INTERFACE)
		m->interface = value;
	else if (field == FIELD_MEMBER)
		m->member = value;
	else if (field == FIELD_ERROR)
		m->error = value;
	else if (field == FIELD_SENDER)
		m->sender = value;
	else if (field == FIELD_SIGNATURE)
		m->signature = value;
}

/* One header field: a number, and a variant that is a string, a path, a signature or a number. */
static int parse_field(struct dbus_message *m, size_t end, size_t *at)
{
	const char *signature, *value = NULL;
	uint32_t number = 0;
	uint8_t field;
	int r;

	*at = aligned(*at, 8);
	if (*at >= end)
		return -EBADMSG;
	field = (uint8_t)m->data[(*at)++];
	r = get_signature(m->data, end, at, &signature);
	if (r < 0 || strlen(signature) != 1)
		return -EBADMSG;
	switch (*signature) {
	case 's':
	case 'o':
		r = get_string(m->data, end, at, &value);
		break;
	case 'g':
		r = get_signature(m->data, end, at, &value);
		break;
	case 'u':
		r = get_u32(m->data, end, at, &number);
		break;
	default:
		return -EBADMSG;
	}
	if (r == 0 && value)
		keep_field(m, field, value);
	if (r == 0 && !value && field == FIELD_REPLY_SERIAL)
		m->reply_to = number;
	return r;
}

/* The length of a whole message, from its first 16 bytes. */
static int message_length(const char *head, size_t *ret_fields, size_t *ret_body)
{
	uint32_t body, fields;

	memcpy(&body, head + 4, sizeof(body));
	memcpy(&fields, head + 12, sizeof(fields));
	if (head[0] != HOST_ORDER || head[3] != 1 || body > MESSAGE_MAX ||
	    fields > MESSAGE_MAX)
		return -EBADMSG;
	*ret_fields = fields;
	*ret_body = body;
	return 0;
}

int dbus_message_parse(char *data, size_t len, struct dbus_message *ret)
{
	_dbus_message_clear_ struct dbus_message m = { .data = data };
	size_t fields, body, at = HEADER_MIN;

	if (len < HEADER_MIN || message_length(data, &fields, &body) < 0 ||
	    len != aligned(HEADER_MIN + fields, 8) + body)
		return -EBADMSG;
	m.type = (enum dbus_type)(unsigned char)data[1];
	while (at < HEADER_MIN + fields)
		if (parse_field(&m, HEADER_MIN + fields, &at) < 0)
			return -EBADMSG;
	m.body = data + len - body;
	m.body_len = body;
	*ret = m;
	m = (struct dbus_message){};
	return 0;
}

void dbus_message_clear(struct dbus_message *m)
{
	free(m->data);
	*m = (struct dbus_message){};
}

/* --- the connection --- */

static int send_all(struct dbus *d, const char *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = send(d->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "systemd: cannot send to the bus");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_all(struct dbus *d, char *data, size_t len, uint64_t deadline,
		       struct err *e)
{
	while (len > 0) {
		struct pollfd p = { .fd = d->fd, .events = POLLIN };
		uint64_t now = cgroup_now_ms();
		ssize_t n;
		int r = now >= deadline ? 0 : poll(&p, 1, (int)(deadline - now));

		if (r == 0)
			return err_set(e, ERR_KERNEL, ETIMEDOUT,
				       "systemd: no answer within the time");
		if (r < 0 && errno == EINTR)
			continue;
		n = r < 0 ? -1 : recv(d->fd, data, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "systemd: cannot receive from the bus");
		if (n == 0)
			return err_set(e, ERR_KERNEL, ECONNRESET,
				       "systemd: the bus closed the connection");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A line of the authentication, without its end. */
static int receive_line(struct dbus *d, char *line, uint64_t deadline, struct err *e)
{
	for (size_t n = 0; n < LINE_MAX_LEN - 1; n++) {
		int r = receive_all(d, line + n, 1, deadline, e);

		if (r < 0)
			return r;
		if (line[n] == '\n' && n > 0 && line[n - 1] == '\r') {
			line[n - 1] = '\0';
			return 0;
		}
	}
	return err_set(e, ERR_KERNEL, EBADMSG, "systemd: the bus does not speak D-Bus");
}

/* EXTERNAL without saying who: the socket tells it, in the bus's own user namespace too. */
static int authenticate(struct dbus *d, struct err *e)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\n", begin[] = "BEGIN\r\n";
	uint64_t deadline = cgroup_now_ms() + CALL_TIMEOUT_MS;
	char line[LINE_MAX_LEN];
	int r = send_all(d, hello, sizeof(hello) - 1, e);

	do {
		if (r == 0)
			r = receive_line(d, line, deadline, e);
		if (r < 0)
			return r;
	} while (streq(line, "DATA"));
	if (!str_has_prefix(line, "OK"))
		return err_set(e, ERR_KERNEL, EACCES, "systemd: the bus refuses this user");
	return send_all(d, begin, sizeof(begin) - 1, e);
}

static int receive(struct dbus *d, uint64_t deadline, struct dbus_message *ret,
		   struct err *e)
{
	_free_ char *data = malloc(HEADER_MIN);
	size_t fields, body, len;
	char *more;
	int r;

	if (!data)
		return err_oom(e);
	r = receive_all(d, data, HEADER_MIN, deadline, e);
	if (r < 0)
		return r;
	if (message_length(data, &fields, &body) < 0)
		return err_set(e, ERR_KERNEL, EBADMSG,
			       "systemd: the bus sent what is no message");
	len = aligned(HEADER_MIN + fields, 8) + body;
	more = realloc(data, len);
	if (!more)
		return err_oom(e);
	data = more;
	r = receive_all(d, data + HEADER_MIN, len - HEADER_MIN, deadline, e);
	if (r < 0)
		return r;
	r = dbus_message_parse(take_ptr(&data), len, ret);
	return r < 0 ? err_set(e, ERR_KERNEL, EBADMSG,
			       "systemd: the bus sent what is no message") :
		       0;
}

static int send_call(struct dbus *d, const char *service, const char *path,
		     const char *interface, const char *method, const char *signature,
		     const struct buf *body, struct err *e)
{
	_buf_free_ struct buf m = {};
	size_t fields;

	dbus_put_u8(&m, HOST_ORDER);
	dbus_put_u8(&m, DBUS_CALL);
	dbus_put_u8(&m, 0);
	dbus_put_u8(&m, 1);
	dbus_put_u32(&m, body ? (uint32_t)body->len : 0);
	dbus_put_u32(&m, ++d->serial);
	fields = dbus_array_begin(&m, 8);
	put_field(&m, FIELD_PATH, "o", path);
	put_field(&m, FIELD_INTERFACE, "s", interface);
	put_field(&m, FIELD_MEMBER, "s", method);
	put_field(&m, FIELD_DESTINATION, "s", service);
	if (signature)
		put_field(&m, FIELD_SIGNATURE, "g", signature);
	dbus_array_end(&m, fields, 8);
	dbus_align(&m, 8);
	if (body)
		buf_add(&m, body->s, body->len);
	if (m.failed || (body && body->failed))
		return err_oom(e);
	if (m.len > MESSAGE_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "systemd: a message would be too long");
	return send_all(d, m.s, m.len, e);
}

/* The error that the service answered with: its text, else its name. */
static int remote_error(struct dbus_message *m, struct err *e)
{
	const char *text = m->error;

	if (m->signature && m->signature[0] == 's')
		dbus_get_string(m, &text);
	err_set(e, ERR_KERNEL, EREMOTEIO, "systemd: %s", text ? text : "an error");
	return -EREMOTEIO;
}

static int call(struct dbus *d, const char *service, const char *path,
		const char *interface, const char *method, const char *signature,
		const struct buf *body, struct dbus_message *ret, struct err *e)
{
	uint64_t deadline = cgroup_now_ms() + CALL_TIMEOUT_MS;
	int r = send_call(d, service, path, interface, method, signature, body, e);

	while (r == 0) {
		_dbus_message_clear_ struct dbus_message m = {};

		r = receive(d, deadline, &m, e);
		/* Signals that come before the answer are about what others asked for. */
		if (r < 0 || m.reply_to != d->serial ||
		    (m.type != DBUS_RETURN && m.type != DBUS_ERROR))
			continue;
		if (m.type == DBUS_ERROR)
			r = remote_error(&m, e);
		*ret = m;
		m = (struct dbus_message){};
		return r;
	}
	return r;
}

int dbus_call(struct dbus *d, const char *path, const char *interface, const char *method,
	      const char *signature, const struct buf *body, struct dbus_message *ret,
	      struct err *e)
{
	return call(d, d->service, path, interface, method, signature, body, ret, e);
}

int dbus_wait_signal(struct dbus *d, uint64_t deadline, struct dbus_message *ret,
		     struct err *e)
{
	for (;;) {
		_dbus_message_clear_ struct dbus_message m = {};
		int r = receive(d, deadline, &m, e);

		if (r < 0)
			return r;
		if (m.type != DBUS_SIGNAL || !m.sender || !streq(m.sender, d->owner))
			continue;
		*ret = m;
		m = (struct dbus_message){};
		return 0;
	}
}

/*
 * Hello, the service's signals to us, and who the service is: the one that answers. (The bus says who
 * has a name only when it is there; a call waits until it is. A user's systemd comes to the user's
 * bus when the bus was started, which may be by us.)
 */
static int introduce(struct dbus *d, struct err *e)
{
	_dbus_message_clear_ struct dbus_message hello = {}, match = {}, pong = {};
	_free_ char *rule = str_printf("type='signal',sender='%s'", d->service);
	_buf_free_ struct buf text = {};
	int r;

	if (!rule)
		return err_oom(e);
	r = call(d, BUS, BUS_PATH, BUS, "Hello", NULL, NULL, &hello, e);
	if (r < 0)
		return r;
	dbus_put_string(&text, rule);
	r = call(d, BUS, BUS_PATH, BUS, "AddMatch", "s", &text, &match, e);
	if (r < 0)
		return r;
	r = call(d, d->service, "/", PEER, "Ping", NULL, NULL, &pong, e);
	if (r < 0)
		return r;
	if (!pong.sender)
		return err_set(e, ERR_KERNEL, EBADMSG,
			       "systemd: the bus does not say who answers");
	d->owner = strdup(pong.sender);
	return d->owner ? 0 : err_oom(e);
}

int dbus_open(const char *path, const char *service, struct dbus *ret, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct dbus d = { .fd = -1, .service = service };
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(e, ERR_KERNEL, ENAMETOOLONG,
			       "the bus's path '%s' is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	d.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d.fd < 0)
		return err_sys(e, "cannot make a socket");
	r = connect(d.fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ?
		    err_sys(e, "cannot connect to the bus at '%s'", path) :
		    authenticate(&d, e);
	if (r == 0)
		r = introduce(&d, e);
	if (r < 0) {
		dbus_close(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void dbus_close(struct dbus *d)
{
	fd_close(&d->fd);
	free(d->owner);
	d->owner = NULL;
}
