// SPDX-License-Identifier: Apache-2.0
/* The certificates of gateway/authority.c, as GnuTLS and OpenSSL see them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

#include "base/list.h"
#include "gateway/authority.h"

#define OPENAI "api.openai.com"
#define ANTHROPIC "api.anthropic.com"
#define LONG_NAME                                                            \
	"a-name-that-is-longer-than-the-common-name-of-a-certificate.may-be" \
	".llm.example.com"

static struct authority *make(void)
{
	static const char *const names[] = { OPENAI, ANTHROPIC, LONG_NAME };
	_strv_free_ struct strv l = {};
	struct authority *a = NULL;
	struct err e = {};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(strv_add(&l, names[i]), 0);
	if (authority_make(&l, &a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

static gnutls_x509_crt_t read_pem(const char *pem)
{
	const gnutls_datum_t d = { (unsigned char *)pem, (unsigned int)strlen(pem) };
	gnutls_x509_crt_t crt;

	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM), 0);
	return crt;
}

static gnutls_x509_crt_t leaf_of(const struct authority *a, const char *name)
{
	gnutls_x509_crt_t crt;
	gnutls_pcert_st *chain;
	gnutls_privkey_t key;
	unsigned int n;

	assert_int_equal(authority_find(a, name, &chain, &n, &key), 0);
	assert_int_equal(n, 2);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, &chain[0].cert, GNUTLS_X509_FMT_DER),
			 0);
	return crt;
}

/* GnuTLS's verdict on `name`'s certificate of `a` as that of `host`, trusting `trusted`. */
static unsigned int verify(const struct authority *a, const char *name, const char *host,
			   const struct authority *trusted)
{
	gnutls_typed_vdata_st vdata[] = {
		{ GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)host, 0 },
		{ GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER, 0 },
	};
	gnutls_x509_crt_t root = read_pem(authority_certificate(trusted));
	gnutls_x509_crt_t leaf = leaf_of(a, name);
	gnutls_x509_trust_list_t list;
	unsigned int verdict = 0;

	assert_int_equal(gnutls_x509_trust_list_init(&list, 0), 0);
	assert_int_equal(gnutls_x509_trust_list_add_cas(list, &root, 1, 0), 1);
	assert_int_equal(gnutls_x509_trust_list_verify_crt2(list, &leaf, 1, vdata,
							    ARRAY_SIZE(vdata), 0,
							    &verdict, NULL),
			 0);
	gnutls_x509_crt_deinit(leaf);
	gnutls_x509_trust_list_deinit(list, 1);
	return verdict;
}

static void gnutls_accepts_the_names(void **state)
{
	struct authority *a = make();

	assert_int_equal(verify(a, OPENAI, OPENAI, a), 0);
	assert_int_equal(verify(a, ANTHROPIC, ANTHROPIC, a), 0);
	assert_int_equal(verify(a, LONG_NAME, LONG_NAME, a), 0);
	assert_int_not_equal(verify(a, OPENAI, ANTHROPIC, a), 0);
	assert_int_not_equal(verify(a, OPENAI, "x." OPENAI, a), 0);
	authority_free(a);
}

static void two_containers_have_different_authorities(void **state)
{
	struct authority *a = make(), *b = make();
	gnutls_x509_crt_t x = read_pem(authority_certificate(a));
	gnutls_x509_crt_t y = read_pem(authority_certificate(b));
	unsigned char id[2][64], serial[2][64];
	char dn[2][256];
	size_t n[2] = { 64, 64 }, s[2] = { 64, 64 }, d[2] = { 256, 256 };

	assert_int_not_equal(verify(a, OPENAI, OPENAI, b), 0);
	assert_int_equal(gnutls_x509_crt_get_key_id(x, 0, id[0], &n[0]), 0);
	assert_int_equal(gnutls_x509_crt_get_key_id(y, 0, id[1], &n[1]), 0);
	assert_memory_not_equal(id[0], id[1], n[0]);
	assert_int_equal(gnutls_x509_crt_get_serial(x, serial[0], &s[0]), 0);
	assert_int_equal(gnutls_x509_crt_get_serial(y, serial[1], &s[1]), 0);
	assert_memory_not_equal(serial[0], serial[1], s[0]);
	assert_int_equal(gnutls_x509_crt_get_dn(x, dn[0], &d[0]), 0);
	assert_int_equal(gnutls_x509_crt_get_dn(y, dn[1], &d[1]), 0);
	assert_string_not_equal(dn[0], dn[1]);
	gnutls_x509_crt_deinit(x);
	gnutls_x509_crt_deinit(y);
	authority_free(a);
	authority_free(b);
}

static void no_other_name_has_a_certificate(void **state)
{
	static const char *const others[] = { "openai.com", "x." OPENAI,
					      OPENAI ".",   OPENAI ".evil.example",
					      "",	    "*",
					      "127.0.0.1" };
	struct authority *a = make();
	gnutls_pcert_st *chain;
	gnutls_privkey_t key;
	unsigned int n;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(authority_find(a, others[i], &chain, &n, &key), -ENOENT);
	assert_int_equal(authority_find(a, "API.OpenAI.com", &chain, &n, &key), 0);
	authority_free(a);
}

static unsigned int allows(gnutls_x509_name_constraints_t c,
			   gnutls_x509_subject_alt_name_t type, const void *name, size_t len)
{
	const gnutls_datum_t d = { (unsigned char *)name, (unsigned int)len };

	return gnutls_x509_name_constraints_check(c, type, &d);
}

static void the_authority_can_speak_of_its_names_alone(void **state)
{
	static const char v6[16] = { 0x20, 0x01, [15] = 1 };
	struct authority *a = make();
	gnutls_x509_crt_t ca = read_pem(authority_certificate(a));
	gnutls_x509_name_constraints_t c;
	unsigned int critical = 0, is_ca = 0, usage = 0;
	char purpose[64];
	size_t n = sizeof(purpose);
	int path = -1;

	assert_int_equal(gnutls_x509_name_constraints_init(&c), 0);
	assert_int_equal(gnutls_x509_crt_get_name_constraints(ca, c, 0, &critical), 0);
	assert_int_equal(critical, 1);
	assert_int_equal(allows(c, GNUTLS_SAN_DNSNAME, OPENAI, strlen(OPENAI)), 1);
	assert_int_equal(allows(c, GNUTLS_SAN_DNSNAME, "evil.example", 12), 0);
	assert_int_equal(allows(c, GNUTLS_SAN_DNSNAME, "openai.com", 10), 0);
	assert_int_equal(allows(c, GNUTLS_SAN_IPADDRESS, "\x7f\0\0\1", 4), 0);
	assert_int_equal(allows(c, GNUTLS_SAN_IPADDRESS, v6, sizeof(v6)), 0);
	gnutls_x509_name_constraints_deinit(c);

	assert_int_equal(gnutls_x509_crt_get_basic_constraints(ca, &critical, &is_ca, &path),
			 1);
	assert_int_equal(critical, 1);
	assert_int_equal(path, 0);
	assert_int_equal(gnutls_x509_crt_get_key_usage(ca, &usage, &critical), 0);
	assert_int_equal(usage, GNUTLS_KEY_KEY_CERT_SIGN);
	assert_int_equal(gnutls_x509_crt_get_key_purpose_oid(ca, 0, purpose, &n, NULL), 0);
	assert_string_equal(purpose, GNUTLS_KP_TLS_WWW_SERVER);
	n = sizeof(purpose);
	assert_int_equal(gnutls_x509_crt_get_key_purpose_oid(ca, 1, purpose, &n, NULL),
			 GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
	gnutls_x509_crt_deinit(ca);
	authority_free(a);
}

static void leaves_name_their_issuer_as_openssl_wants_it(void **state)
{
	struct authority *a = make();
	gnutls_x509_crt_t ca = read_pem(authority_certificate(a)),
			  leaf = leaf_of(a, OPENAI);
	unsigned char own[64], issuer[64], ca_key[64], leaf_key[64];
	size_t n = sizeof(own), m = sizeof(issuer), k = sizeof(ca_key),
	       l = sizeof(leaf_key);
	unsigned int is_ca;

	assert_int_equal(gnutls_x509_crt_get_subject_key_id(ca, own, &n, NULL), 0);
	assert_int_equal(gnutls_x509_crt_get_authority_key_id(leaf, issuer, &m, NULL), 0);
	assert_int_equal(n, m);
	assert_memory_equal(own, issuer, n);
	assert_int_equal(gnutls_x509_crt_get_basic_constraints(leaf, NULL, &is_ca, NULL), 0);
	/* The key that stays in memory is not the one that signed. */
	assert_int_equal(gnutls_x509_crt_get_key_id(ca, 0, ca_key, &k), 0);
	assert_int_equal(gnutls_x509_crt_get_key_id(leaf, 0, leaf_key, &l), 0);
	assert_memory_not_equal(ca_key, leaf_key, k);
	gnutls_x509_crt_deinit(ca);
	gnutls_x509_crt_deinit(leaf);
	authority_free(a);
}

static void names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "",	   "*.openai.com", "API.openai.com",
					   "a..b", ".a",	   "a.",
					   "a b",  "a\nb",	   "[::1]" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_strv_free_ struct strv l = {};
		struct authority *a = NULL;
		struct err e = {};

		assert_int_equal(strv_add(&l, bad[i]), 0);
		assert_int_equal(authority_make(&l, &a, &e), -EINVAL);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_null(a);
	}
}

static void the_number_of_names_is_bounded(void **state)
{
	_strv_free_ struct strv l = {};
	struct authority *a = NULL;
	struct err e = {};

	assert_int_equal(authority_make(&l, &a, &e), -EINVAL);
	for (int i = 0; i < AUTHORITY_NAMES_MAX; i++)
		assert_int_equal(strv_addf(&l, "n%d.example", i), 0);
	assert_int_equal(authority_make(&l, &a, &e), 0);
	authority_free(a);
	assert_int_equal(strv_add(&l, "one.more"), 0);
	assert_int_equal(authority_make(&l, &a, &e), -EINVAL);
}

/* --- OpenSSL --- */

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int openssl_verify(const char *dir, const char *host)
{
	char command[512];
	int status;

	snprintf(command, sizeof(command),
		 "openssl verify -x509_strict -purpose sslserver -no-CApath -no-CAstore "
		 "-CAfile %s/ca.pem -verify_hostname %s %s/leaf.pem >%s/out 2>&1",
		 dir, host, dir, dir);
	status = system(command); /* NOLINT: a test's own command */
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void openssl_accepts_the_names(void **state)
{
	static const char *const files[] = { "ca.pem", "leaf.pem", "out" };
	char dir[] = "/tmp/purple-authority.XXXXXX", path[64];
	struct authority *a = make();
	gnutls_x509_crt_t leaf = leaf_of(a, OPENAI);
	gnutls_datum_t pem;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	write_file(path, authority_certificate(a), strlen(authority_certificate(a)));
	assert_int_equal(gnutls_x509_crt_export2(leaf, GNUTLS_X509_FMT_PEM, &pem), 0);
	snprintf(path, sizeof(path), "%s/leaf.pem", dir);
	write_file(path, (const char *)pem.data, pem.size);

	assert_int_equal(openssl_verify(dir, OPENAI), 0);
	assert_int_not_equal(openssl_verify(dir, "evil.example"), 0);

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(leaf);
	authority_free(a);
}

/* --- handshakes --- */

static int client_verifies(const char *pem, const char *ask, const char *host, int fd)
{
	const gnutls_datum_t ca = { (unsigned char *)pem, (unsigned int)strlen(pem) };
	gnutls_certificate_credentials_t cred;
	gnutls_session_t s;
	int r = gnutls_certificate_allocate_credentials(&cred);

	if (r == 0 &&
	    gnutls_certificate_set_x509_trust_mem(cred, &ca, GNUTLS_X509_FMT_PEM) != 1)
		return 2;
	if (r < 0 || gnutls_init(&s, GNUTLS_CLIENT) < 0 ||
	    gnutls_set_default_priority(s) < 0 ||
	    gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred) < 0 ||
	    (ask && gnutls_server_name_set(s, GNUTLS_NAME_DNS, ask, strlen(ask)) < 0))
		return 2;
	gnutls_session_set_verify_cert(s, host, 0);
	gnutls_transport_set_int(s, fd);
	gnutls_handshake_set_timeout(s, 20000);
	do
		r = gnutls_handshake(s);
	while (r < 0 && !gnutls_error_is_fatal(r));
	gnutls_deinit(s);
	gnutls_certificate_free_credentials(cred);
	return r == 0 ? 0 : 1;
}

/* Serves one handshake; the name that was asked for, or "". */
static int serve(int fd, char *ret_name)
{
	gnutls_certificate_credentials_t cred;
	gnutls_session_t s;
	int r;

	assert_int_equal(gnutls_certificate_allocate_credentials(&cred), 0);
	gnutls_certificate_set_retrieve_function2(cred, authority_retrieve);
	assert_int_equal(gnutls_init(&s, GNUTLS_SERVER), 0);
	assert_int_equal(gnutls_priority_set_direct(s, AUTHORITY_PRIORITIES, NULL), 0);
	assert_int_equal(gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred), 0);
	gnutls_transport_set_int(s, fd);
	gnutls_handshake_set_timeout(s, 20000);
	do
		r = gnutls_handshake(s);
	while (r < 0 && !gnutls_error_is_fatal(r));
	if (authority_session_name(s, ret_name) < 0)
		ret_name[0] = '\0';
	if (r < 0)
		gnutls_alert_send_appropriate(s, r);
	gnutls_deinit(s);
	gnutls_certificate_free_credentials(cred);
	return r;
}

/* Whether both sides were content. */
static bool shake_hands(const struct authority *a, const char *ask, const char *host,
			char *ret_name)
{
	int fds[2], status, r;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	authority_serve(a);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		_exit(client_verifies(authority_certificate(a), ask, host, fds[1]));
	}
	close(fds[1]);
	r = serve(fds[0], ret_name);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	authority_serve(NULL);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 2);
	return r == 0 && WEXITSTATUS(status) == 0;
}

static void a_handshake_needs_a_name_of_the_authority(void **state)
{
	struct authority *a = make();
	char name[AUTHORITY_NAME_MAX + 1];

	assert_true(shake_hands(a, OPENAI, OPENAI, name));
	assert_string_equal(name, OPENAI);
	assert_true(shake_hands(a, "API.Anthropic.com", ANTHROPIC, name));
	assert_string_equal(name, ANTHROPIC);
	assert_true(shake_hands(a, LONG_NAME, LONG_NAME, name));
	/* It gets the certificate of what it asks for, and no other. */
	assert_false(shake_hands(a, OPENAI, ANTHROPIC, name));
	assert_false(shake_hands(a, "evil.example", "evil.example", name));
	assert_false(shake_hands(a, "x." OPENAI, OPENAI, name));
	assert_false(shake_hands(a, NULL, OPENAI, name));
	assert_string_equal(name, "");
	authority_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gnutls_accepts_the_names),
		cmocka_unit_test(openssl_accepts_the_names),
		cmocka_unit_test(two_containers_have_different_authorities),
		cmocka_unit_test(no_other_name_has_a_certificate),
		cmocka_unit_test(the_authority_can_speak_of_its_names_alone),
		cmocka_unit_test(leaves_name_their_issuer_as_openssl_wants_it),
		cmocka_unit_test(names_that_are_none_are_refused),
		cmocka_unit_test(the_number_of_names_is_bounded),
		cmocka_unit_test(a_handshake_needs_a_name_of_the_authority),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
