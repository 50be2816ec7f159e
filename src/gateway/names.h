/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interception: the names under which programs that hard-code their provider look for it, and which
 * lead to the gateway in the container: the hosts of the policy's endpoints, and for a provider of a
 * known name the host where all the world looks for it, wherever the policy's endpoint is. No other
 * name leads here, and for no other is there a certificate. Pure; in the runtime and in
 * purple-gateway.
 */
#ifndef PURPLE_GATEWAY_NAMES_H
#define PURPLE_GATEWAY_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/str.h"
#include "gateway/config.h"

#define GATEWAY_TLS_PORT 443
#define GATEWAY_HTTP_PORT 80

struct gateway_name {
	char *host;  /* in lower case; never an address or "localhost" */
	bool is_tls; /* of https:// on port 443; else of http:// on port 80 */
	/* Of the configuration, which must outlive this: who is meant, and where its calls go. */
	const struct gateway_provider *provider;
	const char *endpoint;
};

struct gateway_names {
	LIST_OF(struct gateway_name) l; /* no two of one host and is_tls */
};

/*
 * The names of the configuration's `providers`; the first one of a name holds. Other ports than those
 * above are not intercepted: who knows of one was told about the endpoint, and can be told the base
 * URL. -ENOMEM.
 */
int gateway_names_make(const struct gateway_config *c, struct gateway_names *ret);
void gateway_names_clear(struct gateway_names *n);
#define _gateway_names_clear_ __attribute__((cleanup(gateway_names_clear)))

/* Adds the hosts to `hosts`, each once; with `tls_only`, those that need a certificate. -ENOMEM. */
int gateway_names_hosts(const struct gateway_names *n, bool tls_only, struct strv *hosts);

/*
 * Whom a request means: `host` is the value of its Host, with or without the port. NULL: nobody, and
 * it is to be refused. Over TLS the host must also be the name of the handshake (`sni`, in lower
 * case; NULL: not over TLS): what was asked for there is what the client has verified.
 */
const struct gateway_name *gateway_names_find(const struct gateway_names *n,
					      const char *host, const char *sni);

#endif
