/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: see gateway.h. */
#include "gateway/gateway.h"

#include "base/clock.h"
#include "gateway/call.h"
#include "gateway/enforce.h"
#include "gateway/events.h"
#include "gateway/webhook.h"

struct meter_time gateway_time(void)
{
	return (struct meter_time){ .real = clock_ms(CLOCK_REALTIME),
				    .mono = clock_ms(CLOCK_MONOTONIC) };
}

void gateway_tell(struct gateway *g, const struct gateway_event *x)
{
	if (x->type == GATEWAY_LLM_CALL)
		g->calls_told++;
	if (x->type == GATEWAY_LLM_DENIED)
		g->denied++;
	if (g->enforce)
		enforce_event(g->enforce, x);
}

/* -1 is for ever. */
static int sooner(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int wait_ms(struct gateway *g)
{
	int ms = sooner(server_wait_ms(g->server), upstream_wait_ms(g->upstream));

	if (g->has_wishes)
		return 0;
	ms = sooner(ms, enforce_wait_ms(g->enforce));
	ms = sooner(ms, meter_wait_ms(g->meter, gateway_time()));
	return sooner(ms, g->is_ending ? 100 : -1);
}

/* What no reservation has taken along to the ledger, or what it could not take before. */
static void tick(struct gateway *g)
{
	struct meter_time now = gateway_time();
	struct err ignored = {};

	if (meter_wait_ms(g->meter, now) == 0)
		meter_tick(g->meter, now, &ignored);
}

void gateway_end(struct gateway *g)
{
	if (g->is_ending)
		return;
	g->is_ending = true;
	g->ends_at = loop_now() + GATEWAY_END_MS;
	server_quiesce(g->server);
	calls_abandon(g);
}

int gateway_run(struct gateway *g, struct err *e)
{
	const struct gateway_event started = { .type = GATEWAY_STARTED, .policy = -1 };
	int r = 0;

	gateway_tell(g, &started);
	while (r == 0 && (!g->is_ending ||
			  ((g->calls || g->webhooks.first) && loop_now() < g->ends_at))) {
		r = loop_wait(&g->loop, wait_ms(g), e);
		upstream_turn(g->upstream);
		server_turn(g->server);
		calls_admit(g);
		calls_turn(g);
		enforce_tick(g->enforce);
		tick(g);
	}
	calls_drop(g);
	/* The connections that are left, and their calls. */
	server_free(g->server);
	g->server = NULL;
	webhooks_drop(&g->webhooks);
	return r;
}
