/* SPDX-License-Identifier: Apache-2.0 */
/* See trust.h. What it reads comes from the network. */
#include "gateway/trust.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* No chain is longer. */
#define CHAIN_MAX 16

struct trust {
	gnutls_x509_trust_list_t list;
};

int trust_make(const char *ca_file, struct trust **ret, struct err *e)
{
	struct trust *t = calloc(1, sizeof(*t));
	int n;

	if (!t || gnutls_x509_trust_list_init(&t->list, 0) < 0) {
		free(t);
		return err_oom(e);
	}
	n = ca_file ? gnutls_x509_trust_list_add_trust_file(t->list, ca_file, NULL,
							    GNUTLS_X509_FMT_PEM, 0, 0) :
		      gnutls_x509_trust_list_add_system_trust(t->list, 0, 0);
	if (n <= 0) {
		trust_free(t);
		return err_set(e, ERR_CONFIG, EINVAL,
			       "no certificates of authorities can be read from %s%s%s",
			       ca_file ? "'" : "", ca_file ? ca_file : "the host's store",
			       ca_file ? "'" : "");
	}
	*ret = t;
	return 0;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	gnutls_x509_trust_list_deinit(t->list, 1);
	free(t);
}

struct chain {
	gnutls_x509_crt_t v[CHAIN_MAX];
	unsigned int n;
};

static void chain_clear(struct chain *c)
{
	while (c->n > 0)
		gnutls_x509_crt_deinit(c->v[--c->n]);
}

static bool chain_read(gnutls_session_t session, struct chain *c)
{
	const gnutls_datum_t *der;
	unsigned int n = 0;

	if (gnutls_certificate_type_get(session) != GNUTLS_CRT_X509)
		return false;
	der = gnutls_certificate_get_peers(session, &n);
	if (!der || n == 0 || n > CHAIN_MAX)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		if (gnutls_x509_crt_init(&c->v[i]) < 0)
			return false;
		c->n++;
		if (gnutls_x509_crt_import(c->v[i], &der[i], GNUTLS_X509_FMT_DER) < 0)
			return false;
	}
	return true;
}

static void say_status(unsigned int status, char *why, size_t size)
{
	gnutls_datum_t text = {};

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text,
							 0) < 0)
		return;
	snprintf(why, size, "its certificate is not valid: %s", (const char *)text.data);
	gnutls_free(text.data);
}

bool trust_verify(const struct trust *t, void *session, const char *host, char *why,
		  size_t size)
{
	gnutls_typed_vdata_st data[] = {
		{ .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)(uintptr_t)host },
		{ .type = GNUTLS_DT_KEY_PURPOSE_OID,
		  .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER },
	};
	unsigned int status = GNUTLS_CERT_INVALID;
	struct chain chain = {};
	bool ok;

	snprintf(why, size, "its certificate cannot be read");
	ok = session && chain_read(session, &chain) &&
	     gnutls_x509_trust_list_verify_crt2(t->list, chain.v, chain.n, data, 2, 0,
						&status, NULL) == 0;
	chain_clear(&chain);
	if (ok && status != 0)
		say_status(status, why, size);
	return ok && status == 0;
}
