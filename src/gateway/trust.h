/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a provider is who it should be. libcurl with GnuTLS reads the host's certificates anew for
 * every connection: 4 MB and tens of milliseconds each. Here they are read once, for all of them.
 * Runs in purple-gateway, in its jail.
 */
#ifndef PURPLE_GATEWAY_TRUST_H
#define PURPLE_GATEWAY_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct trust;

/* `ca_file`: whose certificates are trusted; NULL: those that the host's libraries know. */
int trust_make(const char *ca_file, struct trust **ret, struct err *e);
void trust_free(struct trust *t);

/*
 * After the handshake and before anything is sent: the chain that the peer of a session (a
 * gnutls_session_t) showed leads to whom is trusted, holds today, is a server's, and is for this
 * host or address. False: `why` says what is not so.
 */
bool trust_verify(const struct trust *t, void *session, const char *host, char *why,
		  size_t size);

#endif
