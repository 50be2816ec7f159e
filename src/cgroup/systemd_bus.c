/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to systemd over D-Bus: see systemd.h. Runs in the runtime process with the caller's
 * privileges; the system's manager asks for root, a user's for its own user.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/dbus.h"
#include "cgroup/systemd.h"

#define SERVICE "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define MANAGER SERVICE ".Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define SYSTEM_BUS "/run/dbus/system_bus_socket"
#define JOB_TIMEOUT_MS 30000

struct unit_bus {
	struct dbus d;
};

/* "unix:path=/run/user/1000/bus,guid=..."; other kinds are not for files, and the default serves. */
static char *user_bus_path(void)
{
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *run;
	static const char prefix[] = "unix:path=";

	if (address && str_has_prefix(address, prefix)) {
		address += strlen(prefix);
		return strndup(address, strcspn(address, ",;"));
	}
	run = getenv("XDG_RUNTIME_DIR");
	return run && *run ? fs_join(run, "bus") : strdup("");
}

int unit_bus_open(bool user, struct unit_bus **ret, struct err *e)
{
	_free_ char *path = NULL;
	struct unit_bus *b;
	int r;

	if (access("/run/systemd/system", F_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "--systemd-cgroup: this host was not booted with systemd (let the engine "
			       "use cgroupfs)");
	path = user ? user_bus_path() : strdup(SYSTEM_BUS);
	b = calloc(1, sizeof(*b));
	if (!path || !b) {
		free(b);
		return err_oom(e);
	}
	r = *path ? dbus_open(path, SERVICE, &b->d, e) :
		    err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			    "the user's bus is unknown: neither DBUS_SESSION_BUS_ADDRESS nor "
			    "XDG_RUNTIME_DIR is set");
	if (r < 0) {
		free(b);
		return err_wrap(e, "--systemd-cgroup");
	}
	*ret = b;
	return 0;
}

void unit_bus_close(struct unit_bus **b)
{
	if (!*b)
		return;
	dbus_close(&(*b)->d);
	free(*b);
	*b = NULL;
}

/* --- properties --- */

static void put_strings(struct buf *out, const struct strv *strings)
{
	size_t begin = dbus_array_begin(out, 4);

	for (size_t i = 0; i < strings->n; i++)
		dbus_put_string(out, strings->v[i]);
	dbus_array_end(out, begin, 4);
}

static void put_pairs(struct buf *out, const struct strv *strings)
{
	size_t begin = dbus_array_begin(out, 8);

	for (size_t i = 0; i + 1 < strings->n; i += 2) {
		dbus_align(out, 8);
		dbus_put_string(out, strings->v[i]);
		dbus_put_string(out, strings->v[i + 1]);
	}
	dbus_array_end(out, begin, 8);
}

static void put_numbers(struct buf *out, uint32_t number)
{
	size_t begin = dbus_array_begin(out, 4);

	dbus_put_u32(out, number);
	dbus_array_end(out, begin, 4);
}

static void put_value(struct buf *out, const struct unit_property *p)
{
	static const char *const signatures[] = {
		[UNIT_BOOL] = "b",     [UNIT_I32] = "i",    [UNIT_U32] = "u",
		[UNIT_I64] = "x",      [UNIT_U64] = "t",    [UNIT_STRING] = "s",
		[UNIT_STRINGS] = "as", [UNIT_BYTES] = "ay", [UNIT_PAIRS] = "a(ss)",
		[UNIT_NUMBERS] = "au",
	};

	dbus_put_signature(out, signatures[p->type]);
	switch (p->type) {
	case UNIT_BOOL:
	case UNIT_I32:
	case UNIT_U32:
		dbus_put_u32(out, (uint32_t)p->number);
		break;
	case UNIT_I64:
	case UNIT_U64:
		dbus_put_u64(out, p->number);
		break;
	case UNIT_STRING:
		dbus_put_string(out, p->text);
		break;
	case UNIT_STRINGS:
		put_strings(out, &p->strings);
		break;
	case UNIT_BYTES:
		dbus_put_u32(out, (uint32_t)p->len);
		if (p->len)
			buf_add(out, p->text, p->len);
		break;
	case UNIT_PAIRS:
		put_pairs(out, &p->strings);
		break;
	case UNIT_NUMBERS:
		put_numbers(out, (uint32_t)p->number);
		break;
	}
}

/* a(sv) */
static void put_properties(struct buf *out, const unit_properties *l)
{
	size_t begin = dbus_array_begin(out, 8);

	for (size_t i = 0; i < l->n; i++) {
		dbus_align(out, 8);
		dbus_put_string(out, l->v[i].name);
		put_value(out, &l->v[i]);
	}
	dbus_array_end(out, begin, 8);
}

/* --- calls and jobs --- */

/* A call to the manager; ret_error (may be NULL) gets whether it was answered with this error. */
static int call_manager(struct unit_bus *b, const char *method, const char *signature,
			const struct buf *body, const char *error, bool *ret_error,
			struct dbus_message *ret, struct err *e)
{
	int r = dbus_call(&b->d, OBJECT, MANAGER, method, signature, body, ret, e);

	if (ret_error)
		*ret_error = r < 0 && ret->error && streq(ret->error, error);
	return r;
}

static int wait_for_job(struct unit_bus *b, const char *job, struct err *e)
{
	uint64_t deadline = cgroup_now_ms() + JOB_TIMEOUT_MS;

	for (;;) {
		_dbus_message_clear_ struct dbus_message m = {};
		const char *path, *unit, *result;
		uint32_t id;
		int r = dbus_wait_signal(&b->d, deadline, &m, e);

		if (r < 0)
			return r;
		if (!m.interface || !streq(m.interface, MANAGER) || !m.member ||
		    !streq(m.member, "JobRemoved") || !m.signature ||
		    !streq(m.signature, "uoss") || dbus_get_u32(&m, &id) < 0 ||
		    dbus_get_string(&m, &path) < 0 || dbus_get_string(&m, &unit) < 0 ||
		    dbus_get_string(&m, &result) < 0 || !streq(path, job))
			continue;
		return streq(result, "done") ?
			       0 :
			       err_set(e, ERR_KERNEL, EIO,
				       "systemd: the job ended with '%s'", result);
	}
}

/* A call that starts a job, and the job's end. */
static int run_job(struct unit_bus *b, const char *method, const char *signature,
		   const struct buf *body, const char *error, bool *ret_error,
		   struct err *e)
{
	_dbus_message_clear_ struct dbus_message m = {};
	const char *job;
	int r = call_manager(b, method, signature, body, error, ret_error, &m, e);

	if (r < 0)
		return r;
	if (!m.signature || !streq(m.signature, "o") || dbus_get_string(&m, &job) < 0)
		return err_set(e, ERR_KERNEL, EBADMSG, "systemd: a wrong answer");
	return wait_for_job(b, job, e);
}

/* A unit that failed stays loaded until this; what is answered does not matter. */
static void reset_failed(struct unit_bus *b, const char *unit)
{
	_dbus_message_clear_ struct dbus_message m = {};
	_buf_free_ struct buf body = {};
	struct err ignored;

	dbus_put_string(&body, unit);
	call_manager(b, "ResetFailedUnit", "s", &body, NULL, NULL, &m, &ignored);
}

int unit_bus_start(struct unit_bus *b, const char *unit, const unit_properties *l,
		   struct err *e)
{
	static const char exists[] = SERVICE ".UnitExists";
	_buf_free_ struct buf body = {};
	bool is_there;
	size_t none;
	int r;

	/* ssa(sv)a(sa(sv)): name, mode, properties, further units */
	dbus_put_string(&body, unit);
	dbus_put_string(&body, "fail");
	put_properties(&body, l);
	none = dbus_array_begin(&body, 8);
	dbus_array_end(&body, none, 8);
	r = run_job(b, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, exists, &is_there,
		    e);
	if (r < 0 && is_there) {
		reset_failed(b, unit);
		r = run_job(b, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, exists,
			    &is_there, e);
	}
	if (r < 0 && is_there)
		return err_set(e, ERR_STATE, EEXIST,
			       "systemd's unit '%s' is in use: another container has it",
			       unit);
	return r < 0 ? err_wrap(e, "cannot make %s", unit) : 0;
}

int unit_bus_stop(struct unit_bus *b, const char *unit, struct err *e)
{
	_buf_free_ struct buf body = {};
	bool is_gone;
	int r;

	dbus_put_string(&body, unit);
	dbus_put_string(&body, "replace");
	r = run_job(b, "StopUnit", "ss", &body, SERVICE ".NoSuchUnit", &is_gone, e);
	if (is_gone)
		return 0;
	reset_failed(b, unit);
	return r < 0 ? err_wrap(e, "cannot stop %s", unit) : 0;
}

static int get_property(struct unit_bus *b, const char *path, const char *interface,
			const char *name, char **ret, struct err *e)
{
	_dbus_message_clear_ struct dbus_message m = {};
	_buf_free_ struct buf body = {};
	const char *text;
	int r;

	dbus_put_string(&body, interface);
	dbus_put_string(&body, name);
	r = dbus_call(&b->d, path, PROPERTIES, "Get", "ss", &body, &m, e);
	if (r < 0)
		return err_wrap(e, "cannot read the property %s", name);
	if (dbus_get_variant_string(&m, &text) < 0)
		return err_set(e, ERR_KERNEL, EBADMSG, "systemd: %s is no text", name);
	*ret = strdup(text);
	return *ret ? 0 : err_oom(e);
}

int unit_bus_version(struct unit_bus *b, unsigned int *ret, struct err *e)
{
	_free_ char *text = NULL;
	int r = get_property(b, OBJECT, MANAGER, "Version", &text, e);

	if (r < 0)
		return r;
	/* "252.38-1~deb12u1", or "v245" */
	*ret = (unsigned int)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
	return 0;
}

int unit_bus_set(struct unit_bus *b, const char *unit, const unit_properties *l,
		 struct err *e)
{
	_dbus_message_clear_ struct dbus_message m = {};
	_buf_free_ struct buf body = {};
	unsigned int version;
	int r;

	dbus_put_string(&body, unit);
	dbus_put_u32(&body, true); /* until the next boot */
	put_properties(&body, l);
	r = call_manager(b, "SetUnitProperties", "sba(sv)", &body, NULL, NULL, &m, e);
	if (r < 0)
		return err_wrap(e, "cannot set the limits of %s", unit);
	/* systemd writes to the group when it has answered, and before it takes the next call. */
	return unit_bus_version(b, &version, e);
}

int unit_bus_attach(struct unit_bus *b, const char *unit, pid_t pid, struct err *e)
{
	_dbus_message_clear_ struct dbus_message m = {};
	_buf_free_ struct buf body = {};
	int r;

	dbus_put_string(&body, unit);
	dbus_put_string(&body, "");
	put_numbers(&body, (uint32_t)pid);
	r = call_manager(b, "AttachProcessesToUnit", "ssau", &body, NULL, NULL, &m, e);
	return r < 0 ? err_wrap(e, "cannot move process %d into %s", (int)pid, unit) : 0;
}

int unit_bus_group(struct unit_bus *b, const char *unit, char **ret, struct err *e)
{
	const char *interface = str_has_suffix(unit, ".slice") ? SERVICE ".Slice" :
								 SERVICE ".Scope";
	_buf_free_ struct buf path = {};

	/* An object's path has letters and digits alone; systemd's escape for others is _xx. */
	buf_adds(&path, OBJECT "/unit/");
	for (const char *p = unit; *p; p++) {
		bool digit = *p >= '0' && *p <= '9';
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (digit && p > unit);

		if (plain)
			buf_add(&path, p, 1);
		else
			buf_addf(&path, "_%02x", (unsigned char)*p);
	}
	if (path.failed)
		return err_oom(e);
	return get_property(b, path.s, interface, "ControlGroup", ret, e);
}
