/* SPDX-License-Identifier: Apache-2.0 */
/* Which provider a call is for, and how it is told who calls. Runs in purple-gateway. */
#ifndef PURPLE_GATEWAY_PROVIDER_H
#define PURPLE_GATEWAY_PROVIDER_H

#include "base/err.h"
#include "base/str.h"
#include "gateway/format.h"

struct call;
struct gateway;

/* Those that may be called with the agent's own keys: where no policy says block_unknown. */
int provider_make_known(struct gateway *g, struct err *e);
void provider_free_known(struct gateway *g);

/* The format of a refusal to a call of which no more is known than its target. */
enum llm_family provider_guess_family(const struct gateway *g, const char *target);

/*
 * Fills in who it is for, by the path or, intercepted, by the host. False, with the error set: it is
 * none that may be called (ERR_POLICY), or there is no key.
 */
bool provider_of_call(struct call *c, const char *host, struct err *e);

/* Whether a route that its family has is one of its own: deployments are Azure's. */
bool provider_has_route(const struct call *c);

/* Where it is, and the credential, as a header of the request. */
int provider_address(const struct call *c, struct buf *ret_url, struct err *e);
int provider_credential(struct call *c, struct err *e);

#endif
