/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administrator's webhook: the event of an alert as a POST. By the gateway itself, which has no
 * privileges, and the libraries for it anyway.
 */
#ifndef PURPLE_GATEWAY_WEBHOOK_H
#define PURPLE_GATEWAY_WEBHOOK_H

#include <stddef.h>

struct gateway;

/* Sends it; what becomes of it is told by enforce_posted(). Mustn't: be called from an operation of a
 * transfer. */
void webhook_post(struct gateway *g, const char *text, size_t len);
/* Those that are under way are not waited for any more. */
void webhooks_drop(struct gateway *g);

#endif
