/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a container with a gateway have in their environment for it. Pure. */
#ifndef PURPLE_GATEWAY_ENVIRONMENT_H
#define PURPLE_GATEWAY_ENVIRONMENT_H

#include "base/err.h"
#include "gateway/config.h"

/*
 * Takes the variables out that hold API keys, or say where providers are, and adds the gateway's:
 * its address, base URLs, and the placeholder in place of keys. Purple's win over the engine's and
 * the image's. Where the environment names a proxy, calls to the gateway go around it. For `port`,
 * c->port is taken.
 */
int gateway_environment(const struct gateway_config *c, struct strv *env, struct err *e);

/* Whom base URLs of a family mean: the provider of the family's own name, else the first. NULL: none. */
const char *gateway_environment_provider(const struct gateway_config *c,
					 enum llm_family family);

#endif
