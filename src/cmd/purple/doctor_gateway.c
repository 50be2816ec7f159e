/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: whether ai_policy can be enforced, and is. Runs in `purple`. */
#include <unistd.h>

#include "base/fd.h"
#include "budget/prices.h"
#include "cmd/purple/doctor.h"
#include "container/container.h"
#include "container/gateway.h"
#include "gateway/client.h"

static void check_program(struct doctor *d)
{
	const struct doctor_subject s = { "LLM gateway", "ai_policy", false };
	struct err e;

	if (d->ordinary)
		doctor_bad(d, &s, DOCTOR_MISSING, "run as root",
			   "an ordinary user's containers have none");
	else if (gateway_client_check(&e) < 0)
		doctor_bad(d, &s, DOCTOR_MISSING, "install Purple anew", "%s", e.msg);
	else
		doctor_ok(d, &s, PKGLIBEXECDIR "/purple-gateway");
}

/* Every gateway reads them as it starts. */
static void check_prices(struct doctor *d)
{
	const struct doctor_subject s = { "LLM prices", "ai_policy.budget.max_cost", false };
	_prices_free_ struct prices *prices = NULL;
	struct err e;

	if (access(PRICES_FILE, F_OK) < 0)
		doctor_bad(d, &s, DOCTOR_MISSING, "install Purple anew",
			   "'" PRICES_FILE "' is not there");
	else if (prices_load(PRICES_FILE, PRICES_OVERLAY, &prices, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, "correct the file", "%s", e.msg);
	else
		doctor_ok(d, &s, "%zu models", prices_count(prices));
}

/* Containers that run and whose gateway does not. */
static int list_without(const char *root, struct strv *ret, struct err *e)
{
	_strv_free_ struct strv ids = {};
	int r = container_list_ids(root, &ids, e);

	for (size_t i = 0; r == 0 && i < ids.n; i++) {
		_container_close_ struct container c = CONTAINER_EMPTY;
		struct err gone;

		if (container_open(root, ids.v[i], false, &c, &gone) < 0 ||
		    !c.st.gateway_pid || container_gateway_is_running(&c) ||
		    !process_is_alive(c.st.pid, c.st.pid_start))
			continue;
		if (strv_add(ret, ids.v[i]) < 0)
			r = err_oom(e);
	}
	return r;
}

static void check_running(struct doctor *d)
{
	const struct doctor_subject s = { "LLM gateways", "LLM calls of containers", true };
	_strv_free_ struct strv ids = {};
	struct err e = {};

	if (d->ordinary)
		return;
	if (list_without(d->root, &ids, &e) < 0)
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
	else if (ids.n == 0)
		doctor_ok(d, &s, "of all containers that run");
	else
		doctor_bad(d, &s, DOCTOR_BROKEN, "start the container anew",
			   "ended, so that their LLM calls fail: %s%s", ids.v[0],
			   ids.n > 1 ? ", ..." : "");
}

void doctor_check_gateway(struct doctor *d)
{
	check_program(d);
	check_prices(d);
	check_running(d);
}
