/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where providers are: those that are known by name, endpoints in the one form that gateway.json
 * has them in, and the URL that a call goes to. Pure.
 */
#ifndef PURPLE_GATEWAY_ENDPOINT_H
#define PURPLE_GATEWAY_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "gateway/format.h"
#include "gateway/route.h"

struct gateway_known {
	const char *name;
	enum llm_family family;
	const char *endpoint; /* in the form below */
	bool is_local;	      /* on this machine: only for policies that name it */
};

/* By name, in lower case; NULL: not known. */
const struct gateway_known *gateway_known_find(const char *name);
/* The i-th of those that may be called where no policy names them; NULL at the end. */
const struct gateway_known *gateway_known_at(size_t i);

/* "openai", "anthropic", "gemini". False where the name is none of them. */
const char *gateway_family_name(enum llm_family f);
bool gateway_family_find(const char *name, enum llm_family *ret);

/*
 * "http[s]://HOST[:PORT][/PATH]": the host in lower case, no slash at the end, no user, no query.
 * The path is what stands before the path of a call, the API's version included ("/v1",
 * "/api/v1"); where there is none, the version is that of the provider itself.
 */
struct gateway_endpoint {
	bool is_tls;
	char host[256];	  /* without the brackets of an IPv6 address */
	uint16_t port;	  /* the scheme's own where none is written */
	const char *path; /* points into the URL; "" is none */
};

/* -EINVAL: not in this form. */
int gateway_endpoint_split(const char *url, struct gateway_endpoint *ret);
/* Where any URL leads, whatever its path and query; ret->path is "". -EINVAL: not http or https, a
 * user in it, characters that a URL cannot have. */
int gateway_url_place(const char *url, struct gateway_endpoint *ret);

/*
 * What a policy writes (a host, HOST:PORT or a URL) in this form; https:// where nothing is said.
 * -EINVAL where it cannot be brought into it (a '*', a range of ports, user, query); -ENOMEM.
 */
int gateway_endpoint_make(const char *text, char **ret);

/*
 * Appends the URL of a call to that endpoint, its query without credentials. `r` is a route that
 * passes, of this family.
 */
void gateway_endpoint_join(const char *url, enum llm_family family,
			   const struct llm_route *r, struct buf *out);

#endif
