/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-gateway opens and reads as root, before its jail. Runs there, once. */
#ifndef PURPLE_GATEWAY_SETUP_H
#define PURPLE_GATEWAY_SETUP_H

#include "gateway/gateway.h"

/* A JSON object of API keys by provider's name. -ERR_CONFIG for what cannot be in a header. */
int gateway_read_keys(int fd, const char *name, struct strmap *ret, struct err *e);

struct gateway_setup {
	struct gateway_config *config; /* borrowed */
	struct strmap *keys;	       /* taken */
	const char *ca_file;	       /* of providers; NULL: the host's */
	int64_t idle_ms;	       /* 0: the preset */
};

int gateway_setup(struct gateway *g, const struct gateway_setup *s, struct err *e);
void gateway_clear(struct gateway *g);

#endif
