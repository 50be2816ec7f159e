/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to systemd over D-Bus: see systemd.h. Part of purple-systemd alone, which runs with the
 * caller's privileges; the system's bus asks for root, the user's for its own user.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cgroup/systemd.h"

#define SERVICE "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
/* For one job, and for one call. */
#define JOB_TIMEOUT_MS 30000
#define CALL_TIMEOUT_US (30 * UINT64_C(1000000))

struct unit_bus {
	sd_bus *bus;
	const char *what; /* "the system's" */
};

/* The job that is waited for. */
struct job {
	struct unit_bus *b;
	char *path;
	char result[32]; /* empty: not done yet */
};

/* The error of a call: systemd's own words where it has some. */
static int bus_error(const sd_bus_error *error, int code, struct err *e, const char *what)
{
	const char *text = error->message ? error->message : error->name;

	if (text)
		return err_set(e, ERR_KERNEL, sd_bus_error_get_errno(error),
			       "systemd: cannot %s: %s", what, text);
	return err_errno(e, code, "systemd: cannot %s", what);
}

int unit_bus_open(bool user, struct unit_bus **ret, struct err *e)
{
	_unit_bus_close_ struct unit_bus *b = NULL;
	int r;

	b = calloc(1, sizeof(*b));
	if (!b)
		return err_oom(e);
	b->what = user ? "the user's" : "the system's";
	r = user ? sd_bus_open_user(&b->bus) : sd_bus_open_system(&b->bus);
	if (r < 0)
		return err_errno(e, r, "--systemd-cgroup: cannot connect to %s bus",
				 b->what);
	r = sd_bus_set_method_call_timeout(b->bus, CALL_TIMEOUT_US);
	if (r < 0)
		return err_errno(e, r, "systemd: cannot set a time limit");
	*ret = take_ptr(&b);
	return 0;
}

void unit_bus_close(struct unit_bus **b)
{
	if (!*b)
		return;
	if ((*b)->bus)
		sd_bus_flush_close_unref((*b)->bus);
	free(*b);
	*b = NULL;
}

/* --- messages --- */

static int append_value(sd_bus_message *m, const struct unit_property *p)
{
	int r;

	switch (p->type) {
	case UNIT_BOOL:
		return sd_bus_message_append(m, "v", "b", (int)p->number);
	case UNIT_I32:
		return sd_bus_message_append(m, "v", "i", (int32_t)p->number);
	case UNIT_U32:
		return sd_bus_message_append(m, "v", "u", (uint32_t)p->number);
	case UNIT_I64:
		return sd_bus_message_append(m, "v", "x", (int64_t)p->number);
	case UNIT_U64:
		return sd_bus_message_append(m, "v", "t", p->number);
	case UNIT_STRING:
		return sd_bus_message_append(m, "v", "s", p->text);
	case UNIT_NUMBERS:
		return sd_bus_message_append(m, "v", "au", 1, (uint32_t)p->number);
	case UNIT_STRINGS:
		r = sd_bus_message_open_container(m, 'v', "as");
		if (r >= 0)
			r = sd_bus_message_append_strv(m, p->strings.v);
		return r < 0 ? r : sd_bus_message_close_container(m);
	case UNIT_BYTES:
		r = sd_bus_message_open_container(m, 'v', "ay");
		if (r >= 0)
			r = sd_bus_message_append_array(m, 'y', p->text, p->len);
		return r < 0 ? r : sd_bus_message_close_container(m);
	case UNIT_PAIRS:
		r = sd_bus_message_open_container(m, 'v', "a(ss)");
		if (r >= 0)
			r = sd_bus_message_open_container(m, 'a', "(ss)");
		for (size_t i = 0; r >= 0 && i + 1 < p->strings.n; i += 2)
			r = sd_bus_message_append(m, "(ss)", p->strings.v[i],
						  p->strings.v[i + 1]);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
		return r < 0 ? r : sd_bus_message_close_container(m);
	}
	return -EINVAL;
}

static int append_properties(sd_bus_message *m, const unit_properties *list)
{
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	for (size_t i = 0; r >= 0 && i < list->n; i++) {
		r = sd_bus_message_open_container(m, 'r', "sv");
		if (r >= 0)
			r = sd_bus_message_append_basic(m, 's', list->v[i].name);
		if (r >= 0)
			r = append_value(m, &list->v[i]);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int new_call(struct unit_bus *b, const char *method, const char *unit,
		    sd_bus_message **ret)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(b->bus, &m, SERVICE, OBJECT, MANAGER, method);

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', unit);
	if (r < 0) {
		sd_bus_message_unref(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* --- jobs --- */

static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *path, *unit, *result;
	struct job *job = arg;
	uint32_t id;

	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	if (job->path && streq(path, job->path))
		snprintf(job->result, sizeof(job->result), "%s", result);
	return 0;
}

static int wait_for_job(struct unit_bus *b, struct job *job, const char *what, struct err *e)
{
	int64_t deadline = clock_ms(CLOCK_MONOTONIC) + JOB_TIMEOUT_MS;

	while (!job->result[0]) {
		int64_t now = clock_ms(CLOCK_MONOTONIC);
		int r = sd_bus_process(b->bus, NULL);

		if (r == 0 && now >= deadline)
			return err_set(e, ERR_KERNEL, ETIMEDOUT,
				       "systemd: cannot %s: it did not do so within %d s",
				       what, JOB_TIMEOUT_MS / 1000);
		if (r == 0)
			r = sd_bus_wait(b->bus, (uint64_t)(deadline - now) * 1000);
		if (r < 0 && r != -EINTR)
			return err_errno(e, r, "systemd: cannot %s", what);
	}
	if (!streq(job->result, "done"))
		return err_set(e, ERR_KERNEL, EIO,
			       "systemd: cannot %s: the job ended with '%s'", what,
			       job->result);
	return 0;
}

/* Sends a call that starts a job, and waits for the job's end. The call's error goes to `error`. */
static int run_job(struct unit_bus *b, sd_bus_message *call, const char *what,
		   sd_bus_error *error, struct err *e)
{
	struct job job = { .b = b };
	sd_bus_message *reply = NULL;
	sd_bus_slot *slot = NULL;
	const char *path;
	int r;

	/* Before the call, or the signal could be missed. */
	r = sd_bus_match_signal(b->bus, &slot, SERVICE, OBJECT, MANAGER, "JobRemoved",
				on_job_removed, &job);
	if (r < 0) {
		err_errno(e, r, "systemd: cannot wait for jobs");
		goto out;
	}
	r = sd_bus_call(b->bus, call, 0, error, &reply);
	if (r < 0) {
		bus_error(error, r, e, what);
		goto out;
	}
	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0) {
		err_errno(e, r, "systemd: cannot understand the answer");
		goto out;
	}
	job.path = strdup(path);
	r = job.path ? wait_for_job(b, &job, what, e) : err_oom(e);
out:
	sd_bus_slot_unref(slot);
	sd_bus_message_unref(reply);
	free(job.path);
	return r;
}

/* A unit that failed stays loaded until this; what it answers does not matter. */
static void reset_failed(struct unit_bus *b, const char *unit)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *call = NULL, *reply = NULL;

	if (new_call(b, "ResetFailedUnit", unit, &call) == 0)
		sd_bus_call(b->bus, call, 0, &error, &reply);
	sd_bus_error_free(&error);
	sd_bus_message_unref(call);
	sd_bus_message_unref(reply);
}

static bool is_error(const sd_bus_error *error, const char *name)
{
	return error->name && streq(error->name, name);
}

static int start_once(struct unit_bus *b, const char *unit, const unit_properties *list,
		      bool *ret_exists, struct err *e)
{
	_free_ char *what = str_printf("make %s", unit);
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *call = NULL;
	int r;

	*ret_exists = false;
	if (!what)
		return err_oom(e);
	r = new_call(b, "StartTransientUnit", unit, &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", "fail");
	if (r >= 0)
		r = append_properties(call, list);
	if (r >= 0)
		r = sd_bus_message_append(call, "a(sa(sv))", 0);
	if (r < 0)
		err_errno(e, r, "systemd: cannot make a message");
	else
		r = run_job(b, call, what, &error, e);
	*ret_exists = is_error(&error, "org.freedesktop.systemd1.UnitExists");
	sd_bus_error_free(&error);
	sd_bus_message_unref(call);
	return r;
}

int unit_bus_start(struct unit_bus *b, const char *unit, const unit_properties *list,
		   struct err *e)
{
	bool exists;
	int r = start_once(b, unit, list, &exists, e);

	if (r < 0 && exists) {
		reset_failed(b, unit);
		r = start_once(b, unit, list, &exists, e);
	}
	if (r < 0 && exists)
		return err_set(e, ERR_STATE, EEXIST,
			       "systemd's unit '%s' is in use: another container has it",
			       unit);
	return r;
}

int unit_bus_stop(struct unit_bus *b, const char *unit, struct err *e)
{
	_free_ char *what = str_printf("stop %s", unit);
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *call = NULL;
	int r;

	if (!what)
		return err_oom(e);
	r = new_call(b, "StopUnit", unit, &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", "replace");
	if (r < 0)
		err_errno(e, r, "systemd: cannot make a message");
	else
		r = run_job(b, call, what, &error, e);
	if (r < 0 && is_error(&error, "org.freedesktop.systemd1.NoSuchUnit"))
		r = 0;
	else
		reset_failed(b, unit);
	sd_bus_error_free(&error);
	sd_bus_message_unref(call);
	return r;
}

static int get_string(struct unit_bus *b, const char *path, const char *interface,
		      const char *name, char **ret, struct err *e)
{
	_free_ char *what = str_printf("tell %s", name);
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	if (!what)
		return err_oom(e);
	r = sd_bus_get_property_string(b->bus, SERVICE, path, interface, name, &error, ret);
	if (r < 0)
		r = bus_error(&error, r, e, what);
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

int unit_bus_version(struct unit_bus *b, unsigned int *ret, struct err *e)
{
	_free_ char *text = NULL;
	int r = get_string(b, OBJECT, MANAGER, "Version", &text, e);

	if (r < 0)
		return r;
	/* "252.38-1~deb12u1", or "v245" */
	*ret = (unsigned int)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
	return 0;
}

/* Sends a call, of which making it has given `r`, waits for the answer, and frees the call. */
static int end_call(struct unit_bus *b, sd_bus_message *call, int r, const char *what,
		    struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	if (r < 0) {
		err_errno(e, r, "systemd: cannot make a message");
	} else {
		r = sd_bus_call(b->bus, call, 0, &error, NULL);
		if (r < 0)
			bus_error(&error, r, e, what);
	}
	sd_bus_error_free(&error);
	sd_bus_message_unref(call);
	return r < 0 ? r : 0;
}

int unit_bus_set(struct unit_bus *b, const char *unit, const unit_properties *list,
		 struct err *e)
{
	_free_ char *what = str_printf("set the limits of %s", unit);
	sd_bus_message *call = NULL;
	unsigned int version;
	int r;

	if (!what)
		return err_oom(e);
	r = new_call(b, "SetUnitProperties", unit, &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "b", 1);
	if (r >= 0)
		r = append_properties(call, list);
	r = end_call(b, call, r, what, e);
	/* systemd writes to the group when it has answered, and before it takes the next call. */
	return r < 0 ? r : unit_bus_version(b, &version, e);
}

int unit_bus_attach(struct unit_bus *b, const char *unit, pid_t pid, struct err *e)
{
	_free_ char *what = str_printf("move process %d into %s", (int)pid, unit);
	sd_bus_message *call = NULL;
	int r;

	if (!what)
		return err_oom(e);
	r = new_call(b, "AttachProcessesToUnit", unit, &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "sau", "", 1, (uint32_t)pid);
	return end_call(b, call, r, what, e);
}

int unit_bus_group(struct unit_bus *b, const char *unit, char **ret, struct err *e)
{
	const char *interface = str_has_suffix(unit, ".slice") ? SERVICE ".Slice" :
								 SERVICE ".Scope";
	_free_ char *path = NULL;
	int r = sd_bus_path_encode(OBJECT "/unit", unit, &path);

	if (r < 0)
		return err_errno(e, r, "systemd: cannot encode '%s'", unit);
	return get_string(b, path, interface, "ControlGroup", ret, e);
}
