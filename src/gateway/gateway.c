/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: see gateway.h. */
#include "gateway/gateway.h"

#include <time.h>

#include "gateway/call.h"

int64_t gateway_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
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
	return sooner(ms, g->is_ending ? 100 : -1);
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
	int r = 0;

	while (r == 0 && (!g->is_ending || (g->calls && loop_now() < g->ends_at))) {
		r = loop_wait(&g->loop, wait_ms(g), e);
		upstream_turn(g->upstream);
		server_turn(g->server);
		calls_turn(g);
	}
	calls_drop(g);
	return r;
}
