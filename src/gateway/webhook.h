/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An administrator's webhook: the event of an alert as a POST. By purple-gateway or purple-alert
 * themselves, which have no privileges, and the libraries for it.
 */
#ifndef PURPLE_GATEWAY_WEBHOOK_H
#define PURPLE_GATEWAY_WEBHOOK_H

#include <stddef.h>

#include "gateway/upstream.h"

struct webhook;
struct webhooks {
	struct upstream *upstream;
	/* It is over; `error`: why it was not taken, NULL: it was. */
	void (*posted)(void *arg, const char *error);
	struct webhook *first; /* under way */
};

/* Sends it. Mustn't: be called from an operation of a transfer. `url` stays until it is over. */
void webhook_post(struct webhooks *all, const char *url, const char *text, size_t len,
		  void *arg);
/* Those that are under way are not waited for any more. */
void webhooks_drop(struct webhooks *all);

#endif
