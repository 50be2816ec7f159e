/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interception, for programs in a container that hard-code their LLM provider: in the container the
 * providers' names lead to an address of its own loopback, where its gateway listens, and its
 * programs trust the authority that the gateway made for this container alone. Nothing else leads
 * there, and nothing else is ever decrypted: for other names there is no certificate.
 *
 * What the container sees of it is the folder ROOT/ID/trust, read-only:
 *   /run/purple/ca.pem         the authority's certificate
 *   /run/purple/ca-bundle.pem  the image's own bundle (the host's where the image has none), and it;
 *                              also over the image's bundles
 *   /etc/hosts                 the container's own, with the providers' names in front
 *   configuration of agents that cannot be told by variables, where the image has none
 *
 * Programs with a trust store of their own, as Java has, do not take part; nor do those that speak
 * to other ports than 443 (https) and 80 (http). They can be told the base URL.
 */
#ifndef PURPLE_CONTAINER_INTERCEPT_H
#define PURPLE_CONTAINER_INTERCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "container/state.h"
#include "gateway/config.h"
#include "linux/rootfs_files.h"
#include "oci/spec.h"

#define INTERCEPT_FOLDER "trust"
#define INTERCEPT_PLACE "/run/purple"

struct intercept {
	bool is_on;
	uint32_t address;  /* in network byte order */
	struct strv hosts; /* what leads there */
	bool has_tls, has_http;
	char *openai; /* the provider that OpenAI's base URL means; NULL: none */
	bool has_gemini;
	int dir_fd, bundle_fd, hosts_fd;
	struct rootfs_files files;
	char *image_bundle; /* what the container's SSL_CERT_FILE names */
};
#define INTERCEPT_EMPTY                                                                  \
	{                                                                                \
		.dir_fd = -1, .bundle_fd = -1, .hosts_fd = -1, .files = {.tree_fd = -1 } \
	}

/*
 * Before anything is made, for a container that gets a gateway: finds out whether there is
 * interception, chooses the address, and notes both in `config`. There is none, and the explanations
 * say why, where the container has no network namespace or no mounts of its own; and none where no
 * provider is at a name. With it, `env` (NULL: there is none) gets the variables by which programs
 * find the certificates.
 */
int intercept_plan(struct intercept *x, struct gateway_config *config,
		   const struct oci_spec *spec, struct strv *env,
		   struct strv *explanations, struct err *e);

/* When the state folder is there, and before init is made: the files, and what init mounts. */
int intercept_make(struct intercept *x, const struct oci_spec *spec,
		   const struct container *c, struct err *e);

/*
 * Listening sockets at the address in the container's network namespace, whose loopback is up; -1
 * where nothing is to be listened to. The caller's namespace is the same afterwards.
 * Runs in: a process with one thread, as root.
 */
int intercept_listen(const struct intercept *x, int netns_fd, int *ret_tls, int *ret_http,
		     struct err *e);

/* Where the gateway writes its certificate: GATEWAY_FD_CA, a new descriptor. -1 without TLS. */
int intercept_open_ca(const struct intercept *x, int *ret, struct err *e);

/*
 * When init has mounted (SYNC_READY) and the gateway is ready, before the container's program can
 * run: fills in what was not known before. `port` is that of the base URLs.
 */
int intercept_finish(struct intercept *x, uint16_t port, struct err *e);

void intercept_clear(struct intercept *x);

/*
 * What the forwarder of a container that is there answers by itself: the names and their address,
 * from gateway.json. *ret_address is NULL where there is no interception.
 */
int intercept_load(const struct container *c, struct strv *ret_hosts, char **ret_address,
		   struct err *e);

/*
 * The variables by which programs find the certificates, in `env`, in place of others of their
 * names; also for further processes. Nothing where gateway.json has no interception.
 */
int intercept_environment(const struct gateway_config *config, struct strv *env,
			  struct err *e);

#endif
