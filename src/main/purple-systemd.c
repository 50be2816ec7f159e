/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-systemd: what the runtime asks of systemd under --systemd-cgroup, with libsystemd, which
 * the runtime itself does without (cgroup/systemd_client.c). Started by the runtime with a
 * connection as its stdin; ends with it. Runs with the caller's privileges; of what comes over the
 * connection only the runtime is the author. Of use to nobody else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/systemd_wire.h"

static int needs_unit(const struct wire_request *r, struct err *e)
{
	return r->unit ? 0 : err_set(e, ERR_INTERNAL, EPROTO, "systemd: no unit is named");
}

/* start and set */
static int send_properties(struct unit_bus *b, const struct wire_request *r, struct err *e)
{
	_unit_properties_clear_ unit_properties l = {};
	int code = wire_to_properties(r, &l, e);

	if (code < 0)
		return code;
	return streq(r->call, "start") ? unit_bus_start(b, r->unit, &l, e) :
					 unit_bus_set(b, r->unit, &l, e);
}

static int serve(struct unit_bus **b, const struct wire_request *r,
		 struct wire_answer *answer, struct err *e)
{
	int code;

	if (streq(r->call, "open") && !*b)
		return unit_bus_open(r->user, b, e);
	if (!*b)
		return err_set(e, ERR_INTERNAL, EPROTO, "systemd: the bus is not open");
	if (streq(r->call, "version"))
		return unit_bus_version(*b, &answer->number, e);
	code = needs_unit(r, e);
	if (code < 0)
		return code;
	if (streq(r->call, "start") || streq(r->call, "set"))
		return send_properties(*b, r, e);
	if (streq(r->call, "stop"))
		return unit_bus_stop(*b, r->unit, e);
	if (streq(r->call, "attach"))
		return unit_bus_attach(*b, r->unit, (pid_t)r->pid, e);
	if (streq(r->call, "group"))
		return unit_bus_group(*b, r->unit, &answer->text, e);
	return err_set(e, ERR_INTERNAL, EPROTO, "systemd: odd call '%s'", r->call);
}

/* One request: 1, or 0 when there will be no more. */
static int serve_next(struct unit_bus **b)
{
	struct wire_answer answer = {};
	struct wire_request request = {};
	struct err e = {};
	int r = wire_receive(STDIN_FILENO, &wire_request_type, &request, &e);

	if (r > 0) {
		if (serve(b, &request, &answer, &e) < 0) {
			answer.kind = e.kind;
			answer.code = (uint32_t)e.code;
			answer.error = strdup(e.msg);
		}
		r = wire_send(STDIN_FILENO, &wire_answer_type, &answer, &e) < 0 ? -1 : 1;
	}
	json_clear(&wire_request_type, &request);
	json_clear(&wire_answer_type, &answer);
	return r;
}

int main(void)
{
	_unit_bus_close_ struct unit_bus *b = NULL;
	int r;

	do
		r = serve_next(&b);
	while (r > 0);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
