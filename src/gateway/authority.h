/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate authority of one container, for programs that hard-code their provider: a
 * certificate that the container trusts, and under it one for each of the names that the gateway
 * answers for. Runs in purple-gateway.
 *
 * All of them are made at once, and the authority's key is gone when authority_make() returns:
 * nothing can be signed with it later, whoever gets hold of the process. It is on no disk and in no
 * other process; what is made of it dies with the gateway. And the authority can speak only of
 * those names: its own certificate says so, for verifiers who know nothing of us.
 */
#ifndef PURPLE_GATEWAY_AUTHORITY_H
#define PURPLE_GATEWAY_AUTHORITY_H

#include <stddef.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "base/err.h"
#include "base/str.h"

/* More than a policy has a use for, few enough to be made while a container starts. */
#define AUTHORITY_NAMES_MAX 128

/* Of RFC 1035, as text. */
#define AUTHORITY_NAME_MAX 253

/* For MHD_OPTION_HTTPS_PRIORITIES. */
#define AUTHORITY_PRIORITIES \
	"NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

struct authority;

/*
 * `names` are host names in lower case, no two of them equal. ERR_CONFIG for one that is none, or
 * too many.
 */
int authority_make(const struct strv *names, struct authority **ret, struct err *e);
void authority_free(struct authority *a);

/* The authority's own certificate, in PEM: what the container is to trust. */
const char *authority_certificate(const struct authority *a);

/*
 * What a server shows who asks for `name`, in any case of letters: the name's certificate and the
 * authority's, and the key of the former. -ENOENT: it has none of that name. What is returned
 * belongs to the authority.
 */
int authority_find(const struct authority *a, const char *name, gnutls_pcert_st **ret_chain,
		   unsigned int *ret_len, gnutls_privkey_t *ret_key);

/*
 * For MHD_OPTION_HTTPS_CERT_CALLBACK, which has no argument of the caller's: answers from the
 * authority that authority_serve() was told. A client that asks for no name, or for one that is not
 * the authority's, gets no handshake.
 */
void authority_serve(const struct authority *a);
int authority_retrieve(gnutls_session_t session, const gnutls_datum_t *ca_names,
		       int ca_count, const gnutls_pk_algorithm_t *algorithms,
		       int algorithm_count, gnutls_pcert_st **ret_chain,
		       unsigned int *ret_len, gnutls_privkey_t *ret_key);

/* The name that a client asked for in its handshake, in lower case: what its Host has to be.
 * `name` has AUTHORITY_NAME_MAX + 1 bytes. -ENOENT: none, or none that is a host's name. */
int authority_session_name(gnutls_session_t session, char *name);

#endif
