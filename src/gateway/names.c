// SPDX-License-Identifier: Apache-2.0
/* Which names lead to the gateway: see names.h. Pure. */
#include "gateway/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/endpoint.h"

#define HOST_MAX 253

/* Labels of 1 to 63 characters that the host of an endpoint has anyway. */
static bool is_name(const char *host)
{
	size_t label = 0, n = 0;
	struct in_addr v4;

	for (; host[n]; n++) {
		if (host[n] == '.' ? label == 0 : ++label > 63)
			return false;
		if (host[n] == '.')
			label = 0;
		else if (!isalnum((unsigned char)host[n]) && host[n] != '-' && host[n] != '_')
			return false;
	}
	return label > 0 && n <= HOST_MAX && inet_aton(host, &v4) == 0 &&
	       !streq(host, "localhost") && !str_has_suffix(host, ".localhost");
}

static int add_host(struct gateway_names *n, const struct gateway_endpoint *at,
		    const struct gateway_provider *p, const char *endpoint)
{
	struct gateway_name *x;

	if (!is_name(at->host) ||
	    at->port != (at->is_tls ? GATEWAY_TLS_PORT : GATEWAY_HTTP_PORT))
		return 0;
	for (size_t i = 0; i < n->l.n; i++)
		if (n->l.v[i].is_tls == at->is_tls && streq(n->l.v[i].host, at->host))
			return 0;
	x = list_add(&n->l);
	if (!x)
		return -ENOMEM;
	*x = (struct gateway_name){ .host = strdup(at->host),
				    .is_tls = at->is_tls,
				    .provider = p,
				    .endpoint = endpoint };
	return x->host ? 0 : -ENOMEM;
}

static int add_provider(struct gateway_names *n, const struct gateway_provider *p)
{
	const struct gateway_known *known = gateway_known_find(p->name);
	struct gateway_endpoint at;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->endpoints.n; i++)
		if (gateway_endpoint_split(p->endpoints.v[i], &at) == 0)
			r = add_host(n, &at, p, p->endpoints.v[i]);
	if (r == 0 && known && p->endpoints.n > 0 &&
	    gateway_endpoint_split(known->endpoint, &at) == 0)
		r = add_host(n, &at, p, p->endpoints.v[0]);
	return r;
}

int gateway_names_make(const struct gateway_config *c, struct gateway_names *ret)
{
	_gateway_names_clear_ struct gateway_names n = {};
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->providers.n; i++)
		r = add_provider(&n, &c->providers.v[i]);
	if (r < 0)
		return r;
	*ret = n;
	n = (struct gateway_names){};
	return 0;
}

void gateway_names_clear(struct gateway_names *n)
{
	for (size_t i = 0; i < n->l.n; i++)
		free(n->l.v[i].host);
	free(n->l.v);
	*n = (struct gateway_names){};
}

int gateway_names_hosts(const struct gateway_names *n, bool tls_only, struct strv *hosts)
{
	for (size_t i = 0; i < n->l.n; i++) {
		const struct gateway_name *x = &n->l.v[i];

		if ((tls_only && !x->is_tls) || strv_contains(hosts, x->host))
			continue;
		if (strv_add(hosts, x->host) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Without the port, if it is that of the scheme. -1: another port, or no port at all behind ':'. */
static int host_len(const char *host, bool is_tls)
{
	const char *colon = strchr(host, ':');
	char port[8];

	if (!colon)
		return (int)strlen(host);
	snprintf(port, sizeof(port), "%d", is_tls ? GATEWAY_TLS_PORT : GATEWAY_HTTP_PORT);
	return streq(colon + 1, port) ? (int)(colon - host) : -1;
}

const struct gateway_name *gateway_names_find(const struct gateway_names *n,
					      const char *host, const char *sni)
{
	int len = host_len(host, sni != NULL);

	if (len < 0)
		return NULL;
	for (size_t i = 0; i < n->l.n; i++) {
		const struct gateway_name *x = &n->l.v[i];

		if (x->is_tls != (sni != NULL) || strlen(x->host) != (size_t)len ||
		    strncasecmp(x->host, host, (size_t)len) != 0)
			continue;
		return !sni || streq(x->host, sni) ? x : NULL;
	}
	return NULL;
}
