// SPDX-License-Identifier: Apache-2.0
/*
 * See authority.h. Runs in purple-gateway, also when it has no privileges any more: it needs memory
 * and random numbers alone.
 *
 * The certificates follow RFC 5280. The leaf's AuthorityKeyIdentifier is the authority's
 * SubjectKeyIdentifier, by which OpenSSL looks for the issuer. The authority's certificate has
 * critical name constraints: of DNS names only the given ones, no addresses at all; and it is good
 * for TLS servers alone.
 */
#include "gateway/authority.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <gnutls/crypto.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

#include "base/list.h"

#define SERIAL_SIZE 16
#define COMMON_NAME_MAX 64 /* ub-common-name */

/* For the whole life of a container, as nothing can be made anew; the key to it is long gone. */
#define LIFE_SECONDS (366 * 24 * 3600L)
/* A container's clock is the host's, but that may be set back. */
#define BACKDATED_SECONDS (24 * 3600L)

struct leaf {
	char *name;
	gnutls_pcert_st chain[2];
	size_t chain_count; /* of those that are to be freed */
};

struct authority {
	struct leaf *leaves;
	size_t leaf_count;
	gnutls_privkey_t leaf_key; /* of all leaves */
	gnutls_datum_t pem;
};

/* While they are made. */
struct maker {
	gnutls_x509_privkey_t ca_key, leaf_key;
	gnutls_x509_crt_t ca;
	unsigned char key_id[64]; /* the authority's SubjectKeyIdentifier */
	size_t key_id_len;
	time_t from, to;
};

static const struct authority *served;

static int fail(struct err *e, int code, const char *what)
{
	return err_set(e, ERR_INTERNAL, code == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EIO,
		       "interception: cannot %s: %s", what, gnutls_strerror(code));
}

/* --- names --- */

/* Labels of letters, digits, '-' and '_'. */
static bool is_host_name(const char *name)
{
	size_t label = 0, n = 0;

	for (; name[n]; n++) {
		if (name[n] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (islower((unsigned char)name[n]) ||
			   isdigit((unsigned char)name[n]) || name[n] == '-' ||
			   name[n] == '_') {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
	}
	return label > 0 && n <= AUTHORITY_NAME_MAX;
}

static int check_names(const struct strv *names, struct err *e)
{
	if (names->n == 0 || names->n > AUTHORITY_NAMES_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "interception: 1 to %d names, not %zu",
			       AUTHORITY_NAMES_MAX, names->n);
	for (size_t i = 0; i < names->n; i++)
		if (!is_host_name(names->v[i]))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "interception: '%s' is no host name", names->v[i]);
	return 0;
}

/* --- certificates --- */

static int make_key(gnutls_x509_privkey_t *ret)
{
	int r = gnutls_x509_privkey_init(ret);

	return r < 0 ? r :
		       gnutls_x509_privkey_generate(*ret, GNUTLS_PK_ECDSA,
						    GNUTLS_CURVE_TO_BITS(
							    GNUTLS_ECC_CURVE_SECP256R1),
						    0);
}

/* What all have: version, serial number, times, key and its id. */
static int begin_certificate(const struct maker *m, gnutls_x509_privkey_t key,
			     gnutls_x509_crt_t *ret)
{
	unsigned char serial[SERIAL_SIZE], id[64];
	size_t id_len = sizeof(id);
	int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	/* Positive, and not zero. */
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
	if (r == 0)
		r = gnutls_x509_crt_init(ret);
	if (r == 0)
		r = gnutls_x509_crt_set_version(*ret, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_serial(*ret, serial, sizeof(serial));
	if (r == 0)
		r = gnutls_x509_crt_set_activation_time(*ret, m->from);
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(*ret, m->to);
	if (r == 0)
		r = gnutls_x509_crt_set_key(*ret, key);
	if (r == 0)
		r = gnutls_x509_crt_get_key_id(*ret, GNUTLS_KEYID_USE_SHA1, id, &id_len);
	if (r == 0)
		r = gnutls_x509_crt_set_subject_key_id(*ret, id, id_len);
	if (r == 0)
		r = gnutls_x509_crt_set_key_purpose_oid(*ret, GNUTLS_KP_TLS_WWW_SERVER, 0);
	return r;
}

static int exclude_addresses(gnutls_x509_name_constraints_t c)
{
	/* An address of zeros under a mask of zeros: all of the family. */
	unsigned char zeros[32] = { 0 };
	const gnutls_datum_t v4 = { zeros, 8 }, v6 = { zeros, 32 };
	int r = gnutls_x509_name_constraints_add_excluded(c, GNUTLS_SAN_IPADDRESS, &v4);

	return r < 0 ? r :
		       gnutls_x509_name_constraints_add_excluded(c, GNUTLS_SAN_IPADDRESS,
								 &v6);
}

static int constrain(gnutls_x509_crt_t ca, const struct strv *names)
{
	gnutls_x509_name_constraints_t c;
	int r = gnutls_x509_name_constraints_init(&c);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < names->n; i++) {
		const gnutls_datum_t name = { (unsigned char *)names->v[i],
					      (unsigned int)strlen(names->v[i]) };

		r = gnutls_x509_name_constraints_add_permitted(c, GNUTLS_SAN_DNSNAME, &name);
	}
	if (r == 0)
		r = exclude_addresses(c);
	if (r == 0)
		r = gnutls_x509_crt_set_name_constraints(ca, c, 1);
	gnutls_x509_name_constraints_deinit(c);
	return r;
}

/* Two containers' authorities have different names, too: no store takes one for the other. */
static int name_authority(gnutls_x509_crt_t ca)
{
	unsigned char random[8];
	char name[COMMON_NAME_MAX];
	size_t n = 0;
	int r = gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof(random));

	if (r < 0)
		return r;
	n = (size_t)snprintf(name, sizeof(name), "Gateway of one container ");
	for (size_t i = 0; i < sizeof(random); i++)
		n += (size_t)snprintf(name + n, sizeof(name) - n, "%02x", random[i]);
	r = gnutls_x509_crt_set_dn_by_oid(ca, GNUTLS_OID_X520_ORGANIZATION_NAME, 0,
					  "Purple", 6);
	return r < 0 ? r :
		       gnutls_x509_crt_set_dn_by_oid(ca, GNUTLS_OID_X520_COMMON_NAME, 0,
						     name, (unsigned int)n);
}

static int make_ca(struct maker *m, const struct strv *names)
{
	int r = begin_certificate(m, m->ca_key, &m->ca);

	m->key_id_len = sizeof(m->key_id);
	if (r == 0)
		r = name_authority(m->ca);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(m->ca, 1, 0);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(m->ca, GNUTLS_KEY_KEY_CERT_SIGN);
	if (r == 0)
		r = constrain(m->ca, names);
	if (r == 0)
		r = gnutls_x509_crt_get_subject_key_id(m->ca, m->key_id, &m->key_id_len,
						       NULL);
	return r < 0 ? r :
		       gnutls_x509_crt_sign2(m->ca, m->ca, m->ca_key, GNUTLS_DIG_SHA256, 0);
}

static int sign_leaf(const struct maker *m, const char *name, gnutls_x509_crt_t *ret)
{
	unsigned int n = (unsigned int)strlen(name);
	int r = begin_certificate(m, m->leaf_key, ret);

	/* One that is longer has the alternative name alone, which is what counts. */
	if (r == 0 && n <= COMMON_NAME_MAX)
		r = gnutls_x509_crt_set_dn_by_oid(*ret, GNUTLS_OID_X520_COMMON_NAME, 0,
						  name, n);
	if (r == 0)
		r = gnutls_x509_crt_set_subject_alt_name(*ret, GNUTLS_SAN_DNSNAME, name,
							 n, GNUTLS_FSAN_SET);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(*ret, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(*ret, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_set_authority_key_id(*ret, m->key_id, m->key_id_len);
	return r < 0 ? r :
		       gnutls_x509_crt_sign2(*ret, m->ca, m->ca_key, GNUTLS_DIG_SHA256, 0);
}

static int make_leaf(const struct maker *m, const char *name, struct leaf *l)
{
	gnutls_x509_crt_t crt = NULL;
	int r;

	l->name = strdup(name);
	r = l->name ? sign_leaf(m, name, &crt) : GNUTLS_E_MEMORY_ERROR;
	if (r == 0)
		r = gnutls_pcert_import_x509(&l->chain[0], crt, 0);
	if (r == 0) {
		l->chain_count = 1;
		r = gnutls_pcert_import_x509(&l->chain[1], m->ca, 0);
	}
	if (r == 0)
		l->chain_count = 2;
	if (crt)
		gnutls_x509_crt_deinit(crt);
	return r;
}

/* --- all of it --- */

static int keep_leaf_key(const struct maker *m, struct authority *a)
{
	int r = gnutls_privkey_init(&a->leaf_key);

	return r < 0 ? r :
		       gnutls_privkey_import_x509(a->leaf_key, m->leaf_key,
						  GNUTLS_PRIVKEY_IMPORT_COPY);
}

static int fill(struct authority *a, struct maker *m, const struct strv *names,
		struct err *e)
{
	int r = make_key(&m->ca_key);

	if (r == 0)
		r = make_key(&m->leaf_key);
	if (r < 0)
		return fail(e, r, "make a key");
	r = make_ca(m, names);
	if (r == 0)
		r = gnutls_x509_crt_export2(m->ca, GNUTLS_X509_FMT_PEM, &a->pem);
	if (r < 0)
		return fail(e, r, "make the authority's certificate");
	a->leaves = calloc(names->n, sizeof(*a->leaves));
	if (!a->leaves)
		return err_oom(e);
	for (; r == 0 && a->leaf_count < names->n; a->leaf_count++)
		r = make_leaf(m, names->v[a->leaf_count], &a->leaves[a->leaf_count]);
	if (r == 0)
		r = keep_leaf_key(m, a);
	return r < 0 ? fail(e, r, "make a certificate") : 0;
}

int authority_make(const struct strv *names, struct authority **ret, struct err *e)
{
	struct authority *a = calloc(1, sizeof(*a));
	struct maker m = { .from = time(NULL) - BACKDATED_SECONDS };
	int r;

	if (!a)
		return err_oom(e);
	m.to = m.from + BACKDATED_SECONDS + LIFE_SECONDS;
	r = check_names(names, e);
	if (r == 0)
		r = fill(a, &m, names, e);
	/* The library overwrites keys that it frees. */
	if (m.ca_key)
		gnutls_x509_privkey_deinit(m.ca_key);
	if (m.leaf_key)
		gnutls_x509_privkey_deinit(m.leaf_key);
	if (m.ca)
		gnutls_x509_crt_deinit(m.ca);
	if (r < 0) {
		authority_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void authority_free(struct authority *a)
{
	if (!a)
		return;
	if (served == a)
		served = NULL;
	for (size_t i = 0; a->leaves && i < a->leaf_count; i++) {
		struct leaf *l = &a->leaves[i];

		for (size_t k = 0; k < l->chain_count; k++)
			gnutls_pcert_deinit(&l->chain[k]);
		free(l->name);
	}
	if (a->leaf_key)
		gnutls_privkey_deinit(a->leaf_key);
	gnutls_free(a->pem.data);
	free(a->leaves);
	free(a);
}

const char *authority_certificate(const struct authority *a)
{
	return (const char *)a->pem.data;
}

int authority_find(const struct authority *a, const char *name, gnutls_pcert_st **ret_chain,
		   unsigned int *ret_len, gnutls_privkey_t *ret_key)
{
	for (size_t i = 0; i < a->leaf_count; i++) {
		if (strcasecmp(a->leaves[i].name, name) != 0)
			continue;
		*ret_chain = a->leaves[i].chain;
		*ret_len = ARRAY_SIZE(a->leaves[i].chain);
		*ret_key = a->leaf_key;
		return 0;
	}
	return -ENOENT;
}

/* --- for a server --- */

void authority_serve(const struct authority *a)
{
	served = a;
}

int authority_session_name(gnutls_session_t session, char *name)
{
	size_t len = AUTHORITY_NAME_MAX + 1;
	unsigned int type;
	int r = gnutls_server_name_get(session, name, &len, &type, 0);

	if (r < 0 || type != GNUTLS_NAME_DNS)
		return -ENOENT;
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	/* A 0 in it makes it a name that others may read otherwise. */
	if (strlen(name) != len)
		return -ENOENT;
	return is_host_name(name) ? 0 : -ENOENT;
}

int authority_retrieve(gnutls_session_t session, const gnutls_datum_t *ca_names,
		       int ca_count, const gnutls_pk_algorithm_t *algorithms,
		       int algorithm_count, gnutls_pcert_st **ret_chain,
		       unsigned int *ret_len, gnutls_privkey_t *ret_key)
{
	char name[AUTHORITY_NAME_MAX + 1];

	if (!served || authority_session_name(session, name) < 0)
		return -1;
	return authority_find(served, name, ret_chain, ret_len, ret_key) < 0 ? -1 : 0;
}
