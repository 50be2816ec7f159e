/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: whether ai_policy can be enforced, and is. Runs in `purple`. */
#include <unistd.h>

#include "budget/prices.h"
#include "cmd/purple/doctor.h"
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

static bool has_lost_gateway(const struct container *c)
{
	return c->st.gateway_pid && !container_gateway_is_running(c);
}

static void check_running(struct doctor *d)
{
	const struct doctor_subject s = { "LLM gateways", "LLM calls of containers", true };

	doctor_check_containers(d, &s, has_lost_gateway,
				"ended, so that their LLM calls fail");
}

void doctor_check_gateway(struct doctor *d)
{
	check_program(d);
	check_prices(d);
	check_running(d);
}
