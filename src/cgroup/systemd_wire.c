/* SPDX-License-Identifier: Apache-2.0 */
/* See systemd_wire.h. Runs in the runtime and in purple-systemd. */
#include "cgroup/systemd_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

/* More than any list of properties takes. */
#define DOCUMENT_MAX (4U << 20)

static const struct json_field property_fields[] = {
	JSON_FR(wire_property, name, "name", JSON_STR),
	JSON_F(wire_property, type, "type", JSON_U32),
	JSON_F(wire_property, number, "number", JSON_U64),
	JSON_F(wire_property, text, "text", JSON_STR),
	JSON_F(wire_property, strings, "strings", JSON_STRV),
	{},
};
static const struct json_type property_type = { sizeof(struct wire_property),
						property_fields };

static const struct json_field request_fields[] = {
	JSON_FR(wire_request, call, "call", JSON_STR),
	JSON_F(wire_request, user, "user", JSON_BOOL),
	JSON_F(wire_request, unit, "unit", JSON_STR),
	JSON_F(wire_request, pid, "pid", JSON_U32),
	JSON_FT(wire_request, properties, "properties", JSON_STRUCTS, &property_type),
	{},
};
const struct json_type wire_request_type = { sizeof(struct wire_request), request_fields };

static const struct json_field answer_fields[] = {
	JSON_F(wire_answer, kind, "kind", JSON_U32),
	JSON_F(wire_answer, code, "code", JSON_U32),
	JSON_F(wire_answer, error, "error", JSON_STR),
	JSON_F(wire_answer, text, "text", JSON_STR),
	JSON_F(wire_answer, number, "number", JSON_U32),
	{},
};
const struct json_type wire_answer_type = { sizeof(struct wire_answer), answer_fields };

int wire_send(int fd, const struct json_type *t, const void *obj, struct err *e)
{
	_buf_free_ struct buf text = {};
	uint32_t len;
	int r = json_write(t, obj, false, &text, e);

	if (r < 0)
		return r;
	if (text.failed)
		return err_oom(e);
	len = (uint32_t)text.len;
	r = fd_write_all(fd, &len, sizeof(len));
	if (r == 0)
		r = fd_write_all(fd, text.s, text.len);
	return r < 0 ? err_errno(e, r, "systemd: cannot send") : 0;
}

/* 1: all of it, 0: the end comes before the first byte. */
static int read_all(int fd, void *to, size_t len, struct err *e)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(fd, (char *)to + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "systemd: cannot receive");
		if (n == 0 && have == 0)
			return 0;
		if (n == 0)
			return err_set(e, ERR_INTERNAL, EPIPE,
				       "systemd: the peer ended in the middle");
		have += (size_t)n;
	}
	return 1;
}

int wire_receive(int fd, const struct json_type *t, void *obj, struct err *e)
{
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	uint32_t len;
	int r = read_all(fd, &len, sizeof(len), e);

	if (r <= 0)
		return r;
	if (len == 0 || len > DOCUMENT_MAX)
		return err_set(e, ERR_INTERNAL, EPROTO,
			       "systemd: odd message of %u bytes", len);
	text = malloc(len);
	if (!text)
		return err_oom(e);
	r = read_all(fd, text, len, e);
	if (r == 0)
		r = err_set(e, ERR_INTERNAL, EPIPE, "systemd: the peer ended in the middle");
	if (r < 0)
		return r;
	r = json_parse(text, len, "systemd", &j, e);
	if (r == 0)
		r = json_read(j, t, "systemd", obj, e);
	return r < 0 ? r : 1;
}

static char *to_hex(const char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *hex = malloc(2 * len + 1);

	for (size_t i = 0; hex && i < len; i++) {
		hex[2 * i] = digits[(unsigned char)bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	if (hex)
		hex[2 * len] = '\0';
	return hex;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes, and a NUL behind them for those that are text. */
static int from_hex(const char *hex, char **ret, size_t *ret_len, struct err *e)
{
	size_t len = strlen(hex);
	_free_ char *bytes = malloc(len / 2 + 1);

	if (!bytes)
		return err_oom(e);
	for (size_t i = 0; i < len; i += 2) {
		int high = digit(hex[i]), low = high < 0 ? -1 : digit(hex[i + 1]);

		if (low < 0)
			return err_set(e, ERR_INTERNAL, EPROTO, "systemd: odd digits");
		bytes[i / 2] = (char)(high << 4 | low);
	}
	bytes[len / 2] = '\0';
	*ret = take_ptr(&bytes);
	*ret_len = len / 2;
	return 0;
}

int wire_from_properties(const unit_properties *l, struct wire_request *ret, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct unit_property *p = &l->v[i];
		struct wire_property *w = list_add(&ret->properties);

		if (!w)
			return err_oom(e);
		w->name = strdup(p->name);
		w->type = p->type;
		w->number = p->number;
		if (p->text)
			w->text = to_hex(p->text,
					 p->type == UNIT_BYTES ? p->len : strlen(p->text));
		if (!w->name || (p->text && !w->text) ||
		    strv_copy(&p->strings, &w->strings) < 0)
			return err_oom(e);
	}
	return 0;
}

int wire_to_properties(const struct wire_request *r, unit_properties *ret, struct err *e)
{
	for (size_t i = 0; i < r->properties.n; i++) {
		const struct wire_property *w = &r->properties.v[i];
		struct unit_property *p = list_add(ret);
		size_t len = 0;
		int code;

		if (!p)
			return err_oom(e);
		if (w->type > UNIT_NUMBERS)
			return err_set(e, ERR_INTERNAL, EPROTO, "systemd: odd type %u",
				       w->type);
		p->name = strdup(w->name);
		p->type = w->type;
		p->number = w->number;
		if (!p->name || strv_copy(&w->strings, &p->strings) < 0)
			return err_oom(e);
		code = w->text ? from_hex(w->text, &p->text, &len, e) : 0;
		if (code < 0)
			return code;
		if (p->type == UNIT_BYTES)
			p->len = len;
	}
	return 0;
}
